"""The line on stderr that says where a command acts, under which limits, and if it is halted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trader_cli.domain.numbers import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trader_cli.config import Settings
    from trader_cli.journal.halt import Halt
    from trader_cli.trading.risk.risk_terms import RiskLimits


def banner(settings: Settings, limits: RiskLimits, halts: Sequence[Halt]) -> str:
    """Return environment, limits and halt state in one line."""
    name = settings.environment.value
    return (
        f"[{name.upper() if name == 'live' else name}] "
        f"position {to_text(limits.max_position_usd)} USD · leverage {limits.max_leverage}x · "
        f"day loss {to_text(limits.max_daily_loss_usd)} USD / "
        f"{to_text(limits.max_daily_loss_pct)} % · {halt_words(halts)}"
    )


def halt_words(halts: Sequence[Halt]) -> str:
    """Return whether anything is halted, and why."""
    if not halts:
        return "not halted"
    said = [
        f"{'HALTED' if halt.symbol is None else f'{halt.symbol} HALTED'}: {halt.reason}"
        for halt in halts
    ]
    return " · ".join(said)

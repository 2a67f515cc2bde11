"""What an operator may set of one symbol's synthetic market: how wild, how wide, how deep.

Knows the settings and how a contract takes them. Must not know how prices are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from trader_cli.domain.instrument import check_price, round_down_to_step
from trader_cli.domain.numbers import to_wire
from trader_cli.errors import UsageError
from trader_cli.paper.contracts.instruments_contract import Contract

Characters = Mapping[str, Mapping[str, str]]
"""By symbol: settings as text, the names of `Character`'s fields. Fit for JSON as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """One symbol's settings; None leaves the contract's own.

    Attributes:
        start_price: at the market's birth; rounded down to the tick.
        volatility: annual standard deviation of the log price, fraction.
        daily_volume: base units a day.
        jumps_per_day: how many sudden moves a day brings on average.
        jump_pct: their typical size, percent of the price.
        spread_ticks: the least distance between bid and ask.
        depth: how much rests in the book, 1 being usual.
    """

    start_price: Decimal | None = None
    volatility: Decimal | None = None
    daily_volume: Decimal | None = None
    jumps_per_day: Decimal = Decimal(0)
    jump_pct: Decimal = Decimal(1)
    spread_ticks: int = 1
    depth: Decimal = Decimal(1)


USUAL: Final = Character()


def characters_text(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return settings with numbers as plain text."""
    return {
        symbol: {
            name: to_wire(value) if isinstance(value, Decimal) else str(value)
            for name, value in some.items()
        }
        for symbol, some in settings.items()
    }


def character_of(characters: Characters, symbol: str) -> Character:
    """Read one symbol's settings."""
    some = dict(characters.get(symbol, {}))
    ticks = int(some.pop("spread_ticks", "1"))
    return Character(spread_ticks=ticks, **{name: Decimal(text) for name, text in some.items()})


def with_characters(
    contracts: Mapping[str, Contract], characters: Characters
) -> dict[str, Contract]:
    """Return the contracts with what was set of them.

    Raises:
        UsageError: a symbol is no contract, or it cannot cost that.
    """
    unknown = sorted(characters.keys() - contracts.keys())
    if unknown:
        raise UsageError(f"{unknown[0]} is no contract of the paper exchange")
    return {
        symbol: _with(contract, character_of(characters, symbol))
        if symbol in characters
        else contract
        for symbol, contract in contracts.items()
    }


def _with(contract: Contract, wish: Character) -> Contract:
    rules = contract.instrument
    start = contract.start_price if wish.start_price is None else wish.start_price
    start = round_down_to_step(start, rules.tick_size)
    if check_price(rules, start) is not None:
        raise UsageError(f"{contract.symbol} cannot cost {to_wire(start)}")
    touch = round_down_to_step(contract.touch_quantity * wish.depth, rules.quantity_step)
    return replace(
        contract,
        start_price=start,
        volatility=contract.volatility if wish.volatility is None else wish.volatility,
        daily_volume=contract.daily_volume if wish.daily_volume is None else wish.daily_volume,
        touch_quantity=max(touch, rules.quantity_step),
    )

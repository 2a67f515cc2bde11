"""What the `trader risk` commands do.

Halt and resume need no exchange; halt needs no valid configuration either.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trader_cli.cli.context import Desk, latch_of, settings_of
from trader_cli.cli.invocation import Answer, Invocation, Json, Table
from trader_cli.cli.order_terms import checked, sides
from trader_cli.cli.output import moment, pairs
from trader_cli.cli.records import number, request_json
from trader_cli.clock import SystemClock
from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.order import LimitRequest, MarketRequest, OrderRequest
from trader_cli.domain.terms import IncomeType, Side
from trader_cli.errors import Halted, UsageError
from trader_cli.trading.risk.equity import day_start_ms
from trader_cli.trading.risk.exposure import total_exposure
from trader_cli.trading.risk.other_assets import is_margin
from trader_cli.trading.risk.risk_manager import RiskLimits, RiskView

if TYPE_CHECKING:
    from trader_cli.config import Settings
    from trader_cli.journal.halt import Halt

_LEDGER_DAYS: Final = 89
"""How far back the exchange's income ledger reaches (three months)."""

_RESULT_TYPES: Final = (
    IncomeType.REALIZED_PNL,
    IncomeType.COMMISSION,
    IncomeType.FUNDING_FEE,
    IncomeType.INSURANCE_CLEAR,
)


async def show_status(desk: Desk) -> Answer:
    """Show the halt, the day, the drawdown and the exposure."""
    view = await desk.views.read(desk.settings.bridge.symbol)
    start_ms = day_start_ms(desk.client.venue_now_ms()) - _LEDGER_DAYS * 86_400_000
    income = await desk.client.get_income(start_ms=start_ms)
    booked = sum(
        (row.amount for row in income if row.income_type in _RESULT_TYPES and is_margin(row.asset)),
        ZERO,
    )
    data = _status_json(desk, view, total_pnl=booked + view.day.unrealized)

    def tables() -> list[Table]:
        flat = {name: value for name, value in data.items() if not isinstance(value, dict | list)}
        halts = [_halts_table("Halts", data["halts"])] if data["halts"] else []
        return [
            pairs("Risk", flat),
            *halts,
            pairs("Day (UTC)", data["day"]),
            pairs("Total", data["total"]),
            pairs("Limits", data["limits"]),
        ]

    return Answer(data=data, tables=tables)


def show_limits(invocation: Invocation, *, accept: bool) -> Answer:
    """Show the limits in force; needs no exchange. `accept` takes over what the file loosens.

    Raises:
        UsageError: the operator did not confirm. JournalUnavailable: what holds is not known.
    """
    from trader_cli.journal.journal import Journal
    from trader_cli.trading.risk.limits_in_force import (
        JournaledLimits,
        confirmed,
        limits_in_force,
        read_limits,
        write_limits,
    )

    settings = settings_of(invocation)
    configured = settings.risk
    with Journal.open(settings.journal_path, SystemClock()) as journal:
        known = read_limits(journal) or JournaledLimits(in_force=configured, accepted=configured)
        present = limits_in_force(known, configured)
        if accept and present.waiting and not invocation.shared.dry_run:
            names = ", ".join(row.name for row in present.waiting)
            invocation.confirm(f"Loosen {names} as the configuration says?")
            write_limits(journal, confirmed(known, configured), reason="accepted by a person")
            present = limits_in_force(confirmed(known, configured), configured)
    waiting = {row.name: _limit_value(row.configured) for row in present.waiting}
    data: Json = {"limits": limits_json(present.limits), "waiting": waiting}

    def tables() -> list[Table]:
        shown = [pairs("Limits", data["limits"])]
        return [*shown, pairs("Looser, waiting for --accept", waiting)] if waiting else shown

    return Answer(data=data, tables=tables)


async def check_order(
    desk: Desk, *, symbol: str, side: Side, quantity: Decimal, price: Decimal | None
) -> Answer:
    """Say whether an order that opens would pass filters and risk; in hedge mode its side says so.

    Raises:
        UsageError: unknown symbol or a filter. Halted, RefusedByRisk: our own rules.
    """
    position_side, _ = await sides(desk, side, None, False)
    request: OrderRequest
    if price is None:
        request = MarketRequest(
            symbol=symbol,
            side=side,
            quantity=quantity,
            client_order_id="",
            position_side=position_side,
        )
    else:
        request = LimitRequest(
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            client_order_id="",
            position_side=position_side,
        )
    planned, notes = await checked(desk, request)
    order = request_json(planned)
    data: Json = {"allowed": True, "order": order, "notes": list(notes)}
    title = "Allowed" if not notes else f"Allowed: {'; '.join(notes)}"
    return Answer(data=data, tables=lambda: [Table(title=title, columns=())])


def halt_trading(invocation: Invocation, *, reason: str, symbol: str | None) -> Answer:
    """Set the latch.

    Raises:
        UsageError: no reason. LatchNotWritten: nothing on disk halts.
    """
    from trader_cli.journal.halt import HaltedBy

    if not reason.strip():
        raise UsageError("a halt needs a reason", advice="give --reason")
    settings = settings_of(invocation, for_kill=True)
    for problem in settings.problems:
        invocation.say(f"passed over: {problem}")
    if invocation.shared.dry_run:
        return _halt_answer("Would halt; nothing was done", [], {"halted": False, "dry_run": True})
    halt = latch_of(settings).set(reason=reason, by=HaltedBy.PERSON, symbol=symbol)
    _journal(settings, "halted", {"reason": reason, "symbol": symbol, "by": "person"})
    return _halt_answer("Halted", [halt], {"halted": True})


def resume_trading(invocation: Invocation, *, reason: str) -> Answer:
    """Lift what may be lifted; after an emergency stop the high-water mark starts anew.

    Raises:
        UsageError: no reason. LatchNotCleared: a halt could not be lifted.
    """
    settings = settings_of(invocation)
    latch = latch_of(settings)
    before = latch.all()
    if invocation.shared.dry_run:
        more: Json = {"dry_run": True, "halted": bool(before), "lifted": []}
        return _halt_answer("In force; nothing was lifted", before, more)
    remaining = latch.clear(reason=reason)
    kept = {halt.halt_id for halt in remaining}
    lifted = [halt for halt in before if halt.halt_id not in kept]
    _journal(settings, "resumed", {"reason": reason, "lifted": [halt.reason for halt in lifted]})
    if any(halt.rule == "emergency" for halt in lifted):
        from trader_cli.cli.equity_mark import mark_present_equity

        asyncio.run(mark_present_equity(invocation, settings, account_is_new=False))
    failure = None
    if remaining:
        failure = Halted(
            f"still halted: {'; '.join(halt.reason for halt in remaining)}",
            code="halted",
            advice="a halt set by a rule ends by itself at its time",
        )
    done = [halt_json(halt) for halt in lifted]
    kept_rows = [halt_json(halt) for halt in remaining]

    def tables() -> list[Table]:
        title = "Lifted" if done else "Lifted: nothing was halted that a person may resume"
        still = [_halts_table("Still halted", kept_rows)] if kept_rows else []
        return [_halts_table(title, done), *still]

    data: Json = {"halted": bool(remaining), "halts": kept_rows, "lifted": done}
    return Answer(data=data, tables=tables, failure=failure)


def limits_json(limits: RiskLimits) -> Json:
    """Return the limits by name, with the total exposure as it applies."""
    values = {field.name: getattr(limits, field.name) for field in fields(limits)}
    values["max_total_exposure_usd"] = limits.total_exposure_usd
    return {name: _limit_value(value) for name, value in values.items()}


def halt_json(halt: Halt) -> Json:
    """Return one halt."""
    return {
        "symbol": halt.symbol,
        "reason": halt.reason,
        "by": halt.by.value,
        "rule": halt.rule,
        "since_ms": halt.since_ms,
        "until_ms": halt.until_ms,
    }


def _limit_value(value: Decimal | int | str | None) -> int | str | None:
    return number(value) if isinstance(value, Decimal) else value


def _status_json(desk: Desk, view: RiskView, *, total_pnl: Decimal) -> Json:
    halts = desk.latch.all()
    of_account = [halt for halt in halts if halt.symbol is None]
    verdict = desk.risk.check_daily_loss(view)
    day = view.day
    fall = max(ZERO, view.high_water_mark - view.equity)
    drawdown = fall / view.high_water_mark * HUNDRED if view.high_water_mark > 0 else ZERO
    return {
        "halted": bool(of_account),
        "halt_reason": of_account[0].reason if of_account else None,
        "halts": [halt_json(halt) for halt in halts],
        "limits": limits_json(desk.limits),
        "day": {
            "realized": number(day.realized),
            "unrealized": number(day.unrealized - day.opening_unrealized),
            "fees": number(day.fees),
            "funding": number(day.funding),
            "pnl": number(day.pnl),
            "loss_limit_usd": number(verdict.limit_usd),
            "loss_limit_pct": number(desk.limits.max_daily_loss_pct),
            "used_pct": number(round(verdict.used_pct, 4)),
        },
        "total": {"pnl": number(total_pnl), "drawdown_pct": number(round(drawdown, 4))},
        "exposure_usd": number(total_exposure(_without_entries(view))),
        "open_positions": len(view.positions),
    }


def _without_entries(view: RiskView) -> RiskView:
    return replace(view, resting=())


def _journal(settings: Settings, kind: str, data: Json) -> None:
    """Write a row if the journal can be used; the latch, not the journal, is what halts."""
    from trader_cli.journal.errors import JournalUnavailable
    from trader_cli.journal.journal import Journal

    with (
        suppress(JournalUnavailable),
        Journal.open(settings.journal_path, SystemClock()) as journal,
    ):
        journal.record(kind, data, durable=True)


def _halt_answer(title: str, halts: list[Halt], more: Json) -> Answer:
    rows = [halt_json(halt) for halt in halts]
    return Answer(data={**more, "halts": rows}, tables=lambda: [_halts_table(title, rows)])


def _halts_table(title: str, halts: list[Json]) -> Table:
    """Return halts as a table; what a rule has set says until when it holds."""
    return Table(
        title=title,
        columns=("scope", "reason", "by", "since (UTC)", "until (UTC)"),
        rows=tuple(
            (
                row["symbol"] or "account",
                row["reason"],
                row["rule"] or row["by"],
                moment(row["since_ms"]),
                moment(row["until_ms"]),
            )
            for row in halts
        ),
    )

"""What `trader position open` does: size, judge, enter under guard, answer.

Everything is checked before anything is changed; Ctrl-C ends the entry, never its protection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.foreign_actions import warn_or_refuse
from trader_cli.cli.interrupts import ctrl_c_ends_entry
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_terms import known
from trader_cli.cli.output import pairs
from trader_cli.cli.position_actions import (
    exits_failure,
    refuse_leverage,
    resting_json,
    view_json,
)
from trader_cli.cli.records import (
    number,
    order_json,
    orders_table,
    positions_table,
)
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import MarketRequest
from trader_cli.domain.protection import check_stop, check_take_profit
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.errors import (
    PartialFailure,
    RefusedByRisk,
    TraderError,
    UsageError,
)
from trader_cli.trading.orders.fitting import fit
from trader_cli.trading.orders.protection_spec import ProtectionPlan, ProtectionSpec
from trader_cli.trading.positions.position_terms import Opened
from trader_cli.trading.risk.risk_manager import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWish:
    """A position as typed; exactly one of `quantity`, `usd` and `risk_usd` is given.

    Attributes:
        may_be_naked: whether its command knows `--no-stop`.
    """

    symbol: str
    direction: Direction
    quantity: Decimal | None
    usd: Decimal | None
    risk_usd: Decimal | None
    leverage: int | None
    no_stop: bool
    spec: ProtectionSpec
    may_be_naked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is about to be opened: base units, USDT before leverage, leverage in effect then."""

    quantity: Decimal
    notional: Decimal
    leverage: int


async def open_position(desk: Desk, wish: OpenWish) -> Answer:
    """Open a position, protected from its first fill on.

    Raises:
        UsageError: sizes, symbol or filters. Halted, RefusedByRisk: nothing was changed or sent.
        VenueError: it failed before anything was executed.
    """
    instrument = await known(desk, wish.symbol)
    spec = with_defaults(desk, wish)
    await warn_or_refuse(desk, wish.symbol)
    size = await judge(desk, wish, instrument, spec)
    await _tell_of_held(desk, wish)
    if desk.invocation.shared.dry_run:
        return would_open(wish, size)
    with ctrl_c_ends_entry(desk.invocation) as cancelled:
        opened = await desk.positions.open_position(
            wish.symbol,
            wish.direction,
            source=desk.command_id,
            spec=spec,
            quantity=size.quantity,
            leverage=wish.leverage,
            cancelled=cancelled,
        )
    for note in opened.notes:
        desk.invocation.say(note)
    return await opened_answer(desk, wish, opened)


async def _tell_of_held(desk: Desk, wish: OpenWish) -> None:
    """Say that something is held already: what is opened becomes one with it, under one stop."""
    view = await desk.views.read(wish.symbol)
    same = [
        row
        for row in view.positions
        if (row.symbol, row.direction) == (wish.symbol, wish.direction)
    ]
    for row in same:
        desk.invocation.say(
            f"{to_text(abs(row.quantity))} {wish.symbol} are held already: this adds to them, "
            "and a stop given here is the stop of all"
        )


def with_defaults(desk: Desk, wish: OpenWish) -> ProtectionSpec | None:
    """Return what protects the position; no stop only where the operator said so."""
    defaults, spec = desk.settings.orders, wish.spec
    if not spec.has_stop and not wish.no_stop:
        without = ", or --no-stop" if wish.may_be_naked else ""
        if defaults.default_stop_roi_pct is None:
            raise UsageError(
                "a position needs a stop",
                code="no_stop",
                advice=f"give --stop or --stop-roi{without}, or set default_stop_roi_pct",
            )
        spec = replace(spec, stop_roi_pct=defaults.default_stop_roi_pct)
    if (spec.take_profit_price, spec.take_profit_roi_pct) == (None, None):
        spec = replace(spec, take_profit_roi_pct=defaults.default_take_profit_roi_pct)
    return None if spec == ProtectionSpec() else spec


async def judge(
    desk: Desk, wish: OpenWish, instrument: Instrument, spec: ProtectionSpec | None
) -> Size:
    """Return size and leverage once filters and risk have approved them; nothing is changed.

    Raises:
        UsageError: sizes or filters. Halted, RefusedByRisk: a limit, or an exit that would fire.
    """
    if wish.leverage is not None:
        refuse_leverage(wish.leverage, desk.limits.max_leverage)
    view = await desk.views.read(wish.symbol)
    top = await desk.client.get_book_top(wish.symbol)
    price = top.far(wish.direction.entry_side)
    position_side = await _position_side(desk, wish.direction)
    request = MarketRequest(
        symbol=wish.symbol,
        side=wish.direction.entry_side,
        quantity=_wanted_quantity(wish, price),
        client_order_id="",
        position_side=position_side,
    )
    fitted = fit(request, instrument, reference_price=price)
    for note in fitted.notes:
        desk.invocation.say(note)
    quantity = fitted.request.quantity
    assert quantity is not None, "a market order has a quantity"
    size = Size(
        quantity=quantity,
        notional=quantity * price,
        leverage=wish.leverage or view.leverages.get(wish.symbol, 0),
    )
    verdict = desk.risk.check_can_open(
        wish.symbol,
        wish.direction,
        size.notional,
        size.leverage,
        view,
        position_side=position_side,
    )
    if isinstance(verdict, Refused):
        raise verdict.error()
    if spec is not None:
        mark = view.marks.get(wish.symbol)
        plan = spec.plan(instrument, wish.direction, price, max(size.leverage, 1))
        _refuse_exits(instrument, wish.direction, plan, mark=price if mark is None else mark.price)
    return size


def _refuse_exits(
    instrument: Instrument, direction: Direction, plan: ProtectionPlan, *, mark: Decimal
) -> None:
    """Refuse exits that would fire at once.

    Raises:
        RefusedByRisk: the first that would.
    """
    stop, target = plan.stop_price, plan.take_profit_price
    problem = None
    if stop is not None:
        problem = check_stop(instrument, direction, stop, mark=mark, liquidation=None)
    if problem is None and target is not None:
        problem = check_take_profit(direction, target, mark=mark)
    if problem is not None:
        raise RefusedByRisk(problem.message, code=problem.rule)


def would_open(wish: OpenWish, size: Size) -> Answer:
    """Return the answer of a dry run."""
    data: Json = {
        "dry_run": True,
        "symbol": wish.symbol,
        "side": wish.direction.value,
        "quantity": number(size.quantity),
        "notional": number(size.notional),
        "leverage": size.leverage,
    }
    shown = {name: value for name, value in data.items() if name != "dry_run"}
    title = "Would be opened; nothing was sent"
    return Answer(data=data, tables=lambda: [pairs(title, shown)])


def _wanted_quantity(wish: OpenWish, price: Decimal) -> Decimal:
    if wish.quantity is not None:
        return wish.quantity
    if wish.usd is not None:
        return wish.usd / price
    stop = wish.spec.stop_price
    assert stop is not None, "--risk-usd without --stop was refused"
    assert wish.risk_usd is not None, "one size is given"
    distance = (price - stop) * wish.direction.sign
    if distance <= 0:
        raise UsageError(f"--stop {number(stop)} is not on the losing side of {number(price)}")
    return wish.risk_usd / distance


async def _position_side(desk: Desk, direction: Direction) -> PositionSide:
    summary = await desk.client.get_account_summary()
    return PositionSide(direction.value) if summary.hedge_mode else PositionSide.BOTH


async def opened_answer(desk: Desk, wish: OpenWish, opened: Opened) -> Answer:
    """Return what came of an entry, with the position as it is now."""
    views = [
        row
        for row in await desk.positions.list_positions(wish.symbol)
        if row.position.direction is wish.direction
    ]
    entry = opened.entry
    data: Json = {
        "position": view_json(views[0]) if views else None,
        "filled_quantity": number(entry.filled_quantity),
        "average_price": number(entry.average_price),
        "leverage": opened.leverage,
        "reason": entry.reason.value,
        "orders": [order_json(row) for row in entry.orders],
        "exits": [] if opened.protection is None else resting_json(opened.protection),
        "closed_again": opened.closed is not None,
        "notes": list(opened.notes),
    }

    def tables() -> list[Table]:
        held = [] if data["position"] is None else [data["position"]]
        title = "Opened" if opened.closed is None else "Closed again"
        return [positions_table(title, held), orders_table("Exits", data["exits"])]

    return Answer(data=data, tables=tables, failure=entry_failure(wish.symbol, opened))


def entry_failure(symbol: str, opened: Opened) -> TraderError | None:
    """Return what an entry lacks of all that was asked for, None if nothing."""
    entry = opened.entry
    if opened.closed is not None:
        return PartialFailure("the position could not be protected and was closed again")
    if entry.error is not None:
        return entry.error
    if entry.filled_quantity == 0:
        return PartialFailure(f"nothing was filled ({entry.reason})", code=entry.reason.value)
    missing = None if opened.protection is None else exits_failure(symbol, opened.protection)
    if missing is None:
        return None
    return PartialFailure(
        f"it is open, and an exit does not rest: {missing.message}",
        code="exit_missing",
        advice=f"trader position protect {symbol}",
    )

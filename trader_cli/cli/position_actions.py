"""What the `trader position` commands do: everything is checked before anything is changed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import held_position, known
from trader_cli.cli.output import pairs
from trader_cli.cli.records import (
    cancelled_json,
    number,
    order_json,
    orders_table,
    position_json,
    positions_table,
)
from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import MarketRequest
from trader_cli.domain.protection import (
    StopProblem,
    callback_rate,
    check_stop,
    check_take_profit,
    note_on_target,
)
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.errors import (
    NotFlat,
    PartialFailure,
    RefusedByRisk,
    Rejected,
    TraderError,
    UsageError,
)
from trader_cli.trading.brackets import ExitOutcome, Protection, Resting, TrailingPlan, WouldTrigger
from trader_cli.trading.fitting import fit
from trader_cli.trading.position_terms import Closed, Opened
from trader_cli.trading.position_view import PositionView
from trader_cli.trading.protection_spec import ProtectionSpec
from trader_cli.trading.risk_manager import Refused

_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWish:
    """A position as typed; exactly one of `quantity`, `usd` and `risk_usd` is given."""

    symbol: str
    direction: Direction
    quantity: Decimal | None
    usd: Decimal | None
    risk_usd: Decimal | None
    leverage: int | None
    no_stop: bool
    spec: ProtectionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """What is about to be opened: base units, USDT before leverage, leverage in effect then."""

    quantity: Decimal
    notional: Decimal
    leverage: int


async def list_positions(desk: Desk) -> Answer:
    """List open positions."""
    rows = [view_json(row) for row in await desk.positions.list_positions()]
    return Answer(data={"positions": rows}, tables=lambda: [positions_table("Positions", rows)])


async def open_position(desk: Desk, wish: OpenWish) -> Answer:
    """Open a position, protected from its first fill on.

    Raises:
        UsageError: sizes, symbol or filters. Halted, RefusedByRisk: nothing was changed or sent.
        VenueError: it failed before anything was executed.
    """
    instrument = await known(desk, wish.symbol)
    spec = _with_defaults(desk, wish)
    size = await _judge(desk, wish, instrument)
    if desk.invocation.shared.dry_run:
        return _would_open(wish, size)
    with _ctrl_c_ends_entry(desk) as cancelled:
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
    return await _opened_answer(desk, wish, opened)


async def close_positions(
    desk: Desk, symbol: str | None, *, direction: Direction | None, everything: bool
) -> Answer:
    """Close one symbol, or every position; being flat already is success."""
    if symbol is not None:
        await known(desk, symbol)
    held = [
        row
        for row in await desk.client.get_positions()
        if symbol in (None, row.symbol) and (direction is None or row.direction is direction)
    ]
    if symbol is not None and len(held) > 1 and not everything:
        raise UsageError(
            f"{symbol} is held long and short", advice="add --position long|short, or --all"
        )
    if desk.invocation.shared.dry_run:
        rows = [position_json(row) for row in held]
        return Answer(
            data={"dry_run": True, "positions": rows},
            tables=lambda: [positions_table("Would be closed; nothing was sent", rows)],
        )
    return _closed_answer(desk, held, await _close_each(desk, held))


async def protect_position(
    desk: Desk,
    symbol: str,
    *,
    direction: Direction | None,
    stop: Decimal | None,
    take_profit: Decimal | None,
    trailing_pct: Decimal | None,
) -> Answer:
    """Make stop, target and trailing stop rest.

    Raises:
        UsageError: no such position. RefusedByRisk: a price that cannot protect.
        Rejected: price is through the stop already.
    """
    instrument = await known(desk, symbol)
    position = await held_position(desk, symbol, direction)
    if stop is not None:
        _refuse_price(
            check_stop(
                instrument,
                position.direction,
                stop,
                mark=position.mark_price,
                liquidation=position.liquidation_price,
            )
        )
    if take_profit is not None:
        mark = position.mark_price
        _refuse_price(check_take_profit(position.direction, take_profit, mark=mark))
        entry = position.entry_price
        _say(desk, note_on_target(position.direction, take_profit, entry=entry))
    spec = ProtectionSpec(
        stop_price=stop,
        take_profit_price=take_profit,
        trailing=_trailing(desk, trailing_pct),
    )
    if desk.invocation.shared.dry_run:
        data: Json = {"dry_run": True, "position": position_json(position)}
        title = f"{symbol} would be protected; nothing was sent"
        return Answer(data=data, tables=lambda: [Table(title=title, columns=())])
    side = position.position_side
    protection = await desk.positions.protect(
        symbol, spec, source=desk.command_id, position_side=side
    )
    return await _protected_answer(desk, position, protection)


async def set_leverage(desk: Desk, symbol: str, value: int | None) -> Answer:
    """Show the leverage in effect, or set it.

    Raises:
        RefusedByRisk: above the limit.
    """
    await known(desk, symbol)
    limit = desk.limits.max_leverage
    if value is not None:
        _refuse_leverage(value, limit)
        if not desk.invocation.shared.dry_run:
            await desk.positions.set_leverage(symbol, value)
    config = next(row for row in await desk.client.get_symbol_config(symbol))
    data: Json = {
        "symbol": symbol,
        "leverage": config.leverage,
        "max_leverage": limit,
        "margin_type": config.margin_type.value,
    }
    return Answer(data=data, tables=lambda: [pairs("Leverage", data)])


def view_json(view: PositionView) -> Json:
    """Return the contract's position object with its protection."""
    return position_json(
        view.position,
        stop_price=view.stop_price,
        take_profit_price=view.take_profit_price,
        protected=view.protected,
        unprotected_seconds=view.unprotected_seconds,
    )


def _with_defaults(desk: Desk, wish: OpenWish) -> ProtectionSpec | None:
    """Return what protects the position; no stop only where the operator said so."""
    defaults, spec = desk.settings.orders, wish.spec
    if not spec.has_stop and not wish.no_stop:
        if defaults.default_stop_roi_pct is None:
            raise UsageError(
                "a position needs a stop",
                code="no_stop",
                advice="give --stop, --stop-roi or --no-stop, or set default_stop_roi_pct",
            )
        spec = replace(spec, stop_roi_pct=defaults.default_stop_roi_pct)
    if (spec.take_profit_price, spec.take_profit_roi_pct) == (None, None):
        spec = replace(spec, take_profit_roi_pct=defaults.default_take_profit_roi_pct)
    return None if spec == ProtectionSpec() else spec


async def _judge(desk: Desk, wish: OpenWish, instrument: Instrument) -> _Size:
    """Return size and leverage once filters and risk have approved them; nothing is changed."""
    if wish.leverage is not None:
        _refuse_leverage(wish.leverage, desk.limits.max_leverage)
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
    size = _Size(
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
    return size


@contextmanager
def _ctrl_c_ends_entry(desk: Desk) -> Iterator[asyncio.Event]:
    """Let the first Ctrl-C end the entry and not the command: what filled is protected first."""
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        cancelled.set()
        desk.invocation.say("entry ends; what filled is protected first")
        _listen_no_more(loop)

    for interrupt in _INTERRUPTS:
        loop.add_signal_handler(interrupt, stop)
    try:
        yield cancelled
    finally:
        _listen_no_more(loop)


def _listen_no_more(loop: asyncio.AbstractEventLoop) -> None:
    for interrupt in _INTERRUPTS:
        loop.remove_signal_handler(interrupt)


def _would_open(wish: OpenWish, size: _Size) -> Answer:
    data: Json = {
        "dry_run": True,
        "symbol": wish.symbol,
        "side": wish.direction.value,
        "quantity": number(size.quantity),
        "notional": number(size.notional),
        "leverage": size.leverage,
    }
    title = "Would be opened; nothing was sent"
    return Answer(data=data, tables=lambda: [pairs(title, data)])


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


async def _opened_answer(desk: Desk, wish: OpenWish, opened: Opened) -> Answer:
    views = [
        row
        for row in await desk.positions.list_positions()
        if row.position.symbol == wish.symbol and row.position.direction is wish.direction
    ]
    entry = opened.entry
    data: Json = {
        "position": view_json(views[0]) if views else None,
        "filled_quantity": number(entry.filled_quantity),
        "average_price": number(entry.average_price),
        "leverage": opened.leverage,
        "reason": entry.reason.value,
        "orders": [order_json(row) for row in entry.orders],
        "exits": [] if opened.protection is None else _resting_json(opened.protection),
        "closed_again": opened.closed is not None,
        "notes": list(opened.notes),
    }

    def tables() -> list[Table]:
        held = [] if data["position"] is None else [data["position"]]
        return [positions_table("Opened", held), orders_table("Exits", data["exits"])]

    return Answer(data=data, tables=tables, failure=_entry_failure(opened))


def _entry_failure(opened: Opened) -> TraderError | None:
    entry = opened.entry
    if opened.closed is not None:
        return PartialFailure("the position could not be protected and was closed again")
    if entry.error is not None:
        return entry.error
    if entry.filled_quantity == 0:
        return PartialFailure(f"nothing was filled ({entry.reason})", code=entry.reason.value)
    return None


async def _close_each(desk: Desk, held: list[Position]) -> list[Closed | TraderError]:
    async def close(position: Position) -> Closed | TraderError:
        try:
            return await desk.positions.close_position(
                position.symbol, source=desk.command_id, position_side=position.position_side
            )
        except TraderError as error:
            return error

    return list(await asyncio.gather(*(close(row) for row in held)))


def _closed_answer(
    desk: Desk, held: list[Position], outcomes: list[Closed | TraderError]
) -> Answer:
    done = [row for row in outcomes if isinstance(row, Closed)]
    errors = [row for row in outcomes if isinstance(row, TraderError)]
    for note in (note for row in done for note in row.notes):
        desk.invocation.say(note)
    flat = not errors and all(row.flat for row in done)
    data: Json = {
        "flat": flat,
        "closed": [position_json(position) for row in done for position in row.positions],
        "orders": [order_json(order) for row in done for order in row.orders],
        "removed": [cancelled_json(order) for row in done for order in row.removed],
    }
    failure: TraderError | None = None
    if len(errors) == 1 and len(held) == 1:
        failure = errors[0]
    elif errors:
        failure = PartialFailure("; ".join(error.message for error in errors))
    elif not flat:
        failure = NotFlat("something of the position is left", advice="trader position list")

    def tables() -> list[Table]:
        return [
            positions_table("Closed", data["closed"]),
            orders_table("Exit orders removed", data["removed"]),
        ]

    return Answer(data=data, tables=tables, failure=failure)


async def _protected_answer(desk: Desk, position: Position, protection: Protection) -> Answer:
    views = await desk.positions.list_positions()
    same = (position.symbol, position.position_side)
    now = [row for row in views if (row.position.symbol, row.position.position_side) == same]
    exits = _resting_json(protection)
    data: Json = {"position": view_json(now[0]) if now else None, "exits": exits}
    failure: TraderError | None = protection.problems[0] if protection.problems else None
    for outcome in _outcomes(protection):
        if isinstance(outcome, WouldTrigger):
            failure = Rejected(
                outcome.message, code=-2021, advice=f"trader position close {position.symbol}"
            )

    def tables() -> list[Table]:
        held = [] if data["position"] is None else [data["position"]]
        return [positions_table("Position", held), orders_table("Exits", exits)]

    return Answer(data=data, tables=tables, failure=failure)


def _outcomes(protection: Protection) -> list[ExitOutcome]:
    parts = (protection.stop, protection.take_profit, protection.trailing)
    return [part for part in parts if part is not None]


def _resting_json(protection: Protection) -> list[Json]:
    return [order_json(row.order) for row in _outcomes(protection) if isinstance(row, Resting)]


def _trailing(desk: Desk, percent: Decimal | None) -> TrailingPlan | None:
    if percent is None:
        return None
    rate, notes = callback_rate(percent)
    for note in notes:
        desk.invocation.say(note)
    return TrailingPlan(callback_rate=rate)


def _refuse_price(problem: StopProblem | None) -> None:
    if problem is not None:
        raise RefusedByRisk(problem.message, code=problem.rule)


def _refuse_leverage(value: int, limit: int) -> None:
    if value > limit:
        raise RefusedByRisk(
            f"max_leverage: leverage {value} is above the limit {limit}", code="max_leverage"
        )


def _say(desk: Desk, text: str | None) -> None:
    if text is not None:
        desk.invocation.say(f"warning: {text}")

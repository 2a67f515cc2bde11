"""What the `trader position` commands do: everything is checked before anything is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import with_average
from trader_cli.cli.order_terms import exchange_rate, held_position, known
from trader_cli.cli.output import pairs
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import (
    cancelled_json,
    held_table,
    number,
    order_json,
    orders_table,
    position_json,
    positions_table,
)
from trader_cli.domain.account import Position
from trader_cli.domain.client_id import is_own
from trader_cli.domain.instrument import Instrument, round_price_in_favour
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import only_reduces
from trader_cli.domain.protection import (
    StopProblem,
    check_stop,
    check_take_profit,
    note_on_target,
)
from trader_cli.domain.terms import Direction
from trader_cli.errors import (
    NotFlat,
    PartialFailure,
    RefusedByRisk,
    Rejected,
    TraderError,
    UsageError,
)
from trader_cli.trading.orders.brackets import ExitOutcome, Protection, Resting, WouldTrigger
from trader_cli.trading.orders.flatness import held_everywhere, held_positions
from trader_cli.trading.orders.protection_spec import ProtectionSpec, TrailingPlan
from trader_cli.trading.positions.position_terms import Closed
from trader_cli.trading.positions.position_view import PositionView


async def list_positions(desk: Desk) -> Answer:
    """List open positions."""
    rows = [view_json(row) for row in await desk.positions.list_positions()]
    return Answer(data={"positions": rows}, tables=lambda: [positions_table("Positions", rows)])


async def close_positions(
    desk: Desk, symbol: str | None, *, direction: Direction | None, everything: bool
) -> Answer:
    """Close one symbol, or every position; being flat already is success."""
    if symbol is not None:
        await known(desk, symbol)
    clock = desk.orders.clock
    found = (
        await held_everywhere(desk.client, clock)
        if symbol is None
        else await held_positions(desk.client, clock, symbol)
    )
    held = [
        row
        for row in found
        if not row.is_flat and (direction is None or row.direction is direction)
    ]
    if symbol is not None and len(held) > 1 and not everything:
        raise UsageError(
            f"{symbol} is held long and short", advice="add --position long|short, or --all"
        )
    if desk.invocation.shared.dry_run:
        rows = await as_held(desk, held)
        return Answer(
            data={"dry_run": True, "positions": rows},
            tables=lambda: [positions_table("Would be closed; nothing was sent", rows)],
        )
    outcomes = await _close_each(desk, held)
    outcomes += await _remove_orphans(desk, held, symbol)
    return await closed_answer(desk, held, outcomes)


async def protect_position(
    desk: Desk,
    symbol: str,
    *,
    direction: Direction | None,
    stop: PriceWish | None,
    take_profit: PriceWish | None,
    trailing_pct: Decimal | None,
) -> Answer:
    """Make stop, target and trailing stop rest; distances are counted from the entry price.

    Raises:
        UsageError: no such position. RefusedByRisk: a price that cannot protect.
        Rejected: price is through the stop already.
    """
    instrument = await known(desk, symbol)
    position = await held_position(desk, symbol, direction)
    stop_price = exit_price(desk, instrument, position, stop)
    target_price = exit_price(desk, instrument, position, take_profit)
    if stop_price is not None:
        refuse_stop(instrument, position, stop_price)
    if target_price is not None:
        mark = position.mark_price
        _refuse_price(check_take_profit(position.direction, target_price, mark=mark))
        entry = position.entry_price
        _say(desk, note_on_target(position.direction, target_price, entry=entry))
    spec = ProtectionSpec(
        stop_price=stop_price,
        take_profit_price=target_price,
        trailing=_trailing(desk, trailing_pct),
    )
    if desk.invocation.shared.dry_run:
        return await _would_protect(desk, position, spec)
    side = position.position_side
    protection = await desk.positions.protect(
        symbol, spec, source=desk.command_id, position_side=side
    )
    return await protected_answer(desk, position, protection)


async def _would_protect(desk: Desk, position: Position, spec: ProtectionSpec) -> Answer:
    [shown] = await as_held(desk, [position])
    exits: Json = {
        "stop_price": number(spec.stop_price),
        "take_profit_price": number(spec.take_profit_price),
        "callback_rate": None if spec.trailing is None else number(spec.trailing.callback_rate),
    }
    title = f"{position.symbol} would be protected by this; nothing was sent"
    return Answer(
        data={"dry_run": True, "position": shown, **exits},
        tables=lambda: [pairs(title, exits), positions_table("Now", [shown])],
    )


async def as_held(desk: Desk, positions: Sequence[Position]) -> list[Json]:
    """Return positions as a list shows them, with what protects them and whose they are."""
    views = {
        (row.position.symbol, row.position.position_side): row
        for row in await desk.positions.list_positions()
    }
    found = [(row, views.get((row.symbol, row.position_side))) for row in positions]
    return [position_json(row) if view is None else view_json(view) for row, view in found]


def exit_price(
    desk: Desk, instrument: Instrument, position: Position, typed: PriceWish | None
) -> Decimal | None:
    """Return the price an exit was typed as; a distance is counted from the entry price."""
    if typed is None or not typed.is_relative:
        return None if typed is None else typed.number
    exact = typed.at(position.entry_price, instrument.tick_size)
    price = round_price_in_favour(instrument, exact, position.direction.exit_side)
    desk.invocation.say(f"{typed} from the entry {to_text(position.entry_price)}: {to_text(price)}")
    return price


def view_json(view: PositionView) -> Json:
    """Return the contract's position object with its protection."""
    return position_json(
        view.position,
        stop_price=view.stop_price,
        take_profit_price=view.take_profit_price,
        protected=view.protected,
        unprotected_seconds=view.unprotected_seconds,
    ) | {"own": bool(view.own)}


async def _close_each(desk: Desk, held: list[Position]) -> list[Closed | TraderError]:
    async def close(position: Position) -> Closed | TraderError:
        try:
            return await desk.positions.close_position(
                position.symbol, source=desk.command_id, position_side=position.position_side
            )
        except TraderError as error:
            return error

    return list(await asyncio.gather(*(close(row) for row in held)))


async def _remove_orphans(
    desk: Desk, closing: list[Position], symbol: str | None
) -> list[Closed | TraderError]:
    """Take away our exits where nothing is held: the next position must not meet them."""
    symbols = {symbol} if symbol is not None else await _symbols_with_exits(desk)
    outcomes: list[Closed | TraderError] = []
    for name in sorted(symbols - {row.symbol for row in closing}):
        try:
            removed = await desk.orders.clean_up_exits(name)
        except TraderError as error:
            outcomes.append(error)
        else:
            outcomes.append(Closed(positions=(), orders=(), removed=removed, flat=True))
    return outcomes


async def _symbols_with_exits(desk: Desk) -> set[str]:
    return {
        row.symbol
        for row in await desk.orders.open_orders()
        if is_own(row.client_order_id) and only_reduces(row)
    }


async def closed_answer(
    desk: Desk,
    held: list[Position],
    outcomes: Sequence[Closed | TraderError],
    *,
    wanted_flat: bool = True,
) -> Answer:
    """Return what closing came to; with `wanted_flat` something left is a failure."""
    done = [row for row in outcomes if isinstance(row, Closed)]
    errors = [row for row in outcomes if isinstance(row, TraderError)]
    for note in (note for row in done for note in row.notes):
        desk.invocation.say(note)
    flat = not errors and all(row.flat for row in done)
    data: Json = {
        "flat": flat,
        "closed": [position_json(position) for row in done for position in row.positions],
        "orders": [
            order_json(await with_average(desk, order)) for row in done for order in row.orders
        ],
        "removed": [cancelled_json(order) for row in done for order in row.removed],
    }
    failure: TraderError | None = None
    if len(errors) == 1 and len(held) == 1:
        failure = errors[0]
    elif errors:
        failure = PartialFailure("; ".join(error.message for error in errors))
    elif wanted_flat and not flat:
        failure = NotFlat("something of the position is left", advice="trader position list")

    def tables() -> list[Table]:
        shown = [held_table("Closed", data["closed"])] if wanted_flat else []
        closing = [orders_table("Closed by", data["orders"])] if data["orders"] else []
        return [*shown, *closing, orders_table("Exit orders removed", data["removed"])]

    return Answer(data=data, tables=tables, failure=failure)


async def protected_answer(desk: Desk, position: Position, protection: Protection) -> Answer:
    """Return the position with what rests beside it now, and what could not be set."""
    views = await desk.positions.list_positions(position.symbol)
    same = (position.symbol, position.position_side)
    now = [row for row in views if (row.position.symbol, row.position.position_side) == same]
    exits = resting_json(protection)
    data: Json = {"position": view_json(now[0]) if now else None, "exits": exits}
    failure = exits_failure(position.symbol, protection)

    def tables() -> list[Table]:
        held = [] if data["position"] is None else [data["position"]]
        return [positions_table("Position", held), orders_table("Exits", exits)]

    return Answer(data=data, tables=tables, failure=failure)


def exits_failure(symbol: str, protection: Protection) -> TraderError | None:
    """Return why a part that was asked for does not rest, None if all of them do."""
    for outcome in _outcomes(protection):
        if isinstance(outcome, WouldTrigger):
            return Rejected(outcome.message, code=-2021, advice=f"trader position close {symbol}")
    return protection.problems[0] if protection.problems else None


def _outcomes(protection: Protection) -> list[ExitOutcome]:
    parts = (protection.stop, protection.take_profit, protection.trailing)
    return [part for part in parts if part is not None]


def resting_json(protection: Protection) -> list[Json]:
    """Return the order objects of what rests of a protection."""
    return [order_json(row.order) for row in _outcomes(protection) if isinstance(row, Resting)]


def _trailing(desk: Desk, percent: Decimal | None) -> TrailingPlan | None:
    return None if percent is None else TrailingPlan(callback_rate=exchange_rate(desk, percent))


def refuse_stop(instrument: Instrument, position: Position, stop: Decimal) -> None:
    """Refuse a stop that cannot protect the position.

    Raises:
        RefusedByRisk: it would trigger at once, or lies beyond liquidation.
    """
    _refuse_price(
        check_stop(
            instrument,
            position.direction,
            stop,
            mark=position.mark_price,
            liquidation=position.liquidation_price,
        )
    )


def _refuse_price(problem: StopProblem | None) -> None:
    if problem is not None:
        raise RefusedByRisk(problem.message, code=problem.rule)


def refuse_leverage(value: int, limit: int) -> None:
    """Refuse a leverage above the limit.

    Raises:
        RefusedByRisk: it is above.
    """
    if value > limit:
        raise RefusedByRisk(
            f"max_leverage: leverage {value} is above the limit {limit}", code="max_leverage"
        )


def _say(desk: Desk, text: str | None) -> None:
    if text is not None:
        desk.invocation.say(f"warning: {text}")

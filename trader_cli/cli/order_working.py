"""`order smart`: an order that is worked, maker first, and what that saved and cost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.interrupts import ctrl_c_ends_entry
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import SizeWish, after_exits, place
from trader_cli.cli.order_terms import held_position, known, on_steps, sides
from trader_cli.cli.output import pairs
from trader_cli.cli.records import number, order_json, orders_table
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.rules import Fallback
from trader_cli.domain.terms import Direction, Side, TimeInForce
from trader_cli.errors import PartialFailure, TraderError, UsageError, VenueError
from trader_cli.trading.orders.chase import EntryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SmartWish:
    """A maker-first order as typed; None leaves it to the configuration."""

    symbol: str
    side: Side
    size: SizeWish
    deadline_s: Decimal | None = None
    max_chase_bps: Decimal | None = None
    fallback: Fallback | None = None
    reduce_only: bool = False
    direction: Direction | None = None


async def place_smart(desk: Desk, wish: SmartWish, *, validate: bool = False) -> Answer:
    """Work an order maker-first and say what that saved and cost."""
    instrument = await known(desk, wish.symbol)
    touch = (await desk.client.get_book_top(wish.symbol)).touch(wish.side)
    position_side, reduce_only = await sides(desk, wish.side, wish.direction, wish.reduce_only)
    first = LimitRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=wish.size.at(touch),
        price=touch,
        client_order_id="",
        time_in_force=TimeInForce.GTX,
        reduce_only=reduce_only,
        position_side=position_side,
    )
    if validate or desk.invocation.shared.dry_run:
        return await place(desk, first, validate=validate)
    first = on_steps(desk, first, instrument)
    deadline_s = None if wish.deadline_s is None else float(wish.deadline_s)
    with ctrl_c_ends_entry(desk.invocation) as cancelled:
        if wish.reduce_only:
            position = await held_position(desk, wish.symbol, wish.direction)
            if position.direction.exit_side is not wish.side:
                raise UsageError(f"{wish.side.lower()} does not reduce the position")
            result = await desk.orders.smart_exit(
                position,
                source=desk.command_id,
                quantity=first.quantity,
                deadline_s=deadline_s,
                max_chase_bps=wish.max_chase_bps,
                fallback=wish.fallback,
                cancelled=cancelled,
            )
        else:
            result = await desk.orders.smart_entry(
                wish.symbol,
                wish.side,
                first.quantity,
                source=desk.command_id,
                deadline_s=deadline_s,
                max_chase_bps=wish.max_chase_bps,
                fallback=wish.fallback,
                position_side=position_side,
                cancelled=cancelled,
            )
    for note in (*result.notes, *await after_exits(desk, result.orders)):
        desk.invocation.say(note)
    return await _worked_answer(desk, wish, first.quantity, result)


async def _worked_answer(
    desk: Desk, wish: SmartWish, wanted: Decimal, result: EntryResult
) -> Answer:
    data: Json = {
        "symbol": wish.symbol,
        "side": wish.side.value,
        "quantity": number(wanted),
        "filled_quantity": number(result.filled_quantity),
        "average_price": number(_rounded(result.average_price, 8)),
        "maker_quantity": number(result.maker_quantity),
        "maker_share": number(_rounded(result.maker_share, 4)),
        "arrival_price": number(result.arrival_price),
        "slippage_bps": number(_rounded(result.slippage_bps(wish.side), 3)),
        "chase_cost_bps": number(_rounded(result.chase_cost_bps(wish.side), 3)),
        "fees_saved_usdt": number(_rounded(await _fees_saved(desk, wish.symbol, result), 8)),
        "amendments": result.amendments,
        "reason": result.reason.value,
        "orders": [order_json(row) for row in result.orders],
    }

    def tables() -> list[Table]:
        facts = {name: value for name, value in data.items() if name != "orders"}
        return [pairs("Worked", facts), orders_table("Orders", data["orders"])]

    return Answer(data=data, tables=tables, failure=_shortfall(wanted, result))


async def _fees_saved(desk: Desk, symbol: str, result: EntryResult) -> Decimal | None:
    """Return what making instead of taking has saved, USDT; None where it could not be read."""
    if result.average_price is None or result.maker_quantity == 0:
        return Decimal(0)
    with suppress(VenueError):
        maker, taker = await desk.client.get_commission_rate(symbol)
        return result.maker_quantity * result.average_price * (taker - maker)
    return None


def _shortfall(wanted: Decimal, result: EntryResult) -> TraderError | None:
    if result.error is not None:
        return result.error
    if result.filled_quantity < wanted:
        return PartialFailure(
            f"{to_text(result.filled_quantity)} of {to_text(wanted)} were executed "
            f"({result.reason})",
            code=result.reason.value,
        )
    return None


def _rounded(value: Decimal | None, places: int) -> Decimal | None:
    return None if value is None else round(value, places)

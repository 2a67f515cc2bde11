"""`order smart` and `order bracket`: orders that are worked, or that come with their exits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from trader_cli.cli.context import Desk
from trader_cli.cli.interrupts import ctrl_c_ends_entry
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import (
    LimitWish,
    SizeWish,
    after_exits,
    checked,
    held_position,
    known,
    limit_request,
    place,
    price_at,
    sides,
)
from trader_cli.cli.output import pairs
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import number, order_json, orders_table, request_json
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, LimitRequest, MarketRequest, Order
from trader_cli.domain.protection import callback_rate
from trader_cli.domain.rules import Fallback
from trader_cli.domain.terms import Direction, Side, TimeInForce
from trader_cli.errors import PartialFailure, TraderError, UsageError, VenueError
from trader_cli.trading.bracket import Bracketed, refuse_bad_bracket, rest_bracket
from trader_cli.trading.brackets import ExitOutcome, Resting
from trader_cli.trading.chase import EntryResult
from trader_cli.trading.position_terms import EntryStyle, Opened
from trader_cli.trading.protection_spec import ProtectionSpec, TrailingPlan


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


@unique
class EntryKind(StrEnum):
    """How a bracket enters."""

    LIMIT = "limit"
    MARKET = "market"
    SMART = "smart"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWish:
    """How a bracket enters as typed; `price` is given exactly for a limit entry."""

    kind: EntryKind
    price: PriceWish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BracketWish:
    """An entry with its exits as typed."""

    symbol: str
    side: Side
    size: SizeWish
    entry: EntryWish
    stop: PriceWish
    take_profit: PriceWish | None
    trailing_pct: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    good_till_ms: int | None = None
    direction: Direction | None = None


async def place_smart(desk: Desk, wish: SmartWish, *, validate: bool = False) -> Answer:
    """Work an order maker-first and say what that saved and cost."""
    await known(desk, wish.symbol)
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


async def place_bracket(desk: Desk, wish: BracketWish) -> Answer:
    """Place an entry with its stop and target."""
    stop = await price_at(desk, wish.symbol, wish.side, wish.stop)
    target = None
    if wish.take_profit is not None:
        target = await price_at(desk, wish.symbol, wish.side, wish.take_profit)
    if wish.entry.kind is EntryKind.LIMIT:
        return await _rest(desk, wish, stop, target)
    top = await desk.client.get_book_top(wish.symbol)
    price = top.far(wish.side) if wish.entry.kind is EntryKind.MARKET else top.touch(wish.side)
    quantity = wish.size.at(price, stop)
    direction = Direction.LONG if wish.side is Side.BUY else Direction.SHORT
    if desk.invocation.shared.dry_run:
        return await _would_bracket(desk, wish, quantity, price, stop, target)
    rate = _callback_rate(desk, wish.trailing_pct)
    trailing = None if rate is None else TrailingPlan(callback_rate=rate, activate_price=None)
    spec = ProtectionSpec(stop_price=stop, take_profit_price=target, trailing=trailing)
    style = EntryStyle.MARKET if wish.entry.kind is EntryKind.MARKET else EntryStyle.SMART
    with ctrl_c_ends_entry(desk.invocation) as cancelled:
        opened = await desk.positions.open_position(
            wish.symbol,
            direction,
            source=desk.command_id,
            spec=spec,
            quantity=quantity,
            style=style,
            cancelled=cancelled,
        )
    for note in opened.notes:
        desk.invocation.say(note)
    return _opened_answer(opened)


async def _rest(desk: Desk, wish: BracketWish, stop: Decimal, target: Decimal | None) -> Answer:
    assert wish.entry.price is not None, "a limit entry has its price"
    price = await price_at(desk, wish.symbol, wish.side, wish.entry.price)
    sized = SizeWish(quantity=wish.size.at(price, stop))
    request = await limit_request(
        desk,
        LimitWish(
            symbol=wish.symbol,
            side=wish.side,
            size=sized,
            price=PriceWish(number=price),
            time_in_force=wish.time_in_force,
            good_till_ms=wish.good_till_ms,
            direction=wish.direction,
        ),
    )
    if desk.invocation.shared.dry_run:
        await refuse_bad_bracket(desk.orders, request, stop, target)
        return await _would_bracket(desk, wish, request.quantity, price, stop, target)
    resting = await rest_bracket(
        desk.orders,
        request,
        stop_price=stop,
        take_profit_price=target,
        source=desk.command_id,
        callback_rate=_callback_rate(desk, wish.trailing_pct),
    )
    for note in resting.notes:
        desk.invocation.say(note)
    if resting.trailing is not None and resting.trailing.activate_price is not None:
        start = to_text(resting.trailing.activate_price)
        desk.invocation.say(
            f"the trailing stop begins to trail at {start}; if price gets there and turns "
            "before the entry has filled, it ends and the stop alone protects"
        )
    return _resting_answer(desk, resting)


def _callback_rate(desk: Desk, percent: Decimal | None) -> Decimal | None:
    if percent is None:
        return None
    rate, notes = callback_rate(percent)
    for note in notes:
        desk.invocation.say(note)
    return rate


async def _would_bracket(
    desk: Desk,
    wish: BracketWish,
    quantity: Decimal,
    price: Decimal,
    stop: Decimal,
    target: Decimal | None,
) -> Answer:
    position_side, _ = await sides(desk, wish.side, wish.direction, False)
    request: LimitRequest | MarketRequest = MarketRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=quantity,
        client_order_id="",
        position_side=position_side,
    )
    if wish.entry.kind is EntryKind.LIMIT:
        request = LimitRequest(
            symbol=wish.symbol,
            side=wish.side,
            quantity=quantity,
            price=price,
            client_order_id="",
            position_side=position_side,
        )
    planned, notes = await checked(desk, request)
    data: Json = {
        "dry_run": True,
        "entry": request_json(planned),
        "stop_price": number(stop),
        "take_profit_price": number(target),
        "loss_at_stop": number(abs(price - stop) * (planned.quantity or quantity)),
        "notes": list(notes),
    }
    shown = {name: value for name, value in data.items() if name not in ("entry", "notes")}
    return Answer(
        data=data,
        tables=lambda: [
            orders_table("Would be sent; nothing was", [data["entry"]]),
            pairs("Exits", shown),
        ],
    )


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
    if result.filled_quantity < wanted and not _is_dust(wanted, result):
        return PartialFailure(
            f"{to_text(result.filled_quantity)} of {to_text(wanted)} were executed "
            f"({result.reason})",
            code=result.reason.value,
        )
    return None


def _is_dust(wanted: Decimal, result: EntryResult) -> bool:
    """Return True if nothing is missing but what rounding to the step took away."""
    whole = max((row.quantity for row in result.orders), default=wanted)
    return 0 < whole <= result.filled_quantity


def _resting_answer(desk: Desk, resting: Bracketed) -> Answer:
    holds = (
        "stop and target rest at the exchange and close whatever fills, "
        "whether or not this program runs"
    )
    desk.invocation.say(holds)
    data: Json = _bracket_json(
        entry=resting.entry,
        stop=resting.stop,
        take_profit=resting.take_profit,
        trailing=resting.trailing,
        filled=resting.entry.filled_quantity,
        average=resting.entry.average_price,
        unprotected_ms=resting.unprotected_ms,
    )
    return Answer(data=data, tables=lambda: _bracket_tables(data))


def _opened_answer(opened: Opened) -> Answer:
    entry, protection = opened.entry, opened.protection
    data = _bracket_json(
        entry=entry.orders[-1] if entry.orders else None,
        stop=None if protection is None else _order_of(protection.stop),
        take_profit=None if protection is None else _order_of(protection.take_profit),
        trailing=None if protection is None else _order_of(protection.trailing),
        filled=entry.filled_quantity,
        average=_rounded(entry.average_price, 8),
        unprotected_ms=opened.unprotected_ms,
    ) | {"closed_again": opened.closed is not None}
    failure: TraderError | None = None
    if opened.closed is not None:
        failure = PartialFailure("the position could not be protected and was closed again")
    elif entry.error is not None:
        failure = entry.error
    elif entry.filled_quantity == 0:
        failure = PartialFailure(f"nothing was filled ({entry.reason})", code=entry.reason.value)
    return Answer(data=data, tables=lambda: _bracket_tables(data), failure=failure)


def _bracket_json(
    *,
    entry: Order | None,
    stop: AlgoOrder | None,
    take_profit: AlgoOrder | None,
    filled: Decimal,
    average: Decimal | None,
    unprotected_ms: int | None,
    trailing: AlgoOrder | None = None,
) -> Json:
    return {
        "entry": None if entry is None else order_json(entry),
        "stop": None if stop is None else order_json(stop),
        "take_profit": None if take_profit is None else order_json(take_profit),
        "trailing": None if trailing is None else order_json(trailing),
        "filled_quantity": number(filled),
        "average_price": number(average),
        "unprotected_ms": unprotected_ms,
        "closed_again": False,
    }


def _bracket_tables(data: Json) -> list[Table]:
    names = ("entry", "stop", "take_profit", "trailing")
    return [orders_table("Bracket", [data[name] for name in names if data[name] is not None])]


def _order_of(outcome: ExitOutcome | None) -> AlgoOrder | None:
    return outcome.order if isinstance(outcome, Resting) else None


def _rounded(value: Decimal | None, places: int) -> Decimal | None:
    return None if value is None else round(value, places)

"""`order bracket`, and any entry with a stop: an order that comes with its exits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from trader_cli.cli.context import Desk
from trader_cli.cli.interrupts import ctrl_c_ends_entry
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import LimitWish, SizeWish, limit_request
from trader_cli.cli.order_terms import checked, exchange_rate, known, on_steps, price_at
from trader_cli.cli.output import pairs
from trader_cli.cli.position_actions import exits_failure
from trader_cli.cli.position_opening import entry_failure
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import number, order_json, orders_table, request_json
from trader_cli.domain.instrument import Instrument, round_price_in_favour
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, LimitRequest, MarketRequest, Order
from trader_cli.domain.terms import Direction, Side, TimeInForce
from trader_cli.errors import PartialFailure, TraderError, UsageError
from trader_cli.trading.orders.bracket import Bracketed, refuse_bad_bracket, rest_bracket
from trader_cli.trading.orders.brackets import ExitOutcome, Resting
from trader_cli.trading.orders.protection_spec import ProtectionSpec, TrailingPlan
from trader_cli.trading.positions.position_terms import EntryStyle, Opened


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


async def place_bracket(desk: Desk, wish: BracketWish) -> Answer:
    """Place an entry with its stop and target.

    Raises:
        UsageError: sizes, filters, or something is held already: a bracket opens a position.
        Halted, RefusedByRisk: nothing was sent; an exit that is on the wrong side, too.
        VenueError: it failed, see `rest_bracket` and `PositionManager.open_position`.
    """
    direction = Direction.LONG if wish.side is Side.BUY else Direction.SHORT
    if wish.direction not in (None, direction):
        raise UsageError(f"a {wish.side.lower()} with a stop opens a {direction.lower()} position")
    instrument = await known(desk, wish.symbol)
    stop = await _exit_at(desk, wish, instrument, wish.stop)
    target = None
    if wish.take_profit is not None:
        target = await _exit_at(desk, wish, instrument, wish.take_profit)
    entry = on_steps(desk, await _entry(desk, wish, stop), instrument)
    if desk.invocation.shared.dry_run:
        await refuse_bad_bracket(desk.orders, entry, stop, target)
        return await _would_bracket(desk, wish, entry, stop, target)
    rate = None if wish.trailing_pct is None else exchange_rate(desk, wish.trailing_pct)
    if wish.entry.kind is EntryKind.LIMIT:
        return await _rest(desk, entry, stop, target, rate)
    await refuse_bad_bracket(desk.orders, entry, stop, target)
    trailing = None if rate is None else TrailingPlan(callback_rate=rate, activate_price=None)
    spec = ProtectionSpec(stop_price=stop, take_profit_price=target, trailing=trailing)
    style = EntryStyle.MARKET if wish.entry.kind is EntryKind.MARKET else EntryStyle.SMART
    with ctrl_c_ends_entry(desk.invocation) as cancelled:
        opened = await desk.positions.open_position(
            wish.symbol,
            direction,
            source=desk.command_id,
            spec=spec,
            quantity=entry.quantity,
            style=style,
            cancelled=cancelled,
        )
    for note in opened.notes:
        desk.invocation.say(note)
    return _opened_answer(wish.symbol, opened)


async def _exit_at(
    desk: Desk, wish: BracketWish, instrument: Instrument, typed: PriceWish
) -> Decimal:
    """Return where a stop or target rests: on the tick, as the exits of a position are."""
    price = await price_at(desk, wish.symbol, wish.side, typed)
    closing = Side.SELL if wish.side is Side.BUY else Side.BUY
    return round_price_in_favour(instrument, price, closing)


async def _entry(desk: Desk, wish: BracketWish, stop: Decimal) -> LimitRequest:
    """Return the entry as a limit order where it is expected, whatever way it is worked."""
    if wish.entry.kind is EntryKind.LIMIT:
        assert wish.entry.price is not None, "a limit entry has its price"
        price, tif = await price_at(desk, wish.symbol, wish.side, wish.entry.price), None
    else:
        top = await desk.client.get_book_top(wish.symbol)
        at_market = wish.entry.kind is EntryKind.MARKET
        price = top.far(wish.side) if at_market else top.touch(wish.side)
        tif = TimeInForce.GTX
    return await limit_request(
        desk,
        LimitWish(
            symbol=wish.symbol,
            side=wish.side,
            size=SizeWish(quantity=wish.size.at(price, stop)),
            price=PriceWish(number=price),
            time_in_force=tif or wish.time_in_force,
            good_till_ms=wish.good_till_ms,
            direction=wish.direction,
        ),
    )


async def _rest(
    desk: Desk,
    entry: LimitRequest,
    stop: Decimal,
    target: Decimal | None,
    rate: Decimal | None,
) -> Answer:
    resting = await rest_bracket(
        desk.orders,
        entry,
        stop_price=stop,
        take_profit_price=target,
        source=desk.command_id,
        callback_rate=rate,
    )
    for note in (*resting.notes, *(row.message for row in resting.protection.problems)):
        desk.invocation.say(note)
    if resting.trailing is not None and resting.trailing.activate_price is not None:
        start = to_text(resting.trailing.activate_price)
        desk.invocation.say(
            f"the trailing stop begins to trail at {start}; if price gets there and turns "
            "before the entry has filled, it ends and the stop alone protects"
        )
    return _resting_answer(desk, resting)


async def _would_bracket(
    desk: Desk, wish: BracketWish, entry: LimitRequest, stop: Decimal, target: Decimal | None
) -> Answer:
    request: LimitRequest | MarketRequest = entry
    if wish.entry.kind is EntryKind.MARKET:
        request = MarketRequest(
            symbol=entry.symbol,
            side=entry.side,
            quantity=entry.quantity,
            client_order_id="",
            position_side=entry.position_side,
        )
    planned, notes = await checked(desk, request)
    quantity = planned.quantity or entry.quantity
    shown = {
        "stop_price": number(stop),
        "take_profit_price": number(target),
        "loss_at_stop": number(abs(entry.price - stop) * quantity),
    }
    data: Json = {
        "dry_run": True,
        "entry": request_json(planned),
        **shown,
        "notes": list(notes),
    }
    return Answer(
        data=data,
        tables=lambda: [
            orders_table("Would be sent; nothing was", [data["entry"]]),
            pairs("Exits", shown),
        ],
    )


def _resting_answer(desk: Desk, resting: Bracketed) -> Answer:
    holds = "the stop rests at the exchange and closes"
    if resting.take_profit is not None:
        holds = "stop and target rest at the exchange and close"
    desk.invocation.say(f"{holds} whatever fills, whether or not this program runs")
    data: Json = _bracket_json(
        entry=resting.entry,
        stop=resting.stop,
        take_profit=resting.take_profit,
        trailing=resting.trailing,
        filled=resting.entry.filled_quantity,
        average=resting.entry.average_price,
        unprotected_ms=resting.unprotected_ms,
    )
    missing = exits_failure(resting.entry.symbol, resting.protection)
    failure: TraderError | None = None
    if missing is not None:
        failure = PartialFailure(
            f"the entry has its stop, and another exit does not rest: {missing.message}",
            code="exit_missing",
            advice=f"trader order cancel {resting.entry.client_order_id}, or once it has filled "
            f"trader position protect {resting.entry.symbol}",
        )
    return Answer(data=data, tables=lambda: _bracket_tables(data), failure=failure)


def _opened_answer(symbol: str, opened: Opened) -> Answer:
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
    failure = entry_failure(symbol, opened)
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
    said = ["Bracket"]
    if Decimal(data["filled_quantity"]) > 0:
        at = "" if data["average_price"] is None else f" at {data['average_price']}"
        said.append(f"{data['filled_quantity']} filled{at}")
    if data["unprotected_ms"] is not None:
        said.append(f"without a stop for {data['unprotected_ms']} ms at most")
    orders = [data[name] for name in names if data[name] is not None]
    return [orders_table(", ".join(said), orders)]


def _order_of(outcome: ExitOutcome | None) -> AlgoOrder | None:
    return outcome.order if isinstance(outcome, Resting) else None


def _rounded(value: Decimal | None, places: int) -> Decimal | None:
    return None if value is None else round(value, places)

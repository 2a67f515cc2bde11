"""What the `trader order` commands do: wishes become requests, requests pass the order manager.

Sizes and sides that the operator left out are worked out here; rounding, risk and sending are the
order manager's.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.records import cancelled_json, order_json, orders_table, request_json
from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import BPS, ONE
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.protection import check_stop
from trader_cli.domain.terms import Direction, OrderType, PositionSide, Side, TimeInForce
from trader_cli.errors import PartialFailure, TraderError, UsageError, VenueError
from trader_cli.trading.fitting import fit, known_instrument
from trader_cli.trading.risk_manager import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWish:
    """A limit order as typed; exactly one of `quantity` and `usd` is given.

    Attributes:
        direction: which position it belongs to in hedge mode, None in one-way mode.
    """

    symbol: str
    side: Side
    quantity: Decimal | None
    usd: Decimal | None
    price: Decimal
    time_in_force: TimeInForce
    good_till_ms: int | None
    reduce_only: bool
    direction: Direction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketWish:
    """A market order as typed; with `max_slippage_bps` it is sent as a bounded IOC limit."""

    symbol: str
    side: Side
    quantity: Decimal | None
    usd: Decimal | None
    max_slippage_bps: Decimal | None
    reduce_only: bool
    direction: Direction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalWish:
    """An exit of a held position as typed; `direction` is needed where both sides are held."""

    symbol: str
    type: OrderType
    quantity: Decimal | None
    direction: Direction | None
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None
    callback_rate: Decimal | None = None
    activate_price: Decimal | None = None


async def place_limit(desk: Desk, wish: LimitWish) -> Answer:
    """Place a limit order."""
    request = LimitRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=wish.quantity or _base_units(wish.usd, wish.price),
        price=wish.price,
        client_order_id="",
        time_in_force=wish.time_in_force,
        good_till_ms=wish.good_till_ms,
        reduce_only=_reduce_only(wish),
        position_side=_position_side(wish),
    )
    return await place(desk, request)


async def place_market(desk: Desk, wish: MarketWish) -> Answer:
    """Place a market order, or a bounded IOC limit order where the slippage is bounded."""
    await known(desk, wish.symbol)
    if wish.max_slippage_bps is None:
        market = MarketRequest(
            symbol=wish.symbol,
            side=wish.side,
            quantity=wish.quantity or _base_units(wish.usd, await _far(desk, wish)),
            client_order_id="",
            reduce_only=_reduce_only(wish),
            position_side=_position_side(wish),
        )
        return await place(desk, market)
    far = await _far(desk, wish)
    worst = far * (ONE + wish.side.sign * wish.max_slippage_bps / BPS)
    bounded = LimitRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=wish.quantity or _base_units(wish.usd, worst),
        price=worst,
        client_order_id="",
        time_in_force=TimeInForce.IOC,
        reduce_only=_reduce_only(wish),
        position_side=_position_side(wish),
    )
    return await place(desk, bounded)


async def place_conditional(desk: Desk, wish: ConditionalWish) -> Answer:
    """Rest a stop, target or trailing stop of a held position."""
    await known(desk, wish.symbol)
    position = await held_position(desk, wish.symbol, wish.direction)
    await _warn_of_liquidation(desk, position, wish)
    request = ConditionalRequest(
        symbol=wish.symbol,
        side=position.direction.exit_side,
        type=wish.type,
        client_order_id="",
        quantity=wish.quantity or abs(position.quantity),
        trigger_price=wish.trigger_price,
        price=wish.limit_price,
        activate_price=wish.activate_price,
        callback_rate=wish.callback_rate,
        reduce_only=position.position_side is PositionSide.BOTH,
        position_side=position.position_side,
    )
    return await place(desk, request)


async def place(desk: Desk, request: OrderRequest) -> Answer:
    """Pass a request through the order manager and answer with the order.

    With `--dry-run` it passes every local check instead, and nothing is sent.
    """
    if desk.invocation.shared.dry_run:
        return await _plan(desk, request)
    placed = await desk.orders.place(request, source=desk.command_id, leg=leg_of(request))
    for note in placed.notes:
        desk.invocation.say(note)
    return one_order("Order", await _with_average(desk, placed.order))


async def checked(desk: Desk, request: OrderRequest) -> tuple[OrderRequest, tuple[str, ...]]:
    """Return the request as it would be sent and what was changed, by filters and risk.

    Raises:
        UsageError: unknown symbol or a filter. Halted, RefusedByRisk: our own rules.
    """
    instrument = await known(desk, request.symbol)
    view = await desk.views.read(request.symbol)
    mark = view.marks.get(request.symbol)
    fitted = fit(request, instrument, reference_price=None if mark is None else mark.price)
    verdict = desk.risk.check(fitted.request, view)
    if isinstance(verdict, Refused):
        raise verdict.error()
    return verdict.request, (*fitted.notes, *verdict.notes)


async def list_orders(desk: Desk, symbol: str | None) -> Answer:
    """List what rests."""
    if symbol is not None:
        await known(desk, symbol)
    rows = [order_json(row) for row in await desk.orders.open_orders(symbol)]
    return Answer(data={"orders": rows}, tables=lambda: [orders_table("Resting orders", rows)])


async def show_order(desk: Desk, identifier: str, symbol: str | None) -> Answer:
    """Show one order."""
    return one_order("Order", await desk.orders.find(identifier, symbol=symbol))


async def cancel_order(desk: Desk, identifier: str, symbol: str | None) -> Answer:
    """Cancel one order."""
    if desk.invocation.shared.dry_run:
        order = await desk.orders.find(identifier, symbol=symbol)
        return _with_note(one_order("Would be cancelled", order), {"dry_run": True})
    return one_order("Cancelled", await desk.orders.cancel(identifier, symbol=symbol))


async def cancel_all_orders(
    desk: Desk, symbol: str | None, *, own_only: bool, stops: bool
) -> Answer:
    """Cancel what can raise exposure, and what else was asked for."""
    if symbol is not None:
        await known(desk, symbol)
    if desk.invocation.shared.dry_run:
        rows = [order_json(row) for row in await desk.orders.open_orders(symbol)]
        return Answer(
            data={"dry_run": True, "resting": rows},
            tables=lambda: [orders_table("Resting; nothing was cancelled", rows)],
        )
    swept = await desk.orders.cancel_all_orders(symbol, own_only=own_only, include_stops=stops)
    cancelled = [cancelled_json(row) for row in swept.cancelled]
    kept = [order_json(row) for row in swept.kept]
    failed = [
        {"order": order_json(row.order), "message": row.error.message} for row in swept.failed
    ]
    failure = None
    if swept.failed:
        failure = PartialFailure(
            f"{len(failed)} of {len(failed) + len(cancelled)} orders could not be cancelled",
            advice="trader order list",
        )

    def tables() -> list[Table]:
        return [orders_table("Cancelled", cancelled), orders_table("Left alone", kept)]

    data: Json = {"cancelled": cancelled, "kept": kept, "failed": failed}
    return Answer(data=data, tables=tables, failure=failure)


async def resolve_orders(desk: Desk, identifier: str | None) -> Answer:
    """Prove what became of one intent, or of every one that is not finished."""
    names = [identifier]
    if identifier is None:
        names = [row.client_order_id for row in desk.journal.unfinished_intents()]
    rows: list[Json] = []
    failures: list[TraderError] = []
    for name in names:
        assert name is not None, "a name was given or read"
        try:
            found = await desk.orders.resolve(name)
        except TraderError as error:
            failures.append(error)
            rows.append({"client_order_id": name, "status": None, "order": None})
            continue
        shown = None if found.order is None else order_json(found.order)
        rows.append({"client_order_id": name, "status": found.status.value, "order": shown})

    def tables() -> list[Table]:
        cells = tuple((row["client_order_id"], row["status"] or "unknown") for row in rows)
        title = "Resolved" if cells else "Resolved: no order is in doubt"
        return [Table(title=title, columns=("client order id", "status"), rows=cells)]

    return Answer(data={"orders": rows}, tables=tables, failure=failures[0] if failures else None)


async def known(desk: Desk, symbol: str) -> Instrument:
    """Return the symbol's filters.

    Raises:
        UsageError: the exchange lists no such symbol.
    """
    return known_instrument(await desk.client.get_instruments(), symbol)


async def held_position(desk: Desk, symbol: str, direction: Direction | None) -> Position:
    """Return the one position that is meant.

    Raises:
        UsageError: nothing is held that way, or both sides are and none was named.
    """
    rows = [row for row in await desk.client.get_position_risk(symbol) if not row.is_flat]
    if direction is not None:
        rows = [row for row in rows if row.direction is direction]
    if len(rows) > 1:
        raise UsageError(f"{symbol} is held long and short", advice="add --position long|short")
    if not rows:
        said = "" if direction is None else f" {direction.value.lower()}"
        raise UsageError(f"no{said} position in {symbol}", code="no_position")
    return rows[0]


def leg_of(request: OrderRequest) -> Leg:
    """Return what an order of a person is for."""
    if isinstance(request, ConditionalRequest):
        return {
            OrderType.TRAILING_STOP_MARKET: Leg.TRAILING,
            OrderType.TAKE_PROFIT: Leg.TAKE_PROFIT,
            OrderType.TAKE_PROFIT_MARKET: Leg.TAKE_PROFIT,
        }.get(request.type, Leg.STOP)
    return Leg.EXIT if only_reduces(request) else Leg.ENTRY


def one_order(title: str, order: Order | AlgoOrder) -> Answer:
    """Return the answer that is one order."""
    data = order_json(order)
    return Answer(data=data, tables=lambda: [orders_table(title, [data])])


async def _with_average(desk: Desk, order: Order | AlgoOrder) -> Order | AlgoOrder:
    """Read what a filled order was filled at; the answer to the send does not carry it."""
    if isinstance(order, Order) and order.filled_quantity > 0 and order.average_price is None:
        with suppress(VenueError):  # the order is placed; only the picture of it is poorer
            return await desk.client.get_order_status(order.symbol, order.order_id)
    return order


async def _far(desk: Desk, wish: MarketWish) -> Decimal:
    """Return the price at which the order would take."""
    top = await desk.client.get_book_top(wish.symbol)
    return top.far(wish.side)


def _position_side(wish: LimitWish | MarketWish) -> PositionSide:
    return PositionSide.BOTH if wish.direction is None else PositionSide(wish.direction.value)


def _reduce_only(wish: LimitWish | MarketWish) -> bool:
    """Return the flag as the exchange wants it: in hedge mode the side says it, the flag must not.

    Raises:
        UsageError: the side would enlarge the position that is to be reduced.
    """
    if wish.direction is None or not wish.reduce_only:
        return wish.reduce_only
    if wish.side is not wish.direction.exit_side:
        raise UsageError(f"{wish.side.lower()} does not reduce a {wish.direction.lower()} position")
    return False


async def _plan(desk: Desk, request: OrderRequest) -> Answer:
    planned, notes = await checked(desk, request)
    data = request_json(planned) | {"dry_run": True, "notes": list(notes)}
    for note in notes:
        desk.invocation.say(note)
    return Answer(data=data, tables=lambda: [orders_table("Would be sent; nothing was", [data])])


async def _warn_of_liquidation(desk: Desk, position: Position, wish: ConditionalWish) -> None:
    """Say that a stop lies beyond liquidation; the operator may still want it."""
    stops = (OrderType.STOP, OrderType.STOP_MARKET)
    if wish.trigger_price is None or wish.type not in stops:
        return
    problem = check_stop(
        await known(desk, wish.symbol),
        position.direction,
        wish.trigger_price,
        mark=position.mark_price,
        liquidation=position.liquidation_price,
    )
    if problem is not None and problem.rule == "stop_beyond_liquidation":
        desk.invocation.say(f"warning: {problem.message}")


def _base_units(usd: Decimal | None, price: Decimal) -> Decimal:
    """Return how many base units a notional buys; rounding down is the filters' business."""
    if usd is None:
        raise UsageError("give QTY or --usd")
    return usd / price


def _with_note(answer: Answer, more: Json) -> Answer:
    return replace(answer, data=answer.data | more)

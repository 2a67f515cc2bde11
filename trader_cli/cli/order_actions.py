"""What the placing commands of `trader order` do: wishes become requests for the order manager.

Sizes, sides and prices that the operator left out or gave by reference are worked out here;
rounding, risk and sending are the order manager's.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json
from trader_cli.cli.order_terms import (
    checked,
    exchange_rate,
    held_position,
    known,
    price_at,
    sides,
)
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import number, order_json, orders_table, request_json
from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg
from trader_cli.domain.numbers import BPS, ONE, ZERO, to_text
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.protection import check_stop, check_take_profit
from trader_cli.domain.terms import (
    Direction,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.errors import PartialFailure, RefusedByRisk, UsageError, VenueError
from trader_cli.trading.orders.amending import leg_of_type

_TEST_ID: Final = "trd-validate"
_BOOK_LEVELS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeWish:
    """A size as typed; exactly one is given. `risk_usd` is the loss at the stop, USDT."""

    quantity: Decimal | None = None
    usd: Decimal | None = None
    risk_usd: Decimal | None = None

    def __post_init__(self) -> None:
        given = [row for row in (self.quantity, self.usd, self.risk_usd) if row is not None]
        if len(given) != 1:
            raise UsageError("give one of QTY, --usd and --risk-usd", code="size")

    def at(self, price: Decimal, stop: Decimal | None = None) -> Decimal:
        """Return base units for an entry at `price`; rounding down is the filters' business.

        Raises:
            UsageError: a loss needs a stop, away from the price.
        """
        if self.quantity is not None:
            return self.quantity
        if self.usd is not None:
            return self.usd / price
        assert self.risk_usd is not None, "one of the three is given"
        if stop is None:
            raise UsageError("--risk-usd is the loss at the stop", advice="add --stop P")
        if stop == price:
            raise UsageError(f"the stop {to_text(stop)} is the entry price: nothing can be sized")
        return self.risk_usd / abs(price - stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWish:
    """A limit order as typed.

    Attributes:
        direction: which position it belongs to in hedge mode; None works it out.
    """

    symbol: str
    side: Side
    size: SizeWish
    price: PriceWish
    time_in_force: TimeInForce = TimeInForce.GTC
    good_till_ms: int | None = None
    reduce_only: bool = False
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketWish:
    """A market order as typed; with `max_slippage_bps` it is sent as a bounded IOC limit."""

    symbol: str
    side: Side
    size: SizeWish
    max_slippage_bps: Decimal | None = None
    reduce_only: bool = False
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalWish:
    """An exit of a held position as typed; `direction` is needed where both sides are held."""

    symbol: str
    type: OrderType
    quantity: Decimal | None
    direction: Direction | None
    trigger_price: PriceWish | None = None
    limit_price: PriceWish | None = None
    callback_rate: Decimal | None = None
    activate_price: PriceWish | None = None


async def place_limit(desk: Desk, wish: LimitWish, *, validate: bool = False) -> Answer:
    """Place a limit order."""
    return await place(desk, await limit_request(desk, wish), validate=validate)


async def place_market(desk: Desk, wish: MarketWish, *, validate: bool = False) -> Answer:
    """Place a market order, or a bounded IOC limit order where the slippage is bounded."""
    request = await market_request(desk, wish)
    answer = await place(desk, request, validate=validate)
    if desk.invocation.shared.dry_run or validate:
        return answer
    return replace(answer, failure=expired_in_part(wish, answer.data))


def expired_in_part(wish: MarketWish, order: Json) -> PartialFailure | None:
    """Return what to say of a market order, as shown, that ended with less than was wanted."""
    filled, wanted = Decimal(order["filled_quantity"]), Decimal(order["quantity"])
    if filled >= wanted or OrderStatus(order["status"]).is_open:
        return None
    within = "at market"
    if wish.max_slippage_bps is not None:
        within = f"within {to_text(wish.max_slippage_bps)} basis points"
    return PartialFailure(
        f"{to_text(filled)} of {to_text(wanted)} were executed {within}; the rest expired",
        code="not_filled",
    )


async def place_conditional(desk: Desk, wish: ConditionalWish) -> Answer:
    """Rest a stop, target or trailing stop of a held position."""
    request = await conditional_request(desk, wish)
    return await place(desk, request)


async def limit_request(desk: Desk, wish: LimitWish) -> LimitRequest:
    """Return the request a limit wish comes to."""
    price = await price_at(desk, wish.symbol, wish.side, wish.price)
    position_side, reduce_only = await sides(desk, wish.side, wish.direction, wish.reduce_only)
    return LimitRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=wish.size.at(price),
        price=price,
        client_order_id="",
        time_in_force=wish.time_in_force,
        good_till_ms=wish.good_till_ms,
        reduce_only=reduce_only,
        position_side=position_side,
    )


async def market_request(desk: Desk, wish: MarketWish) -> MarketRequest | LimitRequest:
    """Return the request a market wish comes to; never a bare market order where a bound is set."""
    await known(desk, wish.symbol)
    position_side, reduce_only = await sides(desk, wish.side, wish.direction, wish.reduce_only)
    if wish.max_slippage_bps is None:
        price = ZERO
        if wish.size.quantity is None:
            price = (await desk.client.get_book_top(wish.symbol)).far(wish.side)
        return MarketRequest(
            symbol=wish.symbol,
            side=wish.side,
            quantity=wish.size.at(price),
            client_order_id="",
            reduce_only=reduce_only,
            position_side=position_side,
        )
    book = await desk.client.get_order_book(wish.symbol, _BOOK_LEVELS)
    levels = book.asks if wish.side is Side.BUY else book.bids
    if not levels:
        raise UsageError(f"the book of {wish.symbol} is empty on that side", code="no_depth")
    worst = levels[0][0] * (ONE + wish.side.sign * wish.max_slippage_bps / BPS)
    quantity = wish.size.at(worst)
    held = sum((row[1] for row in levels if (worst - row[0]) * wish.side.sign >= 0), ZERO)
    if held < quantity:
        desk.invocation.say(
            f"the book holds {to_text(held)} {wish.symbol} up to {to_text(worst)}; "
            "what is beyond that expires"
        )
    return LimitRequest(
        symbol=wish.symbol,
        side=wish.side,
        quantity=quantity,
        price=worst,
        client_order_id="",
        time_in_force=TimeInForce.IOC,
        reduce_only=reduce_only,
        position_side=position_side,
    )


async def conditional_request(desk: Desk, wish: ConditionalWish) -> ConditionalRequest:
    """Return the request an exit wish comes to; side and quantity come from the position."""
    await known(desk, wish.symbol)
    position = await held_position(desk, wish.symbol, wish.direction)
    side = position.direction.exit_side
    prices = [
        None if typed is None else await price_at(desk, wish.symbol, side, typed)
        for typed in (wish.trigger_price, wish.limit_price, wish.activate_price)
    ]
    await _judge_trigger(desk, position, wish, prices[0])
    return ConditionalRequest(
        symbol=wish.symbol,
        side=side,
        type=wish.type,
        client_order_id="",
        quantity=wish.quantity or abs(position.quantity),
        trigger_price=prices[0],
        price=prices[1],
        activate_price=prices[2],
        callback_rate=None
        if wish.callback_rate is None
        else exchange_rate(desk, wish.callback_rate),
        reduce_only=position.position_side is PositionSide.BOTH,
        position_side=position.position_side,
    )


async def place(desk: Desk, request: OrderRequest, *, validate: bool = False) -> Answer:
    """Pass a request through the order manager and answer with the order.

    With `--dry-run` it passes every local check instead, and nothing is sent; with `validate` the
    exchange's test endpoint checks it besides, and nothing is placed.
    """
    if validate:
        return await _validate(desk, request)
    if desk.invocation.shared.dry_run:
        return await plan(desk, request)
    placed = await desk.orders.place(request, source=desk.command_id, leg=leg_of(request))
    for note in placed.notes:
        desk.invocation.say(note)
    order = placed.order
    for note in await after_exits(desk, [order]):
        desk.invocation.say(note)
    return one_order("Order", await with_average(desk, order))


async def after_exits(desk: Desk, orders: Iterable[Order | AlgoOrder]) -> tuple[str, ...]:
    """Tidy up after executed orders that only reduce; return what to tell.

    What they left is remembered, and where that is nothing our exits go.
    """
    last = {
        (order.symbol, order.position_side): order
        for order in orders
        if isinstance(order, Order) and order.filled_quantity > 0 and only_reduces(order)
    }
    told = [
        await desk.positions.after_exit(order, source=desk.command_id) for order in last.values()
    ]
    return tuple(note for notes in told for note in notes)


def leg_of(request: OrderRequest) -> Leg:
    """Return what an order of a person is for."""
    if isinstance(request, ConditionalRequest):
        return leg_of_type(request.type)
    return Leg.EXIT if only_reduces(request) else Leg.ENTRY


def one_order(title: str, order: Order | AlgoOrder) -> Answer:
    """Return the answer that is one order."""
    data = order_json(order)
    return Answer(data=data, tables=lambda: [orders_table(title, [data])])


async def with_average(desk: Desk, order: Order | AlgoOrder) -> Order | AlgoOrder:
    """Read what a filled order was filled at; the answer to the send does not carry it."""
    if isinstance(order, Order) and order.filled_quantity > 0 and order.average_price is None:
        with suppress(VenueError):  # the order is placed; only the picture of it is poorer
            return await desk.client.get_order_status(order.symbol, order.order_id)
    return order


async def plan(desk: Desk, request: OrderRequest) -> Answer:
    """Answer a dry run: what would be sent, with its notional."""
    planned, notes = await checked(desk, request)
    for note in notes:
        desk.invocation.say(note)
    price = planned.price if isinstance(planned, LimitRequest) else None
    if isinstance(planned, MarketRequest):
        mark = (await desk.views.read(planned.symbol)).marks.get(planned.symbol)
        price = None if mark is None else mark.price
    notional = None if price is None or planned.quantity is None else price * planned.quantity
    data = request_json(planned) | {
        "dry_run": True,
        "notional": number(notional),
        "notes": list(notes),
    }
    return Answer(data=data, tables=lambda: [orders_table("Would be sent; nothing was", [data])])


async def _validate(desk: Desk, request: OrderRequest) -> Answer:
    if isinstance(request, ConditionalRequest):
        raise UsageError(
            "the exchange's test endpoint does not take conditional orders",
            code="cannot_validate",
            advice="--dry-run checks them locally",
        )
    planned, notes = await checked(desk, request)
    assert not isinstance(planned, ConditionalRequest), "checking keeps the kind"
    for note in notes:
        desk.invocation.say(note)
    await desk.client.test_order(replace(planned, client_order_id=_TEST_ID))
    data = request_json(planned) | {"validated": True, "notes": list(notes)}
    title = "The exchange would take it; nothing was placed"
    return Answer(data=data, tables=lambda: [orders_table(title, [data])])


async def _judge_trigger(
    desk: Desk, position: Position, wish: ConditionalWish, trigger: Decimal | None
) -> None:
    """Refuse a price that would fire at once, and say that a stop lies beyond liquidation.

    The latter the operator may still want.

    Raises:
        RefusedByRisk: mark is through the price already.
    """
    if trigger is None:
        return
    if wish.type in (OrderType.STOP, OrderType.STOP_MARKET):
        problem = check_stop(
            await known(desk, wish.symbol),
            position.direction,
            trigger,
            mark=position.mark_price,
            liquidation=position.liquidation_price,
        )
    else:
        problem = check_take_profit(position.direction, trigger, mark=position.mark_price)
    if problem is None:
        return
    if problem.rule == "stop_beyond_liquidation":
        desk.invocation.say(f"warning: {problem.message}")
        return
    raise RefusedByRisk(problem.message, code=problem.rule)

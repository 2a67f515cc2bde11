"""One exit order: which position it is for, what it has to be, and how it is placed.

Knows that an exit in doubt may be placed again, for it only reduces; must not know what rested
before or what is wanted beside it: that is `brackets`'.

Source: binance-usdm reference §7.2, §5.3 (-4130), §5.2 (-2021).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import AlgoOrder, ConditionalRequest, Order
from trader_cli.domain.terms import Direction, OrderType, PositionSide, WorkingType
from trader_cli.errors import OutcomeUnknown, Rejected
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.order_desk import OrderDesk
from trader_cli.trading.orders.protection_spec import TrailingPlan

WOULD_TRIGGER_NOW: Final = -2021
ONE_IS_ENOUGH: Final = -4130
_DOUBT_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSpot:
    """Which position an exit order belongs to, and what it has to be.

    Attributes:
        quantity: the position's size where it is known; an order of at least that counts as
            covering the whole, smaller ones are partial exits and are left alone.
    """

    symbol: str
    direction: Direction
    position_side: PositionSide
    leg: Leg
    quantity: Decimal | None = None

    @property
    def type(self) -> OrderType:
        return OrderType.STOP_MARKET if self.leg is Leg.STOP else OrderType.TAKE_PROFIT_MARKET

    def holds(self, order: AlgoOrder) -> bool:
        """Return True if `order` is an exit of the whole position for this purpose."""
        whole = self.quantity is not None and order.quantity >= self.quantity
        return (
            (order.close_position or whole)
            and order.symbol == self.symbol
            and order.position_side is self.position_side
            and order.side is self.direction.exit_side
            and order.is_exit
            and order.type is self.type
        )

    @classmethod
    def of(cls, position: Position, leg: Leg) -> ExitSpot:
        return cls(
            symbol=position.symbol,
            direction=position.direction,
            position_side=position.position_side,
            leg=leg,
            quantity=abs(position.quantity),
        )


def exit_request(
    spot: ExitSpot, price: Decimal, quantity: Decimal | None = None
) -> ConditionalRequest:
    """Return the order at `price`, for the whole position or for `quantity` of it."""
    return ConditionalRequest(
        symbol=spot.symbol,
        side=spot.direction.exit_side,
        type=spot.type,
        client_order_id="",
        quantity=quantity,
        trigger_price=price,
        working_type=WorkingType.MARK_PRICE,
        close_position=quantity is None,
        reduce_only=quantity is not None and spot.position_side is PositionSide.BOTH,
        position_side=spot.position_side,
    )


def trailing_request(spot: ExitSpot, plan: TrailingPlan, quantity: Decimal) -> ConditionalRequest:
    """Return a trailing stop for `quantity`; the exchange takes none for a whole position."""
    return ConditionalRequest(
        symbol=spot.symbol,
        side=spot.direction.exit_side,
        type=OrderType.TRAILING_STOP_MARKET,
        client_order_id="",
        quantity=quantity,
        activate_price=plan.activate_price,
        callback_rate=plan.callback_rate,
        reduce_only=spot.position_side is PositionSide.BOTH,
        position_side=spot.position_side,
    )


async def place_exit(
    desk: OrderDesk,
    request: ConditionalRequest,
    spot: ExitSpot,
    source: str,
    *,
    end_s: float,
    is_taken: bool = False,
) -> AlgoOrder:
    """Place an exit; one in doubt is asked about for a moment and then placed again.

    It may only reduce, so a second one does no harm; waiting for the proof that the first never
    came would leave the position naked for longer than it may be.

    Args:
        end_s: monotonic time from which nothing in doubt is placed again; it is tried once anyhow.
        is_taken: another closePosition order was seen there: it is what a refusal is about.
    """
    doubted = False
    while True:
        left_s = end_s - desk.clock.monotonic()
        try:
            return await _place_once(desk, request, spot, source, max(0.0, min(_DOUBT_S, left_s)))
        except OutcomeUnknown:
            if desk.clock.monotonic() >= end_s:
                raise
            doubted = True
        except Rejected as error:
            if error.code != ONE_IS_ENOUGH or not doubted or is_taken:
                raise
            first = await _earlier(desk, request, source)
            if first is None:
                raise
            return first


async def _place_once(
    desk: OrderDesk, request: ConditionalRequest, spot: ExitSpot, source: str, resolve_s: float
) -> AlgoOrder:
    placed = await desk.place(request, source=source, leg=spot.leg, resolve_s=resolve_s)
    order = placed.order
    if isinstance(order, Order):
        # The answer was lost and by now it has fired: the position is being closed, nothing rests.
        raise Rejected(
            f"the {spot.leg} order on {spot.symbol} triggered as soon as it was placed",
            code=WOULD_TRIGGER_NOW,
        )
    return order


async def _earlier(desk: OrderDesk, request: ConditionalRequest, source: str) -> AlgoOrder | None:
    """Return the order that was in doubt and rests, as a refusal of its twin says.

    Lists may trail behind what refuses: they are read until they show it, for a moment.
    """
    end = desk.clock.monotonic() + _DOUBT_S
    while True:
        for row in await desk.client.get_open_algo_orders(request.symbol):
            same = (row.type, row.side, row.position_side, row.trigger_price) == (
                request.type,
                request.side,
                request.position_side,
                request.trigger_price,
            )
            if same and row.close_position and source_of(desk, row) == source:
                await desk.resolve(row.client_order_id, within_s=_DOUBT_S)
                return row
        if desk.clock.monotonic() >= end:
            return None
        await desk.clock.sleep(_LOOK_AGAIN_S)


def source_of(desk: OrderDesk, order: AlgoOrder) -> str | None:
    """Return whose order it is by our journal, None if that is not known."""
    with contextlib.suppress(JournalUnavailable):
        intent = desk.journal.intent(order.client_order_id)
        return None if intent is None else intent.source
    return None

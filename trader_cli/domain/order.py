"""Orders: what we wish to send, and what the venue says it holds.

Requests are wishes with the client id already fixed; `Order` and `AlgoOrder` are facts as last
told by the venue. The two worlds of 2026, regular orders and the Algo Service, are two types.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.terms import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRequest:
    """A limit order to be sent once under `client_order_id`."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    client_order_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    good_till_ms: int | None = None
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRequest:
    """A market order to be sent once under `client_order_id`."""

    symbol: str
    side: Side
    quantity: Decimal
    client_order_id: str
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalRequest:
    """A conditional order for the Algo Service, to be sent once under `client_order_id`.

    Attributes:
        type: one of `CONDITIONAL_TYPES`.
        quantity: None exactly when `close_position` is True.
        trigger_price: None exactly for a trailing stop.
        price: the limit price of STOP and TAKE_PROFIT, else None.
        activate_price, callback_rate: trailing stop only; the rate is in percent, 0.1 to 20.
        close_position: close whatever the position is when it fires.
    """

    symbol: str
    side: Side
    type: OrderType
    client_order_id: str
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    price: Decimal | None = None
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    working_type: WorkingType = WorkingType.MARK_PRICE
    close_position: bool = False
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC


OrderRequest = LimitRequest | MarketRequest | ConditionalRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A regular order as the venue last told it.

    Attributes:
        price: 0 for a market order.
        average_price: None where the answer does not carry it (order writes since 2026-06-30).
        created_ms: None where the answer does not carry it.
    """

    symbol: str
    order_id: int
    client_order_id: str
    side: Side
    position_side: PositionSide
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal
    average_price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    close_position: bool
    created_ms: int | None
    updated_ms: int

    @property
    def remaining_quantity(self) -> Decimal:
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoOrder:
    """A conditional order as the Algo Service last told it.

    Attributes:
        client_order_id: its `clientAlgoId`; the order it sends on trigger carries the same id.
        quantity: 0 when `close_position`.
        order_id: the regular order it became, None before it triggered.
        filled_quantity: executed by that order, None where the answer does not carry it.
        reject_reason: the venue's words when the engine refused it after the trigger.
    """

    symbol: str
    algo_id: int
    client_order_id: str
    side: Side
    position_side: PositionSide
    type: OrderType
    status: AlgoStatus
    quantity: Decimal
    trigger_price: Decimal | None
    price: Decimal | None
    activate_price: Decimal | None
    callback_rate: Decimal | None
    working_type: WorkingType
    close_position: bool
    reduce_only: bool
    time_in_force: TimeInForce
    order_id: int | None
    filled_quantity: Decimal | None
    reject_reason: str | None
    created_ms: int | None
    updated_ms: int

    @property
    def is_stop(self) -> bool:
        """True if it limits the loss of a position (fixed or trailing stop)."""
        return self.type in (
            OrderType.STOP,
            OrderType.STOP_MARKET,
            OrderType.TRAILING_STOP_MARKET,
        )

    @property
    def is_take_profit(self) -> bool:
        return self.type in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_MARKET)

    @property
    def is_exit(self) -> bool:
        """True if it can only reduce a position."""
        return self.close_position or self.reduce_only or is_hedge_exit(self)


def is_hedge_exit(order: Order | AlgoOrder | OrderRequest) -> bool:
    """Return True if hedge mode makes the order implicitly reduce-only (LONG+SELL, SHORT+BUY)."""
    return (order.position_side, order.side) in (
        (PositionSide.LONG, Side.SELL),
        (PositionSide.SHORT, Side.BUY),
    )


def only_reduces(order: Order | AlgoOrder | OrderRequest) -> bool:
    """Return True if the order cannot raise exposure, whatever happens."""
    if isinstance(order, AlgoOrder):
        return order.is_exit
    closes = not isinstance(order, (LimitRequest, MarketRequest)) and order.close_position
    return closes or order.reduce_only or is_hedge_exit(order)

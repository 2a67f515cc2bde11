"""Orders of either world, and what the commands about them tell."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tests.support.shapes.envelope import Failure
from tests.support.shapes.words import (
    Amount,
    Count,
    Millis,
    OrderType,
    PositionSide,
    Shape,
    Side,
    Size,
    Status,
    Symbol,
    WorkEnd,
)


class Order(Shape):
    """An order of either world."""

    kind: Literal["order", "algo"]
    symbol: Symbol
    order_id: int | None
    algo_id: int | None
    client_order_id: str | None
    side: Side | None
    position_side: PositionSide | None
    type: OrderType | None
    status: Status | None
    quantity: Size | None
    filled_quantity: Size | None
    price: Size | None
    average_price: Size | None
    trigger_price: Size | None
    activate_price: Size | None
    callback_rate: Size | None
    time_in_force: Literal["GTC", "IOC", "FOK", "GTX", "GTD"] | None
    reduce_only: bool | None
    close_position: bool | None
    working_type: Literal["MARK_PRICE", "CONTRACT_PRICE"] | None
    own: bool
    created_ms: Millis | None
    updated_ms: Millis | None


class PlannedOrder(Order):
    """What `--dry-run` of a placing would send."""

    dry_run: Literal[True]
    notional: Size | None
    notes: list[str]


class ValidatedOrder(Order):
    """What the exchange would take."""

    validated: Literal[True]
    notes: list[str]


class UntouchedOrder(Order):
    """What `order cancel --dry-run` would cancel."""

    dry_run: Literal[True]


class Change(Shape):
    price: Size | None
    quantity: Size | None


class UnchangedOrder(Order):
    """What `order amend --dry-run` would change."""

    dry_run: Literal[True]
    change: Change


class PlannedBatchOrder(Order):
    dry_run: Literal[True]


class BatchRow(Shape):
    item: Annotated[int, Field(ge=1)]
    ok: bool
    order: Order | PlannedBatchOrder | None
    error: Failure | None


class Batch(Shape):
    results: list[BatchRow]
    placed: Count
    failed: Count


class Worked(Shape):
    """What `order smart` came to."""

    symbol: Symbol
    side: Side
    quantity: Size
    filled_quantity: Size
    average_price: Size | None
    maker_quantity: Size
    maker_share: Size | None
    arrival_price: Size
    slippage_bps: Amount | None
    chase_cost_bps: Amount | None
    fees_saved_usdt: Amount | None
    amendments: Count
    reason: WorkEnd
    orders: list[Order]


class Bracket(Shape):
    entry: Order | None
    stop: Order | None
    take_profit: Order | None
    trailing: Order | None
    filled_quantity: Size
    average_price: Size | None
    unprotected_ms: Count | None
    closed_again: bool


class PlannedBracket(Shape):
    dry_run: Literal[True]
    entry: Order
    stop_price: Size
    take_profit_price: Size | None
    loss_at_stop: Size
    notes: list[str]


class Trade(Shape):
    symbol: Symbol
    trade_id: int
    order_id: int
    side: Side
    position_side: PositionSide
    price: Size
    quantity: Size
    notional: Size
    realized_pnl: Amount
    commission: Amount
    commission_asset: str
    maker: bool
    time_ms: Millis


class Orders(Shape):
    orders: list[Order]


class Trades(Shape):
    trades: list[Trade]


class Resolved(Shape):
    client_order_id: str
    status: (
        Literal[
            "intended",
            "sent",
            "unknown",
            "open",
            "partly_filled",
            "unsettled",
            "filled",
            "canceled",
            "rejected",
            "not_executed",
        ]
        | None
    )
    order: Order | None


class Resolution(Shape):
    orders: list[Resolved]
    removed: list[Order]


class CancelFailure(Shape):
    order: Order
    message: str


class Swept(Shape):
    cancelled: list[Order]
    kept: list[Order]
    failed: list[CancelFailure]


class Unswept(Shape):
    dry_run: Literal[True]
    resting: list[Order]
    would_cancel: list[Order]

"""Under which keys the venue tells an order: words in answers, letters in events.

Knows the spelling and nothing of what the values mean.

Source: `rest_orders.py` and `stream.py` for the shapes, binance-usdm reference §6, §7, §11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKeys:
    """Under which keys a regular order is told; None where it is not told at all."""

    symbol: str
    order_id: str
    client_order_id: str
    side: str
    position_side: str
    type: str
    status: str
    quantity: str
    filled_quantity: str
    price: str
    average_price: str
    time_in_force: str
    reduce_only: str
    close_position: str
    created_ms: str | None
    updated_ms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoKeys:
    """Under which keys a conditional order is told; None where it is not told at all."""

    symbol: str
    algo_id: str
    client_order_id: str
    side: str
    position_side: str
    type: str
    status: str
    quantity: str
    trigger_price: str
    price: str
    activate_price: str
    callback_rate: str
    working_type: str
    close_position: str
    reduce_only: str
    time_in_force: str
    order_id: str
    filled_quantity: str
    reject_reason: str | None
    created_ms: str | None


ANSWERED: Final = OrderKeys(
    symbol="symbol",
    order_id="orderId",
    client_order_id="clientOrderId",
    side="side",
    position_side="positionSide",
    type="type",
    status="status",
    quantity="origQty",
    filled_quantity="executedQty",
    price="price",
    average_price="avgPrice",
    time_in_force="timeInForce",
    reduce_only="reduceOnly",
    close_position="closePosition",
    created_ms="time",
    updated_ms="updateTime",
)
STREAMED: Final = OrderKeys(
    symbol="s",
    order_id="i",
    client_order_id="c",
    side="S",
    position_side="ps",
    type="o",
    status="X",
    quantity="q",
    filled_quantity="z",
    price="p",
    average_price="ap",
    time_in_force="f",
    reduce_only="R",
    close_position="cp",
    created_ms=None,
    updated_ms="T",
)
ALGO_ANSWERED: Final = AlgoKeys(
    symbol="symbol",
    algo_id="algoId",
    client_order_id="clientAlgoId",
    side="side",
    position_side="positionSide",
    type="orderType",
    status="algoStatus",
    quantity="quantity",
    trigger_price="triggerPrice",
    price="price",
    activate_price="activatePrice",
    callback_rate="callbackRate",
    working_type="workingType",
    close_position="closePosition",
    reduce_only="reduceOnly",
    time_in_force="timeInForce",
    order_id="actualOrderId",
    filled_quantity="actualQty",
    reject_reason=None,
    created_ms="createTime",
)
ALGO_STREAMED: Final = AlgoKeys(
    symbol="s",
    algo_id="aid",
    client_order_id="caid",
    side="S",
    position_side="ps",
    type="o",
    status="X",
    quantity="q",
    trigger_price="tp",
    price="p",
    activate_price="AP",
    callback_rate="cr",
    working_type="wt",
    close_position="cp",
    reduce_only="R",
    time_in_force="f",
    order_id="ai",
    filled_quantity="aq",
    reject_reason="rm",
    created_ms=None,
)

"""Orders to the words of the field, strictly, from answers and from stream events alike.

The venue tells one order under two sets of keys: words in answers, letters in events. What the
values mean is the same and is said here once; `_OrderKeys` and `_AlgoKeys` hold the spelling.
Knows no sockets and no clock.

Source: `rest_orders.py` and `stream.py` for the shapes, binance-usdm reference §6, §7, §11.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Fill
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.wire.building import quick
from trader_cli.wire.fields import Fields

_Order: Final = quick(Order)
_Fill: Final = quick(Fill)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OrderKeys:
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
class _AlgoKeys:
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


_ANSWERED: Final = _OrderKeys(
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
_STREAMED: Final = _OrderKeys(
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
_ALGO_ANSWERED: Final = _AlgoKeys(
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
_ALGO_STREAMED: Final = _AlgoKeys(
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


def decode_order(value: object) -> Order:
    """Decode the answer to an order write or a row of an order query."""
    return _order(Fields("order", value), _ANSWERED)


def decode_streamed_order(row: Fields) -> Order:
    """Decode the order of an `ORDER_TRADE_UPDATE`."""
    return _order(row, _STREAMED)


def decode_order_id(value: object) -> tuple[str, int, str]:
    """Decode only (symbol, order id, client id): enough to cancel what cannot be understood."""
    row = Fields("order", value)
    return row.text("symbol"), row.integer("orderId"), row.text("clientOrderId")


def decode_algo_order(value: object) -> AlgoOrder:
    """Decode the answer to placing a conditional order or a row of a list of them."""
    row = Fields("algo order", value)
    return _algo_order(row, _ALGO_ANSWERED, updated_ms=row.integer("updateTime"))


def decode_streamed_algo_order(row: Fields, updated_ms: int) -> AlgoOrder:
    """Decode the order of an `ALGO_UPDATE`, whose time stands outside of it."""
    return _algo_order(row, _ALGO_STREAMED, updated_ms=updated_ms)


def decode_algo_order_id(value: object) -> tuple[str, int, str]:
    """Decode only (symbol, algo id, client id): enough to cancel what cannot be understood."""
    row = Fields("algo order", value)
    return row.text("symbol"), row.integer("algoId"), row.text("clientAlgoId")


def decode_fill(value: object) -> Fill:
    """Decode a row of userTrades, which carries no client order id."""
    row = Fields("userTrades", value)
    return _Fill(
        symbol=row.text("symbol"),
        trade_id=row.integer("id"),
        order_id=row.integer("orderId"),
        client_order_id=None,
        side=row.word("side", Side),
        position_side=row.word("positionSide", PositionSide),
        price=row.decimal("price"),
        quantity=row.decimal("qty"),
        realized_pnl=row.decimal("realizedPnl"),
        commission=row.decimal("commission"),
        commission_asset=row.text("commissionAsset"),
        maker=row.flag("maker"),
        time_ms=row.integer("time"),
    )


def decode_streamed_fill(row: Fields, order: Order) -> Fill | None:
    """Return the execution of an order's event; a liquidation's (CALCULATED) has one too."""
    quantity = row.decimal("l")
    if quantity.is_zero():
        return None
    return _Fill(
        symbol=order.symbol,
        trade_id=row.integer("t"),
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        position_side=order.position_side,
        price=row.decimal("L"),
        quantity=quantity,
        realized_pnl=row.decimal("rp"),
        commission=_or_zero(row.decimal_or_none("n")),
        commission_asset=row.text_or_none("N") or "",
        maker=row.flag("m"),
        time_ms=order.updated_ms,
    )


def _order(row: Fields, keys: _OrderKeys) -> Order:
    """A zero average price means nothing was filled and becomes None, like an absent one."""
    created = keys.created_ms
    return _Order(
        symbol=row.text(keys.symbol),
        order_id=row.integer(keys.order_id),
        client_order_id=row.text(keys.client_order_id),
        side=row.word(keys.side, Side),
        position_side=row.word(keys.position_side, PositionSide),
        type=row.word(keys.type, OrderType),
        status=row.word(keys.status, OrderStatus),
        quantity=row.decimal(keys.quantity),
        filled_quantity=row.decimal(keys.filled_quantity),
        price=row.decimal(keys.price),
        average_price=row.positive_or_none(keys.average_price),
        time_in_force=row.word(keys.time_in_force, TimeInForce),
        reduce_only=row.flag(keys.reduce_only),
        close_position=row.flag(keys.close_position),
        created_ms=None if created is None else row.integer_or_none(created),
        updated_ms=row.integer(keys.updated_ms),
    )


def _algo_order(row: Fields, keys: _AlgoKeys, *, updated_ms: int) -> AlgoOrder:
    """Zero and "" stand for prices that do not apply, "" or "0" for an order not yet sent."""
    created, reason = keys.created_ms, keys.reject_reason
    has_order = row.text_or_none(keys.order_id) not in (None, "0")
    return AlgoOrder(
        symbol=row.text(keys.symbol),
        algo_id=row.integer(keys.algo_id),
        client_order_id=row.text(keys.client_order_id),
        side=row.word(keys.side, Side),
        position_side=row.word(keys.position_side, PositionSide),
        type=row.word(keys.type, OrderType),
        status=row.word(keys.status, AlgoStatus),
        quantity=_or_zero(row.decimal_or_none(keys.quantity)),
        trigger_price=row.positive_or_none(keys.trigger_price),
        price=row.positive_or_none(keys.price),
        activate_price=row.positive_or_none(keys.activate_price),
        callback_rate=row.positive_or_none(keys.callback_rate),
        working_type=row.word(keys.working_type, WorkingType),
        close_position=row.flag(keys.close_position),
        reduce_only=row.flag(keys.reduce_only),
        time_in_force=row.word(keys.time_in_force, TimeInForce),
        order_id=row.integer(keys.order_id) if has_order else None,
        filled_quantity=row.decimal_or_none(keys.filled_quantity),
        reject_reason=None if reason is None else row.text_or_none(reason),
        created_ms=None if created is None else row.integer_or_none(created),
        updated_ms=updated_ms,
    )


def _or_zero(value: Decimal | None) -> Decimal:
    return ZERO if value is None else value

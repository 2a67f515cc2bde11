"""Orders to the words of the field, strictly, from answers and from stream events alike.

The venue tells one order under two sets of keys: words in answers, letters in events. What the
values mean is the same and is said here once; `order_keys` has the spelling. What is
everyday is read by `glance`. Knows no sockets and no clock.

Source: `rest_orders.py` and `stream.py` for the shapes, binance-usdm reference §6, §7, §11.
"""

from __future__ import annotations

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
from trader_cli.wire import glance
from trader_cli.wire.building import quick
from trader_cli.wire.fields import Fields
from trader_cli.wire.order_keys import (
    ALGO_ANSWERED,
    ALGO_STREAMED,
    ANSWERED,
    STREAMED,
    AlgoKeys,
    OrderKeys,
)

_Order: Final = quick(Order)
_Fill: Final = quick(Fill)


def decode_order(value: object) -> Order:
    """Decode the answer to an order write or a row of an order query."""
    order = glance.answered_order(value)
    return order if order is not None else read_order(Fields("order", value), ANSWERED)


def decode_streamed_order(row: Fields) -> Order:
    """Decode the order of an `ORDER_TRADE_UPDATE`."""
    return read_order(row, STREAMED)


def decode_order_id(value: object) -> tuple[str, int, str]:
    """Decode only (symbol, order id, client id): enough to cancel what cannot be understood."""
    row = Fields("order", value)
    return row.text("symbol"), row.integer("orderId"), row.text("clientOrderId")


def decode_algo_order(value: object) -> AlgoOrder:
    """Decode the answer to placing a conditional order or a row of a list of them."""
    row = Fields("algo order", value)
    return _algo_order(row, ALGO_ANSWERED, updated_ms=row.integer("updateTime"))


def decode_streamed_algo_order(row: Fields, updated_ms: int) -> AlgoOrder:
    """Decode the order of an `ALGO_UPDATE`, whose time stands outside of it."""
    return _algo_order(row, ALGO_STREAMED, updated_ms=updated_ms)


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


def read_order(row: Fields, keys: OrderKeys) -> Order:
    """Decode a regular order told under `keys`, asking for one key after the other.

    A zero average price means nothing was filled and becomes None, like an absent one.
    """
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


def _algo_order(row: Fields, keys: AlgoKeys, *, updated_ms: int) -> AlgoOrder:
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

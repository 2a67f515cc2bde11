"""Reads at one look what comes by the thousand: orders, their events and executions.

Asking a row for one key after the other is most of what reading it costs. Here one look takes all
keys, and tables and type checks say whether each value is one that the venue writes every day. Only
then there is a result; on any doubt there is None, and the strict readers of `decode_orders` and
`decode_stream` say what is right or what is wrong. They alone define it: what is read here has to
be what they read. Knows no errors, sockets or clock.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from trader_cli.domain.account import Fill
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import Order
from trader_cli.domain.terms import (
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.wire.building import quick
from trader_cli.wire.fields import NUMBERS, WORDS
from trader_cli.wire.order_keys import ANSWERED, STREAMED, OrderKeys

# Built with their values in the order of the fields: by name, each costs twice as much.
_order: Final[Callable[..., Order]] = quick(Order)
_fill: Final[Callable[..., Fill]] = quick(Fill)
_order_updated: Final[Callable[..., OrderUpdated]] = quick(OrderUpdated)

_SIDES: Final = WORDS[Side]
_POSITION_SIDES: Final = WORDS[PositionSide]
_TYPES: Final = WORDS[OrderType]
_STATUSES: Final = WORDS[OrderStatus]
_TIMES_IN_FORCE: Final = WORDS[TimeInForce]
_EXECUTIONS: Final = WORDS[ExecutionType]

_NO_REASON: Final = (None, "", "0")


def _order_reader(keys: OrderKeys) -> Callable[[Any], Order | None]:
    """Return what reads an order told under `keys`, or None on any doubt."""
    take = itemgetter(
        keys.symbol,
        keys.order_id,
        keys.client_order_id,
        keys.side,
        keys.position_side,
        keys.type,
        keys.status,
        keys.quantity,
        keys.filled_quantity,
        keys.price,
        keys.time_in_force,
        keys.reduce_only,
        keys.close_position,
        keys.updated_ms,
    )
    average_key, created_key = keys.average_price, keys.created_ms

    def read(row: Any) -> Order | None:
        try:
            (
                symbol,
                order_id,
                client_order_id,
                side,
                position_side,
                kind,
                status,
                quantity,
                filled_quantity,
                price,
                time_in_force,
                reduce_only,
                close_position,
                updated_ms,
            ) = take(row)
            average_text = row.get(average_key)
            average = None if average_text is None else NUMBERS[average_text]
            created_ms = None if created_key is None else row.get(created_key)
            if (
                type(symbol) is str
                and type(order_id) is int
                and type(client_order_id) is str
                and type(reduce_only) is bool
                and type(close_position) is bool
                and (created_ms is None or type(created_ms) is int)
                and type(updated_ms) is int
            ):
                return _order(
                    symbol,
                    order_id,
                    client_order_id,
                    _SIDES[side],
                    _POSITION_SIDES[position_side],
                    _TYPES[kind],
                    _STATUSES[status],
                    NUMBERS[quantity],
                    NUMBERS[filled_quantity],
                    NUMBERS[price],
                    None if average is None or average.is_zero() else average,
                    _TIMES_IN_FORCE[time_in_force],
                    reduce_only,
                    close_position,
                    created_ms,
                    updated_ms,
                )
        except (KeyError, TypeError):
            pass  # a missing key, an unknown word, a number where text belongs, no object at all
        return None

    return read


answered_order: Final = _order_reader(ANSWERED)
"""Read the answer to an order write or a row of an order query; None on any doubt."""

_streamed_order: Final = _order_reader(STREAMED)
_take_execution: Final = itemgetter("t", "L", "rp", "m")


def order_updated(event: Any) -> OrderUpdated | None:
    """Read an `ORDER_TRADE_UPDATE`; None on any doubt."""
    try:
        row, venue_ms = event["o"], event["T"]
        order = _streamed_order(row)
        if order is None or type(venue_ms) is not int:
            return None
        reason = row.get("er")
        if reason in _NO_REASON:
            reason = None
        elif type(reason) is not str:
            return None
        execution, quantity = _EXECUTIONS[row["x"]], NUMBERS[row["l"]]
        if quantity.is_zero():
            return _order_updated(order, execution, None, reason, venue_ms)
        trade_id, price, realized_pnl, maker = _take_execution(row)
        commission, asset = row.get("n"), row.get("N")
        if type(trade_id) is int and type(maker) is bool and (asset is None or type(asset) is str):
            fill = _fill(
                order.symbol,
                trade_id,
                order.order_id,
                order.client_order_id,
                order.side,
                order.position_side,
                NUMBERS[price],
                quantity,
                NUMBERS[realized_pnl],
                ZERO if commission is None else NUMBERS[commission],
                asset or "",
                maker,
                order.updated_ms,
            )
            return _order_updated(order, execution, fill, reason, venue_ms)
    except (KeyError, TypeError):
        pass  # as with an order
    return None

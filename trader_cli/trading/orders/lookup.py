"""Ask the exchange, in every place it keeps orders, what became of a client order id.

Nothing here waits, or decides that absence is proof: that takes time, and `OrderTracker.resolve`
has it.

Source: binance-usdm reference §7.4 (reconciliation of the two worlds), §7.3 (the -2013 anomaly).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.domain.terms import AlgoStatus, OrderStatus
from trader_cli.errors import Rejected
from trader_cli.trading.ports import Venue

NO_SUCH_ORDER: Final = -2013
UNKNOWN_ORDER: Final = -2011
_LOOK_BACK_MS: Final = 60_000
_FILLS_ASKED_MAX: Final = 10

_EVENT_OF_STATUS: Final = {
    OrderStatus.NEW: IntentEvent.ACCEPT,
    OrderStatus.PARTIALLY_FILLED: IntentEvent.PARTIAL_FILL,
    OrderStatus.FILLED: IntentEvent.FILL,
    OrderStatus.CANCELED: IntentEvent.CANCEL,
    OrderStatus.EXPIRED: IntentEvent.CANCEL,
    OrderStatus.EXPIRED_IN_MATCH: IntentEvent.CANCEL,
    OrderStatus.REJECTED: IntentEvent.CANCEL,  # it was recorded, so the send itself succeeded
}


def event_of(order: Order | AlgoOrder) -> IntentEvent:
    """Return what the order's present state says about the intent behind it."""
    if isinstance(order, Order):
        return _EVENT_OF_STATUS[order.status]
    if order.status.is_open:
        return IntentEvent.ACCEPT
    if order.status is AlgoStatus.FINISHED and order.filled_quantity != 0:
        # FINISHED without a quantity: older answers leave it out, and a cancelled child is rare.
        return IntentEvent.FILL
    return IntentEvent.CANCEL


async def find_regular(
    client: Venue, symbol: str, client_order_id: str, *, since_ms: int
) -> Order | None:
    """Return the regular order with this client id, None if no place of the exchange shows it.

    Raises:
        VenueError: a read failed; nothing is known then.
    """
    order = await _ask_order(client, symbol, client_order_id)
    if order is not None:
        return order
    start_ms = since_ms - _LOOK_BACK_MS
    resting, history, fills = await asyncio.gather(
        client.get_open_orders(symbol),
        client.get_all_orders(symbol, start_ms=start_ms),
        client.get_fills(symbol, start_ms=start_ms),
    )
    found = _with_id([*resting, *history], client_order_id)
    if found is not None:
        return found
    listed = {row.order_id for row in [*resting, *history]}
    unlisted = sorted({fill.order_id for fill in fills} - listed)
    for order_id in unlisted[-_FILLS_ASKED_MAX:]:
        filled = await client.get_order_status(symbol, order_id)
        if filled.client_order_id == client_order_id:
            return filled
    return None


async def find_conditional(
    client: Venue, symbol: str, client_order_id: str, *, since_ms: int
) -> AlgoOrder | Order | None:
    """Return the conditional order with this client id, or the order it became, or None.

    Raises:
        VenueError: a read failed; nothing is known then.
    """
    try:
        return await client.get_algo_order(symbol, client_order_id=client_order_id)
    except Rejected as error:
        if error.code != NO_SUCH_ORDER:
            raise
    resting, history = await asyncio.gather(
        client.get_open_algo_orders(symbol),
        client.get_all_algo_orders(symbol, start_ms=since_ms - _LOOK_BACK_MS),
    )
    for row in [*resting, *history]:
        if row.client_order_id == client_order_id:
            return row
    return await _ask_order(client, symbol, client_order_id)


async def _ask_order(client: Venue, symbol: str, client_order_id: str) -> Order | None:
    try:
        return await client.get_order_status(symbol, client_order_id=client_order_id)
    except Rejected as error:
        if error.code != NO_SUCH_ORDER:
            raise
    return None


def _with_id(orders: Sequence[Order], client_order_id: str) -> Order | None:
    return next((row for row in orders if row.client_order_id == client_order_id), None)

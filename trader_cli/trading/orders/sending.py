"""Wait for the answer to a send, but not in silence: an order that took effect is not overlooked.

Knows that an answer may never come while the order is at the exchange and fills; must not know what
is sent or why. A request's own deadline is ten seconds, longer than a position may be naked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from trader_cli.domain.order import AlgoOrder, ConditionalRequest, Order, OrderRequest, only_reduces
from trader_cli.errors import OutcomeUnknown, Rejected, VenueError
from trader_cli.trading.orders.lookup import NO_SUCH_ORDER
from trader_cli.trading.orders.order_tracker import OrderTracker
from trader_cli.trading.orders.waiting import drop, ends_within, within

LOOK_AFTER_S: Final = 1.0
"""An answer takes a fraction of this; then the exchange is asked for the order itself."""

EXIT_PATIENCE_S: Final = 2.0
"""An exit without an answer for so long is in doubt: it may be sent again, for it only reduces.

Where the exchange, asked for it, knows no such order it is in doubt at once.
"""


async def send_watched(tracker: OrderTracker, request: OrderRequest) -> Order | AlgoOrder:
    """Send once and return the order, by its answer or as the exchange shows it meanwhile.

    Raises:
        VenueError: as the answer; `OutcomeUnknown` also for an exit that stays unanswered.
    """
    clock = tracker.clock
    began_s = clock.monotonic()
    sending = asyncio.ensure_future(tracker.client.send(request))
    try:
        while not await ends_within(sending, clock, LOOK_AFTER_S):
            found, absent = tracker.latest(request.client_order_id), False
            if found is None:
                found, absent = await _look(tracker, request)
            if found is not None and not sending.done():
                return found
            silent_s = clock.monotonic() - began_s
            given_up = absent or silent_s >= EXIT_PATIENCE_S
            if only_reduces(request) and given_up and not sending.done():
                raise OutcomeUnknown(
                    f"no answer to {request.client_order_id} of {request.symbol} for "
                    f"{silent_s:.1f} s"
                )
        return sending.result()
    finally:
        await drop(sending)


async def _look(
    tracker: OrderTracker, request: OrderRequest
) -> tuple[Order | AlgoOrder | None, bool]:
    """Return the order if the exchange shows it, and whether it says that it knows none.

    Whatever goes wrong, nothing is known: neither.
    """
    client, name = tracker.client, request.client_order_id
    query: Coroutine[Any, Any, Order | AlgoOrder] = (
        client.get_algo_order(request.symbol, client_order_id=name)
        if isinstance(request, ConditionalRequest)
        else client.get_order_status(request.symbol, client_order_id=name)
    )
    try:
        return await within(query, tracker.clock, LOOK_AFTER_S), False
    except Rejected as error:
        return None, error.code == NO_SUCH_ORDER
    except (VenueError, TimeoutError):
        return None, False

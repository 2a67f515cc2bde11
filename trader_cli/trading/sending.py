"""Wait for the answer to a send, but not in silence: an order that took effect is not overlooked.

Knows that an answer may never come while the order is at the exchange and fills; must not know what
is sent or why. A request's own deadline is ten seconds, longer than a position may be naked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.order import AlgoOrder, ConditionalRequest, Order, OrderRequest, only_reduces
from trader_cli.errors import OutcomeUnknown, VenueError
from trader_cli.trading.order_tracker import OrderTracker

_T = TypeVar("_T")

LOOK_AFTER_S: Final = 1.0
"""An answer takes a fraction of this; then the exchange is asked for the order itself."""

EXIT_PATIENCE_S: Final = 2.0
"""An exit without an answer for so long is in doubt: it may be sent again, for it only reduces."""


async def send_watched(tracker: OrderTracker, request: OrderRequest) -> Order | AlgoOrder:
    """Send once and return the order, by its answer or as the exchange shows it meanwhile.

    Raises:
        VenueError: as the answer; `OutcomeUnknown` also for an exit that stays unanswered.
    """
    clock = tracker.clock
    began_s = clock.monotonic()
    sending = asyncio.ensure_future(tracker.client.send(request))
    try:
        while not await _ends_within(sending, clock, LOOK_AFTER_S):
            found = tracker.latest(request.client_order_id) or await _look(tracker, request)
            if found is not None and not sending.done():
                return found
            silent_s = clock.monotonic() - began_s
            if only_reduces(request) and silent_s >= EXIT_PATIENCE_S and not sending.done():
                raise OutcomeUnknown(
                    f"no answer to {request.client_order_id} of {request.symbol} for "
                    f"{silent_s:.1f} s"
                )
        return sending.result()
    finally:
        await _drop(sending)


async def _look(tracker: OrderTracker, request: OrderRequest) -> Order | AlgoOrder | None:
    """Return the order if the exchange shows it; whatever goes wrong, nothing is known."""
    client, name = tracker.client, request.client_order_id
    query: Coroutine[Any, Any, Order | AlgoOrder] = (
        client.get_algo_order(request.symbol, client_order_id=name)
        if isinstance(request, ConditionalRequest)
        else client.get_order_status(request.symbol, client_order_id=name)
    )
    try:
        return await within(query, tracker.clock, LOOK_AFTER_S)
    except (VenueError, TimeoutError):
        return None


async def within(work: Coroutine[Any, Any, _T], clock: Clock, seconds: float) -> _T:
    """Return what `work` returns; it is ended if that takes longer.

    Raises:
        TimeoutError: it was ended. Whatever `work` raises.
    """
    task = asyncio.ensure_future(work)
    try:
        if await _ends_within(task, clock, seconds):
            return task.result()
    finally:
        await _drop(task)
    raise TimeoutError


async def _ends_within(task: asyncio.Future[_T], clock: Clock, seconds: float) -> bool:
    limit = asyncio.ensure_future(clock.sleep(seconds))
    waiting: set[asyncio.Future[Any]] = {task, limit}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        limit.cancel()
    return task.done()


async def _drop(task: asyncio.Future[_T]) -> None:
    """End what nobody waits for any more; how it ended is of no interest, and not to be told."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

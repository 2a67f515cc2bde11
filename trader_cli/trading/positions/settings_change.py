"""Change a setting of the account so that the answer is true: set, refused, not set, or unknown.

Knows that a setting can be read back: what a lost answer left open is asked about, never repeated
blindly. What the exchange itself says it did not do is sent again a few times, after the pause it
asks for where that is short.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Final

from trader_cli.errors import NotSent, OutcomeUnknown, RateLimited, VenueError
from trader_cli.trading.orders.order_desk import OrderDesk

_DOUBTS_MAX: Final = 3
_PAUSE_S: Final = 0.2
_ASK_EVERY_S: Final = 0.25


async def change(
    desk: OrderDesk,
    write: Callable[[], Awaitable[object]],
    is_done: Callable[[], Awaitable[bool | None]],
    *,
    what: str,
    look: str,
    again: bool = True,
) -> None:
    """Write until `is_done`, or until it is proven that it cannot be done.

    Args:
        is_done: reads whether it is done, None where the reading cannot tell.
        look: the command that shows the setting, for whoever must find out by hand.
        again: repeat what is read not to be done after a lost answer; False for what must happen
            at most once.

    Raises:
        Rejected, PermissionDenied: the exchange refused.
        NotSent, RateLimited: it is proven that nothing was changed.
        OutcomeUnknown: it could not be read whether it was.
    """
    for retry in itertools.count():
        try:
            await write()
        except (NotSent, RateLimited) as error:
            pause_s = desk.pause_before_retry(error, retry)
            if pause_s is None:
                raise
        except OutcomeUnknown as doubt:
            if await _is_done_after_all(desk, is_done, doubt, what=what, look=look):
                return
            if not again or retry >= _DOUBTS_MAX - 1:
                raise NotSent(
                    f"{what}: the answer was lost, and it is proven that nothing was changed",
                    code="not_executed",
                    advice="Try again.",
                ) from doubt
            pause_s = _PAUSE_S * 2.0**retry
        else:
            return
        await desk.clock.sleep(pause_s)


async def _is_done_after_all(
    desk: OrderDesk,
    is_done: Callable[[], Awaitable[bool | None]],
    doubt: OutcomeUnknown,
    *,
    what: str,
    look: str,
) -> bool:
    """Ask until it is done, or until it can be no more."""
    clock = desk.clock
    end_s = clock.monotonic() + desk.absence_ms / 1000
    while True:
        is_last = clock.monotonic() >= end_s
        problem: VenueError | None = None
        done: bool | None = None
        try:
            done = await is_done()
        except VenueError as error:
            problem = error
        if done:
            return True
        if is_last and done is None:
            raise OutcomeUnknown(
                f"{what}: whether it was done is unknown: {doubt.message}",
                code=doubt.code,
                advice=f"look at `{look}` before trying again",
            ) from (problem or doubt)
        if is_last:
            return False
        await clock.sleep(_ASK_EVERY_S)

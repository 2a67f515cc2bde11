"""Change a setting of the account so that the answer is true: set, refused, or not set.

Knows that a setting can be read back: what a lost answer left open is asked about, never repeated
blindly; what is proven not executed is tried again a few times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trader_cli.clock import Clock
from trader_cli.errors import NotSent, OutcomeUnknown, VenueError

TRIES_MAX: Final = 3
_PAUSE_S: Final = 0.2
_ASK_EVERY_S: Final = 0.25


async def change(
    write: Callable[[], Awaitable[object]],
    is_done: Callable[[], Awaitable[bool]],
    *,
    what: str,
    clock: Clock,
    absence_ms: int,
    again: bool = True,
) -> None:
    """Write until `is_done`, or until it is proven that it cannot be done.

    Args:
        absence_ms: how long after a lost answer the request may still be executed (the receive
            window and a margin); "not done" after that is a proof.
        again: repeat what is proven not executed; False for what must happen at most once.

    Raises:
        Rejected, PermissionDenied, RateLimited: the exchange refused.
        NotSent: it is proven that nothing was changed.
        OutcomeUnknown: it could not be read whether it was.
    """
    for attempt in range(TRIES_MAX):
        if attempt > 0:
            await clock.sleep(_PAUSE_S * 2 ** (attempt - 1))
        try:
            await write()
        except NotSent:
            if not again or attempt == TRIES_MAX - 1:
                raise
        except OutcomeUnknown as doubt:
            if await _is_done_after_all(is_done, doubt, clock, absence_ms):
                return
            if not again or attempt == TRIES_MAX - 1:
                raise NotSent(
                    f"{what}: the answer was lost, and it is proven that nothing was changed",
                    code="not_executed",
                    advice="Try again.",
                ) from doubt
        else:
            return


async def _is_done_after_all(
    is_done: Callable[[], Awaitable[bool]],
    doubt: OutcomeUnknown,
    clock: Clock,
    absence_ms: int,
) -> bool:
    """Ask until it is done, or until it can be no more."""
    end_s = clock.monotonic() + absence_ms / 1000
    while True:
        is_last = clock.monotonic() >= end_s
        try:
            if await is_done():
                return True
        except VenueError as error:
            if is_last:
                raise doubt from error
        else:
            if is_last:
                return False
        await clock.sleep(_ASK_EVERY_S)

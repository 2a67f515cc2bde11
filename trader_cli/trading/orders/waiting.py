"""Wait for something no longer than one can afford.

Knows tasks and a clock; must not know what is waited for, nor what its absence means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from trader_cli.clock import Clock

_T = TypeVar("_T")


async def within(work: Coroutine[Any, Any, _T], clock: Clock, seconds: float) -> _T:
    """Return what `work` returns; it is ended if that takes longer.

    Raises:
        TimeoutError: it was ended. Whatever `work` raises.
    """
    task = asyncio.ensure_future(work)
    try:
        if await ends_within(task, clock, seconds):
            return task.result()
    finally:
        await drop(task)
    raise TimeoutError


async def ends_within(task: asyncio.Future[_T], clock: Clock, seconds: float) -> bool:
    """Return True if the task has ended, at the latest after `seconds`; it goes on if not."""
    limit = asyncio.ensure_future(clock.sleep(seconds))
    waiting: set[asyncio.Future[Any]] = {task, limit}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        limit.cancel()
    return task.done()


async def drop(task: asyncio.Future[_T]) -> None:
    """End what nobody waits for any more; how it ended is of no interest, and not to be told."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()

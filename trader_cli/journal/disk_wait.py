"""Work on a disk in threads that hold nobody up: whoever waits may go on, or end, without them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from trader_cli.errors import TraderError

_T = TypeVar("_T")

_PARTS: Final = 4
"""A process that itself stood still uses up one part of its patience, not all of it."""


def within(work: Callable[[], _T], seconds: float) -> _T:
    """Return what `work` returns; it runs in a thread of its own and goes on if it is late.

    Raises:
        TimeoutError: it is late. TraderError, OSError: what `work` raises.
    """
    return _waited(_begun(work), seconds)


async def aside(work: Callable[[], _T]) -> _T:
    """Return what `work` returns; other tasks go on meanwhile, and the process ends without it."""
    return await asyncio.wrap_future(_begun(work))


class Errands:
    """Work of one kind that is done again and again: nobody waits for a late piece twice."""

    def __init__(self) -> None:
        self._late: Future[Any] | None = None

    def run(self, work: Callable[[], _T], seconds: float) -> _T:
        """Return what `work` returns, waiting as `within` does.

        Raises:
            TimeoutError: it is late and its result is lost; or an earlier piece still is, and
                `work` was not begun. TraderError, OSError: what `work` raises.
        """
        if self._late is not None and not self._late.done():
            raise TimeoutError("the disk has not answered yet")
        self._late = begun = _begun(work)
        return _waited(begun, seconds)


def _waited(begun: Future[_T], seconds: float) -> _T:
    for _ in range(_PARTS):
        with suppress(TimeoutError):
            begun.exception(timeout=seconds / _PARTS)
            break
    return begun.result(timeout=0)


def _begun(work: Callable[[], _T]) -> Future[_T]:
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()  # whoever waits may be cancelled, what is begun goes on

    def run() -> None:
        try:
            done.set_result(work())
        except (TraderError, OSError) as error:
            done.set_exception(error)
        except BaseException as error:
            done.set_exception(error)
            raise

    threading.Thread(target=run, name="disk", daemon=True).start()
    return done

"""Wait for a disk no longer than can be afforded: kill must act whatever the disk does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from trader_cli.errors import TraderError

_T = TypeVar("_T")


def within(work: Callable[[], _T], seconds: float) -> _T:
    """Return what `work` returns; it runs in a thread of its own and goes on if it is late.

    Raises:
        TimeoutError: it is late. TraderError: what `work` raises.
    """
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except TraderError as error:
            done.set_exception(error)
        except BaseException as error:
            done.set_exception(error)
            raise

    threading.Thread(target=run, name="disk", daemon=True).start()
    return done.result(timeout=seconds)

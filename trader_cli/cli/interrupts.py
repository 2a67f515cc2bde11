"""What Ctrl-C means while an order is being worked: the entry ends, its protection does not."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from trader_cli.cli.invocation import Invocation

_INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ctrl_c_ends_entry(invocation: Invocation) -> Iterator[asyncio.Event]:
    """Give an event that the first Ctrl-C sets; the second one interrupts as usual."""
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        cancelled.set()
        invocation.say("the entry ends; what filled stays, and is protected first")
        _listen_no_more(loop)

    for interrupt in _INTERRUPTS:
        loop.add_signal_handler(interrupt, stop)
    try:
        yield cancelled
    finally:
        _listen_no_more(loop)


def _listen_no_more(loop: asyncio.AbstractEventLoop) -> None:
    for interrupt in _INTERRUPTS:
        loop.remove_signal_handler(interrupt)

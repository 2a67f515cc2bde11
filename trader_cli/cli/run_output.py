"""Print a run's events from a thread of its own: whoever reads them must not hold up the engine.

A terminal that is paused, or a pipe that nobody empties, blocks the writer for as long as it likes;
stops and exits cannot wait for that. Knows queues and threads; what an event looks like is
`run_events`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

Fields = Mapping[str, object]
Print = Callable[[str, Fields, int], None]
"""Prints an event, its fields and its time (UTC epoch milliseconds)."""

_WAITING_MAX: Final = 10_000
_CLOSE_S: Final = 2.0


class Outlet:
    """Prints events in order, in the background, while the `with` block lasts.

    Attributes:
        is_stuck: True after the block if the reader has not taken everything.
    """

    def __init__(
        self, print_event: Print, *, now_ms: Callable[[], int], on_closed: Callable[[], None]
    ) -> None:
        """`on_closed` is called once, from the printing thread, when nobody can read any more."""
        self.is_stuck = False
        self._print_event = print_event
        self._now_ms = now_ms
        self._on_closed = on_closed
        self._waiting: queue.Queue[tuple[str, Fields, int] | None] = queue.Queue(_WAITING_MAX)
        self._left_out = 0
        self._thread = threading.Thread(target=self._work, name="output", daemon=True)

    def report(self, event: str, fields: Fields) -> None:
        """Print an event soon; never waits. What a reader misses in the end is counted and told."""
        left_out = {"kind": "output", "message": f"{self._left_out} events were not printed"}
        try:
            if self._left_out:
                self._waiting.put_nowait(("warning", left_out, self._now_ms()))
                self._left_out = 0
            self._waiting.put_nowait((event, dict(fields), self._now_ms()))
        except queue.Full:
            self._left_out += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self.is_stuck = True
            return
        self._thread.join(_CLOSE_S)
        self.is_stuck = self._thread.is_alive()

    def _work(self) -> None:
        closed = False
        while True:
            item = self._waiting.get()
            if item is None:
                return
            if closed:
                continue
            try:
                self._print_event(*item)
            except OSError:
                closed = True
                self._on_closed()

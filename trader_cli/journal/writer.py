"""The one thread that writes to the journal's file: a disk that hangs holds up nobody else.

Callers wait for their write as long as they can afford. A write that is to be kept stays in line
when its caller has gone on, is tried again until the disk takes it, and keeps its place; any other
is taken back. While something is kept waiting nobody waits again: the first wait has shown that the
disk does not answer. Knows transactions and their order; must not know what is in a row.

A thread that waits for a disk inside the kernel cannot be ended: the process ends without it, and
the kernel lets go of it when the disk answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from trader_cli.clock import Clock
from trader_cli.errors import TraderError
from trader_cli.journal.database import BY_UPDATE, Opener, transaction, translated, unavailable
from trader_cli.journal.errors import JournalCorrupt, JournalLate, JournalUnavailable

Work = Callable[[sqlite3.Connection], Any]
Tell = Callable[[str], None]
"""Told, in a sentence, that the disk does not answer and that it does again; from any thread."""

_T = TypeVar("_T")

_RETRY_S: Final = 0.05
_SLICE_S: Final = 0.05
_PROMPT_MS: Final = 20
"""So long a healthy disk takes at most: waiting without giving way to others is the quicker way."""

_ASYNC_SLICE_S: Final = 0.01
_KEPT_MAX: Final = 100_000
_LAST_TRIES: Final = 10
_LAST_PAUSE_S: Final = 0.1


@dataclass(slots=True, kw_only=True, eq=False)
class _Job:
    """One transaction.

    Attributes:
        lock_ms: how long it may wait for other processes that write.
        kept: it is written sooner or later, whoever still waits for it.
    """

    work: Work
    durable: bool
    lock_ms: int
    kept: bool
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """Writes in order; the connection is made by the first write, in the thread."""

    def __init__(self, path: Path, clock: Clock, tell: Tell, opener: Opener) -> None:
        self._path = path
        self._clock = clock
        self._tell = tell
        self._opener = opener
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._flags: tuple[str, int] | None = None
        self._state = threading.Lock()
        self._given_up: set[_Job] = set()
        self._last_words: Callable[[], None] = lambda: None
        self._submitted = 0
        self._finished = 0
        self._closed = False
        self._pause = threading.Event()

    @property
    def is_idle(self) -> bool:
        """True while nothing is in line: what is written elsewhere now keeps its order."""
        return self._submitted == self._finished

    @property
    def is_behind(self) -> bool:
        """True while a write that somebody waited for in vain is still to be made."""
        return bool(self._given_up)

    def write(
        self,
        work: Callable[[sqlite3.Connection], _T],
        *,
        durable: bool,
        lock_ms: int,
        patience_ms: int | None,
        keep: bool,
    ) -> _T:
        """Run `work` in a transaction of the thread and return what it returns.

        `patience_ms` None waits until it is done, whatever the disk does.

        Raises:
            JournalLate: kept, and not written yet.
            JournalUnavailable: not written, and it will not be.
        """
        job = self._submit(work, durable=durable, lock_ms=lock_ms, keep=keep)
        if self.is_behind:
            patience_ms = 0
        end_s = None if patience_ms is None else self._clock.monotonic() + patience_ms / 1000
        while not self._is_done(job, end_s):
            if end_s is not None and self._clock.monotonic() >= end_s:
                self._give_up(job)
                break
        result: _T = job.done.result()
        return result

    async def write_aside(
        self, work: Callable[[sqlite3.Connection], _T], *, lock_ms: int, patience_ms: int
    ) -> _T:
        """Run `work` in a durable transaction; others go on while a slow disk is waited for.

        Raises:
            JournalUnavailable: it is not written as far as is known.
        """
        job = self._submit(work, durable=True, lock_ms=lock_ms, keep=False)
        began_s = self._clock.monotonic()
        prompt_s = began_s + (0 if self.is_behind else _PROMPT_MS / 1000)
        while not self._is_done(job, prompt_s):
            if self._clock.monotonic() >= prompt_s:
                break
        while not job.done.done():
            if self._clock.monotonic() >= began_s + patience_ms / 1000:
                self._give_up(job)
                break
            try:
                await self._clock.sleep(_ASYNC_SLICE_S)
            except asyncio.CancelledError:
                job.done.cancel()
                raise
        result: _T = job.done.result()
        return result

    def close(self, last_words: Callable[[], None], *, patience_ms: int) -> None:
        """Write what waits, close the file, and wait for that no longer than `patience_ms`.

        `last_words` runs in the thread before the connection goes. A second call does nothing.
        What is not written by then is lost, and said.
        """
        with self._state:
            if self._closed:
                return
            self._closed = True
        self._last_words = last_words
        self._start()
        self._queue.put(None)
        assert self._thread is not None, "started just before"
        end_s = self._clock.monotonic() + patience_ms / 1000
        while self._thread.is_alive():
            self._thread.join(_SLICE_S)
            if self._clock.monotonic() >= end_s:
                break
        left = len(self._given_up)
        if left:
            self._tell(f"journal {self._path}: {left} rows were not written before the end")

    # --- the callers' side -----------------------------------------------------------------------

    def _submit(self, work: Work, *, durable: bool, lock_ms: int, keep: bool) -> _Job:
        if self._closed:
            raise unavailable(self._path, "it is closed")
        if self.is_behind and (not keep or len(self._given_up) >= _KEPT_MAX):
            raise unavailable(self._path, "the disk does not answer")
        job = _Job(work=work, durable=durable, lock_ms=lock_ms, kept=keep)
        self._start()
        with self._state:
            self._submitted += 1
        self._queue.put(job)
        return job

    def _start(self) -> None:
        if self._thread is None:
            with self._state:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                    self._thread.start()

    def _is_done(self, job: _Job, end_s: float | None) -> bool:
        left_s = _SLICE_S if end_s is None else end_s - self._clock.monotonic()
        try:
            job.done.exception(timeout=min(max(0.0, left_s), _SLICE_S))
        except TimeoutError:
            return False
        return True

    def _give_up(self, job: _Job) -> None:
        """Leave the job to the thread if it is kept, else take it back; return if it is done."""
        if not job.kept and job.done.cancel():
            raise unavailable(self._path, "it does not take the row in time")
        with self._state:
            if job.done.done():
                return
            first = not self._given_up
            self._given_up.add(job)
        if first:
            self._tell(f"journal {self._path}: the disk does not answer; going on without it")
        if not job.kept:  # it has begun and cannot be taken back: it may be written all the same
            raise unavailable(self._path, "it does not take the row in time")
        raise JournalLate(
            f"journal {self._path}: it does not take the row in time; the row waits",
            code="journal_late",
        )

    # --- the thread's side -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while (job := self._queue.get_nowait()) is not None:
                    job.done.set_exception(unavailable(self._path, "it is closed"))

    def _serve(self) -> None:
        waiting: deque[_Job] = deque()
        while True:
            try:
                job = self._queue.get(timeout=_RETRY_S if waiting else None)
            except queue.Empty:
                self._catch_up(waiting)
                continue
            if waiting:
                self._catch_up(waiting)
            if job is None:
                self._catch_up_at_the_end(waiting)
                break
            if waiting:  # the order of rows stays, and who will not wait is told at once
                self._postpone(job, waiting)
            elif job.done.set_running_or_notify_cancel():
                self._perform(job, waiting)
            else:
                self._finished += 1
        self._end()

    def _perform(self, job: _Job, waiting: deque[_Job]) -> None:
        try:
            result = self._in_transaction(job)
        except JournalUnavailable as error:
            if job.kept and not isinstance(error, JournalCorrupt):
                self._keep(job, waiting)
                job.done.set_exception(_late(error))
                return
            self._finished += 1
            job.done.set_exception(error)
        except TraderError as error:
            self._finished += 1
            job.done.set_exception(error)
        except BaseException as error:
            job.done.set_exception(error)  # a fault of the program's own ends the thread
            raise
        else:
            self._finished += 1  # before the caller wakes: its next row may go in at once
            job.done.set_result(result)
        self._settled(job)

    def _postpone(self, job: _Job, waiting: deque[_Job]) -> None:
        if not job.done.set_running_or_notify_cancel():
            self._finished += 1
            return
        error = unavailable(self._path, "earlier rows wait for the disk")
        if job.kept:
            self._keep(job, waiting)
            job.done.set_exception(_late(error))
        else:
            self._finished += 1
            job.done.set_exception(error)

    def _keep(self, job: _Job, waiting: deque[_Job]) -> None:
        waiting.append(job)
        with self._state:
            self._given_up.add(job)

    def _catch_up(self, waiting: deque[_Job]) -> None:
        """Write what was kept, in its order, as far as the disk takes it."""
        while waiting:
            job = waiting[0]
            try:
                self._in_transaction(job)
            except JournalCorrupt as error:
                self._tell(f"a row that waited cannot be written: {error.message}")
            except JournalUnavailable:
                return
            except TraderError as error:
                self._tell(f"a row that waited cannot be written: {error.message}")
            waiting.popleft()
            self._finished += 1
            self._settled(job)

    def _catch_up_at_the_end(self, waiting: deque[_Job]) -> None:
        for _ in range(_LAST_TRIES):
            self._catch_up(waiting)
            if not waiting:
                return
            self._pause.wait(_LAST_PAUSE_S)

    def _settled(self, job: _Job) -> None:
        with self._state:
            was_behind = bool(self._given_up)
            self._given_up.discard(job)
            caught_up = was_behind and not self._given_up
        if caught_up:
            self._tell(f"journal {self._path}: the disk answers again; what waited is written")

    def _in_transaction(self, job: _Job) -> object:
        connection = self._connection or self._connected(job.lock_ms)
        with translated(self._path):
            self._set_flags(connection, "FULL" if job.durable else "NORMAL", job.lock_ms)
        with transaction(connection, self._path):
            return job.work(connection)

    def _connected(self, wait_ms: int) -> sqlite3.Connection:
        self._connection = self._opener(self._path, wait_ms=wait_ms)
        with translated(self._path):
            self._connection.execute(BY_UPDATE)
        return self._connection

    def _set_flags(self, connection: sqlite3.Connection, synchronous: str, wait_ms: int) -> None:
        if self._flags != (synchronous, wait_ms):
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(f"PRAGMA busy_timeout={wait_ms}")
            self._flags = (synchronous, wait_ms)

    def _end(self) -> None:
        # The reader goes first: whoever closes a file last writes the log back into it.
        self._last_words()
        if self._connection is not None:
            self._connection.close()


def _late(error: JournalUnavailable) -> JournalLate:
    return JournalLate(f"{error.message}; the row waits", code="journal_late")

"""The one thread that writes to the journal's file: a disk that hangs holds up nobody else.

Callers wait for their write as long as they can afford, or not at all. A write that is to be kept
stays in line when its caller has gone on, is tried again until the disk takes it, and keeps its
place; any other is taken back. While something is kept waiting nobody waits again: the first wait
has shown that the disk does not answer. Knows transactions and their order; must not know what is
in a row.

A thread that waits for a disk inside the kernel cannot be ended: the process ends without it, and
the kernel lets go of it when the disk answers. If the thread itself breaks, everybody who waits is
told at once, and so is whoever comes later.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from trader_cli.clock import Clock
from trader_cli.errors import TraderError
from trader_cli.journal.database import Opener, WritingConnection, unavailable
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
_CLOSED: Final = "it is closed"
_FAULT: Final = "a fault of the program ended the thread that writes"


@dataclass(slots=True, kw_only=True, eq=False)
class _Job:
    """One transaction.

    Attributes:
        lock_ms: how long it may wait for other processes that write.
        kept: it is written sooner or later, whoever still waits for it.
        posted: nobody waits for it.
    """

    work: Work
    durable: bool
    lock_ms: int
    kept: bool
    posted: bool = False
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """Writes in order; the connection is made by the first write, in the thread."""

    def __init__(self, path: Path, clock: Clock, tell: Tell, opener: Opener) -> None:
        self._path = path
        self._clock = clock
        self._tell = tell
        self._file = WritingConnection(path, opener)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._state = threading.Lock()
        self._current: _Job | None = None
        self._posted: _Job | None = None
        self._stuck: _Job | None = None
        self._given_up: set[_Job] = set()
        self._waiting: deque[_Job] = deque()
        self._kept_open = 0
        self._last_words: Callable[[], None] = lambda: None
        self._refusal: str | None = None
        self._is_over = False
        self._pause = threading.Event()

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
        job = _Job(work=work, durable=durable, lock_ms=lock_ms, kept=keep)
        self._submit(job)
        if self.is_behind or (keep and self._is_stuck()):
            patience_ms = 0
        if not self._is_done_within(job, patience_ms):
            self._give_up(job)
        result: _T = job.done.result()
        return result

    async def write_aside(
        self, work: Callable[[sqlite3.Connection], _T], *, lock_ms: int, patience_ms: int
    ) -> _T:
        """Run `work` in a durable transaction; others go on while a slow disk is waited for.

        Raises:
            JournalUnavailable: it is not written as far as is known.
        """
        job = _Job(work=work, durable=True, lock_ms=lock_ms, kept=False)
        self._submit(job)
        began_s = self._clock.monotonic()
        self._is_done_within(job, 0 if self.is_behind else _PROMPT_MS)
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

    def post(self, work: Work, *, lock_ms: int) -> None:
        """Put `work` in line, to be kept, and go on; what becomes of it nobody hears but `tell`.

        Raises:
            JournalUnavailable: it is not even in line.
        """
        job = _Job(work=work, durable=False, lock_ms=lock_ms, kept=True, posted=True)
        self._submit(job)
        self._posted = job

    def settle(self, *, patience_ms: int) -> None:
        """Wait until what was posted is written, unless it is known that the disk does not answer.

        Who waited in vain has waited for all: what is kept goes in line without waiting again, and
        what was posted is not waited for, until it is written.
        """
        job = self._posted
        if job is None or self.is_behind or self._is_stuck():
            return
        if self._is_done_within(job, patience_ms):
            self._posted = None if self._posted is job else self._posted
        else:
            self._stuck = job

    def close(self, last_words: Callable[[], None], *, patience_ms: int) -> None:
        """Write what waits, close the file, and wait for that no longer than `patience_ms`.

        `last_words` runs in the thread before the connection goes. A second call does nothing.
        What is not written by then is lost, and said.
        """
        with self._state:
            if self._is_over:
                return
            self._is_over = True
            is_broken = self._refusal is not None
            self._refusal = self._refusal or _CLOSED
            self._last_words = last_words
            thread = self._started()
            self._queue.put(None)
        end_s = self._clock.monotonic() + patience_ms / 1000
        while thread.is_alive():
            thread.join(_SLICE_S)
            if self._clock.monotonic() >= end_s:
                break
        if is_broken:
            last_words()
        elif self._kept_open:
            self._tell(
                f"journal {self._path}: {self._kept_open} rows were not written before the end"
            )

    # --- the callers' side -----------------------------------------------------------------------

    def _submit(self, job: _Job) -> None:
        with self._state:
            if self._refusal is not None:
                raise unavailable(self._path, self._refusal)
            if (self.is_behind and not job.kept) or self._kept_open >= _KEPT_MAX:
                raise unavailable(self._path, "the disk does not answer")
            self._kept_open += job.kept
            self._started()
            self._queue.put(job)

    def _started(self) -> threading.Thread:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        return self._thread

    def _is_stuck(self) -> bool:
        return self._stuck is not None and not self._stuck.done.done()

    def _is_done_within(self, job: _Job, patience_ms: int | None) -> bool:
        began_s = self._clock.monotonic()
        while not job.done.done():
            left_s = _SLICE_S
            if patience_ms is not None:
                left_s = began_s + patience_ms / 1000 - self._clock.monotonic()
                if left_s <= 0:
                    return False
            with contextlib.suppress(TimeoutError):
                job.done.exception(timeout=min(left_s, _SLICE_S))
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
            self._break_off()

    def _serve(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=_RETRY_S if self._waiting else None)
            except queue.Empty:
                self._catch_up()
                continue
            if self._waiting:
                self._catch_up()
            if job is None:
                self._catch_up_at_the_end()
                break
            self._current = job
            if job.done.set_running_or_notify_cancel():
                self._perform(job)
            else:
                self._settled(job)
        self._end()

    def _perform(self, job: _Job) -> None:
        try:
            if self._waiting:  # the order of rows stays, and who will not wait is told at once
                raise unavailable(self._path, "earlier rows wait for the disk")
            result = self._in_transaction(job)
        except JournalUnavailable as error:
            if job.kept and not isinstance(error, JournalCorrupt):
                self._keep(job, error)
            else:
                self._failed(job, error)
        except TraderError as error:
            self._failed(job, error)
        except BaseException as error:
            # A fault of the program's own ends the thread. It is for the caller to learn of, but
            # who goes on whatever happens is not stopped by it.
            fault = unavailable(self._path, _FAULT) if job.kept else error
            job.done.set_exception(fault)
            raise
        else:
            job.done.set_result(result)
            self._settled(job)

    def _failed(self, job: _Job, error: TraderError) -> None:
        job.done.set_exception(error)
        self._settled(job)
        if job.posted:
            self._tell(f"a row cannot be written: {error.message}")

    def _keep(self, job: _Job, error: JournalUnavailable) -> None:
        self._waiting.append(job)
        with self._state:
            first = not self._given_up
            self._given_up.add(job)
        late = JournalLate(f"{error.message}; the row waits", code="journal_late")
        job.done.set_exception(late)
        if first and job.posted:  # any other is told by its error
            self._tell(f"{error.message}; going on without it")

    def _catch_up(self) -> None:
        """Write what was kept, in its order, as far as the disk takes it."""
        while self._waiting:
            job = self._waiting[0]
            problem: TraderError | None = None
            try:
                self._in_transaction(job)
            except JournalUnavailable as error:
                if not isinstance(error, JournalCorrupt):
                    return
                problem = error
            except TraderError as error:
                problem = error
            self._waiting.popleft()
            self._settled(job)
            if problem is not None:
                self._tell(f"a row that waited cannot be written: {problem.message}")

    def _catch_up_at_the_end(self) -> None:
        for _ in range(_LAST_TRIES):
            self._catch_up()
            if not self._waiting:
                return
            self._pause.wait(_LAST_PAUSE_S)

    def _settled(self, job: _Job) -> None:
        with self._state:
            self._kept_open -= job.kept
            was_behind = bool(self._given_up)
            self._given_up.discard(job)
            caught_up = was_behind and not self._given_up
        if caught_up:
            self._tell(f"journal {self._path}: the disk answers again; what waited is written")

    def _in_transaction(self, job: _Job) -> object:
        with self._file.transaction(durable=job.durable, lock_ms=job.lock_ms) as connection:
            return job.work(connection)

    def _end(self) -> None:
        # The reader goes first: whoever closes a file last writes the log back into it.
        self._last_words()
        self._file.close()

    def _break_off(self) -> None:
        """Answer whoever waits or comes; they need not know that a fault of our own is why."""
        with self._state:
            is_fault = self._refusal is None
            self._refusal = self._refusal or _FAULT
            left = [self._current]
            with contextlib.suppress(queue.Empty):
                while True:
                    left.append(self._queue.get_nowait())
        for job in left:
            if job is not None:
                with contextlib.suppress(InvalidStateError):  # answered before, or taken back
                    job.done.set_exception(unavailable(self._path, self._refusal))
        if is_fault:
            self._tell(
                f"journal {self._path}: {self._refusal}; {self._kept_open} rows are lost. Exits go"
                " on without it, entries are refused: start anew"
            )

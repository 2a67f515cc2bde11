"""The journal: what we meant to send and what became of it, on disk before the socket opens.

Rows are append-only and hash-chained; the table of intents is an index that the rows can rebuild.
A durable write is fsynced before it returns. Other rows are committed without an fsync of their
own, in order: they survive the death of the process, and the next durable write or `flush` carries
them past a power cut too. Several processes may append to one file. All writing is done by a thread
of its own (`writer`), so that no disk holds up an exit, in fsync or in write; reads do not wait for
a disk that does not answer. It knows nothing of the exchange.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Self, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.errors import BrokenInvariant
from trader_cli.journal import index
from trader_cli.journal.appending import Appender, intent_data
from trader_cli.journal.archive import ARCHIVED, Sweep, next_leaving, remove, write_aside
from trader_cli.journal.database import Opener, connect, translated, unavailable
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.index import INTENT, INTENT_EVENT, IntentRecord
from trader_cli.journal.reading import CONTENT, JournalReader
from trader_cli.journal.writer import Tell, Writer

WAIT_MS: Final = 1_000
"""How long a write waits for another process before it gives up."""

DISK_MS: Final = 5_000
"""How long a write waits in all, for a disk that does not answer too."""

CLOSE_MS: Final = 1_500

_SETTLE_MS: Final = 50
"""How long a read waits for what this process noted before; a healthy disk takes a fraction."""

Admit = Callable[[Sequence[IntentRecord]], None]
"""Raises if an order may not be sent after all, now that these intents are known."""

_T = TypeVar("_T")

_OWN_KINDS: Final = frozenset({INTENT, INTENT_EVENT, ARCHIVED})


class Journal(JournalReader):
    """One environment's journal; safe to call from several threads and processes."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        connection: sqlite3.Connection,
        *,
        tell: Tell | None = None,
        opener: Opener = connect,
    ) -> None:
        self._clock = clock
        self._appender = Appender(clock)
        self._writer = Writer(path, clock, tell or _tell_nobody, opener)
        super().__init__(path, connection, lambda: self._writer.settle(patience_ms=_SETTLE_MS))

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        wait_ms: int = WAIT_MS,
        tell: Tell | None = None,
        opener: Opener = connect,
    ) -> Self:
        """Open the journal at `path`, creating it and its folder if absent.

        `tell` hears in a sentence when the disk does not answer and when it does again, perhaps
        from another thread.

        Raises:
            JournalUnavailable: it cannot be used; `JournalCorrupt` if its content is at fault.
        """
        connection = connect(path, wait_ms=wait_ms)
        return cls(path, clock, connection, tell=tell, opener=opener)

    def record_intent(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        leaving: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> None:
        """Write down what is about to be sent; on disk when it returns.

        `leaving` says that nothing is between this and the send: SEND is written with it.

        `deadline_ms` bounds the whole wait (None: WAIT_MS for other writers, DISK_MS in all).
        With `keep` a row that misses it stays in line and is written when the disk takes it.

        Raises:
            BrokenInvariant: the client order id was used before.
            JournalLate: kept, and not on disk yet.
            JournalUnavailable: it is not recorded.
        """
        data = intent_data(source, leg, attempt, request, details)
        self._write(
            lambda connection: self._appender.intent(connection, data, leaving=leaving),
            durable=True,
            deadline_ms=deadline_ms,
            keep=keep,
        )

    async def record_entry(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Admit,
        leaving: bool = False,
    ) -> None:
        """Let `admit` judge and write down the order as one step, across processes too.

        `admit` is given every intent that something was recorded about since `since_ms`, local
        time; while it runs nobody else can record one. It runs in another thread and must be pure.
        `leaving` as in `record_intent`.
        Other tasks go on while a slow disk is waited for; on disk when it returns.

        Raises:
            Exception: what `admit` raises; nothing is recorded.
            BrokenInvariant: the client order id was used before.
            JournalUnavailable: it is not recorded, or only after the caller went on.
        """
        data = intent_data(source, leg, attempt, request, details)

        def judge_and_append(connection: sqlite3.Connection) -> None:
            admit(index.touched_since(connection, since_ms))
            self._appender.intent(connection, data, leaving=leaving)

        await self._writer.write_aside(judge_and_append, lock_ms=WAIT_MS, patience_ms=DISK_MS)

    async def record_change(
        self,
        *,
        source: str,
        leg: Leg,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Admit,
        deadline_ms: int,
    ) -> None:
        """Let `admit` judge an amendment and write it down as one step, as `record_entry` does.

        `request` is the order as it rests. One that the journal does not know is introduced by it,
        with `source` and `leg`: somebody else placed it, or an earlier journal knew of it.
        `deadline_ms` bounds the wait.

        Raises:
            Exception: what `admit` raises; nothing is recorded.
            BrokenInvariant: by what is known of it the order cannot rest.
            JournalUnavailable: it is not recorded, or only after the caller went on.
        """
        name = request.client_order_id

        def judge_and_append(connection: sqlite3.Connection) -> None:
            admit(index.touched_since(connection, since_ms))
            known = index.find_standing(connection, name)
            if known is None:
                data = intent_data(source, leg, 0, request, {})
                self._appender.intent(connection, data, leaving=True)
                self._appender.event(connection, name, IntentEvent.ACCEPT, {})
            elif known.status is IntentStatus.INTENDED:
                self._appender.event(connection, name, IntentEvent.SEND, {})
            self._appender.event(connection, name, IntentEvent.CHANGE, details)

        await self._writer.write_aside(judge_and_append, lock_ms=WAIT_MS, patience_ms=deadline_ms)

    def record_event(
        self,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> IntentStatus:
        """Write down what happened to an intent and return its new status.

        `details` of later events are laid over earlier ones in `IntentRecord.outcome`; deadline
        and `keep` as in `record_intent`.

        Raises:
            BrokenInvariant: no such intent, or the event cannot follow its status.
            JournalLate: kept, and not written yet.
            JournalUnavailable: it is not recorded.
        """
        return self._write(
            lambda connection: self._appender.event(connection, client_order_id, event, details),
            durable=durable,
            deadline_ms=deadline_ms,
            keep=keep,
        )

    def note_event(
        self, client_order_id: str, event: IntentEvent, details: JsonObject, *, deadline_ms: int
    ) -> None:
        """Put what happened to an intent in line, and go on: it is written in order, and soon.

        `tell` hears of it where it cannot follow the intent's status. `deadline_ms` is for other
        writers: a row that misses it is tried again.

        Raises:
            JournalUnavailable: it is not recorded.
        """
        local_ms = self._clock.now_ms()
        self._writer.post(
            lambda connection: self._appender.event(
                connection, client_order_id, event, details, local_ms=local_ms
            ),
            lock_ms=deadline_ms,
        )

    def record(
        self,
        kind: str,
        data: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> int:
        """Append one row and return its number; deadline and `keep` as in `record_intent`.

        Raises:
            BrokenInvariant: `kind` is one of the journal's own, or `data` cannot be kept.
            JournalLate: kept, and not written yet.
            JournalUnavailable: it is not recorded.
        """
        _refuse_own_kind(kind)
        return self._write(
            lambda connection: self._appender.row(connection, kind, data).seq,
            durable=durable,
            deadline_ms=deadline_ms,
            keep=keep,
        )

    async def record_aside(self, kind: str, data: JsonObject) -> int:
        """Append one row durably and return its number; other tasks go on meanwhile.

        Raises:
            BrokenInvariant: `kind` is one of the journal's own, or `data` cannot be kept.
            JournalUnavailable: it is not recorded, or only after the caller went on.
        """
        _refuse_own_kind(kind)
        return await self._writer.write_aside(
            lambda connection: self._appender.row(connection, kind, data).seq,
            lock_ms=WAIT_MS,
            patience_ms=DISK_MS,
        )

    def rebuild_index(self) -> None:
        """Derive the table of intents from the rows anew."""

        def derive_anew(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM intents")
            for record in index.derive(connection.execute(CONTENT)).values():
                index.store(connection, record)

        self._writer.write(derive_anew, durable=True, lock_ms=WAIT_MS, patience_ms=None, keep=False)

    def archive(self, sweep: Sweep, *, rows_max: int) -> int | None:
        """Look at up to `rows_max` more old rows and move those that may go into a file beside.

        Returns how many left, None at the end of the sweep. See `archive`.

        Raises:
            JournalUnavailable: the file or the disk refused; what was to leave is still here.
        """
        # Old rows may lie where the disk is slow: nobody else waits for their reading.
        with translated(self._path), closing(connect(self._path, wait_ms=WAIT_MS)) as connection:
            leaving = next_leaving(connection, sweep, rows_max=rows_max)
        if not leaving:
            return None if leaving is None else 0
        try:
            attest = write_aside(self._path.parent, leaving)
        except OSError as error:
            raise unavailable(self._path, f"no archive: {error}") from error

        def take_out(connection: sqlite3.Connection) -> None:
            remove(connection, leaving)
            self._appender.row(connection, ARCHIVED, attest)

        self._write(take_out, durable=True, deadline_ms=None, keep=False)
        return len(leaving)

    def flush(self) -> None:
        """Carry everything recorded so far past a power cut.

        Raises:
            JournalUnavailable: the disk refused.
        """
        try:
            descriptor = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # all of it is in the main file, which is synced before the log goes
        except OSError as error:
            raise unavailable(self._path, str(error)) from error
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise unavailable(self._path, str(error)) from error
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file once what waits is written, within a bound; a second call does nothing."""
        self._writer.close(self._close_reader, patience_ms=CLOSE_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(
        self,
        work: Callable[[sqlite3.Connection], _T],
        *,
        durable: bool,
        deadline_ms: int | None,
        keep: bool,
    ) -> _T:
        return self._writer.write(
            work,
            durable=durable,
            lock_ms=WAIT_MS if deadline_ms is None else deadline_ms,
            patience_ms=DISK_MS if deadline_ms is None else deadline_ms,
            keep=keep,
        )


def _refuse_own_kind(kind: str) -> None:
    if kind in _OWN_KINDS or not kind.isidentifier():
        raise BrokenInvariant(f"{kind!r} is no kind of row that others may record")


def _tell_nobody(sentence: str) -> None:
    """Whoever opens a journal without a listener hears of its troubles by the errors alone."""

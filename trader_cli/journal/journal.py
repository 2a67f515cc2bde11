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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, Self, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import (
    IN_DOUBT,
    IntentEvent,
    IntentStatus,
    next_status,
)
from trader_cli.errors import BrokenInvariant
from trader_cli.journal import index
from trader_cli.journal.archive import (
    ARCHIVED,
    Sweep,
    attested_gaps,
    next_leaving,
    remove,
    write_aside,
)
from trader_cli.journal.database import (
    Opener,
    connect,
    corrupt,
    is_damage,
    translated,
    unavailable,
)
from trader_cli.journal.encoding import (
    CHAIN_START,
    DecodedObject,
    JsonObject,
    chain_hash,
    decode,
    encode,
)
from trader_cli.journal.index import INTENT, INTENT_EVENT, IntentRecord
from trader_cli.journal.requests import request_to_json
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
_PAGE_ROWS: Final = 500
_ROW: Final = "SELECT seq, local_ms, kind, data, hash FROM rows"
_CONTENT: Final = "SELECT seq, local_ms, kind, data FROM rows ORDER BY seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One line of the journal.

    Attributes:
        seq: 1 for the first row; gaps are rows that left for the archive.
        local_ms: when it was written by this machine's clock, UTC epoch milliseconds.
        data: as recorded, with Decimals as text.
        hash: over the row and the hash before it.
    """

    seq: int
    local_ms: int
    kind: str
    data: DecodedObject
    hash: str


class _Appended(NamedTuple):
    """A row just appended."""

    seq: int
    local_ms: int


class Journal:
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
        self._path = path
        self._clock = clock
        self._connection = connection
        self._lock = Lock()
        self._writer = Writer(path, clock, tell or _tell_nobody, opener)

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
        data = _intent_data(source, leg, attempt, request, details)
        self._write(
            lambda connection: self._append_intent(connection, data, leaving=leaving),
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
        data = _intent_data(source, leg, attempt, request, details)

        def judge_and_append(connection: sqlite3.Connection) -> None:
            admit(index.touched_since(connection, since_ms))
            self._append_intent(connection, data, leaving=leaving)

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
                data = _intent_data(source, leg, 0, request, {})
                self._append_intent(connection, data, leaving=True)
                self._append_event(connection, name, IntentEvent.ACCEPT, {})
            elif known.status is IntentStatus.INTENDED:
                self._append_event(connection, name, IntentEvent.SEND, {})
            self._append_event(connection, name, IntentEvent.CHANGE, details)

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
            lambda connection: self._append_event(connection, client_order_id, event, details),
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
            lambda connection: self._append_event(
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
            lambda connection: self._append(connection, kind, data).seq,
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
            lambda connection: self._append(connection, kind, data).seq,
            lock_ms=WAIT_MS,
            patience_ms=DISK_MS,
        )

    def intent(self, client_order_id: str) -> IntentRecord | None:
        """Return the intent with this id, None if there never was one."""
        with self._reading():
            return index.find_one(self._connection, client_order_id)

    def intents_of(self, source: str) -> list[IntentRecord]:
        """Return the intents of one decision or command, oldest first."""
        with self._reading():
            return index.find(self._connection, "source = ?", (source,))

    def unfinished_intents(self) -> list[IntentRecord]:
        """Return every intent whose end is not known, oldest first."""
        unfinished = tuple(str(status) for status in IntentStatus if not status.is_final)
        marks = ", ".join("?" * len(unfinished))
        with self._reading():
            return index.find(self._connection, f"status IN ({marks})", unfinished)

    def unknown_intents(self, symbol: str | None = None) -> list[IntentRecord]:
        """Return the intents whose sending or change has no trustworthy answer, oldest first."""
        with self._reading():
            unknown = index.find(self._connection, "status IN (?, ?)", IN_DOUBT)
        return [intent for intent in unknown if symbol is None or intent.symbol == symbol]

    def newest_seq(self) -> int:
        """Return the number of the newest row, 0 if there is none."""
        with self._reading():
            (seq,) = self._connection.execute("SELECT max(seq) FROM rows").fetchone()
        return 0 if seq is None else int(seq)

    def touched_since(self, since_ms: int) -> list[IntentRecord]:
        """Return the intents something was recorded about since `since_ms`, local time."""
        with self._reading():
            return index.touched_since(self._connection, since_ms)

    def rows(self, *, kind: str | None = None, after: int = 0) -> Iterator[JournalRow]:
        """Yield rows with a number above `after`, in order, also those appended meanwhile."""
        where = "seq > ?" if kind is None else "seq > ? AND kind = ?"
        query = f"{_ROW} WHERE {where} ORDER BY seq LIMIT {_PAGE_ROWS}"
        while True:
            values = (after,) if kind is None else (after, kind)
            with self._reading():
                page = self._connection.execute(query, values).fetchall()
            yield from (_to_row(*line) for line in page)
            if len(page) < _PAGE_ROWS:
                return
            after = page[-1][0]

    def last(self, kind: str) -> JournalRow | None:
        """Return the newest row of `kind`, None if there is none."""
        query = f"{_ROW} WHERE kind = ? ORDER BY seq DESC LIMIT 1"
        with self._reading():
            line = self._connection.execute(query, (kind,)).fetchone()
        return None if line is None else _to_row(*line)

    def verify(self) -> int | None:
        """Return None if the whole chain and the index hold, else the first broken row's number.

        Where rows left for the archive the chain goes on from the hash that their leaving attests.
        Rows cut off at the very end leave a whole, shorter chain and are not noticed.

        Raises:
            JournalUnavailable: the file cannot be read at all.
            JournalCorrupt: every row is whole, but the file around them is not.
        """
        with self._reading():
            self._connection.execute("BEGIN")  # one snapshot, whatever others append meanwhile
            try:
                return self._first_broken_row() or self._first_stale_intent()
            finally:
                self._connection.execute("ROLLBACK")

    def rebuild_index(self) -> None:
        """Derive the table of intents from the rows anew."""

        def derive_anew(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM intents")
            for record in index.derive(connection.execute(_CONTENT)).values():
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
            self._append(connection, ARCHIVED, attest)

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

    def _close_reader(self) -> None:
        with self._lock:
            self._connection.close()

    def _append(
        self,
        connection: sqlite3.Connection,
        kind: str,
        data: JsonObject,
        *,
        local_ms: int | None = None,
    ) -> _Appended:
        """Append in the running transaction, chained to what is the last row by now.

        `local_ms` is when it happened, None for now.
        """
        found = connection.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1")
        last_seq, previous = found.fetchone() or (0, CHAIN_START)
        local_ms = self._clock.now_ms() if local_ms is None else local_ms
        seq, text = last_seq + 1, encode(data)
        digest = chain_hash(previous, seq=seq, local_ms=local_ms, kind=kind, data=text)
        connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (seq, local_ms, kind, text, digest)
        )
        return _Appended(seq, local_ms)

    def _append_intent(
        self, connection: sqlite3.Connection, data: DecodedObject, *, leaving: bool
    ) -> None:
        name, status = data["client_order_id"], IntentStatus.INTENDED
        row = self._append(connection, INTENT, data)
        created_ms = row.local_ms
        if leaving:
            status = next_status(status, IntentEvent.SEND)
            event = _event_data(name, IntentEvent.SEND, status, {})
            row = self._append(connection, INTENT_EVENT, event)
        is_new = index.begin(
            *(connection, data, status),
            created_ms=created_ms,
            updated_ms=row.local_ms,
            last_seq=row.seq,
        )
        if not is_new:  # and the row goes with its transaction
            raise BrokenInvariant(
                f"client order id {name} was journaled before",
                advice="Ask the exchange about it: `trader order resolve`.",
            )

    def _append_event(
        self,
        connection: sqlite3.Connection,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        local_ms: int | None = None,
    ) -> IntentStatus:
        before = index.find_standing(connection, client_order_id)
        if before is None:
            raise BrokenInvariant(f"{event} of {client_order_id}, which was never journaled")
        status = next_status(before.status, event)
        data = _event_data(client_order_id, event, status, details)
        row = self._append(connection, INTENT_EVENT, data, local_ms=local_ms)
        index.advance(
            *(connection, client_order_id, before, status, details),
            local_ms=row.local_ms,
            last_seq=row.seq,
        )
        return status

    def _first_broken_row(self) -> int | None:
        previous, expected = CHAIN_START, 1
        try:
            gaps = attested_gaps(self._connection)
            for line in self._connection.execute(f"{_ROW} ORDER BY seq"):
                seq, local_ms, kind, data, digest = line
                while seq != expected and expected in gaps:
                    last, previous = gaps[expected]
                    expected = last + 1
                content = chain_hash(previous, seq=seq, local_ms=local_ms, kind=kind, data=data)
                if seq != expected or digest != content:
                    return expected
                previous, expected = digest, expected + 1
        except sqlite3.Error as error:
            if is_damage(error):
                return expected
            raise
        return None

    def _first_stale_intent(self) -> int | None:
        """Compare the index with what the rows, whole by now, add up to."""
        derived = index.derive(self._connection.execute(_CONTENT))
        kept = {record.client_order_id: record for record in index.find(self._connection)}
        differing = [
            (derived.get(name) or kept[name]).last_seq
            for name in derived.keys() | kept.keys()
            if derived.get(name) != kept.get(name)
        ]
        if differing:
            return min(differing)
        (answer,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise corrupt(self._path, answer)
        return None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._writer.settle(patience_ms=_SETTLE_MS)
        if not self._lock.acquire(timeout=WAIT_MS / 1000):
            raise unavailable(self._path, f"another thread has been reading for {WAIT_MS} ms")
        try:
            with translated(self._path):
                yield
        finally:
            self._lock.release()


def _intent_data(
    source: str, leg: Leg, attempt: int, request: OrderRequest, details: JsonObject
) -> DecodedObject:
    return {
        "client_order_id": request.client_order_id,
        "source": source,
        "leg": leg,
        "attempt": attempt,
        "symbol": request.symbol,
        "request": request_to_json(request),
        "details": details,
    }


def _event_data(
    client_order_id: str, event: IntentEvent, status: IntentStatus, details: JsonObject
) -> JsonObject:
    return {
        "client_order_id": client_order_id,
        "event": event,
        "status": status,
        "details": details,
    }


def _refuse_own_kind(kind: str) -> None:
    if kind in _OWN_KINDS or not kind.isidentifier():
        raise BrokenInvariant(f"{kind!r} is no kind of row that others may record")


def _tell_nobody(sentence: str) -> None:
    """Whoever opens a journal without a listener hears of its troubles by the errors alone."""


def _to_row(seq: int, local_ms: int, kind: str, data: str, digest: str) -> JournalRow:
    return JournalRow(seq=seq, local_ms=local_ms, kind=kind, data=decode(data), hash=digest)

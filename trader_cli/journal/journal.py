"""The journal: what we meant to send and what became of it, on disk before the socket opens.

Rows are append-only and hash-chained; the table of intents is an index that the rows can rebuild.
A durable write is fsynced before it returns. Other rows are committed at once without an fsync of
their own, in order: they survive the death of the process, and the next durable write or `flush`
carries them past a power cut too. Several processes may append to one file. It knows nothing of
the exchange.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, Self

from trader_cli.clock import Clock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus, next_status
from trader_cli.errors import BrokenInvariant
from trader_cli.journal import index
from trader_cli.journal.database import connect, corrupt, is_damage, translated, unavailable
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

WAIT_MS: Final = 1_000
"""How long a write waits for another process before it gives up."""

_OWN_KINDS: Final = frozenset({INTENT, INTENT_EVENT})
_PAGE_ROWS: Final = 500
_ROW: Final = "SELECT seq, local_ms, kind, data, hash FROM rows"
_CONTENT: Final = "SELECT seq, local_ms, kind, data FROM rows ORDER BY seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One line of the journal.

    Attributes:
        seq: 1 for the first row, without gaps.
        local_ms: when it was written by this machine's clock, UTC epoch milliseconds.
        data: as recorded, with Decimals as text.
        hash: over the row and the hash before it.
    """

    seq: int
    local_ms: int
    kind: str
    data: DecodedObject
    hash: str


class Journal:
    """One environment's journal; safe to call from several threads and processes."""

    def __init__(self, path: Path, clock: Clock, connection: sqlite3.Connection) -> None:
        self._path = path
        self._clock = clock
        self._connection = connection
        self._lock = Lock()
        self._flags: tuple[str, int] | None = None

    @classmethod
    def open(cls, path: Path, clock: Clock, *, wait_ms: int = WAIT_MS) -> Self:
        """Open the journal at `path`, creating it and its folder if absent.

        Raises:
            JournalUnavailable: it cannot be used; `JournalCorrupt` if its content is at fault.
        """
        return cls(path, clock, connect(path, wait_ms=wait_ms))

    def record_intent(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        deadline_ms: int | None = None,
    ) -> None:
        """Write down what is about to be sent; on disk when it returns.

        `deadline_ms` (None: WAIT_MS) bounds the wait for other writers, not for a disk that hangs:
        whoever must not hang with it calls this from a thread.

        Raises:
            BrokenInvariant: the client order id was used before.
            JournalUnavailable: it is not recorded.
        """
        data: JsonObject = {
            "client_order_id": request.client_order_id,
            "source": source,
            "leg": leg,
            "attempt": attempt,
            "symbol": request.symbol,
            "request": request_to_json(request),
            "details": details,
        }
        with self._transaction(durable=True, deadline_ms=deadline_ms):
            if index.find_one(self._connection, request.client_order_id) is not None:
                raise BrokenInvariant(
                    f"client order id {request.client_order_id} was journaled before",
                    advice="Ask the exchange about it: `trader order resolve`.",
                )
            self._append_about(None, INTENT, data)

    def record_event(
        self,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
    ) -> IntentStatus:
        """Write down what happened to an intent and return its new status.

        `details` of later events are laid over earlier ones in `IntentRecord.outcome`.

        Raises:
            BrokenInvariant: no such intent, or the event cannot follow its status.
            JournalUnavailable: it is not recorded.
        """
        with self._transaction(durable=durable, deadline_ms=deadline_ms):
            known = index.find_one(self._connection, client_order_id)
            if known is None:
                raise BrokenInvariant(f"{event} of {client_order_id}, which was never journaled")
            status = next_status(known.status, event)
            data: JsonObject = {
                "client_order_id": client_order_id,
                "event": event,
                "status": status,
                "details": details,
            }
            self._append_about(known, INTENT_EVENT, data)
        return status

    def record(
        self, kind: str, data: JsonObject, *, durable: bool = False, deadline_ms: int | None = None
    ) -> int:
        """Append one row and return its number.

        Raises:
            BrokenInvariant: `kind` is one of the journal's own, or `data` cannot be kept.
            JournalUnavailable: it is not recorded.
        """
        if kind in _OWN_KINDS or not kind.isidentifier():
            raise BrokenInvariant(f"{kind!r} is no kind of row that others may record")
        with self._transaction(durable=durable, deadline_ms=deadline_ms):
            return self._append(kind, data)[0]

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
        """Return the intents that left us without a trustworthy answer, oldest first."""
        with self._reading():
            unknown = index.find(self._connection, "status = ?", (str(IntentStatus.UNKNOWN),))
        return [intent for intent in unknown if symbol is None or intent.symbol == symbol]

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
        with self._transaction(durable=True, deadline_ms=None):
            self._connection.execute("DELETE FROM intents")
            for record in index.derive(self._connection.execute(_CONTENT)).values():
                index.store(self._connection, record)

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
        """Close the file; a second call does nothing."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, kind: str, data: JsonObject) -> tuple[int, int, str]:
        """Append in the running transaction, chained to what is the last row by now."""
        found = self._connection.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1")
        last_seq, previous = found.fetchone() or (0, CHAIN_START)
        seq, local_ms, text = last_seq + 1, self._clock.now_ms(), encode(data)
        digest = chain_hash(previous, seq=seq, local_ms=local_ms, kind=kind, data=text)
        self._connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (seq, local_ms, kind, text, digest)
        )
        return seq, local_ms, text

    def _append_about(self, known: IntentRecord | None, kind: str, data: JsonObject) -> None:
        seq, local_ms, text = self._append(kind, data)
        record = index.follow(known, seq=seq, local_ms=local_ms, kind=kind, data=decode(text))
        index.store(self._connection, record)

    def _first_broken_row(self) -> int | None:
        previous, expected = CHAIN_START, 1
        try:
            for line in self._connection.execute(f"{_ROW} ORDER BY seq"):
                seq, local_ms, kind, data, digest = line
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
        with self._held(WAIT_MS), translated(self._path):
            yield

    @contextmanager
    def _transaction(self, *, durable: bool, deadline_ms: int | None) -> Iterator[None]:
        wait_ms = WAIT_MS if deadline_ms is None else deadline_ms
        started = self._clock.monotonic()
        with self._held(wait_ms), translated(self._path):
            waited_ms = int((self._clock.monotonic() - started) * 1000)
            self._set_flags("FULL" if durable else "NORMAL", max(0, wait_ms - waited_ms))
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _set_flags(self, synchronous: str, wait_ms: int) -> None:
        if self._flags != (synchronous, wait_ms):
            self._connection.execute(f"PRAGMA synchronous={synchronous}")
            self._connection.execute(f"PRAGMA busy_timeout={wait_ms}")
            self._flags = (synchronous, wait_ms)

    @contextmanager
    def _held(self, wait_ms: int) -> Iterator[None]:
        if not self._lock.acquire(timeout=wait_ms / 1000):
            raise unavailable(self._path, f"busy in another thread for {wait_ms} ms")
        try:
            yield
        finally:
            self._lock.release()


def _to_row(seq: int, local_ms: int, kind: str, data: str, digest: str) -> JournalRow:
    return JournalRow(seq=seq, local_ms=local_ms, kind=kind, data=decode(data), hash=digest)

"""What the journal's rows say: intents and rows read back, the whole chain proven.

Knows the tables; must not know how a row comes into them. One connection, shared by all threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from trader_cli.domain.order_life_cycle import IN_DOUBT, IntentStatus
from trader_cli.journal import index
from trader_cli.journal.archive import attested_gaps
from trader_cli.journal.database import corrupt, is_damage, translated, unavailable
from trader_cli.journal.encoding import CHAIN_START, DecodedObject, chain_hash, decode
from trader_cli.journal.index import IntentRecord

CONTENT: Final = "SELECT seq, local_ms, kind, data FROM rows ORDER BY seq"
"""What the table of intents is derived from."""

_WAIT_MS: Final = 1_000
_PAGE_ROWS: Final = 500
_ROW: Final = "SELECT seq, local_ms, kind, data, hash FROM rows"


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


class JournalReader:
    """The reading half of `Journal`; safe to call from several threads.

    `settle` is called before every read: what this process recorded is to be seen by it.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, settle: Callable[[], None]
    ) -> None:
        self._path = path
        self._connection = connection
        self._settle = settle
        self._lock = Lock()

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

    def _close_reader(self) -> None:
        with self._lock:
            self._connection.close()

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
        derived = index.derive(self._connection.execute(CONTENT))
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
        self._settle()
        if not self._lock.acquire(timeout=_WAIT_MS / 1000):
            raise unavailable(self._path, f"another thread has been reading for {_WAIT_MS} ms")
        try:
            with translated(self._path):
                yield
        finally:
            self._lock.release()


def _to_row(seq: int, local_ms: int, kind: str, data: str, digest: str) -> JournalRow:
    return JournalRow(seq=seq, local_ms=local_ms, kind=kind, data=decode(data), hash=digest)

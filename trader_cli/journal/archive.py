"""Take old rows out of the journal into files of their own, leaving a chain that still proves.

Rows leave in small steps, each one transaction: a file with the rows as they were, the rows gone,
and one more row that names the file, its checksum and, for every run of rows that left, the hash of
the last one. With these the chain is followed over the gaps; rows that went any other way break it.
What may leave is the caller's knowledge (`Expired`); orders leave whole, with all that happened to
them, and never while their end is not known.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trader_cli.journal import index
from trader_cli.journal.encoding import JsonObject, decode
from trader_cli.journal.files import ensure_private_directory, replace_durably
from trader_cli.journal.index import INTENT, INTENT_EVENT

ARCHIVED: Final = "archived"
"""Kind of the rows that say what left; they themselves never do."""

ARCHIVE_FOLDER: Final = "archive"

_LINE: Final = "SELECT seq, local_ms, kind, data, hash FROM rows"
_PAGE: Final = f"{_LINE} WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?"
_NOT_DELETED: Final = "rows_not_deleted"

Line = tuple[int, int, str, str, str]
"""A row as it lies in the file: seq, local_ms, kind, data, hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What may leave.

    Attributes:
        before_ms: rows and ends of orders before this local time.
        kinds: kinds of rows whose old ones are no longer needed, each with the number of the last
            row that may leave (None: any). The newest row of a kind always stays.
        kept_symbols: orders of these symbols stay, from these local times on.
    """

    before_ms: int
    kinds: Mapping[str, int | None]
    kept_symbols: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Sweep:
    """How far one passage through the old rows has come.

    Attributes:
        after: number of the last row looked at.
        orders: rows of orders whose last row lies ahead.
        newest: the newest row of each kind that may leave, found at the beginning.
    """

    expired: Expired
    after: int = 0
    orders: dict[str, list[Line]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    end: int | None = None


def next_leaving(
    connection: sqlite3.Connection, sweep: Sweep, *, rows_max: int
) -> list[Line] | None:
    """Look at up to `rows_max` more rows and return those that leave, None at the end."""
    if sweep.end is None:
        sweep.end = _end_of(connection, sweep.expired.before_ms)
        for kind in sweep.expired.kinds:
            found = connection.execute("SELECT max(seq) FROM rows WHERE kind = ?", (kind,))
            sweep.newest[kind] = found.fetchone()[0] or 0
    page: list[Line] = connection.execute(_PAGE, (sweep.after, sweep.end, rows_max)).fetchall()
    if not page:
        return None
    sweep.after = page[-1][0]
    leaving: list[Line] = []
    for line in page:
        kind = line[2]
        if kind in (INTENT, INTENT_EVENT):
            leaving += _of_order(connection, sweep, line)
        elif kind in sweep.expired.kinds and _is_expired(sweep, line):
            leaving.append(line)
    return sorted(leaving)


def write_aside(folder: Path, lines: list[Line]) -> JsonObject:
    """Write rows that leave into a file, on disk when it returns, and return what attests them.

    Raises:
        OSError: the file could not be written.
    """
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    packed = gzip.compress(content, compresslevel=3, mtime=0)
    path = folder / ARCHIVE_FOLDER / f"rows-{lines[0][0]:09d}-{lines[-1][0]:09d}.jsonl.gz"
    ensure_private_directory(path.parent)
    replace_durably(path, packed)
    return {
        "file": path.name,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "rows": len(lines),
        "runs": [[first, last, digest] for first, last, digest in _runs(lines)],
    }


def remove(connection: sqlite3.Connection, lines: list[Line]) -> None:
    """Delete the rows, and what the index has of their orders, in the running transaction."""
    (trigger,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (_NOT_DELETED,)
    ).fetchone()
    connection.execute(f"DROP TRIGGER {_NOT_DELETED}")
    for first, last, _ in _runs(lines):
        connection.execute("DELETE FROM rows WHERE seq BETWEEN ? AND ?", (first, last))
    for name in {_order_of(line) for line in lines if line[2] == INTENT}:
        connection.execute("DELETE FROM intents WHERE client_order_id = ?", (name,))
    connection.execute(trigger)


def attested_gaps(connection: sqlite3.Connection) -> dict[int, tuple[int, str]]:
    """Return by the number of its first row each run that left: its last row and that one's hash.

    Runs next to each other are told apart.
    """
    gaps: dict[int, tuple[int, str]] = {}
    for (text,) in connection.execute("SELECT data FROM rows WHERE kind = ?", (ARCHIVED,)):
        for first, last, digest in decode(text)["runs"]:
            gaps[first] = (last, digest)
    return gaps


def _of_order(connection: sqlite3.Connection, sweep: Sweep, line: Line) -> list[Line]:
    """Keep a row of an order in mind; return all of its rows with the last one, if they leave."""
    name = _order_of(line)
    rows = sweep.orders.setdefault(name, [])
    rows.append(line)
    intent = index.find_one(connection, name)
    if intent is None or line[0] < intent.last_seq:
        return []
    del sweep.orders[name]
    kept_from_ms = sweep.expired.kept_symbols.get(intent.symbol)
    if kept_from_ms is not None and intent.updated_ms >= kept_from_ms:
        return []
    expired = intent.status.is_final and intent.updated_ms < sweep.expired.before_ms
    return rows if expired else []


def _is_expired(sweep: Sweep, line: Line) -> bool:
    seq, local_ms, kind, _, _ = line
    last = sweep.expired.kinds[kind]
    return (
        local_ms < sweep.expired.before_ms
        and seq < sweep.newest[kind]
        and (last is None or seq <= last)
    )


def _order_of(line: Line) -> str:
    return str(decode(line[3])["client_order_id"])


def _end_of(connection: sqlite3.Connection, before_ms: int) -> int:
    """Return the first row from `before_ms` on; rows are in the order of time but for clock steps.

    The newest row never leaves.
    """
    low, high = connection.execute("SELECT min(seq), max(seq) FROM rows").fetchone()
    if low is None:
        return 0
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(
            "SELECT seq, local_ms FROM rows WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if found[1] >= before_ms:
            high = middle
        else:
            low = found[0] + 1
    return int(min(low, high))


def _runs(lines: Iterable[Line]) -> list[tuple[int, int, str]]:
    runs: list[tuple[int, int, str]] = []
    for line in lines:
        seq, digest = line[0], line[4]
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq, digest)
        else:
            runs.append((seq, seq, digest))
    return runs

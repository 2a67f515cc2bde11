"""The SQLite file under the journal: its tables, how it comes into being, its failures by name.

WAL lets the command line and the engine append at once. The file is built aside and linked into
place, so that two processes that start together never see it half made (switching a shared file
to WAL may fail with "locked" whatever the timeout).

Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Protocol

from trader_cli.journal.errors import JournalCorrupt, JournalUnavailable
from trader_cli.journal.files import FILE_MODE, ensure_private_directory, sync_directory

_VERSION: Final = 1
_BY_UPDATE: Final = "CREATE INDEX IF NOT EXISTS intents_by_update ON intents (updated_ms)"
"""Journals made before this index was thought of get it with their next write."""

_SCHEMA: Final = f"""
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY, local_ms INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX rows_by_kind ON rows (kind, seq);
CREATE TRIGGER rows_not_updated BEFORE UPDATE ON rows
    BEGIN SELECT RAISE(ABORT, 'journal rows are append-only'); END;
CREATE TRIGGER rows_not_deleted BEFORE DELETE ON rows
    BEGIN SELECT RAISE(ABORT, 'journal rows are append-only'); END;
CREATE TABLE intents (
    client_order_id TEXT PRIMARY KEY, source TEXT NOT NULL, leg TEXT NOT NULL,
    attempt INTEGER NOT NULL, symbol TEXT NOT NULL, request TEXT NOT NULL, details TEXT NOT NULL,
    outcome TEXT NOT NULL, status TEXT NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, last_seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX intents_by_source ON intents (source);
CREATE INDEX intents_by_status ON intents (status);
{_BY_UPDATE};
PRAGMA user_version = {_VERSION};
"""
_CHECKPOINT_PAGES: Final = 4_000  # a checkpoint costs two fsyncs on the path of some order


class Opener(Protocol):
    """How a connection is made: `connect`, or a test's own."""

    def __call__(self, path: Path, *, wait_ms: int) -> sqlite3.Connection: ...


def connect(path: Path, *, wait_ms: int) -> sqlite3.Connection:
    """Return a connection in autocommit mode to the journal at `path`, created if it is absent.

    Raises:
        JournalUnavailable: the folder or file cannot be used.
        JournalCorrupt: the file is not a journal.
    """
    try:
        ensure_private_directory(path.parent)
        if not path.exists():
            _create(path)
    except OSError as error:
        raise unavailable(path, error.strerror or str(error)) from error
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=wait_ms / 1000, isolation_level=None, check_same_thread=False
        )
    try:
        with translated(path):
            _check(path, connection)
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    except JournalUnavailable:
        connection.close()
        raise
    return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `JournalUnavailable` or `JournalCorrupt`."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None)
        if is_damage(error):
            raise corrupt(path, str(error)) from error
        raise unavailable(path, f"{error} ({name})") from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Run what is inside in one transaction: all of it, or nothing if it raises."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


class WritingConnection:
    """The connection that rows are written by; the first transaction opens it."""

    def __init__(self, path: Path, opener: Opener) -> None:
        self._path = path
        self._opener = opener
        self._connection: sqlite3.Connection | None = None
        self._flags: tuple[str, int] | None = None

    @contextmanager
    def transaction(self, *, durable: bool, lock_ms: int) -> Iterator[sqlite3.Connection]:
        """Run what is inside in one transaction; `lock_ms` bounds the wait for other writers.

        Raises:
            JournalUnavailable: nothing of it is written.
        """
        connection = self._connection or self._connected(lock_ms)
        with translated(self._path):
            self._set_flags(connection, "FULL" if durable else "NORMAL", lock_ms)
        with transaction(connection, self._path):
            yield connection

    def close(self) -> None:
        """Close what was opened."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self, wait_ms: int) -> sqlite3.Connection:
        connection = self._opener(self._path, wait_ms=wait_ms)
        with translated(self._path):
            connection.execute(_BY_UPDATE)
        self._connection = connection
        return connection

    def _set_flags(self, connection: sqlite3.Connection, synchronous: str, wait_ms: int) -> None:
        if self._flags != (synchronous, wait_ms):
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(f"PRAGMA busy_timeout={wait_ms}")
            self._flags = (synchronous, wait_ms)


def is_damage(error: sqlite3.Error) -> bool:
    """Return True if the file's content is at fault, not its surroundings."""
    name = getattr(error, "sqlite_errorname", None)
    if name is None:  # the binding itself, e.g. bytes that are no text
        return not isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError))
    return str(name).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def unavailable(path: Path, reason: str) -> JournalUnavailable:
    return JournalUnavailable(
        f"journal {path}: {reason}",
        code="journal_unavailable",
        advice="Nothing new is sent without its record; free the disk or end the process that"
        " holds the file. Exits and `trader kill` work without it.",
    )


def corrupt(path: Path, reason: str) -> JournalCorrupt:
    return JournalCorrupt(
        f"journal {path}: {reason}",
        code="journal_corrupt",
        advice="Keep a copy, run `trader journal verify`, then move the file away to start anew;"
        " `trader kill` works without it.",
    )


def _create(path: Path) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    aside.unlink(missing_ok=True)
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    try:
        with translated(path), closing(sqlite3.connect(aside, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
        os.link(aside, path)
    except FileExistsError:
        pass  # another process was quicker; its file is as good
    finally:
        aside.unlink(missing_ok=True)
    sync_directory(path.parent)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (mode, version) != ("wal", _VERSION):
        raise corrupt(path, f"is no journal of this version (mode {mode}, version {version})")

"""The tables of the venue's memory, and how rows get into them: as JSON that SQLite takes apart.

One statement a table takes in any number of rows without holding the interpreter, so that it can
run beside the exchange. Rows are JSON beside the few columns that are searched. Writing the same
rows again changes nothing. Must not know what the records mean, nor when they are written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import orjson

from trader_cli.domain.terms import AlgoStatus, OrderStatus
from trader_cli.paper.state.state import Changes, JsonObject

ID_TABLES: Final = ("orders", "algos", "trades", "income", "amendments", "margin_moves")
"""The tables whose rows have ids; each is named as the field of `Changes` it keeps."""

_SNAPSHOTS: Final = "snapshots"
_CACHE_KIB: Final = 16_384
"""Enough for the index pages a year of orders comes back to."""

_CHECKPOINT_PAGES: Final = 4_000
_ID_TAIL: Final = "id INTEGER PRIMARY KEY, symbol TEXT, time_ms INTEGER, body TEXT"
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS orders (client_id TEXT, open INTEGER, forced INTEGER, {_ID_TAIL});
CREATE INDEX IF NOT EXISTS orders_symbol ON orders (symbol, id);
CREATE INDEX IF NOT EXISTS orders_client ON orders (client_id);
CREATE INDEX IF NOT EXISTS orders_open ON orders (id) WHERE open;
CREATE INDEX IF NOT EXISTS orders_forced ON orders (id) WHERE forced;
CREATE TABLE IF NOT EXISTS algos (client_id TEXT, open INTEGER, {_ID_TAIL});
CREATE INDEX IF NOT EXISTS algos_symbol ON algos (symbol, id);
CREATE INDEX IF NOT EXISTS algos_client ON algos (client_id);
CREATE INDEX IF NOT EXISTS algos_open ON algos (id) WHERE open;
CREATE TABLE IF NOT EXISTS trades (order_id INTEGER, {_ID_TAIL});
CREATE INDEX IF NOT EXISTS trades_symbol ON trades (symbol, id);
CREATE INDEX IF NOT EXISTS trades_order ON trades (order_id);
CREATE TABLE IF NOT EXISTS income (type TEXT, {_ID_TAIL});
CREATE INDEX IF NOT EXISTS income_time ON income (time_ms);
CREATE TABLE IF NOT EXISTS amendments (order_id INTEGER, {_ID_TAIL});
CREATE INDEX IF NOT EXISTS amendments_order ON amendments (order_id);
CREATE TABLE IF NOT EXISTS margin_moves ({_ID_TAIL});
CREATE TABLE IF NOT EXISTS snapshots (name TEXT PRIMARY KEY, body TEXT);
"""


def _field(name: str) -> str:
    return f"json_extract(value, '$.{name}')"


def _one_of(statuses: Iterable[StrEnum]) -> str:
    words = ", ".join(f"'{status.value}'" for status in statuses)
    return f"{_field('status')} IN ({words})"


def _into(table: str, *columns: str) -> str:
    """Return the statement that takes rows from a JSON array; all but the last column given."""
    return f"INTO {table} SELECT {', '.join(columns)}, value FROM json_each(?) WHERE true"


_ORDER_OPEN: Final = _one_of(status for status in OrderStatus if status.is_open)
_ALGO_OPEN: Final = _one_of(status for status in AlgoStatus if status.is_open)
_UPDATE: Final = "ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body"
_SYMBOL, _TIME, _CREATED, _ORDER_ID = map(_field, ("symbol", "time_ms", "created_ms", "order_id"))
_ORDER: Final = _into(
    "orders",
    _field("client_order_id"),
    _ORDER_OPEN,
    _field("forced"),
    _ORDER_ID,
    _SYMBOL,
    _CREATED,
)
_ALGO: Final = _into(
    "algos", _field("client_algo_id"), _ALGO_OPEN, _field("algo_id"), _SYMBOL, _CREATED
)
_TRADE: Final = _into("trades", _ORDER_ID, _field("trade_id"), _SYMBOL, _TIME)
_INCOME: Final = _into("income", _field("type"), _field("tran_id"), _SYMBOL, _TIME)
_AMENDMENT: Final = _into("amendments", _ORDER_ID, _field("amendment_id"), _SYMBOL, _TIME)
_MARGIN_MOVE: Final = _into("margin_moves", _field("move_id"), _SYMBOL, _TIME)
_WRITE: Final = {
    "orders": f"INSERT {_ORDER} {_UPDATE}",
    "algos": f"INSERT {_ALGO} {_UPDATE}",
    "trades": f"INSERT OR REPLACE {_TRADE}",
    "income": f"INSERT OR REPLACE {_INCOME}",
    "amendments": f"INSERT OR REPLACE {_AMENDMENT}",
    "margin_moves": f"INSERT OR REPLACE {_MARGIN_MOVE}",
}
_WRITE_SNAPSHOTS: Final = "INSERT OR REPLACE INTO snapshots SELECT key, value FROM json_each(?)"


class Rows:
    """Rows on their way into the tables, as the JSON texts they will be there."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: dict[str, list[bytes]] = {}
        self._snapshots: dict[bytes, bytes] = {}

    def __bool__(self) -> bool:
        return self.size > 0

    def add(self, changes: Changes) -> bytes:
        """Add what changed and return it as one line of JSON, its newline included."""
        parts: list[bytes] = []
        for table, records in (
            ("orders", list(changes.orders.values())),
            ("algos", list(changes.algos.values())),
            ("trades", changes.trades),
            ("income", changes.income),
            ("amendments", changes.amendments),
            ("margin_moves", changes.margin_moves),
        ):
            if records:
                # Decimals become text, as `records.from_json` expects them.
                rows = orjson.dumps(records, default=str)
                self._pieces.setdefault(table, []).append(rows[1:-1])
                parts.append(b'"%b":%b' % (table.encode(), rows))
        if changes.snapshots:
            bodies = {orjson.dumps(k): _dump(v) for k, v in changes.snapshots.items()}
            self._snapshots.update(bodies)
            parts.append(b'"%b":%b' % (_SNAPSHOTS.encode(), _object(bodies)))
        line = b"{%b}\n" % b",".join(parts)
        self.size += len(line)
        return line

    def add_line(self, line: bytes) -> None:
        """Add what a line of `add` tells.

        Raises:
            ValueError: it is none.
        """
        told = orjson.loads(line)
        for name, bodies in told.pop(_SNAPSHOTS, {}).items():
            self._snapshots[orjson.dumps(name)] = _dump(bodies)
        for table, records in told.items():
            self._pieces.setdefault(table, []).append(_dump(records)[1:-1])
        self.size += len(line)

    def write(self, db: sqlite3.Connection) -> None:
        """Write everything in one transaction."""
        with db:
            db.execute("BEGIN")
            for table, pieces in self._pieces.items():
                db.execute(_WRITE[table], ((b"[%b]" % b",".join(pieces)).decode(),))
            if self._snapshots:
                db.execute(_WRITE_SNAPSHOTS, (_object(self._snapshots).decode(),))


def open_tables(path: Path) -> sqlite3.Connection:
    """Open or create the file, readable by its owner only; its folder is created too.

    Write-ahead logging without a sync per commit: a commit reaches the kernel, not the disk. The
    connection may be handed from thread to thread.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, isolation_level=None, cached_statements=64, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    db.executescript(_SCHEMA)
    return db


def clear_tables(db: sqlite3.Connection, kept: Mapping[str, JsonObject]) -> None:
    """Forget every row but these snapshots, in one transaction."""
    with db:
        db.execute("BEGIN")
        for table in (*ID_TABLES, _SNAPSHOTS):
            db.execute(f"DELETE FROM {table}")
        db.execute(_WRITE_SNAPSHOTS, (_dump(kept).decode(),))


def _dump(body: object) -> bytes:
    return orjson.dumps(body, default=str)


def _object(bodies: dict[bytes, bytes]) -> bytes:
    """Return the JSON object of texts by name."""
    return b"{%b}" % b",".join(b"%b:%b" % pair for pair in bodies.items())

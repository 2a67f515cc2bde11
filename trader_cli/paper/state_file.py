"""The venue's memory in one SQLite file, so that a killed server forgets nothing it answered.

Write-ahead logging without a sync per commit: a commit reaches the kernel before `save`
returns, so it survives the end of the process, and costs microseconds. Rows are JSON beside
the few columns that are searched. Must not know what the records mean.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final, TypeVar

import orjson

from trader_cli.paper.records import (
    AlgoRecord,
    AmendmentRecord,
    IncomeRecord,
    MarginMoveRecord,
    OrderRecord,
    TradeRecord,
    from_json,
)
from trader_cli.paper.state import MARKET_SNAPSHOT, Changes, JsonObject, Window

_Record = TypeVar("_Record")

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
_UPSERT_ORDER: Final = """
INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body
"""
_UPSERT_ALGO: Final = """
INSERT INTO algos VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body
"""
_ID_TABLES: Final = ("orders", "algos", "trades", "income", "amendments", "margin_moves")


class FileState:
    """A `State` in a file, readable by its owner only. One process at a time writes it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; its folder is created too."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, cached_statements=64)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        self._db.executescript(_SCHEMA)

    def save(self, changes: Changes) -> None:
        """Write all changes in one transaction."""
        db = self._db
        db.execute("BEGIN")
        db.executemany(
            _UPSERT_ORDER,
            [
                (
                    o.client_order_id,
                    o.status.is_open,
                    o.forced,
                    o.order_id,
                    o.symbol,
                    o.created_ms,
                    _dump(o),
                )
                for o in changes.orders.values()
            ],
        )
        if changes.trades:
            db.executemany(
                "INSERT INTO trades VALUES (?, ?, ?, ?, ?)",
                [(t.order_id, t.trade_id, t.symbol, t.time_ms, _dump(t)) for t in changes.trades],
            )
        if changes.income:
            db.executemany(
                "INSERT INTO income VALUES (?, ?, ?, ?, ?)",
                [(r.type, r.tran_id, r.symbol, r.time_ms, _dump(r)) for r in changes.income],
            )
        if changes.algos or changes.amendments or changes.margin_moves:
            self._save_rarer(changes)
        db.executemany(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?)",
            [(name, _dump(body)) for name, body in changes.snapshots.items()],
        )
        db.execute("COMMIT")

    def _save_rarer(self, changes: Changes) -> None:
        db = self._db
        db.executemany(
            _UPSERT_ALGO,
            [
                (
                    a.client_algo_id,
                    a.status.is_open,
                    a.algo_id,
                    a.symbol,
                    a.created_ms,
                    _dump(a),
                )
                for a in changes.algos.values()
            ],
        )
        db.executemany(
            "INSERT INTO amendments VALUES (?, ?, ?, ?, ?)",
            [
                (r.order_id, r.amendment_id, r.symbol, r.time_ms, _dump(r))
                for r in changes.amendments
            ],
        )
        db.executemany(
            "INSERT INTO margin_moves VALUES (?, ?, ?, ?)",
            [(r.move_id, r.symbol, r.time_ms, _dump(r)) for r in changes.margin_moves],
        )

    def snapshots(self) -> dict[str, JsonObject]:
        rows = self._db.execute("SELECT name, body FROM snapshots").fetchall()
        return {name: orjson.loads(body) for name, body in rows}

    def load_market(self) -> JsonObject | None:
        return self.snapshots().get(MARKET_SNAPSHOT)

    def last_ids(self) -> dict[str, int]:
        ids: dict[str, int] = {}
        for table in _ID_TABLES:
            (last,) = self._db.execute(f"SELECT MAX(id) FROM {table}").fetchone()
            if last is not None:
                ids[table] = last
        return ids

    def open_orders(self) -> list[OrderRecord]:
        return self._read(OrderRecord, "SELECT body FROM orders WHERE open ORDER BY id")

    def open_algos(self) -> list[AlgoRecord]:
        return self._read(AlgoRecord, "SELECT body FROM algos WHERE open ORDER BY id")

    def order(self, order_id: int) -> OrderRecord | None:
        return self._first(OrderRecord, "SELECT body FROM orders WHERE id = ?", order_id)

    def order_by_client_id(self, symbol: str, client_id: str) -> OrderRecord | None:
        return self._first(
            OrderRecord,
            "SELECT body FROM orders WHERE client_id = ? AND symbol = ? ORDER BY id DESC LIMIT 1",
            client_id,
            symbol,
        )

    def algo(self, algo_id: int) -> AlgoRecord | None:
        return self._first(AlgoRecord, "SELECT body FROM algos WHERE id = ?", algo_id)

    def algo_by_client_id(self, client_id: str) -> AlgoRecord | None:
        return self._first(
            AlgoRecord,
            "SELECT body FROM algos WHERE client_id = ? ORDER BY id DESC LIMIT 1",
            client_id,
        )

    def orders(self, window: Window) -> list[OrderRecord]:
        return self._window(OrderRecord, "orders", window)

    def forced_orders(self, window: Window) -> list[OrderRecord]:
        return self._window(OrderRecord, "orders", window, "forced")

    def algos(self, window: Window) -> list[AlgoRecord]:
        return self._window(AlgoRecord, "algos", window)

    def trades(self, window: Window, order_id: int | None) -> list[TradeRecord]:
        if order_id is None:
            return self._window(TradeRecord, "trades", window)
        return self._window(TradeRecord, "trades", window, "order_id = ?", order_id)

    def income(self, window: Window, income_type: str | None) -> list[IncomeRecord]:
        if income_type is None:
            return self._window(IncomeRecord, "income", window)
        return self._window(IncomeRecord, "income", window, "type = ?", income_type)

    def amendments(self, order_id: int) -> list[AmendmentRecord]:
        return self._read(
            AmendmentRecord, "SELECT body FROM amendments WHERE order_id = ? ORDER BY id", order_id
        )

    def margin_moves(self, window: Window) -> list[MarginMoveRecord]:
        return self._window(MarginMoveRecord, "margin_moves", window)

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("BEGIN")
        for table in (*_ID_TABLES, "snapshots"):
            self._db.execute(f"DELETE FROM {table}")
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def _window(
        self, kind: type[_Record], table: str, window: Window, also: str = "1", *values: object
    ) -> list[_Record]:
        conditions, arguments = [also], list(values)
        for condition, value in (
            ("symbol = ?", window.symbol),
            ("time_ms >= ?", window.start_ms),
            ("time_ms <= ?", window.end_ms),
            ("id >= ?", window.from_id),
        ):
            if value is not None:
                conditions.append(condition)
                arguments.append(value)
        where, order = " AND ".join(conditions), "DESC" if window.newest else "ASC"
        rows = self._read(
            kind,
            f"SELECT body FROM {table} WHERE {where} ORDER BY id {order} LIMIT ?",
            *arguments,
            window.limit,
        )
        return rows[::-1] if window.newest else rows

    def _read(self, kind: type[_Record], query: str, *arguments: object) -> list[_Record]:
        rows = self._db.execute(query, arguments).fetchall()
        return [from_json(kind, orjson.loads(body)) for (body,) in rows]

    def _first(self, kind: type[_Record], query: str, *arguments: object) -> _Record | None:
        rows = self._read(kind, query, *arguments)
        return rows[0] if rows else None


def _dump(record: object) -> str:
    """Return a record as JSON text; decimals become text, as `records.from_json` expects them."""
    return orjson.dumps(record, default=str).decode()

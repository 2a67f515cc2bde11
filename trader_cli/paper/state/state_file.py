"""The venue's memory in one SQLite file, so that a killed server forgets nothing it answered.

What changes is appended to a log first (`state_log.py`), which costs microseconds, and goes from
there into the tables (`state_tables.py`) in large pieces, on a thread beside the exchange. Who
asks the tables something waits until they are up to date. Must not know what the records mean.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import orjson

from trader_cli.errors import BrokenInvariant
from trader_cli.paper.state.records import (
    AlgoRecord,
    AmendmentRecord,
    IncomeRecord,
    MarginMoveRecord,
    OrderRecord,
    TradeRecord,
    from_json,
)
from trader_cli.paper.state.state import MARKET_SNAPSHOT, Changes, JsonObject, Window
from trader_cli.paper.state.state_log import StateLog
from trader_cli.paper.state.state_tables import ID_TABLES, Rows, clear_tables, open_tables

_Record = TypeVar("_Record")

_PIECE_BYTES: Final = 1 << 18
"""How much goes into the tables at a time: some four hundred orders, a few milliseconds."""

_BEHIND_BYTES_MAX: Final = 1 << 22
"""How far the tables may fall behind before the exchange waits for them."""


class FileState:
    """A `State` in a file, readable by its owner only. One process at a time writes it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file, and take into it what a killed process left in its log."""
        self._db = open_tables(path)
        self._log = StateLog(path)
        self._waiting = Rows()
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._piece: tuple[Rows, Path | None] | None = None
        for left, lines in self._log.left().items():
            _write(self._db, _read_lines(left, lines), left)

    def save(self, changes: Changes) -> None:
        """Append all changes to the log; the tables follow."""
        self._log.append(self._waiting.add(changes))
        if self._waiting.size < _PIECE_BYTES:
            return
        busy = self._writing is not None and not self._writing.done()
        if not busy or self._waiting.size >= _BEHIND_BYTES_MAX:
            self._join()
            self._writing = self._writer.submit(_write, self._db, *self._cut())

    def snapshots(self) -> dict[str, JsonObject]:
        rows = self._tables().execute("SELECT name, body FROM snapshots").fetchall()
        return {name: orjson.loads(body) for name, body in rows}

    def load_market(self) -> JsonObject | None:
        return self.snapshots().get(MARKET_SNAPSHOT)

    def last_ids(self) -> dict[str, int]:
        ids: dict[str, int] = {}
        for table in ID_TABLES:
            (last,) = self._tables().execute(f"SELECT MAX(id) FROM {table}").fetchone()
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

    def clear(self, kept: Mapping[str, JsonObject]) -> None:
        """Forget everything but these snapshots, in one transaction."""
        clear_tables(self._tables(), kept)

    def close(self) -> None:
        try:
            self._tables()
        finally:
            self._writer.shutdown()
            self._db.close()

    def _tables(self) -> sqlite3.Connection:
        """Return the tables when everything saved is in them."""
        self._join()
        if self._waiting:
            self._cut()
            self._join()
        return self._db

    def _join(self) -> None:
        """Wait for the piece on its way; what is not in the tables then is written here."""
        writing, self._writing = self._writing, None
        if self._piece is not None and (writing is None or writing.exception() is not None):
            _write(self._db, *self._piece)
        self._piece = None

    def _cut(self) -> tuple[Rows, Path | None]:
        """Put all that waits on its way, with the log that holds it; the piece before is there."""
        self._piece = self._waiting, self._log.cut()
        self._waiting = Rows()
        return self._piece

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
        rows = self._tables().execute(query, arguments).fetchall()
        return [from_json(kind, orjson.loads(body)) for (body,) in rows]

    def _first(self, kind: type[_Record], query: str, *arguments: object) -> _Record | None:
        rows = self._read(kind, query, *arguments)
        return rows[0] if rows else None


def _write(db: sqlite3.Connection, rows: Rows, log: Path | None) -> None:
    """Bring rows into the tables; then their log is not needed any more."""
    rows.write(db)
    if log is not None:
        log.unlink(missing_ok=True)


def _read_lines(path: Path, lines: list[bytes]) -> Rows:
    rows = Rows()
    for number, line in enumerate(lines, start=1):
        try:
            rows.add_line(line)
        except ValueError as error:
            raise BrokenInvariant(
                f"line {number} of {path} is not what was written",
                advice="Move the file away: what it tells and nothing else is lost with it.",
            ) from error
    return rows

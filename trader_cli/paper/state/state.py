"""Where the venue's memory lives: what was acknowledged, and the history it answers from.

`State` is the port; `MemoryState` serves simulations, `state_file.FileState` outlives the
process. The venue keeps only what is open in its own hands, so that neither its memory nor the
cost of an order grows with the past. Must not know matching or money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from trader_cli.paper.state.records import (
    AlgoRecord,
    AmendmentRecord,
    IncomeRecord,
    MarginMoveRecord,
    OrderRecord,
    TradeRecord,
)

JsonObject = dict[str, Any]
MARKET_SNAPSHOT: Final = "market"
"""Name of the market's own snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a history is asked for; every bound inclusive, None open.

    Attributes:
        from_id: the least id.
        newest: True for the newest `limit` rows of the window, False for the oldest.
            The answer is ascending by id either way.
    """

    symbol: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    from_id: int | None = None
    limit: int = 500
    newest: bool = True


@dataclass(slots=True)
class Changes:
    """What happened since the last save; records are shared, not copied.

    `snapshots` replace what was stored under the same name.
    """

    orders: dict[int, OrderRecord] = field(default_factory=dict)
    algos: dict[int, AlgoRecord] = field(default_factory=dict)
    trades: list[TradeRecord] = field(default_factory=list)
    income: list[IncomeRecord] = field(default_factory=list)
    amendments: list[AmendmentRecord] = field(default_factory=list)
    margin_moves: list[MarginMoveRecord] = field(default_factory=list)
    snapshots: dict[str, JsonObject] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.orders
            or self.algos
            or self.trades
            or self.income
            or self.amendments
            or self.margin_moves
            or self.snapshots
        )


class State(Protocol):
    """The venue's memory. When `save` returns, its changes outlive the process (not the power)."""

    def save(self, changes: Changes) -> None: ...
    def snapshots(self) -> dict[str, JsonObject]: ...
    def load_market(self) -> JsonObject | None:
        """Return the market's snapshot, None in a fresh state."""
        ...

    def last_ids(self) -> dict[str, int]:
        """Return the largest id of each kind that has any: the fields of `Changes`."""
        ...

    def open_orders(self) -> list[OrderRecord]: ...
    def open_algos(self) -> list[AlgoRecord]: ...
    def order(self, order_id: int) -> OrderRecord | None: ...
    def order_by_client_id(self, symbol: str, client_id: str) -> OrderRecord | None:
        """Return the newest order under a client id."""
        ...

    def algo(self, algo_id: int) -> AlgoRecord | None: ...
    def algo_by_client_id(self, client_id: str) -> AlgoRecord | None: ...
    def orders(self, window: Window) -> list[OrderRecord]: ...
    def forced_orders(self, window: Window) -> list[OrderRecord]: ...
    def algos(self, window: Window) -> list[AlgoRecord]: ...
    def trades(self, window: Window, order_id: int | None) -> list[TradeRecord]: ...
    def income(self, window: Window, income_type: str | None) -> list[IncomeRecord]: ...
    def amendments(self, order_id: int) -> list[AmendmentRecord]: ...
    def margin_moves(self, window: Window) -> list[MarginMoveRecord]: ...
    def clear(self, kept: Mapping[str, JsonObject]) -> None:
        """Forget everything but these snapshots, at once."""
        ...

    def close(self) -> None: ...


class MemoryState:
    """Everything in lists: for tests and simulation."""

    def __init__(self) -> None:
        self.clear({})

    def clear(self, kept: Mapping[str, JsonObject]) -> None:
        self._orders: dict[int, OrderRecord] = {}
        self._algos: dict[int, AlgoRecord] = {}
        self._order_ids: dict[tuple[str, str], int] = {}
        self._algo_ids: dict[str, int] = {}
        self._trades: list[TradeRecord] = []
        self._income: list[IncomeRecord] = []
        self._amendments: list[AmendmentRecord] = []
        self._margin_moves: list[MarginMoveRecord] = []
        self._snapshots: dict[str, JsonObject] = dict(kept)

    def save(self, changes: Changes) -> None:
        for order in changes.orders.values():
            self._orders[order.order_id] = order
            self._order_ids[order.symbol, order.client_order_id] = order.order_id
        for algo in changes.algos.values():
            self._algos[algo.algo_id] = algo
            self._algo_ids[algo.client_algo_id] = algo.algo_id
        self._trades += changes.trades
        self._income += changes.income
        self._amendments += changes.amendments
        self._margin_moves += changes.margin_moves
        self._snapshots.update(changes.snapshots)

    def snapshots(self) -> dict[str, JsonObject]:
        return dict(self._snapshots)

    def load_market(self) -> JsonObject | None:
        return self._snapshots.get(MARKET_SNAPSHOT)

    def last_ids(self) -> dict[str, int]:
        ids = {
            "orders": max(self._orders, default=0),
            "algos": max(self._algos, default=0),
            "trades": self._trades[-1].trade_id if self._trades else 0,
            "income": self._income[-1].tran_id if self._income else 0,
            "amendments": self._amendments[-1].amendment_id if self._amendments else 0,
            "margin_moves": self._margin_moves[-1].move_id if self._margin_moves else 0,
        }
        return {kind: last for kind, last in ids.items() if last}

    def open_orders(self) -> list[OrderRecord]:
        return [order for order in self._orders.values() if order.status.is_open]

    def open_algos(self) -> list[AlgoRecord]:
        return [algo for algo in self._algos.values() if algo.status.is_open]

    def order(self, order_id: int) -> OrderRecord | None:
        return self._orders.get(order_id)

    def order_by_client_id(self, symbol: str, client_id: str) -> OrderRecord | None:
        order_id = self._order_ids.get((symbol, client_id))
        return None if order_id is None else self._orders[order_id]

    def algo(self, algo_id: int) -> AlgoRecord | None:
        return self._algos.get(algo_id)

    def algo_by_client_id(self, client_id: str) -> AlgoRecord | None:
        algo_id = self._algo_ids.get(client_id)
        return None if algo_id is None else self._algos[algo_id]

    def orders(self, window: Window) -> list[OrderRecord]:
        rows = [
            order
            for order in self._orders.values()
            if _inside(window, order.symbol, order.created_ms, order.order_id)
        ]
        return _cut(rows, window)

    def forced_orders(self, window: Window) -> list[OrderRecord]:
        rows = [
            order
            for order in self._orders.values()
            if order.forced and _inside(window, order.symbol, order.created_ms, order.order_id)
        ]
        return _cut(rows, window)

    def algos(self, window: Window) -> list[AlgoRecord]:
        rows = [
            algo
            for algo in self._algos.values()
            if _inside(window, algo.symbol, algo.created_ms, algo.algo_id)
        ]
        return _cut(rows, window)

    def trades(self, window: Window, order_id: int | None) -> list[TradeRecord]:
        rows = [
            trade
            for trade in self._trades
            if order_id in (None, trade.order_id)
            and _inside(window, trade.symbol, trade.time_ms, trade.trade_id)
        ]
        return _cut(rows, window)

    def income(self, window: Window, income_type: str | None) -> list[IncomeRecord]:
        rows = [
            row
            for row in self._income
            if income_type in (None, row.type)
            and _inside(window, row.symbol, row.time_ms, row.tran_id)
        ]
        return _cut(rows, window)

    def amendments(self, order_id: int) -> list[AmendmentRecord]:
        return [row for row in self._amendments if row.order_id == order_id]

    def margin_moves(self, window: Window) -> list[MarginMoveRecord]:
        rows = [
            row
            for row in self._margin_moves
            if _inside(window, row.symbol, row.time_ms, row.move_id)
        ]
        return _cut(rows, window)

    def close(self) -> None:
        return


def _inside(window: Window, symbol: str, time_ms: int, key: int) -> bool:
    return (
        window.symbol in (None, symbol)
        and (window.start_ms is None or time_ms >= window.start_ms)
        and (window.end_ms is None or time_ms <= window.end_ms)
        and (window.from_id is None or key >= window.from_id)
    )


def _cut(rows: list[Any], window: Window) -> list[Any]:
    return rows[-window.limit :] if window.newest else rows[: window.limit]

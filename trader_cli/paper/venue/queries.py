"""Looking back: which part of the history a query asks for, and which records answer it.

Source: binance-usdm reference §6.3, §7.1, §8, §17.14.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import (
    AlgoRecord,
    AmendmentRecord,
    IncomeRecord,
    MarginMoveRecord,
    OrderRecord,
    TradeRecord,
)
from trader_cli.paper.state.state import Window
from trader_cli.paper.venue.core import Core

_DAY_MS: Final = 86_400_000
_LIMIT_MAX: Final = 1_000
_UNFILLED_KEPT_MS: Final = 3 * _DAY_MS
_AMENDMENTS_MAX: Final = 100
_LIQUIDATION: Final = "LIQUIDATION"
_ADL: Final = "ADL"
_FORCED_MAX: Final = 1_000
_KEPT_MS: Final = 90 * _DAY_MS


class Queries:
    """Answers from what is open and from the state's history."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def order(self, params: Params, symbol: str, now_ms: int) -> OrderRecord:
        """Return the order a query names, open or past; refuses with -2013."""
        found = self.open_order(params, symbol)
        if found is None:
            found = self._past_order(params, symbol)
        if found is None or _is_forgotten(found, now_ms):
            raise VenueRefusal(-2013)
        return found

    def open_order(self, params: Params, symbol: str) -> OrderRecord | None:
        """Return the open order a request names by `orderId` or `origClientOrderId`."""
        core = self._core
        order_id = params.integer("orderId")
        if order_id is not None:
            return core.account.symbols[symbol].orders.get(order_id)
        client_id = params.text("origClientOrderId")
        if client_id is None:
            raise VenueRefusal(-1102, "orderId", "origClientOrderId")
        return core.client_ids.get((symbol, client_id))

    def _past_order(self, params: Params, symbol: str) -> OrderRecord | None:
        state = self._core.state
        order_id = params.integer("orderId")
        if order_id is None:
            return state.order_by_client_id(symbol, params.needed("origClientOrderId"))
        found = state.order(order_id)
        return found if found is not None and found.symbol == symbol else None

    def open_algo(self, params: Params) -> AlgoRecord | None:
        """Return the untriggered conditional order a request names."""
        core = self._core
        algo_id = params.integer("algoId")
        if algo_id is not None:
            return core.open_algos.get(algo_id)
        client_id = params.text("clientAlgoId")
        if client_id is None:
            raise VenueRefusal(-1102, "algoId", "clientAlgoId")
        return core.algo_client_ids.get(client_id)

    def algo(self, params: Params) -> AlgoRecord:
        """Return the conditional order a query names, whatever became of it; or -2013."""
        found = self.open_algo(params)
        if found is None:
            algo_id = params.integer("algoId")
            state = self._core.state
            if algo_id is not None:
                found = state.algo(algo_id)
            else:
                found = state.algo_by_client_id(params.needed("clientAlgoId"))
        if found is None:
            raise VenueRefusal(-2013)
        return found

    def orders(self, params: Params, symbol: str | None, now_ms: int) -> list[OrderRecord]:
        """Return the newest of a window, ascending; from an id on, the oldest."""
        from_id = params.integer("orderId")
        window = self._window(
            params, symbol, now_ms, from_id=from_id, newest=from_id is None, limit=500
        )
        return [order for order in self._core.state.orders(window) if not order.forced]

    def amendments(self, params: Params, symbol: str, now_ms: int) -> list[AmendmentRecord]:
        """Return the changes of the order a query names, newest first."""
        order = self.order(params, symbol, now_ms)
        window = self._window(params, symbol, now_ms, newest=True, limit=50, days=90)
        rows = [
            row
            for row in self._core.state.amendments(order.order_id)
            if (window.start_ms is None or row.time_ms >= window.start_ms)
            and (window.end_ms is None or row.time_ms <= window.end_ms)
        ]
        return rows[::-1][: min(window.limit, _AMENDMENTS_MAX)]

    def forced_orders(self, params: Params, symbol: str | None, now_ms: int) -> list[OrderRecord]:
        """Return liquidations and deleveragings, or only one of the two, newest last."""
        kind = params.text("autoCloseType")
        if kind is not None and kind.upper() not in (_LIQUIDATION, _ADL):
            raise VenueRefusal(-1130, "autoCloseType")
        window = self._window(params, symbol, now_ms, newest=True, limit=50, days=90)
        if kind is None:
            return self._core.state.forced_orders(window)
        every = self._core.state.forced_orders(replace(window, limit=_FORCED_MAX))
        wanted = [order for order in every if order.is_deleveraging is (kind.upper() == _ADL)]
        return wanted[-window.limit :]

    def algos(self, params: Params, symbol: str, now_ms: int) -> list[AlgoRecord]:
        """Return the newest of a window, newest first."""
        from_id = params.integer("algoId")
        window = self._window(params, symbol, now_ms, from_id=from_id, newest=True, limit=500)
        return self._core.state.algos(window)[::-1]

    def trades(self, params: Params, symbol: str, now_ms: int) -> list[TradeRecord]:
        """Return the oldest of a window, ascending: the venue's way, `limit` alone too."""
        from_id = params.integer("fromId")
        order_id = params.integer("orderId")
        if from_id is not None and (params.has("startTime") or params.has("endTime")):
            raise VenueRefusal(-1128)
        if from_id is not None or order_id is not None:
            window = Window(symbol=symbol, from_id=from_id, limit=_limit(params, 500), newest=False)
        else:
            window = self._window(params, symbol, now_ms, newest=False, limit=500)
        return self._core.state.trades(window, order_id)

    def income(self, params: Params, symbol: str | None, now_ms: int) -> list[IncomeRecord]:
        """Return the oldest rows from a start on; without one the newest of the last week."""
        newest = not params.has("startTime")
        window = self._window(params, symbol, now_ms, newest=newest, limit=100, days=90)
        kind = params.text("incomeType")
        return self._core.state.income(window, None if kind is None else kind.upper())

    def margin_moves(self, params: Params, symbol: str, now_ms: int) -> list[MarginMoveRecord]:
        window = self._window(params, symbol, now_ms, newest=True, limit=500, days=30)
        rows = self._core.state.margin_moves(window)
        wanted = params.integer("type")
        return [row for row in rows if wanted in (None, row.type)]

    def _window(
        self,
        params: Params,
        symbol: str | None,
        now_ms: int,
        *,
        newest: bool,
        limit: int,
        from_id: int | None = None,
        days: int = 7,
    ) -> Window:
        """Read the bounds; `days` is the longest span between a start and an end."""
        start, end = params.integer("startTime"), params.integer("endTime")
        if start is not None and end is not None:
            if start > end:
                raise VenueRefusal(-1023)
            if end - start > days * _DAY_MS:
                raise VenueRefusal(-4165, days)
        elif start is None and from_id is None:
            start = (now_ms if end is None else end) - min(days, 7) * _DAY_MS
        elif start is not None and end is None:
            end = start + days * _DAY_MS
        return Window(
            symbol=symbol,
            start_ms=start,
            end_ms=end,
            from_id=from_id,
            limit=_limit(params, limit),
            newest=newest,
        )


def _limit(params: Params, usual: int) -> int:
    asked = params.integer("limit")
    if asked is None:
        return usual
    if asked < 1:
        raise VenueRefusal(-1130, "limit")
    return min(asked, _LIMIT_MAX)


def _is_forgotten(order: OrderRecord, now_ms: int) -> bool:
    """Return True once the venue no longer finds an order that has ended."""
    if order.status.is_open:
        return False
    kept = _KEPT_MS if order.executed else _UNFILLED_KEPT_MS
    return now_ms - order.updated_ms > kept

"""Orders of both worlds looked up: one, the open ones, the past.

A list that cannot be understood whole is not returned, because what rests must not be overlooked.
Knows nothing of placing or cancelling.

Source: binance-usdm reference §6.3, §7.1, §7.3.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Final, Self, TypeVar

from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.errors import Rejected, UsageError
from trader_cli.exchange.account_endpoints import AccountEndpoints
from trader_cli.exchange.market_endpoints import MarketEndpoints
from trader_cli.exchange.rows import PAGE_MAX, WINDOW_MS, gather_windows
from trader_cli.wire.decode_orders import (
    decode_algo_order,
    decode_algo_order_id,
    decode_order,
    decode_order_id,
)

T = TypeVar("T")

OrderId = tuple[str, int, str]
"""(symbol, order id or algo id, client id)."""

_NO_SUCH_ORDER: Final = -2013


class OrderLookupEndpoints(AccountEndpoints, MarketEndpoints):
    """Look up orders."""

    _leaves_out_odd_foreign = False

    def for_own_orders(self) -> Self:
        """Return this client with open orders that leave out what only others could have placed.

        For whoever looks after his own orders: a word we do not know in somebody else's must not
        blind him. Whoever has to prove that nothing rests at all uses this client itself. Both
        share connections, limits and `quarantined`.
        """
        view = copy(self)
        view._leaves_out_odd_foreign = True
        return view

    async def get_order_status(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order:
        """Return one regular order as the venue holds it.

        Raises:
            Rejected: with code -2013 where it does not exist; shortly after placing that is no
                proof of absence.
        """
        ids = one_id(order_id, client_order_id)
        return await self._gateway.read(
            f"read order {ids} of {symbol}",
            lambda api: api.futures_get_order(
                symbol=symbol, orderId=order_id, origClientOrderId=client_order_id
            ),
            decode_order,
        )

    async def get_algo_order(
        self, symbol: str, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> AlgoOrder:
        """Return one conditional order as the venue holds it.

        The venue has denied orders that its lists showed (-2013), so both lists are searched
        before it is believed. Source: reference §7.3.

        Raises:
            Rejected: with code -2013 where neither the query nor the lists know it.
        """
        ids = one_id(algo_id, client_order_id)
        try:
            return await self._gateway.read(
                f"read conditional order {ids} of {symbol}",
                lambda api: api.futures_get_algo_order(
                    algoId=algo_id, clientAlgoId=client_order_id
                ),
                decode_algo_order,
            )
        except Rejected as error:
            if error.code != _NO_SUCH_ORDER:
                raise
            denied = error
        for rows in (self.get_open_algo_orders, self.get_all_algo_orders):
            for order in await rows(symbol):
                if algo_id in (order.algo_id,) or client_order_id == order.client_order_id:
                    return order
        raise denied

    async def get_open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the open regular orders of one or of all symbols (all: weight 40).

        Raises:
            OutcomeUnknown: a row cannot be understood; `get_open_order_ids` still can.
        """
        return await self._gateway.read(
            "read the open orders",
            lambda api: api.futures_get_open_orders(symbol=symbol),
            lambda answer: self._open("openOrders", answer, decode_order, decode_order_id),
        )

    async def get_open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Return the waiting conditional orders of one or of all symbols (all: weight 40).

        Raises:
            OutcomeUnknown: a row cannot be understood; `get_open_algo_order_ids` still can.
        """
        return await self._gateway.read(
            "read the open conditional orders",
            lambda api: api.futures_get_open_algo_orders(symbol=symbol),
            lambda answer: self._open(
                "openAlgoOrders", answer, decode_algo_order, decode_algo_order_id
            ),
        )

    async def get_open_order_ids(self, symbol: str | None = None) -> list[OrderId]:
        """Return only what a cancel needs of the open regular orders."""
        return await self._gateway.read(
            "read the ids of the open orders",
            lambda api: api.futures_get_open_orders(symbol=symbol),
            lambda answer: self._all_or_unknown("openOrders", answer, decode_order_id),
        )

    async def get_open_algo_order_ids(self, symbol: str | None = None) -> list[OrderId]:
        """Return only what a cancel needs of the waiting conditional orders."""
        return await self._gateway.read(
            "read the ids of the open conditional orders",
            lambda api: api.futures_get_open_algo_orders(symbol=symbol),
            lambda answer: self._all_or_unknown("openAlgoOrders", answer, decode_algo_order_id),
        )

    async def get_all_orders(self, symbol: str, *, start_ms: int | None = None) -> list[Order]:
        """Return regular orders of any status since `start_ms` (7 days), oldest first.

        A row that cannot be understood is set aside: see `quarantined`.
        """

        async def fetch(start: int, end: int) -> list[Order]:
            return await self._gateway.read(
                f"read the orders of {symbol}",
                lambda api: api.futures_get_all_orders(
                    symbol=symbol, startTime=start, endTime=end, limit=PAGE_MAX
                ),
                lambda answer: self._set_aside("allOrders", answer, decode_order),
            )

        start, end = self._span(start_ms)
        rows = await gather_windows(
            fetch, start_ms=start, end_ms=end, key=lambda order: order.order_id
        )
        return sorted(rows, key=lambda order: (order.created_ms or 0, order.order_id))

    async def get_all_algo_orders(
        self, symbol: str, *, start_ms: int | None = None
    ) -> list[AlgoOrder]:
        """Return conditional orders of any status since `start_ms` (7 days), oldest first.

        A row that cannot be understood is set aside: see `quarantined`.
        """

        async def fetch(start: int, end: int) -> list[AlgoOrder]:
            return await self._gateway.read(
                f"read the conditional orders of {symbol}",
                lambda api: api.futures_get_all_algo_orders(
                    symbol=symbol, startTime=start, endTime=end, limit=PAGE_MAX
                ),
                lambda answer: self._set_aside("allAlgoOrders", answer, decode_algo_order),
            )

        start, end = self._span(start_ms)
        rows = await gather_windows(
            fetch, start_ms=start, end_ms=end, key=lambda order: order.algo_id
        )
        return sorted(rows, key=lambda order: (order.created_ms or 0, order.algo_id))

    def _open(
        self,
        name: str,
        answer: object,
        decode: Callable[[object], T],
        decode_id: Callable[[object], OrderId],
    ) -> list[T]:
        if self._leaves_out_odd_foreign:
            return self._own_or_unknown(name, answer, decode, lambda row: decode_id(row)[2])
        return self._all_or_unknown(name, answer, decode)

    def _span(self, start_ms: int | None) -> tuple[int, int]:
        """Return the times asked for; a little into the future, or the newest row is missed."""
        now_ms = self._gateway.venue_now_ms()
        return (start_ms if start_ms is not None else now_ms - WINDOW_MS + 2), now_ms + 1


def one_id(number: int | None, client_order_id: str | None) -> int | str:
    """Return the one of two ids that is given.

    Raises:
        UsageError: none is, or both are.
    """
    if number is not None and client_order_id is None:
        return number
    if client_order_id is not None and number is None:
        return client_order_id
    raise UsageError("an order is named by its id or by its client id, one of the two")

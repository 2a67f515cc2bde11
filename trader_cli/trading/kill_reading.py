"""What kill sees of the account: everything, or as much of each row as can be understood.

Where a row carries a word we do not know, its ids and sizes are read instead: that is enough to
cancel and to close. Must not need anything but the exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order, OrderRequest, only_reduces
from trader_cli.domain.terms import PositionSide
from trader_cli.errors import OutcomeUnknown, PermissionDenied, VenueError

RawId = tuple[str, int, str]
"""Symbol, order id (or algo id) and client id of an order whose row cannot be decoded."""


_NO_SUCH_SYMBOL: Final = -1121


class KillVenue(Protocol):
    """What kill needs of the exchange; every method raises only `VenueError`s."""

    async def get_instruments(self) -> dict[str, Instrument]: ...
    async def get_positions(self) -> list[Position]: ...
    async def get_position_sizes(
        self, symbol: str | None = None
    ) -> list[tuple[str, PositionSide, Decimal]]: ...
    async def get_open_orders(self, symbol: str | None = None) -> list[Order]: ...
    async def get_open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]: ...
    async def get_open_order_ids(self, symbol: str | None = None) -> list[RawId]: ...
    async def get_open_algo_order_ids(self, symbol: str | None = None) -> list[RawId]: ...
    async def send(self, request: OrderRequest) -> Order | AlgoOrder: ...
    async def cancel_order(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order: ...
    async def cancel_algo_order(
        self, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> None: ...
    async def cancel_all_open_orders(self, symbol: str) -> None: ...
    async def cancel_all_algo_orders(self, symbol: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOrder:
    """A resting order of which only the ids could be read."""

    symbol: str
    number: int
    client_order_id: str
    is_algo: bool


Resting = Order | AlgoOrder | RawOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One successful read of everything."""

    orders: tuple[Order | RawOrder, ...]
    algos: tuple[AlgoOrder | RawOrder, ...]
    positions: tuple[Position, ...]

    @property
    def everything(self) -> tuple[Resting | Position, ...]:
        return (*self.orders, *self.algos, *self.positions)


class KillReader:
    """Reads the account, or one symbol of it; `failed` is told every failure.

    Attributes:
        instruments: what is known of lot sizes, empty until they could be read.
        denied: how often the key was refused, or the symbol is one the exchange does not list.
    """

    def __init__(
        self, client: KillVenue, *, symbol: str | None, failed: Callable[[VenueError], None]
    ) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.denied = 0
        self._client = client
        self._symbol = symbol
        self._failed = failed

    async def read(self) -> Seen | None:
        """Read orders, conditional orders and positions in one parallel round; None if any failed.

        A failed read is never "none".
        """
        parts = await asyncio.gather(
            self._orders(), self._algos(), self._positions(), self._learn_instruments()
        )
        orders, algos, positions, _ = parts
        if orders is None or algos is None or positions is None:
            return None
        return Seen(orders=orders, algos=algos, positions=positions)

    async def _orders(self) -> tuple[Order | RawOrder, ...] | None:
        try:
            return tuple(await self._client.get_open_orders(self._symbol))
        except OutcomeUnknown:
            return await self._raw(self._client.get_open_order_ids, is_algo=False)
        except VenueError as error:
            self._failed(error)
            self.denied += self._symbol is not None and error.code == _NO_SUCH_SYMBOL
        return None

    async def _algos(self) -> tuple[AlgoOrder | RawOrder, ...] | None:
        try:
            return tuple(await self._client.get_open_algo_orders(self._symbol))
        except OutcomeUnknown:
            return await self._raw(self._client.get_open_algo_order_ids, is_algo=True)
        except VenueError as error:
            self._failed(error)
        return None

    async def _raw(
        self, read: Callable[[str | None], Awaitable[list[RawId]]], *, is_algo: bool
    ) -> tuple[RawOrder, ...] | None:
        try:
            rows = await read(self._symbol)
        except VenueError as error:
            self._failed(error)
            return None
        return tuple(
            RawOrder(symbol=symbol, number=number, client_order_id=name, is_algo=is_algo)
            for symbol, number, name in rows
        )

    async def _positions(self) -> tuple[Position, ...] | None:
        try:
            rows = await self._client.get_positions()
        except OutcomeUnknown as error:
            self._failed(error)
            return await self._bare_positions()
        except VenueError as error:
            self._failed(error)
            self.denied += isinstance(error, PermissionDenied)
            return None
        return tuple(row for row in rows if not row.is_flat and self._symbol in (None, row.symbol))

    async def _bare_positions(self) -> tuple[Position, ...] | None:
        """Read only what a close needs, where the rest of a row cannot be understood."""
        try:
            rows = await self._client.get_position_sizes(self._symbol)
        except VenueError as error:
            self._failed(error)
            return None
        return tuple(_bare_position(*row) for row in rows)

    async def _learn_instruments(self) -> None:
        """Learn how large a market order may be; without it positions go in one piece."""
        if self.instruments:
            return
        try:
            self.instruments = await self._client.get_instruments()
        except VenueError as error:
            self._failed(error)


def _bare_position(symbol: str, position_side: PositionSide, quantity: Decimal) -> Position:
    """Return a position of which only symbol, side and size could be read."""
    return Position(
        symbol=symbol,
        position_side=position_side,
        quantity=quantity,
        entry_price=ZERO,
        break_even_price=ZERO,
        mark_price=ZERO,
        unrealized_pnl=ZERO,
        liquidation_price=None,
        isolated_margin=ZERO,
        initial_margin=ZERO,
        maintenance_margin=ZERO,
        leverage=None,
        margin_type=None,
        updated_ms=0,
    )


def is_algo(order: Resting) -> bool:
    """Return True if it rests in the Algo Service."""
    return isinstance(order, AlgoOrder) or (isinstance(order, RawOrder) and order.is_algo)


def id_of(order: Resting) -> int:
    """Return its order id, or its algo id."""
    if isinstance(order, RawOrder):
        return order.number
    return order.order_id if isinstance(order, Order) else order.algo_id


def protects(order: Resting, held: set[tuple[str, PositionSide]]) -> bool:
    """Return True if the order may be what protects a position that is held."""
    if isinstance(order, RawOrder):
        # What it is cannot be read: a conditional order is more likely a stop than an entry.
        return order.is_algo and any(symbol == order.symbol for symbol, _ in held)
    return only_reduces(order) and (order.symbol, order.position_side) in held


def is_stop_of(order: AlgoOrder, position: Position) -> bool:
    """Return True if the order is a stop of the position, of whatever size."""
    return (
        order.symbol == position.symbol
        and order.position_side is position.position_side
        and order.side is position.direction.exit_side
        and order.is_stop
        and order.is_exit
    )

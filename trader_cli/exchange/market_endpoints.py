"""What the client reads of the market: rules, prices, books, candles."""

from __future__ import annotations

from dataclasses import dataclass

from trader_cli.domain.account import BookTop, Kline, MarkPrice, OrderBook
from trader_cli.domain.instrument import Instrument
from trader_cli.exchange.gateway import Gateway
from trader_cli.exchange.rows import Rows
from trader_cli.wire.decode import (
    decode_book_top,
    decode_instrument,
    decode_klines,
    decode_mark_price,
    decode_order_book,
)
from trader_cli.wire.fields import Fields


@dataclass(slots=True)
class _Rules:
    """The trading rules as last read, None before; views of one client share them."""

    by_symbol: dict[str, Instrument] | None = None


class MarketEndpoints(Rows):
    """Public endpoints; none needs a key."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._rules = _Rules()

    @property
    def _instruments(self) -> dict[str, Instrument] | None:
        return self._rules.by_symbol

    async def get_instruments(self) -> dict[str, Instrument]:
        """Return the trading rules of every contract by symbol, as they were last read.

        The venue ignores a symbol filter and sends a megabyte. Source: reference §13.1.
        """
        known = self._rules.by_symbol
        return await self.refresh_instruments() if known is None else known

    async def refresh_instruments(self) -> dict[str, Instrument]:
        """Read the trading rules anew: ticks, steps and a contract's status change in its life.

        A contract whose row cannot be understood any more keeps the rules it had.
        """
        rows = await self._gateway.read(
            "read the trading rules",
            lambda api: api.futures_exchange_info(),
            lambda answer: self._set_aside(
                "exchangeInfo", Fields("exchangeInfo", answer).raw("symbols"), decode_instrument
            ),
            signed=False,
        )
        odd = {row.symbol for row in self.quarantined if row.stream == "exchangeInfo"}
        known = self._rules.by_symbol or {}
        kept = {symbol: row for symbol, row in known.items() if symbol in odd}
        self._rules.by_symbol = kept | {row.symbol: row for row in rows}
        return self._rules.by_symbol

    async def get_book_top(self, symbol: str) -> BookTop:
        """Return best bid and ask."""
        return await self._gateway.read(
            f"read the book's top of {symbol}",
            lambda api: api.futures_orderbook_ticker(symbol=symbol),
            decode_book_top,
            signed=False,
        )

    async def get_order_book(self, symbol: str, limit: int = 20) -> OrderBook:
        """Return the first `limit` levels; the venue knows 5, 10, 20, 50, 100, 500, 1000."""
        return await self._gateway.read(
            f"read the order book of {symbol}",
            lambda api: api.futures_order_book(symbol=symbol, limit=limit),
            lambda answer: decode_order_book(answer, symbol),
            signed=False,
        )

    async def get_mark_price(self, symbol: str) -> MarkPrice:
        """Return mark price, index price and funding."""
        return await self._gateway.read(
            f"read the mark price of {symbol}",
            lambda api: api.futures_mark_price(symbol=symbol),
            decode_mark_price,
            signed=False,
        )

    async def get_mark_prices(self) -> dict[str, MarkPrice]:
        """Return mark price and funding of every contract by symbol."""
        rows = await self._gateway.read(
            "read all mark prices",
            lambda api: api.futures_mark_price(),
            lambda answer: self._set_aside("premiumIndex", answer, decode_mark_price),
            signed=False,
        )
        return {row.symbol: row for row in rows}

    async def get_klines(self, symbol: str, interval: str, limit: int = 100) -> list[Kline]:
        """Return the newest candles, oldest first; the last one is still forming."""
        return await self._gateway.read(
            f"read candles of {symbol}",
            lambda api: api.futures_klines(symbol=symbol, interval=interval, limit=limit),
            decode_klines,
            signed=False,
        )

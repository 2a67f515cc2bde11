"""What the client reads of the market: rules, prices, books, candles."""

from __future__ import annotations

from trader_cli.domain.account import BookTop, Kline, MarkPrice, OrderBook
from trader_cli.domain.instrument import Instrument
from trader_cli.exchange.rows import Rows
from trader_cli.wire.decode import (
    decode_book_top,
    decode_instrument,
    decode_klines,
    decode_mark_price,
    decode_order_book,
)
from trader_cli.wire.fields import Fields


class MarketEndpoints(Rows):
    """Public endpoints; none needs a key."""

    _instruments: dict[str, Instrument] | None = None

    async def get_instruments(self) -> dict[str, Instrument]:
        """Return the trading rules of every contract by symbol, read once in a client's life.

        The venue ignores a symbol filter and sends a megabyte. Source: reference §13.1.
        """
        if self._instruments is None:
            rows = await self._gateway.read(
                "read the trading rules",
                lambda api: api.futures_exchange_info(),
                lambda answer: self._set_aside(
                    "exchangeInfo", Fields("exchangeInfo", answer).raw("symbols"), decode_instrument
                ),
                signed=False,
            )
            self._instruments = {row.symbol: row for row in rows}
        return self._instruments

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

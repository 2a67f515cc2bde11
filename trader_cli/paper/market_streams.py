"""What the market streams say and when: ticks and time in, named payloads out.

Knows every market payload and the pace of each stream. Must not know who listens; it only
renders streams it is told are heard.

Source: binance-usdm reference §10.2-§10.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from trader_cli.paper.history import interval_bounds, ticker_24h
from trader_cli.paper.instruments import Contract
from trader_cli.paper.market import Depth, Market, MarketTick
from trader_cli.paper.market_payloads import (
    Payload,
    agg_trade,
    book_ticker,
    changed_levels,
    continuous_kline,
    day_ticker,
    depth_update,
    kline,
    mark_price,
    mini_ticker,
    trade,
)
from trader_cli.paper.stream_names import StreamKind, StreamName

_BOOK_LEVELS: Final = 1_000
_STREAMS: Final = "streams"
"""Who attends to the market here."""

_TICKED: Final = frozenset({StreamKind.BOOK_TICKER, StreamKind.TRADE, StreamKind.AGG_TRADE})
"""Streams of every tick; the others ask the market for what is when they speak."""


@dataclass(slots=True)
class _Pace:
    """When a stream last spoke and the time before, and for depth the book it last told."""

    last_ms: int | None = None
    before_ms: int | None = None
    book: Depth | None = None


@dataclass(slots=True)
class _Moment:
    """One round: the ticks that came, by symbol, and the time."""

    now_ms: int
    ticks: Mapping[str, Sequence[MarketTick]]
    books: dict[str, Depth] = field(default_factory=dict)


class MarketStreams:
    """Renders the market for streams that somebody hears."""

    def __init__(self, market: Market, contracts: Mapping[str, Contract]) -> None:
        self._market = market
        self._symbols = [symbol for symbol in contracts if symbol in market.symbols]
        self._paces: dict[str, _Pace] = {}

    def payloads(
        self, ticks: Iterable[MarketTick], streams: Sequence[StreamName], now_ms: int
    ) -> Iterator[tuple[str, object]]:
        """Yield (stream name, payload) for everything that is due at `now_ms`."""
        self._forget_silent(streams)
        self._market.attend(_STREAMS, _ticked(streams))
        if not streams:
            return
        moment = _Moment(now_ms=now_ms, ticks=_by_symbol(ticks))
        for stream in streams:
            if stream.symbol is not None and stream.symbol not in self._symbols:
                continue  # an unknown symbol subscribes in silence, as at Binance
            if self._is_due(stream, now_ms):
                for payload in _RENDER[stream.kind](self, stream, moment):
                    yield stream.text, payload

    def _forget_silent(self, streams: Sequence[StreamName]) -> None:
        heard = {stream.text for stream in streams}
        for name in self._paces.keys() - heard:
            del self._paces[name]

    def _is_due(self, stream: StreamName, now_ms: int) -> bool:
        """Return True once in each of the stream's time slots, always for real-time ones."""
        pace = self._paces.setdefault(stream.text, _Pace())
        last_ms, every_ms = pace.last_ms, stream.every_ms
        if every_ms > 0 and last_ms is not None and last_ms // every_ms == now_ms // every_ms:
            return False
        pace.before_ms, pace.last_ms = last_ms, now_ms
        return True

    def _book_ticker(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        symbols = self._symbols if stream.symbol is None else [stream.symbol]
        for symbol in symbols:
            for tick in moment.ticks.get(symbol, ()):
                yield book_ticker(tick)

    def _trade(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        for tick in moment.ticks.get(stream.symbol or "", ()):
            if tick.last_quantity > 0:
                yield trade(tick)

    def _agg_trade(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        for tick in moment.ticks.get(stream.symbol or "", ()):
            if tick.last_quantity > 0:
                yield agg_trade(tick)

    def _mark_price(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        assert stream.symbol is not None, "a stream of one symbol"
        yield self._mark_of(stream.symbol, moment.now_ms)

    def _all_mark_prices(self, _stream: StreamName, moment: _Moment) -> Iterator[Any]:
        yield [self._mark_of(symbol, moment.now_ms) for symbol in self._symbols]

    def _mark_of(self, symbol: str, now_ms: int) -> Payload:
        return mark_price(self._market.latest(symbol), self._market.funding(symbol), now_ms)

    def _partial_depth(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        assert stream.symbol is not None, "a stream of one symbol"
        pace = self._paces[stream.text]
        book = self._market.depth(stream.symbol, stream.levels)
        before, pace.book = pace.book, book
        if before is not None and before.update_id == book.update_id:
            return
        previous = book.update_id - 1 if before is None else before.update_id
        yield depth_update(book, previous, moment.now_ms, book.bids, book.asks)

    def _depth(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        """Tell what changed since this stream last spoke.

        The first round after a subscription only remembers the book, so that every event joins
        the one before and a snapshot asked for later falls inside one of them.
        """
        assert stream.symbol is not None, "a stream of one symbol"
        pace = self._paces[stream.text]
        book = moment.books.get(stream.symbol)
        if book is None:
            book = self._market.depth(stream.symbol, _BOOK_LEVELS)
            moment.books[stream.symbol] = book
        before, pace.book = pace.book, book
        if before is None or before.update_id == book.update_id:
            return
        yield depth_update(
            book,
            before.update_id,
            moment.now_ms,
            changed_levels(before.bids, book.bids),
            changed_levels(before.asks, book.asks),
        )

    def _kline(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        assert stream.symbol is not None, "a stream of one symbol"
        continuous = stream.kind is StreamKind.CONTINUOUS_KLINE
        render = continuous_kline if continuous else kline
        now_ms = moment.now_ms
        open_ms, close_ms = interval_bounds(stream.interval, now_ms)
        before_ms = self._paces[stream.text].before_ms
        if before_ms is not None and before_ms < open_ms:  # a candle has just closed: say so once
            before_open, before_close = interval_bounds(stream.interval, open_ms - 1)
            closed = self._market.candle(stream.symbol, before_open, before_close)
            if closed is not None:
                yield render(closed, stream.interval, now_ms, closed=True)
        candle = self._market.candle(stream.symbol, open_ms, close_ms)
        if candle is not None:
            yield render(candle, stream.interval, now_ms, closed=False)

    def _ticker(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        assert stream.symbol is not None, "a stream of one symbol"
        yield day_ticker(ticker_24h(self._market, stream.symbol), moment.now_ms)

    def _mini_ticker(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        assert stream.symbol is not None, "a stream of one symbol"
        yield mini_ticker(ticker_24h(self._market, stream.symbol), moment.now_ms)

    def _all_tickers(self, _stream: StreamName, moment: _Moment) -> Iterator[Any]:
        yield [day_ticker(ticker_24h(self._market, one), moment.now_ms) for one in self._symbols]

    def _all_mini_tickers(self, _stream: StreamName, moment: _Moment) -> Iterator[Any]:
        yield [mini_ticker(ticker_24h(self._market, one), moment.now_ms) for one in self._symbols]

    def _silent(self, _stream: StreamName, _moment: _Moment) -> Iterator[Payload]:
        """Nobody else's positions are liquidated here."""
        return iter(())


_RENDER: Final[dict[StreamKind, Callable[[MarketStreams, StreamName, _Moment], Iterator[Any]]]] = {
    StreamKind.BOOK_TICKER: MarketStreams._book_ticker,
    StreamKind.ALL_BOOK_TICKER: MarketStreams._book_ticker,
    StreamKind.TRADE: MarketStreams._trade,
    StreamKind.AGG_TRADE: MarketStreams._agg_trade,
    StreamKind.MARK_PRICE: MarketStreams._mark_price,
    StreamKind.ALL_MARK_PRICE: MarketStreams._all_mark_prices,
    StreamKind.DEPTH: MarketStreams._depth,
    StreamKind.PARTIAL_DEPTH: MarketStreams._partial_depth,
    StreamKind.KLINE: MarketStreams._kline,
    StreamKind.CONTINUOUS_KLINE: MarketStreams._kline,
    StreamKind.TICKER: MarketStreams._ticker,
    StreamKind.MINI_TICKER: MarketStreams._mini_ticker,
    StreamKind.ALL_TICKER: MarketStreams._all_tickers,
    StreamKind.ALL_MINI_TICKER: MarketStreams._all_mini_tickers,
    StreamKind.FORCE_ORDER: MarketStreams._silent,
    StreamKind.ALL_FORCE_ORDER: MarketStreams._silent,
}
assert _RENDER.keys() == set(StreamKind), "every kind of stream says something, or says nothing"


def _ticked(streams: Iterable[StreamName]) -> set[str] | None:
    """Return the symbols whose ticks are heard, None for all."""
    symbols: set[str] = set()
    for stream in streams:
        if stream.kind is StreamKind.ALL_BOOK_TICKER:
            return None
        if stream.kind in _TICKED and stream.symbol is not None:
            symbols.add(stream.symbol)
    return symbols


def _by_symbol(ticks: Iterable[MarketTick]) -> dict[str, list[MarketTick]]:
    found: dict[str, list[MarketTick]] = {}
    for tick in ticks:
        found.setdefault(tick.symbol, []).append(tick)
    return found

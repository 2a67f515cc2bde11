"""What the market streams say and when: ticks and time in, named payloads out.

Knows every market payload and the pace of each stream. Must not know who listens; it only
renders streams it is told are heard.

Source: binance-usdm reference §10.2-§10.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from trader_cli.paper.contracts.exchange_info import ASSETS
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.contracts.reference_data import (
    Session,
    asset_index,
    commodity_sessions,
    equity_sessions,
)
from trader_cli.paper.markets.history import interval_bounds, ticker_24h
from trader_cli.paper.markets.market import Depth, Market, MarketTick
from trader_cli.paper.state.records import OrderRecord
from trader_cli.paper.streams.market_payloads import (
    Payload,
    agg_trade,
    asset_index_update,
    book_ticker,
    changed_levels,
    continuous_kline,
    contract_info,
    day_ticker,
    depth_update,
    force_order,
    kline,
    mark_price,
    mini_ticker,
    session_update,
    trade,
)
from trader_cli.paper.streams.stream_names import StreamKind, StreamName

_BOOK_LEVELS: Final = 1_000
_STREAMS: Final = "streams"
"""Who attends to the market here."""

_TICKED: Final = frozenset({StreamKind.BOOK_TICKER, StreamKind.TRADE, StreamKind.AGG_TRADE})
"""Streams of every tick; the others ask the market for what is when they speak."""


@dataclass(slots=True)
class _Pace:
    """When a stream last spoke and the time before, and what it remembers from then.

    Attributes:
        book: for depth, the book last told.
        forced: for liquidations, the largest not yet told, by symbol.
        statuses: for contracts, the statuses last told.
    """

    last_ms: int | None = None
    before_ms: int | None = None
    book: Depth | None = None
    forced: dict[str, OrderRecord] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Moment:
    """One round: the ticks that came, by symbol, and the time."""

    now_ms: int
    ticks: Mapping[str, Sequence[MarketTick]]
    books: dict[str, Depth] = field(default_factory=dict)


class MarketStreams:
    """Renders the market for streams that somebody hears."""

    def __init__(
        self,
        market: Market,
        contracts: Mapping[str, Contract],
        status_of: Callable[[str, int], str],
    ) -> None:
        """Render `contracts` on `market`; `status_of` tells a symbol's status at a time."""
        self._market = market
        self._contracts = contracts
        self._status_of = status_of
        self._symbols = [symbol for symbol in contracts if symbol in market.symbols]
        self._paces: dict[str, _Pace] = {}

    def payloads(
        self,
        ticks: Iterable[MarketTick],
        streams: Sequence[StreamName],
        now_ms: int,
        *,
        forced: Sequence[OrderRecord] = (),
    ) -> Iterator[tuple[str, object]]:
        """Yield (stream name, payload) for everything that is due at `now_ms`.

        Args:
            forced: liquidations since the last call.
        """
        self._forget_silent(streams)
        if forced:
            self._remember_forced(forced, streams)
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

    def _remember_forced(
        self, forced: Sequence[OrderRecord], streams: Sequence[StreamName]
    ) -> None:
        """Keep the largest liquidation of each symbol until its stream speaks."""
        for stream in streams:
            if stream.kind not in (StreamKind.FORCE_ORDER, StreamKind.ALL_FORCE_ORDER):
                continue
            waiting = self._paces.setdefault(stream.text, _Pace()).forced
            for order in forced:
                known = waiting.get(order.symbol)
                if stream.symbol in (None, order.symbol) and (
                    known is None or order.quantity > known.quantity
                ):
                    waiting[order.symbol] = order

    def _force_orders(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        pace = self._paces[stream.text]
        waiting, pace.forced = pace.forced, {}
        for order in waiting.values():
            yield force_order(order, moment.now_ms)

    def _contract_info(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        """Tell contracts whose status changed; the first round only remembers."""
        pace = self._paces[stream.text]
        before = pace.statuses
        pace.statuses = {one: self._status_of(one, moment.now_ms) for one in self._symbols}
        for symbol, status in pace.statuses.items():
            if before and before[symbol] != status:
                yield contract_info(self._contracts[symbol], status, moment.now_ms)

    def _asset_index(self, stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        for update in self._asset_updates(moment.now_ms):
            if update["s"] == stream.asset:
                yield update

    def _all_asset_indices(self, _stream: StreamName, moment: _Moment) -> Iterator[Any]:
        yield self._asset_updates(moment.now_ms)

    def _asset_updates(self, now_ms: int) -> list[Payload]:
        found = (asset_index(asset, self._index_price) for asset in ASSETS)
        return [asset_index_update(index, now_ms) for index in found if index is not None]

    def _index_price(self, symbol: str) -> Decimal | None:
        return self._market.latest(symbol).index_price if symbol in self._symbols else None

    def _session(self, _stream: StreamName, moment: _Moment) -> Iterator[Payload]:
        for kind, sessions in (
            ("EquityUpdate", equity_sessions(moment.now_ms)),
            ("CommodityUpdate", commodity_sessions(moment.now_ms)),
        ):
            yield session_update(kind, _present(sessions, moment.now_ms), moment.now_ms)

    def _silent(self, _stream: StreamName, _moment: _Moment) -> Iterator[Payload]:
        """No composite index is listed here."""
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
    StreamKind.FORCE_ORDER: MarketStreams._force_orders,
    StreamKind.ALL_FORCE_ORDER: MarketStreams._force_orders,
    StreamKind.RPI_DEPTH: MarketStreams._depth,
    StreamKind.COMPOSITE_INDEX: MarketStreams._silent,
    StreamKind.ASSET_INDEX: MarketStreams._asset_index,
    StreamKind.ALL_ASSET_INDEX: MarketStreams._all_asset_indices,
    StreamKind.CONTRACT_INFO: MarketStreams._contract_info,
    StreamKind.TRADING_SESSION: MarketStreams._session,
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


def _present(sessions: Sequence[Session], now_ms: int) -> Session:
    return next(one for one in sessions if one.start_ms <= now_ms < one.end_ms)


def _by_symbol(ticks: Iterable[MarketTick]) -> dict[str, list[MarketTick]]:
    found: dict[str, list[MarketTick]] = {}
    for tick in ticks:
        found.setdefault(tick.symbol, []).append(tick)
    return found

"""The past as clients ask for it: candles of every interval, trades, funding, the last 24 hours.

Knows calendars and paging; every fact comes from a `Market`. Must not know how a market makes
its prices, nor how answers are spelt on the wire.

Source: binance-usdm reference §9 (fields and defaults of the market data endpoints).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import HUNDRED
from trader_cli.paper.markets.market import Candle, FundingSettled, Market, MarketTick

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_FUNDING_MS: Final = 8 * _HOUR_MS
_WEEK_OFFSET_MS: Final = 4 * _DAY_MS
"""1970-01-05 was the first Monday; weekly candles open on Mondays."""

_FIXED_MS: Final = {
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": _HOUR_MS,
    "2h": 2 * _HOUR_MS,
    "4h": 4 * _HOUR_MS,
    "6h": 6 * _HOUR_MS,
    "8h": 8 * _HOUR_MS,
    "12h": 12 * _HOUR_MS,
    "1d": _DAY_MS,
    "3d": 3 * _DAY_MS,
}

INTERVALS: Final = (*_FIXED_MS, "1w", "1M")
"""Every candle interval of the exchange, shortest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker24h:
    """The last 24 hours up to `close_ms`; percent is percent, prices are quote units."""

    symbol: str
    price_change: Decimal
    price_change_percent: Decimal
    weighted_average_price: Decimal
    last_price: Decimal
    last_quantity: Decimal
    open_price: Decimal
    high_price: Decimal
    low_price: Decimal
    volume: Decimal
    quote_volume: Decimal
    open_ms: int
    close_ms: int
    first_trade_id: int
    last_trade_id: int
    trades: int


def interval_bounds(interval: str, time_ms: int) -> tuple[int, int]:
    """Return [open, end) in UTC epoch milliseconds of the candle that contains `time_ms`.

    Raises:
        KeyError: the interval is none of `INTERVALS`.
    """
    if interval == "1M":
        day = datetime.fromtimestamp(time_ms // 1_000, UTC)
        year, month = day.year, day.month
        following = (year + 1, 1) if month == 12 else (year, month + 1)
        return _month_ms(year, month), _month_ms(*following)
    if interval == "1w":
        length, offset = 7 * _DAY_MS, _WEEK_OFFSET_MS
    else:
        length, offset = _FIXED_MS[interval], 0
    open_ms = (time_ms - offset) // length * length + offset
    return open_ms, open_ms + length


def klines(
    market: Market,
    symbol: str,
    interval: str,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int = 500,
) -> list[Candle]:
    """Return candles, oldest first; the last one may still be open.

    Args:
        start_ms: the first candle opens at or after it; without it the newest `limit` are taken.
        end_ms: the last candle opens at or before it; now by default.

    Raises:
        KeyError: the symbol or interval is unknown.
    """
    newest_ms = market.now_ms if end_ms is None else min(end_ms, market.now_ms)
    if start_ms is None:
        backwards = _candles_back(market, symbol, interval, newest_ms)
        return [candle for _, candle in zip(range(limit), backwards, strict=False)][::-1]
    candles: list[Candle] = []
    # Nothing is listed before `trade_id_at` starts to count: skip to there, not candle by candle.
    start_ms = max(start_ms, _listed_ms(market, symbol, interval))
    open_ms, end = interval_bounds(interval, start_ms)
    if open_ms < start_ms:
        open_ms, end = interval_bounds(interval, end)
    while open_ms <= newest_ms and len(candles) < limit:
        candle = market.candle(symbol, open_ms, end)
        if candle is not None:
            candles.append(candle)
        open_ms, end = interval_bounds(interval, end)
    return candles


def ticker_24h(market: Market, symbol: str) -> Ticker24h:
    """Return the rolling statistics of the last 24 hours."""
    tick = market.latest(symbol)
    end_ms = market.now_ms // 1_000 * 1_000 + 1_000
    candle = market.candle(symbol, end_ms - _DAY_MS, end_ms)
    assert candle is not None, "a market that has a tick has a last day"
    average = candle.quote_volume / candle.volume if candle.volume else candle.close
    change = candle.close - candle.open
    return Ticker24h(
        symbol=symbol,
        price_change=change,
        price_change_percent=(change / candle.open * HUNDRED).quantize(Decimal("0.001")),
        weighted_average_price=average.quantize(candle.close),
        last_price=candle.close,
        last_quantity=tick.last_quantity,
        open_price=candle.open,
        high_price=candle.high,
        low_price=candle.low,
        volume=candle.volume,
        quote_volume=candle.quote_volume,
        open_ms=candle.open_ms,
        close_ms=market.now_ms,
        first_trade_id=candle.first_trade_id,
        last_trade_id=candle.first_trade_id + candle.trades - 1,
        trades=candle.trades,
    )


def recent_trades(market: Market, symbol: str, *, limit: int = 500) -> list[MarketTick]:
    """Return the newest `limit` trades, oldest first. Raises KeyError for an unknown symbol."""
    return agg_trades(market, symbol, limit=limit)


def agg_trades(
    market: Market,
    symbol: str,
    *,
    from_id: int | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int = 500,
) -> list[MarketTick]:
    """Return aggregate trades, oldest first, `trade_id` being their id.

    With `from_id` or `start_ms` (inclusive) the oldest `limit` from there, else the newest.
    `end_ms` is inclusive. Raises KeyError for an unknown symbol.
    """
    newest_ms = market.now_ms if end_ms is None else min(end_ms, market.now_ms)
    after = market.trade_id_at(symbol, newest_ms + 1)
    if from_id is not None:
        first = max(from_id, 0)
    elif start_ms is not None:
        first = market.trade_id_at(symbol, start_ms)
    else:
        first = max(after - limit, 0)
    found = (market.tick_at(symbol, one) for one in range(first, min(first + limit, after)))
    return [tick for tick in found if tick is not None]


def funding_history(
    market: Market,
    symbol: str,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    limit: int = 100,
) -> list[FundingSettled]:
    """Return settlements in [start_ms, end_ms], oldest first.

    Without a start the newest `limit` are taken. Raises KeyError for an unknown symbol.
    """
    newest_ms = market.now_ms if end_ms is None else min(end_ms, market.now_ms)
    newest = newest_ms // _FUNDING_MS
    oldest = -(-_listed_ms(market, symbol, "1m") // _FUNDING_MS)
    if start_ms is None:
        oldest = max(oldest, newest - limit + 1)
    else:
        oldest = max(oldest, -(-start_ms // _FUNDING_MS))
    numbers = range(oldest, min(newest + 1, oldest + limit))
    return [market.funding_settled(symbol, number * _FUNDING_MS) for number in numbers]


def _candles_back(market: Market, symbol: str, interval: str, newest_ms: int) -> Iterator[Candle]:
    """Yield candles from the one that contains `newest_ms` into the past, over gaps."""
    open_ms, end_ms = interval_bounds(interval, newest_ms)
    listed_ms = _listed_ms(market, symbol, interval)
    while open_ms >= listed_ms:
        candle = market.candle(symbol, open_ms, end_ms)
        if candle is not None:
            yield candle
        elif listed_ms == 0:
            return  # nobody knows where its past ends
        open_ms, end_ms = interval_bounds(interval, open_ms - 1)


def _listed_ms(market: Market, symbol: str, interval: str) -> int:
    """Return the opening of the first candle that anything traded in."""
    listed_ms = market.listed_ms(symbol)
    return interval_bounds(interval, listed_ms)[0] if listed_ms else 0


def _month_ms(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000

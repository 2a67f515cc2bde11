"""Open data: time, contracts, books, trades, candles, prices, funding.

Knows the wire's shape of every market answer. Where prices come from is the market's business.

Source: binance-usdm reference §4, §9.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trader_cli.domain.numbers import to_wire
from trader_cli.paper.api.market_params import limit_of, pair_of, symbol_of, symbols_of, window_of
from trader_cli.paper.api.routes import Handler, Route, WeightRule, by_limit, by_symbol
from trader_cli.paper.contracts.exchange_info import exchange_info
from trader_cli.paper.markets.history import (
    INTERVALS,
    agg_trades,
    funding_history,
    klines,
    ticker_24h,
)
from trader_cli.paper.markets.market import Candle, FundingSettled, MarketTick
from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.limits import RequestPool
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.wire.rest_market import KlineRow

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

_DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1_000)
_DEPTH_DEFAULT: Final = 500
_TRADES_DEFAULT, _TRADES_MAX = 500, 1_000
_KLINES_DEFAULT, _KLINES_MAX = 500, 1_500
_FUNDING_DEFAULT, _FUNDING_MAX = 100, 1_000
_HOUR_MS: Final = 3_600_000
_FUNDING_INTERVAL_HOURS: Final = 8
_FUNDING_CAP: Final = "0.00300000"

_PERPETUAL: Final = "PERPETUAL"
_CONTRACT_TYPES: Final = (_PERPETUAL, "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL")

_SymbolRow = Callable[["Exchange", str, int], dict[str, object]]


def _ping(_exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return {}


def _time(exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {"serverTime": exchange.told_ms(now_ms)}


def _exchange_info(exchange: Exchange, _params: Params, now_ms: int) -> object:
    info = exchange_info(
        exchange.contracts.values(), exchange.limits.published(), exchange.told_ms(now_ms)
    )
    for row in info["symbols"]:
        row["status"] = exchange.status_of(row["symbol"], now_ms)
    return info


def _depth(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbol = symbol_of(exchange, params)
    limit = params.integer("limit")
    limit = _DEPTH_DEFAULT if limit is None else limit
    if limit not in _DEPTH_LIMITS:
        raise VenueRefusal(-4021, limit)
    book = exchange.market.depth(symbol, limit)
    return {
        "lastUpdateId": book.update_id,
        "E": now_ms,
        "T": book.time_ms,
        "bids": [[to_wire(price), to_wire(quantity)] for price, quantity in book.bids],
        "asks": [[to_wire(price), to_wire(quantity)] for price, quantity in book.asks],
    }


def _trades(exchange: Exchange, params: Params, _now_ms: int) -> object:
    symbol = symbol_of(exchange, params)
    ticks = agg_trades(
        exchange.market,
        symbol,
        from_id=params.integer("fromId"),
        limit=limit_of(params, _TRADES_DEFAULT, _TRADES_MAX),
    )
    return [_trade(tick) for tick in ticks if tick.last_quantity > 0]


def _agg_trades(exchange: Exchange, params: Params, _now_ms: int) -> object:
    symbol = symbol_of(exchange, params)
    start_ms, end_ms = window_of(params)
    if start_ms is not None and end_ms is not None and end_ms - start_ms > _HOUR_MS:
        raise VenueRefusal(-1127, detail="Lookup interval is too big.")
    ticks = agg_trades(
        exchange.market,
        symbol,
        from_id=params.integer("fromId"),
        start_ms=start_ms,
        end_ms=end_ms,
        limit=limit_of(params, _TRADES_DEFAULT, _TRADES_MAX),
    )
    return [_agg_trade(tick) for tick in ticks if tick.last_quantity > 0]


def _klines(name: str, *, prices_only: bool = False) -> Handler:
    """Answer candles of the contract named by parameter `name`.

    Mark and index price candles are those of the contract without volumes: mark and index
    follow the contract closely here and have no trades of their own.
    """

    def handle(exchange: Exchange, params: Params, _now_ms: int) -> object:
        symbol = pair_of(exchange, params) if name == "pair" else symbol_of(exchange, params)
        interval = params.needed("interval")
        if interval not in INTERVALS:
            raise VenueRefusal(-1120)
        start_ms, end_ms = window_of(params)
        candles = klines(
            exchange.market,
            symbol,
            interval,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=limit_of(params, _KLINES_DEFAULT, _KLINES_MAX),
        )
        return [_kline_row(candle, prices_only=prices_only) for candle in candles]

    return handle


def _continuous_klines(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Answer a pair's candles by contract type; only perpetual contracts are listed."""
    kind = params.needed("contractType").upper()
    if kind not in _CONTRACT_TYPES:
        raise VenueRefusal(-4104)
    rows = _klines("pair")(exchange, params, now_ms)
    return rows if kind == _PERPETUAL else []


def _kline_row(candle: Candle, *, prices_only: bool) -> KlineRow:
    prices = [to_wire(one) for one in (candle.open, candle.high, candle.low, candle.close)]
    head: KlineRow = [candle.open_ms, *prices]
    trades = candle.trades
    if prices_only:
        return [*head, "0", candle.close_ms, "0", trades, "0", "0", "0"]
    quote, taker = to_wire(candle.quote_volume), to_wire(candle.taker_buy_volume)
    taker_quote = to_wire(candle.taker_buy_quote_volume)
    return [*head, to_wire(candle.volume), candle.close_ms, quote, trades, taker, taker_quote, "0"]


def _ticker_day(exchange: Exchange, symbol: str, _now_ms: int) -> dict[str, object]:
    day = ticker_24h(exchange.market, symbol)
    return {
        "symbol": symbol,
        "priceChange": to_wire(day.price_change),
        "priceChangePercent": to_wire(day.price_change_percent),
        "weightedAvgPrice": to_wire(day.weighted_average_price),
        "lastPrice": to_wire(day.last_price),
        "lastQty": to_wire(day.last_quantity),
        "openPrice": to_wire(day.open_price),
        "highPrice": to_wire(day.high_price),
        "lowPrice": to_wire(day.low_price),
        "volume": to_wire(day.volume),
        "quoteVolume": to_wire(day.quote_volume),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def _book_ticker(exchange: Exchange, symbol: str, _now_ms: int) -> dict[str, object]:
    tick = exchange.market.latest(symbol)
    return {
        "symbol": symbol,
        "bidPrice": to_wire(tick.bid),
        "bidQty": to_wire(tick.bid_quantity),
        "askPrice": to_wire(tick.ask),
        "askQty": to_wire(tick.ask_quantity),
        "time": tick.time_ms,
        "lastUpdateId": tick.update_id,
    }


def _ticker_price(exchange: Exchange, symbol: str, _now_ms: int) -> dict[str, object]:
    tick = exchange.market.latest(symbol)
    return {"symbol": symbol, "price": to_wire(tick.last_price), "time": tick.time_ms}


def _ticker_price_v2(exchange: Exchange, symbol: str, now_ms: int) -> dict[str, object]:
    row = _ticker_price(exchange, symbol, now_ms)
    return {key: row[key] for key in ("price", "symbol", "time")}


def _premium_index(exchange: Exchange, symbol: str, now_ms: int) -> dict[str, object]:
    tick, funding = exchange.market.latest(symbol), exchange.market.funding(symbol)
    return {
        "symbol": symbol,
        "markPrice": f"{tick.mark_price:.8f}",
        "indexPrice": f"{tick.index_price:.8f}",
        "estimatedSettlePrice": f"{tick.index_price:.8f}",
        "lastFundingRate": f"{funding.rate:.8f}",
        "interestRate": f"{funding.interest_rate:.8f}",
        "nextFundingTime": funding.next_funding_ms,
        "time": now_ms,
    }


def _open_interest(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbol = symbol_of(exchange, params)
    interest = to_wire(exchange.open_interest(symbol))
    return {"symbol": symbol, "openInterest": interest, "time": now_ms}


def _funding_rate(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Answer settlements, oldest first; without a symbol those of all contracts, by time."""
    limit = limit_of(params, _FUNDING_DEFAULT, _FUNDING_MAX)
    start_ms, end_ms = window_of(params)
    symbols = [symbol_of(exchange, params)] if params.has("symbol") else symbols_of(exchange)
    each = -(-limit // len(symbols)) if start_ms is None else limit
    found = [
        settled
        for symbol in symbols
        for settled in funding_history(
            exchange.market, symbol, start_ms=start_ms, end_ms=end_ms, limit=each
        )
    ]
    found.sort(key=lambda settled: settled.time_ms)
    chosen = found[-limit:] if start_ms is None else found[:limit]
    return [_funding_row(settled) for settled in chosen]


def _funding_row(settled: FundingSettled) -> dict[str, object]:
    return {
        "symbol": settled.symbol,
        "fundingRate": f"{settled.rate:.8f}",
        "fundingTime": settled.time_ms,
        "markPrice": f"{settled.mark_price:.8f}",
        "rateType": "Regular",
    }


def _funding_info(exchange: Exchange, _params: Params, now_ms: int) -> object:
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": _FUNDING_CAP,
            "adjustedFundingRateFloor": f"-{_FUNDING_CAP}",
            "fundingIntervalHours": _FUNDING_INTERVAL_HOURS,
            "disclaimer": False,
            "updateTime": now_ms,
        }
        for symbol in symbols_of(exchange)
    ]


def _one_or_all(row: _SymbolRow) -> Handler:
    """Answer with a symbol's row, or with all rows where none is named."""

    def handle(exchange: Exchange, params: Params, now_ms: int) -> object:
        if params.has("symbol"):
            return row(exchange, symbol_of(exchange, params), now_ms)
        return [row(exchange, symbol, now_ms) for symbol in symbols_of(exchange)]

    return handle


def _trade(tick: MarketTick) -> dict[str, object]:
    return {
        "id": tick.trade_id,
        "price": to_wire(tick.last_price),
        "qty": to_wire(tick.last_quantity),
        "quoteQty": to_wire(_cents(tick.last_price * tick.last_quantity)),
        "time": tick.time_ms,
        "isBuyerMaker": tick.buyer_is_maker,
        "isRPITrade": False,
    }


def _agg_trade(tick: MarketTick) -> dict[str, object]:
    return {
        "a": tick.trade_id,
        "p": to_wire(tick.last_price),
        "q": to_wire(tick.last_quantity),
        "nq": to_wire(tick.last_quantity),
        "f": tick.trade_id,
        "l": tick.trade_id,
        "T": tick.time_ms,
        "m": tick.buyer_is_maker,
    }


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))


def _open(
    path: str,
    handler: Handler,
    weight: int | WeightRule = 1,
    *,
    pool: RequestPool | None = None,
) -> Route:
    return Route(
        method="GET",
        path=path,
        security=Security.OPEN,
        handler=handler,
        weight=weight,
        pool=pool,
    )


_DEPTH_WEIGHT: Final = by_limit(_DEPTH_DEFAULT, (50, 2), (100, 5), (500, 10), (1_000, 20))
_KLINE_WEIGHT: Final = by_limit(_KLINES_DEFAULT, (99, 1), (499, 2), (1_000, 5), (1_500, 10))
_FUNDING_POOL: Final = RequestPool(name="funding", per_5_minutes=500)
MARKET_ROUTES: Final = (
    _open("/fapi/v1/ping", _ping),
    _open("/fapi/v1/time", _time),
    _open("/fapi/v1/exchangeInfo", _exchange_info),
    _open("/fapi/v1/depth", _depth, _DEPTH_WEIGHT),
    _open("/fapi/v1/rpiDepth", _depth, 20),
    _open("/fapi/v1/trades", _trades, 5),
    _open("/fapi/v1/aggTrades", _agg_trades, 20),
    Route(
        method="GET",
        path="/fapi/v1/historicalTrades",
        security=Security.KEY,
        handler=_trades,
        weight=200,
    ),
    _open("/fapi/v1/klines", _klines("symbol"), _KLINE_WEIGHT),
    _open("/fapi/v1/continuousKlines", _continuous_klines, _KLINE_WEIGHT),
    _open("/fapi/v1/markPriceKlines", _klines("symbol", prices_only=True), _KLINE_WEIGHT),
    _open("/fapi/v1/indexPriceKlines", _klines("pair", prices_only=True), _KLINE_WEIGHT),
    _open("/fapi/v1/ticker/bookTicker", _one_or_all(_book_ticker), by_symbol(2, 5)),
    _open("/fapi/v1/ticker/price", _one_or_all(_ticker_price), by_symbol(1, 2)),
    _open("/fapi/v2/ticker/price", _one_or_all(_ticker_price_v2), by_symbol(1, 2)),
    _open("/fapi/v1/ticker/24hr", _one_or_all(_ticker_day), by_symbol(1, 40)),
    _open("/fapi/v1/premiumIndex", _one_or_all(_premium_index), by_symbol(1, 10)),
    _open("/fapi/v1/openInterest", _open_interest),
    _open("/fapi/v1/fundingRate", _funding_rate, 0, pool=_FUNDING_POOL),
    _open("/fapi/v1/fundingInfo", _funding_info, 0, pool=_FUNDING_POOL),
    _open("/api/v3/ping", _ping),
    _open("/api/v3/time", _time),
)

"""Open data about the market as a whole: indices, insurance fund, schedules, statistics.

Knows the wire's shapes. Nobody else trades here, so what is told of other people's trading is
neutral: as many long as short. Volumes are the market's own.

Source: binance-usdm reference §4, §9; documented samples of each call.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trader_cli.domain.numbers import ZERO, to_wire
from trader_cli.paper.api.market_params import limit_of, pair_of, symbol_of, symbols_of, window_of
from trader_cli.paper.api.routes import Handler, Route, WeightRule, by_limit, by_symbol
from trader_cli.paper.contracts.exchange_info import ASSETS
from trader_cli.paper.contracts.reference_data import (
    AssetIndex,
    Session,
    asset_index,
    commodity_sessions,
    equity_sessions,
)
from trader_cli.paper.markets.history import INTERVALS, klines
from trader_cli.paper.markets.market import Candle
from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.limits import RequestPool
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

_INSURANCE_FUND: Final = "1000000000.00000000"
_PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
_ROWS_DEFAULT, _ROWS_MAX = 30, 500
_KLINES_DEFAULT, _KLINES_MAX = 500, 1_500
_EIGHT: Final = Decimal("0.00000001")
_FOUR: Final = Decimal("0.0001")
_NO_PREMIUM: Final = "0.00000000"

_Row = Callable[["Exchange", str, Candle], dict[str, object]]


def _asset_index(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Answer the index named, or all."""
    found = [_index_of(exchange, asset) for asset in ASSETS]
    rows = [_index_row(index, now_ms) for index in found if index is not None]
    wanted = params.text("symbol")
    if wanted is None:
        return rows
    for row in rows:
        if row["symbol"] == wanted.upper():
            return row
    raise VenueRefusal(-1121)


def _index_of(exchange: Exchange, asset: str) -> AssetIndex | None:
    return asset_index(asset, exchange.index_price)


def _index_row(index: AssetIndex, now_ms: int) -> dict[str, object]:
    low, high = index.index * (1 - index.buffer), index.index * (1 + index.buffer)
    auto = index.exchange_buffer
    return {
        "symbol": index.symbol,
        "time": now_ms,
        "index": _eight(index.index),
        "bidBuffer": _eight(index.buffer),
        "askBuffer": _eight(index.buffer),
        "bidRate": _eight(low),
        "askRate": _eight(high),
        "autoExchangeBidBuffer": _eight(auto),
        "autoExchangeAskBuffer": _eight(auto),
        "autoExchangeBidRate": _eight(index.index * (1 - auto)),
        "autoExchangeAskRate": _eight(index.index * (1 + auto)),
    }


def _constituents(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Answer with this market alone: the index is its own."""
    symbol = symbol_of(exchange, params)
    price = exchange.market.latest(symbol).index_price
    only = {"exchange": "binance", "symbol": symbol, "price": _eight(price), "weight": "1.00000000"}
    return {"symbol": symbol, "time": now_ms, "constituents": [only]}


def _index_info(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Answer with no composite index: none is listed."""
    if params.has("symbol"):
        symbol_of(exchange, params)
    return []


def _insurance(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbols = [symbol_of(exchange, params)] if params.has("symbol") else symbols_of(exchange)
    fund = {
        "symbols": symbols,
        "assets": [{"asset": "USDT", "marginBalance": _INSURANCE_FUND, "updateTime": now_ms}],
    }
    return fund if params.has("symbol") else [fund]


def _adl_risk(exchange: Exchange, params: Params, now_ms: int) -> object:
    def row(symbol: str) -> dict[str, object]:
        return {"symbol": symbol, "adlRisk": "low", "updateTime": now_ms}

    if params.has("symbol"):
        return row(symbol_of(exchange, params))
    return [row(symbol) for symbol in symbols_of(exchange)]


_MARKETS_WITHOUT_CONTRACTS: Final = ("FX", "HK_EQUITY", "KR_EQUITY", "CN_EQUITY")


def _schedule(_exchange: Exchange, _params: Params, now_ms: int) -> object:
    def rows(sessions: list[Session]) -> dict[str, object]:
        return {
            "sessions": [
                {"startTime": one.start_ms, "endTime": one.end_ms, "type": one.kind}
                for one in sessions
            ]
        }

    return {
        "updateTime": now_ms,
        "marketSchedules": {
            "EQUITY": rows(equity_sessions(now_ms)),
            "COMMODITY": rows(commodity_sessions(now_ms)),
            **dict.fromkeys(_MARKETS_WITHOUT_CONTRACTS, rows([])),
        },
    }


def _premium_klines(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Answer candles of the premium: none, for mark and contract follow the index here."""
    interval = params.needed("interval")
    if interval not in INTERVALS:
        raise VenueRefusal(-1120)
    start_ms, end_ms = window_of(params)
    candles = klines(
        exchange.market,
        symbol_of(exchange, params),
        interval,
        start_ms=start_ms,
        end_ms=end_ms,
        limit=limit_of(params, _KLINES_DEFAULT, _KLINES_MAX),
    )
    prices = [_NO_PREMIUM] * 4
    return [
        [one.open_ms, *prices, "0", one.close_ms, "0", one.trades, "0", "0", "0"] for one in candles
    ]


def _statistics(row: _Row, *, by_pair: bool = False) -> Handler:
    """Answer one row a period, oldest first, for the contract or pair that is named."""

    def handle(exchange: Exchange, params: Params, _now_ms: int) -> object:
        symbol = pair_of(exchange, params) if by_pair else symbol_of(exchange, params)
        period = params.needed("period")
        if period not in _PERIODS:
            raise VenueRefusal(-1130, "period")
        start_ms, end_ms = window_of(params)
        candles = klines(
            exchange.market,
            symbol,
            period,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=limit_of(params, _ROWS_DEFAULT, _ROWS_MAX),
        )
        return [row(exchange, symbol, candle) for candle in candles]

    return handle


def _open_interest_row(exchange: Exchange, symbol: str, candle: Candle) -> dict[str, object]:
    interest = exchange.open_interest(symbol)
    return {
        "symbol": symbol,
        "sumOpenInterest": _eight(interest),
        "sumOpenInterestValue": _eight(interest * candle.close),
        "CMCCirculatingSupply": "0",
        "timestamp": candle.open_ms,
    }


def _ratio_row(_exchange: Exchange, symbol: str, candle: Candle) -> dict[str, object]:
    return {
        "symbol": symbol,
        "longShortRatio": "1.0000",
        "longAccount": "0.5000",
        "shortAccount": "0.5000",
        "timestamp": candle.open_ms,
    }


def _taker_row(_exchange: Exchange, _symbol: str, candle: Candle) -> dict[str, object]:
    bought = candle.taker_buy_volume
    sold = candle.volume - bought
    ratio = bought / sold if sold else ZERO
    return {
        "buySellRatio": to_wire(ratio.quantize(_FOUR)),
        "buyVol": to_wire(bought),
        "sellVol": to_wire(sold),
        "timestamp": candle.open_ms,
    }


def _basis_row(_exchange: Exchange, symbol: str, candle: Candle) -> dict[str, object]:
    return {
        "indexPrice": to_wire(candle.close),
        "contractType": "PERPETUAL",
        "basisRate": "0.0000",
        "futuresPrice": to_wire(candle.close),
        "annualizedBasisRate": "",
        "basis": "0",
        "pair": symbol,
        "timestamp": candle.open_ms,
    }


def _deliveries(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Answer with no delivery: perpetual contracts have none."""
    pair_of(exchange, params)
    return []


def _eight(value: Decimal) -> str:
    return to_wire(value.quantize(_EIGHT))


def _open(path: str, handler: Handler, weight: int | WeightRule = 1) -> Route:
    return Route(method="GET", path=path, security=Security.OPEN, handler=handler, weight=weight)


def _statistic(path: str, handler: Handler) -> Route:
    """Return the row of a call that weighs nothing and has a limit of its own."""
    return Route(
        method="GET",
        path=f"/futures/data/{path}",
        security=Security.OPEN,
        handler=handler,
        weight=0,
        pool=_STATISTICS_POOL,
    )


_KLINE_WEIGHT: Final = by_limit(_KLINES_DEFAULT, (99, 1), (499, 2), (1_000, 5), (1_500, 10))

_STATISTICS_POOL: Final = RequestPool(name="statistics", per_5_minutes=1_000)

REFERENCE_ROUTES: Final = (
    _open("/fapi/v1/assetIndex", _asset_index, by_symbol(1, 10)),
    _open("/fapi/v1/constituents", _constituents, 2),
    _open("/fapi/v1/indexInfo", _index_info),
    _open("/fapi/v1/insuranceBalance", _insurance),
    _open("/fapi/v1/symbolAdlRisk", _adl_risk),
    _open("/fapi/v1/tradingSchedule", _schedule, 5),
    _open("/fapi/v1/premiumIndexKlines", _premium_klines, _KLINE_WEIGHT),
    _statistic("openInterestHist", _statistics(_open_interest_row)),
    _statistic("topLongShortAccountRatio", _statistics(_ratio_row)),
    _statistic("topLongShortPositionRatio", _statistics(_ratio_row)),
    _statistic("globalLongShortAccountRatio", _statistics(_ratio_row)),
    _statistic("takerlongshortRatio", _statistics(_taker_row)),
    _statistic("basis", _statistics(_basis_row, by_pair=True)),
    _statistic("delivery-price", _deliveries),
)

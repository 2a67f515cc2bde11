"""What the REST interface answers about contracts and prices; see `rest`.

Source: binance-usdm reference §9, §13; key sets of answers recorded in September 2026.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from trader_cli.wire.rest import RateLimit


class SymbolFilter(TypedDict):
    """A filter of a symbol; which keys it carries follows from `filterType`."""

    filterType: str
    minPrice: NotRequired[str]
    maxPrice: NotRequired[str]
    tickSize: NotRequired[str]
    minQty: NotRequired[str]
    maxQty: NotRequired[str]
    stepSize: NotRequired[str]
    limit: NotRequired[int]
    notional: NotRequired[str]
    multiplierUp: NotRequired[str]
    multiplierDown: NotRequired[str]
    multiplierDecimal: NotRequired[str]
    positionControlSide: NotRequired[str]


class SymbolInfo(TypedDict):
    """A contract of exchangeInfo; the two precisions are for display only."""

    symbol: str
    pair: str
    contractType: str
    deliveryDate: int
    onboardDate: int
    status: str
    maintMarginPercent: str
    requiredMarginPercent: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str
    pricePrecision: int
    quantityPrecision: int
    baseAssetPrecision: int
    quotePrecision: int
    underlyingType: str
    underlyingSubType: list[str]
    triggerProtect: str
    liquidationFee: str
    marketTakeBound: str
    maxMoveOrderLimit: int
    filters: list[SymbolFilter]
    orderTypes: list[str]
    timeInForce: list[str]
    permissionSets: list[str]


class ExchangeAsset(TypedDict):
    """A margin asset of exchangeInfo."""

    asset: str
    marginAvailable: bool
    autoAssetExchange: str


class ExchangeInfo(TypedDict):
    """`GET /fapi/v1/exchangeInfo`: all symbols, whatever was asked."""

    timezone: str
    serverTime: int
    futuresType: str
    rateLimits: list[RateLimit]
    exchangeFilters: list[object]
    assets: list[ExchangeAsset]
    symbols: list[SymbolInfo]


class Depth(TypedDict):
    """`GET /fapi/v1/depth`: rows of [price, quantity], best first."""

    lastUpdateId: int
    E: int
    T: int
    bids: list[list[str]]
    asks: list[list[str]]


class BookTicker(TypedDict):
    """`GET /fapi/v1/ticker/bookTicker`."""

    symbol: str
    bidPrice: str
    bidQty: str
    askPrice: str
    askQty: str
    time: int
    lastUpdateId: NotRequired[int]


class PremiumIndex(TypedDict):
    """`GET /fapi/v1/premiumIndex`: mark price and funding."""

    symbol: str
    markPrice: str
    indexPrice: str
    estimatedSettlePrice: str
    lastFundingRate: str
    interestRate: str
    nextFundingTime: int
    time: int


class TickerPrice(TypedDict):
    """`GET /fapi/v2/ticker/price`."""

    symbol: str
    price: str
    time: int


class Ticker24h(TypedDict):
    """`GET /fapi/v1/ticker/24hr`."""

    symbol: str
    priceChange: str
    priceChangePercent: str
    weightedAvgPrice: str
    lastPrice: str
    lastQty: str
    openPrice: str
    highPrice: str
    lowPrice: str
    volume: str
    quoteVolume: str
    openTime: int
    closeTime: int
    firstId: int
    lastId: int
    count: int


KlineRow = list[int | str]
"""`GET /fapi/v1/klines`, 12 places: openTime, open, high, low, close, volume, closeTime,
quoteVolume, trades, takerBuyBase, takerBuyQuote, "0"."""


class Trade(TypedDict):
    """A row of `GET /fapi/v1/trades`."""

    id: int
    price: str
    qty: str
    quoteQty: str
    time: int
    isBuyerMaker: bool
    isRPITrade: NotRequired[bool]


class AggTrade(TypedDict):
    """A row of `GET /fapi/v1/aggTrades`; `nq` (quantity without RPI) since 2025-12-29."""

    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's key
    T: int
    m: bool
    nq: NotRequired[str]


class FundingRate(TypedDict):
    """A row of `GET /fapi/v1/fundingRate`; `rateType` since 2026-07-23."""

    symbol: str
    fundingRate: str
    fundingTime: int
    markPrice: str
    rateType: NotRequired[str]


class FundingInfo(TypedDict):
    """A row of `GET /fapi/v1/fundingInfo`."""

    symbol: str
    adjustedFundingRateCap: str
    adjustedFundingRateFloor: str
    fundingIntervalHours: int
    disclaimer: bool
    updateTime: NotRequired[int]


class OpenInterest(TypedDict):
    """`GET /fapi/v1/openInterest`."""

    openInterest: str
    symbol: str
    time: int

"""What Binance's USD-M REST interface answers, key by key, as of autumn 2026.

Knows the shapes and nothing of sockets, clocks or meaning: `decode.py` turns them into the words
of the field. The client reads these shapes and the paper exchange writes them, so a key that one
of them invents does not type-check in the other. Decimals travel as strings, ids and times as
integers, `NotRequired` marks keys that only some answers carry. Unknown further keys are allowed
by the venue at any time.

Source: binance-usdm reference §6-§9, §11.1, §13; key sets of answers recorded in September 2026.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

AlgoType = Literal["CONDITIONAL"]
"""`algoType`: the only kind the Algo Service offers to the API."""


class ErrorBody(TypedDict):
    """Every refusal, and every failed element of a batch."""

    code: int
    msg: str


class CodeMessage(TypedDict):
    """Success of a call without a result, `{"code": 200, "msg": …}`: not an error."""

    code: int
    msg: str


class ServerTime(TypedDict):
    """`GET /fapi/v1/time`."""

    serverTime: int


class ListenKey(TypedDict):
    """`POST` and `PUT /fapi/v1/listenKey`."""

    listenKey: str


# --- regular orders ---------------------------------------------------------------------------


class OrderWritten(TypedDict):
    """Answer to placing, amending or cancelling a regular order.

    Since 2026-06-30 without `avgPrice` and `cumQuote`; before, it had both, and order/test still
    has. `pair` and `modifyId` come with modifications.
    """

    orderId: int
    symbol: str
    status: str
    clientOrderId: str
    price: str
    origQty: str
    executedQty: str
    cumQty: str
    timeInForce: str
    type: str
    reduceOnly: bool
    closePosition: bool
    side: str
    positionSide: str
    stopPrice: str
    workingType: str
    priceProtect: bool
    origType: str
    priceMatch: str
    selfTradePreventionMode: str
    goodTillDate: int
    updateTime: int
    avgPrice: NotRequired[str]
    cumQuote: NotRequired[str]
    pair: NotRequired[str]
    modifyId: NotRequired[int]


class OrderQueried(TypedDict):
    """A row of `GET` order, openOrder, openOrders and allOrders.

    `cumBase` and `pair` came to allOrders on 2026-08-05.
    """

    orderId: int
    symbol: str
    status: str
    clientOrderId: str
    price: str
    avgPrice: str
    origQty: str
    executedQty: str
    cumQuote: str
    timeInForce: str
    type: str
    reduceOnly: bool
    closePosition: bool
    side: str
    positionSide: str
    stopPrice: str
    workingType: str
    priceProtect: bool
    origType: str
    priceMatch: str
    selfTradePreventionMode: str
    goodTillDate: int
    time: int
    updateTime: int
    cumBase: NotRequired[str]
    pair: NotRequired[str]


class UserTrade(TypedDict):
    """A row of `GET /fapi/v1/userTrades`; `pair`, `baseQty`, `marginAsset` since 2026-08-05."""

    symbol: str
    id: int
    orderId: int
    side: str
    positionSide: str
    price: str
    qty: str
    quoteQty: str
    realizedPnl: str
    commission: str
    commissionAsset: str
    time: int
    buyer: bool
    maker: bool
    pair: NotRequired[str]
    baseQty: NotRequired[str]
    marginAsset: NotRequired[str]


class CountdownSet(TypedDict):
    """`POST /fapi/v1/countdownCancelAll`; the time comes back as a string."""

    symbol: str
    countdownTime: str


class RateLimit(TypedDict):
    """One limit of exchangeInfo or of `GET /fapi/v1/rateLimit/order`."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


# --- algo (conditional) orders ----------------------------------------------------------------


class CountedLimit(RateLimit):
    """A limit with what is used of it, as answers of the WebSocket API carry it."""

    count: int


class AlgoPlaced(TypedDict):
    """Answer to `POST /fapi/v1/algoOrder`.

    There is no orderId, status, type or clientOrderId. A trailing stop adds the two last keys.
    """

    algoId: int
    clientAlgoId: str
    algoType: AlgoType
    orderType: str
    symbol: str
    side: str
    positionSide: str
    timeInForce: str
    quantity: str
    algoStatus: str
    triggerPrice: str
    price: str
    icebergQuantity: str | None
    selfTradePreventionMode: str
    workingType: str
    priceMatch: str
    closePosition: bool
    priceProtect: bool
    reduceOnly: bool
    createTime: int
    updateTime: int
    triggerTime: int
    goodTillDate: int
    activatePrice: NotRequired[str]
    callbackRate: NotRequired[str]


class AlgoOpen(AlgoPlaced):
    """A row of `GET /fapi/v1/openAlgoOrders`; `actualOrderId` is "" before the trigger."""

    actualOrderId: str
    actualQty: str
    isActivated: bool


class AlgoHistory(AlgoPlaced):
    """A row of `GET` algoOrder and allAlgoOrders (newest first).

    `actualQty` and `actualType` appear after the trigger only; the tp and sl keys in some answers.
    """

    actualOrderId: str
    actualPrice: str
    tpOrderType: str
    isActivated: NotRequired[bool]
    actualQty: NotRequired[str]
    actualType: NotRequired[str]
    tpTriggerPrice: NotRequired[str]
    tpPrice: NotRequired[str]
    slTriggerPrice: NotRequired[str]
    slPrice: NotRequired[str]


class AlgoCancelled(TypedDict):
    """Answer to `DELETE /fapi/v1/algoOrder`; here the code is the string "200"."""

    algoId: int
    clientAlgoId: str
    code: str
    msg: str


# --- account ----------------------------------------------------------------------------------


class BalanceRow(TypedDict):
    """A row of `GET /fapi/v2/balance` and v3."""

    accountAlias: str
    asset: str
    balance: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    marginAvailable: bool
    updateTime: int


class AccountAsset(TypedDict):
    """An asset of the account; `marginAvailable` in v2 only."""

    asset: str
    walletBalance: str
    unrealizedProfit: str
    marginBalance: str
    maintMargin: str
    initialMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    updateTime: int
    marginAvailable: NotRequired[bool]


class AccountPositionV2(TypedDict):
    """A position of `GET /fapi/v2/account`, one for every symbol of the venue."""

    symbol: str
    initialMargin: str
    maintMargin: str
    unrealizedProfit: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    leverage: str
    isolated: bool
    entryPrice: str
    breakEvenPrice: str
    maxNotional: str
    positionSide: str
    positionAmt: str
    notional: str
    isolatedWallet: str
    updateTime: int
    bidNotional: str
    askNotional: str


class AccountPositionV3(TypedDict):
    """A position of `GET /fapi/v3/account`, only where there is a position or an order."""

    symbol: str
    positionSide: str
    positionAmt: str
    unrealizedProfit: str
    isolatedMargin: str
    notional: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    updateTime: int


class AccountTotals(TypedDict):
    """The sums that both versions of the account carry."""

    totalInitialMargin: str
    totalMaintMargin: str
    totalWalletBalance: str
    totalUnrealizedProfit: str
    totalMarginBalance: str
    totalPositionInitialMargin: str
    totalOpenOrderInitialMargin: str
    totalCrossWalletBalance: str
    totalCrossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    assets: list[AccountAsset]


class AccountV2(AccountTotals):
    """`GET /fapi/v2/account`: sums, switches and every symbol."""

    feeTier: int
    feeBurn: bool
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    updateTime: int
    multiAssetsMargin: bool
    tradeGroupId: int
    positions: list[AccountPositionV2]


class AccountV3(AccountTotals):
    """`GET /fapi/v3/account`: sums without the switches, which are in `AccountConfig`."""

    positions: list[AccountPositionV3]


class AccountConfig(TypedDict):
    """`GET /fapi/v1/accountConfig`."""

    feeTier: int
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    dualSidePosition: bool
    updateTime: int
    multiAssetsMargin: bool
    tradeGroupId: int


class PositionRiskV2(TypedDict):
    """A row of `GET /fapi/v2/positionRisk`, every symbol; `isAutoAddMargin` is a string here."""

    symbol: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    leverage: str
    maxNotionalValue: str
    marginType: str
    isolatedMargin: str
    isAutoAddMargin: str
    positionSide: str
    notional: str
    isolatedWallet: str
    updateTime: int


class PositionRiskV3(TypedDict):
    """A row of `GET /fapi/v3/positionRisk`, only where there is a position or an order.

    Neither leverage nor margin type: those are in `SymbolConfigRow`.
    """

    symbol: str
    positionSide: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    isolatedMargin: str
    notional: str
    marginAsset: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    adl: int
    bidNotional: str
    askNotional: str
    updateTime: int


class SymbolConfigRow(TypedDict):
    """A row of `GET /fapi/v1/symbolConfig`; the margin type reads CROSSED or ISOLATED."""

    symbol: str
    marginType: str
    isAutoAddMargin: bool
    leverage: int
    maxNotionalValue: str


class LeverageSet(TypedDict):
    """Answer to `POST /fapi/v1/leverage`."""

    leverage: int
    maxNotionalValue: str
    symbol: str


class PositionMode(TypedDict):
    """`GET /fapi/v1/positionSide/dual`: True is hedge mode."""

    dualSidePosition: bool


class MultiAssetsMode(TypedDict):
    """`GET /fapi/v1/multiAssetsMargin`."""

    multiAssetsMargin: bool


class FeeBurn(TypedDict):
    """`GET /fapi/v1/feeBurn`: True pays commission in BNB."""

    feeBurn: bool


class PositionMarginChanged(TypedDict):
    """Answer to `POST /fapi/v1/positionMargin`; type 1 added, 2 removed."""

    amount: float
    code: int
    msg: str
    type: int


class IncomeRow(TypedDict):
    """A row of `GET /fapi/v1/income`; (`incomeType`, `tranId`) is unique."""

    symbol: str
    incomeType: str
    income: str
    asset: str
    info: str
    time: int
    tranId: int
    tradeId: str


class CommissionRate(TypedDict):
    """`GET /fapi/v1/commissionRate`, fractions of notional."""

    symbol: str
    makerCommissionRate: str
    takerCommissionRate: str
    rpiCommissionRate: NotRequired[str]


class LeverageBracketRow(TypedDict):
    """One step; these few are JSON numbers, not strings."""

    bracket: int
    initialLeverage: int
    notionalCap: int
    notionalFloor: int
    maintMarginRatio: float
    cum: float


class LeverageBrackets(TypedDict):
    """A row of `GET /fapi/v1/leverageBracket`; `notionalCoef` only where it was adjusted."""

    symbol: str
    brackets: list[LeverageBracketRow]
    notionalCoef: NotRequired[float]


# --- market data ------------------------------------------------------------------------------


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

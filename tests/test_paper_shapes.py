"""Every documented call answers with the documented keys, and every stream with its own.

The keys are written down here anew; where live answers of 2026 differ from the documentation,
the live ones hold. One row adds one more call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pytest

from tests.support.paper import FUNDING_MS, PaperVenue
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.faults import FaultKind

ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.002",
    "price": "94000",
    "newClientOrderId": "resting",
}
STOP: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.002",
    "triggerPrice": "80000",
    "clientAlgoId": "stop",
}
BTC: Final = {"symbol": "BTCUSDT"}
RESTING: Final = BTC | {"origClientOrderId": "resting"}
CHANGE: Final = RESTING | {"side": "BUY", "quantity": "0.003", "price": "93000", "modifyId": "4"}
SPAN: Final = {"startTime": "1", "endTime": "2"}
PERIOD: Final = {"period": "5m", "limit": "1"}
CANDLES: Final = {"interval": "1m", "limit": "1"}

WRITTEN: Final = (
    "orderId symbol status clientOrderId price origQty executedQty cumQty timeInForce type "
    "reduceOnly closePosition side positionSide stopPrice workingType priceProtect origType "
    "priceMatch selfTradePreventionMode goodTillDate updateTime"
)
QUERIED: Final = WRITTEN.replace("cumQty", "cumQuote avgPrice time")
ALGO: Final = (
    "algoId clientAlgoId algoType orderType symbol side positionSide timeInForce quantity "
    "algoStatus triggerPrice price icebergQuantity selfTradePreventionMode workingType priceMatch "
    "closePosition priceProtect reduceOnly createTime updateTime triggerTime goodTillDate"
)
ALGO_HISTORY: Final = f"{ALGO} actualOrderId actualPrice tpOrderType isActivated"
TOTALS: Final = (
    "totalInitialMargin totalMaintMargin totalWalletBalance totalUnrealizedProfit "
    "totalMarginBalance totalPositionInitialMargin totalOpenOrderInitialMargin "
    "totalCrossWalletBalance totalCrossUnPnl availableBalance maxWithdrawAmount assets positions"
)
FLAGS: Final = "feeTier canTrade canDeposit canWithdraw updateTime multiAssetsMargin tradeGroupId"
BALANCE: Final = (
    "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount "
    "marginAvailable updateTime"
)
RISK_V2: Final = (
    "entryPrice breakEvenPrice marginType isAutoAddMargin isolatedMargin leverage "
    "liquidationPrice markPrice maxNotionalValue positionAmt notional isolatedWallet symbol "
    "unRealizedProfit positionSide updateTime"
)
RISK_V3: Final = (
    "symbol positionSide positionAmt entryPrice breakEvenPrice markPrice unRealizedProfit "
    "liquidationPrice isolatedMargin notional marginAsset isolatedWallet initialMargin "
    "maintMargin positionInitialMargin openOrderInitialMargin adl bidNotional askNotional "
    "updateTime"
)
FORCED: Final = (
    "orderId symbol pair status clientOrderId price avgPrice origQty executedQty cumQuote cumBase "
    "timeInForce type reduceOnly closePosition side positionSide stopPrice workingType origType "
    "time updateTime"
)
TRADE: Final = "id price qty quoteQty time isBuyerMaker isRPITrade"
BOOK: Final = "lastUpdateId E T bids asks"
RATIO: Final = "symbol longShortRatio longAccount shortAccount timestamp"
DOWNLOAD: Final = "downloadId status url notified expirationTimestamp isExpired"
ASKED: Final = "avgCostTimestampOfLast30d downloadId"
DONE: Final = "code msg"
TWELVE: Final = "12"
"""Rows of a candle are lists of twelve."""

NOTHING: Final = "[]"
"""Calls whose answer lists things that do not exist here."""

FREE: Final = ""
"""Calls that answer an empty object."""

QUOTE: Final = {"fromAsset": "USDT", "toAsset": "BTC", "fromAmount": "100"}

SHAPES: Final[dict[str, tuple[Mapping[str, str], str]]] = {
    "GET /fapi/v1/ping": ({}, FREE),
    "GET /fapi/v1/time": ({}, "serverTime"),
    "GET /fapi/v1/exchangeInfo": (
        {},
        "timezone serverTime futuresType rateLimits exchangeFilters assets symbols",
    ),
    "GET /fapi/v1/depth": (BTC, BOOK),
    "GET /fapi/v1/rpiDepth": (BTC, BOOK),
    "GET /fapi/v1/trades": (BTC, TRADE),
    "GET /fapi/v1/historicalTrades": (BTC, TRADE),
    "GET /fapi/v1/aggTrades": (BTC, "a p q nq f l T m"),
    "GET /fapi/v1/klines": (BTC | CANDLES, TWELVE),
    "GET /fapi/v1/continuousKlines": (
        {"pair": "BTCUSDT", "contractType": "PERPETUAL"} | CANDLES,
        TWELVE,
    ),
    "GET /fapi/v1/markPriceKlines": (BTC | CANDLES, TWELVE),
    "GET /fapi/v1/indexPriceKlines": ({"pair": "BTCUSDT"} | CANDLES, TWELVE),
    "GET /fapi/v1/premiumIndexKlines": (BTC | CANDLES, TWELVE),
    "GET /fapi/v1/premiumIndex": (
        BTC,
        "symbol markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate "
        "nextFundingTime time",
    ),
    "GET /fapi/v1/fundingRate": (BTC, "symbol fundingRate fundingTime markPrice rateType"),
    "GET /fapi/v1/fundingInfo": (
        {},
        "symbol adjustedFundingRateCap adjustedFundingRateFloor fundingIntervalHours disclaimer "
        "updateTime",
    ),
    "GET /fapi/v1/ticker/24hr": (
        BTC,
        "symbol priceChange priceChangePercent weightedAvgPrice lastPrice lastQty openPrice "
        "highPrice lowPrice volume quoteVolume openTime closeTime firstId lastId count",
    ),
    "GET /fapi/v1/ticker/price": (BTC, "symbol price time"),
    "GET /fapi/v2/ticker/price": (BTC, "symbol price time"),
    "GET /fapi/v1/ticker/bookTicker": (
        BTC,
        "symbol bidPrice bidQty askPrice askQty time lastUpdateId",
    ),
    "GET /fapi/v1/openInterest": (BTC, "openInterest symbol time"),
    "GET /fapi/v1/assetIndex": (
        {"symbol": "BTCUSD"},
        "symbol time index bidBuffer askBuffer bidRate askRate autoExchangeBidBuffer "
        "autoExchangeAskBuffer autoExchangeBidRate autoExchangeAskRate",
    ),
    "GET /fapi/v1/constituents": (BTC, "symbol time constituents"),
    "GET /fapi/v1/indexInfo": ({}, NOTHING),
    "GET /fapi/v1/insuranceBalance": (BTC, "symbols assets"),
    "GET /fapi/v1/symbolAdlRisk": (BTC, "symbol adlRisk updateTime"),
    "GET /fapi/v1/tradingSchedule": ({}, "updateTime marketSchedules"),
    "GET /futures/data/basis": (
        {"pair": "BTCUSDT"} | PERIOD,
        "indexPrice contractType basisRate futuresPrice annualizedBasisRate basis pair timestamp",
    ),
    "GET /futures/data/delivery-price": ({"pair": "BTCUSDT"}, NOTHING),
    "GET /futures/data/openInterestHist": (
        BTC | PERIOD,
        "symbol sumOpenInterest sumOpenInterestValue CMCCirculatingSupply timestamp",
    ),
    "GET /futures/data/takerlongshortRatio": (
        BTC | PERIOD,
        "buySellRatio buyVol sellVol timestamp",
    ),
    "GET /futures/data/globalLongShortAccountRatio": (BTC | PERIOD, RATIO),
    "GET /futures/data/topLongShortAccountRatio": (BTC | PERIOD, RATIO),
    "GET /futures/data/topLongShortPositionRatio": (BTC | PERIOD, RATIO),
    "POST /fapi/v1/order": (ORDER | {"newClientOrderId": "another"}, WRITTEN),
    "PUT /fapi/v1/order": (CHANGE, f"{WRITTEN} pair modifyId"),
    "DELETE /fapi/v1/order": (RESTING, WRITTEN),
    "GET /fapi/v1/order": (RESTING, QUERIED),
    "POST /fapi/v1/order/test": (
        ORDER | {"newClientOrderId": "another"},
        f"{WRITTEN} avgPrice cumQuote",
    ),
    "POST /fapi/v1/batchOrders": (
        {"batchOrders": json.dumps([ORDER | {"newClientOrderId": "another"}])},
        WRITTEN,
    ),
    "PUT /fapi/v1/batchOrders": (
        {"batchOrders": json.dumps([CHANGE])},
        f"{WRITTEN} pair modifyId",
    ),
    "DELETE /fapi/v1/batchOrders": (BTC | {"origClientOrderIdList": '["resting"]'}, WRITTEN),
    "DELETE /fapi/v1/allOpenOrders": (BTC, DONE),
    "POST /fapi/v1/countdownCancelAll": (
        BTC | {"countdownTime": "100000"},
        "symbol countdownTime",
    ),
    "GET /fapi/v1/openOrder": (RESTING, QUERIED),
    "GET /fapi/v1/openOrders": ({}, QUERIED),
    "GET /fapi/v1/allOrders": (BTC, f"{QUERIED} cumBase pair"),
    "GET /fapi/v1/orderAmendment": (
        RESTING,
        "amendmentId symbol pair orderId clientOrderId time amendment",
    ),
    "GET /fapi/v1/forceOrders": ({}, FORCED),
    "GET /fapi/v1/userTrades": (
        BTC,
        "buyer commission commissionAsset id maker orderId price qty quoteQty baseQty marginAsset "
        "realizedPnl side positionSide symbol pair time",
    ),
    "GET /fapi/v1/rateLimit/order": ({}, "rateLimitType interval intervalNum limit"),
    "POST /fapi/v1/algoOrder": (STOP | {"clientAlgoId": "another"}, ALGO),
    "DELETE /fapi/v1/algoOrder": ({"clientAlgoId": "stop"}, "algoId clientAlgoId code msg"),
    "GET /fapi/v1/algoOrder": ({"clientAlgoId": "stop"}, ALGO_HISTORY),
    "DELETE /fapi/v1/algoOpenOrders": (BTC, DONE),
    "GET /fapi/v1/openAlgoOrders": ({}, f"{ALGO} actualOrderId actualQty isActivated"),
    "GET /fapi/v1/allAlgoOrders": (BTC, ALGO_HISTORY),
    "GET /fapi/v2/balance": ({}, BALANCE),
    "GET /fapi/v3/balance": ({}, BALANCE),
    "GET /fapi/v2/account": ({}, f"{FLAGS} feeBurn {TOTALS}"),
    "GET /fapi/v3/account": ({}, TOTALS),
    "GET /fapi/v1/accountConfig": ({}, f"{FLAGS} dualSidePosition"),
    "GET /fapi/v1/symbolConfig": (
        BTC,
        "symbol marginType isAutoAddMargin leverage maxNotionalValue",
    ),
    "GET /fapi/v2/positionRisk": (BTC, RISK_V2),
    "GET /fapi/v3/positionRisk": (BTC, RISK_V3),
    "GET /fapi/v1/adlQuantile": ({}, "symbol adlQuantile"),
    "POST /fapi/v1/leverage": (
        BTC | {"leverage": "21"},
        "leverage maxNotionalValue symbol",
    ),
    "GET /fapi/v1/leverageBracket": (BTC, "symbol brackets"),
    "POST /fapi/v1/marginType": ({"symbol": "SOLUSDT", "marginType": "ISOLATED"}, DONE),
    "POST /fapi/v1/positionMargin": (
        {"symbol": "ETHUSDT", "amount": "1", "type": "1"},
        "amount code msg type",
    ),
    "GET /fapi/v1/positionMargin/history": (
        {"symbol": "ETHUSDT"},
        "symbol type deltaType amount asset time positionSide",
    ),
    "GET /fapi/v1/positionSide/dual": ({}, "dualSidePosition"),
    "POST /fapi/v1/positionSide/dual": ({"dualSidePosition": "true"}, DONE),
    "GET /fapi/v1/multiAssetsMargin": ({}, "multiAssetsMargin"),
    "POST /fapi/v1/multiAssetsMargin": ({"multiAssetsMargin": "true"}, DONE),
    "GET /fapi/v1/feeBurn": ({}, "feeBurn"),
    "POST /fapi/v1/feeBurn": ({"feeBurn": "false"}, DONE),
    "GET /fapi/v1/commissionRate": (
        BTC,
        "symbol makerCommissionRate takerCommissionRate rpiCommissionRate",
    ),
    "GET /fapi/v1/income": ({}, "symbol incomeType income asset info time tranId tradeId"),
    "GET /fapi/v1/apiTradingStatus": (BTC, "indicators updateTime"),
    "GET /fapi/v1/pmAccountInfo": (
        {"asset": "USDT"},
        "maxWithdrawAmountUSD asset maxWithdrawAmount",
    ),
    "POST /fapi/v1/stock/contract": ({}, DONE),
    "GET /fapi/v1/order/asyn": (SPAN, ASKED),
    "GET /fapi/v1/trade/asyn": (SPAN, ASKED),
    "GET /fapi/v1/income/asyn": (SPAN, ASKED),
    "GET /fapi/v1/order/asyn/id": ({"downloadId": "order"}, DOWNLOAD),
    "GET /fapi/v1/trade/asyn/id": ({"downloadId": "trade"}, DOWNLOAD),
    "GET /fapi/v1/income/asyn/id": ({"downloadId": "income"}, DOWNLOAD),
    "GET /fapi/v1/convert/exchangeInfo": (
        {"fromAsset": "USDT"},
        "fromAsset toAsset fromAssetMinAmount fromAssetMaxAmount toAssetMinAmount toAssetMaxAmount",
    ),
    "POST /fapi/v1/convert/getQuote": (
        QUOTE,
        "quoteId ratio inverseRatio validTimestamp toAmount fromAmount",
    ),
    "POST /fapi/v1/convert/acceptQuote": (
        {"quoteId": "quote"},
        "orderId createTime orderStatus",
    ),
    "GET /fapi/v1/convert/orderStatus": (
        {"orderId": "conversion"},
        "orderId orderStatus fromAsset fromAmount toAsset toAmount ratio inverseRatio createTime",
    ),
    "POST /fapi/v1/listenKey": ({}, "listenKey"),
    "PUT /fapi/v1/listenKey": ({}, "listenKey"),
    "DELETE /fapi/v1/listenKey": ({}, FREE),
    "GET /api/v3/ping": ({}, FREE),
    "GET /api/v3/time": ({}, "serverTime"),
    "GET /api/v3/exchangeInfo": (
        {},
        "timezone serverTime rateLimits exchangeFilters symbols",
    ),
    # Of markets that are not here: lists of nothing, for clients that ask when they start.
    "GET /dapi/v1/exchangeInfo": (
        {},
        "timezone serverTime rateLimits exchangeFilters symbols",
    ),
    "GET /eapi/v1/exchangeInfo": (
        {},
        "timezone serverTime rateLimits optionContracts optionAssets optionSymbols",
    ),
    "GET /sapi/v1/capital/config/getall": ({}, NOTHING),
    "GET /sapi/v1/margin/allPairs": ({}, NOTHING),
    "GET /sapi/v1/margin/isolated/allPairs": ({}, NOTHING),
    "GET /sapi/v1/spot/delist-schedule": ({}, NOTHING),
    "GET /sapi/v1/account/apiRestrictions": (
        {},
        "ipRestrict createTime enableReading enableWithdrawals enableInternalTransfer "
        "permitsUniversalTransfer enableMargin enableFutures enableVanillaOptions "
        "enableSpotAndMarginTrading enablePortfolioMarginTrading enableFixApiTrade "
        "enableFixReadOnly",
    ),
}

REFUSED: Final = {
    "POST /fapi/v1/multiAssetsMargin": -1020,  # one asset only
    "POST /fapi/v1/positionSide/dual": -4067,  # orders are open
}
"""Calls that the prepared account must be refused, clearly."""


class Prepared:
    """An exchange on which something of every kind has happened."""

    def __init__(self) -> None:
        self.paper = PaperVenue()
        self.paper.advance(FUNDING_MS)  # a rate has been settled
        ask = self.paper.ask
        market = BTC | {"side": "BUY", "type": "MARKET", "quantity": "0.01"}
        self.paper.set_price("BTCUSDT", "95000")  # there is something to draw a candle of
        self._liquidate()
        ask("POST", "/fapi/v1/order", ORDER)
        ask(
            "PUT",
            "/fapi/v1/order",
            RESTING | {"side": "BUY", "quantity": "0.004", "price": "94000"},
        )
        ask("POST", "/fapi/v1/algoOrder", STOP)
        ask("POST", "/fapi/v1/order", market)
        ether = {"symbol": "ETHUSDT"}
        ask("POST", "/fapi/v1/marginType", ether | {"marginType": "ISOLATED"})
        ask("POST", "/fapi/v1/order", market | ether | {"quantity": "0.1"})
        ask("POST", "/fapi/v1/positionMargin", ether | {"amount": "1", "type": "1"})
        ask("POST", "/fapi/v1/listenKey", signed=False)
        self.paper.exchange.limits.forget()
        self.ids = {}
        for kind in ("order", "trade", "income"):
            self.ids[kind] = ask("GET", f"/fapi/v1/{kind}/asyn", SPAN)["downloadId"]
            self.paper.exchange.limits.forget()
        self.ids["quote"] = ask("POST", "/fapi/v1/convert/getQuote", QUOTE)["quoteId"]
        second = ask("POST", "/fapi/v1/convert/getQuote", QUOTE)["quoteId"]
        accepted = ask("POST", "/fapi/v1/convert/acceptQuote", {"quoteId": second})
        self.ids["conversion"] = accepted["orderId"]
        self.paper.exchange.limits.forget()

    def _liquidate(self) -> None:
        """Lose a small isolated position, so that the account lives on."""
        sol = {"symbol": "SOLUSDT"}
        ask = self.paper.ask
        ask("POST", "/fapi/v1/marginType", sol | {"marginType": "ISOLATED"})
        ask("POST", "/fapi/v1/leverage", sol | {"leverage": "50"})
        ask("POST", "/fapi/v1/order", sol | {"side": "BUY", "type": "MARKET", "quantity": "1"})
        self.paper.set_price("SOLUSDT", "180")
        ask("POST", "/fapi/v1/marginType", sol | {"marginType": "CROSSED"})

    def ask(self, call: str, values: Mapping[str, str]) -> Any:
        method, path = call.split()
        known = {name: self.ids.get(value, value) for name, value in values.items()}
        return json.loads(self.paper.request(method, path, known).body)


def keys_of(body: Any) -> str:
    """Return an answer's keys, or those of its first row, in order of the alphabet."""
    if isinstance(body, list):
        if not body:
            return NOTHING
        body = body[0]
    return str(len(body)) if isinstance(body, list) else " ".join(sorted(body))


@pytest.mark.parametrize("call", SHAPES)
def test_a_call_answers_with_its_documented_keys(call: str) -> None:
    values, keys = SHAPES[call]
    body = Prepared().ask(call, values)

    if call in REFUSED:
        assert body["code"] == REFUSED[call]
        return
    assert keys_of(body) == " ".join(sorted(keys.split()))


def test_every_call_served_to_clients_has_its_row_here() -> None:
    served = {f"{method} {path}" for method, path in ROUTES if not path.startswith("/paper/")}

    assert served == set(SHAPES)


@pytest.mark.parametrize(
    ("call", "values", "path", "keys"),
    [
        ("GET /fapi/v2/account", {}, ("positions", 0),
         "symbol initialMargin maintMargin unrealizedProfit positionInitialMargin "
         "openOrderInitialMargin leverage isolated entryPrice breakEvenPrice maxNotional "
         "bidNotional askNotional positionSide positionAmt notional isolatedWallet updateTime"),
        ("GET /fapi/v3/account", {}, ("positions", 0),
         "symbol positionSide positionAmt unrealizedProfit isolatedMargin notional isolatedWallet "
         "initialMargin maintMargin updateTime"),
        ("GET /fapi/v1/exchangeInfo", {}, ("symbols", 0),
         "symbol pair contractType deliveryDate onboardDate status maintMarginPercent "
         "requiredMarginPercent baseAsset quoteAsset marginAsset pricePrecision quantityPrecision "
         "baseAssetPrecision quotePrecision underlyingType underlyingSubType triggerProtect "
         "liquidationFee marketTakeBound maxMoveOrderLimit filters orderTypes timeInForce "
         "permissionSets"),
        ("GET /fapi/v1/leverageBracket", BTC, (0, "brackets", 0),
         "bracket initialLeverage notionalCap notionalFloor maintMarginRatio cum"),
        ("GET /fapi/v1/constituents", BTC, ("constituents", 0), "exchange symbol price weight"),
        ("GET /fapi/v1/insuranceBalance", BTC, ("assets", 0), "asset marginBalance updateTime"),
        ("GET /fapi/v1/apiTradingStatus", BTC, ("indicators", "BTCUSDT", 0),
         "isLocked plannedRecoverTime indicator value triggerValue"),
        ("GET /fapi/v1/tradingSchedule", {}, ("marketSchedules", "EQUITY", "sessions", 0),
         "startTime endTime type"),
        ("GET /fapi/v1/orderAmendment", RESTING, (0, "amendment"), "price origQty count"),
        ("GET /fapi/v1/adlQuantile", BTC, (0, "adlQuantile"), "LONG SHORT BOTH"),
    ],
)  # fmt: skip
def test_what_is_inside_has_its_documented_keys(
    call: str, values: dict[str, str], path: tuple[int | str, ...], keys: str
) -> None:
    body = Prepared().ask(call, values)

    for step in path:
        body = body[step]
    assert keys_of(body) == " ".join(sorted(keys.split()))


@pytest.mark.parametrize(
    "call", ["assetIndex", "insuranceBalance", "symbolAdlRisk", "premiumIndex", "ticker/price"]
)
def test_without_a_symbol_all_are_listed(call: str) -> None:
    assert isinstance(PaperVenue().ask("GET", f"/fapi/v1/{call}", signed=False), list)


def test_convert_quotes_the_market_and_moves_no_money() -> None:
    prepared = Prepared()
    before = prepared.paper.ask("GET", "/fapi/v3/balance")
    quote = prepared.ask("POST /fapi/v1/convert/getQuote", QUOTE)
    order = prepared.ask("POST /fapi/v1/convert/acceptQuote", {"quoteId": quote["quoteId"]})
    status = prepared.ask("GET /fapi/v1/convert/orderStatus", {"quoteId": quote["quoteId"]})

    assert Decimal(quote["inverseRatio"]) == 95_000
    assert (order["orderStatus"], status["orderStatus"]) == ("PROCESS", "FAIL")
    assert status["fromAmount"] == "100"
    assert prepared.paper.ask("GET", "/fapi/v3/balance") == before
    again = prepared.ask("POST /fapi/v1/convert/acceptQuote", {"quoteId": quote["quoteId"]})
    assert again["code"] == -1130


def test_a_hundred_history_files_a_month_and_no_more() -> None:
    paper = PaperVenue()
    for _ in range(100):
        paper.exchange.limits.forget()
        paper.ask("GET", "/fapi/v1/trade/asyn", SPAN)
    paper.exchange.limits.forget()

    assert paper.refused("GET", "/fapi/v1/order/asyn", SPAN) == (429, -1015)
    paper.clock.advance(30 * 86_400_000)
    assert paper.ask("GET", "/fapi/v1/order/asyn", SPAN)["downloadId"]


# --- streams ------------------------------------------------------------------------------------

CANDLE: Final = "t T i f L o c h l v n x q V Q B"
DEPTH_KEYS: Final = "e E T s U u pu b a st ps"
TICKER: Final = "e E s p P w c Q o h l v q O C F L n st ps"
MINI: Final = "e E s c o h l v q st ps"
MARK: Final = "e E s p ap i P r T st"
BOOK_TICKER: Final = "e u E T s b B a A st ps"
ASSET_KEYS: Final = "e E s i b a B A q g Q G"

STREAMS: Final = {
    "btcusdt@aggTrade": ("market", "aggTrade", "e E s a p q nq f l T m st"),
    "btcusdt@trade": ("public", "trade", "e E T s t p q X m"),
    "btcusdt@bookTicker": ("public", "bookTicker", BOOK_TICKER),
    "!bookTicker": ("public", "bookTicker", BOOK_TICKER),
    "btcusdt@depth@100ms": ("public", "depthUpdate", DEPTH_KEYS),
    "btcusdt@depth5@100ms": ("public", "depthUpdate", DEPTH_KEYS),
    "btcusdt@depth20@500ms": ("public", "depthUpdate", DEPTH_KEYS),
    "btcusdt@rpiDepth@500ms": ("public", "depthUpdate", DEPTH_KEYS),
    "btcusdt@markPrice@1s": ("market", "markPriceUpdate", MARK),
    "!markPrice@arr@1s": ("market", "markPriceUpdate", MARK),
    "btcusdt@kline_1m": ("market", "kline", "e E s k"),
    "btcusdt_perpetual@continuousKline_1m": ("market", "continuous_kline", "e E ps ct k"),
    "btcusdt@miniTicker": ("market", "24hrMiniTicker", MINI),
    "!miniTicker@arr": ("market", "24hrMiniTicker", MINI),
    "btcusdt@ticker": ("market", "24hrTicker", TICKER),
    "!ticker@arr": ("market", "24hrTicker", TICKER),
    "btcusd@assetIndex": ("market", "assetIndexUpdate", ASSET_KEYS),
    "!assetIndex@arr": ("market", "assetIndexUpdate", ASSET_KEYS),
    "tradingSession": ("market", "EquityUpdate", "e E t T S"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_speaks_with_its_documented_keys(name: str) -> None:
    room, kind, keys = STREAMS[name]
    paper = PaperVenue()
    ear, _ = paper.listen(f"/{room}/ws/{name}")

    paper.advance(1)
    paper.advance(5_000)
    paper.set_price("BTCUSDT", "95100")
    paper.advance(5_000)

    said = ear.take()
    first = said[0][0] if name.endswith("@arr") or "@arr@" in name else said[0]
    assert (first["e"], " ".join(sorted(first))) == (kind, " ".join(sorted(keys.split())))


@pytest.mark.parametrize(
    ("name", "keys"),
    [("btcusdt@kline_1m", f"s {CANDLE}"), ("btcusdt_perpetual@continuousKline_1m", CANDLE)],
)
def test_candles_inside_carry_their_keys(name: str, keys: str) -> None:
    paper = PaperVenue()
    ear, _ = paper.listen(f"/market/ws/{name}")
    paper.set_price("BTCUSDT", "95100")

    assert " ".join(sorted(ear.take()[0]["k"])) == " ".join(sorted(keys.split()))


@pytest.mark.parametrize("name", ["solusdt@forceOrder", "!forceOrder@arr"])
def test_a_liquidation_is_told_to_the_market(name: str) -> None:
    paper = PaperVenue()
    ear, _ = paper.listen(f"/market/ws/{name}")
    other, _ = paper.listen("/market/ws/btcusdt@forceOrder")
    sol = {"symbol": "SOLUSDT"}
    paper.ask("POST", "/fapi/v1/marginType", sol | {"marginType": "ISOLATED"})
    paper.ask("POST", "/fapi/v1/leverage", sol | {"leverage": "50"})
    paper.ask("POST", "/fapi/v1/order", sol | {"side": "BUY", "type": "MARKET", "quantity": "1"})

    paper.set_price("SOLUSDT", "180")
    paper.advance(1_000)

    (told,) = ear.take()
    assert told.keys() == {"e", "E", "o", "ps", "st"}
    assert told["e"] == "forceOrder"
    assert " ".join(told["o"]) == "s S o f q p ap X l z T"
    assert (told["o"]["S"], told["o"]["q"], told["o"]["X"]) == ("SELL", "1", "FILLED")
    assert other.take() == []


def test_a_contract_that_only_cancels_is_told_of_once() -> None:
    paper = PaperVenue()
    ear, _ = paper.listen("/market/ws/!contractInfo")
    paper.advance(1)

    paper.exchange.faults.arm(FaultKind.CANCEL_ONLY, path="BTCUSDT")
    paper.advance(1)
    paper.advance(1)

    (told,) = ear.take()
    assert " ".join(sorted(told)) == " ".join(
        sorted(["e", "E", "s", "ps", "ct", "dt", "ot", "cs", "bks", "st"])
    )
    assert (told["s"], told["cs"]) == ("BTCUSDT", "TRADING_CANCEL_ONLY")
    assert told["bks"][0].keys() == {"bs", "bnf", "bnc", "mmr", "cf", "mi", "ma"}
    assert (told["bks"][0]["ma"], told["bks"][0]["mi"]) == (150, 101)


def test_names_not_in_lower_case_are_heard_by_nobody() -> None:
    paper = PaperVenue()
    ear, _ = paper.listen("/public/ws/BTCUSDT@bookTicker")

    paper.set_price("BTCUSDT", "95100")

    assert ear.take() == []


@pytest.mark.parametrize("name", ["defiusdt@compositeIndex", "nosuchusdt@aggTrade"])
def test_what_is_not_listed_stays_silent(name: str) -> None:
    paper = PaperVenue()
    ear, _ = paper.listen(f"/market/ws/{name}")
    paper.advance(10_000)

    assert ear.take() == []

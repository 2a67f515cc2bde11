"""Where the live exchange's answers differ from the official SDK's models, with the reason.

Live captures of September 2026 win over what is documented: their key sets are in
`tests/data/live_key_sets.json` and hold exactly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from strict_models import Allowance, allow

_LIVE: Final[dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).resolve().parent.parent / "data" / "live_key_sets.json").read_text()
)
_CONDITIONAL: Final = "activatePrice priceRate"


def _live(call: str, nullable: str = "") -> Allowance:
    return allow(exact=_LIVE[call].values(), nullable=nullable)


def _filter(names: str) -> str:
    return f"filterType {names}"


ALLOWANCES: Final[dict[str, Allowance]] = {
    "NewOrderResponse": _live("POST /fapi/v1/order"),
    "QueryOrderResponse": _live("GET /fapi/v1/order"),
    "AllOrdersResponse": _live("GET /fapi/v1/allOrders"),
    "AccountTradeListResponse": _live("GET /fapi/v1/userTrades"),
    "NewAlgoOrderResponse": _live("POST /fapi/v1/algoOrder", nullable="icebergQuantity"),
    "CancelAlgoOrderResponse": _live("DELETE /fapi/v1/algoOrder"),
    "CurrentAllAlgoOpenOrdersResponse": _live(
        "GET /fapi/v1/openAlgoOrders", nullable="icebergQuantity"
    ),
    "QueryAllAlgoOrdersResponse": _live("GET /fapi/v1/allAlgoOrders", nullable="icebergQuantity"),
    # No capture of the single query exists; it is taken to tell what the list tells.
    "QueryAlgoOrderResponse": _live("GET /fapi/v1/allAlgoOrders", nullable="icebergQuantity"),
    "SymbolPriceTickerV2Response1": _live("GET /fapi/v2/ticker/price"),
    "SymbolPriceTickerV2Response2": _live("GET /fapi/v2/ticker/price"),
    "AccountInformationV2ResponsePositionsInner": _live("GET /fapi/v2/account .positions"),
    "TradeLite": _live("TRADE_LITE"),
    "OrderTradeUpdate": _live("ORDER_TRADE_UPDATE"),
    # Every change of an order tells the caller's own id of the change besides.
    "OrderTradeUpdateO": allow(
        exact=(
            *_LIVE["ORDER_TRADE_UPDATE .o"].values(),
            f"{_LIVE['ORDER_TRADE_UPDATE .o']['order']} M",
        )
    ),
    "AccountUpdate": _live("ACCOUNT_UPDATE"),
    "AccountUpdateA": _live("ACCOUNT_UPDATE .a"),
    "AccountUpdateABInner": _live("ACCOUNT_UPDATE .a.B"),
    "AccountUpdateAPInner": _live("ACCOUNT_UPDATE .a.P"),
    "AlgoUpdate": _live("ALGO_UPDATE"),
    "AlgoUpdateO": _live("ALGO_UPDATE .o"),
    # One of the two, by what was set; the name of the event is left out of the model.
    "AccountConfigUpdate": allow(absent="ac ai", extra="e"),
    # Of conditional orders, which left this endpoint in December 2025.
    "CurrentAllOpenOrdersResponse": allow(absent=_CONDITIONAL),
    "QueryCurrentOpenOrderResponse": allow(absent=_CONDITIONAL),
    "CancelOrderResponse": allow(absent=_CONDITIONAL),
    "CancelMultipleOrdersResponse": allow(absent=_CONDITIONAL, or_error=True),
    "PlaceMultipleOrdersResponse": allow(or_error=True),
    "TestOrderResponse": allow(absent=_CONDITIONAL),
    # Only where the caller sent one.
    "ModifyOrderResponse": allow(absent="modifyId"),
    "ModifyMultipleOrdersResponse": allow(absent="modifyId", or_error=True),
    "GetOrderModifyHistoryResponseInnerAmendment": allow(absent="modifyId"),
    # The live list of October 2026 has these and no settlement plan.
    "ExchangeInformationResponse": allow(extra="futuresType"),
    "ExchangeInformationResponseSymbolsInner": allow(
        absent="settlePlan", extra="maxMoveOrderLimit permissionSets"
    ),
    "ExchangeInformationResponseSymbolsInnerFiltersInner": allow(
        exact=(
            _filter("minPrice maxPrice tickSize"),
            _filter("minQty maxQty stepSize"),
            _filter("limit"),
            _filter("notional"),
            _filter("multiplierUp multiplierDown multiplierDecimal"),
            _filter("positionControlSide"),
        )
    ),
    # Its twin on the WebSocket documents it.
    "SymbolOrderBookTickerResponse1": allow(extra="lastUpdateId"),
    "SymbolOrderBookTickerResponse2": allow(extra="lastUpdateId"),
    # Recorded answers have it.
    "GetFundingRateInfoResponse": allow(extra="updateTime"),
    "FuturesTradingQuantitativeRulesIndicatorsResponseIndicators": allow(every_key="BTCUSDT"),
    # Sent only to accounts whose brackets were adjusted.
    "NotionalAndLeverageBracketsResponse1": allow(absent="notionalCoef"),
    "NotionalAndLeverageBracketsResponse2": allow(absent="notionalCoef"),
    # BOTH in one-way mode, HEDGE for a cross position in hedge mode.
    "PositionAdlQuantileEstimationResponseInnerAdlQuantile": allow(absent="BOTH HEDGE LONG SHORT"),
    # Null until the file is made, as in the documented sample.
    "GetFuturesOrderHistoryDownloadLinkByIdResponse": allow(nullable="isExpired"),
    "GetFuturesTradeDownloadLinkByIdResponse": allow(nullable="isExpired"),
    "GetFuturesTransactionHistoryDownloadLinkByIdResponse": allow(nullable="isExpired"),
}

WS_API_ALLOWANCES: Final[dict[str, Allowance]] = {
    "NewOrderResponseResult": _live("POST /fapi/v1/order"),
    "QueryOrderResponse": allow(extra="rateLimits"),  # all other methods document them
    "QueryOrderResponseResult": _live("GET /fapi/v1/order"),
    "NewAlgoOrderResponseResult": _live("POST /fapi/v1/algoOrder", nullable="icebergQuantity"),
    "CancelAlgoOrderResponseResult": _live("DELETE /fapi/v1/algoOrder"),
    "CancelOrderResponseResult": allow(absent=_CONDITIONAL),
    # Its twin over HTTP documents the pair.
    "ModifyOrderResponseResult": allow(absent="modifyId", extra="pair"),
    # The model has the levels beside the result they are in.
    "OrderBookResponse": allow(absent="bids asks"),
    "OrderBookResponseResult": allow(extra="bids asks"),
    "AccountInformationResponseResultPositionsInner": _live("GET /fapi/v2/account .positions"),
}
"""The same of the WebSocket trading API, whose models have names of their own."""

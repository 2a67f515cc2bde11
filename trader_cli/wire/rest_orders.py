"""What the REST interface answers about orders of both worlds and about trades; see `rest`.

Source: binance-usdm reference §6, §7; key sets of answers recorded in September 2026.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

AlgoType = Literal["CONDITIONAL"]
"""`algoType`: the only kind the Algo Service offers to the API."""


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

"""Orders, conditional orders and the account: thin rows over the venue.

Knows how batches travel and what each call weighs. What a call means is the venue's business.

Source: binance-usdm reference §4, §6-§8, §11.1.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from trader_cli.paper.api.routes import Handler, Route, WeightRule, by_symbol
from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.messages import error_body, json_text
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.venue.venue import Venue

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

BATCH_ORDERS_MAX: Final = 5
BATCH_CANCELS_MAX: Final = 10

_INDICATORS: Final = {"UFR": 0.995, "IFER": 0.99, "GCR": 0.99, "DR": 0.99}
"""The rules' indicators and the value at which the exchange would lock."""

_VenueCall = Callable[[Venue, Params, int], Any]


def _signed(
    method: str,
    path: str,
    handler: Handler,
    *,
    weight: int | WeightRule = 1,
    orders: tuple[int, int] = (0, 0),
) -> Route:
    """Return a signed row; `orders` are its order counts per 10 s and per minute."""
    return Route(
        method=method,
        path=path,
        security=Security.SIGNED,
        handler=handler,
        weight=weight,
        orders_10s=orders[0],
        orders_1m=orders[1],
    )


def _venue(call: _VenueCall) -> Handler:
    """Let the venue answer."""
    return lambda exchange, params, now_ms: call(exchange.venue, params, now_ms)


def _batch_of(call: _VenueCall) -> Handler:
    """Apply `call` to every element of `batchOrders`; an element may fail alone."""

    def handle(exchange: Exchange, params: Params, now_ms: int) -> object:
        items = _json_list(params, "batchOrders")
        if not 1 <= len(items) <= BATCH_ORDERS_MAX:
            raise VenueRefusal(-4082, len(items))
        return [_one(exchange.venue, call, _item(item), now_ms) for item in items]

    return handle


def _cancel_batch(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbol = params.needed("symbol")
    for names, name in (
        ("orderIdList", "orderId"),
        ("origClientOrderIdList", "origClientOrderId"),
    ):
        if not params.has(names):
            continue
        ids = _json_list(params, names)
        if len(ids) > BATCH_CANCELS_MAX:
            raise VenueRefusal(-4032)
        return [
            _one(exchange.venue, Venue.cancel_order, {"symbol": symbol, name: str(one)}, now_ms)
            for one in ids
        ]
    raise VenueRefusal(-1102, "orderIdList", "origClientOrderIdList")


def _one(venue: Venue, call: _VenueCall, values: dict[str, str], now_ms: int) -> object:
    try:
        return call(venue, Params(values), now_ms)
    except VenueRefusal as refusal:
        return error_body(refusal)


def _json_list(params: Params, name: str) -> list[Any]:
    text = params.needed(name)
    try:
        # Numbers keep their digits: a price must not pass through a float.
        values = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        raise VenueRefusal(-1130, name) from None
    if not isinstance(values, list):
        raise VenueRefusal(-1130, name)
    return values


def _item(item: object) -> dict[str, str]:
    """Return one element's parameters as text; JSON booleans become words."""
    if not isinstance(item, dict):
        raise VenueRefusal(-1130, "batchOrders")
    return {
        str(name): value if isinstance(value, str) else json_text(value)
        for name, value in item.items()
        if value is not None
    }


def _order_limits(exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return exchange.limits.published_orders()


def _trading_status(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Answer the quantitative rules' indicators: nobody is ever locked here."""
    if params.has("symbol"):
        symbols = [exchange.known_symbol(params.needed("symbol"))]
    else:
        symbols = list(exchange.market.symbols)
    rows: dict[str, list[object]] = {
        symbol: [_indicator(name) for name in _INDICATORS] for symbol in symbols
    }
    rows["ACCOUNT"] = []  # rules the whole account broke
    return {
        "indicators": rows,
        "updateTime": now_ms,
    }


def _indicator(name: str) -> dict[str, object]:
    return {
        "isLocked": False,
        "plannedRecoverTime": 0,
        "indicator": name,
        "value": 0,
        "triggerValue": _INDICATORS[name],
    }


def _portfolio_margin(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Answer what a portfolio margin account could withdraw: this is an ordinary one."""
    asset = params.needed("asset").upper()
    free = exchange.venue.balance(params, now_ms)[0]["maxWithdrawAmount"]
    return {
        "maxWithdrawAmountUSD": free,
        "asset": asset,
        "maxWithdrawAmount": free if asset == "USDT" else "0",
    }


def _download(kind: str, *, status: bool) -> Handler:
    """Ask for a file of `kind`, or for its status."""
    if status:
        return lambda exchange, params, _now_ms: exchange.downloads.status(kind, params)
    return lambda exchange, params, now_ms: exchange.downloads.ask(kind, params, now_ms)


def _convert_pairs(exchange: Exchange, params: Params, _now_ms: int) -> object:
    return exchange.convert.pairs(params)


def _convert_quote(exchange: Exchange, params: Params, now_ms: int) -> object:
    return exchange.convert.quote(params, now_ms)


def _convert_accept(exchange: Exchange, params: Params, now_ms: int) -> object:
    return exchange.convert.accept(params, now_ms)


def _convert_status(exchange: Exchange, params: Params, _now_ms: int) -> object:
    return exchange.convert.status(params)


def _create_listen_key(exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {"listenKey": exchange.listen_keys.create(now_ms)}


def _extend_listen_key(exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {"listenKey": exchange.listen_keys.extend(now_ms)}


def _close_listen_key(exchange: Exchange, _params: Params, now_ms: int) -> object:
    exchange.listen_keys.close(now_ms)
    return {}


def _key_rights(exchange: Exchange, _params: Params, _now_ms: int) -> object:
    """The paper key may read and trade futures, and nothing else."""
    return {
        "ipRestrict": True,
        "createTime": exchange.started_ms,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableMargin": False,
        "enableFutures": True,
        "enableVanillaOptions": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }


def _stock_contract(_exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return {"code": 200, "msg": "success"}


_ONE_ORDER: Final = (1, 1)
_BATCH: Final = (BATCH_ORDERS_MAX, 1)

_ORDER_CALLS: Final = (
    _signed("POST", "/fapi/v1/order", _venue(Venue.place_order), weight=0, orders=_ONE_ORDER),
    _signed("PUT", "/fapi/v1/order", _venue(Venue.modify_order), weight=0, orders=_ONE_ORDER),
    _signed("DELETE", "/fapi/v1/order", _venue(Venue.cancel_order)),
    _signed("GET", "/fapi/v1/order", _venue(Venue.query_order)),
    _signed("POST", "/fapi/v1/order/test", _venue(Venue.test_order)),
    _signed("POST", "/fapi/v1/batchOrders", _batch_of(Venue.place_order), weight=5, orders=_BATCH),
    _signed("PUT", "/fapi/v1/batchOrders", _batch_of(Venue.modify_order), weight=5, orders=_BATCH),
    _signed("DELETE", "/fapi/v1/batchOrders", _cancel_batch),
    _signed("DELETE", "/fapi/v1/allOpenOrders", _venue(Venue.cancel_all)),
    _signed("POST", "/fapi/v1/countdownCancelAll", _venue(Venue.countdown_cancel_all), weight=10),
    _signed("GET", "/fapi/v1/openOrder", _venue(Venue.query_open_order)),
    _signed("GET", "/fapi/v1/openOrders", _venue(Venue.open_orders), weight=by_symbol(1, 40)),
    _signed("GET", "/fapi/v1/allOrders", _venue(Venue.all_orders), weight=5),
    _signed("GET", "/fapi/v1/orderAmendment", _venue(Venue.order_amendments)),
    _signed("GET", "/fapi/v1/forceOrders", _venue(Venue.force_orders), weight=by_symbol(20, 50)),
    _signed("GET", "/fapi/v1/userTrades", _venue(Venue.user_trades), weight=5),
    _signed("GET", "/fapi/v1/rateLimit/order", _order_limits),
    _signed("POST", "/fapi/v1/algoOrder", _venue(Venue.place_algo), weight=0, orders=_ONE_ORDER),
    _signed("DELETE", "/fapi/v1/algoOrder", _venue(Venue.cancel_algo)),
    _signed("GET", "/fapi/v1/algoOrder", _venue(Venue.query_algo)),
    _signed("DELETE", "/fapi/v1/algoOpenOrders", _venue(Venue.cancel_all_algo)),
    _signed("GET", "/fapi/v1/openAlgoOrders", _venue(Venue.open_algo), weight=by_symbol(1, 40)),
    _signed("GET", "/fapi/v1/allAlgoOrders", _venue(Venue.all_algo), weight=5),
)
ORDER_ROUTES: Final = tuple(
    replace(call, changes_orders=call.method != "GET") for call in _ORDER_CALLS
)

ACCOUNT_ROUTES: Final = (
    _signed("GET", "/fapi/v2/balance", _venue(Venue.balance), weight=5),
    _signed("GET", "/fapi/v3/balance", _venue(Venue.balance), weight=5),
    _signed("GET", "/fapi/v2/account", _venue(Venue.account_v2), weight=5),
    _signed("GET", "/fapi/v3/account", _venue(Venue.account_v3), weight=5),
    _signed("GET", "/fapi/v1/accountConfig", _venue(Venue.account_config), weight=5),
    _signed("GET", "/fapi/v1/symbolConfig", _venue(Venue.symbol_config), weight=5),
    _signed("GET", "/fapi/v2/positionRisk", _venue(Venue.position_risk_v2), weight=5),
    _signed("GET", "/fapi/v3/positionRisk", _venue(Venue.position_risk_v3), weight=5),
    _signed("GET", "/fapi/v1/adlQuantile", _venue(Venue.adl_quantile), weight=5),
    _signed("POST", "/fapi/v1/leverage", _venue(Venue.set_leverage)),
    _signed("GET", "/fapi/v1/leverageBracket", _venue(Venue.leverage_brackets)),
    _signed("POST", "/fapi/v1/marginType", _venue(Venue.set_margin_type)),
    _signed("POST", "/fapi/v1/positionMargin", _venue(Venue.modify_position_margin)),
    _signed("GET", "/fapi/v1/positionMargin/history", _venue(Venue.position_margin_history)),
    _signed("GET", "/fapi/v1/positionSide/dual", _venue(Venue.position_mode), weight=30),
    _signed("POST", "/fapi/v1/positionSide/dual", _venue(Venue.set_position_mode)),
    _signed("GET", "/fapi/v1/multiAssetsMargin", _venue(Venue.multi_assets_mode), weight=30),
    _signed("POST", "/fapi/v1/multiAssetsMargin", _venue(Venue.set_multi_assets_mode)),
    _signed("GET", "/fapi/v1/feeBurn", _venue(Venue.fee_burn), weight=30),
    _signed("POST", "/fapi/v1/feeBurn", _venue(Venue.set_fee_burn)),
    _signed("GET", "/fapi/v1/commissionRate", _venue(Venue.commission_rate), weight=20),
    _signed("GET", "/fapi/v1/income", _venue(Venue.income), weight=30),
    _signed("GET", "/fapi/v1/apiTradingStatus", _trading_status, weight=by_symbol(1, 10)),
    _signed("GET", "/fapi/v1/pmAccountInfo", _portfolio_margin, weight=5),
    _signed("POST", "/fapi/v1/stock/contract", _stock_contract, weight=50),
    *(
        row
        for kind in ("order", "trade", "income")
        for row in (
            _signed("GET", f"/fapi/v1/{kind}/asyn", _download(kind, status=False), weight=1_000),
            _signed("GET", f"/fapi/v1/{kind}/asyn/id", _download(kind, status=True), weight=10),
        )
    ),
    Route(
        method="GET",
        path="/fapi/v1/convert/exchangeInfo",
        security=Security.OPEN,
        handler=_convert_pairs,
        weight=20,
    ),
    _signed("POST", "/fapi/v1/convert/getQuote", _convert_quote, weight=50),
    _signed("POST", "/fapi/v1/convert/acceptQuote", _convert_accept, weight=200),
    _signed("GET", "/fapi/v1/convert/orderStatus", _convert_status, weight=50),
    _signed("GET", "/sapi/v1/account/apiRestrictions", _key_rights),
)

LISTEN_KEY_ROUTES: Final = tuple(
    Route(method=method, path="/fapi/v1/listenKey", security=Security.KEY, handler=handler)
    for method, handler in (
        ("POST", _create_listen_key),
        ("PUT", _extend_listen_key),
        ("DELETE", _close_listen_key),
    )
)

"""Wishes of the field to request parameters, all of them strings in plain digits.

Knows the venue's parameter names and which of them exclude each other; knows no sockets.
Checking a price against an instrument's filters is done before, not here.

Source: binance-usdm reference §6.1, §7.2, §13.7.
"""

from __future__ import annotations

import re
from typing import Final

from trader_cli.domain.numbers import to_wire
from trader_cli.domain.order import ConditionalRequest, LimitRequest, MarketRequest
from trader_cli.domain.terms import (
    CONDITIONAL_TYPES,
    MarginType,
    OrderType,
    PositionSide,
    TimeInForce,
)
from trader_cli.errors import UsageError

_OWN_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,36}", re.ASCII)
_LIMIT_TYPES: Final = (OrderType.STOP, OrderType.TAKE_PROFIT)
_CLOSE_POSITION_TYPES: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)


def encode_limit(request: LimitRequest) -> dict[str, str]:
    """Return the parameters of `POST /fapi/v1/order` without its type.

    RESULT makes the answer to IOC, FOK and GTX tell how it ended.

    Raises:
        UsageError: the client id is not one the venue and our signature both carry, or GTD comes
            without its time.
    """
    if (request.time_in_force is TimeInForce.GTD) != (request.good_till_ms is not None):
        raise UsageError("an order has a good-till time exactly if its time in force is GTD")
    params = {
        "symbol": request.symbol,
        "side": request.side.value,
        "positionSide": request.position_side.value,
        "quantity": to_wire(request.quantity),
        "price": to_wire(request.price),
        "timeInForce": request.time_in_force.value,
        "newClientOrderId": _own_id(request.client_order_id),
        "newOrderRespType": "RESULT",
        **_reduce_only(request.reduce_only, request.position_side),
    }
    if request.good_till_ms is not None:
        params["goodTillDate"] = str(request.good_till_ms)
    return params


def encode_market(request: MarketRequest) -> dict[str, str]:
    """Return the parameters of `POST /fapi/v1/order` without its type.

    With RESULT the answer waits for the end of the execution; ACK would say NEW and 0 filled.
    """
    return {
        "symbol": request.symbol,
        "side": request.side.value,
        "positionSide": request.position_side.value,
        "quantity": to_wire(request.quantity),
        "newClientOrderId": _own_id(request.client_order_id),
        "newOrderRespType": "RESULT",
        **_reduce_only(request.reduce_only, request.position_side),
    }


def encode_conditional(request: ConditionalRequest) -> dict[str, str]:
    """Return the parameters of `POST /fapi/v1/algoOrder`.

    Raises:
        UsageError: the request's parts contradict each other.
    """
    _check_conditional(request)
    params = {
        "algoType": "CONDITIONAL",
        "symbol": request.symbol,
        "side": request.side.value,
        "positionSide": request.position_side.value,
        "type": request.type.value,
        "clientAlgoId": _own_id(request.client_order_id),
        "workingType": request.working_type.value,
        # A protected trigger may never fire: it waits while mark and last price lie apart.
        "priceProtect": "false",
    }
    optional = {
        "quantity": request.quantity,
        "triggerPrice": request.trigger_price,
        "price": request.price,
        "activatePrice": request.activate_price,
        "callbackRate": request.callback_rate,
    }
    params |= {name: to_wire(value) for name, value in optional.items() if value is not None}
    if request.close_position:
        params["closePosition"] = "true"  # excludes quantity and reduceOnly
    else:
        params |= _reduce_only(request.reduce_only, request.position_side)
    if request.type in _LIMIT_TYPES or request.time_in_force is not TimeInForce.GTC:
        params["timeInForce"] = request.time_in_force.value
    return params


def encode_margin_type(margin_type: MarginType) -> str:
    """Return the spelling of `POST /fapi/v1/marginType`."""
    return "ISOLATED" if margin_type is MarginType.ISOLATED else "CROSSED"


def _check_conditional(request: ConditionalRequest) -> None:
    trailing = request.type is OrderType.TRAILING_STOP_MARKET
    if request.type not in CONDITIONAL_TYPES:
        raise UsageError(f"{request.type} is not a conditional order type")
    if request.close_position != (request.quantity is None):
        raise UsageError("a conditional order has either a quantity or closes the position")
    if request.close_position and request.type not in _CLOSE_POSITION_TYPES:
        raise UsageError(f"{request.type} needs a quantity")
    if trailing != (request.trigger_price is None) or trailing != (
        request.callback_rate is not None
    ):
        raise UsageError("a trailing stop has a callback rate, every other type a trigger price")
    if (request.type in _LIMIT_TYPES) != (request.price is not None):
        raise UsageError("STOP and TAKE_PROFIT have a limit price, the other types have none")


def _own_id(client_order_id: str) -> str:
    if _OWN_ID.fullmatch(client_order_id) is None:
        raise UsageError(f"{client_order_id!r} is not a client order id of ours")
    return client_order_id


def _reduce_only(reduce_only: bool, position_side: PositionSide) -> dict[str, str]:
    """Hedge mode refuses reduceOnly (-1106): there position side and side say the same."""
    if reduce_only and position_side is PositionSide.BOTH:
        return {"reduceOnly": "true"}
    return {}

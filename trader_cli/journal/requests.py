"""Order requests as journal data and back, exactly.

Knows the three kinds of requests of `domain/order.py`; the field names are the dataclasses' own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trader_cli.domain.order import (
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    OrderRequest,
)
from trader_cli.domain.terms import OrderType, PositionSide, Side, TimeInForce, WorkingType
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalCorrupt

_LIMIT: Final = "limit"
_MARKET: Final = "market"
_CONDITIONAL: Final = "conditional"


def request_to_json(request: OrderRequest) -> JsonObject:
    """Return every field of `request`, with its kind under `request`."""
    match request:
        case LimitRequest():
            kind = _LIMIT
        case MarketRequest():
            kind = _MARKET
        case ConditionalRequest():
            kind = _CONDITIONAL
    fields = {name: getattr(request, name) for name in type(request).__slots__}
    return {"request": kind, **fields}


def request_from_json(data: Mapping[str, Any]) -> OrderRequest:
    """Return the request that `request_to_json` was given.

    Raises:
        JournalCorrupt: a field is missing or cannot be what it says.
    """
    try:
        return _decode(data)
    except (KeyError, ValueError, TypeError, InvalidOperation) as error:
        raise JournalCorrupt(
            f"a journaled order request cannot be read: {type(error).__name__} {error}",
            advice="Run `trader journal verify`.",
        ) from error


def _decode(data: Mapping[str, Any]) -> OrderRequest:
    match data["request"]:
        case "limit":
            return LimitRequest(
                symbol=data["symbol"],
                side=Side(data["side"]),
                quantity=Decimal(data["quantity"]),
                price=Decimal(data["price"]),
                client_order_id=data["client_order_id"],
                time_in_force=TimeInForce(data["time_in_force"]),
                good_till_ms=data["good_till_ms"],
                reduce_only=data["reduce_only"],
                position_side=PositionSide(data["position_side"]),
            )
        case "market":
            return MarketRequest(
                symbol=data["symbol"],
                side=Side(data["side"]),
                quantity=Decimal(data["quantity"]),
                client_order_id=data["client_order_id"],
                reduce_only=data["reduce_only"],
                position_side=PositionSide(data["position_side"]),
            )
        case "conditional":
            return ConditionalRequest(
                symbol=data["symbol"],
                side=Side(data["side"]),
                type=OrderType(data["type"]),
                client_order_id=data["client_order_id"],
                quantity=_optional(data["quantity"]),
                trigger_price=_optional(data["trigger_price"]),
                price=_optional(data["price"]),
                activate_price=_optional(data["activate_price"]),
                callback_rate=_optional(data["callback_rate"]),
                working_type=WorkingType(data["working_type"]),
                close_position=data["close_position"],
                reduce_only=data["reduce_only"],
                position_side=PositionSide(data["position_side"]),
                time_in_force=TimeInForce(data["time_in_force"]),
            )
        case other:
            raise ValueError(f"{other!r} is not a kind of request")


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

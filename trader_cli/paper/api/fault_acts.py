"""What happens at a moment: connections end, keys expire, stops vanish, others reach in.

Knows the exchange and what to do to it; when, and how often, is `faults.py`'s business.

Source: binance-usdm reference §10.1, §11.1, §17.10; stops were seen vanishing on demo accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trader_cli.domain.terms import PositionSide
from trader_cli.paper.api.faults import Armed, FaultKind
from trader_cli.paper.protocol.params import Params

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

_DISCONNECTED: Final = 1006
_FOREIGN_PREFIX: Final = "web_"


def perform(exchange: Exchange, armed: Armed, now_ms: int) -> None:
    """Let it happen.

    Raises:
        VenueRefusal: a stranger's order is one that the venue refuses, or there is no position to
            deleverage.
    """
    symbol = armed.details.get("symbol", "BTCUSDT").upper()
    match armed.kind:
        case FaultKind.STREAM_DISCONNECT:
            exchange.subscriptions.close_all(_DISCONNECTED, "connection lost")
        case FaultKind.LISTEN_KEY_EXPIRED:
            exchange.listen_keys.end_now(now_ms)
            exchange.subscriptions.expire(now_ms)
        case FaultKind.STOP_VANISHED:
            exchange.venue.lose_algos(symbol, now_ms)
        case FaultKind.ADL:
            _deleverage(exchange, armed, symbol, now_ms)
        case FaultKind.FOREIGN_ORDER:
            _trade_as_stranger(exchange, armed, symbol, now_ms)
        case FaultKind.FOREIGN_CANCEL:
            both = Params({"symbol": symbol})
            exchange.venue.cancel_all(both, now_ms)
            exchange.venue.cancel_all_algo(both, now_ms)
        case _:
            raise AssertionError(f"{armed.kind} is no act")


def _deleverage(exchange: Exchange, armed: Armed, symbol: str, now_ms: int) -> None:
    """Close what is held, or `quantity` of it, against somebody's bankruptcy at `price` or mark."""
    details = Params(dict(armed.details))
    exchange.venue.deleverage(
        symbol,
        now_ms,
        side=details.enum("position_side", PositionSide, code=-4060),
        quantity=details.decimal("quantity"),
        price=details.decimal("price"),
    )


def _trade_as_stranger(exchange: Exchange, armed: Armed, symbol: str, now_ms: int) -> None:
    """Place somebody else's order on the same account; without a price it is a market one."""
    side = armed.details.get("side", "BUY")
    values = {
        "symbol": symbol,
        "side": side,
        "type": "MARKET",
        "quantity": armed.details.get("quantity", "0.01"),
        "newClientOrderId": f"{_FOREIGN_PREFIX}{now_ms}_{armed.number}_{armed.struck}",
    }
    if "price" in armed.details:
        values |= {"type": "LIMIT", "timeInForce": "GTC", "price": armed.details["price"]}
    if "position_side" in armed.details:
        values["positionSide"] = armed.details["position_side"]
    elif exchange.venue.position_mode(Params({}), now_ms)["dualSidePosition"]:
        opens = PositionSide.LONG if side == "BUY" else PositionSide.SHORT
        values["positionSide"] = opens.value
    exchange.venue.place_order(Params(values), now_ms)

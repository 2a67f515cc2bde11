"""The exchange's own switches, outside Binance's name space: status, price, reset, stop, fault.

Knows what `trader paper …` may ask of a running exchange. No client of Binance ever meets these.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trader_cli.domain.numbers import to_wire
from trader_cli.errors import UsageError
from trader_cli.paper.api.faults import ACTS, FaultKind
from trader_cli.paper.api.routes import Handler, Route
from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.public_keys import keep_registered, read_public_key, registered
from trader_cli.paper.protocol.refusal import VenueRefusal

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

_KEY_NAME_MAX: Final = 64

_ACT_DETAILS: Final = ("symbol", "side", "quantity", "price", "position_side")


def _status(exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {
        **exchange.venue.settings_summary(),
        **exchange.market.facts(),
        **exchange.facts,
        "pid": os.getpid(),
        "symbols": list(exchange.market.symbols),
        "rate_limits": exchange.settings.rate_limits.enabled,
        "faults": exchange.faults.shown(),
        "connections": len(exchange.subscriptions),
        "started_ms": exchange.started_ms,
        "time_ms": now_ms,
    }


def _price(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbol = exchange.known_symbol(params.needed("symbol"))
    tick = exchange.market.latest(symbol)
    return {
        "symbol": symbol,
        "bid": to_wire(tick.bid),
        "ask": to_wire(tick.ask),
        "last_price": to_wire(tick.last_price),
        "mark_price": to_wire(tick.mark_price),
        "time_ms": now_ms,
    }


def _jump(exchange: Exchange, params: Params, now_ms: int) -> object:
    symbol = exchange.known_symbol(params.needed("symbol"))
    new_price = params.decimal("price")
    if new_price is None:
        raise VenueRefusal(-1102, "price")
    if new_price <= 0:
        raise VenueRefusal(-4001)
    try:
        exchange.venue.jump(symbol, new_price, now_ms)
    except UsageError as error:
        raise VenueRefusal(-1130, detail=error.message) from error
    return _price(exchange, params, now_ms)


def _reset(exchange: Exchange, params: Params, now_ms: int) -> object:
    balance = params.decimal("balance")
    if balance is None:
        balance = exchange.settings.initial_balance
    if balance < 0:
        raise VenueRefusal(-1130, "balance")
    exchange.venue.reset(balance, now_ms)
    exchange.limits.forget()
    return {"balance": to_wire(balance), "time_ms": now_ms}


def _stop(exchange: Exchange, _params: Params, now_ms: int) -> object:
    exchange.stop_requested = True
    return {"stopping": True, "time_ms": now_ms}


def _arm_fault(exchange: Exchange, params: Params, now_ms: int) -> object:
    """Arm a failure, or let one that happens at a moment happen now where no path is named."""
    word = params.needed("kind")
    if word not in {kind.value for kind in FaultKind}:
        raise VenueRefusal(-1130, "kind")
    kind = FaultKind(word)
    times, seconds, amount = (params.integer(name) for name in ("times", "seconds", "amount"))
    for name, number in (("times", times), ("seconds", seconds)):
        if number is not None and number < 1:
            raise VenueRefusal(-1130, name)
    probability = params.decimal("probability")
    if probability is not None and not 0 < probability <= 1:
        raise VenueRefusal(-1130, "probability")
    details = {name: params.needed(name) for name in _ACT_DETAILS if params.has(name)}
    at_once = kind in ACTS and not params.has("path")
    armed = exchange.faults.arm(
        kind,
        method=params.text("method"),
        path=params.text("path"),
        times=0 if params.flag("forever") else times,
        probability=1.0 if probability is None else float(probability),
        seed=params.integer("seed") or 0,
        until_ms=None if seconds is None else now_ms + seconds * 1_000,
        amount=amount,
        details=details,
    )
    if at_once:
        exchange.faults.clear(armed.number)
        for _ in range(times or 1):
            armed.struck += 1
            exchange.let_happen(armed, now_ms)
    return {**armed.shown(), "happened": at_once}


def _list_faults(exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return {"faults": exchange.faults.shown(), "kinds": [kind.value for kind in FaultKind]}


def _clear_faults(exchange: Exchange, params: Params, _now_ms: int) -> object:
    return {"cleared": exchange.faults.clear(params.integer("number"))}


def _register_key(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Accept a public key, under the name sent or a fresh one; the account is the same."""
    name = params.text("api_key") or exchange.new_key()
    known = registered(exchange.venue)
    if name in exchange.keys and name not in known:
        raise VenueRefusal(-1130, "api_key")
    if not name.isalnum() or len(name) > _KEY_NAME_MAX:
        raise VenueRefusal(-1130, "api_key")
    pem = params.needed("public_key")
    key = read_public_key(name, pem)
    keep_registered(exchange.venue, known | {name: pem})
    exchange.keys.add(key)
    return {"api_key": name, "kind": "Ed25519" if key.may_log_on else "RSA"}


def _list_keys(exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return {"api_keys": list(registered(exchange.venue))}


def _revoke_key(exchange: Exchange, params: Params, _now_ms: int) -> object:
    """Accept a registered key no longer; the exchange's own pair cannot go."""
    name = params.needed("api_key")
    known = registered(exchange.venue)
    if known.pop(name, None) is None:
        raise VenueRefusal(-1130, "api_key")
    keep_registered(exchange.venue, known)
    exchange.keys.remove(name)
    exchange.ws_api.revoke(name)
    return {"api_key": name}


def _row(method: str, path: str, handler: Handler) -> Route:
    return Route(method=method, path=path, security=Security.CONTROL, handler=handler, weight=0)


CONTROL_ROUTES: Final = (
    _row("GET", "/paper/status", _status),
    _row("GET", "/paper/price", _price),
    _row("POST", "/paper/price", _jump),
    _row("POST", "/paper/reset", _reset),
    _row("POST", "/paper/stop", _stop),
    _row("GET", "/paper/keys", _list_keys),
    _row("POST", "/paper/keys", _register_key),
    _row("DELETE", "/paper/keys", _revoke_key),
    _row("GET", "/paper/fault", _list_faults),
    _row("POST", "/paper/fault", _arm_fault),
    _row("DELETE", "/paper/fault", _clear_faults),
)

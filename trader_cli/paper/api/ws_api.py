"""The WebSocket trading API: requests as messages, answered on the same connection.

Knows its envelope, which call of the HTTP table each method is, sessions and how messages are
signed. Weights, order counts and what a call does are those of the HTTP twin. Must not know
sockets: a session is a `Sink`.

User events never travel here; `userDataStream.start` only returns a listen key.

Source: binance-usdm reference §12, §4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from trader_cli.paper.api.faults import DROPPED
from trader_cli.paper.api.routes import Route, RouteTable
from trader_cli.paper.api.throttling import is_spared
from trader_cli.paper.protocol.auth import ApiKey, KeyRing, Security, check_clock, message_payload
from trader_cli.paper.protocol.limits import MessageRate, RateRefusal
from trader_cli.paper.protocol.messages import can_tell, error_body, error_status, json_text
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.streams.subscriptions import Sink

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

WS_API_PATH: Final = "/ws-fapi/v1"
HANDSHAKE_WEIGHT: Final = 5
SESSION_WEIGHT: Final = 2

TWINS: Final[Mapping[str, tuple[str, str]]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
"""The HTTP call that each method is; one row adds a method."""

_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {"account.status": frozenset({"feeBurn"})}
"""Keys of the HTTP twin's answer that the method's answer lacks."""

_ASSETS_WITH_MORE: Final = frozenset({"v2/account.status"})
"""Methods whose assets say what the HTTP twin's do not."""

_ENVELOPE: Final = frozenset({"apiKey", "signature", "returnRateLimits"})
_OK: Final = 200
_CLOSE_NORMAL: Final = 1000
_CLOSE_POLICY: Final = 1008
_CLOSE_BROKEN: Final = 1011
_PINGS_PER_SECOND: Final = 5


class _Digits(str):
    """A JSON number with a fraction, as it was written: signatures cover its digits."""

    __slots__ = ()


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One connection to the trading API.

    Attributes:
        shows_limits: answers carry `rateLimits` unless a request says otherwise.
        key: the key it is logged on with, None before `session.logon`.
        authorized_ms: when it logged on, 0 before.
        pings: how fast it pings and pongs.
    """

    sink: Sink
    peer: str
    opened_ms: int
    shows_limits: bool
    pings: MessageRate
    key: ApiKey | None = None
    authorized_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One message, read.

    Attributes:
        id: whatever the client sent, echoed as it is.
        values: the parameters as text, under the names they were sent with.
        flags: names of parameters that were JSON booleans.
        broken: what makes no sense of it, "" if all does.
    """

    id: object
    method: str
    values: Mapping[str, str]
    flags: frozenset[str]
    broken: str


class WsApi:
    """All sessions of the trading API."""

    def __init__(self, exchange: Exchange, routes: RouteTable, keys: KeyRing) -> None:
        self._exchange = exchange
        self._keys = keys
        self._routes = {method: routes[twin] for method, twin in TWINS.items()}
        self._sessions: dict[Session, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, raw_query: str, sink: Sink, peer: str, now_ms: int) -> Session:
        """Admit a connection; the handshake has a weight.

        Raises:
            RateRefusal: the address is over its weight or banned.
        """
        self._exchange.limits.charge_weight(peer, HANDSHAKE_WEIGHT, now_ms)
        wish = parse_qs(raw_query).get("returnRateLimits", ["true"])[-1]
        session = Session(
            sink=sink,
            peer=peer,
            opened_ms=now_ms,
            shows_limits=wish.lower() != "false",
            pings=MessageRate(_PINGS_PER_SECOND),
        )
        self._sessions[session] = None
        return session

    def close(self, session: Session) -> None:
        """Forget a connection that has ended."""
        self._sessions.pop(session, None)

    def count(self, session: Session, now_ms: int) -> None:
        """Count a ping or pong; one too many ends the connection."""
        limited = self._exchange.settings.rate_limits.enabled
        if limited and not session.pings.allows(now_ms):
            session.sink.close(_CLOSE_POLICY, "Too many requests")

    def close_all(self) -> None:
        """Say goodbye to everybody: the exchange ends."""
        for session in list(self._sessions):
            session.sink.close(1001, "going away")

    def expire(self, now_ms: int) -> None:
        """End connections that have lived their day."""
        for session in list(self._sessions):
            if now_ms - session.opened_ms >= self._exchange.subscriptions.life_ms:
                session.sink.close(_CLOSE_NORMAL, "24 hours")

    def revoke(self, api_key: str) -> None:
        """Tell sessions logged on with a key that it is gone; they stay open, logged off."""
        for session in list(self._sessions):
            if session.key is None or session.key.api_key != api_key:
                continue
            session.key, session.authorized_ms = None, 0
            gone = {"id": None, "status": 401, "error": error_body(VenueRefusal(-2015))}
            session.sink.send(json_text(gone), droppable=False)

    def latency_s(self, text: str) -> float:
        """Return how long a transport has to hold a message back before it is received."""
        if not self._exchange.settings.latency_ms:
            return 0.0
        try:
            route = self._routes.get(_read(text).method)
        except VenueRefusal:
            return 0.0
        return 0.0 if route is None else self._exchange.latency_s(route.method, route.path)

    def receive(self, session: Session, text: str, now_ms: int) -> None:
        """Answer one message."""
        request: _Request | None = None
        try:
            request = _read(text)
            answer = self._answer(session, request, now_ms)
        except RateRefusal as refusal:
            answer = {"status": refusal.status, "error": _rate_error(refusal, now_ms)}
        except VenueRefusal as refusal:
            answer = {"status": error_status(refusal), "error": error_body(refusal)}
        if answer is None:
            return
        body = {"id": None if request is None else request.id, **answer}
        if _shows_limits(session, request):
            route = None if request is None else self._routes.get(request.method)
            body["rateLimits"] = self._exchange.limits.counted(
                session.peer, now_ms, orders=route is not None and route.writes_orders
            )
        self._exchange.venue.commit()
        session.sink.send(json_text(body), droppable=False)

    def _answer(self, session: Session, request: _Request, now_ms: int) -> dict[str, object] | None:
        """Return status and result; None if a fault ended the connection."""
        if request.broken:
            raise VenueRefusal(-1130, request.broken)
        handler = _SESSION_METHODS.get(request.method)
        if handler is not None:
            self._exchange.limits.charge_weight(session.peer, SESSION_WEIGHT, now_ms)
            handler(self, session, request, now_ms)
            told_ms = self._exchange.told_ms(now_ms)
            return {"status": _OK, "result": _standing(session, told_ms)}
        route = self._routes.get(request.method)
        if route is None:
            raise VenueRefusal(-1020)
        fault = self._exchange.faults.meet(
            route.method,
            route.path,
            now_ms,
            spared=lambda: is_spared(route.method, route.path, _parameters(request)),
        )
        if fault is None or fault.executes:
            result = self._result(session, route, request, now_ms)
            self._exchange.let_follow(route.method, route.path, now_ms)
            if fault is None:
                return {"status": _OK, "result": result}
        response = fault.response
        try:
            error = json.loads(response.body)
        except ValueError:
            error = None
        if response.status in (DROPPED, _OK) or error is None:
            self._exchange.venue.commit()
            session.sink.close(_CLOSE_BROKEN, "broken")
            return None
        if "Retry-After" in response.headers:
            error["data"] = _when_again(int(response.headers["Retry-After"]), now_ms)
        return {"status": response.status, "error": error}

    def _result(self, session: Session, route: Route, request: _Request, now_ms: int) -> object:
        result = self._exchange.perform(
            route,
            _parameters(request),
            peer=session.peer,
            now_ms=now_ms,
            admit=lambda params: self._admit(session, route.security, request, params, now_ms),
        )
        if not isinstance(result, dict):
            return result
        left_out = _LEFT_OUT.get(request.method, frozenset())
        told = {name: value for name, value in result.items() if name not in left_out}
        if request.method in _ASSETS_WITH_MORE:
            told["assets"] = [asset | {"marginAvailable": True} for asset in told["assets"]]
        return told

    def _admit(
        self,
        session: Session,
        security: Security,
        request: _Request,
        params: Params,
        now_ms: int,
    ) -> None:
        """Let a request pass by its own signature, or by the session it is sent in."""
        if security is Security.OPEN:
            return
        named = request.values.get("apiKey")
        if named is None:
            if session.key is None:
                raise VenueRefusal(-1102, "apiKey")
            if security is Security.SIGNED:
                check_clock(params, self._exchange.signing_ms(params, now_ms))
            return
        key = self._keys.find(named, session.peer)
        if security is Security.SIGNED:
            _check_signed(key, request, params, self._exchange.signing_ms(params, now_ms))

    def _log_on(self, session: Session, request: _Request, now_ms: int) -> None:
        named = request.values.get("apiKey")
        if named is None:
            raise VenueRefusal(-1102, "apiKey")
        key = self._keys.find(named, session.peer)
        if not key.may_log_on:
            raise VenueRefusal(-4056)
        params = Params(request.values)
        _check_signed(key, request, params, self._exchange.signing_ms(params, now_ms))
        session.key, session.authorized_ms = key, now_ms

    def _log_out(self, session: Session, _request: _Request, _now_ms: int) -> None:
        session.key, session.authorized_ms = None, 0

    def _show(self, _session: Session, _request: _Request, _now_ms: int) -> None:
        """Change nothing: the session's standing is what every session method answers."""


_SessionMethod = Callable[[WsApi, Session, _Request, int], None]
_SESSION_METHODS: Final[Mapping[str, _SessionMethod]] = {
    "session.logon": WsApi._log_on,
    "session.status": WsApi._show,
    "session.logout": WsApi._log_out,
}


def _standing(session: Session, now_ms: int) -> dict[str, object]:
    return {
        "apiKey": None if session.key is None else session.key.api_key,
        "authorizedSince": session.authorized_ms or None,
        "connectedSince": session.opened_ms,
        "returnRateLimits": session.shows_limits,
        "serverTime": now_ms,
    }


def _check_signed(key: ApiKey, request: _Request, params: Params, now_ms: int) -> None:
    signature = request.values.get("signature")
    if params.integer("timestamp") is None:
        raise VenueRefusal(-1102, "timestamp")
    if not signature:
        raise VenueRefusal(-1102, "signature")
    check_clock(params, now_ms)
    if not any(key.verifies(payload, signature) for payload in _payloads(request)):
        raise VenueRefusal(-1022)


def _payloads(request: _Request) -> list[bytes]:
    """Return what a client may have signed: Python clients spell JSON's true as True."""
    plain = message_payload(request.values)
    if not request.flags:
        return [plain]
    python = {
        name: value.capitalize() if name in request.flags else value
        for name, value in request.values.items()
    }
    return [plain, message_payload(python)]


def _shows_limits(session: Session, request: _Request | None) -> bool:
    wish = None if request is None else request.values.get("returnRateLimits")
    return session.shows_limits if wish is None else wish.lower() != "false"


def _parameters(request: _Request) -> dict[str, str]:
    """Return the call's own parameters, by names in lower case."""
    return {name.lower(): value for name, value in request.values.items() if name not in _ENVELOPE}


def _rate_error(refusal: RateRefusal, now_ms: int) -> dict[str, object]:
    return {**error_body(refusal), "data": _when_again(refusal.retry_after_s, now_ms)}


def _when_again(retry_after_s: int, now_ms: int) -> dict[str, int]:
    return {"serverTime": now_ms, "retryAfter": now_ms + retry_after_s * 1_000}


def _read(text: str) -> _Request:
    """Read a message.

    Raises:
        VenueRefusal: -1130 for no JSON object.
    """
    try:
        message = json.loads(text, parse_float=_Digits)
    except (ValueError, RecursionError):
        raise VenueRefusal(-1130, "request") from None
    if not isinstance(message, dict) or not can_tell(message):
        raise VenueRefusal(-1130, "request")
    method, params = message.get("method"), message.get("params") or {}
    given = message.get("id")
    return _Request(
        id=float(given) if isinstance(given, _Digits) else given,
        method=method if isinstance(method, str) else "",
        values={
            name: _text(value)
            for name, value in (params.items() if isinstance(params, dict) else ())
            if value is not None
        },
        flags=frozenset(
            name
            for name, value in (params.items() if isinstance(params, dict) else ())
            if isinstance(value, bool)
        ),
        broken="" if isinstance(params, dict) else "params",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)

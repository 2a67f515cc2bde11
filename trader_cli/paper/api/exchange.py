"""The exchange in a box, whole: request in, answer out, stream messages to whoever subscribed.

Knows the order of things: rate, key, clock, signature, then the world advances, then the call.
Synchronous and told the time, so that a server in real time and a simulation under a virtual
clock run the very same exchange. Must not know sockets or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trader_cli.paper.api.convert import ConvertDesk
from trader_cli.paper.api.downloads import Downloads
from trader_cli.paper.api.fault_acts import perform
from trader_cli.paper.api.faults import DROPPED, Armed, Fault, Faults
from trader_cli.paper.api.routes import Route, RouteTable
from trader_cli.paper.api.throttling import is_spared
from trader_cli.paper.api.ws_api import WsApi
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.markets.market import Market
from trader_cli.paper.protocol.auth import KeyPair, KeyRing, Security, authorise
from trader_cli.paper.protocol.limits import (
    SPOT_WEIGHT_HEADER,
    WEIGHT_HEADER,
    RateLimits,
    RateLimitSettings,
    RateRefusal,
)
from trader_cli.paper.protocol.messages import (
    HttpRequest,
    HttpResponse,
    StrictParams,
    error_body,
    error_status,
    json_response,
    read_parameters,
)
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.public_keys import restored_keys
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.streams.market_streams import MarketStreams
from trader_cli.paper.streams.subscriptions import CONNECTION_LIFE_MS, Subscriptions
from trader_cli.paper.streams.user_streams import LISTEN_KEY_LIFE_MS, ListenKeys
from trader_cli.paper.venue.venue import Venue

_OK: Final = 200
_CONTROL: Final = Security.CONTROL
_SPOT: Final = "/api/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """What may differ between two paper exchanges, beside the venue's own settings.

    Attributes:
        strict_parameters: refuse parameters nobody reads (-1104); the real one ignores them.
        strict_legacy_streams: unrouted stream addresses deliver public streams only, as at
            Binance since 2026-04-23; False serves clients that never route on other hosts.
        initial_balance: USDT after a reset that names none.
        latency_ms: how long what concerns orders is on its way here; the transport waits.
        clock_scale: how many of the exchange's seconds pass in one of its clients'; what lives
            for its clients' sake (listen keys, connections) lives that much longer.
        signing_ms: given a request's timestamp and the exchange's time, the time to judge it by;
            None: the exchange's.
    """

    rate_limits: RateLimitSettings = field(default_factory=RateLimitSettings)
    strict_parameters: bool = False
    strict_legacy_streams: bool = False
    initial_balance: Decimal = Decimal(10_000)
    latency_ms: int = 0
    clock_scale: float = 1.0
    signing_ms: Callable[[int, int], int] | None = None


class Exchange:
    """One paper exchange. Not thread-safe: one owner calls it.

    Attributes:
        routes: every call it answers, which is `every_route.ROUTES` in full.
        keys: the keys the account may be used with.
        ws_api: the WebSocket trading API.
        convert, downloads: desks of their own; they move no money.
        new_key: makes a fresh unguessable name for a key.
        stop_requested: somebody with the key asked the server to end.
        started_ms: when this process's exchange began.
        facts: what `paper status` shows of the market, e.g. its seed.
    """

    def __init__(
        self,
        *,
        routes: RouteTable,
        venue: Venue,
        market: Market,
        keys: KeyPair,
        new_key: Callable[[], str],
        started_ms: int,
        settings: ExchangeSettings | None = None,
        facts: Mapping[str, object] | None = None,
        contracts: Mapping[str, Contract] = CONTRACTS,
    ) -> None:
        self.routes = routes
        self.venue = venue
        self.market = market
        self.contracts = contracts
        self.settings = settings or ExchangeSettings()
        self.started_ms = started_ms
        self.facts = dict(facts or {})
        self.limits = RateLimits(self.settings.rate_limits)
        scale = self.settings.clock_scale
        self.listen_keys = ListenKeys(new_key, venue, life_ms=int(LISTEN_KEY_LIFE_MS * scale))
        self.subscriptions = Subscriptions(
            self.listen_keys,
            strict_legacy=self.settings.strict_legacy_streams,
            limited=self.settings.rate_limits.enabled,
            life_ms=int(CONNECTION_LIFE_MS * scale),
        )
        self.convert = ConvertDesk(self.index_price)
        self.downloads = Downloads(venue)
        self.faults = Faults()
        venue.suffer(self.faults)
        self.stop_requested = False
        self.new_key = new_key
        self.keys = KeyRing(keys, *restored_keys(venue))
        self.ws_api = WsApi(self, routes, self.keys)
        self._streams = MarketStreams(market, contracts, self.status_of)
        self._told_streams = True  # so that the first round tells the market what is heard

    def handle(self, request: HttpRequest, now_ms: int) -> HttpResponse:
        """Answer one request."""
        route = self.routes.get((request.method, request.path))
        try:
            if route is None:
                raise VenueRefusal(-5000, request.path, request.method)
            fault = self.faults.meet(
                request.method,
                request.path,
                now_ms,
                spared=lambda: is_spared(request.method, request.path, read_parameters(request)),
            )
            if fault is not None and not fault.executes:
                return self._failed(fault, route, request, now_ms)
            response = self._answer(route, request, now_ms)
            self.let_follow(request.method, request.path, now_ms)
        except RateRefusal as refusal:
            headers = self._headers(route, request.peer, now_ms)
            headers["Retry-After"] = str(refusal.retry_after_s)
            return json_response(refusal.status, error_body(refusal), headers)
        except VenueRefusal as refusal:
            headers = self._headers(route, request.peer, now_ms)
            return json_response(error_status(refusal), error_body(refusal), headers)
        return response if fault is None else self._failed(fault, route, request, now_ms)

    def let_follow(self, method: str, path: str, now_ms: int) -> None:
        """Let happen what is armed to follow this request; what it answers is another matter."""
        for armed in self.faults.acts_after(method, path, now_ms):
            with suppress(VenueRefusal):  # a stranger's order may be refused, too
                self.let_happen(armed, now_ms)

    def let_happen(self, armed: Armed, now_ms: int) -> None:
        """Let one armed act happen now, and everybody hear of it."""
        perform(self, armed, now_ms)
        self._publish(now_ms)

    def told_ms(self, now_ms: int) -> int:
        """Return the time this exchange believes it is: the caller's, unless its clock is off."""
        return now_ms + self.faults.skew_ms(now_ms)

    def signing_ms(self, params: Params, now_ms: int) -> int:
        """Return the time a request's timestamp is compared with."""
        told_ms = self.told_ms(now_ms)
        choose = self.settings.signing_ms
        if choose is None:
            return told_ms
        timestamp_ms = params.integer("timestamp")
        return told_ms if timestamp_ms is None else choose(timestamp_ms, told_ms)

    def latency_s(self, method: str, path: str) -> float:
        """Return how long a transport has to hold a request back before it is handled."""
        if not self.settings.latency_ms:
            return 0.0
        route = self.routes.get((method, path))
        is_late = route is not None and route.changes_orders
        return self.settings.latency_ms / 1_000 if is_late else 0.0

    def commit(self) -> None:
        """Make everything answered so far durable; to be called before an answer leaves."""
        self.venue.commit()

    def tick(self, now_ms: int) -> None:
        """Let the world go on to `now_ms` and tell everybody who listens."""
        self.venue.listen(heard=self.subscriptions.hears_user)
        self.venue.advance(now_ms)
        self.venue.commit()
        self._publish(now_ms)
        self.subscriptions.expire(now_ms)
        self.ws_api.expire(now_ms)

    def known_symbol(self, text: str) -> str:
        """Return a symbol that trades here.

        Raises:
            VenueRefusal: -1121.
        """
        symbol = text.upper()
        if symbol not in self.contracts or symbol not in self.market.symbols:
            raise VenueRefusal(-1121)
        return symbol

    def status_of(self, symbol: str, now_ms: int) -> str:
        """Return a contract's status as exchangeInfo shows it."""
        if self.faults.only_cancels(symbol, now_ms) or self.market.is_stale(symbol):
            return "TRADING_CANCEL_ONLY"
        return self.contracts[symbol].instrument.status

    def index_price(self, symbol: str) -> Decimal | None:
        """Return a contract's index price, None if it is not traded here."""
        if symbol not in self.contracts or symbol not in self.market.symbols:
            return None
        return self.market.latest(symbol).index_price

    def open_interest(self, symbol: str) -> Decimal:
        """Return half a day's volume: nobody else holds positions here to be counted."""
        contract = self.contracts[symbol]
        return (contract.daily_volume / 2).quantize(contract.instrument.quantity_step)

    def perform(
        self,
        route: Route,
        values: dict[str, str],
        *,
        peer: str,
        now_ms: int,
        admit: Callable[[Params], None],
    ) -> object:
        """Carry out one call, however it came, and return what answers it.

        Args:
            values: the parameters as text, by names in lower case; they are the call's own.
            admit: refuses a caller who may not; asked after the weight, before the order counts.
        """
        strict = self.settings.strict_parameters and route.security is not _CONTROL
        params = StrictParams(values) if strict else Params.of_lower(values)
        if route.security is not _CONTROL:
            self.limits.charge_weight(peer, route.weigh(params), now_ms)
            if route.pool is not None:
                self.limits.charge_pool(peer, route.pool, now_ms)
        admit(params)
        if route.writes_orders:
            self.limits.charge_orders(route.orders_10s, route.orders_1m, now_ms)
        self.venue.listen(heard=self.subscriptions.hears_user)
        self.venue.advance(now_ms)
        try:
            payload = route.handler(self, params, now_ms)
            if isinstance(params, StrictParams):
                params.check_all_read()
        finally:
            self._publish(now_ms)
        return payload

    def _answer(self, route: Route, request: HttpRequest, now_ms: int) -> HttpResponse:
        payload = self.perform(
            route,
            read_parameters(request),
            peer=request.peer,
            now_ms=now_ms,
            admit=lambda params: authorise(
                request,
                params,
                security=route.security,
                keys=self.keys,
                now_ms=self.signing_ms(params, now_ms),
            ),
        )
        return json_response(_OK, payload, self._headers(route, request.peer, now_ms))

    def _failed(
        self, fault: Fault, route: Route, request: HttpRequest, now_ms: int
    ) -> HttpResponse:
        """Return a failure's answer; only the exchange itself counts, no page in front of it."""
        response = fault.response
        if response.status == DROPPED or "Content-Type" in response.headers:
            return response
        headers = self._headers(route, request.peer, now_ms) | dict(response.headers)
        return HttpResponse(response.status, headers, response.body, response.delay_ms)

    def _headers(self, route: Route | None, peer: str, now_ms: int) -> dict[str, str]:
        headers = self.limits.weight_headers(peer, now_ms)
        if route is not None and route.writes_orders:
            headers.update(self.limits.order_headers(now_ms))
        elif route is not None and route.path.startswith(_SPOT):
            # The spot exchange's answers carry the count under both names; clients read either.
            headers[SPOT_WEIGHT_HEADER] = headers[WEIGHT_HEADER]
        return headers

    def _publish(self, now_ms: int) -> None:
        venue, faults = self.venue, self.faults
        events = faults.disturb(venue.drain_events(), now_ms)
        ticks, forced = venue.drain_market(), venue.drain_forced()
        if faults.is_silent(now_ms):
            return
        self.subscriptions.publish_user(events, now_ms)
        streams = self.subscriptions.active_streams
        if not (streams or forced or self._told_streams):
            return
        self._told_streams = bool(streams)
        for name, payload in self._streams.payloads(ticks, streams, now_ms, forced=forced):
            self.subscriptions.publish_market(name, payload)

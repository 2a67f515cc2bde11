"""Request weight by address and order counts by account, with real 429 and 418 answers.

Knows the published limits and how a ban grows. Must not know routes: a route says what it
weighs. Windows are fixed to the clock's minutes and ten seconds, as the exchange's headers show.

Source: binance-usdm reference §3.5, §3.6, §4.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.wire.rest import CountedLimit, RateLimit

WEIGHT_HEADER: Final = "X-MBX-USED-WEIGHT-1M"
SPOT_WEIGHT_HEADER: Final = "X-MBX-USED-WEIGHT"
ORDERS_10S_HEADER: Final = "X-MBX-ORDER-COUNT-10S"
ORDERS_1M_HEADER: Final = "X-MBX-ORDER-COUNT-1M"

_MINUTE_MS: Final = 60_000
_TEN_SECONDS_MS: Final = 10_000
_POOL_MS: Final = 300_000
_PEERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """The published limits.

    Attributes:
        enabled: False counts and reports, but never refuses (benchmarks say so).
        ignored_max: refused requests in one minute after which the address is banned.
        ban_ms_min, ban_ms_max: first and longest ban; each further ban doubles.
    """

    enabled: bool = True
    weight_per_minute: int = 2_400
    orders_per_10s: int = 300
    orders_per_minute: int = 1_200
    ignored_max: int = 20
    ban_ms_min: int = 120_000
    ban_ms_max: int = 3 * 86_400_000


class RateRefusal(VenueRefusal):
    """A caller is too fast; it says when it may come back.

    Attributes:
        status: 429, or 418 for a ban.
        retry_after_s: whole seconds.
    """

    def __init__(
        self,
        code: int,
        *arguments: object,
        status: int,
        retry_after_s: int,
        detail: str | None = None,
    ) -> None:
        super().__init__(code, *arguments, detail=detail)
        self.status = status
        self.retry_after_s = max(1, retry_after_s)


@dataclass(slots=True)
class _Window:
    """A counter that starts anew at each multiple of `length_ms`."""

    length_ms: int
    number: int = -1
    count: int = 0

    def at(self, now_ms: int) -> int:
        """Return the present count."""
        number = now_ms // self.length_ms
        if number != self.number:
            self.number, self.count = number, 0
        return self.count

    def add(self, now_ms: int, amount: int) -> int:
        self.count = self.at(now_ms) + amount
        return self.count

    def seconds_left(self, now_ms: int) -> int:
        return (self.length_ms - now_ms % self.length_ms + 999) // 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPool:
    """A limit that some calls share, counted in requests by address."""

    name: str
    per_5_minutes: int


@dataclass(slots=True)
class _Peer:
    weight: _Window = field(default_factory=lambda: _Window(_MINUTE_MS))
    ignored: _Window = field(default_factory=lambda: _Window(_MINUTE_MS))
    banned_until_ms: int = 0
    bans: int = 0
    pools: dict[str, _Window] = field(default_factory=dict)


class RateLimits:
    """All counters of the exchange. Bounded: the longest silent addresses are forgotten."""

    def __init__(self, settings: RateLimitSettings) -> None:
        self._settings = settings
        self._peers: dict[str, _Peer] = {}
        self._orders_10s = _Window(_TEN_SECONDS_MS)
        self._orders_1m = _Window(_MINUTE_MS)

    def charge_weight(self, peer: str, weight: int, now_ms: int) -> int:
        """Add a request's weight and return the minute's sum.

        Raises:
            RateRefusal: -1003 with 429 past the limit, with 418 while banned.
        """
        state = self._peer(peer)
        settings = self._settings
        if settings.enabled and now_ms < state.banned_until_ms:
            raise _banned(state.banned_until_ms, now_ms)
        if not settings.enabled or state.weight.at(now_ms) + weight <= settings.weight_per_minute:
            return state.weight.add(now_ms, weight)
        raise self._too_many(
            state, state.weight, f"{settings.weight_per_minute} requests per minute", now_ms
        )

    def charge_pool(self, peer: str, pool: RequestPool, now_ms: int) -> None:
        """Count a request of a call that has a limit of its own besides the weight.

        Raises:
            RateRefusal: -1003 as for the weight.
        """
        state = self._peer(peer)
        window = state.pools.setdefault(pool.name, _Window(_POOL_MS))
        if not self._settings.enabled or window.at(now_ms) < pool.per_5_minutes:
            window.add(now_ms, 1)
            return
        limit = f"{pool.per_5_minutes} requests per 5 minutes"
        raise self._too_many(state, window, limit, now_ms)

    def _too_many(self, state: _Peer, window: _Window, limit: str, now_ms: int) -> RateRefusal:
        """Return the refusal of one request too many; a ban once too many of them were ignored."""
        settings = self._settings
        if state.ignored.add(now_ms, 1) > settings.ignored_max:
            length_ms = min(settings.ban_ms_min << min(state.bans, 20), settings.ban_ms_max)
            state.bans += 1
            state.banned_until_ms = now_ms + length_ms
            return _banned(state.banned_until_ms, now_ms)
        return RateRefusal(
            -1003,
            detail=(
                f"Too many requests; current limit is {limit}. "
                "Please use the websocket for live updates to avoid polling the API."
            ),
            status=429,
            retry_after_s=window.seconds_left(now_ms),
        )

    def charge_orders(self, per_10s: int, per_minute: int, now_ms: int) -> None:
        """Count order writes.

        Raises:
            RateRefusal: -1015 with 429 past either limit; nothing is counted then.
        """
        settings = self._settings
        if settings.enabled:
            if self._orders_10s.at(now_ms) + per_10s > settings.orders_per_10s:
                limit = settings.orders_per_10s
                raise _too_many_orders(limit, "10 SECONDS", self._orders_10s, now_ms)
            if self._orders_1m.at(now_ms) + per_minute > settings.orders_per_minute:
                limit = settings.orders_per_minute
                raise _too_many_orders(limit, "MINUTE", self._orders_1m, now_ms)
        self._orders_10s.add(now_ms, per_10s)
        self._orders_1m.add(now_ms, per_minute)

    def weight_headers(self, peer: str, now_ms: int) -> dict[str, str]:
        """Return the header every answer carries."""
        return {WEIGHT_HEADER: str(self._peer(peer).weight.at(now_ms))}

    def order_headers(self, now_ms: int) -> dict[str, str]:
        """Return the headers answers to order writes carry."""
        return {
            ORDERS_10S_HEADER: str(self._orders_10s.at(now_ms)),
            ORDERS_1M_HEADER: str(self._orders_1m.at(now_ms)),
        }

    def published(self) -> list[RateLimit]:
        """Return `rateLimits` as exchangeInfo lists them."""
        settings = self._settings
        return [
            _row("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_per_minute),
            *self.published_orders(),
        ]

    def published_orders(self) -> list[RateLimit]:
        """Return the account's order limits as `rateLimit/order` lists them."""
        settings = self._settings
        return [
            _row("ORDERS", "MINUTE", 1, settings.orders_per_minute),
            _row("ORDERS", "SECOND", 10, settings.orders_per_10s),
        ]

    def counted(self, peer: str, now_ms: int, *, orders: bool) -> list[CountedLimit]:
        """Return the limits with what is used of them, the order counts only if `orders`."""
        used = (
            self._peer(peer).weight.at(now_ms),
            self._orders_1m.at(now_ms),
            self._orders_10s.at(now_ms),
        )
        rows = self.published() if orders else self.published()[:1]
        return [{**row, "count": count} for row, count in zip(rows, used, strict=False)]

    def forget(self) -> None:
        """Start every counter and ban anew."""
        self._peers.clear()
        self._orders_10s = _Window(_TEN_SECONDS_MS)
        self._orders_1m = _Window(_MINUTE_MS)

    def _peer(self, peer: str) -> _Peer:
        state = self._peers.get(peer)
        if state is None:
            if len(self._peers) >= _PEERS_MAX:
                del self._peers[next(iter(self._peers))]
            state = self._peers[peer] = _Peer()
        return state


class MessageRate:
    """How fast one stream connection talks: more than `per_second` messages closes it."""

    __slots__ = ("_per_second", "_times")

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._times: deque[int] = deque()

    def allows(self, now_ms: int) -> bool:
        """Count one message and return False if it is one too many."""
        while self._times and self._times[0] <= now_ms - 1_000:
            self._times.popleft()
        self._times.append(now_ms)
        return len(self._times) <= self._per_second


def _row(kind: str, interval: str, number: int, limit: int) -> RateLimit:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


def _banned(until_ms: int, now_ms: int) -> RateRefusal:
    return RateRefusal(
        -1003,
        detail=(
            f"Way too many requests; IP banned until {until_ms}. "
            "Please use the websocket for live updates to avoid bans."
        ),
        status=418,
        retry_after_s=(until_ms - now_ms + 999) // 1_000,
    )


def _too_many_orders(limit: int, span: str, window: _Window, now_ms: int) -> RateRefusal:
    return RateRefusal(
        -1015,
        limit,
        span,
        status=429,
        retry_after_s=window.seconds_left(now_ms),
    )

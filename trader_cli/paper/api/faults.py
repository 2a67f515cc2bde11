"""What can go wrong, on request: armed once, several times, or by chance, for what a pattern names.

Knows every kind of failure, how it looks to a client, and when it is due. Must not know requests'
contents, orders or sockets. What strikes the exchange itself is carried out in `fault_acts.py`.

Source: binance-usdm reference §3.5, §7.4, §11.1, §17.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final

from trader_cli.paper.protocol.messages import HttpResponse, json_response
from trader_cli.paper.venue.disturbance import FOR_EVER_MS
from trader_cli.wire import codes

DROPPED: Final = 0
"""The status that tells a transport to end the connection without an answer."""

_SILENCE_MS: Final = 60_000


@unique
class FaultKind(StrEnum):
    """A failure; `_executed` ones happen after the request took effect."""

    # answers to requests
    UNKNOWN = "unknown"  # 503-A
    UNKNOWN_EXECUTED = "unknown_executed"
    UNAVAILABLE = "unavailable"  # 503-B
    OVERLOADED = "overloaded"  # 503-C
    INTERNAL = "internal"  # 503-D
    MAINTENANCE = "maintenance"  # 503-B for everything
    TIMEOUT = "timeout"  # 408, -1007
    TIMEOUT_EXECUTED = "timeout_executed"
    SILENT = "silent"  # no answer for a minute, then the connection ends
    SILENT_EXECUTED = "silent_executed"
    DROPPED = "dropped"
    DROPPED_EXECUTED = "dropped_executed"
    BROKEN_BODY = "broken_body"  # 200 with half a JSON
    BROKEN_BODY_EXECUTED = "broken_body_executed"
    HTML = "html"  # 502 with a web page
    HTML_EXECUTED = "html_executed"
    TOO_MANY_REQUESTS = "too_many_requests"  # 429
    BANNED = "banned"  # 418
    AMNESIA = "amnesia"  # -2013 for what exists

    # events of the user stream
    EVENTS_DELAYED = "events_delayed"
    EVENTS_DUPLICATED = "events_duplicated"
    EVENTS_REORDERED = "events_reordered"
    STREAMS_SILENT = "streams_silent"

    # how the exchange behaves
    CLOCK_SKEW = "clock_skew"
    CANCEL_ONLY = "cancel_only"
    PARTIAL_FILLS = "partial_fills"
    STUCK_TRIGGERING = "stuck_triggering"

    # what happens once
    STREAM_DISCONNECT = "stream_disconnect"
    LISTEN_KEY_EXPIRED = "listen_key_expired"
    STOP_VANISHED = "stop_vanished"
    ADL = "adl"
    FOREIGN_ORDER = "foreign_order"
    FOREIGN_CANCEL = "foreign_cancel"


ANSWERS: Final = frozenset(list(FaultKind)[: list(FaultKind).index(FaultKind.EVENTS_DELAYED)])
"""Kinds that are answers to requests."""

ACTS: Final = frozenset(
    {
        FaultKind.STREAM_DISCONNECT,
        FaultKind.LISTEN_KEY_EXPIRED,
        FaultKind.STOP_VANISHED,
        FaultKind.ADL,
        FaultKind.FOREIGN_ORDER,
        FaultKind.FOREIGN_CANCEL,
    }
)
"""Kinds that happen at a moment: at once, or right after a request that the pattern names."""

_STANDING: Final = frozenset(
    {
        FaultKind.MAINTENANCE,
        FaultKind.AMNESIA,
        FaultKind.STREAMS_SILENT,
        FaultKind.CLOCK_SKEW,
        FaultKind.CANCEL_ONLY,
    }
)
"""Kinds that last until they are cleared or their seconds are over, unless a number is given."""

_AMOUNTS: Final[Mapping[FaultKind, int]] = {
    FaultKind.TOO_MANY_REQUESTS: 10,
    FaultKind.BANNED: 120,
    FaultKind.EVENTS_DELAYED: 1_000,
    FaultKind.CLOCK_SKEW: -10_000,
    FaultKind.PARTIAL_FILLS: 50,
    FaultKind.STUCK_TRIGGERING: 0,
}
"""Default amounts. Seconds of Retry-After, milliseconds of delay, skew and being stuck (0: for
ever), percent of a fill."""

_PATTERNS: Final[Mapping[FaultKind, tuple[str, str]]] = {
    FaultKind.AMNESIA: ("GET", "/fapi/v1/*rder"),
}

_UNKNOWN_TEXT: Final = "Unknown error, please check your request or try again later."
_TIMEOUT_TEXT: Final = (
    "Timeout waiting for response from backend server. "
    "Send status unknown; execution status unknown."
)
_THROTTLED_TEXT: Final = (
    "Request throttled by system-level protection. "
    "Reduce-only/close-position orders are exempt. Please try again."
)
_INTERNAL_TEXT: Final = "Internal error; unable to process your request. Please try again."
_HASTY_TEXT: Final = codes.message(-1003, 2_400)


def _error(
    status: int, code: int, text: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return json_response(status, {"code": code, "msg": text}, headers)


_PAGE: Final = (
    b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
)
_DROP: Final = HttpResponse(status=DROPPED, headers={}, body=b"")
_SILENCE: Final = HttpResponse(status=DROPPED, headers={}, body=b"", delay_ms=_SILENCE_MS)
_UNAVAILABLE: Final = json_response(503, {"msg": "Service Unavailable."})
_HTML: Final = HttpResponse(status=502, headers={"Content-Type": "text/html"}, body=_PAGE)
_BROKEN: Final = HttpResponse(status=200, headers={}, body=b'{"orderId":1')
_RESPONSES: Final[Mapping[FaultKind, HttpResponse]] = {
    FaultKind.UNKNOWN: _error(503, -1000, _UNKNOWN_TEXT),
    FaultKind.UNAVAILABLE: _UNAVAILABLE,
    FaultKind.MAINTENANCE: _UNAVAILABLE,
    FaultKind.OVERLOADED: _error(503, -1008, _THROTTLED_TEXT),
    FaultKind.INTERNAL: _error(503, -1001, _INTERNAL_TEXT),
    FaultKind.TIMEOUT: _error(408, -1007, _TIMEOUT_TEXT),
    FaultKind.SILENT: _SILENCE,
    FaultKind.DROPPED: _DROP,
    FaultKind.BROKEN_BODY: _BROKEN,
    FaultKind.HTML: _HTML,
    FaultKind.AMNESIA: _error(400, -2013, "Order does not exist."),
}
_EXECUTED: Final = "_executed"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure of a request that is due now.

    Attributes:
        amount: seconds of Retry-After where the kind has one.
        now_ms: when it struck.
    """

    kind: FaultKind
    amount: int = 0
    now_ms: int = 0

    @property
    def executes(self) -> bool:
        """True if the request takes effect before it fails."""
        return self.kind.endswith(_EXECUTED)

    @property
    def response(self) -> HttpResponse:
        """What the client gets; status 0 is a dropped connection."""
        headers = {"Retry-After": str(self.amount)}
        if self.kind is FaultKind.TOO_MANY_REQUESTS:
            return _error(429, -1003, _HASTY_TEXT, headers)
        if self.kind is FaultKind.BANNED:
            until_ms = self.now_ms + self.amount * 1_000
            return _error(418, -1003, codes.message(-1003, until_ms, variant=1), headers)
        return _RESPONSES[FaultKind(self.kind.removesuffix(_EXECUTED))]


@dataclass(slots=True, kw_only=True)
class Armed:
    """One failure that waits for its time.

    Attributes:
        method, path: shell-like patterns. `path` is matched with the request's path; with an
            event's name for failures of events; with the symbol for what the market suffers.
        left: how often it may still strike, None for ever.
        probability: of striking where it matches, drawn from `chance`.
        until_ms: when it disarms itself, None never.
        amount: see the kinds' defaults.
        details: of an act: symbol, side, quantity, price.
    """

    number: int
    kind: FaultKind
    method: str
    path: str
    left: int | None
    probability: float
    chance: Random
    until_ms: int | None
    amount: int
    details: Mapping[str, str] = field(default_factory=dict)
    struck: int = 0

    def shown(self) -> dict[str, Any]:
        """Return what `paper fault list` shows."""
        return {
            "number": self.number,
            "kind": self.kind.value,
            "method": self.method,
            "path": self.path,
            "times_left": self.left,
            "probability": self.probability,
            "until_ms": self.until_ms,
            "amount": self.amount,
            "struck": self.struck,
            **self.details,
        }


class Faults:
    """The failures armed, in the order they were. Implements `disturbance.Disturbance`."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._numbers = 0
        self._late: list[tuple[int, Any]] = []

    def arm(
        self,
        kind: FaultKind,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
        until_ms: int | None = None,
        amount: int | None = None,
        details: Mapping[str, str] | None = None,
    ) -> Armed:
        """Let what matches fail from now on.

        Args:
            times: how often at most; 0 for ever; None for once, or for ever where a failure is a
                condition that lasts.
            seed: of the chance; equal seeds strike alike.
        """
        assert times is None or times >= 0, "checked where the wish was read"
        default_method, default_path = _PATTERNS.get(kind, ("*", "*"))
        if times is None:
            times = 0 if kind in _STANDING else 1
        self._numbers += 1
        armed = Armed(
            number=self._numbers,
            kind=kind,
            method=method or default_method,
            path=path or default_path,
            left=times or None,
            probability=probability,
            chance=Random(seed),
            until_ms=until_ms,
            amount=_AMOUNTS.get(kind, 0) if amount is None else amount,
            details=details or {},
        )
        self._armed.append(armed)
        return armed

    def clear(self, number: int | None = None) -> int:
        """Disarm everything, or one; return how many there were."""
        kept = [] if number is None else [a for a in self._armed if a.number != number]
        cleared = len(self._armed) - len(kept)
        self._armed = kept
        return cleared

    def shown(self) -> list[dict[str, Any]]:
        """Return what is armed."""
        return [armed.shown() for armed in self._armed]

    # -- requests ------------------------------------------------------------------------------

    def meet(
        self,
        method: str,
        path: str,
        now_ms: int = 0,
        *,
        spared: Callable[[], bool] = lambda: False,
    ) -> Fault | None:
        """Return the failure this request meets and count it, None if none is armed for it.

        The exchange's own switches never fail.

        Args:
            spared: asked whether an overloaded exchange lets this request pass.
        """
        if not self._armed or path.startswith("/paper/"):
            return None
        for armed in self._due(now_ms):
            if armed.kind not in ANSWERS:
                continue
            if armed.kind is FaultKind.OVERLOADED and spared():
                continue
            if self._strikes(armed, path, method=method):
                return Fault(armed.kind, armed.amount, now_ms)
        return None

    def acts_after(self, method: str, path: str, now_ms: int) -> list[Armed]:
        """Return the acts that follow this request and count them."""
        if not self._armed or path.startswith("/paper/"):
            return []
        return [
            armed
            for armed in self._due(now_ms)
            if armed.kind in ACTS and self._strikes(armed, path, method=method)
        ]

    def skew_ms(self, now_ms: int) -> int:
        """Return how far the exchange's clock is off, ahead positive."""
        if not self._armed:
            return 0
        return sum(a.amount for a in self._holding(FaultKind.CLOCK_SKEW, "", now_ms))

    # -- events --------------------------------------------------------------------------------

    def is_silent(self, now_ms: int) -> bool:
        """Return True while streams stay open and say nothing."""
        return bool(self._holding(FaultKind.STREAMS_SILENT, "", now_ms))

    def disturb(self, events: Iterable[Any], now_ms: int) -> list[Any]:
        """Return the user events to be told now, given those that happened.

        A delayed event holds back those after it; one reordered is told after the next.
        """
        if not self._armed and not self._late:
            return list(events)
        for event in events:
            name = str(event["e"])
            due_ms = self._late[-1][0] if self._late else now_ms
            delayed = self._striking(FaultKind.EVENTS_DELAYED, name, now_ms)
            if delayed is not None:
                due_ms = max(due_ms, now_ms + delayed.amount)
            self._late.append((due_ms, event))
            if self._striking(FaultKind.EVENTS_DUPLICATED, name, now_ms) is not None:
                self._late.append((due_ms, event))
        ready = [event for due_ms, event in self._late if due_ms <= now_ms]
        del self._late[: len(ready)]
        i = 0
        while i < len(ready) - 1:
            if self._striking(FaultKind.EVENTS_REORDERED, str(ready[i]["e"]), now_ms) is not None:
                ready[i], ready[i + 1] = ready[i + 1], ready[i]
                i += 1
            i += 1
        return ready

    # -- the market (disturbance.Disturbance) ----------------------------------------------------

    def only_cancels(self, symbol: str, now_ms: int) -> bool:
        return bool(self._holding(FaultKind.CANCEL_ONLY, symbol, now_ms))

    def share_filled(self, symbol: str, now_ms: int) -> Decimal | None:
        armed = self._striking(FaultKind.PARTIAL_FILLS, symbol, now_ms)
        return None if armed is None else Decimal(armed.amount) / 100

    def stuck_until_ms(self, symbol: str, now_ms: int) -> int | None:
        armed = self._striking(FaultKind.STUCK_TRIGGERING, symbol, now_ms)
        if armed is None:
            return None
        return now_ms + armed.amount if armed.amount else FOR_EVER_MS

    # -- striking --------------------------------------------------------------------------------

    def _holding(self, kind: FaultKind, name: str, now_ms: int) -> list[Armed]:
        """Return what of a lasting kind matches; conditions are not counted nor left to chance."""
        if not self._armed:
            return []
        return [a for a in self._due(now_ms) if a.kind is kind and fnmatchcase(name, a.path)]

    def _striking(self, kind: FaultKind, name: str, now_ms: int) -> Armed | None:
        """Return what of a kind strikes now, and count it."""
        if not self._armed:
            return None
        for armed in self._due(now_ms):
            if armed.kind is kind and self._strikes(armed, name):
                return armed
        return None

    def _due(self, now_ms: int) -> list[Armed]:
        """Return what has not expired, as it is armed now."""
        self._armed = [a for a in self._armed if a.until_ms is None or now_ms < a.until_ms]
        return list(self._armed)

    def _strikes(self, armed: Armed, name: str, *, method: str | None = None) -> bool:
        """Return True if `armed` strikes what matches, and count it."""
        if method is not None and not fnmatchcase(method, armed.method):
            return False
        if not fnmatchcase(name, armed.path):
            return False
        if armed.probability < 1 and armed.chance.random() >= armed.probability:
            return False
        armed.struck += 1
        if armed.left is not None:
            armed.left -= 1
            if armed.left == 0:
                self._armed.remove(armed)
        return True

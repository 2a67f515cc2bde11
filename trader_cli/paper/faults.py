"""What can go wrong on the way, on request: armed for a path, once or several times.

Knows how each failure looks to a client and whether the request was executed all the same.
Must not know requests' contents. This first cut holds the failures of one request; those of
streams and of time follow.

Source: binance-usdm reference §3.5, §17.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from fnmatch import fnmatchcase
from typing import Final

from trader_cli.paper.protocol import HttpResponse, json_response

DROPPED: Final = 0
"""The status that tells a transport to end the connection without an answer."""


@unique
class FaultKind(StrEnum):
    """A failure; `_executed` ones happen after the request took effect."""

    UNKNOWN = "unknown"  # 503-A
    UNKNOWN_EXECUTED = "unknown_executed"
    UNAVAILABLE = "unavailable"  # 503-B
    OVERLOADED = "overloaded"  # 503-C
    INTERNAL = "internal"  # 503-D
    TIMEOUT = "timeout"  # 408, -1007
    TIMEOUT_EXECUTED = "timeout_executed"
    DROPPED = "dropped"
    DROPPED_EXECUTED = "dropped_executed"
    BROKEN_BODY_EXECUTED = "broken_body_executed"  # 200 with half a JSON


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


def _error(status: int, code: int, text: str) -> HttpResponse:
    return json_response(status, {"code": code, "msg": text})


_DROP: Final = HttpResponse(status=DROPPED, headers={}, body=b"")
_UNKNOWN: Final = _error(503, -1000, _UNKNOWN_TEXT)
_TIMEOUT: Final = _error(408, -1007, _TIMEOUT_TEXT)
_RESPONSES: Final[dict[FaultKind, HttpResponse]] = {
    FaultKind.UNKNOWN: _UNKNOWN,
    FaultKind.UNKNOWN_EXECUTED: _UNKNOWN,
    FaultKind.UNAVAILABLE: json_response(503, {"msg": "Service Unavailable."}),
    FaultKind.OVERLOADED: _error(503, -1008, _THROTTLED_TEXT),
    FaultKind.INTERNAL: _error(503, -1001, _INTERNAL_TEXT),
    FaultKind.TIMEOUT: _TIMEOUT,
    FaultKind.TIMEOUT_EXECUTED: _TIMEOUT,
    FaultKind.DROPPED: _DROP,
    FaultKind.DROPPED_EXECUTED: _DROP,
    FaultKind.BROKEN_BODY_EXECUTED: HttpResponse(status=200, headers={}, body=b'{"orderId":1'),
}
assert _RESPONSES.keys() == set(FaultKind), "every fault needs an answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure that is due now."""

    kind: FaultKind

    @property
    def executes(self) -> bool:
        """True if the request takes effect before it fails."""
        return self.kind.endswith("_executed")

    @property
    def response(self) -> HttpResponse:
        """What the client gets; status 0 is a dropped connection."""
        return _RESPONSES[self.kind]


@dataclass(slots=True)
class _Armed:
    kind: FaultKind
    method: str
    path: str
    left: int


class Faults:
    """The failures armed, in the order they were."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def arm(self, kind: FaultKind, *, method: str = "*", path: str = "*", times: int = 1) -> None:
        """Let the next `times` requests that match fail; patterns are shell-like."""
        assert times > 0, "checked where the wish was read"
        self._armed.append(_Armed(kind, method, path, times))

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def meet(self, method: str, path: str) -> Fault | None:
        """Return the failure this request meets and count it, None if none is armed for it.

        The exchange's own switches never fail.
        """
        if not self._armed or path.startswith("/paper/"):
            return None
        for armed in self._armed:
            if fnmatchcase(method, armed.method) and fnmatchcase(path, armed.path):
                armed.left -= 1
                if armed.left == 0:
                    self._armed.remove(armed)
                return Fault(armed.kind)
        return None

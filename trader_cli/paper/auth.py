"""Who may ask: key, clock and signature, checked over the raw bytes.

Knows the account's key pair and Binance's order of checks. Must not know what a request is
about. Keys other than HMAC get their own class with the same two methods.

Source: binance-usdm reference §3.1-§3.4.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final
from urllib.parse import unquote

from trader_cli.paper.params import Params
from trader_cli.paper.protocol import HttpRequest, signed_payload
from trader_cli.paper.refusal import VenueRefusal

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
_AHEAD_MS: Final = 1_000
_KEY_LENGTH: Final = 64

KEY_HEADER: Final = "x-mbx-apikey"


@unique
class Security(Enum):
    """What a route asks of its caller."""

    OPEN = "open"  # market data
    KEY = "key"  # API key header only: listen keys, historical trades
    SIGNED = "signed"  # key, timestamp and signature
    CONTROL = "control"  # the exchange's own switches: key header, loopback only


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An HMAC key pair; the secret stays out of every repr."""

    api_key: str
    api_secret: str = field(repr=False)

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Return True if `signature` is the payload's HMAC-SHA256 in hex, in any case."""
        expected = hmac.new(self.api_secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, unquote(signature).lower())


def authorise(
    request: HttpRequest,
    params: Params,
    *,
    security: Security,
    keys: KeyPair,
    now_ms: int,
) -> None:
    """Let the request pass or refuse it.

    Raises:
        VenueRefusal: -2014 no or malformed key, -2015 another key, -1102 timestamp or signature
            missing, -1021 outside the window (two texts), -1022 wrong signature.
    """
    if security is Security.OPEN:
        return
    _check_key(request, keys)
    if security is Security.SIGNED:
        _check_signed(request, params, keys, now_ms)


def _check_key(request: HttpRequest, keys: KeyPair) -> None:
    sent = request.headers.get(KEY_HEADER, "")
    if hmac.compare_digest(sent.encode(), keys.api_key.encode()):
        return
    if len(sent) != _KEY_LENGTH or not sent.isalnum():
        raise VenueRefusal(-2014)
    raise VenueRefusal(
        -2015,
        detail=f"Invalid API-key, IP, or permissions for action, request ip: {request.peer}",
    )


def _check_signed(request: HttpRequest, params: Params, keys: KeyPair, now_ms: int) -> None:
    timestamp_ms = params.integer("timestamp")
    if timestamp_ms is None:
        raise VenueRefusal(-1102, "timestamp")
    payload, signature = signed_payload(request)
    if not signature:
        raise VenueRefusal(-1102, "signature")
    _check_clock(timestamp_ms, _recv_window_ms(params), now_ms)
    if not keys.verifies(payload, signature):
        raise VenueRefusal(-1022)


def _recv_window_ms(params: Params) -> int:
    recv_window_ms = params.integer("recvWindow")
    if recv_window_ms is None:
        return RECV_WINDOW_DEFAULT_MS
    if not 0 < recv_window_ms <= RECV_WINDOW_MAX_MS:
        raise VenueRefusal(-1131, detail="recvWindow must be less than 60000")
    return recv_window_ms


def _check_clock(timestamp_ms: int, recv_window_ms: int, now_ms: int) -> None:
    """Accept iff timestamp < now + 1000 and now - timestamp <= recvWindow."""
    if timestamp_ms >= now_ms + _AHEAD_MS:
        raise VenueRefusal(
            -1021, detail="Timestamp for this request was 1000ms ahead of the server's time."
        )
    if now_ms - timestamp_ms > recv_window_ms:
        raise VenueRefusal(-1021, detail="Timestamp for this request is outside of the recvWindow.")

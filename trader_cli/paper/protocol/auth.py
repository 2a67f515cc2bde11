"""Who may ask: key, clock and signature, checked over the raw bytes.

Knows the account's keys and Binance's order of checks. Must not know what a request is about.
Keys that sign with RSA or Ed25519 are in `public_keys.py`.

Source: binance-usdm reference §3.1-§3.4.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final, Protocol
from urllib.parse import unquote

from trader_cli.paper.protocol.messages import HttpRequest, signed_payload
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal

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


_OPEN: Final = Security.OPEN
_SIGNED: Final = Security.SIGNED


class ApiKey(Protocol):
    """One key of the account, whatever it signs with."""

    @property
    def api_key(self) -> str:
        """The name it travels under."""
        ...

    @property
    def may_log_on(self) -> bool:
        """True if a WebSocket API session may be opened with it: Ed25519 only."""
        ...

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Return True if `signature`, as received, is the payload's under this key."""
        ...


class _Keyed:
    """HMAC-SHA256 that has taken in its key already: a third of `hmac.digest`'s cost.

    Source: RFC 2104 §2, §4.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        block = hashlib.sha256().block_size
        key = hashlib.sha256(secret).digest() if len(secret) > block else secret
        padded = key.ljust(block, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def hexdigest(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An HMAC key pair; the secret stays out of every repr."""

    api_key: str
    api_secret: str = field(repr=False)
    may_log_on: bool = field(default=False, init=False, repr=False)
    _keyed: _Keyed = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", _Keyed(self.api_secret.encode()))

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Return True if `signature` is the payload's HMAC-SHA256 in hex, in any case."""
        expected = self._keyed.hexdigest(payload).encode()
        return hmac.compare_digest(expected, unquote(signature).lower().encode())


class KeyRing:
    """The keys of the one account: its own pair, and public keys registered besides."""

    def __init__(self, *keys: ApiKey) -> None:
        self._keys = {key.api_key: key for key in keys}

    def add(self, key: ApiKey) -> None:
        """Accept a key from now on; one of the same name is replaced."""
        self._keys[key.api_key] = key

    def remove(self, api_key: str) -> None:
        """Accept a key no longer; an unknown one is ignored."""
        self._keys.pop(api_key, None)

    def __contains__(self, api_key: str) -> bool:
        return api_key in self._keys

    def find(self, api_key: str, peer: str) -> ApiKey:
        """Return the key of that name.

        Raises:
            VenueRefusal: -2014 no or malformed name, -2015 an unknown one.
        """
        found = self._keys.get(api_key)
        if found is not None:
            return found
        if len(api_key) != _KEY_LENGTH or not api_key.isalnum():
            raise VenueRefusal(-2014)
        raise VenueRefusal(
            -2015,
            detail=f"Invalid API-key, IP, or permissions for action, request ip: {peer}",
        )


def authorise(
    request: HttpRequest,
    params: Params,
    *,
    security: Security,
    keys: KeyRing,
    now_ms: int,
) -> None:
    """Let the request pass or refuse it.

    Raises:
        VenueRefusal: -2014 no or malformed key, -2015 another key, -1102 timestamp or signature
            missing, -1021 outside the window (two texts), -1022 wrong signature.
    """
    if security is _OPEN:
        return
    key = keys.find(request.headers.get(KEY_HEADER, ""), request.peer)
    if security is _SIGNED:
        payload, signature = signed_payload(request)
        timestamp_ms = _timestamp_ms(params)
        if not signature and not params.has("signature"):
            raise VenueRefusal(-1102, "signature")
        _check_window(params, timestamp_ms, now_ms)
        if not signature or not key.verifies(payload, signature):
            raise VenueRefusal(-1022)


def check_clock(params: Params, now_ms: int) -> None:
    """Accept iff timestamp < now + 1000 and now - timestamp <= recvWindow.

    Raises:
        VenueRefusal: -1102 without timestamp, -1021 outside, -1131 for a window too long.
    """
    _check_window(params, _timestamp_ms(params), now_ms)


def _timestamp_ms(params: Params) -> int:
    timestamp_ms = params.integer("timestamp")
    if timestamp_ms is None:
        raise VenueRefusal(-1102, "timestamp")
    return timestamp_ms


def _check_window(params: Params, timestamp_ms: int, now_ms: int) -> None:
    recv_window_ms = _recv_window_ms(params)
    if timestamp_ms >= now_ms + _AHEAD_MS:
        raise VenueRefusal(
            -1021, detail="Timestamp for this request was 1000ms ahead of the server's time."
        )
    if now_ms - timestamp_ms > recv_window_ms:
        raise VenueRefusal(-1021, detail="Timestamp for this request is outside of the recvWindow.")


def _recv_window_ms(params: Params) -> int:
    recv_window_ms = params.integer("recvWindow")
    if recv_window_ms is None:
        return RECV_WINDOW_DEFAULT_MS
    if not 0 < recv_window_ms <= RECV_WINDOW_MAX_MS:
        raise VenueRefusal(-1131, RECV_WINDOW_MAX_MS)
    return recv_window_ms


def message_payload(values: Mapping[str, str]) -> bytes:
    """Return what the signature of a WebSocket API request covers.

    The parameters without the signature, sorted by name, unencoded.
    """
    return _joined((name, value) for name, value in values.items() if name != "signature")


def _joined(pairs: Iterable[tuple[str, str]]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)).encode()

"""Requests and answers of the paper exchange as plain values, without any web framework.

Knows how parameters travel (query and body on every verb, names in any case) and how an error
looks on the wire. Must not know sockets, accounts or orders: a virtual-clock transport calls
`Exchange.handle` with these values just as the HTTP server does.

Source: binance-usdm reference §3.2, §3.5, §5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.wire import codes

SYSTEM_NAMES: Final = frozenset({"timestamp", "recvwindow", "signature"})
"""Parameters any signed request carries; they are not a handler's business."""

_FIELDS_MAX: Final = 1_000
_NAMES_KEPT: Final = 1_000
_STATUS_UNLISTED: Final = 400


@dataclass(slots=True, kw_only=True)
class HttpRequest:
    """One request as received; not frozen because freezing doubles the cost of making one.

    Attributes:
        path: without query, as sent.
        raw_query, raw_body: untouched, because signatures cover the raw bytes.
        headers: names in lower case.
        peer: the caller's address; request weight is counted by it.
    """

    method: str
    path: str
    raw_query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_body: bytes = b""
    peer: str = "127.0.0.1"


@dataclass(slots=True)
class HttpResponse:
    """One answer; its content type is JSON unless a header says otherwise.

    Never changed once made; not frozen for the same reason as `HttpRequest`.

    Attributes:
        delay_ms: how long the transport holds it back.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay_ms: int = 0


class _LowerNames(dict[str, str]):
    """Names of parameters in lower case: every request spells the same few dozen again."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        if len(self) < _NAMES_KEPT:
            self[name] = lower
        return lower


_LOWER: Final = _LowerNames()


class StrictParams(Params):
    """Parameters that remember which of them were read, for a server that counts (-1104)."""

    __slots__ = ()

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._values: dict[str, str] = _Watched(self._values)

    def check_all_read(self) -> None:
        """Refuse with -1104 if something was sent that nobody asked for."""
        assert isinstance(self._values, _Watched), "set by the constructor"
        sent = self._values.keys() - SYSTEM_NAMES
        read = sent & self._values.read
        if read != sent:
            raise VenueRefusal(-1104, len(read), len(sent))


class _Watched(dict[str, str]):
    """A dictionary that notes the keys it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.read.add(str(key))
        return super().__contains__(key)


def read_parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of query and body by lower-case name; the query wins.

    Raises:
        VenueRefusal: -1101 for a name twice in one place, -1100 for bytes that are no text.
    """
    if not request.raw_body:
        return _pairs(request.raw_query)
    values = _pairs(_body_text(request))
    values.update(_pairs(request.raw_query))
    return values


def signed_payload(request: HttpRequest) -> tuple[bytes, str | None]:
    """Return the bytes a signature covers and the signature itself, None if there is none.

    They are raw query and raw body, joined without separator, less the signature's own pair, which
    has to be the last of its part: anywhere else it is taken for a parameter, so that it signs
    nothing.
    """
    query, in_query = _without_signature(request.raw_query)
    body, in_body = _without_signature(_body_text(request))
    return (query + body).encode(), in_query or in_body


def can_tell(value: object) -> bool:
    """Return True if what a client sent as JSON can be told back; not every number and text can."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def json_text(payload: object) -> str:
    """Render any JSON-able value, compactly."""
    return orjson.dumps(payload).decode()


def json_response(
    status: int, payload: object, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Render an answer."""
    return HttpResponse(status=status, headers=headers or {}, body=orjson.dumps(payload))


def error_body(refusal: VenueRefusal) -> dict[str, object]:
    """Render a refusal as every failed call and every failed element of a batch shows it."""
    text = _words(refusal) if refusal.detail is None else refusal.detail
    return {"code": refusal.code, "msg": text}


def error_status(refusal: VenueRefusal) -> int:
    """Return the HTTP status a refusal travels with."""
    known = codes.describe(refusal.code)
    return _STATUS_UNLISTED if known is None else known.http_status


def _words(refusal: VenueRefusal) -> str:
    try:
        return codes.message(refusal.code, *refusal.arguments)
    except (KeyError, ValueError):
        # The code is what counts; a client must get it even where the table lacks the words.
        return " ".join(map(str, refusal.arguments)) or "Request rejected."


def _body_text(request: HttpRequest) -> str:
    if not request.raw_body:
        return ""
    try:
        return request.raw_body.decode()
    except UnicodeDecodeError:
        raise VenueRefusal(-1100, "body", "UTF-8") from None


def _pairs(raw: str) -> dict[str, str]:
    if not raw:
        return {}
    if "%" not in raw and "+" not in raw and raw.isascii():
        parts = [part.partition("=") for part in raw.split("&", _FIELDS_MAX)]
        values = {_LOWER[name]: value for name, _, value in parts}
        if len(values) == len(parts) < _FIELDS_MAX and "" not in values:
            return values
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise VenueRefusal(-1101, _FIELDS_MAX, "more") from None
    values = {name.lower(): value for name, value in pairs}
    if len(values) != len(pairs):
        raise VenueRefusal(-1101, detail="Duplicate values for a parameter detected.")
    return values


def _without_signature(raw: str) -> tuple[str, str | None]:
    if not raw:
        return raw, None
    before, _, last = raw.rpartition("&")
    name, _, value = last.partition("=")
    if name.lower() == "signature":
        return before, value
    return raw, None

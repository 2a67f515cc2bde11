"""How cassettes are recorded and replayed: matched by method and path, without secrets.

Everything that could identify an account or a key is taken out before a cassette is written:
request headers, signature, timestamp, key material in answers, and the caller's address.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import vcr
from vcr.request import Request

DIRECTORY = Path(__file__).resolve().parents[2] / "cassettes"

_DROPPED_PARAMETERS = {"signature", "timestamp", "recvWindow", "listenKey"}
_KEPT_HEADERS = {"content-type", "retry-after"}
_ADDRESS = re.compile(r"request ip: [0-9a-fA-F.:]+")
_KEPT_SYMBOLS = {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
_PERSONAL_KEYS = {"listenKey", "accountAlias"}


def recorder(record_mode: str) -> vcr.VCR:
    """Return VCR in the given mode: "none" replays and refuses anything new, "all" records."""
    return vcr.VCR(
        cassette_library_dir=str(DIRECTORY),
        record_mode=vcr.mode(record_mode),
        match_on=["method", "path"],
        before_record_request=without_secrets,
        before_record_response=without_identity,
    )


def without_secrets(request: Request) -> Request:
    """Return the request as it may be stored."""
    parts = urlsplit(request.uri)
    request.uri = urlunsplit(parts._replace(query=_without(parts.query)))
    request.headers = {}
    if request.body:
        request.body = _without(request.body.decode()).encode()
    return request


def without_identity(response: dict[str, Any]) -> dict[str, Any]:
    """Return the answer as it may be stored."""
    response["headers"] = {
        name: values
        for name, values in response["headers"].items()
        if name.lower() in _KEPT_HEADERS or name.lower().startswith("x-mbx-")
    }
    text = _ADDRESS.sub("request ip: 203.0.113.7", response["body"]["string"].decode())
    with suppress(ValueError):
        text = json.dumps(_depersonalised(_trimmed(json.loads(text))))
    response["body"]["string"] = text.encode()
    return response


def _without(encoded: str) -> str:
    pairs = parse_qsl(encoded, keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in _DROPPED_PARAMETERS])


def _trimmed(value: Any) -> Any:
    """Keep three contracts of exchangeInfo, which lists nine hundred."""
    if isinstance(value, dict) and isinstance(value.get("symbols"), list):
        kept = [row for row in value["symbols"] if row["symbol"] in _KEPT_SYMBOLS]
        return {**value, "symbols": kept}
    return value


def _depersonalised(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "FILTERED" if key in _PERSONAL_KEYS else _depersonalised(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_depersonalised(one) for one in value]
    return value

"""Whom an overloaded exchange lets pass all the same: exits and cancels, but no new exposure.

Knows which requests of the order calls only reduce, by their words alone. Must not know accounts.

Source: binance-usdm reference §3.5 (503-C).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_THROTTLED: Final = frozenset({"/fapi/v1/order", "/fapi/v1/order/test", "/fapi/v1/batchOrders"})
_CANCELLED: Final = frozenset(
    f"/fapi/v1/{name}"
    for name in ("order", "batchOrders", "allOpenOrders", "algoOrder", "algoOpenOrders")
)
_CLOSING: Final = frozenset({("LONG", "SELL"), ("SHORT", "BUY")})


def is_spared(method: str, path: str, values: Mapping[str, str]) -> bool:
    """Return True if system-level protection exempts a request.

    Args:
        values: its parameters by names in lower case.
    """
    if method == "DELETE":
        return path in _CANCELLED
    if method != "POST" or path not in _THROTTLED:
        return False
    orders = _elements(values.get("batchorders", "")) if path.endswith("batchOrders") else [values]
    return bool(orders) and all(map(_only_reduces, orders))


def _only_reduces(values: Mapping[str, str]) -> bool:
    if "true" in (values.get("reduceonly", "").lower(), values.get("closeposition", "").lower()):
        return True
    side = values.get("positionside", "").upper(), values.get("side", "").upper()
    return side in _CLOSING


def _elements(text: str) -> list[dict[str, str]]:
    try:
        items: Any = json.loads(text)
    except ValueError:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return []
    return [{str(name).lower(): str(value) for name, value in item.items()} for item in items]

"""The paper exchange as a client's program sees it: where it is, and the few switches it needs.

Standard library only, because every client's environment holds other packages.
"""

from __future__ import annotations

import json
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

Found = TypeVar("Found")


@dataclass(frozen=True)
class Prices:
    """A symbol's prices now."""

    bid: Decimal
    ask: Decimal
    last: Decimal
    mark: Decimal


@dataclass(frozen=True)
class PaperExchange:
    """One running paper exchange."""

    rest_url: str
    stream_url: str
    api_key: str
    api_secret: str

    @classmethod
    def from_environment(cls) -> PaperExchange:
        return cls(
            rest_url=os.environ["PAPER_REST_URL"],
            stream_url=os.environ["PAPER_STREAM_URL"],
            api_key=os.environ["PAPER_API_KEY"],
            api_secret=os.environ["PAPER_API_SECRET"],
        )

    def reset(self) -> None:
        """Begin anew: flat, one-way, cross, leverage 20, counters at zero."""
        self._call("POST", "/paper/reset")

    def prices(self, symbol: str) -> Prices:
        return _prices(self._call("GET", "/paper/price", symbol=symbol))

    def jump(self, symbol: str, price: Decimal) -> Prices:
        """Let the market be at `price` now; resting and conditional orders meet it."""
        return _prices(self._call("POST", "/paper/price", symbol=symbol, price=str(price)))

    def near(self, symbol: str, percent: float, tick: str = "0.1") -> Decimal:
        """Return the bid moved by `percent`, rounded to the tick."""
        moved = self.prices(symbol).bid * (1 + Decimal(str(percent)) / 100)
        return (moved / Decimal(tick)).quantize(Decimal(1)) * Decimal(tick)

    def register(self, public_key: str) -> str:
        """Accept a public key in PEM form and return the API key that goes with it."""
        name = self._call("POST", "/paper/keys", public_key=public_key)["api_key"]
        assert isinstance(name, str)
        return name

    def _call(self, method: str, path: str, **values: str) -> dict[str, Any]:
        url = f"{self.rest_url}{path}?{urllib.parse.urlencode(values)}"
        request = urllib.request.Request(url, method=method, headers={"X-MBX-APIKEY": self.api_key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = json.load(answer)
        assert isinstance(body, dict)
        return body


def _prices(answer: dict[str, Any]) -> Prices:
    return Prices(
        bid=Decimal(answer["bid"]),
        ask=Decimal(answer["ask"]),
        last=Decimal(answer["last_price"]),
        mark=Decimal(answer["mark_price"]),
    )


def eventually(look: Callable[[], Found | None], within_s: float = 5.0) -> Found:
    """Return what `look` finds first; the exchange is another process and needs a moment."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def ask_too_often(call: Callable[[], object]) -> None:
    """Use up the minute's weight and a little more; the exchange is expected to refuse."""
    for _ in range(100):
        call()

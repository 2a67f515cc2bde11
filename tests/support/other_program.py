"""Another program on the same account: it speaks the exchange's protocol and knows nothing of ours.

Tests use it to place what is foreign, and to count what rests, without our client.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherProgram:
    """A client of a paper exchange at `rest_url`."""

    rest_url: str
    api_key: str
    api_secret: str

    def ask(self, method: str, path: str, **values: object) -> Any:
        """Send one signed request that must succeed and return its JSON."""
        query = urlencode({**values, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(self.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = Request(
            f"{self.rest_url}{path}?{query}&signature={signature}",
            method=method,
            headers={"X-MBX-APIKEY": self.api_key},
        )
        with urlopen(request, timeout=10) as response:
            return json.load(response)

    def trade(self, side: str, quantity: str, symbol: str = "BTCUSDT", **more: object) -> Any:
        """Trade at market."""
        return self.ask(
            "POST",
            "/fapi/v1/order",
            symbol=symbol,
            side=side,
            type="MARKET",
            quantity=quantity,
            **more,
        )

    def positions(self) -> list[Any]:
        """Return every position row that is not flat."""
        rows = self.ask("GET", "/fapi/v3/positionRisk")
        return [row for row in rows if float(row["positionAmt"])]

    def orders(self) -> list[Any]:
        """Return everything that rests, of both worlds."""
        regular = self.ask("GET", "/fapi/v1/openOrders")
        conditional = self.ask("GET", "/fapi/v1/openAlgoOrders")
        return [*regular, *conditional]

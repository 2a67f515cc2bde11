"""Nothing acknowledged is lost when the server is killed in the middle of a storm of orders."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.benchmarks.history import write_history
from trader_cli.clock import SystemClock
from trader_cli.paper import process
from trader_cli.paper.process import PaperEndpoint, PaperOptions, ensure_running
from trader_cli.paper.serving.service import STATE_FILE

_CLIENTS = 4
_ACKNOWLEDGED_MIN = 200


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    process.stop(tmp_path)


class Client:
    """One connection that sends signed requests."""

    def __init__(self, endpoint: PaperEndpoint) -> None:
        self._endpoint = endpoint
        host = endpoint.rest_url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=5)

    def call(self, method: str, path: str, values: dict[str, str]) -> Any:
        stamp = {"recvWindow": "60000", "timestamp": str(SystemClock().now_ms())}
        query = urlencode(values | stamp)
        secret = self._endpoint.api_secret.encode()
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": self._endpoint.api_key}
        self._connection.request(method, f"{path}?{query}&signature={signature}", headers=headers)
        return json.loads(self._connection.getresponse().read())

    def close(self) -> None:
        self._connection.close()


def trade(endpoint: PaperEndpoint, number: int, answers: list[dict[str, Any]]) -> None:
    """Buy and sell until the server is gone; keep every answer."""
    client = Client(endpoint)
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        for i in range(100_000):
            order = {
                "symbol": "BTCUSDT",
                "side": "BUY" if i % 2 else "SELL",
                "type": "MARKET",
                "quantity": "0.002",
                "newClientOrderId": f"storm-{number}-{i}",
                "newOrderRespType": "RESULT",
            }
            answers.append(client.call("POST", "/fapi/v1/order", order))
    client.close()


def test_every_order_answered_before_kill_nine_is_known_after_it(home: Path) -> None:
    endpoint = ensure_running(home, options=PaperOptions(rate_limits=False))
    heard: list[list[dict[str, Any]]] = [[] for _ in range(_CLIENTS)]
    storm = [
        threading.Thread(target=trade, args=(endpoint, number, heard[number]))
        for number in range(_CLIENTS)
    ]
    for thread in storm:
        thread.start()
    deadline = time.monotonic() + 20
    while sum(map(len, heard)) < _ACKNOWLEDGED_MIN and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(endpoint.pid, signal.SIGKILL)
    for thread in storm:
        thread.join()

    acknowledged = {row["orderId"]: row for rows in heard for row in rows}
    assert len(acknowledged) >= _ACKNOWLEDGED_MIN
    client = Client(ensure_running(home, options=PaperOptions(rate_limits=False)))
    first = {"symbol": "BTCUSDT", "limit": "1000", "orderId": str(min(acknowledged))}
    known = {row["orderId"]: row for row in client.call("GET", "/fapi/v1/allOrders", first)}
    trades = client.call("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT", "limit": "1000"})
    [position] = client.call("GET", "/fapi/v2/positionRisk", {"symbol": "BTCUSDT"})
    [balance] = client.call("GET", "/fapi/v3/balance", {})
    income = client.call("GET", "/fapi/v1/income", {"limit": "1000"})
    client.close()

    for order_id, row in acknowledged.items():
        stored = known[order_id]
        named = ("clientOrderId", "status", "executedQty", "side")
        assert [stored[name] for name in named] == [row[name] for name in named]
    signed = (Decimal(row["qty"]) * (1 if row["buyer"] else -1) for row in trades)
    assert Decimal(position["positionAmt"]) == sum(signed, Decimal(0))
    assert Decimal(balance["balance"]) == sum((Decimal(row["income"]) for row in income), Decimal())


def test_a_start_with_a_long_history_is_quick(home: Path) -> None:
    """Fifty thousand fills take as long as none; the benchmark shows a million."""
    write_history(home / "exchange" / STATE_FILE, 50_000)

    began = time.monotonic()
    endpoint = ensure_running(home, options=PaperOptions(rate_limits=False))
    seconds = time.monotonic() - began

    client = Client(endpoint)
    newest = client.call("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT", "limit": "1"})
    client.close()
    assert len(newest) == 1
    assert seconds < 10

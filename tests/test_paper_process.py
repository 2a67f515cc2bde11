"""The paper exchange as a process: one a folder, alive on its own, forgetting nothing."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from trader_cli.errors import NotSent, Rejected
from trader_cli.paper import process
from trader_cli.paper.process import PaperEndpoint, PaperOptions, ensure_running, exchange_dir


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A TRADER_HOME whose exchange is ended afterwards."""
    yield tmp_path
    process.stop(tmp_path)


def call(
    endpoint: PaperEndpoint, method: str, path: str, values: dict[str, str] | None = None
) -> Any:
    """Send one signed request over a socket of its own."""
    query = urlencode({**(values or {}), "timestamp": str(time.time_ns() // 1_000_000)})
    signature = hmac.new(endpoint.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(endpoint.rest_url.removeprefix("http://"), timeout=5)
    try:
        connection.request(
            method,
            f"{path}?{query}&signature={signature}",
            headers={"X-MBX-APIKEY": endpoint.api_key},
        )
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is not ours to wait for."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} lives on")


def kill_hard(endpoint: PaperEndpoint) -> None:
    os.kill(endpoint.pid, signal.SIGKILL)
    wait_until_gone(endpoint.pid)


def test_an_order_survives_kill_nine_under_the_same_port_and_keys(home: Path) -> None:
    first = ensure_running(home)
    wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    price = str(_far_below(home))
    wish |= {"quantity": "0.002", "price": price, "newClientOrderId": "kept"}
    placed = call(first, "POST", "/fapi/v1/order", wish)
    assert placed["status"] == "NEW", placed

    kill_hard(first)
    assert process.running(home) is None
    second = ensure_running(home)

    assert second.pid != first.pid
    assert (second.rest_url, second.api_key) == (first.rest_url, first.api_key)
    orders = call(second, "GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"})
    assert [order["clientOrderId"] for order in orders] == ["kept"]


def _far_below(home: Path) -> Decimal:
    bid = Decimal(process.price(home, "BTCUSDT")["bid"])
    return (bid * Decimal("0.98")).quantize(Decimal("0.1"))


def test_two_starts_at_once_give_one_exchange(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from trader_cli.paper.process import *;"
        "print(ensure_running(Path(sys.argv[1])).pid)"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    pids = {starter.communicate(timeout=60)[0].strip() for starter in starters}

    assert [starter.returncode for starter in starters] == [0, 0, 0]
    running = process.running(home)
    assert running is not None
    assert pids == {str(running.pid)}


def test_the_exchange_is_private_and_lives_apart_from_its_starter(home: Path) -> None:
    endpoint = ensure_running(home, options=PaperOptions(seed=11, balance=Decimal(500)))

    assert endpoint.rest_url.startswith("http://127.0.0.1:")
    assert endpoint.stream_url == endpoint.rest_url.replace("http", "ws")
    assert os.getsid(endpoint.pid) != os.getsid(0)
    directory = exchange_dir(home)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    status = process.status(home)
    assert status is not None
    assert (status["seed"], status["market"], status["pid"]) == (11, "synthetic", endpoint.pid)
    assert "BTCUSDT" in status["symbols"]
    balances = call(endpoint, "GET", "/fapi/v3/balance")
    assert [Decimal(row["balance"]) for row in balances if row["asset"] == "USDT"] == [500]


def test_a_running_exchange_is_found_and_not_started_again(home: Path) -> None:
    assert process.running(home) is None
    assert process.stop(home) is False
    assert not exchange_dir(home).exists()

    endpoint = ensure_running(home)

    assert ensure_running(home) == endpoint == process.running(home)
    assert process.stop(home) is True
    assert process.running(home) is None
    assert process.stop(home) is False
    assert ensure_running(home).rest_url == endpoint.rest_url


def test_a_taken_port_is_given_up_and_the_new_one_recorded(home: Path) -> None:
    first = ensure_running(home)
    process.stop(home)
    port = int(first.rest_url.rpartition(":")[2])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()

        second = ensure_running(home)

    assert second.rest_url != first.rest_url
    assert second.api_key == first.api_key
    assert process.running(home) == second


def test_price_moves_the_market_and_reset_starts_the_account_anew(home: Path) -> None:
    with pytest.raises(NotSent):
        process.price(home, "BTCUSDT")
    endpoint = ensure_running(home)

    before = process.price(home, "BTCUSDT")
    after = process.price(home, "BTCUSDT", Decimal(before["bid"]) + 1_000)

    assert set(before) == {"symbol", "bid", "ask", "last_price", "mark_price", "time_ms"}
    assert Decimal(before["bid"]) < Decimal(before["ask"])
    assert Decimal(after["bid"]) > Decimal(before["bid"]) + 900
    with pytest.raises(Rejected) as unknown:
        process.price(home, "NOSUCH")
    assert unknown.value.code == -1121
    process.reset(home, Decimal(777))
    balances = call(endpoint, "GET", "/fapi/v3/balance")
    assert [Decimal(row["balance"]) for row in balances if row["asset"] == "USDT"] == [777]


def test_a_server_that_hangs_is_ended_by_stop(home: Path) -> None:
    endpoint = ensure_running(home)
    os.kill(endpoint.pid, signal.SIGSTOP)

    assert process.stop(home) is True

    wait_until_gone(endpoint.pid)


def test_a_server_in_the_foreground_ends_cleanly_on_ctrl_c(home: Path) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "trader_cli.paper", "--home", str(home), "--ready-fd", str(writer)],
        pass_fds=(writer,),
    ) as server:
        os.close(writer)
        assert os.read(reader, 1) == b"1"
        os.close(reader)
        endpoint = process.running(home)

        server.send_signal(signal.SIGINT)

        assert server.wait(timeout=20) == 0
    assert endpoint is not None
    assert endpoint.pid == server.pid
    assert process.running(home) is None


def test_a_home_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(NotSent) as caught:
        ensure_running(blocked)

    assert str(blocked) in caught.value.message


def test_finding_the_exchange_imports_no_web_framework() -> None:
    program = (
        "import sys; import trader_cli.paper.process;"
        "print(sorted({'aiohttp', 'pydantic', 'binance', 'asyncio'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert found.stdout.strip() in ("[]", "['asyncio']")  # clock.py is asyncio's only importer

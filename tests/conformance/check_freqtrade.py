"""freqtrade, the whole bot: markets, leverage, entries, a stop on the exchange, exits by its API.

Only URLs and keys are in its configuration; it trades by a strategy that enters at once.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from paper_exchange import PaperExchange, eventually

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
WITHIN_S = 60.0
STRATEGY = """
from freqtrade.strategy import IStrategy


class EnterAtOnce(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    can_short = True
    stoploss = -0.10
    startup_candle_count = 5
    order_types = {
        "entry": "market",
        "exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": True,
        "stoploss_on_exchange_interval": 5,
    }

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        side = "enter_long" if metadata["pair"].startswith("BTC") else "enter_short"
        dataframe[side] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def leverage(self, pair, current_time, current_rate, proposed_leverage, max_leverage, *a, **k):
        return 5.0
"""


class Bot:
    """A running freqtrade and its own API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        key = base64.b64encode(b"user:password").decode()
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def trades(self) -> dict[str, Any]:
        """The open trades, by pair; none while the API does not answer yet."""
        try:
            return {row["pair"]: row for row in self.ask("GET", "status")}
        except (urllib.error.URLError, ConnectionError):
            return {}

    def closed(self) -> dict[str, Any]:
        rows = self.ask("GET", "trades?limit=10")["trades"]
        return {row["pair"]: row for row in rows if not row["is_open"]}


@pytest.fixture
def bot(paper: PaperExchange, tmp_path: Path) -> Iterator[Bot]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "EnterAtOnce.py").write_text(STRATEGY)
    (tmp_path / "config.json").write_text(json.dumps(configuration(paper, tmp_path, port)))
    command = [
        *(sys.executable, "-m", "freqtrade", "trade"),
        *("-c", str(tmp_path / "config.json"), "--userdir", str(tmp_path)),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        yield Bot(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


def configuration(paper: PaperExchange, folder: Path, port: int) -> dict[str, Any]:
    rest, stream = paper.rest_url, paper.stream_url
    urls: dict[str, Any] = {
        **{f"fapi{kind}": f"{rest}/fapi/v1" for kind in ("Public", "Private")},
        **{f"fapi{kind}V2": f"{rest}/fapi/v2" for kind in ("Public", "Private")},
        **{f"fapi{kind}V3": f"{rest}/fapi/v3" for kind in ("Public", "Private")},
        "fapiData": f"{rest}/futures/data",
        "dapiPublic": f"{rest}/dapi/v1",
        "sapi": f"{rest}/sapi/v1",
        "public": f"{rest}/api/v3",
        "ws": {"future": f"{stream}/ws", "ws-api": {"future": f"{stream}/ws-fapi/v1"}},
    }
    pricing = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
    return {
        "bot_name": "conformance",
        "dry_run": False,
        "initial_state": "running",
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "max_open_trades": 2,
        "stake_currency": "USDT",
        "stake_amount": 200,
        "tradable_balance_ratio": 0.9,
        "timeframe": "1m",
        "entry_pricing": pricing,
        "exit_pricing": pricing,
        "exchange": {
            "name": "binance",
            "key": paper.api_key,
            "secret": paper.api_secret,
            "ccxt_config": {"urls": {"api": urls}},
            "pair_whitelist": [BTC, ETH],
            "pair_blacklist": [],
        },
        "pairlists": [{"method": "StaticPairList"}],
        "strategy": "EnterAtOnce",
        "minimal_roi": {"0": 10},
        "db_url": f"sqlite:///{folder}/trades.sqlite",
        "api_server": {
            "enabled": True,
            "listen_ip_address": "127.0.0.1",
            "listen_port": port,
            "jwt_secret_key": "conformance" * 4,
            "username": "user",
            "password": "password",
        },
        "internals": {"process_throttle_secs": 2},
    }


class CheckBot:
    def shows_entries_stops_on_the_exchange_and_exits(self, bot: Bot, paper: PaperExchange) -> None:
        trades = eventually(lambda: with_stops(bot), WITHIN_S)

        assert (trades[BTC]["is_short"], trades[ETH]["is_short"]) == (False, True)
        assert trades[BTC]["leverage"] == 5
        assert trades[BTC]["liquidation_price"] < trades[BTC]["open_rate"]
        paper.jump("ETHUSDT", Decimal(str(round(trades[ETH]["stop_loss_abs"] * 1.01, 2))))
        bot.ask(
            "POST", "forceexit", {"tradeid": str(trades[BTC]["trade_id"]), "ordertype": "market"}
        )
        closed = eventually(lambda: found if len(found := bot.closed()) == 2 else None, WITHIN_S)
        assert closed[ETH]["exit_reason"] == "stoploss_on_exchange"
        assert closed[BTC]["exit_reason"] == "force_exit"


def with_stops(bot: Bot) -> dict[str, Any] | None:
    """Both trades, once their entries are filled and their stops rest."""
    trades = bot.trades()
    stops = [
        order
        for trade in trades.values()
        for order in trade["orders"]
        if order["ft_order_side"] == "stoploss" and order["is_open"]
    ]
    return trades if len(trades) == len(stops) == 2 else None

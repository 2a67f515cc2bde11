"""unicorn-binance: its REST client and its socket manager, which picks events in the address."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paper_exchange import PaperExchange
from unicorn_binance_rest_api import BinanceRestApiManager
from unicorn_binance_websocket_api import BinanceWebSocketApiManager

BTC = "BTCUSDT"
ORDER = {"symbol": BTC, "side": "BUY", "quantity": "0.010"}


@pytest.fixture
def client(paper: PaperExchange) -> Iterator[Any]:
    # Its constructor asks for the time, and an exchange's name would put Binance's URLs back.
    kind = type(
        "Turned",
        (BinanceRestApiManager,),
        {"FUTURES_URL": f"{paper.rest_url}/fapi", "API_URL": f"{paper.rest_url}/api"},
    )
    made = kind(paper.api_key, paper.api_secret, tld="com", warn_on_update=False)
    yield made
    made.stop_manager()


@pytest.fixture
def manager(paper: PaperExchange) -> Iterator[Any]:
    made = BinanceWebSocketApiManager(
        exchange="binance.com-futures",
        websocket_base_uri=f"{paper.stream_url}/",
        warn_on_update=False,
    )
    yield made
    made.stop_manager()


def first(manager: Any, stream: str, wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        text = manager.pop_stream_data_from_stream_buffer(stream)
        if not text:
            time.sleep(0.02)
            continue
        message = json.loads(text)
        if wanted(message.get("data", message)):
            return message.get("data", message)
    raise AssertionError("it did not come in time")


class CheckRest:
    def shows_order_and_position(self, client: Any) -> None:
        client.futures_change_leverage(symbol=BTC, leverage=6)

        order = client.futures_create_order(**ORDER, type="MARKET", newOrderRespType="RESULT")

        assert order["status"] == "FILLED"
        rows = client.futures_position_information(symbol=BTC)
        assert [row["positionAmt"] for row in rows] == ["0.010"]
        assert client.futures_account_trades(symbol=BTC)

    def shows_limit_order_cancelled(self, client: Any, paper: PaperExchange) -> None:
        order = client.futures_create_order(
            **ORDER, type="LIMIT", timeInForce="GTC", price=str(paper.near(BTC, -2))
        )

        assert len(client.futures_get_open_orders(symbol=BTC)) == 1
        client.futures_cancel_order(symbol=BTC, orderId=order["orderId"])
        assert client.futures_get_open_orders(symbol=BTC) == []

    def shows_market_data_and_account(self, client: Any) -> None:
        assert client.futures_ping() == {}
        assert client.futures_klines(symbol=BTC, interval="1m", limit=3)
        assert client.futures_mark_price(symbol=BTC)["markPrice"]
        assert client.futures_account()["assets"]
        assert client.futures_account_balance()
        assert client.futures_get_position_mode() == {"dualSidePosition": False}


class CheckStreams:
    @pytest.mark.parametrize(
        ("channel", "event"),
        [
            ("aggTrade", "aggTrade"),
            ("bookTicker", "bookTicker"),
            ("markPrice@1s", "markPriceUpdate"),
            ("depth", "depthUpdate"),
        ],
    )
    def shows_market_stream(self, manager: Any, channel: str, event: str) -> None:
        stream = manager.create_stream([channel], [BTC.lower()], stream_buffer_name=True)

        assert first(manager, stream, lambda payload: payload.get("e") == event)["s"] == BTC

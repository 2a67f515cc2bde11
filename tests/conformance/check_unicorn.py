"""unicorn-binance: its REST client, its socket manager, and its depth cache over both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paper_exchange import PaperExchange, eventually
from unicorn_binance_local_depth_cache import BinanceLocalDepthCacheManager
from unicorn_binance_local_depth_cache.exceptions import DepthCacheOutOfSync
from unicorn_binance_rest_api import BinanceRestApiManager
from unicorn_binance_websocket_api import BinanceWebSocketApiManager
from unicorn_binance_websocket_api.connection_settings import CONNECTION_SETTINGS, Exchanges

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


class CheckDepthCache:
    def shows_book_kept_from_a_snapshot_and_its_differences(
        self, client: Any, paper: PaperExchange, monkeypatch: Any
    ) -> None:
        # It makes its own socket manager, whose addresses stand in a table.
        own = CONNECTION_SETTINGS[Exchanges.BINANCE_FUTURES]
        turned = (own[0], f"{paper.stream_url}/", f"{paper.stream_url}/ws-fapi/v1")
        monkeypatch.setitem(CONNECTION_SETTINGS, Exchanges.BINANCE_FUTURES, turned)
        cache = BinanceLocalDepthCacheManager(
            exchange="binance.com-futures", ubra_manager=client, warn_on_update=False
        )
        try:
            cache.create_depthcache(markets=[BTC])
            bid = eventually(lambda: best(cache.get_bids), 30)
            ask = best(cache.get_asks)
        finally:
            cache.stop_manager()

        assert ask is not None
        assert bid < ask


def best(side: Callable[..., Any]) -> float | None:
    """Return the best price of a side, None while the cache is not in step."""
    try:
        return float(side(BTC, limit_count=1)[0][0])
    except DepthCacheOutOfSync:
        return None

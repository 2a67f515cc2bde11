"""Binance's older connector (`binance-futures-connector`): REST in the query, unrouted streams."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from binance.error import ClientError
from binance.um_futures import UMFutures
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient
from paper_exchange import PaperExchange

BTC = "BTCUSDT"
ORDER = {"symbol": BTC, "side": "BUY", "quantity": "0.010"}


@pytest.fixture
def client(paper: PaperExchange) -> Any:
    return UMFutures(key=paper.api_key, secret=paper.api_secret, base_url=paper.rest_url)


@pytest.fixture
def limit(paper: PaperExchange) -> dict[str, Any]:
    return {**ORDER, "type": "LIMIT", "timeInForce": "GTC", "price": str(paper.near(BTC, -2))}


@pytest.fixture(params=[False, True], ids=["ws", "stream"])
def stream(paper: PaperExchange, request: pytest.FixtureRequest) -> Iterator[Any]:
    heard: queue.Queue[Any] = queue.Queue()
    client = UMFuturesWebsocketClient(
        stream_url=paper.stream_url,
        on_message=lambda _, text: heard.put(json.loads(text)),
        is_combined=request.param,
    )
    yield client, heard
    client.stop()


def first(heard: queue.Queue[Any], wanted: Callable[[Any], bool]) -> Any:
    while True:
        message = heard.get(timeout=10)
        payload = message.get("data", message)
        if wanted(payload):
            return payload


class CheckMarketData:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("ping", {}),
            ("time", {}),
            ("exchange_info", {}),
            ("depth", {"symbol": BTC, "limit": 5}),
            ("trades", {"symbol": BTC}),
            ("agg_trades", {"symbol": BTC}),
            ("klines", {"symbol": BTC, "interval": "1m"}),
            ("mark_price", {"symbol": BTC}),
            ("funding_rate", {"symbol": BTC}),
            ("ticker_24hr_price_change", {"symbol": BTC}),
            ("ticker_price", {"symbol": BTC}),
            ("book_ticker", {"symbol": BTC}),
            ("open_interest", {"symbol": BTC}),
        ],
    )
    def shows_answer(self, client: Any, method: str, arguments: dict[str, Any]) -> None:
        assert getattr(client, method)(**arguments) is not None


class CheckOrders:
    def shows_market_order(self, client: Any) -> None:
        order = client.new_order(**ORDER, type="MARKET", newOrderRespType="RESULT")

        assert order["status"] == "FILLED"

    def shows_limit_order_changed_and_cancelled(
        self, client: Any, limit: dict[str, Any], paper: PaperExchange
    ) -> None:
        wanted = {"symbol": BTC, "orderId": client.new_order(**limit)["orderId"]}
        second = str(paper.near(BTC, -3))

        changed = client.modify_order(
            symbol=BTC, side="BUY", quantity="0.010", price=second, orderId=wanted["orderId"]
        )

        assert changed["orderId"] == wanted["orderId"]
        assert client.query_order(**wanted)["status"] == "NEW"
        assert client.get_open_orders(**wanted)["status"] == "NEW"
        assert client.cancel_order(**wanted)["status"] == "CANCELED"

    def shows_batch(self, client: Any, limit: dict[str, Any]) -> None:
        orders = client.new_batch_order([limit, limit])

        ended = client.cancel_batch_order(
            BTC, orderIdList=[order["orderId"] for order in orders], origClientOrderIdList=[]
        )

        assert [order["status"] for order in ended] == ["CANCELED", "CANCELED"]

    def shows_refusal(self, client: Any) -> None:
        with pytest.raises(ClientError) as refused:
            client.new_order(**{**ORDER, "quantity": "50"}, type="MARKET")

        assert refused.value.error_code == -2019


class CheckAccount:
    def shows_position_and_terms(self, client: Any) -> None:
        client.change_leverage(symbol=BTC, leverage=4)
        client.change_margin_type(symbol=BTC, marginType="ISOLATED")
        client.new_order(**ORDER, type="MARKET")

        assert client.get_position_risk(symbol=BTC)[0]["positionAmt"] == "0.010"
        assert client.account()["totalWalletBalance"]
        assert client.balance()[0]["asset"] == "USDT"
        assert client.get_position_mode() == {"dualSidePosition": False}
        assert client.leverage_brackets(symbol=BTC)
        assert client.get_account_trades(symbol=BTC)
        assert client.get_income_history()
        assert client.commission_rate(symbol=BTC)["makerCommissionRate"] == "0.000200"


class CheckStreams:
    @pytest.mark.parametrize(
        ("method", "arguments", "event"),
        [
            ("agg_trade", {"symbol": BTC}, "aggTrade"),
            ("book_ticker", {"symbol": BTC}, "bookTicker"),
            ("mark_price", {"symbol": BTC, "speed": 1}, "markPriceUpdate"),
            ("kline", {"symbol": BTC, "interval": "1m"}, "kline"),
            ("diff_book_depth", {"symbol": BTC, "speed": 100}, "depthUpdate"),
        ],
    )
    def shows_market_stream(
        self, stream: Any, method: str, arguments: dict[str, Any], event: str
    ) -> None:
        client, heard = stream

        getattr(client, method)(**arguments)

        assert first(heard, lambda payload: payload.get("e") == event)["s"] == BTC

    def shows_user_stream(self, stream: Any, client: Any) -> None:
        streams, heard = stream
        streams.user_data(client.new_listen_key()["listenKey"])
        first(heard, lambda payload: "result" in payload)

        client.new_order(**ORDER, type="MARKET")

        filled = first(heard, lambda payload: payload.get("o", {}).get("X") == "FILLED")
        assert filled["e"] == "ORDER_TRADE_UPDATE"

"""python-binance's `AsyncClient.create`, its socket manager and its WebSocket trading API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from binance import AsyncClient, BinanceSocketManager, ThreadedWebsocketManager
from binance.exceptions import BinanceAPIException
from binance.ws.depthcache import FuturesDepthCacheManager
from check_python_binance import BTC, OPPOSITE, ORDER, limit, turned
from paper_exchange import PaperExchange, eventually

WITHIN_S = 10.0


@pytest_asyncio.fixture
async def client(paper: PaperExchange) -> AsyncIterator[Any]:
    made = await turned(AsyncClient, paper).create(paper.api_key, paper.api_secret)
    yield made
    await made.close_connection()


@pytest.fixture
def manager(client: Any, paper: PaperExchange) -> Any:
    kind = type("Turned", (BinanceSocketManager,), {"FSTREAM_URL": f"{paper.stream_url}/"})
    return kind(client)


async def first(socket: Any, wanted: Callable[[Any], bool] = bool) -> Any:
    async with asyncio.timeout(WITHIN_S):
        while True:
            message = await socket.recv()
            if wanted(message):
                return message


@contextlib.asynccontextmanager
async def user_stream(manager: Any) -> AsyncIterator[Any]:
    """The account's events. python-binance ends only when its own wait for a message does."""
    socket = manager.futures_user_socket()
    socket.TIMEOUT = 1
    async with socket:
        yield socket


async def events_until(socket: Any, last: Callable[[Any], bool]) -> list[Any]:
    """Return what comes on a user stream up to the wanted event."""
    heard: list[Any] = []
    async with asyncio.timeout(WITHIN_S):
        while not heard or not last(heard[-1]):
            heard.append(await socket.recv())
    return heard


class CheckMarketStreams:
    @pytest.mark.parametrize(
        ("method", "event"),
        [
            ("aggtrade_futures_socket", "aggTrade"),
            ("symbol_mark_price_socket", "markPriceUpdate"),
            ("symbol_ticker_futures_socket", "bookTicker"),
            ("individual_symbol_ticker_futures_socket", "24hrTicker"),
            ("futures_depth_socket", "depthUpdate"),
            ("futures_rpi_depth_socket", "depthUpdate"),
        ],
    )
    async def shows_stream_of_a_symbol(self, manager: Any, method: str, event: str) -> None:
        async with getattr(manager, method)(BTC) as socket:
            message = await first(socket)

        assert message["data"]["e"] == event
        assert message["data"]["s"] == BTC

    async def shows_candles(self, manager: Any) -> None:
        async with manager.kline_futures_socket(BTC) as socket:
            message = await first(socket)

        assert (message["e"], message["ps"]) == ("continuous_kline", BTC)

    async def shows_whole_market(self, manager: Any) -> None:
        async with manager.all_mark_price_socket() as socket:
            message = await first(socket)

        assert len(message["data"]) > 20

    async def shows_many_streams_in_one(self, manager: Any) -> None:
        streams = ["btcusdt@aggTrade", "ethusdt@markPrice@1s"]
        async with manager.futures_multiplex_socket(streams) as socket:
            for stream in streams:
                await first(socket, lambda message, wanted=stream: message["stream"] == wanted)

    async def shows_depth_cache(self, client: Any, manager: Any) -> None:
        cache_of = FuturesDepthCacheManager(client, BTC, bm=manager)

        async with cache_of as socket, asyncio.timeout(WITHIN_S):
            cache = await socket.recv()

        assert cache.get_bids()[0][0] < cache.get_asks()[0][0]

    def shows_streams_in_a_thread(self, paper: PaperExchange, monkeypatch: Any) -> None:
        # It makes its own client and manager, so that the classes themselves are turned.
        for name, value in vars(turned(AsyncClient, paper)).items():
            if name.endswith("_URL"):
                monkeypatch.setattr(AsyncClient, name, value)
        monkeypatch.setattr(BinanceSocketManager, "FSTREAM_URL", f"{paper.stream_url}/")
        heard: list[Any] = []
        threaded = ThreadedWebsocketManager(paper.api_key, paper.api_secret)
        threaded.start()

        threaded.start_aggtrade_futures_socket(heard.append, BTC)
        threaded.start_all_mark_price_socket(heard.append)

        try:
            eventually(lambda: {row.get("stream") for row in heard} >= {"btcusdt@aggTrade"}, 10)
            eventually(lambda: any("markPrice" in str(row.get("stream")) for row in heard), 10)
        finally:
            threaded.stop()


class CheckUserStream:
    async def shows_fill_in_the_order_of_the_real_one(self, client: Any, manager: Any) -> None:
        async with user_stream(manager) as socket:
            await client.futures_create_order(**ORDER, type="MARKET")
            heard = await events_until(
                socket, lambda e: e["e"] == "ORDER_TRADE_UPDATE" and e["o"]["X"] == "FILLED"
            )

        kinds = [event["e"] for event in heard]
        assert kinds[:2] == ["TRADE_LITE", "ORDER_TRADE_UPDATE"]
        assert kinds[-2:] == ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
        assert heard[1]["o"]["X"] == "NEW"

    async def shows_life_of_a_conditional_order(
        self, client: Any, manager: Any, paper: PaperExchange
    ) -> None:
        await client.futures_create_order(**ORDER, type="MARKET")
        trigger = paper.near(BTC, -0.5)
        async with user_stream(manager) as socket:
            await client.futures_create_algo_order(
                **OPPOSITE, type="STOP_MARKET", triggerPrice=str(trigger), reduceOnly="true"
            )
            paper.jump(BTC, trigger * 999 / 1000)
            heard = await events_until(
                socket, lambda e: e["e"] == "ALGO_UPDATE" and e["o"]["X"] == "FINISHED"
            )

        states = [event["o"]["X"] for event in heard if event["e"] == "ALGO_UPDATE"]
        assert states == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]

    async def shows_leverage_changed(self, client: Any, manager: Any) -> None:
        async with user_stream(manager) as socket:
            await client.futures_change_leverage(symbol=BTC, leverage=9)
            event = await first(socket)

        assert (event["e"], event["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": BTC, "l": 9})


class CheckTradingByWebSocket:
    async def shows_order_placed_changed_asked_about_and_cancelled(
        self, client: Any, paper: PaperExchange
    ) -> None:
        order = await client.ws_futures_create_order(**limit(paper))
        wanted = {"symbol": BTC, "orderId": order["orderId"]}
        second = str(paper.near(BTC, -3))

        changed = await client.ws_futures_edit_order(
            **ORDER, orderId=order["orderId"], price=second
        )
        asked = await client.ws_futures_get_order(**wanted)
        ended = await client.ws_futures_cancel_order(**wanted)

        assert (changed["orderId"], asked["status"], ended["status"]) == (
            order["orderId"],
            "NEW",
            "CANCELED",
        )

    async def shows_conditional_order(self, client: Any, paper: PaperExchange) -> None:
        algo = await client.ws_futures_create_algo_order(
            **OPPOSITE,
            algoType="CONDITIONAL",
            type="STOP_MARKET",
            triggerPrice=str(paper.near(BTC, -2)),
        )

        ended = await client.ws_futures_cancel_algo_order(algoId=algo["algoId"])

        assert ended["code"] == "200"

    async def shows_market_data(self, client: Any) -> None:
        assert (await client.ws_futures_get_order_book(symbol=BTC, limit=5))["bids"]
        assert (await client.ws_futures_get_order_book_ticker(symbol=BTC))["bidPrice"]
        assert (await client.ws_futures_get_all_tickers(symbol=BTC))["price"]

    async def shows_account_in_every_version(self, client: Any) -> None:
        await client.futures_create_order(**ORDER, type="MARKET")

        for method in ("account_balance", "v2_account_balance"):
            assert (await getattr(client, f"ws_futures_{method}")())[0]["asset"] == "USDT"
        for method in ("account_position", "v2_account_position"):
            rows = await getattr(client, f"ws_futures_{method}")(symbol=BTC)
            assert rows[0]["positionAmt"] == "0.010"
        for method in ("account_status", "v2_account_status"):
            assert (await getattr(client, f"ws_futures_{method}")())["totalWalletBalance"]

    async def shows_refusal(self, client: Any) -> None:
        with pytest.raises(BinanceAPIException) as refused:
            await client.ws_futures_create_order(**{**ORDER, "quantity": "50"}, type="MARKET")

        assert refused.value.code == -2019

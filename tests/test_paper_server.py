"""The paper exchange as clients meet it: every call served, streams told, real clients at home."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from binance import AsyncClient, BinanceSocketManager
from binance.exceptions import BinanceAPIException
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paper import KEYS, PaperPort, PaperVenue, paper_server, signature_of
from tests.support.paper_transport import (
    ORIGIN,
    STREAM_ORIGIN,
    MemorySession,
    memory_streams,
)
from trader_cli.domain.account_events import AccountUpdated, OrderUpdated, StreamOpened
from trader_cli.domain.terms import OrderStatus, Side
from trader_cli.errors import OutcomeUnknown
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import UserStream
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.api.faults import ANSWERS, FaultKind
from trader_cli.paper.protocol.limits import RateLimitSettings

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING = LIMIT | {"quantity": "0.002", "price": "94000"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.002"}
ANYTHING = RESTING | {
    "pair": "BTCUSDT",
    "interval": "1m",
    "leverage": "10",
    "marginType": "ISOLATED",
    "dualSidePosition": "true",
    "multiAssetsMargin": "false",
    "feeBurn": "false",
    "orderId": "1",
    "algoId": "1",
    "countdownTime": "0",
    "batchOrders": "[]",
    "balance": "10",
    "amount": "1",
    "type": "LIMIT",
}


@pytest.fixture
def paper() -> PaperVenue:
    return PaperVenue()


class TestCalls:
    @pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
    def test_every_row_answers_in_json_whatever_is_asked(self, method: str, path: str) -> None:
        for values in ({}, {"symbol": "BTCUSDT"}, ANYTHING, {"symbol": "NOSUCH", "limit": "-1"}):
            response = PaperVenue().request(method, path, values)

            body = json.loads(response.body)
            assert response.status in (200, 400, 404), body
            if response.status != 200:
                assert {type(body["code"]), type(body["msg"])} == {int, str}

    @pytest.mark.parametrize("path", ["/fapi/v9/order", "/", "/fapi/v1/order/", "/ws-fapi"])
    def test_an_unknown_path_is_5000_with_its_own_words(self, paper: PaperVenue, path: str) -> None:
        response = paper.request("GET", path)

        assert response.status == 404
        assert json.loads(response.body) == {
            "code": -5000,
            "msg": f"Path {path}, Method GET is invalid",
        }

    def test_an_unsigned_private_call_changes_nothing(self, paper: PaperVenue) -> None:
        assert paper.refused("POST", "/fapi/v1/order", RESTING, signed=False) == (400, -1102)

        assert paper.ask("GET", "/fapi/v1/openOrders") == []

    @pytest.mark.parametrize("in_body", [False, True])
    @pytest.mark.parametrize("ids", ["orderId", "ORDERID", "orderid"])
    def test_an_order_lives_through_any_transport_and_spelling(
        self, paper: PaperVenue, ids: str, in_body: bool
    ) -> None:
        placed = paper.ask("POST", "/fapi/v1/order", RESTING, in_body=in_body)
        which = {"symbol": "BTCUSDT", ids: placed["orderId"]}

        assert placed["status"] == "NEW"
        assert "avgPrice" not in placed
        assert paper.ask("GET", "/fapi/v1/order", which, in_body=in_body)["avgPrice"] is not None
        cancelled = paper.ask("DELETE", "/fapi/v1/order", which, in_body=in_body)
        assert cancelled["status"] == "CANCELED"
        assert paper.refused("DELETE", "/fapi/v1/order", which, in_body=in_body) == (400, -2011)

    def test_an_unknown_parameter_is_ignored_unless_the_exchange_is_strict(self) -> None:
        asked = RESTING | {"colour": "red"}
        strict = PaperVenue(settings=ExchangeSettings(strict_parameters=True))

        assert PaperVenue().ask("POST", "/fapi/v1/order", asked)["status"] == "NEW"
        assert strict.refused("POST", "/fapi/v1/order", asked) == (400, -1104)
        assert strict.refused("GET", "/fapi/v1/time", {"a": "b"}, signed=False) == (400, -1104)
        assert strict.ask("GET", "/fapi/v1/time", signed=False)["serverTime"] > 0

    def test_exchange_info_names_the_whole_universe_whatever_is_asked(
        self, paper: PaperVenue
    ) -> None:
        info = paper.ask("GET", "/fapi/v1/exchangeInfo", {"symbol": "BTCUSDT"}, signed=False)

        assert {"BTCUSDT", "ETHUSDT", "SOLUSDT"} <= {row["symbol"] for row in info["symbols"]}
        assert [row["limit"] for row in info["rateLimits"]] == [2400, 1200, 300]
        bitcoin = next(row for row in info["symbols"] if row["symbol"] == "BTCUSDT")
        filters = {row["filterType"]: row for row in bitcoin["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
        assert filters["MIN_NOTIONAL"]["notional"] == "50"

    def test_the_papers_own_switches_ask_for_the_key(self, paper: PaperVenue) -> None:
        price = {"symbol": "BTCUSDT", "price": "90000"}

        before = paper.ask("GET", "/paper/price", {"symbol": "btcusdt"}, signed=False)
        after = paper.ask("POST", "/paper/price", price, signed=False)

        assert Decimal(before["bid"]) == 95_000
        assert abs(Decimal(after["bid"]) - 90_000) < 10
        assert paper.refused("POST", "/paper/price", {"symbol": "X", "price": "1"}) == (400, -1121)
        for bad in ("-5", "0", "NaN", "1e3", ""):
            status, _ = paper.refused("POST", "/paper/price", price | {"price": bad})
            assert status == 400

    def test_a_reset_account_is_fresh(self, paper: PaperVenue) -> None:
        paper.ask("POST", "/fapi/v1/order", MARKET)
        paper.ask("POST", "/fapi/v1/order", RESTING)

        paper.ask("POST", "/paper/reset", {"balance": "500"}, signed=False)

        assert paper.ask("GET", "/fapi/v1/openOrders") == []
        assert paper.ask("GET", "/fapi/v3/positionRisk") == []
        balances = {row["asset"]: row["balance"] for row in paper.ask("GET", "/fapi/v3/balance")}
        assert Decimal(balances["USDT"]) == 500


class TestBatches:
    def test_elements_fail_alone_and_keep_their_order(self, paper: PaperVenue) -> None:
        bad = RESTING | {"quantity": "0"}
        batch = json.dumps([RESTING, bad, RESTING | {"reduceOnly": False}])

        rows = paper.ask("POST", "/fapi/v1/batchOrders", {"batchOrders": batch}, in_body=True)

        assert [row.get("status", row.get("code")) for row in rows] == ["NEW", -4003, "NEW"]
        ids = json.dumps([rows[0]["orderId"], rows[2]["orderId"], 7])
        names = {"symbol": "BTCUSDT", "orderidlist": ids}
        gone = paper.ask("DELETE", "/fapi/v1/batchOrders", names, in_body=True)
        assert [row.get("status", row.get("code")) for row in gone] == [
            "CANCELED",
            "CANCELED",
            -2011,
        ]

    def test_numbers_in_a_batch_keep_their_digits(self, paper: PaperVenue) -> None:
        item = json.dumps(RESTING).replace('"94000"', "94000.1").replace('"0.002"', "0.002")

        rows = paper.ask("POST", "/fapi/v1/batchOrders", {"batchOrders": f"[{item}]"})

        assert Decimal(rows[0]["price"]) == Decimal("94000.1")

    @pytest.mark.parametrize(
        ("batch", "code"),
        [("[]", -4082), (json.dumps([RESTING] * 6), -4082), ("{", -1130), ("{}", -1130)],
    )
    def test_a_batch_that_is_none_is_refused_whole(
        self, paper: PaperVenue, batch: str, code: int
    ) -> None:
        assert paper.refused("POST", "/fapi/v1/batchOrders", {"batchOrders": batch}) == (400, code)


class TestLimits:
    def test_answers_carry_weight_and_order_writes_their_counts(self, paper: PaperVenue) -> None:
        first = paper.request("POST", "/fapi/v1/order", RESTING)
        second = paper.request("GET", "/fapi/v1/income")

        assert first.headers["X-MBX-ORDER-COUNT-10S"] == "1"
        assert first.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        assert second.headers == {"X-MBX-USED-WEIGHT-1M": "30"}

    def test_answers_of_the_spot_exchange_carry_the_weight_under_both_names(
        self, paper: PaperVenue
    ) -> None:
        spot = paper.request("GET", "/api/v3/ping", signed=False)
        futures = paper.request("GET", "/fapi/v1/ping", signed=False)

        assert spot.headers == {"X-MBX-USED-WEIGHT-1M": "1", "X-MBX-USED-WEIGHT": "1"}
        assert futures.headers == {"X-MBX-USED-WEIGHT-1M": "2"}

    def test_hammering_is_429_then_418_and_an_order_is_not_executed(self) -> None:
        limits = RateLimitSettings(weight_per_minute=40, ignored_max=1)
        paper = PaperVenue(settings=ExchangeSettings(rate_limits=limits))
        paper.ask("GET", "/fapi/v1/openOrders")

        statuses = [paper.request("GET", "/fapi/v1/openOrders").status for _ in range(3)]
        refused = paper.request("POST", "/fapi/v1/order", RESTING)

        assert statuses == [429, 418, 418]
        assert (refused.status, "Retry-After" in refused.headers) == (418, True)
        assert refused.headers["X-MBX-USED-WEIGHT-1M"] == "40"
        paper.advance(120_000)
        assert paper.ask("GET", "/fapi/v1/openOrders") == []

    @pytest.mark.parametrize(
        ("path", "values", "most"),
        [
            ("/fapi/v1/fundingRate", {"limit": "1"}, 500),
            ("/futures/data/basis", {"pair": "BTCUSDT", "period": "5m", "limit": "1"}, 1_000),
        ],
    )
    def test_some_calls_weigh_nothing_and_have_a_limit_of_their_own(
        self, path: str, values: dict[str, str], most: int
    ) -> None:
        paper = PaperVenue()
        for _ in range(most):
            answer = paper.request("GET", path, values, signed=False)
            assert answer.status == 200

        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "0"
        refused = paper.request("GET", path, values, signed=False)
        assert (refused.status, json.loads(refused.body)["code"]) == (429, -1003)
        assert f"current limit is {most} requests per 5 minutes" in refused.body.decode()
        assert 0 < int(refused.headers["Retry-After"]) <= 300
        paper.ask("GET", "/fapi/v1/ping", signed=False)
        paper.advance(300_000)
        paper.ask("GET", path, values, signed=False)

    def test_both_calls_about_funding_share_one_limit(self) -> None:
        paper = PaperVenue()
        for _ in range(250):
            paper.ask("GET", "/fapi/v1/fundingRate", {"limit": "1"}, signed=False)
            paper.ask("GET", "/fapi/v1/fundingInfo", signed=False)

        assert paper.refused("GET", "/fapi/v1/fundingInfo", signed=False) == (429, -1003)

    def test_too_many_orders_are_1015(self) -> None:
        limits = RateLimitSettings(orders_per_10s=2)
        paper = PaperVenue(settings=ExchangeSettings(rate_limits=limits))

        for _ in range(2):
            paper.ask("POST", "/fapi/v1/order", RESTING)
        refused = paper.request("POST", "/fapi/v1/order", RESTING)
        assert (refused.status, json.loads(refused.body)["code"]) == (429, -1015)
        assert refused.headers["X-MBX-ORDER-COUNT-10S"] == "2"
        assert len(paper.ask("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"})) == 2
        paper.advance(10_000)
        paper.ask("POST", "/fapi/v1/order", RESTING)


class TestFaults:
    @pytest.mark.parametrize("kind", sorted(ANSWERS))
    def test_a_fault_strikes_as_often_as_armed_and_executes_or_not(self, kind: FaultKind) -> None:
        paper = PaperVenue()
        paper.exchange.faults.arm(kind, method="POST", path="/fapi/v1/order", times=2)

        answers = [paper.request("POST", "/fapi/v1/order", RESTING) for _ in range(3)]

        assert len({answer.body for answer in answers[:2]}) == 1
        assert answers[0].body != answers[2].body
        resting = paper.ask("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"})
        assert len(resting) == (3 if kind.endswith("_executed") else 1)

    def test_faults_are_armed_and_cleared_from_outside(self, paper: PaperVenue) -> None:
        wish = {"kind": "unavailable", "method": "POST", "path": "/fapi/*", "times": "2"}

        armed = paper.ask("POST", "/paper/fault", wish, signed=False)
        assert (armed["kind"], armed["path"], armed["times_left"]) == ("unavailable", "/fapi/*", 2)
        assert paper.request("POST", "/fapi/v1/order", RESTING).status == 503
        paper.ask("DELETE", "/paper/fault", signed=False)
        assert paper.request("POST", "/fapi/v1/order", RESTING).status == 200
        for bad in ({"kind": "earthquake"}, {"kind": "unknown", "times": "0"}, {}):
            assert paper.refused("POST", "/paper/fault", bad, signed=False)[0] == 400


class TestUserStream:
    def test_a_market_fill_is_told_in_live_order(self, paper: PaperVenue) -> None:
        ear = paper.listen_to_user()

        paper.ask("POST", "/fapi/v1/order", MARKET)

        kinds = [event["e"] for event in ear.take()]
        assert kinds == [
            "TRADE_LITE",
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
        ]

    def test_a_stop_that_triggers_while_nobody_asks_is_told(self, paper: PaperVenue) -> None:
        paper.ask("POST", "/fapi/v1/order", MARKET)
        stop = {
            "algoType": "CONDITIONAL",
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "STOP_MARKET",
            "triggerPrice": "94500",
            "closePosition": "true",
            "workingType": "MARK_PRICE",
            "clientAlgoId": "guard",
        }
        paper.ask("POST", "/fapi/v1/algoOrder", stop)
        ear = paper.listen_to_user()

        paper.set_price("BTCUSDT", "94400")

        algo = [event["o"]["X"] for event in ear.take() if event["e"] == "ALGO_UPDATE"]
        assert algo == ["TRIGGERING", "TRIGGERED", "FINISHED"]
        rows = paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": "BTCUSDT"})
        assert all(Decimal(row["positionAmt"]) == 0 for row in rows)

    def test_a_refused_order_tells_nothing(self, paper: PaperVenue) -> None:
        ear = paper.listen_to_user()

        crossing = RESTING | {"timeInForce": "GTX", "price": "95500"}
        assert paper.refused("POST", "/fapi/v1/order", crossing) == (400, -5022)

        assert ear.take() == []


class TestMarketStreams:
    def test_streams_keep_their_pace(self, paper: PaperVenue) -> None:
        fast, _ = paper.listen("/market/ws/btcusdt@markPrice@1s")
        slow, _ = paper.listen("/market/ws/btcusdt@markPrice")

        for _ in range(61):
            paper.advance(100)

        assert len(fast.take()) in (6, 7)
        assert len(slow.take()) in (2, 3)

    def test_every_change_of_the_touch_is_told_and_nothing_else(self, paper: PaperVenue) -> None:
        ear, _ = paper.listen("/public/stream", "streams=btcusdt@bookTicker")

        paper.set_price("ETHUSDT", "3000")
        paper.set_price("BTCUSDT", "95100")
        paper.set_price("BTCUSDT", "95200")

        heard = ear.take()
        assert {message["stream"] for message in heard} == {"btcusdt@bookTicker"}
        assert [Decimal(message["data"]["b"]) for message in heard] == [95_100, 95_200]

    def test_a_closed_candle_is_told_once(self, paper: PaperVenue) -> None:
        ear, _ = paper.listen("/market/ws/btcusdt@kline_1m")

        for step in range(16):
            paper.set_price("BTCUSDT", 95_000 + step)
            paper.advance(10_000)

        closed = [m["k"] for m in ear.take() if m["k"]["x"]]
        assert len(closed) >= 2
        assert len({candle["t"] for candle in closed}) == len(closed)
        assert all(candle["T"] - candle["t"] == 59_999 for candle in closed)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(-400, 400), min_size=2, max_size=12), st.data())
    def test_the_book_can_be_rebuilt_from_differences(
        self, moves: list[int], data: st.DataObject
    ) -> None:
        """The documented rule: snapshot, drop what is older, then each `pu` is the last `u`."""
        paper = PaperVenue()
        ear, _ = paper.listen("/public/ws/btcusdt@depth@0ms")
        paper.advance(1)
        snapshot_after = data.draw(st.integers(0, len(moves) - 1))
        snapshot: dict[str, Any] = {}
        for number, move in enumerate(moves):
            paper.set_price("BTCUSDT", Decimal(95_000) + Decimal(move) / 10)
            if number == snapshot_after:
                query = {"symbol": "BTCUSDT", "limit": "1000"}
                snapshot = paper.ask("GET", "/fapi/v1/depth", query, signed=False)

        book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
        last = snapshot["lastUpdateId"]
        joined = False
        for event in ear.take():
            if event["u"] < last:
                continue
            if joined:
                assert event["pu"] == last
            else:
                assert event["U"] <= last <= event["u"]
            joined, last = True, event["u"]
            for side, key in (("bids", "b"), ("asks", "a")):
                book[side].update(event[key])
        final = paper.ask("GET", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "20"})
        for side, best_first in (("bids", True), ("asks", False)):
            left = {Decimal(p): q for p, q in book[side].items() if Decimal(q) != 0}
            rebuilt = sorted(left.items(), reverse=best_first)[:20]
            assert rebuilt == [(Decimal(p), q) for p, q in final[side]]


class Binance(AsyncClient):
    """python-binance, pointed at a local server."""

    @classmethod
    def at(cls, port: PaperPort) -> Binance:
        cls.FUTURES_URL = f"{port.rest_url}/fapi"
        cls.API_URL = f"{port.rest_url}/api"
        cls.MARGIN_API_URL = f"{port.rest_url}/sapi"
        return cls(KEYS.api_key, KEYS.api_secret)


@asynccontextmanager
async def python_binance() -> AsyncIterator[tuple[Binance, PaperPort]]:
    async with paper_server() as port:
        client = Binance.at(port)
        try:
            yield client, port
        finally:
            await client.close_connection()


class TestPythonBinance:
    async def test_it_reads_the_market(self) -> None:
        async with python_binance() as (client, _):
            info = await client.futures_exchange_info()
            book = await client.futures_order_book(symbol="BTCUSDT", limit=5)
            ticker = await client.futures_orderbook_ticker(symbol="BTCUSDT")
            mark = await client.futures_mark_price(symbol="BTCUSDT")

            assert len(info["symbols"]) >= 3
            assert book["bids"][0][0] == ticker["bidPrice"]
            assert Decimal(mark["markPrice"]) == 95_000
            assert await client.ping() == {}
            assert (await client.get_account_api_permissions())["enableWithdrawals"] is False

    async def test_it_trades_protects_and_ends_flat(self) -> None:
        async with python_binance() as (client, _):
            await client.futures_change_leverage(symbol="BTCUSDT", leverage=10)
            await client.futures_change_margin_type(symbol="BTCUSDT", marginType="ISOLATED")
            bought = await client.futures_create_order(**MARKET, newOrderRespType="RESULT")
            stop = await client.futures_create_algo_order(
                symbol="BTCUSDT",
                side="SELL",
                type="STOP_MARKET",
                triggerPrice="94000",
                closePosition=True,
                workingType="MARK_PRICE",
            )

            assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.002")
            assert stop["algoStatus"] == "NEW"
            assert await client.futures_get_open_orders(symbol="BTCUSDT") == []
            algos = await client.futures_get_open_algo_orders(symbol="BTCUSDT")
            assert [one["algoId"] for one in algos] == [stop["algoId"]]
            positions = await client.futures_position_information(symbol="BTCUSDT")
            assert [Decimal(row["positionAmt"]) for row in positions] == [Decimal("0.002")]
            config = await client.futures_symbol_config(symbol="BTCUSDT")
            assert (config[0]["leverage"], config[0]["marginType"]) == (10, "ISOLATED")
            gone = await client.futures_cancel_algo_order(algoId=stop["algoId"])
            assert gone["code"] == "200"
            exit_order = MARKET | {"side": "SELL", "reduceOnly": True}
            await client.futures_create_order(**exit_order)
            account = await client.futures_account(version=3)
            assert all(Decimal(row["positionAmt"]) == 0 for row in account["positions"])
            fills = await client.futures_account_trades(symbol="BTCUSDT")
            assert [fill["side"] for fill in fills] == ["BUY", "SELL"]

    async def test_a_refusal_arrives_with_its_code(self) -> None:
        async with python_binance() as (client, _):
            crossing = RESTING | {"timeInForce": "GTX", "price": "95500"}
            with pytest.raises(BinanceAPIException) as caught:
                await client.futures_create_order(**crossing)

            assert (caught.value.code, caught.value.status_code) == (-5022, 400)

    async def test_its_cancel_travels_in_a_body(self) -> None:
        async with python_binance() as (client, port):
            placed = await client.futures_create_order(**RESTING)

            cancelled = await client.futures_cancel_order(
                symbol="BTCUSDT", orderId=placed["orderId"]
            )

            assert cancelled["status"] == "CANCELED"
            assert port.paper.ask("GET", "/fapi/v1/openOrders") == []

    async def test_its_socket_manager_hears_a_fill(self) -> None:
        class Manager(BinanceSocketManager):
            pass

        async with python_binance() as (client, port):
            Manager.FSTREAM_URL = f"{port.stream_url}/"
            manager = Manager(client)
            stream_ahead = manager.futures_user_socket()
            stream_ahead.TIMEOUT = 0.1  # how long it goes on reading after it was told to end
            async with stream_ahead as stream:
                await client.futures_create_order(**MARKET)
                async with asyncio.timeout(5):
                    kinds = [(await stream.recv())["e"] for _ in range(4)]

            assert sorted(kinds) == sorted(
                ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
            )


class TestSockets:
    async def test_answers_are_json_with_headers_and_errors_too(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession(port.rest_url) as session:
            for path, status in (("/fapi/v1/time", 200), ("/nowhere", 404)):
                async with session.get(path) as response:
                    assert response.status == status
                    assert response.content_type == "application/json"
                    assert "X-MBX-USED-WEIGHT-1M" in response.headers
                    await response.json()

    async def test_raw_unescaped_json_in_a_body_is_verified_as_sent(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession(port.rest_url) as session:
            body = f"batchOrders=[{json.dumps(RESTING)}]&timestamp={port.paper.clock.now_ms()}"
            body += f"&signature={signature_of(body)}"
            headers = {
                "X-MBX-APIKEY": KEYS.api_key,
                "Content-Type": "application/x-www-form-urlencoded",
            }

            async with session.post("/fapi/v1/batchOrders", data=body, headers=headers) as answer:
                rows = await answer.json()

            assert rows[0]["status"] == "NEW"

    async def test_a_dropped_connection_leaves_an_executed_order(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession(port.rest_url) as session:
            port.paper.exchange.faults.arm(FaultKind.DROPPED_EXECUTED, path="/fapi/v1/order")
            query = _signed_query(port, RESTING)

            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(f"/fapi/v1/order?{query}", headers=_HEADERS)

            assert len(port.paper.ask("GET", "/fapi/v1/openOrders")) == 1

    async def test_streams_arrive_and_control_messages_are_answered(self) -> None:
        async with (
            paper_server() as port,
            aiohttp.ClientSession(port.rest_url) as session,
            session.ws_connect("/public/ws/0") as stream,
        ):
            wish = {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": "uuid-1"}
            await stream.send_json(wish)
            assert await stream.receive_json(timeout=5) == {"result": None, "id": "uuid-1"}

            port.paper.set_price("BTCUSDT", "95500")

            event = await stream.receive_json(timeout=5)
            assert (event["e"], Decimal(event["b"])) == ("bookTicker", 95_500)

    async def test_an_upgrade_elsewhere_is_an_ordinary_404(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession(port.rest_url) as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect("/nowhere")
            assert caught.value.status == 404

    async def test_the_world_goes_on_while_nobody_asks(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession(port.rest_url) as session:
            key = port.paper.ask("POST", "/fapi/v1/listenKey", signed=False)["listenKey"]
            port.paper.ask("POST", "/fapi/v1/order", RESTING)
            async with session.ws_connect(f"/private/ws/{key}") as stream:
                port.paper.market.set_price("BTCUSDT", Decimal(93_000))

                event = await stream.receive_json(timeout=5)

            assert event["e"] == "TRADE_LITE"

    async def test_a_client_that_never_reads_loses_market_data_but_no_user_event(self) -> None:
        async with (
            paper_server() as port,
            aiohttp.ClientSession(port.rest_url) as session,
        ):
            subscriptions = port.paper.exchange.subscriptions
            key = port.paper.ask("POST", "/fapi/v1/listenKey", signed=False)["listenKey"]
            names = f"{key}/btcusdt@bookTicker"
            async with session.ws_connect(f"/stream?streams={names}") as stream:
                now_ms = port.paper.clock.now_ms()
                for number in range(5_000):  # one turn of the loop: nothing can be sent meanwhile
                    subscriptions.publish_market("btcusdt@bookTicker", {"e": "x", "n": number})
                    subscriptions.publish_user([{"e": "y", "n": number}], now_ms)
                heard: list[Mapping[str, Any]] = []
                while not heard or heard[-1] != {"e": "y", "n": 4_999}:
                    heard.append((await stream.receive_json(timeout=5))["data"])

        assert [m["n"] for m in heard if m["e"] == "y"] == list(range(5_000))
        assert 0 < sum(m["e"] == "x" for m in heard) < 5_000


_HEADERS = {"X-MBX-APIKEY": KEYS.api_key}


def _signed_query(port: PaperPort, values: Mapping[str, str]) -> str:
    pairs = [*values.items(), ("timestamp", str(port.paper.clock.now_ms()))]
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return f"{query}&signature={signature_of(query)}"


class TestInMemory:
    """Client, streams and exchange in one process, under a clock that only the test moves."""

    async def test_our_client_trades_without_a_socket(self) -> None:
        paper = PaperVenue()
        session = MemorySession(paper)
        async with BinanceFuturesClient(
            **KEYWORDS, rest_url=ORIGIN, clock=paper.clock, session=session
        ) as client:
            placed = await client.place_limit_order(
                "BTCUSDT", Side.BUY, Decimal("0.002"), Decimal(94_000), client_order_id="trd-1"
            )
            await client.place_market_order(
                "BTCUSDT", Side.BUY, Decimal("0.002"), client_order_id="trd-2"
            )
            positions = await client.get_positions()

        assert placed.status is OrderStatus.NEW
        assert [position.quantity for position in positions] == [Decimal("0.002")]
        assert ("POST", "/fapi/v1/order") in session.sent

    async def test_our_user_stream_hears_a_fill(self) -> None:
        paper = PaperVenue()
        async with BinanceFuturesClient(
            **KEYWORDS, rest_url=ORIGIN, clock=paper.clock, session=MemorySession(paper)
        ) as client:
            stream = UserStream(
                client, STREAM_ORIGIN, clock=paper.clock, connect=memory_streams(paper)
            )
            events = stream.events()
            opened = await anext(events)
            paper.ask("POST", "/fapi/v1/order", MARKET)
            async with asyncio.timeout(5):
                heard = [type(await anext(events)) for _ in range(3)]
            await stream.aclose()

        assert isinstance(opened, StreamOpened)
        assert heard == [OrderUpdated, AccountUpdated, OrderUpdated]

    async def test_a_dropped_answer_is_an_unknown_outcome_of_an_executed_order(self) -> None:
        paper = PaperVenue()
        paper.exchange.faults.arm(FaultKind.DROPPED_EXECUTED, path="/fapi/v1/order")
        async with BinanceFuturesClient(
            **KEYWORDS, rest_url=ORIGIN, clock=paper.clock, session=MemorySession(paper)
        ) as client:
            with pytest.raises(OutcomeUnknown):
                await client.place_limit_order(
                    "BTCUSDT", Side.BUY, Decimal("0.002"), Decimal(94_000), client_order_id="trd-1"
                )

        rows = paper.ask("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"})
        assert [row["clientOrderId"] for row in rows] == ["trd-1"]


KEYWORDS: dict[str, Any] = {"api_key": KEYS.api_key, "api_secret": KEYS.api_secret}

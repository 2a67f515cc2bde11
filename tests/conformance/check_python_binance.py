"""python-binance's synchronous `Client`: forms in bodies, DELETE's too, and its own algo routing.

Its class attributes are turned as its users turn them; everything else is as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from binance.client import Client
from binance.exceptions import BinanceAPIException
from paper_exchange import PaperExchange, ask_too_often, eventually

BTC = "BTCUSDT"
ORDER = {"symbol": BTC, "side": "BUY", "quantity": "0.010"}
OPPOSITE = {**ORDER, "side": "SELL"}


def turned(kind: type[Any], paper: PaperExchange) -> type[Any]:
    """Return python-binance's client class with the paper exchange for Binance."""
    return type(
        "Turned",
        (kind,),
        {
            "API_URL": f"{paper.rest_url}/api",
            "MARGIN_API_URL": f"{paper.rest_url}/sapi",
            "FUTURES_URL": f"{paper.rest_url}/fapi",
            "FUTURES_DATA_URL": f"{paper.rest_url}/futures/data",
            "WS_FUTURES_URL": f"{paper.stream_url}/ws-fapi/v1",
        },
    )


@pytest.fixture
def client(paper: PaperExchange) -> Iterator[Any]:
    made = turned(Client, paper)(paper.api_key, paper.api_secret)
    yield made
    made.close_connection()


def limit(paper: PaperExchange, percent: float = -2, **more: Any) -> dict[str, Any]:
    price = str(paper.near(BTC, percent))
    return {**ORDER, "type": "LIMIT", "timeInForce": "GTC", "price": price, **more}


class CheckMarketData:
    def shows_start_up(self, client: Any) -> None:
        assert client.ping() == {}
        assert client.futures_ping() == {}
        assert abs(client.futures_time()["serverTime"] - client.get_server_time()["serverTime"]) < (
            1_000
        )

    def shows_contracts(self, client: Any) -> None:
        symbols = {row["symbol"]: row for row in client.futures_exchange_info()["symbols"]}

        kinds = {row["filterType"] for row in symbols[BTC]["filters"]}
        assert kinds >= {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL"}
        assert {"LTCUSDT", "XRPUSDT"} <= symbols.keys()

    def shows_book_and_trades(self, client: Any) -> None:
        assert len(client.futures_order_book(symbol=BTC, limit=5)["bids"]) == 5
        assert client.futures_rpi_depth(symbol=BTC, limit=1_000)["asks"]
        assert len(client.futures_recent_trades(symbol=BTC, limit=3)) == 3
        assert len(client.futures_aggregate_trades(symbol=BTC, limit=3)) == 3
        assert client.futures_historical_trades(symbol=BTC, limit=3)

    @pytest.mark.parametrize(
        ("method", "word"),
        [
            ("futures_klines", "symbol"),
            ("futures_mark_price_klines", "symbol"),
            ("futures_premium_index_klines", "symbol"),
            ("futures_index_price_klines", "pair"),
        ],
    )
    def shows_candles(self, client: Any, method: str, word: str) -> None:
        candles = getattr(client, method)(**{word: BTC}, interval="1m", limit=5)

        assert [len(row) for row in candles] == [12] * 5

    def shows_candles_of_a_continuous_contract(self, client: Any) -> None:
        candles = client.futures_continuous_klines(
            pair=BTC, contractType="PERPETUAL", interval="1h", limit=2
        )

        assert len(candles) == 2

    def shows_a_long_past(self, client: Any) -> None:
        candles = client.futures_historical_klines(BTC, "1h", "2 days ago UTC")

        assert len(candles) >= 47

    def shows_prices(self, client: Any) -> None:
        assert client.futures_mark_price(symbol=BTC)["symbol"] == BTC
        assert len(client.futures_mark_price()) > 1
        assert client.futures_ticker(symbol=BTC)["count"] > 0
        assert client.futures_symbol_ticker(symbol=BTC)["price"]
        assert len(client.futures_orderbook_ticker()) > 1

    def shows_funding_and_interest(self, client: Any) -> None:
        assert len(client.futures_funding_rate(symbol=BTC, limit=2)) == 2
        assert client.futures_v1_get_funding_info()
        assert Decimal(client.futures_open_interest(symbol=BTC)["openInterest"]) > 0

    @pytest.mark.parametrize(
        "method",
        [
            "futures_top_longshort_account_ratio",
            "futures_top_longshort_position_ratio",
            "futures_global_longshort_ratio",
            "futures_taker_longshort_ratio",
            "futures_open_interest_hist",
        ],
    )
    def shows_statistics_answered(self, client: Any, method: str) -> None:
        assert isinstance(getattr(client, method)(symbol=BTC, period="5m"), list)

    def shows_reference_data_answered(self, client: Any) -> None:
        assert client.futures_index_price_constituents(symbol=BTC)
        assert client.futures_insurance_fund_balance_snapshot(symbol=BTC) is not None
        assert isinstance(client.futures_index_info(), list | dict)
        assert isinstance(client.futures_v1_get_asset_index(), list | dict)


class CheckOrders:
    def shows_market_order(self, client: Any) -> None:
        order = client.futures_create_order(**ORDER, type="MARKET", newOrderRespType="RESULT")

        assert order["status"] == "FILLED"
        assert "avgPrice" not in order
        assert Decimal(client.futures_get_order(symbol=BTC, orderId=order["orderId"])["avgPrice"])

    def shows_acknowledgement_by_default(self, client: Any) -> None:
        order = client.futures_create_order(**ORDER, type="MARKET")

        assert (order["status"], order["executedQty"]) == ("NEW", "0")

    def shows_limit_order_listed_and_cancelled(self, client: Any, paper: PaperExchange) -> None:
        order = client.futures_create_order(**limit(paper))
        wanted = {"symbol": BTC, "orderId": order["orderId"]}

        assert [row["orderId"] for row in client.futures_get_open_orders(symbol=BTC)] == [
            order["orderId"]
        ]
        assert client.futures_v1_get_open_order(**wanted)["status"] == "NEW"
        assert client.futures_cancel_order(**wanted)["status"] == "CANCELED"
        assert [row["status"] for row in client.futures_get_all_orders(symbol=BTC)] == ["CANCELED"]

    @pytest.mark.parametrize(
        ("time_in_force", "percent", "status"),
        [("IOC", -2, "EXPIRED"), ("IOC", 1, "FILLED"), ("FOK", 1, "FILLED"), ("GTX", -2, "NEW")],
    )
    def shows_time_in_force(
        self, client: Any, paper: PaperExchange, time_in_force: str, percent: float, status: str
    ) -> None:
        order = client.futures_create_order(
            **limit(paper, percent, timeInForce=time_in_force, newOrderRespType="RESULT")
        )

        assert order["status"] == status

    def shows_good_till_date(self, client: Any, paper: PaperExchange) -> None:
        until = client.futures_time()["serverTime"] + 700_000

        order = client.futures_create_order(**limit(paper, timeInForce="GTD", goodTillDate=until))

        assert (order["status"], order["goodTillDate"]) == ("NEW", until // 1_000 * 1_000)

    def shows_price_match(self, client: Any) -> None:
        order = client.futures_create_order(
            **ORDER, type="LIMIT", timeInForce="GTC", priceMatch="QUEUE_5"
        )

        assert (order["status"], order["priceMatch"]) == ("NEW", "QUEUE_5")

    @pytest.mark.parametrize("mode", ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
    def shows_self_trade_prevention(self, client: Any, paper: PaperExchange, mode: str) -> None:
        order = client.futures_create_order(**limit(paper, selfTradePreventionMode=mode))

        assert order["selfTradePreventionMode"] == mode

    def shows_names_in_any_case(self, client: Any, paper: PaperExchange) -> None:
        order = client.futures_create_order(**limit(paper))

        found = client.futures_get_order(symbol=BTC, orderid=order["orderId"])

        assert found["orderId"] == order["orderId"]

    def shows_words_true_and_false_in_any_case(self, client: Any) -> None:
        client.futures_create_order(**ORDER, type="MARKET")

        order = client.futures_create_order(
            **OPPOSITE, type="MARKET", reduceOnly=True, newOrderRespType="RESULT"
        )

        assert order["reduceOnly"] is True

    def shows_order_tested_only(self, client: Any, paper: PaperExchange) -> None:
        answer = client.futures_create_test_order(**limit(paper))

        assert isinstance(answer, dict)
        assert client.futures_get_open_orders(symbol=BTC) == []

    def shows_order_changed_and_its_past(self, client: Any, paper: PaperExchange) -> None:
        order = client.futures_create_order(**limit(paper))
        second = str(paper.near(BTC, -3))

        changed = client.futures_modify_order(
            **{**ORDER, "quantity": "0.020"}, price=second, orderId=order["orderId"]
        )

        assert Decimal(changed["price"]) == Decimal(second)
        past = client.futures_v1_get_order_amendment(symbol=BTC, orderId=order["orderId"])
        assert past[0]["amendment"]["count"] == 1

    def shows_dead_mans_switch(self, client: Any, paper: PaperExchange) -> None:
        client.futures_create_order(**limit(paper))

        answer = client.futures_countdown_cancel_all(symbol=BTC, countdownTime=300)

        assert answer == {"symbol": BTC, "countdownTime": "300"}
        eventually(lambda: client.futures_get_open_orders(symbol=BTC) == [])

    def shows_everything_cancelled(self, client: Any, paper: PaperExchange) -> None:
        client.futures_create_order(**limit(paper))

        assert client.futures_cancel_all_open_orders(symbol=BTC)["code"] == 200
        assert client.futures_get_open_orders(symbol=BTC) == []

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({"symbol": "NOSUCH"}, -1121),
            ({"quantity": "0.0001"}, -1111),
            ({"price": "95000.001"}, -1111),
            ({"price": "95000.01"}, -4014),
            ({"price": "9500"}, -4024),
            ({"quantity": "5000"}, -4005),
            ({"positionSide": "LONG"}, -4061),
            ({"type": "STOP_MARKET_"}, -1116),
            ({"side": "UP"}, -1117),
            ({"timeInForce": "GTQ"}, -1115),
            ({"newClientOrderId": "x" * 37}, -4015),
        ],
    )
    def shows_wrong_order_refused_by_its_code(
        self, client: Any, paper: PaperExchange, wish: dict[str, str], code: int
    ) -> None:
        # A sell far below the market is what the price band forbids.
        order = limit(paper, **wish)
        order["side"] = "SELL" if wish.get("price") == "9500" else order["side"]

        with pytest.raises(BinanceAPIException) as refused:
            client.futures_create_order(**order)

        assert (refused.value.code, refused.value.status_code) == (code, 400)

    def shows_order_that_does_not_exist(self, client: Any) -> None:
        with pytest.raises(BinanceAPIException) as refused:
            client.futures_get_order(symbol=BTC, orderId=1)

        assert refused.value.code == -2013


class CheckBatches:
    def shows_batch_placed_and_cancelled(self, client: Any, paper: PaperExchange) -> None:
        orders = client.futures_place_batch_order(batchOrders=[limit(paper), limit(paper, -3)])

        assert [order["status"] for order in orders] == ["NEW", "NEW"]
        ended = client.futures_cancel_orders(
            symbol=BTC, orderidlist=[order["orderId"] for order in orders]
        )
        assert [order["status"] for order in ended] == ["CANCELED", "CANCELED"]

    def shows_batch_changed(self, client: Any, paper: PaperExchange) -> None:
        order = client.futures_create_order(**limit(paper))
        wish = {"quantity": "0.020", "price": str(paper.near(BTC, -3))}
        wishes = json.dumps([{**ORDER, **wish, "orderId": order["orderId"]}])

        # Its own method for this signs other bytes than it sends, which the real exchange refuses.
        (changed,) = client._request_futures_api(
            *("put", "batchOrders", True), data={"batchOrders": quote(wishes)}, force_params=True
        )

        assert (changed["orderId"], changed["origQty"]) == (order["orderId"], "0.020")

    def shows_batch_with_one_refused(self, client: Any, paper: PaperExchange) -> None:
        orders = client.futures_place_batch_order(
            batchOrders=[limit(paper), limit(paper, quantity="50")]
        )

        assert orders[0]["status"] == "NEW"
        assert orders[1]["code"] == -2019


class CheckConditionalOrders:
    @pytest.mark.parametrize(
        ("kind", "percent", "needs_price"),
        [
            ("STOP_MARKET", -2, False),
            ("TAKE_PROFIT_MARKET", 2, False),
            ("STOP", -2, True),
            ("TAKE_PROFIT", 2, True),
        ],
    )
    def shows_its_own_routing_to_the_algo_service(
        self, client: Any, paper: PaperExchange, kind: str, percent: float, needs_price: bool
    ) -> None:
        trigger = str(paper.near(BTC, percent))
        more = {"price": trigger, "timeInForce": "GTC"} if needs_price else {}

        algo = client.futures_create_order(**OPPOSITE, type=kind, stopPrice=trigger, **more)

        assert (algo["algoStatus"], algo["orderType"]) == ("NEW", kind)
        listed = client.futures_get_open_algo_orders(symbol=BTC)
        assert [row["algoId"] for row in listed] == [algo["algoId"]]
        assert client.futures_get_algo_order(algoId=algo["algoId"])["algoStatus"] == "NEW"
        ended = client.futures_cancel_algo_order(algoId=algo["algoId"])
        assert ended == {
            "algoId": algo["algoId"],
            "clientAlgoId": algo["clientAlgoId"],
            "code": "200",
            "msg": "success",
        }

    def shows_trailing_stop(self, client: Any, paper: PaperExchange) -> None:
        algo = client.futures_create_algo_order(
            **OPPOSITE,
            type="TRAILING_STOP_MARKET",
            callbackRate="0.5",
            activatePrice=str(paper.near(BTC, 1)),
            clientAlgoId="trail-1",
        )

        assert algo["clientAlgoId"] == "trail-1"
        assert Decimal(algo["callbackRate"]) == Decimal("0.5")

    def shows_stop_triggered(self, client: Any, paper: PaperExchange) -> None:
        client.futures_create_order(**ORDER, type="MARKET")
        trigger = paper.near(BTC, -0.5)
        client.futures_create_algo_order(
            symbol=BTC,
            side="SELL",
            type="STOP_MARKET",
            triggerPrice=str(trigger),
            closePosition="true",
            clientAlgoId="stop-1",
        )

        paper.jump(BTC, trigger * 999 / 1000)

        eventually(lambda: client.futures_position_information(symbol=BTC) == [])
        done = client.futures_get_all_algo_orders(symbol=BTC)[0]
        assert done["algoStatus"] == "FINISHED"
        order = client.futures_get_order(symbol=BTC, origClientOrderId="stop-1")
        assert str(order["orderId"]) == done["actualOrderId"]

    def shows_all_cancelled(self, client: Any, paper: PaperExchange) -> None:
        client.futures_create_order(**OPPOSITE, type="STOP_MARKET", stopPrice=paper.near(BTC, -2))

        assert client.futures_cancel_all_algo_open_orders(symbol=BTC)["code"] == 200
        assert client.futures_get_open_algo_orders() == []

    def shows_conditional_order_at_the_old_address_refused(
        self, client: Any, paper: PaperExchange
    ) -> None:
        with pytest.raises(BinanceAPIException) as refused:
            client._request_futures_api(
                *("post", "order", True),
                data={**OPPOSITE, "type": "STOP_MARKET", "stopPrice": paper.near(BTC, -2)},
            )

        assert refused.value.code == -4120


class CheckAccount:
    def shows_balance_and_account_in_every_version(self, client: Any) -> None:
        assert client.futures_account_balance()[0]["balance"] == "10000.00000000"
        assert client.futures_account_balance(version=2)
        assert len(client.futures_account()["positions"]) > 20
        assert client.futures_account(version=3)["positions"] == []
        assert client.futures_account_config()["dualSidePosition"] is False

    def shows_position_in_every_version(self, client: Any) -> None:
        client.futures_create_order(**ORDER, type="MARKET")

        assert client.futures_position_information(symbol=BTC)[0]["positionAmt"] == "0.010"
        old = client.futures_position_information(symbol=BTC, version=2)[0]
        assert (old["leverage"], old["marginType"]) == ("20", "cross")

    def shows_leverage_and_margin_type(self, client: Any) -> None:
        assert client.futures_change_leverage(symbol=BTC, leverage=5)["leverage"] == 5
        assert client.futures_change_margin_type(symbol=BTC, marginType="ISOLATED")["code"] == 200
        config = client.futures_symbol_config(symbol=BTC)[0]
        assert (config["leverage"], config["marginType"]) == (5, "ISOLATED")
        with pytest.raises(BinanceAPIException) as refused:
            client.futures_change_margin_type(symbol=BTC, marginType="ISOLATED")
        assert refused.value.code == -4046

    def shows_margin_of_a_position(self, client: Any) -> None:
        client.futures_change_margin_type(symbol=BTC, marginType="ISOLATED")
        client.futures_create_order(**ORDER, type="MARKET")

        moved = client.futures_change_position_margin(symbol=BTC, amount=10, type=1)

        assert moved["code"] == 200
        assert len(client.futures_position_margin_history(symbol=BTC)) == 1

    def shows_hedge_mode(self, client: Any) -> None:
        assert client.futures_change_position_mode(dualSidePosition=True)["code"] == 200
        assert client.futures_get_position_mode() == {"dualSidePosition": True}

        client.futures_create_order(**ORDER, type="MARKET", positionSide="LONG")
        client.futures_create_order(**OPPOSITE, type="MARKET", positionSide="SHORT")

        rows = client.futures_position_information(symbol=BTC)
        assert {row["positionSide"]: row["positionAmt"] for row in rows} == {
            "LONG": "0.010",
            "SHORT": "-0.010",
        }

    def shows_exits_in_hedge_mode(self, client: Any, paper: PaperExchange) -> None:
        client.futures_change_position_mode(dualSidePosition=True)
        client.futures_create_order(**ORDER, type="MARKET", positionSide="LONG")

        stop = client.futures_create_algo_order(
            **OPPOSITE,
            type="STOP_MARKET",
            triggerPrice=str(paper.near(BTC, -2)),
            positionSide="LONG",
        )

        assert (stop["algoStatus"], stop["positionSide"]) == ("NEW", "LONG")
        for wish, code in (({"reduceOnly": "true"}, -1106), ({"quantity": "0.020"}, -2024)):
            with pytest.raises(BinanceAPIException) as refused:
                client.futures_create_order(
                    **{**OPPOSITE, **wish}, type="MARKET", positionSide="LONG"
                )
            assert refused.value.code == code
        client.futures_create_order(**OPPOSITE, type="MARKET", positionSide="LONG")
        assert client.futures_position_information(symbol=BTC) == []

    def shows_multi_assets_mode_refused(self, client: Any) -> None:
        assert client.futures_get_multi_assets_mode() == {"multiAssetsMargin": False}
        with pytest.raises(BinanceAPIException):
            client.futures_change_multi_assets_mode(True)

    def shows_history(self, client: Any) -> None:
        client.futures_create_order(**ORDER, type="MARKET")
        client.futures_create_order(**OPPOSITE, type="MARKET")

        trades = client.futures_account_trades(symbol=BTC)
        income = client.futures_income_history()

        assert {trade["buyer"] for trade in trades} == {True, False}
        assert {row["incomeType"] for row in income} >= {"COMMISSION", "REALIZED_PNL"}
        assert client.futures_liquidation_orders() == []

    def shows_terms(self, client: Any) -> None:
        assert client.futures_leverage_bracket(symbol=BTC)
        assert len(client.futures_leverage_bracket()) > 20
        assert client.futures_commission_rate(symbol=BTC)["takerCommissionRate"] == "0.000500"
        assert client.futures_api_trading_status()
        assert len(client.futures_v1_get_rate_limit_order()) == 2
        assert client.futures_v1_get_fee_burn() == {"feeBurn": False}
        assert isinstance(client.futures_adl_quantile_estimate(symbol=BTC), list)
        assert client.futures_symbol_adl_risk(symbol=BTC)

    def shows_rights_of_the_key(self, client: Any) -> None:
        rights = client.get_account_api_permissions()

        assert rights["enableFutures"] is True
        assert rights["enableWithdrawals"] is False

    def shows_listen_key(self, client: Any) -> None:
        key = client.futures_stream_get_listen_key()

        assert client.futures_stream_get_listen_key() == key
        client.futures_stream_keepalive(key)
        client.futures_stream_close(key)


class CheckLimits:
    def shows_wrong_secret_refused(self, paper: PaperExchange) -> None:
        client = turned(Client, paper)(paper.api_key, "no" * 32)

        with pytest.raises(BinanceAPIException) as refused:
            client.futures_account()

        assert refused.value.code == -1022

    def shows_unknown_key_refused(self, paper: PaperExchange) -> None:
        client = turned(Client, paper)("k" * 64, paper.api_secret)

        with pytest.raises(BinanceAPIException) as refused:
            client.futures_account()

        assert (refused.value.code, refused.value.status_code) == (-2015, 401)

    def shows_a_client_that_asks_too_much_refused(self, client: Any) -> None:
        with pytest.raises(BinanceAPIException) as refused:
            ask_too_often(client.futures_get_open_orders)

        assert (refused.value.code, refused.value.status_code) == (-1003, 429)
        assert int(refused.value.response.headers["Retry-After"]) > 0

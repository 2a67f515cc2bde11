"""The official SDK over REST: every one of its methods, every answer strictly by its own models."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from binance_common.errors import BadRequestError, TooManyRequestsError, UnauthorizedError
from Crypto.PublicKey import ECC, RSA
from paper_exchange import PaperExchange, ask_too_often, eventually
from sdk_asker import RestAsker

BTC = "BTCUSDT"
KEPT_OUT = {
    # They move money between wallets that a futures paper account does not have.
    "accept_the_offered_quote",
    "order_status",
    "send_quote_request",
}


@pytest.fixture
def ask(paper: PaperExchange) -> Iterator[RestAsker]:
    asker = RestAsker(paper)
    yield asker
    asker.close()


@pytest.fixture
def market(ask: RestAsker) -> Any:
    """Send a market order and wait for its end."""

    def send(side: str = "BUY", quantity: str = "0.010", **more: Any) -> Any:
        return ask(
            *("new_order", BTC, side, "MARKET"),
            quantity=quantity,
            new_order_resp_type="RESULT",
            **more,
        )

    return send


@pytest.fixture
def rest(ask: RestAsker, paper: PaperExchange) -> Any:
    """Place a limit order that does not fill."""

    def place(percent: float = -2, quantity: str = "0.010", **more: Any) -> Any:
        wish = {"time_in_force": "GTC", "price": str(paper.near(BTC, percent)), **more}
        return ask("new_order", BTC, "BUY", "LIMIT", quantity=quantity, **wish)

    return place


class CheckMarketData:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("test_connectivity", {}),
            ("check_server_time", {}),
            ("exchange_information", {}),
            ("order_book", {"symbol": BTC, "limit": 5}),
            ("rpi_order_book", {"symbol": BTC}),
            ("recent_trades_list", {"symbol": BTC, "limit": 5}),
            ("old_trades_lookup", {"symbol": BTC, "limit": 5}),
            ("compressed_aggregate_trades_list", {"symbol": BTC, "limit": 5}),
            ("mark_price", {"symbol": BTC}),
            ("mark_price", {}),
            ("get_funding_rate_history", {"symbol": BTC, "limit": 2}),
            ("get_funding_rate_info", {}),
            ("ticker24hr_price_change_statistics", {"symbol": BTC}),
            ("ticker24hr_price_change_statistics", {}),
            ("symbol_price_ticker", {"symbol": BTC}),
            ("symbol_price_ticker", {}),
            ("symbol_price_ticker_v2", {"symbol": BTC}),
            ("symbol_price_ticker_v2", {}),
            ("symbol_order_book_ticker", {"symbol": BTC}),
            ("symbol_order_book_ticker", {}),
            ("open_interest", {"symbol": BTC}),
            ("composite_index_symbol_information", {}),
            ("asset_index", {}),
            ("query_index_price_constituents", {"symbol": BTC}),
            ("query_insurance_fund_balance_snapshot", {}),
            ("query_insurance_fund_balance_snapshot", {"symbol": BTC}),
            ("adl_risk", {}),
            ("adl_risk", {"symbol": BTC}),
            ("trading_schedule", {}),
            ("basis", {"pair": BTC, "contract_type": "PERPETUAL", "period": "5m"}),
            ("quarterly_contract_settlement_price", {"pair": BTC}),
            ("open_interest_statistics", {"symbol": BTC, "period": "5m"}),
            ("taker_buy_sell_volume", {"symbol": BTC, "period": "5m"}),
            ("long_short_ratio", {"symbol": BTC, "period": "5m"}),
            ("top_trader_long_short_ratio_accounts", {"symbol": BTC, "period": "5m"}),
            ("top_trader_long_short_ratio_positions", {"symbol": BTC, "period": "5m"}),
            ("list_all_convert_pairs", {"from_asset": "USDT"}),
        ],
    )
    def shows_answer_as_documented(
        self, ask: RestAsker, method: str, arguments: dict[str, Any]
    ) -> None:
        ask(method, **arguments)

    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("kline_candlestick_data", {"symbol": BTC}),
            ("mark_price_kline_candlestick_data", {"symbol": BTC}),
            ("premium_index_kline_data", {"symbol": BTC}),
            ("index_price_kline_candlestick_data", {"pair": BTC}),
            (
                "continuous_contract_kline_candlestick_data",
                {"pair": BTC, "contract_type": "PERPETUAL"},
            ),
        ],
    )
    def shows_candles(self, ask: RestAsker, method: str, arguments: dict[str, Any]) -> None:
        rows = ask(method, **arguments, interval="1m", limit=3)

        kinds = [int, *[str] * 5, int, str, int, *[str] * 3]
        assert [[type(value) for value in row] for row in rows] == [kinds] * 3


class CheckOrders:
    def shows_market_order(self, ask: RestAsker, market: Any) -> None:
        order = market()

        assert (order["status"], order["cumQty"]) == ("FILLED", "0.010")
        assert Decimal(ask("query_order", BTC, order_id=order["orderId"])["avgPrice"]) > 0

    @pytest.mark.parametrize(
        ("time_in_force", "percent", "status"),
        [("IOC", -2, "EXPIRED"), ("FOK", 1, "FILLED"), ("GTX", -2, "NEW"), ("GTC", 1, "FILLED")],
    )
    def shows_time_in_force(
        self, rest: Any, time_in_force: str, percent: float, status: str
    ) -> None:
        order = rest(percent, time_in_force=time_in_force, new_order_resp_type="RESULT")

        assert order["status"] == status

    def shows_good_till_date(self, ask: RestAsker, rest: Any) -> None:
        until = ask("check_server_time")["serverTime"] + 700_000

        order = rest(time_in_force="GTD", good_till_date=until)

        assert order["goodTillDate"] == until // 1_000 * 1_000

    @pytest.mark.parametrize(
        "match", ["OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_5", "QUEUE_10", "QUEUE_20"]
    )
    def shows_price_match(self, rest: Any, match: str) -> None:
        order = rest(price=None, price_match=match)

        assert order["priceMatch"] == match
        assert Decimal(order["price"]) > 0

    @pytest.mark.parametrize("mode", ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
    def shows_self_trade_prevention(self, rest: Any, mode: str) -> None:
        assert rest(self_trade_prevention_mode=mode)["selfTradePreventionMode"] == mode

    def shows_order_in_every_list(self, ask: RestAsker, rest: Any) -> None:
        order = rest()

        assert [o["orderId"] for o in ask("current_all_open_orders", BTC)] == [order["orderId"]]
        assert ask("query_current_open_order", BTC, order_id=order["orderId"])["status"] == "NEW"
        assert [o["orderId"] for o in ask("all_orders", BTC)] == [order["orderId"]]
        assert [o["orderId"] for o in ask("all_orders", None)] == [order["orderId"]]

    def shows_order_cancelled(self, ask: RestAsker, rest: Any) -> None:
        order = rest(new_client_order_id="mine")

        assert ask("cancel_order", BTC, orig_client_order_id="mine")["status"] == "CANCELED"
        assert ask("query_order", BTC, order_id=order["orderId"])["status"] == "CANCELED"

    def shows_order_changed_and_its_past(
        self, ask: RestAsker, rest: Any, paper: PaperExchange
    ) -> None:
        order = rest()
        second = str(paper.near(BTC, -3))

        ask("modify_order", BTC, "BUY", "0.020", second, order_id=order["orderId"])
        named = ask("modify_order", BTC, "BUY", "0.030", second, order["orderId"], modify_id=7)

        assert named["modifyId"] == 7
        rows = ask("get_order_modify_history", BTC, order_id=order["orderId"])
        assert {row["amendment"]["count"] for row in rows} == {1, 2}

    def shows_order_tested(self, ask: RestAsker) -> None:
        ask("test_order", BTC, "BUY", "MARKET", quantity="0.010")

        assert ask("all_orders", BTC) == []

    def shows_everything_cancelled(self, ask: RestAsker, rest: Any) -> None:
        rest()

        ask("cancel_all_open_orders", BTC)

        assert ask("current_all_open_orders") == []

    def shows_dead_mans_switch(self, ask: RestAsker, rest: Any) -> None:
        rest()

        ask("auto_cancel_all_open_orders", BTC, 200)

        eventually(lambda: ask("current_all_open_orders", BTC) == [])

    def shows_trades_of_the_account(self, ask: RestAsker, market: Any) -> None:
        order = market()

        trades = ask("account_trade_list", BTC, order_id=order["orderId"])

        assert sum(Decimal(trade["qty"]) for trade in trades) == Decimal("0.010")

    def shows_reduce_only(self, market: Any) -> None:
        market()

        assert market("SELL", "0.020", reduce_only="true")["executedQty"] == "0.010"

    def shows_refusal(self, ask: RestAsker) -> None:
        with pytest.raises(BadRequestError) as refused:
            ask("new_order", BTC, "BUY", "MARKET", quantity="50")

        assert refused.value.status_code == -2019


class CheckBatches:
    def shows_batch_placed_changed_and_cancelled(
        self, ask: RestAsker, paper: PaperExchange
    ) -> None:
        wish = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        first, second = (str(paper.near(BTC, percent)) for percent in (-2, -3))
        sent = [wish | {"quantity": "0.010", "price": first}, wish | {"quantity": "50"}]

        placed, refused = ask("place_multiple_orders", sent)
        order_id = placed["orderId"]
        change = {"orderId": order_id, "symbol": BTC, "side": "BUY"}
        (changed,) = ask(
            "modify_multiple_orders", [change | {"quantity": "0.020", "price": second}]
        )
        (ended,) = ask("cancel_multiple_orders", BTC, order_id_list=[order_id])

        assert refused["code"] < 0
        assert (changed["orderId"], changed["origQty"]) == (order_id, "0.020")
        assert ended["status"] == "CANCELED"


class CheckConditionalOrders:
    @pytest.mark.parametrize(
        ("kind", "percent", "more"),
        [
            ("STOP_MARKET", -2, {"quantity": "0.010"}),
            ("STOP_MARKET", -2, {"close_position": "true"}),
            ("TAKE_PROFIT_MARKET", 2, {"quantity": "0.010", "working_type": "MARK_PRICE"}),
            ("TAKE_PROFIT_MARKET", 2, {"close_position": "true", "price_protect": "TRUE"}),
            ("STOP", -2, {"quantity": "0.010", "price": "", "time_in_force": "GTC"}),
            ("TAKE_PROFIT", 2, {"quantity": "0.010", "price": "", "time_in_force": "GTX"}),
        ],
    )
    def shows_every_kind(
        self,
        ask: RestAsker,
        market: Any,
        paper: PaperExchange,
        kind: str,
        percent: float,
        more: dict[str, Any],
    ) -> None:
        market()
        trigger = str(paper.near(BTC, percent))
        if "price" in more:
            more = {**more, "price": trigger}

        algo = ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", kind), trigger_price=trigger, **more
        )

        wanted = algo["algoId"]
        assert [row["algoId"] for row in ask("current_all_algo_open_orders")] == [wanted]
        assert ask("query_algo_order", algo_id=wanted)["orderType"] == kind
        ask("cancel_algo_order", algo_id=wanted)
        (row,) = ask("query_all_algo_orders", BTC)
        assert row["algoStatus"] == "CANCELED"

    def shows_trailing_stop(self, ask: RestAsker, market: Any, paper: PaperExchange) -> None:
        market()

        algo = ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "TRAILING_STOP_MARKET"),
            quantity="0.010",
            callback_rate="0.3",
            activate_price=str(paper.near(BTC, 1)),
            reduce_only="true",
        )

        assert ask("query_algo_order", algo_id=algo["algoId"])["callbackRate"] == "0.3"

    def shows_all_cancelled(self, ask: RestAsker, paper: PaperExchange) -> None:
        ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "STOP_MARKET"),
            quantity="0.010",
            trigger_price=str(paper.near(BTC, -2)),
        )

        ask("cancel_all_algo_open_orders", BTC)

        assert ask("current_all_algo_open_orders", symbol=BTC) == []

    def shows_triggered_one(self, ask: RestAsker, market: Any, paper: PaperExchange) -> None:
        market()
        trigger = paper.near(BTC, -0.5)
        ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "STOP_MARKET"),
            quantity="0.010",
            trigger_price=str(trigger),
        )

        paper.jump(BTC, trigger * 999 / 1000)

        eventually(lambda: ask("position_information_v3") == [])
        (row,) = ask("query_all_algo_orders", BTC)
        assert (row["algoStatus"], row["actualType"]) == ("FINISHED", "MARKET")


class CheckAccount:
    @pytest.mark.parametrize("flat", [True, False])
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("account_information_v2", {}),
            ("account_information_v3", {}),
            ("futures_account_balance_v2", {}),
            ("futures_account_balance_v3", {}),
            ("futures_account_configuration", {}),
            ("position_information_v2", {}),
            ("position_information_v2", {"symbol": BTC}),
            ("position_information_v3", {}),
            ("position_adl_quantile_estimation", {}),
            ("futures_trading_quantitative_rules_indicators", {}),
        ],
    )
    def shows_answer_as_documented(
        self, ask: RestAsker, market: Any, method: str, arguments: dict[str, Any], flat: bool
    ) -> None:
        if not flat:
            market()

        ask(method, **arguments)

    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("symbol_configuration", {}),
            ("symbol_configuration", {"symbol": BTC}),
            ("notional_and_leverage_brackets", {}),
            ("notional_and_leverage_brackets", {"symbol": BTC}),
            ("user_commission_rate", {"symbol": BTC}),
            ("query_user_rate_limit", {}),
            ("get_bnb_burn_status", {}),
            ("get_current_multi_assets_mode", {}),
            ("get_current_position_mode", {}),
            ("users_force_orders", {}),
            ("futures_tradfi_perps_contract", {}),
            ("classic_portfolio_margin_account_information", {"asset": "USDT"}),
        ],
    )
    def shows_terms_as_documented(
        self, ask: RestAsker, method: str, arguments: dict[str, Any]
    ) -> None:
        ask(method, **arguments)

    def shows_leverage_and_margin_type(self, ask: RestAsker) -> None:
        assert ask("change_initial_leverage", BTC, 8)["leverage"] == 8
        ask("change_margin_type", BTC, "ISOLATED")

        (row,) = ask("symbol_configuration", BTC)
        assert (row["leverage"], row["marginType"]) == (8, "ISOLATED")

    def shows_margin_of_a_position(self, ask: RestAsker, market: Any) -> None:
        ask("change_margin_type", BTC, "ISOLATED")
        market()

        ask("modify_isolated_position_margin", BTC, 10, 1)
        ask("modify_isolated_position_margin", BTC, 5, 2)

        assert len(ask("get_position_margin_change_history", BTC)) == 2

    def shows_hedge_mode(self, ask: RestAsker, market: Any) -> None:
        ask("change_position_mode", "true")
        market(position_side="LONG")
        market("SELL", position_side="SHORT")

        assert {row["positionSide"] for row in ask("position_information_v3")} == {"LONG", "SHORT"}
        ask("position_adl_quantile_estimation")
        ask("account_information_v2")

    def shows_exits_in_hedge_mode(self, ask: RestAsker, market: Any, paper: PaperExchange) -> None:
        ask("change_position_mode", "true")
        market(position_side="LONG")

        algo = ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "STOP_MARKET"),
            position_side="LONG",
            quantity="0.010",
            trigger_price=str(paper.near(BTC, -2)),
        )
        closed = market("SELL", position_side="LONG")

        assert (algo["positionSide"], closed["status"]) == ("LONG", "FILLED")
        assert ask("position_information_v3") == []

    def shows_modes_that_are_set_already(self, ask: RestAsker) -> None:
        for method, word in (
            ("change_position_mode", "false"),
            ("change_multi_assets_mode", "false"),
        ):
            with pytest.raises(BadRequestError) as refused:
                ask(method, word)
            assert refused.value.status_code in (-4059, -4171)

    def shows_fee_in_another_coin_answered(self, ask: RestAsker) -> None:
        ask("toggle_bnb_burn_on_futures_trade", "false")

    def shows_income(self, ask: RestAsker, market: Any) -> None:
        market()
        market("SELL")

        kinds = {row["incomeType"] for row in ask("get_income_history")}

        assert kinds >= {"COMMISSION", "REALIZED_PNL"}

    @pytest.mark.parametrize("what", ["order", "trade", "transaction"])
    def shows_history_to_download(self, ask: RestAsker, what: str) -> None:
        now = ask("check_server_time")["serverTime"]

        made = ask(f"get_download_id_for_futures_{what}_history", now - 3_600_000, now)

        link = "trade_download_link" if what == "trade" else f"{what}_history_download_link"
        ask(f"get_futures_{link}_by_id", made["downloadId"])


class CheckKeys:
    def shows_listen_key(self, ask: RestAsker) -> None:
        key = ask("start_user_data_stream")["listenKey"]

        assert ask("keepalive_user_data_stream")["listenKey"] == key
        ask("close_user_data_stream")

    @pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
    def shows_orders_signed_with_a_private_key(self, paper: PaperExchange, kind: str) -> None:
        private = RSA.generate(2048) if kind == "RSA" else ECC.generate(curve="ed25519")
        public = private.public_key().export_key(format="PEM")
        name = paper.register(public if isinstance(public, str) else public.decode())
        secret = private.export_key(format="PEM", **({"pkcs": 8} if kind == "RSA" else {}))
        text = secret if isinstance(secret, str) else secret.decode()

        asker = RestAsker(paper, api_key=name, private_key=text)
        asker("new_order", BTC, "BUY", "MARKET", quantity="0.010")
        assert asker("position_information_v3")[0]["positionAmt"] == "0.010"
        asker.close()

    def shows_wrong_key_refused(self, paper: PaperExchange) -> None:
        asker = RestAsker(paper, api_key="k" * 64, api_secret=paper.api_secret)

        with pytest.raises(UnauthorizedError):
            asker("account_information_v3")

    def shows_a_client_that_asks_too_much_refused(self, ask: RestAsker) -> None:
        with pytest.raises(TooManyRequestsError) as refused:
            ask_too_often(lambda: ask("current_all_open_orders"))

        assert refused.value.retry_after is not None


class CheckCompleteness:
    def shows_that_every_method_was_asked(self, ask: RestAsker) -> None:
        every = {
            name
            for name in dir(ask.api)
            if not name.startswith("_") and callable(getattr(ask.api, name))
        } - {"send_request", "send_signed_request"}

        assert every - RestAsker.asked == KEPT_OUT

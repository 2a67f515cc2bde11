"""ccxt's `binanceusdm` over REST: market data, every order, both modes, money.

The only thing turned is the base URL. ccxt is asked in its own unified words; what it finds in
the exchange's answers is what is held here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt
import pytest
from paper_exchange import PaperExchange, ask_too_often, eventually

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture(scope="module")
def markets(exchange_of_session: PaperExchange) -> dict[str, Any]:
    """Loaded once: the list is long."""
    markets = turned(exchange_of_session).load_markets()
    assert isinstance(markets, dict)
    return markets


@pytest.fixture
def client(paper: PaperExchange, markets: dict[str, Any]) -> Iterator[Any]:
    exchange = turned(paper)
    exchange.set_markets(markets)
    yield exchange
    exchange.close()


def turned(paper: PaperExchange) -> Any:
    """ccxt as anybody would make it, with only the origins replaced."""
    exchange = ccxt.binanceusdm({"apiKey": paper.api_key, "secret": paper.api_secret})
    exchange.enableRateLimit = False
    for name, url in exchange.urls["api"].items():
        for real in ("https://fapi.binance.com", "https://api.binance.com"):
            if isinstance(url, str) and url.startswith(real):
                exchange.urls["api"][name] = paper.rest_url + url.removeprefix(real)
    return exchange


def buy(client: Any, amount: float = 0.01, symbol: str = BTC) -> Any:
    return client.create_order(symbol, "market", "buy", amount)


class CheckMarketData:
    def shows_markets_with_their_filters(self, markets: dict[str, Any]) -> None:
        market = markets[BTC]

        assert market["swap"]
        assert market["linear"]
        assert market["precision"] == {
            **market["precision"],
            "price": 0.1,
            "amount": 0.001,
        }
        assert market["limits"]["cost"]["min"] == 50
        assert {ETH, "SOL/USDT:USDT", "LTC/USDT:USDT", "XRP/USDT:USDT"} <= set(markets)

    def shows_time(self, client: Any) -> None:
        assert abs(client.fetch_time() - client.milliseconds()) < 2_000

    def shows_ticker(self, client: Any) -> None:
        ticker = client.fetch_ticker(BTC)

        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert ticker["quoteVolume"] > 0

    def shows_tickers(self, client: Any) -> None:
        assert set(client.fetch_tickers([BTC, ETH])) == {BTC, ETH}

    def shows_bids_and_asks(self, client: Any) -> None:
        row = client.fetch_bids_asks([BTC])[BTC]

        assert row["bid"] < row["ask"]

    def shows_last_prices(self, client: Any) -> None:
        assert client.fetch_last_prices([BTC])[BTC]["price"] > 0

    def shows_mark_prices(self, client: Any) -> None:
        assert client.fetch_mark_price(BTC)["markPrice"] > 0
        assert ETH in client.fetch_mark_prices()

    def shows_order_book(self, client: Any) -> None:
        book = client.fetch_order_book(BTC, 50)

        assert book["bids"][0][0] < book["asks"][0][0]
        assert len(book["bids"]) == 50

    def shows_trades(self, client: Any) -> None:
        trades = client.fetch_trades(BTC, limit=20)

        assert len(trades) == 20
        assert all(trade["side"] in ("buy", "sell") for trade in trades)

    @pytest.mark.parametrize("price", [None, "mark", "index", "premiumIndex"])
    def shows_candles(self, client: Any, price: str | None) -> None:
        candles = client.fetch_ohlcv(BTC, "1m", limit=10, params={"price": price} if price else {})

        assert len(candles) == 10
        assert [row[0] for row in candles] == sorted(row[0] for row in candles)
        assert all(row[3] <= row[1] <= row[2] for row in candles)

    def shows_funding(self, client: Any) -> None:
        assert client.fetch_funding_rate(BTC)["fundingTimestamp"] is not None
        assert ETH in client.fetch_funding_rates()
        assert len(client.fetch_funding_rate_history(BTC, limit=3)) == 3
        assert client.fetch_funding_intervals()[BTC]["interval"] == "8h"

    def shows_open_interest(self, client: Any) -> None:
        assert client.fetch_open_interest(BTC)["openInterestAmount"] > 0

    def shows_open_interest_history(self, client: Any) -> None:
        assert isinstance(client.fetch_open_interest_history(BTC, "5m", limit=2), list)

    def shows_long_short_ratio(self, client: Any) -> None:
        assert isinstance(client.fetch_long_short_ratio_history(BTC, "5m", limit=2), list)

    def shows_leverage_tiers(self, client: Any) -> None:
        tiers = client.fetch_leverage_tiers([BTC])[BTC]

        assert tiers[0]["maxLeverage"] == 150
        assert tiers[0]["maintenanceMarginRate"] == 0.004


class CheckOrders:
    def shows_market_order_filled_at_once(self, client: Any) -> None:
        order = buy(client)

        assert order["status"] == "closed"
        assert order["filled"] == 0.01

    def shows_limit_order_from_open_to_cancelled(self, client: Any, paper: PaperExchange) -> None:
        price = float(paper.near("BTCUSDT", -2))
        order = client.create_order(BTC, "limit", "buy", 0.01, price)

        assert order["status"] == "open"
        assert [row["id"] for row in client.fetch_open_orders(BTC)] == [order["id"]]
        assert client.fetch_open_order(order["id"], BTC)["price"] == price
        assert client.cancel_order(order["id"], BTC)["status"] == "canceled"
        assert client.fetch_order(order["id"], BTC)["status"] == "canceled"
        assert client.fetch_open_orders(BTC) == []

    def shows_limit_order_filled_by_the_market(self, client: Any, paper: PaperExchange) -> None:
        price = paper.near("BTCUSDT", -0.5)
        order = client.create_order(BTC, "limit", "buy", 0.01, float(price))

        paper.jump("BTCUSDT", price * 99 / 100)

        filled = eventually(
            lambda: next(
                (o for o in [client.fetch_order(order["id"], BTC)] if o["status"] == "closed"), None
            )
        )
        assert filled["average"] <= float(price)

    @pytest.mark.parametrize(
        ("time_in_force", "percent", "status"),
        [("IOC", -2, "expired"), ("IOC", 1, "closed"), ("FOK", 1, "closed"), ("GTC", 1, "closed")],
    )
    def shows_time_in_force(
        self, client: Any, paper: PaperExchange, time_in_force: str, percent: float, status: str
    ) -> None:
        order = client.create_order(
            *(BTC, "limit", "buy", 0.01, float(paper.near("BTCUSDT", percent))),
            {"timeInForce": time_in_force},
        )

        assert order["status"] == status

    def shows_good_till_date(self, client: Any, paper: PaperExchange) -> None:
        until = client.milliseconds() + 700_000
        order = client.create_order(
            *(BTC, "limit", "buy", 0.01, float(paper.near("BTCUSDT", -2))),
            {"timeInForce": "GTD", "goodTillDate": until},
        )

        assert order["status"] == "open"
        assert order["info"]["goodTillDate"] == until // 1_000 * 1_000

    def shows_fill_or_kill_that_cannot_fill_refused(
        self, client: Any, paper: PaperExchange
    ) -> None:
        with pytest.raises(ccxt.ExchangeError, match="-5021"):
            client.create_order(
                *(BTC, "limit", "buy", 0.01, float(paper.near("BTCUSDT", -2))),
                {"timeInForce": "FOK"},
            )

    def shows_post_only(self, client: Any, paper: PaperExchange) -> None:
        below, above = (float(paper.near("BTCUSDT", percent)) for percent in (-1, 1))

        order = client.create_order(BTC, "limit", "buy", 0.01, below, {"postOnly": True})

        assert order["postOnly"]
        with pytest.raises(ccxt.ExchangeError, match="-5022"):
            client.create_order(BTC, "limit", "buy", 0.01, above, {"postOnly": True})

    def shows_reduce_only(self, client: Any) -> None:
        buy(client, 0.01)

        order = client.create_order(BTC, "market", "sell", 0.02, None, {"reduceOnly": True})

        assert order["filled"] == 0.01
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            client.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})

    def shows_price_match(self, client: Any) -> None:
        order = client.create_order(BTC, "limit", "buy", 0.01, None, {"priceMatch": "QUEUE_20"})

        assert order["status"] == "open"
        assert order["price"] > 0

    @pytest.mark.parametrize("mode", ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
    def shows_self_trade_prevention(self, client: Any, paper: PaperExchange, mode: str) -> None:
        price = float(paper.near("BTCUSDT", -2))

        order = client.create_order(
            BTC, "limit", "buy", 0.01, price, {"selfTradePreventionMode": mode}
        )

        assert order["info"]["selfTradePreventionMode"] == mode

    def shows_client_order_id(self, client: Any, paper: PaperExchange) -> None:
        price = float(paper.near("BTCUSDT", -2))
        order = client.create_order(BTC, "limit", "buy", 0.01, price, {"clientOrderId": "mine-1"})

        assert order["clientOrderId"] == "mine-1"
        found = client.fetch_order(None, BTC, {"origClientOrderId": "mine-1"})
        assert found["id"] == order["id"]
        cancelled = client.cancel_order(None, BTC, {"origClientOrderId": "mine-1"})
        assert cancelled["id"] == order["id"]

    def shows_order_changed(self, client: Any, paper: PaperExchange) -> None:
        first, second = (float(paper.near("BTCUSDT", percent)) for percent in (-2, -3))
        order = client.create_order(BTC, "limit", "buy", 0.01, first)

        changed = client.edit_order(order["id"], BTC, "limit", "buy", 0.02, second)

        assert (changed["id"], changed["amount"], changed["price"]) == (order["id"], 0.02, second)
        assert client.fetch_order(order["id"], BTC)["price"] == second

    def shows_orders_in_lists(self, client: Any, paper: PaperExchange) -> None:
        filled = buy(client)
        resting = client.create_order(BTC, "limit", "buy", 0.01, float(paper.near("BTCUSDT", -2)))
        client.cancel_order(resting["id"], BTC)

        assert [o["id"] for o in client.fetch_orders(BTC)] == [filled["id"], resting["id"]]
        assert [o["id"] for o in client.fetch_closed_orders(BTC)] == [filled["id"]]
        assert [o["id"] for o in client.fetch_canceled_orders(BTC)] == [resting["id"]]

    def shows_trades_of_the_account(self, client: Any) -> None:
        buy(client)

        trades = client.fetch_my_trades(BTC)

        assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
        assert trades[0]["takerOrMaker"] == "taker"
        paid, cost = (
            sum(values)
            for values in zip(*((t["fee"]["cost"], t["cost"]) for t in trades), strict=True)
        )
        assert paid == pytest.approx(cost * 0.0005, rel=0.001)

    def shows_order_that_does_not_exist(self, client: Any) -> None:
        with pytest.raises(ccxt.OrderNotFound):
            client.fetch_order("1", BTC)
        with pytest.raises(ccxt.OrderNotFound):
            client.cancel_order("1", BTC)

    def shows_money_that_is_not_there(self, client: Any) -> None:
        # On hosts that are not Binance's own ccxt knows only its general table of codes.
        with pytest.raises(ccxt.ExchangeError, match="-2019"):
            buy(client, 10)


class CheckBatches:
    def shows_batch_of_orders_and_its_end(self, client: Any, paper: PaperExchange) -> None:
        price = float(paper.near("BTCUSDT", -2))
        wish = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": price}

        orders = client.create_orders([wish, {**wish, "amount": 0.02}])

        assert [order["amount"] for order in orders] == [0.01, 0.02]
        ended = client.cancel_orders([order["id"] for order in orders], BTC)
        assert [order["status"] for order in ended] == ["canceled", "canceled"]

    def shows_one_refused_beside_one_accepted(self, client: Any, paper: PaperExchange) -> None:
        price = float(paper.near("BTCUSDT", -2))
        wish = {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": price}

        client.create_orders([wish, {**wish, "amount": 10.0}])

        assert len(client.fetch_open_orders(BTC)) == 1

    def shows_orders_changed_together(self, client: Any, paper: PaperExchange) -> None:
        first, second = (float(paper.near("BTCUSDT", percent)) for percent in (-2, -3))
        order = client.create_order(BTC, "limit", "buy", 0.01, first)

        client.edit_orders(
            [
                {
                    "id": order["id"],
                    "symbol": BTC,
                    "type": "limit",
                    "side": "buy",
                    "amount": 0.02,
                    "price": second,
                }
            ]
        )

        assert client.fetch_order(order["id"], BTC)["price"] == second

    def shows_everything_cancelled(self, client: Any, paper: PaperExchange) -> None:
        client.create_order(BTC, "limit", "buy", 0.01, float(paper.near("BTCUSDT", -2)))

        client.cancel_all_orders(BTC)

        assert client.fetch_open_orders(BTC) == []


class CheckConditionalOrders:
    @pytest.mark.parametrize(
        ("kind", "side", "percent", "params"),
        [
            ("STOP_MARKET", "sell", -2, {}),
            ("STOP_MARKET", "buy", 2, {}),
            ("TAKE_PROFIT_MARKET", "sell", 2, {}),
            ("TAKE_PROFIT_MARKET", "buy", -2, {}),
            ("STOP", "sell", -2, {"price": True}),
            ("TAKE_PROFIT", "sell", 2, {"price": True}),
        ],
    )
    def shows_every_kind_open_and_cancelled(
        self, client: Any, paper: PaperExchange, kind: str, side: str, percent: float, params: Any
    ) -> None:
        trigger = float(paper.near("BTCUSDT", percent))
        order = client.create_order(
            *(BTC, kind, side, 0.01, trigger if params else None), {"triggerPrice": trigger}
        )

        assert order["triggerPrice"] == trigger
        listed = client.fetch_open_orders(BTC, params={"trigger": True})
        assert [row["id"] for row in listed] == [order["id"]]
        assert client.fetch_open_orders(BTC) == []
        assert client.fetch_order(order["id"], BTC, {"trigger": True})["status"] == "open"
        client.cancel_order(order["id"], BTC, {"trigger": True})
        assert client.fetch_open_orders(BTC, params={"trigger": True}) == []

    def shows_trailing_stop(self, client: Any, paper: PaperExchange) -> None:
        buy(client)
        activation = float(paper.near("BTCUSDT", 1))

        order = client.create_order(
            *(BTC, "market", "sell", 0.01, None),
            {"trailingPercent": 1, "trailingTriggerPrice": activation, "reduceOnly": True},
        )

        assert order["info"]["orderType"] == "TRAILING_STOP_MARKET"
        assert float(order["info"]["activatePrice"]) == activation

    def shows_stop_triggered_and_the_order_behind_it(
        self, client: Any, paper: PaperExchange
    ) -> None:
        buy(client)
        trigger = paper.near("BTCUSDT", -0.5)
        stop = client.create_order(
            *(BTC, "market", "sell", 0.01, None),
            {"stopLossPrice": float(trigger), "reduceOnly": True, "clientOrderId": "my-stop"},
        )

        paper.jump("BTCUSDT", trigger * 999 / 1000)

        done = eventually(
            lambda: next(
                (
                    row
                    for row in [client.fetch_order(stop["id"], BTC, {"trigger": True})]
                    if row["info"]["algoStatus"] == "FINISHED"
                ),
                None,
            )
        )
        behind = client.fetch_order(done["info"]["actualOrderId"], BTC)
        assert behind["clientOrderId"] == "my-stop"
        assert behind["filled"] == 0.01
        assert client.fetch_positions([BTC]) == []

    def shows_stop_that_closes_the_position(self, client: Any, paper: PaperExchange) -> None:
        buy(client)

        stop = client.create_order(
            *(BTC, "STOP_MARKET", "sell", None, None),
            {"triggerPrice": float(paper.near("BTCUSDT", -3)), "closePosition": True},
        )

        assert stop["info"]["closePosition"] is True

    def shows_stop_that_would_trigger_at_once(self, client: Any, paper: PaperExchange) -> None:
        with pytest.raises(ccxt.ExchangeError, match="-2021"):
            client.create_order(
                *(BTC, "STOP_MARKET", "sell", 0.01, None),
                {"triggerPrice": float(paper.near("BTCUSDT", 1))},
            )

    def shows_all_conditional_orders_cancelled(self, client: Any, paper: PaperExchange) -> None:
        for percent in (-2, -3):
            client.create_order(
                *(BTC, "STOP_MARKET", "sell", 0.01, None),
                {"triggerPrice": float(paper.near("BTCUSDT", percent))},
            )

        client.cancel_all_orders(BTC)
        assert len(client.fetch_open_orders(BTC, params={"trigger": True})) == 2

        client.cancel_all_orders(BTC, {"trigger": True})
        assert client.fetch_open_orders(BTC, params={"trigger": True}) == []


class CheckAccount:
    def shows_balance(self, client: Any) -> None:
        balance = client.fetch_balance()

        assert balance["USDT"]["total"] == 10_000
        assert balance["USDT"]["free"] == 10_000

    @pytest.mark.parametrize("way", ["account", "positionRisk"])
    def shows_position(self, client: Any, way: str) -> None:
        buy(client)

        found = client.fetch_positions([BTC], {"method": way})[0]

        assert (found["side"], found["contracts"]) == ("long", 0.01)
        assert found["initialMargin"] > 0

    def shows_risk_of_position(self, client: Any) -> None:
        client.create_order(BTC, "market", "sell", 0.01)

        found = client.fetch_positions_risk([BTC])[0]

        assert found["side"] == "short"
        assert found["liquidationPrice"] > found["entryPrice"]
        assert found["maintenanceMargin"] > 0

    def shows_leverage_set(self, client: Any) -> None:
        assert client.set_leverage(7, BTC)["leverage"] == 7
        assert client.fetch_leverage(BTC)["longLeverage"] == 7

    def shows_leverage_out_of_bounds_refused(self, client: Any) -> None:
        with pytest.raises(ccxt.BadRequest):
            client.set_leverage(126 + 25, BTC)

    def shows_margin_mode_set(self, client: Any) -> None:
        client.set_margin_mode("isolated", BTC)

        assert client.fetch_margin_mode(BTC)["marginMode"] == "isolated"
        with pytest.raises(ccxt.MarginModeAlreadySet):
            client.set_margin_mode("isolated", BTC)

    def shows_margin_moved_in_and_out_of_a_position(self, client: Any) -> None:
        client.set_margin_mode("isolated", BTC)
        buy(client)

        assert client.add_margin(BTC, 20)["amount"] == 20
        assert client.reduce_margin(BTC, 10)["amount"] == 10
        assert len(client.fetch_margin_adjustment_history(BTC)) == 2

    def shows_hedge_mode_with_both_sides(self, client: Any) -> None:
        client.set_position_mode(True)
        assert client.fetch_position_mode()["hedged"] is True

        client.create_order(BTC, "market", "buy", 0.01, None, {"positionSide": "LONG"})
        client.create_order(BTC, "market", "sell", 0.02, None, {"positionSide": "SHORT"})

        sides = {row["side"]: row["contracts"] for row in client.fetch_positions([BTC])}
        assert sides == {"long": 0.01, "short": 0.02}
        client.create_order(BTC, "market", "sell", 0.01, None, {"positionSide": "LONG"})
        client.create_order(BTC, "market", "buy", 0.02, None, {"positionSide": "SHORT"})
        assert client.fetch_positions([BTC]) == []

    def shows_exits_in_hedge_mode(self, client: Any, paper: PaperExchange) -> None:
        client.set_position_mode(True)
        client.create_order(BTC, "market", "buy", 0.01, None, {"positionSide": "LONG"})
        trigger = float(paper.near("BTCUSDT", -2))

        stop = client.create_order(
            *(BTC, "STOP_MARKET", "sell", 0.01, None),
            {"triggerPrice": trigger, "positionSide": "LONG"},
        )

        assert stop["info"]["positionSide"] == "LONG"
        with pytest.raises(ccxt.ExchangeError, match="-4061"):
            client.create_order(BTC, "market", "sell", 0.01)

    def shows_mode_that_is_set_already(self, client: Any) -> None:
        with pytest.raises(ccxt.OperationRejected, match="-4059"):
            client.set_position_mode(False)

    def shows_fees(self, client: Any) -> None:
        fee = client.fetch_trading_fee(BTC)

        assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)
        assert client.fetch_trading_fees()

    def shows_ledger(self, client: Any) -> None:
        buy(client)

        rows = client.fetch_ledger("USDT")

        assert {row["info"]["incomeType"] for row in rows} >= {"COMMISSION"}
        assert client.fetch_funding_history(BTC) == []

    def shows_no_liquidations(self, client: Any) -> None:
        assert client.fetch_my_liquidations(BTC) == []

    def shows_rank_in_deleveraging(self, client: Any) -> None:
        buy(client)

        assert client.fetch_positions_adl_rank([BTC])[0]["rank"] >= 0


class CheckLimits:
    def shows_a_client_that_asks_too_much_refused(self, client: Any) -> None:
        with pytest.raises((ccxt.RateLimitExceeded, ccxt.DDoSProtection)):
            ask_too_often(client.fapiPrivateGetOpenOrders)

    def shows_weight_used(self, client: Any) -> None:
        client.fetch_balance()

        assert int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"]) > 0

"""Conditional orders: what fires when, in which order it is told, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.scripted_market import Trader, kinds
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.venue.core import VenueSettings

BTC = Params({"symbol": "BTCUSDT"})
STOP = {"triggerPrice": "59000", "closePosition": "true"}


@pytest.fixture
def trader() -> Trader:
    trader = Trader()
    trader.order("BUY", "0.1")
    trader.events()
    return trader


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "before", "at"),
    [
        ("STOP_MARKET", "SELL", "59000", "59000.1", "59000"),
        ("STOP_MARKET", "BUY", "61000", "60999.9", "61000"),
        ("TAKE_PROFIT_MARKET", "SELL", "61000", "60999.9", "61000"),
        ("TAKE_PROFIT_MARKET", "BUY", "59000", "59000.1", "59000"),
    ],
)
def test_a_trigger_fires_at_its_price_and_not_before(
    trader: Trader, kind: str, side: str, trigger: str, before: str, at: str
) -> None:
    trader.algo(kind, side, triggerPrice=trigger, quantity="0.05")

    assert trader.move(bid=before, ask=f"{Decimal(before) + Decimal('0.1')}") == []
    told = trader.move(bid=at, ask=f"{Decimal(at) + Decimal('0.1')}")

    assert told == [
        "ALGO TRIGGERING",
        "ALGO TRIGGERED",
        "ORDER NEW NEW",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "ORDER TRADE FILLED",
        "ALGO FINISHED",
    ]


def test_mark_and_last_price_trigger_their_own_orders_only(trader: Trader) -> None:
    by_mark = trader.algo(
        "STOP_MARKET", "SELL", triggerPrice="59000", quantity="0.05", workingType="MARK_PRICE"
    )
    by_last = trader.algo("STOP_MARKET", "SELL", triggerPrice="59000", quantity="0.05")

    trader.move(last="58999", mark="60000")
    rows = trader.venue.open_algo(BTC, trader.now_ms)
    assert [row["algoId"] for row in rows] == [by_mark["algoId"]]

    trader.move(last="60000", mark="58999")
    assert trader.venue.open_algo(BTC, trader.now_ms) == []
    assert by_last["algoStatus"] == "NEW", "the answer to the placement is not touched later"


def test_the_regular_order_carries_the_conditional_ones_id(trader: Trader) -> None:
    placed = trader.algo("STOP_MARKET", "SELL", clientAlgoId="my-stop", **STOP)
    trader.move(bid="58999", ask="58999.1")

    order = trader.ask("query_order", origClientOrderId="my-stop")
    history = trader.ask("query_algo", algoId=str(placed["algoId"]))

    assert (order["type"], order["origType"], order["status"]) == (
        "MARKET",
        "MARKET",
        "FILLED",
    )
    assert order["executedQty"] == "0.100", "closePosition closes the whole position"
    assert history["actualOrderId"] == str(order["orderId"])
    assert (history["algoStatus"], history["actualQty"]) == ("FINISHED", "0.100")
    assert trader.amount() == 0


def test_a_stop_limit_rests_after_its_trigger_and_finishes_when_cancelled(
    trader: Trader,
) -> None:
    placed = trader.algo("STOP", "SELL", triggerPrice="59000", price="59500", quantity="0.05")
    trader.move(bid="58999", ask="58999.1")

    assert trader.refused("cancel_algo", algoId=str(placed["algoId"])) == -2011
    order = trader.venue.open_orders(BTC, trader.now_ms)[0]
    assert (order["type"], order["price"]) == ("LIMIT", "59500.00")

    trader.ask("cancel_order", orderId=str(order["orderId"]))
    events = trader.events()
    assert kinds(events) == ["ORDER CANCELED CANCELED", "ALGO FINISHED"]
    assert events[-1]["o"]["aq"] == "0", "finished does not mean filled"


def test_no_margin_is_asked_before_the_trigger_and_a_refusal_comes_as_an_event() -> None:
    trader = Trader(balance="100")
    trader.algo("STOP_MARKET", "BUY", triggerPrice="61000", quantity="5")
    trader.events()

    trader.now_ms += 1
    trader.market.tell(trader.market.jump("BTCUSDT", Decimal(61_000)))
    trader.venue.advance(trader.now_ms)
    events = trader.events()

    assert kinds(events) == ["ALGO TRIGGERING", "ALGO REJECTED"]
    assert events[-1]["o"]["rm"] == "Margin is insufficient."


def test_a_close_position_stop_outlives_its_position_and_then_closes_nothing(
    trader: Trader,
) -> None:
    trader.algo("STOP_MARKET", "SELL", **STOP)
    trader.order("SELL", "0.1")
    assert len(trader.venue.open_algo(BTC, trader.now_ms)) == 1
    trader.events()

    assert trader.move(bid="58999", ask="58999.1") == ["ALGO TRIGGERING", "ALGO EXPIRED"]


def test_by_setting_a_close_position_stop_ends_with_its_position() -> None:
    trader = Trader(settings=VenueSettings(close_position_expires=True))
    trader.order("BUY", "0.1")
    trader.algo("STOP_MARKET", "SELL", **STOP)
    trader.events()

    trader.order("SELL", "0.1")

    assert kinds(trader.events())[-1] == "ALGO EXPIRED"
    assert trader.venue.open_algo(BTC, trader.now_ms) == []


def test_one_stop_and_one_target_may_close_the_position_but_not_two_stops(
    trader: Trader,
) -> None:
    trader.algo("STOP_MARKET", "SELL", **STOP)
    trader.algo("TAKE_PROFIT_MARKET", "SELL", triggerPrice="61000", closePosition="true")

    second = {"triggerPrice": "58000", "closePosition": "true"}
    assert trader.refused("algo", "STOP_MARKET", "SELL", **second) == -4130
    trader.algo("STOP_MARKET", "SELL", triggerPrice="58000", quantity="0.05")


def test_a_trailing_stop_follows_the_best_price_from_its_activation(trader: Trader) -> None:
    placed = trader.algo(
        "TRAILING_STOP_MARKET",
        "SELL",
        quantity="0.1",
        activatePrice="61000",
        callbackRate="1",
    )
    assert (placed["activatePrice"], placed["callbackRate"]) == ("61000.00", "1")
    trader.events()

    assert trader.move(last="60500") == [], "not active: falling from here means nothing"
    assert trader.move(last="59000") == []
    assert trader.move(last="61000") == ["ALGO NEW"], "told once more, now active"
    assert trader.move(last="62000") == []
    assert trader.move(last="61380.1") == []
    assert trader.move(last="61380")[0] == "ALGO TRIGGERING", "1 % below 62,000"


def test_a_trailing_stop_without_activation_starts_at_once_and_falls_short_side_up() -> None:
    trader = Trader()
    trader.order("SELL", "0.1")
    trader.algo("TRAILING_STOP_MARKET", "BUY", quantity="0.1", callbackRate="0.5")
    events = trader.events()
    assert [event["o"]["ia"] for event in events[-2:]] == [False, True]

    trader.move(last="59000")
    assert trader.move(last="59294.9") == []
    assert trader.move(last="59295")[0] == "ALGO TRIGGERING"


def test_price_protect_holds_a_trigger_back_while_mark_and_last_are_apart(
    trader: Trader,
) -> None:
    trader.algo("STOP_MARKET", "SELL", triggerPrice="57000", quantity="0.1", priceProtect="true")
    trader.events()

    assert trader.move(last="56000", mark="60000") == []
    assert trader.move(last="56900", mark="57000")[0] == "ALGO TRIGGERING"


def test_two_hundred_conditional_orders_may_rest(trader: Trader) -> None:
    for _ in range(200):
        trader.algo("STOP_MARKET", "SELL", triggerPrice="59000", quantity="0.001")

    more = {"triggerPrice": "59000", "quantity": "0.001"}
    assert trader.refused("algo", "STOP_MARKET", "SELL", **more) == -4045
    trader.ask("cancel_all_algo")
    assert trader.venue.open_algo(BTC, trader.now_ms) == []


@pytest.mark.parametrize(
    ("kind", "side", "more", "code"),
    [
        ("STOP_MARKET", "SELL", {"triggerPrice": "60000", "quantity": "1"}, -2021),
        ("STOP_MARKET", "BUY", {"triggerPrice": "59999", "quantity": "1"}, -2021),
        ("TAKE_PROFIT_MARKET", "SELL", {"triggerPrice": "59999", "quantity": "1"}, -2021),
        (
            "TRAILING_STOP_MARKET",
            "SELL",
            {"activatePrice": "59999", "callbackRate": "1", "quantity": "1"},
            -2021,
        ),
        ("STOP_MARKET", "SELL", {"quantity": "1"}, -1102),
        ("STOP_MARKET", "SELL", {"triggerPrice": "59000"}, -1102),
        ("STOP", "SELL", {"triggerPrice": "59000", "quantity": "1"}, -1102),
        ("TRAILING_STOP_MARKET", "SELL", {"quantity": "1"}, -1102),
        ("TRAILING_STOP_MARKET", "SELL", {"quantity": "1", "callbackRate": "20.1"}, -1130),
        ("TRAILING_STOP_MARKET", "SELL", {"callbackRate": "1", "closePosition": "true"}, -4136),
        ("STOP_MARKET", "SELL", {**STOP, "quantity": "1"}, -4137),
        ("STOP_MARKET", "SELL", {**STOP, "reduceOnly": "true"}, -1106),
        ("STOP_MARKET", "SELL", {"triggerPrice": "59000.05", "quantity": "1"}, -4014),
        ("STOP_MARKET", "SELL", {"triggerPrice": "0", "quantity": "1"}, -4006),
        ("STOP_MARKET", "SELL", {"triggerPrice": "59000", "quantity": "0"}, -4003),
        ("STOP", "BUY", {"triggerPrice": "61000", "price": "70000", "quantity": "1"}, -4183),
        ("STOP", "SELL", {"triggerPrice": "59000", "price": "50000", "quantity": "1"}, -4184),
        ("MARKET", "SELL", {"triggerPrice": "59000", "quantity": "1"}, -1116),
        ("STOP_MARKET", "SELL", {"algoType": "VP", "triggerPrice": "1", "quantity": "1"}, -1130),
        ("STOP_MARKET", "SELL", {**STOP, "positionSide": "LONG"}, -4061),
        ("STOP_MARKET", "SELL", {**STOP, "workingType": "INDEX"}, -4031),
    ],
)
def test_a_wrong_conditional_order_is_refused_with_the_venues_code(
    trader: Trader, kind: str, side: str, more: dict[str, str], code: int
) -> None:
    assert trader.refused("algo", kind, side, **more) == code


def test_client_ids_are_unique_among_open_conditional_orders_only(trader: Trader) -> None:
    once = {"triggerPrice": "59000", "quantity": "0.01", "clientAlgoId": "same"}
    trader.algo("STOP_MARKET", "SELL", **once)

    assert trader.refused("algo", "STOP_MARKET", "SELL", **once) == -4116
    trader.ask("cancel_algo", clientAlgoId="same")
    trader.algo("STOP_MARKET", "SELL", **once)


def test_cancelling_twice_and_asking_for_the_unknown(trader: Trader) -> None:
    placed = trader.algo("STOP_MARKET", "SELL", **STOP)
    answer = trader.ask("cancel_algo", algoId=str(placed["algoId"]))

    assert answer == {
        "algoId": placed["algoId"],
        "clientAlgoId": placed["clientAlgoId"],
        "code": "200",
        "msg": "success",
    }
    assert trader.refused("cancel_algo", algoId=str(placed["algoId"])) == -2011
    assert trader.refused("query_algo", algoId="1") == -2013
    assert trader.refused("query_order", origClientOrderId=str(placed["clientAlgoId"])) == -2013

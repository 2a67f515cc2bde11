"""Answers and events have exactly the keys the live exchange sent in September 2026.

The key sets are this project's own list, `data/live_key_sets.json`: by call, then by the state the
row is in. A key more is as wrong as a key less: strict clients stumble over both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.paper import PaperVenue

LIVE: Final[dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).parent / "data" / "live_key_sets.json").read_text()
)
BTC: Final = {"symbol": "BTCUSDT"}
BUY: Final = {**BTC, "side": "BUY", "quantity": "0.010"}
STOP: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "0.010",
    "type": "STOP_MARKET",
    "triggerPrice": "94000",
}
TRAILING: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "0.010",
    "type": "TRAILING_STOP_MARKET",
    "callbackRate": "1",
    "activatePrice": "96000",
}


@pytest.fixture
def paper() -> PaperVenue:
    return PaperVenue()


def keys(call: str, state: str) -> set[str]:
    return set(LIVE[call][state].split())


def buy_at_market(paper: PaperVenue) -> Any:
    wish = {**BUY, "type": "MARKET", "newOrderRespType": "RESULT"}
    return paper.ask("POST", "/fapi/v1/order", wish)


def test_a_filled_order_has_the_live_keys_in_the_answer_and_every_list(paper: PaperVenue) -> None:
    order = buy_at_market(paper)
    wanted = {**BTC, "orderId": order["orderId"]}

    assert keys("POST /fapi/v1/order", "order") == order.keys()
    assert keys("GET /fapi/v1/order", "order") == paper.ask("GET", "/fapi/v1/order", wanted).keys()
    (listed,) = paper.ask("GET", "/fapi/v1/allOrders", BTC)
    assert keys("GET /fapi/v1/allOrders", "order") == listed.keys()
    for trade in paper.ask("GET", "/fapi/v1/userTrades", BTC):
        assert keys("GET /fapi/v1/userTrades", "trade") == trade.keys()


def test_a_resting_order_has_the_same_keys_as_a_filled_one(paper: PaperVenue) -> None:
    wish = {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": "94000"}

    order = paper.ask("POST", "/fapi/v1/order", wish)

    assert keys("POST /fapi/v1/order", "order") == order.keys()
    (listed,) = paper.ask("GET", "/fapi/v1/openOrders", BTC)
    assert keys("GET /fapi/v1/order", "order") == listed.keys()


@pytest.mark.parametrize(("wish", "state"), [(STOP, "algo"), (TRAILING, "trailing")])
def test_a_conditional_order_has_the_live_keys_while_it_waits(
    paper: PaperVenue, wish: Mapping[str, str], state: str
) -> None:
    algo = paper.ask("POST", "/fapi/v1/algoOrder", wish)

    assert keys("POST /fapi/v1/algoOrder", state) == algo.keys()
    (waiting,) = paper.ask("GET", "/fapi/v1/openAlgoOrders", BTC)
    assert keys("GET /fapi/v1/openAlgoOrders", state) == waiting.keys()


@pytest.mark.parametrize(("wish", "state"), [(STOP, "untriggered"), (TRAILING, "trailing")])
def test_a_conditional_order_has_the_live_keys_once_it_is_cancelled(
    paper: PaperVenue, wish: Mapping[str, str], state: str
) -> None:
    wanted = {"algoId": paper.ask("POST", "/fapi/v1/algoOrder", wish)["algoId"]}

    ended = paper.ask("DELETE", "/fapi/v1/algoOrder", wanted)

    assert keys("DELETE /fapi/v1/algoOrder", "cancelled") == ended.keys()
    (listed,) = paper.ask("GET", "/fapi/v1/allAlgoOrders", BTC)
    assert keys("GET /fapi/v1/allAlgoOrders", state) == listed.keys()


def test_a_triggered_conditional_order_has_the_live_keys(paper: PaperVenue) -> None:
    buy_at_market(paper)
    paper.ask("POST", "/fapi/v1/algoOrder", STOP)

    paper.set_price("BTCUSDT", "93900")

    (listed,) = paper.ask("GET", "/fapi/v1/allAlgoOrders", BTC)
    assert listed["algoStatus"] == "FINISHED"
    assert keys("GET /fapi/v1/allAlgoOrders", "triggered") == listed.keys()


def test_prices_and_positions_have_the_live_keys(paper: PaperVenue) -> None:
    buy_at_market(paper)

    ticker = paper.ask("GET", "/fapi/v2/ticker/price", BTC)
    positions = paper.ask("GET", "/fapi/v2/account")["positions"]

    assert keys("GET /fapi/v2/ticker/price", "ticker") == ticker.keys()
    assert len(positions) == len(paper.market.symbols)
    for position in positions:
        assert keys("GET /fapi/v2/account .positions", "position") == position.keys()


def test_the_events_of_a_fill_have_the_live_keys_in_the_live_order(paper: PaperVenue) -> None:
    ear = paper.listen_to_user()

    buy_at_market(paper)

    told = ear.take()
    kinds = ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    assert kinds == [event["e"] for event in told]
    for event in told:
        assert keys(event["e"], "event") == event.keys()
    for event in (told[1], told[3]):
        assert keys("ORDER_TRADE_UPDATE .o", "order") == event["o"].keys()
    account = told[2]["a"]
    assert keys("ACCOUNT_UPDATE .a", "account") == account.keys()
    assert [keys("ACCOUNT_UPDATE .a.B", "balance")] == [row.keys() for row in account["B"]]
    assert [keys("ACCOUNT_UPDATE .a.P", "position")] == [row.keys() for row in account["P"]]


def test_the_events_of_a_conditional_order_have_the_live_keys(paper: PaperVenue) -> None:
    buy_at_market(paper)
    ear = paper.listen_to_user()

    paper.ask("POST", "/fapi/v1/algoOrder", STOP)
    paper.set_price("BTCUSDT", "93900")

    told = [event for event in ear.take() if event["e"] == "ALGO_UPDATE"]
    states = [event["o"]["X"] for event in told]
    assert states == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    for event in told:
        before = event["o"]["X"] in ("NEW", "TRIGGERING")
        state = "untriggered" if before else "triggered"
        assert keys("ALGO_UPDATE", "event") == event.keys()
        assert keys("ALGO_UPDATE .o", state) == event["o"].keys()

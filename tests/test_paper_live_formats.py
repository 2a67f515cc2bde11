"""Events whose numbers and flags were seen on the live exchange, printed the same way here.

Source: live samples of September 2026 (market fill, protective stop); binance-usdm reference §11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tests.support.paper import PaperVenue, SteadyMarket

BTC: Final = {"symbol": "BTCUSDT"}
MARKET: Final = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.02",
    "price": "95100",
}
CLOSING: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "triggerPrice": "94000",
    "closePosition": "true",
}


def events_of(paper: PaperVenue, values: dict[str, str]) -> list[dict[str, Any]]:
    ear = paper.listen_to_user()
    paper.ask("POST", "/fapi/v1/order", values)
    return ear.take()


def test_the_earliest_notice_of_a_fill_pads_its_numbers_the_others_do_not() -> None:
    lite, new, _, traded = events_of(PaperVenue(), MARKET)

    assert (lite["q"], lite["p"], lite["l"]) == ("0.010", "0.00", "0.010")
    assert lite["L"] == f"{float(traded['o']['L']):.2f}"
    assert (new["o"]["q"], new["o"]["p"]) == ("0.01", "0")


def test_the_earliest_notice_of_a_limit_orders_fill_pads_its_price() -> None:
    lite = events_of(PaperVenue(), LIMIT)[0]

    assert (lite["q"], lite["p"]) == ("0.020", "95100.00")


def test_whatever_closes_a_position_is_reduce_only() -> None:
    paper = PaperVenue()
    paper.ask("POST", "/fapi/v1/order", MARKET)
    ear = paper.listen_to_user()

    placed = paper.ask("POST", "/fapi/v1/algoOrder", CLOSING)
    paper.set_price("BTCUSDT", "93900")
    told = ear.take()

    assert (placed["closePosition"], placed["reduceOnly"], placed["quantity"]) == (True, True, "0")
    algo = [event["o"] for event in told if event["e"] == "ALGO_UPDATE"]
    assert {(row["cp"], row["R"]) for row in algo} == {(True, True)}
    order = [event["o"] for event in told if event["e"] == "ORDER_TRADE_UPDATE"]
    assert {(row["cp"], row["R"]) for row in order} == {(True, True)}
    assert paper.ask("GET", "/fapi/v1/allOrders", BTC)[-1]["reduceOnly"] is True


def test_what_a_liquidation_takes_besides_is_told_as_a_change_of_the_balance() -> None:
    paper = PaperVenue()
    paper.ask("POST", "/fapi/v1/leverage", BTC | {"leverage": "100"})
    paper.ask("POST", "/fapi/v1/marginType", BTC | {"marginType": "ISOLATED"})
    paper.ask("POST", "/fapi/v1/order", MARKET | {"quantity": "1"})
    ear = paper.listen_to_user()

    paper.set_price("BTCUSDT", "94300")

    told = [event["a"] for event in ear.take() if event["e"] == "ACCOUNT_UPDATE"]
    rows = [body for body in told if body["m"] == "INSURANCE_CLEAR"]
    income = paper.ask("GET", "/fapi/v1/income", {"incomeType": "INSURANCE_CLEAR"})
    assert [float(body["B"][0]["bc"]) for body in rows] == [float(row["income"]) for row in income]
    assert rows


# --- the same order as in the live samples: 4.9 DOT ---------------------------------------------

DOT: Final = {"symbol": "DOTUSDT"}
BOUGHT: Final = DOT | {"side": "BUY", "type": "MARKET", "quantity": "4.9"}
STOP: Final = DOT | {
    "algoType": "CONDITIONAL",
    "side": "BUY",
    "type": "STOP_MARKET",
    "quantity": "4.9",
    "triggerPrice": "1.1837",
}


def dot() -> PaperVenue:
    paper = PaperVenue(market=SteadyMarket({"DOTUSDT": Decimal("1.135900")}))
    paper.set_price("DOTUSDT", "1.135900")
    return paper


def test_answers_about_an_order_print_its_numbers_as_live() -> None:
    paper = dot()

    placed = paper.ask("POST", "/fapi/v1/order", BOUGHT | {"newOrderRespType": "RESULT"})
    queried = paper.ask("GET", "/fapi/v1/order", DOT | {"orderId": str(placed["orderId"])})
    (trade,) = paper.ask("GET", "/fapi/v1/userTrades", DOT)
    ticker = paper.ask("GET", "/fapi/v2/ticker/price", DOT)

    assert (placed["price"], placed["stopPrice"]) == ("0.000000", "0.000000")
    assert (placed["origQty"], placed["executedQty"], placed["cumQty"]) == ("4.9", "4.9", "4.9")
    assert [len(queried[key].partition(".")[2]) for key in ("avgPrice", "cumQuote")] == [7, 7]
    assert [len(trade[key].partition(".")[2]) for key in ("price", "quoteQty")] == [6, 7]
    assert list(ticker) == ["price", "symbol", "time"]
    assert ticker["price"] == "1.135900"


def test_a_row_of_all_orders_has_the_live_order_of_keys_and_no_price_is_0() -> None:
    paper = dot()
    limit = {"type": "LIMIT", "timeInForce": "GTC", "price": "1.1"}
    paper.ask("POST", "/fapi/v1/order", BOUGHT)
    paper.ask("POST", "/fapi/v1/order", BOUGHT | limit)

    market, resting = paper.ask("GET", "/fapi/v1/allOrders", DOT)

    assert " ".join(market) == (
        "orderId symbol status clientOrderId price avgPrice origQty executedQty cumQuote cumBase "
        "timeInForce type reduceOnly closePosition side positionSide stopPrice workingType "
        "priceMatch selfTradePreventionMode goodTillDate priceProtect origType time updateTime pair"
    )
    assert (market["price"], market["stopPrice"]) == ("0", "0")
    assert (resting["price"], resting["stopPrice"]) == ("1.100000", "0")
    assert (resting["avgPrice"], resting["executedQty"]) == ("0.0000000", "0")


def test_a_conditional_orders_prices_are_padded_in_its_answer_and_not_in_the_list() -> None:
    paper = dot()

    placed = paper.ask("POST", "/fapi/v1/algoOrder", STOP)
    (waiting,) = paper.ask("GET", "/fapi/v1/openAlgoOrders", DOT)

    assert (placed["triggerPrice"], placed["price"]) == ("1.183700", "0.000000")
    assert (waiting["triggerPrice"], waiting["price"]) == ("1.1837", "0.0")
    assert waiting["actualQty"] == "0.0"

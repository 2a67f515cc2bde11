"""The venue whole: orders, margin, money, configuration, and what survives a restart."""

from __future__ import annotations

import contextlib
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.scripted_market import START_MS, ScriptedMarket, Trader, kinds, tick
from trader_cli.domain.terms import Side
from trader_cli.paper.books.account import Account
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.state import MemoryState, State
from trader_cli.paper.state.state_file import FileState
from trader_cli.paper.venue.clearing import next_funding
from trader_cli.paper.venue.core import VenueSettings
from trader_cli.wire import codes

D = Decimal
LIMIT_FAR = {"price": "58000"}
BTC = Params({"symbol": "BTCUSDT"})


# --- regular orders ---------------------------------------------------------------------------


def test_a_market_order_is_told_in_the_live_order_and_paid_for() -> None:
    trader = Trader()
    order = trader.order("BUY", "0.1")
    events = trader.events()

    assert kinds(events) == ["TRADE_LITE", "ORDER NEW NEW", "ACCOUNT_UPDATE", "ORDER TRADE FILLED"]
    assert (order["status"], order["executedQty"]) == ("FILLED", "0.100")
    assert not {"avgPrice", "cumQuote"} & order.keys()
    assert trader.balance() == D(10_000) - D("60000.1") * D("0.1") * D("0.0005")
    assert trader.position()["entryPrice"] == "60000.1"


def test_ack_shows_the_order_as_it_was_accepted() -> None:
    order = Trader().order("BUY", "0.1", newOrderRespType="ACK")

    assert (order["status"], order["executedQty"]) == ("NEW", "0")


def test_a_taker_walks_the_book_and_does_not_find_the_same_size_twice() -> None:
    trader = Trader(balance="10000000")
    first = trader.order("BUY", "7")
    second = trader.order("BUY", "5")

    fills = trader.venue.user_trades(BTC, trader.now_ms)
    assert [(row["price"], row["qty"]) for row in fills] == [
        ("60000.10", "5.000"),
        ("60000.20", "2.000"),
        ("60000.20", "3.000"),
        ("60000.30", "2.000"),
    ]
    assert (first["status"], second["status"]) == ("FILLED", "FILLED")


def test_a_market_order_stops_at_the_take_bound_and_its_rest_expires() -> None:
    trader = Trader(balance="100000000")
    trader.market.books[Side.BUY] = [(D("60000.1"), D(5)), (D(63_001), D(50))]
    order = trader.order("BUY", "10")

    assert (order["status"], order["executedQty"]) == ("EXPIRED", "5.000")
    assert trader.events()[-1]["o"]["er"] == "9"


def test_a_resting_order_fills_as_maker_at_its_own_price() -> None:
    trader = Trader()
    order = trader.order("BUY", "0.1", price="59990")
    assert order["status"] == "NEW"

    assert trader.move(bid="59980", ask="59980.1") == [
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "ORDER TRADE FILLED",
    ]
    trade = trader.venue.user_trades(BTC, trader.now_ms)[0]
    assert (trade["price"], trade["maker"], trade["commission"]) == ("59990.00", True, "1.1998")


@pytest.mark.parametrize(
    ("more", "status", "filled"),
    [
        ({"timeInForce": "IOC"}, "EXPIRED", "5.000"),
        ({"timeInForce": "GTC"}, "PARTIALLY_FILLED", "5.000"),
        ({"timeInForce": "FOK", "quantity": "5"}, "FILLED", "5.000"),
    ],
)
def test_time_in_force_decides_what_becomes_of_the_rest(
    more: dict[str, str], status: str, filled: str
) -> None:
    trader = Trader(balance="1000000")
    order = trader.order("BUY", "6", **({"price": "60000.1"} | more))

    assert (order["status"], order["executedQty"]) == (status, filled)


def test_post_only_that_would_take_and_fok_that_cannot_leave_no_record() -> None:
    trader = Trader(balance="1000000")
    gtx = {"price": "60000.1", "timeInForce": "GTX", "newClientOrderId": "gone"}

    assert trader.refused("order", "BUY", "0.1", **gtx) == -5022
    assert trader.refused("order", "BUY", "6", price="60000.1", timeInForce="FOK") == -5021
    assert trader.venue.all_orders(BTC, trader.now_ms) == []
    assert trader.refused("query_order", origClientOrderId="gone") == -2013
    assert trader.order("BUY", "0.1", **(gtx | {"price": "60000"}))["status"] == "NEW"


def test_post_only_respects_own_orders_on_the_other_side() -> None:
    trader = Trader(market=ScriptedMarket([tick(bid="60000", ask="60010")]))
    trader.order("SELL", "0.1", price="60005")

    assert trader.refused("order", "BUY", "0.1", price="60005", timeInForce="GTX") == -5022


@pytest.mark.parametrize(
    ("mode", "maker", "taker", "filled"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED", "0.100"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH", "0"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", "0"),
    ],
)
def test_self_trades_are_prevented_as_the_taker_says(
    mode: str, maker: str, taker: str, filled: str
) -> None:
    trader = Trader(market=ScriptedMarket([tick(bid="60000", ask="60010")]))
    resting = trader.order("SELL", "0.1", price="60005")
    order = trader.order("BUY", "0.1", price="60020", selfTradePreventionMode=mode)

    assert (trader.status_of(resting), order["status"]) == (maker, taker)
    assert order["executedQty"] == filled


@pytest.mark.parametrize("kind", ["LIMIT", "MARKET"])
def test_without_prevention_a_taker_trades_with_the_accounts_own_order(kind: str) -> None:
    trader = Trader(market=ScriptedMarket([tick(bid="60000", ask="60010", size="0.5")]))
    first = trader.order("SELL", "0.1", price="60005")
    touch = trader.order("SELL", "0.1", price="60010")
    words = {"price": "60010"} if kind == "LIMIT" else {}

    order = trader.order("BUY", "0.65", selfTradePreventionMode="NONE", **words)

    assert (order["status"], trader.status_of(first)) == ("FILLED", "FILLED")
    assert trader.status_of(touch) == "PARTIALLY_FILLED"
    assert trader.amount() == D("0.5")
    fills = trader.ask("user_trades")
    assert {(row["price"], row["qty"], row["maker"]) for row in fills} == {
        ("60005.00", "0.100", False),
        ("60005.00", "0.100", True),
        ("60010.00", "0.050", False),
        ("60010.00", "0.050", True),
        ("60010.00", "0.500", False),
    }
    assert trader.balance() == sum(trader.income())


def test_price_match_takes_the_price_from_the_book() -> None:
    trader = Trader()

    queue = trader.order("BUY", "0.1", priceMatch="QUEUE_5")
    opponent = trader.order("BUY", "0.1", priceMatch="OPPONENT")

    assert (queue["price"], queue["status"]) == ("59999.60", "NEW")
    assert (opponent["price"], opponent["status"]) == ("60000.10", "FILLED")


WRONG: list[tuple[dict[str, str], int]] = [
    ({"symbol": "NOPE"}, -1121),
    ({"side": "LONG"}, -1117),
    ({"type": "TWAP"}, -1116),
    ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120),
    ({"quantity": ""}, -1102),
    ({"quantity": "1e3"}, -1102),
    ({"quantity": "NaN"}, -1102),
    ({"timeInForce": ""}, -1102),
    ({"price": ""}, -1102),
    ({"timeInForce": "DAY"}, -1115),
    ({"type": "MARKET", "timeInForce": ""}, -1106),
    ({"type": "MARKET", "price": ""}, -1106),
    ({"positionSide": "LONG"}, -4061),
    ({"positionSide": "UP"}, -4060),
    ({"quantity": "0"}, -4003),
    ({"quantity": "0.0005"}, -1111),
    ({"quantity": "1000.001"}, -4005),
    ({"price": "60000.123"}, -1111),
    ({"price": "60000.05"}, -4014),
    ({"price": "0"}, -4013),
    ({"price": "-1"}, -4001),
    ({"price": "63000.1"}, -4016),
    ({"side": "SELL", "price": "56999.9"}, -4024),
    ({"quantity": "0.001", "price": "49999.9"}, -4164),
    ({"quantity": "4"}, -2019),
    ({"newClientOrderId": "a" * 37}, -4015),
    ({"newClientOrderId": "sp ace"}, -1100),
    ({"newOrderRespType": "FULL"}, -1136),
    ({"reduceOnly": "true"}, -2022),
    ({"reduceOnly": "yes"}, -1102),
    ({"closePosition": "true"}, -4136),
    ({"selfTradePreventionMode": "KEEP"}, -5039),
    ({"priceMatch": "OPPONENT"}, -1106),
    ({"price": "", "priceMatch": "OPPONENT_10"}, -5037),
    ({"timeInForce": "GTD"}, -1102),
    ({"timeInForce": "GTD", "goodTillDate": str(START_MS + 600_000)}, -5040),
]


@pytest.mark.parametrize(("wrong", "code"), WRONG)
def test_a_wrong_order_is_refused_with_the_venues_code(wrong: dict[str, str], code: int) -> None:
    trader = Trader()
    if code == -4164:  # inside the price band at that price
        trader.move(bid="50000", ask="50000.1")
    base = {"type": "LIMIT", "timeInForce": "GTC", "price": "59000"}

    assert trader.refused("order", "BUY", "0.1", **(base | wrong)) == code
    assert trader.venue.open_orders(Params({}), trader.now_ms) == []


def test_every_code_the_venue_refuses_with_has_words() -> None:
    assert [code for _, code in WRONG if codes.describe(code) is None] == []


@pytest.mark.parametrize(
    ("price", "quantity", "accepted"),
    [("50000", "0.001", True), ("63000.0", "0.1", True), ("60000.1000", "0.1000", True)],
)
def test_the_valid_side_of_the_boundaries(price: str, quantity: str, accepted: bool) -> None:
    trader = Trader()
    if price == "50000":
        trader.move(bid="50000", ask="50000.1")

    assert (trader.order("BUY", quantity, price=price)["orderId"] != 0) is accepted


def test_client_ids_are_unique_among_open_orders_only() -> None:
    trader = Trader()
    once = {"price": "59000", "newClientOrderId": "same"}
    trader.order("BUY", "0.01", **once)

    assert trader.refused("order", "BUY", "0.01", **once) == -4116
    trader.ask("cancel_order", origClientOrderId="same")
    trader.order("BUY", "0.01", **once)
    trader.order("BUY", "0.01", newClientOrderId="market")
    trader.order("BUY", "0.01", newClientOrderId="market")


def test_two_hundred_orders_a_symbol_may_rest_and_benchmarks_may_have_more() -> None:
    trader = Trader()
    free = Trader(settings=VenueSettings(open_order_limits=False))
    for _ in range(200):
        trader.order("BUY", "0.001", price="59000")
        free.order("BUY", "0.001", price="59000")

    assert trader.refused("order", "BUY", "0.001", price="59000") == -2025
    free.order("BUY", "0.001", price="59000")


def test_cancelling_again_is_unknown_and_a_finished_order_is_still_found() -> None:
    trader = Trader()
    order = trader.order("BUY", "0.1", price="59000")
    by_id = {"orderId": str(order["orderId"])}
    cancelled = trader.ask("cancel_order", **by_id)

    assert cancelled["status"] == "CANCELED"
    assert trader.refused("cancel_order", **by_id) == -2011
    assert trader.refused("query_open_order", **by_id) == -2013
    assert trader.refused("cancel_order") == -1102
    assert trader.status_of(order) == "CANCELED"
    trader.now_ms += 3 * 86_400_000 + 1
    assert trader.refused("query_order", **by_id) == -2013


def test_cancel_all_leaves_conditional_orders_and_other_symbols() -> None:
    trader = Trader()
    trader.order("BUY", "0.1", price="59000")
    trader.order("BUY", "0.1", price="2900", symbol="ETHUSDT")
    trader.algo("STOP_MARKET", "SELL", triggerPrice="59000", quantity="0.1")

    assert trader.ask("cancel_all") == {
        "code": 200,
        "msg": "The operation of cancel all open order is done.",
    }
    left = trader.venue.open_orders(Params({}), trader.now_ms)
    assert [row["symbol"] for row in left] == ["ETHUSDT"]
    assert len(trader.venue.open_algo(BTC, trader.now_ms)) == 1


def test_good_till_date_and_countdown_end_orders_in_time() -> None:
    trader = Trader()
    until = START_MS + 700_000
    order = trader.order("BUY", "0.1", price="59000", timeInForce="GTD", goodTillDate=str(until))
    other = trader.order("BUY", "0.1", price="59000")
    trader.ask("countdown_cancel_all", countdownTime="800000")

    trader.move(699_999)
    assert trader.status_of(order) == "NEW"
    trader.move(1)
    assert (trader.status_of(order), trader.status_of(other)) == ("EXPIRED", "NEW")
    trader.move(100_000)
    assert trader.status_of(other) == "CANCELED"


def test_amending_moves_price_and_size_and_keeps_a_history() -> None:
    trader = Trader()
    order = trader.order("BUY", "0.1", price="59000")
    same = {"orderId": str(order["orderId"]), "side": "BUY", "price": "59000", "quantity": "0.1"}

    assert trader.refused("modify_order", **same) == -5027
    assert trader.refused("modify_order", **(same | {"price": "59000.05"})) == -4014
    assert trader.refused("modify_order", **(same | {"quantity": "10"})) == -2019
    changed = trader.ask("modify_order", **(same | {"price": "59100", "modifyId": "7"}))

    assert (changed["price"], changed["status"]) == ("59100.00", "NEW")
    event = trader.events()[-1]["o"]
    assert (event["x"], event["M"]) == ("AMENDMENT", "7")
    rows = trader.ask("order_amendments", orderId=str(order["orderId"]))
    assert rows[0]["amendment"]["price"] == {"before": "59000", "after": "59100"}


def test_amending_to_what_is_already_filled_or_to_a_taking_post_only_cancels() -> None:
    trader = Trader(market=ScriptedMarket([tick(size="0.05")]))
    part = trader.order("BUY", "0.1", price="60000.1")
    post_only = trader.order("BUY", "0.1", price="59000", timeInForce="GTX")
    sent = {"side": "BUY", "orderId": str(part["orderId"])}

    trader.ask("modify_order", **sent, price="60000.1", quantity="0.05")
    sent["orderId"] = str(post_only["orderId"])
    trader.ask("modify_order", **sent, price="60000.1", quantity="0.1")

    assert trader.status_of(part) == "CANCELED"
    assert trader.status_of(post_only) == "CANCELED"


# --- exits ------------------------------------------------------------------------------------


def test_reduce_only_is_capped_at_the_position() -> None:
    trader = Trader()
    trader.order("BUY", "0.1")
    order = trader.order("SELL", "0.5", reduceOnly="true")

    assert (order["status"], order["origQty"], trader.amount()) == ("FILLED", "0.100", 0)
    assert trader.refused("order", "SELL", "0.1", reduceOnly="true") == -2022


def test_resting_exits_end_with_their_position() -> None:
    trader = Trader()
    trader.order("BUY", "0.1")
    exit_order = trader.order("SELL", "0.1", price="61000", reduceOnly="true")
    trader.order("SELL", "0.1")

    assert trader.status_of(exit_order) == "EXPIRED"


def test_small_exits_are_exempt_from_the_least_notional() -> None:
    trader = Trader(market=ScriptedMarket([tick(bid="40000", ask="40000.1")]))
    trader.order("BUY", "0.002")

    assert trader.refused("order", "SELL", "0.001") == -4164
    assert trader.order("SELL", "0.001", reduceOnly="true")["status"] == "FILLED"


def test_an_exit_needs_no_margin() -> None:
    trader = Trader(balance="320")
    trader.order("BUY", "0.1")
    assert trader.refused("order", "BUY", "0.1") == -2019

    assert trader.order("SELL", "0.1")["status"] == "FILLED"


# --- modes and margin -------------------------------------------------------------------------


def test_hedge_mode_holds_both_sides_and_closes_only_what_is_held() -> None:
    trader = Trader()
    trader.ask("set_position_mode", dualSidePosition="true")
    assert trader.refused("set_position_mode", dualSidePosition="true") == -4059
    assert trader.refused("order", "BUY", "0.1") == -4061
    trader.order("BUY", "0.1", positionSide="LONG")
    trader.order("SELL", "0.2", positionSide="SHORT")

    assert (trader.amount("LONG"), trader.amount("SHORT")) == (D("0.1"), D("-0.2"))
    long = {"positionSide": "LONG"}
    assert trader.refused("order", "SELL", "0.2", **long) == -2024
    assert trader.refused("order", "SELL", "0.1", reduceOnly="true", **long) == -1106
    trader.order("SELL", "0.1", **long)
    assert (trader.amount("LONG"), trader.amount("SHORT")) == (D(0), D("-0.2"))
    assert trader.refused("set_position_mode", dualSidePosition="false") == -4068


def test_position_mode_waits_for_open_orders_conditional_ones_too() -> None:
    trader = Trader()
    trader.algo("STOP_MARKET", "SELL", triggerPrice="59000", quantity="0.1")

    assert trader.refused("set_position_mode", dualSidePosition="true") == -4067


def test_resting_orders_hold_margin_and_give_it_back() -> None:
    trader = Trader()
    order = trader.order("BUY", "1", price="58000")
    assert trader.balance("availableBalance") == D(10_000) - D(58_000) / 20
    other_side = trader.order("SELL", "0.5", price="61000")
    assert trader.balance("availableBalance") == D(10_000) - D(58_000) / 20

    for one in (order, other_side):
        trader.ask("cancel_order", orderId=str(one["orderId"]))
    assert trader.balance("availableBalance") == D(10_000)


def test_leverage_is_bounded_by_brackets_and_by_what_is_held() -> None:
    trader = Trader()
    assert trader.ask("set_leverage", leverage="50") == {
        "leverage": 50,
        "maxNotionalValue": "12000000",
        "symbol": "BTCUSDT",
    }
    assert kinds(trader.events()) == ["ACCOUNT_CONFIG_UPDATE"]
    assert trader.refused("set_leverage", leverage="151") == -4028
    assert trader.refused("set_leverage", leverage="0") == -4028
    trader.order("BUY", "1.5")
    assert trader.refused("set_leverage", leverage="5") == -2028
    rich = Trader(balance="100000000")
    rich.ask("set_leverage", leverage="150")
    assert rich.refused("order", "BUY", "5.1", price="60000") == -2027
    rich.order("BUY", "4.9", price="60000")


def test_isolated_margin_is_set_aside_and_returns() -> None:
    trader = Trader()
    trader.ask("set_margin_type", marginType="ISOLATED")
    assert trader.refused("set_margin_type", marginType="ISOLATED") == -4046
    trader.order("BUY", "0.1")

    held = trader.position()
    assert (held["marginType"], held["isolatedWallet"]) == ("isolated", "300.0005")
    assert trader.balance("crossWalletBalance") == trader.balance() - D("300.0005")
    assert trader.refused("set_margin_type", marginType="CROSSED") == -4048
    assert trader.refused("set_leverage", leverage="10") == -4161

    trader.ask("modify_position_margin", amount="50", type="1")
    assert trader.position()["isolatedWallet"] == "350.0005"
    assert trader.refused("modify_position_margin", amount="51", type="2") == -4051
    assert trader.refused("modify_position_margin", amount="0", type="1") == -4055
    assert trader.refused("modify_position_margin", amount="99999", type="1") == -4050
    trader.order("SELL", "0.1")
    assert trader.balance("crossWalletBalance") == trader.balance()


def test_margin_type_waits_for_orders_and_cross_takes_no_extra_margin() -> None:
    trader = Trader()
    trader.order("BUY", "0.1", price="59000")

    assert trader.refused("set_margin_type", marginType="ISOLATED") == -4047
    assert trader.refused("modify_position_margin", amount="1", type="1") == -4049
    assert trader.refused("set_multi_assets_mode", multiAssetsMargin="true") == -1020


# --- what the venue does by itself ------------------------------------------------------------


def test_funding_is_paid_by_longs_every_eight_hours() -> None:
    trader = Trader()
    trader.order("BUY", "0.1")
    wait = next_funding(START_MS) - START_MS
    trader.move(wait - 1)
    assert trader.income("FUNDING_FEE") == []

    assert trader.move(1) == ["ACCOUNT_UPDATE"]
    assert trader.income("FUNDING_FEE") == [D("-0.6")]
    trader.move(8 * 3_600_000)
    assert len(trader.income("FUNDING_FEE")) == 2


def test_an_isolated_position_is_liquidated_and_costs_no_more_than_its_margin() -> None:
    trader = Trader()
    trader.ask("set_margin_type", marginType="ISOLATED")
    trader.ask("set_leverage", leverage="100")
    trader.order("BUY", "0.1")
    rest = trader.order("BUY", "0.01", price="57500")
    cross = trader.balance("crossWalletBalance")
    price = D(trader.position()["liquidationPrice"])

    assert trader.move(bid=f"{price + 5:.1f}", ask=f"{price + 6:.1f}") == ["MARGIN_CALL"]
    told = trader.move(bid=f"{price - 1:.1f}", ask=f"{price:.1f}")

    assert "ORDER CALCULATED FILLED" in told
    assert (trader.amount(), trader.status_of(rest)) == (0, "EXPIRED")
    assert trader.balance() == cross
    forced = trader.venue.force_orders(BTC, trader.now_ms)
    assert str(forced[0]["clientOrderId"]).startswith("autoclose-")


def test_a_cross_account_never_ends_below_zero() -> None:
    trader = Trader(balance="400")
    trader.ask("set_leverage", leverage="100")
    trader.order("BUY", "0.5")
    trader.move(bid="50000", ask="50000.1")

    assert (trader.amount(), trader.balance()) == (0, 0)
    assert sum(trader.income(), D(0)) == 0
    assert trader.income("INSURANCE_CLEAR")[-1] > 0


def test_a_jump_happens_at_once_with_all_that_follows() -> None:
    trader = Trader()
    trader.order("BUY", "0.1")
    trader.algo("STOP_MARKET", "SELL", triggerPrice="59000", closePosition="true")

    trader.venue.jump("BTCUSDT", D(58_000), trader.now_ms)

    assert trader.amount() == 0


# --- history ----------------------------------------------------------------------------------


def test_trades_come_oldest_first_and_orders_newest_last() -> None:
    trader = Trader()
    for _ in range(4):
        trader.order("BUY", "0.01")
    trades = trader.ask("user_trades", limit="2")
    orders = trader.ask("all_orders", limit="2")
    everything = trader.ask("user_trades")

    assert trades == everything[:2]
    assert [row["orderId"] for row in orders] == [row["orderId"] for row in everything[2:]]
    later = trader.ask("user_trades", fromId=str(everything[2]["id"]))
    assert later == everything[2:]
    assert trader.refused("user_trades", fromId="1", startTime="1") == -1128
    assert trader.refused("all_orders", startTime="2", endTime="1") == -1023
    week = str(START_MS + 7 * 86_400_000 + 1)
    assert trader.refused("all_orders", startTime=str(START_MS), endTime=week) == -4165


def test_reset_leaves_a_fresh_account_whose_ids_go_on() -> None:
    trader = Trader()
    trader.ask("set_leverage", leverage="5")
    before = trader.order("BUY", "0.1")
    trader.venue.reset(D(500), trader.now_ms)

    assert (trader.balance(), trader.amount(), trader.income()) == (D(500), 0, [D(500)])
    assert trader.position()["leverage"] == "20"
    assert trader.venue.all_orders(BTC, trader.now_ms) == []
    after = trader.order("BUY", "0.1", price="59000")
    assert int(str(after["orderId"])) > int(str(before["orderId"]))


# --- a restart --------------------------------------------------------------------------------


def everything(trader: Trader) -> dict[str, object]:
    """Return all that a client can see."""
    nothing = Params({})
    return {
        "orders": trader.venue.open_orders(nothing, trader.now_ms),
        "all": trader.venue.all_orders(nothing, trader.now_ms),
        "algos": trader.venue.open_algo(nothing, trader.now_ms),
        "history": trader.venue.all_algo(BTC, trader.now_ms),
        "trades": trader.venue.user_trades(BTC, trader.now_ms),
        "income": trader.venue.income(nothing, trader.now_ms),
        "account": trader.venue.account_v2(nothing, trader.now_ms),
        "risk": trader.venue.position_risk_v3(nothing, trader.now_ms),
        "config": trader.venue.symbol_config(nothing, trader.now_ms),
    }


def busy(state: State) -> Trader:
    """Return a trader who has done a little of everything."""
    trader = Trader(state=state)
    trader.ask("set_leverage", leverage="10")
    trader.ask("set_margin_type", symbol="ETHUSDT", marginType="ISOLATED")
    trader.order("BUY", "0.1")
    trader.order("BUY", "0.5", symbol="ETHUSDT")
    trader.order("SELL", "0.04", price="61000", reduceOnly="true")
    trader.order("BUY", "0.1", price="59000")
    trader.order("BUY", "0.1", price="59500")
    trader.algo("STOP_MARKET", "SELL", triggerPrice="58000", closePosition="true")
    trader.algo(
        "TRAILING_STOP_MARKET", "SELL", quantity="0.01", callbackRate="1", reduceOnly="true"
    )
    trader.move(bid="59499", ask="59499.1", last="59499", traded="1")
    return trader


def test_everything_acknowledged_survives_the_end_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "exchange" / "state.sqlite"
    trader = busy(FileState(path))
    seen = everything(trader)

    # Nothing is closed: the first process just stops, as it would when killed.
    again = Trader(state=FileState(path), market=trader.market)
    again.now_ms = trader.now_ms

    assert everything(again) == seen
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    order = again.order("BUY", "0.1")
    trades = again.venue.user_trades(BTC, again.now_ms)
    assert trades[-1]["orderId"] == order["orderId"]
    assert len({row["id"] for row in trades}) == len(trades)


def test_a_restarted_venue_goes_on_matching_and_triggering(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    trader = busy(FileState(path))
    again = Trader(state=FileState(path), market=trader.market)
    again.now_ms = trader.now_ms

    told = again.move(bid="57000", ask="57000.1")

    assert "ORDER TRADE FILLED" in told
    assert "ALGO FINISHED" in told
    assert again.amount() == 0


def test_both_kinds_of_memory_answer_alike(tmp_path: Path) -> None:
    in_file, in_memory = busy(FileState(tmp_path / "state.sqlite")), busy(MemoryState())

    assert everything(in_file) == everything(in_memory)
    assert in_file.state.last_ids() == in_memory.state.last_ids()
    assert in_file.state.open_orders() == in_memory.state.open_orders()
    assert in_file.state.open_algos() == in_memory.state.open_algos()


# --- invariants -------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 400),
            st.sampled_from(["MARKET", "GTC", "IOC", "GTX", "FOK"]),
            st.integers(-60, 60),
            st.booleans(),
            st.sampled_from(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]),
        ),
        st.tuples(
            st.just("algo"),
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 200),
            st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]),
            st.integers(1, 200),
            st.booleans(),
        ),
        st.tuples(st.just("move"), st.integers(-900, 900), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("amend"), st.integers(0, 9), st.integers(-60, 60), st.integers(1, 300)),
        st.tuples(st.just("leverage"), st.sampled_from(["1", "5", "20", "100"])),
        st.tuples(st.just("margin"), st.sampled_from(["ISOLATED", "CROSSED"])),
        st.tuples(st.just("extra"), st.integers(1, 100), st.sampled_from(["1", "2"])),
        st.tuples(st.just("deleverage"), st.integers(1, 400), st.integers(-900, 900)),
        st.tuples(st.just("wait")),
    ),
    max_size=40,
)


def act(trader: Trader, action: tuple[object, ...], price: Decimal, *, hedge: bool) -> Decimal:
    """Do one random thing, refused or not; return the price afterwards."""
    open_orders = trader.venue.open_orders(BTC, trader.now_ms)
    match action:
        case ("order", str(side), int(size), str(kind), int(offset), bool(flag), str(mode)):
            more = {} if kind == "MARKET" else {"price": f"{price + offset}", "timeInForce": kind}
            more["selfTradePreventionMode"] = mode
            if hedge:
                more["positionSide"] = "LONG" if flag else "SHORT"
            elif flag:
                more["reduceOnly"] = "true"
            trader.order(side, f"{D(size) / 1000}", **more)
        case ("algo", str(side), int(size), str(kind), int(offset), bool(flag)):
            rises = (side == "BUY") is (kind == "STOP_MARKET")
            more = {"quantity": f"{D(size) / 1000}"}
            if kind == "TRAILING_STOP_MARKET":
                more["callbackRate"] = f"{D(offset) / 50 + D('0.1')}"
            else:
                more["triggerPrice"] = f"{price + (offset if rises else -offset)}"
            if hedge:
                more["positionSide"] = "LONG" if flag else "SHORT"
            trader.algo(kind, side, **more)
        case ("move", int(distance), int(traded)):
            price = max(D(30_000), price + distance)
            trader.move(bid=f"{price}", ask=f"{price + D('0.1')}", traded=str(traded))
        case ("cancel", int(index)) if open_orders:
            order = open_orders[index % len(open_orders)]
            trader.ask("cancel_order", orderId=str(order["orderId"]))
        case ("amend", int(index), int(offset), int(size)) if open_orders:
            order = open_orders[index % len(open_orders)]
            trader.ask(
                "modify_order",
                orderId=str(order["orderId"]),
                side=order["side"],
                price=f"{price + offset}",
                quantity=f"{D(size) / 1000}",
            )
        case ("leverage", str(leverage)):
            trader.ask("set_leverage", leverage=leverage)
        case ("margin", str(word)):
            trader.ask("set_margin_type", marginType=word)
        case ("extra", int(amount), str(kind)):
            trader.ask("modify_position_margin", amount=str(amount), type=kind)
        case ("deleverage", int(size), int(distance)):
            trader.venue.deleverage(
                "BTCUSDT", trader.now_ms, quantity=D(size) / 1000, price=price + distance
            )
        case _:
            trader.move(3 * 3_600_000)
    return price


def check_bound(account: Account) -> None:
    ordered, held, unrealized, _ = account.sums()
    free = account.cross_wallet + unrealized - held - ordered
    assert not account.surely_has(free), "what is surely available is"


def check(trader: Trader, *, hedge: bool) -> None:
    """Assert what must hold after any action."""
    check_bound(trader.venue._core.account)
    account = trader.venue.account_v2(Params({}), trader.now_ms)
    assert trader.balance() == sum(trader.income(), D(0)), "wallet is the sum of the ledger"
    assert D(account["availableBalance"]) >= 0
    trades = trader.venue.user_trades(Params({"symbol": "BTCUSDT", "limit": "1000"}), START_MS)
    for side in ("LONG", "SHORT") if hedge else ("BOTH",):
        signed = (
            D(row["qty"]) * (1 if row["buyer"] else -1)
            for row in trades
            if row["positionSide"] == side
        )
        held = trader.amount(side)
        assert held == sum(signed, D(0)), "positions are the sum of fills"
        assert held >= 0 or side != "LONG"
        assert held <= 0 or side != "SHORT"
        assert D(trader.position(side)["isolatedWallet"]) >= 0
    check_orders(trader)


def check_orders(trader: Trader) -> None:
    core = trader.venue._core
    of = core.account.symbols["BTCUSDT"]
    resting: dict[tuple[str, str], Decimal] = {}
    for order in of.orders.values():
        assert order.status.is_open
        assert order.executed < order.quantity
        assert core.client_ids[order.symbol, order.client_order_id] is order
        key = order.position_side.value, order.side.value
        resting[key] = resting.get(key, D(0)) + order.exposure
    assert {k: v for k, v in of.resting.items() if v} == {k: v for k, v in resting.items() if v}
    for stored in trader.state.open_orders():
        assert stored.order_id in of.orders
    for row in trader.venue.all_orders(Params({"symbol": "BTCUSDT"}), trader.now_ms):
        is_open = row["status"] in ("NEW", "PARTIALLY_FILLED")
        assert is_open is (row["orderId"] in of.orders)
        assert (row["status"] == "FILLED") is (row["executedQty"] == row["origQty"])
    afresh = [of.figure() for of in core.account.symbols.values()]
    for kept, figures in zip(core.account.sums(), zip(*afresh, strict=True), strict=True):
        assert kept == sum(figures), "the running sums never drift"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
@given(actions=ACTIONS, hedge=st.booleans(), balance=st.sampled_from(["60", "1000", "100000"]))
def test_money_positions_and_orders_agree_after_any_actions(
    actions: list[tuple[object, ...]], hedge: bool, balance: str
) -> None:
    trader = Trader(balance=balance)
    if hedge:
        trader.ask("set_position_mode", dualSidePosition="true")
    price = D(60_000)
    for action in actions:
        with contextlib.suppress(VenueRefusal):
            price = act(trader, action, price, hedge=hedge)
        check(trader, hedge=hedge)

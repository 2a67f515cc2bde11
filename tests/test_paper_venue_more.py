"""The venue's rarer ways: exits amended, orders chained by modifications, brackets, restarts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.paper import PaperVenue
from tests.support.scripted_market import ScriptedMarket, Trader, kinds, tick
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.public_keys import keep_registered, registered
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.streams.user_streams import LISTEN_KEY_LIFE_MS, ListenKeys

D = Decimal


# --- amendments -----------------------------------------------------------------------------------


def test_an_amended_exit_is_cut_to_the_position() -> None:
    trader = Trader()
    trader.order("BUY", "0.2")
    leaving = trader.order("SELL", "0.1", price="61000", reduceOnly="true")
    sent = {"side": "SELL", "orderId": str(leaving["orderId"]), "price": "61000"}

    changed = trader.ask("modify_order", **sent, quantity="0.5")

    assert changed["origQty"] == "0.200"
    assert trader.refused("modify_order", **sent, quantity="0.3") == -5027


def test_an_amended_hedge_exit_beyond_the_position_is_refused() -> None:
    trader = Trader()
    trader.venue.set_position_mode(Params({"dualSidePosition": "true"}), trader.now_ms)
    trader.order("BUY", "0.1", positionSide="LONG")
    leaving = trader.order("SELL", "0.1", price="61000", positionSide="LONG")
    sent = {"side": "SELL", "orderId": str(leaving["orderId"]), "price": "61000"}

    assert trader.refused("modify_order", **sent, quantity="0.101") == -2022
    assert trader.ask("modify_order", **sent, quantity="0.05")["origQty"] == "0.050"


def test_amendments_are_listed_newest_first_by_time_and_with_their_own_id() -> None:
    trader = Trader()
    order = trader.order("BUY", "0.1", price="59000")
    which = {"orderId": str(order["orderId"])}
    for number in range(60):
        trader.now_ms += 1
        wish = {"side": "BUY", "quantity": "0.1", "price": str(58_000 + number)}
        trader.ask("modify_order", **which, **wish, modifyId=str(number))

    rows = trader.ask("order_amendments", **which)
    all_rows = trader.ask("order_amendments", **which, limit="1000")
    early = trader.ask("order_amendments", **which, endTime=str(trader.now_ms - 58))

    assert [row["amendment"]["count"] for row in rows] == list(range(60, 10, -1))
    assert len(all_rows) == 60
    assert [row["amendment"]["modifyId"] for row in early] == [1, 0]


# --- self trades ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("time_in_force", "reason"), [("GTC", "1"), ("IOC", "3")])
def test_a_taker_stopped_before_its_own_order_says_why(time_in_force: str, reason: str) -> None:
    trader = Trader(market=ScriptedMarket([tick(size="0.05")]))
    trader.order("SELL", "0.1", price="60000.2")
    trader.events()

    trader.order(
        "BUY",
        "0.2",
        price="60000.3",
        timeInForce=time_in_force,
        selfTradePreventionMode="EXPIRE_TAKER",
    )

    last = [event["o"] for event in trader.events() if event["e"] == "ORDER_TRADE_UPDATE"][-1]
    assert (last["X"], last["er"]) == ("EXPIRED_IN_MATCH", reason)


# --- liquidation ----------------------------------------------------------------------------------


def test_a_large_cross_position_goes_bracket_by_bracket_and_small_ones_at_once() -> None:
    trader = Trader(balance="80000")
    trader.ask("set_leverage", leverage="50")
    trader.order("BUY", "60")  # 3.6 million: the fourth bracket, maintained with 24 000
    trader.events()

    happened = trader.move(bid="59000", ask="59000.1", mark="59000")

    forced = trader.ask("force_orders")
    assert happened[0] == "ORDER NEW NEW"
    assert happened[1] == "ACCOUNT_UPDATE"
    assert happened[2].startswith("ORDER CALCULATED")
    assert len(forced) >= 2
    assert D(forced[0]["executedQty"]) == D(60) - (D(3_000_000) / D(59_000)).quantize(
        D("0.001"), rounding="ROUND_DOWN"
    )
    assert all(row["clientOrderId"].startswith("autoclose-") for row in forced)
    assert trader.balance() == sum(trader.income())


def test_a_large_isolated_position_is_liquidated_no_further_than_needed() -> None:
    trader = Trader(balance="2000000")
    trader.ask("set_margin_type", marginType="ISOLATED")
    trader.ask("set_leverage", leverage="25")
    for _ in range(3):
        trader.order("BUY", "100")  # 18 million: the fifth bracket, maintained with 2 %
    cross = trader.balance("crossWalletBalance")
    price = D(trader.position()["liquidationPrice"]).quantize(D("0.1"))

    trader.move(bid=str(price - 1), ask=str(price), mark=str(price - 1))

    assert len(trader.ask("force_orders")) == 1
    kept = (D(12_000_000) / (price - 1)).quantize(D("0.001"), rounding="ROUND_DOWN")
    assert trader.amount() == kept
    assert D(trader.position()["liquidationPrice"]) < price - 1
    assert trader.balance("crossWalletBalance") == cross
    assert trader.balance() == sum(trader.income())


def test_an_isolated_position_that_cannot_stand_is_gone_bracket_by_bracket() -> None:
    trader = Trader(balance="2000000")
    trader.ask("set_margin_type", marginType="ISOLATED")
    trader.ask("set_leverage", leverage="25")
    for _ in range(3):
        trader.order("BUY", "100")
    cross = trader.balance("crossWalletBalance")

    trader.move(bid="56000", ask="56000.1", mark="56000")

    assert trader.amount() == 0
    assert len(trader.ask("force_orders")) > 1
    assert trader.balance() == cross == sum(trader.income())


def test_a_deleveraging_closes_at_its_price_without_a_fee_and_cancels_what_rests() -> None:
    trader = Trader()
    trader.order("BUY", "0.3")
    resting = trader.order("BUY", "0.1", price="59000")
    trader.move(bid="61000", ask="61000.1", mark="61000")
    trader.events()
    before = trader.balance()

    trader.venue.deleverage("BTCUSDT", trader.now_ms, quantity=D("0.1"), price=D("61500"))

    told = trader.events()
    assert trader.amount() == D("0.2")
    assert trader.status_of(resting) == "CANCELED"
    assert [event["e"] for event in told] == [
        *("ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE")
    ]
    assert [(e["o"]["c"], e["o"]["x"], e["o"]["X"]) for e in (told[1], told[3])] == [
        ("adl_autoclose", "NEW", "NEW"),
        ("adl_autoclose", "CALCULATED", "FILLED"),
    ]
    assert trader.balance() - before == D("0.1") * (D("61500") - D("60000.1"))
    (row,) = trader.ask("force_orders", autoCloseType="ADL")
    assert (row["clientOrderId"], row["timeInForce"]) == ("adl_autoclose", "GTC")
    assert trader.ask("force_orders", autoCloseType="LIQUIDATION") == []


def test_nothing_is_deleveraged_beyond_what_is_held() -> None:
    trader = Trader()
    with pytest.raises(VenueRefusal) as refused:
        trader.venue.deleverage("BTCUSDT", trader.now_ms)
    trader.order("SELL", "0.1")
    with pytest.raises(VenueRefusal) as too_much:
        trader.venue.deleverage("BTCUSDT", trader.now_ms, quantity=D("0.101"))
    trader.venue.deleverage("BTCUSDT", trader.now_ms, quantity=D("0.1"))

    assert (refused.value.code, too_much.value.code) == (-2024, -2024)
    assert trader.amount() == 0


def test_forced_orders_are_listed_by_their_kind() -> None:
    trader = Trader(balance="1000")
    trader.ask("set_leverage", leverage="50")
    trader.order("BUY", "0.001")
    trader.venue.deleverage("BTCUSDT", trader.now_ms)
    trader.order("BUY", "0.5")
    trader.move(bid="58000", ask="58000.1", mark="58000")

    (deleveraged,) = trader.ask("force_orders", autoCloseType="adl", limit="1")
    (liquidated,) = trader.ask("force_orders", autoCloseType="LIQUIDATION", limit="1")

    assert trader.ask("force_orders") == [deleveraged, liquidated]
    assert deleveraged["clientOrderId"] == "adl_autoclose"
    assert str(liquidated["clientOrderId"]).startswith("autoclose-")
    assert trader.refused("force_orders", autoCloseType="X") == -1130


@pytest.mark.parametrize(("bid", "place"), [("59000", 1), ("60100", 2), ("61600", 3), ("63300", 4)])
def test_profit_on_margin_places_a_position_in_the_queue(bid: str, place: int) -> None:
    trader = Trader()
    trader.order("BUY", "0.1")
    trader.move(bid=bid, ask=str(D(bid) + D("0.1")), mark=bid)

    (row,) = trader.ask("adl_quantile")
    assert row["adlQuantile"] == {"LONG": 0, "SHORT": 0, "BOTH": place}
    assert trader.venue.position_risk_v3(Params({}), trader.now_ms)[0]["adl"] == place


def test_in_hedge_mode_both_sides_stand_as_one() -> None:
    trader = Trader()
    trader.venue.set_position_mode(Params({"dualSidePosition": "true"}), trader.now_ms)
    trader.order("BUY", "0.1", positionSide="LONG")

    (row,) = trader.ask("adl_quantile")

    assert row["adlQuantile"] == {"LONG": 1, "SHORT": 0, "HEDGE": 1}


@pytest.mark.parametrize("isolated", [False, True])
def test_both_sides_of_a_cross_hedge_show_one_liquidation_price(isolated: bool) -> None:
    trader = Trader()
    if isolated:
        trader.ask("set_margin_type", marginType="ISOLATED")
    trader.venue.set_position_mode(Params({"dualSidePosition": "true"}), trader.now_ms)
    trader.order("BUY", "1", positionSide="LONG")
    trader.order("SELL", "0.4", positionSide="SHORT")

    rows = trader.venue.position_risk_v3(Params({}), trader.now_ms)

    long, short = (D(row["liquidationPrice"]) for row in rows)
    mark = D(rows[0]["markPrice"])
    assert 0 < long < mark
    assert (short > mark) if isolated else (short == long)


# --- restarts -------------------------------------------------------------------------------------


def test_a_dead_mans_timer_outlives_the_process() -> None:
    first = Trader()
    order = first.order("BUY", "0.1", price="59000")
    first.ask("countdown_cancel_all", countdownTime="10000")

    second = Trader(state=first.state, market=first.market)
    second.venue.advance(first.now_ms + 9_999)
    still = second.status_of(order)
    second.venue.advance(first.now_ms + 10_000)

    assert (still, second.status_of(order)) == ("NEW", "CANCELED")


def test_a_timer_called_off_stays_off_after_a_restart_and_a_reset_forgets_it() -> None:
    first = Trader()
    first.ask("countdown_cancel_all", countdownTime="10000")
    first.ask("countdown_cancel_all", countdownTime="0")
    second = Trader(state=first.state, market=first.market)
    order = second.order("BUY", "0.1", price="59000")
    second.venue.advance(first.now_ms + 20_000)

    assert second.status_of(order) == "NEW"

    second.ask("countdown_cancel_all", countdownTime="10000")
    second.venue.reset(D(1_000), second.now_ms)
    third = Trader(state=second.state, market=second.market)
    after = third.order("BUY", "0.01", price="59000")
    third.venue.advance(second.now_ms + 60_000)
    assert third.status_of(after) == "NEW"


def test_listen_keys_and_public_keys_outlive_process_and_reset() -> None:
    state = MemoryState()
    first = Trader(state=state)
    key = ListenKeys(lambda: "k" * 64, first.venue).create(1_000)
    keep_registered(first.venue, {"mine": "pem"})
    first.venue.reset(D(1_000), first.now_ms)

    second = Trader(state=state, market=first.market)
    keys = ListenKeys(lambda: "other", second.venue)

    assert keys.is_alive(key, LISTEN_KEY_LIFE_MS)
    assert not keys.is_alive(key, LISTEN_KEY_LIFE_MS + 1_000)
    assert keys.create(2_000) == key
    assert registered(second.venue) == {"mine": "pem"}
    keys.close(2_001)
    assert ListenKeys(lambda: "other", second.venue).create(2_002) == "other"


# --- what the market hears of a triggered order ---------------------------------------------------


def test_a_triggered_order_is_an_ordinary_one_under_the_conditional_ones_name() -> None:
    paper = PaperVenue()
    user = paper.listen_to_user()
    paper.ask(
        "POST",
        "/fapi/v1/algoOrder",
        {
            "algoType": "CONDITIONAL",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "STOP_MARKET",
            "quantity": "0.01",
            "triggerPrice": "95500",
            "workingType": "MARK_PRICE",
            "clientAlgoId": "mine",
        },
    )

    paper.set_price("BTCUSDT", "95500")

    heard = user.take()
    assert kinds(heard)[:4] == ["ALGO NEW", "ALGO TRIGGERING", "ALGO TRIGGERED", "ORDER NEW NEW"]
    assert kinds(heard)[-1] == "ALGO FINISHED"
    (row,) = paper.ask("GET", "/fapi/v1/allOrders", {"symbol": "BTCUSDT"})
    assert (row["clientOrderId"], row["type"], row["origType"]) == ("mine", "MARKET", "MARKET")
    assert (D(row["stopPrice"]), row["workingType"]) == (0, "CONTRACT_PRICE")

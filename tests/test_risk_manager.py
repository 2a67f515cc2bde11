"""The one door every order passes: what it lets through, what it refuses, with which numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.facts import NOW_MS, btc_instrument, day, position, risk_view
from trader_cli.domain.order import ConditionalRequest, LimitRequest, MarketRequest, OrderRequest
from trader_cli.domain.terms import Direction, OrderType, PositionSide, Side, TimeInForce
from trader_cli.errors import Halted, RefusedByRisk
from trader_cli.trading.risk.risk_manager import (
    Approved,
    DayResult,
    EntryBlock,
    HaltView,
    MarkView,
    Refused,
    RestingEntry,
    RiskLimits,
    RiskManager,
    RiskView,
    Severity,
    Sized,
    clamp_leverage,
)

RISK = RiskManager(RiskLimits())
HALT = HaltView(reason="kill --all")


def limit(
    side: Side = Side.BUY,
    quantity: str = "0.001",
    price: str = "100000",
    *,
    reduce_only: bool = False,
) -> LimitRequest:
    return LimitRequest(
        symbol="BTCUSDT",
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        client_order_id="trd-x-en0",
        reduce_only=reduce_only,
    )


def market(side: Side = Side.BUY, quantity: str = "0.001") -> MarketRequest:
    return MarketRequest(
        symbol="BTCUSDT", side=side, quantity=Decimal(quantity), client_order_id="trd-x-en0"
    )


def resting(side: Side, quantity: str, price: str | None = None) -> RestingEntry:
    return RestingEntry(
        symbol="BTCUSDT",
        side=side,
        position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
    )


def refusal(request: OrderRequest, view: RiskView, manager: RiskManager = RISK) -> Refused:
    verdict = manager.check(request, view)
    assert isinstance(verdict, Refused), verdict
    return verdict


def approved(request: OrderRequest, view: RiskView, manager: RiskManager = RISK) -> Approved:
    verdict = manager.check(request, view)
    assert isinstance(verdict, Approved), verdict
    return verdict


def test_order_at_the_position_limit_passes_unchanged() -> None:
    request = limit(quantity="0.010", price="100000")

    assert approved(request, risk_view()) == Approved(request=request)


def test_order_one_step_above_the_position_limit_is_refused_with_both_numbers() -> None:
    verdict = refusal(limit(quantity="0.011"), risk_view())

    assert (verdict.rule, verdict.limit, verdict.actual) == (
        "max_position_usd",
        Decimal(1000),
        Decimal(1100),
    )
    assert "max_position_usd" in verdict.message
    assert "1100" in verdict.message
    assert "1000" in verdict.message


def test_five_bitcoin_are_refused_as_an_error_a_command_ends_with() -> None:
    error = refusal(limit(quantity="5", price="60000"), risk_view()).error()

    assert isinstance(error, RefusedByRisk)
    assert (error.exit_code, error.code) == (4, "max_position_usd")


def test_buy_below_mark_is_valued_at_mark() -> None:
    verdict = refusal(limit(quantity="0.011", price="60000"), risk_view())

    assert verdict.actual == Decimal(1100)


def test_buy_above_mark_is_valued_at_its_own_price() -> None:
    verdict = refusal(limit(quantity="0.010", price="104000"), risk_view())

    assert verdict.actual == Decimal(1040)


def test_position_and_own_resting_entries_of_the_side_count() -> None:
    view = replace(
        risk_view(), positions=(position("0.004"),), resting=(resting(Side.BUY, "0.003", "90000"),)
    )

    approved(limit(quantity="0.003"), view)
    assert refusal(limit(quantity="0.004"), view).actual == Decimal(1100)


def test_order_against_the_position_counts_only_what_remains_beyond() -> None:
    view = replace(risk_view(), positions=(position("0.008"),))

    approved(market(Side.SELL, "0.018"), view)
    assert refusal(market(Side.SELL, "0.019"), view).actual == Decimal(1100)


def test_resting_orders_use_up_the_position_an_order_would_reduce() -> None:
    view = replace(
        risk_view(),
        positions=(position("0.008"),),
        resting=(resting(Side.SELL, "0.008", "101000"),),
    )

    verdict = refusal(market(Side.SELL, "0.011"), view)

    assert verdict.rule == "max_position_usd"


def test_reducing_a_position_that_prices_have_grown_beyond_the_limit_is_no_entry() -> None:
    view = replace(risk_view(), positions=(position("0.020"),))

    assert approved(market(Side.SELL, "0.005"), view).notes == ()


def test_hedge_sides_are_judged_apart_but_exposed_together() -> None:
    long_side = position("0.008", position_side=PositionSide.LONG)
    view = replace(risk_view(), positions=(long_side,))
    request = replace(market(Side.SELL, "0.008"), position_side=PositionSide.SHORT)

    assert refusal(request, view).rule == "max_total_exposure_usd"

    roomy = RiskManager(RiskLimits(max_total_exposure_usd=Decimal(1600)))
    approved(request, view, roomy)


def test_positions_in_other_symbols_count_for_total_exposure() -> None:
    other = position("0.2", symbol="ETHUSDT", entry="3000", mark="3000")
    view = replace(risk_view(), positions=(other,))

    approved(market(quantity="0.004"), view)
    verdict = refusal(market(quantity="0.005"), view)
    assert (verdict.rule, verdict.actual) == ("max_total_exposure_usd", Decimal(1100))


@pytest.mark.parametrize(
    ("side", "passes", "refused"),
    [(Side.BUY, "105000", "105000.1"), (Side.SELL, "95000", "94999.9")],
)
def test_price_band_refuses_only_beyond_its_edge(side: Side, passes: str, refused: str) -> None:
    manager = RiskManager(RiskLimits(max_position_usd=Decimal(100_000)))

    approved(limit(side, price=passes), risk_view(), manager)
    assert refusal(limit(side, price=refused), risk_view(), manager).rule == "price_band_pct"


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "60000"), (Side.SELL, "150000")])
def test_prices_better_than_mark_are_never_out_of_band(side: Side, price: str) -> None:
    approved(limit(side, price=price), risk_view())


def test_post_only_order_beyond_the_band_is_left_to_the_exchange_to_refuse() -> None:
    request = replace(limit(price="105001", quantity="0.001"), time_in_force=TimeInForce.GTX)

    approved(request, risk_view())


def test_mark_price_is_stale_one_millisecond_after_its_limit() -> None:
    fresh = {"BTCUSDT": MarkView(price=Decimal(100_000), age_ms=10_000)}
    stale = {"BTCUSDT": MarkView(price=Decimal(100_000), age_ms=10_001)}

    approved(market(), replace(risk_view(), marks=fresh))
    verdict = refusal(market(), replace(risk_view(), marks=stale))
    assert (verdict.rule, verdict.actual) == ("stale_price_s", Decimal("10.001"))


def test_missing_mark_price_refuses_instead_of_guessing() -> None:
    assert refusal(market(), replace(risk_view(), marks={})).rule == "stale_price_s"


@pytest.mark.parametrize(("leverage", "passes"), [(20, True), (21, False)])
def test_leverage_in_effect_is_limited(leverage: int, passes: bool) -> None:
    verdict = RISK.check(market(), replace(risk_view(), leverages={"BTCUSDT": leverage}))

    assert isinstance(verdict, Approved) == passes


def test_unknown_leverage_refuses_entries() -> None:
    assert refusal(market(), replace(risk_view(), leverages={})).rule == "max_leverage"


def test_symbol_that_does_not_trade_refuses_entries() -> None:
    settling = replace(btc_instrument(), status="SETTLING")

    verdict = refusal(market(), replace(risk_view(), instruments={"BTCUSDT": settling}))

    assert verdict.rule == "symbol_status"


def test_halt_comes_before_any_other_rule() -> None:
    worst = replace(
        risk_view(),
        marks={},
        leverages={},
        day=day("-5000"),
        halts=(HALT,),
        blocks=(EntryBlock(rule="live_gate", message="no attestation"),),
    )

    error = refusal(limit(quantity="5"), worst).error()

    assert isinstance(error, Halted)
    assert error.exit_code == 9


@pytest.mark.parametrize(("symbol", "binds"), [("BTCUSDT", True), ("ETHUSDT", False)])
def test_halt_of_a_symbol_binds_that_symbol_only(symbol: str, binds: bool) -> None:
    view = replace(risk_view(), halts=(HaltView(reason="kill --symbol", symbol=symbol),))

    assert isinstance(RISK.check(market(), view), Refused) == binds


@pytest.mark.parametrize(("symbol", "binds"), [(None, True), ("BTCUSDT", True), ("ETHUSDT", False)])
def test_block_forbids_entries_in_its_scope(symbol: str | None, binds: bool) -> None:
    block = EntryBlock(rule="unknown_order", message="an order is unknown", symbol=symbol)

    verdict = RISK.check(market(), replace(risk_view(), blocks=(block,)))

    assert isinstance(verdict, Refused) == binds


EXITS: list[OrderRequest] = [
    limit(Side.SELL, "5", "1", reduce_only=True),
    replace(market(Side.SELL, "5"), reduce_only=True),
    replace(market(Side.SELL, "5"), position_side=PositionSide.LONG),
    replace(market(Side.BUY, "5"), position_side=PositionSide.SHORT),
    ConditionalRequest(
        symbol="BTCUSDT",
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id="trd-x-sl0",
        trigger_price=Decimal(1),
        close_position=True,
    ),
]


@pytest.mark.parametrize("request_", EXITS)
def test_exits_that_only_reduce_pass_whatever_else_is_true(request_: OrderRequest) -> None:
    worst = replace(
        risk_view(), marks={}, leverages={}, instruments={}, day=day("-9000"), halts=(HALT,)
    )

    assert approved(request_, worst).request == request_


def test_plain_order_within_the_position_becomes_reduce_only_while_halted() -> None:
    view = replace(risk_view(), positions=(position("0.005"),), halts=(HALT,))

    verdict = approved(market(Side.SELL, "0.005"), view)

    assert verdict.request.reduce_only
    assert "reduce-only" in verdict.notes[0]


def test_plain_order_beyond_the_position_is_refused_while_halted() -> None:
    view = replace(risk_view(), positions=(position("0.005"),), halts=(HALT,))

    assert refusal(market(Side.SELL, "0.006"), view).rule == "halted"


def test_trailing_entry_and_stop_entry_are_judged_as_entries() -> None:
    request = ConditionalRequest(
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.STOP_MARKET,
        client_order_id="trd-x-en0",
        quantity=Decimal("0.011"),
        trigger_price=Decimal(120_000),
    )

    assert refusal(request, risk_view()).actual == Decimal(1320)


@pytest.mark.parametrize(
    ("pnl", "opening", "reached", "rule"),
    [
        ("-49.99", "10000", False, "max_daily_loss_usd"),
        ("-50", "10000", True, "max_daily_loss_usd"),
        ("-24.99", "500", False, "max_daily_loss_pct"),
        ("-25", "500", True, "max_daily_loss_pct"),
        ("500", "500", False, "max_daily_loss_pct"),
        ("0", "0", False, "max_daily_loss_pct"),
    ],
)
def test_tighter_daily_limit_binds(pnl: str, opening: str, reached: bool, rule: str) -> None:
    view = replace(risk_view(), day=day(pnl, opening_equity=opening))

    verdict = RISK.check_daily_loss(view)

    assert (verdict.reached, verdict.rule) == (reached, rule)
    assert verdict.close_positions == reached


def test_daily_result_adds_realised_unrealised_fees_and_funding() -> None:
    result = DayResult(
        opening_equity=Decimal(10000),
        realized=Decimal(-20),
        unrealized=Decimal(-25),
        fees=Decimal(-4),
        funding=Decimal(-1),
    )

    verdict = RISK.check_daily_loss(replace(risk_view(), day=result))

    assert (verdict.pnl, verdict.reached, verdict.used_pct) == (Decimal(-50), True, Decimal(100))


def test_loss_that_was_there_at_the_days_start_is_not_todays() -> None:
    result = DayResult(
        opening_equity=Decimal(10000),
        realized=Decimal(-60),
        unrealized=Decimal(0),
        opening_unrealized=Decimal(-60),
        fees=Decimal(0),
        funding=Decimal(0),
    )

    assert not RISK.check_daily_loss(replace(risk_view(), day=result)).reached


def test_day_limit_refuses_entries_and_stop_mode_leaves_positions_alone() -> None:
    manager = RiskManager(RiskLimits(on_day_limit="stop"))
    view = replace(risk_view(), day=day("-50"))

    verdict = refusal(market(), view, manager)

    assert (verdict.rule, verdict.limit, verdict.actual) == (
        "max_daily_loss_usd",
        Decimal(50),
        Decimal(50),
    )
    assert not manager.check_daily_loss(view).close_positions


@pytest.mark.parametrize(("equity", "stops"), [("9000.01", False), ("9000", True)])
def test_emergency_stop_at_ten_percent_below_the_peak(equity: str, stops: bool) -> None:
    stop = RISK.trigger_emergency_stop(Decimal(equity), Decimal(10000))

    assert (stop is not None) == stops


def test_account_that_never_held_money_has_no_emergency() -> None:
    assert RISK.trigger_emergency_stop(Decimal(0), Decimal(0)) is None


def test_alert_is_returned_for_the_caller_to_deliver() -> None:
    alert = RISK.send_alert(Severity.CRITICAL, "equity fell")

    assert (alert.severity, alert.message) == ("critical", "equity fell")


def test_check_can_open_judges_with_the_leverage_to_be_set() -> None:
    view = replace(risk_view(), leverages={})

    small = RISK.check_can_open("BTCUSDT", Direction.SHORT, Decimal(1000), 20, view)
    large = RISK.check_can_open("BTCUSDT", Direction.SHORT, Decimal(1001), 20, view)
    geared = RISK.check_can_open("BTCUSDT", Direction.SHORT, Decimal(100), 21, view)

    assert isinstance(small, Approved)
    assert isinstance(large, Refused)
    assert isinstance(geared, Refused)
    assert (large.rule, geared.rule) == ("max_position_usd", "max_leverage")


@pytest.mark.parametrize(
    ("stop", "passes"), [(None, False), ("99000", True), ("98000", False), ("101000", True)]
)
def test_loss_per_trade_takes_the_stop_or_assumes_two_percent(
    stop: str | None, passes: bool
) -> None:
    manager = RiskManager(RiskLimits(max_loss_per_trade_usd=Decimal(15)))
    stop_price = None if stop is None else Decimal(stop)

    verdict = manager.check(market(quantity="0.010"), risk_view(), stop_price=stop_price)

    assert isinstance(verdict, Approved) == passes


@pytest.mark.parametrize(("ago_ms", "passes"), [(29_999, False), (30_000, True)])
def test_cool_down_after_a_loss_ends_on_time(ago_ms: int, passes: bool) -> None:
    manager = RiskManager(RiskLimits(cool_down_after_loss_s=Decimal(30)))

    verdict = manager.check(market(), replace(risk_view(), last_loss_ms=NOW_MS - ago_ms))

    assert isinstance(verdict, Approved) == passes


@pytest.mark.parametrize(("sent", "passes"), [(1, True), (2, False)])
def test_order_rate_counts_the_order_asked_about(sent: int, passes: bool) -> None:
    manager = RiskManager(RiskLimits(max_orders_per_minute=2))

    verdict = manager.check(market(), replace(risk_view(), entries_last_minute=sent))

    assert isinstance(verdict, Approved) == passes


@pytest.mark.parametrize(
    ("wanted", "venue_max", "value", "note"),
    [
        ("20", None, 20, None),
        ("125", None, 20, "leverage 125 → 20 (max_leverage)"),
        ("19.9", None, 19, "leverage 19.9 → 19 (whole number, at least 1)"),
        ("0", None, 1, "leverage 0 → 1 (whole number, at least 1)"),
        ("15", 10, 10, "leverage 15 → 10 (the exchange's maximum for this size)"),
    ],
)
def test_leverage_is_clamped_and_said(
    wanted: str, venue_max: int | None, value: int, note: str | None
) -> None:
    clamped = clamp_leverage(Decimal(wanted), RiskLimits(), venue_max=venue_max)

    assert clamped.value == value
    assert clamped.notes == (() if note is None else (note,))


def size(
    view: RiskView, *, capital: str = "10000", size_pct: str = "95", price: str = "100000"
) -> Sized | Refused:
    return RISK.size_for_signal(
        symbol="BTCUSDT",
        direction=Direction.LONG,
        capital=Decimal(capital),
        size_pct=Decimal(size_pct),
        leverage=20,
        price=Decimal(price),
        view=view,
    )


def test_signal_size_is_clamped_to_the_position_limit_and_said() -> None:
    sized = size(risk_view())

    assert isinstance(sized, Sized)
    assert (sized.quantity, sized.notional, sized.margin) == (
        Decimal("0.010"),
        Decimal(1000),
        Decimal(50),
    )
    assert sized.notes == ("notional 190000 → 1000 USDT (max_position_usd)",)


def test_signal_size_within_the_limits_is_floored_to_the_step() -> None:
    sized = size(risk_view(), capital="29.9", size_pct="100")

    assert isinstance(sized, Sized)
    assert (sized.quantity, sized.notes) == (Decimal("0.005"), ())


def test_signal_size_above_all_of_the_capital_is_cut_to_it() -> None:
    sized = size(risk_view(), capital="25", size_pct="135")

    assert isinstance(sized, Sized)
    assert sized.notional == Decimal(500)
    assert sized.notes == ("size 135 % → 100 % of capital",)


def test_signal_size_below_the_minimum_notional_is_refused_with_its_number() -> None:
    refused = size(risk_view("45000"), capital="3", price="45000")

    assert isinstance(refused, Refused)
    assert (refused.rule, refused.limit, refused.actual) == (
        "MIN_NOTIONAL",
        Decimal(50),
        Decimal("45"),
    )


def test_signal_without_room_left_is_refused_and_says_which_limit_left_none() -> None:
    refused = size(replace(risk_view(), positions=(position("0.010"),)))

    assert isinstance(refused, Refused)
    assert refused.rule == "LOT_SIZE"
    assert refused.advice is not None
    assert "max_position_usd leaves 0 USDT" in refused.advice


steps = st.integers(min_value=0, max_value=40).map(lambda n: Decimal(n) / 1000)
sides = st.sampled_from(Side)


@given(
    held=st.integers(min_value=-20, max_value=20),
    rest=st.lists(st.tuples(sides, steps, st.integers(90_000, 110_000)), max_size=4),
    side=sides,
    quantity=steps.filter(lambda q: q > 0),
    price=st.integers(60_000, 140_000),
)
def test_approved_entries_never_lead_beyond_the_position_limit(
    held: int,
    rest: list[tuple[Side, Decimal, int]],
    side: Side,
    quantity: Decimal,
    price: int,
) -> None:
    """However the approved order and everything resting fills, no new exposure passes the limit."""
    rows = tuple(resting(way, str(size), str(at)) for way, size, at in rest)
    signed = Decimal(held) / 1000
    positions = (position(str(signed)),) if held else ()
    view = replace(risk_view(), positions=positions, resting=rows)

    verdict = RISK.check(limit(side, str(quantity), str(price)), view)

    if isinstance(verdict, Refused) or verdict.request.reduce_only:
        return
    on_side = sum((size for way, size, _ in rest if way is side), quantity)
    after = signed + side.sign * on_side
    if after * side.sign > 0:
        assert after * side.sign * 100_000 <= 1000


@given(
    capital=st.integers(0, 20_000),
    pct=st.integers(0, 135),
    held=st.integers(-10, 10),
    worst=st.integers(95_000, 105_000),
)
def test_a_size_that_was_given_always_passes_the_check(
    capital: int, pct: int, held: int, worst: int
) -> None:
    positions = (position(str(Decimal(held) / 1000)),) if held else ()
    view = replace(risk_view(), positions=positions)

    sized = size(view, capital=str(capital), size_pct=str(pct), price=str(worst))

    if isinstance(sized, Sized):
        approved(limit(quantity=str(sized.quantity), price=str(worst)), view)

"""Stops, targets and trailing stops: where they lie, and when they do not protect."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.facts import btc_brackets, btc_instrument
from trader_cli.domain.account import LeverageBracket
from trader_cli.domain.numbers import ONE
from trader_cli.domain.protection import (
    StopProblem,
    callback_rate,
    check_stop,
    check_take_profit,
    isolated_margin,
    liquidation_price,
    note_on_target,
    stop_price,
    take_profit_price,
    trailing_stop,
)
from trader_cli.domain.terms import Direction

BTC = btc_instrument()
LONG, SHORT = Direction.LONG, Direction.SHORT
directions = st.sampled_from(Direction)
entries = st.integers(min_value=10_000_0, max_value=200_000_0).map(lambda n: Decimal(n) / 10)


@pytest.mark.parametrize(
    ("direction", "stop", "target"), [(LONG, "99825.0", "100400.0"), (SHORT, "100175.0", "99600.0")]
)
def test_distances_are_roi_divided_by_leverage(
    direction: Direction, stop: str, target: str
) -> None:
    entry = Decimal(100_000)

    assert stop_price(BTC, direction, entry, Decimal("3.5"), 20) == Decimal(stop)
    assert take_profit_price(BTC, direction, entry, Decimal(8), 20) == Decimal(target)


def test_a_price_that_is_on_the_tick_is_not_rounded_past_it() -> None:
    target = take_profit_price(BTC, Direction.LONG, Decimal(51_748), Decimal(15), 34)

    assert target == Decimal("51976.3")


@given(direction=directions, entry=entries, roi=st.integers(1, 50), leverage=st.integers(1, 125))
def test_rounding_never_costs_the_operator(
    direction: Direction, entry: Decimal, roi: int, leverage: int
) -> None:
    distance = entry * roi / 100 / leverage

    stop = stop_price(BTC, direction, entry, Decimal(roi), leverage)
    target = take_profit_price(BTC, direction, entry, Decimal(roi), leverage)

    assert (entry - stop) * direction.sign <= distance
    assert (target - entry) * direction.sign >= distance
    for price in (stop, target):
        assert price % BTC.tick_size == 0
    assert abs((entry - stop) * direction.sign - distance) < BTC.tick_size
    assert abs((target - entry) * direction.sign - distance) < BTC.tick_size


def test_trailing_converts_activation_and_distance() -> None:
    trailing = trailing_stop(
        BTC,
        LONG,
        Decimal(100_000),
        activation_roi_pct=Decimal(5),
        distance_roi_pct=Decimal(4),
        leverage=20,
    )

    assert (trailing.activate_price, trailing.callback_rate) == (Decimal(100_250), Decimal("0.2"))
    assert trailing.notes == ()


def test_trailing_of_a_short_activates_below_the_entry() -> None:
    trailing = trailing_stop(
        BTC,
        SHORT,
        Decimal(100_000),
        activation_roi_pct=Decimal(5),
        distance_roi_pct=Decimal(4),
        leverage=20,
    )

    assert trailing.activate_price == Decimal(99_750)


@pytest.mark.parametrize(
    ("wanted", "rate", "note"),
    [
        ("0.1", "0.1", None),
        ("0.099", "0.1", "the exchange's minimum"),
        ("0.05", "0.1", "the exchange's minimum"),
        ("0.175", "0.18", "two decimals"),
        ("20", "20", None),
        ("20.01", "20", "the exchange's maximum"),
    ],
)
def test_callback_rate_is_brought_into_range_and_said(
    wanted: str, rate: str, note: str | None
) -> None:
    got, notes = callback_rate(Decimal(wanted))

    assert got == Decimal(rate)
    assert len(notes) == (0 if note is None else 1)
    if note is not None:
        assert note in notes[0]


def test_liquidation_price_matches_the_worked_example() -> None:
    """Source: binance-usdm reference §13.6: Q=1, EP=100, WB=10, MMR=0.004 gives 90.361."""
    price = liquidation_price(LONG, ONE, Decimal(100), Decimal(10), btc_brackets())

    assert price is not None
    assert round(price, 3) == Decimal("90.361")


def test_position_that_cannot_be_liquidated_has_no_price() -> None:
    assert liquidation_price(LONG, ONE, Decimal(100), Decimal(100), btc_brackets()) is None


@given(
    direction=directions,
    quantity=st.integers(1, 50_000).map(lambda n: Decimal(n) / 1000),
    entry=st.integers(10_000, 120_000).map(Decimal),
    leverage=st.integers(1, 50),
)
def test_at_the_liquidation_price_margin_equals_maintenance(
    direction: Direction, quantity: Decimal, entry: Decimal, leverage: int
) -> None:
    wallet = isolated_margin(quantity, entry, leverage)

    price = liquidation_price(direction, quantity, entry, wallet, btc_brackets())

    if price is None:
        return
    margin = wallet + direction.sign * quantity * (price - entry)
    row = _bracket_of(quantity * price)
    maintenance = quantity * price * row.maintenance_rate - row.maintenance_amount
    assert abs(margin - maintenance) < Decimal("0.000001") * quantity * entry


def _bracket_of(notional: Decimal) -> LeverageBracket:
    return next(row for row in btc_brackets() if notional <= row.notional_cap)


def problem(
    stop: str,
    *,
    direction: Direction = LONG,
    mark: str = "100000",
    liquidation: str | None = None,
    entry: str | None = "100000",
    taker_fee: str = "0.0005",
) -> StopProblem | None:
    return check_stop(
        BTC,
        direction,
        Decimal(stop),
        mark=Decimal(mark),
        liquidation=None if liquidation is None else Decimal(liquidation),
        entry=None if entry is None else Decimal(entry),
        taker_fee=Decimal(taker_fee),
    )


def rule(found: StopProblem | None) -> str | None:
    return None if found is None else found.rule


@pytest.mark.parametrize(
    ("direction", "stop", "expected"),
    [
        (LONG, "99825", None),
        (LONG, "99899.9", None),
        (LONG, "99900", "stop_within_fees"),
        (LONG, "100000", "stop_would_trigger"),
        (SHORT, "100100.1", None),
        (SHORT, "100100", "stop_within_fees"),
        (SHORT, "100000", "stop_would_trigger"),
    ],
)
def test_stop_lies_beyond_the_fees_and_does_not_fire_at_once(
    direction: Direction, stop: str, expected: str | None
) -> None:
    assert rule(problem(stop, direction=direction)) == expected


@pytest.mark.parametrize(("stop", "expected"), [("99999.8", None), ("99999.9", "stop_within_tick")])
def test_stop_lies_more_than_one_tick_away_where_trading_is_free(
    stop: str, expected: str | None
) -> None:
    assert rule(problem(stop, taker_fee="0")) == expected


@pytest.mark.parametrize(
    ("direction", "stop", "liquidation", "expected"),
    [
        (LONG, "95400.1", "95400", None),
        (LONG, "95400", "95400", "stop_beyond_liquidation"),
        (LONG, "95000", "95400", "stop_beyond_liquidation"),
        (SHORT, "104599.9", "104600", None),
        (SHORT, "104600", "104600", "stop_beyond_liquidation"),
    ],
)
def test_stop_lies_inside_the_liquidation_price(
    direction: Direction, stop: str, liquidation: str, expected: str | None
) -> None:
    assert rule(problem(stop, direction=direction, liquidation=liquidation)) == expected


def test_stop_of_a_position_in_profit_may_lie_beyond_its_entry() -> None:
    assert problem("101000", mark="102000", entry=None) is None


def test_message_names_both_numbers() -> None:
    found = problem("95000", liquidation="95400")

    assert found is not None
    assert "95000" in found.message
    assert "95400" in found.message


@pytest.mark.parametrize(
    ("direction", "target", "rests"),
    [
        (LONG, "100000.1", True),
        (LONG, "100000", False),
        (SHORT, "99999.9", True),
        (SHORT, "100000", False),
    ],
)
def test_target_must_not_fire_at_once(direction: Direction, target: str, rests: bool) -> None:
    found = check_take_profit(direction, Decimal(target), mark=Decimal(100_000))

    assert (found is None) == rests


@pytest.mark.parametrize(("target", "warned"), [("100100", True), ("100100.1", False)])
def test_target_that_fees_eat_is_warned_of(target: str, warned: bool) -> None:
    note = note_on_target(LONG, Decimal(target), entry=Decimal(100_000))

    assert (note is not None) == warned

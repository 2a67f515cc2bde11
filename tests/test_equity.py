"""Equity from two sources: what counts as agreement, a peak, a breach and a new day."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.trading.risk.equity import (
    BreachWatch,
    EquityReading,
    EquityState,
    agree,
    begin,
    day_start_ms,
    derive_equity,
    drawdown_pct,
    next_day_ms,
    observe,
    opening_equity,
    rebase,
    transfer,
    utc_day,
    watch_breach,
)

MIDNIGHT_MS = 20_000 * 86_400_000
money = st.integers(min_value=-100_000, max_value=100_000).map(Decimal)


def reading(
    account: str, derived: str | None = None, *, at_ms: int = MIDNIGHT_MS + 1000, open_: str = "0"
) -> EquityReading:
    return EquityReading(
        at_ms=at_ms,
        account=Decimal(account),
        derived=None if derived is None else Decimal(derived),
        unrealized=Decimal(open_),
    )


def state(peak: str = "10000") -> EquityState:
    return begin(reading(peak))


@pytest.mark.parametrize(
    ("account", "derived", "agrees"),
    [
        ("100", "101", True),
        ("100", "101.01", False),
        ("100", "98.99", False),
        ("10000", "10050", True),
        ("10000", "9949.99", False),
        ("0", "1", True),
    ],
)
def test_sources_agree_within_one_dollar_or_half_a_percent(
    account: str, derived: str, agrees: bool
) -> None:
    assert agree(Decimal(account), Decimal(derived)) == agrees


def test_one_source_alone_does_not_agree() -> None:
    assert not reading("100").agrees


def test_derived_equity_is_wallet_plus_booked_plus_positions_at_mark() -> None:
    equity = derive_equity(
        Decimal(1000),
        [Decimal("5"), Decimal("-0.5"), Decimal("-0.1")],
        [
            (Decimal("0.01"), Decimal(100_000), Decimal(101_000)),
            (Decimal("-0.02"), Decimal(100_000), Decimal(101_000)),
        ],
    )

    assert equity == Decimal("994.4")


def test_agreed_peak_raises_the_mark_to_the_lower_of_the_two() -> None:
    assert observe(state(), reading("10100", "10090")).high_water_mark == Decimal(10090)


@pytest.mark.parametrize("derived", [None, "10000"])
def test_peak_that_only_one_source_saw_does_not_raise_the_mark(derived: str | None) -> None:
    assert observe(state(), reading("20000", derived)).high_water_mark == Decimal(10000)


def test_fall_does_not_lower_the_mark() -> None:
    after = observe(state(), reading("9500", "9500"))

    assert after.high_water_mark == Decimal(10000)
    assert drawdown_pct(after, Decimal(9500)) == Decimal(5)


def test_equity_above_the_mark_is_no_negative_drawdown() -> None:
    assert drawdown_pct(state(), Decimal(10001)) == 0


def test_resume_rebases_the_mark_to_present_equity() -> None:
    assert drawdown_pct(rebase(state(), Decimal(8000)), Decimal(8000)) == 0


def test_day_rolls_at_midnight_utc_and_not_before() -> None:
    last = reading("9900", "9900", at_ms=MIDNIGHT_MS + 86_400_000 - 1, open_="-7")
    first = replace(last, at_ms=MIDNIGHT_MS + 86_400_000)

    same, new = observe(state(), last), observe(state(), first)

    assert (same.day_opening, same.day_opening_unrealized) == (Decimal(10000), Decimal(0))
    assert (new.day_opening, new.day_opening_unrealized) == (Decimal(9900), Decimal(-7))
    assert new.day == same.day + 1


def test_late_reading_of_yesterday_does_not_reopen_the_day() -> None:
    assert observe(state(), reading("1", at_ms=MIDNIGHT_MS - 1)) == state()


def test_day_boundaries() -> None:
    assert day_start_ms(MIDNIGHT_MS) == MIDNIGHT_MS
    assert next_day_ms(MIDNIGHT_MS) == MIDNIGHT_MS + 86_400_000
    assert next_day_ms(MIDNIGHT_MS - 1) == MIDNIGHT_MS
    assert utc_day(MIDNIGHT_MS) == utc_day(MIDNIGHT_MS - 1) + 1


def test_opening_equity_is_worked_back_from_a_late_start() -> None:
    opening = opening_equity(
        Decimal(9970),
        unrealized=Decimal(-10),
        opening_unrealized=Decimal(0),
        booked=[Decimal(-18), Decimal("-2")],
    )

    assert opening == Decimal(10000)


@given(amount=st.integers(-9_000, 100_000).map(Decimal), equity=st.integers(9_001, 10_000))
def test_transfers_are_neither_profit_nor_loss(amount: Decimal, equity: int) -> None:
    before = state()

    after = transfer(before, amount)

    assert after.high_water_mark - (equity + amount) == before.high_water_mark - equity
    assert after.day_opening - (equity + amount) == before.day_opening - equity


@given(readings=st.lists(st.tuples(money, money), max_size=20))
def test_mark_never_falls_and_never_exceeds_what_both_sources_saw(
    readings: list[tuple[Decimal, Decimal]],
) -> None:
    now = state("100")
    for account, derived in readings:
        before = now
        now = observe(now, reading(str(account), str(derived)))
        assert before.high_water_mark <= now.high_water_mark
        assert now.high_water_mark <= max(before.high_water_mark, min(account, derived))


def watch(*reads: tuple[int, bool]) -> BreachWatch | None:
    seen: BreachWatch | None = None
    for at_ms, breached in reads:
        seen = watch_breach(seen, breached=breached, at_ms=at_ms)
    return seen


def confirmed(*reads: tuple[int, bool]) -> bool:
    seen = watch(*reads)
    return seen is not None and seen.is_confirmed


def test_breach_acts_after_three_reads_over_five_seconds() -> None:
    assert confirmed((0, True), (1000, True), (5000, True))


def test_three_reads_in_less_than_five_seconds_do_not_act() -> None:
    assert not confirmed((0, True), (1000, True), (4999, True))


def test_two_reads_over_five_seconds_do_not_act() -> None:
    assert not confirmed((0, True), (5000, True))


def test_one_read_without_the_breach_starts_over() -> None:
    assert not confirmed((0, True), (2000, True), (4000, False), (5000, True), (6000, True))
    assert watch((0, True), (1000, False)) is None

"""What a fill does to a position and to money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.terms import PositionSide, Side
from trader_cli.paper.books.ledger import (
    FillEffect,
    PositionRecord,
    apply_fill,
    commission,
    decimal_places,
    funding_payment,
    settle_isolated,
    to_ledger,
)

D = Decimal


def flat() -> PositionRecord:
    return PositionRecord(symbol="BTCUSDT", side=PositionSide.BOTH)


def test_adding_averages_the_entry_price() -> None:
    position = flat()
    apply_fill(position, Side.BUY, D(1), D(100))
    effect = apply_fill(position, Side.BUY, D(3), D(200))

    assert (position.amount, position.entry_price) == (D(4), D(175))
    assert effect == FillEffect(realized=D(0), closed=D(0), opened=D(3), released=D(0))


def test_reducing_keeps_the_entry_and_realizes_the_part() -> None:
    position = flat()
    apply_fill(position, Side.SELL, D(4), D(100))
    effect = apply_fill(position, Side.BUY, D(1), D(90))

    assert (position.amount, position.entry_price) == (D(-3), D(100))
    assert effect.realized == D(10)


def test_a_fill_larger_than_the_position_turns_it() -> None:
    position = flat()
    apply_fill(position, Side.BUY, D(1), D(100))
    effect = apply_fill(position, Side.SELL, D(3), D(120))

    assert (position.amount, position.entry_price) == (D(-2), D(120))
    assert (effect.realized, effect.closed, effect.opened) == (D(20), D(1), D(2))


def test_closing_leaves_nothing_behind() -> None:
    position = flat()
    apply_fill(position, Side.BUY, D(1), D(100))
    position.isolated_wallet, position.fees = D(5), D("0.05")
    effect = apply_fill(position, Side.SELL, D(1), D(90))

    assert (position.amount, position.entry_price, position.fees) == (D(0), D(0), D(0))
    assert (position.isolated_wallet, effect.released) == (D(0), D(5))
    assert position.realized_total == D(-10)


@pytest.mark.parametrize(
    ("realized", "released", "left", "payout", "left_after"),
    [
        ("3", "5", "5", "8", "5"),
        ("-2", "5", "5", "3", "5"),
        ("-7", "5", "5", "0", "3"),
        ("-12", "5", "5", "-2", "0"),  # more than the position had
        ("-7", "5", "0", "-2", "0"),
    ],
)
def test_an_isolated_loss_is_paid_by_the_position_first(
    realized: str, released: str, left: str, payout: str, left_after: str
) -> None:
    position = flat()
    position.isolated_wallet = D(left)
    effect = FillEffect(realized=D(realized), closed=D(1), opened=D(0), released=D(released))

    assert settle_isolated(position, effect) == D(payout)
    assert position.isolated_wallet == D(left_after)


def test_break_even_repays_the_commission_of_both_directions() -> None:
    long, short = flat(), flat()
    apply_fill(long, Side.BUY, D(2), D(100))
    apply_fill(short, Side.SELL, D(2), D(100))
    long.fees = short.fees = D("0.1")

    assert long.break_even_price == D("100.05")
    assert short.break_even_price == D("99.95")


def test_fees_and_funding_are_rounded_to_eight_places() -> None:
    assert commission(D("123.456789"), D("0.0005")) == D("0.06172839")
    assert to_ledger(D("0.000000015")) == D("0.00000002")
    assert to_ledger(D("0.000000025")) == D("0.00000002")
    assert funding_payment(D(2), D(100), D("0.0001")) == D("-0.02")
    assert funding_payment(D(-2), D(100), D("0.0001")) == D("0.02")


@pytest.mark.parametrize(
    ("text", "places"), [("1", 0), ("1.10", 1), ("0.001", 3), ("1E+3", 0), ("100.000", 0)]
)
def test_decimals_are_counted_without_trailing_zeros(text: str, places: int) -> None:
    assert decimal_places(D(text)) == places


FILLS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(min_value=1, max_value=5_000).map(lambda n: D(n) / 1000),
        st.integers(min_value=500_000, max_value=700_000).map(lambda n: D(n) / 10),
    ),
    max_size=30,
)


@given(fills=FILLS)
def test_position_is_the_sum_of_fills_and_profit_is_what_cash_says(
    fills: list[tuple[Side, Decimal, Decimal]],
) -> None:
    position = flat()
    realized = cash = amount = D(0)
    for side, quantity, price in fills:
        effect = apply_fill(position, side, quantity, price)
        assert effect.closed + effect.opened == quantity
        realized += effect.realized
        amount += quantity * side.sign
        cash -= quantity * side.sign * price
        assert position.amount == amount
        assert (position.entry_price == 0) is (amount == 0)

    mark = D(60_000)
    total = realized + position.unrealized(mark)
    assert abs(total - (cash + amount * mark)) < D("0.000001") * (len(fills) + 1)
    assert position.realized_total == realized

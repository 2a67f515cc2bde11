"""Margin arithmetic against the published formulas and numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paper import PaperVenue
from trader_cli.domain.account import LeverageBracket
from trader_cli.paper.books import margin
from trader_cli.paper.contracts.instruments import CONTRACTS

D = Decimal
BTC = CONTRACTS["BTCUSDT"].brackets


def one_bracket(rate: str) -> tuple[LeverageBracket, ...]:
    return (
        LeverageBracket(
            bracket=1,
            leverage_max=20,
            notional_floor=D(0),
            notional_cap=D(10**9),
            maintenance_rate=D(rate),
            maintenance_amount=D(0),
        ),
    )


@pytest.mark.parametrize(
    ("position", "bids", "asks", "held", "ordered"),
    [
        ("0", "0", "0", "0", "0"),
        ("0", "100", "40", "0", "10"),  # the larger side counts
        ("50", "100", "0", "5", "10"),
        ("50", "0", "40", "5", "0"),  # an order that reduces needs nothing
        ("50", "0", "120", "5", "2"),  # only what goes beyond turning the position over
        ("-50", "0", "100", "5", "10"),
    ],
)
def test_one_way_orders_need_what_the_worse_side_adds(
    position: str, bids: str, asks: str, held: str, ordered: str
) -> None:
    need = margin.one_way_need(D(position), D(bids), D(asks), 10)

    assert (need.positions, need.orders) == (D(held), D(ordered))


def test_hedge_sides_add_up() -> None:
    need = margin.hedge_need(D(300), D(100), 20)

    assert need.total == D(20)


@pytest.mark.parametrize(
    ("notional", "expected"),
    [("300000", "1200"), ("300001", "1200.005"), ("800000", "3700"), ("3000000", "18000")],
)
def test_maintenance_follows_the_brackets(notional: str, expected: str) -> None:
    assert margin.maintenance(BTC, D(notional)) == D(expected)


@given(st.sampled_from(sorted(CONTRACTS)), st.integers(min_value=0, max_value=9))
def test_maintenance_does_not_jump_where_brackets_meet(symbol: str, index: int) -> None:
    brackets = CONTRACTS[symbol].brackets
    cap = brackets[min(index, len(brackets) - 2)].notional_cap

    step = margin.maintenance(brackets, cap + D("0.01")) - margin.maintenance(brackets, cap)

    assert 0 <= step <= D("0.01")


@pytest.mark.parametrize(
    ("leverage", "largest"), [(150, 300_000), (100, 800_000), (20, 100_000_000)]
)
def test_leverage_bounds_the_position(leverage: int, largest: int) -> None:
    assert margin.notional_max(BTC, leverage) == D(largest)


def test_liquidation_price_of_the_published_example() -> None:
    price = margin.liquidation_price(one_bracket("0.004"), [(D(1), D(100))], D(10))

    assert round(price, 3) == D("90.361")


def test_a_short_is_liquidated_above_its_entry() -> None:
    price = margin.liquidation_price(one_bracket("0.004"), [(D(-1), D(100))], D(10))

    assert round(price, 3) == D("109.562")


def test_enough_money_means_no_liquidation_price() -> None:
    assert margin.liquidation_price(BTC, [(D("0.001"), D(60_000))], D(10_000)) == 0
    assert margin.liquidation_price(BTC, [(D(0), D(0))], D(10_000)) == 0
    assert margin.liquidation_price(BTC, [], D(10_000)) == 0


@given(
    long=st.booleans(),
    quantity=st.integers(min_value=1, max_value=200_000).map(lambda n: D(n) / 1000),
    leverage=st.sampled_from([2, 5, 10, 20]),
)
def test_at_the_liquidation_price_margin_equals_maintenance(
    long: bool, quantity: Decimal, leverage: int
) -> None:
    entry, amount = D(60_000), quantity if long else -quantity
    wallet = quantity * entry / leverage

    price = margin.liquidation_price(BTC, [(amount, entry)], wallet)

    left = wallet + amount * (price - entry)
    needed = margin.maintenance(BTC, quantity * price)
    assert price > 0
    assert abs(left - needed) < D("0.0001")


@pytest.mark.parametrize(
    ("long", "short", "price"),
    [
        # What the sides together lose: 10 + P*(1 - 0.4) - 100 + 40 - 0.004*1.4*P = 0
        ("1", "-0.4", "84.118"),
        ("0.4", "-1", "115.588"),  # 10 + 60 - 0.6*P - 0.0056*P = 0
        ("1", "-1", "1250.000"),  # nothing is lost but the maintenance of both: 10 - 0.008*P = 0
    ],
)
def test_both_sides_of_a_hedge_are_liquidated_at_one_price(
    long: str, short: str, price: str
) -> None:
    held = [(D(long), D(100)), (D(short), D(100))]

    assert round(margin.liquidation_price(one_bracket("0.004"), held, D(10)), 3) == D(price)


SIZES = st.integers(min_value=0, max_value=20_000).map(lambda n: D(n) / 10)


@given(long=SIZES, short=SIZES, wallet=st.integers(min_value=1, max_value=10**8).map(D))
def test_at_a_hedges_liquidation_price_margin_equals_maintenance(
    long: Decimal, short: Decimal, wallet: Decimal
) -> None:
    held = [(long, D(60_000)), (-short, D(60_100))]

    price = margin.liquidation_price(BTC, held, wallet)

    if price:
        left = wallet + sum(amount * (price - entry) for amount, entry in held)
        needed = sum(margin.maintenance(BTC, abs(amount) * price) for amount, _ in held)
        assert abs(left - needed) < D("0.001")


def test_open_loss_counts_only_against_the_order() -> None:
    assert margin.open_loss(D(2), D(101), D(100)) == D(2)
    assert margin.open_loss(D(2), D(99), D(100)) == D(0)
    assert margin.open_loss(D(-2), D(99), D(100)) == D(2)


@pytest.mark.parametrize(
    ("order", "mark", "last", "price"),
    [
        ("95100", "95000", "95000", "95142.5"),
        ("95142.6", "95000", "95000", "95142.6"),
        ("94000", "95500", "95000", "95500"),
    ],
)
def test_a_sells_margin_is_reckoned_at_the_dearest_of_three_prices(
    order: str, mark: str, last: str, price: str
) -> None:
    assert margin.short_cost_price(D(order), D(mark), D(last)) == D(price)


@pytest.mark.parametrize(("quantity", "taken"), [("2.102", True), ("2.103", False)])
def test_a_sell_is_taken_as_far_as_its_assumed_price_allows(quantity: str, taken: bool) -> None:
    """10,000 USDT at leverage 20 cover 2.1021 BTC at 95,142.5, and 2.1030 at the order's 95,100."""
    paper = PaperVenue()
    paper.set_price("BTCUSDT", "95000")
    sell = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "95100",
        "quantity": quantity,
    }

    if not taken:
        assert paper.refused("POST", "/fapi/v1/order", sell) == (400, -2019)
        return
    paper.ask("POST", "/fapi/v1/order", sell)
    (row,) = paper.ask("GET", "/fapi/v3/positionRisk")
    assert D(row["askNotional"]) == D("2.102") * D("95142.5")
    assert D(row["openOrderInitialMargin"]) == D("2.102") * D("95142.5") / 20

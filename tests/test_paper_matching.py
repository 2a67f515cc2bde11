"""Who trades with whom: turns in the queue, trading through, walking the book."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scripted_market import tick
from trader_cli.domain.terms import (
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.paper.books.matching import RestingBook, walk
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.state.records import OrderRecord

TOUCH = tick(bid="100.0", ask="100.1", size="5")


def resting(order_id: int, price: str, quantity: str, side: Side = Side.BUY) -> OrderRecord:
    return OrderRecord(
        order_id=order_id,
        symbol="BTCUSDT",
        client_order_id=f"c{order_id}",
        side=side,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal(price),
        quantity=Decimal(quantity),
        reduce_only=False,
        close_position=False,
        self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER,
        price_match="NONE",
        good_till_ms=0,
        created_ms=0,
        updated_ms=0,
    )


def fill(book: RestingBook, moment: MarketTick) -> dict[int, Decimal]:
    """Apply what a tick fills, as the venue would, and return it by order id."""
    filled: dict[int, Decimal] = {}
    for order, quantity in book.reached(moment, traded=moment.last_quantity > 0):
        order.executed += quantity
        filled[order.order_id] = filled.get(order.order_id, Decimal(0)) + quantity
        if order.remaining == 0:
            book.discard(order)
    return filled


def book_of(*orders: OrderRecord, at: MarketTick = TOUCH) -> RestingBook:
    book = RestingBook()
    for order in orders:
        book.add(order, at)
    return book


def test_an_order_at_the_touch_waits_behind_the_size_that_was_there() -> None:
    book = book_of(resting(1, "100.0", "2"))
    trade = tick(bid="100.0", ask="100.1", traded="5")

    assert fill(book, trade) == {}, "exactly what stood before it has traded"
    assert fill(book, tick(bid="100.0", ask="100.1", traded="0.5")) == {1: Decimal("0.5")}
    assert fill(book, tick(bid="100.0", ask="100.1", traded="9")) == {1: Decimal("1.5")}


def test_an_order_inside_the_spread_is_first_in_its_queue() -> None:
    wide = tick(bid="99.0", ask="100.1")
    book = book_of(resting(1, "99.5", "2"), at=wide)

    assert fill(book, tick(bid="99.5", ask="100.1", traded="0.7")) == {1: Decimal("0.7")}


def test_an_order_below_the_touch_joins_behind_what_the_touch_shows_later() -> None:
    book = book_of(resting(1, "99.0", "2"))

    assert fill(book, tick(bid="99.0", ask="99.1", size="3", traded="2.9")) == {}
    assert fill(book, tick(bid="99.0", ask="99.1", size="3", traded="0.2")) == {1: Decimal("0.1")}


@pytest.mark.parametrize(
    ("moment", "filled"),
    [
        (tick(bid="99.8", ask="99.9"), "2"),  # the ask fell below: traded through
        (tick(bid="99.9", ask="100.2", last="99.9", traded="0.001"), "2"),  # a trade below
        (tick(bid="99.9", ask="100.0", size="1.5"), "1.5"),  # the ask came to the price
        (tick(bid="100.0", ask="100.1", traded="9", seller_takes=False), "0"),  # a buyer took
        (tick(bid="100.0", ask="100.1", last="99.0", traded="0"), "0"),  # an old last price
    ],
)
def test_a_bid_fills_when_the_market_trades_at_or_through_it(
    moment: MarketTick, filled: str
) -> None:
    book = book_of(resting(1, "100.0", "2"))

    assert fill(book, moment).get(1, Decimal(0)) == Decimal(filled)


def test_asks_mirror_bids() -> None:
    book = book_of(resting(1, "100.1", "2", Side.SELL))

    assert fill(book, tick(bid="100.0", ask="100.1", last="100.1", traded="5")) == {}
    assert fill(book, tick(bid="100.2", ask="100.3")) == {1: Decimal(2)}


def test_own_orders_of_one_price_fill_in_their_turn() -> None:
    book = book_of(resting(1, "100.0", "2"), resting(2, "100.0", "2"))

    filled = fill(book, tick(bid="100.0", ask="100.1", traded="8"))

    assert filled == {1: Decimal(2), 2: Decimal(1)}, "5 before them, then 3 to share"


def test_best_price_fills_first() -> None:
    book = book_of(resting(1, "99.5", "1"), resting(2, "99.9", "1"))

    reached = book.reached(tick(bid="99.0", ask="99.1"), traded=False)

    assert [order.order_id for order, _ in reached] == [2, 1]


def test_a_cancelled_order_never_fills_and_a_price_can_be_used_again() -> None:
    first, second = resting(1, "99.0", "1"), resting(2, "99.0", "1")
    book = book_of(first)
    book.discard(first)
    book.discard(first)

    assert book.best(Side.BUY) is None
    book.add(second, TOUCH)
    assert fill(book, tick(bid="98.0", ask="98.1")) == {2: Decimal(1)}


def test_placing_and_cancelling_below_a_resting_order_does_not_grow_the_book() -> None:
    book = book_of(resting(1, "99.9", "1"))
    for number in range(2, 5_000):
        order = resting(number, f"{50 + number % 4000 / 100:.2f}", "1")
        book.add(order, TOUCH)
        book.discard(order)

    assert len(book._bids._heap) < 100


@given(
    prices=st.lists(st.integers(min_value=1, max_value=40), max_size=40),
    removed=st.sets(st.integers(min_value=0, max_value=39)),
    reach=st.integers(min_value=1, max_value=41),
)
def test_exactly_the_orders_within_reach_are_reached(
    prices: list[int], removed: set[int], reach: int
) -> None:
    book = RestingBook()
    orders = [resting(number, str(price), "1") for number, price in enumerate(prices)]
    for order in orders:
        book.add(order, tick(bid="100", ask="101"))
    for order in orders:
        if order.order_id in removed:
            book.discard(order)

    moment = tick(bid=str(reach), ask=str(reach + 1), last=str(reach + 1))
    reached = [order.order_id for order, _ in book.reached(moment, traded=False)]

    kept = [order for order in orders if order.order_id not in removed]
    through = {o.order_id for o in kept if o.price > reach + 1}
    at_the_ask = [o.order_id for o in kept if o.price == reach + 1][:5]
    assert set(reached) == through | set(at_the_ask)
    assert len(set(reached)) == len(reached)


LEVELS = [
    (Decimal("100.1"), Decimal(1)),
    (Decimal("100.2"), Decimal(2)),
    (Decimal(101), Decimal(9)),
]


def test_a_taker_walks_the_levels_up_to_its_worst_price() -> None:
    parts = walk(LEVELS, side=Side.BUY, quantity=Decimal(5), worst=Decimal("100.2"), taken={})

    assert parts == [(Decimal("100.1"), Decimal(1)), (Decimal("100.2"), Decimal(2))]


def test_what_was_taken_before_is_not_there_again() -> None:
    taken = {Decimal("100.1"): Decimal(1), Decimal("100.2"): Decimal("0.5")}

    parts = walk(LEVELS, side=Side.BUY, quantity=Decimal(2), worst=None, taken=taken)

    assert parts == [(Decimal("100.2"), Decimal("1.5")), (Decimal(101), Decimal("0.5"))]


@given(quantity=st.integers(min_value=1, max_value=20), worst=st.integers(99, 102))
def test_a_walk_never_takes_more_than_asked_nor_worse_than_allowed(
    quantity: int, worst: int
) -> None:
    parts = walk(LEVELS, side=Side.BUY, quantity=Decimal(quantity), worst=Decimal(worst), taken={})

    assert sum((part for _, part in parts), Decimal(0)) <= quantity
    assert all(price <= worst and part > 0 for price, part in parts)

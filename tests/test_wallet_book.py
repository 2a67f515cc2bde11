"""A wallet carried on by the stream: a booking near a reading counts once, sooner or later."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.facts import NOW_MS
from trader_cli.engine.wallet_book import WalletBook

ASKED, ANSWERED = NOW_MS, NOW_MS + 200


def loaded(wallet: str = "100") -> WalletBook:
    book = WalletBook()
    book.load(Decimal(wallet), asked_ms=ASKED, answered_ms=ANSWERED)
    return book


def test_before_a_reading_there_is_no_balance() -> None:
    book = WalletBook()
    book.book(Decimal(3), at_ms=NOW_MS)

    assert book.balance is None


@pytest.mark.parametrize(
    ("at_ms", "balance", "doubtful"),
    [
        (ASKED - 1_001, "100", False),
        (ASKED - 1_000, "100", True),
        (ANSWERED + 1_000, "103", True),
        (ANSWERED + 1_001, "103", False),
    ],
)
@pytest.mark.parametrize("told_first", [True, False])
def test_booking_counts_by_its_time_whether_told_before_the_reading_or_after(
    at_ms: int, balance: str, doubtful: bool, told_first: bool
) -> None:
    book = WalletBook()
    if told_first:
        book.book(Decimal(3), at_ms=at_ms)
    book.load(Decimal(100), asked_ms=ASKED, answered_ms=ANSWERED)
    if not told_first:
        book.book(Decimal(3), at_ms=at_ms)

    assert (book.balance, book.is_doubtful) == (Decimal(balance), doubtful)


def test_reading_between_quiet_moments_ends_the_doubt() -> None:
    book = loaded()
    book.book(Decimal(3), at_ms=ASKED + 100)
    assert book.is_doubtful

    book.load(Decimal(103), asked_ms=ASKED + 2_000, answered_ms=ANSWERED + 2_000)

    assert (book.balance, book.is_doubtful) == (Decimal(103), False)


def test_reading_that_was_overtaken_by_a_newer_one_changes_nothing() -> None:
    book = loaded()
    book.load(Decimal(90), asked_ms=ASKED - 5_000, answered_ms=ANSWERED - 5_000)

    assert book.balance == 100


@given(
    bookings=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(-50, 50), st.integers(0, 3_000)), max_size=20
    ),
    readings=st.lists(
        st.tuples(st.integers(0, 20_000), st.integers(0, 400), st.integers(0, 400)), max_size=5
    ),
)
def test_whatever_the_delays_a_quiet_reading_gives_the_exchanges_own_balance(
    bookings: list[tuple[int, int, int]], readings: list[tuple[int, int, int]]
) -> None:
    """Bookings are told up to three seconds late, readings see a moment within their time."""
    book = WalletBook()
    happenings: list[tuple[int, tuple[int, int, int | None]]] = [
        (at + late, (NOW_MS + at, amount, None)) for at, amount, late in bookings
    ]
    for asked, to_moment, to_answer in [*readings, (25_000, 50, 50)]:
        wallet = sum(amount for at, amount, _ in bookings if at <= asked + to_moment)
        answered = asked + to_moment + to_answer
        happenings.append((answered, (NOW_MS + asked, wallet, NOW_MS + answered)))
    for _, (at_ms, amount, answered_ms) in sorted(happenings, key=lambda row: row[0]):
        if answered_ms is None:
            book.book(Decimal(amount), at_ms=at_ms)
        else:
            book.load(Decimal(amount), asked_ms=at_ms, answered_ms=answered_ms)

    assert book.balance == sum(amount for _, amount, _ in bookings)
    assert not book.is_doubtful


@given(
    bookings=st.lists(st.tuples(st.integers(0, 5_000), st.integers(-50, 50)), max_size=10),
    asked=st.integers(0, 5_000),
    took=st.integers(0, 500),
    share=st.integers(0, 100),
)
def test_wrong_balance_is_always_known_to_be_doubtful(
    bookings: list[tuple[int, int]], asked: int, took: int, share: int
) -> None:
    book = WalletBook()
    moment = asked + took * share // 100
    wallet = sum(amount for at, amount in bookings if at <= moment)
    book.load(Decimal(wallet), asked_ms=NOW_MS + asked, answered_ms=NOW_MS + asked + took)
    for at, amount in bookings:
        book.book(Decimal(amount), at_ms=NOW_MS + at)

    right = sum(amount for _, amount in bookings)
    assert book.balance == right or book.is_doubtful

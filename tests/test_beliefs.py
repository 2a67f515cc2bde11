"""What the journal's rows add up to: whose a position is, how long naked, and how cheaply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_client import START_MS, SYMBOL, VirtualClock
from trader_cli.domain.account import Position
from trader_cli.domain.terms import PositionSide
from trader_cli.journal.journal import Journal
from trader_cli.journal.reading import JournalRow
from trader_cli.trading.positions.beliefs import (
    ADOPTED_ROW,
    SUM_ROW,
    Belief,
    held,
    read_beliefs,
    remember_position,
    remember_protected,
)
from trader_cli.trading.positions.position_view import unprotected_ms

BOTH = PositionSide.BOTH
KEY = (SYMBOL, BOTH)


def position(quantity: str, *, updated_ms: int = START_MS, symbol: str = SYMBOL) -> Position:
    return Position(
        symbol=symbol,
        position_side=BOTH,
        quantity=Decimal(quantity),
        entry_price=Decimal(95_000),
        break_even_price=Decimal(95_000),
        mark_price=Decimal(95_000),
        unrealized_pnl=Decimal(0),
        liquidation_price=None,
        isolated_margin=Decimal(0),
        initial_margin=Decimal(0),
        maintenance_margin=Decimal(0),
        leverage=20,
        margin_type=None,
        updated_ms=updated_ms,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db", VirtualClock()) as opened:
        yield opened


def remember(journal: Journal, quantity: str, *, source: str = "d", own: bool = True) -> None:
    seen = None if quantity == "0" else position(quantity)
    remember_position(journal, SYMBOL, BOTH, seen, source=source, own=own)


def test_what_we_opened_is_ours_and_what_a_comparison_found_is_not(journal: Journal) -> None:
    remember(journal, "0.01")
    assert read_beliefs(journal)[KEY].own

    remember(journal, "0")
    remember(journal, "0.02", source="sync", own=False)

    assert not read_beliefs(journal)[KEY].own


def test_ownership_stays_while_a_position_lasts_and_ends_with_it(journal: Journal) -> None:
    remember(journal, "0.01")
    remember(journal, "0.02", source="sync", own=False)
    assert read_beliefs(journal)[KEY].own

    remember(journal, "-0.02", source="sync", own=False)
    assert not read_beliefs(journal)[KEY].own


def test_an_adopted_position_is_ours(journal: Journal) -> None:
    row = {"symbol": SYMBOL, "position_side": "BOTH", "advisor": "wolf"}
    journal.record(ADOPTED_ROW, row)
    assert read_beliefs(journal) == {}

    remember(journal, "0.02", source="sync", own=False)
    journal.record(ADOPTED_ROW, row)

    belief = read_beliefs(journal)[KEY]
    assert (belief.own, belief.adopted_by) == (True, "wolf")


def test_naked_time_adds_up_and_starts_anew_with_the_next_position(journal: Journal) -> None:
    remember(journal, "0.01")
    remember_protected(journal, position("0.01"), 400, source="d")
    remember_protected(journal, position("0.01"), 100, source="d")
    assert read_beliefs(journal)[KEY].unprotected_ms == 500

    remember(journal, "0")
    remember(journal, "0.01")

    assert read_beliefs(journal)[KEY].unprotected_ms is None


def test_rows_of_before_ownership_was_written_are_understood(journal: Journal) -> None:
    row = {
        "symbol": SYMBOL,
        "position_side": "BOTH",
        "quantity": "0.01",
        "entry_price": "95000",
        "source": "sync",
    }
    journal.record("position", row)

    belief = read_beliefs(journal)[KEY]

    assert (belief.quantity, belief.own, belief.opened_ms) == (Decimal("0.01"), False, None)


class CountingJournal(Journal):
    """A journal that counts the rows it hands out."""

    handed_out = 0

    def rows(self, *, kind: str | None = None, after: int = 0) -> Iterator[JournalRow]:
        for row in super().rows(kind=kind, after=after):
            self.handed_out += 1
            yield row


def test_a_long_journal_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    with CountingJournal.open(tmp_path / "journal.db", VirtualClock()) as journal:
        for number in range(1, 501):
            remember(journal, f"0.{number:03d}")
        whole = read_beliefs(journal)
        remember_protected(journal, position("0.5"), 70, source="d")
        journal.handed_out = 0

        again = read_beliefs(journal)

        assert journal.handed_out == 1
        assert again[KEY] == replace(whole[KEY], unprotected_ms=70)
        assert journal.last(SUM_ROW) is not None


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        st.sampled_from(["see", "protect", "adopt", "read"]),
        st.integers(-3, 3),
        st.booleans(),
    ),
    max_size=220,
)


@settings(max_examples=30, deadline=None)
@given(steps=_STEPS)
def test_sums_never_change_what_is_believed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int, bool]]
) -> None:
    """One journal is read all the time, and sums up; the other is read once at the end."""
    folder = tmp_path_factory.mktemp("beliefs")
    clock = VirtualClock()
    with (
        Journal.open(folder / "often.db", clock) as often,
        Journal.open(folder / "once.db", clock) as once,
    ):
        for symbol, what, amount, own in steps:
            if what == "read":
                read_beliefs(often)
            for journal in (often, once):
                write(journal, symbol, what, amount, own=own)

        assert read_beliefs(often) == read_beliefs(once)
        assert all(row.quantity != 0 for row in held(read_beliefs(once)).values())


def write(journal: Journal, symbol: str, what: str, amount: int, *, own: bool) -> None:
    if what == "see":
        seen = None if amount == 0 else position(str(amount), symbol=symbol)
        remember_position(journal, symbol, BOTH, seen, source="x", own=own)
    elif what == "protect":
        remember_protected(journal, position("1", symbol=symbol), abs(amount), source="x")
    elif what == "adopt":
        row = {"symbol": symbol, "position_side": "BOTH", "advisor": f"a{amount}"}
        journal.record(ADOPTED_ROW, row)


def belief_of(*, opened_ms: int | None, measured: int | None) -> Belief:
    return Belief(
        symbol=SYMBOL,
        position_side=BOTH,
        quantity=Decimal("0.01"),
        entry_price=Decimal(95_000),
        own=True,
        opened_ms=opened_ms,
        seen_ms=START_MS,
        unprotected_ms=measured,
    )


@pytest.mark.parametrize(
    ("belief", "expected"),
    [
        (None, 4_000),
        (belief_of(opened_ms=START_MS - 6_000, measured=None), 10_000),
        (belief_of(opened_ms=START_MS - 6_000, measured=500), 4_500),
        (belief_of(opened_ms=None, measured=None), 4_000),
    ],
)
def test_a_naked_position_counts_from_its_opening(belief: Belief | None, expected: int) -> None:
    """Four seconds after the last execution; the journal may know of the first."""
    naked = unprotected_ms(position("0.01"), (), venue_ms=START_MS + 4_000, belief=belief)

    assert naked == expected

"""The exchange's counters and clock, shared between processes by one small file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.journal.usage import FileBudget

NOW_MS = 1_780_000_020_000  # a minute begins


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "usage"


def test_another_process_reads_what_one_was_told(path: Path) -> None:
    FileBudget(path, venue="a").note(NOW_MS, weight_1m=1_700, orders_10s=7, orders_1m=40)

    other = FileBudget(path, venue="a")

    assert other.weight_used(NOW_MS) == 1_700
    assert other.orders_used(NOW_MS) == (7, 40)


def test_what_an_answer_does_not_tell_stays(path: Path) -> None:
    budget = FileBudget(path, venue="a")
    budget.note(NOW_MS, weight_1m=10, orders_10s=7, orders_1m=40)

    budget.note(NOW_MS, weight_1m=15, orders_10s=None, orders_1m=None)

    assert (budget.weight_used(NOW_MS), budget.orders_used(NOW_MS)) == (15, (7, 40))


@pytest.mark.parametrize(
    ("later_ms", "weight", "orders"),
    [
        (0, 10, (7, 40)),
        (9_999, 10, (7, 40)),
        (10_000, 10, (0, 40)),
        (59_999, 10, (0, 40)),
        (60_000, 0, (0, 0)),
    ],
)
def test_counters_end_with_their_window(
    path: Path, later_ms: int, weight: int, orders: tuple[int, int]
) -> None:
    budget = FileBudget(path, venue="a")
    budget.note(NOW_MS, weight_1m=10, orders_10s=7, orders_1m=40)

    assert budget.weight_used(NOW_MS + later_ms) == weight
    assert budget.orders_used(NOW_MS + later_ms) == orders


def test_the_record_of_another_exchange_is_not_ours(path: Path) -> None:
    budget = FileBudget(path, venue="a")
    budget.note(NOW_MS, weight_1m=10, orders_10s=7, orders_1m=40)
    budget.note_clock_offset(-120, NOW_MS)

    other = FileBudget(path, venue="b")

    assert (other.weight_used(NOW_MS), other.clock_offset(NOW_MS)) == (0, None)


def test_the_measured_clock_has_an_age(path: Path) -> None:
    FileBudget(path, venue="a").note_clock_offset(-120, NOW_MS)

    assert FileBudget(path, venue="a").clock_offset(NOW_MS + 5_000) == (-120, 5_000)


@given(content=st.binary(max_size=100))
def test_a_damaged_record_counts_as_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("usage") / "usage"
    path.write_bytes(content)

    assert FileBudget(path, venue="a").weight_used(NOW_MS) == 0


def test_a_disk_that_refuses_leaves_it_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    budget = FileBudget(tmp_path / "file" / "usage", venue="a")

    budget.note(NOW_MS, weight_1m=10, orders_10s=None, orders_1m=None)

    assert budget.weight_used(NOW_MS) == 10

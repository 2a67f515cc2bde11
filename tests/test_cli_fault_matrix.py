"""Every write × every failure of the exchange × before and after it took effect, by `trader`.

Another program, which shares no code with ours, counts what is there before and afterwards: exactly
the orders intended, and an exit code that tells the truth. 0: it is done, once. 2 to 6 and 8:
nothing has changed. 7: either, and the command that finds out agrees with the exchange. 10: the
part that `data` shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.fault_matrix import (
    CELLS,
    DOUBTS,
    LEVERAGE,
    Cell,
    Matrix,
    Needs,
    Row,
    Tally,
    Trial,
    matrix,
)
from trader_cli.paper.api.faults import FaultKind

TRIED = "test_the_exchange_ends_as_intended_and_the_exit_code_tells_the_truth"
UNCHANGED = (2, 3, 4, 5, 6, 8)
ENTRIES = ("place", "place-market")
SENDS = (*ENTRIES, "algo-place")
ONCE = (*SENDS, "amend")
"""What is sent once and never repeated on doubt; cancels and settings are repeated until known."""

BLOCKING = (*ONCE, "cancel")
"""What may raise exposure while its outcome is unknown; a stop or a setting may not."""

# Exit codes of a trouble by write, "" for every other one; what is not here ends with 0.
_NOT_EXECUTED = {**dict.fromkeys(ONCE, 6), "": 0}
_UNPROVEN = {**dict.fromkeys(ONCE, 7), "leverage": 7, "": 0}
_UNPROVEN_EXECUTED = {"": 7}
CODES: dict[str, dict[str, int]] = {
    **dict.fromkeys((*DOUBTS, "internal"), _NOT_EXECUTED),
    "maintenance": {"": 6},
    "unavailable-for-ever": {"": 6},
    "dropped-for-ever": {**dict.fromkeys((*ONCE, "leverage"), 6), "": 7},
    "too_many_requests-long": {"cancel": 10, "algo-cancel": 0, "": 8},
    "banned": {"": 8},
    **{f"{doubt}-blind": _UNPROVEN for doubt in DOUBTS},
    **{f"{doubt}_executed-blind": _UNPROVEN_EXECUTED for doubt in DOUBTS},
    "dropped-amnesia": {**dict.fromkeys(SENDS, 6), "amend": 7, "": 0},
    "dropped_executed-amnesia": {"amend": 7, "cancel": 7, "": 0},
    "cancel_only": {**dict.fromkeys((*ENTRIES, "amend"), 2), "algo-place": 5, "": 0},
    "partial_fills": {"place-market": 10, "": 0},
    "stuck_triggering-fired": {"algo-cancel": 5, "": 0},
    "stop_vanished-before": {"algo-cancel": 5, "": 0},
    "foreign_cancel-before": {"amend": 5, "cancel": 5, "algo-cancel": 5, "": 0},
}


@pytest.fixture(scope="module")
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Matrix]:
    """Try every cell that is asked for, several at a time; each test looks at its own."""
    wanted = [
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == TRIED
        and item.module is request.module
    ]
    with matrix(tmp_path_factory.mktemp("matrix"), wanted) as running:
        yield running


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_exchange_ends_as_intended_and_the_exit_code_tells_the_truth(
    tried: Matrix, cell: Cell
) -> None:
    trial = tried.trial(cell)

    codes = CODES.get(cell.trouble.name, {"": 0})
    assert trial.outcome.code == codes.get(cell.write.name, codes[""]), trial.outcome.out
    if cell.trouble.meddles:
        check_only_ours_once(cell, trial)
    elif trial.outcome.code == 0:
        assert cell.write.is_done(trial.before, trial.after)
        check_shown(cell, trial.outcome.data, trial.after)
    elif trial.outcome.code in UNCHANGED:
        assert trial.after == trial.before
    elif trial.outcome.code == 10:
        check_part(cell, trial)
    else:
        check_found_out(cell, trial)


def check_shown(cell: Cell, data: dict[str, Any], tally: Tally) -> None:
    """Hold what the command showed against what is there."""
    if cell.write.name == "leverage":
        assert data["leverage"] == tally.leverage == LEVERAGE
        return
    rows = tally.orders if data["kind"] == "order" else tally.algos
    shown = data["order_id"] if data["kind"] == "order" else data["algo_id"]
    [row] = [row for row in rows if row[0] == shown]
    assert (data["status"], Decimal(data["quantity"])) == (row[1], Decimal(row[3]))
    price = data["price"] if data["kind"] == "order" else data["trigger_price"]
    assert Decimal(price or 0) == Decimal(row[2])


def check_part(cell: Cell, trial: Trial) -> None:
    """Hold a command that did its work in part against what is there."""
    data = trial.outcome.envelope["data"]
    check_shown(cell, data, trial.after)
    if cell.write.name == "cancel":  # the order is gone; what waited for it was not looked for
        assert cell.write.is_done(trial.before, trial.after)
    else:
        [(_, status, _, quantity)] = trial.after.orders
        assert status == "EXPIRED"
        assert 0 < Decimal(data["filled_quantity"]) == trial.after.position < Decimal(quantity)


def check_only_ours_once(cell: Cell, trial: Trial) -> None:
    """Others meddle with orders and statuses; how many are ours is up to us alone."""
    before, after = trial.before, trial.after
    is_new = trial.outcome.code == 0 and cell.write.name in SENDS
    new = (len(after.orders) - len(before.orders), len(after.algos) - len(before.algos))
    assert new == ((0, 1) if cell.write.name == "algo-place" else (1, 0) if is_new else (0, 0))
    bought = Decimal(after.orders[-1][3]) if cell.write.name == "place-market" else 0
    is_deleveraged = cell.trouble.name == "adl-after"
    assert after.position == (0 if is_deleveraged else before.position + bought)


def check_found_out(cell: Cell, trial: Trial) -> None:
    """Nobody knew; now the exchange is as it was or as wanted, and the command says which."""
    write = cell.write
    assert trial.opened is not None
    assert trial.resolved is not None
    assert trial.final is not None
    assert trial.reopened is not None
    opened = trial.opened
    others: list[int] = []
    if write.name in BLOCKING:
        # What may still come or change raises exposure: nothing else opens on its symbol.
        assert (opened.code, opened.error["code"]) == (4, "unknown_order")
    else:
        others = [opened.data["order_id"]]
    final = _without(trial.final, others)
    is_done = write.is_done(trial.before, final)
    assert is_done or final == trial.before
    assert trial.resolved.code == 0
    assert says_done(cell, trial, trial.resolved.data, final) == is_done
    assert trial.reopened.code == 0, trial.reopened.out


def says_done(cell: Cell, trial: Trial, data: dict[str, Any], final: Tally) -> bool:
    """Return what the command that finds out says of the write."""
    if cell.write.name == "leverage":
        return bool(data["leverage"] == LEVERAGE)
    [row] = data["orders"]
    if row["order"] is not None:
        check_shown(cell, row["order"], final)
    if cell.write.name == "amend":
        assert row["status"] == "open"
        return bool(Decimal(row["order"]["price"]) != Decimal(trial.before.orders[0][2]))
    expected = "canceled" if cell.write.needs in (Needs.ORDER, Needs.STOP) else "not_executed"
    return bool((row["status"] == expected) == (expected == "canceled"))


def _without(tally: Tally, numbers: list[int]) -> Tally:
    kept: tuple[Row, ...] = tuple(row for row in tally.orders if row[0] not in numbers)
    return Tally(orders=kept, algos=tally.algos, position=tally.position, leverage=tally.leverage)


def test_every_kind_of_failure_has_its_column() -> None:
    kinds = {str(arm["kind"]) for cell in CELLS for arm in cell.trouble.arms}

    assert kinds == {kind.value for kind in FaultKind}


def test_every_write_meets_every_trouble() -> None:
    writes = {cell.write.name for cell in CELLS}
    troubles = {cell.trouble.name for cell in CELLS}

    assert len(CELLS) == len({str(cell) for cell in CELLS}) == len(writes) * len(troubles)

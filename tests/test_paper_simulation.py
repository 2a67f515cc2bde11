"""The whole exchange as a library under a virtual clock: repeatable, and right whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.support.simulation import SYMBOLS, Actor, Simulation, scripted_day
from trader_cli.paper.api.faults import ANSWERS, FaultKind
from trader_cli.paper.state.state import MemoryState, Window

D = Decimal
EVERYTHING = Window(limit=1_000_000, newest=False)


def test_one_seed_is_one_day_byte_by_byte_in_any_process() -> None:
    """A day of random trading, two failures in ten requests, with every stream listened to."""
    command = [sys.executable, "-m", "tests.support.simulation", "7", "1440"]
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        here = scripted_day(7)
        there, _ = other.communicate(timeout=60)

    assert here == there.strip()
    heard = [int(part.partition(":")[0]) for part in here.split()]
    assert min(heard) > 500, "a day in which little happens shows little"


def test_another_seed_is_another_day() -> None:
    assert scripted_day(7, minutes=60) != scripted_day(8, minutes=60)


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize(("seed", "balance"), [(1, 300), (3, 100_000)])
def test_money_positions_and_orders_agree_after_thousands_of_actions(
    seed: int, balance: int, hedge: bool
) -> None:
    """All order types, isolated and cross, funding, liquidation, and failures all the while."""
    state = MemoryState()
    simulation = Simulation(seed=seed, state=state, balance=balance)
    _let_things_go_wrong(simulation, seed)
    actor = Actor(simulation, seed, hedge=hedge)

    for step in range(1_200):
        actor.act()
        simulation.advance(60_000 if step % 10 == 0 else 250)
        if step % 150 == 149:
            simulation.advance(3 * 3_600_000)
        if step % 50 == 0:
            _check(simulation, state)

    _check(simulation, state)
    kinds = {row.type for row in state.income(EVERYTHING, None)}
    assert {"TRANSFER", "COMMISSION", "REALIZED_PNL", "FUNDING_FEE"} <= kinds
    assert balance > 300 or "INSURANCE_CLEAR" in kinds, "the small account is liquidated"
    assert actor.done > 500, "most of what was tried would otherwise prove nothing"


def _let_things_go_wrong(simulation: Simulation, seed: int) -> None:
    faults = simulation.exchange.faults
    for kind in (
        FaultKind.UNKNOWN_EXECUTED,
        FaultKind.UNAVAILABLE,
        FaultKind.PARTIAL_FILLS,
        FaultKind.EVENTS_DELAYED,
        FaultKind.STOP_VANISHED,
    ):
        method = "POST" if kind in ANSWERS else None
        faults.arm(kind, method=method, times=0, probability=0.02, seed=seed)
    faults.arm(FaultKind.STUCK_TRIGGERING, times=0, probability=0.1, seed=seed, amount=5_000)


def _check(simulation: Simulation, state: MemoryState) -> None:
    """Assert what holds at any time."""
    core = simulation.exchange.venue._core
    account = core.account
    ledger = sum((row.amount for row in state.income(EVERYTHING, None)), D(0))
    assert account.wallet == ledger, "the wallet is the sum of the ledger, to the last digit"
    assert account.available >= 0
    _check_positions(simulation, state)
    for symbol in SYMBOLS:
        of = account.symbols[symbol]
        resting: dict[object, Decimal] = {}
        for order in of.orders.values():
            assert order.status.is_open
            assert 0 <= order.executed < order.quantity
            assert order.only_reduces is (order.order_id in of.reducing)
            assert core.client_ids[symbol, order.client_order_id] is order
            key = order.position_side, order.side
            resting[key] = resting.get(key, D(0)) + order.exposure
        assert {k: v for k, v in of.resting.items() if v} == {k: v for k, v in resting.items() if v}
        for algo in of.algos.values():
            assert core.open_algos[algo.algo_id] is algo
    assert {row.order_id for row in state.open_orders()} == {
        order_id for symbol in SYMBOLS for order_id in account.symbols[symbol].orders
    }
    for row in state.orders(EVERYTHING):
        assert row.executed <= row.quantity
        assert (row.status == "FILLED") is (row.executed == row.quantity)
    _check_sums(simulation)


def _check_positions(simulation: Simulation, state: MemoryState) -> None:
    fills: dict[tuple[str, str], Decimal] = {}
    for trade in state.trades(EVERYTHING, None):
        key = trade.symbol, trade.position_side.value
        fills[key] = fills.get(key, D(0)) + trade.quantity * trade.side.sign
    held = {
        (position.symbol, position.side.value): position.amount
        for _, position in simulation.exchange.venue._core.account.positions()
    }
    assert held == {key: amount for key, amount in fills.items() if amount}
    for _, position in simulation.exchange.venue._core.account.positions():
        assert position.isolated_wallet >= 0
        assert position.side.value != "LONG" or position.amount > 0
        assert position.side.value != "SHORT" or position.amount < 0


def _check_sums(simulation: Simulation) -> None:
    account = simulation.exchange.venue._core.account
    afresh = [of.figure() for of in account.symbols.values()]
    for kept, figures in zip(account.sums(), zip(*afresh, strict=True), strict=True):
        assert kept == sum(figures), "sums kept by differences never drift"
    orders, held, unrealized, _ = account.sums()
    free = account.cross_wallet + unrealized - held - orders
    assert not account.surely_has(free), "what is surely there is there"

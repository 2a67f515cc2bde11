"""The engine in hedge mode beside somebody else's position on the other side of the symbol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_rig import SYMBOL, Rig, rig
from trader_cli.domain.rules import BridgeRules, ForeignPolicy, ForeignRules

THEIRS = Decimal("0.02")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rig]:
    """An own, protected SHORT and a larger LONG of another program."""
    async with rig(tmp_path, hedge=True) as made:
        await made.start()
        made.decide("SHORT")
        await made.enter()
        made.by_hand("BUY", str(THEIRS), positionSide="LONG")
        await made.pass_time(3)
        yield made


def held(world: Rig) -> dict[str, Decimal]:
    rows = world.paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": SYMBOL})
    amounts = {row["positionSide"]: Decimal(row["positionAmt"]) for row in rows}
    return {side: amount for side, amount in amounts.items() if amount != 0}


def sides(rows: list[dict[str, Any]]) -> set[str]:
    return {row["positionSide"] for row in rows}


async def test_cut_loss_leaves_the_other_side_alone(world: Rig) -> None:
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=8)
    await world.pass_time(3)

    assert held(world) == {"LONG": THEIRS}
    assert world.algos() == []
    [closed] = world.reports("closed")
    assert (closed["side"], closed["exit_reason"]) == ("SHORT", "AI CUT_LOSS")
    # 0.01 in as maker and out as taker: nothing of what the other program paid.
    assert Decimal("0.6") < Decimal(str(closed["fees"])) < Decimal("0.7")


async def test_stop_that_fires_is_told_as_one(world: Rig) -> None:
    [stop] = world.stops()
    await world.price(Decimal(stop["triggerPrice"]) + 1)
    await world.until(lambda: world.reports("closed"), within_s=8)

    assert held(world) == {"LONG": THEIRS}
    assert [row["exit_reason"] for row in world.reports("closed")] == ["STOP_LOSS"]


async def test_vanished_stop_is_put_back_on_our_own_side(world: Rig) -> None:
    [stop] = world.stops()
    world.paper.ask("DELETE", "/fapi/v1/algoOrder", {"algoId": stop["algoId"]})
    await world.until(world.stops, within_s=5)
    await world.pass_time(6)

    assert sides(world.algos()) == {"SHORT"}
    assert held(world).keys() == {"LONG", "SHORT"}
    assert world.reports("closed") == []


async def test_restart_finds_its_own_side_and_keeps_its_exits(world: Rig) -> None:
    before = sorted(row["algoId"] for row in world.algos())
    await world.kill_9()
    await world.start()
    await world.pass_time(4)

    assert sorted(row["algoId"] for row in world.algos()) == before
    world.decide("CUT_LOSS")
    await world.pass_time(4)
    assert held(world) == {"LONG": THEIRS}


async def test_flip_closes_our_side_and_does_not_open_into_the_other_ones_position(
    tmp_path: Path,
) -> None:
    theirs = "0.002"  # small enough to leave room below the position limit
    async with rig(tmp_path, hedge=True, bridge=BridgeRules(flip_window_s=0)) as world:
        await world.start()
        world.decide("SHORT")
        await world.enter()
        world.by_hand("BUY", theirs, positionSide="LONG")
        await world.pass_time(3)
        told = [row for row in world.reports("warning") if row["kind"] == "foreign_position"]
        assert [row["message"] for row in told] == ["BTCUSDT LONG 0.002 is not this engine's"]

        world.decide("LONG")
        await world.until(lambda: world.reports("closed"), within_s=8)
        await world.pass_time(13)

        assert held(world) == {"LONG": Decimal(theirs)}
        assert world.refusals() == ["not_own_position"]
        assert world.algos() == []


async def test_flip_back_and_forth_on_our_own_sides(tmp_path: Path) -> None:
    rules = BridgeRules(cool_down_s=0, flip_window_s=0)
    async with rig(tmp_path, hedge=True, bridge=rules) as world:
        await world.start()
        for number, (command, side) in enumerate([("LONG", 1), ("SHORT", -1), ("LONG", 1)], 1):
            world.decide(command)
            await world.until(lambda: world.open_orders(), within_s=8)
            await world.fill_resting()
            await world.until(lambda n=number: len(world.reports("protected")) == n, within_s=8)
            assert held(world).keys() == {command}
            assert held(world)[command] * side > 0

        await world.kill_9()
        await world.start()
        world.decide("CUT_LOSS")
        await world.until(lambda: not held(world), within_s=8)
        await world.pass_time(2)
        assert world.algos() == []
        assert len(world.reports("closed")) == 3


@pytest.mark.parametrize("hedge", [True, False])
async def test_stranger_that_is_to_be_ignored_is_not_told_and_still_not_ours(
    tmp_path: Path, hedge: bool
) -> None:
    ignore = ForeignRules(symbols={SYMBOL: ForeignPolicy.IGNORE})
    async with rig(tmp_path, hedge=hedge, foreign=ignore) as world:
        await world.start()
        if hedge:
            world.decide("SHORT")
            await world.enter()
        world.by_hand("BUY", "0.002", **({"positionSide": "LONG"} if hedge else {}))
        await world.pass_time(3)

        assert "foreign_position" not in [row["kind"] for row in world.reports("warning")]
        world.decide("CUT_LOSS")
        await world.pass_time(3)
        assert {abs(amount) for amount in held(world).values()} == {Decimal("0.002")}

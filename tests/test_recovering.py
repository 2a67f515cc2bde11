"""After a restart: whose a position is, what is taken back, and what a person placed stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engine_rig import SYMBOL, Rig, rig
from tests.support.facts import NOW_MS, position
from tests.support.paper_transport import MemoryResponse, MemorySession
from trader_cli.domain.account import Fill
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction, PositionSide, Side
from trader_cli.engine.decide import step
from trader_cli.engine.draft import EngineRules
from trader_cli.engine.facts import Ownership, PositionSeen
from trader_cli.engine.readings import Standing, held_position, standing_of
from trader_cli.engine.remembered import OpenDecision
from trader_cli.engine.settling import round_trip
from trader_cli.engine.state import EngineState
from trader_cli.paper.protocol.messages import HttpRequest


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def in_position(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.enter()


# --- through the engine ------------------------------------------------------------------------


async def test_position_that_is_still_that_trade_is_owned_again(world: Rig) -> None:
    await in_position(world)
    await world.kill_9()

    await world.start()
    await world.pass_time(1)
    world.decide("LONG", advisor="lion")
    await world.pass_time(1)

    assert world.refusals() == ["owned"]
    assert world.reports("warning") == []


async def test_position_of_the_same_side_by_hand_after_ours_ended_is_not_ours(world: Rig) -> None:
    await in_position(world)
    held = format(world.quantity(), "f")
    await world.kill_9()
    await world.price("94800")
    assert world.quantity() == 0
    await world.pass_time(2)
    world.by_hand("BUY", held)

    await world.start()
    await world.until(lambda: world.reports("closed"), within_s=8)
    await world.pass_time(3)
    world.decide("CUT_LOSS")
    await world.pass_time(3)

    assert world.quantity() == Decimal(held), "a person's position is not the engine's to close"
    assert "foreign_position" in [row["kind"] for row in world.reports("warning")]
    assert world.algos() == [], "nor may it meet what the ended trade left behind"


async def test_position_that_a_person_enlarged_stays_ours_and_stopped_as_a_whole(
    world: Rig,
) -> None:
    await in_position(world)
    await world.kill_9()
    world.by_hand("BUY", "0.003")

    await world.start()
    await world.until(lambda: world.reports("reconciled"), within_s=5)
    await world.pass_time(2)

    assert [row["closePosition"] for row in world.stops()] == [True]
    world.decide("CUT_LOSS")
    await world.until(lambda: world.quantity() == 0, within_s=5)


async def test_position_of_a_flip_is_still_ours_and_keeps_its_exits(tmp_path: Path) -> None:
    async with rig(tmp_path, bridge=BridgeRules(flip_window_s=0)) as world:
        await in_position(world)
        world.decide("SHORT")
        await world.until(lambda: world.quantity() == 0, within_s=5)
        await world.fill_resting()
        await world.until(lambda: len(world.reports("protected")) == 2, within_s=8)
        before = world.algos()
        await world.kill_9()

        await world.start()
        await world.pass_time(4)

        assert world.algos() == before
        world.decide("CUT_LOSS")
        await world.until(lambda: world.quantity() == 0, within_s=5)


async def test_entry_by_hand_through_our_own_command_stays(world: Rig) -> None:
    await world.start()
    await world.kill_9()
    name = client_order_id("cli-1", Leg.ENTRY, 0)
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(60_000),
        client_order_id=name,
    )
    world.journal.record_intent(
        source="cli-1", leg=Leg.ENTRY, attempt=0, request=request, details={}
    )
    world.journal.record_event(name, IntentEvent.SEND, {})
    world.paper.ask(
        "POST",
        "/fapi/v1/order",
        {
            "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.002",
            "price": "60000", "timeInForce": "GTC", "newClientOrderId": name,
        },
    )  # fmt: skip

    await world.start()
    await world.pass_time(3)

    assert [row["clientOrderId"] for row in world.open_orders()] == [name]
    assert world.reports("reconciled")[-1]["cancelled_entries"] == []


async def test_exits_of_ours_without_a_position_are_taken_away_at_the_start(world: Rig) -> None:
    await in_position(world)
    await world.kill_9()
    world.by_hand("SELL", format(world.quantity(), "f"), reduceOnly="true")
    assert len(world.algos()) == 2

    await world.start()
    await world.until(lambda: not world.algos(), within_s=5)
    await world.until(lambda: world.reports("closed"), within_s=8)

    assert world.reports("closed")[0]["exit_reason"] == "MANUAL"


async def test_trade_that_ended_meanwhile_is_settled_once(world: Rig) -> None:
    await in_position(world)
    await world.kill_9()
    await world.price("94800")
    for _ in range(2):
        await world.start()
        await world.until(lambda: world.reports("closed"), within_s=8)
        await world.pass_time(2)
        await world.kill_9()

    assert len(world.reports("closed")) == 1
    assert len(list(world.journal.rows(kind="trade"))) == 1


async def test_holding_time_counts_from_the_entry_over_restarts(world: Rig) -> None:
    await world.start()
    parameters = {"position_size_pct": 50, "leverage": 20, "max_holding_minutes": 1}
    world.decide("LONG", dynamic_params=parameters)
    await world.enter()
    await world.pass_time(40)
    await world.kill_9()

    await world.start()
    await world.pass_time(15)
    assert world.quantity() > 0
    await world.until(lambda: world.quantity() == 0, within_s=8)


async def test_end_tells_of_a_strangers_position_whether_it_is_stopped(world: Rig) -> None:
    world.by_hand("BUY", "0.002")
    stop = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "90000"}
    more = {"algoType": "CONDITIONAL", "closePosition": "true"}
    world.paper.ask("POST", "/fapi/v1/algoOrder", stop | more)
    await world.start()
    await world.pass_time(2)
    await world.stop()

    [row] = world.reports("stopped")[-1]["positions"]
    assert (row["own"], row["protected"]) == (False, True)


# --- readings that do not fit --------------------------------------------------------------------


class LaggingSession(MemorySession):
    """Shows no positions, or no executions, for a while: reading endpoints may lag behind.

    Attributes:
        hides: the end of the path whose answers are empty lists now, None for none.
    """

    hides: str | None = None

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        async with super()._answered(request) as answer:
            if self.hides is not None and request.path.endswith(self.hides):
                answer = replace(answer, body=b"[]")
            yield answer


async def test_position_that_readings_missed_for_long_is_owned_again_when_they_show_it(
    world: Rig,
) -> None:
    session = LaggingSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    session.hides = "/positionRisk"
    await world.pass_time(20)
    assert "still_open" in [row["kind"] for row in world.reports("warning")]
    before = world.algos()

    session.hides = None
    await world.pass_time(6)

    assert world.algos() == before
    world.decide("LONG", advisor="lion")
    await world.pass_time(1)
    assert world.refusals() == ["owned"]
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=8)
    assert world.quantity() == 0


async def test_nothing_opens_while_executions_and_readings_do_not_fit(world: Rig) -> None:
    session = LaggingSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    held = world.quantity()
    session.hides = "/positionRisk"
    await world.pass_time(20)

    world.decide("LONG", advisor="lion")
    await world.pass_time(15)

    assert world.quantity() == held
    assert world.open_orders() == []
    assert world.reports("reconciled")[-1]["unclear"] == [SYMBOL]


async def test_position_by_hand_that_took_its_place_while_unseen_stays_a_persons(
    world: Rig,
) -> None:
    session = LaggingSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    held = format(world.quantity(), "f")
    session.hides = "/positionRisk"
    world.network.streams_up = False
    world.network.break_user_stream()
    await world.pass_time(12)
    world.by_hand("SELL", held)
    world.by_hand("BUY", held)

    session.hides = None
    world.network.streams_up = True
    await world.until(lambda: world.reports("closed"), within_s=20)
    await world.pass_time(5)
    world.decide("CUT_LOSS")
    await world.pass_time(3)

    assert world.quantity() == Decimal(held)


@pytest.mark.parametrize("endpoint", ["/positionRisk", "/userTrades"])
async def test_restart_whose_first_readings_lag_neither_strips_nor_loses_its_position(
    world: Rig, endpoint: str
) -> None:
    await in_position(world)
    await world.kill_9()
    before = world.algos()
    session = LaggingSession(world.paper)
    session.hides = endpoint
    await world.start(session=session)
    await world.pass_time(8)
    assert world.algos() == before

    session.hides = None
    await world.pass_time(8)
    assert world.algos() == before
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=8)
    assert world.quantity() == 0


async def test_position_whose_executions_never_come_is_nobodys_after_half_a_minute(
    world: Rig,
) -> None:
    await in_position(world)
    await world.kill_9()
    session = LaggingSession(world.paper)
    session.hides = "/userTrades"
    await world.start(session=session)
    await world.pass_time(20)
    assert world.reports("reconciled")[-1]["unclear"] == [SYMBOL]

    await world.pass_time(20)

    assert world.reports("reconciled")[-1]["unclear"] == []
    world.decide("LONG", advisor="lion")
    await world.pass_time(1)
    assert world.refusals() == ["not_own_position"]
    assert len(world.stops()) == 1


# --- whose it is -------------------------------------------------------------------------------


def fill(number: int, side: Side, quantity: str, *, at: int = NOW_MS) -> Fill:
    return Fill(
        symbol=SYMBOL,
        trade_id=number,
        order_id=number,
        client_order_id=None,
        side=side,
        position_side=PositionSide.BOTH,
        price=Decimal(95_000),
        quantity=Decimal(quantity),
        realized_pnl=Decimal(0),
        commission=Decimal(0),
        commission_asset="USDT",
        maker=False,
        time_ms=at + number,
    )


def decision(direction: Direction = Direction.LONG) -> OpenDecision:
    made = Signal(
        advisor="wolf",
        file="ai_wolf_bridge.json",
        section="ai_to_wolf",
        command=Command(direction.value),
        command_text=direction.value,
        timestamp_text="t",
        decided_ms=NOW_MS,
    )
    return OpenDecision(symbol=SYMBOL, direction=direction, signal=made, acted_ms=NOW_MS)


BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("fills", "held", "expected"),
    [
        ([fill(1, BUY, "0.01")], "0.01", Standing.HELD),
        ([fill(1, BUY, "0.004"), fill(2, BUY, "0.006")], "0.01", Standing.HELD),
        ([fill(1, BUY, "0.01"), fill(2, SELL, "0.004")], "0.006", Standing.HELD),
        ([fill(1, BUY, "0.01"), fill(2, SELL, "0.01")], "0", Standing.OVER),
        (
            [fill(1, BUY, "0.01"), fill(2, SELL, "0.01"), fill(3, BUY, "0.01")],
            "0.01",
            Standing.OVER,
        ),
        ([fill(1, BUY, "0.01")], "0.02", Standing.UNCLEAR),
        ([fill(1, BUY, "0.01")], "0", Standing.UNCLEAR),
        ([fill(1, SELL, "0.01")], "-0.01", Standing.OVER),
        ([fill(1, BUY, "0.01", at=NOW_MS - 3_000)], "0.01", Standing.OVER),
        ([], "0.01", Standing.OVER),
    ],
)
def test_position_is_the_trade_only_if_its_fills_lead_to_it_without_flat_between(
    fills: list[Fill], held: str, expected: Standing
) -> None:
    shown = None if held == "0" else position(held)

    found = standing_of(fills, decision(), shown, entries=(), began_ms=NOW_MS)

    assert found is expected


@pytest.mark.parametrize("before", [Side.BUY, Side.SELL])
def test_trade_begins_with_its_own_entry_and_not_with_the_end_of_the_one_before(
    before: Side,
) -> None:
    """A flip's two halves lie within a second."""
    fills = [fill(1, before, "0.01"), fill(2, BUY, "0.01")]

    found = standing_of(fills, decision(), position("0.01"), entries={"2"}, began_ms=NOW_MS)

    assert found is Standing.HELD


@given(st.permutations([fill(1, BUY, "0.004"), fill(2, BUY, "0.006"), fill(3, SELL, "0.002")]))
def test_order_of_the_list_does_not_matter(fills: list[Fill]) -> None:
    found = standing_of(fills, decision(), position("0.008"), entries={"1", "2"}, began_ms=NOW_MS)

    assert found is Standing.HELD


def test_hedge_mode_shows_the_preferred_side_else_the_larger() -> None:
    long = position("0.01", position_side=PositionSide.LONG)
    short = position("-0.02", position_side=PositionSide.SHORT)

    assert held_position([long, short], SYMBOL, prefer=Direction.LONG) is long
    assert held_position([long, short], SYMBOL, prefer=None) is short
    assert held_position([position("0")], SYMBOL, prefer=None) is None
    assert held_position([long], "ETHUSDT", prefer=None) is None


def test_position_whose_owner_is_proven_late_becomes_his() -> None:
    foreign = PositionSeen(
        symbol=SYMBOL, direction=Direction.LONG, quantity=Decimal("0.01"), entry_price=Decimal(1)
    )
    owner = Ownership(
        advisor="wolf", decision_id="d", opened_ms=NOW_MS - 5_000, max_holding_ms=None
    )
    state, _ = step(EngineState(), foreign, NOW_MS, EngineRules())
    assert not state.holdings[SYMBOL].is_own

    state, actions = step(state, replace(foreign, ownership=owner), NOW_MS, EngineRules())

    holding = state.holdings[SYMBOL]
    assert (holding.advisor, holding.opened_ms) == ("wolf", NOW_MS - 5_000)
    assert holding.naked_since_ms == NOW_MS, "and has to be looked after from now on"
    assert actions == ()


# --- what belongs to a trade -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fills", "entries", "expected"),
    [
        ([fill(1, BUY, "1"), fill(2, SELL, "1")], {"1"}, [1, 2]),
        # The exit of the trade before, the entry and exit of ours, and somebody's new entry.
        (
            [fill(1, SELL, "1"), fill(2, SELL, "1"), fill(3, BUY, "1"), fill(4, BUY, "2")],
            {"2"},
            [2, 3],
        ),
        ([fill(2, SELL, "1"), fill(1, BUY, "1")], {"1"}, [1, 2]),
        ([fill(1, BUY, "1"), fill(2, BUY, "1"), fill(3, SELL, "2")], {"1"}, [1, 2, 3]),
        ([fill(1, BUY, "1"), fill(2, SELL, "0.4")], {"1"}, [1, 2]),
        ([fill(1, BUY, "1"), fill(2, SELL, "1")], set(), [1, 2]),
        ([], {"1"}, []),
    ],
)
def test_round_trip_begins_with_our_entry_and_ends_flat(
    fills: list[Fill], entries: set[str], expected: list[int]
) -> None:
    assert [row.trade_id for row in round_trip(fills, entries)] == expected

"""An answer that is lost, or a close that is refused, does not leave a position naked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulations.world import JumpingClock, LateSession
from tests.support.engine_rig import rig
from tests.support.fake_client import START_MS, SYMBOL, FakeVenue, Floor, build_floor, unknown
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus, next_status
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.terms import AlgoStatus, Direction
from trader_cli.engine.protecting import is_stuck
from trader_cli.errors import NotSent, OutcomeUnknown, RateLimited, VenueError
from trader_cli.paper.api.faults import FaultKind
from trader_cli.trading.orders.brackets import Protection
from trader_cli.trading.orders.order_tracker import RESOLVE_S
from trader_cli.trading.orders.protection_spec import ProtectionPlan, ProtectionSpec
from trader_cli.trading.orders.sending import EXIT_PATIENCE_S, LOOK_AFTER_S
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle, Opened

ALGO = "/fapi/v1/algoOrder"


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


async def open_long(floor: Floor) -> Opened:
    return await floor.run(
        PositionManager(floor.orders).open_position(
            SYMBOL,
            Direction.LONG,
            source="o",
            spec=ProtectionSpec(stop_price=Decimal(94_000)),
            quantity=Decimal("0.01"),
            style=EntryStyle.MARKET,
        )
    )


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_stop_whose_answer_is_lost_is_placed_again_within_the_time(
    floor: Floor, lost: int
) -> None:
    """Absence is proven only after six seconds; a position may be naked for five."""
    for _ in range(lost):
        floor.venue.fail("place_conditional", unknown())

    opened = await open_long(floor)

    assert opened.closed is None
    assert len(floor.venue.stops) == 1
    assert opened.unprotected_ms is not None
    assert opened.unprotected_ms < 1_500 * lost


async def test_a_stop_that_had_arrived_all_the_same_is_found_and_is_the_only_one(
    floor: Floor,
) -> None:
    floor.venue.fail("place_conditional", unknown(), executed=True)

    def blind(method: str) -> None:
        # The exchange's lists trail by a moment: the first asking finds nothing.
        if method == "send" and floor.venue.quantity() > 0 and not floor.venue.invisible_until_ms:
            floor.venue.invisible_until_ms = floor.clock.now_ms() + 1_200

    floor.venue.before = blind
    opened = await open_long(floor)

    assert opened.closed is None
    assert len(floor.venue.stops) == 1
    assert floor.journal.unknown_intents() == []


async def test_an_entry_without_an_answer_is_protected_before_its_deadline(floor: Floor) -> None:
    """The request itself may hang for ten seconds; the position is there at once."""
    floor.venue.next_answer_after_s = 10.0

    opened = await open_long(floor)

    assert opened.closed is None
    assert len(floor.venue.stops) == 1
    assert floor.clock.monotonic() < LOOK_AFTER_S + 0.5
    assert len(floor.venue.sent) == 2  # the entry and its stop


@pytest.mark.parametrize("slow_s", [0.9, 10.0])
async def test_an_exit_without_an_answer_is_sent_again(floor: Floor, slow_s: float) -> None:
    floor.venue.hold("0.01")
    [position] = await floor.venue.get_positions()
    floor.venue.fail("send", unknown())
    floor.venue.next_answer_after_s = slow_s

    done = await floor.run(floor.orders.exit_at_market(position, source="x"))

    assert done.left == 0
    assert len(floor.venue.sent) == 2
    assert floor.clock.monotonic() < EXIT_PATIENCE_S + 1.5


async def test_an_exit_is_sent_again_although_the_question_about_it_is_not_answered_either(
    floor: Floor,
) -> None:
    floor.venue.hold("0.01")
    [position] = await floor.venue.get_positions()
    floor.venue.fail("send", unknown())
    floor.venue.next_answer_after_s = 10.0

    class Always(dict[str, float]):
        def pop(self, method: str) -> float:  # type: ignore[override]
            return self[method]

    floor.venue.late = Always(get_order_status=10.0)
    done = await floor.run(floor.orders.exit_at_market(position, source="x"))

    assert done.left == 0
    assert len(floor.venue.sent) == 2
    assert floor.clock.monotonic() < EXIT_PATIENCE_S + 2 * LOOK_AFTER_S + 0.5


async def test_an_entry_without_an_answer_is_asked_about_and_never_sent_again(
    floor: Floor,
) -> None:
    floor.venue.fail("send", unknown())
    floor.venue.next_answer_after_s = 10.0

    with pytest.raises(VenueError):
        await open_long(floor)

    assert len(floor.venue.sent) == 1


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("slow down", retry_at_ms=START_MS + 8_000, banned=False),
        NotSent("no connection"),
    ],
)
async def test_a_close_that_is_refused_at_first_is_tried_again(
    floor: Floor, error: RateLimited | NotSent
) -> None:
    floor.venue.fail_always("place_conditional", NotSent("no connection"))
    refused = 0

    def refuse(method: str) -> None:
        nonlocal refused
        if floor.clock.monotonic() > 4 and refused == 0:
            refused += 1
            for _ in range(3):
                floor.venue.fail("get_position_risk", error)

    floor.venue.before = refuse
    opened = await open_long(floor)

    assert refused == 1
    assert opened.closed is not None
    assert floor.venue.quantity() == 0


async def test_the_engine_proves_an_exit_that_was_left_in_doubt(tmp_path: Path) -> None:
    """Nothing opens on a symbol with an order in doubt: somebody has to ask again."""
    async with rig(tmp_path, bridge=BridgeRules(cool_down_s=0, flip_window_s=0)) as world:
        await world.start()
        world.paper.exchange.faults.arm(FaultKind.DROPPED, method="POST", path=ALGO)
        world.decide("LONG")
        await world.enter()
        assert world.journal.unknown_intents() != []

        await world.until(lambda: not world.journal.unknown_intents(), within_s=25)

        assert world.quantity() > 0
        assert len(world.stops()) == 1


@pytest.mark.parametrize("kind", [FaultKind.DROPPED_EXECUTED, FaultKind.UNKNOWN_EXECUTED])
async def test_an_entry_that_the_stream_told_of_before_its_answer_was_lost_is_protected(
    tmp_path: Path, kind: FaultKind
) -> None:
    clock = JumpingClock()
    async with rig(tmp_path, clock=clock) as world:
        session = LateSession(world.network, clock, lambda: None)
        await world.start(session=session)
        session.latency_ms = 120
        world.paper.exchange.faults.arm(kind, method="POST", path="/fapi/v1/order")
        world.decide("LONG")
        await world.pass_time(3)
        await world.fill_resting()

        await world.until(world.stops, within_s=5)

        assert world.refusals() == []
        assert world.quantity() > 0


@pytest.mark.parametrize(
    "status",
    [IntentStatus.OPEN, IntentStatus.PARTLY_FILLED, IntentStatus.FILLED, IntentStatus.CANCELED],
)
def test_an_order_that_was_seen_is_not_doubted_any_more(status: IntentStatus) -> None:
    assert next_status(status, IntentEvent.DOUBT) is status


async def test_a_stop_that_is_stuck_while_it_fires_is_not_taken_for_one_that_rests(
    floor: Floor,
) -> None:
    opened = await open_long(floor)
    [stop] = floor.venue.stops
    floor.venue.algos[stop.algo_id] = replace(stop, status=AlgoStatus.TRIGGERING)
    floor.venue.mark = Decimal(93_900)
    assert opened.position is not None
    position = replace(opened.position, mark_price=Decimal(93_900))

    again = await floor.run(
        floor.orders.protect(position, ProtectionPlan(stop_price=Decimal(94_000)), source="p")
    )

    assert again.must_close


@pytest.mark.parametrize(
    ("status", "after_ms", "stuck"),
    [
        (AlgoStatus.TRIGGERING, 2_000, False),
        (AlgoStatus.TRIGGERING, 2_001, True),
        (AlgoStatus.NEW, 60_000, False),
    ],
)
async def test_a_firing_stop_is_given_two_seconds(
    floor: Floor, status: AlgoStatus, after_ms: int, stuck: bool
) -> None:
    await open_long(floor)
    [stop] = floor.venue.stops
    firing = replace(stop, status=status, updated_ms=START_MS)

    assert is_stuck(firing, START_MS + after_ms) is stuck


async def move_stop(floor: Floor, price: str) -> Protection:
    [position] = await floor.venue.get_positions()
    plan = ProtectionPlan(stop_price=Decimal(price))
    return await floor.run(floor.orders.protect(position, plan, source="m"))


async def test_a_cancel_without_an_answer_holds_up_no_swap_of_stops(floor: Floor) -> None:
    """The request itself may hang for ten seconds; in these nobody looks after the position."""
    await open_long(floor)
    began_s = floor.clock.monotonic()
    floor.venue.late = {"cancel_algo_order": 10.0}

    moved = await move_stop(floor, "94500")

    assert floor.clock.monotonic() - began_s < 2.5
    assert moved.is_stopped
    assert [row.trigger_price for row in floor.venue.stops] == [Decimal(94_500)]
    assert floor.venue.stops[0].close_position


class NeverCancels(FakeVenue):
    """No cancel of a conditional order takes effect or is answered."""

    async def cancel_algo_order(
        self, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> None:
        await self.clock.sleep(60)


async def test_a_cancel_that_is_never_answered_ends_the_swap_by_its_deadline(
    tmp_path: Path,
) -> None:
    floor = build_floor(tmp_path, venue=NeverCancels)
    await open_long(floor)
    began_s = floor.clock.monotonic()

    moved = await move_stop(floor, "94500")

    assert [type(problem) for problem in moved.problems] == [OutcomeUnknown]
    assert floor.clock.monotonic() - began_s <= RESOLVE_S + 0.5
    assert floor.venue.naked == []
    floor.journal.close()


async def test_a_price_that_comes_to_the_bridge_during_a_swap_closes_the_position(
    floor: Floor,
) -> None:
    """The bridge fires then; one that gets stuck at that was taken for a stop that rests."""
    await open_long(floor)

    def fall(method: str) -> None:
        if method == "cancel_algo_order":
            floor.venue.mark = Decimal(94_400)
            for row in floor.venue.stops:
                if not row.close_position:
                    stuck = replace(row, status=AlgoStatus.TRIGGERING)
                    floor.venue.algos[row.algo_id] = stuck

    floor.venue.before = fall
    moved = await move_stop(floor, "94500")

    assert moved.must_close


async def test_what_refuses_a_doubtful_stop_is_not_looked_for_where_it_is_known(
    floor: Floor,
) -> None:
    await open_long(floor)
    began_s = floor.clock.monotonic()
    floor.venue.fail("place_conditional", unknown())

    moved = await move_stop(floor, "94500")

    assert moved.is_stopped
    assert floor.clock.monotonic() - began_s <= 1.0  # asking for it, and no more


async def test_an_exit_that_the_exchange_does_not_know_is_sent_again_at_once(
    floor: Floor,
) -> None:
    floor.venue.hold("0.01")
    [position] = await floor.venue.get_positions()
    floor.venue.fail("send", unknown())
    floor.venue.next_answer_after_s = 10.0

    done = await floor.run(floor.orders.exit_at_market(position, source="x"))

    assert done.left == 0
    assert floor.clock.monotonic() < LOOK_AFTER_S + 0.5


@pytest.mark.parametrize("naked", [True, False])
async def test_protecting_by_hand_ends_before_a_position_can_be_naked_for_too_long(
    floor: Floor, naked: bool
) -> None:
    """The stop that rests meanwhile may get stuck at firing as soon as it is looked at."""
    if naked:
        floor.venue.hold("0.01")
    else:
        await open_long(floor)
    floor.venue.fail_always("place_conditional", unknown())
    spec = ProtectionSpec(stop_price=Decimal(94_100))
    began_s = floor.clock.monotonic()

    done = await floor.run(PositionManager(floor.orders).protect(SYMBOL, spec, source="p"))

    assert not done.is_stopped
    assert floor.clock.monotonic() - began_s <= floor.orders.policy.protect_within_s + 0.5

"""One answer that shows no position, just after a fill, strips nothing and leaves nothing open."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.fake_client import SYMBOL, Floor, build_floor
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import ConditionalRequest, MarketRequest, Order
from trader_cli.domain.terms import Direction, OrderType, PositionSide, Side, WorkingType
from trader_cli.errors import Rejected
from trader_cli.trading.orders.flatness import READ_AGAIN_S, held_everywhere, held_positions
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle

STOPPED = ProtectionSpec(stop_price=Decimal(94_000))
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


@pytest.fixture
def manager(floor: Floor) -> PositionManager:
    return PositionManager(floor.orders)


async def rest_stop(floor: Floor) -> str:
    """Rest a stop of ours as a position has it; return its client id."""
    request = ConditionalRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id="",
        trigger_price=Decimal(94_000),
        working_type=WorkingType.MARK_PRICE,
        close_position=True,
    )
    placed = await floor.run(floor.orders.place(request, source="s", leg=Leg.STOP))
    return placed.order.client_order_id


async def reduce_by_hand(floor: Floor, quantity: str) -> Order:
    request = MarketRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        quantity=Decimal(quantity),
        client_order_id="",
        reduce_only=True,
    )
    placed = await floor.run(floor.orders.place(request, source="r", leg=Leg.EXIT))
    assert isinstance(placed.order, Order)
    return placed.order


async def test_what_is_shown_is_believed_at_once(floor: Floor) -> None:
    floor.venue.hold("0.01")
    before = floor.clock.monotonic()

    rows = await floor.run(held_positions(floor.venue, floor.clock, SYMBOL))

    assert [row.quantity for row in rows] == [Decimal("0.01")]
    assert floor.clock.monotonic() == before


@pytest.mark.parametrize(("empty", "held"), [(1, ["0.01"]), (2, [])])
async def test_nothing_held_takes_two_readings(floor: Floor, empty: int, held: list[str]) -> None:
    floor.venue.hold("0.01")
    floor.venue.empty_answers = empty

    rows = await floor.run(held_positions(floor.venue, floor.clock, SYMBOL))

    assert [str(row.quantity) for row in rows] == held
    assert floor.clock.monotonic() == READ_AGAIN_S


@pytest.mark.parametrize(("sides", "readings"), [({LONG}, 1), ({SHORT}, 2), ({LONG, SHORT}, 2)])
async def test_a_side_that_is_asked_for_is_missed_twice(
    floor: Floor, sides: set[PositionSide], readings: int
) -> None:
    floor.venue.hold("0.01", side=LONG)

    rows = await floor.run(held_positions(floor.venue, floor.clock, SYMBOL, sides=sides))

    assert [row.position_side for row in rows] == [LONG]
    assert floor.venue.called("get_position_risk") == readings


async def test_readings_of_the_whole_account_agree_too(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.venue.empty_answers = 1

    assert await floor.run(held_everywhere(floor.venue, floor.clock)) != []

    wanted = {("ETHUSDT", BOTH)}
    await floor.run(held_everywhere(floor.venue, floor.clock, keys=wanted))
    assert floor.venue.called("get_positions") == 4


async def test_one_empty_answer_does_not_take_a_stop_away(floor: Floor) -> None:
    floor.venue.hold("0.01")
    stop = await rest_stop(floor)
    floor.venue.empty_answers = 1

    assert await floor.run(floor.orders.clean_up_exits(SYMBOL)) == ()

    assert floor.venue.resting_ids() == {stop}


async def test_a_caller_that_read_it_flat_is_the_first_of_two_readings(floor: Floor) -> None:
    await rest_stop(floor)

    removed = await floor.run(floor.orders.clean_up_exits(SYMBOL, seen_flat=True))

    assert len(removed) == 1
    assert floor.clock.monotonic() == 0


async def test_cancel_all_keeps_the_stop_of_a_position_that_one_answer_misses(floor: Floor) -> None:
    floor.venue.hold("0.01")
    stop = await rest_stop(floor)
    floor.venue.empty_answers = 1

    swept = await floor.run(floor.orders.cancel_all_orders())

    assert swept.cancelled == ()
    assert floor.venue.resting_ids() == {stop}


async def test_closing_closes_what_the_first_answer_misses(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.hold("0.01")
    await rest_stop(floor)
    floor.venue.empty_answers = 1

    closed = await floor.run(manager.close_position(SYMBOL, source="c"))

    assert closed.flat
    assert floor.venue.quantity() == 0
    assert floor.venue.resting_ids() == set()


async def test_a_close_that_filled_in_part_is_not_flat_by_one_empty_answer(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.venue.market_fill_max = Decimal("0.006")
    [position] = await floor.venue.get_positions()
    floor.venue.empty_answers = 1

    done = await floor.run(floor.orders.exit_at_market(position, source="x"))

    assert done.left == 0
    assert floor.venue.quantity() == 0


async def test_a_reduction_by_hand_keeps_the_stop_of_what_is_left(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.hold("0.01")
    stop = await rest_stop(floor)
    order = await reduce_by_hand(floor, "0.004")
    floor.venue.empty_answers = 1

    notes = await floor.run(manager.after_exit(order, source="r"))

    assert notes == ()
    assert floor.venue.resting_ids() == {stop}


async def test_an_entry_is_not_forgotten_by_an_empty_answer_at_its_end(
    floor: Floor, manager: PositionManager
) -> None:
    def blind(method: str) -> None:
        if method == "send" and floor.venue.quantity() > 0:
            floor.venue.empty_answers = 1

    floor.venue.before = blind
    opened = await floor.run(
        manager.open_position(
            SYMBOL,
            Direction.LONG,
            source="o",
            spec=STOPPED,
            quantity=Decimal("0.01"),
            style=EntryStyle.MARKET,
        )
    )

    assert opened.position is not None
    assert len(floor.venue.stops) == 1


async def test_a_stop_that_failed_at_first_is_tried_again_though_the_position_is_not_shown(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.fail("place_conditional", Rejected("too many", code=-4045))

    def blind(method: str) -> None:
        if method == "send" and floor.venue.quantity() > 0:
            floor.venue.empty_answers = 1
            floor.venue.before = lambda method: None

    floor.venue.before = blind
    opened = await floor.run(
        manager.open_position(
            SYMBOL,
            Direction.LONG,
            source="o",
            spec=STOPPED,
            quantity=Decimal("0.01"),
            style=EntryStyle.MARKET,
        )
    )

    assert opened.position is not None
    assert len(floor.venue.stops) == 1

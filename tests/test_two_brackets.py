"""Two resting brackets on one symbol, and a position beside one: each keeps its own exits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.facts import btc_instrument
from tests.support.fake_client import SYMBOL, Floor, build_floor
from trader_cli.domain.account import BookTop
from trader_cli.domain.client_id import belong_together
from trader_cli.domain.order import LimitRequest, only_reduces
from trader_cli.domain.terms import Direction, OrderType, Side, TimeInForce
from trader_cli.errors import PartialFailure, Rejected
from trader_cli.trading.orders.bracket import Bracketed, rest_bracket, waiting_trailing
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle
from trader_cli.trading.risk.risk_terms import RiskLimits


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    limits = RiskLimits(
        max_position_usd=Decimal(5_000),
        max_total_exposure_usd=Decimal(5_000),
    )
    built = build_floor(tmp_path, limits=limits)
    yield built
    built.journal.close()


async def rest(
    floor: Floor, source: str, *, price: str, stop: str, quantity: str = "0.002", **more: Decimal
) -> Bracketed:
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        client_order_id="",
    )
    return await floor.run(
        rest_bracket(
            floor.orders,
            request,
            stop_price=Decimal(stop),
            take_profit_price=Decimal(97_000),
            source=source,
            callback_rate=more.get("callback_rate"),
        )
    )


async def test_a_second_bracket_covers_what_it_can_fill_and_says_so(floor: Floor) -> None:
    await rest(floor, "one", price="94000", stop="93000")

    second = await rest(floor, "two", price="93900", stop="92900", quantity="0.003")

    assert not second.stop.close_position
    assert (second.stop.quantity, second.stop.reduce_only) == (Decimal("0.003"), True)
    assert second.take_profit is not None
    assert second.take_profit.quantity == Decimal("0.003")
    assert len([note for note in second.notes if "rests already" in note]) == 2
    assert belong_together(second.stop.client_order_id, second.entry.client_order_id)
    assert len(floor.venue.open_orders) == 2
    assert len(floor.venue.open_algos) == 4


async def test_cancelling_one_bracket_leaves_the_other_whole(floor: Floor) -> None:
    first = await rest(floor, "one", price="94000", stop="93000")
    second = await rest(floor, "two", price="93900", stop="92900")

    await floor.run(floor.orders.cancel(first.entry.client_order_id))

    ids = floor.venue.resting_ids()
    assert len(ids) == 3
    assert all(belong_together(row, second.entry.client_order_id) for row in ids)


async def test_a_second_bracket_whose_stop_is_refused_is_taken_back(floor: Floor) -> None:
    first = await rest(floor, "one", price="94000", stop="93000")
    before = floor.venue.resting_ids()

    def refuse(method: str) -> None:
        if method == "send" and len(floor.venue.open_orders) == 2:
            floor.venue.fail_always("place_conditional", Rejected("full", code=-4045))

    floor.venue.before = refuse
    with pytest.raises(Rejected) as refusal:
        await rest(floor, "two", price="93900", stop="92900")

    assert refusal.value.code == -4045
    assert floor.venue.resting_ids() == before
    assert first.entry.client_order_id in before


async def open_now(floor: Floor) -> PositionManager:
    manager = PositionManager(floor.orders)
    opened = await floor.run(
        manager.open_position(
            SYMBOL,
            Direction.LONG,
            source="now",
            spec=ProtectionSpec(stop_price=Decimal(94_500)),
            quantity=Decimal("0.004"),
            style=EntryStyle.MARKET,
        )
    )
    assert opened.closed is None
    return manager


async def test_a_position_opened_beside_a_waiting_bracket_leaves_it_its_stop(floor: Floor) -> None:
    waiting = await rest(floor, "one", price="94000", stop="93000")

    manager = await open_now(floor)

    stops = {row.trigger_price: row for row in floor.venue.stops}
    assert set(stops) == {Decimal(93_000), Decimal(94_500)}
    assert stops[Decimal(94_500)].quantity == Decimal("0.004")

    await floor.run(manager.close_position(SYMBOL, source="c"))

    ids = floor.venue.resting_ids()
    assert len(ids) == 3
    assert all(belong_together(row, waiting.entry.client_order_id) for row in ids)


async def test_protecting_again_beside_a_waiting_bracket_changes_nothing(floor: Floor) -> None:
    await rest(floor, "one", price="94000", stop="93000")
    manager = await open_now(floor)
    before = floor.venue.resting_ids()
    spec = ProtectionSpec(stop_price=Decimal(94_500))

    again = await floor.run(manager.protect(SYMBOL, spec, source="p"))

    assert again.is_stopped
    assert floor.venue.resting_ids() == before


async def test_a_moved_stop_stays_with_the_entry_that_fills_on(floor: Floor) -> None:
    first = await rest(floor, "one", price="94000", stop="93000")
    floor.venue.fill(first.entry.client_order_id, Decimal("0.001"))
    manager = PositionManager(floor.orders)

    moved = await floor.run(
        manager.protect(SYMBOL, ProtectionSpec(stop_price=Decimal(93_500)), source="p")
    )
    floor.venue.held.clear()
    await floor.run(floor.orders.clean_up_exits(SYMBOL))

    assert moved.is_stopped
    [stop] = floor.venue.stops
    assert stop.trigger_price == Decimal(93_500)
    assert belong_together(stop.client_order_id, first.entry.client_order_id)


async def test_a_trailing_stop_waits_with_its_entry_and_goes_with_it(floor: Floor) -> None:
    result = await rest(floor, "one", price="94000", stop="93000", callback_rate=Decimal(2))

    trailing = result.trailing
    assert trailing is not None
    assert trailing.type is OrderType.TRAILING_STOP_MARKET
    assert (trailing.quantity, trailing.callback_rate) == (Decimal("0.002"), Decimal(2))
    assert trailing.activate_price == Decimal(95_880)  # 2 % above the entry
    assert only_reduces(trailing)

    await floor.run(floor.orders.cancel(result.entry.client_order_id))
    assert floor.venue.resting_ids() == set()


@pytest.mark.parametrize(
    ("direction", "entry", "rate", "mark", "start"),
    [
        (Direction.LONG, "94000", "2", "95000", "95880.0"),
        (Direction.LONG, "94000", "0.5", "95000", "95095.2"),  # 94470 lies below the market
        (Direction.LONG, "94000", "0.5", "95020", "95115.1"),  # mark leads the book
        (Direction.SHORT, "96000", "2", "95000", "94080.0"),
        (Direction.SHORT, "96000", "0.5", "95000", "94905.0"),
        (Direction.SHORT, "96000", "0.5", "94980", "94885.0"),
    ],
)
def test_a_waiting_trailing_stop_starts_beyond_the_market(
    direction: Direction, entry: str, rate: str, mark: str, start: str
) -> None:
    top = BookTop(
        symbol=SYMBOL,
        bid=Decimal("95000.0"),
        bid_quantity=Decimal(1),
        ask=Decimal("95000.1"),
        ask_quantity=Decimal(1),
        venue_ms=0,
    )

    plan = waiting_trailing(
        btc_instrument(), direction, Decimal(entry), top, Decimal(mark), Decimal(rate)
    )

    assert plan.activate_price == Decimal(start)


@pytest.mark.parametrize(("price", "resting"), [("94000", 0), ("95001", 2)])
async def test_an_entry_that_ends_at_once_leaves_exits_only_beside_what_it_filled(
    floor: Floor, price: str, resting: int
) -> None:
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(price),
        client_order_id="",
        time_in_force=TimeInForce.IOC,
    )

    with contextlib.suppress(PartialFailure):
        await floor.run(
            rest_bracket(
                floor.orders,
                request,
                stop_price=Decimal(93_000),
                take_profit_price=Decimal(97_000),
                source="ioc",
            )
        )

    assert len(floor.venue.open_algos) == resting
    assert (floor.venue.quantity() > 0) is (resting > 0)

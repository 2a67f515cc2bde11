"""Positions: opened with their stop or not at all, closed whole, and compared with our belief."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_client import START_MS, SYMBOL, FakeVenue, Floor, build_floor, unknown
from trader_cli.domain.account import IncomeRow
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    MarketRequest,
    Order,
    OrderRequest,
)
from trader_cli.domain.terms import (
    Direction,
    ExecutionType,
    MarginType,
    OrderType,
    PositionSide,
    Side,
)
from trader_cli.errors import NotSent, OutcomeUnknown, RefusedByRisk, Rejected, UsageError
from trader_cli.trading.orders.brackets import Resting
from trader_cli.trading.orders.protection_spec import ProtectionSpec, TrailingPlan
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle, Opened

NO_CONNECTION = NotSent("connection refused")
SPEC = ProtectionSpec(stop_roi_pct=Decimal("3.5"), take_profit_roi_pct=Decimal(8))


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


@pytest.fixture
def manager(floor: Floor) -> PositionManager:
    return PositionManager(floor.orders, margin_type=MarginType.ISOLATED)


async def open_long(floor: Floor, manager: PositionManager, **options: Any) -> Opened:
    options.setdefault("spec", SPEC)
    options.setdefault("quantity", Decimal("0.01"))
    options.setdefault("style", EntryStyle.MARKET)
    direction = options.pop("direction", Direction.LONG)
    return await floor.run(manager.open_position(SYMBOL, direction, source="d", **options))


def fail_stops(floor: Floor) -> None:
    """Let every conditional order fail from now on; market orders pass."""
    floor.venue.fail_always("place_conditional", NO_CONNECTION)


# --- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "entry", "stop", "target"),
    [
        # Entry 95000.1 at 20x: 3.5 % ROI are 0.175 % of price, 8 % are 0.4 %.
        (Direction.LONG, "95000.1", "94833.9", "95380.2"),
        (Direction.SHORT, "95000.0", "95166.2", "94620.0"),
    ],
)
async def test_stop_and_target_are_roi_over_the_effective_leverage(
    floor: Floor,
    manager: PositionManager,
    direction: Direction,
    entry: str,
    stop: str,
    target: str,
) -> None:
    opened = await open_long(floor, manager, direction=direction)

    assert opened.entry.average_price == Decimal(entry)
    triggers = {row.type: row.trigger_price for row in floor.venue.open_algos}
    assert triggers == {
        OrderType.STOP_MARKET: Decimal(stop),
        OrderType.TAKE_PROFIT_MARKET: Decimal(target),
    }
    assert all(row.close_position for row in floor.venue.open_algos)
    assert opened.unprotected_ms is not None
    assert opened.closed is None


async def test_margin_and_leverage_are_written_only_where_they_differ(
    floor: Floor, manager: PositionManager
) -> None:
    first = await open_long(floor, manager, leverage=10, quantity=Decimal("0.004"))
    second = await open_long(floor, manager, leverage=10, quantity=Decimal("0.004"))

    assert (first.leverage, second.leverage) == (10, 10)
    assert floor.venue.called("set_leverage") == 1
    assert floor.venue.called("set_margin_type") == 1
    assert floor.venue.margin_type is MarginType.ISOLATED


async def test_a_leverage_above_the_limit_opens_nothing(
    floor: Floor, manager: PositionManager
) -> None:
    with pytest.raises(RefusedByRisk) as refusal:
        await open_long(floor, manager, leverage=21)

    assert refusal.value.code == "max_leverage"
    assert floor.venue.quantity() == 0


async def test_a_size_in_usd_is_notional_before_leverage(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager, quantity=None, notional=Decimal(500))

    assert floor.venue.quantity() == Decimal("0.005")


@pytest.mark.parametrize("sizes", [{}, {"quantity": Decimal(1), "notional": Decimal(1)}])
async def test_a_size_is_given_exactly_once(
    floor: Floor, manager: PositionManager, sizes: dict[str, Decimal]
) -> None:
    with pytest.raises(UsageError):
        await open_long(floor, manager, **{"quantity": None, **sizes})


async def test_the_first_fill_is_protected_while_the_rest_still_works(
    floor: Floor, manager: PositionManager
) -> None:
    async def fill_a_little() -> int:
        await floor.clock.sleep(1)
        floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.002"))
        await floor.clock.sleep(1)
        return len(floor.venue.stops)

    filling = asyncio.ensure_future(fill_a_little())

    opened = await open_long(floor, manager, style=EntryStyle.SMART)

    assert await filling == 1
    assert opened.entry.filled_quantity == Decimal("0.01") == floor.venue.quantity()
    assert opened.entry.maker_quantity == Decimal("0.002")
    assert opened.unprotected_ms is not None
    assert opened.unprotected_ms < 1_000
    # The rest was taken higher: the stop has moved with the entry price, never away.
    assert opened.position is not None
    [stop] = floor.venue.stops
    distance = 1 - (stop.trigger_price or Decimal(0)) / opened.position.entry_price
    assert abs(distance - Decimal("0.00175")) < Decimal("0.000002")
    assert floor.venue.naked == []


def fill_and_tell(floor: Floor, quantity: str) -> None:
    """Execute a part of the resting entry; the stream tells it, queries deny it for 4 s."""
    floor.venue.invisible_until_ms = floor.clock.now_ms() + 4_000
    [resting] = floor.venue.open_orders
    floor.venue.fill(resting.client_order_id, Decimal(quantity))
    event = OrderUpdated(
        order=floor.venue.orders[resting.order_id],
        execution=ExecutionType.TRADE,
        fill=None,
        expiry_reason=None,
        venue_ms=floor.clock.now_ms(),
    )
    floor.orders.observe(event)
    floor.orders.observe(event)


@pytest.mark.parametrize(
    ("waits_for", "from_s"), [("send", 0.0), ("get_book_top", 1.0), ("amend_order", 1.0)]
)
async def test_the_first_fill_is_protected_whatever_the_entry_waits_for(
    floor: Floor, manager: PositionManager, waits_for: str, from_s: float
) -> None:
    told: list[Decimal] = []

    async def fill_while_it_waits() -> int:
        await floor.clock.sleep(from_s)
        floor.venue.late[waits_for] = 4.0
        floor.venue.bid += Decimal(1) if from_s else 0  # what rests is behind the touch now
        floor.venue.ask = floor.venue.bid + Decimal("0.1")
        await floor.clock.sleep(0.5)
        assert waits_for not in floor.venue.late
        fill_and_tell(floor, "0.002")
        await floor.clock.sleep(0.01)
        return len(floor.venue.stops)

    filling = asyncio.ensure_future(fill_while_it_waits())

    opened = await open_long(
        floor,
        manager,
        style=EntryStyle.SMART,
        on_first_fill=lambda order: told.append(order.filled_quantity),
    )

    assert await filling == 1
    assert told == [Decimal("0.002")]
    assert opened.entry.filled_quantity == Decimal("0.01") == floor.venue.quantity()
    assert opened.unprotected_ms == 0


async def test_a_position_that_cannot_be_protected_is_closed_within_its_time(
    floor: Floor, manager: PositionManager
) -> None:
    fail_stops(floor)

    opened = await open_long(floor, manager)

    assert floor.venue.quantity() == 0
    assert opened.closed is not None
    assert opened.closed.flat
    assert opened.position is None
    assert opened.unprotected_ms is None
    assert 5 <= floor.clock.monotonic() < 7


async def test_a_price_through_the_stop_closes_at_once(
    floor: Floor, manager: PositionManager
) -> None:
    def fall(method: str) -> None:
        if method == "send":
            floor.venue.mark = Decimal(94_000)

    floor.venue.before = fall

    opened = await open_long(floor, manager)

    assert opened.closed is not None
    assert floor.venue.quantity() == 0
    assert floor.clock.monotonic() < 1


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        # 20x isolated is liquidated about 4.6 % away; 100 % ROI are 5 %.
        (ProtectionSpec(stop_roi_pct=Decimal(100)), "stop_beyond_liquidation"),
        (ProtectionSpec(stop_roi_pct=Decimal(1)), "stop_within_fees"),
        (ProtectionSpec(stop_price=Decimal(96_000)), "stop_would_trigger"),
    ],
)
async def test_a_stop_that_does_not_protect_refuses_the_entry(
    floor: Floor, manager: PositionManager, spec: ProtectionSpec, rule: str
) -> None:
    with pytest.raises(RefusedByRisk) as refusal:
        await open_long(floor, manager, spec=spec)

    assert refusal.value.code == rule
    assert floor.venue.sent == []


async def test_an_entry_whose_outcome_is_lost_is_protected_if_it_executed(
    floor: Floor, manager: PositionManager
) -> None:
    def lose_track(method: str) -> None:
        # The reads that would prove the entry fail for good; positions can still be read.
        if method == "send" and not floor.venue.sent:
            floor.venue.fail("send", unknown(), executed=True)
            floor.venue.fail_always("get_order_status", NO_CONNECTION)

    floor.venue.before = lose_track

    opened = await open_long(floor, manager)

    assert isinstance(opened.entry.error, OutcomeUnknown)
    assert opened.entry.filled_quantity == Decimal("0.01")
    assert len(floor.venue.stops) == 1
    assert sum(isinstance(row, MarketRequest) for row in floor.venue.sent) == 1


async def test_an_entry_that_failed_with_nothing_done_raises(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.fail("send", Rejected("Margin is insufficient.", code=-2019))

    with pytest.raises(Rejected):
        await open_long(floor, manager)

    assert floor.venue.open_algos == []


async def test_a_dropped_entry_keeps_the_stop_of_what_filled(
    floor: Floor, manager: PositionManager
) -> None:
    cancelled = asyncio.Event()

    async def drop() -> None:
        await floor.clock.sleep(1)
        floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.002"))
        await floor.clock.sleep(1)
        cancelled.set()

    dropping = asyncio.ensure_future(drop())

    opened = await open_long(floor, manager, style=EntryStyle.SMART, cancelled=cancelled)

    await dropping
    assert opened.entry.filled_quantity == Decimal("0.002") == floor.venue.quantity()
    assert len(floor.venue.stops) == 1
    assert floor.venue.open_orders == []


async def test_opening_against_a_position_is_refused(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.hold("-0.001")

    with pytest.raises(UsageError) as refusal:
        await open_long(floor, manager)

    assert refusal.value.code == "opposite_position"


async def test_in_hedge_mode_the_position_has_its_own_side(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.hedge_mode = True

    await open_long(floor, manager)

    assert floor.venue.quantity(side=PositionSide.LONG) == Decimal("0.01")
    assert {row.position_side for row in floor.venue.open_algos} == {PositionSide.LONG}
    assert not any(row.reduce_only for row in floor.venue.sent)


async def test_adding_keeps_the_stop_and_stays_covered(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager, quantity=Decimal("0.004"))
    [before] = floor.venue.stops

    added = await floor.run(
        manager.add_to_position(
            SYMBOL, source="a", quantity=Decimal("0.002"), style=EntryStyle.MARKET
        )
    )

    assert floor.venue.quantity() == Decimal("0.006")
    assert floor.venue.stops == [before]
    assert added.entry.filled_quantity == Decimal("0.002")


async def test_adding_to_nothing_is_refused(floor: Floor, manager: PositionManager) -> None:
    with pytest.raises(UsageError):
        await floor.run(manager.add_to_position(SYMBOL, source="a", quantity=Decimal("0.002")))


async def test_protection_survives_an_entry_that_moves_nothing(
    floor: Floor, manager: PositionManager
) -> None:
    # An add with a new stop that the exchange refuses: the old stop covers, nothing is closed.
    await open_long(floor, manager, quantity=Decimal("0.004"))
    fail_stops(floor)

    added = await floor.run(
        manager.add_to_position(
            SYMBOL,
            source="a",
            spec=ProtectionSpec(stop_price=Decimal(94_500)),
            quantity=Decimal("0.002"),
            style=EntryStyle.MARKET,
        )
    )

    assert added.closed is None
    assert floor.venue.quantity() == Decimal("0.006")
    assert len(floor.venue.stops) == 1


# --- closing -------------------------------------------------------------------------------------


async def test_closing_removes_our_exits_and_leaves_foreign_ones(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager)
    foreign = floor.venue.rest(
        ConditionalRequest(
            symbol=SYMBOL,
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            client_order_id="web-1",
            quantity=Decimal("0.01"),
            trigger_price=Decimal(93_000),
            reduce_only=True,
        )
    )

    closed = await floor.run(manager.close_position(SYMBOL, source="c"))

    assert closed.flat
    assert floor.venue.quantity() == 0
    assert floor.venue.resting_ids() == {foreign.client_order_id}
    assert len(closed.removed) == 2


async def test_reducing_keeps_the_exits(floor: Floor, manager: PositionManager) -> None:
    await open_long(floor, manager)

    closed = await floor.run(manager.close_position(SYMBOL, source="c", quantity=Decimal("0.004")))

    assert not closed.flat
    assert floor.venue.quantity() == Decimal("0.006")
    assert len(floor.venue.open_algos) == 2


async def test_closing_what_is_flat_removes_orphans_and_succeeds(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager)
    floor.venue.held.clear()

    closed = await floor.run(manager.close_position(SYMBOL, source="c"))

    assert (closed.flat, closed.orders, closed.positions) == (True, (), ())
    assert floor.venue.resting_ids() == set()


async def test_closing_both_sides_of_hedge_mode(floor: Floor, manager: PositionManager) -> None:
    floor.venue.hold("0.01", side=PositionSide.LONG)
    floor.venue.hold("-0.01", side=PositionSide.SHORT)

    one = await floor.run(
        manager.close_position(SYMBOL, source="c", position_side=PositionSide.LONG)
    )
    assert one.flat
    assert floor.venue.quantity(side=PositionSide.SHORT) == Decimal("-0.01")

    await floor.run(manager.close_position(SYMBOL, source="c"))
    assert floor.venue.quantity(side=PositionSide.SHORT) == 0


# --- looking after -------------------------------------------------------------------------------


async def test_protecting_by_hand_moves_the_stop_and_says_when_to_close(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager)

    moved = await floor.run(
        manager.protect(SYMBOL, ProtectionSpec(stop_price=Decimal(94_900)), source="p")
    )
    too_late = await floor.run(
        manager.protect(SYMBOL, ProtectionSpec(stop_price=Decimal(95_500)), source="p")
    )

    assert isinstance(moved.stop, Resting)
    assert too_late.must_close
    assert [row.trigger_price for row in floor.venue.stops] == [Decimal(94_900)]
    assert floor.venue.naked == []


class TakesNoTrailingStop(FakeVenue):
    """It refuses every trailing stop."""

    async def send(self, request: OrderRequest) -> Order | AlgoOrder:
        if isinstance(request, ConditionalRequest) and request.callback_rate is not None:
            raise Rejected("Invalid callBack rate", code=-2007)
        return await super().send(request)


TRAILING = replace(SPEC, trailing=TrailingPlan(callback_rate=Decimal(1)))


async def test_a_trailing_stop_that_is_refused_is_told_and_the_stop_rests(tmp_path: Path) -> None:
    floor = build_floor(tmp_path, venue=TakesNoTrailingStop)

    opened = await open_long(floor, PositionManager(floor.orders), spec=TRAILING)

    assert opened.protection is not None
    assert opened.protection.is_stopped
    assert [problem.code for problem in opened.protection.problems] == [-2007]
    floor.journal.close()


async def test_a_trailing_stop_that_could_not_be_tried_is_told(
    floor: Floor, manager: PositionManager
) -> None:
    """It comes last, once the position is read; here that fails."""

    def blind(method: str) -> None:
        if method == "send" and floor.venue.quantity() > 0:
            floor.venue.fail_always("get_position_risk", NO_CONNECTION)

    floor.venue.before = blind
    opened = await open_long(floor, manager, spec=TRAILING)

    assert opened.protection is not None
    assert opened.protection.is_stopped
    assert [problem.message for problem in opened.protection.problems] == ["connection refused"]


@pytest.mark.parametrize("spec", [SPEC, TRAILING])
async def test_a_stop_that_is_not_moved_to_the_final_price_rests_and_counts(
    floor: Floor, manager: PositionManager, spec: ProtectionSpec
) -> None:
    def move_and_refuse(method: str) -> None:
        if method == "send" and floor.venue.quantity() == 0:
            floor.venue.set_price("95005.0")  # it fills elsewhere than was expected
        if method == "send" and len(floor.venue.stops) == 1:
            floor.venue.fail_always("place_conditional", NO_CONNECTION)

    floor.venue.before = move_and_refuse
    opened = await open_long(floor, manager, spec=spec)

    assert opened.closed is None
    assert opened.protection is not None
    assert opened.protection.is_stopped
    assert opened.protection.trailing is None
    assert bool(opened.protection.problems) is (spec is TRAILING)


async def test_a_trailing_stop_rests_beside_the_fixed_one(
    floor: Floor, manager: PositionManager
) -> None:
    spec = replace(
        SPEC,
        trailing_activation_roi_pct=Decimal(4),
        trailing_distance_roi_pct=Decimal(1),
    )

    opened = await open_long(floor, manager, spec=spec)

    assert opened.protection is not None
    assert {row.type for row in floor.venue.stops} == {
        OrderType.STOP_MARKET,
        OrderType.TRAILING_STOP_MARKET,
    }
    [trailing] = [row for row in floor.venue.stops if row.callback_rate]
    # 1 % ROI at 20x is 0.05 %, raised to the exchange's least.
    assert (trailing.callback_rate, trailing.reduce_only) == (Decimal("0.1"), True)


async def test_positions_show_their_nearest_stop_and_target(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager)
    floor.venue.hold("0.5", "3000", symbol="ETHUSDT")

    views = {row.position.symbol: row for row in await floor.run(manager.list_positions())}

    assert views[SYMBOL].protected
    assert views[SYMBOL].stop_price == Decimal("94833.9")
    assert views[SYMBOL].take_profit_price == Decimal("95380.2")
    assert not views["ETHUSDT"].protected
    assert views["ETHUSDT"].stop_price is None


async def test_a_stop_for_less_than_the_position_does_not_protect_it(
    floor: Floor, manager: PositionManager
) -> None:
    floor.venue.hold("0.01")
    await floor.run(
        floor.orders.place(
            ConditionalRequest(
                symbol=SYMBOL,
                side=Side.SELL,
                type=OrderType.STOP_MARKET,
                client_order_id="",
                quantity=Decimal("0.009"),
                trigger_price=Decimal(94_000),
                reduce_only=True,
            ),
            source="s",
            leg=Leg.STOP,
        )
    )

    [view] = await floor.run(manager.list_positions())

    assert not view.protected


async def test_leverage_is_read_before_it_is_written(
    floor: Floor, manager: PositionManager
) -> None:
    assert await floor.run(manager.set_leverage(SYMBOL, 20)) == 20
    assert floor.venue.called("set_leverage") == 0
    assert await floor.run(manager.set_leverage(SYMBOL, 5)) == 5
    assert floor.venue.leverage == 5


async def test_differences_are_named_once_and_adopted(
    floor: Floor, manager: PositionManager
) -> None:
    await open_long(floor, manager)
    assert await floor.run(manager.sync_positions()) == ()

    floor.venue.hold("0.004")
    floor.venue.hold("0.5", symbol="ETHUSDT")
    changed = await floor.run(manager.sync_positions())
    floor.venue.held.clear()
    gone = await floor.run(manager.sync_positions())
    settled = await floor.run(manager.sync_positions())

    assert [(row.kind, row.symbol) for row in changed] == [
        ("size_differs", SYMBOL),
        ("opened_elsewhere", "ETHUSDT"),
        ("unprotected", "ETHUSDT"),
    ]
    assert sorted(row.kind for row in gone) == [
        "closed_elsewhere",
        "closed_elsewhere",
        "orphan_exit",
        "orphan_exit",
    ]
    assert [row.kind for row in settled] == ["orphan_exit", "orphan_exit"]


async def test_the_days_result_comes_from_the_ledger(
    floor: Floor, manager: PositionManager
) -> None:
    def row(kind: str, amount: str, symbol: str = SYMBOL) -> IncomeRow:
        return IncomeRow(
            symbol=symbol,
            income_type=kind,
            amount=Decimal(amount),
            asset="USDT",
            info="",
            transaction_id=1,
            trade_id="",
            time_ms=START_MS,
        )

    floor.venue.income = [
        row("REALIZED_PNL", "-3"),
        row("COMMISSION", "-0.5"),
        row("FUNDING_FEE", "0.2"),
        row("TRANSFER", "1000"),
        row("REALIZED_PNL", "7", "ETHUSDT"),
    ]
    floor.venue.hold("0.01", "94900")

    pnl = await floor.run(manager.get_current_pnl(SYMBOL))
    account = await floor.run(manager.get_current_pnl())

    assert (pnl.realized, pnl.fees, pnl.funding) == (Decimal(-3), Decimal("-0.5"), Decimal("0.2"))
    assert pnl.unrealized == Decimal(1)
    assert pnl.total == Decimal("-2.3")
    assert account.realized == Decimal(4)

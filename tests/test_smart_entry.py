"""Maker-first entries: followed at the touch, bounded in price and time, never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_client import SYMBOL, Floor, build_floor, unknown
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.order import LimitRequest, Order
from trader_cli.domain.rules import EntryPolicy, Fallback
from trader_cli.domain.terms import ExecutionType, Side, TimeInForce
from trader_cli.errors import (
    Halted,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UsageError,
)
from trader_cli.journal.halt import HaltedBy
from trader_cli.trading.orders.chase import EntryResult, WorkEnd
from trader_cli.trading.orders.recording import AMEND_PATIENCE_S

QUANTITY = Decimal("0.002")
TOUCH = Decimal("95000.0")


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


async def enter(floor: Floor, quantity: Decimal = QUANTITY, **options: Any) -> EntryResult:
    return await floor.run(
        floor.orders.smart_entry(SYMBOL, Side.BUY, quantity, source="e", **options)
    )


def at(floor: Floor, seconds: float, act: Callable[[], object]) -> asyncio.Task[None]:
    """Let something happen after `seconds` of virtual time."""

    async def later() -> None:
        await floor.clock.sleep(seconds)
        act()

    return asyncio.ensure_future(later())


def limits_sent(floor: Floor) -> list[tuple[TimeInForce, Decimal, Decimal]]:
    return [
        (row.time_in_force, row.price, row.quantity)
        for row in floor.venue.sent
        if isinstance(row, LimitRequest)
    ]


async def test_it_rests_post_only_at_the_touch_and_fills_as_maker(floor: Floor) -> None:
    fills: list[Order] = []
    crossing = at(floor, 1, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor, on_first_fill=fills.append)

    await crossing
    assert limits_sent(floor) == [(TimeInForce.GTX, TOUCH, QUANTITY)]
    assert (result.reason, result.filled_quantity) == (WorkEnd.FILLED, QUANTITY)
    assert (result.maker_quantity, result.average_price) == (QUANTITY, TOUCH)
    assert len(fills) == 1


@pytest.mark.parametrize(
    ("bid", "moves"), [("95000.1", 0), ("95000.2", 1)], ids=["one tick", "beyond a tick"]
)
async def test_it_follows_the_touch_only_beyond_a_tick(floor: Floor, bid: str, moves: int) -> None:
    moving = at(floor, 1, lambda: floor.venue.set_price(bid))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    assert len(limits_sent(floor)) == 1
    assert floor.venue.called("amend_order") == result.amendments == moves
    assert result.filled_quantity == QUANTITY


async def test_a_partial_fill_is_carried_over_when_the_order_moves(floor: Floor) -> None:
    def fill_half_and_move() -> None:
        floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.001"))
        floor.venue.set_price("95001.0")

    moving = at(floor, 1, fill_half_and_move)
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    # One order, moved with its whole quantity: what it has executed stays with it.
    assert limits_sent(floor) == [(TimeInForce.GTX, TOUCH, QUANTITY)]
    assert floor.venue.called("amend_order") == 1
    assert result.maker_share == 1
    assert result.filled_quantity == QUANTITY == floor.venue.quantity()
    assert result.average_price == Decimal("95000.5")


@pytest.mark.parametrize("write", ["amend_order", "cancel_order"])
async def test_a_fill_that_a_write_reveals_is_counted(floor: Floor, write: str) -> None:
    # The fill happens between the look at the order and the write.
    floor.venue.fail("amend_order", Rejected("too many amendments", code=-5026))

    def fill(method: str) -> None:
        if method == write and floor.venue.quantity() == 0:
            floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.001"))

    floor.venue.before = fill
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    assert result.filled_quantity == QUANTITY == floor.venue.quantity()


async def test_past_the_limit_of_amendments_it_is_cancelled_and_posted_anew(floor: Floor) -> None:
    floor.venue.fail("amend_order", Rejected("exceed maximum modify order limit", code=-5026))
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))
    moving_on = at(floor, 2, lambda: floor.venue.set_price("95002.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, moving_on, crossing)
    prices = [price for _, price, _ in limits_sent(floor)]
    assert prices == [TOUCH, Decimal("95001.0"), Decimal("95002.0")]
    assert floor.venue.called("amend_order") == 1
    assert result.filled_quantity == QUANTITY == floor.venue.quantity()


async def test_an_amendment_that_would_take_is_cancelled_there_and_posted_anew(
    floor: Floor,
) -> None:
    def drop_before(method: str) -> None:
        # The book turns between the look at it and the amendment.
        if method == "amend_order" and floor.venue.bid == Decimal("95005.0"):
            floor.venue.bid, floor.venue.ask = Decimal("95001.0"), Decimal("95001.1")

    floor.venue.before = drop_before
    moving = at(floor, 1, lambda: floor.venue.set_price("95005.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    assert [price for _, price, _ in limits_sent(floor)] == [TOUCH, Decimal("95001.0")]
    assert result.maker_quantity == QUANTITY == floor.venue.quantity()


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_an_amendment_whose_answer_is_lost_is_looked_at_not_repeated_blindly(
    floor: Floor, executed: bool
) -> None:
    floor.venue.fail("amend_order", unknown(), executed=executed)
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    assert floor.venue.called("amend_order") == 1
    # While it may still arrive the order is not moved again: taking it back ends the doubt.
    assert floor.venue.called("cancel_order") == (0 if executed else 1)
    assert floor.journal.unknown_intents() == []
    assert result.filled_quantity == QUANTITY == floor.venue.quantity()
    assert result.average_price == Decimal("95001.0")


async def test_an_entry_whose_amendment_is_not_answered_is_withdrawn_all_the_same(
    floor: Floor,
) -> None:
    """The request itself may hang for ten seconds; the entry would rest unattended so long."""
    cancelled = asyncio.Event()
    floor.venue.late = {"amend_order": 10.0}
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))
    withdrawing = at(floor, 1.5, cancelled.set)

    result = await enter(floor, cancelled=cancelled)

    await asyncio.gather(moving, withdrawing)
    assert result.reason is WorkEnd.WITHDRAWN
    assert floor.venue.open_orders == []
    assert floor.clock.monotonic() < 1 + AMEND_PATIENCE_S + 1
    assert floor.journal.unknown_intents() == []


async def test_the_touch_is_not_followed_with_the_orders_that_exits_may_need(
    floor: Floor,
) -> None:
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))
    using_up = at(floor, 0.5, lambda: setattr(floor.venue, "orders_allowed", 60))

    result = await enter(floor, fallback=Fallback.NONE)

    await asyncio.gather(moving, using_up)
    assert floor.venue.called("amend_order") == 0
    assert result.reason is WorkEnd.DEADLINE
    assert any("order count" in note for note in result.notes)
    assert floor.venue.open_orders == []


async def test_an_entry_is_not_even_posted_with_the_orders_that_exits_may_need(
    floor: Floor,
) -> None:
    floor.venue.orders_allowed = 60

    with pytest.raises(RateLimited) as refusal:
        await enter(floor)

    assert refusal.value.code == "order_reserve"
    assert floor.venue.sent == []


async def test_the_result_says_what_the_work_cost(floor: Floor) -> None:
    moving = at(floor, 1, lambda: floor.venue.set_price("95095.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await asyncio.gather(moving, crossing)
    assert (result.arrival_price, result.first_touch) == (Decimal("95000.05"), TOUCH)
    assert result.chase_cost_bps(Side.BUY) == 10
    slippage = result.slippage_bps(Side.BUY)
    assert slippage is not None
    assert round(slippage, 2) == Decimal("9.99")


async def test_post_only_refusals_are_tried_again_at_the_new_touch(floor: Floor) -> None:
    for _ in range(3):
        floor.venue.fail("send", Rejected("would take", code=-5022))
    crossing = at(floor, 2, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await crossing
    assert len(floor.venue.sent) == 4
    assert result.maker_quantity == QUANTITY


async def test_endless_refusals_end(floor: Floor) -> None:
    floor.venue.fail_always("send", Rejected("would take", code=-5022))

    with pytest.raises(Rejected):
        await enter(floor)  # the bounded fallback is refused as well

    assert len(floor.venue.sent) <= 41


async def test_after_the_deadline_the_rest_is_taken_within_the_bound(floor: Floor) -> None:
    result = await enter(floor)

    maker, taker = limits_sent(floor)
    assert maker == (TimeInForce.GTX, TOUCH, QUANTITY)
    # 10 basis points above the ask of 95000.1, rounded down.
    assert taker == (TimeInForce.IOC, Decimal("95095.1"), QUANTITY)
    assert (result.filled_quantity, result.maker_quantity) == (QUANTITY, Decimal(0))
    assert 10 <= floor.clock.monotonic() < 15
    assert floor.venue.open_orders == []


async def test_without_a_fallback_the_rest_is_left_and_said(floor: Floor) -> None:
    filling = at(floor, 1, lambda: floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.001")))

    result = await enter(floor, fallback=Fallback.NONE)

    await filling
    assert (result.reason, result.filled_quantity) == (WorkEnd.DEADLINE, Decimal("0.001"))
    assert floor.venue.open_orders == []
    assert "0.001 of 0.002" in result.notes[-1]


async def test_a_price_that_runs_away_is_not_followed(floor: Floor) -> None:
    # 20 basis points of 95000 are 190.
    running = at(floor, 1, lambda: floor.venue.set_price("95190.1"))

    result = await enter(floor)

    await running
    assert (result.reason, result.filled_quantity) == (WorkEnd.CHASED_TOO_FAR, Decimal(0))
    assert len(floor.venue.sent) == 1
    assert floor.venue.open_orders == []


async def test_a_price_at_the_bound_is_still_followed(floor: Floor) -> None:
    running = at(floor, 1, lambda: floor.venue.set_price("95190.0"))
    crossing = at(floor, 3, lambda: floor.venue.set_price("95100.0"))

    result = await enter(floor)

    await asyncio.gather(running, crossing)
    assert result.average_price == Decimal(95_190)


@pytest.mark.parametrize("how", ["event", "wish"])
async def test_an_entry_that_is_dropped_is_cancelled_and_not_taken(floor: Floor, how: str) -> None:
    cancelled = asyncio.Event()
    wish = {"wanted": True}

    def drop() -> None:
        cancelled.set() if how == "event" else wish.update(wanted=False)

    dropping = at(floor, 1, drop)

    result = await enter(floor, cancelled=cancelled, still_wanted=lambda: wish["wanted"])

    await dropping
    assert (result.reason, result.filled_quantity) == (WorkEnd.WITHDRAWN, Decimal(0))
    assert len(floor.venue.sent) == 1
    assert floor.venue.open_orders == []
    assert floor.clock.monotonic() < 2


async def test_an_entry_dropped_before_it_is_sent_sends_nothing(floor: Floor) -> None:
    cancelled = asyncio.Event()
    cancelled.set()

    result = await enter(floor, cancelled=cancelled)

    assert result.reason is WorkEnd.WITHDRAWN
    assert floor.venue.sent == []


async def test_a_remainder_under_the_minimum_is_left_and_said(floor: Floor) -> None:
    # 0.001 at 40000 is 40 USDT; the minimum is 50.
    floor.venue.set_price("40000.0")

    def fill_and_move() -> None:
        floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.002"))
        floor.venue.set_price("40002.0")

    moving = at(floor, 1, fill_and_move)

    result = await enter(floor, Decimal("0.003"))

    await moving
    assert (result.reason, result.filled_quantity) == (WorkEnd.TOO_SMALL, QUANTITY)
    assert "0.001 of 0.003" in result.notes[-1]


async def test_an_entry_too_small_from_the_start_is_refused_with_its_filter(floor: Floor) -> None:
    floor.venue.set_price("40000.0")

    with pytest.raises(UsageError) as refusal:
        await enter(floor, Decimal("0.001"))

    assert refusal.value.code == "MIN_NOTIONAL"


async def test_a_halt_during_the_chase_ends_it_without_a_resting_order(floor: Floor) -> None:
    def halt() -> None:
        floor.latch.set(reason="kill", by=HaltedBy.PERSON)
        floor.venue.set_price("95001.0")

    halting = at(floor, 1, halt)

    with pytest.raises(Halted):
        await enter(floor)

    await halting
    assert floor.venue.open_orders == []
    assert len(floor.venue.sent) == 1


async def test_a_failure_after_a_fill_keeps_what_was_filled(floor: Floor) -> None:
    def fill_and_break() -> None:
        floor.venue.fill(floor.venue.sent_ids()[0], Decimal("0.001"))
        floor.venue.fail_always("send", NotSent("connection refused"))
        floor.venue.set_price("95001.0")

    breaking = at(floor, 1, fill_and_break)

    result = await enter(floor)

    await breaking
    assert (result.reason, result.filled_quantity) == (WorkEnd.FAILED, Decimal("0.001"))
    assert isinstance(result.error, NotSent)
    assert floor.venue.open_orders == []


async def test_a_cancel_without_a_proof_is_not_passed_over(floor: Floor) -> None:
    floor.venue.fail_always("cancel_order", unknown())
    moving = at(floor, 1, lambda: floor.venue.set_price("95001.0"))

    with pytest.raises(OutcomeUnknown):
        await enter(floor)

    await moving
    assert len(floor.venue.sent) == 1


async def test_a_lost_answer_does_not_double_the_entry(floor: Floor) -> None:
    floor.venue.fail("send", unknown(), executed=True)
    crossing = at(floor, 2, lambda: floor.venue.set_price("94999.0"))

    result = await enter(floor)

    await crossing
    assert result.filled_quantity == QUANTITY == floor.venue.quantity()


async def test_order_events_wake_the_chase_before_its_next_poll(floor: Floor) -> None:
    told: list[float] = []

    def fill_and_tell() -> None:
        name = floor.venue.sent_ids()[0]
        floor.venue.fill(name, QUANTITY)
        [order] = [row for row in floor.venue.orders.values() if row.client_order_id == name]
        floor.orders.observe(
            OrderUpdated(
                order=order,
                execution=ExecutionType.TRADE,
                fill=None,
                expiry_reason=None,
                venue_ms=floor.clock.now_ms(),
            )
        )

    telling = at(floor, 0.05, fill_and_tell)

    await enter(floor, on_first_fill=lambda order: told.append(floor.clock.monotonic()))

    await telling
    assert told == [0.05]
    assert floor.venue.called("get_order_status") == 0


async def test_what_was_told_while_the_chase_read_the_book_counts_though_queries_deny_it(
    floor: Floor,
) -> None:
    def fill_and_tell() -> None:
        [order] = floor.venue.open_orders
        floor.venue.fill(order.client_order_id, QUANTITY)
        floor.venue.invisible_until_ms = floor.clock.now_ms() + 60_000
        floor.orders.observe(
            OrderUpdated(
                order=floor.venue.orders[order.order_id],
                execution=ExecutionType.TRADE,
                fill=None,
                expiry_reason=None,
                venue_ms=floor.clock.now_ms(),
            )
        )

    reading_late = at(floor, 1, lambda: floor.venue.late.update(get_book_top=1.0))
    telling = at(floor, 2, fill_and_tell)

    result = await enter(floor)

    await asyncio.gather(reading_late, telling)
    assert result.reason is WorkEnd.FILLED
    assert floor.clock.monotonic() < 3


async def test_a_task_that_is_cancelled_takes_its_order_along(floor: Floor) -> None:
    async def scenario() -> None:
        task = asyncio.ensure_future(
            floor.orders.smart_entry(SYMBOL, Side.BUY, QUANTITY, source="e")
        )
        await floor.clock.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await floor.run(scenario())

    assert floor.venue.open_orders == []


async def test_smart_exit_only_reduces_and_needs_no_minimum(floor: Floor) -> None:
    floor.venue.hold("0.001")
    floor.venue.set_price("40000.0")  # 40 USDT: under the minimum for entries
    floor.latch.set(reason="halted", by=HaltedBy.PERSON)
    [position] = await floor.venue.get_positions()
    crossing = at(floor, 1, lambda: floor.venue.set_price("40001.0"))

    result = await floor.run(floor.orders.smart_exit(position, source="x"))

    await crossing
    assert result.filled_quantity == Decimal("0.001")
    assert floor.venue.quantity() == 0
    assert all(isinstance(row, LimitRequest) and row.reduce_only for row in floor.venue.sent)


_MOVES = st.lists(
    st.tuples(
        st.floats(min_value=0.05, max_value=3.0),
        st.integers(min_value=-30, max_value=30),
        st.integers(min_value=0, max_value=2),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(moves=_MOVES, fallback=st.sampled_from(list(Fallback)))
def test_whatever_the_market_does_nothing_rests_and_every_fill_is_counted(
    moves: list[tuple[float, int, int]], fallback: Fallback
) -> None:
    async def scenario(folder: Path) -> None:
        floor = build_floor(folder, policy=EntryPolicy(fallback=fallback))

        async def market() -> None:
            for pause_s, ticks, thousandths in moves:
                await floor.clock.sleep(pause_s)
                for order in floor.venue.open_orders:
                    part = min(order.remaining_quantity, Decimal(thousandths) / 1000)
                    if part > 0:
                        floor.venue.fill(order.client_order_id, part)
                floor.venue.set_price(str(TOUCH + ticks * Decimal("0.1")))

        moving = asyncio.ensure_future(market())
        result = await floor.run(
            floor.orders.smart_entry(SYMBOL, Side.BUY, Decimal("0.005"), source="e")
        )
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        floor.journal.close()
        assert floor.venue.open_orders == []
        assert result.filled_quantity == floor.venue.quantity() <= Decimal("0.005")
        assert len(set(floor.venue.sent_ids())) == len(floor.venue.sent)
        if result.reason is WorkEnd.FILLED:
            assert result.filled_quantity == Decimal("0.005")

    with TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


async def test_a_quiet_market_is_polled_a_few_times_a_second(floor: Floor) -> None:
    await enter(floor)

    assert floor.venue.called("get_order_status") < 10 / 0.3 + 3

"""How orders leave, what each failure may lead to, and how stops stay while they move."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_client import START_MS, SYMBOL, Floor, build_floor, unknown
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.client_id import Leg, is_own
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
)
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.domain.terms import (
    Direction,
    ExecutionType,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trader_cli.errors import (
    Halted,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RefusedByRisk,
    Rejected,
    UsageError,
    VenueError,
)
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.halt import HaltedBy
from trader_cli.journal.index import IntentRecord
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.brackets import Resting, WouldTrigger
from trader_cli.trading.orders.order_desk import Placed
from trader_cli.trading.orders.order_tracker import OrderTracker

REFUSED_CONNECTION = NotSent("connection refused")


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


def buy(quantity: str = "0.002", price: str = "90000", **changes: Any) -> LimitRequest:
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        client_order_id="",
    )
    return replace(request, **changes)


def sell_stop(price: str, **changes: Any) -> ConditionalRequest:
    request = ConditionalRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id="",
        trigger_price=Decimal(price),
        close_position=True,
    )
    return replace(request, **changes)


async def place(
    floor: Floor, request: OrderRequest, *, source: str = "t", **options: Any
) -> Placed:
    leg = Leg.ENTRY if isinstance(request, LimitRequest) else Leg.STOP
    return await floor.run(floor.orders.place(request, source=source, leg=leg, **options))


def status_of(floor: Floor, client_order_id: str) -> IntentStatus:
    intent = floor.journal.intent(client_order_id)
    assert intent is not None
    return intent.status


# --- the way out ---------------------------------------------------------------------------------


async def test_the_intent_is_on_disk_before_the_order_leaves(floor: Floor) -> None:
    seen: list[IntentStatus] = []

    def look(method: str) -> None:
        if method == "send":
            seen.extend(row.status for row in floor.journal.unfinished_intents())

    floor.venue.before = look

    placed = await place(floor, buy())

    assert seen == [IntentStatus.SENT]
    assert status_of(floor, placed.order.client_order_id) is IntentStatus.OPEN
    assert is_own(placed.order.client_order_id)


async def test_attempts_of_one_source_never_share_an_id(floor: Floor) -> None:
    first = await place(floor, buy())
    second = await place(floor, buy())
    # A process that starts later continues where the journal stops.
    later = build_floor(Path(floor.journal._path).parent)
    third = await place(later, buy())

    ids = {row.order.client_order_id for row in (first, second, third)}
    later.journal.close()

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("side", "price", "sent"),
    [
        (Side.BUY, "90000.19", "90000.1"),
        (Side.SELL, "96000.11", "96000.2"),
        (Side.BUY, "90000.1", "90000.1"),
    ],
)
async def test_a_price_is_rounded_in_favour_of_the_operator_and_said(
    floor: Floor, side: Side, price: str, sent: str
) -> None:
    placed = await place(floor, buy(price=price, side=side))

    assert isinstance(placed.request, LimitRequest)
    assert placed.request.price == Decimal(sent)
    assert bool(placed.notes) is (price != sent)


async def test_a_quantity_is_rounded_down_and_said(floor: Floor) -> None:
    placed = await place(floor, buy(quantity="0.0029"))

    assert placed.request.quantity == Decimal("0.002")
    assert "0.0029 -> 0.002" in placed.notes[0]


@pytest.mark.parametrize(
    ("request_", "code", "nearest"),
    [
        (buy(quantity="0.0009"), "LOT_SIZE", "0.001"),
        (buy(quantity="1001"), "LOT_SIZE", "1000"),
        (buy(price="200"), "PRICE_FILTER", "261.1"),
        (buy(quantity="0.001", price="49999.9"), "MIN_NOTIONAL", "99.9998"),
    ],
)
async def test_what_a_filter_forbids_is_refused_with_the_nearest_number(
    floor: Floor, request_: LimitRequest, code: str, nearest: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        await place(floor, request_)

    assert refusal.value.code == code
    assert nearest in refusal.value.message
    assert floor.venue.sent == []


async def test_the_smallest_permitted_notional_is_sent(floor: Floor) -> None:
    placed = await place(floor, buy(quantity="0.001", price="50000"))

    assert placed.order.status is OrderStatus.NEW


async def test_an_unknown_symbol_is_refused_with_its_neighbours(floor: Floor) -> None:
    with pytest.raises(UsageError) as refusal:
        await place(floor, buy(symbol="BTCUSD"))

    assert refusal.value.advice is not None
    assert SYMBOL in refusal.value.advice


async def test_what_risk_refuses_never_reaches_the_exchange(floor: Floor) -> None:
    with pytest.raises(RefusedByRisk) as refusal:
        await place(floor, buy(quantity="5"))

    assert refusal.value.code == "max_position_usd"
    assert floor.venue.sent == []
    assert floor.journal.unfinished_intents() == []


async def test_own_resting_entries_count_towards_the_limit(floor: Floor) -> None:
    await place(floor, buy(quantity="0.010"))  # 900 of 1000 at its price, 950 at mark

    with pytest.raises(RefusedByRisk) as refusal:
        await place(floor, buy(quantity="0.001"))

    assert refusal.value.code == "max_position_usd"


async def test_a_halt_stops_entries_and_lets_exits_pass(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.latch.set(reason="enough", by=HaltedBy.PERSON)

    with pytest.raises(Halted):
        await place(floor, buy())
    stop = await place(floor, sell_stop("94000"))

    assert isinstance(stop.order, AlgoOrder)
    assert [type(row) for row in floor.venue.sent] == [ConditionalRequest]


async def test_a_halt_of_one_symbol_leaves_the_others(floor: Floor) -> None:
    floor.latch.set(reason="enough", by=HaltedBy.PERSON, symbol="ETHUSDT")

    await place(floor, buy())
    with pytest.raises(Halted):
        await place(floor, buy(symbol="ETHUSDT"))


async def test_while_halted_an_order_against_the_position_goes_reduce_only(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.latch.set(reason="enough", by=HaltedBy.PERSON)

    placed = await place(floor, buy(side=Side.SELL, price="96000"))

    assert isinstance(placed.order, Order)
    assert placed.order.reduce_only


async def test_the_latch_is_read_again_right_before_every_send(floor: Floor) -> None:
    # The halt comes while the first try is failing; the second must not leave.
    def halt(method: str) -> None:
        if method == "send":
            floor.latch.set(reason="kill", by=HaltedBy.PERSON)

    floor.venue.before = halt
    floor.venue.fail("send", REFUSED_CONNECTION)

    with pytest.raises(Halted):
        await place(floor, buy())

    assert len(floor.venue.sent) == 1
    assert floor.venue.open_orders == []
    assert floor.journal.unfinished_intents() == []


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_what_was_not_executed_is_sent_again_under_its_id(
    floor: Floor, failures: int
) -> None:
    for _ in range(failures):
        floor.venue.fail("send", REFUSED_CONNECTION)

    placed = await place(floor, buy())

    assert len(floor.venue.sent) == failures + 1
    assert set(floor.venue.sent_ids()) == {placed.order.client_order_id}
    assert len(floor.venue.open_orders) == 1
    assert status_of(floor, placed.order.client_order_id) is IntentStatus.OPEN


async def test_the_fourth_failure_is_the_last(floor: Floor) -> None:
    for _ in range(4):
        floor.venue.fail("send", REFUSED_CONNECTION)

    with pytest.raises(NotSent):
        await place(floor, buy())

    assert len(floor.venue.sent) == 4
    assert floor.venue.open_orders == []
    assert status_of(floor, floor.venue.sent_ids()[0]) is IntentStatus.NOT_EXECUTED


async def test_risk_is_asked_again_before_a_second_try(floor: Floor) -> None:
    def grow(method: str) -> None:
        if method == "send":
            floor.venue.hold("0.0105")

    floor.venue.before = grow
    floor.venue.fail("send", REFUSED_CONNECTION)

    with pytest.raises(RefusedByRisk):
        await place(floor, buy())

    assert len(floor.venue.sent) == 1


async def test_what_is_no_longer_wanted_is_not_sent_again(floor: Floor) -> None:
    floor.venue.fail("send", REFUSED_CONNECTION)

    with pytest.raises(RefusedByRisk) as refusal:
        await place(floor, buy(), still_wanted=lambda: not floor.venue.sent)

    assert refusal.value.code == "no_longer_wanted"
    assert len(floor.venue.sent) == 1


async def test_a_rate_limit_is_waited_out(floor: Floor) -> None:
    limit = RateLimited("429", retry_at_ms=START_MS + 3_000, banned=False)
    floor.venue.fail("send", limit)

    await place(floor, buy())

    assert floor.clock.now_ms() >= START_MS + 3_000
    assert len(floor.venue.open_orders) == 1


@pytest.mark.parametrize("banned", [True, False])
async def test_a_ban_or_a_long_rate_limit_is_reported_at_once(floor: Floor, banned: bool) -> None:
    floor.venue.fail("send", RateLimited("x", retry_at_ms=START_MS + 120_000, banned=banned))

    with pytest.raises(RateLimited):
        await place(floor, buy())

    assert len(floor.venue.sent) == 1
    assert floor.clock.now_ms() < START_MS + 1_000


async def test_a_rejection_is_not_repeated(floor: Floor) -> None:
    floor.venue.fail("send", Rejected("Margin is insufficient.", code=-2019))

    with pytest.raises(Rejected):
        await place(floor, buy())

    assert len(floor.venue.sent) == 1
    assert status_of(floor, floor.venue.sent_ids()[0]) is IntentStatus.REJECTED


@pytest.mark.parametrize("request_", [buy(), sell_stop("94000")], ids=["regular", "conditional"])
async def test_a_lost_answer_is_asked_about_and_the_order_found(
    floor: Floor, request_: OrderRequest
) -> None:
    floor.venue.hold("0.001")
    floor.venue.fail("send", unknown(), executed=True)

    placed = await place(floor, request_)

    assert len(floor.venue.sent) == 1
    assert len(floor.venue.open_orders) + len(floor.venue.open_algos) == 1
    assert status_of(floor, placed.order.client_order_id) is IntentStatus.OPEN


@pytest.mark.parametrize("request_", [buy(), sell_stop("94000")], ids=["regular", "conditional"])
async def test_absence_is_proof_only_after_the_receive_window(
    floor: Floor, request_: OrderRequest
) -> None:
    floor.venue.fail("send", unknown())

    with pytest.raises(NotSent):
        await place(floor, request_)

    assert floor.clock.now_ms() > START_MS + 6_000
    assert len(floor.venue.sent) == 1
    assert status_of(floor, floor.venue.sent_ids()[0]) is IntentStatus.NOT_EXECUTED


async def test_an_order_that_shows_late_is_not_taken_for_absent(floor: Floor) -> None:
    floor.venue.fail("send", unknown(), executed=True)
    floor.venue.invisible_until_ms = START_MS + 4_000

    placed = await place(floor, buy())

    assert placed.order.client_order_id == floor.venue.sent_ids()[0]
    assert len(floor.venue.sent) == 1


async def test_a_conditional_order_that_fired_at_once_is_found_as_what_it_became(
    floor: Floor,
) -> None:
    floor.venue.hold("0.001")
    floor.venue.fail("send", unknown())

    def fire(method: str) -> None:
        if method == "send":
            floor.venue.rest(
                MarketRequest(
                    symbol=SYMBOL,
                    side=Side.SELL,
                    quantity=Decimal("0.001"),
                    client_order_id=floor_id(),
                    reduce_only=True,
                )
            )

    def floor_id() -> str:
        return floor.journal.unfinished_intents()[0].client_order_id

    floor.venue.before = fire

    placed = await place(floor, sell_stop("94000"))

    assert isinstance(placed.order, Order)
    assert status_of(floor, placed.order.client_order_id) is IntentStatus.FILLED


async def test_an_id_said_to_be_in_use_after_a_retry_is_our_own_order(floor: Floor) -> None:
    # "Connection refused" was wrong: the first try had arrived.
    floor.venue.fail("send", REFUSED_CONNECTION, executed=True)

    placed = await place(floor, buy())

    assert len(floor.venue.open_orders) == 1
    assert placed.order.client_order_id == floor.venue.open_orders[0].client_order_id


async def test_without_proof_the_outcome_stays_unknown_and_nothing_else_opens(
    floor: Floor,
) -> None:
    floor.venue.hold("0.001")
    floor.venue.fail("send", unknown(), executed=True)
    floor.venue.fail_always("get_order_status", REFUSED_CONNECTION)

    with pytest.raises(OutcomeUnknown):
        await place(floor, buy())
    name = floor.venue.sent_ids()[0]
    assert status_of(floor, name) is IntentStatus.UNKNOWN

    with pytest.raises(RefusedByRisk) as refusal:
        await place(floor, buy())
    assert refusal.value.code == "unknown_order"
    await place(floor, sell_stop("94000"))  # exits are never held back

    floor.venue.fail_always("get_order_status", None)
    found = await floor.run(floor.orders.resolve(name))
    assert (found.status, len(floor.venue.open_orders)) == (IntentStatus.OPEN, 1)
    await place(floor, buy())


async def test_an_urgent_send_asks_once_and_does_not_wait(floor: Floor) -> None:
    floor.venue.fail("send", unknown())

    with pytest.raises(OutcomeUnknown):
        await place(floor, buy(), urgent=True)

    assert floor.clock.now_ms() < START_MS + 1_000


async def test_resolving_an_id_nobody_journaled_is_a_usage_error(floor: Floor) -> None:
    with pytest.raises(UsageError):
        await floor.run(floor.orders.resolve("trd-nobody"))


async def test_an_entry_is_not_sent_without_the_journal_and_an_exit_is(
    floor: Floor, tmp_path: Path
) -> None:
    floor.venue.hold("0.001")
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalUnavailable):
        await place(floor, buy())
    assert floor.venue.sent == []
    stop = await place(floor, sell_stop("94000"))
    other.execute("ROLLBACK")
    other.close()

    assert len(floor.venue.stops) == 1
    assert "before its journal entry" in stop.notes[0]
    floor.journal.close()
    with Journal.open(tmp_path / "journal.db", floor.clock) as again:
        assert [row.leg for row in again.unfinished_intents()] == [Leg.STOP]
        assert again.verify() is None


async def test_an_order_that_was_proven_absent_and_appears_is_written_down(floor: Floor) -> None:
    floor.venue.fail("send", unknown())
    with pytest.raises(NotSent):
        await place(floor, buy())
    late = floor.venue.rest(floor.venue.sent[0])
    assert isinstance(late, Order)

    floor.orders.observe(
        OrderUpdated(
            order=late,
            execution=ExecutionType.NEW,
            fill=None,
            expiry_reason=None,
            venue_ms=floor.clock.now_ms(),
        )
    )

    row = floor.journal.last("contradiction")
    assert row is not None
    assert row.data["client_order_id"] == late.client_order_id


class CountingJournal(Journal):
    """Remembers which orders it was asked about."""

    asked: frozenset[str] = frozenset()

    def intent(self, client_order_id: str) -> IntentRecord | None:
        self.asked |= {client_order_id}
        return super().intent(client_order_id)


async def test_the_journal_is_not_asked_about_what_others_ordered(
    floor: Floor, tmp_path: Path
) -> None:
    """Their orders come by the same stream, perhaps thousands of them."""
    order = (await place(floor, buy())).order
    assert isinstance(order, Order)
    with CountingJournal.open(tmp_path / "counting.db", floor.clock) as journal:
        tracker = OrderTracker(
            floor.venue, journal=journal, clock=floor.clock, recv_window_ms=5_000
        )
        for name in ("web_1", "x-abc", order.client_order_id):
            tracker.observe(
                OrderUpdated(
                    order=replace(order, client_order_id=name),
                    execution=ExecutionType.NEW,
                    fill=None,
                    expiry_reason=None,
                    venue_ms=floor.clock.now_ms(),
                )
            )

        assert journal.asked == {order.client_order_id}


_FAULTS = st.lists(
    st.sampled_from(["not_sent", "unknown_before", "unknown_after", "rejected", "none"]),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(faults=_FAULTS)
def test_no_sequence_of_failures_places_an_order_twice_or_loses_one(faults: list[str]) -> None:
    errors: dict[str, tuple[VenueError, bool]] = {
        "not_sent": (REFUSED_CONNECTION, False),
        "unknown_before": (unknown(), False),
        "unknown_after": (unknown(), True),
        "rejected": (Rejected("no", code=-2019), False),
    }

    async def scenario() -> None:
        with TemporaryDirectory() as folder:
            floor = build_floor(Path(folder))
            for name in faults:
                if name != "none":
                    floor.venue.fail("send", errors[name][0], executed=errors[name][1])
            arrived: Order | AlgoOrder | None = None
            with contextlib.suppress(VenueError):
                arrived = (await place(floor, buy())).order
            [intent] = floor.journal.intents_of("t")
            floor.journal.close()
            resting = [row.client_order_id for row in floor.venue.open_orders]
            expected = [] if arrived is None else [arrived.client_order_id]
            assert resting == expected
            assert (intent.status is IntentStatus.OPEN) == (arrived is not None)

    asyncio.run(scenario())


# --- cancelling ----------------------------------------------------------------------------------


async def test_a_cancel_that_lost_the_race_returns_the_fill(floor: Floor) -> None:
    order = (await place(floor, buy())).order
    floor.venue.fill(order.client_order_id, Decimal("0.002"))
    assert isinstance(order, Order)

    final = await floor.run(floor.orders.cancel_order(order))

    assert final.status is OrderStatus.FILLED
    assert status_of(floor, order.client_order_id) is IntentStatus.FILLED


@pytest.mark.parametrize("executed", [True, False])
async def test_a_doubtful_cancel_is_repeated_until_the_order_is_gone(
    floor: Floor, executed: bool
) -> None:
    order = (await place(floor, buy())).order
    assert isinstance(order, Order)
    floor.venue.fail("cancel_order", unknown(), executed=executed)

    final = await floor.run(floor.orders.cancel_order(order))

    assert final.status is OrderStatus.CANCELED
    assert floor.venue.open_orders == []


async def test_a_cancel_that_never_succeeds_is_unknown(floor: Floor) -> None:
    order = (await place(floor, buy())).order
    assert isinstance(order, Order)
    floor.venue.fail_always("cancel_order", unknown())

    with pytest.raises(OutcomeUnknown):
        await floor.run(floor.orders.cancel_order(order))


async def seed_everything(floor: Floor) -> dict[str, str]:
    """Rest one order of every kind beside a position; return their client ids."""
    floor.venue.hold("0.001")
    entry = await place(floor, buy(quantity="0.001"))
    stop = await place(floor, sell_stop("94000"), source="another")
    foreign = floor.venue.rest(buy(client_order_id="web-1"))
    orphan = floor.venue.rest(sell_stop("2000", symbol="ETHUSDT", client_order_id="trd-orphan"))
    return {
        "entry": entry.order.client_order_id,
        "stop": stop.order.client_order_id,
        "foreign": foreign.client_order_id,
        "orphan": orphan.client_order_id,
    }


@pytest.mark.parametrize(
    ("own_only", "include_stops", "left"),
    [
        (True, False, {"stop", "foreign"}),
        (True, True, {"foreign"}),
        (False, False, {"stop"}),
        (False, True, set()),
    ],
)
async def test_cancel_all_takes_what_can_raise_exposure_and_orphans(
    floor: Floor, own_only: bool, include_stops: bool, left: set[str]
) -> None:
    names = await seed_everything(floor)

    swept = await floor.run(
        floor.orders.cancel_all_orders(own_only=own_only, include_stops=include_stops)
    )

    resting = floor.venue.resting_ids()
    assert resting == {names[name] for name in left}
    assert {row.client_order_id for row in swept.kept} == resting
    assert swept.failed == ()


async def test_cancel_all_of_a_symbol_leaves_the_others(floor: Floor) -> None:
    names = await seed_everything(floor)

    await floor.run(floor.orders.cancel_all_orders("ETHUSDT"))

    resting = floor.venue.resting_ids()
    assert resting == {names["entry"], names["stop"], names["foreign"]}


async def test_an_order_is_cancelled_by_any_of_its_ids(floor: Floor) -> None:
    order = (await place(floor, buy())).order
    stop = (await place(floor, sell_stop("94000"))).order
    assert isinstance(order, Order)
    assert isinstance(stop, AlgoOrder)

    await floor.run(floor.orders.cancel(stop.client_order_id))
    await floor.run(floor.orders.cancel(str(order.order_id)))

    assert [*floor.venue.open_orders, *floor.venue.open_algos] == []
    with pytest.raises(Rejected):
        await floor.run(floor.orders.cancel(order.client_order_id))
    with pytest.raises(UsageError):
        await floor.run(floor.orders.cancel("12345"))


# --- protection ----------------------------------------------------------------------------------


async def set_stop(floor: Floor, price: str) -> Resting | WouldTrigger:
    return await floor.run(
        floor.orders.set_stop_loss(SYMBOL, Direction.LONG, Decimal(price), source="p")
    )


async def test_setting_the_same_stop_twice_changes_nothing(floor: Floor) -> None:
    floor.venue.hold("0.01")

    first = await set_stop(floor, "94000")
    second = await set_stop(floor, "93999.91")  # rounds up, towards firing earlier

    assert isinstance(first, Resting)
    assert isinstance(second, Resting)
    assert second.order == first.order
    assert len(floor.venue.sent) == 1
    assert first.order.close_position


async def test_a_stop_moves_over_a_bridge_and_the_position_is_never_naked(floor: Floor) -> None:
    floor.venue.hold("0.01")
    await set_stop(floor, "94000")

    moved = await set_stop(floor, "94500")

    assert isinstance(moved, Resting)
    assert [(row.trigger_price, row.close_position) for row in floor.venue.stops] == [
        (Decimal(94_500), True)
    ]
    assert floor.venue.naked == []


async def test_a_stop_that_cannot_be_replaced_leaves_the_bridge(floor: Floor) -> None:
    floor.venue.hold("0.01")
    await set_stop(floor, "94000")

    def refuse_the_last(method: str) -> None:
        if method == "send" and len(floor.venue.sent) == 3:
            floor.venue.fail("send", Rejected("no", code=-4045))

    floor.venue.before = refuse_the_last
    moved = await set_stop(floor, "94500")

    assert isinstance(moved, Resting)
    assert moved.order.quantity == Decimal("0.01")
    assert moved.notes
    assert [row.algo_id for row in floor.venue.stops] == [moved.order.algo_id]
    assert floor.venue.naked == []


async def test_a_foreign_stop_is_left_and_ours_rests_beside_it(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.venue.rest(sell_stop("93000", client_order_id="web-1"))

    ours = await set_stop(floor, "94000")

    assert isinstance(ours, Resting)
    assert (ours.order.reduce_only, ours.order.quantity) == (True, Decimal("0.01"))
    assert len(floor.venue.stops) == 2


async def test_a_stop_through_the_price_says_close_and_keeps_the_old_one(floor: Floor) -> None:
    floor.venue.hold("0.01")
    await set_stop(floor, "94000")

    outcome = await set_stop(floor, "95500")

    assert isinstance(outcome, WouldTrigger)
    assert [row.trigger_price for row in floor.venue.stops] == [Decimal(94_000)]


async def test_a_stop_whose_answer_is_lost_is_found_and_not_doubled(floor: Floor) -> None:
    floor.venue.hold("0.01")
    floor.venue.fail("send", unknown(), executed=True)

    outcome = await set_stop(floor, "94000")

    assert isinstance(outcome, Resting)
    assert len(floor.venue.stops) == 1


async def test_a_partial_stop_of_the_operator_is_left_alone(floor: Floor) -> None:
    floor.venue.hold("0.01")
    partial = sell_stop("93000", close_position=False, quantity=Decimal("0.004"), reduce_only=True)
    await place(floor, partial)

    await set_stop(floor, "94000")

    assert len(floor.venue.stops) == 2


async def test_cleaning_up_takes_our_exits_of_what_is_gone_only(floor: Floor) -> None:
    names = await seed_everything(floor)

    kept = await floor.run(floor.orders.clean_up_exits(SYMBOL))
    floor.venue.held.clear()
    gone = await floor.run(floor.orders.clean_up_exits(SYMBOL))

    assert kept == ()
    assert [row.client_order_id for row in gone] == [names["stop"]]
    assert {row.client_order_id for row in floor.venue.open_orders} == {
        names["entry"],
        names["foreign"],
    }


# --- exits at market -----------------------------------------------------------------------------


async def exit_all(floor: Floor) -> Decimal:
    [position] = await floor.venue.get_positions()
    done = await floor.run(floor.orders.exit_at_market(position, source="x"))
    return done.left


async def test_a_large_position_leaves_in_permitted_parts(floor: Floor) -> None:
    floor.venue.quantity_max = Decimal("0.004")
    floor.venue.hold("0.01")

    assert await exit_all(floor) == 0

    assert [row.quantity for row in floor.venue.sent] == [
        Decimal("0.004"),
        Decimal("0.004"),
        Decimal("0.002"),
    ]
    assert all(isinstance(row, MarketRequest) and row.reduce_only for row in floor.venue.sent)


@pytest.mark.parametrize("executed", [True, False])
async def test_a_doubtful_exit_ends_flat_and_never_turned(floor: Floor, executed: bool) -> None:
    floor.venue.hold("0.01")
    floor.venue.fail("send", unknown(), executed=executed)

    assert await exit_all(floor) == 0
    assert floor.venue.quantity() == 0


async def test_an_exit_that_fills_in_part_goes_on_until_flat(floor: Floor) -> None:
    floor.venue.hold("-0.01")
    floor.venue.market_fill_max = Decimal("0.004")

    assert await exit_all(floor) == 0
    assert floor.venue.quantity() == 0


async def test_an_exit_of_a_position_that_just_closed_is_no_failure(floor: Floor) -> None:
    floor.venue.hold("0.01")
    [position] = await floor.venue.get_positions()
    floor.venue.held.clear()

    done = await floor.run(floor.orders.exit_at_market(position, source="x"))

    assert (done.left, done.orders) == (Decimal(0), ())


async def test_a_doubtful_partial_exit_is_not_repeated(floor: Floor) -> None:
    floor.venue.hold("0.01")
    [position] = await floor.venue.get_positions()
    floor.venue.fail("send", unknown(), executed=True)

    done = await floor.run(
        floor.orders.exit_at_market(position, source="x", quantity=Decimal("0.004"))
    )

    assert done.left == Decimal("0.006")
    assert len(floor.venue.sent) == 1


async def test_post_only_that_would_take_is_rejected_with_its_code(floor: Floor) -> None:
    with pytest.raises(Rejected) as refusal:
        await place(floor, buy(price="95001", time_in_force=TimeInForce.GTX))

    assert refusal.value.code == -5022

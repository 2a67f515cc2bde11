"""An amendment or a cancel with an unknown outcome: nothing opens beside it until it is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.engine_rig import rig
from tests.support.fake_client import SYMBOL, Floor, build_floor, unknown
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import ConditionalRequest, LimitRequest, MarketRequest, Order
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.terms import ExecutionType, OrderStatus, OrderType, Side
from trader_cli.errors import NotSent, OutcomeUnknown, RefusedByRisk, UsageError
from trader_cli.trading.orders.order_desk import Placed
from trader_cli.trading.positions.reconcile import reconcile
from trader_cli.trading.risk.changing import amending, doubting
from trader_cli.trading.risk.risk_terms import RiskLimits

OLD, NEW = Decimal(90_000), Decimal(91_000)
BLIND = NotSent("no connection")
READS = ("get_order_status", "get_open_orders")
WITHIN = pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


def limit(symbol: str = SYMBOL, *, quantity: str = "0.002", exits: bool = False) -> LimitRequest:
    return LimitRequest(
        symbol=symbol,
        side=Side.SELL if exits else Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(99_000) if exits else OLD,
        client_order_id="",
        reduce_only=exits,
    )


async def enter(floor: Floor, source: str, symbol: str = SYMBOL) -> Placed:
    return await floor.run(floor.orders.place(limit(symbol), source=source, leg=Leg.ENTRY))


async def resting(floor: Floor, request: LimitRequest | None = None) -> Order:
    leg = Leg.ENTRY if request is None else Leg.EXIT
    placed = await floor.run(floor.orders.place(request or limit(), source="first", leg=leg))
    assert isinstance(placed.order, Order)
    return placed.order


async def amend_in_doubt(
    floor: Floor, order: Order, *, executed: bool, quantity: Decimal | None = None
) -> None:
    """Lose the answer, and the way to find out with it."""
    floor.venue.fail("amend_order", unknown(), executed=executed)
    floor.venue.fail_always("get_order_status", BLIND)
    price = NEW if order.side is Side.BUY else order.price - 1
    with pytest.raises(OutcomeUnknown) as caught:
        await floor.run(
            floor.orders.amend(str(order.order_id), source="a", price=price, quantity=quantity)
        )
    floor.venue.fail_always("get_order_status", None)
    assert caught.value.advice == f"run `trader order resolve {order.client_order_id}`"


async def cancel_in_doubt(floor: Floor, order: Order) -> None:
    floor.venue.fail_always("cancel_order", unknown())
    with pytest.raises(OutcomeUnknown) as caught:
        await floor.run(floor.orders.cancel_order(order))
    floor.venue.fail_always("cancel_order", None)
    assert caught.value.advice == f"run `trader order resolve {order.client_order_id}`"


async def assert_nothing_opens(floor: Floor, source: str) -> None:
    with pytest.raises(RefusedByRisk) as refusal:
        await enter(floor, source)
    assert refusal.value.code == "unknown_order"


def status(floor: Floor) -> IntentStatus:
    [intent] = floor.journal.intents_of("first")
    return intent.status


@WITHIN
async def test_nothing_opens_beside_an_amendment_in_doubt_until_it_is_resolved(
    floor: Floor, executed: bool
) -> None:
    order = await resting(floor)
    await amend_in_doubt(floor, order, executed=executed)

    await assert_nothing_opens(floor, "second")
    assert await enter(floor, "elsewhere", "ETHUSDT")
    found = await floor.run(floor.orders.resolve(order.client_order_id))

    assert isinstance(found.order, Order)
    assert (found.status, found.order.price) == (IntentStatus.OPEN, NEW if executed else OLD)
    assert floor.venue.open_orders[0].price == found.order.price
    assert await enter(floor, "third")


async def test_nothing_opens_beside_an_entry_whose_cancel_is_in_doubt(floor: Floor) -> None:
    order = await resting(floor)
    await cancel_in_doubt(floor, order)

    await assert_nothing_opens(floor, "second")
    began_s = floor.clock.monotonic()
    found = await floor.run(floor.orders.resolve(order.client_order_id))

    # It rests; that proves something only once the cancel can no longer arrive.
    assert found.status is IntentStatus.OPEN
    assert floor.clock.monotonic() - began_s > 5
    assert await enter(floor, "third")


async def test_a_cancel_that_arrived_after_all_ends_the_doubt(floor: Floor) -> None:
    order = await resting(floor)
    await cancel_in_doubt(floor, order)
    await floor.venue.cancel_order(SYMBOL, order.order_id)

    found = await floor.run(floor.orders.resolve(order.client_order_id))

    assert found.status is IntentStatus.CANCELED
    assert await enter(floor, "second")


async def test_a_cancel_in_doubt_of_what_can_only_reduce_holds_nothing_up(floor: Floor) -> None:
    floor.venue.hold("0.002")
    order = await resting(floor, limit(exits=True))

    await cancel_in_doubt(floor, order)

    assert status(floor) is IntentStatus.OPEN
    assert await enter(floor, "second")


@pytest.mark.parametrize("write", ["amend", "cancel"])
async def test_exits_go_out_beside_any_doubt(floor: Floor, write: str) -> None:
    floor.venue.hold("0.002")
    order = await resting(floor)
    if write == "amend":
        await amend_in_doubt(floor, order, executed=False)
    else:
        await cancel_in_doubt(floor, order)
    close = MarketRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        quantity=Decimal("0.002"),
        client_order_id="",
        reduce_only=True,
    )
    stop = ConditionalRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id="",
        trigger_price=Decimal(80_000),
        close_position=True,
    )

    await floor.run(floor.orders.place(stop, source="s", leg=Leg.STOP))
    await floor.run(floor.orders.place(close, source="x", leg=Leg.EXIT))

    assert floor.venue.quantity() == 0


async def test_an_exit_is_amended_again_while_its_first_amendment_is_in_doubt(
    floor: Floor,
) -> None:
    floor.venue.hold("0.002")
    order = await resting(floor, limit(exits=True))
    await amend_in_doubt(floor, order, executed=False)

    amended = await floor.run(
        floor.orders.amend(str(order.order_id), source="b", price=Decimal(98_000))
    )

    assert amended.order.price == Decimal(98_000)
    assert status(floor) is IntentStatus.OPEN


async def test_a_doubtful_entry_itself_is_not_amended_again(floor: Floor) -> None:
    order = await resting(floor)
    await amend_in_doubt(floor, order, executed=False)

    with pytest.raises(RefusedByRisk) as refusal:
        await floor.run(floor.orders.amend(str(order.order_id), source="b", price=NEW))

    assert refusal.value.code == "unknown_order"


@pytest.mark.parametrize(
    ("price", "state", "proven"),
    [
        (NEW, OrderStatus.NEW, True),
        (OLD, OrderStatus.NEW, False),  # it may still arrive
        (OLD, OrderStatus.PARTIALLY_FILLED, False),
        (OLD, OrderStatus.CANCELED, True),
        (NEW, OrderStatus.FILLED, True),
    ],
)
async def test_the_stream_proves_it_too(
    floor: Floor, price: Decimal, state: OrderStatus, proven: bool
) -> None:
    order = await resting(floor)
    await amend_in_doubt(floor, order, executed=False)
    filled = {OrderStatus.PARTIALLY_FILLED: "0.001", OrderStatus.FILLED: "0.002"}.get(state, "0")
    told = replace(order, price=price, status=state, filled_quantity=Decimal(filled))

    floor.orders.observe(
        OrderUpdated(
            order=told,
            fill=None,
            execution=ExecutionType.AMENDMENT,
            expiry_reason=None,
            venue_ms=order.updated_ms + 1,
        )
    )

    assert (status(floor) is not IntentStatus.UNSETTLED) is proven
    assert (floor.journal.unknown_intents() == []) is proven


async def test_an_order_that_is_nowhere_any_more_does_not_block_for_ever(floor: Floor) -> None:
    order = await resting(floor)
    await amend_in_doubt(floor, order, executed=False)
    floor.venue.orders.clear()

    found = await floor.run(floor.orders.resolve(order.client_order_id))

    assert (found.status, found.order) == (IntentStatus.CANCELED, None)
    assert await enter(floor, "second")


@WITHIN
async def test_what_a_dead_process_was_amending_is_proven_by_the_next_reconcile(
    floor: Floor, executed: bool
) -> None:
    order = await resting(floor)
    if executed:
        await floor.venue.amend_order(
            SYMBOL, Side.BUY, order.order_id, quantity=order.quantity, price=NEW
        )
    floor.journal.record_event(
        order.client_order_id, IntentEvent.CHANGE, amending(NEW, order.quantity)
    )

    hasty = await floor.run(reconcile(floor.orders, within_s=0))
    assert hasty.is_clean is executed
    assert (status(floor) is IntentStatus.OPEN) is executed
    report = await floor.run(reconcile(floor.orders))

    assert report.is_clean
    assert status(floor) is IntentStatus.OPEN
    assert floor.journal.unknown_intents() == []


async def test_an_amendment_that_is_given_up_while_it_is_sent_is_in_doubt(floor: Floor) -> None:
    order = await resting(floor)
    began = asyncio.Event()

    def hang(method: str) -> None:
        if method == "amend_order":
            began.set()
            raise asyncio.CancelledError

    floor.venue.before = hang
    with pytest.raises(asyncio.CancelledError):
        await floor.run(floor.orders.amend(str(order.order_id), source="a", price=NEW))

    assert began.is_set()
    assert status(floor) is IntentStatus.UNSETTLED


@pytest.mark.parametrize(("quantity", "fits"), [("0.004", True), ("0.006", False)])
async def test_an_amendment_in_doubt_counts_at_the_larger_size(
    tmp_path: Path, quantity: str, fits: bool
) -> None:
    # At 95,000 and beside 0.002 elsewhere: 0.004 and 0.002 are 570, 0.006 and 0.002 are 760.
    total = Decimal(700)
    limits = RiskLimits(max_position_usd=Decimal(1_000), max_total_exposure_usd=total)
    floor = build_floor(tmp_path, limits=limits)
    order = await resting(floor)
    floor.venue.fail_always("get_order_status", BLIND)
    floor.venue.fail("amend_order", unknown())
    amend = floor.orders.amend(str(order.order_id), source="a", quantity=Decimal(quantity))
    with pytest.raises(OutcomeUnknown):
        await floor.run(amend)

    if fits:
        assert await enter(floor, "second", "ETHUSDT")
    else:
        with pytest.raises(RefusedByRisk) as refusal:
            await enter(floor, "second", "ETHUSDT")
        assert refusal.value.code == "max_total_exposure_usd"
    floor.journal.close()


async def test_what_comes_into_doubt_while_an_entry_is_being_written_down_refuses_it(
    floor: Floor,
) -> None:
    order = await resting(floor)
    view = await floor.run(floor.orders.view(SYMBOL))

    def doubt() -> bool:
        # Between the first look at the journal and the entry's own row.
        floor.orders.doubt_change(order, cancels=False)
        return True

    with pytest.raises(RefusedByRisk) as refusal:
        await floor.run(
            floor.orders.place(
                limit(), source="second", leg=Leg.ENTRY, view=view, still_wanted=doubt
            )
        )

    assert refusal.value.code == "unknown_order"
    assert len(floor.venue.sent) == 1


async def test_what_was_proven_not_amended_leaves_no_doubt(floor: Floor) -> None:
    order = await resting(floor)
    for _ in range(4):
        floor.venue.fail("amend_order", NotSent("Service Unavailable."))

    with pytest.raises(NotSent):
        await floor.run(floor.orders.amend(str(order.order_id), source="a", price=NEW))

    assert status(floor) is IntentStatus.OPEN
    assert await enter(floor, "second")


# --- orders that somebody else placed ------------------------------------------------------------


def foreign(floor: Floor, *, exits: bool = False, name: str = "web_7") -> Order:
    if exits:
        floor.venue.hold("0.002")
    order = floor.venue.rest(replace(limit(exits=exits), client_order_id=name))
    assert isinstance(order, Order)
    return order


@WITHIN
async def test_nothing_opens_beside_a_foreign_order_whose_amendment_is_in_doubt(
    floor: Floor, executed: bool
) -> None:
    order = foreign(floor)
    await amend_in_doubt(floor, order, executed=executed)

    await assert_nothing_opens(floor, "second")
    assert await enter(floor, "elsewhere", "ETHUSDT")
    found = await floor.run(floor.orders.resolve("web_7"))

    assert isinstance(found.order, Order)
    assert found.order.price == (NEW if executed else OLD)
    assert await enter(floor, "third")


async def test_nothing_opens_beside_a_foreign_entry_whose_cancel_is_in_doubt(floor: Floor) -> None:
    order = foreign(floor)
    await cancel_in_doubt(floor, order)

    await assert_nothing_opens(floor, "second")
    await floor.venue.cancel_order(SYMBOL, order.order_id)
    found = await floor.run(floor.orders.resolve("web_7"))

    assert found.status is IntentStatus.CANCELED
    assert await enter(floor, "third")


async def test_a_foreign_exit_is_not_kept_in_mind_for_its_cancel(floor: Floor) -> None:
    order = foreign(floor, exits=True)

    floor.venue.fail_always("cancel_order", unknown())
    with pytest.raises(OutcomeUnknown) as caught:
        await floor.run(floor.orders.cancel_order(order))
    floor.venue.fail_always("cancel_order", None)

    assert "trader order show" in str(caught.value.advice)
    assert floor.journal.intent("web_7") is None
    assert await enter(floor, "second")


async def test_what_a_dead_process_was_amending_of_a_stranger_is_proven_too(floor: Floor) -> None:
    order = foreign(floor)

    def die(method: str) -> None:
        if method == "amend_order":
            raise asyncio.CancelledError

    floor.venue.before = die
    with pytest.raises(asyncio.CancelledError):
        await floor.run(floor.orders.amend(str(order.order_id), source="a", price=NEW))
    floor.venue.before = lambda method: None

    await assert_nothing_opens(floor, "second")
    report = await floor.run(reconcile(floor.orders))

    assert report.is_clean
    assert [row.client_order_id for row in report.foreign_orders] == ["web_7"]
    assert await enter(floor, "third")


async def test_a_foreign_order_that_was_amended_and_then_ended_is_no_news(floor: Floor) -> None:
    order = foreign(floor)
    await floor.run(floor.orders.amend(str(order.order_id), source="a", price=NEW))
    await floor.venue.cancel_order(SYMBOL, order.order_id)

    report = await floor.run(reconcile(floor.orders))

    assert report.drifts == ()
    assert floor.journal.unfinished_intents() == []


async def test_a_foreign_order_is_not_taken_for_one_of_the_same_name_elsewhere(
    floor: Floor,
) -> None:
    order = foreign(floor)
    await amend_in_doubt(floor, order, executed=False)
    other = replace(order, symbol="ETHUSDT", status=OrderStatus.CANCELED)

    floor.orders.observe(
        OrderUpdated(
            order=other,
            fill=None,
            execution=ExecutionType.CANCELED,
            expiry_reason=None,
            venue_ms=order.updated_ms + 1,
        )
    )

    await assert_nothing_opens(floor, "second")


async def test_a_doubt_about_the_second_of_two_foreign_orders_of_one_name_is_told_as_such(
    floor: Floor,
) -> None:
    order = foreign(floor)
    await cancel_in_doubt(floor, order)

    await cancel_in_doubt(floor, replace(order, symbol="ETHUSDT"))

    await assert_nothing_opens(floor, "second")


async def test_resolve_of_a_stranger_is_a_usage_error(floor: Floor) -> None:
    with pytest.raises(UsageError):
        await floor.run(floor.orders.resolve("web_1234"))


async def test_the_engine_opens_nothing_beside_it_and_proves_it_by_itself(tmp_path: Path) -> None:
    """The order of a hand command that could not find out what became of its amendment."""
    async with rig(tmp_path) as world:
        name = client_order_id("by-hand", Leg.ENTRY, 0)
        asked = replace(limit(), client_order_id=name, price=Decimal(80_000))
        fields = {"type": "LIMIT", "timeInForce": "GTC", "price": "80000", "newClientOrderId": name}
        isolated = {"symbol": SYMBOL, "marginType": "ISOLATED"}
        world.paper.ask("POST", "/fapi/v1/marginType", isolated)
        world.by_hand("BUY", "0.002", **fields)
        world.journal.record_intent(
            source="by-hand", leg=Leg.ENTRY, attempt=0, request=asked, details={}
        )
        world.journal.record_event(name, IntentEvent.SEND, {})
        world.journal.record_event(name, IntentEvent.ACCEPT, {})
        await world.start()
        await world.pass_time(3)
        world.journal.record_event(
            name, IntentEvent.CHANGE, amending(Decimal(79_000), asked.quantity)
        )
        world.journal.record_event(
            name, IntentEvent.DOUBT_CHANGE, doubting(world.clock.now_ms(), cancels=False)
        )

        world.decide("LONG")
        await world.until(world.refusals, within_s=8)
        refused, entries = world.refusals(), len(world.entries())
        await world.until(lambda: not world.journal.unknown_intents(), within_s=40)
        world.decide("LONG")
        await world.until(lambda: len(world.open_orders()) == 2, within_s=10)

    assert (set(refused), entries) == ({"unknown_order"}, 1)

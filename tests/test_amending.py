"""Amendments, batches and resting brackets: what is changed, what is sent, what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.fake_client import SYMBOL, Floor, build_floor, unknown
from trader_cli.domain.client_id import Leg, belong_together
from trader_cli.domain.order import AlgoOrder, ConditionalRequest, LimitRequest, Order
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.domain.terms import OrderStatus, OrderType, Side, TimeInForce
from trader_cli.errors import (
    Halted,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RefusedByRisk,
    Rejected,
    TraderError,
    UsageError,
)
from trader_cli.journal.halt import HaltedBy
from trader_cli.trading.orders.batch import BatchItem, place_batch
from trader_cli.trading.orders.bracket import Bracketed, rest_bracket
from trader_cli.trading.orders.order_desk import Placed
from trader_cli.trading.orders.recording import AMEND_PATIENCE_S


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


def buy(quantity: str = "0.002", price: str = "90000", symbol: str = SYMBOL) -> LimitRequest:
    return LimitRequest(
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        client_order_id="",
    )


def stop_of(quantity: str, trigger: str = "93000") -> ConditionalRequest:
    return ConditionalRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id="",
        quantity=Decimal(quantity),
        trigger_price=Decimal(trigger),
        reduce_only=True,
    )


async def resting(floor: Floor) -> Order:
    placed = await floor.run(floor.orders.place(buy(), source="t", leg=Leg.ENTRY))
    assert isinstance(placed.order, Order)
    return placed.order


# --- amending ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        ("91000", None, ("91000", "0.002")),
        (None, "0.003", ("90000", "0.003")),
        ("91000", "0.003", ("91000", "0.003")),
        ("91000.07", None, ("91000.0", "0.002")),  # on the tick, in our favour
    ],
)
async def test_what_is_not_given_stays_as_it_is(
    floor: Floor, price: str | None, quantity: str | None, expected: tuple[str, str]
) -> None:
    order = await resting(floor)

    amended = await floor.run(
        floor.orders.amend(
            str(order.order_id),
            source="a",
            price=None if price is None else Decimal(price),
            quantity=None if quantity is None else Decimal(quantity),
        )
    )

    assert isinstance(amended.order, Order)
    assert (amended.order.price, amended.order.quantity) == tuple(map(Decimal, expected))
    assert len(floor.venue.sent) == 1


async def test_asking_for_what_is_so_already_is_success(floor: Floor) -> None:
    order = await resting(floor)

    amended = await floor.run(
        floor.orders.amend(str(order.order_id), source="a", price=order.price)
    )

    assert amended.order.status is OrderStatus.NEW


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_an_amendment_in_doubt_is_asked_about_and_never_repeated(
    floor: Floor, executed: bool
) -> None:
    order = await resting(floor)
    floor.venue.fail("amend_order", unknown(), executed=executed)
    wish = floor.orders.amend(str(order.order_id), source="a", price=Decimal(91_000))

    if executed:
        amended = await floor.run(wish)
        assert amended.order.price == Decimal(91_000)
    else:
        with pytest.raises(NotSent):
            await floor.run(wish)
        # Only once the request could no longer arrive.
        assert floor.clock.monotonic() > 6

    assert floor.venue.called("amend_order") == 1


@pytest.mark.parametrize(("failures", "sent"), [(1, 2), (3, 4), (4, 4)])
async def test_an_amendment_that_was_proven_not_executed_is_tried_again_three_times(
    floor: Floor, failures: int, sent: int
) -> None:
    order = await resting(floor)
    for _ in range(failures):
        floor.venue.fail("amend_order", NotSent("Service Unavailable."))
    wish = floor.orders.amend(str(order.order_id), source="a", price=Decimal(91_000))

    if failures < 4:
        assert (await floor.run(wish)).order.price == Decimal(91_000)
    else:
        with pytest.raises(NotSent):
            await floor.run(wish)

    assert floor.venue.called("amend_order") == sent


async def test_an_amendment_that_cannot_be_asked_about_stays_unknown(floor: Floor) -> None:
    order = await resting(floor)
    floor.venue.fail("amend_order", unknown())
    floor.venue.fail_always("get_order_status", NotSent("no connection"))

    with pytest.raises(OutcomeUnknown):
        await floor.run(floor.orders.amend(str(order.order_id), source="a", price=Decimal(91_000)))


@pytest.mark.parametrize("late_s", [1.9, 10.0])
async def test_an_amendment_without_an_answer_is_asked_about_after_a_moment(
    floor: Floor, late_s: float
) -> None:
    order = await resting(floor)
    floor.venue.late = {"amend_order": late_s}
    began_s = floor.clock.monotonic()

    amended = await floor.run(
        floor.orders.amend(str(order.order_id), source="a", price=Decimal(91_000))
    )

    assert amended.order.price == Decimal(91_000)
    assert floor.clock.monotonic() - began_s <= AMEND_PATIENCE_S + 0.5
    assert floor.venue.called("amend_order") == 1
    assert floor.journal.unknown_intents() == []


async def test_an_entry_is_not_amended_while_halted(floor: Floor) -> None:
    order = await resting(floor)
    floor.latch.set(reason="kill", by=HaltedBy.PERSON)

    with pytest.raises(Halted):
        await floor.run(floor.orders.amend(str(order.order_id), source="a", price=Decimal(91_000)))

    assert floor.venue.called("amend_order") == 0


@pytest.mark.parametrize(("quantity", "allowed"), [("0.01", True), ("0.011", False)])
async def test_an_amended_entry_is_valued_without_its_own_present_share(
    floor: Floor, quantity: str, allowed: bool
) -> None:
    # 1000 USDT is the limit: at mark 0.01 are 950, and 1140 with the 0.002 that rest already.
    order = await resting(floor)
    wish = floor.orders.amend(str(order.order_id), source="a", quantity=Decimal(quantity))

    if allowed:
        assert (await floor.run(wish)).order.quantity == Decimal(quantity)
    else:
        with pytest.raises(RefusedByRisk) as refusal:
            await floor.run(wish)
        assert refusal.value.code == "max_position_usd"


async def test_a_stop_is_replaced_the_new_one_before_the_old(floor: Floor) -> None:
    floor.venue.hold("0.002")
    placed = await floor.run(floor.orders.place(stop_of("0.002"), source="s", leg=Leg.STOP))

    amended = await floor.run(
        floor.orders.amend(placed.order.client_order_id, source="a", price=Decimal(94_000))
    )

    [stop] = floor.venue.stops
    assert stop.trigger_price == Decimal(94_000)
    assert amended.order.client_order_id == stop.client_order_id
    assert belong_together(stop.client_order_id, placed.order.client_order_id)
    assert floor.venue.naked == []


async def test_a_stop_for_the_whole_position_moves_over_a_bridge(floor: Floor) -> None:
    floor.venue.hold("0.002")
    direction = (await floor.venue.get_positions())[0].direction
    await floor.run(floor.orders.set_stop_loss(SYMBOL, direction, Decimal(93_000), source="s"))
    [old] = floor.venue.stops

    await floor.run(floor.orders.amend(str(old.algo_id), source="a", price=Decimal(94_000)))

    [stop] = floor.venue.stops
    assert (stop.trigger_price, stop.close_position) == (Decimal(94_000), True)
    assert floor.venue.naked == []


async def test_a_stop_for_the_whole_position_has_no_quantity_to_amend(floor: Floor) -> None:
    floor.venue.hold("0.002")
    direction = (await floor.venue.get_positions())[0].direction
    await floor.run(floor.orders.set_stop_loss(SYMBOL, direction, Decimal(93_000), source="s"))
    [stop] = floor.venue.stops

    with pytest.raises(UsageError):
        await floor.run(
            floor.orders.amend(str(stop.algo_id), source="a", quantity=Decimal("0.001"))
        )


# --- batches -------------------------------------------------------------------------------------


async def batch(floor: Floor, *requests: LimitRequest) -> list[Placed | TraderError]:
    items = [BatchItem(request=row, leg=Leg.ENTRY) for row in requests]
    return await floor.run(place_batch(floor.orders, items, source="b"))


async def test_seven_orders_go_in_two_batches_each_with_its_own_outcome(floor: Floor) -> None:
    taking = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.001"),
        price=Decimal(95_050),
        client_order_id="",
        time_in_force=TimeInForce.GTX,
    )
    requests = [buy("0.001", str(80_000 + number)) for number in range(6)]

    outcomes = await batch(floor, *requests[:3], taking, *requests[3:])

    assert floor.venue.called("send_batch") == 2
    assert [isinstance(row, Placed) for row in outcomes] == [True] * 3 + [False] + [True] * 3
    refused = outcomes[3]
    assert isinstance(refused, Rejected)
    assert refused.code == -5022
    assert len(set(floor.venue.sent_ids())) == 7
    assert len(floor.venue.open_orders) == 6


@pytest.mark.parametrize("exits", [1, 2])
async def test_what_refuses_an_entry_of_a_batch_holds_up_no_exit_in_it(
    floor: Floor, exits: int
) -> None:
    floor.venue.hold("0.002")
    floor.venue.orders_allowed = 60  # kept for exits
    out = LimitRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        quantity=Decimal("0.001"),
        price=Decimal(96_000),
        client_order_id="",
        reduce_only=True,
    )

    refused, *placed = await batch(floor, buy("0.001", "80000"), *[out] * exits)

    assert isinstance(refused, RateLimited)
    assert [isinstance(row, Placed) for row in placed] == [True] * exits
    assert [row.side for row in floor.venue.open_orders] == [Side.SELL] * exits
    assert floor.journal.unfinished_intents() != []
    assert floor.journal.unknown_intents() == []


async def test_the_orders_of_a_batch_share_the_limit(floor: Floor) -> None:
    # 0.006 at mark 95000 are 570: one fits under 1000, a second beside it does not.
    outcomes = await batch(floor, buy("0.006", "80000"), buy("0.006", "80001"))

    refused = outcomes[1]
    assert isinstance(outcomes[0], Placed)
    assert isinstance(refused, RefusedByRisk)
    assert len(floor.venue.open_orders) == 1


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_a_batch_without_an_answer_is_proven_order_by_order(
    floor: Floor, executed: bool
) -> None:
    floor.venue.fail("send_batch", unknown(), executed=executed)

    outcomes = await batch(floor, buy("0.001", "80000"), buy("0.001", "80001"))

    kinds = [Placed if executed else NotSent] * 2
    assert [type(row) for row in outcomes] == kinds
    assert len(floor.venue.sent) == (2 if executed else 0)
    wanted = IntentStatus.OPEN if executed else IntentStatus.NOT_EXECUTED
    assert {row.status for row in floor.journal.intents_of("b")} == {wanted}


async def test_a_halted_batch_sends_nothing(floor: Floor) -> None:
    floor.latch.set(reason="kill", by=HaltedBy.PERSON)

    outcomes = await batch(floor, buy("0.001", "80000"), buy("0.001", "80001"))

    assert [type(row) for row in outcomes] == [Halted, Halted]
    assert floor.venue.sent == []


# --- brackets that rest --------------------------------------------------------------------------


async def bracket(floor: Floor, **changes: str) -> Bracketed:
    target = changes.get("target", "97000")
    return await floor.run(
        rest_bracket(
            floor.orders,
            buy(price=changes.get("price", "94000")),
            stop_price=Decimal(changes.get("stop", "93000")),
            take_profit_price=Decimal(target),
            source="k",
        )
    )


async def test_entry_stop_and_target_rest_together_and_say_so_by_their_ids(floor: Floor) -> None:
    result = await bracket(floor)

    stop, target = result.stop, result.take_profit
    assert isinstance(target, AlgoOrder)
    assert floor.venue.resting_ids() == {
        result.entry.client_order_id,
        stop.client_order_id,
        target.client_order_id,
    }
    assert stop.close_position
    assert belong_together(stop.client_order_id, result.entry.client_order_id)
    # The entry first, and its exits in the very next round trip; the rules are cached.
    calls = [name for name, _ in floor.venue.log if name != "get_instruments"]
    assert calls[calls.index("send") :] == ["send"] * 3


async def test_what_fills_while_nobody_watches_is_covered(floor: Floor) -> None:
    await bracket(floor)

    floor.venue.set_price("93999.0")

    assert floor.venue.quantity() == Decimal("0.002")
    assert len(floor.venue.stops) == 1


async def test_exits_that_wait_for_an_entry_are_no_orphans(floor: Floor) -> None:
    result = await bracket(floor)

    assert await floor.run(floor.orders.clean_up_exits(SYMBOL)) == ()

    await floor.run(floor.orders.cancel(result.entry.client_order_id))
    assert floor.venue.resting_ids() == set()


async def test_exits_stay_when_the_entry_is_cancelled_after_a_part_filled(floor: Floor) -> None:
    result = await bracket(floor)
    floor.venue.fill(result.entry.client_order_id, Decimal("0.001"))

    await floor.run(floor.orders.cancel_all_orders())

    assert floor.venue.open_orders == []
    assert len(floor.venue.open_algos) == 2


async def test_the_other_leg_goes_when_one_has_ended_the_position(floor: Floor) -> None:
    await bracket(floor)
    floor.venue.set_price("93999.0")
    floor.venue.held.clear()  # the stop did its work while nobody watched
    [stop] = floor.venue.stops
    del floor.venue.algos[stop.algo_id]

    gone = await floor.run(floor.orders.clean_up_exits(SYMBOL))

    assert len(gone) == 1
    assert floor.venue.resting_ids() == set()


async def test_without_a_stop_there_is_no_entry(floor: Floor) -> None:
    floor.venue.fail_always("place_conditional", Rejected("no more stops", code=-4045))

    with pytest.raises(Rejected) as refusal:
        await bracket(floor)

    assert refusal.value.code == -4045
    assert floor.venue.resting_ids() == set()


async def test_what_filled_before_its_stop_was_refused_is_closed(floor: Floor) -> None:
    floor.venue.fail_always("place_conditional", Rejected("no more stops", code=-4045))

    with pytest.raises(Rejected) as refusal:
        await bracket(floor, price="95050")  # above the ask: it fills at once

    assert "closed at market" in refusal.value.message
    assert floor.venue.quantity() == 0
    assert floor.venue.resting_ids() == set()


async def test_an_entry_in_doubt_still_gets_its_stop(floor: Floor) -> None:
    floor.venue.fail("send", unknown(), executed=True)
    floor.venue.fail_always("get_order_status", NotSent("no connection"))

    with pytest.raises(OutcomeUnknown):
        await bracket(floor)

    assert len(floor.venue.open_orders) == 1
    assert len(floor.venue.stops) == 1


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"stop": "94001"}, "stop_would_trigger"),
        ({"stop": "93950"}, "stop_within_fees"),
        ({"target": "93999"}, "target_side"),
    ],
)
async def test_exits_that_would_not_do_their_work_are_refused(
    floor: Floor, changes: dict[str, str], rule: str
) -> None:
    with pytest.raises(RefusedByRisk) as refusal:
        await bracket(floor, **changes)

    assert refusal.value.code == rule
    assert floor.venue.sent == []


async def test_a_bracket_does_not_add_to_a_position(floor: Floor) -> None:
    floor.venue.hold("0.002")

    with pytest.raises(UsageError) as refusal:
        await bracket(floor)

    assert refusal.value.code == "position_exists"

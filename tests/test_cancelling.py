"""What a person who cancels is told: the order is gone, or it is not, or nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.fake_client import START_MS, SYMBOL, Floor, build_floor, unknown
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import ConditionalRequest, LimitRequest, OrderRequest
from trader_cli.domain.terms import AlgoStatus, OrderStatus, OrderType, Side
from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    VenueError,
)
from trader_cli.trading.orders.order_manager import ExitsMayRest

ENTRY = LimitRequest(
    symbol=SYMBOL,
    side=Side.BUY,
    quantity=Decimal("0.002"),
    price=Decimal(90_000),
    client_order_id="",
)
STOP = ConditionalRequest(
    symbol=SYMBOL,
    side=Side.SELL,
    type=OrderType.STOP_MARKET,
    client_order_id="",
    trigger_price=Decimal(90_000),
    close_position=True,
)
LIMITED = RateLimited("too many requests", retry_at_ms=START_MS + 60_000, banned=False)
BANNED = RateLimited("banned", retry_at_ms=START_MS + 120_000, banned=True)


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


async def rest(floor: Floor, request: OrderRequest) -> str:
    leg = Leg.STOP if isinstance(request, ConditionalRequest) else Leg.ENTRY
    placed = await floor.run(floor.orders.place(request, source="t", leg=leg))
    return placed.order.client_order_id


@pytest.mark.parametrize("error", [NotSent("no connection"), LIMITED, BANNED])
@pytest.mark.parametrize("kind", ["order", "algo"])
async def test_a_cancel_that_provably_never_arrived_says_so(
    floor: Floor, error: VenueError, kind: str
) -> None:
    name = await rest(floor, ENTRY if kind == "order" else STOP)
    method = "cancel_order" if kind == "order" else "cancel_algo_order"
    floor.venue.fail_always(method, error)

    with pytest.raises(type(error)):
        await floor.run(floor.orders.cancel(name))

    assert floor.venue.resting_ids() == {name}


@pytest.mark.parametrize("kind", ["order", "algo"])
async def test_one_doubtful_try_among_those_that_never_arrived_leaves_it_unknown(
    floor: Floor, kind: str
) -> None:
    name = await rest(floor, ENTRY if kind == "order" else STOP)
    method = "cancel_order" if kind == "order" else "cancel_algo_order"
    for error in (unknown(), *[NotSent("no connection")] * 9):
        floor.venue.fail(method, error)

    with pytest.raises(OutcomeUnknown):
        await floor.run(floor.orders.cancel(name))


async def test_a_key_that_may_not_cancel_is_named_and_not_insisted_on(floor: Floor) -> None:
    name = await rest(floor, ENTRY)
    floor.venue.fail_always("cancel_order", PermissionDenied("no trading rights"))

    with pytest.raises(PermissionDenied):
        await floor.run(floor.orders.cancel(name))

    assert floor.venue.called("cancel_order") == 1


async def test_a_stop_that_is_gone_is_told_as_gone_when_it_cannot_be_read_again(
    floor: Floor,
) -> None:
    floor.venue.hold("0.002")
    name = await rest(floor, STOP)
    floor.venue.fail_always("get_algo_order", BANNED)

    gone = await floor.run(floor.orders.cancel(name))

    assert (gone.client_order_id, gone.status) == (name, AlgoStatus.CANCELED)


async def test_a_stop_that_ended_by_itself_and_cannot_be_read_is_not_called_cancelled(
    floor: Floor,
) -> None:
    floor.venue.hold("0.002")
    name = await rest(floor, STOP)

    def end_it(method: str) -> None:
        if method == "cancel_algo_order":
            [stop] = floor.venue.open_algos
            floor.venue.algos[stop.algo_id] = replace(stop, status=AlgoStatus.FINISHED)
            floor.venue.fail_always("get_algo_order", LIMITED)

    floor.venue.before = end_it

    with pytest.raises(OutcomeUnknown):
        await floor.run(floor.orders.cancel(name))


async def test_an_entry_is_gone_though_what_waited_for_it_could_not_be_looked_for(
    floor: Floor,
) -> None:
    name = await rest(floor, ENTRY)
    floor.venue.before = lambda method: floor.venue.fail_always("get_open_orders", LIMITED)

    with pytest.raises(ExitsMayRest) as failure:
        await floor.run(floor.orders.cancel(name))

    assert failure.value.order.status is OrderStatus.CANCELED
    ended = await floor.venue.get_order_status(SYMBOL, client_order_id=name)
    assert ended.status is OrderStatus.CANCELED


async def test_a_short_pause_of_the_exchange_is_waited_for_before_exits_are_looked_for(
    floor: Floor,
) -> None:
    name = await rest(floor, ENTRY)
    soon = RateLimited("too many", retry_at_ms=floor.venue.clock.now_ms() + 2_000, banned=False)
    floor.venue.before = lambda method: floor.venue.fail("get_open_orders", soon)

    gone = await floor.run(floor.orders.cancel(name))

    assert gone.status is OrderStatus.CANCELED


async def test_a_stop_that_fires_is_not_among_those_that_a_sweep_cancelled(floor: Floor) -> None:
    floor.venue.hold("0.002")
    name = await rest(floor, STOP)

    def let_it_fire(method: str) -> None:
        [stop] = floor.venue.open_algos
        floor.venue.algos[stop.algo_id] = replace(stop, status=AlgoStatus.TRIGGERING)
        floor.venue.fail("cancel_algo_order", Rejected("unknown order", code=-2011))

    floor.venue.before = let_it_fire

    swept = await floor.run(floor.orders.cancel_all_orders(include_stops=True))

    assert swept.cancelled == ()
    [failed] = swept.failed
    assert (failed.order.client_order_id, failed.error.code) == (name, "not_cancelled")

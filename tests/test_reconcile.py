"""After a crash, at every point of a send: each intent is proven, none is sent again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.fake_client import START_MS, SYMBOL, Floor, build_floor
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import ConditionalRequest, LimitRequest, OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.terms import OrderType, Side
from trader_cli.errors import NotSent, OutcomeUnknown, UsageError
from trader_cli.trading.positions.reconcile import ReconcileReport, reconcile, resolve_one

EVENTS = {
    IntentStatus.INTENDED: [],
    IntentStatus.SENT: [IntentEvent.SEND],
    IntentStatus.UNKNOWN: [IntentEvent.SEND, IntentEvent.DOUBT],
    IntentStatus.OPEN: [IntentEvent.SEND, IntentEvent.ACCEPT],
    IntentStatus.PARTLY_FILLED: [IntentEvent.SEND, IntentEvent.PARTIAL_FILL],
}


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    built = build_floor(tmp_path)
    yield built
    built.journal.close()


def entry(attempt: int = 0) -> LimitRequest:
    return LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(90_000),
        client_order_id=client_order_id("r", Leg.ENTRY, attempt),
    )


def stop() -> ConditionalRequest:
    return ConditionalRequest(
        symbol=SYMBOL,
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        client_order_id=client_order_id("r", Leg.STOP, 0),
        trigger_price=Decimal(94_000),
        close_position=True,
    )


def journaled(floor: Floor, request: OrderRequest, status: IntentStatus) -> str:
    """Leave the journal as a process that died with the intent in `status` leaves it."""
    leg = Leg.ENTRY if isinstance(request, LimitRequest) else Leg.STOP
    attempt = int(request.client_order_id[-1])
    floor.journal.record_intent(source="r", leg=leg, attempt=attempt, request=request, details={})
    for event in EVENTS[status]:
        floor.journal.record_event(request.client_order_id, event, {})
    return request.client_order_id


async def report_of(floor: Floor) -> ReconcileReport:
    return await floor.run(reconcile(floor.orders))


@pytest.mark.parametrize("request_", [entry(), stop()], ids=["regular", "conditional"])
@pytest.mark.parametrize("status", list(EVENTS))
@pytest.mark.parametrize("arrived", [True, False])
async def test_every_unfinished_intent_is_proven_and_none_is_sent_again(
    floor: Floor, request_: OrderRequest, status: IntentStatus, arrived: bool
) -> None:
    name = journaled(floor, request_, status)
    floor.venue.hold("0.001")
    if arrived:
        floor.venue.rest(request_)

    report = await report_of(floor)

    seen = status in (IntentStatus.OPEN, IntentStatus.PARTLY_FILLED)
    if arrived:
        kept = IntentStatus.PARTLY_FILLED if status is IntentStatus.PARTLY_FILLED else None
        expected = kept or IntentStatus.OPEN
    else:
        expected = IntentStatus.CANCELED if seen else IntentStatus.NOT_EXECUTED
    intent = floor.journal.intent(name)
    assert intent is not None
    assert intent.status is expected
    assert report.is_clean
    assert [row.after for row in report.resolved] == [expected]
    assert floor.venue.sent == []


async def test_what_filled_meanwhile_is_learned(floor: Floor) -> None:
    name = journaled(floor, entry(), IntentStatus.SENT)
    floor.venue.rest(entry())
    floor.venue.fill(name, Decimal("0.002"))

    report = await report_of(floor)

    assert [row.after for row in report.resolved] == [IntentStatus.FILLED]
    assert [row.kind for row in report.drifts] == ["opened_elsewhere", "unprotected"]
    assert [row.symbol for row in report.unprotected] == [SYMBOL]


async def test_absence_is_not_believed_before_the_receive_window_is_over(floor: Floor) -> None:
    journaled(floor, entry(), IntentStatus.SENT)

    await report_of(floor)

    assert floor.clock.now_ms() > START_MS + 6_000


async def test_an_old_doubt_is_proven_at_once(floor: Floor) -> None:
    journaled(floor, entry(), IntentStatus.UNKNOWN)
    await floor.run(floor.clock.sleep(60))

    report = await report_of(floor)

    assert [row.after for row in report.resolved] == [IntentStatus.NOT_EXECUTED]
    assert floor.clock.now_ms() < START_MS + 61_000


async def test_what_cannot_be_proven_stays_open_and_is_named(floor: Floor) -> None:
    name = journaled(floor, entry(), IntentStatus.UNKNOWN)
    journaled(floor, entry(1), IntentStatus.OPEN)
    floor.venue.rest(entry(1))
    floor.venue.fail_always("get_order_status", NotSent("connection refused"))

    report = await report_of(floor)

    assert [row.client_order_id for row in report.unresolved] == [name]
    assert isinstance(report.unresolved[0].error, OutcomeUnknown)
    assert [row.after for row in report.resolved] == [IntentStatus.OPEN]
    assert "unknown_order" in [row.kind for row in report.drifts]


async def test_own_and_foreign_orders_are_told_apart(floor: Floor) -> None:
    floor.venue.rest(entry())
    floor.venue.rest(
        LimitRequest(
            symbol=SYMBOL,
            side=Side.BUY,
            quantity=Decimal("0.002"),
            price=Decimal(80_000),
            client_order_id="web-1",
        )
    )

    report = await report_of(floor)

    assert [row.client_order_id for row in report.own_orders] == [entry().client_order_id]
    assert [row.client_order_id for row in report.foreign_orders] == ["web-1"]


async def test_a_read_that_fails_fails_the_reconcile(floor: Floor) -> None:
    floor.venue.fail_always("get_positions", NotSent("connection refused"))

    with pytest.raises(NotSent):
        await report_of(floor)


async def test_one_intent_can_be_resolved_by_name(floor: Floor) -> None:
    name = journaled(floor, entry(), IntentStatus.UNKNOWN)
    floor.venue.rest(entry())

    resolved = await floor.run(resolve_one(floor.orders, name))
    again = await floor.run(resolve_one(floor.orders, name))

    assert (resolved.before, resolved.after) == (IntentStatus.UNKNOWN, IntentStatus.OPEN)
    assert again.after is IntentStatus.OPEN
    with pytest.raises(UsageError):
        await floor.run(resolve_one(floor.orders, "trd-nobody"))

"""Differences from our belief get the cause that the executions behind them tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper_desk import PaperDesk, paper_desk
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.terms import Direction, PositionSide, Side
from trader_cli.errors import NotSent
from trader_cli.paper.api.faults import FaultKind
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.beliefs import read_beliefs
from trader_cli.trading.positions.drift import Cause, Drift, cause_of
from trader_cli.trading.positions.position_terms import EntryStyle
from trader_cli.trading.positions.reconcile import reconcile

SYMBOL = "BTCUSDT"
SPEC = ProtectionSpec(stop_price=Decimal(94_500), take_profit_price=Decimal(96_000))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[PaperDesk]:
    async with paper_desk(tmp_path) as made:
        yield made


async def open_long(desk: PaperDesk, spec: ProtectionSpec | None = SPEC) -> None:
    await desk.run(
        desk.positions.open_position(
            SYMBOL,
            Direction.LONG,
            source="d",
            spec=spec,
            quantity=Decimal("0.01"),
            style=EntryStyle.MARKET,
        )
    )


async def sync(desk: PaperDesk) -> list[Drift]:
    """Return the differences in positions."""
    drifts = await desk.run(desk.positions.sync_positions())
    return [row for row in drifts if row.believed is not None]


async def test_nothing_differs_after_our_own_doing(desk: PaperDesk) -> None:
    await open_long(desk)
    assert await sync(desk) == []

    await desk.run(desk.positions.close_position(SYMBOL, source="c"))
    assert await sync(desk) == []


@pytest.mark.parametrize(
    ("price", "cause"), [("94400", Cause.STOP_HIT), ("96100", Cause.TARGET_HIT)]
)
async def test_our_stop_and_target_are_told_apart(
    desk: PaperDesk, price: str, cause: Cause
) -> None:
    await open_long(desk)
    desk.paper.set_price(SYMBOL, price)

    [drift] = await sync(desk)

    assert (drift.kind, drift.cause, drift.is_expected) == ("closed_elsewhere", cause, False)
    assert await sync(desk) == []


async def test_a_liquidation_is_named(desk: PaperDesk) -> None:
    desk.paper.ask("POST", "/fapi/v1/marginType", {"symbol": SYMBOL, "marginType": "ISOLATED"})
    await open_long(desk, None)
    desk.paper.set_price(SYMBOL, "90000")

    [drift] = await sync(desk)

    assert (drift.kind, drift.cause) == ("closed_elsewhere", Cause.LIQUIDATION)
    assert drift.client_order_ids[0].startswith("autoclose-")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("web_abc", Cause.MANUAL),
        ("ios_1", Cause.MANUAL),
        ("x-bot-1", Cause.OTHER_PROGRAM),
        ("adl_autoclose", Cause.ADL),
        ("settlement_autoclose-1", Cause.SETTLEMENT),
        ("trd-0123456789abcdef0123-en0", Cause.OWN_ORDER),
    ],
)
async def test_a_client_id_tells_who_it_was(desk: PaperDesk, name: str, cause: Cause) -> None:
    assert cause_of(name, desk.journal) is cause


async def test_somebody_else_beside_us_is_named_first(desk: PaperDesk) -> None:
    """Two orders are behind the difference: ours, and one from the exchange's own screens."""
    await open_long(desk)
    desk.by_others("SELL", "0.004", newClientOrderId="web_1")
    desk.by_others("SELL", "0.002", newClientOrderId="trd-0123456789abcdef0123-ex0")

    [drift] = await sync(desk)

    assert (drift.kind, drift.cause) == ("size_differs", Cause.MANUAL)
    assert (drift.believed, drift.actual) == (Decimal("0.01"), Decimal("0.004"))
    assert len(drift.client_order_ids) == 2


async def test_only_the_executions_of_the_difference_are_asked_about(desk: PaperDesk) -> None:
    """What was traded and taken back since says nothing about what differs now."""
    await open_long(desk)
    desk.by_others("BUY", "0.003", newClientOrderId="web_1")
    desk.by_others("SELL", "0.003", newClientOrderId="web_2")
    desk.by_others("SELL", "0.005", newClientOrderId="x-1")

    [drift] = await sync(desk)

    assert (drift.cause, drift.client_order_ids) == (Cause.OTHER_PROGRAM, ("x-1",))


async def test_an_order_of_ours_that_filled_unwatched_is_no_surprise(desk: PaperDesk) -> None:
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.01"),
        price=Decimal(94_000),
        client_order_id="",
    )
    await desk.run(desk.orders.place(request, source="hand", leg=Leg.ENTRY))
    desk.paper.set_price(SYMBOL, "93900")

    [drift] = await sync(desk)

    assert (drift.kind, drift.cause, drift.is_expected) == (
        "opened_elsewhere",
        Cause.OWN_ORDER,
        True,
    )
    assert read_beliefs(desk.journal)[(SYMBOL, PositionSide.BOTH)].own


async def test_executions_that_cannot_be_read_leave_the_cause_unknown(desk: PaperDesk) -> None:
    await open_long(desk)
    desk.by_others("SELL", "0.01")
    faults = desk.paper.exchange.faults
    faults.arm(FaultKind.UNAVAILABLE, method="GET", path="/fapi/v1/userTrades", times=20)

    [drift] = await sync(desk)

    assert (drift.kind, drift.cause) == ("closed_elsewhere", Cause.UNKNOWN)
    assert await sync(desk) == []


async def test_a_position_deleveraged_in_part_and_then_wholly_is_told_as_such(
    desk: PaperDesk,
) -> None:
    await open_long(desk)
    fault = {"kind": "adl", "symbol": SYMBOL}

    desk.paper.ask("POST", "/paper/fault", fault | {"quantity": "0.004"}, signed=False)
    [smaller] = await sync(desk)
    desk.paper.ask("POST", "/paper/fault", fault, signed=False)
    [closed] = await sync(desk)

    assert (smaller.cause, closed.cause) == (Cause.ADL, Cause.ADL)
    assert closed.kind == "closed_elsewhere"


async def test_a_failed_read_of_the_account_changes_no_belief(desk: PaperDesk) -> None:
    await open_long(desk)
    desk.by_others("SELL", "0.01")
    faults = desk.paper.exchange.faults
    faults.arm(FaultKind.UNAVAILABLE, method="GET", path="/fapi/v1/openOrders", times=20)

    with pytest.raises(NotSent):
        await sync(desk)
    faults.clear()

    assert [row.kind for row in await sync(desk)] == ["closed_elsewhere"]


async def test_a_stop_that_vanished_is_a_difference(desk: PaperDesk) -> None:
    await open_long(desk)
    for row in desk.paper.ask("GET", "/fapi/v1/openAlgoOrders"):
        desk.paper.ask("DELETE", "/fapi/v1/algoOrder", {"algoId": row["algoId"]})

    report = await desk.run(reconcile(desk.orders))

    assert [row.kind for row in report.drifts] == ["unprotected", "order_gone", "order_gone"]
    again = await desk.run(reconcile(desk.orders))
    assert [row.kind for row in again.drifts] == ["unprotected"]


async def test_a_position_of_ours_by_order_is_listed_as_own_before_any_sync(
    desk: PaperDesk,
) -> None:
    desk.by_others("BUY", "0.01", newClientOrderId="trd-0123456789abcdef0123-en0")
    desk.by_others("BUY", "1", symbol="ETHUSDT")

    views = {
        row.position.symbol: row.own for row in await desk.run(desk.positions.list_positions())
    }

    assert views == {SYMBOL: True, "ETHUSDT": False}


async def test_exits_of_a_side_that_somebody_turned_around_are_orphans(desk: PaperDesk) -> None:
    await open_long(desk)
    order = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": "0.03"}
    desk.paper.ask("POST", "/fapi/v1/order", order)

    report = await desk.run(reconcile(desk.orders))

    kinds = [row.kind for row in report.drifts]
    assert kinds == ["size_differs", "unprotected", "orphan_exit", "orphan_exit"]

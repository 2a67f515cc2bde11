"""The use cases through the real client against the paper exchange, with its failures armed.

Whatever a write ends in, the exchange holds exactly the orders that were meant, and what the
journal says of them is true.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper import KEYS, PaperVenue, paper_server
from trader_cli.clock import SystemClock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Direction, MarginType, OrderType, Side
from trader_cli.errors import Halted, NotSent, RefusedByRisk, Rejected, VenueError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.faults import ANSWERS, FaultKind
from trader_cli.trading.kill import KillResult, kill
from trader_cli.trading.orders.brackets import Resting
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle, Opened
from trader_cli.trading.positions.reconcile import reconcile
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

SYMBOL = "BTCUSDT"
ORDER = "/fapi/v1/order"
ALGO = "/fapi/v1/algoOrder"
SHORT_MS = 500
"""A receive window for tests that wait until a request can no longer arrive, by a real clock."""
USUAL_MS = 5_000
"""For tests that do not: on a busy machine a request may take longer than the short one."""
SPEC = ProtectionSpec(stop_roi_pct=Decimal("3.5"), take_profit_roi_pct=Decimal(8))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Everything of ours on a paper exchange."""

    paper: PaperVenue
    client: BinanceFuturesClient
    journal: Journal
    latch: HaltLatch
    orders: OrderManager
    positions: PositionManager

    async def kill(self) -> KillResult:
        return await kill(
            self.client,
            self.latch,
            clock=SystemClock(),
            reason="t",
            engine_quiet=lambda: True,
        )

    async def resting(self) -> list[str]:
        """Return the client ids of everything that rests, as the exchange has them."""
        return [row.client_order_id for row in await self.orders.open_orders()]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on_paper(tmp_path, SHORT_MS) as made:
        yield made


@pytest.fixture
async def calm_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_on_paper(tmp_path, USUAL_MS) as made:
        yield made


@contextlib.asynccontextmanager
async def desk_on_paper(folder: Path, recv_window_ms: int) -> AsyncIterator[Desk]:
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(paper_server())
        client = await stack.enter_async_context(
            BinanceFuturesClient(
                api_key=KEYS.api_key,
                api_secret=KEYS.api_secret,
                rest_url=port.rest_url,
                recv_window_ms=recv_window_ms,
                timeout_s=3,
            )
        )
        journal = Journal.open(folder / "journal.db", clock)
        stack.callback(journal.close)
        latch = HaltLatch(folder / "halt", clock)
        orders = OrderManager(
            client,
            journal=journal,
            risk=RiskManager(RiskLimits(max_total_exposure_usd=Decimal(2_000))),
            latch=latch,
            clock=clock,
            policy=EntryPolicy(deadline_s=1),
            recv_window_ms=recv_window_ms,
        )
        yield Desk(
            paper=port.paper,
            client=client,
            journal=journal,
            latch=latch,
            orders=orders,
            positions=PositionManager(orders, margin_type=MarginType.ISOLATED),
        )


def entry() -> LimitRequest:
    return LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(60_000),
        client_order_id="",
    )


async def open_long(desk: Desk, style: EntryStyle = EntryStyle.MARKET) -> Opened:
    return await desk.positions.open_position(
        SYMBOL,
        Direction.LONG,
        source="d",
        spec=SPEC,
        quantity=Decimal("0.01"),
        style=style,
    )


LASTING = {FaultKind.TOO_MANY_REQUESTS, FaultKind.BANNED, FaultKind.AMNESIA, FaultKind.MAINTENANCE}
SLOW = {FaultKind.SILENT, FaultKind.SILENT_EXECUTED}
FAILURES = sorted(ANSWERS - LASTING - SLOW)
EXECUTED = [kind for kind in FAILURES if kind.endswith("_executed")]
NOT_EXECUTED = [kind for kind in FAILURES if not kind.endswith("_executed")]
PROVEN = (FaultKind.UNAVAILABLE, FaultKind.OVERLOADED)


@pytest.mark.parametrize("kind", EXECUTED)
async def test_an_entry_whose_answer_is_lost_rests_once(desk: Desk, kind: FaultKind) -> None:
    desk.paper.exchange.faults.arm(kind, method="POST", path=ORDER)

    placed = await desk.orders.place(entry(), source="t", leg=Leg.ENTRY)

    assert await desk.resting() == [placed.order.client_order_id]
    intent = desk.journal.intent(placed.order.client_order_id)
    assert intent is not None
    assert intent.status is IntentStatus.OPEN


@pytest.mark.parametrize("kind", NOT_EXECUTED)
async def test_an_entry_that_did_not_arrive_is_sent_again_or_proven_absent(
    desk: Desk, kind: FaultKind
) -> None:
    desk.paper.exchange.faults.arm(kind, method="POST", path=ORDER)

    outcome: str | None = None
    with contextlib.suppress(NotSent):
        placed = await desk.orders.place(entry(), source="t", leg=Leg.ENTRY)
        outcome = placed.order.client_order_id

    [intent] = desk.journal.intents_of("t")
    if kind in PROVEN:
        assert await desk.resting() == [outcome]
        assert intent.status is IntentStatus.OPEN
    else:
        assert (outcome, await desk.resting()) == (None, [])
        assert intent.status is IntentStatus.NOT_EXECUTED


@pytest.mark.parametrize("kind", EXECUTED)
@pytest.mark.parametrize("path", [ORDER, ALGO])
async def test_a_position_ends_with_one_stop_and_one_target(
    desk: Desk, kind: FaultKind, path: str
) -> None:
    desk.paper.exchange.faults.arm(kind, method="POST", path=path)

    opened = await open_long(desk)

    assert opened.closed is None
    [position] = await desk.client.get_positions()
    assert position.quantity == Decimal("0.01")
    assert position.margin_type is MarginType.ISOLATED
    algos = await desk.client.get_open_algo_orders()
    assert sorted(row.type for row in algos) == [
        OrderType.STOP_MARKET,
        OrderType.TAKE_PROFIT_MARKET,
    ]
    assert all(row.close_position for row in algos)


async def test_a_maker_first_entry_falls_back_and_is_protected(desk: Desk) -> None:
    opened = await open_long(desk, EntryStyle.SMART)

    assert opened.entry.filled_quantity == Decimal("0.01")
    assert opened.entry.average_price is not None
    [view] = await desk.positions.list_positions()
    assert view.protected
    assert view.stop_price is not None
    distance = 1 - view.stop_price / view.position.entry_price
    assert abs(distance - Decimal("0.00175")) < Decimal("0.00001")


async def test_moving_a_stop_keeps_one_resting(desk: Desk) -> None:
    await open_long(desk)

    moved = await desk.orders.set_stop_loss(SYMBOL, Direction.LONG, Decimal(94_500), source="m")

    assert isinstance(moved, Resting)
    algos = await desk.client.get_open_algo_orders(SYMBOL)
    assert [row.trigger_price for row in algos if row.is_stop] == [Decimal(94_500)]


async def test_closing_leaves_nothing_behind(desk: Desk) -> None:
    await open_long(desk)

    closed = await desk.positions.close_position(SYMBOL, source="c")

    assert closed.flat
    assert await desk.client.get_positions() == []
    assert await desk.resting() == []
    pnl = await desk.positions.get_current_pnl()
    assert pnl.fees < 0


async def test_post_only_across_the_ask_is_rejected_and_five_bitcoin_are_refused(
    desk: Desk,
) -> None:
    with pytest.raises(RefusedByRisk):
        await desk.positions.open_position(
            SYMBOL, Direction.LONG, source="big", spec=SPEC, quantity=Decimal(5)
        )
    assert desk.journal.intents_of("big") == []

    desk.paper.exchange.faults.clear()
    with pytest.raises(Rejected) as refusal:
        await desk.client.place_limit_order(
            SYMBOL,
            Side.BUY,
            Decimal("0.002"),
            Decimal(95_500),
            client_order_id="trd-x",
            time_in_force=entry().time_in_force.GTX,
        )
    assert refusal.value.code == -5022


async def test_reconcile_after_a_session_is_clean(desk: Desk) -> None:
    await open_long(desk)
    await desk.orders.place(
        LimitRequest(
            symbol=SYMBOL,
            side=Side.SELL,
            quantity=Decimal("0.002"),
            price=Decimal(99_000),
            client_order_id="",
            reduce_only=True,
        ),
        source="t",
        leg=Leg.EXIT,
    )

    report = await reconcile(desk.orders)

    assert report.is_clean
    assert report.unprotected == ()
    assert report.drifts == ()
    assert len(report.own_orders) == 3


@pytest.mark.parametrize("kind", [None, *FAILURES])
async def test_kill_ends_flat_through_every_failure(
    calm_desk: Desk, kind: FaultKind | None
) -> None:
    desk = calm_desk
    await open_long(desk)
    await desk.orders.place(
        LimitRequest(
            symbol="ETHUSDT",
            side=Side.BUY,
            quantity=Decimal("0.03"),
            price=Decimal(3_000),
            client_order_id="",
        ),
        source="t",
        leg=Leg.ENTRY,
    )
    if kind is not None:
        for method in ("POST", "DELETE", "GET"):
            desk.paper.exchange.faults.arm(kind, method=method, times=2)

    result = await desk.kill()

    desk.paper.exchange.faults.clear()
    assert result.flat, result.problems
    assert await desk.client.get_positions() == []
    assert await desk.resting() == []


async def test_kill_during_an_entry_leaves_nothing_that_opens(calm_desk: Desk) -> None:
    desk = calm_desk
    opening = asyncio.create_task(open_long(desk, EntryStyle.SMART))
    await asyncio.sleep(0.3)

    result = await desk.kill()
    with contextlib.suppress(VenueError, RefusedByRisk, Halted):
        await opening
    again = await desk.kill()

    assert result.halted
    assert again.flat
    assert await desk.resting() == []

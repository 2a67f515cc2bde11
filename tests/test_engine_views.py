"""What the engine shows to the risk module: never an entry twice that was just taken back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.facts import NOW_MS, btc_instrument, day
from trader_cli.domain.account import MarkPrice
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.client_id import Leg
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import LimitRequest, Order
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.domain.terms import (
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.views import EngineViews
from trader_cli.journal.journal import Journal
from trader_cli.trading.risk.equity import EquityReading
from trader_cli.trading.risk.risk_terms import EntryBlock

ID = "trd-0123456789abcdef0123-en0"
RESTING = Order(
    symbol="BTCUSDT",
    order_id=7,
    client_order_id=ID,
    side=Side.BUY,
    position_side=PositionSide.BOTH,
    type=OrderType.LIMIT,
    status=OrderStatus.NEW,
    quantity=Decimal("0.01"),
    filled_quantity=Decimal(0),
    price=Decimal(95000),
    average_price=None,
    time_in_force=TimeInForce.GTX,
    reduce_only=False,
    close_position=False,
    created_ms=NOW_MS,
    updated_ms=NOW_MS,
)


class LateStream:
    """A clock under which the stream tells its news after so many waits."""

    def __init__(self, mirror: AccountMirror, *, after: int, news: OrderUpdated) -> None:
        self.waits = 0
        self._mirror = mirror
        self._after = after
        self._news = news

    def now_ms(self) -> int:
        return NOW_MS

    def monotonic(self) -> float:
        return self.waits / 100

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        if self.waits == self._after:
            self._mirror.apply(self._news)


class CalmLosses:
    """A loss watch that has read a calm account."""

    reading = EquityReading(
        at_ms=NOW_MS, account=Decimal(10_000), derived=Decimal(10_000), unrealized=Decimal(0)
    )
    day = day()
    high_water_mark = Decimal(10_000)

    async def ensure(self) -> None: ...

    def blocks(self) -> tuple[EntryBlock, ...]:
        return ()


class QuietBoard:
    """A board without prices."""

    async def mark(self, symbol: str) -> MarkPrice | None: ...

    def symbols(self) -> list[str]:
        return []


class OneContract:
    """A venue that trades BTCUSDT."""

    async def get_instruments(self) -> dict[str, Instrument]:
        return {"BTCUSDT": btc_instrument()}


def event(status: OrderStatus, execution: ExecutionType) -> OrderUpdated:
    return OrderUpdated(
        order=replace(RESTING, status=status),
        execution=execution,
        fill=None,
        expiry_reason=None,
        venue_ms=NOW_MS,
    )


class Scene:
    """One entry rests in the mirror; `cancelled` says that its cancel was answered already."""

    def __init__(self, folder: Path, *, cancelled: bool, told_after: int) -> None:
        mirror = AccountMirror()
        mirror.apply(event(OrderStatus.NEW, ExecutionType.NEW))
        gone = event(OrderStatus.CANCELED, ExecutionType.CANCELED)
        self.clock = LateStream(mirror, after=told_after, news=gone)
        self.journal = Journal.open(folder / "journal.db", self.clock)
        request = LimitRequest(
            symbol="BTCUSDT",
            side=Side.BUY,
            quantity=Decimal("0.01"),
            price=Decimal(95000),
            client_order_id=ID,
        )
        self.journal.record_intent(
            source="signal", leg=Leg.ENTRY, attempt=0, request=request, details={}
        )
        events = [IntentEvent.SEND, IntentEvent.ACCEPT, IntentEvent.CANCEL]
        for step in events if cancelled else events[:2]:
            self.journal.record_event(ID, step, {})
        self.views = EngineViews(
            OneContract(),
            journal=self.journal,
            mirror=mirror,
            board=QuietBoard(),
            losses=CalmLosses(),
            clock=self.clock,
            halts=tuple,
        )

    async def resting(self) -> list[Decimal]:
        view = await self.views.read("BTCUSDT")
        self.journal.close()
        return [row.quantity for row in view.resting]


async def test_entry_that_rests_counts_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cancelled=False, told_after=1)

    assert await scene.resting() == [Decimal("0.01")]
    assert scene.clock.waits == 0


@pytest.mark.parametrize("told_after", [1, 100])
async def test_entry_taken_back_is_waited_for_until_the_stream_tells(
    tmp_path: Path, told_after: int
) -> None:
    scene = Scene(tmp_path, cancelled=True, told_after=told_after)

    assert await scene.resting() == []
    assert scene.clock.waits == told_after


async def test_stream_that_stays_behind_leaves_the_larger_sum(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cancelled=True, told_after=101)

    assert await scene.resting() == [Decimal("0.01")]

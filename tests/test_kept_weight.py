"""The request weight that reads leave to exits and kill is there for them, and for nothing else.

The account's minute is nearly used up at the moment an entry is sent; what protects and closes
it must not wait for the next minute, and nothing else may eat into what is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from tests.simulations.watch import Watch
from tests.simulations.world import SYMBOL, JumpingClock, World
from tests.support.engine_rig import Network
from tests.support.paper import KEYS, PaperVenue
from tests.support.paper_transport import ORIGIN
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Direction, Side
from trader_cli.errors import RateLimited, Rejected
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.faults import FaultKind
from trader_cli.trading.orders.bracket import rest_bracket
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle, Opened
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
KEPT = 300
QUANTITY = Decimal("0.005")
STOP = ProtectionSpec(stop_price=Decimal(90_000))

T = TypeVar("T")


class Account:
    """A client that keeps some weight, on an exchange whose limits are real."""

    def __init__(self, folder: Path) -> None:
        clock = JumpingClock()
        self.paper = PaperVenue(clock=clock)
        self.paper.advance(25_000)  # a minute has begun a moment ago
        self.watch = Watch(self.paper, SYMBOL)
        self.watch.is_attended = True
        self.burns_at: str | None = None
        network = Network(self.paper)
        self.world = World(self.paper, clock, network, Random(1), look=self._looks)
        self.world.is_moving = False
        self.client = BinanceFuturesClient(
            api_key=KEYS.api_key,
            api_secret=KEYS.api_secret,
            rest_url=ORIGIN,
            clock=clock,
            session=self.world.session,
            weight_kept=KEPT,
        )
        self.journal = Journal.open(folder / "journal.db", clock)
        self.orders = OrderManager(
            self.client,
            journal=self.journal,
            risk=RiskManager(RiskLimits()),
            latch=HaltLatch(folder / "halt", clock),
            clock=clock,
            policy=EntryPolicy(deadline_s=3),
        )
        self.positions = PositionManager(self.orders)

    async def run(self, action: Awaitable[T], within_s: float = 30) -> T:
        task = asyncio.ensure_future(action)
        assert await self.world.run(until=task.done, within_s=within_s), "it takes too long"
        return task.result()

    def burn(self) -> None:
        """Let somebody else at this address use up all but what is kept."""
        while self.used() < 2_400 - KEPT:
            self.paper.ask("GET", "/fapi/v1/openOrders")

    async def use_up(self) -> None:
        """Let it be used up, and the client know."""
        self.burn()
        await self.run(self.client.sync_clock())

    def used(self) -> int:
        answer = self.paper.request("GET", "/fapi/v1/time")
        return int(answer.headers["X-MBX-USED-WEIGHT-1M"])

    def fail(self, kind: FaultKind, method: str, path: str, times: int) -> None:
        self.paper.exchange.faults.arm(kind, method=method, path=path, times=times)

    def _looks(self) -> None:
        self.watch.look()
        if self.burns_at is not None and ("POST", self.burns_at) in self.world.session.sent:
            self.burns_at = None
            self.burn()


@asynccontextmanager
async def account(folder: Path) -> AsyncIterator[Account]:
    built = Account(folder)
    try:
        yield built
    finally:
        await built.client.close()
        built.journal.close()


async def open_long(account: Account, style: EntryStyle = EntryStyle.MARKET) -> Opened:
    return await account.run(
        account.positions.open_position(
            SYMBOL, Direction.LONG, source="o", spec=STOP, quantity=QUANTITY, style=style
        )
    )


async def test_an_entry_is_protected_with_the_weight_that_is_kept(tmp_path: Path) -> None:
    async with account(tmp_path) as world:
        world.burns_at = ORDER
        world.fail(FaultKind.UNAVAILABLE, "POST", ALGO, 4)  # it has to look and try again

        opened = await open_long(world)

        assert opened.closed is None
        assert opened.protection is not None
        assert opened.protection.is_stopped
        assert world.watch.lives[0] < 5_000


async def test_what_cannot_be_protected_is_closed_with_the_weight_that_is_kept(
    tmp_path: Path,
) -> None:
    async with account(tmp_path) as world:
        world.burns_at = ORDER
        world.fail(FaultKind.UNAVAILABLE, "POST", ALGO, 1_000)

        opened = await open_long(world)

        assert opened.closed is not None
        assert world.watch.positions() == {}
        assert world.watch.lives[0] < 7_000


async def test_a_bracket_whose_stop_does_not_rest_is_taken_back_with_it(tmp_path: Path) -> None:
    async with account(tmp_path) as world:
        world.burns_at = ORDER
        world.fail(FaultKind.UNAVAILABLE, "POST", ALGO, 1_000)
        request = LimitRequest(
            symbol=SYMBOL,
            side=Side.BUY,
            quantity=QUANTITY,
            price=world.world.price + 100,  # it fills at once
            client_order_id="",
        )

        with pytest.raises(Rejected):
            await world.run(
                rest_bracket(
                    world.orders,
                    request,
                    stop_price=Decimal(90_000),
                    take_profit_price=None,
                    source="b",
                )
            )

        assert world.watch.is_quiet()


@pytest.mark.parametrize("naked", [False, True])
async def test_moving_and_setting_a_stop_by_hand_uses_it(tmp_path: Path, naked: bool) -> None:
    async with account(tmp_path) as world:
        await open_long(world)
        if naked:
            [stop] = world.watch.algos()
            world.paper.ask("DELETE", ALGO, {"algoId": stop["algoId"]})
        await world.use_up()

        spec = ProtectionSpec(stop_price=Decimal(91_000))
        await world.run(world.positions.protect(SYMBOL, spec, source="p"))

        [stop] = world.watch.algos()
        assert Decimal(stop["triggerPrice"]) == Decimal(91_000)


async def test_closing_uses_it(tmp_path: Path) -> None:
    async with account(tmp_path) as world:
        await open_long(world)
        await world.use_up()

        closed = await world.run(world.positions.close_position(SYMBOL, source="c"))

        assert closed.flat
        assert world.watch.is_quiet()


async def test_tidying_up_waits_for_the_next_minute(tmp_path: Path) -> None:
    async with account(tmp_path) as world:
        await open_long(world)
        await world.use_up()

        with pytest.raises(RateLimited) as refusal:
            await world.run(world.orders.clean_up_exits(SYMBOL))

        assert refusal.value.code == "weight_reserve"


@pytest.mark.parametrize("style", [EntryStyle.MARKET, EntryStyle.SMART])
async def test_an_entry_leaves_what_is_kept(tmp_path: Path, style: EntryStyle) -> None:
    async with account(tmp_path) as world:
        await world.use_up()
        used = world.used()

        with pytest.raises(RateLimited) as refusal:
            await open_long(world, style)

        assert refusal.value.code == "weight_reserve"
        assert world.watch.all_orders() == []
        assert world.used() == used + 1  # by our own asking for it


async def test_an_entry_in_work_leaves_what_is_kept(tmp_path: Path) -> None:
    """Nothing has filled: there is nothing to protect, and the touch is not worth the weight."""
    async with account(tmp_path) as world:
        world.burns_at = ORDER
        entering = asyncio.ensure_future(open_long(world, EntryStyle.SMART))
        await world.world.run(until=lambda: world.burns_at is None, within_s=3)
        used = world.used()

        with pytest.raises(RateLimited):
            await entering

        assert world.used() <= used + 5  # a last look at what became of the order
        assert world.watch.is_quiet()

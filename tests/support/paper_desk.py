"""Our use cases on a paper exchange in memory, whose time passes only while they wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from tests.support.paper import KEYS, PaperVenue
from tests.support.paper_transport import ORIGIN, MemorySession
from trader_cli.domain.rules import EntryPolicy
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

T = TypeVar("T")

_STEP_MS = 50
_TURNS = 40
_STEPS_MAX = 2_000


@dataclass(frozen=True, kw_only=True)
class PaperDesk:
    """Everything of ours on one paper exchange."""

    paper: PaperVenue
    session: MemorySession
    client: BinanceFuturesClient
    journal: Journal
    orders: OrderManager
    positions: PositionManager

    async def run(self, action: Awaitable[T]) -> T:
        """Await `action` while time passes in small steps."""
        task = asyncio.ensure_future(action)
        for _ in range(_STEPS_MAX):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if task.done():
                return task.result()
            self.paper.advance(_STEP_MS)
        task.cancel()
        raise AssertionError("it does not end")

    def by_others(self, side: str, quantity: str, **more: object) -> None:
        """Trade at market as another program does."""
        order = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
        self.paper.ask("POST", "/fapi/v1/order", order | more)


@contextlib.asynccontextmanager
async def paper_desk(folder: Path) -> AsyncIterator[PaperDesk]:
    """A fresh account, one-way, without rate limits."""
    paper = PaperVenue(settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)))
    session = MemorySession(paper)
    client = BinanceFuturesClient(
        api_key=KEYS.api_key,
        api_secret=KEYS.api_secret,
        rest_url=ORIGIN,
        clock=paper.clock,
        session=session,
    )
    with Journal.open(folder / "journal.db", paper.clock) as journal:
        orders = OrderManager(
            client,
            journal=journal,
            risk=RiskManager(RiskLimits(max_position_usd=Decimal(50_000))),
            latch=HaltLatch(folder / "halt", paper.clock),
            clock=paper.clock,
            policy=EntryPolicy(deadline_s=1),
        )
        yield PaperDesk(
            paper=paper,
            session=session,
            client=client,
            journal=journal,
            orders=orders,
            positions=PositionManager(orders),
        )
    await client.close()

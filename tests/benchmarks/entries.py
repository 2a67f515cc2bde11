"""What an entry costs, `smart` beside `market`: part of `tests.benchmarks.orders`.

Every way of entering meets the same moments of the same market: the seeded one, and six minutes of
real BTCUSDT trades told again. Exchange, client, risk and journal run in one process under a clock
that passes only while they wait; each request is `LATENCY_S` on its way, during which the market
moves on. Cost is counted against the middle of the book at the decision, in basis points, with
fees; what was not executed is priced as if it had been taken at market when the trying ended, so
that waiting in vain is not free. No order of ours moves either market, and a resting order's place
in the queue is a guess.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.support.paper import KEYS, ManualClock
from tests.support.paper_transport import ORIGIN, STREAM_ORIGIN, MemorySession, memory_streams
from trader_cli.domain.account_events import OrderUpdated
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import MarketRequest, Order
from trader_cli.domain.rules import EntryPolicy, Fallback
from trader_cli.domain.terms import Side
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import UserStream
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import Exchange, ExchangeSettings
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.market import Market
from trader_cli.paper.markets.replay import open_replay
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueSettings
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

SYMBOL: Final = "BTCUSDT"
QUANTITY: Final = Decimal("0.01")
ENTRIES: Final = 20
EVERY_S: Final = 15.0
LATENCY_S: Final = 0.02
SEED: Final = 7
BORN_MS: Final = 1_790_000_000_000
TRADES: Final = Path(__file__).parents[1] / "fixtures/market/BTCUSDT-aggTrades-2024-08-08.csv.gz"
_STEP_MS: Final = 20
_TURNS: Final = 12
_BPS: Final = 10_000
_WAYS: Final[Mapping[str, Fallback | None]] = {
    "market": None,
    "smart, then taker": Fallback.TAKER,
    "smart, then nothing": Fallback.NONE,
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What came of one.

    Attributes:
        filled, maker: fractions of the quantity wished for.
        cost_bps: of all of it, with fees and with what was missed.
        paid_bps: of the executed part alone; None if nothing was executed.
    """

    filled: Decimal
    maker: Decimal
    cost_bps: Decimal
    paid_bps: Decimal | None


class LateSession(MemorySession):
    """A session whose requests take their time to arrive."""

    def __init__(self, floor: Floor) -> None:
        super().__init__(floor)
        self._clock = floor.clock

    @asynccontextmanager
    async def _answered(self, request: Any) -> AsyncIterator[Any]:
        await self._clock.sleep(LATENCY_S)
        async with super()._answered(request) as answer:
            yield answer


class Floor:
    """The exchange on one market, from its first moment on, and the clock it goes by."""

    def __init__(self, market: Market, contracts: Mapping[str, Any]) -> None:
        self.clock = ManualClock(market.now_ms)
        settings = VenueSettings(initial_balance=Decimal(10**6))
        self.exchange = Exchange(
            routes=ROUTES,
            venue=Venue(contracts, market, MemoryState(), settings, market.now_ms),
            market=market,
            keys=KEYS,
            new_key=lambda: "l" * 64,
            started_ms=market.now_ms,
            settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)),
            contracts=contracts,
        )

    async def run(self, action: Any) -> Any:
        """Await `action` while time passes in small steps."""
        task = asyncio.ensure_future(action)
        while not task.done():
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self.clock.advance(_STEP_MS)
            self.exchange.tick(self.clock.now_ms())
        return task.result()


class Trader:
    """Our side: client, journal, risk and orders, told of executions by the user stream."""

    def __init__(self, floor: Floor, folder: Path) -> None:
        self.clock = floor.clock
        self.client = BinanceFuturesClient(
            api_key=KEYS.api_key,
            api_secret=KEYS.api_secret,
            rest_url=ORIGIN,
            clock=floor.clock,
            session=LateSession(floor),
            weight_kept=None,
        )
        self.journal = Journal.open(folder / "journal.db", floor.clock)
        self.orders = OrderManager(
            self.client,
            journal=self.journal,
            risk=RiskManager(
                RiskLimits(
                    max_position_usd=Decimal(10**5),
                    max_daily_loss_usd=Decimal(10**5),
                    max_daily_loss_pct=Decimal(50),
                )
            ),
            latch=HaltLatch(folder / "halt", floor.clock),
            clock=floor.clock,
            policy=EntryPolicy(),
        )
        self._stream = UserStream(
            self.client, STREAM_ORIGIN, clock=floor.clock, connect=memory_streams(floor)
        )

    async def listen(self) -> None:
        async with aclosing(self._stream.events()) as events:
            async for event in events:
                if isinstance(event, OrderUpdated):
                    self.orders.observe(event)

    async def enter_all(self, way: str, side: Side) -> list[Entry]:
        """Enter, go flat, and wait for the next moment, `ENTRIES` times."""
        fees = await self.client.get_commission_rate(SYMBOL)
        listening = asyncio.ensure_future(self.listen())
        began = self.clock.monotonic()
        entries = []
        for number in range(ENTRIES):
            await self.clock.sleep(began + number * EVERY_S - self.clock.monotonic())
            entry = await self._enter(_WAYS[way], side, f"e{number}", fees)
            entries.append(entry)
            await self.client.close_position(
                SYMBOL, client_order_id_of=lambda part, number=number: f"trd-x-{number}-{part}"
            )
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        return entries

    async def _enter(
        self, fallback: Fallback | None, side: Side, source: str, fees: tuple[Decimal, Decimal]
    ) -> Entry:
        top = await self.orders.book(SYMBOL)
        middle = (top.bid + top.ask) / 2
        if fallback is None:
            filled, maker, price = await self._take(side, source)
        else:
            result = await self.orders.smart_entry(
                SYMBOL, side, QUANTITY, source=source, fallback=fallback
            )
            filled, maker, price = (
                result.filled_quantity, result.maker_quantity, result.average_price,
            )  # fmt: skip
        top = await self.orders.book(SYMBOL)
        missed_bps = _worse_bps(side, top.far(side), middle) + fees[1] * _BPS
        share = filled / QUANTITY
        if price is None:
            return Entry(filled=share, maker=share, cost_bps=missed_bps, paid_bps=None)
        fee = (maker * fees[0] + (filled - maker) * fees[1]) / filled
        paid_bps = _worse_bps(side, price, middle) + fee * _BPS
        return Entry(
            filled=share,
            maker=maker / QUANTITY,
            cost_bps=share * paid_bps + (1 - share) * missed_bps,
            paid_bps=paid_bps,
        )

    async def _take(self, side: Side, source: str) -> tuple[Decimal, Decimal, Decimal | None]:
        request = MarketRequest(symbol=SYMBOL, side=side, quantity=QUANTITY, client_order_id="")
        placed = await self.orders.place(request, source=source, leg=Leg.ENTRY)
        assert isinstance(placed.order, Order), "a market order"
        order = await self.orders.refresh(placed.order)
        return order.filled_quantity, Decimal(0), order.average_price


def _worse_bps(side: Side, price: Decimal, than: Decimal) -> Decimal:
    return (price - than) * side.sign / than * _BPS


def synthetic() -> Floor:
    contracts = {SYMBOL: CONTRACTS[SYMBOL]}
    return Floor(SyntheticMarket(seed=SEED, birth_ms=BORN_MS, contracts=contracts), contracts)


def replayed() -> Floor:
    market = open_replay([TRADES])
    return Floor(market, market.contracts)


async def compare(name: str, build: Callable[[], Floor], folder: Path) -> None:
    """Print a line for each way of entering."""
    for way in _WAYS:
        entries: list[Entry] = []
        for side in Side:
            place = folder / f"{name}-{way}-{side}".replace(" ", "").replace(",", "-")
            place.mkdir()
            floor = build()
            trader = Trader(floor, place)
            entries += await floor.run(trader.enter_all(way, side))
            await trader.client.close()
            trader.journal.close()
        print(f"{name}, {way}: {_summary(entries)}")


def _summary(entries: Sequence[Entry]) -> str:
    filled = sum((row.filled for row in entries), Decimal(0))
    maker = sum((row.maker for row in entries), Decimal(0))
    cost = [row.cost_bps for row in entries]
    paid = [row.paid_bps for row in entries if row.paid_bps is not None]
    error = statistics.stdev(cost) / Decimal(len(cost)).sqrt()
    return (
        f"{len(entries)} entries, executed {filled / len(entries):.0%}, of that as maker "
        f"{maker / filled:.0%}; cost {statistics.mean(cost):.2f} ± {error:.2f} bps "
        f"(without what was missed {statistics.mean(paid):.2f})"
    )


async def measure(folder: Path) -> None:
    await compare("seeded market", synthetic, folder)
    await compare("replayed trades", replayed, folder)

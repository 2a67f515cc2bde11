"""A paper exchange as a simulation meets it: late answers, lost answers, a price that moves.

Time jumps from one due moment to the next. All chance comes from the run's own generator, so one
seed is one run. Knows nothing of what is traded or who trades.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import aiohttp
from yarl import URL

from tests.support.engine_rig import Network
from tests.support.paper import ManualClock, PaperVenue
from tests.support.paper_transport import MemoryResponse, MemorySession
from trader_cli.paper.api.faults import DROPPED
from trader_cli.paper.protocol.messages import HttpRequest

SYMBOL = "BTCUSDT"
TICK = Decimal("0.1")
_TURNS = 40
_STEP_MS_MAX = 100
_PRICE_EVERY_MS = 300


class JumpingClock(ManualClock):
    """A manual clock that knows when the next sleeper is due."""

    def __init__(self) -> None:
        super().__init__()
        self._due: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._due, (self.now_ms() + max(1, round(seconds * 1_000)), next(self._order), woken)
        )
        await woken

    def next_ms(self) -> int | None:
        """Return when the next sleeper is due, None if nobody sleeps."""
        while self._due and self._due[0][2].done():
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, milliseconds: int) -> None:
        self._now_ms += milliseconds
        while self._due and self._due[0][0] <= self._now_ms:
            woken = heapq.heappop(self._due)[2]
            if not woken.done():
                woken.set_result(None)


class LateSession(MemorySession):
    """A session whose answers take their time, get lost, or are read from an older state.

    Attributes:
        latency_ms: of a whole round trip; 0 answers at once.
        blind_until_ms: until then reads show no position.
        trails_ms: for so long after a position was opened reads do not show it.
        opened_ms: when the last position was opened.
        codes: how often which error was answered; 0 is an answer lost or broken.
    """

    def __init__(self, network: Network, clock: JumpingClock, on_write: Callable[[], None]) -> None:
        super().__init__(network.paper)
        self._network = network
        self._clock = clock
        self._on_write = on_write
        self._timeout_s = 10.0
        self.latency_ms = 0
        self.blind_until_ms = 0
        self.trails_ms = 0
        self.opened_ms: Callable[[], int] = lambda: 0
        self.codes: Counter[int] = Counter()

    def request(self, method: str, url: URL, **options: Any) -> Any:
        self._timeout_s = options["timeout"].total
        return super().request(method, url, **options)

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        timeout_s = self._timeout_s
        await self._travel()
        self.sent.append((request.method, request.path))
        answer = self._paper.exchange.handle(request, self._clock.now_ms())
        if answer.status != 200:
            self.codes[_code(answer.body)] += 1
        if request.method != "GET":
            self._on_write()
        if answer.status == DROPPED and answer.delay_ms:
            await self._clock.sleep(min(timeout_s, answer.delay_ms / 1_000))
            raise TimeoutError
        await self._travel()
        if answer.status == DROPPED:
            raise aiohttp.ServerDisconnectedError
        body = answer.body
        blind_until_ms = max(self.blind_until_ms, self.opened_ms() + self.trails_ms)
        if request.path.endswith("/positionRisk") and self._clock.now_ms() < blind_until_ms:
            body = b"[]"
        headers = {"Content-Type": "application/json", **answer.headers}
        yield MemoryResponse(answer.status, headers, body)

    async def _travel(self) -> None:
        if self._network.cut:
            raise aiohttp.ClientConnectionError("cut by the simulation")
        if self.latency_ms:
            await self._clock.sleep(self.latency_ms / 2_000)
        if self._network.cut:
            raise aiohttp.ClientConnectionError("cut by the simulation")


class World:
    """The exchange, its price, and what is scheduled to happen.

    Attributes:
        session: what our client talks through.
        price: the present best bid.
        is_moving: whether the price walks by itself.
    """

    def __init__(
        self,
        paper: PaperVenue,
        clock: JumpingClock,
        network: Network,
        chance: Random,
        *,
        look: Callable[[], None],
        volatility_bps: float = 1.0,
    ) -> None:
        self.paper = paper
        self.clock = clock
        self.network = network
        self.chance = chance
        self.session = LateSession(network, clock, look)
        self.price = paper.market.latest(SYMBOL).bid
        self.is_moving = True
        self._look = look
        self._volatility = volatility_bps / 10_000
        self._price_ms = clock.now_ms()
        self._happenings: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    def later(self, seconds: float, happening: Callable[[], None]) -> None:
        """Let something happen in `seconds`."""
        at_ms = self.now_ms + round(seconds * 1_000)
        heapq.heappush(self._happenings, (at_ms, next(self._order), happening))

    def jump_to(self, price: Decimal) -> None:
        """Let the market trade at a price now."""
        self._set_price(price)

    def gap(self, fraction: float) -> None:
        """Let the price jump; mark price and last price go together."""
        self._set_price(self.price * (1 + Decimal(repr(round(fraction, 6)))))

    async def run(self, *, until: Callable[[], object], within_s: float) -> bool:
        """Let time pass until the condition holds; False if it did not within `within_s`."""
        end_ms = self.now_ms + round(within_s * 1_000)
        while not until():
            if self.now_ms >= end_ms:
                return False
            await self._step(end_ms)
        return True

    async def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        await self.run(until=lambda: False, within_s=seconds)

    async def _step(self, end_ms: int) -> None:
        due = [end_ms, self.now_ms + _STEP_MS_MAX, self._price_ms + _PRICE_EVERY_MS]
        sleeper = self.clock.next_ms()
        if sleeper is not None:
            due.append(sleeper)
        if self._happenings:
            due.append(self._happenings[0][0])
        self._walk()
        self.paper.advance(max(1, min(due) - self.now_ms))
        while self._happenings and self._happenings[0][0] <= self.now_ms:
            heapq.heappop(self._happenings)[2]()
        self._look()
        await settle()
        self._look()

    def _walk(self) -> None:
        if self.now_ms < self._price_ms + _PRICE_EVERY_MS:
            return
        self._price_ms = self.now_ms
        if self.is_moving:
            step = self.chance.gauss(0, self._volatility)
            self._set_price(self.price * (1 + Decimal(repr(round(step, 7)))))

    def _set_price(self, price: Decimal) -> None:
        self.paper.market.set_price(SYMBOL, price)
        self.price = self.paper.market.latest(SYMBOL).bid


def _code(body: bytes) -> int:
    try:
        return int(json.loads(body).get("code", 0))
    except ValueError:
        return 0


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)

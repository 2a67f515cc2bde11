"""The whole engine in one process against a paper exchange in memory, under a clock tests move.

Client, streams, journal, latch and bridge files are the real ones; only transport, time and
prices are the test's. A second `start` on the same rig is a restart: same journal, same folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from tests.support.paper import KEYS, ManualClock, PaperVenue
from tests.support.paper_transport import (
    ORIGIN,
    STREAM_ORIGIN,
    MemorySession,
    MemoryWebSocket,
    memory_streams,
)
from trader_cli.bridge.feedback import Source
from trader_cli.domain.rules import BridgeRules, EntryPolicy, ForeignRules
from trader_cli.engine.live_trading_engine import LiveTradingEngine
from trader_cli.engine.options import EngineOptions
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import MarketStream, UserStream
from trader_cli.exchange.transport import HttpSession
from trader_cli.exchange.websocket import ConnectFailed, WebSocket
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

SYMBOL = "BTCUSDT"
STEP_MS = 50
_TURNS = 80
"""How often the loop turns within one step, so that everything that can go on has."""

Fields = Mapping[str, object]


class _ShiftedClock(ManualClock):
    """A manual clock read on a machine that goes by another date."""

    def __init__(self, clock: ManualClock, ahead_ms: int) -> None:
        self._clock = clock
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def advance(self, milliseconds: int) -> None:
        self._clock.advance(milliseconds)


@dataclass
class Network:
    """What stands between engine and exchange.

    Attributes:
        streams_up: False refuses new stream connections.
        cut: True lets no request through any more.
    """

    paper: PaperVenue
    streams_up: bool = True
    cut: bool = False
    sockets: list[tuple[str, MemoryWebSocket]] = field(default_factory=list)

    async def connect(self, url: str) -> WebSocket:
        if not self.streams_up:
            raise ConnectFailed("refused by the test")
        socket = await memory_streams(self.paper)(url)
        assert isinstance(socket, MemoryWebSocket)
        self.sockets.append((url, socket))
        return socket

    def break_user_stream(self) -> None:
        """End the user's connection as the exchange does."""
        for url, socket in self.sockets:
            if "/private/" in url:
                socket.close_from_venue()
        self.sockets = [row for row in self.sockets if "/private/" not in row[0]]


class NetworkSession(MemorySession):
    """A session that the network can cut."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.paper)
        self._network = network

    def request(self, method: str, url: URL, **options: Any) -> Any:
        if self._network.cut:
            raise aiohttp.ClientConnectionError("cut by the test")
        return super().request(method, url, **options)


class Rig:
    """A paper exchange, a bridge folder, and at most one running engine.

    Attributes:
        events: everything the engines reported, oldest first.
    """

    def __init__(
        self,
        root: Path,
        *,
        bridge: BridgeRules | None = None,
        entry: EntryPolicy | None = None,
        limits: RiskLimits | None = None,
        hedge: bool = False,
        foreign: ForeignRules | None = None,
        clock: ManualClock | None = None,
        machine_ahead_ms: int = 0,
    ) -> None:
        """`machine_ahead_ms`: how far the engine's own clock is ahead of the exchange's."""
        self.clock = clock or ManualClock()
        self.machine = _ShiftedClock(self.clock, machine_ahead_ms)
        self.paper = PaperVenue(
            clock=self.clock,
            settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)),
        )
        self.hedge = hedge
        self.foreign = foreign or ForeignRules()
        if hedge:
            self.paper.ask("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"})
        self.network = Network(self.paper)
        self.folder = root / "bridge"
        self.folder.mkdir()
        self.root = root
        self.bridge = bridge or BridgeRules(breaker_losses=5)
        self.entry = entry or EntryPolicy()
        self.limits = limits or RiskLimits()
        self.events: list[tuple[str, Fields]] = []
        self.journal = Journal.open(root / "journal.db", self.machine)
        self.latch = HaltLatch(root / "halt", self.machine)
        self.engine: LiveTradingEngine | None = None
        self._run: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._client: BinanceFuturesClient | None = None

    # --- the engine ----------------------------------------------------------------------------

    async def start(
        self,
        *,
        for_s: float | None = None,
        once: bool = False,
        session: HttpSession | None = None,
    ) -> None:
        """Start an engine and let it take its first look."""
        self._client = BinanceFuturesClient(
            api_key=KEYS.api_key,
            api_secret=KEYS.api_secret,
            rest_url=ORIGIN,
            clock=self.machine,
            session=session or NetworkSession(self.network),
        )
        await self._client.sync_clock()
        connect = self.network.connect
        self.engine = LiveTradingEngine(
            client=self._client,
            user_stream=UserStream(
                self._client, STREAM_ORIGIN, clock=self.machine, connect=connect
            ),
            market_stream=MarketStream(
                STREAM_ORIGIN, self.bridge.symbols, clock=self.machine, connect=connect
            ),
            journal=self.journal,
            latch=self.latch,
            risk=RiskManager(self.limits),
            clock=self.machine,
            options=EngineOptions(
                bridge_dir=self.folder,
                log_dir=self.root / "logs",
                bridge=self.bridge,
                entry=self.entry,
                foreign=self.foreign,
                source=Source.PAPER,
                zone=UTC,
                hedge_mode=self.hedge,
                kernel_events=False,
            ),
            report=lambda event, fields: self.events.append((event, dict(fields))),
        )
        self._stop = asyncio.Event()
        self._run = asyncio.create_task(self.engine.run(self._stop, for_s=for_s, once=once))
        await self.pass_time(1.0)

    @property
    def is_running(self) -> bool:
        return self._run is not None and not self._run.done()

    async def stop(self, *, within_s: float = 30) -> None:
        """Ask for the orderly end, as the first Ctrl-C does, and wait for it."""
        self._stop.set()
        await self.until(lambda: not self.is_running, within_s=within_s)
        await self._close_client()
        self.result()

    def result(self) -> None:
        """Raise what a run that is over has raised."""
        assert self._run is not None
        self._run.result()

    async def kill_9(self) -> None:
        """End the engine in mid-air: nothing it meant to do any more reaches the exchange."""
        assert self._run is not None
        # What would still be sent on the way out finds a dead network.
        self.network.cut = True
        self._run.cancel()
        while not self._run.done():
            self.paper.advance(STEP_MS)
            await settle()
        await self._close_client()
        self.network.cut = False
        self.network.sockets.clear()

    async def _close_client(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def close(self) -> None:
        """Leave nothing running."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
        await self._close_client()
        self.journal.close()

    # --- time and prices -----------------------------------------------------------------------

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time pass in small steps, everybody acting in between."""
        for _ in range(round(seconds * 1000 / STEP_MS)):
            self.paper.advance(STEP_MS)
            await settle()
            if self._run is not None and self._run.done():
                return

    async def until(self, condition: Callable[[], object], *, within_s: float = 20) -> None:
        """Let time pass until the condition holds; it must within `within_s` virtual seconds."""
        end = self.clock.monotonic() + within_s
        while not condition():
            assert self.clock.monotonic() < end, f"not within {within_s} s; {self.tail()}"
            self.paper.advance(STEP_MS)
            await settle()

    async def price(self, value: str | Decimal) -> None:
        """Let the market trade at a price now."""
        self.paper.set_price(SYMBOL, value)
        await settle()

    async def fill_resting(self) -> None:
        """Let the market come through the entry that rests, and back to where it was."""
        [order] = await self.wait_resting()
        price = Decimal(order["price"])
        tick = Decimal("0.1")
        step = -tick if order["side"] == "BUY" else tick
        await self.price(price + step)

    async def wait_resting(self) -> list[dict[str, Any]]:
        """Wait for regular orders that rest."""
        await self.until(self.open_orders, within_s=8)
        return self.open_orders()

    async def enter(self) -> None:
        """Let the entry that is due rest, fill and be protected."""
        await self.fill_resting()
        await self.until(lambda: self.reports("protected"), within_s=8)

    # --- the advisors --------------------------------------------------------------------------

    def decide(
        self, command: str, *, advisor: str = "wolf", age_s: float = 0, **fields: Any
    ) -> str:
        """Write a decision as the advisor does; return its timestamp."""
        moment = datetime.fromtimestamp(self.machine.now_ms() / 1000 - age_s, tz=UTC)
        stamp = fields.pop("timestamp", moment.replace(tzinfo=None).isoformat())
        section = {"command": command, "timestamp": stamp, "confidence": 80, **PARAMETERS, **fields}
        path = self.folder / f"ai_{advisor}_bridge.json"
        document = json.loads(path.read_text()) if path.exists() else {}
        document[f"ai_to_{advisor}"] = section
        path.write_text(json.dumps(document))
        return str(stamp)

    def document(self, advisor: str = "wolf") -> dict[str, Any]:
        """Return what stands in an advisor's file."""
        value = json.loads((self.folder / f"ai_{advisor}_bridge.json").read_text())
        assert isinstance(value, dict)
        return value

    # --- an independent look at the exchange ------------------------------------------------------

    def open_orders(self) -> list[dict[str, Any]]:
        return list(self.paper.ask("GET", "/fapi/v1/openOrders", {"symbol": SYMBOL}))

    def algos(self) -> list[dict[str, Any]]:
        return list(self.paper.ask("GET", "/fapi/v1/openAlgoOrders", {"symbol": SYMBOL}))

    def stops(self) -> list[dict[str, Any]]:
        return [row for row in self.algos() if row["orderType"] == "STOP_MARKET"]

    def position(self) -> dict[str, Any] | None:
        rows = self.paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": SYMBOL})
        return next((row for row in rows if Decimal(row["positionAmt"]) != 0), None)

    def quantity(self) -> Decimal:
        """Return the signed quantity held."""
        row = self.position()
        return Decimal(0) if row is None else Decimal(row["positionAmt"])

    def entries(self) -> list[dict[str, Any]]:
        """Return every entry order that was ever taken, filled or not."""
        rows = self.paper.ask("GET", "/fapi/v1/allOrders", {"symbol": SYMBOL})
        return [row for row in rows if "-en" in row["clientOrderId"]]

    def by_hand(self, side: str, quantity: str, **more: object) -> None:
        """Trade beside the engine, as another program does."""
        order = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": quantity}
        self.paper.ask("POST", "/fapi/v1/order", order | more)

    # --- what was reported ---------------------------------------------------------------------

    def reports(self, event: str) -> list[Fields]:
        return [fields for name, fields in self.events if name == event]

    def refusals(self) -> list[str]:
        """Return the rules of all refusals, in order."""
        return [str(fields["rule"]) for fields in self.reports("refused")]

    def tail(self) -> list[tuple[str, Fields]]:
        return self.events[-8:]


PARAMETERS = {
    "leverage": 125,
    "take_profit_pct": 9.0,
    "stop_loss_pct": 3.5,
    "dynamic_params": {
        "leverage": 125,
        "take_profit_pct": 9.0,
        "stop_loss_pct": 3.5,
        "position_size_pct": 50,
        "max_holding_minutes": 30,
    },
}


@contextlib.asynccontextmanager
async def rig(root: Path, **options: Any) -> AsyncIterator[Rig]:
    """A rig that is cleaned up, whatever happens in between."""
    made = Rig(root, **options)
    try:
        yield made
    finally:
        await made.close()


async def settle() -> None:
    """Let everybody who can go on do so."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)

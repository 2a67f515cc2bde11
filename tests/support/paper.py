"""A paper exchange for tests: under a clock the test moves, at prices the test sets.

`PaperVenue` is the exchange in memory; `PaperVenue.handle` answers at once and no time passes
but by `advance`. `paper_server` puts the same exchange behind a loopback port.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from trader_cli.clock import SystemClock
from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.terms import Side
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import Exchange, ExchangeSettings
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.market import Candle, Depth, Funding, FundingSettled, MarketTick
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.messages import HttpRequest, HttpResponse
from trader_cli.paper.serving.premises import bind_loopback
from trader_cli.paper.serving.server import PaperServer
from trader_cli.paper.state.state import MemoryState, State
from trader_cli.paper.streams.subscriptions import Connection
from trader_cli.paper.venue.venue import Venue, VenueSettings

START_MS = 1_780_000_000_000
"""A quiet moment in 2026: no funding for more than an hour."""
KEYS = KeyPair(api_key="k" * 64, api_secret="s" * 64)
FUNDING_MS = 8 * 3_600_000


class ManualClock:
    """A clock that stands still until `advance`; sleepers wake in order of their time."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1_000

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now_ms + round(seconds * 1_000), woken))
        await woken

    def advance(self, milliseconds: int) -> None:
        """Let time pass; whoever's sleep is over wakes at the loop's next turn."""
        self._now_ms += milliseconds
        due = sorted((s for s in self._sleepers if s[0] <= self._now_ms), key=lambda s: s[0])
        self._sleepers = [s for s in self._sleepers if s[0] > self._now_ms]
        for _, woken in due:
            if not woken.done():
                woken.set_result(None)


class SteadyMarket:
    """A market whose prices change only when a test says so.

    A level a tick holds plenty on both sides; `set_price` moves the whole book, and the one trade
    that happens then is at the new price. Implements `trader_cli.paper.markets.market.Market`.
    """

    LEVEL_QUANTITY = Decimal(100)

    def __init__(self, prices: Mapping[str, Decimal] | None = None, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._pending: list[MarketTick] = []
        self._trade_ids = itertools.count(1)
        self._funding: dict[str, Decimal] = {}
        self._trades: dict[str, list[MarketTick]] = {}
        self._latest: dict[str, MarketTick] = {}
        for symbol, price in (prices or _START_PRICES).items():
            self._put(symbol, price, Decimal(1), now_ms)
        self._pending.clear()

    @property
    def symbols(self) -> Sequence[str]:
        return list(self._latest)

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def set_price(
        self,
        symbol: str,
        price: Decimal,
        *,
        quantity: Decimal = Decimal(1_000),
        mark_price: Decimal | None = None,
    ) -> None:
        """Let the book move so that its best ask is one tick above `price`, the best bid.

        The tick comes with the next `advance`; `quantity` trades at `price`.
        """
        self._put(symbol, price, quantity, None, mark_price)

    def set_funding(self, symbol: str, rate: Decimal) -> None:
        self._funding[symbol] = rate

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        self._put(symbol, price, Decimal(0), None)
        return self._latest[symbol]

    def advance(self, now_ms: int) -> list[MarketTick]:
        self._now_ms = max(self._now_ms, now_ms)
        ticks = [_at(tick, self._now_ms) for tick in self._pending]
        self._pending.clear()
        for tick in ticks:
            self._latest[tick.symbol] = tick
        return ticks

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        """Everything is told, whoever attends."""

    def latest(self, symbol: str) -> MarketTick:
        return self._latest[symbol]

    def depth(self, symbol: str, limit: int) -> Depth:
        tick = self._latest[symbol]
        return Depth(
            symbol=symbol,
            update_id=tick.update_id,
            time_ms=tick.time_ms,
            bids=tuple(itertools.islice(self.levels(symbol, Side.SELL), limit)),
            asks=tuple(itertools.islice(self.levels(symbol, Side.BUY), limit)),
        )

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        tick = at or self._latest[symbol]
        price = tick.ask if side is Side.BUY else tick.bid
        step = CONTRACTS[symbol].instrument.tick_size * side.sign
        while price > 0:
            yield price, self.LEVEL_QUANTITY
            price += step

    def funding(self, symbol: str) -> Funding:
        return Funding(
            symbol=symbol,
            rate=self._funding.get(symbol, Decimal("0.0001")),
            interest_rate=Decimal("0.0001"),
            next_funding_ms=(self._now_ms // FUNDING_MS + 1) * FUNDING_MS,
        )

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        return FundingSettled(
            symbol=symbol,
            time_ms=funding_ms,
            rate=self.funding(symbol).rate,
            mark_price=self._latest[symbol].mark_price,
        )

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        ticks = [t for t in self._trades[symbol] if start_ms <= t.time_ms < end_ms]
        if not ticks:
            return None
        prices = [tick.last_price for tick in ticks]
        volume = sum((tick.last_quantity for tick in ticks), Decimal(0))
        quote = sum((tick.last_quantity * tick.last_price for tick in ticks), Decimal(0))
        return Candle(
            symbol=symbol,
            open_ms=start_ms,
            close_ms=end_ms - 1,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=volume,
            quote_volume=quote,
            trades=len(ticks),
            taker_buy_volume=Decimal(0),
            taker_buy_quote_volume=Decimal(0),
            first_trade_id=ticks[0].trade_id,
        )

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        return next((t for t in self._trades[symbol] if t.trade_id == trade_id), None)

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        later = (t.trade_id for t in self._trades[symbol] if t.time_ms >= time_ms)
        return next(later, self._trades[symbol][-1].trade_id + 1)

    def listed_ms(self, symbol: str) -> int:
        return 0

    def is_stale(self, symbol: str) -> bool:
        return False

    def facts(self) -> Mapping[str, object]:
        return {"market": "test", "seed": None}

    def snapshot(self) -> dict[str, Any]:
        return {symbol: str(tick.bid) for symbol, tick in self._latest.items()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        for symbol, bid in snapshot.items():
            self._put(symbol, Decimal(bid), Decimal(0), None)

    def _put(
        self,
        symbol: str,
        bid: Decimal,
        quantity: Decimal,
        time_ms: int | None,
        mark_price: Decimal | None = None,
    ) -> None:
        tick_size = CONTRACTS[symbol].instrument.tick_size
        bid = round_down_to_step(bid, tick_size).quantize(tick_size)
        tick = MarketTick(
            symbol=symbol,
            time_ms=self._now_ms if time_ms is None else time_ms,
            trade_id=next(self._trade_ids),
            bid=bid,
            bid_quantity=self.LEVEL_QUANTITY,
            ask=bid + tick_size,
            ask_quantity=self.LEVEL_QUANTITY,
            last_price=bid,
            last_quantity=quantity,
            buyer_is_maker=True,
            mark_price=bid if mark_price is None else mark_price,
            index_price=bid,
        )
        self._latest[symbol] = tick
        self._trades.setdefault(symbol, []).append(tick)
        self._pending.append(tick)


_START_PRICES = {
    "BTCUSDT": Decimal("95000.0"),
    "ETHUSDT": Decimal("3300.00"),
    "SOLUSDT": Decimal("190.0000"),
}


@dataclass
class Ear:
    """A stream connection in memory: what it heard, decoded, oldest first."""

    messages: list[Any] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def send(self, text: str, *, droppable: bool) -> None:
        self.messages.append(json.loads(text))

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def take(self) -> list[Any]:
        """Return what was heard since the last call."""
        heard, self.messages = self.messages, []
        return heard


class PaperVenue:
    """A whole paper exchange in memory, without sockets: the transport of simulations.

    Attributes:
        exchange: the exchange itself; arm failures with `exchange.faults.arm`.
        market: prices, moved by `set_price`.
        clock: time, moved by `advance`.
    """

    def __init__(
        self,
        *,
        market: SteadyMarket | None = None,
        clock: ManualClock | None = None,
        venue_settings: VenueSettings | None = None,
        settings: ExchangeSettings | None = None,
        state: State | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.market = market or SteadyMarket(now_ms=self.clock.now_ms())
        contracts = {symbol: CONTRACTS[symbol] for symbol in self.market.symbols}
        self.exchange = Exchange(
            routes=ROUTES,
            venue=Venue(
                contracts,
                self.market,
                state or MemoryState(),
                venue_settings or VenueSettings(),
                self.clock.now_ms(),
            ),
            market=self.market,
            keys=KEYS,
            new_key=_numbered_keys(),
            started_ms=self.clock.now_ms(),
            settings=settings,
            contracts=contracts,
        )

    def advance(self, milliseconds: int = 0) -> None:
        """Let time pass and the world with it."""
        self.clock.advance(milliseconds)
        self.exchange.tick(self.clock.now_ms())

    def set_price(
        self, symbol: str, price: str | Decimal, *, mark_price: str | Decimal | None = None
    ) -> None:
        """Let the market trade at `price` now; whatever follows from it has happened then."""
        mark = None if mark_price is None else Decimal(mark_price)
        self.market.set_price(symbol, Decimal(price), mark_price=mark)
        self.advance(1)

    def request(
        self,
        method: str,
        path: str,
        values: Mapping[str, object] | None = None,
        *,
        signed: bool = True,
        in_body: bool = False,
    ) -> HttpResponse:
        """Send one request; signed ones carry timestamp and signature."""
        pairs = dict(values or {})
        if signed:
            pairs["timestamp"] = self.clock.now_ms()
        text = urlencode(pairs)
        if signed:
            text += f"&signature={signature_of(text)}"
        return self.exchange.handle(
            HttpRequest(
                method=method,
                path=path,
                raw_query="" if in_body else text,
                headers={"x-mbx-apikey": KEYS.api_key},
                raw_body=text.encode() if in_body else b"",
            ),
            self.clock.now_ms(),
        )

    def ask(
        self, method: str, path: str, values: Mapping[str, object] | None = None, **options: bool
    ) -> Any:
        """Send one request that must succeed and return its JSON."""
        response = self.request(method, path, values, **options)
        assert response.status == 200, (response.status, response.body)
        return json.loads(response.body)

    def refused(
        self, method: str, path: str, values: Mapping[str, object] | None = None, **options: bool
    ) -> tuple[int, int]:
        """Send one request that must be refused and return (HTTP status, code)."""
        response = self.request(method, path, values, **options)
        assert response.status != 200, response.body
        return response.status, int(json.loads(response.body)["code"])

    def listen(self, path: str, query: str = "") -> tuple[Ear, Connection]:
        """Open a stream connection."""
        ear = Ear()
        connection = self.exchange.subscriptions.open(path, query, ear, self.clock.now_ms())
        assert connection is not None, path
        return ear, connection

    def listen_to_user(self) -> Ear:
        """Open a user data stream under a living listen key."""
        key = self.ask("POST", "/fapi/v1/listenKey", signed=False)["listenKey"]
        return self.listen("/private/ws", f"listenKey={key}")[0]


@dataclass(frozen=True, kw_only=True)
class PaperPort:
    """A paper exchange that answers on a loopback port."""

    paper: PaperVenue
    port: int

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def paper_server(paper: PaperVenue | None = None) -> AsyncIterator[PaperPort]:
    """Serve a paper exchange on a free loopback port, in this process and loop.

    Without `paper` it runs on the machine's clock, as real clients need that sign by it.
    """
    clock = SystemClock()
    served = paper or PaperVenue(clock=RealClock(), market=SteadyMarket(now_ms=clock.now_ms()))
    listener = bind_loopback(None)
    port = int(listener.getsockname()[1])
    server = PaperServer(served.exchange, served.clock)
    await server.start(listener)
    world = asyncio.create_task(server.run())
    try:
        yield PaperPort(paper=served, port=port)
    finally:
        world.cancel()
        await asyncio.gather(world, return_exceptions=True)
        await server.close()


class RealClock(ManualClock):
    """The machine's clock, which a test can push forward besides."""

    def __init__(self) -> None:
        super().__init__(0)
        self._machine = SystemClock()

    def now_ms(self) -> int:
        return self._machine.now_ms() + self._now_ms

    def monotonic(self) -> float:
        return self._machine.monotonic() + self._now_ms / 1_000

    async def sleep(self, seconds: float) -> None:
        await self._machine.sleep(seconds)


def signature_of(payload: str) -> str:
    """Return the signature of a query or body under the test's key pair."""
    return hmac.new(KEYS.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _numbered_keys() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):064d}"


def _at(tick: MarketTick, now_ms: int) -> MarketTick:
    """Return the tick as of `now_ms`, the moment it is told."""
    return replace(tick, time_ms=now_ms)

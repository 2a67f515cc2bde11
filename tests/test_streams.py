"""The streams: nothing lost, every gap told, open again by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.support.venue_stub import (
    START_MS,
    HandClock,
    JumpingClock,
    VenueStub,
    sends,
    sends_and_stays,
    settle,
)
from trader_cli.clock import SystemClock
from trader_cli.domain.account_events import (
    BookTopChanged,
    LeverageChanged,
    MarketEvent,
    MarkPriceChanged,
    RowQuarantined,
    StreamGap,
    StreamOpened,
)
from trader_cli.errors import NotSent, RateLimited, Rejected, VenueError
from trader_cli.exchange.streams import (
    KEEP_ALIVE_RETRY_S,
    KEEP_ALIVE_S,
    QUIET_S,
    ROTATION_S,
    SILENCE_S,
    MarketStream,
    UserStream,
)
from trader_cli.exchange.websocket import ConnectFailed, ConnectionLost, connect_websocket

URL = "wss://stream.example"


class Keys:
    """Gives listen keys K1, K2, …; fails as scripted."""

    def __init__(self) -> None:
        self.created = 0
        self.extended = 0
        self.create_fails: list[VenueError] = []
        self.extend_fails: list[VenueError] = []

    async def create_listen_key(self) -> str:
        if self.create_fails:
            raise self.create_fails.pop(0)
        self.created += 1
        return f"K{self.created}"

    async def keep_alive_listen_key(self) -> str:
        self.extended += 1
        if self.extend_fails:
            raise self.extend_fails.pop(0)
        return f"K{self.created}"


class FakeSocket:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self.closed = False

    def say(self, payload: object) -> None:
        self._messages.put_nowait(payload if isinstance(payload, str) else json.dumps(payload))

    def drop(self) -> None:
        self._messages.put_nowait(None)

    async def receive(self) -> str:
        message = await self._messages.get()
        if message is None:
            raise ConnectionLost("closed")
        return message

    async def close(self) -> None:
        self.closed = True


class Network:
    """Connects to fake sockets, or refuses."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.sockets: list[FakeSocket] = []
        self.refusals = 0

    async def connect(self, url: str) -> FakeSocket:
        self.urls.append(url)
        if self.refusals > 0:
            self.refusals -= 1
            raise ConnectFailed("refused")
        self.sockets.append(FakeSocket())
        return self.sockets[-1]


class Reader:
    """Collects a stream's events in a task, as the engine does."""

    def __init__(self, events: AsyncIterator[Any]) -> None:
        self.events: list[Any] = []
        self._source = events
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for event in self._source:
            self.events.append(event)

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait on the real clock, for tests with real sockets."""
        async with asyncio.timeout(5):
            while not done():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def reading(stream: UserStream | MarketStream) -> AsyncIterator[Reader]:
    reader: Reader = Reader(stream.events())
    try:
        yield reader
    finally:
        await stream.aclose()
        async with asyncio.timeout(2):
            await reader.task


def leverage(number: int) -> dict[str, Any]:
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": 2, "T": 1, "ac": {"s": "BTCUSDT", "l": number}}


def book(bid: str, symbol: str = "BTCUSDT") -> dict[str, Any]:
    payload = {
        "e": "bookTicker",
        "u": 1,
        "E": 6,
        "T": 5,
        "s": symbol,
        "b": bid,
        "B": "1",
        "a": "99999",
        "A": "1",
    }
    return {"stream": f"{symbol.lower()}@bookTicker", "data": payload}


def mark(price: str) -> dict[str, Any]:
    payload = {
        "e": "markPriceUpdate",
        "E": 6,
        "s": "BTCUSDT",
        "p": price,
        "i": price,
        "P": price,
        "r": "0.0001",
        "T": 7,
    }
    return {"stream": "btcusdt@markPrice@1s", "data": payload}


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def gaps(events: list[Any]) -> list[str]:
    return [event.reason for event in events if isinstance(event, StreamGap)]


class TestUserStream:
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def keys(self) -> Keys:
        return Keys()

    @pytest.fixture
    def network(self) -> Network:
        return Network()

    @pytest.fixture
    def stream(self, keys: Keys, network: Network, clock: HandClock) -> UserStream:
        return UserStream(keys, URL, clock=clock, connect=network.connect)

    async def test_it_opens_on_the_private_route_with_a_fresh_key(
        self, stream: UserStream, network: Network
    ) -> None:
        async with reading(stream) as reader:
            await settle()

            assert network.urls == [f"{URL}/private/ws?listenKey=K1"]
            assert reader.events == [StreamOpened(stream="user", local_ms=START_MS)]

        assert network.sockets[0].closed

    async def test_a_lost_connection_is_told_and_opened_again(
        self, stream: UserStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            network.sockets[0].say(leverage(5))
            network.sockets[0].drop()
            await clock.advance(1)
            network.sockets[1].say(leverage(6))
            await settle()

            assert kinds(reader.events) == [
                "StreamOpened",
                "LeverageChanged",
                "StreamGap",
                "StreamOpened",
                "LeverageChanged",
            ]
            assert network.urls[1].endswith("listenKey=K2")

    async def test_an_expired_key_is_a_gap_and_a_new_key(
        self, stream: UserStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            network.sockets[0].say({"e": "listenKeyExpired", "E": 1, "listenKey": "K1"})
            await clock.advance(1)

            assert gaps(reader.events) == ["the listen key expired"]
            assert network.sockets[0].closed
            assert network.urls[-1].endswith("K2")

    async def test_the_key_is_extended_every_half_hour(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await clock.advance(KEEP_ALIVE_S - 1)
            assert keys.extended == 0
            await clock.advance(2)
            assert keys.extended == 1
            await clock.advance(3 * KEEP_ALIVE_S)
            assert keys.extended == 4
            assert gaps(reader.events) == []

    async def test_a_key_the_venue_no_longer_knows_is_a_gap_at_once(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        keys.extend_fails = [Rejected("no such key", code=-1125)]
        async with reading(stream) as reader:
            await clock.advance(KEEP_ALIVE_S + 1)

            assert gaps(reader.events) == ["the listen key lapsed"]
            assert keys.created == 2

    async def test_a_failed_extension_is_tried_again_while_the_key_lives(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        keys.extend_fails = [NotSent("no connection"), Rejected("odd", code=-1000)]
        async with reading(stream) as reader:
            await clock.advance(KEEP_ALIVE_S + 2 * KEEP_ALIVE_RETRY_S + 1)

            assert keys.extended == 3
            assert gaps(reader.events) == []

    async def test_a_key_that_cannot_be_extended_is_given_up_before_it_lapses(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        keys.extend_fails = [NotSent("no connection") for _ in range(100)]
        async with reading(stream) as reader:
            await clock.advance(60 * 60)

            assert gaps(reader.events) == ["the listen key could not be extended"]
            assert keys.created == 2

    async def test_it_is_renewed_before_the_venue_ends_it(
        self, stream: UserStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await clock.advance(ROTATION_S - 1)
            assert len(network.urls) == 1
            await clock.advance(3)
            assert len(network.urls) == 2
            assert gaps(reader.events) == ["renewed before the venue's 24 hours"]

    async def test_one_outage_is_one_gap_however_often_it_is_tried(
        self, stream: UserStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            network.refusals = 5
            network.sockets[0].drop()
            await clock.advance(120)

            assert kinds(reader.events) == ["StreamOpened", "StreamGap", "StreamOpened"]
            assert len(network.urls) == 7

    async def test_a_venue_that_cannot_be_reached_at_first_is_a_gap(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        keys.create_fails = [NotSent("no connection")]
        async with reading(stream) as reader:
            await clock.advance(2)

            assert kinds(reader.events) == ["StreamGap", "StreamOpened"]

    async def test_a_ban_is_waited_for(
        self, stream: UserStream, keys: Keys, clock: HandClock
    ) -> None:
        keys.create_fails = [RateLimited("banned", retry_at_ms=START_MS + 90_000, banned=True)]
        async with reading(stream):
            await clock.advance(89)
            assert keys.created == 0
            await clock.advance(2)
            assert keys.created == 1

    async def test_what_cannot_be_understood_is_set_aside_and_the_stream_goes_on(
        self, stream: UserStream, network: Network
    ) -> None:
        odd = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 2, "T": 1, "ac": {"s": "BTCUSDT", "l": "x"}}
        async with reading(stream) as reader:
            await settle()
            for payload in ("{broken", odd, {"e": "NEW_IN_2027"}, leverage(9)):
                network.sockets[0].say(payload)
            await settle()

            assert kinds(reader.events) == [
                "StreamOpened",
                "RowQuarantined",
                "RowQuarantined",
                "LeverageChanged",
            ]
            row = reader.events[2]
            assert isinstance(row, RowQuarantined)
            assert row.symbol == "BTCUSDT"

    async def test_a_bug_ends_the_stream_loudly(self, network: Network, clock: HandClock) -> None:
        class Broken(Keys):
            async def create_listen_key(self) -> str:
                raise ZeroDivisionError

        stream = UserStream(Broken(), URL, clock=clock, connect=network.connect)

        with pytest.raises(ZeroDivisionError):
            async for _ in stream.events():
                pass

    async def test_leaving_the_iteration_closes_the_connection(
        self, stream: UserStream, network: Network
    ) -> None:
        async with aclosing(stream.events()) as events:
            async for event in events:
                assert isinstance(event, StreamOpened)
                break

        assert network.sockets[0].closed


class TestUserStreamOverARealConnection:
    async def test_a_burst_loses_nothing_and_keeps_its_order(self) -> None:
        """A kill of 200 orders is such a burst; python-binance's own socket dies at 100."""
        count = 10_000
        async with VenueStub().running() as venue:
            payloads = [json.dumps(leverage(number)) for number in range(count)]
            venue.on_socket("/private/ws", sends_and_stays(*payloads))
            stream = UserStream(Keys(), ws(venue), clock=SystemClock())
            async with reading(stream) as reader:
                await reader.until(lambda: len(reader.events) > count)

        changes = [event for event in reader.events if isinstance(event, LeverageChanged)]
        assert [event.leverage for event in changes] == list(range(count))
        assert gaps(reader.events) == []

    async def test_a_close_by_the_venue_is_told_and_opened_again(self) -> None:
        async with VenueStub().running() as venue:
            venue.on_socket("/private/ws", sends(leverage(1)), sends_and_stays(leverage(2)))
            stream = UserStream(Keys(), ws(venue), clock=JumpingKeyClock())
            async with reading(stream) as reader:
                await reader.until(lambda: len(reader.events) >= 5)

        assert kinds(reader.events) == [
            "StreamOpened",
            "LeverageChanged",
            "StreamGap",
            "StreamOpened",
            "LeverageChanged",
        ]
        assert venue.sockets_seen == [
            "/private/ws?listenKey=K1",
            "/private/ws?listenKey=K2",
        ]

    async def test_closing_is_quick_while_the_venue_is_silent(self) -> None:
        async with VenueStub().running() as venue:
            venue.on_socket("/private/ws", sends_and_stays())
            stream = UserStream(Keys(), ws(venue), clock=SystemClock())
            async with reading(stream) as reader:
                await reader.until(lambda: bool(reader.events))
                started = asyncio.get_running_loop().time()
                await stream.aclose()
                assert asyncio.get_running_loop().time() - started < 2

    async def test_a_refused_handshake_names_no_key(self) -> None:
        async with VenueStub().running() as venue:
            with pytest.raises(ConnectFailed, match="HTTP 403") as caught:
                await connect_websocket(f"{ws(venue)}/private/ws?listenKey=topsecret")

        assert "topsecret" not in repr(caught.value)
        assert caught.value.__context__ is None

    async def test_a_port_without_listener_is_a_failed_connect(self) -> None:
        async with VenueStub().running() as gone:
            url = ws(gone)

        with pytest.raises(ConnectFailed):
            await connect_websocket(f"{url}/private/ws")


class TestMarketStream:
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def network(self) -> Network:
        return Network()

    @pytest.fixture
    def stream(self, network: Network, clock: HandClock) -> MarketStream:
        return MarketStream(URL, ["BTCUSDT", "ETHUSDT"], clock=clock, connect=network.connect)

    async def test_each_kind_is_asked_for_on_its_own_route(
        self, stream: MarketStream, network: Network
    ) -> None:
        async with reading(stream):
            await settle()

            assert sorted(network.urls) == [
                f"{URL}/market/stream?streams=btcusdt@markPrice@1s/ethusdt@markPrice@1s",
                f"{URL}/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker",
            ]

    async def test_a_slow_reader_sees_the_latest_price_of_each_symbol_once(
        self, stream: MarketStream, network: Network
    ) -> None:
        events = stream.events()
        first: list[MarketEvent] = [await anext(events), await anext(events)]
        public = network.sockets[0]
        for number in range(1, 1_001):
            public.say(book(str(number)))
        public.say(book("7", "ETHUSDT"))
        network.sockets[1].say(mark("60000"))
        await asyncio.sleep(0.05)

        seen: list[MarketEvent] = [await anext(events) for _ in range(3)]
        await stream.aclose()

        assert kinds(list(first)) == ["StreamOpened", "StreamOpened"]
        tops = {one.top.symbol: one.top.bid for one in seen if isinstance(one, BookTopChanged)}
        assert tops == {"BTCUSDT": Decimal(1_000), "ETHUSDT": Decimal(7)}
        assert sum(isinstance(one, MarkPriceChanged) for one in seen) == 1
        assert [one async for one in events] == []

    async def test_silence_is_a_gap_after_ten_seconds_and_not_before(
        self, stream: MarketStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            await clock.advance(SILENCE_S - 0.5)
            network.sockets[0].say(book("1"))
            network.sockets[1].say(mark("1"))
            await clock.advance(SILENCE_S - 0.5)
            assert gaps(reader.events) == []

            network.sockets[0].say(book("2"))
            await clock.advance(2)

            assert silent(reader) == ["market"]
            assert len(network.urls) == 3
            assert "/market/" in network.urls[2]

    async def test_silence_of_everything_is_a_gap_of_both(
        self, stream: MarketStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            await clock.advance(SILENCE_S + 1)

            assert sorted(silent(reader)) == ["market", "public"]

    async def test_quiet_book_beside_living_mark_prices_is_left_alone_for_a_minute(
        self, stream: MarketStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            await tell_marks(network, clock, seconds=QUIET_S - 1)
            assert silent(reader) == []

            await tell_marks(network, clock, seconds=2)
            assert silent(reader) == ["public"]

    async def test_book_that_stays_quiet_is_asked_for_less_and_less(
        self, stream: MarketStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            await tell_marks(network, clock, seconds=15 * 60)
            assert silent(reader) == ["public"] * 3, "after one, three and seven minutes"

            network.sockets[-1].say(book("3"))
            await tell_marks(network, clock, seconds=QUIET_S + 2)
            assert silent(reader) == ["public"] * 4, "what was heard counts anew"

    async def test_one_route_down_leaves_the_other_up(
        self, stream: MarketStream, network: Network, clock: HandClock
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            network.sockets[0].drop()
            network.sockets[1].say(mark("5"))
            await clock.advance(1)

            assert [event.stream for event in reader.events if isinstance(event, StreamGap)] == [
                "public"
            ]
            assert any(isinstance(event, MarkPriceChanged) for event in reader.events)

    async def test_what_cannot_be_understood_is_set_aside(
        self, stream: MarketStream, network: Network
    ) -> None:
        async with reading(stream) as reader:
            await settle()
            network.sockets[0].say(book("NaN"))
            network.sockets[0].say("]")
            network.sockets[0].say({"result": None, "id": 1})
            await settle()

            rows = [event for event in reader.events if isinstance(event, RowQuarantined)]
            assert [row.symbol for row in rows] == ["BTCUSDT", None]

    async def test_prices_arrive_over_a_real_connection(self) -> None:
        async with VenueStub().running() as venue:
            venue.on_socket("/public/stream", sends_and_stays(book("60000.1")))
            venue.on_socket("/market/stream", sends_and_stays(mark("60000.2")))
            stream = MarketStream(ws(venue), ["BTCUSDT"], clock=SystemClock())
            async with reading(stream) as reader:
                await reader.until(lambda: len(reader.events) >= 4)

        assert set(kinds(reader.events)) == {
            "StreamOpened",
            "BookTopChanged",
            "MarkPriceChanged",
        }


def silent(reader: Reader) -> list[str]:
    """Return which streams were given up for saying nothing."""
    gaps = [event for event in reader.events if isinstance(event, StreamGap)]
    return [gap.stream for gap in gaps if gap.reason == "silent"]


async def tell_marks(network: Network, clock: HandClock, *, seconds: float) -> None:
    """Let time pass while mark prices come."""
    for _ in range(round(seconds)):
        network.sockets[1].say(mark("1"))
        await clock.advance(1)


class JumpingKeyClock(JumpingClock):
    """Jumps over short waits only, so that a key's half hour does not pass in a test's second."""

    async def sleep(self, seconds: float) -> None:
        if seconds < 60:
            await super().sleep(seconds)
        else:
            await asyncio.Event().wait()


def ws(venue: VenueStub) -> str:
    return venue.url.replace("http://", "ws://")

"""The venue's streams as endless, honest sequences of facts.

Both streams connect again by themselves, for as long as they are open, and say so: `StreamGap`
when something may have been missed, `StreamOpened` when events flow. User events are never
dropped; market events are conflated to the latest per symbol before anyone waits on them.

Know URLs, listen keys and timing; decoding is `wire/`, and what a gap means is for the reader.
Source: binance-usdm reference §10.1, §10.2, §11.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final, Protocol

from trader_cli.clock import Clock
from trader_cli.domain.account_events import (
    BookTopChanged,
    MarketEvent,
    MarkPriceChanged,
    RowQuarantined,
    StreamGap,
    StreamOpened,
    UserEvent,
)
from trader_cli.errors import Rejected, VenueError
from trader_cli.exchange.stream_line import Line, Plan
from trader_cli.exchange.websocket import WebSocketConnect, connect_websocket
from trader_cli.wire.decode_stream import (
    DecodedMarketEvent,
    DecodedUserEvent,
    decode_market_event,
    decode_user_event,
    event_type,
    unwrap,
)
from trader_cli.wire.fields import DecodeError, parse_event

KEEP_ALIVE_S: Final = 30 * 60.0
"""A listen key lives 60 minutes; extending it at half time leaves room for failures."""

KEEP_ALIVE_RETRY_S: Final = 60.0
LISTEN_KEY_AGE_S_MAX: Final = 55 * 60.0

ROTATION_S: Final = 23 * 3600.0
"""The venue ends connections after 24 hours; ending them ourselves makes the gap expected."""

SILENT: Final = "silent"
"""Why a market stream was given up that said nothing for too long."""

SILENCE_S: Final = 10.0
"""Mark prices are told every second, whether they change or not."""

QUIET_S: Final = 60.0
QUIET_S_MAX: Final = 960.0
"""A book is told only when it changes. While mark prices come and pings are answered (a dead line
ends by itself) it may be quiet: it is asked for anew after this long, then after twice as long."""

_USER_EVENTS_MAX: Final = 100_000
_LISTEN_KEY_UNKNOWN: Final = -1125


class ListenKeys(Protocol):
    """The part of the futures client that the user stream needs."""

    async def create_listen_key(self) -> str: ...
    async def keep_alive_listen_key(self) -> str: ...


class _Stream:
    """What both streams share: lines run while someone iterates, and end with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def aclose(self) -> None:
        """End the iteration and the connections, within two seconds."""
        self._closed = True
        self._wake.set()
        await self._stop()

    def _start(self, lines: Sequence[Line]) -> None:
        assert not self._tasks, "a stream is iterated once at a time"
        self._tasks = [asyncio.create_task(line.run()) for line in lines]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._wake.set())

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _woken(self) -> None:
        """Wait until there may be something new; raise what ended a line, if anything did."""
        await self._wake.wait()
        self._wake.clear()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _rotation(self) -> str:
        await self._clock.sleep(ROTATION_S)
        return "renewed before the venue's 24 hours"


class UserStream(_Stream):
    """The account's events: every one, in the order of arrival, with gaps told."""

    def __init__(
        self,
        client: ListenKeys,
        stream_url: str,
        *,
        clock: Clock,
        connect: WebSocketConnect | None = None,
    ) -> None:
        """
        Args:
            stream_url: origin without a path, e.g. wss://fstream.binance.com.
        """
        super().__init__(clock)
        self._client = client
        self._stream_url = stream_url.rstrip("/")
        self._events: deque[UserEvent] = deque()
        self._renewal: asyncio.Future[str] | None = None
        self._line = Line(
            "user",
            clock=clock,
            connect=connect if connect is not None else connect_websocket,
            plan=self._plan,
            take=self._take,
            tell=self._events_put,
        )

    async def events(self) -> AsyncGenerator[UserEvent, None]:
        """Yield events until closed; the first is `StreamOpened` or a `StreamGap`."""
        self._start([self._line])
        try:
            while not self._closed:
                while self._events:
                    yield self._events.popleft()
                await self._woken()
        finally:
            await self._stop()

    def renew(self, reason: str) -> None:
        """Give the connection up and open another: somebody knows that it has stopped telling.

        A quiet account's stream says nothing for hours, so it cannot tell by itself.
        """
        if self._renewal is not None and not self._renewal.done():
            self._renewal.set_result(reason)

    async def _plan(self) -> Plan:
        key = await self._client.create_listen_key()
        return Plan(
            url=f"{self._stream_url}/private/ws?listenKey={key}",
            watches=(self._keep_key, self._rotation, self._renewed),
        )

    async def _renewed(self) -> str:
        self._renewal = asyncio.get_running_loop().create_future()
        return await self._renewal

    async def _keep_key(self) -> str:
        """Extend the key every half hour; a key that may have lapsed delivers nothing, silently."""
        extended_s = self._clock.monotonic()
        wait_s = KEEP_ALIVE_S
        while True:
            await self._clock.sleep(wait_s)
            try:
                await self._client.keep_alive_listen_key()
            except Rejected as error:
                if error.code == _LISTEN_KEY_UNKNOWN:
                    return "the listen key lapsed"
                wait_s = KEEP_ALIVE_RETRY_S
            except VenueError:
                wait_s = KEEP_ALIVE_RETRY_S
            else:
                extended_s = self._clock.monotonic()
                wait_s = KEEP_ALIVE_S
            if self._clock.monotonic() - extended_s > LISTEN_KEY_AGE_S_MAX:
                return "the listen key could not be extended"

    def _take(self, text: str) -> str | None:
        event: DecodedUserEvent | RowQuarantined | None
        try:
            payload = unwrap(parse_event(text))
            event = decode_user_event(payload)
        except DecodeError as error:
            event = _quarantined("user", error.symbol, str(error), self._clock)
        except ValueError:
            event = _quarantined("user", None, "not JSON", self._clock)
        if event is None:
            expired = event_type(payload) == "listenKeyExpired"
            return "the listen key expired" if expired else None
        self._events_put(event)
        if len(self._events) > _USER_EVENTS_MAX:
            # Nobody reads. What is queued stays; the gap tells that more was lost.
            return f"more than {_USER_EVENTS_MAX} events wait to be read"
        return None

    def _events_put(self, event: UserEvent) -> None:
        self._events.append(event)
        self._wake.set()


class MarketStream(_Stream):
    """Best prices and mark prices of some symbols, always the latest.

    Two connections, because since April 2026 the venue serves book tickers only on /public and
    mark prices only on /market; a stream asked for in the wrong place stays silent.
    """

    def __init__(
        self,
        stream_url: str,
        symbols: Sequence[str],
        *,
        clock: Clock,
        connect: WebSocketConnect | None = None,
    ) -> None:
        """
        Args:
            stream_url: origin without a path, e.g. wss://fstream.binance.com.
        """
        super().__init__(clock)
        assert symbols, "a market stream needs a symbol"
        self._stream_url = stream_url.rstrip("/")
        self._latest: dict[tuple[str, str], DecodedMarketEvent] = {}
        self._notices: deque[StreamOpened | StreamGap | RowQuarantined] = deque(maxlen=1000)
        opener = connect if connect is not None else connect_websocket
        names = [symbol.lower() for symbol in symbols]
        self._quiet_s = QUIET_S
        books = [f"{name}@bookTicker" for name in names]
        marks = [f"{name}@markPrice@1s" for name in names]
        self._marks = self._line("market", marks, opener, lambda: SILENCE_S)
        self._lines = [self._line("public", books, opener, self._patience_s), self._marks]

    async def events(self) -> AsyncGenerator[MarketEvent, None]:
        """Yield openings and gaps in order, and of prices the newest per symbol, until closed."""
        self._start(self._lines)
        try:
            while not self._closed:
                while self._notices or self._latest:
                    if self._notices:
                        yield self._notices.popleft()
                    else:
                        yield self._latest.pop(next(iter(self._latest)))
                await self._woken()
        finally:
            await self._stop()

    def _line(
        self,
        category: str,
        streams: Sequence[str],
        connect: WebSocketConnect,
        patience_s: Callable[[], float],
    ) -> Line:
        url = f"{self._stream_url}/{category}/stream?streams={'/'.join(streams)}"

        async def plan() -> Plan:
            return Plan(url=url, watches=(silence, self._rotation))

        async def silence() -> str:
            while True:
                waited_for_s = patience_s()
                left_s = line.heard_s + waited_for_s - self._clock.monotonic()
                if left_s <= 0:
                    if waited_for_s > SILENCE_S:
                        self._quiet_s = min(QUIET_S_MAX, self._quiet_s * 2)
                    return SILENT
                await self._clock.sleep(min(left_s, SILENCE_S))

        line = Line(
            category,
            clock=self._clock,
            connect=connect,
            plan=plan,
            take=lambda text: self._take(category, text),
            tell=self._notice,
        )
        return line

    def _patience_s(self) -> float:
        """Return how long books may say nothing: long only while mark prices prove a live venue."""
        marks_come = self._clock.monotonic() - self._marks.heard_s < SILENCE_S
        return self._quiet_s if marks_come else SILENCE_S

    def _take(self, category: str, text: str) -> str | None:
        try:
            event = decode_market_event(unwrap(parse_event(text)))
        except DecodeError as error:
            self._notice(_quarantined(category, error.symbol, str(error), self._clock))
            return None
        except ValueError:
            self._notice(_quarantined(category, None, "not JSON", self._clock))
            return None
        match event:
            case BookTopChanged():
                self._quiet_s = QUIET_S
                self._latest[("book", event.top.symbol)] = event
            case MarkPriceChanged():
                self._latest[("mark", event.mark.symbol)] = event
            case None:
                return None
        self._wake.set()
        return None

    def _notice(self, notice: StreamOpened | StreamGap | RowQuarantined) -> None:
        self._notices.append(notice)
        self._wake.set()


def _quarantined(stream: str, symbol: str | None, reason: str, clock: Clock) -> RowQuarantined:
    return RowQuarantined(stream=stream, symbol=symbol, reason=reason, local_ms=clock.now_ms())

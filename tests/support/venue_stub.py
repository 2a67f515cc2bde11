"""A scripted venue on loopback: says what it is told to, notes what it was asked.

It knows no rules of an exchange. Tests use it to break connections at chosen moments and to look
at what really arrived; the rules are the paper exchange's.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web

START_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Reply:
    """An answer; `body` is sent as JSON unless it is text."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True)
class Drop:
    """Read the request, then break the connection without an answer."""


@dataclass(frozen=True)
class HalfAnswer:
    """Promise more bytes than are sent, then break the connection."""


@dataclass(frozen=True)
class Hang:
    """Read the request and never answer."""


Step = Reply | Drop | HalfAnswer | Hang


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    raw: str
    headers: Mapping[str, str]

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw, keep_blank_values=True))


SocketScript = Callable[[web.WebSocketResponse], Awaitable[None]]


class VenueStub:
    """Answers by (method, path); the last step of a script repeats."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.url = ""
        self.sockets_seen: list[str] = []
        self._steps: dict[tuple[str, str], deque[Step]] = {}
        self._scripts: dict[str, deque[SocketScript]] = defaultdict(deque)
        self._over = asyncio.Event()
        self.answer("GET", "/fapi/v1/time", Reply({"serverTime": START_MS}))

    def answer(self, method: str, path: str, *steps: Step) -> None:
        self._steps[(method, path)] = deque(steps)

    def on_socket(self, path: str, *scripts: SocketScript) -> None:
        self._scripts[path].extend(scripts)

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[VenueStub]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._handle_socket(request)
        body = (await request.read()).decode()
        raw = "&".join(part for part in (request.rel_url.raw_query_string, body) if part)
        self.seen.append(Seen(request.method, request.path, raw, dict(request.headers)))
        steps = self._steps.get((request.method, request.path))
        if not steps:
            return web.json_response({"code": -5000, "msg": "not scripted"}, status=404)
        step = steps[0] if len(steps) == 1 else steps.popleft()
        return await self._perform(step, request)

    async def _perform(self, step: Step, request: web.Request) -> web.StreamResponse:
        match step:
            case Reply():
                text = step.body if isinstance(step.body, str) else json.dumps(step.body)
                return web.Response(
                    text=text,
                    status=step.status,
                    headers=step.headers,
                    content_type=step.content_type,
                )
            case Drop():
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case HalfAnswer():
                response = web.StreamResponse(
                    headers={"Content-Type": "application/json", "Content-Length": "500"}
                )
                await response.prepare(request)
                await response.write(b'{"orderId": 1')
                assert request.transport is not None
                request.transport.close()
                return response
            case Hang():
                await self._over.wait()
                return web.Response()

    async def _handle_socket(self, request: web.Request) -> web.StreamResponse:
        self.sockets_seen.append(request.path_qs)
        scripts = self._scripts[request.path]
        if not scripts:
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with suppress(ConnectionResetError):
            await scripts.popleft()(socket)
        await socket.close()
        return socket


def sends(*payloads: object) -> SocketScript:
    """Send the payloads, then close."""

    async def script(socket: web.WebSocketResponse) -> None:
        for payload in payloads:
            await socket.send_str(payload if isinstance(payload, str) else json.dumps(payload))

    return script


def sends_and_stays(*payloads: object) -> SocketScript:
    """Send the payloads, then stay open and silent until the other side leaves."""

    async def script(socket: web.WebSocketResponse) -> None:
        await sends(*payloads)(socket)
        async for _ in socket:
            pass

    return script


class JumpingClock:
    """A clock on which nobody waits: sleeping moves it on at once."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now = now_ms / 1000
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return round(self._now * 1000)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now += seconds


class HandClock:
    """A clock that stands still until a test moves it; sleepers wake in order of their time."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now = now_ms / 1000
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return round(self._now * 1000)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._now + seconds, woken)
        self._sleepers.append(entry)
        try:
            await woken
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers at their times and letting everyone run in between."""
        target = self._now + seconds
        while True:
            await settle()
            due = [entry for entry in self._sleepers if entry[0] <= target]
            if not due:
                break
            entry = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(entry)
            self._now = max(self._now, entry[0])
            if not entry[1].done():
                entry[1].set_result(None)
        self._now = target
        await settle()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)

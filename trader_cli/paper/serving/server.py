"""The paper exchange on a loopback port: thin sockets around `Exchange`, and the clock's hand.

Knows sockets and nothing of trading. Ordinary requests take the short way of `http_front.py`;
aiohttp carries streams and whatever is not plain, on a transport that commits before it passes
anything on. Stream connections become sinks, and ten times a second the world goes on, whoever is
connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from trader_cli.clock import Clock
from trader_cli.paper.api.exchange import Exchange
from trader_cli.paper.api.faults import DROPPED
from trader_cli.paper.api.ws_api import WS_API_PATH
from trader_cli.paper.protocol.limits import RateRefusal
from trader_cli.paper.protocol.messages import HttpRequest, error_body
from trader_cli.paper.serving.http_front import Answers, FrontDoor
from trader_cli.paper.serving.socket_sink import SocketSink
from trader_cli.paper.streams.stream_names import parse_address

TICK_S: Final = 0.1
PING_EVERY_S: Final = 180.0
PONG_WITHIN_S: Final = 600.0
_SHUTDOWN_S: Final = 1.0
_BODY_MAX_BYTES: Final = 1 << 20
_BACKLOG: Final = 1_024
_GC_THRESHOLDS: Final = (20_000, 50, 50)
"""Records form no cycles; the collector need not look after every few orders."""


class PaperServer:
    """One exchange behind one listening socket."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._fallback = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(self._fallback, shutdown_timeout=_SHUTDOWN_S)
        self._listener: asyncio.Server | None = None
        self._doors: set[FrontDoor] = set()

    async def start(self, listener: socket.socket) -> None:
        """Answer requests on a bound socket from now on; it is closed by `close`."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        answers = Answers(self._exchange, self._clock, loop)
        self._listener = await loop.create_server(
            lambda: FrontDoor(self._exchange, self._clock, answers, self._fallback, self._doors),
            sock=listener,
            backlog=_BACKLOG,
        )

    async def run(self) -> None:
        """Let the world go on until somebody asks the exchange to stop."""
        while not self._exchange.stop_requested:
            self._exchange.tick(self._clock.now_ms())
            await self._clock.sleep(TICK_S)

    async def close(self) -> None:
        """End all connections."""
        self._exchange.subscriptions.close_all()
        self._exchange.ws_api.close_all()
        if self._listener is not None:
            self._listener.close()
        for door in list(self._doors):
            door.close()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        wants_stream = request.headers.get("Upgrade", "").lower() == "websocket"
        if wants_stream and path == WS_API_PATH:
            return await self._serve_ws_api(request, query)
        if wants_stream and parse_address(path, query) is not None:
            return await self._serve_stream(request, path, query)
        way_s = self._exchange.latency_s(request.method, path)
        if way_s:
            await self._clock.sleep(way_s)
        response = self._exchange.handle(
            HttpRequest(
                method=request.method,
                path=path,
                raw_query=query,
                headers={name.lower(): value for name, value in request.headers.items()},
                raw_body=await request.read(),
                peer=request.remote or "",
            ),
            self._clock.now_ms(),
        )
        self._exchange.commit()
        if response.delay_ms:
            await self._clock.sleep(response.delay_ms / 1_000)
        if response.status == DROPPED and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=response.status or web.HTTPInternalServerError.status_code,
            headers={"Content-Type": "application/json", **response.headers},
            body=response.body,
        )

    async def _serve_stream(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        socket_, sink = await self._accept(request)
        subscriptions = self._exchange.subscriptions
        connection = subscriptions.open(path, query, sink, self._clock.now_ms())
        assert connection is not None, "the address was read before"

        def receive(text: str) -> None:
            subscriptions.receive(connection, text, self._clock.now_ms())

        def pinged() -> None:
            subscriptions.count(connection, self._clock.now_ms())

        try:
            await self._converse(socket_, sink, receive, pinged)
        finally:
            subscriptions.close(connection)
        return socket_

    async def _serve_ws_api(self, request: web.BaseRequest, query: str) -> web.StreamResponse:
        socket_ = _socket()
        sink = SocketSink(socket_, request)
        api, peer = self._exchange.ws_api, request.remote or ""
        try:
            session = api.open(query, sink, peer, self._clock.now_ms())
        except RateRefusal as refusal:
            return web.json_response(
                error_body(refusal),
                status=refusal.status,
                headers={"Retry-After": str(refusal.retry_after_s)},
            )

        def arrive(text: str) -> None:
            api.receive(session, text, self._clock.now_ms())

        def pinged() -> None:
            api.count(session, self._clock.now_ms())

        def receive(text: str) -> None:
            way_s = api.latency_s(text)
            if way_s:
                asyncio.get_running_loop().call_later(way_s, arrive, text)
            else:
                arrive(text)

        try:
            await socket_.prepare(request)
            await self._converse(socket_, sink, receive, pinged)
        finally:
            api.close(session)
        return socket_

    async def _accept(self, request: web.BaseRequest) -> tuple[web.WebSocketResponse, SocketSink]:
        socket_ = _socket()
        await socket_.prepare(request)
        return socket_, SocketSink(socket_, request)

    async def _converse(
        self,
        socket_: web.WebSocketResponse,
        sink: SocketSink,
        receive: Callable[[str], None],
        pinged: Callable[[], None],
    ) -> None:
        """Pass messages both ways until the connection ends.

        Args:
            pinged: told of every ping and pong of the client.
        """
        heard = _Heard(self._clock.monotonic())
        async with asyncio.TaskGroup() as tasks:
            others = (
                tasks.create_task(sink.write()),
                tasks.create_task(self._ping(socket_, sink, heard)),
            )
            async for message in socket_:
                if message.type is WSMsgType.TEXT:
                    receive(message.data)
                    continue
                pinged()
                if message.type is WSMsgType.PING:
                    await socket_.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    heard.at_s = self._clock.monotonic()
            for task in others:
                task.cancel()

    async def _ping(self, socket_: web.WebSocketResponse, sink: SocketSink, heard: _Heard) -> None:
        """Ask every three minutes whether the client lives; ten without an answer end it.

        Source: binance-usdm reference §10.1.
        """
        while not socket_.closed:
            await self._clock.sleep(PING_EVERY_S)
            if self._clock.monotonic() - heard.at_s >= PONG_WITHIN_S:
                sink.close(WSCloseCode.POLICY_VIOLATION, "no pong")
                return
            with contextlib.suppress(ConnectionError):
                await socket_.ping(str(self._clock.now_ms()).encode())


@dataclass(slots=True)
class _Heard:
    """When a client last answered a ping, or came."""

    at_s: float


def _socket() -> web.WebSocketResponse:
    # Compression would cost both ends more than a loopback can save.
    return web.WebSocketResponse(autoping=False, max_msg_size=_BODY_MAX_BYTES, compress=False)


async def serve_until_stopped(
    exchange: Exchange,
    listener: socket.socket,
    clock: Clock,
    *,
    on_ready: Callable[[], None],
    handle_signals: bool = True,
) -> None:
    """Serve until a signal or the exchange's own switch ends it."""
    server = PaperServer(exchange, clock)
    await server.start(listener)
    try:
        if handle_signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _request_stop, exchange)
        # What is here now stays; looking through it again and again would only cost time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        on_ready()
        await server.run()
    finally:
        await server.close()


def _request_stop(exchange: Exchange) -> None:
    exchange.stop_requested = True

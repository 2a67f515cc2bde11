"""The paper exchange on a loopback port: thin aiohttp around `Exchange`, and the clock's hand.

Knows sockets and nothing of trading. Bytes become `HttpRequest`, answers become bytes, stream
connections become sinks, and ten times a second the world goes on, whoever is connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from trader_cli.clock import Clock
from trader_cli.paper.exchange import Exchange
from trader_cli.paper.faults import DROPPED
from trader_cli.paper.protocol import HttpRequest
from trader_cli.paper.stream_names import parse_address
from trader_cli.paper.subscriptions import Connection

TICK_S: Final = 0.1
PING_EVERY_S: Final = 180.0
_SHUTDOWN_S: Final = 1.0
_MARKET_QUEUE_MAX: Final = 2_000
_QUEUE_MAX: Final = 200_000
_BODY_MAX_BYTES: Final = 1 << 20


class PaperServer:
    """One exchange behind one listening socket."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=_SHUTDOWN_S
        )

    async def start(self, listener: socket.socket) -> None:
        """Answer requests on a bound socket from now on; it is closed by `close`."""
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def run(self) -> None:
        """Let the world go on until somebody asks the exchange to stop."""
        while not self._exchange.stop_requested:
            self._exchange.tick(self._clock.now_ms())
            await self._clock.sleep(TICK_S)

    async def close(self) -> None:
        """End all connections."""
        self._exchange.subscriptions.close_all()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        wants_stream = request.headers.get("Upgrade", "").lower() == "websocket"
        if wants_stream and parse_address(path, query) is not None:
            return await self._serve_stream(request, path, query)
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
        if response.status == DROPPED and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=response.status or web.HTTPInternalServerError.status_code,
            headers=response.headers,
            body=response.body,
            content_type="application/json",
        )

    async def _serve_stream(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(heartbeat=PING_EVERY_S, max_msg_size=_BODY_MAX_BYTES)
        await socket_.prepare(request)
        sink = _SocketSink(socket_)
        subscriptions = self._exchange.subscriptions
        connection = subscriptions.open(path, query, sink, self._clock.now_ms())
        assert connection is not None, "the address was read before"
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(sink.write())
                await self._read(socket_, connection)
                writer.cancel()
        finally:
            subscriptions.close(connection)
        return socket_

    async def _read(self, socket_: web.WebSocketResponse, connection: Connection) -> None:
        async for message in socket_:
            if message.type is WSMsgType.TEXT:
                self._exchange.subscriptions.receive(connection, message.data, self._clock.now_ms())


class _SocketSink:
    """A bounded way to one client.

    A slow client loses market data first; it never loses a user event in silence: where even
    those pile up it is disconnected, and has to ask what it missed.
    """

    def __init__(self, socket_: web.WebSocketResponse) -> None:
        self._socket = socket_
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None

    def send(self, text: str, *, droppable: bool) -> None:
        if droppable and len(self._waiting) >= _MARKET_QUEUE_MAX:
            return
        if len(self._waiting) >= _QUEUE_MAX:
            self.close(WSCloseCode.POLICY_VIOLATION, "too slow")
            return
        self._waiting.append(text)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        self._closing = self._closing or (code, reason)
        self._wake.set()

    async def write(self) -> None:
        """Pass messages on until the connection ends."""
        while not self._socket.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._socket.closed:
                with contextlib.suppress(ConnectionError):
                    await self._socket.send_str(self._waiting.popleft())
            if self._closing is not None:
                code, reason = self._closing
                await self._socket.close(code=code, message=reason.encode())
                return


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
        on_ready()
        await server.run()
    finally:
        await server.close()


def _request_stop(exchange: Exchange) -> None:
    exchange.stop_requested = True

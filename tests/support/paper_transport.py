"""The transports under our own client, in memory: HTTP and WebSocket without a socket.

With `MemorySession` as the client's session and `memory_streams` as the streams' `connect`, client,
streams and wire run against a `PaperVenue` in one process, under its manual clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from tests.support.paper import PaperVenue
from trader_cli.exchange.websocket import ConnectFailed, ConnectionLost, WebSocketConnect
from trader_cli.paper.api.faults import DROPPED
from trader_cli.paper.protocol.messages import HttpRequest
from trader_cli.paper.streams.subscriptions import Connection, Subscriptions

ORIGIN = "http://paper.test"
STREAM_ORIGIN = "ws://paper.test"


@dataclass(frozen=True)
class MemoryResponse:
    """The part of an aiohttp response that the client reads."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def read(self) -> bytes:
        return self.body


class MemorySession:
    """An HTTP session whose requests a paper exchange answers at once.

    Attributes:
        sent: (method, path) of every request, in order.
    """

    def __init__(self, paper: PaperVenue) -> None:
        self._paper = paper
        self.sent: list[tuple[str, str]] = []

    def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: str | None,
        timeout: aiohttp.ClientTimeout,
        allow_redirects: bool,
    ) -> AbstractAsyncContextManager[MemoryResponse]:
        return self._answered(
            HttpRequest(
                method=method,
                path=url.raw_path,
                raw_query=url.raw_query_string,
                headers={name.lower(): value for name, value in headers.items()},
                raw_body=(data or "").encode(),
            )
        )

    async def close(self) -> None:
        pass

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        self.sent.append((request.method, request.path))
        answer = self._paper.exchange.handle(request, self._paper.clock.now_ms())
        if answer.status == DROPPED:
            raise aiohttp.ServerDisconnectedError
        headers = {"Content-Type": "application/json", **answer.headers}
        yield MemoryResponse(answer.status, headers, answer.body)


class MemoryWebSocket:
    """An open stream connection to a paper exchange."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self.connection: Connection | None = None

    async def receive(self) -> str:
        text = await self._texts.get()
        if text is None:
            self._texts.put_nowait(None)
            raise ConnectionLost("closed")
        return text

    async def close(self) -> None:
        self._forget()

    def send(self, text: str, *, droppable: bool) -> None:
        """Take a message from the exchange."""
        self._texts.put_nowait(text)

    def close_from_venue(self) -> None:
        """End the connection as the exchange does."""
        self._forget()
        self._texts.put_nowait(None)

    def _forget(self) -> None:
        if self.connection is not None:
            self._subscriptions.close(self.connection)


@dataclass(frozen=True)
class _Sink:
    socket: MemoryWebSocket

    def send(self, text: str, *, droppable: bool) -> None:
        self.socket.send(text, droppable=droppable)

    def close(self, code: int, reason: str) -> None:
        self.socket.close_from_venue()


def memory_streams(paper: PaperVenue) -> WebSocketConnect:
    """Return what opens stream connections to a paper exchange, for any origin."""

    async def connect(url: str) -> MemoryWebSocket:
        address = URL(url)
        subscriptions = paper.exchange.subscriptions
        socket = MemoryWebSocket(subscriptions)
        socket.connection = subscriptions.open(
            address.raw_path, address.raw_query_string, _Sink(socket), paper.clock.now_ms()
        )
        if socket.connection is None:
            raise ConnectFailed("the server answered HTTP 404")
        return socket

    return connect

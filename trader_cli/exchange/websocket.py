"""One WebSocket, cut down to what the streams need, and the seam to replace it.

Knows aiohttp's WebSocket client, nothing of Binance.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Protocol

import aiohttp

_HEARTBEAT_S: Final = 20.0
"""A ping every 20 s, and half as long for its answer: dead lines show within 30 s."""

_CLOSE_S: Final = 1.0
_CONNECT_S: Final = 10.0
_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024

# Looked up once: asking the enum for a member costs as much as handing a message on.
_TEXT: Final = aiohttp.WSMsgType.TEXT
_BINARY: Final = aiohttp.WSMsgType.BINARY
_ERROR: Final = aiohttp.WSMsgType.ERROR


class ConnectFailed(Exception):
    """No WebSocket came about; the text is safe to show."""


class ConnectionLost(Exception):
    """The WebSocket ended; the text says how and is safe to show."""


class WebSocket(Protocol):
    """An open connection."""

    async def receive(self) -> str:
        """Return the next text message.

        Raises:
            ConnectionLost: there will be none.
        """
        ...

    async def close(self) -> None:
        """Close without waiting long for the other side."""
        ...


class WebSocketConnect(Protocol):
    """Opens connections."""

    async def __call__(self, url: str) -> WebSocket:
        """Open one.

        Raises:
            ConnectFailed: it did not work.
        """
        ...


class AiohttpWebSocket:
    """aiohttp's WebSocket client in a session of its own, so that closing it leaves nothing."""

    def __init__(
        self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._session = session
        self._socket = socket

    async def receive(self) -> str:
        while True:
            message = await self._socket.receive()
            if message.type is _TEXT:
                text: str = message.data
                return text
            if message.type is _BINARY:
                continue  # the venue sends none
            code = self._socket.close_code
            how = "the line went dead" if message.type is _ERROR else "closed"
            raise ConnectionLost(how if code is None else f"{how}, code {code}")

    async def close(self) -> None:
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close()
        await self._session.close()


async def connect_websocket(url: str) -> WebSocket:
    """Open a WebSocket with aiohttp; pings of the venue are answered by aiohttp.

    Raises:
        ConnectFailed: refused, no answer in time, or an answer that is no WebSocket. The URL may
            hold a listen key, so only the kind of failure is told.
    """
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
    try:
        async with asyncio.timeout(_CONNECT_S):
            socket = await session.ws_connect(
                url,
                heartbeat=_HEARTBEAT_S,
                max_msg_size=_MESSAGE_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        await session.close()
        reason = _reason(error)
    except BaseException:
        await session.close()
        raise
    else:
        return AiohttpWebSocket(session, socket)
    raise ConnectFailed(reason)


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"the server answered HTTP {error.status}"
    return type(error).__name__

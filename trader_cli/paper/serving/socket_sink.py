"""One client's end of a stream: messages in at any pace, frames out as the client reads them.

Knows WebSocket frames and who is slow. Must not know what a message says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from aiohttp import WSCloseCode, web

_MARKET_QUEUE_MAX: Final = 2_000
_QUEUE_MAX: Final = 200_000
_UNSENT_BYTES_MAX: Final = 1 << 16
_TEXT: Final = b"\x81"
_LENGTH_IN_ONE_BYTE_MAX: Final = 125
_LENGTH_IN_TWO_BYTES_MAX: Final = 65_535


class SocketSink:
    """A bounded way to one client.

    A slow client loses market data first; it never loses a user event in silence: where even
    those pile up it is disconnected, and has to ask what it missed.
    """

    def __init__(self, socket_: web.WebSocketResponse, request: web.BaseRequest) -> None:
        assert request.transport is not None, "the request has only just arrived"
        self._socket = socket_
        self._transport = request.transport
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None

    def send(self, text: str, *, droppable: bool) -> None:
        if droppable and len(self._waiting) >= _MARKET_QUEUE_MAX:
            return
        if len(self._waiting) >= _QUEUE_MAX:
            # Who reads nothing would not read a farewell either.
            self.close(WSCloseCode.POLICY_VIOLATION, "too slow")
            self._waiting.clear()
            self._transport.abort()
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
                if self._transport.get_write_buffer_size() < _UNSENT_BYTES_MAX:
                    self._write_some()
                    continue
                # The reader is slow: aiohttp waits until there is room.
                with contextlib.suppress(ConnectionError):
                    await self._socket.send_str(self._waiting.popleft())
            if self._closing is not None:
                code, reason = self._closing
                await self._socket.close(code=code, message=reason.encode())
                return

    def _write_some(self) -> None:
        """Write messages as one piece: a call of aiohttp's for each costs more than making it."""
        frames: list[bytes] = []
        size = 0
        while self._waiting and size < _UNSENT_BYTES_MAX:
            frame = text_frame(self._waiting.popleft())
            frames.append(frame)
            size += len(frame)
        self._transport.write(b"".join(frames))


def text_frame(text: str) -> bytes:
    """Return a whole text message as a server sends it. Source: RFC 6455 §5.2."""
    payload = text.encode()
    length = len(payload)
    if length <= _LENGTH_IN_ONE_BYTE_MAX:
        return _TEXT + length.to_bytes(1) + payload
    if length <= _LENGTH_IN_TWO_BYTES_MAX:
        return _TEXT + b"\x7e" + length.to_bytes(2) + payload
    return _TEXT + b"\x7f" + length.to_bytes(8) + payload

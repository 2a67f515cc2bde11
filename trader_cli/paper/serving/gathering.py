"""A transport for whoever writes often: what is written in one turn of the loop leaves together.

Messages to one client, an event each, cost a system call together and not one each. Before they
leave, whoever made them is asked to make durable what they tell. Must not know what is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

_GATHERED_BYTES_MAX: Final = 1 << 16
"""More leaves at once, so that a slow reader is noticed by whoever writes."""


class GatheringTransport(asyncio.Transport):
    """Passes everything on to another transport, writes in groups."""

    def __init__(self, inner: asyncio.Transport, before_leaving: Callable[[], None]) -> None:
        """Stand before `inner`.

        Args:
            before_leaving: called before anything written is passed on; if it fails the connection
                is ended instead.
        """
        super().__init__()
        self._inner = inner
        self._before_leaving = before_leaving
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(bytes(data))
        self._size += len(data)
        if self._size >= _GATHERED_BYTES_MAX:
            self.flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        for data in list_of_data:
            self.write(data)

    def flush(self) -> None:
        """Pass on what was written."""
        if not self._parts:
            return
        parts, self._parts, self._size = self._parts, [], 0
        try:
            self._before_leaving()
        except BaseException:
            self._inner.abort()
            raise
        if not self._inner.is_closing():
            self._inner.write(b"".join(parts))

    def write_eof(self) -> None:
        self.flush()
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def close(self) -> None:
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        self._parts.clear()
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size() + self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._inner.get_write_buffer_limits()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner.get_protocol()

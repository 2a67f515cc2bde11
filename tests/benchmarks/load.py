"""Many clients at once on raw connections: the least a load generator can cost.

Requests are signed before the clock starts. Each connection has `depth` requests on their way
and sends the next when an answer is complete.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of one load.

    Attributes:
        latencies_ms: from the last byte sent to the last byte of the answer, ascending.
        refused: answers other than 200.
    """

    requests: int
    seconds: float
    latencies_ms: Sequence[float]
    refused: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    def percentile_ms(self, percent: float) -> float:
        return self.latencies_ms[
            min(len(self.latencies_ms) - 1, int(self.requests * percent / 100))
        ]


def signed_request(
    method: str, path: str, values: Mapping[str, object], *, api_key: str, api_secret: str
) -> bytes:
    """Return the bytes of one signed request; it may be sent within a minute."""
    query = urlencode({**values, "recvWindow": 60_000, "timestamp": int(time.time() * 1_000)})
    signature = hmac.digest(api_secret.encode(), query.encode(), hashlib.sha256).hex()
    return (
        f"{method} {path}?{query}&signature={signature} HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\nX-MBX-APIKEY: {api_key}\r\nAccept: */*\r\n\r\n"
    ).encode()


class _Client(asyncio.Protocol):
    """One connection that sends what `requests` yields."""

    def __init__(
        self, requests: Iterator[bytes], latencies_ms: list[float], done: asyncio.Future[None]
    ) -> None:
        self._requests = requests
        self._latencies_ms = latencies_ms
        self._done = done
        self._sent: list[float] = []
        self._buffer = b""
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server hung up"))

    def send(self, count: int) -> None:
        """Send the next requests, end when there are none and all are answered."""
        batch = [request for _, request in zip(range(count), self._requests, strict=False)]
        if batch:
            self._sent += [time.perf_counter()] * len(batch)
            self._transport.write(b"".join(batch))
        elif not self._sent and not self._done.done():
            self._done.set_result(None)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        answered = at = 0
        while (head_end := buffer.find(b"\r\n\r\n", at)) >= 0:
            length_at = buffer.find(b"Content-Length: ", at, head_end) + 16
            length_end = buffer.find(b"\r\n", length_at)
            end = head_end + 4 + int(buffer[length_at:length_end])
            if end > len(buffer):
                break
            if not buffer.startswith(b"HTTP/1.1 200", at):
                self.refused += 1
            at, answered = end, answered + 1
        self._buffer = buffer[at:]
        now = time.perf_counter()
        self._latencies_ms += [(now - sent) * 1_000 for sent in self._sent[:answered]]
        del self._sent[:answered]
        if answered:
            self.send(answered)


def _itself(client: _Client) -> _Client:
    return client


async def load(
    port: int, requests: Sequence[bytes], *, connections: int = 32, depth: int = 1
) -> Load:
    """Send all requests over `connections`, each with `depth` on their way, and measure."""
    loop = asyncio.get_running_loop()
    latencies_ms: list[float] = []
    waiting = iter(requests)
    clients: list[_Client] = []
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        done = loop.create_future()
        client = _Client(waiting, latencies_ms, done)
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
        clients.append(client)
        ends.append(done)
    began = time.perf_counter()
    for client in clients:
        client.send(depth)
    await asyncio.gather(*ends)
    seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return Load(
        requests=len(requests),
        seconds=seconds,
        latencies_ms=sorted(latencies_ms),
        refused=sum(client.refused for client in clients),
    )

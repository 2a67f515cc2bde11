"""The short way for ordinary requests: HTTP/1.1 on a raw connection, answers written in groups.

Knows how a plain request with a known length is framed. Whatever is less plain (an upgrade, a
chunked body, another version, a connection to be closed, bytes that are no HTTP) goes with its
whole connection to the fallback, a complete HTTP server. Must not know what a request means.

All requests that arrive in one turn of the event loop are answered together: what they did is
committed once, then the answers are written. Nothing is acknowledged before it is durable.

Source: RFC 9112 §2, §3, §6, §9.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, cast

from trader_cli.clock import Clock
from trader_cli.paper.api.exchange import Exchange
from trader_cli.paper.api.faults import DROPPED
from trader_cli.paper.protocol.messages import HttpRequest, HttpResponse
from trader_cli.paper.serving.gathering import GatheringTransport

_HEAD_BYTES_MAX: Final = 32_768
_BODY_BYTES_MAX: Final = 1 << 20
_LENGTH_DIGITS_MAX: Final = 9
_UNUSUAL: Final = frozenset({"upgrade", "transfer-encoding", "expect", "content-encoding", "te"})
_JSON: Final = "\r\nContent-Type: application/json"
_VERSION: Final = b" HTTP/1.1"
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}


class NotPlain(Exception):
    """A request that the fallback has to read."""


@dataclass(slots=True)
class Call:
    """Method and path, and the bytes they begin a request with up to its query."""

    start: bytes
    method: str
    path: str


@dataclass(slots=True)
class Head:
    """The header block of a request; a client repeats it from request to request."""

    raw: bytes
    fields: dict[str, str]
    body_bytes: int


class Answers:
    """The answers of one turn of the loop: committed together, then written."""

    def __init__(self, exchange: Exchange, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._clock = clock
        self._loop = loop
        self._waiting: dict[asyncio.Transport, list[bytes]] = {}
        self._second = 0
        self._starts: dict[int, str] = {}

    def expect(self) -> None:
        """Note that requests are about to be carried out in this turn."""
        if not self._waiting:
            self._loop.call_soon(self.write)

    def add(self, transport: asyncio.Transport, response: HttpResponse) -> None:
        """Let an answer go out with the others."""
        self._waiting.setdefault(transport, []).append(self._render(response))

    def write(self) -> None:
        """Commit what was done, then tell it."""
        waiting, self._waiting = self._waiting, {}
        try:
            self._exchange.commit()
        except BaseException:
            # What is not durable is not acknowledged: these clients have to ask again.
            for transport in waiting:
                transport.abort()
            raise
        for transport, parts in waiting.items():
            if not transport.is_closing():
                transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def _render(self, response: HttpResponse) -> bytes:
        headers, body = response.headers, response.body
        lines = "\r\n".join(map(": ".join, headers.items()))
        if "Content-Type" not in headers:
            lines += _JSON if lines else _JSON.lstrip()
        start = self._start(response.status)
        return f"{start}Content-Length: {len(body)}\r\n{lines}\r\n\r\n".encode("latin-1") + body

    def _start(self, status: int) -> str:
        """Return status line and date, which answers of one second share."""
        second = self._clock.now_ms() // 1_000
        if self._second != second:
            self._second = second
            self._starts.clear()
        start = self._starts.get(status)
        if start is None:
            date, phrase = formatdate(second, usegmt=True), _PHRASES.get(status, "Unknown")
            start = self._starts[status] = f"HTTP/1.1 {status} {phrase}\r\nDate: {date}\r\n"
        return start


class FrontDoor(asyncio.Protocol):
    """One connection of a client."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        answers: Answers,
        fallback: Callable[[], asyncio.Protocol],
        open_doors: set[FrontDoor],
    ) -> None:
        """Await a connection.

        Args:
            fallback: makes the handler that takes over a connection which is not plain.
            open_doors: kept up to date with the connections that are open here.
        """
        self._exchange = exchange
        self._clock = clock
        self._answers = answers
        self._fallback = fallback
        self._open_doors = open_doors
        self._buffer = b""
        self._head = Head(b"", {}, 0)
        self._call = Call(b"", "", "")
        self._held = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._open_doors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_doors.discard(self)

    def pause_writing(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._held:
            self._serve()

    def close(self) -> None:
        """End the connection; what was answered still goes out."""
        self._transport.close()

    def _serve(self) -> None:
        """Carry out the requests that are complete."""
        try:
            while self._buffer and not self._held:
                request = self._take()
                if request is None:
                    return
                self._delay_or_handle(request)
        except NotPlain:
            self._hand_over()

    def _delay_or_handle(self, request: HttpRequest) -> None:
        """Carry out a request, after its way if it has one; those behind it wait their turn."""
        way_s = self._exchange.latency_s(request.method, request.path)
        if way_s:
            self._held = True
            asyncio.get_running_loop().call_later(way_s, self._arrive, request)
        else:
            self._handle(request)

    def _arrive(self, request: HttpRequest) -> None:
        self._held = False
        self._handle(request)
        self._serve()

    def _handle(self, request: HttpRequest) -> None:
        self._answers.expect()
        self._answer(self._exchange.handle(request, self._clock.now_ms()))

    def _take(self) -> HttpRequest | None:
        """Cut the first request off the buffer; None if it is not complete yet."""
        data = self._buffer
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _HEAD_BYTES_MAX:
                raise NotPlain
            return None
        first = data.find(b"\r\n", 0, end + 2)
        raw = data[first : end + 2]
        if raw != self._head.raw:
            self._head = read_head(raw)
        body_at = end + 4
        after = body_at + self._head.body_bytes
        if len(data) < after:
            return None
        call = self._call
        query = _query_of(call, data[:first])
        if query is None:
            line = data[:first]
            method, path, query = read_first_line(line)
            call = self._call = Call(line[: line.find(b"?") + 1], method, path)
        self._buffer = data[after:]
        return HttpRequest(
            method=call.method,
            path=call.path,
            raw_query=query,
            headers=self._head.fields,
            raw_body=data[body_at:after],
            peer=self._peer,
        )

    def _answer(self, response: HttpResponse) -> None:
        if response.delay_ms:
            self._held = True
            loop = asyncio.get_running_loop()
            loop.call_later(response.delay_ms / 1_000, self._answer_late, response)
        elif response.status == DROPPED:
            self._answers.write()
            self._transport.abort()
            self._held = True
        else:
            self._answers.add(self._transport, response)

    def _answer_late(self, response: HttpResponse) -> None:
        if self._transport.is_closing():
            return
        self._held = False
        self._answers.expect()
        self._answer(HttpResponse(response.status, response.headers, response.body))
        self._serve()

    def _hand_over(self) -> None:
        """Let the fallback have the connection from the present request on."""
        self._answers.write()
        self._open_doors.discard(self)
        handler = self._fallback()
        self._transport.set_protocol(handler)
        handler.connection_made(GatheringTransport(self._transport, self._exchange.commit))
        if self._paused:
            # That the client reads slowly is the handler's to know from now on.
            handler.pause_writing()
            self._transport.resume_reading()
        data, self._buffer = self._buffer, b""
        handler.data_received(data)


def _query_of(call: Call, line: bytes) -> str | None:
    """Return the raw query of a first line that is this call again, None if it may not be."""
    start = call.start
    if start and line.startswith(start) and line.endswith(_VERSION):
        query = line[len(start) : -len(_VERSION)].decode("latin-1")
        if " " not in query:
            return query
    return None


def read_first_line(line: bytes) -> tuple[str, str, str]:
    """Return method, path and raw query.

    Raises:
        NotPlain: not an origin-form request of HTTP/1.1, or one whose answer has no body.
    """
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not words[1].startswith("/"):
        raise NotPlain
    if words[0] == "HEAD":
        raise NotPlain
    path, _, query = words[1].partition("?")
    return words[0], path, query


def read_head(raw: bytes) -> Head:
    r"""Return the header block that begins and ends with `\r\n`.

    Raises:
        NotPlain: it asks for more than one request and one answer of known length.
    """
    fields: dict[str, str] = {}
    for line in raw[2:-2].decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or name in fields:
            raise NotPlain
        fields[name] = value.strip()
    if not _UNUSUAL.isdisjoint(fields):
        raise NotPlain
    if fields.get("connection", "keep-alive").lower() != "keep-alive":
        raise NotPlain
    length = fields.get("content-length", "0")
    if len(length) > _LENGTH_DIGITS_MAX or not (length.isascii() and length.isdigit()):
        raise NotPlain
    if int(length) > _BODY_BYTES_MAX:
        raise NotPlain
    return Head(raw, fields, int(length))

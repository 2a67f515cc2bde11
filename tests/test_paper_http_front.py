"""How requests are framed on the raw connection, and what is left to the complete HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.support.paper import (
    KEYS,
    PaperPort,
    PaperVenue,
    RealClock,
    SteadyMarket,
    paper_server,
)
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.serving.http_front import NotPlain, read_first_line, read_head

TIME = b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n"
PING = b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[PaperPort]:
    async with paper_server() as served:
        yield served


class Line:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: PaperPort) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port.port))

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def head(self) -> str:
        """Return the next answer's first line and headers."""
        async with asyncio.timeout(30):
            return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return the next answer's status, headers and body."""
        head = await self.head()
        async with asyncio.timeout(30):
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (x.split(": ", 1) for x in lines)}
            body = await self._reader.readexactly(int(headers["content-length"]))
        return int(first.split(" ")[1]), headers, body

    async def ended(self) -> bool:
        """Return True if the server ends the connection without another byte."""
        async with asyncio.timeout(30):
            try:
                return await self._reader.read() == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self._writer.close()


async def test_requests_sent_at_once_are_answered_in_their_order(port: PaperPort) -> None:
    line = await Line.open(port)
    line.send(PING + TIME + PING)

    answers = [await line.answer() for _ in range(3)]
    await line.close()

    assert [status for status, _, _ in answers] == [200, 200, 200]
    assert [b"serverTime" in body for _, _, body in answers] == [False, True, False]
    assert answers[0][1]["content-type"] == "application/json"
    assert {"date", "x-mbx-used-weight-1m"} <= answers[0][1].keys()


async def test_a_call_repeated_is_read_with_its_own_query(port: PaperPort) -> None:
    """What a request begins with is remembered; what follows is not."""
    line = await Line.open(port)
    call = "GET /fapi/v1/depth?symbol=BTCUSDT"
    for end in ("&limit=10", "&limit=5", ""):
        line.send(f"{call}{end} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    bodies = [json.loads((await line.answer())[2]) for _ in range(3)]
    line.send(f"{call} &limit=5 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, _, _ = await line.answer()
    await line.close()

    assert [len(body["bids"]) for body in bodies[:2]] == [10, 5]
    assert len(bodies[2]["bids"]) > 10
    assert status == 400


async def test_a_request_in_pieces_is_answered_when_it_is_whole(port: PaperPort) -> None:
    line = await Line.open(port)
    request = (
        b"POST /fapi/v1/listenKey HTTP/1.1\r\nHost: x\r\n"
        b"X-MBX-APIKEY: " + KEYS.api_key.encode() + b"\r\nContent-Length: 3\r\n\r\na=1"
    )
    for i in range(0, len(request), 7):
        line.send(request[i : i + 7])
        await asyncio.sleep(0)

    status, _, body = await line.answer()
    await line.close()

    assert (status, b"listenKey" in body) == (200, True)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /fapi/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /fapi/v1/ping HTTP/1.0\r\n\r\n",
        b"POST /fapi/v1/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_plain_is_answered_too_behind_what_was(
    port: PaperPort, request_: bytes
) -> None:
    line = await Line.open(port)
    line.send(TIME + request_)

    first, second = await line.answer(), await line.answer()
    await line.close()

    assert b"serverTime" in first[2]
    assert second[0] in (200, 404)
    assert second[1]["content-type"].startswith("application/json")


async def test_a_question_for_the_head_alone_is_answered_without_a_body(port: PaperPort) -> None:
    line = await Line.open(port)
    line.send(PING.replace(b"GET", b"HEAD"))

    head = await line.head()
    line.send(TIME)
    _, _, body = await line.answer()
    await line.close()

    assert head.startswith("HTTP/1.1 404 ")
    assert b"serverTime" in body


async def test_who_reads_late_is_heard_again_when_another_handler_has_taken_over() -> None:
    """The answers before do not fit the way to the client when the handler changes."""
    unlimited = ExchangeSettings(rate_limits=RateLimitSettings(enabled=False))
    clock = RealClock()
    market = SteadyMarket(now_ms=clock.now_ms())
    paper = PaperVenue(clock=clock, market=market, settings=unlimited)
    async with paper_server(paper) as port:
        line = await Line.open(port)
        deep = b"GET /fapi/v1/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
        line.send(deep * 300 + TIME.replace(b"Host: x", b"Host: x\r\nTE: trailers"))

        answers = [await line.answer() for _ in range(301)]
        line.send(TIME)
        _, _, last = await line.answer()
        await line.close()

    assert sum(len(body) for _, _, body in answers) > 5_000_000
    assert b"serverTime" in last


async def test_bytes_that_are_no_http_are_refused(port: PaperPort) -> None:
    line = await Line.open(port)
    line.send(b"\x16\x03\x01 hello\r\n\r\n")

    status, _, _ = await line.answer()
    await line.close()

    assert status == 400


async def test_a_dropped_answer_ends_the_connection_behind_the_answers_before(
    port: PaperPort,
) -> None:
    port.paper.exchange.faults.arm(FaultKind.DROPPED, path="/fapi/v1/time")
    line = await Line.open(port)
    line.send(PING + TIME + PING)

    assert (await line.answer())[0] == 200
    assert await line.ended()
    await line.close()

    again = await Line.open(port)
    again.send(TIME)
    assert (await again.answer())[0] == 200
    await again.close()


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_a_web_page_where_json_was_due_says_that_it_is_one(
    port: PaperPort, more: bytes
) -> None:
    port.paper.exchange.faults.arm(FaultKind.HTML, path="/fapi/v1/time")
    line = await Line.open(port)
    line.send(b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")

    status, headers, body = await line.answer()
    await line.close()

    assert (status, headers["content-type"]) == (502, "text/html")
    assert body.startswith(b"<html>")


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\nUpgrade: websocket\r\n",
        b"\r\nTransfer-Encoding: chunked\r\n",
        b"\r\nExpect: 100-continue\r\n",
        b"\r\nConnection: close\r\n",
        b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"\r\nContent-Length: +1\r\n",
        b"\r\nContent-Length: 1048577\r\n",
        b"\r\nContent-Length: " + b"0" * 5_000 + b"\r\n",
        b"\r\nno colon\r\n",
        b"\r\n folded: yes\r\n",
        b"\r\nName : value\r\n",
    ],
)
def test_heads_that_could_be_read_in_two_ways_are_not_plain(raw: bytes) -> None:
    with pytest.raises(NotPlain):
        read_head(raw)


def test_a_plain_head_is_read_with_names_in_lower_case() -> None:
    head = read_head(b"\r\nHost: x\r\nContent-Length: 1048576\r\nConnection: Keep-Alive\r\n")

    assert (head.fields["host"], head.body_bytes) == ("x", 1_048_576)


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://x/ HTTP/1.1",
        b"GET / HTTP/2",
        b"GET /",
        b"GET / b HTTP/1.1",
        b"HEAD / HTTP/1.1",
        b"",
    ],
)
def test_first_lines_of_another_form_are_not_plain(line: bytes) -> None:
    with pytest.raises(NotPlain):
        read_first_line(line)


def test_a_first_line_keeps_path_and_query_as_sent() -> None:
    assert read_first_line(b"PUT /a%20b?c=%2B&d HTTP/1.1") == ("PUT", "/a%20b", "c=%2B&d")

"""What a stream's client hears, whether it reads or not: over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from trader_cli.paper.serving.socket_sink import SocketSink, text_frame

Talk = Callable[[SocketSink, asyncio.Transport], Awaitable[None]]


@asynccontextmanager
async def heard(talk: Talk) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect a client to a server that lets `talk` use its sink, then closes with 1000."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(compress=False)
        await socket_.prepare(request)
        sink = SocketSink(socket_, request)
        assert request.transport is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sink.write())
            await talk(sink, request.transport)
            sink.close(1000, "done")
        return socket_

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [(_, port)] = [address[:2] for address in runner.addresses]
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/", max_msg_size=1 << 22) as client,
        ):
            yield client
    finally:
        await runner.cleanup()


async def everything(client: aiohttp.ClientWebSocketResponse) -> list[str]:
    return [message.data async for message in client if message.type is WSMsgType.TEXT]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
async def test_a_message_of_any_length_arrives_whole(length: int) -> None:
    sent = ["é" + "x" * (length - 2) if length > 1 else "x" * length, "and the next"]

    async def talk(sink: SocketSink, _transport: asyncio.Transport) -> None:
        for text in sent:
            sink.send(text, droppable=False)

    async with heard(talk) as client:
        assert await everything(client) == sent
        assert client.close_code == 1000


async def test_a_reader_who_pauses_hears_every_user_event_in_order() -> None:
    reads, unsent = asyncio.Event(), 0

    async def talk(sink: SocketSink, transport: asyncio.Transport) -> None:
        nonlocal unsent
        for number in range(4_000):
            sink.send(f"{number} {'x' * 4_000}", droppable=False)
        for _ in range(500):
            await asyncio.sleep(0)
        unsent = transport.get_write_buffer_size()
        reads.set()

    async with heard(talk) as client:
        await reads.wait()
        numbers = [int(text.split()[0]) for text in await everything(client)]

    assert numbers == list(range(4_000))
    assert 0 < unsent < 1 << 20, "what is not read waits in the sink, where it can be counted"


async def test_a_reader_who_pauses_loses_market_data_first() -> None:
    async def talk(sink: SocketSink, _transport: asyncio.Transport) -> None:
        for number in range(3_000):
            sink.send(f"market {number}", droppable=True)
        sink.send("user", droppable=False)

    async with heard(talk) as client:
        told = await everything(client)

    assert told == [*(f"market {number}" for number in range(2_000)), "user"]


async def test_a_reader_who_never_reads_is_disconnected() -> None:
    ended = False

    async def talk(sink: SocketSink, transport: asyncio.Transport) -> None:
        nonlocal ended
        text = "x" * 2_000
        for _ in range(220):
            for _ in range(1_000):
                sink.send(text, droppable=False)
            await asyncio.sleep(0)
        ended = transport.is_closing()
        done.set()

    done = asyncio.Event()
    async with heard(talk):
        await done.wait()

    assert ended


async def test_a_frame_says_how_long_it_is() -> None:
    assert text_frame("") == b"\x81\x00"
    assert text_frame("x" * 125)[:2] == b"\x81\x7d"
    assert text_frame("x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert text_frame("x" * 65_535)[:4] == b"\x81\x7e\xff\xff"
    assert text_frame("x" * 65_536)[:10] == b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"

"""What a burst of user events costs and that none is lost: part of `tests.benchmarks.orders`.

A process of its own sends ORDER_TRADE_UPDATEs at full speed over a real WebSocket on loopback.
Ours is the user stream into its queue, then also the order tracker with a journal and the
account mirror; the bare program is aiohttp's WebSocket, orjson and a dict. Each is charged its own
processor time. A consumer that sleeps two seconds first shows what waits for it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from trader_cli.clock import SystemClock
from trader_cli.domain.account_events import OrderUpdated, StreamGap
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import UserStream
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.order_tracker import OrderTracker

EVENTS: Final = 10_000
ROUNDS: Final = 3
SLOW_S: Final = 2.0
_WEBSOCKET_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Take = Callable[[OrderUpdated], None]


class Keys:
    """Any listen key will do."""

    async def create_listen_key(self) -> str:
        return "L"

    async def keep_alive_listen_key(self) -> str:
        return "L"


def order_event(number: int) -> bytes:
    """Return one execution of a resting order of somebody's, as the venue words it in 2026."""
    moment = 1_790_000_000_000 + number
    order = {
        "s": "BTCUSDT", "c": f"web_{number // 4:016}", "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "0.400", "p": f"{60_000 + number % 997 / 10:.2f}", "ap": "60001.10", "sp": "0",
        "x": "TRADE", "X": "FILLED" if number % 4 == 3 else "PARTIALLY_FILLED",
        "i": 40_000_000_000 + number // 4, "l": "0.100", "z": f"0.{number % 4 + 1}00",
        "L": f"{60_000 + number % 997 / 10:.2f}", "n": "1.20003320", "N": "USDT", "T": moment,
        "t": 5_000_000_000 + number, "b": "24000.5", "a": "0", "m": True, "R": False,
        "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "0", "pP": False,
        "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0, "er": "0",
    }  # fmt: skip
    return orjson.dumps({"e": "ORDER_TRADE_UPDATE", "E": moment + 1, "T": moment, "o": order})


def frame(payload: bytes) -> bytes:
    """Return an unmasked text frame of 126 to 65,535 bytes."""
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


async def serve() -> None:
    """Send the burst to whoever connects, until standard input ends."""
    burst = b"".join(frame(order_event(number)) for number in range(EVENTS))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        key = next(row[18:].strip() for row in head if row[:18].lower() == b"sec-websocket-key:")
        accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_MAGIC).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + burst
        )
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Run the sender as a process of its own and yield its origin."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.burst"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None, "it was asked for"
    assert process.stdout is not None, "it was asked for"
    try:
        yield f"ws://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.stdin.close()
        await process.wait()


async def bare(origin: str) -> float:
    """Return the processor seconds of receiving, parsing and keeping the newest of each order."""
    orders: dict[int, object] = {}
    async with aiohttp.ClientSession() as session, session.ws_connect(origin) as socket:
        began, number = time.process_time(), 0
        while number < EVENTS:
            order = orjson.loads((await socket.receive()).data)["o"]
            orders[order["i"]] = order
            number += 1
        return time.process_time() - began


async def ours(origin: str, take: Take | None, *, slow_s: float = 0.0) -> float:
    """Return the processor seconds; stop the benchmark if anything is lost or out of order."""
    numbers: list[int] = []
    stream = UserStream(Keys(), origin, clock=SystemClock())
    began = time.process_time()
    async with aclosing(stream.events()) as events:
        async for event in events:
            assert not isinstance(event, StreamGap), event
            if not isinstance(event, OrderUpdated):
                began = time.process_time()
                await asyncio.sleep(slow_s)
                continue
            if take is not None:
                take(event)
            assert event.fill is not None, "all of them are executions"
            numbers.append(event.fill.trade_id)
            if len(numbers) == EVENTS:
                break
        spent_s = time.process_time() - began
    assert numbers == list(range(5_000_000_000, 5_000_000_000 + EVENTS)), "lost or out of order"
    return spent_s


async def measure(folder: Path) -> None:
    clock = SystemClock()
    journal = Journal.open(folder / "burst.db", clock)
    client = BinanceFuturesClient(rest_url="http://127.0.0.1:9")
    tracker = OrderTracker(client, journal=journal, clock=clock, recv_window_ms=5_000)
    mirror = AccountMirror()

    def take(event: OrderUpdated) -> None:
        mirror.apply(event)
        tracker.observe(event)

    async with serving() as origin:
        limits, streams, wholes = [], [], []
        for _ in range(ROUNDS):
            limits.append(await bare(origin))
            streams.append(await ours(origin, None))
            wholes.append(await ours(origin, take))
        for name, spent in (("queue", streams), ("queue, mirror and tracker", wholes)):
            ratio = min(spent) / min(limits)
            print(
                f"burst of {EVENTS}, {name}: 0 lost, in order, {min(spent) / EVENTS * 1e6:.1f} µs "
                f"of processor each, bare {min(limits) / EVENTS * 1e6:.1f}, x{ratio:.2f}"
            )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await ours(origin, None, slow_s=SLOW_S)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(
            f"burst of {EVENTS}, consumer asleep for {SLOW_S:.0f} s: 0 lost, in order, "
            f"memory +{grown_kib / 1024:.1f} MiB"
        )
    journal.close()


if __name__ == "__main__":
    asyncio.run(serve())

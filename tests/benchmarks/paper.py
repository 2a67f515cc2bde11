"""How fast the embedded exchange is, each figure beside a bare program in the same run.

    python -m tests.benchmarks.paper            everything, about two minutes
    python -m tests.benchmarks.paper http ws    only these: process, replay, http, ws, history

Rate limits and the limit of open orders are switched off. The server is a process of its own with
its file state; the load generator is the other process. Absolute figures depend on the machine,
ratios hope not to.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.benchmarks.history import write_history
from tests.benchmarks.load import Load, load, signed_request
from tests.benchmarks.served import KEYS
from tests.benchmarks.venue import (
    desk_orders,
    limit_program,
    recorded_days,
    replayed_ticks,
    tick_limit_program,
    venue_limits,
    venue_markets,
)
from trader_cli.paper.serving.server import _GC_THRESHOLDS

ORDER = "/fapi/v1/order"
_PAIR = {"api_key": KEYS.api_key, "api_secret": KEYS.api_secret}
_FILLS = 1_000_000
_RESTING = 10_000
_CONNECTIONS = 32


@dataclass
class Server:
    """A measured server: its port and its memory."""

    port: int
    process: subprocess.Popen[bytes]
    start_s: float

    def cpu_s(self) -> tuple[float, float]:
        """Return the processor time of its first thread, and of all its threads together.

        Other programs' load changes it less than what is done in a second.
        """
        tasks = Path(f"/proc/{self.process.pid}/task")
        used = {
            task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
            for task in tasks.iterdir()
        }
        return used[str(self.process.pid)], sum(used.values())

    def memory_mib(self) -> float:
        """Return its resident memory, MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1_024
        return 0.0


@contextmanager
def served(*words: str) -> Iterator[Server]:
    """Run a server until the block ends."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.served", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None, "asked for"
        assert process.stdout is not None, "asked for"
        port = int(process.stdout.readline())
        yield Server(port, process, time.perf_counter() - began)
        process.stdin.close()


def say(name: str, figure: str, beside: str = "") -> None:
    print(f"{name:<58} {figure:>16}  {beside}", flush=True)


def markets(count: int) -> list[bytes]:
    order = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.002"}
    sides = ("BUY", "SELL")
    return [
        signed_request("POST", ORDER, {**order, "side": sides[i % 2]}, **_PAIR)
        for i in range(count)
    ]


def limits(count: int, price: str = "91000") -> list[bytes]:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    values = {**order, "quantity": "0.002", "price": price}
    return [signed_request("POST", ORDER, values, **_PAIR) for _ in range(count)]


def run_load(server: Server, requests: list[bytes], *, connections: int, depth: int) -> Load:
    result = asyncio.run(load(server.port, requests, connections=connections, depth=depth))
    assert result.refused == 0, f"{result.refused} of {result.requests} were refused"
    return result


def collect_as_the_server() -> None:
    """Collect garbage as seldom as the server's process does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def side_by_side(measure: Callable[..., float]) -> tuple[float, float]:
    """Return the best rates with few and with many resting orders, measured in turn."""
    pairs = [(measure(resting=10), measure(resting=_RESTING)) for _ in range(5)]
    return max(few for few, _ in pairs), max(many for _, many in pairs)


def in_process() -> None:
    collect_as_the_server()
    bare = limit_program()
    say("bare: a slotted record in and out of a dict", f"{bare:,.0f}/s")
    rows: list[tuple[str, Callable[[], float]]] = [
        ("limit orders, from a wish to full accounting", lambda: desk_orders("LIMIT")),
        ("market orders filled, from a wish to full accounting", lambda: desk_orders("MARKET")),
        ("limit orders and cancels, from parameters to answer", venue_limits),
        ("market orders filled, from parameters to answer", venue_markets),
        ("the same with every event rendered", lambda: venue_markets(heard=True)),
    ]
    for name, measure in rows:
        rate = max(measure() for _ in range(3))
        say(name, f"{rate:,.0f}/s", f"1/{bare / rate:.1f} of bare")
    few, many = side_by_side(venue_limits)
    say("cost of an order with 10,000 resting over 10", f"{few / many:.2f}×")


def in_replay() -> None:
    collect_as_the_server()
    bare = tick_limit_program()
    say("bare: two comparisons a tick", f"{bare:,.0f}/s")
    idle = max(replayed_ticks(resting=0) for _ in range(3))
    say("market events through the venue, nothing at stake", f"{idle:,.0f}/s")
    few, many = side_by_side(replayed_ticks)
    say("with 10 resting orders", f"{few:,.0f}/s", f"1/{bare / few:.1f} of bare")
    say("with 10,000 resting orders", f"{many:,.0f}/s", f"{few / many:.2f}× the cost")
    held = max(replayed_ticks(resting=10, position=True) for _ in range(3))
    say("with 10 resting orders and a position", f"{held:,.0f}/s", f"1/{bare / held:.1f} of bare")
    for name, words in (
        ("three recorded days of two symbols, in one go", {}),
        ("the same, a minute at a time", {"step_ms": 60_000}),
        ("the same in one go, somebody listening to every tick", {"heard": True}),
    ):
        seconds, rate = min(recorded_days(**words) for _ in range(3))
        say(name, f"{rate:,.0f}/s", f"{seconds:.2f} s")


def over_http() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        served("bare") as bare,
        served("exchange", folder) as exchange,
    ):
        for name, make in (("limit", limits), ("market", markets)):
            for depth in (1, 8):
                _show_throughput(name, make, bare, exchange, depth)
        for name, make in (("limit", limits), ("market", markets)):
            ours = run_load(exchange, make(1_000), connections=1, depth=1)
            beside = run_load(bare, make(1_000), connections=1, depth=1)
            say(
                f"{name} order, one connection, one in flight",
                f"{ours.percentile_ms(50):.2f} ms p50",
                f"p99 {ours.percentile_ms(99):.2f} ms; bare "
                f"{beside.percentile_ms(50):.2f} and {beside.percentile_ms(99):.2f} ms",
            )


def _show_throughput(
    name: str, make: Callable[[int], list[bytes]], bare: Server, exchange: Server, depth: int
) -> None:
    beside = run_load(bare, make(20_000), connections=_CONNECTIONS, depth=depth).per_second
    first_s, all_s = exchange.cpu_s()
    ours = run_load(exchange, make(12_000), connections=_CONNECTIONS, depth=depth)
    first_us, all_us = (
        (after_s - before_s) / ours.requests * 1e6
        for after_s, before_s in zip(exchange.cpu_s(), (first_s, all_s), strict=True)
    )
    say(
        f"{name} orders, {_CONNECTIONS} connections, {depth} in flight on each",
        f"{ours.per_second:,.0f}/s",
        f"p50 {ours.percentile_ms(50):.1f} p99 {ours.percentile_ms(99):.1f} ms,"
        f" {all_us:.0f} µs of processor each, {first_us:.0f} of the thread that answers,"
        f" 1/{beside / ours.per_second:.1f} of bare {beside:,.0f}/s",
    )


async def _events_heard(port: int, orders: list[bytes]) -> tuple[int, float, float]:
    """Return events heard, seconds, and orders/s, while a load of orders runs."""
    origin = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": KEYS.api_key}) as session:
        async with session.post(f"{origin}/fapi/v1/listenKey") as answer:
            key = (await answer.json())["listenKey"]
        async with session.ws_connect(f"{origin}/private/ws?listenKey={key}") as socket:
            began = time.perf_counter()
            loading = asyncio.create_task(load(port, orders, connections=8, depth=8))
            for _ in range(4 * len(orders)):
                await socket.receive()
            seconds = time.perf_counter() - began
            done = await loading
    return 4 * len(orders), seconds, done.per_second


def over_websocket() -> None:
    with tempfile.TemporaryDirectory() as folder, served("exchange", folder) as exchange:
        count, seconds, rate = asyncio.run(_events_heard(exchange.port, markets(6_000)))
        say(
            "user events heard by one client while orders fill",
            f"{count / seconds:,.0f}/s",
            f"every one of {count:,}, beside {rate:,.0f} orders/s",
        )


def with_history() -> None:
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as full:
        seconds = write_history(Path(full) / "state.sqlite", _FILLS)
        size = os.path.getsize(Path(full) / "state.sqlite") / (1 << 20)
        say("a history of 1,000,000 fills", f"{size:,.0f} MiB", f"written in {seconds:.0f} s")
        with served("exchange", empty) as young, served("exchange", full) as old:
            say(
                "start with 1,000,000 fills", f"{old.start_s:.2f} s", f"empty {young.start_s:.2f} s"
            )
            pairs: list[tuple[float, float]] = []
            for make in (markets, limits, markets, limits):
                few = run_load(young, make(4_000), connections=8, depth=8).per_second
                many = run_load(old, make(4_000), connections=8, depth=8).per_second
                pairs.append((few, many))
            ratio = sorted(few / many for few, many in pairs)[len(pairs) // 2]
            say("cost of an order with 1,000,000 fills over none", f"{ratio:.2f}×")
            run_load(old, limits(_RESTING), connections=8, depth=8)
            resting = run_load(old, markets(4_000), connections=8, depth=8).per_second
            empty_rate = run_load(young, markets(4_000), connections=8, depth=8).per_second
            say("and with 10,000 resting besides", f"{empty_rate / resting:.2f}×")
            say(
                "memory with both",
                f"{old.memory_mib():.0f} MiB",
                f"with neither {young.memory_mib():.0f} MiB",
            )


SECTIONS: dict[str, Callable[[], None]] = {
    "process": in_process,
    "replay": in_replay,
    "http": over_http,
    "ws": over_websocket,
    "history": with_history,
}


def main(words: list[str]) -> None:
    for name in words or SECTIONS:
        print(f"-- {name}", flush=True)
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])

"""The servers that are measured, each as a process of its own: the exchange, and a bare limit.

`python -m tests.benchmarks.served exchange FOLDER` runs the embedded exchange with its file state
and without rate and open-order limits; `… bare` answers every request with one fixed body and does
nothing else. Both print their port and end with their standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import socket
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import cast

from trader_cli.clock import SystemClock
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import Exchange, ExchangeSettings
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.serving.premises import bind_loopback
from trader_cli.paper.serving.server import serve_until_stopped
from trader_cli.paper.state.state_file import FileState
from trader_cli.paper.venue.venue import Venue, VenueSettings

KEYS = KeyPair(api_key="b" * 64, api_secret="s" * 64)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_ANSWER = b'{"orderId":1}' + b" " * 480


def serve_exchange(folder: Path) -> None:
    """Serve until standard input ends."""
    clock = SystemClock()
    contracts = {symbol: CONTRACTS[symbol] for symbol in SYMBOLS}
    market = SyntheticMarket(seed=7, birth_ms=clock.now_ms(), contracts=contracts)
    state = FileState(folder / "state.sqlite")
    settings = VenueSettings(
        initial_balance=Decimal(10**9), open_order_limits=False, group_commit=True
    )
    exchange = Exchange(
        routes=ROUTES,
        venue=Venue(contracts, market, state, settings, clock.now_ms()),
        market=market,
        keys=KEYS,
        new_key=lambda: "l" * 64,
        started_ms=clock.now_ms(),
        settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)),
        contracts=contracts,
    )
    listener = bind_loopback(None)
    _end_with_input(lambda: setattr(exchange, "stop_requested", True))

    def announce() -> None:
        print(listener.getsockname()[1], flush=True)

    with _profiled():
        asyncio.run(serve_until_stopped(exchange, listener, clock, on_ready=announce))
    state.close()


class _Bare(asyncio.Protocol):
    """Answers each complete request with the same bytes."""

    def __init__(self) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_ANSWER)}\r\n\r\n".encode()
        self._answer = head + _ANSWER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer * data.count(b"\r\n\r\n"))


async def _serve_bare(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    server = await loop.create_server(_Bare, sock=listener)
    _end_with_input(lambda: loop.call_soon_threadsafe(ended.set))
    print(listener.getsockname()[1], flush=True)
    await ended.wait()
    server.close()


def _end_with_input(end: object) -> None:
    def wait() -> None:
        sys.stdin.read()
        assert callable(end), "given by this module"
        end()

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _profiled() -> Iterator[None]:
    """Write a profile to the file that PROFILE names, if it names one."""
    target = os.environ.get("PROFILE")
    if target is None:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(target)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["exchange", folder]:
            serve_exchange(Path(folder))
        case ["bare"]:
            asyncio.run(_serve_bare(bind_loopback(None)))
        case _:
            sys.exit(__doc__)

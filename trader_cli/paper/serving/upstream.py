"""A mirrored market made ready: upstream reached, contracts agreed on, streams heard.

Composes `mirror` and `mirror_feed` for the server. Where the upstream cannot be reached
it says so and there is no exchange: no other market is put in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import aiohttp

from trader_cli.clock import Clock
from trader_cli.errors import NotSent, UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.markets.mirror import MirrorMarket
from trader_cli.paper.markets.mirror_feed import MirrorFeed
from trader_cli.paper.process import MarketKind, PaperOptions
from trader_cli.paper.serving.market_choice import Chosen, let_change
from trader_cli.paper.state.state import State
from trader_cli.wire.decode import decode_instrument

UPSTREAM_URL: Final = "https://fapi.binance.com"
UPSTREAM_STREAM_URL: Final = "wss://fstream.binance.com"
SYMBOLS_DEFAULT: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
_HEARD_WITHIN_S: Final = 12.0


@asynccontextmanager
async def mirrored(state: State, options: PaperOptions, machine: Clock) -> AsyncIterator[Chosen]:
    """Mirror an upstream for as long as the context is open.

    What the options leave open is as it was before, else Binance and the largest contracts.

    Raises:
        NotSent: the upstream cannot be reached.
        UsageError: a symbol has no contract here or is not traded there.
    """
    known = state.load_market() or {}
    known = known if known.get("kind") == MarketKind.MIRROR else {}
    rest_url = str(options.upstream_url or known.get("upstream") or UPSTREAM_URL)
    stream_url = str(
        options.upstream_stream_url
        or (None if options.upstream_url else known.get("upstream_stream"))
        or (_stream_origin(rest_url) if rest_url != UPSTREAM_URL else UPSTREAM_STREAM_URL)
    )
    symbols: Sequence[str] = options.symbols or known.get("mirrored") or SYMBOLS_DEFAULT
    note = {"upstream": rest_url, "upstream_stream": stream_url, "mirrored": list(symbols)}
    anew = bool(known) and any(known.get(name) != value for name, value in note.items())
    async with aiohttp.ClientSession() as session:
        feed = MirrorFeed(
            session, rest_url=rest_url, stream_url=stream_url, symbols=symbols, clock=machine
        )
        contracts = _contracts(symbols, await feed.exchange_info())
        market = MirrorMarket(machine.now_ms(), note=note)
        await feed.introduce(market)
        let_change(state, MarketKind.MIRROR, market.now_ms, anew=anew)
        connected = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            heard = tasks.create_task(feed.run(market, connected=connected))
            try:
                await _first_heard(connected, stream_url)
                yield Chosen(
                    market=market, contracts=contracts, clock=machine, speed=Decimal(1), facts={}
                )
            finally:
                heard.cancel()


async def _first_heard(connected: asyncio.Event, stream_url: str) -> None:
    try:
        async with asyncio.timeout(_HEARD_WITHIN_S):
            await connected.wait()
    except TimeoutError as error:
        raise NotSent(
            f"the streams of {stream_url} cannot be heard",
            advice="check the network; nothing else is put in its place",
        ) from error


def _stream_origin(rest_url: str) -> str:
    """Return the origin of the streams of a server that serves both in one place."""
    return "ws" + rest_url.removeprefix("http")


def _contracts(symbols: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Contract]:
    """Return our rows with the upstream's own filters."""
    there = {row["symbol"]: row for row in rows}
    for symbol in symbols:
        if symbol not in CONTRACTS:
            raise UsageError(f"{symbol} is no contract of the paper exchange")
        if symbol not in there:
            raise UsageError(f"{symbol} is not traded where it is to be mirrored from")
    return {
        symbol: replace(CONTRACTS[symbol], instrument=decode_instrument(there[symbol]))
        for symbol in symbols
    }

"""The server process put together: folder, memory, market, venue, exchange, socket.

Knows every part by name and none of their business. The composition root of
`python -m trader_cli.paper` and of `trader paper serve`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

from trader_cli.clock import Clock, SystemClock
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import Exchange, ExchangeSettings
from trader_cli.paper.markets.replay_clock import ReplayClock
from trader_cli.paper.process import MarketKind, PaperEndpoint, PaperOptions
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.serving.market_choice import Chosen, choose_market, kind_of
from trader_cli.paper.serving.premises import Premises, new_key
from trader_cli.paper.serving.server import serve_until_stopped
from trader_cli.paper.state.state import State
from trader_cli.paper.state.state_file import FileState
from trader_cli.paper.venue.venue import Venue, VenueSettings

STATE_FILE: Final = "state.sqlite"
BALANCE_DEFAULT: Final = Decimal(10_000)


def serve(
    home: Path,
    options: PaperOptions | None = None,
    *,
    on_ready: Callable[[PaperEndpoint], None] | None = None,
) -> None:
    """Run the exchange of `home` in this process until a signal or `stop` ends it.

    Args:
        on_ready: called once requests are answered.

    Raises:
        NotSent: another server holds the folder, there is no free port, or whom to mirror cannot
            be reached.
        UsageError: the market cannot be made from what was given.
    """
    clock = SystemClock()
    premises = Premises(home.absolute())
    os.chdir(premises.directory)  # hold no folder of the starter's
    state = FileState(premises.directory / STATE_FILE)
    try:
        asyncio.run(_serve(premises, state, options or PaperOptions(), clock, on_ready))
    finally:
        try:
            state.close()
        finally:
            premises.leave()


async def _serve(
    premises: Premises,
    state: State,
    options: PaperOptions,
    machine: Clock,
    on_ready: Callable[[PaperEndpoint], None] | None,
) -> None:
    keys = premises.keys()
    async with _market(state, options, machine) as chosen:
        exchange = build_exchange(chosen, state, options, keys)
        listener = premises.listener()

        def announce() -> None:
            endpoint = premises.announce(listener.getsockname()[1], keys)
            if on_ready is not None:
                on_ready(endpoint)

        await serve_until_stopped(exchange, listener, chosen.clock, on_ready=announce)


@asynccontextmanager
async def _market(state: State, options: PaperOptions, machine: Clock) -> AsyncIterator[Chosen]:
    if kind_of(state, options) is not MarketKind.MIRROR:
        yield choose_market(state, options, machine)
        return
    from trader_cli.paper.serving.upstream import mirrored

    async with mirrored(state, options, machine) as chosen:
        yield chosen


def build_exchange(chosen: Chosen, state: State, options: PaperOptions, keys: KeyPair) -> Exchange:
    """Return the exchange of a market and a memory, as the options say."""
    balance = BALANCE_DEFAULT if options.balance is None else options.balance
    now_ms = max(chosen.market.now_ms, chosen.clock.now_ms())
    clock = chosen.clock
    return Exchange(
        routes=ROUTES,
        venue=Venue(
            chosen.contracts,
            chosen.market,
            state,
            VenueSettings(initial_balance=balance, group_commit=True),
            now_ms,
        ),
        market=chosen.market,
        keys=keys,
        new_key=new_key,
        started_ms=now_ms,
        contracts=chosen.contracts,
        settings=ExchangeSettings(
            rate_limits=RateLimitSettings(enabled=options.rate_limits),
            strict_legacy_streams=not options.old_streams,
            initial_balance=balance,
            latency_ms=round(options.latency_ms / chosen.speed),
            clock_scale=max(1.0, float(chosen.speed)),
            signing_ms=clock.signing_ms if isinstance(clock, ReplayClock) else None,
        ),
        facts={**chosen.facts, "latency_ms": options.latency_ms},
    )

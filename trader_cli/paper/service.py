"""The server process put together: folder, memory, market, venue, exchange, socket.

Knows every part by name and none of their business. The composition root of
`python -m trader_cli.paper` and of `trader paper serve`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

from trader_cli.clock import Clock, SystemClock
from trader_cli.paper.exchange import Exchange, ExchangeSettings
from trader_cli.paper.instruments import CONTRACTS
from trader_cli.paper.limits import RateLimitSettings
from trader_cli.paper.market_synthetic import SyntheticMarket, SyntheticState
from trader_cli.paper.premises import Premises, new_key
from trader_cli.paper.process import PaperEndpoint, PaperOptions
from trader_cli.paper.server import serve_until_stopped
from trader_cli.paper.state import State
from trader_cli.paper.state_file import FileState
from trader_cli.paper.venue import Venue, VenueSettings

STATE_FILE: Final = "state.sqlite"
SEED_DEFAULT: Final = 7
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
        NotSent: another server holds the folder, or there is no free port.
    """
    clock = SystemClock()
    premises = Premises(home.absolute())
    os.chdir(premises.directory)  # hold no folder of the starter's
    state = FileState(premises.directory / STATE_FILE)
    try:
        asyncio.run(_serve(premises, state, options or PaperOptions(), clock, on_ready))
    finally:
        state.close()
        premises.leave()


def build_market(state: State, seed: int | None, now_ms: int) -> SyntheticMarket:
    """Return the market as the state remembers it, a new-born one otherwise."""
    remembered = state.load_market()
    if remembered is not None:
        return SyntheticMarket.restore(cast("SyntheticState", remembered))
    return SyntheticMarket(seed=SEED_DEFAULT if seed is None else seed, birth_ms=now_ms)


async def _serve(
    premises: Premises,
    state: State,
    options: PaperOptions,
    clock: Clock,
    on_ready: Callable[[PaperEndpoint], None] | None,
) -> None:
    keys = premises.keys()
    listener = premises.listener()
    exchange = _build_exchange(premises, state, options, clock.now_ms())

    def announce() -> None:
        endpoint = premises.announce(listener.getsockname()[1], keys)
        if on_ready is not None:
            on_ready(endpoint)

    await serve_until_stopped(exchange, listener, clock, on_ready=announce)


def _build_exchange(
    premises: Premises, state: State, options: PaperOptions, now_ms: int
) -> Exchange:
    market = build_market(state, options.seed, now_ms)
    balance = BALANCE_DEFAULT if options.balance is None else options.balance
    return Exchange(
        venue=Venue(
            CONTRACTS,
            market,
            state,
            VenueSettings(initial_balance=balance, group_commit=True),
            now_ms,
        ),
        market=market,
        keys=premises.keys(),
        new_key=new_key,
        started_ms=now_ms,
        settings=ExchangeSettings(
            rate_limits=RateLimitSettings(enabled=options.rate_limits), initial_balance=balance
        ),
    )

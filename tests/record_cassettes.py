"""Record every cassette anew on the real testnet: `python -m tests.record_cassettes`.

Needs BINANCE_API_KEY and BINANCE_API_SECRET of a testnet account with some test USDT, one-way
mode, no positions and no orders in BTCUSDT. Never touches the live venue. What is written has no
key, signature, timestamp, listen key or address in it.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.support.cassettes import DIRECTORY, recorder
from tests.support.scenarios import SCENARIOS
from trader_cli.errors import VenueError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient


async def record(name: str, api_key: str, api_secret: str) -> None:
    """Record one cassette; the old one is replaced only if the whole scenario went well."""
    if name == "wrong_key":
        api_key, api_secret = "0" * 64, "0" * 64
    fresh = DIRECTORY / f"{name}.recording.yaml"
    fresh.unlink(missing_ok=True)
    with recorder("all").use_cassette(fresh.name):
        async with BinanceFuturesClient(
            testnet=True, api_key=api_key, api_secret=api_secret
        ) as client:
            await SCENARIOS[name](client)
    fresh.replace(DIRECTORY / f"{name}.yaml")


def main() -> int:
    """Record all; return 0, 2 without keys, 1 where the venue did not play along."""
    api_key = os.environ.get("BINANCE_API_KEY", "")
    api_secret = os.environ.get("BINANCE_API_SECRET", "")
    if not (api_key and api_secret):
        sys.stderr.write(
            "BINANCE_API_KEY and BINANCE_API_SECRET of a testnet account are not set; "
            "nothing was recorded.\n"
        )
        return 2
    failed = 0
    for name in SCENARIOS:
        try:
            asyncio.run(record(name, api_key, api_secret))
        except VenueError as error:
            failed += 1
            sys.stderr.write(f"{name}: {error} - look at the account before going on.\n")
        else:
            sys.stderr.write(f"{name}: recorded\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

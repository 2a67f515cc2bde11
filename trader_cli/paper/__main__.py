"""`python -m trader_cli.paper`: the paper exchange's server process.

Knows command line, detaching and readiness; it forks before anything heavy is imported. Must
not know what the exchange does. Commands start it through `process.ensure_running`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from trader_cli.domain.numbers import parse_decimal
from trader_cli.errors import TraderError
from trader_cli.paper.process import MarketKind, PaperOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit code."""
    wishes = _parser().parse_args(arguments)
    if wishes.detach and os.fork() > 0:
        # The starter waits for this process only; its child belongs to nobody and stays.
        os._exit(0)
    from trader_cli.paper.serving.service import serve

    options = PaperOptions(
        seed=wishes.seed,
        balance=wishes.balance,
        rate_limits=not wishes.no_rate_limits,
        old_streams=not wishes.no_old_streams,
        market=wishes.market,
        files=tuple(wishes.file),
        symbols=tuple(wishes.symbol),
        speed=wishes.speed,
        start_ms=wishes.start_ms,
        latency_ms=wishes.latency,
        upstream_url=wishes.upstream,
        upstream_stream_url=wishes.upstream_stream,
        characters=wishes.characters,
    )
    try:
        serve(wishes.home, options, on_ready=lambda _: _tell(wishes.ready_fd))
    except TraderError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return 0


def _tell(ready_fd: int | None) -> None:
    """Wake the starter that waits at the other end of the pipe."""
    if ready_fd is not None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trader_cli.paper", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="TRADER_HOME")
    parser.add_argument("--seed", type=int, help="the market's seed, for a fresh state")
    parser.add_argument("--balance", type=_positive, help="USDT of a fresh account")
    parser.add_argument("--no-rate-limits", action="store_true", help="never answer 429")
    parser.add_argument(
        "--no-old-streams", action="store_true", help="public streams only on the old addresses"
    )
    _add_market_options(parser)
    parser.add_argument("--detach", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser


def _add_market_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--market", type=MarketKind, help="synthetic, replay or mirror; as before by default")
    add("--file", type=Path, action="append", default=[], help="data to replay; repeatable")
    add("--symbol", action="append", default=[], help="to mirror, or of the files; repeatable")
    add("--speed", type=_positive, help="market seconds a second, of a replay")
    add("--from", dest="start_ms", type=int, help="epoch milliseconds a replay begins at")
    add("--latency", type=int, default=0, help="milliseconds an order is on its way")
    add("--upstream", help="REST origin to mirror; Binance by default")
    add("--upstream-stream", help="WebSocket origin to mirror")
    add("--characters", type=json.loads, default={}, help="JSON: settings of synthetic symbols")


def _positive(text: str) -> Decimal:
    value = parse_decimal(text)
    if value <= 0:
        raise ValueError("must be positive")
    return value


if __name__ == "__main__":
    sys.exit(main())

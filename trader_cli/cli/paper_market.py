"""Which market the embedded exchange is started with, as the operator says it.

Knows the options of `paper start` and `paper serve`; what they do not say, `config.toml` says.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from trader_cli.cli.arguments import positive_number, strict, symbol_name
from trader_cli.errors import UsageError
from trader_cli.paper.process import MarketKind, PaperOptions


@strict
def begin_ms(text: str) -> int:
    """Return UTC epoch milliseconds of a number of them or an ISO 8601 time with its zone."""
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a time with zone such as 2025-06-21T12:00Z")
    return int(moment.timestamp() * 1_000)


Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]…",
        help="replay: Binance's public klines or aggTrades, as CSV, zip or gz",
        exists=True,
        dir_okay=False,
    ),
]
Kind = Annotated[
    str | None,
    typer.Option("--market", metavar="KIND", help="synthetic, replay or mirror; else as before"),
]
Speed = Annotated[
    Decimal | None,
    typer.Option(
        "--speed", parser=positive_number, metavar="N", help="replay: market seconds a second"
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, metavar="N", help="synthetic: another seed, another market"),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol", parser=symbol_name, metavar="NAME", help="mirror: which; replay: the files'"
    ),
]
Begins = Annotated[
    int | None,
    typer.Option("--from", parser=begin_ms, metavar="TIME", help="replay: where it begins"),
]
Latency = Annotated[
    int | None,
    typer.Option(
        "--latency", min=0, max=60_000, metavar="MS", help="how long an order is on its way"
    ),
]
Upstream = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="mirror: another REST origin than Binance's"),
]
UpstreamStream = Annotated[
    str | None,
    typer.Option("--upstream-stream", metavar="URL", help="mirror: its WebSocket origin"),
]


def market_options(configured: PaperOptions, **wishes: object) -> PaperOptions:
    """Return the configured options with what the command line says in their place.

    Args:
        wishes: fields of `PaperOptions`; None and empty ones are not said. `market` is a text.

    Raises:
        UsageError: what is said does not go together.
    """
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in wishes.items()
        if value is not None and value != []
    }
    if "market" in said:
        said["market"] = _kind(str(said["market"]))
    elif "files" in said:
        said["market"] = MarketKind.REPLAY
    if "files" in said and said["market"] is not MarketKind.REPLAY:
        raise UsageError(f"a {said['market']} market takes no files")
    return replace(configured, **said)


def check_runs(wished: str | None, running: object) -> None:
    """Refuse to pass one market off as another.

    Raises:
        UsageError: another one is running than was asked for.
    """
    if wished is not None and running != wished:
        raise UsageError(
            f"the exchange runs already, on the {running} market",
            advice="`trader paper stop` first",
        )


def _kind(word: str) -> MarketKind:
    if word not in {*MarketKind}:
        raise UsageError(f"--market {word}: allowed is {', '.join(MarketKind)}")
    return MarketKind(word)

"""`trader run`: follow the advisors' bridge files until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trader_cli.cli.arguments import duration_ms, strict, symbol_name
from trader_cli.cli.invocation import invocation_of
from trader_cli.cli.run_actions import RunWish, run_engine

app = typer.Typer(
    help="Follow the advisors' bridge files.", rich_markup_mode=None, add_completion=False
)


@app.command()
def run(
    context: typer.Context,
    bridge: Annotated[
        Path, typer.Option("--bridge", metavar="DIR", help="folder of ai_*_bridge.json files")
    ],
    advisor: Annotated[
        list[str] | None,
        typer.Option(
            "--advisor",
            metavar="PROGRAM",
            help="start this advisor in the bridge folder and end it with the engine; repeatable",
        ),
    ] = None,
    for_ms: Annotated[
        int | None,
        typer.Option(
            "--for", parser=strict(duration_ms), metavar="DURATION", help="end after 90s, 15m …"
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="act on every decision that is there, then end")
    ] = False,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol",
            parser=symbol_name,
            metavar="SYMBOL",
            help="trade only this one; repeatable",
        ),
    ] = None,
) -> int:
    """Trade what the advisors decide: maker-first entries, stops that rest at the exchange.

    A fresh LONG or SHORT opens, the opposite side flips, CUT_LOSS closes, HOLD does nothing. At
    the end, and on the first Ctrl-C, entries are cancelled and stops stay.
    """
    wish = RunWish(
        bridge=bridge,
        advisors=tuple(advisor or ()),
        for_s=None if for_ms is None else for_ms / 1000,
        once=once,
        symbols=tuple(symbol or ()),
    )
    return run_engine(invocation_of(context), wish)

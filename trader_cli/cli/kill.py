"""`trader kill`: halt, cancel, flatten, prove flat. Never asks, needs no valid configuration."""

from __future__ import annotations

from typing import Annotated

import typer

from trader_cli.cli.arguments import symbol_name
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.kill_actions import KillWish, run_kill
from trader_cli.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def kill(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="every order and position of the account, ours or not")
    ] = False,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", parser=symbol_name, metavar="SYMBOL", help="only this symbol"),
    ] = None,
    cancel_only: Annotated[
        bool, typer.Option("--cancel-only", help="cancel what can raise exposure, close nothing")
    ] = False,
    stops: Annotated[
        bool, typer.Option("--stops", help="with --cancel-only: protective orders too")
    ] = False,
) -> Answer:
    """Halt trading, cancel all orders, close all positions; exit code 0 only when it is proven.

    Without --env it acts wherever there is something: an engine, our own state or keys.
    `trader risk resume --reason TEXT` lifts the halt.
    """
    if everything == (symbol is not None):
        raise UsageError("give either --all or --symbol SYMBOL")
    if stops and not cancel_only:
        raise UsageError("--stops goes with --cancel-only; a whole kill takes the stops anyway")
    wish = KillWish(symbol=symbol, cancel_only=cancel_only, stops=stops)
    return run_kill(invocation_of(context), wish)

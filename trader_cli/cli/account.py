"""`trader account`: what the account holds and how it is set up. Reads only."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from trader_cli.cli.account_actions import (
    show_balance,
    show_fees,
    show_income,
    show_info,
    show_mode,
    show_permissions,
)
from trader_cli.cli.arguments import OptionalSymbol, duration_ms, strict, symbol_name
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.watching import Watch, trade_or_watch

app = typer.Typer(
    help="Balances, equity, income, fees and the account's switches.",
    rich_markup_mode=None,
    add_completion=False,
)

_WEEK_MS: Final = 7 * 86_400_000


@app.command()
def balance(context: typer.Context, watch: Watch = False) -> Answer | int:
    """Show wallet, available balance and unrealised PnL of every asset, and the equity."""
    return trade_or_watch(invocation_of(context), show_balance, watch=watch)


@app.command()
def info(context: typer.Context) -> Answer:
    """Show margins, position mode, rights and fee tier of the account."""
    return trade(invocation_of(context), show_info)


@app.command()
def permissions(context: typer.Context) -> Answer:
    """Show what the API key may do; a key that may withdraw is warned of."""
    return trade(invocation_of(context), show_permissions)


@app.command()
def income(
    context: typer.Context,
    symbol: OptionalSymbol = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            parser=strict(duration_ms),
            metavar="AGE",
            help="how far back, e.g. 12h or 30d; left out: 7 days. The exchange keeps three months",
        ),
    ] = None,
    income_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="e.g. REALIZED_PNL, COMMISSION, FUNDING_FEE"),
    ] = None,
    watch: Watch = False,
) -> Answer | int:
    """Show the ledger: realised results, fees, funding, transfers, and their sums."""
    return trade_or_watch(
        invocation_of(context),
        lambda desk: show_income(
            desk, symbol=symbol, since_ms=since or _WEEK_MS, income_type=income_type
        ),
        watch=watch,
    )


@app.command()
def fees(
    context: typer.Context,
    symbols: Annotated[
        list[str] | None,
        typer.Argument(parser=symbol_name, metavar="[SYMBOL]…", help="left out: the bridge's"),
    ] = None,
) -> Answer:
    """Show maker and taker commission of symbols, as fractions of notional."""
    return trade(invocation_of(context), lambda desk: show_fees(desk, symbols))


@app.command()
def mode(context: typer.Context) -> Answer:
    """Show position mode and margin mode; `trader position mode` switches the former."""
    return trade(invocation_of(context), show_mode)

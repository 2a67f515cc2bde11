"""`trader account`: what the account holds and how it is set up. Reads only."""

from __future__ import annotations

import typer

from trader_cli.cli.context import Desk, trade
from trader_cli.cli.invocation import Answer, Table, invocation_of
from trader_cli.cli.output import pairs
from trader_cli.cli.records import asset_json, number, summary_json

app = typer.Typer(
    help="Balances, equity and the account's switches.", rich_markup_mode=None, add_completion=False
)


@app.command()
def balance(context: typer.Context) -> Answer:
    """Show wallet, available balance and unrealised PnL of every asset, and the equity."""
    return trade(invocation_of(context), _balance)


@app.command()
def info(context: typer.Context) -> Answer:
    """Show margins, position mode, rights and fee tier of the account."""
    return trade(invocation_of(context), _info)


async def _balance(desk: Desk) -> Answer:
    assets = [asset_json(row) for row in await desk.client.get_account_balance()]
    summary = await desk.client.get_account_summary()
    equity = number(summary.margin_balance)

    def tables() -> list[Table]:
        columns = ("asset", "wallet_balance", "available_balance", "unrealized_pnl")
        rows = tuple(tuple(row[name] for name in columns) for row in assets)
        return [
            Table(title="Balances", columns=("asset", "wallet", "available", "PnL"), rows=rows),
            Table(title=f"Equity: {equity} USDT", columns=()),
        ]

    return Answer(data={"assets": assets, "equity_usdt": equity}, tables=tables)


async def _info(desk: Desk) -> Answer:
    data = summary_json(await desk.client.get_account_summary())
    return Answer(data=data, tables=lambda: [pairs("Account", data)])

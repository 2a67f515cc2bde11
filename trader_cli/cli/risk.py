"""`trader risk`: the limits, the day against them, halt and resume."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import OrderSide, Symbol, positive_number, symbol_name
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.risk_actions import (
    check_order,
    halt_trading,
    resume_trading,
    show_limits,
    show_status,
)

app = typer.Typer(
    help="The limits, the day against them, halt and resume.",
    rich_markup_mode=None,
    add_completion=False,
)

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="why; it is journaled")]


@app.command("status")
def status(context: typer.Context) -> Answer:
    """Show the halt, the day's result against its limits, drawdown and exposure."""
    return trade(invocation_of(context), show_status)


@app.command("limits")
def limits(
    context: typer.Context,
    accept: Annotated[
        bool, typer.Option("--accept", help="take over what the configuration loosens; asks first")
    ] = False,
) -> Answer:
    """Show the limits in force; a tighter configuration binds at once, a looser one waits."""
    return show_limits(invocation_of(context), accept=accept)


@app.command("check")
def check(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    quantity: Annotated[Decimal, typer.Argument(parser=positive_number, metavar="QTY")],
    price: Annotated[
        Decimal | None,
        typer.Argument(parser=positive_number, metavar="[PRICE]", help="left out: at market"),
    ] = None,
) -> Answer:
    """Say whether an order would pass, without sending it; exit code 4 if not."""
    return trade(
        invocation_of(context),
        lambda desk: check_order(desk, symbol=symbol, side=side, quantity=quantity, price=price),
    )


@app.command("halt")
def halt(
    context: typer.Context,
    reason: Reason,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", parser=symbol_name, metavar="SYMBOL", help="only this symbol"),
    ] = None,
) -> Answer:
    """Forbid everything that can raise exposure; stops stay, exits are possible."""
    return halt_trading(invocation_of(context), reason=reason, symbol=symbol)


@app.command("resume")
def resume(context: typer.Context, reason: Reason) -> Answer:
    """Lift the halt; one that a rule has set for a time stays until then."""
    return resume_trading(invocation_of(context), reason=reason)

"""`trader position leverage`, `margin` and `mode`: what a symbol, or the account, is set to."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import OfPosition, Symbol, positive_number, strict, whole_number
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.position_settings_actions import (
    change_margin,
    set_leverage,
    set_mode,
)
from trader_cli.domain.terms import MarginType
from trader_cli.errors import UsageError

HEDGE = "hedge"
ONE_WAY = "one-way"


@strict
def _margin_type(text: str) -> MarginType:
    try:
        return MarginType(text.strip().lower())
    except ValueError:
        raise ValueError(f"{text!r} is not one of isolated, cross") from None


@strict
def _mode(text: str) -> str:
    word = text.strip().lower()
    if word not in (HEDGE, ONE_WAY):
        raise ValueError(f"{text!r} is not one of {ONE_WAY}, {HEDGE}")
    return word


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("leverage")(leverage)
    app.command("margin")(margin)
    app.command("mode")(mode)


def leverage(
    context: typer.Context,
    symbol: Symbol,
    value: Annotated[
        int | None, typer.Argument(parser=whole_number, metavar="[N]", help="left out: show it")
    ] = None,
) -> Answer:
    """Show or set a symbol's leverage; above the limit it is refused."""
    return trade(invocation_of(context), lambda desk: set_leverage(desk, symbol, value))


def margin(
    context: typer.Context,
    symbol: Symbol,
    margin_type: Annotated[
        MarginType | None,
        typer.Argument(parser=_margin_type, metavar="[isolated|cross]", help="left out: show it"),
    ] = None,
    add: Annotated[
        Decimal | None,
        typer.Option("--add", parser=positive_number, metavar="N", help="USDT into the position"),
    ] = None,
    remove: Annotated[
        Decimal | None,
        typer.Option("--remove", parser=positive_number, metavar="N", help="USDT out of it"),
    ] = None,
    position: OfPosition = None,
) -> Answer:
    """Show or set a symbol's margin type; add margin to an isolated position or take some out."""
    if add is not None and remove is not None:
        raise UsageError("give either --add or --remove, not both")
    if margin_type is not None and (add, remove) != (None, None):
        raise UsageError("change the margin type and move margin in two commands")
    amount = add if add is not None else None if remove is None else -remove
    return trade(
        invocation_of(context),
        lambda desk: change_margin(
            desk, symbol, margin_type=margin_type, amount=amount, direction=position
        ),
    )


def mode(
    context: typer.Context,
    value: Annotated[
        str | None,
        typer.Argument(parser=_mode, metavar="[one-way|hedge]", help="left out: show it"),
    ] = None,
) -> Answer:
    """Show or switch the account's position mode; it must hold no order and no position."""
    hedge = None if value is None else value == HEDGE
    return trade(invocation_of(context), lambda desk: set_mode(desk, hedge=hedge))

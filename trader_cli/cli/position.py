"""`trader position`: open, protect and close positions; leverage."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import (
    PositionDirection,
    Symbol,
    position_direction,
    positive_number,
    symbol_name,
    whole_number,
)
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.position_actions import (
    close_positions,
    list_positions,
    protect_position,
    set_leverage,
)
from trader_cli.cli.position_opening import OpenWish, open_position
from trader_cli.domain.terms import Direction
from trader_cli.errors import UsageError
from trader_cli.trading.protection_spec import ProtectionSpec

app = typer.Typer(
    help="Open, protect and close positions; leverage.",
    rich_markup_mode=None,
    add_completion=False,
)

_NUMBER = positive_number
OfPosition = Annotated[
    Direction | None,
    typer.Option(
        "--position",
        parser=position_direction,
        metavar="long|short",
        help="which position, in hedge mode",
    ),
]
TakeProfit = Annotated[
    Decimal | None, typer.Option("--take-profit", parser=_NUMBER, metavar="P", help="target price")
]


@app.command("list")
def list_(context: typer.Context) -> Answer:
    """List open positions with their stop, target and whether they are protected."""
    return trade(invocation_of(context), list_positions)


@app.command("open")
def open_(
    context: typer.Context,
    symbol: Symbol,
    direction: PositionDirection,
    usd: Annotated[
        Decimal | None,
        typer.Option("--usd", parser=_NUMBER, metavar="N", help="notional, before leverage"),
    ] = None,
    quantity: Annotated[
        Decimal | None, typer.Option("--qty", parser=_NUMBER, metavar="Q", help="base units")
    ] = None,
    risk_usd: Annotated[
        Decimal | None,
        typer.Option("--risk-usd", parser=_NUMBER, metavar="N", help="the loss at --stop"),
    ] = None,
    leverage: Annotated[
        int | None, typer.Option("--leverage", parser=whole_number, metavar="L")
    ] = None,
    stop: Annotated[
        Decimal | None, typer.Option("--stop", parser=_NUMBER, metavar="P", help="stop price")
    ] = None,
    stop_roi: Annotated[
        Decimal | None,
        typer.Option("--stop-roi", parser=_NUMBER, metavar="PCT", help="stop, percent of margin"),
    ] = None,
    take_profit: TakeProfit = None,
    take_profit_roi: Annotated[
        Decimal | None,
        typer.Option("--tp-roi", parser=_NUMBER, metavar="PCT", help="target, percent of margin"),
    ] = None,
    no_stop: Annotated[bool, typer.Option("--no-stop", help="without a stop, on purpose")] = False,
) -> Answer:
    """Open a position maker-first; a stop rests as soon as anything is filled."""
    if [usd, quantity, risk_usd].count(None) != 2:
        raise UsageError("give one of --usd, --qty and --risk-usd")
    if risk_usd is not None and stop is None:
        raise UsageError("--risk-usd needs --stop")
    _refuse_both("--stop", stop, "--stop-roi", stop_roi)
    _refuse_both("--take-profit", take_profit, "--tp-roi", take_profit_roi)
    if no_stop and (stop, stop_roi) != (None, None):
        raise UsageError("--no-stop and a stop cannot stand together")
    wish = OpenWish(
        symbol=symbol,
        direction=direction,
        quantity=quantity,
        usd=usd,
        risk_usd=risk_usd,
        leverage=leverage,
        no_stop=no_stop,
        spec=ProtectionSpec(
            stop_price=stop,
            stop_roi_pct=stop_roi,
            take_profit_price=take_profit,
            take_profit_roi_pct=take_profit_roi,
        ),
    )
    return trade(invocation_of(context), lambda desk: open_position(desk, wish))


@app.command("close")
def close(
    context: typer.Context,
    symbol: Annotated[
        str | None, typer.Argument(parser=symbol_name, metavar="[SYMBOL]", help="e.g. BTCUSDT")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="both sides of SYMBOL; without one, every position")
    ] = False,
    position: OfPosition = None,
) -> Answer:
    """Close at market, reduce-only, and remove our own exit orders of what is gone."""
    if symbol is None and not everything:
        raise UsageError("give SYMBOL, or --all for every position")
    return trade(
        invocation_of(context),
        lambda desk: close_positions(desk, symbol, direction=position, everything=everything),
    )


@app.command("protect")
def protect(
    context: typer.Context,
    symbol: Symbol,
    stop: Annotated[
        Decimal | None, typer.Option("--stop", parser=_NUMBER, metavar="P", help="stop price")
    ] = None,
    take_profit: TakeProfit = None,
    trailing: Annotated[
        Decimal | None,
        typer.Option("--trailing", parser=_NUMBER, metavar="PCT", help="percent of price"),
    ] = None,
    position: OfPosition = None,
) -> Answer:
    """Set the stop, the target and a trailing stop of a position, in place of ours before."""
    if (stop, take_profit, trailing) == (None, None, None):
        raise UsageError("give --stop, --take-profit or --trailing")
    return trade(
        invocation_of(context),
        lambda desk: protect_position(
            desk,
            symbol,
            direction=position,
            stop=stop,
            take_profit=take_profit,
            trailing_pct=trailing,
        ),
    )


@app.command("leverage")
def leverage(
    context: typer.Context,
    symbol: Symbol,
    value: Annotated[
        int | None, typer.Argument(parser=whole_number, metavar="[N]", help="left out: show it")
    ] = None,
) -> Answer:
    """Show or set a symbol's leverage; above the limit it is refused."""
    return trade(invocation_of(context), lambda desk: set_leverage(desk, symbol, value))


def _refuse_both(first: str, one: object, second: str, other: object) -> None:
    if one is not None and other is not None:
        raise UsageError(f"give either {first} or {second}, not both")

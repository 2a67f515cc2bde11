"""`trader position`: open, change, protect, compare and close positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli import position_settings
from trader_cli.cli.arguments import (
    OfPosition,
    OptionalSymbol,
    PositionDirection,
    Symbol,
    positive_number,
    strict,
    symbol_name,
    whole_number,
)
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.position_actions import (
    close_positions,
    list_positions,
    protect_position,
)
from trader_cli.cli.position_changes import (
    AddWish,
    add_to_position,
    adopt_position,
    reduce_position,
)
from trader_cli.cli.position_checks import show_pnl, sync_positions
from trader_cli.cli.position_opening import OpenWish, open_position
from trader_cli.cli.position_options import (
    ExitStop,
    ExitTarget,
    Quantity,
    RiskUsd,
    Stop,
    StopRoi,
    TakeProfit,
    TakeProfitRoi,
    Usd,
    one_size,
    protection,
)
from trader_cli.cli.watching import Watch, trade_or_watch
from trader_cli.domain.numbers import HUNDRED
from trader_cli.errors import UsageError

app = typer.Typer(
    help="Open, change, protect, compare and close positions.",
    rich_markup_mode=None,
    add_completion=False,
)
position_settings.add_to(app)


@strict
def _percent(text: str) -> Decimal:
    number = positive_number(text)
    if number > HUNDRED:
        raise ValueError(f"{text} is more than 100 percent")
    return number


@app.command("list")
def list_(context: typer.Context, watch: Watch = False) -> Answer | int:
    """List open positions with their stop, target and whether they are protected."""
    return trade_or_watch(invocation_of(context), list_positions, watch=watch)


@app.command("open")
def open_(
    context: typer.Context,
    symbol: Symbol,
    direction: PositionDirection,
    usd: Usd = None,
    quantity: Quantity = None,
    risk_usd: RiskUsd = None,
    leverage: Annotated[
        int | None, typer.Option("--leverage", parser=whole_number, metavar="L")
    ] = None,
    stop: Stop = None,
    stop_roi: StopRoi = None,
    take_profit: TakeProfit = None,
    take_profit_roi: TakeProfitRoi = None,
    no_stop: Annotated[bool, typer.Option("--no-stop", help="without a stop, on purpose")] = False,
) -> Answer:
    """Open a position maker-first; a stop rests as soon as anything is filled."""
    one_size(usd, quantity, risk_usd)
    if risk_usd is not None and stop is None:
        raise UsageError("--risk-usd needs --stop")
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
        spec=protection(stop, stop_roi, take_profit, take_profit_roi),
    )
    return trade(invocation_of(context), lambda desk: open_position(desk, wish))


@app.command("add")
def add(
    context: typer.Context,
    symbol: Symbol,
    usd: Usd = None,
    quantity: Quantity = None,
    risk_usd: RiskUsd = None,
    stop: Stop = None,
    stop_roi: StopRoi = None,
    take_profit: TakeProfit = None,
    take_profit_roi: TakeProfitRoi = None,
    position: OfPosition = None,
) -> Answer:
    """Enlarge a position maker-first; the stop that rests covers the new whole."""
    one_size(usd, quantity, risk_usd)
    if risk_usd is not None and stop is None:
        raise UsageError("--risk-usd needs --stop")
    wish = AddWish(
        symbol=symbol,
        direction=position,
        quantity=quantity,
        usd=usd,
        risk_usd=risk_usd,
        spec=protection(stop, stop_roi, take_profit, take_profit_roi),
    )
    return trade(invocation_of(context), lambda desk: add_to_position(desk, wish))


@app.command("reduce")
def reduce(
    context: typer.Context,
    symbol: Symbol,
    percent: Annotated[
        Decimal | None,
        typer.Option("--pct", parser=_percent, metavar="N", help="percent of what is held"),
    ] = None,
    quantity: Quantity = None,
    position: OfPosition = None,
) -> Answer:
    """Close a part of a position at market, reduce-only; its exits stay for the rest."""
    if (percent is None) == (quantity is None):
        raise UsageError("give either --pct or --qty")
    return trade(
        invocation_of(context),
        lambda desk: reduce_position(
            desk, symbol, direction=position, percent=percent, quantity=quantity
        ),
    )


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
    stop: ExitStop = None,
    take_profit: ExitTarget = None,
    trailing: Annotated[
        Decimal | None,
        typer.Option("--trailing", parser=positive_number, metavar="PCT", help="percent of price"),
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


@app.command("adopt")
def adopt(
    context: typer.Context,
    symbol: Symbol,
    stop: ExitStop = None,
    take_profit: ExitTarget = None,
    advisor: Annotated[
        str | None,
        typer.Option("--advisor", metavar="NAME", help="whose it is for an engine"),
    ] = None,
    position: OfPosition = None,
) -> Answer:
    """Make a position that trader did not open ours, under a stop; an engine then handles it."""
    if stop is None:
        raise UsageError("an adopted position needs a stop", advice="give --stop P")
    return trade(
        invocation_of(context),
        lambda desk: adopt_position(
            desk,
            symbol,
            direction=position,
            stop=stop,
            take_profit=take_profit,
            advisor=advisor,
        ),
    )


@app.command("sync")
def sync(context: typer.Context) -> Answer:
    """Compare what we believe with the exchange, say what differs and why, and correct it.

    Exit code 11 where something differed that no order of ours explains.
    """
    return trade(invocation_of(context), sync_positions)


@app.command("pnl")
def pnl(
    context: typer.Context, symbol: OptionalSymbol = None, watch: Watch = False
) -> Answer | int:
    """Show the result of open positions and of the day: realised, unrealised, fees, funding."""
    return trade_or_watch(invocation_of(context), lambda desk: show_pnl(desk, symbol), watch=watch)

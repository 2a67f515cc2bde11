"""The commands of `trader order` for orders that are there: list, find, change, take back."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import typer

from trader_cli.cli.arguments import OptionalSymbol, Symbol, order_name, positive_number
from trader_cli.cli.context import Desk, trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.order_options import Days, OfSymbol, OrderId
from trader_cli.cli.order_tending_actions import (
    amend_order,
    cancel_all_orders,
    cancel_order,
    list_orders,
    order_history,
    order_trades,
    resolve_orders,
    show_order,
)
from trader_cli.cli.prices import PriceWish, price_wish
from trader_cli.cli.watching import EVERY_S, Watch, trade_or_watch
from trader_cli.errors import UsageError

_ALL_SYMBOLS_EVERY_S: Final = 10.0
"""Reading the orders of every symbol weighs 80; a watch of it must leave others their share."""


def list_(
    context: typer.Context, symbol: OptionalSymbol = None, watch: Watch = False
) -> Answer | int:
    """List resting orders, regular and conditional, own and foreign."""

    async def act(desk: Desk) -> Answer:
        return await list_orders(desk, symbol)

    every_s = EVERY_S if symbol is not None else _ALL_SYMBOLS_EVERY_S
    return trade_or_watch(invocation_of(context), act, watch=watch, every_s=every_s)


def show(context: typer.Context, identifier: OrderId, symbol: OfSymbol = None) -> Answer:
    """Show one order; one unknown here is asked of the exchange."""
    return trade(invocation_of(context), lambda desk: show_order(desk, identifier, symbol))


def history(
    context: typer.Context, symbol: Symbol, days: Days = 7, watch: Watch = False
) -> Answer | int:
    """List a symbol's orders, ended ones too."""
    return trade_or_watch(
        invocation_of(context), lambda desk: order_history(desk, symbol, days), watch=watch
    )


def trades(
    context: typer.Context, symbol: Symbol, days: Days = 7, watch: Watch = False
) -> Answer | int:
    """List a symbol's executions with fee and realised result."""
    return trade_or_watch(
        invocation_of(context), lambda desk: order_trades(desk, symbol, days), watch=watch
    )


def amend(
    context: typer.Context,
    identifier: OrderId,
    price: Annotated[
        PriceWish | None,
        typer.Option(
            "--price", parser=price_wish, metavar="P", help="of a stop or target: its trigger"
        ),
    ] = None,
    quantity: Annotated[
        Decimal | None,
        typer.Option("--qty", parser=positive_number, metavar="Q", help="whole, executed included"),
    ] = None,
    symbol: OfSymbol = None,
) -> Answer:
    """Change a resting order's price or quantity; what is not given stays as it is."""
    if price is None and quantity is None:
        raise UsageError("give --price, --qty or both")
    return trade(
        invocation_of(context),
        lambda desk: amend_order(desk, identifier, price=price, quantity=quantity, symbol=symbol),
    )


def cancel(context: typer.Context, identifier: OrderId, symbol: OfSymbol = None) -> Answer:
    """Cancel one order, and with an entry the exits that wait for it."""
    return trade(invocation_of(context), lambda desk: cancel_order(desk, identifier, symbol))


def cancel_all(
    context: typer.Context,
    symbol: OptionalSymbol = None,
    stops: Annotated[
        bool, typer.Option("--stops", help="protective orders of open positions too")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="orders that are not ours too; asks first")
    ] = False,
) -> Answer:
    """Cancel our own orders that can raise exposure; stops of open positions stay."""
    invocation = invocation_of(context)
    if everything and not invocation.shared.dry_run:
        invocation.confirm("Cancel every order, those of other programs and people too?")
    return trade(
        invocation,
        lambda desk: cancel_all_orders(desk, symbol, own_only=not everything, stops=stops),
    )


def resolve(
    context: typer.Context,
    identifier: Annotated[
        str | None,
        typer.Argument(
            parser=order_name, metavar="[ID]", help="a client order id; else every unknown one"
        ),
    ] = None,
) -> Answer:
    """Prove what became of orders in doubt, and remove exits that lost their position."""
    return trade(invocation_of(context), lambda desk: resolve_orders(desk, identifier))

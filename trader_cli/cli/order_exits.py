"""The commands of `trader order` that rest an exit: stop-loss, take-profit, trailing-stop.

Side and quantity come from the position; several may stand beside each other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import OfPosition, Symbol, positive_number
from trader_cli.cli.context import trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.order_actions import ConditionalWish, place_conditional
from trader_cli.cli.order_options import LimitPrice, Quantity
from trader_cli.cli.prices import PriceArgument, PriceWish, price_wish
from trader_cli.domain.terms import Direction, OrderType


def stop_loss(
    context: typer.Context,
    symbol: Symbol,
    price: PriceArgument,
    quantity: Quantity = None,
    limit_price: LimitPrice = None,
    position: OfPosition = None,
) -> Answer:
    """Rest a stop of a position; side and quantity come from the position."""
    kind = OrderType.STOP_MARKET if limit_price is None else OrderType.STOP
    return _rest_at(context, kind, symbol, price, quantity, limit_price, position)


def take_profit(
    context: typer.Context,
    symbol: Symbol,
    price: PriceArgument,
    quantity: Quantity = None,
    limit_price: LimitPrice = None,
    position: OfPosition = None,
) -> Answer:
    """Rest a target of a position; side and quantity come from the position."""
    kind = OrderType.TAKE_PROFIT_MARKET if limit_price is None else OrderType.TAKE_PROFIT
    return _rest_at(context, kind, symbol, price, quantity, limit_price, position)


def trailing_stop(
    context: typer.Context,
    symbol: Symbol,
    percent: Annotated[
        Decimal, typer.Argument(parser=positive_number, metavar="PCT", help="of price, 0.1 to 20")
    ],
    quantity: Quantity = None,
    activate: Annotated[
        PriceWish | None,
        typer.Option(
            "--activate", parser=price_wish, metavar="P", help="price from which it trails"
        ),
    ] = None,
    position: OfPosition = None,
) -> Answer:
    """Rest a trailing stop of a position; side and quantity come from the position."""
    wish = ConditionalWish(
        symbol=symbol,
        type=OrderType.TRAILING_STOP_MARKET,
        callback_rate=percent,
        activate_price=activate,
        quantity=quantity,
        direction=position,
    )
    return _rest(context, wish)


def _rest_at(
    context: typer.Context,
    kind: OrderType,
    symbol: str,
    price: PriceWish,
    quantity: Decimal | None,
    limit_price: PriceWish | None,
    position: Direction | None,
) -> Answer:
    wish = ConditionalWish(
        symbol=symbol,
        type=kind,
        trigger_price=price,
        quantity=quantity,
        limit_price=limit_price,
        direction=position,
    )
    return _rest(context, wish)


def _rest(context: typer.Context, wish: ConditionalWish) -> Answer:
    return trade(invocation_of(context), lambda desk: place_conditional(desk, wish))

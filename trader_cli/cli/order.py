"""`trader order`: place, list, find and cancel orders of both worlds, regular and conditional."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import (
    OptionalSymbol,
    OrderSide,
    Symbol,
    moment_ms,
    position_direction,
    positive_number,
    symbol_name,
    time_in_force,
)
from trader_cli.cli.context import Desk, trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.order_actions import (
    ConditionalWish,
    LimitWish,
    MarketWish,
    cancel_all_orders,
    cancel_order,
    list_orders,
    place_conditional,
    place_limit,
    place_market,
    resolve_orders,
    show_order,
)
from trader_cli.domain.terms import Direction, OrderType, TimeInForce
from trader_cli.errors import UsageError

app = typer.Typer(
    help="Place, list and cancel orders, conditional ones too.",
    rich_markup_mode=None,
    add_completion=False,
)

Number = Annotated[Decimal, typer.Argument(parser=positive_number, metavar="NUMBER")]
Quantity = Annotated[
    Decimal | None,
    typer.Argument(parser=positive_number, metavar="[QTY]", help="base units, e.g. 0.001"),
]
Usd = Annotated[
    Decimal | None,
    typer.Option("--usd", parser=positive_number, metavar="N", help="notional instead of QTY"),
]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="can only reduce a position")]
OfPosition = Annotated[
    Direction | None,
    typer.Option(
        "--position",
        parser=position_direction,
        metavar="long|short",
        help="which position, in hedge mode",
    ),
]
LimitPrice = Annotated[
    Decimal | None,
    typer.Option("--limit", parser=positive_number, metavar="P", help="limit order on trigger"),
]
OrderId = Annotated[str, typer.Argument(metavar="ID", help="order id, algo id or client order id")]
OfSymbol = Annotated[
    str | None, typer.Option("--symbol", parser=symbol_name, metavar="SYMBOL", help="its symbol")
]


@app.command("limit")
def limit(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    quantity: Annotated[
        Decimal,
        typer.Argument(
            parser=positive_number, metavar="QTY", help="base units; with --usd left out"
        ),
    ],
    price: Annotated[
        Decimal | None, typer.Argument(parser=positive_number, metavar="PRICE")
    ] = None,
    post_only: Annotated[bool, typer.Option("--post-only", help="rest or be refused")] = False,
    tif: Annotated[
        TimeInForce | None,
        typer.Option("--tif", parser=time_in_force, metavar="GTC|IOC|FOK|GTX|GTD"),
    ] = None,
    good_till: Annotated[
        str | None,
        typer.Option("--good-till", metavar="T", help="with GTD: 15m, or 2026-11-23T12:00Z"),
    ] = None,
    reduce_only: ReduceOnly = False,
    usd: Usd = None,
    position: OfPosition = None,
) -> Answer:
    """Place a limit order: trader order limit BTCUSDT buy 0.001 60000 --post-only."""
    if usd is None and price is None:
        raise UsageError("a limit order needs QTY and PRICE")
    if usd is not None and price is not None:
        raise UsageError("give either QTY or --usd, not both")

    async def act(desk: Desk) -> Answer:
        wish = LimitWish(
            symbol=symbol,
            side=side,
            # With --usd the one number that stands there is the price.
            quantity=None if usd is not None else quantity,
            price=quantity if price is None else price,
            usd=usd,
            time_in_force=_time_in_force(tif, post_only=post_only),
            good_till_ms=_good_till(good_till, tif, desk.clock.now_ms()),
            reduce_only=reduce_only,
            direction=position,
        )
        return await place_limit(desk, wish)

    return trade(invocation_of(context), act)


@app.command("market")
def market(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    quantity: Quantity = None,
    reduce_only: ReduceOnly = False,
    max_slippage_bps: Annotated[
        Decimal | None,
        typer.Option(
            "--max-slippage-bps",
            parser=positive_number,
            metavar="N",
            help="never worse than N basis points beyond the touch; what does not fill expires",
        ),
    ] = None,
    usd: Usd = None,
    position: OfPosition = None,
) -> Answer:
    """Place a market order: trader order market BTCUSDT buy 0.001."""
    if (quantity is None) == (usd is None):
        raise UsageError("give either QTY or --usd")
    wish = MarketWish(
        symbol=symbol,
        side=side,
        quantity=quantity,
        usd=usd,
        max_slippage_bps=max_slippage_bps,
        reduce_only=reduce_only,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_market(desk, wish))


@app.command("stop-loss")
def stop_loss(
    context: typer.Context,
    symbol: Symbol,
    price: Annotated[Decimal, typer.Argument(parser=positive_number, metavar="PRICE")],
    quantity: Quantity = None,
    limit_price: LimitPrice = None,
    position: OfPosition = None,
) -> Answer:
    """Rest a stop of a position; side and quantity come from the position."""
    wish = ConditionalWish(
        symbol=symbol,
        type=OrderType.STOP_MARKET if limit_price is None else OrderType.STOP,
        trigger_price=price,
        quantity=quantity,
        limit_price=limit_price,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_conditional(desk, wish))


@app.command("take-profit")
def take_profit(
    context: typer.Context,
    symbol: Symbol,
    price: Annotated[Decimal, typer.Argument(parser=positive_number, metavar="PRICE")],
    quantity: Quantity = None,
    limit_price: LimitPrice = None,
    position: OfPosition = None,
) -> Answer:
    """Rest a target of a position; side and quantity come from the position."""
    market_type, limit_type = OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT
    wish = ConditionalWish(
        symbol=symbol,
        type=market_type if limit_price is None else limit_type,
        trigger_price=price,
        quantity=quantity,
        limit_price=limit_price,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_conditional(desk, wish))


@app.command("trailing-stop")
def trailing_stop(
    context: typer.Context,
    symbol: Symbol,
    percent: Annotated[
        Decimal, typer.Argument(parser=positive_number, metavar="PCT", help="of price, 0.1 to 20")
    ],
    quantity: Quantity = None,
    activate: Annotated[
        Decimal | None,
        typer.Option(
            "--activate", parser=positive_number, metavar="P", help="price from which it trails"
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
    return trade(invocation_of(context), lambda desk: place_conditional(desk, wish))


@app.command("list")
def list_(context: typer.Context, symbol: OptionalSymbol = None) -> Answer:
    """List resting orders, regular and conditional, own and foreign."""
    return trade(invocation_of(context), lambda desk: list_orders(desk, symbol))


@app.command("show")
def show(context: typer.Context, identifier: OrderId, symbol: OfSymbol = None) -> Answer:
    """Show one order; one that has ended is found with --symbol."""
    return trade(invocation_of(context), lambda desk: show_order(desk, identifier, symbol))


@app.command("cancel")
def cancel(context: typer.Context, identifier: OrderId, symbol: OfSymbol = None) -> Answer:
    """Cancel one order."""
    return trade(invocation_of(context), lambda desk: cancel_order(desk, identifier, symbol))


@app.command("cancel-all")
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


@app.command("resolve")
def resolve(
    context: typer.Context,
    identifier: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="a client order id; else every unknown one")
    ] = None,
) -> Answer:
    """Prove what became of orders whose outcome is unknown."""
    return trade(invocation_of(context), lambda desk: resolve_orders(desk, identifier))


def _time_in_force(tif: TimeInForce | None, *, post_only: bool) -> TimeInForce:
    if not post_only:
        return tif or TimeInForce.GTC
    if tif not in (None, TimeInForce.GTX):
        raise UsageError(f"--post-only is --tif GTX; {tif} cannot stand beside it")
    return TimeInForce.GTX


def _good_till(text: str | None, tif: TimeInForce | None, now_ms: int) -> int | None:
    if (tif is TimeInForce.GTD) != (text is not None):
        raise UsageError("--good-till and --tif GTD belong together")
    if text is None:
        return None
    try:
        return moment_ms(text, now_ms=now_ms)
    except ValueError as error:
        raise UsageError(f"--good-till: {error}") from error

"""The commands of `trader order` that enter: limit, market, smart, bracket, batch.

Knows their words and turns them into wishes; what comes of a wish is the `*_actions` modules'.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from trader_cli.cli.arguments import OfPosition, OrderSide, Symbol, positive_number, strict
from trader_cli.cli.context import Desk, trade
from trader_cli.cli.invocation import Answer, invocation_of
from trader_cli.cli.order_actions import (
    LimitWish,
    MarketWish,
    SizeWish,
    place_limit,
    place_market,
)
from trader_cli.cli.order_batch import place_file, read_batch
from trader_cli.cli.order_bracket import BracketWish, EntryKind, EntryWish, place_bracket
from trader_cli.cli.order_options import (
    GoodTill,
    PostOnly,
    Quantity,
    ReduceOnly,
    RiskUsd,
    Stop,
    TakeProfit,
    Tif,
    Usd,
    Validate,
    resolved_good_till,
    resolved_tif,
)
from trader_cli.cli.order_working import SmartWish, place_smart
from trader_cli.cli.prices import OptionalPriceArgument, PriceWish, price_wish
from trader_cli.domain.rules import Fallback
from trader_cli.errors import UsageError


@strict
def entry_wish(text: str) -> EntryWish:
    """Return how a bracket enters: market, smart, or limit:P."""
    word, colon, price = text.strip().partition(":")
    if (word == EntryKind.LIMIT) != bool(colon) or word not in tuple(EntryKind):
        raise ValueError(f"{text!r} is not one of limit:P, market, smart")
    return EntryWish(kind=EntryKind(word), price=price_wish(price) if colon else None)


@strict
def fallback_word(text: str) -> Fallback:
    """Return what follows the deadline."""
    try:
        return Fallback(text.strip().lower())
    except ValueError:
        raise ValueError(f"{text!r} is not one of taker, none") from None


def limit(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    quantity: Annotated[
        PriceWish,
        typer.Argument(
            parser=price_wish, metavar="QTY", help="base units; left out with --usd, --risk-usd"
        ),
    ],
    price: OptionalPriceArgument = None,
    post_only: PostOnly = False,
    tif: Tif = None,
    good_till: GoodTill = None,
    reduce_only: ReduceOnly = False,
    usd: Usd = None,
    risk_usd: RiskUsd = None,
    stop: Stop = None,
    take_profit: TakeProfit = None,
    position: OfPosition = None,
    validate: Validate = False,
) -> Answer:
    """Place a limit order: trader order limit BTCUSDT buy 0.001 60000 --post-only."""
    # Without a quantity the one number that stands there is the price.
    size, typed = _size_and_price(quantity, price, usd, risk_usd)
    resolved = resolved_tif(tif, post_only=post_only)
    _refuse_lone_exit(stop, take_profit, risk_usd, reduce_only=reduce_only, validate=validate)

    async def act(desk: Desk) -> Answer:
        good_till_ms = resolved_good_till(good_till, tif, desk.clock.now_ms())
        if stop is not None:
            bracket = BracketWish(
                symbol=symbol,
                side=side,
                size=size,
                entry=EntryWish(kind=EntryKind.LIMIT, price=typed),
                stop=stop,
                take_profit=take_profit,
                time_in_force=resolved,
                good_till_ms=good_till_ms,
                direction=position,
            )
            return await place_bracket(desk, bracket)
        wish = LimitWish(
            symbol=symbol,
            side=side,
            size=size,
            price=typed,
            time_in_force=resolved,
            good_till_ms=good_till_ms,
            reduce_only=reduce_only,
            direction=position,
        )
        return await place_limit(desk, wish, validate=validate)

    return trade(invocation_of(context), act)


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
    risk_usd: RiskUsd = None,
    stop: Stop = None,
    take_profit: TakeProfit = None,
    position: OfPosition = None,
    validate: Validate = False,
) -> Answer:
    """Place a market order: trader order market BTCUSDT buy 0.001."""
    size = SizeWish(quantity=quantity, usd=usd, risk_usd=risk_usd)
    _refuse_lone_exit(stop, take_profit, risk_usd, reduce_only=reduce_only, validate=validate)
    if stop is not None:
        if max_slippage_bps is not None:
            raise UsageError("with --stop use `order bracket --entry smart`, which is bounded")
        bracket = BracketWish(
            symbol=symbol,
            side=side,
            size=size,
            entry=EntryWish(kind=EntryKind.MARKET),
            stop=stop,
            take_profit=take_profit,
            direction=position,
        )
        return trade(invocation_of(context), lambda desk: place_bracket(desk, bracket))
    wish = MarketWish(
        symbol=symbol,
        side=side,
        size=size,
        max_slippage_bps=max_slippage_bps,
        reduce_only=reduce_only,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_market(desk, wish, validate=validate))


def smart(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    quantity: Quantity = None,
    deadline: Annotated[
        Decimal | None,
        typer.Option("--deadline", parser=positive_number, metavar="S", help="seconds of trying"),
    ] = None,
    max_chase_bps: Annotated[
        Decimal | None,
        typer.Option(
            "--max-chase-bps",
            parser=positive_number,
            metavar="N",
            help="how far the touch is followed, in basis points",
        ),
    ] = None,
    fallback: Annotated[
        Fallback | None,
        typer.Option(
            "--fallback",
            parser=fallback_word,
            metavar="taker|none",
            help="after the deadline: take the rest within a bound, or leave it",
        ),
    ] = None,
    reduce_only: ReduceOnly = False,
    usd: Usd = None,
    position: OfPosition = None,
    validate: Validate = False,
) -> Answer:
    """Work an order maker-first: trader order smart BTCUSDT buy 0.001 --deadline 20."""
    wish = SmartWish(
        symbol=symbol,
        side=side,
        size=SizeWish(quantity=quantity, usd=usd),
        deadline_s=deadline,
        max_chase_bps=max_chase_bps,
        fallback=fallback,
        reduce_only=reduce_only,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_smart(desk, wish, validate=validate))


def bracket(
    context: typer.Context,
    symbol: Symbol,
    side: OrderSide,
    stop: Annotated[
        PriceWish, typer.Option("--stop", parser=price_wish, metavar="P", help="stop price")
    ],
    quantity: Quantity = None,
    take_profit: TakeProfit = None,
    entry: Annotated[
        EntryWish | None,
        typer.Option(
            "--entry", parser=entry_wish, metavar="limit:P|market|smart", help="default: smart"
        ),
    ] = None,
    trailing: Annotated[
        Decimal | None,
        typer.Option(
            "--trailing", parser=positive_number, metavar="PCT", help="a trailing stop beside"
        ),
    ] = None,
    usd: Usd = None,
    risk_usd: RiskUsd = None,
    position: OfPosition = None,
) -> Answer:
    """Enter with stop and target: trader order bracket BTCUSDT buy 0.001 --stop 59000 ..."""
    wish = BracketWish(
        symbol=symbol,
        side=side,
        size=SizeWish(quantity=quantity, usd=usd, risk_usd=risk_usd),
        entry=entry or EntryWish(kind=EntryKind.SMART),
        stop=stop,
        take_profit=take_profit,
        trailing_pct=trailing,
        direction=position,
    )
    return trade(invocation_of(context), lambda desk: place_bracket(desk, wish))


def batch(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a JSON list, or one order a line")],
) -> Answer:
    """Place the orders of a file; exit 10 if some of them failed."""
    invocation = invocation_of(context)
    wishes = read_batch(invocation.cwd / file.expanduser())
    return trade(invocation, lambda desk: place_file(desk, wishes))


def _size_and_price(
    first: PriceWish, second: PriceWish | None, usd: Decimal | None, risk_usd: Decimal | None
) -> tuple[SizeWish, PriceWish]:
    if usd is not None or risk_usd is not None:
        if second is not None:
            raise UsageError("give one of QTY, --usd and --risk-usd", code="size")
        return SizeWish(usd=usd, risk_usd=risk_usd), first
    if second is None:
        raise UsageError("a limit order needs QTY and PRICE")
    if first.is_relative:
        raise UsageError("QTY is a plain number of base units")
    return SizeWish(quantity=first.number), second


def _refuse_lone_exit(
    stop: PriceWish | None,
    target: PriceWish | None,
    risk_usd: Decimal | None,
    *,
    reduce_only: bool,
    validate: bool,
) -> None:
    if stop is None and (target is not None or risk_usd is not None):
        raise UsageError("--take-profit and --risk-usd need --stop", code="no_stop")
    if stop is not None and (reduce_only or validate):
        raise UsageError("an order with --stop opens a position and cannot be validated or reduce")

"""Arguments and options that several `trader order` commands share."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

import typer

from trader_cli.cli.arguments import (
    moment_ms,
    order_name,
    positive_number,
    symbol_name,
    time_in_force,
)
from trader_cli.cli.prices import PriceWish, price_wish
from trader_cli.domain.terms import TimeInForce
from trader_cli.errors import UsageError

_GOOD_FOR_MS_MIN: Final = 600_000
"""Source: binance-usdm reference §6.1 (goodTillDate), -5040."""

Quantity = Annotated[
    Decimal | None,
    typer.Argument(parser=positive_number, metavar="[QTY]", help="base units, e.g. 0.001"),
]
Usd = Annotated[
    Decimal | None,
    typer.Option("--usd", parser=positive_number, metavar="N", help="notional instead of QTY"),
]
RiskUsd = Annotated[
    Decimal | None,
    typer.Option(
        "--risk-usd", parser=positive_number, metavar="N", help="loss at the stop instead of QTY"
    ),
]
Stop = Annotated[
    PriceWish | None,
    typer.Option("--stop", parser=price_wish, metavar="P", help="rest a stop with it: a bracket"),
]
TakeProfit = Annotated[
    PriceWish | None,
    typer.Option("--take-profit", parser=price_wish, metavar="P", help="and a target"),
]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="can only reduce a position")]
Validate = Annotated[
    bool,
    typer.Option("--validate", help="let the exchange check it, place nothing (not for stops)"),
]
LimitPrice = Annotated[
    PriceWish | None,
    typer.Option("--limit", parser=price_wish, metavar="P", help="limit order on trigger"),
]
Tif = Annotated[
    TimeInForce | None,
    typer.Option("--tif", parser=time_in_force, metavar="GTC|IOC|FOK|GTX|GTD"),
]
GoodTill = Annotated[
    str | None,
    typer.Option("--good-till", metavar="T", help="with GTD: 15m, or 2026-11-23T12:00Z"),
]
PostOnly = Annotated[bool, typer.Option("--post-only", help="rest or be refused")]
OrderId = Annotated[
    str,
    typer.Argument(parser=order_name, metavar="ID", help="order id, algo id or client order id"),
]
OfSymbol = Annotated[
    str | None, typer.Option("--symbol", parser=symbol_name, metavar="SYMBOL", help="its symbol")
]
Days = Annotated[int, typer.Option("--days", min=1, max=90, help="how far back")]


def resolved_tif(tif: TimeInForce | None, *, post_only: bool) -> TimeInForce:
    """Return the time in force; `--post-only` is GTX by its other name."""
    if not post_only:
        return tif or TimeInForce.GTC
    if tif not in (None, TimeInForce.GTX):
        raise UsageError(f"--post-only is --tif GTX; {tif} cannot stand beside it")
    return TimeInForce.GTX


def resolved_good_till(text: str | None, tif: TimeInForce | None, now_ms: int) -> int | None:
    """Return until when a GTD order rests, None for every other."""
    if (tif is TimeInForce.GTD) != (text is not None):
        raise UsageError("--good-till and --tif GTD belong together")
    if text is None:
        return None
    try:
        until_ms = moment_ms(text, now_ms=now_ms)
    except ValueError as error:
        raise UsageError(f"--good-till: {error}") from error
    if until_ms <= now_ms + _GOOD_FOR_MS_MIN:
        raise UsageError(
            f"--good-till {text}: the exchange takes what is more than ten minutes ahead",
            code="good_till",
        )
    return until_ms

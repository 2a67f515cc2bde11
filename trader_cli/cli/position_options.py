"""Options that several position commands share."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from trader_cli.cli.arguments import positive_number
from trader_cli.cli.prices import PriceWish, price_wish
from trader_cli.errors import UsageError
from trader_cli.trading.orders.protection_spec import ProtectionSpec

Usd = Annotated[
    Decimal | None,
    typer.Option("--usd", parser=positive_number, metavar="N", help="notional, before leverage"),
]
Quantity = Annotated[
    Decimal | None,
    typer.Option("--qty", parser=positive_number, metavar="Q", help="base units"),
]
RiskUsd = Annotated[
    Decimal | None,
    typer.Option("--risk-usd", parser=positive_number, metavar="N", help="the loss at --stop"),
]
Stop = Annotated[
    Decimal | None,
    typer.Option("--stop", parser=positive_number, metavar="P", help="stop price"),
]
StopRoi = Annotated[
    Decimal | None,
    typer.Option(
        "--stop-roi", parser=positive_number, metavar="PCT", help="stop, percent of margin"
    ),
]
TakeProfit = Annotated[
    Decimal | None,
    typer.Option("--take-profit", parser=positive_number, metavar="P", help="target price"),
]
ExitStop = Annotated[
    PriceWish | None,
    typer.Option(
        "--stop", parser=price_wish, metavar="P", help="stop price, or from the entry: -1%, +5t"
    ),
]
ExitTarget = Annotated[
    PriceWish | None,
    typer.Option(
        "--take-profit", parser=price_wish, metavar="P", help="target, or from the entry: +2%"
    ),
]
TakeProfitRoi = Annotated[
    Decimal | None,
    typer.Option(
        "--tp-roi", parser=positive_number, metavar="PCT", help="target, percent of margin"
    ),
]


def refuse_both(first: str, one: object, second: str, other: object) -> None:
    """Refuse two options that exclude each other.

    Raises:
        UsageError: both are given.
    """
    if one is not None and other is not None:
        raise UsageError(f"give either {first} or {second}, not both")


def one_size(usd: Decimal | None, quantity: Decimal | None, risk_usd: Decimal | None) -> None:
    """Refuse anything but one size.

    Raises:
        UsageError: none is given, or several.
    """
    if [usd, quantity, risk_usd].count(None) != 2:
        raise UsageError("give one of --usd, --qty and --risk-usd")


def protection(
    stop: Decimal | None,
    stop_roi: Decimal | None,
    take_profit: Decimal | None,
    take_profit_roi: Decimal | None,
) -> ProtectionSpec:
    """Return what the options ask for.

    Raises:
        UsageError: a stop or a target is given twice.
    """
    refuse_both("--stop", stop, "--stop-roi", stop_roi)
    refuse_both("--take-profit", take_profit, "--tp-roi", take_profit_roi)
    return ProtectionSpec(
        stop_price=stop,
        stop_roi_pct=stop_roi,
        take_profit_price=take_profit,
        take_profit_roi_pct=take_profit_roi,
    )

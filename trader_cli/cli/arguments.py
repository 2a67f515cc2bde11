"""What the operator's words mean: numbers, sides, symbols, times; each with one clear error.

The functions raise `ValueError` with a sentence; `strict` makes parsers of Typer of them, whose
errors are usage errors, exit code 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import wraps
from typing import Annotated, Final, TypeVar

import typer

from trader_cli.domain.numbers import parse_decimal
from trader_cli.domain.terms import Direction, Side, TimeInForce

_T = TypeVar("_T")
_SYMBOL: Final = re.compile(r"[A-Z0-9_]{2,40}", re.ASCII)
_ORDER_NAME: Final = re.compile(r"[.A-Za-z0-9:/_-]{1,36}", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,6})(ms|s|m|h|d)", re.ASCII)
_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def strict(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """Return the parser with its sentence kept: Typer shows only the value of a `ValueError`."""

    @wraps(parse)
    def parser(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parser


@strict
def positive_number(text: str) -> Decimal:
    """Return a plain decimal number above zero, written without a sign."""
    number = parse_decimal(text)
    if number <= 0:
        raise ValueError(f"{text} is not above zero")
    if text.strip().startswith("+"):
        raise ValueError(f"{text}: a number takes no sign")
    return number


@strict
def whole_number(text: str) -> int:
    """Return a whole number above zero."""
    number = positive_number(text)
    if number != number.to_integral_value():
        raise ValueError(f"{text} is not a whole number")
    return int(number)


@strict
def order_name(text: str) -> str:
    """Return the name of an order: its number or a client order id, whoever gave it.

    Source: binance-usdm reference §6.1 (newClientOrderId's pattern).
    """
    name = text.strip()
    if _ORDER_NAME.fullmatch(name) is None:
        raise ValueError(f"{text!r} is no order id, algo id or client order id")
    return name


@strict
def symbol_name(text: str) -> str:
    """Return the symbol in the exchange's spelling; whether it exists is asked later."""
    name = text.strip().upper()
    if _SYMBOL.fullmatch(name) is None:
        raise ValueError(f"{text!r} is not a symbol such as BTCUSDT")
    return name


@strict
def order_side(text: str) -> Side:
    """Return buy or sell."""
    try:
        return Side(text.strip().upper())
    except ValueError:
        raise ValueError(f"{text!r} is not one of buy, sell") from None


@strict
def position_direction(text: str) -> Direction:
    """Return long or short."""
    try:
        return Direction(text.strip().upper())
    except ValueError:
        raise ValueError(f"{text!r} is not one of long, short") from None


@strict
def time_in_force(text: str) -> TimeInForce:
    """Return a time in force an operator may choose."""
    allowed = ("GTC", "IOC", "FOK", "GTX", "GTD")
    name = text.strip().upper()
    if name not in allowed:
        raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
    return TimeInForce(name)


def duration_ms(text: str) -> int:
    """Return a duration such as 90s, 15m, 2h or 1d in milliseconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a duration such as 90s, 15m, 2h or 1d")
    return int(match[1]) * _UNIT_MS[match[2]]


def moment_ms(text: str, *, now_ms: int) -> int:
    """Return UTC epoch milliseconds of a duration from now or an ISO 8601 time with its zone.

    Raises:
        ValueError: neither of the two.
    """
    try:
        return now_ms + duration_ms(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is neither a duration (15m) nor a time with zone (…T12:00Z)")
    return int(moment.timestamp() * 1000)


Symbol = Annotated[str, typer.Argument(parser=symbol_name, metavar="SYMBOL", help="e.g. BTCUSDT")]
OptionalSymbol = Annotated[
    str | None, typer.Argument(parser=symbol_name, metavar="[SYMBOL]", help="only this symbol")
]
OrderSide = Annotated[Side, typer.Argument(parser=order_side, metavar="SIDE", help="buy or sell")]
PositionDirection = Annotated[
    Direction, typer.Argument(parser=position_direction, metavar="SIDE", help="long or short")
]
OfPosition = Annotated[
    Direction | None,
    typer.Option(
        "--position",
        parser=position_direction,
        metavar="long|short",
        help="which position, in hedge mode",
    ),
]

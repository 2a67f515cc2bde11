"""Prices as an operator types them: a number, or a distance.

`+0.1%` and `-0.1%` are percent, `+5t` and `-5t` ticks. Orders are measured from the touch, where an
order of that side would rest: the bid for a buy, the ask for a sell. The exits of a position that
is held are measured from its entry price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, Final

import typer

from trader_cli.cli.arguments import strict
from trader_cli.domain.numbers import HUNDRED, ONE, parse_decimal, to_text
from trader_cli.errors import UsageError

_RELATIVE: Final = re.compile(r"([+-])(\d{1,9}(?:\.\d{1,9})?)(%|t)", re.ASCII)


@unique
class _Unit(StrEnum):
    PRICE = "price"
    PERCENT = "%"
    TICKS = "t"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceWish:
    """A price as typed; `number` is signed where it is a distance."""

    number: Decimal
    unit: _Unit = _Unit.PRICE

    @property
    def is_relative(self) -> bool:
        return self.unit is not _Unit.PRICE

    def __str__(self) -> str:
        """Return it as it was typed."""
        sign = "+" if self.is_relative and self.number > 0 else ""
        return f"{sign}{to_text(self.number)}{self.unit if self.is_relative else ''}"

    def at(self, start: Decimal, tick_size: Decimal) -> Decimal:
        """Return the price, a distance counted from `start`; it is not on the tick yet.

        Raises:
            UsageError: the distance leads below zero.
        """
        match self.unit:
            case _Unit.PRICE:
                price = self.number
            case _Unit.PERCENT:
                price = start * (ONE + self.number / HUNDRED)
            case _Unit.TICKS:
                price = start + self.number * tick_size
        if price <= 0:
            raise UsageError(f"{self} from {to_text(start)} is no price")
        return price


@strict
def price_wish(text: str) -> PriceWish:
    """Return a price such as 60000, +0.1% or -5t."""
    match = _RELATIVE.fullmatch(text.strip())
    if match is None:
        number = parse_decimal(text)
        if number <= 0:
            raise ValueError(f"{text} is not above zero")
        if text.strip().startswith("+"):
            raise ValueError(f"{text}: a number takes no sign, a distance ends in % or t (ticks)")
        return PriceWish(number=number)
    sign, number_text, unit = match.groups()
    return PriceWish(
        number=parse_decimal(number_text) * (1 if sign == "+" else -1), unit=_Unit(unit)
    )


RELATIVE_NUMBERS: Final = {"ignore_unknown_options": True}
"""Context settings of commands that take `-5t` as an argument and not as an option."""

_FORM: Final = "e.g. 60000, or from the touch: +0.1%, -5t"
PriceArgument = Annotated[PriceWish, typer.Argument(parser=price_wish, metavar="PRICE", help=_FORM)]
OptionalPriceArgument = Annotated[
    PriceWish | None, typer.Argument(parser=price_wish, metavar="PRICE", help=_FORM)
]
"""Where `--usd` can take the place of the number before it."""

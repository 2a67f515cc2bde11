"""Decimal numbers at the program's edges: strict in, plain digits out.

Rounding to an instrument's filters lives in `instrument.py`; nothing else rounds.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_PLAIN: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_DIGITS_MAX: Final = 40

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HUNDRED: Final = Decimal(100)
BPS: Final = Decimal(10_000)


def parse_decimal(text: str) -> Decimal:
    """Return the number a person or a file wrote in plain digits.

    Raises:
        ValueError: not plain digits (`NaN`, `Infinity`, `1e3`, blanks, grouping), or absurdly long.
    """
    stripped = text.strip()
    if len(stripped) > _DIGITS_MAX or _PLAIN.fullmatch(stripped) is None:
        raise ValueError(f"{text!r} is not a plain decimal number")
    return Decimal(stripped)


def to_wire(value: Decimal) -> str:
    """Format for the venue: plain digits, never an exponent (`str` gives 1E-7)."""
    assert value.is_finite(), "checked where the number entered the program"
    return format(value, "f")


def to_text(value: Decimal) -> str:
    """Format for people and JSON: plain digits without trailing zeros, never `-0`."""
    if not value:
        return "0"
    text = str(value)  # several times as fast as `format`, where it needs no exponent
    if "E" in text or not value.is_finite():
        text = to_wire(value)
    return text.rstrip("0").rstrip(".") if "." in text else text

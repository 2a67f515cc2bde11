"""Reads one JSON object key by key, strictly, and says exactly which key was wrong.

Money comes as strings and becomes `Decimal`; a JSON number is accepted as money only where the
venue documents one, and only if the JSON was parsed with `parse_float=Decimal`. Knows nothing of
what the keys mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

E = TypeVar("E", bound=StrEnum)

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:E[+-]?\d{1,2})?", re.ASCII)
"""What the venue writes; zero is sometimes "0E-8"."""


class DecodeError(ValueError):
    """An answer or event is not what the venue documents.

    Attributes:
        row: which answer or event, e.g. "openOrders BTCUSDT".
        symbol: the contract it speaks of, None where that is unreadable too.
    """

    def __init__(self, row: str, reason: str, *, symbol: str | None = None) -> None:
        super().__init__(f"{row}: {reason}")
        self.row = row
        self.reason = reason
        self.symbol = symbol


def parse_json(text: str) -> object:
    """Return the JSON value with its non-integers as `Decimal`.

    Raises:
        ValueError: not JSON.
    """
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)


def rows_of(name: str, value: object) -> list[object]:
    """Return `value` if it is a list.

    Raises:
        DecodeError: it is not.
    """
    if not isinstance(value, list):
        raise DecodeError(name, f"expected a list, got {type(value).__name__}")
    return value


class Fields:
    """A JSON object under the name it has in messages."""

    __slots__ = ("_row", "name", "symbol")

    def __init__(self, name: str, value: object, *, symbol_key: str = "symbol") -> None:
        # The abstract check alone is a tenth of what decoding a row costs.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise DecodeError(name, f"expected an object, got {type(value).__name__}")
        self._row: Mapping[str, object] = value
        symbol = value.get(symbol_key)
        self.symbol = symbol if isinstance(symbol, str) else None
        self.name = name if self.symbol is None else f"{name} {self.symbol}"

    def fail(self, reason: str) -> DecodeError:
        """Return the error for this row; the caller raises it."""
        return DecodeError(self.name, reason, symbol=self.symbol)

    def raw(self, key: str) -> object:
        """Return the value of a key that has to be there."""
        try:
            return self._row[key]
        except KeyError:
            raise self.fail(f"{key} is missing") from None

    def has(self, key: str) -> bool:
        """Return True if the key is there with a value other than null and the empty string."""
        return self._row.get(key) not in (None, "")

    def text(self, key: str) -> str:
        value = self.raw(key)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a string")
        return value

    def integer(self, key: str) -> int:
        """Return an integer; digits in a string count, a boolean or a fraction does not."""
        value = self.raw(key)
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value, re.ASCII):
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, value, "an integer")
        return value

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def decimal(self, key: str) -> Decimal:
        """Return money, price or quantity, sent as a string (a whole JSON number will do)."""
        return self._decimal(key, self.raw(key))

    def number(self, key: str) -> Decimal:
        """Return a value that the venue documents as a JSON number, fraction or not."""
        value = self.raw(key)
        if isinstance(value, Decimal) and value.is_finite():
            return value
        return self._decimal(key, value)

    def decimal_or_none(self, key: str) -> Decimal | None:
        """Return None for a missing, null or empty value."""
        return self.decimal(key) if self.has(key) else None

    def positive_or_none(self, key: str) -> Decimal | None:
        """Return None also for zero, which is how the venue spells "does not apply"."""
        value = self.decimal_or_none(key)
        return None if value is None or value == 0 else value

    def word(self, key: str, kind: type[E]) -> E:
        """Return the enum member; an unknown word is an error, never a guess."""
        value = self.text(key)
        try:
            return kind(value)
        except ValueError:
            raise self.fail(f"{key}: {value!r} is no {kind.__name__} we know") from None

    def child(self, key: str, *, symbol_key: str = "symbol") -> Fields:
        return Fields(f"{self.name} {key}", self.raw(key), symbol_key=symbol_key)

    def children(self, key: str, *, symbol_key: str = "symbol") -> list[Fields]:
        name = f"{self.name} {key}"
        return [Fields(name, row, symbol_key=symbol_key) for row in rows_of(name, self.raw(key))]

    def _decimal(self, key: str, value: object) -> Decimal:
        if isinstance(value, str) and _NUMBER.fullmatch(value) is not None:
            return Decimal(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        raise self._wrong(key, value, "a decimal string")

    def _wrong(self, key: str, value: object, wanted: str) -> DecodeError:
        return self.fail(f"{key}: expected {wanted}, got {value!r:.60}")


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")

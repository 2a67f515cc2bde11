"""Reads one JSON object key by key, strictly, and says exactly which key was wrong.

Money comes as strings and becomes `Decimal`; a JSON number is accepted as money only where the
venue documents one, and only with the digits it was written with. Knows nothing of what the keys
mean. Every row of every list and every stream event passes through here, so what is right is told
apart with one look into the row, and only what is wrong pays for its explanation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson

E = TypeVar("E", bound=StrEnum)

_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:E[+-]?\d{1,2})?", re.ASCII)
"""What the venue writes; zero is sometimes "0E-8"."""

_FRACTION: Final = re.compile(rb'\.\d+[^"\d]')
"""A JSON number with a fraction, or text that looks like one: money as text ends in a quote."""

_NUMBERS_KEPT: Final = 4_096


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


def parse_json(text: str | bytes) -> object:
    """Return the JSON value; its numbers with a fraction are `Decimal`, never rounded.

    orjson is three times as fast but makes floats of them, so it only gets what has none. Should
    one escape (an exponent without a point), it stays a float, which `Fields` takes for nothing.

    Raises:
        ValueError: not JSON.
    """
    data = text.encode("utf-8", errors="replace") if isinstance(text, str) else text
    if _FRACTION.search(data) is None:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # the standard library also reads what is not quite UTF-8
    return json.loads(
        data.decode("utf-8", errors="replace"),
        parse_float=Decimal,
        parse_constant=_refuse_constant,
    )


def parse_event(text: str) -> object:
    """Return the JSON value of a stream's message, in which all money is text.

    A number with a fraction becomes a float, which `Fields` takes for nothing, so that the look for
    one is saved.

    Raises:
        ValueError: not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return parse_json(text)


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

    __slots__ = ("_kind", "_row", "_symbol_key")

    def __init__(self, name: str, value: object, *, symbol_key: str = "symbol") -> None:
        # The abstract check alone is a tenth of what decoding a row costs.
        if type(value) is not dict and not isinstance(value, Mapping):
            raise DecodeError(name, f"expected an object, got {type(value).__name__}")
        self._row: Mapping[str, object] = value
        self._kind = name
        self._symbol_key = symbol_key

    @property
    def symbol(self) -> str | None:
        """The contract the row speaks of, None where it names none."""
        symbol = self._row.get(self._symbol_key)
        return symbol if isinstance(symbol, str) else None

    @property
    def name(self) -> str:
        """What the row is called in messages, e.g. "order BTCUSDT"."""
        symbol = self.symbol
        return self._kind if symbol is None else f"{self._kind} {symbol}"

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
        value = self._row.get(key)
        if isinstance(value, str):
            return value
        raise self._wrong(key, "a string")

    def text_or_none(self, key: str) -> str | None:
        """Return None for a missing, null or empty value."""
        value = self._row.get(key)
        return None if value is None or value == "" else self.text(key)

    def integer(self, key: str) -> int:
        """Return an integer; digits in a string count, a boolean or a fraction does not."""
        value = self._row.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value, re.ASCII):
            return int(value)
        raise self._wrong(key, "an integer")

    def integer_or_none(self, key: str) -> int | None:
        """Return None for a missing, null or empty value."""
        value = self._row.get(key)
        return None if value is None or value == "" else self.integer(key)

    def flag(self, key: str) -> bool:
        value = self._row.get(key)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "true or false")

    def decimal(self, key: str) -> Decimal:
        """Return money, price or quantity, sent as a string (a whole JSON number will do)."""
        value = self._row.get(key)
        if isinstance(value, str):
            try:
                return NUMBERS[value]
            except KeyError:
                pass  # no number
        elif isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        raise self._wrong(key, "a decimal string")

    def number(self, key: str) -> Decimal:
        """Return a value that the venue documents as a JSON number, fraction or not."""
        value = self._row.get(key)
        if isinstance(value, Decimal) and value.is_finite():
            return value
        return self.decimal(key)

    def decimal_or_none(self, key: str) -> Decimal | None:
        """Return None for a missing, null or empty value."""
        value = self._row.get(key)
        return None if value is None or value == "" else self.decimal(key)

    def positive_or_none(self, key: str) -> Decimal | None:
        """Return None also for zero, which is how the venue spells "does not apply"."""
        value = self.decimal_or_none(key)
        return None if value is None or value.is_zero() else value

    def word(self, key: str, kind: type[E]) -> E:
        """Return the enum member; an unknown word is an error, never a guess."""
        value = self._row.get(key)
        if isinstance(value, str):
            member: E | None = WORDS[kind].get(value)
            if member is not None:
                return member
            raise self.fail(f"{key}: {value!r} is no {kind.__name__} we know")
        raise self._wrong(key, "a string")

    def child(self, key: str, *, symbol_key: str = "symbol") -> Fields:
        return Fields(f"{self.name} {key}", self.raw(key), symbol_key=symbol_key)

    def children(self, key: str, *, symbol_key: str = "symbol") -> list[Fields]:
        name = f"{self.name} {key}"
        return [Fields(name, row, symbol_key=symbol_key) for row in rows_of(name, self.raw(key))]

    def _wrong(self, key: str, wanted: str) -> DecodeError:
        value = self.raw(key)
        return self.fail(f"{key}: expected {wanted}, got {value!r:.60}")


class _Words(dict[type[StrEnum], dict[str, Any]]):
    """The members of every enum asked for, by word: calling the enum costs three times as much."""

    def __missing__(self, kind: type[StrEnum]) -> dict[str, Any]:
        members = self[kind] = {member.value: member for member in kind}
        return members


WORDS: Final = _Words()
"""The members of an enum by what the venue calls them."""


class _Numbers(dict[str, Decimal]):
    """The numbers seen of late, by their text: most recur, like zero, a lot, a price level."""

    def __missing__(self, text: str) -> Decimal:
        if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
            raise KeyError(text)
        if len(self) >= _NUMBERS_KEPT:
            self.clear()
        number = self[text] = Decimal(text)
        return number


NUMBERS: Final = _Numbers()
"""Money by its text; a `KeyError` for what is no number as the venue writes them."""


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")

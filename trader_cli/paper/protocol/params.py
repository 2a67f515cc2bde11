"""Request parameters as the venue reads them: text in, typed values or the venue's refusal out.

Knows the parameter errors (-1102, -1106, -1111, …). Must not know where the text came from.
Names match case-insensitively and unknown ones are never looked at.

Source: binance-usdm reference §3.2, §5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeVar, cast

from trader_cli.paper.protocol.refusal import VenueRefusal

_Enum = TypeVar("_Enum", bound=StrEnum)
_DECIMAL: Final = re.compile(r"-?\d{1,20}(\.\d{0,20})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_INTEGER_DIGITS_MAX: Final = 18
_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
_CLIENT_ID_RANGE: Final = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
CLIENT_ID_LENGTH_MAX: Final = 36
_CLIENT_ID_TOO_LONG: Final = "Client order id length should be less than 36 chars"
"""The wire's words, though 36 are taken."""

_NUMBERS_KEPT: Final = 8_192
"""Orders repeat their prices and quantities; what was read before is not read again."""


class Params:
    """One request's parameters. An empty value counts as not sent."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        """Keep `values` (names in any case, in Binance's spelling otherwise)."""
        pairs = values.items() if isinstance(values, Mapping) else values
        self._values = {name.lower(): value for name, value in pairs if value != ""}

    @staticmethod
    def of_lower(values: dict[str, str]) -> Params:
        """Return parameters that take over `values`, whose names are in lower case already."""
        params = Params.__new__(Params)
        params._values = values
        if "" in values.values():
            params._values = {name: value for name, value in values.items() if value != ""}
        return params

    def has(self, name: str) -> bool:
        return name.lower() in self._values

    def text(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def texts(self, names: Iterable[str]) -> tuple[str | None, ...]:
        """Return the texts of several names, given in lower case."""
        return tuple(map(self._values.get, names))

    def needed(self, name: str) -> str:
        """Return the text of a mandatory parameter; refuses with -1102."""
        value = self._values.get(name.lower())
        if value is None:
            raise _missing(name)
        return value

    def enum(self, name: str, kind: type[_Enum], *, code: int) -> _Enum | None:
        """Return an enum value; refuses with `code` if it is none of the venue's words."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        found = kind._value2member_map_.get(value.upper())
        if found is None:
            raise VenueRefusal(code, *_named_in_words(code, name, value))
        return cast("_Enum", found)

    def decimal(self, name: str) -> Decimal | None:
        """Return a plain decimal number; refuses with -1102 as malformed."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        number = _plain_decimal(value)
        if number is None:
            raise _missing(name)
        return number

    def integer(self, name: str) -> int | None:
        """Return a whole number; refuses with -1102 as malformed."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        plain = len(value) <= _INTEGER_DIGITS_MAX and value.isascii() and value.isdecimal()
        if not plain and _INTEGER.fullmatch(value) is None:
            raise _missing(name)
        return int(value)

    def flag(self, name: str) -> bool | None:
        """Return a boolean in any case (`true`, `False`); refuses with -1102 as malformed."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise _missing(name)
        return value.lower() == "true"

    def client_id(self, name: str) -> str | None:
        """Return a client order id; refuses with -4015 if too long, -1100 if not its alphabet."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        if len(value) > CLIENT_ID_LENGTH_MAX:
            raise VenueRefusal(-4015, detail=_CLIENT_ID_TOO_LONG)
        if _CLIENT_ID.fullmatch(value) is None:
            raise VenueRefusal(-1100, name, _CLIENT_ID_RANGE)
        return value


@lru_cache(_NUMBERS_KEPT)
def _plain_decimal(text: str) -> Decimal | None:
    """Return the number that plain digits spell, None if they do not."""
    return None if _DECIMAL.fullmatch(text) is None else Decimal(text)


def _missing(name: str) -> VenueRefusal:
    """Return the refusal of a parameter that is not there or makes no sense.

    The exchange reads names in any case and tells them in lower case.
    """
    return VenueRefusal(-1102, name.lower())


def _named_in_words(code: int, name: str, value: str) -> tuple[str, ...]:
    """Return what the words of `code` name of a parameter whose value is none of the venue's."""
    match code:
        case -1130:
            return (name,)
        case -4031:
            return (value,)
    return ()

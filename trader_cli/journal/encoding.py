"""How a journal row becomes text and how rows are chained.

Canonical JSON (sorted keys, ASCII, no blanks): equal content gives equal bytes, so that a hash
over it means something. A `Decimal` becomes a string of plain digits; a binary float is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trader_cli.errors import BrokenInvariant
from trader_cli.journal.errors import JournalCorrupt

JsonObject = Mapping[str, object]
"""What goes in: text, whole numbers, booleans, None, Decimals, and lists and objects of them."""

DecodedObject = dict[str, Any]
"""What comes out; numbers that went in as `Decimal` come out as text."""

CHAIN_START: Final = "0" * 64
"""Stands for the hash before the first row."""

_to_text: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_AS_THEY_ARE: Final = frozenset((str, int, bool, type(None)))


def encode(data: JsonObject) -> str:
    """Return the canonical text of `data`.

    Raises:
        BrokenInvariant: a float, a number that is not finite, or a type the journal does not keep.
    """
    return _to_text(_plain(data, "data"))


def decode(text: str) -> DecodedObject:
    """Return what `encode` was given, with Decimals as text.

    Raises:
        JournalCorrupt: not an object that `encode` could have written.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise JournalCorrupt(
            f"a journal row is not JSON: {error}", advice="Run `trader journal verify`."
        ) from error
    if not isinstance(data, dict):
        raise JournalCorrupt(
            "a journal row is not an object", advice="Run `trader journal verify`."
        )
    return data


def chain_hash(previous: str, *, seq: int, local_ms: int, kind: str, data: str) -> str:
    """Return the hash of a row that follows the row with hash `previous`."""
    content = f"{previous}\n{seq}\n{local_ms}\n{kind}\n{data}"
    return hashlib.sha256(content.encode()).hexdigest()


def _plain(value: object, where: str) -> object:
    if type(value) in _AS_THEY_ARE:  # nearly all that comes, and the quickest to tell
        return value
    match value:
        case None | bool() | int():
            return value
        case str():
            return str.__str__(value)  # an enum member is written as its value
        case Decimal() if value.is_finite():
            return format(value, "f")
        case Mapping():
            return {_key(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case _:
            raise BrokenInvariant(
                f"{where} is {value!r} ({type(value).__name__}), which the journal does not keep"
            )


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise BrokenInvariant(f"{where} has the key {key!r}, which is not text")
    return str.__str__(key)

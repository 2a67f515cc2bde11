"""Client order ids: a pure function of who decided, which leg and which attempt.

An id finds an order; it does not make a second send safe, because the venue checks uniqueness
only among open orders. Ids are journaled before the send and never reused.

Source: binance-usdm reference §6.1 (pattern, 36 characters), §15.3 (characters that python-binance
signs wrongly are left out).
"""

from __future__ import annotations

import hashlib
import string
from enum import StrEnum, unique
from typing import Final

PREFIX: Final = "trd-"
"""What marks an order as ours, in both worlds; orders without it are foreign."""

_HASH_CHARS: Final = 20


@unique
class Leg(StrEnum):
    """What an order is for."""

    ENTRY = "en"
    EXIT = "ex"
    STOP = "sl"
    TAKE_PROFIT = "tp"
    TRAILING = "tr"


def client_order_id(source: str, leg: Leg, attempt: int) -> str:
    """Return the id of the `attempt`-th order of `leg` for a decision or command `source`."""
    assert 0 <= attempt < 10_000, "attempts are bounded by the caller"
    digest = hashlib.sha256(source.encode()).hexdigest()[:_HASH_CHARS]
    return f"{PREFIX}{digest}-{leg}{attempt}"


def is_own(client_order_id: str) -> bool:
    """Return True if the id is one of ours."""
    return client_order_id.startswith(PREFIX)


def belong_together(one: str, other: str) -> bool:
    """Return True if both ids are ours and of one decision or command, e.g. an entry and its stop.

    It holds without any journal: whoever decided is part of the id.
    """
    return is_own(one) and one.rpartition("-")[0] == other.rpartition("-")[0]


def is_same_leg(one: str, other: str) -> bool:
    """Return True if both ids are ours, of one decision or command and of one leg."""
    return belong_together(one, other) and one.rstrip(string.digits) == other.rstrip(string.digits)

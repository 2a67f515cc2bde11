"""Sudden moves of a synthetic price: when and how far, a pure function of a salt and time.

Knows no prices: a jump is a share of whatever the price is then.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Final

_DAY_MS: Final = 86_400_000
_SLOT_MS: Final = 60_000
_PLACES: Final = Decimal("0.000001")
_SHARE_MAX: Final = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomJumps:
    """The jumps of one symbol.

    Attributes:
        per_day: how many on average, at most one a minute.
        size: the typical share of the price, up and down alike.
    """

    salt: int
    per_day: float
    size: Decimal

    def between(self, after_ms: int, until_ms: int) -> Iterator[tuple[int, Decimal]]:
        """Yield (time, share of the price) of the jumps in (after_ms, until_ms].

        Times are odd, so that a jump never meets a tick of an even grid.
        """
        chance_of_slot = self.per_day * _SLOT_MS / _DAY_MS
        for slot in range(after_ms // _SLOT_MS, until_ms // _SLOT_MS + 1):
            chance, moment, first, second = self._draws(slot)
            time_ms = (slot * _SLOT_MS + int(moment * _SLOT_MS)) | 1
            if chance < chance_of_slot and after_ms < time_ms <= until_ms:
                normal = math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
                share = (self.size * Decimal(normal)).quantize(_PLACES)
                yield time_ms, max(-_SHARE_MAX, min(_SHARE_MAX, share))

    def _draws(self, slot: int) -> tuple[float, float, float, float]:
        """Return four uniform numbers in [0, 1) that belong to a minute."""
        data = struct.pack("<Qq", self.salt, slot)
        words = struct.unpack("<4I", blake2b(data, digest_size=16).digest())
        one, two, three, four = (word / 2**32 for word in words)
        return one, two, three, four

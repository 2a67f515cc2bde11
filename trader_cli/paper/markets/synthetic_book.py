"""What surrounds a price of the synthetic market: spread, resting sizes, basis and funding.

Everything here is a pure function of a salt (seed and symbol) and a point in time, so that it
can be asked again for any moment. Knows integers (ticks, steps); must not know the price path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FUNDING_INTERVAL_MS: Final = 8 * 3_600_000
"""00, 08 and 16 UTC. Source: binance-usdm reference §13.4."""

INTEREST_E8: Final = 10_000
"""The fixed interest of 0.01 % per 8 hours, in units of 1e-8."""

_FUNDING_CAP_E8: Final = 300_000
_FUNDING_BAND_E8: Final = 50_000
_PREMIUM_DEVIATION_E8: Final = 35_000

_BASIS_MAX: Final = 1.2e-4
_BASIS_KNOT_MS: Final = 30_000
_BASIS_WINDOW_MS: Final = 30_000

_SPREADS: Final = ((0.70, 1), (0.88, 2), (0.96, 3), (0.99, 4), (1.0, 6))
_LEVEL_LIFE_MS: Final = 2_000
_LEVEL_CURVE: Final = 48
"""The n-th level is n + n*n / 48 ticks behind the touch: 1000 levels of BTCUSDT reach 2 %."""
_LEVELS_MAX: Final = 2_000

_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The surroundings of one symbol's price.

    Attributes:
        salt: what makes this symbol and seed different from others, 64 bits.
        touch_steps: typical size at the best price, in quantity steps.
        spread_min: least ask minus bid, in ticks; wider spreads grow with it.
    """

    salt: int
    touch_steps: int
    spread_min: int = 1

    def spread(self, time_ms: int) -> int:
        """Return ask minus bid in ticks; it holds for a second."""
        chance = self._uniform(1, time_ms // 1_000)
        return self.spread_min * next(ticks for bound, ticks in _SPREADS if chance <= bound)

    def touch(self, time_ms: int, *, ask: bool) -> int:
        """Return the size at the best price in steps, at least one."""
        chance = self._uniform(2 + ask, time_ms)
        return max(1, int(self.touch_steps * (0.2 + 1.6 * chance)))

    def levels(self, best: int, time_ms: int, *, ask: bool) -> Iterator[tuple[int, int]]:
        """Yield (price in ticks, size in steps) from the best price outwards."""
        yield best, self.touch(time_ms, ask=ask)
        way = 1 if ask else -1
        for n in range(1, _LEVELS_MAX):
            price = best + way * (n + n * n // _LEVEL_CURVE)
            if price < 1:
                return
            # A level keeps its size for a while, each price by a rhythm of its own.
            life = (time_ms + price * 997) // _LEVEL_LIFE_MS
            chance = self._uniform(4 + ask, price * 1_000_003 + life)
            yield price, max(1, int(self.touch_steps * (0.1 + 1.5 * chance) * (1 + n / 40)))

    def mark_and_index(self, middle: float, last: int, time_ms: int) -> tuple[int, int]:
        """Return mark and index price in ticks for a middle price in ticks.

        Source: binance-usdm reference §13.5, the median of three prices; the 30 second average
        of the basis is taken at its middle, because the basis moves slowly.
        """
        basis = self._basis(time_ms)
        index = middle * (1 + basis)
        left = FUNDING_INTERVAL_MS - time_ms % FUNDING_INTERVAL_MS
        rate = self.funding_e8(time_ms) / 1e8
        by_funding = index * (1 + rate * left / FUNDING_INTERVAL_MS)
        by_basis = index * (1 - self._basis(time_ms - _BASIS_WINDOW_MS // 2))
        mark = sorted((by_funding, by_basis, float(last)))[1]
        return max(1, round(mark)), max(1, round(index))

    def funding_e8(self, time_ms: int) -> int:
        """Return the rate estimated at `time_ms` for the next settlement, in units of 1e-8.

        At a multiple of eight hours it is the rate settled there.
        Source: binance-usdm reference §13.4.
        """
        settles = -(-time_ms // FUNDING_INTERVAL_MS)
        left = (settles * FUNDING_INTERVAL_MS - time_ms) / FUNDING_INTERVAL_MS
        premium = INTEREST_E8 + _PREMIUM_DEVIATION_E8 * self._normal(6, settles)
        premium += _PREMIUM_DEVIATION_E8 * 0.25 * left * self._normal(7, time_ms // 60_000)
        band = max(-_FUNDING_BAND_E8, min(_FUNDING_BAND_E8, INTEREST_E8 - premium))
        return int(max(-_FUNDING_CAP_E8, min(_FUNDING_CAP_E8, premium + band)))

    def _basis(self, time_ms: int) -> float:
        """Return how far the index is from the middle price, as a fraction."""
        knot, past = divmod(time_ms, _BASIS_KNOT_MS)
        share = past / _BASIS_KNOT_MS
        before, after = self._uniform(8, knot), self._uniform(8, knot + 1)
        return _BASIS_MAX * (2 * (before + (after - before) * share) - 1)

    def _uniform(self, kind: int, number: int) -> float:
        """Return a number in [0, 1) that belongs to this kind and number (SplitMix64's mix)."""
        x = (self.salt + kind * 0xD1B54A32D192ED03 + number * 0x9E3779B97F4A7C15) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        return (x ^ (x >> 31)) / 2**64

    def _normal(self, kind: int, number: int) -> float:
        """Return a standard normal, bounded to about 6."""
        first, second = self._uniform(kind, 2 * number), self._uniform(kind, 2 * number + 1)
        return math.sqrt(-2 * math.log(first + 1e-9)) * math.cos(2 * math.pi * second)

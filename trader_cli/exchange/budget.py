"""What the venue allows in a minute, as far as processes on one machine have used it up.

The venue's own counters, told in the headers of every answer, are the truth; a `Budget` shares the
last of them, and the measured clock, between processes. Knows the published limits and nothing of
files: a store that outlives a process is handed in.

Source: binance-usdm reference §3.6, §4.
"""

from __future__ import annotations

from typing import Final, Protocol

WEIGHT_MAX: Final = 2_400
"""Request weight of one address in a minute."""
ORDERS_10S_MAX: Final = 300
ORDERS_1M_MAX: Final = 1_200
"""Orders of one account in ten seconds and in a minute."""

TEN_SECONDS_MS: Final = 10_000
MINUTE_MS: Final = 60_000


class Budget(Protocol):
    """The last counters any process saw; times are the venue's, UTC epoch milliseconds."""

    def note(
        self,
        at_ms: int,
        *,
        weight_1m: int | None,
        orders_10s: int | None,
        orders_1m: int | None,
    ) -> None:
        """Remember what an answer told; None is what it did not tell."""
        ...

    def weight_used(self, at_ms: int) -> int:
        """Return the weight used in the minute of `at_ms`, 0 if nobody was told."""
        ...

    def orders_used(self, at_ms: int) -> tuple[int, int]:
        """Return the orders counted in the ten seconds and in the minute of `at_ms`."""
        ...

    def clock_offset(self, local_ms: int) -> tuple[int, int] | None:
        """Return (venue minus local time, age of the measurement), None if there is none."""
        ...

    def note_clock_offset(self, offset_ms: int, local_ms: int) -> None:
        """Remember a measurement."""
        ...


class BudgetInMemory:
    """Counters as long as the process lives; the clock is measured by everybody anew."""

    def __init__(self) -> None:
        self._weight = (-1, 0)
        self._orders_10s = (-1, 0)
        self._orders_1m = (-1, 0)

    def note(
        self,
        at_ms: int,
        *,
        weight_1m: int | None,
        orders_10s: int | None,
        orders_1m: int | None,
    ) -> None:
        if weight_1m is not None:
            self._weight = (at_ms // MINUTE_MS, weight_1m)
        if orders_10s is not None:
            self._orders_10s = (at_ms // TEN_SECONDS_MS, orders_10s)
        if orders_1m is not None:
            self._orders_1m = (at_ms // MINUTE_MS, orders_1m)

    def weight_used(self, at_ms: int) -> int:
        return _in_window(self._weight, at_ms // MINUTE_MS)

    def orders_used(self, at_ms: int) -> tuple[int, int]:
        return (
            _in_window(self._orders_10s, at_ms // TEN_SECONDS_MS),
            _in_window(self._orders_1m, at_ms // MINUTE_MS),
        )

    def clock_offset(self, local_ms: int) -> tuple[int, int] | None:
        return None

    def note_clock_offset(self, offset_ms: int, local_ms: int) -> None:
        return None


def _in_window(told: tuple[int, int], window: int) -> int:
    return told[1] if told[0] == window else 0

"""The wallet as it was last read, carried on by what the stream has booked since.

Pure; times are the exchange's. A reading takes a while and the stream tells late, so what was
booked about the moment of a reading may be in it or not: the balance is then doubtful, and a
reading between two quiet moments settles it. Knows amounts of one asset, not what they are for.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import ZERO

_MARGIN_MS: Final = 1_000
"""How far from a reading a booking must lie to be surely before or after: clocks err a little."""

_KEPT_MS: Final = 60_000
"""How long bookings are kept for a reading that was begun before them and is told after them."""


class WalletBook:
    """One asset's balance: a reading, and the bookings that it did not contain."""

    def __init__(self) -> None:
        self._wallet: Decimal | None = None
        self._asked_ms = 0
        self._answered_ms = 0
        self._booked = ZERO
        self._recent: deque[tuple[int, Decimal]] = deque()
        self._is_doubtful = False

    @property
    def balance(self) -> Decimal | None:
        """The last reading plus everything booked after it, None before the first."""
        return None if self._wallet is None else self._wallet + self._booked

    @property
    def is_doubtful(self) -> bool:
        """True if a booking lies so near the reading that it may count twice or not at all."""
        return self._is_doubtful

    def load(self, wallet: Decimal, *, asked_ms: int, answered_ms: int) -> None:
        """Begin anew from a reading made between two moments; an older one changes nothing."""
        if answered_ms < self._answered_ms:
            return
        self._wallet = wallet
        self._asked_ms, self._answered_ms = asked_ms, answered_ms
        self._booked = sum((each for at, each in self._recent if self._is_after(at)), ZERO)
        self._is_doubtful = any(self._is_near(at) for at, _ in self._recent)

    def book(self, amount: Decimal, *, at_ms: int) -> None:
        """Take in a booking of exchange time `at_ms`, signed; repeats are the caller's to spot."""
        self._recent.append((at_ms, amount))
        while at_ms - self._recent[0][0] > _KEPT_MS:
            self._recent.popleft()
        if self._is_after(at_ms):
            self._booked += amount
        if self._is_near(at_ms):
            self._is_doubtful = True

    def _is_after(self, at_ms: int) -> bool:
        """Return True if the reading does not contain what was booked then, as far as known."""
        return at_ms > (self._asked_ms + self._answered_ms) // 2

    def _is_near(self, at_ms: int) -> bool:
        return self._asked_ms - _MARGIN_MS <= at_ms <= self._answered_ms + _MARGIN_MS

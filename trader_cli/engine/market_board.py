"""The newest prices the engine has, and how old they are by its own clock and by the exchange's.

Prices are kept, never queued: only the latest of each symbol matters. A price is as old as the
older of two: its arrival, and the exchange's own time of it; a stream that runs late delivers
without a pause and tells the past. Where the stream has nothing fresh the exchange is asked, so
that a quiet symbol can still be traded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.account import BookTop, MarkPrice
from trader_cli.domain.account_events import BookTopChanged, MarketEvent, MarkPriceChanged
from trader_cli.errors import VenueError

T = TypeVar("T", BookTop, MarkPrice)

_FRESH_MS: Final = 2_000
_MEASURE_EVERY_MS: Final = 30_000
"""How often the clock is measured because prices look old: it may be the clock that is wrong."""


@dataclass(frozen=True, slots=True)
class _Heard(Generic[T]):
    """A price and when it came by the machine's steady clock.

    Attributes:
        is_dated: its own time says how old it is; REST dates a quote by the book's last change,
            and that it still holds is known from asking.
    """

    price: T
    heard_ms: int
    is_dated: bool = True


class MarketBoard:
    """Latest best bid and ask and mark price by symbol."""

    def __init__(
        self,
        *,
        clock: Clock,
        venue_now_ms: Callable[[], int],
        measure_clock: Callable[[], Awaitable[int]],
        read_top: Callable[[str], Awaitable[BookTop]],
        read_mark: Callable[[str], Awaitable[MarkPrice]],
    ) -> None:
        """
        Args:
            venue_now_ms: the exchange's time as estimated now.
            measure_clock: makes that estimate anew.
        """
        self._clock = clock
        self._venue_now_ms = venue_now_ms
        self._measure_clock = measure_clock
        self._read_top = read_top
        self._read_mark = read_mark
        self._tops: dict[str, _Heard[BookTop]] = {}
        self._marks: dict[str, _Heard[MarkPrice]] = {}
        self._measured_ms: int | None = None

    def take(self, event: MarketEvent) -> None:
        """Keep a price of the stream unless a newer one is known; other events are no prices."""
        if isinstance(event, BookTopChanged):
            _keep(self._tops, event.top, heard_ms=self._now_ms())
        elif isinstance(event, MarkPriceChanged):
            _keep(self._marks, event.mark, heard_ms=self._now_ms())

    async def book(self, symbol: str) -> BookTop:
        """Return a best bid and ask at most two seconds old, asking the exchange if need be.

        Raises:
            VenueError: nothing fresh is known and the exchange could not be asked.
        """
        known = self._tops.get(symbol)
        if known is not None and await self._is_fresh(known):
            return known.price
        top = await self._read_top(symbol)
        self._tops[symbol] = _Heard(top, self._now_ms(), is_dated=False)
        return top

    async def mark(self, symbol: str) -> MarkPrice:
        """Return a mark price at most two seconds old, asking the exchange if need be.

        Raises:
            VenueError: nothing fresh is known and the exchange could not be asked.
        """
        known = self._marks.get(symbol)
        if known is not None and await self._is_fresh(known):
            return known.price
        mark = await self._read_mark(symbol)
        self._marks[symbol] = _Heard(mark, self._now_ms())
        return mark

    def latest_mark(self, symbol: str) -> tuple[MarkPrice, int] | None:
        """Return the newest mark price and its age in milliseconds, None if there is none."""
        known = self._marks.get(symbol)
        return None if known is None else (known.price, self._age_ms(known))

    def symbols(self) -> list[str]:
        """Return the symbols a mark price is known of."""
        return list(self._marks)

    async def _is_fresh(self, known: _Heard[T]) -> bool:
        if self._now_ms() - known.heard_ms > _FRESH_MS:
            return False
        if self._age_ms(known) > _FRESH_MS:
            await self._measure_now_and_then()
        return self._age_ms(known) <= _FRESH_MS

    async def _measure_now_and_then(self) -> None:
        """Measure the exchange's clock: the machine's may have been set since the last time."""
        now_ms = self._now_ms()
        if self._measured_ms is not None and now_ms - self._measured_ms < _MEASURE_EVERY_MS:
            return
        self._measured_ms = now_ms
        with contextlib.suppress(VenueError):
            await self._measure_clock()

    def _age_ms(self, known: _Heard[T]) -> int:
        heard_ms = max(0, self._now_ms() - known.heard_ms)
        if not known.is_dated:
            return heard_ms
        return max(heard_ms, self._venue_now_ms() - known.price.venue_ms)

    def _now_ms(self) -> int:
        return round(self._clock.monotonic() * 1_000)


def _keep(prices: dict[str, _Heard[T]], price: T, *, heard_ms: int) -> None:
    known = prices.get(price.symbol)
    if known is None or price.venue_ms >= known.price.venue_ms:
        prices[price.symbol] = _Heard(price, heard_ms)

"""The newest prices the engine has, and how old they are by its own clock.

Prices are kept, never queued: only the latest of each symbol matters. Where the stream has nothing
fresh the exchange is asked, so that a quiet symbol can still be traded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.account import BookTop, MarkPrice
from trader_cli.domain.account_events import BookTopChanged, MarketEvent, MarkPriceChanged

_FRESH_MS: Final = 2_000


class MarketBoard:
    """Latest best bid and ask and mark price by symbol."""

    def __init__(
        self,
        *,
        clock: Clock,
        read_top: Callable[[str], Awaitable[BookTop]],
        read_mark: Callable[[str], Awaitable[MarkPrice]],
    ) -> None:
        self._clock = clock
        self._read_top = read_top
        self._read_mark = read_mark
        self._tops: dict[str, tuple[BookTop, int]] = {}
        self._marks: dict[str, tuple[MarkPrice, int]] = {}

    def take(self, event: MarketEvent) -> None:
        """Keep a price of the stream; other events are not prices."""
        now_ms = self._clock.now_ms()
        if isinstance(event, BookTopChanged):
            self._tops[event.top.symbol] = event.top, now_ms
        elif isinstance(event, MarkPriceChanged):
            self._marks[event.mark.symbol] = event.mark, now_ms

    async def book(self, symbol: str) -> BookTop:
        """Return a best bid and ask at most two seconds old, asking the exchange if need be.

        Raises:
            VenueError: nothing fresh is known and the exchange could not be asked.
        """
        known = self._tops.get(symbol)
        if known is not None and self._clock.now_ms() - known[1] <= _FRESH_MS:
            return known[0]
        top = await self._read_top(symbol)
        self._tops[symbol] = top, self._clock.now_ms()
        return top

    async def mark(self, symbol: str) -> MarkPrice:
        """Return a mark price at most two seconds old, asking the exchange if need be.

        Raises:
            VenueError: nothing fresh is known and the exchange could not be asked.
        """
        known = self._marks.get(symbol)
        if known is not None and self._clock.now_ms() - known[1] <= _FRESH_MS:
            return known[0]
        mark = await self._read_mark(symbol)
        self._marks[symbol] = mark, self._clock.now_ms()
        return mark

    def latest_mark(self, symbol: str) -> tuple[MarkPrice, int] | None:
        """Return the newest mark price and its age in milliseconds, None if there is none."""
        known = self._marks.get(symbol)
        return None if known is None else (known[0], max(0, self._clock.now_ms() - known[1]))

    def symbols(self) -> list[str]:
        """Return the symbols a mark price is known of."""
        return list(self._marks)

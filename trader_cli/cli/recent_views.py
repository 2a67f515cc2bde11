"""One reading of the account serves a whole command, for as long as it is fresh.

A reading weighs about 140 of the 2,400 that the exchange allows a minute, and an entry that is
re-priced asks for one before every send. What fills meanwhile is part of what was approved, so a
view of a few seconds ago approves no more than the first one did; the halt latch is read anew
before every send anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trader_cli.clock import Clock
from trader_cli.trading.risk.risk_terms import RiskView

FRESH_S: Final = 3.0


class RecentViews:
    """Reads risk views through `read`, and gives the last one of a symbol again for 3 seconds."""

    def __init__(self, read: Callable[[str], Awaitable[RiskView]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[float, RiskView]] = {}

    async def read(self, symbol: str) -> RiskView:
        """Return the view for checks on `symbol`.

        Raises:
            VenueError, JournalUnavailable: something could not be read.
        """
        read_s, view = self._known.get(symbol, (0.0, None))
        if view is None or self._clock.monotonic() - read_s > FRESH_S:
            read_s = self._clock.monotonic()
            view = await self._read(symbol)
            self._known[symbol] = (read_s, view)
        return view

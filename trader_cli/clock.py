"""The only place that reads time, so that everything else can run under a virtual clock."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the program may know of time."""

    def now_ms(self) -> int:
        """Return UTC epoch milliseconds: the time of facts."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back: the time of waiting."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task for `seconds`; zero or less yields once."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

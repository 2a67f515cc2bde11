"""The time of a replayed market: it starts where the tape does and runs as fast as asked.

The exchange has one clock, the market's: server time, orders, candles and funding all go by it.
Requests are signed by clients' clocks, though, and those either follow the machine's or were set
by the server's time once; `signing_ms` finds the one a request meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trader_cli.clock import Clock

_ONE: Final = Decimal(1)


class ReplayClock:
    """Market time on top of the machine's; waiting stays the machine's.

    Args:
        start_ms: market time now.
        speed: market seconds a second.
    """

    def __init__(self, machine: Clock, *, start_ms: int, speed: Decimal = _ONE) -> None:
        assert speed > 0, "checked where the number entered the program"
        self._machine = machine
        self._start_ms = start_ms
        self._began = machine.monotonic()
        self._speed = float(speed)

    def now_ms(self) -> int:
        passed = self._machine.monotonic() - self._began
        return self._start_ms + int(passed * 1_000 * self._speed)

    def monotonic(self) -> float:
        return self._machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._machine.sleep(seconds)

    def signing_ms(self, timestamp_ms: int, now_ms: int) -> int:
        """Return the time with which a request's timestamp is to be compared.

        A client that goes by the machine's clock is judged by that. One that asked for the
        server's time once falls behind a fast market through no fault of its own: any moment
        since the replay began is its present.

        Args:
            now_ms: market time.
        """
        machine_ms = self._machine.now_ms()
        if abs(timestamp_ms - machine_ms) < abs(timestamp_ms - now_ms):
            return machine_ms
        return timestamp_ms if self._start_ms <= timestamp_ms <= now_ms else now_ms

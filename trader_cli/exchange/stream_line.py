"""One connection kept up for as long as it is wanted: open, read, give up, say so, open again.

Knows no venue: how a connection is prepared, watched and read comes from outside.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.account_events import StreamGap, StreamOpened
from trader_cli.errors import RateLimited, VenueError
from trader_cli.exchange.websocket import (
    ConnectFailed,
    ConnectionLost,
    WebSocket,
    WebSocketConnect,
)

_BACKOFF_S: Final = 0.25
_BACKOFF_S_MAX: Final = 30.0
_STEADY_S: Final = 60.0
_BREATH: Final = 100
"""Messages read in a row before others get their turn: a burst must not starve its reader."""

Watch = Callable[[], Awaitable[str]]
"""Waits until a connection has to be given up and returns why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one connection of a line is opened and watched."""

    url: str
    watches: tuple[Watch, ...]


class Line:
    """One connection kept up: open, read, give up, say so, wait, open again."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        connect: WebSocketConnect,
        plan: Callable[[], Awaitable[Plan]],
        take: Callable[[str], str | None],
        tell: Callable[[StreamOpened | StreamGap], None],
    ) -> None:
        """
        Args:
            plan: prepares a connection; a `VenueError` counts as a failed attempt.
            take: handles one message; returns why the connection is no longer worth keeping.
            tell: reports an opening or a gap.
        """
        self._name = name
        self._clock = clock
        self._connect = connect
        self._plan = plan
        self._take = take
        self._tell = tell
        self._jitter = random.Random()
        self.heard_s = 0.0

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        failures = 0
        gap_told = False
        while True:
            opened_s: float | None = None
            wait_s = 0.0
            try:
                plan = await self._plan()
                socket = await self._connect(plan.url)
            except ConnectFailed as error:
                reason = f"cannot connect: {error}"
            except RateLimited as error:
                reason = f"cannot open: {error}"
                wait_s = max(0, error.retry_at_ms - self._clock.now_ms()) / 1000
            except VenueError as error:
                reason = f"cannot open: {error}"
            else:
                opened_s = self._clock.monotonic()
                gap_told = False
                self._tell(StreamOpened(stream=self._name, local_ms=self._clock.now_ms()))
                reason = await self._hold(socket, plan.watches)
            if not gap_told:
                gap_told = True
                self._tell(
                    StreamGap(stream=self._name, reason=reason, local_ms=self._clock.now_ms())
                )
            steady = opened_s is not None and self._clock.monotonic() - opened_s > _STEADY_S
            failures = 0 if steady else failures + 1
            await self._clock.sleep(max(wait_s, self._backoff_s(failures)))

    async def _hold(self, socket: WebSocket, watches: Sequence[Watch]) -> str:
        """Read until the connection ends or a watch gives it up; return the reason."""
        self.heard_s = self._clock.monotonic()
        tasks = [asyncio.ensure_future(self._read(socket))]
        tasks += [asyncio.ensure_future(watch()) for watch in watches]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task in done).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close()

    async def _read(self, socket: WebSocket) -> str:
        taken = 0
        while True:
            try:
                text = await socket.receive()
            except ConnectionLost as error:
                return str(error)
            self.heard_s = self._clock.monotonic()
            reason = self._take(text)
            if reason is not None:
                return reason
            taken += 1
            if taken % _BREATH == 0:
                await self._clock.sleep(0)

    def _backoff_s(self, failures: int) -> float:
        delay_s = min(_BACKOFF_S_MAX, _BACKOFF_S * 2.0 ** min(failures, 10))
        return delay_s * (0.5 + self._jitter.random() / 2)

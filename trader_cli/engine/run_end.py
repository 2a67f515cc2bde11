"""When a run is over, and how it ends: entries are taken back, exits and a kill finish, stops stay.

Knows what has to be quiet for that; who stops the engine's jobs afterwards is the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from trader_cli.bridge.confirm import BridgeMemory
from trader_cli.engine.hands import Hands
from trader_cli.engine.performing import Performer
from trader_cli.engine.state import EngineState

_WIND_DOWN_S: Final = 20.0
_POLL_S: Final = 0.05
_ONCE_QUIET_S: Final = 1.0
_ONCE_S_MAX: Final = 120.0


class RunEnd:
    """Waits for the end of a run and prepares it."""

    def __init__(
        self,
        hands: Hands,
        *,
        performer: Performer,
        memory: BridgeMemory,
        state: Callable[[], EngineState],
        is_all_heard: Callable[[], bool],
        is_killing: Callable[[], bool],
    ) -> None:
        """
        Args:
            is_all_heard: True while nothing but the tick of time waits to be consumed.
            is_killing: True from the wish for a kill until its end; it has a bound of its own.
        """
        self._hands = hands
        self._clock = hands.clock
        self._performer = performer
        self._memory = memory
        self._state = state
        self._is_all_heard = is_all_heard
        self._is_killing = is_killing
        self._quiet_since: float | None = None

    async def until_over(self, stop: asyncio.Event, *, for_s: float | None, once: bool) -> bool:
        """Wait until `stop` is set, `for_s` seconds passed, or with `once` all is settled.

        Returns False if `once` was given up: something is not settled and has had its time.
        """
        started = self._clock.monotonic()
        while not stop.is_set():
            elapsed = self._clock.monotonic() - started
            if for_s is not None and elapsed >= for_s:
                break
            if once and self._has_settled():
                break
            if once and elapsed >= _ONCE_S_MAX:
                return False
            await self._clock.sleep(_POLL_S)
        return True

    async def wind_down(self) -> None:
        """Take entries back and let exits finish; the consumer goes on meanwhile."""
        end = self._clock.monotonic() + _WIND_DOWN_S
        while self._clock.monotonic() < end or self._is_killing():
            self._performer.withdraw_entries()
            if self._performer.is_idle and self._is_all_heard() and not self._is_killing():
                return
            await self._clock.sleep(_POLL_S)
        message = "something was still under way when the time for ending was over"
        self._hands.report("warning", {"kind": "end", "message": message})

    def _has_settled(self) -> bool:
        """Return True if every decision that is present is final, and what is held is protected."""
        now, state = self._clock.monotonic(), self._state()
        busy = (
            not state.ready
            or not self._performer.is_idle
            or bool(state.entries or state.wanted or state.exiting)
            or not self._is_all_heard()
            or self._is_killing()
            or self._memory.recheck_at(now) is not None
            or any(row.is_own and row.naked_since_ms is not None for row in state.holdings.values())
        )
        if busy:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        return self._quiet_since is not None and now - self._quiet_since >= _ONCE_QUIET_S

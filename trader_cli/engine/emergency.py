"""The engine's own kill: latch, cancel and flatten everything, and again until flat is proven.

Knows that a kill may fail and when it is given up: a person has lifted the halt, or the run ends.
Why one is wanted is decided elsewhere, how it is done is `trading.kill`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from trader_cli.engine.hands import Hands
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.engine.performing import Performer
from trader_cli.engine.state import EngineState
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltedBy
from trader_cli.trading.kill import KillResult, kill
from trader_cli.urgency import insisting

_AGAIN_S: Final = 5.0


class Emergency:
    """Kills on request while `run` runs.

    Attributes:
        unproven: what the last kill that was wanted ended with, None unless that was not flat.
    """

    def __init__(
        self,
        hands: Hands,
        client: BinanceFuturesClient,
        *,
        latch: LatchInTime,
        performer: Performer,
        state: Callable[[], EngineState],
        recv_window_ms: int,
        reconcile: Callable[[], None],
    ) -> None:
        """
        Args:
            client: with the whole request weight, which `hands` leaves to it.
            reconcile: begins one and returns at once.
        """
        self._hands = hands
        self._client = client
        self._latch = latch
        self._performer = performer
        self._state = state
        self._recv_window_ms = recv_window_ms
        self._reconcile = reconcile
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._running = 0
        self._is_due = False
        self._is_last = False
        self.unproven: KillResult | None = None

    @property
    def is_under_way(self) -> bool:
        """True from the wish for a kill until its end, in the pauses between its tries too."""
        return self._running > 0 or self._is_due or not self._wanted.empty()

    def want(self, reason: str) -> None:
        """Begin a kill; returns at once."""
        self._wanted.put_nowait(reason)

    def end(self) -> None:
        """Try no more after the next try: the run is about to end."""
        self._is_last = True

    async def run(self) -> None:
        """Carry out every wish, until cancelled."""
        while True:
            reason = await self._wanted.get()
            self._is_due = True
            while True:
                result = await self.kill(reason, by=HaltedBy.RULE)
                self.unproven = None if result.flat else result
                if result.flat or self._is_last:
                    break
                await self._hands.clock.sleep(_AGAIN_S)
                if result.halted and not self._is_halted_for_good():
                    self.unproven = None
                    break
            self._is_due = False

    async def kill(self, reason: str, *, by: HaltedBy) -> KillResult:
        """Latch the halt, cancel everything, flatten everything and prove it."""
        self._performer.halted.set()
        self._performer.withdraw_entries()
        self._running += 1
        try:
            with insisting():
                result = await kill(
                    self._client,
                    self._latch,
                    clock=self._hands.clock,
                    reason=reason,
                    by=by,
                    recv_window_ms=self._recv_window_ms,
                    engine_quiet=lambda: not self._state().entries,
                )
        finally:
            self._running -= 1
        self._hands.report(
            "halted",
            {
                "reason": reason,
                "flat": result.flat,
                "halted": result.halted,
                "cancelled": len(result.cancelled),
                "closed": len(result.closed),
                "problems": list(result.problems),
            },
        )
        self._reconcile()
        return result

    def _is_halted_for_good(self) -> bool:
        """Return True while a rule's halt is in force that only a person lifts."""
        return any(
            row.by is HaltedBy.RULE and row.until_ms is None and row.symbol is None
            for row in self._latch.all()
        )

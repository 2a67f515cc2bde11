"""Carry out the engine's wishes for one symbol, one after the other.

An entry, its exits, its end and its settlement must not overlap: a clean-up that runs beside a new
entry would take away the new stop. Only the withdrawal of an entry overtakes; it is a flag.
"""

from __future__ import annotations

import asyncio

from trader_cli.engine.actions import Enter, Exit, Protect, SettleTrade
from trader_cli.engine.entering import Entering
from trader_cli.engine.facts import ExitEnded
from trader_cli.engine.hands import Hands
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.settling import Settling
from trader_cli.errors import TraderError
from trader_cli.exchange.gateway import insisting

Work = Enter | Exit | Protect | SettleTrade


class SymbolWorker:
    """The owner of everything that is done to one symbol."""

    def __init__(
        self,
        symbol: str,
        hands: Hands,
        *,
        protecting: Protecting,
        settling: Settling,
        halted: asyncio.Event,
    ) -> None:
        self._symbol = symbol
        self._hands = hands
        self._protecting = protecting
        self._settling = settling
        self._entering = Entering(hands, protecting)
        self._halted = halted
        self._queue: asyncio.Queue[tuple[Work, asyncio.Event]] = asyncio.Queue()
        self._withdrawals: list[asyncio.Event] = []
        self._began_ms: dict[str, int] = {}
        self._busy = False
        self._exits_waiting = 0

    @property
    def is_idle(self) -> bool:
        """True while nothing is being done and nothing waits."""
        return not self._busy and self._queue.empty()

    def began(self, decision_id: str, venue_ms: int) -> None:
        """Know when a trade of an earlier run began, in exchange time."""
        self._began_ms[decision_id] = venue_ms

    def submit(self, work: Work) -> None:
        """Do `work` after everything submitted before."""
        withdrawn = asyncio.Event()
        if isinstance(work, Enter):
            self._withdrawals.append(withdrawn)
            if not work.is_add:
                self._began_ms[work.signal.decision_id] = self._hands.client.venue_now_ms()
        if isinstance(work, Exit):
            self._exits_waiting += 1
        self._queue.put_nowait((work, withdrawn))

    def withdraw_entries(self) -> None:
        """Send nothing more for any entry submitted so far and cancel what rests."""
        for event in self._withdrawals:
            event.set()
        self._withdrawals.clear()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            work, withdrawn = await self._queue.get()
            self._busy = True
            if isinstance(work, Exit):
                self._exits_waiting -= 1
            try:
                # What is about to be closed needs no stop, and must not wait for one.
                if not (isinstance(work, Protect) and self._exits_waiting):
                    await self._do(work, withdrawn)
            finally:
                self._busy = False
                if withdrawn in self._withdrawals:
                    self._withdrawals.remove(withdrawn)

    async def _do(self, work: Work, withdrawn: asyncio.Event) -> None:
        match work:
            case Enter():
                await self._entering.enter(work, cancelled=withdrawn, halted=self._halted)
            case Exit():
                with insisting():
                    await self._exit(work)
            case Protect():
                with insisting():
                    await self._protecting.restore(work.symbol)
            case SettleTrade():
                leverage, unprotected_ms = None, 0
                if not self._protecting.is_for_another(work.symbol, work.decision_id):
                    leverage = self._protecting.leverage_of(work.symbol)
                    unprotected_ms = self._protecting.forget(work.symbol)
                began_ms = self._began_ms.pop(work.decision_id, work.opened_ms)
                await self._settling.settle(
                    work, leverage=leverage, unprotected_ms=unprotected_ms, began_ms=began_ms
                )

    async def _exit(self, work: Exit) -> None:
        """Close our position of the symbol, and say whether it is flat."""
        hands = self._hands
        flat, reason = False, work.reason
        try:
            source = f"{work.reason}@{self._symbol}@{hands.clock.now_ms()}"
            closed = await hands.positions.close_position(
                work.symbol, source=source, position_side=hands.position_side(work.direction)
            )
            flat = closed.flat
            if flat and closed.orders:
                # What opens next must not be measured beside what this has closed.
                at_ms = max(row.updated_ms for row in closed.orders)
                side = hands.position_side(work.direction)
                hands.mirror.take_flat(work.symbol, side, at_ms=at_ms)
        except TraderError as error:
            reason = error.message
        hands.tell(ExitEnded(symbol=work.symbol, flat=flat, reason=reason))

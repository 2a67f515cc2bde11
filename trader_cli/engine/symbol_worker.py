"""Carry out the engine's wishes for one symbol, one after the other.

An entry, its exits and its end must not overlap, and an entry waits until the trade before it is
settled: a clean-up that runs beside a new entry would take away the new stop. Exits and protection
never wait for a settlement, which takes as long as the exchange's ledger does: what is held is seen
by its clean-up, too. The withdrawal of an entry overtakes everything; it is a flag.
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
from trader_cli.urgency import insisting

Urgent = Exit | Protect
Patient = Enter | SettleTrade


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
        self._urgent: asyncio.Queue[Urgent] = asyncio.Queue()
        self._patient: asyncio.Queue[tuple[Patient, asyncio.Event]] = asyncio.Queue()
        self._orders = asyncio.Lock()
        self._withdrawals: list[asyncio.Event] = []
        self._began_ms: dict[str, int] = {}
        self._unfinished = 0
        self._exits_waiting = 0

    @property
    def is_idle(self) -> bool:
        """True while nothing is being done and nothing waits."""
        return self._unfinished == 0

    def began(self, decision_id: str, venue_ms: int) -> None:
        """Know when a trade of an earlier run began, in exchange time."""
        self._began_ms[decision_id] = venue_ms

    def submit(self, work: Urgent | Patient) -> None:
        """Do `work` after everything submitted before; what is urgent, before what waits."""
        self._unfinished += 1
        match work:
            case Exit() | Protect():
                self._exits_waiting += isinstance(work, Exit)
                self._urgent.put_nowait(work)
            case Enter() | SettleTrade():
                withdrawn = asyncio.Event()
                if isinstance(work, Enter):
                    self._withdrawals.append(withdrawn)
                    if not work.is_add:
                        self._began_ms[work.signal.decision_id] = self._hands.client.venue_now_ms()
                self._patient.put_nowait((work, withdrawn))

    def withdraw_entries(self) -> None:
        """Send nothing more for any entry submitted so far and cancel what rests."""
        for event in self._withdrawals:
            event.set()
        self._withdrawals.clear()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_and_protect())
            group.create_task(self._enter_and_settle())

    async def _end_and_protect(self) -> None:
        while True:
            work = await self._urgent.get()
            try:
                async with self._orders:
                    with insisting():
                        await self._do_now(work)
            finally:
                self._unfinished -= 1
                self._urgent.task_done()

    async def _enter_and_settle(self) -> None:
        while True:
            work, withdrawn = await self._patient.get()
            await self._urgent.join()
            try:
                if isinstance(work, SettleTrade):
                    await self._settle(work)
                else:
                    async with self._orders:
                        await self._entering.enter(work, cancelled=withdrawn, halted=self._halted)
            finally:
                self._unfinished -= 1
                if withdrawn in self._withdrawals:
                    self._withdrawals.remove(withdrawn)

    async def _do_now(self, work: Urgent) -> None:
        if isinstance(work, Exit):
            self._exits_waiting -= 1
            await self._exit(work)
        elif not self._exits_waiting:
            # What is about to be closed needs no stop, and must not wait for one.
            await self._protecting.restore(work.symbol)

    async def _settle(self, work: SettleTrade) -> None:
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

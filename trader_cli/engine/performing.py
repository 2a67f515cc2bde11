"""Hand the decisions' wishes to whoever carries them out.

Knows which worker does what; must not decide anything. Wishes for one symbol are done in order by
that symbol's worker; halts and refusals are carried out at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from trader_cli.bridge.feedback import TradeResult
from trader_cli.engine.actions import (
    Action,
    DropEntry,
    Enter,
    Exit,
    KillAll,
    Protect,
    RaiseHalt,
    Reconcile,
    Refuse,
    SettleTrade,
    Warn,
)
from trader_cli.engine.hands import Hands
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.remembered import REFUSAL, refusal_row
from trader_cli.engine.settling import Settling
from trader_cli.engine.symbol_worker import SymbolWorker
from trader_cli.journal.errors import JournalUnavailable, LatchNotWritten
from trader_cli.journal.halt import HaltedBy
from trader_cli.trading.orders.order_tracker import NOTE_JOURNAL_MS


class Performer:
    """Carries out wishes while `run` runs."""

    def __init__(
        self,
        hands: Hands,
        protecting: Protecting,
        *,
        latch: LatchInTime,
        on_trade: Callable[[str, TradeResult], None],
        on_still_open: Callable[[str], None],
        kill: Callable[[str], None],
        reconcile: Callable[[], None],
    ) -> None:
        """
        Args:
            on_trade: told every settled trade under its advisor.
            on_still_open: told the symbol of a trade that turned out not to be over.
            kill, reconcile: begin it; they return at once.
        """
        self._hands = hands
        self._protecting = protecting
        self._latch = latch
        self._settling = Settling(hands, on_trade=on_trade, on_still_open=on_still_open)
        self._kill = kill
        self._reconcile = reconcile
        self._workers: dict[str, SymbolWorker] = {}
        self._jobs: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        self.halted = asyncio.Event()

    async def run(self) -> None:
        """Let the workers work until cancelled; one that dies takes all others with it."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.Event().wait()

    @property
    def is_idle(self) -> bool:
        """True while no worker does anything."""
        return all(worker.is_idle for worker in self._workers.values())

    def began(self, symbol: str, decision_id: str, venue_ms: int) -> None:
        """Know when a trade of an earlier run began, in exchange time."""
        self._worker(symbol).began(decision_id, venue_ms)

    def withdraw_entries(self) -> None:
        """Send nothing more for any entry and cancel what rests."""
        for worker in self._workers.values():
            worker.withdraw_entries()

    def perform(self, action: Action) -> None:
        """Begin to carry out one wish."""
        match action:
            case Enter() | Exit() | Protect() | SettleTrade():
                self._worker(action.symbol).submit(action)
            case DropEntry():
                self._worker(action.symbol).withdraw_entries()
            case Refuse():
                self._refuse(action)
            case RaiseHalt():
                self._raise_halt(action)
            case KillAll():
                self._kill(action.message)
            case Reconcile():
                self._reconcile()
            case Warn():
                self._warn(action.kind, action.message)

    def _worker(self, symbol: str) -> SymbolWorker:
        worker = self._workers.get(symbol)
        if worker is None:
            assert self._group is not None, "wishes come while the engine runs"
            worker = SymbolWorker(
                symbol,
                self._hands,
                protecting=self._protecting,
                settling=self._settling,
                halted=self.halted,
            )
            self._workers[symbol] = worker
            self._jobs.append(self._group.create_task(worker.run()))
        return worker

    def _refuse(self, action: Refuse) -> None:
        with contextlib.suppress(JournalUnavailable):
            row = refusal_row(action.signal, action.rule, action.message)
            self._hands.journal.record(REFUSAL, row, deadline_ms=NOTE_JOURNAL_MS)
        self._hands.report(
            "refused",
            {
                "decision": action.signal.decision_id,
                "advisor": action.signal.advisor,
                "command": action.signal.command_text,
                "rule": action.rule,
                "message": action.message,
            },
        )

    def _raise_halt(self, action: RaiseHalt) -> None:
        self.halted.set()
        try:
            self._latch.set(
                reason=action.message,
                by=HaltedBy.RULE,
                rule=action.rule,
                until_ms=action.until_ms,
            )
        except LatchNotWritten as error:
            self._warn("latch", error.message)

    def _warn(self, kind: str, message: str) -> None:
        self._hands.report("warning", {"kind": kind, "message": message})

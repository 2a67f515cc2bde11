"""Watch the halt latch and a person's resume, and acknowledge a halt once nothing is under way.

The latch is a file, so a kill reaches an engine that no longer answers anything else. It tells
what changed; what a halt leads to is decided in `decide`.
"""

from __future__ import annotations

from collections.abc import Callable

from trader_cli.engine.facts import HaltSeen, Resumed
from trader_cli.engine.hands import Hands
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.engine.performing import Performer
from trader_cli.engine.remembered import RESUME
from trader_cli.engine.state import EngineState
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.halt import Halt


class LatchWatch:
    """What the engine last saw of the latch; `look` is called several times a second."""

    def __init__(
        self,
        hands: Hands,
        latch: LatchInTime,
        *,
        performer: Performer,
        state: Callable[[], EngineState],
        on_resume: Callable[[], None],
    ) -> None:
        self._hands = hands
        self._latch = latch
        self._performer = performer
        self._state = state
        self._on_resume = on_resume
        self._halts: list[Halt] | None = None
        self._resume_seq = 0
        self._resume_seq = self._last_resume()

    def look(self) -> None:
        """Tell a change of the latch, and acknowledge it once nothing of an entry is under way."""
        seq = self._last_resume()
        is_resumed, self._resume_seq = seq != self._resume_seq, seq
        if is_resumed:
            self._latch.resumed()
        halts = self._latch.all()
        if halts != self._halts:
            first = self._halts is None
            self._halts = halts
            self._tell(halts, first=first)
        if halts and not self._state().entries and self._performer.is_idle:
            self._latch.acknowledge(halts)
        self._latch.write_again()
        if is_resumed:
            self._on_resume()
            self._hands.tell(Resumed())

    def _tell(self, halts: list[Halt], *, first: bool) -> None:
        account = next((row.reason for row in halts if row.symbol is None), None)
        symbols = {row.symbol: row.reason for row in halts if row.symbol is not None}
        if account is None:
            self._performer.halted.clear()
        else:
            self._performer.halted.set()
        self._hands.tell(HaltSeen(account=account, symbols=symbols))
        if halts or not first:
            self._hands.report(
                "halted", {"halted": bool(halts), "reason": account, "symbols": symbols}
            )

    def _last_resume(self) -> int:
        try:
            row = self._hands.journal.last(RESUME)
        except JournalUnavailable:
            return self._resume_seq
        return 0 if row is None else row.seq

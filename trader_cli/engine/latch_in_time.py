"""The halt latch as a running engine uses it: no disk that hangs or refuses weakens it.

Whatever touches the disk is waited for with a bound, once. A folder that does not answer means
halted, like one that cannot be listed; a halt that cannot be written holds in memory, and is
written as soon as that is possible. What a halt leads to is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from trader_cli.clock import Clock
from trader_cli.journal.disk_wait import Errands, within
from trader_cli.journal.errors import LatchNotWritten
from trader_cli.journal.halt import Halt, HaltedBy, HaltLatch, unreadable

_WAIT_S: Final = 0.5
_ACKNOWLEDGE_WAIT_S: Final = 0.05
_AGAIN_S: Final = 2.0


class LatchInTime:
    """One engine's way to the latch."""

    def __init__(self, latch: HaltLatch, clock: Clock) -> None:
        self._latch = latch
        self._clock = clock
        self._unwritten: dict[tuple[str | None, str | None], Halt] = {}
        self._again_s = 0.0
        self._reading = Errands()
        self._writing = Errands()
        self._acknowledging = Errands()

    def prepare(self) -> None:
        """Set a spare file aside, if the disk lets us."""
        with contextlib.suppress(OSError):  # a disk that is late, too
            within(self._latch.prepare, _WAIT_S)

    def set(
        self,
        *,
        reason: str,
        by: HaltedBy,
        symbol: str | None = None,
        until_ms: int | None = None,
        rule: str = "rule",
    ) -> None:
        """Halt; in force when it returns or raises, here at least.

        Raises:
            LatchNotWritten: it failed, or is not written yet.
        """
        halt = Halt(
            halt_id=uuid4().hex,
            symbol=symbol,
            reason=reason,
            by=by,
            rule=None if by is HaltedBy.PERSON else rule,
            since_ms=self._clock.now_ms(),
            until_ms=until_ms,
        )
        self._unwritten[symbol, halt.rule] = halt
        self._again_s = self._clock.monotonic() + _AGAIN_S
        self._write(halt)

    def all(self) -> list[Halt]:
        """Return every halt in force, written or not, the account's first."""
        unwritten = self._not_written()  # before: one that is written meanwhile is in one of both
        try:
            written = self._reading.run(self._latch.all, _WAIT_S)
        except TimeoutError:
            written = [unreadable("the folder of the halts does not answer")]
        return sorted([*written, *unwritten], key=lambda halt: halt.symbol is not None)

    def active(self, symbol: str | None = None) -> Halt | None:
        """Return what forbids raising exposure on `symbol`, None if nothing does."""
        return next((row for row in self.all() if row.symbol in (None, symbol)), None)

    def acknowledge(self, halts: Sequence[Halt]) -> None:
        """Say that nothing leaves any more that these halts forbid; a late disk says it later.

        `halts` are as `all` returned them.
        """
        pid = os.getpid()
        # Others know of what is on disk only.
        shown = [row for row in halts if self._unwritten.get((row.symbol, row.rule)) is not row]

        def say() -> None:
            if pid not in self._latch.acknowledged_by():
                self._latch.acknowledge(pid, shown)

        with contextlib.suppress(OSError):  # a disk that is late, too
            self._acknowledging.run(say, _ACKNOWLEDGE_WAIT_S)

    def write_again(self) -> None:
        """Try now and then to write what is not written; nobody waits for that."""
        now_s = self._clock.monotonic()
        halts = self._not_written()
        if halts and now_s >= self._again_s:
            self._again_s = now_s + _AGAIN_S
            with contextlib.suppress(LatchNotWritten):
                self._write(halts[0])

    def resumed(self) -> None:
        """A person has lifted what a person may lift, written or not."""
        for halt in list(self._unwritten.values()):
            if halt.until_ms is None:
                self._forget(halt)

    def _not_written(self) -> list[Halt]:
        now_ms = self._clock.now_ms()
        for halt in list(self._unwritten.values()):
            if halt.until_ms is not None and now_ms >= halt.until_ms:
                self._forget(halt)
        return list(self._unwritten.values())

    def _write(self, halt: Halt) -> None:
        def write() -> None:
            self._latch.set(
                reason=halt.reason,
                by=halt.by,
                symbol=halt.symbol,
                until_ms=halt.until_ms,
                rule=halt.rule or "rule",
            )
            self._forget(halt)  # a late disk has written it by now, too

        try:
            self._writing.run(write, _WAIT_S)
        except TimeoutError:
            message = "the halt is not written yet: the disk does not answer"
            raise LatchNotWritten(message, code="latch_not_written") from None

    def _forget(self, halt: Halt) -> None:
        key = halt.symbol, halt.rule
        if self._unwritten.get(key) is halt:
            self._unwritten.pop(key, None)

"""What was read before, so that a file's state becomes decisions that happen once.

Advisors rewrite their files in place, and two habits of theirs make one read worthless. Wolf's
circuit breaker saves the blocked LONG and a millisecond later HOLD, under one timestamp: so a
command to act counts only when a later read shows it again. Dragon saves what it loaded many
seconds ago and brings old sections back: so an older timestamp is never believed again.

Pure: the caller reads the files and tells the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trader_cli.bridge.freshness import describe_zone_gap, zone_offset_ms
from trader_cli.bridge.reader import TornFile
from trader_cli.domain.signal import Command, Signal

_TWIN_MS: Final = 1_000
"""Dragon2 saves one decision into two files; their timestamps are no further apart than this."""

_RECHECK_S: Final = 2.0
"""How long a command waits for its second read before the ordinary polling takes over."""

_CYCLE_MS_MAX: Final = 15_000
"""Wolf forgets the first of two equal opinions after this, and then publishes HOLD for ever."""

_PAUSE_MS_MIN: Final = 300_000
"""A gap this long is an advisor that was stopped, not a slow cycle."""

_REMEMBERED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSeen:
    """A section says something it was not just saying; no reason to act yet.

    Attributes:
        superseded_by: the decision id of a newer decision of that advisor, None if this is the
            newest or carries no timestamp.
    """

    signal: Signal
    superseded_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfirmed:
    """A command to act was read twice: it may be judged and acted on.

    It can come again for the same decision id when the advisor took it back in between.
    """

    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWithdrawn:
    """The advisor replaced a command under the same timestamp: an entry not yet sent is dropped.

    Attributes:
        decision_id: the decision that no longer says what it said, confirmed or not.
        signal: what the section says now.
    """

    decision_id: str
    new_command: Command
    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorNotice:
    """Something about an advisor that its owner should know, said once."""

    advisor: str
    text: str


BridgeEvent = SignalSeen | SignalConfirmed | SignalWithdrawn | AdvisorNotice | TornFile


@dataclass(slots=True, kw_only=True)
class _Newest:
    """The newest decision of one advisor."""

    signal: Signal
    decided_ms: int
    since: float  # monotonic seconds at the first read of this command
    confirmed: bool = False

    @property
    def awaits_confirmation(self) -> bool:
        return not self.confirmed and wants_action(self.signal.command)


class BridgeMemory:
    """What every advisor last said, over all files."""

    def __init__(
        self, *, confirm_ms: int = 100, newest_ms: Mapping[str, int] | None = None
    ) -> None:
        """Start without memories.

        Args:
            confirm_ms: least time between the two reads that confirm a command.
            newest_ms: by advisor, the newest decision a former run has seen; older ones are not
                believed, that one itself is.
        """
        self._confirm_ms = confirm_ms
        self._floor_ms = dict(newest_ms or {})
        self._newest: dict[str, _Newest] = {}
        self._told: set[tuple[str, str]] = set()
        self._said: dict[tuple[str, str], deque[tuple[str | None, str]]] = {}

    def observe(
        self, signals: Iterable[Signal], *, now_ms: int, monotonic: float
    ) -> list[BridgeEvent]:
        """Take in one read of one file and return what is new.

        Args:
            now_ms: UTC epoch milliseconds of the read; only used to notice a wrong time zone.
            monotonic: seconds of the read, from a clock that never goes back.
        """
        return [
            event for signal in signals for event in self._observe_one(signal, now_ms, monotonic)
        ]

    def recheck_at(self, monotonic: float) -> float | None:
        """Return the monotonic second at which a second read would confirm something, else None."""
        due = [
            newest.since + self._confirm_ms / 1000
            for newest in self._newest.values()
            if newest.awaits_confirmation and monotonic - newest.since < _RECHECK_S
        ]
        return min(due, default=None)

    def _observe_one(self, signal: Signal, now_ms: int, monotonic: float) -> list[BridgeEvent]:
        newest = self._newest.get(signal.advisor)
        events: list[BridgeEvent] = []
        if self._is_news(signal):
            older = newest is not None and _is_older(signal, newest)
            superseded_by = newest.signal.decision_id if newest is not None and older else None
            events.append(SignalSeen(signal=signal, superseded_by=superseded_by))
        if signal.decided_ms is None or signal.decided_ms < self._floor_ms.get(signal.advisor, 0):
            return events
        if newest is not None and _is_same_decision(signal, newest):
            return events + self._again(signal, newest, monotonic)
        if newest is None or signal.decided_ms > newest.decided_ms:
            if newest is not None:
                events += self._notices(newest, signal, now_ms)
            self._newest[signal.advisor] = _Newest(
                signal=signal, decided_ms=signal.decided_ms, since=monotonic
            )
        return events

    def _again(self, signal: Signal, newest: _Newest, monotonic: float) -> list[BridgeEvent]:
        """Handle another read of the newest decision."""
        if signal.command is newest.signal.command:
            # Whole milliseconds: 5.1 - 5.0 is less than 0.1 in floating point.
            waited_ms = round((monotonic - newest.since) * 1000)
            if newest.awaits_confirmation and waited_ms >= self._confirm_ms:
                newest.confirmed = True
                newest.signal = signal
                return [SignalConfirmed(signal=signal)]
            return []
        before = newest.signal
        newest.signal, newest.since, newest.confirmed = signal, monotonic, False
        if not wants_action(before.command):
            return []
        return [
            SignalWithdrawn(
                decision_id=before.decision_id, new_command=signal.command, signal=signal
            )
        ]

    def _is_news(self, signal: Signal) -> bool:
        """Return True if the section was not saying this a few changes ago."""
        said = self._said.setdefault((signal.file, signal.section), deque(maxlen=_REMEMBERED))
        what = (signal.timestamp_text, signal.command_text)
        if what in said:
            return False
        said.append(what)
        return True

    def _notices(self, before: _Newest, signal: Signal, now_ms: int) -> list[BridgeEvent]:
        """Return what the step from one decision to the next says about the advisor."""
        assert signal.decided_ms is not None, "only dated signals follow one another"
        notices: list[BridgeEvent] = []
        gap_ms = signal.decided_ms - before.decided_ms
        if _only_ever_holds(before.signal, signal) and _CYCLE_MS_MAX < gap_ms < _PAUSE_MS_MIN:
            notices += self._once(
                signal.advisor,
                "cycle",
                f"{signal.advisor} decides every {gap_ms / 1000:.0f} s; above 15 s its own "
                "confirmation never completes and it only ever publishes HOLD: "
                "start it with a shorter interval, 9 s or less",
            )
        offset_ms = zone_offset_ms(now_ms - signal.decided_ms)
        if offset_ms is not None:
            notices += self._once(signal.advisor, "zone", describe_zone_gap(offset_ms))
        return notices

    def _once(self, advisor: str, topic: str, text: str) -> list[BridgeEvent]:
        if (advisor, topic) in self._told:
            return []
        self._told.add((advisor, topic))
        return [AdvisorNotice(advisor=advisor, text=text)]


def wants_action(command: Command) -> bool:
    """Return True if the command asks for an order: an entry, an addition or an exit."""
    return command.direction is not None or command is Command.CUT_LOSS


def _is_older(signal: Signal, newest: _Newest) -> bool:
    return signal.decided_ms is not None and signal.decided_ms < newest.decided_ms


def _is_same_decision(signal: Signal, newest: _Newest) -> bool:
    assert signal.decided_ms is not None, "only dated signals are compared"
    if signal.file == newest.signal.file:
        return signal.decided_ms == newest.decided_ms
    near = abs(signal.decided_ms - newest.decided_ms) <= _TWIN_MS
    return near and signal.command is newest.signal.command


def _only_ever_holds(before: Signal, after: Signal) -> bool:
    """Return True if the advisor wanted the same thing twice and published HOLD both times."""
    wanted = (after.raw_command_text or "").strip().upper()
    return (
        before.command is after.command is Command.HOLD
        and wanted in (Command.LONG, Command.SHORT, Command.CUT_LOSS)
        and wanted == (before.raw_command_text or "").strip().upper()
    )

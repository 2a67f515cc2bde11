"""Whether a signal is young enough to be acted on, and the sentence that says so.

Only the section's own timestamp counts: the advisors' companions refresh `last_updated` and the
file's modification time for days after the advisor died. Pure; knows nothing of orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trader_cli.domain.signal import Command, Signal

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_ZONE_STEP_MS: Final = 15 * _MINUTE_MS  # every zone in use is a multiple of a quarter of an hour
_ZONE_MAX_MS: Final = 26 * _HOUR_MS  # UTC-12 against UTC+14
_WRITE_DELAY_MS_MAX: Final = 30_000  # an advisor saves within seconds of its own timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradability:
    """A verdict on one signal.

    Attributes:
        tradable: True if it may be acted on now.
        why: short sentence with the age, in either case.
        age_ms: now minus decision, negative in the future, None without a timestamp.
    """

    tradable: bool
    why: str
    age_ms: int | None


def judge(
    signal: Signal,
    *,
    now_ms: int,
    max_age_ms: int = 120_000,
    future_tolerance_ms: int = 5_000,
    entered_ms: int | None = None,
) -> Tradability:
    """Return whether `signal` may be acted on at `now_ms`.

    Args:
        max_age_ms: oldest age that still counts, inclusive.
        future_tolerance_ms: how far ahead its clock may run, inclusive.
        entered_ms: when the position it speaks of was opened; CUT_LOSS counts at any age if it is
            younger than that.
    """
    if signal.command in (Command.HOLD, Command.WAIT):
        return _verdict(False, signal, now_ms, f"{signal.command} asks for nothing")
    if signal.command is Command.UNKNOWN:
        what = f"{signal.command_text!r} is not a command" if signal.command_text else "no command"
        return _verdict(False, signal, now_ms, what)
    if signal.decided_ms is None:
        missing = "no timestamp" if signal.timestamp_text is None else "unreadable timestamp"
        return _verdict(False, signal, now_ms, missing)
    age_ms = now_ms - signal.decided_ms
    if age_ms < -future_tolerance_ms:
        return _verdict(False, signal, now_ms, _future(age_ms))
    after_entry = entered_ms is not None and signal.decided_ms > entered_ms
    if signal.command is Command.CUT_LOSS and after_entry:
        return _verdict(True, signal, now_ms, "decided after the entry")
    if age_ms > max_age_ms:
        return _verdict(False, signal, now_ms, f"older than {format_age(max_age_ms)}")
    return _verdict(True, signal, now_ms, "fresh")


def zone_offset_ms(apparent_age_ms: int) -> int | None:
    """Return how far the advisor's zone is ahead of ours, None if the age is no zone's doing.

    Args:
        apparent_age_ms: moment of writing minus timestamp; only meaningful for a decision that
            was seen to appear, because an old decision may be any number of hours old.
    """
    steps = -(apparent_age_ms // -_ZONE_STEP_MS)
    for candidate in (steps, steps - 1):
        offset = candidate * _ZONE_STEP_MS
        delay = apparent_age_ms - offset
        is_near = -_WRITE_DELAY_MS_MAX <= delay <= _WRITE_DELAY_MS_MAX
        if candidate != 0 and is_near and abs(offset) <= _ZONE_MAX_MS:
            return -offset
    return None


def format_age(age_ms: int) -> str:
    """Return an age for people: `0.4 s`, `95 s`, `3 min`, `8.0 h`, `6.2 days`."""
    seconds = abs(age_ms) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds <= 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def _verdict(tradable: bool, signal: Signal, now_ms: int, why: str) -> Tradability:
    age_ms = None if signal.decided_ms is None else now_ms - signal.decided_ms
    if age_ms is not None and age_ms >= 0:
        why = f"{why} ({format_age(age_ms)} old)"
    return Tradability(tradable=tradable, why=why, age_ms=age_ms)


def _future(age_ms: int) -> str:
    ahead = f"its timestamp is {format_age(age_ms)} in the future"
    offset_ms = zone_offset_ms(age_ms)
    if offset_ms is None:
        return f"{ahead}: its clock and ours disagree"
    return f"{ahead}: {describe_zone_gap(offset_ms)}"


def describe_zone_gap(offset_ms: int) -> str:
    """Say what a zone difference looks like and what to set; positive: the advisor is ahead."""
    way = "ahead of" if offset_ms > 0 else "behind"
    return (
        f"the advisor's zone is probably {abs(offset_ms) / _HOUR_MS:g} h {way} the one configured; "
        "set bridge.time_zone to the advisor's"
    )

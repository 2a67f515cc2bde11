"""Which limits hold now: the last journaled ones, tightened at once, loosened only by a person.

The journal remembers the limits in force and the configuration they were derived from. A key of
the configuration that has changed since binds at once if it is tighter; if it is looser it waits.
A key that has not changed leaves alone what `risk set` put in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

from trader_cli.errors import UsageError
from trader_cli.journal.errors import JournalCorrupt
from trader_cli.trading.risk.risk_manager import RiskLimits

LIMITS: Final = "limits"
"""The journal's kind of row."""

LimitValue = Decimal | int | str | None

_NAMES: Final = tuple(field.name for field in fields(RiskLimits))
_WHOLE: Final = frozenset({"max_leverage", "max_orders_per_minute"})
_WORD: Final = "on_day_limit"
_WORDS: Final = ("stop", "close")  # looser first
_HIGHER_IS_TIGHTER: Final = frozenset({"assumed_stop_pct", "cool_down_after_loss_s"})
_TOTAL: Final = "max_total_exposure_usd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """A looser value that the configuration asks for and nobody has confirmed."""

    name: str
    in_force: LimitValue
    configured: LimitValue


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledLimits:
    """What the journal remembers: the limits, and the configuration as it was accepted."""

    in_force: RiskLimits
    accepted: RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsInForce:
    """What holds now.

    Attributes:
        limits: to be given to the risk module.
        waiting: what the configuration would loosen.
        to_journal: what has to be journaled, None if the journal is up to date.
    """

    limits: RiskLimits
    waiting: tuple[Loosening, ...]
    to_journal: JournaledLimits | None


class JournalRow(Protocol):
    @property
    def data(self) -> Mapping[str, Any]: ...


class LimitsJournal(Protocol):
    """The part of the journal that is used here."""

    def last(self, kind: str) -> JournalRow | None: ...
    def record(
        self,
        kind: str,
        data: Mapping[str, object],
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> int: ...


def limits_in_force(journaled: JournaledLimits | None, configured: RiskLimits) -> LimitsInForce:
    """Return the limits that hold under `configured`; without a journaled past it holds whole."""
    if journaled is None:
        first = JournaledLimits(in_force=configured, accepted=configured)
        return LimitsInForce(limits=configured, waiting=(), to_journal=first)
    in_force, accepted = journaled.in_force, journaled.accepted
    waiting = []
    for name in _NAMES:
        new = getattr(configured, name)
        if new == getattr(accepted, name):
            continue
        if _is_looser(name, configured, in_force):
            present = getattr(in_force, name)
            waiting.append(Loosening(name=name, in_force=present, configured=new))
            continue
        in_force = _replaced(in_force, name, new)
        accepted = _replaced(accepted, name, new)
    present_limits = JournaledLimits(in_force=in_force, accepted=accepted)
    return LimitsInForce(
        limits=in_force,
        waiting=tuple(waiting),
        to_journal=None if present_limits == journaled else present_limits,
    )


def confirmed(journaled: JournaledLimits, configured: RiskLimits) -> JournaledLimits:
    """Return the limits after a person confirmed everything that waits."""
    present = limits_in_force(journaled, configured)
    limits = present.limits
    for loosening in present.waiting:
        limits = _replaced(limits, loosening.name, loosening.configured)
    return JournaledLimits(in_force=limits, accepted=configured)


def overlaid(journaled: JournaledLimits, name: str, value: LimitValue) -> JournaledLimits:
    """Return the limits with one set by hand over the configuration, for `risk set`.

    Raises:
        UsageError: no such limit.
    """
    if name not in _NAMES:
        raise UsageError(f"{name!r} is no limit", advice=f"Limits are {', '.join(_NAMES)}.")
    return replace(journaled, in_force=_replaced(journaled.in_force, name, value))


def loosened(before: RiskLimits, after: RiskLimits) -> tuple[Loosening, ...]:
    """Return what `after` allows that `before` did not: what a person has to confirm."""
    return tuple(
        Loosening(name=name, in_force=getattr(before, name), configured=getattr(after, name))
        for name in _NAMES
        if _is_looser(name, after, before)
    )


def read_limits(journal: LimitsJournal) -> JournaledLimits | None:
    """Return what was journaled last, None if nothing was.

    Raises:
        JournalUnavailable: it cannot be read.
    """
    row = journal.last(LIMITS)
    if row is None:
        return None
    try:
        return JournaledLimits(
            in_force=_from_json(row.data["in_force"]), accepted=_from_json(row.data["accepted"])
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise JournalCorrupt(
            f"the journaled limits cannot be read: {type(error).__name__} {error}",
            advice="Run `trader journal verify`.",
        ) from error


def write_limits(
    journal: LimitsJournal,
    limits: JournaledLimits,
    *,
    reason: str,
    deadline_ms: int | None = None,
    keep: bool = False,
) -> None:
    """Journal the limits durably; deadline and `keep` as in `Journal.record_intent`.

    Raises:
        JournalUnavailable: they are not recorded, or not yet.
    """
    data = {
        "in_force": dict(_items(limits.in_force)),
        "accepted": dict(_items(limits.accepted)),
        "reason": reason,
    }
    journal.record(LIMITS, data, durable=True, deadline_ms=deadline_ms, keep=keep)


def _is_looser(name: str, new: RiskLimits, old: RiskLimits) -> bool:
    if name == _TOTAL:  # unset means the position limit, whose own loosening is told by itself
        follows = new.max_total_exposure_usd is None and old.max_total_exposure_usd is None
        return not follows and new.total_exposure_usd > old.total_exposure_usd
    after, before = getattr(new, name), getattr(old, name)
    if name == _WORD:
        return _WORDS.index(after) < _WORDS.index(before)
    if after is None or before is None:
        return after is None and before is not None  # unset is off
    return bool(after < before if name in _HIGHER_IS_TIGHTER else after > before)


def _replaced(limits: RiskLimits, name: str, value: LimitValue) -> RiskLimits:
    values: dict[str, Any] = {name: value}
    return replace(limits, **values)


def _items(limits: RiskLimits) -> Iterator[tuple[str, LimitValue]]:
    return ((name, getattr(limits, name)) for name in _NAMES)


def _from_json(data: Mapping[str, Any]) -> RiskLimits:
    """Limits that an older version did not know have their defaults; unknown ones are ignored."""
    values = {name: _value(name, data[name]) for name in _NAMES if name in data}
    return RiskLimits(**values)


def _value(name: str, value: str | int | None) -> Any:
    if name == _WORD:
        if value not in _WORDS:
            raise ValueError(f"{name} is {value!r}")
        return value
    if value is None:
        return None
    return int(value) if name in _WHOLE else Decimal(value)

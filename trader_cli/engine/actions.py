"""What the engine wants done: wishes that `decide.step` returns and the live engine performs.

A wish may still be refused (by risk, a filter, the exchange); the answer comes back as a fact.
"""

from __future__ import annotations

from dataclasses import dataclass

from trader_cli.domain.signal import Signal
from trader_cli.domain.terms import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Open, or add to, a position for a decision; ends in exactly one `EntryEnded`."""

    symbol: str
    direction: Direction
    signal: Signal
    is_add: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEntry:
    """Send nothing more for the entry and cancel what rests; what filled stays protected."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Close the whole position reduce-only at market; ends in exactly one `ExitEnded`.

    `direction` says which one: in hedge mode the other side is somebody else's.
    """

    symbol: str
    direction: Direction
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protect:
    """Put the missing stop (and target) back."""

    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleTrade:
    """The position is gone: remove our exit orders of the symbol, find the result, report it."""

    symbol: str
    direction: Direction
    advisor: str
    decision_id: str
    opened_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Tell that a decision was not acted on. `rule` is stable for machines."""

    signal: Signal
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseHalt:
    """Latch a halt on behalf of a rule."""

    rule: str
    message: str
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KillAll:
    """Cancel everything and flatten everything, own or not."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Prove unknown outcomes and read orders and positions again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warn:
    """Tell the operator something that changes nothing by itself."""

    kind: str
    message: str


Action = (
    Enter
    | DropEntry
    | Exit
    | Protect
    | SettleTrade
    | Refuse
    | RaiseHalt
    | KillAll
    | Reconcile
    | Warn
)

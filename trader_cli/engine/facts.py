"""What the engine has learned: facts in the past tense, the only input of `decide.step`.

Each is journaled with the actions it led to, so that a session can be replayed and must decide
the same. Facts carry no clock; `step` is told the time at which it consumes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique

from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Whose decision opened a position, as the journal remembers it.

    Attributes:
        advisor: the section's advisor, e.g. wolf.
        decision_id: file, section and timestamp of the decision.
        opened_ms: when the first fill was seen, UTC epoch milliseconds.
        max_holding_ms: forced exit after this long, None for no limit.
    """

    advisor: str
    decision_id: str
    opened_ms: int
    max_holding_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfirmed:
    """A command was read twice under one timestamp; directional ones may be acted on."""

    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalWithdrawn:
    """The advisor replaced the command under a timestamp; the last one holds."""

    decision_id: str
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSeen:
    """The exchange's present position of one symbol, in one-way terms.

    Attributes:
        direction: None when flat.
        quantity: absolute base units, 0 when flat.
        ownership: what the journal knows; only filled in by a reconcile.
    """

    symbol: str
    direction: Direction | None
    quantity: Decimal
    entry_price: Decimal
    ownership: Ownership | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFoundOver:
    """A trade of ours ended while nobody watched; `seen` is how it was, its ownership known."""

    seen: PositionSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEnded:
    """No order of this entry can fill any more.

    Attributes:
        filled: executed base units; 0 means nothing was opened.
        reason: what ended it, for people.
    """

    symbol: str
    decision_id: str
    filled: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEnded:
    """A close was carried out or failed; `flat` is what the exchange said afterwards."""

    symbol: str
    flat: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeClosed:
    """A position's result is known: USDT net of fees and funding, negative = lost."""

    symbol: str
    net_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionSeen:
    """Whether a stop that covers the whole position rests at the exchange."""

    symbol: str
    has_stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPassed:
    """Price is already through where the stop belongs: only closing protects now."""

    symbol: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitWanted:
    """Somebody other than an advisor wants the engine's own position of a symbol closed."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltSeen:
    """The latch as it stands: the account's reason, and those of single symbols."""

    account: str | None
    symbols: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A person lifted the halt; the loss breaker starts anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapSeen:
    """A stream may have missed something: nothing opens until a reconcile."""

    stream: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """Every unknown is resolved and the positions are what the exchange said just now.

    Attributes:
        may_open: False while the user stream is down: exits and stops go on, nothing opens.
    """

    positions: tuple[PositionSeen, ...]
    may_open: bool = True


@unique
class LossLimit(StrEnum):
    DAY = "day"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimitReached:
    """Two sources agree that a loss limit is broken.

    Attributes:
        until_ms: when the halt ends by itself, None if only a person ends it.
        close_positions: the day's limit closes the engine's own positions too.
    """

    limit: LossLimit
    message: str
    until_ms: int | None
    close_positions: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time passed."""


Fact = (
    SignalConfirmed
    | SignalWithdrawn
    | PositionSeen
    | TradeFoundOver
    | EntryEnded
    | ExitEnded
    | TradeClosed
    | ProtectionSeen
    | StopPassed
    | ExitWanted
    | HaltSeen
    | Resumed
    | GapSeen
    | Reconciled
    | LossLimitReached
    | Ticked
)

"""What the engine remembers between facts; `decide.step` makes the next from the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trader_cli.domain.signal import Signal
from trader_cli.domain.terms import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as last seen.

    Attributes:
        advisor: whose decision opened it, None if it is not the engine's own.
        decision_id: empty where `advisor` is None.
        naked_since_ms: since when no covering stop rests, None while protected.
        protect_asked_ms: when `Protect` was last wished for.
        closing: why it has to go, None while it may stay; an exit is repeated until it is gone.
        close_asked_ms: when `Exit` was last wished for.
    """

    symbol: str
    direction: Direction
    quantity: Decimal
    entry_price: Decimal
    opened_ms: int
    advisor: str | None
    decision_id: str
    max_holding_ms: int | None = None
    naked_since_ms: int | None = None
    protect_asked_ms: int = 0
    closing: str | None = None
    close_asked_ms: int = 0

    @property
    def is_own(self) -> bool:
        return self.advisor is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryInFlight:
    """An entry that may still fill; `filled` once any of it is seen as a position."""

    signal: Signal
    direction: Direction
    is_add: bool
    started_ms: int
    filled: bool = False
    dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """Everything the engine remembers between facts.

    Attributes:
        ready: a reconcile succeeded and no gap has opened since.
        halt: the account's halt reason, None while trading is allowed.
        symbol_halts: halt reasons of single symbols.
        holdings: positions by symbol, own and foreign; a flat symbol has no row.
        entries: entries in flight by symbol, at most one each.
        exiting: symbols with an exit in flight.
        wanted: decisions that wait for flat or for a reconcile, by symbol.
        cuts: CUT_LOSS by symbol and advisor that came before it was known whose positions are.
        used: decision ids that are used up, with the time.
        exit_ms: last time our own position of a symbol ended, for the cool-down.
        flip_ms: last time a symbol was flipped.
        flip_for: the decision that the last flip of a symbol made room for.
        losses_in_row: own trades lost since the last win.
        breaker_until_ms: bridge entries are refused until then, None while closed.
    """

    ready: bool = False
    halt: str | None = None
    symbol_halts: Mapping[str, str] = field(default_factory=dict)
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    entries: Mapping[str, EntryInFlight] = field(default_factory=dict)
    exiting: frozenset[str] = frozenset()
    wanted: Mapping[str, Signal] = field(default_factory=dict)
    cuts: Mapping[tuple[str, str], Signal] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    exit_ms: Mapping[str, int] = field(default_factory=dict)
    flip_ms: Mapping[str, int] = field(default_factory=dict)
    flip_for: Mapping[str, str] = field(default_factory=dict)
    losses_in_row: int = 0
    breaker_until_ms: int | None = None

    def halt_of(self, symbol: str) -> str | None:
        """Return why nothing may open on `symbol`, None if it may."""
        return self.halt if self.halt is not None else self.symbol_halts.get(symbol)

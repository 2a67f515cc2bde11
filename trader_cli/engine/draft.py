"""One decision step's working copy of the state, with the moves that every rule shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from trader_cli.domain.rules import BridgeRules, EntryPolicy, ForeignRules
from trader_cli.domain.signal import Signal
from trader_cli.engine.actions import Action, DropEntry, Exit, Refuse
from trader_cli.engine.state import EngineState, Holding

DAY_MS: Final = 86_400_000
RETRY_MS: Final = 1_000
FLIP: Final = "flip"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """What the operator decided, as far as decisions need it."""

    bridge: BridgeRules = field(default_factory=BridgeRules)
    entry: EntryPolicy = field(default_factory=EntryPolicy)
    foreign: ForeignRules = field(default_factory=ForeignRules)


class Draft:
    """One step's working copy; the state it came from is never touched."""

    def __init__(self, state: EngineState, now_ms: int, rules: EngineRules) -> None:
        self.now_ms = now_ms
        self.rules = rules.bridge
        self.foreign = rules.foreign
        self.protect_within_ms = rules.entry.protect_within_ms
        self.actions: list[Action] = []
        self.ready = state.ready
        self.halt = state.halt
        self.symbol_halts = dict(state.symbol_halts)
        self.holdings = dict(state.holdings)
        self.entries = dict(state.entries)
        self.exiting = set(state.exiting)
        self.wanted = dict(state.wanted)
        self.cuts = dict(state.cuts)
        self.used = dict(state.used)
        self.exit_ms = dict(state.exit_ms)
        self.flip_ms = dict(state.flip_ms)
        self.flip_for = dict(state.flip_for)
        self.losses_in_row = state.losses_in_row
        self.breaker_until_ms = state.breaker_until_ms

    def frozen(self) -> EngineState:
        return EngineState(
            ready=self.ready,
            halt=self.halt,
            symbol_halts=self.symbol_halts,
            holdings=self.holdings,
            entries=self.entries,
            exiting=frozenset(self.exiting),
            wanted=self.wanted,
            cuts=self.cuts,
            used=self.used,
            exit_ms=self.exit_ms,
            flip_ms=self.flip_ms,
            flip_for=self.flip_for,
            losses_in_row=self.losses_in_row,
            breaker_until_ms=self.breaker_until_ms,
        )

    def do(self, action: Action) -> None:
        self.actions.append(action)

    def refuse(self, signal: Signal, rule: str, message: str) -> None:
        """Refuse and use the decision up, so that it is refused once and not at every read."""
        self.used[signal.decision_id] = self.now_ms
        self.do(Refuse(signal=signal, rule=rule, message=message))

    def halt_of(self, symbol: str) -> str | None:
        return self.halt if self.halt is not None else self.symbol_halts.get(symbol)

    def close(self, holding: Holding, reason: str) -> None:
        """Want a position gone; repeats of the wish are paced by the tick."""
        if holding.closing is None:
            holding = replace(holding, closing=reason)
        if holding.symbol not in self.exiting:
            self.exiting.add(holding.symbol)
            holding = replace(holding, close_asked_ms=self.now_ms)
            self.do(
                Exit(
                    symbol=holding.symbol,
                    direction=holding.direction,
                    reason=holding.closing or reason,
                )
            )
        self.holdings[holding.symbol] = holding

    def drop_entry(self, symbol: str, reason: str) -> None:
        entry = self.entries.get(symbol)
        if entry is not None and not entry.dropped:
            self.entries[symbol] = replace(entry, dropped=True)
            self.do(DropEntry(symbol=symbol, reason=reason))


def breaker_is_open(draft: Draft) -> bool:
    return draft.breaker_until_ms is not None and draft.now_ms < draft.breaker_until_ms


def breaker_text(draft: Draft) -> str:
    return f"{draft.losses_in_row} losses in a row, limit {draft.rules.breaker_losses}"

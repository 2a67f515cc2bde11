"""The engine's decisions: a fact and the state in, the next state and wishes out.

Pure: no I/O, no clock, no randomness; the same facts at the same times decide the same. It knows
what a bridge decision means, who owns a position, and what each limit does when it is reached. It
does not know prices, sizes or orders: those belong to risk and to the order manager.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from trader_cli.domain.rules import BridgeRules, EntryPolicy
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
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
from trader_cli.engine.facts import (
    EntryEnded,
    ExitEnded,
    Fact,
    GapSeen,
    HaltSeen,
    LossLimit,
    LossLimitReached,
    Ownership,
    PositionSeen,
    ProtectionSeen,
    Reconciled,
    Resumed,
    SignalConfirmed,
    SignalWithdrawn,
    Ticked,
    TradeClosed,
)
from trader_cli.engine.state import EngineState, EntryInFlight, Holding

_DAY_MS: Final = 86_400_000
_MINUTE_MS: Final = 60_000
_RETRY_MS: Final = 1_000
_USED_KEPT_MS: Final = 2 * _DAY_MS
_FLIP: Final = "flip"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """What the operator decided, as far as decisions need it."""

    bridge: BridgeRules = field(default_factory=BridgeRules)
    entry: EntryPolicy = field(default_factory=EntryPolicy)


def step(
    state: EngineState, fact: Fact, now_ms: int, rules: EngineRules
) -> tuple[EngineState, tuple[Action, ...]]:
    """Return the state after `fact` and what is to be done about it, in order."""
    draft = _Draft(state, now_ms, rules)
    match fact:
        case SignalConfirmed():
            _on_signal(draft, fact.signal)
        case SignalWithdrawn():
            _on_withdrawn(draft, fact)
        case PositionSeen():
            _on_position(draft, fact)
        case EntryEnded():
            _on_entry_ended(draft, fact)
        case ExitEnded():
            _on_exit_ended(draft, fact)
        case TradeClosed():
            _on_trade_closed(draft, fact)
        case ProtectionSeen():
            _on_protection(draft, fact)
        case HaltSeen():
            _on_halt(draft, fact)
        case Resumed():
            draft.losses_in_row = 0
            draft.breaker_until_ms = None
        case GapSeen():
            draft.ready = False
            draft.do(Reconcile(reason=f"{fact.stream}: {fact.reason}"))
        case Reconciled():
            _on_reconciled(draft, fact)
        case LossLimitReached():
            _on_loss_limit(draft, fact)
        case Ticked():
            _on_tick(draft)
        case _:
            assert_never(fact)
    return draft.frozen(), tuple(draft.actions)


class _Draft:
    """One step's working copy; the state it came from is never touched."""

    def __init__(self, state: EngineState, now_ms: int, rules: EngineRules) -> None:
        self.now_ms = now_ms
        self.rules = rules.bridge
        self.protect_within_ms = rules.entry.protect_within_ms
        self.actions: list[Action] = []
        self.ready = state.ready
        self.halt = state.halt
        self.symbol_halts = dict(state.symbol_halts)
        self.holdings = dict(state.holdings)
        self.entries = dict(state.entries)
        self.exiting = set(state.exiting)
        self.wanted = dict(state.wanted)
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
            self.do(Exit(symbol=holding.symbol, reason=holding.closing or reason))
        self.holdings[holding.symbol] = holding

    def drop_entry(self, symbol: str, reason: str) -> None:
        entry = self.entries.get(symbol)
        if entry is not None and not entry.dropped:
            self.entries[symbol] = replace(entry, dropped=True)
            self.do(DropEntry(symbol=symbol, reason=reason))


def _symbol_of(draft: _Draft, signal: Signal) -> str:
    return signal.symbol or draft.rules.symbol


def _on_signal(draft: _Draft, signal: Signal) -> None:
    if signal.decision_id in draft.used:
        return
    direction = signal.command.direction
    if signal.command is Command.CUT_LOSS:
        _on_cut_loss(draft, signal)
    elif direction is not None:
        _on_directional(draft, signal, direction)


def _on_cut_loss(draft: _Draft, signal: Signal) -> None:
    """Close what this advisor opened, if the command is younger than the entry or the age limit."""
    symbol = _symbol_of(draft, signal)
    holding = draft.holdings.get(symbol)
    entry = draft.entries.get(symbol)
    wanted = draft.wanted.get(symbol)
    decided_ms = signal.decided_ms
    if decided_ms is None:
        draft.refuse(signal, "no_timestamp", "CUT_LOSS without a usable timestamp")
        return
    if decided_ms - draft.now_ms > draft.rules.future_tolerance_ms:
        draft.refuse(signal, "future", "CUT_LOSS is dated in the future")
        return
    fresh = draft.now_ms - decided_ms <= draft.rules.max_age_ms
    if wanted is not None and wanted.advisor == signal.advisor:
        del draft.wanted[symbol]
        draft.used[wanted.decision_id] = draft.now_ms
    if entry is not None and entry.signal.advisor == signal.advisor and fresh:
        draft.drop_entry(symbol, "CUT_LOSS")
        draft.used[signal.decision_id] = draft.now_ms
    if holding is None or holding.advisor != signal.advisor:
        return
    if not fresh and decided_ms < holding.opened_ms:
        draft.refuse(signal, "stale", "CUT_LOSS is older than the position and the age limit")
        return
    draft.used[signal.decision_id] = draft.now_ms
    draft.close(holding, "CUT_LOSS")


def _on_directional(draft: _Draft, signal: Signal, direction: Direction) -> None:
    symbol = _symbol_of(draft, signal)
    problem = _timing_problem(draft, signal)
    if problem is not None:
        draft.refuse(signal, *problem)
        return
    if symbol not in draft.rules.symbols:
        draft.refuse(signal, "symbol", f"{symbol} is not followed by this run")
        return
    holding = draft.holdings.get(symbol)
    if holding is not None:
        _with_position(draft, signal, direction, holding)
    elif symbol in draft.entries:
        _with_entry(draft, signal, direction, draft.entries[symbol])
    elif not draft.ready:
        _want(draft, symbol, signal)
    else:
        _enter_if_allowed(draft, symbol, signal, direction, flipping=False)


def _timing_problem(draft: _Draft, signal: Signal) -> tuple[str, str] | None:
    if signal.decided_ms is None:
        return "no_timestamp", "the decision has no usable timestamp"
    age_ms = draft.now_ms - signal.decided_ms
    if age_ms > draft.rules.max_age_ms:
        limit = draft.rules.max_age_ms // 1000
        return "stale", f"{age_ms / 1000:.0f} s old, limit {limit} s"
    if -age_ms > draft.rules.future_tolerance_ms:
        limit = draft.rules.future_tolerance_ms // 1000
        return "future", f"dated {-age_ms / 1000:.0f} s in the future, limit {limit} s"
    return None


def _with_position(draft: _Draft, signal: Signal, direction: Direction, holding: Holding) -> None:
    if not holding.is_own:
        draft.refuse(
            signal,
            "not_own_position",
            f"{holding.symbol} holds a {holding.direction} that this engine did not open",
        )
    elif holding.advisor != signal.advisor:
        draft.refuse(signal, "owned", f"{holding.symbol} is owned by {holding.advisor} until flat")
    elif holding.closing is not None:
        draft.refuse(signal, "closing", f"{holding.symbol} is being closed: {holding.closing}")
    elif direction is holding.direction:
        _same_side(draft, signal, holding)
    elif signal.command.is_add:
        draft.refuse(signal, "add_against", f"{signal.command} against a {holding.direction}")
    else:
        _flip(draft, signal, holding)


def _same_side(draft: _Draft, signal: Signal, holding: Holding) -> None:
    """A repeated LONG is a heartbeat; an ADD adds once per timestamp."""
    draft.used[signal.decision_id] = draft.now_ms
    if not signal.command.is_add:
        return
    symbol = holding.symbol
    halt = draft.halt_of(symbol)
    if halt is not None:
        draft.refuse(signal, "halted", halt)
    elif not draft.ready:
        draft.refuse(signal, "not_ready", "the account is being reconciled")
    elif symbol in draft.entries:
        draft.refuse(signal, "entry_in_flight", f"an entry on {symbol} is still working")
    elif _breaker_is_open(draft):
        draft.refuse(signal, "loss_breaker", _breaker_text(draft))
    else:
        _start_entry(draft, symbol, signal, holding.direction, is_add=True)


def _flip(draft: _Draft, signal: Signal, holding: Holding) -> None:
    symbol = holding.symbol
    since = draft.now_ms - draft.flip_ms.get(symbol, -_DAY_MS)
    if since < draft.rules.flip_window_ms:
        draft.refuse(
            signal,
            "flip_window",
            f"flipped {since / 1000:.0f} s ago, "
            f"at most once in {draft.rules.flip_window_ms // 1000} s",
        )
        return
    draft.flip_ms[symbol] = draft.now_ms
    draft.flip_for[symbol] = signal.decision_id
    draft.drop_entry(symbol, "flip")
    if draft.halt_of(symbol) is None:
        draft.wanted[symbol] = signal
    else:
        draft.refuse(signal, "halted", draft.halt_of(symbol) or "")
    draft.close(holding, _FLIP)


def _with_entry(draft: _Draft, signal: Signal, direction: Direction, entry: EntryInFlight) -> None:
    """Nothing is filled yet: the opposite side of the same advisor, or a higher one, takes over."""
    symbol = _symbol_of(draft, signal)
    same_advisor = entry.signal.advisor == signal.advisor
    if same_advisor and direction is entry.direction:
        draft.used[signal.decision_id] = draft.now_ms
    elif same_advisor or _rank(draft, signal) < _rank(draft, entry.signal):
        draft.drop_entry(symbol, f"replaced by {signal.advisor} {signal.command}")
        _want(draft, symbol, signal)
    else:
        draft.refuse(signal, "owned", f"{symbol} is being entered for {entry.signal.advisor}")


def _rank(draft: _Draft, signal: Signal) -> int:
    priority = draft.rules.priority
    return priority.index(signal.advisor) if signal.advisor in priority else len(priority)


def _want(draft: _Draft, symbol: str, signal: Signal) -> None:
    """Keep one decision per symbol for later; the higher advisor, else the newer one, stays."""
    present = draft.wanted.get(symbol)
    if present is not None and present.decision_id != signal.decision_id:
        if _rank(draft, present) < _rank(draft, signal):
            draft.refuse(signal, "owned", f"{symbol} waits for {present.advisor}")
            return
        draft.refuse(present, "replaced", f"replaced by {signal.advisor} {signal.command}")
    draft.wanted[symbol] = signal


def _enter_if_allowed(
    draft: _Draft, symbol: str, signal: Signal, direction: Direction, *, flipping: bool
) -> None:
    halt = draft.halt_of(symbol)
    if halt is not None:
        draft.refuse(signal, "halted", halt)
        return
    if _breaker_is_open(draft):
        draft.refuse(signal, "loss_breaker", _breaker_text(draft))
        return
    exit_ms = draft.exit_ms.get(symbol)
    if exit_ms is not None and not flipping:
        since = draft.now_ms - exit_ms
        if since < draft.rules.cool_down_ms:
            limit = draft.rules.cool_down_ms // 1000
            draft.refuse(
                signal, "cool_down", f"{since / 1000:.0f} s after an exit, limit {limit} s"
            )
            return
        if signal.decided_ms is not None and signal.decided_ms <= exit_ms:
            draft.refuse(signal, "before_exit", "decided before the last exit")
            return
    _start_entry(draft, symbol, signal, direction, is_add=False)


def _start_entry(
    draft: _Draft, symbol: str, signal: Signal, direction: Direction, *, is_add: bool
) -> None:
    draft.used[signal.decision_id] = draft.now_ms
    draft.entries[symbol] = EntryInFlight(
        signal=signal, direction=direction, is_add=is_add, started_ms=draft.now_ms
    )
    draft.do(Enter(symbol=symbol, direction=direction, signal=signal, is_add=is_add))


def _breaker_is_open(draft: _Draft) -> bool:
    return draft.breaker_until_ms is not None and draft.now_ms < draft.breaker_until_ms


def _breaker_text(draft: _Draft) -> str:
    return f"{draft.losses_in_row} losses in a row, limit {draft.rules.breaker_losses}"


def _on_withdrawn(draft: _Draft, fact: SignalWithdrawn) -> None:
    """The last command under a timestamp holds: what was not filled yet is dropped."""
    for symbol, signal in list(draft.wanted.items()):
        if signal.decision_id == fact.decision_id:
            del draft.wanted[symbol]
            draft.used[fact.decision_id] = draft.now_ms
    for symbol, entry in list(draft.entries.items()):
        if entry.signal.decision_id == fact.decision_id and not entry.filled:
            draft.drop_entry(symbol, f"the advisor replaced it by {fact.command}")


def _on_position(draft: _Draft, fact: PositionSeen) -> None:
    holding = draft.holdings.get(fact.symbol)
    if fact.direction is None:
        if holding is not None:
            _on_flat(draft, holding)
        return
    if holding is not None and holding.direction is fact.direction:
        draft.holdings[fact.symbol] = replace(
            holding, quantity=fact.quantity, entry_price=fact.entry_price
        )
    else:
        if holding is not None:
            _on_flat(draft, holding, reason="turned around at the exchange")
        draft.holdings[fact.symbol] = _new_holding(draft, fact, fact.direction)
    entry = draft.entries.get(fact.symbol)
    if entry is not None and entry.direction is fact.direction and not entry.is_add:
        draft.entries[fact.symbol] = replace(entry, filled=True)


def _new_holding(draft: _Draft, fact: PositionSeen, direction: Direction) -> Holding:
    """A position belongs to the entry in flight, else to whom the journal names, else to nobody."""
    entry = draft.entries.get(fact.symbol)
    owner = fact.ownership
    if entry is not None and entry.direction is direction:
        owner = ownership_of(entry.signal, draft.now_ms, draft.rules)
    if owner is None:
        draft.do(
            Warn(
                kind="foreign_position",
                message=f"{fact.symbol} {direction} {fact.quantity:f} is not this engine's",
            )
        )
    return Holding(
        symbol=fact.symbol,
        direction=direction,
        quantity=fact.quantity,
        entry_price=fact.entry_price,
        opened_ms=draft.now_ms if owner is None else owner.opened_ms,
        advisor=None if owner is None else owner.advisor,
        decision_id="" if owner is None else owner.decision_id,
        max_holding_ms=None if owner is None else owner.max_holding_ms,
        naked_since_ms=None if owner is None else draft.now_ms,
    )


def ownership_of(signal: Signal, opened_ms: int, rules: BridgeRules) -> Ownership:
    """Return who owns a position that the decision opened at `opened_ms`."""
    minutes = signal.max_holding_minutes if rules.honour_max_holding else None
    return Ownership(
        advisor=signal.advisor,
        decision_id=signal.decision_id,
        opened_ms=opened_ms,
        max_holding_ms=None if minutes is None else int(minutes * _MINUTE_MS),
    )


def _on_flat(draft: _Draft, holding: Holding, *, reason: str = "closed at the exchange") -> None:
    """The position is gone, by whoever's hand; a flip's other half opens when all is quiet."""
    symbol = holding.symbol
    del draft.holdings[symbol]
    draft.drop_entry(symbol, "the position ended")
    if holding.advisor is None:
        return
    draft.exit_ms[symbol] = draft.now_ms
    draft.do(
        SettleTrade(
            symbol=symbol,
            direction=holding.direction,
            advisor=holding.advisor,
            decision_id=holding.decision_id,
            opened_ms=holding.opened_ms,
            reason=holding.closing or reason,
        )
    )
    if holding.closing != _FLIP:
        _forget_wanted(draft, symbol, "the position ended before the decision could act")
    elif symbol not in draft.exiting and symbol not in draft.entries:
        _open_other_half(draft, symbol)


def _forget_wanted(draft: _Draft, symbol: str, why: str) -> None:
    signal = draft.wanted.pop(symbol, None)
    if signal is not None:
        draft.refuse(signal, "superseded", why)


def _open_other_half(draft: _Draft, symbol: str) -> None:
    """Open what a flip was for, if it is still valid; flat is proven."""
    signal = draft.wanted.pop(symbol, None)
    if signal is None:
        return
    direction = signal.command.direction
    assert direction is not None, "only directional decisions flip"
    problem = _timing_problem(draft, signal)
    if problem is not None:
        draft.refuse(signal, *problem)
    elif not draft.ready:
        draft.wanted[symbol] = signal
    else:
        _enter_if_allowed(draft, symbol, signal, direction, flipping=True)


def _reconsider(draft: _Draft, symbol: str) -> None:
    """Look again at a decision that waited for an entry to end or for a reconcile."""
    holding = draft.holdings.get(symbol)
    if symbol in draft.entries or symbol in draft.exiting:
        return
    if holding is not None and holding.closing is not None:
        return
    signal = draft.wanted.pop(symbol, None)
    if signal is None:
        return
    if holding is None and draft.flip_for.get(symbol) == signal.decision_id:
        draft.wanted[symbol] = signal
        _open_other_half(draft, symbol)
        return
    direction = signal.command.direction
    assert direction is not None, "only directional decisions wait"
    _on_directional(draft, signal, direction)


def _on_entry_ended(draft: _Draft, fact: EntryEnded) -> None:
    entry = draft.entries.get(fact.symbol)
    if entry is None or entry.signal.decision_id != fact.decision_id:
        return
    del draft.entries[fact.symbol]
    holding = draft.holdings.get(fact.symbol)
    if holding is not None and holding.closing is not None:
        draft.close(holding, holding.closing)
    _reconsider(draft, fact.symbol)


def _on_exit_ended(draft: _Draft, fact: ExitEnded) -> None:
    draft.exiting.discard(fact.symbol)
    holding = draft.holdings.get(fact.symbol)
    if not fact.flat:
        draft.do(Warn(kind="exit_failed", message=f"{fact.symbol} is not flat: {fact.reason}"))
        return
    if holding is not None:
        _on_flat(draft, holding)
    else:
        _reconsider(draft, fact.symbol)


def _on_trade_closed(draft: _Draft, fact: TradeClosed) -> None:
    if fact.net_pnl > 0:
        draft.losses_in_row = 0
        return
    if fact.net_pnl == 0:
        return
    draft.losses_in_row += 1
    if draft.losses_in_row >= draft.rules.breaker_losses and not _breaker_is_open(draft):
        draft.breaker_until_ms = (draft.now_ms // _DAY_MS + 1) * _DAY_MS
        draft.do(
            Warn(
                kind="loss_breaker",
                message=f"{_breaker_text(draft)}: no entries until the next UTC day or resume",
            )
        )


def _on_protection(draft: _Draft, fact: ProtectionSeen) -> None:
    holding = draft.holdings.get(fact.symbol)
    if holding is None or not holding.is_own:
        return
    if fact.has_stop:
        draft.holdings[fact.symbol] = replace(holding, naked_since_ms=None)
        return
    if holding.naked_since_ms is None:
        holding = replace(holding, naked_since_ms=draft.now_ms)
        draft.holdings[fact.symbol] = holding
    if fact.symbol not in draft.entries:
        _ask_protection(draft, holding)


def _ask_protection(draft: _Draft, holding: Holding) -> None:
    if holding.closing is None and draft.now_ms - holding.protect_asked_ms >= _RETRY_MS:
        draft.holdings[holding.symbol] = replace(holding, protect_asked_ms=draft.now_ms)
        draft.do(Protect(symbol=holding.symbol))


def _on_halt(draft: _Draft, fact: HaltSeen) -> None:
    """A halt ends entries; positions keep their stops and their exits."""
    draft.halt = fact.account
    draft.symbol_halts = dict(fact.symbols)
    for symbol in list(draft.entries):
        if draft.halt_of(symbol) is not None:
            draft.drop_entry(symbol, "halted")
    for symbol, signal in list(draft.wanted.items()):
        halt = draft.halt_of(symbol)
        if halt is not None:
            del draft.wanted[symbol]
            draft.refuse(signal, "halted", halt)


def _on_reconciled(draft: _Draft, fact: Reconciled) -> None:
    seen = {position.symbol for position in fact.positions}
    for holding in list(draft.holdings.values()):
        if holding.symbol not in seen:
            _on_flat(draft, holding)
    for position in fact.positions:
        _on_position(draft, position)
    draft.ready = True
    for symbol in list(draft.wanted):
        _reconsider(draft, symbol)


def _on_loss_limit(draft: _Draft, fact: LossLimitReached) -> None:
    draft.do(RaiseHalt(rule=fact.limit.value, message=fact.message, until_ms=fact.until_ms))
    draft.halt = draft.halt or fact.message
    for symbol in list(draft.entries):
        draft.drop_entry(symbol, fact.limit.value)
    for symbol in list(draft.wanted):
        _forget_wanted(draft, symbol, fact.message)
    if fact.limit is LossLimit.EMERGENCY:
        draft.do(KillAll(message=fact.message))
    elif fact.close_positions:
        for holding in list(draft.holdings.values()):
            if holding.is_own:
                draft.close(holding, "day_limit")


def _on_tick(draft: _Draft) -> None:
    for symbol, signal in list(draft.wanted.items()):
        problem = _timing_problem(draft, signal)
        if problem is not None:
            del draft.wanted[symbol]
            draft.refuse(signal, *problem)
    for holding in list(draft.holdings.values()):
        if holding.is_own:
            _watch(draft, holding)
    stale = [key for key, at in draft.used.items() if draft.now_ms - at > _USED_KEPT_MS]
    for key in stale:
        del draft.used[key]


def _watch(draft: _Draft, holding: Holding) -> None:
    """Repeat an exit that failed, close what stays naked, end what was held too long."""
    if holding.closing is not None:
        if draft.now_ms - holding.close_asked_ms >= _RETRY_MS:
            draft.close(holding, holding.closing)
        return
    held_ms = draft.now_ms - holding.opened_ms
    if holding.max_holding_ms is not None and held_ms >= holding.max_holding_ms:
        draft.drop_entry(holding.symbol, "max_holding")
        draft.close(holding, "max_holding")
        return
    if holding.naked_since_ms is None:
        return
    naked_ms = draft.now_ms - holding.naked_since_ms
    if naked_ms >= draft.protect_within_ms:
        draft.drop_entry(holding.symbol, "unprotected")
        draft.close(holding, "unprotected")
    elif naked_ms >= _RETRY_MS:
        _ask_protection(draft, holding)

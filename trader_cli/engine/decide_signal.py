"""What an advisor's decision leads to: freshness, ownership, flips, adds, cool-downs.

Pure, like all of `decide`. It does not know prices, sizes or orders.
"""

from __future__ import annotations

from trader_cli.bridge.freshness import format_age
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
from trader_cli.engine.actions import Enter
from trader_cli.engine.draft import DAY_MS, FLIP, Draft, breaker_is_open, breaker_text
from trader_cli.engine.facts import SignalWithdrawn
from trader_cli.engine.state import EntryInFlight, Holding


def on_signal(draft: Draft, signal: Signal) -> None:
    if signal.decision_id in draft.used:
        return
    direction = signal.command.direction
    draft.cuts.pop((_symbol_of(draft, signal), signal.advisor), None)
    if signal.command is Command.CUT_LOSS:
        _on_cut_loss(draft, signal)
    elif direction is not None:
        on_directional(draft, signal, direction)


def _on_cut_loss(draft: Draft, signal: Signal) -> None:
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
        if not draft.ready:  # a reconcile may find that it is this advisor's
            draft.cuts[symbol, signal.advisor] = signal
        return
    if not fresh and decided_ms < holding.opened_ms:
        draft.refuse(signal, "stale", "CUT_LOSS is older than the position and the age limit")
        return
    draft.used[signal.decision_id] = draft.now_ms
    # An addition that still chases would be worked before the exit.
    draft.drop_entry(symbol, "CUT_LOSS")
    draft.close(holding, "CUT_LOSS")


def on_directional(draft: Draft, signal: Signal, direction: Direction) -> None:
    symbol = _symbol_of(draft, signal)
    problem = timing_problem(draft, signal)
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
        enter_if_allowed(draft, symbol, signal, direction, flipping=False)


def timing_problem(draft: Draft, signal: Signal) -> tuple[str, str] | None:
    if signal.decided_ms is None:
        return "no_timestamp", "the decision has no usable timestamp"
    age_ms = draft.now_ms - signal.decided_ms
    if age_ms > draft.rules.max_age_ms:
        limit = draft.rules.max_age_ms // 1000
        return "stale", f"{format_age(age_ms)} old, limit {limit} s"
    if -age_ms > draft.rules.future_tolerance_ms:
        limit = draft.rules.future_tolerance_ms // 1000
        return "future", f"dated {format_age(age_ms)} in the future, limit {limit} s"
    return None


def _symbol_of(draft: Draft, signal: Signal) -> str:
    return signal.symbol or draft.rules.symbol


def _with_position(draft: Draft, signal: Signal, direction: Direction, holding: Holding) -> None:
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


def _same_side(draft: Draft, signal: Signal, holding: Holding) -> None:
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
    elif breaker_is_open(draft):
        draft.refuse(signal, "loss_breaker", breaker_text(draft))
    else:
        _start_entry(draft, symbol, signal, holding.direction, is_add=True)


def _flip(draft: Draft, signal: Signal, holding: Holding) -> None:
    symbol = holding.symbol
    since = draft.now_ms - draft.flip_ms.get(symbol, -DAY_MS)
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
    draft.close(holding, FLIP)


def _with_entry(draft: Draft, signal: Signal, direction: Direction, entry: EntryInFlight) -> None:
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


def _rank(draft: Draft, signal: Signal) -> int:
    priority = draft.rules.priority
    return priority.index(signal.advisor) if signal.advisor in priority else len(priority)


def _want(draft: Draft, symbol: str, signal: Signal) -> None:
    """Keep one decision per symbol for later; the higher advisor, else the newer one, stays."""
    present = draft.wanted.get(symbol)
    if present is not None and present.decision_id != signal.decision_id:
        if _rank(draft, present) < _rank(draft, signal):
            draft.refuse(signal, "owned", f"{symbol} waits for {present.advisor}")
            return
        draft.refuse(present, "replaced", f"replaced by {signal.advisor} {signal.command}")
    draft.wanted[symbol] = signal


def enter_if_allowed(
    draft: Draft, symbol: str, signal: Signal, direction: Direction, *, flipping: bool
) -> None:
    halt = draft.halt_of(symbol)
    if halt is not None:
        draft.refuse(signal, "halted", halt)
        return
    if breaker_is_open(draft):
        draft.refuse(signal, "loss_breaker", breaker_text(draft))
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
    draft: Draft, symbol: str, signal: Signal, direction: Direction, *, is_add: bool
) -> None:
    draft.used[signal.decision_id] = draft.now_ms
    draft.entries[symbol] = EntryInFlight(
        signal=signal, direction=direction, is_add=is_add, started_ms=draft.now_ms
    )
    draft.do(Enter(symbol=symbol, direction=direction, signal=signal, is_add=is_add))


def on_withdrawn(draft: Draft, fact: SignalWithdrawn) -> None:
    """The last command under a timestamp holds: what was not filled yet is dropped."""
    for key, cut in list(draft.cuts.items()):
        if cut.decision_id == fact.decision_id:
            del draft.cuts[key]
    for symbol, signal in list(draft.wanted.items()):
        if signal.decision_id == fact.decision_id:
            del draft.wanted[symbol]
            draft.used[fact.decision_id] = draft.now_ms
    for symbol, entry in list(draft.entries.items()):
        if entry.signal.decision_id == fact.decision_id and not entry.filled:
            draft.drop_entry(symbol, f"the advisor replaced it by {fact.command}")

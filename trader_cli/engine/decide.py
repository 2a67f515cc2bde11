"""The engine's decisions: a fact and the state in, the next state and wishes out.

Pure: no I/O, no clock, no randomness; the same facts at the same times decide the same. It knows
what a bridge decision means, who owns a position, and what each limit does when it is reached. It
does not know prices, sizes or orders: those belong to risk and to the order manager.
"""

from __future__ import annotations

from typing import Final, assert_never

from trader_cli.engine.actions import Action, KillAll, RaiseHalt, Reconcile, Warn
from trader_cli.engine.decide_position import (
    forget_wanted,
    on_entry_ended,
    on_exit_ended,
    on_exit_wanted,
    on_flat,
    on_position,
    on_protection,
    on_stop_passed,
    on_trade_found_over,
    reconsider,
    watch,
)
from trader_cli.engine.decide_signal import on_signal, on_withdrawn, timing_problem
from trader_cli.engine.draft import DAY_MS, Draft, EngineRules, breaker_is_open, breaker_text
from trader_cli.engine.facts import (
    EntryEnded,
    ExitEnded,
    ExitWanted,
    Fact,
    GapSeen,
    HaltSeen,
    LossLimit,
    LossLimitReached,
    PositionSeen,
    ProtectionSeen,
    Reconciled,
    Resumed,
    SignalConfirmed,
    SignalWithdrawn,
    StopPassed,
    Ticked,
    TradeClosed,
    TradeFoundOver,
)
from trader_cli.engine.state import EngineState

_USED_KEPT_MS: Final = 2 * DAY_MS


def step(
    state: EngineState, fact: Fact, now_ms: int, rules: EngineRules
) -> tuple[EngineState, tuple[Action, ...]]:
    """Return the state after `fact` and what is to be done about it, in order."""
    draft = Draft(state, now_ms, rules)
    match fact:
        case SignalConfirmed():
            on_signal(draft, fact.signal)
        case SignalWithdrawn():
            on_withdrawn(draft, fact)
        case PositionSeen():
            on_position(draft, fact)
        case TradeFoundOver():
            on_trade_found_over(draft, fact.seen)
        case EntryEnded():
            on_entry_ended(draft, fact)
        case ExitEnded():
            on_exit_ended(draft, fact)
        case TradeClosed():
            _on_trade_closed(draft, fact)
        case ProtectionSeen():
            on_protection(draft, fact)
        case StopPassed():
            on_stop_passed(draft, fact)
        case ExitWanted():
            on_exit_wanted(draft, fact)
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


def _on_trade_closed(draft: Draft, fact: TradeClosed) -> None:
    if fact.net_pnl > 0:
        draft.losses_in_row = 0
        return
    if fact.net_pnl == 0:
        return
    draft.losses_in_row += 1
    if draft.losses_in_row >= draft.rules.breaker_losses and not breaker_is_open(draft):
        draft.breaker_until_ms = (draft.now_ms // DAY_MS + 1) * DAY_MS
        draft.do(
            Warn(
                kind="loss_breaker",
                message=f"{breaker_text(draft)}: no entries until the next UTC day or resume",
            )
        )
        # A flip's other half is wished for before the first half's result is known.
        for symbol, entry in list(draft.entries.items()):
            if not entry.filled:
                draft.drop_entry(symbol, "loss_breaker")


def _on_halt(draft: Draft, fact: HaltSeen) -> None:
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


def _on_reconciled(draft: Draft, fact: Reconciled) -> None:
    seen = {position.symbol for position in fact.positions}
    for holding in list(draft.holdings.values()):
        if holding.symbol not in seen:
            on_flat(draft, holding)
    for position in fact.positions:
        on_position(draft, position)
    draft.ready = fact.may_open
    for signal in list(draft.cuts.values()):
        on_signal(draft, signal)
    if not draft.ready:
        return
    for symbol in list(draft.wanted):
        reconsider(draft, symbol)


def _on_loss_limit(draft: Draft, fact: LossLimitReached) -> None:
    draft.do(RaiseHalt(rule=fact.limit.value, message=fact.message, until_ms=fact.until_ms))
    draft.halt = draft.halt or fact.message
    for symbol in list(draft.entries):
        draft.drop_entry(symbol, fact.limit.value)
    for symbol in list(draft.wanted):
        forget_wanted(draft, symbol, fact.message)
    if fact.limit is LossLimit.EMERGENCY:
        draft.do(KillAll(message=fact.message))
    elif fact.close_positions:
        for holding in list(draft.holdings.values()):
            if holding.is_own:
                draft.close(holding, "day_limit")


def _on_tick(draft: Draft) -> None:
    for symbol, signal in list(draft.wanted.items()):
        problem = timing_problem(draft, signal)
        if problem is not None:
            del draft.wanted[symbol]
            draft.refuse(signal, *problem)
    for holding in list(draft.holdings.values()):
        if holding.is_own:
            watch(draft, holding)
    stale = [key for key, at in draft.used.items() if draft.now_ms - at > _USED_KEPT_MS]
    for key in stale:
        del draft.used[key]

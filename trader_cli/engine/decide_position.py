"""What a position's life leads to: whose it is, that it is protected, that it ends.

Pure, like all of `decide`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trader_cli.domain.rules import BridgeRules, ForeignPolicy
from trader_cli.domain.signal import Signal
from trader_cli.domain.terms import Direction
from trader_cli.engine.actions import Protect, SettleTrade, Warn
from trader_cli.engine.decide_signal import enter_if_allowed, on_directional, timing_problem
from trader_cli.engine.draft import FLIP, RETRY_MS, Draft
from trader_cli.engine.facts import (
    EntryEnded,
    ExitEnded,
    ExitWanted,
    Ownership,
    PositionSeen,
    ProtectionSeen,
    StopPassed,
)
from trader_cli.engine.state import Holding

GONE: Final = "closed at the exchange"
_MINUTE_MS: Final = 60_000


def on_position(draft: Draft, fact: PositionSeen) -> None:
    holding = draft.holdings.get(fact.symbol)
    if fact.direction is None:
        if holding is not None:
            on_flat(draft, holding)
        return
    if holding is not None and not holding.is_own and fact.ownership is not None:
        holding = None  # proven late: it was taken for somebody else's
    if holding is not None and holding.direction is fact.direction:
        draft.holdings[fact.symbol] = replace(
            holding, quantity=fact.quantity, entry_price=fact.entry_price
        )
    else:
        if holding is not None:
            on_flat(draft, holding, reason="turned around at the exchange")
        draft.holdings[fact.symbol] = _new_holding(draft, fact, fact.direction)
    entry = draft.entries.get(fact.symbol)
    if entry is not None and entry.direction is fact.direction and not entry.is_add:
        draft.entries[fact.symbol] = replace(entry, filled=True)


def _new_holding(draft: Draft, fact: PositionSeen, direction: Direction) -> Holding:
    """A position belongs to the entry in flight, else to whom the journal names, else to nobody."""
    entry = draft.entries.get(fact.symbol)
    owner = fact.ownership
    if entry is not None and entry.direction is direction:
        owner = ownership_of(entry.signal, draft.now_ms, draft.rules)
    if owner is None and draft.foreign.policy(fact.symbol) is not ForeignPolicy.IGNORE:
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


def on_flat(draft: Draft, holding: Holding, *, reason: str = GONE) -> None:
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
    if holding.closing != FLIP:
        forget_wanted(draft, symbol, "the position ended before the decision could act")
    elif symbol not in draft.exiting and symbol not in draft.entries:
        _open_other_half(draft, symbol)


def on_trade_found_over(draft: Draft, seen: PositionSeen) -> None:
    """Hold for one moment what has ended, so that it ends like any other trade.

    Beside a later trade's entry or position it is settled and no more: those are not what ended.
    """
    owner = seen.ownership
    assert owner is not None, "only own trades are looked for"
    assert seen.direction is not None, "it is told as it was held"
    holding, entry = draft.holdings.get(seen.symbol), draft.entries.get(seen.symbol)
    later = {
        *(() if holding is None or not holding.is_own else (holding.decision_id,)),
        *(() if entry is None or entry.is_add else (entry.signal.decision_id,)),
    }
    if later - {owner.decision_id}:
        draft.do(
            SettleTrade(
                symbol=seen.symbol,
                direction=seen.direction,
                advisor=owner.advisor,
                decision_id=owner.decision_id,
                opened_ms=owner.opened_ms,
                reason=GONE,
            )
        )
        return
    on_position(draft, seen)
    on_flat(draft, draft.holdings[seen.symbol])


def forget_wanted(draft: Draft, symbol: str, why: str) -> None:
    signal = draft.wanted.pop(symbol, None)
    if signal is not None:
        draft.refuse(signal, "superseded", why)


def _open_other_half(draft: Draft, symbol: str) -> None:
    """Open what a flip was for, if it is still valid; flat is proven."""
    signal = draft.wanted.pop(symbol, None)
    if signal is None:
        return
    direction = signal.command.direction
    assert direction is not None, "only directional decisions flip"
    problem = timing_problem(draft, signal)
    if problem is not None:
        draft.refuse(signal, *problem)
    elif not draft.ready:
        draft.wanted[symbol] = signal
    else:
        enter_if_allowed(draft, symbol, signal, direction, flipping=True)


def reconsider(draft: Draft, symbol: str) -> None:
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
    on_directional(draft, signal, direction)


def on_entry_ended(draft: Draft, fact: EntryEnded) -> None:
    entry = draft.entries.get(fact.symbol)
    if entry is None or entry.signal.decision_id != fact.decision_id:
        return
    del draft.entries[fact.symbol]
    holding = draft.holdings.get(fact.symbol)
    if holding is not None and holding.closing is not None:
        draft.close(holding, holding.closing)
    reconsider(draft, fact.symbol)


def on_exit_ended(draft: Draft, fact: ExitEnded) -> None:
    draft.exiting.discard(fact.symbol)
    holding = draft.holdings.get(fact.symbol)
    if not fact.flat:
        draft.do(Warn(kind="exit_failed", message=f"{fact.symbol} is not flat: {fact.reason}"))
        return
    if holding is not None:
        on_flat(draft, holding)
    else:
        reconsider(draft, fact.symbol)


def on_protection(draft: Draft, fact: ProtectionSeen) -> None:
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


def on_exit_wanted(draft: Draft, fact: ExitWanted) -> None:
    """Close an own position on somebody's word; what is not the engine's is left alone."""
    holding = draft.holdings.get(fact.symbol)
    if holding is not None and holding.is_own:
        draft.drop_entry(fact.symbol, fact.reason)
        draft.close(holding, fact.reason)


def on_stop_passed(draft: Draft, fact: StopPassed) -> None:
    """Close at once what can no longer be stopped where it should be."""
    holding = draft.holdings.get(fact.symbol)
    if holding is not None and holding.is_own:
        draft.drop_entry(fact.symbol, fact.message)
        draft.close(holding, "stop_passed")


def _ask_protection(draft: Draft, holding: Holding) -> None:
    if holding.closing is None and draft.now_ms - holding.protect_asked_ms >= RETRY_MS:
        draft.holdings[holding.symbol] = replace(holding, protect_asked_ms=draft.now_ms)
        draft.do(Protect(symbol=holding.symbol))


def watch(draft: Draft, holding: Holding) -> None:
    """Repeat an exit that failed, close what stays naked, end what was held too long."""
    if holding.closing is not None:
        if draft.now_ms - holding.close_asked_ms >= RETRY_MS:
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
    elif naked_ms >= RETRY_MS:
        _ask_protection(draft, holding)

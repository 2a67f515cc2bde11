"""After a start or a gap: prove what is doubtful, read what is there, and find whose it is.

Nothing opens before this has succeeded. It cancels what an earlier run left resting as an entry,
and finds the decision behind a position that an earlier run opened, or that ended meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.account import Fill, Position
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.signal import Signal
from trader_cli.engine.decide_position import ownership_of
from trader_cli.engine.entering import protection_of
from trader_cli.engine.facts import Ownership, PositionSeen
from trader_cli.engine.hands import Hands
from trader_cli.engine.readings import (
    Reading,
    Standing,
    entry_is_known_filled,
    entry_orders,
    held_position,
    read,
    standing_of,
)
from trader_cli.engine.remembered import OpenDecision
from trader_cli.errors import VenueError
from trader_cli.trading.orders.order_tracker import RESOLVE_S
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.reconcile import reconcile


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A position that a decision of this or an earlier run opened.

    Attributes:
        began_ms: exchange time before its first order.
    """

    symbol: str
    ownership: Ownership
    signal: Signal
    spec: ProtectionSpec
    leverage: int
    began_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A trade of an earlier run that ended while nobody watched; `seen` is how it was."""

    seen: PositionSeen
    began_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A trade that the executions prove to be held, and the position's reading does not show so.

    Attributes:
        is_seen: a position is there, of another size; False while none is shown.
    """

    symbol: str
    is_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A reconcile that succeeded.

    Attributes:
        elsewhere: our own orders of symbols that are not followed, as they rested at `listed_ms`.
        wallet: the account's wallet balance, USDT.
        answered_ms: exchange time at which reading and wallet were there.
        resolved: how many intents were proven.
        unresolved: client ids whose outcome is still unknown; nothing opens on their symbols.
        cancelled: client ids of entries of an earlier run that were taken back.
        unclear: trades whose executions and positions do not fit yet; nothing opens beside them.
        drifts: differences between our belief and the exchange, as sentences.
        stream_is_open: False where the user stream could not be opened in time.
        is_final: False while doubtful orders are still being asked about.
    """

    reading: Reading
    elsewhere: tuple[Order | AlgoOrder, ...]
    listed_ms: int
    wallet: Decimal
    answered_ms: int
    resolved: int
    unresolved: tuple[str, ...]
    cancelled: tuple[str, ...]
    drifts: tuple[str, ...]
    owned: tuple[Owned, ...]
    gone: tuple[Gone, ...]
    unclear: tuple[Unclear, ...]
    stream_is_open: bool
    is_final: bool

    @property
    def may_open(self) -> bool:
        return self.stream_is_open and self.is_final and not self.unclear


async def recover(
    hands: Hands,
    *,
    symbols: Sequence[str],
    open_decisions: Mapping[str, OpenDecision],
    decisions: Container[str],
    at_start: bool,
    stream_is_open: bool,
    is_patient: bool,
    given_up: Container[str] = (),
) -> Recovered:
    """Reconcile the account and return what was found.

    Args:
        open_decisions: decisions whose trades are not settled, by symbol; empty after the start,
            when the engine knows its own positions.
        decisions: ids of every decision that was ever acted on.
        at_start: take back entries that an earlier run left resting, and exits without a position.
        is_patient: wait for the proof that a doubtful order never came, which takes longer than a
            position may be naked; else what is found at once is told, and the rest is doubtful.
        given_up: symbols whose position is somebody else's if it does not fit the executions yet.

    Raises:
        VenueError: something could not be read; nothing is concluded.
        JournalUnavailable: the journal cannot be read or written.
    """
    report = await reconcile(hands.orders, within_s=RESOLVE_S if is_patient else 0)
    cancelled: tuple[str, ...] = ()
    if at_start:
        entries = [row for row in report.own_orders if _is_left_over(hands, row, decisions)]
        await asyncio.gather(
            *(hands.orders.cancel_order(row) for row in entries if isinstance(row, Order))
        )
        cancelled = tuple(row.client_order_id for row in entries)
    # What is booked is put in order around this reading by the exchange's time.
    with contextlib.suppress(VenueError):
        await hands.client.sync_clock()
    reading, summary = await asyncio.gather(
        read(hands.client, symbols), hands.client.get_account_summary()
    )
    answered_ms = hands.client.venue_now_ms()
    owned, gone, unclear = await _owners(hands, reading, open_decisions, given_up)
    if at_start:
        in_doubt = {row.symbol for row in unclear}
        idle = [symbol for symbol in symbols if symbol not in in_doubt]
        await asyncio.gather(*(hands.orders.clean_up_exits(symbol) for symbol in idle))
    for ended in gone:
        await _remove_exits_of(hands, ended, reading.algos)
    return Recovered(
        reading=reading,
        elsewhere=tuple(row for row in report.own_orders if row.symbol not in symbols),
        listed_ms=report.listed_ms,
        wallet=summary.wallet_balance,
        answered_ms=answered_ms,
        resolved=len(report.resolved),
        unresolved=tuple(row.client_order_id for row in report.unresolved),
        cancelled=cancelled,
        drifts=tuple(f"{row.kind} {row.symbol}: {row.message}" for row in report.drifts),
        owned=owned,
        gone=gone,
        unclear=unclear,
        stream_is_open=stream_is_open,
        is_final=is_patient or report.is_clean,
    )


def _is_left_over(hands: Hands, order: Order | AlgoOrder, decisions: Container[str]) -> bool:
    """Return True for an entry that a decision, not a person, left resting."""
    if not isinstance(order, Order) or only_reduces(order):
        return False
    intent = hands.journal.intent(order.client_order_id)
    return intent is not None and intent.leg is Leg.ENTRY and intent.source in decisions


async def _remove_exits_of(hands: Hands, gone: Gone, algos: Sequence[AlgoOrder]) -> None:
    """Take away what a trade that is over left resting: another position must not meet it."""
    assert gone.seen.ownership is not None, "only own trades are looked after"
    for row in algos:
        intent = hands.journal.intent(row.client_order_id)
        if intent is not None and intent.source == gone.seen.ownership.decision_id:
            await hands.orders.cancel_algo(row)


async def _owners(
    hands: Hands,
    reading: Reading,
    open_decisions: Mapping[str, OpenDecision],
    given_up: Container[str],
) -> tuple[tuple[Owned, ...], tuple[Gone, ...], tuple[Unclear, ...]]:
    owned: list[Owned] = []
    gone: list[Gone] = []
    unclear: list[Unclear] = []
    offset_ms = hands.client.venue_now_ms() - hands.clock.now_ms()
    for symbol, decision in open_decisions.items():
        adoption = decision.adoption
        began_ms = decision.acted_ms + offset_ms if adoption is None else adoption.began_ms
        side = hands.position_side(decision.direction)
        fills = [
            row
            for row in await hands.client.get_fills(symbol, start_ms=began_ms - 2_000)
            if row.position_side is side
        ]
        position = held_position(
            (row for row in reading.positions if row.position_side is side),
            symbol,
            prefer=decision.direction,
        )
        entries = entry_orders(hands.journal, decision)
        was_held = adoption is not None and adoption.held_before != 0
        was_filled = adoption is not None or any(str(row.order_id) in entries for row in fills)
        if not (fills or was_held) or not was_filled:
            may_be_ours = position is not None and symbol not in given_up
            if may_be_ours and entry_is_known_filled(hands.journal, decision):
                unclear.append(Unclear(symbol=symbol, is_seen=True))
            continue
        standing = standing_of(fills, decision, position, entries=entries, began_ms=began_ms)
        if standing is Standing.UNCLEAR and (position is None or symbol not in given_up):
            unclear.append(Unclear(symbol=symbol, is_seen=position is not None))
        elif standing is Standing.HELD and position is not None:
            owned.append(_owned(hands, decision, position, began_ms))
        elif fills:
            gone.append(_gone(hands, decision, fills, began_ms))
    return tuple(owned), tuple(gone), tuple(unclear)


def _owned(hands: Hands, decision: OpenDecision, position: Position, began_ms: int) -> Owned:
    return Owned(
        symbol=position.symbol,
        ownership=ownership_of(decision.signal, decision.acted_ms, hands.bridge),
        signal=decision.signal,
        spec=(
            protection_of(decision.signal, hands.bridge)
            if decision.adoption is None
            else decision.adoption.spec
        ),
        leverage=position.leverage or 1,
        began_ms=began_ms,
    )


def _gone(hands: Hands, decision: OpenDecision, fills: Sequence[Fill], began_ms: int) -> Gone:
    first = min(fills, key=lambda row: (row.time_ms, row.trade_id))
    return Gone(
        seen=PositionSeen(
            symbol=decision.symbol,
            direction=decision.direction,
            quantity=first.quantity,
            entry_price=first.price,
            ownership=ownership_of(decision.signal, decision.acted_ms, hands.bridge),
        ),
        began_ms=began_ms,
    )

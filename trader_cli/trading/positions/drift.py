"""Differences between what we believed and what the exchange holds, each with its likely cause.

Knows how to read a cause from the executions behind a difference and from the client ids of their
orders. On a difference the exchange is right; healing is the caller's, in the journal only.

Source: binance-usdm reference §11.4 (autoclose-, adl_autoclose, settlement_autoclose-), §8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from trader_cli.domain.account import Fill, Position
from trader_cli.domain.client_id import Leg, belong_together, is_own
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.terms import PositionSide
from trader_cli.errors import VenueError
from trader_cli.trading.orders.brackets import covers
from trader_cli.trading.ports import IntentJournal, Venue
from trader_cli.trading.positions.beliefs import (
    SYNC_SOURCE,
    Belief,
    Key,
    held,
    read_beliefs,
    remember_position,
)

_ORDERS_ASKED_MAX: Final = 8
_BY_HAND: Final = ("web_", "ios_", "and_", "android_", "electron_")
_MARGIN_MS: Final = 2_000


@unique
class Cause(StrEnum):
    """Why the exchange holds something other than we believed, as far as it can be told."""

    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    STOP_HIT = "stop_hit"
    TARGET_HIT = "target_hit"
    MANUAL = "manual"  # on the exchange's own screens
    OTHER_PROGRAM = "other_program"
    OWN_ORDER = "own_order"  # ours, and nobody watched when it filled; only if nothing else was
    UNKNOWN = "unknown"


_WORDS: Final = {
    Cause.LIQUIDATION: "the exchange liquidated it",
    Cause.ADL: "the exchange took it by auto-deleveraging",
    Cause.SETTLEMENT: "the contract was settled",
    Cause.STOP_HIT: "our stop filled",
    Cause.TARGET_HIT: "our target filled",
    Cause.OWN_ORDER: "an order of ours filled",
    Cause.MANUAL: "somebody traded on the exchange's own screens",
    Cause.OTHER_PROGRAM: "another program traded",
    Cause.UNKNOWN: "nothing tells why",
}
assert _WORDS.keys() == set(Cause), "every cause needs words"
_WEIGHTIEST: Final = tuple(Cause)
"""Where several orders are behind one difference, the first of these is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference between what we believed and what the exchange says.

    Attributes:
        kind: `opened_elsewhere`, `closed_elsewhere`, `size_differs`, `unprotected`,
            `orphan_exit`, `unknown_order` or `order_gone`.
        believed, actual: signed quantities, where a position differs.
        cause: None where the kind says it all.
        client_order_ids: of the orders that are behind it.
    """

    kind: str
    symbol: str
    message: str
    position_side: PositionSide | None = None
    believed: Decimal | None = None
    actual: Decimal | None = None
    cause: Cause | None = None
    client_order_ids: tuple[str, ...] = ()

    @property
    def is_expected(self) -> bool:
        """True if nothing but orders of ours explains it: news, but nothing went wrong."""
        return self.cause is Cause.OWN_ORDER


async def sync(
    client: Venue,
    journal: IntentJournal,
    positions: Sequence[Position],
    resting: Sequence[Order | AlgoOrder],
    *,
    now_ms: int,
) -> tuple[Drift, ...]:
    """Return every difference from our belief with its cause, and remember what the exchange says.

    Args:
        now_ms: local time, in which beliefs are dated.

    Raises:
        JournalUnavailable: our belief could not be read.
    """
    beliefs = read_beliefs(journal)
    known = held(beliefs)
    actual = {(row.symbol, row.position_side): row for row in positions if not row.is_flat}
    drifts: list[Drift] = []
    offset_ms = client.venue_now_ms() - now_ms
    for key in sorted(known.keys() | actual.keys()):
        position = actual.get(key)
        drift = difference(key, beliefs.get(key), position)
        if drift is None:
            continue
        drift = await explained(client, journal, drift, beliefs.get(key), offset_ms=offset_ms)
        drifts.append(drift)
        remember_position(journal, *key, position, source=SYNC_SOURCE, own=drift.is_expected)
    return (*drifts, *_of_orders(journal, actual, resting))


def difference(key: Key, belief: Belief | None, position: Position | None) -> Drift | None:
    """Return how a position differs from the belief, None if it does not."""
    believed = ZERO if belief is None else belief.quantity
    actual = ZERO if position is None else position.quantity
    if believed == actual:
        return None
    kind = "size_differs"
    if believed == 0:
        kind = "opened_elsewhere"
    elif actual == 0:
        kind = "closed_elsewhere"
    return Drift(
        kind=kind,
        symbol=key[0],
        position_side=key[1],
        believed=believed,
        actual=actual,
        message=f"{key[0]}: we knew of {to_text(believed)}, the exchange has {to_text(actual)}",
    )


async def explained(
    client: Venue,
    journal: IntentJournal,
    drift: Drift,
    belief: Belief | None,
    *,
    offset_ms: int,
) -> Drift:
    """Return the difference with its cause; what cannot be read leaves it unknown."""
    assert drift.believed is not None, "asked of differing positions only"
    assert drift.actual is not None, "asked of differing positions only"
    start_ms = None if belief is None else belief.seen_ms + offset_ms - _MARGIN_MS
    try:
        fills = await client.get_fills(drift.symbol, start_ms=start_ms)
        behind = behind_change(fills, drift.position_side, drift.actual - drift.believed)
        names = await _names(client, drift.symbol, behind)
    except VenueError as error:
        return _with_cause(drift, Cause.UNKNOWN, (), f" ({error.message})")
    causes = {cause_of(name, journal) for name in names} or {Cause.UNKNOWN}
    cause = min(causes, key=_WEIGHTIEST.index)
    return _with_cause(drift, cause, names)


def behind_change(
    fills: Sequence[Fill], position_side: PositionSide | None, change: Decimal
) -> list[Fill]:
    """Return the newest executions that add up to `change` (signed), all of them if none do."""
    rows = sorted(
        (row for row in fills if position_side in (None, row.position_side)),
        key=lambda row: (row.time_ms, row.trade_id),
        reverse=True,
    )
    running = ZERO
    for count, row in enumerate(rows, start=1):
        running += row.quantity * row.side.sign
        if running == change:
            return rows[:count]
    return rows


def cause_of(client_order_id: str, journal: IntentJournal) -> Cause:
    """Return what an execution of this order means."""
    if client_order_id.startswith("autoclose-"):
        return Cause.LIQUIDATION
    if client_order_id.startswith("adl_autoclose"):
        return Cause.ADL
    if client_order_id.startswith(("settlement_autoclose-", "delivery_autoclose-")):
        return Cause.SETTLEMENT
    if not is_own(client_order_id):
        by_hand = client_order_id.startswith(_BY_HAND)
        return Cause.MANUAL if by_hand else Cause.OTHER_PROGRAM
    intent = journal.intent(client_order_id)
    if intent is None:
        return Cause.OWN_ORDER
    if intent.leg in (Leg.STOP, Leg.TRAILING):
        return Cause.STOP_HIT
    return Cause.TARGET_HIT if intent.leg is Leg.TAKE_PROFIT else Cause.OWN_ORDER


async def _names(client: Venue, symbol: str, fills: Sequence[Fill]) -> tuple[str, ...]:
    """Return the client ids of the orders behind the executions, newest first."""
    names: dict[int, str] = {}
    for fill in fills:
        if fill.order_id in names or len(names) >= _ORDERS_ASKED_MAX:
            continue
        name = fill.client_order_id
        if name is None:
            name = (await client.get_order_status(symbol, fill.order_id)).client_order_id
        names[fill.order_id] = name
    return tuple(names.values())


def _with_cause(drift: Drift, cause: Cause, names: tuple[str, ...], more: str = "") -> Drift:
    return replace(
        drift,
        cause=cause,
        client_order_ids=names,
        message=f"{drift.message}; {_WORDS[cause]}{more}",
    )


def _of_orders(
    journal: IntentJournal, actual: dict[Key, Position], resting: Sequence[Order | AlgoOrder]
) -> list[Drift]:
    algos = [row for row in resting if isinstance(row, AlgoOrder)]
    naked = [
        Drift(
            kind="unprotected",
            symbol=row.symbol,
            position_side=row.position_side,
            message=f"{row.symbol} has no stop",
        )
        for row in actual.values()
        if not any(covers(row, algo) for algo in algos)
    ]
    # After somebody turned the position around, an exit of the side before closes nothing.
    orphans = [
        _orphan(row)
        for row in resting
        if is_orphan(row, {key for key, held in actual.items() if _closes(row, held)}, resting)
    ]
    unknown = [
        Drift(
            kind="unknown_order",
            symbol=row.symbol,
            message=f"the outcome of {row.client_order_id} is not known",
            client_order_ids=(row.client_order_id,),
        )
        for row in journal.unknown_intents()
    ]
    return [*naked, *orphans, *unknown]


def _closes(order: Order | AlgoOrder, position: Position) -> bool:
    return order.side is position.direction.exit_side


def is_orphan(
    order: Order | AlgoOrder, positions: set[Key], resting: Iterable[Order | AlgoOrder]
) -> bool:
    """Return True for an exit of ours without a position; it would meet the next one.

    An exit whose own entry still rests waits for that, and is no orphan.
    """
    mine = is_own(order.client_order_id) and only_reduces(order)
    waits = any(
        belong_together(order.client_order_id, row.client_order_id)
        for row in resting
        if not only_reduces(row)
    )
    return mine and not waits and (order.symbol, order.position_side) not in positions


def _orphan(order: Order | AlgoOrder) -> Drift:
    return Drift(
        kind="orphan_exit",
        symbol=order.symbol,
        position_side=order.position_side,
        message=f"our exit order {order.client_order_id} rests without a position",
        client_order_ids=(order.client_order_id,),
    )

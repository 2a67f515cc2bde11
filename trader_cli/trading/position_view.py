"""Positions beside their protective orders and beside what we believed of them.

Pure but for the journal, where the belief lives. On a difference the exchange is right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import is_own
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.terms import PositionSide
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.brackets import covers
from trader_cli.trading.ports import IntentJournal

POSITION_ROW: Final = "position"
"""Kind of the journal rows that say what we last knew of a position."""

PROTECTED_ROW: Final = "protected"
"""Kind of the journal rows that say how long a position was without a stop."""

_WAIT_MS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A position as an operator wants to see it.

    Attributes:
        stop_price: the nearest trigger among stops that cover all of it, None without one.
        take_profit_price: the nearest trigger among targets, None without one.
        protected: a stop that covers the whole position rests.
        unprotected_seconds: how long it was without one; still counting if not protected.
    """

    position: Position
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    protected: bool
    unprotected_seconds: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference between what we believed and what the exchange says.

    Attributes:
        kind: `opened_elsewhere`, `closed_elsewhere`, `size_differs`, `unprotected`,
            `orphan_exit` or `unknown_order`.
    """

    kind: str
    symbol: str
    message: str


def view_position(
    position: Position, algos: Sequence[AlgoOrder], *, venue_ms: int, journal: IntentJournal
) -> PositionView:
    """Return the position beside its protective orders; `venue_ms` is the exchange's time now."""
    stops = [row for row in algos if covers(position, row)]
    targets = [
        row
        for row in algos
        if row.is_take_profit
        and row.is_exit
        and row.status.is_open
        and (row.symbol, row.position_side) == (position.symbol, position.position_side)
        and row.side is position.direction.exit_side
    ]
    if stops:
        seconds = _measured_seconds(journal, position)
    else:
        seconds = max(ZERO, Decimal(venue_ms - position.updated_ms) / 1000)
    return PositionView(
        position=position,
        stop_price=_nearest(stops, position),
        take_profit_price=_nearest(targets, position),
        protected=bool(stops),
        unprotected_seconds=seconds,
    )


def remember_position(
    journal: IntentJournal,
    symbol: str,
    position_side: PositionSide,
    position: Position | None,
    *,
    source: str,
) -> None:
    """Journal what the exchange last said of a position, None for flat; best effort."""
    quantity = ZERO if position is None else position.quantity
    entry = ZERO if position is None else position.entry_price
    # What is not written is found as a difference by the next comparison, and adopted then.
    with contextlib.suppress(JournalUnavailable):
        journal.record(
            POSITION_ROW,
            {
                "symbol": symbol,
                "position_side": str(position_side),
                "quantity": to_text(quantity),
                "entry_price": to_text(entry),
                "source": source,
            },
            deadline_ms=_WAIT_MS,
        )


def remember_protected(
    journal: IntentJournal, position: Position, unprotected_ms: int, *, source: str
) -> None:
    """Journal how long a position was without its stop; best effort."""
    with contextlib.suppress(JournalUnavailable):
        journal.record(
            PROTECTED_ROW,
            {
                "symbol": position.symbol,
                "position_side": str(position.position_side),
                "unprotected_ms": unprotected_ms,
                "source": source,
            },
            deadline_ms=_WAIT_MS,
        )


def sync(
    journal: IntentJournal, positions: Sequence[Position], resting: Sequence[Order | AlgoOrder]
) -> tuple[Drift, ...]:
    """Return every difference from our belief, and adopt what the exchange says.

    Raises:
        JournalUnavailable: our belief could not be read.
    """
    believed = _believed(journal)
    actual = {(row.symbol, row.position_side): row for row in positions if not row.is_flat}
    drifts: list[Drift] = []
    for key in sorted(believed.keys() | actual.keys()):
        position = actual.get(key)
        quantity = ZERO if position is None else position.quantity
        drift = _difference(key[0], believed.get(key, ZERO), quantity)
        if drift is not None:
            drifts.append(drift)
            remember_position(journal, *key, position, source="sync")
    algos = [row for row in resting if isinstance(row, AlgoOrder)]
    drifts += [
        Drift(kind="unprotected", symbol=row.symbol, message=f"{row.symbol} has no stop")
        for row in actual.values()
        if not any(covers(row, algo) for algo in algos)
    ]
    drifts += [_orphan(row) for row in resting if _is_orphan(row, set(actual))]
    drifts += [
        Drift(
            kind="unknown_order",
            symbol=row.symbol,
            message=f"the outcome of {row.client_order_id} is not known",
        )
        for row in journal.unknown_intents()
    ]
    return tuple(drifts)


def _believed(journal: IntentJournal) -> dict[tuple[str, PositionSide], Decimal]:
    last = {
        (str(row.data["symbol"]), PositionSide(row.data["position_side"])): Decimal(
            row.data["quantity"]
        )
        for row in journal.rows(kind=POSITION_ROW)
    }
    return {key: quantity for key, quantity in last.items() if quantity != 0}


def _difference(symbol: str, believed: Decimal, actual: Decimal) -> Drift | None:
    if believed == actual:
        return None
    kind = "size_differs"
    if believed == 0:
        kind = "opened_elsewhere"
    elif actual == 0:
        kind = "closed_elsewhere"
    return Drift(
        kind=kind,
        symbol=symbol,
        message=f"{symbol}: we knew of {to_text(believed)}, the exchange has {to_text(actual)}",
    )


def _is_orphan(order: Order | AlgoOrder, held: set[tuple[str, PositionSide]]) -> bool:
    mine = is_own(order.client_order_id) and only_reduces(order)
    return mine and (order.symbol, order.position_side) not in held


def _orphan(order: Order | AlgoOrder) -> Drift:
    return Drift(
        kind="orphan_exit",
        symbol=order.symbol,
        message=f"our exit order {order.client_order_id} rests without a position",
    )


def _nearest(orders: Sequence[AlgoOrder], position: Position) -> Decimal | None:
    prices = [row.trigger_price or row.activate_price for row in orders]
    known = [price for price in prices if price]
    return min(known, key=lambda price: abs(price - position.mark_price), default=None)


def _measured_seconds(journal: IntentJournal, position: Position) -> Decimal:
    newest = ZERO
    with contextlib.suppress(JournalUnavailable):
        for row in journal.rows(kind=PROTECTED_ROW):
            if (row.data["symbol"], row.data["position_side"]) == (
                position.symbol,
                str(position.position_side),
            ):
                newest = Decimal(int(row.data["unprotected_ms"])) / 1000
    return newest

"""Positions beside their protective orders and beside what the journal knows of them.

Pure: what is believed is handed in (`beliefs`), so that a list of positions reads the journal once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.order import AlgoOrder
from trader_cli.trading.orders.brackets import covers
from trader_cli.trading.positions.beliefs import Belief, remember_position, remember_protected
from trader_cli.trading.positions.drift import Drift

__all__ = [
    "Drift",
    "PositionView",
    "liquidation_distance_pct",
    "remember_position",
    "remember_protected",
    "view_position",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """A position as an operator wants to see it.

    Attributes:
        stop_price: the nearest trigger among stops that cover all of it, None without one.
        take_profit_price: the nearest trigger among targets, None without one.
        protected: a stop that covers the whole position rests.
        unprotected_seconds: how long it was without one; still counting if not protected. Where
            nobody measured it, at least from its last execution until its oldest stop rested.
        own: we opened it or it was adopted; None if the journal cannot tell.
    """

    position: Position
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    protected: bool
    unprotected_seconds: Decimal
    own: bool | None


def view_position(
    position: Position, algos: Sequence[AlgoOrder], *, venue_ms: int, belief: Belief | None
) -> PositionView:
    """Return the position beside its protective orders; `venue_ms` is the exchange's time now."""
    same = belief is not None and belief.quantity * position.quantity > 0
    known = belief if same else None
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
    milliseconds = unprotected_ms(position, stops, venue_ms=venue_ms, belief=known)
    return PositionView(
        position=position,
        stop_price=_nearest(stops, position),
        take_profit_price=_nearest(targets, position),
        protected=bool(stops),
        unprotected_seconds=max(ZERO, Decimal(milliseconds) / 1000),
        own=None if known is None else known.own,
    )


def unprotected_ms(
    position: Position, stops: Sequence[AlgoOrder], *, venue_ms: int, belief: Belief | None
) -> int:
    """Return how long the position was without a stop, up to now where none of `stops` rests."""
    measured = None if belief is None else belief.unprotected_ms
    opened_ms = position.updated_ms
    if measured is None and belief is not None and belief.opened_ms is not None:
        opened_ms = min(opened_ms, belief.opened_ms)
    if not stops:
        # Once it was protected nobody saw when the stop went: at least since the last execution.
        return (measured or 0) + venue_ms - opened_ms
    if measured is not None:
        return measured
    created = [row.created_ms or row.updated_ms for row in stops]
    return min(created) - opened_ms


def liquidation_distance_pct(position: Position) -> Decimal | None:
    """Return how far mark is from liquidation, percent of mark; None if there is no such price."""
    if position.liquidation_price is None or position.mark_price == 0:
        return None
    distance = (position.mark_price - position.liquidation_price) * position.direction.sign
    return distance / position.mark_price * HUNDRED


def _nearest(orders: Sequence[AlgoOrder], position: Position) -> Decimal | None:
    prices = [row.trigger_price or row.activate_price for row in orders]
    known = [price for price in prices if price]
    return min(known, key=lambda price: abs(price - position.mark_price), default=None)

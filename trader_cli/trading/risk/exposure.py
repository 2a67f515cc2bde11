"""How large a position can get: what is held, what rests and what is wished for, together.

Pure. An order against a one-way position reduces it first; only what remains beyond counts.
Every quantity is valued at the worse of its price and the mark price.
"""

from __future__ import annotations

from decimal import Decimal

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import (
    ConditionalRequest,
    LimitRequest,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.trading.risk.risk_terms import RestingEntry, RiskView


def price_of(request: OrderRequest) -> Decimal | None:
    """Return the price an order names: its limit, else its trigger; None for a market order."""
    if isinstance(request, LimitRequest):
        return request.price
    if isinstance(request, ConditionalRequest):
        return request.price or request.trigger_price or request.activate_price
    return None


def as_resting(request: OrderRequest) -> RestingEntry | None:
    """Return the order as one more resting entry, None if it can only reduce."""
    if only_reduces(request) or request.quantity is None:
        return None
    return RestingEntry(
        symbol=request.symbol,
        side=request.side,
        position_side=request.position_side,
        quantity=request.quantity,
        price=price_of(request),
        client_order_id=request.client_order_id,
    )


def projected_notional(entry: RestingEntry, view: RiskView, mark: Decimal) -> Decimal:
    """Return the position's notional if `entry` and all own entries on its side fill."""
    held = held_quantity(view, entry.symbol, entry.position_side)
    entries = [*_resting(view, entry.symbol, entry.position_side, entry.side), entry]
    return _side_notional(held, entry.side, entries, mark)


def total_exposure(view: RiskView, entry: RestingEntry | None = None) -> Decimal:
    """Return the notional of all positions at their largest, with one more entry if given.

    A symbol without a mark price in the view is valued by its positions' own mark price.
    """
    entries = view.resting if entry is None else (*view.resting, entry)
    books = {(row.symbol, row.position_side) for row in view.positions}
    books |= {(row.symbol, row.position_side) for row in entries}
    return sum((_largest(view, symbol, side, entries) for symbol, side in books), ZERO)


def held_quantity(view: RiskView, symbol: str, position_side: PositionSide) -> Decimal:
    """Return the signed quantity held, 0 if flat."""
    rows = _rows(view, symbol, position_side)
    return sum((row.quantity for row in rows), ZERO)


def reducible_quantity(request: OrderRequest, view: RiskView) -> Decimal:
    """Return how much of a one-way position lies against the order's side, 0 if none."""
    if request.position_side is not PositionSide.BOTH:
        return ZERO
    held = held_quantity(view, request.symbol, PositionSide.BOTH)
    return max(ZERO, -held * request.side.sign)


def _largest(
    view: RiskView, symbol: str, position_side: PositionSide, entries: tuple[RestingEntry, ...]
) -> Decimal:
    held = held_quantity(view, symbol, position_side)
    mark = _mark(view, symbol, position_side)
    own = [row for row in entries if (row.symbol, row.position_side) == (symbol, position_side)]
    return max(
        _side_notional(held, side, [row for row in own if row.side is side], mark) for side in Side
    )


def _side_notional(
    held: Decimal, side: Side, entries: list[RestingEntry], mark: Decimal
) -> Decimal:
    """Value what is held on this side plus the entries beyond what they first reduce."""
    same = max(ZERO, held * side.sign)
    against = max(ZERO, -held * side.sign)
    notional = same * mark
    # The cheapest entries are taken to be the ones that reduce: the dear ones then count.
    for price, quantity in sorted((max(row.price or mark, mark), row.quantity) for row in entries):
        reducing = min(against, quantity)
        against -= reducing
        notional += (quantity - reducing) * price
    return notional


def _resting(
    view: RiskView, symbol: str, position_side: PositionSide, side: Side
) -> list[RestingEntry]:
    return [
        row
        for row in view.resting
        if (row.symbol, row.position_side, row.side) == (symbol, position_side, side)
    ]


def _rows(view: RiskView, symbol: str, position_side: PositionSide) -> list[Position]:
    return [
        row for row in view.positions if (row.symbol, row.position_side) == (symbol, position_side)
    ]


def _mark(view: RiskView, symbol: str, position_side: PositionSide) -> Decimal:
    known = view.marks.get(symbol)
    if known is not None:
        return known.price
    rows = _rows(view, symbol, position_side)
    return rows[0].mark_price if rows else ZERO

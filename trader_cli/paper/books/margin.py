"""Margin arithmetic of one symbol and of the account. Pure; every figure in USDT.

Source: binance-usdm reference §13.2, §13.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from trader_cli.domain.account import LeverageBracket
from trader_cli.domain.numbers import ONE, ZERO

_NEED_STEP: Final = Decimal("0.000000000001")
_SHORT_COST: Final = Decimal("1.0015")
_ADL_STEPS: Final = (ZERO, Decimal("0.5"), Decimal(1))


class MarginNeed(NamedTuple):
    """Initial margin of one symbol: of its positions, and what its open orders add to that."""

    positions: Decimal
    orders: Decimal

    @property
    def total(self) -> Decimal:
        return self.positions + self.orders


def one_way_need(
    position_notional: Decimal, bids: Decimal, asks: Decimal, leverage: int
) -> MarginNeed:
    """Return the need of a one-way symbol; the larger of the two sides counts.

    Rounded to twelve places, so that sums kept by differences are exact at any leverage.

    Args:
        position_notional: signed, at mark.
        bids, asks: notional of open orders that may open, both positive.
    """
    position = ZERO
    if position_notional:
        position = (abs(position_notional) / leverage).quantize(_NEED_STEP)
    if not bids and not asks:
        return MarginNeed(position, ZERO)
    bought, sold = abs(position_notional + bids), abs(position_notional - asks)
    larger = bought if bought > sold else sold
    return MarginNeed(position, (larger / leverage).quantize(_NEED_STEP) - position)


def hedge_need(held: Decimal, resting: Decimal, leverage: int) -> MarginNeed:
    """Return the need of a hedge symbol from the sums of |notional| of both sides; rounded too."""
    return MarginNeed(
        (held / leverage).quantize(_NEED_STEP), (resting / leverage).quantize(_NEED_STEP)
    )


def bracket_of(brackets: Sequence[LeverageBracket], notional: Decimal) -> LeverageBracket:
    """Return the row that holds `notional`; beyond the last cap, the last row."""
    for bracket in brackets:
        if notional <= bracket.notional_cap:
            return bracket
    return brackets[-1]


def maintenance(brackets: Sequence[LeverageBracket], notional: Decimal) -> Decimal:
    """Return the maintenance margin of an absolute notional."""
    row = bracket_of(brackets, notional)
    return notional * row.maintenance_rate - row.maintenance_amount


def notional_max(brackets: Sequence[LeverageBracket], leverage: int) -> Decimal:
    """Return the largest position allowed at `leverage`."""
    caps = [row.notional_cap for row in brackets if row.leverage_max >= leverage]
    return max(caps, default=ZERO)


def leverage_max(brackets: Sequence[LeverageBracket]) -> int:
    return max(row.leverage_max for row in brackets)


def liquidation_price(
    brackets: Sequence[LeverageBracket],
    held: Sequence[tuple[Decimal, Decimal]],
    wallet: Decimal,
) -> Decimal:
    """Return the mark that uses up the margin of a symbol's positions, 0 where there is none.

    A bracket depends on the notional at that very price, so that what is left above maintenance is
    a line between two prices at which a position changes its bracket; each is tried.

    Args:
        held: signed base units and entry price of each position that shares the margin: one, or
            both sides of a hedge in cross margin.
        wallet: isolated wallet, or in cross margin what the rest of the account leaves for them.
    """
    held = [(amount, entry) for amount, entry in held if amount]
    if not held:
        return ZERO
    edges = sorted({row.notional_cap / abs(amount) for amount, _ in held for row in brackets[:-1]})
    rising = falling = ZERO
    for low, high in zip([ZERO, *edges], [*edges, None], strict=True):
        slope, left = ZERO, wallet
        for amount, entry in held:
            size = abs(amount)
            within = low + ONE if high is None else (low + high) / 2
            row = bracket_of(brackets, size * within)
            slope += amount - size * row.maintenance_rate
            left += row.maintenance_amount - amount * entry
        if not slope:
            continue
        price = -left / slope
        if price > 0 and low <= price and (high is None or price <= high):
            if slope > 0:
                rising = rising or price
            else:
                falling = falling or price
    if sum(amount for amount, _ in held) > 0:
        return rising or falling
    return falling or rising


def adl_quantile(unrealized: Decimal, initial_margin: Decimal) -> int:
    """Return a held position's place in the queue of auto-deleveraging, 1 to 4.

    The real queue ranks all traders' positions by profit on margin; with nobody else to rank
    against, the profit itself decides.
    """
    if initial_margin <= 0:
        return 1
    return 1 + sum(unrealized > initial_margin * step for step in _ADL_STEPS)


def open_loss(amount: Decimal, order_price: Decimal, mark: Decimal) -> Decimal:
    """Return the loss an order would open with, positive; `amount` signed (buy positive)."""
    loss = amount * (order_price - mark)
    return loss if loss > ZERO else ZERO


def short_cost_price(order_price: Decimal, mark: Decimal, last: Decimal) -> Decimal:
    """Return the price a sell's margin is reckoned at: not under mark nor 0.15 % above the last."""
    assumed = last * _SHORT_COST
    if mark > assumed:
        assumed = mark
    return order_price if order_price > assumed else assumed

"""How much a signal may buy, and at which leverage; every clamp is a value with its sentence.

Pure. Nothing here is silently smaller than what was asked for: the notes say what was cut and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.instrument import check_notional, check_quantity, round_quantity_down
from trader_cli.domain.numbers import HUNDRED, ZERO, to_text
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.trading.risk.exposure import projected_notional, total_exposure
from trader_cli.trading.risk.risk_terms import Refused, RestingEntry, RiskLimits, RiskView


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamped:
    """A leverage that may be used, and what was cut to get there."""

    value: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A size that passes the limits.

    Attributes:
        quantity: on the step, base units.
        notional: quantity times the price it was sized at, USDT before leverage.
        margin: notional divided by leverage.
        notes: sentences on every clamp.
    """

    quantity: Decimal
    notional: Decimal
    margin: Decimal
    leverage: int
    notes: tuple[str, ...] = ()


def clamp_leverage(
    wanted: Decimal | int, limits: RiskLimits, *, venue_max: int | None = None
) -> Clamped:
    """Return the whole leverage that may be used: at least 1, at most our limit and the venue's."""
    value = max(1, int(wanted))
    notes: list[str] = []
    if Decimal(value) != Decimal(wanted):
        notes.append(f"leverage {to_text(Decimal(wanted))} → {value} (whole number, at least 1)")
    if value > limits.max_leverage:
        notes.append(f"leverage {value} → {limits.max_leverage} (max_leverage)")
        value = limits.max_leverage
    if venue_max is not None and value > venue_max:
        notes.append(f"leverage {value} → {venue_max} (the exchange's maximum for this size)")
        value = venue_max
    return Clamped(value=value, notes=tuple(notes))


def room_for(
    limits: RiskLimits,
    *,
    symbol: str,
    direction: Direction,
    view: RiskView,
    mark: Decimal,
    position_side: PositionSide = PositionSide.BOTH,
) -> tuple[Decimal, str]:
    """Return how much notional may still be added this way, and the limit that says so.

    What an order would first reduce is not counted as room: it is an exit, not an entry.
    """
    nothing = RestingEntry(
        symbol=symbol,
        side=direction.entry_side,
        position_side=position_side,
        quantity=ZERO,
        price=None,
    )
    of_position = limits.max_position_usd - projected_notional(nothing, view, mark)
    of_total = limits.total_exposure_usd - total_exposure(view, nothing)
    if of_position <= of_total:
        return max(ZERO, of_position), "max_position_usd"
    return max(ZERO, of_total), "max_total_exposure_usd"


def size_for_signal(
    limits: RiskLimits,
    *,
    symbol: str,
    direction: Direction,
    capital: Decimal,
    size_pct: Decimal,
    leverage: int,
    price: Decimal,
    view: RiskView,
    position_side: PositionSide = PositionSide.BOTH,
) -> Sized | Refused:
    """Return capital x size x leverage as a quantity: clamped, said so, floored, or refused.

    Args:
        capital: USDT the percentage speaks of, before leverage.
        size_pct: percent of capital used as margin; above 100 is cut to 100.
        leverage: in effect, already clamped.
        price: the worst price the entry may pay; the limits hold there too.
    """
    instrument = view.instruments.get(symbol)
    mark = view.marks.get(symbol)
    if instrument is None or mark is None:
        return Refused(
            rule="stale_price_s",
            limit=limits.stale_price_s,
            actual=None,
            message=f"the rules or the mark price of {symbol} are not known; nothing can be sized",
        )
    notes: list[str] = []
    if size_pct > HUNDRED:
        notes.append(f"size {to_text(size_pct)} % → 100 % of capital")
        size_pct = HUNDRED
    wanted = max(ZERO, capital * size_pct / HUNDRED * leverage)
    room, rule = room_for(
        limits,
        symbol=symbol,
        direction=direction,
        view=view,
        mark=mark.price,
        position_side=position_side,
    )
    notional = min(wanted, room)
    if notional < wanted:
        notes.append(f"notional {_usd(wanted)} → {_usd(notional)} USDT ({rule})")
    unit = max(price, mark.price)
    quantity = round_quantity_down(instrument, notional / unit)
    too_small = check_quantity(instrument, quantity) or check_notional(instrument, price, quantity)
    if too_small is not None:
        amounts = (
            [_usd(wanted)] if notional == wanted else [_usd(wanted), f"{_usd(notional)} ({rule})"]
        )
        return Refused(
            rule=too_small.filter,
            limit=too_small.limit,
            actual=too_small.actual,
            message=f"{' → '.join(amounts)} USDT of {symbol} cannot be sent: {too_small}",
            advice=None if notional == wanted else f"{rule} leaves {_usd(room)} USDT of room",
        )
    return Sized(
        quantity=quantity,
        notional=quantity * price,
        margin=quantity * price / leverage,
        leverage=leverage,
        notes=tuple(notes),
    )


def _usd(value: Decimal) -> str:
    return to_text(round(value, 2))

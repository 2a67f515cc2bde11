"""Where a position's stop, target and trailing stop belong, and whether they protect it.

Percentages are ROI on margin: the price distance is the percentage divided by the leverage that is
really in effect. Every price is on the tick, rounded in the operator's favour: a stop fires
earlier, a target pays more.

Source: binance-usdm reference §7.2 (trigger rules, callback rate), §13.6 (liquidation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from trader_cli.domain.account import LeverageBracket
from trader_cli.domain.instrument import Instrument, round_price_in_favour
from trader_cli.domain.numbers import HUNDRED, to_text
from trader_cli.domain.terms import Direction

CALLBACK_RATE_MIN: Final = Decimal("0.1")
CALLBACK_RATE_MAX: Final = Decimal(20)
_CALLBACK_STEP: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailing:
    """A trailing stop the exchange accepts.

    Attributes:
        activate_price: on the tick; from there on the distance trails.
        callback_rate: percent of price, 0.1 to 20.
        notes: sentences on what was changed to get there.
    """

    activate_price: Decimal
    callback_rate: Decimal
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProblem:
    """Why a price cannot protect the position. `rule` is stable for machines."""

    rule: str
    limit: Decimal
    actual: Decimal
    message: str


def price_at_roi(entry: Decimal, direction: Direction, roi_pct: Decimal, leverage: int) -> Decimal:
    """Return the unrounded price at which the position has earned `roi_pct` (negative: lost)."""
    assert leverage >= 1, "the leverage in effect is a whole number from 1"
    # Divided last: a quotient that is cut off earlier would cost a tick when rounded.
    return entry + direction.sign * entry * roi_pct / (HUNDRED * leverage)


def stop_price(
    instrument: Instrument, direction: Direction, entry: Decimal, roi_pct: Decimal, leverage: int
) -> Decimal:
    """Return the trigger of a stop that loses `roi_pct` (positive) of the margin."""
    price = price_at_roi(entry, direction, -roi_pct, leverage)
    return round_price_in_favour(instrument, price, direction.exit_side)


def take_profit_price(
    instrument: Instrument, direction: Direction, entry: Decimal, roi_pct: Decimal, leverage: int
) -> Decimal:
    """Return the trigger of a target that earns `roi_pct` (positive) of the margin."""
    price = price_at_roi(entry, direction, roi_pct, leverage)
    return round_price_in_favour(instrument, price, direction.exit_side)


def trailing_stop(
    instrument: Instrument,
    direction: Direction,
    entry: Decimal,
    *,
    activation_roi_pct: Decimal,
    distance_roi_pct: Decimal,
    leverage: int,
) -> Trailing:
    """Return the trailing stop for ROI percentages, within what the exchange accepts, said so."""
    activate = price_at_roi(entry, direction, activation_roi_pct, leverage)
    rate, notes = callback_rate(distance_roi_pct / leverage)
    return Trailing(
        activate_price=round_price_in_favour(instrument, activate, direction.exit_side),
        callback_rate=rate,
        notes=notes,
    )


def callback_rate(wanted_pct: Decimal) -> tuple[Decimal, tuple[str, ...]]:
    """Return the nearest callback rate the exchange accepts, and what was changed."""
    rate = wanted_pct.quantize(_CALLBACK_STEP, rounding=ROUND_CEILING)
    if wanted_pct < CALLBACK_RATE_MIN:
        rate, why = CALLBACK_RATE_MIN, "the exchange's minimum"
    elif wanted_pct > CALLBACK_RATE_MAX:
        rate, why = CALLBACK_RATE_MAX, "the exchange's maximum"
    else:
        why = "two decimals"
    if rate == wanted_pct:
        return rate, ()
    shown = to_text(round(wanted_pct, 4))
    return rate, (f"callback rate {shown} % → {to_text(rate)} % ({why})",)


def liquidation_price(
    direction: Direction,
    quantity: Decimal,
    entry: Decimal,
    isolated_wallet: Decimal,
    brackets: Sequence[LeverageBracket],
) -> Decimal | None:
    """Return where an isolated position is liquidated, None if no positive price does it.

    LP = (WB + cum - side * Q * EP) / (Q * MMR - side * Q), with the bracket that holds at LP.

    Args:
        quantity: base units, positive.
        isolated_wallet: margin set apart for the position, unrealised excluded.
        brackets: in any order, at least one.
    """
    assert quantity > 0, "a position has a size"
    assert brackets, "every symbol has at least one bracket"
    ordered = sorted(brackets, key=lambda row: row.notional_floor)
    candidates = [
        (row, _liquidation_in(row, direction, quantity, entry, isolated_wallet)) for row in ordered
    ]
    price = next(
        (price for row, price in candidates if _holds(row, quantity * price)),
        candidates[-1][1],
    )
    return price if price > 0 else None


def isolated_margin(quantity: Decimal, entry: Decimal, leverage: int) -> Decimal:
    """Return the margin a new isolated position sets apart."""
    return quantity * entry / leverage


def check_stop(
    instrument: Instrument,
    direction: Direction,
    stop: Decimal,
    *,
    mark: Decimal,
    liquidation: Decimal | None,
    entry: Decimal | None = None,
    taker_fee: Decimal = Decimal("0.0005"),
) -> StopProblem | None:
    """Return why `stop` does not protect, None if it does.

    It must not fire at once and must lie inside the liquidation price. With `entry` given (a
    position to be opened) it must also lie on the losing side, beyond one tick and beyond the
    round trip of taker fees: a stop inside them is a fee machine.

    Args:
        taker_fee: fraction of notional.
    """
    sign = direction.sign
    if (mark - stop) * sign <= 0:
        return _problem("stop_would_trigger", mark, stop, "would trigger at once at mark")
    if liquidation is not None and (stop - liquidation) * sign <= 0:
        words = "lies beyond the liquidation price"
        return _problem("stop_beyond_liquidation", liquidation, stop, words)
    if entry is None:
        return None
    distance = (entry - stop) * sign
    if distance <= instrument.tick_size:
        words = f"is not more than one tick from the entry {to_text(entry)}: tick"
        return _problem("stop_within_tick", instrument.tick_size, stop, words)
    fees = entry * taker_fee * 2
    if distance <= fees:
        words = (
            f"is {to_text(distance)} from the entry {to_text(entry)}, inside the round trip of fees"
        )
        return _problem("stop_within_fees", fees, stop, words)
    return None


def check_take_profit(
    direction: Direction, target: Decimal, *, mark: Decimal
) -> StopProblem | None:
    """Return why `target` would fire at once, None if it can rest."""
    if (target - mark) * direction.sign <= 0:
        return _problem(
            "take_profit_would_trigger", mark, target, "would trigger at once at mark", "target"
        )
    return None


def note_on_target(
    direction: Direction,
    target: Decimal,
    *,
    entry: Decimal,
    taker_fee: Decimal = Decimal("0.0005"),
) -> str | None:
    """Return a warning if the round trip of taker fees eats what the target earns, else None."""
    fees = entry * taker_fee * 2
    earned = (target - entry) * direction.sign
    if earned > fees:
        return None
    return (
        f"target {to_text(target)} earns {to_text(earned)} a unit, the round trip of taker fees "
        f"costs {to_text(fees)}"
    )


def _liquidation_in(
    row: LeverageBracket,
    direction: Direction,
    quantity: Decimal,
    entry: Decimal,
    isolated_wallet: Decimal,
) -> Decimal:
    sign = direction.sign
    numerator = isolated_wallet + row.maintenance_amount - sign * quantity * entry
    return numerator / (quantity * row.maintenance_rate - sign * quantity)


def _holds(row: LeverageBracket, notional: Decimal) -> bool:
    """True if the bracket is the one for `notional`; what is at or below 0 falls into the first."""
    if notional <= 0:
        return row.notional_floor == 0
    return row.notional_floor < notional <= row.notional_cap


def _problem(
    rule: str, limit: Decimal, actual: Decimal, words: str, subject: str = "stop"
) -> StopProblem:
    return StopProblem(
        rule=rule,
        limit=limit,
        actual=actual,
        message=f"{rule}: {subject} {to_text(actual)} {words} {to_text(limit)}",
    )

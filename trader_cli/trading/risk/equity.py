"""What the account is worth, judged from two sources before anybody acts on it.

Pure: state in, state out. A false kill is a loss too, so a breach acts only after three reads
over five seconds, and only equity that both sources agree on raises the high-water mark.
Transfers are neither profit nor loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import HUNDRED, ZERO

AGREEMENT_USDT: Final = Decimal(1)
AGREEMENT_PCT: Final = Decimal("0.5")
BREACH_READS: Final = 3
BREACH_SPAN_MS: Final = 5_000

TRANSFER_TYPES: Final = frozenset(
    {
        "TRANSFER",
        "INTERNAL_TRANSFER",
        "CROSS_COLLATERAL_TRANSFER",
        "STRATEGY_UMFUTURES_TRANSFER",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
    }
)
"""Types of income rows that are money moved in or out, neither profit nor loss."""

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityReading:
    """The two sources, read together.

    Attributes:
        account: source A, the venue's margin balance.
        derived: source B, our own sum (`derive_equity`); None where there is none to compare.
        unrealized: of the positions now open.
    """

    at_ms: int
    account: Decimal
    derived: Decimal | None
    unrealized: Decimal

    @property
    def agrees(self) -> bool:
        """True if both sources are within max(1 USDT, 0.5 %); one source alone does not agree."""
        return self.derived is not None and agree(self.account, self.derived)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityState:
    """What is remembered of equity; it is journaled, so that a restart does not forget a peak.

    Attributes:
        high_water_mark: largest agreed equity since the last re-base.
        day: UTC day number of the opening below (days since the epoch).
        day_opening: equity when the day began, corrected for transfers since.
        day_opening_unrealized: how much of it was unrealised.
    """

    high_water_mark: Decimal
    day: int
    day_opening: Decimal
    day_opening_unrealized: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachWatch:
    """A breach seen without interruption since `first_ms`, in `reads` reads."""

    first_ms: int
    last_ms: int
    reads: int

    @property
    def is_confirmed(self) -> bool:
        """True after three reads over five seconds: now it acts."""
        return self.reads >= BREACH_READS and self.last_ms - self.first_ms >= BREACH_SPAN_MS


def agree(account: Decimal, derived: Decimal) -> bool:
    """Return True if two readings of equity differ by at most max(1 USDT, 0.5 %)."""
    tolerance = max(AGREEMENT_USDT, abs(account) * AGREEMENT_PCT / HUNDRED)
    return abs(account - derived) <= tolerance


def derive_equity(
    opening_wallet: Decimal,
    booked: Iterable[Decimal],
    positions: Iterable[tuple[Decimal, Decimal, Decimal]],
) -> Decimal:
    """Return source B: opening wallet, what was booked since, and open positions at mark.

    Args:
        booked: signed amounts: realised PnL, fees, funding and transfers.
        positions: signed quantity, entry price, fresh mark price.
    """
    unrealized = sum((size * (mark - entry) for size, entry, mark in positions), ZERO)
    return opening_wallet + sum(booked, ZERO) + unrealized


def unrealized_of(positions: Iterable[Position]) -> Decimal:
    """Return the summed unrealised PnL at the positions' own mark prices."""
    return sum((row.quantity * (row.mark_price - row.entry_price) for row in positions), ZERO)


def opening_equity(
    equity: Decimal,
    *,
    unrealized: Decimal,
    opening_unrealized: Decimal,
    booked: Iterable[Decimal],
) -> Decimal:
    """Return what equity was at the day's start, worked back from now for a late start.

    Args:
        booked: today's signed realised PnL, fees and funding; transfers are left out, so that the
            result is corrected for them.
    """
    return equity - (unrealized - opening_unrealized) - sum(booked, ZERO)


def utc_day(at_ms: int) -> int:
    """Return the UTC day's number since the epoch."""
    return at_ms // _DAY_MS


def day_start_ms(at_ms: int) -> int:
    """Return 00:00 UTC of the day `at_ms` lies in."""
    return utc_day(at_ms) * _DAY_MS


def next_day_ms(at_ms: int) -> int:
    """Return the next 00:00 UTC, strictly after `at_ms`."""
    return (utc_day(at_ms) + 1) * _DAY_MS


def begin(reading: EquityReading) -> EquityState:
    """Return the state of an account seen for the first time: its peak is what it has now."""
    return EquityState(
        high_water_mark=reading.account,
        day=utc_day(reading.at_ms),
        day_opening=reading.account,
        day_opening_unrealized=reading.unrealized,
    )


def observe(state: EquityState, reading: EquityReading) -> EquityState:
    """Return the state after a reading: a new day opens, an agreed peak raises the mark.

    A reading older than the state's day changes nothing of the day.
    """
    if utc_day(reading.at_ms) > state.day:
        state = replace(
            state,
            day=utc_day(reading.at_ms),
            day_opening=reading.account,
            day_opening_unrealized=reading.unrealized,
        )
    if reading.agrees and reading.derived is not None:
        # The lower of two that agree: a peak that only one source saw must not cause a kill later.
        peak = min(reading.account, reading.derived)
        return replace(state, high_water_mark=max(state.high_water_mark, peak))
    return state


def transfer(state: EquityState, amount: Decimal) -> EquityState:
    """Return the state after money came in (positive) or went out: no profit, no loss."""
    return replace(
        state,
        high_water_mark=max(ZERO, state.high_water_mark + amount),
        day_opening=state.day_opening + amount,
    )


def rebase(state: EquityState, equity: Decimal) -> EquityState:
    """Return the state after a resume from an emergency stop: the peak is present equity."""
    return replace(state, high_water_mark=equity)


def drawdown_pct(state: EquityState, equity: Decimal) -> Decimal:
    """Return how far equity is below its high-water mark, in percent, 0 at or above it."""
    if state.high_water_mark <= 0:
        return ZERO
    fall = (state.high_water_mark - equity) / state.high_water_mark * HUNDRED
    return max(ZERO, fall)


def watch_breach(watch: BreachWatch | None, *, breached: bool, at_ms: int) -> BreachWatch | None:
    """Return the watch after one more fresh read; one read without the breach ends it."""
    if not breached:
        return None
    if watch is None:
        return BreachWatch(first_ms=at_ms, last_ms=at_ms, reads=1)
    return replace(watch, last_ms=at_ms, reads=watch.reads + 1)

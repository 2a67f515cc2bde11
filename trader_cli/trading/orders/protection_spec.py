"""What protection is wanted, in prices or in ROI, and the plan it becomes at a real entry price.

Pure. A price wins over a percentage. ROI is on margin, divided by the leverage in effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.instrument import Instrument
from trader_cli.domain.protection import stop_price, take_profit_price, trailing_stop
from trader_cli.domain.terms import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingPlan:
    """A trailing stop as the exchange takes it; `callback_rate` is in percent of price."""

    callback_rate: Decimal
    activate_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionPlan:
    """What is to rest beside a position; None leaves that part as it is.

    Attributes:
        notes: what was changed to get to these prices.
    """

    stop_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    trailing: TrailingPlan | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionSpec:
    """The wish; percentages are positive ROI on margin, None leaves that part out.

    Attributes:
        trailing_activation_roi_pct, trailing_distance_roi_pct: only both together.
        trailing: a trailing stop given in prices; wins over the percentages.
    """

    stop_price: Decimal | None = None
    stop_roi_pct: Decimal | None = None
    take_profit_price: Decimal | None = None
    take_profit_roi_pct: Decimal | None = None
    trailing_activation_roi_pct: Decimal | None = None
    trailing_distance_roi_pct: Decimal | None = None
    trailing: TrailingPlan | None = None

    @property
    def has_stop(self) -> bool:
        """True if a fixed stop is wanted."""
        return self.stop_price is not None or self.stop_roi_pct is not None

    @property
    def has_trailing(self) -> bool:
        """True if a trailing stop is wanted."""
        both = (self.trailing_activation_roi_pct, self.trailing_distance_roi_pct)
        return self.trailing is not None or None not in both

    def plan(
        self, instrument: Instrument, direction: Direction, entry: Decimal, leverage: int
    ) -> ProtectionPlan:
        """Return the prices for a position entered at `entry` with `leverage` in effect."""
        stop, target = self.stop_price, self.take_profit_price
        if stop is None and self.stop_roi_pct is not None:
            stop = stop_price(instrument, direction, entry, self.stop_roi_pct, leverage)
        if target is None and self.take_profit_roi_pct is not None:
            roi = self.take_profit_roi_pct
            target = take_profit_price(instrument, direction, entry, roi, leverage)
        trailing, notes = self._trailing(instrument, direction, entry, leverage)
        return ProtectionPlan(
            stop_price=stop, take_profit_price=target, trailing=trailing, notes=notes
        )

    def _trailing(
        self, instrument: Instrument, direction: Direction, entry: Decimal, leverage: int
    ) -> tuple[TrailingPlan | None, tuple[str, ...]]:
        activation, distance = self.trailing_activation_roi_pct, self.trailing_distance_roi_pct
        if self.trailing is not None or activation is None or distance is None:
            return self.trailing, ()
        found = trailing_stop(
            instrument,
            direction,
            entry,
            activation_roi_pct=activation,
            distance_roi_pct=distance,
            leverage=leverage,
        )
        plan = TrailingPlan(callback_rate=found.callback_rate, activate_price=found.activate_price)
        return plan, found.notes

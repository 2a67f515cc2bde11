"""The risk module: the one door every order passes, from a person and from the engine.

Pure: it looks at a `RiskView`, compares it with the `RiskLimits`, and returns a verdict; it reads
no clock, sends nothing and remembers nothing. Exits that only reduce are always approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.order import MarketRequest, OrderRequest, only_reduces
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.trading.risk.entry_rules import entry_refusals, number, stale
from trader_cli.trading.risk.exposure import (
    reducible_quantity,
)
from trader_cli.trading.risk.risk_terms import (
    HALTED_RULE,
    Alert,
    Approved,
    DayResult,
    DayVerdict,
    EmergencyStop,
    EntryBlock,
    HaltView,
    MarkView,
    Refused,
    RestingEntry,
    RiskLimits,
    RiskView,
    Severity,
)
from trader_cli.trading.risk.sizing import Clamped, Sized, clamp_leverage, size_for_signal

__all__ = [
    "HALTED_RULE",
    "Alert",
    "Approved",
    "Clamped",
    "DayResult",
    "DayVerdict",
    "EmergencyStop",
    "EntryBlock",
    "HaltView",
    "MarkView",
    "Refused",
    "RestingEntry",
    "RiskLimits",
    "RiskManager",
    "RiskView",
    "Severity",
    "Sized",
    "clamp_leverage",
]


class RiskManager:
    """The operator's limits and the rules that apply them."""

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits

    def check(
        self, request: OrderRequest, view: RiskView, *, stop_price: Decimal | None = None
    ) -> Approved | Refused:
        """Return whether the order may be sent.

        An order that only reduces is approved whatever else is true. One that would be refused
        but lies within a one-way position on the other side is approved as reduce-only instead,
        because that much of it is an exit. The halt comes before any other rule.

        Args:
            stop_price: where the entry will be stopped; without it `assumed_stop_pct` counts.
        """
        if only_reduces(request):
            return Approved(request=request)
        refused = next(self._refusals(request, view, stop_price), None)
        if refused is None:
            return Approved(request=request)
        if request.quantity is not None and request.quantity <= reducible_quantity(request, view):
            note = f"sent reduce-only, as an exit: {refused.message}"
            return Approved(request=replace(request, reduce_only=True), notes=(note,))
        return refused

    def check_can_open(
        self,
        symbol: str,
        direction: Direction,
        notional: Decimal,
        leverage: int,
        view: RiskView,
        *,
        position_side: PositionSide = PositionSide.BOTH,
    ) -> Approved | Refused:
        """Return whether a position of `notional` could be opened at mark with `leverage`.

        The approved request is a market order of the unrounded quantity without a client id: it
        shows what was judged and is not for sending.
        """
        mark = view.marks.get(symbol)
        if mark is None:
            return stale(symbol, self.limits.stale_price_s, None)
        request = MarketRequest(
            symbol=symbol,
            side=direction.entry_side,
            quantity=notional / mark.price,
            client_order_id="",
            position_side=position_side,
        )
        leverages = {**view.leverages, symbol: leverage}
        refused = next(self._refusals(request, replace(view, leverages=leverages), None), None)
        return refused or Approved(request=request)

    def check_daily_loss(self, view: RiskView) -> DayVerdict:
        """Return the day's loss against the tighter of the USD and the percent limit."""
        limits, day = self.limits, view.day
        of_equity = max(ZERO, day.opening_equity) * limits.max_daily_loss_pct / HUNDRED
        limit = min(limits.max_daily_loss_usd, of_equity)
        loss = max(ZERO, -day.pnl)
        reached = loss > 0 and loss >= limit
        used = loss / limit * HUNDRED if limit > 0 else HUNDRED * reached
        by_usd = limits.max_daily_loss_usd <= of_equity
        return DayVerdict(
            pnl=day.pnl,
            limit_usd=limits.max_daily_loss_usd,
            limit_pct_usd=of_equity,
            rule="max_daily_loss_usd" if by_usd else "max_daily_loss_pct",
            used_pct=used,
            reached=reached,
            close_positions=reached and limits.on_day_limit == "close",
        )

    def trigger_emergency_stop(
        self, equity: Decimal, high_water_mark: Decimal
    ) -> EmergencyStop | None:
        """Return the emergency stop that the caller must now carry out, None while there is none.

        The caller has confirmed the breach first (`equity.watch_breach`): a false kill is a loss.
        """
        if high_water_mark <= 0:
            return None
        drawdown = (high_water_mark - equity) / high_water_mark * HUNDRED
        if drawdown < self.limits.emergency_stop_pct:
            return None
        return EmergencyStop(
            equity=equity,
            high_water_mark=high_water_mark,
            drawdown_pct=drawdown,
            limit_pct=self.limits.emergency_stop_pct,
            message=(
                f"equity {number(equity)} USDT is {number(drawdown)} % below its high-water mark "
                f"{number(high_water_mark)} (limit {number(self.limits.emergency_stop_pct)} %)"
            ),
        )

    def send_alert(self, severity: Severity, message: str) -> Alert:
        """Return the alert that the caller must deliver."""
        return Alert(severity=severity, message=message)

    def size_for_signal(
        self,
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
        """Return the quantity a signal is worth: capital x size x effective leverage, clamped.

        Args:
            leverage: the one in effect, already clamped (`clamp_leverage`).
            price: the worst price the entry may pay.
        """
        return size_for_signal(
            self.limits,
            symbol=symbol,
            direction=direction,
            capital=capital,
            size_pct=size_pct,
            leverage=leverage,
            price=price,
            view=view,
            position_side=position_side,
        )

    def _refusals(
        self, request: OrderRequest, view: RiskView, stop_price: Decimal | None
    ) -> Iterator[Refused]:
        day = self.check_daily_loss(view)
        return entry_refusals(self.limits, request, view, day=day, stop_price=stop_price)

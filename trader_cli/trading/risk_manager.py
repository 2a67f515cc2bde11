"""The risk module: the one door every order passes, from a person and from the engine.

Pure: it looks at a `RiskView`, compares it with the `RiskLimits`, and returns a verdict; it reads
no clock, sends nothing and remembers nothing. Exits that only reduce are always approved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import HUNDRED, ZERO, to_text
from trader_cli.domain.order import LimitRequest, MarketRequest, OrderRequest, only_reduces
from trader_cli.domain.terms import Direction, PositionSide, Side, TimeInForce
from trader_cli.trading.exposure import (
    as_resting,
    price_of,
    projected_notional,
    reducible_quantity,
    total_exposure,
)
from trader_cli.trading.risk_terms import (
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
from trader_cli.trading.sizing import Clamped, Sized, clamp_leverage, size_for_signal

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

_MS: Final = Decimal(1000)


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
            return _stale(symbol, self.limits.stale_price_s, None)
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
                f"equity {_number(equity)} USDT is {_number(drawdown)} % below its high-water mark "
                f"{_number(high_water_mark)} (limit {_number(self.limits.emergency_stop_pct)} %)"
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
        """Yield every rule that forbids the entry, the halt first."""
        yield from _halted(request.symbol, view)
        yield from _blocked(request.symbol, view)
        yield from self._day_is_over(view)
        yield from _not_trading(request.symbol, view)
        mark = view.marks.get(request.symbol)
        if mark is None or mark.age_ms > self.limits.stale_price_s * _MS:
            yield _stale(request.symbol, self.limits.stale_price_s, mark)
            return
        yield from self._leverage(request.symbol, view.leverages)
        entry = as_resting(request)
        assert entry is not None, "an order that only reduces is not judged as an entry"
        yield from self._price_band(request, mark.price)
        yield from self._position(entry, view, mark.price)
        yield from self._total_exposure(entry, view)
        yield from self._loss_per_trade(entry, mark.price, stop_price)
        yield from self._pace(view)

    def _day_is_over(self, view: RiskView) -> Iterator[Refused]:
        verdict = self.check_daily_loss(view)
        if verdict.reached:
            yield Refused(
                rule=verdict.rule,
                limit=verdict.limit,
                actual=-verdict.pnl,
                message=(
                    f"{verdict.rule}: the day's loss {_number(-verdict.pnl)} USDT has reached "
                    f"the limit {_number(verdict.limit)}"
                ),
                advice="entries are possible again after 00:00 UTC",
            )

    def _leverage(self, symbol: str, leverages: Mapping[str, int]) -> Iterator[Refused]:
        actual = leverages.get(symbol)
        limit = self.limits.max_leverage
        if actual is None:
            yield Refused(
                rule="max_leverage",
                limit=Decimal(limit),
                actual=None,
                message=f"max_leverage: the leverage of {symbol} is not known (limit {limit})",
            )
        elif actual > limit:
            yield Refused(
                rule="max_leverage",
                limit=Decimal(limit),
                actual=Decimal(actual),
                message=f"max_leverage: leverage {actual} of {symbol} is above the limit {limit}",
                advice=f"trader position leverage {symbol} {limit}",
            )

    def _price_band(self, request: OrderRequest, mark: Decimal) -> Iterator[Refused]:
        price = price_of(request)
        # A conditional entry's trigger lies worse than mark by nature, and a post-only order that
        # would pay more than the market is the exchange's to refuse: it can only rest.
        if price is None or not isinstance(request, LimitRequest):
            return
        if request.time_in_force is TimeInForce.GTX:
            return
        worse = (price - mark) * request.side.sign / mark * HUNDRED
        if worse > self.limits.price_band_pct:
            word = "above" if request.side is Side.BUY else "below"
            yield Refused(
                rule="price_band_pct",
                limit=self.limits.price_band_pct,
                actual=worse,
                message=(
                    f"price_band_pct: {request.side} at {to_text(price)} is {_number(worse)} % "
                    f"{word} mark {to_text(mark)} (limit {_number(self.limits.price_band_pct)} %)"
                ),
            )

    def _position(self, entry: RestingEntry, view: RiskView, mark: Decimal) -> Iterator[Refused]:
        actual = projected_notional(entry, view, mark)
        limit = self.limits.max_position_usd
        if actual > limit:
            yield Refused(
                rule="max_position_usd",
                limit=limit,
                actual=actual,
                message=(
                    f"max_position_usd: {entry.symbol} would reach {_number(actual)} USDT, position"
                    f" and own entries included (limit {_number(limit)})"
                ),
            )

    def _total_exposure(self, entry: RestingEntry, view: RiskView) -> Iterator[Refused]:
        actual = total_exposure(view, entry)
        limit = self.limits.total_exposure_usd
        # An order that does not add to it is no reason to keep exposure that prices have grown.
        if actual > limit and actual > total_exposure(view):
            yield Refused(
                rule="max_total_exposure_usd",
                limit=limit,
                actual=actual,
                message=(
                    f"max_total_exposure_usd: all positions would reach {_number(actual)} USDT "
                    f"(limit {_number(limit)})"
                ),
            )

    def _loss_per_trade(
        self, entry: RestingEntry, mark: Decimal, stop_price: Decimal | None
    ) -> Iterator[Refused]:
        limit = self.limits.max_loss_per_trade_usd
        if limit is None:
            return
        price = entry.price or mark
        loss = max(price, mark) * entry.quantity * self.limits.assumed_stop_pct / HUNDRED
        if stop_price is not None:
            loss = max(ZERO, (price - stop_price) * entry.side.sign) * entry.quantity
        if loss > limit:
            yield Refused(
                rule="max_loss_per_trade_usd",
                limit=limit,
                actual=loss,
                message=(
                    f"max_loss_per_trade_usd: the loss at the stop would be {_number(loss)} USDT "
                    f"(limit {_number(limit)})"
                ),
            )

    def _pace(self, view: RiskView) -> Iterator[Refused]:
        pause, rate = self.limits.cool_down_after_loss_s, self.limits.max_orders_per_minute
        if pause is not None and view.last_loss_ms is not None:
            since = Decimal(view.now_ms - view.last_loss_ms) / _MS
            if since < pause:
                yield Refused(
                    rule="cool_down_after_loss_s",
                    limit=pause,
                    actual=since,
                    message=(
                        f"cool_down_after_loss_s: the last loss was {_number(since)} s ago "
                        f"(limit {_number(pause)} s)"
                    ),
                )
        if rate is not None and view.entries_last_minute + 1 > rate:
            yield Refused(
                rule="max_orders_per_minute",
                limit=Decimal(rate),
                actual=Decimal(view.entries_last_minute + 1),
                message=(
                    f"max_orders_per_minute: this would be entry {view.entries_last_minute + 1} "
                    f"within a minute (limit {rate})"
                ),
            )


def _halted(symbol: str, view: RiskView) -> Iterator[Refused]:
    halt = view.halt_for(symbol)
    if halt is not None:
        scope = "trading" if halt.symbol is None else symbol
        yield Refused(
            rule=HALTED_RULE,
            limit=None,
            actual=None,
            message=f"{scope} is halted: {halt.reason}",
            advice="trader risk resume --reason TEXT",
        )


def _blocked(symbol: str, view: RiskView) -> Iterator[Refused]:
    for block in view.blocks:
        if block.symbol in (None, symbol):
            yield Refused(
                rule=block.rule,
                limit=None,
                actual=None,
                message=block.message,
                advice=block.advice,
            )


def _not_trading(symbol: str, view: RiskView) -> Iterator[Refused]:
    instrument = view.instruments.get(symbol)
    if instrument is not None and not instrument.is_trading:
        yield Refused(
            rule="symbol_status",
            limit=None,
            actual=None,
            message=f"symbol_status: {symbol} is {instrument.status}, nothing may open",
        )


def _stale(symbol: str, limit_s: Decimal, mark: MarkView | None) -> Refused:
    age = None if mark is None else Decimal(mark.age_ms) / _MS
    said = "is not known" if age is None else f"is {_number(age)} s old"
    return Refused(
        rule="stale_price_s",
        limit=limit_s,
        actual=age,
        message=f"stale_price_s: the mark price of {symbol} {said} (limit {_number(limit_s)} s)",
    )


def _number(value: Decimal) -> str:
    """Format a number for a sentence, with at most four decimals."""
    return to_text(round(value, 4))

"""The rules an order that can raise exposure has to pass, one after another.

Pure generators: each yields a refusal with the rule's name, the limit and the actual number, or
nothing. Which orders are judged at all, and what follows a refusal, is `risk_manager`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import HUNDRED, ZERO, to_text
from trader_cli.domain.order import LimitRequest, OrderRequest
from trader_cli.domain.terms import Side, TimeInForce
from trader_cli.trading.risk.exposure import (
    as_resting,
    price_of,
    projected_notional,
    total_exposure,
)
from trader_cli.trading.risk.risk_terms import (
    HALTED_RULE,
    DayVerdict,
    MarkView,
    Refused,
    RestingEntry,
    RiskLimits,
    RiskView,
)

_MS: Final = Decimal(1000)


def entry_refusals(
    limits: RiskLimits,
    request: OrderRequest,
    view: RiskView,
    *,
    day: DayVerdict,
    stop_price: Decimal | None,
) -> Iterator[Refused]:
    """Yield every rule that forbids the entry, the halt first.

    Args:
        day: the day's loss against its limits.
        stop_price: where the entry will be stopped; without it `assumed_stop_pct` counts.
    """
    yield from _halted(request.symbol, view)
    yield from _blocked(request.symbol, view)
    yield from _day_is_over(day)
    yield from _not_trading(request.symbol, view)
    mark = view.marks.get(request.symbol)
    if mark is None or mark.age_ms > limits.stale_price_s * _MS:
        yield stale(request.symbol, limits.stale_price_s, mark)
        return
    yield from _leverage(limits, request.symbol, view.leverages)
    entry = as_resting(request)
    assert entry is not None, "an order that only reduces is not judged as an entry"
    yield from _price_band(limits, request, mark.price)
    yield from _position(limits, entry, view, mark.price)
    yield from _total_exposure(limits, entry, view)
    yield from _loss_per_trade(limits, entry, mark.price, stop_price)
    yield from _pace(limits, view)


def _day_is_over(verdict: DayVerdict) -> Iterator[Refused]:
    if verdict.reached:
        yield Refused(
            rule=verdict.rule,
            limit=verdict.limit,
            actual=-verdict.pnl,
            message=(
                f"{verdict.rule}: the day's loss {number(-verdict.pnl)} USDT has reached "
                f"the limit {number(verdict.limit)}"
            ),
            advice="entries are possible again after 00:00 UTC",
        )


def _leverage(limits: RiskLimits, symbol: str, leverages: Mapping[str, int]) -> Iterator[Refused]:
    actual = leverages.get(symbol)
    limit = limits.max_leverage
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


def _price_band(limits: RiskLimits, request: OrderRequest, mark: Decimal) -> Iterator[Refused]:
    price = price_of(request)
    # A conditional entry's trigger lies worse than mark by nature, and a post-only order that
    # would pay more than the market is the exchange's to refuse: it can only rest.
    if price is None or not isinstance(request, LimitRequest):
        return
    if request.time_in_force is TimeInForce.GTX:
        return
    worse = (price - mark) * request.side.sign / mark * HUNDRED
    if worse > limits.price_band_pct:
        word = "above" if request.side is Side.BUY else "below"
        yield Refused(
            rule="price_band_pct",
            limit=limits.price_band_pct,
            actual=worse,
            message=(
                f"price_band_pct: {request.side} at {to_text(price)} is {number(worse)} % "
                f"{word} mark {to_text(mark)} (limit {number(limits.price_band_pct)} %)"
            ),
        )


def _position(
    limits: RiskLimits, entry: RestingEntry, view: RiskView, mark: Decimal
) -> Iterator[Refused]:
    actual = projected_notional(entry, view, mark)
    limit = limits.max_position_usd
    if actual > limit:
        yield Refused(
            rule="max_position_usd",
            limit=limit,
            actual=actual,
            message=(
                f"max_position_usd: {entry.symbol} would reach {number(actual)} USDT, position"
                f" and own entries included (limit {number(limit)})"
            ),
        )


def _total_exposure(limits: RiskLimits, entry: RestingEntry, view: RiskView) -> Iterator[Refused]:
    actual = total_exposure(view, entry)
    limit = limits.total_exposure_usd
    # An order that does not add to it is no reason to keep exposure that prices have grown.
    if actual > limit and actual > total_exposure(view):
        yield Refused(
            rule="max_total_exposure_usd",
            limit=limit,
            actual=actual,
            message=(
                f"max_total_exposure_usd: all positions would reach {number(actual)} USDT "
                f"(limit {number(limit)})"
            ),
        )


def _loss_per_trade(
    limits: RiskLimits, entry: RestingEntry, mark: Decimal, stop_price: Decimal | None
) -> Iterator[Refused]:
    limit = limits.max_loss_per_trade_usd
    if limit is None:
        return
    price = entry.price or mark
    loss = max(price, mark) * entry.quantity * limits.assumed_stop_pct / HUNDRED
    if stop_price is not None:
        loss = max(ZERO, (price - stop_price) * entry.side.sign) * entry.quantity
    if loss > limit:
        yield Refused(
            rule="max_loss_per_trade_usd",
            limit=limit,
            actual=loss,
            message=(
                f"max_loss_per_trade_usd: the loss at the stop would be {number(loss)} USDT "
                f"(limit {number(limit)})"
            ),
        )


def _pace(limits: RiskLimits, view: RiskView) -> Iterator[Refused]:
    pause, rate = limits.cool_down_after_loss_s, limits.max_orders_per_minute
    if pause is not None and view.last_loss_ms is not None:
        since = Decimal(view.now_ms - view.last_loss_ms) / _MS
        if since < pause:
            yield Refused(
                rule="cool_down_after_loss_s",
                limit=pause,
                actual=since,
                message=(
                    f"cool_down_after_loss_s: the last loss was {number(since)} s ago "
                    f"(limit {number(pause)} s)"
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


def stale(symbol: str, limit_s: Decimal, mark: MarkView | None) -> Refused:
    """Return the refusal of an entry that cannot be judged by a fresh price."""
    age = None if mark is None else Decimal(mark.age_ms) / _MS
    said = "is not known" if age is None else f"is {number(age)} s old"
    return Refused(
        rule="stale_price_s",
        limit=limit_s,
        actual=age,
        message=f"stale_price_s: the mark price of {symbol} {said} (limit {number(limit_s)} s)",
    )


def number(value: Decimal) -> str:
    """Format a number for a sentence, with at most four decimals."""
    return to_text(round(value, 4))

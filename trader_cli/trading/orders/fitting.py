"""Fit a request to its contract's filters, or refuse it with the filter and the nearest number.

Prices move in the operator's favour and quantities down; every change is said. Nothing here knows
of risk, journals or sending.

Source: binance-usdm reference §13.1 (filters), §5.3 (-4164 exempts reduce-only orders).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from trader_cli.domain.instrument import (
    FilterRefusal,
    Instrument,
    check_notional,
    check_price,
    check_quantity,
    round_price_in_favour,
    round_quantity_down,
)
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import (
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.terms import OrderType
from trader_cli.errors import UsageError

_PLACES_MAX = 8
_MARKET_TYPES = frozenset(
    {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.TRAILING_STOP_MARKET}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A request that passes the filters, and a sentence for every number that was changed."""

    request: OrderRequest
    notes: tuple[str, ...]


def known_instrument(instruments: dict[str, Instrument], symbol: str) -> Instrument:
    """Return the symbol's instrument.

    Raises:
        UsageError: the exchange lists no such symbol; the message names near ones.
    """
    instrument = instruments.get(symbol)
    if instrument is None:
        raise UsageError(
            f"the exchange lists no symbol {symbol}",
            code="unknown_symbol",
            advice=_near(symbol, instruments),
        )
    return instrument


def fit(
    request: OrderRequest, instrument: Instrument, *, reference_price: Decimal | None = None
) -> Fitted:
    """Return the request on the contract's steps.

    `reference_price` stands in for the price of a market order in the notional check; without it
    that check is left to the exchange.

    Raises:
        UsageError: a filter refuses the request; `code` is the filter's name.
    """
    if not instrument.is_trading and not only_reduces(request):
        raise UsageError(
            f"{instrument.symbol} is {instrument.status}: nothing can be opened on it",
            code="not_trading",
        )
    notes: list[str] = []
    match request:
        case LimitRequest():
            fitted: OrderRequest = replace(
                request,
                price=_price(request.price, "price", request, instrument, notes),
                quantity=_quantity(request.quantity, instrument, notes, market=False),
            )
        case MarketRequest():
            fitted = replace(
                request, quantity=_quantity(request.quantity, instrument, notes, market=True)
            )
        case ConditionalRequest():
            fitted = _fit_conditional(request, instrument, notes)
    if not only_reduces(fitted):
        _refuse_small(fitted, instrument, reference_price)
    return Fitted(request=fitted, notes=tuple(notes))


def _fit_conditional(
    request: ConditionalRequest, instrument: Instrument, notes: list[str]
) -> ConditionalRequest:
    def on_tick(price: Decimal | None, name: str) -> Decimal | None:
        return None if price is None else _price(price, name, request, instrument, notes)

    quantity = request.quantity
    if quantity is not None:
        market = request.type in _MARKET_TYPES
        quantity = _quantity(quantity, instrument, notes, market=market)
    return replace(
        request,
        quantity=quantity,
        trigger_price=on_tick(request.trigger_price, "trigger price"),
        price=on_tick(request.price, "price"),
        activate_price=on_tick(request.activate_price, "activation price"),
    )


def _price(
    price: Decimal, name: str, request: OrderRequest, instrument: Instrument, notes: list[str]
) -> Decimal:
    rounded = round_price_in_favour(instrument, price, request.side)
    _refuse(check_price(instrument, rounded))
    if rounded != price:
        notes.append(
            f"{name} {_shown(price, rounded)} -> {to_text(rounded)} "
            f"(tick {to_text(instrument.tick_size)}, in your favour)"
        )
    return rounded


def _quantity(
    quantity: Decimal, instrument: Instrument, notes: list[str], *, market: bool
) -> Decimal:
    rounded = round_quantity_down(instrument, quantity, market=market)
    # The refusal names what was asked for, not the zero it would have been rounded to.
    _refuse(check_quantity(instrument, rounded or quantity, market=market))
    if rounded != quantity:
        step = instrument.market_quantity_step if market else instrument.quantity_step
        notes.append(
            f"quantity {_shown(quantity, rounded)} -> {to_text(rounded)} "
            f"(step {to_text(step)}, down)"
        )
    return rounded


def _shown(asked: Decimal, rounded: Decimal) -> str:
    """Return what was asked for without the endless digits of a quotient, unless they differ."""
    short = round(asked, _PLACES_MAX)
    return to_text(asked if short == rounded else short)


def _refuse_small(
    request: OrderRequest, instrument: Instrument, reference_price: Decimal | None
) -> None:
    match request:
        case LimitRequest(price=price):
            at: Decimal | None = price
        case MarketRequest():
            at = reference_price
        case ConditionalRequest():
            at = request.price or request.trigger_price or reference_price
    if at is not None and request.quantity is not None:
        _refuse(check_notional(instrument, at, request.quantity))


def _refuse(refusal: FilterRefusal | None) -> None:
    if refusal is not None:
        raise UsageError(str(refusal), code=refusal.filter)


def _near(symbol: str, symbols: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(symbol, list(symbols), n=3, cutoff=0.6)
    return f"did you mean {', '.join(close)}?" if close else None

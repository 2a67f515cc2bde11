"""What a typed order or exit has to be held against: filters, touch, position, mode, rules.

Each answers one question of the account or the exchange, or refuses in the operator's words; what
is done with the answer is the `*_actions` modules'.
"""

from __future__ import annotations

from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.prices import PriceWish
from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import (
    LimitRequest,
    OrderRequest,
)
from trader_cli.domain.protection import callback_rate
from trader_cli.domain.terms import (
    Direction,
    PositionSide,
    Side,
)
from trader_cli.errors import UsageError
from trader_cli.trading.orders.fitting import fit, known_instrument
from trader_cli.trading.risk.risk_manager import Refused


async def checked(desk: Desk, request: OrderRequest) -> tuple[OrderRequest, tuple[str, ...]]:
    """Return the request as it would be sent and what was changed, by filters and risk.

    Raises:
        UsageError: unknown symbol or a filter. Halted, RefusedByRisk: our own rules.
    """
    instrument = await known(desk, request.symbol)
    view = await desk.views.read(request.symbol)
    mark = view.marks.get(request.symbol)
    fitted = fit(request, instrument, reference_price=None if mark is None else mark.price)
    verdict = desk.risk.check(fitted.request, view)
    if isinstance(verdict, Refused):
        raise verdict.error()
    return verdict.request, (*fitted.notes, *verdict.notes)


def on_steps(desk: Desk, entry: LimitRequest, instrument: Instrument) -> LimitRequest:
    """Return the order on the contract's steps, what that changed said once and here.

    Raises:
        UsageError: a filter refuses it.
    """
    fitted = fit(entry, instrument)
    for note in fitted.notes:
        desk.invocation.say(note)
    assert isinstance(fitted.request, LimitRequest), "fitting keeps the kind"
    return fitted.request


async def known(desk: Desk, symbol: str) -> Instrument:
    """Return the symbol's filters.

    Raises:
        UsageError: the exchange lists no such symbol.
    """
    return known_instrument(await desk.client.get_instruments(), symbol)


async def price_at(desk: Desk, symbol: str, side: Side, typed: PriceWish) -> Decimal:
    """Return a typed price as a number; the touch is read only where it is meant."""
    if not typed.is_relative:
        return typed.number
    instrument = await known(desk, symbol)
    touch = (await desk.client.get_book_top(symbol)).touch(side)
    price = typed.at(touch, instrument.tick_size)
    desk.invocation.say(f"{typed} from {to_text(touch)}: {to_text(price)}")
    return price


def exchange_rate(desk: Desk, percent: Decimal) -> Decimal:
    """Return a trailing stop's distance, percent of price, as the exchange takes it."""
    rate, notes = callback_rate(percent)
    for note in notes:
        desk.invocation.say(note)
    return rate


async def held_position(desk: Desk, symbol: str, direction: Direction | None) -> Position:
    """Return the one position that is meant.

    Raises:
        UsageError: nothing is held that way, or both sides are and none was named.
    """
    rows = [row for row in await desk.client.get_position_risk(symbol) if not row.is_flat]
    if direction is not None:
        rows = [row for row in rows if row.direction is direction]
    if len(rows) > 1:
        raise UsageError(f"{symbol} is held long and short", advice="add --position long|short")
    if not rows:
        said = "" if direction is None else f" {direction.value.lower()}"
        raise UsageError(f"no{said} position in {symbol}", code="no_position")
    return rows[0]


async def sides(
    desk: Desk, side: Side, direction: Direction | None, reduce_only: bool
) -> tuple[PositionSide, bool]:
    """Return the position side, and the reduce-only flag as the exchange wants it.

    In hedge mode an order opens the position of its side, and with reduce-only it reduces the other
    one; the side says so, the flag must not. The mode is read, never changed.

    Raises:
        UsageError: the side would enlarge the position that is to be reduced.
    """
    if direction is None:
        if not (await desk.client.get_account_summary()).hedge_mode:
            return PositionSide.BOTH, reduce_only
        is_long = (side is Side.BUY) is not reduce_only
        return (PositionSide.LONG if is_long else PositionSide.SHORT), False
    if reduce_only and side is not direction.exit_side:
        raise UsageError(f"{side.lower()} does not reduce a {direction.lower()} position")
    return PositionSide(direction.value), False

"""What `position add`, `reduce` and `adopt` do: everything is checked before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.foreign_actions import adopter, warn_or_refuse
from trader_cli.cli.interrupts import ctrl_c_ends_entry
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_terms import held_position, known
from trader_cli.cli.position_actions import (
    as_held,
    closed_answer,
    exit_price,
    protected_answer,
    refuse_stop,
    view_json,
)
from trader_cli.cli.position_opening import (
    OpenWish,
    judge,
    opened_answer,
    with_defaults,
    would_open,
)
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import number, positions_table
from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument, round_quantity_down
from trader_cli.domain.numbers import HUNDRED
from trader_cli.domain.terms import Direction
from trader_cli.errors import Rejected, TraderError, UsageError
from trader_cli.trading.orders.protection_spec import ProtectionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AddWish:
    """What is added, as typed; exactly one of `quantity`, `usd` and `risk_usd` is given."""

    symbol: str
    direction: Direction | None
    quantity: Decimal | None
    usd: Decimal | None
    risk_usd: Decimal | None
    spec: ProtectionSpec


async def add_to_position(desk: Desk, wish: AddWish) -> Answer:
    """Enlarge a position; the stop that rests covers the new whole.

    Raises:
        UsageError: no such position, sizes, or it is naked and no stop is given.
        Halted, RefusedByRisk: nothing was sent.
    """
    instrument = await known(desk, wish.symbol)
    position = await held_position(desk, wish.symbol, wish.direction)
    await warn_or_refuse(desk, wish.symbol)
    opening = OpenWish(
        symbol=wish.symbol,
        direction=position.direction,
        quantity=wish.quantity,
        usd=wish.usd,
        risk_usd=wish.risk_usd,
        leverage=None,
        no_stop=False,
        may_be_naked=False,
        spec=wish.spec,
    )
    spec = await _spec_for(desk, position, opening)
    size = await judge(desk, opening, instrument, spec)
    if desk.invocation.shared.dry_run:
        return would_open(opening, size)
    with ctrl_c_ends_entry(desk.invocation) as cancelled:
        opened = await desk.positions.add_to_position(
            wish.symbol,
            source=desk.command_id,
            spec=spec,
            quantity=size.quantity,
            position_side=position.position_side,
            cancelled=cancelled,
        )
    for note in opened.notes:
        desk.invocation.say(note)
    return await opened_answer(desk, opening, opened)


async def _spec_for(desk: Desk, position: Position, wish: OpenWish) -> ProtectionSpec | None:
    """Return what is to protect the whole afterwards; None keeps the stop that rests."""
    views = await desk.positions.list_positions(position.symbol)
    protected = any(
        row.protected and row.position.position_side is position.position_side for row in views
    )
    if not protected:
        return with_defaults(desk, wish)
    return None if wish.spec == ProtectionSpec() else wish.spec


async def reduce_position(
    desk: Desk,
    symbol: str,
    *,
    direction: Direction | None,
    percent: Decimal | None,
    quantity: Decimal | None,
) -> Answer:
    """Close a part of a position at market, reduce-only; its exits stay and cover the rest.

    Raises:
        UsageError: no such position, or the part is smaller than the exchange's step.
    """
    instrument = await known(desk, symbol)
    position = await held_position(desk, symbol, direction)
    part = _part(instrument, position, percent, quantity)
    left = abs(position.quantity) - part
    if 0 < left * position.mark_price < instrument.notional_min:
        desk.invocation.say(
            f"warning: what is left, {number(left)}, is below the exchange's minimum of "
            f"{number(instrument.notional_min)} USDT: it can only be closed as a whole"
        )
    if desk.invocation.shared.dry_run:
        data: Json = {
            "dry_run": True,
            "position": (await as_held(desk, [position]))[0],
            "quantity": number(part),
            "left": number(left),
        }
        title = f"{number(part)} of {symbol} would be closed; nothing was sent"
        return Answer(data=data, tables=lambda: [Table(title=title, columns=())])
    closed = await desk.positions.close_position(
        symbol, source=desk.command_id, position_side=position.position_side, quantity=part
    )
    answer = await closed_answer(desk, [position], [closed], wanted_flat=left == 0)
    views = await desk.positions.list_positions(symbol)
    now = [row for row in views if row.position.position_side is position.position_side]
    rest = view_json(now[0]) if now else None

    def tables() -> list[Table]:
        return [*answer.tables(), positions_table("Left", [] if rest is None else [rest])]

    return replace(answer, data=answer.data | {"position": rest}, tables=tables)


def _part(
    instrument: Instrument, position: Position, percent: Decimal | None, quantity: Decimal | None
) -> Decimal:
    """Return how much goes, on the exchange's step, at most all of it."""
    size = abs(position.quantity)
    if quantity is None:
        assert percent is not None, "one of the two is given"
        quantity = size * percent / HUNDRED
    if quantity > size:
        raise UsageError(f"{position.symbol} holds {number(size)} only", code="more_than_held")
    if quantity == size:
        return size
    part = round_quantity_down(instrument, quantity, market=True)
    if part < instrument.market_quantity_min:
        raise UsageError(
            f"{number(quantity)} of {position.symbol} is less than the exchange's smallest order, "
            f"{number(instrument.market_quantity_min)}",
            code="too_small",
            advice=f"trader position close {position.symbol} closes all of it",
        )
    return part


async def adopt_position(
    desk: Desk,
    symbol: str,
    *,
    direction: Direction | None,
    stop: PriceWish,
    take_profit: PriceWish | None,
    advisor: str | None,
) -> Answer:
    """Make a position that we did not open ours: its stop rests, then an engine may handle it.

    Raises:
        UsageError: no such position. RefusedByRisk: a stop that cannot protect.
        Rejected: price is through the stop already.
    """
    instrument = await known(desk, symbol)
    position = await held_position(desk, symbol, direction)
    stop_price = exit_price(desk, instrument, position, stop)
    target_price = exit_price(desk, instrument, position, take_profit)
    assert stop_price is not None, "an adopted position needs a stop"
    refuse_stop(instrument, position, stop_price)
    owner = advisor or adopter(desk)
    if desk.invocation.shared.dry_run:
        [shown] = await as_held(desk, [position])
        data: Json = {"dry_run": True, "position": shown, "advisor": owner}
        title = f"{symbol} would be adopted for {owner}; nothing was sent"
        return Answer(data=data, tables=lambda: [Table(title=title, columns=())])
    adopted = await desk.positions.adopt(
        symbol,
        ProtectionSpec(stop_price=stop_price, take_profit_price=target_price),
        source=desk.command_id,
        advisor=owner,
        position_side=position.position_side,
    )
    answer = await protected_answer(desk, position, adopted.protection)
    failure: TraderError | None = answer.failure
    if not adopted.done and failure is None:
        failure = Rejected("its stop does not rest, so it was not adopted")
    more: Json = {"adopted": adopted.done, "advisor": owner if adopted.done else None}
    return replace(answer, data=answer.data | more, failure=failure)

"""A bracket: a resting entry with its stop and its target, which belong together by their ids.

Knows how the three are placed so that a fill is never without its stop for longer than one round
trip, whoever is alive then. Entries that are worked now (maker first or at market) go through
`PositionManager.open_position`; here the entry rests and may fill when nobody watches:

- the entry goes first: a stop that belongs to neither position nor order is not sure to be taken;
- stop and target follow in the very next round trip, as closePosition orders: they cover whatever
  fills, whenever;
- if the stop does not rest, the entry is taken back, and what had filled is covered or closed;
- what one leg leaves behind when the other has ended the position is an orphan by its id, and is
  removed by the engine, by `order resolve` and by every command that closes or cancels.

Source: binance-usdm reference §7.2 (closePosition), §7.4 (life of a conditional order).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import BookTop, Position
from trader_cli.domain.client_id import Leg
from trader_cli.domain.instrument import Instrument, round_price_in_favour
from trader_cli.domain.numbers import HUNDRED, ONE, to_text
from trader_cli.domain.order import AlgoOrder, LimitRequest, Order
from trader_cli.domain.protection import check_stop, isolated_margin, liquidation_price
from trader_cli.domain.terms import Direction, MarginType, Side
from trader_cli.errors import (
    OutcomeUnknown,
    PartialFailure,
    RefusedByRisk,
    Rejected,
    UsageError,
)
from trader_cli.trading.orders.brackets import ExitOutcome, Protection, Resting, rest_at_once
from trader_cli.trading.orders.flatness import held_position
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionPlan, TrailingPlan
from trader_cli.urgency import insisting

_BEYOND: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracketed:
    """A resting, or already filled, entry with its exits.

    Attributes:
        unprotected_ms: from the entry's acceptance until the stop rested: the longest that
            anything that filled can have been without it.
        protection: what came of each exit; one that was asked for may not rest, but for the stop.
    """

    entry: Order
    stop: AlgoOrder
    take_profit: AlgoOrder | None
    unprotected_ms: int
    protection: Protection
    trailing: AlgoOrder | None = None
    notes: tuple[str, ...] = ()


async def rest_bracket(
    orders: OrderManager,
    request: LimitRequest,
    *,
    stop_price: Decimal,
    take_profit_price: Decimal | None,
    source: str,
    callback_rate: Decimal | None = None,
) -> Bracketed:
    """Rest an entry with stop and target, and a trailing stop of `callback_rate` percent.

    See `waiting_trailing` for when that one begins to trail.

    Raises:
        UsageError, Halted, RefusedByRisk: nothing was sent.
        Rejected, NotSent, RateLimited: nothing rests and nothing is held, see the message.
        PartialFailure: the entry ended at once without a fill; nothing rests.
        OutcomeUnknown: the entry, or its cancel, is in doubt.
    """
    direction = Direction.LONG if request.side is Side.BUY else Direction.SHORT
    await refuse_bad_bracket(orders, request, stop_price, take_profit_price)
    await orders.clean_up_exits(request.symbol, position_side=request.position_side)
    trailing = None
    if callback_rate is not None:
        instrument, top, mark = await asyncio.gather(
            orders.instrument(request.symbol),
            orders.book(request.symbol),
            orders.client.get_mark_price(request.symbol),
        )
        trailing = waiting_trailing(
            instrument, direction, request.price, top, mark.mark_price, callback_rate
        )
    plan = ProtectionPlan(
        stop_price=stop_price, take_profit_price=take_profit_price, trailing=trailing
    )

    async def rest_exits(quantity: Decimal) -> Protection:
        with insisting():
            return await rest_at_once(
                orders,
                request.symbol,
                direction,
                request.position_side,
                plan,
                source=source,
                within_s=orders.policy.protect_within_s,
                quantity=quantity,
            )

    try:
        placed = await orders.place(request, source=source, leg=Leg.ENTRY, stop_price=stop_price)
    except OutcomeUnknown:
        await rest_exits(request.quantity)  # perhaps the entry rests: then its stop must, too
        raise
    entry = placed.order
    assert isinstance(entry, Order), "a limit order is a regular order"
    if not entry.status.is_open and entry.filled_quantity == 0:
        # An IOC or FOK entry that nobody met: exits would be orphans from the start.
        raise PartialFailure(f"nothing was filled ({entry.status}), nothing rests", code="unfilled")
    accepted_s = orders.clock.monotonic()
    protection = await rest_exits(entry.quantity)
    unprotected_ms = int((orders.clock.monotonic() - accepted_s) * 1000)
    if not isinstance(protection.stop, Resting):
        with insisting():
            raise await _take_back(orders, entry, protection, source)
    return Bracketed(
        entry=entry,
        stop=protection.stop.order,
        take_profit=_order_of(protection.take_profit),
        trailing=_order_of(protection.trailing),
        unprotected_ms=unprotected_ms,
        protection=protection,
        notes=(*placed.notes, *_notes_of(protection)),
    )


def waiting_trailing(
    instrument: Instrument,
    direction: Direction,
    entry_price: Decimal,
    top: BookTop,
    mark: Decimal,
    callback_rate: Decimal,
) -> TrailingPlan:
    """Return a trailing stop that can rest before its entry has filled.

    It begins to trail once price has gained `callback_rate` percent on the entry, which locks in
    about the entry's price; but the exchange takes only a start beyond the present price, so it
    is never nearer than 0.1 % beyond book and mark: they move while the entry is placed.

    Source: binance-usdm reference §7.2 (activatePrice on the far side of the last price).
    """
    sign = direction.sign
    gained = entry_price * (ONE + sign * callback_rate / HUNDRED)
    worst = max if direction is Direction.LONG else min
    present = worst(top.far(direction.entry_side), mark)
    start = worst(gained, present * (ONE + sign * _BEYOND))
    price = round_price_in_favour(instrument, start, direction.exit_side)
    return TrailingPlan(callback_rate=callback_rate, activate_price=price)


async def refuse_bad_bracket(
    orders: OrderManager,
    request: LimitRequest,
    stop_price: Decimal,
    take_profit_price: Decimal | None,
) -> None:
    """Refuse what cannot be bracketed, before anything is sent.

    Raises:
        UsageError: there is a position already.
        RefusedByRisk: the stop or the target does not do what it is for.
    """
    direction = Direction.LONG if request.side is Side.BUY else Direction.SHORT
    client, symbol = orders.client, request.symbol
    instrument, held, configs, levels, (_, taker_fee) = await asyncio.gather(
        orders.instrument(symbol),
        _held(orders, request),
        client.get_symbol_config(symbol),
        client.get_leverage_brackets(symbol),
        client.get_commission_rate(symbol),
    )
    if held is not None:
        raise UsageError(
            f"{symbol} has a position already; a bracket opens one",
            code="position_exists",
            advice=f"trader position protect {symbol} --stop P --take-profit P",
        )
    liquidation = None
    for row in configs:
        # A cross position is liquidated with the whole account, at no price known here.
        if row.symbol == symbol and row.margin_type is MarginType.ISOLATED:
            margin = isolated_margin(request.quantity, request.price, row.leverage)
            liquidation = liquidation_price(
                direction, request.quantity, request.price, margin, levels
            )
    problem = check_stop(
        instrument,
        direction,
        stop_price,
        mark=request.price,  # it is reached only by way of the entry
        liquidation=liquidation,
        entry=request.price,
        taker_fee=taker_fee,
    )
    if problem is not None:
        raise RefusedByRisk(problem.message, code=problem.rule)
    if take_profit_price is not None:
        gain = (take_profit_price - request.price) * direction.sign
        if gain <= 0:
            raise RefusedByRisk(
                f"the target {to_text(take_profit_price)} is not on the winning side of the entry "
                f"{to_text(request.price)}",
                code="target_side",
            )


async def _take_back(
    orders: OrderManager, entry: Order, protection: Protection, source: str
) -> Rejected:
    """End an entry whose stop does not rest, and whatever filled of it; return what to tell.

    Raises:
        VenueError: an order may still rest, or something is still held.
    """
    why = "; ".join(_said(protection)) or "the price is through the stop already"
    for other in (protection.take_profit, protection.trailing):
        if isinstance(other, Resting):
            await orders.cancel_algo(other.order)
    gone = await orders.cancel_order(entry) if entry.status.is_open else entry
    done = "the entry was taken back"
    if gone.filled_quantity > 0:
        held = await held_position(orders.client, orders.clock, entry.symbol, entry.position_side)
        if held is not None:
            await orders.exit_at_market(held, source=source)
        done += f" and what had filled, {to_text(gone.filled_quantity)}, was closed at market"
    code = protection.problems[0].code if protection.problems else -2021
    return Rejected(f"the stop does not rest, so {done}: {why}", code=code)


async def _held(orders: OrderManager, request: LimitRequest) -> Position | None:
    rows = await orders.client.get_position_risk(request.symbol)
    held = (row for row in rows if row.position_side is request.position_side and not row.is_flat)
    return next(held, None)


def _order_of(outcome: ExitOutcome | None) -> AlgoOrder | None:
    return outcome.order if isinstance(outcome, Resting) else None


def _notes_of(protection: Protection) -> tuple[str, ...]:
    parts = (protection.stop, protection.take_profit, protection.trailing)
    return tuple(note for part in parts if isinstance(part, Resting) for note in part.notes)


def _said(protection: Protection) -> tuple[str, ...]:
    return tuple(problem.message for problem in protection.problems)

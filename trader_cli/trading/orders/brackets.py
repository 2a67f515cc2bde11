"""Protective orders: stops and targets that rest at the exchange and cover the whole position.

Knows how a stop is set, moved and removed without a moment of nakedness; must not know where it
belongs (`domain.protection`) or who wants it. The new one rests before the old one goes; where the
exchange allows only one, a stop of a fixed quantity bridges the swap.

Source: binance-usdm reference §7.2, §5.3 (-4130), §5.2 (-2021).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg, belong_together, is_own
from trader_cli.domain.instrument import round_price_in_favour
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.terms import AlgoStatus, Direction, OrderType, PositionSide, WorkingType
from trader_cli.errors import OutcomeUnknown, Rejected, TraderError, VenueError
from trader_cli.trading.orders.exit_orders import (
    ONE_IS_ENOUGH,
    WOULD_TRIGGER_NOW,
    ExitSpot,
    exit_request,
    place_exit,
    source_of,
    trailing_request,
)
from trader_cli.trading.orders.flatness import held_position, held_positions
from trader_cli.trading.orders.order_desk import OrderDesk
from trader_cli.trading.orders.protection_spec import ProtectionPlan, TrailingPlan
from trader_cli.trading.orders.waiting import within

_WOULD_TRIGGER: Final = frozenset({WOULD_TRIGGER_NOW, -4142})
_TAKE_AWAY_S: Final = 3.0
"""What a cancel that is not answered and its repetition take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """The exit order rests at the exchange.

    Attributes:
        replaced: our earlier orders of the same purpose that were taken away.
    """

    order: AlgoOrder
    replaced: tuple[AlgoOrder, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldTrigger:
    """The price is already through the trigger: the position has to be closed at market instead.

    Attributes:
        is_replaced: what rested before is gone, and what bridged the swap fires; else it rests.
    """

    leg: Leg
    trigger_price: Decimal
    message: str
    is_replaced: bool = False


ExitOutcome = Resting | WouldTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What came of a plan; a part that was not asked for is None.

    Attributes:
        problems: parts that could not be set and why; the stop is among them only if
            `stop` is None.
    """

    stop: ExitOutcome | None = None
    take_profit: ExitOutcome | None = None
    trailing: ExitOutcome | None = None
    problems: tuple[TraderError, ...] = ()

    @property
    def is_stopped(self) -> bool:
        """True if the stop that was asked for rests."""
        return isinstance(self.stop, Resting)

    @property
    def must_close(self) -> bool:
        """True if price is already through the stop."""
        return isinstance(self.stop, WouldTrigger)


async def rest_at_once(
    desk: OrderDesk,
    symbol: str,
    direction: Direction,
    position_side: PositionSide,
    plan: ProtectionPlan,
    *,
    source: str,
    within_s: float,
    quantity: Decimal | None = None,
) -> Protection:
    """Place the plan's stop and target as closePosition orders, in one round trip.

    For a position that is just being opened, or will be when a resting entry fills: nothing of ours
    is looked for or replaced. Where the exchange holds a closePosition order for the purpose
    already, and `quantity` says what the entry can fill, that much is covered instead. A trailing
    stop is placed only with `quantity`; else it is left to `protect`.
    """
    spots = [
        (ExitSpot(symbol=symbol, direction=direction, position_side=position_side, leg=leg), price)
        for leg, price in (
            (Leg.STOP, plan.stop_price),
            (Leg.TAKE_PROFIT, plan.take_profit_price),
        )
    ]
    trailing = None if quantity is None else plan.trailing
    end_s = desk.clock.monotonic() + within_s
    parts = await asyncio.gather(
        *(_place_whole(desk, spot, price, source, end_s, quantity) for spot, price in spots),
        _place_trailing(
            desk, replace(spots[0][0], leg=Leg.TRAILING), trailing, source, end_s, quantity
        ),
    )
    stop, target, trail = (None if isinstance(part, TraderError) else part for part in parts)
    return Protection(
        stop=stop,
        take_profit=target,
        trailing=trail,
        problems=tuple(part for part in parts if isinstance(part, TraderError)),
    )


async def _place_whole(
    desk: OrderDesk,
    spot: ExitSpot,
    price: Decimal | None,
    source: str,
    end_s: float,
    quantity: Decimal | None,
) -> ExitOutcome | TraderError | None:
    if price is None:
        return None
    try:
        return Resting(
            order=await place_exit(desk, exit_request(spot, price), spot, source, end_s=end_s)
        )
    except Rejected as error:
        if error.code in _WOULD_TRIGGER:
            return _would_trigger(spot, price, error)
        if error.code != ONE_IS_ENOUGH or quantity is None:
            return error
    except TraderError as error:
        return error
    return await _place_share(desk, spot, price, source, end_s, quantity)


async def _place_share(
    desk: OrderDesk,
    spot: ExitSpot,
    price: Decimal,
    source: str,
    end_s: float,
    quantity: Decimal,
) -> ExitOutcome | TraderError:
    """Cover what one entry can fill, beside a closePosition order that rests already."""
    note = (
        f"a {spot.type} order for the whole {spot.symbol} position rests already and closes this "
        f"part too when it is reached first; ours covers {to_text(quantity)}"
    )
    try:
        order = await place_exit(
            desk, exit_request(spot, price, quantity), spot, source, end_s=end_s
        )
    except Rejected as error:
        return _would_trigger(spot, price, error) if error.code in _WOULD_TRIGGER else error
    except TraderError as error:
        return error
    return Resting(order=order, notes=(note,))


async def _place_trailing(
    desk: OrderDesk,
    spot: ExitSpot,
    plan: TrailingPlan | None,
    source: str,
    end_s: float,
    quantity: Decimal | None,
) -> ExitOutcome | TraderError | None:
    if plan is None or quantity is None:
        return None
    try:
        request = trailing_request(spot, plan, quantity)
        return Resting(order=await place_exit(desk, request, spot, source, end_s=end_s))
    except TraderError as error:
        return error


async def rest_exit(
    desk: OrderDesk,
    spot: ExitSpot,
    trigger_price: Decimal,
    *,
    source: str,
    within_s: float,
) -> ExitOutcome:
    """Make one closePosition order rest at `trigger_price`, in place of our earlier ones.

    Doing it again changes nothing. Foreign orders are left alone, and so are exits that wait for
    an entry of which nothing has filled: beside those the present quantity is covered.

    Raises:
        VenueError: it does not rest, or it is not known whether it does; what rested before still
            does, unless a bridge took its place.
    """
    end_s = desk.clock.monotonic() + within_s
    instrument = await desk.instrument(spot.symbol)
    price = round_price_in_favour(instrument, trigger_price, spot.direction.exit_side)
    rows = await desk.client.get_open_algo_orders(spot.symbol)
    # One that fires protects by firing; one that is stuck at it does not rest any more.
    there = [row for row in rows if spot.holds(row) and row.status is AlgoStatus.NEW]
    is_taken = any(row.close_position for row in there)
    own = [row for row in there if is_own(row.client_order_id)]
    if own:
        own, source = await _of_this_position(desk, spot, own, source)
    same = next((row for row in own if _is_as_wished(row, price)), None)
    if same is not None:
        others = [row for row in own if row.algo_id != same.algo_id]
        return Resting(order=same, replaced=await _take_away(desk, others, end_s))
    try:
        request = exit_request(spot, price)
        order = await place_exit(desk, request, spot, source, end_s=end_s, is_taken=is_taken)
    except Rejected as error:
        if error.code in _WOULD_TRIGGER:
            return _would_trigger(spot, price, error)
        if error.code != ONE_IS_ENOUGH:
            raise
        return await _swap_over_bridge(desk, spot, price, own, source=source, end_s=end_s)
    return Resting(order=order, replaced=await _take_away(desk, own, end_s))


async def _of_this_position(
    desk: OrderDesk, spot: ExitSpot, own: Sequence[AlgoOrder], source: str
) -> tuple[list[AlgoOrder], str]:
    """Return which of our exits are this position's, and whose the one in their place will be.

    What replaces the exit of an entry that fills on has to stay with that entry, by its id.
    """
    entries = [
        row
        for row in await desk.client.get_open_orders(spot.symbol)
        if is_own(row.client_order_id) and not only_reduces(row)
    ]
    mine: list[AlgoOrder] = []
    for row in own:
        entry = next(
            (one for one in entries if belong_together(one.client_order_id, row.client_order_id)),
            None,
        )
        if entry is not None and entry.filled_quantity == 0:
            continue
        mine.append(row)
        if entry is not None:
            source = source_of(desk, row) or source
    return mine, source


async def _swap_over_bridge(
    desk: OrderDesk,
    spot: ExitSpot,
    price: Decimal,
    own: Sequence[AlgoOrder],
    *,
    source: str,
    end_s: float,
) -> ExitOutcome:
    """Replace the one closePosition order that may rest, under cover of a fixed quantity."""
    quantity = await _position_size(desk, spot)
    if quantity == 0:
        raise Rejected(f"{spot.symbol} has no position to protect", code=ONE_IS_ENOUGH)
    covering = [row for row in own if row.close_position]
    beside = "a closePosition order that is not this position's stays; ours covers " + to_text(
        quantity
    )
    if not covering:
        for row in own:
            if (row.trigger_price, row.quantity) == (price, quantity):
                others = [other for other in own if other.algo_id != row.algo_id]
                gone = await _take_away(desk, others, end_s)
                return Resting(order=row, replaced=gone, notes=(beside,))
    try:
        request = exit_request(spot, price, quantity)
        bridge = await place_exit(desk, request, spot, source, end_s=end_s)
    except Rejected as error:
        if error.code in _WOULD_TRIGGER:
            return _would_trigger(spot, price, error)
        raise
    removed = await _take_away(desk, own, end_s)
    if not covering:
        return Resting(order=bridge, replaced=removed, notes=(beside,))
    try:
        order = await place_exit(desk, exit_request(spot, price), spot, source, end_s=end_s)
    except VenueError as error:
        if isinstance(error, Rejected) and error.code in _WOULD_TRIGGER:
            # The price has come to the bridge, too: it fires, and some get stuck at that.
            return replace(_would_trigger(spot, price, error), is_replaced=True)
        # The bridge covers what is held now, so nothing is naked; growth is not covered.
        note = f"covers {to_text(quantity)} only: {error.message}"
        return Resting(order=bridge, replaced=removed, notes=(note,))
    return Resting(order=order, replaced=(*removed, *await _take_away(desk, [bridge], end_s)))


async def rest_trailing(
    desk: OrderDesk,
    position: Position,
    plan: TrailingPlan,
    *,
    source: str,
    within_s: float,
) -> ExitOutcome:
    """Make a trailing stop for the position's present quantity rest, in place of our earlier ones.

    Raises:
        VenueError: it does not rest, or it is not known whether it does.
    """
    end_s = desk.clock.monotonic() + within_s
    side = position.direction.exit_side
    rows = await desk.client.get_open_algo_orders(position.symbol)
    own = [
        row
        for row in rows
        if row.type is OrderType.TRAILING_STOP_MARKET
        and row.position_side is position.position_side
        and row.side is side
        and row.is_exit
        and is_own(row.client_order_id)
    ]
    quantity = abs(position.quantity)
    for row in own:
        if (row.quantity, row.callback_rate, row.activate_price) == (
            quantity,
            plan.callback_rate,
            plan.activate_price,
        ):
            others = [other for other in own if other.algo_id != row.algo_id]
            return Resting(order=row, replaced=await _take_away(desk, others, end_s))
    spot = ExitSpot.of(position, Leg.TRAILING)
    try:
        request = trailing_request(spot, plan, quantity)
        order = await place_exit(desk, request, spot, source, end_s=end_s)
    except Rejected as error:
        if error.code in _WOULD_TRIGGER:
            return _would_trigger(spot, plan.activate_price or position.mark_price, error)
        raise
    return Resting(order=order, replaced=await _take_away(desk, own, end_s))


async def protect(
    desk: OrderDesk,
    position: Position,
    plan: ProtectionPlan,
    *,
    source: str,
    within_s: float,
) -> Protection:
    """Make everything of the plan rest, the parts in parallel; never raises for a part of it.

    `within_s` bounds the whole of each part: finding, placing, and what goes in exchange.
    """
    parts = await asyncio.gather(
        _part(desk, position, Leg.STOP, plan.stop_price, source, within_s),
        _part(desk, position, Leg.TAKE_PROFIT, plan.take_profit_price, source, within_s),
        _trailing_part(desk, position, plan.trailing, source, within_s),
    )
    outcomes = [None if isinstance(part, TraderError) else part for part in parts]
    return Protection(
        stop=outcomes[0],
        take_profit=outcomes[1],
        trailing=outcomes[2],
        problems=tuple(part for part in parts if isinstance(part, TraderError)),
    )


async def clean_up_exits(
    desk: OrderDesk,
    symbol: str,
    *,
    position_side: PositionSide | None = None,
    seen_flat: bool = False,
) -> tuple[Order | AlgoOrder, ...]:
    """Cancel our own exit orders of a symbol whose position is gone; return what was cancelled.

    Exits that belong to an entry that still rests stay with it. The orders are listed before the
    position is read: a position opened in between has its exits placed after the list, so they
    are never touched. Nothing is taken away on one reading's word; with `seen_flat` the caller
    has read that the position is gone, and one more reading is the second.

    Raises:
        VenueError: something could not be read, or an order may still rest.
    """
    orders, algos = await asyncio.gather(
        desk.client.get_open_orders(symbol), desk.client.get_open_algo_orders(symbol)
    )
    resting: list[Order | AlgoOrder] = [*orders, *algos]
    entries = [row for row in resting if is_own(row.client_order_id) and not only_reduces(row)]

    def is_in_question(order: Order | AlgoOrder) -> bool:
        wanted = position_side is None or order.position_side is position_side
        mine = is_own(order.client_order_id) and only_reduces(order)
        waits = any(belong_together(order.client_order_id, row.client_order_id) for row in entries)
        return wanted and mine and not waits

    sides = {row.position_side for row in resting if is_in_question(row)}
    if not sides:
        return ()
    rows = (
        await desk.client.get_position_risk(symbol)
        if seen_flat
        else await held_positions(desk.client, desk.clock, symbol, sides=sides)
    )
    orphaned = sides - {row.position_side for row in rows if not row.is_flat}
    gone = await _remove(
        desk, [row for row in algos if is_in_question(row) and row.position_side in orphaned]
    )
    cancelled = await asyncio.gather(
        *(
            desk.cancel_order(row)
            for row in orders
            if is_in_question(row) and row.position_side in orphaned
        )
    )
    return (*gone, *cancelled)


def covers(position: Position, order: AlgoOrder) -> bool:
    """Return True if the stop closes the whole position when it fires."""
    return (
        order.status.is_open
        and order.is_stop
        and order.is_exit
        and order.symbol == position.symbol
        and order.position_side is position.position_side
        and order.side is position.direction.exit_side
        and (order.close_position or order.quantity >= abs(position.quantity))
    )


async def _part(
    desk: OrderDesk,
    position: Position,
    leg: Leg,
    price: Decimal | None,
    source: str,
    within_s: float,
) -> ExitOutcome | TraderError | None:
    if price is None:
        return None
    spot = ExitSpot.of(position, leg)
    try:
        return await rest_exit(desk, spot, price, source=source, within_s=within_s)
    except TraderError as error:
        return error


async def _trailing_part(
    desk: OrderDesk,
    position: Position,
    plan: TrailingPlan | None,
    source: str,
    within_s: float,
) -> ExitOutcome | TraderError | None:
    if plan is None:
        return None
    try:
        return await rest_trailing(desk, position, plan, source=source, within_s=within_s)
    except TraderError as error:
        return error


async def _take_away(
    desk: OrderDesk, orders: Sequence[AlgoOrder], end_s: float
) -> tuple[AlgoOrder, ...]:
    """Remove what another takes the place of, by `end_s` or shortly after it.

    Raises:
        OutcomeUnknown: not done by then: an order may still rest.
    """
    left_s = max(end_s - desk.clock.monotonic(), _TAKE_AWAY_S)
    try:
        return await within(_remove(desk, orders), desk.clock, left_s)
    except TimeoutError as error:
        names = ", ".join(row.client_order_id for row in orders)
        raise OutcomeUnknown(f"whether {names} still rests is unknown: no answer") from error


async def _remove(desk: OrderDesk, orders: Sequence[AlgoOrder]) -> tuple[AlgoOrder, ...]:
    await asyncio.gather(*(desk.cancel_algo(row) for row in orders))
    return tuple(orders)


async def _position_size(desk: OrderDesk, spot: ExitSpot) -> Decimal:
    row = await held_position(desk.client, desk.clock, spot.symbol, spot.position_side)
    return Decimal(0) if row is None else abs(row.quantity)


def _is_as_wished(order: AlgoOrder, price: Decimal) -> bool:
    return (
        order.close_position
        and order.trigger_price == price
        and order.working_type is WorkingType.MARK_PRICE
    )


def _would_trigger(spot: ExitSpot, price: Decimal, error: Rejected) -> WouldTrigger:
    return WouldTrigger(leg=spot.leg, trigger_price=price, message=error.message)

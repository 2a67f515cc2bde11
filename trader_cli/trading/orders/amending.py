"""Change a resting order: a limit order in place, a conditional one by a new one before the old.

Knows what each refusal of an amendment means and how a lost answer is settled; must not know who
wants the change. An amended entry passes latch and risk as a new one would, valued without its own
present share.

Source: binance-usdm reference §6.3 (PUT), §5.4 (-5024 to -5029), §7.1 (no amendment there).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.client_id import Leg
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    Order,
    only_reduces,
)
from trader_cli.domain.terms import Direction, OrderType, Side
from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UsageError,
    VenueError,
)
from trader_cli.trading.orders.approving import ApprovedChange
from trader_cli.trading.orders.brackets import Resting, rest_exit
from trader_cli.trading.orders.exit_orders import ExitSpot
from trader_cli.trading.orders.fitting import fit
from trader_cli.trading.orders.order_desk import OrderDesk, always
from trader_cli.trading.orders.order_tracker import RESOLVE_S, is_as_amended, resolve_advice
from trader_cli.trading.ports import Wanted
from trader_cli.trading.risk.changing import request_of
from trader_cli.trading.risk.risk_terms import RiskView
from trader_cli.urgency import insisting

NO_NEED: Final = -5027
_PENDING: Final = -5043
_ASK_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """What became of an amendment.

    Attributes:
        before: the order as it rested.
        order: as it rests now, or how it ended (a post-only order that would take is cancelled).
        notes: what was rounded, for the operator.
    """

    before: Order | AlgoOrder
    order: Order | AlgoOrder
    notes: tuple[str, ...] = ()


async def amend_limit(
    desk: OrderDesk,
    order: Order,
    *,
    price: Decimal | None = None,
    quantity: Decimal | None = None,
    stop_price: Decimal | None = None,
    still_wanted: Wanted = always,
    within_s: float = RESOLVE_S,
) -> Amended:
    """Give a resting limit order another price or whole quantity; None keeps what it has.

    Asking for what is so already is success.

    Raises:
        UsageError: not a limit order, or a filter refuses it.
        Halted, RefusedByRisk: our own rules; the order rests as before.
        Rejected, NotSent, RateLimited: proven not amended.
        OutcomeUnknown: not known whether it was amended, within `within_s` seconds of asking.

    With `within_s` 0 nothing is waited for either: what is proven not executed is not tried again.
    """
    if order.type is not OrderType.LIMIT:
        raise UsageError(f"{order.type} orders cannot be amended, only LIMIT", code="not_a_limit")
    resting = request_of(order)
    assert isinstance(resting, LimitRequest), "what a regular order is asked for by"
    wanted = replace(resting, price=price or order.price, quantity=quantity or order.quantity)
    instrument = await desk.instrument(order.symbol)
    fitted = fit(wanted, instrument)
    request = fitted.request
    assert isinstance(request, LimitRequest), "fitting keeps the kind"
    if request.quantity <= order.filled_quantity:
        raise UsageError(
            f"{to_text(order.filled_quantity)} of the order are executed already",
            code="executed_already",
            advice="cancel it to keep what is executed and no more",
        )
    left = replace(request, quantity=request.quantity - order.filled_quantity)

    async def approve() -> ApprovedChange:
        return await desk.approve_change(
            left, lambda view: _without(view, order), stop_price, still_wanted
        )

    try:
        amended = await _send(desk, order, request, approve, may_wait=within_s > 0)
    except Rejected as error:
        if error.code != NO_NEED:
            raise
        amended = await desk.refresh(order)
    except OutcomeUnknown as error:
        amended = await _settle(desk, order, request, error, within_s)
    return Amended(before=order, order=amended, notes=fitted.notes)


async def _send(
    desk: OrderDesk,
    order: Order,
    request: LimitRequest,
    approve: Callable[[], Awaitable[ApprovedChange]],
    *,
    may_wait: bool,
) -> Order:
    """Send, and again, approved anew, while it is proven that nothing was executed."""
    for retry in itertools.count():
        approved = await approve()
        try:
            return await desk.send_amendment(
                order, approved, price=request.price, quantity=request.quantity
            )
        except (NotSent, RateLimited) as error:
            pause_s = desk.pause_before_retry(error, retry) if may_wait else None
            if pause_s is None:
                raise
            await desk.clock.sleep(pause_s)
    raise AssertionError("the last try returns or raises")


async def amend_conditional(
    desk: OrderDesk,
    order: AlgoOrder,
    *,
    source: str,
    price: Decimal | None = None,
    quantity: Decimal | None = None,
    within_s: float = RESOLVE_S,
) -> Amended:
    """Put a changed copy of a conditional order in its place, the new one before the old goes.

    `price` is the trigger, of a trailing stop the price from which it trails.

    Raises:
        UsageError: it cannot have that, or a filter refuses it.
        VenueError: the new one does not rest (the old one does), or the old one may rest beside it.
    """
    with insisting(when=only_reduces(order)):
        if order.close_position:
            return await _amend_whole_exit(desk, order, price, quantity, source, within_s)
        request = _copy(order, price, quantity)
        placed = await desk.place(request, source=source, leg=leg_of_type(order.type))
        assert isinstance(placed.order, AlgoOrder | Order), "what a conditional request becomes"
        await desk.cancel_algo(order)
        return Amended(before=order, order=placed.order, notes=placed.notes)


async def _amend_whole_exit(
    desk: OrderDesk,
    order: AlgoOrder,
    price: Decimal | None,
    quantity: Decimal | None,
    source: str,
    within_s: float,
) -> Amended:
    if quantity is not None or price is None:
        raise UsageError(
            "this order closes the whole position and has no quantity of its own",
            code="closes_position",
            advice="give --price",
        )
    direction = Direction.LONG if order.side is Side.SELL else Direction.SHORT
    spot = ExitSpot(
        symbol=order.symbol,
        direction=direction,
        position_side=order.position_side,
        leg=leg_of_type(order.type),
    )
    outcome = await rest_exit(desk, spot, price, source=source, within_s=within_s)
    if not isinstance(outcome, Resting):
        advice = "The order rests as it did before."
        if outcome.is_replaced:
            advice = f"It fires; if that takes long: `trader position close {order.symbol}`."
        raise Rejected(outcome.message, code=-2021, advice=advice)
    return Amended(before=order, order=outcome.order, notes=outcome.notes)


def leg_of_type(order_type: OrderType) -> Leg:
    """Return what a conditional order of this type is for."""
    return {
        OrderType.TRAILING_STOP_MARKET: Leg.TRAILING,
        OrderType.TAKE_PROFIT: Leg.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_MARKET: Leg.TAKE_PROFIT,
    }.get(order_type, Leg.STOP)


async def _settle(
    desk: OrderDesk, order: Order, request: LimitRequest, error: OutcomeUnknown, within_s: float
) -> Order:
    """Ask until the order shows the change, has ended, or the change can no longer arrive."""
    unproven = OutcomeUnknown(
        f"whether {order.client_order_id} on {order.symbol} was amended is unknown",
        code=error.code,
        advice=resolve_advice(order),
    )
    end_s = desk.clock.monotonic() + within_s
    too_late_ms = desk.client.venue_now_ms() + desk.absence_ms
    while True:
        asked_ms = desk.client.venue_now_ms()
        try:
            fresh = await desk.refresh(order)
        except VenueError as problem:
            if isinstance(problem, RateLimited) and problem.banned:
                raise unproven from error  # nothing can be asked before it is over
            fresh = None  # a read that failed proves nothing
        if fresh is not None:
            changed = is_as_amended(fresh, request.price, request.quantity)
            if changed or not fresh.status.is_open:
                return fresh
            if asked_ms > too_late_ms:
                desk.settle(order, fresh)
                raise NotSent(
                    f"{order.client_order_id} was not amended: {error.message}", code=error.code
                ) from error
        if desk.clock.monotonic() >= end_s:
            raise unproven from error
        await desk.clock.sleep(_ASK_PAUSE_S)


def _copy(order: AlgoOrder, price: Decimal | None, quantity: Decimal | None) -> ConditionalRequest:
    copy = request_of(order)
    assert isinstance(copy, ConditionalRequest), "what a conditional order is asked for by"
    copy = replace(copy, client_order_id="", quantity=quantity or order.quantity)
    if price is None:
        return copy
    if order.type is OrderType.TRAILING_STOP_MARKET:
        return replace(copy, activate_price=price)
    return replace(copy, trigger_price=price)


def _without(view: RiskView, order: Order) -> RiskView:
    """Return the view without the order's present share: it is what is being changed."""
    if only_reduces(order):
        return view
    rest = (row for row in view.resting if row.client_order_id != order.client_order_id)
    return replace(view, resting=tuple(rest))

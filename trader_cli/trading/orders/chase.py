"""Work an order maker-first: post-only at the touch, followed as it moves, then a bounded taker.

Knows how to follow a price without paying for it and when to stop trying; must not know stops,
positions or who decided. Every order goes through the desk: fitted, approved, journaled, sent once.
One order follows the touch by being amended, so its executed part stays with it; only where the
exchange no longer amends it is it cancelled and posted anew.

Source: binance-usdm reference §6.2 (GTX and IOC ends), §6.3 (amending), §5.4 (-5022, -5026).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from trader_cli.domain.account import BookTop
from trader_cli.domain.client_id import Leg
from trader_cli.domain.instrument import (
    Instrument,
    check_notional,
    check_quantity,
    round_quantity_down,
)
from trader_cli.domain.numbers import BPS, ONE, ZERO, to_text
from trader_cli.domain.order import LimitRequest, Order
from trader_cli.domain.rules import Fallback
from trader_cli.domain.terms import PositionSide, Side, TimeInForce
from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RefusedByRisk,
    Rejected,
    TraderError,
    VenueError,
)
from trader_cli.trading.orders.amending import amend_limit
from trader_cli.trading.orders.lookup import NO_SUCH_ORDER, UNKNOWN_ORDER
from trader_cli.trading.orders.order_desk import OrderDesk, always
from trader_cli.trading.orders.recording import BEING_AMENDED
from trader_cli.trading.ports import Wanted

WOULD_TAKE: Final = -5022
_ENDED: Final = frozenset({NO_SUCH_ORDER, UNKNOWN_ORDER})
_AMENDS_NO_MORE: Final = frozenset({-5024, -5025, -5026})
_AMEND_LATER: Final = frozenset({WOULD_TAKE, -5043})
_ATTEMPTS_MAX: Final = 40
_POLL_S: Final = 0.3
_AFTER_REFUSAL_S: Final = 0.05
_CLEAN_UP_S: Final = 3.0

FirstFill = Callable[[Order], None]
"""Called once, at the first execution, while the rest is still being worked."""


@unique
class WorkEnd(StrEnum):
    """What ended the working of an order."""

    FILLED = "filled"
    DEADLINE = "deadline"  # and no fallback was wanted, or it left a remainder
    CHASED_TOO_FAR = "chased_too_far"
    WITHDRAWN = "withdrawn"  # no longer wanted, or cancelled by the caller
    TOO_SMALL = "too_small"  # the remainder is under the exchange's minimum
    ATTEMPTS = "attempts"
    FAILED = "failed"  # see `error`


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryResult:
    """What working an order came to; no order of it rests any more, unless `error` says unknown.

    Attributes:
        average_price: over everything executed, None if nothing was or it could not be read.
        maker_quantity: how much of `filled_quantity` was executed while resting.
        orders: every order sent, in order, as last seen.
        arrival_price: middle of the book when the work began, None where nobody looked.
        first_touch: where the first post-only order would have rested then.
        amendments: how often an order was moved.
        error: what ended it early although something had been filled before.
        notes: sentences for the operator.
    """

    filled_quantity: Decimal
    average_price: Decimal | None
    maker_quantity: Decimal
    orders: tuple[Order, ...]
    reason: WorkEnd
    arrival_price: Decimal | None = None
    first_touch: Decimal | None = None
    amendments: int = 0
    error: TraderError | None = None
    notes: tuple[str, ...] = ()

    @property
    def maker_share(self) -> Decimal | None:
        """Executed while resting, as a fraction of everything executed; None if nothing was."""
        return self.maker_quantity / self.filled_quantity if self.filled_quantity > 0 else None

    def slippage_bps(self, side: Side) -> Decimal | None:
        """Return by how many basis points it was worse than the middle on arrival."""
        return _worse_by_bps(side, self.average_price, self.arrival_price)

    def chase_cost_bps(self, side: Side) -> Decimal | None:
        """Return by how many basis points it was worse than the first touch."""
        return _worse_by_bps(side, self.average_price, self.first_touch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An order to be worked.

    Attributes:
        deadline_s: seconds of post-only trying.
        max_chase_bps: how far the touch may run from where it was at the start.
        fallback: what to do with the remainder then.
        slippage_bps: worst price of the fallback, from the opposite side of the book.
        cancelled, still_wanted: either one drops what is not sent and cancels what rests.
    """

    symbol: str
    side: Side
    quantity: Decimal
    source: str
    leg: Leg
    deadline_s: float
    max_chase_bps: Decimal
    fallback: Fallback
    slippage_bps: Decimal
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    stop_price: Decimal | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    still_wanted: Wanted = always
    on_first_fill: FirstFill | None = None

    @property
    def is_wanted(self) -> bool:
        return not self.cancelled.is_set() and self.still_wanted()


async def work(desk: OrderDesk, task: Work) -> EntryResult:
    """Work the order to its end and return what was executed.

    Raises:
        TraderError: it failed before anything was executed; see `OrderDesk.place`.
    """
    instrument = await desk.instrument(task.symbol)
    chase = _Chase(desk, task, instrument)
    try:
        reason = await chase.run()
    except TraderError as error:
        if chase.filled == 0:
            raise
        chase.error = error
        reason = WorkEnd.FAILED
    return await chase.result(reason)


class _Chase:
    """The state of one worked order."""

    def __init__(self, desk: OrderDesk, task: Work, instrument: Instrument) -> None:
        self._desk = desk
        self._task = task
        self._instrument = instrument
        self._end = desk.clock.monotonic() + task.deadline_s
        self._orders: dict[str, Order] = {}
        self._first_touch: Decimal | None = None
        self._arrival: Decimal | None = None
        self._amended: set[str] = set()
        self._amendments = 0
        self._may_amend = True
        self._notes: list[str] = []
        self._told = False
        self.error: TraderError | None = None

    @property
    def filled(self) -> Decimal:
        return sum((row.filled_quantity for row in self._orders.values()), ZERO)

    @property
    def _remaining(self) -> Decimal:
        return self._task.quantity - self.filled

    async def run(self) -> WorkEnd:
        for _ in range(_ATTEMPTS_MAX):
            top = await self._desk.book(self._task.symbol)
            ended = self._ended(top)
            if ended in (WorkEnd.DEADLINE, WorkEnd.CHASED_TOO_FAR):
                return await self._fall_back(ended)
            if ended is not None:
                return ended
            order = await self._post(top)
            if order is not None:
                await self._watch(order)
        return await self._fall_back(WorkEnd.ATTEMPTS)

    async def result(self, reason: WorkEnd) -> EntryResult:
        filled = self.filled
        maker = sum(
            (
                row.filled_quantity
                for row in self._orders.values()
                if row.time_in_force is TimeInForce.GTX
            ),
            ZERO,
        )
        if 0 < filled < self._task.quantity:
            self._notes.append(
                f"{to_text(self._task.quantity - filled)} of {to_text(self._task.quantity)} "
                f"{self._task.symbol} was not executed: {reason}"
            )
        return EntryResult(
            filled_quantity=filled,
            average_price=await self._average_price(),
            maker_quantity=maker,
            orders=tuple(self._orders.values()),
            reason=reason,
            arrival_price=self._arrival,
            first_touch=self._first_touch,
            amendments=self._amendments,
            error=self.error,
            notes=tuple(self._notes),
        )

    def _ended(self, top: BookTop) -> WorkEnd | None:
        """Return why no further post-only order is sent, None while one is."""
        task = self._task
        if self._remaining <= 0:
            return WorkEnd.FILLED
        if not task.is_wanted:
            return WorkEnd.WITHDRAWN
        touch = top.touch(task.side)
        # A first order that is too small is sent to the filters, which say what is wrong with it.
        if self.filled > 0 and self._is_too_small(touch):
            return WorkEnd.TOO_SMALL
        if self._first_touch is None:
            self._first_touch = touch
            self._arrival = (top.bid + top.ask) / 2
        if self._has_run_away(touch):
            return WorkEnd.CHASED_TOO_FAR
        if self._desk.clock.monotonic() >= self._end:
            return WorkEnd.DEADLINE
        return None

    def _has_run_away(self, touch: Decimal) -> bool:
        worse = _worse_by_bps(self._task.side, touch, self._first_touch)
        return worse is not None and worse > self._task.max_chase_bps

    def _is_too_small(self, price: Decimal) -> bool:
        quantity = round_quantity_down(self._instrument, self._remaining)
        if check_quantity(self._instrument, quantity) is not None:
            return True
        if self._is_exit:
            return False
        return check_notional(self._instrument, price, quantity) is not None

    @property
    def _is_exit(self) -> bool:
        return self._task.leg is Leg.EXIT

    async def _post(self, top: BookTop) -> Order | None:
        """Post the remainder at the touch; None if it would have taken."""
        try:
            return await self._place(top.touch(self._task.side), TimeInForce.GTX)
        except Rejected as error:
            if error.code != WOULD_TAKE:
                raise
        await self._desk.clock.sleep(_AFTER_REFUSAL_S)
        return None

    async def _place(self, price: Decimal, time_in_force: TimeInForce) -> Order:
        task = self._task
        placed = await self._desk.place(
            LimitRequest(
                symbol=task.symbol,
                side=task.side,
                quantity=self._remaining,
                price=price,
                client_order_id="",
                time_in_force=time_in_force,
                reduce_only=task.reduce_only,
                position_side=task.position_side,
            ),
            source=task.source,
            leg=task.leg,
            stop_price=task.stop_price,
            still_wanted=lambda: task.is_wanted,
        )
        self._notes.extend(note for note in placed.notes if note not in self._notes)
        assert isinstance(placed.order, Order), "a limit order is a regular order"
        self._take(placed.order)
        return placed.order

    async def _watch(self, order: Order) -> None:
        """Follow a resting order until it has ended; it is gone on return."""
        try:
            while order.status.is_open:
                order = await self._news(order)
                if order.status.is_open:
                    order = await self._next(order)
        except asyncio.CancelledError:
            # The task is being torn down: an entry that nobody watches must not stay behind.
            await self._give_up(order)
            raise
        except TraderError:
            # What forbids moving it (a halt, a limit) forbids leaving it there, too.
            if order.status.is_open:
                self._take(await self._desk.cancel_order(order))
            raise
        finally:
            self._desk.forget_news(order.client_order_id)

    async def _news(self, order: Order) -> Order:
        """Wait for an event of the order or the next poll, and return its newest state."""
        known = self._desk.latest(order.client_order_id)
        await self._desk.wait_for_news(order.client_order_id, _POLL_S, self._task.cancelled)
        latest = self._desk.latest(order.client_order_id)
        if latest is known:
            # Unread, what was told before counts; it is read again at the next poll.
            with contextlib.suppress(VenueError):
                await self._desk.refresh(order)
        return self._newest(order)

    def _newest(self, order: Order) -> Order:
        """Return the order's newest state that anybody has told."""
        latest = self._desk.latest(order.client_order_id)
        if isinstance(latest, Order):
            self._take(latest)
        return self._orders[order.client_order_id]

    async def _next(self, order: Order) -> Order:
        """Leave the order, move it to the touch, or take it back; return its newest state."""
        if not self._task.is_wanted or self._desk.clock.monotonic() >= self._end:
            return await self._take_back(order)
        try:
            top = await self._desk.book(self._task.symbol)
        except VenueError:
            return order
        order = self._newest(order)
        touch = top.touch(order.side)
        if not order.status.is_open:
            return order
        if (touch - order.price) * order.side.sign <= self._instrument.tick_size:
            return order
        if not self._may_amend or order.time_in_force is not TimeInForce.GTX:
            return await self._take_back(order)
        if self._desk.change_is_in_doubt(order):
            return await self._take_back(order)  # an end that can be proven ends the doubt
        if self._has_run_away(touch):
            return await self._take_back(order)
        if not self._is_exit and not self._desk.may_send_entries:
            self._note("the order count is nearly used up: the touch was not followed")
            return order
        return await self._follow(order, touch)

    async def _take_back(self, order: Order) -> Order:
        gone = await self._desk.cancel_order(order)
        self._take(gone)
        return gone

    async def _follow(self, order: Order, touch: Decimal) -> Order:
        """Amend the order to the touch; where that cannot be known it is looked at again."""
        task = self._task
        self._amended.add(order.client_order_id)
        try:
            amended = await amend_limit(
                self._desk,
                order,
                price=touch,
                stop_price=task.stop_price,
                still_wanted=lambda: task.is_wanted,
                within_s=0.0,
            )
        except Rejected as error:
            return await self._after_refusal(order, error)
        except OutcomeUnknown:
            # If it arrives late it moves the order to where the touch was: the next look tells,
            # or takes the order back.
            return order
        except RefusedByRisk as error:
            if task.is_wanted and error.code != BEING_AMENDED:
                raise
            return order  # the next look follows again, or takes back what is wanted no more
        except (NotSent, RateLimited) as error:
            self._note(f"the touch was not followed: {error.message}")
            return order
        self._amendments += 1
        assert isinstance(amended.order, Order), "a limit order stays one"
        self._take(amended.order)
        return amended.order

    async def _after_refusal(self, order: Order, error: Rejected) -> Order:
        if error.code in _AMENDS_NO_MORE:
            self._may_amend = False
            return await self._take_back(order)
        if error.code not in _ENDED | _AMEND_LATER:
            raise error
        await self._desk.clock.sleep(_AFTER_REFUSAL_S)
        try:
            fresh = await self._desk.refresh(order)
        except VenueError:
            return order
        self._take(fresh)
        return fresh

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    async def _give_up(self, order: Order) -> None:
        cancel = asyncio.ensure_future(self._desk.cancel_order(order))
        _, pending = await asyncio.wait({cancel}, timeout=_CLEAN_UP_S)
        for task in pending:
            task.cancel()
        if not pending and cancel.exception() is None:
            self._take(cancel.result())

    async def _fall_back(self, reason: WorkEnd) -> WorkEnd:
        """Take the remainder at once within the bound, if that is wanted and can be sent."""
        task = self._task
        if task.fallback is not Fallback.TAKER or self._remaining <= 0:
            return WorkEnd.FILLED if self._remaining <= 0 else reason
        if reason is WorkEnd.CHASED_TOO_FAR:
            return reason  # the price ran away: paying more than the chase allows is no answer
        if not task.is_wanted:
            return WorkEnd.WITHDRAWN
        top = await self._desk.book(task.symbol)
        if self.filled > 0 and self._is_too_small(top.touch(task.side)):
            return WorkEnd.TOO_SMALL
        bound = top.far(task.side) * (ONE + task.side.sign * task.slippage_bps / BPS)
        order = await self._place(bound, TimeInForce.IOC)
        if order.status.is_open:
            await self._watch(order)
        return WorkEnd.FILLED if self._remaining <= 0 else reason

    def _take(self, order: Order) -> None:
        """Keep the newest state of one of our orders; executed quantities never shrink."""
        known = self._orders.get(order.client_order_id)
        if known is not None and known.filled_quantity > order.filled_quantity:
            return
        if known is not None and not known.status.is_open and order.status.is_open:
            return
        self._orders[order.client_order_id] = order
        if order.filled_quantity > 0 and not self._told and self._task.on_first_fill is not None:
            self._told = True
            self._task.on_first_fill(order)

    async def _average_price(self) -> Decimal | None:
        cost = ZERO
        for order in [row for row in self._orders.values() if row.filled_quantity > 0]:
            price = order.average_price
            moved = order.client_order_id in self._amended
            if price is None and order.time_in_force is TimeInForce.GTX and not moved:
                price = order.price  # a maker is executed at its own price
            if price is None:
                price = await self._read_average(order)
            if price is None:
                return None
            cost += order.filled_quantity * price
        return cost / self.filled if self.filled > 0 else None

    async def _read_average(self, order: Order) -> Decimal | None:
        try:
            fresh = await self._desk.refresh(order)
        except VenueError:
            return None
        return fresh.average_price


def _worse_by_bps(side: Side, price: Decimal | None, than: Decimal | None) -> Decimal | None:
    """Return how much worse for `side` a price is than another, in basis points."""
    if price is None or than is None:
        return None
    return (price - than) * side.sign / than * BPS

"""Carry one entry through: judge its stop, work it under guard, settle what came of it.

Knows that a fill and its stop belong together; which leverage and margin hold is settled before
(`position_manager`), and how an order is worked is `chase`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import LeverageBracket
from trader_cli.domain.client_id import Leg, client_order_id, is_same_leg
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import MarketRequest, Order
from trader_cli.domain.protection import check_stop, isolated_margin, liquidation_price
from trader_cli.domain.terms import Direction, MarginType, PositionSide
from trader_cli.errors import (
    Halted,
    NotSent,
    PermissionDenied,
    RateLimited,
    RefusedByRisk,
    Rejected,
    TraderError,
    UsageError,
    VenueError,
)
from trader_cli.trading.orders.chase import EntryResult, FirstFill, WorkEnd
from trader_cli.trading.orders.order_desk import always
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.ports import Wanted
from trader_cli.trading.positions.guard import Guard
from trader_cli.trading.positions.position_terms import Closed, EntryStyle, Opened
from trader_cli.trading.positions.position_view import remember_position, remember_protected

_PROVEN_UNSENT: Final = (
    *(UsageError, Halted, RefusedByRisk, Rejected, PermissionDenied, NotSent, RateLimited),
)
"""Errors of an entry after which nothing of it can have been executed."""

_CLOSE_TRIES: Final = 10
_CLOSE_PAUSE_S: Final = 0.2
_CLOSE_PAUSE_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTerms:
    """What holds for one entry.

    Attributes:
        leverage: in effect.
        held_before: size of the position before the entry, 0 if flat.
    """

    symbol: str
    direction: Direction
    position_side: PositionSide
    leverage: int
    instrument: Instrument
    source: str
    held_before: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOrder:
    """What is to be entered, and how; exactly one of `quantity` and `notional` is given."""

    spec: ProtectionSpec | None
    quantity: Decimal | None
    notional: Decimal | None
    style: EntryStyle = EntryStyle.SMART
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    still_wanted: Wanted = always
    on_first_fill: FirstFill | None = None


class Opening:
    """One entry; `close` closes the position at market if it cannot be protected."""

    def __init__(
        self,
        orders: OrderManager,
        terms: EntryTerms,
        wish: EntryOrder,
        *,
        close: Callable[[], Awaitable[Closed]],
    ) -> None:
        self._orders = orders
        self._client = orders.client
        self._journal = orders.journal
        self._terms = terms
        self._wish = wish
        self._close = close

    async def run(self) -> Opened:
        """Enter, protect from the first fill on, and settle.

        Raises:
            TraderError: it failed and nothing was executed.
        """
        terms, wish = self._terms, self._wish
        top, mark = await asyncio.gather(
            self._orders.book(terms.symbol), self._client.get_mark_price(terms.symbol)
        )
        expected = top.far(terms.direction.entry_side)
        size = _size(wish.quantity, wish.notional, max(expected, mark.mark_price))
        stop = None
        if wish.spec is not None:
            plan = wish.spec.plan(terms.instrument, terms.direction, expected, terms.leverage)
            stop = plan.stop_price
            await self._refuse_bad_stop(stop, size, expected, mark.mark_price)
        guard = Guard(
            self._orders,
            symbol=terms.symbol,
            direction=terms.direction,
            position_side=terms.position_side,
            spec=wish.spec,
            leverage=terms.leverage,
            instrument=terms.instrument,
            source=terms.source,
            is_fresh=terms.held_before == 0,
            expected_price=expected,
        )
        entry: EntryResult | None = None
        failure: TraderError | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(guard.run(wish.cancelled))
            try:
                entry = await self._work(size, stop, guard)
            except TraderError as error:
                failure = error
                if not isinstance(error, _PROVEN_UNSENT):
                    guard.first_fill.set()  # perhaps something filled: look, and protect it
            finally:
                guard.entry_over.set()
        return await self._settle(guard, entry, failure)

    async def _work(self, size: Decimal, stop: Decimal | None, guard: Guard) -> EntryResult:
        terms, wish = self._terms, self._wish

        def filled(order: Order) -> None:
            if guard.first_fill.is_set():
                return
            guard.filled(order)
            if wish.on_first_fill is not None:
                wish.on_first_fill(order)

        first_id = client_order_id(terms.source, Leg.ENTRY, 0)

        def hear(order: Order) -> None:
            if order.filled_quantity > 0 and is_same_leg(order.client_order_id, first_id):
                filled(order)

        # The entry may be waiting for an answer when the stream tells its first fill.
        with self._orders.heard_by(hear):
            if wish.style is EntryStyle.MARKET:
                return await self._work_at_market(size, stop, filled)
            return await self._orders.smart_entry(
                terms.symbol,
                terms.direction.entry_side,
                size,
                source=terms.source,
                position_side=terms.position_side,
                stop_price=stop,
                cancelled=wish.cancelled,
                still_wanted=wish.still_wanted,
                on_first_fill=filled,
            )

    async def _work_at_market(
        self, size: Decimal, stop: Decimal | None, on_first_fill: FirstFill
    ) -> EntryResult:
        terms = self._terms
        request = MarketRequest(
            symbol=terms.symbol,
            side=terms.direction.entry_side,
            quantity=size,
            client_order_id="",
            position_side=terms.position_side,
        )
        placed = await self._orders.place(
            request,
            source=terms.source,
            leg=Leg.ENTRY,
            stop_price=stop,
            still_wanted=self._wish.still_wanted,
        )
        order = placed.order
        assert isinstance(order, Order), "a market order is a regular order"
        on_first_fill(order)
        # Unread, the average price stays unknown; what was executed is known all the same.
        with contextlib.suppress(VenueError):
            order = await self._orders.refresh(order)
        whole = order.remaining_quantity <= 0
        return EntryResult(
            filled_quantity=order.filled_quantity,
            average_price=order.average_price,
            maker_quantity=ZERO,
            orders=(order,),
            reason=WorkEnd.FILLED if whole else WorkEnd.DEADLINE,
            notes=placed.notes,
        )

    async def _settle(
        self, guard: Guard, entry: EntryResult | None, failure: TraderError | None
    ) -> Opened:
        """Return what came of it; a position that could not be protected is closed at once."""
        terms = self._terms
        position = None if guard.must_close else await guard.settle()
        closed = await self._close_surely() if guard.must_close else None
        if closed is not None:
            position = None
        held = ZERO if position is None else abs(position.quantity)
        executed = held - terms.held_before
        if failure is not None and closed is None and executed <= 0:
            raise failure
        remember_position(
            self._journal, terms.symbol, terms.position_side, position, source=terms.source
        )
        if position is not None and guard.unprotected_ms is not None:
            remember_protected(self._journal, position, guard.unprotected_ms, source=terms.source)
        if entry is None:
            entry = _entry_in_doubt(failure, executed)
        return Opened(
            entry=entry,
            position=position,
            protection=guard.protection,
            closed=closed,
            unprotected_ms=guard.unprotected_ms,
            leverage=terms.leverage,
            notes=(*entry.notes, *guard.notes),
        )

    async def _close_surely(self) -> Closed:
        """Close what could not be protected; what stands in the way is waited for.

        Raises:
            VenueError: the tries are used up, or the address is banned.
        """
        clock = self._orders.clock
        for attempt in range(1, _CLOSE_TRIES + 1):
            try:
                return await self._close()
            except VenueError as error:
                banned = isinstance(error, RateLimited) and error.banned
                if banned or attempt == _CLOSE_TRIES:
                    raise
                pause_s = _CLOSE_PAUSE_S * attempt
                if isinstance(error, RateLimited):
                    pause_s = max(pause_s, (error.retry_at_ms - clock.now_ms()) / 1000)
            await clock.sleep(min(pause_s, _CLOSE_PAUSE_S_MAX))
        raise AssertionError("the last try returns or raises")

    async def _refuse_bad_stop(
        self, stop: Decimal | None, size: Decimal, entry: Decimal, mark: Decimal
    ) -> None:
        """Refuse an entry whose stop would not protect it."""
        if stop is None:
            return
        terms = self._terms
        brackets, configs, (_, taker_fee) = await asyncio.gather(
            self._client.get_leverage_brackets(terms.symbol),
            self._client.get_symbol_config(terms.symbol),
            self._client.get_commission_rate(terms.symbol),
        )
        isolated = any(
            row.symbol == terms.symbol and row.margin_type is MarginType.ISOLATED for row in configs
        )
        problem = check_stop(
            terms.instrument,
            terms.direction,
            stop,
            mark=mark,
            # A cross position is liquidated with the whole account, at no price known here.
            liquidation=_liquidation(terms, size, entry, brackets) if isolated else None,
            entry=entry,
            taker_fee=taker_fee,
        )
        if problem is not None:
            raise RefusedByRisk(problem.message, code=problem.rule)


def _size(quantity: Decimal | None, notional: Decimal | None, price: Decimal) -> Decimal:
    if (quantity is None) == (notional is None):
        raise UsageError("give either a quantity or a notional", code="size")
    if quantity is not None:
        return quantity
    assert notional is not None, "one of the two is given"
    return notional / price


def _liquidation(
    terms: EntryTerms, size: Decimal, entry: Decimal, brackets: Sequence[LeverageBracket]
) -> Decimal | None:
    margin = isolated_margin(size, entry, terms.leverage)
    return liquidation_price(terms.direction, size, entry, margin, brackets)


def _entry_in_doubt(failure: TraderError | None, executed: Decimal) -> EntryResult:
    """Stand in for an entry that failed in doubt while the exchange shows what it did."""
    return EntryResult(
        filled_quantity=max(ZERO, executed),
        average_price=None,
        maker_quantity=ZERO,
        orders=(),
        reason=WorkEnd.FAILED,
        error=failure,
        notes=("what was executed is taken from the position",),
    )

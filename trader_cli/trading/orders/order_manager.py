"""OrderManager: everything that can be done with orders, for a person and for the engine alike.

Knows the use cases and how they fit together; how one order is sent is `order_desk`'s, how one is
chased `chase`'s, how stops are swapped `brackets`'. Must not know bridge files or terminals.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg, is_own
from trader_cli.domain.instrument import round_quantity_down, split_quantity
from trader_cli.domain.order import AlgoOrder, MarketRequest, Order, only_reduces
from trader_cli.domain.rules import Fallback
from trader_cli.domain.terms import AlgoStatus, Direction, PositionSide, Side
from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    PartialFailure,
    PermissionDenied,
    RateLimited,
    Rejected,
    TraderError,
    UsageError,
    VenueError,
)
from trader_cli.trading.orders import brackets
from trader_cli.trading.orders.amending import Amended, amend_conditional, amend_limit
from trader_cli.trading.orders.brackets import (
    ExitOutcome,
    Protection,
    rest_exit,
)
from trader_cli.trading.orders.chase import EntryResult, FirstFill, Work, work
from trader_cli.trading.orders.exit_orders import ExitSpot
from trader_cli.trading.orders.flatness import held_everywhere, held_positions
from trader_cli.trading.orders.lookup import NO_SUCH_ORDER
from trader_cli.trading.orders.order_desk import OrderDesk, always
from trader_cli.trading.orders.order_tracker import RESOLVE_S, StillRests
from trader_cli.trading.orders.protection_spec import ProtectionPlan
from trader_cli.trading.ports import Wanted
from trader_cli.urgency import insisting

_LOOK_BACK_MS: Final = 3 * 86_400_000
_SYMBOLS_ASKED_MAX: Final = 20
_CLOSE_ROUNDS_MAX: Final = 8
_CLOSE_PAUSE_S: Final = 0.1
_REDUCE_ONLY_REFUSED: Final = frozenset({-2022, -4118})


class ExitsMayRest(PartialFailure):
    """An entry is gone, as `order` tells; the exits that waited for it may still rest."""

    def __init__(self, order: Order, problem: VenueError) -> None:
        super().__init__(
            f"{order.client_order_id} is {order.status}; exits that waited for it may still rest: "
            f"{problem.message}",
            code="exits_may_rest",
            advice="run `trader order resolve`: it removes what is left over",
        )
        self.order = order


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailure:
    """An order that may still rest, and why."""

    order: Order | AlgoOrder
    error: TraderError


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledAll:
    """What a sweep did; `kept` are orders it left on purpose (stops, foreign ones)."""

    cancelled: tuple[Order | AlgoOrder, ...]
    kept: tuple[Order | AlgoOrder, ...]
    failed: tuple[CancelFailure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketExit:
    """What an exit at market did; `left` is the signed quantity still held afterwards."""

    orders: tuple[Order, ...]
    left: Decimal
    notes: tuple[str, ...] = ()


class OrderManager(OrderDesk):
    """Place, chase, protect, find and cancel orders. Arguments: see `OrderDesk`."""

    # --- entries and exits -------------------------------------------------------------------

    async def smart_entry(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        source: str,
        deadline_s: float | None = None,
        max_chase_bps: Decimal | None = None,
        fallback: Fallback | None = None,
        position_side: PositionSide = PositionSide.BOTH,
        stop_price: Decimal | None = None,
        cancelled: asyncio.Event | None = None,
        still_wanted: Wanted = always,
        on_first_fill: FirstFill | None = None,
    ) -> EntryResult:
        """Enter maker-first; what the policy says holds where an argument is None.

        Raises:
            TraderError: it failed before anything was executed; see `OrderDesk.place`. After a
                first execution the error is in the result.
        """
        policy = self.policy
        task = Work(
            symbol=symbol,
            side=side,
            quantity=quantity,
            source=source,
            leg=Leg.ENTRY,
            deadline_s=policy.deadline_s if deadline_s is None else deadline_s,
            max_chase_bps=policy.max_chase_bps if max_chase_bps is None else max_chase_bps,
            fallback=policy.fallback if fallback is None else fallback,
            slippage_bps=policy.taker_slippage_bps,
            position_side=position_side,
            stop_price=stop_price,
            cancelled=cancelled or asyncio.Event(),
            still_wanted=still_wanted,
            on_first_fill=on_first_fill,
        )
        return await work(self, task)

    async def smart_exit(
        self,
        position: Position,
        *,
        source: str,
        quantity: Decimal | None = None,
        deadline_s: float | None = None,
        max_chase_bps: Decimal | None = None,
        fallback: Fallback | None = None,
        cancelled: asyncio.Event | None = None,
    ) -> EntryResult:
        """Leave a position maker-first and reduce-only; `quantity` None is all of it.

        An exit that is urgent goes by `exit_at_market` instead.

        Raises:
            TraderError: as `smart_entry`.
        """
        policy = self.policy
        task = Work(
            symbol=position.symbol,
            side=position.direction.exit_side,
            quantity=abs(position.quantity) if quantity is None else quantity,
            source=source,
            leg=Leg.EXIT,
            deadline_s=policy.deadline_s if deadline_s is None else deadline_s,
            max_chase_bps=policy.max_chase_bps if max_chase_bps is None else max_chase_bps,
            fallback=policy.fallback if fallback is None else fallback,
            slippage_bps=policy.taker_slippage_bps,
            reduce_only=position.position_side is PositionSide.BOTH,
            position_side=position.position_side,
            cancelled=cancelled or asyncio.Event(),
        )
        return await work(self, task)

    async def exit_at_market(
        self, position: Position, *, source: str, quantity: Decimal | None = None
    ) -> MarketExit:
        """Close the position, or `quantity` of it, reduce-only at market, in permitted parts.

        A full close is repeated under new ids until the exchange shows the position flat: it can
        only reduce, so a doubtful part that still arrives does no harm. A partial close is not.

        Raises:
            VenueError: the position is not flat and the bound is reached.
        """
        with insisting():
            if quantity is not None and quantity < abs(position.quantity):
                return await self._reduce_once(position, quantity, source)
            return await self._close_whole(position, source)

    async def _close_whole(self, position: Position, source: str) -> MarketExit:
        orders: list[Order] = []
        notes: list[str] = []
        current: Position | None = position
        problem: VenueError | None = None
        for round_number in range(_CLOSE_ROUNDS_MAX):
            if round_number > 0:
                await self.clock.sleep(_CLOSE_PAUSE_S * 2.0 ** (round_number - 1))
            try:
                if round_number > 0:
                    current = await self._read_again(position, orders)
                if current is None:
                    return MarketExit(orders=tuple(orders), left=Decimal(0), notes=tuple(notes))
                orders += await self._send_parts(
                    current, abs(current.quantity), source, urgent=True, notes=notes
                )
                problem = None
            except (Rejected, PermissionDenied) as error:
                if error.code not in _REDUCE_ONLY_REFUSED:
                    raise
                problem = error
            except VenueError as error:
                problem = error
                if isinstance(error, RateLimited) and error.banned:
                    raise
        left = await self._read_again(position, orders)
        if left is not None:
            raise problem or OutcomeUnknown(f"{position.symbol} is still not flat")
        return MarketExit(orders=tuple(orders), left=Decimal(0), notes=tuple(notes))

    async def _reduce_once(self, position: Position, quantity: Decimal, source: str) -> MarketExit:
        notes: list[str] = []
        orders = await self._send_parts(position, quantity, source, urgent=False, notes=notes)
        current = await self._read_again(position, orders)
        left = Decimal(0) if current is None else current.quantity
        return MarketExit(orders=tuple(orders), left=left, notes=tuple(notes))

    async def _send_parts(
        self,
        position: Position,
        quantity: Decimal,
        source: str,
        *,
        urgent: bool,
        notes: list[str],
    ) -> list[Order]:
        instrument = await self.instrument(position.symbol)
        part_max = round_quantity_down(instrument, instrument.market_quantity_max, market=True)
        orders: list[Order] = []
        for part in split_quantity(quantity, part_max or quantity):
            request = MarketRequest(
                symbol=position.symbol,
                side=position.direction.exit_side,
                quantity=part,
                client_order_id="",
                reduce_only=position.position_side is PositionSide.BOTH,
                position_side=position.position_side,
            )
            placed = await self.place(request, source=source, leg=Leg.EXIT, urgent=urgent)
            notes.extend(placed.notes)
            assert isinstance(placed.order, Order), "a market order is a regular order"
            orders.append(placed.order)
        return orders

    async def _read_again(self, position: Position, orders: Sequence[Order]) -> Position | None:
        """Return the position as it is now, None if flat or turned the other way.

        That it is gone needs two witnesses: a second reading, or executions that explain it.
        """
        executed = sum((row.filled_quantity for row in orders), Decimal(0))
        if executed >= abs(position.quantity):
            rows = await self.client.get_position_risk(position.symbol)
        else:
            sides = {position.position_side}
            rows = await held_positions(self.client, self.clock, position.symbol, sides=sides)
        for row in rows:
            if row.position_side is position.position_side and not row.is_flat:
                return row if row.direction is position.direction else None
        return None

    # --- protection --------------------------------------------------------------------------

    async def set_stop_loss(
        self,
        symbol: str,
        direction: Direction,
        price: Decimal,
        *,
        source: str,
        position_side: PositionSide = PositionSide.BOTH,
        resolve_s: float = RESOLVE_S,
    ) -> ExitOutcome:
        """Make one stop for the whole position rest at `price` (mark price), replacing ours.

        Raises:
            TraderError: it is not known to rest; what rested before still does.
        """
        return await self._set_exit(
            symbol, direction, price, Leg.STOP, source, position_side, resolve_s
        )

    async def set_take_profit(
        self,
        symbol: str,
        direction: Direction,
        price: Decimal,
        *,
        source: str,
        position_side: PositionSide = PositionSide.BOTH,
        resolve_s: float = RESOLVE_S,
    ) -> ExitOutcome:
        """Make one target for the whole position rest at `price` (mark price), replacing ours.

        Raises:
            TraderError: it is not known to rest; what rested before still does.
        """
        return await self._set_exit(
            symbol, direction, price, Leg.TAKE_PROFIT, source, position_side, resolve_s
        )

    async def _set_exit(
        self,
        symbol: str,
        direction: Direction,
        price: Decimal,
        leg: Leg,
        source: str,
        position_side: PositionSide,
        resolve_s: float,
    ) -> ExitOutcome:
        spot = ExitSpot(symbol=symbol, direction=direction, position_side=position_side, leg=leg)
        with insisting():
            return await rest_exit(self, spot, price, source=source, within_s=resolve_s)

    async def protect(
        self,
        position: Position,
        plan: ProtectionPlan,
        *,
        source: str,
        resolve_s: float = RESOLVE_S,
    ) -> Protection:
        """Make the plan's stop, target and trailing stop rest; doing it again changes nothing."""
        with insisting():
            return await brackets.protect(self, position, plan, source=source, within_s=resolve_s)

    async def clean_up_exits(
        self, symbol: str, *, position_side: PositionSide | None = None, seen_flat: bool = False
    ) -> tuple[Order | AlgoOrder, ...]:
        """Cancel our own exit orders of positions of `symbol` that are gone.

        `seen_flat` says that the caller has read so itself; else two readings must agree.

        Raises:
            VenueError: something could not be read, or an order may still rest.
        """
        return await brackets.clean_up_exits(
            self, symbol, position_side=position_side, seen_flat=seen_flat
        )

    # --- finding and cancelling --------------------------------------------------------------

    async def open_orders(self, symbol: str | None = None) -> tuple[Order | AlgoOrder, ...]:
        """Return every resting order, regular and conditional, own and foreign."""
        orders, algos = await asyncio.gather(
            self.client.get_open_orders(symbol), self.client.get_open_algo_orders(symbol)
        )
        return (*orders, *algos)

    async def find(self, identifier: str, *, symbol: str | None = None) -> Order | AlgoOrder:
        """Return the order with this order id, algo id or client order id, open or ended.

        An order that has ended is looked for in its symbol: `symbol`, else the journal's, else
        every one in which something was executed in the last days.

        Raises:
            UsageError: the exchange knows no such order.
        """
        intent = self.journal.intent(identifier)
        symbol = intent.symbol if symbol is None and intent is not None else symbol
        for order in await self.open_orders(symbol):
            number = order.order_id if isinstance(order, Order) else order.algo_id
            if identifier in (str(number), order.client_order_id):
                return order
        asked = [symbol] if symbol is not None else await self._traded_symbols()
        for name in asked:
            ended = await self._find_ended(identifier, name)
            if ended is not None:
                return ended
        raise UsageError(
            f"the exchange knows no order {identifier}",
            code="unknown_id",
            advice=None if symbol else "an order that ended long ago is found with --symbol",
        )

    async def _traded_symbols(self) -> list[str]:
        """Return the symbols in which something was executed in the last days, newest first."""
        start_ms = self.client.venue_now_ms() - _LOOK_BACK_MS
        rows = await self.client.get_income(start_ms=start_ms)
        newest_first = sorted(rows, key=lambda row: -row.time_ms)
        symbols = dict.fromkeys(row.symbol for row in newest_first if row.symbol)
        return list(symbols)[:_SYMBOLS_ASKED_MAX]

    async def _find_ended(self, identifier: str, symbol: str) -> Order | AlgoOrder | None:
        client = self.client
        number = int(identifier) if identifier.isascii() and identifier.isdigit() else None
        name = identifier if number is None else None
        # An algo order that fired has two entries under one name: the order it became tells more.
        try:
            return await client.get_order_status(symbol, number, client_order_id=name)
        except Rejected as error:
            if error.code != NO_SUCH_ORDER:
                raise
        try:
            return await client.get_algo_order(symbol, number, client_order_id=name)
        except Rejected as error:
            if error.code != NO_SUCH_ORDER:
                raise
        return None

    async def cancel(self, identifier: str, *, symbol: str | None = None) -> Order | AlgoOrder:
        """Cancel one order by order id, algo id or client order id; return how it ended.

        With an entry of ours go the exits that wait for it, unless there is a position.

        Raises:
            UsageError: no such order.
            Rejected: it had ended before.
            NotSent, RateLimited, PermissionDenied: proven not to have arrived; it rests.
            OutcomeUnknown: it may still rest.
            ExitsMayRest: it is gone, what waited for it could not be looked for.
        """
        order = await self.find(identifier, symbol=symbol)
        if not order.status.is_open:
            raise Rejected(f"order {identifier} is {order.status} already", code=-2011)
        try:
            if isinstance(order, AlgoOrder):
                return await self._cancel_conditional(order)
            gone = await self.cancel_order(order)
        except StillRests as error:
            raise error.proof from error
        if is_own(order.client_order_id) and not only_reduces(order):
            await self._remove_what_waited(gone)
        return gone

    async def _remove_what_waited(self, gone: Order) -> None:
        """Remove the exits of an entry that is gone; a short pause of the exchange is waited for.

        Raises:
            ExitsMayRest: they could not be looked for.
        """
        for retry in itertools.count():
            try:
                with insisting():
                    await self.clean_up_exits(gone.symbol, position_side=gone.position_side)
            except (NotSent, RateLimited) as error:
                pause_s = self.pause_before_retry(error, retry)
                if pause_s is None:
                    raise ExitsMayRest(gone, error) from error
                await self.clock.sleep(pause_s)
            except VenueError as error:
                raise ExitsMayRest(gone, error) from error
            else:
                return

    async def _cancel_conditional(self, order: AlgoOrder) -> AlgoOrder:
        """Cancel it and return how it ended: it may have fired instead."""
        cancelled = await self.cancel_algo(order)
        try:
            ended = await self.client.get_algo_order(order.symbol, order.algo_id)
        except VenueError as error:
            if cancelled:  # only the picture of it is poorer
                return replace(order, status=AlgoStatus.CANCELED)
            self.doubt_cancel(order)
            raise OutcomeUnknown(
                f"{order.client_order_id} rests no more, and whether it fired could not be read: "
                f"{error.message}",
                code=error.code,
                advice=f"look at `trader order show {order.algo_id} --symbol {order.symbol}`",
            ) from error
        self._note_order(ended)
        return ended

    async def amend(
        self,
        identifier: str,
        *,
        source: str,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        symbol: str | None = None,
    ) -> Amended:
        """Change price or whole quantity of a resting order; what is not given stays as it is.

        A limit order is amended in place, a conditional one replaced, the new one before the old;
        the new one belongs to the same decision or command as the old.

        Raises:
            UsageError: no such order, or it cannot have that.
            TraderError: see `amending`; what rested before still does.
        """
        order = await self.find(identifier, symbol=symbol)
        if not order.status.is_open:
            raise Rejected(f"order {identifier} is {order.status} already", code=-2011)
        if isinstance(order, Order):
            return await amend_limit(self, order, price=price, quantity=quantity)
        intent = self.journal.intent(order.client_order_id)
        return await amend_conditional(
            self,
            order,
            source=source if intent is None else intent.source,
            price=price,
            quantity=quantity,
        )

    async def cancel_all_orders(
        self, symbol: str | None = None, *, own_only: bool = True, include_stops: bool = False
    ) -> CancelledAll:
        """Cancel, by id, everything that can raise exposure, and exits without a position.

        Exits of open positions stay unless `include_stops`; foreign orders unless not `own_only`.

        Raises:
            VenueError: the orders or positions could not be read; only entries were cancelled.
        """
        resting = await self.open_orders(symbol)
        ours = [row for row in resting if not own_only or is_own(row.client_order_id)]
        entries = [row for row in ours if not only_reduces(row)]
        gone = await asyncio.gather(*(self._cancel_any(order) for order in entries))
        # Read after the entries are gone: what filled until then keeps its exits.
        ours = [row for row in ours if only_reduces(row)]
        keys = () if include_stops else {(row.symbol, row.position_side) for row in ours}
        rows = await held_everywhere(self.client, self.clock, keys=keys) if keys else []
        held = {(row.symbol, row.position_side) for row in rows}
        exits = [row for row in ours if (row.symbol, row.position_side) not in held]
        gone += await asyncio.gather(*(self._cancel_any(order) for order in exits))
        return _swept(resting, [*entries, *exits], gone)

    async def _cancel_any(self, order: Order | AlgoOrder) -> Order | AlgoOrder | CancelFailure:
        try:
            if isinstance(order, Order):
                return await self.cancel_order(order)
            if await self.cancel_algo(order):
                return order
            ended = await self.client.get_algo_order(order.symbol, order.algo_id)
        except VenueError as error:
            return CancelFailure(order=order, error=error)
        if ended.status.is_open:
            fires = Rejected(f"{order.client_order_id} is {ended.status}", code="not_cancelled")
            return CancelFailure(order=ended, error=fires)
        return ended


def _swept(
    resting: Sequence[Order | AlgoOrder],
    wanted: Sequence[Order | AlgoOrder],
    outcomes: Sequence[Order | AlgoOrder | CancelFailure],
) -> CancelledAll:
    return CancelledAll(
        cancelled=tuple(row for row in outcomes if not isinstance(row, CancelFailure)),
        kept=tuple(order for order in resting if order not in wanted),
        failed=tuple(row for row in outcomes if isinstance(row, CancelFailure)),
    )

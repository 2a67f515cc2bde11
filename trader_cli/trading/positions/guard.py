"""The guard of one entry: the first fill gets its stop at once, while the rest is still worked.

Knows one rule: a position that has no stop within the policy's time is to be closed at market, and
the seconds in between are measured. Closing is the caller's, once the entry has ended.

The first fill itself says where the stop belongs, so the stop is the very next request: it covers
the whole position whatever else fills, and moves to the final entry price at the end. What stands
in its way (an older stop, a price unknown) is dealt with by reading first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import Order
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.errors import TraderError, VenueError
from trader_cli.trading.orders.brackets import Protection, Resting, covers, rest_at_once
from trader_cli.trading.orders.flatness import held_position
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionPlan, ProtectionSpec
from trader_cli.urgency import insisting

_LOOK_AGAIN_S: Final = 0.05
_TRY_AGAIN_S: Final = 0.2


class Guard:
    """Watches one entry; `spec` None guards nothing.

    Attributes:
        first_fill: set by the entry at its first execution, or when there may have been one.
        is_fresh: nothing was held before, so no stop of ours can be in the way.
        entry_over: set when no order of the entry can fill any more.
        must_close: the position could not be protected in time, or price is through its stop.
        unprotected_ms: from the first fill until the stop rested, None if it never did.
    """

    def __init__(
        self,
        orders: OrderManager,
        *,
        symbol: str,
        direction: Direction,
        position_side: PositionSide,
        spec: ProtectionSpec | None,
        leverage: int,
        instrument: Instrument,
        source: str,
        is_fresh: bool = False,
        expected_price: Decimal | None = None,
    ) -> None:
        self.is_fresh = is_fresh
        self._fill_price = expected_price
        self.first_fill = asyncio.Event()
        self.entry_over = asyncio.Event()
        self.must_close = False
        self.protection: Protection | None = None
        self.unprotected_ms: int | None = None
        self.notes: list[str] = []
        self._orders = orders
        self._clock = orders.clock
        self._symbol = symbol
        self._direction = direction
        self._position_side = position_side
        self._spec = spec
        self._leverage = leverage
        self._instrument = instrument
        self._source = source
        self._planned: ProtectionPlan | None = None

    def filled(self, order: Order) -> None:
        """Tell of the entry's first execution; its price says where the stop belongs."""
        # A market order's answer names no price; what was expected of it stands in.
        self._fill_price = order.average_price or order.price or self._fill_price
        self.first_fill.set()

    async def run(self, cancelled: asyncio.Event) -> None:
        """Protect from the first fill on; on failure set `must_close` and `cancelled`."""
        await _first_of(self.first_fill, self.entry_over)
        if self._spec is None or not self.first_fill.is_set():
            return
        started_s = self._clock.monotonic()
        with insisting():
            is_safe = await self._within(
                self._orders.policy.protect_within_s, self._rest_exits(self._spec)
            )
        if is_safe and self.protection is not None and self._spec.has_stop:
            self.unprotected_ms = int((self._clock.monotonic() - started_s) * 1000)
        if not is_safe and self._spec.has_stop:
            self.must_close = True
            cancelled.set()

    async def settle(self) -> Position | None:
        """Return the position after the entry ended, its stop moved to the final entry price.

        If the move fails the stop that rests already covers the whole position.
        """
        with insisting(when=self.first_fill.is_set()):
            return await self._settle()

    async def _settle(self) -> Position | None:
        try:
            position = await self._held()
        except VenueError as error:
            self.notes.append(f"{self._symbol} could not be read again: {error.message}")
            self._miss_trailing(error)
            return None
        if position is None or self._spec is None:
            return position
        plan = self._plan(self._spec, position.entry_price)
        if plan == self._planned and self._is_complete(position):
            return position
        again = await self._orders.protect(position, plan, source=self._source)
        self.must_close = again.must_close
        self.notes += [problem.message for problem in again.problems]
        before = self.protection
        self.protection = again if before is None else _with_what_rests(again, before, plan)
        self._planned = plan
        return position

    def _miss_trailing(self, error: VenueError) -> None:
        """Keep in mind that a trailing stop, which comes last, was not even tried."""
        done = self.protection
        if done is not None and done.trailing is None and self._wants_trailing:
            self.protection = replace(done, problems=(*done.problems, error))

    @property
    def _wants_trailing(self) -> bool:
        spec = self._spec
        return spec is not None and spec.has_trailing

    def _is_complete(self, position: Position) -> bool:
        """Return True if all that was planned rests, and the stop covers what has filled since."""
        done = self.protection
        if done is None or done.problems:
            return False
        return not isinstance(done.stop, Resting) or covers(position, done.stop.order)

    async def _rest_exits(self, spec: ProtectionSpec) -> bool:
        """Try until the stop rests (True), nothing is left to protect (True), or it is too late."""
        if await self._rest_at_once(spec):
            return True
        if self.protection is not None and self.protection.must_close:
            return False
        while True:
            is_over = self.entry_over.is_set()
            try:
                position = await (self._held() if is_over else self._read())
            except VenueError as error:
                self.notes.append(error.message)
                await self._clock.sleep(_TRY_AGAIN_S)
                continue
            if position is not None:
                if await self._protect(spec, position):
                    return True
                if self.protection is not None and self.protection.must_close:
                    return False
            elif is_over:
                return True
            # The fill may be known before the position shows it.
            await self._clock.sleep(_LOOK_AGAIN_S if position is None else _TRY_AGAIN_S)

    async def _rest_at_once(self, spec: ProtectionSpec) -> bool:
        """Place stop and target without reading anything first; False leaves it to the reading."""
        if not self.is_fresh or self._fill_price is None:
            return False
        plan = self._plan(spec, self._fill_price)
        protection = await rest_at_once(
            self._orders,
            self._symbol,
            self._direction,
            self._position_side,
            plan,
            source=self._source,
            within_s=self._orders.policy.protect_within_s,
        )
        if protection.must_close or protection.is_stopped:
            self.protection = protection
        if plan.trailing is None:
            self._planned = plan  # else the end of the entry finds the trailing stop missing
        return protection.is_stopped

    async def _protect(self, spec: ProtectionSpec, position: Position) -> bool:
        plan = self._plan(spec, position.entry_price)
        self.protection = await self._orders.protect(
            position,
            plan,
            source=self._source,
            resolve_s=self._orders.policy.protect_within_s,
        )
        self._planned = plan
        if self.protection.is_stopped or not spec.has_stop:
            return True
        return not self.protection.must_close and await self._is_covered(position)

    async def _is_covered(self, position: Position) -> bool:
        """Return True if some stop for the whole position rests, if not at the wanted price."""
        try:
            rows = await self._orders.client.get_open_algo_orders(self._symbol)
        except VenueError:
            return False
        return any(covers(position, row) for row in rows)

    async def _within(self, seconds: float, action: Coroutine[None, None, bool]) -> bool:
        """Return what `action` says, False if it has not ended after `seconds`."""
        running = asyncio.create_task(action)
        limit = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait({running, limit}, return_when=asyncio.FIRST_COMPLETED)
            return running.result() if running.done() else False
        finally:
            running.cancel()
            limit.cancel()
            await asyncio.gather(running, limit, return_exceptions=True)

    def _plan(self, spec: ProtectionSpec, entry: Decimal) -> ProtectionPlan:
        return spec.plan(self._instrument, self._direction, entry, self._leverage)

    async def _held(self) -> Position | None:
        """Return the position once nothing can fill any more; None only if two readings say so."""
        return await held_position(
            self._orders.client, self._clock, self._symbol, self._position_side
        )

    async def _read(self) -> Position | None:
        """Return the position as one answer shows it; the fill may be known before."""
        for row in await self._orders.client.get_position_risk(self._symbol):
            if row.position_side is self._position_side and not row.is_flat:
                return row
        return None


def _with_what_rests(again: Protection, before: Protection, plan: ProtectionPlan) -> Protection:
    """Return what rests after a second try; what could not be moved rests where it was."""
    wanted = (plan.stop_price, plan.take_profit_price, plan.trailing)
    parts = [again.stop, again.take_profit, again.trailing]
    failed = iter(again.problems)
    problems: list[TraderError] = []
    for number, earlier in enumerate((before.stop, before.take_profit, before.trailing)):
        if parts[number] is not None or wanted[number] is None:
            continue
        problem = next(failed)
        if isinstance(earlier, Resting):
            parts[number] = earlier
        else:
            problems.append(problem)
    stop, take_profit, trailing = parts
    return Protection(
        stop=stop, take_profit=take_profit, trailing=trailing, problems=tuple(problems)
    )


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

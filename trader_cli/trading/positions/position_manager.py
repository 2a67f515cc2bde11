"""PositionManager: open, add to, reduce, close and protect positions; compare them with our belief.

Knows that money must never be naked: as soon as anything is filled a stop rests, or the position
is closed. Must not know who decided, bridge files or terminals.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import Direction, IncomeType, MarginType, PositionSide
from trader_cli.errors import UsageError, VenueError
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders import flatness
from trader_cli.trading.orders.brackets import Protection
from trader_cli.trading.orders.chase import FirstFill
from trader_cli.trading.orders.order_desk import always
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.ports import Wanted
from trader_cli.trading.positions import account_settings, adoption
from trader_cli.trading.positions.beliefs import Belief, Key, read_beliefs, remember_position
from trader_cli.trading.positions.drift import Drift, difference, explained, sync
from trader_cli.trading.positions.opening import EntryOrder, EntryTerms, Opening
from trader_cli.trading.positions.pnl import CurrentPnl, PositionPnl, day_pnl, position_pnl
from trader_cli.trading.positions.position_terms import Adopted, Closed, EntryStyle, Opened
from trader_cli.trading.positions.position_view import PositionView, view_position
from trader_cli.trading.risk.equity import day_start_ms
from trader_cli.urgency import insisting


class PositionManager:
    """The use cases of positions, on one `OrderManager`.

    `margin_type` is what a symbol is set to before it is opened; None leaves it.
    """

    def __init__(self, orders: OrderManager, *, margin_type: MarginType | None = None) -> None:
        self.orders = orders
        self._client = orders.client
        self._journal = orders.journal
        self._clock = orders.clock
        self._margin_type = margin_type

    # --- opening -----------------------------------------------------------------------------

    async def open_position(
        self,
        symbol: str,
        direction: Direction,
        *,
        source: str,
        spec: ProtectionSpec | None,
        quantity: Decimal | None = None,
        notional: Decimal | None = None,
        leverage: int | None = None,
        style: EntryStyle = EntryStyle.SMART,
        cancelled: asyncio.Event | None = None,
        still_wanted: Wanted = always,
        on_first_fill: FirstFill | None = None,
    ) -> Opened:
        """Set margin and leverage, enter, and protect as soon as anything is filled.

        Exactly one of `quantity` (base units) and `notional` (USDT before leverage) is given.
        `spec` None leaves the position without a stop: only for a person who said so.
        A cancelled or unwanted entry ends early; what filled stays protected.

        Raises:
            UsageError: sizes, symbol or filters.
            RefusedByRisk, Halted: nothing was sent.
            VenueError: it failed before anything was executed.
        """
        terms = await self._prepare(symbol, direction, source, leverage)
        wish = EntryOrder(
            spec=spec,
            quantity=quantity,
            notional=notional,
            style=style,
            cancelled=cancelled or asyncio.Event(),
            still_wanted=still_wanted,
            on_first_fill=on_first_fill,
        )
        return await self._enter(terms, wish)

    async def add_to_position(
        self,
        symbol: str,
        *,
        source: str,
        spec: ProtectionSpec | None = None,
        quantity: Decimal | None = None,
        notional: Decimal | None = None,
        position_side: PositionSide | None = None,
        style: EntryStyle = EntryStyle.SMART,
        cancelled: asyncio.Event | None = None,
        still_wanted: Wanted = always,
        on_first_fill: FirstFill | None = None,
    ) -> Opened:
        """Enlarge the one position of `symbol`, its leverage unchanged.

        `position_side` says which one in hedge mode; None where there is only one.

        `spec` None keeps the stop that rests: it covers the whole position.

        Raises:
            UsageError: there is no position, or two in hedge mode.
            TraderError: as `open_position`.
        """
        position = await self._the_one(symbol, position_side, "add to")
        terms = EntryTerms(
            symbol=symbol,
            direction=position.direction,
            position_side=position.position_side,
            leverage=await self._leverage_in_effect(symbol),
            instrument=await self.orders.instrument(symbol),
            source=source,
            held_before=abs(position.quantity),
        )
        wish = EntryOrder(
            spec=spec,
            quantity=quantity,
            notional=notional,
            style=style,
            cancelled=cancelled or asyncio.Event(),
            still_wanted=still_wanted,
            on_first_fill=on_first_fill,
        )
        return await self._enter(terms, wish)

    async def _prepare(
        self, symbol: str, direction: Direction, source: str, leverage: int | None
    ) -> EntryTerms:
        """Read what is in force and change only what differs."""
        instrument, summary, configs, held = await asyncio.gather(
            self.orders.instrument(symbol),
            self._client.get_account_summary(),
            self._client.get_symbol_config(symbol),
            self._held(symbol),
        )
        if any(
            row.position_side is PositionSide.BOTH and row.direction is not direction
            for row in held
        ):
            raise UsageError(
                f"{symbol} already has a position the other way",
                code="opposite_position",
                advice=f"close it first: trader position close {symbol}",
            )
        config = next((row for row in configs if row.symbol == symbol), None)
        if config is None:
            raise UsageError(f"the account has no settings for {symbol}", code="unknown_symbol")
        if self._margin_type is not None:
            await account_settings.set_margin_type(self.orders, config, self._margin_type)
        in_effect = config.leverage
        if leverage is not None:
            in_effect = await account_settings.set_leverage(self.orders, config, leverage)
        side = PositionSide(direction) if summary.hedge_mode else PositionSide.BOTH
        return EntryTerms(
            symbol=symbol,
            direction=direction,
            position_side=side,
            leverage=in_effect,
            instrument=instrument,
            source=source,
            held_before=sum((abs(row.quantity) for row in held if row.position_side is side), ZERO),
        )

    async def _enter(self, terms: EntryTerms, wish: EntryOrder) -> Opened:
        async def close() -> Closed:
            return await self.close_position(
                terms.symbol, source=terms.source, position_side=terms.position_side
            )

        return await Opening(self.orders, terms, wish, close=close).run()

    # --- closing -----------------------------------------------------------------------------

    async def close_position(
        self,
        symbol: str,
        *,
        source: str,
        position_side: PositionSide | None = None,
        quantity: Decimal | None = None,
    ) -> Closed:
        """Close a symbol's positions reduce-only at market, then remove our exits of what is gone.

        `position_side` None closes both sides in hedge mode. `quantity` reduces the one position
        by that much and leaves its exits.

        Raises:
            UsageError: `quantity` with no, or more than one, position.
            VenueError: it is not flat and the bound is reached.
        """
        with insisting():
            return await self._close(symbol, source, position_side, quantity)

    async def _close(
        self,
        symbol: str,
        source: str,
        position_side: PositionSide | None,
        quantity: Decimal | None,
    ) -> Closed:
        held = await self._surely_held(symbol, position_side)
        if quantity is not None and len(held) != 1:
            raise UsageError(
                f"{symbol} has {len(held)} positions; one is needed to reduce", code="no_position"
            )
        exits = await asyncio.gather(
            *(self.orders.exit_at_market(row, source=source, quantity=quantity) for row in held)
        )
        for row, exit_ in zip(held, exits, strict=True):
            left = None if exit_.left == 0 else replace(row, quantity=exit_.left)
            # Reducing what somebody else opened does not make it ours.
            remember_position(
                self._journal, symbol, row.position_side, left, source=source, own=False
            )
        flat = all(row.left == 0 for row in exits)
        removed, notes = await self._remove_exits(symbol, position_side) if flat else ((), ())
        return Closed(
            positions=tuple(held),
            orders=tuple(order for row in exits for order in row.orders),
            removed=removed,
            flat=flat,
            notes=(*(note for row in exits for note in row.notes), *notes),
        )

    async def after_exit(self, order: Order, *, source: str) -> tuple[str, ...]:
        """Remember what a reduce-only order left, and remove our exits if that is nothing.

        Never raises: the order is executed; what could not be tidied up is in the notes.
        """
        with insisting():
            return await self._after_exit(order, source)

    async def _after_exit(self, order: Order, source: str) -> tuple[str, ...]:
        symbol, side = order.symbol, order.position_side
        try:
            held = await self._surely_held(symbol, side)
        except VenueError as error:
            return (f"exit orders of {symbol} may still rest: {error.message}",)
        left = held[0] if held else None
        remember_position(self._journal, symbol, side, left, source=source, own=False)
        if left is not None:
            return ()
        removed, notes = await self._remove_exits(symbol, side)
        count = len(removed)
        said = (f"{count} exit order{'s' if count > 1 else ''} of {symbol} removed",)
        return (*(said if count else ()), *notes)

    async def _remove_exits(
        self, symbol: str, position_side: PositionSide | None
    ) -> tuple[tuple[Order | AlgoOrder, ...], tuple[str, ...]]:
        try:
            removed = await self.orders.clean_up_exits(
                symbol, position_side=position_side, seen_flat=True
            )
        except VenueError as error:
            # The position is closed; what was left behind is found again by the next reconcile.
            return (), (f"exit orders of {symbol} may still rest: {error.message}",)
        return removed, ()

    # --- looking after -----------------------------------------------------------------------

    async def protect(
        self,
        symbol: str,
        spec: ProtectionSpec,
        *,
        source: str,
        position_side: PositionSide | None = None,
    ) -> Protection:
        """Set stop, target and trailing stop of the one position of `symbol`.

        `must_close` of the answer means that price is through the stop already. How long the
        position was naked is journaled.

        Raises:
            UsageError: there is no position, or two and `position_side` is not given.
        """
        with insisting():
            position = await self._the_one(symbol, position_side, "protect")
            return await adoption.protect_measured(self.orders, position, spec, source=source)

    async def adopt(
        self,
        symbol: str,
        spec: ProtectionSpec,
        *,
        source: str,
        advisor: str,
        position_side: PositionSide | None = None,
    ) -> Adopted:
        """Make a position that we did not open ours, once its stop rests.

        From then on the engine treats it as opened by `advisor`: that advisor may add to it, flip
        it and close it. Without a resting stop nothing is adopted.

        Raises:
            UsageError: there is no position, two and `position_side` is not given, or no stop.
            JournalUnavailable: it is protected and not ours.
        """
        with insisting():
            position = await self._the_one(symbol, position_side, "adopt")
            return await adoption.adopt(self.orders, position, spec, source=source, advisor=advisor)

    # --- settings ----------------------------------------------------------------------------

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        """Set the symbol's leverage if it differs and return the one in effect.

        Raises:
            VenueError: the exchange refused, it is proven not set, or it could not be read.
        """
        config = await account_settings.config_of(self.orders, symbol)
        return await account_settings.set_leverage(self.orders, config, leverage)

    async def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        """Set the symbol's margin type if it differs.

        Raises:
            VenueError: as `set_leverage`; -4047 and -4048 with orders or a position.
        """
        config = await account_settings.config_of(self.orders, symbol)
        await account_settings.set_margin_type(self.orders, config, margin_type)

    async def move_margin(
        self, symbol: str, amount: Decimal, *, position_side: PositionSide | None = None
    ) -> Position:
        """Add USDT to an isolated position, or take some out (negative); return it as it is then.

        Raises:
            UsageError: no such position, or it is not isolated.
            VenueError: the exchange refused, it is proven not moved, or it could not be read.
        """
        position = await self._the_one(symbol, position_side, "move margin of")
        return await account_settings.move_margin(self.orders, position, amount)

    async def set_position_mode(self, *, hedge: bool) -> bool:
        """Switch the account between one-way and hedge mode; return False if it was so already.

        Raises:
            VenueError: -4067 with open orders, -4068 with positions; else as `set_leverage`.
        """
        return await account_settings.set_position_mode(self.orders, hedge=hedge)

    # --- looking at --------------------------------------------------------------------------

    async def list_positions(self, symbol: str | None = None) -> tuple[PositionView, ...]:
        """Return open positions with their stop, their target and whether they are protected.

        Raises:
            VenueError: something could not be read.
        """
        positions, algos = await asyncio.gather(
            self._client.get_positions() if symbol is None else self._held(symbol),
            self._client.get_open_algo_orders(symbol),
        )
        venue_ms = self._client.venue_now_ms()
        rows = [row for row in positions if not row.is_flat]
        try:
            beliefs = read_beliefs(self._journal)
        except JournalUnavailable:  # whose they are is not known then; what protects them is
            known: list[Belief | None] = [None] * len(rows)
        else:
            known = await asyncio.gather(*(self._known(row, beliefs) for row in rows))
        return tuple(
            view_position(row, algos, venue_ms=venue_ms, belief=belief)
            for row, belief in zip(rows, known, strict=True)
        )

    async def _known(self, position: Position, beliefs: dict[Key, Belief]) -> Belief | None:
        """Return the belief of a position; where there is none, whose orders opened it tells."""
        key = position.symbol, position.position_side
        belief = beliefs.get(key)
        if belief is not None and belief.quantity * position.quantity > 0:
            return belief
        drift = difference(key, belief, position)
        assert drift is not None, "a position that is not believed differs"
        offset_ms = self._client.venue_now_ms() - self._clock.now_ms()
        drift = await explained(self._client, self._journal, drift, belief, offset_ms=offset_ms)
        return Belief(
            symbol=position.symbol,
            position_side=position.position_side,
            quantity=position.quantity,
            entry_price=position.entry_price,
            own=drift.is_expected,
            opened_ms=None,
            seen_ms=0,
        )

    async def get_current_pnl(self, symbol: str | None = None) -> CurrentPnl:
        """Return the day's result from the exchange's ledger, open positions at mark included.

        Raises:
            VenueError: something could not be read.
        """
        positions, income = await asyncio.gather(
            self._client.get_positions(),
            self._client.get_income(start_ms=day_start_ms(self._client.venue_now_ms())),
        )
        return day_pnl(symbol, positions, income)

    async def get_position_pnl(self, symbol: str | None = None) -> tuple[PositionPnl, ...]:
        """Return the result of every open position since it was opened.

        Raises:
            VenueError: something could not be read.
        """
        rows = [
            row
            for row in await self._client.get_positions()
            if symbol in (None, row.symbol) and not row.is_flat
        ]
        return tuple(await asyncio.gather(*(self._pnl_of(row) for row in rows)))

    async def _pnl_of(self, position: Position) -> PositionPnl:
        fills = await self._client.get_fills(position.symbol)
        start_ms = min((row.time_ms for row in fills), default=position.updated_ms)
        income = await self._client.get_income(
            start_ms=start_ms, income_type=IncomeType.FUNDING_FEE
        )
        return position_pnl(position, fills, income)

    async def sync_positions(self) -> tuple[Drift, ...]:
        """Compare our belief with the exchange, adopt what it says, and return the differences.

        Raises:
            VenueError: something could not be read; nothing is adopted then.
            JournalUnavailable: our belief could not be read.
        """
        positions, resting = await asyncio.gather(
            self._client.get_positions(), self.orders.open_orders()
        )
        return await sync(
            self._client, self._journal, positions, resting, now_ms=self._clock.now_ms()
        )

    # --- reading -----------------------------------------------------------------------------

    async def _held(self, symbol: str) -> list[Position]:
        rows = await self._client.get_position_risk(symbol)
        return [row for row in rows if row.symbol == symbol and not row.is_flat]

    async def _surely_held(self, symbol: str, position_side: PositionSide | None) -> list[Position]:
        """Return what is held; that nothing is, two readings must say."""
        sides = flatness.ANY_SIDE if position_side is None else {position_side}
        rows = await flatness.held_positions(self._client, self._clock, symbol, sides=sides)
        return [row for row in rows if position_side in (None, row.position_side)]

    async def _the_one(
        self, symbol: str, position_side: PositionSide | None, what_for: str
    ) -> Position:
        held = [
            row for row in await self._held(symbol) if position_side in (None, row.position_side)
        ]
        if len(held) != 1:
            raise UsageError(
                f"{symbol} has {len(held)} positions; one is needed to {what_for}",
                code="no_position",
                advice="add --position long|short" if held else None,
            )
        return held[0]

    async def _leverage_in_effect(self, symbol: str) -> int:
        return (await account_settings.config_of(self.orders, symbol)).leverage

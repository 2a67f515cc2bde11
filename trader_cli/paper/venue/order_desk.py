"""Regular orders from admission to rest: who is let in, what is taken at once, what changes later.

The rules of a single order are in `rules.py`, who fills when in `matching.py`, what fills and
endings do in `settlement.py`. Must not know parameters, answers or time's source.

Source: binance-usdm reference §5.2, §6, §11.2, §13.6, §13.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.numbers import ONE, ZERO
from trader_cli.domain.terms import (
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.paper.books import margin
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.books.matching import PriceLevel, walk
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import AlgoRecord, AmendmentRecord, OrderRecord, bare
from trader_cli.paper.venue import events, rules
from trader_cli.paper.venue.core import Core
from trader_cli.paper.venue.rules import POST_ONLY, OrderWish
from trader_cli.paper.venue.settlement import Reason, Settlement

_BUY: Final = Side.BUY
_SELL: Final = Side.SELL
_LIMIT: Final = OrderType.LIMIT
_MARKET: Final = OrderType.MARKET
_SELF_TRADE: Final = Reason.SELF_TRADE
_NEW: Final = OrderStatus.NEW
_OPEN: Final = (_NEW, OrderStatus.PARTIALLY_FILLED)
_CONTRACT_PRICE: Final = WorkingType.CONTRACT_PRICE
_FOK: Final = TimeInForce.FOK
_OPENED: Final = ExecutionType.NEW
_NO_PREVENTION: Final = SelfTradePrevention.NONE
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)


class OrderDesk:
    """Admits orders and lets them meet the market."""

    def __init__(self, core: Core, settlement: Settlement) -> None:
        self._core = core
        self._settlement = settlement

    # -- placing -------------------------------------------------------------------------------

    def submit(
        self,
        wish: OrderWish,
        now_ms: int,
        algo: AlgoRecord | None = None,
        *,
        on_accept: Callable[[AlgoRecord, int, int], None] | None = None,
    ) -> OrderRecord:
        """Accept an order and let it meet the market; a refusal leaves no trace.

        Args:
            algo: the conditional order it comes from.
            on_accept: told (algo, order id, time) between acceptance and the first event.
        """
        of = self._core.account.symbols[wish.symbol]
        self.admit(of, wish)
        parts = self._parts(of, wish)
        if parts:
            parts = self._shared(of, parts, now_ms)
        order = self._accept(wish, now_ms, algo)
        if algo is not None and on_accept is not None:
            on_accept(algo, order.order_id, now_ms)
        opening: events.UserEvent | None = None
        if self._core.heard:
            opening = events.order_update(order, _OPENED, now_ms)
            meets_own = order.self_trade_prevention is _NO_PREVENTION
            if algo is not None or not parts or meets_own:
                self._core.outbox.append(opening)
                opening = None
        if of.book.best(_SELL if order.side is _BUY else _BUY) is not None:
            parts = self._prevent_self_trade(of, order, parts, now_ms)
        if parts:
            taken = of.taken(order.side)
            for price, quantity in parts:
                taken[price] = taken.get(price, ZERO) + quantity
                self._settlement.fill(
                    of, order, price, quantity, now_ms, maker=False, opening=opening
                )
                opening = None
        if opening is not None:
            self._core.outbox.append(opening)
        if order.status in _OPEN:
            self._settle_rest(of, order, now_ms)
        return order

    def admit(self, of: SymbolAccount, wish: OrderWish) -> None:
        """Refuse what the rules, the position or the margin forbid; resolves the wish's blanks."""
        core, instrument = self._core, of.contract.instrument
        if not instrument.is_trading or core.only_cancels(wish.symbol):
            raise VenueRefusal(-4141)
        if wish.price_match != rules.NO_PRICE_MATCH:
            wish.price = self.matched_price(of, wish.side, wish.price_match)
        is_market = wish.type is _MARKET
        if not wish.close_position:
            rules.check_quantity(instrument, wish.quantity, market=is_market)
        if is_market:
            self._check_counterparty(of, wish.side)
        else:
            rules.check_price(instrument, wish.price)
            rules.check_band(instrument, wish.side, wish.price, of.tick.mark_price)
        if wish.client_id is not None and (wish.symbol, wish.client_id) in core.client_ids:
            raise VenueRefusal(-4116)
        if len(of.orders) >= instrument.orders_max and core.settings.open_order_limits:
            raise VenueRefusal(-2025)
        if wish.only_reduces:
            self._check_reduce(of, wish)
            return
        price = of.tick.mark_price if is_market else wish.price
        rules.check_notional(instrument, price, wish.quantity)
        self._check_exposure(of, wish)

    def _check_counterparty(self, of: SymbolAccount, side: Side) -> None:
        instrument, tick = of.contract.instrument, of.tick
        if side is _BUY:
            if tick.ask > tick.mark_price * instrument.percent_up:
                raise VenueRefusal(-4131)
        elif tick.bid < tick.mark_price * instrument.percent_down:
            raise VenueRefusal(-4131)

    def _check_reduce(self, of: SymbolAccount, wish: OrderWish) -> None:
        closable = of.quantity_to_close(wish.position_side, wish.side)
        if closable == 0:
            raise VenueRefusal(-2022)
        if wish.quantity > closable:
            if wish.position_side is not PositionSide.BOTH:
                raise VenueRefusal(-2024)
            wish.quantity = closable

    def _check_exposure(self, of: SymbolAccount, wish: OrderWish) -> None:
        account, side, quantity, tick = self._core.account, wish.side, wish.quantity, of.tick
        mark, buys = tick.mark_price, side is _BUY
        limited = wish.type is _LIMIT
        price = wish.price if limited else tick.ask if buys else tick.bid
        if not buys:
            price = margin.short_cost_price(price, mark, tick.last_price)
        notional = price * quantity
        total = notional + of.resting.get((wish.position_side, side), ZERO)
        held = of.positions.get(wish.position_side)
        if held is not None and held.amount:
            total += held.amount * mark if buys else -held.amount * mark
        if total > of.notional_max:
            raise VenueRefusal(-2027)
        loss = ZERO
        if limited:
            loss = margin.open_loss(quantity if buys else -quantity, wish.price, mark)
        # No order adds more margin than its whole notional needs.
        if account.surely_has(notional * of.margin_rate + loss):
            return
        need = of.need_with(wish.position_side, side, notional).total - of.need.total
        if need > 0 and need + loss > account.available:
            raise VenueRefusal(-2019)

    def matched_price(self, of: SymbolAccount, side: Side, match: str) -> Decimal:
        """Return the book's price that a price match means now; refuses with -5041."""
        book_side = side if match.startswith("OPPONENT") else side.opposite
        wanted = int(match.partition("_")[2] or "1")
        for rank, (price, _) in enumerate(self._levels(of, book_side), start=1):
            if rank == wanted:
                return price
        raise VenueRefusal(-5041)

    def _levels(self, of: SymbolAccount, side: Side) -> Iterator[PriceLevel]:
        # The market may know later ticks already than the one that happens now.
        return self._core.market.levels(of.symbol, side, of.tick)

    # -- taking --------------------------------------------------------------------------------

    def _parts(self, of: SymbolAccount, wish: OrderWish) -> list[PriceLevel]:
        """Return what the order takes at once; refuses post-only that would and FOK that cannot."""
        tick, side = of.tick, wish.side
        buys = side is _BUY
        best = tick.ask if buys else tick.bid
        worst = wish.price if wish.type is _LIMIT else self._worst(of, side)
        touches = worst >= best if buys else worst <= best
        if wish.time_in_force in POST_ONLY:
            own = of.book.best(side.opposite)
            if touches or (own is not None and _reaches(side, worst, own)):
                raise VenueRefusal(-5022)
            return []
        if not touches:
            if wish.time_in_force is _FOK:
                raise VenueRefusal(-5021)
            return []
        shown = tick.ask_quantity if buys else tick.bid_quantity
        taken = of.taken(side)
        if wish.quantity <= (shown - taken.get(best, ZERO) if taken else shown):
            return [(best, wish.quantity)]
        parts = walk(
            self._levels(of, side), side=side, quantity=wish.quantity, worst=worst, taken=taken
        )
        if wish.time_in_force is _FOK:
            total = sum((quantity for _, quantity in parts), ZERO)
            if total < wish.quantity:
                raise VenueRefusal(-5021)
        return parts

    def _shared(self, of: SymbolAccount, parts: list[PriceLevel], now_ms: int) -> list[PriceLevel]:
        """Return what of the parts fills while only a share of everything does."""
        share = self._core.disturbance.share_filled(of.symbol, now_ms)
        if share is None:
            return parts
        step = of.contract.instrument.quantity_step
        return [
            (price, min(quantity, max(step, round_down_to_step(quantity * share, step))))
            for price, quantity in parts
        ]

    def _worst(self, of: SymbolAccount, side: Side) -> Decimal:
        """Return the last price a market order accepts."""
        bound = of.contract.instrument.market_take_bound
        return of.tick.mark_price * (ONE + bound if side is _BUY else ONE - bound)

    def _prevent_self_trade(
        self, of: SymbolAccount, order: OrderRecord, parts: list[PriceLevel], now_ms: int
    ) -> list[PriceLevel]:
        """Deal with own resting orders the taker would meet; return what it may still take."""
        mode = order.self_trade_prevention
        if order.time_in_force in POST_ONLY or of.book.best(order.side.opposite) is None:
            return parts
        if mode is _NO_PREVENTION:
            return self._meet_own(of, order, parts, now_ms)
        reach = self._reach(order, parts)
        expires_maker = mode is not SelfTradePrevention.EXPIRE_TAKER
        while reach is not None:
            own = of.book.best(order.side.opposite)
            if own is None or not _reaches(order.side, reach, own):
                break
            if expires_maker:
                for maker in of.book.orders_at(order.side.opposite, own):
                    maker.expire_reason = Reason.SELF_TRADE
                    self._settlement.end(of, maker, OrderStatus.EXPIRED_IN_MATCH, now_ms)
            if mode is not SelfTradePrevention.EXPIRE_MAKER:
                order.expire_reason = Reason.SELF_TRADE
                return [
                    part for part in parts if part[0] != own and _reaches(order.side, own, part[0])
                ]
        return parts

    def _meet_own(
        self, of: SymbolAccount, order: OrderRecord, parts: list[PriceLevel], now_ms: int
    ) -> list[PriceLevel]:
        """Let a taker trade with own resting orders in their turn; return what it takes of others.

        Others' size at a price comes before our own: it was there when ours came, as far as known.
        """
        reach = self._reach(order, parts)
        makers = [
            maker
            for maker in of.orders.values()
            if maker.side is not order.side
            and reach is not None
            and _reaches(order.side, reach, maker.price)
        ]
        makers.sort(key=lambda maker: maker.price * order.side.sign)
        left, others = order.remaining, list(parts)
        kept: list[PriceLevel] = []
        for maker in makers:
            while others and _reaches(order.side, maker.price, others[0][0]):
                price, quantity = others.pop(0)
                kept.append((price, min(quantity, left)))
                left -= min(quantity, left)
            part = min(left, maker.remaining) if maker.status.is_open else ZERO
            if part > 0:
                self._settlement.fill(of, order, maker.price, part, now_ms, maker=False)
                self._settlement.fill(of, maker, maker.price, part, now_ms, maker=True)
                left -= part
        for price, quantity in others:
            kept.append((price, min(quantity, left)))
            left -= min(quantity, left)
        return [(price, quantity) for price, quantity in kept if quantity > 0]

    def _reach(self, order: OrderRecord, parts: list[PriceLevel]) -> Decimal | None:
        """Return the last price the taker gets to, None if it gets nowhere."""
        left = order.quantity - sum((quantity for _, quantity in parts), ZERO)
        if left > 0 and order.type is OrderType.LIMIT:
            return order.price
        return parts[-1][0] if parts else None

    def _accept(self, wish: OrderWish, now_ms: int, algo: AlgoRecord | None) -> OrderRecord:
        core = self._core
        order_id = core.next_id("orders")
        order = record_of(wish, order_id, now_ms)
        if algo is not None:
            # The engine gets an ordinary order: only its client id tells of the trigger.
            order.algo_id = algo.algo_id
            core.triggered[order_id] = algo
        core.changes.orders[order_id] = order
        return order

    def _settle_rest(self, of: SymbolAccount, order: OrderRecord, now_ms: int) -> None:
        """Let what was not taken rest, or end it, as its time in force says."""
        if order.expire_reason == _SELF_TRADE:
            if order.time_in_force is TimeInForce.IOC:
                order.expire_reason = Reason.IOC_SELF_TRADE
            self._settlement.end(of, order, OrderStatus.EXPIRED_IN_MATCH, now_ms)
        elif order.type is _MARKET:
            order.expire_reason = Reason.MARKET_REST
            self._settlement.end(of, order, OrderStatus.EXPIRED, now_ms)
        elif order.time_in_force in _AT_ONCE:
            order.expire_reason = Reason.IOC_REST
            self._settlement.end(of, order, OrderStatus.EXPIRED, now_ms)
        else:
            self._rest(of, order)

    def _rest(self, of: SymbolAccount, order: OrderRecord) -> None:
        """Let an order be open from now on: one that is taken whole at once never is."""
        core, order_id = self._core, order.order_id
        of.orders[order_id] = order
        core.client_ids[order.symbol, order.client_order_id] = order
        if order.only_reduces:
            of.reducing[order_id] = order
        of.book.add(order, of.tick)
        if order.good_till_ms:
            core.add_deadline(order.good_till_ms, order.symbol)
        self._settlement.expose(of, order)

    def fill_resting(self, of: SymbolAccount, tick: MarketTick) -> None:
        """Fill what a tick reaches; the tick is already the symbol's present one."""
        for order, quantity in of.book.reached(tick, traded=tick.last_quantity > 0):
            if not order.status.is_open:
                continue
            if order.only_reduces:
                quantity = min(quantity, of.quantity_to_close(order.position_side, order.side))
            for price, part in self._shared(of, [(order.price, quantity)], tick.time_ms):
                if part > 0:
                    self._settlement.fill(of, order, price, part, tick.time_ms, maker=True)

    # -- amending ------------------------------------------------------------------------------

    def amend(
        self,
        order: OrderRecord,
        *,
        price: Decimal,
        quantity: Decimal,
        now_ms: int,
        modify_id: int | None = None,
    ) -> None:
        """Change a resting order's price and quantity; it goes to the end of its queue.

        Partly filled to `quantity` or more, or post-only and now taking, it is cancelled.
        """
        core = self._core
        of = core.account.symbols[order.symbol]
        instrument = of.contract.instrument
        if order.type is not OrderType.LIMIT:
            raise VenueRefusal(-5025)
        if core.only_cancels(order.symbol):
            raise VenueRefusal(-5024)
        if order.amendments >= of.contract.max_move_order_limit:
            raise VenueRefusal(-5026)
        if price == order.price and quantity == order.quantity:
            raise VenueRefusal(-5027)
        rules.check_quantity(instrument, quantity, market=False)
        rules.check_price(instrument, price)
        rules.check_band(instrument, order.side, price, of.mark)
        if quantity <= order.executed:
            self._settlement.cancel(order, now_ms)
            return
        if order.only_reduces:
            quantity = self._cut_exit(of, order, quantity)
            if price == order.price and quantity == order.quantity:
                raise VenueRefusal(-5027)
        wish = _as_wish(order, price, quantity - order.executed)
        if not order.only_reduces:
            if price * quantity < instrument.notional_min:
                raise VenueRefusal(-5029, f"{instrument.notional_min:f}")
            self._check_amended(of, order, wish)
        try:
            parts = self._parts(of, wish)
        except VenueRefusal:
            self._settlement.cancel(order, now_ms)
            return
        self._record_amendment(order, price, quantity, now_ms, modify_id)
        of.book.discard(order)
        order.price, order.quantity, order.updated_ms = price, quantity, now_ms
        core.changes.orders[order.order_id] = order
        core.tell(events.order_update, order, ExecutionType.AMENDMENT, now_ms, modify_id=modify_id)
        for part_price, part in self._prevent_self_trade(of, order, parts, now_ms):
            taken = of.taken(order.side)
            taken[part_price] = taken.get(part_price, ZERO) + part
            self._settlement.fill(of, order, part_price, part, now_ms, maker=False)
        if order.status in _OPEN:
            self._settle_rest(of, order, now_ms)

    def _cut_exit(self, of: SymbolAccount, order: OrderRecord, quantity: Decimal) -> Decimal:
        """Return an exit's new quantity, no more than there is to close; -2022 in hedge mode."""
        most = order.executed + of.quantity_to_close(order.position_side, order.side)
        if quantity <= most:
            return quantity
        if order.position_side is not PositionSide.BOTH or most == order.executed:
            raise VenueRefusal(-2022)
        return most

    def _check_amended(self, of: SymbolAccount, order: OrderRecord, wish: OrderWish) -> None:
        """Check margin as if the order were placed anew, without its own present share."""
        key = order.position_side, order.side
        of.resting[key] = of.resting_of(*key) - order.exposure
        self._core.account.stir(of)
        try:
            self._check_exposure(of, wish)
        finally:
            of.resting[key] = of.resting_of(*key) + order.exposure
            self._core.account.stir(of)

    def _record_amendment(
        self,
        order: OrderRecord,
        price: Decimal,
        quantity: Decimal,
        now_ms: int,
        modify_id: int | None,
    ) -> None:
        order.amendments += 1
        self._core.changes.amendments.append(
            AmendmentRecord(
                amendment_id=self._core.next_id("amendments"),
                order_id=order.order_id,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                price_before=order.price,
                price_after=price,
                quantity_before=order.quantity,
                quantity_after=quantity,
                count=order.amendments,
                time_ms=now_ms,
                modify_id=modify_id,
            )
        )


def record_of(wish: OrderWish, order_id: int, now_ms: int) -> OrderRecord:
    """Return the record a wish becomes when it is accepted."""
    order = bare(OrderRecord)
    order.order_id = order_id
    order.symbol = wish.symbol
    order.client_order_id = f"paper_{order_id}" if wish.client_id is None else wish.client_id
    order.side = wish.side
    order.position_side = wish.position_side
    order.type = order.original_type = wish.type
    order.time_in_force = wish.time_in_force
    order.price = wish.price
    order.quantity = wish.quantity
    order.reduce_only = wish.reduce_only
    order.close_position = wish.close_position
    order.self_trade_prevention = wish.self_trade_prevention
    order.price_match = wish.price_match
    order.good_till_ms = wish.good_till_ms
    order.created_ms = order.updated_ms = now_ms
    order.status = _NEW
    order.executed = order.quote = order.stop_price = order.exposure = ZERO
    order.working_type = _CONTRACT_PRICE
    order.price_protect = order.forced = False
    order.algo_id = order.front = None
    order.amendments = order.expire_reason = 0
    return order


def _reaches(side: Side, worst: Decimal, price: Decimal) -> bool:
    """Return True if a taker of `side` that accepts `worst` accepts `price`."""
    return worst >= price if side is _BUY else worst <= price


def _as_wish(order: OrderRecord, price: Decimal, quantity: Decimal) -> OrderWish:
    return OrderWish(
        symbol=order.symbol,
        side=order.side,
        position_side=order.position_side,
        type=order.type,
        time_in_force=order.time_in_force,
        quantity=quantity,
        price=price,
        reduce_only=order.reduce_only,
        client_id=None,
        self_trade_prevention=order.self_trade_prevention,
        price_match=order.price_match,
        good_till_ms=order.good_till_ms,
        wants_result=False,
        close_position=order.close_position,
    )

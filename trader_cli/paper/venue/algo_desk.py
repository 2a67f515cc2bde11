"""The Algo Service: conditional orders from acceptance over their trigger to their end.

A store of its own: nothing here rests in the book, and no margin is asked before the trigger.
When the price comes, a regular order under the same client id goes to the order desk, and what
that says no to ends as REJECTED with its words. Must not know parameters or answers.

Source: binance-usdm reference §7.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trader_cli.domain.instrument import round_down_to_step, round_up_to_step
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.terms import AlgoStatus, OrderType, PositionSide, Side
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.books.algo import would_trigger
from trader_cli.paper.protocol.refusal import VenueRefusal, refusal_text
from trader_cli.paper.state.records import AlgoRecord
from trader_cli.paper.venue import events, rules
from trader_cli.paper.venue.core import Core
from trader_cli.paper.venue.order_desk import OrderDesk
from trader_cli.paper.venue.rules import AlgoWish, OrderWish
from trader_cli.paper.venue.settlement import Settlement

ALGO_ORDERS_MAX: Final = 200
_LIMIT_TYPES: Final = (OrderType.STOP, OrderType.TAKE_PROFIT)


class AlgoDesk:
    """Everything that can happen to a conditional order."""

    def __init__(self, core: Core, orders: OrderDesk, settlement: Settlement) -> None:
        self._core = core
        self._orders = orders
        if core.settings.close_position_expires:
            settlement.on_flat = self.expire_closing

    def submit(self, wish: AlgoWish, now_ms: int) -> AlgoRecord:
        """Accept a conditional order; a refusal leaves no trace."""
        core = self._core
        of = core.account.symbols[wish.symbol]
        self._check(of, wish)
        algo_id = core.next_id("algos")
        algo = AlgoRecord(
            algo_id=algo_id,
            symbol=wish.symbol,
            client_algo_id=f"paper_{algo_id}" if wish.client_id is None else wish.client_id,
            side=wish.side,
            position_side=wish.position_side,
            type=wish.type,
            time_in_force=wish.time_in_force,
            quantity=wish.quantity,
            price=wish.price,
            trigger_price=wish.trigger_price,
            activate_price=wish.activate_price,
            callback_rate=wish.callback_rate,
            working_type=wish.working_type,
            price_protect=wish.price_protect,
            close_position=wish.close_position,
            reduce_only=wish.reduce_only or wish.close_position,
            self_trade_prevention=wish.self_trade_prevention,
            price_match=wish.price_match,
            good_till_ms=wish.good_till_ms,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        if would_trigger(algo, of.prices):
            raise VenueRefusal(-2021)
        core.open_algos[algo_id] = of.algos[algo_id] = algo
        core.algo_client_ids[algo.client_algo_id] = algo
        of.triggers.add(algo)
        if algo.good_till_ms:
            core.add_deadline(algo.good_till_ms, algo.symbol)
        self._announce(algo, now_ms)
        self._activate(of, now_ms)
        return algo

    def _check(self, of: SymbolAccount, wish: AlgoWish) -> None:
        core, instrument = self._core, of.contract.instrument
        if not instrument.is_trading or core.only_cancels(wish.symbol):
            raise VenueRefusal(-4141)
        if wish.client_id is not None and (
            wish.client_id in core.algo_client_ids
            or (wish.symbol, wish.client_id) in core.client_ids
        ):
            raise VenueRefusal(-4116)
        if core.settings.open_order_limits and len(core.open_algos) >= ALGO_ORDERS_MAX:
            raise VenueRefusal(-4045)
        if not wish.close_position:
            market = wish.type not in _LIMIT_TYPES
            rules.check_quantity(instrument, wish.quantity, market=market)
        elif any(_same_closing(algo, wish) for algo in of.algos.values()):
            raise VenueRefusal(-4130)
        if wish.type is OrderType.TRAILING_STOP_MARKET:
            if wish.activate_price is not None:
                if wish.activate_price <= 0:
                    raise VenueRefusal(-4135)
                rules.check_trigger(instrument, wish.activate_price)
        else:
            rules.check_trigger(instrument, wish.trigger_price)
        if wish.type in _LIMIT_TYPES and wish.price_match == rules.NO_PRICE_MATCH:
            rules.check_price(instrument, wish.price)
            _check_limit_to_trigger(of, wish)

    def cancel(self, algo: AlgoRecord, now_ms: int) -> None:
        """End an untriggered conditional order at its owner's wish."""
        self._end(algo, AlgoStatus.CANCELED, now_ms)

    def lose(self, algo: AlgoRecord, now_ms: int) -> None:
        """End an untriggered conditional order and tell nobody."""
        self._forget(algo)
        algo.status = AlgoStatus.CANCELED
        algo.updated_ms = now_ms
        self._core.changes.algos[algo.algo_id] = algo

    def expire_closing(self, of: SymbolAccount, side: PositionSide, now_ms: int) -> None:
        """End the closePosition orders of a position that is gone."""
        for algo in list(of.algos.values()):
            if algo.close_position and algo.position_side is side:
                self._end(algo, AlgoStatus.EXPIRED, now_ms)

    def expire_due(self, of: SymbolAccount, now_ms: int) -> None:
        """End untriggered orders whose good-till date has passed."""
        for algo in list(of.algos.values()):
            if algo.good_till_ms and algo.good_till_ms <= now_ms:
                self._end(algo, AlgoStatus.EXPIRED, now_ms)

    def on_tick(self, of: SymbolAccount, now_ms: int) -> bool:
        """Activate and fire what the symbol's present prices reach; False if that is nothing."""
        changed = self._activate(of, now_ms)
        trailing = [(algo, algo.extreme) for algo in of.triggers.trailing()]
        held_back: list[AlgoRecord] = []
        for algo in of.triggers.take_due(of.prices):
            if algo.status is not AlgoStatus.NEW:
                continue
            if algo.price_protect and _is_torn(of):
                held_back.append(algo)
            else:
                self._fire(of, algo, now_ms)
                changed = True
        for algo in held_back:
            of.triggers.add(algo)
        for algo, extreme in trailing:
            if algo.extreme != extreme:
                self._core.changes.algos[algo.algo_id] = algo
        return changed

    def _activate(self, of: SymbolAccount, now_ms: int) -> bool:
        active = of.triggers.newly_active(of.prices)
        for algo in active:
            self._announce(algo, now_ms)
        return bool(active)

    def _fire(self, of: SymbolAccount, algo: AlgoRecord, now_ms: int) -> None:
        self._forget(algo)
        algo.status = AlgoStatus.TRIGGERING
        algo.triggered_ms = now_ms
        self._announce(algo, now_ms)
        stuck_until_ms = self._core.disturbance.stuck_until_ms(algo.symbol, now_ms)
        if stuck_until_ms is not None:
            self._core.stuck.append((stuck_until_ms, algo))
            return
        self._execute(of, algo, now_ms)

    def release(self, now_ms: int) -> bool:
        """Let go on what stuck in TRIGGERING until now; False if nothing did."""
        core = self._core
        if not core.stuck:
            return False
        free = [algo for until_ms, algo in core.stuck if until_ms <= now_ms]
        core.stuck = [row for row in core.stuck if row[0] > now_ms]
        for algo in free:
            self._execute(core.account.symbols[algo.symbol], algo, now_ms)
        return bool(free)

    def _execute(self, of: SymbolAccount, algo: AlgoRecord, now_ms: int) -> None:
        """Send the regular order of a conditional one that fired."""
        closable = of.quantity_to_close(algo.position_side, algo.side)
        if algo.close_position and closable == 0:
            algo.status = AlgoStatus.EXPIRED
            algo.reject_reason = refusal_text(VenueRefusal(-2022))
            self._announce(algo, now_ms)
            return
        wish = _as_order(algo, closable if algo.close_position else algo.quantity)
        algo.actual_type = wish.type
        try:
            self._orders.submit(wish, now_ms, algo, on_accept=self._on_accept)
        except VenueRefusal as refusal:
            algo.status = AlgoStatus.REJECTED
            algo.actual_type = None
            algo.reject_reason = refusal_text(refusal)
            self._announce(algo, now_ms)

    def _on_accept(self, algo: AlgoRecord, order_id: int, now_ms: int) -> None:
        algo.status = AlgoStatus.TRIGGERED
        algo.order_id = order_id
        self._announce(algo, now_ms)

    def _end(self, algo: AlgoRecord, status: AlgoStatus, now_ms: int) -> None:
        self._forget(algo)
        algo.status = status
        self._announce(algo, now_ms)

    def _forget(self, algo: AlgoRecord) -> None:
        of = self._core.account.symbols[algo.symbol]
        of.triggers.discard(algo)
        of.algos.pop(algo.algo_id, None)
        self._core.open_algos.pop(algo.algo_id, None)
        self._core.algo_client_ids.pop(algo.client_algo_id, None)

    def _announce(self, algo: AlgoRecord, now_ms: int) -> None:
        algo.updated_ms = now_ms
        self._core.changes.algos[algo.algo_id] = algo
        self._core.tell(events.algo_update, algo, now_ms)


def _same_closing(algo: AlgoRecord, wish: AlgoWish) -> bool:
    """Return True if a closePosition order of the same kind and direction already rests."""
    return (
        algo.close_position
        and algo.type is wish.type
        and algo.side is wish.side
        and algo.position_side is wish.position_side
    )


def _check_limit_to_trigger(of: SymbolAccount, wish: AlgoWish) -> None:
    """Refuse a limit price too far on the wrong side of its trigger."""
    instrument = of.contract.instrument
    if wish.side is Side.BUY:
        highest = wish.trigger_price * instrument.percent_up
        if wish.price > highest:
            raise VenueRefusal(-4183, to_text(round_down_to_step(highest, instrument.tick_size)))
    else:
        lowest = wish.trigger_price * instrument.percent_down
        if wish.price < lowest:
            raise VenueRefusal(-4184, to_text(round_up_to_step(lowest, instrument.tick_size)))


def _is_torn(of: SymbolAccount) -> bool:
    """Return True while mark and last price are too far apart for a protected trigger."""
    gap: Decimal = abs(of.tick.mark_price - of.tick.last_price)
    return gap > of.contract.instrument.trigger_protect * of.tick.mark_price


def _as_order(algo: AlgoRecord, quantity: Decimal) -> OrderWish:
    is_limit = algo.type in _LIMIT_TYPES
    return OrderWish(
        symbol=algo.symbol,
        side=algo.side,
        position_side=algo.position_side,
        type=OrderType.LIMIT if is_limit else OrderType.MARKET,
        time_in_force=algo.time_in_force,
        quantity=quantity,
        price=algo.price if is_limit else ZERO,
        reduce_only=algo.reduce_only,
        client_id=algo.client_algo_id,
        self_trade_prevention=algo.self_trade_prevention,
        price_match=algo.price_match,
        good_till_ms=algo.good_till_ms,
        wants_result=False,
        close_position=algo.close_position,
    )

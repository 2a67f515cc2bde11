"""What fills and endings do: to the order, the position, the wallet and whoever listens.

The only place that changes an open order's status and moves money for a trade. Decides nothing
about prices or turns (`order_desk.py`, `matching.py`).

Source: binance-usdm reference §6.2, §7.4, §11.2, §13.3, §13.6.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Final

from trader_cli.domain.numbers import ONE, ZERO
from trader_cli.domain.terms import (
    AlgoStatus,
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.paper.books import ledger, margin
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.state.records import DELEVERAGED_ID, OrderRecord, TradeRecord, bare
from trader_cli.paper.venue import events, rules
from trader_cli.paper.venue.core import Core

_LIMIT: Final = OrderType.LIMIT
_SELL: Final = Side.SELL
_FILLED: Final = OrderStatus.FILLED
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED
_CANCELED: Final = OrderStatus.CANCELED
_TRADED: Final = ExecutionType.TRADE
_ENDED_BY_OWNER: Final = ExecutionType.CANCELED
_ENDED_BY_VENUE: Final = ExecutionType.EXPIRED
_FILL_COST: Final = Decimal(4)


class Reason(IntEnum):
    """Why an order ended before it was filled: the event's `er`."""

    NONE = 0
    SELF_TRADE = 1
    IOC_REST = 2
    IOC_SELF_TRADE = 3
    OTHER_EXIT = 4
    LIQUIDATION = 5
    MARKET_REST = 9


class Settlement:
    """Executes and ends orders.

    Attributes:
        on_flat: told (symbol, position side, time) when a fill leaves no position, if anybody asks.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.on_flat: Callable[[SymbolAccount, PositionSide, int], None] | None = None

    def fill(
        self,
        of: SymbolAccount,
        order: OrderRecord,
        price: Decimal,
        quantity: Decimal,
        now_ms: int,
        *,
        maker: bool,
        opening: events.UserEvent | None = None,
        fee: Decimal | None = None,
    ) -> None:
        """Execute a part of an order.

        Args:
            opening: the order's NEW event where the first fill's notice goes before it.
            fee: commission in USDT where it is not the contract's, positive = paid.
        """
        core, account = self._core, self._core.account
        contract, side = of.contract, order.position_side
        position = of.positions.get(side) or of.position(side)
        effect = ledger.apply_fill(position, order.side, quantity, price)
        notional = price * quantity
        if fee is None:
            rate = contract.maker_fee if maker else contract.taker_fee
            fee = ledger.to_ledger(notional * rate)
        trade = bare(TradeRecord)
        trade.trade_id = core.next_id("trades")
        trade.order_id = order.order_id
        trade.symbol = order.symbol
        trade.side = order.side
        trade.position_side = side
        trade.price = price
        trade.quantity = quantity
        trade.realized = effect.realized
        trade.commission = fee
        trade.maker = maker
        trade.time_ms = now_ms
        self._pay(of, position, effect, trade)
        order.executed += quantity
        order.quote += notional
        order.updated_ms = now_ms
        done = order.executed >= order.quantity
        order.status = _FILLED if done else _PARTIALLY_FILLED
        core.changes.orders[order.order_id] = order
        core.changes.trades.append(trade)
        core.touch(of)
        if done:
            self._forget(of, order)
        if order.exposure:
            self.expose(of, order)
        account.stir(of, _cost_of_fill(of, notional, price, effect.realized))
        if core.heard:
            self._tell_fill(of, order, position, trade, opening)
        if done and core.triggered:
            self._finish_algo(order, now_ms)
        if of.reducing and effect.closed:
            self._prune_reducing(of, side, now_ms)
        if self.on_flat is not None and position.amount == 0:
            self.on_flat(of, side, now_ms)

    def _tell_fill(
        self,
        of: SymbolAccount,
        order: OrderRecord,
        position: ledger.PositionRecord,
        trade: TradeRecord,
        opening: events.UserEvent | None,
    ) -> None:
        core, now_ms = self._core, trade.time_ms
        if not order.forced:
            core.tell(events.trade_lite, of.contract.instrument, order, trade)
        if opening is not None:
            core.outbox.append(opening)
        core.emit_account("ORDER", now_ms, (of, position))
        execution = ExecutionType.CALCULATED if order.forced else _TRADED
        core.tell(events.order_update, order, execution, now_ms, trade=trade)

    def force_close(
        self,
        of: SymbolAccount,
        position: ledger.PositionRecord,
        price: Decimal,
        fee: Decimal,
        now_ms: int,
        *,
        quantity: Decimal,
        deleveraged: bool = False,
    ) -> OrderRecord:
        """Close `quantity` of a position at `price` by the exchange's own order, filled at once.

        Args:
            fee: what is charged for the fill, USDT, positive = paid.
            deleveraged: the other side of somebody else's bankruptcy, not a liquidation.
        """
        core = self._core
        order_id = core.next_id("orders")
        if deleveraged:
            client_order_id, time_in_force = DELEVERAGED_ID, TimeInForce.GTC
        else:
            client_order_id, time_in_force = f"autoclose-{now_ms}{order_id}", TimeInForce.IOC
        side = Side.SELL if position.amount > 0 else Side.BUY
        order = OrderRecord(
            order_id=order_id,
            symbol=of.symbol,
            client_order_id=client_order_id,
            side=side,
            position_side=position.side,
            type=OrderType.LIMIT,
            time_in_force=time_in_force,
            price=price,
            quantity=quantity,
            reduce_only=False,
            close_position=False,
            self_trade_prevention=SelfTradePrevention.NONE,
            price_match=rules.NO_PRICE_MATCH,
            good_till_ms=0,
            created_ms=now_ms,
            updated_ms=now_ms,
            forced=True,
        )
        core.tell(events.order_update, order, ExecutionType.NEW, now_ms)
        self.fill(of, order, price, order.quantity, now_ms, maker=False, fee=fee)
        if not deleveraged:
            core.forced.append(order)
        return order

    def _pay(
        self,
        of: SymbolAccount,
        position: ledger.PositionRecord,
        effect: ledger.FillEffect,
        trade: TradeRecord,
    ) -> None:
        """Book a fill's profit and fee; in isolated margin also move the position's share."""
        core, account = self._core, self._core.account
        position.updated_ms = trade.time_ms
        fee, opened = trade.commission, effect.opened
        if opened:
            position.fees += fee if not effect.closed else fee * opened / trade.quantity
        symbol, trade_id, now_ms = trade.symbol, trade.trade_id, trade.time_ms
        if effect.closed:
            core.post_income(
                "REALIZED_PNL", effect.realized, now_ms, symbol=symbol, trade_id=trade_id
            )
        core.post_income("COMMISSION", -fee, now_ms, symbol=symbol, trade_id=trade_id)
        if not of.isolated:
            account.cross_wallet += effect.realized - fee
            return
        account.cross_wallet += ledger.settle_isolated(position, effect) - fee
        if effect.opened:
            share = ledger.to_ledger(effect.opened * trade.price / of.leverage)
            position.isolated_wallet += share
            account.cross_wallet -= share

    def expose(self, of: SymbolAccount, order: OrderRecord) -> None:
        """Bring an order's share of the open-order notional up to date."""
        wanted = ZERO
        if order.status.is_open and order.type is _LIMIT and not order.only_reduces:
            price = order.price
            if order.side is _SELL:
                price = margin.short_cost_price(price, of.mark, of.tick.last_price)
            wanted = price * (order.quantity - order.executed)
        more = wanted - order.exposure
        if more:
            key = order.position_side, order.side
            of.resting[key] = of.resting.get(key, ZERO) + more
            order.exposure = wanted
            # An order needs no more margin than its notional does, and never more without it.
            self._core.account.stir(of, more * of.margin_rate if more > ZERO else ZERO)

    def _prune_reducing(self, of: SymbolAccount, side: PositionSide, now_ms: int) -> None:
        """End exits that have nothing left to close."""
        for order in list(of.reducing.values()):
            if (
                order.position_side is side
                and order.status.is_open
                and of.quantity_to_close(side, order.side) == 0
            ):
                order.expire_reason = Reason.OTHER_EXIT
                self.end(of, order, OrderStatus.EXPIRED, now_ms)

    def cancel(self, order: OrderRecord, now_ms: int) -> None:
        """End an open order at its owner's wish."""
        self.end(self._core.account.symbols[order.symbol], order, _CANCELED, now_ms)

    def cancel_all(self, of: SymbolAccount, now_ms: int) -> None:
        """End a symbol's open orders at their owner's wish."""
        for order in list(of.orders.values()):
            self.cancel(order, now_ms)

    def expire(self, order: OrderRecord, now_ms: int, *, liquidated: bool = False) -> None:
        """End an open order at the venue's wish."""
        order.expire_reason = Reason.LIQUIDATION if liquidated else Reason.NONE
        self.end(self._core.account.symbols[order.symbol], order, OrderStatus.EXPIRED, now_ms)

    def expire_due(self, of: SymbolAccount, now_ms: int) -> None:
        """End orders whose good-till date has passed."""
        for order in list(of.orders.values()):
            if order.good_till_ms and order.good_till_ms <= now_ms:
                self.expire(order, now_ms)

    def end(self, of: SymbolAccount, order: OrderRecord, status: OrderStatus, now_ms: int) -> None:
        order.status = status
        order.updated_ms = now_ms
        self._forget(of, order)
        if order.exposure:
            self.expose(of, order)
        self._core.changes.orders[order.order_id] = order
        execution = _ENDED_BY_OWNER if status is _CANCELED else _ENDED_BY_VENUE
        self._core.tell(events.order_update, order, execution, now_ms)
        self._finish_algo(order, now_ms)

    def _forget(self, of: SymbolAccount, order: OrderRecord) -> None:
        if of.orders.pop(order.order_id, None) is None:
            return  # it never rested
        of.book.discard(order)
        if of.reducing:
            of.reducing.pop(order.order_id, None)
        self._core.client_ids.pop((order.symbol, order.client_order_id), None)

    def _finish_algo(self, order: OrderRecord, now_ms: int) -> None:
        """Tell that the regular order behind a conditional one ended, filled or not."""
        algo = self._core.triggered.pop(order.order_id, None)
        if algo is None:
            return
        algo.status = AlgoStatus.FINISHED
        algo.updated_ms = now_ms
        algo.actual_quantity = order.executed
        algo.actual_price = order.quote / order.executed if order.executed else ZERO
        self._core.changes.algos[algo.algo_id] = algo
        self._core.tell(events.algo_update, algo, now_ms)


def _cost_of_fill(
    of: SymbolAccount, notional: Decimal, price: Decimal, realized: Decimal
) -> Decimal | None:
    """Return how much less is available after a fill at most, the wallet apart; None: not known.

    While the price is at least half the mark, what the fill adds to or takes from a position is
    worth at most twice its notional, counts at most once for the position and once for what its
    open orders add to that, and stands at most one notional away from mark. A realised profit was
    an unrealised one before. What is rounded is far less than one.
    """
    if price + price < of.tick.mark_price:
        return None
    cost = _FILL_COST * notional + ONE
    return cost + realized if realized > ZERO else cost

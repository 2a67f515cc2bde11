"""Who trades with whom at which price: resting orders against a moving market, takers on a book.

The market has no order book of ours in it: it quotes a touch and prints trades. A resting order
fills when the market trades through its price, or at its price once what stood there before has
had its turn. Pure: it says what fills and changes only its own levels.

Cost: nothing per tick while no price is reached, whatever rests; O(log n) per order.

Source: binance-usdm reference §6.2, §17; the queue rule is this venue's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Final

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import Side
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.state.records import OrderRecord

PriceLevel = tuple[Decimal, Decimal]
"""(price, quantity)"""

_BUY: Final = Side.BUY
_HEAP_SLACK: Final = 64


@dataclass(slots=True)
class _Level:
    """Orders of one price in their turn.

    Attributes:
        traded: what printed here since the level exists.
        front_last: how much must print before an order that comes now has its turn, own
            orders before it included.
    """

    orders: dict[int, OrderRecord] = field(default_factory=dict)
    traded: Decimal = ZERO
    front_last: Decimal = ZERO


class _BookSide:
    """Resting orders of one side. The heap holds each price once, stale ones removed lazily."""

    __slots__ = ("_heap", "_heaped", "_sign", "levels")

    def __init__(self, side: Side) -> None:
        self.levels: dict[Decimal, _Level] = {}
        self._sign = -side.sign
        self._heap: list[Decimal] = []
        self._heaped: set[Decimal] = set()

    def best(self) -> Decimal | None:
        """Return the price that is filled first, None if nothing rests."""
        heap, sign = self._heap, self._sign
        while heap:
            price = heap[0] * sign
            if price in self.levels:
                return price
            self._heaped.discard(price)
            heappop(heap)
        return None

    def level(self, price: Decimal) -> _Level:
        found = self.levels.get(price)
        if found is None:
            found = self.levels[price] = _Level()
            if price not in self._heaped:
                if len(self._heap) > 2 * len(self.levels) + _HEAP_SLACK:
                    self._rebuild()
                else:
                    self._heaped.add(price)
                    heappush(self._heap, price * self._sign)
        return found

    def discard(self, order: OrderRecord) -> None:
        level = self.levels.get(order.price)
        if level is None or order.order_id not in level.orders:
            return
        del level.orders[order.order_id]
        if not level.orders:
            del self.levels[order.price]

    def reached(self, reach: Decimal) -> list[Decimal]:
        """Return the prices that `reach` fills, in the order they fill."""
        prices: list[Decimal] = []
        limit = reach * self._sign
        while (best := self.best()) is not None and best * self._sign <= limit:
            heappop(self._heap)
            prices.append(best)
        for price in prices:
            heappush(self._heap, price * self._sign)
        return prices

    def _rebuild(self) -> None:
        self._heap = [price * self._sign for price in self.levels]
        self._heaped = set(self.levels)
        heapify(self._heap)


class RestingBook:
    """One account's resting orders of one symbol."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids = _BookSide(Side.BUY)
        self._asks = _BookSide(Side.SELL)

    def _side(self, side: Side) -> _BookSide:
        return self._bids if side is _BUY else self._asks

    def add(self, order: OrderRecord, tick: MarketTick) -> None:
        """Let an order rest behind the size the market shows at its price.

        Only the touch's size is known for certain; deeper, the order waits behind what the touch
        shows when the market first trades there.
        """
        level = self._side(order.side).level(order.price)
        touch, shown = _own_touch(tick, order.side)
        better = order.price > touch if order.side is _BUY else order.price < touch
        if order.price == touch:
            order.front = max(level.front_last, level.traded + shown)
        elif better:
            order.front = max(level.front_last, level.traded)
        else:
            order.front = None
        if order.front is not None:
            level.front_last = order.front + order.remaining
        level.orders[order.order_id] = order

    def readd(self, order: OrderRecord) -> None:
        """Put a stored order back after a restart; it keeps no turn it had."""
        order.front = None
        self._side(order.side).level(order.price).orders[order.order_id] = order

    def discard(self, order: OrderRecord) -> None:
        """Take an order out; unknown ones are ignored."""
        self._side(order.side).discard(order)

    def best(self, side: Side) -> Decimal | None:
        """Return the price of `side` that fills first, None if nothing rests there."""
        return (self._bids if side is _BUY else self._asks).best()

    def is_near(self, tick: MarketTick) -> bool:
        """Return True if the tick may fill something: it touches a best price."""
        bid, ask, last = self._bids.best(), self._asks.best(), tick.last_price
        return (bid is not None and (tick.ask <= bid or last <= bid)) or (
            ask is not None and (tick.bid >= ask or last >= ask)
        )

    def orders_at(self, side: Side, price: Decimal) -> list[OrderRecord]:
        """Return the orders of one price in their turn."""
        level = self._side(side).levels.get(price)
        return [] if level is None else list(level.orders.values())

    def reached(self, tick: MarketTick, *, traded: bool) -> list[tuple[OrderRecord, Decimal]]:
        """Return what the tick fills: (order, quantity), best price first, then by turn.

        Args:
            traded: whether the tick prints a trade; else only its quotes count.
        """
        filled: list[tuple[OrderRecord, Decimal]] = []
        for side in (self._bids, self._asks):
            if side.best() is None:
                continue
            is_bid = side is self._bids
            quote = tick.ask if is_bid else tick.bid
            reach = quote
            if traded:
                reach = min(quote, tick.last_price) if is_bid else max(quote, tick.last_price)
            filled += _sweep(side, tick, is_bid=is_bid, reach=reach, traded=traded)
        return filled


def _own_touch(tick: MarketTick, side: Side) -> PriceLevel:
    if side is _BUY:
        return tick.bid, tick.bid_quantity
    return tick.ask, tick.ask_quantity


def _sweep(
    side: _BookSide, tick: MarketTick, *, is_bid: bool, reach: Decimal, traded: bool
) -> list[tuple[OrderRecord, Decimal]]:
    filled: list[tuple[OrderRecord, Decimal]] = []
    for price in side.reached(reach):
        level = side.levels[price]
        if price != reach:
            filled += [(order, order.remaining) for order in level.orders.values()]
        elif price == (tick.ask if is_bid else tick.bid):
            # The other side now quotes our price: everybody before us is gone.
            shown = tick.ask_quantity if is_bid else tick.bid_quantity
            filled += _share(level, shown)
        elif traded and tick.buyer_is_maker is is_bid:
            filled += _queue(level, tick, price, is_bid=is_bid)
    return filled


def _share(level: _Level, quantity: Decimal) -> Iterator[tuple[OrderRecord, Decimal]]:
    level.traded += quantity
    for order in level.orders.values():
        if quantity <= 0:
            return
        order.front = ZERO
        part = min(order.remaining, quantity)
        quantity -= part
        yield order, part


def _queue(
    level: _Level, tick: MarketTick, price: Decimal, *, is_bid: bool
) -> Iterator[tuple[OrderRecord, Decimal]]:
    touch, shown = _own_touch(tick, Side.BUY if is_bid else Side.SELL)
    before = level.traded
    level.traded += tick.last_quantity
    budget = tick.last_quantity
    for order in level.orders.values():
        if order.front is None:
            order.front = max(level.front_last, before + (shown if price == touch else ZERO))
            level.front_last = order.front + order.remaining
        part = min(budget, level.traded - order.front, order.remaining)
        if part <= 0:
            return
        budget -= part
        yield order, part


def walk(
    levels: Iterable[PriceLevel],
    *,
    side: Side,
    quantity: Decimal,
    worst: Decimal | None,
    taken: dict[Decimal, Decimal],
) -> list[PriceLevel]:
    """Return the (price, quantity) parts a taker gets from the other side's visible levels.

    Args:
        levels: best first.
        worst: the last price the taker accepts, None for any.
        taken: what was already taken from each price since the market last moved.
    """
    parts: list[PriceLevel] = []
    for price, shown in levels:
        if quantity <= 0:
            break
        if worst is not None and (price > worst if side is _BUY else price < worst):
            break
        part = min(quantity, shown - taken.get(price, ZERO))
        if part > 0:
            parts.append((price, part))
            quantity -= part
    return parts

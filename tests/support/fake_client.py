"""A small venue for unit tests: prices are set, failures are ordered, time is virtual.

It implements what `trader_cli.trading` asks of the exchange client, with the venue's own refusals,
and it watches two things no test should have to repeat: how often each client id was sent, and
whether a position was ever without a stop between two writes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from trader_cli.domain.account import (
    AccountSummary,
    BookTop,
    Fill,
    IncomeRow,
    LeverageBracket,
    MarkPrice,
    Position,
    SymbolConfig,
)
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
)
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import (
    AlgoStatus,
    MarginType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.errors import OutcomeUnknown, Rejected, VenueError
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

START_MS = 1_780_000_000_000
SYMBOL = "BTCUSDT"
TICK = Decimal("0.1")
_SETTLED_YIELDS = 100
_STUCK_ROUNDS = 50

T = TypeVar("T")


class VirtualClock:
    """Time that passes only when nobody has anything else to do; see `run`."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        return START_MS + round(self._now_s * 1000)

    def monotonic(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + seconds, next(self._order), woken))
        await woken

    async def run(self, action: Awaitable[T]) -> T:
        """Await `action`, letting time jump to the next sleeper whenever all tasks wait."""
        task = asyncio.ensure_future(action)
        idle_rounds = 0
        while not task.done():
            for _ in range(_SETTLED_YIELDS):
                await asyncio.sleep(0)
            idle_rounds = 0 if task.done() or self._wake_next() else idle_rounds + 1
            assert idle_rounds < _STUCK_ROUNDS, "everybody waits for what cannot come"
        return task.result()

    def _wake_next(self) -> bool:
        while self._sleepers:
            at_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._now_s = max(self._now_s, at_s)
                woken.set_result(None)
                return True
        return False


@dataclass
class Fault:
    """One ordered failure of a method; `executed` says whether the venue acted all the same."""

    error: VenueError
    executed: bool = False


class FakeVenue:
    """The exchange in memory, one account, USDT margin.

    Attributes:
        sent: every request that arrived, in order.
        log: every call as (method, detail).
        naked: times at which, after a write, a position had no stop although it once had one.
        next_answer_after_s: how long the next order is without its answer.
        late: by method, how many seconds its next answer takes.
        empty_answers: how many of the next answers about positions show none, whatever is held.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.sent: list[OrderRequest] = []
        self.log: list[tuple[str, str]] = []
        self.naked: list[int] = []
        self.orders: dict[int, Order] = {}
        self.algos: dict[int, AlgoOrder] = {}
        self.held: dict[tuple[str, PositionSide], tuple[Decimal, Decimal]] = {}
        self.bid, self.ask = Decimal("95000.0"), Decimal("95000.1")
        self.mark: Decimal | None = None
        self.hedge_mode = False
        self.margin_type = MarginType.CROSS
        self.leverage = 20
        self.isolated_wallet = Decimal(0)
        self.fills: list[Fill] = []
        self.equity = Decimal(10_000)
        self.income: list[IncomeRow] = []
        self.market_fill_max: Decimal | None = None
        self.quantity_max = Decimal(120)
        self.invisible_until_ms = 0
        self.empty_answers = 0
        self.next_answer_after_s = 0.0
        self.late: dict[str, float] = {}
        self.orders_allowed = 300
        self.before: Callable[[str], None] = lambda method: None
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._forever: dict[str, VenueError] = {}
        self._ids = itertools.count(1_000)
        self._was_stopped = False

    # --- what a test says -------------------------------------------------------------------

    def fail(self, method: str, error: VenueError, *, executed: bool = False) -> None:
        """Let the next call of `method` fail; `place_conditional` is a part of `send`."""
        self._faults[method].append(Fault(error, executed))

    def fail_always(self, method: str, error: VenueError | None) -> None:
        """Let every call of `method` fail, until None; `place_conditional` is a part of `send`."""
        if error is None:
            self._forever.pop(method, None)
        else:
            self._forever[method] = error

    def set_price(self, bid: str) -> None:
        """Move the book; resting orders that it crosses fill at their price."""
        self.bid = Decimal(bid)
        self.ask = self.bid + TICK
        for order in self.open_orders:
            crossed = self.ask <= order.price if order.side is Side.BUY else self.bid >= order.price
            if crossed:
                self.fill(order.client_order_id, order.remaining_quantity)

    def fill(self, client_order_id: str, quantity: Decimal) -> None:
        """Execute a resting order at its price."""
        order = next(row for row in self.open_orders if row.client_order_id == client_order_id)
        self._execute(order, quantity, order.price)

    def hold(
        self,
        quantity: str,
        entry: str = "95000",
        *,
        side: PositionSide = PositionSide.BOTH,
        symbol: str = SYMBOL,
    ) -> None:
        """Put a position there that nobody of ours opened."""
        self.held[(symbol, side)] = (Decimal(quantity), Decimal(entry))

    def quantity(self, symbol: str = SYMBOL, side: PositionSide = PositionSide.BOTH) -> Decimal:
        return self.held.get((symbol, side), (Decimal(0), Decimal(0)))[0]

    def rest(self, request: OrderRequest) -> Order | AlgoOrder:
        """Put an order there without counting it as sent."""
        return self._accept(request)

    @property
    def open_orders(self) -> list[Order]:
        return [row for row in self.orders.values() if row.status.is_open]

    @property
    def open_algos(self) -> list[AlgoOrder]:
        return [row for row in self.algos.values() if row.status.is_open]

    @property
    def stops(self) -> list[AlgoOrder]:
        return [row for row in self.open_algos if row.is_stop]

    def resting_ids(self) -> set[str]:
        """Return the client ids of everything that rests, in both worlds."""
        names = {row.client_order_id for row in self.open_orders}
        return names | {row.client_order_id for row in self.open_algos}

    def sent_ids(self) -> list[str]:
        return [row.client_order_id for row in self.sent]

    def called(self, method: str) -> int:
        return sum(1 for name, _ in self.log if name == method)

    # --- writes -----------------------------------------------------------------------------

    async def send(self, request: OrderRequest) -> Order | AlgoOrder:
        self.before("send")
        self.sent.append(request)
        if isinstance(request, ConditionalRequest) and "place_conditional" in self._forever:
            raise self._forever["place_conditional"]
        failing = isinstance(request, ConditionalRequest) and self._faults["place_conditional"]
        name = "place_conditional" if failing else "send"
        answer_after_s, self.next_answer_after_s = self.next_answer_after_s, 0.0
        try:
            return await self._do(name, request.client_order_id, lambda: self._accept(request))
        finally:
            if answer_after_s:
                await self.clock.sleep(answer_after_s)

    async def amend_order(
        self, symbol: str, side: Side, order_id: int, *, quantity: Decimal, price: Decimal
    ) -> Order:
        self.before("amend_order")
        return await self._do(
            "amend_order",
            f"{order_id} {quantity} {price}",
            lambda: self._amend(order_id, quantity, price),
        )

    def _amend(self, order_id: int, quantity: Decimal, price: Decimal) -> Order:
        order = self.orders.get(order_id)
        if order is None or not order.status.is_open:
            raise Rejected("Order does not exist.", code=-2013)
        if (order.quantity, order.price) == (quantity, price):
            raise Rejected("No need to modify the order.", code=-5027)
        far = self.ask if order.side is Side.BUY else self.bid
        crosses = (price - far) * order.side.sign >= 0
        if quantity <= order.filled_quantity or (
            crosses and order.time_in_force is TimeInForce.GTX
        ):
            gone = replace(order, status=OrderStatus.CANCELED, updated_ms=self.clock.now_ms())
            self.orders[order_id] = gone
            return replace(gone, average_price=None)
        moved = replace(order, quantity=quantity, price=price, updated_ms=self.clock.now_ms())
        self.orders[order_id] = moved
        if crosses:
            moved = self._execute(moved, moved.remaining_quantity, far)
        return replace(moved, average_price=None)

    async def send_batch(
        self, requests: Sequence[LimitRequest | MarketRequest]
    ) -> list[Order | VenueError]:
        self.before("send_batch")

        def accept() -> list[Order | VenueError]:
            outcomes: list[Order | VenueError] = []
            for request in requests:
                self.sent.append(request)
                try:
                    order = self._accept(request)
                except Rejected as error:
                    outcomes.append(error)
                else:
                    assert isinstance(order, Order)
                    outcomes.append(order)
            return outcomes

        return await self._do("send_batch", str(len(requests)), accept)

    async def test_order(self, request: LimitRequest | MarketRequest) -> None:
        await self._do("test_order", request.symbol, lambda: None)

    async def cancel_order(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order:
        self.before("cancel_order")

        def cancel() -> Order:
            order = self._find(order_id, client_order_id)
            if order is None or not order.status.is_open:
                raise Rejected("Unknown order sent.", code=-2011)
            gone = replace(order, status=OrderStatus.CANCELED, updated_ms=self.clock.now_ms())
            self.orders[order.order_id] = gone
            return replace(gone, average_price=None)

        return await self._do("cancel_order", str(order_id), cancel)

    async def cancel_algo_order(
        self, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> None:
        self.before("cancel_algo_order")

        def cancel() -> None:
            order = self._find_algo(algo_id, client_order_id)
            if order is None or not order.status.is_open:
                raise Rejected("Unknown order sent.", code=-2011)
            self.algos[order.algo_id] = replace(order, status=AlgoStatus.CANCELED)

        await self._do("cancel_algo_order", str(algo_id), cancel)

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        def change() -> int:
            self.leverage = leverage
            return leverage

        return await self._do("set_leverage", str(leverage), change)

    async def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        def change() -> None:
            self.margin_type = margin_type

        await self._do("set_margin_type", margin_type, change)

    async def set_position_mode(self, *, hedge: bool) -> None:
        def change() -> None:
            if self.open_orders or self.open_algos:
                raise Rejected("open orders", code=-4067)
            if any(quantity for quantity, _ in self.held.values()):
                raise Rejected("open positions", code=-4068)
            self.hedge_mode = hedge

        await self._do("set_position_mode", str(hedge), change)

    async def move_isolated_margin(
        self, symbol: str, amount: Decimal, *, position_side: PositionSide = PositionSide.BOTH
    ) -> None:
        def change() -> None:
            self.isolated_wallet += amount

        await self._do("move_isolated_margin", str(amount), change)

    async def cancel_all_open_orders(self, symbol: str) -> None:
        self.before("cancel_all_open_orders")

        def cancel() -> None:
            for order in self._of(self.open_orders, symbol):
                self.orders[order.order_id] = replace(order, status=OrderStatus.CANCELED)

        await self._do("cancel_all_open_orders", symbol, cancel)

    async def cancel_all_algo_orders(self, symbol: str) -> None:
        self.before("cancel_all_algo_orders")

        def cancel() -> None:
            for order in self._of(self.open_algos, symbol):
                self.algos[order.algo_id] = replace(order, status=AlgoStatus.CANCELED)

        await self._do("cancel_all_algo_orders", symbol, cancel)

    # --- reads ------------------------------------------------------------------------------

    def venue_now_ms(self) -> int:
        return self.clock.now_ms()

    def orders_left(self) -> int:
        return self.orders_allowed

    async def get_instruments(self) -> dict[str, Instrument]:
        return await self._do(
            "get_instruments",
            "",
            lambda: {name: self._instrument(name) for name in (SYMBOL, "ETHUSDT")},
        )

    async def get_book_top(self, symbol: str) -> BookTop:
        top = BookTop(
            symbol=symbol,
            bid=self.bid,
            bid_quantity=Decimal(10),
            ask=self.ask,
            ask_quantity=Decimal(10),
            venue_ms=self.clock.now_ms(),
        )
        return await self._do("get_book_top", symbol, lambda: top)

    async def get_mark_price(self, symbol: str) -> MarkPrice:
        return await self._do("get_mark_price", symbol, lambda: self._mark(symbol))

    async def get_mark_prices(self) -> dict[str, MarkPrice]:
        return await self._do(
            "get_mark_prices", "", lambda: {name: self._mark(name) for name in (SYMBOL, "ETHUSDT")}
        )

    async def get_leverage_brackets(self, symbol: str) -> list[LeverageBracket]:
        return [
            LeverageBracket(
                bracket=1,
                leverage_max=125,
                notional_floor=Decimal(0),
                notional_cap=Decimal(300_000),
                maintenance_rate=Decimal("0.004"),
                maintenance_amount=Decimal(0),
            )
        ]

    async def get_commission_rate(self, symbol: str) -> tuple[Decimal, Decimal]:
        return Decimal("0.0002"), Decimal("0.0005")

    async def get_account_summary(self) -> AccountSummary:
        summary = AccountSummary(
            wallet_balance=self.equity,
            unrealized_pnl=Decimal(0),
            margin_balance=self.equity,
            available_balance=self.equity,
            initial_margin=Decimal(0),
            maintenance_margin=Decimal(0),
            can_trade=True,
            can_withdraw=False,
            hedge_mode=self.hedge_mode,
            multi_assets_mode=False,
            fee_tier=0,
            updated_ms=self.clock.now_ms(),
        )
        return await self._do("get_account_summary", "", lambda: summary)

    async def get_positions(self) -> list[Position]:
        return await self._do("get_positions", "", self._shown_positions)

    async def get_position_sizes(
        self, symbol: str | None = None
    ) -> list[tuple[str, PositionSide, Decimal]]:
        rows = [(row.symbol, row.position_side, row.quantity) for row in self._positions()]
        return await self._do("get_position_sizes", str(symbol), lambda: rows)

    async def get_position_risk(self, symbol: str) -> list[Position]:
        return await self._do(
            "get_position_risk",
            symbol,
            lambda: [row for row in self._shown_positions() if row.symbol == symbol],
        )

    async def get_symbol_config(self, symbol: str | None = None) -> list[SymbolConfig]:
        config = SymbolConfig(
            symbol=symbol or SYMBOL,
            margin_type=self.margin_type,
            leverage=self.leverage,
            notional_max=Decimal(1_000_000),
        )
        return await self._do("get_symbol_config", str(symbol), lambda: [config])

    async def get_income(
        self, *, start_ms: int, end_ms: int | None = None, income_type: str | None = None
    ) -> list[IncomeRow]:
        return await self._do("get_income", "", lambda: list(self.income))

    async def get_fills(
        self, symbol: str, *, start_ms: int | None = None, order_id: int | None = None
    ) -> list[Fill]:
        return await self._do(
            "get_fills", symbol, lambda: [row for row in self.fills if row.symbol == symbol]
        )

    async def get_order_status(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order:
        def query() -> Order:
            order = self._find(order_id, client_order_id)
            if order is None or self.clock.now_ms() < self.invisible_until_ms:
                raise Rejected("Order does not exist.", code=-2013)
            return order

        return await self._do("get_order_status", str(order_id or client_order_id), query)

    async def get_algo_order(
        self, symbol: str, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> AlgoOrder:
        def query() -> AlgoOrder:
            order = self._find_algo(algo_id, client_order_id)
            if order is None or self.clock.now_ms() < self.invisible_until_ms:
                raise Rejected("Order does not exist.", code=-2013)
            return order

        return await self._do("get_algo_order", str(algo_id or client_order_id), query)

    async def get_open_orders(self, symbol: str | None = None) -> list[Order]:
        return await self._do(
            "get_open_orders", str(symbol), lambda: self._of(self.open_orders, symbol)
        )

    async def get_open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]:
        return await self._do(
            "get_open_algo_orders", str(symbol), lambda: self._of(self.open_algos, symbol)
        )

    async def get_all_orders(self, symbol: str, *, start_ms: int | None = None) -> list[Order]:
        return await self._do(
            "get_all_orders", symbol, lambda: self._of(list(self.orders.values()), symbol)
        )

    async def get_all_algo_orders(
        self, symbol: str, *, start_ms: int | None = None
    ) -> list[AlgoOrder]:
        return await self._do(
            "get_all_algo_orders", symbol, lambda: self._of(list(self.algos.values()), symbol)
        )

    async def get_open_order_ids(self, symbol: str | None = None) -> list[tuple[str, int, str]]:
        rows = [(row.symbol, row.order_id, row.client_order_id) for row in self.open_orders]
        return await self._do("get_open_order_ids", str(symbol), lambda: rows)

    async def get_open_algo_order_ids(
        self, symbol: str | None = None
    ) -> list[tuple[str, int, str]]:
        rows = [(row.symbol, row.algo_id, row.client_order_id) for row in self.open_algos]
        return await self._do("get_open_algo_order_ids", str(symbol), lambda: rows)

    # --- matching, as little of it as will do --------------------------------------------------

    async def _do(self, method: str, detail: str, act: Callable[[], T]) -> T:
        self.log.append((method, detail))
        await asyncio.sleep(0)
        if method in self._forever:
            raise self._forever[method]
        faults = self._faults[method]
        fault = faults.popleft() if faults else None
        if fault is not None and not fault.executed:
            raise fault.error
        result = act()
        self._watch_stops()
        if method in self.late:
            await self.clock.sleep(self.late.pop(method))
        if fault is not None:
            raise fault.error
        return result

    def _watch_stops(self) -> None:
        covered = bool(self.stops)
        if self._was_stopped and not covered and any(q for q, _ in self.held.values()):
            self.naked.append(self.clock.now_ms())
        self._was_stopped = covered

    def _accept(self, request: OrderRequest) -> Order | AlgoOrder:
        if any(row.client_order_id == request.client_order_id for row in self.open_orders):
            raise Rejected("clientOrderId is duplicated", code=-4116)
        if isinstance(request, ConditionalRequest):
            return self._accept_algo(request)
        if request.reduce_only and self._reducible(request) == 0:
            raise Rejected("ReduceOnly Order is rejected.", code=-2022)
        if isinstance(request, MarketRequest):
            return self._accept_market(request)
        return self._accept_limit(request)

    def _accept_limit(self, request: LimitRequest) -> Order:
        far = self.ask if request.side is Side.BUY else self.bid
        crosses = (request.price - far) * request.side.sign >= 0
        if request.time_in_force is TimeInForce.GTX and crosses:
            raise Rejected("Due to the order could not be executed as maker", code=-5022)
        order = self._store(request, OrderType.LIMIT, request.price, request.time_in_force)
        if crosses:
            order = self._execute(order, order.quantity, far)
        if order.status.is_open and request.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            order = replace(order, status=OrderStatus.EXPIRED)
            self.orders[order.order_id] = order
        return replace(order, average_price=None)

    def _accept_market(self, request: MarketRequest) -> Order:
        if request.quantity > self.quantity_max:
            raise Rejected("Quantity greater than max quantity.", code=-4005)
        order = self._store(request, OrderType.MARKET, Decimal(0), TimeInForce.GTC)
        quantity = request.quantity
        if request.reduce_only:
            quantity = min(quantity, self._reducible(request))
        if self.market_fill_max is not None:
            quantity = min(quantity, self.market_fill_max)
        far = self.ask if request.side is Side.BUY else self.bid
        order = self._execute(order, quantity, far)
        if order.status.is_open:
            order = replace(order, status=OrderStatus.EXPIRED)
            self.orders[order.order_id] = order
        return replace(order, average_price=None)

    def _accept_algo(self, request: ConditionalRequest) -> AlgoOrder:
        mark = self._mark(request.symbol).mark_price
        if request.trigger_price is not None:
            stop = request.type in (OrderType.STOP, OrderType.STOP_MARKET)
            sign = request.side.sign if stop else -request.side.sign
            if (mark - request.trigger_price) * sign >= 0:
                raise Rejected("Order would immediately trigger.", code=-2021)
        twin = [
            row
            for row in self.open_algos
            if row.close_position
            and (row.symbol, row.type, row.side, row.position_side)
            == (request.symbol, request.type, request.side, request.position_side)
        ]
        if request.close_position and twin:
            raise Rejected("An open stop or take profit order is existing.", code=-4130)
        order = AlgoOrder(
            symbol=request.symbol,
            algo_id=next(self._ids),
            client_order_id=request.client_order_id,
            side=request.side,
            position_side=request.position_side,
            type=request.type,
            status=AlgoStatus.NEW,
            quantity=request.quantity or Decimal(0),
            trigger_price=request.trigger_price,
            price=request.price,
            activate_price=request.activate_price,
            callback_rate=request.callback_rate,
            working_type=request.working_type,
            close_position=request.close_position,
            reduce_only=request.reduce_only,
            time_in_force=request.time_in_force,
            order_id=None,
            filled_quantity=None,
            reject_reason=None,
            created_ms=self.clock.now_ms(),
            updated_ms=self.clock.now_ms(),
        )
        self.algos[order.algo_id] = order
        return order

    def _store(
        self,
        request: LimitRequest | MarketRequest,
        type_: OrderType,
        price: Decimal,
        time_in_force: TimeInForce,
    ) -> Order:
        order = Order(
            symbol=request.symbol,
            order_id=next(self._ids),
            client_order_id=request.client_order_id,
            side=request.side,
            position_side=request.position_side,
            type=type_,
            status=OrderStatus.NEW,
            quantity=request.quantity,
            filled_quantity=Decimal(0),
            price=price,
            average_price=Decimal(0),
            time_in_force=time_in_force,
            reduce_only=request.reduce_only,
            close_position=False,
            created_ms=self.clock.now_ms(),
            updated_ms=self.clock.now_ms(),
        )
        self.orders[order.order_id] = order
        return order

    def _execute(self, order: Order, quantity: Decimal, price: Decimal) -> Order:
        filled = order.filled_quantity + quantity
        whole = filled >= order.quantity
        paid = order.filled_quantity * (order.average_price or Decimal(0)) + quantity * price
        order = replace(
            order,
            filled_quantity=filled,
            average_price=paid / filled if filled else price,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
            updated_ms=self.clock.now_ms(),
        )
        self.orders[order.order_id] = order
        self.fills.append(self._fill_of(order, quantity, price))
        key = (order.symbol, order.position_side)
        held, entry = self.held.get(key, (Decimal(0), Decimal(0)))
        after = held + quantity * order.side.sign
        if abs(after) > abs(held):
            entry = (abs(held) * entry + quantity * price) / abs(after)
        self.held[key] = (after, entry)
        return order

    def _reducible(self, request: LimitRequest | MarketRequest) -> Decimal:
        held = self.quantity(request.symbol, request.position_side)
        return max(Decimal(0), -held * request.side.sign)

    def _fill_of(self, order: Order, quantity: Decimal, price: Decimal) -> Fill:
        return Fill(
            symbol=order.symbol,
            trade_id=next(self._ids),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            realized_pnl=Decimal(0),
            commission=quantity * price * Decimal("0.0005"),
            commission_asset="USDT",
            maker=False,
            time_ms=self.clock.now_ms(),
        )

    def _shown_positions(self) -> list[Position]:
        if self.empty_answers > 0:
            self.empty_answers -= 1
            return []
        return self._positions()

    def _positions(self) -> list[Position]:
        return [
            Position(
                symbol=symbol,
                position_side=side,
                quantity=quantity,
                entry_price=entry,
                break_even_price=entry,
                mark_price=self._mark(symbol).mark_price,
                unrealized_pnl=quantity * (self._mark(symbol).mark_price - entry),
                liquidation_price=None,
                isolated_margin=self.isolated_wallet
                + quantity * (self._mark(symbol).mark_price - entry),
                initial_margin=Decimal(0),
                maintenance_margin=Decimal(0),
                leverage=self.leverage,
                margin_type=self.margin_type,
                updated_ms=self.clock.now_ms(),
            )
            for (symbol, side), (quantity, entry) in self.held.items()
            if quantity != 0
        ]

    def _mark(self, symbol: str) -> MarkPrice:
        price = self.bid if self.mark is None else self.mark
        return MarkPrice(
            symbol=symbol,
            mark_price=price,
            index_price=price,
            funding_rate=Decimal(0),
            next_funding_ms=0,
            venue_ms=self.clock.now_ms(),
        )

    def _instrument(self, symbol: str) -> Instrument:
        return Instrument(
            symbol=symbol,
            base_asset=symbol[:3],
            quote_asset="USDT",
            margin_asset="USDT",
            status="TRADING",
            tick_size=TICK,
            price_min=Decimal("261.1"),
            price_max=Decimal(809_484),
            quantity_step=Decimal("0.001"),
            quantity_min=Decimal("0.001"),
            quantity_max=Decimal(1_000),
            market_quantity_step=Decimal("0.001"),
            market_quantity_min=Decimal("0.001"),
            market_quantity_max=self.quantity_max,
            notional_min=Decimal(50),
            percent_up=Decimal("1.05"),
            percent_down=Decimal("0.95"),
            liquidation_fee=Decimal("0.0125"),
            market_take_bound=Decimal("0.05"),
            trigger_protect=Decimal("0.05"),
            price_precision=2,
            quantity_precision=3,
        )

    def _find(self, order_id: int | None, client_order_id: str | None) -> Order | None:
        if order_id is not None:
            return self.orders.get(order_id)
        rows = [row for row in self.orders.values() if row.client_order_id == client_order_id]
        return rows[-1] if rows else None

    def _find_algo(self, algo_id: int | None, client_order_id: str | None) -> AlgoOrder | None:
        if algo_id is not None:
            return self.algos.get(algo_id)
        rows = [row for row in self.algos.values() if row.client_order_id == client_order_id]
        return rows[-1] if rows else None

    def _of(self, rows: list[T], symbol: str | None) -> list[T]:
        if self.clock.now_ms() < self.invisible_until_ms:
            return []
        return [row for row in rows if symbol in (None, getattr(row, "symbol", None))]


@dataclass
class Floor:
    """A venue with everything of ours on top of it, real but for the exchange."""

    venue: FakeVenue
    clock: VirtualClock
    journal: Journal
    latch: HaltLatch
    orders: OrderManager

    async def run(self, action: Awaitable[T]) -> T:
        return await self.clock.run(action)


def build_floor(
    folder: Path,
    *,
    limits: RiskLimits | None = None,
    policy: EntryPolicy | None = None,
    venue: type[FakeVenue] = FakeVenue,
) -> Floor:
    """Return a floor whose journal and latch live in `folder`."""
    clock = VirtualClock()
    journal = Journal.open(folder / "journal.db", clock)
    latch = HaltLatch(folder / "halt", clock)
    built = venue(clock)
    orders = OrderManager(
        built,
        journal=journal,
        risk=RiskManager(limits or RiskLimits()),
        latch=latch,
        clock=clock,
        policy=policy or EntryPolicy(),
    )
    return Floor(venue=built, clock=clock, journal=journal, latch=latch, orders=orders)


def unknown(text: str = "timeout") -> OutcomeUnknown:
    return OutcomeUnknown(text, code=-1007)

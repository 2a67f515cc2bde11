"""What every desk of the venue shares: the account, the counters, the outbox, the open changes.

Desks (`order_desk`, `algo_desk`, `clearing`) act on it; it decides nothing itself but how a
movement of money is booked. Must not know parameters or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from heapq import heappush
from typing import Final, ParamSpec

from trader_cli.domain.terms import AlgoStatus
from trader_cli.paper.books.account import Account, SymbolAccount
from trader_cli.paper.books.ledger import PositionRecord
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.markets.market import Market
from trader_cli.paper.state.records import AlgoRecord, IncomeRecord, OrderRecord, bare
from trader_cli.paper.state.state import Changes, JsonObject, State
from trader_cli.paper.venue import events
from trader_cli.paper.venue.disturbance import Disturbance, Undisturbed
from trader_cli.paper.venue.events import UserEvent

_P = ParamSpec("_P")
_TIME: Final = "time"
_WALLET: Final = "wallet"
_SYMBOL: Final = "symbol/"
_COUNTERS: Final = "counters"
_FIRST_IDS: Final = {
    "orders": 34_000_000_000,
    "algos": 4_000_000_000_000_000,
    "trades": 1_000_000_000,
    "income": 9_000_000_000,
    "amendments": 0,
    "margin_moves": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSettings:
    """What may differ between two paper venues.

    Attributes:
        initial_balance: USDT of a fresh account.
        leverage: every symbol's leverage on a fresh account.
        close_position_expires: True: a closePosition stop or target ends with its position
            (EXPIRED); False: it stays resting, as users of the real venue report.
        open_order_limits: False lifts the limits on how many orders may rest (for benchmarks).
        group_commit: True: writes wait for `Venue.commit`, which whoever passes answers on calls
            first; so that all requests of one moment are written at once.
    """

    initial_balance: Decimal = Decimal(10_000)
    leverage: int = 20
    close_position_expires: bool = False
    open_order_limits: bool = True
    group_commit: bool = False


class Core:
    """The venue's working memory.

    Attributes:
        client_ids: open regular orders by (symbol, client order id).
        open_algos: conditional orders that have not triggered, by algo id.
        algo_client_ids: the same by client algo id.
        triggered: conditional orders whose regular order is open, by that order's id.
        stuck: conditional orders that fired and got no further, with when they will.
        deadlines: heap of (time, symbol) at which something of a symbol may end.
        disturbance: what may be out of order.
        heard: False while nobody listens; events are not even rendered then.
        turn: counts the steps, each of which may have changed anything.
        outbox: user-data events not yet fetched.
        forced: liquidations' own orders not yet fetched.
    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        market: Market,
        state: State,
        settings: VenueSettings,
    ) -> None:
        self.contracts = contracts
        self.market = market
        self._state = state
        self.settings = settings
        self.heard = True
        self.turn = 0
        self.disturbance: Disturbance = Undisturbed()
        self.outbox: list[UserEvent] = []
        self.forced: list[OrderRecord] = []
        self.changes = Changes()
        self._ids = dict(_FIRST_IDS)
        self._touched: set[str] = set()
        self._wallet_touched = False
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget account and orders; counters go on."""
        ticks = {symbol: self.market.latest(symbol) for symbol in self.contracts}
        self.account = Account(self.contracts, ticks, self.settings.leverage)
        self.client_ids: dict[tuple[str, str], OrderRecord] = {}
        self.open_algos: dict[int, AlgoRecord] = {}
        self.algo_client_ids: dict[str, AlgoRecord] = {}
        self.triggered: dict[int, AlgoRecord] = {}
        self.stuck: list[tuple[int, AlgoRecord]] = []
        self.deadlines: list[tuple[int, str]] = []
        self.changes = Changes()
        self._touched.clear()

    def next_id(self, kind: str) -> int:
        """Return a fresh id of a kind of record (a field name of `Changes`)."""
        self._ids[kind] += 1
        return self._ids[kind]

    def add_deadline(self, time_ms: int, symbol: str) -> None:
        """Have the symbol's good-till dates looked at when `time_ms` comes."""
        heappush(self.deadlines, (time_ms, symbol))

    @property
    def state(self) -> State:
        """The memory, up to date."""
        self.commit()
        return self._state

    def only_cancels(self, symbol: str) -> bool:
        """Return True while the symbol takes no new orders."""
        if self.market.is_stale(symbol):
            return True
        return self.disturbance.only_cancels(symbol, self.market.now_ms)

    def emit(self, event: UserEvent) -> None:
        """Add an event whether anybody hears it or not."""
        self.outbox.append(event)

    def tell(
        self, render: Callable[_P, UserEvent], *arguments: _P.args, **named: _P.kwargs
    ) -> None:
        """Add the event that `render` makes, if anybody hears it.

        Rendering costs more than what it tells of; so nobody's events are never rendered.
        """
        if self.heard:
            self.outbox.append(render(*arguments, **named))

    def touch(self, of: SymbolAccount) -> None:
        """Mark a symbol's positions or configuration, and the wallet, as changed."""
        self._touched.add(of.symbol)
        self._wallet_touched = True

    def touch_wallet(self) -> None:
        self._wallet_touched = True

    def post_income(
        self,
        kind: str,
        amount: Decimal,
        now_ms: int,
        *,
        symbol: str = "",
        trade_id: int | None = None,
        info: str | None = None,
    ) -> None:
        """Write one row of the income ledger; the caller moves the money.

        Args:
            amount: USDT with at most eight places, negative = paid; 0 writes nothing.
        """
        if not amount:
            return
        self.account.updated_ms = now_ms
        self._wallet_touched = True
        row = bare(IncomeRecord)
        row.tran_id = self.next_id("income")
        row.type = kind
        row.symbol = symbol
        row.amount = amount
        row.info = kind if info is None else info
        row.time_ms = now_ms
        row.trade_id = trade_id
        self.changes.income.append(row)

    def emit_account(
        self,
        reason: str,
        now_ms: int,
        *positions: tuple[SymbolAccount, PositionRecord],
        change: Decimal = Decimal(0),
        symbol: str | None = None,
    ) -> None:
        """Tell that balances or positions changed."""
        account = self.account
        if not self.heard:
            return
        self.outbox.append(
            events.account_update(
                reason,
                now_ms,
                wallet=account.wallet,
                cross_wallet=account.cross_wallet,
                change=change,
                positions=positions,
                symbol=symbol,
            )
        )

    def flush(self) -> None:
        """End one step: make it durable, unless steps are committed in groups."""
        self.turn += 1
        if not self.settings.group_commit:
            self.commit()

    def commit(self) -> None:
        """Hand everything that changed to the state; durable when it returns."""
        snapshots = self.changes.snapshots
        if self._wallet_touched:
            snapshots[_WALLET] = self.account.wallet_snapshot()
            self._wallet_touched = False
        for symbol in self._touched:
            snapshots[_SYMBOL + symbol] = self.account.symbol_snapshot(symbol)
        self._touched.clear()
        if self.changes:
            snapshots[_TIME] = {"now_ms": self.market.now_ms}
            self._state.save(self.changes)
            # What could not be saved stays here: nothing is acknowledged before it could be.
            self.changes = Changes()

    def counters(self) -> dict[str, JsonObject]:
        """Return the snapshot of the counters, for when the records they count are forgotten."""
        return {_COUNTERS: dict(self._ids)}

    def restore(self) -> bool:
        """Take over what the state remembers; False if it remembers no account."""
        stored = self._state.snapshots()
        for kind, last in {**stored.get(_COUNTERS, {}), **self._state.last_ids()}.items():
            self._ids[kind] = max(self._ids[kind], last)
        if _WALLET not in stored:
            return False
        # What the market told before the last save has had its effect already.
        self.market.advance(stored[_TIME]["now_ms"])
        for of in self.account.symbols.values():
            of.tick = self.market.latest(of.symbol)
        self.account.restore_wallet(stored[_WALLET])
        for name, body in stored.items():
            symbol = name.removeprefix(_SYMBOL)
            if name.startswith(_SYMBOL) and symbol in self.account.symbols:
                self.account.restore_symbol(symbol, body)
        self._restore_orders()
        self._restore_algos()
        for of in self.account.symbols.values():
            self.account.stir(of)
        return True

    def _restore_orders(self) -> None:
        for order in self._state.open_orders():
            of = self.account.symbols.get(order.symbol)
            if of is None:
                continue
            of.orders[order.order_id] = order
            of.book.readd(order)
            self.client_ids[order.symbol, order.client_order_id] = order
            if order.only_reduces:
                of.reducing[order.order_id] = order
            key = order.position_side, order.side
            of.resting[key] = of.resting_of(*key) + order.exposure
            if order.good_till_ms:
                self.add_deadline(order.good_till_ms, order.symbol)

    def _restore_algos(self) -> None:
        for algo in self._state.open_algos():
            of = self.account.symbols.get(algo.symbol)
            if of is None:
                continue
            if algo.order_id is not None:
                self.triggered[algo.order_id] = algo
                continue
            if algo.status is AlgoStatus.TRIGGERING:
                self.stuck.append((0, algo))  # what held it ended with the process
                continue
            self.open_algos[algo.algo_id] = algo
            self.algo_client_ids[algo.client_algo_id] = algo
            of.algos[algo.algo_id] = algo
            of.triggers.add(algo)
            if algo.good_till_ms:
                self.add_deadline(algo.good_till_ms, algo.symbol)

"""One account's standing: wallet, positions, what is open, and the margin it all needs.

Sums over symbols are kept up to date by differences, so that an order or a tick costs the same
however many symbols, orders and positions there are. Must not decide anything. Pure.

Source: binance-usdm reference §13.6, §13.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from trader_cli.domain.numbers import ONE, ZERO
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.paper.books import margin
from trader_cli.paper.books.algo import Prices, TriggerBook
from trader_cli.paper.books.ledger import PositionRecord
from trader_cli.paper.books.matching import RestingBook
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.state.records import AlgoRecord, OrderRecord, from_json, to_json

_BUY: Final = Side.BUY
_BIDS: Final = (PositionSide.BOTH, Side.BUY)
_ASKS: Final = (PositionSide.BOTH, Side.SELL)
_BOTH: Final = PositionSide.BOTH

Figures = tuple[Decimal, Decimal, Decimal, Decimal]
"""A symbol's part in the account's sums: initial margin of its orders, and of its cross positions
initial margin, unrealised profit and maintenance margin."""

_NOTHING: Final[Figures] = (ZERO, ZERO, ZERO, ZERO)


class SymbolAccount:
    """One symbol of the account.

    Attributes:
        positions: keyed BOTH in one-way mode, else LONG and SHORT; made when first asked for.
        orders, algos: what is open, by id, in the order of acceptance.
        reducing: the open orders that may only reduce.
        resting: notional of open orders that may open, by (position side, side).
        figures: what it adds to the account's sums, as of when these were last brought up to date.
        notional_max: the largest position the present leverage allows, USDT.
        margin_rate: what of a notional is needed as margin, at most.
    """

    __slots__ = (
        "_taken",
        "_taken_at",
        "algos",
        "book",
        "contract",
        "figures",
        "hedge",
        "isolated",
        "leverage",
        "margin_rate",
        "notional_max",
        "orders",
        "positions",
        "reducing",
        "resting",
        "symbol",
        "tick",
        "triggers",
    )

    def __init__(self, contract: Contract, tick: MarketTick, leverage: int) -> None:
        self.contract = contract
        self.symbol = contract.symbol
        self.tick = tick
        self.set_leverage(min(leverage, margin.leverage_max(contract.brackets)))
        self.isolated = False
        self.hedge = False
        self.positions: dict[PositionSide, PositionRecord] = {}
        self.orders: dict[int, OrderRecord] = {}
        self.reducing: dict[int, OrderRecord] = {}
        self.algos: dict[int, AlgoRecord] = {}
        self.book = RestingBook()
        self.triggers = TriggerBook()
        self.resting: dict[tuple[PositionSide, Side], Decimal] = {}
        self._taken: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self._taken_at = tick
        self.figures = _NOTHING

    def set_leverage(self, leverage: int) -> None:
        """Take a leverage and what follows from it."""
        self.leverage = leverage
        self.notional_max = margin.notional_max(self.contract.brackets, leverage)
        self.margin_rate = (ONE / leverage).next_plus()

    @property
    def mark(self) -> Decimal:
        return self.tick.mark_price

    @property
    def prices(self) -> Prices:
        """The prices triggers are compared with."""
        return Prices(last=self.tick.last_price, mark=self.tick.mark_price)

    def position(self, side: PositionSide) -> PositionRecord:
        found = self.positions.get(side)
        if found is None:
            found = self.positions[side] = PositionRecord(symbol=self.symbol, side=side)
        return found

    def held(self) -> list[PositionRecord]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.amount != 0]

    def resting_of(self, position_side: PositionSide, side: Side) -> Decimal:
        return self.resting.get((position_side, side), ZERO)

    def is_busy(self) -> bool:
        """True while it has a position or an open order."""
        return bool(self.orders) or any(p.amount != 0 for p in self.positions.values())

    def taken(self, side: Side) -> dict[Decimal, Decimal]:
        """Return what takers of a side took since the last tick, by price; theirs to add to."""
        if self._taken_at is not self.tick:
            self._taken_at = self.tick
            for taken in self._taken.values():
                taken.clear()
        return self._taken[side]

    def need_with(
        self, position_side: PositionSide, side: Side, notional: Decimal
    ) -> margin.MarginNeed:
        """Return the initial margin if one more order of `notional` rested."""
        resting = self.resting
        if position_side is _BOTH:
            held = self.positions.get(_BOTH)
            bids, asks = resting.get(_BIDS, ZERO), resting.get(_ASKS, ZERO)
            if side is _BUY:
                bids += notional
            else:
                asks += notional
            signed = ZERO if held is None else held.amount * self.tick.mark_price
            return margin.one_way_need(signed, bids, asks, self.leverage)
        total = sum((abs(p.amount) for p in self.positions.values()), ZERO) * self.mark
        return margin.hedge_need(total, sum(resting.values(), notional), self.leverage)

    @property
    def need(self) -> margin.MarginNeed:
        """Initial margin of positions and orders, cross and isolated alike."""
        return self.need_with(PositionSide.LONG if self.hedge else _BOTH, Side.BUY, ZERO)

    def figure(self) -> Figures:
        """Return the figures at the present mark and orders."""
        if not self.positions and not self.resting:
            return _NOTHING
        held, ordered = self.need
        if self.isolated:
            return (ordered, ZERO, ZERO, ZERO)
        mark, brackets = self.tick.mark_price, self.contract.brackets
        unrealized = maintenance = ZERO
        for position in self.positions.values():
            amount = position.amount
            if amount:
                unrealized += amount * (mark - position.entry_price)
                maintenance += margin.maintenance(brackets, abs(amount) * mark)
        return (ordered, held, unrealized, maintenance)

    def maintenance_of(self, position: PositionRecord) -> Decimal:
        """Return a position's maintenance margin at mark, USDT."""
        return margin.maintenance(self.contract.brackets, abs(position.amount) * self.mark)

    def quantity_to_close(self, position_side: PositionSide, side: Side) -> Decimal:
        """Return how much an order of `side` can reduce that position, 0 if nothing."""
        held = self.positions.get(position_side)
        if held is None or held.amount == 0 or (held.amount > 0) is (side is _BUY):
            return ZERO
        return abs(held.amount)


class Account:
    """All symbols of one account and its wallet.

    Attributes:
        cross_wallet: USDT not set aside for isolated positions.
        hedge: True in hedge (dual-side) mode.
    """

    def __init__(
        self, contracts: Mapping[str, Contract], ticks: Mapping[str, MarketTick], leverage: int
    ) -> None:
        self.cross_wallet = ZERO
        self.hedge = False
        self.updated_ms = 0
        self.symbols = {
            symbol: SymbolAccount(contract, ticks[symbol], leverage)
            for symbol, contract in contracts.items()
        }
        self._sums = _NOTHING
        self._stirred: dict[SymbolAccount, None] = {}
        self._floor: Decimal | None = None

    def set_hedge(self, *, hedge: bool) -> None:
        """Change the position mode; the caller has made sure that everything is flat."""
        self.hedge = hedge
        for of in self.symbols.values():
            of.hedge = hedge
            of.positions.clear()
            of.resting.clear()
            self.stir(of)

    def stir(self, of: SymbolAccount, cost: Decimal | None = None) -> None:
        """Note that a symbol's mark, positions or orders are others; nothing is computed yet.

        Args:
            cost: how much less is available by it, the wallet apart, at most; None: not known.
        """
        self._stirred[of] = None
        if cost is None or self._floor is None:
            self._floor = None
        else:
            self._floor -= cost

    def surely_has(self, amount: Decimal) -> bool:
        """Return True if `amount`, USDT, is available; False says nothing.

        What orders cost at most is taken off a bound, so that margin need not be computed anew
        for each of them.
        """
        if self._floor is None:
            orders, held, unrealized, _ = self.sums()
            self._floor = unrealized - held - orders
        return amount < self.cross_wallet + self._floor

    def sums(self) -> Figures:
        """Return the sums of all symbols' figures, each USDT.

        Initial margin of open orders; of cross positions initial margin, unrealised profit and
        maintenance margin.
        """
        if self._stirred:
            orders, held, unrealized, maintenance = self._sums
            for of in self._stirred:
                before = of.figures
                now = of.figures = of.figure()
                orders += now[0] - before[0]
                held += now[1] - before[1]
                unrealized += now[2] - before[2]
                maintenance += now[3] - before[3]
            self._stirred.clear()
            self._sums = orders, held, unrealized, maintenance
        return self._sums

    @property
    def available(self) -> Decimal:
        """What new orders may use, USDT, never negative."""
        orders, held, unrealized, _ = self.sums()
        free = self.cross_wallet + unrealized - held - orders
        return free if free > ZERO else ZERO

    @property
    def unrealized(self) -> Decimal:
        """Profit of all cross positions, USDT, negative = loss."""
        return self.sums()[2]

    @property
    def cross_balance(self) -> Decimal:
        """Cross wallet with unrealised profit and loss: what cross liquidation looks at."""
        return self.cross_wallet + self.sums()[2]

    @property
    def maintenance(self) -> Decimal:
        """Maintenance margin of all cross positions, USDT."""
        return self.sums()[3]

    @property
    def wallet(self) -> Decimal:
        """The whole wallet: cross and what isolated positions hold."""
        isolated = sum((p.isolated_wallet for _, p in self.positions()), ZERO)
        return self.cross_wallet + isolated

    def positions(self) -> Iterator[tuple[SymbolAccount, PositionRecord]]:
        """Yield every position that is not flat, with its symbol."""
        for of in self.symbols.values():
            for position in of.positions.values():
                if position.amount != 0:
                    yield of, position

    def wallet_snapshot(self) -> dict[str, Any]:
        """Return what belongs to no symbol, JSON-able."""
        return {
            "cross_wallet": format(self.cross_wallet, "f"),
            "hedge": self.hedge,
            "updated_ms": self.updated_ms,
        }

    def symbol_snapshot(self, symbol: str) -> dict[str, Any]:
        """Return a symbol's configuration and positions, JSON-able; orders are stored apart."""
        of = self.symbols[symbol]
        return {
            "leverage": of.leverage,
            "isolated": of.isolated,
            "positions": [to_json(position) for position in of.positions.values()],
        }

    def restore_wallet(self, stored: Mapping[str, Any]) -> None:
        """Take over a `wallet_snapshot`; before the symbols."""
        self.cross_wallet = Decimal(stored["cross_wallet"])
        self.set_hedge(hedge=stored["hedge"])
        self.updated_ms = stored["updated_ms"]

    def restore_symbol(self, symbol: str, stored: Mapping[str, Any]) -> None:
        """Take over a `symbol_snapshot`."""
        of = self.symbols[symbol]
        of.set_leverage(stored["leverage"])
        of.isolated = stored["isolated"]
        for body in stored["positions"]:
            position = from_json(PositionRecord, body)
            of.positions[position.side] = position

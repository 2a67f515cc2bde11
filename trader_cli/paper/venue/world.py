"""How the world goes on around an account: ticks, fills, triggers, funding, dates, countdowns.

Everything happens in the order of its time, whether the market tells every tick or passes over
those inside which nothing can happen (`quiet.py`). Must not know parameters, answers or clients.

Source: binance-usdm reference §6.7, §7, §13.4.
"""

from __future__ import annotations

from heapq import heappop
from typing import Final

from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.markets.market import MarketTick, PassingMarket
from trader_cli.paper.state.state import MARKET_SNAPSHOT
from trader_cli.paper.venue.algo_desk import AlgoDesk
from trader_cli.paper.venue.clearing import WARNING_RATIO, Clearing
from trader_cli.paper.venue.core import Core
from trader_cli.paper.venue.order_desk import OrderDesk
from trader_cli.paper.venue.quiet import Lookout
from trader_cli.paper.venue.settlement import Settlement

_MARKET_SAVE_MS: Final = 60_000
_ATTEND_MS: Final = 1_000
_VENUE: Final = "venue"
"""Who attends to the market here."""
_COUNTDOWNS: Final = "countdowns"


class World:
    """What happens of itself, and when.

    Attributes:
        clearing: funding, liquidation and deleveraging of the account.
    """

    def __init__(
        self,
        core: Core,
        orders: OrderDesk,
        algos: AlgoDesk,
        settlement: Settlement,
        now_ms: int,
    ) -> None:
        """Begin at `now_ms` with a fresh account; `take_up` says that it is none."""
        self._core = core
        self._market = core.market
        self._orders = orders
        self._algos = algos
        self._settlement = settlement
        self._market_saved_ms = now_ms
        self._ticks: list[MarketTick] = []
        self._attended: set[str] = set()
        self._attend_again_ms = 0
        self._market.attend(_VENUE, ())
        self._countdowns: dict[str, int] = {}
        self.clearing = Clearing(core, settlement, now_ms)
        self._lookout = Lookout(core.account, WARNING_RATIO)
        self._turn = core.turn
        market = self._market
        self._passing = market if isinstance(market, PassingMarket) else None

    def take_up(self) -> None:
        """Go on where the market stood when the restored account was stored."""
        self._countdowns |= self._core.state.snapshots().get(_COUNTDOWNS, {})
        self.clearing = Clearing(self._core, self._settlement, self._market.now_ms)

    def start_afresh(self, now_ms: int) -> None:
        """Forget what was to happen to an account that is gone."""
        self._countdowns.clear()
        self._lookout = Lookout(self._core.account, WARNING_RATIO)
        self.clearing = Clearing(self._core, self._settlement, now_ms)

    def advance(self, now_ms: int) -> None:
        """Let the world go on to `now_ms`.

        Ticks, matching, triggers, funding, liquidation, good-till dates, countdowns; in the order
        of their times.
        """
        if now_ms >= self._attend_again_ms:
            self._attend(now_ms)
        if self._core.turn != self._turn:
            self._lookout.forget()
        if self._passing is None or self._passing.must_tell_all(_VENUE):
            self._play(self._market.advance(now_ms))
        else:
            self._pass(self._passing, now_ms)
        self._run_out(now_ms)
        if self._algos.release(now_ms):
            self._lookout.forget()
        if now_ms - self._market_saved_ms >= _MARKET_SAVE_MS:
            self.save_market(now_ms)
        self._core.flush()
        self._turn = self._core.turn

    def drain_ticks(self) -> list[MarketTick]:
        """Return the market's ticks since the last call, oldest first."""
        drained, self._ticks = self._ticks, []
        return drained

    def _attend(self, now_ms: int) -> None:
        """Have the market tell the ticks of symbols that have something at stake, no others.

        Looked at once a second, and at once when a symbol gets its first order.
        """
        self._attend_again_ms = now_ms + _ATTEND_MS
        busy = {
            symbol for symbol, of in self._core.account.symbols.items() if of.algos or of.is_busy()
        }
        busy |= {algo.symbol for _, algo in self._core.stuck}
        if busy != self._attended:
            self._attended = busy
            self._market.attend(_VENUE, busy)

    def stake(self, of: SymbolAccount) -> None:
        """Note that a symbol has something at stake from now on."""
        if of.symbol not in self._attended:
            self._attend_again_ms = 0

    def look(self, of: SymbolAccount) -> SymbolAccount:
        """Bring the prices of a symbol up to date whose ticks may not have been told."""
        if of.symbol not in self._attended:
            tick = self._market.latest(of.symbol)
            if tick is not of.tick:
                self._see(of, tick)
        return of

    def _see(self, of: SymbolAccount, tick: MarketTick) -> None:
        of.tick = tick
        # What rests needs the same margin at any mark; only what is held is worth more or less.
        if of.positions:
            self._core.account.stir(of)

    def set_countdown(self, symbol: str, due_ms: int) -> None:
        """Let a symbol's orders be cancelled at `due_ms`, 0 never; outlives the process."""
        self._countdowns.pop(symbol, None)
        if due_ms:
            self._countdowns[symbol] = due_ms
        self._core.changes.snapshots[_COUNTDOWNS] = dict(self._countdowns)

    def _play(self, ticks: list[MarketTick]) -> None:
        """Let ticks happen, oldest first."""
        if not ticks:
            return
        self._ticks += ticks
        symbols, stir = self._core.account.symbols, self._core.account.stir
        bands = self._lookout.bands
        due_ms = self._due_ms()
        for tick in ticks:
            if tick.time_ms >= due_ms:
                self._run_out(tick.time_ms)
                due_ms = self._due_ms()
            of = symbols.get(tick.symbol)
            if of is None:
                continue
            of.tick = tick
            # What rests needs the same margin at any mark; what is held is worth more or less.
            if of.positions:
                stir(of)
            band = bands.get(tick.symbol)
            if band is not None and band.holds(tick):
                continue
            if self._happens(of, tick):
                due_ms = self._due_ms()
                self._lookout.forget()
            else:
                self._lookout.looked_at(of)

    def _pass(self, market: PassingMarket, now_ms: int) -> None:
        """Let the ticks up to `now_ms` happen, leaving those untold that cannot matter."""
        market.pass_to(now_ms)
        bands = self._lookout.bands
        while True:
            due_ms = self._due_ms()
            tick = market.next_tick(_VENUE, bands, min(now_ms, due_ms - 1))
            if tick is None:
                self._catch_up(market, None)
                if due_ms > now_ms:
                    return
                # What falls due does so before the first tick that is not earlier.
                self._lookout.forget()
                tick = market.next_tick(_VENUE, bands, now_ms)
                if tick is None:
                    return
            else:
                self._catch_up(market, tick.symbol)
            self._play([tick])

    def _catch_up(self, market: PassingMarket, told: str | None) -> None:
        """Bring the prices of symbols up to the tick told last that were passed over before it.

        Args:
            told: the symbol of that tick; then only what is held matters. None: all of them.
        """
        account = self._core.account
        for symbol in self._attended:
            of = account.symbols[symbol]
            if symbol != told and (told is None or of.positions):
                tick = market.passed(symbol)
                if tick.update_id != of.tick.update_id:
                    self._see(of, tick)

    def _happens(self, of: SymbolAccount, tick: MarketTick) -> bool:
        """Let a symbol's present tick have its effects; False if it had none."""
        changed = False
        if of.orders and of.book.is_near(tick):
            self._orders.fill_resting(of, tick)
            changed = True
        if of.algos and self._algos.on_tick(of, tick.time_ms):
            changed = True
        if of.positions and self.clearing.check(of, tick.time_ms):
            changed = True
        return changed

    def _due_ms(self) -> int:
        """Return when `_run_out` has something to do next."""
        due_ms = self.clearing.next_funding_ms
        if self._countdowns:
            due_ms = min(due_ms, *self._countdowns.values())
        if self._core.deadlines:
            due_ms = min(due_ms, self._core.deadlines[0][0])
        return due_ms

    def _run_out(self, now_ms: int) -> None:
        """Do what is due at `now_ms` by the clock alone."""
        if now_ms < self._due_ms():
            return
        self._lookout.forget()
        while self.clearing.next_funding_ms <= now_ms:
            self.clearing.settle_funding()
        deadlines = self._core.deadlines
        while deadlines and deadlines[0][0] <= now_ms:
            _, symbol = heappop(deadlines)
            of = self._core.account.symbols[symbol]
            self._settlement.expire_due(of, now_ms)
            self._algos.expire_due(of, now_ms)
        for symbol in [name for name, due in self._countdowns.items() if due <= now_ms]:
            self.set_countdown(symbol, 0)
            if symbol in self._core.account.symbols:
                self._settlement.cancel_all(self._core.account.symbols[symbol], now_ms)

    def save_market(self, now_ms: int) -> None:
        """Have the next commit store where the market stands."""
        self._market_saved_ms = now_ms
        self._core.changes.snapshots[MARKET_SNAPSHOT] = dict(self._market.snapshot())

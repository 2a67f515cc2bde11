"""The venue as its clients see it: one account's orders, positions and money on a market.

Knows the meaning of every private endpoint. Must not know sockets, signatures, weights or the
wall clock: every method is told the time. Reads and writes answer in the shapes of `wire.rest`,
a refusal is a `VenueRefusal` and changes nothing. Every write is handed to the state before it
returns, so that what was acknowledged survives the end of the process.

Source: binance-usdm reference §6-§8, §11, §13.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.numbers import to_text
from trader_cli.domain.terms import PositionSide
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.markets.market import Market, MarketTick
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import OrderRecord
from trader_cli.paper.state.state import MARKET_SNAPSHOT, State
from trader_cli.paper.venue import render, render_account, rules
from trader_cli.paper.venue.algo_desk import AlgoDesk
from trader_cli.paper.venue.core import Core, VenueSettings
from trader_cli.paper.venue.disturbance import Disturbance
from trader_cli.paper.venue.events import UserEvent
from trader_cli.paper.venue.order_desk import OrderDesk, record_of
from trader_cli.paper.venue.queries import Queries
from trader_cli.paper.venue.settings_desk import MarginWord, SettingsDesk
from trader_cli.paper.venue.settlement import Settlement
from trader_cli.paper.venue.world import World
from trader_cli.wire import rest, rest_account, rest_orders

__all__ = ["Venue", "VenueRefusal", "VenueSettings"]

JsonRow = dict[str, Any]
_DONE: Final = "The operation of cancel all open order is done."
_KEPT: Final = "kept/"


class Venue:
    """The exchange in a box. Not thread-safe: one owner calls it.

    Call `advance(now_ms)` before a request and on a timer; it is what makes things happen.
    """

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        market: Market,
        state: State,
        settings: VenueSettings,
        now_ms: int,
    ) -> None:
        """Take up what `state` remembers, or open a fresh account with its deposit.

        Args:
            contracts: those of them that the market has are traded.
            market: already restored from `state.load_market()`; the venue saves it.
        """
        listed = {symbol: contracts[symbol] for symbol in contracts if symbol in market.symbols}
        self._settings = settings
        self._market = market
        self._core = Core(listed, market, state, self._settings)
        self._settlement = Settlement(self._core)
        self._orders = OrderDesk(self._core, self._settlement)
        self._algos = AlgoDesk(self._core, self._orders, self._settlement)
        self._config = SettingsDesk(self._core)
        self._queries = Queries(self._core)
        self._world = World(self._core, self._orders, self._algos, self._settlement, now_ms)
        if self._core.restore():
            self._world.take_up()
        else:
            self._deposit(self._settings.initial_balance, now_ms)
            self._core.outbox.clear()
        self._world.save_market(now_ms)
        self._core.flush()

    # -- time and outbox -------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let the world go on to `now_ms`: everything due until then, in the order of its time."""
        self._world.advance(now_ms)

    def commit(self) -> None:
        """Make every step so far durable, where they are committed in groups."""
        self._core.commit()

    def listen(self, *, heard: bool) -> None:
        """Say whether anybody hears the user-data events from now on."""
        self._core.heard = heard

    def suffer(self, disturbance: Disturbance) -> None:
        """Let the world be out of order as `disturbance` says, from now on."""
        self._core.disturbance = disturbance

    def lose_algos(self, symbol: str, now_ms: int) -> None:
        """End a symbol's conditional orders without a word to anybody."""
        of = self._core.account.symbols.get(symbol)
        for algo in list(of.algos.values()) if of is not None else ():
            self._algos.lose(algo, now_ms)
        self._core.flush()

    def deleverage(
        self,
        symbol: str,
        now_ms: int,
        *,
        side: PositionSide | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
    ) -> None:
        """Close a position, or a part of it, as the exchange does against somebody's bankruptcy.

        Args:
            side: which position where there are two, None for the one that is held.
            quantity: base units, None for all of it.
            price: of the bankruptcy, None for the mark.

        Raises:
            VenueRefusal: nothing is held there, less than that, or the contract has no such
                quantity or price.
        """
        of = self._symbol(Params({"symbol": symbol}))
        held = [p for p in of.held() if side in (None, p.side)]
        if not held:
            raise VenueRefusal(-2024)
        position, instrument = held[0], of.contract.instrument
        wanted = abs(position.amount) if quantity is None else quantity
        if wanted > abs(position.amount):
            raise VenueRefusal(-2024)
        if wanted <= 0 or wanted % instrument.quantity_step:
            raise VenueRefusal(-4023 if wanted > 0 else -4003)
        if price is None:
            price = round_down_to_step(of.mark, instrument.tick_size)
        rules.check_price(instrument, price)
        self._world.clearing.deleverage(of, position, now_ms, quantity=wanted, price=price)
        self._core.flush()

    def drain_events(self) -> list[UserEvent]:
        """Return the user-data events since the last call, in live order."""
        drained, self._core.outbox = self._core.outbox, []
        return drained

    def drain_market(self) -> list[MarketTick]:
        """Return the market's ticks since the last call, oldest first."""
        return self._world.drain_ticks()

    def drain_forced(self) -> list[OrderRecord]:
        """Return the liquidations' own orders since the last call."""
        drained, self._core.forced = self._core.forced, []
        return drained

    # -- regular orders (params: the request's, Binance's names, any case) -----------------------

    def place_order(self, params: Params, now_ms: int) -> rest_orders.OrderWritten:
        of = self._symbol(params)
        wish = rules.read_order(params, hedge=self._core.account.hedge, now_ms=now_ms)
        order = self._orders.submit(wish, now_ms)
        self._world.stake(of)
        self._core.flush()
        return render.order_written(of.contract, order, as_accepted=not wish.wants_result)

    def test_order(self, params: Params, now_ms: int) -> rest_orders.OrderWritten:
        """Check an order as if it were placed; order id 0 in the answer."""
        of = self._symbol(params)
        wish = rules.read_order(params, hedge=self._core.account.hedge, now_ms=now_ms)
        self._orders.admit(of, wish)
        return render.order_tested(of.contract, record_of(wish, 0, now_ms))

    def modify_order(self, params: Params, now_ms: int) -> rest_orders.OrderWritten:
        of = self._symbol(params)
        side = rules.read_side(params)
        params.needed("quantity")
        if not params.has("priceMatch"):
            params.needed("price")
        order = self._queries.open_order(params, of.symbol)
        if order is None or order.side is not side:
            raise VenueRefusal(-2013)
        if params.flag("reduceOnly") and not order.reduce_only:
            raise VenueRefusal(-5047)
        price, quantity = params.decimal("price"), params.decimal("quantity")
        match = rules.read_price_match(params)
        if match != rules.NO_PRICE_MATCH:
            price = self._orders.matched_price(of, order.side, match)
        assert price is not None, "needed above"
        assert quantity is not None, "needed above"
        modify_id = params.integer("modifyId")
        self._orders.amend(
            order, price=price, quantity=quantity, now_ms=now_ms, modify_id=modify_id
        )
        self._core.flush()
        return render.order_modified(of.contract, order, modify_id)

    def cancel_order(self, params: Params, now_ms: int) -> rest_orders.OrderWritten:
        of = self._symbol(params)
        order = self._queries.open_order(params, of.symbol)
        if order is None:
            raise VenueRefusal(-2011)
        self._settlement.cancel(order, now_ms)
        self._core.flush()
        return render.order_written(of.contract, order)

    def cancel_all(self, params: Params, now_ms: int) -> rest.CodeMessage:
        """Cancel the symbol's regular orders; conditional ones stay."""
        self._settlement.cancel_all(self._symbol(params), now_ms)
        self._core.flush()
        return {"code": 200, "msg": _DONE}

    def countdown_cancel_all(self, params: Params, now_ms: int) -> rest_orders.CountdownSet:
        """Cancel the symbol's regular orders unless called again in time; 0 calls it off."""
        of = self._symbol(params)
        params.needed("countdownTime")
        countdown = params.integer("countdownTime") or 0
        if countdown < 0:
            raise VenueRefusal(-1130, "countdownTime")
        self._world.set_countdown(of.symbol, now_ms + countdown if countdown else 0)
        self._core.flush()
        return {"symbol": of.symbol, "countdownTime": str(countdown)}

    def query_order(self, params: Params, now_ms: int) -> rest_orders.OrderQueried:
        of = self._symbol(params)
        return render.order_queried(of.contract, self._queries.order(params, of.symbol, now_ms))

    def query_open_order(self, params: Params, now_ms: int) -> rest_orders.OrderQueried:
        of = self._symbol(params)
        order = self._queries.open_order(params, of.symbol)
        if order is None:
            raise VenueRefusal(-2013)
        return render.order_queried(of.contract, order)

    def open_orders(self, params: Params, now_ms: int) -> list[rest_orders.OrderQueried]:
        return [
            render.order_queried(of.contract, order)
            for of in self._symbols(params)
            for order in of.orders.values()
        ]

    def all_orders(self, params: Params, now_ms: int) -> list[rest_orders.OrderQueried]:
        orders = self._queries.orders(params, self._symbol_or_none(params), now_ms)
        return [render.order_listed(self._contract(order.symbol), order) for order in orders]

    def user_trades(self, params: Params, now_ms: int) -> list[rest_orders.UserTrade]:
        of = self._symbol(params)
        trades = self._queries.trades(params, of.symbol, now_ms)
        return [render.user_trade(of.contract, trade) for trade in trades]

    def order_amendments(self, params: Params, now_ms: int) -> list[JsonRow]:
        """Return an order's amendments, newest first."""
        of = self._symbol(params)
        rows = self._queries.amendments(params, of.symbol, now_ms)
        return [render.amendment_row(of.contract, row) for row in rows]

    def force_orders(self, params: Params, now_ms: int) -> list[JsonRow]:
        orders = self._queries.forced_orders(params, self._symbol_or_none(params), now_ms)
        return [render.force_order(self._contract(order.symbol), order) for order in orders]

    # -- conditional orders ------------------------------------------------------------------------

    def place_algo(self, params: Params, now_ms: int) -> rest_orders.AlgoPlaced:
        of = self._symbol(params)
        wish = rules.read_algo(params, hedge=self._core.account.hedge, now_ms=now_ms)
        algo = self._algos.submit(wish, now_ms)
        self._world.stake(of)
        self._core.flush()
        return render.algo_placed(of.contract, algo)

    def cancel_algo(self, params: Params, now_ms: int) -> rest_orders.AlgoCancelled:
        algo = self._queries.open_algo(params)
        if algo is None:
            raise VenueRefusal(-2011)
        self._algos.cancel(algo, now_ms)
        self._core.flush()
        return render.algo_cancelled(algo)

    def cancel_all_algo(self, params: Params, now_ms: int) -> rest.CodeMessage:
        for algo in list(self._symbol(params).algos.values()):
            self._algos.cancel(algo, now_ms)
        self._core.flush()
        return {"code": 200, "msg": _DONE}

    def query_algo(self, params: Params, now_ms: int) -> rest_orders.AlgoHistory:
        algo = self._queries.algo(params)
        return render.algo_listed(self._contract(algo.symbol), algo)

    def open_algo(self, params: Params, now_ms: int) -> list[rest_orders.AlgoOpen]:
        wanted = params.integer("algoId")
        return [
            render.algo_open(of.contract, algo)
            for of in self._symbols(params)
            for algo in of.algos.values()
            if wanted in (None, algo.algo_id)
        ]

    def all_algo(self, params: Params, now_ms: int) -> list[rest_orders.AlgoHistory]:
        of = self._symbol(params)
        algos = self._queries.algos(params, of.symbol, now_ms)
        return [render.algo_listed(of.contract, algo) for algo in algos]

    # -- account -----------------------------------------------------------------------------------

    def set_leverage(self, params: Params, now_ms: int) -> rest_account.LeverageSet:
        of = self._symbol(params)
        params.needed("leverage")
        leverage = params.integer("leverage") or 0
        self._config.set_leverage(of, leverage, now_ms)
        self._core.flush()
        shown = render_account.symbol_config(of)
        return {
            "leverage": of.leverage,
            "maxNotionalValue": shown["maxNotionalValue"],
            "symbol": of.symbol,
        }

    def set_margin_type(self, params: Params, now_ms: int) -> rest.CodeMessage:
        of = self._symbol(params)
        params.needed("marginType")
        word = params.enum("marginType", MarginWord, code=-1130)
        assert word is not None, "needed above"
        self._config.set_margin_type(of, word, now_ms)
        self._core.flush()
        return {"code": 200, "msg": "success"}

    def set_position_mode(self, params: Params, now_ms: int) -> rest.CodeMessage:
        params.needed("dualSidePosition")
        self._config.set_position_mode(hedge=bool(params.flag("dualSidePosition")))
        self._core.flush()
        return {"code": 200, "msg": "success"}

    def position_mode(self, params: Params, now_ms: int) -> rest_account.PositionMode:
        return {"dualSidePosition": self._core.account.hedge}

    def modify_position_margin(
        self, params: Params, now_ms: int
    ) -> rest_account.PositionMarginChanged:
        of = self._symbol(params)
        for name in ("amount", "type"):
            params.needed(name)
        amount, kind = params.decimal("amount"), params.integer("type")
        assert amount is not None, "needed above"
        assert kind is not None, "needed above"
        side = params.enum("positionSide", PositionSide, code=-4060) or PositionSide.BOTH
        self._config.move_margin(of, side, amount, kind, now_ms)
        self._core.flush()
        return {
            "amount": float(amount),
            "code": 200,
            "msg": "Successfully modify position margin.",
            "type": kind,
        }

    def position_margin_history(self, params: Params, now_ms: int) -> list[JsonRow]:
        rows = self._queries.margin_moves(params, self._symbol(params).symbol, now_ms)
        return [render.margin_move_row(row) for row in rows]

    def set_multi_assets_mode(self, params: Params, now_ms: int) -> rest.CodeMessage:
        """Refuse: this venue has one asset."""
        params.needed("multiAssetsMargin")
        raise VenueRefusal(-1020 if params.flag("multiAssetsMargin") else -4171)

    def multi_assets_mode(self, params: Params, now_ms: int) -> rest_account.MultiAssetsMode:
        return {"multiAssetsMargin": False}

    def set_fee_burn(self, params: Params, now_ms: int) -> rest.CodeMessage:
        """Refuse to pay fees in another asset; switching off what is off is done."""
        params.needed("feeBurn")
        if params.flag("feeBurn"):
            raise VenueRefusal(-1020)
        return {"code": 200, "msg": "success"}

    def fee_burn(self, params: Params, now_ms: int) -> rest_account.FeeBurn:
        return {"feeBurn": False}

    def balance(self, params: Params, now_ms: int) -> list[rest_account.BalanceRow]:
        return [render_account.balance_row(self._core.account)]

    def account_v2(self, params: Params, now_ms: int) -> rest_account.AccountV2:
        return render_account.account_v2(self._core.account)

    def account_v3(self, params: Params, now_ms: int) -> rest_account.AccountV3:
        return render_account.account_v3(self._core.account)

    def account_config(self, params: Params, now_ms: int) -> rest_account.AccountConfig:
        return render_account.account_config(self._core.account)

    def symbol_config(self, params: Params, now_ms: int) -> list[rest_account.SymbolConfigRow]:
        return [render_account.symbol_config(of) for of in self._symbols(params)]

    def position_risk_v2(self, params: Params, now_ms: int) -> list[rest_account.PositionRiskV2]:
        self._symbols(params)  # flat symbols show their mark price too
        return render_account.position_risk_v2(self._core.account, self._symbol_or_none(params))

    def position_risk_v3(self, params: Params, now_ms: int) -> list[rest_account.PositionRiskV3]:
        return render_account.position_risk_v3(self._core.account, self._symbol_or_none(params))

    def leverage_brackets(self, params: Params, now_ms: int) -> list[rest_account.LeverageBrackets]:
        return [render_account.leverage_brackets(of.contract) for of in self._symbols(params)]

    def commission_rate(self, params: Params, now_ms: int) -> rest_account.CommissionRate:
        return render_account.commission_rate(self._symbol(params).contract)

    def adl_quantile(self, params: Params, now_ms: int) -> list[JsonRow]:
        """Return where positions stand in the queue of auto-deleveraging; it never moves here."""
        return [
            {"symbol": of.symbol, "adlQuantile": render_account.adl_quantiles(account, of)}
            for account in (self._core.account,)
            for of in self._symbols(params)
            if of.held()
        ]

    def income(self, params: Params, now_ms: int) -> list[rest_account.IncomeRow]:
        rows = self._queries.income(params, self._symbol_or_none(params), now_ms)
        return [render.income_row(row) for row in rows]

    # -- control -----------------------------------------------------------------------------------

    def reset(self, balance: Decimal, now_ms: int) -> None:
        """Start the account anew: flat, one-way, cross, no history; ids go on."""
        core = self._core
        stored = core.state.snapshots()
        kept = {name: body for name, body in stored.items() if name.startswith(_KEPT)}
        kept |= core.counters() | {MARKET_SNAPSHOT: dict(self._market.snapshot())}
        core.state.clear(kept)
        core.start_afresh()
        self._world.start_afresh(now_ms)
        self._deposit(balance, now_ms)
        core.flush()

    def remember(self, name: str, body: JsonRow) -> None:
        """Keep something that is no part of the account, through restarts and resets."""
        self._core.changes.snapshots[_KEPT + name] = body
        self._core.flush()

    def recall(self, name: str) -> JsonRow | None:
        """Return what `remember` kept under a name, None if nothing."""
        return self._core.state.snapshots().get(_KEPT + name)

    def jump(self, symbol: str, price: Decimal, now_ms: int) -> None:
        """Let the market jump to `price` and everything that follows from it happen.

        Raises:
            VenueRefusal: the symbol is unknown.
            UsageError: the contract does not allow the price.
        """
        if symbol not in self._core.account.symbols:
            raise VenueRefusal(-1121)
        self._market.jump(symbol, price)
        self.advance(max(now_ms, self._market.now_ms))
        self._world.save_market(now_ms)
        self._core.flush()

    def settings_summary(self) -> Mapping[str, str]:
        """Return what `paper status` shows of this venue."""
        account = self._core.account
        return {
            "wallet": to_text(account.wallet),
            "available": to_text(account.available),
            "open_orders": str(sum(len(of.orders) for of in account.symbols.values())),
            "open_algo_orders": str(len(self._core.open_algos)),
            "positions": str(sum(1 for _ in account.positions())),
        }

    def _deposit(self, amount: Decimal, now_ms: int) -> None:
        self._core.account.cross_wallet += amount
        self._core.post_income("TRANSFER", amount, now_ms)
        self._core.touch_wallet()
        self._core.emit_account("DEPOSIT", now_ms, change=amount)

    def _symbol(self, params: Params) -> SymbolAccount:
        found = self._core.account.symbols.get(params.needed("symbol").upper())
        if found is None:
            raise VenueRefusal(-1121)
        return self._world.look(found)

    def _symbol_or_none(self, params: Params) -> str | None:
        return self._symbol(params).symbol if params.has("symbol") else None

    def _symbols(self, params: Params) -> list[SymbolAccount]:
        if params.has("symbol"):
            return [self._symbol(params)]
        return [self._world.look(of) for of in self._core.account.symbols.values()]

    def _contract(self, symbol: str) -> Contract:
        return self._core.contracts[symbol]

"""The venue without its server: orders and market events a second, in one process.

Seconds are of the processor: nothing here waits, and other programs' load hardly changes them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from tests.support.paper import START_MS, SteadyMarket
from trader_cli.domain.terms import (
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.files import CandleRows
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.markets.replay import ReplayMarket
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.rules import OrderWish
from trader_cli.paper.venue.venue import Venue, VenueSettings

_ORDERS = 10_000
_TICKS = 100_000
_GROUP = 32
_DAYS, _DAY_MINUTES, _PRINTS = 3, 1_440, 16
_RECORDED = {"BTCUSDT": ("95000", "0.02", 91_000), "ETHUSDT": ("3300", "0.5", 3_150)}
"""Start price; what is held and what each resting order buys; the highest of these."""
_LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.002",
}


@dataclass(slots=True)
class _Bare:
    order_id: int
    price: Decimal
    quantity: Decimal


class TapeMarket(SteadyMarket):
    """A market that tells ticks made beforehand."""

    tape: tuple[MarketTick, ...] = ()

    def advance(self, now_ms: int) -> list[MarketTick]:
        told, self.tape = self.tape, ()
        self._latest.update({tick.symbol: tick for tick in told[-1:]})
        return list(told) if told else super().advance(now_ms)


def limit_program() -> float:
    """Return how many records a second go into a dict and out again."""
    book: dict[int, _Bare] = {}
    price, quantity = Decimal("90000.1"), Decimal("0.002")
    began = time.process_time()
    for i in range(10 * _ORDERS):
        book[i] = _Bare(i, price, quantity)
        del book[i]
    return 10 * _ORDERS / (time.process_time() - began)


def tick_limit_program() -> float:
    """Return how many ticks a second are compared with two prices."""
    ticks = _tape(_TICKS)
    low, high = Decimal(1), Decimal(10**6)
    began = time.process_time()
    for tick in ticks:
        if tick.ask <= low or tick.bid >= high:
            break
    return _TICKS / (time.process_time() - began)


def _venue(market: SteadyMarket | None = None, *, heard: bool = False) -> Venue:
    settings = VenueSettings(
        initial_balance=Decimal(10**9), open_order_limits=False, group_commit=True
    )
    venue = Venue(
        {"BTCUSDT": CONTRACTS["BTCUSDT"]},
        market or SteadyMarket({"BTCUSDT": Decimal("95000.0")}),
        MemoryState(),
        settings,
        START_MS,
    )
    venue.listen(heard=heard)
    return venue


def _rest(venue: Venue, count: int) -> None:
    for i in range(count):
        price = f"{90_000 + i % 2_000 * Decimal('0.1'):f}"
        venue.place_order(Params({**_LIMIT, "price": price}), START_MS)


def venue_limits(*, resting: int = 0) -> float:
    """Return limit orders and cancels a second, from parameters to answer."""
    venue = _venue()
    _rest(venue, resting)
    order = Params({**_LIMIT, "price": "90000.0"})
    began = time.process_time()
    for i in range(_ORDERS // 2):
        placed = venue.place_order(order, START_MS)
        named = {"symbol": "BTCUSDT", "orderId": str(placed["orderId"])}
        venue.cancel_order(Params(named), START_MS)
        if i % _GROUP == 0:
            venue.commit()
    return _ORDERS / (time.process_time() - began)


def venue_markets(*, heard: bool = False) -> float:
    """Return market orders filled a second, from parameters to answer."""
    venue = _venue(heard=heard)
    order = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.002"}
    sides = [Params({**order, "side": side}) for side in ("BUY", "SELL")]
    began = time.process_time()
    for i in range(_ORDERS):
        venue.place_order(sides[i % 2], START_MS)
        if i % _GROUP == 0:
            venue.drain_events()
            venue.commit()
    return _ORDERS / (time.process_time() - began)


def desk_orders(kind: str) -> float:
    """Return orders a second from a wish to full accounting: no text is read or written."""
    venue = _venue()
    desk = venue._orders
    is_market = kind == "MARKET"
    began = time.process_time()
    for i in range(_ORDERS):
        wish = OrderWish(
            symbol="BTCUSDT",
            side=Side.BUY if i % 2 or not is_market else Side.SELL,
            position_side=PositionSide.BOTH,
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=_QUANTITY,
            price=Decimal(0) if is_market else _PRICE,
            reduce_only=False,
            client_id=None,
            self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER,
            price_match="NONE",
            good_till_ms=0,
            wants_result=False,
        )
        desk.submit(wish, START_MS)
        if i % _GROUP == 0:
            venue.commit()
    return _ORDERS / (time.process_time() - began)


_QUANTITY, _PRICE = Decimal("0.002"), Decimal("90000.0")


def _tape(count: int) -> tuple[MarketTick, ...]:
    first = SteadyMarket({"BTCUSDT": Decimal("95000.0")}).latest("BTCUSDT")
    ticks = []
    for i in range(count):
        bid = Decimal("95000.0") + i % 50 * Decimal("0.1")
        ticks.append(
            replace(
                first,
                time_ms=START_MS + i + 1,
                trade_id=i + 2,
                bid=bid,
                ask=bid + Decimal("0.1"),
                last_price=bid,
                last_quantity=Decimal("0.5"),
                mark_price=bid,
            )
        )
    return tuple(ticks)


def replayed_ticks(*, resting: int, position: bool = False) -> float:
    """Return market events a second through the venue, none of which reaches an order."""
    market = TapeMarket({"BTCUSDT": Decimal("95000.0")})
    venue = _venue(market)
    _rest(venue, resting)
    if position:
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.002"}
        venue.place_order(Params(order), START_MS)
    market.tape = _tape(_TICKS)
    began = time.process_time()
    venue.advance(START_MS + _TICKS)
    return _TICKS / (time.process_time() - began)


def _recorded_days(symbol: str, price: str) -> CandleRows:
    rows = CandleRows(symbol=symbol, interval_ms=60_000)
    chance, unit = Random(symbol), 10**8
    last = int(price) * unit
    for minute in range(_DAYS * _DAY_MINUTES):
        close = last + chance.randint(-20, 20) * unit // 10
        rows.open_ms.append(START_MS // 60_000 * 60_000 + minute * 60_000)
        rows.open.append(last)
        rows.high.append(max(last, close) + chance.randint(0, 10) * unit // 10)
        rows.low.append(min(last, close) - chance.randint(0, 10) * unit // 10)
        rows.close.append(close)
        rows.volume.append(50 * unit)
        rows.taker_buy_volume.append(25 * unit)
        for column in (rows.quote_volume, rows.trades, rows.taker_buy_quote_volume):
            column.append(0)
        last = close
    return rows


def recorded_days(*, step_ms: int | None = None, heard: bool = False) -> tuple[float, float]:
    """Replay three days of minutes of two symbols, a position and twenty resting orders on each.

    Args:
        step_ms: how far each advance goes, None: to the end at once.
        heard: whether somebody listens to both symbols' prices, so that every tick is told.

    Returns:
        Seconds, and recorded prints a second.
    """
    rows = {symbol: _recorded_days(symbol, row[0]) for symbol, row in _RECORDED.items()}
    market = ReplayMarket(rows)
    if heard:
        market.attend("streams", None)
    settings = VenueSettings(initial_balance=Decimal(10**6), group_commit=True)
    venue = Venue(CONTRACTS, market, MemoryState(), settings, market.now_ms)
    venue.listen(heard=False)
    for symbol, (_, quantity, price) in _RECORDED.items():
        buy = {"symbol": symbol, "side": "BUY", "quantity": quantity}
        venue.place_order(Params({**buy, "type": "MARKET"}), market.now_ms)
        for below in range(20):
            limit = {"type": "LIMIT", "timeInForce": "GTC", "price": str(price - below)}
            venue.place_order(Params({**buy, **limit}), market.now_ms)
    began = time.process_time()
    for now_ms in range(market.now_ms, market.end_ms, step_ms or market.end_ms):
        venue.advance(now_ms)
        venue.drain_market()
    venue.advance(market.end_ms)
    seconds = time.process_time() - began
    return seconds, len(_RECORDED) * _DAYS * _DAY_MINUTES * _PRINTS / seconds

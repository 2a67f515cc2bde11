"""Ticks inside which nothing can happen are passed over: the same comes of it as of every one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.paper import FUNDING_MS, START_MS, SteadyMarket
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.paper.books.account import Account
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.files import CandleRows, TradeRows
from trader_cli.paper.markets.market import Band, FundingSettled, Market, MarketTick
from trader_cli.paper.markets.replay import ReplayMarket
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.state import MemoryState, Window
from trader_cli.paper.venue.quiet import band_of, calm_marks
from trader_cli.paper.venue.venue import Venue, VenueSettings

D = Decimal
BEGIN_MS = (START_MS // FUNDING_MS + 1) * FUNDING_MS - 4_000
"""Seconds before a funding time."""
SYMBOLS = {"BTCUSDT": D("60000.0"), "ETHUSDT": D("3000.00")}
LOTS = {"BTCUSDT": D("0.01"), "ETHUSDT": D("0.2")}
ALL = Window(limit=100_000)


class Tape(SteadyMarket):
    """A market that tells ticks made beforehand, each at its own time."""

    def __init__(self, ticks: Sequence[MarketTick]) -> None:
        super().__init__(SYMBOLS, now_ms=BEGIN_MS)
        self._tape = list(ticks)
        self._told = 0

    def advance(self, now_ms: int) -> list[MarketTick]:
        super().advance(now_ms)
        after = bisect_right(self._tape, self._now_ms, key=lambda tick: tick.time_ms)
        told, self._told = self._tape[self._told : after], after
        for tick in told:
            self._latest[tick.symbol] = tick
        return told

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        """Everything is told."""

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield nothing: the touch holds enough for every taker here."""
        return iter(())

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        return FundingSettled(
            symbol=symbol, time_ms=funding_ms, rate=D("0.0003"), mark_price=SYMBOLS[symbol]
        )


def ticks_of(seed: int, count: int = 400) -> list[MarketTick]:
    """Return calm stretches, drifts and jumps of two symbols, one tick a tenth of a second."""
    chance = Random(seed)
    patterns = SteadyMarket(SYMBOLS)
    prices, last, drift = dict(SYMBOLS), dict(SYMBOLS), 0
    ticks: list[MarketTick] = []
    for number in range(1, count + 1):
        if chance.random() < 0.04:
            drift = chance.choice((0, 0, 0, -2, 2, -16, 16))
        symbol = chance.choice(tuple(SYMBOLS))
        unit = SYMBOLS[symbol] / 30_000
        prices[symbol] = max(unit, prices[symbol] + unit * (drift + chance.randint(-2, 2)))
        bid, sold, traded = prices[symbol], chance.random() < 0.5, chance.randint(0, 5)
        ask = bid + CONTRACTS[symbol].instrument.tick_size
        if traded:
            last[symbol] = bid if sold else ask
        ticks.append(
            replace(
                patterns.latest(symbol),
                time_ms=BEGIN_MS + 100 * number,
                trade_id=number + 1,
                bid=bid,
                bid_quantity=D(10_000),
                ask=ask,
                ask_quantity=D(10_000),
                last_price=last[symbol],
                last_quantity=D(traded) / 100,
                buyer_is_maker=sold,
                mark_price=bid + unit * chance.randint(-2, 2),
                index_price=bid,
                book_id=number,
            )
        )
    return ticks


SIDES = st.sampled_from(("BUY", "SELL"))
WISHES = st.lists(
    st.tuples(
        st.sampled_from(("LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING")),
        st.sampled_from(tuple(SYMBOLS)),
        SIDES,
        st.integers(1, 3),
        st.integers(-30, 30),
        st.sampled_from(("MARK_PRICE", "CONTRACT_PRICE")),
    ),
    min_size=1,
    max_size=12,
)


def ask(venue: Venue, wish: tuple[str, str, str, int, int, str], now_ms: int) -> None:
    """Place what the wish describes; what is refused is refused alike."""
    kind, symbol, side, lots, away, working = wish
    price = SYMBOLS[symbol] + away * SYMBOLS[symbol] / 6_000
    words: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": str(lots * LOTS[symbol])}
    if kind == "LIMIT":
        words |= {"type": kind, "timeInForce": "GTC", "price": f"{price:.1f}"}
    elif kind == "MARKET":
        words |= {"type": kind}
    elif kind == "TRAILING":
        words |= {
            "algoType": "CONDITIONAL",
            "type": "TRAILING_STOP_MARKET",
            "callbackRate": "0.2",
            "workingType": working,
        }
        if away % 2:
            words["activatePrice"] = f"{price:.1f}"
    else:
        words |= {
            "algoType": "CONDITIONAL",
            "type": kind,
            "triggerPrice": f"{price:.1f}",
            "workingType": working,
        }
    try:
        (venue.place_algo if "algoType" in words else venue.place_order)(Params(words), now_ms)
    except VenueRefusal:
        return


def outcome(
    market: Market,
    times_ms: list[int],
    wishes: list[tuple[str, str, str, int, int, str]],
    *,
    balance: int,
    isolated: bool,
) -> tuple[object, ...]:
    """Return everything that comes of orders on a market that is advanced to each of some times."""
    state = MemoryState()
    settings = VenueSettings(initial_balance=D(balance), leverage=50)
    venue = Venue(CONTRACTS, market, state, settings, BEGIN_MS)
    if isolated:
        for symbol in SYMBOLS:
            words = {"symbol": symbol, "marginType": "ISOLATED"}
            venue.set_margin_type(Params(words), BEGIN_MS)
    for wish in wishes:
        ask(venue, wish, BEGIN_MS)
    events: list[object] = []
    for time_ms in times_ms:
        venue.advance(time_ms)
        events += venue.drain_events()
    account = venue._core.account
    return (
        events,
        state.orders(ALL),
        state.algos(ALL),
        state.trades(ALL, None),
        state.income(ALL, None),
        account.sums(),
        account.available,
        venue.account_v3(Params({}), times_ms[-1]),
        venue.position_risk_v3(Params({}), times_ms[-1]),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1 << 32),
    wishes=WISHES,
    balance=st.sampled_from((20, 45, 80, 50_000)),
    isolated=st.booleans(),
)
def test_a_stretch_of_ticks_does_what_its_ticks_do_one_by_one(
    seed: int, wishes: list[tuple[str, str, str, int, int, str]], balance: int, isolated: bool
) -> None:
    ticks = ticks_of(seed)

    times_ms = [tick.time_ms for tick in ticks]
    one_by_one = outcome(Tape(ticks), times_ms, wishes, balance=balance, isolated=isolated)
    at_once = outcome(Tape(ticks), times_ms[-1:], wishes, balance=balance, isolated=isolated)

    assert at_once == one_by_one


class Told:
    """A recorded market from which nothing but a `Market` is seen: it tells every print."""

    def __init__(self, market: ReplayMarket) -> None:
        self._market = market

    def __getattr__(self, name: str) -> Any:
        if name not in dir(Market):
            raise AttributeError(name)
        return getattr(self._market, name)


def candles_of(symbol: str, chance: Random, unit: int) -> CandleRows:
    """Return calm and wild minutes, prices in steps of `unit`."""
    rows = CandleRows(symbol=symbol, interval_ms=60_000)
    price, width = int(SYMBOLS[symbol] * 10**8), 10
    for number in range(60):
        if chance.random() < 0.15:
            width = chance.choice((2, 10, 60))
        close = max(unit, price + unit * chance.randint(-width, width))
        rows.open_ms.append(BEGIN_MS // 60_000 * 60_000 - 60_000 + number * 60_000)
        rows.open.append(price)
        rows.high.append(max(price, close) + unit * chance.randint(0, width // 2))
        rows.low.append(max(unit, min(price, close) - unit * chance.randint(0, width // 2)))
        rows.close.append(close)
        rows.volume.append(10**6 * chance.randint(0, 400))
        rows.taker_buy_volume.append(rows.volume[-1] // 2)
        for column in (rows.quote_volume, rows.trades, rows.taker_buy_quote_volume):
            column.append(0)
        price = close
    return rows


def trades_of(symbol: str, chance: Random, unit: int) -> TradeRows:
    """Return trades of which many share a millisecond."""
    rows = TradeRows(symbol=symbol)
    price, time_ms = int(SYMBOLS[symbol] * 10**8), BEGIN_MS - 1_000
    for number in range(600):
        if chance.random() < 0.6:
            time_ms += chance.choice((1, 40, 400))
        price = max(unit, price + unit * chance.choice((-9, -1, -1, 0, 0, 0, 1, 1, 9)))
        rows.trade_id.append(number + 1)
        rows.time_ms.append(time_ms)
        rows.price.append(price)
        rows.quantity.append(chance.choice((-1, 1)) * 10**6 * chance.randint(1, 400))
    return rows


def recorded(seed: int, *, candles: bool) -> ReplayMarket:
    chance = Random(seed)
    make = candles_of if candles else trades_of
    units = {"BTCUSDT": 10**9, "ETHUSDT": 5 * 10**7}
    rows = {symbol: make(symbol, chance, unit) for symbol, unit in units.items()}
    return ReplayMarket(rows, start_ms=BEGIN_MS)


def some_band(tick: MarketTick, chance: Random) -> Band:
    """Return a band around a tick's last price, now and then beside it."""
    width = tick.last_price / 1_000
    low = tick.last_price - width * chance.choice((-1, 1, 3))
    high = tick.last_price + width * chance.choice((1, 3))
    return Band(
        ask_floor=low,
        bid_ceiling=high,
        last_floor=low,
        last_ceiling=high,
        mark_floor=low,
        mark_ceiling=high,
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32), candles=st.booleans(), heard=st.booleans())
def test_passing_over_leaves_out_what_stays_inside_and_nothing_else(
    seed: int, candles: bool, heard: bool
) -> None:
    market, same = (recorded(seed, candles=candles) for _ in range(2))
    chance = Random(seed)
    market.attend("venue", SYMBOLS)
    if heard:
        market.attend("streams", ["ETHUSDT"])
    bands: dict[str, Band] = {}
    expected = iter(same.advance(same.end_ms))

    market.pass_to(same.end_ms)
    while (told := market.next_tick("venue", bands, same.end_ms)) is not None:
        for tick in expected:
            listened = heard and tick.symbol == "ETHUSDT"
            if tick == told or listened or not bands[tick.symbol].holds(tick):
                break
        assert tick == told
        assert market.passed(told.symbol) == told
        for symbol in SYMBOLS:
            if chance.random() < 0.2:
                bands[symbol] = some_band(market.passed(symbol), chance)
        if chance.random() < 0.1:
            bands.clear()

    assert all(bands[tick.symbol].holds(tick) for tick in expected)
    assert all(market.passed(symbol) == same.latest(symbol) for symbol in SYMBOLS)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1 << 32),
    wishes=WISHES,
    balance=st.sampled_from((55, 60, 80, 50_000)),
    isolated=st.booleans(),
    steps=st.sampled_from((1, 3, 50)),
    candles=st.booleans(),
    heard=st.sampled_from(((), ("ETHUSDT",), tuple(SYMBOLS))),
)
def test_prints_that_are_passed_over_would_have_changed_nothing(
    seed: int,
    wishes: list[tuple[str, str, str, int, int, str]],
    balance: int,
    isolated: bool,
    steps: int,
    candles: bool,
    heard: tuple[str, ...],
) -> None:
    market, same = (recorded(seed, candles=candles) for _ in range(2))
    length_ms = market.end_ms - BEGIN_MS
    times_ms = [BEGIN_MS + length_ms * n // steps for n in range(1, steps + 1)]
    both = [("MARKET", symbol, "BUY", 2, 0, "MARK_PRICE") for symbol in SYMBOLS]
    wishes = [*both, *wishes]
    same.attend("streams", heard)

    told = outcome(Told(market), times_ms, wishes, balance=balance, isolated=isolated)
    passed = outcome(same, times_ms, wishes, balance=balance, isolated=isolated)

    assert passed == told


@given(
    held=st.lists(
        st.tuples(st.integers(-400, 400).filter(bool), st.integers(-300, 300)),
        min_size=1,
        max_size=len(CONTRACTS),
    ),
    wallet=st.integers(10, 20_000),
)
def test_no_combination_of_calm_marks_uses_up_the_margin(
    held: list[tuple[int, int]], wallet: int
) -> None:
    contracts = dict(list(CONTRACTS.items())[: len(held)])
    market = SteadyMarket({symbol: row.start_price for symbol, row in contracts.items()})
    ticks = {symbol: market.latest(symbol) for symbol in contracts}
    account = Account(contracts, ticks, 20)
    account.cross_wallet = D(wallet)
    for of, (size, away) in zip(account.symbols.values(), held, strict=True):
        position = of.position(PositionSide.BOTH)
        position.amount = D(size) / of.mark
        position.entry_price = of.mark * (1 + D(away) / 10_000)
        account.stir(of)
    ratio = D("1.25")
    slack = account.cross_balance - ratio * account.maintenance

    bounds = calm_marks(account, ratio)
    for of, (floor, ceiling) in bounds.items():
        long = of.position(PositionSide.BOTH).amount > 0
        if floor < ceiling:
            of.tick = replace(of.tick, mark_price=max(floor, D(0)) if long else ceiling)
        account.stir(of)

    assert all((floor < ceiling) is (slack > 0) for floor, ceiling in bounds.values())
    if slack > 0:
        assert account.cross_balance >= ratio * account.maintenance - D("1e-9")


@pytest.mark.parametrize(
    ("field", "at", "inside"),
    [
        ("ask", "59000.0", "59000.1"),
        ("bid", "61000.0", "60999.9"),
        ("last_price", "59000.0", "59000.1"),
        ("last_price", "61000.0", "60999.9"),
        ("mark_price", "58000.0", "58000.1"),
        ("mark_price", "62000.0", "61999.9"),
    ],
)
def test_what_rests_and_waits_bounds_the_quiet_prices(field: str, at: str, inside: str) -> None:
    venue = Venue(CONTRACTS, SteadyMarket(SYMBOLS), MemoryState(), VenueSettings(), START_MS)
    for side, price in (("BUY", "59000.0"), ("SELL", "61000.0")):
        words = {"type": "LIMIT", "timeInForce": "GTC", "price": price, "quantity": "0.01"}
        venue.place_order(Params({"symbol": "BTCUSDT", "side": side, **words}), START_MS)
    for side, price in (("SELL", "58000.0"), ("BUY", "62000.0")):
        words = {"type": "STOP_MARKET", "triggerPrice": price, "quantity": "0.01"}
        words |= {"algoType": "CONDITIONAL", "workingType": "MARK_PRICE"}
        venue.place_algo(Params({"symbol": "BTCUSDT", "side": side, **words}), START_MS)
    of = venue._core.account.symbols["BTCUSDT"]
    band = band_of(of, {})

    assert band.holds(of.tick)
    assert band.holds(replace(of.tick, **{field: D(inside)}))
    assert not band.holds(replace(of.tick, **{field: D(at)}))

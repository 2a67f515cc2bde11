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
from trader_cli.paper.account import Account
from trader_cli.paper.instruments import CONTRACTS
from trader_cli.paper.market import FundingSettled, MarketTick
from trader_cli.paper.params import Params
from trader_cli.paper.quiet import band_of, calm_marks
from trader_cli.paper.refusal import VenueRefusal
from trader_cli.paper.state import MemoryState, Window
from trader_cli.paper.venue import Venue, VenueSettings

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

    def levels(self, symbol: str, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
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
    ticks: list[MarketTick],
    wishes: list[tuple[str, str, str, int, int, str]],
    *,
    balance: int,
    isolated: bool,
    stretch: int,
) -> tuple[object, ...]:
    """Return everything that comes of a market and orders told in stretches of so many ticks."""
    state = MemoryState()
    venue = Venue(
        CONTRACTS,
        Tape(ticks),
        state,
        VenueSettings(initial_balance=D(balance), leverage=50),
        BEGIN_MS,
    )
    if isolated:
        for symbol in SYMBOLS:
            words = {"symbol": symbol, "marginType": "ISOLATED"}
            venue.set_margin_type(Params(words), BEGIN_MS)
    for wish in wishes:
        ask(venue, wish, BEGIN_MS)
    events: list[object] = []
    for last in [*range(stretch - 1, len(ticks), stretch), len(ticks) - 1]:
        venue.advance(ticks[last].time_ms)
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
        venue.account_v3(Params({}), ticks[-1].time_ms),
        venue.position_risk_v3(Params({}), ticks[-1].time_ms),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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

    one_by_one = outcome(ticks, wishes, balance=balance, isolated=isolated, stretch=1)
    at_once = outcome(ticks, wishes, balance=balance, isolated=isolated, stretch=len(ticks))

    assert at_once == one_by_one


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

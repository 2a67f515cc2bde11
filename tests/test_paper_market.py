"""The synthetic market: honest ticks, one truth however it is asked, a character to trade on."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import groupby, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.terms import Side
from trader_cli.errors import UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.history import interval_bounds
from trader_cli.paper.markets.market import Market, MarketTick
from trader_cli.paper.markets.price_path import PricePath, join
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueSettings

BIRTH_MS = 1_790_000_000_123
DAY_MS = 86_400_000
BTC = {"BTCUSDT": CONTRACTS["BTCUSDT"]}

seeds = st.integers(0, 2**32)
symbols = st.sampled_from(sorted(CONTRACTS))


def market(seed: int = 7, *, symbol: str | None = None) -> SyntheticMarket:
    contracts = CONTRACTS if symbol is None else {symbol: CONTRACTS[symbol]}
    return SyntheticMarket(seed=seed, birth_ms=BIRTH_MS, contracts=contracts)


def of(ticks: list[MarketTick], symbol: str) -> list[MarketTick]:
    return [tick for tick in ticks if tick.symbol == symbol]


def trades_of(path: PricePath, start_s: int, end_s: int) -> list[int]:
    return [trade.price for second in range(start_s, end_s) for trade in path.second(second)]


class TestTicks:
    @given(seed=seeds, symbol=symbols, ms=st.integers(1_000, 90_000))
    def test_every_tick_is_a_possible_quote(self, seed: int, symbol: str, ms: int) -> None:
        rules = CONTRACTS[symbol].instrument

        for tick in market(seed, symbol=symbol).advance(BIRTH_MS + ms):
            assert 0 < tick.bid < tick.ask <= tick.bid + 6 * rules.tick_size
            assert tick.last_price == (tick.bid if tick.buyer_is_maker else tick.ask)
            for price in (tick.bid, tick.ask, tick.mark_price, tick.index_price):
                assert price % rules.tick_size == 0
            for quantity in (tick.bid_quantity, tick.ask_quantity, tick.last_quantity):
                assert quantity >= rules.quantity_min
                assert quantity % rules.quantity_step == 0
            assert abs(tick.mark_price - tick.last_price) <= max(
                tick.last_price * Decimal("0.0004"), 4 * rules.tick_size
            )

    @given(seed=seeds, cuts=st.lists(st.integers(0, 60_000), max_size=6))
    def test_it_does_not_matter_how_often_it_is_asked(self, seed: int, cuts: list[int]) -> None:
        once = market(seed, symbol="ETHUSDT")
        often = market(seed, symbol="ETHUSDT")

        whole = once.advance(BIRTH_MS + 60_000)
        parts = [tick for ms in [*sorted(cuts), 60_000] for tick in often.advance(BIRTH_MS + ms)]

        assert repr(whole) == repr(parts)

    def test_another_seed_is_another_market(self) -> None:
        assert market(1).advance(BIRTH_MS + 5_000) != market(2).advance(BIRTH_MS + 5_000)

    def test_symbols_of_one_seed_move_apart(self) -> None:
        ticks = market().advance(BIRTH_MS + 60_000)
        assert {tick.buyer_is_maker for tick in of(ticks, "BTCUSDT")} == {True, False}
        assert [tick.buyer_is_maker for tick in of(ticks, "BTCUSDT")] != [
            tick.buyer_is_maker for tick in of(ticks, "ETHUSDT")
        ]

    def test_ticks_are_told_in_order_of_time_and_each_trade_once(self) -> None:
        ticks = market().advance(BIRTH_MS + 30_000)

        assert [tick.time_ms for tick in ticks] == sorted(tick.time_ms for tick in ticks)
        for symbol in CONTRACTS:
            for before, after in pairwise(of(ticks, symbol)):
                assert after.time_ms == before.time_ms + 250
                assert after.trade_id == before.trade_id + 1
                assert after.update_id > before.update_id

    def test_going_back_in_time_tells_nothing(self) -> None:
        it = market()
        it.advance(BIRTH_MS + 10_000)

        assert it.advance(BIRTH_MS + 9_000) == []
        assert it.now_ms == BIRTH_MS + 10_000

    def test_the_latest_tick_is_the_last_one_told(self) -> None:
        it = market()
        ticks = it.advance(BIRTH_MS + 7_777)
        for symbol in CONTRACTS:
            assert of(ticks, symbol)[-1] == it.latest(symbol)

    def test_a_tick_can_be_looked_up_by_its_trade_but_not_before_it_happened(self) -> None:
        it = market()
        tick = of(it.advance(BIRTH_MS + 5_000), "SOLUSDT")[3]

        assert tick == it.tick_at("SOLUSDT", tick.trade_id)
        assert tick.trade_id == it.trade_id_at("SOLUSDT", tick.time_ms)
        assert it.tick_at("SOLUSDT", it.latest("SOLUSDT").trade_id + 1) is None

    def test_an_unknown_symbol_is_a_key_error(self) -> None:
        with pytest.raises(KeyError):
            market().latest("NOPEUSDT")


class TestLongPause:
    def test_days_of_sleep_are_told_in_few_ticks(self) -> None:
        it = market(symbol="BTCUSDT")
        assert len(it.advance(BIRTH_MS + 30 * DAY_MS)) < 300

    def test_the_few_ticks_touch_the_low_and_the_high_that_were_passed(self) -> None:
        it = market(symbol="BTCUSDT")
        it.advance(BIRTH_MS + 877)  # up to a whole second
        start_ms = it.now_ms

        prices = [tick.last_price for tick in it.advance(BIRTH_MS + 5 * DAY_MS)]
        candle = it.candle("BTCUSDT", start_ms, it.now_ms // 1_000 * 1_000 + 1_000)

        assert candle is not None
        assert (candle.low, candle.high, candle.close) == (min(prices), max(prices), prices[-1])

    @given(pause=st.integers(100_000, 400_000))
    def test_times_stay_in_order_on_both_sides_of_coarse(self, pause: int) -> None:
        it = market(symbol="XRPUSDT")
        times = [tick.time_ms for tick in it.advance(BIRTH_MS + pause)]

        assert times == sorted(set(times))
        assert times[0] > BIRTH_MS
        assert times[-1] == (BIRTH_MS + pause) // 250 * 250

    def test_after_the_pause_the_market_is_where_it_would_have_been(self) -> None:
        asleep, awake = market(symbol="BTCUSDT"), market(symbol="BTCUSDT")
        for ms in range(0, 600_001, 60_000):
            awake.advance(BIRTH_MS + ms)
        asleep.advance(BIRTH_MS + 600_000)

        assert awake.latest("BTCUSDT") == asleep.latest("BTCUSDT")


class TestBook:
    @given(seed=seeds, symbol=symbols, limit=st.integers(1, 60))
    def test_depth_begins_at_the_touch_and_goes_outwards(
        self, seed: int, symbol: str, limit: int
    ) -> None:
        it = market(seed, symbol=symbol)
        it.advance(BIRTH_MS + 3_000)

        depth, tick = it.depth(symbol, limit), it.latest(symbol)

        assert (tick.bid, tick.bid_quantity) == depth.bids[0]
        assert (tick.ask, tick.ask_quantity) == depth.asks[0]
        assert limit == len(depth.bids) == len(depth.asks)
        assert all(nearer[0] > farther[0] for nearer, farther in pairwise(depth.bids))
        assert all(nearer[0] < farther[0] for nearer, farther in pairwise(depth.asks))
        assert all(size > 0 for _, size in depth.bids + depth.asks)

    def test_a_taker_walks_the_levels_that_depth_shows(self) -> None:
        it = market()
        it.advance(BIRTH_MS + 1_000)
        depth = it.depth("BTCUSDT", 20)

        assert depth.asks == tuple(islice(it.levels("BTCUSDT", Side.BUY), 20))
        assert depth.bids == tuple(islice(it.levels("BTCUSDT", Side.SELL), 20))

    def test_the_book_changes_from_tick_to_tick(self) -> None:
        it = market()
        before = it.depth("BTCUSDT", 20)
        it.advance(BIRTH_MS + 1_000)
        after = it.depth("BTCUSDT", 20)

        assert before.update_id < after.update_id
        assert (before.bids, before.asks) != (after.bids, after.asks)

    @pytest.mark.parametrize("symbol", CONTRACTS)
    def test_the_largest_market_order_fits_within_the_bound(self, symbol: str) -> None:
        it, rules = market(symbol=symbol), CONTRACTS[symbol].instrument
        mark = it.latest(symbol).mark_price
        within = [
            size
            for price, size in it.levels(symbol, Side.BUY)
            if price <= mark * (1 + rules.market_take_bound)
        ]
        assert sum(within) > rules.market_quantity_max

    def test_the_book_ends_above_zero(self) -> None:
        it = market(symbol="SOLUSDT")
        it.jump("SOLUSDT", Decimal("0.42"))
        assert all(price > 0 for price, _ in it.levels("SOLUSDT", Side.SELL))


class TestJump:
    def test_the_quote_and_the_mark_move_at_once_and_the_trade_follows(self) -> None:
        it = market()
        it.advance(BIRTH_MS + 1_000)

        jumped = it.jump("BTCUSDT", Decimal(60_000))
        following = of(it.advance(it.now_ms + 250), "BTCUSDT")

        assert Decimal(60_000) == jumped.last_price == it.latest("BTCUSDT").last_price
        assert abs(jumped.mark_price - 60_000) < 20
        assert jumped.last_quantity == 0
        assert jumped == following[0]
        assert (Decimal(60_000), True) == (following[1].last_price, following[1].last_quantity > 0)
        assert jumped.trade_id == following[1].trade_id

    def test_it_goes_on_from_there(self) -> None:
        it = market()
        it.advance(BIRTH_MS + 1_000)
        it.jump("BTCUSDT", Decimal(60_000))

        prices = {tick.last_price for tick in of(it.advance(it.now_ms + 60_000), "BTCUSDT")}

        assert len(prices) > 20
        assert all(59_000 < price < 61_000 for price in prices)

    def test_other_symbols_do_not_notice(self) -> None:
        moved, quiet = market(), market()
        for it in (moved, quiet):
            it.advance(BIRTH_MS + 1_000)
        moved.jump("BTCUSDT", Decimal(60_000))

        assert of(moved.advance(BIRTH_MS + 9_000), "ETHUSDT") == of(
            quiet.advance(BIRTH_MS + 9_000), "ETHUSDT"
        )

    def test_the_past_stays_and_the_candle_holds_both_prices(self) -> None:
        it = market()
        it.advance(BIRTH_MS + 90_000)
        open_ms, end_ms = interval_bounds("1m", it.now_ms)
        before = it.candle("BTCUSDT", open_ms, end_ms)
        past = it.candle("BTCUSDT", open_ms - 60_000, open_ms)

        it.jump("BTCUSDT", Decimal(60_000))
        it.advance(it.now_ms + 5_000)
        after = it.candle("BTCUSDT", open_ms, end_ms)

        assert before is not None
        assert after is not None
        assert before.open == after.open
        assert after.low <= 60_000 < before.high == after.high
        assert past == it.candle("BTCUSDT", open_ms - 60_000, open_ms)

    @given(
        steps=st.lists(
            st.tuples(st.integers(0, 2_500), st.integers(70_000, 120_000)), min_size=1, max_size=6
        )
    )
    def test_no_instant_has_two_ticks_however_often_it_jumps(
        self, steps: list[tuple[int, int]]
    ) -> None:
        it = market(symbol="BTCUSDT")
        ticks: list[MarketTick] = []
        for pause, price in steps:
            ticks += it.advance(it.now_ms + pause)
            it.jump("BTCUSDT", Decimal(price))
        ticks += it.advance(it.now_ms + 2_000)

        assert all(before.time_ms < after.time_ms for before, after in pairwise(ticks))
        ids = [tick.trade_id for tick in ticks if tick.last_quantity > 0]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        candle = it.candle(
            "BTCUSDT", BIRTH_MS // 60_000 * 60_000, BIRTH_MS // 60_000 * 60_000 + 120_000
        )
        assert candle is not None
        assert candle.low <= min(tick.last_price for tick in ticks)
        assert candle.high >= max(tick.last_price for tick in ticks)

    @pytest.mark.parametrize("price", ["0", "-1", "556.7", "4529765"])
    def test_a_price_the_contract_forbids_is_refused(self, price: str) -> None:
        it = market()
        before = it.latest("BTCUSDT")

        with pytest.raises(UsageError, match=r"556\.80"):
            it.jump("BTCUSDT", Decimal(price))

        assert before == it.latest("BTCUSDT")

    @pytest.mark.parametrize("price", ["556.80", "4529764"])
    def test_the_contracts_own_bounds_are_allowed(self, price: str) -> None:
        assert Decimal(price) == market().jump("BTCUSDT", Decimal(price)).last_price


class TestRestart:
    @given(pause=st.integers(0, 3_000), jump=st.booleans())
    def test_the_walk_goes_on_as_if_nothing_had_happened(self, pause: int, jump: bool) -> None:
        it = market(symbol="ETHUSDT")
        it.advance(BIRTH_MS + pause)
        if jump:
            it.jump("ETHUSDT", Decimal(2_000))

        state = json.loads(json.dumps(it.snapshot()))
        again = SyntheticMarket.restore(state, contracts={"ETHUSDT": CONTRACTS["ETHUSDT"]})

        assert it.now_ms == again.now_ms
        assert it.latest("ETHUSDT") == again.latest("ETHUSDT")
        assert it.advance(BIRTH_MS + 9_000) == again.advance(BIRTH_MS + 9_000)
        assert it.snapshot() == again.snapshot()

    def test_a_jump_of_a_contract_that_is_gone_is_forgotten(self) -> None:
        it = market()
        it.jump("ETHUSDT", Decimal(2_000))

        again = SyntheticMarket.restore(it.snapshot(), contracts=BTC)

        assert tuple(again.symbols) == ("BTCUSDT",)
        assert again.snapshot()["jumps"] == []

    def test_the_state_stays_small_however_often_it_jumps(self) -> None:
        it = market(symbol="BTCUSDT")
        for n in range(1_100):
            it.jump("BTCUSDT", Decimal(90_000 + n))

        assert len(it.snapshot()["jumps"]) < 1_000
        assert it.latest("BTCUSDT").last_price == 91_099


class TestFunding:
    def test_the_estimate_ends_as_what_is_settled(self) -> None:
        it = market()
        settles_ms = it.funding("BTCUSDT").next_funding_ms
        it.advance(settles_ms - 1)
        estimate = it.funding("BTCUSDT")
        it.advance(settles_ms)

        settled = it.funding_settled("BTCUSDT", settles_ms)

        assert settles_ms == estimate.next_funding_ms
        assert estimate.rate == settled.rate
        assert settles_ms + 8 * 3_600_000 == it.funding("BTCUSDT").next_funding_ms
        assert it.latest("BTCUSDT").mark_price == settled.mark_price

    @given(seed=seeds, symbol=symbols)
    def test_rates_are_small_and_within_the_cap(self, seed: int, symbol: str) -> None:
        it = market(seed, symbol=symbol)
        last = BIRTH_MS // 28_800_000

        rates = [it.funding_settled(symbol, (last - n) * 28_800_000).rate for n in range(30)]

        assert all(abs(rate) <= Decimal("0.003") for rate in rates)
        assert rates.count(Decimal("0.0001")) > 15


class TestCharacter:
    """What a person expects of the default market; twenty seeds stand for all."""

    def test_bitcoin_is_born_near_95_000(self) -> None:
        assert abs(market().latest("BTCUSDT").last_price - 95_000) < 100

    def test_a_stop_0_175_percent_away_normally_outlives_a_minute(self) -> None:
        it = market()
        it.advance(BIRTH_MS + DAY_MS)
        hit = 0
        for minute in range(BIRTH_MS // 60_000 + 1, BIRTH_MS // 60_000 + 1_001):
            candle = it.candle("BTCUSDT", minute * 60_000, minute * 60_000 + 60_000)
            assert candle is not None
            hit += candle.low < candle.open * (1 - Decimal("0.00175"))

        assert hit < 60

    @pytest.mark.parametrize("seed", range(20))
    def test_60_000_is_not_reached_in_half_a_year(self, seed: int) -> None:
        it = market(seed, symbol="BTCUSDT")
        it.advance(BIRTH_MS + 180 * DAY_MS)

        candle = it.candle("BTCUSDT", BIRTH_MS // 1_000 * 1_000, it.now_ms // 1_000 * 1_000)

        assert candle is not None
        assert 60_000 < candle.low < candle.high < 160_000

    @pytest.mark.parametrize("side", Side)
    def test_an_order_at_the_touch_is_normally_traded_through_within_ten_seconds(
        self, side: Side
    ) -> None:
        ticks = market(symbol="BTCUSDT").advance(BIRTH_MS + 100_000)
        filled = 0
        for start in range(0, 320, 8):
            touch = ticks[start].bid if side is Side.BUY else ticks[start].ask
            later = [tick.last_price for tick in ticks[start + 1 : start + 41]]
            filled += min(later) < touch if side is Side.BUY else max(later) > touch

        assert filled >= 34  # of 40

    def test_both_sides_trade_in_every_second(self) -> None:
        ticks = market(symbol="BTCUSDT").advance(BIRTH_MS + 60_000)[4:-4]
        for _, second in groupby(ticks, key=lambda tick: tick.time_ms // 1_000):
            trades = list(second)
            if len(trades) == 4:
                assert sum(tick.buyer_is_maker for tick in trades) == 2

    def test_yearly_volatility_is_about_what_the_contract_says(self) -> None:
        path = PricePath(
            key=b"any", origin_s=0, start_ticks=950_000, volatility=0.5, volume_per_second=1_000
        )
        hours = [path.bar(n * 3_600, n * 3_600 + 3_600) for n in range(4_000)]
        squares = sum((bar.close / bar.open - 1) ** 2 for bar in hours) / len(hours)

        assert 0.35 < (squares * 24 * 365.25) ** 0.5 < 0.65


class TestPath:
    @given(
        seed=seeds,
        start=st.integers(-40_000_000, 40_000_000),
        lengths=st.tuples(st.integers(1, 5_000_000), st.integers(1, 5_000_000)),
        ticks=st.sampled_from([20, 300, 17_000, 950_000]),
        volume=st.sampled_from([0.1, 50.0, 100_000.0]),
    )
    def test_neighbours_join_to_exactly_the_whole(
        self, seed: int, start: int, lengths: tuple[int, int], ticks: int, volume: float
    ) -> None:
        path = PricePath(
            key=str(seed).encode(),
            origin_s=1_234_567,
            start_ticks=ticks,
            volatility=0.8,
            volume_per_second=volume,
        )
        cut, end = start + lengths[0], start + sum(lengths)

        left, right, whole = path.bar(start, cut), path.bar(cut, end), path.bar(start, end)
        joined = join(left, right)

        assert left.close == right.open
        assert joined[:5] == whole[:5]
        assert joined.sell_volume == whole.sell_volume
        assert 0 < whole.low <= min(whole.open, whole.close)
        assert whole.high >= max(whole.open, whole.close)
        assert whole.low * whole.buy_volume <= whole.buy_quote <= whole.high * whole.buy_volume

    @given(seed=seeds, second=st.integers(-3_000_000, 3_000_000))
    def test_trades_of_a_second_make_its_bar(self, seed: int, second: int) -> None:
        path = PricePath(
            key=str(seed).encode(),
            origin_s=5,
            start_ticks=2_000,
            volatility=0.6,
            volume_per_second=20,
        )
        bar, trades = path.bar(second, second + 1), path.second(second)

        prices = [trade.price for trade in trades]
        assert (bar.open, bar.high, bar.low, bar.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert bar.buy_volume == sum(one.quantity for one in trades if not one.buyer_is_maker)
        assert bar.sell_volume == sum(one.quantity for one in trades if one.buyer_is_maker)
        assert all(trade.quantity > 0 for trade in trades)

    def test_it_passes_through_its_start(self) -> None:
        path = PricePath(
            key=b"", origin_s=1_000, start_ticks=5_000, volatility=0.5, volume_per_second=10
        )
        assert path.bar(1_000, 1_001).open == path.bar(999, 1_000).close == 5_000

    def test_what_was_asked_before_does_not_change_what_is_told(self) -> None:
        def fresh() -> PricePath:
            return PricePath(
                key=b"x", origin_s=0, start_ticks=9_000, volatility=0.5, volume_per_second=10
            )

        asked = fresh()
        for start in range(0, 40_000_000, 50_000):  # more stretches than are remembered
            asked.bar(start, start + 1)

        assert fresh().bar(77, 9_999_999) == asked.bar(77, 9_999_999)
        assert trades_of(fresh(), 50, 60) == trades_of(asked, 50, 60)


def test_the_synthetic_market_is_a_market() -> None:
    it: Market = market()
    assert tuple(CONTRACTS) == tuple(it.symbols)


class TestAttention:
    def test_only_symbols_that_somebody_attends_to_are_told(self) -> None:
        it = market()
        it.attend("venue", ["BTCUSDT"])
        it.attend("streams", ["XRPUSDT"])

        assert {tick.symbol for tick in it.advance(BIRTH_MS + 5_000)} == {"BTCUSDT", "XRPUSDT"}

        it.attend("venue", ())

        assert {tick.symbol for tick in it.advance(BIRTH_MS + 9_000)} == {"XRPUSDT"}

        it.attend("streams", None)

        assert {tick.symbol for tick in it.advance(BIRTH_MS + 9_999)} == set(CONTRACTS)

    def test_a_symbol_nobody_attended_to_is_where_it_would_have_been(self) -> None:
        ignored, told = market(), market()
        ignored.attend("venue", ())

        assert ignored.advance(BIRTH_MS + 60_000) == []
        assert of(told.advance(BIRTH_MS + 60_000), "ETHUSDT")[-1] == ignored.latest("ETHUSDT")

    def test_a_venue_has_told_what_it_trades_and_nothing_else(self) -> None:
        it = market()
        venue = Venue(CONTRACTS, it, MemoryState(), VenueSettings(), BIRTH_MS)
        wish = {"symbol": "LTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
        venue.advance(BIRTH_MS + 1_000)

        assert venue.drain_market() == []

        venue.place_order(Params(wish), BIRTH_MS + 1_000)
        venue.advance(BIRTH_MS + 2_000)

        assert {tick.symbol for tick in venue.drain_market()} == {"LTCUSDT"}

    def test_an_order_on_a_symbol_long_ignored_meets_the_present_price(self) -> None:
        it = market()
        venue = Venue(CONTRACTS, it, MemoryState(), VenueSettings(), BIRTH_MS)
        venue.advance(BIRTH_MS + DAY_MS)
        wish = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}

        order = venue.place_order(Params(wish | {"newOrderRespType": "RESULT"}), it.now_ms)
        fills = venue.user_trades(Params({"symbol": "ETHUSDT"}), it.now_ms)

        assert order["status"] == "FILLED"
        assert [it.latest("ETHUSDT").ask] == [Decimal(fill["price"]) for fill in fills]

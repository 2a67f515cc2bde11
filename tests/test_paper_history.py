"""The past of the paper market: calendars, paging, and agreement with what traded."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.history import (
    INTERVALS,
    agg_trades,
    funding_history,
    interval_bounds,
    klines,
    recent_trades,
    ticker_24h,
)
from trader_cli.paper.markets.synthetic import SyntheticMarket

BIRTH_MS = 1_790_000_000_123
HOUR_MS = 3_600_000


def market(seed: int = 3, *, after_ms: int = 102_600) -> SyntheticMarket:
    it = SyntheticMarket(seed=seed, birth_ms=BIRTH_MS)
    it.advance(BIRTH_MS + after_ms)
    return it


def utc_ms(*day: int) -> int:
    year, month, date = day
    return int(datetime(year, month, date, tzinfo=UTC).timestamp()) * 1_000


@pytest.mark.parametrize(
    ("interval", "time_ms", "bounds"),
    [
        ("1m", 120_000, (120_000, 180_000)),
        ("1m", 119_999, (60_000, 120_000)),
        ("4h", 5 * HOUR_MS, (4 * HOUR_MS, 8 * HOUR_MS)),
        ("1w", utc_ms(2026, 3, 2), (utc_ms(2026, 3, 2), utc_ms(2026, 3, 9))),
        ("1w", utc_ms(2026, 3, 2) - 1, (utc_ms(2026, 2, 23), utc_ms(2026, 3, 2))),
        ("1M", utc_ms(2026, 2, 28), (utc_ms(2026, 2, 1), utc_ms(2026, 3, 1))),
        ("1M", utc_ms(2026, 12, 31), (utc_ms(2026, 12, 1), utc_ms(2027, 1, 1))),
    ],
)
def test_candles_open_on_the_calendar(interval: str, time_ms: int, bounds: tuple[int, int]) -> None:
    assert bounds == interval_bounds(interval, time_ms)


def test_an_unknown_interval_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        klines(market(), "BTCUSDT", "7m")


@pytest.mark.parametrize("interval", INTERVALS)
def test_every_interval_reaches_into_the_past_without_gaps(interval: str) -> None:
    it = market()

    candles = klines(it, "BTCUSDT", interval, limit=80)

    assert len(candles) == 80
    assert candles[-1].open_ms <= it.now_ms <= candles[-1].close_ms
    assert it.latest("BTCUSDT").last_price == candles[-1].close
    for before, after in pairwise(candles):
        assert before.close_ms + 1 == after.open_ms
        assert before.close == after.open
        assert before.first_trade_id + before.trades == after.first_trade_id
    for candle in candles:
        assert candle.low <= min(candle.open, candle.close)
        assert candle.high >= max(candle.open, candle.close)
        assert candle.low <= candle.quote_volume / candle.volume <= candle.high
        assert 0 < candle.taker_buy_volume < candle.volume


@pytest.mark.parametrize(
    ("longer", "shorter", "count"),
    [("1h", "1m", 60), ("15m", "3m", 5), ("4h", "15m", 16), ("1d", "1h", 24), ("1w", "1d", 7)],
)
def test_a_longer_candle_is_exactly_its_shorter_ones(longer: str, shorter: str, count: int) -> None:
    it = market()
    whole = klines(it, "ETHUSDT", longer, limit=3)[0]

    parts = klines(
        it, "ETHUSDT", shorter, start_ms=whole.open_ms, end_ms=whole.close_ms, limit=1_000
    )

    assert count == len(parts)
    assert (whole.open, whole.close) == (parts[0].open, parts[-1].close)
    assert whole.high == max(part.high for part in parts)
    assert whole.low == min(part.low for part in parts)
    assert whole.volume == sum(part.volume for part in parts)
    assert whole.taker_buy_volume == sum(part.taker_buy_volume for part in parts)
    assert whole.trades == sum(part.trades for part in parts)
    quotes = sum(part.quote_volume for part in parts)
    assert abs(whole.quote_volume - quotes) < quotes * Decimal("0.02")


@given(seed=st.integers(0, 10_000), after_ms=st.integers(1_000, 119_000), jump=st.booleans())
def test_the_open_candle_holds_what_was_told_of_it(seed: int, after_ms: int, jump: bool) -> None:
    it = SyntheticMarket(
        seed=seed,
        birth_ms=BIRTH_MS // 60_000 * 60_000 - 1,
        contracts={"BTCUSDT": CONTRACTS["BTCUSDT"]},
    )
    ticks = it.advance(it.now_ms + after_ms)
    if jump:
        it.jump("BTCUSDT", Decimal(80_000))
        ticks += it.advance(it.now_ms + after_ms % 1_500)
        ticks = [*ticks, it.latest("BTCUSDT")] if ticks[-1] != it.latest("BTCUSDT") else ticks

    candle = klines(it, "BTCUSDT", "1m", limit=1)[-1]
    inside = [tick for tick in ticks if tick.time_ms >= candle.open_ms]

    assert inside[0].last_price == candle.open
    assert inside[-1].last_price == candle.close
    assert max(tick.last_price for tick in inside) == candle.high
    assert min(tick.last_price for tick in inside) == candle.low
    assert sum(tick.last_quantity for tick in inside) == candle.volume
    bought = sum(tick.last_quantity for tick in inside if not tick.buyer_is_maker)
    assert bought == candle.taker_buy_volume
    assert sum(tick.last_quantity > 0 for tick in inside) == candle.trades


def test_klines_from_a_start_are_the_oldest_from_there() -> None:
    it = market()
    start_ms = BIRTH_MS - 10 * HOUR_MS

    candles = klines(it, "BTCUSDT", "1m", start_ms=start_ms, limit=5)

    first_ms = -(-start_ms // 60_000) * 60_000
    assert [first_ms + n * 60_000 for n in range(5)] == [one.open_ms for one in candles]


def test_klines_up_to_an_end_are_the_newest_before_it() -> None:
    it = market()
    end_ms = BIRTH_MS - HOUR_MS

    candles = klines(it, "BTCUSDT", "5m", end_ms=end_ms, limit=3)

    assert candles[-1].open_ms <= end_ms <= candles[-1].close_ms
    assert len(candles) == 3


def test_klines_of_the_future_are_none() -> None:
    it = market()
    assert klines(it, "BTCUSDT", "1m", start_ms=it.now_ms + 60_000) == []


def test_nothing_is_told_from_before_the_listing() -> None:
    it = market()
    listed_ms = CONTRACTS["BTCUSDT"].onboard_ms

    candles = klines(it, "BTCUSDT", "1d", start_ms=0, limit=2)

    assert candles[0].open_ms <= listed_ms <= candles[0].close_ms
    assert it.candle("BTCUSDT", 0, listed_ms) is None
    assert klines(it, "BTCUSDT", "1M", limit=1_000)[0].open_ms == utc_ms(2019, 9, 1)


def test_two_markets_of_one_seed_have_one_past() -> None:
    assert repr(klines(market(), "SOLUSDT", "1h")) == repr(klines(market(), "SOLUSDT", "1h"))


def test_recent_trades_end_with_the_present_one() -> None:
    it = market()

    trades = recent_trades(it, "BTCUSDT", limit=50)

    assert len(trades) == 50
    assert it.latest("BTCUSDT") == trades[-1]


def test_trades_can_be_paged_by_id_and_by_time() -> None:
    it = market()
    newest = it.latest("BTCUSDT")

    by_id = agg_trades(it, "BTCUSDT", from_id=newest.trade_id - 9, limit=4)
    by_time = agg_trades(
        it, "BTCUSDT", start_ms=by_id[0].time_ms, end_ms=by_id[2].time_ms, limit=100
    )
    up_to = agg_trades(it, "BTCUSDT", end_ms=by_id[2].time_ms, limit=3)

    assert [newest.trade_id - 9 + n for n in range(4)] == [one.trade_id for one in by_id]
    assert by_id[:3] == by_time == up_to
    assert agg_trades(it, "BTCUSDT", from_id=newest.trade_id + 1) == []


def test_the_last_day_agrees_with_its_candles() -> None:
    it = market()

    ticker = ticker_24h(it, "BTCUSDT")

    assert it.latest("BTCUSDT").last_price == ticker.last_price
    assert ticker.low_price <= ticker.weighted_average_price <= ticker.high_price
    assert ticker.last_price - ticker.open_price == ticker.price_change
    assert it.latest("BTCUSDT").trade_id == ticker.last_trade_id
    assert ticker.last_trade_id - ticker.first_trade_id + 1 == ticker.trades
    assert 0 <= ticker.close_ms - ticker.open_ms - 24 * HOUR_MS + 1_000 < 2_000


def test_funding_history_is_every_eight_hours_up_to_now() -> None:
    it = market()

    newest = funding_history(it, "BTCUSDT", limit=10)
    paged = funding_history(it, "BTCUSDT", start_ms=newest[3].time_ms, limit=2)

    assert all(later.time_ms - one.time_ms == 8 * HOUR_MS for one, later in pairwise(newest))
    assert 0 <= it.now_ms - newest[-1].time_ms < 8 * HOUR_MS
    assert newest[3:5] == paged
    assert it.funding("BTCUSDT").next_funding_ms - 8 * HOUR_MS == newest[-1].time_ms


def test_the_first_funding_is_after_the_listing() -> None:
    first = funding_history(market(), "BTCUSDT", start_ms=0, limit=1)[0]
    listed_ms = CONTRACTS["BTCUSDT"].onboard_ms
    assert listed_ms <= first.time_ms < listed_ms + 8 * HOUR_MS

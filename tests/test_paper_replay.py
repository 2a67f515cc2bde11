"""The replayed market: the files' own past, no price that did not trade, then it stands still."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.market_csv import (
    DAY_MS,
    KLINE_HEADER,
    MINUTE_MS,
    START_MS,
    TRADE_HEADER,
    Prices,
    kline,
    klines,
    trade,
    wave,
    write,
)
from trader_cli.domain.terms import Side
from trader_cli.errors import UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.files import CandleRows, TradeRows, read_files
from trader_cli.paper.markets.history import agg_trades, ticker_24h
from trader_cli.paper.markets.history import klines as candles_of
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.markets.replay import ReplayMarket, open_replay
from trader_cli.paper.markets.tape import grain_of, tape_of
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueRefusal, VenueSettings

UP: Prices = ("60000.0", "60010.0", "59990.0", "60005.0")
DOWN: Prices = ("60005.0", "60008.0", "59980.0", "59985.0")
FLAT: Prices = ("59985.0", "59985.0", "59985.0", "59985.0")

TRADES = "\n".join(
    [
        trade(900, 100, "60000.1", "0.5", seller=False),
        trade(901, 100, "60000.0", "0.2", seller=True),
        trade(902, 100, "59999.9", "1.5", seller=True),
        trade(905, 61_000, "60002.0", "0.003", seller=False),
    ]
)


def replay(path: Path, text: str, name: str = "BTCUSDT-1m-2025-06.csv") -> ReplayMarket:
    return ReplayMarket(read_files([write(path / name, text)]))


def venue_on(market: ReplayMarket, **settings: Any) -> Venue:
    balance = Decimal(1_000_000)
    return Venue(
        market.contracts,
        market,
        MemoryState(),
        VenueSettings(initial_balance=balance, **settings),
        market.now_ms,
    )


def order(venue: Venue, now_ms: int, **wish: str) -> dict[str, Any]:
    sent = {"symbol": "BTCUSDT", "type": "MARKET", "newOrderRespType": "RESULT"} | wish
    if "price" in wish:
        sent |= {"type": "LIMIT", "timeInForce": "GTC"}
    return dict(venue.place_order(Params(sent), now_ms))


def fills(venue: Venue, now_ms: int) -> list[tuple[Decimal, Decimal]]:
    rows = venue.user_trades(Params({"symbol": "BTCUSDT", "limit": "1000"}), now_ms)
    return [(Decimal(row["price"]), Decimal(row["qty"])) for row in rows]


class TestFiles:
    @pytest.mark.parametrize("ending", ["csv", "zip", "gz"])
    @pytest.mark.parametrize("header", [True, False])
    def test_plain_or_packed_with_or_without_header_it_is_the_same(
        self, tmp_path: Path, ending: str, header: bool
    ) -> None:
        path = write(tmp_path / f"BTCUSDT-1m-2025-06-16.{ending}", klines(UP, DOWN, header=header))

        (rows,) = read_files([path]).values()

        assert isinstance(rows, CandleRows)
        assert (rows.symbol, rows.interval_ms) == ("BTCUSDT", MINUTE_MS)
        assert list(rows.open_ms) == [START_MS, START_MS + MINUTE_MS]
        assert list(rows.high) == [60_010_0000_0000, 60_008_0000_0000]

    def test_aggregate_trades_are_told_by_their_columns(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x-BTCUSDT-aggTrades-2025-06-16.zip", f"{TRADE_HEADER}\n{TRADES}")

        (rows,) = read_files([path]).values()

        assert isinstance(rows, TradeRows)
        assert list(rows.trade_id) == [900, 901, 902, 905]
        assert list(rows.quantity) == [50_000_000, -20_000_000, -150_000_000, 300_000]

    def test_a_spreadsheets_mark_hides_no_row(self, tmp_path: Path) -> None:
        rows = "\ufeff" + "\n".join(kline(number, UP) for number in range(3))
        path = write(tmp_path / "BTCUSDT-1m-2025-06.csv", rows)

        (found,) = read_files([path]).values()

        assert isinstance(found, CandleRows)
        assert len(found.open_ms) == 3

    def test_microseconds_are_milliseconds(self, tmp_path: Path) -> None:
        row = kline(0, UP).split(",")
        row[0], row[6] = row[0] + "000", row[6] + "999"
        path = write(tmp_path / "BTCUSDT-1m-2025-06.csv", ",".join(row))

        (rows,) = read_files([path]).values()

        assert isinstance(rows, CandleRows)
        assert (rows.open_ms[0], rows.interval_ms) == (START_MS, MINUTE_MS)

    def test_files_are_joined_by_time_and_what_two_have_counts_once(self, tmp_path: Path) -> None:
        rows = [kline(number, UP) for number in range(4)]
        late = write(tmp_path / "BTCUSDT-1m-b.csv", "\n".join(rows[2:]))
        early = write(tmp_path / "BTCUSDT-1m-a.csv", "\n".join(rows[:3]))

        (found,) = read_files([late, early]).values()

        assert isinstance(found, CandleRows)
        assert list(found.open_ms) == [START_MS + n * MINUTE_MS for n in range(4)]

    def test_a_name_that_says_nothing_needs_the_symbol_said(self, tmp_path: Path) -> None:
        path = write(tmp_path / "data.csv", klines(UP))

        assert list(read_files([path], symbol="ETHUSDT")) == ["ETHUSDT"]
        with pytest.raises(UsageError, match="which symbol"):
            read_files([path])

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "no rows"),
            (KLINE_HEADER, "no rows"),
            ("1,2,3", "3 columns"),
            (klines(("60000.0", "59999.0", "59990.0", "59995.0")), "line 2.*outside of low"),
            (klines(("60000.0", "x", "59990.0", "59995.0")), "line 2.*not a number"),
            (klines(("60000.0", "NaN", "59990.0", "59995.0")), "line 2"),
            (klines(("60000.000000001", "60001", "59990.0", "59995.0")), "more than 8 decimals"),
            (klines(UP) + kline(0, UP, minutes=1)[:30], "line 3"),
            (trade(1, 0, "0", "1", seller=True), "price and a quantity"),
        ],
    )
    def test_what_is_wrong_is_told_with_file_and_line(
        self, tmp_path: Path, text: str, reason: str
    ) -> None:
        path = write(tmp_path / "BTCUSDT-1m-x.csv", text)

        with pytest.raises(UsageError, match=f"BTCUSDT-1m-x.csv.*{reason}"):
            read_files([path])

    def test_a_damaged_archive_and_a_missing_file_are_told(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "BTCUSDT-1m-x.gz", klines(UP)).read_bytes()
        (tmp_path / "BTCUSDT-1m-y.gz").write_bytes(whole[:30])

        with pytest.raises(UsageError, match="damaged"):
            read_files([tmp_path / "BTCUSDT-1m-y.gz"])
        with pytest.raises(UsageError, match="cannot be read"):
            read_files([tmp_path / "BTCUSDT-1m-none.csv"])

    def test_kinds_and_lengths_of_one_symbol_do_not_mix(self, tmp_path: Path) -> None:
        minutes = write(tmp_path / "BTCUSDT-1m-x.csv", klines(UP))
        fives = write(tmp_path / "BTCUSDT-5m-x.csv", kline(0, UP, minutes=5))
        trades = write(tmp_path / "BTCUSDT-aggTrades-x.csv", TRADES)

        with pytest.raises(UsageError, match="different lengths"):
            read_files([minutes, fives])
        with pytest.raises(UsageError, match="cannot be mixed"):
            read_files([minutes, trades])

    def test_a_symbol_without_contract_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="NOPEUSDT is no contract"):
            replay(tmp_path, klines(UP), "NOPEUSDT-1m-x.csv")


@st.composite
def candle_rows(draw: st.DrawFn) -> CandleRows:
    rows = CandleRows(symbol="BTCUSDT", interval_ms=MINUTE_MS)
    prices = st.integers(590_000, 610_000)
    for number in range(draw(st.integers(1, 6))):
        low, a, b, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
        open_, close = (a, b) if draw(st.booleans()) else (b, a)
        rows.open_ms.append(START_MS + number * MINUTE_MS)
        for column, ticks in zip(
            (rows.open, rows.high, rows.low, rows.close), (open_, high, low, close), strict=True
        ):
            column.append(ticks * 10_000_000)
        rows.volume.append(draw(st.integers(0, 3_000)) * 100_000)
        rows.quote_volume.append(draw(st.integers(0, 10**15)))
        rows.trades.append(draw(st.integers(0, 9_999)))
        rows.taker_buy_volume.append(0)
        rows.taker_buy_quote_volume.append(0)
    return rows


class TestPathOfACandle:
    def prints(self, market: ReplayMarket) -> list[MarketTick]:
        return [market.latest("BTCUSDT"), *market.advance(market.end_ms)]

    @pytest.mark.parametrize(("candle", "first"), [(UP, "59990.0"), (DOWN, "60008.0")])
    def test_it_meets_the_extreme_against_its_direction_first(
        self, tmp_path: Path, candle: Prices, first: str
    ) -> None:
        prices = [tick.last_price for tick in self.prints(replay(tmp_path, klines(candle)))]
        high, low = Decimal(candle[1]), Decimal(candle[2])

        met = [price for price in prices if price in (high, low)]

        assert [Decimal(candle[0]), Decimal(candle[3])] == [prices[0], prices[-1]]
        assert met[0] == Decimal(first)
        assert set(met) == {high, low}

    @given(rows=candle_rows())
    def test_it_stays_inside_reaches_every_corner_and_trades_the_volume(
        self, rows: CandleRows
    ) -> None:
        market = ReplayMarket({"BTCUSDT": rows})
        ticks = self.prints(market)
        each = len(ticks) // len(rows.open_ms)

        for number, open_ms in enumerate(rows.open_ms):
            part = ticks[number * each : (number + 1) * each]
            prices = [int(tick.last_price * 100_000_000) for tick in part]
            assert (prices[0], prices[-1]) == (rows.open[number], rows.close[number])
            assert (min(prices), max(prices)) == (rows.low[number], rows.high[number])
            assert {tick.time_ms // MINUTE_MS for tick in part} == {open_ms // MINUTE_MS}
            volume = sum(tick.last_quantity for tick in part)
            assert Decimal(rows.volume[number]).scaleb(-8) == volume
        for before, after in pairwise(ticks):
            assert (before.time_ms, before.update_id) < (after.time_ms, after.update_id)

    @given(rows=candle_rows())
    def test_no_quote_leaves_a_candle_that_is_wider_than_a_tick(self, rows: CandleRows) -> None:
        market = ReplayMarket({"BTCUSDT": rows})
        for tick in self.prints(market):
            number = (tick.time_ms - START_MS) // MINUTE_MS
            low, high = rows.low[number], rows.high[number]
            bid, ask = int(tick.bid * 10**8), int(tick.ask * 10**8)
            assert tick.last_price == (tick.bid if tick.buyer_is_maker else tick.ask)
            assert bid < ask
            if low < high:
                assert low <= bid
                assert ask <= high

    @given(rows=candle_rows(), cuts=st.lists(st.integers(0, 6 * MINUTE_MS), max_size=5))
    def test_it_does_not_matter_how_often_it_is_asked(
        self, rows: CandleRows, cuts: list[int]
    ) -> None:
        once, often = ReplayMarket({"BTCUSDT": rows}), ReplayMarket({"BTCUSDT": rows})

        whole = once.advance(once.end_ms)
        parts = [tick for ms in sorted(cuts) for tick in often.advance(START_MS + ms)]

        assert whole == parts + often.advance(often.end_ms)


class TestPast:
    def test_candles_are_the_files_own_to_the_last_digit(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP, DOWN, FLAT))
        market.advance(START_MS + 3 * MINUTE_MS)

        first, *_ = candles_of(market, "BTCUSDT", "1m", limit=3)

        assert [first.open, first.high, first.low, first.close] == [Decimal(one) for one in UP]
        assert (first.volume, first.quote_volume, first.trades) == (
            Decimal(16),
            Decimal("1234.56789"),
            77,
        )
        assert (first.taker_buy_volume, first.taker_buy_quote_volume) == (
            Decimal("5.5"),
            Decimal("321.00001"),
        )

    def test_longer_candles_are_joined_from_the_files(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP, DOWN, FLAT))
        market.advance(START_MS + 3 * MINUTE_MS)

        (whole,) = candles_of(market, "BTCUSDT", "3m", start_ms=START_MS, limit=1)

        assert (whole.open, whole.high, whole.low, whole.close) == tuple(
            map(Decimal, ("60000", "60010", "59980", "59985"))
        )
        assert (whole.volume, whole.trades) == (48, 3 * 77)

    def test_the_candle_that_is_open_holds_what_has_been_printed(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP, DOWN))
        ticks = [market.latest("BTCUSDT"), *market.advance(START_MS + 20_000)]

        (candle,) = candles_of(market, "BTCUSDT", "1m", limit=1)

        prices = [tick.last_price for tick in ticks]
        assert (max(prices), min(prices), prices[-1]) == (candle.high, candle.low, candle.close)
        assert sum(tick.last_quantity for tick in ticks) == candle.volume

    def test_it_begins_with_a_past_and_begins_where_told(self, tmp_path: Path) -> None:
        path = write(tmp_path / "BTCUSDT-1m-x.csv", klines(*wave(100)))

        assert len(candles_of(open_replay([path]), "BTCUSDT", "1m")) == 10
        told = open_replay([path], start_ms=START_MS + 50 * MINUTE_MS)
        assert len(candles_of(told, "BTCUSDT", "1m")) == 51
        with pytest.raises(UsageError, match="cannot begin"):
            open_replay([path], start_ms=START_MS - 1)

    def test_a_gap_in_the_files_is_a_gap_and_no_end(self, tmp_path: Path) -> None:
        market = replay(tmp_path, f"{kline(0, UP)}\n{kline(5, DOWN)}")
        market.advance(START_MS + 6 * MINUTE_MS)

        opened = [candle.open_ms for candle in candles_of(market, "BTCUSDT", "1m")]

        assert opened == [START_MS, START_MS + 5 * MINUTE_MS]
        assert candles_of(market, "BTCUSDT", "1m", start_ms=0, end_ms=START_MS - 1) == []

    def test_the_last_day_is_summed_up(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP, DOWN))
        market.advance(START_MS + 2 * MINUTE_MS)

        day = ticker_24h(market, "BTCUSDT")

        assert (day.open_price, day.last_price) == (Decimal("60000.0"), Decimal("59985.0"))
        assert (day.high_price, day.low_price) == (Decimal("60010.0"), Decimal("59980.0"))

    def test_at_the_end_it_stands_still_and_says_so(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP))
        assert market.facts()["replay_ended"] is False

        market.advance(market.end_ms)
        last = market.latest("BTCUSDT")

        assert market.facts()["replay_ended"] is True
        assert market.advance(START_MS + DAY_MS) == []
        assert last == market.latest("BTCUSDT")
        assert market.now_ms == START_MS + DAY_MS

    def test_what_was_recorded_cannot_be_moved(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot be moved"):
            replay(tmp_path, klines(UP)).jump("BTCUSDT", Decimal(50_000))

    def test_prices_finer_than_the_contract_keep_their_digits(self, tmp_path: Path) -> None:
        fine: Prices = ("60000.25", "60010.5", "59990.05", "60005.15")
        market = replay(tmp_path, klines(fine))

        assert Decimal("0.05") == market.contracts["BTCUSDT"].instrument.tick_size
        assert Decimal("60000.25") == market.latest("BTCUSDT").last_price
        assert Decimal("0.10") == CONTRACTS["BTCUSDT"].instrument.tick_size


class TestTrades:
    NAME = "BTCUSDT-aggTrades-2025-06-16.csv"

    def test_they_are_replayed_one_by_one_as_they_were(self, tmp_path: Path) -> None:
        market = replay(tmp_path, TRADES, self.NAME)
        market.advance(START_MS + 200)

        told = agg_trades(market, "BTCUSDT")

        assert [
            (tick.trade_id, tick.time_ms - START_MS, str(tick.last_price), tick.buyer_is_maker)
            for tick in told
        ] == [
            (900, 100, "60000.10", False),
            (901, 100, "60000.00", True),
            (902, 100, "59999.90", True),
        ]
        assert [tick.last_quantity for tick in told] == [
            Decimal("0.5"),
            Decimal("0.2"),
            Decimal("1.5"),
        ]
        assert [tick.trade_id for tick in market.advance(START_MS + 61_000)] == [905]

    def test_trades_of_one_millisecond_are_different_books(self, tmp_path: Path) -> None:
        market = replay(tmp_path, TRADES, self.NAME)
        market.advance(START_MS + 200)
        ids = [tick.update_id for tick in agg_trades(market, "BTCUSDT")]

        assert ids == sorted(set(ids))

    def test_candles_are_added_up_from_them(self, tmp_path: Path) -> None:
        market = replay(tmp_path, TRADES, self.NAME)
        market.advance(START_MS + 2 * MINUTE_MS)

        first, second = candles_of(market, "BTCUSDT", "1m")

        assert (first.open, first.high, first.low, first.close) == tuple(
            map(Decimal, ("60000.1", "60000.1", "59999.9", "59999.9"))
        )
        assert (first.volume, first.taker_buy_volume, first.trades) == (
            Decimal("2.2"),
            Decimal("0.5"),
            3,
        )
        assert Decimal("0.5") * Decimal("60000.1") == first.taker_buy_quote_volume
        assert (second.trades, second.first_trade_id) == (1, 905)

    def test_ids_that_are_missing_are_missing(self, tmp_path: Path) -> None:
        market = replay(tmp_path, TRADES, self.NAME)
        market.advance(START_MS + DAY_MS)

        assert market.tick_at("BTCUSDT", 903) is None
        assert [tick.trade_id for tick in agg_trades(market, "BTCUSDT", from_id=903)] == [905]
        assert market.trade_id_at("BTCUSDT", START_MS + DAY_MS) == 906

    def test_a_trade_that_has_not_happened_is_not_told(self, tmp_path: Path) -> None:
        market = replay(tmp_path, TRADES, self.NAME)

        assert market.tick_at("BTCUSDT", 905) is None


class TestFills:
    @given(
        rows=candle_rows(),
        side=st.sampled_from(["BUY", "SELL"]),
        ticks=st.integers(588_000, 612_000),
        quantity=st.integers(1, 30),
        placed_ms=st.integers(0, 3 * MINUTE_MS),
    )
    def test_nothing_resting_fills_at_a_price_that_did_not_trade(
        self, rows: CandleRows, side: str, ticks: int, quantity: int, placed_ms: int
    ) -> None:
        market = ReplayMarket({"BTCUSDT": rows})
        venue = venue_on(market)
        now_ms = min(START_MS + placed_ms, market.end_ms)
        venue.advance(now_ms)
        price = Decimal(ticks).scaleb(-1)
        seen = market.latest("BTCUSDT")
        taking = price >= seen.ask if side == "BUY" else price <= seen.bid
        if taking or abs(price / seen.mark_price - 1) > Decimal("0.05"):
            return

        order(venue, now_ms, side=side, quantity=str(Decimal(quantity)), price=str(price))
        venue.drain_market()
        venue.advance(market.end_ms)

        printed = [tick.last_price for tick in venue.drain_market()]
        quoted = [tick.ask if side == "BUY" else tick.bid for tick in market_ticks(rows, now_ms)]
        for filled, _ in fills(venue, market.now_ms):
            assert filled == price
            reached = [*printed, *quoted]
            assert min(reached) <= price if side == "BUY" else max(reached) >= price

    def test_a_taker_walks_the_book_level_by_level(self, tmp_path: Path) -> None:
        market = replay(tmp_path, klines(UP, DOWN))
        venue = venue_on(market)
        shown = [
            level for _, level in zip(range(40), market.levels("BTCUSDT", Side.BUY), strict=False)
        ]

        order(venue, market.now_ms, side="BUY", quantity="20")

        left = Decimal(20)
        expected = []
        for price, size in shown:
            part = min(left, size)
            left -= part
            if part:
                expected.append((price, part))
        assert expected == fills(venue, market.now_ms)
        assert len(expected) > 1

    @pytest.mark.parametrize("step_ms", [1_000, 600_000])
    def test_a_stop_meets_the_book_of_its_own_moment_however_far_the_world_goes_on(
        self, tmp_path: Path, step_ms: int
    ) -> None:
        rows = [
            trade(n + 1, n * 1_000, f"{60_000 - 10 * n}.0", "1", seller=True) for n in range(600)
        ]
        market = replay(tmp_path, "\n".join(rows), "BTCUSDT-aggTrades-x.csv")
        venue, now_ms = venue_on(market), market.now_ms
        order(venue, now_ms, side="BUY", quantity="20")
        bought = len(fills(venue, now_ms))
        stop = {"type": "STOP_MARKET", "algoType": "CONDITIONAL", "triggerPrice": "59000"}
        stop |= {"symbol": "BTCUSDT", "side": "SELL", "quantity": "20", "reduceOnly": "true"}
        venue.place_algo(Params(stop), now_ms)

        for at_ms in range(now_ms + step_ms, now_ms + 600_001, step_ms):
            venue.advance(at_ms)

        sold = fills(venue, market.now_ms)[bought:]
        assert sum(quantity for _, quantity in sold) == 20
        assert len(sold) > 1
        assert all(58_990 < price <= 59_000 for price, _ in sold)

    def test_a_resting_order_waits_behind_the_size_that_is_shown(self, tmp_path: Path) -> None:
        rows = [trade(1, 0, "60000.0", "1", seller=True)]
        rows += [trade(n, n * 1_000, "60000.0", "2", seller=True) for n in range(2, 9)]
        market = replay(tmp_path, "\n".join(rows), "BTCUSDT-aggTrades-x.csv")
        venue = venue_on(market)
        ahead = market.latest("BTCUSDT").bid_quantity

        order(venue, market.now_ms, side="BUY", quantity="1", price="60000.0")

        traded = Decimal(0)
        for second in range(2, 9):
            venue.advance(START_MS + second * 1_000)
            traded += 2
            due = max(Decimal(0), min(Decimal(1), traded - ahead))
            assert due == sum(quantity for _, quantity in fills(venue, market.now_ms))
        assert traded - ahead > 1

    def test_days_of_minutes_keep_the_books(self, tmp_path: Path) -> None:
        """A resting ladder on both sides of two symbols for half a day, told in one go."""
        files = [
            write(tmp_path / "BTCUSDT-1m-x.csv", klines(*wave(720))),
            write(tmp_path / "ETHUSDT-1m-x.zip", klines(*wave(720, start=3_000, every=5))),
        ]
        market = open_replay(files)
        venue = venue_on(market)
        for n in range(1, 20):
            for side, sign in (("BUY", -1), ("SELL", 1)):
                price = market.latest("BTCUSDT").last_price.quantize(Decimal(1)) + sign * n * 5
                order(venue, market.now_ms, side=side, quantity="0.01", price=str(price))

        while not market.ended:
            venue.advance(market.now_ms + MINUTE_MS)

        held = venue.account_v3(Params({}), market.now_ms)
        wallet = Decimal(held["totalWalletBalance"])
        rows = venue.income(
            Params({"limit": "1000", "startTime": str(START_MS - 1)}), market.now_ms
        )
        assert Decimal(1_000_000) == wallet - sum(
            Decimal(row["income"]) for row in rows if row["incomeType"] != "TRANSFER"
        )
        assert fills(venue, market.now_ms)

    def test_funding_is_paid_at_the_tapes_time_and_price(self, tmp_path: Path) -> None:
        path = write(tmp_path / "BTCUSDT-1m-x.csv", klines(*wave(490)))
        market = open_replay([path], start_ms=START_MS + 470 * MINUTE_MS)
        venue = venue_on(market)
        order(venue, market.now_ms, side="BUY", quantity="1")

        venue.advance(START_MS + 489 * MINUTE_MS)

        (paid,) = venue.income(
            Params({"incomeType": "FUNDING_FEE", "startTime": str(START_MS)}), market.now_ms
        )
        settled = market.funding_settled("BTCUSDT", START_MS + 480 * MINUTE_MS)
        assert paid["time"] == START_MS + 480 * MINUTE_MS
        assert -settled.mark_price * Decimal("0.0001") == Decimal(paid["income"])

    def test_an_unknown_symbol_is_the_venues_own_refusal(self, tmp_path: Path) -> None:
        venue = venue_on(replay(tmp_path, klines(UP)))

        with pytest.raises(VenueRefusal):
            order(venue, START_MS, symbol="ETHUSDT", side="BUY", quantity="1")


def market_ticks(rows: CandleRows, after_ms: int) -> list[MarketTick]:
    market = ReplayMarket({"BTCUSDT": rows})
    return [tick for tick in market.advance(market.end_ms) if tick.time_ms > after_ms]


def test_a_tape_is_as_fine_as_its_prices_and_never_coarser_than_the_contract() -> None:
    rows = CandleRows(symbol="BTCUSDT", interval_ms=MINUTE_MS)
    for column in (rows.open, rows.high, rows.low, rows.close):
        column.append(60_000_0300_0000)
    rows.open_ms.append(START_MS)
    for total in (rows.volume, rows.quote_volume, rows.trades, rows.taker_buy_volume):
        total.append(100_000)
    rows.taker_buy_quote_volume.append(0)

    grain = grain_of(rows, tick=10_000_000, step=100_000)

    assert (grain.tick, grain.step) == (1_000_000, 100_000)
    assert len(tape_of(rows, grain)) == 16

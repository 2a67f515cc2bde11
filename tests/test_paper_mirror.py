"""The mirrored market, against a second paper exchange as its upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.support.paper import PaperPort, PaperVenue, RealClock, SteadyMarket, paper_server
from trader_cli.clock import SystemClock
from trader_cli.domain.terms import Side
from trader_cli.errors import NotSent, UsageError
from trader_cli.paper import process
from trader_cli.paper.markets.candles import DAY_MS, HOUR_MS, MINUTE_MS, CandleMemory
from trader_cli.paper.markets.history import agg_trades, klines
from trader_cli.paper.markets.market import Candle, FundingSettled
from trader_cli.paper.markets.mirror import Deal, Marks, MirrorMarket, Quote
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.process import MarketKind, PaperOptions
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.serving.market_choice import Chosen
from trader_cli.paper.serving.upstream import mirrored
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueRefusal, VenueSettings

NOW_MS = 1_790_000_000_000
D = Decimal
QUOTE = Quote(D("60000.0"), D(3), D("60000.1"), D(2))
MARKS = Marks(D("60001.5"), D("60002"), D("0.0002"), NOW_MS + 1_000)


def deal(trade_id: int, price: str = "60000.0", *, time_ms: int = NOW_MS) -> Deal:
    return Deal(trade_id, time_ms, D(price), D("0.5"), True)


def a_mirror() -> MirrorMarket:
    market = MirrorMarket(NOW_MS)
    market.introduce("BTCUSDT", QUOTE, [deal(7), deal(8)], MARKS)
    return market


def candle(open_ms: int, close: str, *, length_ms: int = MINUTE_MS) -> Candle:
    return Candle(
        symbol="BTCUSDT",
        open_ms=open_ms,
        close_ms=open_ms + length_ms - 1,
        open=D(100),
        high=max(D(100), D(close)),
        low=min(D(100), D(close)),
        close=D(close),
        volume=D(2),
        quote_volume=D(200),
        trades=3,
        taker_buy_volume=D(1),
        taker_buy_quote_volume=D(100),
        first_trade_id=0,
    )


class TestPicture:
    def test_it_shows_what_was_told_and_nothing_else(self) -> None:
        market = a_mirror()
        market.see_depth("BTCUSDT", [(D("59999"), D(9)), (D("60000.0"), D(1))], [(D(60001), D(4))])

        assert list(market.levels("BTCUSDT", Side.SELL)) == [(D("60000.0"), D(3)), (D(59999), D(9))]
        assert list(market.levels("BTCUSDT", Side.BUY)) == [(D("60000.1"), D(2)), (D(60001), D(4))]

        market.see_depth("BTCUSDT", [(D("59999"), D(0))], [])

        assert list(market.levels("BTCUSDT", Side.SELL)) == [(D("60000.0"), D(3))]

    def test_quotes_and_trades_become_ticks_once(self) -> None:
        market = a_mirror()
        market.see_quote("BTCUSDT", QUOTE._replace(bid=D("59999.9")), NOW_MS + 5)
        market.see_deal("BTCUSDT", deal(9, "59999.9", time_ms=NOW_MS + 6))
        market.see_deal("BTCUSDT", deal(9, "59999.9", time_ms=NOW_MS + 6))

        ticks = market.advance(NOW_MS + 100)

        assert [(tick.bid, tick.last_quantity) for tick in ticks] == [
            (D("59999.9"), D(0)),
            (D("59999.9"), D("0.5")),
        ]
        assert [tick.trade_id for tick in agg_trades(market, "BTCUSDT")] == [7, 8, 9]
        assert market.advance(NOW_MS + 200) == []

    def test_times_never_go_back_nor_ahead_of_now(self) -> None:
        market = a_mirror()
        market.advance(NOW_MS + 50)
        market.see_quote("BTCUSDT", QUOTE, NOW_MS + 9_999)
        market.see_quote("BTCUSDT", QUOTE, NOW_MS - 9_999)

        assert [tick.time_ms for tick in market.advance(NOW_MS + 60)] == [NOW_MS + 50] * 2

    def test_funding_is_settled_at_what_was_known_when_its_time_came(self) -> None:
        market = a_mirror()
        later = MARKS._replace(
            rate=D("0.0009"), next_funding_ms=MARKS.next_funding_ms + 8 * HOUR_MS
        )
        market.see_marks("BTCUSDT", later, NOW_MS + 1_001)

        assert market.funding_settled("BTCUSDT", MARKS.next_funding_ms) == FundingSettled(
            symbol="BTCUSDT",
            time_ms=MARKS.next_funding_ms,
            rate=D("0.0002"),
            mark_price=D("60001.5"),
        )
        assert market.funding("BTCUSDT").rate == D("0.0009")

    def test_it_is_stale_after_five_silent_seconds_and_not_before(self) -> None:
        market = a_mirror()
        market.advance(NOW_MS + 5_000)
        assert not market.is_stale("BTCUSDT")

        market.advance(NOW_MS + 5_001)
        assert market.is_stale("BTCUSDT")
        assert market.facts()["stale"] == ["BTCUSDT"]

        market.hear("BTCUSDT")
        assert not market.is_stale("BTCUSDT")

    def test_another_exchanges_market_cannot_be_moved(self) -> None:
        with pytest.raises(UsageError):
            a_mirror().jump("BTCUSDT", D(1))

    def test_candles_are_joined_from_what_fits_best(self) -> None:
        memory = CandleMemory()
        day = NOW_MS // DAY_MS * DAY_MS
        memory.put(DAY_MS, candle(day - DAY_MS, "90", length_ms=DAY_MS))
        memory.put(HOUR_MS, candle(day, "120", length_ms=HOUR_MS))
        memory.put(MINUTE_MS, candle(day + HOUR_MS, "70"))

        whole = memory.joined("BTCUSDT", day - DAY_MS, day + DAY_MS)

        assert whole is not None
        assert (whole.open, whole.high, whole.low, whole.close) == (100, 120, 70, 70)
        assert (whole.volume, whole.trades) == (6, 9)
        assert memory.joined("BTCUSDT", day + 2 * HOUR_MS, day + 3 * HOUR_MS) is None
        assert day - DAY_MS == memory.first_ms

    def test_an_hour_that_closes_is_joined_from_its_minutes(self) -> None:
        memory = CandleMemory()
        hour = NOW_MS // HOUR_MS * HOUR_MS
        for minute in range(61):
            memory.put(MINUTE_MS, candle(hour + minute * MINUTE_MS, str(100 + minute)))

        found = memory.joined("BTCUSDT", hour, hour + HOUR_MS)

        assert found is not None
        assert (found.close, found.volume) == (159, 120)


class Mirror:
    """A venue on a mirrored market, and how to wait for what the upstream tells it."""

    def __init__(self, chosen: Chosen) -> None:
        self.market = chosen.market
        self.venue = Venue(
            chosen.contracts,
            chosen.market,
            MemoryState(),
            VenueSettings(initial_balance=D(100_000)),
            chosen.market.now_ms,
        )

    def now(self) -> int:
        now_ms = max(SystemClock().now_ms(), self.market.now_ms)
        self.venue.advance(now_ms)
        return now_ms

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the world go on until something holds."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)
                self.now()

    def order(self, side: str, quantity: str, price: str | None = None) -> dict[str, Any]:
        wish = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
        if price is not None:
            wish |= {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        sent = Params(wish | {"newOrderRespType": "RESULT"})
        return dict(self.venue.place_order(sent, self.now()))

    def status(self, order: dict[str, Any]) -> str:
        asked = Params({"symbol": "BTCUSDT", "orderId": str(order["orderId"])})
        return self.venue.query_order(asked, self.now())["status"]


@asynccontextmanager
async def mirror_of(port: PaperPort, *symbols: str) -> AsyncIterator[Mirror]:
    options = PaperOptions(
        market=MarketKind.MIRROR, upstream_url=port.rest_url, symbols=symbols or ("BTCUSDT",)
    )
    async with mirrored(MemoryState(), options, SystemClock()) as chosen:
        yield Mirror(chosen)


class TestAgainstAnotherExchange:
    async def test_prices_follow_the_upstream(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            start = mirror.market.latest("BTCUSDT")
            upstream = port.paper.market.latest("BTCUSDT")
            assert (start.bid, start.ask) == (upstream.bid, upstream.ask)

            port.paper.set_price("BTCUSDT", D("91234.5"))
            await mirror.until(lambda: mirror.market.latest("BTCUSDT").bid == D("91234.5"))
            await mirror.until(lambda: mirror.market.latest("BTCUSDT").last_price == D("91234.5"))
            await mirror.until(lambda: mirror.market.latest("BTCUSDT").mark_price == D("91234.5"))

    async def test_a_taker_gets_what_the_upstream_shows(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            mirror.order("BUY", "0.5")

            (fill,) = mirror.venue.user_trades(Params({"symbol": "BTCUSDT"}), mirror.now())
            assert D(fill["price"]) == port.paper.market.latest("BTCUSDT").ask

    async def test_a_resting_order_fills_when_the_upstream_trades_through_it(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            bid = port.paper.market.latest("BTCUSDT").bid
            resting = mirror.order("BUY", "0.5", str(bid - 100))
            assert mirror.status(resting) == "NEW"

            port.paper.set_price("BTCUSDT", bid - 200)
            await mirror.until(lambda: mirror.status(resting) == "FILLED")

            (fill,) = mirror.venue.user_trades(Params({"symbol": "BTCUSDT"}), mirror.now())
            assert D(fill["price"]) == bid - 100

    async def test_the_book_is_rebuilt_from_the_upstreams_diffs(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            port.paper.set_price("BTCUSDT", D("90000.0"))

            def same() -> bool:
                theirs = list(islice(port.paper.market.levels("BTCUSDT", Side.SELL), 50))
                return theirs == list(islice(mirror.market.levels("BTCUSDT", Side.SELL), 50))

            await mirror.until(same)

    async def test_it_has_the_upstreams_past(self) -> None:
        clock = RealClock()
        synthetic = SyntheticMarket(seed=7, birth_ms=clock.now_ms())
        paper = PaperVenue(clock=clock, market=synthetic)
        async with paper_server(paper) as port, mirror_of(port, "ETHUSDT") as mirror:
            wish = {"symbol": "ETHUSDT", "interval": "1h", "limit": 30}
            theirs = paper.ask("GET", "/fapi/v1/klines", wish, signed=False)
            ours = klines(mirror.market, "ETHUSDT", "1h", limit=30)

            assert [row[0] for row in theirs] == [one.open_ms for one in ours]
            assert [D(row[4]) for row in theirs[:-1]] == [one.close for one in ours[:-1]]
            assert [D(row[5]) for row in theirs[:-1]] == [one.volume for one in ours[:-1]]

    async def test_silence_stops_new_orders_but_not_cancels_and_its_end_lets_them_in(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            resting = mirror.order("BUY", "0.5", "80000.0")
            far_ms = mirror.market.now_ms + 60_000
            mirror.venue.advance(far_ms)

            with pytest.raises(VenueRefusal) as refusal:
                mirror.order("BUY", "0.5")
            assert refusal.value.code == -4141
            asked = Params({"symbol": "BTCUSDT", "orderId": str(resting["orderId"])})
            assert mirror.venue.cancel_order(asked, far_ms)["status"] == "CANCELED"

            port.paper.set_price("BTCUSDT", D("90000.0"))
            await mirror.until(lambda: not mirror.market.is_stale("BTCUSDT"))
            assert mirror.order("BUY", "0.5")["status"] == "FILLED"

    async def test_a_lost_connection_is_made_again(self) -> None:
        async with paper_server() as port, mirror_of(port) as mirror:
            port.paper.exchange.subscriptions.close_all()
            port.paper.set_price("BTCUSDT", D("90500.0"))

            await mirror.until(lambda: mirror.market.latest("BTCUSDT").bid == D("90500.0"))
            await mirror.until(lambda: len(port.paper.exchange.subscriptions) == 2)


class TestWithoutUpstream:
    async def test_nobody_there_is_said_and_nothing_is_put_in_its_place(self) -> None:
        options = PaperOptions(market=MarketKind.MIRROR, upstream_url="http://127.0.0.1:9")

        with pytest.raises(NotSent, match=r"127\.0\.0\.1:9 cannot be mirrored"):
            async with mirrored(MemoryState(), options, SystemClock()):
                raise AssertionError("there is no market")

    async def test_a_symbol_the_upstream_does_not_trade_is_refused(self) -> None:
        async with paper_server(PaperVenue(clock=RealClock(), market=SteadyMarket())) as port:
            with pytest.raises(UsageError, match="WLDUSDT is not traded"):
                async with mirror_of(port, "WLDUSDT"):
                    raise AssertionError("there is no market")

    def test_the_command_says_so_and_leaves_nothing_running(self, tmp_path: Path) -> None:
        options = PaperOptions(market=MarketKind.MIRROR, upstream_url="http://127.0.0.1:9")

        with pytest.raises(NotSent, match="cannot be mirrored"):
            process.ensure_running(tmp_path, options=options)
        assert process.status(tmp_path) is None


def test_one_process_mirrors_another(tmp_path: Path) -> None:
    upstream = process.ensure_running(tmp_path / "upstream", options=PaperOptions(seed=3))
    try:
        options = PaperOptions(
            market=MarketKind.MIRROR, upstream_url=upstream.rest_url, symbols=("SOLUSDT",)
        )
        process.ensure_running(tmp_path / "mirror", options=options)
        try:
            status = process.status(tmp_path / "mirror")
            assert status is not None
            assert (status["market"], status["symbols"]) == ("mirror", ["SOLUSDT"])
            assert (status["stale"], status["upstream"]) == ([], upstream.rest_url)
            theirs = process.price(tmp_path / "upstream", "SOLUSDT")
            ours = process.price(tmp_path / "mirror", "SOLUSDT")
            assert abs(D(theirs["bid"]) / D(ours["bid"]) - 1) < D("0.01")
        finally:
            process.stop(tmp_path / "mirror")
    finally:
        process.stop(tmp_path / "upstream")

"""Which market a server has, what time it is there, and how an operator shapes a synthetic one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.market_csv import MINUTE_MS, START_MS, klines, wave, write
from tests.support.paper import KEYS, ManualClock, PaperVenue, RealClock, paper_server, signature_of
from trader_cli.cli.paper_market import check_runs, market_options
from trader_cli.errors import NotSent, UsageError
from trader_cli.paper import process
from trader_cli.paper.__main__ import _parser
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.character import with_characters
from trader_cli.paper.markets.history import klines as candles_of
from trader_cli.paper.markets.jumps import RandomJumps
from trader_cli.paper.markets.replay_clock import ReplayClock
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.process import MarketKind, PaperOptions
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.messages import HttpRequest
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.serving.market_choice import choose_market
from trader_cli.paper.serving.service import build_exchange
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueSettings

D = Decimal
BIRTH_MS = 1_790_000_000_123
DAY_MS = 86_400_000
BTC = {"BTCUSDT": CONTRACTS["BTCUSDT"]}


def tape(path: Path, minutes: int = 200) -> Path:
    return write(path / "BTCUSDT-1m-2025-06.csv", klines(*wave(minutes)))


def a_venue(state: MemoryState, options: PaperOptions, clock: ManualClock) -> Venue:
    chosen = choose_market(state, options, clock)
    now_ms = chosen.market.now_ms
    return Venue(chosen.contracts, chosen.market, state, VenueSettings(), now_ms)


def buy(venue: Venue, now_ms: int) -> None:
    wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    venue.place_order(Params(wish), now_ms)


class TestChoice:
    def test_nothing_said_is_synthetic_at_first_and_then_what_it_was(self, tmp_path: Path) -> None:
        state, clock = MemoryState(), ManualClock()
        replay = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),), speed=D(60))
        assert choose_market(state, PaperOptions(), clock).market.facts()["market"] == "synthetic"

        first = choose_market(state, replay, clock)
        Venue(first.contracts, first.market, state, VenueSettings(), first.market.now_ms)
        again = choose_market(state, PaperOptions(), clock)

        assert again.market.facts()["market"] == "replay"
        assert again.speed == 60
        assert first.market.now_ms == again.market.now_ms

    def test_a_replay_goes_on_where_it_was_left(self, tmp_path: Path) -> None:
        state, clock = MemoryState(), ManualClock()
        options = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),))
        venue = a_venue(state, options, clock)
        left_ms = START_MS + 90 * MINUTE_MS
        venue.advance(left_ms)
        buy(venue, left_ms)

        again = choose_market(state, options, clock)
        Venue(again.contracts, again.market, state, VenueSettings(), again.market.now_ms)

        assert left_ms == again.market.now_ms

    def test_the_market_is_not_changed_under_a_position(self, tmp_path: Path) -> None:
        state, clock = MemoryState(), ManualClock()
        venue = a_venue(state, PaperOptions(), clock)
        buy(venue, clock.now_ms())
        replay = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),))

        with pytest.raises(NotSent, match="positions or orders on the synthetic market"):
            choose_market(state, replay, clock)

        venue.place_order(
            Params({"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}),
            clock.now_ms(),
        )
        changed = a_venue(state, replay, clock)
        assert D(changed.balance(Params({}), START_MS)[0]["balance"]) < 10_000

    def test_other_files_are_another_market(self, tmp_path: Path) -> None:
        state, clock = MemoryState(), ManualClock()
        options = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),))
        venue = a_venue(state, options, clock)
        buy(venue, START_MS + 20 * MINUTE_MS)
        (tmp_path / "other").mkdir()

        with pytest.raises(NotSent, match="positions or orders on the replay market"):
            choose_market(state, replace(options, files=(tape(tmp_path / "other"),)), clock)

    def test_a_replay_of_nothing_is_refused(self) -> None:
        with pytest.raises(UsageError, match="needs the files"):
            choose_market(MemoryState(), PaperOptions(market=MarketKind.REPLAY), ManualClock())

    def test_the_servers_command_line_says_all_of_it(self, tmp_path: Path) -> None:
        options = PaperOptions(
            seed=5,
            market=MarketKind.REPLAY,
            files=(tmp_path / "a.csv", tmp_path / "b.csv"),
            symbols=("BTCUSDT",),
            speed=D("2.5"),
            start_ms=START_MS,
            latency_ms=40,
            upstream_url="http://127.0.0.1:1",
            upstream_stream_url="ws://127.0.0.1:1",
            characters={"BTCUSDT": {"volatility": "0.9"}},
            rate_limits=False,
            old_streams=False,
        )
        read = _parser().parse_args(["--home", str(tmp_path), *options.arguments()])

        assert (read.market, read.file, read.speed) == (
            MarketKind.REPLAY,
            [*options.files],
            D("2.5"),
        )
        assert (read.start_ms, read.latency, read.symbol) == (START_MS, 40, ["BTCUSDT"])
        assert (read.upstream, read.upstream_stream) == ("http://127.0.0.1:1", "ws://127.0.0.1:1")
        assert read.characters == options.characters
        assert (read.no_rate_limits, read.no_old_streams) == (True, True)
        usual = _parser().parse_args(["--home", str(tmp_path), *PaperOptions().arguments()])
        assert (usual.no_rate_limits, usual.no_old_streams) == (False, False)

    @pytest.mark.parametrize(
        ("wishes", "market"),
        [
            ({"files": [Path("x.csv")]}, MarketKind.REPLAY),
            ({"market": "mirror", "files": []}, MarketKind.MIRROR),
            ({"market": None, "files": None}, None),
        ],
    )
    def test_files_mean_a_replay(self, wishes: dict[str, Any], market: MarketKind | None) -> None:
        assert market == market_options(PaperOptions(), **wishes).market

    def test_what_does_not_go_together_is_refused(self) -> None:
        with pytest.raises(UsageError, match="takes no files"):
            market_options(PaperOptions(), market="synthetic", files=[Path("x.csv")])
        with pytest.raises(UsageError, match="allowed is synthetic, replay, mirror"):
            market_options(PaperOptions(), market="live")
        with pytest.raises(UsageError, match="runs already, on the synthetic"):
            check_runs("replay", "synthetic")
        check_runs(None, "synthetic")

    def test_a_process_replays_files_and_shows_it(self, tmp_path: Path) -> None:
        options = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),), speed=D(600))
        process.ensure_running(tmp_path / "home", options=options)
        try:
            status = process.status(tmp_path / "home")
            assert status is not None
            assert (status["market"], status["speed"]) == ("replay", "600")
            assert status["symbols"] == ["BTCUSDT"]
            assert START_MS <= status["time_ms"] < START_MS + DAY_MS
        finally:
            process.stop(tmp_path / "home")


class TestMarketTime:
    def test_it_runs_as_fast_as_asked_from_where_the_tape_is(self) -> None:
        machine = ManualClock()
        clock = ReplayClock(machine, start_ms=START_MS, speed=D(60))

        machine.advance(2_000)

        assert clock.now_ms() == START_MS + 120_000

    def test_whoever_goes_by_the_machine_or_asked_the_time_once_is_in_time(self) -> None:
        machine = ManualClock()
        clock = ReplayClock(machine, start_ms=START_MS, speed=D(1_000))
        machine.advance(60_000)
        now_ms, machine_ms = clock.now_ms(), machine.now_ms()

        assert machine_ms == clock.signing_ms(machine_ms - 4_000, now_ms)
        assert clock.signing_ms(START_MS + 60_000, now_ms) == START_MS + 60_000
        assert now_ms == clock.signing_ms(START_MS - 1, now_ms)
        assert now_ms == clock.signing_ms(now_ms + 5_000, now_ms)

    @pytest.mark.parametrize("of_client", ["machine", "asked once", "long ago", "ahead"])
    def test_the_exchange_judges_signatures_by_it(self, tmp_path: Path, of_client: str) -> None:
        machine = ManualClock()
        options = PaperOptions(market=MarketKind.REPLAY, files=(tape(tmp_path),), speed=D(60))
        state = MemoryState()
        chosen = choose_market(state, options, machine)
        keys = KeyPair(api_key=KEYS.api_key, api_secret=KEYS.api_secret)
        exchange = build_exchange(chosen, state, options, keys)
        began_ms = chosen.clock.now_ms()
        machine.advance(30_000)
        now_ms = chosen.clock.now_ms()
        timestamp_ms = {
            "machine": machine.now_ms(),
            "asked once": began_ms + 30_000,
            "long ago": began_ms - 10_000,
            "ahead": now_ms + 2_000,
        }[of_client]
        text = f"timestamp={timestamp_ms}"
        request = HttpRequest(
            method="GET",
            path="/fapi/v3/account",
            raw_query=f"{text}&signature={signature_of(text)}",
            headers={"x-mbx-apikey": KEYS.api_key},
            raw_body=b"",
        )

        answer = exchange.handle(request, now_ms)

        in_time = of_client in ("machine", "asked once")
        assert (answer.status == 200) is in_time
        assert in_time or json.loads(answer.body)["code"] == -1021


class TestLatency:
    async def test_an_order_meets_the_market_it_arrives_at(self) -> None:
        settings = ExchangeSettings(latency_ms=150)
        async with paper_server(PaperVenue(clock=RealClock(), settings=settings)) as port:
            sent = asyncio.create_task(place(port.rest_url, port.paper.clock.now_ms()))
            await asyncio.sleep(0.03)  # it is on its way
            port.paper.set_price("BTCUSDT", D(91_000))
            await sent

            (fill,) = port.paper.ask("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"})
            assert D(fill["price"]) == port.paper.market.latest("BTCUSDT").ask

    async def test_questions_are_answered_at_once(self) -> None:
        exchange = PaperVenue(settings=ExchangeSettings(latency_ms=150)).exchange

        assert exchange.latency_s("POST", "/fapi/v1/order") == 0.15
        assert exchange.latency_s("DELETE", "/fapi/v1/algoOrder") == 0.15
        assert exchange.latency_s("GET", "/fapi/v1/order") == 0
        assert exchange.latency_s("GET", "/fapi/v1/time") == 0
        assert PaperVenue().exchange.latency_s("POST", "/fapi/v1/order") == 0


async def place(rest_url: str, now_ms: int) -> None:
    text = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1&timestamp={now_ms}"
    target = f"{rest_url}/fapi/v1/order?{text}&signature={signature_of(text)}"
    headers = {"X-MBX-APIKEY": KEYS.api_key}
    async with aiohttp.ClientSession() as session, session.post(target, headers=headers) as answer:
        assert answer.status == 200


class TestCharacter:
    def market(self, seed: int = 7, **character: str) -> SyntheticMarket:
        characters = {"BTCUSDT": character}
        return SyntheticMarket(
            seed=seed,
            birth_ms=BIRTH_MS,
            contracts=with_characters(BTC, characters),
            characters=characters,
        )

    def test_start_price_volatility_and_depth_are_as_set(self) -> None:
        (contract,) = with_characters(
            BTC, {"BTCUSDT": {"start_price": "50000.07", "volatility": "1.5", "depth": "0.1"}}
        ).values()

        assert (contract.start_price, contract.volatility) == (D("50000.00"), D("1.5"))
        assert BTC["BTCUSDT"].touch_quantity / 10 == contract.touch_quantity
        assert contract.daily_volume == BTC["BTCUSDT"].daily_volume

    @pytest.mark.parametrize("characters", [{"NOPEUSDT": {}}, {"BTCUSDT": {"start_price": "1"}}])
    def test_what_cannot_be_is_refused(self, characters: dict[str, dict[str, str]]) -> None:
        with pytest.raises(UsageError):
            with_characters(BTC, characters)

    def test_the_spread_is_never_narrower_than_set(self) -> None:
        ticks = self.market(spread_ticks="7").advance(BIRTH_MS + 60_000)

        assert min(tick.ask - tick.bid for tick in ticks) == D("0.7")

    def test_a_wilder_market_moves_more(self) -> None:
        def spread(market: SyntheticMarket) -> Decimal:
            market.advance(BIRTH_MS + DAY_MS)
            (day,) = candles_of(market, "BTCUSDT", "1d", limit=1)
            return day.high - day.low

        assert spread(self.market(volatility="3")) > 2 * spread(self.market(volatility="0.5"))

    def test_jumps_come_as_often_and_as_far_as_set(self) -> None:
        jumps = RandomJumps(salt=11, per_day=24.0, size=D("0.02"))

        found = list(jumps.between(BIRTH_MS, BIRTH_MS + 50 * DAY_MS))

        assert 1_000 < len(found) < 1_400
        within = [share for _, share in found if abs(share) <= D("0.02")]
        assert 0.6 < len(within) / len(found) < 0.76
        assert {share > 0 for _, share in found} == {True, False}

    @settings(max_examples=25)
    @given(cuts=st.lists(st.integers(0, 7_200_000), max_size=6), seed=st.integers(0, 2**32))
    def test_jumps_do_not_depend_on_how_often_it_is_asked(self, cuts: list[int], seed: int) -> None:
        settings = {"jumps_per_day": "400", "jump_pct": "2"}
        once, often = self.market(seed, **settings), self.market(seed, **settings)
        for ms in [*sorted(cuts), 7_200_000]:
            often.advance(BIRTH_MS + ms)
        once.advance(BIRTH_MS + 7_200_000)

        assert once.snapshot()["jumps"] == often.snapshot()["jumps"]
        assert once.snapshot()["jumps"]
        assert once.latest("BTCUSDT") == often.latest("BTCUSDT")

    def test_a_restart_keeps_the_character(self) -> None:
        state, clock = MemoryState(), ManualClock()
        options = PaperOptions(characters={"BTCUSDT": {"jumps_per_day": "99", "spread_ticks": "9"}})
        venue = a_venue(state, options, clock)
        venue.advance(clock.now_ms() + 61_000)

        again = choose_market(state, PaperOptions(), clock).market
        tick = again.latest("BTCUSDT")

        assert tick.ask - tick.bid >= D("0.9")
        assert again.snapshot()["characters"] == options.characters


def test_choosing_a_market_imports_no_server() -> None:
    """Every command reads the options; none may pay for the exchange."""
    script = (
        "import sys, trader_cli.cli.paper_market;"
        "heavy = ('aiohttp', 'trader_cli.paper.venue.venue');"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

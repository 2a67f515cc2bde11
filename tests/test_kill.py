"""Kill: the latch first, then everything goes; flat is what was read after the last write."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_client import START_MS, SYMBOL, FakeVenue, VirtualClock, unknown
from tests.support.paper import KEYS, PaperVenue, SteadyMarket
from tests.support.paper_transport import ORIGIN, MemorySession
from trader_cli.domain.order import ConditionalRequest, LimitRequest, MarketRequest
from trader_cli.domain.terms import OrderType, PositionSide, Side
from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    VenueError,
)
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.errors import JournalUnavailable, LatchNotWritten
from trader_cli.journal.halt import HaltedBy, HaltLatch
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.venue.venue import VenueSettings
from trader_cli.trading.kill import KillResult, RawOrder, kill

NO_CONNECTION = NotSent("connection refused")
READING_WEIGHT = 85
"""Both lists of orders without a symbol, and the positions."""

WEIGHT_A_MINUTE = 2_400


class Scene:
    """A venue with something on it, and kill called upon it."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.venue = FakeVenue(self.clock)
        self.latch = HaltLatch(folder / "halt", self.clock)

    def fill(self, symbol: str = SYMBOL, quantity: str = "0.01") -> None:
        """Put a long position, its stop and target, and two entries there."""
        self.venue.hold(quantity, symbol=symbol)
        self.venue.rest(exit_of(symbol, OrderType.STOP_MARKET, "94000"))
        self.venue.rest(exit_of(symbol, OrderType.TAKE_PROFIT_MARKET, "99000"))
        self.venue.rest(entry_of(symbol))
        self.venue.rest(stop_entry_of(symbol))

    async def kill(self, **options: Any) -> KillResult:
        options.setdefault("engine_quiet", lambda: True)
        latch = options.pop("latch", self.latch)
        return await self.clock.run(
            kill(self.venue, latch, clock=self.clock, reason="test", **options)
        )

    @property
    def is_empty(self) -> bool:
        held = [quantity for quantity, _ in self.venue.held.values() if quantity]
        return not (held or self.venue.open_orders or self.venue.open_algos)


def exit_of(symbol: str, type_: OrderType, price: str) -> ConditionalRequest:
    return ConditionalRequest(
        symbol=symbol,
        side=Side.SELL,
        type=type_,
        client_order_id=f"trd-{symbol}-{type_}",
        trigger_price=Decimal(price),
        close_position=True,
    )


def entry_of(symbol: str) -> LimitRequest:
    return LimitRequest(
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(90_000),
        client_order_id=f"web-{symbol}",
    )


def stop_entry_of(symbol: str) -> ConditionalRequest:
    return ConditionalRequest(
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.STOP_MARKET,
        client_order_id=f"web-stop-{symbol}",
        quantity=Decimal("0.002"),
        trigger_price=Decimal(99_000),
    )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_everything_goes_own_and_foreign(scene: Scene) -> None:
    scene.fill()
    scene.fill("ETHUSDT", "-0.5")

    result = await scene.kill()

    assert (result.done, result.flat, result.halted) == (True, True, True)
    assert scene.is_empty
    assert result.remaining == ()
    assert len(result.cancelled) == 8
    assert {row.symbol for row in result.closed} == {SYMBOL, "ETHUSDT"}
    assert scene.latch.active() is not None
    assert result.problems == ()


async def test_an_empty_account_is_flat_after_one_read(scene: Scene) -> None:
    result = await scene.kill()

    assert (result.flat, result.rounds) == (True, 1)


async def test_a_warm_kill_takes_two_reads(scene: Scene) -> None:
    scene.fill()

    assert (await scene.kill()).rounds == 2


async def test_the_latch_is_set_before_anything_is_read(scene: Scene) -> None:
    order: list[str] = []

    class Watching(HaltLatch):
        def set(self, **fields: Any) -> Any:
            order.append(f"latch after {len(scene.venue.log)} calls")
            return super().set(**fields)

    await scene.kill(latch=Watching(Path(scene.latch._directory), scene.clock))

    assert order == ["latch after 0 calls"]


async def test_the_stop_stays_until_the_close_is_filled(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail("send", NO_CONNECTION)

    result = await scene.kill()

    assert result.flat
    assert scene.venue.naked == []


async def test_a_close_that_fills_in_part_keeps_the_stop_until_the_rest_is_gone(
    scene: Scene,
) -> None:
    scene.fill()
    scene.venue.market_fill_max = Decimal("0.004")

    result = await scene.kill()

    assert result.flat
    assert scene.venue.naked == []


async def test_positions_above_the_lot_size_go_in_parts(scene: Scene) -> None:
    scene.venue.quantity_max = Decimal("0.004")
    scene.venue.hold("-0.01")

    result = await scene.kill()

    assert result.flat
    assert sorted(row.quantity or Decimal(0) for row in scene.venue.sent) == [
        Decimal("0.002"),
        Decimal("0.004"),
        Decimal("0.004"),
    ]


async def test_both_sides_of_hedge_mode_are_closed_without_reduce_only(scene: Scene) -> None:
    scene.venue.hold("0.01", side=PositionSide.LONG)
    scene.venue.hold("-0.02", side=PositionSide.SHORT)

    result = await scene.kill()

    assert result.flat
    assert [
        (row.side, row.reduce_only, row.position_side)
        for row in scene.venue.sent
        if isinstance(row, MarketRequest)
    ] == [
        (Side.SELL, False, PositionSide.LONG),
        (Side.BUY, False, PositionSide.SHORT),
    ]


@pytest.mark.parametrize("method", ["get_open_orders", "get_open_algo_orders", "get_positions"])
async def test_a_read_that_failed_is_never_taken_for_none(scene: Scene, method: str) -> None:
    scene.venue.fail_always(method, NO_CONNECTION)

    result = await scene.kill(deadline_s=5)

    assert (result.done, result.flat) == (False, False)
    assert "connection refused" in result.problems


async def test_reads_that_keep_failing_leave_weight_for_the_orders(scene: Scene) -> None:
    scene.venue.fail_always("get_positions", NO_CONNECTION)

    result = await scene.kill(deadline_s=30)

    assert 10 < result.rounds < 0.75 * WEIGHT_A_MINUTE / READING_WEIGHT


async def test_what_resists_is_not_asked_about_beyond_the_weight_of_a_minute(scene: Scene) -> None:
    scene.venue.hold("0.01")
    scene.venue.fail_always("send", NO_CONNECTION)

    result = await scene.kill(deadline_s=30)

    assert not result.flat
    assert result.rounds * READING_WEIGHT < WEIGHT_A_MINUTE * 0.75


async def test_rows_that_cannot_be_read_are_cancelled_by_their_raw_ids(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail("get_open_orders", OutcomeUnknown("row 0: unknown status"))
    scene.venue.fail("get_open_algo_orders", OutcomeUnknown("row 1: unknown type"))

    result = await scene.kill()

    assert result.flat
    assert scene.is_empty
    assert any(isinstance(row, RawOrder) for row in result.cancelled)
    assert scene.venue.naked == []


@pytest.mark.parametrize("hedge", [False, True])
async def test_a_position_whose_row_cannot_be_read_is_closed_by_its_size(
    scene: Scene, hedge: bool
) -> None:
    scene.fill()
    if hedge:
        scene.venue.held.clear()
        scene.venue.hold("0.01", side=PositionSide.LONG)
        scene.venue.hold("-0.02", side=PositionSide.SHORT)
    scene.venue.fail_always("get_positions", OutcomeUnknown("row 0: unknown marginType"))

    result = await scene.kill()

    assert result.flat
    assert scene.is_empty
    assert len(result.closed) == 1 + hedge
    assert "unknown marginType" in " ".join(result.problems)


async def test_positions_of_which_nothing_can_be_read_are_never_flat(scene: Scene) -> None:
    for method in ("get_positions", "get_position_sizes"):
        scene.venue.fail_always(method, OutcomeUnknown("row 0: unknown positionSide"))

    result = await scene.kill(deadline_s=3)

    assert (result.done, result.flat) == (False, False)


async def test_what_survives_a_sweep_is_cancelled_by_its_id(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail("cancel_all_open_orders", unknown(), executed=False)
    scene.venue.rest(replace(entry_of(SYMBOL), client_order_id="web-2"))

    result = await scene.kill()

    assert result.flat
    assert scene.venue.called("cancel_all_open_orders") == 1
    assert scene.venue.called("cancel_order") == 2


async def test_two_hundred_orders_on_twenty_symbols_stay_under_the_limits(
    tmp_path: Path,
) -> None:
    """Through the real client, with the exchange's limits on."""
    symbols = [
        symbol
        for symbol, contract in CONTRACTS.items()
        if contract.instrument.price_min <= 900 and contract.instrument.price_max >= 1_000
    ][:20]
    paper = PaperVenue(
        market=SteadyMarket({symbol: Decimal(1_000) for symbol in symbols}),
        venue_settings=VenueSettings(initial_balance=Decimal(1_000_000)),
    )
    for symbol in symbols:
        size = {"symbol": symbol, "quantity": 1, "side": "BUY"}
        paper.ask("POST", "/fapi/v1/order", {**size, "type": "MARKET"})
        for price in range(981, 990):
            paper.ask(
                "POST",
                "/fapi/v1/order",
                {**size, "type": "LIMIT", "price": price, "timeInForce": "GTC"},
            )
            paper.advance(40)
        paper.ask(
            "POST",
            "/fapi/v1/algoOrder",
            {
                "algoType": "CONDITIONAL",
                "symbol": symbol,
                "side": "SELL",
                "type": "STOP_MARKET",
                "triggerPrice": 960,
                "closePosition": "true",
            },
        )
    session = MemorySession(paper)
    client = BinanceFuturesClient(
        api_key=KEYS.api_key,
        api_secret=KEYS.api_secret,
        rest_url=ORIGIN,
        clock=paper.clock,
        session=session,
    )

    result = await kill(
        client,
        HaltLatch(tmp_path / "halt", paper.clock),
        clock=paper.clock,
        reason="test",
        engine_quiet=lambda: True,
    )

    assert (result.flat, result.rounds, result.problems) == (True, 2, ())
    assert (len(result.cancelled), len(result.closed)) == (200, 20)
    # A close for each position, at most two sweeps for each symbol, and two rounds of reads.
    assert len(session.sent) <= 20 + 2 * 20 + 2 * 5 + 1
    assert (client.usage.weight_1m or 0) < 600


async def test_unreadable_exit_orders_stay_until_the_close_is_filled(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail_always("get_open_algo_orders", OutcomeUnknown("row 1: unknown type"))
    scene.venue.fail("send", NO_CONNECTION)

    result = await scene.kill()

    assert result.flat
    assert scene.venue.naked == []


@pytest.mark.parametrize("code", [-2022, -2011, -2013, -4118])
async def test_what_is_gone_already_is_no_problem(scene: Scene, code: int) -> None:
    scene.fill()
    scene.venue.fail("send", Rejected("gone", code=code))
    scene.venue.fail("cancel_order", Rejected("gone", code=code))
    scene.venue.fail("cancel_algo_order", Rejected("gone", code=code))

    result = await scene.kill()

    assert result.flat
    assert result.problems == ()


_WRITES = (
    *("send", "cancel_order", "cancel_algo_order"),
    *("cancel_all_open_orders", "cancel_all_algo_orders"),
)


@pytest.mark.parametrize("executed", [True, False])
async def test_doubtful_writes_end_flat_and_never_turned(scene: Scene, executed: bool) -> None:
    scene.fill()
    for method in _WRITES:
        scene.venue.fail(method, unknown(), executed=executed)

    result = await scene.kill()

    assert result.flat
    assert scene.is_empty


async def test_what_was_in_flight_before_the_latch_is_waited_for(scene: Scene) -> None:
    # Nobody says that the engine is quiet: an order sent just before may still arrive.
    scene.fill()

    async def arrive_late() -> None:
        await scene.clock.sleep(3)
        scene.venue.hold("0.01")

    coming = asyncio.ensure_future(arrive_late())

    result = await scene.kill(engine_quiet=None)

    await coming
    assert result.flat
    assert scene.is_empty
    assert scene.clock.now_ms() >= START_MS + 6_000
    assert result.rounds < 12  # nothing is read while only time can tell


async def test_an_engine_that_acknowledges_shortens_the_wait(scene: Scene) -> None:
    scene.fill()

    result = await scene.kill(engine_quiet=lambda: scene.clock.monotonic() >= 1)

    assert result.flat
    assert 1_000 <= result.elapsed_ms < 2_000


async def test_what_was_read_before_the_engine_was_quiet_proves_nothing(scene: Scene) -> None:
    # The positions are read, their answer is late; meanwhile the engine's last entry fills.
    scene.venue.late["get_positions"] = 0.5

    async def fill_last() -> None:
        await scene.clock.sleep(0.2)
        scene.venue.hold("0.01")

    coming = asyncio.ensure_future(fill_last())

    result = await scene.kill(engine_quiet=lambda: scene.clock.monotonic() >= 0.3)

    await coming
    assert result.flat
    assert scene.is_empty


async def test_an_engine_that_keeps_opening_is_not_flat(scene: Scene) -> None:
    def reopen(method: str) -> None:
        if method == "send":
            scene.venue.hold("0.01")

    scene.venue.hold("0.01")
    scene.venue.before = reopen
    scene.venue.market_fill_max = Decimal("0.005")

    result = await scene.kill(deadline_s=5)

    assert (result.done, result.flat) == (False, False)
    assert [type(row).__name__ for row in result.remaining] == ["Position"]


async def test_a_position_left_at_the_deadline_gets_its_stop_back(scene: Scene) -> None:
    scene.fill()

    def close_then_reopen(method: str) -> None:
        if method == "cancel_all_algo_orders" and scene.venue.quantity() == 0:
            scene.venue.hold("0.01")
            scene.venue.market_fill_max = Decimal(0)

    scene.venue.before = close_then_reopen

    result = await scene.kill(deadline_s=3)

    assert not result.flat
    assert [row.trigger_price for row in scene.venue.stops] == [Decimal(94_000)]
    assert any("put back" in problem for problem in result.problems)


async def test_a_ban_beyond_the_deadline_stops_every_request(scene: Scene) -> None:
    ban = RateLimited("IP banned", retry_at_ms=START_MS + 120_000, banned=True)
    scene.venue.fail_always("get_positions", ban)

    result = await scene.kill()

    assert not result.done
    assert scene.venue.called("get_positions") == 1
    assert any("lengthen the ban" in problem for problem in result.problems)


async def test_a_rate_limit_is_waited_out(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail(
        "get_positions", RateLimited("429", retry_at_ms=START_MS + 4_000, banned=False)
    )

    result = await scene.kill()

    assert result.flat
    assert scene.clock.now_ms() >= START_MS + 4_000


async def test_a_key_that_is_refused_ends_at_once(scene: Scene) -> None:
    for method in ("get_positions", "get_open_orders", "get_open_algo_orders"):
        scene.venue.fail_always(method, PermissionDenied("bad key", code=-2015))

    result = await scene.kill()

    assert (result.done, result.halted) == (False, True)
    assert scene.clock.monotonic() < 5


async def test_a_symbol_the_exchange_does_not_list_ends_at_once(scene: Scene) -> None:
    """A typing error in an emergency must not cost thirty seconds."""
    for method in ("get_open_orders", "get_open_algo_orders"):
        scene.venue.fail_always(method, Rejected("Invalid symbol.", code=-1121))

    result = await scene.kill(symbol="BTCUSD")
    whole = await scene.kill()

    assert (result.done, result.flat, result.halted) == (False, False, True)
    assert result.rounds == 2
    assert whole.rounds > 2  # without a symbol that answer is nonsense, and proves nothing


class BrokenLatch:
    def set(self, *, reason: str, by: HaltedBy, symbol: str | None = None) -> object:
        raise LatchNotWritten("read-only file system")


@pytest.mark.parametrize(("quiet", "flat"), [(True, True), (False, False)])
async def test_without_a_latch_only_a_quiet_engine_proves_it_flat(
    scene: Scene, quiet: bool, flat: bool
) -> None:
    scene.fill()

    result = await scene.kill(latch=BrokenLatch(), engine_quiet=lambda: quiet, deadline_s=10)

    assert (result.halted, result.flat) == (False, flat)
    assert scene.is_empty


async def test_a_journal_that_fails_stops_nothing(scene: Scene) -> None:
    scene.fill()
    asked: list[str] = []

    def note(kind: str, data: dict[str, object]) -> None:
        asked.append(kind)
        raise JournalUnavailable("disk full")

    result = await scene.kill(note=note)

    assert result.flat
    assert asked == ["kill_began"]
    assert any("disk full" in problem for problem in result.problems)


async def test_unknown_lot_sizes_do_not_stop_the_close(scene: Scene) -> None:
    scene.fill()
    scene.venue.fail_always("get_instruments", NO_CONNECTION)

    assert (await scene.kill()).flat


async def test_one_symbol_leaves_the_others_and_latches_only_itself(scene: Scene) -> None:
    scene.fill()
    scene.fill("ETHUSDT", "0.5")

    result = await scene.kill(symbol=SYMBOL)

    assert result.flat
    assert scene.venue.quantity() == 0
    assert scene.venue.quantity("ETHUSDT") == Decimal("0.5")
    assert {row.symbol for row in scene.venue.open_orders} == {"ETHUSDT"}
    assert {row.symbol for row in scene.venue.open_algos} == {"ETHUSDT"}
    assert scene.latch.active("ETHUSDT") is None
    assert scene.latch.active(SYMBOL) is not None


@pytest.mark.parametrize(("stops", "left"), [(False, 2), (True, 0)])
async def test_cancel_only_leaves_position_and_its_exits(
    scene: Scene, stops: bool, left: int
) -> None:
    scene.fill()

    result = await scene.kill(cancel_only=True, stops=stops)

    assert (result.done, result.flat) == (True, False)
    assert scene.venue.quantity() == Decimal("0.01")
    assert scene.venue.open_orders == []
    assert len(scene.venue.open_algos) == left
    assert scene.venue.sent == []


_FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "send",
                "cancel_order",
                "cancel_algo_order",
                "cancel_all_open_orders",
                "cancel_all_algo_orders",
                "get_positions",
                "get_position_sizes",
                "get_open_orders",
                "get_open_algo_orders",
                "get_instruments",
            ]
        ),
        st.sampled_from(["not_sent", "unknown", "rejected", "limited"]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(faults=_FAULTS, quantity=st.sampled_from(["0.01", "-0.3", "250"]))
def test_flat_is_never_said_of_an_account_that_is_not(
    faults: list[tuple[str, str, bool]], quantity: str
) -> None:
    def error(name: str) -> VenueError:
        if name == "limited":
            return RateLimited("429", retry_at_ms=START_MS + 1_000, banned=False)
        table: dict[str, VenueError] = {
            "not_sent": NO_CONNECTION,
            "unknown": unknown(),
            "rejected": Rejected("no", code=-2022),
        }
        return table[name]

    async def scenario(folder: Path) -> None:
        scene = Scene(folder)
        scene.fill(quantity=quantity)
        for method, name, executed in faults:
            reading = method.startswith("get_")
            if reading and name in ("rejected",):
                continue
            scene.venue.fail(method, error(name), executed=executed and name == "unknown")
        result = await scene.kill()
        assert result.flat == scene.is_empty
        assert result.flat, "every one of these failures passes"

    with TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))

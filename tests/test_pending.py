"""Orders decided at once see each other, in one process and in several; nothing counts twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_client import Floor, build_floor
from tests.support.trader_process import Trader
from trader_cli.domain.account import IncomeRow
from trader_cli.domain.client_id import Leg
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import LimitRequest, MarketRequest, Order, OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.errors import RefusedByRisk
from trader_cli.journal.index import IntentRecord
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.amending import Amended, amend_limit
from trader_cli.trading.orders.order_desk import Placed
from trader_cli.trading.orders.recording import BEING_AMENDED
from trader_cli.trading.risk.changing import amending, change_of, doubting
from trader_cli.trading.risk.equity import EquityState, utc_day
from trader_cli.trading.risk.pending import IN_FLIGHT_MS, MARK_DETAIL, with_pending
from trader_cli.trading.risk.risk_terms import DayResult, RestingEntry, RiskLimits, RiskView
from trader_cli.trading.risk.risk_view import EQUITY_ROW, RiskViewReader, equity_row

NOW_MS = 1_780_000_000_000
TOTAL = Decimal(1_000)
DAY = DayResult(opening_equity=TOTAL, realized=ZERO, unrealized=ZERO, fees=ZERO, funding=ZERO)
VIEW = RiskView(
    now_ms=NOW_MS, equity=TOTAL, high_water_mark=TOTAL, day=DAY, began_ms=NOW_MS, began_seq=10
)


def entry(symbol: str = "BTCUSDT", quantity: str = "0.004", price: str = "90000") -> LimitRequest:
    return LimitRequest(
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        client_order_id="trd-a-en0",
    )


def intent(
    status: IntentStatus,
    *,
    request: OrderRequest | None = None,
    seq: int = 11,
    at_ms: int = NOW_MS,
    filled: str | None = None,
) -> IntentRecord:
    request = request or entry()
    return IntentRecord(
        client_order_id=request.client_order_id,
        source="a",
        leg=Leg.ENTRY,
        attempt=0,
        symbol=request.symbol,
        request=request,
        details={MARK_DETAIL: "95000"},
        outcome={} if filled is None else {"filled_quantity": filled},
        status=status,
        created_ms=at_ms,
        updated_ms=at_ms,
        last_seq=seq,
    )


def added(record: IntentRecord, view: RiskView = VIEW) -> list[Decimal]:
    return [row.quantity for row in with_pending(view, [record]).resting]


S = IntentStatus


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # Not answered yet: counts however it lies to the reading, until nothing can arrive.
        (intent(S.INTENDED), ["0.004"]),
        (intent(S.SENT, seq=3), ["0.004"]),
        (intent(S.UNKNOWN, seq=3), ["0.004"]),
        # Answered after the reading began: it cannot be in it for certain.
        (intent(S.OPEN), ["0.004"]),
        (intent(S.PARTLY_FILLED, filled="0.001"), ["0.004"]),
        (intent(S.FILLED, filled="0.004"), ["0.004"]),
        (intent(S.CANCELED, filled="0.001"), ["0.001"]),
        (intent(S.CANCELED, filled="0"), []),
        (intent(S.CANCELED), []),
        # Answered before the reading began: it rests there, or is a position there, or is gone.
        (intent(S.OPEN, seq=10), []),
        (intent(S.FILLED, seq=10, filled="0.004"), []),
        (intent(S.CANCELED, seq=10, filled="0.001"), []),
        (intent(S.REJECTED), []),
        (intent(S.NOT_EXECUTED), []),
        # An exit adds nothing.
        (intent(S.SENT, request=replace(entry(), reduce_only=True)), []),
    ],
)
def test_what_counts_besides_a_reading(record: IntentRecord, expected: list[str]) -> None:
    assert added(record) == [Decimal(text) for text in expected]


def test_what_the_view_names_is_not_counted_again() -> None:
    resting = RestingEntry(
        symbol="BTCUSDT",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        quantity=Decimal("0.003"),
        price=Decimal(90_000),
        client_order_id="trd-a-en0",
    )

    assert added(intent(S.OPEN), replace(VIEW, resting=(resting,))) == [Decimal("0.003")]
    assert added(intent(S.FILLED), replace(VIEW, seen=frozenset({"trd-a-en0"}))) == []
    assert with_pending(VIEW, [intent(S.SENT)], leave_out="trd-a-en0") is VIEW
    assert with_pending(replace(VIEW, began_ms=None), [intent(S.SENT)]).resting == ()


@pytest.mark.parametrize(("ago_ms", "counts"), [(1_999, True), (2_001, False)])
def test_a_picture_that_lags_counts_what_it_may_not_have_heard_of(
    ago_ms: int, counts: bool
) -> None:
    record = intent(S.FILLED, seq=3, at_ms=NOW_MS - ago_ms, filled="0.004")

    assert bool(added(record, replace(VIEW, lag_ms=2_000))) is counts


def test_a_limit_order_below_the_mark_is_valued_at_the_mark() -> None:
    [row] = with_pending(VIEW, [intent(S.SENT, request=entry(price="90000"))]).resting

    assert row.price == Decimal(95_000)


def test_a_market_order_is_valued_at_the_mark_its_approval_saw() -> None:
    request = MarketRequest(
        symbol="ETHUSDT", side=Side.BUY, quantity=Decimal(1), client_order_id="trd-a-en0"
    )

    [row] = with_pending(VIEW, [intent(S.SENT, request=request)]).resting

    assert row.price == Decimal(95_000)


# --- one process -------------------------------------------------------------------------------


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    limits = RiskLimits(max_position_usd=TOTAL, max_total_exposure_usd=TOTAL)
    built = build_floor(tmp_path, limits=limits)
    yield built
    built.journal.close()


def exposure(floor: Floor) -> Decimal:
    """What rests and what is held, as the exchange has it, at the mark price."""
    held = sum((abs(quantity) for quantity, _ in floor.venue.held.values()), ZERO)
    resting = sum((row.remaining_quantity for row in floor.venue.open_orders), ZERO)
    return (held + resting) * floor.venue.ask


@given(
    wishes=st.lists(
        st.tuples(
            st.sampled_from(["BTCUSDT", "ETHUSDT"]),
            st.integers(min_value=1, max_value=9),
            st.booleans(),
        ),
        min_size=2,
        max_size=8,
    )
)
@settings(max_examples=20, deadline=None)
def test_entries_decided_at_once_never_exceed_the_total(
    tmp_path_factory: pytest.TempPathFactory, wishes: list[tuple[str, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("floor")
    limits = RiskLimits(max_position_usd=TOTAL, max_total_exposure_usd=TOTAL)
    floor = build_floor(folder, limits=limits)

    async def all_at_once() -> list[Placed | BaseException]:
        return await asyncio.gather(
            *(
                floor.orders.place(
                    MarketRequest(
                        symbol=symbol,
                        side=Side.BUY,
                        quantity=Decimal(size) / 1000,
                        client_order_id="",
                    )
                    if at_market
                    else entry(symbol, str(Decimal(size) / 1000)),
                    source=f"wish-{number}",
                    leg=Leg.ENTRY,
                )
                for number, (symbol, size, at_market) in enumerate(wishes)
            ),
            return_exceptions=True,
        )

    outcomes = asyncio.run(floor.run(all_at_once()))

    floor.journal.close()
    shutil.rmtree(folder)
    assert all(isinstance(row, Placed | RefusedByRisk) for row in outcomes), outcomes
    assert isinstance(outcomes[0], Placed)
    assert exposure(floor) <= TOTAL


# --- amendments --------------------------------------------------------------------------------


async def resting(floor: Floor, source: str, symbol: str = "BTCUSDT") -> Order:
    placed = await floor.run(
        floor.orders.place(entry(symbol, "0.002"), source=source, leg=Leg.ENTRY)
    )
    assert isinstance(placed.order, Order)
    return placed.order


async def amend_beside(
    floor: Floor,
    folder: Path,
    order: Order,
    quantity: str,
    meanwhile: Callable[[Journal], object],
) -> Amended:
    """Amend while another process writes down something, between our judgement and our row."""
    wishes = 0

    def wanted() -> bool:
        nonlocal wishes
        wishes += 1
        if wishes == 1:
            with Journal.open(folder / "journal.db", floor.clock) as other:
                meanwhile(other)
        return True

    return await floor.run(
        amend_limit(floor.orders, order, quantity=Decimal(quantity), still_wanted=wanted)
    )


# At 95,000: 0.002 are 190, 0.005 are 475, 0.006 are 570, 0.008 are 760.
@pytest.mark.parametrize(("quantity", "fits"), [("0.005", True), ("0.006", False)])
async def test_two_amendments_at_once_by_two_processes_see_each_other(
    floor: Floor, tmp_path: Path, quantity: str, fits: bool
) -> None:
    ours, theirs = await resting(floor, "a"), await resting(floor, "b", "ETHUSDT")

    def amend(other: Journal) -> None:
        change = amending(Decimal(90_000), Decimal("0.005"))
        other.record_event(theirs.client_order_id, IntentEvent.CHANGE, change)

    if fits:
        await amend_beside(floor, tmp_path, ours, quantity, amend)
        assert floor.venue.called("amend_order") == 1
    else:
        with pytest.raises(RefusedByRisk) as refusal:
            await amend_beside(floor, tmp_path, ours, quantity, amend)
        assert refusal.value.code == "max_total_exposure_usd"
        assert floor.venue.called("amend_order") == 0
    [kept] = floor.journal.intents_of("a")
    assert (kept.status, change_of(kept)) == (IntentStatus.OPEN, None)


@pytest.mark.parametrize(("quantity", "fits"), [("0.005", True), ("0.006", False)])
async def test_an_amendment_and_an_entry_at_once_by_two_processes_see_each_other(
    floor: Floor, tmp_path: Path, quantity: str, fits: bool
) -> None:
    ours = await resting(floor, "a")

    def enter(other: Journal) -> None:
        request = replace(entry("ETHUSDT", "0.005"), client_order_id="trd-b-en0")
        other.record_intent(source="b", leg=Leg.ENTRY, attempt=0, request=request, details={})

    if fits:
        await amend_beside(floor, tmp_path, ours, quantity, enter)
    else:
        with pytest.raises(RefusedByRisk):
            await amend_beside(floor, tmp_path, ours, quantity, enter)
    assert floor.venue.called("amend_order") == int(fits)


@pytest.mark.parametrize(("quantity", "fits"), [("0.002", True), ("0.003", False)])
async def test_what_was_amended_since_the_reading_counts_as_amended(
    floor: Floor, quantity: str, fits: bool
) -> None:
    ours = await resting(floor, "a")
    view = await floor.run(floor.orders.view("ETHUSDT"))
    await floor.run(floor.orders.amend(str(ours.order_id), source="x", quantity=Decimal("0.008")))
    entering = floor.orders.place(entry("ETHUSDT", quantity), source="b", leg=Leg.ENTRY, view=view)

    if fits:
        assert await floor.run(entering)
    else:
        with pytest.raises(RefusedByRisk):
            await floor.run(entering)


async def test_an_order_that_another_process_is_amending_is_not_amended(
    floor: Floor, tmp_path: Path
) -> None:
    ours = await resting(floor, "a")

    def amend(other: Journal) -> None:
        change = amending(Decimal(90_000), Decimal("0.003"))
        other.record_event(ours.client_order_id, IntentEvent.CHANGE, change)

    with pytest.raises(RefusedByRisk) as refusal:
        await amend_beside(floor, tmp_path, ours, "0.004", amend)

    assert refusal.value.code == BEING_AMENDED
    [kept] = floor.journal.intents_of("a")
    assert change_of(kept) is not None  # theirs is still under way


async def test_nothing_is_amended_that_comes_into_doubt_at_that_moment(
    floor: Floor, tmp_path: Path
) -> None:
    ours = await resting(floor, "a")

    def doubt(other: Journal) -> None:
        details = doubting(floor.clock.now_ms(), cancels=True)
        other.record_event(ours.client_order_id, IntentEvent.DOUBT_CHANGE, details)

    with pytest.raises(RefusedByRisk) as refusal:
        await amend_beside(floor, tmp_path, ours, "0.004", doubt)

    assert refusal.value.code == "unknown_order"


async def test_an_entry_of_an_earlier_journal_is_amended_and_counts(
    floor: Floor, tmp_path: Path
) -> None:
    before = await resting(floor, "a")
    floor.journal.close()
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    limits = RiskLimits(max_position_usd=TOTAL, max_total_exposure_usd=TOTAL)
    anew = build_floor(tmp_path, limits=limits)
    anew.venue.orders = floor.venue.orders

    await anew.run(amend_limit(anew.orders, before, quantity=Decimal("0.008")))

    with pytest.raises(RefusedByRisk):
        await anew.run(anew.orders.place(entry("ETHUSDT", "0.003"), source="b", leg=Leg.ENTRY))
    anew.journal.close()


async def test_own_entries_count_although_the_journal_was_deleted(
    floor: Floor, tmp_path: Path
) -> None:
    await floor.run(floor.orders.place(entry("ETHUSDT", "0.006"), source="a", leg=Leg.ENTRY))
    floor.journal.close()
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    limits = RiskLimits(max_position_usd=TOTAL, max_total_exposure_usd=TOTAL)
    anew = build_floor(tmp_path, limits=limits)
    anew.venue.orders = floor.venue.orders

    with pytest.raises(RefusedByRisk) as caught:
        await anew.run(anew.orders.place(entry("BTCUSDT", "0.005"), source="b", leg=Leg.ENTRY))

    assert caught.value.code == "max_total_exposure_usd"
    whole_lists = anew.venue.log.count(("get_open_orders", "None"))
    await anew.run(anew.orders.place(entry("BTCUSDT", "0.002"), source="c", leg=Leg.ENTRY))
    assert anew.venue.log.count(("get_open_orders", "None")) == whole_lists == 1
    anew.journal.close()


# --- several processes -------------------------------------------------------------------------


def test_amendments_at_once_never_exceed_the_total(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text(
        "[paper]\nrate_limits = false\n[risk]\nmax_position_usd = 1000\n"
        "max_total_exposure_usd = 1000\n"
    )
    assert trader("paper", "start").code == 0
    try:
        price = trader.json("paper", "price", "ETHUSDT").data["mark_price"]
        low = str(round(Decimal(price) * Decimal("0.97"), 1))
        sizes = {size: str(round(size / Decimal(price), 3)) for size in (150, 450)}
        ids = [
            trader.json("order", "limit", "ETHUSDT", "buy", sizes[150], low).data["order_id"]
            for _ in range(3)
        ]

        def amend(number: int) -> int:
            words = ("order", "amend", str(number), "--symbol", "ETHUSDT", "--qty")
            return trader.json(*words, sizes[450]).code

        with ThreadPoolExecutor(len(ids)) as pool:
            codes = list(pool.map(amend, ids))

        rows = trader.json("order", "list").data["orders"]
        resting = sum((Decimal(row["quantity"]) for row in rows), ZERO)
        assert resting * Decimal(price) <= TOTAL * Decimal("1.01"), codes
        assert sorted(codes) == [0, 4, 4]
    finally:
        assert trader("paper", "stop").code == 0


def test_commands_at_once_never_exceed_the_total(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text(
        "[paper]\nrate_limits = false\n[risk]\nmax_position_usd = 1000\n"
        "max_total_exposure_usd = 1000\n"
    )
    assert trader("paper", "start").code == 0
    try:
        symbols = ["BTCUSDT", "ETHUSDT"] * 3

        def order(symbol: str) -> int:
            return trader.json("order", "market", symbol, "buy", "--usd", "300").code

        with ThreadPoolExecutor(len(symbols)) as pool:
            codes = list(pool.map(order, symbols))

        rows = trader.json("position", "list").data["positions"]
        held = sum((Decimal(row["notional"]) for row in rows), ZERO)
        assert held <= TOTAL, codes
        assert codes.count(0) >= 1
        assert set(codes) <= {0, 4}
    finally:
        assert trader("paper", "stop").code == 0


# --- transfers while no engine ran ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_ago", "amount", "equity", "mark"),
    [
        (3, "-2000", "8000", "8000"),  # withdrawn: no loss
        (3, "500", "10500", "10500"),  # paid in: no profit
        (0, "-2000", "8000", "8000"),
        (3, "-2000", "7600", "8000"),  # and a loss of 400 beside it
        (3, "500", "10600", "10600"),  # and a profit of 100
    ],
)
async def test_transfers_while_no_engine_ran_move_the_high_water_mark(
    floor: Floor, days_ago: int, amount: str, equity: str, mark: str
) -> None:
    began_ms = floor.clock.now_ms()
    state = EquityState(
        high_water_mark=Decimal(10_000),
        day=utc_day(began_ms),
        day_opening=Decimal(10_000),
        day_opening_unrealized=ZERO,
    )
    before = transfer_row(began_ms - 1, "-5000", 1)  # the remembered equity knows of this one
    floor.journal.record(EQUITY_ROW, equity_row(state))
    await floor.run(floor.clock.sleep(days_ago * 86_400 + 1))
    floor.venue.equity = Decimal(equity)
    floor.venue.income = [before, transfer_row(began_ms + 500, amount, 2)]
    reader = RiskViewReader(floor.venue, journal=floor.journal, clock=floor.clock)

    view = await floor.run(reader.read("BTCUSDT"))

    assert view.high_water_mark == Decimal(mark)
    if days_ago == 0:
        assert view.day.opening_equity == Decimal(10_000) + Decimal(amount)


def transfer_row(at_ms: int, amount: str, number: int) -> IncomeRow:
    return IncomeRow(
        symbol="",
        income_type="TRANSFER",
        amount=Decimal(amount),
        asset="USDT",
        time_ms=at_ms,
        transaction_id=number,
        trade_id="",
        info="",
    )


def test_the_window_covers_every_retry() -> None:
    assert IN_FLIGHT_MS >= 5_000 + 1_000 + 3 * 5_000

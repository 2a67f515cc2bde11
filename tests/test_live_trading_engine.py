"""The whole engine: from a bridge file to a protected position and back, under virtual time.

What the exchange holds is asked of the exchange, not of the engine.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_rig import STEP_MS, SYMBOL, Rig, rig
from tests.support.paper import PaperVenue
from tests.support.paper_transport import MemoryResponse, MemorySession
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.terms import Side
from trader_cli.errors import NotFlat, PartialFailure
from trader_cli.journal.errors import LatchNotWritten
from trader_cli.journal.halt import Halt, HaltedBy, HaltLatch
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.protocol.messages import HttpRequest

ALGO = "/fapi/v1/algoOrder"
ORDER = "/fapi/v1/order"
QUICK = BridgeRules(cool_down_s=0, flip_window_s=0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def in_position(world: Rig, command: str = "LONG", **fields: object) -> None:
    """Start the engine and let one decision become a protected position."""
    await world.start()
    world.decide(command, **fields)
    await world.enter()


# --- entries ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "stop", "target"),
    # 3.5 % and 9 % of margin at 20x: 0.175 % and 0.45 % of 95,000.0 (bought at the bid) and of
    # 95,000.1 (sold at the ask), on the tick, rounded so that the stop fires earlier and the
    # target pays more.
    [("LONG", "94833.8", "95427.5"), ("SHORT", "95166.3", "94572.5")],
)
async def test_fresh_decision_at_125x_trades_at_20x_and_is_protected(
    world: Rig, command: str, stop: str, target: str
) -> None:
    await in_position(world, command)

    [plan] = [row for row in world.reports("signal") if "quantity" in row]
    assert (plan["leverage_asked"], plan["leverage"]) == ("125", 20)
    assert any("125 → 20" in str(note) for note in _list(plan["notes"]))
    position = world.position()
    assert position is not None
    assert abs(Decimal(position["notional"])) <= 1_000
    assert Decimal(position["isolatedMargin"]) > 0
    triggers = {row["orderType"]: Decimal(row["triggerPrice"]) for row in world.algos()}
    assert triggers == {"STOP_MARKET": Decimal(stop), "TAKE_PROFIT_MARKET": Decimal(target)}
    assert all(row["closePosition"] and row["workingType"] == "MARK_PRICE" for row in world.algos())
    liquidation, entry = Decimal(position["liquidationPrice"]), Decimal(position["entryPrice"])
    assert abs(entry - Decimal(stop)) < abs(entry - liquidation)
    [protected] = world.reports("protected")
    assert (protected["stop_price"], protected["take_profit_price"]) == (stop, target)


async def test_entry_that_nobody_meets_is_taken_after_ten_seconds(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()
    asked = world.clock.monotonic()

    await world.until(world.stops, within_s=15)

    assert 9 < world.clock.monotonic() - asked < 15
    assert world.quantity() > 0
    [order] = world.reports("order")
    assert order["maker_quantity"] == "0"


async def test_trailing_stop_rests_beside_the_fixed_one(world: Rig) -> None:
    await in_position(world, trailing_activation=8.0, trailing_distance=2.5)

    rows = {row["orderType"]: row for row in world.algos()}
    assert set(rows) == {"STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
    trailing = rows["TRAILING_STOP_MARKET"]
    # 8 % and 2.5 % of margin at 20x: 0.4 % above the entry; 0.125 % is kept on two decimals.
    assert Decimal(trailing["activatePrice"]) == Decimal("95380.0")
    assert Decimal(trailing["callbackRate"]) == Decimal("0.13")
    assert Decimal(trailing["quantity"]) == world.quantity()


async def test_size_is_clamped_to_the_limit_and_said_so(world: Rig) -> None:
    await in_position(world, dynamic_params={"position_size_pct": 100, "leverage": 20})

    [plan] = [row for row in world.reports("signal") if "quantity" in row]
    assert any("max_position_usd" in str(note) for note in _list(plan["notes"])), plan
    assert abs(world.quantity()) * 95_000 <= 1_000


async def test_days_old_files_open_nothing_and_say_why(world: Rig) -> None:
    for advisor in ("wolf", "lion"):
        world.decide("LONG", advisor=advisor, age_s=6 * 86_400)

    await world.start()
    await world.pass_time(15)

    assert world.entries() == []
    sections = {str(row["section"]): row for row in world.reports("section")}
    assert set(sections) == {"ai_to_wolf", "ai_to_lion"}
    for name, row in sections.items():
        assert row["file"] == f"{name.replace('_to', '')}_bridge.json"
        assert not row["tradable"]
        assert "older than" in str(row["why"])
        assert Decimal(str(row["age_s"])) > 6 * 86_399
    assert world.refusals() == ["stale", "stale"]


async def test_decision_in_the_future_is_not_traded(world: Rig) -> None:
    await world.start()
    world.decide("LONG", age_s=-6.5)
    await world.pass_time(1)

    assert world.refusals() == ["future"]
    assert world.entries() == []


async def test_hold_keeps_the_position_and_its_stop(world: Rig) -> None:
    await in_position(world)
    before, stops = world.quantity(), world.stops()

    world.decide("HOLD")
    await world.pass_time(10)

    assert (world.quantity(), world.stops()) == (before, stops)


async def test_hold_does_not_revoke_an_entry_that_works(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()
    await world.pass_time(1)
    world.decide("HOLD")
    await world.pass_time(1)

    await world.enter()

    assert world.quantity() > 0


async def test_breaker_leak_opens_nothing(world: Rig) -> None:
    await world.start()
    stamp = world.decide("LONG")
    world.decide("HOLD", timestamp=stamp)
    await world.pass_time(5)

    assert world.entries() == []


async def test_long_taken_back_under_its_timestamp_cancels_what_rests(world: Rig) -> None:
    await world.start()
    stamp = world.decide("LONG")
    await world.wait_resting()

    world.decide("HOLD", timestamp=stamp)
    await world.until(lambda: not world.open_orders(), within_s=2)
    await world.pass_time(12)

    assert world.quantity() == 0
    assert {row["status"] for row in world.entries()} == {"CANCELED"}


async def test_second_advisor_is_refused_while_the_first_owns_the_symbol(world: Rig) -> None:
    await in_position(world)
    world.decide("SHORT", advisor="lion")
    world.decide("CUT_LOSS", advisor="fish")
    await world.pass_time(3)

    assert world.refusals() == ["owned"]
    assert world.quantity() > 0


async def test_higher_advisor_takes_over_an_entry_that_is_not_filled(world: Rig) -> None:
    await world.start()
    world.decide("SHORT", advisor="lion")
    await world.wait_resting()

    world.decide("LONG", advisor="wolf")
    await world.until(
        lambda: [row for row in world.open_orders() if row["side"] == "BUY"], within_s=4
    )
    await world.enter()

    assert world.quantity() > 0
    assert world.reports("protected")[0]["side"] == "LONG"


async def test_foreign_position_is_never_touched(world: Rig) -> None:
    world.by_hand("BUY", "0.005")
    await world.start()

    for command in ("LONG", "CUT_LOSS", "SHORT", "ADD_LONG"):
        world.decide(command)
        await world.pass_time(3)

    assert world.quantity() == Decimal("0.005")
    assert world.entries() == []
    assert world.algos() == []
    assert set(world.refusals()) == {"not_own_position"}
    assert [row["kind"] for row in world.reports("warning")] == ["foreign_position"]


# --- exits, flips, additions -----------------------------------------------------------------


async def test_foreign_position_of_another_symbol_does_not_keep_us_from_opening(
    world: Rig,
) -> None:
    eth = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    world.paper.ask("POST", "/fapi/v1/order", eth)
    await world.start()
    await world.pass_time(12)
    world.decide("LONG")
    await world.enter()

    assert world.refusals() == []
    assert world.quantity() > 0


async def test_cut_loss_closes_and_leaves_no_order(world: Rig) -> None:
    await in_position(world)
    await world.pass_time(1)

    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=5)

    assert world.quantity() == 0
    assert (world.algos(), world.open_orders()) == ([], [])
    [closed] = world.reports("closed")
    assert (closed["reason"], closed["exit_reason"]) == ("CUT_LOSS", "AI CUT_LOSS")


async def test_opposite_side_flips_and_the_second_position_is_protected(world: Rig) -> None:
    await in_position(world)
    await world.pass_time(1)

    world.decide("SHORT")
    await world.until(lambda: world.quantity() == 0, within_s=3)
    await world.until(
        lambda: [row for row in world.open_orders() if row["side"] == "SELL"], within_s=5
    )
    await world.fill_resting()
    await world.until(lambda: len(world.reports("protected")) == 2, within_s=5)

    assert world.quantity() < 0
    assert sorted(row["orderType"] for row in world.algos()) == [
        "STOP_MARKET",
        "TAKE_PROFIT_MARKET",
    ]
    assert {row["side"] for row in world.algos()} == {"BUY"}

    world.decide("LONG")
    await world.pass_time(2)
    assert world.refusals() == ["flip_window"]
    assert world.quantity() < 0


async def test_each_half_of_a_flip_is_settled_with_its_own_fills_only(world: Rig) -> None:
    await in_position(world)
    await world.price("94900")
    world.decide("SHORT")
    await world.until(
        lambda: [row for row in world.open_orders() if row["side"] == "SELL"], within_s=5
    )
    await world.fill_resting()
    await world.until(lambda: len(world.reports("protected")) == 2, within_s=5)
    await world.pass_time(1)
    world.decide("CUT_LOSS")
    await world.until(lambda: len(world.reports("closed")) == 2, within_s=8)

    first, second = (row.data for row in world.journal.rows(kind="trade"))
    income = world.paper.ask("GET", "/fapi/v1/income", {})
    booked = sum(
        (Decimal(row["income"]) for row in income if row["incomeType"] != "TRANSFER"), Decimal(0)
    )
    assert first["reason"] == "flip"
    assert Decimal(first["net_pnl"]) < -1
    assert Decimal(first["net_pnl"]) + Decimal(second["net_pnl"]) == booked


class LateLedgerSession(MemorySession):
    """Lists no execution from a time on, as an exchange's ledger may that lags behind."""

    hides_from_ms: int | None = None
    shows_once = False

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        async with super()._answered(request) as answer:
            is_late = self.hides_from_ms is not None and request.path.endswith("/userTrades")
            if is_late and self.shows_once:
                self.shows_once = False
            elif is_late:
                rows = [r for r in json.loads(answer.body) if r["time"] < self.hides_from_ms]
                answer = replace(answer, body=json.dumps(rows).encode())
            yield answer


async def test_trade_that_the_ledger_ends_late_takes_nothing_from_the_flips_other_half(
    world: Rig,
) -> None:
    session = LateLedgerSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    await world.pass_time(1)
    session.hides_from_ms = world.clock.now_ms()
    world.decide("SHORT")
    await world.until(
        lambda: [row for row in world.open_orders() if row["side"] == "SELL"], within_s=10
    )
    await world.fill_resting()
    await world.until(lambda: len(world.reports("protected")) == 2, within_s=5)

    session.hides_from_ms = None
    await world.pass_time(40)

    kinds = [row["kind"] for row in world.reports("warning")]
    assert "still_open" in kinds
    assert "foreign_position" not in kinds
    assert len(world.stops()) == 1
    world.decide("CUT_LOSS")
    await world.until(lambda: world.quantity() == 0, within_s=8)
    await world.until(lambda: len(world.reports("closed")) >= 2, within_s=8)
    reasons = [row["reason"] for row in world.reports("closed")]
    assert reasons == ["closed at the exchange", "CUT_LOSS"]


async def test_exit_does_not_wait_while_an_earlier_trade_of_the_symbol_is_booked(
    world: Rig,
) -> None:
    """A late ledger takes five seconds; a CUT_LOSS that comes meanwhile has none of them."""
    session = LateLedgerSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    await world.pass_time(1)
    session.hides_from_ms = world.clock.now_ms()
    world.decide("SHORT")
    await world.until(
        lambda: [row for row in world.open_orders() if row["side"] == "SELL"], within_s=10
    )
    await world.fill_resting()
    await world.until(lambda: len(world.reports("protected")) == 2, within_s=5)
    # The reconcile sees that the first half is over; who settles it does not see it again.
    session.shows_once = True
    await world.until(lambda: not session.shows_once, within_s=60)

    world.decide("CUT_LOSS")

    await world.until(lambda: world.quantity() == 0, within_s=1.5)


async def test_flip_does_not_wait_for_the_streams_word_that_it_closed(tmp_path: Path) -> None:
    """The position that is closed must not count beside the one that is opened."""
    async with rig(tmp_path, bridge=QUICK) as world:
        await in_position(world)
        world.paper.exchange.faults.arm(FaultKind.EVENTS_DELAYED, times=0, amount=3_000)

        world.decide("SHORT")
        await world.until(lambda: world.quantity() < 0, within_s=13)

        assert world.refusals() == []
        kinds = [row["kind"] for row in world.reports("warning")]
        assert "foreign_position" not in kinds


async def test_time_without_a_stop_of_a_strangers_position_is_not_our_trades(world: Rig) -> None:
    world.by_hand("BUY", "0.002")
    await world.start()
    await world.pass_time(4)
    world.by_hand("SELL", "0.002")
    await world.pass_time(1)

    world.decide("LONG")
    await world.enter()

    [protected] = world.reports("protected")
    assert int(str(protected["unprotected_ms"])) < 500


async def test_add_adds_once_for_one_timestamp_and_the_stop_covers_all(tmp_path: Path) -> None:
    async with rig(tmp_path) as world:
        small = {"position_size_pct": 0.2, "leverage": 20, "stop_loss_pct": 3.5}
        await in_position(world, dynamic_params=small)
        first = world.quantity()
        await world.pass_time(1)

        stamp = world.decide("ADD_LONG", dynamic_params=small)
        await world.fill_resting()
        await world.until(lambda: world.quantity() > first, within_s=3)
        await world.pass_time(2)
        added = world.quantity()
        world.decide("HOLD")
        await world.pass_time(1)
        world.decide("ADD_LONG", timestamp=stamp, dynamic_params=small)
        await world.pass_time(14)

        assert added == first * 2
        assert world.quantity() == added
        assert [row["closePosition"] for row in world.stops()] == [True]


async def test_cut_loss_does_not_wait_for_an_addition_that_still_chases(world: Rig) -> None:
    small = {"position_size_pct": 0.2, "leverage": 20, "stop_loss_pct": 3.5}
    await in_position(world, dynamic_params=small)
    await world.pass_time(1)
    world.decide("ADD_LONG", dynamic_params=small)
    await world.wait_resting()

    world.decide("CUT_LOSS")
    await world.until(lambda: world.quantity() == 0, within_s=1.5)

    assert world.open_orders() == []


async def test_cool_down_after_an_exit_refuses_then_allows(world: Rig) -> None:
    await in_position(world)
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=5)

    await world.pass_time(3)
    world.decide("LONG")
    await world.pass_time(1)
    assert world.refusals() == ["cool_down"]

    await world.pass_time(180)
    world.decide("LONG")
    await world.wait_resting()
    assert world.refusals() == ["cool_down"]


async def test_holding_time_that_is_over_closes(world: Rig) -> None:
    parameters = {"position_size_pct": 50, "leverage": 20, "max_holding_minutes": 1}
    await in_position(world, dynamic_params=parameters)
    await world.pass_time(50)
    assert world.quantity() > 0

    await world.until(lambda: world.reports("closed"), within_s=15)

    assert world.quantity() == 0
    assert world.reports("closed")[0]["exit_reason"] == "MAX_HOLDING"


async def test_process_ai_signal_and_handle_position_exit_are_doors_of_their_own(
    world: Rig,
) -> None:
    await in_position(world)
    assert world.engine is not None

    await world.engine.handle_position_exit(SYMBOL, "asked for")
    await world.until(lambda: world.reports("closed"), within_s=5)

    assert world.quantity() == 0
    assert world.reports("closed")[0]["reason"] == "asked for"


# --- stops -----------------------------------------------------------------------------------


async def test_stop_that_fires_is_settled_and_told_to_the_advisor(world: Rig) -> None:
    await in_position(world)
    await world.pass_time(2)

    await world.price("94800")
    await world.until(lambda: world.reports("closed"), within_s=5)
    await world.pass_time(2)

    assert world.quantity() == 0
    assert world.algos() == []
    [closed] = world.reports("closed")
    assert closed["exit_reason"] == "STOP_LOSS"
    net = Decimal(str(closed["net_pnl"]))
    assert net == Decimal(str(closed["realized_pnl"])) - Decimal(str(closed["fees"]))
    assert net < 0
    [trade] = world.journal.rows(kind="trade")
    assert (trade.data["advisor"], Decimal(trade.data["net_pnl"])) == ("wolf", net)
    feedback = world.document()["wolf_to_ai"]
    assert "position" not in feedback
    told = json.dumps(world.document())
    assert "STOP_LOSS" in told


async def test_vanished_stop_is_put_back_within_seconds(world: Rig) -> None:
    await in_position(world)
    await world.pass_time(3)
    [stop] = world.stops()

    world.paper.ask("DELETE", ALGO, {"algoId": stop["algoId"]})
    gone = world.clock.monotonic()
    await world.until(world.stops, within_s=4)

    assert world.clock.monotonic() - gone <= 3
    assert world.stops()[0]["triggerPrice"] == stop["triggerPrice"]
    assert world.quantity() > 0


async def test_stop_that_cannot_be_put_back_closes_within_five_seconds(world: Rig) -> None:
    await in_position(world)
    await world.pass_time(3)
    [stop] = world.stops()

    world.paper.exchange.faults.arm(FaultKind.UNKNOWN, method="POST", path=ALGO, times=1_000)
    world.paper.ask("DELETE", ALGO, {"algoId": stop["algoId"]})
    gone = world.clock.monotonic()
    await world.until(lambda: world.quantity() == 0, within_s=10)

    assert world.clock.monotonic() - gone <= 7.0
    await world.until(lambda: world.reports("closed"), within_s=5)
    assert world.algos() == []


async def test_entry_that_cannot_be_protected_is_closed_within_five_seconds(world: Rig) -> None:
    world.paper.exchange.faults.arm(FaultKind.OVERLOADED, method="POST", path=ALGO, times=1_000)
    await world.start()
    world.decide("LONG")
    await world.fill_resting()
    await world.until(world.quantity, within_s=2)
    filled = world.clock.monotonic()

    await world.until(lambda: world.quantity() == 0, within_s=10)

    assert world.clock.monotonic() - filled <= 6.5
    await world.pass_time(5)
    assert (world.quantity(), world.open_orders()) == (0, [])


# --- halts and kill ----------------------------------------------------------------------------


async def test_halt_during_an_entry_takes_it_back_and_keeps_what_filled_protected(
    world: Rig,
) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()

    world.latch.set(reason="a person said so", by=HaltedBy.PERSON)
    await world.until(lambda: not world.open_orders(), within_s=2)
    await world.pass_time(12)

    assert world.quantity() == 0
    assert world.latch.acknowledged_by()
    world.decide("LONG")
    await world.pass_time(2)
    assert world.refusals()[-1] == "halted"
    assert all(row["status"] == "CANCELED" for row in world.entries())


async def test_halted_engine_still_carries_out_exits(world: Rig) -> None:
    await in_position(world)
    world.latch.set(reason="a person said so", by=HaltedBy.PERSON)
    await world.pass_time(1)
    assert len(world.stops()) == 1

    world.decide("CUT_LOSS")
    await world.until(lambda: world.quantity() == 0, within_s=3)


async def test_kill_while_running_ends_flat_and_nothing_opens_again(world: Rig) -> None:
    await in_position(world)
    assert world.engine is not None

    killing = asyncio.create_task(world.engine.emergency_shutdown("enough"))
    await world.until(killing.done, within_s=20)
    result = killing.result()
    assert (result.flat, result.halted) == (True, True)
    await world.until(lambda: world.reports("closed"), within_s=5)
    await world.pass_time(185)
    world.decide("LONG")
    await world.pass_time(5)

    assert world.quantity() == 0
    assert (world.open_orders(), world.algos()) == ([], [])
    assert world.refusals() == ["halted"]


async def test_resume_lets_it_trade_again(world: Rig) -> None:
    world.latch.set(reason="a person said so", by=HaltedBy.PERSON)
    await world.start()
    world.decide("LONG")
    await world.pass_time(2)
    assert world.refusals() == ["halted"]

    world.latch.clear(reason="all is well")
    await world.pass_time(1)
    world.decide("LONG")
    await world.enter()

    assert world.quantity() > 0


async def test_day_limit_closes_latches_and_refuses_the_rest_of_the_day(tmp_path: Path) -> None:
    async with rig(tmp_path, bridge=QUICK) as world:
        # At 5x a stop can lie 10 % away; at 20x the trade's whole margin is less than the limit.
        wide = {"leverage": 5, "stop_loss_pct": 50, "take_profit_pct": 90}
        await in_position(world, dynamic_params=wide, **wide)
        await world.pass_time(2)

        await world.price("90300")  # 0.01 BTC lose 47 USD here
        await world.pass_time(6)
        assert world.quantity() != 0
        await world.price("89900")  # and 51 here, of the 50 a day may lose
        await world.until(lambda: world.quantity() == 0, within_s=12)
        await world.until(lambda: world.reports("closed"), within_s=5)

        [halt] = world.latch.all()
        assert (halt.by, halt.rule) == (HaltedBy.RULE, "day")
        assert halt.until_ms is not None
        world.decide("LONG")
        await world.pass_time(2)
        assert world.refusals()[-1] == "halted"


async def test_emergency_kills_everything_own_or_not_until_a_person_resumes(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    await world.pass_time(3)

    await world.price("83000")  # 1,200 USDT below the highest, of 10 % that may be lost
    await world.until(lambda: world.quantity() == 0, within_s=15)
    await world.until(lambda: [r for r in world.reports("halted") if "flat" in r], within_s=20)

    [killed] = [row for row in world.reports("halted") if "flat" in row]
    assert (killed["flat"], killed["halted"]) == (True, True)
    halts = {halt.rule: halt for halt in world.latch.all()}
    assert halts["emergency"].until_ms is None
    world.decide("LONG")
    await world.pass_time(2)
    assert world.refusals() == ["halted"]


ELSEWHERE = {
    "symbol": "ETHUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.4",
    "price": "2000",
    "newClientOrderId": "trd-0123456789abcdef0123-en0",
}
"""An entry of ours, placed by hand, on a symbol that the run does not follow: 800 USDT."""


def planned(world: Rig) -> Decimal:
    """Return the notional that the newest decision is entered with."""
    return Decimal(str([row for row in world.reports("signal") if "add" in row][-1]["notional"]))


async def test_own_entry_that_rested_elsewhere_before_the_start_is_exposure(world: Rig) -> None:
    world.paper.ask("POST", ORDER, ELSEWHERE)
    await world.start()
    world.decide("LONG")
    await world.wait_resting()

    assert planned(world) < 200  # of 1,000 in all


async def test_own_entry_elsewhere_that_ended_unheard_is_no_exposure(world: Rig) -> None:
    await world.start()
    order = world.paper.ask("POST", ORDER, ELSEWHERE)
    await world.pass_time(1)
    world.network.streams_up = False
    world.network.break_user_stream()
    await world.pass_time(1)
    world.paper.ask("DELETE", ORDER, {"symbol": "ETHUSDT", "orderId": order["orderId"]})
    await world.pass_time(5)
    world.network.streams_up = True
    await world.until(lambda: len(world.reports("reconciled")) > 2, within_s=40)
    world.decide("LONG")
    await world.wait_resting()

    assert planned(world) > 900


async def test_cut_loss_written_while_nothing_ran_closes_after_the_restart(world: Rig) -> None:
    await in_position(world)
    await world.kill_9()
    world.decide("CUT_LOSS")
    world.network.streams_up = False
    await world.start()
    await world.pass_time(2)  # it is read and confirmed before it is known whose the position is
    world.network.streams_up = True

    await world.until(lambda: world.quantity() == 0, within_s=10)


async def test_losses_count_although_no_reconcile_has_ever_succeeded(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE, method="GET", path="/fapi/v1/symbolConfig", times=1_000
    )
    await world.start()
    await world.pass_time(15)

    await world.price("83000")

    await world.until(lambda: world.quantity() == 0, within_s=10)
    assert world.reports("reconciled") == []


async def test_emergency_is_not_given_up_because_the_exchange_is_down_for_longer(
    world: Rig,
) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE,
        method="POST",
        path="/fapi/v1/order",
        until_ms=world.clock.now_ms() + 50_000,
    )

    await world.price("83000")

    await world.until(lambda: world.quantity() == 0, within_s=80)
    await world.until(lambda: world.reports("halted")[-1].get("flat"), within_s=20)
    ends = [row["flat"] for row in world.reports("halted") if "flat" in row]
    assert ends == [False, True]


async def test_emergency_is_over_once_a_person_resumes(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE, method="POST", path="/fapi/v1/order", times=1_000
    )
    await world.price("83000")
    await world.until(lambda: [r for r in world.reports("halted") if "flat" in r], within_s=45)

    world.latch.clear(reason="it is to stay")
    world.paper.exchange.faults.clear()
    await world.pass_time(20)

    assert world.quantity() != 0


class HangingLatch(HaltLatch):
    """A latch on a disk that does not answer writes until the test lets it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answers = threading.Event()
        self.held_up = False

    def set(self, **halt: Any) -> Halt:
        self.held_up |= not self.answers.wait(timeout=60)
        return super().set(**halt)


async def test_emergency_does_not_wait_for_a_disk_that_hangs(world: Rig) -> None:
    world.latch = latch = HangingLatch(world.root / "halt", world.machine)
    world.by_hand("BUY", "0.1")
    await world.start()

    await world.price("83000")
    try:
        await world.until(lambda: world.quantity() == 0, within_s=15)
        assert not latch.held_up
    finally:
        latch.answers.set()


class RefusingLatch(HaltLatch):
    """A latch on a disk that takes nothing any more from the engine."""

    def set(self, **_: Any) -> Halt:
        raise LatchNotWritten("the disk is full")


async def test_halt_that_could_not_be_written_outlasts_the_halt_of_a_symbol(world: Rig) -> None:
    by_hand = world.latch
    world.latch = RefusingLatch(world.root / "halt", world.machine)
    world.by_hand("BUY", "0.1")
    await world.start()
    await world.price("83000")
    await world.until(lambda: world.quantity() == 0, within_s=15)

    by_hand.set(reason="odd book", by=HaltedBy.PERSON, symbol="ETHUSDT")
    await world.pass_time(1)
    by_hand.clear(reason="all is well")
    await world.pass_time(1)
    world.decide("LONG")
    await world.pass_time(3)

    assert world.refusals() == ["halted"]
    assert world.entries() == []


class SpeechlessLatch(HaltLatch):
    """A latch whose disk hangs where the engine says that it has heard."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.answers = threading.Event()
        self.asked = 0
        self.held_up = False

    def acknowledge(self, *args: Any) -> None:
        self.asked += 1
        self.held_up |= not self.answers.wait(timeout=60)


async def test_exit_does_not_wait_for_a_disk_that_hangs_where_a_halt_is_acknowledged(
    world: Rig,
) -> None:
    world.latch = latch = SpeechlessLatch(world.root / "halt", world.machine)
    await in_position(world)
    latch.set(reason="a person said so", by=HaltedBy.PERSON)
    await world.pass_time(1)
    try:
        world.decide("CUT_LOSS")
        await world.until(lambda: world.quantity() == 0, within_s=3)
        assert (latch.asked, latch.held_up) == (1, False)
    finally:
        latch.answers.set()


async def test_a_run_that_is_told_to_end_finishes_its_kill_first(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE,
        method="POST",
        path="/fapi/v1/order",
        until_ms=world.clock.now_ms() + 25_000,
    )
    await world.price("83000")
    await world.until(world.latch.all, within_s=10)

    await world.stop()

    assert world.quantity() == 0
    [killed] = [row for row in world.reports("halted") if "flat" in row]
    assert killed["flat"]


async def test_once_does_not_end_in_the_pause_after_a_kill_that_failed(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    await world.pass_time(3)
    await world.stop()
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE,
        method="POST",
        path="/fapi/v1/order",
        until_ms=world.clock.now_ms() + 40_000,
    )
    await world.price("83000")  # while nothing runs

    await world.start(once=True)
    await world.until(lambda: not world.is_running, within_s=90)

    assert world.quantity() == 0
    ends = [row["flat"] for row in world.reports("halted") if "flat" in row]
    assert ends == [False, True]
    world.result()


async def test_run_that_ends_without_having_proven_flat_says_so(world: Rig) -> None:
    world.by_hand("BUY", "0.1")
    await world.start()
    world.paper.exchange.faults.arm(
        FaultKind.MAINTENANCE, method="POST", path="/fapi/v1/order", times=1_000
    )
    await world.price("83000")
    await world.until(world.latch.all, within_s=10)

    with pytest.raises(NotFlat, match="not proven flat"):
        await world.stop(within_s=60)


async def test_once_that_finds_no_end_says_so(world: Rig) -> None:
    world.network.streams_up = False
    await world.start(once=True)
    world.decide("LONG")

    await world.until(lambda: not world.is_running, within_s=150)

    with pytest.raises(PartialFailure, match="no end in time"):
        world.result()
    assert world.entries() == []


async def test_fill_that_is_told_twice_is_printed_once(world: Rig) -> None:
    world.paper.exchange.faults.arm(FaultKind.EVENTS_DUPLICATED, times=1_000)
    await in_position(world)
    await world.pass_time(2)

    told = [(row["order_id"], row["price"], row["quantity"]) for row in world.reports("fill")]
    trades = world.paper.ask("GET", "/fapi/v1/userTrades", {"symbol": SYMBOL})
    assert len(told) == len(trades)
    assert world.reports("fill")[0]["fee_asset"] == "USDT"


# --- streams ------------------------------------------------------------------------------------


async def test_nothing_opens_between_a_gap_and_the_reconcile(world: Rig) -> None:
    await world.start()
    world.network.streams_up = False
    world.network.break_user_stream()
    await world.until(lambda: world.reports("gap"), within_s=2)

    world.decide("LONG")
    await world.pass_time(20)
    assert world.entries() == []

    world.network.streams_up = True
    await world.until(world.open_orders, within_s=40)
    await world.enter()
    assert world.quantity() > 0


async def test_silent_user_stream_is_opened_anew_once_a_reading_shows_it(world: Rig) -> None:
    await world.start()
    await world.pass_time(2)
    world.paper.exchange.faults.arm(FaultKind.STREAMS_SILENT)
    world.by_hand("BUY", "0.002")
    await world.pass_time(2.5)
    world.paper.exchange.faults.clear()
    assert user_gaps(world) == []

    await world.until(lambda: user_gaps(world), within_s=4)
    await world.pass_time(2)

    assert user_gaps(world) == ["silent: a position changed and no event told"]
    assert len(world.reports("reconciled")) == 2
    world.by_hand("SELL", "0.002")
    await world.until(lambda: len(world.reports("fill")) == 1, within_s=2)


async def test_silence_of_the_mark_prices_has_the_account_reconciled_once(world: Rig) -> None:
    await world.start()
    await world.pass_time(3)
    world.paper.exchange.faults.arm(FaultKind.STREAMS_SILENT)
    before = len(world.reports("reconciled"))

    await world.pass_time(45)

    assert user_gaps(world) == ["the market stream fell silent"]
    assert len(world.reports("reconciled")) == before + 1


def user_gaps(world: Rig) -> list[str]:
    return [str(row["reason"]) for row in world.reports("gap") if row["stream"] == "user"]


async def test_position_that_opened_during_a_gap_is_protected_all_the_same(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()
    world.network.streams_up = False
    world.network.break_user_stream()
    await world.fill_resting()

    await world.until(world.stops, within_s=4)

    assert world.quantity() > 0


async def test_position_that_ended_during_a_gap_is_settled(world: Rig) -> None:
    await in_position(world)
    world.network.streams_up = False
    world.network.break_user_stream()
    await world.pass_time(0.5)
    await world.price("94800")

    await world.until(lambda: world.reports("closed"), within_s=8)

    assert world.algos() == []
    assert world.reports("closed")[0]["exit_reason"] == "STOP_LOSS"


# --- restarts -----------------------------------------------------------------------------------


async def test_restart_in_position_neither_repeats_nor_forgets(world: Rig) -> None:
    await in_position(world)
    before, entries = world.quantity(), world.entries()

    await world.kill_9()
    await world.start()
    await world.pass_time(15)

    assert (world.quantity(), world.entries()) == (before, entries)
    assert len(world.algos()) == 2
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=5)
    assert world.quantity() == 0
    assert world.algos() == []


async def test_restart_while_an_entry_rests_takes_it_back_and_never_repeats(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()

    await world.kill_9()
    assert len(world.open_orders()) == 1
    sent = len(world.entries())
    await world.start()
    await world.pass_time(15)

    assert (world.open_orders(), world.quantity()) == ([], 0)
    assert len(world.entries()) == sent


async def test_restart_after_a_fill_that_nobody_saw_protects_it(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()
    await world.kill_9()
    await world.fill_resting()
    assert world.quantity() > 0
    assert world.stops() == []

    await world.start()
    await world.until(world.stops, within_s=3)

    assert [Decimal(row["triggerPrice"]) for row in world.stops()] == [Decimal("94833.8")]
    world.decide("CUT_LOSS")
    await world.until(lambda: world.quantity() == 0, within_s=4)


async def test_restart_protects_before_it_has_proven_that_a_lost_stop_never_came(
    world: Rig,
) -> None:
    world.paper.exchange.faults.arm(FaultKind.DROPPED, method="POST", path=ALGO, times=1_000)
    await world.start()
    world.decide("LONG")
    await world.fill_resting()
    await world.until(world.quantity, within_s=2)
    await world.kill_9()
    world.paper.exchange.faults.clear()
    assert world.stops() == []
    # Absence is proven only recvWindow and a margin later: six seconds that cannot be waited for.

    await world.start()
    await world.until(world.stops, within_s=1.5)

    world.decide("LONG", advisor="lion")
    await world.pass_time(1)
    assert world.refusals() == ["owned"], "it knows whose the position is, too"
    await world.pass_time(15)
    assert len(world.stops()) == 1
    assert world.journal.unknown_intents() == []


async def test_nothing_opens_while_the_outcome_of_an_order_is_doubtful(world: Rig) -> None:
    await world.start()
    await world.kill_9()
    request = LimitRequest(
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(60_000),
        client_order_id="trd-lost-en0",
    )
    world.journal.record_intent(
        source="lost", leg=Leg.ENTRY, attempt=0, request=request, details={}
    )

    await world.start()
    world.decide("LONG")
    await world.pass_time(4)
    assert world.entries() == []

    await world.enter()
    assert world.quantity() > 0


async def test_restart_after_the_stop_fired_settles_and_cleans_up(world: Rig) -> None:
    await in_position(world)
    await world.kill_9()
    await world.price("94800")
    assert world.quantity() == 0

    await world.start()
    await world.until(lambda: world.reports("closed"), within_s=8)

    assert world.algos() == []
    world.decide("LONG")
    await world.pass_time(2)
    assert world.refusals() == ["cool_down"]


async def test_restart_leaves_an_entry_that_a_person_placed(world: Rig) -> None:
    await world.start()
    world.paper.ask(
        "POST",
        ORDER,
        {
            "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.002",
            "price": "60000", "timeInForce": "GTC", "newClientOrderId": "mine-1",
        },
    )  # fmt: skip
    await world.kill_9()

    await world.start()
    await world.pass_time(3)

    assert [row["clientOrderId"] for row in world.open_orders()] == ["mine-1"]


@pytest.mark.parametrize("steps", range(0, 34, 2))
async def test_death_at_any_step_neither_repeats_nor_leaves_naked_nor_orphans(
    world: Rig, steps: int
) -> None:
    await world.start()
    stamp = world.decide("LONG")
    for step in range(steps):
        if step == 8 and world.open_orders():
            await world.fill_resting()
        if step == 20:
            world.decide("CUT_LOSS")
        await world.pass_time(STEP_MS / 1000)
    await world.kill_9()
    sent, held = len(world.entries()), world.quantity()

    await world.start()
    if held != 0:
        assert world.stops() or world.quantity() == 0, "within the first second"
    await world.pass_time(4)
    if sent:
        assert len(world.entries()) == sent
    world.decide("HOLD", timestamp=stamp)
    await world.pass_time(1)

    assert bool(world.stops()) == bool(world.algos()) == bool(world.quantity())
    assert world.open_orders() == []
    if world.quantity() != 0:
        await world.pass_time(1)
        world.decide("CUT_LOSS")
        await world.until(lambda: world.quantity() == 0 and not world.algos(), within_s=6)


# --- the end ------------------------------------------------------------------------------------


async def test_once_ends_by_itself_when_the_decision_is_final_and_protected(world: Rig) -> None:
    world.decide("LONG")
    await world.start(once=True)
    await world.fill_resting()

    await world.until(lambda: not world.is_running, within_s=30)

    assert world.quantity() > 0
    assert len(world.stops()) == 1
    [stopped] = world.reports("stopped")
    assert [row["protected"] for row in _rows(stopped["positions"])] == [True]


async def test_once_with_nothing_to_do_ends_soon(world: Rig) -> None:
    world.decide("HOLD")
    await world.start(once=True)

    await world.until(lambda: not world.is_running, within_s=15)

    assert world.entries() == []


async def test_trading_rules_are_read_again_every_hour(world: Rig) -> None:
    session = MemorySession(world.paper)
    await world.start(session=session)
    await world.pass_time(5)
    rules = ("GET", "/fapi/v1/exchangeInfo")
    before = session.sent.count(rules)
    world.paper.advance(3_600_000)
    await world.pass_time(1)

    assert session.sent.count(rules) == before + 1


class ForgetfulSession(MemorySession):
    """Shows no position for a while, as an exchange's reading endpoints may that lag behind."""

    forgets = False

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        async with super()._answered(request) as answer:
            if self.forgets and request.path.endswith("/positionRisk"):
                answer = replace(answer, body=b"[]")
            yield answer


@pytest.mark.parametrize("seconds", [1.5, 4.0])
async def test_reading_that_misses_the_position_for_seconds_changes_nothing(
    world: Rig, seconds: float
) -> None:
    session = ForgetfulSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    await world.pass_time(6)
    before = world.algos()

    session.forgets = True
    await world.pass_time(seconds)
    session.forgets = False
    await world.pass_time(8)

    assert world.algos() == before
    assert world.reports("closed") == []
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=8)
    assert world.quantity() == 0


async def test_position_that_is_missed_for_long_keeps_its_exits(world: Rig) -> None:
    session = ForgetfulSession(world.paper)
    await world.start(session=session)
    world.decide("LONG")
    await world.enter()
    await world.pass_time(6)
    session.forgets = True
    await world.pass_time(20)

    assert len(world.stops()) == 1
    assert world.reports("closed") == []
    assert "still_open" in [row["kind"] for row in world.reports("warning")]


WEIGHTS = {
    "/fapi/v1/openOrders": 1,
    "/fapi/v1/openAlgoOrders": 1,
    "/fapi/v1/symbolConfig": 5,
    "/fapi/v3/positionRisk": 5,
    "/fapi/v3/account": 5,
    "/fapi/v1/accountConfig": 5,
    "/fapi/v1/income": 30,
}


async def test_quiet_minute_with_three_symbols_takes_less_than_half_the_weight(
    tmp_path: Path,
) -> None:
    three = (SYMBOL, "ETHUSDT", "SOLUSDT")
    async with rig(tmp_path, bridge=BridgeRules(symbols=three)) as world:
        session = MemorySession(world.paper)
        await world.start(session=session)
        await world.pass_time(10)
        session.sent.clear()
        await world.pass_time(60)

        assert {path for _, path in session.sent} == WEIGHTS.keys()
        assert sum(WEIGHTS[path] for _, path in session.sent) < 1_100


async def test_reconcile_that_keeps_failing_is_tried_less_and_less(world: Rig) -> None:
    world.paper.exchange.faults.arm(
        FaultKind.AMNESIA, method="GET", path="/fapi/v3/account", times=1_000
    )
    await world.start()
    await world.pass_time(60)

    tries = [row for row in world.reports("warning") if row["kind"] == "reconcile"]
    assert 4 <= len(tries) <= 8
    world.paper.exchange.faults.clear()
    await world.until(lambda: world.reports("reconciled"), within_s=40)


ODD_WORDS = {"orderType": "TWAP", "side": "BUY", "positionSide": "BOTH", "updateTime": 0}


class OddSession(MemorySession):
    """Shows one more conditional order, of another program and of a type nobody here knows."""

    def __init__(self, paper: PaperVenue, symbol: str) -> None:
        super().__init__(paper)
        self._symbol = symbol

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        async with super()._answered(request) as answer:
            asked = request.raw_query
            everywhere = "symbol=" not in asked
            if request.path.endswith("/openAlgoOrders") and (everywhere or self._symbol in asked):
                odd = {"symbol": self._symbol, "algoId": 7, "clientAlgoId": "bot-7"}
                rows = [*json.loads(answer.body), odd | ODD_WORDS]
                answer = replace(answer, body=json.dumps(rows).encode())
            yield answer


@pytest.mark.parametrize("symbol", [SYMBOL, "ETHUSDT"])
async def test_odd_order_of_another_program_does_not_keep_us_from_protecting(
    world: Rig, symbol: str
) -> None:
    await in_position(world)
    await world.kill_9()
    for row in world.stops():
        world.paper.ask("DELETE", ALGO, {"algoId": row["algoId"]})
    await world.start(session=OddSession(world.paper, symbol))
    await world.pass_time(5)

    assert len(world.stops()) == 1
    told = [row["message"] for row in world.reports("warning") if row["kind"] == "drift"]
    assert any("TWAP" in str(message) for message in told)


async def test_end_takes_entries_back_and_keeps_stops(world: Rig) -> None:
    await world.start()
    world.decide("LONG")
    await world.wait_resting()

    await world.stop()

    assert world.open_orders() == []
    assert world.quantity() == 0


async def test_end_in_position_keeps_the_stop_and_says_so(world: Rig) -> None:
    await in_position(world)

    await world.stop()

    assert len(world.stops()) == 1
    [stopped] = world.reports("stopped")
    [row] = _rows(stopped["positions"])
    assert (row["own"], row["protected"]) == (True, True)


async def test_given_time_ends_it(world: Rig) -> None:
    await world.start(for_s=3)
    began = world.clock.monotonic()

    await world.until(lambda: not world.is_running, within_s=6)

    assert world.clock.monotonic() - began < 3


def _list(value: object) -> list[object]:
    assert isinstance(value, (list, tuple))
    return list(value)


def _rows(value: object) -> list[dict[str, object]]:
    rows = _list(value)
    assert all(isinstance(row, dict) for row in rows)
    return [dict(row) for row in rows if isinstance(row, dict)]

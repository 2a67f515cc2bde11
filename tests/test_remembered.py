"""What a new run knows of the runs before it: neither a decision twice nor a position forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper import ManualClock
from trader_cli.bridge.feedback import TradeResult
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction, Side
from trader_cli.engine.remembered import (
    ACCOUNT_NEW,
    DECISION,
    REFUSAL,
    RESUME,
    TRADE,
    Remembered,
    decision_row,
    refusal_row,
    remember,
    trade_row,
)
from trader_cli.journal.journal import Journal

S = "BTCUSDT"
DAY_MS = 86_400_000
RULES = BridgeRules(breaker_losses=3)


def signal(stamp: str = "t1", *, command: Command = Command.LONG, advisor: str = "wolf") -> Signal:
    return Signal(
        advisor=advisor,
        file=f"ai_{advisor}_bridge.json",
        section=f"ai_to_{advisor}",
        command=command,
        command_text=command.value,
        timestamp_text=stamp,
        decided_ms=1_000 + int(stamp[1:]),
        leverage=Decimal(125),
        stop_roi_pct=Decimal("3.5"),
        max_holding_minutes=Decimal(30),
    )


class Past:
    """A journal that a test writes a history into."""

    def __init__(self, journal: Journal, clock: ManualClock) -> None:
        self.journal = journal
        self.clock = clock

    def decided(self, made: Signal, *, symbol: str = S, is_add: bool = False) -> None:
        direction = made.command.direction
        assert direction is not None
        row = decision_row(made, symbol, direction, is_add=is_add)
        self.journal.record(DECISION, row, durable=True)

    def refused(self, made: Signal) -> None:
        self.journal.record(REFUSAL, refusal_row(made, "stale", "too old"))

    def traded(
        self, net: str, *, stamp: str = "t1", advisor: str = "wolf", reason: str = "CUT_LOSS"
    ) -> None:
        result = TradeResult(
            pnl_usdt=Decimal(net),
            roi_pct=Decimal(1),
            direction=Direction.LONG,
            holding_seconds=Decimal(60),
            exit_reason="AI CUT_LOSS",
            exited_ms=self.clock.now_ms(),
        )
        decision_id = signal(stamp, advisor=advisor).decision_id
        self.journal.record(TRADE, trade_row(S, advisor, decision_id, result, reason))

    def sent(self, made: Signal) -> None:
        name = client_order_id(made.decision_id, Leg.ENTRY, 0)
        request = LimitRequest(
            symbol=S,
            side=Side.BUY,
            quantity=Decimal("0.01"),
            price=Decimal(95_000),
            client_order_id=name,
        )
        self.journal.record_intent(
            source=made.decision_id, leg=Leg.ENTRY, attempt=0, request=request, details={}
        )

    def resumed(self) -> None:
        self.journal.record(RESUME, {"reason": "a person said so"})

    def recall(self) -> Remembered:
        return remember(self.journal, now_ms=self.clock.now_ms(), rules=RULES)


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    clock = ManualClock()
    journal = Journal.open(tmp_path / "journal.db", clock)
    yield Past(journal, clock)
    journal.close()


def test_empty_journal_remembers_nothing(past: Past) -> None:
    memory = past.recall()

    assert (memory.state.used, memory.state.exit_ms, memory.open_decisions) == ({}, {}, {})
    assert not memory.state.ready
    assert memory.last_loss_ms is None


def test_acted_and_refused_decisions_are_used_for_two_days(past: Past) -> None:
    acted, refused = signal("t1"), signal("t2")
    past.decided(acted)
    past.sent(acted)
    past.refused(refused)

    past.clock.advance(2 * DAY_MS)
    assert set(past.recall().state.used) == {acted.decision_id, refused.decision_id}
    past.clock.advance(1)
    assert past.recall().state.used == {}


def test_a_decision_that_was_only_planned_is_not_used_up(past: Past) -> None:
    """The run died between planning the entry and meaning its first order: nothing had left."""
    past.decided(signal("t1"))

    assert past.recall().state.used == {}


def test_newest_decision_of_each_advisor_is_known(past: Past) -> None:
    past.decided(signal("t5"))
    past.refused(signal("t9"))
    past.refused(signal("t3", advisor="lion"))

    assert past.recall().newest_ms == {"wolf": 1_009, "lion": 1_003}


def test_decision_without_a_settled_trade_is_open_and_comes_back_whole(past: Past) -> None:
    made = signal()
    past.decided(made)

    memory = past.recall()

    found = memory.open_decisions[S]
    assert found.signal == made
    assert (found.direction, found.acted_ms) == (Direction.LONG, past.clock.now_ms())
    assert memory.decisions == frozenset({made.decision_id})


def test_settled_trade_closes_its_decision(past: Past) -> None:
    past.decided(signal("t1"))
    past.traded("5", stamp="t1")
    assert past.recall().open_decisions == {}

    past.decided(signal("t2"))
    assert past.recall().open_decisions[S].signal.timestamp_text == "t2"


def test_what_was_open_before_the_account_began_anew_is_nobodys(past: Past) -> None:
    """A fresh account shows no trades of its past: whose a position is would stay unclear."""
    past.decided(signal("t1"), symbol="ETHUSDT")
    past.journal.record(ACCOUNT_NEW, {})
    past.decided(signal("t2"))

    assert set(past.recall().open_decisions) == {S}


def test_addition_does_not_hide_the_decision_that_opened(past: Past) -> None:
    past.decided(signal("t1"))
    past.decided(signal("t2", command=Command.ADD_LONG), is_add=True)

    assert past.recall().open_decisions[S].signal.timestamp_text == "t1"


def test_cool_down_and_flips_survive(past: Past) -> None:
    past.traded("5")
    left = past.clock.now_ms()
    past.clock.advance(1_000)
    assert past.recall().state.exit_ms == {S: left}
    assert past.recall().state.flip_ms == {}

    past.traded("5", reason="flip")
    assert past.recall().state.flip_ms == {S: past.clock.now_ms()}


@pytest.mark.parametrize(
    ("results", "losses", "is_open"),
    [
        (["-1", "-1"], 2, False),
        (["-1", "-1", "-1"], 3, True),
        (["-1", "-1", "-1", "-1"], 4, True),
        (["-1", "-1", "1", "-1"], 1, False),
        (["-1", "0", "-1", "-1"], 3, True),
    ],
)
def test_breaker_counts_losses_in_a_row(
    past: Past, results: list[str], losses: int, is_open: bool
) -> None:
    for net in results:
        past.traded(net)

    state = past.recall().state
    assert state.losses_in_row == losses
    until = (past.clock.now_ms() // DAY_MS + 1) * DAY_MS
    assert state.breaker_until_ms == (until if is_open else None)


def test_breaker_closes_with_the_day(past: Past) -> None:
    for _ in range(3):
        past.traded("-1")
    left_of_day = DAY_MS - past.clock.now_ms() % DAY_MS
    past.clock.advance(left_of_day - 1)
    assert past.recall().state.breaker_until_ms is not None
    past.clock.advance(1)
    assert past.recall().state.breaker_until_ms is None


def test_loss_on_the_next_day_opens_the_breaker_again(past: Past) -> None:
    for _ in range(3):
        past.traded("-1")
    past.clock.advance(DAY_MS)
    assert past.recall().state.breaker_until_ms is None
    past.traded("-1")

    until = (past.clock.now_ms() // DAY_MS + 1) * DAY_MS
    assert past.recall().state.breaker_until_ms == until


def test_resume_closes_the_breaker_and_losses_count_anew(past: Past) -> None:
    for _ in range(3):
        past.traded("-1")
    past.resumed()
    state = past.recall().state
    assert (state.losses_in_row, state.breaker_until_ms) == (0, None)

    past.traded("-1")
    assert past.recall().state.losses_in_row == 1


def test_each_advisor_has_its_record_and_the_last_loss_is_known(past: Past) -> None:
    past.traded("5")
    past.traded("-2")
    lost = past.clock.now_ms()
    past.clock.advance(500)
    past.traded("1", advisor="lion")

    memory = past.recall()
    assert set(memory.tallies) == {"wolf", "lion"}
    assert memory.last_loss_ms == lost

"""`trader run` as a process: killed at any moment, interrupted, halted, started twice.

Looked at by a client that shares no code with it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.support.running_engine import WIDE, Account, Engine, Wolf, until
from tests.support.trader_process import Trader
from trader_cli.paper.process import reset

CONFIG = """
[entry]
deadline_s = 1
[bridge]
cool_down_s = 0
flip_window_s = 0
breaker_losses = 100
[paper]
rate_limits = false
seed = 7
"""
RESTART_S = 8.0
"""How long a restart may take until a naked position has its stop; the machine may be busy."""


class Scene:
    """One home, one exchange, one bridge folder; engines come and go."""

    def __init__(self, trader: Trader) -> None:
        self.trader = trader
        self.folder = trader.root / "bridge"
        self.wolf = Wolf(self.folder)
        self.account = Account.of(trader)
        self.engine: Engine | None = None

    def start(self, *words: str) -> Engine:
        self.engine = Engine(self.trader, self.folder, *words)
        return self.engine

    def start_ready(self) -> Engine:
        engine = self.start()
        engine.wait("reconciled")
        return engine

    def open_long(self) -> Engine:
        """Start an engine and let it hold a protected position."""
        engine = self.start_ready()
        self.wolf.decide("LONG")
        engine.wait("protected")
        return engine


@pytest.fixture(scope="module")
def shared_trader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    trader = Trader(root=tmp_path_factory.mktemp("trader"))
    (trader.root / "config.toml").write_text(CONFIG)
    assert trader("paper", "start").code == 0
    yield trader
    assert trader("paper", "stop").code == 0


@pytest.fixture
def scene(shared_trader: Trader) -> Iterator[Scene]:
    made = Scene(shared_trader)
    yield made
    if made.engine is not None:
        made.engine.kill_9()
    reset(shared_trader.home)
    # Our own state too: the next test's exchange knows nothing of these orders.
    shutil.rmtree(shared_trader.home / "paper")
    for file in made.folder.iterdir():
        file.unlink()


def _at_once(_scene: Scene, _engine: Engine) -> None:
    """The decision is written, perhaps not even read."""


def _when_planned(_scene: Scene, engine: Engine) -> None:
    until(
        lambda: [row for row in engine.reports("signal") if "quantity" in row],
        within_s=10,
        what="the plan",
    )


def _when_resting(scene: Scene, _engine: Engine) -> None:
    until(scene.account.open_orders, within_s=10, what="a resting entry")


def _when_held(scene: Scene, _engine: Engine) -> None:
    until(scene.account.quantity, within_s=10, what="a position")


def _when_filled(_scene: Scene, engine: Engine) -> None:
    engine.wait("fill")


def _when_protected(_scene: Scene, engine: Engine) -> None:
    engine.wait("protected")


def _while_leaving(scene: Scene, engine: Engine) -> None:
    engine.wait("protected")
    scene.wolf.decide("CUT_LOSS")
    until(lambda: scene.account.quantity() == 0, within_s=10, what="flat")


def _at_random(_scene: Scene, _engine: Engine) -> None:
    time.sleep(random.Random(7).uniform(0.1, 1.5))


MOMENTS: list[Callable[[Scene, Engine], None]] = [
    _at_once,
    _when_planned,
    _when_resting,
    _when_held,
    _when_filled,
    _when_protected,
    _while_leaving,
    _at_random,
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__.strip("_"))
def test_kill_9_and_a_restart_neither_repeat_nor_leave_naked(
    scene: Scene, moment: Callable[[Scene, Engine], None]
) -> None:
    account = scene.account
    engine = scene.start_ready()
    decision = scene.wolf.decide("LONG")
    moment(scene, engine)
    engine.kill_9()
    sent = len(account.entries(decision))
    held = account.quantity()

    restarted = scene.start()
    if held > 0:
        until(account.stops, within_s=RESTART_S, what="the stop of what was held")
    first = restarted.wait("reconciled")
    if sent == 0 and not (first["resolved"] or first["unresolved"]):
        # It had not acted: the decision is still fresh, and now it does. Had it written the intent
        # and not sent it, the order would be in doubt, and the decision used up.
        restarted.wait("protected")
    until(
        lambda: not account.open_orders() and bool(account.stops()) == bool(account.quantity()),
        within_s=8,
        what="calm: a stop beside a position, no entry without an engine that wants it",
    )
    entries = account.entries(decision)
    if sent > 0:
        assert len(entries) == sent, "a decision that was acted on is not acted on again"
    bought = sum((Decimal(row["executedQty"]) for row in entries), Decimal(0))
    assert bought * 96_000 <= 1_010, "one decision buys once"

    if account.quantity() != 0:
        scene.wolf.decide("CUT_LOSS")
        until(lambda: account.quantity() == 0, within_s=8, what="its own position is its to close")
    until(lambda: not account.algos(), within_s=8, what="no exit order without a position")
    assert account.open_orders() == []


def test_kill_command_during_a_run_ends_flat_and_the_next_decision_opens_nothing(
    scene: Scene,
) -> None:
    engine = scene.open_long()

    outcome = scene.trader.json("kill", "--all")

    assert outcome.code == 0, (outcome.out, outcome.err)
    assert (outcome.data["flat"], outcome.data["halted"]) == (True, True)
    assert scene.account.quantity() == 0
    assert (scene.account.algos(), scene.account.open_orders()) == ([], [])
    engine.wait("closed")
    decision = scene.wolf.decide("LONG")
    assert engine.wait("refused")["rule"] == "halted"
    assert scene.account.entries(decision) == []

    assert scene.trader.json("risk", "resume", "--reason", "tried it").code == 0
    until(lambda: not engine.reports("halted")[-1]["halted"], within_s=5, what="the halt lifted")
    scene.wolf.decide("LONG")
    engine.wait("protected", count=2)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_orderly_end_keeps_the_stop_and_says_so(scene: Scene, name: signal.Signals) -> None:
    engine = scene.open_long()

    engine.send(name)

    assert engine.end() == 0
    assert len(scene.account.stops()) == 1
    assert scene.account.open_orders() == []
    [stopped] = engine.reports("stopped")
    assert [row["protected"] for row in stopped["positions"]] == [True]
    assert "stops stay at the exchange" in "".join(engine.said)


def test_second_engine_is_refused_with_who_holds_the_account(scene: Scene) -> None:
    engine = scene.start_ready()

    second = scene.trader.json("run", "--bridge", str(scene.folder), "--once")

    assert second.code == 2
    assert second.error["code"] == "lease_held"
    assert str(engine.pid) in second.error["message"]
    assert os.uname().nodename in second.error["message"]


def test_once_ends_by_itself_in_a_protected_position(scene: Scene) -> None:
    scene.wolf.decide("LONG")
    engine = scene.start("--once")

    assert engine.end() == 0

    assert scene.account.quantity() > 0
    assert len(scene.account.stops()) == 1


def test_files_of_days_ago_open_nothing(scene: Scene) -> None:
    for advisor in ("wolf", "dragon", "lion"):
        section = {"command": "LONG", "timestamp": "2026-01-05T10:00:00.000000", **WIDE}
        document = {f"ai_to_{advisor}": section, "last_updated": datetime.now(UTC).isoformat()}
        (scene.folder / f"ai_{advisor}_bridge.json").write_text(json.dumps(document))

    engine = scene.start("--for", "2s")

    assert engine.end() == 0
    sections = engine.reports("section")
    assert {row["section"] for row in sections} == {"ai_to_wolf", "ai_to_dragon", "ai_to_lion"}
    assert all(not row["tradable"] and "older than" in row["why"] for row in sections)
    assert scene.account.quantity() == 0
    assert {row["rule"] for row in engine.reports("refused")} == {"stale"}


def test_hedge_mode_keeps_to_its_own_side_through_flip_and_kill_9(scene: Scene) -> None:
    """A flip, a stranger on the side that it left, `kill -9`, a restart, CUT_LOSS."""
    scene.account.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    engine = scene.open_long()
    assert scene.account.sides() == {"LONG"}
    scene.wolf.decide("SHORT")
    engine.wait("protected", count=2)
    assert scene.account.sides() == {"SHORT"}
    scene.account.ask(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="0.002",
        positionSide="LONG",
    )
    [stop] = scene.account.stops()
    engine.kill_9()

    restarted = scene.start_ready()
    assert scene.account.stops() == [stop]
    scene.wolf.decide("CUT_LOSS")
    closed = restarted.wait("closed")

    assert (closed["side"], closed["exit_reason"]) == ("SHORT", "AI CUT_LOSS")
    assert scene.account.sides() == {"LONG"}
    assert scene.account.quantity() == Decimal("0.002")
    assert scene.account.algos() == []

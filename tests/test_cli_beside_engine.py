"""Commands by hand next to a running engine: both are safe, and the engine sees them at once."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.trader_process import TRADER, Trader

SYMBOL = "BTCUSDT"
CONFIG = """\
[paper]
rate_limits = false
[entry]
deadline_s = 1
"""


@dataclass
class Engine:
    """A running `trader run` and what it has told so far."""

    trader: Trader
    bridge: Path
    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def told(self, event: str, *, since: int = 0) -> list[dict[str, Any]]:
        return [row for row in self.events[since:] if row["event"] == event]

    def wait(self, event: str, *, since: int = 0, within_s: float = 20) -> dict[str, Any]:
        """Return the first such event; it must come."""
        end = time.monotonic() + within_s
        while not (found := self.told(event, since=since)):
            assert time.monotonic() < end, f"no {event} within {within_s} s: {self.events[-5:]}"
            time.sleep(0.02)
        return found[0]

    def decide(self, command: str) -> None:
        section = {
            "command": command,
            # Advisors write naive local time.
            "timestamp": datetime.now(UTC).astimezone().replace(tzinfo=None).isoformat(),
            "confidence": 80,
            "leverage": 10,
            "stop_loss_pct": 10,
            "take_profit_pct": 20,
            "position_size_pct": 5,
        }
        path = self.bridge / "ai_wolf_bridge.json"
        path.write_text(json.dumps({"ai_to_wolf": section}))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)
    bridge = tmp_path / "bridge"
    bridge.mkdir()
    process = subprocess.Popen(
        [TRADER, "run", "--bridge", "bridge", "--json", "--quiet"],
        cwd=trader.root,
        env=trader.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    running = Engine(trader=trader, bridge=bridge, process=process)
    listener = threading.Thread(target=running.listen, daemon=True)
    listener.start()
    try:
        running.wait("reconciled")
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        listener.join(10)
        assert process.stdout is not None
        process.stdout.close()
        trader("paper", "stop")


def test_a_position_by_hand_is_seen_at_once_and_taken_over_when_adopted(engine: Engine) -> None:
    trader = engine.trader
    opened = trader.json(
        "position", "open", SYMBOL, "long", "--qty", "0.002", "--stop-roi", "20"
    ).data["position"]
    seen = engine.wait("warning", within_s=3)
    engine.decide("CUT_LOSS")
    time.sleep(1)
    kept = trader.json("position", "list").data["positions"]

    before = len(engine.events)
    assert trader.json("position", "adopt", SYMBOL, "--stop", opened["stop_price"]).code == 0
    engine.wait("reconciled", since=before)
    engine.decide("CUT_LOSS")
    closed = engine.wait("closed", since=before)

    assert seen["kind"] == "foreign_position"
    assert [row["quantity"] for row in kept] == ["0.002"]
    assert (closed["advisor"], closed["symbol"]) == ("wolf", SYMBOL)
    assert trader.json("position", "list").data["positions"] == []
    assert trader.json("order", "list").data["orders"] == []


def test_closing_by_hand_what_the_engine_opened_settles_its_trade(engine: Engine) -> None:
    engine.decide("LONG")
    engine.wait("protected")

    closed = engine.trader.json("position", "close", SYMBOL).data
    told = engine.wait("closed", within_s=5)

    assert closed["flat"] is True
    assert told["advisor"] == "wolf"
    assert engine.trader.json("order", "list").data["orders"] == []
    assert engine.process.poll() is None


def test_a_second_engine_is_refused_with_pid_and_host_and_hands_are_not(engine: Engine) -> None:
    second = engine.trader.json("run", "--bridge", "bridge", "--once")
    shown = engine.trader.json("position", "leverage", SYMBOL, "10")

    assert (second.code, second.error["code"]) == (2, "lease_held")
    assert str(engine.process.pid) in second.error["message"]
    assert shown.data["leverage"] == 10

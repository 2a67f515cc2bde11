"""What the advisors are told while the engine runs: the truth, where they look, and in time."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_rig import Rig, rig, settle
from tests.support.paper import START_MS, ManualClock
from trader_cli.bridge.feedback import Source, Tally, TradeResult
from trader_cli.domain.account import BookTop, MarkPrice
from trader_cli.domain.account_events import MarkPriceChanged
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
from trader_cli.engine.feedback_loop import FeedbackLoop, Told
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.state import Holding
from trader_cli.errors import NotSent


async def _no_top(_symbol: str) -> BookTop:
    raise NotSent("not asked for here")


async def _no_clock() -> int:
    raise NotSent("not asked for here")


async def _no_mark(_symbol: str) -> MarkPrice:
    raise NotSent("not asked for here")


class Scene:
    """A folder of bridge files, and what the engine believes."""

    def __init__(self, folder: Path, tallies: Mapping[str, Tally] | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.board = MarketBoard(
            clock=self.clock,
            venue_now_ms=self.clock.now_ms,
            measure_clock=_no_clock,
            read_top=_no_top,
            read_mark=_no_mark,
        )
        self.holdings: dict[str, Holding] = {}
        self.warnings: list[str] = []
        self.loop = FeedbackLoop(
            folder,
            source=Source.TESTNET,
            zone=UTC,
            clock=self.clock,
            board=self.board,
            tallies=tallies or {},
            now=lambda: Told(
                holdings=self.holdings, leverages={"BTCUSDT": 20}, wallet=Decimal("10012.5")
            ),
            warn=self.warnings.append,
        )

    def put(self, file: str, **sections: object) -> None:
        (self.folder / file).write_text(json.dumps(sections))

    def read(self, file: str = "ai_wolf_bridge.json") -> dict[str, Any]:
        value = json.loads((self.folder / file).read_text())
        assert isinstance(value, dict)
        return value

    def mark(self, price: str) -> None:
        value = Decimal(price)
        self.board.take(
            MarkPriceChanged(
                mark=MarkPrice(
                    symbol="BTCUSDT",
                    mark_price=value,
                    index_price=value,
                    funding_rate=Decimal(0),
                    next_funding_ms=0,
                    venue_ms=0,
                )
            )
        )


def seen(advisor: str = "wolf", *, file: str | None = None, home: str | None = None) -> Signal:
    return Signal(
        advisor=advisor,
        file=file or f"ai_{advisor}_bridge.json",
        section=f"ai_to_{advisor}",
        command=Command.HOLD,
        command_text="HOLD",
        timestamp_text="t",
        decided_ms=START_MS,
        home_file=home,
    )


def held(
    advisor: str | None = "wolf", *, direction: Direction = Direction.LONG, entry: str = "95000"
) -> Holding:
    return Holding(
        symbol="BTCUSDT",
        direction=direction,
        quantity=Decimal("0.01"),
        entry_price=Decimal(entry),
        opened_ms=START_MS - 30_000,
        advisor=advisor,
        decision_id="d",
    )


def lost(amount: str) -> TradeResult:
    return TradeResult(
        pnl_usdt=Decimal(amount),
        roi_pct=Decimal(-4),
        direction=Direction.LONG,
        holding_seconds=Decimal(30),
        exit_reason="STOP_LOSS",
        exited_ms=START_MS,
    )


def test_nobody_is_written_to_before_he_was_seen(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json", ai_to_wolf={"command": "HOLD"})

    scene.loop.write()

    assert scene.read() == {"ai_to_wolf": {"command": "HOLD"}}


def test_position_is_told_in_numbers_with_its_profit_at_mark(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json", ai_to_wolf={"command": "HOLD"}, last_updated="x")
    scene.loop.saw(seen())
    scene.holdings["BTCUSDT"] = held(direction=Direction.SHORT)
    scene.mark("94905")

    scene.loop.write()

    document = scene.read()
    assert document["ai_to_wolf"] == {"command": "HOLD"}, "the advisor's own section is his"
    told = document["wolf_to_ai"]
    assert told["status"] == "IN_POSITION"
    assert told["position"]["direction"] == "SHORT"
    # 95 dollars a coin on 0.01, of a margin of 47.5: 2 %.
    assert told["current_pnl_usdt"] == pytest.approx(0.95)
    assert told["current_pnl_pct"] == pytest.approx(2.0)
    assert told["testnet_trading"]["account"]["balance"] == 10_012.5
    entered = datetime.fromisoformat(told["position"]["entry_time"])
    assert entered.tzinfo is None
    assert entered == datetime.fromtimestamp(START_MS / 1000 - 30, tz=UTC).replace(tzinfo=None)


def test_without_a_mark_the_entry_price_stands_in(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json")
    scene.loop.saw(seen())
    scene.holdings["BTCUSDT"] = held()

    scene.loop.write()

    told = scene.read()["wolf_to_ai"]
    assert (told["position"]["current_price"], told["current_pnl_usdt"]) == (95_000, 0)


def test_flat_leaves_the_position_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json", wolf_to_ai={"status": "IN_POSITION", "position": {"a": 1}})
    scene.loop.saw(seen())

    scene.loop.write()

    told = scene.read()["wolf_to_ai"]
    assert "position" not in told
    assert told["status"] != "IN_POSITION"


@pytest.mark.parametrize("owner", [None, "lion"])
def test_position_of_another_is_not_told(tmp_path: Path, owner: str | None) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json")
    scene.loop.saw(seen())
    scene.holdings["BTCUSDT"] = held(owner)

    scene.loop.write()

    assert "position" not in scene.read()["wolf_to_ai"]


def test_record_goes_on_from_what_the_journal_knew(tmp_path: Path) -> None:
    before = Tally(total_trades=4, wins=3, total_pnl=Decimal(7))
    scene = Scene(tmp_path, {"wolf": before})
    scene.put("ai_wolf_bridge.json")
    scene.loop.saw(seen())

    scene.loop.add("wolf", lost("-2"))
    scene.loop.add("lion", lost("-9"))
    scene.loop.write()

    feedback = json.dumps(scene.read())
    assert '"total_trades": 5' in feedback
    assert "STOP_LOSS" in feedback


def test_two_advisors_of_one_section_hear_of_the_one_in_position(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_dragon_bridge.json")
    for advisor in ("dragon", "dragon2"):
        signal = Signal(
            advisor=advisor,
            file="ai_dragon_bridge.json",
            section="ai_to_dragon",
            command=Command.HOLD,
            command_text="HOLD",
            timestamp_text="t",
            decided_ms=START_MS,
        )
        scene.loop.saw(signal)
    scene.holdings["BTCUSDT"] = held("dragon2")

    scene.loop.write()

    assert scene.read("ai_dragon_bridge.json")["dragon_to_ai"]["status"] == "IN_POSITION"


def test_missing_or_torn_file_is_left_to_the_next_round(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.loop.saw(seen())
    scene.loop.write()
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "ai_wolf_bridge.json").write_text('{"ai_to_wolf": {"comm')
    scene.loop.write()
    assert (tmp_path / "ai_wolf_bridge.json").read_text() == '{"ai_to_wolf": {"comm'

    scene.put("ai_wolf_bridge.json")
    scene.loop.write()
    assert "wolf_to_ai" in scene.read()
    assert scene.warnings == []


def test_what_is_no_file_is_told_once_and_keeps_nobody_else_from_hearing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    os.mkfifo(tmp_path / "ai_wolf_bridge.json")
    scene.put("ai_lion_bridge.json", ai_to_lion={})
    scene.loop.saw(seen())
    scene.loop.saw(seen("lion"))

    for _ in range(3):
        scene.loop.write()

    assert scene.warnings == ["feedback cannot be written to ai_wolf_bridge.json: not a file"]
    assert "feedback_loop" in scene.read("ai_lion_bridge.json")


def test_file_far_too_large_for_an_advisors_is_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    large = json.dumps({"ai_to_wolf": {}, "filler": "x" * 4_000_000})
    (tmp_path / "ai_wolf_bridge.json").write_text(large)
    scene.loop.saw(seen())

    scene.loop.write()

    assert (tmp_path / "ai_wolf_bridge.json").read_text() == large


async def test_it_writes_every_round_until_cancelled(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.put("ai_wolf_bridge.json")
    scene.loop.saw(seen())
    running = asyncio.create_task(scene.loop.run(1.0))
    stamps = []
    for _ in range(3):
        await settle()
        stamps.append(scene.read()["wolf_to_ai"]["timestamp"])
        scene.clock.advance(1_000)
    running.cancel()

    assert len(set(stamps)) == 3


async def test_running_engine_keeps_feedback_younger_than_two_seconds(tmp_path: Path) -> None:
    async with rig(tmp_path) as world:
        await world.start()
        world.decide("LONG")
        await world.enter()
        await world.until(lambda: "wolf_to_ai" in world.document(), within_s=2)
        ages = await _ages(world, seconds=6)

        assert max(ages) <= 2.0
        told = world.document()["wolf_to_ai"]
        assert told["status"] == "IN_POSITION"
        assert told["position"]["leverage"] == 20
        assert "PAPER_SIMULATION" in json.dumps(world.document())


async def _ages(world: Rig, *, seconds: int) -> list[float]:
    ages = []
    for _ in range(seconds * 4):
        await world.pass_time(0.25)
        stamp = datetime.fromisoformat(world.document()["wolf_to_ai"]["timestamp"])
        age_s = world.clock.now_ms() / 1000 - stamp.replace(tzinfo=UTC).timestamp()
        ages.append(age_s)
    return ages

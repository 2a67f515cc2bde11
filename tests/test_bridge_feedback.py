"""Feedback in the shapes the advisors' programs survive and understand."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.bridge.feedback import (
    Feedback,
    FeedbackPlace,
    FeedbackPosition,
    Source,
    Tally,
    TradeResult,
    merge_feedback,
    place_of,
    update,
)
from trader_cli.bridge.feedback_file import write_feedback
from trader_cli.domain.terms import Direction

FIXTURES = Path(__file__).parent / "fixtures" / "bridge" / "left-behind"
NOW_MS = 1_772_460_325_100  # 2026-03-02T14:05:25.100 UTC
POSITION = FeedbackPosition(
    direction=Direction.LONG,
    entry_price=Decimal("91800.0"),
    current_price=Decimal("91842.5"),
    leverage=20,
    unrealized_pnl=Decimal("0.43"),
    roi_pct=Decimal("0.93"),
    entered_ms=NOW_MS - 10_600,
)
LOSS = TradeResult(
    pnl_usdt=Decimal("-0.7"),
    roi_pct=Decimal("-3.6"),
    direction=Direction.SHORT,
    holding_seconds=Decimal(96),
    exit_reason="STOP_LOSS",
    exited_ms=NOW_MS - 443_100,
)
WIN = replace(LOSS, pnl_usdt=Decimal("0.9"), roi_pct=Decimal("4.6"), exit_reason="TAKE_PROFIT")
IN_POSITION = Feedback(
    source=Source.TESTNET,
    position=POSITION,
    balance=Decimal("99.80"),
    tally=update(update(update(Tally(), WIN), LOSS), replace(LOSS, pnl_usdt=Decimal("-0.4"))),
)
FLAT = replace(IN_POSITION, position=None)


def merge(
    document: Mapping[str, object], feedback: Feedback = IN_POSITION, section: str = "wolf_to_ai"
) -> dict[str, object]:
    return merge_feedback(document, feedback, section=section, zone=UTC, now_ms=NOW_MS)


def at(document: object, path: str) -> object:
    for key in path.split("."):
        assert isinstance(document, dict)
        document = document[key]
    return document


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    else:
        yield path, value


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("wolf_to_ai.status", "IN_POSITION"),
        ("wolf_to_ai.source", "TESTNET_REAL"),
        ("wolf_to_ai.timestamp", "2026-03-02T14:05:25.100000"),
        ("wolf_to_ai.entry_price", 91800),
        ("wolf_to_ai.current_pnl_usdt", 0.43),
        ("wolf_to_ai.current_pnl_pct", 0.93),
        ("wolf_to_ai.holding_seconds", 10),
        ("wolf_to_ai.position.direction", "LONG"),
        ("wolf_to_ai.position.unrealized_pnl_pct", 0.93),
        ("wolf_to_ai.testnet_trading.has_position", True),
        ("wolf_to_ai.testnet_trading.direction", "LONG"),
        ("wolf_to_ai.testnet_trading.entry_price", 91800),
        ("wolf_to_ai.testnet_trading.leverage", 20),
        ("wolf_to_ai.testnet_trading.unrealized_pnl", 0.43),
        ("wolf_to_ai.testnet_trading.pnl_pct", 0.93),
        ("wolf_to_ai.testnet_trading.position.entry_time", "2026-03-02T14:05:14.500000"),
        ("wolf_to_ai.testnet_trading.position.current_price", 91842.5),
        ("wolf_to_ai.testnet_trading.account.balance", 99.8),
        ("wolf_to_ai.testnet_trading.account.total_trades", 3),
        ("wolf_to_ai.testnet_trading.account.total_pnl", -0.2),
        ("wolf_to_ai.websocket_realtime.has_position", True),
        ("wolf_to_ai.websocket_realtime.position.pnl_usdt", 0.43),
        ("wolf_to_ai.websocket_realtime.position.pnl_pct", 0.93),
        ("wolf_to_ai.websocket_realtime.alert.level", "NORMAL"),
        ("feedback_loop.total_trades", 3),
        ("feedback_loop.wins", 1),
        ("feedback_loop.total_wins", 1),
        ("feedback_loop.win_rate", 33.33),
        ("feedback_loop.total_pnl", -0.2),
        ("feedback_loop.failure_streak", 2),
        ("feedback_loop.consecutive_losses", 2),
        ("feedback_loop.success_streak", 0),
        ("feedback_loop.consecutive_wins", 0),
        ("feedback_loop.best_trade_pnl", 0.9),
        ("feedback_loop.worst_trade_pnl", -0.7),
        ("feedback_loop.avg_holding_time", 96),
        ("feedback_loop.last_trade_result.pnl_usdt", -0.4),
        ("feedback_loop.last_trade_result.exit_time", "2026-03-02T13:58:02.000000"),
        ("last_updated", "2026-03-02T14:05:25.100000"),
    ],
)
def test_position_is_told_in_every_spelling(path: str, expected: object) -> None:
    assert at(merge({}), path) == expected


def test_flat_says_so_everywhere_and_leaves_the_position_out() -> None:
    merged = merge(merge({}), FLAT)

    told = at(merged, "wolf_to_ai")
    assert isinstance(told, dict)
    assert (told["status"], told["entry_price"], told["holding_seconds"]) == ("IDLE", 0, 0)
    assert "position" not in told
    for view in ("testnet_trading", "websocket_realtime"):
        assert at(told, f"{view}.has_position") is False
        assert "position" not in told[view]
    assert at(told, "websocket_realtime.alert.level") == "NONE"
    assert "pnl_pct" not in told["testnet_trading"]


def test_market_data_of_others_and_the_decision_survive() -> None:
    before = json.loads((FIXTURES / "ai_wolf_bridge.json").read_text())

    merged = merge(before)

    assert merged["ai_to_wolf"] == before["ai_to_wolf"]
    for key in ("whale_status", "market_microstructure", "volatility", "risk_indicators"):
        assert at(merged, f"wolf_to_ai.{key}") == before["wolf_to_ai"][key]
    assert before == json.loads((FIXTURES / "ai_wolf_bridge.json").read_text())


def test_null_where_an_object_belongs_is_healed() -> None:
    merged = merge({"wolf_to_ai": None, "feedback_loop": None})

    assert at(merged, "wolf_to_ai.status") == "IN_POSITION"
    assert at(merged, "feedback_loop.total_trades") == 3


def test_entry_time_is_local_to_the_advisor() -> None:
    merged = merge_feedback(
        {}, IN_POSITION, section="wolf_to_ai", zone=ZoneInfo("Asia/Taipei"), now_ms=NOW_MS
    )

    entry_time = at(merged, "wolf_to_ai.testnet_trading.position.entry_time")
    assert entry_time == "2026-03-02T22:05:14.500000"


def test_the_advisors_own_section_is_never_written() -> None:
    with pytest.raises(ValueError, match="ai_to_wolf"):
        merge({}, section="ai_to_wolf")


@pytest.mark.parametrize(
    ("roi", "level"),
    [
        ("-50", "CRITICAL"),
        ("-49.9", "HIGH"),
        ("-20", "HIGH"),
        ("-19.9", "MEDIUM"),
        ("-5", "MEDIUM"),
        ("-4.9", "NORMAL"),
        ("4.9", "NORMAL"),
        ("5", "PROFIT"),
        ("14.9", "PROFIT"),
        ("15", "TAKE_PROFIT"),
    ],
)
def test_alert_level_follows_the_return(roi: str, level: str) -> None:
    feedback = replace(IN_POSITION, position=replace(POSITION, roi_pct=Decimal(roi)))

    assert at(merge({}, feedback), "wolf_to_ai.websocket_realtime.alert.level") == level


@pytest.mark.parametrize(
    ("file", "section", "place"),
    [
        ("ai_wolf_bridge.json", "ai_to_wolf", ("ai_wolf_bridge.json", "wolf_to_ai")),
        ("ai_lion_bridge.json", "ai_to_wolf", ("ai_lion_bridge.json", "wolf_to_ai")),
        ("ai_dragon_bridge.json", "ai_to_dragon", ("ai_dragon_bridge.json", "dragon_to_ai")),
        ("ai_dragon2_bridge.json", "ai_to_dragon2", ("ai_dragon_bridge.json", "dragon_to_ai")),
        ("ai_fish_bridge.json", "ai_to_fish", ("ai_fish_bridge.json", "fish_to_ai")),
    ],
)
def test_feedback_goes_where_the_advisor_reads(
    file: str, section: str, place: tuple[str, str]
) -> None:
    assert place_of(file, section) == FeedbackPlace(file=place[0], section=place[1])


def test_result_of_zero_ends_both_streaks() -> None:
    even = update(update(Tally(), LOSS), replace(LOSS, pnl_usdt=Decimal(0)))

    assert (even.loss_streak, even.win_streak, even.total_trades) == (0, 0, 2)


@given(st.lists(st.decimals(-1000, 1000, places=2)))
def test_tally_agrees_with_the_list_of_results(results: list[Decimal]) -> None:
    tally = Tally()
    for pnl in results:
        tally = update(tally, replace(LOSS, pnl_usdt=pnl))

    losses_at_end = 0
    for pnl in reversed(results):
        if pnl >= 0:
            break
        losses_at_end += 1
    assert tally.loss_streak == losses_at_end
    assert tally.total_pnl == sum(results)
    assert (tally.total_trades, tally.wins) == (len(results), sum(pnl > 0 for pnl in results))
    assert (tally.best_pnl, tally.worst_pnl) == (
        (max(results), min(results)) if results else (None, None)
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["ai_to_wolf", "wolf_to_ai", "feedback_loop", "last_updated"]) | st.text(), JSON
)


@given(DOCUMENTS)
def test_every_key_of_others_is_kept(document: dict[str, object]) -> None:
    merged = merge(document)

    ours = {"wolf_to_ai", "feedback_loop", "last_updated"}
    assert {key: value for key, value in merged.items() if key not in ours} == {
        key: value for key, value in document.items() if key not in ours
    }
    for section in ("wolf_to_ai", "feedback_loop"):
        before, after = document.get(section), merged[section]
        assert isinstance(after, dict)
        assert not isinstance(before, dict) or before.keys() <= after.keys() | {"position"}


@given(NUMBERS, NUMBERS, st.booleans())
def test_every_number_written_is_a_finite_json_number(
    pnl: Decimal, price: Decimal, flat: bool
) -> None:
    position = replace(POSITION, unrealized_pnl=pnl, roi_pct=pnl, entry_price=price)
    feedback = Feedback(
        source=Source.LIVE,
        position=None if flat else position,
        balance=price,
        tally=update(Tally(), replace(LOSS, pnl_usdt=pnl, roi_pct=price)),
    )

    written = json.dumps(merge({}, feedback), allow_nan=False)

    texts = {"status", "source", "timestamp", "direction", "entry_time", "level", "message"}
    texts |= {"exit_reason", "exit_time", "last_updated"}
    for path, value in leaves(json.loads(written)):
        name = path.rsplit(".", 1)[-1]
        assert value is not None
        assert isinstance(value, str) == (name in texts), path
        assert isinstance(value, str) or math.isfinite(value)


# --- the file ---


def tell(document: Mapping[str, object]) -> dict[str, object]:
    return merge(document)


def test_file_is_replaced_with_the_merged_document(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    before = (FIXTURES / "ai_wolf_bridge.json").read_bytes()
    path.write_bytes(before)

    assert write_feedback(path, tell)

    assert json.loads(path.read_bytes()) == merge(json.loads(before))
    assert path.read_bytes().isascii()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_link_stays_a_link_and_the_real_file_keeps_its_permissions(tmp_path: Path) -> None:
    real = tmp_path / "advisors" / "ai_wolf_bridge.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o664)
    link = tmp_path / "ai_wolf_bridge.json"
    link.symlink_to(real)

    assert write_feedback(link, tell)

    assert link.is_symlink()
    assert "wolf_to_ai" in json.loads(real.read_text())
    assert stat.S_IMODE(real.stat().st_mode) == 0o664


@pytest.mark.parametrize("content", [b"", b'{"ai_to_wolf": {"comm', b"[]", b"null", b"\xff"])
def test_torn_file_is_left_to_its_writer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_bytes(content)

    assert not write_feedback(path, tell)
    assert path.read_bytes() == content


def test_missing_file_is_not_invented(tmp_path: Path) -> None:
    assert not write_feedback(tmp_path / "ai_wolf_bridge.json", tell)
    assert list(tmp_path.iterdir()) == []


def test_decision_written_meanwhile_is_not_swallowed(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text(json.dumps({"ai_to_wolf": {"command": "HOLD"}}))
    calls = 0

    def advisor_interferes(document: Mapping[str, object]) -> dict[str, object]:
        nonlocal calls
        calls += 1
        merged = merge(document)
        if calls == 1:
            path.write_text(json.dumps({"ai_to_wolf": {"command": "LONG"}}))
        return merged

    assert write_feedback(path, advisor_interferes)
    assert at(json.loads(path.read_text()), "ai_to_wolf.command") == "LONG"
    assert at(json.loads(path.read_text()), "wolf_to_ai.status") == "IN_POSITION"


def test_writer_that_never_rests_wins_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text("{}")
    calls = 0

    def always_interferes(document: Mapping[str, object]) -> dict[str, object]:
        nonlocal calls
        calls += 1
        path.write_text(json.dumps({"call": calls}))
        return merge(document)

    assert not write_feedback(path, always_interferes)
    assert json.loads(path.read_text()) == {"call": calls}
    assert calls < 10
    assert os.listdir(tmp_path) == [path.name]


def test_file_removed_meanwhile_stays_removed(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text("{}")

    def removes(document: Mapping[str, object]) -> dict[str, object]:
        path.unlink()
        return dict(document)

    assert not write_feedback(path, removes)
    assert list(tmp_path.iterdir()) == []


def test_decision_written_in_the_instant_of_the_replacement_is_rescued(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text(json.dumps({"ai_to_wolf": {"command": "HOLD"}}))
    interfered = False

    def replace_under_an_advisor(temporary: str, real: Path) -> None:
        nonlocal interfered
        if interfered:
            os.replace(temporary, real)
            return
        interfered = True
        with real.open("w") as advisor:  # truncates now, writes when closed
            json.dump({"ai_to_wolf": {"command": "LONG"}}, advisor)
            os.replace(temporary, real)

    assert write_feedback(path, tell, replace=replace_under_an_advisor)
    assert at(json.loads(path.read_text()), "ai_to_wolf.command") == "LONG"
    assert at(json.loads(path.read_text()), "wolf_to_ai.status") == "IN_POSITION"
    assert os.listdir(tmp_path) == [path.name]


def test_rescued_decision_gives_way_to_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text(json.dumps({"ai_to_wolf": {"command": "HOLD"}}))
    interfered = False

    def replace_under_an_advisor(temporary: str, real: Path) -> None:
        nonlocal interfered
        assert not interfered
        interfered = True
        with real.open("w") as advisor:
            json.dump({"ai_to_wolf": {"command": "LONG"}}, advisor)
            os.replace(temporary, real)
        real.write_text(json.dumps({"ai_to_wolf": {"command": "SHORT"}}))

    assert write_feedback(path, tell, replace=replace_under_an_advisor)
    assert json.loads(path.read_text()) == {"ai_to_wolf": {"command": "SHORT"}}

"""Reading bridge files: the shapes advisors really leave, and anything else without a crash."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.bridge.local_time import (
    SystemZone,
    format_local_time,
    has_offset,
    parse_local_time,
    zone_of,
)
from trader_cli.bridge.reader import TornFile, advisor_of, read_sections
from trader_cli.domain.signal import Command, Signal
from trader_cli.errors import ConfigError

FIXTURES = Path(__file__).parent / "fixtures" / "bridge"
EXAMPLES = Path(__file__).parent.parent / "examples" / "bridge"
WOLF = "ai_wolf_bridge.json"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def read(content: str | bytes, file: str = WOLF) -> list[Signal]:
    signals = read_sections(file, content, zone=UTC, now_ms=NOON_MS)
    assert isinstance(signals, list)
    return signals


def read_one(section: object, file: str = WOLF, key: str = "ai_to_wolf") -> Signal:
    (signal,) = read(json.dumps({key: section}), file)
    return signal


def test_wolf_decision_is_read_whole() -> None:
    (signal,) = read((EXAMPLES / "wolf-long" / WOLF).read_bytes())

    assert (signal.advisor, signal.command, signal.raw_command_text) == (
        "wolf",
        Command.LONG,
        "LONG",
    )
    assert signal.decision_id == f"{WOLF}/ai_to_wolf@2026-03-02T14:05:10.120345"
    assert signal.decided_ms == NOON_MS + (2 * 3600 + 5 * 60 + 10) * 1000 + 120
    assert (signal.confidence, signal.leverage, signal.size_pct) == (84, 75, 80)
    assert (signal.stop_roi_pct, signal.take_profit_roi_pct) == (Decimal("3.5"), 9)
    assert (signal.trailing_activation_roi_pct, signal.trailing_distance_roi_pct) == (
        6,
        Decimal("1.5"),
    )
    assert (signal.max_holding_minutes, signal.symbol, signal.problems) == (30, None, ())


def test_raw_command_is_never_the_command() -> None:
    (signal,) = read((EXAMPLES / "wolf-hold-raw-long" / WOLF).read_bytes())

    assert (signal.command, signal.raw_command_text) == (Command.HOLD, "LONG")


def test_files_left_behind_by_the_real_advisors_are_read() -> None:
    found = {
        (path.name, signal.section, signal.advisor): (signal.command, signal.problems)
        for path in sorted((FIXTURES / "left-behind").iterdir())
        for signal in read(path.read_bytes(), path.name)
    }

    assert found == {
        ("ai_dragon2_bridge.json", "ai_to_dragon2", "dragon2"): (Command.SHORT, ()),
        ("ai_dragon_bridge.json", "ai_to_dragon", "dragon"): (Command.HOLD, ()),
        ("ai_dragon_bridge.json", "ai_to_dragon2", "dragon2"): (Command.SHORT, ()),
        ("ai_lion_bridge.json", "ai_to_wolf", "lion"): (Command.WAIT, ()),
        (WOLF, "ai_to_wolf", "wolf"): (Command.HOLD, ()),
    }


@pytest.mark.parametrize(
    ("file", "section", "advisor"),
    [
        (WOLF, "ai_to_wolf", "wolf"),
        ("ai_lion_bridge.json", "ai_to_wolf", "lion"),
        ("ai_lion_bridge.json", "ai_to_lion", "lion"),
        ("ai_dragon_bridge.json", "ai_to_dragon2", "dragon2"),
        ("ai_fish_bridge.json", "ai_to_fish", "fish"),
    ],
)
def test_advisor_follows_from_file_and_section(file: str, section: str, advisor: str) -> None:
    assert advisor_of(file, section) == advisor


def test_dragon2_decision_has_one_identity_in_both_files() -> None:
    section = {"command": "LONG", "timestamp": "2026-03-02T12:00:00"}

    in_own = read_one(section, "ai_dragon2_bridge.json", "ai_to_dragon2")
    in_dragons = read_one(section, "ai_dragon_bridge.json", "ai_to_dragon2")

    assert in_own.decision_id == in_dragons.decision_id
    assert in_dragons.file == "ai_dragon_bridge.json"


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("LONG", Command.LONG),
        (" short\n", Command.SHORT),
        ("add_long", Command.ADD_LONG),
        ("ADD_SHORT", Command.ADD_SHORT),
        ("Cut_Loss", Command.CUT_LOSS),
        ("hold", Command.HOLD),
        ("WAIT", Command.WAIT),
    ],
)
def test_command_is_read_in_any_case(written: str, command: Command) -> None:
    signal = read_one({"command": written})

    assert (signal.command, signal.problems) == (command, ())


@pytest.mark.parametrize("written", ["BUY", "EXIT", "CLOSE", "OPEN_LONG", "LONG!", "", None, 1, []])
def test_other_words_are_unknown_and_said(written: object) -> None:
    signal = read_one({"command": written})

    assert signal.command is Command.UNKNOWN
    assert len(signal.problems) == 1


def test_skeleton_is_legal_and_asks_for_nothing() -> None:
    (signal,) = read((EXAMPLES / "skeleton" / WOLF).read_bytes())

    assert (signal.command, signal.decided_ms, signal.problems) == (Command.WAIT, None, ())
    assert (signal.leverage, signal.stop_roi_pct, signal.confidence) == (None, None, None)


def test_dynamic_parameters_win_over_flat_ones() -> None:
    signal = read_one(
        {
            "command": "LONG",
            "leverage": 20,
            "stop_loss_pct": 4,
            "dynamic_params": {"leverage": 75.0},
        }
    )

    assert (signal.leverage, signal.stop_roi_pct) == (75, 4)


@pytest.mark.parametrize("unusable", ["fast", "1e3", True, [], {}, -1, 0, 1e9])
def test_unusable_dynamic_parameter_falls_back_to_the_flat_one(unusable: object) -> None:
    signal = read_one({"command": "LONG", "leverage": 20, "dynamic_params": {"leverage": unusable}})

    assert signal.leverage == 20
    assert [problem.split()[0] for problem in signal.problems] == ["dynamic_params.leverage"]


@pytest.mark.parametrize("dynamic", [None, [], "none", 3])
def test_odd_dynamic_parameters_leave_the_flat_ones(dynamic: object) -> None:
    assert read_one({"command": "LONG", "leverage": 9, "dynamic_params": dynamic}).leverage == 9


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "1e99999", "1e-99999", "9" * 5000]
)
def test_numbers_out_of_this_world_are_not_numbers(literal: str) -> None:
    (signal,) = read(f'{{"ai_to_wolf": {{"command": "LONG", "stop_loss_pct": {literal}}}}}')

    assert signal.stop_roi_pct is None
    assert len(signal.problems) == 1


def test_number_written_as_text_is_accepted() -> None:
    signal = read_one({"command": "LONG", "confidence": "72", "stop_loss_pct": " 3.5 "})

    assert (signal.confidence, signal.stop_roi_pct, signal.problems) == (72, Decimal("3.5"), ())


@pytest.mark.parametrize(
    ("written", "confidence", "problems"),
    [(0, 0, 0), (100, 100, 0), (100.1, None, 1), (-0.1, None, 1), (0.72, Decimal("0.72"), 1)],
)
def test_confidence_is_percent(written: float, confidence: Decimal | None, problems: int) -> None:
    signal = read_one({"command": "LONG", "confidence": written})

    assert (signal.confidence, len(signal.problems)) == (confidence, problems)


@pytest.mark.parametrize(("leverage", "usable"), [(1, True), (0.99, False), (10_000, True)])
def test_leverage_is_at_least_one(leverage: float, usable: bool) -> None:
    signal = read_one({"command": "LONG", "leverage": leverage})

    assert (signal.leverage is not None) is usable


def test_symbol_is_normalised_and_an_odd_one_disarms_the_command() -> None:
    assert read_one({"command": "LONG", "symbol": " ethusdt "}).symbol == "ETHUSDT"
    assert read_one({"command": "LONG", "symbol": None}).command is Command.LONG
    # Trading the default symbol instead would be a guess.
    assert read_one({"command": "LONG", "symbol": 5}).command is Command.UNKNOWN


@pytest.mark.parametrize(
    "content", ["", "  \n", "\ufeff", '{"ai_to_wolf": {"comm', b"\xff\xfe{", b"{\xe9"]
)
def test_empty_or_cut_file_is_torn(content: str | bytes) -> None:
    assert isinstance(read_sections(WOLF, content, zone=UTC, now_ms=NOON_MS), TornFile)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"LONG"', "[" * 100_000])
def test_document_that_is_no_object_holds_no_sections(content: str) -> None:
    assert isinstance(read_sections(WOLF, content, zone=UTC, now_ms=NOON_MS), TornFile)


def test_byte_order_mark_is_tolerated() -> None:
    (signal,) = read(b"\xef\xbb\xbf" + json.dumps({"ai_to_wolf": {"command": "LONG"}}).encode())

    assert signal.command is Command.LONG


@pytest.mark.parametrize("section", [None, [], "LONG", 7, True])
def test_section_that_is_no_object_is_reported_not_guessed(section: object) -> None:
    signal = read_one(section)

    assert signal.command is Command.UNKNOWN
    assert signal.problems[0].startswith("ai_to_wolf is ")


def test_text_of_a_model_is_made_safe_to_print() -> None:
    signal = read_one({"command": "HOLD", "reasoning": "a\x1b[31mb\ud800c\nd"})

    assert signal.reasoning == "a [31mb c d"
    signal.reasoning.encode()


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T12:00:00",
        "2026-03-02 12:00:00.000",
        "2026-03-02T12:00:00.000000",
        "2026-03-02T12:00",
    ],
)
def test_naive_timestamp_is_local_in_the_configured_zone(text: str) -> None:
    taipei = ZoneInfo("Asia/Taipei")

    assert parse_local_time(text, zone=UTC, now_ms=NOON_MS) == NOON_MS
    assert parse_local_time(text, zone=taipei, now_ms=NOON_MS) == NOON_MS - 8 * 3_600_000


@pytest.mark.parametrize("text", ["2026-03-02T12:00:00Z", "2026-03-02T20:00:00+08:00"])
def test_timestamp_with_a_zone_is_taken_as_written_and_said(text: str) -> None:
    signal = read_one({"command": "LONG", "timestamp": text})

    assert signal.decided_ms == NOON_MS
    assert len(signal.problems) == 1
    assert has_offset(text)


@pytest.mark.parametrize(
    "stamp", ["soon", "2026-03-02", "2026-13-02T12:00:00", "", 1767225600, [], True]
)
def test_unreadable_timestamp_is_none_and_said(stamp: object) -> None:
    signal = read_one({"command": "LONG", "timestamp": stamp})

    assert signal.decided_ms is None
    assert len(signal.problems) == 1


@pytest.mark.parametrize("fold", [0, 1])
def test_repeated_hour_is_read_as_the_pass_that_is_now(fold: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold)
    at_ms = int(at.timestamp() * 1000)

    assert parse_local_time("2026-10-25T02:30:00", zone=berlin, now_ms=at_ms + 900) == at_ms


@pytest.fixture
def system_in_berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("system_in_berlin")
def test_system_zone_agrees_with_the_zone_it_is_all_through_both_changes() -> None:
    berlin, system = ZoneInfo("Europe/Berlin"), zone_of("")
    changes = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
    moments = [at + timedelta(minutes=10 * step) for at in changes for step in range(24)]
    for moment in moments:
        at_ms = int(moment.timestamp() * 1000)
        written = format_local_time(at_ms, system)

        assert written == format_local_time(at_ms, berlin)
        assert parse_local_time(written, zone=system, now_ms=at_ms) == at_ms
        assert moment.astimezone(system).utcoffset() == moment.astimezone(berlin).utcoffset()


def test_unknown_zone_is_a_configuration_error() -> None:
    assert zone_of("Asia/Taipei") == ZoneInfo("Asia/Taipei")
    with pytest.raises(ConfigError, match="Mars"):
        zone_of("Mars/Olympus")


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_written_time_reads_back_in_any_zone(at_ms: int) -> None:
    for zone in (UTC, ZoneInfo("Asia/Taipei"), ZoneInfo("America/New_York"), SystemZone()):
        written = format_local_time(at_ms, zone)

        assert parse_local_time(written, zone=zone, now_ms=at_ms) == at_ms
        assert not has_offset(written)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.sampled_from(["command", "raw_command", "timestamp", "symbol", "reasoning"])
NUMBERS = st.sampled_from(
    ["leverage", "confidence", "position_size_pct", "stop_loss_pct", "max_holding_minutes"]
)
FIELDS = TEXTS | NUMBERS
SECTION = st.dictionaries(FIELDS | st.just("dynamic_params"), JSON | st.dictionaries(FIELDS, JSON))


@given(st.dictionaries(st.just("ai_to_wolf") | st.text(), SECTION | JSON))
def test_any_document_is_read_without_an_exception(document: dict[str, object]) -> None:
    signals = read_sections(WOLF, json.dumps(document), zone=UTC, now_ms=NOON_MS)

    assert isinstance(signals, list)
    for signal in signals:
        numbers = (signal.leverage, signal.size_pct, signal.stop_roi_pct, signal.confidence)
        assert all(number is None or number.is_finite() for number in numbers)
        assert all(number is None or number > 0 for number in numbers[:3])
        repr(signal).encode()


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_read_without_an_exception(content: bytes | str) -> None:
    read_sections(WOLF, content, zone=UTC, now_ms=NOON_MS)


@given(st.integers(min_value=0))
def test_file_cut_anywhere_never_yields_another_command(cut: int) -> None:
    whole = (EXAMPLES / "wolf-long" / WOLF).read_bytes().rstrip()
    result = read_sections(WOLF, whole[: cut % len(whole)], zone=UTC, now_ms=NOON_MS)

    assert isinstance(result, TornFile)

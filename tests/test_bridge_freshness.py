"""Only a young, dated command to act is tradable, and each verdict says why."""

from __future__ import annotations

import pytest

from trader_cli.bridge.freshness import format_age, judge, zone_offset_ms
from trader_cli.domain.signal import Command, Signal

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def signal(
    command: Command = Command.LONG, *, age_ms: int | None = 0, text: str = "LONG"
) -> Signal:
    return Signal(
        advisor="wolf",
        file="ai_wolf_bridge.json",
        section="ai_to_wolf",
        command=command,
        command_text=text,
        timestamp_text=None if age_ms is None else "then",
        decided_ms=None if age_ms is None else NOW_MS - age_ms,
    )


@pytest.mark.parametrize(
    ("age_ms", "tradable"),
    [(0, True), (120_000, True), (120_001, False), (-5_000, True), (-5_001, False)],
)
def test_age_limits_are_inclusive(age_ms: int, tradable: bool) -> None:
    verdict = judge(signal(age_ms=age_ms), now_ms=NOW_MS)

    assert (verdict.tradable, verdict.age_ms) == (tradable, age_ms)


@pytest.mark.parametrize("command", [Command.HOLD, Command.WAIT, Command.UNKNOWN])
def test_commands_that_ask_for_nothing_are_never_tradable(command: Command) -> None:
    assert not judge(signal(command), now_ms=NOW_MS).tradable


@pytest.mark.parametrize(
    "command", [Command.LONG, Command.SHORT, Command.ADD_LONG, Command.ADD_SHORT, Command.CUT_LOSS]
)
def test_commands_to_act_are_tradable_when_fresh_and_dated(command: Command) -> None:
    assert judge(signal(command), now_ms=NOW_MS).tradable
    assert not judge(signal(command, age_ms=None), now_ms=NOW_MS).tradable


def test_old_decision_is_named_with_its_age() -> None:
    verdict = judge(signal(age_ms=6 * 24 * HOUR_MS), now_ms=NOW_MS)

    assert verdict.why == "older than 120 s (6.0 days old)"


def test_unknown_word_is_named() -> None:
    assert "'BUY'" in judge(signal(Command.UNKNOWN, text="BUY"), now_ms=NOW_MS).why


@pytest.mark.parametrize(("entered_ago_ms", "tradable"), [(600_001, True), (600_000, False)])
def test_cut_loss_counts_at_any_age_if_younger_than_the_entry(
    entered_ago_ms: int, tradable: bool
) -> None:
    cut = signal(Command.CUT_LOSS, age_ms=600_000)

    assert judge(cut, now_ms=NOW_MS, entered_ms=NOW_MS - entered_ago_ms).tradable is tradable


def test_cut_loss_within_the_age_limit_counts_even_if_older_than_the_entry() -> None:
    cut = signal(Command.CUT_LOSS, age_ms=60_000)

    assert judge(cut, now_ms=NOW_MS, entered_ms=NOW_MS - 10_000).tradable


def test_entry_is_not_rescued_by_being_younger_than_a_position() -> None:
    verdict = judge(signal(age_ms=600_000), now_ms=NOW_MS, entered_ms=NOW_MS - 700_000)

    assert not verdict.tradable


def test_cut_loss_from_the_future_does_not_count() -> None:
    verdict = judge(signal(Command.CUT_LOSS, age_ms=-6_000), now_ms=NOW_MS, entered_ms=NOW_MS - 9)

    assert not verdict.tradable


def test_timestamp_whole_hours_ahead_names_the_zone() -> None:
    verdict = judge(signal(age_ms=-8 * HOUR_MS + 1_200), now_ms=NOW_MS)

    assert not verdict.tradable
    assert "8 h ahead" in verdict.why
    assert "bridge.time_zone" in verdict.why


def test_timestamp_oddly_ahead_blames_the_clock() -> None:
    assert "clock" in judge(signal(age_ms=-7 * 60_000), now_ms=NOW_MS).why


@pytest.mark.parametrize(
    ("apparent_age_ms", "offset_ms"),
    [
        (-8 * HOUR_MS, 8 * HOUR_MS),
        (-8 * HOUR_MS + 29_000, 8 * HOUR_MS),
        (5 * HOUR_MS + 900, -5 * HOUR_MS),
        (-20_700_000 + 300, 20_700_000),  # Kathmandu, 5:45
        (400, None),
        (31_000, None),
        (-8 * HOUR_MS + 31_000, None),
        (27 * HOUR_MS, None),
    ],
)
def test_zone_offset_is_seen_at_the_moment_of_writing(
    apparent_age_ms: int, offset_ms: int | None
) -> None:
    assert zone_offset_ms(apparent_age_ms) == offset_ms


@pytest.mark.parametrize(
    ("age_ms", "text"),
    [(400, "0.4 s"), (95_000, "95 s"), (120_001, "2 min"), (8 * HOUR_MS, "8.0 h"), (-400, "0.4 s")],
)
def test_age_is_written_for_people(age_ms: int, text: str) -> None:
    assert format_age(age_ms) == text

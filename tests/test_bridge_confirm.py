"""A state that is rewritten every few seconds becomes decisions that happen once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.bridge.confirm import (
    AdvisorNotice,
    BridgeEvent,
    BridgeMemory,
    SignalConfirmed,
    SignalSeen,
    SignalWithdrawn,
)
from trader_cli.bridge.reader import TornFile, advisor_of, read_sections
from trader_cli.domain.signal import Command, Signal

RECORDINGS = Path(__file__).parent / "fixtures" / "bridge" / "recordings"
T0_MS = 1_800_000_000_000


def signal(
    command: str = "LONG",
    *,
    at_s: float = 0.0,
    file: str = "ai_wolf_bridge.json",
    section: str = "ai_to_wolf",
    raw: str | None = None,
) -> Signal:
    decided_ms = T0_MS + round(at_s * 1000)
    return Signal(
        advisor=advisor_of(file, section),
        file=file,
        section=section,
        command=Command(command),
        command_text=command,
        timestamp_text=str(decided_ms),
        decided_ms=decided_ms,
        raw_command_text=raw,
    )


class Reader:
    """Feeds reads to a memory, each at its second; events but for sightings come back."""

    def __init__(self, memory: BridgeMemory | None = None) -> None:
        self.memory = memory or BridgeMemory()
        self.seen: list[SignalSeen] = []

    def at(self, second: float, *signals: Signal) -> list[BridgeEvent]:
        now_ms = T0_MS + round(second * 1000)
        events = self.memory.observe(signals, now_ms=now_ms, monotonic=second)
        self.seen += [event for event in events if isinstance(event, SignalSeen)]
        return [event for event in events if not isinstance(event, SignalSeen)]


@pytest.mark.parametrize("command", ["LONG", "SHORT", "ADD_LONG", "ADD_SHORT", "CUT_LOSS"])
def test_command_to_act_counts_at_the_second_read_and_once(command: str) -> None:
    reader, long = Reader(), signal(command)

    assert reader.at(1.0, long) == []
    assert reader.at(1.099, long) == []
    assert reader.at(1.1, long) == [SignalConfirmed(signal=long)]
    assert reader.at(1.3, long) == []
    assert reader.at(60.0, long) == []


@pytest.mark.parametrize("command", ["HOLD", "WAIT", "UNKNOWN"])
def test_other_commands_are_seen_and_never_confirmed(command: str) -> None:
    reader, hold = Reader(), signal(command)

    assert [reader.at(second, hold) for second in (1.0, 1.2, 2.0)] == [[], [], []]
    assert reader.seen == [SignalSeen(signal=hold, superseded_by=None)]


def test_blocked_command_replaced_under_its_timestamp_never_counts() -> None:
    reader, long, hold = Reader(), signal("LONG"), signal("HOLD")

    assert reader.at(1.0, long) == []
    assert reader.at(1.001, hold) == [
        SignalWithdrawn(decision_id=long.decision_id, new_command=Command.HOLD, signal=hold)
    ]
    assert reader.at(1.2, hold) == []


def test_confirmed_command_replaced_under_its_timestamp_is_withdrawn() -> None:
    reader, long, short = Reader(), signal("LONG"), signal("SHORT")
    reader.at(1.0, long)
    reader.at(1.1, long)

    assert reader.at(1.2, short) == [
        SignalWithdrawn(decision_id=long.decision_id, new_command=Command.SHORT, signal=short)
    ]
    assert reader.at(1.3, short) == [SignalConfirmed(signal=short)]


def test_hold_under_a_newer_timestamp_withdraws_nothing() -> None:
    reader = Reader()
    reader.at(1.0, signal("LONG"))
    reader.at(1.1, signal("LONG"))

    assert reader.at(6.0, signal("HOLD", at_s=5)) == []


def test_each_cycle_of_an_unchanged_opinion_is_a_decision_of_its_own() -> None:
    reader = Reader()
    confirmed = 0
    for cycle in range(6):
        command = signal("HOLD" if cycle % 2 else "LONG", at_s=5 * cycle)
        reader.at(5 * cycle, command)
        confirmed += len(reader.at(5 * cycle + 0.1, command))

    assert confirmed == 3


def test_old_section_brought_back_is_not_believed() -> None:
    reader, new, old = Reader(), signal("HOLD", at_s=10), signal("LONG", at_s=5)
    reader.at(10.0, new)

    assert reader.at(12.0, old) == []
    assert reader.at(12.2, old) == []
    assert reader.seen[-1] == SignalSeen(signal=old, superseded_by=new.decision_id)


def test_old_section_in_between_does_not_spoil_a_confirmation() -> None:
    reader, new, old = Reader(), signal("LONG", at_s=10), signal("SHORT", at_s=5)
    reader.at(10.0, new)
    reader.at(10.05, old)

    assert reader.at(10.1, new) == [SignalConfirmed(signal=new)]


def test_skeleton_without_timestamp_neither_confirms_nor_replaces() -> None:
    reader, long = Reader(), signal("LONG")
    skeleton = replace(long, command=Command.WAIT, timestamp_text=None, decided_ms=None)
    undated = replace(long, timestamp_text=None, decided_ms=None)
    reader.at(1.0, long)

    assert reader.at(1.2, skeleton) == []
    assert reader.at(1.4, undated) == []
    assert reader.at(1.6, long) == [SignalConfirmed(signal=long)]


def test_two_files_of_dragon2_are_one_advisor() -> None:
    reader = Reader()
    own = signal("LONG", file="ai_dragon2_bridge.json", section="ai_to_dragon2")
    twin = signal("LONG", file="ai_dragon_bridge.json", section="ai_to_dragon2", at_s=0.00001)
    left_over = signal("SHORT", file="ai_dragon_bridge.json", section="ai_to_dragon2", at_s=-44)

    assert reader.at(1.0, own) == []
    assert reader.at(1.0, left_over) == []
    confirmed = reader.at(1.1, own) + reader.at(1.1, twin) + reader.at(1.3, own)
    assert [type(event) for event in confirmed] == [SignalConfirmed]
    assert reader.at(9.0, left_over) == []


def test_advisors_do_not_disturb_one_another() -> None:
    reader, wolf = Reader(), signal("LONG", at_s=5)
    lion = signal("SHORT", file="ai_lion_bridge.json", at_s=1)
    reader.at(5.0, wolf, lion)

    events = reader.at(5.1, wolf, lion)

    assert events == [SignalConfirmed(signal=wolf), SignalConfirmed(signal=lion)]


def test_second_read_is_asked_for_while_it_can_confirm_something() -> None:
    reader, long = Reader(), signal("LONG")
    assert reader.memory.recheck_at(1.0) is None

    reader.at(1.0, long)
    assert reader.memory.recheck_at(1.0) == 1.1
    assert reader.memory.recheck_at(2.9) == 1.1
    assert reader.memory.recheck_at(3.0) is None  # left to polling: no busy loop over a lost one

    reader.at(3.1, long)
    assert reader.memory.recheck_at(3.1) is None


def test_restart_believes_the_last_decision_and_nothing_before_it() -> None:
    memory = BridgeMemory(newest_ms={"wolf": T0_MS + 5_000})
    reader, last, older = Reader(memory), signal("LONG", at_s=5), signal("LONG", at_s=4.999)
    reader.at(6.0, older)

    assert reader.at(6.2, older) == []
    reader.at(6.3, last)
    assert reader.at(6.5, last) == [SignalConfirmed(signal=last)]


@pytest.mark.parametrize(("gap_s", "told"), [(15.0, False), (15.1, True), (20, True), (301, False)])
def test_cycle_too_long_for_wolfs_own_gate_is_said_once(gap_s: float, told: bool) -> None:
    reader = Reader()
    notices = []
    for cycle in range(4):
        at_s = cycle * gap_s
        notices += reader.at(at_s, signal("HOLD", at_s=at_s, raw="LONG"))

    assert len(notices) == int(told)


def test_slow_cycle_of_an_advisor_that_wants_nothing_is_no_news() -> None:
    reader = Reader()

    for cycle in range(3):
        assert reader.at(cycle * 20, signal("HOLD", at_s=cycle * 20, raw="HOLD")) == []


def test_decision_that_appears_hours_off_tells_the_zone_once() -> None:
    reader = Reader()
    reader.at(0.0, signal("HOLD", at_s=8 * 3600))
    (notice,) = reader.at(5.0, signal("HOLD", at_s=8 * 3600 + 5))

    assert isinstance(notice, AdvisorNotice)
    assert "8 h ahead" in notice.text
    assert reader.at(10.0, signal("HOLD", at_s=8 * 3600 + 10)) == []


def replay(name: str) -> Iterator[BridgeEvent]:
    """Read a recording as a watcher would: at each content, and again 0.1 s later if it lasts."""
    rows = [json.loads(line) for line in (RECORDINGS / name).read_text().splitlines()]
    memory = BridgeMemory()
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        until = following["t"] if following else row["t"] + 5
        for at_s in (row["t"], row["t"] + 0.1, row["t"] + 0.6):
            if at_s >= until:
                break
            now_ms = int(at_s * 1000)
            signals = read_sections(row["file"], row["text"], zone=UTC, now_ms=now_ms)
            if not isinstance(signals, TornFile):
                yield from memory.observe(signals, now_ms=now_ms, monotonic=at_s)


def confirmed_in(name: str) -> list[str]:
    return [
        event.signal.command.value for event in replay(name) if isinstance(event, SignalConfirmed)
    ]


def test_recorded_tour_of_wolf_confirms_every_published_command_once() -> None:
    assert confirmed_in("wolf-tour.jsonl") == (
        ["LONG"] * 4 + ["ADD_LONG"] * 3 + ["CUT_LOSS"] * 2 + ["SHORT"] * 3
    )


def test_recorded_circuit_breaker_lets_nothing_through() -> None:
    events = list(replay("wolf-circuit-breaker.jsonl"))

    assert [event for event in events if isinstance(event, SignalConfirmed)] == []
    # The recording holds the leak: a LONG that was replaced ten milliseconds later.
    assert [event.new_command for event in events if isinstance(event, SignalWithdrawn)] == [
        Command.HOLD
    ]


def test_recorded_odd_answers_of_dragon_confirm_the_words_that_are_commands() -> None:
    assert confirmed_in("dragon-odd-answers.jsonl") == ["SHORT"] * 3 + ["LONG"] * 4


READS = st.lists(
    st.tuples(
        st.sampled_from(["LONG", "SHORT", "HOLD", "CUT_LOSS", "UNKNOWN"]),
        st.integers(min_value=0, max_value=4),
        st.sampled_from([0.001, 0.05, 0.1, 0.5]),
    ),
    max_size=30,
)


@given(READS)
def test_whatever_is_read_only_the_newest_and_twice_read_is_confirmed(
    reads: list[tuple[str, int, float]],
) -> None:
    reader, now, newest = Reader(), 0.0, -1
    since: dict[tuple[str, int], float] = {}
    for command, stamp, wait in reads:
        now += wait
        if stamp >= newest:
            newest = stamp
            since = {key: at for key, at in since.items() if key == (command, stamp)}
            since.setdefault((command, stamp), now)
        for event in reader.at(now, signal(command, at_s=stamp)):
            if isinstance(event, SignalConfirmed):
                assert stamp == newest
                assert round((now - since[(command, stamp)]) * 1000) >= 100
                assert event.signal.command in (Command.LONG, Command.SHORT, Command.CUT_LOSS)

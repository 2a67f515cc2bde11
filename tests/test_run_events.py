"""What a run prints: one sentence for people, one JSON object a line for scripts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.paper import START_MS, ManualClock
from trader_cli.cli.invocation import Invocation, SharedOptions
from trader_cli.cli.run_events import printer, sentence
from trader_cli.cli.run_output import Outlet

SECTION = {
    "file": "ai_wolf_bridge.json",
    "section": "ai_to_wolf",
    "command": "LONG",
    "tradable": False,
    "why": "older than 120 s (6.2 days old)",
    "problems": ["leverage 'x' is not a number"],
}
PLAN = {
    "advisor": "wolf",
    "command": "LONG",
    "add": False,
    "direction": "LONG",
    "quantity": "0.01",
    "symbol": "BTCUSDT",
    "notional": "950",
    "leverage": 20,
    "notes": ["leverage 125 → 20 (max_leverage)"],
}
ORDER = {
    "side": "BUY",
    "symbol": "BTCUSDT",
    "filled_quantity": "0.01",
    "average_price": "95000",
    "maker_quantity": "0.01",
    "ended": "filled",
    "notes": ["a note"],
}
PROTECTED = {
    "side": "LONG",
    "quantity": "0.01",
    "symbol": "BTCUSDT",
    "entry_price": "95000",
    "stop_price": "94833.8",
    "take_profit_price": "95427.5",
    "trailing_activate_price": None,
    "unprotected_ms": 12,
}
CLOSED = {
    "side": "LONG",
    "symbol": "BTCUSDT",
    "exit_price": "94833.8",
    "exit_reason": "STOP_LOSS",
    "net_pnl": "-2.1",
    "roi_pct": "-4.4",
    "holding_seconds": "31.5",
}
KILLED = {"reason": "enough", "flat": True, "cancelled": 2, "closed": 1}
RECONCILED = {
    "positions": 1,
    "resolved": 2,
    "cancelled_entries": ["trd-1-en0"],
    "unresolved": ["trd-2-sl0"],
    "drifts": ["gone BTCUSDT: it is flat"],
}
HELD = {"symbol": "BTCUSDT", "side": "LONG", "quantity": "0.01", "protected": True}


@pytest.mark.parametrize(
    ("event", "fields", "said"),
    [
        (
            "started",
            {"symbols": ["BTCUSDT"], "bridge": "./b", "advisors": []},
            ["BTCUSDT", "./b", "none of ours"],
        ),
        (
            "section",
            SECTION,
            ["ai_wolf_bridge.json/ai_to_wolf", "not tradable", "6.2 days", "'x' is not a number"],
        ),
        ("section", {**SECTION, "command": ""}, ["(no command)"]),
        ("signal", SECTION, ["not tradable"]),
        ("signal", PLAN, ["enters LONG 0.01 BTCUSDT", "at 20x", "125 → 20"]),
        ("signal", {**PLAN, "add": True}, ["adds LONG"]),
        (
            "refused",
            {"advisor": "wolf", "command": "LONG", "message": "halted by me", "rule": "halted"},
            ["wolf LONG", "halted by me", "[halted]"],
        ),
        (
            "fill",
            {"side": "BUY", "quantity": "1", "symbol": "S", "price": "2", "maker": True},
            ["BUY 1 S at 2 (maker)"],
        ),
        (
            "fill",
            {"side": "BUY", "quantity": "1", "symbol": "S", "price": "2", "maker": False},
            ["(taker)"],
        ),
        ("order", ORDER, ["0.01 filled at 95000", "as maker", "filled", "a note"]),
        ("order", {**ORDER, "filled_quantity": "0", "average_price": None}, ["0 filled, "]),
        ("protected", PROTECTED, ["stop rests at 94833.8", "target at 95427.5", "12 ms"]),
        ("protected", {**PROTECTED, "trailing_activate_price": "95380"}, ["trailing from 95380"]),
        ("closed", CLOSED, ["94833.8", "STOP_LOSS", "-2.1 USDT", "31.5 s"]),
        ("halted", KILLED, ["enough", "flat", "2 cancelled", "1 closed"]),
        ("halted", {**KILLED, "flat": False}, ["NOT FLAT"]),
        (
            "halted",
            {"halted": True, "reason": "mine", "symbols": {}},
            ["mine", "nothing opens"],
        ),
        (
            "halted",
            {"halted": True, "reason": None, "symbols": {"BTCUSDT": "its own"}},
            ["BTCUSDT: its own"],
        ),
        ("halted", {"halted": False, "reason": None, "symbols": {}}, ["the halt is lifted"]),
        (
            "reconciled",
            RECONCILED,
            ["1 positions", "entry trd-1-en0 taken back", "UNKNOWN trd-2-sl0", "it is flat"],
        ),
        ("gap", {"stream": "user", "reason": "silent"}, ["user: silent", "nothing opens"]),
        ("warning", {"kind": "equity", "message": "not read"}, ["equity: not read"]),
        ("warning", {"message": "no kind"}, ["no kind"]),
        (
            "advisor",
            {"name": "pulse", "state": "started", "log": "/l/pulse.log"},
            ["pulse started", "/l/pulse.log"],
        ),
        (
            "advisor",
            {"name": "pulse", "state": "died", "exit_code": 3, "restart_s": "2"},
            ["died with 3", "in 2 s"],
        ),
        ("advisor", {"name": "pulse", "state": "ended"}, ["pulse ended"]),
        (
            "advisor",
            {"name": "pulse", "state": "not_started", "reason": "no memory", "restart_s": "2.0"},
            ["pulse not_started: no memory, again in 2.0 s"],
        ),
        ("stopped", {"positions": []}, ["no position is open"]),
        ("stopped", {"positions": [HELD]}, ["LONG 0.01 BTCUSDT keeps its stop at the exchange"]),
        ("stopped", {"positions": [{**HELD, "protected": False}]}, ["NOT PROTECTED"]),
        ("something_new", {"a": 1, "b": 2}, ["a 1, b 2"]),
    ],
)
def test_sentence_says_what_matters(event: str, fields: dict[str, object], said: list[str]) -> None:
    text = sentence(event, fields)

    for part in said:
        assert part in text


def test_json_is_one_object_a_line_with_the_event_and_its_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = printer(invocation(tmp_path, json=True), ManualClock())

    report("gap", {"stream": "user", "reason": "silent – ünd Ähnliches"})
    report("stopped", {"positions": [HELD]})

    lines = capsys.readouterr().out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows[0] == {
        "schema": 1,
        "env": "paper",
        "event": "gap",
        "time_ms": START_MS,
        "stream": "user",
        "reason": "silent – ünd Ähnliches",
    }
    assert rows[1]["positions"] == [HELD]


def test_people_get_time_name_and_sentence_uncut_and_without_markup(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = printer(invocation(tmp_path, json=False), ManualClock())
    message = f"[bold]not markup[/bold] {'long ' * 60}"

    report("warning", {"kind": "advisor", "message": message})

    [line] = capsys.readouterr().out.splitlines()
    assert line[2] == line[5] == ":"
    assert f"warning    advisor: {message}".rstrip() in line


def test_reader_that_stands_still_does_not_hold_up_who_reports() -> None:
    reads, printed = threading.Event(), list[str]()

    def print_event(event: str, fields: Mapping[str, object], at_ms: int) -> None:
        assert reads.wait(10)
        printed.append(f"{event} {fields['n']} {at_ms}")

    clock = ManualClock()
    outlet = Outlet(print_event, now_ms=clock.now_ms, on_closed=lambda: None)
    with outlet:
        for number in range(3):
            outlet.report("fill", {"n": number})
        assert printed == []
        reads.set()

    assert printed == [f"fill {number} {START_MS}" for number in range(3)]
    assert not outlet.is_stuck


def test_events_beyond_what_can_wait_are_counted_and_told() -> None:
    reads, printed = threading.Event(), list[Mapping[str, object]]()

    def print_event(event: str, fields: Mapping[str, object], at_ms: int) -> None:
        assert reads.wait(10)
        printed.append(fields)

    outlet = Outlet(print_event, now_ms=lambda: 0, on_closed=lambda: None)
    for number in range(10_002):
        outlet.report("fill", {"n": number})
    reads.set()
    with outlet:
        while len(printed) < 10_000:
            time.sleep(0.001)
        outlet.report("fill", {"n": "last"})

    assert printed[-2:] == [
        {"kind": "output", "message": "2 events were not printed"},
        {"n": "last"},
    ]


def test_reader_that_went_away_is_told_once_and_nothing_breaks() -> None:
    told = list[str]()

    def print_event(event: str, fields: Mapping[str, object], at_ms: int) -> None:
        raise BrokenPipeError

    with Outlet(print_event, now_ms=lambda: 0, on_closed=lambda: told.append("gone")) as outlet:
        outlet.report("fill", {})
        outlet.report("fill", {})

    assert told == ["gone"]


def invocation(cwd: Path, *, json: bool) -> Invocation:
    return Invocation(
        shared=SharedOptions(json=json), command="run", environ={}, cwd=cwd, env="paper"
    )

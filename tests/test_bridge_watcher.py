"""Watching the folder: torn files, second reads, symbolic links, and files that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import threading
from collections.abc import Callable
from datetime import UTC
from pathlib import Path, PosixPath

import pytest

from trader_cli.bridge.confirm import (
    BridgeEvent,
    SignalConfirmed,
    SignalSeen,
    SignalWithdrawn,
)
from trader_cli.bridge.reader import TornFile
from trader_cli.bridge.watcher import BridgeWatcher
from trader_cli.clock import SystemClock
from trader_cli.domain.signal import Command

WOLF = "ai_wolf_bridge.json"
T0_MS = 1_800_000_000_000


def wolf(command: str, timestamp: str = "2027-01-15T08:00:00") -> bytes:
    return json.dumps({"ai_to_wolf": {"command": command, "timestamp": timestamp}}).encode()


class ScriptedClock:
    """Time that passes only while somebody sleeps, and the files that are written meanwhile."""

    def __init__(self, folder: Path, script: list[tuple[float, bytes | None]]) -> None:
        self.folder = folder
        self.script = script
        self.seconds = 0.0

    def now_ms(self) -> int:
        return T0_MS + round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.seconds += seconds
        while self.script and self.script[0][0] <= self.seconds:
            _, content = self.script.pop(0)
            if content is None:
                (self.folder / WOLF).unlink()
            else:
                (self.folder / WOLF).write_bytes(content)


async def watch(
    folder: Path, script: list[tuple[float, bytes | None]], *, until_s: float
) -> list[tuple[float, BridgeEvent]]:
    """Run a polling watcher over the script; return what it reported and when."""
    clock = ScriptedClock(folder, script)
    watcher = BridgeWatcher(folder, zone=UTC, clock=clock, kernel_events=False)
    events: list[tuple[float, BridgeEvent]] = []

    async def put(event: BridgeEvent) -> None:
        events.append((round(clock.seconds, 3), event))

    async def stop_later() -> None:
        while clock.seconds < until_s:
            await asyncio.sleep(0)
        watcher.stop()

    async with asyncio.timeout(20):
        await asyncio.gather(watcher.run(put), stop_later())
    return events


def kinds(events: list[tuple[float, BridgeEvent]]) -> list[type[BridgeEvent]]:
    return [type(event) for _, event in events]


async def test_missing_folder_is_created(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "bridge"

    assert await watch(folder, [], until_s=1.0) == []
    assert folder.is_dir()


async def test_command_is_confirmed_a_tenth_of_a_second_after_it_is_seen(tmp_path: Path) -> None:
    events = await watch(tmp_path, [(0.5, wolf("LONG"))], until_s=2.0)

    assert kinds(events) == [SignalSeen, SignalConfirmed]
    assert 0.1 <= events[1][0] - events[0][0] < 0.12


async def test_command_taken_back_before_the_second_read_is_withdrawn(tmp_path: Path) -> None:
    events = await watch(tmp_path, [(0.5, wolf("LONG")), (0.55, wolf("HOLD"))], until_s=2.0)

    assert kinds(events) == [SignalSeen, SignalSeen, SignalWithdrawn]


async def test_file_torn_for_a_moment_is_read_again_and_not_reported(tmp_path: Path) -> None:
    script = [(0.5, b""), (0.6, wolf("HOLD")[:20]), (0.65, wolf("HOLD"))]

    ((at_s, event),) = await watch(tmp_path, [*script], until_s=2.0)

    assert isinstance(event, SignalSeen)
    assert at_s < 0.75


async def test_file_that_stays_torn_is_reported_once_until_it_recovers(tmp_path: Path) -> None:
    script: list[tuple[float, bytes | None]] = [(0.5, b"{"), (3.0, wolf("HOLD")), (4.0, b"[]")]

    events = await watch(tmp_path, script, until_s=6.0)

    assert kinds(events) == [TornFile, SignalSeen, TornFile]


async def test_torn_moment_does_not_lose_the_decision_behind_it(tmp_path: Path) -> None:
    events = await watch(
        tmp_path, [(0.5, wolf("LONG")), (0.55, b""), (0.65, wolf("LONG"))], until_s=2.0
    )

    assert kinds(events) == [SignalSeen, SignalConfirmed]


async def test_file_may_go_and_come_back(tmp_path: Path) -> None:
    script: list[tuple[float, bytes | None]] = [
        (0.5, b"{"),
        (0.6, None),
        (1.0, wolf("HOLD", "2027-01-15T08:00:01")),
    ]

    assert kinds(await watch(tmp_path, script, until_s=3.0)) == [SignalSeen]


async def test_same_size_change_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / WOLF
    path.write_bytes(wolf("HOLD"))
    watcher = BridgeWatcher(tmp_path, zone=UTC, clock=SystemClock())
    watcher.read_once()
    before = path.stat()
    path.write_bytes(wolf("LONG"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    (seen,) = watcher.read_once()

    assert isinstance(seen, SignalSeen)
    assert seen.signal.command is Command.LONG


def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    for name in ("ai_shrimp_config.json", "testnet_portfolio.json", ".feedback-x.tmp"):
        (tmp_path / name).write_bytes(wolf("LONG"))
    (tmp_path / "ai_dir_bridge.json").mkdir()

    assert BridgeWatcher(tmp_path, zone=UTC, clock=SystemClock()).read_once() == []


def test_oversized_file_is_reported_and_not_parsed(tmp_path: Path) -> None:
    (tmp_path / WOLF).write_bytes(b" " * 4_000_001)
    clock = ScriptedClock(tmp_path, [])
    watcher = BridgeWatcher(tmp_path, zone=UTC, clock=clock)

    events = watcher.read_once()
    clock.seconds += 1
    events += [event for _ in range(6) for event in watcher.read_once()]

    assert [type(event) for event in events] == [TornFile]


class Look:
    """A watcher that is asked by hand, under time that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock = ScriptedClock(folder, [])
        self.watcher = BridgeWatcher(folder, zone=UTC, clock=self.clock, kernel_events=False)

    def again(self, times: int = 4) -> list[BridgeEvent]:
        """Return what several polls tell."""
        events: list[BridgeEvent] = []
        for _ in range(times):
            self.clock.seconds += 0.5
            events += self.watcher.read_once()
        return events

    def commands(self) -> list[Command]:
        return [row.signal.command for row in self.again() if isinstance(row, SignalConfirmed)]


def said(events: list[BridgeEvent]) -> list[str]:
    assert all(isinstance(row, TornFile) for row in events)
    return [f"{row.file}: {row.reason}" for row in events if isinstance(row, TornFile)]


def test_folder_that_is_gone_is_told_once_and_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    look = Look(folder)
    assert look.again() == []
    (folder / WOLF).write_bytes(wolf("LONG"))
    assert look.commands() == [Command.LONG]

    shutil.rmtree(folder)
    assert said(look.again()) == [f"{folder}: it was gone, and is made anew"]

    (folder / WOLF).write_bytes(wolf("SHORT", "2027-01-15T08:00:01"))
    assert look.commands() == [Command.SHORT]


def test_folder_that_cannot_be_listed_is_told_once_and_read_again_later(tmp_path: Path) -> None:
    folder, aside = tmp_path / "bridge", tmp_path / "aside"
    look = Look(folder)
    look.again()
    folder.rename(aside)
    folder.write_text("a file in its place")
    assert said(look.again()) == [f"{folder}: Not a directory"]

    folder.unlink()
    aside.rename(folder)
    (folder / WOLF).write_bytes(wolf("LONG"))
    assert look.commands() == [Command.LONG]

    folder.rename(aside)
    folder.write_text("and again")
    assert len(look.again()) == 1


def test_command_of_before_the_folder_was_lost_is_not_confirmed_from_memory(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    look = Look(folder)
    look.again()
    (folder / WOLF).write_bytes(wolf("LONG"))
    assert [type(row) for row in look.again(1)] == [SignalSeen]

    shutil.rmtree(folder)

    assert not any(isinstance(row, SignalConfirmed) for row in look.again())


class SlowFolder(PosixPath):
    """A folder each look at which takes longer than a healthy disk does."""

    def __fspath__(self) -> str:
        if threading.current_thread().name == "disk" and not self.suffix:
            threading.Event().wait(0.15)
        return str(self)


def test_what_lies_on_a_slow_disk_is_read_all_the_same(tmp_path: Path) -> None:
    """Each look was given up before its end, and no CUT_LOSS was seen as long as the run went."""
    (tmp_path / WOLF).write_bytes(wolf("CUT_LOSS"))
    look = Look(SlowFolder(tmp_path))

    for _ in range(30):
        if look.commands() == [Command.CUT_LOSS]:
            return
        threading.Event().wait(0.05)
    raise AssertionError("it is never read")


def test_no_descriptor_left_is_told_once_and_costs_nothing_later(tmp_path: Path) -> None:
    (tmp_path / WOLF).write_bytes(wolf("LONG"))
    look = Look(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        events = look.again()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert said(events) == [f"{tmp_path}: Too many open files"]
    assert look.commands() == [Command.LONG]


def test_what_is_no_file_is_told_once_and_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "ai_folder_bridge.json").mkdir()
    os.mkfifo(tmp_path / "ai_pipe_bridge.json")
    (tmp_path / "ai_loop_bridge.json").symlink_to(tmp_path / "ai_loop_bridge.json")
    (tmp_path / WOLF).write_bytes(wolf("LONG"))
    look = Look(tmp_path)
    before = len(os.listdir("/proc/self/fd"))

    events = look.again(20)

    torn = [row for row in events if isinstance(row, TornFile)]
    assert {row.file: row.reason for row in torn} == {
        "ai_folder_bridge.json": "not a file",
        "ai_pipe_bridge.json": "not a file",
        "ai_loop_bridge.json": "Too many levels of symbolic links",
    }
    assert len(torn) == 3
    assert any(isinstance(row, SignalConfirmed) for row in events)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_kernel_reports_changes_in_a_folder_that_was_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "bridge"
    folder.mkdir()
    (folder / WOLF).write_bytes(wolf("HOLD"))
    watcher = BridgeWatcher(folder, zone=UTC, clock=SystemClock(), poll_s=30)
    events: asyncio.Queue[BridgeEvent] = asyncio.Queue()

    async def until(kind: type[BridgeEvent]) -> None:
        while not isinstance(await events.get(), kind):
            pass

    async def change_until(kind: type[BridgeEvent], change: Callable[[int], None]) -> None:
        # Changed until noticed: the kernel's watch begins at some moment after the start.
        noticed, number = asyncio.ensure_future(until(kind)), 0
        while not noticed.done():
            number += 1
            change(number)
            await asyncio.wait([noticed], timeout=0.3)

    def remove(_: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        (folder / WOLF).write_bytes(wolf("LONG"))
        shutil.rmtree(folder)

    def write(second: int) -> None:
        (folder / WOLF).write_bytes(wolf("LONG", f"2027-01-15T08:00:{second:02}"))

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(watcher.run(events.put))
        await change_until(TornFile, remove)
        await change_until(SignalConfirmed, write)
        watcher.stop()


@pytest.mark.parametrize("linked", [False, True])
async def test_kernel_reports_a_change_long_before_the_poll(tmp_path: Path, linked: bool) -> None:
    folder, elsewhere = tmp_path / "bridge", tmp_path / "advisors"
    folder.mkdir()
    elsewhere.mkdir()
    real = (elsewhere if linked else folder) / WOLF
    real.write_bytes(wolf("HOLD"))
    if linked:
        (folder / WOLF).symlink_to(real)
    watcher = BridgeWatcher(folder, zone=UTC, clock=SystemClock(), poll_s=30)
    events: asyncio.Queue[BridgeEvent] = asyncio.Queue()

    async def confirmation() -> None:
        while not isinstance(await events.get(), SignalConfirmed):
            pass

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(watcher.run(events.put))
        confirmed = tasks.create_task(confirmation())
        second = 0
        while not confirmed.done():
            # Written until noticed: the kernel's watch begins at some moment after the start.
            second += 1
            real.write_bytes(wolf("LONG", f"2027-01-15T08:00:{second:02}"))
            await asyncio.wait([confirmed], timeout=0.3)
        watcher.stop()

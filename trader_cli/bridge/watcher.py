"""Watch a folder of bridge files and report what the advisors say, as it happens.

Thin: it reads files when the kernel says one changed, every half second all the same, and again
a moment later where a command waits for its second read. What a read means is decided in
`reader` and `confirm`. It must not know what becomes of a signal.

Contents are compared, never sizes or times: LONG and HOLD are equally long, and the two writes of
a blocked command fall within one tick of a file's modification time.

A folder that is gone, cannot be listed or does not answer is told once and asked again; what was
read before is not read again from memory.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from watchfiles import awatch

from trader_cli.bridge.bridge_file import BYTES_MAX, open_bridge_file
from trader_cli.bridge.confirm import BridgeEvent, BridgeMemory
from trader_cli.bridge.reader import TornFile, read_sections
from trader_cli.clock import Clock
from trader_cli.domain.signal import Signal
from trader_cli.journal.disk_wait import Errands

PATTERN: Final = "ai_*_bridge.json"

_TORN_RETRY_S: Final = 0.05
_TORN_PATIENCE_S: Final = 0.15
"""A busy writer is done long before this; a file torn for longer is worth a word."""

_DISK_WAIT_S: Final = 0.25
_SLOW_DISK_WAIT_S: Final = 1.0
"""A disk that was late once is slow or dead: each look at a slow one would be given up in vain."""

_RECHECK_S_MIN: Final = 0.02
_WATCH_STEP_MS: Final = 10
_WATCH_DEBOUNCE_MS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at the folder.

    Attributes:
        contents: by name what each file holds.
        places: the folders the files really lie in, with what tells a new one of the same name.
        was_made: the folder was missing, and is there again.
    """

    contents: dict[str, bytes | TornFile]
    places: frozenset[tuple[Path, int]]
    was_made: bool


class BridgeWatcher:
    """Reads every `ai_*_bridge.json` of one folder until told to stop."""

    def __init__(
        self,
        directory: Path,
        *,
        zone: tzinfo,
        clock: Clock,
        memory: BridgeMemory | None = None,
        poll_s: float = 0.5,
        kernel_events: bool = True,
    ) -> None:
        """Watch `directory`, which is created whenever it is missing.

        Args:
            zone: where the advisors' naive timestamps are local.
            poll_s: every file is read at least this often.
            kernel_events: False where time is virtual; polling alone finds everything, later.
        """
        self._directory = directory
        self._zone = zone
        self._clock = clock
        self._memory = memory if memory is not None else BridgeMemory()
        self._poll_s = poll_s
        self._kernel_events = kernel_events
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._moved = asyncio.Event()
        self._disk = Errands()
        self._disk_wait_s = _DISK_WAIT_S
        self._places: frozenset[tuple[Path, int]] | None = None
        self._known: dict[str, tuple[bytes, list[Signal] | TornFile]] = {}
        self._torn_since: dict[str, float] = {}
        self._torn_reported: set[str] = set()

    def stop(self) -> None:
        """End `run` at its next step."""
        self._stop.set()
        self._moved.set()
        self._wake.set()

    def read_once(self) -> list[BridgeEvent]:
        """Read every file now and return what is new, what cannot be read included."""
        name = str(self._directory)
        try:
            found = self._disk.run(partial(_look, self._directory), self._disk_wait_s)
        except TimeoutError:
            self._disk_wait_s = _SLOW_DISK_WAIT_S
            return self._torn(TornFile(file=name, reason="the disk does not answer"))
        except OSError as error:
            return self._torn(TornFile(file=name, reason=error.strerror or str(error)))
        events: list[BridgeEvent] = []
        if found.was_made and self._places is not None:
            events.append(TornFile(file=name, reason="it was gone, and is made anew"))
        if found.was_made or found.places != self._places:
            self._places = found.places
            self._moved.set()
        for gone in self._torn_since.keys() - found.contents.keys():
            self._recovered(gone)
        self._known = {key: row for key, row in self._known.items() if key in found.contents}
        for file, content in found.contents.items():
            events += self._read(file, content)
        return events

    async def run(self, put: Callable[[BridgeEvent], Awaitable[None]]) -> None:
        """Report events to `put`, one at a time and in order, until `stop` is called."""
        async with asyncio.TaskGroup() as tasks:
            notifier = tasks.create_task(self._notify()) if self._kernel_events else None
            while not self._stop.is_set():
                # Cleared before the read: a change during the read wakes the next round.
                self._wake.clear()
                for event in self.read_once():
                    await put(event)
                await self._pause()
            if notifier is not None:
                notifier.cancel()

    def _read(self, name: str, content: bytes | TornFile) -> list[BridgeEvent]:
        now_ms = self._clock.now_ms()
        read = content if isinstance(content, TornFile) else self._parsed(name, content, now_ms)
        if isinstance(read, TornFile):
            return self._torn(read)
        self._recovered(name)
        return self._memory.observe(read, now_ms=now_ms, monotonic=self._clock.monotonic())

    def _parsed(self, name: str, content: bytes, now_ms: int) -> list[Signal] | TornFile:
        """Return what the content says, worked out once for as long as it does not change."""
        known = self._known.get(name)
        if known is None or known[0] != content:
            read = read_sections(name, content, zone=self._zone, now_ms=now_ms)
            self._known[name] = known = content, read
        return known[1]

    def _torn(self, torn: TornFile) -> list[BridgeEvent]:
        """Return the file once, when it has been torn for longer than a writer takes."""
        monotonic = self._clock.monotonic()
        since = self._torn_since.setdefault(torn.file, monotonic)
        if torn.file in self._torn_reported or monotonic - since < _TORN_PATIENCE_S:
            return []
        self._torn_reported.add(torn.file)
        return [torn]

    def _recovered(self, name: str) -> None:
        self._torn_since.pop(name, None)
        self._torn_reported.discard(name)

    async def _pause(self) -> None:
        """Wait for a change, for a second read that is due, or for the next poll."""
        if self._stop.is_set():
            return
        seconds = self._poll_s
        if self._torn_since.keys() - self._torn_reported:
            seconds = min(seconds, _TORN_RETRY_S)
        now = self._clock.monotonic()
        due = self._memory.recheck_at(now)
        if due is not None:
            seconds = min(seconds, max(due - now, _RECHECK_S_MIN) + 0.001)
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()
            await asyncio.gather(sleeper, waker, return_exceptions=True)

    async def _notify(self) -> None:
        """Wake the reader when the kernel reports a change in any folder that holds a file."""
        while not self._stop.is_set():
            self._moved.clear()
            try:
                async for _ in awatch(
                    *sorted({self._directory, *(path for path, _ in self._places or ())}),
                    watch_filter=None,
                    debounce=_WATCH_DEBOUNCE_MS,
                    step=_WATCH_STEP_MS,
                    stop_event=self._moved,  # files lie elsewhere now, or the folder is a new one
                    recursive=False,
                ):
                    self._wake.set()
            except (OSError, RuntimeError):
                # No inotify instance left, or the folder is gone: polling goes on regardless.
                await self._clock.sleep(self._poll_s * 10)


def _look(directory: Path) -> _Look:
    """Read the bridge files of the folder, which is made if it is missing.

    Raises:
        OSError: it cannot be listed, or neither found nor made.
    """
    was_made = False
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        directory.mkdir(parents=True)
        names, was_made = [], True
    names = sorted(name for name in names if fnmatch.fnmatchcase(name, PATTERN))
    real = (Path(os.path.realpath(directory / name)).parent for name in names)
    places = {directory, *real}
    return _Look(
        contents={name: _content(directory / name) for name in names},
        places=frozenset(row for row in map(_place, places) if row is not None),
        was_made=was_made,
    )


def _place(folder: Path) -> tuple[Path, int] | None:
    try:
        return folder, folder.stat().st_ino
    except OSError:
        return None  # a link that leads nowhere, or where we may not go


def _content(path: Path) -> bytes | TornFile:
    try:
        with open_bridge_file(path) as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        return TornFile(file=path.name, reason=error.strerror or "unreadable")
    if len(content) > BYTES_MAX:
        return TornFile(file=path.name, reason=f"larger than {BYTES_MAX} bytes")
    return content

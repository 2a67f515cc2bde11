"""Watch a folder of bridge files and report what the advisors say, as it happens.

Thin: it reads files when the kernel says one changed, every half second all the same, and again
a moment later where a command waits for its second read. What a read means is decided in
`reader` and `confirm`. It must not know what becomes of a signal.

Contents are compared, never sizes or times: LONG and HOLD are equally long, and the two writes of
a blocked command fall within one tick of a file's modification time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from pathlib import Path
from typing import Final

from watchfiles import awatch

from trader_cli.bridge.confirm import BridgeEvent, BridgeMemory
from trader_cli.bridge.reader import TornFile, read_sections
from trader_cli.clock import Clock

PATTERN: Final = "ai_*_bridge.json"

_TORN_RETRY_S: Final = 0.05
_TORN_PATIENCE_S: Final = 0.15
"""A busy writer is done long before this; a file torn for longer is worth a word."""

_RECHECK_S_MIN: Final = 0.02
_BYTES_MAX: Final = 4_000_000
_WATCH_STEP_MS: Final = 10
_WATCH_DEBOUNCE_MS: Final = 20


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
        """Watch `directory`, which is created if it is missing.

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
        self._torn_since: dict[str, float] = {}
        self._torn_reported: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        """End `run` at its next step."""
        self._stop.set()
        self._wake.set()

    def read_once(self) -> list[BridgeEvent]:
        """Read every file now and return what is new, unreadable files included."""
        paths = sorted(self._directory.glob(PATTERN))
        for gone in self._torn_since.keys() - {path.name for path in paths}:
            self._recovered(gone)
        return [event for path in paths for event in self._read(path)]

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

    def _read(self, path: Path) -> list[BridgeEvent]:
        now_ms, monotonic = self._clock.now_ms(), self._clock.monotonic()
        content = _content(path)
        read = (
            content
            if isinstance(content, TornFile)
            else read_sections(path.name, content, zone=self._zone, now_ms=now_ms)
        )
        if isinstance(read, TornFile):
            return self._torn(read, monotonic)
        self._recovered(path.name)
        return self._memory.observe(read, now_ms=now_ms, monotonic=monotonic)

    def _torn(self, torn: TornFile, monotonic: float) -> list[BridgeEvent]:
        """Return the file once, when it has been torn for longer than a writer takes."""
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
            folders = self._folders()
            try:
                async for _ in awatch(
                    *folders,
                    watch_filter=None,
                    debounce=_WATCH_DEBOUNCE_MS,
                    step=_WATCH_STEP_MS,
                    stop_event=self._stop,
                    recursive=False,
                ):
                    self._wake.set()
                    if self._folders() != folders:
                        break  # a new symbolic link leads to another folder
            except (OSError, RuntimeError):
                # No inotify instance left, or the folder is gone: polling goes on regardless.
                await self._clock.sleep(self._poll_s * 10)

    def _folders(self) -> list[Path]:
        """Return the bridge folder and those its symbolic links lead to."""
        real = {Path(os.path.realpath(path)).parent for path in self._directory.glob(PATTERN)}
        return sorted({self._directory, *real})


def _content(path: Path) -> bytes | TornFile:
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except OSError as error:
        return TornFile(file=path.name, reason=error.strerror or "unreadable")
    if len(content) > _BYTES_MAX:
        return TornFile(file=path.name, reason=f"larger than {_BYTES_MAX} bytes")
    return content

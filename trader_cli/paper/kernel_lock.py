"""Kernel locks on files: who holds the exchange's folder, and whether anybody does.

Knows `flock` and that the kernel frees a lock whose holder ends, however it ends. Must not know
what is locked or why.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trader_cli.clock import Clock

_POLL_S: Final = 0.02


def open_lock(path: Path) -> int:
    """Return a descriptor to lock by; only the owner may read the file."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock unless somebody else holds it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(handle: int, clock: Clock, deadline: float) -> bool:
    """Take the lock as soon as it is free; False at the deadline (of `clock.monotonic`)."""
    while not try_lock(handle):
        if clock.monotonic() >= deadline:
            return False
        _pause()
    return True


def is_held(path: Path) -> bool:
    """Return True if somebody holds the lock; two who look at once do not see each other."""
    if not path.exists():
        return False
    with _opened(path) as handle:
        return not try_lock(handle, fcntl.LOCK_SH)


def wait_released(path: Path, clock: Clock, timeout_s: float) -> bool:
    """Wait until nobody holds the lock; False if somebody still does."""
    deadline = clock.monotonic() + timeout_s
    while is_held(path):
        if clock.monotonic() >= deadline:
            return False
        _pause()
    return True


@contextlib.contextmanager
def locked(path: Path, clock: Clock, deadline: float) -> Iterator[bool]:
    """Hold the lock inside the block; the block is told False if it could not be had in time."""
    with _opened(path) as handle:
        yield wait_for_lock(handle, clock, deadline)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = open_lock(path)
    try:
        yield handle
    finally:
        os.close(handle)


def _pause() -> None:
    """Wait a moment for another process; nothing wakes us when a lock is freed."""
    select.select([], [], [], _POLL_S)

"""The account's lease: at most one engine works an environment, and others can see which.

A kernel lock on one file, gone at once when its holder dies in whatever way. The file's content
only describes the holder; the lock alone decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from trader_cli.clock import Clock, SystemClock
from trader_cli.journal.files import FILE_MODE, ensure_private_directory

_FILE: Final = "lease"
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.01
_CONTENT_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHolder:
    """Who holds the lease; every field is None where the holder could not write it (full disk)."""

    pid: int | None
    host: str | None
    role: str | None
    since_ms: int | None


_UNNAMED: Final = LeaseHolder(pid=None, host=None, role=None, since_ms=None)


class AccountLease:
    """A held lease; released by `release`, by leaving the `with` block, or by death."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(
        cls, directory: Path, *, role: str, clock: Clock | None = None
    ) -> Self | LeaseHolder:
        """Take the lease of the environment in `directory`, or say who has it.

        Raises:
            OSError: the folder cannot be used.
        """
        ensure_private_directory(directory)
        descriptor = os.open(directory / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        for attempt in range(_ATTEMPTS):
            # Whoever only looks holds the lock for a moment: one refusal proves nothing.
            if attempt:
                time.sleep(_PAUSE_S)
            if _try_lock(descriptor, fcntl.LOCK_EX):
                now_ms = (clock or SystemClock()).now_ms()
                _describe(descriptor, role=role, since_ms=now_ms)
                return cls(descriptor)
        holder = _read_holder(descriptor)
        os.close(descriptor)
        return holder

    @classmethod
    def holder(cls, directory: Path) -> LeaseHolder | None:
        """Return who holds the lease, None if nobody does.

        Raises:
            OSError: it cannot be found out.
        """
        try:
            descriptor = os.open(directory / _FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            for attempt in range(_ATTEMPTS):
                if attempt:
                    time.sleep(_PAUSE_S)
                if _try_lock(descriptor, fcntl.LOCK_SH):
                    return None
                holder = _read_holder(descriptor)
                if holder.pid is not None and _may_live(holder.pid):
                    return holder
            return holder  # held, but by whom is not written there
        finally:
            os.close(descriptor)  # also gives the lock back

    def release(self) -> None:
        """Give the lease back; a second call does nothing."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _describe(descriptor: int, *, role: str, since_ms: int) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "role": role, "since_ms": since_ms}
    os.ftruncate(descriptor, 0)
    try:
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    except OSError:
        return  # a full disk takes the description, not the lock


def _read_holder(descriptor: int) -> LeaseHolder:
    try:
        data = json.loads(os.pread(descriptor, _CONTENT_MAX, 0))
        return LeaseHolder(
            pid=int(data["pid"]),
            host=str(data["host"]),
            role=str(data["role"]),
            since_ms=int(data["since_ms"]),
        )
    except (ValueError, KeyError, TypeError):
        return _UNNAMED


def _may_live(pid: int) -> bool:
    """Return False if no process here has this id: the content is a dead holder's then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

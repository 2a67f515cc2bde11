"""What was saved last, appended line by line to a file: durable in microseconds.

A line is in the kernel's hands when `append` returns, so it survives the end of the process. The
lines are the way to the tables, not a second memory: once their content is there, their file goes.
Knows files and whole lines; must not know what a line says.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


class StateLog:
    """A few numbered files beside the tables; at most two, while one is on its way into them."""

    def __init__(self, tables: Path) -> None:
        """Take up nothing yet: look through `left` before the first `append`."""
        self._tables = tables
        self._number = max((int(path.suffix[1:]) for path in self._files()), default=0)
        self._open: int | None = None
        self._length = 0

    def left(self) -> dict[Path, list[bytes]]:
        """Return the lines of each file that another process left, oldest first.

        What follows the last end of a line was cut off by that process's end, and never
        acknowledged.
        """
        return {path: path.read_bytes().split(b"\n")[:-1] for path in self._files()}

    def append(self, line: bytes) -> None:
        """Write one line, which ends with its newline.

        Raises:
            OSError: it could not be written; the file is as it was.
        """
        if self._open is None:
            self._number += 1
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            self._open = os.open(self._path(self._number), flags, 0o600)
            self._length = 0
        written = os.write(self._open, line)
        if written != len(line):
            os.ftruncate(self._open, self._length)
            raise OSError(errno.ENOSPC, "no room for a line", str(self._path(self._number)))
        self._length += written

    def cut(self) -> Path | None:
        """End the present file and return it; it is the caller's to remove. None without lines."""
        if self._open is None:
            return None
        os.close(self._open)
        self._open = None
        return self._path(self._number)

    def _path(self, number: int) -> Path:
        return self._tables.with_name(f"{self._tables.name}-log.{number:06}")

    def _files(self) -> list[Path]:
        found = self._tables.parent.glob(f"{self._tables.name}-log.*")
        numbered = [path for path in found if path.suffix[1:].isdecimal()]
        return sorted(numbered, key=lambda path: int(path.suffix[1:]))

"""Files that survive a crash: private folders, and replacement that is whole or not at all.

Knows nothing of what is in the files. Every function raises plain `OSError`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def ensure_private_directory(directory: Path) -> None:
    """Create `directory` and its missing parents, readable by the owner only."""
    missing = []
    present = directory
    while not present.exists():
        missing.append(present)
        present = present.parent
    for path in reversed(missing):
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)  # `parents=True` would ignore the mode


def replace_durably(path: Path, content: bytes) -> None:
    """Put `content` at `path`, old or new but never half; on disk when it returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_file(temporary, content)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write and fsync one private file, in place."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable: a renamed file is lost without it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

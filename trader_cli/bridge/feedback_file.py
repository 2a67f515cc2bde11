"""Replace a bridge file with its merged version without losing what an advisor just wrote.

Knows files and nothing of what is in them. The advisors truncate and rewrite in place, without a
lock; so the new content is complete on disk before the old one is compared for the last time, and
takes its place at once. Comparing before writing lost one decision in seventy, this order none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_ATTEMPTS: Final = 4

BuildDocument = Callable[[Mapping[str, object]], Mapping[str, object]]


def write_feedback(path: Path, build: BuildDocument) -> bool:
    """Replace the file's document by what `build` makes of it.

    A symbolic link stays a link: the file it leads to is replaced. `build` may be called several
    times, each time with the document as it is then.

    Returns:
        False if nothing was written: the file is missing, unreadable or torn, or its advisor wrote
        at every attempt. The next call, a second later, is the remedy.

    Raises:
        OSError: the folder cannot be written to.
    """
    real = Path(os.path.realpath(path))
    return any(_attempt(real, build) for _ in range(_ATTEMPTS))


def _attempt(real: Path, build: BuildDocument) -> bool:
    before = _read(real)
    document = _parse(before)
    if document is None:
        return False
    try:
        content = json.dumps(build(document), indent=2).encode("ascii")
    except RecursionError:
        return False  # nested deeper than can be written again
    handle, temporary = tempfile.mkstemp(dir=real.parent, prefix=".feedback-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            # A temporary file is private; the advisor may run under another account.
            os.fchmod(file.fileno(), real.stat().st_mode & 0o777)
        if _read(real) != before:
            return False
        os.replace(temporary, real)
    except FileNotFoundError:
        return False  # the bridge file was removed meanwhile
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def _read(real: Path) -> bytes | None:
    try:
        return real.read_bytes()
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return None


def _parse(content: bytes | None) -> dict[str, object] | None:
    if not content:
        return None
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None

"""Replace a bridge file with its merged version without losing what an advisor just wrote.

Knows files and nothing of what is in them. The advisors truncate and rewrite in place, without a
lock. So the new content is complete on disk before the old one is compared for the last time, and
takes its place at once; an advisor that opened the file in the instant between has truncated what
is now the old file, which is therefore looked at once more.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from trader_cli.bridge.bridge_file import BYTES_MAX, open_bridge_file

_ATTEMPTS: Final = 4
_LATE_WRITE_LOOKS: Final = 20
_LATE_WRITE_PAUSE_S: Final = 0.001

BuildDocument = Callable[[Mapping[str, object]], Mapping[str, object]]


def write_feedback(
    path: Path,
    build: BuildDocument,
    *,
    replace: Callable[[str, Path], None] = os.replace,
) -> bool:
    """Replace the file's document by what `build` makes of it.

    A symbolic link stays a link: the file it leads to is replaced. `build` may be called several
    times, each time with the document as it is then. Takes well below a millisecond, and up to
    twenty where an advisor is caught in the middle of its own writing.

    Returns:
        False if nothing was written: the file is missing, unreadable, torn or far too large, or its
        advisor wrote at every attempt. The next call, a second later, is the remedy.

    Raises:
        OSError: the folder cannot be written to, or what has the file's name is no file.
    """
    real = Path(os.path.realpath(path))
    return any(_attempt(real, build, replace) for _ in range(_ATTEMPTS))


def _attempt(real: Path, build: BuildDocument, replace: Callable[[str, Path], None]) -> bool:
    try:
        old = open_bridge_file(real)
    except (FileNotFoundError, PermissionError):
        return False
    with old:
        before = old.read(BYTES_MAX + 1)
        content = None if len(before) > BYTES_MAX else _built(before, build)
        if content is None or not _swap(real, before, content, replace):
            return False
        late = _late_write(old, before)
    if late is not None:
        # Its decision is in a file that no longer has a name. If the advisor has written again
        # meanwhile, that newer one stands and this swap does nothing.
        rescued = _built(late, build)
        if rescued is not None:
            _swap(real, content, rescued, replace)
    return True


def _swap(
    real: Path, expected: bytes, content: bytes, replace: Callable[[str, Path], None]
) -> bool:
    """Put `content` in the file's place if it still holds what is `expected`."""
    handle, temporary = tempfile.mkstemp(dir=real.parent, prefix=".feedback-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            # A temporary file is private; the advisor may run under another account.
            os.fchmod(file.fileno(), real.stat().st_mode & 0o777)
        if real.read_bytes() != expected:
            return False
        replace(temporary, real)
    except FileNotFoundError:
        return False  # the bridge file was removed meanwhile
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def _late_write(old: BinaryIO, before: bytes) -> bytes | None:
    """Return what was written into the replaced file, None if nothing was."""
    for _ in range(_LATE_WRITE_LOOKS):
        old.seek(0)
        now = old.read(BYTES_MAX)
        if now == before:
            return None
        if _parse(now) is not None:
            return now
        time.sleep(_LATE_WRITE_PAUSE_S)  # truncated, its writer is about to go on
    return None


def _built(content: bytes, build: BuildDocument) -> bytes | None:
    document = _parse(content)
    if document is None:
        return None
    try:
        return json.dumps(build(document), indent=2).encode("ascii")
    except RecursionError:
        return None  # nested deeper than can be written again


def _parse(content: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None

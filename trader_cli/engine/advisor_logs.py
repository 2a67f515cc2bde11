"""The files that advisors' output goes to, kept small while it flows.

Knows files only. The advisor holds its file open for appending, so a file cannot be put aside by
renaming it: it is copied and emptied, and what is written next begins the empty file.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from trader_cli.clock import Clock
from trader_cli.journal.disk_wait import aside

LOG_BYTES_MAX: Final = 5_000_000
_LOOK_EVERY_S: Final = 10.0


def log_file_of(log_dir: Path, name: str) -> Path:
    """Return where the output of the advisor of this name goes."""
    return log_dir / f"advisor-{name}.log"


def put_aside_if_large(log_file: Path) -> None:
    """Move the content of a log of more than 5 MB to `.log.1`, whose former content goes.

    Raises:
        OSError: it cannot be read or written; it stays as it is.
    """
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(log_file, log_file.with_suffix(".log.1"))
        with log_file.open("r+b") as log:
            log.truncate(0)


async def keep_small(log_files: Iterable[Path], *, clock: Clock) -> None:
    """Put large logs aside every ten seconds until cancelled; one that cannot be stays large."""
    files = tuple(log_files)
    while True:
        await clock.sleep(_LOOK_EVERY_S)
        for log_file in files:
            with contextlib.suppress(OSError):
                await aside(partial(put_aside_if_large, log_file))

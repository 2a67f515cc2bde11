"""When the program itself is wrong: the traceback goes to a file, one line goes to people."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from pathlib import Path

from trader_cli.cli.invocation import Invocation
from trader_cli.errors import TraderError


def report_crash(invocation: Invocation, error: Exception) -> TraderError:
    """Write the traceback to a file of the state folder and return the error to show."""
    where = _write(invocation, error)
    return TraderError(
        f"unexpected {type(error).__name__} in `trader {invocation.command}`",
        advice="no traceback could be written" if where is None else f"the traceback is in {where}",
    )


def _write(invocation: Invocation, error: Exception) -> Path | None:
    home = Path(invocation.environ.get("TRADER_HOME") or _default_home())
    path = home / "crashes" / f"{time.time_ns() // 1_000_000}.txt"
    text = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    return None


def _default_home() -> str:
    from platformdirs import user_data_dir

    return user_data_dir("trader")

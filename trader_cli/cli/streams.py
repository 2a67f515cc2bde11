"""The process's own streams: there from the start, written to the end, dropped when nobody reads.

Knows no command and imports nothing heavy: the shortest answer passes through it, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress


def have_streams() -> None:
    """Put nothing in the place of streams that were closed for us.

    Else the next file that is opened, the journal perhaps, would be taken for one of them.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def written(write: Callable[[], object]) -> bool:
    """Write to stdout to the end; return False if it cannot be written to.

    What was done is done: a reader that went away is no error, and a full disk is told and changes
    no exit code, or a script would do it again.
    """
    try:
        write()
        sys.stdout.flush()
    except OSError as error:
        _drop_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"the answer could not be written: {error.strerror}\n")
        return False
    return True


def _drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Write to stderr, if anybody listens."""
    with suppress(OSError):  # nobody listens; what was done is done all the same
        sys.stderr.write(text)

"""Open what lies in the folder under a bridge file's name, whatever it is.

Whoever may write there may put a pipe, a folder or gigabytes in its place. Knows nothing of what
is in a bridge file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

BYTES_MAX: Final = 4_000_000
"""A larger one is not read: an advisor's has some ten thousand."""


def open_bridge_file(path: Path) -> BinaryIO:
    """Open the file for reading; a pipe, which would wait for its writer, is refused.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path))
    return os.fdopen(descriptor, "rb")

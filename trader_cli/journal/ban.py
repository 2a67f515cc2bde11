"""Until when the exchange wants nothing from us, kept so that a restart does not lengthen a ban.

Source: binance-usdm reference, rate limits: 418 carries Retry-After, and asking meanwhile extends
it. The firewall in front of the exchange (403) tells no time; insisting is said to do the same.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from trader_cli.journal.disk_wait import Errands
from trader_cli.journal.files import ensure_private_directory, replace_durably

_DISK_WAIT_S: Final = 1.0


class FileBanStore:
    """One number in one file; a disk that refuses it, or is late, leaves it in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten_ms: int | None = None
        self._writing = Errands()

    def get(self) -> int:
        """Return the end of the ban, UTC epoch milliseconds; 0 if none is known."""
        unwritten_ms = self._unwritten_ms  # a late disk may take it at this moment
        if unwritten_ms is not None:
            return unwritten_ms
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0  # a ban we lost is told again by the next answer; a false one blocks kill

    def set(self, until_ms: int) -> None:
        """Remember the end of a ban; 0 forgets it. No late disk is waited for: exits are next."""

        def write() -> None:
            ensure_private_directory(self._path.parent)
            replace_durably(self._path, str(until_ms).encode())
            if self._unwritten_ms == until_ms:
                self._unwritten_ms = None

        self._unwritten_ms = until_ms
        with suppress(OSError):  # a disk that is late, too
            self._writing.run(write, _DISK_WAIT_S)

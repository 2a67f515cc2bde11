"""Why something could not be remembered; each says what to do next.

Nothing here is the exchange's fault: an entry is not sent without its record, an exit is.
"""

from __future__ import annotations

from trader_cli.errors import TraderError


class JournalUnavailable(TraderError):
    """The journal could not be opened, read or written: locked, full, read-only or damaged.

    Whatever was being recorded is not recorded. Entries must not be sent; exits and kill are sent
    all the same.
    """

    kind = "not_sent"
    exit_code = 6


class JournalCorrupt(JournalUnavailable):
    """The journal's file is damaged or was changed by someone else."""

    kind = "not_flat"
    exit_code = 11


class JournalLate(JournalUnavailable):
    """The row is not written yet; it waits in its place and is written when the disk takes it."""


class LatchNotWritten(TraderError):
    """No form of the halt latch could be written: nothing on disk stops a running engine."""

    kind = "config"
    exit_code = 2


class LatchNotCleared(TraderError):
    """A halt could not be lifted; it is still in force."""

    kind = "halted"
    exit_code = 9

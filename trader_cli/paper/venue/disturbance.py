"""How the world may be out of order while the venue works: the port through which faults reach it.

Must not know why or for how long; the venue asks at the moment it matters.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

FOR_EVER_MS: Final = 1 << 62


class Disturbance(Protocol):
    """What the venue asks before it acts as it should. Asking may use a disturbance up."""

    def only_cancels(self, symbol: str, now_ms: int) -> bool:
        """Return True while the symbol accepts cancels and nothing else."""
        ...

    def share_filled(self, symbol: str, now_ms: int) -> Decimal | None:
        """Return the fraction of what could fill that does, None for all of it."""
        ...

    def stuck_until_ms(self, symbol: str, now_ms: int) -> int | None:
        """Return until when a conditional order that fires now stays TRIGGERING, None: not."""
        ...


class Undisturbed:
    """All is well."""

    def only_cancels(self, symbol: str, now_ms: int) -> bool:
        return False

    def share_filled(self, symbol: str, now_ms: int) -> Decimal | None:
        return None

    def stuck_until_ms(self, symbol: str, now_ms: int) -> int | None:
        return None

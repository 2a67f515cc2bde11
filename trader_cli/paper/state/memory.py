"""What outlives the exchange's process without being part of the account: named small values."""

from __future__ import annotations

from typing import Any, Protocol


class Memory(Protocol):
    """Where something is kept by name, through restarts and resets; `Venue` is one."""

    def remember(self, name: str, body: dict[str, Any]) -> None:
        """Keep `body`, JSON-able, in place of what was kept under that name."""
        ...

    def recall(self, name: str) -> dict[str, Any] | None:
        """Return what is kept under a name, None if nothing."""
        ...

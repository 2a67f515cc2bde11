"""Listen keys: who may hear the account's events, and until when.

Knows the life of a key: one per account, an hour, extended by asking again. Must not know
connections; those ask whether a key is alive.

Source: binance-usdm reference §11.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.memory import Memory

LISTEN_KEY_LIFE_MS: Final = 3_600_000
_MEMORY: Final = "listen_key"


class ListenKeys:
    """The account's one listen key."""

    def __init__(
        self,
        new_key: Callable[[], str],
        memory: Memory | None = None,
        *,
        life_ms: int = LISTEN_KEY_LIFE_MS,
    ) -> None:
        """Take up the key that `memory` holds.

        Args:
            new_key: makes a fresh unguessable key; injected so that a simulation can repeat itself.
            memory: lets a key outlive the process; None forgets it.
            life_ms: how long a key lives unless it is extended.
        """
        self._new_key = new_key
        self._life_ms = life_ms
        self._memory = memory
        stored = None if memory is None else memory.recall(_MEMORY)
        self._key: str | None = None if stored is None else stored["key"]
        self._expires_ms = 0 if stored is None else int(stored["expires_ms"])

    def create(self, now_ms: int) -> str:
        """Return the living key, extended, or a fresh one."""
        if self._key is None or not self.is_alive(self._key, now_ms):
            self._key = self._new_key()
        self._expires_ms = now_ms + self._life_ms
        self._keep()
        return self._key

    def extend(self, now_ms: int) -> str:
        """Give the living key another hour.

        Raises:
            VenueRefusal: -1125 if no key is alive.
        """
        if self._key is None or not self.is_alive(self._key, now_ms):
            raise VenueRefusal(-1125)
        return self.create(now_ms)

    def close(self, now_ms: int) -> None:
        """End the living key at once; -1125 if none is alive."""
        self.extend(now_ms)
        self._key = None
        self._keep()

    def is_alive(self, key: str, now_ms: int) -> bool:
        """Return True if `key` is the account's and has not expired."""
        return key == self._key and now_ms < self._expires_ms

    def expire(self, now_ms: int) -> str | None:
        """Drop the key if its hour is over and return it, once; None otherwise."""
        if self._key is None or now_ms < self._expires_ms:
            return None
        expired, self._key = self._key, None
        self._keep()
        return expired

    def end_now(self, now_ms: int) -> None:
        """Let the living key expire at the next look, as a fault would."""
        self._expires_ms = min(self._expires_ms, now_ms)

    def _keep(self) -> None:
        if self._memory is not None:
            self._memory.remember(_MEMORY, {"key": self._key, "expires_ms": self._expires_ms})


def expired_event(key: str, now_ms: int) -> dict[str, object]:
    """Render what holders of an expired key are told before silence."""
    return {"e": "listenKeyExpired", "E": now_ms, "listenKey": key}

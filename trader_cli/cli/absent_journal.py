"""A journal that could not be opened: every use says so, and nothing pretends to be remembered.

Entries are refused with the reason; exits and cancels go out all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Never

from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.index import IntentRecord
from trader_cli.journal.reading import JournalRow


class AbsentJournal:
    """Stands in for `Journal`; `reason` is why there is none."""

    def __init__(self, reason: JournalUnavailable) -> None:
        self.reason = reason

    def record_intent(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        leaving: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> None:
        self._refuse()

    async def record_entry(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Callable[[Sequence[IntentRecord]], None],
        leaving: bool = False,
    ) -> None:
        self._refuse()

    async def record_change(
        self,
        *,
        source: str,
        leg: Leg,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Callable[[Sequence[IntentRecord]], None],
        deadline_ms: int,
    ) -> None:
        self._refuse()

    def record_event(
        self,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> Never:
        self._refuse()

    def note_event(
        self, client_order_id: str, event: IntentEvent, details: JsonObject, *, deadline_ms: int
    ) -> None:
        self._refuse()

    def record(
        self,
        kind: str,
        data: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int | None = None,
        keep: bool = False,
    ) -> Never:
        self._refuse()

    async def record_aside(self, kind: str, data: JsonObject) -> Never:
        self._refuse()

    def intent(self, client_order_id: str) -> IntentRecord | None:
        """Return None: an order may still be found at the exchange without the journal."""
        return None

    def intents_of(self, source: str) -> list[IntentRecord]:
        self._refuse()

    def unfinished_intents(self) -> list[IntentRecord]:
        self._refuse()

    def unknown_intents(self, symbol: str | None = None) -> list[IntentRecord]:
        self._refuse()

    def newest_seq(self) -> int:
        self._refuse()

    def touched_since(self, since_ms: int) -> list[IntentRecord]:
        self._refuse()

    def rows(self, *, kind: str | None = None, after: int = 0) -> Iterator[JournalRow]:
        self._refuse()

    def last(self, kind: str) -> JournalRow | None:
        self._refuse()

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def _refuse(self) -> Never:
        raise JournalUnavailable(
            self.reason.message, code=self.reason.code, advice=self.reason.advice
        )

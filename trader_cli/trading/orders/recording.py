"""An order is written down before it leaves, and what became of it after.

Knows what the journal is told of an order and how long each may wait for it; must not know how it
is sent. An exit waits for the journal a moment and goes out all the same; an entry is judged once
more where it is written down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.client_id import Leg, is_own
from trader_cli.domain.order import (
    Order,
    OrderRequest,
)
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.errors import (
    BrokenInvariant,
    RefusedByRisk,
    TraderError,
)
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalLate, JournalUnavailable
from trader_cli.journal.index import IntentRecord
from trader_cli.trading.orders.approving import (
    ApprovedChange,
    ApprovingDesk,
)
from trader_cli.trading.orders.order_tracker import (
    NOTE_JOURNAL_MS,
)
from trader_cli.trading.risk.changing import (
    STRANGER,
    change_of,
    request_of,
    settled,
)
from trader_cli.trading.risk.pending import MARK_DETAIL
from trader_cli.trading.risk.risk_terms import RiskView

BEING_AMENDED: Final = "being_amended"
"""Code of the refusal to amend an order while an amendment of it is under way."""

AMEND_PATIENCE_S: Final = 2.0
"""An amendment without an answer for so long is in doubt: it is asked about, or taken back.

So long, and no longer, its order rests without being looked after; a disk has as long before.
"""


@dataclass(slots=True)
class Prepared:
    """An approved order with its client id, journaled and not sent yet.

    `leaving` says that its sending is journaled, too; `journaled` False means that the journal took
    neither.
    """

    request: OrderRequest
    stop_price: Decimal | None
    notes: list[str]
    leaving: bool = False
    journaled: bool = True


class RecordingDesk(ApprovingDesk):
    """Write orders down; `OrderDesk` sends them."""

    def _journal_exit(self, sending: Prepared, *, source: str, leg: Leg, attempt: int) -> None:
        """Try the journal for 50 ms; what the disk does not take by then waits for it."""
        try:
            self.journal.record_intent(
                source=source,
                leg=leg,
                attempt=attempt,
                request=sending.request,
                details={"venue_ms": self.client.venue_now_ms()},
                leaving=sending.leaving,
                deadline_ms=NOTE_JOURNAL_MS,
                keep=True,
            )
        except JournalLate as error:
            sending.notes.append(f"sent before its journal entry: {error.message}")
        except (JournalUnavailable, BrokenInvariant) as error:
            # Nothing that the journal holds against an exit outweighs the exit.
            sending.journaled = False
            sending.notes.append(f"sent without a journal entry: {error.message}")

    async def _journal_entry(
        self, sending: Prepared, view: RiskView, *, source: str, leg: Leg, attempt: int
    ) -> None:
        """Judge the entry once more beside all that is written down by now, and write it down.

        Both are one step for all processes of the account: of two orders decided at the same
        moment the second one finds the first.
        """
        request, stop_price = sending.request, sending.stop_price
        details: dict[str, object] = {"venue_ms": self.client.venue_now_ms()}
        mark = view.marks.get(request.symbol)
        if mark is not None:
            details[MARK_DETAIL] = mark.price

        def admit(intents: Sequence[IntentRecord]) -> None:
            self._admit(request, view, intents, stop_price)

        try:
            await self.journal.record_entry(
                source=source,
                leg=leg,
                attempt=attempt,
                request=request,
                details=details,
                since_ms=self._since_ms(view),
                admit=admit,
                leaving=sending.leaving,
            )
        except (JournalUnavailable, asyncio.CancelledError):
            # A disk that answers later may write it all the same: then with its end.
            with contextlib.suppress(TraderError):
                self.journal.record_event(
                    request.client_order_id,
                    IntentEvent.NOT_SENT,
                    {"error": "given up while it was being written down"},
                    deadline_ms=0,
                    keep=True,
                )
            raise

    async def _journal_change(
        self, order: Order, approved: ApprovedChange, change: JsonObject
    ) -> None:
        """Judge an amended entry once more beside all that is written down, and write it down.

        One step with that of every new entry, as `_journal_entry` is. An exit waits for nothing.
        """
        intent = self._intent_of(order)
        is_over = intent is not None and intent.status.is_final  # by what we knew, wrongly
        if approved.view is None or is_over:
            self._note_about(order, IntentEvent.CHANGE, change)
            return
        left, view, stop_price = approved.left, approved.view, approved.stop_price
        if not is_own(order.client_order_id):
            self._strangers.add(order.client_order_id)

        def admit(intents: Sequence[IntentRecord]) -> None:
            self._admit(left, view, intents, stop_price)
            _refuse_second_change(left.client_order_id, intents)

        try:
            await self.journal.record_change(
                source=STRANGER,
                leg=Leg.ENTRY,
                request=request_of(order),
                details=change,
                since_ms=self._since_ms(view),
                admit=admit,
                deadline_ms=round(AMEND_PATIENCE_S * 1_000),
            )
        except (JournalUnavailable, asyncio.CancelledError):
            # A disk that answers later may write it all the same: then with its end.
            with contextlib.suppress(TraderError):
                self.journal.record_event(
                    order.client_order_id,
                    IntentEvent.SETTLE,
                    settled(None),
                    deadline_ms=0,
                    keep=True,
                )
            raise

    def _note(self, sending: Prepared, event: IntentEvent, details: JsonObject) -> None:
        """Journal an outcome; the order is at the exchange whether or not the journal takes it."""
        if not sending.journaled:
            return
        try:
            self.journal.note_event(
                sending.request.client_order_id, event, details, deadline_ms=NOTE_JOURNAL_MS
            )
        except JournalUnavailable as error:
            sending.notes.append(f"{event} is not journaled: {error.message}")


def _refuse_second_change(client_order_id: str, intents: Iterable[IntentRecord]) -> None:
    """Refuse to amend what somebody else is amending: which of the two holds could not be told."""
    for row in intents:
        if row.client_order_id == client_order_id and change_of(row) is not None:
            raise RefusedByRisk(
                f"{client_order_id} is being amended by another command",
                code=BEING_AMENDED,
                advice=f"try again; if it stays so, run `trader order resolve {client_order_id}`",
            )

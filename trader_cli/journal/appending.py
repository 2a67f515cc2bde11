"""Append rows within a running transaction, and keep the table of intents in step with them.

Knows the chain and what an order's rows look like; must not know threads, disks or who waits.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from trader_cli.clock import Clock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus, next_status
from trader_cli.errors import BrokenInvariant
from trader_cli.journal import index
from trader_cli.journal.encoding import (
    CHAIN_START,
    DecodedObject,
    JsonObject,
    chain_hash,
    encode,
)
from trader_cli.journal.index import INTENT, INTENT_EVENT
from trader_cli.journal.requests import request_to_json


class Appended(NamedTuple):
    """A row just appended."""

    seq: int
    local_ms: int


class Appender:
    """Appends by `clock`; the caller holds the transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def row(
        self,
        connection: sqlite3.Connection,
        kind: str,
        data: JsonObject,
        *,
        local_ms: int | None = None,
    ) -> Appended:
        """Append in the running transaction, chained to what is the last row by now.

        `local_ms` is when it happened, None for now.
        """
        found = connection.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1")
        last_seq, previous = found.fetchone() or (0, CHAIN_START)
        local_ms = self._clock.now_ms() if local_ms is None else local_ms
        seq, text = last_seq + 1, encode(data)
        digest = chain_hash(previous, seq=seq, local_ms=local_ms, kind=kind, data=text)
        connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?)", (seq, local_ms, kind, text, digest)
        )
        return Appended(seq, local_ms)

    def intent(self, connection: sqlite3.Connection, data: DecodedObject, *, leaving: bool) -> None:
        name, status = data["client_order_id"], IntentStatus.INTENDED
        row = self.row(connection, INTENT, data)
        created_ms = row.local_ms
        if leaving:
            status = next_status(status, IntentEvent.SEND)
            event = _event_data(name, IntentEvent.SEND, status, {})
            row = self.row(connection, INTENT_EVENT, event)
        is_new = index.begin(
            *(connection, data, status),
            created_ms=created_ms,
            updated_ms=row.local_ms,
            last_seq=row.seq,
        )
        if not is_new:  # and the row goes with its transaction
            raise BrokenInvariant(
                f"client order id {name} was journaled before",
                advice="Ask the exchange about it: `trader order resolve`.",
            )

    def event(
        self,
        connection: sqlite3.Connection,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        local_ms: int | None = None,
    ) -> IntentStatus:
        before = index.find_standing(connection, client_order_id)
        if before is None:
            raise BrokenInvariant(f"{event} of {client_order_id}, which was never journaled")
        status = next_status(before.status, event)
        data = _event_data(client_order_id, event, status, details)
        row = self.row(connection, INTENT_EVENT, data, local_ms=local_ms)
        index.advance(
            *(connection, client_order_id, before, status, details),
            local_ms=row.local_ms,
            last_seq=row.seq,
        )
        return status


def intent_data(
    source: str, leg: Leg, attempt: int, request: OrderRequest, details: JsonObject
) -> DecodedObject:
    return {
        "client_order_id": request.client_order_id,
        "source": source,
        "leg": leg,
        "attempt": attempt,
        "symbol": request.symbol,
        "request": request_to_json(request),
        "details": details,
    }


def _event_data(
    client_order_id: str, event: IntentEvent, status: IntentStatus, details: JsonObject
) -> JsonObject:
    return {
        "client_order_id": client_order_id,
        "event": event,
        "status": status,
        "details": details,
    }

"""The table of intents: what the journal's rows add up to, one line per client order id.

It can always be derived from the rows again; it exists so that a restart does not read them all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.journal.encoding import DecodedObject, JsonObject, decode, encode
from trader_cli.journal.errors import JournalCorrupt
from trader_cli.journal.requests import request_from_json, request_to_json

INTENT: Final = "intent"
INTENT_EVENT: Final = "intent_event"

_COLUMNS: Final = (
    "client_order_id, source, leg, attempt, symbol, request, details, outcome, status,"
    " created_ms, updated_ms, last_seq"
)
_MARKS: Final = ", ".join("?" * (_COLUMNS.count(",") + 1))
_DECODED_KEPT: Final = 1_024
"""Every entry looks at the orders of the last half minute; decoding is most of what it costs."""

Line = tuple[str, str, str, int, str, str, str, str, str, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecord:
    """One order we meant to send and what we know of it.

    Attributes:
        source: the decision or command it came from.
        details: given when it was recorded; Decimals as text.
        outcome: the details of all events since, later ones laid over earlier ones.
        created_ms, updated_ms: local time of the first and the last row about it.
        last_seq: number of the last row about it.
    """

    client_order_id: str
    source: str
    leg: Leg
    attempt: int
    symbol: str
    request: OrderRequest
    details: DecodedObject
    outcome: DecodedObject
    status: IntentStatus
    created_ms: int
    updated_ms: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an intent stands, which is all that its next event has to know.

    Attributes:
        outcome: as text, the way it lies in the table.
    """

    status: IntentStatus
    outcome: str


def find(
    connection: sqlite3.Connection, where: str = "TRUE", values: tuple[str | int, ...] = ()
) -> list[IntentRecord]:
    """Return the intents that satisfy `where`, oldest first."""
    query = f"SELECT {_COLUMNS} FROM intents WHERE {where} ORDER BY created_ms, last_seq"
    return [_from_line(line) for line in connection.execute(query, values).fetchall()]


def touched_since(connection: sqlite3.Connection, since_ms: int) -> list[IntentRecord]:
    """Return the intents whose last row is not older than `since_ms`, local time."""
    return find(connection, "updated_ms >= ?", (since_ms,))


def find_one(connection: sqlite3.Connection, client_order_id: str) -> IntentRecord | None:
    found = find(connection, "client_order_id = ?", (client_order_id,))
    return found[0] if found else None


def find_standing(connection: sqlite3.Connection, client_order_id: str) -> Standing | None:
    query = "SELECT status, outcome FROM intents WHERE client_order_id = ?"
    line = connection.execute(query, (client_order_id,)).fetchone()
    if line is None:
        return None
    with _readable(client_order_id):
        return Standing(IntentStatus(line[0]), line[1])


def begin(
    connection: sqlite3.Connection,
    data: Mapping[str, Any],
    status: IntentStatus,
    *,
    created_ms: int,
    updated_ms: int,
    last_seq: int,
) -> bool:
    """Insert the line of a new intent, as `follow` would; False if its id is there already.

    `data` is that of its row, `status` what it has come to within the same transaction.
    """
    line: Line = (
        data["client_order_id"],
        data["source"],
        str(data["leg"]),
        data["attempt"],
        data["symbol"],
        encode(data["request"]),
        encode(data["details"]),
        encode({}),
        str(status),
        created_ms,
        updated_ms,
        last_seq,
    )
    query = f"INSERT OR IGNORE INTO intents ({_COLUMNS}) VALUES ({_MARKS})"
    return connection.execute(query, line).rowcount == 1


def advance(
    connection: sqlite3.Connection,
    client_order_id: str,
    before: Standing,
    status: IntentStatus,
    details: JsonObject,
    *,
    local_ms: int,
    last_seq: int,
) -> None:
    """Write down an event's outcome, as `follow` would, without touching what it cannot change."""
    outcome = encode({**decode(before.outcome), **details}) if details else before.outcome
    connection.execute(
        "UPDATE intents SET status = ?, outcome = ?, updated_ms = ?, last_seq = ?"
        " WHERE client_order_id = ?",
        (str(status), outcome, local_ms, last_seq, client_order_id),
    )


def store(connection: sqlite3.Connection, record: IntentRecord) -> None:
    """Insert the intent's line, or replace it."""
    connection.execute(
        f"INSERT OR REPLACE INTO intents ({_COLUMNS}) VALUES ({_MARKS})", _to_line(record)
    )


def follow(
    known: IntentRecord | None, *, seq: int, local_ms: int, kind: str, data: DecodedObject
) -> IntentRecord:
    """Return what is known of an intent after a row of kind INTENT or INTENT_EVENT about it."""
    if kind == INTENT:
        return IntentRecord(
            client_order_id=data["client_order_id"],
            source=data["source"],
            leg=Leg(data["leg"]),
            attempt=data["attempt"],
            symbol=data["symbol"],
            request=request_from_json(data["request"]),
            details=data["details"],
            outcome={},
            status=IntentStatus.INTENDED,
            created_ms=local_ms,
            updated_ms=local_ms,
            last_seq=seq,
        )
    if known is None:
        raise JournalCorrupt(
            f"row {seq} speaks of {data['client_order_id']}, which no row introduced",
            advice="Run `trader journal verify`.",
        )
    return replace(
        known,
        status=IntentStatus(data["status"]),
        outcome={**known.outcome, **data["details"]},
        updated_ms=local_ms,
        last_seq=seq,
    )


def derive(rows: Iterable[tuple[int, int, str, str]]) -> dict[str, IntentRecord]:
    """Return every intent by its id, from rows of (seq, local_ms, kind, data) in order."""
    intents: dict[str, IntentRecord] = {}
    for seq, local_ms, kind, text in rows:
        if kind in (INTENT, INTENT_EVENT):
            data = decode(text)
            name = data["client_order_id"]
            intents[name] = follow(
                intents.get(name), seq=seq, local_ms=local_ms, kind=kind, data=data
            )
    return intents


def _to_line(record: IntentRecord) -> Line:
    return (
        record.client_order_id,
        record.source,
        str(record.leg),
        record.attempt,
        record.symbol,
        encode(request_to_json(record.request)),
        encode(record.details),
        encode(record.outcome),
        str(record.status),
        record.created_ms,
        record.updated_ms,
        record.last_seq,
    )


@lru_cache(maxsize=_DECODED_KEPT)
def _from_line(line: Line) -> IntentRecord:
    """Return the record a line holds; nobody changes what is in one, so equal lines share it."""
    name, source, leg, attempt, symbol, request, details, outcome, status, *numbers = line
    created_ms, updated_ms, last_seq = numbers
    with _readable(name):
        return IntentRecord(
            client_order_id=name,
            source=source,
            leg=Leg(leg),
            attempt=attempt,
            symbol=symbol,
            request=request_from_json(decode(request)),
            details=decode(details),
            outcome=decode(outcome),
            status=IntentStatus(status),
            created_ms=created_ms,
            updated_ms=updated_ms,
            last_seq=last_seq,
        )


@contextmanager
def _readable(client_order_id: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise JournalCorrupt(
            f"the journal's line about {client_order_id} cannot be read: {error}",
            advice="Run `trader journal verify`.",
        ) from error

"""What we believe of positions: the journal's rows about them, added up, one belief per position.

Knows four kinds of rows: what was last seen of a position, how long it was without a stop, that it
was adopted, and now and then the sum of all before, so that nobody reads the whole journal. What
the exchange says is compared elsewhere (`drift`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.terms import PositionSide
from trader_cli.journal.encoding import DecodedObject, JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.reading import JournalRow
from trader_cli.trading.ports import IntentJournal

POSITION_ROW: Final = "position"
"""Kind of the journal rows that say what we last knew of a position."""

PROTECTED_ROW: Final = "protected"
"""Kind of the journal rows that say how long a position was without a stop."""

ADOPTED_ROW: Final = "adopted"
"""Kind of the journal rows that say that a position somebody else opened is ours from now on."""

SUM_ROW: Final = "beliefs"
"""Kind of the journal rows that add up all rows of the other kinds before."""

SYNC_SOURCE: Final = "sync"
"""The source of rows that a comparison with the exchange wrote."""

_WAIT_MS: Final = 50
_SUM_EVERY: Final = 64

Key = tuple[str, PositionSide]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What we last knew of one position.

    Attributes:
        quantity: signed, 0 is flat.
        own: we opened it, or it was adopted.
        opened_ms: exchange time at which it was first seen; None when flat or never told.
        seen_ms: local time of the last row about it.
        unprotected_ms: how long it was without a stop so far; None if that was never measured.
        adopted_by: the advisor that an adopted position was given to, None if it was not adopted.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    own: bool
    opened_ms: int | None
    seen_ms: int
    unprotected_ms: int | None = None
    adopted_by: str | None = None

    @property
    def key(self) -> Key:
        return self.symbol, self.position_side


def remember_position(
    journal: IntentJournal,
    symbol: str,
    position_side: PositionSide,
    position: Position | None,
    *,
    source: str,
    own: bool = True,
) -> None:
    """Journal what the exchange last said of a position, None for flat; best effort.

    `own` says whose it is if nothing was known of it before; else that stays as it was.
    """
    flat = position is None
    # What is not written is found as a difference by the next comparison, and remembered then.
    with contextlib.suppress(JournalUnavailable):
        journal.record(
            POSITION_ROW,
            {
                "symbol": symbol,
                "position_side": str(position_side),
                "quantity": to_text(ZERO if position is None else position.quantity),
                "entry_price": to_text(ZERO if position is None else position.entry_price),
                "updated_ms": None if position is None else position.updated_ms,
                "own": own and not flat,
                "source": source,
            },
            deadline_ms=_WAIT_MS,
        )


def remember_protected(
    journal: IntentJournal, position: Position, unprotected_ms: int, *, source: str
) -> None:
    """Journal how long a position was without its stop; best effort."""
    with contextlib.suppress(JournalUnavailable):
        journal.record(
            PROTECTED_ROW,
            {
                "symbol": position.symbol,
                "position_side": str(position.position_side),
                "unprotected_ms": unprotected_ms,
                "source": source,
            },
            deadline_ms=_WAIT_MS,
        )


def read_beliefs(journal: IntentJournal) -> dict[Key, Belief]:
    """Return what we believe of every position ever seen, flat ones too.

    Reads the newest sum and the rows after it; where those are many, a new sum is written.

    Raises:
        JournalUnavailable: it could not be read.
    """
    summed = journal.last(SUM_ROW)
    beliefs: dict[Key, Belief] = {}
    upto = 0
    if summed is not None:
        upto = int(summed.data["upto"])
        found = [_from_sum(row) for row in summed.data["positions"]]
        beliefs = {row.key: row for row in found}
    # Positions come first: what is committed before the newest of them is complete in all kinds.
    positions = list(journal.rows(kind=POSITION_ROW, after=upto))
    others = [
        row for kind in (PROTECTED_ROW, ADOPTED_ROW) for row in journal.rows(kind=kind, after=upto)
    ]
    rows = sorted([*positions, *others], key=lambda row: row.seq)
    if positions and len(rows) >= _SUM_EVERY:
        newest = positions[-1].seq
        beliefs = _folded(beliefs, (row for row in rows if row.seq <= newest))
        _write_sum(journal, newest, beliefs)
        rows = [row for row in rows if row.seq > newest]
    return _folded(beliefs, rows)


def summed_up_to(journal: IntentJournal) -> int:
    """Return the number of the last row that the newest sum contains, 0 if there is none.

    Raises:
        JournalUnavailable: it could not be read.
    """
    summed = journal.last(SUM_ROW)
    return 0 if summed is None else int(summed.data["upto"])


def held(beliefs: dict[Key, Belief]) -> dict[Key, Belief]:
    """Return those that are not flat."""
    return {key: row for key, row in beliefs.items() if row.quantity != 0}


def _folded(beliefs: dict[Key, Belief], rows: Iterable[JournalRow]) -> dict[Key, Belief]:
    result = dict(beliefs)
    for row in rows:
        key = str(row.data["symbol"]), PositionSide(row.data["position_side"])
        before = result.get(key)
        if row.kind == POSITION_ROW:
            result[key] = _seen(key, before, row)
        elif before is not None and before.quantity != 0:
            result[key] = _told(before, row)
    return result


def _seen(key: Key, before: Belief | None, row: JournalRow) -> Belief:
    data = row.data
    quantity = Decimal(data["quantity"])
    updated = data.get("updated_ms")
    fresh = Belief(
        symbol=key[0],
        position_side=key[1],
        quantity=quantity,
        entry_price=Decimal(data["entry_price"]),
        own=bool(data.get("own", data.get("source") != SYNC_SOURCE)),
        opened_ms=None if updated is None else int(updated),
        seen_ms=row.local_ms,
    )
    if before is None or before.quantity * quantity <= 0:
        return fresh
    return replace(before, quantity=quantity, entry_price=fresh.entry_price, seen_ms=row.local_ms)


def _told(before: Belief, row: JournalRow) -> Belief:
    if row.kind == ADOPTED_ROW:
        return replace(before, own=True, adopted_by=str(row.data["advisor"]))
    return replace(
        before, unprotected_ms=(before.unprotected_ms or 0) + int(row.data["unprotected_ms"])
    )


def _write_sum(journal: IntentJournal, upto: int, beliefs: dict[Key, Belief]) -> None:
    positions = [_to_sum(row) for row in beliefs.values()]
    with contextlib.suppress(JournalUnavailable):
        journal.record(SUM_ROW, {"upto": upto, "positions": positions}, deadline_ms=_WAIT_MS)


def _to_sum(belief: Belief) -> JsonObject:
    return {
        "symbol": belief.symbol,
        "position_side": str(belief.position_side),
        "quantity": to_text(belief.quantity),
        "entry_price": to_text(belief.entry_price),
        "own": belief.own,
        "opened_ms": belief.opened_ms,
        "seen_ms": belief.seen_ms,
        "unprotected_ms": belief.unprotected_ms,
        "adopted_by": belief.adopted_by,
    }


def _from_sum(data: DecodedObject) -> Belief:
    return Belief(
        symbol=data["symbol"],
        position_side=PositionSide(data["position_side"]),
        quantity=Decimal(data["quantity"]),
        entry_price=Decimal(data["entry_price"]),
        own=data["own"],
        opened_ms=data["opened_ms"],
        seen_ms=data["seen_ms"],
        unprotected_ms=data["unprotected_ms"],
        adopted_by=data["adopted_by"],
    )

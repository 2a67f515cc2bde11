"""Entries that were written down and that a reading of the account cannot show yet.

Pure. Two orders decided at the same moment, in one process or in two, each find an account in
which the other is not there. What the journal knows of both makes up for it: an entry counts from
the moment it is written down until a reading begun after its end. Where it is not certain what of
it a reading has seen, it counts in full: one exposure too many refuses an order, one too few loses
the limit. So does what an amendment under way may make of a resting entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.journal.index import IntentRecord
from trader_cli.trading.risk.changing import change_of
from trader_cli.trading.risk.exposure import as_resting
from trader_cli.trading.risk.risk_terms import RestingEntry, RiskView

MARK_DETAIL: Final = "mark"
"""Key of an intent's details: the mark price that its approval saw, to value it by."""

IN_FLIGHT_MS: Final = 30_000
"""No order arrives later than this after it left: retries, receive window and margin included."""

_UNANSWERED: Final = frozenset({IntentStatus.INTENDED, IntentStatus.SENT, IntentStatus.UNKNOWN})
_NOTHING_CAME: Final = frozenset({IntentStatus.REJECTED, IntentStatus.NOT_EXECUTED})


def asked_since_ms(view: RiskView) -> int | None:
    """Return from when on intents matter for `view`, local time; None if it shows everything."""
    return None if view.began_ms is None else view.began_ms - IN_FLIGHT_MS


def with_pending(
    view: RiskView, intents: Iterable[IntentRecord], *, leave_out: str = ""
) -> RiskView:
    """Return the view with what the intents may add to it; the one called `leave_out` does not."""
    if view.began_ms is None:
        return view
    resting = {row.client_order_id: row for row in view.resting}
    grown: dict[str, RestingEntry] = {}
    pending: list[RestingEntry] = []
    for intent in intents:
        name = intent.client_order_id
        shown = resting.get(name)
        if name == leave_out:
            continue
        if shown is not None:
            largest = _at_its_largest(shown, intent, view)
            if largest is not shown:
                grown[name] = largest
        elif name not in view.seen and (entry := _pending(intent, view)) is not None:
            pending.append(entry)
    if not pending and not grown:
        return view
    rows = (grown.get(row.client_order_id, row) for row in view.resting)
    return replace(view, resting=(*rows, *pending))


def _at_its_largest(row: RestingEntry, intent: IntentRecord, view: RiskView) -> RestingEntry:
    """Return a resting entry as large as an amendment made it since, or may still make it."""
    quantities, prices = _amended(intent)
    change = change_of(intent)
    if change is None and _is_shown(intent, view):
        return row
    filled = _number(intent.outcome.get("filled_quantity")) or ZERO
    quantity = max(row.quantity, *(one - filled for one in quantities), ZERO)
    price = row.price if row.price is None else max(row.price, *prices, ZERO)
    if (quantity, price) == (row.quantity, row.price):
        return row
    return replace(row, quantity=quantity, price=price)


def _amended(intent: IntentRecord) -> tuple[list[Decimal], list[Decimal]]:
    """Return the whole quantities, and the prices, that amendments gave the order or may give."""
    change = change_of(intent)
    quantities = [_number(intent.outcome.get("quantity")), change and change.quantity]
    prices = [_number(intent.outcome.get("price")), change and change.price]
    return [one for one in quantities if one], [one for one in prices if one]


def _pending(intent: IntentRecord, view: RiskView) -> RestingEntry | None:
    """Return what an intent that the view does not name may add, None if nothing."""
    entry = as_resting(intent.request)
    if entry is None or intent.status in _NOTHING_CAME:
        return None
    if intent.status not in _UNANSWERED and _is_shown(intent, view):
        return None
    quantities, prices = _amended(intent)
    entry = replace(
        entry,
        quantity=max(entry.quantity, *quantities, ZERO),
        price=max(entry.price or ZERO, *prices, ZERO) or None,
    )
    if intent.status is IntentStatus.CANCELED:
        entry = replace(entry, quantity=_number(intent.outcome.get("filled_quantity")) or ZERO)
    if entry.quantity <= 0:
        return None
    # The view may know no mark of its symbol: then the one counts that its approval saw.
    mark = _number(intent.details.get(MARK_DETAIL)) or ZERO
    price = max(entry.price or mark, mark)
    return replace(entry, price=price or None)


def _is_shown(intent: IntentRecord, view: RiskView) -> bool:
    """Return True if the view began after the last that was written down of the intent.

    Whatever it had come to is a position in the view then, or gone. Rows are compared, not times:
    a note and the reading after it often fall into one millisecond.
    """
    if view.lag_ms == 0:
        return intent.last_seq <= view.began_seq
    assert view.began_ms is not None, "asked only of a view that began"
    return intent.updated_ms < view.began_ms - view.lag_ms


def _number(text: object) -> Decimal | None:
    try:
        return Decimal(str(text)) if text is not None else None
    except InvalidOperation:
        return None

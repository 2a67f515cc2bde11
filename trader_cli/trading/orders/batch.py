"""Send several orders at once, each approved as if those before it rested already.

Knows how the exchange takes batches (five regular orders, each with its own outcome) and what a
lost answer means for every order in it. Conditional orders have no batches and go one by one.

Source: binance-usdm reference §6.3 (batchOrders), §7.1 (none in the Algo Service).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import ConditionalRequest, OrderRequest
from trader_cli.errors import TraderError
from trader_cli.trading.orders.order_desk import OrderDesk, Placed
from trader_cli.trading.orders.recording import Prepared
from trader_cli.trading.risk.exposure import as_resting
from trader_cli.trading.risk.risk_terms import RestingEntry, RiskView

BATCH_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One wish of a batch."""

    request: OrderRequest
    leg: Leg


async def place_batch(
    desk: OrderDesk, items: Sequence[BatchItem], *, source: str
) -> list[Placed | TraderError]:
    """Place every item and return what became of each, in order; no item ends the others.

    All are approved before the first is sent; an item that is refused is left out.
    """
    outcomes: list[Placed | TraderError | None] = [None] * len(items)
    views: dict[str, RiskView] = {}
    approved: list[tuple[int, Prepared]] = []
    for number, item in enumerate(items):
        symbol = item.request.symbol
        try:
            view = views.get(symbol)
            if view is None:
                view = await desk.view(symbol)
            prepared = await desk.prepare(item.request, source=source, leg=item.leg, view=view)
        except TraderError as error:
            outcomes[number] = error
            continue
        approved.append((number, prepared))
        entry = as_resting(prepared.request)
        # What was approved counts for those after it, on every symbol.
        views[symbol] = view
        if entry is not None:
            views = {name: _with(row, entry) for name, row in views.items()}
    regular = [row for row in approved if not isinstance(row[1].request, ConditionalRequest)]
    single = [row for row in approved if isinstance(row[1].request, ConditionalRequest)]
    for start in range(0, len(regular), BATCH_MAX):
        part = regular[start : start + BATCH_MAX]
        sent = await desk.send_prepared([prepared for _, prepared in part])
        for (number, _), outcome in zip(part, sent, strict=True):
            outcomes[number] = outcome
    for number, prepared in single:
        [outcomes[number]] = await desk.send_prepared([prepared])
    return [_known(row) for row in outcomes]


def _with(view: RiskView, entry: RestingEntry) -> RiskView:
    return replace(view, resting=(*view.resting, entry))


def _known(outcome: Placed | TraderError | None) -> Placed | TraderError:
    assert outcome is not None, "every item was refused or sent"
    return outcome

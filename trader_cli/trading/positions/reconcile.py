"""Prove every unfinished intent against the exchange, then say what is really there.

Knows the journal's open questions and where the exchange answers them; must not know what anybody
does about the answer. Run before anything opens: at the engine's start, after a gap in a stream,
and by `order resolve`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import is_own
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.errors import TraderError
from trader_cli.journal.index import IntentRecord
from trader_cli.trading.orders.brackets import covers
from trader_cli.trading.orders.lookup import event_of
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.order_tracker import RESOLVE_S
from trader_cli.trading.positions.drift import Drift, sync
from trader_cli.trading.risk.changing import change_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """One intent whose state is now known."""

    client_order_id: str
    symbol: str
    before: IntentStatus
    after: IntentStatus
    order: Order | AlgoOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """One intent that is still open to question; nothing opens on its symbol."""

    client_order_id: str
    symbol: str
    error: TraderError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What the exchange holds, and what became of our open questions.

    Attributes:
        drifts: differences from our belief, which is corrected by now.
        unprotected: positions without a stop that covers all of them.
        listed_ms: exchange time at which the orders, of all symbols, were asked for.
    """

    resolved: tuple[Resolved, ...]
    unresolved: tuple[Unresolved, ...]
    own_orders: tuple[Order | AlgoOrder, ...]
    foreign_orders: tuple[Order | AlgoOrder, ...]
    positions: tuple[Position, ...]
    drifts: tuple[Drift, ...]
    unprotected: tuple[Position, ...]
    listed_ms: int

    @property
    def is_clean(self) -> bool:
        """True if every intent's outcome is proven."""
        return not self.unresolved


async def reconcile(orders: OrderManager, *, within_s: float = RESOLVE_S) -> ReconcileReport:
    """Resolve every unfinished intent, in parallel, and read orders and positions afterwards.

    Raises:
        VenueError: orders or positions could not be read.
        JournalUnavailable: the journal could not be read or written.
    """
    resting = {row.client_order_id: row for row in await orders.open_orders()}
    outcomes = await asyncio.gather(
        *(
            _settle(orders, intent, resting.get(intent.client_order_id), within_s)
            for intent in orders.journal.unfinished_intents()
        )
    )
    return await _report(orders, outcomes)


async def resolve_one(
    orders: OrderManager, client_order_id: str, *, within_s: float = RESOLVE_S
) -> Resolved:
    """Prove what became of one intent.

    Raises:
        UsageError: the journal knows no such intent.
        OutcomeUnknown: no proof within `within_s` seconds.
    """
    intent = orders.journal.intent(client_order_id)
    before = IntentStatus.UNKNOWN if intent is None else intent.status
    found = await orders.resolve(client_order_id, within_s=within_s)
    return Resolved(
        client_order_id=client_order_id,
        symbol="" if intent is None else intent.symbol,
        before=before,
        after=found.status,
        order=found.order,
    )


async def _settle(
    orders: OrderManager,
    intent: IntentRecord,
    resting: Order | AlgoOrder | None,
    within_s: float,
) -> Resolved | Unresolved:
    believed = intent.status in (IntentStatus.OPEN, IntentStatus.PARTLY_FILLED)
    known = believed and change_of(intent) is None
    if resting is not None and known and event_of(resting) is IntentEvent.ACCEPT:
        # It rests as believed: nothing to prove, nothing to write.
        after = intent.status
        order: Order | AlgoOrder | None = resting
    else:
        try:
            found = await orders.resolve(intent.client_order_id, within_s=within_s)
        except TraderError as error:
            return Unresolved(
                client_order_id=intent.client_order_id, symbol=intent.symbol, error=error
            )
        after, order = found.status, found.order
    return Resolved(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        before=intent.status,
        after=after,
        order=order,
    )


async def _report(orders: OrderManager, outcomes: list[Resolved | Unresolved]) -> ReconcileReport:
    listed_ms = orders.client.venue_now_ms()
    positions, resting = await asyncio.gather(orders.client.get_positions(), orders.open_orders())
    held = [row for row in positions if not row.is_flat]
    algos = [row for row in resting if isinstance(row, AlgoOrder)]
    drifts = await sync(
        orders.client, orders.journal, positions, resting, now_ms=orders.clock.now_ms()
    )
    return ReconcileReport(
        resolved=tuple(row for row in outcomes if isinstance(row, Resolved)),
        unresolved=tuple(row for row in outcomes if isinstance(row, Unresolved)),
        own_orders=tuple(row for row in resting if is_own(row.client_order_id)),
        foreign_orders=tuple(row for row in resting if not is_own(row.client_order_id)),
        positions=tuple(held),
        drifts=(*drifts, *(_gone(row) for row in outcomes if _vanished(row))),
        unprotected=tuple(row for row in held if not any(covers(row, algo) for algo in algos)),
        listed_ms=listed_ms,
    )


def _vanished(outcome: Resolved | Unresolved) -> bool:
    """Return True for an order that rested by our knowledge and was ended by somebody else."""
    return (
        isinstance(outcome, Resolved)
        and is_own(outcome.client_order_id)
        and outcome.before in (IntentStatus.OPEN, IntentStatus.PARTLY_FILLED)
        and outcome.after is IntentStatus.CANCELED
    )


def _gone(outcome: Resolved | Unresolved) -> Drift:
    return Drift(
        kind="order_gone",
        symbol=outcome.symbol,
        message=f"our order {outcome.client_order_id} was cancelled elsewhere or expired",
        client_order_ids=(outcome.client_order_id,),
    )

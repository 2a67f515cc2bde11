"""Follow orders: what became of them, their newest state, and how they are taken back.

Knows where the exchange keeps orders and what proves that one never came; must not know how orders
are approved or sent. Every proof and every event of our own orders goes to the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.account_events import AlgoUpdated, OrderUpdated
from trader_cli.domain.client_id import Leg, is_own
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    Order,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.errors import (
    BrokenInvariant,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    UsageError,
    VenueError,
)
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.index import IntentRecord
from trader_cli.trading.orders.lookup import (
    NO_SUCH_ORDER,
    UNKNOWN_ORDER,
    event_of,
    find_conditional,
    find_regular,
)
from trader_cli.trading.orders.waiting import within
from trader_cli.trading.ports import IntentJournal, Venue
from trader_cli.trading.risk.changing import (
    STRANGER,
    Change,
    change_of,
    doubting,
    request_of,
    settled,
)
from trader_cli.urgency import insisting

_T = TypeVar("_T")

ABSENCE_MARGIN_MS: Final = 1_000
"""Beyond recvWindow, before "does not exist" proves that nothing will come of a request."""

RESOLVE_S: Final = 12.0
"""How long a doubtful send is asked about before it is left unknown."""

NOTE_JOURNAL_MS: Final = 50
"""How long the journal holds up whoever learned something; later the row waits by itself."""

CONTRADICTION_ROW: Final = "contradiction"
"""Kind of the journal rows that say the exchange did what we had proof it had not done."""

_SEEN: Final = (IntentStatus.OPEN, IntentStatus.PARTLY_FILLED, IntentStatus.UNSETTLED)
_ASK_PAUSE_S: Final = 0.25
_ASK_PAUSE_S_MAX: Final = 1.0
_CANCEL_PAUSE_S: Final = 0.2
_CANCEL_TRIES: Final = 5
_CANCEL_PATIENCE_S: Final = 2.0
"""How long the first try of a cancel waits for its answer, the next ones twice as long each: it may
be repeated, and what became of the first is what the second tells."""

_LATEST_KEPT: Final = 256


class StillRests(OutcomeUnknown):
    """A cancel whose every try provably did not arrive; `proof` is what the last one came to.

    For a command that did more than cancel it is one of its unknown outcomes: the order may go on.
    """

    def __init__(self, message: str, *, proof: VenueError) -> None:
        super().__init__(message, code=proof.code)
        self.proof = proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What an intent turned out to be; `order` is None where nothing reached the exchange."""

    client_order_id: str
    status: IntentStatus
    order: Order | AlgoOrder | None


class OrderTracker:
    """Resolve, observe, refresh and cancel single orders; `OrderDesk` adds the sending.

    Attributes:
        absence_ms: after so long a request that nobody has seen can no longer arrive.
    """

    def __init__(
        self, client: Venue, *, journal: IntentJournal, clock: Clock, recv_window_ms: int
    ) -> None:
        self.client = client
        self.journal = journal
        self.clock = clock
        self.absence_ms = recv_window_ms + ABSENCE_MARGIN_MS
        self._latest: dict[str, Order | AlgoOrder] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._hearers: list[Callable[[Order], None]] = []
        self._strangers: set[str] = set()

    # --- doubt -----------------------------------------------------------------------------

    async def resolve(self, client_order_id: str, *, within_s: float = RESOLVE_S) -> Resolution:
        """Prove what became of a journaled intent and journal the proof.

        Raises:
            UsageError: the journal knows no such intent.
            OutcomeUnknown: no proof within `within_s` seconds; ask again later.
        """
        intent = self.journal.intent(client_order_id)
        if intent is None:
            raise UsageError(f"the journal knows no order {client_order_id}", code="unknown_id")
        if intent.status.is_final:
            return Resolution(client_order_id=client_order_id, status=intent.status, order=None)
        change = change_of(intent)
        since_ms = self._doubt_since_ms(intent)
        found = await self._ask(intent.request, since_ms=since_ms, within_s=within_s, change=change)
        if found is not None:
            self._keep(found)
            if change is not None and found.status.is_open:
                self.journal.record_event(client_order_id, IntentEvent.SETTLE, settled(found))
            status = self.journal.record_event(
                client_order_id, event_of(found), order_details(found)
            )
            return Resolution(client_order_id=client_order_id, status=status, order=found)
        # An order that was once seen and is nowhere now ended without a fill: the exchange
        # forgets those after three days, fills only after ninety.
        seen = intent.status in _SEEN
        absent = IntentEvent.CANCEL if seen else IntentEvent.PROVE_ABSENT
        status = self.journal.record_event(client_order_id, absent, {"proof": "absent"})
        return Resolution(client_order_id=client_order_id, status=status, order=None)

    def _doubt_since_ms(self, intent: IntentRecord) -> int:
        """Return the latest local time at which the request can have left this machine."""
        if intent.status is IntentStatus.UNKNOWN:
            return intent.updated_ms
        change = change_of(intent)
        if change is not None and change.doubt_ms is not None:
            return change.doubt_ms
        if change is not None:
            # Its process died, or still waits for the answer.
            now_ms = self.clock.now_ms()
            self.journal.record_event(
                intent.client_order_id,
                IntentEvent.DOUBT_CHANGE,
                doubting(now_ms, cancels=change.cancels),
            )
            return now_ms
        if intent.status in (IntentStatus.INTENDED, IntentStatus.SENT):
            # Its process died, or still sends: the clock of the proof starts now.
            if intent.status is IntentStatus.INTENDED:
                self.journal.record_event(intent.client_order_id, IntentEvent.SEND, {})
            self.journal.record_event(
                intent.client_order_id, IntentEvent.DOUBT, {"error": "no answer was journaled"}
            )
        return self.clock.now_ms()

    async def _ask(
        self,
        request: OrderRequest,
        *,
        since_ms: int,
        within_s: float,
        change: Change | None = None,
    ) -> Order | AlgoOrder | None:
        """Ask until the order is found or its absence is proven (None).

        With a `change` until the order proves what became of that.

        Raises:
            OutcomeUnknown: neither, within `within_s` seconds.
        """
        unproven = outcome_unknown(request)
        end = self.clock.monotonic() + within_s
        offset_ms = self.client.venue_now_ms() - self.clock.now_ms()
        proof_from_ms = since_ms + offset_ms + self.absence_ms
        find = find_conditional if isinstance(request, ConditionalRequest) else find_regular
        pause_s = _ASK_PAUSE_S
        while True:
            asked_ms = self.client.venue_now_ms()
            try:
                found = await find(
                    self.client, request.symbol, request.client_order_id, since_ms=since_ms
                )
            except RateLimited as error:
                if error.banned:
                    raise unproven from error
            except VenueError:
                pass  # a read that failed proves nothing; the deadline bounds the asking
            else:
                too_late = asked_ms > proof_from_ms
                if found is None and too_late:
                    return None
                if found is not None and (
                    change is None or change.is_settled_by(found, too_late=too_late)
                ):
                    return found
            left_s = end - self.clock.monotonic()
            if left_s <= 0:
                raise unproven
            await self.clock.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _ASK_PAUSE_S_MAX)

    # --- following -------------------------------------------------------------------------

    def observe(self, event: OrderUpdated | AlgoUpdated) -> None:
        """Take an order event of the user stream: journal it if the order is ours, wake waiters."""
        self._keep(event.order)
        if isinstance(event.order, Order):
            for hear in tuple(self._hearers):
                hear(event.order)
        self._note_order(event.order)
        # Only what others tell wakes a waiter: its own polls must not, or it would never sleep.
        news = self._news.get(event.order.client_order_id)
        if news is not None:
            news.set()

    @contextlib.contextmanager
    def heard_by(self, hear: Callable[[Order], None]) -> Iterator[None]:
        """Let `hear` be told of every regular order of the user stream, whoever waits for what."""
        self._hearers.append(hear)
        try:
            yield
        finally:
            self._hearers.remove(hear)

    async def wait_for_news(
        self, client_order_id: str, seconds: float, *also: asyncio.Event
    ) -> None:
        """Return when an event of this order, or one of `also`, came, or after `seconds`."""
        news = self._news.setdefault(client_order_id, asyncio.Event())
        waiting: list[asyncio.Task[object]] = [
            asyncio.create_task(event.wait()) for event in (news, *also)
        ]
        waiting.append(asyncio.create_task(self.clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        news.clear()

    def forget_news(self, client_order_id: str) -> None:
        """Stop keeping news for an order that is final."""
        self._news.pop(client_order_id, None)

    def latest(self, client_order_id: str) -> Order | AlgoOrder | None:
        """Return the newest state of an order that this process has seen."""
        return self._latest.get(client_order_id)

    async def refresh(self, order: Order) -> Order:
        """Return the order as the exchange holds it now, with its average price.

        Raises:
            VenueError: it could not be read.
        """
        asked_ms = self.client.venue_now_ms()
        fresh = await self.client.get_order_status(
            order.symbol, client_order_id=order.client_order_id
        )
        self._keep(fresh)
        self._note_order(fresh, asked_ms=asked_ms)
        return fresh

    def _keep(self, order: Order | AlgoOrder) -> None:
        known = self._latest.get(order.client_order_id)
        if isinstance(known, Order) and isinstance(order, Order) and not _is_newer(order, known):
            return
        self._latest.pop(order.client_order_id, None)
        self._latest[order.client_order_id] = order
        if len(self._latest) > _LATEST_KEPT:
            del self._latest[next(iter(self._latest))]

    # --- cancelling ------------------------------------------------------------------------

    async def cancel_order(self, order: Order) -> Order:
        """Cancel a regular order and return its final state, with what was executed before.

        Cancels may be repeated. An order that had already ended is returned as it ended.

        Raises:
            StillRests: proven not to have arrived.
            OutcomeUnknown: it could not be learned whether the order is gone.
        """
        problem: VenueError | None = None
        doubtful = False
        for retry in range(_CANCEL_TRIES):
            if retry > 0:
                await self.clock.sleep(_CANCEL_PAUSE_S * 2.0 ** (retry - 1))
            try:
                final = await self._cancel_once(order, _CANCEL_PATIENCE_S * 2.0**retry)
            except VenueError as error:
                problem = error
                doubtful = doubtful or isinstance(error, OutcomeUnknown)
                if _is_in_vain(error):
                    break
            else:
                if not final.status.is_open:
                    self._keep(final)
                    self._note_order(final)
                    return final
                doubtful = True
        raise self._not_cancelled(order, problem, doubtful=doubtful) from problem

    async def _cancel_once(self, order: Order, patience_s: float) -> Order:
        try:
            cancelling = self.client.cancel_order(order.symbol, order.order_id)
            return await self._answered(cancelling, patience_s)
        except Rejected as error:
            if error.code not in (UNKNOWN_ORDER, NO_SUCH_ORDER):
                raise
        try:
            with insisting():  # what executed before it went decides about its stop
                return await self.client.get_order_status(order.symbol, order.order_id)
        except VenueError as error:
            raise OutcomeUnknown(
                f"it rests no more, and how it ended could not be read: {error.message}",
                code=error.code,
            ) from error

    async def cancel_algo(self, order: AlgoOrder) -> bool:
        """Cancel a conditional order; False if it rests no more and its end is to be looked up.

        It had ended by itself then, is triggering, or a cancel whose answer was lost took effect.

        Raises:
            StillRests: proven not to have arrived.
            OutcomeUnknown: it could not be learned whether the order is gone.
        """
        problem: VenueError | None = None
        doubtful = False
        for retry in range(_CANCEL_TRIES):
            if retry > 0:
                await self.clock.sleep(_CANCEL_PAUSE_S * 2.0 ** (retry - 1))
            try:
                cancelling = self.client.cancel_algo_order(order.algo_id)
                await self._answered(cancelling, _CANCEL_PATIENCE_S * 2.0**retry)
            except Rejected as error:
                if error.code not in (UNKNOWN_ORDER, NO_SUCH_ORDER):
                    raise
                return False
            except VenueError as error:
                problem = error
                doubtful = doubtful or isinstance(error, OutcomeUnknown)
                if _is_in_vain(error):
                    break
            else:
                self._note_about(order, IntentEvent.CANCEL, {})
                return True
        raise self._not_cancelled(order, problem, doubtful=doubtful) from problem

    async def _answered(self, cancelling: Coroutine[Any, Any, _T], patience_s: float) -> _T:
        """Return a cancel's answer.

        Raises:
            OutcomeUnknown: there was none in time. Whatever the cancel raises.
        """
        try:
            return await within(cancelling, self.clock, patience_s)
        except TimeoutError as error:
            raise OutcomeUnknown(f"no answer to a cancel for {patience_s:.0f} s") from error

    def _not_cancelled(
        self, order: Order | AlgoOrder, problem: VenueError | None, *, doubtful: bool
    ) -> OutcomeUnknown:
        """Return what a cancel ends in whose tries are used up."""
        detail = "it still rests" if problem is None else problem.message
        text = f"cancelling {order.client_order_id} on {order.symbol} did not succeed: {detail}"
        if problem is not None and not doubtful:
            return StillRests(text, proof=problem)
        self.doubt_cancel(order)
        return OutcomeUnknown(
            text, code=None if problem is None else problem.code, advice=resolve_advice(order)
        )

    def doubt_cancel(self, order: Order | AlgoOrder) -> None:
        """Journal that it is not known whether the order is gone, if it can raise exposure."""
        if not only_reduces(order):
            self.doubt_change(order, cancels=True)

    def doubt_change(self, order: Order | AlgoOrder, *, cancels: bool) -> None:
        """Journal that an amendment or a cancel has no answer: nothing opens until it has.

        A stranger's order is introduced to the journal by it.
        """
        if self._intent_of(order) is None:
            self._introduce(order)
        details = doubting(self.clock.now_ms(), cancels=cancels)
        self._note_about(order, IntentEvent.DOUBT_CHANGE, details)

    def _introduce(self, order: Order | AlgoOrder) -> None:
        self._strangers.add(order.client_order_id)
        # What cannot be written down now holds nothing up, as with orders of our own; nor does a
        # name under which the journal knows a stranger's order of another symbol.
        with contextlib.suppress(JournalUnavailable, BrokenInvariant):
            self.journal.record_intent(
                source=STRANGER,
                leg=Leg.EXIT if only_reduces(order) else Leg.ENTRY,
                attempt=0,
                request=request_of(order),
                details={},
                leaving=True,
                deadline_ms=NOTE_JOURNAL_MS,
                keep=True,
            )
            self.journal.record_event(
                order.client_order_id,
                IntentEvent.ACCEPT,
                {},
                deadline_ms=NOTE_JOURNAL_MS,
                keep=True,
            )

    def change_is_in_doubt(self, order: Order | AlgoOrder) -> bool:
        """Return True if the journal says so of the order."""
        intent = self._intent_of(order)
        return intent is not None and intent.status is IntentStatus.UNSETTLED

    # --- journaling what was learned ---------------------------------------------------------

    def _note_order(self, order: Order | AlgoOrder, *, asked_ms: int | None = None) -> None:
        """Journal an order as it is; `asked_ms` is when it was asked for, by exchange time."""
        if not is_own(order.client_order_id) and order.client_order_id not in self._strangers:
            return  # others' orders come by the same stream, perhaps thousands of them
        intent = self._intent_of(order)
        if intent is None:
            return
        change = change_of(intent)
        if change is not None and self._is_settled(change, order, asked_ms):
            self.settle(order, order)
            intent = self._intent_of(order) or intent
        self._write_down(intent, event_of(order), order_details(order))

    def _is_settled(self, change: Change, order: Order | AlgoOrder, asked_ms: int | None) -> bool:
        """Return True if the order, still resting, proves what became of the change."""
        if not order.status.is_open:
            return False  # its end is an event of its own
        offset_ms = self.client.venue_now_ms() - self.clock.now_ms()
        too_late = (
            asked_ms is not None
            and change.doubt_ms is not None
            and asked_ms > change.doubt_ms + offset_ms + self.absence_ms
        )
        return change.is_settled_by(order, too_late=too_late)

    def settle(self, order: Order | AlgoOrder, now: Order | AlgoOrder | None) -> None:
        """Journal that nothing is in doubt about an order that rests as `now`, None: as before."""
        self._note_about(order, IntentEvent.SETTLE, settled(now))

    def _note_about(
        self, order: Order | AlgoOrder, event: IntentEvent, details: JsonObject
    ) -> None:
        intent = self._intent_of(order)
        if intent is not None:
            self._write_down(intent, event, details)

    def _intent_of(self, order: Order | AlgoOrder) -> IntentRecord | None:
        """Return what the journal knows of an order; of a stranger's only what we changed of it."""
        with contextlib.suppress(JournalUnavailable):
            intent = self.journal.intent(order.client_order_id)
            # Strangers may name orders of several symbols alike.
            if intent is not None and intent.symbol == order.symbol:
                return intent
        return None

    def _write_down(self, intent: IntentRecord, event: IntentEvent, details: JsonObject) -> None:
        # A row that cannot be written now is learned again from the exchange by the next reconcile.
        with contextlib.suppress(JournalUnavailable):
            name = intent.client_order_id
            if intent.status in (IntentStatus.REJECTED, IntentStatus.NOT_EXECUTED):
                # It was proven that nothing came of it, and yet it is there: the proof was wrong.
                contradiction = {"client_order_id": name, "event": event, **details}
                self.journal.record(
                    CONTRADICTION_ROW,
                    contradiction,
                    durable=True,
                    deadline_ms=NOTE_JOURNAL_MS,
                    keep=True,
                )
            elif not _is_idle(intent.status, event):
                self.journal.record_event(
                    name, event, details, deadline_ms=NOTE_JOURNAL_MS, keep=True
                )


def outcome_unknown(request: OrderRequest) -> OutcomeUnknown:
    """Return what asking ends in that proved nothing."""
    return OutcomeUnknown(
        f"the outcome of {request.client_order_id} on {request.symbol} is unknown",
        advice=f"run `trader order resolve {request.client_order_id}`",
    )


def _is_in_vain(error: VenueError) -> bool:
    """Return True if trying again cannot help: we are banned, or the key may not."""
    return isinstance(error, PermissionDenied) or (isinstance(error, RateLimited) and error.banned)


def resolve_advice(order: Order | AlgoOrder) -> str:
    """Return what to do about an order whose change is in doubt.

    Of strangers' orders only those are kept in mind that can raise exposure.
    """
    if is_own(order.client_order_id) or not only_reduces(order):
        return f"run `trader order resolve {order.client_order_id}`"
    number = order.order_id if isinstance(order, Order) else order.algo_id
    return f"look at `trader order show {number} --symbol {order.symbol}`"


def _is_idle(status: IntentStatus, event: IntentEvent) -> bool:
    """Return True if the event cannot tell the journal anything new."""
    if status is IntentStatus.INTENDED:
        return True
    same = {
        IntentStatus.OPEN: (IntentEvent.ACCEPT,),
        IntentStatus.CANCELED: (
            IntentEvent.ACCEPT,
            IntentEvent.CANCEL,
            IntentEvent.PARTIAL_FILL,
            IntentEvent.CHANGE,
            IntentEvent.DOUBT_CHANGE,
            IntentEvent.SETTLE,
        ),
        IntentStatus.PARTLY_FILLED: (IntentEvent.ACCEPT,),
        IntentStatus.UNSETTLED: (IntentEvent.ACCEPT,),
    }
    return status is IntentStatus.FILLED or event in same.get(status, ())


def _is_newer(order: Order, known: Order) -> bool:
    """Return True unless the order is an older state that arrived late."""
    if order.filled_quantity != known.filled_quantity:
        return order.filled_quantity > known.filled_quantity
    if order.status.is_open != known.status.is_open:
        return known.status.is_open
    return True


def is_as_amended(order: Order, price: Decimal, quantity: Decimal) -> bool:
    """Return True if the order shows an amendment to this price and whole quantity."""
    return (order.price, order.quantity) == (price, quantity)


def order_details(order: Order | AlgoOrder) -> dict[str, object]:
    """Return what the journal keeps of an order's state."""
    details: dict[str, object] = {"status": str(order.status)}
    if isinstance(order, Order):
        details["order_id"] = order.order_id
        details["filled_quantity"] = to_text(order.filled_quantity)
        if order.average_price is not None:
            details["average_price"] = to_text(order.average_price)
    else:
        details["algo_id"] = order.algo_id
    return details

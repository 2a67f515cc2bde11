"""The one way an order leaves: fitted, approved, journaled, sent once, and its outcome proven.

Knows how a send can end and what each end allows; must not know strategies, files or terminals.
What is proven not executed may be sent again under the same id; what is doubtful is asked about
and never repeated. Orders that can only reduce exposure pass a halt and do not wait
for the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.account import BookTop
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.domain.rules import EntryPolicy
from trader_cli.errors import (
    Halted,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RefusedByRisk,
    Rejected,
    TraderError,
    VenueError,
)
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.approving import ApprovedChange, no_longer_wanted
from trader_cli.trading.orders.fitting import known_instrument
from trader_cli.trading.orders.lookup import (
    event_of,
)
from trader_cli.trading.orders.order_tracker import (
    RESOLVE_S,
    order_details,
    outcome_unknown,
)
from trader_cli.trading.orders.recording import AMEND_PATIENCE_S, Prepared, RecordingDesk
from trader_cli.trading.orders.sending import LOOK_AFTER_S, send_watched
from trader_cli.trading.orders.waiting import within
from trader_cli.trading.ports import (
    HaltReader,
    IntentJournal,
    RiskCheck,
    Venue,
    ViewSource,
    Wanted,
)
from trader_cli.trading.risk.changing import (
    amending,
)
from trader_cli.trading.risk.risk_terms import RiskView
from trader_cli.urgency import insisting

_RETRIES_MAX: Final = 3
_RETRY_PAUSE_S: Final = 0.2
_RATE_WAIT_S_MAX: Final = 5.0
_DUPLICATE_ID: Final = -4116


def always() -> bool:
    """Say that an order is wanted, whatever happens."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order the exchange accepted.

    Attributes:
        request: as sent, after rounding and approval.
        notes: what was changed on the way, for the operator.
    """

    order: Order | AlgoOrder
    request: OrderRequest
    notes: tuple[str, ...] = ()


class OrderDesk(RecordingDesk):
    """Send single orders; `OrderManager` builds on it.

    `views` reads what a risk check looks at when the caller brings no view; `book` reads the touch.
    An engine that keeps both current passes its own.
    """

    def __init__(
        self,
        client: Venue,
        *,
        journal: IntentJournal,
        risk: RiskCheck,
        latch: HaltReader,
        clock: Clock,
        policy: EntryPolicy,
        views: ViewSource | None = None,
        book: Callable[[str], Awaitable[BookTop]] | None = None,
        recv_window_ms: int = 5_000,
    ) -> None:
        super().__init__(
            client,
            journal=journal,
            risk=risk,
            latch=latch,
            clock=clock,
            views=views,
            recv_window_ms=recv_window_ms,
        )
        self.policy = policy
        self.book = book or client.get_book_top
        self._attempts: dict[tuple[str, Leg], int] = {}

    # --- sending ---------------------------------------------------------------------------

    async def instrument(self, symbol: str) -> Instrument:
        """Return the symbol's filters.

        Raises:
            UsageError: the exchange lists no such symbol.
        """
        return known_instrument(await self.client.get_instruments(), symbol)

    def next_attempt(self, source: str, leg: Leg) -> int:
        """Return the number of the next order of `leg` for `source`, never one used before."""
        key = (source, leg)
        following = self._attempts.get(key)
        if following is None:
            used = [-1]
            # Without the journal the ids of an earlier process may come again: the exchange
            # refuses those that are still open, and `source` names one command or decision.
            with contextlib.suppress(JournalUnavailable):
                used += [row.attempt for row in self.journal.intents_of(source) if row.leg is leg]
            following = max(used) + 1
        self._attempts[key] = following + 1
        return following

    async def place(
        self,
        request: OrderRequest,
        *,
        source: str,
        leg: Leg,
        attempt: int | None = None,
        view: RiskView | None = None,
        stop_price: Decimal | None = None,
        urgent: bool = False,
        resolve_s: float = RESOLVE_S,
        still_wanted: Wanted = always,
    ) -> Placed:
        """Send one order and return it as the exchange took it.

        The client id of `request` is replaced by the one of (source, leg, attempt); `attempt` None
        takes the next free number. `view` None reads one where the order can raise exposure, and
        `stop_price` is where the position will be stopped, for the limit on the loss of a trade.
        A doubtful send is asked about for `resolve_s` seconds, only once if `urgent`.

        Raises:
            UsageError: unknown symbol, or a filter refuses it (`code` is the filter).
            Halted, RefusedByRisk: nothing was sent; also when it was no longer wanted.
            Rejected, PermissionDenied, NotSent, RateLimited: proven not executed.
            OutcomeUnknown: journaled as unknown; nothing else opens on the symbol until resolved.
        """
        with insisting(when=only_reduces(request)):
            prepared = await self.prepare(
                request,
                source=source,
                leg=leg,
                attempt=attempt,
                view=view,
                stop_price=stop_price,
                still_wanted=still_wanted,
                leaving=True,
            )
            within_s = 0.0 if urgent else resolve_s
            order = await self._deliver(prepared, still_wanted, within_s=within_s)
        self._keep(order)
        return Placed(order=order, request=prepared.request, notes=tuple(prepared.notes))

    async def prepare(
        self,
        request: OrderRequest,
        *,
        source: str,
        leg: Leg,
        attempt: int | None = None,
        view: RiskView | None = None,
        stop_price: Decimal | None = None,
        still_wanted: Wanted = always,
        leaving: bool = False,
    ) -> Prepared:
        """Fit, approve and journal an order; it is not sent. See `place` for what is raised.

        `leaving` promises that the send follows at once: one write is one wait less.
        """
        number = self.next_attempt(source, leg) if attempt is None else attempt
        request = replace(request, client_order_id=client_order_id(source, leg, number))
        instrument = await self.instrument(request.symbol)
        approved = await self._approve(request, instrument, view, stop_price, still_wanted)
        prepared = Prepared(
            request=approved.request,
            stop_price=stop_price,
            notes=list(approved.notes),
            leaving=leaving,
        )
        if only_reduces(prepared.request):
            self._journal_exit(prepared, source=source, leg=leg, attempt=number)
        else:
            assert approved.view is not None, "an entry is judged by a view"
            await self._journal_entry(
                prepared, approved.view, source=source, leg=leg, attempt=number
            )
        return prepared

    async def send_prepared(self, batch: Sequence[Prepared]) -> list[Placed | TraderError]:
        """Send up to five regular orders at once, or one order of any kind; never raises for one.

        Each outcome is proven and journaled by itself.
        """
        if len(batch) == 1:
            return [await self._delivered(batch[0])]
        requests = [self._regular(prepared) for prepared in batch]
        answers: Sequence[Order | VenueError]
        try:
            for request in requests:
                if not only_reduces(request):
                    self._refuse_beyond_order_budget()
                    self._refuse_while_halted(request.symbol)
        except (RateLimited, Halted) as error:
            return await self._send_exits_of(batch, error)
        try:
            for prepared in batch:
                self._note(prepared, IntentEvent.SEND, {})
            answers = await self.client.send_batch(requests)
        except VenueError as error:
            return [await self._concluded(prepared, error) for prepared in batch]
        except asyncio.CancelledError:
            for prepared in batch:
                self._note(prepared, IntentEvent.DOUBT, {"error": "cancelled while being sent"})
            raise
        return [
            await self._concluded(prepared, answer)
            for prepared, answer in zip(batch, answers, strict=True)
        ]

    async def _send_exits_of(
        self, batch: Sequence[Prepared], refusal: RateLimited | Halted
    ) -> list[Placed | TraderError]:
        """Send a batch without its entries: what refuses those holds up no exit beside them."""
        exits = [prepared for prepared in batch if only_reduces(prepared.request)]
        sent = iter(await self.send_prepared(exits) if exits else ())
        return [
            next(sent) if only_reduces(row.request) else await self._concluded(row, refusal)
            for row in batch
        ]

    def _regular(self, prepared: Prepared) -> LimitRequest | MarketRequest:
        request = prepared.request
        assert not isinstance(request, ConditionalRequest), "these go one by one"
        return request

    async def _delivered(self, prepared: Prepared) -> Placed | TraderError:
        try:
            order = await self._deliver(prepared, always, within_s=RESOLVE_S)
        except TraderError as error:
            return error
        self._keep(order)
        return Placed(order=order, request=prepared.request, notes=tuple(prepared.notes))

    async def _concluded(
        self, prepared: Prepared, answer: Order | TraderError
    ) -> Placed | TraderError:
        """Journal what came of one order of a batch, and prove it where it is in doubt."""
        try:
            order = await self._outcome(prepared, answer, within_s=RESOLVE_S)
        except TraderError as error:
            return error
        self._keep(order)
        return Placed(order=order, request=prepared.request, notes=tuple(prepared.notes))

    async def send_amendment(
        self, order: Order, approved: ApprovedChange, *, price: Decimal, quantity: Decimal
    ) -> Order:
        """Amend once and keep what the exchange says; an entry is not amended while halted.

        Raises:
            Halted, RefusedByRisk, JournalUnavailable: nothing was sent.
            VenueError: as the exchange's answer; `OutcomeUnknown` also where there is none.
        """
        # Before it leaves: whoever decides meanwhile counts the order at the larger size, and a
        # process that comes after this one finds what was under way.
        await self._journal_change(order, approved, amending(price, quantity))
        try:
            if not approved.still_wanted():  # writing it down may have taken its time
                raise no_longer_wanted(approved.left)
            if not only_reduces(order):
                self._refuse_while_halted(order.symbol)
            amended = await self._amended_in_time(order, price=price, quantity=quantity)
        except (OutcomeUnknown, asyncio.CancelledError):
            self.doubt_change(order, cancels=False)
            raise
        except TraderError:
            if not self.change_is_in_doubt(order):  # an exit's earlier amendment may still be
                self.settle(order, None)
            raise
        self._keep(amended)
        if amended.status.is_open:
            self.settle(order, amended)
        self._note_order(amended)
        return amended

    async def _amended_in_time(self, order: Order, *, price: Decimal, quantity: Decimal) -> Order:
        """Amend, and wait for the answer only so long as an order may go unattended.

        Meanwhile nobody follows the order, takes it back, or hears that it is wanted no more.
        """
        amending_it = self.client.amend_order(
            order.symbol, order.side, order.order_id, quantity=quantity, price=price
        )
        try:
            return await within(amending_it, self.clock, AMEND_PATIENCE_S)
        except TimeoutError as error:
            name = order.client_order_id
            raise OutcomeUnknown(
                f"no answer to the amendment of {name} for {AMEND_PATIENCE_S:.0f} s"
            ) from error

    async def _deliver(
        self, sending: Prepared, still_wanted: Wanted, *, within_s: float
    ) -> Order | AlgoOrder:
        if not sending.leaving:
            self._note(sending, IntentEvent.SEND, {})
        answer: Order | AlgoOrder | TraderError
        try:
            answer = await self._send(sending, still_wanted)
        except TraderError as error:
            answer = error
        except asyncio.CancelledError:
            self._note(sending, IntentEvent.DOUBT, {"error": "cancelled while it was being sent"})
            raise
        return await self._outcome(sending, answer, within_s=within_s)

    async def _outcome(
        self, sending: Prepared, answer: Order | AlgoOrder | TraderError, *, within_s: float
    ) -> Order | AlgoOrder:
        """Journal what a send came to and return the order, or raise what it failed with."""
        match answer:
            case OutcomeUnknown():
                self._note(sending, IntentEvent.DOUBT, {"error": answer.message})
                return await self._settle_doubt(sending, answer, within_s)
            case Rejected() | PermissionDenied():
                self._note(sending, IntentEvent.REJECT, _error_details(answer))
                raise answer
            case NotSent() | RateLimited() | Halted() | RefusedByRisk():
                self._note(sending, IntentEvent.NOT_SENT, _error_details(answer))
                raise answer
            case TraderError():
                raise answer
        self._note(sending, event_of(answer), order_details(answer))
        return answer

    async def _send(self, sending: Prepared, still_wanted: Wanted) -> Order | AlgoOrder:
        """Send, and again under the same id while it is proven that nothing was executed."""
        request = sending.request
        for retry in range(_RETRIES_MAX + 1):
            if retry > 0:
                await self._recheck(request, sending.stop_price, still_wanted)
            if not only_reduces(request):
                self._refuse_beyond_order_budget()
                if not still_wanted():  # writing it down may have taken its time
                    raise no_longer_wanted(request)
                # Nothing may stand between this look at the latch and the send.
                self._refuse_while_halted(request.symbol)
            try:
                return await send_watched(self, request)
            except (NotSent, RateLimited) as error:
                pause_s = self.pause_before_retry(error, retry)
                if pause_s is None:
                    raise
                sending.notes.append(f"not executed, tried again: {error.message}")
            except Rejected as error:
                if error.code != _DUPLICATE_ID or retry == 0:
                    raise
                # An earlier try was said not to have arrived, and yet its id is open.
                raise OutcomeUnknown(error.message, code=error.code) from error
            await self.clock.sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def pause_before_retry(self, error: NotSent | RateLimited, retry: int) -> float | None:
        """Return the seconds to wait before the next try, None if there is to be none."""
        if retry >= _RETRIES_MAX:
            return None
        if isinstance(error, RateLimited):
            pause_s = (error.retry_at_ms - self.clock.now_ms()) / 1000
            return None if error.banned or pause_s > _RATE_WAIT_S_MAX else max(0.0, pause_s)
        return _RETRY_PAUSE_S * 2.0**retry

    # --- doubt -----------------------------------------------------------------------------

    async def _settle_doubt(
        self, sending: Prepared, error: OutcomeUnknown, within_s: float
    ) -> Order | AlgoOrder:
        request = sending.request
        # What the stream has told of it is proof enough, before the asking and after it.
        found = self.latest(request.client_order_id)
        if found is None:
            try:
                asking = self._ask(request, since_ms=self.clock.now_ms(), within_s=within_s)
                with insisting(when=only_reduces(request)):
                    # An exit is not kept waiting by a read that hangs, either.
                    found = await within(asking, self.clock, within_s + LOOK_AFTER_S)
            except (OutcomeUnknown, TimeoutError) as unproven:
                found = self.latest(request.client_order_id)
                if found is None:
                    raise outcome_unknown(request) from unproven
        found = found or self.latest(request.client_order_id)
        if found is None:
            self._note(sending, IntentEvent.PROVE_ABSENT, {})
            raise NotSent(
                f"{request.client_order_id} never reached the book: {error.message}",
                code=error.code,
            ) from error
        self._note(sending, event_of(found), order_details(found))
        sending.notes.append("the answer was lost; the order was found at the exchange")
        return found


def _error_details(error: Exception) -> JsonObject:
    return {"error": str(error), "code": getattr(error, "code", None)}

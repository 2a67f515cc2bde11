"""What may be sent: latch, risk, order budget and orders in doubt have the word before any send.

Knows who may refuse an order and when each is asked; must not know how it is sent or written down.
Orders that can only reduce exposure pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import (
    LimitRequest,
    OrderRequest,
    only_reduces,
)
from trader_cli.domain.order_life_cycle import IN_DOUBT
from trader_cli.errors import (
    Halted,
    RateLimited,
    RefusedByRisk,
)
from trader_cli.journal.index import IntentRecord
from trader_cli.trading.orders.fitting import fit
from trader_cli.trading.orders.order_tracker import (
    OrderTracker,
)
from trader_cli.trading.ports import (
    HaltReader,
    IntentJournal,
    RiskCheck,
    Venue,
    ViewSource,
    Wanted,
)
from trader_cli.trading.risk.pending import asked_since_ms, with_pending
from trader_cli.trading.risk.risk_terms import Approved, DayResult, HaltView, Refused, RiskView
from trader_cli.trading.risk.risk_view import RiskViewReader

ORDERS_KEPT_FOR_EXITS: Final = 60
"""Of 300 in ten seconds and 1,200 in a minute: closing and covering every position takes fewer."""

_ORDER_WINDOW_MS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedChange:
    """An amendment that may be sent, and what it was judged by.

    Attributes:
        left: what would be left to execute.
        view: without the order's present share; None for what can only reduce.
    """

    left: LimitRequest
    view: RiskView | None
    stop_price: Decimal | None
    still_wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An order as approved, and the view it was judged by (None for an exit)."""

    request: OrderRequest
    view: RiskView | None
    notes: tuple[str, ...]


class ApprovingDesk(OrderTracker):
    """Judge orders; `OrderDesk` sends what passes."""

    def __init__(
        self,
        client: Venue,
        *,
        journal: IntentJournal,
        risk: RiskCheck,
        latch: HaltReader,
        clock: Clock,
        views: ViewSource | None,
        recv_window_ms: int,
    ) -> None:
        super().__init__(client, journal=journal, clock=clock, recv_window_ms=recv_window_ms)
        self._risk = risk
        self._latch = latch
        self._views: ViewSource = views or RiskViewReader(client, journal=journal, clock=clock).read

    async def view(self, symbol: str) -> RiskView:
        """Return what a risk check on `symbol` looks at, as `place` reads it."""
        return await self._views(symbol)

    async def _approve(
        self,
        request: OrderRequest,
        instrument: Instrument,
        view: RiskView | None,
        stop_price: Decimal | None,
        still_wanted: Wanted,
    ) -> Judged:
        if not only_reduces(request) and view is None:
            view = await self._views(request.symbol)
        mark = None if view is None else view.marks.get(request.symbol)
        fitted = fit(request, instrument, reference_price=None if mark is None else mark.price)
        verdict = self._verdict(fitted.request, view, stop_price)
        # The risk module may have turned an order against the position into a plain exit.
        if not only_reduces(verdict.request):
            self._refuse_while_unknown(request.symbol)
        if not still_wanted():
            raise no_longer_wanted(request)
        notes = (*fitted.notes, *verdict.notes)
        return Judged(request=verdict.request, view=view, notes=notes)

    async def approve_change(
        self,
        request: LimitRequest,
        view_of: Callable[[RiskView], RiskView],
        stop_price: Decimal | None,
        still_wanted: Wanted,
    ) -> ApprovedChange:
        """Let latch, risk and order budget judge what an amended order would be.

        `request` is what would be left to execute; `view_of` takes the order's present share out
        of the view.

        Raises:
            Halted, RefusedByRisk, RateLimited: it may not be; nothing was sent.
        """
        view: RiskView | None = None
        if not only_reduces(request):
            view = view_of(await self._views(request.symbol))
            self._verdict(request, self._whole(view, request.client_order_id), stop_price)
            self._refuse_while_unknown(request.symbol)
            self._refuse_beyond_order_budget()
        if not still_wanted():
            raise no_longer_wanted(request)
        return ApprovedChange(
            left=request, view=view, stop_price=stop_price, still_wanted=still_wanted
        )

    async def _recheck(
        self, request: OrderRequest, stop_price: Decimal | None, still_wanted: Wanted
    ) -> None:
        if not only_reduces(request):
            view = self._whole(await self._views(request.symbol), request.client_order_id)
            self._verdict(request, view, stop_price)
        if not still_wanted():
            raise no_longer_wanted(request)

    def _verdict(
        self, request: OrderRequest, view: RiskView | None, stop_price: Decimal | None
    ) -> Approved:
        """Return the risk module's approval; the latch as it stands now is part of the view."""
        view = view or _blind_view(self.clock.now_ms())
        halt = self._latch.active(request.symbol)
        if halt is not None:
            latched = HaltView(reason=halt.reason, symbol=halt.symbol)
            view = replace(view, halts=(*view.halts, latched))
        verdict = self._risk.check(request, view, stop_price=stop_price)
        if isinstance(verdict, Refused):
            raise verdict.error()
        return verdict

    def _whole(self, view: RiskView, client_order_id: str) -> RiskView:
        """Return the view with what the journal knows besides, the order asked about left out."""
        since_ms = asked_since_ms(view)
        if since_ms is None:
            return view
        intents = self.journal.touched_since(since_ms)
        return with_pending(view, intents, leave_out=client_order_id)

    def _refuse_while_unknown(self, symbol: str) -> None:
        refuse_beside(symbol, self.journal.unknown_intents(symbol))

    def _refuse_while_halted(self, symbol: str) -> None:
        halt = self._latch.active(symbol)
        if halt is not None:
            raise Halted(
                f"trading is halted: {halt.reason}",
                code="halted",
                advice="look at `trader risk status`, then `trader risk resume --reason`",
            )

    @property
    def may_send_entries(self) -> bool:
        """True while the account's order count leaves room beyond what exits may need."""
        return self.client.orders_left() > ORDERS_KEPT_FOR_EXITS

    def _refuse_beyond_order_budget(self) -> None:
        if self.may_send_entries:
            return
        now_ms = self.clock.now_ms()
        raise RateLimited(
            f"not sent: the last {ORDERS_KEPT_FOR_EXITS} orders of this time window are kept for "
            "exits and kill",
            retry_at_ms=now_ms + _ORDER_WINDOW_MS - self.client.venue_now_ms() % _ORDER_WINDOW_MS,
            banned=False,
            code="order_reserve",
            advice="Try again in some seconds.",
        )

    def _admit(
        self,
        request: OrderRequest,
        view: RiskView,
        intents: Sequence[IntentRecord],
        stop_price: Decimal | None,
    ) -> None:
        """Refuse what was approved by `view` alone and may not be beside these intents.

        Raises:
            RefusedByRisk: it may not be.
        """
        in_doubt = [row for row in intents if row.status in IN_DOUBT]
        refuse_beside(request.symbol, in_doubt)
        whole = with_pending(view, intents, leave_out=request.client_order_id)
        if whole is not view:
            verdict = self._risk.check(request, whole, stop_price=stop_price)
            if isinstance(verdict, Refused):
                raise verdict.error()

    def _since_ms(self, view: RiskView) -> int:
        since_ms = asked_since_ms(view)
        return self.clock.now_ms() if since_ms is None else since_ms


def _blind_view(now_ms: int) -> RiskView:
    """Return the view an exit is checked with: exits pass whatever the account looks like."""
    day = DayResult(opening_equity=ZERO, realized=ZERO, unrealized=ZERO, fees=ZERO, funding=ZERO)
    return RiskView(now_ms=now_ms, equity=ZERO, high_water_mark=ZERO, day=day)


def refuse_beside(symbol: str, in_doubt: Iterable[IntentRecord]) -> None:
    names = ", ".join(row.client_order_id for row in in_doubt if row.symbol == symbol)
    if names:
        raise RefusedByRisk(
            f"{symbol} has an order whose outcome is unknown: {names}",
            code="unknown_order",
            advice="run `trader order resolve` until it is proven",
        )


def no_longer_wanted(request: OrderRequest) -> RefusedByRisk:
    return RefusedByRisk(
        f"the {request.side} order on {request.symbol} was no longer wanted; it was not sent",
        code="no_longer_wanted",
    )

"""What the use cases ask of the rooms below them: a venue, a journal, a halt latch.

These are the shapes of `exchange.BinanceFuturesClient`, `journal.Journal` and `journal.HaltLatch`,
cut down to what trading uses, so that a fake of a few lines can stand in for each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from trader_cli.domain.account import (
    AccountSummary,
    BookTop,
    Fill,
    IncomeRow,
    LeverageBracket,
    MarkPrice,
    Position,
    SymbolConfig,
)
from trader_cli.domain.client_id import Leg
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import (
    AlgoOrder,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
)
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.terms import MarginType, PositionSide, Side
from trader_cli.errors import VenueError
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.index import IntentRecord
from trader_cli.journal.reading import JournalRow
from trader_cli.trading.risk.risk_terms import Approved, Refused, RiskView

ViewSource = Callable[[str], Awaitable[RiskView]]
"""Reads, for one symbol, what a risk check may look at; raises `VenueError` if it cannot."""

Wanted = Callable[[], bool]
"""Whether an order that is not sent yet is still wanted; asked again before every send."""


class Venue(Protocol):
    """The exchange; every method raises only `VenueError`s (see `trader_cli.errors`)."""

    def venue_now_ms(self) -> int:
        """Return the exchange's time as estimated now, UTC epoch milliseconds."""
        ...

    def orders_left(self) -> int:
        """Return how many orders the account may still send now, in the tighter window."""
        ...

    async def get_instruments(self) -> dict[str, Instrument]: ...
    async def get_book_top(self, symbol: str) -> BookTop: ...
    async def get_mark_price(self, symbol: str) -> MarkPrice: ...
    async def get_mark_prices(self) -> dict[str, MarkPrice]: ...
    async def get_leverage_brackets(self, symbol: str) -> list[LeverageBracket]: ...
    async def get_commission_rate(self, symbol: str) -> tuple[Decimal, Decimal]: ...
    async def get_account_summary(self) -> AccountSummary: ...
    async def get_positions(self) -> list[Position]: ...
    async def get_position_risk(self, symbol: str) -> list[Position]: ...
    async def get_symbol_config(self, symbol: str | None = None) -> list[SymbolConfig]: ...
    async def set_leverage(self, symbol: str, leverage: int) -> int: ...
    async def set_margin_type(self, symbol: str, margin_type: MarginType) -> None: ...
    async def set_position_mode(self, *, hedge: bool) -> None: ...
    async def move_isolated_margin(
        self, symbol: str, amount: Decimal, *, position_side: PositionSide = ...
    ) -> None: ...
    async def get_income(
        self, *, start_ms: int, end_ms: int | None = None, income_type: str | None = None
    ) -> list[IncomeRow]: ...
    async def get_fills(
        self, symbol: str, *, start_ms: int | None = None, order_id: int | None = None
    ) -> list[Fill]: ...
    async def send(self, request: OrderRequest) -> Order | AlgoOrder: ...
    async def amend_order(
        self, symbol: str, side: Side, order_id: int, *, quantity: Decimal, price: Decimal
    ) -> Order: ...
    async def send_batch(
        self, requests: Sequence[LimitRequest | MarketRequest]
    ) -> list[Order | VenueError]: ...
    async def test_order(self, request: LimitRequest | MarketRequest) -> None: ...
    async def cancel_order(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order: ...
    async def cancel_algo_order(
        self, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> None: ...
    async def get_order_status(
        self, symbol: str, order_id: int | None = None, *, client_order_id: str | None = None
    ) -> Order: ...
    async def get_algo_order(
        self, symbol: str, algo_id: int | None = None, *, client_order_id: str | None = None
    ) -> AlgoOrder: ...
    async def get_open_orders(self, symbol: str | None = None) -> list[Order]: ...
    async def get_open_algo_orders(self, symbol: str | None = None) -> list[AlgoOrder]: ...
    async def get_all_orders(self, symbol: str, *, start_ms: int | None = None) -> list[Order]: ...
    async def get_all_algo_orders(
        self, symbol: str, *, start_ms: int | None = None
    ) -> list[AlgoOrder]: ...


class IntentJournal(Protocol):
    """The journal; every method raises `JournalUnavailable` if the row could not be written."""

    def record_intent(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        leaving: bool = ...,
        deadline_ms: int = ...,
        keep: bool = ...,
    ) -> None: ...
    async def record_entry(
        self,
        *,
        source: str,
        leg: Leg,
        attempt: int,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Callable[[Sequence[IntentRecord]], None],
        leaving: bool = ...,
    ) -> None: ...
    async def record_change(
        self,
        *,
        source: str,
        leg: Leg,
        request: OrderRequest,
        details: JsonObject,
        since_ms: int,
        admit: Callable[[Sequence[IntentRecord]], None],
        deadline_ms: int,
    ) -> None: ...
    def record_event(
        self,
        client_order_id: str,
        event: IntentEvent,
        details: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int = ...,
        keep: bool = ...,
    ) -> IntentStatus: ...
    def note_event(
        self, client_order_id: str, event: IntentEvent, details: JsonObject, *, deadline_ms: int
    ) -> None: ...
    def record(
        self,
        kind: str,
        data: JsonObject,
        *,
        durable: bool = False,
        deadline_ms: int = ...,
        keep: bool = ...,
    ) -> int: ...
    async def record_aside(self, kind: str, data: JsonObject) -> int: ...
    def intent(self, client_order_id: str) -> IntentRecord | None: ...
    def intents_of(self, source: str) -> list[IntentRecord]: ...
    def unfinished_intents(self) -> list[IntentRecord]: ...
    def unknown_intents(self, symbol: str | None = None) -> list[IntentRecord]: ...
    def newest_seq(self) -> int: ...
    def touched_since(self, since_ms: int) -> list[IntentRecord]: ...
    def rows(self, *, kind: str | None = None, after: int = 0) -> Iterator[JournalRow]: ...
    def last(self, kind: str) -> JournalRow | None: ...


class HaltFact(Protocol):
    """A halt in force; `symbol` None halts the account."""

    @property
    def reason(self) -> str: ...
    @property
    def symbol(self) -> str | None: ...


class HaltReader(Protocol):
    """The halt latch as a sender needs it: read again before every send."""

    def active(self, symbol: str | None = None) -> HaltFact | None: ...


class RiskCheck(Protocol):
    """The risk module's one door."""

    def check(
        self, request: OrderRequest, view: RiskView, *, stop_price: Decimal | None = None
    ) -> Approved | Refused: ...

"""Read everything a risk check may look at, in one or two parallel rounds of reads.

For commands, which come once and know nothing; an engine keeps its own view from its streams. A
read that fails ends the check: what could not be learned is never taken for nothing.

Orders and marks are read symbol by symbol: the lists over all symbols weigh 40 each, of 2,400 a
minute. Our own resting entries can only be where the journal knows an unfinished intent, or where
a reading of the whole lists found others of ours (an earlier journal's, another machine's): that
one is made for a new journal and every few hours. Positions are read after the orders: an entry
that is gone from these has become part of those.

Source: binance-usdm reference §8 (income ledger, 30 weight), §4 (weights).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.account import IncomeRow, MarkPrice, Position, SymbolConfig
from trader_cli.domain.client_id import is_own
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.terms import IncomeType
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.ports import HaltFact, IntentJournal, Venue
from trader_cli.trading.risk.equity import (
    TRANSFER_TYPES,
    EquityState,
    day_start_ms,
    transfer,
    unrealized_of,
    utc_day,
)
from trader_cli.trading.risk.other_assets import Rates, in_usdt, others, rate_symbol
from trader_cli.trading.risk.risk_terms import (
    DayResult,
    EntryBlock,
    HaltView,
    MarkView,
    RestingEntry,
    RiskView,
)

EQUITY_ROW: Final = "equity"
"""Kind of the journal rows that remember the day's opening and the high-water mark."""

RESULT_TYPES: Final = (
    IncomeType.REALIZED_PNL,
    IncomeType.INSURANCE_CLEAR,
    IncomeType.COMMISSION,
    IncomeType.FUNDING_FEE,
)
"""Kinds of income that a day's result is made of."""

_INHERITED_ROW: Final = "inherited"
"""Kind of the rows that say where our own entries rest of which this journal knows no intent."""

_INHERITED_MS: Final = 6 * 3_600_000
_NOTE_MS: Final = 50
_LEDGER_KEPT_MS: Final = 89 * 86_400_000
_ENTRY_INTENT_WINDOW_MS: Final = 60_000
_SYMBOLS_READ_ONE_BY_ONE_MAX: Final = 30
_MARKS_READ_ONE_BY_ONE_MAX: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the journal knows when a reading begins; the defaults are what is known without one.

    Attributes:
        as_of_ms: exchange time up to which `state` knows of transfers.
        symbols: where an intent of ours is not finished.
        inherited: where else entries of ours rest, None if that is to be looked up.
    """

    began_ms: int | None = None
    began_seq: int = 0
    state: EquityState | None = None
    as_of_ms: int = 0
    symbols: frozenset[str] = frozenset()
    inherited: frozenset[str] | None = None
    blocks: tuple[EntryBlock, ...] = ()
    entries_last_minute: int = 0


class RiskViewReader:
    """Reads a `RiskView`; `blocks` adds the caller's own reasons why nothing may open."""

    def __init__(
        self,
        client: Venue,
        *,
        journal: IntentJournal,
        clock: Clock,
        halts: Callable[[], Sequence[HaltFact]] = tuple,
        blocks: Sequence[EntryBlock] = (),
    ) -> None:
        self._client = client
        self._journal = journal
        self._clock = clock
        self._halts = halts
        self._blocks = tuple(blocks)

    async def read(self, symbol: str) -> RiskView:
        """Return the account as it stands, with everything a check on `symbol` needs.

        Raises:
            VenueError: something could not be read.
        """
        client = self._client
        known = self._known()
        state = known.state
        instruments, configs, income, missed, resting = await asyncio.gather(
            client.get_instruments(),
            client.get_symbol_config(symbol),
            client.get_income(start_ms=day_start_ms(client.venue_now_ms())),
            self._transfers_before_today(known.as_of_ms),
            self._resting(symbol, known),
        )
        if state is not None:
            moved = transfers_in((*missed, *income), after_ms=known.as_of_ms)
            state = transfer(state, moved)
        marks, summary, positions, rates = await asyncio.gather(
            self._marks_of({symbol, *(row.symbol for row in resting)}),
            client.get_account_summary(),
            client.get_positions(),
            self._rates_of(income, instruments),
        )
        now_ms = self._clock.now_ms()
        equity = summary.margin_balance
        return RiskView(
            now_ms=now_ms,
            equity=equity,
            high_water_mark=equity if state is None else max(state.high_water_mark, equity),
            day=day_result(
                income,
                equity=equity,
                positions=positions,
                state=state,
                venue_ms=client.venue_now_ms(),
                rates=rates,
            ),
            positions=tuple(positions),
            resting=resting,
            marks=_marks(marks, self._client.venue_now_ms()),
            leverages=_leverages(configs, positions),
            instruments=instruments,
            halts=tuple(HaltView(reason=row.reason, symbol=row.symbol) for row in self._halts()),
            blocks=(*self._blocks, *known.blocks),
            entries_last_minute=known.entries_last_minute,
            began_ms=known.began_ms,
            began_seq=known.began_seq,
        )

    def _known(self) -> _Known:
        """Return what the journal knows; one that cannot be read blocks entries, nothing else."""
        try:
            return self._read_journal()
        except JournalUnavailable as error:
            block = EntryBlock(
                rule="journal_unavailable", message=error.message, advice=error.advice
            )
            return _Known(blocks=(block,))

    def _read_journal(self) -> _Known:
        journal, now_ms = self._journal, self._clock.now_ms()
        began_seq = journal.newest_seq()  # before anything else: what comes later is asked again
        equity = journal.last(EQUITY_ROW)
        offset_ms = self._client.venue_now_ms() - now_ms
        return _Known(
            began_ms=now_ms,
            began_seq=began_seq,
            state=read_equity_state(journal),
            as_of_ms=0 if equity is None else equity.local_ms + offset_ms,
            symbols=frozenset(row.symbol for row in journal.unfinished_intents()),
            inherited=self._inherited(),
            blocks=tuple(self._unknown_blocks()),
            entries_last_minute=self._entries_since(now_ms - _ENTRY_INTENT_WINDOW_MS),
        )

    async def _transfers_before_today(self, as_of_ms: int) -> list[IncomeRow]:
        """Return the transfers since the remembered equity that the day's ledger does not show."""
        venue_ms = self._client.venue_now_ms()
        day_ms = day_start_ms(venue_ms)
        if as_of_ms == 0 or as_of_ms >= day_ms:
            return []
        return await self._client.get_income(
            start_ms=max(as_of_ms, venue_ms - _LEDGER_KEPT_MS),
            end_ms=day_ms - 1,
            income_type=IncomeType.TRANSFER,
        )

    async def _resting(self, symbol: str, known: _Known) -> tuple[RestingEntry, ...]:
        asked: list[str | None] = [*sorted({symbol, *known.symbols, *(known.inherited or ())})]
        if known.inherited is None or len(asked) > _SYMBOLS_READ_ONE_BY_ONE_MAX:
            asked = [None]
        rounds = await asyncio.gather(
            *(
                asyncio.gather(
                    self._client.get_open_orders(symbol), self._client.get_open_algo_orders(symbol)
                )
                for symbol in asked
            )
        )
        entries = resting_entries(
            [row for orders, _ in rounds for row in orders],
            [row for _, algos in rounds for row in algos],
        )
        if asked == [None]:
            others = {row.symbol for row in entries} - known.symbols
            with contextlib.suppress(JournalUnavailable):  # else the next reading asks again
                self._journal.record(
                    _INHERITED_ROW, {"symbols": sorted(others)}, deadline_ms=_NOTE_MS
                )
        return entries

    def _inherited(self) -> frozenset[str] | None:
        """Return where our own entries were found besides; None if that is to be looked up."""
        row = self._journal.last(_INHERITED_ROW)
        if row is None or self._clock.now_ms() - row.local_ms > _INHERITED_MS:
            return None
        return frozenset(row.data["symbols"])

    async def _marks_of(self, symbols: set[str]) -> dict[str, MarkPrice]:
        if len(symbols) > _MARKS_READ_ONE_BY_ONE_MAX:
            return await self._client.get_mark_prices()
        rows = await asyncio.gather(*map(self._client.get_mark_price, sorted(symbols)))
        return {row.symbol: row for row in rows}

    async def _rates_of(
        self, income: Sequence[IncomeRow], instruments: Mapping[str, Instrument]
    ) -> dict[str, Decimal]:
        """Return what the assets are worth that fees were paid in, as far as a contract tells."""
        assets = [
            asset
            for asset in others(row.asset for row in income if row.income_type in RESULT_TYPES)
            if rate_symbol(asset) in instruments
        ]
        rows = await asyncio.gather(
            *(self._client.get_mark_price(rate_symbol(asset)) for asset in assets)
        )
        return {asset: row.mark_price for asset, row in zip(assets, rows, strict=True)}

    def _unknown_blocks(self) -> list[EntryBlock]:
        return [
            EntryBlock(
                rule="unknown_order",
                message=f"the outcome of {row.client_order_id} on {row.symbol} is unknown",
                symbol=row.symbol,
                advice="run `trader order resolve` until it is proven",
            )
            for row in self._journal.unknown_intents()
        ]

    def _entries_since(self, start_ms: int) -> int:
        # Only rows of the last minute matter, and the newest row's number bounds the look back.
        newest = self._journal.last("intent")
        if newest is None:
            return 0
        recent = self._journal.rows(kind="intent", after=max(0, newest.seq - 2_000))
        return sum(1 for row in recent if row.local_ms >= start_ms and row.data["leg"] == "en")


def resting_entries(
    orders: Sequence[Order], algos: Sequence[AlgoOrder]
) -> tuple[RestingEntry, ...]:
    """Return our own resting orders that can raise exposure."""
    entries = [
        RestingEntry(
            symbol=row.symbol,
            side=row.side,
            position_side=row.position_side,
            quantity=row.remaining_quantity,
            price=row.price or None,
            client_order_id=row.client_order_id,
        )
        for row in orders
        if is_own(row.client_order_id) and not only_reduces(row)
    ]
    entries += [
        RestingEntry(
            symbol=row.symbol,
            side=row.side,
            position_side=row.position_side,
            quantity=row.quantity,
            price=row.price or row.trigger_price or row.activate_price or None,
            client_order_id=row.client_order_id,
        )
        for row in algos
        if is_own(row.client_order_id) and not only_reduces(row)
    ]
    return tuple(entries)


def transfers_in(income: Sequence[IncomeRow], *, after_ms: int) -> Decimal:
    """Return what came in (positive) or went out by transfers after `after_ms`, exchange time."""
    moved = {
        (row.income_type, row.transaction_id): row.amount
        for row in income
        if row.income_type in TRANSFER_TYPES and row.asset == "USDT" and row.time_ms > after_ms
    }
    return sum(moved.values(), ZERO)


def day_result(
    income: Sequence[IncomeRow],
    *,
    equity: Decimal,
    positions: Sequence[Position],
    state: EquityState | None,
    venue_ms: int,
    rates: Rates,
) -> DayResult:
    """Return the UTC day so far from the exchange's income ledger.

    What was booked in another asset counts at its rate, and not at all without one.
    Without a journaled opening of this day the opening is what equity would be without the
    ledger's rows and with the unrealised result of today's positions taken as today's.
    """
    realized = _sum(income, rates, IncomeType.REALIZED_PNL, IncomeType.INSURANCE_CLEAR)
    fees = _sum(income, rates, IncomeType.COMMISSION)
    funding = _sum(income, rates, IncomeType.FUNDING_FEE)
    unrealized = unrealized_of(positions)
    known = state is not None and state.day == utc_day(venue_ms)
    if state is not None and known:
        opening, opening_unrealized = state.day_opening, state.day_opening_unrealized
    else:
        opening_unrealized = ZERO
        # Equity does not contain other assets: what was booked in them did not change it.
        opening = equity - unrealized - _sum(income, {}, *RESULT_TYPES)
    return DayResult(
        opening_equity=opening,
        realized=realized,
        unrealized=unrealized,
        fees=fees,
        funding=funding,
        opening_unrealized=opening_unrealized,
    )


def read_equity_state(journal: IntentJournal) -> EquityState | None:
    """Return the last journaled state of equity, None if there is none yet."""
    row = journal.last(EQUITY_ROW)
    if row is None:
        return None
    return EquityState(
        high_water_mark=Decimal(row.data["high_water_mark"]),
        day=int(row.data["day"]),
        day_opening=Decimal(row.data["day_opening"]),
        day_opening_unrealized=Decimal(row.data["day_opening_unrealized"]),
    )


def equity_row(state: EquityState) -> JsonObject:
    """Return the journal row that `read_equity_state` reads; its kind is `EQUITY_ROW`."""
    return {
        "high_water_mark": to_text(state.high_water_mark),
        "day": state.day,
        "day_opening": to_text(state.day_opening),
        "day_opening_unrealized": to_text(state.day_opening_unrealized),
    }


def _sum(income: Sequence[IncomeRow], rates: Rates, *types: IncomeType) -> Decimal:
    amounts = (in_usdt(row.amount, row.asset, rates) for row in income if row.income_type in types)
    return sum(amounts, ZERO)


def _marks(marks: dict[str, MarkPrice], venue_ms: int) -> dict[str, MarkView]:
    return {
        symbol: MarkView(price=row.mark_price, age_ms=max(0, venue_ms - row.venue_ms))
        for symbol, row in marks.items()
    }


def _leverages(configs: Sequence[SymbolConfig], positions: Sequence[Position]) -> dict[str, int]:
    known = {row.symbol: row.leverage for row in positions if row.leverage is not None}
    return known | {row.symbol: row.leverage for row in configs}

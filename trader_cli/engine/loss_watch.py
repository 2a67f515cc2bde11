"""Watch what the account is worth, and tell when a loss limit is broken.

Thin around `trading.equity` and the risk module: it reads the account and the income ledger,
remembers the day's opening and the high-water mark in the journal, and turns a breach that holds
into a fact. It must not act on one: that is decided in `decide`.

Two sources have to agree for a breach to count at once; where they do not, entries are blocked and
the breach counts when the account itself shows it in three reads over five seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.terms import IncomeType
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.facts import LossLimit, LossLimitReached
from trader_cli.engine.ledger import Ledger
from trader_cli.engine.market_board import MarketBoard
from trader_cli.errors import VenueError
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.order_tracker import NOTE_JOURNAL_MS
from trader_cli.trading.ports import Venue
from trader_cli.trading.risk import equity
from trader_cli.trading.risk.equity import BreachWatch, EquityReading, EquityState
from trader_cli.trading.risk.other_assets import others, rate_symbol
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import DayResult, EntryBlock, RiskView
from trader_cli.trading.risk.risk_view import (
    EQUITY_ROW,
    RESULT_TYPES,
    day_result,
    equity_row,
    read_equity_state,
)

_LEDGER_EVERY_MS: Final = 10_000
"""The income ledger weighs 30: it is read this often, and after every fill."""

_RATE_MS: Final = 60_000
"""How old the worth of an asset may be that fees are paid in."""

_PICTURE_MS: Final = 30_000
"""After so long a disagreement the account is read anew as a whole: an event may have been lost."""


class LossWatch:
    """The account's equity, day and drawdown as last read."""

    def __init__(
        self,
        client: Venue,
        *,
        journal: Journal,
        mirror: AccountMirror,
        board: MarketBoard,
        risk: RiskManager,
        clock: Clock,
        tell: Callable[[LossLimitReached], None],
    ) -> None:
        """`tell` is called once with each limit that is found broken."""
        self._client = client
        self._journal = journal
        self._mirror = mirror
        self._board = board
        self._risk = risk
        self._clock = clock
        self._tell = tell
        self._reading = asyncio.Lock()
        self._state: EquityState | None = read_equity_state(journal)
        self._written_down = self._state
        self._ledger: Ledger | None = None
        self._ledger_ms = 0
        self._missed = ZERO
        self._in_doubt_since_ms: int | None = None
        self._ledger_due = True
        self._rates: dict[str, Decimal] = {}
        self._watches: dict[LossLimit, BreachWatch | None] = {}
        self._told: set[tuple[LossLimit, int]] = set()
        self.reading: EquityReading | None = None
        self.day: DayResult | None = None
        self.wallet = Decimal(0)

    @property
    def high_water_mark(self) -> Decimal:
        """Largest agreed equity since the last re-base, 0 before the first reading."""
        return Decimal(0) if self._state is None else self._state.high_water_mark

    def blocks(self) -> tuple[EntryBlock, ...]:
        """Return why equity forbids entries at present."""
        reading = self.reading
        if reading is None:
            return (
                EntryBlock(rule="equity_unknown", message="the account's equity is not read yet"),
            )
        if not reading.agrees:
            derived = "unknown" if reading.derived is None else to_text(round(reading.derived, 4))
            message = (
                f"two sources of equity disagree: the account says "
                f"{to_text(round(reading.account, 4))} USDT, our own sum {derived}"
            )
            return (EntryBlock(rule="equity_disagreement", message=message),)
        return ()

    def ledger_is_due(self) -> None:
        """Read the income ledger at the next reading: something was booked."""
        self._ledger_due = True

    def resumed(self) -> None:
        """A person lifted the halt: the mark may have been re-based, the limits tell anew."""
        self._state = self._written_down = read_equity_state(self._journal) or self._state
        self._watches.clear()
        self._told.clear()

    async def ensure(self) -> None:
        """Read the account if it never was.

        Raises:
            VenueError: the account could not be read; nothing is concluded from that.
        """
        if self.reading is None:
            await self.read()

    async def read(self) -> None:
        """Read the account once and tell the limits that are now broken.

        Raises:
            VenueError: the account could not be read; nothing is concluded from that.
            JournalUnavailable: it was judged, and what is to be remembered could not be written.
        """
        async with self._reading:
            await self._read()
            self._write_down()

    async def _read(self) -> None:
        # The ledger first: a transfer that it shows is part of the account's sum that follows.
        await self._read_ledger()
        await self._read_marks()
        asked_ms = self._client.venue_now_ms()
        summary = await self._client.get_account_summary()
        now_ms = self._client.venue_now_ms()
        self.wallet = summary.wallet_balance
        if self._mirror.wallet_is_doubtful:
            self._mirror.load_wallet(self.wallet, asked_ms=asked_ms, answered_ms=now_ms)
        reading = EquityReading(
            at_ms=now_ms,
            account=summary.margin_balance,
            derived=self._derived(),
            unrealized=summary.unrealized_pnl,
        )
        self.reading = reading
        await self._read_rates()
        self._remember(reading)
        for found in self._judge(reading):
            self._tell(found)

    async def _read_ledger(self) -> None:
        now_ms = self._client.venue_now_ms()
        if self._ledger is None:
            self._ledger = Ledger(transfers_from_ms=self._remembered_until_ms(now_ms))
        if not self._ledger_due and now_ms - self._ledger_ms < _LEDGER_EVERY_MS:
            return
        self._ledger_due = False
        try:
            start_ms = self._ledger.start_ms(now_ms)
            rows = await self._client.get_income(start_ms=start_ms)
            if self._ledger_ms == 0 and self._ledger.transfers_from_ms < start_ms:
                # Days without us: of those only the transfers matter.
                rows += await self._client.get_income(
                    start_ms=self._ledger.transfers_from_ms,
                    end_ms=start_ms - 1,
                    income_type=IncomeType.TRANSFER,
                )
        except VenueError:
            self._ledger_due = True
            raise
        self._missed += self._ledger.take(rows, now_ms=now_ms)
        self._ledger_ms = now_ms

    def _remembered_until_ms(self, now_ms: int) -> int:
        """Return the exchange time up to which the remembered equity knows of transfers."""
        row = self._journal.last(EQUITY_ROW)
        return now_ms if row is None else row.local_ms + now_ms - self._clock.now_ms()

    async def _read_marks(self) -> None:
        """Ask for the marks of what is held and no stream tells, e.g. another program's symbols."""
        old_ms = self._risk.limits.stale_price_s * 1000 / 2
        for symbol in {row.symbol for row in self._mirror.positions()}:
            known = self._board.latest_mark(symbol)
            if known is None or known[1] > old_ms:
                with contextlib.suppress(VenueError):
                    await self._board.mark(symbol)

    async def _read_rates(self) -> None:
        """Ask now and then what the assets are worth that fees were paid in."""
        assert self._ledger is not None, "read before the account"
        rows = self._ledger.rows
        for asset in others(row.asset for row in rows if row.income_type in RESULT_TYPES):
            known = self._board.latest_mark(rate_symbol(asset))
            if known is None or known[1] > _RATE_MS:
                with contextlib.suppress(VenueError):
                    await self._board.mark(rate_symbol(asset))
                    known = self._board.latest_mark(rate_symbol(asset))
            if known is not None:
                self._rates[asset] = known[0].mark_price

    def wants_picture(self) -> bool:
        """Return True once in 30 seconds of disagreement: what we believe may have a hole."""
        reading = self.reading
        if reading is None or reading.agrees:
            self._in_doubt_since_ms = None
        elif self._in_doubt_since_ms is None:
            self._in_doubt_since_ms = reading.at_ms
        elif reading.at_ms - self._in_doubt_since_ms >= _PICTURE_MS:
            self._in_doubt_since_ms = reading.at_ms
            return True
        return False

    def _derived(self) -> Decimal | None:
        """Return our own sum of equity, None where it is not known yet or a mark price is old."""
        wallet = self._mirror.derived_wallet()
        if wallet is None:
            return None
        rows: list[tuple[Decimal, Decimal, Decimal]] = []
        for position in self._mirror.positions():
            known = self._board.latest_mark(position.symbol)
            if known is None or known[1] > self._risk.limits.stale_price_s * 1000:
                return None
            rows.append((position.quantity, position.entry_price, known[0].mark_price))
        return equity.derive_equity(wallet, (), rows)

    def _remember(self, reading: EquityReading) -> None:
        before = self._state
        state = equity.begin(reading) if before is None else before
        moved, self._missed = self._missed, ZERO
        assert self._ledger is not None, "read before the account"
        for amount in self._mirror.take_transfers():
            moved += self._ledger.tell(amount, now_ms=reading.at_ms)
        if moved != 0:
            state = equity.transfer(state, moved)
        state = equity.observe(state, reading)
        self._state = state
        day = day_result(
            self._ledger.rows,
            equity=reading.account,
            positions=self._mirror.positions(),
            state=state,
            venue_ms=reading.at_ms,
            rates=self._rates,
        )
        # The account's own sum: marks of the mirror are as old as its last reading.
        self.day = replace(day, unrealized=reading.unrealized)

    def _write_down(self) -> None:
        """Journal what has changed, after it was judged: no disk may hold up a limit."""
        assert self._state is not None, "remembered just before"
        if self._state != self._written_down:
            self._journal.record(EQUITY_ROW, equity_row(self._state), deadline_ms=NOTE_JOURNAL_MS)
            self._written_down = self._state

    def _judge(self, reading: EquityReading) -> list[LossLimitReached]:
        assert self.day is not None, "remembered just before"
        view = RiskView(
            now_ms=reading.at_ms,
            equity=reading.account,
            high_water_mark=self.high_water_mark,
            day=self.day,
        )
        found: list[LossLimitReached] = []
        stop = self._risk.trigger_emergency_stop(reading.account, self.high_water_mark)
        if self._holds(LossLimit.EMERGENCY, reading, breached=stop is not None):
            assert stop is not None, "a breach that holds is one now"
            found.append(
                LossLimitReached(
                    limit=LossLimit.EMERGENCY,
                    message=stop.message,
                    until_ms=None,
                    close_positions=True,
                )
            )
        verdict = self._risk.check_daily_loss(view)
        if self._holds(LossLimit.DAY, reading, breached=verdict.reached):
            found.append(
                LossLimitReached(
                    limit=LossLimit.DAY,
                    message=(
                        f"{verdict.rule}: the day's loss {to_text(round(-verdict.pnl, 4))} USDT "
                        f"has reached the limit {to_text(round(verdict.limit, 4))}"
                    ),
                    until_ms=self._local_ms(equity.next_day_ms(reading.at_ms)),
                    close_positions=verdict.close_positions,
                )
            )
        return found

    def _local_ms(self, venue_ms: int) -> int:
        """Return an exchange time by the machine's clock, which the latch goes by."""
        return venue_ms - self._client.venue_now_ms() + self._clock.now_ms()

    def _holds(self, limit: LossLimit, reading: EquityReading, *, breached: bool) -> bool:
        """Return True once when a breach counts: agreed on, or seen long enough."""
        watch = equity.watch_breach(
            self._watches.get(limit), breached=breached, at_ms=reading.at_ms
        )
        self._watches[limit] = watch
        key = limit, equity.utc_day(reading.at_ms)
        if watch is None or key in self._told or not (reading.agrees or watch.is_confirmed):
            return False
        self._told.add(key)
        return True

"""The watch over losses: two sources, what blocks entries, and when a breach counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.facts import position
from tests.support.paper import START_MS, ManualClock
from trader_cli.domain.account import AccountSummary, BookTop, IncomeRow, MarkPrice
from trader_cli.domain.account_events import AccountUpdated, BalanceChanged, MarkPriceChanged
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.facts import LossLimit, LossLimitReached
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.market_board import MarketBoard
from trader_cli.errors import NotSent
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.journal import Journal
from trader_cli.trading.risk import equity
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits
from trader_cli.trading.risk.risk_view import EQUITY_ROW, day_result, equity_row, read_equity_state

DAY_MS = 86_400_000
OPEN = Decimal(10_000)


class Account:
    """The exchange's account: what the test says it is worth."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.wallet = OPEN
        self.unrealized = Decimal(0)
        self.income: list[IncomeRow] = []
        self.ledger_reads = 0
        self.ledger_starts: list[int] = []
        self.is_down = False

    def venue_now_ms(self) -> int:
        return self.clock.now_ms()

    async def get_account_summary(self) -> AccountSummary:
        if self.is_down:
            raise NotSent("no connection")
        return AccountSummary(
            wallet_balance=self.wallet,
            unrealized_pnl=self.unrealized,
            margin_balance=self.wallet + self.unrealized,
            available_balance=self.wallet,
            initial_margin=Decimal(0),
            maintenance_margin=Decimal(0),
            can_trade=True,
            can_withdraw=False,
            hedge_mode=False,
            multi_assets_mode=False,
            fee_tier=0,
            updated_ms=0,
        )

    async def get_income(
        self, *, start_ms: int, end_ms: int | None = None, income_type: str | None = None
    ) -> list[IncomeRow]:
        self.ledger_reads += 1
        self.ledger_starts.append(start_ms)
        return [
            row
            for row in self.income
            if row.time_ms >= start_ms
            and (end_ms is None or row.time_ms <= end_ms)
            and income_type in (None, row.income_type)
        ]


class Watch:
    """A loss watch over an account, its mirror and a board, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.account = Account(self.clock)
        self.journal = Journal.open(folder / "journal.db", self.clock)
        self.mirror = AccountMirror()
        self.mirror.load_wallet(OPEN, asked_ms=START_MS - 9_000, answered_ms=START_MS - 9_000)
        self.told: list[LossLimitReached] = []
        self.board = MarketBoard(
            clock=self.clock,
            venue_now_ms=self.clock.now_ms,
            measure_clock=_no_clock,
            read_top=_no_top,
            read_mark=_no_mark,
        )
        self.restart()

    def restart(self) -> None:
        self.losses = LossWatch(
            self.account,
            journal=self.journal,
            mirror=self.mirror,
            board=self.board,
            risk=RiskManager(RiskLimits()),
            clock=self.clock,
            tell=self.told.append,
        )

    async def read(self, times: int = 1, *, every_ms: int = 1_000) -> None:
        for _ in range(times):
            await self.losses.read()
            self.clock.advance(every_ms)

    def hold(self, quantity: str, *, entry: str, mark: str) -> None:
        """Hold a position that account and mirror agree on."""
        row = replace(position(quantity, entry=entry, mark=mark), updated_ms=0)
        self.mirror.load_positions([row], (), asked_ms=self.clock.now_ms())
        self.mark(mark)
        self.account.unrealized = row.unrealized_pnl

    def read_wallet(self) -> None:
        """Let the mirror begin anew from the account, as a reconcile does."""
        now_ms = self.clock.now_ms()
        self.mirror.load_wallet(self.account.wallet, asked_ms=now_ms, answered_ms=now_ms)

    def mark(self, price: str, *, symbol: str = "BTCUSDT") -> None:
        value = Decimal(price)
        self.board.take(
            MarkPriceChanged(
                mark=MarkPrice(
                    symbol=symbol,
                    mark_price=value,
                    index_price=value,
                    funding_rate=Decimal(0),
                    next_funding_ms=0,
                    venue_ms=self.clock.now_ms(),
                )
            )
        )

    def lose(self, amount: str) -> None:
        """Lose in a way that both sources know."""
        loss = Decimal(amount)
        self.account.wallet -= loss
        self.read_wallet()
        self.account.income.append(income(-loss, self.clock.now_ms(), len(self.account.income)))
        self.losses.ledger_is_due()

    def transfer(self, amount: str, *, told: bool = True, listed: bool = True) -> None:
        """Move money in or out; the stream tells it or not, the ledger lists it already or not."""
        moved = Decimal(amount)
        self.account.wallet += moved
        if listed:
            self.list_transfer(amount)
        if told:
            change = BalanceChanged(
                asset="USDT",
                wallet_balance=self.account.wallet,
                cross_wallet_balance=self.account.wallet,
                change=moved,
            )
            self.mirror.apply(
                AccountUpdated(
                    reason="WITHDRAW" if moved < 0 else "DEPOSIT",
                    balances=(change,),
                    positions=(),
                    venue_ms=self.clock.now_ms(),
                )
            )
        else:
            self.read_wallet()  # as the reconcile after a gap does
        self.losses.ledger_is_due()

    def tell_funding(self, amount: str) -> None:
        """Let the stream tell of a booking of this moment."""
        change = BalanceChanged(
            asset="USDT",
            wallet_balance=self.account.wallet,
            cross_wallet_balance=self.account.wallet,
            change=Decimal(amount),
        )
        self.mirror.apply(
            AccountUpdated(
                reason="FUNDING_FEE",
                balances=(change,),
                positions=(),
                venue_ms=self.clock.now_ms(),
            )
        )

    def list_transfer(self, amount: str) -> None:
        """Let the ledger show a transfer of this moment."""
        row = income(Decimal(amount), self.clock.now_ms(), len(self.account.income))
        self.account.income.append(replace(row, income_type="TRANSFER", symbol=""))

    @property
    def limits(self) -> list[LossLimit]:
        return [row.limit for row in self.told]

    @property
    def rules(self) -> list[str]:
        return [row.rule for row in self.losses.blocks()]


async def _no_top(_symbol: str) -> BookTop:
    raise NotSent("not asked for here")


async def _no_clock() -> int:
    raise NotSent("not asked for here")


async def _no_mark(_symbol: str) -> MarkPrice:
    raise NotSent("not asked for here")


def income(amount: Decimal, at_ms: int, number: int) -> IncomeRow:
    return IncomeRow(
        symbol="BTCUSDT",
        income_type="REALIZED_PNL",
        amount=amount,
        asset="USDT",
        info="",
        transaction_id=number,
        trade_id="",
        time_ms=at_ms,
    )


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    yield made
    made.journal.close()


async def test_entries_are_blocked_until_the_account_was_read(watch: Watch) -> None:
    assert watch.rules == ["equity_unknown"]
    await watch.losses.ensure()
    assert watch.rules == []


async def test_account_that_cannot_be_read_says_so_and_proves_nothing(watch: Watch) -> None:
    watch.account.is_down = True
    with pytest.raises(NotSent):
        await watch.losses.ensure()

    assert watch.rules == ["equity_unknown"]
    assert watch.told == []


@pytest.mark.parametrize(("gap", "blocked"), [("49.9", False), ("50.3", True)])
async def test_two_sources_may_differ_by_half_a_percent(
    watch: Watch, gap: str, blocked: bool
) -> None:
    watch.account.wallet += Decimal(gap)
    await watch.read()

    assert watch.rules == (["equity_disagreement"] if blocked else [])


async def test_open_position_is_part_of_both_sources(watch: Watch) -> None:
    watch.hold("0.1", entry="95000", mark="96000")
    await watch.read()

    assert watch.rules == []
    reading = watch.losses.reading
    assert reading is not None
    assert (reading.account, reading.derived) == (Decimal(10_100), Decimal(10_100))


async def test_without_a_fresh_mark_the_second_source_is_silent(watch: Watch) -> None:
    watch.hold("0.1", entry="95000", mark="95000")
    watch.clock.advance(10_000)
    await watch.losses.read()
    assert watch.rules == []

    watch.clock.advance(1)
    await watch.losses.read()
    assert watch.rules == ["equity_disagreement"]


async def test_agreed_breach_counts_at_once_and_is_told_once(watch: Watch) -> None:
    await watch.read()
    watch.lose("49.99")
    await watch.read()
    assert watch.told == []

    watch.lose("0.02")
    await watch.read(times=10)

    assert watch.limits == [LossLimit.DAY]
    [told] = watch.told
    assert told.until_ms == (START_MS // DAY_MS + 1) * DAY_MS
    assert told.close_positions
    assert "50.01" in told.message


async def test_breach_that_only_the_account_shows_counts_after_three_reads_over_five_seconds(
    watch: Watch,
) -> None:
    await watch.read()
    watch.account.wallet -= 1_100  # our own sum knows nothing of it
    watch.account.income.append(income(Decimal(-1_100), watch.clock.now_ms(), 1))
    watch.losses.ledger_is_due()

    await watch.read(times=2, every_ms=2_499)
    await watch.losses.read()
    assert watch.told == [], "three reads, but over 4.998 seconds"
    watch.clock.advance(2)
    await watch.losses.read()

    assert sorted(watch.limits) == [LossLimit.DAY, LossLimit.EMERGENCY]


async def test_one_read_without_the_breach_starts_the_count_anew(watch: Watch) -> None:
    await watch.read()
    watch.account.wallet -= 1_100
    await watch.read(times=2, every_ms=2_000)
    watch.account.wallet += 1_100
    await watch.read(every_ms=2_000)
    watch.account.wallet -= 1_100
    await watch.read(times=2, every_ms=2_000)

    assert watch.told == []


async def test_open_loss_counts_and_the_day_speaks_with_the_accounts_own_sum(
    watch: Watch,
) -> None:
    await watch.read()
    watch.hold("0.1", entry="95000", mark="94499")
    await watch.read()

    assert watch.limits == [LossLimit.DAY]
    assert watch.losses.day is not None
    assert watch.losses.day.unrealized == Decimal("-50.1")


async def test_emergency_is_measured_from_the_highest_equity_both_saw(watch: Watch) -> None:
    watch.account.wallet = Decimal(20_000)
    watch.read_wallet()
    await watch.read()
    assert watch.losses.high_water_mark == 20_000

    watch.lose("2000")
    await watch.read()

    assert LossLimit.EMERGENCY in watch.limits


async def test_peak_that_only_one_source_saw_is_no_mark(watch: Watch) -> None:
    await watch.read()
    watch.account.wallet += 5_000
    await watch.read()

    assert watch.losses.high_water_mark == OPEN


async def test_transfer_is_neither_profit_nor_loss(watch: Watch) -> None:
    await watch.read()
    out = Decimal(-3_000)
    watch.account.wallet += out
    watch.mirror.apply(
        AccountUpdated(
            reason="WITHDRAW",
            balances=(
                BalanceChanged(
                    asset="USDT",
                    wallet_balance=watch.account.wallet,
                    cross_wallet_balance=watch.account.wallet,
                    change=out,
                ),
            ),
            positions=(),
            venue_ms=watch.clock.now_ms(),
        )
    )
    await watch.read(times=8)

    assert watch.told == []
    assert watch.rules == []
    assert watch.losses.high_water_mark == 7_000


async def test_new_day_begins_with_what_there_is_and_tells_anew(watch: Watch) -> None:
    await watch.read()
    watch.lose("60")
    await watch.read()
    assert watch.limits == [LossLimit.DAY]

    watch.clock.advance(DAY_MS)
    await watch.read(times=3)
    assert watch.limits == [LossLimit.DAY], "yesterday's loss is yesterday's"
    watch.lose("60")
    await watch.read()

    assert watch.limits == [LossLimit.DAY, LossLimit.DAY]


async def test_journal_that_takes_nothing_silences_no_limit_and_forgets_no_transfer(
    watch: Watch,
) -> None:
    await watch.read()
    watch.journal.close()
    watch.clock.advance(DAY_MS)  # a new day is something to write down
    watch.transfer("-4000")
    with pytest.raises(JournalUnavailable):
        await watch.read()
    watch.lose("300")
    with pytest.raises(JournalUnavailable):
        await watch.read()

    assert watch.losses.high_water_mark == OPEN - 4_000
    assert watch.limits == [LossLimit.DAY]


async def test_resume_rebases_the_mark_and_arms_the_limits_again(watch: Watch) -> None:
    await watch.read()
    watch.lose("1100")
    await watch.read(times=3)
    assert sorted(watch.limits) == [LossLimit.DAY, LossLimit.EMERGENCY]

    state = read_equity_state(watch.journal)
    assert state is not None
    rebased = equity.rebase(state, watch.account.wallet)
    watch.journal.record(EQUITY_ROW, equity_row(rebased))
    watch.losses.resumed()
    await watch.read(times=2)

    # The day's limit still holds and says so again; the emergency is over.
    assert sorted(watch.limits) == [LossLimit.DAY, LossLimit.DAY, LossLimit.EMERGENCY]
    assert watch.losses.high_water_mark == Decimal(8_900)


async def test_restart_remembers_the_peak_and_the_days_opening(watch: Watch) -> None:
    await watch.read()
    watch.restart()
    watch.lose("45")
    await watch.read()
    watch.restart()
    watch.lose("6")
    await watch.read()

    assert watch.limits == [LossLimit.DAY]
    assert watch.losses.high_water_mark == OPEN


async def test_ledger_is_read_when_something_was_booked_else_every_ten_seconds(
    watch: Watch,
) -> None:
    await watch.read(times=10)
    assert watch.account.ledger_reads == 1
    await watch.read()
    assert watch.account.ledger_reads == 2
    watch.losses.ledger_is_due()
    await watch.read(times=2)
    assert watch.account.ledger_reads == 3


@pytest.mark.parametrize("days", [0, 3])
async def test_money_withdrawn_while_nothing_ran_is_no_loss(watch: Watch, days: int) -> None:
    await watch.read()
    watch.clock.advance(3_600_000)
    watch.transfer("-3000", told=False)
    watch.clock.advance(days * DAY_MS + 60_000)
    watch.restart()
    await watch.read(times=10)

    assert watch.told == []
    assert watch.losses.high_water_mark == 7_000
    watch.restart()
    await watch.read(times=2)
    assert watch.losses.high_water_mark == 7_000, "once is enough"


async def test_money_withdrawn_during_a_gap_is_no_loss(watch: Watch) -> None:
    await watch.read(times=3)
    watch.transfer("-3000", told=False)
    await watch.read(times=10)

    assert watch.told == []
    assert watch.losses.high_water_mark == 7_000


@pytest.mark.parametrize("amount", ["-3000", "3000"])
async def test_transfer_that_stream_and_ledger_tell_counts_once(watch: Watch, amount: str) -> None:
    await watch.read()
    watch.transfer(amount, listed=False)
    await watch.read(times=3)
    watch.list_transfer(amount)
    watch.losses.ledger_is_due()
    await watch.read(times=3)

    assert watch.told == []
    assert watch.losses.high_water_mark == OPEN + Decimal(amount)


async def test_a_loss_after_an_unseen_withdrawal_still_counts(watch: Watch) -> None:
    await watch.read()
    watch.clock.advance(60_000)
    watch.transfer("-3000", told=False)
    watch.restart()
    await watch.read()
    watch.lose("700")
    await watch.read()

    assert LossLimit.EMERGENCY in watch.limits


async def test_ledger_goes_on_where_it_was_read_and_forgets_yesterday(watch: Watch) -> None:
    await watch.read()
    watch.lose("20")
    await watch.read()
    watch.clock.advance(3_600_000)
    await watch.read(times=2)
    watch.lose("10")
    await watch.read()

    assert watch.account.ledger_starts[-1] > watch.clock.now_ms() - 20 * 60_000
    assert watch.losses.day is not None
    assert watch.losses.day.realized == -30
    watch.clock.advance(DAY_MS)
    await watch.read()
    assert watch.losses.day.realized == 0


async def test_lasting_disagreement_asks_for_the_whole_picture_now_and_then(watch: Watch) -> None:
    await watch.read()
    watch.account.wallet += 60
    wishes = []
    for _ in range(62):
        await watch.read()
        wishes.append(watch.losses.wants_picture())

    assert [index for index, wish in enumerate(wishes) if wish] == [30, 60]
    watch.read_wallet()
    await watch.read()
    assert not watch.losses.wants_picture()


async def test_booking_that_straddles_the_wallets_reading_is_settled_by_the_next_reading(
    watch: Watch,
) -> None:
    await watch.read()
    watch.read_wallet()
    watch.account.wallet += 80  # booked just after, and the stream tells of it in the same moment
    watch.tell_funding("80")
    watch.clock.advance(1_500)
    await watch.read()

    assert watch.rules == []
    assert not watch.mirror.wallet_is_doubtful


async def test_booking_well_after_the_reading_needs_no_other_reading(watch: Watch) -> None:
    """Our own sum stays our own: it is not taken from the account whenever something is booked."""
    await watch.read()
    watch.account.wallet += 80
    watch.tell_funding("20")
    await watch.read()

    assert watch.rules == ["equity_disagreement"]


async def test_fees_in_bnb_count_in_the_day_at_what_bnb_is_worth(watch: Watch) -> None:
    await watch.read()
    watch.mark("800", symbol="BNBUSDT")
    fee = replace(income(Decimal("-0.07"), watch.clock.now_ms(), 1), income_type="COMMISSION")
    watch.account.income.append(replace(fee, asset="BNB"))
    watch.losses.ledger_is_due()
    await watch.read()

    assert watch.losses.day is not None
    assert watch.losses.day.fees == -56
    assert watch.losses.day.opening_equity == OPEN
    assert watch.limits == [LossLimit.DAY], "56 USDT are gone, of the 50 a day may lose"
    assert watch.rules == []


async def test_day_that_began_before_us_opens_with_what_other_assets_did_not_change(
    watch: Watch,
) -> None:
    watch.mark("800", symbol="BNBUSDT")
    fee = replace(income(Decimal("-0.05"), watch.clock.now_ms(), 1), income_type="COMMISSION")
    watch.account.income.append(replace(fee, asset="BNB"))
    watch.account.income.append(income(Decimal(7), watch.clock.now_ms(), 2))

    result = day_result(
        watch.account.income,
        equity=OPEN,
        positions=(),
        state=None,
        venue_ms=watch.clock.now_ms(),
        rates={"BNB": Decimal(800)},
    )

    assert (result.opening_equity, result.fees, result.realized) == (OPEN - 7, -40, 7)

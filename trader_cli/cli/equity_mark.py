"""Put the journaled high-water mark where equity is now: after a resume, after a paper reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trader_cli.cli.context import make_client
from trader_cli.cli.records import number
from trader_cli.clock import SystemClock
from trader_cli.engine.remembered import ACCOUNT_NEW
from trader_cli.journal.journal import Journal
from trader_cli.trading.risk.equity import EquityReading, begin, rebase
from trader_cli.trading.risk.risk_view import EQUITY_ROW, equity_row, read_equity_state

if TYPE_CHECKING:
    from trader_cli.cli.invocation import Invocation
    from trader_cli.config import Settings


async def mark_present_equity(
    invocation: Invocation, settings: Settings, *, account_is_new: bool
) -> None:
    """Journal present equity as the high-water mark; of a new account as the day's opening too.

    Raises:
        VenueError: equity could not be read. JournalUnavailable: it is not remembered.
    """
    async with make_client(settings) as client:
        summary = await client.get_account_summary()
        reading = EquityReading(
            at_ms=client.venue_now_ms(),
            account=summary.margin_balance,
            derived=None,
            unrealized=summary.unrealized_pnl,
        )
    with Journal.open(settings.journal_path, SystemClock()) as journal:
        known = None if account_is_new else read_equity_state(journal)
        state = begin(reading) if known is None else rebase(known, reading.account)
        if account_is_new:
            journal.record(ACCOUNT_NEW, {})
        journal.record(EQUITY_ROW, equity_row(state), durable=True)
    invocation.say(f"the high-water mark is now {number(reading.account)} USDT")

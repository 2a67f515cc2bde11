"""Keep the journal small while an engine runs: what nobody needs any more moves into files.

Knows which rows which readers still need; how rows leave and what proves it is the journal's.
Decisions, trades, adoptions and limits stay for good: they are few, and what is open is found by
them. It works in small steps with pauses, so that no order waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from trader_cli.clock import Clock
from trader_cli.engine.record import FACT, USER_EVENT
from trader_cli.engine.remembered import REFUSAL
from trader_cli.journal.archive import Expired, Sweep
from trader_cli.journal.disk_wait import aside
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.journal import Journal
from trader_cli.trading.positions.beliefs import (
    POSITION_ROW,
    PROTECTED_ROW,
    held,
    read_beliefs,
    summed_up_to,
)
from trader_cli.trading.risk.equity import day_start_ms
from trader_cli.trading.risk.risk_view import EQUITY_ROW

_DAY_MS: Final = 86_400_000
_EVERY_S: Final = 6 * 3_600.0
_FIRST_S: Final = 60.0
_STEP_ROWS: Final = 250
_PAUSE_S: Final = 0.5


async def keep_small(
    journal: Journal, clock: Clock, *, keep_days: int, say: Callable[[str], None]
) -> None:
    """Archive old rows a minute after the start and every six hours, for ever."""
    pause_s = _FIRST_S
    while True:
        await clock.sleep(pause_s)
        pause_s = _EVERY_S
        try:
            moved = await archive_old(journal, clock, keep_days=keep_days)
        except JournalUnavailable as error:
            say(f"old rows stay in the journal: {error.message}")
            continue
        if moved:
            say(f"{moved} rows older than {keep_days} days moved from the journal to its archive")


async def archive_old(journal: Journal, clock: Clock, *, keep_days: int) -> int:
    """Move what is older than `keep_days` whole days and not needed; return how many rows.

    Raises:
        JournalUnavailable: it could not be read or written; what is left is for the next time.
    """
    sweep = Sweep(expired=expired_at(journal, clock.now_ms(), keep_days=keep_days))
    moved = 0
    while True:
        step = await aside(partial(journal.archive, sweep, rows_max=_STEP_ROWS))
        if step is None:
            return moved
        moved += step
        await clock.sleep(_PAUSE_S)


def expired_at(journal: Journal, now_ms: int, *, keep_days: int) -> Expired:
    """Return what may leave at `now_ms`; today always stays, and so do orders of what is held.

    Raises:
        JournalUnavailable: what is held could not be read.
    """
    opened: dict[str, int] = {}
    for belief in held(read_beliefs(journal)).values():
        since_ms = belief.seen_ms if belief.opened_ms is None else belief.opened_ms
        opened[belief.symbol] = min(since_ms, opened.get(belief.symbol, since_ms)) - _DAY_MS
    summed = summed_up_to(journal)
    return Expired(
        before_ms=day_start_ms(now_ms) - keep_days * _DAY_MS,
        kinds={
            FACT: None,
            USER_EVENT: None,
            REFUSAL: None,
            EQUITY_ROW: None,
            POSITION_ROW: summed,
            PROTECTED_ROW: summed,
        },
        kept_symbols=opened,
    )

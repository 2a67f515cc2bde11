"""What comes of one run, and what must hold of every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tests.simulations.watch import Gap, Watch
from trader_cli.journal.journal import Journal

PROTECT_MS: Final = 5_000
DETECT_MS: Final = 3_000
"""A stop that is gone without an event is found by the next reading: two seconds and its answer."""
CLOSE_MS: Final = 2_000
"""What closing at market takes where its own first request fails, too."""
BOUND_MS: Final = PROTECT_MS + DETECT_MS + CLOSE_MS


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run.

    Attributes:
        path: who traded and how the position was entered.
        lives: milliseconds without a stop of every position there was, while attended.
        failures: what should not be; empty where all held.
        codes: how often which error was answered.
        said: how each command or engine ended, for whoever looks into a failure.
    """

    path: str
    hedge: bool
    troubles: tuple[str, ...]
    gaps: tuple[Gap, ...]
    lives: tuple[int, ...]
    failures: tuple[str, ...]
    codes: Mapping[int, int]
    said: tuple[str, ...]


def failures_of(watch: Watch, journal: Journal, wanted: Mapping[str, Decimal]) -> Iterator[str]:
    """Tell what does not hold at the end of a run that was closed.

    Args:
        wanted: what each decision or command meant to enter at most.
    """
    if watch.positions():
        yield f"still held: {watch.positions()}"
    for row in watch.orders():
        yield f"a regular order still rests: {row['clientOrderId']}"
    for name in own_exits(watch):
        yield f"an exit order still rests: {name}"
    for gap in watch.gaps:
        if gap.attended_ms > BOUND_MS:
            yield f"unprotected for {gap.attended_ms} ms: {gap.cause}"
    for source, most in wanted.items():
        entered = _entered(watch, source)
        if entered > most:
            yield f"{source} entered {entered}, {most} was wanted"
    if not watch.is_booked():
        yield "wallet and income differ"
    if journal.unknown_intents():
        yield f"in doubt: {[row.client_order_id for row in journal.unknown_intents()]}"


def own_exits(watch: Watch) -> list[str]:
    """Return our conditional orders that rest."""
    return [
        f"{row['clientAlgoId']} {row['orderType']}"
        for row in watch.algos()
        if str(row["clientAlgoId"]).startswith("trd-") and row["algoStatus"] == "NEW"
    ]


def _entered(watch: Watch, source: str) -> Decimal:
    mark = f"trd-{hashlib.sha256(source.encode()).hexdigest()[:20]}-en"
    rows = (row for row in watch.all_orders() if str(row["clientOrderId"]).startswith(mark))
    return sum((Decimal(row["executedQty"]) for row in rows), Decimal(0))

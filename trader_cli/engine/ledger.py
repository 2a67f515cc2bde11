"""The income ledger as far as it was read: the day's rows, each once, and transfers nobody told of.

A reading weighs 30 for every thousand rows, so each one goes on where the last one ended, a little
before it because rows appear late. The stream tells most transfers first; what came while nobody
listened is found here. Knows rows and times; must not know what equity is.

Source: binance-usdm reference §8 (income), §4 (weights).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import IncomeRow
from trader_cli.domain.numbers import ZERO
from trader_cli.trading.risk.equity import TRANSFER_TYPES, day_start_ms

_OVERLAP_MS: Final = 15 * 60_000
"""How late a row may appear behind its own time."""

_MATCH_MS: Final = 60 * 60_000
"""How far apart stream and ledger may tell of the same transfer."""

RowKey = tuple[str, int]


class Ledger:
    """The day's income rows, and the transfers that are not accounted for yet.

    Attributes:
        rows: of the present UTC day.
        transfers_from_ms: transfers up to then are part of what equity is remembered as.
    """

    def __init__(self, *, transfers_from_ms: int) -> None:
        self.rows: list[IncomeRow] = []
        self.transfers_from_ms = transfers_from_ms
        self._read_ms: int | None = None
        self._by_key: dict[RowKey, IncomeRow] = {}
        self._told: list[tuple[int, Decimal]] = []
        self._found: list[tuple[int, Decimal]] = []

    def start_ms(self, now_ms: int) -> int:
        """Return from when on the ledger has to be read at exchange time `now_ms`."""
        if self._read_ms is None:
            return day_start_ms(now_ms)
        return self._read_ms - _OVERLAP_MS

    def take(self, rows: Iterable[IncomeRow], *, now_ms: int) -> Decimal:
        """Take in a reading begun at `now_ms`; return the transfers in it that nobody had told."""
        missed = ZERO
        for row in rows:
            key = row.income_type, row.transaction_id
            if key in self._by_key:
                continue
            self._by_key[key] = row
            if self._is_new_transfer(row) and not _take(self._told, row.amount):
                self._found.append((now_ms, row.amount))
                missed += row.amount
        self._read_ms = now_ms
        day_ms = day_start_ms(now_ms)
        kept_ms = min(day_ms, now_ms - 2 * _OVERLAP_MS)
        self._by_key = {key: row for key, row in self._by_key.items() if row.time_ms >= kept_ms}
        self.rows = [row for row in self._by_key.values() if row.time_ms >= day_ms]
        self._told = [each for each in self._told if now_ms - each[0] <= _MATCH_MS]
        self._found = [each for each in self._found if now_ms - each[0] <= _MATCH_MS]
        return missed

    def tell(self, amount: Decimal, *, now_ms: int) -> Decimal:
        """Take in a transfer that the stream told; return 0 if the ledger had shown it before."""
        if _take(self._found, amount):
            return ZERO
        self._told.append((now_ms, amount))
        return amount

    def _is_new_transfer(self, row: IncomeRow) -> bool:
        return (
            row.income_type in TRANSFER_TYPES
            and row.asset == "USDT"
            and row.time_ms > self.transfers_from_ms
        )


def _take(waiting: list[tuple[int, Decimal]], amount: Decimal) -> bool:
    """Take the oldest of this amount out of what waits and return True if there was one."""
    for index, (_, each) in enumerate(waiting):
        if each == amount:
            del waiting[index]
            return True
    return False

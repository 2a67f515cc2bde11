"""Requests for a file of the account's history: an id at once, the file never.

The exchange prepares such files for hours; here every one stays in preparation, and the same rows
are asked for by the ordinary calls.

Source: binance-usdm reference §4; documented samples of `*/asyn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.memory import Memory

DOWNLOADS_PER_MONTH: Final = 100
SPAN_MS_MAX: Final = 366 * 86_400_000
_MONTH_MS: Final = 30 * 86_400_000
_FIRST_ID: Final = 545_923_594_199_212_032
_AVERAGE_MS: Final = 7_241_837
_MEMORY: Final = "downloads"


@dataclass(frozen=True, slots=True)
class _Asked:
    kind: str
    asked_ms: int


class Downloads:
    """The ids given out in the last month, by what they are of."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        stored = memory.recall(_MEMORY) or {}
        self._asked = {number: _Asked(kind, ms) for number, (kind, ms) in stored.items()}

    def ask(self, kind: str, params: Params, now_ms: int) -> dict[str, object]:
        """Return an id for the span asked for.

        Raises:
            VenueRefusal: -1023 or -4165 for a bad span, -1015 past a hundred a month.
        """
        for name in ("startTime", "endTime"):
            params.needed(name)
        start_ms, end_ms = params.integer("startTime") or 0, params.integer("endTime") or 0
        if start_ms > end_ms:
            raise VenueRefusal(-1023)
        if end_ms - start_ms > SPAN_MS_MAX:
            raise VenueRefusal(-4165, 365)
        recent = {
            number: asked
            for number, asked in self._asked.items()
            if now_ms - asked.asked_ms < _MONTH_MS
        }
        if len(recent) >= DOWNLOADS_PER_MONTH:
            raise VenueRefusal(-1015, DOWNLOADS_PER_MONTH, "MONTH")
        number = str(max(map(int, self._asked), default=_FIRST_ID) + 1)
        self._asked = recent | {number: _Asked(kind, now_ms)}
        rows = {known: [asked.kind, asked.asked_ms] for known, asked in self._asked.items()}
        self._memory.remember(_MEMORY, rows)
        return {"avgCostTimestampOfLast30d": _AVERAGE_MS, "downloadId": number}

    def status(self, kind: str, params: Params) -> dict[str, object]:
        """Return how far a file is; -1130 for an id that was never given for that kind."""
        number = params.needed("downloadId")
        found = self._asked.get(number)
        if found is None or found.kind != kind:
            raise VenueRefusal(-1130, "downloadId")
        return {
            "downloadId": number,
            "status": "processing",
            "url": "",
            "notified": False,
            "expirationTimestamp": -1,
            "isExpired": None,
        }

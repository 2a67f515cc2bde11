"""Keep the advisors told: a position and a record in each bridge file, at most two seconds old.

Knows which advisor looks where; what is written and how is the bridge's. Our own truth is the
journal: other programs rewrite these files, so every round writes everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path

from trader_cli.bridge.feedback import (
    Feedback,
    FeedbackPlace,
    FeedbackPosition,
    Source,
    Tally,
    TradeResult,
    merge_feedback,
    place_of,
    update,
)
from trader_cli.bridge.feedback_file import write_feedback
from trader_cli.clock import Clock
from trader_cli.domain.numbers import HUNDRED
from trader_cli.domain.signal import Signal
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.state import Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What feedback is made from, as it is now."""

    holdings: Mapping[str, Holding]
    leverages: Mapping[str, int]
    wallet: Decimal


class FeedbackLoop:
    """Writes feedback for every advisor that was seen."""

    def __init__(
        self,
        directory: Path,
        *,
        source: Source,
        zone: tzinfo,
        clock: Clock,
        board: MarketBoard,
        tallies: Mapping[str, Tally],
        now: Callable[[], Told],
        warn: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._source = source
        self._zone = zone
        self._clock = clock
        self._board = board
        self._tallies = dict(tallies)
        self._now = now
        self._warn = warn
        self._advisors: dict[str, FeedbackPlace] = {}
        self._failed = False

    def saw(self, signal: Signal) -> None:
        """Know where an advisor looks for its feedback."""
        place = place_of(signal.home_file or signal.file, signal.section)
        self._advisors[signal.advisor] = place

    def add(self, advisor: str, result: TradeResult) -> None:
        """Count a closed trade in its advisor's record."""
        self._tallies[advisor] = update(self._tallies.get(advisor, Tally()), result)

    async def run(self, every_s: float) -> None:
        """Write every `every_s` seconds until cancelled."""
        while True:
            self.write()
            await self._clock.sleep(every_s)

    def write(self) -> None:
        """Write every file once; a file that is missing or busy is left to the next round."""
        told = self._now()
        owners = {row.advisor: row for row in told.holdings.values() if row.advisor is not None}
        for place in set(self._advisors.values()):
            here = [name for name, where in self._advisors.items() if where == place]
            # Two advisors may read one section: the one in position is told about.
            advisor = next((name for name in here if name in owners), here[0])
            self._write_one(place, advisor, owners.get(advisor), told)

    def _write_one(
        self, place: FeedbackPlace, advisor: str, holding: Holding | None, told: Told
    ) -> None:
        feedback = Feedback(
            source=self._source,
            position=None if holding is None else self._position(holding, told),
            balance=told.wallet,
            tally=self._tallies.get(advisor, Tally()),
        )

        def build(document: Mapping[str, object]) -> Mapping[str, object]:
            return merge_feedback(
                document,
                feedback,
                section=place.section,
                zone=self._zone,
                now_ms=self._clock.now_ms(),
            )

        try:
            write_feedback(self._directory / place.file, build)
        except OSError as error:
            if not self._failed:
                self._warn(f"feedback cannot be written to {place.file}: {error.strerror}")
            self._failed = True
        else:
            self._failed = False

    def _position(self, holding: Holding, told: Told) -> FeedbackPosition:
        known = self._board.latest_mark(holding.symbol)
        price = holding.entry_price if known is None else known[0].mark_price
        leverage = told.leverages.get(holding.symbol, 1)
        pnl = holding.quantity * (price - holding.entry_price) * holding.direction.sign
        margin = holding.quantity * holding.entry_price / leverage
        return FeedbackPosition(
            direction=holding.direction,
            entry_price=holding.entry_price,
            current_price=price,
            leverage=leverage,
            unrealized_pnl=pnl,
            roi_pct=pnl / margin * HUNDRED if margin > 0 else Decimal(0),
            entered_ms=holding.opened_ms,
        )

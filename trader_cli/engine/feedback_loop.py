"""Keep the advisors told: a position and a record in each bridge file, at most two seconds old.

Knows which advisor looks where; what is written and how is the bridge's. Our own truth is the
journal: other programs rewrite these files, so every round writes everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Final

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
from trader_cli.bridge.feedback_file import BuildDocument, write_feedback
from trader_cli.clock import Clock
from trader_cli.domain.numbers import HUNDRED
from trader_cli.domain.signal import Signal
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.state import Holding
from trader_cli.journal.disk_wait import Errands

_DISK_WAIT_S: Final = 0.25


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
        self._failing: frozenset[str] = frozenset()
        self._disk = Errands()

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
        """Write every file once; a file that is missing or busy is left to the next round.

        A disk that does not answer is waited for a moment, once.
        """
        told = self._now()
        owners = {row.advisor: row for row in told.holdings.values() if row.advisor is not None}
        builds: list[tuple[str, BuildDocument]] = []
        for place in set(self._advisors.values()):
            here = [name for name, where in self._advisors.items() if where == place]
            # Two advisors may read one section: the one in position is told about.
            advisor = next((name for name in here if name in owners), here[0])
            feedback = self._feedback(advisor, owners.get(advisor), told)
            builds.append((place.file, self._builder(place, feedback)))
        try:
            failing = self._disk.run(lambda: self._write_all(builds), _DISK_WAIT_S)
        except TimeoutError:
            failing = {str(self._directory): "the disk does not answer"}
        for file in failing.keys() - self._failing:
            self._warn(f"feedback cannot be written to {file}: {failing[file]}")
        self._failing = frozenset(failing)

    def _write_all(self, builds: Iterable[tuple[str, BuildDocument]]) -> dict[str, str]:
        """Write in another thread; return by file why it could not be written."""
        failing: dict[str, str] = {}
        for file, build in builds:
            try:
                write_feedback(self._directory / file, build)
            except OSError as error:
                failing[file] = error.strerror or str(error)
        return failing

    def _feedback(self, advisor: str, holding: Holding | None, told: Told) -> Feedback:
        return Feedback(
            source=self._source,
            position=None if holding is None else self._position(holding, told),
            balance=told.wallet,
            tally=self._tallies.get(advisor, Tally()),
        )

    def _builder(self, place: FeedbackPlace, feedback: Feedback) -> BuildDocument:
        def build(document: Mapping[str, object]) -> Mapping[str, object]:
            return merge_feedback(
                document,
                feedback,
                section=place.section,
                zone=self._zone,
                now_ms=self._clock.now_ms(),
            )

        return build

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

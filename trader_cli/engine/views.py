"""What a risk check looks at while the engine runs: its own current picture, not a round of reads.

An entry that is re-priced asks ten times in as many seconds; reading the account each time would
spend the exchange's weight on what the streams already told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from trader_cli.clock import Clock
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.market_board import MarketBoard
from trader_cli.trading.ports import HaltFact, IntentJournal, Venue
from trader_cli.trading.risk.risk_terms import EntryBlock, HaltView, MarkView, RiskView
from trader_cli.trading.risk.risk_view import resting_entries

_MINUTE_MS: Final = 60_000
_STREAM_LAG_MS: Final = 2_000
"""So far the stream may be behind what answers to requests have told already."""

_CATCH_UP_S: Final = 0.01
_CATCH_UP_MAX: Final = 100


class EngineViews:
    """Builds a `RiskView` from the mirror, the board and the loss watch."""

    def __init__(
        self,
        client: Venue,
        *,
        journal: IntentJournal,
        mirror: AccountMirror,
        board: MarketBoard,
        losses: LossWatch,
        clock: Clock,
        halts: Callable[[], Sequence[HaltFact]],
        blocks: Sequence[EntryBlock] = (),
        last_loss_ms: int | None = None,
    ) -> None:
        self._client = client
        self._journal = journal
        self._mirror = mirror
        self._board = board
        self._losses = losses
        self._clock = clock
        self._halts = halts
        self._blocks = tuple(blocks)
        self._entries: deque[int] = deque()
        self.last_loss_ms = last_loss_ms

    def note_entry(self) -> None:
        """Count an entry decision towards the pace limit."""
        self._entries.append(self._clock.now_ms())

    async def read(self, symbol: str) -> RiskView:
        """Return the account as the engine knows it now.

        Raises:
            VenueError: equity, or a price that the stream has not told, could not be read.
        """
        await self._losses.ensure()
        reading, day = self._losses.reading, self._losses.day
        assert reading is not None, "read just before"
        assert day is not None, "read just before"
        await self._board.mark(symbol)
        await self._catch_up()
        now_ms = self._clock.now_ms()
        while self._entries and now_ms - self._entries[0] > _MINUTE_MS:
            self._entries.popleft()
        return RiskView(
            now_ms=now_ms,
            equity=reading.account,
            high_water_mark=self._losses.high_water_mark,
            day=day,
            positions=tuple(self._mirror.positions()),
            resting=resting_entries(self._mirror.orders(), self._mirror.algos()),
            marks=self._marks(),
            leverages=self._mirror.leverages,
            instruments=await self._client.get_instruments(),
            halts=tuple(HaltView(reason=row.reason, symbol=row.symbol) for row in self._halts()),
            blocks=(*self._blocks, *self._losses.blocks(), *self._unknown_blocks()),
            last_loss_ms=self.last_loss_ms,
            entries_last_minute=len(self._entries),
            began_ms=now_ms,
            lag_ms=_STREAM_LAG_MS,
            seen=self._mirror.told(),
        )

    async def _catch_up(self) -> None:
        """Wait until the stream has told what the answers to our own requests already proved.

        An entry that was just taken back to be posted anew would else count twice; and what it
        executed before is told ahead of its end. A stream that stays behind leaves the larger sum.
        """
        for _ in range(_CATCH_UP_MAX):
            if not any(self._is_over(row.client_order_id) for row in self._mirror.orders()):
                return
            await self._clock.sleep(_CATCH_UP_S)

    def _is_over(self, client_order_id: str) -> bool:
        intent = self._journal.intent(client_order_id)
        return intent is not None and intent.status.is_final

    def _marks(self) -> dict[str, MarkView]:
        found: dict[str, MarkView] = {}
        for symbol in self._board.symbols():
            known = self._board.latest_mark(symbol)
            if known is not None:
                found[symbol] = MarkView(price=known[0].mark_price, age_ms=known[1])
        return found

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

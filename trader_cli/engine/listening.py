"""Where news about account and market comes from: the streams, and readings again and again.

Knows how often each source is asked, and when one has stopped telling; what news means is for
whoever consumes it. Prices go straight to the board, everything else into the engine's queue.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from trader_cli.domain.account_events import MarkPriceChanged, StreamGap, UserEvent
from trader_cli.engine.hands import Hands
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.readings import Reading, read
from trader_cli.engine.reconciling import Reconciling
from trader_cli.errors import VenueError
from trader_cli.exchange.streams import SILENT, MarketStream, UserStream
from trader_cli.journal.errors import JournalUnavailable

_READ_EVERY_S: Final = 2.0
_SETTINGS_EVERY: Final = 15
"""Of this many readings one asks for leverages: 5 weight a symbol, and the stream tells changes."""
_EQUITY_EVERY_S: Final = 2.0
_EQUITY_AGAIN_S: Final = 1.0
_PICTURE_WAIT_S: Final = 10.0
"""How long limits wait for a picture to compare with; then the account's own word has to do."""

_RULES_EVERY_S: Final = 3_600.0
_RULES_AGAIN_S: Final = 60.0
_ODD_TOLD_MAX: Final = 100


class Listening:
    """Brings news in while `jobs` run."""

    def __init__(
        self,
        hands: Hands,
        *,
        user_stream: UserStream,
        market_stream: MarketStream,
        losses: LossWatch,
        reconciling: Reconciling,
        put: Callable[[UserEvent | Reading], Awaitable[None]],
    ) -> None:
        """
        Args:
            put: takes news into the engine's queue.
        """
        self._hands = hands
        self._clock = hands.clock
        self._symbols = hands.bridge.symbols
        self._user_stream = user_stream
        self._market_stream = market_stream
        self._losses = losses
        self._reconciling = reconciling
        self._put = put
        self._told_odd: set[tuple[str, str]] = set()
        self._has_picture = asyncio.Event()
        self._had_marks = False

    def picture_is_there(self) -> None:
        """Know that a reconcile has read the account, so that what it is worth can be compared."""
        self._has_picture.set()

    def jobs(self) -> list[Coroutine[None, None, None]]:
        """Return what has to run for as long as the engine does."""
        return [
            self._pump_user(),
            self._pump_market(),
            self._read_regularly(),
            self._watch_losses(),
            self._refresh_rules(),
        ]

    async def _pump_user(self) -> None:
        async for event in self._user_stream.events():
            await self._put(event)

    async def _pump_market(self) -> None:
        async for event in self._market_stream.events():
            # A price that stops is refused as stale by risk; no account event was missed.
            if isinstance(event, StreamGap):
                self._hands.report("gap", {"stream": event.stream, "reason": event.reason})
                if self._had_marks and (event.stream, event.reason) == ("market", SILENT):
                    # Mark prices come every second: where they stop, account events may have too.
                    self._had_marks = False
                    self._user_stream.renew("the market stream fell silent")
            elif isinstance(event, MarkPriceChanged):
                self._had_marks = True
            self._hands.board.take(event)

    async def _read_regularly(self) -> None:
        """Read orders and positions now and then: a stop can vanish without an event."""
        client = self._hands.client
        for number in itertools.count():
            await self._clock.sleep(_READ_EVERY_S)
            if self._hands.mirror.lacks_event(now_ms=client.venue_now_ms()):
                self._user_stream.renew("silent: a position changed and no event told")
            with_settings = number % _SETTINGS_EVERY == 0
            try:
                reading = await read(client, self._symbols, with_settings=with_settings)
            except VenueError as error:
                self._warn("read", error.message)
            else:
                await self._put(reading)
                self._reconciling.saw(reading)
            self._tell_odd_rows()

    def _tell_odd_rows(self) -> None:
        """Tell once of every kind of row that could not be understood and was set aside."""
        for row in self._hands.client.quarantined:
            kind = row.stream, row.reason
            if kind not in self._told_odd and len(self._told_odd) < _ODD_TOLD_MAX:
                self._told_odd.add(kind)
                where = "" if row.symbol is None else f" of {row.symbol}"
                self._warn("drift", f"a row{where} in {row.stream} is set aside: {row.reason}")

    async def _watch_losses(self) -> None:
        await self._picture_or_time()
        while True:
            pause_s = _EQUITY_EVERY_S
            try:
                await self._losses.read()
            except (VenueError, JournalUnavailable) as error:
                self._warn("equity", error.message)
            if self._losses.wants_picture():
                self._reconciling.want()
            reading = self._losses.reading
            if reading is None or not reading.agrees:
                pause_s = _EQUITY_AGAIN_S
            await self._clock.sleep(pause_s)

    async def _picture_or_time(self) -> None:
        picture = asyncio.ensure_future(self._has_picture.wait())
        late = asyncio.ensure_future(self._clock.sleep(_PICTURE_WAIT_S))
        try:
            await asyncio.wait((picture, late), return_when=asyncio.FIRST_COMPLETED)
        finally:
            picture.cancel()
            late.cancel()
            await asyncio.gather(picture, late, return_exceptions=True)

    async def _refresh_rules(self) -> None:
        """Read the trading rules every hour: a stop on yesterday's tick would be refused."""
        pause_s = _RULES_EVERY_S
        while True:
            await self._clock.sleep(pause_s)
            try:
                rules = await self._hands.client.refresh_instruments()
            except VenueError as error:
                self._warn("rules", error.message)
                pause_s = _RULES_AGAIN_S
                continue
            pause_s = _RULES_EVERY_S
            for symbol in self._symbols:
                status = rules[symbol].status if symbol in rules else "gone"
                if status != "TRADING":
                    self._warn("rules", f"{symbol} is {status} at the exchange")

    def _warn(self, kind: str, message: str) -> None:
        self._hands.report("warning", {"kind": kind, "message": message})

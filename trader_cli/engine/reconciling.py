"""Reconcile whenever it is wanted: at the start, after a gap, after a kill.

One reconcile at a time; a wish that comes while one runs is carried out after it. Trades that the
executions prove to be held while no reading shows them are asked about again when the readings
change; nothing opens until then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trader_cli.engine.adopted import ADOPTED
from trader_cli.engine.hands import Hands
from trader_cli.engine.readings import Reading
from trader_cli.engine.recovering import Recovered, recover
from trader_cli.engine.remembered import (
    OpenDecision,
    Remembered,
    adopted_decision,
    open_decisions,
)
from trader_cli.errors import VenueError
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.order_tracker import RESOLVE_S

_STREAM_WAIT_S: Final = 5.0
_PAUSE_S: Final = 1.0
_PAUSE_S_MAX: Final = 30.0
"""A reconcile weighs about 200 of 2,400 a minute: what keeps failing is tried less and less."""

_DOUBT_EVERY_S: Final = 5.0
_DOUBT_MARGIN_MS: Final = 1_000

_UNCLEAR_AGAIN_S: Final = 5.0
_UNSEEN_AGAIN_S: Final = 30.0
_UNCLEAR_S_MAX: Final = 30.0
"""How long executions may be behind a position before it is taken for somebody else's."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """An unclear trade: whether its symbol shows a position, since when, and when to ask again."""

    is_seen: bool
    since_s: float
    again_s: float


class Reconciling:
    """Runs `recover` on request and puts what it found into the engine's queue."""

    def __init__(
        self,
        hands: Hands,
        *,
        symbols: Sequence[str],
        remembered: Remembered,
        put: Callable[[Recovered], Awaitable[None]],
    ) -> None:
        self._hands = hands
        self._symbols = tuple(symbols)
        self._remembered = remembered
        self._put = put
        self._wanted = asyncio.Event()
        self._stream_is_open = asyncio.Event()
        self._open_decisions: dict[str, OpenDecision] = dict(remembered.open_decisions)
        self._adopted_seq = self._last_adopted()
        self._doubt_again_s = 0.0
        self._unclear: dict[str, _Watched] = {}

    def look(self) -> None:
        """Take in positions that a person has adopted since; whose they are a reconcile tells.

        An order whose outcome nobody asks about any more is asked about here.
        """
        self._look_for_doubt()
        try:
            rows = list(self._hands.journal.rows(kind=ADOPTED, after=self._adopted_seq))
        except JournalUnavailable:
            return
        for row in rows:
            self._adopted_seq = row.seq
            if row.data["symbol"] in self._symbols:
                decision = adopted_decision(row)
                self._open_decisions[decision.symbol] = decision
                self._wanted.set()

    def _look_for_doubt(self) -> None:
        """Reconcile for an order that was left in doubt: nothing opens on its symbol until then."""
        now_s = self._hands.clock.monotonic()
        if now_s < self._doubt_again_s:
            return
        self._doubt_again_s = now_s + _DOUBT_EVERY_S
        left_before_ms = self._hands.clock.now_ms() - round(RESOLVE_S * 1_000) - _DOUBT_MARGIN_MS
        with contextlib.suppress(JournalUnavailable):
            if any(
                row.updated_ms < left_before_ms for row in self._hands.journal.unknown_intents()
            ):
                self._wanted.set()

    def reclaim(self, symbol: str) -> None:
        """Find out anew whose the symbol's position is: the executions say it was not closed."""
        with contextlib.suppress(JournalUnavailable):
            decision = open_decisions(self._hands.journal).get(symbol)
            if decision is not None:
                self._open_decisions[symbol] = decision
                self._wanted.set()

    def saw(self, reading: Reading) -> None:
        """Ask again about unclear trades if a reading shows something else, or after a while."""
        now_s = self._hands.clock.monotonic()
        held = {(row.symbol, row.position_side) for row in reading.positions if not row.is_flat}
        for symbol, watched in self._unclear.items():
            decision = self._open_decisions[symbol]
            is_seen = (symbol, self._hands.position_side(decision.direction)) in held
            if is_seen != watched.is_seen or now_s >= watched.again_s:
                self._wanted.set()

    def _watch_unclear(self, recovered: Recovered) -> None:
        now_s = self._hands.clock.monotonic()
        before, self._unclear = self._unclear, {}
        for row in recovered.unclear:
            known = before.get(row.symbol)
            since_s = now_s if known is None or known.is_seen != row.is_seen else known.since_s
            pause_s = _UNCLEAR_AGAIN_S if row.is_seen else _UNSEEN_AGAIN_S
            self._unclear[row.symbol] = _Watched(row.is_seen, since_s, now_s + pause_s)

    def _given_up(self) -> set[str]:
        now_s = self._hands.clock.monotonic()
        return {
            symbol
            for symbol, row in self._unclear.items()
            if row.is_seen and now_s - row.since_s >= _UNCLEAR_S_MAX
        }

    def _last_adopted(self) -> int:
        try:
            row = self._hands.journal.last(ADOPTED)
        except JournalUnavailable:
            return 0
        return 0 if row is None else row.seq

    def want(self) -> None:
        """Reconcile soon."""
        self._wanted.set()

    def stream_changed(self, *, is_open: bool) -> None:
        """Know whether the user stream delivers; once it does, what was missed is looked for."""
        if is_open:
            self._stream_is_open.set()
            self._wanted.set()
        else:
            self._stream_is_open.clear()

    async def run(self) -> None:
        """Reconcile at once without patience, then again with it where something is in doubt."""
        at_start, is_patient = True, False
        pause_s = _PAUSE_S
        while True:
            if not self._wanted.is_set():
                pause_s = _PAUSE_S
            await self._wanted.wait()
            await self._wait_for_stream()
            self._wanted.clear()
            asked = dict(self._open_decisions)
            try:
                recovered = await recover(
                    self._hands,
                    symbols=self._symbols,
                    open_decisions=asked,
                    decisions=self._remembered.decisions,
                    at_start=at_start,
                    stream_is_open=self._stream_is_open.is_set(),
                    is_patient=is_patient,
                    given_up=self._given_up(),
                )
            except (VenueError, JournalUnavailable) as error:
                self._hands.report("warning", {"kind": "reconcile", "message": error.message})
                self._wanted.set()
            else:
                await self._put(recovered)
                self._watch_unclear(recovered)
                is_patient = not recovered.is_final
                self._forget(asked, _told(recovered) if is_patient else asked.keys())
                if is_patient:
                    self._wanted.set()
                    continue
                at_start = False
            await self._hands.clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    def _forget(self, asked: Mapping[str, OpenDecision], symbols: Iterable[str]) -> None:
        """Drop decisions that were asked about; unclear and new ones stay for the next time."""
        for symbol in set(symbols) - self._unclear.keys():
            if self._open_decisions.get(symbol) is asked.get(symbol):
                self._open_decisions.pop(symbol, None)

    async def _wait_for_stream(self) -> None:
        opened = asyncio.ensure_future(self._stream_is_open.wait())
        late = asyncio.ensure_future(self._hands.clock.sleep(_STREAM_WAIT_S))
        try:
            await asyncio.wait((opened, late), return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
            late.cancel()
            await asyncio.gather(opened, late, return_exceptions=True)


def _told(recovered: Recovered) -> set[str]:
    """Return the symbols whose decision was found, with its position or its end."""
    found = {row.symbol for row in recovered.owned}
    return found | {row.seen.symbol for row in recovered.gone}

"""Reconcile whenever it is wanted: at the start, after a gap, after a kill.

One reconcile at a time; a wish that comes while one runs is carried out after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from trader_cli.engine.hands import Hands
from trader_cli.engine.recovering import Recovered, recover
from trader_cli.engine.remembered import Remembered
from trader_cli.errors import VenueError
from trader_cli.journal.errors import JournalUnavailable

_STREAM_WAIT_S: Final = 5.0
_PAUSE_S: Final = 1.0


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
        open_decisions = dict(self._remembered.open_decisions)
        at_start, is_patient = True, False
        while True:
            await self._wanted.wait()
            await self._wait_for_stream()
            self._wanted.clear()
            try:
                recovered = await recover(
                    self._hands,
                    symbols=self._symbols,
                    open_decisions=open_decisions,
                    decisions=self._remembered.decisions,
                    at_start=at_start,
                    stream_is_open=self._stream_is_open.is_set(),
                    is_patient=is_patient,
                )
            except (VenueError, JournalUnavailable) as error:
                self._hands.report("warning", {"kind": "reconcile", "message": error.message})
                self._wanted.set()
            else:
                await self._put(recovered)
                is_patient = not recovered.is_final
                if is_patient:
                    for symbol in _told(recovered):
                        open_decisions.pop(symbol, None)
                    self._wanted.set()
                    continue
                at_start, open_decisions = False, {}
            await self._hands.clock.sleep(_PAUSE_S)

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

"""How far a replay's prints have been told, and which one must be told next.

The others stay inside the band of their symbol, in which nothing can happen, and are passed over
by their prices alone. Knows tapes and bands; must not know ticks, nor who attends to what.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from trader_cli.paper.markets.market import Band
from trader_cli.paper.markets.tape import Tape

_FAR: Final = 1 << 62


@dataclass(slots=True)
class _Ahead:
    """How far one symbol's prints have been looked through.

    Attributes:
        number: the first print that is neither told nor passed over.
        band, low, high: the band it was looked through with, and in ticks, inclusive.
    """

    number: int
    band: Band | None = None
    low: int = 0
    high: int = 0


class Passage:
    """The way through several tapes at once.

    Args:
        tapes: by symbol, each with the tick its prices are counted in; what happens at one
            time happens in their order.
        now_ms: what is not after it has been told.
    """

    def __init__(self, tapes: Mapping[str, tuple[Tape, Decimal]], now_ms: int) -> None:
        self._tapes = dict(tapes)
        self._order = {symbol: place for place, symbol in enumerate(tapes)}
        self._ahead: dict[str, _Ahead] = {}
        self._told = now_ms, len(self._order), 0

    def begin(self, symbols: Iterable[str], from_ms: int) -> None:
        """Begin a stretch for some symbols: everything up to `from_ms` has been told."""
        self._told = from_ms, len(self._order), 0
        for symbol in symbols:
            reached = self.reached(symbol)
            ahead = self._ahead.get(symbol)
            if ahead is None:
                self._ahead[symbol] = _Ahead(reached)
            elif ahead.number < reached:
                ahead.number = reached

    def next_print(
        self,
        symbols: Iterable[str],
        bands: Mapping[str, Band],
        until_ms: int,
        *,
        all_of: Collection[str],
    ) -> tuple[str, int] | None:
        """Return symbol and number of the next print to be told; it counts as told.

        Args:
            symbols: those for which the stretch was begun.
            all_of: symbols whose bands do not count.

        Returns:
            None: there is none up to `until_ms`, and all of them are passed.
        """
        best: tuple[int, int, str] | None = None
        for symbol in symbols:
            tape, _ = self._tapes[symbol]
            band = None if symbol in all_of else bands.get(symbol)
            number = self._look_ahead(symbol, band, tape.count_until(until_ms))
            if number is not None:
                time_ms = tape.prints(number, number + 1)[0].time_ms
                if best is None or (time_ms, self._order[symbol]) < best[:2]:
                    best = time_ms, self._order[symbol], symbol
        if best is None:
            if until_ms >= self._told[0]:
                self._told = until_ms, len(self._order), 0
            return None
        time_ms, place, symbol = best
        ahead = self._ahead[symbol]
        number = ahead.number
        ahead.number = number + 1
        self._told = time_ms, place, number + 1
        return symbol, number

    def reached(self, symbol: str) -> int:
        """Return the number of a symbol's first print after the one told last."""
        time_ms, place, after = self._told
        mine = self._order[symbol]
        if mine == place:
            return after
        # At one time the symbols' prints are told in the order of the symbols.
        return self._tapes[symbol][0].count_until(time_ms if mine < place else time_ms - 1)

    def _look_ahead(self, symbol: str, band: Band | None, after: int) -> int | None:
        """Return the number of a symbol's next print outside `band`, None if before `after` none.

        What was passed over with another band is looked through again, from the last tick told on.
        """
        tape, tick = self._tapes[symbol]
        ahead = self._ahead[symbol]
        if band is not ahead.band:
            ahead.number = self.reached(symbol)
            ahead.band = band
            if band is not None:
                ahead.low, ahead.high = _ticks_inside(band, tick)
        if band is not None:
            ahead.number = tape.first_outside(ahead.number, after, ahead.low, ahead.high)
        return ahead.number if ahead.number < after else None


def _ticks_inside(band: Band, tick: Decimal) -> tuple[int, int]:
    """Return the least and the largest price inside a band, in ticks."""
    floor, ceiling = band.bounds
    return _whole(floor / tick, ROUND_FLOOR) + 1, _whole(ceiling / tick, ROUND_CEILING) - 1


def _whole(value: Decimal, rounding: str) -> int:
    if value.is_infinite():
        return _FAR if value > 0 else -_FAR
    return int(value.to_integral_value(rounding))

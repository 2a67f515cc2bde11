"""Candles somebody else has made: minutes, hours and days, joined to whatever is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from trader_cli.paper.markets.market import Candle

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
LENGTHS: Final = (DAY_MS, HOUR_MS, MINUTE_MS)
_KEPT: Final = 6_000


class CandleMemory:
    """One symbol's candles by length and opening time."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, Candle]] = {length: {} for length in LENGTHS}

    @property
    def first_ms(self) -> int:
        """The opening of the oldest candle, 0 if there is none."""
        return min((min(known) for known in self._known.values() if known), default=0)

    def put(self, length_ms: int, candle: Candle) -> None:
        """Take a candle in the place of what was known of its time.

        Hours and days come closed; those that close later are joined from their minutes.
        """
        known = self._known[length_ms]
        is_new = candle.open_ms not in known
        known[candle.open_ms] = candle
        if len(known) > _KEPT:
            del known[next(iter(known))]
        if length_ms == MINUTE_MS and is_new:
            self._close(candle.symbol, HOUR_MS, candle.open_ms)
            self._close(candle.symbol, DAY_MS, candle.open_ms)

    def joined(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        """Return what traded in [start_ms, end_ms) as far as it is known; None if nothing is."""
        found: Candle | None = None
        for one in self._pieces(max(start_ms, self.first_ms), end_ms):
            found = one if found is None else _join(found, one)
        if found is None:
            return None
        return replace(found, symbol=symbol, open_ms=start_ms, close_ms=end_ms - 1)

    def _close(self, symbol: str, length_ms: int, now_ms: int) -> None:
        """Join the stretch that has just ended, if it has and all of it is known."""
        end_ms = now_ms // length_ms * length_ms
        start_ms = end_ms - length_ms
        known = self._known[length_ms]
        if start_ms in known or self.first_ms > start_ms:
            return
        whole = self.joined(symbol, start_ms, end_ms)
        if whole is not None:
            known[start_ms] = whole

    def _pieces(self, start_ms: int, end_ms: int) -> Iterator[Candle]:
        """Yield the longest candles that fit, in order, over what is missing."""
        newest_ms = max(self._known[MINUTE_MS], default=0)
        while start_ms < end_ms and start_ms <= newest_ms + DAY_MS:
            for length in LENGTHS:
                fits = start_ms % length == 0 and start_ms + length <= end_ms
                if fits and start_ms in self._known[length]:
                    yield self._known[length][start_ms]
                    start_ms += length
                    break
            else:
                start_ms += MINUTE_MS - start_ms % MINUTE_MS


def _join(left: Candle, right: Candle) -> Candle:
    return replace(
        left,
        close_ms=right.close_ms,
        high=max(left.high, right.high),
        low=min(left.low, right.low),
        close=right.close,
        volume=left.volume + right.volume,
        quote_volume=left.quote_volume + right.quote_volume,
        trades=left.trades + right.trades,
        taker_buy_volume=left.taker_buy_volume + right.taker_buy_volume,
        taker_buy_quote_volume=left.taker_buy_quote_volume + right.taker_buy_quote_volume,
    )

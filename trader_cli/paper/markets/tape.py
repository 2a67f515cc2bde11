"""Recorded prices that can be entered anywhere: prints by number, candles of any stretch.

A tape of trades prints what was traded. A tape of candles prints a path through each candle:
open, then the extreme that lies against its direction, the other one, close, in straight lines;
every print lies between low and high, and both are reached. Whole candles are the file's own to
the last digit; a part of one is what its path has printed so far.

Knows integers (ticks, steps, 1e-8 of quote). Must not know contracts, books or clocks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import gcd
from typing import Final, NamedTuple

from trader_cli.paper.markets.files import UNITS_EXPONENT, CandleRows, MarketRows, TradeRows

_MINUTE_MS: Final = 60_000
_PRINTS_MINUTE: Final = 16
_PRINTS_LONGER: Final = 60
_PATHS_KEPT: Final = 64


class Print(NamedTuple):
    """One trade on the tape.

    Attributes:
        price, quantity: ticks and steps; quantity may be 0 in a candle too thin for its path.
    """

    time_ms: int
    price: int
    quantity: int
    buyer_is_maker: bool
    trade_id: int


class Stretch(NamedTuple):
    """What traded in a stretch of time; volumes in steps, quotes in 1e-8 units."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    taker_volume: int
    taker_quote: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """How fine a tape's integers are: a tick and a step, in 1e-8 units."""

    tick: int
    step: int


def grain_of(rows: MarketRows, *, tick: int, step: int) -> Grain:
    """Return the coarsest grain that holds every price and quantity exactly.

    Args:
        tick, step: the contract's own, in 1e-8 units: old files may be finer, never coarser.
    """
    prices: Iterable[Sequence[int]]
    if isinstance(rows, CandleRows):
        prices, amounts = (rows.open, rows.high, rows.low, rows.close), rows.volume
        taken: Sequence[int] = rows.taker_buy_volume
    else:
        prices, amounts, taken = (rows.price,), list(rows.quantity), ()
    tick = gcd(tick, *(price for column in prices for price in set(column)))
    return Grain(tick=tick, step=gcd(step, *set(amounts), *set(taken)))


class _Candles:
    """Columns of candles and their running sums, so that any row of them is added up at once."""

    def __init__(self, interval_ms: int, open_ms: array[int]) -> None:
        self.interval_ms = interval_ms
        self.open_ms = open_ms
        self.open, self.high, self.low, self.close = (array("q") for _ in range(4))
        self.sums: list[list[int]] = []

    def close_sums(self, columns: Iterable[Iterable[int]]) -> None:
        """Take volume, quote, trades, taker volume and taker quote."""
        self.sums = [list(accumulate(column, initial=0)) for column in columns]

    def rows(self, first: int, after: int) -> Stretch:
        """Return rows [first, after) as one."""
        volume, quote, trades, taker, taker_quote = (s[after] - s[first] for s in self.sums)
        return Stretch(
            self.open[first],
            max(self.high[first:after]),
            min(self.low[first:after]),
            self.close[after - 1],
            volume,
            quote,
            trades,
            taker,
            taker_quote,
        )


class Tape(ABC):
    """One symbol's prints and candles. Prints are numbered from 0 in the order of time."""

    def __init__(self, symbol: str, grain: Grain, candles: _Candles) -> None:
        self.symbol = symbol
        self.grain = grain
        self._candles = candles

    @property
    def first_ms(self) -> int:
        """The time of the first print."""
        return self.prints(0, 1)[0].time_ms

    @property
    def end_ms(self) -> int:
        """The time of the last print; nothing happens after it."""
        return self.prints(len(self) - 1, len(self))[0].time_ms

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def count_until(self, time_ms: int) -> int:
        """Return how many prints are not after `time_ms`."""

    @abstractmethod
    def prints(self, first: int, after: int) -> list[Print]:
        """Return prints [first, after)."""

    @abstractmethod
    def number_of(self, trade_id: int) -> int | None:
        """Return the number of the print with that id, None if there is none."""

    @abstractmethod
    def first_outside(self, first: int, after: int, low: int, high: int) -> int:
        """Return the first of [first, after) whose price is not in [low, high], else `after`."""

    def stretch(self, start_ms: int, end_ms: int) -> Stretch | None:
        """Return what was printed in [start_ms, end_ms), None if nothing was."""
        candles = self._candles
        first = bisect_left(candles.open_ms, start_ms)
        after = bisect_right(candles.open_ms, end_ms - candles.interval_ms)
        if first >= after:
            return self._printed(start_ms, end_ms)
        whole = candles.rows(first, after)
        before = self._printed(start_ms, candles.open_ms[first])
        last_ms = candles.open_ms[after - 1] + candles.interval_ms
        rest = self._printed(last_ms, end_ms)
        found = whole if before is None else _join(before, whole)
        return found if rest is None else _join(found, rest)

    def _printed(self, start_ms: int, end_ms: int) -> Stretch | None:
        first, after = self.count_until(start_ms - 1), self.count_until(end_ms - 1)
        return _added(self.prints(first, after), self.grain) if first < after else None


class CandleTape(Tape):
    """A tape made of candles: a path of a few prints through each of them."""

    def __init__(self, rows: CandleRows, grain: Grain) -> None:
        candles = _Candles(rows.interval_ms, rows.open_ms)
        for name in ("open", "high", "low", "close"):
            getattr(candles, name).extend(price // grain.tick for price in getattr(rows, name))
        volumes = [volume // grain.step for volume in rows.volume]
        takers = [volume // grain.step for volume in rows.taker_buy_volume]
        quotes = rows.quote_volume, rows.trades
        candles.close_sums((volumes, *quotes, takers, rows.taker_buy_quote_volume))
        super().__init__(rows.symbol, grain, candles)
        self._volumes = volumes
        self._each = _PRINTS_MINUTE if rows.interval_ms <= _MINUTE_MS else _PRINTS_LONGER
        self._offsets = [i * rows.interval_ms // self._each for i in range(self._each)]
        self._paths: dict[int, list[Print]] = {}

    def __len__(self) -> int:
        return len(self._candles.open_ms) * self._each

    def count_until(self, time_ms: int) -> int:
        candle = bisect_right(self._candles.open_ms, time_ms) - 1
        if candle < 0:
            return 0
        passed = time_ms - self._candles.open_ms[candle]
        return candle * self._each + bisect_right(self._offsets, passed)

    def prints(self, first: int, after: int) -> list[Print]:
        found: list[Print] = []
        while first < after:
            candle, begin = divmod(first, self._each)
            end = min(self._each, begin + after - first)
            found += self._path(candle)[begin:end]
            first += end - begin
        return found

    def number_of(self, trade_id: int) -> int | None:
        return trade_id if 0 <= trade_id < len(self) else None

    def first_outside(self, first: int, after: int, low: int, high: int) -> int:
        lows, highs, each = self._candles.low, self._candles.high, self._each
        while first < after:
            candle, begin = divmod(first, each)
            if lows[candle] < low or highs[candle] > high:
                for number, one in enumerate(self._path(candle)[begin:], start=first):
                    if not low <= one.price <= high:
                        return min(number, after)
            first += each - begin
        return after

    def _path(self, candle: int) -> list[Print]:
        path = self._paths.get(candle)
        if path is None:
            if len(self._paths) >= _PATHS_KEPT:
                self._paths.clear()
            path = self._paths[candle] = self._make_path(candle)
        return path

    def _make_path(self, candle: int) -> list[Print]:
        candles, each = self._candles, self._each
        open_, close = candles.open[candle], candles.close[candle]
        high, low = candles.high[candle], candles.low[candle]
        corners = (open_, low, high, close) if close >= open_ else (open_, high, low, close)
        prices, turns = _walk(corners, each)
        quantities = _shared(self._volumes[candle], each, turns)
        found: list[Print] = []
        before = open_
        start_ms, first_id = candles.open_ms[candle], candle * each
        for i, (price, quantity) in enumerate(zip(prices, quantities, strict=True)):
            # A seller takes the bid on the way down; never so that a quote leaves the candle.
            sold = price < high and (price < before or price == low or i % 2 == 0)
            sold = sold or high == low
            found.append(Print(start_ms + self._offsets[i], price, quantity, sold, first_id + i))
            before = price
        return found


class TradeTape(Tape):
    """A tape of recorded trades; its candles are added up from them."""

    def __init__(self, rows: TradeRows, grain: Grain) -> None:
        self._rows = rows
        self._prices = array("q", (price // grain.tick for price in rows.price))
        self._amounts = array("q", (quantity // grain.step for quantity in rows.quantity))
        super().__init__(rows.symbol, grain, _Candles(_MINUTE_MS, array("q")))
        self._add_minutes()

    def __len__(self) -> int:
        return len(self._prices)

    def count_until(self, time_ms: int) -> int:
        return bisect_right(self._rows.time_ms, time_ms)

    def prints(self, first: int, after: int) -> list[Print]:
        times, ids = self._rows.time_ms, self._rows.trade_id
        return [
            Print(times[i], self._prices[i], abs(self._amounts[i]), self._amounts[i] < 0, ids[i])
            for i in range(first, after)
        ]

    def first_outside(self, first: int, after: int, low: int, high: int) -> int:
        prices = self._prices
        for number in range(first, after):
            if not low <= prices[number] <= high:
                return number
        return after

    def number_of(self, trade_id: int) -> int | None:
        ids = self._rows.trade_id
        number = bisect_left(ids, trade_id)
        return number if number < len(ids) and ids[number] == trade_id else None

    def _add_minutes(self) -> None:
        candles = self._candles
        columns: list[list[int]] = [[] for _ in range(5)]
        first = 0
        times = self._rows.time_ms
        while first < len(self):
            start_ms = times[first] // _MINUTE_MS * _MINUTE_MS
            after = bisect_left(times, start_ms + _MINUTE_MS, lo=first)
            one = _added(self.prints(first, after), self.grain)
            candles.open_ms.append(start_ms)
            for column, price in zip(
                (candles.open, candles.high, candles.low, candles.close), one[:4], strict=True
            ):
                column.append(price)
            for total, amount in zip(columns, one[4:], strict=True):
                total.append(amount)
            first = after
        candles.close_sums(columns)


def tape_of(rows: MarketRows, grain: Grain) -> Tape:
    """Return the tape that plays these rows."""
    return CandleTape(rows, grain) if isinstance(rows, CandleRows) else TradeTape(rows, grain)


def _walk(corners: tuple[int, ...], count: int) -> tuple[list[int], list[int]]:
    """Return `count` prices along straight lines between corners, and where the corners are."""
    lengths = [abs(b - a) for a, b in pairwise(corners)]
    steps = count - 1
    spare, total = steps - len(lengths), sum(lengths)
    shares = [1 + (spare * length // total if total else 0) for length in lengths]
    shares[lengths.index(max(lengths))] += steps - sum(shares)
    prices, turns = [corners[0]], [0]
    for start, end, share in zip(corners, corners[1:], shares, strict=False):
        prices += [start + (end - start) * i // share for i in range(1, share + 1)]
        turns.append(len(prices) - 1)
    return prices, turns


def _shared(volume: int, count: int, first: list[int]) -> list[int]:
    """Share a volume evenly; what is left over goes to the prints of `first`, then in turn."""
    each, rest = divmod(volume, count)
    quantities = [each] * count
    order = [*first, *(i for i in range(count) if i not in first)]
    for i in order[:rest]:
        quantities[i] += 1
    return quantities


def _added(prints: Sequence[Print], grain: Grain) -> Stretch:
    prices = [one.price for one in prints]
    volume = sum(one.quantity for one in prints)
    takers = [one for one in prints if not one.buyer_is_maker]
    return Stretch(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        volume,
        _quote(prints, grain),
        sum(1 for one in prints if one.quantity),
        sum(one.quantity for one in takers),
        _quote(takers, grain),
    )


def _quote(prints: Iterable[Print], grain: Grain) -> int:
    turnover = sum(one.price * one.quantity for one in prints)
    return turnover * grain.tick * grain.step // 10**UNITS_EXPONENT


def _join(left: Stretch, right: Stretch) -> Stretch:
    return Stretch(
        left.open,
        max(left.high, right.high),
        min(left.low, right.low),
        right.close,
        *(a + b for a, b in zip(left[4:], right[4:], strict=True)),
    )

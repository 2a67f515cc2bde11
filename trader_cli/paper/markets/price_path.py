"""A price path that can be entered anywhere: one tree of bars, split from the top downwards.

A bar knows open, high, low, close and volumes of a stretch of seconds. Splitting it in two is a
pure function of the path's key and the stretch, and the halves always add up to the whole: the
higher high, the lower low, the sums of volumes. So a minute of three years ago, a month and the
present second cost the same few splits, agree with each other exactly, and need no storage.

Knows integers only (ticks of price, steps of quantity); must not know instruments, clocks or
Decimal. Middle prices and extremes follow a Brownian bridge whose time runs unevenly, which is
what makes calm hours, busy minutes and rare small jumps.
"""

from __future__ import annotations

import math
import struct
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

TRADES_PER_SECOND: Final = 4
"""Every second trades at its open, both extremes and its close, twice on each side."""

_DAY_S: Final = 86_400
_ROOT_S: Final = 16 * _DAY_S
_YEAR_S: Final = 365.25 * _DAY_S
_UNITS: Final = (4 * _DAY_S, _DAY_S, 14_400, 3_600, 900, 300, 60, 15, 1)
"""Stretches are split at multiples of these, so that a calendar candle is few bars."""

_REVERSION: Final = 0.75
_DEVIATION_MAX: Final = 0.5
"""A root's end stays within this multiple of the annual volatility from the start price."""

_UNIT: Final = 1.0 / 2**32
_VOLUME_MIN: Final = TRADES_PER_SECOND // 2
_BARS_KEPT: Final = 8_192
_SECONDS_KEPT: Final = 1_024


class Bar(NamedTuple):
    """A stretch of the path; prices in ticks, volumes in steps, quotes in ticks times steps."""

    open: int
    high: int
    low: int
    close: int
    buy_volume: int
    buy_quote: int
    sell_volume: int
    sell_quote: int


class _Node(NamedTuple):
    """A bar of the tree; `variance` (ticks squared) is what is left to happen inside."""

    open: int
    high: int
    low: int
    close: int
    buy_volume: int
    sell_volume: int
    variance: float


class Trade(NamedTuple):
    """One trade inside a second; `buyer_is_maker` means a seller took the bid."""

    price: int
    quantity: int
    buyer_is_maker: bool


def join(left: Bar | None, right: Bar) -> Bar:
    """Return the bar of two stretches that follow each other."""
    if left is None:
        return right
    return Bar(
        left.open,
        max(left.high, right.high),
        min(left.low, right.low),
        right.close,
        left.buy_volume + right.buy_volume,
        left.buy_quote + right.buy_quote,
        left.sell_volume + right.sell_volume,
        left.sell_quote + right.sell_quote,
    )


class PricePath:
    """One symbol's path through `start_ticks` at `origin_s`, reaching back and forth from there.

    Args:
        key: what makes this path different from others, at most 64 bytes.
        origin_s: UTC epoch seconds.
        volatility: annual standard deviation of the log price, fraction.
        volume_per_second: steps traded in an average second, both sides together.
    """

    def __init__(
        self,
        *,
        key: bytes,
        origin_s: int,
        start_ticks: int,
        volatility: float,
        volume_per_second: float,
    ) -> None:
        assert start_ticks >= 20, "prices so low that a tick is a jump are refused before"
        self._hash = blake2b(digest_size=64, key=key)
        self._origin_s = origin_s
        self._start = start_ticks
        self._volatility = volatility
        self._volume_per_second = max(volume_per_second, 4.0 * TRADES_PER_SECOND)
        self._deviations: dict[int, list[float]] = {1: [0.0], -1: [0.0]}
        self._roots: dict[int, tuple[int, int, _Node]] = {}
        self._halves: dict[tuple[int, int], tuple[int, _Node, _Node]] = {}
        self._seconds: dict[int, tuple[Trade, ...]] = {}

    def bar(self, start_s: int, end_s: int) -> Bar:
        """Return what happens in [start_s, end_s), UTC epoch seconds, at least one."""
        assert start_s < end_s, "a stretch has a length"
        found: Bar | None = None
        while start_s < end_s:
            left, right, root = self._root(start_s)
            found = self._gather(found, root, (left, right), start_s, min(end_s, right))
            start_s = right
        assert found is not None
        return found

    def second(self, second_s: int) -> tuple[Trade, ...]:
        """Return the trades of one second, a quarter of a second apart."""
        trades = self._seconds.get(second_s)
        if trades is None:
            if len(self._seconds) >= _SECONDS_KEPT:
                self._seconds.clear()
            bar = self.bar(second_s, second_s + 1)
            trades = _trades(bar, self._draws(second_s, second_s))
            self._seconds[second_s] = trades
        return trades

    def _gather(
        self, found: Bar | None, bar: _Node, stretch: tuple[int, int], start_s: int, end_s: int
    ) -> Bar:
        """Append the part of `bar` that lies in [start_s, end_s) to `found`."""
        left, right = stretch
        if start_s <= left and right <= end_s:
            return join(found, _priced(bar))
        middle, first, second = self._split(bar, left, right)
        if start_s < middle:
            found = self._gather(found, first, (left, middle), start_s, end_s)
        if middle < end_s:
            found = self._gather(found, second, (middle, right), start_s, end_s)
        assert found is not None, "the stretch overlaps the bar"
        return found

    def _split(self, bar: _Node, left: int, right: int) -> tuple[int, _Node, _Node]:
        halves = self._halves.get((left, right))
        if halves is None:
            if len(self._halves) >= _BARS_KEPT:
                self._halves.clear()
            middle = _middle(left, right)
            draws = self._draws(left, right)
            halves = (middle, *_halve(bar, middle - left, right - middle, draws))
            self._halves[left, right] = halves
        return halves

    def _draws(self, left: int, right: int) -> tuple[int, ...]:
        """Return sixteen uniform 32-bit numbers that belong to this stretch and no other."""
        digest = self._hash.copy()
        digest.update(struct.pack("<qq", left, right))
        return struct.unpack("<16I", digest.digest())

    def _root(self, second_s: int) -> tuple[int, int, _Node]:
        """Return the outermost bar around a second; the origin is always the edge of one."""
        floor = second_s // _ROOT_S * _ROOT_S
        if second_s >= self._origin_s:
            left, right = max(floor, self._origin_s), floor + _ROOT_S
        else:
            left, right = floor, min(floor + _ROOT_S, self._origin_s)
        root = self._roots.get(left)
        if root is None:
            root = (left, right, self._make_root(left, right))
            self._roots[left] = root
        return root

    def _make_root(self, left: int, right: int) -> _Node:
        open_, close = self._edge(left), self._edge(right)
        seconds = right - left
        draws = self._draws(right, left)
        spread = self._volatility * (open_ + close) / 2
        variance = spread * spread * seconds / _YEAR_S
        high = _reach(open_, close, variance, draws[0])
        low = max(2, min(open_, close) // 2, -_reach(-open_, -close, variance, draws[1]))
        low = min(low, open_, close)
        total = self._volume_per_second * seconds
        buys = int(total * (0.48 + 0.04 * draws[2] * _UNIT))
        return _Node(open_, high, low, close, buys, int(total) - buys, variance)

    def _edge(self, boundary_s: int) -> int:
        """Return the price in ticks at an edge between roots."""
        limit = _DEVIATION_MAX * self._volatility
        deviation = limit * math.tanh(self._deviation(boundary_s) / limit)
        return max(20, round(self._start * math.exp(deviation)))

    def _deviation(self, boundary_s: int) -> float:
        """Return the log price over the start price: a walk from the origin that reverts to it."""
        if boundary_s == self._origin_s:
            return 0.0
        way = 1 if boundary_s > self._origin_s else -1
        if way > 0:
            nearest = (self._origin_s // _ROOT_S + 1) * _ROOT_S
        else:
            nearest = (self._origin_s - 1) // _ROOT_S * _ROOT_S
        known = self._deviations[way]
        steps = 1 + abs(boundary_s - nearest) // _ROOT_S
        while len(known) <= steps:
            count = len(known)
            seconds = abs(nearest - self._origin_s) if count == 1 else _ROOT_S
            shock, _ = _normals(*self._draws(way, count)[:2])
            shock *= self._volatility * math.sqrt(seconds / _YEAR_S)
            known.append(known[-1] * _REVERSION ** (seconds / _ROOT_S) + shock)
        return known[steps]


def _priced(bar: _Node) -> Bar:
    """Return the bar with quote volumes at its typical price, which lies between low and high."""
    typical = bar.open + bar.high + bar.low + bar.close
    buys, sells = bar.buy_volume, bar.sell_volume
    quotes = buys * typical // 4, sells * typical // 4
    return Bar(bar.open, bar.high, bar.low, bar.close, buys, quotes[0], sells, quotes[1])


def _middle(left: int, right: int) -> int:
    """Return the roundest time near the middle that is strictly inside."""
    centre = (left + right) // 2
    for unit in _UNITS:
        middle = (centre + unit // 2) // unit * unit
        if left < middle < right:
            return middle
    raise AssertionError("a single second is never split")


def _halve(
    bar: _Node, seconds_1: int, seconds_2: int, draws: tuple[int, ...]
) -> tuple[_Node, _Node]:
    """Split a bar so that the parts join to it exactly."""
    seconds = seconds_1 + seconds_2
    share = seconds_1 / seconds
    # Variance is shared unevenly, which makes calm stretches and busy ones.
    busy = share + (draws[0] * _UNIT - 0.5) * 1.2 * share * (1 - share)
    variances = bar.variance * busy, bar.variance * (1 - busy)
    middle, high_first, low_first = _choose_middle(bar, busy, variances, draws[1:8])

    top, bottom = bar.high, bar.low
    ends = (bar.open, middle, bar.close)
    high_1 = (
        top if high_first > draws[8] * _UNIT else _inner_high(ends[:2], top, variances[0], draws[9])
    )
    high_2 = top if high_1 < top else _inner_high(ends[1:], top, variances[1], draws[9])
    low_1 = (
        bottom
        if low_first > draws[10] * _UNIT
        else _inner_low(ends[:2], bottom, variances[0], draws[11])
    )
    low_2 = bottom if low_1 > bottom else _inner_low(ends[1:], bottom, variances[1], draws[11])

    flow = share + 0.7 * (busy - share)
    buys, sells = (
        min(
            max(
                int(volume * (flow + (draw * _UNIT - 0.5) * 0.6 * share * (1 - share))),
                _VOLUME_MIN * seconds_1,
            ),
            volume - _VOLUME_MIN * seconds_2,
        )
        for volume, draw in ((bar.buy_volume, draws[12]), (bar.sell_volume, draws[13]))
    )
    return (
        _Node(bar.open, high_1, low_1, middle, buys, sells, variances[0]),
        _Node(
            middle,
            high_2,
            low_2,
            bar.close,
            bar.buy_volume - buys,
            bar.sell_volume - sells,
            variances[1],
        ),
    )


def _choose_middle(
    bar: _Node, busy: float, variances: tuple[float, float], draws: tuple[int, ...]
) -> tuple[int, float, float]:
    """Return the middle price and how likely the first half holds the high, and the low.

    Six prices are drawn from the bridge; one is taken by how well it explains the extremes.
    """
    mean = bar.open + (bar.close - bar.open) * busy
    deviation = math.sqrt(bar.variance * busy * (1 - busy))
    drawn: list[tuple[float, int, float, float]] = []
    total = 0.0
    normals = (
        *_normals(draws[0], draws[1]),
        *_normals(draws[2], draws[3]),
        *_normals(draws[4], draws[5]),
    )
    for i, normal in enumerate(normals):
        # Every other price is drawn from a bridge twice as wide, and weighs the less for it:
        # extremes far out would else be reached by a leap within the last second.
        wide = i % 2
        price = round(mean + deviation * normal * (1 + wide))
        if not bar.low <= price <= bar.high:
            continue
        high, high_first = _explains(bar.open, price, bar.close, bar.high + 0.5, variances)
        low, low_first = _explains(-bar.open, -price, -bar.close, 0.5 - bar.low, variances)
        total += high * low * (2 * math.exp(-1.5 * normal * normal) if wide else 1.0)
        drawn.append((total, price, high_first, low_first))
    mark = draws[6] * _UNIT * total
    for reached, price, high_first, low_first in drawn:
        if reached > mark:
            return price, high_first, low_first
    # An extreme far out of the bridge's reach: go half way towards it.
    return (bar.high + bar.low) // 2, 0.5, 0.5


def _explains(
    open_: float, middle: float, close: float, top: float, variances: tuple[float, float]
) -> tuple[float, float]:
    """Return the density of a maximum at `top`, and the first half's part in it."""
    pull_1, pull_2 = 2 / (variances[0] + 1e-9), 2 / (variances[1] + 1e-9)
    over_1 = math.exp(-pull_1 * (top - open_) * (top - middle))
    over_2 = math.exp(-pull_2 * (top - middle) * (top - close))
    first = pull_1 * (2 * top - open_ - middle) * over_1 * (1 - over_2)
    second = pull_2 * (2 * top - middle - close) * over_2 * (1 - over_1)
    density = first + second
    return density, first / density if density > 0 else 0.5


def _reach(start: int, end: int, variance: float, draw: int) -> int:
    """Return the maximum of a Brownian bridge, not below either end."""
    gap = start - end
    chance = math.log((draw + 1) * _UNIT)
    return max(start, end, int((start + end + math.sqrt(gap * gap - 2 * variance * chance)) // 2))


def _inner_high(ends: tuple[int, ...], top: int, variance: float, draw: int) -> int:
    """Return the high of the half that need not reach `top`."""
    start, end = ends
    high = _reach(start, end, variance, draw)
    if high <= top:
        return high
    least = max(start, end)
    return least + int((top - least) * draw * _UNIT)


def _inner_low(ends: tuple[int, ...], bottom: int, variance: float, draw: int) -> int:
    start, end = ends
    return -_inner_high((-start, -end), -bottom, variance, draw)


def _normals(first: int, second: int) -> tuple[float, float]:
    """Return two independent standard normals (Box and Muller) from two uniform draws."""
    radius = math.sqrt(-2 * math.log((first + 1) * _UNIT))
    angle = 2 * math.pi * second * _UNIT
    return radius * math.cos(angle), radius * math.sin(angle)


def _trades(bar: _Node | Bar, draws: tuple[int, ...]) -> tuple[Trade, ...]:
    """Return the four trades of one second: open, the extremes in some order, close."""
    rising = bar.close > bar.open or (bar.close == bar.open and draws[0] & 1 == 0)
    prices = (bar.open, *((bar.low, bar.high) if rising else (bar.high, bar.low)), bar.close)
    moves = [0, *(after - before for before, after in pairwise(prices))]
    order = sorted(range(TRADES_PER_SECOND), key=lambda i: (-moves[i], draws[4 + i]))
    buys = order[:_VOLUME_MIN]
    quantities = [0] * TRADES_PER_SECOND
    for indices, volume, draw in (
        (buys, bar.buy_volume, draws[1]),
        (order[_VOLUME_MIN:], bar.sell_volume, draws[2]),
    ):
        part = 1 + int((volume - 2) * draw * _UNIT)
        quantities[indices[0]], quantities[indices[1]] = part, volume - part
    return tuple(
        Trade(price, quantity, i not in buys)
        for i, (price, quantity) in enumerate(zip(prices, quantities, strict=True))
    )

"""Conditional orders waiting for their price: which of them a tick fires.

Holds triggers only; what a fired order does is the venue's. Pure. Fixed triggers cost nothing
per tick while no price is reached; trailing stops are looked at every tick, the venue allows 200
conditional orders in all.

Source: binance-usdm reference §7.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Final

from trader_cli.domain.numbers import HUNDRED, ONE
from trader_cli.domain.terms import OrderType, Side, WorkingType
from trader_cli.paper.state.records import AlgoRecord

_HEAP_SLACK: Final = 64
_NEVER: Final = Decimal("Infinity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What triggers are compared with."""

    last: Decimal
    mark: Decimal

    def of(self, working_type: WorkingType) -> Decimal:
        return self.mark if working_type is WorkingType.MARK_PRICE else self.last


class _Heap:
    """Triggers of one direction and working type; cancelled ones leave lazily."""

    __slots__ = ("_entries", "_live", "_sign")

    def __init__(self, *, rises: bool) -> None:
        self._sign = 1 if rises else -1
        self._entries: list[tuple[Decimal, int]] = []
        self._live: dict[int, AlgoRecord] = {}

    def add(self, algo: AlgoRecord) -> None:
        if len(self._entries) > 2 * len(self._live) + _HEAP_SLACK:
            self._entries = [
                (self._sign * live.trigger_price, key) for key, live in self._live.items()
            ]
            heapify(self._entries)
        self._live[algo.algo_id] = algo
        heappush(self._entries, (self._sign * algo.trigger_price, algo.algo_id))

    def discard(self, algo_id: int) -> None:
        self._live.pop(algo_id, None)

    def nearest(self) -> Decimal | None:
        """Return the trigger that fires first, None if there is none."""
        while self._entries:
            trigger, key = self._entries[0]
            if key in self._live:
                return self._sign * trigger
            heappop(self._entries)
        return None

    def take_due(self, price: Decimal) -> list[AlgoRecord]:
        due: list[AlgoRecord] = []
        while self._entries:
            trigger, key = self._entries[0]
            if key not in self._live:
                heappop(self._entries)
            elif trigger <= self._sign * price:
                heappop(self._entries)
                due.append(self._live.pop(key))
            else:
                break
        return due


class TriggerBook:
    """One symbol's conditional orders."""

    __slots__ = ("_heaps", "_trailing")

    def __init__(self) -> None:
        self._heaps = {
            (working_type, rises): _Heap(rises=rises)
            for working_type in WorkingType
            for rises in (True, False)
        }
        self._trailing: dict[int, AlgoRecord] = {}

    def add(self, algo: AlgoRecord) -> None:
        if algo.type is OrderType.TRAILING_STOP_MARKET:
            self._trailing[algo.algo_id] = algo
        else:
            self._heaps[algo.working_type, algo.rises].add(algo)

    def discard(self, algo: AlgoRecord) -> None:
        """Forget an order; unknown ones are ignored."""
        if algo.type is OrderType.TRAILING_STOP_MARKET:
            self._trailing.pop(algo.algo_id, None)
        else:
            self._heaps[algo.working_type, algo.rises].discard(algo.algo_id)

    def bounds(self, working_type: WorkingType) -> tuple[Decimal, Decimal]:
        """Return (floor, ceiling): prices strictly between them fire, activate and move nothing."""
        floors: list[Decimal] = []
        ceilings: list[Decimal] = []
        for rises, into in ((False, floors), (True, ceilings)):
            nearest = self._heaps[working_type, rises].nearest()
            if nearest is not None:
                into.append(nearest)
        for algo in self._trailing.values():
            if algo.working_type is working_type:
                floor, ceiling = _still(algo)
                floors.append(floor)
                ceilings.append(ceiling)
        return max(floors, default=-_NEVER), min(ceilings, default=_NEVER)

    def trailing(self) -> Iterable[AlgoRecord]:
        """Return the trailing stops."""
        return self._trailing.values()

    def take_due(self, prices: Prices) -> list[AlgoRecord]:
        """Remove and return what `prices` fires, oldest first."""
        due: list[AlgoRecord] = []
        for (working_type, _), heap in self._heaps.items():
            due += heap.take_due(prices.of(working_type))
        fired = [
            algo
            for algo in self._trailing.values()
            if algo.activated and follow(algo, prices.of(algo.working_type))
        ]
        for algo in fired:
            del self._trailing[algo.algo_id]
        due += fired
        due.sort(key=lambda algo: algo.algo_id)
        return due

    def newly_active(self, prices: Prices) -> list[AlgoRecord]:
        """Return trailing stops that `prices` activates; they are marked so."""
        active: list[AlgoRecord] = []
        for algo in self._trailing.values():
            price = prices.of(algo.working_type)
            if not algo.activated and reaches_activation(algo, price):
                algo.activated = True
                algo.extreme = price
                active.append(algo)
        return active


def _still(algo: AlgoRecord) -> tuple[Decimal, Decimal]:
    """Return between which prices a trailing stop stays as it is."""
    if algo.extreme is None:
        activation = algo.activate_price
        if activation is None:
            return (_NEVER, -_NEVER)
        return (activation, _NEVER) if algo.side is Side.BUY else (-_NEVER, activation)
    turn = _turning_price(algo)
    return (algo.extreme, turn) if algo.side is Side.BUY else (turn, algo.extreme)


def reaches_activation(algo: AlgoRecord, price: Decimal) -> bool:
    """Return True if `price` starts the trailing (a BUY waits for a low, a SELL for a high)."""
    if algo.activate_price is None:
        return True
    if algo.side is Side.BUY:
        return price <= algo.activate_price
    return price >= algo.activate_price


def follow(algo: AlgoRecord, price: Decimal) -> bool:
    """Move an active trailing stop's extreme to `price`; True if it turned back far enough."""
    assert algo.extreme is not None, "set when it was activated"
    if algo.side is Side.BUY:
        algo.extreme = min(algo.extreme, price)
        return price >= _turning_price(algo)
    algo.extreme = max(algo.extreme, price)
    return price <= _turning_price(algo)


def _turning_price(algo: AlgoRecord) -> Decimal:
    """Return the price at which an active trailing stop fires."""
    assert algo.extreme is not None, "set when it was activated"
    assert algo.callback_rate is not None, "a trailing stop's own parameter"
    rate = algo.callback_rate / HUNDRED
    return algo.extreme * (ONE + rate if algo.side is Side.BUY else ONE - rate)


def would_trigger(algo: AlgoRecord, prices: Prices) -> bool:
    """Return True if the order's condition already holds, so that the venue refuses it (-2021)."""
    price = prices.of(algo.working_type)
    if algo.type is OrderType.TRAILING_STOP_MARKET:
        if algo.activate_price is None:
            return False
        if algo.side is Side.BUY:
            return algo.activate_price >= price
        return algo.activate_price <= price
    return price >= algo.trigger_price if algo.rises else price <= algo.trigger_price

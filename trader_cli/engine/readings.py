"""Read what the exchange holds of the followed symbols, and whose an open position is.

Readings travel to the one consumer like any other news; nothing here touches the engine's state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final, TypeVar

from trader_cli.domain.account import Fill, Position, SymbolConfig
from trader_cli.domain.client_id import Leg
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import Direction
from trader_cli.engine.remembered import OpenDecision
from trader_cli.journal.journal import Journal
from trader_cli.trading.ports import Venue

_T = TypeVar("_T")

_MARGIN_MS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Open orders of both worlds of `symbols`, and every position, as read together.

    Attributes:
        asked_ms: exchange time at which it was asked for.
    """

    symbols: tuple[str, ...]
    orders: tuple[Order, ...]
    algos: tuple[AlgoOrder, ...]
    positions: tuple[Position, ...]
    configs: tuple[SymbolConfig, ...]
    asked_ms: int


async def read(client: Venue, symbols: Sequence[str], *, with_settings: bool = True) -> Reading:
    """Return one complete reading; leverages, which weigh most and change least, may be left out.

    Raises:
        VenueError: a part could not be read; nothing is concluded from the others.
    """
    asked_ms = client.venue_now_ms()
    orders, algos, configs, positions = await asyncio.gather(
        asyncio.gather(*(client.get_open_orders(symbol) for symbol in symbols)),
        asyncio.gather(*(client.get_open_algo_orders(symbol) for symbol in symbols)),
        asyncio.gather(
            *(client.get_symbol_config(symbol) for symbol in (symbols if with_settings else ()))
        ),
        client.get_positions(),
    )
    return Reading(
        symbols=tuple(symbols),
        orders=_flat(orders),
        algos=_flat(algos),
        positions=tuple(positions),
        configs=_flat(configs),
        asked_ms=asked_ms,
    )


def held_position(
    positions: Iterable[Position], symbol: str, *, prefer: Direction | None
) -> Position | None:
    """Return the symbol's position in one-way terms.

    Where hedge mode holds both sides, the one that `prefer` names, else the larger.
    """
    rows = [row for row in positions if row.symbol == symbol and not row.is_flat]
    preferred = [row for row in rows if row.direction is prefer]
    return max(preferred or rows, key=lambda row: abs(row.quantity), default=None)


def entry_orders(journal: Journal, decision: OpenDecision) -> set[str]:
    """Return the exchange's ids of the decision's entry orders, as their answers carried them."""
    return {
        str(intent.outcome["order_id"])
        for intent in journal.intents_of(decision.signal.decision_id)
        if intent.leg is Leg.ENTRY and "order_id" in intent.outcome
    }


def entry_is_known_filled(journal: Journal, decision: OpenDecision) -> bool:
    """Return True if an answer once told that an entry order of the decision executed something."""
    return any(
        Decimal(intent.outcome.get("filled_quantity", "0")) > 0
        for intent in journal.intents_of(decision.signal.decision_id)
        if intent.leg is Leg.ENTRY
    )


@unique
class Standing(StrEnum):
    """What the executions and the position together say of a trade."""

    HELD = "held"
    OVER = "over"
    UNCLEAR = "unclear"  # they do not fit yet: one of the two readings is behind


def standing_of(
    fills: Sequence[Fill],
    decision: OpenDecision,
    position: Position | None,
    *,
    entries: Container[str],
    began_ms: int,
) -> Standing:
    """Return whether the position is the one that the decision's entry opened.

    A trade is over once the executions since have been flat in between: what is there now, if
    anything, somebody else opened. It is held where they add up to what is there. Else they prove
    that something is held which the position's reading does not show so, or not yet.

    Args:
        entries: ids of the decision's entry orders; the first execution of one begins the trade,
            for the end of the trade before lies right before it. An adopted one has none.
        began_ms: where no entry is among the executions, the exchange time the trade began.
    """
    ordered = sorted(fills, key=lambda row: (row.time_ms, row.trade_id))
    first = next((at for at, row in enumerate(ordered) if str(row.order_id) in entries), None)
    if first is None:
        ordered = [row for row in ordered if row.time_ms >= began_ms - _MARGIN_MS]
    running = ZERO if decision.adoption is None else decision.adoption.held_before
    for fill in ordered[first:]:
        running += fill.quantity * fill.side.sign
        if running == 0:
            return Standing.OVER
    if running == 0:
        return Standing.OVER
    if position is None or position.quantity != running:
        return Standing.UNCLEAR
    return Standing.HELD if position.direction is decision.direction else Standing.OVER


def _flat(parts: Iterable[Iterable[_T]]) -> tuple[_T, ...]:
    return tuple(row for part in parts for row in part)

"""When to believe that nothing is held: one empty answer just after a fill has been wrong.

Knows how a list of positions is read where what it misses would cost a position its stop, or leave
it open; must not know what is done then. A position that is shown is believed at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from trader_cli.clock import Clock
from trader_cli.domain.account import Position
from trader_cli.domain.terms import PositionSide
from trader_cli.trading.ports import Venue

READ_AGAIN_S: Final = 0.3
"""Between two readings that are to agree: longer than an answer and what it is read from differ."""

PositionKey = tuple[str, PositionSide]

ANY_SIDE: Final[frozenset[PositionSide]] = frozenset()


async def held_positions(
    client: Venue,
    clock: Clock,
    symbol: str,
    *,
    sides: Collection[PositionSide] = ANY_SIDE,
) -> list[Position]:
    """Return what is held of `symbol`; what is missing was missed by two readings.

    Args:
        sides: the sides whose absence matters; without any, the absence of everything does.

    Raises:
        VenueError: one of the readings failed; nothing is known then.
    """
    first = await _held(client, symbol)
    shown = {row.position_side for row in first}
    if shown.issuperset(sides) if sides else shown:
        return first
    await clock.sleep(READ_AGAIN_S)
    second = {row.position_side: row for row in await _held(client, symbol)}
    # What only the first showed may have ended since; it is not proven, so it counts as held.
    return list(({row.position_side: row for row in first} | second).values())


async def held_position(
    client: Venue, clock: Clock, symbol: str, position_side: PositionSide
) -> Position | None:
    """Return one side's position, None only if two readings miss it.

    Raises:
        VenueError: one of the readings failed.
    """
    rows = await held_positions(client, clock, symbol, sides={position_side})
    return next((row for row in rows if row.position_side is position_side), None)


async def held_everywhere(
    client: Venue, clock: Clock, *, keys: Collection[PositionKey] = ()
) -> list[Position]:
    """Return every position; what is missing of `keys` was missed by two readings.

    Without `keys` the absence of everything matters, as in `held_positions`.

    Raises:
        VenueError: one of the readings failed.
    """
    first = {_key(row): row for row in await client.get_positions() if not row.is_flat}
    if first.keys() >= set(keys) if keys else first:
        return list(first.values())
    await clock.sleep(READ_AGAIN_S)
    second = {_key(row): row for row in await client.get_positions() if not row.is_flat}
    return list((first | second).values())


def _key(row: Position) -> PositionKey:
    return row.symbol, row.position_side


async def _held(client: Venue, symbol: str) -> list[Position]:
    rows = await client.get_position_risk(symbol)
    return [row for row in rows if row.symbol == symbol and not row.is_flat]

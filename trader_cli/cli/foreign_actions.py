"""Meet what others placed, as `[foreign]` of the configuration says, before a command goes on."""

from __future__ import annotations

import asyncio
from typing import Final

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Json
from trader_cli.cli.records import order_json, position_json
from trader_cli.domain.rules import ForeignPolicy
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.foreign import ForeignFound, find_foreign, refuse_beside
from trader_cli.trading.positions.foreign_care import CaredFor, care_for

_SAID: Final = frozenset({ForeignPolicy.ALERT, ForeignPolicy.PROTECT, ForeignPolicy.ADOPT})


async def warn_or_refuse(desk: Desk, symbol: str) -> None:
    """Say what others have on the symbol before something of ours opens there.

    Raises:
        RefusedByRisk: the policy is to refuse.
    """
    rules = desk.settings.foreign
    if rules.policy(symbol) is ForeignPolicy.IGNORE:
        return
    views, resting = await asyncio.gather(
        desk.positions.list_positions(symbol), desk.orders.open_orders(symbol)
    )
    found = find_foreign(rules, views, resting)
    refuse_beside(found)
    say(desk, found)


async def meet_at_start(desk: Desk, symbols: tuple[str, ...]) -> None:
    """Carry out the policies for the symbols an engine is about to trade.

    Raises:
        RefusedByRisk: a policy is to refuse. VenueError: it could not be read.
    """
    views, resting = await asyncio.gather(
        desk.positions.list_positions(), desk.orders.open_orders()
    )
    found = [
        row for row in find_foreign(desk.settings.foreign, views, resting) if row.symbol in symbols
    ]
    refuse_beside(found)
    say(desk, found)
    for done in await care(desk, found):
        if done.error is not None:
            desk.invocation.say(f"warning: {done.symbol}: {done.error.message}")


def say(desk: Desk, found: tuple[ForeignFound, ...] | list[ForeignFound]) -> None:
    """Tell the operator what is there."""
    for row in found:
        if row.policy in _SAID:
            desk.invocation.say(f"warning: {row.message}")


async def care(
    desk: Desk, found: tuple[ForeignFound, ...] | list[ForeignFound]
) -> tuple[CaredFor, ...]:
    """Protect and adopt as the policies say; the stop is the configured default."""
    settings = desk.settings
    roi = settings.orders.default_stop_roi_pct or settings.bridge.default_stop_roi_pct
    return await care_for(
        desk.positions,
        found,
        spec=ProtectionSpec(stop_roi_pct=roi),
        source=desk.command_id,
        advisor=adopter(desk),
    )


def adopter(desk: Desk) -> str:
    """Return the advisor that adopted positions go to where none is named: the first in rank."""
    priority = desk.settings.bridge.priority
    return priority[0] if priority else "hand"


def found_json(row: ForeignFound) -> Json:
    """Return what was found on one symbol."""
    return {
        "symbol": row.symbol,
        "policy": row.policy.value,
        "positions": [position_json(view.position) for view in row.positions],
        "orders": [order_json(order) for order in row.orders],
    }

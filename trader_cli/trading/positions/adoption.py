"""Give a position that is held its stop, measure how long it had none, and make it ours.

Knows the journal row by which an engine learns of it; must not know who wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.errors import UsageError
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.brackets import Protection, covers
from trader_cli.trading.orders.order_desk import OrderDesk
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionPlan, ProtectionSpec
from trader_cli.trading.positions.account_settings import config_of
from trader_cli.trading.positions.beliefs import (
    ADOPTED_ROW,
    Belief,
    read_beliefs,
    remember_position,
    remember_protected,
)
from trader_cli.trading.positions.pnl import fills_of
from trader_cli.trading.positions.position_terms import Adopted
from trader_cli.trading.positions.position_view import unprotected_ms


async def protect_measured(
    orders: OrderManager, position: Position, spec: ProtectionSpec, *, source: str
) -> Protection:
    """Make the exits rest, and journal how long the position was without a stop until then."""
    algos, plan = await asyncio.gather(
        orders.client.get_open_algo_orders(position.symbol), _plan(orders, position, spec)
    )
    was_naked = not any(covers(position, row) for row in algos)
    # Also while another stop rests: it may fire, or vanish, and whoever asked has to know in time.
    within_s = orders.policy.protect_within_s
    protection = await orders.protect(position, plan, source=source, resolve_s=within_s)
    if was_naked and protection.is_stopped:
        belief = _belief(orders, position)
        if belief is None:
            # A measurement belongs to a position that is known; whose it is stays open.
            remember_position(
                orders.journal,
                position.symbol,
                position.position_side,
                position,
                source=source,
                own=False,
            )
        total = unprotected_ms(position, (), venue_ms=orders.client.venue_now_ms(), belief=belief)
        before = 0 if belief is None else belief.unprotected_ms or 0
        remember_protected(orders.journal, position, max(0, total - before), source=source)
    return protection


async def adopt(
    orders: OrderManager, position: Position, spec: ProtectionSpec, *, source: str, advisor: str
) -> Adopted:
    """Protect the position and then write down that it is ours.

    Raises:
        UsageError: no stop is wanted. JournalUnavailable: it is protected and not ours.
    """
    if not spec.has_stop:
        raise UsageError("an adopted position needs a stop", code="no_stop")
    fills = await orders.client.get_fills(position.symbol)
    own, whole = fills_of(position, fills)
    began_ms = own[0].time_ms if own and whole else orders.client.venue_now_ms()
    plan = await _plan(orders, position, spec)
    protection = await protect_measured(orders, position, spec, source=source)
    if protection.is_stopped:
        remember_position(
            orders.journal,
            position.symbol,
            position.position_side,
            position,
            source=source,
        )
        leverage = position.leverage or (await config_of(orders, position.symbol)).leverage
        row = adopted_row(
            position,
            plan,
            source=source,
            advisor=advisor,
            began_ms=began_ms,
            held_before=ZERO if own and whole else position.quantity,
            leverage=leverage,
        )
        await orders.journal.record_aside(ADOPTED_ROW, row)
    return Adopted(
        position=position,
        protection=protection,
        done=protection.is_stopped,
        advisor=advisor,
        began_ms=began_ms,
    )


def adopted_row(
    position: Position,
    plan: ProtectionPlan,
    *,
    source: str,
    advisor: str,
    began_ms: int,
    held_before: Decimal,
    leverage: int,
) -> JsonObject:
    """Return the row by which an engine learns that a position is its own; kind `ADOPTED_ROW`.

    `began_ms` is the exchange time from which its executions are known, `held_before` what was
    held then (signed, 0 where they reach back to the opening); the prices are those that rest.
    """
    return {
        "symbol": position.symbol,
        "position_side": str(position.position_side),
        "direction": position.direction.value,
        "quantity": to_text(abs(position.quantity)),
        "entry_price": to_text(position.entry_price),
        "leverage": leverage,
        "stop_price": _text(plan.stop_price),
        "take_profit_price": _text(plan.take_profit_price),
        "advisor": advisor,
        "decision_id": f"adopted/{position.symbol}@{source}",
        "source": source,
        "began_ms": began_ms,
        "held_before": to_text(held_before),
    }


async def _plan(desk: OrderDesk, position: Position, spec: ProtectionSpec) -> ProtectionPlan:
    instrument = await desk.instrument(position.symbol)
    leverage = position.leverage or (await config_of(desk, position.symbol)).leverage
    return spec.plan(instrument, position.direction, position.entry_price, leverage)


def _belief(orders: OrderManager, position: Position) -> Belief | None:
    with contextlib.suppress(JournalUnavailable):
        belief = read_beliefs(orders.journal).get((position.symbol, position.position_side))
        if belief is not None and belief.quantity * position.quantity > 0:
            return belief
    return None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else to_text(value)

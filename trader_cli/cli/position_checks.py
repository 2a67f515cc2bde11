"""What `position sync` and `position pnl` do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from trader_cli.cli.context import Desk
from trader_cli.cli.foreign_actions import care, found_json, say
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_terms import known
from trader_cli.cli.output import cell, pairs
from trader_cli.cli.position_actions import view_json
from trader_cli.cli.records import number, positions_table
from trader_cli.errors import NotFlat, TraderError
from trader_cli.trading.positions.drift import Drift
from trader_cli.trading.positions.foreign import find_foreign
from trader_cli.trading.positions.foreign_care import CaredFor
from trader_cli.trading.positions.pnl import CurrentPnl, PositionPnl
from trader_cli.trading.positions.reconcile import ReconcileReport, Unresolved, reconcile

_TOLD_MAX: Final = 5
"""Differences named in one sentence; the table and `drifts` have them all."""
_NO_DIFFERENCE: Final = frozenset({"unprotected"})
"""Kinds that are told and are no difference: a person may have left the stop out on purpose."""


async def sync_positions(desk: Desk) -> Answer:
    """Prove open questions, compare what we believe with the exchange, and believe the exchange.

    What others placed is met as the configuration says. Exit code 11 where something differed that
    no order of ours explains, 7 where an outcome stays unknown.

    Raises:
        VenueError, JournalUnavailable: it could not be read; nothing was concluded.
    """
    report = await reconcile(desk.orders)
    views = await desk.positions.list_positions()
    found = find_foreign(desk.settings.foreign, views, (*report.own_orders, *report.foreign_orders))
    say(desk, found)
    cared = () if desk.invocation.shared.dry_run else await care(desk, found)
    if cared:
        views = await desk.positions.list_positions()
    rows = [view_json(row) for row in views]
    data: Json = {
        "drifts": [drift_json(row) for row in report.drifts],
        "resolved": [
            {
                "client_order_id": row.client_order_id,
                "symbol": row.symbol,
                "before": row.before.value,
                "after": row.after.value,
            }
            for row in report.resolved
            if row.before is not row.after
        ],
        "unresolved": [_unresolved_json(row) for row in report.unresolved],
        "foreign": [found_json(row) for row in found],
        "cared_for": [_cared_json(row) for row in cared],
        "positions": rows,
    }

    def tables() -> list[Table]:
        cells = tuple(
            (row.kind, row.symbol, cell(row.cause and row.cause.value), row.message)
            for row in report.drifts
        )
        title = "Differences" if cells else "Differences: none"
        return [
            Table(title=title, columns=("kind", "symbol", "cause", "what"), rows=cells),
            positions_table("Positions", rows),
        ]

    return Answer(data=data, tables=tables, failure=_sync_failure(report, cared))


def _sync_failure(report: ReconcileReport, cared: tuple[CaredFor, ...]) -> TraderError | None:
    if report.unresolved:
        return report.unresolved[0].error
    failed = next((row.error for row in cared if row.error is not None), None)
    if failed is not None:
        return failed
    differing = [
        row for row in report.drifts if not row.is_expected and row.kind not in _NO_DIFFERENCE
    ]
    if not differing:
        return None
    told = [row.message for row in differing[:_TOLD_MAX]]
    if len(differing) > _TOLD_MAX:
        told.append(f"and {len(differing) - _TOLD_MAX} more")
    naked = [row.symbol for row in report.unprotected]
    advice = "our belief is corrected; `trader position close SYMBOL` removes left-over exits"
    if naked:
        advice = f"{naked[0]} has no stop: trader position protect {naked[0]} --stop P"
    return NotFlat("; ".join(told), code="drift", advice=advice)


def drift_json(drift: Drift) -> Json:
    """Return one difference."""
    return {
        "kind": drift.kind,
        "symbol": drift.symbol,
        "position_side": None if drift.position_side is None else drift.position_side.value,
        "believed": number(drift.believed),
        "actual": number(drift.actual),
        "cause": None if drift.cause is None else drift.cause.value,
        "expected": drift.is_expected,
        "message": drift.message,
        "client_order_ids": list(drift.client_order_ids),
    }


def _unresolved_json(row: Unresolved) -> Json:
    return {
        "client_order_id": row.client_order_id,
        "symbol": row.symbol,
        "message": row.error.message,
    }


def _cared_json(row: CaredFor) -> Json:
    return {
        "symbol": row.symbol,
        "position_side": row.position_side.value,
        "policy": row.policy.value,
        "done": row.error is None,
        "message": None if row.error is None else row.error.message,
    }


async def show_pnl(desk: Desk, symbol: str | None) -> Answer:
    """Show each position's result since it was opened, and the day's from the ledger."""
    if symbol is not None:
        await known(desk, symbol)
    rows, day = await asyncio.gather(
        desk.positions.get_position_pnl(symbol), desk.positions.get_current_pnl(symbol)
    )
    positions = [_pnl_json(row) for row in rows]
    data: Json = {"positions": positions, "day": _day_json(day)}

    def tables() -> list[Table]:
        shown = [{name: _flat(value) for name, value in row.items()} for row in positions]
        day_row = {name: _flat(value) for name, value in data["day"].items()}
        held = [pairs("Position (USDT)", row) for row in shown]
        none = Table(title="Positions: none", columns=())
        return [*(held or [none]), pairs("Day (UTC), USDT", day_row)]

    return Answer(data=data, tables=tables)


def _pnl_json(row: PositionPnl) -> Json:
    position = row.position
    return {
        "symbol": position.symbol,
        "side": position.direction.value,
        "quantity": number(abs(position.quantity)),
        "entry_price": number(position.entry_price),
        "mark_price": number(position.mark_price),
        "break_even_price": number(position.break_even_price),
        "realized": number(row.realized),
        "unrealized": number(row.unrealized),
        "fees": number(row.fees),
        "funding": number(row.funding),
        "pnl": number(row.total),
        "fees_other": _assets(row.fees_other),
        "roi_pct": _rounded(position.roi_pct),
        "liquidation_price": number(position.liquidation_price),
        "liquidation_distance_pct": _rounded(row.liquidation_distance_pct),
        "opened_ms": row.opened_ms,
    }


def _day_json(day: CurrentPnl) -> Json:
    return {
        "realized": number(day.realized),
        "unrealized": number(day.unrealized),
        "fees": number(day.fees),
        "funding": number(day.funding),
        "pnl": number(day.total),
        "other_assets": _assets(day.other_assets),
    }


def _assets(amounts: Mapping[str, Decimal]) -> dict[str, str | None]:
    return {asset: number(amount) for asset, amount in amounts.items()}


def _flat(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{amount} {asset}" for asset, amount in value.items()) or None
    return value


def _rounded(value: Decimal | None) -> str | None:
    return None if value is None else number(round(value, 4))

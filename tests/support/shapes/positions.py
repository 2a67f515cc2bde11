"""Positions, and what the commands about them tell."""

from __future__ import annotations

from typing import Literal

from tests.support.shapes.orders import Order
from tests.support.shapes.words import (
    Amount,
    Count,
    MarginType,
    Millis,
    Mode,
    PositionSide,
    Shape,
    Size,
    Symbol,
    WorkEnd,
)


class Position(Shape):
    symbol: Symbol
    side: Literal["LONG", "SHORT"] | None
    quantity: Size
    entry_price: Size
    mark_price: Size
    notional: Size
    leverage: Count | None
    margin_type: MarginType | None
    unrealized_pnl: Amount
    roi_pct: Amount | None
    liquidation_price: Size | None
    stop_price: Size | None
    take_profit_price: Size | None
    protected: bool
    unprotected_seconds: Size | None


class ListedPosition(Position):
    own: bool


class Positions(Shape):
    positions: list[ListedPosition]


class Opened(Shape):
    position: ListedPosition | None
    filled_quantity: Size
    average_price: Size | None
    leverage: Count | None
    reason: WorkEnd
    orders: list[Order]
    exits: list[Order]
    closed_again: bool
    notes: list[str]


class PlannedOpening(Shape):
    dry_run: Literal[True]
    symbol: Symbol
    side: Literal["LONG", "SHORT"]
    quantity: Size
    notional: Size
    leverage: Count


class Closed(Shape):
    flat: bool
    closed: list[Position]
    orders: list[Order]
    removed: list[Order]


class PlannedClosing(Shape):
    dry_run: Literal[True]
    positions: list[ListedPosition]


class Reduced(Closed):
    position: ListedPosition | None


class PlannedReduction(Shape):
    dry_run: Literal[True]
    position: ListedPosition
    quantity: Size
    left: Size


class Protected(Shape):
    position: ListedPosition | None
    exits: list[Order]


class PlannedProtection(Shape):
    dry_run: Literal[True]
    position: ListedPosition
    stop_price: Size | None
    take_profit_price: Size | None
    callback_rate: Size | None


class Adopted(Protected):
    adopted: bool
    advisor: str | None


class PlannedAdoption(Shape):
    dry_run: Literal[True]
    position: ListedPosition
    advisor: str


class Drift(Shape):
    kind: str
    symbol: Symbol
    position_side: PositionSide | None
    believed: Amount | None
    actual: Amount | None
    cause: (
        Literal[
            "liquidation",
            "adl",
            "settlement",
            "stop_hit",
            "target_hit",
            "manual",
            "other_program",
            "own_order",
            "unknown",
        ]
        | None
    )
    expected: bool
    message: str
    client_order_ids: list[str]


class Proven(Shape):
    client_order_id: str
    symbol: Symbol
    before: str
    after: str


class Unproven(Shape):
    client_order_id: str
    symbol: Symbol
    message: str


class Foreign(Shape):
    symbol: Symbol
    policy: Literal["ignore", "alert", "protect", "adopt", "refuse"]
    positions: list[Position]
    orders: list[Order]


class CaredFor(Shape):
    symbol: Symbol
    position_side: PositionSide
    policy: Literal["protect", "adopt"]
    done: bool
    message: str | None


class Synced(Shape):
    drifts: list[Drift]
    resolved: list[Proven]
    unresolved: list[Unproven]
    foreign: list[Foreign]
    cared_for: list[CaredFor]
    positions: list[ListedPosition]


class PositionPnl(Shape):
    symbol: Symbol
    side: Literal["LONG", "SHORT"]
    quantity: Size
    entry_price: Size
    mark_price: Size
    break_even_price: Amount | None
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    fees_other: dict[str, Amount]
    roi_pct: Amount | None
    liquidation_price: Size | None
    liquidation_distance_pct: Amount | None
    opened_ms: Millis | None


class DayPnl(Shape):
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    other_assets: dict[str, Amount]


class Pnl(Shape):
    positions: list[PositionPnl]
    day: DayPnl


class Leverage(Shape):
    symbol: Symbol
    leverage: Count
    max_leverage: Count
    margin_type: MarginType


class PositionMargin(Shape):
    side: Literal["LONG", "SHORT"]
    quantity: Size
    isolated_margin: Amount | None
    maintenance_margin: Amount | None
    liquidation_price: Size | None
    liquidation_distance_pct: Amount | None


class Margin(Shape):
    symbol: Symbol
    leverage: Count
    margin_type: MarginType
    positions: list[PositionMargin] | None


class ModeChange(Shape):
    mode: Mode
    changed: bool

"""What `trader risk` and `trader kill` tell."""

from __future__ import annotations

from typing import Literal

from tests.support.shapes.orders import Order
from tests.support.shapes.positions import Position
from tests.support.shapes.words import Amount, Count, Millis, Shape, Size, Symbol


class Halt(Shape):
    symbol: Symbol | None
    reason: str
    by: str
    rule: str | None
    since_ms: Millis
    until_ms: Millis | None


class Limits(Shape):
    max_position_usd: Size
    max_total_exposure_usd: Size
    max_leverage: Count
    max_daily_loss_usd: Size
    max_daily_loss_pct: Size
    emergency_stop_pct: Size
    price_band_pct: Size
    stale_price_s: Size
    assumed_stop_pct: Size
    on_day_limit: Literal["close", "stop"]
    max_loss_per_trade_usd: Size | None
    cool_down_after_loss_s: Count | None
    max_orders_per_minute: Count | None


class Day(Shape):
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    loss_limit_usd: Size
    loss_limit_pct: Size
    used_pct: Amount


class Total(Shape):
    pnl: Amount
    drawdown_pct: Size


class RiskStatus(Shape):
    halted: bool
    halt_reason: str | None
    halts: list[Halt]
    limits: Limits
    day: Day
    total: Total
    exposure_usd: Size
    open_positions: Count


class RiskLimits(Shape):
    limits: Limits
    waiting: dict[str, int | str | None]


class Checked(Shape):
    allowed: Literal[True]
    order: Order
    notes: list[str]


class Halted(Shape):
    halted: bool
    halts: list[Halt]


class UnchangedHalt(Shape):
    dry_run: Literal[True]
    halted: bool
    halts: list[Halt]


class Resumed(Halted):
    lifted: list[Halt]


class UnchangedResume(UnchangedHalt):
    lifted: list[Halt]


class EnvironmentKilled(Shape):
    env: str
    done: bool
    flat: bool
    halted: bool
    cancelled: list[Order]
    closed: list[Position]
    remaining: list[Order | Position]
    rounds: Count
    elapsed_ms: Count
    problems: list[str]


class Killed(Shape):
    flat: bool
    halted: bool
    cancelled: list[Order]
    closed: list[Position]
    remaining: list[Order | Position]
    rounds: Count
    elapsed_ms: Count
    environments: list[EnvironmentKilled]


class Named(Shape):
    env: str


class PlannedKill(Shape):
    dry_run: Literal[True]
    environments: list[Named]

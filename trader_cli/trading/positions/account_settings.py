"""Leverage, margin type, isolated margin and position mode: read first, written on a difference.

Knows what the exchange refuses and why; that a lost answer is asked about is `settings_change`'s.

Source: binance-usdm reference §8, §5.3 (-4046, -4047, -4048, -4067, -4068, -4161).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position, SymbolConfig
from trader_cli.domain.terms import MarginType
from trader_cli.errors import Rejected, UsageError, VenueError
from trader_cli.trading.orders.order_desk import OrderDesk
from trader_cli.trading.positions.settings_change import change

_ORDERS_OPEN: Final = -4067
_POSITIONS_OPEN: Final = -4068
_NEVER_LOWER: Final = -4161
_NOT_IDLE: Final = (-4047, -4048)
"""The margin type cannot change: orders rest on the symbol, or a position is held."""
_MARGIN_TOLERANCE: Final = Decimal("0.01")


async def config_of(desk: OrderDesk, symbol: str) -> SymbolConfig:
    """Return leverage and margin type of a symbol.

    Raises:
        UsageError: the account has none.
    """
    for row in await desk.client.get_symbol_config(symbol):
        if row.symbol == symbol:
            return row
    raise UsageError(f"the account has no settings for {symbol}", code="unknown_symbol")


async def set_leverage(desk: OrderDesk, config: SymbolConfig, leverage: int) -> int:
    """Set the leverage if it differs from `config`; return the one in effect."""
    if config.leverage == leverage:
        return leverage
    symbol = config.symbol

    async def is_done() -> bool:
        return (await config_of(desk, symbol)).leverage == leverage

    try:
        await change(
            desk,
            lambda: desk.client.set_leverage(symbol, leverage),
            is_done,
            what=f"set leverage {leverage} of {symbol}",
            look=f"trader position leverage {symbol}",
        )
    except Rejected as error:
        if error.code != _NEVER_LOWER:
            raise
        raise Rejected(
            f"{symbol} is isolated and held at {config.leverage}x: the exchange lets leverage "
            "only rise until it is flat",
            code=error.code,
            advice=f"close it first (trader position close {symbol}), or add margin instead",
        ) from error
    return leverage


async def set_margin_type(desk: OrderDesk, config: SymbolConfig, margin_type: MarginType) -> None:
    """Set the margin type if it differs from `config`."""
    if config.margin_type is margin_type:
        return
    symbol = config.symbol

    async def is_done() -> bool:
        return (await config_of(desk, symbol)).margin_type is margin_type

    try:
        await change(
            desk,
            lambda: desk.client.set_margin_type(symbol, margin_type),
            is_done,
            what=f"set margin type {margin_type} of {symbol}",
            look=f"trader position margin {symbol}",
        )
    except Rejected as error:
        if error.code not in _NOT_IDLE:
            raise
        if all(row.is_flat for row in await desk.client.get_position_risk(symbol)):
            raise
        # The exchange may name the orders first: whoever cancelled those would lose the stop.
        raise Rejected(
            f"{symbol} is held: its margin type changes only while nothing is held and rests",
            code=error.code,
            advice=f"close it first (trader position close {symbol}); its stop stays until then",
        ) from error


async def move_margin(desk: OrderDesk, position: Position, amount: Decimal) -> Position:
    """Move `amount` USDT into the isolated position (negative: out of it), at most once.

    Raises:
        UsageError: the position is cross.
        NotSent, RateLimited: it is proven that nothing moved.
        OutcomeUnknown: the position's margin does not tell; it is not sent again.
    """
    symbol = position.symbol
    if position.margin_type is MarginType.CROSS:
        raise UsageError(
            f"{symbol} is cross: the whole account is its margin",
            code="not_isolated",
            advice="margin is added to and taken from isolated positions only",
        )
    before = _own_margin(position)
    tolerance = min(_MARGIN_TOLERANCE, abs(amount) / 4)

    async def is_done() -> bool | None:
        now = await _read(desk, position)
        if now is None or now.quantity != position.quantity:
            return None  # an execution brings or takes margin of its own
        # What is unrealised moves with the mark and is taken out of both readings.
        moved = _own_margin(now) - before
        if abs(moved - amount) <= tolerance:
            return True
        return False if abs(moved) <= tolerance else None

    await change(
        desk,
        lambda: desk.client.move_isolated_margin(
            symbol, amount, position_side=position.position_side
        ),
        is_done,
        what=f"move margin of {symbol}",
        look=f"trader position margin {symbol}",
        again=False,
    )
    with suppress(VenueError):  # it is moved; only the picture of it is poorer
        return await _read(desk, position) or position
    return position


async def set_position_mode(desk: OrderDesk, *, hedge: bool) -> bool:
    """Switch the account's position mode; return False if it was so already."""
    if (await desk.client.get_account_summary()).hedge_mode is hedge:
        return False

    async def is_done() -> bool:
        return (await desk.client.get_account_summary()).hedge_mode is hedge

    word = "hedge" if hedge else "one-way"
    try:
        await change(
            desk,
            lambda: desk.client.set_position_mode(hedge=hedge),
            is_done,
            what=f"set position mode {word}",
            look="trader position mode",
        )
    except Rejected as error:
        if error.code not in (_ORDERS_OPEN, _POSITIONS_OPEN):
            raise
        raise await _mode_refused(desk, error, word) from error
    return True


async def _mode_refused(desk: OrderDesk, error: Rejected, word: str) -> Rejected:
    """Say what stands in the way: the switch holds for the whole account."""
    positions, orders, algos = await asyncio.gather(
        desk.client.get_positions(),
        desk.client.get_open_orders(),
        desk.client.get_open_algo_orders(),
    )
    held = sorted({row.symbol for row in positions})
    resting = sorted({row.symbol for row in orders} | {row.symbol for row in algos})
    parts = [
        f"positions in {', '.join(held)}" if held else "",
        f"open orders on {', '.join(resting)}" if resting else "",
    ]
    why = " and ".join(part for part in parts if part) or error.message
    return Rejected(
        f"the account cannot change to {word} mode with {why}",
        code=error.code,
        advice="close the positions and cancel the orders first, conditional ones and others' too",
    )


async def _read(desk: OrderDesk, position: Position) -> Position | None:
    for row in await desk.client.get_position_risk(position.symbol):
        if row.position_side is position.position_side and not row.is_flat:
            return row
    return None


def _own_margin(position: Position) -> Decimal:
    return position.isolated_margin - position.unrealized_pnl

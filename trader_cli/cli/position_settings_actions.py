"""What `position leverage`, `margin` and `mode` do: read first, written only on a difference."""

from __future__ import annotations

from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json
from trader_cli.cli.order_terms import held_position, known
from trader_cli.cli.output import pairs
from trader_cli.cli.position_actions import refuse_leverage
from trader_cli.cli.records import number
from trader_cli.domain.account import Position
from trader_cli.domain.terms import Direction, MarginType
from trader_cli.errors import VenueError
from trader_cli.trading.positions.position_view import PositionView, liquidation_distance_pct


async def set_leverage(desk: Desk, symbol: str, value: int | None) -> Answer:
    """Show the leverage in effect, or set it.

    Raises:
        RefusedByRisk: above the limit.
    """
    await known(desk, symbol)
    limit = desk.limits.max_leverage
    if value is not None:
        refuse_leverage(value, limit)
    # Read before the change: once it is made, nothing that fails may hide it.
    data = await _settings_json(desk, symbol) | {"max_leverage": limit}
    title = "Leverage"
    if value is not None and desk.invocation.shared.dry_run:
        title = f"Leverage: {value} would be set; nothing was sent"
    elif value is not None:
        data["leverage"] = await desk.positions.set_leverage(symbol, value)
    return Answer(data=data, tables=lambda: [pairs(title, data)])


async def change_margin(
    desk: Desk,
    symbol: str,
    *,
    margin_type: MarginType | None,
    amount: Decimal | None,
    direction: Direction | None,
) -> Answer:
    """Show margin type and isolated margin; set the one, or move the other (negative: out).

    Raises:
        UsageError: margin is to be moved, and there is no such isolated position.
    """
    await known(desk, symbol)
    settings = await _settings_json(desk, symbol)
    moved: Position | None = None
    title = "Margin"
    if desk.invocation.shared.dry_run and (margin_type, amount) != (None, None):
        wanted = f"{margin_type} would be set" if amount is None else f"{amount:+f} would be moved"
        title = f"Margin: {wanted}; nothing was sent"
    if not desk.invocation.shared.dry_run:
        if margin_type is not None:
            await desk.positions.set_margin_type(symbol, margin_type)
            settings["margin_type"] = margin_type.value
        if amount is not None:
            held = await held_position(desk, symbol, direction)
            moved = await desk.positions.move_margin(
                symbol, amount, position_side=held.position_side
            )
    shown: list[Json] | None = None
    try:
        views = await desk.positions.list_positions(symbol)
    except VenueError as error:
        if margin_type is None and moved is None:
            raise
        desk.invocation.say(f"it is done; what it came to could not be read: {error.message}")
    else:
        shown = [_margin_json(row) for row in views]
        if moved is not None and amount is not None and amount < 0:
            _warn_of_liquidation(desk, views)
    return Answer(
        data=settings | {"positions": shown},
        tables=lambda: [
            pairs(title, settings),
            *(pairs("Position (USDT)", row) for row in shown or ()),
        ],
    )


async def set_mode(desk: Desk, *, hedge: bool | None) -> Answer:
    """Show the position mode, or switch it; nothing switches it but this.

    Raises:
        Rejected: -4067 with open orders, -4068 with positions.
    """
    changed = False
    title = "Position mode"
    if hedge is None or desk.invocation.shared.dry_run:
        if hedge is not None:
            wanted = "hedge" if hedge else "one-way"
            title = f"Position mode: {wanted} would be set; nothing was sent"
        hedge = (await desk.client.get_account_summary()).hedge_mode
    else:
        changed = await desk.positions.set_position_mode(hedge=hedge)
    data: Json = {"mode": "hedge" if hedge else "one-way", "changed": changed}
    return Answer(data=data, tables=lambda: [pairs(title, data)])


async def _settings_json(desk: Desk, symbol: str) -> Json:
    config = next(
        row for row in await desk.client.get_symbol_config(symbol) if row.symbol == symbol
    )
    return {
        "symbol": symbol,
        "leverage": config.leverage,
        "margin_type": config.margin_type.value,
    }


def _margin_json(view: PositionView) -> Json:
    position = view.position
    distance = liquidation_distance_pct(position)
    isolated = position.margin_type is MarginType.ISOLATED
    return {
        "side": position.direction.value,
        "quantity": number(abs(position.quantity)),
        "isolated_margin": number(position.isolated_margin) if isolated else None,
        "maintenance_margin": number(position.maintenance_margin),
        "liquidation_price": number(position.liquidation_price),
        "liquidation_distance_pct": None if distance is None else number(round(distance, 4)),
    }


def _warn_of_liquidation(desk: Desk, views: tuple[PositionView, ...]) -> None:
    """Say that the stop lies beyond liquidation by now, where it can no longer help."""
    for view in views:
        position, stop = view.position, view.stop_price
        if stop is None or position.liquidation_price is None:
            continue
        if (stop - position.liquidation_price) * position.direction.sign <= 0:
            desk.invocation.say(
                f"warning: the stop {number(stop)} of {position.symbol} lies beyond its "
                f"liquidation price {number(position.liquidation_price)}"
            )

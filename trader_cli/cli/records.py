"""The contract's JSON objects for orders, positions and the account, and their tables.

Numbers are decimal strings, times UTC epoch milliseconds, what does not apply is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from trader_cli.cli.invocation import Json, Table
from trader_cli.cli.output import cell, moment
from trader_cli.domain.account import AccountSummary, AssetBalance, Position
from trader_cli.domain.client_id import is_own
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    Order,
    OrderRequest,
)
from trader_cli.domain.terms import OrderStatus, OrderType

_NO_ORDER: Final[Json] = {
    "kind": None,
    "symbol": None,
    "order_id": None,
    "algo_id": None,
    "client_order_id": None,
    "side": None,
    "position_side": None,
    "type": None,
    "status": None,
    "quantity": None,
    "filled_quantity": None,
    "price": None,
    "average_price": None,
    "trigger_price": None,
    "activate_price": None,
    "callback_rate": None,
    "time_in_force": None,
    "reduce_only": None,
    "close_position": None,
    "working_type": None,
    "own": None,
    "created_ms": None,
    "updated_ms": None,
}


def number(value: Decimal | None) -> str | None:
    """Return a number as plain digits."""
    return None if value is None else to_text(value)


def order_json(order: Order | AlgoOrder) -> Json:
    """Return the contract's order object, of either world."""
    return _NO_ORDER | _common(order) | _own_world(order)


def cancelled_json(order: Order | AlgoOrder) -> Json:
    """Return the order object of an order that was just cancelled, whatever was last read of it."""
    row = order_json(order)
    return row | {"status": OrderStatus.CANCELED.value} if order.status.is_open else row


def request_json(request: OrderRequest) -> Json:
    """Return an order object for a request that was not sent: no ids, no status."""
    values: Json = {
        "kind": "algo" if isinstance(request, ConditionalRequest) else "order",
        "symbol": request.symbol,
        "side": request.side.value,
        "position_side": request.position_side.value,
        "quantity": number(request.quantity),
        "reduce_only": request.reduce_only,
        "close_position": False,
        "own": True,
    }
    match request:
        case LimitRequest():
            values |= {
                "type": OrderType.LIMIT.value,
                "price": number(request.price),
                "time_in_force": request.time_in_force.value,
            }
        case MarketRequest():
            values |= {"type": OrderType.MARKET.value}
        case ConditionalRequest():
            values |= {
                "type": request.type.value,
                "price": number(request.price),
                "trigger_price": number(request.trigger_price),
                "activate_price": number(request.activate_price),
                "callback_rate": number(request.callback_rate),
                "close_position": request.close_position,
                "working_type": request.working_type.value,
            }
    return _NO_ORDER | values


def raw_order_json(symbol: str, number_: int, *, client_order_id: str, is_algo: bool) -> Json:
    """Return an order object for an order of which only the ids could be read."""
    return _NO_ORDER | {
        "kind": "algo" if is_algo else "order",
        "symbol": symbol,
        "order_id": None if is_algo else number_,
        "algo_id": number_ if is_algo else None,
        "client_order_id": client_order_id,
        "own": is_own(client_order_id),
    }


def asset_json(asset: AssetBalance) -> Json:
    """Return one row of `account balance`."""
    return {
        "asset": asset.asset,
        "wallet_balance": number(asset.wallet_balance),
        "available_balance": number(asset.available_balance),
        "unrealized_pnl": number(asset.unrealized_pnl),
    }


def summary_json(summary: AccountSummary) -> Json:
    """Return the object of `account info`."""
    return {
        "equity_usdt": number(summary.margin_balance),
        "wallet_balance": number(summary.wallet_balance),
        "unrealized_pnl": number(summary.unrealized_pnl),
        "available_balance": number(summary.available_balance),
        "initial_margin": number(summary.initial_margin),
        "maintenance_margin": number(summary.maintenance_margin),
        "can_trade": summary.can_trade,
        "can_withdraw": summary.can_withdraw,
        "position_mode": "hedge" if summary.hedge_mode else "one-way",
        "multi_assets_mode": summary.multi_assets_mode,
        "fee_tier": summary.fee_tier,
        "updated_ms": summary.updated_ms,
    }


def position_json(
    position: Position,
    *,
    stop_price: Decimal | None = None,
    take_profit_price: Decimal | None = None,
    protected: bool = False,
    unprotected_seconds: Decimal | None = None,
) -> Json:
    """Return the contract's position object; a flat position has side null."""
    return {
        "symbol": position.symbol,
        "side": None if position.is_flat else position.direction.value,
        "quantity": number(abs(position.quantity)),
        "entry_price": number(position.entry_price),
        "mark_price": number(position.mark_price),
        "notional": number(position.notional),
        "leverage": position.leverage,
        "margin_type": None if position.margin_type is None else position.margin_type.value,
        "unrealized_pnl": number(position.unrealized_pnl),
        "roi_pct": _rounded(position.roi_pct, 4),
        "liquidation_price": number(position.liquidation_price),
        "stop_price": number(stop_price),
        "take_profit_price": number(take_profit_price),
        "protected": protected,
        "unprotected_seconds": number(unprotected_seconds),
    }


def orders_table(title: str, orders: Sequence[Mapping[str, Any]], *, dated: bool = False) -> Table:
    """Return order objects as a table; columns that say nothing of any order are left out.

    `dated` shows when each was made.
    """
    cells = [_order_cells(row) for row in orders]
    if dated:
        for row, order in zip(cells, orders, strict=True):
            row[TIME_HEAD] = moment(order["created_ms"] or order["updated_ms"])
            row["tif"] = ""  # says nothing any more of what has ended
    heads = [
        head
        for head in (TIME_HEAD, *_ORDER_HEADS)
        if any(row.get(head, "") not in ("", "–") for row in cells)
    ]
    return Table(
        title=title if orders else f"{title}: none",
        columns=tuple(heads),
        rows=tuple(tuple(row[head] for head in heads) for row in cells),
    )


TIME_HEAD: Final = "time (UTC)"
_ORDER_HEADS: Final = (
    *("symbol", "side", "type", "status", "quantity", "filled", "price", "average", "notional"),
    "trigger",
    *("tif", "exit", "own", "id"),
)


def _order_cells(order: Mapping[str, Any]) -> dict[str, str]:
    """Return what a person is told of an order, by column; empty where it says nothing.

    Most orders are our own and enter: only what is otherwise is marked.
    """
    filled = order["filled_quantity"]
    return {
        "symbol": cell(order["symbol"]),
        "side": side_cell(order),
        "type": cell(order["type"]).replace("TRAILING_STOP_MARKET", "TRAILING_STOP"),
        "status": cell(order["status"]),
        "quantity": "all" if order["close_position"] else cell(order["quantity"]),
        "filled": "" if filled in (None, "0") else filled,
        "price": cell(order["price"]),
        "average": cell(order["average_price"]),
        "notional": cell(order.get("notional")),
        "trigger": _trigger(order),
        "tif": cell(order["time_in_force"]),
        "exit": "yes" if _is_exit(order) else "",
        "own": "" if order["own"] else "no",
        "id": _id_of(order),
    }


def side_cell(row: Mapping[str, Any]) -> str:
    """Return which way an order or execution goes, in hedge mode of which position."""
    held = row["position_side"]
    return cell(row["side"]) if held in (None, "BOTH") else f"{row['side']} {held}"


def _is_exit(order: Mapping[str, Any]) -> bool:
    """Return True if the order can only reduce; in hedge mode its sides say so, no flag does."""
    flagged = order["reduce_only"] or order["close_position"]
    return flagged or (order["position_side"], order["side"]) in (
        ("LONG", "SELL"),
        ("SHORT", "BUY"),
    )


def _trigger(order: Mapping[str, Any]) -> str:
    """Return what sets an order off: a price, or how far the price may turn back from where."""
    if order["callback_rate"] is None:
        return cell(order["trigger_price"])
    start = order["activate_price"]
    return f"{order['callback_rate']} %" + ("" if start is None else f" @ {start}")


def positions_table(title: str, positions: Sequence[Mapping[str, Any]]) -> Table:
    """Return positions with what protects them; whose they are where they are not our own."""
    cells = [
        _held_cells(row)
        | {
            "stop": cell(row["stop_price"]),
            "target": cell(row["take_profit_price"]),
            "protected": _protected(row),
            "own": "no" if row.get("own") is False else "",
        }
        for row in positions
    ]
    own = ("own",) if any(row["own"] for row in cells) else ()
    return _positions(title, (*_HELD_HEADS, "stop", "target", "protected", *own), cells)


def held_table(title: str, positions: Sequence[Mapping[str, Any]]) -> Table:
    """Return positions of which nobody has looked what protects them, closed ones among them."""
    return _positions(title, _HELD_HEADS, [_held_cells(row) for row in positions])


_HELD_HEADS: Final = (
    *("symbol", "side", "quantity", "entry", "mark", "notional", "leverage", "PnL", "ROI %"),
    "liquidation",
)


def _positions(title: str, heads: Sequence[str], cells: Sequence[Mapping[str, str]]) -> Table:
    return Table(
        title=f"{title} (USDT)" if cells else f"{title}: none",
        columns=tuple(heads),
        rows=tuple(tuple(row[head] for head in heads) for row in cells),
    )


def _held_cells(row: Mapping[str, Any]) -> dict[str, str]:
    isolated = row["margin_type"] == "isolated"
    return {
        "symbol": cell(row["symbol"]),
        "side": cell(row["side"]),
        "quantity": cell(row["quantity"]),
        "entry": cell(row["entry_price"]),
        "mark": cell(row["mark_price"]),
        "notional": cell(row["notional"]),
        "leverage": f"{cell(row['leverage'])}x{' isolated' if isolated else ''}",
        "PnL": cell(row["unrealized_pnl"]),
        "ROI %": cell(row["roi_pct"]),
        "liquidation": cell(row["liquidation_price"]),
    }


def _protected(row: Mapping[str, Any]) -> str:
    """Return how long the stop was waited for, or that none covers the whole, and since when."""
    seconds = row["unprotected_seconds"]
    if row["protected"]:
        return "yes" if seconds is None else f"after {seconds} s"
    return "NO" if seconds is None else f"NO, {seconds} s"


def _common(order: Order | AlgoOrder) -> Json:
    return {
        "symbol": order.symbol,
        "client_order_id": order.client_order_id,
        "side": order.side.value,
        "position_side": order.position_side.value,
        "type": order.type.value,
        "status": order.status.value,
        "quantity": None if order.close_position else number(order.quantity),
        "price": _unless_zero(order.price),
        "time_in_force": order.time_in_force.value,
        "reduce_only": order.reduce_only,
        "close_position": order.close_position,
        "own": is_own(order.client_order_id),
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def _own_world(order: Order | AlgoOrder) -> Json:
    if isinstance(order, Order):
        return {
            "kind": "order",
            "order_id": order.order_id,
            "filled_quantity": number(order.filled_quantity),
            "average_price": _unless_zero(order.average_price),
        }
    return {
        "kind": "algo",
        "order_id": order.order_id,
        "algo_id": order.algo_id,
        "filled_quantity": number(order.filled_quantity),
        "trigger_price": _unless_zero(order.trigger_price),
        "activate_price": _unless_zero(order.activate_price),
        "callback_rate": _unless_zero(order.callback_rate),
        "working_type": order.working_type.value,
    }


def _id_of(row: Mapping[str, Any]) -> str:
    return cell(row["algo_id"] if row["kind"] == "algo" else row["order_id"])


def _unless_zero(value: Decimal | None) -> str | None:
    return None if value is None or value == 0 else to_text(value)


def _rounded(value: Decimal | None, places: int) -> str | None:
    return None if value is None else to_text(round(value, places))

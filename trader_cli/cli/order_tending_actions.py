"""What `trader order` does with orders that are there: list, find, amend, cancel, resolve."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_actions import one_order
from trader_cli.cli.order_rehearsal import would_amend, would_cancel, would_cancel_all
from trader_cli.cli.order_terms import known
from trader_cli.cli.output import cell, moment
from trader_cli.cli.prices import PriceWish
from trader_cli.cli.records import (
    TIME_HEAD,
    cancelled_json,
    number,
    order_json,
    orders_table,
    side_cell,
)
from trader_cli.domain.account import Fill
from trader_cli.domain.client_id import is_own
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, Order, only_reduces
from trader_cli.domain.terms import AlgoStatus, OrderStatus
from trader_cli.errors import PartialFailure, Rejected, TraderError, UsageError
from trader_cli.trading.orders.order_manager import ExitsMayRest
from trader_cli.trading.orders.order_tracker import Resolution

_DAY_MS: Final = 86_400_000
_ASKED_TOGETHER_MAX: Final = 30
_TAKEN_BACK: Final = frozenset(
    {
        *(OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.EXPIRED_IN_MATCH),
        *(AlgoStatus.CANCELED, AlgoStatus.EXPIRED),
    }
)
"""How an order that is cancelled may have ended: nothing of it is or will be executed any more."""


async def list_orders(desk: Desk, symbol: str | None) -> Answer:
    """List what rests."""
    if symbol is not None:
        await known(desk, symbol)
    rows = [order_json(row) for row in await desk.orders.open_orders(symbol)]
    return Answer(data={"orders": rows}, tables=lambda: [orders_table("Resting orders", rows)])


async def show_order(desk: Desk, identifier: str, symbol: str | None) -> Answer:
    """Show one order."""
    return one_order("Order", await desk.orders.find(identifier, symbol=symbol))


async def order_history(desk: Desk, symbol: str, days: int) -> Answer:
    """List a symbol's orders of the last days, both worlds, oldest first."""
    await known(desk, symbol)
    start_ms = desk.client.venue_now_ms() - days * _DAY_MS
    orders, algos = await asyncio.gather(
        desk.client.get_all_orders(symbol, start_ms=start_ms),
        desk.client.get_all_algo_orders(symbol, start_ms=start_ms),
    )
    both: list[Order | AlgoOrder] = [*orders, *algos]
    rows = [order_json(row) for row in sorted(both, key=_created_ms)]
    title = f"Orders of {symbol}, {days} d"
    return Answer(data={"orders": rows}, tables=lambda: [orders_table(title, rows, dated=True)])


async def order_trades(desk: Desk, symbol: str, days: int) -> Answer:
    """List a symbol's executions of the last days, oldest first."""
    await known(desk, symbol)
    start_ms = desk.client.venue_now_ms() - days * _DAY_MS
    fills = await desk.client.get_fills(symbol, start_ms=start_ms)
    rows = [_trade_json(row) for row in sorted(fills, key=lambda row: (row.time_ms, row.trade_id))]
    title = f"Executions of {symbol}, {days} d"
    return Answer(data={"trades": rows}, tables=lambda: [_trades_table(title, rows)])


async def amend_order(
    desk: Desk,
    identifier: str,
    *,
    price: PriceWish | None,
    quantity: Decimal | None,
    symbol: str | None,
) -> Answer:
    """Change a resting order's price or quantity; what is not given stays."""
    order = await desk.orders.find(identifier, symbol=symbol)
    new_price = None
    if price is not None:
        instrument = await known(desk, order.symbol)
        touch = order.price or Decimal(1)
        if price.is_relative:
            touch = (await desk.client.get_book_top(order.symbol)).touch(order.side)
        new_price = price.at(touch, instrument.tick_size)
    if desk.invocation.shared.dry_run:
        return await would_amend(desk, order, price=new_price, quantity=quantity)
    amended = await desk.orders.amend(
        # The number, not the word that was typed: it names one order, whatever else has that name.
        str(order.order_id if isinstance(order, Order) else order.algo_id),
        source=desk.command_id,
        price=new_price,
        quantity=quantity,
        symbol=order.symbol,
    )
    for note in amended.notes:
        desk.invocation.say(note)
    answer = one_order("Amended", amended.order)
    if amended.order.status.is_open or _is_filled(amended.order):
        return answer
    failure = Rejected(
        f"the exchange ended the order instead: {amended.order.status}",
        code="amend_ended_order",
        advice="a post-only order that would take is cancelled by its amendment",
    )
    return replace(answer, failure=failure)


async def cancel_order(desk: Desk, identifier: str, symbol: str | None) -> Answer:
    """Cancel one order."""
    if desk.invocation.shared.dry_run:
        return would_cancel(await desk.orders.find(identifier, symbol=symbol))
    try:
        ended = await desk.orders.cancel(identifier, symbol=symbol)
    except ExitsMayRest as error:
        return replace(one_order("Cancelled", error.order), failure=error)
    if ended.status in _TAKEN_BACK:
        return one_order("Cancelled", ended)
    failure = Rejected(
        f"the order was not cancelled: it is {ended.status}",
        code="not_cancelled",
        advice="it was executed, or fired, before the cancel arrived",
    )
    return replace(one_order("Not cancelled", ended), failure=failure)


async def cancel_all_orders(
    desk: Desk, symbol: str | None, *, own_only: bool, stops: bool
) -> Answer:
    """Cancel what can raise exposure, and what else was asked for."""
    if symbol is not None:
        await known(desk, symbol)
    if desk.invocation.shared.dry_run:
        return await would_cancel_all(desk, symbol, own_only=own_only, stops=stops)
    swept = await desk.orders.cancel_all_orders(symbol, own_only=own_only, include_stops=stops)
    cancelled = [cancelled_json(row) for row in swept.cancelled]
    kept = [order_json(row) for row in swept.kept]
    failed = [
        {"order": order_json(row.order), "message": row.error.message} for row in swept.failed
    ]
    failure = None
    if swept.failed:
        failure = PartialFailure(
            f"{len(failed)} of {len(failed) + len(cancelled)} orders could not be cancelled",
            advice="trader order list",
        )

    def tables() -> list[Table]:
        return [orders_table("Cancelled", cancelled), orders_table("Left alone", kept)]

    data: Json = {"cancelled": cancelled, "kept": kept, "failed": failed}
    return Answer(data=data, tables=tables, failure=failure)


async def resolve_orders(desk: Desk, identifier: str | None) -> Answer:
    """Prove what became of one intent, or of every one that is not finished.

    Without an id the exits that a finished position left behind are removed as well.
    """
    names = [identifier] if identifier is not None else []
    if identifier is None:
        names = [row.client_order_id for row in desk.journal.unfinished_intents()]
    # Together: each may have to wait until its order can no longer arrive.
    room = asyncio.Semaphore(_ASKED_TOGETHER_MAX)
    outcomes = await asyncio.gather(*(_resolve(desk, name, room) for name in names))
    failures = [row for row in outcomes if isinstance(row, TraderError)]
    if identifier is not None and failures and isinstance(failures[0], UsageError):
        raise failures[0]
    rows: list[Json] = []
    for name, found in zip(names, outcomes, strict=True):
        if isinstance(found, TraderError):
            rows.append({"client_order_id": name, "status": None, "order": None})
            continue
        shown = None if found.order is None else order_json(found.order)
        rows.append({"client_order_id": name, "status": found.status.value, "order": shown})
    removed = [] if identifier is not None else await _remove_orphans(desk)

    def tables() -> list[Table]:
        title = "Asked after" if rows else "Asked after: no order is in doubt or rests"
        columns = ("symbol", "side", "type", "client order id", "it is")
        resolved = Table(title=title, columns=columns, rows=tuple(_resolved(row) for row in rows))
        return [resolved, *([orders_table("Removed, without a position", removed)] * bool(removed))]

    return Answer(
        data={"orders": rows, "removed": removed},
        tables=tables,
        failure=failures[0] if failures else None,
    )


async def _resolve(desk: Desk, name: str, room: asyncio.Semaphore) -> Resolution | TraderError:
    async with room:
        try:
            return await desk.orders.resolve(name)
        except TraderError as error:
            return error


async def _remove_orphans(desk: Desk) -> list[Json]:
    resting = await desk.orders.open_orders()
    symbols = {row.symbol for row in resting if is_own(row.client_order_id) and only_reduces(row)}
    gone = [await desk.orders.clean_up_exits(symbol) for symbol in sorted(symbols)]
    return [cancelled_json(order) for rows in gone for order in rows]


def _resolved(row: Json) -> tuple[str, ...]:
    """Return one line of `order resolve`; of an order that is nowhere only its name is known."""
    order = row["order"]
    shown = ("–", "–", "–") if order is None else (order["symbol"], side_cell(order), order["type"])
    return (*shown, row["client_order_id"], row["status"] or "unknown")


def _created_ms(order: Order | AlgoOrder) -> int:
    return order.created_ms or order.updated_ms


def _is_filled(order: Order | AlgoOrder) -> bool:
    return isinstance(order, Order) and order.remaining_quantity == 0


def _trade_json(fill: Fill) -> Json:
    return {
        "symbol": fill.symbol,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "side": fill.side.value,
        "position_side": fill.position_side.value,
        "price": number(fill.price),
        "quantity": number(fill.quantity),
        "notional": to_text(fill.price * fill.quantity),
        "realized_pnl": number(fill.realized_pnl),
        "commission": number(fill.commission),
        "commission_asset": fill.commission_asset,
        "maker": fill.maker,
        "time_ms": fill.time_ms,
    }


def _trades_table(title: str, trades: list[Json]) -> Table:
    """Return executions as a table; a positive commission was paid, in the asset beside it."""
    columns = ("price", "quantity", "notional", "realized_pnl")
    return Table(
        title=title if trades else f"{title}: none",
        columns=(TIME_HEAD, "side", *columns, "commission", "maker", "order", "trade"),
        rows=tuple(
            (
                moment(row["time_ms"]),
                side_cell(row),
                *(cell(row[name]) for name in columns),
                f"{row['commission']} {row['commission_asset']}",
                cell(row["maker"]),
                cell(row["order_id"]),
                cell(row["trade_id"]),
            )
            for row in trades
        ),
    )

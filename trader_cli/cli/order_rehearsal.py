"""`--dry-run` of amending and cancelling: what would be done, by the same rules, nothing sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json
from trader_cli.cli.order_terms import known, on_steps
from trader_cli.cli.records import number, order_json, orders_table
from trader_cli.domain.client_id import is_own
from trader_cli.domain.instrument import round_price_in_favour, round_quantity_down
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, LimitRequest, Order, only_reduces
from trader_cli.domain.protection import check_stop, check_take_profit
from trader_cli.domain.terms import Direction, OrderType, Side
from trader_cli.errors import Rejected, UsageError
from trader_cli.trading.orders.flatness import held_everywhere
from trader_cli.trading.risk.risk_manager import Refused


async def would_amend(
    desk: Desk, order: Order | AlgoOrder, *, price: Decimal | None, quantity: Decimal | None
) -> Answer:
    """Answer with the order as it rests, and what would change of it.

    Raises:
        Rejected: it has ended, or its trigger would fire at once.
        UsageError: it cannot have that. Halted, RefusedByRisk: our own rules.
    """
    refuse_ended(order)
    if isinstance(order, Order):
        price, quantity = await _judge_limit(desk, order, price, quantity)
    else:
        price, quantity = await _judge_conditional(desk, order, price, quantity)
    rests = order_json(order)
    changed = {"price": number(price), "quantity": number(quantity)}
    of_price = "price" if isinstance(order, Order) else "trigger_price"
    if order.type is OrderType.TRAILING_STOP_MARKET:
        of_price = "activate_price"
    then = rests | {
        name: value
        for name, value in ((of_price, changed["price"]), ("quantity", changed["quantity"]))
        if value is not None
    }
    return Answer(
        data=rests | {"dry_run": True, "change": changed},
        tables=lambda: [orders_table("Would be amended to this; nothing was sent", [then])],
    )


def would_cancel(order: Order | AlgoOrder) -> Answer:
    """Answer with the order that would be cancelled.

    Raises:
        Rejected: it has ended.
    """
    refuse_ended(order)
    data: Json = order_json(order) | {"dry_run": True}
    title = "Would be cancelled; nothing was sent"
    return Answer(data=data, tables=lambda: [orders_table(title, [data])])


async def would_cancel_all(
    desk: Desk, symbol: str | None, *, own_only: bool, stops: bool
) -> Answer:
    """Answer with what rests and what of it would be cancelled: exits of held positions stay."""
    resting = await desk.orders.open_orders(symbol)
    ours = [row for row in resting if not own_only or is_own(row.client_order_id)]
    keys = {(row.symbol, row.position_side) for row in ours if only_reduces(row)}
    held = await held_everywhere(desk.client, desk.clock, keys=keys) if keys and not stops else []
    kept_keys = {(row.symbol, row.position_side) for row in held}
    wanted = [
        row
        for row in ours
        if not only_reduces(row) or (row.symbol, row.position_side) not in kept_keys
    ]
    going = [order_json(row) for row in wanted]
    staying = [order_json(row) for row in resting if row not in wanted]
    data: Json = {
        "dry_run": True,
        "resting": [order_json(row) for row in resting],
        "would_cancel": going,
    }
    return Answer(
        data=data,
        tables=lambda: [
            orders_table("Would be cancelled; nothing was sent", going),
            orders_table("Would be left alone", staying),
        ],
    )


def refuse_ended(order: Order | AlgoOrder) -> None:
    """Refuse to change an order that has ended, as the real thing does.

    Raises:
        Rejected: it has.
    """
    if not order.status.is_open:
        name = order.order_id if isinstance(order, Order) else order.algo_id
        raise Rejected(f"order {name} is {order.status} already", code=-2011)


async def _judge_limit(
    desk: Desk, order: Order, price: Decimal | None, quantity: Decimal | None
) -> tuple[Decimal | None, Decimal | None]:
    if order.type is not OrderType.LIMIT:
        raise UsageError(f"{order.type} orders cannot be amended, only LIMIT", code="not_a_limit")
    wanted = LimitRequest(
        symbol=order.symbol,
        side=order.side,
        quantity=quantity or order.quantity,
        price=price or order.price,
        client_order_id=order.client_order_id,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        position_side=order.position_side,
    )
    planned = on_steps(desk, wanted, await known(desk, order.symbol))
    left = planned.quantity - order.filled_quantity
    if left <= 0:
        raise UsageError(
            f"{to_text(order.filled_quantity)} of the order are executed already",
            code="executed_already",
        )
    if not only_reduces(planned):
        view = await desk.views.read(order.symbol)
        others = tuple(row for row in view.resting if row.client_order_id != order.client_order_id)
        verdict = desk.risk.check(replace(planned, quantity=left), replace(view, resting=others))
        if isinstance(verdict, Refused):
            raise verdict.error()
    return (
        None if price is None else planned.price,
        None if quantity is None else planned.quantity,
    )


async def _judge_conditional(
    desk: Desk, order: AlgoOrder, price: Decimal | None, quantity: Decimal | None
) -> tuple[Decimal | None, Decimal | None]:
    instrument = await known(desk, order.symbol)
    if order.close_position and quantity is not None:
        raise UsageError(
            "this order closes the whole position and has no quantity of its own",
            code="closes_position",
            advice="give --price",
        )
    if quantity is not None:
        quantity = round_quantity_down(instrument, quantity, market=order.price is None)
    if price is None:
        return None, quantity
    price = round_price_in_favour(instrument, price, order.side)
    if order.type is not OrderType.TRAILING_STOP_MARKET and only_reduces(order):
        mark = (await desk.client.get_mark_price(order.symbol)).mark_price
        direction = Direction.LONG if order.side is Side.SELL else Direction.SHORT
        problem = (
            check_take_profit(direction, price, mark=mark)
            if order.is_take_profit
            else check_stop(instrument, direction, price, mark=mark, liquidation=None)
        )
        if problem is not None:
            raise Rejected(problem.message, code=-2021, advice="The order rests as it did before.")
    return price, quantity

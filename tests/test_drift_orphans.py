"""Which of our exits are orphans: the next position must not meet them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.trading.positions.drift import is_orphan

S = "BTCUSDT"


def entry(source: str) -> Order:
    return Order(
        symbol=S,
        order_id=1,
        client_order_id=client_order_id(source, Leg.ENTRY, 0),
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        status=OrderStatus.NEW,
        quantity=Decimal("0.01"),
        filled_quantity=Decimal(0),
        price=Decimal(90_000),
        average_price=None,
        time_in_force=TimeInForce.GTC,
        reduce_only=False,
        close_position=False,
        created_ms=1,
        updated_ms=1,
    )


def stop(name: str) -> AlgoOrder:
    return AlgoOrder(
        symbol=S,
        algo_id=2,
        client_order_id=name,
        side=Side.SELL,
        position_side=PositionSide.BOTH,
        type=OrderType.STOP_MARKET,
        status=AlgoStatus.NEW,
        quantity=Decimal(0),
        trigger_price=Decimal(89_000),
        price=None,
        activate_price=None,
        callback_rate=None,
        working_type=WorkingType.MARK_PRICE,
        close_position=True,
        reduce_only=False,
        time_in_force=TimeInForce.GTC,
        order_id=None,
        filled_quantity=None,
        reject_reason=None,
        created_ms=1,
        updated_ms=1,
    )


@pytest.mark.parametrize(
    ("entry_of", "held", "orphan"),
    [
        (None, False, True),
        (None, True, False),
        ("bracket", False, False),
        ("another", False, True),
    ],
)
def test_an_exit_is_an_orphan_without_its_position_or_its_waiting_entry(
    entry_of: str | None, held: bool, orphan: bool
) -> None:
    exit_order = stop(client_order_id("bracket", Leg.STOP, 0))
    resting: list[Order | AlgoOrder] = [exit_order]
    if entry_of is not None:
        resting.append(entry(entry_of))
    positions = {(S, PositionSide.BOTH)} if held else set()

    assert is_orphan(exit_order, positions, resting) is orphan


def test_what_others_placed_is_never_our_orphan() -> None:
    assert not is_orphan(stop("web_123"), set(), ())

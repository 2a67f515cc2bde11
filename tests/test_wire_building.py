"""Objects built the quick way cannot be told from those their own constructor builds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.order import Order
from trader_cli.domain.terms import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from trader_cli.wire.building import quick

VALUES: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "order_id": 40_000_000_001,
    "client_order_id": "trd-1",
    "side": Side.BUY,
    "position_side": PositionSide.BOTH,
    "type": OrderType.LIMIT,
    "status": OrderStatus.NEW,
    "quantity": Decimal("0.010"),
    "filled_quantity": Decimal(0),
    "price": Decimal("60000.5"),
    "average_price": None,
    "time_in_force": TimeInForce.GTX,
    "reduce_only": False,
    "close_position": False,
    "created_ms": None,
    "updated_ms": 1_790_000_000_123,
}

quick_order = quick(Order)


def test_it_is_the_class_itself_and_equal() -> None:
    order, expected = quick_order(**VALUES), Order(**VALUES)

    assert type(order) is Order
    assert expected == order
    assert hash(expected) == hash(order)
    assert repr(expected) == repr(order)


def test_the_values_may_come_in_the_order_of_the_fields() -> None:
    in_order: Callable[..., Order] = quick_order

    assert Order(**VALUES) == in_order(*VALUES.values())
    for wrong in ((*VALUES.values(), 1), tuple(VALUES.values())[:-1]):
        with pytest.raises(TypeError):
            in_order(*wrong)


@given(
    quantity=st.decimals(allow_nan=False, allow_infinity=False),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    order_id=st.integers(),
    average=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
)
def test_whatever_the_values_every_field_is_in_its_place(
    quantity: Decimal, price: Decimal, order_id: int, average: Decimal | None
) -> None:
    values = VALUES | {
        "quantity": quantity, "price": price, "order_id": order_id, "average_price": average,
    }  # fmt: skip

    assert Order(**values) == quick_order(**values)


def test_it_is_as_frozen_and_as_slotted_as_any() -> None:
    order = quick_order(**VALUES)

    with pytest.raises(FrozenInstanceError):
        order.price = Decimal(1)
    assert not hasattr(order, "__dict__")


def test_it_can_be_copied_changed_and_pickled() -> None:
    order = quick_order(**VALUES)

    assert copy.copy(order) == order
    assert pickle.loads(pickle.dumps(order)) == order
    assert replace(order, price=Decimal(1)).price == 1


@pytest.mark.parametrize("wrong", [{"symbol": ...}, {"surprise": 1}])
def test_a_field_too_few_or_too_many_is_refused(wrong: dict[str, Any]) -> None:
    values = {key: value for key, value in (VALUES | wrong).items() if value is not ...}

    with pytest.raises(TypeError):
        quick_order(**values)


def test_a_class_that_checks_itself_cannot_be_built_quickly() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Checked:
        one: int

        def __post_init__(self) -> None:
            raise ValueError(self.one)

    with pytest.raises(AssertionError):
        quick(Checked)

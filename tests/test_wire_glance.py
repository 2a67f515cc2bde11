"""What is read at one look is what the strict readers read, and what they refuse is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import venue_answers as answers
from trader_cli.domain.terms import (
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.wire import glance
from trader_cli.wire.decode_orders import decode_order, read_order
from trader_cli.wire.decode_stream import decode_user_event, read_order_updated
from trader_cli.wire.fields import NUMBERS, DecodeError, Fields
from trader_cli.wire.order_keys import ANSWERED

ABSENT: Final = object()

EXECUTED: Final = {
    "s": "ETHUSDT", "c": "trd-1", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "2.5", "p": "3000",
    "ap": "3001.2", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 33_000_000_001, "l": "0.5",
    "z": "1.5", "L": "3001", "n": "0.30012", "N": "USDT", "T": 1_790_000_000_050, "t": 99,
    "m": True, "R": False, "ps": "BOTH", "cp": False, "rp": "-1.250", "er": "0",
}  # fmt: skip
PLACED: Final = {
    **{key: value for key, value in EXECUTED.items() if key not in {"n", "N", "er"}},
    "x": "NEW", "X": "NEW", "l": "0", "z": "0", "ap": "0", "L": "0", "rp": "0", "t": 0,
}  # fmt: skip

ODD: Final[tuple[object, ...]] = (
    ABSENT, None, "", "0", "0E-8", "-0.0", "1", "-1.5", "00012", 0, 1, -1, 10**30, True, False,
    1.0, 1.5, float("nan"), float("inf"), Decimal("1.5"), Decimal("NaN"), "NaN", "Infinity", "1e3",
    "1E3", " 1", "1 ", "1.", ".5", "1_0", "1,5", "0x1", "٣", "BUY", "buy", "BUY ", "LONG", "LIMIT",
    "NEW", "TRADE", "GTC", "ICEBERG", [], ["NEW"], {}, {"a": 1}, ("NEW",), "\ud800",
)  # fmt: skip
"""What may stand where something else belongs; some of it is right somewhere."""

DECIMALS: Final = st.decimals(allow_nan=False, allow_infinity=False, places=8)


class Shape(NamedTuple):
    """One kind of row, and who reads it: for everyday use, at a glance, strictly."""

    row: dict[str, Any]
    used: Callable[[dict[str, Any]], object]
    quick: Callable[[dict[str, Any]], object]
    strict: Callable[[dict[str, Any]], object]


def event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"e": "ORDER_TRADE_UPDATE", "E": 1_790_000_000_055, "T": 1_790_000_000_051, "o": row}


def answer_shape(row: dict[str, Any]) -> Shape:
    return Shape(
        row,
        used=decode_order,
        quick=glance.answered_order,
        strict=lambda row: read_order(Fields("order", row), ANSWERED),
    )


def event_shape(row: dict[str, Any]) -> Shape:
    return Shape(
        row,
        used=lambda row: decode_user_event(event(row)),
        quick=lambda row: glance.order_updated(event(row)),
        strict=lambda row: read_order_updated(Fields("ORDER_TRADE_UPDATE", event(row))),
    )


SHAPES: Final = {
    "written": answer_shape(answers.written()),
    "queried": answer_shape(answers.queried(avgPrice="60001.50")),
    "placed": event_shape(PLACED),
    "executed": event_shape(EXECUTED),
    "unpaid": event_shape({key: EXECUTED[key] for key in EXECUTED if key not in {"n", "N"}}),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def changed(row: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    return {key: value for key, value in ({**row, **changes}).items() if value is not ABSENT}


def outcome(read: Callable[[dict[str, Any]], object], row: dict[str, Any]) -> str:
    """Return all there is to know of the result; 1, True and 1.0 are equal, their texts are not."""
    try:
        return repr(read(row))
    except DecodeError as error:
        return f"{error} ({error.row}, {error.reason}, {error.symbol})"


@shapes
def test_what_the_venue_writes_every_day_is_read_at_a_glance(shape: Shape) -> None:
    assert shape.quick(shape.row) == shape.strict(shape.row)


@pytest.mark.parametrize(
    ("answered", "streamed", "kind"),
    [
        ("side", "S", Side),
        ("positionSide", "ps", PositionSide),
        ("type", "o", OrderType),
        ("status", "X", OrderStatus),
        ("timeInForce", "f", TimeInForce),
        (None, "x", ExecutionType),
    ],
)
def test_every_word_the_field_knows_is_read_at_a_glance(
    answered: str | None, streamed: str, kind: Any
) -> None:
    for word in kind:
        for name, key in (("queried", answered), ("executed", streamed)):
            if key is not None:
                shape = SHAPES[name]
                row = changed(shape.row, {key: str(word)})
                assert shape.quick(row) is not None
                assert outcome(shape.strict, row) == outcome(shape.quick, row)


@shapes
def test_whatever_stands_in_one_place_the_outcome_is_that_of_the_strict_reader(
    shape: Shape,
) -> None:
    for key in shape.row:
        for odd in ODD:
            row = changed(shape.row, {key: odd})
            assert outcome(shape.strict, row) == outcome(shape.used, row), (key, odd)


@shapes
@given(data=st.data())
def test_whatever_stands_in_several_places_the_outcome_is_that_of_the_strict_reader(
    shape: Shape, data: st.DataObject
) -> None:
    values = (
        st.sampled_from(ODD) | DECIMALS.map("{:f}".format) | st.integers() | st.text(max_size=5)
    )
    keys = st.sampled_from(sorted(shape.row))
    row = changed(shape.row, data.draw(st.dictionaries(keys, values, max_size=4)))

    assert outcome(shape.strict, row) == outcome(shape.used, row)


@given(price=DECIMALS, quantity=DECIMALS, average=DECIMALS)
def test_money_keeps_its_digits(price: Decimal, quantity: Decimal, average: Decimal) -> None:
    texts = [format(value, "f") for value in (price, quantity, average)]
    updated = glance.order_updated(event({**EXECUTED, **dict(zip("pq", texts, strict=False))}))
    averaged = glance.order_updated(event({**EXECUTED, "ap": texts[2]}))

    assert updated is not None
    assert averaged is not None
    order = updated.order
    assert texts[:2] == [format(order.price, "f"), format(order.quantity, "f")]
    assert averaged.order.average_price == (None if average == 0 else average)


@pytest.mark.parametrize("value", [None, [], ["symbol"], "symbol", 7, {}, True])
def test_what_is_no_order_at_all_is_explained_by_the_strict_reader(value: Any) -> None:
    for used, strict in (
        (decode_order, SHAPES["written"].strict),
        (
            lambda row: decode_user_event(event(row)),
            lambda row: read_order_updated(Fields("ORDER_TRADE_UPDATE", event(row))),
        ),
    ):
        with pytest.raises(DecodeError) as expected:
            strict(value)
        with pytest.raises(DecodeError) as found:
            used(value)

        assert str(expected.value) == str(found.value)


@pytest.mark.parametrize("moment", [None, "", "x", 1.5, True, ABSENT])
def test_an_event_without_its_time_is_refused(moment: object) -> None:
    told = changed(event(EXECUTED), {"T": moment})

    assert glance.order_updated(told) is None
    with pytest.raises(DecodeError, match="T"):
        decode_user_event(told)


def test_any_mapping_is_an_object() -> None:
    row = MappingProxyType(answers.queried())

    assert decode_order(dict(row)) == decode_order(row)


def test_numbers_are_remembered_within_a_bound() -> None:
    for number in range(10_000):
        row = changed(EXECUTED, {"p": f"{number}.50"})
        updated = glance.order_updated(event(row))

        assert updated is not None
        assert updated.order.price == number + Decimal("0.5")
    assert len(NUMBERS) <= 4_096


@pytest.mark.parametrize("text", ["1.", "NaN", "", "1e3", 1, True, None, 1.0, Decimal(1)])
def test_what_is_no_number_is_not_remembered_as_one(text: Any) -> None:
    assert NUMBERS["1"] == 1

    with pytest.raises(KeyError):
        NUMBERS[text]
    assert text not in NUMBERS

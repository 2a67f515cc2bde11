"""The short cuts of the order path decide as the long ways do."""

from __future__ import annotations

import hmac
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.terms import (
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.messages import HttpRequest, read_parameters
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import OrderRecord, to_json
from trader_cli.paper.venue.order_desk import record_of
from trader_cli.paper.venue.render import pad
from trader_cli.paper.venue.rules import OrderWish, read_order

NOW_MS = 1_800_000_000_000
ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.002",
    "price": "90000.0",
}


def read(**changed: str) -> OrderWish:
    return read_order(Params({**ORDER, **changed}), hedge=False, now_ms=NOW_MS)


def code_of(changed: dict[str, str], *, hedge: bool = False) -> int:
    with pytest.raises(VenueRefusal) as refused:
        read_order(Params({**ORDER, **changed}), hedge=hedge, now_ms=NOW_MS)
    return refused.value.code


@given(secret=st.text(max_size=100), payload=st.binary(max_size=200))
def test_signatures_are_those_of_the_standard_library(secret: str, payload: bytes) -> None:
    keys = KeyPair(api_key="k", api_secret=secret)

    signature = hmac.digest(secret.encode(), payload, "sha256").hex()

    assert keys.verifies(payload, signature)
    assert not keys.verifies(payload + b"0", signature)


def test_words_read_before_are_read_with_the_numbers_of_now() -> None:
    first, second = read(), read(price="90000.1", quantity="0.003", newClientOrderId="b")

    assert (first.price, first.quantity) == (Decimal("90000.0"), Decimal("0.002"))
    assert (second.price, second.quantity) == (Decimal("90000.1"), Decimal("0.003"))
    assert (first.client_id, second.client_id) == (None, "b")


def test_an_accepted_wish_has_every_field_of_a_record() -> None:
    wish = read(newClientOrderId="mine")

    record = record_of(wish, 7, NOW_MS)

    assert record == OrderRecord(
        order_id=7,
        symbol="BTCUSDT",
        client_order_id="mine",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal("90000.0"),
        quantity=Decimal("0.002"),
        reduce_only=False,
        close_position=False,
        self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER,
        price_match="NONE",
        good_till_ms=0,
        created_ms=NOW_MS,
        updated_ms=NOW_MS,
    )
    assert to_json(record)["client_order_id"] == "mine"


def test_words_in_another_case_mean_the_same() -> None:
    assert read(side="buy", timeInForce="gtc") == read()


def test_words_that_differ_are_not_taken_for_ones_read_before() -> None:
    read()

    assert read(side="SELL").side is Side.SELL
    assert read(timeInForce="IOC").time_in_force is TimeInForce.IOC
    assert read(reduceOnly="true").reduce_only
    assert read(newOrderRespType="RESULT").wants_result


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"price": "9e4"}, -1102),
        ({"price": ""}, -1102),
        ({"quantity": "x"}, -1102),
        ({"quantity": ""}, -1102),
        ({"newClientOrderId": "a b"}, -1100),
        ({"newClientOrderId": "a" * 37}, -4015),
        ({"closePosition": "true"}, -4136),
    ],
)
def test_words_read_before_excuse_no_mistake(changed: dict[str, str], code: int) -> None:
    read()

    assert code_of(changed) == code
    assert code_of(changed) == code


def test_the_position_mode_is_part_of_what_was_read() -> None:
    read()

    assert code_of({}, hedge=True) == -4061


def test_a_good_till_date_is_judged_by_the_time_of_each_order() -> None:
    good_till = {"timeInForce": "GTD", "goodTillDate": str(NOW_MS + 601_000)}
    params = Params({**ORDER, **good_till})
    assert read_order(params, hedge=False, now_ms=NOW_MS).good_till_ms == NOW_MS + 601_000

    with pytest.raises(VenueRefusal) as refused:
        read_order(params, hedge=False, now_ms=NOW_MS + 2_000)

    assert refused.value.code == -5040


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("90000.0", 2, "90000.00"),
        ("90000", 0, "90000"),
        ("0.10000", 2, "0.10"),
        ("0.123456789", 2, "0.12345679"),
        ("1E+3", 1, "1000.0"),
        ("1E-7", 1, "0.0000001"),
        ("0E-8", 2, "0.00"),
    ],
)
def test_numbers_are_padded_in_plain_digits(value: str, places: int, text: str) -> None:
    assert pad(Decimal(value), places) == text


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from(["", "1", "true", "x"])))
def test_parameters_taken_over_are_those_that_are_copied(values: dict[str, str]) -> None:
    copied, taken_over = Params(values), Params.of_lower(dict(values))

    for name in values:
        assert taken_over.has(name.upper()) is copied.has(name.upper())
        assert taken_over.text(name) == copied.text(name)


@given(st.text("aAb1=&%+2C", max_size=30))
def test_a_query_is_read_as_the_standard_library_reads_it(raw: str) -> None:
    pairs = parse_qsl(raw, keep_blank_values=True)
    names = [name.lower() for name, _ in pairs]

    if len(set(names)) < len(names):
        with pytest.raises(VenueRefusal):
            read_parameters(HttpRequest(method="GET", path="/", raw_query=raw))
    else:
        read = read_parameters(HttpRequest(method="GET", path="/", raw_query=raw))
        assert read == {name.lower(): value for name, value in pairs}

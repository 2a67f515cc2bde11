"""Wishes become parameters the venue accepts: strings, plain digits, nothing contradictory."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.order import ConditionalRequest, LimitRequest, MarketRequest
from trader_cli.domain.terms import (
    MarginType,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.errors import UsageError
from trader_cli.wire.encode import (
    encode_conditional,
    encode_limit,
    encode_margin_type,
    encode_market,
)

LIMIT = LimitRequest(
    symbol="BTCUSDT",
    side=Side.BUY,
    quantity=Decimal("0.001"),
    price=Decimal(60_000),
    client_order_id="trd-1",
    time_in_force=TimeInForce.GTX,
)
STOP = ConditionalRequest(
    symbol="BTCUSDT",
    side=Side.SELL,
    type=OrderType.STOP_MARKET,
    client_order_id="trd-2",
    trigger_price=Decimal("59000.5"),
    close_position=True,
)
TRAILING = ConditionalRequest(
    symbol="BTCUSDT",
    side=Side.SELL,
    type=OrderType.TRAILING_STOP_MARKET,
    client_order_id="trd-3",
    quantity=Decimal("0.5"),
    callback_rate=Decimal("0.5"),
    activate_price=Decimal(61_000),
    reduce_only=True,
)


def test_a_post_only_limit_order() -> None:
    assert encode_limit(LIMIT) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "positionSide": "BOTH",
        "quantity": "0.001",
        "price": "60000",
        "timeInForce": "GTX",
        "newClientOrderId": "trd-1",
        "newOrderRespType": "RESULT",
    }


def test_small_and_large_numbers_have_no_exponent() -> None:
    params = encode_limit(replace(LIMIT, quantity=Decimal("0.0000001"), price=Decimal("1E+6")))

    assert params["quantity"] == "0.0000001"
    assert params["price"] == "1000000"


@pytest.mark.parametrize(
    ("position_side", "expected"),
    [(PositionSide.BOTH, "true"), (PositionSide.LONG, None), (PositionSide.SHORT, None)],
)
def test_reduce_only_is_left_out_in_hedge_mode(
    position_side: PositionSide, expected: str | None
) -> None:
    request = MarketRequest(
        symbol="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal(1),
        client_order_id="trd-4",
        reduce_only=True,
        position_side=position_side,
    )

    assert encode_market(request).get("reduceOnly") == expected
    assert "timeInForce" not in encode_market(request)


def test_good_till_goes_with_its_time_only() -> None:
    timed = replace(LIMIT, time_in_force=TimeInForce.GTD, good_till_ms=1_790_000_700_000)

    assert encode_limit(timed)["goodTillDate"] == "1790000700000"
    with pytest.raises(UsageError):
        encode_limit(replace(timed, good_till_ms=None))
    with pytest.raises(UsageError):
        encode_limit(replace(LIMIT, good_till_ms=1))


def test_a_stop_that_closes_the_position_names_neither_quantity_nor_reduce_only() -> None:
    assert encode_conditional(STOP) == {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "type": "STOP_MARKET",
        "clientAlgoId": "trd-2",
        "workingType": "MARK_PRICE",
        "priceProtect": "false",
        "triggerPrice": "59000.5",
        "closePosition": "true",
    }


def test_a_trailing_stop_uses_the_names_of_the_algo_service() -> None:
    params = encode_conditional(replace(TRAILING, working_type=WorkingType.CONTRACT_PRICE))

    assert params["activatePrice"] == "61000"
    assert params["callbackRate"] == "0.5"
    assert params["reduceOnly"] == "true"
    assert params["workingType"] == "CONTRACT_PRICE"
    assert params.keys().isdisjoint({"triggerPrice", "stopPrice", "activationPrice"})


def test_a_stop_limit_says_its_time_in_force() -> None:
    request = replace(
        STOP,
        type=OrderType.STOP,
        quantity=Decimal(1),
        price=Decimal(58_900),
        close_position=False,
        reduce_only=True,
    )

    assert encode_conditional(request)["timeInForce"] == "GTC"
    assert encode_conditional(request)["price"] == "58900"


@pytest.mark.parametrize(
    "request_",
    [
        replace(STOP, type=OrderType.LIMIT),
        replace(STOP, quantity=Decimal(1)),
        replace(STOP, close_position=False),
        replace(STOP, trigger_price=None),
        replace(STOP, price=Decimal(1)),
        replace(STOP, callback_rate=Decimal(1)),
        replace(STOP, type=OrderType.STOP, price=Decimal(1)),
        replace(TRAILING, callback_rate=None),
        replace(TRAILING, trigger_price=Decimal(1)),
        replace(TRAILING, quantity=None, close_position=True),
    ],
)
def test_a_request_that_contradicts_itself_is_not_sent(request_: ConditionalRequest) -> None:
    with pytest.raises(UsageError):
        encode_conditional(request_)


@given(st.text(max_size=40))
def test_a_client_id_is_ours_or_refused(text: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    request = replace(LIMIT, client_order_id=text)

    if 1 <= len(text) <= 36 and set(text) <= allowed:
        assert encode_limit(request)["newClientOrderId"] == text
    else:
        with pytest.raises(UsageError):
            encode_limit(request)


def test_margin_types_have_the_requests_spelling() -> None:
    assert encode_margin_type(MarginType.ISOLATED) == "ISOLATED"
    assert encode_margin_type(MarginType.CROSS) == "CROSSED"

"""The words a refusal travels with: as seen on the wire, not only under the right code.

Source: binance-usdm reference §5; names of parameters come back in lower case, as the exchange has
answered since 2024.
"""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.support.paper import PaperVenue
from trader_cli.wire import codes

BTC: Final = {"symbol": "BTCUSDT"}
ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "94000",
}
ALGO: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.01",
    "triggerPrice": "90000",
}


def said(method: str, path: str, values: dict[str, str]) -> tuple[int, str]:
    response = PaperVenue().request(method, f"/fapi/v1/{path}", values)
    body = json.loads(response.body)
    return body["code"], body["msg"]


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"side": "LONG"}, -1117, "Invalid side."),
        ({"type": "TWAP"}, -1116, "Invalid orderType."),
        ({"timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
        ({"positionSide": "UP"}, -4060, "Invalid position side."),
        ({"selfTradePreventionMode": "KEEP"}, -5039, "Invalid self trade prevention mode"),
        (
            {"timeInForce": ""},
            -1102,
            "Mandatory parameter 'timeinforce' was not sent, was empty/null, or malformed.",
        ),
        ({"type": "MARKET"}, -1106, "Parameter 'timeinforce' sent when not required."),
        (
            {"newClientOrderId": "a" * 37},
            -4015,
            "Client order id length should be less than 36 chars",
        ),
        (
            {"symbol": "ETHUSDT", "price": "3300", "quantity": "0.001"},
            -4164,
            "Order's notional must be no smaller than 20 (unless you choose reduce only).",
        ),
        ({"price": "99750.1"}, -4016, "Limit price can't be higher than 99750"),
    ],
)
def test_a_wrong_order_is_told_what_is_wrong_with_it(
    changed: dict[str, str], code: int, words: str
) -> None:
    assert said("POST", "order", ORDER | changed) == (code, words)


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"workingType": "INDEX"}, -4031, "Invalid parameter working type: INDEX"),
        ({"algoType": "VP"}, -1130, "Data sent for parameter 'algoType' is not valid."),
        (
            {"type": "STOP", "price": "85499.9"},
            -4184,
            "Limit price can't be lower than 85500",
        ),
        (
            {"type": "STOP", "triggerPrice": "90001", "price": "1000"},
            -4184,
            "Limit price can't be lower than 85501",
        ),
        (
            {"type": "STOP", "side": "BUY", "triggerPrice": "96001", "price": "110000"},
            -4183,
            "Limit price can't be higher than 100801",
        ),
    ],
)
def test_a_wrong_conditional_order_is_told_what_is_wrong_with_it(
    changed: dict[str, str], code: int, words: str
) -> None:
    assert said("POST", "algoOrder", ALGO | changed) == (code, words)


def test_an_amendment_with_a_side_that_is_none_is_told_so() -> None:
    assert said("PUT", "order", ORDER | {"orderId": "1", "side": "LONG"}) == (
        -1117,
        "Invalid side.",
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-4003, "Quantity less than or equal to zero."),
        (-4005, "Quantity greater than max quantity."),
        (-4016, "Limit price can't be higher than 9953.53"),
        (-4061, "Order's position side does not match user's setting."),
        (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
        (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
        (-4183, "Limit price can't be higher than 82.42"),
        (-4411, "Please sign TradFi-Perps agreement contract fapi."),
    ],
)
def test_the_table_has_the_words_seen_on_the_wire(code: int, words: str) -> None:
    known = codes.describe(code)
    assert known is not None

    assert any(
        re.fullmatch(re.escape(template).replace("%s", ".+"), words) for template in known.templates
    )

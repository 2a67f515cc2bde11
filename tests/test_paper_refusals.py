"""Every code the exchange can say no with, met by the shortest wrong request.

One table: a code the exchange learns is added here, or the last test fails.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

import trader_cli.paper
from tests.support.paper import KEYS, PaperVenue, SteadyMarket, signature_of
from trader_cli.domain.terms import Side
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.market import MarketTick
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.protocol.messages import HttpRequest
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.venue import rules
from trader_cli.wire import codes

Said = tuple[int, int]
"""HTTP status and code."""

ORDER: Final = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "94000",
}
MARKET: Final = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
ALGO: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.01",
    "triggerPrice": "90000",
}
TRAILING: Final = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "TRAILING_STOP_MARKET",
    "quantity": "0.01",
    "callbackRate": "1",
}
CLOSING: Final = ALGO | {"quantity": "", "closePosition": "true"}
BTC: Final = {"symbol": "BTCUSDT"}
MARGIN: Final = BTC | {"amount": "1", "type": "1"}
SPAN: Final = {"startTime": "1", "endTime": "2"}


def sends(method: str, path: str, values: Mapping[str, str]) -> Callable[[PaperVenue], Said]:
    return lambda paper: paper.refused(method, f"/fapi/v1/{path}", values)


def order(**changed: str) -> Callable[[PaperVenue], Said]:
    return sends("POST", "order", ORDER | changed)


def algo(base: Mapping[str, str] = ALGO, /, **changed: str) -> Callable[[PaperVenue], Said]:
    return sends("POST", "algoOrder", {**base, **changed})


def amend(**changed: str) -> Callable[[PaperVenue], Said]:
    """Change a resting order wrongly."""

    def act(paper: PaperVenue) -> Said:
        placed = paper.ask("POST", "/fapi/v1/order", ORDER)
        wish = ORDER | {"orderId": str(placed["orderId"])} | changed
        return paper.refused("PUT", "/fapi/v1/order", wish)

    return act


def after(
    *steps: tuple[str, str, Mapping[str, str]],
) -> Callable[[Callable[[PaperVenue], Said]], Callable[[PaperVenue], Said]]:
    """Do some things first that succeed."""

    def wrap(last: Callable[[PaperVenue], Said]) -> Callable[[PaperVenue], Said]:
        def act(paper: PaperVenue) -> Said:
            for method, path, values in steps:
                paper.ask(method, f"/fapi/v1/{path}", values)
            return last(paper)

        return act

    return wrap


PLACED: Final = ("POST", "order", ORDER)
BOUGHT: Final = ("POST", "order", MARKET)
STOPPED: Final = ("POST", "algoOrder", CLOSING)
ISOLATED: Final = ("POST", "marginType", BTC | {"marginType": "ISOLATED"})
HEDGED: Final = ("POST", "positionSide/dual", {"dualSidePosition": "true"})
LONG: Final = ("POST", "order", MARKET | {"positionSide": "LONG"})


def raw(paper: PaperVenue, query: str, key: str = KEYS.api_key) -> Said:
    """Send a query as it is."""
    request = HttpRequest(
        method="GET", path="/fapi/v1/openOrders", raw_query=query, headers={"x-mbx-apikey": key}
    )
    response = paper.exchange.handle(request, paper.clock.now_ms())
    return response.status, int(json.loads(response.body)["code"])


def stale(paper: PaperVenue) -> Said:
    query = f"timestamp={paper.clock.now_ms() - 5_001}"
    return raw(paper, f"{query}&signature={signature_of(query)}")


def wide(paper: PaperVenue) -> Said:
    query = f"recvWindow=60001&timestamp={paper.clock.now_ms()}"
    return raw(paper, f"{query}&signature={signature_of(query)}")


def forged(paper: PaperVenue) -> Said:
    return raw(paper, f"timestamp={paper.clock.now_ms()}&signature=00")


def limited(**settings: int) -> PaperVenue:
    return PaperVenue(
        settings=ExchangeSettings(rate_limits=RateLimitSettings(**settings, ignored_max=100))
    )


def crowded(_paper: PaperVenue) -> Said:
    return limited(weight_per_minute=10).refused("GET", "/fapi/v1/income")


def hasty(_paper: PaperVenue) -> Said:
    return limited(orders_per_10s=0).refused("POST", "/fapi/v1/order", ORDER)


def unread(_paper: PaperVenue) -> Said:
    strict = PaperVenue(settings=ExchangeSettings(strict_parameters=True))
    return strict.refused("GET", "/fapi/v1/time", {"a": "b"}, signed=False)


def full_book(paper: PaperVenue) -> Said:
    unlimited = PaperVenue(
        settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)),
        market=paper.market,
        clock=paper.clock,
    )
    for _ in range(200):
        unlimited.ask("POST", "/fapi/v1/order", ORDER | {"quantity": "0.001"})
    return unlimited.refused("POST", "/fapi/v1/order", ORDER)


def full_service(paper: PaperVenue) -> Said:
    unlimited = PaperVenue(settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)))
    for _ in range(200):
        unlimited.ask("POST", "/fapi/v1/algoOrder", ALGO)
    return unlimited.refused("POST", "/fapi/v1/algoOrder", ALGO)


def torn(paper: PaperVenue) -> Said:
    """Ask to buy where the best price is far above mark."""
    paper.set_price("BTCUSDT", "95000", mark_price="90000")
    return paper.refused("POST", "/fapi/v1/order", MARKET)


def halted(last: Callable[[PaperVenue], Said]) -> Callable[[PaperVenue], Said]:
    """Do something while the symbol takes cancels only, with an order resting."""

    def act(paper: PaperVenue) -> Said:
        paper.ask("POST", "/fapi/v1/order", ORDER | {"newClientOrderId": "rests"})
        paper.exchange.faults.arm(FaultKind.CANCEL_ONLY, path="BTCUSDT")
        return last(paper)

    return act


def logs_on_with_hmac(paper: PaperVenue) -> Said:
    heard: list[dict[str, object]] = []

    class Sink:
        def send(self, text: str, *, droppable: bool) -> None:
            heard.append(json.loads(text))

        def close(self, code: int, reason: str) -> None:
            raise AssertionError(reason)

    api, now_ms = paper.exchange.ws_api, paper.clock.now_ms()
    session = api.open("", Sink(), "127.0.0.1", now_ms)
    params = {"apiKey": KEYS.api_key, "timestamp": now_ms, "signature": "0"}
    api.receive(session, json.dumps({"method": "session.logon", "params": params}), now_ms)
    error = heard[0]["error"]
    assert isinstance(error, dict)
    return int(str(heard[0]["status"])), error["code"]


def key_without_pem(paper: PaperVenue) -> Said:
    return paper.refused("POST", "/paper/keys", {"public_key": "no key"}, signed=False)


def many_amendments(paper: PaperVenue) -> Said:
    """Change an order ten thousand times and once more."""
    placed = paper.ask("POST", "/fapi/v1/order", ORDER)
    which = BTC | {"orderId": str(placed["orderId"]), "side": "BUY", "quantity": "0.01"}
    unlimited = paper.exchange.venue
    for number in range(10_000):
        wish = Params(which | {"price": "93000" if number % 2 else "93001"})
        unlimited.modify_order(wish, paper.clock.now_ms())
    return paper.refused("PUT", "/fapi/v1/order", which | {"price": "92000"})


class ThinMarket(SteadyMarket):
    """A market with one level a side."""

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        yield next(super().levels(symbol, side, at))


def thin(_paper: PaperVenue) -> Said:
    """Ask for a price deeper than the book goes."""
    wish = ORDER | {"price": "", "priceMatch": "QUEUE_5"}
    return PaperVenue(market=ThinMarket()).refused("POST", "/fapi/v1/order", wish)


REFUSALS: Final[dict[int, Callable[[PaperVenue], Said]]] = {
    -1003: crowded,
    -1015: hasty,
    -1020: sends("POST", "multiAssetsMargin", {"multiAssetsMargin": "true"}),
    -1021: stale,
    -1022: forged,
    -1023: sends("GET", "income", {"startTime": "2", "endTime": "1"}),
    -1100: order(newClientOrderId="sp ace"),
    -1101: lambda paper: raw(paper, "a=1&A=2"),
    -1102: order(quantity=""),
    -1104: unread,
    -1106: order(type="MARKET", timeInForce=""),
    -1111: order(quantity="0.0101"),
    -1115: order(timeInForce="DAY"),
    -1116: order(type="TWAP"),
    -1117: order(side="LONG"),
    -1120: sends("GET", "klines", BTC | {"interval": "7m"}),
    -1121: order(symbol="NOPE"),
    -1125: sends("PUT", "listenKey", {}),
    -1127: sends("GET", "aggTrades", BTC | {"startTime": "0", "endTime": "3600001"}),
    -1128: sends("GET", "userTrades", BTC | {"fromId": "1", "startTime": "1"}),
    -1130: sends("GET", "trades", BTC | {"limit": "0"}),
    -1131: wide,
    -1136: order(newOrderRespType="FULL"),
    -2011: sends("DELETE", "order", BTC | {"orderId": "1"}),
    -2013: sends("GET", "order", BTC | {"orderId": "1"}),
    -2014: lambda paper: raw(paper, "", "short"),
    -2015: lambda paper: raw(paper, "", "x" * 64),
    -2019: order(quantity="9"),
    -2021: algo(triggerPrice="96000"),
    -2022: order(reduceOnly="true"),
    -2024: after(HEDGED, LONG)(
        order(side="SELL", price="96000", positionSide="LONG", quantity="1")
    ),
    -2025: full_book,
    -2027: after(("POST", "leverage", BTC | {"leverage": "150"}))(order(quantity="4")),
    -2028: after(("POST", "order", MARKET | {"quantity": "1"}))(
        sends("POST", "leverage", BTC | {"leverage": "1"})
    ),
    -4001: order(price="-1"),
    -4002: order(price="5000000"),
    -4003: order(quantity="0"),
    -4005: order(quantity="1000.001"),
    -4006: algo(triggerPrice="0"),
    -4007: algo(side="BUY", triggerPrice="5000000"),
    -4013: order(price="0"),
    -4014: order(price="94000.05"),
    -4015: order(newClientOrderId="a" * 37),
    -4016: order(price="99750.1"),
    -4021: sends("GET", "depth", BTC | {"limit": "7"}),
    -4024: order(side="SELL", price="90249.9"),
    -4028: sends("POST", "leverage", BTC | {"leverage": "151"}),
    -4031: algo(workingType="INDEX"),
    -4032: sends("DELETE", "batchOrders", BTC | {"orderIdList": str(list(range(11)))}),
    -4045: full_service,
    -4046: sends("POST", "marginType", BTC | {"marginType": "CROSSED"}),
    -4047: after(PLACED)(sends("POST", "marginType", BTC | {"marginType": "ISOLATED"})),
    -4048: after(BOUGHT)(sends("POST", "marginType", BTC | {"marginType": "ISOLATED"})),
    -4049: sends("POST", "positionMargin", MARGIN),
    -4050: after(ISOLATED, BOUGHT)(sends("POST", "positionMargin", MARGIN | {"amount": "99999"})),
    -4051: after(ISOLATED, BOUGHT)(
        sends("POST", "positionMargin", MARGIN | {"amount": "999", "type": "2"})
    ),
    -4054: after(ISOLATED)(sends("POST", "positionMargin", MARGIN)),
    -4055: sends("POST", "positionMargin", MARGIN | {"amount": "0"}),
    -4056: logs_on_with_hmac,
    -4057: key_without_pem,
    -4059: sends("POST", "positionSide/dual", {"dualSidePosition": "false"}),
    -4060: order(positionSide="UP"),
    -4061: order(positionSide="LONG"),
    -4067: after(PLACED)(sends("POST", "positionSide/dual", {"dualSidePosition": "true"})),
    -4068: after(BOUGHT)(sends("POST", "positionSide/dual", {"dualSidePosition": "true"})),
    -4082: sends("POST", "batchOrders", {"batchOrders": "[]"}),
    -4104: sends(
        "GET", "continuousKlines", {"pair": "BTCUSDT", "interval": "1m", "contractType": "X"}
    ),
    -4116: after(("POST", "order", ORDER | {"newClientOrderId": "a"}))(order(newClientOrderId="a")),
    -4120: order(type="STOP_MARKET", stopPrice="1"),
    -4130: after(STOPPED)(algo(CLOSING)),
    -4131: torn,
    -4135: algo(TRAILING, activatePrice="0"),
    -4136: order(closePosition="true"),
    -4137: algo(CLOSING, quantity="1"),
    -4141: halted(order()),
    -4144: sends("GET", "indexPriceKlines", {"pair": "NOPE", "interval": "1m"}),
    -4161: after(ISOLATED, BOUGHT)(sends("POST", "leverage", BTC | {"leverage": "5"})),
    -4164: order(symbol="ETHUSDT", price="3300", quantity="0.001"),
    -4165: sends("GET", "allOrders", BTC | {"startTime": "0", "endTime": "604800001"}),
    -4171: sends("POST", "multiAssetsMargin", {"multiAssetsMargin": "false"}),
    -4183: algo(type="STOP", side="BUY", triggerPrice="96000", price="100800.1"),
    -4184: algo(type="STOP", price="85499.9"),
    -5000: sends("GET", "nothing", {}),
    -5021: order(timeInForce="FOK"),
    -5022: order(timeInForce="GTX", price="95001"),
    -5024: halted(sends("PUT", "order", ORDER | {"origClientOrderId": "rests", "price": "93000"})),
    -5026: many_amendments,
    -5027: amend(),
    -5029: amend(quantity="0.001", price="40000"),
    -5037: order(price="", priceMatch="OPPONENT_10"),
    -5038: order(type="MARKET", timeInForce="", price="", priceMatch="QUEUE"),
    -5039: order(selfTradePreventionMode="KEEP"),
    -5040: order(timeInForce="GTD", goodTillDate="1"),
    -5041: thin,
    -5047: amend(reduceOnly="true", price="93000"),
}

UNREACHED: Final = {
    -4004: "no contract's least quantity is above its decimals (-1111); rules' tests have one",
    -4023: "no contract's step is above its decimals (-1111); rules' tests have one",
    -5025: "only limit orders rest, so that no other order is there to be amended",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_wrong_request_is_refused_with_its_code_and_status(code: int) -> None:
    known = codes.describe(code)
    assert known is not None

    assert REFUSALS[code](PaperVenue()) == (known.http_status, code)


@pytest.mark.parametrize(("quantity", "code"), [("4", -4004), ("7", -4023), ("10", None)])
def test_least_quantity_and_step_may_lie_above_the_decimals(
    quantity: str, code: int | None
) -> None:
    five = Decimal(5)
    instrument = replace(CONTRACTS["BTCUSDT"].instrument, quantity_min=five, quantity_step=five)
    found: int | None = None
    try:
        rules.check_quantity(instrument, Decimal(quantity), market=False)
    except VenueRefusal as refusal:
        found = refusal.code

    assert found == code


def test_every_code_the_exchange_says_has_its_row_here() -> None:
    said: set[int] = set()
    for file in Path(trader_cli.paper.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _name(node.func).endswith("Refusal"):
                said |= _codes(node.args[0]) if node.args else set()
            elif isinstance(node, ast.keyword) and node.arg == "code":
                said |= _codes(node.value)

    assert said, "they are found"
    assert said - REFUSALS.keys() - UNREACHED.keys() == set()
    assert [code for code in said if codes.describe(code) is None] == []


def _name(function: ast.expr) -> str:
    return getattr(function, "id", getattr(function, "attr", ""))


def _codes(expression: ast.expr) -> set[int]:
    """Return the negative numbers an expression may be."""
    return {
        -node.operand.value
        for node in ast.walk(expression)
        if isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    }

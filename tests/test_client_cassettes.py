"""The client against the venue's own answers, replayed from `cassettes/`.

The assertions speak of what holds on any day, so that they hold after `record_cassettes` too.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from vcr.request import Request

from tests.support.cassettes import DIRECTORY, recorder, without_identity, without_secrets
from tests.support.scenarios import QUANTITY, SCENARIOS, SYMBOL, Seen
from trader_cli.domain.terms import AlgoStatus, OrderStatus, OrderType, Side, TimeInForce
from trader_cli.errors import PermissionDenied, Rejected
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient


async def replay(name: str) -> Seen:
    with recorder("none").use_cassette(f"{name}.yaml"):
        async with BinanceFuturesClient(
            testnet=True, api_key="replayed-key", api_secret="replayed-secret"
        ) as client:
            seen = await SCENARIOS[name](client)
            assert client.quarantined == []
            return seen


async def test_the_market() -> None:
    seen = (await replay("market")).values

    instrument = seen["instruments"][SYMBOL]
    assert instrument.is_trading
    assert instrument.notional_min > 0
    assert instrument.market_quantity_max <= instrument.quantity_max
    assert seen["top"].bid < seen["top"].ask
    assert [price for price, _ in seen["book"].bids] == sorted(
        (price for price, _ in seen["book"].bids), reverse=True
    )
    assert abs(seen["mark"].mark_price / seen["mark"].index_price - 1) < Decimal("0.05")
    assert len(seen["candles"]) == 3
    assert all(one.low <= one.open <= one.high for one in seen["candles"])


async def test_the_account() -> None:
    seen = (await replay("account")).values

    usdt = next(row for row in seen["balance"] if row.asset == "USDT")
    summary = seen["summary"]
    assert usdt.wallet_balance > 0
    assert summary.margin_balance == summary.wallet_balance + summary.unrealized_pnl
    assert seen["brackets"][0].notional_floor == 0
    for below, above in zip(seen["brackets"], seen["brackets"][1:], strict=False):
        rate = above.maintenance_rate - below.maintenance_rate
        step = above.maintenance_amount - below.maintenance_amount
        assert step == above.notional_floor * rate
    maker, taker = seen["commission"]
    assert 0 <= maker <= taker < Decimal("0.01")
    assert seen["config"][0].symbol == SYMBOL
    assert seen["leverage"] == 20


async def test_a_limit_order_rests_and_is_cancelled() -> None:
    seen = (await replay("limit_order")).values

    placed, cancelled, queried = seen["placed"], seen["cancelled"], seen["queried"]
    assert placed.status is OrderStatus.NEW
    assert placed.time_in_force is TimeInForce.GTX
    assert placed.average_price is None
    assert placed.order_id in [order.order_id for order in seen["open"]]
    assert cancelled.status is queried.status is OrderStatus.CANCELED
    assert queried.created_ms is not None
    assert {placed.client_order_id, queried.client_order_id} == {"trd-cassette-limit"}


async def test_a_market_order_opens_and_a_reduce_only_one_closes() -> None:
    seen = (await replay("market_order")).values

    assert seen["opened"].status is OrderStatus.FILLED
    assert seen["opened"].filled_quantity == QUANTITY
    assert seen["opened"].average_price is None
    assert seen["queried"].average_price is not None
    (position,) = [row for row in seen["positions"] if row.symbol == SYMBOL]
    assert position.quantity == QUANTITY
    assert position.leverage is not None
    (closed,) = seen["closed"]
    assert closed.side is Side.SELL
    assert closed.reduce_only
    assert sum(fill.quantity for fill in seen["fills"]) == QUANTITY


async def test_conditional_orders_live_in_the_algo_service() -> None:
    seen = (await replay("conditional_orders")).values

    stop, trailing = seen["stop"], seen["trailing"]
    assert stop.type is OrderType.STOP_MARKET
    assert stop.reduce_only
    assert stop.order_id is None
    assert trailing.type is OrderType.TRAILING_STOP_MARKET
    assert trailing.callback_rate == 1
    assert trailing.trigger_price is None
    assert {order.algo_id for order in seen["open"]} == {stop.algo_id, trailing.algo_id}
    assert seen["regular"] == []
    ended = {order.algo_id: order.status for order in seen["history"]}
    assert ended[stop.algo_id] is ended[trailing.algo_id] is AlgoStatus.CANCELED


async def test_refusals_carry_the_venues_codes() -> None:
    failures = (await replay("refusals")).failures

    assert {name: error.code for name, error in failures.items()} == {
        "symbol": -1121,
        "unknown order": -2013,
        "unknown cancel": -2011,
        "post-only above the ask": -5022,
        "trigger on the wrong side": -2021,
    }
    assert all(type(error) is Rejected for error in failures.values())
    assert "Post Only" in failures["post-only above the ask"].message


async def test_the_user_streams_key_is_created_and_extended() -> None:
    seen = (await replay("listen_key")).values

    assert seen["created"] == seen["extended"]


async def test_a_key_of_another_venue_is_a_matter_of_permission() -> None:
    failure = (await replay("wrong_key")).failures["balance"]

    assert isinstance(failure, PermissionDenied)
    assert failure.code in (-2014, -2015)


def test_every_scenario_has_its_cassette_and_none_is_left_over() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.yaml")} == SCENARIOS.keys()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_cassette_holds_a_secret(name: str) -> None:
    text = (DIRECTORY / f"{name}.yaml").read_text()

    assert re.search(r"(?i)apikey:|signature=|timestamp=|recvwindow=", text) is None
    assert set(re.findall(r"https?://[^/\s]+", text)) == {"https://demo-fapi.binance.com"}
    for found in re.findall(r'"(?:listenKey|accountAlias)":\s*"(\w+)"', text):
        assert found == "FILTERED"


def test_recording_takes_out_key_signature_time_address_and_names() -> None:
    request = without_secrets(
        Request(
            "DELETE",
            "https://venue.example/fapi/v1/order?symbol=X&timestamp=1&signature=abc",
            b"orderId=7&recvWindow=5000&signature=def",
            {"X-MBX-APIKEY": "key"},
        )
    )
    answer = without_identity(
        {
            "headers": {"Set-Cookie": ["a"], "Content-Type": ["application/json"]},
            "body": {"string": b'[{"accountAlias": "x", "msg": "request ip: 192.0.2.1"}]'},
        }
    )

    assert request.uri == "https://venue.example/fapi/v1/order?symbol=X"
    assert request.body == b"orderId=7"
    assert request.headers == {}
    assert answer["headers"] == {"Content-Type": ["application/json"]}
    assert answer["body"]["string"] == (
        b'[{"accountAlias": "FILTERED", "msg": "request ip: 203.0.113.7"}]'
    )

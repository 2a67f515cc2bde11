"""Failures on request, each met by the real client or the real streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.support.paper import (
    KEYS,
    START_MS,
    ManualClock,
    PaperVenue,
    SteadyMarket,
    paper_server,
)
from tests.support.paper_transport import ORIGIN, STREAM_ORIGIN, MemorySession, memory_streams
from trader_cli.domain.account_events import StreamGap, StreamOpened
from trader_cli.domain.order import Order
from trader_cli.domain.terms import Side
from trader_cli.errors import NotSent, OutcomeUnknown, RateLimited, Rejected, VenueError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import UserStream
from trader_cli.paper.api.faults import ACTS, ANSWERS, FaultKind, Faults
from trader_cli.paper.api.throttling import is_spared
from trader_cli.paper.markets.market import Attention, MarketTick
from trader_cli.paper.state.state import MemoryState

D = Decimal
ORDER = "/fapi/v1/order"
SYMBOL = "BTCUSDT"
MARKET: dict[str, object] = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "MARKET",
    "quantity": "0.010",
    "newOrderRespType": "RESULT",
}
STOP: dict[str, object] = {
    "algoType": "CONDITIONAL",
    "symbol": SYMBOL,
    "side": "SELL",
    "type": "STOP_MARKET",
    "triggerPrice": "94000",
    "closePosition": "true",
}


@pytest.fixture
def paper() -> PaperVenue:
    return PaperVenue()


@asynccontextmanager
async def our_client(paper: PaperVenue) -> AsyncIterator[BinanceFuturesClient]:
    async with BinanceFuturesClient(
        api_key=KEYS.api_key,
        api_secret=KEYS.api_secret,
        rest_url=ORIGIN,
        clock=paper.clock,
        session=MemorySession(paper),
    ) as client:
        yield client


async def place(client: BinanceFuturesClient) -> Order:
    return await client.place_limit_order(
        SYMBOL, Side.BUY, D("0.002"), D(94_000), client_order_id="trd-1"
    )


def arm(paper: PaperVenue, kind: FaultKind, **values: object) -> dict[str, Any]:
    """Arm a failure as `trader paper fault` does."""
    told: dict[str, Any] = paper.ask("POST", "/paper/fault", {"kind": kind, **values}, signed=False)
    return told


# --- answers to requests ------------------------------------------------------------------------

UNKNOWN = [FaultKind.UNKNOWN, FaultKind.TIMEOUT, FaultKind.DROPPED, FaultKind.BROKEN_BODY]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *((kind, OutcomeUnknown) for kind in UNKNOWN),
        *((FaultKind(f"{kind}_executed"), OutcomeUnknown) for kind in UNKNOWN),
        (FaultKind.HTML, OutcomeUnknown),
        (FaultKind.HTML_EXECUTED, OutcomeUnknown),
        (FaultKind.INTERNAL, OutcomeUnknown),
        (FaultKind.UNAVAILABLE, NotSent),
        (FaultKind.MAINTENANCE, NotSent),
        (FaultKind.OVERLOADED, NotSent),
        (FaultKind.TOO_MANY_REQUESTS, RateLimited),
        (FaultKind.BANNED, RateLimited),
    ],
)
async def test_our_client_understands_each_failure_of_a_write(
    paper: PaperVenue, kind: FaultKind, error: type[VenueError]
) -> None:
    arm(paper, kind, method="POST", path=ORDER)

    async with our_client(paper) as client:
        with pytest.raises(error):
            await place(client)

    rows = paper.ask("GET", "/fapi/v1/openOrders", {"symbol": SYMBOL})
    assert len(rows) == (1 if kind.endswith("_executed") else 0)


@pytest.mark.parametrize("kind", [FaultKind.SILENT, FaultKind.SILENT_EXECUTED])
async def test_a_silent_exchange_is_given_up_after_the_clients_own_timeout(kind: FaultKind) -> None:
    async with paper_server() as port:
        port.paper.exchange.faults.arm(kind, path=ORDER)
        async with BinanceFuturesClient(
            api_key=KEYS.api_key, api_secret=KEYS.api_secret, rest_url=port.rest_url, timeout_s=0.3
        ) as client:
            with pytest.raises(OutcomeUnknown):
                await place(client)
            resting = await client.get_open_orders(SYMBOL)

    assert len(resting) == (1 if kind.endswith("_executed") else 0)


@pytest.mark.parametrize(
    ("kind", "status", "seconds"),
    [(FaultKind.TOO_MANY_REQUESTS, 429, "7"), (FaultKind.BANNED, 418, "7")],
)
def test_refusals_for_haste_say_when_to_come_back(
    paper: PaperVenue, kind: FaultKind, status: int, seconds: str
) -> None:
    arm(paper, kind, amount=seconds)

    answer = paper.request("GET", "/fapi/v1/ping", signed=False)

    assert (answer.status, answer.headers["Retry-After"]) == (status, seconds)


async def test_amnesia_hides_an_order_from_queries_for_its_seconds(paper: PaperVenue) -> None:
    arm(paper, FaultKind.AMNESIA, seconds=5)

    async with our_client(paper) as client:
        placed = await place(client)
        with pytest.raises(Rejected) as refused:
            await client.get_order_status(SYMBOL, placed.order_id)
        listed = await client.get_open_orders(SYMBOL)
        paper.advance(5_000)
        again = await client.get_order_status(SYMBOL, placed.order_id)

    assert refused.value.code == -2013
    assert [row.order_id for row in listed] == [placed.order_id] == [again.order_id]


async def test_a_clock_that_is_off_refuses_until_the_client_has_measured_it(
    paper: PaperVenue,
) -> None:
    async with our_client(paper) as client:
        await client.sync_clock()
        arm(paper, FaultKind.CLOCK_SKEW, amount=-60_000)
        assert paper.refused("GET", "/fapi/v3/balance") == (400, -1021)
        await place(client)
        offset_ms = client.clock_offset_ms

    assert offset_ms == -60_000


# --- the user stream ----------------------------------------------------------------------------


def bought(paper: PaperVenue, ear: Any) -> list[str]:
    """Buy at market and return the events heard of it."""
    paper.ask("POST", ORDER, MARKET)
    return [str(event["e"]) for event in ear.take()]


IN_ORDER = ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]


def test_delayed_events_come_later_and_hold_back_those_behind(paper: PaperVenue) -> None:
    ear = paper.listen_to_user()
    arm(paper, FaultKind.EVENTS_DELAYED, path="ACCOUNT_UPDATE", amount=2_000)

    assert bought(paper, ear) == IN_ORDER[:2]
    paper.advance(1_999)
    assert ear.take() == []
    paper.advance(1)
    assert [event["e"] for event in ear.take()] == IN_ORDER[2:]


def test_an_event_is_told_twice(paper: PaperVenue) -> None:
    ear = paper.listen_to_user()
    arm(paper, FaultKind.EVENTS_DUPLICATED, path="ACCOUNT_UPDATE")

    assert bought(paper, ear) == [*IN_ORDER[:2], "ACCOUNT_UPDATE", *IN_ORDER[2:]]
    assert bought(paper, ear) == IN_ORDER


def test_an_event_is_told_after_the_next(paper: PaperVenue) -> None:
    ear = paper.listen_to_user()
    arm(paper, FaultKind.EVENTS_REORDERED, path="ACCOUNT_UPDATE")

    assert bought(paper, ear) == [*IN_ORDER[:2], "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"]
    assert bought(paper, ear) == IN_ORDER


def test_silent_streams_stay_open_and_lose_what_happens(paper: PaperVenue) -> None:
    ear = paper.listen_to_user()
    market = paper.listen("/public/ws/btcusdt@bookTicker")[0]
    arm(paper, FaultKind.STREAMS_SILENT, seconds=60)

    paper.set_price(SYMBOL, "95100")
    assert bought(paper, ear) == market.take() == []
    assert ear.closed is None
    paper.advance(60_000)
    paper.set_price(SYMBOL, "95200")
    assert bought(paper, ear) == IN_ORDER
    assert market.take() != []


async def test_our_stream_tells_a_gap_when_it_is_disconnected_and_comes_back(
    paper: PaperVenue,
) -> None:
    async with our_client(paper) as client:
        stream = UserStream(client, STREAM_ORIGIN, clock=paper.clock, connect=memory_streams(paper))
        events = stream.events()
        first = await anext(events)
        arm(paper, FaultKind.STREAM_DISCONNECT)
        gap = await anext(events)
        again = asyncio.ensure_future(anext(events))
        while not again.done():
            paper.clock.advance(1_000)
            await asyncio.sleep(0)
        await stream.aclose()

    assert isinstance(first, StreamOpened)
    assert isinstance(gap, StreamGap)
    assert isinstance(again.result(), StreamOpened)


async def test_our_stream_takes_a_fresh_key_when_its_own_expires(paper: PaperVenue) -> None:
    async with our_client(paper) as client:
        stream = UserStream(client, STREAM_ORIGIN, clock=paper.clock, connect=memory_streams(paper))
        events = stream.events()
        assert isinstance(await anext(events), StreamOpened)
        arm(paper, FaultKind.LISTEN_KEY_EXPIRED)
        gap = await anext(events)
        await stream.aclose()

    assert isinstance(gap, StreamGap)


# --- how the exchange behaves -------------------------------------------------------------------


async def test_a_cancel_only_symbol_takes_cancels_and_says_so(paper: PaperVenue) -> None:
    async with our_client(paper) as client:
        placed = await place(client)
        arm(paper, FaultKind.CANCEL_ONLY, path=SYMBOL)
        with pytest.raises(Rejected):
            await client.place_market_order(SYMBOL, Side.BUY, D("0.01"), client_order_id="trd-2")
        await client.place_market_order("ETHUSDT", Side.BUY, D("0.1"), client_order_id="trd-3")
        await client.cancel_order(SYMBOL, placed.order_id)

    symbols = paper.ask("GET", "/fapi/v1/exchangeInfo", signed=False)["symbols"]
    statuses = {row["symbol"]: row["status"] for row in symbols}
    assert (statuses[SYMBOL], statuses["ETHUSDT"]) == ("TRADING_CANCEL_ONLY", "TRADING")


def test_only_a_share_of_an_order_fills(paper: PaperVenue) -> None:
    arm(paper, FaultKind.PARTIAL_FILLS, amount=30)

    first, second = paper.ask("POST", ORDER, MARKET), paper.ask("POST", ORDER, MARKET)

    assert (first["status"], first["executedQty"]) == ("EXPIRED", "0.003")
    assert second["status"] == "FILLED"


def test_a_resting_order_fills_in_shares(paper: PaperVenue) -> None:
    limit = MARKET | {"type": "LIMIT", "timeInForce": "GTC", "price": "94000"}
    order = paper.ask("POST", ORDER, limit)
    arm(paper, FaultKind.PARTIAL_FILLS, amount=50)

    paper.set_price(SYMBOL, "93000")
    queried = {"symbol": SYMBOL, "orderId": order["orderId"]}
    half = paper.ask("GET", ORDER, queried)
    paper.set_price(SYMBOL, "92900")

    assert (half["status"], half["executedQty"]) == ("PARTIALLY_FILLED", "0.005")
    assert paper.ask("GET", ORDER, queried)["status"] == "FILLED"


def test_a_stop_sticks_in_triggering_and_cannot_be_cancelled(paper: PaperVenue) -> None:
    paper.ask("POST", ORDER, MARKET)
    stop = paper.ask("POST", "/fapi/v1/algoOrder", STOP)
    arm(paper, FaultKind.STUCK_TRIGGERING, amount=60_000)
    named = {"algoId": stop["algoId"]}

    paper.set_price(SYMBOL, "93900")
    stuck = paper.ask("GET", "/fapi/v1/algoOrder", named)
    refused = paper.refused("DELETE", "/fapi/v1/algoOrder", named)
    paper.advance(60_000)
    released = paper.ask("GET", "/fapi/v1/algoOrder", named)

    assert (stuck["algoStatus"], refused) == ("TRIGGERING", (400, -2011))
    assert released["algoStatus"] == "FINISHED"
    assert paper.ask("GET", "/fapi/v3/positionRisk") == []


class AttendedMarket(SteadyMarket):
    """Tells the ticks of attended symbols only, as the real markets here do."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms=now_ms)
        self._attention = Attention(self.symbols)

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        self._attention.set(who, symbols)

    def advance(self, now_ms: int) -> list[MarketTick]:
        return [tick for tick in super().advance(now_ms) if tick.symbol in self._attention.symbols]


def stuck_entry(paper: PaperVenue) -> dict[str, Any]:
    """Place an entry that fires at once on a flat account and sticks for a minute."""
    paper.advance(1)
    entry = {name: value for name, value in STOP.items() if name != "closePosition"}
    placed = paper.ask("POST", "/fapi/v1/algoOrder", entry | {"quantity": "0.01"})
    arm(paper, FaultKind.STUCK_TRIGGERING, amount=60_000)
    paper.set_price(SYMBOL, "93900")
    return {"algoId": placed["algoId"]}


def test_what_stuck_meets_the_prices_at_which_it_comes_free() -> None:
    clock = ManualClock()
    paper = PaperVenue(clock=clock, market=AttendedMarket(clock.now_ms()))
    stuck_entry(paper)
    for _ in range(3):
        paper.advance(1_000)
    paper.set_price(SYMBOL, "80000")
    for _ in range(60):
        paper.advance(1_000)

    [trade] = paper.ask("GET", "/fapi/v1/userTrades", {"symbol": SYMBOL})

    assert Decimal(trade["price"]) == 80_000


def test_what_stuck_belongs_to_the_account_before_a_reset(paper: PaperVenue) -> None:
    stuck_entry(paper)

    paper.ask("POST", "/paper/reset", signed=False)
    paper.advance(120_000)

    assert paper.ask("GET", "/fapi/v3/positionRisk") == []


def test_what_stuck_comes_free_with_the_next_process() -> None:
    clock, market, state = ManualClock(), SteadyMarket(), MemoryState()
    before = PaperVenue(clock=clock, market=market, state=state)
    named = stuck_entry(before)

    after = PaperVenue(clock=clock, market=market, state=state)
    after.advance(1)

    assert after.ask("GET", "/fapi/v1/algoOrder", named)["algoStatus"] == "FINISHED"


# --- what happens at a moment -------------------------------------------------------------------


def test_a_stop_vanishes_and_nobody_is_told(paper: PaperVenue) -> None:
    paper.ask("POST", ORDER, MARKET)
    paper.ask("POST", "/fapi/v1/algoOrder", STOP)
    ear = paper.listen_to_user()

    assert arm(paper, FaultKind.STOP_VANISHED, symbol=SYMBOL)["happened"]

    assert paper.ask("GET", "/fapi/v1/openAlgoOrders") == ear.take() == []


def test_a_stop_vanishes_right_after_the_request_that_placed_it(paper: PaperVenue) -> None:
    paper.ask("POST", ORDER, MARKET)
    arm(paper, FaultKind.STOP_VANISHED, method="POST", path="/fapi/v1/algoOrder")

    assert paper.ask("POST", "/fapi/v1/algoOrder", STOP)["algoStatus"] == "NEW"
    assert paper.ask("GET", "/fapi/v1/openAlgoOrders") == []


def test_what_a_stranger_is_refused_is_no_answer_to_the_request_it_follows(
    paper: PaperVenue,
) -> None:
    impossible = {"symbol": SYMBOL, "quantity": "0.0001"}
    paper.exchange.faults.arm(FaultKind.FOREIGN_ORDER, path=ORDER, details=impossible)

    placed = paper.ask("POST", ORDER, MARKET)

    assert placed["status"] == "FILLED"
    assert [
        row["orderId"] for row in paper.ask("GET", "/fapi/v1/allOrders", {"symbol": SYMBOL})
    ] == [placed["orderId"]]


@pytest.mark.parametrize(("side", "opened"), [("BUY", "LONG"), ("SELL", "SHORT")])
def test_a_stranger_in_hedge_mode_opens_the_side_of_the_order(
    paper: PaperVenue, side: str, opened: str
) -> None:
    paper.ask("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"})

    arm(paper, FaultKind.FOREIGN_ORDER, side=side, quantity="0.02")

    [row] = paper.ask("GET", "/fapi/v3/positionRisk")
    assert row["positionSide"] == opened


async def test_a_stranger_trades_places_and_cancels_on_our_account(paper: PaperVenue) -> None:
    async with our_client(paper) as client:
        await place(client)
        arm(paper, FaultKind.FOREIGN_ORDER, side="SELL", quantity="0.02")
        arm(paper, FaultKind.FOREIGN_ORDER, side="SELL", quantity="0.02", price="99000")
        positions = await client.get_positions()
        resting = await client.get_open_orders(SYMBOL)
        arm(paper, FaultKind.FOREIGN_CANCEL)
        left = await client.get_open_orders(SYMBOL)

    assert [row.quantity for row in positions] == [D("-0.02")]
    assert [row.client_order_id.startswith("web_") for row in resting] == [False, True]
    assert left == []


def test_a_position_is_deleveraged_in_part_and_then_wholly(paper: PaperVenue) -> None:
    paper.ask("POST", ORDER, MARKET)
    paper.ask("POST", "/fapi/v1/algoOrder", STOP)
    ear = paper.listen_to_user()

    assert arm(paper, FaultKind.ADL, symbol=SYMBOL, quantity="0.004", price="96000")["happened"]
    (left,) = paper.ask("GET", "/fapi/v3/positionRisk")
    arm(paper, FaultKind.ADL, symbol=SYMBOL)

    assert left["positionAmt"] == "0.006"
    assert paper.ask("GET", "/fapi/v3/positionRisk") == []
    orders = [event["o"] for event in ear.take() if event["e"] == "ORDER_TRADE_UPDATE"]
    assert {order["c"] for order in orders} == {"adl_autoclose"}
    assert [order["x"] for order in orders] == ["NEW", "CALCULATED"] * 2
    assert len(paper.ask("GET", "/fapi/v1/openAlgoOrders")) == 1


def test_an_act_that_cannot_be_done_is_refused_at_once_and_spoils_no_other_answer(
    paper: PaperVenue,
) -> None:
    refused = paper.request("POST", "/paper/fault", {"kind": "adl"}, signed=False)
    arm(paper, FaultKind.ADL, method="GET", path="/fapi/v3/balance")

    answered = paper.request("GET", "/fapi/v3/balance")

    assert (refused.status, json.loads(refused.body)["code"]) == (400, -2024)
    assert answered.status == 200


# --- arming -------------------------------------------------------------------------------------


def strikes(faults: Faults, times: int = 200) -> list[bool]:
    return [faults.meet("POST", ORDER, START_MS) is not None for _ in range(times)]


def test_a_failure_strikes_once_or_as_often_as_armed() -> None:
    faults = Faults()
    faults.arm(FaultKind.UNKNOWN)
    assert strikes(faults, 3) == [True, False, False]
    faults.arm(FaultKind.UNKNOWN, times=2)
    assert strikes(faults, 3) == [True, True, False]
    faults.arm(FaultKind.UNKNOWN, times=0)
    assert all(strikes(faults))


def test_chance_is_the_seeds() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults()
        faults.arm(FaultKind.UNKNOWN, times=0, probability=0.25, seed=seed)
        return strikes(faults)

    chance = Random(5)
    assert struck(5) == [chance.random() < 0.25 for _ in range(200)]
    assert struck(5) != struck(6)


@pytest.mark.parametrize(
    ("method", "path", "met"),
    [
        ("POST", "/fapi/v1/*", True),
        ("P*", "*", True),
        ("GET", "*", False),
        ("*", "/fapi/v1/batch*", False),
        ("*", "/FAPI/v1/order", False),
    ],
)
def test_patterns_choose_the_requests(method: str, path: str, met: bool) -> None:
    faults = Faults()
    faults.arm(FaultKind.UNKNOWN, method=method, path=path)

    assert (faults.meet("POST", ORDER) is not None) is met


def test_a_failure_with_seconds_disarms_itself_at_their_end() -> None:
    faults = Faults()
    faults.arm(FaultKind.UNKNOWN, times=0, until_ms=START_MS + 1_000)

    assert faults.meet("GET", "/fapi/v1/time", START_MS + 999) is not None
    assert faults.meet("GET", "/fapi/v1/time", START_MS + 1_000) is None
    assert faults.shown() == []


def test_what_is_armed_is_shown_in_the_status_and_cleared_one_by_one(paper: PaperVenue) -> None:
    first = arm(paper, FaultKind.UNKNOWN, path="/fapi/v1/income", times=3)
    second = arm(paper, FaultKind.HTML, probability="0.5", seed=9, forever="true")

    status = paper.ask("GET", "/paper/status", signed=False)
    assert [row["number"] for row in status["faults"]] == [first["number"], second["number"]]
    assert (first["times_left"], second["times_left"]) == (3, None)
    one = {"number": first["number"]}
    assert paper.ask("DELETE", "/paper/fault", one, signed=False) == {"cleared": 1}
    left = paper.ask("GET", "/paper/fault", signed=False)
    assert [row["kind"] for row in left["faults"]] == ["html"]
    assert set(left["kinds"]) == {kind.value for kind in FaultKind}


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "earthquake"},
        {"kind": "unknown", "times": "0"},
        {"kind": "unknown", "probability": "0"},
        {"kind": "unknown", "probability": "1.1"},
        {"kind": "unknown", "seconds": "0"},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(paper: PaperVenue, bad: dict[str, object]) -> None:
    assert paper.refused("POST", "/paper/fault", bad, signed=False)[0] == 400
    assert paper.exchange.faults.shown() == []


def test_the_exchanges_own_switches_never_fail(paper: PaperVenue) -> None:
    arm(paper, FaultKind.MAINTENANCE)

    assert paper.request("GET", "/fapi/v1/time", signed=False).status == 503
    assert paper.request("GET", "/paper/status", signed=False).status == 200


def test_every_kind_is_an_answer_an_act_or_held_against_its_moment() -> None:
    others = {kind for kind in FaultKind if kind not in ANSWERS | ACTS}

    assert not ANSWERS & ACTS
    assert {kind.value for kind in others} == {
        "events_delayed",
        "events_duplicated",
        "events_reordered",
        "streams_silent",
        "clock_skew",
        "cancel_only",
        "partial_fills",
        "stuck_triggering",
    }


# --- what an overloaded or strict exchange says and whom it spares --------------------------------

RESTING: dict[str, object] = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.002",
    "price": "94000",
}
SELL: dict[str, object] = {**MARKET, "side": "SELL"}


@pytest.mark.parametrize("kind", [FaultKind.UNKNOWN, FaultKind.TIMEOUT_EXECUTED, FaultKind.BANNED])
def test_a_failure_the_exchange_tells_carries_its_counts(
    paper: PaperVenue, kind: FaultKind
) -> None:
    paper.ask("GET", "/fapi/v1/ping", signed=False)
    arm(paper, kind)

    answer = paper.request("POST", ORDER, MARKET)

    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    assert "X-MBX-ORDER-COUNT-10S" in answer.headers


def test_a_page_before_the_exchange_knows_no_counts(paper: PaperVenue) -> None:
    arm(paper, FaultKind.HTML)

    assert paper.request("GET", "/fapi/v1/ping", signed=False).headers == {
        "Content-Type": "text/html"
    }


def test_a_ban_tells_until_when(paper: PaperVenue) -> None:
    arm(paper, FaultKind.BANNED, amount=180)

    answer = paper.request("GET", "/fapi/v1/ping", signed=False)

    until_ms = paper.clock.now_ms() + 180_000
    assert json.loads(answer.body) == {
        "code": -1003,
        "msg": f"Way too many requests; IP banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans.",
    }


def test_an_overloaded_exchange_lets_exits_and_cancels_pass(paper: PaperVenue) -> None:
    paper.ask("POST", ORDER, MARKET)
    placed = paper.ask("POST", ORDER, RESTING)
    arm(paper, FaultKind.OVERLOADED, forever="true")

    assert paper.refused("POST", ORDER, MARKET) == (503, -1008)
    assert paper.refused("POST", ORDER, {**SELL, "reduceOnly": "false"}) == (503, -1008)
    assert paper.refused("PUT", ORDER, {**RESTING, "orderId": placed["orderId"]}) == (503, -1008)
    paper.ask("DELETE", ORDER, {"symbol": SYMBOL, "orderId": placed["orderId"]})
    paper.ask("POST", ORDER, {**SELL, "reduceOnly": "TRUE"})
    for path in ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"):
        paper.ask("DELETE", path, {"symbol": SYMBOL})
    assert paper.refused("DELETE", "/fapi/v1/algoOrder", {"algoId": "1"}) == (400, -2011)


@pytest.mark.parametrize(
    ("position_side", "side", "spared"),
    [("LONG", "SELL", True), ("SHORT", "BUY", True), ("LONG", "BUY", False), ("", "SELL", False)],
)
def test_in_hedge_mode_the_sides_say_what_an_exit_is(
    position_side: str, side: str, spared: bool
) -> None:
    values = {"positionside": position_side, "side": side}

    assert is_spared("POST", ORDER, values) is spared


@pytest.mark.parametrize(
    ("orders", "spared"),
    [
        ('[{"reduceOnly":"true"}]', True),
        ('[{"reduceOnly":true},{"closePosition":"true"}]', True),
        ('[{"reduceOnly":"true"},{"side":"BUY"}]', False),
        ("[]", False),
        ("{}", False),
        ("[1]", False),
        ("[", False),
    ],
)
def test_a_batch_passes_if_all_of_it_only_reduces(orders: str, spared: bool) -> None:
    assert is_spared("POST", "/fapi/v1/batchOrders", {"batchorders": orders}) is spared

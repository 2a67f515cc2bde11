"""The futures client over HTTP: what really goes out, and what every way of failing ends in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.support import venue_answers as answers
from tests.support.venue_stub import (
    START_MS,
    Drop,
    HalfAnswer,
    Hang,
    JumpingClock,
    Reply,
    Step,
    VenueStub,
)
from trader_cli.domain.order import AlgoOrder, ConditionalRequest, LimitRequest, Order
from trader_cli.domain.terms import MarginType, OrderStatus, OrderType, PositionSide, Side
from trader_cli.errors import (
    FIREWALL,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    UsageError,
    VenueError,
)
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.budget import BudgetInMemory
from trader_cli.exchange.gateway import BanInMemory
from trader_cli.exchange.transport import open_session
from trader_cli.urgency import insisting

KEY = "key-0123456789-abcdefghijklmnop"
SECRET = "secret-9876543210-zyxwvutsrqponm"
ORDER = "/fapi/v1/order"
ALGO = "/fapi/v1/algoOrder"
POSITIONS = "/fapi/v3/positionRisk"
CONFIGS = "/fapi/v1/symbolConfig"

Connect = Callable[..., BinanceFuturesClient]


@pytest.fixture
async def venue() -> AsyncIterator[VenueStub]:
    async with VenueStub().running() as stub:
        yield stub


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def connect(venue: VenueStub, clock: JumpingClock) -> AsyncIterator[Connect]:
    clients: list[BinanceFuturesClient] = []

    def make(**options: Any) -> BinanceFuturesClient:
        settings = {"api_key": KEY, "api_secret": SECRET, "clock": clock, "timeout_s": 5.0}
        clients.append(BinanceFuturesClient(rest_url=venue.url, **{**settings, **options}))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def client(connect: Connect) -> BinanceFuturesClient:
    return connect()


def place(client: BinanceFuturesClient, *, reduce_only: bool = False) -> Awaitable[Order]:
    return client.place_market_order(
        "BTCUSDT",
        Side.BUY,
        Decimal("0.010"),
        client_order_id="trd-1-en0",
        reduce_only=reduce_only,
    )


async def failure_of(attempt: Awaitable[object]) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await attempt
    return caught.value


class TestWhatGoesOut:
    async def test_a_write_is_signed_over_exactly_the_text_that_is_sent(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ORDER, Reply(answers.written()))

        await place(client)

        (seen,) = venue.requests("POST", ORDER)
        text, _, signature = seen.raw.rpartition("&signature=")
        assert signature == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        assert seen.headers["X-MBX-APIKEY"] == KEY
        assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert seen.params["timestamp"] == str(START_MS)
        assert seen.params["recvWindow"] == "5000"
        assert seen.params["type"] == "MARKET"
        assert seen.params["newClientOrderId"] == "trd-1-en0"

    async def test_a_foreign_client_id_with_odd_characters_is_signed_as_sent(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("DELETE", ORDER, Reply(answers.written(status="CANCELED")))

        await client.cancel_order("BTCUSDT", client_order_id="web:a/b")

        (seen,) = venue.requests("DELETE", ORDER)
        text, _, signature = seen.raw.rpartition("&signature=")
        assert seen.params["origClientOrderId"] == "web:a/b"
        assert signature == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def test_market_data_needs_neither_key_nor_signature(
        self, venue: VenueStub, connect: Connect
    ) -> None:
        venue.answer(
            "GET",
            "/fapi/v1/ticker/bookTicker",
            Reply(
                {
                    "symbol": "BTCUSDT",
                    "bidPrice": "1",
                    "bidQty": "2",
                    "askPrice": "3",
                    "askQty": "4",
                    "time": 5,
                }
            ),
        )

        top = await connect(api_key="", api_secret="").get_book_top("BTCUSDT")

        assert (top.bid, top.ask) == (1, 3)
        assert venue.seen[-1].raw == "symbol=BTCUSDT"
        assert "X-MBX-APIKEY" not in venue.seen[-1].headers

    async def test_conditional_orders_go_to_the_algo_service_only(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ALGO, Reply(answers.algo()))

        await client.place_stop_loss(
            "BTCUSDT", Side.SELL, None, Decimal(59_000), client_order_id="trd-1-sl0"
        )
        await client.place_take_profit(
            "BTCUSDT", Side.SELL, Decimal("0.01"), Decimal(61_000), client_order_id="trd-1-tp0"
        )
        await client.place_trailing_stop(
            "BTCUSDT",
            Side.SELL,
            Decimal("0.01"),
            Decimal("0.4"),
            client_order_id="trd-1-tr0",
            activate_price=Decimal(60_500),
        )

        stop, target, trailing = (seen.params for seen in venue.requests("POST", ALGO))
        assert (stop["type"], stop["closePosition"]) == ("STOP_MARKET", "true")
        assert (stop["triggerPrice"], stop["clientAlgoId"]) == ("59000", "trd-1-sl0")
        assert (target["type"], target["reduceOnly"]) == ("TAKE_PROFIT_MARKET", "true")
        assert (trailing["activatePrice"], trailing["callbackRate"]) == ("60500", "0.4")
        assert {one["algoType"] for one in (stop, target, trailing)} == {"CONDITIONAL"}
        assert not venue.requests("POST", ORDER)

    async def test_a_request_is_sent_by_the_call_for_its_kind(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ORDER, Reply(answers.written()))
        venue.answer("POST", ALGO, Reply(answers.algo()))
        limit = LimitRequest(
            symbol="BTCUSDT",
            side=Side.BUY,
            quantity=Decimal(1),
            price=Decimal(2),
            client_order_id="trd-1",
        )
        stop = ConditionalRequest(
            symbol="BTCUSDT",
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            client_order_id="trd-2",
            trigger_price=Decimal(1),
            close_position=True,
        )

        assert isinstance(await client.send(limit), Order)
        assert isinstance(await client.send(stop), AlgoOrder)

    async def test_a_missing_secret_is_told_before_anything_is_sent(
        self, venue: VenueStub, connect: Connect
    ) -> None:
        error = await failure_of(connect(api_secret="").get_account_balance())

        assert isinstance(error, PermissionDenied)
        assert venue.seen == []

    def test_a_key_with_a_line_break_is_refused_at_once(self) -> None:
        with pytest.raises(UsageError, match="API key"):
            BinanceFuturesClient(api_key="abc\n", api_secret=SECRET)

    async def test_an_order_is_named_by_one_of_its_ids(self, client: BinanceFuturesClient) -> None:
        with pytest.raises(UsageError):
            await client.cancel_order("BTCUSDT")
        with pytest.raises(UsageError):
            await client.get_order_status("BTCUSDT", 1, client_order_id="trd-1")

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, "https://demo-fapi.binance.com"),
            ({"testnet": False}, "https://fapi.binance.com"),
            ({"testnet": False, "rest_url": "http://127.0.0.1:1/"}, "http://127.0.0.1:1"),
        ],
    )
    def test_the_venue_follows_from_testnet_and_url(
        self, options: dict[str, Any], expected: str
    ) -> None:
        assert repr(BinanceFuturesClient(**options)) == f"BinanceFuturesClient({expected})"


class TestAWriteThatFails:
    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            (Drop(), OutcomeUnknown),
            (HalfAnswer(), OutcomeUnknown),
            (Reply("<html>hello</html>", content_type="text/html"), OutcomeUnknown),
            (Reply(answers.written(), content_type="text/plain"), OutcomeUnknown),
            (Reply(answers.written(status="HALF_FILLED")), OutcomeUnknown),
            (Reply([]), OutcomeUnknown),
            (Reply("<html>oops</html>", status=502, content_type="text/html"), OutcomeUnknown),
            (Reply({"code": -1007, "msg": "Timeout"}, status=408), OutcomeUnknown),
            (Reply("Service Unavailable.", status=503, content_type="text/plain"), NotSent),
            (Reply({"code": -2019, "msg": "Margin is insufficient."}, status=400), Rejected),
            (Reply({"code": -2015, "msg": "Invalid API-key"}, status=401), PermissionDenied),
            (Reply({"code": -1015, "msg": "Too many"}, status=429), RateLimited),
        ],
    )
    async def test_it_is_sent_once_and_ends_as_what_is_proven(
        self,
        venue: VenueStub,
        client: BinanceFuturesClient,
        step: Step,
        expected: type[VenueError],
    ) -> None:
        venue.answer("POST", ORDER, step)

        error = await failure_of(place(client))

        assert type(error) is expected
        assert "trd-1-en0" in error.message
        assert len(venue.requests("POST", ORDER)) == 1

    async def test_no_answer_in_time_is_unknown(self, venue: VenueStub, connect: Connect) -> None:
        venue.answer("POST", ORDER, Hang())
        client = connect(timeout_s=0.2)
        await client.sync_clock()

        error = await failure_of(place(client))

        assert type(error) is OutcomeUnknown
        assert len(venue.requests("POST", ORDER)) == 1

    async def test_a_refused_connection_was_not_sent(self, clock: JumpingClock) -> None:
        async with VenueStub().running() as gone:
            url = gone.url
        async with BinanceFuturesClient(
            rest_url=url, api_key=KEY, api_secret=SECRET, clock=clock
        ) as client:
            assert type(await failure_of(place(client))) is NotSent

    async def test_a_cancel_is_not_sent_again_when_a_kept_connection_turns_out_dead(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        """aiohttp would repeat the DELETE by itself and the second answer would be believed."""
        venue.answer("DELETE", ORDER, Drop(), Reply({"code": -2011, "msg": "Unknown order sent."}))
        await client.sync_clock()  # leaves a connection open for the next request

        error = await failure_of(client.cancel_order("BTCUSDT", 7))

        assert type(error) is OutcomeUnknown
        assert len(venue.requests("DELETE", ORDER)) == 1

    async def test_the_guard_against_repeating_is_needed(self, venue: VenueStub) -> None:
        """If this fails, aiohttp no longer repeats requests and the guard can go."""
        venue.answer("DELETE", ORDER, Drop(), Reply({}))
        async with aiohttp.ClientSession() as unguarded:
            await (await unguarded.get(f"{venue.url}/fapi/v1/time")).read()
            await (await unguarded.delete(f"{venue.url}{ORDER}")).read()

        assert len(venue.requests("DELETE", ORDER)) == 2

    async def test_sessions_are_opened_with_the_guard(self) -> None:
        session = open_session()

        assert session._retry_connection is False
        await session.close()

    async def test_a_redirect_is_not_followed(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ORDER, Reply("", status=307, headers={"Location": "/elsewhere"}))
        venue.answer("POST", "/elsewhere", Reply(answers.written()))

        assert type(await failure_of(place(client))) is OutcomeUnknown
        assert not venue.requests("POST", "/elsewhere")

    async def test_after_close_nothing_is_sent(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        await client.close()

        assert type(await failure_of(place(client))) is NotSent
        assert venue.seen == []


class TestAReadThatFails:
    @pytest.mark.parametrize(
        "step",
        [
            Drop(),
            HalfAnswer(),
            Reply("<html/>", status=502, content_type="text/html"),
            Reply({"msg": "Unknown error, please check your request"}, status=503),
        ],
    )
    async def test_it_is_repeated_twice_with_growing_pauses(
        self, venue: VenueStub, client: BinanceFuturesClient, clock: JumpingClock, step: Step
    ) -> None:
        venue.answer("GET", "/fapi/v3/balance", step)

        error = await failure_of(client.get_account_balance())

        assert type(error) is NotSent
        assert len(venue.requests("GET", "/fapi/v3/balance")) == 3
        first, second = clock.slept
        assert 0.1 <= first <= 0.3
        assert 0.2 <= second <= 0.6

    async def test_short_lived_trouble_is_outlived(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v3/balance", Drop(), Reply([]))

        assert await client.get_account_balance() == []

    @pytest.mark.parametrize(
        "step", [Hang(), Reply({"code": -1121, "msg": "Invalid symbol."}, status=400)]
    )
    async def test_what_would_only_fail_again_is_not_repeated(
        self, venue: VenueStub, connect: Connect, step: Step
    ) -> None:
        venue.answer("GET", "/fapi/v1/klines", step)

        error = await failure_of(connect(timeout_s=0.2).get_klines("XUSDT", "1m"))

        assert type(error) in (NotSent, Rejected)
        assert len(venue.requests("GET", "/fapi/v1/klines")) == 1

    async def test_an_answer_that_cannot_be_understood_is_not_sent(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", ORDER, Reply(answers.queried(status="HALF_FILLED")))

        error = await failure_of(client.get_order_status("BTCUSDT", 7))

        assert type(error) is NotSent
        assert "HALF_FILLED" in error.message


class TestClock:
    async def test_the_first_signed_request_measures_it(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v1/time", Reply({"serverTime": START_MS + 2_500}))
        venue.answer("POST", ORDER, Reply(answers.written()))

        await place(client)

        assert client.clock_offset_ms == 2_500
        assert client.venue_now_ms() == START_MS + 2_500
        assert venue.seen[-1].params["timestamp"] == str(START_MS + 2_500)

    async def test_parallel_first_requests_measure_it_once(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v3/balance", Reply([]))

        await asyncio.gather(*(client.get_account_balance() for _ in range(5)))

        assert len(venue.requests("GET", "/fapi/v1/time")) == 1

    @pytest.mark.parametrize("code", [-1021, -5028])
    async def test_a_write_refused_for_its_time_is_sent_again_once_with_a_measured_clock(
        self, venue: VenueStub, client: BinanceFuturesClient, code: int
    ) -> None:
        refusal = Reply({"code": code, "msg": "Timestamp"}, status=400)
        venue.answer(
            "GET",
            "/fapi/v1/time",
            Reply({"serverTime": START_MS}),
            Reply({"serverTime": START_MS - 9_000}),
        )
        venue.answer("POST", ORDER, refusal, Reply(answers.written()))

        await place(client)

        stamps = [seen.params["timestamp"] for seen in venue.requests("POST", ORDER)]
        assert stamps == [str(START_MS), str(START_MS - 9_000)]

    async def test_a_second_refusal_is_a_rejection(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ORDER, Reply({"code": -1021, "msg": "Timestamp"}, status=400))

        error = await failure_of(place(client))

        assert type(error) is Rejected
        assert len(venue.requests("POST", ORDER)) == 2

    async def test_an_old_measurement_is_renewed_by_reads_and_never_delays_a_write(
        self, venue: VenueStub, client: BinanceFuturesClient, clock: JumpingClock
    ) -> None:
        venue.answer("POST", ORDER, Reply(answers.written()))
        venue.answer("GET", "/fapi/v3/balance", Reply([]))
        times = lambda: len(venue.requests("GET", "/fapi/v1/time"))  # noqa: E731

        await place(client)
        clock.advance(599)
        await client.get_account_balance()
        assert times() == 1

        clock.advance(2)
        await place(client)
        assert times() == 1
        await client.get_account_balance()
        assert times() == 2

    async def test_an_unreadable_clock_does_not_stop_an_order(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v1/time", Drop())
        venue.answer("POST", ORDER, Reply(answers.written()))

        await place(client)
        await place(client)

        assert len(venue.requests("POST", ORDER)) == 2
        assert len(venue.requests("GET", "/fapi/v1/time")) == 1

    @pytest.mark.parametrize(("age_ms", "offset_ms"), [(599_999, -86_400_000), (600_000, 0)])
    async def test_what_another_process_measured_counts_before_the_first_request(
        self, connect: Connect, clock: JumpingClock, age_ms: int, offset_ms: int
    ) -> None:
        class Measured(BudgetInMemory):
            def clock_offset(self, local_ms: int) -> tuple[int, int] | None:
                return -86_400_000, age_ms

        client = connect(budget=Measured())

        assert client.venue_now_ms() - clock.now_ms() == offset_ms


class TestLimits:
    async def test_a_ban_stops_everything_until_it_ends(
        self, venue: VenueStub, connect: Connect, clock: JumpingClock
    ) -> None:
        ban = BanInMemory()
        client = connect(ban=ban)
        body = {"code": -1003, "msg": f"Way too many; IP banned until {START_MS + 60_000}."}
        venue.answer("GET", "/fapi/v3/balance", Reply(body, status=418), Reply([]))
        venue.answer("POST", ORDER, Reply(answers.written()))

        first = await failure_of(client.get_account_balance())
        sent = len(venue.seen)
        second = await failure_of(place(client))
        other = await failure_of(connect(ban=ban).get_book_top("BTCUSDT"))

        assert isinstance(first, RateLimited)
        assert isinstance(second, RateLimited)
        assert second.banned
        assert first.retry_at_ms == second.retry_at_ms == ban.get() == START_MS + 60_000
        assert isinstance(other, RateLimited)
        assert len(venue.seen) == sent

        clock.advance(59.999)
        assert isinstance(await failure_of(place(client)), RateLimited)
        clock.advance(0.001)
        assert isinstance(await place(client), Order)

    async def test_used_up_weight_stops_reads_and_lets_an_exit_try(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        limited = Reply({"code": -1003, "msg": "Too many"}, 429, {"Retry-After": "30"})
        venue.answer("GET", "/fapi/v3/balance", limited)
        venue.answer("POST", ORDER, Reply(answers.written()))

        error = await failure_of(client.get_account_balance())
        again = await failure_of(client.get_account_balance())

        assert isinstance(error, RateLimited)
        assert error.retry_at_ms == START_MS + 30_000
        assert isinstance(again, RateLimited)
        assert len(venue.requests("GET", "/fapi/v3/balance")) == 1
        assert isinstance(await place(client), Order)

    @pytest.mark.parametrize("by_read", [True, False])
    async def test_firewall_pauses_reads_and_entries_for_a_minute_and_lets_exits_try(
        self, venue: VenueStub, client: BinanceFuturesClient, clock: JumpingClock, by_read: bool
    ) -> None:
        wall = Reply("<html>WAF</html>", 403, content_type="text/html")
        venue.answer("GET", "/fapi/v3/balance", wall if by_read else Reply([]))
        venue.answer("DELETE", ORDER, Reply(answers.written()))
        venue.answer("POST", ORDER, *([] if by_read else [wall]), Reply(answers.written()))

        await failure_of(client.get_account_balance() if by_read else place(client))
        sent = len(venue.seen)
        entry = await failure_of(place(client))
        read = await failure_of(client.get_account_balance())

        assert isinstance(entry, RateLimited)
        assert isinstance(read, RateLimited)
        assert (entry.code, entry.banned, entry.retry_at_ms) == (FIREWALL, False, START_MS + 60_000)
        assert len(venue.seen) == sent
        assert isinstance(await place(client, reduce_only=True), Order)
        assert isinstance(await client.cancel_order("BTCUSDT", 7), Order)
        clock.advance(59.999)
        assert isinstance(await failure_of(place(client)), RateLimited)
        clock.advance(0.001)
        assert isinstance(await place(client), Order)

    async def test_firewalls_pause_holds_for_the_next_process_too(
        self, venue: VenueStub, connect: Connect, clock: JumpingClock
    ) -> None:
        firewall = BanInMemory()
        wall = Reply("<html>WAF</html>", 403, content_type="text/html")
        venue.answer("GET", "/fapi/v3/balance", wall, Reply([]))
        await failure_of(connect(firewall=firewall).get_account_balance())
        sent = len(venue.seen)
        other = connect(firewall=firewall)

        assert isinstance(await failure_of(other.get_account_balance()), RateLimited)
        assert len(venue.seen) == sent
        clock.advance(60)
        assert await other.get_account_balance() == []

    async def test_firewall_is_tried_by_all_that_belongs_to_an_exit(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        wall = Reply("<html>WAF</html>", 403, content_type="text/html")
        venue.answer("GET", "/fapi/v3/balance", wall, Reply([]))
        await failure_of(client.get_account_balance())

        with insisting():
            assert await asyncio.gather(client.get_account_balance()) == [[]]
        assert isinstance(await failure_of(client.get_account_balance()), RateLimited)

    async def test_whoever_insists_still_respects_a_ban_and_used_up_weight(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        limited = Reply({"code": -1003, "msg": "Too many"}, 429, {"Retry-After": "30"})
        venue.answer("GET", "/fapi/v3/balance", limited)

        with insisting():
            await failure_of(client.get_account_balance())
            await failure_of(client.get_account_balance())

        assert len(venue.requests("GET", "/fapi/v3/balance")) == 1

    @pytest.mark.parametrize(("used", "is_read"), [(2_099, True), (2_100, False)])
    async def test_kept_weight_is_for_whoever_insists(
        self, venue: VenueStub, connect: Connect, used: int, is_read: bool
    ) -> None:
        client = connect(weight_kept=300)
        answer = Reply([], headers={"X-MBX-USED-WEIGHT-1M": str(used)})
        venue.answer("GET", "/fapi/v3/balance", answer, answer, answer)
        await client.get_account_balance()

        if is_read:
            assert await client.get_account_balance() == []
        else:
            refusal = await failure_of(client.get_account_balance())
            assert (type(refusal), refusal.code) == (RateLimited, "weight_reserve")
        with insisting():
            assert await client.get_account_balance() == []

    async def test_usage_is_read_from_the_headers(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer(
            "POST",
            ORDER,
            Reply(
                answers.written(),
                headers={
                    "X-MBX-USED-WEIGHT-1M": "41",
                    "X-MBX-ORDER-COUNT-10S": "2",
                    "X-MBX-ORDER-COUNT-1M": "9",
                },
            ),
        )

        await place(client)

        usage = client.usage
        assert (usage.weight_1m, usage.orders_10s, usage.orders_1m) == (41, 2, 9)


class TestSecrets:
    @pytest.mark.parametrize(
        "step",
        [
            Drop(),
            HalfAnswer(),
            Reply({"code": -2015, "msg": f"key {KEY} of {SECRET}"}, status=401),
            Reply(f"<html>{KEY} {SECRET}</html>", status=502, content_type="text/html"),
            Reply(f"<html>{KEY} {SECRET}</html>", content_type="text/html"),
        ],
    )
    async def test_no_failure_tells_key_secret_or_signature(
        self,
        venue: VenueStub,
        client: BinanceFuturesClient,
        caplog: pytest.LogCaptureFixture,
        step: Step,
    ) -> None:
        caplog.set_level(0)
        venue.answer("GET", "/fapi/v3/balance", step)
        venue.answer("POST", ORDER, step)

        for attempt in (place(client), client.get_account_balance()):
            error = await failure_of(attempt)
            signature = venue.seen[-1].params["signature"]
            told = "".join(traceback.format_exception(error)) + repr(error) + repr(client)
            told += caplog.text + repr(error.__context__) + repr(error.__cause__)
            for secret in (KEY, SECRET, signature):
                assert secret not in told

    async def test_a_failure_keeps_no_library_exception_with_headers_attached(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", ORDER, Drop())

        error = await failure_of(place(client))

        assert error.__context__ is None
        assert error.__cause__ is None


class TestPositions:
    async def test_rows_are_joined_and_flat_ones_left_out(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        flat = answers.position(symbol="ETHUSDT", positionAmt="0.000")
        venue.answer("GET", POSITIONS, Reply([answers.position(), flat]))
        venue.answer("GET", CONFIGS, Reply([answers.symbol_config(leverage=7)]))

        (position,) = await client.get_positions()

        assert position.leverage == 7
        assert position.margin_type is MarginType.ISOLATED
        assert len(await client.get_position_risk("BTCUSDT")) == 2

    @pytest.mark.parametrize("status", [400, 429, 502])
    async def test_settings_that_cannot_be_read_do_not_hide_a_position(
        self, venue: VenueStub, client: BinanceFuturesClient, status: int
    ) -> None:
        venue.answer("GET", POSITIONS, Reply([answers.position()]))
        venue.answer("GET", CONFIGS, Reply({"code": -1, "msg": "no"}, status=status))

        (position,) = await client.get_positions()

        assert position.leverage is None

    async def test_a_row_that_cannot_be_understood_proves_nothing(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", POSITIONS, Reply([answers.position(markPrice="?")]))
        venue.answer("GET", CONFIGS, Reply([]))

        assert type(await failure_of(client.get_positions())) is OutcomeUnknown
        assert client.quarantined[0].symbol == "BTCUSDT"
        assert await client.get_position_sizes() == [
            ("BTCUSDT", PositionSide.BOTH, Decimal("0.010"))
        ]

    async def test_closing_sends_a_reduce_only_market_order_of_the_whole_size(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", POSITIONS, Reply([answers.position(positionAmt="-0.250")]))
        venue.answer("POST", ORDER, Reply(answers.written(status="FILLED")))

        orders = await client.close_position("BTCUSDT", client_order_id_of="trd-x-ex{}".format)

        (sent,) = venue.requests("POST", ORDER)
        assert [order.status for order in orders] == [OrderStatus.FILLED]
        assert sent.params["side"] == "BUY"
        assert sent.params["quantity"] == "0.250"
        assert sent.params["reduceOnly"] == "true"
        assert sent.params["newClientOrderId"] == "trd-x-ex0"

    async def test_closing_a_flat_symbol_sends_nothing(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", POSITIONS, Reply([answers.position(positionAmt="0")]))

        assert await client.close_position("BTCUSDT", client_order_id_of=str) == []
        assert not venue.requests("POST", ORDER)

    async def test_a_size_above_the_market_limit_goes_in_parts(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        too_large = Reply({"code": -4005, "msg": "Quantity greater than max quantity."}, status=400)
        venue.answer("GET", POSITIONS, Reply([answers.position(positionAmt="300")]))
        venue.answer("POST", ORDER, too_large, Reply(answers.written()))
        venue.answer(
            "GET", "/fapi/v1/exchangeInfo", Reply(answers.exchange_info(answers.symbol_info()))
        )

        orders = await client.close_position("BTCUSDT", client_order_id_of="trd-x-ex{}".format)

        sent = [seen.params for seen in venue.requests("POST", ORDER)]
        assert [one["quantity"] for one in sent] == ["300", "120", "120", "60"]
        assert [one["newClientOrderId"] for one in sent] == [f"trd-x-ex{n}" for n in range(4)]
        assert len(orders) == 3

    async def test_in_hedge_mode_one_side_or_both_are_closed(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        long = answers.position(positionSide="LONG", positionAmt="0.5")
        short = answers.position(positionSide="SHORT", positionAmt="-0.2")
        venue.answer("GET", POSITIONS, Reply([long, short]))
        venue.answer("POST", ORDER, Reply(answers.written()))

        await client.close_position("BTCUSDT", PositionSide.SHORT, client_order_id_of=str)
        await client.close_position("BTCUSDT", client_order_id_of=str)

        sent = [seen.params for seen in venue.requests("POST", ORDER)]
        assert [(one["positionSide"], one["side"]) for one in sent] == [
            ("SHORT", "BUY"),
            ("LONG", "SELL"),
            ("SHORT", "BUY"),
        ]
        assert all("reduceOnly" not in one for one in sent)


class TestLookingUp:
    async def test_open_orders_with_an_unknown_word_prove_nothing_but_can_be_cancelled(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        rows = [answers.queried(), answers.queried(orderId=2, type="ICEBERG")]
        venue.answer("GET", "/fapi/v1/openOrders", Reply(rows))
        venue.answer("GET", "/fapi/v1/openAlgoOrders", Reply([answers.algo(algoStatus="ASLEEP")]))

        assert type(await failure_of(client.get_open_orders("BTCUSDT"))) is OutcomeUnknown
        assert type(await failure_of(client.get_open_algo_orders())) is OutcomeUnknown
        ids = await client.get_open_order_ids("BTCUSDT")
        assert [order_id for _, order_id, _ in ids] == [40_000_000_001, 2]
        ((symbol, _, client_id),) = await client.get_open_algo_order_ids()
        assert (symbol, client_id) == ("BTCUSDT", "trd-0123456789abcdef0123-sl0")

    async def test_a_history_leaves_such_a_row_out_and_says_so(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        rows = [answers.queried(), answers.queried(orderId=2, type="ICEBERG")]
        venue.answer("GET", "/fapi/v1/allOrders", Reply(rows))

        assert len(await client.get_all_orders("BTCUSDT")) == 1
        assert "ICEBERG" in client.quarantined[0].reason

    @pytest.mark.parametrize(
        ("client_id", "is_blind"), [("bot-7", False), ("trd-7-sl0", True), (None, True)]
    )
    async def test_own_orders_are_seen_beside_odd_ones_of_others(
        self, venue: VenueStub, client: BinanceFuturesClient, client_id: str | None, is_blind: bool
    ) -> None:
        odd = answers.algo(algoId=2, clientAlgoId=client_id, orderType="TWAP")
        rows = [answers.algo(algoId=1), odd, answers.algo(algoId=3)]
        venue.answer("GET", "/fapi/v1/openAlgoOrders", Reply(rows))
        own = client.for_own_orders()

        assert type(await failure_of(client.get_open_algo_orders("BTCUSDT"))) is OutcomeUnknown
        if is_blind:
            error = await failure_of(own.get_open_algo_orders("BTCUSDT"))
            assert type(error) is OutcomeUnknown
        else:
            assert [row.algo_id for row in await own.get_open_algo_orders("BTCUSDT")] == [1, 3]
        assert client.quarantined[-1].stream == "openAlgoOrders"

    @pytest.mark.parametrize("path", ["/fapi/v1/openAlgoOrders", "/fapi/v1/allAlgoOrders"])
    async def test_a_conditional_order_the_query_denies_is_found_in_the_lists(
        self, venue: VenueStub, client: BinanceFuturesClient, path: str
    ) -> None:
        venue.answer("GET", ALGO, Reply({"code": -2013, "msg": "Order does not exist."}, 400))
        venue.answer("GET", "/fapi/v1/openAlgoOrders", Reply([]))
        venue.answer("GET", path, Reply([answers.algo(algoId=1), answers.algo(algoId=2)]))

        assert (await client.get_algo_order("BTCUSDT", 2)).algo_id == 2

    async def test_one_that_no_list_shows_does_not_exist(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", ALGO, Reply({"code": -2013, "msg": "Order does not exist."}, 400))
        venue.answer("GET", "/fapi/v1/openAlgoOrders", Reply([answers.algo()]))
        venue.answer("GET", "/fapi/v1/allAlgoOrders", Reply([]))

        error = await failure_of(client.get_algo_order("BTCUSDT", client_order_id="trd-other"))

        assert error.code == -2013

    async def test_cancelling_a_conditional_order_accepts_the_string_code(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        body = {"algoId": 1, "clientAlgoId": "trd-1", "code": "200", "msg": "success"}
        venue.answer("DELETE", ALGO, Reply(body))
        done = Reply({"code": 200, "msg": "The operation of cancel all open order is done."})
        venue.answer("DELETE", "/fapi/v1/allOpenOrders", done)
        venue.answer("DELETE", "/fapi/v1/algoOpenOrders", done)

        await client.cancel_algo_order(1)
        await client.cancel_all_open_orders("BTCUSDT")
        await client.cancel_all_algo_orders("BTCUSDT")

        assert [seen.method for seen in venue.seen[-3:]] == ["DELETE"] * 3

    async def test_a_full_window_of_orders_is_asked_for_in_halves(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        full = [answers.queried(orderId=n, time=n) for n in range(1_000)]
        half = [answers.queried(orderId=n, time=n) for n in range(600)]
        rest = [answers.queried(orderId=n, time=n) for n in range(600, 1_100)]
        venue.answer("GET", "/fapi/v1/allOrders", Reply(full), Reply(half), Reply(rest))

        orders = await client.get_all_orders("BTCUSDT")

        spans = [
            (int(seen.params["startTime"]), int(seen.params["endTime"]))
            for seen in venue.requests("GET", "/fapi/v1/allOrders")
        ]
        assert [order.order_id for order in orders] == list(range(1_100))
        assert spans[0][0] == spans[1][0]
        assert spans[1][1] + 1 == spans[2][0]
        assert spans[2][1] == spans[0][1]


class TestAccount:
    async def test_the_summary_is_read_from_two_answers(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v3/account", Reply(answers.account()))
        venue.answer("GET", "/fapi/v1/accountConfig", Reply(answers.account_config()))

        summary = await client.get_account_summary()

        assert summary.wallet_balance == Decimal("1000.5")
        assert summary.can_trade

    async def test_income_is_paged_to_its_end_and_every_row_counted_once(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        """Pages overlap in the last millisecond, and types share transaction ids."""
        first = [answers.income(n) for n in range(1_000)]
        second = [
            answers.income(999),
            answers.income(999, incomeType="REALIZED_PNL"),
            answers.income(1_000),
        ]
        venue.answer("GET", "/fapi/v1/income", Reply(first), Reply(second))

        rows = await client.get_income(start_ms=1_789_900_000_000)

        asked = [seen.params["startTime"] for seen in venue.requests("GET", "/fapi/v1/income")]
        assert len(rows) == 1_002
        assert sum(row.amount for row in rows) == Decimal("-0.3") * 1_002
        assert asked == ["1789900000000", "1789900000999"]

    async def test_a_page_of_one_millisecond_does_not_come_again_forever(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        same = [answers.income(n, time=1_789_900_000_000) for n in range(1_000)]
        venue.answer("GET", "/fapi/v1/income", Reply(same), Reply([]))

        assert len(await client.get_income(start_ms=1_789_900_000_000)) == 1_000

    async def test_fills_go_on_by_trade_id_after_a_full_page(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        pages = [answers.trade(n) for n in range(1_000)], [answers.trade(1_000)]
        venue.answer("GET", "/fapi/v1/userTrades", *(Reply(page) for page in pages))

        fills = await client.get_fills("BTCUSDT", start_ms=START_MS - 1_000)

        first, second = (seen.params for seen in venue.requests("GET", "/fapi/v1/userTrades"))
        assert len(fills) == 1_001
        assert first["startTime"] == str(START_MS - 1_000)
        assert second["fromId"] == "1001000"
        assert "startTime" not in second

    async def test_fills_are_read_in_windows_of_seven_days(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("GET", "/fapi/v1/userTrades", Reply([]))
        day_ms = 86_400_000

        await client.get_fills("BTCUSDT", start_ms=START_MS - 15 * day_ms)
        await client.get_fills("BTCUSDT", order_id=5)

        asked = [seen.params for seen in venue.requests("GET", "/fapi/v1/userTrades")]
        starts = [int(one["startTime"]) for one in asked[:3]]
        assert starts == [START_MS - days * day_ms for days in (15, 8, 1)]
        assert asked[3]["orderId"] == "5"

    async def test_a_margin_type_that_is_already_set_is_success(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        nothing = Reply({"code": -4046, "msg": "No need to change margin type."}, status=400)
        busy = Reply({"code": -4048, "msg": "Margin type cannot be changed"}, status=400)
        venue.answer("POST", "/fapi/v1/marginType", nothing, busy)

        await client.set_margin_type("BTCUSDT", MarginType.CROSS)
        error = await failure_of(client.set_margin_type("BTCUSDT", MarginType.CROSS))

        assert venue.requests("POST", "/fapi/v1/marginType")[0].params["marginType"] == "CROSSED"
        assert error.code == -4048

    async def test_setting_leverage_tells_what_the_venue_set(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        body = {"leverage": 20, "maxNotionalValue": "100000000", "symbol": "BTCUSDT"}
        venue.answer("POST", "/fapi/v1/leverage", Reply(body))

        assert await client.set_leverage("BTCUSDT", 20) == 20

    async def test_the_trading_rules_are_read_once_and_a_broken_contract_is_left_out(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        info = answers.exchange_info(
            answers.symbol_info(), answers.symbol_info("ETHUSDT", filters=[])
        )
        venue.answer("GET", "/fapi/v1/exchangeInfo", Reply(info))

        assert set(await client.get_instruments()) == {"BTCUSDT"}
        assert set(await client.get_instruments()) == {"BTCUSDT"}
        assert len(venue.requests("GET", "/fapi/v1/exchangeInfo")) == 1
        assert client.quarantined[0].symbol == "ETHUSDT"

    async def test_trading_rules_read_anew_replace_the_old_but_for_what_became_unreadable(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        path = "/fapi/v1/exchangeInfo"
        before = [answers.symbol_info(name) for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
        venue.answer("GET", path, Reply(answers.exchange_info(*before)))
        view = client.for_own_orders()
        await view.get_instruments()
        after = [
            answers.symbol_info("BTCUSDT", status="SETTLING"),
            answers.symbol_info("ETHUSDT", filters=[]),
        ]
        venue.answer("GET", path, Reply(answers.exchange_info(*after)))
        await client.refresh_instruments()

        rules = await view.get_instruments()
        assert {name: row.status for name, row in rules.items()} == {
            "BTCUSDT": "SETTLING",
            "ETHUSDT": "TRADING",
        }
        assert len(venue.requests("GET", path)) == 2

    async def test_a_listen_key_is_created_and_extended_without_signature(
        self, venue: VenueStub, client: BinanceFuturesClient
    ) -> None:
        venue.answer("POST", "/fapi/v1/listenKey", Reply({"listenKey": "abc"}))
        venue.answer("PUT", "/fapi/v1/listenKey", Reply({"listenKey": "abc"}))

        assert await client.create_listen_key() == "abc"
        assert await client.keep_alive_listen_key() == "abc"
        assert [seen.raw for seen in venue.seen] == ["", ""]
        assert all(seen.headers["X-MBX-APIKEY"] == KEY for seen in venue.seen)


async def test_mark_prices_candles_and_depth_are_read(
    venue: VenueStub, client: BinanceFuturesClient
) -> None:
    mark = {
        "symbol": "BTCUSDT",
        "markPrice": "60000.10",
        "indexPrice": "60000.00",
        "estimatedSettlePrice": "60000.0",
        "lastFundingRate": "0.00010000",
        "interestRate": "0.00010000",
        "nextFundingTime": 1_790_006_400_000,
        "time": START_MS,
    }
    venue.answer("GET", "/fapi/v1/premiumIndex", Reply(mark), Reply([mark]))
    venue.answer(
        "GET",
        "/fapi/v1/klines",
        Reply([[1, "1", "2", "0.5", "1.5", "9", 2, "10", 3, "4", "5", "0"]]),
    )
    venue.answer(
        "GET",
        "/fapi/v1/depth",
        Reply({"lastUpdateId": 1, "E": 2, "T": 3, "bids": [["1", "2"]], "asks": []}),
    )

    assert (await client.get_mark_price("BTCUSDT")).mark_price == Decimal("60000.1")
    assert set(await client.get_mark_prices()) == {"BTCUSDT"}
    assert (await client.get_klines("BTCUSDT", "1m"))[0].close == Decimal("1.5")
    assert (await client.get_order_book("BTCUSDT", 5)).bids == ((Decimal(1), Decimal(2)),)

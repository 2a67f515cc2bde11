"""The paper exchange's protocol: keys, clocks, signatures, rates, stream names, connections."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.paper.protocol.auth import KeyPair, KeyRing, Security, authorise
from trader_cli.paper.protocol.limits import MessageRate, RateLimits, RateLimitSettings, RateRefusal
from trader_cli.paper.protocol.messages import (
    HttpRequest,
    StrictParams,
    error_body,
    error_status,
    read_parameters,
    signed_payload,
)
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.streams.stream_names import Room, StreamKind, parse_address, parse_stream
from trader_cli.paper.streams.subscriptions import CONNECTION_LIFE_MS, STREAMS_MAX, Subscriptions
from trader_cli.paper.streams.user_streams import LISTEN_KEY_LIFE_MS, ListenKeys

NOW_MS = 1_780_000_000_000
KEYS = KeyPair(api_key="k" * 64, api_secret="s" * 64)
RING = KeyRing(KEYS)


def sign(payload: str) -> str:
    return hmac.new(KEYS.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def request(query: str = "", body: str = "", *, method: str = "POST", key: str | None = None):
    headers = {"x-mbx-apikey": KEYS.api_key if key is None else key}
    return HttpRequest(
        method=method, path="/x", raw_query=query, headers=headers, raw_body=body.encode()
    )


def check(sent: HttpRequest, now_ms: int = NOW_MS, security: Security = Security.SIGNED) -> None:
    params = Params(read_parameters(sent))
    authorise(sent, params, security=security, keys=RING, now_ms=now_ms)


def refusal_of(sent: HttpRequest, now_ms: int = NOW_MS) -> tuple[int, int, str]:
    with pytest.raises(VenueRefusal) as caught:
        check(sent, now_ms)
    body = error_body(caught.value)
    return caught.value.code, error_status(caught.value), str(body["msg"])


class TestSignature:
    def test_the_published_vector_verifies(self) -> None:
        secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
        payload = (
            b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000"
            b"&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943"
        )
        signature = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
        keys = KeyPair(api_key="k", api_secret=secret)

        assert keys.verifies(payload, signature)
        assert keys.verifies(payload, signature.upper())
        assert not keys.verifies(payload + b"0", signature)

    @pytest.mark.parametrize(
        ("query", "body"),
        [
            (f"symbol=A&timestamp={NOW_MS}", ""),
            ("", f"symbol=A&timestamp={NOW_MS}"),
            ("symbol=A", f"timestamp={NOW_MS}"),
            (f"batch=%5B%22a%22%5D&timestamp={NOW_MS}", ""),
            ("", f'batch=[{{"a":"b"}}]&timestamp={NOW_MS}'),
        ],
    )
    def test_query_and_body_are_signed_together_as_received(self, query: str, body: str) -> None:
        signature = f"&signature={sign(query + body)}"

        if body:
            check(request(query, body + signature))
        else:
            check(request(query + signature, body))

    def test_the_signature_may_travel_in_the_query_of_a_signed_body(self) -> None:
        body = f"symbol=A&timestamp={NOW_MS}"

        check(request(f"signature={sign(body)}", body))

    @pytest.mark.parametrize("name", ["signature", "Signature"])
    def test_a_signature_before_other_parameters_signs_nothing(self, name: str) -> None:
        query = f"symbol=A&timestamp={NOW_MS}"

        first, last = query.split("&")
        for raw in (f"{name}={sign(query)}&{query}", f"{first}&{name}={sign(query)}&{last}"):
            code, status, _ = refusal_of(request(raw))
            assert (code, status) == (-1022, 400)
        check(request(f"{query}&{name}={sign(query)}"))

    def test_a_changed_byte_is_refused(self) -> None:
        query = f"quantity=1&timestamp={NOW_MS}"

        code, status, text = refusal_of(request(f"quantity=2{query[10:]}&signature={sign(query)}"))

        assert (code, status) == (-1022, 400)
        assert text == "Signature for this request is not valid."

    @pytest.mark.parametrize("signature", ["%C3%A9", "é", "0" * 63, "%"])
    def test_what_no_signature_can_be_is_a_wrong_one(self, signature: str) -> None:
        code, status, _ = refusal_of(request(f"timestamp={NOW_MS}&signature={signature}"))

        assert (code, status) == (-1022, 400)

    @given(st.text(alphabet="abz%&=+ é/:", max_size=30), st.booleans())
    def test_whatever_is_sent_the_raw_bytes_are_what_is_signed(self, value: str, in_body: bool):
        raw = f"value={quote(value, safe='')}&timestamp={NOW_MS}"
        signed = f"{raw}&signature={sign(raw)}"

        payload, _ = signed_payload(request("" if in_body else signed, signed if in_body else ""))

        assert payload == raw.encode()
        check(request("" if in_body else signed, signed if in_body else ""))


class TestKeyAndClock:
    @pytest.mark.parametrize(
        ("key", "code"), [("", -2014), ("short", -2014), ("!" * 64, -2014), ("x" * 64, -2015)]
    )
    def test_another_key_is_refused_with_401(self, key: str, code: int) -> None:
        query = f"timestamp={NOW_MS}"

        found, status, _ = refusal_of(request(f"{query}&signature={sign(query)}", key=key))

        assert (found, status) == (code, 401)

    def test_a_key_header_is_enough_where_no_signature_is_asked(self) -> None:
        check(request(), security=Security.KEY)
        with pytest.raises(VenueRefusal):
            check(request(key="x" * 64), security=Security.KEY)

    @pytest.mark.parametrize("missing", ["timestamp", "signature"])
    def test_missing_parts_are_named(self, missing: str) -> None:
        sent = {
            "timestamp": "symbol=A&signature=0",
            "signature": f"symbol=A&timestamp={NOW_MS}",
        }[missing]

        code, status, text = refusal_of(request(sent))

        assert (code, status) == (-1102, 400)
        assert f"'{missing}'" in text

    @pytest.mark.parametrize(
        ("age_ms", "window", "words"),
        [
            (-999, "", None),
            (-1_000, "", "1000ms ahead"),
            (5_000, "", None),
            (5_001, "", "outside of the recvWindow"),
            (60_000, "&recvWindow=60000", None),
            (60_001, "&recvWindow=60000", "outside of the recvWindow"),
            (0, "&recvWindow=60001", "recvWindow must be less than 60000"),
        ],
    )
    def test_the_clock_window_has_sharp_edges(
        self, age_ms: int, window: str, words: str | None
    ) -> None:
        query = f"timestamp={NOW_MS - age_ms}{window}"
        sent = request(f"{query}&signature={sign(query)}")

        if words is None:
            check(sent)
        else:
            assert words in refusal_of(sent)[2]


class TestParameters:
    def test_the_query_wins_and_names_match_in_any_case(self) -> None:
        values = read_parameters(request("SYMBOL=A", "symbol=B&ORDERID=7"))

        params = Params(values)
        assert params.needed("symbol") == "A"
        assert params.integer("orderId") == 7

    def test_a_name_twice_in_one_place_is_refused(self) -> None:
        with pytest.raises(VenueRefusal) as caught:
            read_parameters(request("symbol=A&Symbol=B"))
        assert caught.value.code == -1101

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        sent = HttpRequest(method="POST", path="/x", raw_body=b"\xff\xfe")
        with pytest.raises(VenueRefusal) as caught:
            read_parameters(sent)
        assert caught.value.code == -1100

    def test_strict_parameters_count_what_nobody_read(self) -> None:
        params = StrictParams({"symbol": "A", "colour": "red", "timestamp": "1"})

        params.needed("symbol")
        with pytest.raises(VenueRefusal) as caught:
            params.check_all_read()
        assert caught.value.arguments == (1, 2)
        params.text("colour")
        params.check_all_read()


class TestRateLimits:
    def test_the_last_weight_passes_and_the_next_is_429_with_the_wait(self) -> None:
        limits = RateLimits(RateLimitSettings(weight_per_minute=10))
        now_ms = NOW_MS - NOW_MS % 60_000 + 15_500

        assert limits.charge_weight("a", 10, now_ms) == 10
        with pytest.raises(RateRefusal) as caught:
            limits.charge_weight("a", 1, now_ms)

        assert (caught.value.code, caught.value.status) == (-1003, 429)
        assert caught.value.retry_after_s == 45
        assert limits.charge_weight("b", 1, now_ms) == 1
        assert limits.charge_weight("a", 1, now_ms + 44_500) == 1

    def test_ignoring_429_is_a_ban_that_doubles(self) -> None:
        settings = RateLimitSettings(weight_per_minute=1, ignored_max=2, ban_ms_min=120_000)
        limits = RateLimits(settings)
        now_ms = NOW_MS - NOW_MS % 60_000

        def statuses(count: int) -> list[int]:
            found = []
            for _ in range(count):
                with pytest.raises(RateRefusal) as caught:
                    limits.charge_weight("a", 2, now_ms)
                found.append(caught.value.status)
            return found

        assert statuses(3) == [429, 429, 418]
        with pytest.raises(RateRefusal) as banned:
            limits.charge_weight("a", 0, now_ms + 119_999)
        assert banned.value.status == 418
        assert str(now_ms + 120_000) in str(error_body(banned.value)["msg"])
        now_ms += 120_000
        limits.charge_weight("a", 0, now_ms)
        assert statuses(3)[-1] == 418
        with pytest.raises(RateRefusal):
            limits.charge_weight("a", 0, now_ms + 239_999)
        limits.charge_weight("a", 0, now_ms + 240_000)

    @pytest.mark.parametrize(("per_10s", "per_minute"), [(3, 100), (100, 3)])
    def test_order_counts_have_both_windows(self, per_10s: int, per_minute: int) -> None:
        limits = RateLimits(RateLimitSettings(orders_per_10s=per_10s, orders_per_minute=per_minute))
        now_ms = NOW_MS - NOW_MS % 60_000

        for _ in range(3):
            limits.charge_orders(1, 1, now_ms)
        with pytest.raises(RateRefusal) as caught:
            limits.charge_orders(1, 1, now_ms)

        assert (caught.value.code, caught.value.status) == (-1015, 429)
        assert limits.order_headers(now_ms)["X-MBX-ORDER-COUNT-10S"] == "3"
        limits.charge_orders(1, 1, now_ms + (10_000 if per_10s == 3 else 60_000))

    def test_switched_off_limits_count_but_never_refuse(self) -> None:
        limits = RateLimits(RateLimitSettings(enabled=False, weight_per_minute=1))

        assert limits.charge_weight("a", 5_000, NOW_MS) == 5_000
        assert limits.weight_headers("a", NOW_MS) == {"X-MBX-USED-WEIGHT-1M": "5000"}

    def test_a_connection_may_talk_ten_times_a_second(self) -> None:
        rate = MessageRate(10)

        assert all(rate.allows(NOW_MS + i) for i in range(10))
        assert not rate.allows(NOW_MS + 999)
        assert rate.allows(NOW_MS + 2_500)


_TWO = ("a@trade", "b@trade")


class TestStreamNames:
    @pytest.mark.parametrize(
        ("name", "kind", "every_ms"),
        [
            ("btcusdt@bookTicker", StreamKind.BOOK_TICKER, 0),
            ("btcusdt@aggTrade", StreamKind.AGG_TRADE, 0),
            ("btcusdt@trade", StreamKind.TRADE, 0),
            ("btcusdt@markPrice", StreamKind.MARK_PRICE, 3_000),
            ("btcusdt@markPrice@1s", StreamKind.MARK_PRICE, 1_000),
            ("btcusdt@depth", StreamKind.DEPTH, 250),
            ("btcusdt@depth@0ms", StreamKind.DEPTH, 0),
            ("btcusdt@depth@100ms", StreamKind.DEPTH, 100),
            ("btcusdt@depth20@500ms", StreamKind.PARTIAL_DEPTH, 500),
            ("btcusdt@kline_1m", StreamKind.KLINE, 250),
            ("btcusdt_perpetual@continuousKline_1M", StreamKind.CONTINUOUS_KLINE, 250),
            ("btcusdt@miniTicker", StreamKind.MINI_TICKER, 2_000),
            ("btcusdt@ticker", StreamKind.TICKER, 2_000),
            ("!bookTicker", StreamKind.ALL_BOOK_TICKER, 0),
            ("!markPrice@arr@1s", StreamKind.ALL_MARK_PRICE, 1_000),
        ],
    )
    def test_every_stream_is_known_by_name(
        self, name: str, kind: StreamKind, every_ms: int
    ) -> None:
        stream = parse_stream(name)

        assert stream is not None
        assert (stream.kind, stream.every_ms) == (kind, every_ms)
        assert stream.symbol == (None if name.startswith("!") else "BTCUSDT")

    @pytest.mark.parametrize("name", ["0", "", "btcusdt", "btcusdt@kline_7m", "btcusdt@depth7"])
    def test_other_words_are_no_streams(self, name: str) -> None:
        assert parse_stream(name) is None

    @pytest.mark.parametrize(
        ("path", "query", "room", "combined", "names"),
        [
            ("/public/ws", "", Room.PUBLIC, False, ()),
            ("/public/ws/0", "", Room.PUBLIC, False, ()),
            ("/market/stream", "streams=a@trade/b@trade", Room.MARKET, True, _TWO),
            ("/market/ws/a@trade/b@trade", "", Room.MARKET, False, _TWO),
            ("/private/ws", "listenKey=K", Room.PRIVATE, False, ("K",)),
            ("/private/ws/" + "K" * 64, "", Room.PRIVATE, False, ("K" * 64,)),
            ("/private/stream", "listenKey=K&listenKey=L", Room.PRIVATE, True, ("K", "L")),
            ("/ws/" + "K" * 64, "", Room.LEGACY, False, ("K" * 64,)),
            ("/stream", "streams=" + "K" * 64, Room.LEGACY, True, ("K" * 64,)),
        ],
    )  # fmt: skip
    def test_addresses_are_read_as_clients_write_them(
        self, path: str, query: str, room: Room, combined: bool, names: tuple[str, ...]
    ) -> None:
        address = parse_address(path, query)

        assert address is not None
        assert (address.room, address.combined, address.names) == (room, combined, names)

    @pytest.mark.parametrize("path", ["/", "/fapi/v1/ping", "/public", "/wss", "/other/ws"])
    def test_other_paths_are_no_streams(self, path: str) -> None:
        assert parse_address(path, "") is None


@dataclass
class Ear:
    """A sink that remembers."""

    texts: list[str] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def send(self, text: str, *, droppable: bool) -> None:
        self.texts.append(text)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def take(self) -> list[Any]:
        heard = [json.loads(text) for text in self.texts]
        self.texts.clear()
        return heard


@pytest.fixture
def listen_keys() -> ListenKeys:
    numbers = iter(range(100))
    return ListenKeys(lambda: f"{next(numbers):064d}")


class TestListenKeys:
    def test_asking_again_gives_the_same_key_another_hour(self, listen_keys: ListenKeys) -> None:
        key = listen_keys.create(NOW_MS)

        assert listen_keys.create(NOW_MS + LISTEN_KEY_LIFE_MS - 1) == key
        assert listen_keys.is_alive(key, NOW_MS + LISTEN_KEY_LIFE_MS)
        assert listen_keys.create(NOW_MS + 3 * LISTEN_KEY_LIFE_MS) != key

    def test_an_unknown_key_is_1125(self, listen_keys: ListenKeys) -> None:
        for act in (listen_keys.extend, listen_keys.close):
            with pytest.raises(VenueRefusal) as caught:
                act(NOW_MS)
            assert caught.value.code == -1125

    def test_an_expired_key_is_told_once_then_silence(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        key = listen_keys.create(NOW_MS)
        subscriptions.open("/private/ws", f"listenKey={key}", ear, NOW_MS)
        late_ms = NOW_MS + LISTEN_KEY_LIFE_MS

        subscriptions.expire(late_ms - 1)
        assert ear.take() == []
        subscriptions.expire(late_ms)
        subscriptions.expire(late_ms + 1)
        subscriptions.publish_user([{"e": "ACCOUNT_UPDATE"}], late_ms + 2)

        assert ear.take() == [{"e": "listenKeyExpired", "E": late_ms, "listenKey": key}]
        assert ear.closed is None


class TestSubscriptions:
    def test_rooms_hear_their_own_streams_only(self, listen_keys: ListenKeys) -> None:
        subscriptions = Subscriptions(listen_keys)
        names = "streams=btcusdt@bookTicker/btcusdt@markPrice"
        ears = {room: Ear() for room in ("/public", "/market", "/private", "")}
        for room, ear in ears.items():
            subscriptions.open(f"{room}/stream", names, ear, NOW_MS)

        subscriptions.publish_market("btcusdt@bookTicker", {"e": "bookTicker"})
        subscriptions.publish_market("btcusdt@markPrice", {"e": "markPriceUpdate"})

        kinds = {room: [m["data"]["e"] for m in ear.take()] for room, ear in ears.items()}
        assert kinds == {
            "/public": ["bookTicker"],
            "/market": ["markPriceUpdate"],
            "/private": [],
            "": ["bookTicker", "markPriceUpdate"],
        }

    def test_a_strict_unrouted_connection_hears_public_streams_only(
        self, listen_keys: ListenKeys
    ) -> None:
        subscriptions, ear = Subscriptions(listen_keys, strict_legacy=True), Ear()
        key = listen_keys.create(NOW_MS)
        subscriptions.open("/stream", f"streams=a@bookTicker/a@aggTrade/{key}", ear, NOW_MS)

        subscriptions.publish_market("a@bookTicker", 1)
        subscriptions.publish_market("a@aggTrade", 2)
        subscriptions.publish_user([{"e": "ACCOUNT_UPDATE"}], NOW_MS)

        assert ear.take() == [{"stream": "a@bookTicker", "data": 1}]

    @pytest.mark.parametrize("number", [7, "5c1f8f1e-uuid", None])
    def test_control_messages_echo_any_id(
        self, listen_keys: ListenKeys, number: int | str | None
    ) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/public/ws/0", "", ear, NOW_MS)
        assert connection is not None

        def say(method: str, params: object) -> object:
            message = {"method": method, "params": params, "id": number}
            subscriptions.receive(connection, json.dumps(message), NOW_MS)
            return ear.take()[-1]

        assert say("SUBSCRIBE", ["a@bookTicker"]) == {"result": None, "id": number}
        assert say("LIST_SUBSCRIPTIONS", []) == {"result": ["a@bookTicker"], "id": number}
        subscriptions.publish_market("a@bookTicker", {"u": 1})
        assert ear.take() == [{"u": 1}]
        assert say("SET_PROPERTY", ["combined", True]) == {"result": None, "id": number}
        assert say("GET_PROPERTY", ["combined"]) == {"result": True, "id": number}
        assert say("UNSUBSCRIBE", ["a@bookTicker"]) == {"result": None, "id": number}
        assert subscriptions.active_streams == []

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("{", 3),
            ("[]", 2),
            ('{"method":"DANCE","id":1}', 2),
            ("[" * 100_000, 3),
            ('{"method":"LIST_SUBSCRIPTIONS","id":18446744073709551616}', 3),
            ('{"method":"SUBSCRIBE","params":["\\ud800@aggTrade"],"id":1}', 3),
            ('{"method":"SUBSCRIBE","params":"a","id":1}', 2),
            ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
            ('{"method":"SUBSCRIBE","params":["no stream"],"id":1}', 2),
            ('{"params":[],"id":1}', 2),
            ('{"method":"SET_PROPERTY","params":["combined","x"],"id":1}', 1),
            ('{"method":"GET_PROPERTY","params":["mood"],"id":1}', 0),
        ],
    )
    def test_bad_control_messages_are_answered(
        self, listen_keys: ListenKeys, text: str, code: int
    ) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/ws", "", ear, NOW_MS)
        assert connection is not None

        subscriptions.receive(connection, text, NOW_MS)

        [told] = ear.take()
        assert (told["code"], told["error"]["code"]) == (code, code)

    def test_a_refused_control_message_names_its_error_and_echoes_the_id(
        self, listen_keys: ListenKeys
    ) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/market/ws", "", ear, NOW_MS)
        assert connection is not None

        subscriptions.receive(connection, '{"method":"DANCE","id":"a-uuid"}', NOW_MS)

        words = "Invalid request: unknown variant `DANCE`"
        error = {"code": 2, "msg": words}
        assert ear.take() == [{**error, "error": error, "id": "a-uuid"}]

    def test_the_streams_of_a_connection_are_bounded(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/ws", "", ear, NOW_MS)
        assert connection is not None
        names = [f"c{i}@trade" for i in range(STREAMS_MAX + 1)]

        for params, failed in ((names, True), (names[:-1], False)):
            message = {"method": "SUBSCRIBE", "params": params, "id": 1}
            subscriptions.receive(connection, json.dumps(message), NOW_MS)
            assert ("error" in ear.take()[0]) == failed

    def test_talking_too_fast_ends_the_connection(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/ws", "", ear, NOW_MS)
        assert connection is not None

        for _ in range(10):
            subscriptions.receive(connection, "{}", NOW_MS)
        assert ear.closed is None
        subscriptions.receive(connection, "{}", NOW_MS)
        assert ear.closed is not None

    def test_user_events_keep_their_order_and_honour_the_filter(
        self, listen_keys: ListenKeys
    ) -> None:
        subscriptions, all_ears, some = Subscriptions(listen_keys), Ear(), Ear()
        key = listen_keys.create(NOW_MS)
        subscriptions.open("/private/ws", f"listenKey={key}", all_ears, NOW_MS)
        events = "ORDER_TRADE_UPDATE/ALGO_UPDATE"
        subscriptions.open("/private/stream", f"listenKey={key}&events={events}", some, NOW_MS)
        sent = [{"e": "TRADE_LITE"}, {"e": "ORDER_TRADE_UPDATE"}, {"e": "ACCOUNT_UPDATE"}]

        subscriptions.publish_user(sent, NOW_MS)

        assert all_ears.take() == sent
        assert some.take() == [{"stream": key, "data": {"e": "ORDER_TRADE_UPDATE"}}]

    def test_a_listen_key_may_be_subscribed_later(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/private/stream", "", ear, NOW_MS)
        assert connection is not None
        key = listen_keys.create(NOW_MS)

        message = {"method": "SUBSCRIBE", "params": [key], "id": "x"}
        subscriptions.receive(connection, json.dumps(message), NOW_MS)
        subscriptions.publish_user([{"e": "ALGO_UPDATE"}], NOW_MS)

        assert ear.take()[1:] == [{"stream": key, "data": {"e": "ALGO_UPDATE"}}]

    def test_a_connection_lives_a_day(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        subscriptions.open("/ws", "", ear, NOW_MS)

        subscriptions.expire(NOW_MS + CONNECTION_LIFE_MS - 1)
        assert ear.closed is None
        subscriptions.expire(NOW_MS + CONNECTION_LIFE_MS)
        assert ear.closed is not None

    def test_a_closed_connection_is_forgotten(self, listen_keys: ListenKeys) -> None:
        subscriptions, ear = Subscriptions(listen_keys), Ear()
        connection = subscriptions.open("/ws/a@trade", "", ear, NOW_MS)
        assert connection is not None

        subscriptions.close(connection)
        subscriptions.publish_market("a@trade", 1)

        assert (len(subscriptions), subscriptions.active_streams, ear.texts) == (0, [], [])

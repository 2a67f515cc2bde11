"""The WebSocket trading API: its envelope, its signatures, its sessions, its limits."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import eddsa, pkcs1_15
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paper import KEYS, Ear, ManualClock, PaperVenue, paper_server, signature_of
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.api.ws_api import HANDSHAKE_WEIGHT, TWINS, Session
from trader_cli.paper.protocol.limits import RateLimitSettings, RateRefusal
from trader_cli.paper.protocol.messages import HttpRequest
from trader_cli.paper.streams.subscriptions import CONNECTION_LIFE_MS

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.002",
    "price": "94000",
}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.002",
    "triggerPrice": "90000",
}
ED25519 = ECC.generate(curve="Ed25519")
RSA_KEY = RSA.generate(2048)
P256 = ECC.generate(curve="P-256").public_key().export_key(format="PEM")
PEMS = {
    "Ed25519": ED25519.public_key().export_key(format="PEM"),
    "RSA": RSA_KEY.public_key().export_key().decode(),
}


def signed_by(kind: str, payload: str) -> str:
    """Return a signature as a client of that key kind makes it."""
    if kind == "HMAC":
        return signature_of(payload)
    if kind == "Ed25519":
        return b64encode(eddsa.new(ED25519, "rfc8032").sign(payload.encode())).decode()
    return b64encode(pkcs1_15.new(RSA_KEY).sign(SHA256.new(payload.encode()))).decode()


def payload_of(params: dict[str, Any]) -> str:
    """Return what the documentation says a message's signature covers."""
    return "&".join(f"{name}={value}" for name, value in sorted(params.items()))


@dataclass
class Caller:
    """A client of the trading API, in memory."""

    paper: PaperVenue = field(default_factory=PaperVenue)
    query: str = ""
    ear: Ear = field(default_factory=Ear)

    def __post_init__(self) -> None:
        now_ms = self.paper.clock.now_ms()
        self.session: Session = self.paper.exchange.ws_api.open(
            self.query, self.ear, "127.0.0.1", now_ms
        )

    def send(self, text: str) -> list[Any]:
        self.paper.exchange.ws_api.receive(self.session, text, self.paper.clock.now_ms())
        return self.ear.take()

    def call(self, method: str, params: dict[str, Any], given: object = 1) -> Any:
        (answer,) = self.send(json.dumps({"id": given, "method": method, "params": params}))
        assert answer["id"] == given
        return answer

    def signed(self, method: str, params: dict[str, Any], *, key: str = KEYS.api_key) -> Any:
        kind = {KEYS.api_key: "HMAC"}.get(key, key)
        full = params | {"apiKey": key, "timestamp": self.paper.clock.now_ms()}
        return self.call(method, full | {"signature": signed_by(kind, payload_of(full))})

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        answer = self.signed(method, params or {})
        assert answer["status"] == 200, answer
        return answer["result"]

    def refused(self, method: str, params: dict[str, Any]) -> tuple[int, int]:
        answer = self.signed(method, params)
        return answer["status"], answer["error"]["code"]

    def register(self, kind: str) -> None:
        """Register the public half of a key of that kind, under its kind's name."""
        wish = {"api_key": kind, "public_key": PEMS[kind]}
        answer = self.paper.ask("POST", "/paper/keys", wish, signed=False, in_body=True)
        assert answer == {"api_key": kind, "kind": kind}


@pytest.fixture
def caller() -> Caller:
    return Caller()


class TestCalls:
    def test_an_order_lives_from_place_to_cancel(self, caller: Caller) -> None:
        placed = caller.ask("order.place", RESTING)
        which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
        change = which | {"side": "BUY", "quantity": "0.003", "price": "93000", "modifyId": 5}
        moved = caller.ask("order.modify", change)
        seen = caller.ask("order.status", which)
        gone = caller.ask("order.cancel", which)

        assert (placed["status"], "avgPrice" in placed) == ("NEW", False)
        assert (moved["price"], moved["origQty"], moved["modifyId"]) == ("93000.00", "0.003", 5)
        assert seen["avgPrice"] == "0.000"
        assert gone["status"] == "CANCELED"
        assert caller.refused("order.cancel", which) == (400, -2011)

    def test_a_conditional_order_is_placed_and_cancelled(self, caller: Caller) -> None:
        placed = caller.ask("algoOrder.place", STOP)
        gone = caller.ask("algoOrder.cancel", {"algoId": placed["algoId"]})

        assert (placed["algoStatus"], placed["orderType"]) == ("NEW", "STOP_MARKET")
        assert (gone["code"], gone["algoId"]) == ("200", placed["algoId"])

    @pytest.mark.parametrize(
        ("method", "path", "left_out"),
        [
            ("account.status", "/fapi/v2/account", {"feeBurn"}),
            ("v2/account.status", "/fapi/v3/account", set()),
            ("account.balance", "/fapi/v2/balance", set()),
            ("v2/account.balance", "/fapi/v3/balance", set()),
            ("account.position", "/fapi/v2/positionRisk", set()),
            ("v2/account.position", "/fapi/v3/positionRisk", set()),
        ],
    )
    def test_the_account_is_told_as_over_http(
        self, caller: Caller, method: str, path: str, left_out: set[str]
    ) -> None:
        caller.ask("order.place", RESTING)

        told, expected = caller.ask(method), caller.paper.ask("GET", path)

        if method == "v2/account.status":
            assert all(asset.pop("marginAvailable") for asset in told["assets"])
        if left_out:
            expected = {name: value for name, value in expected.items() if name not in left_out}
        assert told == expected

    def test_open_data_needs_no_key(self, caller: Caller) -> None:
        depth = caller.call("depth", {"symbol": "BTCUSDT", "limit": 5})
        price = caller.call("ticker.price", {"symbol": "BTCUSDT"})
        book = caller.call("ticker.book", {})

        assert len(depth["result"]["bids"]) == 5
        assert Decimal(price["result"]["price"]) == 95_000
        assert {row["symbol"] for row in book["result"]} >= {"BTCUSDT", "ETHUSDT"}

    def test_a_listen_key_is_the_one_http_gives_and_no_event_comes_here(
        self, caller: Caller
    ) -> None:
        key = {"apiKey": KEYS.api_key}
        started = caller.call("userDataStream.start", key)["result"]
        user, _ = caller.paper.listen("/private/ws", f"listenKey={started['listenKey']}")

        caller.ask("order.place", RESTING)

        assert started == caller.paper.ask("POST", "/fapi/v1/listenKey", signed=False)
        assert caller.call("userDataStream.ping", key)["result"] == started
        assert [event["e"] for event in user.take()] == ["ORDER_TRADE_UPDATE"]
        assert caller.ear.take() == []
        assert caller.call("userDataStream.stop", key)["result"] == {}
        assert caller.call("userDataStream.ping", key)["error"]["code"] == -1125

    def test_an_unknown_parameter_counts_only_where_the_exchange_is_strict(self) -> None:
        strict = Caller(PaperVenue(settings=ExchangeSettings(strict_parameters=True)))

        assert Caller().ask("order.place", RESTING | {"colour": "red"})["status"] == "NEW"
        assert strict.ask("order.place", RESTING)["status"] == "NEW"
        assert strict.refused("order.place", RESTING | {"colour": "red"}) == (400, -1104)


class TestEnvelope:
    @pytest.mark.parametrize("given", [1, "a", None, 2**60, 1.5, "7f6c", [1, {"a": None}], {}])
    def test_ids_of_any_type_come_back_as_they_are(self, caller: Caller, given: object) -> None:
        assert caller.call("ticker.price", {"symbol": "BTCUSDT"}, given)["id"] == given

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("{", -1130),
            ("[]", -1130),
            ("7", -1130),
            ("[" * 100_000, -1130),
            ('{"id": 18446744073709551616, "method": "ticker.price"}', -1130),
            ('{"id": "\\ud800", "method": "ticker.price"}', -1130),
            ('{"method": "order.place", "params": {"signature": "\\ud800"}}', -1130),
            ('{"id": 1}', -1020),
            ('{"method": "order.dance"}', -1020),
            ('{"method": "ticker.price", "params": ["symbol"]}', -1130),
            ('{"method": "ticker.price", "params": "symbol"}', -1130),
            ('{"method": ["order.place"]}', -1020),
            ('{"method": "order.place", "params": {}}', -1102),
            ('{"method": "order.place", "params": []}', -1102),
            ('{"method": "depth", "params": {"symbol": {"a": 1}}}', -1121),
        ],
    )
    def test_what_is_no_request_is_refused_and_the_connection_stays(
        self, caller: Caller, text: str, code: int
    ) -> None:
        (answer,) = caller.send(text)

        assert (answer["status"], answer["error"]["code"]) == (400, code)
        assert caller.ear.closed is None
        assert caller.call("ticker.price", {"symbol": "BTCUSDT"})["status"] == 200

    @given(st.text(max_size=40))
    @settings(max_examples=50, deadline=None)
    def test_whatever_is_said_one_answer_comes(self, text: str) -> None:
        (answer,) = Caller().send(text)

        assert isinstance(answer["error"]["code"], int)


class TestSignatures:
    @pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
    def test_public_keys_sign_messages(self, caller: Caller, kind: str) -> None:
        caller.register(kind)

        assert caller.signed("order.place", RESTING, key=kind)["status"] == 200

    def test_a_changed_value_or_a_stranger_is_refused(self, caller: Caller) -> None:
        now_ms = caller.paper.clock.now_ms()
        full = RESTING | {"apiKey": KEYS.api_key, "timestamp": now_ms}
        signature = signature_of(payload_of(full))

        changed = caller.call("order.place", full | {"price": "1", "signature": signature})
        stranger = caller.signed("order.place", RESTING | {}, key=KEYS.api_key[:-1] + "x")

        assert (changed["status"], changed["error"]["code"]) == (400, -1022)
        assert (stranger["status"], stranger["error"]["code"]) == (401, -2015)
        assert caller.paper.ask("GET", "/fapi/v1/openOrders") == []

    def test_numbers_are_signed_with_the_digits_they_were_sent_with(self, caller: Caller) -> None:
        now_ms = caller.paper.clock.now_ms()
        values = RESTING | {"quantity": "0.0020", "price": "94000.10", "apiKey": KEYS.api_key}
        signature = signature_of(payload_of(values | {"timestamp": now_ms}))
        text = json.dumps(values | {"timestamp": now_ms, "signature": signature})
        text = text.replace('"0.0020"', "0.0020").replace('"94000.10"', "94000.10")

        (answer,) = caller.send(f'{{"id": 1, "method": "order.place", "params": {text}}}')

        assert (answer["status"], answer["result"]["price"]) == (200, "94000.10")

    @pytest.mark.parametrize("word", ["true", "True"])
    def test_booleans_may_be_signed_as_json_or_python_spells_them(
        self, caller: Caller, word: str
    ) -> None:
        values = STOP | {"apiKey": KEYS.api_key, "timestamp": caller.paper.clock.now_ms()}
        signature = signature_of(payload_of(values | {"priceProtect": word}))

        sent = values | {"priceProtect": True, "signature": signature}
        answer = caller.call("algoOrder.place", sent)

        assert (answer["status"], answer["result"]["priceProtect"]) == (200, True)

    @pytest.mark.parametrize("missing", ["apiKey", "timestamp", "signature"])
    def test_missing_parts_are_named(self, caller: Caller, missing: str) -> None:
        full = RESTING | {"apiKey": KEYS.api_key, "timestamp": 1, "signature": "0"}

        answer = caller.call("order.place", {k: v for k, v in full.items() if k != missing})

        assert (answer["status"], answer["error"]["code"]) == (400, -1102)
        assert f"'{missing}'" in answer["error"]["msg"]

    def test_the_clock_is_checked(self, caller: Caller) -> None:
        late = RESTING | {"apiKey": KEYS.api_key, "timestamp": caller.paper.clock.now_ms() - 5_001}

        answer = caller.call("order.place", late | {"signature": signature_of(payload_of(late))})

        assert answer["error"]["code"] == -1021


class TestSessions:
    def test_a_logged_on_session_needs_no_signature(self, caller: Caller) -> None:
        caller.register("Ed25519")
        before = caller.call("session.status", {})["result"]

        on = caller.signed("session.logon", {}, key="Ed25519")["result"]
        stamp = {"timestamp": caller.paper.clock.now_ms()}
        placed = caller.call("order.place", RESTING | stamp)
        out = caller.call("session.logout", {})["result"]

        assert (before["apiKey"], before["authorizedSince"]) == (None, None)
        assert (on["apiKey"], on["authorizedSince"]) == ("Ed25519", caller.paper.clock.now_ms())
        assert on.keys() == {
            "apiKey",
            "authorizedSince",
            "connectedSince",
            "returnRateLimits",
            "serverTime",
        }
        assert placed["status"] == 200
        assert out["apiKey"] is None
        assert caller.call("order.place", RESTING | stamp)["error"]["code"] == -1102

    def test_a_session_still_asks_for_the_time(self, caller: Caller) -> None:
        caller.register("Ed25519")
        caller.signed("session.logon", {}, key="Ed25519")

        assert caller.call("order.place", RESTING)["error"]["code"] == -1102
        assert caller.call("order.place", RESTING | {"timestamp": 1})["error"]["code"] == -1021

    @pytest.mark.parametrize("kind", ["HMAC", "RSA"])
    def test_only_ed25519_keys_log_on(self, caller: Caller, kind: str) -> None:
        if kind == "RSA":
            caller.register("RSA")
        key = KEYS.api_key if kind == "HMAC" else kind

        answer = caller.signed("session.logon", {}, key=key)

        assert (answer["status"], answer["error"]["code"]) == (400, -4056)

    def test_a_revoked_key_is_told_and_logged_off(self, caller: Caller) -> None:
        caller.register("Ed25519")
        caller.signed("session.logon", {}, key="Ed25519")

        caller.paper.ask("DELETE", "/paper/keys", {"api_key": "Ed25519"}, signed=False)

        (told,) = caller.ear.take()
        assert (told["id"], told["status"], told["error"]["code"]) == (None, 401, -2015)
        assert caller.signed("order.place", RESTING, key="Ed25519")["status"] == 401

    def test_a_connection_lives_a_day(self, caller: Caller) -> None:
        caller.paper.advance(CONNECTION_LIFE_MS - 1)
        assert caller.ear.closed is None
        caller.paper.advance(1)
        assert caller.ear.closed is not None


class TestLimits:
    def test_weights_and_counts_are_http_s_own(self, caller: Caller) -> None:
        caller.paper.ask("GET", "/fapi/v3/balance")
        caller.paper.ask("POST", "/fapi/v1/order", RESTING)

        answer = caller.signed("order.place", RESTING)
        read = caller.signed("v2/account.balance", {})

        counts = [(row["rateLimitType"], row["count"]) for row in answer["rateLimits"]]
        assert counts == [("REQUEST_WEIGHT", 5 + HANDSHAKE_WEIGHT), ("ORDERS", 2), ("ORDERS", 2)]
        assert [row["count"] for row in read["rateLimits"]] == [10 + HANDSHAKE_WEIGHT]
        header = caller.paper.request("GET", "/fapi/v1/time").headers["X-MBX-USED-WEIGHT-1M"]
        assert header == str(11 + HANDSHAKE_WEIGHT)

    def test_limits_are_hidden_by_address_and_by_request(self) -> None:
        quiet = Caller(query="returnRateLimits=false")
        loud = Caller()
        one = {"symbol": "BTCUSDT"}

        assert "rateLimits" not in quiet.call("ticker.price", one)
        assert "rateLimits" in quiet.call("ticker.price", one | {"returnRateLimits": True})
        assert "rateLimits" in loud.call("ticker.price", one)
        assert "rateLimits" not in loud.call("ticker.price", one | {"returnRateLimits": False})

    def test_too_much_is_429_then_418_with_the_time_to_wait_for(self) -> None:
        limits = RateLimitSettings(weight_per_minute=HANDSHAKE_WEIGHT + 5, ignored_max=1)
        caller = Caller(PaperVenue(settings=ExchangeSettings(rate_limits=limits)))
        caller.ask("account.balance")

        answers = [caller.signed("account.balance", {}) for _ in range(2)]

        assert [answer["status"] for answer in answers] == [429, 418]
        data = answers[0]["error"]["data"]
        assert data["serverTime"] < data["retryAfter"] <= data["serverTime"] + 60_000
        with pytest.raises(RateRefusal):
            Caller(caller.paper)

    def test_a_fault_armed_for_a_call_strikes_here_too(self, caller: Caller) -> None:
        faults = caller.paper.exchange.faults
        faults.arm(FaultKind.UNKNOWN_EXECUTED, method="POST", path="/fapi/v1/order")

        lost = caller.signed("order.place", RESTING)

        assert lost["status"] == 503
        assert len(caller.paper.ask("GET", "/fapi/v1/openOrders")) == 1
        faults.arm(FaultKind.BANNED, path="/fapi/v1/order", amount=180)
        banned = caller.signed("order.place", RESTING)
        told = banned["error"]["data"]
        assert (banned["status"], banned["error"]["code"]) == (418, -1003)
        assert told["retryAfter"] == told["serverTime"] + 180_000
        faults.arm(FaultKind.DROPPED, path="/fapi/v1/order")
        params = RESTING | {"apiKey": KEYS.api_key, "timestamp": 1, "signature": "0"}
        assert caller.send(json.dumps({"method": "order.place", "params": params})) == []
        assert caller.ear.closed is not None


class TestKeysOverHttp:
    @pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
    @pytest.mark.parametrize("in_body", [False, True])
    def test_public_keys_sign_requests(self, caller: Caller, kind: str, in_body: bool) -> None:
        caller.register(kind)
        raw = urlencode(RESTING | {"timestamp": caller.paper.clock.now_ms()})
        signed = f"{raw}&signature={quote(signed_by(kind, raw), safe='')}"

        def send(text: str) -> int:
            request = HttpRequest(
                method="POST",
                path="/fapi/v1/order",
                raw_query="" if in_body else text,
                raw_body=text.encode() if in_body else b"",
                headers={"x-mbx-apikey": kind},
            )
            return caller.paper.exchange.handle(request, caller.paper.clock.now_ms()).status

        assert send(signed) == 200
        assert send(signed.replace("94000", "93000")) == 400
        assert send(f"{raw}&signature=%%%") == 400

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({}, -1102),
            ({"public_key": "no key"}, -4057),
            ({"public_key": ED25519.export_key(format="PEM")}, -4057),
            ({"public_key": P256}, -4056),
            ({"public_key": PEMS["Ed25519"], "api_key": "sp ace"}, -1130),
            ({"public_key": PEMS["Ed25519"], "api_key": KEYS.api_key}, -1130),
        ],
    )  # fmt: skip
    def test_what_is_no_public_key_is_refused(
        self, caller: Caller, wish: dict[str, str], code: int
    ) -> None:
        assert caller.paper.refused("POST", "/paper/keys", wish, signed=False) == (400, code)
        assert caller.paper.ask("GET", "/paper/keys", signed=False) == {"api_keys": []}

    def test_a_name_is_given_where_none_is_wished_and_a_reset_keeps_keys(
        self, caller: Caller
    ) -> None:
        wish = {"public_key": PEMS["Ed25519"]}
        name = caller.paper.ask("POST", "/paper/keys", wish, signed=False)["api_key"]

        caller.paper.ask("POST", "/paper/reset", signed=False)

        assert len(name) == 64
        assert caller.paper.ask("GET", "/paper/keys", signed=False) == {"api_keys": [name]}
        assert caller.paper.refused("DELETE", "/paper/keys", {"api_key": "x"}) == (400, -1130)


class TestSockets:
    async def test_an_order_is_placed_over_a_socket_and_seen_over_http(self) -> None:
        async with paper_server() as port, aiohttp.ClientSession() as http:
            async with http.ws_connect(f"{port.rest_url}/ws-fapi/v1") as socket:
                now_ms = port.paper.clock.now_ms()
                full = RESTING | {"apiKey": KEYS.api_key, "timestamp": now_ms}
                params = full | {"signature": signature_of(payload_of(full))}
                await socket.send_json({"id": "a", "method": "order.place", "params": params})
                answer = await socket.receive_json()
            seen = port.paper.ask("GET", "/fapi/v1/openOrders")

        assert (answer["id"], answer["status"]) == ("a", 200)
        assert [row["orderId"] for row in seen] == [answer["result"]["orderId"]]

    async def test_a_banned_address_gets_no_socket(self) -> None:
        limits = RateLimitSettings(weight_per_minute=HANDSHAKE_WEIGHT)
        paper = PaperVenue(settings=ExchangeSettings(rate_limits=limits))
        async with paper_server(paper) as port, aiohttp.ClientSession() as http:
            url = f"{port.rest_url}/ws-fapi/v1"
            async with http.ws_connect(url):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await http.ws_connect(url)

        assert caught.value.status == 429

    def test_pinging_too_fast_ends_the_connection(self) -> None:
        caller = Caller()
        api, now_ms = caller.paper.exchange.ws_api, caller.paper.clock.now_ms()

        for _ in range(5):
            api.count(caller.session, now_ms)
        api.count(caller.session, now_ms + 1_000)
        assert caller.ear.closed is None
        for _ in range(5):
            api.count(caller.session, now_ms + 1_000)
        assert caller.ear.closed is not None

    async def test_the_server_pings_with_a_payload_and_hangs_up_on_the_silent(self) -> None:
        clock = ManualClock()
        async with paper_server(PaperVenue(clock=clock)) as port, aiohttp.ClientSession() as http:
            url = f"{port.rest_url}/public/ws"
            async with http.ws_connect(url, autoping=False) as socket:
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
                await socket.receive_json()
                types, payloads = [], []
                for _ in range(4):
                    clock.advance(180_000)
                    message = await asyncio.wait_for(socket.receive(), 5)
                    types.append(message.type)
                    payloads.append(message.data)

        assert types == [aiohttp.WSMsgType.PING] * 3 + [aiohttp.WSMsgType.CLOSE]
        assert int(payloads[0]) >= 1_780_000_000_000


def test_every_method_has_a_twin_that_is_served() -> None:
    answers = {method: Caller().signed(method, {}) for method in TWINS}

    assert {a.get("error", {}).get("code") for a in answers.values()} <= {None, -1102, -1125}


def test_a_skewed_clock_is_told_and_judged_by_here_too() -> None:
    caller = Caller()
    arm = {"kind": FaultKind.CLOCK_SKEW.value, "amount": "-10000"}
    caller.paper.ask("POST", "/paper/fault", arm, signed=False)

    assert caller.refused("order.place", RESTING) == (400, -1021)
    told = caller.call("session.status", {})["result"]["serverTime"]
    assert told == caller.paper.clock.now_ms() - 10_000

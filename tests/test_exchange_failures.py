"""What a failed request means: the table an account's safety rests on."""

from __future__ import annotations

import json

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.errors import (
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    VenueError,
)
from trader_cli.exchange.failures import (
    Again,
    Answer,
    Failure,
    judge_answer,
    judge_break,
    judge_undecodable,
)

NOW_MS = 1_790_000_000_000
UNKNOWN_TEXT = "Unknown error, please check your request or try again later."
THROTTLED_TEXT = (
    "Request throttled by system-level protection. "
    "Reduce-only/close-position orders are exempt. Please try again."
)


def judge(
    status: int,
    body: object,
    *,
    write: bool = True,
    retry_after: str | None = None,
    content_type: str = "application/json",
    offset_ms: int = 0,
) -> Failure:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Answer(status, text, retry_after, content_type)
    return judge_answer(answer, write=write, what="place", now_ms=NOW_MS, offset_ms=offset_ms)


def refusal(code: int, message: str = "words") -> dict[str, object]:
    return {"code": code, "msg": message}


def key() -> ConnectionKey:
    return ConnectionKey("fapi.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, refusal(-2019), Rejected),
        (400, refusal(-4164), Rejected),
        (400, refusal(-5022), Rejected),
        (400, refusal(-99999), Rejected),
        (400, refusal(-1021), Rejected),
        (400, refusal(-2011), Rejected),
        (200, refusal(-2013), Rejected),
        (404, refusal(-5000), Rejected),
        (400, "<html>bad request</html>", Rejected),
        (400, refusal(-1000), OutcomeUnknown),
        (400, refusal(-1006), OutcomeUnknown),
        (408, refusal(-1007), OutcomeUnknown),
        (408, "", OutcomeUnknown),
        (500, refusal(-1000), OutcomeUnknown),
        (500, "Request occur unknown error.", OutcomeUnknown),
        (502, "<html>Bad Gateway</html>", OutcomeUnknown),
        (503, {"msg": UNKNOWN_TEXT}, OutcomeUnknown),
        (503, refusal(-1000, UNKNOWN_TEXT), OutcomeUnknown),
        (503, refusal(-1001), OutcomeUnknown),
        (503, "<h1>503 Service Temporarily Unavailable</h1>", OutcomeUnknown),
        (503, "<h1>Service Unavailable.</h1>", OutcomeUnknown),
        (503, "Service Unavailable.", NotSent),
        (503, {"msg": "Service Unavailable."}, NotSent),
        (503, refusal(-1000, "Service Unavailable."), NotSent),
        (503, refusal(-1008, THROTTLED_TEXT), NotSent),
        (504, "", OutcomeUnknown),
        (200, "<html>captive portal</html>", OutcomeUnknown),
        (200, '{"orderId": 1', OutcomeUnknown),
        (200, "", OutcomeUnknown),
        (200, {"code": 200, "msg": "of the wrong type"}, OutcomeUnknown),
        (302, "", OutcomeUnknown),
        (401, refusal(-2014), PermissionDenied),
        (401, refusal(-2015), PermissionDenied),
        (401, refusal(-1002), PermissionDenied),
        (401, "<html/>", PermissionDenied),
        (400, refusal(-1022), PermissionDenied),
        (400, refusal(-2017), PermissionDenied),
        (400, refusal(-4411), PermissionDenied),
        (451, "", PermissionDenied),
        (429, refusal(-1003), RateLimited),
        (429, refusal(-1015), RateLimited),
        (429, "", RateLimited),
        (418, refusal(-1003), RateLimited),
        (418, "<html/>", RateLimited),
        (400, refusal(-1015), RateLimited),
        (403, "<html>WAF</html>", RateLimited),
    ],
)
def test_a_write_ends_as_the_venue_proves_and_as_unknown_otherwise(
    status: int, body: object, expected: type[VenueError]
) -> None:
    assert type(judge(status, body).error) is expected


@pytest.mark.parametrize("status", [200, 302, 408, 500, 502, 503, 504])
def test_a_read_is_never_of_unknown_outcome(status: int) -> None:
    failure = judge(status, "<html/>", write=False)

    assert type(failure.error) is NotSent
    assert failure.again is Again.AFTER_PAUSE


@given(
    status=st.integers(200, 599),
    code=st.none() | st.integers(-6000, 6000),
    text=st.sampled_from(["", "Service Unavailable.", UNKNOWN_TEXT, THROTTLED_TEXT]),
)
def test_a_write_is_never_repeated_by_itself_but_after_a_clock_refusal(
    status: int, code: int | None, text: str
) -> None:
    failure = judge(status, {"code": code, "msg": text})

    if failure.again is not Again.NEVER:
        assert failure.again is Again.AFTER_CLOCK
        assert code in (-1021, -5028)
        assert type(failure.error) is Rejected


@given(status=st.integers(500, 599), body=st.text(max_size=40))
def test_a_server_error_proves_nothing_of_a_write_but_by_the_words_of_the_venue(
    status: int, body: str
) -> None:
    failure = judge(status, {"msg": body})

    if body.strip().rstrip(".") != "Service Unavailable":
        assert type(failure.error) is OutcomeUnknown


def test_a_rejection_carries_code_words_and_advice() -> None:
    error = judge(400, refusal(-2019, "Margin is insufficient.")).error

    assert error.code == -2019
    assert "Margin is insufficient." in error.message
    assert error.advice is not None
    assert "smaller" in error.advice


def test_a_body_that_is_not_the_venues_json_is_not_quoted() -> None:
    page = "<html>You asked for /order?signature=abcdef</html>"

    assert "abcdef" not in str(judge(502, page).error)
    assert "abcdef" not in str(judge(400, page).error)


class TestRateLimits:
    def test_retry_after_counts_from_now(self) -> None:
        error = judge(429, refusal(-1003), retry_after="7").error

        assert isinstance(error, RateLimited)
        assert error.retry_at_ms == NOW_MS + 7_000
        assert not error.banned

    def test_a_ban_ends_at_the_later_of_header_and_text(self) -> None:
        text = f"Way too many requests; IP banned until {NOW_MS + 90_000}. Please use"
        error = judge(418, refusal(-1003, text), retry_after="30").error

        assert isinstance(error, RateLimited)
        assert error.retry_at_ms == NOW_MS + 90_000
        assert error.banned

    def test_the_time_in_the_text_is_the_venues_and_is_converted_to_local(self) -> None:
        text = f"Way too many requests; IP banned until {NOW_MS + 90_000}."
        error = judge(418, refusal(-1003, text), offset_ms=1_500).error

        assert isinstance(error, RateLimited)
        assert error.retry_at_ms == NOW_MS + 88_500

    @pytest.mark.parametrize(
        ("status", "code", "pause_ms"),
        [(418, -1003, 120_000), (429, -1003, 60_000), (429, -1015, 10_000)],
    )
    def test_without_a_time_the_usual_minimum_holds(
        self, status: int, code: int, pause_ms: int
    ) -> None:
        error = judge(status, refusal(code), retry_after="Wed, 21 Oct 2026 07:28:00 GMT").error

        assert isinstance(error, RateLimited)
        assert error.retry_at_ms == NOW_MS + pause_ms


class TestBrokenConnections:
    @pytest.mark.parametrize(
        "error",
        [
            aiohttp.ClientConnectorError(key(), OSError(111, "refused")),
            aiohttp.ClientConnectorDNSError(key(), OSError(-2, "unknown name")),
            aiohttp.ClientConnectorSSLError(key(), OSError(1, "handshake")),
            aiohttp.ConnectionTimeoutError("Connection timeout to host https://x/?signature=y"),
            aiohttp.InvalidURL("nonsense"),
        ],
    )
    def test_what_never_connected_was_not_sent(self, error: Exception) -> None:
        failure = judge_break(error, write=True, what="place")

        assert type(failure.error) is NotSent
        assert failure.again is Again.NEVER
        assert "signature" not in str(failure.error)

    @pytest.mark.parametrize(
        "error",
        [
            TimeoutError(),
            aiohttp.SocketTimeoutError(),
            aiohttp.ServerDisconnectedError(),
            aiohttp.ClientOSError(104, "reset"),
            aiohttp.ClientPayloadError("not enough data"),
            ConnectionResetError(),
        ],
    )
    def test_a_write_that_left_and_got_no_answer_is_unknown(self, error: Exception) -> None:
        assert type(judge_break(error, write=True, what="place").error) is OutcomeUnknown
        assert type(judge_break(error, write=False, what="read").error) is NotSent

    def test_a_read_that_ran_out_of_time_is_not_repeated(self) -> None:
        assert judge_break(TimeoutError(), write=False, what="read").again is Again.NEVER


def test_an_answer_that_cannot_be_understood_is_unknown_for_a_write_only() -> None:
    assert type(judge_undecodable("status", write=True, what="place")) is OutcomeUnknown
    assert type(judge_undecodable("status", write=False, what="read")) is NotSent

"""What a failed request means: refused, not sent, unknown, or come back later.

Pure: takes what was seen (an answer or the exception that ended the wait) and whether the request
was a write, and returns the one `VenueError` that is true. The rule behind every line: a write is
"not executed" only where the venue says so; every doubt is `OutcomeUnknown`. A read cannot do
harm, so its doubts are `NotSent`. Texts that are not the venue's JSON never reach a message,
because a proxy's page may quote the signed URL.

Source: binance-usdm reference §3.5, §5.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

import aiohttp

from trader_cli.errors import (
    FIREWALL,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Rejected,
    VenueError,
)
from trader_cli.wire.codes import CodeClass, describe
from trader_cli.wire.fields import parse_json

_OVERLOADED_CODE: Final = -1008
_TOO_MANY_ORDERS_CODE: Final = -1015
_BAN_TEXT: Final = re.compile(r"banned until (\d{13})", re.ASCII)
_BAN_MS_MIN: Final = 120_000
"""The shortest ban the venue gives."""
_PAUSE_MS: Final = 60_000
"""Weight and order counters start anew every minute."""
_ORDERS_PAUSE_MS: Final = 10_000
_ASK_ADVICE: Final = "Look the order up before anything else: it may have been executed."
_AGAIN_ADVICE: Final = "Check the connection and try again; nothing was executed."


@unique
class Again(StrEnum):
    """Whether the same request may go out once more by itself."""

    NEVER = "never"
    AFTER_CLOCK = "after_clock"  # proven not executed: measure the clock, then once more
    AFTER_PAUSE = "after_pause"  # for reads: short-lived trouble


@dataclass(frozen=True, slots=True)
class Failure:
    """The verdict on one failed request."""

    error: VenueError
    again: Again


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that was not a plain success.

    Attributes:
        retry_after: the header of that name, seconds as text.
        content_type: the header of that name.
    """

    status: int
    text: str
    retry_after: str | None
    content_type: str | None


class RefusedAnswer(Exception):
    """Carries an answer that was not a plain success out of the transport."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


def code_and_message(text: str) -> tuple[int | None, str | None]:
    """Return the venue's code and words, None for each that the body does not carry."""
    try:
        body = parse_json(text)
    except ValueError:
        return None, None
    if not isinstance(body, dict):
        return None, None
    code, message = body.get("code"), body.get("msg")
    return (
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        message if isinstance(message, str) else None,
    )


def judge_answer(answer: Answer, *, write: bool, what: str, now_ms: int, offset_ms: int) -> Failure:
    """Return what an answer that is not a plain success means.

    Args:
        what: the request in words, for the message.
        now_ms: local time; offset_ms: venue minus local.
    """
    code, words = code_and_message(answer.text)
    known = describe(code) if code is not None else None
    kind = known.kind if known is not None else None
    status = answer.status
    tail = "" if code is None else f", code {code}"
    message = f"{what}: {words or _plain_words(answer)} (HTTP {status}{tail})"
    advice = known.advice if known is not None else None

    if status in (418, 429) or kind is CodeClass.BAN or code == _TOO_MANY_ORDERS_CODE:
        return _rate_limited(answer, code, message, now_ms=now_ms, offset_ms=offset_ms)
    if code == _OVERLOADED_CODE or (status == 503 and _is_unavailable(answer, words)):
        again = Again.NEVER if write else Again.AFTER_PAUSE
        return Failure(NotSent(message, code=code, advice=advice or _AGAIN_ADVICE), again)
    refused = code is not None and code < 0
    if kind is CodeClass.UNKNOWN or status == 408 or status >= 500:
        return _doubtful(message, code, write=write)
    if status < 400 and not refused:  # a success that cannot be read, or a redirect
        return _doubtful(message, None, write=write)
    if status == 403:
        # The firewall in front of the venue: nothing got through, and insisting makes it worse.
        return Failure(
            RateLimited(
                message,
                retry_at_ms=now_ms + (_seconds(answer.retry_after) or _PAUSE_MS),
                banned=False,
                code=FIREWALL,
                advice="Stop sending for some minutes; the exchange's firewall refused the call.",
            ),
            Again.NEVER,
        )
    if kind is CodeClass.CLOCK:
        return Failure(Rejected(message, code=code, advice=advice), Again.AFTER_CLOCK)
    if status in (401, 451) or kind is CodeClass.AUTH:
        advice = advice or "Check the API key, and whether the exchange serves your region."
        return Failure(PermissionDenied(message, code=code, advice=advice), Again.NEVER)
    return Failure(Rejected(message, code=code, advice=advice), Again.NEVER)


def judge_break(error: BaseException, *, write: bool, what: str) -> Failure:
    """Return what an exception of the connection means; only its type goes into the message."""
    name = type(error).__name__
    if isinstance(
        error,
        (
            aiohttp.ClientConnectorError,  # refused, DNS, TLS: no byte of the request left
            aiohttp.ConnectionTimeoutError,
            aiohttp.ServerFingerprintMismatch,
            aiohttp.InvalidURL,
        ),
    ):
        text = f"{what}: no connection to the exchange ({name})"
        again = Again.NEVER if write else Again.AFTER_PAUSE
        return Failure(NotSent(text, advice=_AGAIN_ADVICE), again)
    if isinstance(error, TimeoutError):
        if write:
            return _doubtful(f"{what}: no answer in time ({name})", None, write=True)
        # Not repeated by itself: each attempt costs the whole timeout.
        text = f"{what}: no answer in time ({name})"
        return Failure(NotSent(text, advice=_AGAIN_ADVICE), Again.NEVER)
    return _doubtful(f"{what}: the connection broke ({name})", None, write=write)


def judge_undecodable(reason: str, *, write: bool, what: str) -> VenueError:
    """Return what a success means whose content cannot be understood."""
    message = f"{what}: the answer cannot be understood ({reason})"
    if write:
        return OutcomeUnknown(message, advice=_ASK_ADVICE)
    return NotSent(message, advice="The exchange may have changed its answers; report this.")


def _doubtful(message: str, code: int | None, *, write: bool) -> Failure:
    if write:
        return Failure(OutcomeUnknown(message, code=code, advice=_ASK_ADVICE), Again.NEVER)
    return Failure(NotSent(message, code=code, advice=_AGAIN_ADVICE), Again.AFTER_PAUSE)


def _rate_limited(
    answer: Answer, code: int | None, message: str, *, now_ms: int, offset_ms: int
) -> Failure:
    """The end is the later of Retry-After and the time in the text, else the usual minimum."""
    text_end = _BAN_TEXT.search(answer.text)
    banned = answer.status == 418 or text_end is not None
    ends = [int(text_end.group(1)) - offset_ms] if text_end is not None else []
    seconds = _seconds(answer.retry_after)
    if seconds is not None:
        ends.append(now_ms + seconds)
    if not ends:
        pause = _ORDERS_PAUSE_MS if code == _TOO_MANY_ORDERS_CODE else _PAUSE_MS
        ends.append(now_ms + (_BAN_MS_MIN if banned else pause))
    error = RateLimited(
        message,
        retry_at_ms=max(ends),
        banned=banned,
        code=code,
        advice="Wait until the time named; every request before it makes it worse.",
    )
    return Failure(error, Again.NEVER)


def _is_unavailable(answer: Answer, words: str | None) -> bool:
    """True for 503-B only, whose words promise that nothing was executed.

    A load balancer's page says something similar and promises nothing: it is not matched.
    """
    text = (words if words is not None else answer.text).strip()
    return text.rstrip(".") == "Service Unavailable"


def _plain_words(answer: Answer) -> str:
    return "an answer without the exchange's words" if answer.text else "an empty answer"


def _seconds(retry_after: str | None) -> int | None:
    """Return the header in milliseconds, None if it is absent or a date."""
    if retry_after is None or re.fullmatch(r"\d{1,7}", retry_after.strip(), re.ASCII) is None:
        return None
    return int(retry_after) * 1000

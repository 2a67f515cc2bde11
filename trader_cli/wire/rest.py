"""What Binance's USD-M REST interface answers to everybody: errors, time, limits, listen keys.

The answers by subject are in `rest_orders`, `rest_account` and `rest_market`: shapes, key by key,
as of autumn 2026, and nothing of sockets, clocks or meaning; the decoders turn them into the words
of the field. The client reads these shapes and the paper exchange writes them, so a key that one
of them invents does not type-check in the other. Decimals travel as strings, ids and times as
integers, `NotRequired` marks keys that only some answers carry. Unknown further keys are allowed
by the venue at any time.

Source: binance-usdm reference §4, §5, §11.1; key sets of answers recorded in September 2026.
"""

from __future__ import annotations

from typing import TypedDict


class ErrorBody(TypedDict):
    """Every refusal, and every failed element of a batch."""

    code: int
    msg: str


class CodeMessage(TypedDict):
    """Success of a call without a result, `{"code": 200, "msg": …}`: not an error."""

    code: int
    msg: str


class ServerTime(TypedDict):
    """`GET /fapi/v1/time`."""

    serverTime: int


class ListenKey(TypedDict):
    """`POST` and `PUT /fapi/v1/listenKey`."""

    listenKey: str


class RateLimit(TypedDict):
    """One limit of exchangeInfo or of `GET /fapi/v1/rateLimit/order`."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int


class CountedLimit(RateLimit):
    """A limit with what is used of it, as answers of the WebSocket API carry it."""

    count: int

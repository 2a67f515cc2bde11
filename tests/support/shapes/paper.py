"""What `trader paper` tells."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tests.support.shapes.words import Amount, Count, Millis, Shape, Size, Symbol


class Fault(Shape):
    number: Count
    kind: str
    method: str
    path: str
    times_left: Count | None
    probability: Annotated[float, Field(gt=0, le=1)]
    until_ms: Millis | None
    amount: int
    struck: Count
    symbol: str | None = None
    side: str | None = None
    quantity: Size | None = None
    price: Size | None = None
    position_side: str | None = None


class ArmedFault(Fault):
    happened: bool


class Faults(Shape):
    faults: list[Fault]
    kinds: list[str]


class ClearedFaults(Shape):
    cleared: Count


class PaperStatus(Shape):
    """A running exchange, or where the last one was."""

    running: bool
    pid: Count | None
    rest_url: str | None
    stream_url: str | None
    api_key: str | None
    api_secret: str | None
    market: Literal["synthetic", "replay", "mirror"] | None
    seed: int | None
    symbols: list[Symbol]
    time_ms: Millis | None
    wallet: Amount | None = None
    available: Amount | None = None
    open_orders: Size | None = None
    open_algo_orders: Size | None = None
    positions: Size | None = None
    latency_ms: Count | None = None
    rate_limits: bool | None = None
    faults: list[Fault] | None = None
    connections: Count | None = None
    started_ms: Millis | None = None
    files: list[str] | None = None
    speed: Size | None = None
    replay_until_ms: Millis | None = None
    replay_ended: bool | None = None
    upstream: str | None = None
    upstream_stream: str | None = None
    mirrored: list[Symbol] | None = None
    stale: list[Symbol] | None = None


class PaperStopped(Shape):
    running: Literal[False]
    was_running: bool


class PaperReset(Shape):
    reset: bool
    balance: Size | None


class PaperPrice(Shape):
    symbol: Symbol
    bid: Size
    ask: Size
    last_price: Size
    mark_price: Size
    time_ms: Millis

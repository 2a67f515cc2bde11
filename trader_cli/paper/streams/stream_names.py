"""Stream names and stream addresses: what a client may subscribe to, and where.

Knows spelling only: which kind of stream a name asks for, how often it speaks, and what a
WebSocket path and query mean. Must not know connections or markets.

Source: binance-usdm reference §10.1, §10.2, §11.1; other-clients §"What a server must tolerate".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

from trader_cli.paper.markets.history import INTERVALS


@unique
class Room(Enum):
    """Which of the three doors a connection came through; LEGACY is the old, unrouted one."""

    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"
    LEGACY = "legacy"


@unique
class StreamKind(Enum):
    BOOK_TICKER = "bookTicker"
    TRADE = "trade"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    AGG_TRADE = "aggTrade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    FORCE_ORDER = "forceOrder"
    RPI_DEPTH = "rpiDepth"
    COMPOSITE_INDEX = "compositeIndex"
    ASSET_INDEX = "assetIndex"
    ALL_BOOK_TICKER = "!bookTicker"
    ALL_MARK_PRICE = "!markPrice"
    ALL_MINI_TICKER = "!miniTicker"
    ALL_TICKER = "!ticker"
    ALL_FORCE_ORDER = "!forceOrder"
    ALL_ASSET_INDEX = "!assetIndex"
    CONTRACT_INFO = "!contractInfo"
    TRADING_SESSION = "tradingSession"


_PUBLIC: Final = frozenset(
    {
        StreamKind.BOOK_TICKER,
        StreamKind.TRADE,  # undocumented; ccxt asks for it here
        StreamKind.DEPTH,
        StreamKind.PARTIAL_DEPTH,
        StreamKind.RPI_DEPTH,
        StreamKind.ALL_BOOK_TICKER,
    }
)
_ALSO_MARKET: Final = frozenset({StreamKind.TRADE})

_WHOLE_MARKET: Final[Mapping[str, tuple[StreamKind, int]]] = MappingProxyType(
    {
        "!bookTicker": (StreamKind.ALL_BOOK_TICKER, 0),
        "!markPrice@arr": (StreamKind.ALL_MARK_PRICE, 3_000),
        "!markPrice@arr@1s": (StreamKind.ALL_MARK_PRICE, 1_000),
        "!miniTicker@arr": (StreamKind.ALL_MINI_TICKER, 2_000),
        "!ticker@arr": (StreamKind.ALL_TICKER, 2_000),
        "!forceOrder@arr": (StreamKind.ALL_FORCE_ORDER, 1_000),
        "!assetIndex@arr": (StreamKind.ALL_ASSET_INDEX, 1_000),
        "!contractInfo": (StreamKind.CONTRACT_INFO, 0),
        "tradingSession": (StreamKind.TRADING_SESSION, 1_000),
    }
)
_FIXED: Final[Mapping[str, tuple[StreamKind, int]]] = MappingProxyType(
    {
        "bookTicker": (StreamKind.BOOK_TICKER, 0),
        "trade": (StreamKind.TRADE, 0),
        "aggTrade": (StreamKind.AGG_TRADE, 0),
        "markPrice": (StreamKind.MARK_PRICE, 3_000),
        "markPrice@1s": (StreamKind.MARK_PRICE, 1_000),
        "miniTicker": (StreamKind.MINI_TICKER, 2_000),
        "ticker": (StreamKind.TICKER, 2_000),
        "forceOrder": (StreamKind.FORCE_ORDER, 1_000),
        "rpiDepth@500ms": (StreamKind.RPI_DEPTH, 500),
        "compositeIndex": (StreamKind.COMPOSITE_INDEX, 1_000),
    }
)
_DEPTH: Final = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500)ms)?", re.ASCII)
_KLINE: Final = re.compile(r"kline_(\w{2,3})", re.ASCII)
_CONTINUOUS: Final = re.compile(r"([a-z0-9]+)_perpetual@continuousKline_(\w{2,3})", re.ASCII)
_DEPTH_EVERY_MS: Final = 250
_KLINE_EVERY_MS: Final = 250
LISTEN_KEY: Final = re.compile(r"[A-Za-z0-9]{32,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamName:
    """One market stream.

    Attributes:
        text: as subscribed; answers in combined form carry it.
        symbol: upper case, None for streams of the whole market. A name whose symbol is not in
            lower case is heard by nobody, as at Binance: it stays as it was written then.
        every_ms: least time between two messages, 0 for real time.
        interval: of klines, else "".
        levels: of partial depth, else 0.
        asset: name of the asset's index, upper case, else "".
    """

    text: str
    kind: StreamKind
    symbol: str | None
    every_ms: int
    interval: str = ""
    levels: int = 0
    asset: str = ""

    def is_served_in(self, room: Room, *, strict_legacy: bool) -> bool:
        """Return True if a connection of `room` ever hears this stream; others stay silent."""
        public = self.kind in _PUBLIC
        match room:
            case Room.PUBLIC:
                return public
            case Room.MARKET:
                return not public or self.kind in _ALSO_MARKET
            case Room.PRIVATE:
                return False
            case Room.LEGACY:
                return public or not strict_legacy


def parse_stream(text: str) -> StreamName | None:
    """Return the stream a name asks for, None if it is no market stream's name."""
    if text in _WHOLE_MARKET:
        kind, every_ms = _WHOLE_MARKET[text]
        return StreamName(text=text, kind=kind, symbol=None, every_ms=every_ms)
    continuous = _CONTINUOUS.fullmatch(text)
    if continuous is not None:
        return _kline(text, StreamKind.CONTINUOUS_KLINE, continuous[1], continuous[2])
    symbol, separator, topic = text.partition("@")
    if not separator or not symbol.isalnum():
        return None
    if topic == "assetIndex":
        kind, asset = StreamKind.ASSET_INDEX, symbol.upper()
        return StreamName(text=text, kind=kind, symbol=None, every_ms=1_000, asset=asset)
    if topic in _FIXED:
        kind, every_ms = _FIXED[topic]
        return StreamName(text=text, kind=kind, symbol=_symbol(symbol), every_ms=every_ms)
    kline = _KLINE.fullmatch(topic)
    if kline is not None:
        return _kline(text, StreamKind.KLINE, symbol, kline[1])
    depth = _DEPTH.fullmatch(topic)
    if depth is None:
        return None
    levels, every = depth[1], depth[2]
    return StreamName(
        text=text,
        kind=StreamKind.PARTIAL_DEPTH if levels else StreamKind.DEPTH,
        symbol=_symbol(symbol),
        every_ms=_DEPTH_EVERY_MS if every is None else int(every),
        levels=int(levels or 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAddress:
    """What a WebSocket URL asks for.

    Attributes:
        combined: payloads come wrapped with their stream's name.
        names: market streams and listen keys found in path and query, in order.
        events: user events wanted (`events=A/B`), None for all.
    """

    room: Room
    combined: bool
    names: tuple[str, ...] = ()
    events: frozenset[str] | None = field(default=None)


def parse_address(path: str, raw_query: str) -> StreamAddress | None:
    """Return what a stream URL asks for, None if the path is no stream's.

    Unknown path elements are passed over: ccxt appends a meaningless number.
    """
    words = [unquote(word) for word in path.split("/") if word]
    room = Room.LEGACY
    if words and words[0] in ("public", "market", "private"):
        room = Room(words.pop(0))
    if not words or words[0] not in ("ws", "stream"):
        return None
    combined = words.pop(0) == "stream"
    names = [word for word in words if is_name(word)]
    events: frozenset[str] | None = None
    for key, value in parse_qsl(raw_query):
        match key:
            case "streams":
                names += [name for name in value.split("/") if name]
            case "listenKey":
                names.append(value)
            case "events":
                events = frozenset(value.split("/"))
    return StreamAddress(room=room, combined=combined, names=tuple(names), events=events)


def is_name(text: str) -> bool:
    """Return True for a market stream's name and for what looks like a listen key."""
    return parse_stream(text) is not None or LISTEN_KEY.fullmatch(text) is not None


def _kline(text: str, kind: StreamKind, symbol: str, interval: str) -> StreamName | None:
    if interval not in INTERVALS:
        return None
    return StreamName(
        text=text, kind=kind, symbol=_symbol(symbol), every_ms=_KLINE_EVERY_MS, interval=interval
    )


def _symbol(written: str) -> str:
    return written.upper() if written == written.lower() else written.lower()

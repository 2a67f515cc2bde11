"""Hears another exchange's public data and tells it to a `MirrorMarket`.

Knows the upstream's addresses, its REST and stream spelling and the rule by which depth diffs
join a snapshot. Needs no key. Must not know what is traded here.

Source: binance-usdm reference §9, §10.1-§10.4.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from trader_cli.clock import Clock
from trader_cli.errors import NotSent
from trader_cli.paper.markets.candles import DAY_MS, HOUR_MS, MINUTE_MS
from trader_cli.paper.markets.market import Candle, FundingSettled
from trader_cli.paper.markets.mirror import Deal, Marks, MirrorMarket, Quote

_ANSWER_WITHIN_S: Final = 10.0
_SILENT_AFTER_S: Final = 20.0
_PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0)
_DEPTH_LIMIT: Final = 1_000
_TRADES_LIMIT: Final = 500
_PAST: Final = (("1d", DAY_MS, 1_000), ("1h", HOUR_MS, 1_000), ("1m", MINUTE_MS, 1_500))
_FUNDINGS_LIMIT: Final = 100

Message = Mapping[str, Any]


class _Lost(Exception):
    """The connection cannot be trusted any more; everything is asked for anew."""


_LOSSES: Final = (_Lost, NotSent, aiohttp.ClientError, OSError, TimeoutError)


@dataclass(slots=True)
class _BookJoint:
    """How far a symbol's depth has been told.

    Attributes:
        last_id: final update id applied; None until a snapshot has been joined.
        waiting: diffs that came before the snapshot.
    """

    last_id: int | None = None
    joined: bool = False
    waiting: list[Message] = field(default_factory=list)


class MirrorFeed:
    """One upstream, some symbols, one market."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        rest_url: str,
        stream_url: str,
        symbols: Sequence[str],
        clock: Clock,
    ) -> None:
        self._session = session
        self._rest_url = rest_url.rstrip("/")
        self._stream_url = stream_url.rstrip("/")
        self._symbols = tuple(symbols)
        self._clock = clock
        self._joints: dict[str, _BookJoint] = {}

    async def exchange_info(self) -> list[Message]:
        """Return the upstream's rows of contracts.

        Raises:
            NotSent: it cannot be reached.
        """
        answer = await self._ask("exchangeInfo", {})
        rows: list[Message] = answer["symbols"]
        return rows

    async def introduce(self, market: MirrorMarket) -> None:
        """Tell the market every symbol's present and past.

        Raises:
            NotSent: the upstream cannot be reached or does not answer as expected.
        """
        for symbol in self._symbols:
            await self._introduce(market, symbol)

    async def run(self, market: MirrorMarket, *, connected: asyncio.Event) -> None:
        """Keep the market up to date until cancelled, over every loss of the connection.

        Args:
            connected: set once the streams are heard for the first time.
        """
        failures = 0
        while True:
            try:
                await self._listen(market, connected)
            except _LOSSES:
                failures = failures + 1 if not connected.is_set() else 1
            await self._clock.sleep(_PAUSES_S[min(failures, len(_PAUSES_S)) - 1])

    async def _listen(self, market: MirrorMarket, connected: asyncio.Event) -> None:
        lower = [symbol.lower() for symbol in self._symbols]
        public = [f"{name}@{kind}" for name in lower for kind in ("bookTicker", "depth@100ms")]
        kinds = ("aggTrade", "markPrice@1s", "kline_1m")
        other = [f"{name}@{kind}" for name in lower for kind in kinds]
        self._joints = {symbol: _BookJoint() for symbol in self._symbols}
        async with self._connect("public", public) as one, self._connect("market", other) as two:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(market, one))
                    tasks.create_task(self._read(market, two))
                    if connected.is_set():
                        await self.introduce(market)
                    for symbol in self._symbols:
                        await self._join_book(market, symbol)
                    connected.set()
            except ExceptionGroup as group:
                _, others = group.split(_LOSSES)
                if others is not None:
                    raise others from None
                raise _Lost from group

    def _connect(self, room: str, streams: Sequence[str]) -> Any:
        address = f"{self._stream_url}/{room}/stream?streams={'/'.join(streams)}"
        return self._session.ws_connect(address, heartbeat=_SILENT_AFTER_S, max_msg_size=0)

    async def _read(self, market: MirrorMarket, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            async with asyncio.timeout(_SILENT_AFTER_S):
                message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise _Lost
            try:
                data = json.loads(message.data)["data"]
                market.advance_clock(self._clock.now_ms())
                self._tell(market, data)
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise _Lost from error

    def _tell(self, market: MirrorMarket, data: Message) -> None:
        symbol = data["s"]
        match data["e"]:
            case "bookTicker":
                market.see_quote(
                    symbol, _quote(data["b"], data["B"], data["a"], data["A"]), data["T"]
                )
            case "aggTrade":
                market.see_deal(symbol, _deal(data))
            case "markPriceUpdate":
                marks = _marks(data["p"], data["i"], data["r"], data["T"])
                market.see_marks(symbol, marks, data["E"])
            case "kline":
                market.see_candle(MINUTE_MS, _streamed_candle(symbol, data["k"]))
            case "depthUpdate":
                self._take_diff(market, symbol, data)

    async def _join_book(self, market: MirrorMarket, symbol: str) -> None:
        """Join the diffs that wait to a snapshot, by the documented rule."""
        book = await self._ask("depth", {"symbol": symbol, "limit": _DEPTH_LIMIT})
        market.forget_depth(symbol)
        market.see_depth(symbol, _levels(book["bids"]), _levels(book["asks"]))
        joint = self._joints[symbol]
        joint.last_id = int(book["lastUpdateId"])
        waiting, joint.waiting = joint.waiting, []
        for data in waiting:
            self._take_diff(market, symbol, data)

    def _take_diff(self, market: MirrorMarket, symbol: str, data: Message) -> None:
        joint = self._joints[symbol]
        if joint.last_id is None:
            joint.waiting.append(data)
            return
        if data["u"] < joint.last_id:
            return
        follows = data["pu"] == joint.last_id if joint.joined else data["U"] <= joint.last_id
        if not follows:
            raise _Lost
        joint.joined, joint.last_id = True, data["u"]
        market.see_depth(symbol, _levels(data["b"]), _levels(data["a"]))

    async def _introduce(self, market: MirrorMarket, symbol: str) -> None:
        named = {"symbol": symbol}
        top = await self._ask("ticker/bookTicker", named)
        trades = await self._ask("aggTrades", {**named, "limit": _TRADES_LIMIT})
        premium = await self._ask("premiumIndex", named)
        past = await self._ask("fundingRate", {**named, "limit": _FUNDINGS_LIMIT})
        market.advance_clock(self._clock.now_ms())
        try:
            market.introduce(
                symbol,
                _quote(top["bidPrice"], top["bidQty"], top["askPrice"], top["askQty"]),
                [_deal(row) for row in trades],
                _marks(
                    premium["markPrice"],
                    premium["indexPrice"],
                    premium["lastFundingRate"],
                    premium["nextFundingTime"],
                ),
            )
            for row in past:
                if not row["markPrice"]:
                    continue  # the oldest ones have none
                market.see_settled(_settled(symbol, row))
            for interval, length_ms, limit in _PAST:
                wish = {**named, "interval": interval, "limit": limit}
                for row in await self._ask("klines", wish):
                    candle = _asked_candle(symbol, row)
                    if length_ms == MINUTE_MS or candle.close_ms < market.now_ms:
                        market.see_candle(length_ms, candle)
        except (ValueError, KeyError, IndexError, TypeError, ArithmeticError) as error:
            raise NotSent(
                f"{self._rest_url} does not answer like Binance's USD-M futures: {error!r}"
            ) from error

    async def _ask(self, name: str, values: Mapping[str, object]) -> Any:
        query = {key: str(value) for key, value in values.items()}
        address = f"{self._rest_url}/fapi/v1/{name}"
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                async with self._session.get(address, params=query) as response:
                    body = await response.read()
            answer = json.loads(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NotSent(
                f"the market of {self._rest_url} cannot be mirrored: {error or 'no answer'}",
                advice="check the network; nothing else is put in its place",
            ) from error
        if response.status != HTTPStatus.OK:
            raise NotSent(f"{address} answered HTTP {response.status}: {answer!r:.200}")
        return answer


def _levels(rows: Sequence[Sequence[str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(row[0]), Decimal(row[1])) for row in rows]


def _quote(bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> Quote:
    return Quote(Decimal(bid), Decimal(bid_quantity), Decimal(ask), Decimal(ask_quantity))


def _deal(row: Message) -> Deal:
    return Deal(int(row["a"]), int(row["T"]), Decimal(row["p"]), Decimal(row["q"]), row["m"])


def _marks(mark: str, index: str, rate: str, next_funding_ms: int) -> Marks:
    return Marks(_plain(mark), _plain(index), _plain(rate), int(next_funding_ms))


def _plain(text: str) -> Decimal:
    """Return a number without the zeros it is padded with."""
    return Decimal(text).normalize() + 0


def _settled(symbol: str, row: Message) -> FundingSettled:
    return FundingSettled(
        symbol=symbol,
        time_ms=int(row["fundingTime"]),
        rate=_plain(row["fundingRate"]),
        mark_price=_plain(row["markPrice"]),
    )


def _asked_candle(symbol: str, row: Sequence[Any]) -> Candle:
    return Candle(
        symbol=symbol,
        open_ms=int(row[0]),
        close_ms=int(row[6]),
        open=Decimal(row[1]),
        high=Decimal(row[2]),
        low=Decimal(row[3]),
        close=Decimal(row[4]),
        volume=Decimal(row[5]),
        quote_volume=Decimal(row[7]),
        trades=int(row[8]),
        taker_buy_volume=Decimal(row[9]),
        taker_buy_quote_volume=Decimal(row[10]),
        first_trade_id=0,
    )


def _streamed_candle(symbol: str, k: Message) -> Candle:
    return Candle(
        symbol=symbol,
        open_ms=int(k["t"]),
        close_ms=int(k["T"]),
        open=Decimal(k["o"]),
        high=Decimal(k["h"]),
        low=Decimal(k["l"]),
        close=Decimal(k["c"]),
        volume=Decimal(k["v"]),
        quote_volume=Decimal(k["q"]),
        trades=int(k["n"]),
        taker_buy_volume=Decimal(k["V"]),
        taker_buy_quote_volume=Decimal(k["Q"]),
        first_trade_id=max(0, int(k["f"])),
    )

"""The mirrored market: what another exchange shows now, for orders that are matched here.

Whoever listens to the other exchange tells it what is heard; it says no more than that. Our own
orders are not seen there: what they take from the book is back with its next change, and what
rests here fills by the trades and quotes of the others. Where nothing is heard for a while, a
symbol is stale: its prices still stand here, and the venue takes no new orders on them.

Pure: it is told the time. Must not know sockets, accounts or orders.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, NamedTuple

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import Side
from trader_cli.errors import UsageError
from trader_cli.paper.markets.candles import CandleMemory
from trader_cli.paper.markets.market import (
    Attention,
    Candle,
    Depth,
    Funding,
    FundingSettled,
    MarketTick,
)

STALE_AFTER_MS: Final = 5_000
"""Mark prices come every second; five missed ones are no coincidence."""

_INTEREST: Final = Decimal("0.0001")
_TRADES_KEPT: Final = 5_000

Level = tuple[Decimal, Decimal]


class Quote(NamedTuple):
    """The top of the other exchange's book."""

    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


class Deal(NamedTuple):
    """One aggregate trade there."""

    trade_id: int
    time_ms: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


class Marks(NamedTuple):
    """Mark, index and the funding to come there."""

    mark_price: Decimal
    index_price: Decimal
    rate: Decimal
    next_funding_ms: int


@dataclass(slots=True, kw_only=True)
class _Picture:
    """What is known of one symbol.

    Attributes:
        bids, asks: depth by price, as last told.
        deals: ticks of the newest trades, oldest first.
        heard_ms: when anything was heard last, our clock.
        count: ticks so far; it numbers them.
    """

    tick: MarketTick
    rate: Decimal
    next_funding_ms: int
    heard_ms: int
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    deals: list[MarketTick] = field(default_factory=list)
    settled: dict[int, FundingSettled] = field(default_factory=dict)
    candles: CandleMemory = field(default_factory=CandleMemory)
    count: int = 0


class MirrorMarket:
    """A `Market` of symbols introduced one by one with `introduce`."""

    def __init__(self, now_ms: int, *, note: Mapping[str, object] | None = None) -> None:
        self._now_ms = now_ms
        self._note = dict(note or {})
        self._pictures: dict[str, _Picture] = {}
        self._pending: list[MarketTick] = []
        self._attention = Attention(())

    # -- what is heard -------------------------------------------------------------------------

    def introduce(self, symbol: str, quote: Quote, deals: Sequence[Deal], marks: Marks) -> None:
        """Show a symbol for the first time, or anew after a silence.

        Args:
            deals: the newest trades, at least one, oldest first.
        """
        last = deals[-1]
        before = self._pictures.get(symbol)
        tick = MarketTick(
            symbol=symbol,
            time_ms=min(last.time_ms, self._now_ms),
            trade_id=last.trade_id,
            bid=quote.bid,
            bid_quantity=quote.bid_quantity,
            ask=quote.ask,
            ask_quantity=quote.ask_quantity,
            last_price=last.price,
            last_quantity=ZERO,
            buyer_is_maker=last.buyer_is_maker,
            mark_price=marks.mark_price,
            index_price=marks.index_price,
            book_id=1,
        )
        if before is None:
            self._pictures[symbol] = _Picture(
                tick=tick,
                rate=marks.rate,
                next_funding_ms=marks.next_funding_ms,
                heard_ms=self._now_ms,
            )
            self._attention = Attention(tuple(self._pictures))
        else:
            self._tell(before, tick)
        picture = self._pictures[symbol]
        known_id = picture.deals[-1].trade_id if picture.deals else -1
        for deal in deals:
            if deal.trade_id > known_id:
                self._remember(picture, _dealt(tick, deal))

    def advance_clock(self, now_ms: int) -> None:
        """Note the time at which something is heard; ticks wait for `advance`."""
        self._now_ms = max(now_ms, self._now_ms)

    def hear(self, symbol: str) -> None:
        """Note that the other exchange is alive."""
        self._pictures[symbol].heard_ms = self._now_ms

    def see_quote(self, symbol: str, quote: Quote, time_ms: int) -> None:
        """Take the book's new top."""
        picture = self._pictures[symbol]
        self._tell(
            picture,
            replace(
                picture.tick,
                time_ms=time_ms,
                bid=quote.bid,
                bid_quantity=quote.bid_quantity,
                ask=quote.ask,
                ask_quantity=quote.ask_quantity,
                last_quantity=ZERO,
            ),
        )

    def see_deal(self, symbol: str, deal: Deal) -> None:
        """Take a trade; one that is known already counts once."""
        picture = self._pictures[symbol]
        if picture.deals and deal.trade_id <= picture.deals[-1].trade_id:
            return
        self._remember(picture, self._tell(picture, _dealt(picture.tick, deal)))

    def see_marks(self, symbol: str, marks: Marks, time_ms: int) -> None:
        """Take mark and index; a funding time that has passed is settled at what was known."""
        picture = self._pictures[symbol]
        if marks.next_funding_ms > picture.next_funding_ms:
            self.see_settled(
                FundingSettled(
                    symbol=symbol,
                    time_ms=picture.next_funding_ms,
                    rate=picture.rate,
                    mark_price=picture.tick.mark_price,
                )
            )
        picture.rate, picture.next_funding_ms = marks.rate, marks.next_funding_ms
        if (marks.mark_price, marks.index_price) == (
            picture.tick.mark_price,
            picture.tick.index_price,
        ):
            self.hear(symbol)
            return
        self._tell(
            picture,
            replace(
                picture.tick,
                time_ms=time_ms,
                mark_price=marks.mark_price,
                index_price=marks.index_price,
                last_quantity=ZERO,
            ),
        )

    def see_settled(self, settled: FundingSettled) -> None:
        """Take a past funding."""
        self._pictures[settled.symbol].settled[settled.time_ms] = settled

    def see_depth(self, symbol: str, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take changed levels, quantities absolute, 0 for gone."""
        picture = self._pictures[symbol]
        for side, changes in ((picture.bids, bids), (picture.asks, asks)):
            for price, quantity in changes:
                if quantity > 0:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        self.hear(symbol)

    def forget_depth(self, symbol: str) -> None:
        """Drop the levels: a whole book is told next."""
        self._pictures[symbol].bids.clear()
        self._pictures[symbol].asks.clear()

    def see_candle(self, interval_ms: int, candle: Candle) -> None:
        """Take a candle of a minute, an hour or a day, also one still open."""
        self._pictures[candle.symbol].candles.put(interval_ms, candle)

    # -- the market ----------------------------------------------------------------------------

    @property
    def symbols(self) -> Sequence[str]:
        return tuple(self._pictures)

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, now_ms: int) -> list[MarketTick]:
        self._now_ms = max(now_ms, self._now_ms)
        attended = self._attention.symbols
        ticks = [tick for tick in self._pending if tick.symbol in attended]
        self._pending.clear()
        ticks.sort(key=lambda tick: tick.time_ms)
        return ticks

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        self._attention.set(who, symbols)

    def is_stale(self, symbol: str) -> bool:
        return self._now_ms - self._pictures[symbol].heard_ms > STALE_AFTER_MS

    def latest(self, symbol: str) -> MarketTick:
        return self._pictures[symbol].tick

    def depth(self, symbol: str, limit: int) -> Depth:
        tick = self.latest(symbol)
        bids, asks = self.levels(symbol, Side.SELL), self.levels(symbol, Side.BUY)
        return Depth(
            symbol=symbol,
            update_id=tick.update_id,
            time_ms=tick.time_ms,
            bids=tuple(level for _, level in zip(range(limit), bids, strict=False)),
            asks=tuple(level for _, level in zip(range(limit), asks, strict=False)),
        )

    def levels(self, symbol: str, side: Side, at: MarketTick | None = None) -> Iterator[Level]:
        """Yield the touch, which is heard of at once, then what the depth shows behind it."""
        picture = self._pictures[symbol]
        tick = at or picture.tick
        if side is Side.BUY:
            yield tick.ask, tick.ask_quantity
            yield from sorted(level for level in picture.asks.items() if level[0] > tick.ask)
        else:
            yield tick.bid, tick.bid_quantity
            behind = (level for level in picture.bids.items() if level[0] < tick.bid)
            yield from sorted(behind, reverse=True)

    def funding(self, symbol: str) -> Funding:
        picture = self._pictures[symbol]
        return Funding(
            symbol=symbol,
            rate=picture.rate,
            interest_rate=_INTEREST,
            next_funding_ms=picture.next_funding_ms,
        )

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        """Return what was settled there; at what is known now if that was not heard."""
        picture = self._pictures[symbol]
        known = picture.settled.get(funding_ms)
        if known is not None:
            return known
        return FundingSettled(
            symbol=symbol,
            time_ms=funding_ms,
            rate=picture.rate,
            mark_price=picture.tick.mark_price,
        )

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        return self._pictures[symbol].candles.joined(symbol, start_ms, end_ms)

    def listed_ms(self, symbol: str) -> int:
        return self._pictures[symbol].candles.first_ms

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        deals = self._pictures[symbol].deals
        number = bisect_left(deals, trade_id, key=lambda tick: tick.trade_id)
        found = deals[number] if number < len(deals) else None
        return found if found is not None and found.trade_id == trade_id else None

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        deals = self._pictures[symbol].deals
        number = bisect_left(deals, time_ms, key=lambda tick: tick.time_ms)
        return deals[number].trade_id if number < len(deals) else deals[-1].trade_id + 1

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        """Refuse: it is another exchange's market."""
        self._pictures[symbol]
        raise UsageError("a mirrored market cannot be moved: it is another exchange's")

    def facts(self) -> Mapping[str, object]:
        stale = [symbol for symbol in self._pictures if self.is_stale(symbol)]
        return {"market": "mirror", "seed": None, "stale": stale, **self._note}

    def snapshot(self) -> Mapping[str, object]:
        return {"kind": "mirror", "now_ms": self._now_ms, **self._note}

    def _tell(self, picture: _Picture, tick: MarketTick) -> MarketTick:
        """Make a tick the present one; its time is never before the last nor after now."""
        picture.count += 1
        time_ms = max(picture.tick.time_ms, min(tick.time_ms, self._now_ms))
        told = replace(tick, time_ms=time_ms, book_id=picture.count + 1)
        picture.tick = told
        picture.heard_ms = self._now_ms
        self._pending.append(told)
        return told

    def _remember(self, picture: _Picture, tick: MarketTick) -> None:
        picture.deals.append(tick)
        if len(picture.deals) > 2 * _TRADES_KEPT:
            del picture.deals[:_TRADES_KEPT]


def _dealt(tick: MarketTick, deal: Deal) -> MarketTick:
    """Return the tick of a trade; the quotes are the last ones heard."""
    return replace(
        tick,
        time_ms=deal.time_ms,
        trade_id=deal.trade_id,
        last_price=deal.price,
        last_quantity=deal.quantity,
        buyer_is_maker=deal.buyer_is_maker,
    )

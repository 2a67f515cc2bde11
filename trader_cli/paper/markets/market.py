"""What the paper exchange's markets tell: quotes, trades, candles, funding, and who may tell it.

Knows the words and the `Market` protocol that the venue and the server consume; the seeded
market behind it is `synthetic.py`. Must not know accounts, orders or any transport.
A market reads no clock: time comes in through `advance`, and only `advance` moves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from trader_cli.domain.terms import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTick:
    """One instant of one symbol: the trade that happened and the book's top after it.

    Attributes:
        time_ms: UTC epoch milliseconds, never decreasing per symbol, and strictly increasing
            where `book_id` is 0.
        trade_id: the aggregate trade's id; contiguous from tick to tick unless time was skipped.
            A tick without a trade has the id that the next trade will have.
        last_quantity: base units traded at `last_price`; 0 if only the quote moved (a jump).
            A resting order that the quote has passed may wait for the trade that follows.
        buyer_is_maker: True if a seller took the bid, so that `last_price` is the bid.
        mark_price, index_price: on the tick like the other prices.
        book_id: counts ticks where several may share a millisecond, else 0.
    """

    symbol: str
    time_ms: int
    trade_id: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    last_price: Decimal
    last_quantity: Decimal
    buyer_is_maker: bool
    mark_price: Decimal
    index_price: Decimal
    book_id: int = 0

    @property
    def update_id(self) -> int:
        """The book's update id; it grows with every tick."""
        return self.book_id or self.time_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Bounds of a symbol's prices, all exclusive.

    Attributes:
        ask_floor: what the best ask must stay above; the other names say the same of theirs.
    """

    ask_floor: Decimal
    bid_ceiling: Decimal
    last_floor: Decimal
    last_ceiling: Decimal
    mark_floor: Decimal
    mark_ceiling: Decimal

    def holds(self, tick: MarketTick) -> bool:
        """Return True if the tick stays inside."""
        return (
            self.ask_floor < tick.ask
            and self.bid_ceiling > tick.bid
            and self.last_floor < tick.last_price < self.last_ceiling
            and self.mark_floor < tick.mark_price < self.mark_ceiling
        )

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """Between which prices, exclusive, it holds where mark and last price are one."""
        return (
            max(self.ask_floor, self.last_floor, self.mark_floor),
            min(self.bid_ceiling, self.last_ceiling, self.mark_ceiling),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """What traded in [open_ms, close_ms], as far as it has happened.

    Attributes:
        close_ms: the last millisecond that belongs to it, also of a candle still open.
        quote_volume: quote units; taker_buy_* are the part in which the buyer was the taker.
        first_trade_id: id of the first aggregate trade inside, `trades` of them in all.
    """

    symbol: str
    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal
    first_trade_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """The funding rate now estimated and when it is settled.

    Attributes:
        rate: fraction of notional, longs pay when positive.
        interest_rate: the fixed part of the formula, fraction per interval.
    """

    symbol: str
    rate: Decimal
    interest_rate: Decimal
    next_funding_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSettled:
    """One past settlement: the rate that was paid at `time_ms` on `mark_price`."""

    symbol: str
    time_ms: int
    rate: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The book as it stands: (price, quantity) best first, quantities in base units."""

    symbol: str
    update_id: int
    time_ms: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class Attention:
    """Which symbols somebody attends to: the memory behind `Market.attend`."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._all = tuple(symbols)
        self._wishes: dict[str, frozenset[str] | None] = {}
        self.symbols = self._all

    def set(self, who: str, symbols: Collection[str] | None) -> None:
        """Replace what `who` attends to; None for all."""
        wish = None if symbols is None else frozenset(symbols)
        if who in self._wishes and self._wishes[who] == wish:
            return
        self._wishes[who] = wish
        self.symbols = self._wanted(list(self._wishes.values()))

    def besides(self, who: str) -> frozenset[str]:
        """Return what others than `who` attend to."""
        return frozenset(self._wanted([w for name, w in self._wishes.items() if name != who]))

    def _wanted(self, wishes: Sequence[frozenset[str] | None]) -> tuple[str, ...]:
        named = [one for one in wishes if one is not None]
        if len(named) < len(wishes):
            return self._all
        wanted = frozenset().union(*named)
        return tuple(symbol for symbol in self._all if symbol in wanted)


class Market(Protocol):
    """A source of prices. Synthetic, replayed and mirrored markets look alike from outside."""

    @property
    def symbols(self) -> Sequence[str]:
        """The contracts it has prices for."""
        ...

    @property
    def now_ms(self) -> int:
        """The time it has been advanced to."""
        ...

    def advance(self, now_ms: int) -> list[MarketTick]:
        """Return the ticks since the last call, oldest first, all symbols merged by time.

        Only symbols that somebody attends to are told. Going back in time returns nothing and
        changes nothing. After a long pause the ticks may be coarse and few, but still touch
        every low and high that was passed.
        """
        ...

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        """Say whose ticks `advance` has to tell from now on; until anybody does, all are told.

        A symbol nobody attends to costs nothing; `latest` knows its price all the same.

        Args:
            who: names the listener; what it attends to now replaces what it did before.
            symbols: None for all.
        """
        ...

    def latest(self, symbol: str) -> MarketTick:
        """Return the present tick. Raises KeyError for a symbol it does not have."""
        ...

    def depth(self, symbol: str, limit: int) -> Depth:
        """Return up to `limit` levels a side; the first ones equal `latest`."""
        ...

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield the resting levels a taker of `side` walks, best first: asks for BUY.

        Args:
            at: a tick of the symbol that was told; None: the present one.
        """
        ...

    def funding(self, symbol: str) -> Funding:
        """Return the present estimate."""
        ...

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        """Return what is settled at `funding_ms`, a multiple of 8 hours that is not after now."""
        ...

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        """Return what traded in [start_ms, end_ms), both whole seconds; None if nothing did."""
        ...

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        """Return the tick of a trade id that has happened, else None."""
        ...

    def listed_ms(self, symbol: str) -> int:
        """Return since when there are candles, 0 if nobody knows."""
        ...

    def is_stale(self, symbol: str) -> bool:
        """Return True while its prices are too old to trade on: no new orders are taken then."""
        ...

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        """Move the price there at once and go on from there; return the new tick.

        Raises:
            KeyError: a symbol it does not have.
            UsageError: the price is not allowed, or this market cannot be moved.
        """
        ...

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        """Return the id of the first trade at or after `time_ms`."""
        ...

    def facts(self) -> Mapping[str, object]:
        """Return what `paper status` shows of it now; `market` is its kind."""
        ...

    def snapshot(self) -> Mapping[str, object]:
        """Return what a restart needs, ready for JSON; `kind` says which market it is of."""
        ...


@runtime_checkable
class PassingMarket(Market, Protocol):
    """A market that knows without making a tick whether it would stay inside a band."""

    def must_tell_all(self, who: str) -> bool:
        """Return True if others attend to all that is told: `advance` costs less then."""
        ...

    def pass_to(self, now_ms: int) -> None:
        """Move to `now_ms` as `advance` does; what happened since waits for `next_tick`."""
        ...

    def next_tick(self, who: str, bands: Mapping[str, Band], until_ms: int) -> MarketTick | None:
        """Return the next tick, of those that `advance` would tell, that must be told.

        Ticks before it inside their symbol's band are passed over, unless somebody besides `who`
        attends to the symbol. None: there is none up to `until_ms`, and all of them are passed.
        """
        ...

    def passed(self, symbol: str) -> MarketTick:
        """Return a symbol's last tick up to the one told last, told or passed over."""
        ...

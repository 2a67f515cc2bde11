"""The seeded market: a price for every contract, with a past, forever.

Pure: no clock, no I/O, no global randomness. The same seed, birth and calls give the same ticks,
and what is asked twice is answered twice alike, so the state worth keeping is the seed, the time
and the jumps somebody asked for. Must not know accounts or orders.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NotRequired, TypedDict

from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.numbers import to_wire
from trader_cli.domain.terms import Side
from trader_cli.errors import UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.markets.character import Character, Characters, character_of
from trader_cli.paper.markets.jumps import RandomJumps
from trader_cli.paper.markets.market import (
    Attention,
    Candle,
    Depth,
    Funding,
    FundingSettled,
    MarketTick,
)
from trader_cli.paper.markets.price_path import Bar, PricePath, Trade, join
from trader_cli.paper.markets.synthetic_book import FUNDING_INTERVAL_MS, INTEREST_E8, Book

TICK_MS: Final = 250
"""Every symbol trades once per grid instant."""

_COARSE_AFTER_MS: Final = 120_000
_COARSE_CHUNKS: Final = 48
_FINE_TAIL_S: Final = 10
_JUMPS_KEPT: Final = 1_000
_TICKS_MIN: Final = 1_000
"""Nothing jumps to where a tick is more than a thousandth of the price."""


class JumpRecord(TypedDict):
    """One jump somebody asked for."""

    symbol: str
    time_ms: int
    price: str


class SyntheticState(TypedDict):
    """What a restart needs; everything else follows from it."""

    kind: str
    seed: int
    birth_ms: int
    now_ms: int
    jumps: list[JumpRecord]
    characters: NotRequired[dict[str, dict[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Era:
    """What rules a symbol's price from `start_ms` until the next jump.

    Until the path begins, at most a second after a jump, the price stands still.
    """

    start_ms: int
    price: int
    path_ms: int
    path: PricePath


@dataclass(frozen=True, slots=True)
class _Listing:
    """One symbol's contract, book and eras, first era first."""

    contract: Contract
    book: Book
    eras: list[_Era]
    jumps: RandomJumps


class SyntheticMarket:
    """A `Market` that needs nothing but a seed.

    Args:
        seed: equal seeds give equal markets.
        birth_ms: when every contract stands at its start price; the past reaches back from here.
        contracts: what is listed, all of `instruments.CONTRACTS` by default.
        characters: jumps and spreads that differ from the usual; the rest of a character is in
            the contracts already.
    """

    def __init__(
        self,
        *,
        seed: int,
        birth_ms: int,
        contracts: Mapping[str, Contract] = CONTRACTS,
        characters: Characters | None = None,
    ) -> None:
        self._characters = dict(characters or {})
        self._seed = seed
        self._birth_ms = birth_ms
        self._told_ms = birth_ms
        self._now_ms = birth_ms
        self._listings = {symbol: self._list(row) for symbol, row in contracts.items()}
        self._latest: dict[str, MarketTick] = {}
        self._attention = Attention(list(self._listings))
        self._jumpy = [one for one in self._listings.values() if one.jumps.per_day > 0]

    @property
    def symbols(self) -> Sequence[str]:
        return tuple(self._listings)

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, now_ms: int) -> list[MarketTick]:
        """Return the ticks since the last call, oldest first.

        After more than two minutes most of the pause is told in a few hundred ticks that touch
        each stretch's open, low, high and close.
        """
        until = max(now_ms, self._now_ms)
        if until == self._told_ms:
            return []
        for listing in self._jumpy:
            self._add_random_jumps(listing, until)
        ticks = [
            tick
            for symbol in self._attention.symbols
            for tick in self._between(symbol, self._told_ms, until)
        ]
        self._told_ms = self._now_ms = until
        ticks.sort(key=lambda tick: tick.time_ms)
        return ticks

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        self._attention.set(who, symbols)

    def latest(self, symbol: str) -> MarketTick:
        listing = self._listings[symbol]
        era = listing.eras[-1]
        time_ms = max(self._now_ms // TICK_MS * TICK_MS, era.start_ms)
        known = self._latest.get(symbol)
        if known is None or known.time_ms != time_ms:
            known = self._tick(listing, time_ms)
            self._latest[symbol] = known
        return known

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

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        tick = at or self.latest(symbol)
        listing = self._listings[symbol]
        rules = listing.contract.instrument
        ask = side is Side.BUY
        best = int((tick.ask if ask else tick.bid) / rules.tick_size)
        for price, size in listing.book.levels(best, tick.time_ms, ask=ask):
            yield price * rules.tick_size, size * rules.quantity_step

    def funding(self, symbol: str) -> Funding:
        settles = self._now_ms // FUNDING_INTERVAL_MS + 1
        rate = self._listings[symbol].book.funding_e8(self._now_ms + 1)
        return Funding(
            symbol=symbol,
            rate=Decimal(rate).scaleb(-8),
            interest_rate=Decimal(INTEREST_E8).scaleb(-8),
            next_funding_ms=settles * FUNDING_INTERVAL_MS,
        )

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        assert funding_ms % FUNDING_INTERVAL_MS == 0, "funding is settled every eight hours"
        assert funding_ms <= self._now_ms, "a settlement in the future is not known"
        listing = self._listings[symbol]
        return FundingSettled(
            symbol=symbol,
            time_ms=funding_ms,
            rate=Decimal(listing.book.funding_e8(funding_ms)).scaleb(-8),
            mark_price=self._tick(listing, funding_ms).mark_price,
        )

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        """Return what traded in [start_ms, end_ms), both whole seconds; None if nothing did.

        Volumes and prices of a candle are exactly those of the shorter candles inside it. Quote
        volumes are priced per stretch and agree to a small fraction of the price range.
        """
        assert start_ms % 1_000 == 0, "candles begin on whole seconds"
        listing = self._listings[symbol]
        begin, until = max(start_ms, listing.contract.onboard_ms), min(end_ms, self._now_ms + 1)
        bar = self._bar(listing, begin, until) if begin < until else None
        if bar is None:
            return None
        rules = listing.contract.instrument
        tick, step = rules.tick_size, rules.quantity_step
        first, after = self.trade_id_at(symbol, begin), self.trade_id_at(symbol, until)
        return Candle(
            symbol=symbol,
            open_ms=start_ms,
            close_ms=end_ms - 1,
            open=bar.open * tick,
            high=bar.high * tick,
            low=bar.low * tick,
            close=bar.close * tick,
            volume=(bar.buy_volume + bar.sell_volume) * step,
            quote_volume=(bar.buy_quote + bar.sell_quote) * tick * step,
            trades=after - first,
            taker_buy_volume=bar.buy_volume * step,
            taker_buy_quote_volume=bar.buy_quote * tick * step,
            first_trade_id=first,
        )

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        listing = self._listings[symbol]
        time_ms = listing.contract.onboard_ms + trade_id * TICK_MS
        if trade_id < 0 or time_ms > self._now_ms:
            return None
        return self._tick(listing, time_ms)

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        listed = self._listings[symbol].contract.onboard_ms
        return max(0, -((listed - time_ms) // TICK_MS))

    def listed_ms(self, symbol: str) -> int:
        return self._listings[symbol].contract.onboard_ms

    def is_stale(self, symbol: str) -> bool:
        return False

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        """Move the price there at once and let it go on from there; return the new tick.

        The tick carries no trade: the first trade at the new price follows on the grid. It is
        stamped a millisecond or two after the present, and told by the next `advance`.

        Raises:
            KeyError: the symbol is not listed.
            UsageError: the price is outside what the contract allows.
        """
        listing = self._listings[symbol]
        rules = listing.contract.instrument
        if not rules.price_min <= price <= rules.price_max:
            raise UsageError(
                f"{symbol} cannot trade at {to_wire(price)}: "
                f"it is bound to {to_wire(rules.price_min)} … {to_wire(rules.price_max)}"
            )
        # Off the grid, so that no instant has two ticks and every trade keeps its id.
        time_ms = self._now_ms + 1
        time_ms += time_ms % TICK_MS == 0
        self._add_jump(listing, time_ms, round_down_to_step(price, rules.tick_size))
        self._now_ms = time_ms
        return self.latest(symbol)

    def facts(self) -> Mapping[str, object]:
        return {"market": "synthetic", "seed": self._seed}

    def snapshot(self) -> SyntheticState:
        """Return what `restore` needs, ready for JSON."""
        return SyntheticState(
            kind="synthetic",
            seed=self._seed,
            birth_ms=self._birth_ms,
            now_ms=self._told_ms,
            characters={symbol: dict(one) for symbol, one in self._characters.items()},
            jumps=[
                JumpRecord(
                    symbol=symbol,
                    time_ms=era.start_ms,
                    price=to_wire(era.price * listing.contract.instrument.tick_size),
                )
                for symbol, listing in self._listings.items()
                for era in listing.eras[1:]
            ],
        )

    @classmethod
    def restore(
        cls, state: SyntheticState, *, contracts: Mapping[str, Contract] = CONTRACTS
    ) -> SyntheticMarket:
        """Return the market as it was; the walk goes on. Jumps of unlisted symbols are dropped."""
        market = cls(
            seed=state["seed"],
            birth_ms=state["birth_ms"],
            contracts=contracts,
            characters=state.get("characters", {}),
        )
        market._told_ms = market._now_ms = state["now_ms"]
        for jump in state["jumps"]:
            listing = market._listings.get(jump["symbol"])
            if listing is not None:
                market._add_jump(listing, jump["time_ms"], Decimal(jump["price"]))
                market._now_ms = max(market._now_ms, jump["time_ms"])
        return market

    def _list(self, contract: Contract) -> _Listing:
        rules = contract.instrument
        salt = hashlib.sha256(f"{self._seed}:{contract.symbol}".encode()).digest()
        touch = int(contract.touch_quantity / rules.quantity_step)
        first = self._era(
            contract, contract.onboard_ms, self._birth_ms // 1_000, contract.start_price
        )
        character = character_of(self._characters, contract.symbol)
        number = int.from_bytes(salt[:8])
        book = Book(salt=number, touch_steps=touch, spread_min=character.spread_ticks)
        return _Listing(contract, book, [first], _jumps_of(number, character))

    def _era(self, contract: Contract, start_ms: int, origin_s: int, price: Decimal) -> _Era:
        rules = contract.instrument
        ticks = int(price / rules.tick_size)
        key = hashlib.sha256(f"{self._seed}:{contract.symbol}:{start_ms}".encode()).digest()
        path = PricePath(
            key=key,
            origin_s=origin_s,
            start_ticks=ticks,
            volatility=float(contract.volatility),
            volume_per_second=float(contract.daily_volume / rules.quantity_step / 86_400),
        )
        path_ms = start_ms if start_ms == contract.onboard_ms else origin_s * 1_000
        return _Era(start_ms=start_ms, price=ticks, path_ms=path_ms, path=path)

    def _add_random_jumps(self, listing: _Listing, until_ms: int) -> None:
        """Let the price leap where its character says so; told times are never changed."""
        rules = listing.contract.instrument
        for time_ms, share in listing.jumps.between(self._now_ms, until_ms):
            before = self._tick(listing, time_ms).last_price
            price = round_down_to_step(before * (1 + share), rules.tick_size)
            least = max(rules.price_min, rules.tick_size * _TICKS_MIN)
            if least <= price <= rules.price_max:
                self._add_jump(listing, time_ms, price)

    def _add_jump(self, listing: _Listing, time_ms: int, price: Decimal) -> None:
        origin_s = time_ms // 1_000 + 1
        listing.eras.append(self._era(listing.contract, time_ms, origin_s, price))
        if len(listing.eras) > _JUMPS_KEPT:
            del listing.eras[1]

    def _between(self, symbol: str, after_ms: int, until_ms: int) -> Iterator[MarketTick]:
        """Yield a symbol's ticks in (after_ms, until_ms]."""
        listing = self._listings[symbol]
        if until_ms - after_ms > _COARSE_AFTER_MS:
            start_s, end_s = after_ms // 1_000 + 1, until_ms // 1_000 - _FINE_TAIL_S
            yield from self._between(symbol, after_ms, start_s * 1_000 - 1)
            yield from self._coarse(listing, start_s, end_s)
            after_ms = end_s * 1_000 - 1
        jumps = [era.start_ms for era in listing.eras[1:] if after_ms < era.start_ms <= until_ms]
        first = after_ms // TICK_MS + 1
        times = (*(n * TICK_MS for n in range(first, until_ms // TICK_MS + 1)), *jumps)
        for time_ms in sorted(times) if jumps else times:
            yield self._tick(listing, time_ms)

    def _coarse(self, listing: _Listing, start_s: int, end_s: int) -> Iterator[MarketTick]:
        """Yield four ticks a stretch, which trade what the stretch traded at its extremes."""
        length = -(-(end_s - start_s) // _COARSE_CHUNKS)
        for left in range(start_s, end_s, length):
            right = min(left + length, end_s)
            bar = self._bar(listing, left * 1_000, right * 1_000)
            assert bar is not None, "a second always trades"
            inner = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
            quantity = (bar.buy_volume + bar.sell_volume) // 4
            for i, price in enumerate((bar.open, *inner, bar.close)):
                time_ms = (left * 4 + (right - left) * i) * TICK_MS
                yield self._quote(listing, time_ms, Trade(price, quantity, i % 2 == 1))

    def _bar(self, listing: _Listing, start_ms: int, end_ms: int) -> Bar | None:
        """Return what happened in [start_ms, end_ms), across jumps; None if nothing did."""
        bar: Bar | None = None
        eras = listing.eras
        first = max(0, bisect_right(eras, start_ms, key=lambda era: era.start_ms) - 1)
        for i in range(first, len(eras)):
            era = eras[i]
            if era.start_ms >= end_ms:
                break
            until = min(end_ms, eras[i + 1].start_ms) if i + 1 < len(eras) else end_ms
            if i > 0 and era.start_ms >= start_ms:
                bar = join(bar, Bar(*(era.price,) * 4, 0, 0, 0, 0))
            begin = max(start_ms, era.start_ms)
            whole, end = max(begin, era.path_ms) // 1_000, until // 1_000
            singles = range(-(-begin // TICK_MS), -(-min(until, era.path_ms) // TICK_MS))
            for n in singles:
                bar = join(bar, _trade_bar(_trade(era, n * TICK_MS)))
            if whole < end:
                bar = join(bar, era.path.bar(whole, end))
            for n in range(max(whole, end) * 4, -(-until // TICK_MS)):
                bar = join(bar, _trade_bar(_trade(era, n * TICK_MS)))
        return bar

    def _tick(self, listing: _Listing, time_ms: int) -> MarketTick:
        eras = listing.eras
        era = eras[-1]
        if time_ms < era.start_ms:
            era = eras[bisect_right(eras, time_ms, key=lambda one: one.start_ms) - 1]
        return self._quote(listing, time_ms, _trade(era, time_ms))

    def _quote(self, listing: _Listing, time_ms: int, trade: Trade) -> MarketTick:
        rules = listing.contract.instrument
        size, step = rules.tick_size, rules.quantity_step
        book = listing.book
        spread = book.spread(time_ms)
        bid = trade.price if trade.buyer_is_maker else trade.price - spread
        mark, index = book.mark_and_index(bid + spread / 2, trade.price, time_ms)
        return MarketTick(
            symbol=rules.symbol,
            time_ms=time_ms,
            trade_id=self.trade_id_at(rules.symbol, time_ms),
            bid=bid * size,
            bid_quantity=book.touch(time_ms, ask=False) * step,
            ask=(bid + spread) * size,
            ask_quantity=book.touch(time_ms, ask=True) * step,
            last_price=trade.price * size,
            last_quantity=trade.quantity * step,
            buyer_is_maker=trade.buyer_is_maker,
            mark_price=mark * size,
            index_price=index * size,
        )


def _jumps_of(salt: int, character: Character) -> RandomJumps:
    return RandomJumps(
        salt=salt, per_day=float(character.jumps_per_day), size=character.jump_pct / 100
    )


def _trade(era: _Era, time_ms: int) -> Trade:
    """Return the trade at a grid instant, or the quote without trade at the jump itself."""
    if time_ms >= era.path_ms:
        return era.path.second(time_ms // 1_000)[time_ms % 1_000 // TICK_MS]
    resting = 0 if time_ms == era.start_ms else 1
    return Trade(era.price, resting, time_ms // TICK_MS % 2 == 0)


def _trade_bar(trade: Trade) -> Bar:
    price, quantity = trade.price, trade.quantity
    quote = price * quantity
    if trade.buyer_is_maker:
        return Bar(price, price, price, price, 0, 0, quantity, quote)
    return Bar(price, price, price, price, quantity, quote, 0, 0)

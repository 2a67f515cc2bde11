"""The recorded market: the past of Binance's public data files, told again.

Trades happen at the prices of the tape and at no other. What the files do not record is made in
the least presuming way: the book's touch lies one tick around the last trade, and the sizes
around it are the contract's own; mark and index are the last price; funding is the fixed
interest. Deeper levels are guessed, as in the synthetic market: an order that walks them pays for
its size. Before the first print there is no price, after the last one the market stands still.

Pure: it is told the time, which is the tape's own. Must not know accounts or orders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from trader_cli.domain.terms import Side
from trader_cli.errors import UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.markets.files import UNITS_EXPONENT, MarketRows, read_files
from trader_cli.paper.markets.market import (
    Attention,
    Band,
    Candle,
    Depth,
    Funding,
    FundingSettled,
    MarketTick,
)
from trader_cli.paper.markets.replay_passage import Passage
from trader_cli.paper.markets.synthetic_book import FUNDING_INTERVAL_MS, INTEREST_E8, Book
from trader_cli.paper.markets.tape import Grain, Print, Tape, grain_of, tape_of

_INTEREST: Final = Decimal(INTEREST_E8).scaleb(-8)
_PAST_SHARE: Final = 10
_PAST_MAX_MS: Final = 86_400_000


@dataclass(slots=True)
class _Reel:
    """One symbol's tape, the contract it is traded under and the book around its prices."""

    contract: Contract
    tape: Tape
    book: Book
    tick: Decimal
    step: Decimal
    known: tuple[int, MarketTick] | None = None


class ReplayMarket:
    """A `Market` that plays tapes.

    Args:
        rows: what `market_files.read_files` returns.
        start_ms: when it begins, UTC epoch milliseconds; by default the first moment at which
            every symbol has a price. What the tapes hold before is its past.
        contracts: the rules the symbols are traded under.
        note: kept in every snapshot, for whoever has to find the tapes again.

    Raises:
        UsageError: a symbol has no contract, or `start_ms` is not on every tape.
    """

    def __init__(
        self,
        rows: Mapping[str, MarketRows],
        *,
        start_ms: int | None = None,
        contracts: Mapping[str, Contract] = CONTRACTS,
        note: Mapping[str, object] | None = None,
    ) -> None:
        self._note = dict(note or {})
        self._reels = {symbol: _reel(some, contracts) for symbol, some in rows.items()}
        first_ms = max(reel.tape.first_ms for reel in self._reels.values())
        self._now_ms = first_ms if start_ms is None else start_ms
        if not first_ms <= self._now_ms <= self.end_ms:
            raise UsageError(
                f"the replay cannot begin at {self._now_ms}: "
                f"all symbols have prices from {first_ms} to {self.end_ms} only"
            )
        self._attention = Attention(list(self._reels))
        tapes = {symbol: (reel.tape, reel.tick) for symbol, reel in self._reels.items()}
        self._passage = Passage(tapes, self._now_ms)

    @property
    def symbols(self) -> Sequence[str]:
        return tuple(self._reels)

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """The contracts as they trade here: ticks and steps as fine as the files'."""
        return {symbol: reel.contract for symbol, reel in self._reels.items()}

    @property
    def now_ms(self) -> int:
        return self._now_ms

    @property
    def end_ms(self) -> int:
        """The time of the last print of any symbol."""
        return max(reel.tape.end_ms for reel in self._reels.values())

    @property
    def ended(self) -> bool:
        """True once every print has been told: prices stand still from here on."""
        return self._now_ms >= self.end_ms

    def advance(self, now_ms: int) -> list[MarketTick]:
        """Return every print since the last call, however long ago that was."""
        told_ms, self._now_ms = self._now_ms, max(now_ms, self._now_ms)
        symbols = self._attention.symbols
        ticks = [tick for symbol in symbols for tick in self._between(symbol, told_ms)]
        if len(symbols) > 1:
            ticks.sort(key=lambda tick: tick.time_ms)
        return ticks

    def must_tell_all(self, who: str) -> bool:
        return self._attention.besides(who).issuperset(self._attention.symbols)

    def pass_to(self, now_ms: int) -> None:
        self._passage.begin(self._attention.symbols, self._now_ms)
        self._now_ms = max(now_ms, self._now_ms)

    def next_tick(self, who: str, bands: Mapping[str, Band], until_ms: int) -> MarketTick | None:
        attention = self._attention
        found = self._passage.next_print(
            attention.symbols, bands, until_ms, all_of=attention.besides(who)
        )
        return None if found is None else self._known(self._reels[found[0]], found[1])

    def passed(self, symbol: str) -> MarketTick:
        return self._known(self._reels[symbol], self._passage.reached(symbol) - 1)

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        self._attention.set(who, symbols)

    def latest(self, symbol: str) -> MarketTick:
        reel = self._reels[symbol]
        return self._known(reel, reel.tape.count_until(self._now_ms) - 1)

    def _known(self, reel: _Reel, number: int) -> MarketTick:
        if reel.known is None or reel.known[0] != number:
            reel.known = number, _tick(reel, reel.tape.prints(number, number + 1)[0], number)
        return reel.known[1]

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
        tick, reel = at or self.latest(symbol), self._reels[symbol]
        ask = side is Side.BUY
        best = int((tick.ask if ask else tick.bid) / reel.tick)
        step = reel.contract.instrument.quantity_step
        for price, size in reel.book.levels(best, tick.time_ms, ask=ask):
            yield price * reel.tick, size * step

    def funding(self, symbol: str) -> Funding:
        settles = self._now_ms // FUNDING_INTERVAL_MS + 1
        return Funding(
            symbol=self._reels[symbol].tape.symbol,
            rate=_INTEREST,
            interest_rate=_INTEREST,
            next_funding_ms=settles * FUNDING_INTERVAL_MS,
        )

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        reel = self._reels[symbol]
        number = max(0, reel.tape.count_until(funding_ms) - 1)
        price = reel.tape.prints(number, number + 1)[0].price
        return FundingSettled(
            symbol=symbol, time_ms=funding_ms, rate=_INTEREST, mark_price=price * reel.tick
        )

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        """Return what traded in [start_ms, end_ms); whole candles are the files' own."""
        reel = self._reels[symbol]
        found = reel.tape.stretch(start_ms, min(end_ms, self._now_ms + 1))
        if found is None:
            return None
        return Candle(
            symbol=symbol,
            open_ms=start_ms,
            close_ms=end_ms - 1,
            open=found.open * reel.tick,
            high=found.high * reel.tick,
            low=found.low * reel.tick,
            close=found.close * reel.tick,
            volume=found.volume * reel.step,
            quote_volume=_quote(found.quote),
            trades=found.trades,
            taker_buy_volume=found.taker_volume * reel.step,
            taker_buy_quote_volume=_quote(found.taker_quote),
            first_trade_id=self.trade_id_at(symbol, start_ms),
        )

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        reel = self._reels[symbol]
        number = reel.tape.number_of(trade_id)
        if number is None or number >= reel.tape.count_until(self._now_ms):
            return None
        return _tick(reel, reel.tape.prints(number, number + 1)[0], number)

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        tape = self._reels[symbol].tape
        number = tape.count_until(time_ms - 1)
        if number < len(tape):
            return tape.prints(number, number + 1)[0].trade_id
        return tape.prints(number - 1, number)[0].trade_id + 1

    def listed_ms(self, symbol: str) -> int:
        return self._reels[symbol].tape.first_ms

    def is_stale(self, symbol: str) -> bool:
        return False

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        """Refuse: what has been recorded cannot be moved."""
        self._reels[symbol]
        raise UsageError("a replayed market cannot be moved: its prices were")

    def snapshot(self) -> Mapping[str, object]:
        return {"kind": "replay", "now_ms": self._now_ms, **self._note}

    def facts(self) -> Mapping[str, object]:
        return {
            "market": "replay",
            "seed": None,
            "replay_until_ms": self.end_ms,
            "replay_ended": self.ended,
        }

    def _between(self, symbol: str, after_ms: int) -> Iterator[MarketTick]:
        reel = self._reels[symbol]
        first, after = reel.tape.count_until(after_ms), reel.tape.count_until(self._now_ms)
        for number, one in enumerate(reel.tape.prints(first, after), start=first):
            yield _tick(reel, one, number)


def open_replay(
    paths: Sequence[Path],
    *,
    symbol: str | None = None,
    start_ms: int | None = None,
    contracts: Mapping[str, Contract] = CONTRACTS,
    note: Mapping[str, object] | None = None,
) -> ReplayMarket:
    """Return the market of some data files.

    Args:
        start_ms: when it begins; by default a tenth of the way in, a day at most, so that it has
            a past from its first moment.

    Raises:
        UsageError: a file cannot be used; the message says which and why.
    """
    rows = read_files(paths, symbol=symbol)
    market = ReplayMarket(rows, start_ms=start_ms, contracts=contracts, note=note)
    if start_ms is None:
        share = (market.end_ms - market.now_ms) // _PAST_SHARE
        market.advance(market.now_ms + min(share, _PAST_MAX_MS))
    return market


def _reel(rows: MarketRows, contracts: Mapping[str, Contract]) -> _Reel:
    contract = contracts.get(rows.symbol)
    if contract is None:
        raise UsageError(
            f"{rows.symbol} is no contract of the paper exchange",
            advice="its rules are a row of trader_cli/paper/contracts/instruments.py; add one",
        )
    rules = contract.instrument
    grain = grain_of(rows, tick=_units(rules.tick_size), step=_units(rules.quantity_step))
    salt = hashlib.sha256(f"replay:{rows.symbol}".encode()).digest()
    return _Reel(
        contract=_as_fine(contract, grain),
        tape=tape_of(rows, grain),
        book=Book(
            salt=int.from_bytes(salt[:8]),
            touch_steps=int(contract.touch_quantity / rules.quantity_step),
        ),
        tick=_exact(grain.tick, rules.tick_size),
        step=_exact(grain.step, rules.quantity_step),
    )


def _as_fine(contract: Contract, grain: Grain) -> Contract:
    """Return the contract with the tick its prices had when they were recorded."""
    tick = _exact(grain.tick, contract.instrument.tick_size)
    return replace(contract, instrument=replace(contract.instrument, tick_size=tick))


def _units(value: Decimal) -> int:
    return int(value.scaleb(UNITS_EXPONENT))


def _exact(units: int, like: Decimal) -> Decimal:
    """Return the value of `units`, spelt as `like` where it is the same."""
    value = Decimal(units).scaleb(-UNITS_EXPONENT)
    return like if value == like else value.normalize() + 0


def _quote(units: int) -> Decimal:
    return Decimal(units).scaleb(-UNITS_EXPONENT).normalize() + 0


def _tick(reel: _Reel, one: Print, number: int) -> MarketTick:
    size = reel.tick
    last = one.price * size
    bid, ask = (last, last + size) if one.buyer_is_maker else (last - size, last)
    book, step = reel.book, reel.contract.instrument.quantity_step
    return MarketTick(
        symbol=reel.tape.symbol,
        time_ms=one.time_ms,
        trade_id=one.trade_id,
        book_id=number + 1,
        bid=bid,
        bid_quantity=book.touch(one.time_ms, ask=False) * step,
        ask=ask,
        ask_quantity=book.touch(one.time_ms, ask=True) * step,
        last_price=last,
        last_quantity=one.quantity * reel.step,
        buyer_is_maker=one.buyer_is_maker,
        mark_price=last,
        index_price=last,
    )

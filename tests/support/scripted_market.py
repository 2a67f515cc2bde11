"""A market that shows exactly what a test writes, for the paper venue's core without a server."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from trader_cli.domain.terms import Side
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.market import Candle, Depth, Funding, FundingSettled, MarketTick
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.state import MemoryState, State
from trader_cli.paper.venue.venue import Venue, VenueRefusal, VenueSettings

START_MS = 1_780_000_000_000
"""A quiet moment in 2026: no funding for more than an hour."""

Levels = list[tuple[Decimal, Decimal]]


def tick(
    *,
    bid: str = "60000",
    ask: str = "60000.1",
    size: str = "5",
    last: str | None = None,
    traded: str = "0",
    seller_takes: bool = True,
    mark: str | None = None,
    symbol: str = "BTCUSDT",
    time_ms: int = START_MS,
) -> MarketTick:
    """Return a tick; the last price defaults to the bid, the mark to the last price."""
    last_price = Decimal(bid if last is None else last)
    return MarketTick(
        symbol=symbol,
        time_ms=time_ms,
        trade_id=1,
        bid=Decimal(bid),
        bid_quantity=Decimal(size),
        ask=Decimal(ask),
        ask_quantity=Decimal(size),
        last_price=last_price,
        last_quantity=Decimal(traded),
        buyer_is_maker=seller_takes,
        mark_price=last_price if mark is None else Decimal(mark),
        index_price=last_price,
    )


class ScriptedMarket:
    """Shows one tick a symbol until told the next; five units a level unless `books` says else."""

    def __init__(self, ticks: Sequence[MarketTick]) -> None:
        self._latest = {one.symbol: one for one in ticks}
        self._pending: list[MarketTick] = []
        self._now_ms = START_MS
        self.books: dict[Side, Levels] = {}
        self.funding_rate = Decimal("0.0001")

    @property
    def symbols(self) -> Sequence[str]:
        return list(self._latest)

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def tell(self, one: MarketTick) -> None:
        """Have the next `advance` tell a tick at its time."""
        self._pending.append(one)

    def advance(self, now_ms: int) -> list[MarketTick]:
        self._now_ms = max(self._now_ms, now_ms)
        told = [replace(one, time_ms=self._now_ms) for one in self._pending]
        self._pending.clear()
        self._latest.update({one.symbol: one for one in told})
        return told

    def attend(self, who: str, symbols: Collection[str] | None) -> None:
        """Everything is told, whoever attends."""

    def latest(self, symbol: str) -> MarketTick:
        return self._latest[symbol]

    def levels(
        self, symbol: str, side: Side, at: MarketTick | None = None
    ) -> Iterator[tuple[Decimal, Decimal]]:
        if side in self.books:
            yield from self.books[side]
            return
        one = at or self._latest[symbol]
        step = CONTRACTS[symbol].instrument.tick_size * side.sign
        price = one.ask if side is Side.BUY else one.bid
        while price > 0:
            yield price, one.ask_quantity
            price += step

    def depth(self, symbol: str, limit: int) -> Depth:
        raise NotImplementedError("the venue walks levels")

    def funding(self, symbol: str) -> Funding:
        raise NotImplementedError("the venue settles only")

    def funding_settled(self, symbol: str, funding_ms: int) -> FundingSettled:
        return FundingSettled(
            symbol=symbol,
            time_ms=funding_ms,
            rate=self.funding_rate,
            mark_price=self._latest[symbol].mark_price,
        )

    def candle(self, symbol: str, start_ms: int, end_ms: int) -> Candle | None:
        return None

    def tick_at(self, symbol: str, trade_id: int) -> MarketTick | None:
        return None

    def trade_id_at(self, symbol: str, time_ms: int) -> int:
        return 0

    def jump(self, symbol: str, price: Decimal) -> MarketTick:
        spread = CONTRACTS[symbol].instrument.tick_size
        one = replace(
            self._latest[symbol],
            bid=price,
            ask=price + spread,
            last_price=price,
            mark_price=price,
            last_quantity=Decimal(0),
        )
        self.tell(one)
        return one

    def listed_ms(self, symbol: str) -> int:
        return 0

    def is_stale(self, symbol: str) -> bool:
        return False

    def facts(self) -> Mapping[str, object]:
        return {"market": "test", "seed": None}

    def snapshot(self) -> Mapping[str, object]:
        return {"kind": "scripted"}


class Trader:
    """One person at a venue: names instead of parameter dictionaries, and time that moves."""

    def __init__(
        self,
        *,
        balance: str = "10000",
        state: State | None = None,
        settings: VenueSettings | None = None,
        market: ScriptedMarket | None = None,
    ) -> None:
        eth = tick(symbol="ETHUSDT", bid="3000", ask="3000.01")
        self.market = market or ScriptedMarket([tick(), eth])
        self.state = state or MemoryState()
        chosen = settings or VenueSettings(initial_balance=Decimal(balance))
        self.now_ms = max(START_MS, self.market.now_ms)
        self.venue = Venue(CONTRACTS, self.market, self.state, chosen, self.now_ms)

    def move(self, milliseconds: int = 250, **changed: Any) -> list[str]:
        """Tell a tick after some time; return the kinds of events that it caused."""
        self.events()
        self.now_ms += milliseconds
        if changed:
            self.market.tell(tick(**changed))
        self.venue.advance(self.now_ms)
        return kinds(self.events())

    def events(self) -> list[dict[str, Any]]:
        return [dict(event) for event in self.venue.drain_events()]

    def order(self, side: str, quantity: str, /, **more: str) -> dict[str, Any]:
        """Place an order, LIMIT GTC if it has a price, else MARKET; the RESULT is returned."""
        sent = {"symbol": "BTCUSDT", "side": side, "quantity": quantity, "type": "MARKET"}
        if "price" in more or "priceMatch" in more:
            sent |= {"type": "LIMIT", "timeInForce": "GTC"}
        sent |= {"newOrderRespType": "RESULT"} | more
        return dict(self.venue.place_order(Params(sent), self.now_ms))

    def algo(self, kind: str, side: str, /, **more: str) -> dict[str, Any]:
        sent = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": side, "type": kind}
        return dict(self.venue.place_algo(Params(sent | more), self.now_ms))

    def ask(self, method: str, **params: str) -> Any:
        """Call a venue's method by name with the symbol BTCUSDT unless another is given."""
        sent = {"symbol": "BTCUSDT"} | params
        return getattr(self.venue, method)(Params(sent), self.now_ms)

    def status_of(self, order: Mapping[str, object]) -> str:
        """Return the present status of an order."""
        found = self.venue.query_order(
            Params({"symbol": str(order["symbol"]), "orderId": str(order["orderId"])}),
            self.now_ms,
        )
        return found["status"]

    def position(self, side: str = "BOTH", symbol: str = "BTCUSDT") -> dict[str, str]:
        rows = self.venue.position_risk_v2(Params({"symbol": symbol}), self.now_ms)
        return next({k: str(v) for k, v in r.items()} for r in rows if r["positionSide"] == side)

    def amount(self, side: str = "BOTH") -> Decimal:
        return Decimal(self.position(side)["positionAmt"])

    def balance(self, field: str = "balance") -> Decimal:
        row = dict(self.venue.balance(Params({}), self.now_ms)[0])
        return Decimal(str(row[field]))

    def income(self, kind: str | None = None) -> list[Decimal]:
        params = {"startTime": str(START_MS - 1), "limit": "1000"}
        if kind is not None:
            params["incomeType"] = kind
        rows = self.venue.income(Params(params), self.now_ms)
        return [Decimal(row["income"]) for row in rows]

    def refused(self, call: str, /, *args: str, **more: str) -> int:
        """Return the code a call is refused with; nothing is told about it."""
        self.events()
        try:
            if call in ("order", "algo"):
                getattr(self, call)(*args, **more)
            else:
                self.ask(call, **more)
        except VenueRefusal as refusal:
            assert self.events() == [], "a refusal leaves no trace"
            return refusal.code
        raise AssertionError(f"{call} {args} {more} was accepted")


def kinds(events: Sequence[Mapping[str, object]]) -> list[str]:
    """Return events in short: the kind, and what orders and conditional orders became."""
    short: list[str] = []
    for event in events:
        body = event.get("o")
        if not isinstance(body, dict):
            short.append(str(event["e"]))
        elif event["e"] == "ALGO_UPDATE":
            short.append(f"ALGO {body['X']}")
        else:
            short.append(f"ORDER {body['x']} {body['X']}")
    return short

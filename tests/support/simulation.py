"""A scripted day on the whole exchange under a virtual clock, in one process.

Everything a client could send or hear goes through `Exchange.handle` and stream connections. All
chance comes from the seed, so that one seed is one day, byte by byte. Run as a program it prints
the day's digest, for comparison between processes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.exchange import Exchange, ExchangeSettings
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.protocol.auth import KeyPair
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.paper.protocol.messages import HttpRequest, HttpResponse
from trader_cli.paper.state.state import MemoryState, State
from trader_cli.paper.venue.venue import Venue, VenueSettings

KEYS = KeyPair(api_key="k" * 64, api_secret="s" * 64)
START_MS = 1_780_000_000_000
DAY_MS = 86_400_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
STREAMS = "btcusdt@bookTicker/ethusdt@markPrice/btcusdt@kline_1m/btcusdt@depth@500ms"
_QUANTITIES = {"BTCUSDT": Decimal("0.002"), "ETHUSDT": Decimal("0.05"), "SOLUSDT": Decimal(2)}


@dataclass
class Transcript:
    """A stream connection that keeps a digest of what it heard, and how much that was."""

    digest: Any = field(default_factory=hashlib.sha256)
    count: int = 0

    def send(self, text: str, *, droppable: bool) -> None:
        self.digest.update(text.encode() + b"\n")
        self.count += 1

    def close(self, code: int, reason: str) -> None:
        self.send(f"closed {code} {reason}", droppable=False)


class Simulation:
    """An exchange whose time is moved by hand.

    Attributes:
        user, market: what the two stream connections heard.
    """

    def __init__(self, *, seed: int, state: State | None = None, balance: int = 10_000) -> None:
        self.now_ms = START_MS
        contracts = {symbol: CONTRACTS[symbol] for symbol in SYMBOLS}
        market = SyntheticMarket(seed=seed, birth_ms=START_MS, contracts=contracts)
        venue = Venue(
            contracts,
            market,
            state or MemoryState(),
            VenueSettings(initial_balance=Decimal(balance)),
            START_MS,
        )
        self.exchange = Exchange(
            routes=ROUTES,
            venue=venue,
            market=market,
            keys=KEYS,
            new_key=lambda: "l" * 64,
            started_ms=START_MS,
            settings=ExchangeSettings(rate_limits=RateLimitSettings(enabled=False)),
            contracts=contracts,
        )
        self.user, self.market = Transcript(), Transcript()
        self.ask("POST", "/fapi/v1/listenKey")
        subscriptions = self.exchange.subscriptions
        subscriptions.open("/private/ws", f"listenKey={'l' * 64}", self.user, self.now_ms)
        subscriptions.open("/market/stream", f"streams={STREAMS}", self.market, self.now_ms)

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds
        self.exchange.tick(self.now_ms)

    def send(self, method: str, path: str, values: dict[str, object] | None = None) -> HttpResponse:
        """Send one signed request."""
        query = urlencode({**(values or {}), "timestamp": self.now_ms})
        signature = hmac.digest(KEYS.api_secret.encode(), query.encode(), "sha256").hex()
        return self.exchange.handle(
            HttpRequest(
                method=method,
                path=path,
                raw_query=f"{query}&signature={signature}",
                headers={"x-mbx-apikey": KEYS.api_key},
            ),
            self.now_ms,
        )

    def ask(self, method: str, path: str, values: dict[str, object] | None = None) -> Any:
        """Send one request that must succeed and return its JSON."""
        response = self.send(method, path, values)
        assert response.status == 200, (path, response.status, response.body)
        return json.loads(response.body)


class Actor:
    """Somebody who does anything an account allows at random, refused or not.

    Attributes:
        refused, done: how many requests were.
    """

    def __init__(self, simulation: Simulation, seed: int, *, hedge: bool = False) -> None:
        self._simulation = simulation
        self._random = Random(seed)
        self._hedge = hedge
        self.answers = Transcript()
        self.done = self.refused = 0
        if hedge:
            simulation.ask("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"})

    def act(self) -> None:
        """Send one random request and keep the answer."""
        method, path, values = self._wish()
        response = self._simulation.send(method, path, values)
        self.answers.send(f"{response.status} {response.body!r}", droppable=False)
        if response.status == 200:
            self.done += 1
        else:
            self.refused += 1

    def _wish(self) -> tuple[str, str, dict[str, object]]:
        chance, symbol = self._random, self._random.choice(SYMBOLS)
        base: dict[str, object] = {"symbol": symbol}
        match chance.randrange(16):
            case 0 | 1 | 2 | 3:
                return "POST", "/fapi/v1/order", self._order(symbol) | {"type": "MARKET"}
            case 4 | 5 | 6:
                return "POST", "/fapi/v1/order", self._limit(symbol)
            case 7 | 8:
                return "POST", "/fapi/v1/algoOrder", self._algo(symbol)
            case 9:
                return "DELETE", "/fapi/v1/allOpenOrders", base
            case 10:
                return "DELETE", "/fapi/v1/algoOpenOrders", base
            case 11:
                return "POST", "/fapi/v1/leverage", base | {"leverage": chance.randint(2, 100)}
            case 12:
                word = chance.choice(["ISOLATED", "CROSSED"])
                return "POST", "/fapi/v1/marginType", base | {"marginType": word}
            case 13:
                moved = base | {"amount": chance.randint(1, 50), "type": chance.choice([1, 2])}
                if self._hedge:
                    moved["positionSide"] = chance.choice(["LONG", "SHORT"])
                return "POST", "/fapi/v1/positionMargin", moved
            case 14:
                return self._amendment(symbol)
            case _:
                return "GET", "/fapi/v2/account", {}

    def _order(self, symbol: str) -> dict[str, object]:
        chance = self._random
        order: dict[str, object] = {
            "symbol": symbol,
            "side": chance.choice(["BUY", "SELL"]),
            "quantity": _QUANTITIES[symbol] * chance.randint(1, 40),
        }
        if self._hedge:
            order["positionSide"] = chance.choice(["LONG", "SHORT"])
        elif chance.random() < 0.2:
            order["reduceOnly"] = "true"
        return order

    def _limit(self, symbol: str) -> dict[str, object]:
        chance = self._random
        kind = chance.choice(["GTC", "GTC", "IOC", "GTX", "FOK", "GTD"])
        price = self._price(symbol, 1 + chance.uniform(-0.004, 0.004))
        limit: dict[str, object] = {"type": "LIMIT", "timeInForce": kind, "price": price}
        if kind == "GTD":
            limit["goodTillDate"] = self._simulation.now_ms + 700_000
        return self._order(symbol) | limit

    def _algo(self, symbol: str) -> dict[str, object]:
        chance, order = self._random, self._order(symbol)
        kind = chance.choice(
            ["STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP", "TAKE_PROFIT", "TRAILING_STOP_MARKET"]
        )
        order |= {"algoType": "CONDITIONAL", "type": kind}
        if kind == "TRAILING_STOP_MARKET":
            return order | {"callbackRate": chance.choice(["0.1", "0.5", "1"])}
        rises = (order["side"] == "BUY") is kind.startswith("STOP")
        away = chance.uniform(0.001, 0.01)
        order["triggerPrice"] = self._price(symbol, 1 + away if rises else 1 - away)
        if kind in ("STOP", "TAKE_PROFIT"):
            order["price"] = order["triggerPrice"]
        elif not self._hedge and chance.random() < 0.3:
            del order["quantity"]
            order.pop("reduceOnly", None)
            order["closePosition"] = "true"
        return order

    def _amendment(self, symbol: str) -> tuple[str, str, dict[str, object]]:
        orders = self._simulation.ask("GET", "/fapi/v1/openOrders", {"symbol": symbol})
        if not orders:
            return "GET", "/fapi/v1/openOrders", {"symbol": symbol}
        order = self._random.choice(orders)
        names = ("symbol", "orderId", "side")
        values: dict[str, object] = {name: order[name] for name in names}
        values["quantity"] = _QUANTITIES[symbol] * self._random.randint(1, 40)
        values["price"] = self._price(symbol, 1 + self._random.uniform(-0.004, 0.004))
        return "PUT", "/fapi/v1/order", values

    def _price(self, symbol: str, factor: float) -> Decimal:
        last = self._simulation.exchange.market.latest(symbol).last_price
        tick = CONTRACTS[symbol].instrument.tick_size
        return Decimal(round(float(last) * factor / float(tick))) * tick


def scripted_day(seed: int, *, minutes: int = 1_440, step_ms: int = 900_000) -> str:
    """Trade for some time, with failures, and return the digest of all that was heard."""
    simulation = Simulation(seed=seed)
    faults = simulation.exchange.faults
    for kind in (FaultKind.EVENTS_DUPLICATED, FaultKind.EVENTS_REORDERED, FaultKind.PARTIAL_FILLS):
        faults.arm(kind, times=0, probability=0.1, seed=seed)
    faults.arm(FaultKind.UNKNOWN_EXECUTED, times=0, probability=0.05, seed=seed, method="POST")
    actor = Actor(simulation, seed)
    for step in range(minutes * 60_000 // step_ms):
        simulation.advance(step_ms)
        for _ in range(6):
            actor.act()
            simulation.advance(100)
        if step % 3 == 0:
            simulation.send("PUT", "/fapi/v1/listenKey")
    told = (simulation.user, simulation.market, actor.answers)
    return " ".join(f"{one.count}:{one.digest.hexdigest()[:16]}" for one in told)


if __name__ == "__main__":
    sys.stdout.write(scripted_day(int(sys.argv[1]), minutes=int(sys.argv[2])))

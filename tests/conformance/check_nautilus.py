"""nautilus_trader's live node with its Binance adapter: market data, orders, positions, user data.

Its older line knows one base for HTTP and one for WebSockets and never routes on foreign hosts; the
newer one has a base of its own for user data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.trading.strategy import Strategy
from paper_exchange import PaperExchange

BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
WITHIN_S = 40.0


class RoundTrip(Strategy):
    """Buys at market, rests a limit order, moves it, cancels it, sells, and is done."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.steps: list[str] = []
        self.done = asyncio.Event()
        self._resting: Any = None
        self._bid = Decimal(0)

    def on_start(self) -> None:
        self.subscribe_quote_ticks(BTC)
        self.subscribe_trade_ticks(BTC)
        self.subscribe_order_book_deltas(BTC)

    def on_quote_tick(self, tick: Any) -> None:
        if not self.steps:
            self.steps.append("bought")
            self._market(OrderSide.BUY)
        self.seen.add("quote")
        self._bid = tick.bid_price.as_decimal()

    def on_trade_tick(self, tick: Any) -> None:
        self.seen.add("trade")

    def on_order_book_deltas(self, deltas: Any) -> None:
        self.seen.add("book")

    def on_order_filled(self, event: Any) -> None:
        instrument = self.cache.instrument(BTC)
        if self.steps == ["bought"]:
            self.steps.append("rested")
            self._resting = self.order_factory.limit(
                *(BTC, OrderSide.BUY, instrument.make_qty(Decimal("0.010"))),
                price=instrument.make_price(self._bid * Decimal("0.98")),
            )
            self.submit_order(self._resting)
        elif self.steps[-1] == "sold":
            self.done.set()

    def on_order_accepted(self, event: Any) -> None:
        if self._resting is not None and self.steps[-1] == "rested":
            self.steps.append("moved")
            instrument = self.cache.instrument(BTC)
            self.modify_order(
                self._resting, price=instrument.make_price(self._bid * Decimal("0.97"))
            )

    def on_order_updated(self, event: Any) -> None:
        if self.steps[-1] == "moved":
            self.steps.append("cancelled")
            self.cancel_order(self._resting)

    def on_order_canceled(self, event: Any) -> None:
        self.steps.append("sold")
        self._market(OrderSide.SELL)

    def on_order_rejected(self, event: Any) -> None:
        self.steps.append(f"rejected: {event.reason}")
        self.done.set()

    def _market(self, side: OrderSide) -> None:
        quantity = self.cache.instrument(BTC).make_qty(Decimal("0.010"))
        self.submit_order(self.order_factory.market(BTC, side, quantity))


@pytest.fixture
def common(paper: PaperExchange) -> dict[str, Any]:
    return {
        "api_key": paper.api_key,
        "api_secret": paper.api_secret,
        "account_type": BinanceAccountType.USDT_FUTURES,
        "base_url_http": paper.rest_url,
        "base_url_ws": paper.stream_url,
        "instrument_provider": InstrumentProviderConfig(load_ids=frozenset({BTC})),
    }


def node_of(common: dict[str, Any], strategy: Strategy) -> TradingNode:
    """Return a node that reconciles at its start and runs one strategy."""
    execution = dict(common)
    if "base_url_ws_stream" in BinanceExecClientConfig.__struct_fields__:
        stream_url = common["base_url_ws"]
        execution |= {
            "base_url_ws": f"{stream_url}/ws-fapi/v1",
            "base_url_ws_stream": stream_url,
        }
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id=TraderId("PAPER-001"),
            logging=LoggingConfig(log_level="WARNING"),
            data_clients={BINANCE: BinanceDataClientConfig(**common)},
            exec_clients={BINANCE: BinanceExecClientConfig(**execution)},
            timeout_disconnection=2.0,
            timeout_post_stop=1.0,
        ),
        loop=asyncio.get_running_loop(),
    )
    node.trader.add_strategy(strategy)
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    return node


async def run_until(common: dict[str, Any], strategy: Any, done: Callable[[], bool]) -> None:
    """Run a node with a strategy until something is so, and end it."""
    node = node_of(common, strategy)
    running = asyncio.create_task(node.run_async())
    try:
        async with asyncio.timeout(WITHIN_S):
            while not done():
                await asyncio.sleep(0.05)
    finally:
        await node.stop_async()
        running.cancel()


class Positioned(RoundTrip):
    """Buys at market, rests a limit order, and leaves both."""

    rested = False

    def on_order_accepted(self, event: Any) -> None:
        self.rested = self._resting is not None


class Watcher(Strategy):
    """Does nothing and remembers what it found when it started."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Decimal] | None = None
        self.resting: list[str] = []

    def on_start(self) -> None:
        self.resting = [str(order.client_order_id) for order in self.cache.orders_open()]
        self.held = [p.signed_decimal_qty() for p in self.cache.positions_open()]


class CheckLiveNode:
    async def shows_a_round_trip(self, common: dict[str, Any]) -> None:
        strategy = RoundTrip()

        await run_until(common, strategy, strategy.done.is_set)

        assert strategy.steps == ["bought", "rested", "moved", "cancelled", "sold"]
        assert {"quote", "book"} <= strategy.seen

    async def shows_what_is_held_and_rests_when_it_starts(
        self, common: dict[str, Any], paper: PaperExchange
    ) -> None:
        first = Positioned()
        await run_until(common, first, lambda: first.rested)
        second = Watcher()

        await run_until(common, second, lambda: second.held is not None)

        assert second.held == [Decimal("0.010")]
        assert len(second.resting) == 1

"""What the order path costs: `python -m tests.benchmarks.orders`, or with the names of parts.

`warm`: an order through OrderManager, risk and the durable journal beside a bare program that
appends 200 bytes, calls fdatasync and sends the same order over a warm socket. `listing`: reading
3,000 open orders over 20 symbols beside a bare program that reads the same bytes and gives them to
orjson; the exchange's own work is in both, and the processor time of the reading program alone is
shown apart. Both against a paper exchange of their own without rate limits. `burst` and `entries`
are described in their modules.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import orjson

from tests.benchmarks import burst, entries
from tests.benchmarks.bare import BareSocket
from trader_cli.clock import SystemClock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import LimitRequest, Order
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Side, TimeInForce
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.process import PaperEndpoint, PaperOptions, ensure_running, stop
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits
from trader_cli.trading.risk.risk_view import RiskViewReader

SYMBOL: Final = "BTCUSDT"
ROUNDS: Final = 150
LISTED: Final = 3_000
SYMBOLS: Final = 20
LISTINGS: Final = 15
PARTS: Final = ("warm", "listing", "burst", "entries")


class SparseClock(SystemClock):
    """A clock on which orders are a minute apart, as an engine's are at most."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms

    def go_on(self) -> None:
        """Let a minute have passed."""
        self._ahead_ms += 60_000


async def warm_order(
    orders: OrderManager,
    views: RiskViewReader,
    clock: SparseClock,
    bare: BareSocket,
    folder: Path,
) -> None:
    journal = os.open(folder / "bare.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ours, theirs = [], []
    for number in range(ROUNDS):
        clock.go_on()
        view = await views.read(SYMBOL)  # an engine has its own at hand
        request = LimitRequest(
            symbol=SYMBOL,
            side=Side.BUY,
            quantity=Decimal("0.001"),
            price=Decimal(90_000),
            client_order_id="",
        )
        began = time.perf_counter()
        placed = await orders.place(request, source=f"o{number}", leg=Leg.ENTRY, view=view)
        ours.append(time.perf_counter() - began)
        assert isinstance(placed.order, Order), "a limit order"
        await orders.cancel_order(placed.order)
        began = time.perf_counter()
        os.write(journal, b"x" * 199 + b"\n")
        os.fdatasync(journal)
        answer = bare.request(
            *("POST", "/fapi/v1/order"),
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.001",
            price="90000",
        )
        theirs.append(time.perf_counter() - began)
        order_id = str(orjson.loads(answer)["orderId"])
        bare.request("DELETE", "/fapi/v1/order", symbol=SYMBOL, orderId=order_id)
    os.close(journal)
    show("warm order", statistics.median(ours), "bare", statistics.median(theirs))


async def listing(client: BinanceFuturesClient, bare: BareSocket) -> None:
    instruments = await client.get_instruments()
    for symbol in list(instruments)[:SYMBOLS]:
        mark = (await client.get_mark_price(symbol)).mark_price
        instrument = instruments[symbol]
        price = mark * Decimal("0.97") // instrument.tick_size * instrument.tick_size
        lots = instrument.notional_min * 2 / price // instrument.quantity_step + 1
        for number in range(LISTED // SYMBOLS):
            await client.place_limit_order(
                symbol,
                Side.BUY,
                (lots + number % 7) * instrument.quantity_step,
                price + number % 50 * instrument.tick_size,
                client_order_id=f"trd-list-{symbol}-{number}",
                time_in_force=TimeInForce.GTC,
            )
    ours, theirs, our_cpu, their_cpu = [], [], [], []
    for _ in range(LISTINGS):
        began, began_cpu = time.perf_counter(), time.process_time()
        rows = await client.get_open_orders()
        ours.append(time.perf_counter() - began)
        our_cpu.append(time.process_time() - began_cpu)
        began, began_cpu = time.perf_counter(), time.process_time()
        raw = orjson.loads(bare.request("GET", "/fapi/v1/openOrders"))
        theirs.append(time.perf_counter() - began)
        their_cpu.append(time.process_time() - began_cpu)
        assert len(rows) == len(raw), "both list the same"
    what = f"list {len(rows)} orders"
    show(what, statistics.median(ours), "raw", statistics.median(theirs))
    what += ", processor of the reader"
    show(what, statistics.median(our_cpu), "raw", statistics.median(their_cpu))
    for symbol in list(instruments)[:SYMBOLS]:
        await client.cancel_all_open_orders(symbol)


def show(name: str, ours_s: float, other: str, other_s: float) -> None:
    print(f"{name}: {ours_s * 1e3:.2f} ms, {other} {other_s * 1e3:.2f} ms, x{ours_s / other_s:.2f}")


async def measure(folder: Path, endpoint: PaperEndpoint, parts: Sequence[str]) -> None:
    clock = SparseClock()
    journal = Journal.open(folder / "journal.db", clock)
    async with BinanceFuturesClient(
        api_key=endpoint.api_key,
        api_secret=endpoint.api_secret,
        rest_url=endpoint.rest_url,
        weight_kept=None,
    ) as client:
        views = RiskViewReader(client, journal=journal, clock=clock)
        orders = OrderManager(
            client,
            journal=journal,
            risk=RiskManager(RiskLimits()),
            latch=HaltLatch(folder / "halt", clock),
            clock=clock,
            policy=EntryPolicy(),
        )
        bare = BareSocket(endpoint)
        if "warm" in parts:
            await warm_order(orders, views, clock, bare, folder)
        if "listing" in parts:
            await listing(client, bare)
    journal.close()


def main(parts: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if {"warm", "listing"} & set(parts):
            endpoint = ensure_running(home, SystemClock(), PaperOptions(rate_limits=False))
            try:
                asyncio.run(measure(home, endpoint, parts))
            finally:
                stop(home)
        if "burst" in parts:
            asyncio.run(burst.measure(home))
        if "entries" in parts:
            asyncio.run(entries.measure(home))


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)

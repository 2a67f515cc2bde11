"""What the order path costs: `python -m tests.benchmarks.orders`, against an own paper exchange.

Prints a warm order through OrderManager, risk and the durable journal beside a bare program that
appends 200 bytes, calls fdatasync and sends the same order over a warm socket, in the same run;
the listing of 3,000 open orders beside raw parsing; and `smart` beside `market` on the synthetic
market. The exchange's rate limits are switched off for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import orjson

from trader_cli.clock import SystemClock
from trader_cli.domain.client_id import Leg
from trader_cli.domain.order import LimitRequest, MarketRequest, Order
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Side, TimeInForce
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.process import PaperEndpoint, PaperOptions, ensure_running, stop
from trader_cli.trading.order_manager import OrderManager
from trader_cli.trading.risk_manager import RiskManager
from trader_cli.trading.risk_terms import RiskLimits
from trader_cli.trading.risk_view import RiskViewReader

SYMBOL: Final = "BTCUSDT"
ROUNDS: Final = 150
LISTED: Final = 3_000
SYMBOLS: Final = 20
WORKED: Final = 5


class BareSocket:
    """The least a program can do: sign, write, read one answer over a kept connection."""

    def __init__(self, endpoint: PaperEndpoint) -> None:
        url = urlsplit(endpoint.rest_url)
        assert url.hostname is not None, "an origin"
        assert url.port is not None, "the paper exchange's"
        self._host = f"{url.hostname}:{url.port}"
        self._key, self._secret = endpoint.api_key, endpoint.api_secret.encode()
        self._socket = socket.create_connection((url.hostname, url.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, method: str, path: str, **params: str) -> bytes:
        query = urlencode({**params, "timestamp": str(int(time.time() * 1_000))})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        self._socket.sendall(
            f"{method} {path}?{query}&signature={signature} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"X-MBX-APIKEY: {self._key}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        return self._answer()

    def _answer(self) -> bytes:
        buffer = bytearray()
        while b"\r\n\r\n" not in buffer:
            buffer += self._socket.recv(1 << 20)
        head, _, body = bytes(buffer).partition(b"\r\n\r\n")
        rows = (line.split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = next(int(row[1]) for row in rows if row[0].lower() == b"content-length")
        content = bytearray(body)
        while len(content) < length:
            content += self._socket.recv(1 << 20)
        return bytes(content)


async def warm_order(
    orders: OrderManager, views: RiskViewReader, bare: BareSocket, folder: Path
) -> None:
    view = await views.read(SYMBOL)  # an engine keeps its own; reading it is not the order path
    journal = os.open(folder / "bare.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ours, theirs = [], []
    for number in range(ROUNDS):
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
                lots * instrument.quantity_step,
                price,
                client_order_id=f"trd-list-{symbol}-{number}",
                time_in_force=TimeInForce.GTC,
            )
    ours, theirs = [], []
    for _ in range(7):
        began = time.perf_counter()
        rows = await client.get_open_orders()
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        raw = orjson.loads(bare.request("GET", "/fapi/v1/openOrders"))
        theirs.append(time.perf_counter() - began)
        assert len(rows) == len(raw), "both list the same"
    show(f"list {len(rows)} orders", statistics.median(ours), "raw", statistics.median(theirs))
    for symbol in list(instruments)[:SYMBOLS]:
        await client.cancel_all_open_orders(symbol)


async def smart_against_market(orders: OrderManager) -> None:
    quantity, makers, smart_bps, market_bps = Decimal("0.001"), [], [], []
    for number in range(WORKED):
        result = await orders.smart_entry(SYMBOL, Side.BUY, quantity, source=f"s{number}")
        slippage = result.slippage_bps(Side.BUY)
        if slippage is None or result.maker_share is None:
            continue
        makers.append(result.maker_share)
        smart_bps.append(slippage + 2 * result.maker_share + 5 * (1 - result.maker_share))
        top = await orders.book(SYMBOL)
        middle = (top.bid + top.ask) / 2
        request = MarketRequest(
            symbol=SYMBOL, side=Side.SELL, quantity=quantity, client_order_id="", reduce_only=True
        )
        placed = await orders.place(request, source=f"m{number}", leg=Leg.EXIT)
        assert isinstance(placed.order, Order), "a market order"
        price = (await orders.refresh(placed.order)).average_price
        assert price is not None, "it was executed"
        market_bps.append((middle - price) / middle * 10_000 + 5)
    print(
        f"smart: maker share {statistics.mean(makers):.2f}, cost with fees "
        f"{statistics.mean(smart_bps):.2f} bps; market: {statistics.mean(market_bps):.2f} bps"
    )


def show(name: str, ours_s: float, other: str, other_s: float) -> None:
    print(f"{name}: {ours_s * 1e3:.2f} ms, {other} {other_s * 1e3:.2f} ms, x{ours_s / other_s:.2f}")


async def measure(folder: Path, endpoint: PaperEndpoint) -> None:
    clock = SystemClock()
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
        await warm_order(orders, views, bare, folder)
        await smart_against_market(orders)
        await listing(client, bare)
    journal.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        endpoint = ensure_running(home, SystemClock(), PaperOptions(rate_limits=False))
        try:
            asyncio.run(measure(home, endpoint))
        finally:
            stop(home)


if __name__ == "__main__":
    main()

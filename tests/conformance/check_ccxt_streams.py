"""ccxt's streaming side (`ccxt.pro.binanceusdm`): market streams, user data, orders by WebSocket.

The REST origin and the stream origins are turned, nothing else; ccxt then finds `/public`,
`/market` and `/private` by itself and appends a number to their paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt.pro
import pytest
import pytest_asyncio
from check_ccxt_rest import BTC, ETH
from paper_exchange import PaperExchange

WITHIN_S = 10.0


@pytest_asyncio.fixture
async def client(paper: PaperExchange) -> AsyncIterator[Any]:
    exchange = ccxt.pro.binanceusdm({"apiKey": paper.api_key, "secret": paper.api_secret})
    exchange.enableRateLimit = False
    turn(exchange.urls["api"], paper)
    await exchange.load_markets()
    yield exchange
    await exchange.close()


def turn(urls: dict[str, Any], paper: PaperExchange) -> None:
    """Replace the origins of Binance's futures wherever ccxt keeps them."""
    origins = {
        "https://fapi.binance.com": paper.rest_url,
        "https://api.binance.com": paper.rest_url,
        "wss://fstream.binance.com": paper.stream_url,
        "wss://ws-fapi.binance.com": paper.stream_url,
    }
    for name, url in urls.items():
        if isinstance(url, dict):
            turn(url, paper)
            continue
        for real, ours in origins.items():
            if isinstance(url, str) and url.startswith(real):
                urls[name] = ours + url.removeprefix(real)


async def soon(waiting: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(waiting, WITHIN_S)


async def until(watch: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """Watch again and again until something wanted comes."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            for found in await watch():
                if wanted(found):
                    return found


class CheckMarketStreams:
    async def shows_order_book_kept_by_its_differences(self, client: Any) -> None:
        for _ in range(5):
            book = await soon(client.watch_order_book(BTC))

        assert book["bids"][0][0] < book["asks"][0][0]
        snapshot = await soon(client.fetch_order_book(BTC, 1000))
        assert abs(snapshot["bids"][0][0] / book["bids"][0][0] - 1) < 0.001

    async def shows_trades(self, client: Any) -> None:
        trades = await soon(client.watch_trades(BTC))

        assert trades[-1]["amount"] > 0

    async def shows_ticker(self, client: Any) -> None:
        assert (await soon(client.watch_ticker(BTC)))["last"] > 0

    async def shows_tickers(self, client: Any) -> None:
        assert await soon(client.watch_tickers([BTC, ETH]))

    async def shows_bids_and_asks(self, client: Any) -> None:
        row = (await soon(client.watch_bids_asks([BTC])))[BTC]

        assert row["bid"] < row["ask"]

    async def shows_mark_prices(self, client: Any) -> None:
        assert (await soon(client.watch_mark_price(BTC)))["markPrice"] > 0
        assert await soon(client.watch_mark_prices([ETH]))

    async def shows_candles(self, client: Any) -> None:
        candle = (await soon(client.watch_ohlcv(BTC, "1m")))[-1]

        assert candle[3] <= candle[4] <= candle[2]


class CheckUserStream:
    async def shows_order_trade_and_position_of_a_fill(self, client: Any) -> None:
        orders = asyncio.create_task(
            until(lambda: client.watch_orders(BTC), lambda order: order["status"] == "closed")
        )
        trades = asyncio.create_task(until(lambda: client.watch_my_trades(BTC), bool))
        positions = asyncio.create_task(
            until(lambda: client.watch_positions([BTC]), lambda row: row["contracts"] == 0.01)
        )
        await asyncio.sleep(0.5)  # the tasks subscribe; ccxt tells nobody when it has

        order = await client.create_order(BTC, "market", "buy", 0.01)

        assert (await orders)["id"] == order["id"]
        assert (await trades)["order"] == order["id"]
        assert (await positions)["side"] == "long"

    async def shows_balance_after_a_fill(self, client: Any) -> None:
        changed = asyncio.create_task(soon(client.watch_balance()))
        await asyncio.sleep(0.5)

        await client.create_order(BTC, "market", "buy", 0.01)

        assert (await changed)["USDT"]["total"] < 10_000

    async def shows_order_that_rests_and_is_cancelled(
        self, client: Any, paper: PaperExchange
    ) -> None:
        ended = asyncio.create_task(
            until(lambda: client.watch_orders(BTC), lambda order: order["status"] == "canceled")
        )
        await asyncio.sleep(0.5)

        price = float(paper.near("BTCUSDT", -2))
        order = await client.create_order(BTC, "limit", "buy", 0.01, price)
        await client.cancel_order(order["id"], BTC)

        assert (await ended)["id"] == order["id"]


class CheckTradingByWebSocket:
    async def shows_market_order(self, client: Any) -> None:
        order = await soon(client.create_order_ws(BTC, "market", "buy", 0.01))

        assert order["status"] == "closed"
        assert order["filled"] == 0.01

    async def shows_limit_order_changed_asked_about_and_cancelled(
        self, client: Any, paper: PaperExchange
    ) -> None:
        first, second = (float(paper.near("BTCUSDT", percent)) for percent in (-2, -3))

        order = await soon(client.create_order_ws(BTC, "limit", "buy", 0.01, first))
        changed = await soon(client.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, second))
        asked = await soon(client.fetch_order_ws(order["id"], BTC))
        ended = await soon(client.cancel_order_ws(order["id"], BTC))

        assert (changed["amount"], changed["price"]) == (0.02, second)
        assert asked["status"] == "open"
        assert ended["status"] == "canceled"

    async def shows_conditional_order(self, client: Any, paper: PaperExchange) -> None:
        trigger = float(paper.near("BTCUSDT", -2))

        await soon(
            client.create_order_ws(
                *(BTC, "STOP_MARKET", "sell", 0.01, None), {"triggerPrice": trigger}
            )
        )

        listed = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert [order["triggerPrice"] for order in listed] == [trigger]

    async def shows_refusal(self, client: Any) -> None:
        with pytest.raises(ccxt.pro.ExchangeError, match="-2019"):
            await soon(client.create_order_ws(BTC, "market", "buy", 10))

    async def shows_balance_and_positions(self, client: Any) -> None:
        await client.create_order(BTC, "market", "buy", 0.01)

        balance = await soon(client.fetch_balance_ws())
        positions = await soon(client.fetch_positions_ws([BTC]))

        assert 9_000 < balance["USDT"]["total"] < 10_000
        assert [row["contracts"] for row in positions if row["contracts"]] == [0.01]

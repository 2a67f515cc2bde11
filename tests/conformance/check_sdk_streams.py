"""The official SDK's streams: three connections at once, every event strictly by its own model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from allowances import ALLOWANCES
from paper_exchange import PaperExchange
from sdk_asker import RestAsker, market_and_user_streams
from strict_models import mismatches

BTC = "BTCUSDT"
WITHIN_S = 10.0


@pytest_asyncio.fixture
async def streams(paper: PaperExchange) -> AsyncIterator[Any]:
    async with market_and_user_streams(paper) as opened:
        yield opened


@pytest.fixture
def ask(paper: PaperExchange) -> Any:
    asker = RestAsker(paper)
    yield asker
    asker.close()


async def heard(texts: list[str], handle: Any, enough: Callable[[Any], bool]) -> Any:
    """Return the payloads of a stream up to the one that is enough, all as documented."""
    parsed: list[Any] = []
    handle.on("message", parsed.append)
    name = handle._stream
    payloads: list[Any] = []
    async with asyncio.timeout(WITHIN_S):
        while not payloads or not enough(payloads[-1]):
            messages = [json.loads(text) for text in texts]
            payloads = [message["data"] for message in messages if message.get("stream") == name]
            payloads = _until(payloads, enough)
            await asyncio.sleep(0.02)
    problems = [
        problem
        for payload in payloads
        for row in (payload if isinstance(payload, list) else [payload])
        for problem in mismatches(handle._response_model, row, ALLOWANCES)
    ]
    assert not problems, "\n".join(problems[:20])
    assert parsed, "the SDK's own callback was called"
    return payloads


async def listening(client: Any, texts: list[str], ask: RestAsker) -> Any:
    """Return the user stream once the exchange has confirmed it: the SDK does not wait for that."""
    handle = await client.user_data(ask("start_user_data_stream")["listenKey"])
    await confirmed(texts, 1)
    return handle


async def confirmed(texts: list[str], count: int) -> None:
    """Wait for so many answers to subscriptions."""
    async with asyncio.timeout(WITHIN_S):
        while sum('"result":null' in text for text in texts) < count:
            await asyncio.sleep(0.01)


def _until(payloads: list[Any], enough: Callable[[Any], bool]) -> list[Any]:
    last = next((index for index, payload in enumerate(payloads) if enough(payload)), None)
    return payloads if last is None else payloads[: last + 1]


class CheckMarketStreams:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("aggregate_trade_streams", {"symbol": BTC}),
            ("mark_price_stream", {"symbol": BTC, "update_speed": "1s"}),
            ("mark_price_stream_for_all_market", {"update_speed": "1s"}),
            ("kline_candlestick_streams", {"symbol": BTC, "interval": "1m"}),
            (
                "continuous_contract_kline_candlestick_streams",
                {"pair": "btcusdt", "contract_type": "perpetual", "interval": "1m"},
            ),
            ("individual_symbol_mini_ticker_stream", {"symbol": BTC}),
            ("all_market_mini_tickers_stream", {}),
            ("individual_symbol_ticker_streams", {"symbol": BTC}),
            ("all_market_tickers_streams", {}),
            ("individual_symbol_book_ticker_streams", {"symbol": BTC}),
            ("all_book_tickers_stream", {}),
            ("partial_book_depth_streams", {"symbol": BTC, "levels": 5, "update_speed": "100ms"}),
            ("diff_book_depth_streams", {"symbol": BTC, "update_speed": "100ms"}),
            ("rpi_diff_book_depth_streams", {"symbol": BTC}),
        ],
    )
    async def shows_stream_as_documented(
        self, streams: Any, method: str, arguments: dict[str, Any]
    ) -> None:
        client, texts = streams
        handle = await getattr(client, method)(**arguments)

        await heard(texts, handle, lambda payload: True)

    async def shows_quiet_streams_accepted(self, streams: Any) -> None:
        client, texts = streams
        for stream in (
            client.liquidation_order_streams(BTC),
            client.all_market_liquidation_order_streams(),
            client.contract_info_stream(),
            client.asset_index(),
            client.trading_session_stream(),
        ):
            await stream

        await confirmed(texts, 5)

    async def shows_stream_ended(self, streams: Any) -> None:
        client, texts = streams
        handle = await client.individual_symbol_book_ticker_streams(BTC)
        await heard(texts, handle, lambda payload: True)

        await handle.unsubscribe()
        await asyncio.sleep(0.3)
        texts.clear()
        await asyncio.sleep(0.5)

        assert [text for text in texts if "bookTicker" in text] == []


class CheckUserStream:
    async def shows_events_of_a_fill(self, streams: Any, ask: RestAsker) -> None:
        client, texts = streams
        handle = await listening(client, texts, ask)

        ask("new_order", BTC, "BUY", "MARKET", quantity="0.010")

        events = await heard(
            texts,
            handle,
            lambda e: e["e"] == "ORDER_TRADE_UPDATE" and e["o"]["X"] == "FILLED",
        )
        kinds = [event["e"] for event in events]
        assert kinds[:2] == ["TRADE_LITE", "ORDER_TRADE_UPDATE"]
        assert kinds[-2:] == ["ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]

    async def shows_events_of_an_order_changed_and_cancelled(
        self, streams: Any, ask: RestAsker, paper: PaperExchange
    ) -> None:
        client, texts = streams
        handle = await listening(client, texts, ask)
        first, second = (str(paper.near(BTC, percent)) for percent in (-2, -3))

        order = ask(
            *("new_order", BTC, "BUY", "LIMIT"), quantity="0.010", price=first, time_in_force="GTC"
        )
        ask("modify_order", BTC, "BUY", "0.010", second, order_id=order["orderId"], modify_id=3)
        ask("cancel_order", BTC, order_id=order["orderId"])

        events = await heard(texts, handle, lambda e: e["o"]["X"] == "CANCELED")
        assert [event["o"]["x"] for event in events] == ["NEW", "AMENDMENT", "CANCELED"]

    async def shows_events_of_a_conditional_order(
        self, streams: Any, ask: RestAsker, paper: PaperExchange
    ) -> None:
        client, texts = streams
        ask("new_order", BTC, "BUY", "MARKET", quantity="0.010")
        handle = await listening(client, texts, ask)
        trigger = paper.near(BTC, -0.5)

        ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "STOP_MARKET"),
            quantity="0.010",
            trigger_price=str(trigger),
        )
        paper.jump(BTC, trigger * 999 / 1000)

        events = await heard(
            texts, handle, lambda e: e["e"] == "ALGO_UPDATE" and e["o"]["X"] == "FINISHED"
        )
        states = [event["o"]["X"] for event in events if event["e"] == "ALGO_UPDATE"]
        assert states == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]

    async def shows_events_of_settings(self, streams: Any, ask: RestAsker) -> None:
        client, texts = streams
        handle = await listening(client, texts, ask)

        ask("change_initial_leverage", BTC, 3)

        (event,) = await heard(texts, handle, lambda e: e["e"] == "ACCOUNT_CONFIG_UPDATE")
        assert event["ac"] == {"s": BTC, "l": 3}

"""The official SDK's WebSocket trading API, every answer strictly by its own model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, get_type_hints

import pytest
import pytest_asyncio
from allowances import WS_API_ALLOWANCES
from Crypto.PublicKey import ECC
from paper_exchange import PaperExchange
from sdk_asker import trading_api
from strict_models import mismatches

BTC = "BTCUSDT"


class SocketAsker:
    """Calls the SDK's methods by name, as `RestAsker` does."""

    def __init__(self, client: Any, texts: list[str]) -> None:
        self.client = client
        self._texts = texts

    async def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Return the result as it came, after the SDK took it and the model held."""
        self._texts.clear()
        response = await getattr(self.client, method)(*arguments, **named)
        (text,) = self._texts
        answer = json.loads(text)
        if "error" in answer:
            return answer
        hint = get_type_hints(getattr(type(self.client), method))["return"]
        problems = mismatches(hint.__args__[0], answer, WS_API_ALLOWANCES)
        assert not problems, "\n".join(problems[:20])
        response.data()
        return answer["result"]


@pytest_asyncio.fixture
async def ask(paper: PaperExchange) -> AsyncIterator[SocketAsker]:
    async with trading_api(paper) as (client, texts):
        yield SocketAsker(client, texts)


class CheckTradingByWebSocket:
    @pytest.mark.parametrize(
        ("method", "arguments"),
        [
            ("order_book", {"symbol": BTC, "limit": 5}),
            ("symbol_price_ticker", {"symbol": BTC}),
            ("symbol_price_ticker", {}),
            ("symbol_order_book_ticker", {"symbol": BTC}),
            ("symbol_order_book_ticker", {}),
        ],
    )
    async def shows_market_data(
        self, ask: SocketAsker, method: str, arguments: dict[str, Any]
    ) -> None:
        assert await ask(method, **arguments)

    @pytest.mark.parametrize(
        "method",
        [
            "account_information",
            "account_information_v2",
            "futures_account_balance",
            "futures_account_balance_v2",
            "position_information",
            "position_information_v2",
        ],
    )
    async def shows_account(self, ask: SocketAsker, method: str) -> None:
        await ask("new_order", BTC, "BUY", "MARKET", quantity=0.01)

        assert await ask(method)

    async def shows_order_placed_changed_asked_about_and_cancelled(
        self, ask: SocketAsker, paper: PaperExchange
    ) -> None:
        first, second = (float(paper.near(BTC, percent)) for percent in (-2, -3))

        order = await ask(
            *("new_order", BTC, "BUY", "LIMIT"), time_in_force="GTC", quantity=0.01, price=first
        )
        wanted = {"order_id": order["orderId"]}
        changed = await ask("modify_order", BTC, "BUY", 0.02, second, **wanted)
        asked = await ask("query_order", BTC, **wanted)
        ended = await ask("cancel_order", BTC, **wanted)

        assert changed["origQty"] == "0.020"
        assert (asked["status"], ended["status"]) == ("NEW", "CANCELED")

    async def shows_market_order_filled(self, ask: SocketAsker) -> None:
        order = await ask(
            *("new_order", BTC, "BUY", "MARKET"), quantity=0.01, new_order_resp_type="RESULT"
        )

        assert order["status"] == "FILLED"

    async def shows_conditional_order(self, ask: SocketAsker, paper: PaperExchange) -> None:
        trigger = float(paper.near(BTC, -2))

        algo = await ask(
            *("new_algo_order", "CONDITIONAL", BTC, "SELL", "STOP_MARKET"),
            quantity=0.01,
            trigger_price=trigger,
        )

        assert (await ask("cancel_algo_order", algo_id=algo["algoId"]))["code"] == "200"

    async def shows_listen_key(self, ask: SocketAsker) -> None:
        key = (await ask("start_user_data_stream"))["listenKey"]

        assert (await ask("keepalive_user_data_stream"))["listenKey"] == key
        await ask("close_user_data_stream")

    async def shows_refusal(self, ask: SocketAsker) -> None:
        answer = await ask("new_order", BTC, "BUY", "MARKET", quantity=50)

        assert (answer["status"], answer["error"]["code"]) == (400, -2019)

    async def shows_session_opened_with_an_ed25519_key(self, paper: PaperExchange) -> None:
        private = ECC.generate(curve="ed25519")
        name = paper.register(private.public_key().export_key(format="PEM"))

        async with trading_api(
            paper, api_key=name, private_key=private.export_key(format="PEM")
        ) as (client, texts):
            await client.send_signed_message(
                {"method": "session.logon", "params": {}},
                client.signer,
                api_key=True,
                session_logon=True,
            )
            # Nothing is signed from here on: the session speaks for the key.
            order = await SocketAsker(client, texts)(
                "new_order", BTC, "BUY", "MARKET", quantity=0.01
            )

        assert order["symbol"] == BTC

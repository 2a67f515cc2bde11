"""Binance's official SDK with its URLs turned, and every answer held against its own models."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar, get_type_hints

import aiohttp
import requests
from allowances import ALLOWANCES
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures import derivatives_trading_usds_futures as sdk
from paper_exchange import PaperExchange
from strict_models import mismatches


class RestAsker:
    """Calls the SDK's REST methods by name.

    Attributes:
        asked: the names of all methods called so far, by any asker.
    """

    asked: ClassVar[set[str]] = set()

    def __init__(self, paper: PaperExchange, **key: Any) -> None:
        key = key or {"api_key": paper.api_key, "api_secret": paper.api_secret}
        configuration = ConfigurationRestAPI(
            **key, base_path=paper.rest_url, timeout=5_000, retries=0
        )
        self.api = sdk.DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api
        self.api._session.hooks["response"].append(self._keep)
        self._answer: requests.Response | None = None

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Return the answer as it came, after the SDK took it and the model held."""
        self.asked.add(method)
        response = getattr(self.api, method)(*arguments, **named)
        assert self._answer is not None
        body = self._answer.json()
        hint = get_type_hints(getattr(type(self.api), method))["return"]
        (model,) = hint.__args__
        if model is not type(None):
            problems = mismatches(model, body, ALLOWANCES)
            assert not problems, "\n".join(problems[:20])
            response.data()
        return body

    def close(self) -> None:
        self.api._session.close()

    def _keep(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self._answer = answer


@contextlib.asynccontextmanager
async def market_and_user_streams(paper: PaperExchange) -> AsyncIterator[tuple[Any, list[str]]]:
    """Open the SDK's three stream connections; yield them and all texts they hear."""
    client = sdk.DerivativesTradingUsdsFutures(
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=paper.stream_url)
    ).websocket_streams
    async with _heard(client) as texts:
        yield client, texts


@contextlib.asynccontextmanager
async def trading_api(paper: PaperExchange, **key: Any) -> AsyncIterator[tuple[Any, list[str]]]:
    """Open the SDK's WebSocket trading API; yield it and all texts it hears."""
    key = key or {"api_key": paper.api_key, "api_secret": paper.api_secret}
    configuration = ConfigurationWebSocketAPI(
        **key, stream_url=f"{paper.stream_url}/ws-fapi/v1", timeout=5_000
    )
    client = sdk.DerivativesTradingUsdsFutures(config_ws_api=configuration).websocket_api
    async with _heard(client) as texts:
        yield client, texts


@contextlib.asynccontextmanager
async def _heard(client: Any) -> AsyncIterator[list[str]]:
    """Connect through a session that also notes what comes in, as it came."""
    texts: list[str] = []

    class Noting(aiohttp.ClientWebSocketResponse):
        async def receive(self, timeout: float | None = None) -> aiohttp.WSMessage:
            message = await super().receive(timeout)
            if message.type is aiohttp.WSMsgType.TEXT:
                texts.append(message.data)
            return message

    client.session = aiohttp.ClientSession(ws_response_class=Noting)
    await client.create_connection()
    try:
        yield texts
    finally:
        await client.close_connection(close_session=True)

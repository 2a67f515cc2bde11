"""python-binance's AsyncClient, held to what an account can bear.

What the library does otherwise and why it is changed here:

- `create()` asks spot servers first: the client is constructed directly, inside the running loop.
- It signs the unencoded parameters and sends them encoded: both are the same text here.
- It reads the machine's clock and forces a 10 s receive window: both are given from outside.
- It loses bodies that are not JSON and parses money as float: bodies are parsed here.
- aiohttp re-sends PUT and DELETE by itself on a lost connection: switched off.
- Redirects are not followed, so that no other host is ever handed the key.
- Hosts that are not the venue's (spot, COIN-M, options) get a dead address unless mainnet; the
  wallet's calls (sapi) go to the venue's own origin then, never elsewhere with its key.

Knows nothing of what an answer means (`failures.py`) or of endpoints beyond their names.
Source: binance-usdm reference §15.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import aiohttp
from binance.async_client import AsyncClient
from yarl import URL

from trader_cli.errors import BrokenInvariant
from trader_cli.exchange.failures import Answer, RefusedAnswer
from trader_cli.wire.fields import parse_json

_KEEP_ALIVE_S: Final = 75.0
_SECRET_CHARS_MIN: Final = 8
"""The venue's are 64 long; replacing a single letter would only garble the answer."""

_DEAD: Final = "http://127.0.0.1:9/dead"
"""Nothing listens on the discard port; a request to a foreign host ends here."""


class HttpResponse(Protocol):
    """The part of `aiohttp.ClientResponse` that is used."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def read(self) -> bytes: ...


class HttpSession(Protocol):
    """The part of `aiohttp.ClientSession` that is used: the seam for simulation and tests.

    `request` raises the exceptions of aiohttp. `url` is already encoded, `data` too.
    """

    def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: str | None,
        timeout: aiohttp.ClientTimeout,
        allow_redirects: bool,
    ) -> AbstractAsyncContextManager[HttpResponse]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """What the venue last said of our consumption; None until it said it.

    Attributes:
        weight_1m: weight used by this address in the running minute, of 2400.
        orders_10s, orders_1m: orders of the account, of 300 and 1200.
    """

    weight_1m: int | None = None
    orders_10s: int | None = None
    orders_1m: int | None = None


class Transport(AsyncClient):
    """One connection pool to one venue; construct inside a running event loop."""

    def __init__(
        self,
        *,
        api_key: str,
        api_secret: str,
        rest_url: str,
        mainnet: bool,
        recv_window_ms: int,
        timeout_s: float,
        venue_now_ms: Callable[[], int],
        session: HttpSession | None,
        told: Callable[[Usage], None],
    ) -> None:
        self._given_session = session
        self._told = told
        self._venue_now_ms = venue_now_ms
        self._recv_window_ms = recv_window_ms
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(5.0, timeout_s))
        self.usage = Usage()
        self.FUTURES_URL = f"{rest_url}/fapi"
        self.FUTURES_DATA_URL = f"{rest_url}/futures/data"
        if not mainnet:
            self.API_URL = self.WEBSITE_URL = _DEAD
            self.MARGIN_API_URL = f"{rest_url}/sapi"
            self.FUTURES_COIN_URL = self.FUTURES_COIN_DATA_URL = _DEAD
            self.OPTIONS_URL = self.PAPI_URL = _DEAD
        super().__init__(api_key=api_key, api_secret=api_secret)

    def __repr__(self) -> str:
        return f"Transport({self.FUTURES_URL})"

    async def aclose(self) -> None:
        """Close the connections; the library's own way also touches its WebSocket clients."""
        await self.session.close()

    async def futures_send_batch(self, batch: str) -> Any:
        """Place up to five regular orders; `batch` is the JSON list.

        The library's own method quotes the list a second time and gives orders ids of its own.
        """
        data = {"batchOrders": batch}
        return await self._request_futures_api("post", "batchOrders", True, data=data)

    def _init_session(self) -> Any:
        session = self._given_session if self._given_session is not None else open_session()
        headers = {"Accept": "application/json", "User-Agent": "trader"}
        if self.API_KEY:
            headers["X-MBX-APIKEY"] = self.API_KEY
        return _Verbs(session, headers)

    def _get_request_kwargs(
        self, method: str, signed: bool, force_params: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Build what is sent: signed text and sent text are the same, signature last."""
        params = {k: str(v) for k, v in (kwargs.get("data") or {}).items() if v is not None}
        if signed:
            params["recvWindow"] = str(self._recv_window_ms)
            params["timestamp"] = str(self._venue_now_ms())
        encoded = urlencode(params)
        if signed:
            encoded += f"&signature={self._hmac_signature(encoded)}"
        place = "params" if method == "get" or force_params else "data"
        return {"timeout": self._timeout, **({place: encoded} if encoded else {})}

    async def _handle_response(self, response: HttpResponse) -> Any:
        """Return the JSON of a plain success.

        Raises:
            RefusedAnswer: any other status, an error body, or a body that is not JSON.
        """
        self._note_usage(response.headers)
        content = await response.read()
        content_type = response.headers.get("Content-Type")
        if 200 <= response.status < 300 and (content_type is None or "json" in content_type):
            try:
                body = parse_json(content)
            except ValueError:
                body = None
            if body is not None and not _is_error(body):
                return body
        text = content.decode("utf-8", errors="replace")
        raise RefusedAnswer(
            Answer(
                status=response.status,
                text=self._without_secrets(text),
                retry_after=response.headers.get("Retry-After"),
                content_type=content_type,
            )
        )

    def _note_usage(self, headers: Mapping[str, str]) -> None:
        def count(name: str) -> int | None:
            value = headers.get(name, "")
            return int(value) if value.isdecimal() else None

        now = Usage(
            weight_1m=count("X-MBX-USED-WEIGHT-1M"),
            orders_10s=count("X-MBX-ORDER-COUNT-10S"),
            orders_1m=count("X-MBX-ORDER-COUNT-1M"),
        )
        if now == Usage():
            return
        before = self.usage
        self.usage = Usage(
            weight_1m=before.weight_1m if now.weight_1m is None else now.weight_1m,
            orders_10s=before.orders_10s if now.orders_10s is None else now.orders_10s,
            orders_1m=before.orders_1m if now.orders_1m is None else now.orders_1m,
        )
        self._told(now)

    def _without_secrets(self, text: str) -> str:
        for secret in (self.API_KEY, self.API_SECRET):
            if secret is not None and len(secret) >= _SECRET_CHARS_MIN:
                text = text.replace(secret, "***")
        return text


class _Verbs:
    """The four methods python-binance looks up on its session, over the one of the seam."""

    def __init__(self, session: HttpSession, headers: Mapping[str, str]) -> None:
        self._session = session
        self._headers = headers

    def get(self, url: URL, **kwargs: Any) -> AbstractAsyncContextManager[HttpResponse]:
        return self._request("GET", url, **kwargs)

    def post(self, url: URL, **kwargs: Any) -> AbstractAsyncContextManager[HttpResponse]:
        return self._request("POST", url, **kwargs)

    def put(self, url: URL, **kwargs: Any) -> AbstractAsyncContextManager[HttpResponse]:
        return self._request("PUT", url, **kwargs)

    def delete(self, url: URL, **kwargs: Any) -> AbstractAsyncContextManager[HttpResponse]:
        return self._request("DELETE", url, **kwargs)

    async def close(self) -> None:
        await self._session.close()

    def _request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        data: str | None,
        timeout: aiohttp.ClientTimeout,
        proxy: object = None,
    ) -> AbstractAsyncContextManager[HttpResponse]:
        assert proxy is None, "the transport is built without one"
        return self._session.request(
            method,
            url,
            headers={**self._headers, **headers},
            data=data,
            timeout=timeout,
            allow_redirects=False,
        )


def open_session() -> aiohttp.ClientSession:
    """Open aiohttp's session so that every request is sent once at most.

    aiohttp repeats GET, PUT and DELETE by itself when a kept connection turns out to be dead.
    A cancel or an amendment could so be executed twice, and a refused second attempt would look
    like "never sent". There is no public switch; a release without the private one is refused.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    if not hasattr(session, "_retry_connection"):
        raise BrokenInvariant("this release of aiohttp cannot be kept from repeating requests")
    session._retry_connection = False
    return session


def _is_error(body: object) -> bool:
    """True for `{"code": -1121, "msg": …}`; success may carry code 200, as number or text."""
    code = body.get("code") if isinstance(body, dict) else None
    return isinstance(code, int) and code < 0

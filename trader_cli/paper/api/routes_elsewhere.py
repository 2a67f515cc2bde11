"""What clients ask of Binance's other markets when they start: here there is nothing to list.

Knows the calls with which a client made for all of Binance learns which markets, coins and pairs
exist. Every list is empty, so that such a client goes on with the futures it finds. Nothing can be
traded, lent or moved through these calls, and no others of those markets are answered.

Source: binance-usdm reference §17.2; the calls were seen from ccxt's `binance` class and freqtrade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trader_cli.paper.api.routes import Handler, Route
from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.params import Params

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange


def _no_rows(_exchange: Exchange, _params: Params, _now_ms: int) -> object:
    return []


def _no_symbols(_exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [],
    }


def _no_options(_exchange: Exchange, _params: Params, now_ms: int) -> object:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [],
        "optionContracts": [],
        "optionAssets": [],
        "optionSymbols": [],
    }


def _row(path: str, handler: Handler, security: Security = Security.OPEN) -> Route:
    # Their weights count in pools of their own, which have no part in those of futures.
    return Route(method="GET", path=path, security=security, handler=handler, weight=0)


ELSEWHERE_ROUTES: Final = (
    _row("/api/v3/exchangeInfo", _no_symbols),
    _row("/dapi/v1/exchangeInfo", _no_symbols),
    _row("/eapi/v1/exchangeInfo", _no_options),
    _row("/sapi/v1/capital/config/getall", _no_rows, Security.SIGNED),
    _row("/sapi/v1/margin/allPairs", _no_rows, Security.KEY),
    _row("/sapi/v1/margin/isolated/allPairs", _no_rows, Security.KEY),
    _row("/sapi/v1/spot/delist-schedule", _no_rows, Security.KEY),
)

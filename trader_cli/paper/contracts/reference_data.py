"""What the exchange publishes beside prices: asset indices, sessions of stock contracts.

Knows no transport: calls and streams spell these facts each in their own words. One asset backs
the account and no stock or commodity contract trades here, so both are only answered for clients
that ask at start-up.

Source: binance-usdm reference §10.2; documented samples of `assetIndex` and `tradingSchedule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trader_cli.domain.numbers import ONE

DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_QUOTE: Final = "USD"
_STABLE: Final = ("USDT", "USDC")
_STABLE_BUFFER: Final = Decimal("0.0001")
_BUFFER: Final = Decimal("0.1")
_EXCHANGE_BUFFER: Final = Decimal("0.05")
_SATURDAY: Final = 5
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetIndex:
    """An asset's value in USD and how far it is cut when it backs positions.

    Attributes:
        buffer: fraction taken off (bid) or added (ask) for margin.
        exchange_buffer: the same for automatic conversion.
    """

    symbol: str
    index: Decimal
    buffer: Decimal
    exchange_buffer: Decimal


def asset_symbol(asset: str) -> str:
    """Return the name under which an asset's index goes, e.g. BTCUSD."""
    return asset + _QUOTE


def asset_index(asset: str, price_of: Callable[[str], Decimal | None]) -> AssetIndex | None:
    """Return an asset's index, None if there is no price of it.

    Args:
        price_of: the index price of a contract by symbol, None if it is not traded.
    """
    if asset in _STABLE:
        price: Decimal | None = ONE
        buffers = _STABLE_BUFFER, _STABLE_BUFFER
    else:
        price = price_of(f"{asset}USDT")
        buffers = _BUFFER, _EXCHANGE_BUFFER
    if price is None:
        return None
    return AssetIndex(
        symbol=asset_symbol(asset), index=price, buffer=buffers[0], exchange_buffer=buffers[1]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A span of a stock or commodity market's day; `end_ms` exclusive."""

    kind: str
    start_ms: int
    end_ms: int


_EQUITY_HOURS: Final = ((0, "OVERNIGHT"), (8, "PRE_MARKET"), (13, "REGULAR"), (20, "AFTER_MARKET"))
_COMMODITY_HOURS: Final = ((0, "REGULAR"), (21, "NO_TRADING"), (22, "REGULAR"))
_WEEKEND: Final = ((0, "NO_TRADING"),)


def equity_sessions(now_ms: int) -> list[Session]:
    """Return the sessions of the UTC day of `now_ms`, without holidays or summer time."""
    return _sessions(now_ms, _EQUITY_HOURS)


def commodity_sessions(now_ms: int) -> list[Session]:
    """Return the sessions of the UTC day of `now_ms`."""
    return _sessions(now_ms, _COMMODITY_HOURS)


def _sessions(now_ms: int, hours: tuple[tuple[int, str], ...]) -> list[Session]:
    day = now_ms // DAY_MS
    weekend = (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
    starts = [*(_WEEKEND if weekend else hours), (24, "")]
    return [
        Session(
            kind=kind,
            start_ms=day * DAY_MS + start * _HOUR_MS,
            end_ms=day * DAY_MS + end * _HOUR_MS,
        )
        for (start, kind), (end, _) in pairwise(starts)
    ]

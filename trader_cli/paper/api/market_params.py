"""How market calls name what they ask for: symbols, limits, spans of time.

Source: binance-usdm reference §5.1, §9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange


def symbol_of(exchange: Exchange, params: Params) -> str:
    """Return the symbol a call must name; -1102 or -1121."""
    return exchange.known_symbol(params.needed("symbol"))


def pair_of(exchange: Exchange, params: Params) -> str:
    """Return the perpetual contract of the pair a call must name; -1102 or -4144."""
    pair = params.needed("pair").upper()
    if pair not in symbols_of(exchange):
        raise VenueRefusal(-4144)
    return pair


def symbols_of(exchange: Exchange) -> list[str]:
    """Return every symbol that trades here."""
    return [symbol for symbol in exchange.contracts if symbol in exchange.market.symbols]


def limit_of(params: Params, default: int, most: int) -> int:
    """Return how many rows are wanted; -1130 for none or fewer, never more than `most`."""
    limit = params.integer("limit")
    if limit is None:
        return default
    if limit <= 0:
        raise VenueRefusal(-1130, "limit")
    return min(limit, most)


def window_of(params: Params) -> tuple[int | None, int | None]:
    """Return startTime and endTime; -1023 if they are the wrong way round."""
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise VenueRefusal(-1023)
    return start_ms, end_ms

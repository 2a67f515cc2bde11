"""Market payloads as the streams spell them: one function an event.

Knows the keys and nothing else: no pace, no listeners.

Source: binance-usdm reference §10.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from trader_cli.domain.numbers import to_wire
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.contracts.reference_data import AssetIndex, Session
from trader_cli.paper.markets.history import Ticker24h
from trader_cli.paper.markets.market import Candle, Depth, Funding, MarketTick
from trader_cli.paper.state.records import OrderRecord

Payload = Mapping[str, Any]
Levels = Iterable[tuple[Decimal, Decimal]]

_USD_M: Final = 1


def book_ticker(tick: MarketTick) -> Payload:
    """Render `bookTicker`."""
    return {
        "e": "bookTicker",
        "u": tick.update_id,
        "s": tick.symbol,
        "b": to_wire(tick.bid),
        "B": to_wire(tick.bid_quantity),
        "a": to_wire(tick.ask),
        "A": to_wire(tick.ask_quantity),
        "T": tick.time_ms,
        "E": tick.time_ms,
        "st": _USD_M,
        "ps": tick.symbol,
    }


def trade(tick: MarketTick) -> Payload:
    """Render the undocumented `trade`."""
    return {
        "e": "trade",
        "E": tick.time_ms,
        "T": tick.time_ms,
        "s": tick.symbol,
        "t": tick.trade_id,
        "p": to_wire(tick.last_price),
        "q": to_wire(tick.last_quantity),
        "X": "MARKET",
        "m": tick.buyer_is_maker,
    }


def agg_trade(tick: MarketTick) -> Payload:
    """Render `aggTrade`; every trade is an aggregate of itself here."""
    quantity = to_wire(tick.last_quantity)
    return {
        "e": "aggTrade",
        "E": tick.time_ms,
        "s": tick.symbol,
        "a": tick.trade_id,
        "p": to_wire(tick.last_price),
        "q": quantity,
        "nq": quantity,
        "f": tick.trade_id,
        "l": tick.trade_id,
        "T": tick.time_ms,
        "m": tick.buyer_is_maker,
        "st": _USD_M,
    }


def mark_price(tick: MarketTick, funding: Funding, now_ms: int) -> Payload:
    """Render `markPriceUpdate`; the moving average is the mark itself here."""
    mark, index = _padded(tick.mark_price), _padded(tick.index_price)
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": tick.symbol,
        "p": mark,
        "ap": mark,
        "i": index,
        "P": index,
        "r": f"{funding.rate:.8f}",
        "T": funding.next_funding_ms,
        "st": _USD_M,
    }


def depth_update(book: Depth, previous_id: int, now_ms: int, bids: Levels, asks: Levels) -> Payload:
    """Render `depthUpdate` of what changed since the book with `previous_id`.

    `U` is that id too, so that a snapshot taken at either end joins by the documented rule.
    """
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "T": book.time_ms,
        "s": book.symbol,
        "U": previous_id,
        "u": book.update_id,
        "pu": previous_id,
        "b": _rows(bids),
        "a": _rows(asks),
        "st": _USD_M,
        "ps": book.symbol,
    }


def changed_levels(before: Levels, after: Levels) -> list[tuple[Decimal, Decimal]]:
    """Return levels that are new or differ, and quantity 0 for those that are gone."""
    old, new = dict(before), dict(after)
    changed = [(price, size) for price, size in new.items() if old.get(price) != size]
    return changed + [(price, Decimal(0)) for price in old.keys() - new.keys()]


def kline(candle: Candle, interval: str, now_ms: int, *, closed: bool) -> Payload:
    """Render `kline`."""
    return {
        "e": "kline",
        "E": now_ms,
        "s": candle.symbol,
        "k": {"s": candle.symbol, **_candle(candle, interval, closed=closed)},
    }


def continuous_kline(candle: Candle, interval: str, now_ms: int, *, closed: bool) -> Payload:
    """Render `continuous_kline`, which names the pair outside and no symbol inside."""
    return {
        "e": "continuous_kline",
        "E": now_ms,
        "ps": candle.symbol,
        "ct": "PERPETUAL",
        "k": _candle(candle, interval, closed=closed),
    }


def day_ticker(day: Ticker24h, now_ms: int) -> Payload:
    """Render `24hrTicker`."""
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": day.symbol,
        "p": to_wire(day.price_change),
        "P": to_wire(day.price_change_percent),
        "w": to_wire(day.weighted_average_price),
        "c": to_wire(day.last_price),
        "Q": to_wire(day.last_quantity),
        "o": to_wire(day.open_price),
        "h": to_wire(day.high_price),
        "l": to_wire(day.low_price),
        "v": to_wire(day.volume),
        "q": to_wire(day.quote_volume),
        "O": day.open_ms,
        "C": day.close_ms,
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": day.trades,
        "st": _USD_M,
        "ps": day.symbol,
    }


def mini_ticker(day: Ticker24h, now_ms: int) -> Payload:
    """Render `24hrMiniTicker`."""
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": day.symbol,
        "c": to_wire(day.last_price),
        "o": to_wire(day.open_price),
        "h": to_wire(day.high_price),
        "l": to_wire(day.low_price),
        "v": to_wire(day.volume),
        "q": to_wire(day.quote_volume),
        "st": _USD_M,
        "ps": day.symbol,
    }


def force_order(order: OrderRecord, now_ms: int) -> Payload:
    """Render `forceOrder` of a liquidation's own order."""
    quantity = to_wire(order.quantity)
    return {
        "e": "forceOrder",
        "E": now_ms,
        "o": {
            "s": order.symbol,
            "S": order.side.value,
            "o": order.type.value,
            "f": order.time_in_force.value,
            "q": quantity,
            "p": to_wire(order.price),
            "ap": to_wire(order.quote / order.executed if order.executed else order.price),
            "X": order.status.value,
            "l": quantity,
            "z": to_wire(order.executed),
            "T": order.updated_ms,
        },
        "ps": order.symbol,
        "st": _USD_M,
    }


def contract_info(contract: Contract, status: str, now_ms: int) -> Payload:
    """Render `contractInfo`, sent when a contract's status changes."""
    return {
        "e": "contractInfo",
        "E": now_ms,
        "s": contract.symbol,
        "ps": contract.pair,
        "ct": contract.contract_type,
        "dt": contract.delivery_ms,
        "ot": contract.onboard_ms,
        "cs": status,
        "bks": [
            {
                "bs": row.bracket,
                "bnf": int(row.notional_floor),
                "bnc": int(row.notional_cap),
                "mmr": float(row.maintenance_rate),
                "cf": float(row.maintenance_amount),
                "mi": _leverage_below(contract, row.bracket) + 1,
                "ma": row.leverage_max,
            }
            for row in contract.brackets
        ],
        "st": _USD_M,
    }


def _leverage_below(contract: Contract, bracket: int) -> int:
    """Return the largest leverage of the next bracket, 0 after the last."""
    later = (row.leverage_max for row in contract.brackets if row.bracket == bracket + 1)
    return next(later, 0)


def asset_index_update(index: AssetIndex, now_ms: int) -> Payload:
    """Render `assetIndexUpdate`."""
    buffer, auto = index.buffer, index.exchange_buffer
    return {
        "e": "assetIndexUpdate",
        "E": now_ms,
        "s": index.symbol,
        "i": _padded(index.index),
        "b": _padded(buffer),
        "a": _padded(buffer),
        "B": _padded(index.index * (1 - buffer)),
        "A": _padded(index.index * (1 + buffer)),
        "q": _padded(auto),
        "g": _padded(auto),
        "Q": _padded(index.index * (1 - auto)),
        "G": _padded(index.index * (1 + auto)),
    }


def session_update(kind: str, session: Session, now_ms: int) -> Payload:
    """Render the session a stock or commodity market is in; `kind` is the event's name."""
    return {
        "e": kind,
        "E": now_ms,
        "t": session.start_ms,
        "T": session.end_ms,
        "S": session.kind,
    }


def _candle(candle: Candle, interval: str, *, closed: bool) -> Payload:
    return {
        "t": candle.open_ms,
        "T": candle.close_ms,
        "i": interval,
        "f": candle.first_trade_id,
        "L": candle.first_trade_id + max(0, candle.trades - 1),
        "o": to_wire(candle.open),
        "c": to_wire(candle.close),
        "h": to_wire(candle.high),
        "l": to_wire(candle.low),
        "v": to_wire(candle.volume),
        "n": candle.trades,
        "x": closed,
        "q": to_wire(candle.quote_volume),
        "V": to_wire(candle.taker_buy_volume),
        "Q": to_wire(candle.taker_buy_quote_volume),
        "B": "0",
    }


def _rows(levels: Levels) -> list[list[str]]:
    return [[to_wire(price), to_wire(quantity)] for price, quantity in levels]


def _padded(price: Decimal) -> str:
    """Render an index or mark price with the eight decimals these streams show."""
    return f"{price:.8f}"

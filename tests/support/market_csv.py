"""Market data files as the exchange publishes them, written afresh for a test."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable
from pathlib import Path

KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
TRADE_HEADER = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
)
MINUTE_MS = 60_000
DAY_MS = 86_400_000
START_MS = 1_750_032_000_000
"""2025-06-16T00:00Z: a Monday, a day and a funding begin."""

Prices = tuple[str, str, str, str]


def kline(number: int, prices: Prices, *, volume: str = "16", minutes: int = 1) -> str:
    """Return a row; `prices` are open, high, low, close."""
    open_ms = START_MS + number * minutes * MINUTE_MS
    close_ms = open_ms + minutes * MINUTE_MS - 1
    o, h, low, c = prices
    return f"{open_ms},{o},{h},{low},{c},{volume},{close_ms},1234.56789,77,5.5,321.00001,0"


def klines(*rows: Prices, header: bool = True) -> str:
    lines = [kline(number, prices) for number, prices in enumerate(rows)]
    return "\n".join(([KLINE_HEADER] if header else []) + lines) + "\n"


def trade(trade_id: int, offset_ms: int, price: str, quantity: str, *, seller: bool) -> str:
    """Return a row; `seller` says that a seller was the taker, so the buyer was the maker."""
    maker = "true" if seller else "false"
    time_ms = START_MS + offset_ms
    return f"{trade_id},{price},{quantity},{trade_id},{trade_id},{time_ms},{maker}"


def write(path: Path, text: str) -> Path:
    """Write plain, zipped or gzipped text, by the name's ending."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem + ".csv", text)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def wave(minutes: int, *, start: int = 60_000, every: int = 7) -> Iterable[Prices]:
    """Yield candles that go up and down by whole units, each opening where the last closed."""
    price = start
    for number in range(minutes):
        step = (number * 37 % every) - every // 2
        close = price + step * 3
        high, low = max(price, close) + number % 5, min(price, close) - number % 3
        yield f"{price}.0", f"{high}.0", f"{low}.0", f"{close}.0"
        price = close

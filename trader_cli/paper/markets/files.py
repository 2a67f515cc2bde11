"""Binance's public market data files: klines and aggTrades as CSV, plain, zipped or gzipped.

Knows the files' columns and names. Everything numeric becomes an integer of 1e-8 units, so that
nothing is ever rounded. Must not know markets or contracts.

Source: data.binance.vision, `data/futures/um/*/{klines,aggTrades}`; files made before 2022 have
no header row. Times are milliseconds; microseconds, as in newer spot files, are understood.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from trader_cli.errors import UsageError

UNITS_EXPONENT: Final = 8
"""Prices and quantities are integers of 1e-8."""

_NAME: Final = re.compile(r"([A-Z0-9]{5,})-(?:aggTrades|\d+[smhdwM]|1mo)(?![A-Za-z0-9])")
_KLINE_COLUMNS: Final = 11
_TRADE_COLUMNS: Final = 7
_MICROSECONDS_FROM: Final = 10**14
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_TEXTS_KEPT: Final = 200_000
_TEXT: Final = "utf-8-sig"
"""Spreadsheets write a mark at the start, which would pass for a header and hide the first row."""


def _longs() -> array[int]:
    return array("q")


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleRows:
    """Candles of one symbol, oldest first, one list a column; quantities in units.

    Attributes:
        interval_ms: the same for all rows.
    """

    symbol: str
    interval_ms: int
    open_ms: array[int] = field(default_factory=_longs)
    open: array[int] = field(default_factory=_longs)
    high: array[int] = field(default_factory=_longs)
    low: array[int] = field(default_factory=_longs)
    close: array[int] = field(default_factory=_longs)
    volume: list[int] = field(default_factory=list)
    quote_volume: list[int] = field(default_factory=list)
    trades: list[int] = field(default_factory=list)
    taker_buy_volume: list[int] = field(default_factory=list)
    taker_buy_quote_volume: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRows:
    """Aggregate trades of one symbol, oldest first, one array a column.

    Attributes:
        quantity: units, negative where the buyer was the maker.
    """

    symbol: str
    trade_id: array[int] = field(default_factory=_longs)
    time_ms: array[int] = field(default_factory=_longs)
    price: array[int] = field(default_factory=_longs)
    quantity: array[int] = field(default_factory=_longs)


MarketRows = CandleRows | TradeRows


def read_files(paths: Iterable[Path], *, symbol: str | None = None) -> dict[str, MarketRows]:
    """Return the rows of every symbol, files of one symbol joined in the order of time.

    Args:
        symbol: whose data it is; by default each file's name says so.

    Raises:
        UsageError: a file cannot be read, is of neither kind, or does not fit the others.
    """
    parts: dict[str, list[MarketRows]] = {}
    for path in paths:
        for name, text in _contents(path):
            rows = _parse(path, symbol or _symbol_of(path, name), text)
            parts.setdefault(rows.symbol, []).append(rows)
    if not parts:
        raise UsageError("no market data file was given")
    return {name: _joined(name, some) for name, some in parts.items()}


def _contents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the CSV files in a file."""
    try:
        raw = path.read_bytes()
        if raw.startswith(_ZIP):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                for name in archive.namelist():
                    if name.endswith(".csv"):
                        yield name, archive.read(name).decode(_TEXT)
        else:
            yield path.name, (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode(_TEXT)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is damaged: {error}") from error


def _symbol_of(path: Path, name: str) -> str:
    for text in (name, path.name):
        found = _NAME.search(text)
        if found is not None:
            return found[1]
    raise UsageError(
        f"{path}: its name does not say which symbol it is of",
        advice="name it like BTCUSDT-1m-2025-06.csv, or give --symbol",
    )


def _parse(path: Path, symbol: str, text: str) -> MarketRows:
    lines = text.splitlines()
    header = 1 if lines and not lines[0][:1].isdigit() else 0
    if len(lines) <= header:
        raise UsageError(f"{path}: has no rows")
    columns = lines[header].count(",") + 1
    reader = _Reader(path, header)
    if columns >= _KLINE_COLUMNS:
        return reader.candles(symbol, lines)
    if columns >= _TRADE_COLUMNS:
        return reader.trades(symbol, lines)
    raise UsageError(f"{path}: has {columns} columns: allowed are klines (12) and aggTrades (7)")


class _Reader:
    """Reads one file's lines; texts that come again are converted once."""

    def __init__(self, path: Path, header: int) -> None:
        self._path = path
        self._header = header
        self._known: dict[str, int] = {}

    def candles(self, symbol: str, lines: list[str]) -> CandleRows:
        first = lines[self._header].split(",")
        rows = CandleRows(symbol=symbol, interval_ms=_ms(first[6]) + 1 - _ms(first[0]))
        if rows.interval_ms <= 0 or rows.interval_ms % 1_000:
            raise UsageError(f"{self._path}: a candle of {rows.interval_ms} ms is none")
        units = self._units
        for number, line in self._numbered(lines):
            try:
                start, o, h, low, c, v, _, quote, count, buys, buy_quote, *_ = line.split(",")
                values = units(o), units(h), units(low), units(c)
                if not 0 < values[2] <= min(values) <= max(values) <= values[1]:
                    raise ValueError("a price is outside of low and high")
                rows.open_ms.append(_ms(start))
                for column, value in zip(
                    (rows.open, rows.high, rows.low, rows.close), values, strict=True
                ):
                    column.append(value)
                rows.volume.append(units(v))
                rows.quote_volume.append(units(quote))
                rows.trades.append(int(count))
                rows.taker_buy_volume.append(units(buys))
                rows.taker_buy_quote_volume.append(units(buy_quote))
            except (ValueError, InvalidOperation, OverflowError) as error:
                raise self._bad(number, line, error) from error
        return rows

    def trades(self, symbol: str, lines: list[str]) -> TradeRows:
        rows = TradeRows(symbol=symbol)
        units = self._units
        for number, line in self._numbered(lines):
            try:
                trade_id, price, quantity, _, _, time, maker, *_ = line.split(",")
                amount, value = units(quantity), units(price)
                if amount < 0 or value <= 0:
                    raise ValueError("a trade has a price and a quantity")
                rows.trade_id.append(int(trade_id))
                rows.time_ms.append(_ms(time))
                rows.price.append(value)
                rows.quantity.append(-amount if maker.lower() == "true" else amount)
            except (ValueError, InvalidOperation, OverflowError) as error:
                raise self._bad(number, line, error) from error
        return rows

    def _numbered(self, lines: list[str]) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(lines[self._header :], start=self._header + 1):
            if line:
                yield number, line

    def _units(self, text: str) -> int:
        known = self._known.get(text)
        if known is None:
            scaled = Decimal(text).scaleb(UNITS_EXPONENT)
            known = int(scaled)
            if known != scaled:
                raise ValueError(f"{text} has more than {UNITS_EXPONENT} decimals")
            if len(self._known) < _TEXTS_KEPT:
                self._known[text] = known
        return known

    def _bad(self, number: int, line: str, error: Exception) -> UsageError:
        words = "not a number" if isinstance(error, InvalidOperation) else error
        return UsageError(f"{self._path}: line {number}: {line[:60]!r}: {words}")


def _ms(text: str) -> int:
    time = int(text)
    return time // 1_000 if time >= _MICROSECONDS_FROM else time


def _joined(symbol: str, parts: list[MarketRows]) -> MarketRows:
    """Return one symbol's rows in the order of time; what two files both have counts once."""
    candles = [part for part in parts if isinstance(part, CandleRows)]
    trades = [part for part in parts if isinstance(part, TradeRows)]
    if candles and trades:
        raise UsageError(f"{symbol}: klines and aggTrades cannot be mixed: give one kind")
    if candles:
        if len({part.interval_ms for part in candles}) > 1:
            raise UsageError(f"{symbol}: the files' candles are of different lengths")
        return _joined_candles(candles)
    return _joined_trades(trades)


def _joined_candles(parts: list[CandleRows]) -> CandleRows:
    whole = CandleRows(symbol=parts[0].symbol, interval_ms=parts[0].interval_ms)
    before = -whole.interval_ms
    rows = sorted(
        (open_ms, n, i) for n, part in enumerate(parts) for i, open_ms in enumerate(part.open_ms)
    )
    for open_ms, n, i in rows:
        if open_ms == before:
            continue
        if open_ms - before < whole.interval_ms:
            raise UsageError(f"{whole.symbol}: candles overlap at {open_ms}")
        before, part = open_ms, parts[n]
        whole.open_ms.append(open_ms)
        for name in _CANDLE_COLUMNS:
            getattr(whole, name).append(getattr(part, name)[i])
    return whole


_CANDLE_COLUMNS: Final = (
    *("open", "high", "low", "close", "volume", "quote_volume", "trades"),
    *("taker_buy_volume", "taker_buy_quote_volume"),
)


def _joined_trades(parts: list[TradeRows]) -> TradeRows:
    parts = sorted(parts, key=lambda part: part.trade_id[0])
    whole = TradeRows(symbol=parts[0].symbol)
    for part in parts:
        for trade_id, time_ms, price, quantity in zip(
            part.trade_id, part.time_ms, part.price, part.quantity, strict=True
        ):
            if whole.trade_id and trade_id <= whole.trade_id[-1]:
                continue
            if whole.time_ms and time_ms < whole.time_ms[-1]:
                raise UsageError(f"{whole.symbol}: trade {trade_id} is older than the one before")
            whole.trade_id.append(trade_id)
            whole.time_ms.append(time_ms)
            whole.price.append(price)
            whole.quantity.append(quantity)
    return whole

"""The exchange's counters and clock as last told to any process: one small record in one file.

A cache, not a ledger: it is written in one call without fsync, checked by its checksum, and a
record that is torn, foreign or missing counts as none. The exchange tells the counters again with
its next answer.

Source: binance-usdm reference §3.6 (headers), §4 (windows).
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

from trader_cli.journal.files import FILE_MODE, ensure_private_directory

_MINUTE_MS: Final = 60_000
_TEN_SECONDS_MS: Final = 10_000
_RECORD: Final = struct.Struct("<9q")
_CHECKSUM: Final = struct.Struct("<I")
_LENGTH: Final = _RECORD.size + _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class _Record:
    """Counters with the number of their window, -1 before the first; see `FileBudget`."""

    venue: int
    minute: int = -1
    weight_1m: int = 0
    orders_minute: int = -1
    orders_1m: int = 0
    ten_seconds: int = -1
    orders_10s: int = 0
    offset_ms: int = 0
    offset_measured_ms: int = 0


class FileBudget:
    """What processes share; the last word wins. A disk that refuses it leaves it in memory.

    `venue` is the address of the exchange: another one's record is not ours.
    """

    def __init__(self, path: Path, *, venue: str) -> None:
        self._path = path
        self._none = _Record(venue=zlib.crc32(venue.encode()))
        self._unwritten: _Record | None = None

    def note(
        self,
        at_ms: int,
        *,
        weight_1m: int | None,
        orders_10s: int | None,
        orders_1m: int | None,
    ) -> None:
        """Remember what an answer told at venue time `at_ms`; None is what it did not tell."""
        record = self._read()
        if weight_1m is not None:
            record = replace(record, minute=at_ms // _MINUTE_MS, weight_1m=weight_1m)
        if orders_10s is not None:
            window = at_ms // _TEN_SECONDS_MS
            record = replace(record, ten_seconds=window, orders_10s=orders_10s)
        if orders_1m is not None:
            record = replace(record, orders_minute=at_ms // _MINUTE_MS, orders_1m=orders_1m)
        self._write(record)

    def weight_used(self, at_ms: int) -> int:
        """Return the weight used in the minute of `at_ms`, 0 if nobody was told."""
        record = self._read()
        return record.weight_1m if record.minute == at_ms // _MINUTE_MS else 0

    def orders_used(self, at_ms: int) -> tuple[int, int]:
        """Return the orders counted in the ten seconds and in the minute of `at_ms`."""
        record = self._read()
        ten = record.orders_10s if record.ten_seconds == at_ms // _TEN_SECONDS_MS else 0
        minute = record.orders_1m if record.orders_minute == at_ms // _MINUTE_MS else 0
        return ten, minute

    def clock_offset(self, local_ms: int) -> tuple[int, int] | None:
        """Return (venue minus local time, age of the measurement), None if there is none."""
        record = self._read()
        if record.offset_measured_ms == 0:
            return None
        return record.offset_ms, local_ms - record.offset_measured_ms

    def note_clock_offset(self, offset_ms: int, local_ms: int) -> None:
        """Remember a measurement made at local time `local_ms`."""
        self._write(replace(self._read(), offset_ms=offset_ms, offset_measured_ms=local_ms))

    def _read(self) -> _Record:
        if self._unwritten is not None:
            return self._unwritten
        try:
            content = self._path.read_bytes()
        except OSError:
            return self._none
        if len(content) != _LENGTH:
            return self._none
        packed, check = content[: _RECORD.size], content[_RECORD.size :]
        if _CHECKSUM.unpack(check)[0] != zlib.crc32(packed):
            return self._none
        record = _Record(*_RECORD.unpack(packed))
        return record if record.venue == self._none.venue else self._none

    def _write(self, record: _Record) -> None:
        packed = _RECORD.pack(*astuple(record))
        content = packed + _CHECKSUM.pack(zlib.crc32(packed))
        try:
            ensure_private_directory(self._path.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                os.pwrite(descriptor, content, 0)
            finally:
                os.close(descriptor)
        except OSError:
            self._unwritten = record
        else:
            self._unwritten = None

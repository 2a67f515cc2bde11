"""How the endpoints treat lists: what cannot be decoded is set aside, or proves nothing.

Knows the gateway and the decoders' contract, no endpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar

from trader_cli.domain.account_events import RowQuarantined
from trader_cli.domain.client_id import is_own
from trader_cli.errors import OutcomeUnknown
from trader_cli.exchange.gateway import Gateway
from trader_cli.wire.decode import decode_rows
from trader_cli.wire.fields import DecodeError, rows_of

T = TypeVar("T")

PAGE_MAX: Final = 1000
"""Rows in one answer of the venue's histories."""

DAY_MS: Final = 86_400_000
WINDOW_MS: Final = 7 * DAY_MS
"""The longest span the venue's histories answer for. Source: reference §6.3, §7.1."""

_QUARANTINED_MAX: Final = 1000


class Rows:
    """Base of the endpoint groups.

    Attributes:
        quarantined: rows set aside so far, newest last, at most a thousand.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.quarantined: list[RowQuarantined] = []

    def _set_aside(self, name: str, value: object, decode: Callable[[object], T]) -> list[T]:
        """Return the rows that can be decoded and report the others in `quarantined`."""
        rows, errors = decode_rows(name, value, decode)
        for error in errors:
            self._quarantine(name, error)
        return rows

    def _page(self, name: str, value: object, decode: Callable[[object], T]) -> tuple[int, list[T]]:
        """Return how many rows the venue sent, and those of them that can be decoded."""
        rows = self._set_aside(name, value, decode)
        return len(rows_of(name, value)), rows

    def _all_or_unknown(self, name: str, value: object, decode: Callable[[object], T]) -> list[T]:
        """Return every row of a list that proves what exists.

        Raises:
            OutcomeUnknown: a row cannot be decoded: the list then proves nothing.
        """
        rows, errors = decode_rows(name, value, decode)
        for error in errors:
            self._quarantine(name, error)
        if errors:
            raise _unknown(name, errors, len(errors) + len(rows))
        return rows

    def _own_or_unknown(
        self,
        name: str,
        value: object,
        decode: Callable[[object], T],
        client_id: Callable[[object], str],
    ) -> list[T]:
        """Return the rows of a list that proves what rests of ours; odd foreign ones are set aside.

        Raises:
            OutcomeUnknown: a row of ours, or of nobody can say whom, cannot be decoded.
        """
        found: list[T] = []
        rows = rows_of(name, value)
        for row in rows:
            try:
                found.append(decode(row))
            except DecodeError as error:
                self._quarantine(name, error)
                try:
                    foreign = not is_own(client_id(row))
                except DecodeError:
                    foreign = False
                if not foreign:
                    raise _unknown(name, [error], len(rows)) from error
        return found

    def _quarantine(self, stream: str, error: DecodeError) -> None:
        self.quarantined.append(
            RowQuarantined(
                stream=stream,
                symbol=error.symbol,
                reason=error.reason,
                local_ms=self._gateway.clock.now_ms(),
            )
        )
        del self.quarantined[:-_QUARANTINED_MAX]


def _unknown(name: str, errors: list[DecodeError], rows: int) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{name}: {len(errors)} of {rows} rows cannot be understood: {errors[0]}",
        advice="Look at the exchange's own screen; its answers may have changed.",
    )


async def gather_windows(
    fetch: Callable[[int, int], Awaitable[list[T]]],
    *,
    start_ms: int,
    end_ms: int,
    key: Callable[[T], Hashable],
) -> list[T]:
    """Return all rows of a history between two times (both inclusive), oldest window first.

    A history answers for seven days and with a thousand rows at most, whichever end it counts
    from: a full answer is asked for again in halves.
    """
    found: dict[Hashable, T] = {}
    windows = [
        (start, min(start + WINDOW_MS - 1, end_ms))
        for start in range(start_ms, end_ms + 1, WINDOW_MS)
    ]
    while windows:
        start, end = windows.pop(0)
        rows = await fetch(start, end)
        if len(rows) >= PAGE_MAX and end > start:
            middle = (start + end) // 2
            windows[:0] = [(start, middle), (middle + 1, end)]
            continue
        found |= {key(row): row for row in rows}
    return list(found.values())

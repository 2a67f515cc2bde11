"""The advisors' clock: naive local time in, UTC epoch milliseconds out, and back.

Knows that the advisors write `datetime.now().isoformat()` and compare it with their own naive
`now()`: a zone-aware value written back silently counts as a holding time of zero. It must not
know what a timestamp is for.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from trader_cli.errors import ConfigError

_ISO: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class SystemZone(tzinfo):
    """The machine's own zone with its summer time, asked anew for every instant."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else at.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, at: datetime | None) -> timedelta | None:
        return None

    def tzname(self, at: datetime | None) -> str | None:
        return None if at is None else at.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, at: datetime) -> datetime:
        local = at.replace(tzinfo=UTC).astimezone()
        first = local.replace(tzinfo=self, fold=0)
        # Only the second pass through the repeated hour disagrees with the first reading of it.
        return first if first.utcoffset() == local.utcoffset() else first.replace(fold=1)


def zone_of(name: str) -> tzinfo:
    """Return the zone the advisors live in; an empty name means the machine's own.

    Raises:
        ConfigError: no such zone.
    """
    if not name:
        return SystemZone()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"bridge.time_zone: {name!r} is not a known time zone",
            advice="use a name such as Asia/Taipei, or leave it empty for this machine's zone",
        ) from error


def parse_local_time(text: str, *, zone: tzinfo, now_ms: int) -> int | None:
    """Return UTC epoch milliseconds of an ISO date and time, None if it is not one.

    Without an offset of its own it is local time in `zone`. In the hour that summer time repeats
    the reading nearer to `now_ms` is taken: advisors write what is happening now.
    """
    if _ISO.fullmatch(text.strip()) is None:
        return None
    try:
        parsed = datetime.fromisoformat(text.strip())
        if parsed.tzinfo is not None:
            return _epoch_ms(parsed)
        readings = {_epoch_ms(parsed.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)}
    except (ValueError, OverflowError, OSError):
        return None
    return min(readings, key=lambda reading: (abs(now_ms - reading), reading))


def has_offset(text: str) -> bool:
    """Return True if the text carries a zone of its own, which no advisor writes by itself."""
    match = _ISO.fullmatch(text.strip())
    return (
        match is not None and re.search(r"(?:Z|[+-]\d{2}:?\d{2})$", text.strip()[11:]) is not None
    )


def format_local_time(at_ms: int, zone: tzinfo) -> str:
    """Return naive local time as the advisors write it: `2026-03-02T14:05:10.120000`."""
    local = (_EPOCH + at_ms * _MILLISECOND).astimezone(zone)
    return local.replace(tzinfo=None).isoformat(timespec="microseconds")


def _epoch_ms(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND

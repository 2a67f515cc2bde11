"""Read a bridge file's text: every `ai_to_*` section becomes one `Signal`.

Knows the shapes in which the advisors' programs leave their files, legal and not. It must not
know the file system, nor decide whether a signal may be acted on. Nothing here raises: a language
model wrote half of what it reads, and a writer may be half-way through the other half.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from trader_cli.bridge.local_time import has_offset, parse_local_time
from trader_cli.domain.numbers import HUNDRED, ONE, ZERO, parse_decimal
from trader_cli.domain.signal import Command, Signal

_SECTION: Final = re.compile(r"ai_to_(\w+)")
_FILE: Final = re.compile(r"ai_(\w+)_bridge\.json")
_TEXT_CHARS_MAX: Final = 2_000
_PERCENT_MAX: Final = Decimal(10_000)
"""Beyond this a percentage is a slip of the pen, whatever it is a percentage of."""


_DIGITS_MAX: Final = 40
_MAGNITUDE_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TornFile:
    """A file without sections at this moment: empty or cut (its writer is busy), or no bridge.

    Attributes:
        file: the file's name, without folder.
        reason: short, for people.
    """

    file: str
    reason: str


def read_sections(
    file_name: str, content: str | bytes, *, zone: tzinfo, now_ms: int
) -> list[Signal] | TornFile:
    """Return one signal for each `ai_to_*` key, in the file's order.

    Args:
        file_name: name without folder; with the section it tells which advisor speaks.
        content: the whole file; a byte order mark is tolerated.
        zone: where naive timestamps are local.
        now_ms: UTC epoch milliseconds, to tell apart the two readings of a repeated hour.
    """
    document = _load(content)
    if isinstance(document, str):
        return TornFile(file=file_name, reason=document)
    return [
        _read_section(file_name, key, value, zone, now_ms)
        for key, value in document.items()
        if _SECTION.fullmatch(key)
    ]


def advisor_of(file_name: str, section: str) -> str:
    """Return who speaks in a section.

    Lion writes the key `ai_to_wolf` into a file of its own; Dragon2 writes `ai_to_dragon2` into
    two files.
    """
    in_section, in_file = _SECTION.fullmatch(section), _FILE.fullmatch(file_name)
    named = in_section.group(1).lower() if in_section else section
    if named == "wolf" and in_file is not None:
        return in_file.group(1).lower()
    return named


def _load(content: str | bytes) -> dict[str, object] | str:
    """Return the document, or why there is none."""
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        text = text.removeprefix("\ufeff")
        if not text.strip():
            return "empty: its writer is busy"
        document = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_number)
    except (ValueError, RecursionError):
        return "not valid JSON: cut off, or its writer is busy"
    return document if isinstance(document, dict) else "not a JSON object"


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond Decimal's own range
        return Decimal("NaN")


def _read_section(file_name: str, section: str, value: object, zone: tzinfo, now_ms: int) -> Signal:
    problems: list[str] = []
    if not isinstance(value, dict):
        problems.append(f"{section} is {_kind(value)}, not an object")
        value = {}
    fields: Mapping[str, object] = value
    advisor = advisor_of(file_name, section)
    home = f"ai_{advisor}_bridge.json"
    timestamp_text, decided_ms = _timestamp(fields, zone, now_ms, problems)
    numbers = _Numbers(fields, problems)
    command, symbol = _command(fields, problems), None
    match fields.get("symbol"):
        case None:
            pass
        case str(text) if text.strip():
            symbol = _clean(text).strip().upper()
        case other:
            # The default symbol would be a guess, and with it the trade.
            problems.append(f"symbol is {_kind(other)}: the command is not used")
            command = Command.UNKNOWN
    return Signal(
        advisor=advisor,
        file=file_name,
        section=section,
        command=command,
        command_text=_text(fields.get("command")),
        timestamp_text=timestamp_text,
        decided_ms=decided_ms,
        symbol=symbol,
        confidence=numbers.confidence(),
        leverage=numbers.positive("leverage", least=ONE),
        size_pct=numbers.positive("position_size_pct"),
        stop_roi_pct=numbers.positive("stop_loss_pct"),
        take_profit_roi_pct=numbers.positive("take_profit_pct"),
        trailing_activation_roi_pct=numbers.positive("trailing_activation"),
        trailing_distance_roi_pct=numbers.positive("trailing_distance"),
        max_holding_minutes=numbers.positive("max_holding_minutes"),
        reasoning=_text(fields.get("reasoning")),
        raw_command_text=_text(fields["raw_command"]) if "raw_command" in fields else None,
        home_file=home if home != file_name else None,
        problems=tuple(problems),
    )


def _command(fields: Mapping[str, object], problems: list[str]) -> Command:
    """Return the command, UNKNOWN for any word outside the advisors' vocabulary.

    BUY, CLOSE and OPEN_LONG appear in the programs around the advisors, never with an agreed
    meaning in a bridge file: acting on them would be guessing.
    """
    written = fields.get("command")
    if not isinstance(written, str):
        problems.append(f"command is {_kind(written)}" if "command" in fields else "no command")
        return Command.UNKNOWN
    try:
        return Command(written.strip().upper())
    except ValueError:
        problems.append(f"command {_text(written)!r} is not a word of the bridge")
        return Command.UNKNOWN


def _timestamp(
    fields: Mapping[str, object], zone: tzinfo, now_ms: int, problems: list[str]
) -> tuple[str | None, int | None]:
    written = fields.get("timestamp")
    if written is None:
        return None, None
    text = _text(written)
    decided_ms = (
        parse_local_time(text, zone=zone, now_ms=now_ms) if isinstance(written, str) else None
    )
    if decided_ms is None:
        problems.append(f"timestamp {text!r} is not a date and time")
    elif has_offset(text):
        problems.append(f"timestamp {text!r} carries a zone, taken as written; advisors write none")
    return text, decided_ms


class _Numbers:
    """A section's numbers: `dynamic_params` first, then the flat copy, problems noted."""

    def __init__(self, fields: Mapping[str, object], problems: list[str]) -> None:
        dynamic = fields.get("dynamic_params")
        self._problems = problems
        self._sources: list[tuple[str, Mapping[str, object]]] = [("", fields)]
        if isinstance(dynamic, dict):
            self._sources.insert(0, ("dynamic_params.", dynamic))
        elif dynamic is not None:
            problems.append(f"dynamic_params is {_kind(dynamic)}, not an object")

    def positive(self, name: str, *, least: Decimal | None = None) -> Decimal | None:
        """Return the first usable value above zero and not below `least`, None if none is."""
        for prefix, fields in self._sources:
            if fields.get(name) is None:
                continue
            value = self._finite(prefix + name, fields[name])
            if value is None:
                continue
            if value <= ZERO or (least is not None and value < least) or value > _PERCENT_MAX:
                self._problems.append(f"{prefix}{name} {_shown(value)} is out of range")
                continue
            return value
        return None

    def confidence(self) -> Decimal | None:
        """Return 0 to 100 from the flat field, the only place advisors write it."""
        written = self._sources[-1][1].get("confidence")
        value = None if written is None else self._finite("confidence", written)
        if value is None:
            return None
        if not ZERO <= value <= HUNDRED:
            self._problems.append(f"confidence {_shown(value)} is not within 0 to 100")
            return None
        if ZERO < value < ONE:
            self._problems.append(f"confidence {_shown(value)} is taken as percent, as written")
        return value

    def _finite(self, name: str, written: object) -> Decimal | None:
        value = written
        if isinstance(written, str):
            try:
                value = parse_decimal(written)
            except ValueError:
                value = None
        if isinstance(value, Decimal) and _is_plain(value):
            return value
        self._problems.append(f"{name} is {_kind(written)}, not a number")
        return None


def _is_plain(value: Decimal) -> bool:
    """Return True for a number of ordinary length: printing 1e999999 in full takes a megabyte."""
    if not value.is_finite() or len(value.as_tuple().digits) > _DIGITS_MAX:
        return False
    return value == ZERO or abs(value.adjusted()) <= _MAGNITUDE_MAX


def _kind(value: object) -> str:
    """Name what was found instead of the thing wanted."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {_text(value)[:40]!r}"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return _text(value)[:40]


def _text(value: object) -> str:
    """Return a text safe to print and to store: no control characters, no lone surrogates."""
    match value:
        case None:
            return ""
        case str():
            return _clean(value)
        case dict() | list():
            return _kind(value)
        case bool():
            return "true" if value else "false"
        case _:
            return _clean(str(value))


def _clean(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS_MAX])
    return printable.encode("utf-8", "replace").decode()


def _shown(value: Decimal) -> str:
    return str(value)[:40]

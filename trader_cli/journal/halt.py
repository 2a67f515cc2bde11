"""The halt latch: small files whose presence forbids everything that can raise exposure.

One file for each scope (the account or a symbol) and origin (a person or a rule), so that none
can overwrite another and lifting one never lifts the other. Stopping must need less to work than
trading does: a full disk, a folder that cannot be listed and a file that makes no sense all end
in "halted". It needs no journal, no configuration and no exchange.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import uuid4

from trader_cli.clock import Clock
from trader_cli.errors import UsageError
from trader_cli.journal.errors import LatchNotCleared, LatchNotWritten
from trader_cli.journal.files import (
    FILE_MODE,
    ensure_private_directory,
    replace_durably,
    sync_directory,
    write_file,
)

_ACCOUNT: Final = "account"
_SYMBOL: Final = "symbol-"
_PERSON: Final = "person"
_RULE: Final = "rule-"
_ACKNOWLEDGED: Final = ".acknowledged"
_SPARE: Final = ".spare"
_HISTORY: Final = ".history.jsonl"
_FIELDS_MAX: Final = 64 * 1024


@unique
class HaltedBy(StrEnum):
    PERSON = "person"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """One halt in force.

    Attributes:
        halt_id: another one for every setting, so that an acknowledgement cannot be an old one.
        symbol: None halts the account.
        rule: the rule's name, None for a person's halt.
        since_ms: UTC epoch milliseconds, None if the file no longer says.
        until_ms: when it ends by itself; None if only a person ends it.
    """

    halt_id: str
    symbol: str | None
    reason: str
    by: HaltedBy
    rule: str | None
    since_ms: int | None
    until_ms: int | None


class HaltLatch:
    """The halts of one environment, kept in `directory`; no state of its own."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def prepare(self) -> None:
        """Set a spare file aside, so that a halt can be set on a full disk by renaming it.

        Raises:
            OSError: not possible now; halting then needs a free inode.
        """
        ensure_private_directory(self._directory)
        spare = self._directory / _SPARE
        if not spare.exists():
            write_file(spare, b"")

    def set(
        self,
        *,
        reason: str,
        by: HaltedBy,
        symbol: str | None = None,
        until_ms: int | None = None,
        rule: str = "rule",
    ) -> Halt:
        """Halt the account or one symbol; on disk when it returns.

        Setting the same rule again keeps the later end. `rule` counts for `HaltedBy.RULE` only.

        Raises:
            LatchNotWritten: no form of it could be written.
        """
        name = (_ACCOUNT if symbol is None else _SYMBOL + quote(symbol, safe="")) + "."
        name += _PERSON if by is HaltedBy.PERSON else _RULE + quote(rule, safe="")
        path = self._directory / name
        halt = Halt(
            halt_id=uuid4().hex,
            symbol=symbol,
            reason=reason,
            by=by,
            rule=None if by is HaltedBy.PERSON else rule,
            since_ms=self._clock.now_ms(),
            until_ms=until_ms if until_ms is None else self._later_end(path, until_ms),
        )
        try:
            ensure_private_directory(self._directory)
            replace_durably(path, _to_bytes(halt))
        except OSError as error:
            return self._set_bare(path, halt, error)
        return halt

    def active(self, symbol: str | None = None) -> Halt | None:
        """Return what forbids raising exposure on `symbol` (None: anywhere), None if nothing does.

        Cheap enough for every send: one listing of a folder that is empty while all is well.
        """
        for halt in self.all():
            if halt.symbol is None or halt.symbol == symbol:
                return halt
        return None

    def all(self) -> list[Halt]:
        """Return every halt in force, the account's first, a person's before a rule's."""
        return [halt for _, halt in self._in_force()]

    def clear(self, *, reason: str) -> list[Halt]:
        """Lift what may be lifted and return what stays in force.

        A person's halt goes at once; a rule's stays until its `until_ms`. What was lifted, and
        why, is written down beside the latch first.

        Raises:
            UsageError: no reason given.
            LatchNotCleared: a file could not be removed; its halt is in force.
        """
        if not reason.strip():
            raise UsageError("a halt is lifted only with a reason", advice="Give --reason.")
        remaining = []
        for path, halt in self._in_force():
            if path is None or (halt.by is HaltedBy.RULE and halt.until_ms is not None):
                remaining.append(halt)
                continue
            try:
                self._remember(halt, reason)
                path.unlink(missing_ok=True)
                sync_directory(self._directory)
            except OSError as error:
                raise LatchNotCleared(
                    f"the halt in {path} could not be lifted: {error}",
                    advice="Free the disk or correct the folder's rights, then resume again.",
                ) from error
        return remaining

    def acknowledge(self, pid: int, halts: Sequence[Halt] | None = None) -> None:
        """Say, as process `pid`, that nothing leaves any more that the present halts forbid.

        Args:
            halts: what the process acted on, as it read them; None takes those in force now.

        Raises:
            OSError: it could not be said; nobody may rely on it then.
        """
        folder = self._directory / _ACKNOWLEDGED
        ensure_private_directory(folder)
        name = f"{pid}.{_token(self.all() if halts is None else halts)}"
        if not (folder / name).exists():
            for old in folder.glob(f"{pid}.*"):
                old.unlink(missing_ok=True)
            write_file(folder / name, b"")

    def acknowledged_by(self) -> frozenset[int]:
        """Return the processes that know of exactly the present halts."""
        token = _token(self.all())
        try:
            names = os.listdir(self._directory / _ACKNOWLEDGED)
        except OSError:
            return frozenset()
        pairs = (name.split(".", 1) for name in names if name.count(".") == 1)
        return frozenset(int(pid) for pid, seen in pairs if seen == token and pid.isdecimal())

    def _in_force(self) -> list[tuple[Path | None, Halt]]:
        """Return the halts with their files; the file is None where no file is the reason."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []  # nobody ever halted, or the state was deleted on purpose
        except OSError as error:
            return [(None, unreadable(f"{self._directory} cannot be listed: {error}"))]
        now_ms = self._clock.now_ms()
        found = []
        for name in sorted(names):
            path = self._directory / name
            halt = None if name.startswith(".") else _read(path)
            if halt is not None and (halt.until_ms is None or now_ms < halt.until_ms):
                found.append((path, halt))
        return sorted(found, key=lambda pair: pair[1].symbol is not None)

    def _later_end(self, path: Path, until_ms: int) -> int:
        known = _read(path)
        if known is None or known.until_ms is None:
            return until_ms
        return max(until_ms, known.until_ms)

    def _set_bare(self, path: Path, halt: Halt, first: OSError) -> Halt:
        """Halt without content: a spare file renamed, else an empty file made."""
        for attempt in (self._rename_spare, self._make_empty):
            try:
                attempt(path)
            except OSError:
                continue
            return _read(path) or halt
        raise LatchNotWritten(
            f"the halt could not be written to {path}: {first}",
            code="latch_not_written",
            advice="Nothing on disk stops a running engine: end its process, or make the folder"
            " writable and halt again.",
        ) from first

    def _rename_spare(self, path: Path) -> None:
        (self._directory / _SPARE).rename(path)

    def _make_empty(self, path: Path) -> None:
        # What was there, perhaps a halt that has ended, says nothing any more: empty halts.
        flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))

    def _remember(self, halt: Halt, reason: str) -> None:
        line = json.dumps(
            {**_to_json(halt), "lifted_ms": self._clock.now_ms(), "lifted_because": reason}
        )
        descriptor = os.open(
            self._directory / _HISTORY,
            os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC,
            FILE_MODE,
        )
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unreadable(reason: str) -> Halt:
    """Return the halt that stands for halts that cannot be read."""
    return Halt(
        halt_id="unreadable",
        symbol=None,
        reason=reason,
        by=HaltedBy.PERSON,
        rule=None,
        since_ms=None,
        until_ms=None,
    )


def _token(halts: Sequence[Halt]) -> str:
    names = "\n".join(sorted(halt.halt_id for halt in halts))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _to_json(halt: Halt) -> dict[str, str | int | None]:
    return {
        "halt_id": halt.halt_id,
        "symbol": halt.symbol,
        "reason": halt.reason,
        "by": halt.by.value,
        "rule": halt.rule,
        "since_ms": halt.since_ms,
        "until_ms": halt.until_ms,
    }


def _to_bytes(halt: Halt) -> bytes:
    return json.dumps(_to_json(halt), indent=1).encode()


def _read(path: Path) -> Halt | None:
    """Return the halt that `path` stands for, None only if there is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(_FIELDS_MAX)
            changed_ns = os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        return _from_name(path, f"{path.name} cannot be read: {error}", "unreadable")
    if not content:
        return _from_name(path, "halted while the disk was full", str(changed_ns))
    try:
        return _from_json(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return _from_name(path, f"{path.name} is damaged and counts as a halt", str(changed_ns))


def _from_json(data: dict[str, Any]) -> Halt:
    until_ms, since_ms, reason = data["until_ms"], data["since_ms"], data["reason"]
    numbers = (since_ms, 0 if until_ms is None else until_ms)
    if not isinstance(reason, str) or any(type(number) is not int for number in numbers):
        raise ValueError("a field has the wrong type")
    return Halt(
        halt_id=str(data["halt_id"]),
        symbol=data["symbol"],
        reason=reason,
        by=HaltedBy(data["by"]),
        rule=data["rule"],
        since_ms=since_ms,
        until_ms=until_ms,
    )


def _from_name(path: Path, reason: str, mark: str) -> Halt:
    """Return what the name still says; whatever it does not say halts the whole account."""
    scope, _, origin = path.name.partition(".")
    by_rule = origin.startswith(_RULE)
    return Halt(
        halt_id=f"{path.name}@{mark}",
        symbol=unquote(scope.removeprefix(_SYMBOL)) if scope.startswith(_SYMBOL) else None,
        reason=reason,
        by=HaltedBy.RULE if by_rule else HaltedBy.PERSON,
        rule=unquote(origin.removeprefix(_RULE)) if by_rule else None,
        since_ms=None,
        until_ms=None,
    )

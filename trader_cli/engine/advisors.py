"""Advisor programs that live and die with the engine.

Knows processes: how a command line becomes one, what environment it may see, when it is started
again and how it is ended. It must not know what advisors write; that reaches the engine through
the bridge folder alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trader_cli.clock import Clock
from trader_cli.engine.advisor_logs import log_file_of, put_aside_if_large
from trader_cli.errors import UsageError

SHIM: Final = Path(__file__).with_name("advisor_shim.py")

_SECRET_PREFIXES: Final = ("BINANCE_", "TRADER_")
_SECRET_WORDS: Final = ("TELEGRAM", "WEBHOOK", "SMTP", "APPRISE")
_BACKOFF_S_MIN: Final = 1.0
_BACKOFF_S_MAX: Final = 30.0
_HEALTHY_S: Final = 60.0
"""An advisor that ran this long starts again with the shortest pause."""

_END_S: Final = 5.0  # above the shim's own grace between TERM and KILL


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorProgram:
    """What is to be run: resolved, existing, ready to start from any folder.

    Attributes:
        name: short, for messages and the log file's name.
        argv: program and arguments, paths absolute.
    """

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorStarted:
    """`pid` is also its process group."""

    name: str
    pid: int
    log_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorNotStarted:
    """The machine refused to start it, or to keep its log; tried again after `restart_s`."""

    name: str
    reason: str
    restart_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorDied:
    """It ended by itself; it starts again after `restart_s`. Code 128 + n is signal n."""

    name: str
    exit_code: int
    ran_s: float
    restart_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvisorEnded:
    """It was ended together with the engine."""

    name: str


AdvisorEvent = AdvisorStarted | AdvisorNotStarted | AdvisorDied | AdvisorEnded


def advisor_fields(event: AdvisorEvent) -> dict[str, object]:
    """Return what is told of an event of an advisor's life."""
    match event:
        case AdvisorStarted():
            said: dict[str, object] = {
                "state": "started",
                "pid": event.pid,
                "log": str(event.log_file),
            }
        case AdvisorNotStarted():
            said = {
                "state": "not_started",
                "reason": event.reason,
                "restart_s": str(event.restart_s),
            }
        case AdvisorDied():
            said = {
                "state": "died",
                "exit_code": event.exit_code,
                "restart_s": str(event.restart_s),
            }
        case AdvisorEnded():
            said = {"state": "ended"}
    return {"name": event.name, **said}


def resolve_program(command_line: str, *, folder: Path) -> AdvisorProgram:
    """Return the program that `command_line` names, paths taken relative to `folder`.

    A `*.py` file runs with our own interpreter; a bare name is looked up in PATH.

    Raises:
        UsageError: not a command line, or no such program.
    """
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise UsageError(f"--advisor {command_line!r}: {str(error).lower()}") from None
    if not words:
        raise UsageError("--advisor names no program")
    arguments = [_absolute_if_file(word, folder) for word in words[1:]]
    path = folder / words[0]
    if words[0].endswith(".py"):
        if not path.is_file():
            raise UsageError(f"--advisor {command_line!r}: there is no file {path}")
        return AdvisorProgram(
            name=path.stem, argv=(sys.executable, str(path.resolve()), *arguments)
        )
    found = shutil.which(str(path) if os.sep in words[0] else words[0])
    if found is None:
        raise UsageError(
            f"--advisor {command_line!r}: no program {words[0]} to run",
            advice="give the path of a program, or of a .py file",
        )
    return AdvisorProgram(name=_name_of(words), argv=(os.path.abspath(found), *arguments))


def advisor_environment(environ: Mapping[str, str], *, rest_url: str) -> dict[str, str]:
    """Return `environ` without our keys, settings and alarm addresses, with the market's address.

    An advisor is a stranger's program that talks to a language model: it gets market data and
    no means to trade.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_SECRET_PREFIXES)
        and not any(word in name.upper() for word in _SECRET_WORDS)
    }
    return kept | {"TRADER_REST_URL": rest_url, "PYTHONUNBUFFERED": "1"}


def backoff_s(failures: int) -> float:
    """Return the pause before start number `failures` + 1: 1, 2, 4 … 30 seconds."""
    assert failures >= 1, "called after a death"
    return min(_BACKOFF_S_MAX, _BACKOFF_S_MIN * 2.0 ** min(failures - 1, 16))


async def supervise(
    program: AdvisorProgram,
    *,
    bridge_dir: Path,
    log_dir: Path,
    environment: Mapping[str, str],
    clock: Clock,
    on_event: Callable[[AdvisorEvent], None],
) -> None:
    """Run `program` in `bridge_dir` until cancelled, starting it again when it dies.

    One that cannot be started is tried again: positions are looked after without it, too. Its
    output goes to `log_dir`, never to ours. When this task is cancelled the whole process group is
    ended before the cancellation goes on.
    """
    failures = 0
    while True:
        started = clock.monotonic()
        try:
            log_file = _prepare(bridge_dir, log_dir, program.name)
            process = await _start(program, bridge_dir, log_file, environment)
        except OSError as error:
            failures += 1
            restart_s, reason = backoff_s(failures), error.strerror or type(error).__name__
            on_event(AdvisorNotStarted(name=program.name, reason=reason, restart_s=restart_s))
            await clock.sleep(restart_s)
            continue
        on_event(AdvisorStarted(name=program.name, pid=process.pid, log_file=log_file))
        try:
            exit_code = await process.wait()
        except asyncio.CancelledError:
            await process.end()
            on_event(AdvisorEnded(name=program.name))
            raise
        process.sweep()
        ran_s = clock.monotonic() - started
        failures = 1 if ran_s >= _HEALTHY_S else failures + 1
        restart_s = backoff_s(failures)
        on_event(
            AdvisorDied(name=program.name, exit_code=exit_code, ran_s=ran_s, restart_s=restart_s)
        )
        await clock.sleep(restart_s)


class AdvisorProcess:
    """A started advisor: its shim, and the pipe that tells the shim we are alive."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._process = process
        self._lifeline: int | None = lifeline
        self.pid: Final = process.pid

    async def wait(self) -> int:
        """Return the exit code once the advisor has ended by itself."""
        return await self._process.wait()

    async def end(self) -> None:
        """End the advisor and everything it started: TERM, and KILL before this returns."""
        self._let_go()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self.sweep()
            await self._process.wait()
        self.sweep()

    def sweep(self) -> None:
        """Kill what is left of the process group."""
        self._let_go()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _let_go(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


async def _start(
    program: AdvisorProgram, bridge_dir: Path, log_file: Path, environment: Mapping[str, str]
) -> AdvisorProcess:
    alive, lifeline = os.pipe()
    try:
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(SHIM),
                *program.argv,
                stdin=alive,
                stdout=log,
                stderr=log,
                cwd=bridge_dir,
                env=dict(environment),
                start_new_session=True,  # its own group, and out of reach of the terminal's Ctrl-C
            )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(alive)
    return AdvisorProcess(process, lifeline)


def _prepare(bridge_dir: Path, log_dir: Path, name: str) -> Path:
    """Make the folders; return the log file's path, the former log put aside once it is large."""
    bridge_dir.mkdir(parents=True, exist_ok=True)
    log_dir.mkdir(parents=True, exist_ok=True)
    log_file = log_file_of(log_dir, name)
    put_aside_if_large(log_file)
    return log_file


def _absolute_if_file(word: str, folder: Path) -> str:
    """The advisor runs in another folder: an argument that names a file here keeps naming it."""
    looks_like_path = os.sep in word or word.endswith(".py")
    if word.startswith("-") or not looks_like_path or not (folder / word).exists():
        return word
    return str((folder / word).resolve())


def _name_of(words: Sequence[str]) -> str:
    """Return the script's name for an interpreter's command line, else the program's."""
    scripts = [word for word in words if word.endswith(".py")]
    return Path(scripts[0] if scripts else words[0]).stem

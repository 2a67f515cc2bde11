"""A process that has imported everything once and forks a fresh `trader` for every command.

Most of a short command's time is the import of its libraries; hundreds of commands would spend
minutes on it. Each command is still a process of its own, with its own environment, folder and
exit code. As many commands run at a time as the forge has lanes; each lane is a copy of the
preloaded process. Run as a program it is the forge; imported, it is the handle on one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

_TIMEOUT_S = 60
_LANES = 8


class Forge:
    """Runs commands in forked children of one preloaded process; threads may share it."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="trader-forge-")
        ours, theirs = zip(*(socket.socketpair() for _ in range(_LANES)), strict=True)
        numbers = [end.fileno() for end in theirs]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            pass_fds=numbers,
        )
        for end in theirs:
            end.close()
        self._lanes = ours
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for lane in range(_LANES):
            self._free.put(lane)

    def run(
        self, words: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
    ) -> tuple[int, str, str]:
        """Run one command and return its exit code, stdout and stderr."""
        lane = self._free.get()
        out, err = (Path(self._folder.name, f"{name}-{lane}") for name in ("out", "err"))
        order = {
            "words": list(words),
            "cwd": str(cwd),
            "environ": dict(environ),
            "out": str(out),
            "err": str(err),
        }
        try:
            with self._lanes[lane].makefile("rw") as line:
                line.write(json.dumps(order) + "\n")
                line.flush()
                answer = line.readline()
            assert answer, "the forge died"
            return int(answer), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
        finally:
            self._free.put(lane)  # also of a dead forge: the next command must say so, not wait

    def close(self) -> None:
        """End the forge."""
        for lane in self._lanes:
            lane.close()
        self._process.wait()
        self._folder.cleanup()


def _preload() -> None:
    import importlib
    import pkgutil

    import trader_cli
    from trader_cli.cli.commands import GROUPS

    for group in GROUPS.values():
        importlib.import_module(group.module)
    for room in ("exchange", "journal", "trading", "wire", "cli"):
        folder = str(Path(trader_cli.__file__).parent / room)
        for module in pkgutil.iter_modules([folder]):
            importlib.import_module(f"trader_cli.{room}.{module.name}")
    importlib.import_module("trader_cli.config_schema")
    importlib.import_module("rich.table")


def _serve(numbers: Sequence[int]) -> None:
    """Preload, then become one process for each lane; return when every handle is closed."""
    _preload()
    lanes = [os.fork() or _serve_lane(numbers, number) for number in numbers]
    for number in numbers:
        os.close(number)
    for lane in lanes:
        os.waitpid(lane, 0)


def _serve_lane(numbers: Sequence[int], number: int) -> NoReturn:
    for other in numbers:
        if other != number:
            os.close(other)
    with socket.socket(fileno=number) as lane, lane.makefile("rw") as orders:
        for line in orders:
            child = os.fork()
            if child == 0:
                _become(json.loads(line))
            orders.write(f"{_wait(child)}\n")
            orders.flush()
    os._exit(0)


def _wait(child: int) -> int:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(_TIMEOUT_S)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        signal.alarm(0)
    return os.waitstatus_to_exitcode(status)


def _become(order: dict[str, object]) -> NoReturn:
    """Turn the forked child into the command."""
    from trader_cli.__main__ import main

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    streams = {0: (os.devnull, os.O_RDONLY)}
    for number, name in ((1, "out"), (2, "err")):
        streams[number] = (str(order[name]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, (path, flags) in streams.items():
        os.dup2(os.open(path, flags, 0o600), number)
    environ, words = order["environ"], order["words"]
    assert isinstance(environ, dict)
    assert isinstance(words, list)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(str(order["cwd"]))
    sys.argv = ["trader", *words]
    code = 1
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve([int(word) for word in sys.argv[1:]])

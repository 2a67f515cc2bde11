"""A process that has imported everything once and forks a fresh `trader` for every command.

Most of a short command's time is the import of its libraries; hundreds of commands would spend
minutes on it. Each command is still a process of its own, with its own environment, folder and
exit code. Run as a program it is the forge; imported, it is the handle on one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_TIMEOUT_S = 60


class Forge:
    """Runs commands in forked children of one preloaded process."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="trader-forge-")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, words: Sequence[str], *, cwd: Path, environ: Mapping[str, str]
    ) -> tuple[int, str, str]:
        """Run one command and return its exit code, stdout and stderr."""
        out, err = Path(self._folder.name, "out"), Path(self._folder.name, "err")
        order = {
            "words": list(words),
            "cwd": str(cwd),
            "environ": dict(environ),
            "out": str(out),
            "err": str(err),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the forge died"
        return int(answer), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the forge."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
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


def _serve() -> None:
    _preload()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
        sys.stdout.write(f"{_wait(child)}\n")
        sys.stdout.flush()


def _wait(child: int) -> int:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(_TIMEOUT_S)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        signal.alarm(0)
    return os.waitstatus_to_exitcode(status)


def _become(order: dict[str, object]) -> None:
    """Turn the forked child into the command; never returns."""
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
    _serve()

"""The installed `trader` as a process, in a home of its own."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.cli_shapes import check_envelope
from tests.support.trader_forge import Forge

TRADER = str(Path(sys.executable).parent / "trader")


@cache
def _forge() -> Forge:
    """Return this test process's forge, ended with it."""
    forge = Forge()
    atexit.register(forge.close)
    return forge


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one command ended with."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON object on stdout, which is as the contract says."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        check_envelope(value, self.code)
        return value

    @property
    def data(self) -> dict[str, Any]:
        """The data of a command that succeeded."""
        assert self.code == 0, (self.out, self.err)
        value = self.envelope["data"]
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The error of a command that did not."""
        value = self.envelope["error"]
        assert isinstance(value, dict)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """Runs commands with `TRADER_HOME`, `HOME` and the current folder under `root`."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "state"

    def __call__(self, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run one command to its end."""
        code, out, err = _forge().run(words, cwd=self.root, environ=self.environ(env))
        return Outcome(code=code, out=out, err=err)

    def json(self, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run one command with `--json --quiet`."""
        return self(*words, "--json", "--quiet", env=env)

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment in which nothing of the machine's own leaks in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "empty-home"),
            "TRADER_HOME": str(self.home),
            **(more or {}),
        }

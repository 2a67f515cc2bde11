"""Run third-party clients against a paper exchange, each in an environment of its own.

Knows where the clients come from and how they are installed, started and counted; what a client
does is in its `check_*.py`, which runs inside the client's environment and sees nothing of this
project but a URL and a key. Standard library only: whoever has `trader` can run it.

    tests/conformance/run.sh [--more] [--keep FOLDER] [CLIENT ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
SEED: Final = 20_261_123
_RUNNER: Final = ("pytest==9.2.0", "pytest-asyncio==1.5.0")
_INSTALL_WITHIN_S: Final = 240.0
_PROGRAM_WITHIN_S: Final = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program nobody here wrote.

    Attributes:
        requirements: exact versions, so that a failure is this project's change and not theirs.
        programs: its `check_*.py` files, run in one go against one exchange.
        more: left out unless asked for.
        python: the interpreter it needs, None for the one that runs this.
        node: a client of Node.js, installed by npm.
    """

    name: str
    requirements: tuple[str, ...]
    programs: tuple[str, ...]
    more: bool = False
    python: str | None = None
    node: bool = False


CLIENTS: Final = (
    Client(
        name="ccxt",
        requirements=("ccxt==4.5.90",),
        programs=("check_ccxt_rest.py", "check_ccxt_streams.py"),
    ),
    Client(
        name="binance-sdk",
        requirements=("binance-sdk-derivatives-trading-usds-futures==18.0.1",),
        programs=("check_sdk_rest.py", "check_sdk_streams.py", "check_sdk_ws_api.py"),
    ),
    Client(
        name="python-binance",
        requirements=("python-binance==1.0.37",),
        programs=("check_python_binance.py", "check_python_binance_streams.py"),
    ),
    Client(
        name="binance-connector",
        requirements=("binance-futures-connector==4.2.0",),
        programs=("check_connector.py",),
        more=True,
    ),
    Client(
        name="unicorn-binance",
        requirements=(
            "unicorn-binance-rest-api==2.12.0",
            "unicorn-binance-websocket-api==2.16.1",
            "unicorn-binance-local-depth-cache==2.14.0",
        ),
        programs=("check_unicorn.py",),
        more=True,
    ),
    Client(
        name="nautilus-trader",
        requirements=("nautilus_trader==1.221.0",),
        programs=("check_nautilus.py",),
        more=True,
    ),
    Client(
        name="nautilus-trader-new",
        requirements=("nautilus_trader==1.231.0",),
        programs=("check_nautilus.py", "check_nautilus_conditional.py"),
        more=True,
        python="python3.12",
    ),
    Client(
        name="freqtrade",
        requirements=("freqtrade==2026.9",),
        programs=("check_freqtrade.py",),
        more=True,
    ),
    Client(
        name="javascript",
        requirements=("ccxt@4.5.84", "binance@3.6.5"),
        programs=("check_javascript.mjs",),
        more=True,
        node=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one client showed: (area, outcome) → how many."""

    client: str
    counts: Counter[tuple[str, str]]
    trouble: str = ""

    def count(self, outcome: str) -> int:
        return sum(n for (_, found), n in self.counts.items() if found == outcome)

    @property
    def failed(self) -> int:
        """Failures; a client that could not run at all is one."""
        return self.count("failed") + (1 if self.trouble else 0)


def main(words: Sequence[str] | None = None) -> int:
    """Run the clients asked for; 0 if all of them pass everything."""
    wishes = _parser().parse_args(words)
    known = {client.name for client in CLIENTS}
    unknown = sorted(set(wishes.clients) - known)
    if unknown:
        sys.stderr.write(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}\n")
        return 2
    trader = _find_trader()
    if trader is None:
        sys.stderr.write("`trader` is not installed beside this Python nor on PATH\n")
        return 2
    chosen = [c for c in CLIENTS if c.name in wishes.clients] or [
        c for c in CLIENTS if wishes.more or not c.more
    ]
    folder = wishes.keep or Path(tempfile.mkdtemp(prefix="conformance-"))
    outcomes = []
    try:
        for client in chosen:
            started = time.monotonic()
            outcome = _try(client, folder.resolve() / client.name, trader)
            outcomes.append(outcome)
            _tell(outcome, time.monotonic() - started)
    finally:
        if wishes.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _try(client: Client, folder: Path, trader: str) -> Outcome:
    """Install, start, run, stop."""
    python = folder / "venv" / "bin" / "python"
    trouble = _install_node(client, folder) if client.node else _install(client, folder, python)
    if trouble:
        return Outcome(client=client.name, counts=Counter(), trouble=trouble)
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    # Rate limits stay as they are at the real exchange: they are part of what is shown.
    (home / "config.toml").write_text(f"[paper]\nseed = {SEED}\n")
    try:
        endpoint = _paper(trader, home, "start")
        return _run(client, folder, python, endpoint)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        return Outcome(client=client.name, counts=Counter(), trouble=str(error))
    finally:
        _paper(trader, home, "stop")


def _install_node(client: Client, folder: Path) -> str:
    """Return what went wrong, "" if nothing did; packages that are there are kept."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "node and npm are not on PATH"
    if (folder / "node_modules").exists():
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    options = ("--no-audit", "--no-fund", "--prefix", str(folder))
    trouble = _step([npm, "install", *options, *client.requirements])
    if trouble:
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
    return trouble


def _install(client: Client, folder: Path, python: Path) -> str:
    """Return what went wrong, "" if nothing did; an environment that is there is kept."""
    if python.exists():
        return ""
    venv = folder / "venv"
    base = sys.executable if client.python is None else shutil.which(client.python)
    if base is None:
        return f"{client.python} is not on PATH"
    commands = (
        [base, "-m", "venv", str(venv)],
        [
            *(str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"),
            *(*client.requirements, *_RUNNER),
        ],
    )
    for command in commands:
        trouble = _step(command)
        if trouble:
            shutil.rmtree(venv, ignore_errors=True)
            return trouble
    return ""


def _step(command: Sequence[str]) -> str:
    """Run one step of an installation; return what went wrong, "" if nothing did."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)}\nnot done within {_INSTALL_WITHIN_S} s"
    return "" if done.returncode == 0 else f"{' '.join(command)}\n{done.stderr}"


def _run(client: Client, folder: Path, python: Path, endpoint: dict[str, Any]) -> Outcome:
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    programs = [str(HERE / program) for program in client.programs]
    pytest = [str(python), "-m", "pytest", "-c", str(HERE / "pytest.ini")]
    done = subprocess.run(
        ["node", *programs] if client.node else [*pytest, *programs],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CONFORMANCE_RESULT": str(result),
            **{f"PAPER_{name.upper()}": str(value) for name, value in endpoint.items()},
        },
        capture_output=True,
        text=True,
        timeout=_PROGRAM_WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        sys.stdout.write(done.stdout + done.stderr)
    if not result.exists():
        return Outcome(client=client.name, counts=Counter(), trouble="it did not run to its end")
    counts = Counter({(area, what): n for area, what, n in json.loads(result.read_text())})
    trouble = "" if done.returncode in (0, 1) and counts else "nothing was shown"
    return Outcome(client=client.name, counts=counts, trouble=trouble)


def _paper(trader: str, home: Path, word: str) -> dict[str, Any]:
    """Run `trader paper WORD` in a home of its own and return its data."""
    done = subprocess.run(
        [trader, "paper", word, "--json", "--quiet"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TRADER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError(f"trader paper {word}: {done.stdout}{done.stderr}")
    wanted = ("rest_url", "stream_url", "api_key", "api_secret")
    data = json.loads(done.stdout)["data"]
    return {name: data[name] for name in wanted if name in data}


def _find_trader() -> str | None:
    beside = Path(sys.executable).parent / "trader"
    return str(beside) if beside.exists() else shutil.which("trader")


def _tell(outcome: Outcome, seconds: float) -> None:
    areas = list(dict.fromkeys(area for area, _ in outcome.counts))
    for area in areas:
        passed, failed = (outcome.counts[area, what] for what in ("passed", "failed"))
        sys.stdout.write(f"  {area:<24} {passed:>3} passed, {failed} failed\n")
    if outcome.trouble:
        sys.stdout.write(f"  {outcome.trouble}\n")
    sys.stdout.write(
        f"{outcome.client}: {outcome.count('passed')} passed, {outcome.failed} failed"
        f" ({seconds:.0f} s)\n"
    )
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/conformance/run.sh", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="default: all but the rare")
    parser.add_argument("--more", action="store_true", help="rarer clients too")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep environments there and use them again"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

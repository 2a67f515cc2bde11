"""House rules that no linter holds: who reads time, who catches what, what stays private."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trader_cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(trader_cli.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
SOURCES = [path for path in MODULES if path.name != "__init__.py"]

ONLY_CLOCK_READS = {"time", "time_ns", "monotonic", "monotonic_ns", "now", "utcnow", "today"}
OF_TIME = {"time", "datetime", "date"}
OWN_CLOCKS = {
    "clock.py",
    "cli/crash.py",  # the report of a broken program leans on nothing of that program
}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Return `module.function` calls as pairs of names."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name):
                yield owner.id, node.func.attr


def test_packages_hold_nothing_of_their_own() -> None:
    full = [
        name_of(path) for path in MODULES if path.name == "__init__.py" and tree(path).body != []
    ]

    assert full == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_says_what_it_knows(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))

    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?"))


def test_only_the_clock_reads_time() -> None:
    readers = {
        name_of(path)
        for path in SOURCES
        for owner, function in calls(path)
        if owner in OF_TIME and function in ONLY_CLOCK_READS
    }

    assert readers == OWN_CLOCKS


def test_only_one_handler_catches_everything() -> None:
    broad = [
        name_of(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and ast.unparse(node.body[-1]) != "raise"  # cleaning up on the way out catches nothing
    ]

    assert broad == ["cli/app.py"]


def test_money_is_never_built_from_a_float_literal() -> None:
    found = [
        (name_of(path), node.lineno)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Decimal"
        and any(isinstance(a, ast.Constant) and isinstance(a.value, float) for a in node.args)
    ]

    assert found == []


def test_help_is_light() -> None:
    script = (
        "import sys; from trader_cli.cli.app import run; run(['--help']);"
        "heavy = {'aiohttp', 'asyncio', 'binance', 'pydantic', 'rich', 'typer'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd="/"
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_names_a_machine() -> None:
    private = re.compile(
        r"/home/(?!you\b)\w+/|/root/|/Users/\w+/|file:///|https?://[^/\s]*pypi(?!\.org)"
    )
    texts = [
        path
        for pattern in ("*.md", "*.toml", "*.lock", "*.example")
        for path in [*ROOT.glob(pattern), *(ROOT / "docs").rglob(pattern)]
    ]

    found = [
        (path.name, number)
        for path in [*SOURCES, *texts]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]

    assert found == []

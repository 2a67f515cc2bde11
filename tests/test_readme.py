"""What README and docs promise is there: commands that parse, files that exist, nothing private."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from trader_cli import errors
from trader_cli.cli.commands import GROUPS, find_group
from trader_cli.cli.shared_options import split_shared
from trader_cli.errors import TraderError
from trader_cli.paper.api.every_route import ROUTES
from trader_cli.paper.api.faults import FaultKind
from trader_cli.paper.api.routes_control import CONTROL_ROUTES
from trader_cli.paper.contracts.instruments import CONTRACTS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CONTRACT = ROOT / "docs" / "cli-contract.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md"]
)
TEST_LINE = "pip install '.[test]' && pytest"
FIRST_LINE = (
    "pip install . && trader run --bridge ./bridge --advisor examples/advisors/pulse.py --for 60s"
)


def code_lines(page: Path) -> list[str]:
    """Return the lines inside the page's code blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()]


def command_lines(page: Path) -> list[str]:
    """Return every `trader …` command of the page's code blocks, and of a chain its last part."""
    found = []
    for line in code_lines(page):
        command = line.removeprefix("$ ").rpartition("&& ")[2]
        if command.startswith("trader "):
            found.append(command)
    return found


def parse(command: str) -> None:
    """Parse a command line as the program does, without running it."""
    _, words = split_shared(shlex.split(command)[1:])
    group = find_group(words[0])
    shown = typer.main.get_command(import_module(group.module).app)
    rest = words[1:]
    while hasattr(shown, "commands"):
        shown = shown.commands[rest.pop(0)]
    shown.make_context(command, rest)


COMMANDS = [(page.name, line) for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_that_is_shown_parses(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"[\w-]+\.(?:csv|zip|gz|json)\b", command):
        (tmp_path / name).touch()  # the reader's own files

    parse(command)


@pytest.mark.parametrize(
    "command",
    [
        "trader order limit BTCUSDT buy 0.001 60000 --post-onyl",
        "trader order limit BTCUSDT up 0.001 60000",
        "trader run --advisor examples/advisors/pulse.py",
        "trader flatten --all",
    ],
)
def test_command_that_is_wrong_does_not_parse(command: str) -> None:
    with pytest.raises((typer.TyperException, TraderError)):
        parse(command)


def test_every_command_group_has_an_example() -> None:
    shown = {command.split()[1] for command in command_lines(README)}

    assert set(GROUPS) <= shown


@pytest.mark.parametrize("line", [FIRST_LINE, TEST_LINE])
def test_two_commands_stand_alone_on_their_lines(line: str) -> None:
    assert line in README.read_text().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [name for name in targets if not (page.parent / name).exists()] == []


def test_exit_codes_are_all_in_the_readme() -> None:
    kinds = {
        (error.exit_code, error.kind)
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, TraderError)
    }

    told = README.read_text()

    for code, kind in kinds:
        row = rf"^\| {code} \| .*`{kind}`"
        assert re.search(row, told, flags=re.MULTILINE), (code, kind)


def test_contract_lists_every_command() -> None:
    told = CONTRACT.read_text()

    commands = [f"{name} {verb}" for name, group in GROUPS.items() for verb in group.verbs]

    assert [command for command in commands if f"`{command}`" not in told] == []


@pytest.mark.parametrize("name", GROUPS)
def test_contract_names_every_option(name: str) -> None:
    rows = re.findall(r"^\| (`.*?`) \| (.*) \|$", CONTRACT.read_text(), flags=re.MULTILINE)
    group = typer.main.get_command(import_module(GROUPS[name].module).app)

    untold = [
        f"{command} {option}"
        for command, options in own_options([name], group)
        for option in options
        if not any(f"`{command}`" in cell and option in told for cell, told in rows)
    ]

    assert untold == []


def own_options(words: list[str], shown: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with its options; a third word is its second one's own matter."""
    for name, verb in getattr(shown, "commands", {}).items():
        yield from own_options([*words, name], verb)
    if not hasattr(shown, "commands"):
        options = [opt for param in shown.params for opt in param.opts if opt.startswith("--")]
        yield " ".join(words[:2]), sorted(set(options) - {"--help", "--position"})


def test_paper_exchanges_page_names_every_failure_and_every_switch() -> None:
    told = (ROOT / "docs" / "paper-exchange.md").read_text()

    words = [kind.value for kind in FaultKind] + [
        f"{route.method} {route.path}" for route in CONTROL_ROUTES
    ]

    assert [word for word in words if f"`{word}`" not in told] == []


def test_paper_exchanges_page_counts_calls_and_contracts() -> None:
    told = (ROOT / "docs" / "paper-exchange.md").read_text()
    calls = [route for route in ROUTES.values() if route not in CONTROL_ROUTES]

    assert f"{len(calls)} calls" in told
    assert [name for name in CONTRACTS if f"{name.removesuffix('USDT')}" not in told] == []


def test_architecture_names_only_modules_there_are() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text()
    inside = told.partition("## Inside the larger rooms")[2].partition("## Contracts")[0]
    there = {path.stem for path in (ROOT / "trader_cli").rglob("*.py")}

    named = [
        name
        for name in re.findall(r"`([a-z_]+)`", inside)
        if name not in there and name not in {"facts", "state", "actions"}
    ]

    assert named == []

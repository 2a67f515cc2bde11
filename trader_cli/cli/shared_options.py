"""The options every command takes, taken out of the command line wherever they stand.

One place, so that `trader --json order list` and `trader order list --json` cannot differ. Knows
words only, no command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from trader_cli.errors import UsageError

_FLAGS: Final = {
    "--live": "live",
    "--json": "json",
    "--quiet": "quiet",
    "-q": "quiet",
    "--yes": "yes",
    "-y": "yes",
    "--dry-run": "dry_run",
}
_VALUES: Final = {"--env": "env", "--config": "config"}
_NEGATIVE: Final = re.compile(r"-(?:\d[\d.]*|\.\d+)(?:[eE][+-]?\d+)?")
_ENVIRONMENTS: Final = ("paper", "testnet", "live")
_TEXT_OPTIONS: Final = frozenset({"--reason", "--advisor"})
"""Options whose value is free text or a command line and is never looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """What the operator said besides the command itself."""

    env: str | None = None
    live: bool = False
    config: Path | None = None
    json: bool = False
    quiet: bool = False
    yes: bool = False
    dry_run: bool = False


def split_shared(argv: Sequence[str]) -> tuple[SharedOptions, list[str]]:
    """Return the shared options and the words that remain, in their order.

    What follows `--` is left alone. A value of a free-text option (`--reason`) is, too.

    Raises:
        UsageError: an option lacks its value, or a number is negative (none may be).
    """
    options, rest = SharedOptions(), []
    words = iter(argv)
    for word in words:
        name, has_value, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
        elif name in _TEXT_OPTIONS and not has_value:
            rest += [word, *[text for text in [next(words, None)] if text is not None]]
        elif word in _FLAGS:
            options = _with_flag(options, _FLAGS[word])
        elif name in _VALUES:
            given = value if has_value else next(words, "")
            options = _with_value(options, name, given)
        elif _NEGATIVE.fullmatch(word):
            raise UsageError(f"{word}: a number must not be negative", code="negative_number")
        else:
            rest.append(word)
    return options, rest


def wants_json(argv: Sequence[str]) -> bool:
    """Return True if `--json` stands anywhere, even in a command line that is wrong otherwise."""
    return "--json" in argv


def _with_flag(options: SharedOptions, name: str) -> SharedOptions:
    match name:
        case "live":
            return replace(options, live=True)
        case "json":
            return replace(options, json=True)
        case "quiet":
            return replace(options, quiet=True)
        case "yes":
            return replace(options, yes=True)
        case _:
            return replace(options, dry_run=True)


def _with_value(options: SharedOptions, name: str, value: str) -> SharedOptions:
    if not value or value.startswith("--"):
        raise UsageError(f"{name} needs a value")
    if name == "--config":
        return replace(options, config=Path(value))
    if value not in _ENVIRONMENTS:
        raise UsageError(f"--env {value!r} is not one of {', '.join(_ENVIRONMENTS)}")
    return replace(options, env=value)

"""One run of the program: what was asked, where it acts, and what it answers.

A command returns an `Answer`; it prints nothing on stdout itself. Notes for the operator go to
stderr at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from trader_cli.cli.shared_options import SharedOptions
from trader_cli.errors import TraderError, UsageError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for people. Every cell is text; `title` says what they are, or that there are none."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command says when it is done.

    Attributes:
        data: the JSON object of the contract.
        tables: the same for people; built only when they are printed.
        failure: set where the command did its work and yet must not exit 0 (not flat, partial).
    """

    data: Json
    tables: Callable[[], list[Table]]
    failure: TraderError | None = None


@dataclass(slots=True, kw_only=True)
class Invocation:
    """What a command needs to know of how it was called.

    Attributes:
        command: the words that name it, for the envelope.
        env: where it acts, None until that is known.
        environ: environment variables.
        cwd: where relative paths start.
    """

    shared: SharedOptions
    command: str
    environ: Mapping[str, str]
    cwd: Path
    env: str | None = None

    def say(self, text: str) -> None:
        """Tell the operator something on stderr, unless they asked for quiet."""
        if not self.shared.quiet:
            with suppress(OSError):  # nobody listens; what was done is done all the same
                typer.echo(text, err=True)

    def confirm(self, question: str) -> None:
        """Ask before something that needs it; return only on a yes.

        Raises:
            UsageError: the answer is no, or nobody is there to ask and `--yes` was not given.
        """
        if self.shared.yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} Nobody can be asked here.", advice="add --yes")
        if not typer.confirm(question, err=True):
            raise UsageError("not confirmed, nothing was done")


def invocation_of(context: typer.Context) -> Invocation:
    """Return the invocation a command runs in."""
    found = context.find_object(Invocation)
    assert found is not None, "the program sets it before any command runs"
    return found

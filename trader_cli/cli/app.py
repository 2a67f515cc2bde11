"""The program: parse the shared options, import one command group, run it, answer.

Holds the only broad exception handler: whatever happens ends in one line, one envelope and one
exit code, never in a traceback on the operator's screen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trader_cli.cli.commands import SHARED_OPTIONS_HELP, command_path, find_group, root_help
from trader_cli.cli.shared_options import SharedOptions, split_shared, wants_json
from trader_cli.cli.streams import have_streams, written
from trader_cli.errors import TraderError, UsageError

if TYPE_CHECKING:
    from trader_cli.cli.invocation import Invocation

INTERRUPTED: Final = 130


def run(argv: Sequence[str]) -> int:
    """Run one command line and return the exit code."""
    have_streams()
    try:
        shared, words = split_shared(argv)
    except UsageError as error:
        bare = [word for word in argv if not word.startswith("-")]
        return _refuse(SharedOptions(json=wants_json(argv)), command_path(bare), error)
    if not words or words[0] in ("--help", "-h", "help"):
        return _print(root_help())
    if words[0] == "--version":
        from importlib.metadata import version

        return _print(f"trader {version('trader-cli')}")
    return _run_command(shared, words)


def _run_command(shared: SharedOptions, words: list[str]) -> int:
    """Run the command, print its answer or its error, and return the exit code."""
    from trader_cli.cli.invocation import Invocation
    from trader_cli.cli.output import emit_error

    invocation = Invocation(
        shared=shared, command=command_path(words), environ=os.environ, cwd=Path.cwd()
    )

    try:
        return _dispatch(invocation, words)
    except TraderError as error:
        _learn_environment(invocation)
        return emit_error(invocation, error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except Exception as error:
        from trader_cli.cli.crash import report_crash

        return emit_error(invocation, report_crash(invocation, error))


def _dispatch(invocation: Invocation, words: list[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        TraderError: whatever it ended with, wrong words included.
    """
    from importlib import import_module

    import typer

    from trader_cli.cli.invocation import Answer
    from trader_cli.cli.output import emit

    group = find_group(words[0])
    if group.verbs and len(words) == 1:
        raise UsageError(f"{words[0]} needs one of: {', '.join(group.verbs)}")
    command = typer.main.get_command(import_module(group.module).app)
    for shown in (command, *getattr(command, "commands", {}).values()):
        shown.epilog = f"\b\n{SHARED_OPTIONS_HELP}"
    try:
        answer = command.main(
            words[1:],
            prog_name=f"trader {words[0]}",
            standalone_mode=False,
            obj=invocation,
            max_content_width=120,
        )
    except typer.TyperException as error:
        raise UsageError(error.format_message(), advice=_hint(error)) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if isinstance(answer, Answer):
        return emit(invocation, answer)
    if answer == INTERRUPTED:  # typer's word for Ctrl-C
        raise KeyboardInterrupt
    return answer if isinstance(answer, int) else 0


def _learn_environment(invocation: Invocation) -> None:
    """Find out for the envelope where a command that failed early would have acted."""
    if invocation.env is None and invocation.shared.json:
        from trader_cli.cli.context import settings_of

        with suppress(TraderError, OSError):
            settings_of(invocation, for_kill=True)


def _hint(error: object) -> str | None:
    context = getattr(error, "ctx", None)
    if context is None:
        return None
    verbs = getattr(context.command, "commands", None)  # of a group whose verb is missing or wrong
    known = "" if verbs is None else f"known: {', '.join(verbs)}; "
    return f"{known}see `{context.command_path} --help`"


def _refuse(shared: SharedOptions, command: str, error: UsageError) -> int:
    from trader_cli.cli.invocation import Invocation
    from trader_cli.cli.output import emit_error

    invocation = Invocation(shared=shared, command=command, environ=os.environ, cwd=Path.cwd())
    _learn_environment(invocation)
    return emit_error(invocation, error)


def _print(text: str) -> int:
    written(lambda: sys.stdout.write(f"{text}\n"))
    return 0

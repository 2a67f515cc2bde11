"""Answers and errors as the operator or a script sees them.

stdout carries data only: one table or one JSON object. Everything else is stderr. Numbers are
already text when they come here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from trader_cli.cli.invocation import Answer, Invocation, Json, Table
from trader_cli.cli.streams import complain, written
from trader_cli.errors import RateLimited, TraderError

if TYPE_CHECKING:
    from rich.table import Table as RichTable

SCHEMA: Final = 1
_FIRST_MOMENT_MS: Final = 1_000_000_000_000
"""Smaller numbers of milliseconds are spans; 2001 is the first moment that is none."""

_PIPE_WIDTH: Final = 250
"""Columns for tables that do not go to a terminal: wide enough that nothing is cut."""


def emit(invocation: Invocation, answer: Answer) -> int:
    """Print the answer and return the exit code, which is the command's whoever reads it."""
    print_answer(invocation, answer)
    return 0 if answer.failure is None else answer.failure.exit_code


def emit_error(invocation: Invocation, error: TraderError) -> int:
    """Print the error and return its exit code."""
    print_error(invocation, error)
    return error.exit_code


def print_answer(invocation: Invocation, answer: Answer) -> bool:
    """Print the answer; return False if nobody can read any more."""

    def write() -> None:
        if invocation.shared.json:
            envelope = _envelope(invocation, ok=answer.failure is None) | {"data": answer.data}
            if answer.failure is not None:
                envelope["error"] = error_to_json(answer.failure)
            _print_json(envelope)
            return
        _print_tables(answer.tables())

    is_read = written(write)
    if answer.failure is not None and not invocation.shared.json:
        _print_error(answer.failure)
    return is_read


def print_error(invocation: Invocation, error: TraderError) -> bool:
    """Print the error; return False if nobody can read any more."""
    if not invocation.shared.json:
        _print_error(error)
        return True
    envelope = _envelope(invocation, ok=False) | {"error": error_to_json(error)}
    return written(lambda: _print_json(envelope))


def error_to_json(error: TraderError) -> Json:
    """Return the `error` object of the envelope."""
    return {
        "kind": error.kind,
        "code": error.code,
        "message": error.message,
        "advice": _advice(error),
    }


def _advice(error: TraderError) -> str | None:
    """Return what to do next; where there is a time before which nothing helps, with it."""
    if not isinstance(error, RateLimited) or not error.retry_at_ms:
        return error.advice
    return " ".join(filter(None, (error.advice, f"Not before {moment(error.retry_at_ms)} UTC.")))


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """Return a two-column table of names and values; None shows as a dash, a moment as one."""
    return Table(
        title=title,
        columns=("", ""),
        rows=tuple(
            (name.removesuffix("_ms"), f"{moment(value)} UTC")
            if name.endswith("_ms") and isinstance(value, int) and value >= _FIRST_MOMENT_MS
            else (name, cell(value))
            for name, value in values.items()
        ),
    )


def moment(at_ms: int | None) -> str:
    """Return UTC epoch milliseconds as a person reads them, to the second and without the zone."""
    if at_ms is None:
        return "–"
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def cell(value: object) -> str:
    """Return a value of a JSON object as text for a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or "–"
    return str(value)


def _envelope(invocation: Invocation, *, ok: bool) -> Json:
    return {
        "schema": SCHEMA,
        "env": invocation.env,
        "command": invocation.command,
        "ok": ok,
    }


def _print_json(value: Json) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def _print_error(error: TraderError) -> None:
    advice = _advice(error)
    said = f"  {advice}\n" if advice else ""
    complain(f"error ({error.kind}): {error.message}\n{said}")


def _print_tables(tables: list[Table]) -> None:
    from rich.console import Console
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else _PIPE_WIDTH)
    for table in tables:
        if not table.rows:
            console.print(Text(table.title))
            continue
        shown = _rich_table(table)
        unbound = console.options.update(width=_PIPE_WIDTH)
        if table.title:  # by itself: Rich folds a title to the width of what is under it
            console.print(Text(table.title))
        if (
            len(table.columns) > 2
            and console.measure(shown, options=unbound).maximum > console.width
        ):
            for record in _records(table):
                console.print(_rich_table(record))
        else:
            console.print(shown)


def _rich_table(table: Table) -> RichTable:
    """Return the table as Rich draws it; what is long folds only in tables of names and values."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        box=box.SIMPLE_HEAD,
        show_header=any(table.columns),
        collapse_padding=True,
    )
    is_wide = len(table.columns) > 2
    for name in table.columns:
        shown.add_column(Text(name), overflow="fold", no_wrap=is_wide)
    for row in table.rows:
        shown.add_row(*(Text(value) for value in row))
    return shown


def _records(table: Table) -> list[Table]:
    """Return one table of names and values for each row: a number broken in two misleads.

    What a row says nothing of is left out.
    """
    return [
        Table(
            title="",
            columns=("", ""),
            rows=tuple(
                (name, value)
                for name, value in zip(table.columns, row, strict=True)
                if value not in ("", "–")
            ),
        )
        for row in table.rows
    ]

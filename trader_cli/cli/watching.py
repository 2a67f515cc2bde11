"""`--watch` on lists: the same question again every two seconds, until Ctrl-C.

With `--json` each answer is one line. A read that fails is told and does not end the watch.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trader_cli.cli.context import open_desk, open_session, trade
from trader_cli.cli.output import emit, emit_error, settle_stdout
from trader_cli.errors import ConfigError, PermissionDenied, UsageError, VenueError

if TYPE_CHECKING:
    from trader_cli.cli.context import Desk
    from trader_cli.cli.invocation import Answer, Invocation

_EVERY_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"

Watch = Annotated[bool, typer.Option("--watch", "-w", help="again every 2 seconds, until Ctrl-C")]


def trade_or_watch(
    invocation: Invocation, act: Callable[[Desk], Awaitable[Answer]], *, watch: bool
) -> Answer | int:
    """Answer once, or print answers until Ctrl-C and return the exit code."""
    if not watch:
        return trade(invocation, act)
    with suppress(KeyboardInterrupt):  # the usual end of a watch
        asyncio.run(_watch(invocation, act))
    return 0


async def _watch(invocation: Invocation, act: Callable[[Desk], Awaitable[Answer]]) -> None:
    async with open_session(invocation) as session, open_desk(session) as desk:
        while True:
            if sys.stdout.isatty() and not invocation.shared.json:
                sys.stdout.write(_CLEAR)
            try:
                emit(invocation, await act(desk))
            except (ConfigError, PermissionDenied, UsageError):
                raise
            except VenueError as error:
                emit_error(invocation, error)
            settle_stdout()
            await desk.clock.sleep(_EVERY_S)

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
from trader_cli.cli.output import print_answer, print_error
from trader_cli.errors import ConfigError, PermissionDenied, UsageError, VenueError

if TYPE_CHECKING:
    from trader_cli.cli.context import Desk
    from trader_cli.cli.invocation import Answer, Invocation

EVERY_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"

Watch = Annotated[bool, typer.Option("--watch", "-w", help="again every 2 seconds, until Ctrl-C")]


def trade_or_watch(
    invocation: Invocation,
    act: Callable[[Desk], Awaitable[Answer]],
    *,
    watch: bool,
    every_s: float = EVERY_S,
) -> Answer | int:
    """Answer once, or print answers `every_s` seconds until Ctrl-C and return the exit code."""
    if not watch:
        return trade(invocation, act)
    with suppress(KeyboardInterrupt):  # the usual end of a watch
        asyncio.run(_watch(invocation, act, every_s))
    return 0


async def _watch(
    invocation: Invocation, act: Callable[[Desk], Awaitable[Answer]], every_s: float
) -> None:
    async with open_session(invocation) as session, open_desk(session) as desk:
        while True:
            if sys.stdout.isatty() and not invocation.shared.json:
                sys.stdout.write(_CLEAR)
            try:
                is_read = print_answer(invocation, await act(desk))
            except (ConfigError, PermissionDenied, UsageError):
                raise
            except VenueError as error:
                is_read = print_error(invocation, error)
            if not is_read:
                return
            await desk.clock.sleep(every_s)

"""The command groups: which module holds each, and the text of `trader --help`.

Imports nothing heavy: the help has to be instant, and a group is imported only when it is used.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from trader_cli.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGroup:
    """One word after `trader`.

    Attributes:
        module: where its Typer app `app` is.
        summary: one line for the help.
        verbs: its subcommands, empty where the word is a command by itself.
    """

    module: str
    summary: str
    verbs: tuple[str, ...] = ()


GROUPS: Final[dict[str, CommandGroup]] = {
    "account": CommandGroup(
        module="trader_cli.cli.account",
        summary="Balances, equity and the account's switches",
        verbs=("balance", "info", "permissions", "income", "fees", "mode"),
    ),
    "order": CommandGroup(
        module="trader_cli.cli.order",
        summary="Place, list, amend and cancel orders, conditional ones too",
        verbs=(
            "limit",
            "market",
            "smart",
            "bracket",
            "stop-loss",
            "take-profit",
            "trailing-stop",
            "batch",
            "list",
            "show",
            "history",
            "trades",
            "amend",
            "cancel",
            "cancel-all",
            "resolve",
        ),
    ),
    "position": CommandGroup(
        module="trader_cli.cli.position",
        summary="Open, change, protect, compare and close positions",
        verbs=(
            "list",
            "open",
            "add",
            "reduce",
            "close",
            "protect",
            "sync",
            "adopt",
            "leverage",
            "margin",
            "mode",
            "pnl",
        ),
    ),
    "risk": CommandGroup(
        module="trader_cli.cli.risk",
        summary="Limits, the day's result, halt and resume",
        verbs=("status", "limits", "check", "halt", "resume"),
    ),
    "run": CommandGroup(
        module="trader_cli.cli.run",
        summary="Follow the advisors' bridge files",
    ),
    "kill": CommandGroup(
        module="trader_cli.cli.kill",
        summary="Halt, cancel everything and close every position",
    ),
    "paper": CommandGroup(
        module="trader_cli.cli.paper",
        summary="The embedded paper exchange",
        verbs=("serve", "start", "stop", "status", "reset", "price", "fault"),
    ),
}

SHARED_OPTIONS_HELP: Final = """\
Shared options, before or after the command:
  --env paper|testnet|live  where to act (else TRADER_ENV, config.toml, the keys; else paper)
  --live                    needed besides for live orders that raise exposure
  --config FILE             the only configuration file that is read
  --json                    one JSON object on stdout
  --quiet                   no banner and no notes on stderr
  --yes                     do not ask for confirmation
  --dry-run                 all local checks, nothing is sent"""


def root_help() -> str:
    """Return the text of `trader --help`."""
    rows = []
    for name, group in GROUPS.items():
        rows.append(f"  {name:<9} {group.summary}")
        if group.verbs:
            rows.append(f"  {'':<9}   {' · '.join(group.verbs)}")
    return "\n".join(
        [
            "Usage: trader [OPTIONS] COMMAND [ARGS]...",
            "",
            "  Console and execution engine for one Binance USD-M futures account.",
            "  Without an account everything runs on an embedded paper exchange.",
            "",
            "Commands:",
            *rows,
            "",
            SHARED_OPTIONS_HELP,
            "  --version                 the version",
            "",
            "  trader run --bridge ./bridge       trader order limit BTCUSDT buy 0.001 60000",
            "  trader account balance             trader kill --all",
            "",
            "`trader COMMAND --help` says more.",
        ]
    )


def find_group(name: str) -> CommandGroup:
    """Return the group of a word.

    Raises:
        UsageError: there is none; the advice names near ones.
    """
    group = GROUPS.get(name)
    if group is None:
        raise UsageError(f"there is no command {name!r}", advice=nearest(name, tuple(GROUPS)))
    return group


def command_path(words: list[str]) -> str:
    """Return the words that name the command, e.g. `order limit`, for the JSON envelope."""
    if not words or words[0] not in GROUPS:
        return " ".join(words[:1])
    verbs = GROUPS[words[0]].verbs
    if verbs and len(words) > 1 and words[1] in verbs:
        return f"{words[0]} {words[1]}"
    return words[0]


def nearest(word: str, known: tuple[str, ...]) -> str:
    """Return a sentence naming the known words nearest to `word`, or all of them."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"

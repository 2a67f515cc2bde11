"""Which settings the commands about the embedded exchange act with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trader_cli.errors import UsageError

if TYPE_CHECKING:
    from trader_cli.cli.invocation import Invocation
    from trader_cli.config import Settings


def settings_of_paper(invocation: Invocation) -> Settings:
    """Return the settings of the paper environment, whatever the default one is.

    Raises:
        UsageError: another environment was asked for.
    """
    from trader_cli.cli.context import settings_of

    if invocation.shared.env not in (None, "paper"):
        raise UsageError(f"--env {invocation.shared.env} has no embedded exchange")
    invocation.shared = replace(invocation.shared, env="paper")
    return settings_of(invocation)

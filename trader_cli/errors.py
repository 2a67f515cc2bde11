"""Every way a command or a send can fail, each with the exit code that scripts rely on.

Knows the kinds of `docs/cli-contract.md` and nothing else. A refusal by our own risk rules
is a value (`trader_cli.trading.risk.risk_manager.Refused`); it becomes `RefusedByRisk` only where
a command has to end.
"""

from __future__ import annotations

from typing import ClassVar, Final


class TraderError(Exception):
    """A failure a person or a script can act on.

    Attributes:
        kind: stable word for machines, one of the contract's `error.kind`.
        exit_code: what the process returns.
        code: the venue's error code or our rule's name, None where neither applies.
        advice: one sentence that says what to do next, None where there is nothing to say.
    """

    kind: ClassVar[str] = "bug"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, code: int | str | None = None, advice: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.advice = advice


class BrokenInvariant(TraderError):
    """The program reached a state it is designed never to reach."""


class UsageError(TraderError):
    """The operator's words do not form a valid request; nothing was sent."""

    kind = "usage"
    exit_code = 2


class ConfigError(TraderError):
    """The configuration is invalid; every problem found is in the message, one a line."""

    kind = "config"
    exit_code = 2


class RefusedByRisk(TraderError):
    """Our own risk rules forbid it; nothing was sent. `code` is the rule."""

    kind = "refused"
    exit_code = 4


class Halted(TraderError):
    """The halt latch is set; nothing that can raise exposure is sent."""

    kind = "halted"
    exit_code = 9


class PartialFailure(TraderError):
    """Some of several actions failed."""

    kind = "partial"
    exit_code = 10


class NotFlat(TraderError):
    """Orders or positions remain, or local and exchange state differ."""

    kind = "not_flat"
    exit_code = 11


class VenueError(TraderError):
    """What a send to the exchange can end in, other than success."""

    kind = "rejected"
    exit_code = 5


class Rejected(VenueError):
    """The exchange answered and refused: it is proven that nothing was executed."""


class PermissionDenied(VenueError):
    """The exchange refused the key, its signature or its rights."""

    kind = "permission"
    exit_code = 3


class NotSent(VenueError):
    """The request provably never reached the exchange's matching (no connection, 503-B, -1008)."""

    kind = "not_sent"
    exit_code = 6


class OutcomeUnknown(VenueError):
    """The request left and no trustworthy answer came back: it may or may not be executed."""

    kind = "unknown"
    exit_code = 7


FIREWALL: Final = "firewall"
"""Code of a `RateLimited` from the firewall in front of the exchange (HTTP 403)."""


class RateLimited(VenueError):
    """The exchange answered 429, 418 or 403, or a ban is still running: not executed.

    Attributes:
        retry_at_ms: UTC epoch milliseconds before which nothing may be sent.
        banned: True for 418, where even reads lengthen the ban.
    """

    kind = "rate_limited"
    exit_code = 8

    def __init__(
        self,
        message: str,
        *,
        retry_at_ms: int,
        banned: bool,
        code: int | str | None = None,
        advice: str | None = None,
    ) -> None:
        super().__init__(message, code=code, advice=advice)
        self.retry_at_ms = retry_at_ms
        self.banned = banned

"""What is known of one error code, and the advice that many of them share.

Knows no code itself: they are in `codes_request`, `codes_order` and `codes_account`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class CodeClass(StrEnum):
    """What a client may conclude from a code."""

    UNKNOWN = "unknown"  # a write may have been executed: ask, do not repeat
    RETRY_SAFE = "retry_safe"  # proven not executed, may be repeated after a pause
    CLOCK = "clock"  # proven not executed, repeat once with a measured clock
    IDEMPOTENT_OK = "idempotent_ok"  # the wish was already fulfilled
    FILTER = "filter"  # price or quantity breaks a trading rule
    RISK = "risk"  # the account, position or market state forbids it
    AUTH = "auth"  # key, signature, rights or agreement
    BAN = "ban"  # the address is shut out for a while
    OTHER = "other"  # proven not executed, none of the above


@dataclass(frozen=True, slots=True)
class Code:
    """One error code.

    Attributes:
        templates: the venue's words, `%s` where it fills something in; the usual one first.
        http_status: the status the venue sends it with.
        advice: one sentence for the operator.
    """

    code: int
    name: str
    templates: tuple[str, ...]
    http_status: int
    kind: CodeClass
    advice: str


def row(
    code: int, name: str, http_status: int, kind: CodeClass, advice: str, *templates: str
) -> Code:
    """Return a row of a table; the order of the arguments is that of the eye."""
    return Code(code, name, templates, http_status, kind, advice)


FIX_REQUEST: Final = "Report this: the program sent a request the exchange does not understand."
NOTHING: Final = "Nothing to do: it is already so."
READ_AGAIN: Final = "Read the open orders again: the order may be finished or never have existed."

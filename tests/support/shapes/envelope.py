"""The object around everything a command prints, and what may go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tests.support.shapes.words import Shape

EXIT_CODES: Mapping[str, int] = {
    "bug": 1,
    "usage": 2,
    "config": 2,
    "permission": 3,
    "refused": 4,
    "rejected": 5,
    "not_sent": 6,
    "unknown": 7,
    "rate_limited": 8,
    "halted": 9,
    "partial": 10,
    "not_flat": 11,
}


class Failure(Shape):
    """Why a command failed; `code` is the exchange's number or the name of our rule."""

    kind: Literal[
        "bug",
        "usage",
        "config",
        "permission",
        "refused",
        "rejected",
        "not_sent",
        "unknown",
        "rate_limited",
        "halted",
        "partial",
        "not_flat",
    ]
    code: int | str | None
    message: Annotated[str, Field(min_length=1)]
    advice: Annotated[str, Field(min_length=1)] | None


class Succeeded(Shape):
    """The envelope of a command that did what it was asked."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    env: str
    command: str
    ok: Literal[True]
    data: dict[str, Any]


class Failed(Shape):
    """The envelope of a command that did not, or not in full: then with `data`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    env: str | None
    command: str
    ok: Literal[False]
    data: dict[str, Any] | None = None
    error: Failure

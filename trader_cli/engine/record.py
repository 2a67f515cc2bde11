"""How facts, wishes and account events are journaled, so that a session can be replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from trader_cli.domain.account_events import UserEvent
from trader_cli.domain.numbers import to_text
from trader_cli.engine.actions import Action
from trader_cli.engine.facts import Fact
from trader_cli.journal.encoding import JsonObject

FACT: Final = "fact"
USER_EVENT: Final = "user_event"


def fact_row(fact: Fact, actions: Sequence[Action], now_ms: int) -> tuple[str, JsonObject]:
    """Return kind and content of the row that says what a fact led to."""
    return FACT, {
        "now_ms": now_ms,
        "fact": _plain(fact),
        "actions": [_plain(action) for action in actions],
    }


def user_event_row(event: UserEvent) -> tuple[str, JsonObject]:
    """Return kind and content of the row that keeps an account event."""
    return USER_EVENT, {"event": _plain(event)}


def _plain(value: object) -> object:
    """Return a value of plain objects, lists and texts; a dataclass names its type."""
    if is_dataclass(value) and not isinstance(value, type):
        content = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        return {"type": type(value).__name__, **content}
    if isinstance(value, Decimal):
        return to_text(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset, set)):
        return [_plain(item) for item in value]
    return value

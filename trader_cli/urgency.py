"""Whether what is done now protects or closes: it may use what everything else leaves to it.

Belongs to the task that says so and to the tasks it starts. Knows nothing of what is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_insists: ContextVar[bool] = ContextVar("insists", default=False)


@contextlib.contextmanager
def insisting(*, when: bool = True) -> Iterator[None]:
    """Let everything sent within, reads too, try in spite of a pause that the firewall asked for.

    Reads may use the weight that others keep for them.

    For closing and stopping: an exit is worth a refused call, and its reads belong to it. With
    `when` False nothing changes: who insists already goes on doing so.
    """
    if not when:
        yield
        return
    token = _insists.set(True)
    try:
        yield
    finally:
        _insists.reset(token)


def is_insisting() -> bool:
    """Return True within `insisting`."""
    return _insists.get()

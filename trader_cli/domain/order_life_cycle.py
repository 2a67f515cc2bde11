"""What we believe of an order we meant to send, and which belief may follow which event.

Every transition the program can make is a row of `_NEXT`; a pair that is not a row is a
`BrokenInvariant`, never a silent overwrite. UNKNOWN is a state of its own: it ends only by
proof (RESOLVE events), never by time alone. UNSETTLED is the same doubt about a change: the order
rested, and whether it was amended or taken back is not known; SETTLE or its end proves it. The
venue may report a fill after a cancel, so CANCELED is not closed to FILL; events repeat and arrive
late, so a row may lead to itself.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from trader_cli.errors import BrokenInvariant


@unique
class IntentStatus(StrEnum):
    INTENDED = "intended"  # journaled, not sent
    SENT = "sent"  # on the wire, answer not here yet
    UNKNOWN = "unknown"  # left us, no trustworthy answer
    OPEN = "open"
    PARTLY_FILLED = "partly_filled"
    UNSETTLED = "unsettled"  # rested; whether it was amended or taken back is unknown
    FILLED = "filled"
    CANCELED = "canceled"  # also expired at the venue
    REJECTED = "rejected"
    NOT_EXECUTED = "not_executed"  # proven never to have reached the venue

    @property
    def is_final(self) -> bool:
        return self in (
            IntentStatus.FILLED,
            IntentStatus.CANCELED,
            IntentStatus.REJECTED,
            IntentStatus.NOT_EXECUTED,
        )


IN_DOUBT: Final = (IntentStatus.UNKNOWN, IntentStatus.UNSETTLED)
"""While an order is in one of these, nothing else opens on its symbol."""


@unique
class IntentEvent(StrEnum):
    SEND = "send"
    ACCEPT = "accept"
    REJECT = "reject"
    NOT_SENT = "not_sent"
    DOUBT = "doubt"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    CANCEL = "cancel"
    PROVE_ABSENT = "prove_absent"
    CHANGE = "change"  # an amendment is about to leave
    DOUBT_CHANGE = "doubt_change"  # an amendment or a cancel has no trustworthy answer
    SETTLE = "settle"  # what became of it is known, and the order rests


_S, _E = IntentStatus, IntentEvent
_AT_VENUE: Final[dict[IntentEvent, IntentStatus]] = {
    _E.ACCEPT: _S.OPEN,
    _E.PARTIAL_FILL: _S.PARTLY_FILLED,
    _E.FILL: _S.FILLED,
    _E.CANCEL: _S.CANCELED,  # GTX, IOC and FOK may never rest
}
# Another process may amend an order whose sender has not told yet that it rests.
_CHANGED: Final[dict[IntentEvent, IntentStatus]] = {
    _E.DOUBT_CHANGE: _S.UNSETTLED,
    _E.SETTLE: _S.OPEN,
}
_NEXT: Final[dict[IntentStatus, dict[IntentEvent, IntentStatus]]] = {
    _S.INTENDED: {_E.SEND: _S.SENT, _E.NOT_SENT: _S.NOT_EXECUTED},
    _S.SENT: {
        **_AT_VENUE,
        **_CHANGED,
        _E.CHANGE: _S.SENT,
        _E.REJECT: _S.REJECTED,
        _E.NOT_SENT: _S.NOT_EXECUTED,
        _E.DOUBT: _S.UNKNOWN,
    },
    _S.UNKNOWN: {
        **_AT_VENUE,
        **_CHANGED,
        _E.CHANGE: _S.UNKNOWN,
        _E.REJECT: _S.REJECTED,
        _E.PROVE_ABSENT: _S.NOT_EXECUTED,
        _E.DOUBT: _S.UNKNOWN,
    },
    # The stream may tell of an order before the answer to its send is lost: that is no doubt.
    _S.OPEN: {**_AT_VENUE, **_CHANGED, _E.CHANGE: _S.OPEN, _E.DOUBT: _S.OPEN},
    _S.PARTLY_FILLED: {
        _E.CHANGE: _S.PARTLY_FILLED,
        _E.DOUBT_CHANGE: _S.UNSETTLED,
        _E.SETTLE: _S.PARTLY_FILLED,
        _E.DOUBT: _S.PARTLY_FILLED,
        _E.ACCEPT: _S.PARTLY_FILLED,  # the answer to the send may come after the first fill
        _E.PARTIAL_FILL: _S.PARTLY_FILLED,
        _E.FILL: _S.FILLED,
        _E.CANCEL: _S.CANCELED,
    },
    _S.UNSETTLED: {
        **_CHANGED,
        _E.CHANGE: _S.UNSETTLED,
        _E.DOUBT: _S.UNSETTLED,
        # That it rests, or fills in part, says nothing about what may still arrive.
        _E.ACCEPT: _S.UNSETTLED,
        _E.PARTIAL_FILL: _S.UNSETTLED,
        _E.FILL: _S.FILLED,
        _E.CANCEL: _S.CANCELED,
    },
    _S.FILLED: dict.fromkeys((*_AT_VENUE, _E.DOUBT, _E.CHANGE, *_CHANGED), _S.FILLED),
    _S.CANCELED: {
        **dict.fromkeys((_E.CHANGE, *_CHANGED), _S.CANCELED),
        _E.DOUBT: _S.CANCELED,
        _E.ACCEPT: _S.CANCELED,
        _E.PARTIAL_FILL: _S.CANCELED,
        _E.CANCEL: _S.CANCELED,
        _E.FILL: _S.FILLED,
    },
    _S.REJECTED: {_E.REJECT: _S.REJECTED},
    _S.NOT_EXECUTED: {_E.PROVE_ABSENT: _S.NOT_EXECUTED, _E.NOT_SENT: _S.NOT_EXECUTED},
}
assert _NEXT.keys() == set(IntentStatus), "every status needs a row"


def next_status(status: IntentStatus, event: IntentEvent) -> IntentStatus:
    """Return the status that follows `event`.

    Raises:
        BrokenInvariant: the pair is not a row of the table.
    """
    try:
        return _NEXT[status][event]
    except KeyError:
        raise BrokenInvariant(f"{event} cannot follow status {status}") from None

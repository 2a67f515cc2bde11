"""How the venue says no: one exception with a code of the protocol's own table."""

from __future__ import annotations

from trader_cli.wire import codes


class VenueRefusal(Exception):
    """A request the venue refuses; nothing was changed.

    Attributes:
        code: the protocol's negative code.
        arguments: what fills the blanks of the code's text, in order.
        detail: the whole text where the wire's differs from the table's, else None.
    """

    def __init__(self, code: int, *arguments: object, detail: str | None = None) -> None:
        super().__init__(code, *arguments)
        self.code = code
        self.arguments = arguments
        self.detail = detail


def refusal_text(refusal: VenueRefusal) -> str:
    """Return the words that go with a refusal."""
    if refusal.detail is not None:
        return refusal.detail
    return codes.message(refusal.code, *refusal.arguments)

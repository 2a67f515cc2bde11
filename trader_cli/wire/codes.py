"""Binance's USD-M error codes: name, words on the wire, HTTP status, what they mean for a client.

One table for both sides: the client takes class and advice from it, the paper exchange the texts.
Knows nothing of requests; what a failed request means is decided in `exchange/failures.py`.
Match on codes, never on texts: the venue fills in numbers and varies full stops.

Source: binance-usdm reference §5.
"""

from __future__ import annotations

from typing import Final

from trader_cli.wire import codes_account, codes_order, codes_request
from trader_cli.wire.code_terms import Code, CodeClass

__all__ = ["Code", "CodeClass", "describe", "message"]


def describe(code: int) -> Code | None:
    """Return what is known of `code`, None for one that is not in the table."""
    return _CODES.get(code)


def message(code: int, *args: object, variant: int = 0) -> str:
    """Return the words the venue sends with `code`, its blanks filled with `args`.

    Of several wordings the first with as many blanks as `args` is taken, counted from `variant`.

    Raises:
        KeyError: the code is not in the table.
        ValueError: no wording has that many blanks.
    """
    for template in _CODES[code].templates[variant:]:
        if template.count("%s") == len(args):
            return template % args if args else template
    raise ValueError(f"no wording of {code} takes {len(args)} values")


_TABLE: Final = (*codes_request.ROWS, *codes_order.ROWS, *codes_account.ROWS)
_CODES: Final = {row.code: row for row in _TABLE}
assert len(_CODES) == len(_TABLE), "a code has one row"

"""The table of everything the exchange answers: one row a call, one place to add one more.

Knows what a row says: method, path, security, weight, handler. The rows are in `routes_*.py` by
subject, with what their handlers do; `every_route.py` puts them together.

Source: binance-usdm reference §3.1, §4, §6-§9, §14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trader_cli.paper.protocol.auth import Security
from trader_cli.paper.protocol.limits import RequestPool
from trader_cli.paper.protocol.params import Params

if TYPE_CHECKING:
    from trader_cli.paper.api.exchange import Exchange

Handler = Callable[["Exchange", Params, int], object]
"""Takes the exchange, the parameters and the time; returns what becomes the JSON body."""

WeightRule = Callable[[Params], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call.

    Attributes:
        weight: request weight, by rule where it depends on the parameters.
        orders_10s, orders_1m: what it adds to the account's order counts.
        pool: the limit of its own that it counts towards, None without one.
        changes_orders: it reaches the orders, so that it is on its way as long as orders are.
    """

    method: str
    path: str
    security: Security
    handler: Handler
    weight: int | WeightRule = 1
    orders_10s: int = 0
    orders_1m: int = 0
    pool: RequestPool | None = None
    changes_orders: bool = False

    @property
    def writes_orders(self) -> bool:
        """True if answers carry the order count headers."""
        return self.orders_10s > 0

    def weigh(self, params: Params) -> int:
        """Return the request's weight."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


RouteTable = Mapping[tuple[str, str], Route]


def table(*groups: tuple[Route, ...]) -> RouteTable:
    """Return the rows by method and path; a row given twice is a mistake."""
    rows = [route for group in groups for route in group]
    found = {(route.method, route.path): route for route in rows}
    assert len(found) == len(rows), "each call has one row"
    return found


def by_symbol(one: int, every: int) -> WeightRule:
    """Weigh `one` with a symbol, `every` without."""
    return lambda params: one if params.has("symbol") else every


def by_limit(default: int, *steps: tuple[int, int]) -> WeightRule:
    """Weigh by `limit`: the weight of the first step (limit inclusive) that holds it."""

    def weigh(params: Params) -> int:
        text = params.text("limit") or ""
        limit = int(text) if text.isdecimal() and len(text) < _DIGITS_MAX else default
        return next((weight for upper, weight in steps if limit <= upper), steps[-1][1])

    return weigh


_DIGITS_MAX: Final = 10

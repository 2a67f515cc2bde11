"""Orders and positions that others put there: what the operator wants done about them, by symbol.

Knows the policies and what each forbids; must not know how a position is protected or adopted.
Foreign things are never touched unless the policy, or a command, says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trader_cli.domain.client_id import is_own
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.rules import ForeignPolicy, ForeignRules
from trader_cli.errors import RefusedByRisk
from trader_cli.trading.positions.position_view import PositionView


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFound:
    """What is there on one symbol that is not ours, and what is to be done about it."""

    symbol: str
    policy: ForeignPolicy
    positions: tuple[PositionView, ...]
    orders: tuple[Order | AlgoOrder, ...]

    @property
    def message(self) -> str:
        """What was found, in one sentence."""
        held = [f"a position of {to_text(row.position.quantity)}" for row in self.positions]
        count = len(self.orders)
        resting = [f"{count} order{'s' if count > 1 else ''}"] if count else []
        return f"{self.symbol} holds {' and '.join([*held, *resting])} that we did not place"


def find_foreign(
    rules: ForeignRules,
    views: Iterable[PositionView],
    resting: Iterable[Order | AlgoOrder],
) -> tuple[ForeignFound, ...]:
    """Return what is not ours, by symbol, without the symbols to be ignored."""
    held: dict[str, list[PositionView]] = {}
    for row in views:
        if not row.own:
            held.setdefault(row.position.symbol, []).append(row)
    orders: dict[str, list[Order | AlgoOrder]] = {}
    for order in resting:
        if not is_own(order.client_order_id):
            orders.setdefault(order.symbol, []).append(order)
    return tuple(
        ForeignFound(
            symbol=symbol,
            policy=rules.policy(symbol),
            positions=tuple(held.get(symbol, ())),
            orders=tuple(orders.get(symbol, ())),
        )
        for symbol in sorted(held.keys() | orders.keys())
        if rules.policy(symbol) is not ForeignPolicy.IGNORE
    )


def refuse_beside(found: Iterable[ForeignFound]) -> None:
    """Refuse what would open beside something foreign where the policy says so.

    Raises:
        RefusedByRisk: with code `foreign`.
    """
    for row in found:
        if row.policy is ForeignPolicy.REFUSE:
            raise RefusedByRisk(
                row.message,
                code="foreign",
                advice=f"trader position adopt {row.symbol} --stop P, or change [foreign]",
            )

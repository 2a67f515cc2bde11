"""Orders and positions that others put there: what the operator wants done about them, by symbol.

Knows the policies and what each forbids; must not know how a position is protected or adopted.
Foreign things are never touched unless the policy, or a command, says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from trader_cli.domain.account import Position
from trader_cli.domain.client_id import is_own
from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.errors import RefusedByRisk
from trader_cli.trading.beliefs import Belief, Key


@unique
class ForeignPolicy(StrEnum):
    """What is done about a position or order of a symbol that is not ours."""

    IGNORE = "ignore"
    ALERT = "alert"  # said, and nothing else
    PROTECT = "protect"  # a naked position gets a stop
    ADOPT = "adopt"  # the position becomes ours, with a stop
    REFUSE = "refuse"  # nothing of ours opens beside it, and no engine starts


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRules:
    """The operator's policies.

    Attributes:
        default: for every symbol that `symbols` does not name.
    """

    default: ForeignPolicy = ForeignPolicy.ALERT
    symbols: Mapping[str, ForeignPolicy] = field(default_factory=dict)

    def policy(self, symbol: str) -> ForeignPolicy:
        """Return what holds for `symbol`."""
        return self.symbols.get(symbol, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFound:
    """What is there on one symbol that is not ours, and what is to be done about it."""

    symbol: str
    policy: ForeignPolicy
    positions: tuple[Position, ...]
    orders: tuple[Order | AlgoOrder, ...]

    @property
    def message(self) -> str:
        held = [f"a position of {to_text(row.quantity)}" for row in self.positions]
        count = len(self.orders)
        resting = [f"{count} order{'s' if count > 1 else ''}"] if count else []
        return f"{self.symbol} holds {' and '.join([*held, *resting])} that we did not place"


def find_foreign(
    rules: ForeignRules,
    positions: Iterable[Position],
    resting: Iterable[Order | AlgoOrder],
    beliefs: Mapping[Key, Belief],
) -> tuple[ForeignFound, ...]:
    """Return what is not ours, by symbol, without the symbols to be ignored.

    A position is ours if the journal says so; one that the journal does not know is not.
    """
    held: dict[str, list[Position]] = {}
    for row in positions:
        if not row.is_flat and not is_own_position(row, beliefs):
            held.setdefault(row.symbol, []).append(row)
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


def is_own_position(position: Position, beliefs: Mapping[Key, Belief]) -> bool:
    """Return True if the journal knows the position as ours."""
    belief = beliefs.get((position.symbol, position.position_side))
    return belief is not None and belief.own and belief.quantity * position.quantity > 0


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

"""What came of opening, closing and comparing positions: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from trader_cli.domain.account import Position
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.trading.orders.brackets import Protection
from trader_cli.trading.orders.chase import EntryResult


@unique
class EntryStyle(StrEnum):
    """How an entry is worked."""

    SMART = "smart"  # maker first, see `OrderManager.smart_entry`
    MARKET = "market"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What closing a symbol came to.

    Attributes:
        positions: as they were before.
        orders: the reduce-only orders sent.
        removed: our exit orders that were cancelled afterwards.
        flat: nothing of what was to be closed is left.
    """

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    removed: tuple[Order | AlgoOrder, ...]
    flat: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opening, or adding to, a position came to.

    Attributes:
        position: as the exchange held it at the end; None if flat.
        protection: None where none was wanted, or nothing was filled.
        closed: set if the position had to be closed again because it could not be protected.
        unprotected_ms: from the first seen fill until the stop rested, None if it never did.
        leverage: in effect.
    """

    entry: EntryResult
    position: Position | None
    protection: Protection | None
    closed: Closed | None
    unprotected_ms: int | None
    leverage: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What came of adopting a position.

    Attributes:
        done: its stop rests and the journal knows it as ours; else it is what it was.
        began_ms: exchange time of its first execution, as far as it can be told.
    """

    position: Position
    protection: Protection
    done: bool
    advisor: str
    began_ms: int

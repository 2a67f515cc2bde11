"""Positions that a person gave to the engine: the journal's rows of kind `adopted`, read.

Knows how such a row becomes a decision of the advisor it was given to, with its own stop; what the
exchange holds by now is compared by `recovering`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
from trader_cli.journal.reading import JournalRow
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.beliefs import ADOPTED_ROW

ADOPTED: Final = ADOPTED_ROW


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What an adopted position is known by.

    Attributes:
        spec: the stop and target that were set when it was adopted.
        began_ms: exchange time from which its executions are known.
        held_before: signed quantity held then, 0 where they reach back to the opening.
    """

    spec: ProtectionSpec
    began_ms: int
    held_before: Decimal


def adoption_of(row: JournalRow) -> Adoption:
    """Return what the row says of the position."""
    data = row.data
    return Adoption(
        spec=ProtectionSpec(
            stop_price=_number(data["stop_price"]),
            take_profit_price=_number(data["take_profit_price"]),
        ),
        began_ms=int(data["began_ms"]),
        held_before=Decimal(data["held_before"]),
    )


def signal_of(row: JournalRow) -> Signal:
    """Return the decision that an adoption stands for: its advisor holds the position."""
    data = row.data
    direction = Direction(data["direction"])
    command = Command.LONG if direction is Direction.LONG else Command.SHORT
    return Signal(
        advisor=str(data["advisor"]),
        file="adopted",
        section=str(data["symbol"]),
        command=command,
        command_text="adopted",
        timestamp_text=str(data["source"]),
        decided_ms=None,
        symbol=str(data["symbol"]),
    )


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

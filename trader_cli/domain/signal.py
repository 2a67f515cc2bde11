"""What an advisor decided, after its file was read and before anybody believes it.

Percentages of stop, target and trailing are ROI on margin: the price distance is the percentage
divided by the leverage that is really used.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from trader_cli.domain.terms import Direction


@unique
class Command(StrEnum):
    """What an advisor may say. HOLD, WAIT and UNKNOWN never close anything."""

    LONG = "LONG"
    SHORT = "SHORT"
    ADD_LONG = "ADD_LONG"
    ADD_SHORT = "ADD_SHORT"
    CUT_LOSS = "CUT_LOSS"
    HOLD = "HOLD"
    WAIT = "WAIT"
    UNKNOWN = "UNKNOWN"

    @property
    def direction(self) -> Direction | None:
        """The way it wants to go, None where it says nothing about that."""
        match self:
            case Command.LONG | Command.ADD_LONG:
                return Direction.LONG
            case Command.SHORT | Command.ADD_SHORT:
                return Direction.SHORT
            case _:
                return None

    @property
    def is_add(self) -> bool:
        return self in (Command.ADD_LONG, Command.ADD_SHORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One decision of one section.

    Attributes:
        advisor: wolf, dragon, dragon2, lion, fish or another section's own name.
        file: the bridge file's name, without folder.
        section: the key it was found under, e.g. `ai_to_wolf`.
        command: normalised; `command_text` is what the file says, whole.
        timestamp_text: as written; with file and section it is the decision's identity.
        decided_ms: the timestamp as UTC epoch milliseconds, None if missing or unparsable.
        symbol: an explicit symbol, None for the configured default.
        confidence: percent, 0 to 100, None if absent or not a number.
        leverage: asked for, None if absent.
        size_pct: percent of capital to use as margin, None if absent.
        stop_roi_pct, take_profit_roi_pct: positive percent of margin, None if absent.
        trailing_activation_roi_pct, trailing_distance_roi_pct: percent of margin, None if absent.
        max_holding_minutes: forced exit after this, None if absent.
        raw_command_text: what the advisor wanted before its own gates; never acted on.
        home_file: the file the decision's identity is under where that is not `file`: Dragon2 saves
            each decision in two files, and it is one decision.
        problems: fields that were there and could not be used, each a short sentence.
    """

    advisor: str
    file: str
    section: str
    command: Command
    command_text: str
    timestamp_text: str | None
    decided_ms: int | None
    symbol: str | None = None
    confidence: Decimal | None = None
    leverage: Decimal | None = None
    size_pct: Decimal | None = None
    stop_roi_pct: Decimal | None = None
    take_profit_roi_pct: Decimal | None = None
    trailing_activation_roi_pct: Decimal | None = None
    trailing_distance_roi_pct: Decimal | None = None
    max_holding_minutes: Decimal | None = None
    reasoning: str = ""
    raw_command_text: str | None = None
    home_file: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def decision_id(self) -> str:
        """The decision's identity: file, section, timestamp. One entry at most per id."""
        return f"{self.home_file or self.file}/{self.section}@{self.timestamp_text}"

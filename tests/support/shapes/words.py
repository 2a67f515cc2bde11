"""What every shape of the contract is made of: decimal strings, times, the exchange's words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]
"""A decimal string: money, a price, a quantity or a percentage."""
Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
"""A decimal string that is never negative."""
Millis = Annotated[int, Field(ge=1_000_000_000_000)]
"""UTC epoch milliseconds."""
Count = Annotated[int, Field(ge=0)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$")]

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
Mode = Literal["one-way", "hedge"]
MarginType = Literal["isolated", "cross"]
OrderType = Literal[
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
    "LIQUIDATION",
]
Status = Literal[
    "NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "EXPIRED_IN_MATCH",
    "REJECTED",
    "TRIGGERING",
    "TRIGGERED",
    "FINISHED",
]
WorkEnd = Literal[
    "filled", "deadline", "chased_too_far", "withdrawn", "too_small", "attempts", "failed"
]


class Shape(BaseModel):
    """What is not named is not there, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

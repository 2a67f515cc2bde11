"""The words of USD-M futures, spelt as Binance spells them.

An unknown value in an answer of the venue raises `ValueError` from the enum; whoever decodes
decides what that quarantines (one row, one symbol), never the whole stream.

Source: binance-usdm reference §6-§8, §11.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return _SELL if self is _BUY else _BUY

    @property
    def sign(self) -> int:
        """1 for BUY, -1 for SELL: how a fill changes the signed position."""
        return 1 if self is _BUY else -1


_BUY: Final = Side.BUY  # asking an enum for a member costs as much as a small function
_SELL: Final = Side.SELL


@unique
class PositionSide(StrEnum):
    """Which position an order or row belongs to: BOTH in one-way mode, else LONG or SHORT."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


@unique
class Direction(StrEnum):
    """Which way a position earns."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def entry_side(self) -> Side:
        return Side.BUY if self is Direction.LONG else Side.SELL

    @property
    def exit_side(self) -> Side:
        return self.entry_side.opposite

    @property
    def sign(self) -> int:
        return 1 if self is Direction.LONG else -1

    @property
    def opposite(self) -> Direction:
        return Direction.SHORT if self is Direction.LONG else Direction.LONG


@unique
class OrderType(StrEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"
    LIQUIDATION = "LIQUIDATION"


CONDITIONAL_TYPES: Final = frozenset(
    {
        OrderType.STOP,
        OrderType.STOP_MARKET,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_MARKET,
        OrderType.TRAILING_STOP_MARKET,
    }
)
"""Types that live in the Algo Service since 2025-12-09; `/fapi/v1/order` answers -4120."""


@unique
class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    GTD = "GTD"
    RPI = "RPI"
    GTE_GTC = "GTE_GTC"


@unique
class OrderStatus(StrEnum):
    """A regular order's status at the venue."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"

    @property
    def is_open(self) -> bool:
        return self in _OPEN_STATUSES


_OPEN_STATUSES: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@unique
class AlgoStatus(StrEnum):
    """A conditional order's status in the Algo Service.

    FINISHED means the order behind it ended, filled or cancelled: look at the executed quantity.
    """

    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"

    @property
    def is_open(self) -> bool:
        """True while it can still send an order to the matching engine."""
        return self in _OPEN_ALGO_STATUSES


_OPEN_ALGO_STATUSES: Final = frozenset(
    {AlgoStatus.NEW, AlgoStatus.TRIGGERING, AlgoStatus.TRIGGERED}
)


@unique
class ExecutionType(StrEnum):
    """Why an `ORDER_TRADE_UPDATE` was sent."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    CALCULATED = "CALCULATED"
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"


@unique
class WorkingType(StrEnum):
    MARK_PRICE = "MARK_PRICE"
    CONTRACT_PRICE = "CONTRACT_PRICE"


@unique
class MarginType(StrEnum):
    """As operators and `positionRisk` spell it; `marginType` requests say ISOLATED/CROSSED."""

    ISOLATED = "isolated"
    CROSS = "cross"


@unique
class SelfTradePrevention(StrEnum):
    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


@unique
class IncomeType(StrEnum):
    """The income rows that the day's result is made of; other types are kept as plain text."""

    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    FUNDING_FEE = "FUNDING_FEE"
    COMMISSION = "COMMISSION"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"

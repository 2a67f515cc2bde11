"""What the engine acts with: one bundle of the parts that its workers share, and how it reports.

It decides nothing and owns nothing; the composition root builds it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trader_cli.clock import Clock
from trader_cli.domain.numbers import to_text
from trader_cli.domain.rules import BridgeRules, EntryPolicy
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.facts import Fact
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.views import EngineViews
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.risk.risk_manager import RiskManager

Report = Callable[[str, Mapping[str, object]], None]
"""Tells the operator that something happened: the event's name and its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Everything an action may need.

    Attributes:
        report: called with an event of the contract (`order`, `protected`, `closed` …).
        tell: hands a fact to the one consumer that decides.
        hedge_mode: the account holds LONG and SHORT apart.
    """

    client: BinanceFuturesClient
    orders: OrderManager
    positions: PositionManager
    risk: RiskManager
    journal: Journal
    clock: Clock
    board: MarketBoard
    mirror: AccountMirror
    views: EngineViews
    bridge: BridgeRules
    entry: EntryPolicy
    report: Report
    tell: Callable[[Fact], None]
    hedge_mode: bool

    def position_side(self, direction: Direction) -> PositionSide:
        """Return which position of the account a direction belongs to."""
        return PositionSide(direction.value) if self.hedge_mode else PositionSide.BOTH


def shown(value: Decimal | None) -> str | None:
    """Return a number as the contract shows it, None where there is none."""
    return None if value is None else to_text(value)

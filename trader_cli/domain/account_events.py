"""What the streams tell, as facts. A gap in a stream is an event like any other."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.account import BookTop, Fill, MarkPrice
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import ExecutionType, MarginType, PositionSide


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdated:
    """`ORDER_TRADE_UPDATE`: a regular order changed; `fill` is set for an execution."""

    order: Order
    execution: ExecutionType
    fill: Fill | None
    expiry_reason: str | None
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoUpdated:
    """`ALGO_UPDATE`: a conditional order changed."""

    order: AlgoOrder
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionChanged:
    """One row of `ACCOUNT_UPDATE.P`; it lacks mark and liquidation price."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    unrealized_pnl: Decimal
    margin_type: MarginType
    isolated_wallet: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChanged:
    """One row of `ACCOUNT_UPDATE.B`; `change` excludes PnL and commission."""

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    change: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUpdated:
    """`ACCOUNT_UPDATE`: only what changed is listed."""

    reason: str
    balances: tuple[BalanceChanged, ...]
    positions: tuple[PositionChanged, ...]
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageChanged:
    """`ACCOUNT_CONFIG_UPDATE` of one symbol's leverage."""

    symbol: str
    leverage: int
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCalled:
    """`MARGIN_CALL`: the venue warns of liquidation."""

    symbols: tuple[str, ...]
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTopChanged:
    top: BookTop


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPriceChanged:
    mark: MarkPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpened:
    """A stream delivers from now on; what happened before is not replayed."""

    stream: str
    local_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamGap:
    """Something may have been missed: reconcile before anything opens."""

    stream: str
    reason: str
    local_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuarantined:
    """A message or row carried a value we do not know; it was set aside, the stream goes on."""

    stream: str
    symbol: str | None
    reason: str
    local_ms: int


UserEvent = (
    OrderUpdated
    | AlgoUpdated
    | AccountUpdated
    | LeverageChanged
    | MarginCalled
    | StreamOpened
    | StreamGap
    | RowQuarantined
)
MarketEvent = BookTopChanged | MarkPriceChanged | StreamOpened | StreamGap | RowQuarantined

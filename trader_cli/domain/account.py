"""The account as the venue tells it: balances, positions, fills, income, market prices.

Money is USDT, quantities are base units, a position's quantity is signed (short is negative).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.terms import Direction, MarginType, PositionSide, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBalance:
    """One margin asset.

    Attributes:
        wallet_balance: deposits plus everything realised, unrealised excluded.
        unrealized_pnl: of the cross positions in this asset.
        available_balance: what may still be used as margin.
    """

    asset: str
    wallet_balance: Decimal
    cross_wallet_balance: Decimal
    unrealized_pnl: Decimal
    available_balance: Decimal
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSummary:
    """The account's totals and switches.

    Attributes:
        margin_balance: wallet plus unrealised PnL of all positions: the equity.
        hedge_mode: True if the account holds LONG and SHORT positions apart.
    """

    wallet_balance: Decimal
    unrealized_pnl: Decimal
    margin_balance: Decimal
    available_balance: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    can_trade: bool
    can_withdraw: bool
    hedge_mode: bool
    multi_assets_mode: bool
    fee_tier: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What an API key may do, as its issuer says.

    Attributes:
        ip_restricted: only listed addresses may use it.
        created_ms: UTC epoch milliseconds.
    """

    can_read: bool
    can_trade_futures: bool
    can_withdraw: bool
    can_transfer: bool
    ip_restricted: bool
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfig:
    """Leverage and margin type of one symbol; `symbolConfig` is the only cheap source."""

    symbol: str
    margin_type: MarginType
    leverage: int
    notional_max: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One position row; quantity 0 means flat.

    Attributes:
        quantity: signed base units.
        liquidation_price: None when the venue gives none ("0").
        leverage, margin_type: None until joined with `SymbolConfig` (v3 rows lack both).
        isolated_margin: margin set apart, 0 for cross.
    """

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    break_even_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal | None
    isolated_margin: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    leverage: int | None
    margin_type: MarginType | None
    updated_ms: int

    @property
    def is_flat(self) -> bool:
        return self.quantity == 0

    @property
    def direction(self) -> Direction:
        """Which way it earns; only asked of a position that is not flat."""
        assert self.quantity != 0, "a flat position has no direction"
        return Direction.LONG if self.quantity > 0 else Direction.SHORT

    @property
    def notional(self) -> Decimal:
        """Size at mark price in quote units, always positive."""
        return abs(self.quantity) * self.mark_price

    @property
    def roi_pct(self) -> Decimal | None:
        """Unrealised PnL in percent of the entry margin; None without leverage or size."""
        if self.leverage is None or self.quantity == 0 or self.entry_price == 0:
            return None
        margin = abs(self.quantity) * self.entry_price / self.leverage
        return self.unrealized_pnl / margin * HUNDRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution of one of our orders.

    Attributes:
        realized_pnl: before commission, 0 for a fill that opens.
        commission: paid, positive; negative would be a rebate.
        maker: True if the order was resting.
    """

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str | None
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomeRow:
    """One row of the income ledger; `amount` is signed. (type, transaction id) is unique."""

    symbol: str
    income_type: str
    amount: Decimal
    asset: str
    info: str
    transaction_id: int
    trade_id: str
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTop:
    """Best bid and ask; `venue_ms` is the exchange's time of the quote."""

    symbol: str
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    venue_ms: int

    def touch(self, side: Side) -> Decimal:
        """Return the price at which an order of `side` would rest: bid for BUY, ask for SELL."""
        return self.bid if side is Side.BUY else self.ask

    def far(self, side: Side) -> Decimal:
        """Return the price at which an order of `side` would take: ask for BUY, bid for SELL."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBook:
    """The book's first levels as (price, quantity), best first."""

    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kline:
    """One candle; both times are inclusive, the newest candle may still be forming."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPrice:
    """Mark price and funding of one symbol."""

    symbol: str
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal
    next_funding_ms: int
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageBracket:
    """One step of a symbol's leverage brackets.

    Attributes:
        notional_cap: inclusive upper notional of the step.
        maintenance_rate: fraction of notional.
        maintenance_amount: `cum`, subtracted from notional * rate.
    """

    bracket: int
    leverage_max: int
    notional_floor: Decimal
    notional_cap: Decimal
    maintenance_rate: Decimal
    maintenance_amount: Decimal


def exposure(positions: list[Position]) -> Decimal:
    """Return the summed notional of all positions, in quote units."""
    return sum((position.notional for position in positions), ZERO)

"""What `trader account` tells."""

from __future__ import annotations

from tests.support.shapes.words import Amount, Count, Millis, Mode, Shape, Size, Symbol


class Asset(Shape):
    asset: str
    wallet_balance: Amount
    available_balance: Amount
    unrealized_pnl: Amount


class Balance(Shape):
    assets: list[Asset]
    equity_usdt: Amount


class Info(Shape):
    equity_usdt: Amount
    wallet_balance: Amount
    unrealized_pnl: Amount
    available_balance: Amount
    initial_margin: Size
    maintenance_margin: Size
    can_trade: bool
    can_withdraw: bool
    position_mode: Mode
    multi_assets_mode: bool
    fee_tier: Count
    updated_ms: Count
    clock_offset_ms: int
    weight_used_1m: Count
    orders_used_10s: Count
    orders_used_1m: Count


class Permissions(Shape):
    account_can_trade: bool
    account_can_withdraw: bool
    key_known: bool
    key_can_read: bool | None
    key_can_trade_futures: bool | None
    key_can_withdraw: bool | None
    key_can_transfer: bool | None
    key_ip_restricted: bool | None
    key_created_ms: Millis | None


class IncomeRow(Shape):
    symbol: Symbol | None
    type: str
    amount: Amount
    asset: str
    info: str
    transaction_id: int
    trade_id: str | None
    time_ms: Millis


class Income(Shape):
    income: list[IncomeRow]
    sums: dict[str, dict[str, Amount]]


class Rates(Shape):
    symbol: Symbol
    maker_rate: Amount
    taker_rate: Amount


class Fees(Shape):
    fee_tier: Count
    fees: list[Rates]


class AccountMode(Shape):
    position_mode: Mode
    multi_assets_mode: bool

"""What the REST interface answers about the account, its positions and settings; see `rest`.

Source: binance-usdm reference §8; key sets of answers recorded in September 2026.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class BalanceRow(TypedDict):
    """A row of `GET /fapi/v2/balance` and v3."""

    accountAlias: str
    asset: str
    balance: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    marginAvailable: bool
    updateTime: int


class AccountAsset(TypedDict):
    """An asset of the account; `marginAvailable` in v2 only."""

    asset: str
    walletBalance: str
    unrealizedProfit: str
    marginBalance: str
    maintMargin: str
    initialMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    crossWalletBalance: str
    crossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    updateTime: int
    marginAvailable: NotRequired[bool]


class AccountPositionV2(TypedDict):
    """A position of `GET /fapi/v2/account`, one for every symbol of the venue."""

    symbol: str
    initialMargin: str
    maintMargin: str
    unrealizedProfit: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    leverage: str
    isolated: bool
    entryPrice: str
    breakEvenPrice: str
    maxNotional: str
    positionSide: str
    positionAmt: str
    notional: str
    isolatedWallet: str
    updateTime: int
    bidNotional: str
    askNotional: str


class AccountPositionV3(TypedDict):
    """A position of `GET /fapi/v3/account`, only where there is a position or an order."""

    symbol: str
    positionSide: str
    positionAmt: str
    unrealizedProfit: str
    isolatedMargin: str
    notional: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    updateTime: int


class AccountTotals(TypedDict):
    """The sums that both versions of the account carry."""

    totalInitialMargin: str
    totalMaintMargin: str
    totalWalletBalance: str
    totalUnrealizedProfit: str
    totalMarginBalance: str
    totalPositionInitialMargin: str
    totalOpenOrderInitialMargin: str
    totalCrossWalletBalance: str
    totalCrossUnPnl: str
    availableBalance: str
    maxWithdrawAmount: str
    assets: list[AccountAsset]


class AccountV2(AccountTotals):
    """`GET /fapi/v2/account`: sums, switches and every symbol."""

    feeTier: int
    feeBurn: bool
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    updateTime: int
    multiAssetsMargin: bool
    tradeGroupId: int
    positions: list[AccountPositionV2]


class AccountV3(AccountTotals):
    """`GET /fapi/v3/account`: sums without the switches, which are in `AccountConfig`."""

    positions: list[AccountPositionV3]


class AccountConfig(TypedDict):
    """`GET /fapi/v1/accountConfig`."""

    feeTier: int
    canTrade: bool
    canDeposit: bool
    canWithdraw: bool
    dualSidePosition: bool
    updateTime: int
    multiAssetsMargin: bool
    tradeGroupId: int


class PositionRiskV2(TypedDict):
    """A row of `GET /fapi/v2/positionRisk`, every symbol; `isAutoAddMargin` is a string here."""

    symbol: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    leverage: str
    maxNotionalValue: str
    marginType: str
    isolatedMargin: str
    isAutoAddMargin: str
    positionSide: str
    notional: str
    isolatedWallet: str
    updateTime: int


class PositionRiskV3(TypedDict):
    """A row of `GET /fapi/v3/positionRisk`, only where there is a position or an order.

    Neither leverage nor margin type: those are in `SymbolConfigRow`.
    """

    symbol: str
    positionSide: str
    positionAmt: str
    entryPrice: str
    breakEvenPrice: str
    markPrice: str
    unRealizedProfit: str
    liquidationPrice: str
    isolatedMargin: str
    notional: str
    marginAsset: str
    isolatedWallet: str
    initialMargin: str
    maintMargin: str
    positionInitialMargin: str
    openOrderInitialMargin: str
    adl: int
    bidNotional: str
    askNotional: str
    updateTime: int


class SymbolConfigRow(TypedDict):
    """A row of `GET /fapi/v1/symbolConfig`; the margin type reads CROSSED or ISOLATED."""

    symbol: str
    marginType: str
    isAutoAddMargin: bool
    leverage: int
    maxNotionalValue: str


class LeverageSet(TypedDict):
    """Answer to `POST /fapi/v1/leverage`."""

    leverage: int
    maxNotionalValue: str
    symbol: str


class PositionMode(TypedDict):
    """`GET /fapi/v1/positionSide/dual`: True is hedge mode."""

    dualSidePosition: bool


class MultiAssetsMode(TypedDict):
    """`GET /fapi/v1/multiAssetsMargin`."""

    multiAssetsMargin: bool


class FeeBurn(TypedDict):
    """`GET /fapi/v1/feeBurn`: True pays commission in BNB."""

    feeBurn: bool


class PositionMarginChanged(TypedDict):
    """Answer to `POST /fapi/v1/positionMargin`; type 1 added, 2 removed."""

    amount: float
    code: int
    msg: str
    type: int


class IncomeRow(TypedDict):
    """A row of `GET /fapi/v1/income`; (`incomeType`, `tranId`) is unique."""

    symbol: str
    incomeType: str
    income: str
    asset: str
    info: str
    time: int
    tranId: int
    tradeId: str


class CommissionRate(TypedDict):
    """`GET /fapi/v1/commissionRate`, fractions of notional."""

    symbol: str
    makerCommissionRate: str
    takerCommissionRate: str
    rpiCommissionRate: NotRequired[str]


class LeverageBracketRow(TypedDict):
    """One step; these few are JSON numbers, not strings."""

    bracket: int
    initialLeverage: int
    notionalCap: int
    notionalFloor: int
    maintMarginRatio: float
    cum: float


class LeverageBrackets(TypedDict):
    """A row of `GET /fapi/v1/leverageBracket`; `notionalCoef` only where it was adjusted."""

    symbol: str
    brackets: list[LeverageBracketRow]
    notionalCoef: NotRequired[float]

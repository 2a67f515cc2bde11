"""Answers about money and positions in the wire's shape.

Reads the account, changes nothing. Source: binance-usdm reference §8, §13.6.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.paper.books import margin
from trader_cli.paper.books.account import Account, SymbolAccount
from trader_cli.paper.books.ledger import PositionRecord, to_ledger
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.wire.rest_account import (
    AccountAsset,
    AccountConfig,
    AccountPositionV2,
    AccountPositionV3,
    AccountTotals,
    AccountV2,
    AccountV3,
    BalanceRow,
    CommissionRate,
    LeverageBracketRow,
    LeverageBrackets,
    PositionRiskV2,
    PositionRiskV3,
    SymbolConfigRow,
)

_ASSET: Final = "USDT"
_ALIAS: Final = "SgsRpaper"


def eight(value: Decimal) -> str:
    """Return a USDT amount with eight decimals, as totals are shown."""
    return f"{to_ledger(value) + ZERO:.8f}"


def sides(account: Account, of: SymbolAccount) -> list[PositionRecord]:
    """Return the symbol's positions that the account's mode lists, flat ones too."""
    keys = (PositionSide.LONG, PositionSide.SHORT) if account.hedge else (PositionSide.BOTH,)
    return [of.positions.get(key) or PositionRecord(symbol=of.symbol, side=key) for key in keys]


def _position_margin(of: SymbolAccount, position: PositionRecord) -> Decimal:
    return abs(position.amount) * of.mark / of.leverage


def _order_margin(account: Account, of: SymbolAccount, side: PositionSide) -> Decimal:
    if side is PositionSide.BOTH:
        return of.need.orders
    entry = Side.BUY if side is PositionSide.LONG else Side.SELL
    return of.resting_of(side, entry) / of.leverage


def _isolated_balance(of: SymbolAccount, position: PositionRecord) -> Decimal:
    """Return what an isolated position would leave: its wallet and unrealised result."""
    if not of.isolated or position.amount == 0:
        return ZERO
    return position.isolated_wallet + position.unrealized(of.mark)


def _liquidation(account: Account, of: SymbolAccount, position: PositionRecord) -> Decimal:
    if position.amount == 0:
        return ZERO
    if of.isolated:
        sharing, wallet = [position], position.isolated_wallet
    else:
        # Both sides of a hedge live and die at one price.
        sharing, wallet = of.held(), account.cross_wallet - account.maintenance + account.unrealized
        for one in sharing:
            wallet += of.maintenance_of(one) - one.unrealized(of.mark)
    held = [(one.amount, one.entry_price) for one in sharing]
    return margin.liquidation_price(of.contract.brackets, held, wallet)


def totals(account: Account) -> AccountTotals:
    """Return the sums that every version of the account carries."""
    unrealized = positions = orders = maintenance = ZERO
    for of in account.symbols.values():
        orders += of.need.orders
        for position in of.held():
            unrealized += position.unrealized(of.mark)
            positions += _position_margin(of, position)
            maintenance += of.maintenance_of(position)
    wallet = account.wallet
    withdrawable = eight(min(account.available, max(ZERO, account.cross_wallet)))
    sums = {
        "initialMargin": eight(positions + orders),
        "maintMargin": eight(maintenance),
        "walletBalance": eight(wallet),
        "unrealizedProfit": eight(unrealized),
        "marginBalance": eight(wallet + unrealized),
        "positionInitialMargin": eight(positions),
        "openOrderInitialMargin": eight(orders),
        "crossWalletBalance": eight(account.cross_wallet),
        "crossUnPnl": eight(account.unrealized),
    }
    asset: AccountAsset = {
        "asset": _ASSET,
        "walletBalance": sums["walletBalance"],
        "unrealizedProfit": sums["unrealizedProfit"],
        "marginBalance": sums["marginBalance"],
        "maintMargin": sums["maintMargin"],
        "initialMargin": sums["initialMargin"],
        "positionInitialMargin": sums["positionInitialMargin"],
        "openOrderInitialMargin": sums["openOrderInitialMargin"],
        "crossWalletBalance": sums["crossWalletBalance"],
        "crossUnPnl": sums["crossUnPnl"],
        "availableBalance": eight(account.available),
        "maxWithdrawAmount": withdrawable,
        "updateTime": account.updated_ms,
    }
    return {
        "totalInitialMargin": sums["initialMargin"],
        "totalMaintMargin": sums["maintMargin"],
        "totalWalletBalance": sums["walletBalance"],
        "totalUnrealizedProfit": sums["unrealizedProfit"],
        "totalMarginBalance": sums["marginBalance"],
        "totalPositionInitialMargin": sums["positionInitialMargin"],
        "totalOpenOrderInitialMargin": sums["openOrderInitialMargin"],
        "totalCrossWalletBalance": sums["crossWalletBalance"],
        "totalCrossUnPnl": sums["crossUnPnl"],
        "availableBalance": eight(account.available),
        "maxWithdrawAmount": withdrawable,
        "assets": [asset],
    }


def balance_row(account: Account) -> BalanceRow:
    """Return the balance of the only asset."""
    return {
        "accountAlias": _ALIAS,
        "asset": _ASSET,
        "balance": eight(account.wallet),
        "crossWalletBalance": eight(account.cross_wallet),
        "crossUnPnl": eight(account.unrealized),
        "availableBalance": eight(account.available),
        "maxWithdrawAmount": eight(min(account.available, max(ZERO, account.cross_wallet))),
        "marginAvailable": True,
        "updateTime": account.updated_ms,
    }


def account_config(account: Account) -> AccountConfig:
    """Return the account's switches."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": account.hedge,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def account_v2(account: Account) -> AccountV2:
    """Return the account with every symbol."""
    sums = totals(account)
    sums["assets"][0]["marginAvailable"] = True
    return {
        "feeTier": 0,
        "feeBurn": False,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **sums,
        "positions": [
            _account_position_v2(account, of, position)
            for of in account.symbols.values()
            for position in sides(account, of)
        ],
    }


def account_v3(account: Account) -> AccountV3:
    """Return the account with the symbols that have a position or an order."""
    return {
        **totals(account),
        "positions": [
            _account_position_v3(account, of, position) for of, position in _busy(account, None)
        ],
    }


def _busy(account: Account, symbol: str | None) -> list[tuple[SymbolAccount, PositionRecord]]:
    """Return the positions of busy symbols: held, or with open orders on their side."""
    rows: list[tuple[SymbolAccount, PositionRecord]] = []
    for of in account.symbols.values():
        if symbol not in (None, of.symbol) or not of.is_busy():
            continue
        ordered = {order.position_side for order in of.orders.values()}
        rows += [
            (of, position)
            for position in sides(account, of)
            if position.amount != 0 or position.side in ordered
        ]
    return rows


def _account_position_v2(
    account: Account, of: SymbolAccount, position: PositionRecord
) -> AccountPositionV2:
    held = _position_margin(of, position)
    ordered = _order_margin(account, of, position.side)
    return {
        "symbol": of.symbol,
        "initialMargin": to_text(to_ledger(held + ordered)),
        "maintMargin": to_text(to_ledger(of.maintenance_of(position))),
        "unrealizedProfit": eight(position.unrealized(of.mark)),
        "positionInitialMargin": to_text(to_ledger(held)),
        "openOrderInitialMargin": to_text(to_ledger(ordered)),
        "leverage": str(of.leverage),
        "isolated": of.isolated,
        "entryPrice": _price(position.entry_price),
        "breakEvenPrice": _price(position.break_even_price),
        "maxNotional": to_text(margin.notional_max(of.contract.brackets, of.leverage)),
        "positionSide": position.side.value,
        "positionAmt": _amount(of, position),
        "notional": to_text(to_ledger(position.amount * of.mark)),
        "isolatedWallet": to_text(position.isolated_wallet),
        "updateTime": position.updated_ms,
        "bidNotional": to_text(of.resting_of(position.side, Side.BUY)),
        "askNotional": to_text(of.resting_of(position.side, Side.SELL)),
    }


def _account_position_v3(
    account: Account, of: SymbolAccount, position: PositionRecord
) -> AccountPositionV3:
    need = _position_margin(of, position) + _order_margin(account, of, position.side)
    return {
        "symbol": of.symbol,
        "positionSide": position.side.value,
        "positionAmt": _amount(of, position),
        "unrealizedProfit": eight(position.unrealized(of.mark)),
        "isolatedMargin": to_text(to_ledger(_isolated_balance(of, position))),
        "notional": to_text(to_ledger(position.amount * of.mark)),
        "isolatedWallet": to_text(position.isolated_wallet),
        "initialMargin": to_text(to_ledger(need)),
        "maintMargin": to_text(to_ledger(of.maintenance_of(position))),
        "updateTime": position.updated_ms,
    }


def position_risk_v2(account: Account, symbol: str | None) -> list[PositionRiskV2]:
    """Return every symbol's positions, or one symbol's."""
    return [
        {
            "symbol": of.symbol,
            "positionAmt": _amount(of, position),
            "entryPrice": _price(position.entry_price),
            "breakEvenPrice": _price(position.break_even_price),
            "markPrice": eight(of.mark),
            "unRealizedProfit": eight(position.unrealized(of.mark)),
            "liquidationPrice": to_text(to_ledger(_liquidation(account, of, position))),
            "leverage": str(of.leverage),
            "maxNotionalValue": to_text(margin.notional_max(of.contract.brackets, of.leverage)),
            "marginType": "isolated" if of.isolated else "cross",
            "isolatedMargin": eight(_isolated_balance(of, position)),
            "isAutoAddMargin": "false",
            "positionSide": position.side.value,
            "notional": to_text(to_ledger(position.amount * of.mark)),
            "isolatedWallet": to_text(position.isolated_wallet),
            "updateTime": position.updated_ms,
        }
        for of in account.symbols.values()
        if symbol in (None, of.symbol)
        for position in sides(account, of)
    ]


def position_risk_v3(account: Account, symbol: str | None) -> list[PositionRiskV3]:
    """Return the positions of symbols that have one, or an open order."""
    rows: list[PositionRiskV3] = []
    for of, position in _busy(account, symbol):
        held = _position_margin(of, position)
        ordered = _order_margin(account, of, position.side)
        rows.append(
            {
                "symbol": of.symbol,
                "positionSide": position.side.value,
                "positionAmt": _amount(of, position),
                "entryPrice": _price(position.entry_price),
                "breakEvenPrice": _price(position.break_even_price),
                "markPrice": eight(of.mark),
                "unRealizedProfit": eight(position.unrealized(of.mark)),
                "liquidationPrice": to_text(to_ledger(_liquidation(account, of, position))),
                "isolatedMargin": to_text(to_ledger(_isolated_balance(of, position))),
                "notional": eight(position.amount * of.mark),
                "marginAsset": _ASSET,
                "isolatedWallet": to_text(position.isolated_wallet),
                "initialMargin": to_text(to_ledger(held + ordered)),
                "maintMargin": to_text(to_ledger(of.maintenance_of(position))),
                "positionInitialMargin": to_text(to_ledger(held)),
                "openOrderInitialMargin": to_text(to_ledger(ordered)),
                "adl": _adl(of, position),
                "bidNotional": to_text(of.resting_of(position.side, Side.BUY)),
                "askNotional": to_text(of.resting_of(position.side, Side.SELL)),
                "updateTime": position.updated_ms,
            }
        )
    return rows


def adl_quantiles(account: Account, of: SymbolAccount) -> dict[str, int]:
    """Return a symbol's places in the queue by side, 0 where nothing is held.

    In hedge mode cross positions of both sides stand as one, `HEDGE`.
    """
    found = {position.side: _adl(of, position) for position in of.held()}
    places = {side.value: found.get(side, 0) for side in (PositionSide.LONG, PositionSide.SHORT)}
    if account.hedge:
        return places | {"HEDGE": 0 if of.isolated else max(found.values(), default=0)}
    return places | {"BOTH": found.get(PositionSide.BOTH, 0)}


def _adl(of: SymbolAccount, position: PositionRecord) -> int:
    if position.amount == 0:
        return 0
    return margin.adl_quantile(position.unrealized(of.mark), _position_margin(of, position))


def _amount(of: SymbolAccount, position: PositionRecord) -> str:
    return f"{position.amount:.{of.contract.instrument.quantity_precision}f}"


def _price(price: Decimal) -> str:
    return "0.0" if price == 0 else to_text(to_ledger(price))


def symbol_config(of: SymbolAccount) -> SymbolConfigRow:
    """Return a symbol's leverage and margin type."""
    return {
        "symbol": of.symbol,
        "marginType": "ISOLATED" if of.isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": of.leverage,
        "maxNotionalValue": to_text(margin.notional_max(of.contract.brackets, of.leverage)),
    }


def leverage_brackets(contract: Contract) -> LeverageBrackets:
    """Return a symbol's brackets; these are JSON numbers."""
    rows: list[LeverageBracketRow] = [
        {
            "bracket": row.bracket,
            "initialLeverage": row.leverage_max,
            "notionalCap": int(row.notional_cap),
            "notionalFloor": int(row.notional_floor),
            "maintMarginRatio": float(row.maintenance_rate),
            "cum": float(row.maintenance_amount),
        }
        for row in contract.brackets
    ]
    return {"symbol": contract.symbol, "brackets": rows}


def commission_rate(contract: Contract) -> CommissionRate:
    """Return a symbol's fees, fractions of notional."""
    return {
        "symbol": contract.symbol,
        "makerCommissionRate": format(contract.maker_fee, "f"),
        "takerCommissionRate": format(contract.taker_fee, "f"),
        "rpiCommissionRate": "0.000000",
    }

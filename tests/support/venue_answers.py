"""Answers of the venue as its 2026 interface gives them, with values made up for these tests."""

from __future__ import annotations

from typing import Any

SYMBOL = "BTCUSDT"


def written(**changes: Any) -> dict[str, Any]:
    """A regular order as the answer to a write: no avgPrice, no cumQuote."""
    return {
        "orderId": 40_000_000_001,
        "symbol": SYMBOL,
        "status": "NEW",
        "clientOrderId": "trd-0123456789abcdef0123-en0",
        "price": "60000.00",
        "origQty": "0.010",
        "executedQty": "0.000",
        "cumQty": "0.000",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": "LIMIT",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "updateTime": 1_790_000_000_123,
        **changes,
    }


def queried(**changes: Any) -> dict[str, Any]:
    """A regular order as a query shows it."""
    row = written(avgPrice="0.00", cumQuote="0.00000", time=1_790_000_000_100)
    del row["cumQty"]
    return {**row, **changes}


def algo(**changes: Any) -> dict[str, Any]:
    """A conditional order as the answer to placing it."""
    return {
        "algoId": 4_000_000_000_000_777,
        "clientAlgoId": "trd-0123456789abcdef0123-sl0",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": SYMBOL,
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0",
        "algoStatus": "NEW",
        "triggerPrice": "59000.00",
        "price": "0.00",
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": True,
        "priceProtect": False,
        "reduceOnly": False,
        "createTime": 1_790_000_000_200,
        "updateTime": 1_790_000_000_200,
        "triggerTime": 0,
        "goodTillDate": 0,
        **changes,
    }


def position(**changes: Any) -> dict[str, Any]:
    """A row of positionRisk v3."""
    return {
        "symbol": SYMBOL,
        "positionSide": "BOTH",
        "positionAmt": "0.010",
        "entryPrice": "60000.0",
        "breakEvenPrice": "60030.0",
        "markPrice": "60100.00000000",
        "unRealizedProfit": "1.00000000",
        "liquidationPrice": "57300.5",
        "isolatedMargin": "31.00000000",
        "notional": "601.00000000",
        "marginAsset": "USDT",
        "isolatedWallet": "30.00000000",
        "initialMargin": "30.05000000",
        "maintMargin": "2.40400000",
        "positionInitialMargin": "30.05000000",
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1_790_000_000_300,
        **changes,
    }


def symbol_config(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "marginType": "ISOLATED",
        "isAutoAddMargin": False,
        "leverage": 20,
        "maxNotionalValue": "100000000",
        **changes,
    }


def income(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "incomeType": "COMMISSION",
        "income": "-0.30000000",
        "asset": "USDT",
        "info": "COMMISSION",
        "time": 1_789_900_000_000 + number,
        "tranId": 700_000_000 + number,
        "tradeId": str(900 + number),
        **changes,
    }


def trade(number: int, **changes: Any) -> dict[str, Any]:
    """A row of userTrades."""
    return {
        "symbol": SYMBOL,
        "id": 1_000_000 + number,
        "orderId": 40_000_000_001,
        "pair": SYMBOL,
        "side": "BUY",
        "price": "60000.00",
        "qty": "0.001",
        "realizedPnl": "0",
        "quoteQty": "60.00",
        "commission": "0.012",
        "commissionAsset": "USDT",
        "time": 1_789_900_000_000 + number,
        "buyer": True,
        "maker": True,
        "positionSide": "BOTH",
        "baseQty": "0",
        "marginAsset": "USDT",
        **changes,
    }


def symbol_info(symbol: str = SYMBOL, **changes: Any) -> dict[str, Any]:
    """A contract of exchangeInfo."""
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.removesuffix("USDT"),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "556.80",
                "maxPrice": "4529764",
                "tickSize": "0.10",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.001",
                "maxQty": "120",
                "stepSize": "0.001",
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "50"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY", "RPI"],
        **changes,
    }


def exchange_info(*symbols: dict[str, Any]) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": 1_790_000_000_000,
        "futuresType": "U_MARGINED",
        "rateLimits": [],
        "exchangeFilters": [],
        "assets": [],
        "symbols": list(symbols),
    }


def account() -> dict[str, Any]:
    """`v3/account` of a funded account without positions."""
    return {
        "totalInitialMargin": "0.00000000",
        "totalMaintMargin": "0.00000000",
        "totalWalletBalance": "1000.50000000",
        "totalUnrealizedProfit": "-1.25000000",
        "totalMarginBalance": "999.25000000",
        "totalPositionInitialMargin": "0.00000000",
        "totalOpenOrderInitialMargin": "0.00000000",
        "totalCrossWalletBalance": "1000.50000000",
        "totalCrossUnPnl": "-1.25000000",
        "availableBalance": "980.00000000",
        "maxWithdrawAmount": "980.00000000",
        "assets": [
            {
                "asset": "USDT",
                "walletBalance": "1000.50000000",
                "unrealizedProfit": "-1.25000000",
                "marginBalance": "999.25000000",
                "maintMargin": "0.00000000",
                "initialMargin": "0.00000000",
                "positionInitialMargin": "0.00000000",
                "openOrderInitialMargin": "0.00000000",
                "crossWalletBalance": "1000.50000000",
                "crossUnPnl": "-1.25000000",
                "availableBalance": "980.00000000",
                "maxWithdrawAmount": "980.00000000",
                "updateTime": 1_789_999_000_000,
            }
        ],
        "positions": [],
    }


def account_config(**changes: Any) -> dict[str, Any]:
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": False,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **changes,
    }

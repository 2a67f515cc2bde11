"""The contracts as `exchangeInfo` spells them.

Knows the wire's keys and the filters' order. The numbers are `instruments.py`'s.

Source: binance-usdm reference §13.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trader_cli.domain.numbers import to_wire
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.wire.rest import RateLimit
from trader_cli.wire.rest_market import ExchangeAsset, ExchangeInfo, SymbolFilter, SymbolInfo

_ASSET_ROWS: Final[list[ExchangeAsset]] = [
    {"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"},
    {"asset": "BTC", "marginAvailable": True, "autoAssetExchange": "-0.10000000"},
    {"asset": "BNB", "marginAvailable": True, "autoAssetExchange": "-10"},
    {"asset": "ETH", "marginAvailable": True, "autoAssetExchange": "-5"},
    {"asset": "USDC", "marginAvailable": True, "autoAssetExchange": "-10000"},
]
ASSETS: Final = tuple(row["asset"] for row in _ASSET_ROWS)
"""The assets that could back positions, and have an index."""

_QUOTE_PRECISION: Final = 8
_MULTIPLIER_DECIMALS: Final = "4"


def exchange_info(
    contracts: Iterable[Contract], rate_limits: list[RateLimit], now_ms: int
) -> ExchangeInfo:
    """Return the whole universe; the real exchange ignores a `symbol` parameter too."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": rate_limits,
        "exchangeFilters": [],
        "assets": _ASSET_ROWS,
        "symbols": [_symbol(contract) for contract in contracts],
    }


def _symbol(contract: Contract) -> SymbolInfo:
    instrument = contract.instrument
    return {
        "symbol": instrument.symbol,
        "pair": contract.pair,
        "contractType": contract.contract_type,
        "deliveryDate": contract.delivery_ms,
        "onboardDate": contract.onboard_ms,
        "status": instrument.status,
        "maintMarginPercent": to_wire(contract.maintenance_margin_percent),
        "requiredMarginPercent": to_wire(contract.required_margin_percent),
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "marginAsset": instrument.margin_asset,
        "pricePrecision": instrument.price_precision,
        "quantityPrecision": instrument.quantity_precision,
        "baseAssetPrecision": contract.asset_precision,
        "quotePrecision": _QUOTE_PRECISION,
        "underlyingType": contract.underlying_type,
        "underlyingSubType": list(contract.underlying_sub_type),
        "triggerProtect": to_wire(instrument.trigger_protect),
        "liquidationFee": to_wire(instrument.liquidation_fee),
        "marketTakeBound": to_wire(instrument.market_take_bound),
        "maxMoveOrderLimit": contract.max_move_order_limit,
        "filters": _filters(contract),
        "orderTypes": list(contract.order_types),
        "timeInForce": list(contract.time_in_force),
        "permissionSets": list(contract.permission_sets),
    }


def _filters(contract: Contract) -> list[SymbolFilter]:
    instrument = contract.instrument
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": to_wire(instrument.price_min),
            "maxPrice": to_wire(instrument.price_max),
            "tickSize": to_wire(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": to_wire(instrument.quantity_min),
            "maxQty": to_wire(instrument.quantity_max),
            "stepSize": to_wire(instrument.quantity_step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": to_wire(instrument.market_quantity_min),
            "maxQty": to_wire(instrument.market_quantity_max),
            "stepSize": to_wire(instrument.market_quantity_step),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.orders_max},
        {"filterType": "MIN_NOTIONAL", "notional": to_wire(instrument.notional_min)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": to_wire(instrument.percent_up),
            "multiplierDown": to_wire(instrument.percent_down),
            "multiplierDecimal": _MULTIPLIER_DECIMALS,
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]

"""Answers in the wire's shape: orders, conditional orders, trades, income.

Prices are padded to the contract's precision as the venue pads them. Must not know how a record
came to be. The account's own answers are in `render_account.py`.

Source: binance-usdm reference §6-§8; key sets follow live samples of 2026.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, cast

from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import to_text
from trader_cli.domain.terms import AlgoStatus, OrderStatus, OrderType, Side
from trader_cli.paper.books.ledger import to_ledger
from trader_cli.paper.contracts.instruments import Contract
from trader_cli.paper.state.records import (
    AlgoRecord,
    AmendmentRecord,
    IncomeRecord,
    MarginMoveRecord,
    OrderRecord,
    TradeRecord,
)
from trader_cli.wire.rest_account import IncomeRow
from trader_cli.wire.rest_orders import (
    AlgoCancelled,
    AlgoHistory,
    AlgoOpen,
    AlgoPlaced,
    OrderQueried,
    OrderWritten,
    UserTrade,
)

_NEW: Final = OrderStatus.NEW
_PLACES_MAX: Final = 8
_NOTHING: Final = ("0", *(f"0.{'0' * places}" for places in range(1, 20)))
"""Zero with so many decimals."""

_LEAST: Final = Decimal("1e-8")
_LISTED: Final = (
    *("orderId", "symbol", "status", "clientOrderId", "price", "avgPrice", "origQty"),
    *("executedQty", "cumQuote", "cumBase", "timeInForce", "type", "reduceOnly", "closePosition"),
    *("side", "positionSide", "stopPrice", "workingType", "priceMatch", "selfTradePreventionMode"),
    *("goodTillDate", "priceProtect", "origType", "time", "updateTime", "pair"),
)
"""The keys of a row of allOrders, as they follow each other on the wire."""

_NOT_REGULAR: Final = (AlgoStatus.NEW, AlgoStatus.CANCELED, AlgoStatus.TRIGGERING)


def pad(value: Decimal, places: int) -> str:
    """Return `value` with at least `places` decimals and no more than eight."""
    if not value:
        return _NOTHING[places]
    text = str(value)  # several times as fast as `format`, where it needs no exponent
    whole, _, decimals = (format(value, "f") if "E" in text else text).partition(".")
    if len(decimals) > places:
        decimals = decimals.rstrip("0")
        if len(decimals) > _PLACES_MAX:
            rounded = value.quantize(_LEAST, rounding=ROUND_HALF_EVEN)
            whole, _, decimals = format(rounded, "f").partition(".")
    decimals = decimals.ljust(places, "0")
    return f"{whole}.{decimals}" if decimals else whole


def quantity_text(instrument: Instrument, quantity: Decimal) -> str:
    """Return a quantity with the contract's decimals; nothing is "0"."""
    return "0" if quantity == 0 else pad(quantity, instrument.quantity_precision)


def order_written(
    contract: Contract, order: OrderRecord, *, as_accepted: bool = False
) -> OrderWritten:
    """Return the answer to a write.

    Args:
        as_accepted: show the order as it was before it met the market (newOrderRespType ACK).
    """
    instrument = contract.instrument
    executed = "0" if as_accepted else quantity_text(instrument, order.executed)
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": _NEW if as_accepted else order.status,
        "clientOrderId": order.client_order_id,
        "price": pad(order.price, instrument.price_precision),
        "origQty": quantity_text(instrument, order.quantity),
        "executedQty": executed,
        "cumQty": executed,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": order.position_side,
        "stopPrice": pad(order.stop_price, instrument.price_precision),
        "workingType": order.working_type,
        "priceProtect": order.price_protect,
        "origType": order.original_type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade_prevention,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.created_ms if as_accepted else order.updated_ms,
    }


def order_modified(contract: Contract, order: OrderRecord, modify_id: int | None) -> OrderWritten:
    """Return the answer to a modification; `modify_id` is the caller's own, if any."""
    row = order_written(contract, order)
    row["pair"] = contract.pair
    if modify_id is not None:
        row["modifyId"] = modify_id
    return row


def order_tested(contract: Contract, order: OrderRecord) -> OrderWritten:
    """Return the answer to a test order, which kept the keys that real writes lost."""
    row = order_written(contract, order)
    row["avgPrice"] = pad(Decimal(0), contract.instrument.price_precision + 1)
    row["cumQuote"] = "0"
    return row


def order_queried(contract: Contract, order: OrderRecord) -> OrderQueried:
    """Return a row of the order queries but allOrders."""
    instrument = contract.instrument
    price_places = instrument.price_precision
    average = order.quote / order.executed if order.executed else order.executed
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_order_id,
        "price": pad(order.price, price_places),
        "avgPrice": pad(to_ledger(average), price_places + 1),
        "origQty": quantity_text(instrument, order.quantity),
        "executedQty": quantity_text(instrument, order.executed),
        "cumQuote": "0" if order.quote == 0 else pad(order.quote, price_places + 1),
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side,
        "positionSide": order.position_side,
        "stopPrice": pad(order.stop_price, price_places),
        "workingType": order.working_type,
        "priceProtect": order.price_protect,
        "origType": order.original_type,
        "priceMatch": order.price_match,
        "selfTradePreventionMode": order.self_trade_prevention,
        "goodTillDate": order.good_till_ms,
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def order_listed(contract: Contract, order: OrderRecord) -> OrderQueried:
    """Return a row of allOrders: two keys more, in an order of its own, and no price is "0"."""
    row: dict[str, object] = {**order_queried(contract, order), "cumBase": "0"}
    row["pair"] = contract.pair
    for name, price in (("price", order.price), ("stopPrice", order.stop_price)):
        if not price:
            row[name] = "0"
    return cast(OrderQueried, {key: row[key] for key in _LISTED})


def force_order(contract: Contract, order: OrderRecord) -> dict[str, Any]:
    """Return a row of forceOrders: an order without the newer keys."""
    newer = ("priceMatch", "selfTradePreventionMode", "goodTillDate", "priceProtect")
    row = order_listed(contract, order)
    return {key: value for key, value in row.items() if key not in newer}


def user_trade(contract: Contract, trade: TradeRecord) -> UserTrade:
    """Return a row of userTrades; a commission paid is positive there."""
    instrument = contract.instrument
    quote = trade.price * trade.quantity
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "pair": contract.pair,
        "side": trade.side,
        "price": pad(trade.price, instrument.price_precision),
        "qty": quantity_text(instrument, trade.quantity),
        "realizedPnl": to_text(trade.realized),
        "quoteQty": pad(quote, instrument.price_precision + 1),
        "commission": to_text(trade.commission),
        "commissionAsset": instrument.margin_asset,
        "time": trade.time_ms,
        "buyer": trade.side is Side.BUY,
        "maker": trade.maker,
        "positionSide": trade.position_side,
        "baseQty": "0",
        "marginAsset": instrument.margin_asset,
    }


def income_row(row: IncomeRecord) -> IncomeRow:
    """Return a row of income."""
    return {
        "symbol": row.symbol,
        "incomeType": row.type,
        "income": f"{row.amount:.8f}",
        "asset": "USDT",
        "info": row.info,
        "time": row.time_ms,
        "tranId": row.tran_id,
        "tradeId": "" if row.trade_id is None else str(row.trade_id),
    }


def amendment_row(contract: Contract, row: AmendmentRecord) -> dict[str, Any]:
    """Return a row of orderAmendment."""
    modified: dict[str, Any] = {} if row.modify_id is None else {"modifyId": row.modify_id}
    return {
        "amendmentId": row.amendment_id,
        "symbol": row.symbol,
        "pair": contract.pair,
        "orderId": row.order_id,
        "clientOrderId": row.client_order_id,
        "time": row.time_ms,
        "amendment": {
            "price": {"before": to_text(row.price_before), "after": to_text(row.price_after)},
            "origQty": {
                "before": to_text(row.quantity_before),
                "after": to_text(row.quantity_after),
            },
            "count": row.count,
            **modified,
        },
    }


def margin_move_row(row: MarginMoveRecord) -> dict[str, Any]:
    """Return a row of positionMargin/history."""
    return {
        "symbol": row.symbol,
        "type": row.type,
        "deltaType": "USER_ADJUST",
        "amount": to_text(row.amount),
        "asset": "USDT",
        "time": row.time_ms,
        "positionSide": row.position_side,
    }


def algo_placed(contract: Contract, algo: AlgoRecord) -> AlgoPlaced:
    """Return the answer to placing a conditional order."""
    places = contract.instrument.price_precision
    row: AlgoPlaced = {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": quantity_text(contract.instrument, algo.quantity),
        "algoStatus": algo.status,
        "triggerPrice": pad(algo.trigger_price, places),
        "price": pad(algo.price, places),
        "icebergQuantity": None,
        "selfTradePreventionMode": algo.self_trade_prevention,
        "workingType": algo.working_type,
        "priceMatch": algo.price_match,
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": algo.good_till_ms,
    }
    if algo.type is OrderType.TRAILING_STOP_MARKET:
        activate = algo.activate_price
        row["activatePrice"] = "0" if activate is None else pad(activate, places)
        row["callbackRate"] = "0" if algo.callback_rate is None else to_text(algo.callback_rate)
    return row


def algo_open(contract: Contract, algo: AlgoRecord) -> AlgoOpen:
    """Return a row of openAlgoOrders."""
    return {
        **algo_placed(contract, algo),
        "triggerPrice": pad(algo.trigger_price, 1),  # not padded here, as live rows show
        "price": pad(algo.price, 1),
        "actualOrderId": "" if algo.order_id is None else str(algo.order_id),
        "actualQty": pad(algo.actual_quantity, 1),
        "isActivated": algo.activated,
    }


def algo_listed(contract: Contract, algo: AlgoRecord) -> AlgoHistory:
    """Return a row of algoOrder and allAlgoOrders."""
    row: dict[str, object] = {
        **algo_placed(contract, algo),
        "actualOrderId": "" if algo.order_id is None else str(algo.order_id),
        "actualPrice": pad(to_ledger(algo.actual_price), contract.instrument.price_precision + 1),
    }
    if algo.actual_type is not None and algo.status not in _NOT_REGULAR:
        row["actualQty"] = quantity_text(contract.instrument, algo.actual_quantity)
        row["actualType"] = algo.actual_type.value
    return cast(AlgoHistory, {**row, "tpOrderType": "", "isActivated": algo.activated})


def algo_cancelled(algo: AlgoRecord) -> AlgoCancelled:
    """Return the answer to cancelling a conditional order; its code is text."""
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "code": "200",
        "msg": "success",
    }

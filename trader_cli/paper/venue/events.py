"""User-data events in the wire's shape. Must not know why something happened.

Source: binance-usdm reference §11.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import to_text
from trader_cli.domain.terms import AlgoStatus, ExecutionType, OrderType
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.books.ledger import PositionRecord, to_ledger
from trader_cli.paper.state.records import AlgoRecord, OrderRecord, TradeRecord
from trader_cli.paper.venue.render import pad
from trader_cli.wire.stream import (
    AccountConfigUpdate,
    AccountUpdate,
    AlgoOfUpdate,
    AlgoUpdate,
    MarginCall,
    OrderOfUpdate,
    OrderTradeUpdate,
    PositionOfUpdate,
    TradeLite,
)

UserEvent = (
    OrderTradeUpdate | AccountUpdate | AlgoUpdate | TradeLite | AccountConfigUpdate | MarginCall
)


def order_update(
    order: OrderRecord,
    execution: ExecutionType,
    now_ms: int,
    *,
    trade: TradeRecord | None = None,
    modify_id: int | None = None,
) -> OrderTradeUpdate:
    """Return the event of one change of an order; `trade` is the fill that caused it."""
    average = order.quote / order.executed if order.executed else order.executed
    body: OrderOfUpdate = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": to_text(order.quantity),
        "p": to_text(order.price),
        "ap": to_text(to_ledger(average)),
        "sp": to_text(order.stop_price),
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": "0" if trade is None else to_text(trade.quantity),
        "z": to_text(order.executed),
        "L": "0" if trade is None else to_text(trade.price),
        "n": "0" if trade is None else to_text(trade.commission),
        "N": "USDT",
        "T": now_ms,
        "t": 0 if trade is None else trade.trade_id,
        "b": "0",
        "a": "0",
        "m": trade is not None and trade.maker,
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.original_type,
        "ps": order.position_side,
        "cp": order.close_position,
        "rp": "0" if trade is None else to_text(trade.realized),
        "pP": order.price_protect,
        "si": 0,
        "ss": 0,
        "V": order.self_trade_prevention,
        "pm": order.price_match,
        "gtd": order.good_till_ms,
        "er": str(order.expire_reason),
    }
    if modify_id is not None:
        body["M"] = str(modify_id)  # text here, a number where it was sent
    return {"e": "ORDER_TRADE_UPDATE", "T": now_ms, "E": now_ms, "o": body}


def trade_lite(instrument: Instrument, order: OrderRecord, trade: TradeRecord) -> TradeLite:
    """Return the earliest notice of a fill; its numbers are padded, those of others are not."""
    places, decimals = instrument.price_precision, instrument.quantity_precision
    return {
        "e": "TRADE_LITE",
        "E": trade.time_ms,
        "T": trade.time_ms,
        "s": order.symbol,
        "q": pad(order.quantity, decimals),
        "p": pad(order.price, places),
        "m": trade.maker,
        "c": order.client_order_id,
        "S": order.side,
        "L": pad(trade.price, places),
        "l": pad(trade.quantity, decimals),
        "t": trade.trade_id,
        "i": order.order_id,
    }


def account_update(
    reason: str,
    now_ms: int,
    *,
    wallet: Decimal,
    cross_wallet: Decimal,
    change: Decimal,
    positions: Iterable[tuple[SymbolAccount, PositionRecord]],
    symbol: str | None = None,
) -> AccountUpdate:
    """Return the event of a changed balance.

    Args:
        change: of the wallet, without profit and commission.
        positions: only those that changed.
        symbol: of a funding fee.
    """
    event: AccountUpdate = {
        "e": "ACCOUNT_UPDATE",
        "T": now_ms,
        "E": now_ms,
        "a": {
            "B": [
                {
                    "a": "USDT",
                    "wb": to_text(wallet),
                    "cw": to_text(cross_wallet),
                    "bc": to_text(change),
                }
            ],
            "P": [_position(of, position) for of, position in positions],
            "m": reason,
        },
    }
    if symbol is not None:
        event["a"]["S"] = symbol
    return event


def _position(of: SymbolAccount, position: PositionRecord) -> PositionOfUpdate:
    return {
        "s": position.symbol,
        "pa": to_text(position.amount),
        "ep": to_text(position.entry_price),
        "cr": to_text(position.realized_total),
        "up": to_text(to_ledger(position.unrealized(of.mark))),
        "mt": "isolated" if of.isolated else "cross",
        "iw": to_text(position.isolated_wallet),
        "ps": position.side,
        "ma": "USDT",
        "bep": to_text(to_ledger(position.break_even_price)),
    }


def algo_update(algo: AlgoRecord, now_ms: int) -> AlgoUpdate:
    """Return the event of a conditional order's present status."""
    body: AlgoOfUpdate = {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": to_text(algo.quantity),
        "X": algo.status,
        "ai": "" if algo.order_id is None else str(algo.order_id),
        "tp": to_text(algo.trigger_price),
        "p": to_text(algo.price),
        "V": algo.self_trade_prevention,
        "wt": algo.working_type,
        "pm": algo.price_match,
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": algo.good_till_ms,
        "ia": algo.activated,
    }
    if algo.status in (AlgoStatus.TRIGGERED, AlgoStatus.FINISHED) and algo.actual_type is not None:
        body["ap"] = to_text(to_ledger(algo.actual_price))
        body["aq"] = to_text(algo.actual_quantity)
        body["act"] = algo.actual_type.value
    if algo.reject_reason:
        body["rm"] = algo.reject_reason
    if algo.type is OrderType.TRAILING_STOP_MARKET:
        if algo.activate_price is not None:
            body["AP"] = to_text(algo.activate_price)
        if algo.callback_rate is not None:
            body["cr"] = to_text(algo.callback_rate)
    return {"e": "ALGO_UPDATE", "T": now_ms, "E": now_ms, "o": body}


def leverage_update(symbol: str, leverage: int, now_ms: int) -> AccountConfigUpdate:
    """Return the event of a changed leverage."""
    return {
        "e": "ACCOUNT_CONFIG_UPDATE",
        "E": now_ms,
        "T": now_ms,
        "ac": {"s": symbol, "l": leverage},
    }


def margin_call(
    cross_wallet: Decimal | None,
    positions: Iterable[tuple[SymbolAccount, PositionRecord]],
    now_ms: int,
) -> MarginCall:
    """Return the warning; `cross_wallet` None for an isolated position."""
    event: MarginCall = {
        "e": "MARGIN_CALL",
        "E": now_ms,
        "p": [
            {
                "s": position.symbol,
                "ps": position.side,
                "pa": to_text(position.amount),
                "mt": "ISOLATED" if of.isolated else "CROSSED",
                "iw": to_text(position.isolated_wallet),
                "mp": to_text(of.mark),
                "up": to_text(to_ledger(position.unrealized(of.mark))),
                "mm": to_text(to_ledger(of.maintenance_of(position))),
            }
            for of, position in positions
        ],
    }
    if cross_wallet is not None:
        event["cw"] = to_text(cross_wallet)
    return event

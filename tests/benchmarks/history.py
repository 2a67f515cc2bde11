"""A long past for the exchange's file: orders, fills and income of months."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

from trader_cli.domain.terms import (
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.paper.state.records import IncomeRecord, OrderRecord, TradeRecord
from trader_cli.paper.state.state import Changes
from trader_cli.paper.state.state_file import FileState

_BATCH = 2_000
_FIRST_ORDER = 34_000_000_000
_FIRST_TRADE = 1_000_000_000
_FIRST_INCOME = 9_000_000_000
_PRICE, _QUANTITY, _FEE = Decimal("95000.0"), Decimal("0.002"), Decimal("0.095")


def write_history(path: Path, fills: int) -> float:
    """Write so many filled orders, each with its fill and its fee; return the seconds it took."""
    began = time.perf_counter()
    state = FileState(path)
    first_ms = int(time.time() * 1_000) - fills * 5_000
    for start in range(1, fills + 1, _BATCH):
        changes = Changes()
        for i in range(start, min(start + _BATCH, fills + 1)):
            side, time_ms = (Side.BUY if i % 2 else Side.SELL), first_ms + i * 5_000
            changes.orders[_FIRST_ORDER + i] = _order(i, side, time_ms)
            changes.trades.append(_trade(i, side, time_ms))
            changes.income.append(_fee(i, time_ms))
        state.save(changes)
    state.close()
    return time.perf_counter() - began


def _order(i: int, side: Side, time_ms: int) -> OrderRecord:
    return OrderRecord(
        order_id=_FIRST_ORDER + i,
        symbol="BTCUSDT",
        client_order_id=f"old_{i}",
        side=side,
        position_side=PositionSide.BOTH,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        price=Decimal(0),
        quantity=_QUANTITY,
        reduce_only=False,
        close_position=False,
        self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER,
        price_match="NONE",
        good_till_ms=0,
        created_ms=time_ms,
        updated_ms=time_ms,
        status=OrderStatus.FILLED,
        executed=_QUANTITY,
        quote=_PRICE * _QUANTITY,
    )


def _trade(i: int, side: Side, time_ms: int) -> TradeRecord:
    return TradeRecord(
        trade_id=_FIRST_TRADE + i,
        order_id=_FIRST_ORDER + i,
        symbol="BTCUSDT",
        side=side,
        position_side=PositionSide.BOTH,
        price=_PRICE,
        quantity=_QUANTITY,
        realized=Decimal(0),
        commission=_FEE,
        maker=False,
        time_ms=time_ms,
    )


def _fee(i: int, time_ms: int) -> IncomeRecord:
    return IncomeRecord(
        tran_id=_FIRST_INCOME + i,
        type="COMMISSION",
        symbol="BTCUSDT",
        amount=-_FEE,
        info="COMMISSION",
        time_ms=time_ms,
        trade_id=_FIRST_TRADE + i,
    )

"""Put the parts together that act for the engine; the only place that knows how they fit."""

from __future__ import annotations

from collections.abc import Callable

from trader_cli.clock import Clock
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.facts import Fact
from trader_cli.engine.hands import Hands, Report
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.options import EngineOptions
from trader_cli.engine.views import EngineViews
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.journal import Journal
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.risk.risk_manager import RiskManager


def assemble(
    *,
    client: BinanceFuturesClient,
    journal: Journal,
    latch: LatchInTime,
    risk: RiskManager,
    clock: Clock,
    options: EngineOptions,
    mirror: AccountMirror,
    board: MarketBoard,
    losses: LossWatch,
    last_loss_ms: int | None,
    report: Report,
    tell: Callable[[Fact], None],
) -> Hands:
    """Return the engine's hands: an order manager whose risk checks see the streams' picture."""
    views = EngineViews(
        client,
        journal=journal,
        mirror=mirror,
        board=board,
        losses=losses,
        clock=clock,
        halts=latch.all,
        blocks=options.blocks,
        last_loss_ms=last_loss_ms,
    )
    orders = OrderManager(
        client,
        journal=journal,
        risk=risk,
        latch=latch,
        clock=clock,
        policy=options.entry,
        views=views.read,
        book=board.book,
        recv_window_ms=options.recv_window_ms,
    )
    return Hands(
        client=client,
        orders=orders,
        positions=PositionManager(orders, margin_type=options.bridge.margin_type),
        risk=risk,
        journal=journal,
        clock=clock,
        board=board,
        mirror=mirror,
        views=views,
        bridge=options.bridge,
        entry=options.entry,
        report=report,
        tell=tell,
        hedge_mode=options.hedge_mode,
    )

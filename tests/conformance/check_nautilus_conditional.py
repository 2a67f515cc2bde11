"""nautilus_trader's newer line: every conditional order by the Algo Service, and one triggered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from check_nautilus import BTC, common, run_until
from nautilus_trader.model.enums import OrderSide, TrailingOffsetType, TriggerType
from nautilus_trader.trading.strategy import Strategy
from paper_exchange import PaperExchange

__all__ = ["common"]

KINDS = {
    "STOP_MARKET",
    "STOP_LIMIT",
    "MARKET_IF_TOUCHED",
    "LIMIT_IF_TOUCHED",
    "TRAILING_STOP_MARKET",
}


class Conditional(Strategy):
    """Sends one order of each kind at once and remembers what became of them."""

    def __init__(self, paper: PaperExchange) -> None:
        super().__init__()
        self._paper = paper
        self._bid = Decimal(0)
        self.accepted: set[str] = set()
        self.troubles: list[str] = []
        self.sold = False

    def on_start(self) -> None:
        self.subscribe_quote_ticks(BTC)

    def on_quote_tick(self, tick: Any) -> None:
        if self._bid:
            return
        self._bid = tick.bid_price.as_decimal()
        size = self.cache.instrument(BTC).make_qty(Decimal("0.010"))
        make, low, high = self.order_factory, self._near("0.98"), self._near("1.02")
        sell = (BTC, OrderSide.SELL, size)
        self.submit_order(make.market(BTC, OrderSide.BUY, size))
        for order in (
            make.stop_market(*sell, low, reduce_only=True, trigger_type=TriggerType.MARK_PRICE),
            make.stop_limit(*sell, self._near("0.96"), self._near("0.97")),
            make.market_if_touched(*sell, high),
            make.limit_if_touched(*sell, high, high),
            make.trailing_stop_market(
                *sell,
                trailing_offset=Decimal(100),
                trailing_offset_type=TrailingOffsetType.BASIS_POINTS,
                activation_price=high,
            ),
        ):
            self.submit_order(order)

    def on_order_accepted(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        self.accepted.add(order.order_type.name)
        if self.accepted >= KINDS and not self.troubles:
            self._paper.jump("BTCUSDT", (self._bid * Decimal("0.975")).quantize(Decimal("0.1")))

    def on_order_filled(self, event: Any) -> None:
        self.sold = self.sold or event.order_side == OrderSide.SELL

    def on_order_rejected(self, event: Any) -> None:
        self.troubles.append(str(event.reason))

    def _near(self, factor: str) -> Any:
        return self.cache.instrument(BTC).make_price(self._bid * Decimal(factor))


class CheckConditionalOrders:
    async def shows_every_kind_accepted_and_a_stop_triggered(
        self, common: dict[str, Any], paper: PaperExchange
    ) -> None:
        strategy = Conditional(paper)

        await run_until(common, strategy, lambda: strategy.sold or bool(strategy.troubles))

        assert strategy.troubles == []
        assert strategy.accepted >= KINDS

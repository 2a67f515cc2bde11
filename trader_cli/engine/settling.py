"""Settle a trade that is over: no exit order of ours stays behind, and its result is known.

The result comes from the exchange's fills and funding, never from prices we remember.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.bridge.feedback import TradeResult
from trader_cli.domain.account import Fill
from trader_cli.domain.client_id import Leg
from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.terms import Direction, IncomeType
from trader_cli.engine.actions import SettleTrade
from trader_cli.engine.facts import TradeClosed
from trader_cli.engine.hands import Hands, shown
from trader_cli.engine.remembered import TRADE, trade_row
from trader_cli.errors import TraderError, VenueError
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.order_tracker import NOTE_JOURNAL_MS
from trader_cli.trading.risk.other_assets import Rates, in_usdt, others, rate_symbol

_TRIES: Final = 4
_PAUSE_S: Final = 0.5
_HOUR_MS: Final = 3_600_000
_MARGIN_MS: Final = 1_000
_REASONS: Final = {
    Leg.STOP: "STOP_LOSS",
    Leg.TAKE_PROFIT: "TAKE_PROFIT",
    Leg.TRAILING: "TRAILING_STOP",
}
_OWN_REASONS: Final = {"CUT_LOSS": "AI CUT_LOSS", "flip": "AI FLIP", "max_holding": "MAX_HOLDING"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What a trade's fills add up to; money is USDT, fees in another asset are worth what it is."""

    realized: Decimal
    fees: Decimal
    fee_assets: frozenset[str]
    entry_notional: Decimal
    last: Fill | None
    exit_price: Decimal | None


class Settling:
    """Settles trades."""

    def __init__(
        self,
        hands: Hands,
        *,
        on_trade: Callable[[str, TradeResult], None],
        on_still_open: Callable[[str], None],
    ) -> None:
        """
        Args:
            on_trade: told each result under its advisor.
            on_still_open: told the symbol of a trade that the executions say is not over.
        """
        self._hands = hands
        self._on_trade = on_trade
        self._on_still_open = on_still_open

    async def settle(
        self, action: SettleTrade, *, leverage: int | None, unprotected_ms: int, began_ms: int
    ) -> None:
        """Clean up, work out the result, journal and report it.

        Args:
            began_ms: exchange time before the trade's first order.
        """
        fills = await self._fills(action, began_ms)
        if self._is_still_open(action, fills):
            # A position that was reported gone and is not: without its exits it would be naked.
            message = "reported gone, but its fills say that it is held: its exits stay"
            fields = {"symbol": action.symbol, "kind": "still_open", "message": message}
            self._hands.report("warning", fields)
            self._on_still_open(action.symbol)
            return
        await self._clean_up(action.symbol)
        rates = await self._rates(fills)
        sums = _add_up(fills, action.direction, rates)
        funding = await self._funding(action, began_ms)
        hands = self._hands
        net = sums.realized - sums.fees + funding
        margin = sums.entry_notional / leverage if leverage else ZERO
        exited_ms = hands.clock.now_ms()
        result = TradeResult(
            pnl_usdt=net,
            roi_pct=net / margin * HUNDRED if margin > 0 else ZERO,
            direction=action.direction,
            holding_seconds=Decimal(max(0, exited_ms - action.opened_ms)) / 1000,
            exit_reason=await self._exit_reason(action, sums.last),
            exited_ms=exited_ms,
        )
        row = trade_row(action.symbol, action.advisor, action.decision_id, result, action.reason)
        with contextlib.suppress(JournalUnavailable):
            hands.journal.record(TRADE, row, durable=True, deadline_ms=NOTE_JOURNAL_MS, keep=True)
        self._on_trade(action.advisor, result)
        hands.report(
            "closed",
            {
                "decision": action.decision_id,
                "advisor": action.advisor,
                "symbol": action.symbol,
                "side": action.direction.value,
                "reason": action.reason,
                "exit_reason": result.exit_reason,
                "exit_price": shown(sums.exit_price),
                "realized_pnl": shown(sums.realized),
                "fees": shown(sums.fees),
                "fees_unpriced": [row for row in others(sums.fee_assets) if row not in rates],
                "funding": shown(funding),
                "net_pnl": shown(net),
                "roi_pct": shown(round(result.roi_pct, 2)),
                "holding_seconds": shown(round(result.holding_seconds, 1)),
                "unprotected_ms": unprotected_ms,
            },
        )
        hands.tell(TradeClosed(symbol=action.symbol, net_pnl=net))

    async def _clean_up(self, symbol: str) -> None:
        for attempt in range(_TRIES):
            try:
                await self._hands.orders.clean_up_exits(symbol)
            except TraderError as error:
                message = f"exit orders of {symbol} may still rest: {error.message}"
                self._hands.report(
                    "warning", {"symbol": symbol, "kind": "clean_up", "message": message}
                )
                await self._hands.clock.sleep(_PAUSE_S * (attempt + 1))
            else:
                return

    def _is_still_open(self, action: SettleTrade, fills: Sequence[Fill]) -> bool:
        """Return True if the executions since our own entry prove that something is held."""
        entries = self._entry_orders(action.decision_id)
        is_whole = any(str(row.order_id) in entries for row in fills)
        return is_whole and sum(row.quantity * row.side.sign for row in fills) != 0

    async def _fills(self, action: SettleTrade, began_ms: int) -> list[Fill]:
        """Read the trade's fills until they add up to flat."""
        client = self._hands.client
        side = self._hands.position_side(action.direction)
        fills: list[Fill] = []
        for attempt in range(_TRIES):
            with contextlib.suppress(VenueError):
                found = await client.get_fills(action.symbol, start_ms=began_ms - _MARGIN_MS)
                own = [row for row in found if row.position_side is side]
                fills = round_trip(own, self._entry_orders(action.decision_id))
                if fills and sum(row.quantity * row.side.sign for row in fills) == 0:
                    break
            # The ledger may trail the position by a moment.
            await self._hands.clock.sleep(_PAUSE_S * (attempt + 1))
        return fills

    async def _rates(self, fills: Sequence[Fill]) -> dict[str, Decimal]:
        """Return what the assets are worth that fees were paid in, as far as it can be read."""
        rates: dict[str, Decimal] = {}
        for asset in others(row.commission_asset for row in fills):
            with contextlib.suppress(VenueError):
                mark = await self._hands.client.get_mark_price(rate_symbol(asset))
                rates[asset] = mark.mark_price
        return rates

    async def _funding(self, action: SettleTrade, began_ms: int) -> Decimal:
        client, funding = self._hands.client, ZERO
        if client.venue_now_ms() // _HOUR_MS != began_ms // _HOUR_MS:
            with contextlib.suppress(VenueError):
                income = await client.get_income(
                    start_ms=began_ms, income_type=IncomeType.FUNDING_FEE
                )
                funding = sum((row.amount for row in income if row.symbol == action.symbol), ZERO)
        return funding

    def _entry_orders(self, decision_id: str) -> set[str]:
        """Return the exchange's ids of the orders that opened the trade, as far as known."""
        with contextlib.suppress(JournalUnavailable):
            return {
                str(intent.outcome["order_id"])
                for intent in self._hands.journal.intents_of(decision_id)
                if intent.leg is Leg.ENTRY and "order_id" in intent.outcome
            }
        return set()

    async def _exit_reason(self, action: SettleTrade, last: Fill | None) -> str:
        """Return what ended it, as the advisors' users know it."""
        if action.reason in _OWN_REASONS:
            return _OWN_REASONS[action.reason]
        if action.reason != "closed at the exchange" or last is None:
            return action.reason
        with contextlib.suppress(TraderError):
            order = await self._hands.client.get_order_status(action.symbol, last.order_id)
            intent = self._hands.journal.intent(order.client_order_id)
            if intent is not None:
                return _REASONS.get(intent.leg, "EXIT")
            if order.client_order_id.startswith("autoclose-"):
                return "LIQUIDATION"
            if order.client_order_id == "adl_autoclose":
                return "ADL"
            return "MANUAL"
        return action.reason


def round_trip(fills: Sequence[Fill], entry_orders: Container[str]) -> list[Fill]:
    """Return the fills from the first of `entry_orders` until the position was flat again.

    What lies around them is another trade's: a flip's other half ends within the same second.
    Where no entry is among them nothing can be told apart, and all count.
    """
    ordered = sorted(fills, key=lambda row: (row.time_ms, row.trade_id))
    own = [index for index, row in enumerate(ordered) if str(row.order_id) in entry_orders]
    trade = ordered[own[0] :] if own else ordered
    running = ZERO
    for index, row in enumerate(trade):
        running += row.quantity * row.side.sign
        if running == 0:
            return trade[: index + 1]
    return trade


def _add_up(fills: Sequence[Fill], direction: Direction, rates: Rates) -> _Sums:
    entries = [row for row in fills if row.side is direction.entry_side]
    exits = [row for row in fills if row.side is direction.exit_side]
    sold = sum((row.quantity for row in exits), ZERO)
    return _Sums(
        realized=sum((row.realized_pnl for row in fills), ZERO),
        fees=sum((in_usdt(row.commission, row.commission_asset, rates) for row in fills), ZERO),
        fee_assets=frozenset(row.commission_asset for row in fills),
        entry_notional=sum((row.quantity * row.price for row in entries), ZERO),
        last=max(exits, key=lambda row: (row.time_ms, row.trade_id), default=None),
        exit_price=sum((row.quantity * row.price for row in exits), ZERO) / sold if sold else None,
    )

"""What the venue does on its own: funding every eight hours, margin calls, liquidation, ADL.

Source: binance-usdm reference §11.5, §13.4, §13.6; the exchange's notes on liquidation, by which
nobody is liquidated further than needed, and on auto-deleveraging, which charges nothing. How much
is taken over at once is this venue's own rule: what falls into the next lower bracket, again and
again, until the rest stands; of a cross account first of the position that needs most margin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import OrderStatus
from trader_cli.paper.books import ledger, margin
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.venue import events
from trader_cli.paper.venue.core import Core
from trader_cli.paper.venue.settlement import Settlement

FUNDING_INTERVAL_MS: Final = 8 * 3_600_000
WARNING_RATIO: Final = Decimal("1.25")
"""A margin call comes when the margin is less than this many times the maintenance margin."""

_WARNING_PAUSE_MS: Final = 3_600_000


class Clearing:
    """Funding and liquidation of one account."""

    def __init__(self, core: Core, settlement: Settlement, now_ms: int) -> None:
        self._core = core
        self._settlement = settlement
        self.next_funding_ms = next_funding(now_ms)
        self._warned_ms: dict[str, int] = {}

    def settle_funding(self) -> None:
        """Book the funding fees of the time that has come; it becomes the next one."""
        core = self._core
        settled_ms = self.next_funding_ms
        self.next_funding_ms = settled_ms + FUNDING_INTERVAL_MS
        for of, position in list(core.account.positions()):
            settled = core.market.funding_settled(of.symbol, settled_ms)
            amount = ledger.funding_payment(position.amount, settled.mark_price, settled.rate)
            if amount == 0:
                continue
            core.post_income("FUNDING_FEE", amount, settled_ms, symbol=of.symbol)
            if of.isolated:
                position.isolated_wallet += amount
            else:
                core.account.cross_wallet += amount
            core.touch(of)
            changed = [(of, position)] if of.isolated else []
            core.emit_account("FUNDING_FEE", settled_ms, *changed, change=amount, symbol=of.symbol)

    def check(self, of: SymbolAccount, now_ms: int) -> bool:
        """Warn or liquidate after a symbol's mark has moved; True if it was liquidated."""
        if of.isolated:
            liquidated = False
            for position in of.held():
                balance = position.isolated_wallet + position.unrealized(of.mark)
                needed = of.maintenance_of(position)
                if balance <= needed:
                    self._liquidate_isolated(of, position, now_ms)
                    liquidated = True
                elif balance <= needed * WARNING_RATIO:
                    self._warn(of, position, now_ms)
            return liquidated
        return bool(of.held()) and self._check_cross(now_ms)

    def _check_cross(self, now_ms: int) -> bool:
        account = self._core.account
        if account.cross_balance > account.maintenance:
            if account.cross_balance <= account.maintenance * WARNING_RATIO:
                self._warn_cross(now_ms)
            return False
        for of in account.symbols.values():
            if not of.isolated:
                self._expire_orders(of, now_ms)
        while account.maintenance > 0 and account.cross_balance <= account.maintenance:
            of, position = max(
                ((of, p) for of, p in account.positions() if not of.isolated),
                key=lambda pair: pair[0].maintenance_of(pair[1]),
            )
            self._take_over(of, position, now_ms, quantity=_down_a_bracket(of, position))
        if account.cross_wallet < 0 and account.maintenance == 0:
            self._clear_deficit(-account.cross_wallet, now_ms, None)
        return True

    def _liquidate_isolated(
        self, of: SymbolAccount, position: ledger.PositionRecord, now_ms: int
    ) -> None:
        account = self._core.account
        floor = account.cross_wallet
        self._expire_orders(of, now_ms)
        while position.amount and _is_short_of_margin(of, position):
            quantity = _down_a_bracket(of, position)
            self._take_over(of, position, now_ms, quantity=quantity, spared=floor)
        if account.cross_wallet < floor:
            self._clear_deficit(floor - account.cross_wallet, now_ms, of)

    def deleverage(
        self,
        of: SymbolAccount,
        position: ledger.PositionRecord,
        now_ms: int,
        *,
        quantity: Decimal,
        price: Decimal,
    ) -> None:
        """Close a part of a position against somebody's bankruptcy, at its price and without a fee.

        The symbol's open orders are cancelled first; conditional ones are no part of the engine and
        stay.
        """
        for order in list(of.orders.values()):
            self._settlement.end(of, order, OrderStatus.CANCELED, now_ms)
        self._settlement.force_close(
            of, position, price, ZERO, now_ms, quantity=quantity, deleveraged=True
        )

    def _take_over(
        self,
        of: SymbolAccount,
        position: ledger.PositionRecord,
        now_ms: int,
        *,
        quantity: Decimal,
        spared: Decimal = ZERO,
    ) -> None:
        """Close a part of a position at the touch and charge the liquidation fee on it.

        Args:
            spared: the part of the cross wallet that is not this position's; what an isolated
                position has beyond it goes back to what is left of it.
        """
        tick = of.tick
        price = tick.bid if position.amount > 0 else tick.ask
        notional = quantity * price
        fee = ledger.commission(notional, of.contract.taker_fee)
        self._settlement.force_close(of, position, price, fee, now_ms, quantity=quantity)
        penalty = ledger.to_ledger(notional * of.contract.instrument.liquidation_fee)
        account = self._core.account
        penalty = min(penalty, max(ZERO, account.cross_wallet - spared))
        account.cross_wallet -= penalty
        if of.isolated and position.amount:
            position.isolated_wallet += account.cross_wallet - spared
            account.cross_wallet = spared
        self._core.post_income("INSURANCE_CLEAR", -penalty, now_ms, symbol=of.symbol)
        self._core.touch(of)
        self._core.emit_account("INSURANCE_CLEAR", now_ms, (of, position), change=-penalty)

    def _clear_deficit(self, amount: Decimal, now_ms: int, of: SymbolAccount | None) -> None:
        """Let the insurance fund pay what a liquidation lost beyond the margin."""
        core = self._core
        core.account.cross_wallet += amount
        core.post_income("INSURANCE_CLEAR", amount, now_ms, symbol="" if of is None else of.symbol)
        core.emit_account("INSURANCE_CLEAR", now_ms, change=amount)

    def _expire_orders(self, of: SymbolAccount, now_ms: int) -> None:
        for order in list(of.orders.values()):
            self._settlement.expire(order, now_ms, liquidated=True)

    def _warn(self, of: SymbolAccount, position: ledger.PositionRecord, now_ms: int) -> None:
        if self._may_warn(of.symbol + position.side, now_ms):
            self._core.tell(events.margin_call, None, [(of, position)], now_ms)

    def _warn_cross(self, now_ms: int) -> None:
        if not self._may_warn("", now_ms):
            return
        account = self._core.account
        positions = [(of, p) for of, p in account.positions() if not of.isolated]
        self._core.tell(events.margin_call, account.cross_wallet, positions, now_ms)

    def _may_warn(self, key: str, now_ms: int) -> bool:
        if now_ms - self._warned_ms.get(key, -_WARNING_PAUSE_MS) < _WARNING_PAUSE_MS:
            return False
        self._warned_ms[key] = now_ms
        return True


def _is_short_of_margin(of: SymbolAccount, position: ledger.PositionRecord) -> bool:
    balance = position.isolated_wallet + position.unrealized(of.mark)
    return balance <= of.maintenance_of(position)


def _down_a_bracket(of: SymbolAccount, position: ledger.PositionRecord) -> Decimal:
    """Return how much must go for the rest to fall into the next lower bracket; all of the first.

    A large position loses margin requirement with every bracket, so that little may have to go.
    """
    size = abs(position.amount)
    bracket = margin.bracket_of(of.contract.brackets, size * of.mark)
    kept = round_down_to_step(
        bracket.notional_floor / of.mark, of.contract.instrument.quantity_step
    )
    return size - kept if kept < size else size


def next_funding(now_ms: int) -> int:
    """Return the first funding time after `now_ms`: 00, 08 and 16 o'clock UTC."""
    return now_ms // FUNDING_INTERVAL_MS * FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS

"""What the account's owner may configure: leverage, margin type, position mode, isolated margin.

Source: binance-usdm reference §5.3, §8, §13.6.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum, unique

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import PositionSide
from trader_cli.paper.books import ledger, margin
from trader_cli.paper.books.account import SymbolAccount
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import MarginMoveRecord
from trader_cli.paper.venue import events
from trader_cli.paper.venue.core import Core


@unique
class MarginWord(StrEnum):
    """As requests spell the margin type."""

    ISOLATED = "ISOLATED"
    CROSSED = "CROSSED"


class SettingsDesk:
    """Changes of configuration; each is refused or done at once."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def set_leverage(self, of: SymbolAccount, leverage: int, now_ms: int) -> None:
        """Change a symbol's leverage; what is held and resting must still be covered."""
        account, brackets = self._core.account, of.contract.brackets
        if not 1 <= leverage <= margin.leverage_max(brackets):
            raise VenueRefusal(-4028, leverage)
        if leverage == of.leverage:
            return
        held = of.held()
        if of.isolated and held and leverage < of.leverage:
            raise VenueRefusal(-4161)
        largest = max((abs(p.amount) * of.mark for p in held), default=ZERO)
        if largest + sum(of.resting.values(), ZERO) > margin.notional_max(brackets, leverage):
            raise VenueRefusal(-2027)
        before, available = of.leverage, account.available
        needed = of.need.total
        of.set_leverage(leverage)
        if of.need.total - needed > available:
            of.set_leverage(before)
            raise VenueRefusal(-2028)
        account.stir(of)
        self._core.touch(of)
        self._core.tell(events.leverage_update, of.symbol, leverage, now_ms)

    def set_margin_type(self, of: SymbolAccount, word: MarginWord, now_ms: int) -> None:
        """Change a flat symbol without orders between cross and isolated."""
        isolated = word is MarginWord.ISOLATED
        if isolated is of.isolated:
            raise VenueRefusal(-4046)
        if of.orders or of.algos:
            raise VenueRefusal(-4047)
        if of.held():
            raise VenueRefusal(-4048)
        of.isolated = isolated
        self._core.account.stir(of)
        self._core.touch(of)
        side = PositionSide.LONG if self._core.account.hedge else PositionSide.BOTH
        self._core.emit_account("MARGIN_TYPE_CHANGE", now_ms, (of, of.position(side)))

    def set_position_mode(self, *, hedge: bool) -> None:
        """Change between one-way and hedge mode; the whole account must be flat."""
        account = self._core.account
        if hedge is account.hedge:
            raise VenueRefusal(-4059)
        if any(of.orders or of.algos for of in account.symbols.values()):
            raise VenueRefusal(-4067)
        if any(True for _ in account.positions()):
            raise VenueRefusal(-4068)
        account.set_hedge(hedge=hedge)
        for of in account.symbols.values():
            self._core.touch(of)

    def move_margin(
        self, of: SymbolAccount, side: PositionSide, amount: Decimal, kind: int, now_ms: int
    ) -> None:
        """Add (`kind` 1) to an isolated position's wallet, or take out of it (2)."""
        core, account = self._core, self._core.account
        if kind not in (1, 2):
            raise VenueRefusal(-1130, "type")
        if amount <= 0:
            raise VenueRefusal(-4055)
        if not of.isolated:
            raise VenueRefusal(-4049)
        position = of.positions.get(side)
        if position is None or position.amount == 0:
            raise VenueRefusal(-4054)
        amount = ledger.to_ledger(amount)
        if kind == 1:
            if amount > account.available:
                raise VenueRefusal(-4050)
            signed = amount
        else:
            needed = abs(position.amount) * of.mark / of.leverage
            loss = min(ZERO, position.unrealized(of.mark))
            if amount > position.isolated_wallet + loss - needed:
                raise VenueRefusal(-4051)
            signed = -amount
        position.isolated_wallet += signed
        account.cross_wallet -= signed
        account.updated_ms = position.updated_ms = now_ms
        core.touch(of)
        core.changes.margin_moves.append(
            MarginMoveRecord(
                move_id=core.next_id("margin_moves"),
                symbol=of.symbol,
                position_side=side,
                type=kind,
                amount=amount,
                time_ms=now_ms,
            )
        )
        core.emit_account("MARGIN_TRANSFER", now_ms, (of, position))

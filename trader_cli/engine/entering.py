"""Carry out one entry of a decision: clamp, size, open or add, and tell what came of it.

Knows what a decision's numbers become under our limits; must not know why it is wanted, nor how
orders are worked and stops placed: that is the position manager's. Whatever goes wrong ends in
exactly one `EntryEnded`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trader_cli.domain.account import Position
from trader_cli.domain.numbers import BPS, ONE, ZERO
from trader_cli.domain.order import Order
from trader_cli.domain.protection import note_on_target
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.signal import Signal
from trader_cli.domain.terms import PositionSide
from trader_cli.engine.actions import Enter
from trader_cli.engine.facts import EntryEnded, PositionSeen
from trader_cli.engine.hands import Hands, shown
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.remembered import DECISION, REFUSAL, decision_row, refusal_row
from trader_cli.errors import RefusedByRisk, TraderError
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.trading.orders.order_tracker import NOTE_JOURNAL_MS
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_terms import Opened
from trader_cli.trading.risk.risk_terms import Refused
from trader_cli.trading.risk.sizing import Sized, clamp_leverage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizing:
    """What may be entered, and everything that was cut to get there."""

    sized: Sized
    notes: tuple[str, ...]


class Entering:
    """Enters for decisions, one at a time for each symbol."""

    def __init__(self, hands: Hands, protecting: Protecting) -> None:
        self._hands = hands
        self._protecting = protecting

    async def enter(
        self, action: Enter, *, cancelled: asyncio.Event, halted: asyncio.Event
    ) -> None:
        """Carry `action` out to its end; `cancelled` and `halted` withdraw what is not filled."""
        filled, reason = ZERO, "withdrawn before it was sent"
        try:
            if not cancelled.is_set():
                opened = await self._work(action, cancelled, halted)
                filled, reason = opened.entry.filled_quantity, opened.entry.reason.value
        except TraderError as error:
            reason = error.message
            self._refused(action, error)
        finally:
            self._hands.tell(
                EntryEnded(
                    symbol=action.symbol,
                    decision_id=action.signal.decision_id,
                    filled=filled,
                    reason=reason,
                )
            )

    async def _work(self, action: Enter, cancelled: asyncio.Event, halted: asyncio.Event) -> Opened:
        hands, signal, symbol = self._hands, action.signal, action.symbol
        if not action.is_add:
            await self._refuse_beside_others(action)
        spec = protection_of(signal, hands.bridge)
        sizing = await self._size(action, spec)
        row = decision_row(signal, symbol, action.direction, is_add=action.is_add)
        await hands.journal.record_aside(DECISION, row)
        hands.views.note_entry()
        self._report_plan(action, sizing)
        if not action.is_add:
            self._protecting.adopt(symbol, spec, signal, sizing.sized.leverage)

        def still_wanted() -> bool:
            age_ms = hands.clock.now_ms() - (signal.decided_ms or 0)
            return age_ms <= hands.bridge.max_age_ms and not halted.is_set()

        if action.is_add:
            opened = await hands.positions.add_to_position(
                symbol,
                source=signal.decision_id,
                spec=spec,
                quantity=sizing.sized.quantity,
                position_side=hands.position_side(action.direction),
                cancelled=cancelled,
                still_wanted=still_wanted,
            )
        else:
            opened = await hands.positions.open_position(
                symbol,
                action.direction,
                source=signal.decision_id,
                spec=spec,
                quantity=sizing.sized.quantity,
                leverage=sizing.sized.leverage,
                cancelled=cancelled,
                still_wanted=still_wanted,
                on_first_fill=lambda order: self._first_fill(action, order),
            )
        self._report_result(action, opened)
        self._protecting.opened(symbol, opened)
        return opened

    async def _refuse_beside_others(self, action: Enter) -> None:
        """Refuse to open where somebody else's position is: the two would become one.

        The picture may still show what was just closed, so the exchange is asked before that.
        """
        hands, symbol = self._hands, action.symbol
        side = hands.position_side(action.direction)
        if not _is_held(hands.mirror.positions(symbol), side):
            return
        if _is_held(await hands.client.get_position_risk(symbol), side):
            raise RefusedByRisk(
                f"{symbol} {side} is held already, and not by this engine",
                code="not_own_position",
                advice="Close it, or give it to the engine by `trader position adopt`.",
            )

    async def _size(self, action: Enter, spec: ProtectionSpec) -> _Sizing:
        """Return what may be entered, after setting the leverage it is sized with."""
        hands, signal, symbol = self._hands, action.signal, action.symbol
        direction = action.direction
        leverage, notes = await self._leverage(action)
        view = await hands.views.read(symbol)
        top = await hands.board.book(symbol)
        slip = ONE + direction.sign * hands.entry.taker_slippage_bps / BPS
        sized = hands.risk.size_for_signal(
            symbol=symbol,
            direction=direction,
            capital=hands.bridge.capital_usd or view.equity,
            size_pct=signal.size_pct or hands.bridge.default_size_pct,
            leverage=leverage,
            price=top.far(direction.entry_side) * slip,
            view=view,
            position_side=hands.position_side(direction),
        )
        if isinstance(sized, Refused):
            raise sized.error()
        touch = top.touch(direction.entry_side)
        instrument = await hands.orders.instrument(symbol)
        target = spec.plan(instrument, direction, touch, leverage).take_profit_price
        warning = None if target is None else note_on_target(direction, target, entry=touch)
        return _Sizing(
            sized=sized,
            notes=(*notes, *sized.notes, *(() if warning is None else (warning,))),
        )

    async def _leverage(self, action: Enter) -> tuple[int, tuple[str, ...]]:
        """Return the leverage in effect for the entry; an addition keeps the position's."""
        hands, symbol = self._hands, action.symbol
        if action.is_add:
            return hands.mirror.leverages[symbol], ()
        brackets = await hands.client.get_leverage_brackets(symbol)
        asked = action.signal.leverage or Decimal(
            hands.bridge.default_leverage or hands.risk.limits.max_leverage
        )
        venue_max = max(row.leverage_max for row in brackets)
        clamped = clamp_leverage(asked, hands.risk.limits, venue_max=venue_max)
        in_effect = await hands.positions.set_leverage(symbol, clamped.value)
        hands.mirror.take_leverage(symbol, in_effect)
        return in_effect, clamped.notes

    def _first_fill(self, action: Enter, order: Order) -> None:
        """Tell at once that there is a position: whose it is must be known before its events."""
        self._protecting.saw(action.symbol, held=True, has_stop=False)
        self._hands.tell(
            PositionSeen(
                symbol=action.symbol,
                direction=action.direction,
                quantity=order.filled_quantity,
                entry_price=order.average_price or order.price,
            )
        )

    def _refused(self, action: Enter, error: TraderError) -> None:
        rule = str(error.code or error.kind)
        with contextlib.suppress(JournalUnavailable):
            row = refusal_row(action.signal, rule, error.message)
            self._hands.journal.record(REFUSAL, row, deadline_ms=NOTE_JOURNAL_MS)
        self._hands.report(
            "refused",
            {
                "decision": action.signal.decision_id,
                "advisor": action.signal.advisor,
                "symbol": action.symbol,
                "command": action.signal.command_text,
                "rule": rule,
                "message": error.message,
            },
        )

    def _report_plan(self, action: Enter, sizing: _Sizing) -> None:
        sized = sizing.sized
        self._hands.report(
            "signal",
            {
                "decision": action.signal.decision_id,
                "advisor": action.signal.advisor,
                "symbol": action.symbol,
                "command": action.signal.command_text,
                "direction": action.direction.value,
                "add": action.is_add,
                "quantity": shown(sized.quantity),
                "notional": shown(round(sized.notional, 2)),
                "leverage": sized.leverage,
                "leverage_asked": shown(action.signal.leverage),
                "notes": list(sizing.notes),
            },
        )

    def _report_result(self, action: Enter, opened: Opened) -> None:
        entry = opened.entry
        self._hands.report(
            "order",
            {
                "decision": action.signal.decision_id,
                "symbol": action.symbol,
                "side": action.direction.entry_side.value,
                "filled_quantity": shown(entry.filled_quantity),
                "average_price": shown(entry.average_price),
                "maker_quantity": shown(entry.maker_quantity),
                "client_order_ids": [row.client_order_id for row in entry.orders],
                "ended": entry.reason.value,
                "notes": list(opened.notes),
            },
        )


def _is_held(positions: Iterable[Position], side: PositionSide) -> bool:
    return any(row.position_side is side and not row.is_flat for row in positions)


def protection_of(signal: Signal, rules: BridgeRules) -> ProtectionSpec:
    """Return the exits a decision wants, the configured ones where it gives none."""
    both = None not in (signal.trailing_activation_roi_pct, signal.trailing_distance_roi_pct)
    return ProtectionSpec(
        stop_roi_pct=signal.stop_roi_pct or rules.default_stop_roi_pct,
        take_profit_roi_pct=signal.take_profit_roi_pct or rules.default_take_profit_roi_pct,
        trailing_activation_roi_pct=signal.trailing_activation_roi_pct if both else None,
        trailing_distance_roi_pct=signal.trailing_distance_roi_pct if both else None,
    )

"""Keep the engine's own positions stopped, and measure how long each was not.

Knows which exits belong beside a position and tells when they rest or cannot; what a naked
position leads to is decided in `decide`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Position
from trader_cli.domain.order import AlgoOrder
from trader_cli.domain.signal import Signal
from trader_cli.domain.terms import AlgoStatus
from trader_cli.engine.facts import PositionSeen, ProtectionSeen, StopPassed
from trader_cli.engine.hands import Hands, shown
from trader_cli.errors import TraderError
from trader_cli.trading.orders.brackets import Protection, Resting, covers
from trader_cli.trading.orders.flatness import held_position
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.position_terms import Opened

_STUCK_MS: Final = 2_000
"""A stop that fires has been sent on within milliseconds; longer, and it is stuck."""

_RESOLVE_S: Final = 1.0
"""How long a doubtful stop is asked about before another is placed: it may only reduce."""


def is_stuck(order: AlgoOrder, now_ms: int) -> bool:
    """Return True if the order has been firing for longer than firing takes.

    Source: binance-usdm reference §7.4, orders stuck in TRIGGERING.
    """
    return order.status is AlgoStatus.TRIGGERING and now_ms - order.updated_ms > _STUCK_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What belongs beside a position."""

    spec: ProtectionSpec
    signal: Signal
    leverage: int


class Protecting:
    """Verifies and restores the exits of the engine's positions."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._wishes: dict[str, _Wish] = {}
        self._naked_since: dict[str, int] = {}
        self._naked_ms: dict[str, int] = {}

    def adopt(self, symbol: str, spec: ProtectionSpec, signal: Signal, leverage: int) -> None:
        """Know what a position that is being opened, or was opened by an earlier run, wants."""
        self._wishes[symbol] = _Wish(spec=spec, signal=signal, leverage=leverage)

    def leverage_of(self, symbol: str) -> int | None:
        """Return the leverage the position's exits are worked out with, None if unknown."""
        wish = self._wishes.get(symbol)
        return None if wish is None else wish.leverage

    def is_for_another(self, symbol: str, decision_id: str) -> bool:
        """Return True if what is looked after on the symbol is another decision's."""
        wish = self._wishes.get(symbol)
        return wish is not None and wish.signal.decision_id != decision_id

    def forget(self, symbol: str) -> int:
        """Forget a position that ended and return the milliseconds it was unprotected in all."""
        self._wishes.pop(symbol, None)
        self._close_gap(symbol)
        return self._naked_ms.pop(symbol, 0)

    def unprotected_ms(self, symbol: str) -> int:
        """Return how long the present position has been without a stop so far, in all."""
        since = self._naked_since.get(symbol)
        running = 0 if since is None else self._hands.clock.now_ms() - since
        return self._naked_ms.get(symbol, 0) + running

    def is_covered(self, position: Position) -> bool:
        """Return True if a stop that closes the whole position rests, as far as we know.

        One that is stuck while it fires is none.
        """
        now_ms = self._hands.client.venue_now_ms()
        rows = self._hands.mirror.algos(position.symbol)
        return any(covers(position, row) and not is_stuck(row, now_ms) for row in rows)

    def saw(self, symbol: str, *, held: bool, has_stop: bool) -> None:
        """Take in what rests at the exchange beside a position, for the measurement."""
        if held and not has_stop:
            self._naked_since.setdefault(symbol, self._hands.clock.now_ms())
        else:
            self._close_gap(symbol)

    def opened(self, symbol: str, opened: Opened) -> None:
        """Tell what an entry left behind: a protected position, a naked one, or none."""
        position, wish = opened.position, self._wishes.get(symbol)
        if position is None or wish is None:
            if opened.closed is not None:
                self._see_position(symbol, None)
            return
        self._see_position(symbol, position)
        if opened.protection is not None:
            self._tell(position, opened.protection, wish.signal)

    async def restore(self, symbol: str) -> None:
        """Make everything that belongs beside the position rest; doing it again changes nothing."""
        wish = self._wishes.get(symbol)
        if wish is None:
            return
        hands = self._hands
        direction = wish.signal.command.direction
        assert direction is not None, "only directional decisions open positions"
        side = hands.position_side(direction)
        try:
            position = await held_position(hands.client, hands.clock, symbol, side)
            instrument = await hands.orders.instrument(symbol)
        except TraderError as error:
            self._warn(symbol, error.message)
            return
        self._see_position(symbol, position)
        if position is None:
            return
        plan = wish.spec.plan(instrument, position.direction, position.entry_price, wish.leverage)
        done = await hands.orders.protect(
            position, plan, source=wish.signal.decision_id, resolve_s=_RESOLVE_S
        )
        self._tell(position, done, wish.signal)

    def _see_position(self, symbol: str, position: Position | None) -> None:
        self._hands.tell(
            PositionSeen(
                symbol=symbol,
                direction=None if position is None else position.direction,
                quantity=Decimal(0) if position is None else abs(position.quantity),
                entry_price=Decimal(0) if position is None else position.entry_price,
            )
        )

    def _tell(self, position: Position, done: Protection, signal: Signal) -> None:
        symbol = position.symbol
        if done.must_close:
            self._hands.tell(StopPassed(symbol=symbol, message="price is through the stop"))
            return
        for part in (done.stop, done.take_profit, done.trailing):
            if isinstance(part, Resting):
                self._hands.mirror.take_algo(part.order)
        if isinstance(done.stop, Resting):
            has_stop = covers(position, done.stop.order)
            self.saw(symbol, held=True, has_stop=has_stop)
            self._hands.tell(ProtectionSeen(symbol=symbol, has_stop=has_stop))
            self._report_protected(position, done, signal)
        for problem in done.problems:
            self._warn(symbol, problem.message)

    def _report_protected(self, position: Position, done: Protection, signal: Signal) -> None:
        parts = {
            "stop_price": done.stop,
            "take_profit_price": done.take_profit,
            "trailing_activate_price": done.trailing,
        }
        prices = {
            name: shown(part.order.trigger_price or part.order.activate_price)
            if isinstance(part, Resting)
            else None
            for name, part in parts.items()
        }
        rate = done.trailing.order.callback_rate if isinstance(done.trailing, Resting) else None
        self._hands.report(
            "protected",
            {
                "decision": signal.decision_id,
                "symbol": position.symbol,
                "side": position.direction.value,
                "quantity": shown(abs(position.quantity)),
                "entry_price": shown(position.entry_price),
                **prices,
                "trailing_callback_rate": shown(rate),
                "liquidation_price": shown(position.liquidation_price),
                "leverage": self.leverage_of(position.symbol),
                "unprotected_ms": self.unprotected_ms(position.symbol),
            },
        )

    def _warn(self, symbol: str, message: str) -> None:
        self._hands.report("warning", {"symbol": symbol, "kind": "protection", "message": message})

    def _close_gap(self, symbol: str) -> None:
        since = self._naked_since.pop(symbol, None)
        if since is not None:
            gap = self._hands.clock.now_ms() - since
            self._naked_ms[symbol] = self._naked_ms.get(symbol, 0) + gap

"""What news means to the decisions: each piece is taken into the picture and becomes facts.

Runs only in the one consumer, so the mirror and the measurement of unprotected time have one
owner. It knows what an event says; what follows from it is decided in `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trader_cli.bridge.confirm import (
    AdvisorNotice,
    BridgeEvent,
    SignalSeen,
    wants_action,
)
from trader_cli.bridge.confirm import SignalConfirmed as BridgeConfirmed
from trader_cli.bridge.confirm import SignalWithdrawn as BridgeWithdrawn
from trader_cli.bridge.freshness import judge
from trader_cli.bridge.reader import TornFile
from trader_cli.domain.account import Position
from trader_cli.domain.account_events import (
    AccountUpdated,
    AlgoUpdated,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
    RowQuarantined,
    StreamGap,
    StreamOpened,
    UserEvent,
)
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.rules import BridgeRules, ForeignPolicy, ForeignRules
from trader_cli.domain.terms import Direction, PositionSide
from trader_cli.engine.facts import (
    Fact,
    GapSeen,
    PositionSeen,
    ProtectionSeen,
    Reconciled,
    SignalConfirmed,
    SignalWithdrawn,
    TradeFoundOver,
)
from trader_cli.engine.hands import Hands, shown
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.readings import Reading, held_position
from trader_cli.engine.recovering import Recovered
from trader_cli.engine.state import EngineState

News = UserEvent | BridgeEvent | Reading | Recovered


class Intake:
    """Turns news into facts; `state` reads what the engine believes now."""

    def __init__(
        self,
        hands: Hands,
        protecting: Protecting,
        *,
        symbols: Sequence[str],
        foreign: ForeignRules,
        state: Callable[[], EngineState],
        on_booked: Callable[[], None],
        on_stream: Callable[[bool], None],
    ) -> None:
        """
        Args:
            on_booked: called when something changed the wallet.
            on_stream: called with True when the user stream opened, False when it broke.
        """
        self._hands = hands
        self._protecting = protecting
        self._symbols = tuple(symbols)
        self._foreign = foreign
        self._state = state
        self._on_booked = on_booked
        self._on_stream = on_stream
        self._sections: set[tuple[str, str]] = set()
        self._beside: set[tuple[str, PositionSide]] = set()

    def facts_of(self, news: News) -> Sequence[Fact]:
        """Take in one piece of news and return what it means."""
        mirror = self._hands.mirror
        match news:
            case Reading():
                return self._take_reading(news)
            case Recovered():
                return self._take_recovered(news)
            case OrderUpdated():
                return self._take_order(news)
            case AlgoUpdated():
                mirror.apply(news)
                self._hands.orders.observe(news)
                return self._protection_of(news.order.symbol)
            case AccountUpdated():
                mirror.apply(news)
                self._on_booked()
                changed = dict.fromkeys(row.symbol for row in news.positions)
                return [fact for symbol in changed for fact in self._position_facts(symbol)]
            case LeverageChanged():
                mirror.apply(news)
                return ()
            case MarginCalled():
                self._warn("margin_call", f"margin call on {', '.join(news.symbols)}")
                return ()
            case StreamOpened():
                self._on_stream(True)
                return ()
            case StreamGap() | RowQuarantined():
                return self._take_gap(news)
            case _:
                return self._take_bridge(news)

    def is_covered(self, symbol: str) -> bool:
        """Return True if a stop covers the symbol's position, whoever's it is."""
        position = self._position_of(symbol)
        return position is not None and self._protecting.is_covered(position)

    def _take_order(self, event: OrderUpdated) -> Sequence[Fact]:
        mirror, fill = self._hands.mirror, event.fill
        is_news = fill is not None and not mirror.knows_fill(fill)
        mirror.apply(event)
        self._hands.orders.observe(event)
        if fill is None or not is_news:
            return ()
        self._on_booked()
        self._hands.report(
            "fill",
            {
                "symbol": fill.symbol,
                "client_order_id": event.order.client_order_id,
                "order_id": fill.order_id,
                "side": fill.side.value,
                "price": shown(fill.price),
                "quantity": shown(fill.quantity),
                "maker": fill.maker,
                "fee": shown(fill.commission),
                "fee_asset": fill.commission_asset,
                "realized_pnl": shown(fill.realized_pnl),
            },
        )
        return ()

    def _take_gap(self, event: StreamGap | RowQuarantined) -> Sequence[Fact]:
        if isinstance(event, StreamGap):
            self._on_stream(False)
        self._hands.report("gap", {"stream": event.stream, "reason": event.reason})
        return (GapSeen(stream=event.stream, reason=event.reason),)

    def _take_bridge(self, event: BridgeEvent) -> Sequence[Fact]:
        match event:
            case SignalSeen():
                self._show(event)
            case BridgeConfirmed():
                return (SignalConfirmed(signal=event.signal),)
            case BridgeWithdrawn():
                fact = SignalWithdrawn(decision_id=event.decision_id, command=event.new_command)
                return (fact,)
            case AdvisorNotice():
                self._warn("advisor", event.text)
            case TornFile():
                self._warn("bridge", f"{event.file} cannot be read: {event.reason}")
        return ()

    def _show(self, event: SignalSeen) -> None:
        """Tell what a section says the first time it is seen, later only what asks for action."""
        signal, rules = event.signal, self._hands.bridge
        key = signal.file, signal.section
        first = key not in self._sections
        self._sections.add(key)
        if not first and not wants_action(signal.command):
            return
        fields = section_fields(event, rules, now_ms=self._hands.clock.now_ms())
        self._hands.report("section" if first else "signal", fields)

    def _take_reading(self, reading: Reading) -> Sequence[Fact]:
        self._load(reading)
        return [fact for symbol in self._symbols for fact in self._position_facts(symbol)]

    def _load(self, reading: Reading) -> None:
        mirror = self._hands.mirror
        mirror.load_orders(
            reading.symbols, reading.orders, reading.algos, asked_ms=reading.asked_ms
        )
        mirror.load_positions(reading.positions, reading.configs, asked_ms=reading.asked_ms)

    def _load_elsewhere(self, recovered: Recovered) -> None:
        """Take in what rests of ours where readings do not look: it counts as exposure, too."""
        mirror, rows = self._hands.mirror, recovered.elsewhere
        known = {row.symbol for row in (*rows, *mirror.orders(), *mirror.algos())}
        mirror.load_orders(
            known - set(self._symbols),
            [row for row in rows if isinstance(row, Order)],
            [row for row in rows if isinstance(row, AlgoOrder)],
            asked_ms=recovered.listed_ms,
        )

    def _take_recovered(self, recovered: Recovered) -> Sequence[Fact]:
        """Take in a reconcile: the picture, whose the positions are, and that it may go on."""
        self._load(recovered.reading)
        self._load_elsewhere(recovered)
        self._hands.mirror.forgive_events()
        self._hands.mirror.load_wallet(
            recovered.wallet,
            asked_ms=recovered.reading.asked_ms,
            answered_ms=recovered.answered_ms,
        )
        self._on_booked()  # the ledger tells what nobody heard
        for found in recovered.owned:
            if self._protecting.leverage_of(found.symbol) is None:
                self._protecting.adopt(found.symbol, found.spec, found.signal, found.leverage)
        self._hands.report(
            "reconciled",
            {
                "resolved": recovered.resolved,
                "unresolved": list(recovered.unresolved),
                "cancelled_entries": list(recovered.cancelled),
                "drifts": list(recovered.drifts),
                "positions": len(recovered.reading.positions),
                "unclear": [row.symbol for row in recovered.unclear],
            },
        )
        owners = {row.symbol: row.ownership for row in recovered.owned}
        wanted = {row.symbol: row.signal.command.direction for row in recovered.owned}
        seen = [
            PositionSeen(
                symbol=symbol,
                direction=position.direction,
                quantity=abs(position.quantity),
                entry_price=position.entry_price,
                ownership=owners.get(symbol),
            )
            for symbol in self._symbols
            if (position := self._position_of(symbol, wanted.get(symbol))) is not None
        ]
        # What an earlier run opened and is gone by now ends like any other trade: settled, counted,
        # cooled down. What is held now, if anything, is another position, and nobody's heir.
        gone = [
            TradeFoundOver(seen=row.seen) for row in recovered.gone if row.seen.symbol not in owners
        ]
        facts: list[Fact] = [
            *gone,
            Reconciled(positions=tuple(seen), may_open=recovered.may_open),
        ]
        if not recovered.stream_is_open:
            facts.append(GapSeen(stream="user", reason="not connected"))
        return [*facts, *(fact for symbol in self._symbols for fact in self._protection_of(symbol))]

    def _position_facts(self, symbol: str) -> list[Fact]:
        if symbol not in self._symbols:
            return []
        position = self._position_of(symbol)
        self._tell_beside(symbol)
        seen = PositionSeen(
            symbol=symbol,
            direction=None if position is None else position.direction,
            quantity=ZERO if position is None else abs(position.quantity),
            entry_price=ZERO if position is None else position.entry_price,
        )
        return [seen, *self._protection_of(symbol)]

    def _tell_beside(self, symbol: str) -> None:
        """Tell once of a position beside our own: in hedge mode the other side is another's."""
        holding = self._state().holdings.get(symbol)
        rows = self._hands.mirror.positions(symbol)
        shown_now = {(symbol, row.position_side) for row in rows}
        is_told = self._foreign.policy(symbol) is not ForeignPolicy.IGNORE
        if is_told and holding is not None and holding.is_own and self._hands.hedge_mode:
            for row in rows:
                key = symbol, row.position_side
                if row.direction is not holding.direction and key not in self._beside:
                    self._beside.add(key)
                    size = shown(abs(row.quantity))
                    message = f"{symbol} {row.direction} {size} is not this engine's"
                    self._warn("foreign_position", message)
        self._beside -= {key for key in self._beside if key[0] == symbol} - shown_now

    def _position_of(self, symbol: str, owned: Direction | None = None) -> Position | None:
        """Return the position that the engine means; `owned` is the side just proven its own."""
        holding = self._state().holdings.get(symbol)
        rows = self._hands.mirror.positions(symbol)
        if owned is None and holding is not None and holding.is_own:
            owned = holding.direction
        if self._hands.hedge_mode and owned is not None:
            # The other side is another position, not what became of this one.
            rows = [row for row in rows if row.direction is owned]
        prefer = owned if holding is None else holding.direction
        return held_position(rows, symbol, prefer=prefer)

    def _protection_of(self, symbol: str) -> list[Fact]:
        if symbol not in self._symbols:
            return []
        position = self._position_of(symbol)
        if position is None:
            self._protecting.saw(symbol, held=False, has_stop=False)
            return []
        has_stop = self._protecting.is_covered(position)
        # How long somebody else's position has no stop is not counted as our next one's.
        is_ours = self._protecting.leverage_of(symbol) is not None
        self._protecting.saw(symbol, held=is_ours, has_stop=has_stop)
        return [ProtectionSeen(symbol=symbol, has_stop=has_stop)]

    def _warn(self, kind: str, message: str) -> None:
        self._hands.report("warning", {"kind": kind, "message": message})


def section_fields(event: SignalSeen, rules: BridgeRules, *, now_ms: int) -> dict[str, object]:
    """Return what is told of a section: its command, its age, and why it is or is not tradable."""
    signal = event.signal
    verdict = judge(
        signal,
        now_ms=now_ms,
        max_age_ms=rules.max_age_ms,
        future_tolerance_ms=rules.future_tolerance_ms,
    )
    superseded = event.superseded_by
    return {
        "file": signal.file,
        "section": signal.section,
        "advisor": signal.advisor,
        "decision": signal.decision_id,
        "command": signal.command_text,
        "age_s": None if verdict.age_ms is None else round(verdict.age_ms / 1000, 1),
        "tradable": verdict.tradable and superseded is None,
        "why": verdict.why if superseded is None else f"{verdict.why}; superseded by {superseded}",
        "problems": list(signal.problems),
    }

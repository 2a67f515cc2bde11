"""What the engine decides: every rule of a bridge decision, without prices, orders or time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
from trader_cli.engine.actions import (
    Action,
    DropEntry,
    Enter,
    Exit,
    KillAll,
    Protect,
    RaiseHalt,
    Reconcile,
    Refuse,
    SettleTrade,
    Warn,
)
from trader_cli.engine.decide import step
from trader_cli.engine.draft import EngineRules
from trader_cli.engine.facts import (
    EntryEnded,
    ExitEnded,
    Fact,
    GapSeen,
    HaltSeen,
    LossLimit,
    LossLimitReached,
    Ownership,
    PositionSeen,
    ProtectionSeen,
    Reconciled,
    Resumed,
    SignalConfirmed,
    SignalWithdrawn,
    Ticked,
    TradeClosed,
    TradeFoundOver,
)
from trader_cli.engine.state import EngineState

BRIDGE = BridgeRules()
RULES = EngineRules(bridge=BRIDGE)
S = "BTCUSDT"
T0 = 1_760_000_000_000
DAY_MS = 86_400_000


def signal(
    command: Command,
    at: int,
    *,
    advisor: str = "wolf",
    minutes: int | None = None,
    symbol: str | None = None,
) -> Signal:
    return Signal(
        advisor=advisor,
        file=f"ai_{advisor}_bridge.json",
        section=f"ai_to_{advisor}",
        command=command,
        command_text=command.value,
        timestamp_text=str(at),
        decided_ms=at,
        symbol=symbol,
        max_holding_minutes=None if minutes is None else Decimal(minutes),
    )


class Engine:
    """A state that facts are fed into, with the actions of the last fact at hand."""

    def __init__(self, state: EngineState | None = None, rules: EngineRules = RULES) -> None:
        self.rules = rules
        self.now = T0
        self.state = state or EngineState()
        self.all: list[Action] = []

    def feed(self, fact: Fact, *, after_ms: int = 0) -> tuple[Action, ...]:
        self.now += after_ms
        self.state, actions = step(self.state, fact, self.now, self.rules)
        self.all.extend(actions)
        return actions

    def says(
        self, command: Command, *, advisor: str = "wolf", age_ms: int = 0, after_ms: int = 0
    ) -> tuple[Action, ...]:
        self.now += after_ms
        return self.feed(
            SignalConfirmed(signal=signal(command, self.now - age_ms, advisor=advisor))
        )


def position(direction: Direction | None, *, owner: Ownership | None = None) -> PositionSeen:
    return PositionSeen(
        symbol=S,
        direction=direction,
        quantity=Decimal("0.01") if direction else Decimal(0),
        entry_price=Decimal(95000) if direction else Decimal(0),
        ownership=owner,
    )


def ready() -> Engine:
    engine = Engine()
    engine.feed(Reconciled(positions=()))
    return engine


def holding(direction: Direction = Direction.LONG, advisor: str = "wolf") -> Engine:
    """An engine whose entry was filled and is protected, a second ago."""
    engine = ready()
    command = Command.LONG if direction is Direction.LONG else Command.SHORT
    (enter,) = engine.says(command, advisor=advisor)
    assert isinstance(enter, Enter)
    engine.feed(position(direction), after_ms=500)
    engine.feed(ProtectionSeen(symbol=S, has_stop=True))
    engine.feed(
        EntryEnded(
            symbol=S, decision_id=enter.signal.decision_id, filled=Decimal("0.01"), reason="filled"
        ),
        after_ms=500,
    )
    return engine


def closed(engine: Engine, *, after_ms: int = 0) -> tuple[Action, ...]:
    """Let the exchange say flat, and the exit report back."""
    first = engine.feed(position(None), after_ms=after_ms)
    return first + engine.feed(ExitEnded(symbol=S, flat=True, reason="done"))


def kinds(actions: tuple[Action, ...]) -> list[type]:
    return [type(action) for action in actions]


def rule_of(actions: tuple[Action, ...]) -> str:
    refusals = [action for action in actions if isinstance(action, Refuse)]
    assert len(refusals) == 1, actions
    return refusals[0].rule


# --- entries -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "direction"), [(Command.LONG, Direction.LONG), (Command.SHORT, Direction.SHORT)]
)
def test_a_fresh_direction_enters_when_flat(command: Command, direction: Direction) -> None:
    (action,) = ready().says(command)

    assert isinstance(action, Enter)
    assert (action.direction, action.is_add) == (direction, False)


def test_one_decision_enters_at_most_once() -> None:
    engine = ready()
    fact = SignalConfirmed(signal=signal(Command.LONG, T0))

    first = engine.feed(fact)
    again = engine.feed(fact, after_ms=5_000)

    assert kinds(first) == [Enter]
    assert again == ()


@pytest.mark.parametrize(
    ("age_ms", "rule"),
    [(120_000, None), (120_001, "stale"), (-5_000, None), (-5_001, "future")],
)
def test_age_limits_are_inclusive(age_ms: int, rule: str | None) -> None:
    actions = ready().says(Command.LONG, age_ms=age_ms)

    if rule is None:
        assert kinds(actions) == [Enter]
    else:
        assert rule_of(actions) == rule


def test_a_decision_without_timestamp_is_refused() -> None:
    bare = replace(signal(Command.LONG, T0), timestamp_text=None, decided_ms=None)

    assert rule_of(ready().feed(SignalConfirmed(signal=bare))) == "no_timestamp"


def test_a_refused_decision_is_used_up() -> None:
    engine = ready()
    old = SignalConfirmed(signal=signal(Command.LONG, T0 - 600_000))

    assert rule_of(engine.feed(old)) == "stale"
    assert engine.feed(old) == ()


@pytest.mark.parametrize("command", [Command.HOLD, Command.WAIT, Command.UNKNOWN])
def test_hold_wait_and_unknown_never_do_anything(command: Command) -> None:
    assert ready().says(command) == ()
    assert holding().says(command) == ()


def test_a_repeated_direction_is_a_heartbeat_while_in_position_or_entering() -> None:
    engine = ready()
    engine.says(Command.LONG)

    assert engine.says(Command.LONG, after_ms=5_000) == ()
    assert holding().says(Command.LONG, after_ms=5_000) == ()


def test_add_when_flat_is_a_plain_entry() -> None:
    (action,) = ready().says(Command.ADD_LONG)

    assert isinstance(action, Enter)
    assert not action.is_add


def test_add_adds_once_per_timestamp() -> None:
    engine = holding()
    fact = SignalConfirmed(signal=signal(Command.ADD_LONG, engine.now))

    first = engine.feed(fact)
    again = engine.feed(fact)

    assert isinstance(first[0], Enter)
    assert first[0].is_add
    assert again == ()


def test_add_against_the_position_is_refused() -> None:
    assert rule_of(holding().says(Command.ADD_SHORT)) == "add_against"


def test_a_symbol_outside_the_run_is_refused() -> None:
    other = signal(Command.LONG, T0, symbol="DOGEUSDT")

    assert rule_of(ready().feed(SignalConfirmed(signal=other))) == "symbol"


def test_an_advisor_that_takes_its_command_back_drops_the_unfilled_entry() -> None:
    engine = ready()
    (enter,) = engine.says(Command.LONG)
    assert isinstance(enter, Enter)

    actions = engine.feed(
        SignalWithdrawn(decision_id=enter.signal.decision_id, command=Command.HOLD)
    )

    assert kinds(actions) == [DropEntry]


def test_a_taken_back_command_does_not_touch_what_is_filled() -> None:
    engine = ready()
    (enter,) = engine.says(Command.LONG)
    assert isinstance(enter, Enter)
    engine.feed(position(Direction.LONG))

    assert (
        engine.feed(SignalWithdrawn(decision_id=enter.signal.decision_id, command=Command.HOLD))
        == ()
    )


# --- exits ---------------------------------------------------------------------------------


def test_cut_loss_closes() -> None:
    (action,) = holding().says(Command.CUT_LOSS)

    assert action == Exit(symbol=S, direction=Direction.LONG, reason="CUT_LOSS")


def test_cut_loss_older_than_the_age_limit_counts_if_younger_than_the_entry() -> None:
    engine = holding()
    cut = signal(Command.CUT_LOSS, engine.now)

    (action,) = engine.feed(SignalConfirmed(signal=cut), after_ms=600_000)

    assert isinstance(action, Exit)


def test_cut_loss_older_than_entry_and_age_limit_is_refused() -> None:
    assert rule_of(holding().says(Command.CUT_LOSS, age_ms=120_001)) == "stale"


def test_cut_loss_while_flat_is_silent() -> None:
    assert ready().says(Command.CUT_LOSS) == ()


@pytest.mark.parametrize("may_open", [True, False])
def test_cut_loss_that_came_before_the_reconcile_closes_what_it_finds(may_open: bool) -> None:
    engine = Engine()
    owner = Ownership(advisor="wolf", decision_id="d", opened_ms=T0 - 600_000, max_holding_ms=None)
    assert engine.says(Command.CUT_LOSS) == ()

    found = Reconciled(positions=(position(Direction.LONG, owner=owner),), may_open=may_open)
    actions = engine.feed(found, after_ms=30_000)

    assert kinds(actions) == [Exit]
    assert engine.state.cuts == {}


@pytest.mark.parametrize("latest", [Command.HOLD, Command.LONG])
def test_cut_loss_that_was_replaced_before_the_reconcile_closes_nothing(latest: Command) -> None:
    engine = Engine()
    owner = Ownership(advisor="wolf", decision_id="d", opened_ms=T0 - 600_000, max_holding_ms=None)
    cut = signal(Command.CUT_LOSS, T0)
    engine.feed(SignalConfirmed(signal=cut))
    if latest is Command.HOLD:
        engine.feed(SignalWithdrawn(decision_id=cut.decision_id, command=Command.HOLD))
    else:
        engine.says(latest, after_ms=1_000)

    engine.feed(Reconciled(positions=(position(Direction.LONG, owner=owner),)))

    assert engine.all == []


def test_cut_loss_whose_position_no_reconcile_finds_is_forgotten() -> None:
    engine = Engine()
    engine.says(Command.CUT_LOSS)

    assert engine.feed(Reconciled(positions=())) == ()
    assert engine.state.cuts == {}


def found_over(decision_id: str, direction: Direction = Direction.SHORT) -> TradeFoundOver:
    owner = Ownership(advisor="wolf", decision_id=decision_id, opened_ms=T0, max_holding_ms=None)
    return TradeFoundOver(seen=position(direction, owner=owner))


def test_trade_found_over_is_settled_and_cooled_down() -> None:
    engine = ready()

    assert kinds(engine.feed(found_over("earlier"))) == [SettleTrade]
    assert engine.state.holdings == {}
    assert engine.state.exit_ms == {S: engine.now}


def test_trade_found_over_takes_nothing_from_a_later_trade() -> None:
    engine = holding()
    before = engine.state

    (settle,) = engine.feed(found_over("earlier"))

    assert isinstance(settle, SettleTrade)
    assert (settle.decision_id, settle.direction) == ("earlier", Direction.SHORT)
    assert engine.state == before


def test_trade_found_over_takes_nothing_from_a_later_entry() -> None:
    engine = ready()
    engine.says(Command.LONG)
    before = engine.state

    assert kinds(engine.feed(found_over("earlier"))) == [SettleTrade]
    assert engine.state == before


def test_trade_found_over_that_was_believed_held_ends() -> None:
    engine = holding()
    own = engine.state.holdings[S].decision_id

    assert kinds(engine.feed(found_over(own, Direction.LONG))) == [SettleTrade]
    assert engine.state.holdings == {}


def test_cut_loss_of_another_advisor_closes_nothing() -> None:
    assert holding().says(Command.CUT_LOSS, advisor="dragon") == ()


def test_cut_loss_drops_the_entry_in_flight() -> None:
    engine = ready()
    engine.says(Command.LONG)

    assert kinds(engine.says(Command.CUT_LOSS, after_ms=1_000)) == [DropEntry]


@pytest.mark.parametrize("age_ms", [1, 120_000, 120_001, 590_000])
def test_cut_loss_that_counts_drops_an_addition_before_it_closes(age_ms: int) -> None:
    engine = holding()
    engine.feed(Ticked(), after_ms=600_000)
    engine.says(Command.ADD_LONG)

    assert kinds(engine.says(Command.CUT_LOSS, age_ms=age_ms)) == [DropEntry, Exit]


def test_an_exit_that_left_something_is_repeated_until_flat() -> None:
    engine = holding()
    engine.says(Command.CUT_LOSS)

    failed = engine.feed(ExitEnded(symbol=S, flat=False, reason="-1008"), after_ms=200)
    early = engine.feed(Ticked(), after_ms=200)
    again = engine.feed(Ticked(), after_ms=800)

    assert kinds(failed) == [Warn]
    assert early == ()
    assert again == (Exit(symbol=S, direction=Direction.LONG, reason="CUT_LOSS"),)


def test_a_position_that_ends_is_settled_with_its_reason() -> None:
    engine = holding()
    engine.says(Command.CUT_LOSS)

    settle, *rest = closed(engine, after_ms=300)

    assert isinstance(settle, SettleTrade)
    assert settle.reason == "CUT_LOSS"
    assert rest == []
    assert engine.state.holdings == {}


def test_a_stop_that_fires_at_the_exchange_is_settled_too() -> None:
    engine = holding()

    (settle,) = engine.feed(position(None), after_ms=1_000)

    assert isinstance(settle, SettleTrade)
    assert settle.reason == "closed at the exchange"


def test_max_holding_closes() -> None:
    engine = ready()
    engine.feed(SignalConfirmed(signal=signal(Command.LONG, T0, minutes=5)))
    engine.feed(position(Direction.LONG))
    engine.feed(ProtectionSeen(symbol=S, has_stop=True))
    engine.feed(
        EntryEnded(
            symbol=S, decision_id=signal(Command.LONG, T0).decision_id, filled=Decimal(1), reason=""
        )
    )

    before = engine.feed(Ticked(), after_ms=299_999)
    at = engine.feed(Ticked(), after_ms=1)

    assert before == ()
    assert at == (Exit(symbol=S, direction=Direction.LONG, reason="max_holding"),)


# --- flips and cool-downs --------------------------------------------------------------------


def test_the_opposite_side_closes_at_once_and_opens_when_flat_is_proven() -> None:
    engine = holding()

    flip = engine.says(Command.SHORT)
    seen = engine.feed(position(None), after_ms=200)
    ended = engine.feed(ExitEnded(symbol=S, flat=True, reason="done"), after_ms=100)

    assert flip == (Exit(symbol=S, direction=Direction.LONG, reason="flip"),)
    assert kinds(seen) == [SettleTrade]
    assert kinds(ended) == [Enter]
    assert isinstance(ended[0], Enter)
    assert ended[0].direction is Direction.SHORT


def test_at_most_one_flip_in_the_window() -> None:
    engine = holding()
    engine.says(Command.SHORT)
    closed(engine)
    engine.feed(position(Direction.SHORT), after_ms=1_000)
    short = engine.state.entries[S].signal
    engine.feed(ProtectionSeen(symbol=S, has_stop=True))
    engine.feed(EntryEnded(symbol=S, decision_id=short.decision_id, filled=Decimal(1), reason=""))

    early = engine.says(Command.LONG, after_ms=118_998)
    late = engine.says(Command.LONG, after_ms=2)

    assert rule_of(early) == "flip_window"
    assert kinds(late) == [Exit]


def test_a_flip_that_takes_too_long_does_not_open() -> None:
    engine = holding()
    engine.says(Command.SHORT)

    actions = closed(engine, after_ms=120_001)

    assert kinds(actions) == [SettleTrade, Refuse]
    assert rule_of(actions) == "stale"


def test_cut_loss_during_a_flip_revokes_its_other_half() -> None:
    engine = holding()
    engine.says(Command.SHORT)
    engine.says(Command.CUT_LOSS, after_ms=100)

    assert kinds(closed(engine)) == [SettleTrade]


def test_cool_down_after_an_exit_refuses_bridge_entries() -> None:
    engine = holding()
    engine.feed(position(None))

    early = engine.says(Command.LONG, after_ms=179_999)
    late = engine.says(Command.LONG, after_ms=1)

    assert rule_of(early) == "cool_down"
    assert kinds(late) == [Enter]


def test_a_decision_from_before_the_exit_is_refused_even_after_the_cool_down() -> None:
    engine = Engine(rules=EngineRules(bridge=replace(BRIDGE, cool_down_s=10)))
    engine.feed(Reconciled(positions=()))
    engine.says(Command.LONG)
    engine.feed(position(Direction.LONG))
    engine.feed(
        EntryEnded(
            symbol=S, decision_id=signal(Command.LONG, T0).decision_id, filled=Decimal(1), reason=""
        )
    )
    engine.feed(position(None), after_ms=1_000)
    engine.now += 11_000

    before = engine.feed(SignalConfirmed(signal=signal(Command.LONG, T0 + 999)))

    assert rule_of(before) == "before_exit"


# --- several advisors, foreign positions ------------------------------------------------------


def test_who_opened_owns_until_flat() -> None:
    assert rule_of(holding(advisor="dragon").says(Command.SHORT, advisor="wolf")) == "owned"


def test_a_higher_advisor_takes_over_an_entry_that_is_not_filled() -> None:
    engine = ready()
    (enter,) = engine.says(Command.LONG, advisor="dragon")
    assert isinstance(enter, Enter)

    drop = engine.says(Command.SHORT, advisor="wolf", after_ms=50)
    ended = engine.feed(
        EntryEnded(
            symbol=S, decision_id=enter.signal.decision_id, filled=Decimal(0), reason="dropped"
        )
    )

    assert kinds(drop) == [DropEntry]
    assert kinds(ended) == [Enter]
    assert isinstance(ended[0], Enter)
    assert ended[0].signal.advisor == "wolf"


def test_a_lower_advisor_does_not_disturb_an_entry() -> None:
    engine = ready()
    engine.says(Command.LONG, advisor="wolf")

    assert rule_of(engine.says(Command.SHORT, advisor="fish")) == "owned"


def test_the_higher_advisor_waits_alone_for_the_reconcile() -> None:
    engine = Engine()
    engine.says(Command.SHORT, advisor="dragon")
    engine.says(Command.LONG, advisor="wolf")

    actions = engine.feed(Reconciled(positions=()))

    assert kinds(actions) == [Enter]
    assert isinstance(actions[0], Enter)
    assert actions[0].signal.advisor == "wolf"


@pytest.mark.parametrize("command", [Command.LONG, Command.SHORT, Command.ADD_LONG])
def test_a_position_the_engine_did_not_open_is_left_alone(command: Command) -> None:
    engine = Engine()
    engine.feed(Reconciled(positions=(position(Direction.LONG),)))

    assert rule_of(engine.says(command)) == "not_own_position"
    assert engine.says(Command.CUT_LOSS, after_ms=1) == ()


def test_a_position_that_appears_by_itself_is_foreign() -> None:
    engine = ready()

    (warning,) = engine.feed(position(Direction.SHORT))

    assert isinstance(warning, Warn)
    assert not engine.state.holdings[S].is_own


def test_a_restart_takes_its_own_position_back() -> None:
    engine = Engine()
    owner = Ownership(advisor="wolf", decision_id="x", opened_ms=T0 - 60_000, max_holding_ms=None)
    engine.feed(Reconciled(positions=(position(Direction.LONG, owner=owner),)))

    assert kinds(engine.says(Command.CUT_LOSS)) == [Exit]


# --- halts, gaps, limits -----------------------------------------------------------------------


def test_nothing_opens_before_the_first_reconcile() -> None:
    engine = Engine()

    waiting = engine.says(Command.LONG)
    after = engine.feed(Reconciled(positions=()), after_ms=3_000)

    assert waiting == ()
    assert kinds(after) == [Enter]


def test_a_decision_that_waited_too_long_is_refused() -> None:
    engine = Engine()
    engine.says(Command.LONG)

    assert rule_of(engine.feed(Ticked(), after_ms=120_001)) == "stale"
    assert engine.feed(Reconciled(positions=())) == ()


def test_a_gap_suspends_opening_and_asks_for_a_reconcile() -> None:
    engine = ready()

    gap = engine.feed(GapSeen(stream="user", reason="closed"))
    waiting = engine.says(Command.LONG)

    assert kinds(gap) == [Reconcile]
    assert waiting == ()


def test_a_halt_drops_entries_and_refuses_new_ones() -> None:
    engine = ready()
    engine.says(Command.LONG)

    halt = engine.feed(HaltSeen(account="kill"))
    engine.feed(
        EntryEnded(
            symbol=S, decision_id=signal(Command.LONG, T0).decision_id, filled=Decimal(0), reason=""
        )
    )
    later = engine.says(Command.LONG, after_ms=1_000)

    assert kinds(halt) == [DropEntry]
    assert rule_of(later) == "halted"


def test_a_halt_lets_exits_pass() -> None:
    engine = holding()
    engine.feed(HaltSeen(account="by hand"))

    assert kinds(engine.says(Command.CUT_LOSS)) == [Exit]


def test_a_halted_flip_closes_and_does_not_open() -> None:
    engine = holding()
    engine.feed(HaltSeen(account="by hand"))

    flip = engine.says(Command.SHORT)
    after = closed(engine)

    assert kinds(flip) == [Refuse, Exit]
    assert kinds(after) == [SettleTrade]


def test_a_symbol_halt_binds_that_symbol_only() -> None:
    rules = EngineRules(bridge=replace(BRIDGE, symbols=(S, "ETHUSDT")))
    engine = Engine(rules=rules)
    engine.feed(Reconciled(positions=()))
    engine.feed(HaltSeen(account=None, symbols={S: "kill --symbol"}))

    here = engine.says(Command.LONG)
    there = engine.feed(
        SignalConfirmed(signal=signal(Command.LONG, T0, symbol="ETHUSDT", advisor="fish"))
    )

    assert rule_of(here) == "halted"
    assert kinds(there) == [Enter]


def test_the_days_limit_halts_and_closes_own_positions() -> None:
    engine = holding()

    actions = engine.feed(
        LossLimitReached(
            limit=LossLimit.DAY, message="-51 USDT", until_ms=T0 + DAY_MS, close_positions=True
        )
    )

    assert kinds(actions) == [RaiseHalt, Exit]
    assert rule_of(engine.says(Command.ADD_LONG)) == "closing"


def test_the_days_limit_can_only_stop_entries() -> None:
    engine = holding()

    actions = engine.feed(
        LossLimitReached(limit=LossLimit.DAY, message="x", until_ms=None, close_positions=False)
    )

    assert kinds(actions) == [RaiseHalt]


def test_the_emergency_kills_everything() -> None:
    actions = holding().feed(
        LossLimitReached(
            limit=LossLimit.EMERGENCY, message="x", until_ms=None, close_positions=True
        )
    )

    assert kinds(actions) == [RaiseHalt, KillAll]


def test_five_losses_in_a_row_stop_bridge_entries_until_the_next_day() -> None:
    engine = ready()
    for _ in range(4):
        engine.feed(TradeClosed(symbol=S, net_pnl=Decimal(-1)))
    still = engine.says(Command.LONG)
    engine.feed(
        EntryEnded(
            symbol=S, decision_id=signal(Command.LONG, T0).decision_id, filled=Decimal(0), reason=""
        )
    )

    engine.feed(TradeClosed(symbol=S, net_pnl=Decimal("-0.01")))
    refused = engine.says(Command.LONG, after_ms=1)
    next_day = (engine.now // DAY_MS + 1) * DAY_MS
    engine.now = next_day
    after = engine.says(Command.LONG)

    assert kinds(still) == [Enter]
    assert rule_of(refused) == "loss_breaker"
    assert kinds(after) == [Enter]


@pytest.mark.parametrize(("filled", "expected"), [(False, [Warn, DropEntry]), (True, [Warn])])
def test_loss_that_opens_the_breaker_takes_back_what_is_not_filled_yet(
    filled: bool, expected: list[type]
) -> None:
    """A flip's other half begins before the first half is settled."""
    engine = ready()
    for _ in range(4):
        engine.feed(TradeClosed(symbol=S, net_pnl=Decimal(-1)))
    engine.says(Command.LONG)
    if filled:
        engine.feed(position(Direction.LONG))

    assert kinds(engine.feed(TradeClosed(symbol=S, net_pnl=Decimal(-1)))) == expected


def test_a_win_or_a_resume_starts_the_breaker_anew() -> None:
    engine = ready()
    for pnl in (-1, -1, -1, -1, 1, -1):
        engine.feed(TradeClosed(symbol=S, net_pnl=Decimal(pnl)))
    assert engine.state.losses_in_row == 1

    for _ in range(4):
        engine.feed(TradeClosed(symbol=S, net_pnl=Decimal(-1)))
    engine.feed(Resumed())

    assert kinds(engine.says(Command.LONG)) == [Enter]


# --- protection ----------------------------------------------------------------------------------


def test_a_vanished_stop_is_put_back_at_once() -> None:
    engine = holding()

    assert engine.feed(ProtectionSeen(symbol=S, has_stop=False), after_ms=10_000) == (
        Protect(symbol=S),
    )


def test_a_position_naked_for_five_seconds_is_closed() -> None:
    engine = holding()
    engine.feed(ProtectionSeen(symbol=S, has_stop=False), after_ms=10_000)

    again = engine.feed(Ticked(), after_ms=1_000)
    before = engine.feed(Ticked(), after_ms=3_999)
    at = engine.feed(Ticked(), after_ms=1)

    assert again == (Protect(symbol=S),)
    assert Exit(symbol=S, direction=Direction.LONG, reason="unprotected") not in before
    assert at == (Exit(symbol=S, direction=Direction.LONG, reason="unprotected"),)


def test_naked_time_counts_from_the_first_fill_even_while_the_entry_works() -> None:
    engine = ready()
    engine.says(Command.LONG)
    engine.feed(position(Direction.LONG))

    at = engine.feed(Ticked(), after_ms=5_000)

    assert kinds(at) == [DropEntry, Exit]


def test_a_foreign_position_is_not_protected_by_the_engine() -> None:
    engine = Engine()
    engine.feed(Reconciled(positions=(position(Direction.LONG),)))

    assert engine.feed(ProtectionSeen(symbol=S, has_stop=False)) == ()
    assert engine.feed(Ticked(), after_ms=60_000) == ()


def test_a_stop_that_fires_while_the_entry_still_rests_drops_the_rest() -> None:
    engine = ready()
    engine.says(Command.LONG)
    engine.feed(position(Direction.LONG))

    assert kinds(engine.feed(position(None))) == [DropEntry, SettleTrade]


# --- invariants ---------------------------------------------------------------------------

_COMMANDS = st.sampled_from(list(Command))
_ADVISORS = st.sampled_from(["wolf", "dragon", "fish", "stranger"])
_WORLD = st.one_of(
    st.tuples(st.just("says"), _COMMANDS, _ADVISORS, st.integers(-10_000, 200_000)),
    st.tuples(st.just("position"), st.sampled_from([None, *Direction])),
    st.tuples(st.just("entry_ended"), st.booleans()),
    st.tuples(st.just("exit_ended"), st.booleans()),
    st.tuples(st.just("halt"), st.booleans()),
    st.tuples(
        st.just("gap"),
    ),
    st.tuples(st.just("reconciled"), st.sampled_from([None, *Direction])),
    st.tuples(st.just("protection"), st.booleans()),
    st.tuples(
        st.just("tick"),
    ),
    st.tuples(st.just("lost"), st.integers(-2, 2)),
)


def _fact(engine: Engine, what: tuple[object, ...]) -> Fact | None:
    match what:
        case ("says", Command() as command, str() as advisor, int() as age):
            return SignalConfirmed(signal=signal(command, engine.now - age, advisor=advisor))
        case ("position", direction):
            return position(direction if isinstance(direction, Direction) else None)
        case ("entry_ended", bool() as filled):
            entry = engine.state.entries.get(S)
            if entry is None:
                return None
            return EntryEnded(
                symbol=S,
                decision_id=entry.signal.decision_id,
                filled=Decimal(int(filled)),
                reason="",
            )
        case ("exit_ended", bool() as flat):
            return ExitEnded(symbol=S, flat=flat, reason="")
        case ("halt", bool() as on):
            return HaltSeen(account="x" if on else None)
        case ("gap",):
            return GapSeen(stream="user", reason="x")
        case ("reconciled", direction):
            rows = (position(direction),) if isinstance(direction, Direction) else ()
            return Reconciled(positions=rows)
        case ("protection", bool() as has_stop):
            return ProtectionSeen(symbol=S, has_stop=has_stop)
        case ("lost", int() as pnl):
            return TradeClosed(symbol=S, net_pnl=Decimal(pnl))
        case _:
            return Ticked()


@given(st.lists(st.tuples(_WORLD, st.integers(0, 30_000)), max_size=60))
def test_whatever_happens_the_engine_keeps_its_promises(
    script: list[tuple[tuple[object, ...], int]],
) -> None:
    engine = Engine()
    entered: set[str] = set()
    for what, after_ms in script:
        engine.now += after_ms
        fact = _fact(engine, what)
        if fact is None:
            continue
        before = engine.state
        actions = engine.feed(fact)
        replayed = step(before, fact, engine.now, RULES)
        assert replayed == (engine.state, actions), "the same fact decides the same"
        for action in actions:
            if not isinstance(action, Enter):
                continue
            assert action.signal.decision_id not in entered, "one entry per decision"
            entered.add(action.signal.decision_id)
            assert engine.state.ready
            assert engine.state.halt is None
            assert S not in before.entries or isinstance(fact, EntryEnded)
            held = engine.state.holdings.get(S)
            if held is not None:
                assert action.is_add
                assert held.advisor == action.signal.advisor
                assert held.direction is action.direction
            assert action.signal.decided_ms is not None
            assert -5_000 <= engine.now - action.signal.decided_ms <= 120_000

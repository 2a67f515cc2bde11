"""The engine's picture of the account: late, repeated and reordered news change nothing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.support.facts import NOW_MS, position
from trader_cli.domain.account import Fill, Position, SymbolConfig
from trader_cli.domain.account_events import (
    AccountUpdated,
    AlgoUpdated,
    BalanceChanged,
    LeverageChanged,
    OrderUpdated,
    PositionChanged,
    StreamGap,
)
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import (
    AlgoStatus,
    ExecutionType,
    MarginType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.engine.account_mirror import AccountMirror

S = "BTCUSDT"


def order(status: OrderStatus, at: int, *, filled: str = "0", number: int = 7) -> Order:
    return Order(
        symbol=S,
        order_id=number,
        client_order_id=f"trd-{number}-en0",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        status=status,
        quantity=Decimal("0.01"),
        filled_quantity=Decimal(filled),
        price=Decimal(95_000),
        average_price=None,
        time_in_force=TimeInForce.GTX,
        reduce_only=False,
        close_position=False,
        created_ms=at,
        updated_ms=at,
    )


def order_event(
    status: OrderStatus, at: int, *, filled: str = "0", fill: Fill | None = None
) -> OrderUpdated:
    return OrderUpdated(
        order=order(status, at, filled=filled),
        execution=ExecutionType.NEW if fill is None else ExecutionType.TRADE,
        fill=fill,
        expiry_reason=None,
        venue_ms=at,
    )


def algo(status: AlgoStatus, at: int) -> AlgoOrder:
    return AlgoOrder(
        symbol=S,
        algo_id=9,
        client_order_id="trd-9-sl0",
        side=Side.SELL,
        position_side=PositionSide.BOTH,
        type=OrderType.STOP_MARKET,
        status=status,
        quantity=Decimal(0),
        trigger_price=Decimal(94_000),
        price=None,
        activate_price=None,
        callback_rate=None,
        working_type=WorkingType.MARK_PRICE,
        close_position=True,
        reduce_only=False,
        time_in_force=TimeInForce.GTC,
        order_id=None,
        filled_quantity=None,
        reject_reason=None,
        created_ms=at,
        updated_ms=at,
    )


def account_event(
    quantity: str,
    at: int,
    *,
    entry: str = "95000",
    unrealized: str = "0",
    change: str = "0",
    reason: str = "ORDER",
) -> AccountUpdated:
    return AccountUpdated(
        reason=reason,
        balances=(
            BalanceChanged(
                asset="USDT",
                wallet_balance=Decimal(0),
                cross_wallet_balance=Decimal(0),
                change=Decimal(change),
            ),
        ),
        positions=(
            PositionChanged(
                symbol=S,
                position_side=PositionSide.BOTH,
                quantity=Decimal(quantity),
                entry_price=Decimal(entry),
                unrealized_pnl=Decimal(unrealized),
                margin_type=MarginType.ISOLATED,
                isolated_wallet=Decimal(0),
            ),
        ),
        venue_ms=at,
    )


def fill(number: int, *, pnl: str = "0", fee: str = "0.2") -> Fill:
    return Fill(
        symbol=S,
        trade_id=number,
        order_id=7,
        client_order_id=None,
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        price=Decimal(95_000),
        quantity=Decimal("0.005"),
        realized_pnl=Decimal(pnl),
        commission=Decimal(fee),
        commission_asset="USDT",
        maker=True,
        time_ms=NOW_MS,
    )


def read(mirror: AccountMirror, *rows: Position, asked: int) -> None:
    mirror.load_positions(rows, (), asked_ms=asked)


# --- orders ----------------------------------------------------------------------------------


def test_order_that_ended_never_rests_again() -> None:
    mirror = AccountMirror()
    mirror.apply(order_event(OrderStatus.NEW, NOW_MS))
    mirror.apply(order_event(OrderStatus.CANCELED, NOW_MS + 5))

    mirror.apply(order_event(OrderStatus.NEW, NOW_MS))
    mirror.load_orders([S], [order(OrderStatus.NEW, NOW_MS)], [], asked_ms=NOW_MS + 9)

    assert mirror.orders() == []


def test_end_that_comes_before_the_beginning_wins() -> None:
    mirror = AccountMirror()
    mirror.apply(order_event(OrderStatus.FILLED, NOW_MS + 5, filled="0.01"))
    mirror.apply(order_event(OrderStatus.NEW, NOW_MS))

    assert mirror.orders() == []


def test_late_state_of_an_order_does_not_shrink_what_it_executed() -> None:
    mirror = AccountMirror()
    mirror.apply(order_event(OrderStatus.PARTIALLY_FILLED, NOW_MS + 5, filled="0.004"))
    mirror.apply(order_event(OrderStatus.NEW, NOW_MS))

    [row] = mirror.orders(S)
    assert row.filled_quantity == Decimal("0.004")


def test_reading_removes_an_order_that_vanished_without_an_event() -> None:
    mirror = AccountMirror()
    mirror.apply(AlgoUpdated(order=algo(AlgoStatus.NEW, NOW_MS), venue_ms=NOW_MS))

    mirror.load_orders([S], [], [], asked_ms=NOW_MS + 1_999)
    assert len(mirror.algos(S)) == 1, "it changed about when the reading was asked for"

    mirror.load_orders([S], [], [], asked_ms=NOW_MS + 2_000)
    assert mirror.algos(S) == []


def test_reading_of_one_symbol_leaves_the_others() -> None:
    mirror = AccountMirror()
    mirror.apply(order_event(OrderStatus.NEW, NOW_MS))

    mirror.load_orders(["ETHUSDT"], [], [], asked_ms=NOW_MS + 60_000)

    assert len(mirror.orders()) == 1


def test_triggered_stop_that_finished_is_gone_and_an_answer_does_not_bring_it_back() -> None:
    mirror = AccountMirror()
    mirror.apply(AlgoUpdated(order=algo(AlgoStatus.FINISHED, NOW_MS + 5), venue_ms=NOW_MS + 5))

    mirror.take_algo(algo(AlgoStatus.NEW, NOW_MS))

    assert mirror.algos() == []


# --- positions -------------------------------------------------------------------------------


def test_event_newer_than_the_reading_keeps_its_word() -> None:
    mirror = AccountMirror()
    mirror.apply(account_event("0.01", NOW_MS))

    read(mirror, asked=NOW_MS + 1_999)
    assert [row.quantity for row in mirror.positions()] == [Decimal("0.01")]

    read(mirror, asked=NOW_MS + 2_000)
    assert len(mirror.positions()) == 1, "one reading that misses it proves nothing"
    read(mirror, asked=NOW_MS + 6_999)
    assert len(mirror.positions()) == 1
    read(mirror, asked=NOW_MS + 7_000)
    assert mirror.positions() == []


def test_reading_newer_than_the_event_wins_at_once() -> None:
    mirror = AccountMirror()
    mirror.apply(account_event("0.01", NOW_MS - 1))

    read(mirror, replace(position("0.004"), updated_ms=NOW_MS), asked=NOW_MS)

    assert [row.quantity for row in mirror.positions()] == [Decimal("0.004")]


def test_late_position_event_changes_nothing() -> None:
    mirror = AccountMirror()
    mirror.apply(account_event("0", NOW_MS + 10))
    mirror.apply(account_event("0.01", NOW_MS))

    assert mirror.positions() == []


def test_position_of_an_event_is_valued_at_the_mark_the_event_implies() -> None:
    mirror = AccountMirror()
    # Setting the margin type tells a flat row without any price.
    mirror.apply(account_event("0", NOW_MS, entry="0", reason="MARGIN_TYPE_CHANGE"))
    mirror.apply(account_event("-0.01", NOW_MS + 1, unrealized="-0.5"))

    [row] = mirror.positions()
    assert row.mark_price == Decimal(95_050)
    assert row.notional == Decimal("950.5")


def test_position_that_reopens_is_not_valued_at_the_mark_of_long_ago() -> None:
    mirror = AccountMirror()
    read(mirror, position("0.01", mark="100000"), asked=NOW_MS)
    mirror.apply(account_event("0", NOW_MS + 5_000))
    mirror.apply(account_event("0.01", NOW_MS + 9_000, entry="90000"))

    [row] = mirror.positions()
    assert row.mark_price == Decimal(90_000)


def test_leverage_comes_from_readings_events_and_answers() -> None:
    mirror = AccountMirror()
    config = SymbolConfig(
        symbol=S, margin_type=MarginType.CROSS, leverage=20, notional_max=Decimal(1)
    )
    mirror.load_positions((), (config,), asked_ms=NOW_MS)
    assert mirror.leverages == {S: 20}
    mirror.apply(LeverageChanged(symbol=S, leverage=10, venue_ms=NOW_MS))
    assert mirror.leverages == {S: 10}
    mirror.take_leverage(S, 5)
    assert mirror.leverages == {S: 5}


def changed(quantity: str, at: int) -> Position:
    return replace(position(quantity), updated_ms=at)


def watching() -> AccountMirror:
    """A mirror that an event has told of a position, and no reading of anything else."""
    mirror = AccountMirror()
    mirror.apply(account_event("0.01", NOW_MS))
    return mirror


def test_change_that_no_event_tells_for_seconds_shows_a_silent_stream() -> None:
    mirror = watching()
    read(mirror, changed("0.02", NOW_MS + 5_000), asked=NOW_MS + 6_000)

    assert not mirror.lacks_event(now_ms=NOW_MS + 8_000), "it may be on its way"
    assert mirror.lacks_event(now_ms=NOW_MS + 8_001)
    assert not mirror.lacks_event(now_ms=NOW_MS + 9_000), "told once"


def test_event_behind_a_reading_shows_a_stream_that_tells() -> None:
    mirror = watching()
    read(mirror, changed("0.02", NOW_MS + 5_000), asked=NOW_MS + 6_000)
    mirror.apply(account_event("0.02", NOW_MS + 5_000))

    assert not mirror.lacks_event(now_ms=NOW_MS + 60_000)


def test_change_of_settings_or_margin_owes_no_event() -> None:
    mirror = watching()
    read(mirror, changed("0.01", NOW_MS + 5_000), asked=NOW_MS + 6_000)

    assert not mirror.lacks_event(now_ms=NOW_MS + 60_000)


def test_position_that_readings_miss_without_an_event_shows_a_silent_stream() -> None:
    mirror = watching()
    for asked in (5_000, 9_999):
        read(mirror, asked=NOW_MS + asked)
        assert not mirror.lacks_event(now_ms=NOW_MS + asked)
    read(mirror, asked=NOW_MS + 10_000)

    assert mirror.lacks_event(now_ms=NOW_MS + 10_000)


def test_stream_that_began_anew_owes_nothing_of_before() -> None:
    mirror = watching()
    read(mirror, changed("0.02", NOW_MS + 5_000), asked=NOW_MS + 6_000)
    mirror.forgive_events()

    assert not mirror.lacks_event(now_ms=NOW_MS + 60_000)


def test_position_that_answers_proved_closed_is_gone_before_its_event() -> None:
    mirror = watching()
    mirror.take_flat(S, PositionSide.BOTH, at_ms=NOW_MS + 50)
    assert mirror.positions() == []

    mirror.apply(account_event("0.004", NOW_MS + 20))
    assert mirror.positions() == [], "an event of before the close"
    mirror.apply(account_event("-0.01", NOW_MS + 60))
    assert [row.quantity for row in mirror.positions()] == [Decimal("-0.01")]


def test_proof_of_a_close_does_not_end_what_was_opened_after_it() -> None:
    mirror = watching()
    mirror.take_flat(S, PositionSide.BOTH, at_ms=NOW_MS - 1)

    assert len(mirror.positions()) == 1


# --- money -----------------------------------------------------------------------------------


def test_fills_are_booked_once_net_of_commission() -> None:
    mirror = AccountMirror()
    mirror.load_wallet(Decimal(10_000), asked_ms=NOW_MS - 9_000, answered_ms=NOW_MS - 9_000)
    event = order_event(OrderStatus.PARTIALLY_FILLED, NOW_MS, fill=fill(1, pnl="3", fee="0.2"))
    mirror.apply(event)
    mirror.apply(event)

    assert mirror.derived_wallet() == Decimal("10002.8")


def test_commission_in_another_asset_does_not_leave_the_usdt_wallet() -> None:
    mirror = AccountMirror()
    mirror.load_wallet(Decimal(10_000), asked_ms=NOW_MS - 9_000, answered_ms=NOW_MS - 9_000)
    paid_in_bnb = replace(fill(1, pnl="3", fee="0.05"), commission_asset="BNB")
    mirror.apply(order_event(OrderStatus.FILLED, NOW_MS, fill=paid_in_bnb))

    assert mirror.derived_wallet() == 10_003


def test_funding_is_booked_and_a_transfer_is_told_apart() -> None:
    mirror = AccountMirror()
    mirror.load_wallet(Decimal(10_000), asked_ms=NOW_MS - 9_000, answered_ms=NOW_MS - 9_000)
    mirror.apply(account_event("0", NOW_MS, change="-1.5", reason="FUNDING_FEE"))
    assert mirror.take_transfers() == []

    for _ in range(2):
        mirror.apply(account_event("0", NOW_MS + 1, change="500", reason="DEPOSIT"))

    assert mirror.derived_wallet() == Decimal("10498.5")
    assert (mirror.take_transfers(), mirror.take_transfers()) == ([Decimal(500)], [])


def test_funding_of_two_symbols_within_one_millisecond_is_booked_twice() -> None:
    mirror = AccountMirror()
    mirror.load_wallet(Decimal(100), asked_ms=NOW_MS - 9_000, answered_ms=NOW_MS - 9_000)
    for change, wallet in (("-3", "97"), ("-4", "93"), ("-4", "93")):
        event = account_event("0", NOW_MS, change=change, reason="FUNDING_FEE")
        row = replace(event.balances[0], wallet_balance=Decimal(wallet))
        mirror.apply(replace(event, balances=(row,)))

    assert mirror.derived_wallet() == 93


def test_without_a_snapshot_there_is_no_derived_wallet() -> None:
    mirror = AccountMirror()
    mirror.apply(order_event(OrderStatus.FILLED, NOW_MS, fill=fill(1)))

    assert mirror.derived_wallet() is None


def test_news_of_the_stream_itself_is_none_of_its_business() -> None:
    mirror = AccountMirror()
    mirror.apply(StreamGap(stream="user", reason="silent", local_ms=NOW_MS))

    assert (mirror.orders(), mirror.positions()) == ([], [])


# --- any order -------------------------------------------------------------------------------

LIFE = [
    order_event(OrderStatus.NEW, NOW_MS),
    order_event(OrderStatus.PARTIALLY_FILLED, NOW_MS + 1, filled="0.005", fill=fill(1, pnl="1")),
    order_event(OrderStatus.FILLED, NOW_MS + 2, filled="0.01", fill=fill(2, pnl="2")),
    account_event("0.005", NOW_MS + 1),
    account_event("0.01", NOW_MS + 2),
    AlgoUpdated(order=algo(AlgoStatus.NEW, NOW_MS + 3), venue_ms=NOW_MS + 3),
    AlgoUpdated(order=algo(AlgoStatus.CANCELED, NOW_MS + 4), venue_ms=NOW_MS + 4),
]


@given(
    st.permutations(LIFE).flatmap(
        lambda events: st.lists(st.sampled_from(events), max_size=6).map(
            lambda again: [*events, *again]
        )
    )
)
def test_any_order_and_any_repetition_end_in_the_same_picture(
    events: list[OrderUpdated | AccountUpdated | AlgoUpdated],
) -> None:
    mirror = AccountMirror()
    mirror.load_wallet(Decimal(100), asked_ms=NOW_MS - 9_000, answered_ms=NOW_MS - 9_000)
    for event in events:
        mirror.apply(event)

    assert (mirror.orders(), mirror.algos()) == ([], [])
    assert [row.quantity for row in mirror.positions()] == [Decimal("0.01")]
    assert mirror.derived_wallet() == Decimal("102.6")

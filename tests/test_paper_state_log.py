"""The log before the tables: nothing saved is lost, whenever and wherever the process ends."""

from __future__ import annotations

import resource
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paper import START_MS, SteadyMarket
from trader_cli.domain.terms import (
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from trader_cli.errors import BrokenInvariant
from trader_cli.paper.contracts.instruments import CONTRACTS
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.records import IncomeRecord, OrderRecord
from trader_cli.paper.state.state import Changes, MemoryState, State, Window
from trader_cli.paper.state.state_file import FileState
from trader_cli.paper.state.state_log import StateLog
from trader_cli.paper.state.state_tables import open_tables
from trader_cli.paper.venue.venue import Venue, VenueSettings

EVERYTHING = Window(limit=100_000)


def order(number: int, status: OrderStatus = OrderStatus.NEW) -> OrderRecord:
    return OrderRecord(
        order_id=number,
        symbol="BTCUSDT",
        client_order_id=f"order-{number % 7}",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal("91000.10"),
        quantity=Decimal("0.002"),
        reduce_only=False,
        close_position=False,
        self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER,
        price_match="NONE",
        good_till_ms=0,
        created_ms=number,
        updated_ms=number,
        status=status,
    )


def change(number: int, status: OrderStatus = OrderStatus.NEW) -> Changes:
    changes = Changes(orders={number: order(number, status)})
    changes.snapshots["wallet"] = {"balance": str(number), "note": 'a "quoted" ü word'}
    return changes


def paid(number: int) -> Changes:
    row = IncomeRecord(
        tran_id=number, type="FEE", symbol="", amount=Decimal(-1), info="", time_ms=number
    )
    return Changes(income=[row])


def logs(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}-log.*"))


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let the system end every write at `size` bytes of a file, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_was_saved_is_in_the_log_alone_and_found_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    killed = FileState(path)
    killed.save(change(1))
    killed.save(change(1, OrderStatus.CANCELED))
    killed.save(change(2))

    [log] = logs(path)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    state = FileState(path)

    assert state.order(1) == order(1, OrderStatus.CANCELED)
    assert state.open_orders() == [order(2)]
    assert state.snapshots() == {"wallet": change(2).snapshots["wallet"]}
    assert logs(path) == []


def test_a_line_the_process_died_in_was_never_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    FileState(path).save(change(1))
    [log] = logs(path)
    whole = log.read_bytes()
    log.write_bytes(whole + whole.replace(b":1,", b":2,")[:-20])

    state = FileState(path)

    assert state.last_ids() == {"orders": 1}
    state.save(change(3))
    state.close()
    assert FileState(path).last_ids() == {"orders": 3}


def test_a_log_that_is_in_the_tables_already_changes_nothing(tmp_path: Path) -> None:
    """The process may die between the tables' commit and the removal of the log."""
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    for changes in (change(1), paid(5), change(1, OrderStatus.CANCELED)):
        state.save(changes)
    [log] = logs(path)
    again = log.read_bytes()
    state.close()
    log.write_bytes(again)

    state = FileState(path)

    assert state.orders(EVERYTHING) == [order(1, OrderStatus.CANCELED)]
    assert len(state.income(EVERYTHING, None)) == 1


def test_logs_are_taken_up_in_the_order_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    FileState(path).save(change(1))
    [first] = logs(path)
    older = first.read_bytes()
    first.write_bytes(older.replace(b'"NEW"', b'"CANCELED"'))
    # Names sort otherwise as texts: nine comes before ten.
    first.rename(first.with_suffix(".10"))
    first.with_suffix(".9").write_bytes(older)

    assert FileState(path).order(1) == order(1, OrderStatus.CANCELED)


def test_a_log_that_says_something_else_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    FileState(path).save(change(1))
    [log] = logs(path)
    log.write_bytes(log.read_bytes() + b"{nothing}\n")

    with pytest.raises(BrokenInvariant, match=r"line 2 of .*state\.sqlite-log"):
        FileState(path)

    assert log.exists()


def test_a_log_that_was_moved_away_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    FileState(path).save(change(1))
    [log] = logs(path)
    log.rename(log.with_name(f"{log.name}.broken"))

    state = FileState(path)
    state.save(change(2))

    assert state.last_ids() == {"orders": 2}
    state.close()


def test_a_closed_memory_needs_no_log(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    state.save(change(1))

    state.close()

    assert logs(path) == []
    assert FileState(path).last_ids() == {"orders": 1}


def test_what_is_forgotten_does_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    state.save(change(1))
    state.clear({})
    state.save(change(2))

    assert FileState(path).last_ids() == {"orders": 2}


def test_a_line_that_does_not_fit_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = StateLog(tmp_path / "state.sqlite")
    log.append(b"a whole line\n")

    with files_no_larger_than(20), pytest.raises(OSError, match="no room"):
        log.append(b"one more whole line\n")
    log.append(b"and room again\n")

    [lines] = StateLog(tmp_path / "state.sqlite").left().values()
    assert lines == [b"a whole line", b"and room again"]


def test_what_could_not_be_saved_is_not_acknowledged_until_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    venue = Venue(
        CONTRACTS, SteadyMarket(), FileState(path), VenueSettings(group_commit=True), START_MS
    )
    venue.commit()
    [log] = logs(path)
    wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}

    with files_no_larger_than(log.stat().st_size + 10):
        venue.place_order(Params(wish | {"quantity": "0.01", "price": "90000"}), START_MS)
        for _ in range(2):
            with pytest.raises(OSError, match="no room"):
                venue.commit()
    assert len(venue.open_orders(Params({}), START_MS)) == 1
    venue.commit()

    assert len(FileState(path).open_orders()) == 1


def test_a_reset_that_the_process_died_in_repeats_no_id_and_loses_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"

    def venue() -> Venue:
        settings = VenueSettings(group_commit=True)
        return Venue(CONTRACTS, SteadyMarket(), FileState(path), settings, START_MS)

    def market_order(of: Venue) -> int:
        wish = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        return of.place_order(Params(wish), START_MS)["orderId"]

    before = venue()
    before.remember("keys", {"public": "a"})
    used = market_order(before)
    before.commit()
    before.reset(Decimal(5), START_MS)  # the process ends before it is committed

    after = venue()

    assert after.recall("keys") == {"public": "a"}
    assert after.all_orders(Params({"symbol": "BTCUSDT"}), START_MS) == []
    assert market_order(after) > used


def test_a_storm_goes_into_the_tables_beside_and_nothing_is_missing(tmp_path: Path) -> None:
    """Far more than one piece, while pieces before are still on their way."""
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    for number in range(1, 3_001):
        state.save(change(number))
        state.save(change(number, OrderStatus.CANCELED))
    left = logs(path)[-1].stat().st_size

    assert left < 2_000_000, "the log does not grow with what was saved"
    assert [row.order_id for row in state.orders(EVERYTHING)] == list(range(1, 3_001))
    assert state.open_orders() == []
    assert logs(path) == []
    state.close()


def test_tables_that_failed_once_are_tried_again_and_miss_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    others = open_tables(path)
    others.execute("DROP TABLE orders")
    for number in range(1, 601):
        state.save(change(number))

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        state.orders(EVERYTHING)
    open_tables(path)

    assert [row.order_id for row in state.orders(EVERYTHING)] == list(range(1, 601))
    assert logs(path) == []
    state.close()


def test_a_log_whose_way_into_the_tables_failed_does_not_outlive_what_came_after_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.sqlite"
    state = FileState(path)
    open_tables(path).execute("DROP TABLE orders")
    state.save(change(1))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        state.order(1)
    open_tables(path)
    state.save(change(1, OrderStatus.CANCELED))
    assert state.order(1) == order(1, OrderStatus.CANCELED)

    assert logs(path) == []
    assert FileState(path).order(1) == order(1, OrderStatus.CANCELED)


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.integers(1, 9), st.sampled_from([OrderStatus.NEW, OrderStatus.CANCELED])),
            st.sampled_from(["read", "kill", "close", "clear"]),
        ),
        max_size=30,
    )
)
def test_the_file_remembers_as_plain_memory_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, OrderStatus] | str]
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.sqlite"
    state, plain = FileState(path), MemoryState()
    for step in steps:
        match step:
            case (number, status):
                state.save(change(number, status))
                plain.save(change(number, status))
            case "clear":
                state.clear({"kept": {"n": 1}})
                plain.clear({"kept": {"n": 1}})
            case "kill":
                state = FileState(path)
            case "close":
                state.close()
                state = FileState(path)
            case _:
                assert seen(state) == seen(plain)
    assert seen(FileState(path)) == seen(plain)


def seen(state: State) -> object:
    by_id = {row.order_id: row for row in state.orders(EVERYTHING)}
    return by_id, state.snapshots(), state.last_ids()

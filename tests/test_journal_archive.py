"""Old rows leave the journal, nothing that is needed does, and the chain goes on over the gap."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import MarketRequest
from trader_cli.domain.order_life_cycle import IntentEvent
from trader_cli.domain.terms import Side
from trader_cli.engine.upkeep import archive_old, expired_at
from trader_cli.errors import BrokenInvariant
from trader_cli.journal.archive import ARCHIVE_FOLDER, Expired, Sweep
from trader_cli.journal.encoding import CHAIN_START, chain_hash
from trader_cli.journal.journal import Journal

DAY_S = 86_400


class DayClock:
    """A clock that a test moves on by days."""

    def __init__(self) -> None:
        self.ms = 1_780_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def clock() -> DayClock:
    return DayClock()


@pytest.fixture
def journal(tmp_path: Path, clock: DayClock) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db", clock) as opened:
        yield opened


def intend(journal: Journal, source: str, symbol: str = "BTCUSDT") -> str:
    name = client_order_id(source, Leg.ENTRY, 0)
    request = MarketRequest(
        symbol=symbol, side=Side.BUY, quantity=Decimal("0.01"), client_order_id=name
    )
    journal.record_intent(source=source, leg=Leg.ENTRY, attempt=0, request=request, details={})
    return name


def carry_through(journal: Journal, source: str, symbol: str = "BTCUSDT") -> str:
    name = intend(journal, source, symbol)
    journal.record_event(name, IntentEvent.SEND, {})
    journal.record_event(name, IntentEvent.FILL, {"filled_quantity": "0.01"})
    return name


def pass_days(clock: DayClock, days: int) -> None:
    clock.ms += days * DAY_S * 1000


async def sweep(journal: Journal, clock: DayClock, keep_days: int = 30) -> int:
    return await archive_old(journal, clock, keep_days=keep_days)


async def test_old_rows_leave_and_the_rest_verifies(
    journal: Journal, clock: DayClock, tmp_path: Path
) -> None:
    for number in range(50):
        journal.record("fact", {"n": number})
    gone = carry_through(journal, "old")
    pass_days(clock, 40)
    kept = carry_through(journal, "new")
    journal.record("fact", {"n": 50})

    moved = await sweep(journal, clock)

    assert moved == 53
    assert journal.verify() is None
    assert journal.intent(gone) is None
    assert journal.intent(kept) is not None
    assert [row.data["n"] for row in journal.rows(kind="fact")] == [50]
    assert await sweep(journal, clock) == 0
    [file] = (tmp_path / ARCHIVE_FOLDER).iterdir()
    [row] = list(journal.rows(kind="archived"))
    assert row.data["file"] == file.name
    assert row.data["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


async def test_the_archive_holds_the_rows_as_they_were(
    journal: Journal, clock: DayClock, tmp_path: Path
) -> None:
    for number in range(5):
        journal.record("fact", {"n": number})
    pass_days(clock, 40)
    journal.record("fact", {"n": 5})

    await sweep(journal, clock)

    [file] = (tmp_path / ARCHIVE_FOLDER).iterdir()
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    previous = CHAIN_START
    for seq, local_ms, kind, data, digest in lines:
        assert digest == chain_hash(previous, seq=seq, local_ms=local_ms, kind=kind, data=data)
        previous = digest
    assert len(lines) == 5


@pytest.mark.parametrize("status", ["intended", "sent", "unknown", "open"])
async def test_orders_whose_end_is_not_known_stay(
    journal: Journal, clock: DayClock, status: str
) -> None:
    name = intend(journal, "old")
    events = {
        "intended": (),
        "sent": (IntentEvent.SEND,),
        "unknown": (IntentEvent.SEND, IntentEvent.DOUBT),
        "open": (IntentEvent.SEND, IntentEvent.ACCEPT),
    }[status]
    for event in events:
        journal.record_event(name, event, {})
    pass_days(clock, 1_000)
    journal.record("fact", {})

    assert await sweep(journal, clock) == 0
    assert [row.client_order_id for row in journal.unfinished_intents()] == [name]
    assert journal.verify() is None


async def test_an_order_that_ended_lately_stays_whole(journal: Journal, clock: DayClock) -> None:
    name = intend(journal, "old")
    journal.record_event(name, IntentEvent.SEND, {})
    journal.record_event(name, IntentEvent.ACCEPT, {})
    pass_days(clock, 40)
    journal.record_event(name, IntentEvent.FILL, {})

    assert await sweep(journal, clock) == 0
    assert journal.verify() is None


async def test_what_is_held_keeps_its_orders_and_its_story(
    journal: Journal, clock: DayClock
) -> None:
    kept = carry_through(journal, "held", "ETHUSDT")
    gone = carry_through(journal, "other", "BTCUSDT")
    position = {
        "symbol": "ETHUSDT",
        "position_side": "BOTH",
        "quantity": "0.01",
        "entry_price": "3000",
        "updated_ms": clock.now_ms(),
        "own": True,
        "source": "held",
    }
    journal.record("position", position)
    journal.record("trade", {"symbol": "BTCUSDT"})
    journal.record("decision", {"symbol": "ETHUSDT"})
    pass_days(clock, 400)
    journal.record("fact", {})

    await sweep(journal, clock)

    assert journal.intent(kept) is not None
    assert journal.intent(gone) is None
    assert [len(list(journal.rows(kind=kind))) for kind in ("position", "trade", "decision")] == [
        1,
        1,
        1,
    ]


async def test_the_newest_row_of_a_kind_stays_however_old(
    journal: Journal, clock: DayClock
) -> None:
    journal.record("equity", {"n": 1})
    journal.record("equity", {"n": 2})
    pass_days(clock, 1_000)
    journal.record("fact", {})

    await sweep(journal, clock)

    assert [row.data["n"] for row in journal.rows(kind="equity")] == [2]


def test_today_stays_to_the_millisecond(journal: Journal, clock: DayClock) -> None:
    midnight_ms = clock.now_ms() // (DAY_S * 1000) * DAY_S * 1000

    assert expired_at(journal, clock.now_ms(), keep_days=0).before_ms == midnight_ms
    assert expired_at(journal, midnight_ms - 1, keep_days=0).before_ms < midnight_ms


async def test_rows_taken_out_otherwise_are_noticed(
    journal: Journal, clock: DayClock, tmp_path: Path
) -> None:
    for number in range(6):
        journal.record("fact", {"n": number})
    pass_days(clock, 40)
    for number in range(6, 12):
        journal.record("fact", {"n": number})
    await sweep(journal, clock)
    assert journal.verify() is None
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.execute("DROP TRIGGER rows_not_deleted")
    connection.execute("DELETE FROM rows WHERE seq = 8")
    connection.close()

    assert journal.verify() == 8


async def test_rows_can_still_not_be_deleted_by_sql_after_an_archive(
    journal: Journal, clock: DayClock, tmp_path: Path
) -> None:
    journal.record("fact", {})
    pass_days(clock, 40)
    journal.record("fact", {})
    await sweep(journal, clock)
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM rows")
    connection.close()


def test_nobody_else_records_that_rows_left(journal: Journal) -> None:
    with pytest.raises(BrokenInvariant):
        journal.record("archived", {"runs": []})


_STEPS = st.lists(
    st.sampled_from(["fact", "equity", "order", "open", "day", "month", "sweep"]), max_size=40
)


@given(steps=_STEPS, rows_max=st.integers(min_value=1, max_value=7))
@settings(max_examples=15, deadline=None)
def test_whatever_leaves_when_the_chain_holds_and_nothing_open_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], rows_max: int
) -> None:
    clock = DayClock()
    folder = tmp_path_factory.mktemp("journal")
    opened: list[str] = []
    with Journal.open(folder / "journal.db", clock) as journal:
        for number, step in enumerate(steps):
            match step:
                case "fact" | "equity":
                    journal.record(step, {"n": number})
                case "order":
                    carry_through(journal, str(number))
                case "open":
                    opened.append(intend(journal, str(number)))
                case "day" | "month":
                    pass_days(clock, 1 if step == "day" else 30)
                case _:
                    before_ms = clock.now_ms() - 10 * DAY_S * 1000
                    passage = Sweep(
                        expired=Expired(before_ms=before_ms, kinds={"fact": None, "equity": None})
                    )
                    while journal.archive(passage, rows_max=rows_max) is not None:
                        pass
            assert journal.verify() is None
        assert [row.client_order_id for row in journal.unfinished_intents()] == opened
        before = {row.client_order_id: row for row in journal.unfinished_intents()}
        journal.rebuild_index()
        assert {row.client_order_id: row for row in journal.unfinished_intents()} == before


def test_old_rows_that_a_slow_disk_reads_hold_nobody_up(journal: Journal) -> None:
    name = carry_through(journal, "old")
    reading, disk_answers = threading.Event(), threading.Event()

    class SlowKinds(dict[str, int | None]):
        def __iter__(self) -> Iterator[str]:
            reading.set()
            disk_answers.wait(30)
            return super().__iter__()

    sweep = Sweep(expired=Expired(before_ms=0, kinds=SlowKinds()))
    sweeping = threading.Thread(target=journal.archive, args=(sweep,), kwargs={"rows_max": 10})
    sweeping.start()
    try:
        assert reading.wait(5)
        assert journal.intent(name) is not None
        journal.record("note", {}, deadline_ms=50)
    finally:
        disk_answers.set()
        sweeping.join()

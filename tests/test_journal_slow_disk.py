"""A disk that hangs in fsync holds up no exit, loses no row, and ends no entry's promise."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_client import FakeVenue
from trader_cli.clock import SystemClock
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import LimitRequest, MarketRequest
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Side
from trader_cli.errors import BrokenInvariant
from trader_cli.journal.database import connect
from trader_cli.journal.errors import JournalLate, JournalUnavailable
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.journal.writer import Writer
from trader_cli.trading.orders.order_desk import OrderDesk
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits


class Disk:
    """A disk that answers every commit, or none until it is told to again."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    disk.answers.wait(30)
                return super().execute(sql, *values)

        self._factory = Connection

    def open(self, path: Path, *, wait_ms: int) -> sqlite3.Connection:
        return sqlite3.connect(
            path,
            timeout=wait_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            factory=self._factory,
        )


@dataclass
class Desk:
    """An order desk on the machine's own clock whose journal lies on a disk that may hang."""

    path: Path
    disk: Disk = field(default_factory=Disk)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.venue = FakeVenue(clock)  # type: ignore[arg-type]
        self.journal = Journal.open(self.path, clock, tell=self.told.append, opener=self.disk.open)
        self.orders = OrderDesk(
            self.venue,
            journal=self.journal,
            risk=RiskManager(RiskLimits()),
            latch=HaltLatch(self.path.parent / "halt", clock),
            clock=clock,
            policy=EntryPolicy(),
        )

    def kept_rows(self) -> list[tuple[str, str]]:
        """Close, and return what the file holds: (kind, event or leg) of every intent row."""
        self.journal.close()
        with Journal.open(self.path, SystemClock()) as journal:
            assert journal.verify() is None
            return [
                (row.kind, str(row.data.get("event", row.data.get("leg"))))
                for row in journal.rows()
            ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "journal.db")
    yield made
    made.disk.answers.set()
    made.journal.close()


def exit_order() -> MarketRequest:
    return MarketRequest(
        symbol="BTCUSDT",
        side=Side.SELL,
        quantity=Decimal("0.001"),
        client_order_id="",
        reduce_only=True,
    )


def entry_order() -> LimitRequest:
    return LimitRequest(
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal("0.002"),
        price=Decimal(90_000),
        client_order_id="",
    )


async def test_an_exit_is_not_held_up_by_a_disk_that_hangs(desk: Desk) -> None:
    desk.venue.hold("0.002")
    desk.disk.answers.clear()
    began_s = time.monotonic()

    placed = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)
    again = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)

    waited_s = time.monotonic() - began_s
    assert [row.client_order_id for row in desk.venue.sent] == [
        client_order_id("cut", Leg.EXIT, 0),
        client_order_id("cut", Leg.EXIT, 1),
    ]
    assert waited_s < 1, "the first write is waited for 50 ms, the ones after it not at all"
    assert "before its journal entry" in placed.notes[0]
    assert "before its journal entry" in again.notes[0]
    assert len(desk.told) == 1
    assert "does not answer" in desk.told[0]


async def test_what_missed_its_time_is_written_in_order_when_the_disk_is_back(desk: Desk) -> None:
    desk.venue.hold("0.001")
    desk.disk.answers.clear()
    placed = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)
    desk.disk.answers.set()

    rows = desk.kept_rows()

    assert rows == [("intent", "ex"), ("intent_event", "send"), ("intent_event", "fill")]
    assert placed.order.client_order_id == client_order_id("cut", Leg.EXIT, 0)
    assert "answers again" in desk.told[-1]


async def test_nothing_opens_while_the_disk_hangs_and_the_rest_goes_on(desk: Desk) -> None:
    desk.disk.answers.clear()
    with pytest.raises(JournalLate):
        desk.journal.record("event", {}, durable=True, deadline_ms=50, keep=True)
    began_s = time.monotonic()

    with pytest.raises(JournalUnavailable):
        await desk.orders.place(entry_order(), source="wolf", leg=Leg.ENTRY)

    assert time.monotonic() - began_s < 1, "one wait has shown that the disk hangs"
    assert desk.venue.sent == []


async def test_an_entry_that_waits_for_the_disk_holds_up_no_exit(desk: Desk) -> None:
    desk.venue.hold("0.001")
    view = await desk.orders.view("BTCUSDT")
    with pytest.raises(BrokenInvariant):
        settled(desk.journal)  # what reading the view left to be written would refuse the entry
    desk.disk.answers.clear()
    entry = asyncio.create_task(
        desk.orders.place(entry_order(), source="wolf", leg=Leg.ENTRY, view=view)
    )
    await asyncio.sleep(0.05)
    began_s = time.monotonic()

    await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)

    assert time.monotonic() - began_s < 0.5
    assert [row.side for row in desk.venue.sent] == [Side.SELL]
    entry.cancel()
    await asyncio.gather(entry, return_exceptions=True)
    desk.disk.answers.set()
    # What the disk had begun to write is written, and with it that it was never sent.
    desk.journal.close()
    with Journal.open(desk.path, SystemClock()) as journal:
        intent = journal.intent(client_order_id("wolf", Leg.ENTRY, 0))
        assert intent is not None
        assert intent.status is IntentStatus.NOT_EXECUTED


def test_a_row_nobody_keeps_is_taken_back(desk: Desk) -> None:
    desk.disk.answers.clear()
    with pytest.raises(JournalLate):
        desk.journal.record("first", {}, durable=True, deadline_ms=20, keep=True)
    with pytest.raises(JournalUnavailable) as caught:
        desk.journal.record("second", {}, deadline_ms=20)
    assert not isinstance(caught.value, JournalLate)
    desk.disk.answers.set()

    assert desk.kept_rows() == [("first", "None")]


def test_reads_do_not_wait_for_the_disk(desk: Desk) -> None:
    desk.journal.record("event", {"n": 1})
    desk.disk.answers.clear()
    with pytest.raises(JournalLate):
        desk.journal.record("event", {"n": 2}, durable=True, deadline_ms=20, keep=True)

    row = desk.journal.last("event")

    assert row is not None
    assert row.data == {"n": 1}


def noted(journal: Journal) -> str:
    """Journal an order that has left, and return its name."""
    request = replace(exit_order(), client_order_id="trd-cut")
    journal.record_intent(
        source="cut", leg=Leg.EXIT, attempt=0, request=request, details={}, leaving=True
    )
    return request.client_order_id


def test_a_disk_that_hangs_in_write_holds_up_nobody_who_notes_an_outcome(desk: Desk) -> None:
    """A row without fsync, written by the caller, stood still where the disk took no write."""
    journal = desk.journal
    name = noted(journal)
    desk.disk.answers.clear()

    journal.note_event(name, IntentEvent.ACCEPT, {}, deadline_ms=50)
    journal.note_event(name, IntentEvent.CANCEL, {}, deadline_ms=50)

    meanwhile = journal.intent(name)
    assert meanwhile is not None
    assert meanwhile.status is IntentStatus.SENT
    desk.disk.answers.set()
    kept = [("intent", "ex"), *(("intent_event", event) for event in ("send", "accept", "cancel"))]
    assert desk.kept_rows() == kept


async def test_a_read_that_waited_in_vain_spares_the_exit_after_it_its_own_wait(
    desk: Desk,
) -> None:
    desk.venue.hold("0.001")
    name = noted(desk.journal)
    desk.disk.answers.clear()
    desk.journal.note_event(name, IntentEvent.ACCEPT, {}, deadline_ms=50)
    desk.journal.intent(name)
    began_s = time.monotonic()

    for _ in range(400):
        desk.journal.intent(name)
    placed = await desk.orders.place(exit_order(), source="cut again", leg=Leg.EXIT)

    assert time.monotonic() - began_s < 10, "20 s if every read waited"
    assert "before its journal entry" in placed.notes[0]


def test_a_note_bears_the_time_of_what_it_notes(desk: Desk) -> None:
    name = noted(desk.journal)
    desk.disk.answers.clear()
    before_ms = SystemClock().now_ms()
    desk.journal.note_event(name, IntentEvent.ACCEPT, {}, deadline_ms=50)
    after_ms = SystemClock().now_ms()
    threading.Event().wait(0.02)
    desk.disk.answers.set()
    desk.journal.record("after_it", {})  # waits for a slow disk for longer than a read does

    row = desk.journal.last("intent_event")

    assert row is not None
    assert before_ms <= row.local_ms <= after_ms


def test_a_note_that_cannot_follow_is_told(desk: Desk) -> None:
    name = noted(desk.journal)

    desk.journal.note_event(name, IntentEvent.PROVE_ABSENT, {}, deadline_ms=50)

    found = desk.journal.intent(name)
    assert found is not None
    assert found.status is IntentStatus.SENT
    desk.journal.close()
    assert "prove_absent cannot follow" in desk.told[0]


async def test_an_exit_goes_out_though_the_journal_holds_its_id_as_used(desk: Desk) -> None:
    desk.venue.hold("0.001")
    used = replace(exit_order(), client_order_id=client_order_id("cut", Leg.EXIT, 0))
    desk.journal.record_intent(source="cut", leg=Leg.EXIT, attempt=0, request=used, details={})

    placed = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT, attempt=0)

    assert [row.client_order_id for row in desk.venue.sent] == [used.client_order_id]
    assert "journaled before" in placed.notes[0]


def test_the_first_row_of_a_process_waits_for_the_disk_in_the_thread(desk: Desk) -> None:
    desk.disk.answers.clear()

    with pytest.raises(JournalLate):
        desk.journal.record("note", {}, deadline_ms=20, keep=True)


def test_who_only_waited_for_another_process_goes_on_as_soon_as_that_has_written(
    desk: Desk,
) -> None:
    """A row that is late keeps entries back: not for longer than what made it late."""
    with sqlite3.connect(desk.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalLate):
            desk.journal.record("note", {}, deadline_ms=20, keep=True)
        threading.Event().wait(0.1)  # the thread's own wait of 20 ms is over, too
        other.execute("ROLLBACK")

    free_s = time.monotonic()
    with pytest.raises(BrokenInvariant):
        settled(desk.journal)
    assert time.monotonic() - free_s < 0.3


def settled(journal: Journal) -> None:
    """Record what cannot be recorded as soon as the thread has caught up."""
    while True:
        try:
            journal.record_event("trd-nobody", IntentEvent.FILL, {})
        except JournalUnavailable:
            continue


def test_a_late_event_that_cannot_follow_is_told_and_ends_nothing(desk: Desk) -> None:
    desk.disk.answers.clear()
    with pytest.raises(JournalLate):
        desk.journal.record("event", {}, durable=True, deadline_ms=20, keep=True)
    with pytest.raises(JournalLate):
        desk.journal.record_event("trd-nobody", IntentEvent.FILL, {}, deadline_ms=0, keep=True)
    desk.disk.answers.set()

    with pytest.raises(BrokenInvariant):
        settled(desk.journal)
    assert desk.kept_rows() == [("event", "None")]


def breaks(*_: object) -> None:
    raise ZeroDivisionError("ours")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_in_what_judges_an_entry_is_its_callers_and_stops_no_exit(desk: Desk) -> None:
    desk.venue.hold("0.001")
    with pytest.raises(ZeroDivisionError):
        await desk.journal.record_entry(
            source="wolf",
            leg=Leg.ENTRY,
            attempt=0,
            request=replace(entry_order(), client_order_id="trd-wolf"),
            details={},
            since_ms=0,
            admit=breaks,
        )

    placed = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)
    assert "without a journal entry" in placed.notes[0]
    desk.journal.close()
    assert "Exits go on without it" in desk.told[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_in_the_journal_stops_no_exit(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "journal.db", disk=BrokenDisk())
    desk.venue.hold("0.001")
    began_s = time.monotonic()

    placed = await desk.orders.place(exit_order(), source="cut", leg=Leg.EXIT)

    assert [row.side for row in desk.venue.sent] == [Side.SELL]
    assert time.monotonic() - began_s < 10
    assert "without a journal entry" in placed.notes[0]
    with pytest.raises(JournalUnavailable):
        await desk.orders.place(entry_order(), source="wolf", leg=Leg.ENTRY)
    assert len(desk.venue.sent) == 1
    desk.journal.close()
    assert "a fault of the program" in desk.told[0]


class BrokenDisk(Disk):
    """Every write meets a fault that is no disk's."""

    def open(self, path: Path, *, wait_ms: int) -> sqlite3.Connection:
        raise ZeroDivisionError("ours")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_breaks_answers_all_who_wait_and_all_who_come(tmp_path: Path) -> None:
    """A listener that raises stands for any fault of the thread's own."""
    disk, told = Disk(), []

    def tell(sentence: str) -> None:
        told.append(sentence)
        if "answers again" in sentence:
            raise ValueError("the listener breaks")

    journal = Journal.open(tmp_path / "journal.db", SystemClock(), tell=tell, opener=disk.open)
    disk.answers.clear()
    with pytest.raises(JournalLate):
        journal.record("first", {}, durable=True, deadline_ms=20, keep=True)
    with pytest.raises(JournalLate):
        journal.record("second", {}, durable=True, deadline_ms=20, keep=True)
    disk.answers.set()
    while len(told) < 3:
        await asyncio.sleep(0.001)
    began_s = time.monotonic()

    for kept in (True, False):
        with pytest.raises(JournalUnavailable, match="a fault of the program") as caught:
            journal.record("third", {}, durable=True, keep=kept)
        assert not isinstance(caught.value, JournalLate)
    with pytest.raises(JournalUnavailable):
        await journal.record_aside("fourth", {})

    assert time.monotonic() - began_s < 10, "for ever, if the dead thread were waited for"
    assert "refused: start anew" in told[-1]
    journal.close()
    assert len(told) == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_who_waits_when_the_thread_breaks_is_answered_also_beside_who_has_gone(
    tmp_path: Path,
) -> None:
    """One who was cancelled before his turn kept the others behind him from their answer."""
    disk = Disk()
    begun = threading.Event()

    def holds(connection: sqlite3.Connection) -> None:
        begun.set()
        disk.answers.wait(30)
        raise BrokenInvariant("cannot be written")

    writer = Writer(tmp_path / "journal.db", SystemClock(), breaks, connect)
    disk.answers.clear()
    writer.post(holds, lock_ms=100)
    begun.wait(30)
    going = asyncio.create_task(writer.write_aside(begins, lock_ms=100, patience_ms=30_000))
    staying = asyncio.create_task(writer.write_aside(begins, lock_ms=100, patience_ms=30_000))
    await asyncio.sleep(0.05)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    began_s = time.monotonic()

    disk.answers.set()

    with pytest.raises(JournalUnavailable, match="a fault of the program"):
        await staying
    assert time.monotonic() - began_s < 10


def begins(_: sqlite3.Connection) -> None:
    """Write nothing."""


def test_a_process_ends_although_its_disk_hangs(tmp_path: Path) -> None:
    script = f"""
        from pathlib import Path
        from tests.test_journal_slow_disk import Disk
        from trader_cli.clock import SystemClock
        from trader_cli.journal.errors import JournalLate
        from trader_cli.journal.journal import Journal
        disk = Disk()
        path = Path({str(tmp_path / "journal.db")!r})
        journal = Journal.open(path, SystemClock(), tell=print, opener=disk.open)
        disk.answers.clear()
        try:
            journal.record("event", {{}}, durable=True, deadline_ms=20, keep=True)
        except JournalLate:
            pass
        journal.close()
        print("over")
    """
    began_s = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=25
    )

    assert done.returncode == 0, done.stderr
    assert "1 rows were not written before the end" in done.stdout
    assert done.stdout.endswith("over\n")
    assert time.monotonic() - began_s < 20

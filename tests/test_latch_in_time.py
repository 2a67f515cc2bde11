"""The halt latch of a running engine: on a disk that refuses, or that does not answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paper import ManualClock
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.journal.errors import LatchNotWritten
from trader_cli.journal.halt import Halt, HaltedBy, HaltLatch


class TroubledLatch(HaltLatch):
    """A latch on a disk that refuses to write, or hangs, until the test lets it.

    Attributes:
        listings: how often the folder was asked.
        listing_waits: whether it hangs there, too.
        after_listing: called between a listing and its being known.
    """

    def __init__(self, directory: Path, clock: ManualClock) -> None:
        super().__init__(directory, clock)
        self.refuses = False
        self.answers = threading.Event()
        self.answers.set()
        self.listings = 0
        self.listing_waits = True
        self.after_listing: Callable[[], object] = lambda: None

    def set(self, **halt: Any) -> Halt:
        self._wait()
        if self.refuses:
            raise LatchNotWritten("the disk is full")
        return super().set(**halt)

    def all(self) -> list[Halt]:
        self.listings += 1
        if self.listing_waits:
            self._wait()
        listed = super().all()
        self.after_listing()
        return listed

    def _wait(self) -> None:
        assert self.answers.wait(timeout=20), "the test lets it"


class Floor:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.disk = TroubledLatch(folder, self.clock)
        self.seen_by_others = HaltLatch(folder, self.clock)
        self.latch = LatchInTime(self.disk, self.clock)

    def halt(self, *, until_ms: int | None = None) -> None:
        with pytest.raises(LatchNotWritten):
            self.latch.set(
                reason="10 % lost", by=HaltedBy.RULE, rule="emergency", until_ms=until_ms
            )

    def reasons(self) -> list[str]:
        return [row.reason for row in self.latch.all()]


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    made = Floor(tmp_path / "halt")
    yield made
    made.disk.answers.set()


def test_halt_that_is_written_is_shown_once(floor: Floor) -> None:
    floor.latch.set(reason="enough", by=HaltedBy.PERSON)

    assert floor.reasons() == ["enough"]
    assert floor.latch.all() == floor.seen_by_others.all()


def test_halt_that_cannot_be_written_holds_for_every_symbol(floor: Floor) -> None:
    floor.disk.refuses = True
    floor.halt()

    assert floor.seen_by_others.all() == []
    for symbol in (None, "BTCUSDT"):
        active = floor.latch.active(symbol)
        assert active is not None
        assert active.reason == "10 % lost"


def test_halt_of_a_symbol_that_comes_and_goes_lifts_no_unwritten_one(floor: Floor) -> None:
    floor.disk.refuses = True
    floor.halt()
    floor.seen_by_others.set(reason="odd book", by=HaltedBy.PERSON, symbol="ETHUSDT")
    assert floor.reasons() == ["10 % lost", "odd book"]

    floor.seen_by_others.clear(reason="all is well")

    assert floor.reasons() == ["10 % lost"]


def test_resume_lifts_what_is_unwritten_unless_it_ends_by_itself(floor: Floor) -> None:
    floor.disk.refuses = True
    end_ms = floor.clock.now_ms() + 1_000
    floor.halt()
    with pytest.raises(LatchNotWritten):
        floor.latch.set(reason="the day", by=HaltedBy.RULE, rule="day", until_ms=end_ms)

    floor.latch.resumed()
    assert floor.reasons() == ["the day"]
    floor.clock.advance(999)
    assert floor.reasons() == ["the day"]
    floor.clock.advance(1)
    assert floor.reasons() == []


def test_unwritten_halt_is_written_as_soon_as_the_disk_lets_us(floor: Floor) -> None:
    floor.disk.refuses = True
    floor.halt()
    floor.clock.advance(2_000)
    floor.latch.write_again()
    assert floor.seen_by_others.all() == []

    floor.disk.refuses = False
    floor.clock.advance(2_000)
    floor.latch.write_again()

    [written] = floor.seen_by_others.all()
    assert (written.reason, written.by, written.rule) == ("10 % lost", HaltedBy.RULE, "emergency")
    assert floor.latch.all() == [written]


def test_folder_that_does_not_answer_is_a_halt_and_is_asked_once(floor: Floor) -> None:
    assert floor.reasons() == []
    floor.disk.answers.clear()
    before = floor.disk.listings

    for _ in range(50):
        [halt] = floor.latch.all()
        assert halt.symbol is None
        assert "does not answer" in halt.reason

    assert floor.disk.listings == before + 1


def test_late_disk_writes_the_halt_all_the_same(floor: Floor) -> None:
    floor.disk.answers.clear()
    floor.halt()
    floor.disk.answers.set()

    for _ in range(20_000):
        if floor.seen_by_others.all() and floor.latch.all() == floor.seen_by_others.all():
            return
        time.sleep(0.001)
    raise AssertionError("the halt is not written")


def test_halt_that_is_written_while_the_folder_is_listed_holds_meanwhile(floor: Floor) -> None:
    """A disk that answers again answers all who wait: it was in neither, and entries went out."""
    floor.disk.answers.clear()
    floor.halt()

    def write_now() -> None:
        floor.disk.answers.set()
        for thread in threading.enumerate():
            if thread.name == "disk" and thread is not threading.current_thread():
                thread.join(timeout=20)

    floor.disk.after_listing = write_now
    floor.disk.listing_waits = False

    assert floor.latch.active() is not None
    assert floor.seen_by_others.all() != []


def test_others_are_told_that_what_is_on_disk_was_heard(floor: Floor) -> None:
    """A halt that only this process knows of must not hide that it heard a person's."""
    floor.disk.refuses = True
    floor.halt()
    floor.seen_by_others.set(reason="enough", by=HaltedBy.PERSON)

    # Nobody waits long for its being said: a slow disk says it a moment later.
    for _ in range(20_000):
        floor.latch.acknowledge(floor.latch.all())
        if floor.seen_by_others.acknowledged_by() == {os.getpid()}:
            return
        time.sleep(0.001)
    raise AssertionError("nobody is told")

"""The halt latch: set whatever happens, lifted only on purpose, never read as clear by mistake."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.errors import UsageError
from trader_cli.journal.errors import LatchNotCleared, LatchNotWritten
from trader_cli.journal.halt import HaltedBy, HaltLatch

NOW_MS = 1_760_000_000_000
PERSON, RULE = HaltedBy.PERSON, HaltedBy.RULE


class FixedClock:
    """A clock that a test sets."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "paper" / "halt"


@pytest.fixture
def latch(directory: Path, clock: FixedClock) -> HaltLatch:
    return HaltLatch(directory, clock)


def test_nothing_is_halted_where_nobody_ever_halted(latch: HaltLatch) -> None:
    assert latch.active() is None
    assert latch.active("BTCUSDT") is None
    assert latch.all() == []


def test_a_halt_of_the_account_halts_every_symbol_and_survives_a_restart(
    latch: HaltLatch, directory: Path, clock: FixedClock
) -> None:
    halt = latch.set(reason="lunch", by=PERSON)

    again = HaltLatch(directory, clock)
    assert again.active() == halt
    assert again.active("BTCUSDT") == halt
    assert (halt.reason, halt.by, halt.rule, halt.since_ms) == ("lunch", PERSON, None, NOW_MS)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTCUSDT_260327", "币安人生USDT", "../../X", "A.B"])
def test_a_halt_of_one_symbol_leaves_the_others_alone(
    latch: HaltLatch, directory: Path, symbol: str
) -> None:
    halt = latch.set(reason="odd", by=PERSON, symbol=symbol)

    assert latch.active(symbol) == halt
    assert latch.active("ETHUSDT") is None
    assert latch.active() is None
    assert len(list(directory.iterdir())) == 1


def test_the_accounts_halt_is_named_before_the_symbols(latch: HaltLatch) -> None:
    latch.set(reason="symbol", by=PERSON, symbol="BTCUSDT")
    account = latch.set(reason="account", by=RULE, rule="day_loss")

    assert latch.active("BTCUSDT") == account
    assert [halt.symbol for halt in latch.all()] == [None, "BTCUSDT"]


def test_a_persons_halt_is_lifted_at_once_and_leaves_a_trace(
    latch: HaltLatch, directory: Path
) -> None:
    latch.set(reason="kill", by=PERSON, until_ms=NOW_MS + 1000)

    assert latch.clear(reason="looked at it") == []

    assert latch.active() is None
    line = json.loads((directory / ".history.jsonl").read_text())
    assert (line["reason"], line["lifted_because"]) == ("kill", "looked at it")


def test_a_rules_halt_cannot_be_lifted_before_its_end_and_ends_by_itself(
    latch: HaltLatch, clock: FixedClock
) -> None:
    halt = latch.set(reason="day", by=RULE, rule="day_loss", until_ms=NOW_MS + 1000)

    clock.ms = NOW_MS + 999
    assert latch.clear(reason="please") == [halt]
    assert latch.active() == halt
    clock.ms = NOW_MS + 1000
    assert latch.active() is None


def test_a_rules_halt_without_an_end_waits_for_a_person(
    latch: HaltLatch, clock: FixedClock
) -> None:
    halt = latch.set(reason="drawdown", by=RULE, rule="emergency_stop")

    clock.ms += 10**10
    assert latch.active() == halt
    assert latch.clear(reason="re-based") == []
    assert latch.active() is None


def test_lifting_a_persons_halt_does_not_lift_the_days_limit_set_before_or_after(
    latch: HaltLatch,
) -> None:
    day = latch.set(reason="day", by=RULE, rule="day_loss", until_ms=NOW_MS + 1000)
    latch.set(reason="kill", by=PERSON)
    loss = latch.set(reason="losses", by=RULE, rule="cool_down", until_ms=NOW_MS + 500)

    assert latch.clear(reason="go on") == [loss, day]
    assert latch.all() == [loss, day]


def test_the_same_rule_again_keeps_the_later_end(latch: HaltLatch) -> None:
    latch.set(reason="day", by=RULE, rule="day_loss", until_ms=NOW_MS + 1000)

    shorter = latch.set(reason="day", by=RULE, rule="day_loss", until_ms=NOW_MS + 10)

    assert shorter.until_ms == NOW_MS + 1000
    assert len(latch.all()) == 1


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_halt_is_not_lifted_without_a_reason(latch: HaltLatch, reason: str) -> None:
    latch.set(reason="kill", by=PERSON)

    with pytest.raises(UsageError):
        latch.clear(reason=reason)
    assert latch.active() is not None


DAMAGED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'{"halt_id": 1, "symbol": null, "reason": 3, "by": "person", "rule": null,'
    b' "since_ms": 1, "until_ms": null}',
    b'{"halt_id": 1, "symbol": null, "reason": "x", "by": "person", "rule": null,'
    b' "since_ms": 1, "until_ms": "0"}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_counts_as_a_halt_until_it_is_lifted(
    latch: HaltLatch, directory: Path, content: bytes
) -> None:
    latch.set(reason="kill", by=PERSON)
    (directory / "account.person").write_bytes(content)

    halt = latch.active("BTCUSDT")

    assert halt is not None
    assert halt.symbol is None
    assert latch.clear(reason="seen") == []
    assert latch.active() is None


@given(st.binary(max_size=200))
def test_no_content_whatever_reads_as_clear(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "account.person").write_bytes(content)

        assert HaltLatch(Path(folder), FixedClock()).active() is not None


def test_a_damaged_file_of_a_symbol_halts_that_symbol(latch: HaltLatch, directory: Path) -> None:
    latch.set(reason="x", by=RULE, rule="stale", symbol="BTCUSDT", until_ms=NOW_MS + 10)
    (directory / "symbol-BTCUSDT.rule-stale").write_bytes(b"?")

    halt = latch.active("BTCUSDT")

    assert halt is not None
    assert (halt.symbol, halt.by, halt.rule) == ("BTCUSDT", RULE, "stale")
    assert latch.active("ETHUSDT") is None


def test_a_file_put_there_by_hand_halts_the_account(latch: HaltLatch, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "stop").touch()

    assert latch.active("BTCUSDT") is not None


def test_a_half_written_file_of_a_crash_is_no_halt(latch: HaltLatch, directory: Path) -> None:
    """The halt was not set yet: whoever set it was never told that it was."""
    directory.mkdir(parents=True)
    (directory / ".account.person.77.tmp").write_bytes(b'{"halt')

    assert latch.active() is None


def test_a_folder_that_cannot_be_listed_counts_as_a_halt(latch: HaltLatch, directory: Path) -> None:
    directory.parent.mkdir(parents=True)
    directory.write_text("in the way")

    halt = latch.active()

    assert halt is not None
    assert latch.clear(reason="try") == [halt]
    with pytest.raises(LatchNotWritten):
        latch.set(reason="kill", by=PERSON)


def run_limited(directory: Path, limit: str, *, prepared: bool) -> str:
    """Set a halt in a process whose writes or opens fail, and return what it printed."""
    script = f"""
        import os, resource
        from pathlib import Path
        from trader_cli.clock import SystemClock
        from trader_cli.journal.errors import LatchNotCleared, LatchNotWritten
        from trader_cli.journal.halt import HaltedBy, HaltLatch
        latch = HaltLatch(Path({str(directory)!r}), SystemClock())
        if {prepared}:
            latch.prepare()
        Path({str(directory)!r}).mkdir(parents=True, exist_ok=True)
        opened = len(os.listdir("/proc/self/fd")) - 1
        resource.setrlimit({limit})
        try:
            print(latch.set(reason="kill", by=HaltedBy.PERSON).by)
        except LatchNotWritten:
            print("not written")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


NO_BYTES = "resource.RLIMIT_FSIZE, (0, 0)"
NO_FILES = "resource.RLIMIT_NOFILE, (opened, opened)"


@pytest.mark.parametrize(
    ("limit", "prepared"), [(NO_BYTES, False), (NO_BYTES, True), (NO_FILES, True)]
)
def test_a_halt_is_set_where_nothing_can_be_written(
    directory: Path, latch: HaltLatch, limit: str, prepared: bool
) -> None:
    """No bytes: as on a full disk. No files: only the spare one's renaming is left."""
    assert run_limited(directory, limit, prepared=prepared) == "person"

    assert latch.active("BTCUSDT") is not None


def test_a_halt_on_a_full_disk_replaces_one_that_has_ended(
    directory: Path, latch: HaltLatch
) -> None:
    latch.set(reason="old", by=PERSON, until_ms=NOW_MS - 1)
    assert latch.active() is None

    run_limited(directory, NO_BYTES, prepared=False)

    assert latch.active() is not None


def test_a_halt_that_could_not_be_written_at_all_says_so(directory: Path) -> None:
    assert run_limited(directory, NO_FILES, prepared=False) == "not written"


def test_an_acknowledgement_holds_for_the_present_halts_only(latch: HaltLatch) -> None:
    latch.set(reason="first", by=PERSON)
    latch.acknowledge(41)
    latch.acknowledge(42)
    assert latch.acknowledged_by() == {41, 42}

    latch.set(reason="second", by=PERSON)
    assert latch.acknowledged_by() == set()

    latch.acknowledge(42)
    assert latch.acknowledged_by() == {42}

    latch.clear(reason="done")
    assert latch.acknowledged_by() == set()


def test_an_acknowledgement_of_halts_read_earlier_does_not_cover_a_newer_one(
    latch: HaltLatch,
) -> None:
    latch.set(reason="x", by=PERSON, symbol="BTCUSDT")
    seen = latch.all()
    latch.set(reason="y", by=PERSON, symbol="ETHUSDT")

    latch.acknowledge(42, seen)

    assert latch.acknowledged_by() == set()


def test_an_acknowledgement_is_possible_for_a_halt_of_an_empty_file(
    latch: HaltLatch, directory: Path
) -> None:
    directory.mkdir(parents=True)
    (directory / "account.person").touch()

    latch.acknowledge(42)

    assert latch.acknowledged_by() == {42}


def test_files_are_the_owners_only(latch: HaltLatch, directory: Path) -> None:
    latch.prepare()
    latch.set(reason="x", by=PERSON)
    latch.acknowledge(1)

    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_halt_that_cannot_be_lifted_with_a_trace_stays(latch: HaltLatch, directory: Path) -> None:
    halt = latch.set(reason="kill", by=PERSON)
    (directory / ".history.jsonl").mkdir()

    with pytest.raises(LatchNotCleared):
        latch.clear(reason="go on")

    assert latch.active() == halt

"""The journal: on disk before the send, whole after any death, and honest about its failures."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.order import (
    ConditionalRequest,
    LimitRequest,
    MarketRequest,
    OrderRequest,
)
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.domain.terms import OrderType, PositionSide, Side, TimeInForce, WorkingType
from trader_cli.errors import BrokenInvariant
from trader_cli.journal.encoding import decode, encode
from trader_cli.journal.errors import JournalCorrupt, JournalUnavailable
from trader_cli.journal.index import IntentRecord
from trader_cli.journal.journal import Journal
from trader_cli.journal.requests import request_from_json, request_to_json


class FixedClock:
    """A clock that a test sets."""

    def __init__(self, now_ms: int = 1_760_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "paper" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, FixedClock()) as opened:
        yield opened


def market(source: str, attempt: int = 0, symbol: str = "BTCUSDT") -> MarketRequest:
    return MarketRequest(
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal("0.010"),
        client_order_id=client_order_id(source, Leg.ENTRY, attempt),
    )


def intend(journal: Journal, request: OrderRequest, source: str = "s", attempt: int = 0) -> str:
    journal.record_intent(
        source=source, leg=Leg.ENTRY, attempt=attempt, request=request, details={}
    )
    return request.client_order_id


def ids_of(intents: list[IntentRecord]) -> list[str]:
    return [intent.client_order_id for intent in intents]


def tamper(path: Path, statement: str) -> None:
    """Change the file behind the triggers' back, as an intruder or a bad disk would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER rows_not_updated")
    connection.execute("DROP TRIGGER rows_not_deleted")
    connection.execute(statement)
    connection.close()


def test_an_intent_is_found_as_it_was_recorded(journal: Journal) -> None:
    request = market("wolf@1")
    journal.record_intent(
        source="wolf@1",
        leg=Leg.ENTRY,
        attempt=0,
        request=request,
        details={"mark": Decimal("95000.10"), "why": "LONG"},
    )

    found = journal.intent(request.client_order_id)

    assert found is not None
    assert found.request == request
    assert found.status is IntentStatus.INTENDED
    assert found.details == {"mark": "95000.10", "why": "LONG"}
    assert (found.source, found.leg, found.attempt) == ("wolf@1", Leg.ENTRY, 0)
    assert journal.intent("trd-other") is None


def test_another_process_sees_an_intent_as_soon_as_it_is_recorded(
    journal: Journal, path: Path
) -> None:
    name = intend(journal, market("a"))

    with Journal.open(path, FixedClock()) as other:
        assert other.intent(name) is not None


def test_a_client_order_id_is_never_journaled_twice(journal: Journal) -> None:
    intend(journal, market("a"))

    with pytest.raises(BrokenInvariant, match="journaled before"):
        intend(journal, market("a"))

    assert len(list(journal.rows())) == 1


def test_events_follow_the_life_cycle_and_their_details_add_up(journal: Journal) -> None:
    name = intend(journal, market("a"))
    journal.record_event(name, IntentEvent.SEND, {})
    journal.record_event(name, IntentEvent.ACCEPT, {"order_id": 7, "filled": Decimal(0)})

    status = journal.record_event(name, IntentEvent.FILL, {"filled": Decimal("0.010")})

    found = journal.intent(name)
    assert status is IntentStatus.FILLED
    assert found is not None
    assert found.status is IntentStatus.FILLED
    assert found.outcome == {"order_id": 7, "filled": "0.010"}


def test_what_was_noted_is_read_at_once(journal: Journal) -> None:
    name = intend(journal, market("a"))
    journal.record_event(name, IntentEvent.SEND, {})

    for number in range(100):
        journal.note_event(name, IntentEvent.PARTIAL_FILL, {"number": number}, deadline_ms=50)
        found = journal.intent(name)
        assert found is not None
        assert found.outcome == {"number": number}


def test_an_event_that_cannot_follow_changes_nothing(journal: Journal) -> None:
    name = intend(journal, market("a"))

    with pytest.raises(BrokenInvariant, match="cannot follow"):
        journal.record_event(name, IntentEvent.FILL, {})

    found = journal.intent(name)
    assert found is not None
    assert found.status is IntentStatus.INTENDED
    assert len(list(journal.rows())) == 1


def test_an_event_of_an_order_never_journaled_is_a_broken_invariant(journal: Journal) -> None:
    with pytest.raises(BrokenInvariant, match="never journaled"):
        journal.record_event("trd-x", IntentEvent.SEND, {})


def test_unknown_and_unfinished_intents_are_listed(journal: Journal) -> None:
    doubtful = intend(journal, market("a"))
    elsewhere = intend(journal, market("b", symbol="ETHUSDT"))
    done = intend(journal, market("c"))
    for name in (doubtful, elsewhere, done):
        journal.record_event(name, IntentEvent.SEND, {})
    journal.record_event(doubtful, IntentEvent.DOUBT, {})
    journal.record_event(elsewhere, IntentEvent.DOUBT, {})
    journal.record_event(done, IntentEvent.REJECT, {"code": -2019})

    assert ids_of(journal.unknown_intents()) == [doubtful, elsewhere]
    assert ids_of(journal.unknown_intents("ETHUSDT")) == [elsewhere]
    assert ids_of(journal.unfinished_intents()) == [doubtful, elsewhere]


def test_intents_of_a_source_come_oldest_first(journal: Journal) -> None:
    first = intend(journal, market("wolf", 0), "wolf", 0)
    intend(journal, market("fish", 0), "fish", 0)
    second = intend(journal, market("wolf", 1), "wolf", 1)

    assert ids_of(journal.intents_of("wolf")) == [first, second]


def test_rows_are_numbered_without_gaps_and_filtered(journal: Journal) -> None:
    assert journal.record("signal", {"n": 1}) == 1
    assert journal.record("decision", {"n": 2}, durable=True) == 2
    assert journal.record("signal", {"n": 3}) == 3

    assert [row.seq for row in journal.rows()] == [1, 2, 3]
    assert [row.data for row in journal.rows(kind="signal", after=1)] == [{"n": 3}]
    newest = journal.last("signal")
    assert newest is not None
    assert newest.seq == 3
    assert journal.last("nothing") is None


def test_rows_are_read_on_over_more_than_one_page(journal: Journal) -> None:
    for number in range(1_001):
        journal.record("tick", {"n": number})

    assert list(range(1_001)) == [row.data["n"] for row in journal.rows(kind="tick")]


@pytest.mark.parametrize("kind", ["intent", "intent_event", "", "two words", "a\nb"])
def test_kinds_that_are_the_journals_own_or_no_word_are_refused(
    journal: Journal, kind: str
) -> None:
    with pytest.raises(BrokenInvariant):
        journal.record(kind, {})


@pytest.mark.parametrize("value", [0.1, Decimal("NaN"), {1: 2}, {"a"}, b"x", object()])
def test_what_cannot_be_kept_exactly_is_refused(journal: Journal, value: object) -> None:
    with pytest.raises(BrokenInvariant, match=r"data\.inner"):
        journal.record("event", {"inner": [value]})

    assert list(journal.rows()) == []


def test_rows_cannot_be_changed_or_deleted_by_sql(journal: Journal, path: Path) -> None:
    journal.record("event", {"n": 1})
    connection = sqlite3.connect(path, isolation_level=None)

    for statement in ("UPDATE rows SET data = '{}'", "DELETE FROM rows"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def filled(path: Path) -> Journal:
    journal = Journal.open(path, FixedClock())
    for number in range(1, 6):
        journal.record("event", {"n": number})
    return journal


def test_a_whole_chain_verifies(path: Path) -> None:
    with filled(path) as journal:
        intend(journal, market("a"))

        assert journal.verify() is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE rows SET data = '{\"n\":9}' WHERE seq = 3", 3),
        ("UPDATE rows SET kind = 'other' WHERE seq = 1", 1),
        ("UPDATE rows SET local_ms = local_ms + 1 WHERE seq = 5", 5),
        ("UPDATE rows SET hash = '' WHERE seq = 2", 2),
        ("UPDATE rows SET data = CAST(x'FF' AS TEXT) WHERE seq = 4", 4),
        ("DELETE FROM rows WHERE seq = 2", 2),
    ],
)
def test_a_changed_row_is_found(path: Path, statement: str, broken: int) -> None:
    with filled(path) as journal:
        tamper(path, statement)

        assert journal.verify() == broken


def test_an_order_that_leaves_at_once_is_written_with_its_sending(journal: Journal) -> None:
    request = market("a")

    journal.record_intent(
        source="a", leg=Leg.ENTRY, attempt=0, request=request, details={}, leaving=True
    )

    found = journal.intent(request.client_order_id)
    assert found is not None
    assert (found.status, found.last_seq) == (IntentStatus.SENT, 2)
    assert [row.kind for row in journal.rows()] == ["intent", "intent_event"]
    assert [row.data.get("event") for row in journal.rows()] == [None, "send"]
    assert journal.verify() is None


def test_an_id_journaled_before_leaves_no_row_when_it_comes_again(journal: Journal) -> None:
    name = intend(journal, market("a"))

    with pytest.raises(BrokenInvariant, match="journaled before"):
        journal.record_intent(
            source="b", leg=Leg.EXIT, attempt=3, request=market("a"), details={}, leaving=True
        )

    found = journal.intent(name)
    assert found is not None
    assert (found.source, found.status) == ("s", IntentStatus.INTENDED)
    assert len(list(journal.rows())) == 1
    assert journal.verify() is None


@given(
    lives=st.lists(
        st.tuples(
            st.booleans(),
            st.lists(
                st.tuples(
                    st.sampled_from(IntentEvent),
                    st.dictionaries(
                        st.sampled_from(["order_id", "filled_quantity", "change", "über"]),
                        st.none() | st.integers() | st.decimals(0, 9, places=3) | st.text(),
                    ),
                ),
                max_size=4,
            ),
        ),
        max_size=4,
    )
)
@settings(max_examples=30, deadline=None)
def test_the_index_is_what_the_rows_add_up_to(
    lives: list[tuple[bool, list[tuple[IntentEvent, dict[str, object]]]]],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.open(Path(folder) / "journal.db", FixedClock()) as journal,
    ):
        for number, (leaving, events) in enumerate(lives):
            request = market("a", number)
            journal.record_intent(
                source="a",
                leg=Leg.ENTRY,
                attempt=number,
                request=request,
                details={"mark": Decimal("1.50")},
                leaving=leaving,
            )
            for event, details in events:
                with contextlib.suppress(BrokenInvariant):
                    journal.record_event(request.client_order_id, event, details)

        assert journal.verify() is None


def test_an_index_that_differs_from_the_rows_is_found_and_rebuilt(path: Path) -> None:
    with filled(path) as journal:
        name = intend(journal, market("a"))
        journal.record_event(name, IntentEvent.SEND, {})
        tamper(path, "UPDATE intents SET status = 'filled'")

        assert journal.verify() == 7

        journal.rebuild_index()
        found = journal.intent(name)
        assert found is not None
        assert found.status is IntentStatus.SENT
        assert journal.verify() is None


@pytest.mark.parametrize("position", range(0, 100, 7))
def test_a_flipped_byte_in_the_recorded_text_is_noticed(path: Path, position: int) -> None:
    text = "x" * 100
    with Journal.open(path, FixedClock()) as journal:
        journal.record("event", {"text": text}, durable=True)
    content = bytearray(path.read_bytes())
    content[content.index(text.encode()) + position] ^= 0x01
    path.write_bytes(content)

    with Journal.open(path, FixedClock()) as journal:
        assert journal.verify() == 1


def test_a_file_that_is_no_journal_is_refused_and_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database, but long enough to look at" * 50)

    with pytest.raises(JournalCorrupt):
        Journal.open(path, FixedClock())

    assert path.read_bytes().startswith(b"not a database")


def test_a_journal_of_another_version_is_refused(path: Path) -> None:
    Journal.open(path, FixedClock()).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(JournalCorrupt, match="version 99"):
        Journal.open(path, FixedClock())


def test_an_event_of_an_intent_without_its_row_is_found_by_verify(path: Path) -> None:
    with Journal.open(path, FixedClock()) as journal:
        name = intend(journal, market("a"))
        journal.record_event(name, IntentEvent.SEND, {})
        tamper(path, "DELETE FROM rows WHERE seq = 1")

        assert journal.verify() == 1
        with pytest.raises(JournalCorrupt, match="which no row introduced"):
            journal.rebuild_index()
        assert journal.intent(name) is not None


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalUnavailable):
        Journal.open(tmp_path / "file" / "journal.db", FixedClock())


def test_a_closed_journal_is_unavailable_and_not_called_damaged(path: Path) -> None:
    journal = Journal.open(path, FixedClock())
    journal.close()
    journal.close()

    with pytest.raises(JournalUnavailable) as caught:
        journal.record("event", {})
    assert not isinstance(caught.value, JournalCorrupt)


def test_a_locked_journal_gives_up_after_the_deadline(journal: Journal, path: Path) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalUnavailable, match="locked"):
        journal.record_intent(
            source="s", leg=Leg.EXIT, attempt=0, request=market("a"), details={}, deadline_ms=20
        )

    holder.execute("ROLLBACK")
    holder.close()
    intend(journal, market("a"))


def test_a_full_disk_is_unavailable_and_leaves_a_whole_journal(path: Path) -> None:
    """A file size limit makes writes fail the way a full disk does."""
    script = f"""
        import resource
        from pathlib import Path
        from trader_cli.clock import SystemClock
        from trader_cli.journal.errors import JournalCorrupt, JournalUnavailable
        from trader_cli.journal.journal import Journal
        journal = Journal.open(Path({str(path)!r}), SystemClock())
        journal.record("event", {{"n": 1}}, durable=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
        count = 1
        try:
            while count < 1000:
                journal.record("event", {{"text": "x" * 4000}})
                count += 1
        except JournalCorrupt:
            print("corrupt")
        except JournalUnavailable:
            print("unavailable", count)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30
    )

    word, count = done.stdout.split()
    assert word == "unavailable", done.stderr
    with Journal.open(path, FixedClock()) as journal:
        assert journal.verify() is None
        assert len(list(journal.rows())) == int(count)


def test_files_and_folders_are_the_owners_only(journal: Journal, path: Path) -> None:
    journal.record("event", {})

    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_flush_works_before_and_after_writes(journal: Journal) -> None:
    journal.flush()
    journal.record("event", {})
    journal.flush()


def test_threads_share_one_journal(journal: Journal) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda n: journal.record("event", {"n": n}), range(40)))

    assert sorted(numbers) == list(range(1, 41))
    assert journal.verify() is None


_WRITER = """
    import sys
    from pathlib import Path
    from trader_cli.clock import SystemClock
    from trader_cli.journal.journal import Journal
    journal = Journal.open(Path(sys.argv[1]), SystemClock())
    print("open", flush=True)
    for number in range(int(sys.argv[2])):
        print(journal.record("event", {"n": number, "text": "x" * 500}, durable=number % 2 == 0),
              flush=True)
"""


def start_writer(path: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), str(path), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_create_and_append_at_once_make_one_chain(path: Path) -> None:
    writers = [start_writer(path, 25) for _ in range(3)]

    outputs = [writer.communicate(timeout=60)[0].split() for writer in writers]

    numbers = [int(word) for output in outputs for word in output[1:]]
    assert sorted(numbers) == list(range(1, 76))
    with Journal.open(path, FixedClock()) as journal:
        assert journal.verify() is None


@pytest.mark.parametrize("rows_seen", [1, 30])
def test_kill_9_amid_writes_loses_nothing_that_was_reported(path: Path, rows_seen: int) -> None:
    writer = start_writer(path, 1_000_000)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    reported = [int(writer.stdout.readline()) for _ in range(rows_seen)]

    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read()
    writer.stdout.close()
    writer.wait()

    complete = rest[: rest.rfind("\n") + 1].split()
    last_reported = max([*reported, *map(int, complete)])
    with Journal.open(path, FixedClock()) as journal:
        assert journal.verify() is None
        kept = [row.seq for row in journal.rows()]
        assert kept[-1] >= last_reported
        assert journal.record("event", {}) == kept[-1] + 1


plain_numbers = st.decimals(
    allow_nan=False, allow_infinity=False, places=8, min_value=0, max_value=10**9
)
optional_numbers = st.none() | plain_numbers
ids = st.from_regex(r"trd-[0-9a-f]{20}-en0", fullmatch=True)
requests = st.one_of(
    st.builds(
        LimitRequest,
        symbol=st.text(min_size=1),
        side=st.sampled_from(Side),
        quantity=plain_numbers,
        price=plain_numbers,
        client_order_id=ids,
        time_in_force=st.sampled_from(TimeInForce),
        good_till_ms=st.none() | st.integers(min_value=0),
        reduce_only=st.booleans(),
        position_side=st.sampled_from(PositionSide),
    ),
    st.builds(
        MarketRequest,
        symbol=st.text(min_size=1),
        side=st.sampled_from(Side),
        quantity=plain_numbers,
        client_order_id=ids,
        reduce_only=st.booleans(),
        position_side=st.sampled_from(PositionSide),
    ),
    st.builds(
        ConditionalRequest,
        symbol=st.text(min_size=1),
        side=st.sampled_from(Side),
        type=st.sampled_from(OrderType),
        client_order_id=ids,
        quantity=optional_numbers,
        trigger_price=optional_numbers,
        price=optional_numbers,
        activate_price=optional_numbers,
        callback_rate=optional_numbers,
        working_type=st.sampled_from(WorkingType),
        close_position=st.booleans(),
        reduce_only=st.booleans(),
        position_side=st.sampled_from(PositionSide),
        time_in_force=st.sampled_from(TimeInForce),
    ),
)


@given(requests)
def test_every_request_survives_the_journal_exactly(request: OrderRequest) -> None:
    text = encode(request_to_json(request))

    assert request_from_json(decode(text)) == request
    assert encode(request_to_json(request_from_json(decode(text)))) == text


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"request": "other"},
        {"request": "market", "symbol": "BTCUSDT"},
        {**request_to_json(market("a")), "side": "HOLD"},
        {**request_to_json(market("a")), "quantity": "many"},
    ],
)
def test_a_request_that_cannot_be_read_is_named_as_damage(data: dict[str, object]) -> None:
    with pytest.raises(JournalCorrupt, match="cannot be read"):
        request_from_json(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_equal_content_gives_equal_text_and_comes_back(data: dict[str, object]) -> None:
    assert decode(encode(data)) == data
    assert encode(dict(reversed(data.items()))) == encode(data)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "等待", "\u2028", '"\\'])
def test_text_as_advisors_really_write_it_is_kept(journal: Journal, text: str) -> None:
    journal.record("signal", {"reasoning": text})

    newest = journal.last("signal")
    assert newest is not None
    assert newest.data == {"reasoning": text}
    assert journal.verify() is None

"""The account's lease and the ban: one engine at a time, and what a restart must remember."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trader_cli.journal.ban import FileBanStore
from trader_cli.journal.lease import AccountLease, LeaseHolder

_HOLDER = """
    import sys, time
    from pathlib import Path
    from trader_cli.journal.lease import AccountLease
    lease = AccountLease.acquire(Path(sys.argv[1]), role="run")
    print(type(lease).__name__, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "home" / "paper"


@pytest.fixture
def other(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_HOLDER), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "AccountLease\n"
        yield process
        process.kill()


def test_a_free_lease_has_no_holder(directory: Path) -> None:
    assert AccountLease.holder(directory) is None


def test_a_held_lease_names_its_holder_to_everyone(directory: Path) -> None:
    lease = AccountLease.acquire(directory, role="run")

    assert isinstance(lease, AccountLease)
    holder = AccountLease.holder(directory)
    assert holder is not None
    assert (holder.pid, holder.role) == (os.getpid(), "run")
    assert AccountLease.acquire(directory, role="guard") == holder
    lease.release()


def test_a_released_lease_is_free_again(directory: Path) -> None:
    lease = AccountLease.acquire(directory, role="run")
    assert isinstance(lease, AccountLease)

    lease.release()
    lease.release()

    assert AccountLease.holder(directory) is None
    with _taken(directory):
        assert AccountLease.holder(directory) is not None
    assert AccountLease.holder(directory) is None


def _taken(directory: Path) -> AccountLease:
    lease = AccountLease.acquire(directory, role="run")
    assert isinstance(lease, AccountLease)
    return lease


def test_a_lease_of_another_process_is_refused(
    directory: Path, other: subprocess.Popen[str]
) -> None:
    refused = AccountLease.acquire(directory, role="run")

    assert isinstance(refused, LeaseHolder)
    assert refused.pid == other.pid


def test_kill_9_frees_the_lease_at_once(directory: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()

    assert AccountLease.holder(directory) is None
    _taken(directory).release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}'])
def test_a_holder_that_could_not_describe_itself_still_holds(
    directory: Path, content: bytes
) -> None:
    with _taken(directory):
        (directory / "lease").write_bytes(content)

        assert AccountLease.holder(directory) == LeaseHolder(
            pid=None, host=None, role=None, since_ms=None
        )


def test_a_ban_is_remembered_by_the_next_process(directory: Path) -> None:
    store = FileBanStore(directory / "ban")
    assert store.get() == 0

    for until_ms in (1_760_000_000_000, 0):
        store.set(until_ms)

        while FileBanStore(directory / "ban").get() != until_ms:
            time.sleep(0.001)  # a late disk is not waited for


def test_a_ban_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileBanStore(tmp_path / "file" / "ban")

    store.set(123)

    assert store.get() == 123


def test_a_ban_holds_up_nobody_where_the_disk_hangs(tmp_path: Path) -> None:
    """It was written by the engine's one thread: behind it waited every exit."""
    pipe = tmp_path / f".ban.{os.getpid()}.tmp"  # opening it waits for a reader
    os.mkfifo(pipe)
    store = FileBanStore(tmp_path / "ban")
    setting = threading.Thread(target=store.set, args=(123,), daemon=True)
    setting.start()
    setting.join(timeout=20)

    assert not setting.is_alive()
    assert store.get() == 123


def test_a_damaged_ban_file_is_no_ban(tmp_path: Path) -> None:
    """A false ban would keep kill from the exchange; a real one is told again by the exchange."""
    (tmp_path / "ban").write_text("soon")

    assert FileBanStore(tmp_path / "ban").get() == 0

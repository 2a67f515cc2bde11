"""Work on a disk: who waits for it goes on, is told, or ends without it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from trader_cli.journal.disk_wait import Errands, aside, within


class Disk:
    """A disk that answers when the test lets it."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0

    def read(self) -> str:
        self.asked += 1
        assert self.answers.wait(timeout=20), "the test lets it"
        return "read"

    def answer(self) -> None:
        self.answers.set()
        for thread in threading.enumerate():
            if thread.name == "disk":
                thread.join(timeout=20)


def refuse() -> None:
    raise OSError("no space left")


async def test_work_goes_on_in_peace_when_whoever_waited_is_cancelled() -> None:
    """A thread that found nobody to answer printed its traceback at the end of a run."""
    disk = Disk()
    waiting = asyncio.create_task(aside(disk.read))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    disk.answer()

    assert (waiting.cancelled(), disk.asked) == (True, 1)


async def test_what_work_raises_is_raised() -> None:
    with pytest.raises(OSError, match="no space"):
        await aside(refuse)
    with pytest.raises(OSError, match="no space"):
        within(refuse, 20)
    with pytest.raises(OSError, match="no space"):
        Errands().run(refuse, 20)


def test_late_errand_is_waited_for_once_and_begun_anew_when_it_is_over() -> None:
    disk, errands = Disk(), Errands()

    for _ in range(3):
        with pytest.raises(TimeoutError):
            errands.run(disk.read, 0.01)
    disk.answer()
    assert disk.asked == 1

    assert errands.run(disk.read, 20) == "read"
    assert disk.asked == 2


STOPPED_IN_THE_MIDDLE = """
import os, signal, time
from trader_cli.journal.disk_wait import Errands

def look():
    time.sleep(0.05)  # until it is waited for
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.02)
    return "read"

print(Errands().run(look, 1.2))
"""


def test_time_in_which_the_whole_process_stood_still_is_not_the_disks() -> None:
    """A machine that is held up for half a second took its disk for dead, and dropped entries."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_IN_THE_MIDDLE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.waitpid(process.pid, os.WUNTRACED)
        threading.Event().wait(1.3)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=20)

    assert (out, err) == ("read\n", "")

"""Advisor processes: what they may see, and that they never outlive the engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from trader_cli.engine.advisor_logs import (
    LOG_BYTES_MAX,
    keep_small,
    log_file_of,
    put_aside_if_large,
)
from trader_cli.engine.advisors import (
    SHIM,
    AdvisorDied,
    AdvisorEnded,
    AdvisorEvent,
    AdvisorNotStarted,
    AdvisorProgram,
    AdvisorStarted,
    advisor_environment,
    backoff_s,
    resolve_program,
    supervise,
)
from trader_cli.errors import UsageError

SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


class InstantClock:
    """Sleeping costs no time; how long was asked for is kept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.seconds = 0.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


def script(folder: Path, source: str, name: str = "advisor.py") -> AdvisorProgram:
    (folder / name).write_text(source)
    return resolve_program(name, folder=folder)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process; there is no event for what it does."""
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return True unless the process is gone or a zombie, which holds nothing any more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def written_pid(path: Path) -> int | None:
    text = path.read_text() if path.exists() else ""
    return int(text) if text else None


@contextlib.asynccontextmanager
async def supervised(
    program: AdvisorProgram, folder: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[tuple[list[AdvisorEvent], InstantClock]]:
    events: list[AdvisorEvent] = []
    clock = InstantClock()
    task = asyncio.create_task(
        supervise(
            program,
            bridge_dir=folder / "bridge",
            log_dir=folder / "logs",
            environment=environment if environment is not None else dict(os.environ),
            clock=clock,
            on_event=events.append,
        )
    )
    try:
        yield events, clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_advisor_runs_in_the_bridge_folder_and_its_output_goes_to_a_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = script(
        tmp_path,
        "import os, sys, time\nprint('here', os.getcwd())\nprint('oops', file=sys.stderr)\n"
        "open('ready', 'w').close()\ntime.sleep(600)",
    )
    async with supervised(program, tmp_path) as (events, _):
        await until((tmp_path / "bridge" / "ready").exists)

    assert isinstance(events[0], AdvisorStarted)
    log = events[0].log_file.read_text()
    assert f"here {os.path.realpath(tmp_path / 'bridge')}\n" in log
    assert "oops" in log
    assert capfd.readouterr() == ("", "")


async def test_advisor_that_cannot_be_started_is_tried_again_and_ends_nobody_else(
    tmp_path: Path,
) -> None:
    program = script(tmp_path, "open('ready', 'w').close()\nimport time\ntime.sleep(600)")
    in_the_way = tmp_path / "logs"
    in_the_way.write_text("no folder can be made here")
    async with supervised(program, tmp_path) as (events, clock):
        await until(lambda: len(events) >= 3)
        assert {type(event) for event in events} == {AdvisorNotStarted}
        assert clock.slept[:3] == [1.0, 2.0, 4.0]
        in_the_way.unlink()
        await until((tmp_path / "bridge" / "ready").exists)


async def test_log_of_a_running_advisor_is_put_aside_once_it_is_large(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        "import pathlib, sys, time\n"
        f"sys.stdout.write('a' * {LOG_BYTES_MAX})\nprint('b', flush=True)\n"
        "open('large', 'w').close()\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "print('c', flush=True)\nopen('done', 'w').close()\ntime.sleep(600)",
    )
    folder, log = tmp_path / "bridge", tmp_path / "logs" / "advisor-advisor.log"
    async with supervised(program, tmp_path) as (_, clock):
        await until((folder / "large").exists)
        keeper = asyncio.create_task(keep_small([log], clock=clock))
        await until(lambda: log.stat().st_size == 0)
        (folder / "go").touch()
        await until((folder / "done").exists)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    assert log.read_text() == "c\n"
    aside = log.with_suffix(".log.1").read_text()
    assert (len(aside), aside[-2:]) == (LOG_BYTES_MAX + 2, "b\n")


def test_log_of_just_the_size_that_is_allowed_stays(tmp_path: Path) -> None:
    log = log_file_of(tmp_path, "pulse")
    put_aside_if_large(log)
    log.write_bytes(b"a" * LOG_BYTES_MAX)

    put_aside_if_large(log)

    assert (log.stat().st_size, list(tmp_path.iterdir())) == (LOG_BYTES_MAX, [log])


async def test_environment_holds_no_means_to_trade(tmp_path: Path) -> None:
    environment = advisor_environment(
        {
            "PATH": os.environ["PATH"],
            "OPENAI_API_KEY": "kept",
            "BINANCE_API_SECRET": "x",
            "TRADER_HOME": "x",
            "MY_TELEGRAM_TOKEN": "x",
            "SLACK_WEBHOOK_URL": "x",
            "smtp_password": "x",
            "APPRISE_URLS": "x",
        },
        rest_url="http://127.0.0.1:9",
    )
    program = script(
        tmp_path,
        "import json, os, time\njson.dump(dict(os.environ), open('part', 'w'))\n"
        "os.rename('part', 'env')\ntime.sleep(600)",
    )
    async with supervised(program, tmp_path, environment):
        await until((tmp_path / "bridge" / "env").exists)

    seen = json.loads((tmp_path / "bridge" / "env").read_text())
    assert seen["TRADER_REST_URL"] == "http://127.0.0.1:9"
    assert seen["OPENAI_API_KEY"] == "kept"
    assert "x" not in seen.values()


async def test_dead_advisor_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    program = script(tmp_path, "import sys; sys.exit(3)")
    async with supervised(program, tmp_path) as (events, clock):
        await until(lambda: sum(isinstance(event, AdvisorDied) for event in events) >= 4)

    died = [event for event in events if isinstance(event, AdvisorDied)][:4]
    assert [event.exit_code for event in died] == [3, 3, 3, 3]
    assert clock.slept[:3] == [1.0, 2.0, 4.0]


async def test_ending_the_reported_process_ends_the_advisor(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    (tmp_path / "advisor.py").write_text(SLEEPER)
    program = resolve_program(f"advisor.py {pid_file}", folder=tmp_path)
    async with supervised(program, tmp_path) as (events, _):
        await until(lambda: written_pid(pid_file) is not None)
        assert isinstance(events[0], AdvisorStarted)
        os.kill(events[0].pid, signal.SIGTERM)
        await until(lambda: len(events) > 1)

    assert isinstance(events[1], AdvisorDied)
    assert events[1].exit_code == 128 + signal.SIGTERM


def test_pause_is_bounded() -> None:
    assert [backoff_s(failures) for failures in (1, 5, 6, 1000)] == [1.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize("source", [SLEEPER, STUBBORN])
async def test_advisor_ends_with_the_engine_even_if_it_will_not(
    tmp_path: Path, source: str
) -> None:
    pid_file = tmp_path / "pid"
    (tmp_path / "advisor.py").write_text(source)
    program = resolve_program(f"advisor.py {pid_file}", folder=tmp_path)
    async with supervised(program, tmp_path) as (events, _):
        await until(lambda: written_pid(pid_file) is not None)
        pid = written_pid(pid_file)
        assert pid is not None
        assert is_alive(pid)

    assert isinstance(events[-1], AdvisorEnded)
    await until(lambda: not is_alive(pid))  # killed already, the kernel may need a moment


async def test_programs_an_advisor_starts_end_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "grandchild"
    program = script(
        tmp_path,
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}, "
        f"{str(pid_file)!r}])\ntime.sleep(600)",
    )
    async with supervised(program, tmp_path):
        await until(lambda: written_pid(pid_file) is not None)

    pid = written_pid(pid_file)
    assert pid is not None
    await until(lambda: not is_alive(pid))


async def test_what_a_dead_advisor_left_running_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "orphan"
    program = script(
        tmp_path,
        f"import os, subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {SLEEPER!r}, "
        f"{str(pid_file)!r}])\n"
        f"while not os.path.exists(p := {str(pid_file)!r}) or not os.path.getsize(p): "
        "time.sleep(0.01)",
    )
    async with supervised(program, tmp_path) as (events, _):
        await until(lambda: any(isinstance(event, AdvisorDied) for event in events))
        await until(lambda: written_pid(pid_file) is not None)
        pid = written_pid(pid_file)
        assert pid is not None
        await until(lambda: not is_alive(pid))


async def test_advisor_ends_when_the_engine_is_killed_without_warning(tmp_path: Path) -> None:
    # The engine is another process here, so that it can be killed the hard way.
    pid_file = tmp_path / "pid"
    (tmp_path / "advisor.py").write_text(STUBBORN)
    engine_source = f"""
import asyncio, os
from pathlib import Path
from trader_cli.clock import SystemClock
from trader_cli.engine.advisors import resolve_program, supervise
folder = Path({str(tmp_path)!r})
program = resolve_program("advisor.py " + {str(pid_file)!r}, folder=folder)
asyncio.run(supervise(program, bridge_dir=folder, log_dir=folder, environment=os.environ,
                      clock=SystemClock(), on_event=lambda event: None))
"""
    engine = subprocess.Popen([sys.executable, "-c", engine_source])
    try:
        await until(lambda: written_pid(pid_file) is not None)
        pid = written_pid(pid_file)
        assert pid is not None
        assert is_alive(pid)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()

    await until(lambda: not is_alive(pid))


def test_shim_says_why_a_program_cannot_start(tmp_path: Path) -> None:
    program = tmp_path / "advisor"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)

    result = subprocess.run(
        [sys.executable, "-I", str(SHIM), str(program)],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 127
    assert str(program) in result.stderr
    assert "Traceback" not in result.stderr


def test_python_file_runs_with_our_interpreter_from_the_callers_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "wolf.py").touch()

    program = resolve_program("sub/wolf.py --interval 5 'two words'", folder=tmp_path)

    assert program.name == "wolf"
    assert program.argv == (
        sys.executable,
        str(tmp_path / "sub" / "wolf.py"),
        "--interval",
        "5",
        "two words",
    )


def test_bare_program_is_looked_up_and_its_script_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "lion.py").touch()

    program = resolve_program("sh scripts/lion.py no/such/file", folder=tmp_path)

    assert os.path.isabs(program.argv[0])
    assert program.argv[1:] == (str(tmp_path / "scripts" / "lion.py"), "no/such/file")
    assert program.name == "lion"


def test_program_by_path_must_be_executable(tmp_path: Path) -> None:
    path = tmp_path / "advisor"
    path.write_text("#!/bin/sh\n")
    with pytest.raises(UsageError):
        resolve_program("./advisor", folder=tmp_path)

    path.chmod(path.stat().st_mode | stat.S_IXUSR)

    assert resolve_program("./advisor", folder=tmp_path).argv == (str(path),)


@pytest.mark.parametrize(
    "command_line", ["", "  ", "missing.py", "./missing", "no-such-program-anywhere", "'unclosed"]
)
def test_missing_program_is_refused_before_anything_starts(
    tmp_path: Path, command_line: str
) -> None:
    with pytest.raises(UsageError, match="--advisor"):
        resolve_program(command_line, folder=tmp_path)

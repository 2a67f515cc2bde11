"""Run one advisor and end it when the engine is gone, however the engine ended.

Started as a script, as `python -I advisor_shim.py PROGRAM ARG...`; standard library only. Its
standard input is the read end of a pipe whose write end the engine holds and nobody writes to:
end of file means the engine is gone, also after `kill -9`. It must not know the engine.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys

GRACE_S = 3.0


def main() -> int:
    """Return the advisor's exit code, 128 + n if signal n ended it, 127 if it cannot be started."""
    if os.getpgrp() != os.getpid():
        os.setsid()  # the group that is killed at the end must hold nobody else
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop below
    try:
        advisor = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error.strerror}\n")
        return 127
    signal.signal(signal.SIGTERM, lambda *_: advisor.send_signal(signal.SIGTERM))
    while True:
        exit_code = advisor.poll()
        if exit_code is not None:
            return exit_code if exit_code >= 0 else 128 - exit_code
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready and not os.read(0, 4096):
            end_group(advisor)


def end_group(advisor: "subprocess.Popen[bytes]") -> None:
    """Ask the whole group to end, then make it. This process is one of the group."""
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        advisor.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())

"""Make `tests.support` importable, behind everything that is installed.

`tests.support` is found through the checkout's folder, which goes to the very end of the path: a
test that imports `trader_cli` gets the package that pip installed, in an editable environment and
in a fresh one alike.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.append(_ROOT)

collect_ignore = ["conformance"]
"""Suites for other clients, whose packages collide with ours: `.ci/run` starts them apart."""

# A busy machine must not fail a property: nothing here is judged by the clock.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell lets what it starts in the background ignore Ctrl-C, and so do the children of that: the
# commands that are interrupted here would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

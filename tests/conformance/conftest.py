"""What every client's program shares: a fresh account for each check, and the count by area.

An area is a class. The count goes to the file named by `CONFORMANCE_RESULT` for `run.py`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from paper_exchange import PaperExchange

_counts: Counter[tuple[str, str]] = Counter()


@pytest.fixture(scope="session")
def exchange_of_session() -> PaperExchange:
    return PaperExchange.from_environment()


@pytest.fixture(autouse=True)
def paper(exchange_of_session: PaperExchange) -> PaperExchange:
    """The paper exchange, its account as on the first day."""
    exchange_of_session.reset()
    return exchange_of_session


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.failed:
        area = report.nodeid.split("::")[1].removeprefix("Check")
        _counts[area, report.outcome] += 1


def pytest_sessionfinish() -> None:
    path = os.environ.get("CONFORMANCE_RESULT")
    if path:
        rows = [[area, outcome, count] for (area, outcome), count in _counts.items()]
        Path(path).write_text(json.dumps(rows))

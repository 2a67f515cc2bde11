"""A journal that cannot be used stops entries; whatever ends or shows exposure works without it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.trader_process import Trader


@pytest.fixture
def trader(tmp_path: Path) -> Iterator[Trader]:
    """A position of 0.002 BTCUSDT, and in the journal's place a folder."""
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text("[paper]\nrate_limits = false\n")
    assert trader("paper", "start").code == 0
    assert trader("order", "market", "BTCUSDT", "buy", "0.002").code == 0
    for file in (trader.home / "paper").glob("journal.db*"):
        file.unlink()
    (trader.home / "paper" / "journal.db").mkdir()
    yield trader
    assert trader("paper", "stop").code == 0


def test_without_a_journal_nothing_opens_and_the_rest_works(trader: Trader) -> None:
    entry = trader.json("order", "limit", "BTCUSDT", "buy", "0.001", "60000")
    assert (entry.code, entry.error["code"]) == (4, "journal_unavailable")
    smart = trader.json("order", "smart", "BTCUSDT", "buy", "0.001")
    assert (smart.code, smart.error["code"]) == (4, "journal_unavailable")

    protect = trader.json("position", "protect", "BTCUSDT", "--stop", "-5%")
    [shown] = trader.json("position", "list").data["positions"]
    status = trader.json("risk", "status").data
    doubt = trader.json("order", "resolve")
    close = trader.json("position", "close", "BTCUSDT")
    kill = trader.json("kill", "--all")

    assert protect.code == 0, protect.out
    assert shown["protected"] is True
    assert status["open_positions"] == 1
    assert (doubt.code, doubt.error["kind"]) == (6, "not_sent")
    assert close.code == 0
    assert trader.json("order", "list").data["orders"] == []
    assert kill.data["flat"] is True


def test_limits_that_cannot_be_written_in_time_hold_all_the_same(tmp_path: Path) -> None:
    """A looser one needs a person, whatever the journal does; and no exit waits for its row."""
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text("[paper]\nrate_limits = false\n")
    assert trader("paper", "start").code == 0
    assert trader("order", "market", "BTCUSDT", "buy", "0.002").code == 0
    (tmp_path / "config.toml").write_text(
        "[paper]\nrate_limits = false\n[risk]\nmax_position_usd = 900\nmax_leverage = 125\n"
    )

    with closing(sqlite3.connect(trader.home / "paper" / "journal.db")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        closed = trader("position", "close", "BTCUSDT")
        took_s = time.monotonic() - began_s
        other.execute("ROLLBACK")

    assert closed.code == 0
    assert "position 900 USD · leverage 20x" in closed.err
    assert "looser in the configuration and not in force: max_leverage" in closed.err
    assert took_s < 4, "the end of the journal is waited for, its lock is not"
    assert trader("paper", "stop").code == 0

"""Every command with its main options, in one-way and in hedge mode: its JSON is the contract's.

The rows run in one process a mode, each on a fresh account that another program has set up. What
every other test of the command line reads is held against the same shapes on the way
(`tests.support.trader_process`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from pydantic import ValidationError

from tests.support.cli_shapes import DATA, PUBLISHED, check_envelope, published
from tests.support.other_program import OtherProgram
from tests.support.shapes.envelope import EXIT_CODES
from tests.support.trader_process import Outcome, Trader
from trader_cli.cli.commands import GROUPS

MODES = ("one-way", "hedge")
ENTRY, STOP = "trd-entry", "trd-stop"
"""Client ids of the order and the stop that a row may need."""


@unique
class Has(StrEnum):
    """What the account of a row holds."""

    NOTHING = "nothing"
    ORDER = "order"
    POSITION = "position"
    STOP = "stop"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True)
class Row:
    """One command; `first` are commands before it, `code` what it ends with."""

    words: str
    has: Has = Has.NOTHING
    code: int = 0
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.words.replace(" ", "-").replace("/", "|")


BANNED = "paper fault arm banned --method GET --amount 1 --forever"
SECOND_TIME = "--probability 0.5 --seed 10"
"""A chance that does not strike the first time, and does the second."""
HALT = "risk halt --reason test"
ROWS = (
    Row("account balance"),
    Row("account info", Has.POSITION),
    Row("account permissions"),
    Row("account mode"),
    Row("account fees BTCUSDT ETHUSDT"),
    Row("account income", Has.POSITION),
    Row("account income BTCUSDT --since 1d --type COMMISSION", Has.POSITION),
    Row("order limit BTCUSDT buy 0.001 -2%"),
    Row("order limit BTCUSDT buy 0.001 +0.5% --tif IOC"),
    Row("order limit BTCUSDT sell 0.001 +2% --tif GTD --good-till 2h"),
    Row("order limit BTCUSDT sell 0.001 +2% --reduce-only", Has.POSITION),
    Row("order limit BTCUSDT buy --risk-usd 5 -2% --stop -5% --take-profit +3%"),
    Row("order limit BTCUSDT buy 0.001 -2% --dry-run"),
    Row("order limit BTCUSDT buy 0.001 -2% --validate"),
    Row("order market BTCUSDT buy 0.001"),
    Row("order market BTCUSDT buy 0.001 --max-slippage-bps 20"),
    Row("order market BTCUSDT sell 0.001 --reduce-only", Has.POSITION),
    Row("order market BTCUSDT buy 0.001 --stop -3% --take-profit +3%"),
    Row("order market BTCUSDT buy 0.001 --dry-run"),
    Row("order market BTCUSDT buy 0.001 --validate"),
    Row("order smart BTCUSDT buy 0.001 --deadline 0.5"),
    Row("order smart BTCUSDT sell 0.001 --reduce-only --deadline 0.5", Has.POSITION),
    Row("order smart BTCUSDT buy --usd 200 --dry-run"),
    Row("order bracket BTCUSDT buy 0.001 --stop -4% --entry limit:-2%"),
    Row("order bracket BTCUSDT buy 0.001 --stop -4% --entry market --take-profit +2% --trailing 1"),
    Row("order bracket BTCUSDT sell 0.001 --stop +4% --dry-run"),
    Row("order stop-loss BTCUSDT -3%", Has.POSITION),
    Row("order stop-loss BTCUSDT -3% 0.001 --limit -4%", Has.POSITION),
    Row("order stop-loss BTCUSDT -3% --dry-run", Has.POSITION),
    Row("order take-profit BTCUSDT +3%", Has.POSITION),
    Row("order trailing-stop BTCUSDT 1 --activate +1%", Has.POSITION),
    Row("order batch orders.json", code=10),
    Row("order batch orders.json --dry-run", code=10),
    Row("order list", Has.STOP),
    Row(f"order show {ENTRY}", Has.ORDER),
    Row(f"order show {STOP} --symbol BTCUSDT", Has.STOP),
    Row("order history BTCUSDT --days 1", Has.STOP),
    Row("order trades BTCUSDT --days 1", Has.POSITION),
    Row(f"order amend {ENTRY} --price -3% --qty 0.002", Has.ORDER),
    Row(f"order amend {ENTRY} --price -3% --dry-run", Has.ORDER),
    Row(f"order amend {STOP} --price -4%", Has.STOP),
    Row(f"order cancel {ENTRY}", Has.ORDER),
    Row(f"order cancel {ENTRY} --dry-run", Has.ORDER),
    Row(f"order cancel {STOP}", Has.STOP),
    Row("order cancel-all", Has.ORDER),
    Row("order cancel-all BTCUSDT --stops --all --yes", Has.STOP),
    Row("order cancel-all --dry-run", Has.STOP),
    Row("order resolve", first=("order limit BTCUSDT buy 0.001 -2%",)),
    Row("position list", Has.STOP),
    Row("position open BTCUSDT long --usd 200 --stop-roi 20 --leverage 10"),
    Row("position open BTCUSDT short --qty 0.001 --stop 99000 --tp-roi 20"),
    Row("position open BTCUSDT long --risk-usd 5 --stop 92000"),
    Row("position open BTCUSDT long --usd 200 --stop-roi 20 --dry-run"),
    Row("position add BTCUSDT --usd 200", Has.STOP),
    Row("position add BTCUSDT --usd 200 --dry-run", Has.STOP),
    Row("position reduce BTCUSDT --pct 50", Has.STOP),
    Row("position reduce BTCUSDT --qty 0.001 --dry-run", Has.STOP),
    Row("position close BTCUSDT", Has.STOP),
    Row("position close --all", Has.POSITION),
    Row("position close BTCUSDT --dry-run", Has.POSITION),
    Row("position protect BTCUSDT --stop 92000 --take-profit 98000 --trailing 1", Has.POSITION),
    Row("position protect BTCUSDT --stop 92000 --dry-run", Has.POSITION),
    Row("position leverage BTCUSDT"),
    Row("position leverage BTCUSDT 7"),
    Row("position margin BTCUSDT", Has.POSITION),
    Row("position margin BTCUSDT isolated"),
    Row("position margin BTCUSDT --add 5", Has.ISOLATED),
    Row(
        "position margin BTCUSDT --remove 1",
        Has.ISOLATED,
        first=("position margin BTCUSDT --add 5",),
    ),
    Row("position mode"),
    Row("position mode one-way"),
    Row("position sync", Has.POSITION),
    Row("position sync", code=11, first=("paper fault arm foreign_order --quantity 0.003",)),
    Row("position adopt BTCUSDT --stop 92000 --take-profit 98000", Has.POSITION),
    Row("position adopt BTCUSDT --stop 92000 --dry-run", Has.POSITION),
    Row("position pnl BTCUSDT", Has.ISOLATED),
    Row("risk status", Has.STOP, first=(HALT,)),
    Row("risk limits"),
    Row("risk check BTCUSDT buy 0.001"),
    Row("risk check BTCUSDT sell 0.001 96000"),
    Row("risk halt --reason test --symbol BTCUSDT"),
    Row(f"{HALT} --dry-run"),
    Row("risk resume --reason test", first=(HALT,)),
    Row("risk resume --reason test --dry-run", first=(HALT,)),
    Row("kill --all", Has.STOP),
    Row("kill --symbol BTCUSDT --cancel-only --stops", Has.STOP),
    Row("kill --all --dry-run", Has.STOP),
    Row("paper start"),
    Row("paper status", first=("paper fault arm unknown --path /none",)),
    Row("paper reset --balance 5000 --yes"),
    Row("paper reset --yes --dry-run"),
    Row("paper price BTCUSDT"),
    Row("paper price BTCUSDT 94000"),
    Row("paper fault arm unknown --method POST --path /none --probability 0.5 --seconds 5"),
    Row("paper fault arm foreign_order --symbol BTCUSDT --side BUY --quantity 0.001"),
    Row("paper fault list", first=("paper fault arm unknown --path /none",)),
    Row("paper fault clear"),
    Row("paper stop"),
    # what fails
    Row("order limit NOSUCH buy 1 1", code=2),
    Row("order limit BTCUSDT buy 1 90000", code=4),
    Row("order limit BTCUSDT buy 0.001 +0.5% --post-only", code=5),
    Row("order list", code=6, first=("paper fault arm maintenance --path /fapi/v1/openOrders",)),
    Row(
        "order list",
        code=8,
        first=("paper fault arm too_many_requests --path /fapi/v1/openOrders",),
    ),
    Row("order limit BTCUSDT buy 0.001 -2%", code=9, first=(HALT,)),
    Row("order market BTCUSDT buy 0.010", code=10, first=("paper fault arm partial_fills",)),
    # what is done, and cannot be read again afterwards
    Row("position margin BTCUSDT isolated", first=(f"{BANNED} --path /fapi/v3/positionRisk",)),
    Row("position mode one-way", first=(f"{BANNED} --path /fapi/v3/account {SECOND_TIME}",)),
    Row("paper reset", code=2),
    Row("nonsense", code=2),
)
BATCH = [
    {"order": "limit", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.001", "price": "-2%"},
    {"order": "limit", "symbol": "BTCUSDT", "side": "buy", "quantity": "9", "price": "-2%"},
]


class Place:
    """One mode's exchange and home."""

    def __init__(self, root: Path, mode: str) -> None:
        self._is_hedge = mode == "hedge"
        self._trader = Trader(root=root)
        config = "[paper]\nrate_limits = false\n[risk]\nmax_position_usd = 1000\n"
        (root / "config.toml").write_text(config)
        (root / "orders.json").write_text(json.dumps(BATCH))
        self._other = self._find()

    def run(self, row: Row) -> Outcome:
        """Set the account up and run the row's commands."""
        self._begin(row.has)
        for words in row.first:
            assert self._trader.json(*words.split()).code == 0, words
        return self._trader.json(*row.words.split())

    def end(self) -> None:
        self._trader("paper", "stop")

    def _find(self) -> OtherProgram:
        data = self._trader.json("paper", "start").data
        names = ("rest_url", "api_key", "api_secret")
        return OtherProgram(**{name: data[name] for name in names})

    def _begin(self, has: Has) -> None:
        self._other = self._find()  # a row may have stopped it
        self._switch("DELETE", "/paper/fault")
        self._switch("POST", "/paper/price", symbol="BTCUSDT", price="95000")
        self._switch("POST", "/paper/reset")
        shutil.rmtree(self._trader.home / "paper", ignore_errors=True)
        if self._is_hedge:
            self._ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
        if has is Has.ORDER:
            more = {"type": "LIMIT", "timeInForce": "GTC", "price": "93000"}
            self._order("/fapi/v1/order", "BUY", newClientOrderId=ENTRY, **more)
        if has is Has.ISOLATED:
            self._ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        if has in (Has.POSITION, Has.STOP, Has.ISOLATED):
            self._order("/fapi/v1/order", "BUY", newClientOrderId="trd-held", type="MARKET")
        if has is Has.STOP:
            more = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "92000"}
            more |= {} if self._is_hedge else {"reduceOnly": "true"}
            self._order("/fapi/v1/algoOrder", "SELL", clientAlgoId=STOP, **more)

    def _order(self, path: str, side: str, **more: str) -> None:
        where = {"positionSide": "LONG"} if self._is_hedge else {}
        self._ask("POST", path, symbol="BTCUSDT", side=side, quantity="0.003", **where, **more)

    def _ask(self, method: str, path: str, **values: str) -> None:
        self._other.ask(method, path, **values)

    def _switch(self, method: str, path: str, **values: str) -> None:
        url = f"{self._other.rest_url}{path}?{urlencode(values)}"
        key = {"X-MBX-APIKEY": self._other.api_key}
        with urlopen(Request(url, method=method, headers=key), timeout=10):
            pass


class Table:
    """Runs rows in the background, both modes at a time."""

    def __init__(self, wanted: list[tuple[str, Row]], roots: dict[str, Path]) -> None:
        self._roots = roots
        self._places: dict[str, Place] = {}
        self._pools = {mode: ThreadPoolExecutor(1) for mode in roots}
        self._outcomes: dict[tuple[str, Row], Future[Outcome]] = {
            (mode, row): self._pools[mode].submit(self._run, mode, row) for mode, row in wanted
        }

    def outcome(self, mode: str, row: Row) -> Outcome:
        """Return what a row came to, when it has."""
        return self._outcomes[mode, row].result(timeout=180)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)
        for place in self._places.values():
            place.end()

    def _run(self, mode: str, row: Row) -> Outcome:
        if mode not in self._places:
            self._places[mode] = Place(self._roots[mode], mode)
        return self._places[mode].run(row)


@pytest.fixture(scope="module")
def table(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Table]:
    """Run the rows that are asked for; each test looks at its own."""
    wanted = [
        (item.callspec.params["mode"], item.callspec.params["row"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == "test_a_command_prints_what_the_contract_says"
    ]
    running = Table(wanted, {mode: tmp_path_factory.mktemp(mode) for mode in MODES})
    yield running
    running.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_command_prints_what_the_contract_says(table: Table, row: Row, mode: str) -> None:
    outcome = table.outcome(mode, row)

    assert outcome.code == row.code, outcome.out
    check_envelope(json.loads(outcome.out), outcome.code)
    if row.words == "position mode one-way":
        assert outcome.data == {"mode": "one-way", "changed": mode == "hedge"}
    if row.words.startswith("risk check"):
        opens = "LONG" if " buy " in row.words else "SHORT"
        assert outcome.data["order"]["position_side"] == (opens if mode == "hedge" else "BOTH")


def test_every_command_is_in_the_table() -> None:
    known = {f"{name} {verb}" for name, group in GROUPS.items() for verb in group.verbs} | {
        name for name, group in GROUPS.items() if not group.verbs
    }
    with_envelope = known - {"run", "paper serve"}  # one object a line, and none at all

    assert set(DATA) == with_envelope
    assert {" ".join(row.words.split()[:2]) for row in ROWS if row.code == 0} >= {
        command
        for command in with_envelope
        if command not in ("kill", "order batch", "position sync")
    }


def test_the_published_schema_is_the_one_the_tests_hold() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == published(), (
        "write it anew: python -m tests.support.cli_shapes"
    )


SOUND: dict[str, Any] = {
    "schema": 1,
    "env": "paper",
    "command": "position mode",
    "ok": True,
    "data": {"mode": "hedge", "changed": False},
}
ERROR = {"kind": "refused", "code": "max_position_usd", "message": "too much", "advice": None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schema": 2}, 0),
        ({"env": None}, 0),
        ({"ok": False}, 0),
        ({"more": 1}, 0),
        ({"data": {"mode": "hedge"}}, 0),
        ({"data": {"mode": "hedge", "changed": "no"}}, 0),
        ({"data": {"mode": "both", "changed": False}}, 0),
        ({"data": {"mode": "hedge", "changed": False, "more": 1}}, 0),
        ({}, 1),
        ({"ok": False, "error": ERROR}, 5),
        ({"ok": False, "error": ERROR | {"kind": "other"}}, 4),
        ({"ok": False, "error": {"kind": "refused"}}, 4),
    ],
)
def test_what_is_not_the_contracts_is_found(changes: dict[str, Any], code: int) -> None:
    check_envelope(SOUND, 0)
    check_envelope(SOUND | {"ok": False, "error": ERROR}, EXIT_CODES["refused"])

    with pytest.raises((ValidationError, AssertionError)):
        check_envelope(SOUND | changes, code)

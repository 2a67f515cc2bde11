"""What the operator's words mean, before any command runs."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tests.support.facts import risk_view
from trader_cli.cli.arguments import (
    duration_ms,
    moment_ms,
    order_name,
    order_side,
    position_direction,
    positive_number,
    symbol_name,
    time_in_force,
    whole_number,
)
from trader_cli.cli.commands import GROUPS, command_path, root_help
from trader_cli.cli.crash import report_crash
from trader_cli.cli.invocation import Invocation
from trader_cli.cli.order_options import resolved_good_till
from trader_cli.cli.prices import price_wish
from trader_cli.cli.recent_views import RecentViews
from trader_cli.cli.shared_options import SharedOptions, split_shared
from trader_cli.domain.terms import TimeInForce
from trader_cli.errors import UsageError
from trader_cli.trading.risk.risk_terms import RiskView

HEAVY = ("binance", "aiohttp", "pydantic")


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--env", "paper", "order", "list"],
        ["order", "--json", "--env=paper", "list"],
        ["order", "list", "--env", "paper", "--json"],
    ],
)
def test_shared_options_mean_the_same_wherever_they_stand(words: list[str]) -> None:
    shared, rest = split_shared(words)

    assert shared == SharedOptions(json=True, env="paper")
    assert rest == ["order", "list"]


def test_every_shared_option_is_understood() -> None:
    words = ["--live", "--config", "a.toml", "--quiet", "--yes", "--dry-run", "kill", "--all"]

    shared, rest = split_shared(words)

    assert shared == SharedOptions(
        live=True, config=Path("a.toml"), quiet=True, yes=True, dry_run=True
    )
    assert rest == ["kill", "--all"]


@pytest.mark.parametrize("words", [["--env"], ["--env", "moon"], ["--config"], ["--env="]])
def test_shared_option_without_a_valid_value_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        split_shared(words)


@pytest.mark.parametrize("number", ["-1", "-0.5", "-.5", "-1e3", "-0"])
def test_negative_number_is_refused_in_its_own_words(number: str) -> None:
    with pytest.raises(UsageError, match="must not be negative"):
        split_shared(["order", "limit", "BTCUSDT", "buy", number, "60000"])


def test_reason_may_say_anything() -> None:
    _, rest = split_shared(["risk", "halt", "--reason", "--json", "--symbol", "BTCUSDT"])

    assert rest == ["risk", "halt", "--reason", "--json", "--symbol", "BTCUSDT"]


def test_words_after_the_double_dash_are_left_alone() -> None:
    shared, rest = split_shared(["order", "--", "--json", "-1"])

    assert not shared.json
    assert rest == ["order", "--", "--json", "-1"]


@given(st.lists(st.text(max_size=8), max_size=6))
def test_splitting_never_breaks_and_invents_no_words(words: list[str]) -> None:
    try:
        _, rest = split_shared(words)
    except UsageError:
        return
    assert all(word in words for word in rest)


@pytest.mark.parametrize(
    "text", ["NaN", "1e3", "Infinity", "", " ", "0", "0.0", "1,5", "１", "0x1", "+1"]
)
def test_number_that_is_not_plain_and_positive_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        positive_number(text)


@pytest.mark.parametrize(("text", "value"), [("0.001", "0.001"), ("60000", "60000"), (".5", "0.5")])
def test_plain_number_is_taken_exactly(text: str, value: str) -> None:
    assert positive_number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["+60000", "+0.1", "-5", "5t", "0.1%", "+5x"])
def test_a_price_is_a_number_or_a_whole_distance(text: str) -> None:
    """A sign without a unit may be a distance whose unit was forgotten."""
    with pytest.raises(typer.BadParameter):
        price_wish(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "é", "x" * 37])
def test_what_no_order_can_be_called_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        order_name(text)


@pytest.mark.parametrize("text", ["34000000001", "trd-a-en0", "web_1:x/y.z", "x" * 36])
def test_what_an_order_can_be_called_is_taken_as_it_is(text: str) -> None:
    assert order_name(text) == text


@pytest.mark.parametrize(("text", "is_taken"), [("10m", False), ("601s", True), ("1ms", False)])
def test_a_date_the_exchange_does_not_take_is_refused_here(text: str, is_taken: bool) -> None:
    if is_taken:
        assert resolved_good_till(text, TimeInForce.GTD, 0) == 601_000
        return
    with pytest.raises(UsageError, match="ten minutes"):
        resolved_good_till(text, TimeInForce.GTD, 0)


@pytest.mark.parametrize("text", ["1.5", "0", "20x"])
def test_leverage_is_a_whole_number(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        whole_number(text)


def test_spelling_of_sides_symbols_and_times_is_forgiving() -> None:
    assert order_side("Buy") == "BUY"
    assert position_direction("short") == "SHORT"
    assert symbol_name("btcusdt") == "BTCUSDT"
    assert time_in_force("gtx") == "GTX"


@pytest.mark.parametrize("text", ["long", "b", ""])
def test_unknown_side_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="buy, sell"):
        order_side(text)


@pytest.mark.parametrize("text", ["BTC/USDT", "", "B", "BTC USDT", "ВТСUSDT"])
def test_what_cannot_be_a_symbol_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        symbol_name(text)


def test_durations_and_moments() -> None:
    assert duration_ms("90s") == 90_000
    assert moment_ms("15m", now_ms=1_000) == 901_000
    assert moment_ms("1970-01-01T00:00:02+00:00", now_ms=0) == 2_000
    for text in ("0s", "15", "1970-01-01T00:00:02", "soon"):
        with pytest.raises(ValueError, match="neither"):
            moment_ms(text, now_ms=0)


def test_help_names_every_group_and_every_verb() -> None:
    text = root_help()

    for name, group in GROUPS.items():
        assert name in text
        assert all(verb in text for verb in group.verbs)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["order", "limit", "BTCUSDT"], "order limit"),
        (["kill", "--all"], "kill"),
        (["order", "nope"], "order"),
        (["nope", "limit"], "nope"),
        ([], ""),
    ],
)
def test_command_is_named_for_the_envelope(words: list[str], path: str) -> None:
    assert command_path(words) == path


def loaded_by(*argv: str) -> set[str]:
    """Return the modules that one command line loads, in an interpreter of its own."""
    script = (
        "import sys; from trader_cli.cli.app import run; sys.stdout = sys.stderr; "
        f"run({list(argv)!r}); sys.__stdout__.write('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split("\n"))


def test_help_imports_nothing_that_is_slow() -> None:
    loaded = loaded_by("--help")

    assert loaded.isdisjoint({*HEAVY, "typer", "rich", "asyncio"})


@pytest.mark.parametrize("group", [name for name in GROUPS if name != "run"])
def test_group_is_imported_alone(group: str) -> None:
    loaded = loaded_by(group, "--help")

    assert loaded.isdisjoint(HEAVY)
    others = {row.module for name, row in GROUPS.items() if name != group}
    assert loaded.isdisjoint(others)


class StoppedClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_ms(self) -> int:
        return int(self.at_s * 1000)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds


async def test_reading_of_the_account_serves_a_symbol_for_three_seconds() -> None:
    asked: list[str] = []

    async def read(symbol: str) -> RiskView:
        asked.append(symbol)
        return risk_view()

    clock = StoppedClock()
    views = RecentViews(read, clock)

    await views.read("BTCUSDT")
    await clock.sleep(3)
    await views.read("BTCUSDT")
    await views.read("ETHUSDT")
    await clock.sleep(0.001)
    await views.read("BTCUSDT")

    assert asked == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]


def test_crash_leaves_its_traceback_in_a_file_of_its_owner(tmp_path: Path) -> None:
    invocation = Invocation(
        shared=SharedOptions(),
        command="order list",
        environ={"TRADER_HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    try:
        raise LookupError("a bug")
    except LookupError as bug:
        shown = report_crash(invocation, bug)

    (file,) = (tmp_path / "crashes").iterdir()
    assert "LookupError: a bug" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert (shown.kind, shown.exit_code) == ("bug", 1)
    assert "a bug" not in shown.message
    assert str(file) in str(shown.advice)


def test_crash_without_a_place_for_its_traceback_is_still_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    invocation = Invocation(
        shared=SharedOptions(), command="x", environ={"TRADER_HOME": str(blocked)}, cwd=tmp_path
    )

    assert report_crash(invocation, LookupError("a bug")).advice is not None

"""What a command refuses, rehearses and shows is what it would do, or did."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.trader_process import TRADER, Outcome, Trader
from trader_cli.paper.process import reset


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    trader = Trader(root=tmp_path_factory.mktemp("truth"))
    # More commands within a minute than the exchange allows.
    (trader.root / "config.toml").write_text("[paper]\nrate_limits = false\n")
    assert trader("paper", "start").code == 0
    yield trader
    assert trader("paper", "stop").code == 0


@pytest.fixture
def trader(exchange: Trader) -> Trader:
    """The one exchange, flat and fresh."""
    reset(exchange.home)
    return exchange


def resting(trader: Trader) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = trader.json("order", "list").data["orders"]
    return rows


def held(trader: Trader) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = trader.json("position", "list").data["positions"]
    return rows


def refusal(outcome: Outcome) -> tuple[object, ...]:
    return outcome.code, outcome.error["kind"], outcome.error["code"]


# --- brackets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ["market", "smart", "limit:-1%"])
@pytest.mark.parametrize(
    ("exits", "rule"),
    [
        (("--stop", "-3%", "--take-profit", "-2%"), "target_side"),
        (("--stop", "+3%", "--take-profit", "+5%"), "stop_would_trigger"),
    ],
)
def test_an_exit_on_the_wrong_side_refuses_the_bracket_and_its_rehearsal(
    trader: Trader, entry: str, exits: tuple[str, ...], rule: str
) -> None:
    """A market entry was made all the same, its target silently left out."""
    words = ("order", "bracket", "BTCUSDT", "buy", "0.002", *exits, "--entry", entry)

    for more in (("--dry-run",), ()):
        assert refusal(trader.json(*words, *more)) == (4, "refused", rule)
    assert (held(trader), resting(trader)) == ([], [])


@pytest.mark.parametrize("entry", ["market", "smart"])
def test_a_bracket_beside_a_position_is_refused_and_moves_no_stop(
    trader: Trader, entry: str
) -> None:
    words = ("order", "bracket", "BTCUSDT", "buy", "0.001", "--entry", entry, "--stop")
    assert trader.json(*words, "-3%").code == 0
    [stop] = resting(trader)

    outcome = trader.json(*words, "-6%")

    assert refusal(outcome) == (2, "usage", "position_exists")
    assert resting(trader) == [stop]


def test_a_stop_that_opens_goes_with_the_side_of_its_entry(trader: Trader) -> None:
    outcome = trader.json(
        *("order", "bracket", "BTCUSDT", "sell", "0.001", "--stop", "+3%", "--position", "long")
    )

    assert (outcome.code, outcome.error["kind"]) == (2, "usage")


def test_a_rehearsed_bracket_shows_its_exits_where_they_would_rest(trader: Trader) -> None:
    words = ("order", "bracket", "BTCUSDT", "buy", "--usd", "200", "--entry", "market")
    data = trader.json(*words, "--stop", "-3.3333%", "--take-profit", "+3.3333%", "--dry-run").data

    for name in ("stop_price", "take_profit_price"):
        assert Decimal(data[name]) % Decimal("0.1") == 0
    assert data["entry"]["quantity"] == "0.002"


# --- sizes ----------------------------------------------------------------------------------------


def test_a_smart_order_wants_what_the_exchange_can_trade(trader: Trader) -> None:
    """The digits below the step were told as not executed, and `too_small` as the reason."""
    data = trader.json("order", "smart", "BTCUSDT", "buy", "--usd", "250", "--deadline", "2").data

    assert (data["quantity"], data["filled_quantity"]) == ("0.002", "0.002")
    assert data["reason"] != "too_small"


def test_a_size_in_dollars_is_told_in_digits_a_person_reads(trader: Trader) -> None:
    outcome = trader("order", "limit", "BTCUSDT", "buy", "70000", "--usd", "150", "--dry-run")

    assert "quantity 0.00214286 -> 0.002 (step 0.001, down)" in outcome.err


# --- exits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("stop-loss", "BTCUSDT", "+2%"), "stop_would_trigger"),
        (("stop-loss", "BTCUSDT", "+2%", "--limit", "+1%"), "stop_would_trigger"),
        (("take-profit", "BTCUSDT", "-2%"), "take_profit_would_trigger"),
    ],
)
def test_an_exit_that_would_fire_at_once_is_refused_and_not_rehearsed(
    trader: Trader, words: tuple[str, ...], rule: str
) -> None:
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.002").code == 0

    for more in (("--dry-run",), ()):
        assert refusal(trader.json("order", *words, *more)) == (4, "refused", rule)
    assert resting(trader) == []


@pytest.mark.parametrize(("percent", "rate"), [("0.05", "0.1"), ("1.555", "1.56"), ("50", "20")])
def test_a_trailing_distance_the_exchange_does_not_take_is_moved_to_one_and_said(
    trader: Trader, percent: str, rate: str
) -> None:
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.002").code == 0

    outcome = trader("order", "trailing-stop", "BTCUSDT", percent, "--json")

    assert outcome.data["callback_rate"] == rate
    assert f"callback rate {percent} % → {rate} %" in outcome.err


# --- rehearsals -----------------------------------------------------------------------------------


def place(trader: Trader, *words: str) -> dict[str, Any]:
    return trader.json("order", *words).data


def test_a_rehearsed_amendment_is_judged_as_the_real_one(trader: Trader) -> None:
    entry = place(trader, "limit", "BTCUSDT", "buy", "0.002", "80000")
    amend = ("order", "amend", str(entry["order_id"]))

    would = trader.json(*amend, "--price", "80000.05", "--dry-run").data
    shown = trader(*amend, "--price", "81000.1", "--dry-run", "--quiet")
    too_much = trader.json(*amend, "--qty", "0.02", "--dry-run")
    too_little = trader.json(*amend, "--qty", "0.0001", "--dry-run")

    assert (would["price"], would["change"]["price"]) == ("80000", "80000")
    assert "81000.1" in shown.out
    assert refusal(too_much) == (4, "refused", "max_position_usd")
    assert refusal(too_little) == (2, "usage", "LOT_SIZE")
    assert resting(trader)[0]["price"] == "80000"


def test_a_rehearsed_move_of_a_stop_is_judged_too(trader: Trader) -> None:
    assert place(trader, "market", "BTCUSDT", "buy", "0.002", "--stop", "-3%")
    [stop] = resting(trader)
    amend = ("order", "amend", str(stop["algo_id"]), "--dry-run")

    through = trader.json(*amend, "--price", "+2%")
    sized = trader.json(*amend, "--qty", "0.001")
    moved = trader(*amend, "--price", "80000", "--quiet")

    assert refusal(through) == (5, "rejected", -2021)
    assert refusal(sized) == (2, "usage", "closes_position")
    assert "80000" in moved.out
    assert resting(trader) == [stop]


@pytest.mark.parametrize("words", [("cancel",), ("amend", "--price", "90000")])
def test_what_has_ended_is_neither_changed_nor_rehearsed(
    trader: Trader, words: tuple[str, ...]
) -> None:
    """A rehearsal said that a filled order would be cancelled."""
    filled = place(trader, "market", "BTCUSDT", "buy", "0.001")
    verb, *more = words

    for dry in (("--dry-run",), ()):
        outcome = trader.json("order", verb, str(filled["order_id"]), *more, *dry)
        assert refusal(outcome) == (5, "rejected", -2011)


def test_a_rehearsed_sweep_names_what_it_would_take(trader: Trader) -> None:
    place(trader, "market", "BTCUSDT", "buy", "0.002", "--stop", "-3%")
    entry = place(trader, "limit", "BTCUSDT", "buy", "0.001", "85000")
    [stop] = [row for row in resting(trader) if row["kind"] == "algo"]

    plain = place(trader, "cancel-all", "--dry-run")["would_cancel"]
    whole = place(trader, "cancel-all", "--stops", "--dry-run")["would_cancel"]

    assert [row["order_id"] for row in plain] == [entry["order_id"]]
    assert {row["algo_id"] for row in whole} == {None, stop["algo_id"]}
    assert len(resting(trader)) == 2


# --- batches --------------------------------------------------------------------------------------


def test_the_exits_of_a_file_protect_what_the_same_file_opens(trader: Trader) -> None:
    items = [
        {"order": "stop-loss", "symbol": "ETHUSDT", "price": "-3%"},
        {"order": "market", "symbol": "ETHUSDT", "side": "buy", "usd": "100"},
        {"order": "limit", "symbol": "FOOUSDT", "side": "buy", "quantity": "1", "price": "1"},
    ]
    (trader.root / "exits.json").write_text("\ufeff" + json.dumps(items), encoding="utf-8")

    outcome = trader.json("order", "batch", "exits.json")

    stop, entry, unknown = outcome.envelope["data"]["results"]
    assert (stop["ok"], entry["ok"]) == (True, True)
    assert stop["order"]["quantity"] == entry["order"]["filled_quantity"]
    assert (unknown["error"]["kind"], unknown["error"]["code"]) == ("usage", "unknown_symbol")


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(trader: Trader, name: str) -> None:
    outcome = trader.json("order", "batch", name)

    assert outcome.code == 2
    assert "Errno" not in outcome.error["message"]


# --- whoever reads --------------------------------------------------------------------------------


def in_shell(trader: Trader, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line, TRADER],
        cwd=trader.root,
        env=trader.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("where", ["> /dev/full", ">&- 2>&- <&-"])
def test_an_order_that_was_placed_is_no_failure_because_nobody_reads_it(
    trader: Trader, where: str
) -> None:
    """It ended with a traceback and 1, and a script would have sent it again."""
    done = in_shell(trader, f'"$0" order limit BTCUSDT buy 0.001 80000 --quiet {where}')

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert ("could not be written" in done.stderr) == ("full" in where)
    assert len(resting(trader)) == 1


def test_a_failure_keeps_its_exit_code_where_nobody_reads_it(trader: Trader) -> None:
    done = in_shell(trader, '"$0" order limit BTCUSDT buy 9 80000 --json --quiet > /dev/full')

    assert done.returncode == 4


def test_a_watch_ends_with_its_reader(trader: Trader) -> None:
    done = in_shell(trader, '"$0" position list --watch --json --quiet | head -1')

    assert json.loads(done.stdout)["ok"] is True


# --- positions ------------------------------------------------------------------------------------


def open_long(trader: Trader, *more: str) -> Outcome:
    return trader.json("position", "open", "BTCUSDT", "long", "--qty", "0.002", *more)


@pytest.mark.parametrize(
    ("exits", "rule"),
    [
        (("--stop-roi", "20", "--take-profit", "50000"), "take_profit_would_trigger"),
        (("--stop", "200000"), "stop_would_trigger"),
    ],
)
def test_a_position_whose_exit_would_fire_is_neither_opened_nor_rehearsed(
    trader: Trader, exits: tuple[str, ...], rule: str
) -> None:
    """It was opened without its target, and nothing said so."""
    for dry in (("--dry-run",), ()):
        assert refusal(open_long(trader, *exits, *dry)) == (4, "refused", rule)
    assert held(trader) == []


def test_opening_what_is_held_says_that_it_adds(trader: Trader) -> None:
    assert open_long(trader, "--stop-roi", "20").code == 0

    outcome = trader("position", "open", "BTCUSDT", "long", "--qty", "0.001", "--stop-roi", "30")

    assert "0.002 BTCUSDT are held already" in outcome.err


def test_what_is_left_and_what_is_rehearsed_is_shown_under_its_stop(trader: Trader) -> None:
    """They said `protected: false` of a position whose stop rested."""
    assert open_long(trader, "--stop-roi", "20").code == 0
    position = ("position", "reduce", "BTCUSDT", "--qty", "0.001")

    rehearsed = [
        trader.json(*position, "--dry-run").data["position"],
        trader.json("position", "protect", "BTCUSDT", "--stop", "-5%", "--dry-run").data[
            "position"
        ],
        *trader.json("position", "close", "BTCUSDT", "--dry-run").data["positions"],
    ]
    reduced = trader.json(*position).data["position"]

    assert [row["protected"] for row in (*rehearsed, reduced)] == [True] * 4
    assert (rehearsed[0]["quantity"], reduced["quantity"]) == ("0.002", "0.001")


def test_a_reduction_shows_what_was_closed_and_what_is_left(trader: Trader) -> None:
    """The table said that all of it was closed, and that nothing protected it."""
    assert open_long(trader, "--stop-roi", "20").code == 0

    reduced = trader("position", "reduce", "BTCUSDT", "--qty", "0.001", "--quiet").out
    closed = trader("position", "close", "BTCUSDT", "--quiet").out

    assert "Closed (USDT)" not in reduced
    assert reduced.index("Closed by") < reduced.index("Left")
    assert "protected" not in closed


# --- kill and halt --------------------------------------------------------------------------------


def test_what_kill_cancelled_is_no_drift(trader: Trader) -> None:
    """A sync said that somebody else had cancelled each of them, and ended with 11."""
    for file in (trader.home / "paper").glob("journal.db*"):
        file.unlink()  # what the tests before left was reset with the account, and would be told
    assert open_long(trader, "--stop-roi", "20").code == 0
    place(trader, "limit", "BTCUSDT", "buy", "0.001", "80000")

    assert trader.json("kill", "--all").data["flat"] is True
    synced = trader.json("position", "sync")
    assert trader.json("risk", "resume", "--reason", "test").code == 0

    assert [row for row in synced.data["drifts"] if not row["expected"]] == []


def test_a_kill_of_a_symbol_that_is_none_ends_at_once_and_says_so(trader: Trader) -> None:
    outcome = trader.json("kill", "--symbol", "BTCUSD")
    assert trader.json("risk", "resume", "--reason", "test").code == 0

    assert (outcome.code, outcome.envelope["data"]["rounds"]) == (11, 2)
    assert "Invalid symbol" in outcome.error["message"]


def test_a_halt_of_one_symbol_is_shown_and_its_end_too(trader: Trader) -> None:
    assert trader.json("risk", "halt", "--reason", "news", "--symbol", "ETHUSDT").code == 0

    shown = trader("risk", "status", "--quiet").out
    lifted = trader("risk", "resume", "--reason", "test", "--quiet").out

    assert "ETHUSDT" in shown
    assert "news" in shown
    assert "ETHUSDT" in lifted


# --- the paper exchange ---------------------------------------------------------------------------


def test_a_failure_nobody_knows_is_answered_with_those_there_are(trader: Trader) -> None:
    outcome = trader.json("paper", "fault", "arm", "no_such")

    assert (outcome.code, outcome.error["kind"]) == (2, "usage")
    assert "stop_vanished" in outcome.error["advice"]


def test_lists_are_shown_as_words(trader: Trader) -> None:
    shown = trader("paper", "status", "--quiet").out

    assert "BTCUSDT, ETHUSDT" in shown
    assert "[" not in shown


@pytest.mark.parametrize("words", [("close", "BTCUSDT"), ("reduce", "BTCUSDT", "--pct", "50")])
def test_what_was_closed_tells_at_which_price(trader: Trader, words: tuple[str, ...]) -> None:
    assert open_long(trader, "--stop-roi", "20").code == 0

    [order] = trader.json("position", *words).data["orders"]

    assert Decimal(order["average_price"]) > 0


@pytest.mark.parametrize("words", [("paper", "fault"), ("paper", "fault", "no"), ("order", "no")])
def test_a_verb_that_is_missing_or_wrong_is_answered_with_those_there_are(
    trader: Trader, words: tuple[str, ...]
) -> None:
    outcome = trader.json(*words)

    assert outcome.code == 2
    assert ("list" in outcome.error["advice"], "\n" in outcome.error["message"]) == (True, False)


def test_a_span_that_is_none_is_refused_in_a_sentence(trader: Trader) -> None:
    outcome = trader.json("run", "--bridge", "bridge", "--for", "0s")

    assert outcome.code == 2
    assert "90s, 15m" in outcome.error["message"]

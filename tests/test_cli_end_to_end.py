"""The installed `trader` against its own paper exchange: what a person and a script rely on."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.trader_process import TRADER, Trader
from trader_cli.clock import SystemClock
from trader_cli.journal.halt import HaltLatch
from trader_cli.paper.process import reset

ORDER_KEYS = {
    *("kind", "symbol", "order_id", "algo_id", "client_order_id", "side", "position_side"),
    *("type", "status", "quantity", "filled_quantity", "price", "average_price"),
    *("trigger_price", "activate_price", "callback_rate", "time_in_force", "reduce_only"),
    *("close_position", "working_type", "own", "created_ms", "updated_ms"),
}
POSITION_KEYS = {
    *("symbol", "side", "quantity", "entry_price", "mark_price", "notional", "leverage"),
    *("margin_type", "unrealized_pnl", "roi_pct", "liquidation_price", "stop_price"),
    *("take_profit_price", "protected", "unprotected_seconds", "own"),
}
DAY_KEYS = {
    *("realized", "unrealized", "fees", "funding", "pnl"),
    *("loss_limit_usd", "loss_limit_pct", "used_pct"),
}
KEYS = {"BINANCE_API_KEY": "k" * 40, "BINANCE_API_SECRET": "s" * 40}
RESTING = ("order", "limit", "BTCUSDT", "buy", "0.001", "60000", "--post-only")


@pytest.fixture(scope="module")
def shared_trader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trader]:
    """One home and one exchange for the whole module."""
    trader = Trader(root=tmp_path_factory.mktemp("trader"))
    # A whole module of commands within a minute is more than the exchange allows.
    (trader.root / "config.toml").write_text("[paper]\nrate_limits = false\n")
    assert trader("paper", "start").code == 0
    yield trader
    assert trader("paper", "stop").code == 0


@pytest.fixture
def trader(shared_trader: Trader) -> Iterator[Trader]:
    """The shared home; whatever a test left behind is taken away again."""
    yield shared_trader
    reset(shared_trader.home)
    latch = HaltLatch(shared_trader.home / "paper" / "halt", SystemClock())
    assert latch.clear(reason="next test") == []


def ask_price(trader: Trader) -> Decimal:
    return Decimal(trader.json("paper", "price", "BTCUSDT").data["ask"])


def test_fresh_account_holds_ten_thousand(trader: Trader) -> None:
    outcome = trader.json("account", "balance")

    envelope = outcome.envelope
    assert (envelope["schema"], envelope["env"], envelope["command"], envelope["ok"]) == (
        1,
        "paper",
        "account balance",
        True,
    )
    (asset,) = outcome.data["assets"]
    assert asset == {
        "asset": "USDT",
        "wallet_balance": "10000",
        "available_balance": "10000",
        "unrealized_pnl": "0",
    }
    assert outcome.data["equity_usdt"] == "10000"


def test_account_info_says_how_the_account_is_set_up(trader: Trader) -> None:
    data = trader.json("account", "info").data

    assert (data["position_mode"], data["can_trade"]) == ("one-way", True)


def test_banner_is_on_stderr_and_quiet_silences_it(trader: Trader) -> None:
    loud, quiet = trader("order", "list", "--json"), trader.json("order", "list")

    assert "[paper]" in loud.err
    assert "not halted" in loud.err
    assert loud.envelope == quiet.envelope
    assert quiet.err == ""


def test_post_only_order_rests_is_listed_shown_and_cancelled(trader: Trader) -> None:
    order = trader.json(*RESTING).data

    assert set(order) == ORDER_KEYS
    assert (order["status"], order["price"], order["own"]) == ("NEW", "60000", True)
    (listed,) = trader.json("order", "list", "BTCUSDT").data["orders"]
    assert listed["order_id"] == order["order_id"]
    for identifier in (str(order["order_id"]), order["client_order_id"]):
        assert trader.json("order", "show", identifier).data["order_id"] == order["order_id"]

    cancelled = trader.json("order", "cancel", order["client_order_id"]).data

    assert cancelled["status"] == "CANCELED"
    assert trader.json("order", "list").data["orders"] == []
    assert trader.json("order", "cancel", order["client_order_id"]).code == 5


def test_post_only_order_above_the_ask_is_rejected_by_the_exchange(trader: Trader) -> None:
    price = str(round(ask_price(trader) * Decimal("1.01")))

    outcome = trader.json("order", "limit", "BTCUSDT", "buy", "0.001", price, "--post-only")

    assert outcome.code == 5
    assert (outcome.error["kind"], outcome.error["code"]) == ("rejected", -5022)


def test_five_bitcoin_are_refused_and_nothing_reaches_the_exchange(trader: Trader) -> None:
    outcome = trader.json("order", "limit", "BTCUSDT", "buy", "5", "60000", "--post-only")

    assert outcome.code == 4
    assert (outcome.error["kind"], outcome.error["code"]) == ("refused", "max_position_usd")
    assert "1000" in outcome.error["message"]
    assert trader.json("order", "list").data["orders"] == []


def test_dry_run_checks_everything_and_sends_nothing(trader: Trader) -> None:
    passed = trader.json(*RESTING, "--dry-run")
    refused = trader.json("order", "limit", "BTCUSDT", "buy", "5", "60000", "--dry-run")

    assert passed.data["dry_run"] is True
    assert set(passed.data) > ORDER_KEYS
    assert refused.code == 4
    assert trader.json("order", "list").data["orders"] == []


def test_rounding_is_said_and_never_against_the_operator(trader: Trader) -> None:
    outcome = trader("order", "limit", "BTCUSDT", "buy", "0.00159", "60000.07", "--json")

    assert (outcome.data["quantity"], outcome.data["price"]) == ("0.001", "60000")
    assert "0.00159" in outcome.err
    assert "60000.07" in outcome.err


def test_notional_stands_in_for_the_quantity(trader: Trader) -> None:
    order = trader.json("order", "limit", "BTCUSDT", "buy", "60000", "--usd", "130").data

    assert (order["quantity"], order["price"]) == ("0.002", "60000")


WRONG_WORDS = [
    ("order", "limit", "BTCUSDT", "buy", "-0.001", "60000"),
    ("order", "limit", "BTCUSDT", "buy", "NaN", "60000"),
    ("order", "limit", "BTCUSDT", "buy", "0.001", "1e3"),
    ("order", "limit", "BTCUSDT", "buy", "0", "60000"),
    ("order", "limit", "BTCUSDX", "buy", "0.001", "60000"),
    ("order", "limit", "BTC/USDT", "buy", "0.001", "60000"),
    ("order", "limit", "BTCUSDT", "long", "0.001", "60000"),
    ("order", "limit", "BTCUSDT", "buy", "0.001"),
    ("order", "limit", "BTCUSDT", "buy", "0.0001", "60000"),
    ("order", "limit", "BTCUSDT", "buy", "0.001", "40000"),
    ("order", "limit", "BTCUSDT", "buy", "0.001", "60000", "--post-onyl"),
    ("order", "limit", "BTCUSDT", "buy", "0.001", "60000", "--post-only", "--tif", "IOC"),
    ("order", "market", "BTCUSDT", "buy"),
    ("order", "nope"),
    ("order",),
    ("nope",),
    ("order", "stop-loss", "BTCUSDT", "90000"),
    ("position", "open", "BTCUSDT", "long", "--usd", "100"),
    ("position", "open", "BTCUSDT", "long", "--no-stop"),
    ("position", "protect", "BTCUSDT"),
    ("risk", "halt"),
    ("risk", "halt", "--reason", " "),
    ("kill",),
    ("kill", "--all", "--symbol", "BTCUSDT"),
    ("paper", "reset"),
    ("order", "cancel-all", "--all"),
    ("--env", "moon", "order", "list"),
]


@pytest.mark.parametrize("words", WRONG_WORDS, ids=" ".join)
def test_wrong_words_get_one_clear_error_and_send_nothing(
    shared_trader: Trader, words: tuple[str, ...]
) -> None:
    outcome = shared_trader.json(*words)

    assert outcome.code == 2
    assert (outcome.envelope["ok"], outcome.error["kind"]) == (False, "usage")
    assert outcome.error["message"]
    assert outcome.err == ""


def test_nothing_rests_after_all_those_wrong_words(shared_trader: Trader) -> None:
    assert shared_trader.json("order", "list").data["orders"] == []


def test_unknown_symbol_is_answered_with_near_ones(shared_trader: Trader) -> None:
    outcome = shared_trader.json("order", "list", "BTCUSD")

    assert outcome.code == 2
    assert "BTCUSDT" in outcome.error["advice"]


@pytest.mark.parametrize(
    ("env", "code", "kind"),
    [
        ({"TRADER_REST_URL": "http://127.0.0.1:1", **KEYS}, 6, "not_sent"),
        ({"TRADER_REST_URL": "nonsense"}, 2, "config"),
        ({"TRADER_ENV": "testnet"}, 3, "permission"),
        ({"BINANCE_API_KEY": "k" * 40}, 2, "config"),
        ({"TRADER_ENV": "live", "BINANCE_TESTNET": "true", **KEYS}, 2, "config"),
    ],
)
def test_missing_keys_and_dead_servers_have_their_own_exit_codes(
    tmp_path: Path, env: dict[str, str], code: int, kind: str
) -> None:
    trader = Trader(root=tmp_path)

    for words in (("account", "balance"), RESTING):
        outcome = trader.json(*words, env=env)
        assert (outcome.code, outcome.error["kind"]) == (code, kind)
        assert "Traceback" not in outcome.err
        assert "s" * 40 not in outcome.out + outcome.err


def test_kill_of_a_dead_server_does_not_leave_its_caller_without_a_word(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text("[kill]\ndeadline_s = 3\n")

    outcome = trader(
        "kill",
        "--all",
        "--json",
        env={"TRADER_ENV": "testnet", "TRADER_REST_URL": "http://127.0.0.1:1", **KEYS},
    )

    assert (outcome.code, outcome.error["kind"]) == (11, "not_flat")
    assert "testnet: halted, not proven flat yet; going on for up to 3 s" in outcome.err
    assert "no connection to the exchange" in outcome.error["message"]


def test_broken_configuration_is_told_whole_and_does_not_stop_a_halt(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    (tmp_path / "config.toml").write_text('[risk]\nmax_position_usd = "x"\nunheard_of = 1\n')

    refused = trader.json("account", "balance")
    halted = trader.json("risk", "halt", "--reason", "broken")

    assert (refused.code, refused.error["kind"]) == (2, "config")
    assert "max_position_usd" in refused.error["message"]
    assert "unheard_of" in refused.error["message"]
    assert halted.data["halted"] is True


def test_halt_refuses_entries_lets_exits_out_and_is_resumed(trader: Trader) -> None:
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.002").code == 0
    assert trader.json("risk", "halt", "--reason", "lunch").data["halted"] is True

    entry = trader.json("order", "market", "BTCUSDT", "buy", "0.001")
    checked = trader.json("risk", "check", "BTCUSDT", "buy", "0.001")
    reduced = trader.json("order", "market", "BTCUSDT", "sell", "0.001", "--reduce-only")
    status = trader.json("risk", "status").data
    closed = trader.json("position", "close", "BTCUSDT")
    resumed = trader.json("risk", "resume", "--reason", "back").data

    assert (entry.code, entry.error["kind"]) == (9, "halted")
    assert "lunch" in entry.error["message"]
    assert checked.code == 9
    assert reduced.code == 0
    assert (status["halted"], status["halt_reason"]) == (True, "lunch")
    assert closed.data["flat"] is True
    assert resumed["halted"] is False
    assert trader.json(*RESTING).code == 0


def test_position_lives_under_its_stop_from_open_to_close(trader: Trader) -> None:
    opened = trader.json(
        *("position", "open", "BTCUSDT", "long", "--usd", "300", "--leverage", "10"),
        *("--stop-roi", "10", "--tp-roi", "20"),
    ).data

    position = opened["position"]
    assert set(position) == POSITION_KEYS
    assert (position["protected"], position["leverage"]) == (True, 10)
    entry, stop = Decimal(position["entry_price"]), Decimal(position["stop_price"])
    assert abs((entry - stop) / entry - Decimal("0.01")) < Decimal("0.0001")

    moved = str(round(entry * Decimal("0.98")))
    protected = trader.json("position", "protect", "BTCUSDT", "--stop", moved).data
    (listed,) = trader.json("position", "list").data["positions"]
    closed = trader.json("position", "close", "BTCUSDT").data

    assert protected["position"]["protected"] is True
    assert (listed["stop_price"], listed["side"]) == (moved, "LONG")
    assert closed["flat"] is True
    assert trader.json("order", "list").data["orders"] == []
    assert trader.json("position", "list").data["positions"] == []


def test_conditional_orders_take_side_and_size_from_the_position(trader: Trader) -> None:
    assert trader.json("order", "market", "BTCUSDT", "sell", "0.002").code == 0
    price = ask_price(trader)
    above, below = str(round(price * Decimal("1.02"))), str(round(price * Decimal("0.98")))

    stop = trader.json("order", "stop-loss", "BTCUSDT", above).data
    target = trader.json("order", "take-profit", "BTCUSDT", below, "0.001").data
    trail = trader.json("order", "trailing-stop", "BTCUSDT", "0.5").data
    kept = trader.json("order", "cancel-all", "BTCUSDT").data
    gone = trader.json("order", "cancel-all", "BTCUSDT", "--stops").data

    assert (stop["type"], stop["side"], stop["quantity"]) == ("STOP_MARKET", "BUY", "0.002")
    assert (stop["kind"], stop["reduce_only"], stop["trigger_price"]) == ("algo", True, above)
    assert (target["type"], target["quantity"]) == ("TAKE_PROFIT_MARKET", "0.001")
    assert (trail["type"], trail["callback_rate"]) == ("TRAILING_STOP_MARKET", "0.5")
    assert (kept["cancelled"], len(kept["kept"])) == ([], 3)
    assert {row["status"] for row in gone["cancelled"]} == {"CANCELED"}
    assert len(gone["cancelled"]) == 3


def test_stop_that_would_fire_at_once_is_refused(trader: Trader) -> None:
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.001").code == 0
    price = str(round(ask_price(trader) * Decimal("1.01")))

    outcome = trader.json("position", "protect", "BTCUSDT", "--stop", price)

    assert (outcome.code, outcome.error["code"]) == (4, "stop_would_trigger")


@pytest.mark.parametrize(("leverage", "code"), [("20", 0), ("21", 4)])
def test_leverage_is_set_up_to_the_limit(trader: Trader, leverage: str, code: int) -> None:
    outcome = trader.json("position", "leverage", "ETHUSDT", leverage)

    assert outcome.code == code
    assert trader.json("position", "leverage", "ETHUSDT").data["leverage"] == 20


def test_kill_leaves_nothing_and_the_next_entry_is_halted(trader: Trader) -> None:
    assert trader.json(*RESTING).code == 0
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.002").code == 0
    stop = str(round(ask_price(trader) * Decimal("0.98")))
    assert trader.json("position", "protect", "BTCUSDT", "--stop", stop).code == 0

    killed = trader.json("kill", "--all")

    data = killed.data
    assert (data["flat"], data["halted"], data["remaining"]) == (True, True, [])
    assert {row["kind"] for row in data["cancelled"]} == {"order", "algo"}
    assert [row["symbol"] for row in data["closed"]] == ["BTCUSDT"]
    assert [row["env"] for row in data["environments"]] == ["paper"]
    assert trader.json("order", "list").data["orders"] == []
    assert trader.json("position", "list").data["positions"] == []
    assert trader.json(*RESTING).code == 9


def test_kill_of_one_symbol_halts_that_symbol_only(trader: Trader) -> None:
    data = trader.json("kill", "--symbol", "ETHUSDT").data

    assert (data["flat"], data["halted"]) == (True, True)
    assert trader.json("order", "limit", "ETHUSDT", "buy", "0.1", "2000").code == 9
    assert trader.json(*RESTING).code == 0


def test_kill_works_with_a_broken_configuration(trader: Trader) -> None:
    broken = trader.root / "broken.toml"
    broken.write_text("[[[")

    assert trader.json("kill", "--all", "--config", str(broken)).data["flat"] is True


def test_risk_status_and_limits_have_their_contract(trader: Trader) -> None:
    assert trader.json("order", "market", "BTCUSDT", "buy", "0.002").code == 0

    status = trader.json("risk", "status").data
    limits = trader.json("risk", "limits").data["limits"]

    assert set(status["day"]) == DAY_KEYS
    assert Decimal(status["day"]["fees"]) < 0
    assert Decimal(status["exposure_usd"]) > 100
    assert (status["open_positions"], status["halted"]) == (1, False)
    assert (limits["max_position_usd"], limits["max_leverage"]) == ("1000", 20)
    assert status["limits"] == limits


def test_looser_limits_wait_until_a_person_accepts_them(tmp_path: Path) -> None:
    """Only a command that may trade puts limits in force; `risk status` is the cheapest."""
    trader = Trader(root=tmp_path)
    config = tmp_path / "config.toml"

    def in_force(text: str, *command: str) -> object:
        config.write_text(f"[risk]\nmax_position_usd = {text}\n")
        return trader.json(*command).data["limits"]["max_position_usd"]

    try:
        assert in_force("500", "risk", "status") == "500"
        assert in_force("400", "risk", "status") == "400"
        assert in_force("600", "risk", "status") == "400"
        assert in_force("600", "risk", "limits") == "400"
        assert trader.json("risk", "limits", "--accept").code == 2
        assert in_force("600", "risk", "limits", "--accept", "--yes") == "600"
        assert in_force("600", "risk", "status") == "600"
    finally:
        trader("paper", "stop")


def test_table_is_cut_nowhere_and_holds_no_colour_in_a_pipe(trader: Trader) -> None:
    order = trader.json(*RESTING).data

    outcome = trader("order", "list", "--quiet", env={"COLUMNS": "40"})

    assert str(order["order_id"]) in outcome.out
    assert "\x1b" not in outcome.out


def test_reader_that_goes_away_is_no_error(trader: Trader) -> None:
    running = subprocess.Popen(
        [TRADER, "order", "list", "--json", "--quiet"],
        cwd=trader.root,
        env=trader.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    told = running.stderr.read()
    running.stderr.close()

    assert running.wait(60) == 0
    assert told == b""


def test_interrupted_entry_leaves_nothing_naked(trader: Trader) -> None:
    words = ("position", "open", "BTCUSDT", "long", "--qty", "0.002", "--stop-roi", "20")
    running = subprocess.Popen(
        [TRADER, *words],
        cwd=trader.root,
        env=trader.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    assert "[paper]" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    told = running.stderr.read()
    running.stderr.close()

    assert running.wait(60) in (10, 130)
    assert "Traceback" not in told
    positions = trader.json("position", "list").data["positions"]
    assert all(row["protected"] for row in positions)
    assert all(row["kind"] == "algo" for row in trader.json("order", "list").data["orders"])


def test_an_interrupted_send_says_what_is_in_doubt(trader: Trader) -> None:
    assert trader("position", "list").code == 0  # there is a journal
    for method, kind in (("POST", "silent_executed"), ("GET", "silent")):
        path = ("--method", method, "--path", "/fapi/v1/order", "--times", "3")
        assert trader("paper", "fault", "arm", kind, *path).code == 0
    running = subprocess.Popen(
        [TRADER, "order", "market", "BTCUSDT", "buy", "0.002"],
        cwd=trader.root,
        env=trader.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    # What is written down may still be on its way; what the exchange was struck by has left.
    while not any(row["struck"] for row in trader.json("paper", "fault", "list").data["faults"]):
        assert running.poll() is None
    with closing(sqlite3.connect(trader.home / "paper" / "journal.db")) as journal:
        newest = "SELECT client_order_id FROM intents ORDER BY created_ms DESC"
        sent = journal.execute(newest).fetchone()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert trader("paper", "fault", "clear").code == 0

    assert running.returncode == 130
    assert f"{sent[0]} of BTCUSDT was being sent" in told
    assert "interrupted" in told
    assert trader("order", "resolve").code == 0


def test_paper_commands_control_the_exchange(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)

    before = trader.json("paper", "status").data
    try:
        started = trader.json("paper", "start").data
        again = trader.json("paper", "start").data
        jumped = trader.json("paper", "price", "BTCUSDT", "60000").data
    finally:
        stopped = trader.json("paper", "stop").data
    after = trader.json("paper", "status").data

    assert (before["running"], before["pid"]) == (False, None)
    assert started["running"] is True
    assert started["rest_url"].startswith("http://127.0.0.1:")
    assert again["pid"] == started["pid"]
    assert abs(Decimal(jumped["bid"]) - 60000) < 600
    assert stopped["running"] is False
    assert after["running"] is False
    assert after["api_key"] == started["api_key"]

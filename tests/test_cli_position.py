"""Every position command through the installed `trader`, in one-way and in hedge mode."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.other_program import OtherProgram
from tests.support.trader_process import TRADER, Outcome, Trader
from trader_cli.paper.process import recorded_endpoint, reset

SYMBOL = "BTCUSDT"
# A whole module of commands within minutes is more than the exchange allows.
CONFIG = "[paper]\nrate_limits = false\n[entry]\ndeadline_s = 1\n"
POSITION = {
    *("symbol", "side", "quantity", "entry_price", "mark_price", "notional", "leverage"),
    *("margin_type", "unrealized_pnl", "roi_pct", "liquidation_price", "stop_price"),
    *("take_profit_price", "protected", "unprotected_seconds", "own"),
}
DRIFT = {
    *("kind", "symbol", "position_side", "believed", "actual", "cause", "expected", "message"),
    "client_order_ids",
}
SYNC = {"drifts", "resolved", "unresolved", "foreign", "cared_for", "positions"}
PNL = {
    *("symbol", "side", "quantity", "entry_price", "mark_price", "break_even_price", "realized"),
    *("unrealized", "fees", "funding", "pnl", "fees_other", "roi_pct", "liquidation_price"),
    *("liquidation_distance_pct", "opened_ms"),
}
DAY = {"realized", "unrealized", "fees", "funding", "pnl", "other_assets"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A home with its exchange, in one position mode.

    Attributes:
        other: another program on the same account.
    """

    trader: Trader
    hedge: bool
    other: OtherProgram

    def data(self, *words: str) -> Mapping[str, Any]:
        return self.trader.json("position", *words).data

    def run(self, *words: str) -> Outcome:
        return self.trader.json("position", *words)

    def open(self, side: str = "long", quantity: str = "0.003") -> Mapping[str, Any]:
        words = ("open", SYMBOL, side, "--qty", quantity, "--stop-roi", "20")
        position: Mapping[str, Any] = self.data(*words)["position"]
        return position

    def foreign(self, side: str, quantity: str, position_side: str) -> None:
        """Let the other program trade; in one-way mode the side of the position says itself."""
        more = {"positionSide": position_side} if self.hedge else {}
        self.other.trade(side, quantity, **more)

    @property
    def one(self) -> Mapping[str, Any]:
        positions: list[Mapping[str, Any]] = self.data("list")["positions"]
        (row,) = positions
        return row


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trader, OtherProgram]]:
    trader = Trader(root=tmp_path_factory.mktemp("trader"))
    (trader.root / "config.toml").write_text(CONFIG)
    assert trader("paper", "start").code == 0
    endpoint = recorded_endpoint(trader.home)
    assert endpoint is not None
    other = OtherProgram(
        rest_url=endpoint.rest_url, api_key=endpoint.api_key, api_secret=endpoint.api_secret
    )
    yield trader, other
    assert trader("paper", "stop").code == 0


def fresh(home: tuple[Trader, OtherProgram], *, hedge: bool) -> Place:
    """A new account in its mode, of which nothing is believed."""
    trader, other = home
    reset(trader.home)
    shutil.rmtree(trader.home / "paper", ignore_errors=True)
    if hedge:
        other.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    return Place(trader=trader, hedge=hedge, other=other)


@pytest.fixture
def place(home: tuple[Trader, OtherProgram]) -> Place:
    return fresh(home, hedge=False)


@pytest.fixture(params=["one-way", "hedge"])
def either(home: tuple[Trader, OtherProgram], request: pytest.FixtureRequest) -> Place:
    return fresh(home, hedge=request.param == "hedge")


def test_a_position_is_opened_grown_reduced_and_closed_under_its_stop(either: Place) -> None:
    opened = either.open()
    added = either.data("add", SYMBOL, "--qty", "0.002")["position"]
    reduced = either.data("reduce", SYMBOL, "--pct", "40")
    left = either.one
    closed = either.data("close", SYMBOL)

    assert set(opened) == set(left) == POSITION
    assert (opened["protected"], opened["own"], opened["side"]) == (True, True, "LONG")
    assert (added["quantity"], added["stop_price"]) == ("0.005", opened["stop_price"])
    assert reduced["flat"] is False
    assert (left["quantity"], left["protected"]) == ("0.003", True)
    assert closed["flat"] is True
    assert (either.other.positions(), either.other.orders()) == ([], [])
    sync = either.data("sync")
    assert set(sync) == SYNC
    assert sync["drifts"] == []


def test_reducing_takes_a_quantity_and_refuses_dust(place: Place) -> None:
    place.open()

    by_quantity = place.data("reduce", SYMBOL, "--qty", "0.001")
    dust = place.run("reduce", SYMBOL, "--pct", "1")
    more = place.run("reduce", SYMBOL, "--qty", "0.1")
    both = place.run("reduce", SYMBOL, "--qty", "0.001", "--pct", "1")
    rest = place.data("reduce", SYMBOL, "--pct", "100")

    assert by_quantity["position"]["quantity"] == "0.002"
    assert (dust.code, dust.error["code"]) == (2, "too_small")
    assert (more.code, more.error["code"]) == (2, "more_than_held")
    assert both.code == 2
    assert rest["flat"] is True
    assert len(rest["removed"]) == 1
    assert place.other.orders() == []


def test_a_rest_below_the_minimum_notional_is_warned_of_and_can_be_closed(place: Place) -> None:
    place.trader.json("paper", "price", SYMBOL, "40000")
    place.open(quantity="0.003")

    warned = place.trader("position", "reduce", SYMBOL, "--qty", "0.002", "--json")
    closed = place.data("close", SYMBOL)

    place.trader.json("paper", "price", SYMBOL, "95000")
    assert "minimum of 50 USDT" in warned.err
    assert closed["flat"] is True


def test_closing_what_is_flat_takes_our_left_over_exits_away(either: Place) -> None:
    """The position ended by another hand; the stop would meet the next one."""
    either.open()
    either.foreign("SELL", "0.003", "LONG")
    assert len(either.other.orders()) == 1

    closed = either.data("close", SYMBOL)

    assert (closed["flat"], closed["closed"]) == (True, [])
    assert [row["type"] for row in closed["removed"]] == ["STOP_MARKET"]
    assert either.other.orders() == []
    assert either.data("close", SYMBOL)["removed"] == []


def test_close_all_closes_every_position_and_sweeps_every_exit(place: Place) -> None:
    place.open()
    place.data("open", "ETHUSDT", "short", "--usd", "100", "--stop-roi", "20")
    place.foreign("SELL", "0.003", "LONG")

    planned = place.data("close", "--all", "--dry-run")
    closed = place.data("close", "--all")

    assert [row["symbol"] for row in planned["positions"]] == ["ETHUSDT"]
    assert [row["symbol"] for row in closed["closed"]] == ["ETHUSDT"]
    assert {row["symbol"] for row in closed["removed"]} == {SYMBOL, "ETHUSDT"}
    assert (place.other.positions(), place.other.orders()) == ([], [])


def test_a_naked_position_is_added_to_with_a_stop_only(place: Place) -> None:
    place.data("open", SYMBOL, "long", "--qty", "0.001", "--no-stop")

    refused = place.run("add", SYMBOL, "--qty", "0.001")
    added = place.data("add", SYMBOL, "--qty", "0.001", "--stop-roi", "20")

    assert (refused.code, refused.error["code"]) == (2, "no_stop")
    assert (added["position"]["quantity"], added["position"]["protected"]) == ("0.002", True)


def test_sync_names_what_differs_with_its_cause_and_believes_it(either: Place) -> None:
    either.open()
    either.foreign("SELL", "0.001", "LONG")

    told = either.run("sync")
    again = either.data("sync")

    assert (told.code, told.error["code"]) == (11, "drift")
    (drift,) = told.envelope["data"]["drifts"]
    assert set(drift) == DRIFT
    assert (drift["kind"], drift["cause"]) == ("size_differs", "other_program")
    assert (drift["believed"], drift["actual"]) == ("0.003", "0.002")
    assert again["drifts"] == []


def test_sync_takes_our_own_orders_for_no_surprise(place: Place) -> None:
    bought = place.trader.json("order", "market", SYMBOL, "buy", "0.002")
    assert bought.code == 0, bought.out

    told = place.data("sync")

    assert [row["cause"] for row in told["drifts"] if row["cause"]] == ["own_order"]
    assert [row["kind"] for row in told["drifts"]] == ["opened_elsewhere", "unprotected"]
    assert told["positions"][0]["own"] is True


def test_what_others_opened_is_not_ours_until_it_is_adopted(either: Place) -> None:
    either.foreign("BUY", "0.002", "LONG")

    before = either.one
    stop = str(round(Decimal(before["mark_price"]) * Decimal("0.98")))
    told = either.run("sync")
    adopted = either.data("adopt", SYMBOL, "--stop", stop)
    after = either.one
    bare = either.run("adopt", SYMBOL)

    assert (before["own"], before["protected"]) == (False, False)
    assert told.code == 11
    (found,) = told.envelope["data"]["foreign"]
    assert (found["symbol"], found["policy"]) == (SYMBOL, "alert")
    assert (adopted["adopted"], adopted["advisor"]) == (True, "wolf")
    assert (after["own"], after["stop_price"]) == (True, stop)
    assert Decimal(after["unprotected_seconds"]) > 0
    assert bare.code == 2
    assert either.data("sync")["drifts"] == []


@pytest.mark.parametrize(
    ("policy", "code", "protected", "own"),
    [
        ("ignore", 0, False, False),
        ("protect", 0, True, False),
        ("adopt", 0, True, True),
        ("refuse", 4, False, False),
    ],
)
def test_others_positions_are_met_as_configured(
    place: Place, policy: str, code: int, protected: bool, own: bool
) -> None:
    config = place.trader.root / "foreign.toml"
    config.write_text(f'{CONFIG}[foreign]\nsymbols = {{ {SYMBOL} = "{policy}" }}\n')
    place.foreign("BUY", "0.002", "LONG")
    place.run("sync", "--config", str(config))

    row = place.one
    words = ("open", SYMBOL, "long", "--qty", "0.001", "--stop-roi", "20", "--dry-run")
    opened = place.trader("position", *words, "--json", "--config", str(config))

    assert (row["protected"], row["own"]) == (protected, own)
    assert opened.code == code
    assert ("did not place" in opened.err + opened.out) == (
        policy in ("alert", "protect", "refuse")
    )


def test_leverage_and_margin_are_written_only_where_they_differ(either: Place) -> None:
    shown = either.data("leverage", SYMBOL)
    set_ = either.data("leverage", SYMBOL, "10")
    isolated = either.data("margin", SYMBOL, "isolated")
    again = either.data("margin", SYMBOL, "isolated")
    either.open()
    lower = either.run("leverage", SYMBOL, "5")
    cross = either.run("margin", SYMBOL, "cross")

    assert (shown["leverage"], shown["max_leverage"]) == (20, 20)
    assert set_["leverage"] == 10
    assert (isolated["margin_type"], again["margin_type"]) == ("isolated", "isolated")
    assert (lower.code, lower.error["code"]) == (5, -4161)
    assert "until it is flat" in lower.error["message"]
    assert (cross.code, cross.error["code"]) == (5, -4047)
    assert cross.error["advice"]


def test_margin_goes_into_an_isolated_position_and_out_again(either: Place) -> None:
    either.data("margin", SYMBOL, "isolated")
    either.open()
    before = either.data("margin", SYMBOL)["positions"][0]

    more = either.data("margin", SYMBOL, "--add", "10")["positions"][0]
    less = either.data("margin", SYMBOL, "--remove", "9")["positions"][0]
    too_much = either.run("margin", SYMBOL, "--remove", "1000")
    both = either.run("margin", SYMBOL, "--add", "1", "--remove", "1")

    gained = Decimal(more["isolated_margin"]) - Decimal(before["isolated_margin"])
    assert abs(gained - 10) < 1
    assert Decimal(more["liquidation_price"]) < Decimal(before["liquidation_price"])
    assert abs(Decimal(less["isolated_margin"]) - Decimal(before["isolated_margin"])) < 2
    assert (too_much.code, too_much.error["code"]) == (5, -4051)
    assert both.code == 2


def test_margin_of_a_cross_position_is_refused(place: Place) -> None:
    place.data("margin", SYMBOL, "cross")
    place.open()

    outcome = place.run("margin", SYMBOL, "--add", "10")

    assert (outcome.code, outcome.error["code"]) == (2, "not_isolated")


def test_position_mode_is_shown_and_never_switched_under_a_position(either: Place) -> None:
    wanted = "one-way" if either.hedge else "hedge"
    shown = either.data("mode")
    same = either.data("mode", shown["mode"])
    either.data("open", SYMBOL, "long", "--qty", "0.001", "--no-stop")

    held = either.run("mode", wanted)
    order = either.trader.json("order", "list").data["orders"]
    either.data("close", SYMBOL)
    switched = either.data("mode", wanted)
    back = either.data("mode", shown["mode"])

    assert shown["mode"] == ("hedge" if either.hedge else "one-way")
    assert (same["changed"], switched["changed"], back["changed"]) == (False, True, True)
    assert (held.code, held.error["code"]) == (5, -4068)
    assert SYMBOL in held.error["message"]
    assert order == []


def test_pnl_adds_up_what_the_ledger_says(either: Place) -> None:
    either.open()
    either.data("reduce", SYMBOL, "--qty", "0.001")

    whole = either.data("pnl")
    one = either.data("pnl", SYMBOL)

    (row,) = whole["positions"]
    assert set(row) == PNL
    assert set(whole["day"]) == DAY
    assert one["positions"][0]["opened_ms"] == row["opened_ms"]
    assert Decimal(row["fees"]) < 0
    assert Decimal(whole["day"]["fees"]) == Decimal(row["fees"])
    assert Decimal(whole["day"]["realized"]) == Decimal(row["realized"])
    parts = ("realized", "unrealized", "fees", "funding")
    assert Decimal(row["pnl"]) == sum(Decimal(row[name]) for name in parts)
    closed = either.data("close", SYMBOL)
    assert closed["flat"] is True
    assert either.data("pnl")["positions"] == []


def test_an_exit_by_order_takes_the_exits_of_what_is_gone_with_it(place: Place) -> None:
    """The stop that stays behind would meet the next position."""
    place.open()
    words = ("order", "market", SYMBOL, "sell", "--reduce-only")
    part = place.trader.json(*words[:4], "0.001", *words[4:])
    kept = place.other.orders()

    whole = place.trader("order", "market", SYMBOL, "sell", "0.002", "--reduce-only", "--json")

    assert (part.code, len(kept)) == (0, 1)
    assert whole.data["filled_quantity"] == "0.002"
    assert "exit order" in whole.err
    assert place.other.orders() == []
    assert place.data("sync")["drifts"] == []


@pytest.mark.parametrize("way", ["smart", "batch"])
def test_a_worked_or_batched_exit_takes_the_exits_with_it_too(place: Place, way: str) -> None:
    place.open()
    assert len(place.other.orders()) == 1
    words = ("smart", SYMBOL, "sell", "0.003", "--reduce-only", "--deadline", "0.3")
    if way == "batch":
        item = {"order": "market", "symbol": SYMBOL, "side": "sell", "quantity": "0.003"}
        (place.trader.root / "exit.json").write_text(json.dumps([item | {"reduce_only": True}]))
        words = ("batch", "exit.json")

    done = place.trader("order", *words, "--json")

    assert done.code == 0, done.err
    assert "exit order" in done.err
    assert place.other.orders() == []


def test_exits_are_set_by_their_distance_from_the_entry(place: Place) -> None:
    entry = Decimal(place.open()["entry_price"])

    protected = place.trader("position", "protect", SYMBOL, "--stop", "-2%", "--take-profit",
                             "+50000t", "--json")  # fmt: skip

    position = protected.data["position"]
    assert abs(Decimal(position["stop_price"]) - entry * Decimal("0.98")) <= Decimal("0.1")
    assert abs(Decimal(position["take_profit_price"]) - entry - 5_000) <= Decimal("0.1")
    assert "-2% from the entry" in protected.err
    place.data("close", SYMBOL)


def test_a_trailing_stop_rests_with_an_entry_that_waits(place: Place) -> None:
    words = ("order", "bracket", SYMBOL, "buy", "0.002", "--entry", "limit:-2%", "--stop", "-4%")
    waiting = place.trader(*words, "--trailing", "1", "--json")

    assert waiting.data["trailing"]["type"] == "TRAILING_STOP_MARKET"
    activate = Decimal(waiting.data["trailing"]["activate_price"])
    assert activate > Decimal(waiting.data["entry"]["price"])
    assert "begins to trail" in waiting.err

    place.trader.json("order", "cancel", waiting.data["entry"]["client_order_id"])
    assert place.other.orders() == []


def test_a_bracket_whose_trailing_stop_does_not_rest_says_so(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    risk = "max_position_usd = 50000000\nmax_total_exposure_usd = 50000000\n"
    (tmp_path / "config.toml").write_text(f"[risk]\n{risk}")
    assert trader("paper", "start").code == 0
    try:
        assert trader("paper", "reset", "--balance", "20000000", "--yes").code == 0

        # A limit order may be larger than the market order that a trailing stop becomes.
        words = ("--entry", "limit:-2%", "--stop", "-4%", "--trailing", "1")
        waiting = trader.json("order", "bracket", SYMBOL, "buy", "121", *words)

        assert (waiting.code, waiting.error["code"]) == (10, "exit_missing")
        data = waiting.envelope["data"]
        assert (data["stop"]["close_position"], data["trailing"]) == (True, None)
        assert f"order cancel {data['entry']['client_order_id']}" in waiting.error["advice"]
    finally:
        assert trader("paper", "stop").code == 0


def test_a_position_is_protected_and_closed_with_the_weight_that_others_leave(
    tmp_path: Path,
) -> None:
    trader = Trader(root=tmp_path)
    assert trader("paper", "start").code == 0
    try:
        opened = trader.json("position", "open", SYMBOL, "long", "--qty", "0.003", "--no-stop")
        assert opened.code == 0, opened.err
        endpoint = recorded_endpoint(trader.home)
        assert endpoint is not None
        other = OtherProgram(
            rest_url=endpoint.rest_url, api_key=endpoint.api_key, api_secret=endpoint.api_secret
        )
        used = trader.json("account", "info").data["weight_used_1m"]
        for _ in range(max(0, 2_120 - used) // 40 + 1):
            other.ask("GET", "/fapi/v1/openOrders")
        trader.json("account", "info")  # the first that is told of it

        protected = trader.json("position", "protect", SYMBOL, "--stop", "-3%")
        closed = trader.json("position", "close", SYMBOL)

        assert (protected.code, closed.code) == (0, 0), (protected.err, closed.err)
        assert (other.positions(), other.orders()) == ([], [])
    finally:
        assert trader("paper", "stop").code == 0


def test_kill_leaves_nothing_of_ours_or_others(either: Place) -> None:
    either.open()
    either.foreign("SELL", "0.002", "SHORT")
    either.other.ask(
        "POST",
        "/fapi/v1/order",
        symbol="ETHUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.1",
        price="2900",
        **({"positionSide": "LONG"} if either.hedge else {}),
    )

    killed = either.trader.json("kill", "--all").data

    assert (killed["flat"], killed["halted"], killed["remaining"]) == (True, True, [])
    assert len(killed["closed"]) == (2 if either.hedge else 1)
    assert (either.other.positions(), either.other.orders()) == ([], [])


def test_a_list_is_watched_until_ctrl_c(place: Place) -> None:
    place.open()
    running = subprocess.Popen(
        [TRADER, "position", "list", "--watch", "--json", "--quiet"],
        cwd=place.trader.root,
        env=place.trader.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stderr is not None
    lines = [json.loads(running.stdout.readline()) for _ in range(2)]
    running.send_signal(signal.SIGINT)
    rest, told = running.communicate(timeout=30)

    assert running.returncode == 0
    assert [row["data"]["positions"][0]["symbol"] for row in lines] == [SYMBOL, SYMBOL]
    assert (rest, told) == ("", "")


def test_both_sides_of_hedge_mode_are_told_apart(home: tuple[Trader, OtherProgram]) -> None:
    place = fresh(home, hedge=True)
    place.open("long")
    place.open("short", "0.002")

    ambiguous = [
        place.run("close", SYMBOL),
        place.run("add", SYMBOL, "--qty", "0.001"),
        place.run("reduce", SYMBOL, "--pct", "50"),
        place.run("adopt", SYMBOL, "--stop", "90000"),
    ]
    reduced = place.data("reduce", SYMBOL, "--pct", "50", "--position", "short")
    added = place.data("add", SYMBOL, "--qty", "0.001", "--position", "long")["position"]
    one = place.data("close", SYMBOL, "--position", "long")
    rest = place.data("close", SYMBOL, "--all")

    assert {outcome.code for outcome in ambiguous} == {2}
    assert reduced["position"]["quantity"] == "0.001"
    assert added["quantity"] == "0.004"
    assert [row["side"] for row in one["closed"]] == ["LONG"]
    assert [row["side"] for row in rest["closed"]] == ["SHORT"]
    assert place.other.orders() == []

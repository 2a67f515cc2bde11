"""Every `trader order` command, through the installed script, in one-way and in hedge mode.

One paper exchange serves the whole table. The shapes of the answers are held by `trader_process`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.trader_process import TRADER, Outcome, Trader
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.paper.process import recorded_endpoint, reset


@pytest.fixture(scope="session")
def trader(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trader]:
    """One home and one exchange for the whole table."""
    trader = Trader(root=tmp_path_factory.mktemp("orders"))
    # More commands within a minute than the exchange allows.
    (trader.root / "config.toml").write_text("[paper]\nrate_limits = false\n")
    assert trader("paper", "start").code == 0
    yield trader
    assert trader("paper", "stop").code == 0


@pytest.fixture(params=["one-way", "hedge"])
def is_hedge(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "hedge")


@pytest.fixture(autouse=True)
def flat(trader: Trader, is_hedge: bool) -> None:
    """Start every test on a fresh account, in the mode of the table."""
    reset(trader.home)
    if is_hedge:
        asyncio.run(switch_to_hedge(trader.home))


async def switch_to_hedge(home: Path) -> None:
    endpoint = recorded_endpoint(home)
    assert endpoint is not None
    async with BinanceFuturesClient(
        api_key=endpoint.api_key, api_secret=endpoint.api_secret, rest_url=endpoint.rest_url
    ) as client:
        await client.set_position_mode(hedge=True)


def order(trader: Trader, *words: str) -> dict[str, Any]:
    return trader.json("order", *words).data


def resting(trader: Trader) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = trader.json("order", "list").data["orders"]
    return rows


@pytest.mark.parametrize(
    ("words", "tif"),
    [
        ((), "GTC"),
        (("--post-only",), "GTX"),
        (("--tif", "GTD", "--good-till", "2h"), "GTD"),
    ],
)
def test_limit_orders_rest(
    trader: Trader, is_hedge: bool, words: tuple[str, ...], tif: str
) -> None:
    placed = order(trader, "limit", "BTCUSDT", "buy", "0.001", "-2%", *words)

    assert (placed["status"], placed["time_in_force"]) == ("NEW", tif)
    assert placed["position_side"] == ("LONG" if is_hedge else "BOTH")
    assert [row["order_id"] for row in resting(trader)] == [placed["order_id"]]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_limit_orders_that_take_at_once(trader: Trader, tif: str) -> None:
    placed = order(trader, "limit", "BTCUSDT", "buy", "0.001", "+0.5%", "--tif", tif)

    assert (placed["status"], placed["filled_quantity"]) == ("FILLED", "0.001")


def test_sizes_by_notional_and_ticks_from_the_touch(trader: Trader) -> None:
    bid = Decimal(trader.json("paper", "price", "BTCUSDT").data["bid"])

    placed = order(trader, "limit", "BTCUSDT", "buy", "-9000t", "--usd", "200")

    assert abs(Decimal(placed["price"]) - (bid - 900)) < 50
    assert placed["quantity"] == "0.002"


def test_market_and_bounded_market_orders(trader: Trader) -> None:
    plain = order(trader, "market", "BTCUSDT", "buy", "0.002")
    bounded = order(trader, "market", "BTCUSDT", "buy", "0.001", "--max-slippage-bps", "20")
    reduced = order(trader, "market", "BTCUSDT", "sell", "0.003", "--reduce-only")

    assert (plain["type"], bounded["type"], bounded["time_in_force"]) == ("MARKET", "LIMIT", "IOC")
    assert {row["status"] for row in (plain, bounded, reduced)} == {"FILLED"}
    assert trader.json("position", "list").data["positions"] == []


def test_smart_orders_say_what_they_saved_and_cost(trader: Trader) -> None:
    data = trader.json("order", "smart", "BTCUSDT", "buy", "0.001", "--deadline", "2").data

    assert data["filled_quantity"] == "0.001"
    for name in ("average_price", "maker_share", "arrival_price", "slippage_bps"):
        Decimal(data[name])
    assert {"chase_cost_bps", "fees_saved_usdt", "amendments", "reason"} <= set(data)
    assert data["orders"]


def test_smart_without_fallback_leaves_the_rest_and_exits_ten(trader: Trader) -> None:
    words = ("--deadline", "0.3", "--fallback", "none", "--max-chase-bps", "5")
    outcome = trader.json("order", "smart", "BTCUSDT", "buy", "0.002", *words)

    assert outcome.code in (0, 10)  # the market may have come to us
    filled = Decimal(outcome.envelope["data"]["filled_quantity"])
    assert (filled == Decimal("0.002")) == (outcome.code == 0)
    assert resting(trader) == []


def test_bracket_that_rests_and_one_that_enters(trader: Trader, is_hedge: bool) -> None:
    words = ("--stop", "-4%", "--take-profit", "+3%")
    waiting = trader.json("order", "bracket", "BTCUSDT", "buy", "--risk-usd", "4", *words,
                          "--entry", "limit:93500").data  # fmt: skip
    assert (waiting["entry"]["status"], waiting["filled_quantity"]) == ("NEW", "0")
    assert len(resting(trader)) == 3
    cancelled = order(trader, "cancel", waiting["entry"]["client_order_id"])
    assert cancelled["status"] == "CANCELED"
    assert resting(trader) == []

    entered = trader.json("order", "bracket", "BTCUSDT", "buy", "0.002", *words,
                          "--entry", "market", "--trailing", "1").data  # fmt: skip

    assert None not in [entered[leg] for leg in ("entry", "stop", "take_profit", "trailing")]
    assert entered["stop"]["close_position"] is True
    assert entered["stop"]["position_side"] == ("LONG" if is_hedge else "BOTH")
    assert isinstance(entered["unprotected_ms"], int)
    [position] = trader.json("position", "list").data["positions"]
    assert position["protected"] is True


def test_exits_of_a_position_take_side_and_quantity_from_it(trader: Trader) -> None:
    order(trader, "market", "BTCUSDT", "sell", "0.002")

    placed = [
        order(trader, "stop-loss", "BTCUSDT", "+2%"),
        order(trader, "stop-loss", "BTCUSDT", "+2.5%", "--limit", "+3%"),
        order(trader, "take-profit", "BTCUSDT", "-2%"),
        order(trader, "take-profit", "BTCUSDT", "-3%", "0.001", "--limit", "-3.1%"),
        order(trader, "trailing-stop", "BTCUSDT", "1.5", "--activate", "-1%"),
    ]

    assert [row["type"] for row in placed] == [
        *("STOP_MARKET", "STOP", "TAKE_PROFIT_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET")
    ]
    assert {row["side"] for row in placed} == {"BUY"}
    assert [row["quantity"] for row in placed] == ["0.002", "0.002", "0.002", "0.001", "0.002"]
    moved = order(trader, "amend", str(placed[0]["algo_id"]), "--price", "+1.5%")
    assert moved["algo_id"] != placed[0]["algo_id"]
    assert len(resting(trader)) == 5


def test_amend_changes_what_is_given(trader: Trader) -> None:
    placed = order(trader, "limit", "BTCUSDT", "buy", "0.001", "90000")

    amended = order(trader, "amend", str(placed["order_id"]), "--price", "90500")
    bigger = order(trader, "amend", placed["client_order_id"], "--qty", "0.002")
    same = order(trader, "amend", placed["client_order_id"], "--qty", "0.002")

    assert (amended["price"], amended["quantity"]) == ("90500", "0.001")
    assert (bigger["price"], bigger["quantity"]) == ("90500", "0.002")
    assert same["order_id"] == placed["order_id"]


def test_batch_tells_of_each_order(trader: Trader) -> None:
    items = [
        {"order": "limit", "symbol": "BTCUSDT", "side": "buy", "quantity": 0.001, "price": 90000},
        {"order": "limit", "symbol": "BTCUSDT", "side": "buy", "quantity": "9", "price": "90000"},
        {"order": "limit", "symbol": "ETHUSDT", "side": "buy", "usd": "50", "price": "-3%"},
        {"order": "market", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.001"},
    ]
    (trader.root / "orders.ndjson").write_text("\n".join(json.dumps(row) for row in items))

    outcome = trader.json("order", "batch", "orders.ndjson")

    assert outcome.code == 10
    data = outcome.envelope["data"]
    assert [row["ok"] for row in data["results"]] == [True, False, True, True]
    assert data["results"][1]["error"]["kind"] == "refused"
    assert (data["placed"], data["failed"]) == (3, 1)
    assert len(resting(trader)) == 2


def test_a_batch_says_of_a_market_order_that_it_expired_in_part(trader: Trader) -> None:
    """`order market` ends with 10 then, and so does a batch: not all that was wanted is held."""
    items = [
        {"order": "market", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.010"},
        {"order": "limit", "symbol": "ETHUSDT", "side": "buy", "usd": "50", "price": "-3%"},
    ]
    (trader.root / "part.json").write_text(json.dumps(items))
    assert trader("paper", "fault", "arm", "partial_fills", "--path", "BTCUSDT").code == 0
    try:
        outcome = trader.json("order", "batch", "part.json")
    finally:
        assert trader("paper", "fault", "clear").code == 0

    assert outcome.code == 10
    data = outcome.envelope["data"]
    part, whole = data["results"]
    assert (part["ok"], whole["ok"]) == (False, True)
    assert (part["error"]["kind"], part["error"]["code"]) == ("partial", "not_filled")
    assert part["order"]["status"] == "EXPIRED"
    held = trader.json("position", "list").data["positions"][0]["quantity"]
    assert Decimal(part["order"]["filled_quantity"]) == Decimal(held) < Decimal("0.010")
    assert (data["placed"], data["failed"]) == (2, 1)


def test_batch_file_with_mistakes_sends_nothing_and_names_them_all(trader: Trader) -> None:
    (trader.root / "bad.json").write_text(
        '[{"order": "limit", "symbol": "BTCUSDT"}, {"order": "x"}, {"order": "market", '
        '"symbol": "BTCUSDT", "side": "up", "quantity": "1e3"}]'
    )

    outcome = trader.json("order", "batch", "bad.json")

    assert outcome.code == 2
    for item in ("item 1", "item 2", "item 3"):
        assert item in outcome.error["message"]
    assert resting(trader) == []


def test_history_trades_and_show_know_what_has_ended(trader: Trader) -> None:
    filled = order(trader, "market", "BTCUSDT", "buy", "0.001")

    history = trader.json("order", "history", "BTCUSDT").data["orders"]
    trades = trader.json("order", "trades", "BTCUSDT").data["trades"]
    shown = order(trader, "show", str(filled["order_id"]))

    assert filled["order_id"] in [row["order_id"] for row in history]
    assert trades[-1]["order_id"] == filled["order_id"]
    assert shown["status"] == "FILLED"


def test_cancel_all_keeps_the_stops_of_positions(trader: Trader) -> None:
    trader.json("order", "market", "BTCUSDT", "buy", "0.002", "--stop", "-3%")
    order(trader, "limit", "BTCUSDT", "buy", "0.001", "85000")

    swept = trader.json("order", "cancel-all", "BTCUSDT").data

    assert [row["status"] for row in swept["cancelled"]] == ["CANCELED"]
    assert [row["type"] for row in swept["kept"]] == ["STOP_MARKET"]


def test_resolve_proves_one_order(trader: Trader) -> None:
    placed = order(trader, "limit", "BTCUSDT", "buy", "0.001", "85000")

    [row] = trader.json("order", "resolve", placed["client_order_id"]).data["orders"]

    assert (row["status"], row["order"]["status"]) == ("open", "NEW")


@pytest.mark.parametrize(
    "words",
    [
        ("limit", "BTCUSDT", "buy", "0.001", "90000"),
        ("market", "BTCUSDT", "buy", "0.001"),
        ("market", "BTCUSDT", "buy", "0.001", "--max-slippage-bps", "10"),
        ("smart", "BTCUSDT", "buy", "0.001"),
    ],
)
@pytest.mark.parametrize("how", ["--dry-run", "--validate"])
def test_dry_run_and_validate_place_nothing(
    trader: Trader, words: tuple[str, ...], how: str
) -> None:
    data = trader.json("order", *words, how).data

    assert data["dry_run" if how == "--dry-run" else "validated"] is True
    assert resting(trader) == []


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (("limit", "BTCUSDT", "buy", "0.001"), 2, "usage"),
        (("limit", "BTCUSDT", "buy", "0.001", "90000", "--risk-usd", "5"), 2, "usage"),
        (("market", "BTCUSDT", "buy"), 2, "usage"),
        (("limit", "BTCUSDT", "buy", "0.001", "-5x"), 2, "usage"),
        (("bracket", "BTCUSDT", "buy", "0.001", "--stop", "1", "--entry", "limit"), 2, "usage"),
        (("stop-loss", "BTCUSDT", "90000"), 2, "usage"),
        (("amend", "12345678"), 2, "usage"),
        (("amend", "12345678", "--price", "1"), 2, "usage"),
        (("show", "12345678"), 2, "usage"),
        (("limit", "BTCUSDT", "buy", "1", "90000"), 4, "refused"),
        (("limit", "BTCUSDT", "buy", "0.001", "+0.5%", "--post-only"), 5, "rejected"),
    ],
)
def test_what_is_wrong_ends_with_its_own_exit_code(
    trader: Trader, words: tuple[str, ...], code: int, kind: str
) -> None:
    outcome: Outcome = trader.json("order", *words)

    assert (outcome.code, outcome.error["kind"]) == (code, kind)
    assert code == 2 or resting(trader) == []


def test_a_watch_repeats_itself_until_ctrl_c(trader: Trader) -> None:
    watching = subprocess.Popen(
        [TRADER, "order", "list", "BTCUSDT", "--watch", "--json", "--quiet"],
        cwd=trader.root,
        env=trader.environ(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    second = json.loads(watching.stdout.readline())
    os.kill(watching.pid, signal.SIGINT)
    ended_s = time.monotonic()

    assert watching.wait(timeout=10) == 0
    watching.stdout.close()
    assert time.monotonic() - ended_s < 10
    assert (first["ok"], second["data"]) == (True, {"orders": []})

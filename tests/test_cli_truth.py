"""What a command refuses, rehearses and shows is what it would do, or did."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.trader_process import Outcome, Trader
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


def refusal(outcome: Outcome) -> tuple[int, str, str]:
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

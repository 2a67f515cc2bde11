"""What a person sees of orders: one line each where it fits, whole numbers where it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trader_cli.cli.output import error_to_json, moment, pairs
from trader_cli.cli.prices import price_wish
from trader_cli.cli.records import held_table, orders_table, positions_table
from trader_cli.errors import RateLimited


def order(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "kind": "order",
        "symbol": "BTCUSDT",
        "order_id": 7,
        "algo_id": None,
        "client_order_id": "trd-a-en0",
        "side": "BUY",
        "position_side": "BOTH",
        "type": "LIMIT",
        "status": "NEW",
        "quantity": "0.001",
        "filled_quantity": "0",
        "price": "60000",
        "average_price": None,
        "trigger_price": None,
        "activate_price": None,
        "callback_rate": None,
        "time_in_force": "GTC",
        "reduce_only": False,
        "close_position": False,
        "own": True,
        "created_ms": 1_780_000_000_000,
        "updated_ms": 1_780_000_001_000,
    }
    return plain | changes


@pytest.mark.parametrize(
    ("changes", "column", "text"),
    [
        ({"position_side": "LONG"}, "side", "BUY LONG"),
        ({"filled_quantity": "0.0005"}, "filled", "0.0005"),
        ({"trigger_price": "59000"}, "trigger", "59000"),
        ({"callback_rate": "1"}, "trigger", "1 %"),
        ({"callback_rate": "1", "activate_price": "61000"}, "trigger", "1 % @ 61000"),
        ({"reduce_only": True}, "exit", "yes"),
        ({"position_side": "LONG", "side": "SELL"}, "exit", "yes"),
        ({"position_side": "SHORT", "side": "BUY"}, "exit", "yes"),
        ({"close_position": True, "quantity": None}, "exit", "yes"),
        ({"close_position": True, "quantity": None}, "quantity", "all"),
        ({"own": False}, "own", "no"),
        ({"kind": "algo", "algo_id": 9, "order_id": None}, "id", "9"),
    ],
)
def test_what_is_out_of_the_ordinary_is_marked(
    changes: dict[str, Any], column: str, text: str
) -> None:
    table = orders_table("Orders", [order(**changes)])

    assert dict(zip(table.columns, table.rows[0], strict=True))[column] == text


def test_columns_that_say_nothing_of_any_order_are_left_out() -> None:
    table = orders_table("Orders", [order(), order(order_id=8)])

    assert table.columns == ("symbol", "side", "type", "status", "quantity", "price", "tif", "id")


def test_a_history_shows_when_each_order_was_made() -> None:
    table = orders_table("Orders", [order()], dated=True)

    assert table.columns[0] == "time (UTC)"
    assert table.rows[0][0] == moment(1_780_000_000_000) == "2026-05-28 20:26:40"


def test_moments_are_shown_as_such_and_spans_as_numbers() -> None:
    table = pairs("Account", {"updated_ms": 1_780_000_000_000, "clock_offset_ms": -12})

    assert table.rows == (("updated", "2026-05-28 20:26:40 UTC"), ("clock_offset_ms", "-12"))


@pytest.mark.parametrize("text", ["60000", "+0.1%", "-0.1%", "+5t", "-5t"])
def test_a_price_is_repeated_as_it_was_typed(text: str) -> None:
    assert str(price_wish(text)) == text


def test_a_distance_below_zero_is_named_as_typed() -> None:
    with pytest.raises(Exception, match=r"-100% from 10 is no price"):
        price_wish("-100%").at(Decimal(10), Decimal(1))


@pytest.mark.parametrize(
    ("retry_at_ms", "advice"),
    [(1_780_000_000_000, "Wait. Not before 2026-05-28 20:26:40 UTC."), (0, "Wait.")],
)
def test_who_asked_too_often_is_told_until_when_to_wait(retry_at_ms: int, advice: str) -> None:
    error = RateLimited("too many", retry_at_ms=retry_at_ms, banned=False, advice="Wait.")

    assert error_to_json(error)["advice"] == advice


def position(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "LONG",
        "quantity": "0.002",
        "entry_price": "95000",
        "mark_price": "95010",
        "notional": "190.02",
        "leverage": 20,
        "margin_type": "cross",
        "unrealized_pnl": "0.02",
        "roi_pct": "0.21",
        "liquidation_price": None,
        "stop_price": "93000",
        "take_profit_price": None,
        "protected": True,
        "unprotected_seconds": "0.02",
        "own": True,
    }
    return plain | changes


@pytest.mark.parametrize(
    ("changes", "column", "text"),
    [
        ({}, "protected", "after 0.02 s"),
        ({"unprotected_seconds": None}, "protected", "yes"),
        ({"protected": False, "unprotected_seconds": "12.5"}, "protected", "NO, 12.5 s"),
        ({"protected": False, "unprotected_seconds": None}, "protected", "NO"),
        ({"own": False}, "own", "no"),
        ({}, "leverage", "20x"),
        ({"margin_type": "isolated"}, "leverage", "20x isolated"),
    ],
)
def test_a_position_says_what_protects_it_and_whose_it_is(
    changes: dict[str, Any], column: str, text: str
) -> None:
    table = positions_table("Positions", [position(**changes)])

    assert dict(zip(table.columns, table.rows[0], strict=True))[column] == text


def test_of_our_own_positions_nothing_is_said_of_whose_they_are() -> None:
    assert "own" not in positions_table("Positions", [position()]).columns


def test_of_a_closed_position_nothing_is_said_of_what_protected_it() -> None:
    table = held_table("Closed", [position()])

    assert not {"stop", "target", "protected"} & set(table.columns)

"""Every account command through the installed `trader`, in one-way and in hedge mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.support.trader_process import Trader

INFO = {
    *("equity_usdt", "wallet_balance", "unrealized_pnl", "available_balance", "initial_margin"),
    *("maintenance_margin", "can_trade", "can_withdraw", "position_mode", "multi_assets_mode"),
    *("fee_tier", "updated_ms", "clock_offset_ms"),
    *("weight_used_1m", "orders_used_10s", "orders_used_1m"),
}
PERMISSIONS = {
    *("account_can_trade", "account_can_withdraw", "key_known", "key_can_read"),
    *("key_can_trade_futures", "key_can_withdraw", "key_can_transfer", "key_ip_restricted"),
    "key_created_ms",
}
INCOME = {
    *("symbol", "type", "amount", "asset", "info", "transaction_id", "trade_id", "time_ms"),
}


@dataclass(frozen=True, kw_only=True)
class Home:
    """A home whose account is in one mode and has traded once."""

    trader: Trader
    mode: str


@pytest.fixture(scope="module", params=["one-way", "hedge"])
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    trader = Trader(root=tmp_path_factory.mktemp("trader"))
    (trader.root / "config.toml").write_text(
        "[paper]\nrate_limits = false\n[entry]\ndeadline_s = 1\n"
    )
    assert trader("position", "mode", request.param).code == 0
    words = ("open", "BTCUSDT", "long", "--qty", "0.002", "--no-stop")
    assert trader("position", *words).code == 0
    assert trader("position", "close", "BTCUSDT").code == 0
    yield Home(trader=trader, mode=request.param)
    assert trader("paper", "stop").code == 0


def test_balance_and_equity(home: Home) -> None:
    data = home.trader.json("account", "balance").data

    assert set(data) == {"assets", "equity_usdt"}
    (asset,) = data["assets"]
    assert set(asset) == {"asset", "wallet_balance", "available_balance", "unrealized_pnl"}
    assert asset["wallet_balance"] == data["equity_usdt"]


def test_info_and_mode_tell_how_the_account_is_set_up(home: Home) -> None:
    info = home.trader.json("account", "info").data
    mode = home.trader.json("account", "mode").data

    assert set(info) == INFO
    assert mode == {"position_mode": home.mode, "multi_assets_mode": False}
    assert info["position_mode"] == home.mode
    assert info["weight_used_1m"] > 0
    assert 0 <= info["orders_used_10s"] <= info["orders_used_1m"]


def test_permissions_tell_what_the_key_may_do(home: Home) -> None:
    data = home.trader.json("account", "permissions").data

    assert set(data) == PERMISSIONS
    assert (data["key_known"], data["key_can_trade_futures"]) == (True, True)
    assert data["key_can_withdraw"] is False


def test_income_is_listed_and_summed_by_type_and_asset(home: Home) -> None:
    data = home.trader.json("account", "income").data
    fees = home.trader.json("account", "income", "BTCUSDT", "--type", "commission").data
    nothing = home.trader.json("account", "income", "ETHUSDT", "--since", "1h").data
    wrong = home.trader.json("account", "income", "--since", "yesterday")

    assert all(set(row) == INCOME for row in data["income"])
    assert data["sums"]["TRANSFER"] == {"USDT": "10000"}
    assert {row["type"] for row in fees["income"]} == {"COMMISSION"}
    paid = sum(Decimal(row["amount"]) for row in fees["income"])
    assert Decimal(fees["sums"]["COMMISSION"]["USDT"]) == paid < 0
    assert (nothing["income"], nothing["sums"]) == ([], {})
    assert (wrong.code, wrong.error["kind"]) == (2, "usage")


def test_fees_are_fractions_of_notional(home: Home) -> None:
    default = home.trader.json("account", "fees").data
    two = home.trader.json("account", "fees", "ETHUSDT", "BTCUSDT").data

    assert default == {
        "fee_tier": 0,
        "fees": [{"symbol": "BTCUSDT", "maker_rate": "0.0002", "taker_rate": "0.0005"}],
    }
    assert [row["symbol"] for row in two["fees"]] == ["ETHUSDT", "BTCUSDT"]


@pytest.mark.parametrize("words", [("balance",), ("income",), ("fees",), ("permissions",)])
def test_people_get_tables(home: Home, words: tuple[str, ...]) -> None:
    outcome = home.trader("account", *words)

    assert outcome.code == 0
    assert outcome.out.strip()
    assert "[paper]" in outcome.err

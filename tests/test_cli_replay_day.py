"""The day whose losses count is the exchange's, also where the machine goes by another date."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.support.trader_process import Trader

TAPE = Path(__file__).parent / "fixtures" / "market" / "BTCUSDT-aggTrades-2024-08-08.csv.gz"


def test_first_command_on_a_replay_of_another_day_sees_that_days_result(tmp_path: Path) -> None:
    trader = Trader(root=tmp_path)
    assert trader("paper", "start", "--market", "replay", str(TAPE), "--speed", "1").code == 0
    try:
        assert trader("order", "market", "BTCUSDT", "buy", "--usd", "500").code == 0
        assert trader("position", "close", "BTCUSDT").code == 0
        (trader.home / "paper" / "usage").unlink()  # what one process measures others know

        day = trader.json("risk", "status").data["day"]

        assert Decimal(day["fees"]) < 0
        assert Decimal(day["pnl"]) < 0
    finally:
        assert trader("paper", "stop").code == 0

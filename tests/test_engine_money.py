"""What a trade and a day cost where fees are another asset, and where the day is not ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.engine_rig import SYMBOL, Rig, rig
from tests.support.paper import START_MS, PaperVenue
from tests.support.paper_transport import MemoryResponse, MemorySession
from trader_cli.domain.rules import BridgeRules
from trader_cli.paper.protocol.messages import HttpRequest

DAY_MS = 86_400_000
WIDE = {"leverage": 5, "stop_loss_pct": 50, "take_profit_pct": 90}


class OtherFees(MemorySession):
    """Shows every commission as paid in an asset that the paper exchange takes none in."""

    COMMISSION = Decimal("0.001")

    def __init__(self, paper: PaperVenue, asset: str) -> None:
        super().__init__(paper)
        self._asset = asset

    @asynccontextmanager
    async def _answered(self, request: HttpRequest) -> AsyncIterator[MemoryResponse]:
        async with super()._answered(request) as answer:
            if request.path.endswith("/userTrades"):
                rows = json.loads(answer.body)
                paid = {"commission": str(self.COMMISSION), "commissionAsset": self._asset}
                answer = replace(answer, body=json.dumps([row | paid for row in rows]).encode())
            if request.path.endswith("/income"):
                rows = json.loads(answer.body)
                fees = [row for row in rows if row["incomeType"] == "COMMISSION"]
                for row in fees:
                    row |= {"income": str(-self.COMMISSION), "asset": self._asset}
                answer = replace(answer, body=json.dumps(rows).encode())
            yield answer


@pytest.mark.parametrize(("asset", "worth", "unpriced"), [("SOL", 190, []), ("BNB", 0, ["BNB"])])
async def test_fees_in_another_asset_count_at_what_it_is_worth(
    tmp_path: Path, asset: str, worth: int, unpriced: list[str]
) -> None:
    """Here SOL stands for BNB, which this exchange does not list; an unknown worth is told."""
    async with rig(tmp_path) as world:
        await world.start(session=OtherFees(world.paper, asset))
        world.decide("LONG")
        await world.enter()
        world.decide("CUT_LOSS")
        await world.until(lambda: world.reports("closed"), within_s=8)

        [closed] = world.reports("closed")
        fills = len(world.paper.ask("GET", "/fapi/v1/userTrades", {"symbol": SYMBOL}))
        paid = fills * OtherFees.COMMISSION * worth
        assert Decimal(str(closed["fees"])) == paid
        assert Decimal(str(closed["net_pnl"])) == Decimal(str(closed["realized_pnl"])) - paid
        assert closed["fees_unpriced"] == unpriced


@pytest.mark.parametrize("days", [-400, 3])
async def test_day_limit_holds_where_the_exchanges_day_is_another(
    tmp_path: Path, days: int
) -> None:
    """As on a replay: losses, and the end of the halt, are of the exchange's day."""
    rules = BridgeRules(cool_down_s=0)
    async with rig(tmp_path, bridge=rules, machine_ahead_ms=days * DAY_MS) as world:
        await in_position(world)
        await world.price("89900")  # 51 USDT lost, of the 50 a day may lose
        await world.until(lambda: world.quantity() == 0, within_s=12)

        [halt] = world.latch.all()
        end_ms = (START_MS // DAY_MS + 1 + days) * DAY_MS
        assert (halt.rule, halt.until_ms) == ("day", end_ms)
        world.decide("LONG")
        await world.pass_time(2)
        assert world.refusals()[-1] == "halted"


async def in_position(world: Rig) -> None:
    # At 5x a stop can lie 10 % away; at 20x the trade's whole margin is less than the limit.
    await world.start()
    world.decide("LONG", dynamic_params=WIDE, **WIDE)
    await world.enter()
    await world.pass_time(2)


async def test_reconcile_measures_the_clock_by_which_it_puts_bookings_in_order(
    tmp_path: Path,
) -> None:
    """On a fast replay the exchange's time runs ahead of what was measured at the start."""
    async with rig(tmp_path) as world:
        session = MemorySession(world.paper)
        await world.start(session=session)
        await world.pass_time(2)
        clock = ("GET", "/fapi/v1/time")
        before = session.sent.count(clock)

        world.network.break_user_stream()
        await world.until(lambda: len(world.reports("reconciled")) == 2, within_s=5)

        assert session.sent.count(clock) == before + 1

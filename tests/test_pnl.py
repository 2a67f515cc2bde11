"""What a position earned since it was opened, in the assets it was paid in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper_desk import PaperDesk, paper_desk
from trader_cli.domain.account import IncomeRow
from trader_cli.trading.positions.pnl import day_pnl, fills_of, position_pnl

SYMBOL = "BTCUSDT"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[PaperDesk]:
    async with paper_desk(tmp_path) as made:
        yield made


async def test_a_position_begins_where_the_last_one_ended(desk: PaperDesk) -> None:
    desk.by_others("BUY", "0.01")
    desk.paper.advance(1_000)
    desk.by_others("SELL", "0.015")  # turns it around
    desk.paper.advance(1_000)
    desk.by_others("SELL", "0.005")
    desk.by_others("BUY", "0.002")

    [row] = await desk.run(desk.positions.get_position_pnl())

    fills = await desk.run(desk.client.get_fills(SYMBOL))
    assert row.opened_ms == fills[1].time_ms
    assert row.fees == -sum(fill.commission for fill in fills[1:])
    assert row.realized == sum(fill.realized_pnl for fill in fills[1:])
    assert row.total == row.realized + row.unrealized + row.fees + row.funding


async def test_an_opening_beyond_the_known_executions_is_not_invented(desk: PaperDesk) -> None:
    desk.by_others("BUY", "0.01")
    desk.paper.advance(1_000)
    desk.by_others("BUY", "0.002")
    fills = await desk.run(desk.client.get_fills(SYMBOL))
    [position] = await desk.run(desk.client.get_positions())

    own, whole = fills_of(position, fills[1:])
    result = position_pnl(position, fills[1:], [])

    assert (own, whole) == (fills[1:], False)
    assert result.opened_ms is None


async def test_fees_in_another_asset_stand_beside(desk: PaperDesk) -> None:
    desk.by_others("BUY", "0.01")
    [fill] = await desk.run(desk.client.get_fills(SYMBOL))
    [position] = await desk.run(desk.client.get_positions())
    paid_in_bnb = replace(fill, commission=Decimal("0.001"), commission_asset="BNB")

    result = position_pnl(position, [paid_in_bnb], [])

    assert result.fees == 0
    assert result.fees_other == {"BNB": Decimal("-0.001")}


def income(kind: str, amount: str, *, asset: str = "USDT", symbol: str = SYMBOL) -> IncomeRow:
    return IncomeRow(
        symbol=symbol,
        income_type=kind,
        amount=Decimal(amount),
        asset=asset,
        info="",
        transaction_id=1,
        trade_id="",
        time_ms=1,
    )


def test_the_day_adds_up_usdt_only_and_leaves_transfers_out() -> None:
    rows = [
        income("REALIZED_PNL", "5"),
        income("INSURANCE_CLEAR", "-1"),
        income("COMMISSION", "-0.5"),
        income("COMMISSION", "-0.002", asset="BNB"),
        income("FUNDING_FEE", "-0.25"),
        income("TRANSFER", "1000", symbol=""),
        income("REALIZED_PNL", "7", symbol="ETHUSDT"),
    ]

    day = day_pnl(SYMBOL, [], rows)

    assert (day.realized, day.fees, day.funding) == (Decimal(4), Decimal("-0.5"), Decimal("-0.25"))
    assert day.total == Decimal("3.25")
    assert day.other_assets == {"BNB": Decimal("-0.002")}
    assert day_pnl(None, [], rows).realized == Decimal(11)


async def test_funding_counts_from_the_opening_on(desk: PaperDesk) -> None:
    desk.by_others("BUY", "0.01")
    [fill] = await desk.run(desk.client.get_fills(SYMBOL))
    [position] = await desk.run(desk.client.get_positions())
    before = replace(income("FUNDING_FEE", "-9"), time_ms=fill.time_ms - 1)
    since = replace(income("FUNDING_FEE", "-0.3"), time_ms=fill.time_ms)

    assert position_pnl(position, [fill], [before, since]).funding == Decimal("-0.3")

"""A position that somebody else opened becomes the engine's own, at once and over restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.engine_rig import SYMBOL, Rig, rig
from tests.support.paper import KEYS
from tests.support.paper_transport import ORIGIN, MemorySession
from trader_cli.errors import UsageError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.beliefs import ADOPTED_ROW, read_beliefs
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import Adopted
from trader_cli.trading.risk.risk_manager import RiskManager

STOP = ProtectionSpec(stop_price=Decimal(94_500))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def adopt(world: Rig, spec: ProtectionSpec = STOP, *, advisor: str = "wolf") -> Adopted:
    """Adopt as a command beside the engine does: its own client, the same journal."""
    async with BinanceFuturesClient(
        api_key=KEYS.api_key,
        api_secret=KEYS.api_secret,
        rest_url=ORIGIN,
        clock=world.clock,
        session=MemorySession(world.paper),
    ) as client:
        orders = OrderManager(
            client,
            journal=world.journal,
            risk=RiskManager(world.limits),
            latch=world.latch,
            clock=world.clock,
            policy=world.entry,
        )
        return await PositionManager(orders).adopt(
            SYMBOL, spec, source="command/1", advisor=advisor
        )


async def test_a_running_engine_takes_over_what_is_adopted(world: Rig) -> None:
    world.by_hand("BUY", "0.005")
    await world.start()
    world.decide("CUT_LOSS")
    await world.pass_time(2)
    assert world.quantity() == Decimal("0.005")

    adopted = await adopt(world)
    await world.pass_time(3)
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=5)

    assert adopted.done
    assert world.quantity() == 0
    assert (world.algos(), world.open_orders()) == ([], [])
    [closed] = world.reports("closed")
    assert (closed["advisor"], closed["exit_reason"]) == ("wolf", "AI CUT_LOSS")
    assert closed["net_pnl"] is not None


async def test_an_engine_started_later_knows_what_was_adopted(world: Rig) -> None:
    world.by_hand("SELL", "0.005")
    adopted = await adopt(world, ProtectionSpec(stop_price=Decimal(95_500)))

    await world.start()
    await world.pass_time(2)
    [stop] = world.stops()
    world.decide("CUT_LOSS")
    await world.until(lambda: world.reports("closed"), within_s=5)

    assert adopted.done
    assert Decimal(stop["triggerPrice"]) == Decimal(95_500)
    assert world.quantity() == 0
    assert world.reports("warning") == []


async def test_its_lost_stop_is_put_back_where_it_was(world: Rig) -> None:
    world.by_hand("BUY", "0.005")
    await adopt(world)
    await world.start()
    [stop] = world.stops()
    world.paper.ask("DELETE", "/fapi/v1/algoOrder", {"algoId": stop["algoId"]})

    await world.until(world.stops, within_s=5)

    [again] = world.stops()
    assert again["triggerPrice"] == stop["triggerPrice"]
    assert world.quantity() == Decimal("0.005")


async def test_another_advisor_is_refused_until_flat(world: Rig) -> None:
    world.by_hand("BUY", "0.005")
    await adopt(world, advisor="dragon")
    await world.start()

    world.decide("SHORT")
    await world.pass_time(2)

    assert world.refusals() == ["owned"]
    assert world.quantity() == Decimal("0.005")


async def test_what_was_adopted_and_closed_elsewhere_is_not_owned_again(world: Rig) -> None:
    world.by_hand("BUY", "0.005")
    await adopt(world)
    world.by_hand("SELL", "0.005")
    world.by_hand("BUY", "0.004")

    await world.start()
    world.decide("CUT_LOSS")
    await world.pass_time(3)

    assert world.quantity() == Decimal("0.004")


async def test_without_a_resting_stop_nothing_is_adopted(world: Rig) -> None:
    world.by_hand("BUY", "0.005")

    refused = await adopt(world, ProtectionSpec(stop_price=Decimal(96_000)))
    with pytest.raises(UsageError):
        await adopt(world, ProtectionSpec(take_profit_price=Decimal(99_000)))

    assert not refused.done
    assert refused.protection.must_close
    assert world.journal.last(ADOPTED_ROW) is None
    assert not any(row.own for row in read_beliefs(world.journal).values())

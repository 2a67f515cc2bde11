"""Leverage, margin and mode, each write under each failure: the answer is true, nothing doubles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper_desk import PaperDesk, paper_desk
from trader_cli.domain.terms import MarginType
from trader_cli.errors import NotSent, RateLimited, Rejected, UsageError, VenueError
from trader_cli.paper.faults import ANSWERS, FaultKind

SYMBOL = "BTCUSDT"
REFUSING = [FaultKind.TOO_MANY_REQUESTS, FaultKind.BANNED]
"""The exchange lets nothing through for a while."""
STRIKING = [
    kind
    for kind in FaultKind
    if kind in ANSWERS and kind not in (*REFUSING, FaultKind.AMNESIA, FaultKind.MAINTENANCE)
]
EXECUTED = [kind for kind in STRIKING if kind.endswith("_executed")]
OTHERS = [kind for kind in STRIKING if kind not in EXECUTED]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[PaperDesk]:
    async with paper_desk(tmp_path) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One write: how it is done, where it goes, and what the exchange says of it then."""

    path: str
    prepare: Callable[[PaperDesk], None]
    write: Callable[[PaperDesk], Awaitable[object]]
    read: Callable[[PaperDesk], object]
    before: object
    after: object


def config(desk: PaperDesk, name: str) -> object:
    [row] = desk.paper.ask("GET", "/fapi/v1/symbolConfig", {"symbol": SYMBOL})
    return row[name]


def wallet(desk: PaperDesk) -> object:
    [row] = desk.paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": SYMBOL})
    return round(Decimal(row["isolatedWallet"]), 1)


def hold_isolated(desk: PaperDesk) -> None:
    desk.paper.ask("POST", "/fapi/v1/marginType", {"symbol": SYMBOL, "marginType": "ISOLATED"})
    desk.by_others("BUY", "0.01")


def nothing(_: PaperDesk) -> None:
    """Most settings need no preparation."""


SETTINGS = {
    "leverage": Setting(
        path="/fapi/v1/leverage",
        prepare=nothing,
        write=lambda desk: desk.positions.set_leverage(SYMBOL, 10),
        read=lambda desk: config(desk, "leverage"),
        before=20,
        after=10,
    ),
    "margin type": Setting(
        path="/fapi/v1/marginType",
        prepare=nothing,
        write=lambda desk: desk.positions.set_margin_type(SYMBOL, MarginType.ISOLATED),
        read=lambda desk: config(desk, "marginType"),
        before="CROSSED",
        after="ISOLATED",
    ),
    "margin": Setting(
        path="/fapi/v1/positionMargin",
        prepare=hold_isolated,
        write=lambda desk: desk.positions.move_margin(SYMBOL, Decimal(30)),
        read=wallet,
        before=Decimal("47.5"),
        after=Decimal("77.5"),
    ),
    "mode": Setting(
        path="/fapi/v1/positionSide/dual",
        prepare=nothing,
        write=lambda desk: desk.positions.set_position_mode(hedge=True),
        read=lambda desk: desk.paper.ask("GET", "/fapi/v1/positionSide/dual")["dualSidePosition"],
        before=False,
        after=True,
    ),
}


def writes_sent(desk: PaperDesk, path: str) -> int:
    return desk.session.sent.count(("POST", path))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", EXECUTED)
async def test_a_setting_whose_answer_is_lost_is_found_and_not_repeated(
    desk: PaperDesk, name: str, kind: FaultKind
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    assert setting.read(desk) == setting.before
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path)

    await desk.run(setting.write(desk))

    assert setting.read(desk) == setting.after
    assert writes_sent(desk, setting.path) == 1


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", OTHERS)
async def test_a_setting_that_did_not_arrive_is_set_again_or_said_not_to_be(
    desk: PaperDesk, name: str, kind: FaultKind
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path)

    try:
        await desk.run(setting.write(desk))
        expected = setting.after
    except VenueError:
        expected = setting.before

    assert setting.read(desk) == expected
    once = name == "margin"
    assert expected == (setting.before if once else setting.after)
    assert writes_sent(desk, setting.path) == (1 if once else 2)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", REFUSING)
async def test_a_setting_is_not_pressed_upon_an_exchange_that_limits_us(
    desk: PaperDesk, name: str, kind: FaultKind
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path)

    with pytest.raises(RateLimited):
        await desk.run(setting.write(desk))

    assert setting.read(desk) == setting.before
    assert writes_sent(desk, setting.path) == 1


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_setting_that_never_arrives_is_not_tried_for_ever(
    desk: PaperDesk, name: str
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    desk.paper.exchange.faults.arm(FaultKind.UNKNOWN, method="POST", path=setting.path, times=50)

    with pytest.raises(NotSent) as error:
        await desk.run(setting.write(desk))

    assert error.value.code == "not_executed"
    assert setting.read(desk) == setting.before
    assert writes_sent(desk, setting.path) <= 3


@pytest.mark.parametrize("name", ["leverage", "margin type", "mode"])
async def test_what_is_so_already_is_not_written(desk: PaperDesk, name: str) -> None:
    setting = SETTINGS[name]
    await desk.run(setting.write(desk))

    await desk.run(setting.write(desk))

    assert writes_sent(desk, setting.path) == 1


async def test_leverage_of_an_isolated_position_only_rises_and_that_is_said(
    desk: PaperDesk,
) -> None:
    hold_isolated(desk)

    with pytest.raises(Rejected) as error:
        await desk.run(desk.positions.set_leverage(SYMBOL, 5))

    assert error.value.code == -4161
    assert "until it is flat" in error.value.message
    assert await desk.run(desk.positions.set_leverage(SYMBOL, 25)) == 25


@pytest.mark.parametrize(("held", "code"), [(True, -4068), (False, -4067)])
async def test_the_mode_says_what_stands_in_its_way(desk: PaperDesk, held: bool, code: int) -> None:
    if held:
        desk.by_others("BUY", "0.01")
    else:
        order = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        desk.paper.ask("POST", "/fapi/v1/order", {**order, "quantity": "0.1", "price": "3200"})

    with pytest.raises(Rejected) as error:
        await desk.run(desk.positions.set_position_mode(hedge=True))

    assert error.value.code == code
    assert ("positions in BTCUSDT" if held else "open orders on ETHUSDT") in error.value.message


async def test_margin_moves_only_where_there_is_an_isolated_position(desk: PaperDesk) -> None:
    with pytest.raises(UsageError):
        await desk.run(desk.positions.move_margin(SYMBOL, Decimal(10)))
    desk.by_others("BUY", "0.01")
    with pytest.raises(UsageError) as error:
        await desk.run(desk.positions.move_margin(SYMBOL, Decimal(10)))

    assert error.value.code == "not_isolated"


@pytest.mark.parametrize("kind", STRIKING)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_close_under_any_failure_ends_flat_without_orphans_and_never_turned(
    desk: PaperDesk, kind: FaultKind, method: str
) -> None:
    """The order of the close fails, or the cancelling of the exits behind it."""
    desk.by_others("BUY", "0.01")
    stop = {
        "algoType": "CONDITIONAL",
        "symbol": SYMBOL,
        "side": "SELL",
        "type": "STOP_MARKET",
        "triggerPrice": "94000",
        "closePosition": "true",
        "clientAlgoId": "trd-0123456789abcdef0123-sl0",
    }
    desk.paper.ask("POST", "/fapi/v1/algoOrder", stop)
    path = "/fapi/v1/order" if method == "POST" else "/fapi/v1/algoOrder"
    desk.paper.exchange.faults.arm(kind, method=method, path=path)

    closed = await desk.run(desk.positions.close_position(SYMBOL, source="c"))

    left = desk.paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": SYMBOL})
    assert [row for row in left if Decimal(row["positionAmt"]) != 0] == []
    resting = desk.paper.ask("GET", "/fapi/v1/openAlgoOrders")
    assert closed.flat
    said = [note for note in closed.notes if "may still rest" in note]
    assert bool(resting) <= bool(said), "what rests is said"


async def test_margin_type_of_a_held_symbol_is_not_told_to_lose_its_stop_first(
    desk: PaperDesk,
) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    desk.paper.ask("POST", "/fapi/v1/order", order)
    stop = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "90000"}
    more = {"algoType": "CONDITIONAL", "closePosition": "true"}
    desk.paper.ask("POST", "/fapi/v1/algoOrder", stop | more)

    with pytest.raises(Rejected, match="is held") as caught:
        await desk.run(desk.positions.set_margin_type(SYMBOL, MarginType.ISOLATED))

    assert caught.value.code == -4047
    assert "close it first" in (caught.value.advice or "")


async def test_margin_type_beside_resting_orders_alone_names_the_orders(desk: PaperDesk) -> None:
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01"}
    desk.paper.ask("POST", "/fapi/v1/order", order | {"price": "90000", "timeInForce": "GTC"})

    with pytest.raises(Rejected, match="open orders") as caught:
        await desk.run(desk.positions.set_margin_type(SYMBOL, MarginType.ISOLATED))

    assert caught.value.code == -4047

"""Leverage, margin and mode, each write under each failure: the answer is true, nothing doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.paper_desk import PaperDesk, paper_desk
from trader_cli.domain.terms import MarginType
from trader_cli.errors import NotSent, OutcomeUnknown, RateLimited, Rejected, UsageError, VenueError
from trader_cli.paper.api.faults import ANSWERS, FaultKind
from trader_cli.trading.positions.account_settings import move_margin

SYMBOL = "BTCUSDT"
REFUSING = [FaultKind.TOO_MANY_REQUESTS, FaultKind.BANNED]
"""The exchange lets nothing through for a while."""
STRIKING = [
    kind
    for kind in FaultKind
    if kind in ANSWERS and kind not in (*REFUSING, FaultKind.AMNESIA, FaultKind.MAINTENANCE)
]
PROVEN = (FaultKind.UNAVAILABLE, FaultKind.OVERLOADED)
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


def wallet_exactly(desk: PaperDesk) -> Decimal:
    [row] = desk.paper.ask("GET", "/fapi/v3/positionRisk", {"symbol": SYMBOL})
    return Decimal(row["isolatedWallet"])


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
    # Margin moves once: only what says itself that it did nothing is sent again.
    once = name == "margin" and kind not in PROVEN
    assert expected == (setting.before if once else setting.after)
    assert writes_sent(desk, setting.path) == (1 if once else 2)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(("failures", "done"), [(1, True), (3, True), (4, False)])
async def test_a_short_pause_of_the_exchange_is_waited_for_three_times(
    desk: PaperDesk, name: str, failures: int, done: bool
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    kind = FaultKind.TOO_MANY_REQUESTS
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path, times=failures, amount=1)
    began_ms = desk.paper.clock.now_ms()

    if done:
        await desk.run(setting.write(desk))
    else:
        with pytest.raises(RateLimited):
            await desk.run(setting.write(desk))

    assert setting.read(desk) == (setting.after if done else setting.before)
    assert writes_sent(desk, setting.path) == min(failures, 3) + 1
    assert desk.paper.clock.now_ms() - began_ms >= 1_000 * min(failures, 3)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("failures", [3, 4])
async def test_what_is_proven_not_executed_is_sent_three_times_more(
    desk: PaperDesk, name: str, failures: int
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    kind = FaultKind.UNAVAILABLE
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path, times=failures)

    if failures == 3:
        await desk.run(setting.write(desk))
    else:
        with pytest.raises(NotSent):
            await desk.run(setting.write(desk))

    assert setting.read(desk) == (setting.after if failures == 3 else setting.before)
    assert writes_sent(desk, setting.path) == 4


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_margin_that_other_things_moved_meanwhile_stays_unknown_and_is_not_sent_again(
    desk: PaperDesk, executed: bool
) -> None:
    """An addition brings margin of its own: neither "it is there" nor "it is not" is proven."""
    hold_isolated(desk)
    kind = FaultKind.UNKNOWN_EXECUTED if executed else FaultKind.UNKNOWN
    path = SETTINGS["margin"].path
    desk.paper.exchange.faults.arm(kind, method="POST", path=path)
    [position] = await desk.run(desk.client.get_position_risk(SYMBOL))
    answered = desk.session.sent.count(("GET", "/fapi/v3/positionRisk"))
    moving = asyncio.ensure_future(desk.run(move_margin(desk.orders, position, Decimal(30))))
    while writes_sent(desk, path) == 0:
        await asyncio.sleep(0)
    desk.by_others("BUY", "0.005")

    with pytest.raises(OutcomeUnknown) as caught:
        await moving

    assert writes_sent(desk, path) == 1
    assert desk.session.sent.count(("GET", "/fapi/v3/positionRisk")) > answered
    assert caught.value.advice is not None
    assert "trader position margin BTCUSDT" in caught.value.advice


@pytest.mark.parametrize("amount", ["0.01", "-0.01"])
async def test_the_smallest_margin_in_doubt_is_told_from_none(desk: PaperDesk, amount: str) -> None:
    hold_isolated(desk)
    await desk.run(desk.positions.move_margin(SYMBOL, Decimal(20)))
    path = SETTINGS["margin"].path
    before = wallet_exactly(desk)
    desk.paper.exchange.faults.arm(FaultKind.UNKNOWN, method="POST", path=path)

    with pytest.raises(NotSent):
        await desk.run(desk.positions.move_margin(SYMBOL, Decimal(amount)))
    desk.paper.exchange.faults.arm(FaultKind.UNKNOWN_EXECUTED, method="POST", path=path)
    await desk.run(desk.positions.move_margin(SYMBOL, Decimal(amount)))

    assert wallet_exactly(desk) == before + Decimal(amount)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", REFUSING)
async def test_a_setting_is_not_pressed_upon_an_exchange_that_limits_us(
    desk: PaperDesk, name: str, kind: FaultKind
) -> None:
    setting = SETTINGS[name]
    setting.prepare(desk)
    desk.paper.exchange.faults.arm(kind, method="POST", path=setting.path, amount=30)

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

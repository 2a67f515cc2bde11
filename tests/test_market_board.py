"""Prices age by two clocks: when they arrived, and when the exchange says they were true."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.support.paper import START_MS, ManualClock
from trader_cli.domain.account import BookTop, MarkPrice
from trader_cli.domain.account_events import BookTopChanged, MarkPriceChanged
from trader_cli.engine.market_board import MarketBoard

S = "BTCUSDT"


def mark_at(venue_ms: int, price: str = "95000") -> MarkPrice:
    value = Decimal(price)
    return MarkPrice(
        symbol=S,
        mark_price=value,
        index_price=value,
        funding_rate=Decimal(0),
        next_funding_ms=0,
        venue_ms=venue_ms,
    )


def top_at(venue_ms: int, bid: str = "95000") -> BookTop:
    return BookTop(
        symbol=S,
        bid=Decimal(bid),
        bid_quantity=Decimal(1),
        ask=Decimal(bid) + Decimal("0.1"),
        ask_quantity=Decimal(1),
        venue_ms=venue_ms,
    )


@dataclass
class Scene:
    """A board, the exchange's clock beside the machine's, and what was asked by REST."""

    clock: ManualClock = field(default_factory=ManualClock)
    offset_ms: int = 0
    error_ms: int = 0
    asked: list[str] = field(default_factory=list)
    measured: int = 0
    quiet_since_ms: int | None = None

    def __post_init__(self) -> None:
        self.board = MarketBoard(
            clock=self.clock,
            venue_now_ms=lambda: self.clock.now_ms() + self.offset_ms + self.error_ms,
            measure_clock=self._measure,
            read_top=self._read_top,
            read_mark=self._read_mark,
        )

    @property
    def venue_ms(self) -> int:
        """The exchange's true time."""
        return self.clock.now_ms() + self.offset_ms

    def hear_mark(self, *, late_ms: int = 0, price: str = "95000") -> None:
        self.board.take(MarkPriceChanged(mark=mark_at(self.venue_ms - late_ms, price)))

    def hear_top(self, *, late_ms: int = 0, bid: str = "95000") -> None:
        self.board.take(BookTopChanged(top=top_at(self.venue_ms - late_ms, bid)))

    def age_ms(self) -> int:
        known = self.board.latest_mark(S)
        assert known is not None
        return known[1]

    async def _measure(self) -> int:
        self.measured += 1
        self.error_ms = 0
        return self.offset_ms

    async def _read_top(self, _symbol: str) -> BookTop:
        self.asked.append("top")
        return top_at(self.quiet_since_ms or self.venue_ms, "95050")

    async def _read_mark(self, _symbol: str) -> MarkPrice:
        self.asked.append("mark")
        return mark_at(self.venue_ms, "95050")


def test_price_is_as_old_as_its_arrival() -> None:
    scene = Scene()
    scene.hear_mark()
    scene.clock.advance(1_500)

    assert scene.age_ms() == 1_500


def test_delayed_stream_makes_its_prices_old_though_they_keep_arriving() -> None:
    scene = Scene()
    for _ in range(5):
        scene.clock.advance(1_000)
        scene.hear_mark(late_ms=7_000)

    assert scene.age_ms() == 7_000


@pytest.mark.parametrize("offset_ms", [-3_600_000, -900, 900, 86_400_000])
def test_age_goes_by_the_exchanges_clock_not_the_machines(offset_ms: int) -> None:
    scene = Scene(offset_ms=offset_ms)
    scene.hear_mark(late_ms=300)
    scene.clock.advance(100)

    assert scene.age_ms() == 400


def test_event_from_the_future_is_not_younger_than_its_arrival() -> None:
    scene = Scene()
    scene.hear_mark(late_ms=-5_000)
    scene.clock.advance(3_000)

    assert scene.age_ms() == 3_000


@pytest.mark.parametrize(("late_ms", "asked"), [(2_000, []), (2_001, ["mark"])])
async def test_mark_that_was_told_late_is_asked_for(late_ms: int, asked: list[str]) -> None:
    scene = Scene()
    scene.hear_mark(late_ms=late_ms)

    await scene.board.mark(S)

    assert scene.asked == asked


@pytest.mark.parametrize(("late_ms", "asked"), [(2_000, []), (2_001, ["top"])])
async def test_quote_that_was_told_late_is_asked_for(late_ms: int, asked: list[str]) -> None:
    scene = Scene()
    scene.hear_top(late_ms=late_ms)

    await scene.board.book(S)

    assert scene.asked == asked


async def test_quote_of_a_quiet_book_counts_from_when_it_was_asked_for() -> None:
    """REST dates a quote by the book's last change, which may be long ago and still hold."""
    scene = Scene(quiet_since_ms=START_MS - 60_000)

    await scene.board.book(S)
    scene.clock.advance(1_900)
    await scene.board.book(S)

    assert scene.asked == ["top"]


async def test_late_event_does_not_replace_what_was_just_asked_for() -> None:
    scene = Scene()
    scene.clock.advance(1)
    await scene.board.mark(S)
    await scene.board.book(S)
    scene.hear_mark(late_ms=5_000, price="90000")
    scene.hear_top(late_ms=5_000, bid="90000")

    assert (await scene.board.mark(S)).mark_price == Decimal(95050)
    assert (await scene.board.book(S)).bid == Decimal(95050)
    assert scene.asked == ["mark", "top"]


async def test_old_looking_prices_have_the_clock_measured_before_they_are_believed_old() -> None:
    """The machine's clock may have been set meanwhile; every price would look old for minutes."""
    scene = Scene(error_ms=60_000)
    scene.hear_mark()

    await scene.board.mark(S)

    assert (scene.measured, scene.asked) == (1, [])
    assert scene.age_ms() == 0


async def test_stream_that_stays_late_does_not_have_the_clock_measured_at_every_price() -> None:
    scene = Scene()
    for _ in range(60):
        scene.hear_mark(late_ms=9_000)
        scene.hear_top(late_ms=9_000)
        await scene.board.mark(S)
        await scene.board.book(S)
        scene.clock.advance(1_000)

    assert scene.measured == 1
    assert len(scene.asked) >= 40

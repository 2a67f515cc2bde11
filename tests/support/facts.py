"""Facts of an account as tests need them: instruments, positions and risk views with defaults."""

from __future__ import annotations

from decimal import Decimal

from trader_cli.domain.account import LeverageBracket, Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.terms import MarginType, PositionSide
from trader_cli.trading.risk.risk_terms import DayResult, MarkView, RiskView

NOW_MS = 1_790_000_000_000


def btc_instrument() -> Instrument:
    """BTCUSDT with its filters of 2026."""
    return Instrument(
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        margin_asset="USDT",
        status="TRADING",
        tick_size=Decimal("0.10"),
        price_min=Decimal("261.10"),
        price_max=Decimal(809484),
        quantity_step=Decimal("0.001"),
        quantity_min=Decimal("0.001"),
        quantity_max=Decimal(1000),
        market_quantity_step=Decimal("0.001"),
        market_quantity_min=Decimal("0.001"),
        market_quantity_max=Decimal(120),
        notional_min=Decimal(50),
        percent_up=Decimal("1.05"),
        percent_down=Decimal("0.95"),
        liquidation_fee=Decimal("0.0125"),
        market_take_bound=Decimal("0.05"),
        trigger_protect=Decimal("0.05"),
        price_precision=2,
        quantity_precision=3,
    )


def btc_brackets() -> list[LeverageBracket]:
    """The first four leverage brackets of BTCUSDT.

    Source: binance-usdm reference §13.2.
    """
    rows = [
        (1, 150, "0", "300000", "0.004", "0"),
        (2, 100, "300000", "800000", "0.005", "300"),
        (3, 75, "800000", "3000000", "0.0065", "1500"),
        (4, 50, "3000000", "12000000", "0.01", "12000"),
    ]
    return [
        LeverageBracket(
            bracket=number,
            leverage_max=leverage,
            notional_floor=Decimal(floor),
            notional_cap=Decimal(cap),
            maintenance_rate=Decimal(rate),
            maintenance_amount=Decimal(cum),
        )
        for number, leverage, floor, cap, rate, cum in rows
    ]


def position(
    quantity: str,
    *,
    symbol: str = "BTCUSDT",
    entry: str = "100000",
    mark: str = "100000",
    position_side: PositionSide = PositionSide.BOTH,
) -> Position:
    """A position row of signed `quantity`."""
    size = Decimal(quantity)
    return Position(
        symbol=symbol,
        position_side=position_side,
        quantity=size,
        entry_price=Decimal(entry),
        break_even_price=Decimal(entry),
        mark_price=Decimal(mark),
        unrealized_pnl=size * (Decimal(mark) - Decimal(entry)),
        liquidation_price=None,
        isolated_margin=Decimal(0),
        initial_margin=Decimal(0),
        maintenance_margin=Decimal(0),
        leverage=20,
        margin_type=MarginType.ISOLATED,
        updated_ms=NOW_MS,
    )


def day(pnl: str = "0", *, opening_equity: str = "10000") -> DayResult:
    """A day whose whole result is realised."""
    return DayResult(
        opening_equity=Decimal(opening_equity),
        realized=Decimal(pnl),
        unrealized=Decimal(0),
        fees=Decimal(0),
        funding=Decimal(0),
    )


def risk_view(mark: str = "100000") -> RiskView:
    """A calm, funded, flat account; tests replace what they are about."""
    return RiskView(
        now_ms=NOW_MS,
        equity=Decimal(10000),
        high_water_mark=Decimal(10000),
        day=day(),
        marks={"BTCUSDT": MarkView(price=Decimal(mark), age_ms=0)},
        leverages={"BTCUSDT": 20},
        instruments={"BTCUSDT": btc_instrument()},
    )

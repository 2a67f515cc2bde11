"""The contracts the paper exchange trades, as data: one row adds another.

Knows the exchange's filters, brackets and fees and what character the synthetic market gives a
contract. Must not know orders, accounts or how `exchangeInfo` is spelt on the wire.

Source: binance-usdm reference §13.1-13.3; brackets and filters recorded from the live exchange
(2025-08 for the rows of XRP, LTC and BNB, 2026-10 for BTC and ETH). DOGE's filters and SOL's
are inferred from orders seen on the exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import LeverageBracket
from trader_cli.domain.instrument import Instrument

ORDER_TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
"""As `exchangeInfo` lists them, conditional types included although the Algo Service has them."""

TIME_IN_FORCE: Final = ("GTC", "IOC", "FOK", "GTX", "GTD")

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
_ONBOARD_MS: Final = 1_569_398_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One row: the rules, and the character of its synthetic market.

    Attributes:
        brackets: ordered by notional, first floor 0.
        maker_fee, taker_fee: fractions of notional.
        onboard_ms: listing time; there is no market before it.
        max_move_order_limit: how often one order may be modified.
        start_price: price at the synthetic market's birth, on the tick.
        volatility: annual standard deviation of the log price, fraction.
        daily_volume: base units a day.
        touch_quantity: typical size resting at the best price, base units.
    """

    instrument: Instrument
    brackets: tuple[LeverageBracket, ...]
    maker_fee: Decimal = Decimal("0.000200")
    taker_fee: Decimal = Decimal("0.000500")
    contract_type: str = "PERPETUAL"
    delivery_ms: int = PERPETUAL_DELIVERY_MS
    onboard_ms: int = _ONBOARD_MS
    underlying_type: str = "COIN"
    underlying_sub_type: tuple[str, ...]
    permission_sets: tuple[str, ...] = ("GRID", "COPY", "RPI")
    order_types: tuple[str, ...] = ORDER_TYPES
    time_in_force: tuple[str, ...] = TIME_IN_FORCE
    max_move_order_limit: int = 10_000
    maintenance_margin_percent: Decimal = Decimal("2.5000")
    required_margin_percent: Decimal = Decimal("5.0000")
    asset_precision: int = 8
    start_price: Decimal
    volatility: Decimal
    daily_volume: Decimal
    touch_quantity: Decimal

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    @property
    def pair(self) -> str:
        """The underlying pair; a perpetual's is its symbol."""
        return self.instrument.base_asset + self.instrument.quote_asset


def _contract(
    base: str,
    kind: str,
    *,
    prices: str,
    lots: str,
    market_quantity_max: str,
    notional_min: str,
    precisions: tuple[int, int],
    brackets: str,
    character: str,
    liquidation_fee: str = "0.012500",
) -> Contract:
    """Read one row of the table.

    Args:
        prices: tick size, least price, largest price.
        lots: quantity step (also the least quantity), largest quantity.
        brackets: rows of `leverage cap maintenance-percent`, separated by commas.
        character: start price, annual volatility, daily volume, quantity at the touch.
    """
    tick, price_min, price_max = _decimals(prices)
    step, quantity_max = _decimals(lots)
    start, volatility, volume, touch = _decimals(character)
    return Contract(
        instrument=Instrument(
            symbol=f"{base}USDT",
            base_asset=base,
            quote_asset="USDT",
            margin_asset="USDT",
            status="TRADING",
            tick_size=tick,
            price_min=price_min,
            price_max=price_max,
            quantity_step=step,
            quantity_min=step,
            quantity_max=quantity_max,
            market_quantity_step=step,
            market_quantity_min=step,
            market_quantity_max=Decimal(market_quantity_max),
            notional_min=Decimal(notional_min),
            percent_up=Decimal("1.0500"),
            percent_down=Decimal("0.9500"),
            liquidation_fee=Decimal(liquidation_fee),
            market_take_bound=Decimal("0.05"),
            trigger_protect=Decimal("0.0500"),
            price_precision=precisions[0],
            quantity_precision=precisions[1],
        ),
        brackets=_brackets(brackets),
        underlying_sub_type=(kind,),
        start_price=start,
        volatility=volatility,
        daily_volume=volume,
        touch_quantity=touch,
    )


def _decimals(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.split()]


def _brackets(text: str) -> tuple[LeverageBracket, ...]:
    """Read the steps; floors and `cum` follow from caps and rates.

    Source: binance-usdm reference §13.2, `cum_n = cum_{n-1} + floor_n * (MMR_n - MMR_{n-1})`.
    """
    brackets: list[LeverageBracket] = []
    floor = rate_before = amount = Decimal(0)
    for number, row in enumerate(text.split(","), start=1):
        leverage, cap, percent = _decimals(row)
        rate = percent / 100
        amount = (amount + floor * (rate - rate_before)).normalize() + 0
        brackets.append(
            LeverageBracket(
                bracket=number,
                leverage_max=int(leverage),
                notional_floor=floor,
                notional_cap=cap,
                maintenance_rate=rate,
                maintenance_amount=amount,
            )
        )
        floor, rate_before = cap, rate
    return tuple(brackets)


_ROWS: Final = (
    _contract(
        "BTC",
        "PoW",
        prices="0.10 556.80 4529764",
        lots="0.001 1000",
        market_quantity_max="120",
        notional_min="50",
        precisions=(2, 3),
        brackets="150 300000 0.4, 100 800000 0.5, 75 3000000 0.65, 50 12000000 1,"
        "25 70000000 2, 20 100000000 2.5, 10 230000000 5, 5 480000000 10, 4 600000000 12.5,"
        "3 800000000 15, 2 1200000000 25, 1 1800000000 50",
        character="95000.00 0.50 150000 3",
    ),
    _contract(
        "ETH",
        "Layer-1",
        prices="0.01 39.86 306177",
        lots="0.001 10000",
        market_quantity_max="2000",
        notional_min="20",
        precisions=(2, 3),
        brackets="150 300000 0.4, 100 800000 0.5, 75 3000000 0.65, 50 12000000 1,"
        "25 50000000 2, 20 65000000 2.5, 10 150000000 5, 5 320000000 10, 4 400000000 12.5,"
        "3 530000000 15, 2 800000000 25, 1 1200000000 50",
        character="3300.00 0.60 3500000 40",
    ),
    _contract(
        "SOL",
        "Layer-1",
        prices="0.0100 0.4200 6857.0000",
        lots="0.01 1000000",
        market_quantity_max="80000",
        notional_min="5",
        precisions=(4, 2),
        liquidation_fee="0.015000",
        brackets="100 50000 0.5, 75 400000 0.65, 50 1000000 1, 25 4000000 2, 20 8000000 2.5,"
        "10 40000000 5, 5 80000000 10, 4 100000000 12.5, 2 200000000 25, 1 400000000 50",
        character="190.0000 0.75 20000000 400",
    ),
    _contract(
        "XRP",
        "Payment",
        prices="0.0001 0.0143 100000",
        lots="0.1 10000000",
        market_quantity_max="2000000",
        notional_min="5",
        precisions=(4, 1),
        brackets="100 40000 0.5, 75 80000 0.6, 50 150000 1, 40 400000 1.25, 25 1000000 2,"
        "20 2000000 2.5, 10 10000000 5, 5 20000000 10, 4 25000000 12.5, 2 50000000 25,"
        "1 100000000 50",
        character="2.2000 0.75 500000000 20000",
    ),
    _contract(
        "LTC",
        "Payment",
        prices="0.01 3.61 100000",
        lots="0.001 10000",
        market_quantity_max="5000",
        notional_min="20",
        precisions=(2, 3),
        brackets="75 10000 0.5, 50 50000 1, 40 160000 1.5, 25 800000 2, 20 1600000 2.5,"
        "10 8000000 5, 5 16000000 10, 4 20000000 12.5, 2 40000000 25, 1 80000000 50",
        character="95.00 0.65 3000000 200",
    ),
    _contract(
        "BNB",
        "Layer-1",
        prices="0.010 6.600 100000",
        lots="0.01 100000",
        market_quantity_max="2000",
        notional_min="5",
        precisions=(3, 2),
        brackets="75 10000 0.5, 50 200000 0.6, 40 400000 1, 25 1500000 2, 20 3000000 2.5,"
        "10 15000000 5, 5 30000000 10, 4 37500000 12.5, 2 75000000 25, 1 150000000 50",
        character="850.000 0.50 400000 20",
    ),
    _contract(
        "DOGE",
        "Meme",
        prices="0.000010 0.002440 30",
        lots="1 50000000",
        market_quantity_max="30000000",
        notional_min="5",
        precisions=(6, 0),
        brackets="75 80000 0.65, 50 150000 1, 40 750000 1.25, 25 2000000 2, 20 4000000 2.5,"
        "10 20000000 5, 5 40000000 10, 4 50000000 12.5, 2 100000000 25, 1 200000000 50",
        character="0.170000 0.85 6000000000 300000",
    ),
)

CONTRACTS: Final[dict[str, Contract]] = {row.symbol: row for row in _ROWS}
"""Every contract by symbol, in the order `exchangeInfo` lists them."""

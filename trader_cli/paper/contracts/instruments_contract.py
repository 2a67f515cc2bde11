"""What one contract is made of, and how a row of the table is read.

Knows the exchange's filters, brackets and fees and what character the synthetic market gives a
contract. Must not know orders, accounts or how `exchangeInfo` is spelt on the wire.
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


def contract(
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
    price_band: str = "0.0500",
) -> Contract:
    """Read one row of the table.

    Args:
        prices: tick size, least price, largest price.
        lots: quantity step (also the least quantity), largest quantity.
        brackets: rows of `leverage cap maintenance-percent`, separated by commas.
        character: start price, annual volatility, daily volume, quantity at the touch.
        price_band: how far from mark an order's price may be, fraction (PERCENT_PRICE).
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
            percent_up=1 + Decimal(price_band),
            percent_down=1 - Decimal(price_band),
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

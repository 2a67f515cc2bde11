"""What the venue allows for one contract, and the only place that rounds.

Prices round in the operator's favour (a buy down, a sell up) and quantities down. Whoever
rounds compares and says so; what cannot be mended is refused with the filter, its value and
the nearest number that would pass.

Source: binance-usdm reference §13.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One contract's trading rules.

    Attributes:
        symbol: venue symbol, e.g. BTCUSDT.
        status: venue status; only TRADING accepts orders that open.
        tick_size: price step, 0 disables the rule.
        price_min, price_max: inclusive bounds of a price, 0 disables.
        quantity_step, quantity_min, quantity_max: LOT_SIZE, base units, inclusive.
        market_quantity_step, market_quantity_min, market_quantity_max: MARKET_LOT_SIZE.
        notional_min: least price times quantity in quote units; reduce-only orders are exempt.
        percent_up, percent_down: a buy may cost at most mark * up, a sell at least mark * down.
        liquidation_fee: fraction of notional, e.g. 0.0125.
        market_take_bound: how far from mark a market order may walk, fraction.
        trigger_protect: the priceProtect threshold, fraction.
        price_precision, quantity_precision: decimals of display, not of rounding.
        orders_max: open regular orders allowed for the symbol.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    status: str
    tick_size: Decimal
    price_min: Decimal
    price_max: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_step: Decimal
    market_quantity_min: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    percent_up: Decimal
    percent_down: Decimal
    liquidation_fee: Decimal
    market_take_bound: Decimal
    trigger_protect: Decimal
    price_precision: int
    quantity_precision: int
    orders_max: int = 200

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRefusal:
    """Why a number cannot be sent.

    Attributes:
        filter: the venue's filter name, e.g. MIN_NOTIONAL.
        limit: the filter's value that is broken.
        actual: the number that breaks it.
        nearest: the nearest number that would pass, None where none would.
        subject: what `actual` and `nearest` are: "price", "quantity" or "notional".
    """

    filter: str
    limit: Decimal
    actual: Decimal
    nearest: Decimal | None
    subject: str

    def __str__(self) -> str:
        hint = "" if self.nearest is None else f"; nearest valid {self.subject} is {self.nearest:f}"
        return (
            f"{self.filter}: {self.subject} {self.actual:f} breaks the limit {self.limit:f}{hint}"
        )


def round_down_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is at most `value`; step 0 leaves it alone."""
    return _to_step(value, step, ROUND_FLOOR)


def round_up_to_step(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is at least `value`; step 0 leaves it alone."""
    return _to_step(value, step, ROUND_CEILING)


def round_quantity_down(
    instrument: Instrument, quantity: Decimal, *, market: bool = False
) -> Decimal:
    """Return the largest sendable quantity that is at most `quantity` (it may be zero)."""
    step = instrument.market_quantity_step if market else instrument.quantity_step
    return round_down_to_step(quantity, step)


def round_price_in_favour(instrument: Instrument, price: Decimal, side: Side) -> Decimal:
    """Return the price on the tick that is no worse for the side: a buy rounds down, a sell up.

    It holds for triggers too: a SELL stop that rounds up fires earlier, never later.
    """
    if side is Side.BUY:
        return round_down_to_step(price, instrument.tick_size)
    return round_up_to_step(price, instrument.tick_size)


def check_price(instrument: Instrument, price: Decimal) -> FilterRefusal | None:
    """Return why a price on the tick is outside PRICE_FILTER, else None."""
    low = max(instrument.price_min, instrument.tick_size)
    if price < low:
        return _refusal("PRICE_FILTER", low, price, low, "price")
    if instrument.price_max > 0 and price > instrument.price_max:
        return _refusal("PRICE_FILTER", instrument.price_max, price, instrument.price_max, "price")
    nearest = round_down_to_step(price, instrument.tick_size)
    if nearest != price:
        return _refusal("PRICE_FILTER", instrument.tick_size, price, nearest, "price")
    return None


def check_quantity(
    instrument: Instrument, quantity: Decimal, *, market: bool = False
) -> FilterRefusal | None:
    """Return why a quantity is outside LOT_SIZE (or MARKET_LOT_SIZE), else None."""
    name = "MARKET_LOT_SIZE" if market else "LOT_SIZE"
    low = instrument.market_quantity_min if market else instrument.quantity_min
    high = instrument.market_quantity_max if market else instrument.quantity_max
    step = instrument.market_quantity_step if market else instrument.quantity_step
    if quantity < low or quantity <= 0:
        return _refusal(name, low, quantity, low, "quantity")
    if quantity > high:
        return _refusal(name, high, quantity, high, "quantity")
    nearest = round_down_to_step(quantity, step)
    if nearest != quantity:
        return _refusal(name, step, quantity, nearest, "quantity")
    return None


def check_notional(
    instrument: Instrument, price: Decimal, quantity: Decimal
) -> FilterRefusal | None:
    """Return why price times quantity is under MIN_NOTIONAL, else None; exits are exempt.

    `nearest` is the quantity that would pass at this price.
    """
    notional = price * quantity
    if notional >= instrument.notional_min:
        return None
    needed = round_up_to_step(instrument.notional_min / price, instrument.quantity_step)
    return FilterRefusal(
        filter="MIN_NOTIONAL",
        limit=instrument.notional_min,
        actual=notional,
        nearest=needed * price,
        subject="notional",
    )


def split_quantity(total: Decimal, part_max: Decimal) -> list[Decimal]:
    """Return parts of at most `part_max` that sum to `total`, largest first."""
    assert total >= 0, "a position's size"
    assert part_max > 0, "a filter's maximum"
    parts: list[Decimal] = []
    while total > ZERO:
        part = min(total, part_max)
        parts.append(part)
        total -= part
    return parts


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step == 0:
        return value
    return (value / step).to_integral_value(rounding=rounding) * step


def _refusal(
    name: str, limit: Decimal, actual: Decimal, nearest: Decimal, subject: str
) -> FilterRefusal:
    return FilterRefusal(filter=name, limit=limit, actual=actual, nearest=nearest, subject=subject)

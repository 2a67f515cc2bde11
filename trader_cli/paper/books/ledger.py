"""Money: what a fill does to a position, and the income ledger whose sum is the wallet.

Every movement is rounded to eight places once, when its row is written; the wallet is only ever
changed by such a row, so deposits plus income equal the wallet to the last digit. Pure.

Source: binance-usdm reference §8 (income), §13.3, §13.6, §13.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import PositionSide, Side

_BUY: Final = Side.BUY
_CENT: Final = Decimal("0.00000001")
_ENTRY_STEP: Final = Decimal("0.000000000001")


def to_ledger(amount: Decimal) -> Decimal:
    """Round to the ledger's eight places, half to even."""
    return amount.quantize(_CENT, ROUND_HALF_EVEN)


def decimal_places(value: Decimal) -> int:
    """Return how many decimals a finite number needs; trailing zeros do not count."""
    return len(format(value, "f").partition(".")[2].rstrip("0"))


@dataclass(slots=True, kw_only=True)
class PositionRecord:
    """A symbol's position on one side; `amount` is signed (short negative).

    Attributes:
        entry_price: average price of what is held, 0 when flat.
        fees: commissions paid for what is held, USDT; they move the break-even price.
        isolated_wallet: margin set aside for it, 0 in cross margin.
        realized_total: realised profit over its life, before fees.
    """

    symbol: str
    side: PositionSide
    amount: Decimal = ZERO
    entry_price: Decimal = ZERO
    fees: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    realized_total: Decimal = ZERO
    updated_ms: int = 0

    def unrealized(self, mark: Decimal) -> Decimal:
        """Return the profit at `mark`, USDT, negative = loss."""
        return self.amount * (mark - self.entry_price)

    @property
    def break_even_price(self) -> Decimal:
        """The price at which closing would repay the commissions already paid; 0 when flat."""
        if self.amount == 0:
            return ZERO
        return self.entry_price + self.fees / self.amount


@dataclass(slots=True)
class FillEffect:
    """What one fill did; never changed once made, but a named tuple takes twice as long to make.

    Attributes:
        realized: profit of the closed part, rounded; 0 if nothing was closed.
        closed, opened: base units, both positive; both non-zero when the fill turned the position.
        released: isolated margin set free by the closed part, before profit and loss.
    """

    realized: Decimal
    closed: Decimal
    opened: Decimal
    released: Decimal


def apply_fill(
    position: PositionRecord, side: Side, quantity: Decimal, price: Decimal
) -> FillEffect:
    """Change `position` by a fill; isolated margin of the opened part is the caller's to add."""
    amount = position.amount
    buys = side is _BUY
    signed = quantity if buys else -quantity
    if not amount or (amount > ZERO) is buys:
        _open(position, signed, price)
        return FillEffect(ZERO, ZERO, quantity, ZERO)
    held = abs(amount)
    closed = min(held, quantity)
    profit = (price - position.entry_price) * (closed if amount > 0 else -closed)
    realized = to_ledger(profit)
    position.realized_total += realized
    if closed == held:
        released = position.isolated_wallet
        position.amount = position.entry_price = position.fees = position.isolated_wallet = ZERO
    else:
        released = to_ledger(position.isolated_wallet * closed / held)
        position.fees -= position.fees * closed / held
        position.amount = amount + signed
        position.isolated_wallet -= released
    opened = quantity - closed
    if opened > ZERO:
        _open(position, opened if buys else -opened, price)
    return FillEffect(realized, closed, opened, released)


def _open(position: PositionRecord, signed: Decimal, price: Decimal) -> None:
    amount, entry = position.amount, position.entry_price
    total = amount + signed
    if not amount:
        position.entry_price = price
    elif price != entry:
        cost = amount * entry + signed * price
        position.entry_price = (cost / total).quantize(_ENTRY_STEP, ROUND_HALF_EVEN)
    position.amount = total


def settle_isolated(position: PositionRecord, effect: FillEffect) -> Decimal:
    """Return what an isolated fill's closed part pays to the cross wallet, USDT.

    Profit goes to the cross wallet with the margin set free. A loss is taken from that margin,
    then from what the position still holds; only what neither covers comes out negative.
    """
    payout = effect.released + effect.realized
    if payout >= 0 or position.isolated_wallet == 0:
        return payout
    taken = min(position.isolated_wallet, -payout)
    position.isolated_wallet -= taken
    return payout + taken


def commission(notional: Decimal, rate: Decimal) -> Decimal:
    """Return the fee of a fill, USDT, positive = paid."""
    return to_ledger(notional * rate)


def funding_payment(amount: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """Return what a position receives at a funding time, USDT; longs pay while rate > 0."""
    return to_ledger(-amount * mark * rate)

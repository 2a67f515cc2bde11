"""Inside which prices nothing can happen to an account: most ticks then cost a few comparisons.

A band is narrower than it need be, never wider: a tick inside it fills nothing, fires nothing and
brings no margin call nearer than the band already allows for. A tick outside it proves nothing and
must be looked at the long way. Pure; a band holds until the account's next change.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import ONE, ZERO
from trader_cli.domain.terms import Side, WorkingType
from trader_cli.paper.books.account import Account, SymbolAccount
from trader_cli.paper.markets.market import Band

NEVER: Final = Decimal("Infinity")
_FLAT: Final = (-NEVER, NEVER)
_PATIENCE: Final = 4

Marks = dict[SymbolAccount, tuple[Decimal, Decimal]]


class Lookout:
    """The bands of one stretch of ticks: made where they pay, given up when they do not hold.

    Making one costs as much as looking at a few ticks the long way; so a symbol's first ticks,
    and the first after a band broke, are looked at.

    Attributes:
        bands: those that hold now, by symbol.
    """

    def __init__(self, account: Account, ratio: Decimal) -> None:
        self._account = account
        self._ratio = ratio
        self.bands: dict[str, Band] = {}
        self._waits: dict[str, int] = {}
        self._marks: Marks | None = None

    def forget(self) -> None:
        """Give up every band: the account has changed."""
        self.bands.clear()
        self._waits.clear()
        self._marks = None

    def looked_at(self, of: SymbolAccount) -> None:
        """Note that the symbol's present tick was looked at and changed nothing but prices."""
        symbol = of.symbol
        if self.bands.pop(symbol, None) is not None:
            self._waits[symbol] = _PATIENCE
        if self._marks is not None and not _inside(of.mark, self._marks.get(of, _FLAT)):
            self.forget()
        wait = self._waits.get(symbol, _PATIENCE)
        if wait:
            self._waits[symbol] = wait - 1
            return
        if self._marks is None:
            self._marks = calm_marks(self._account, self._ratio)
        self.bands[symbol] = band_of(of, self._marks)


def band_of(of: SymbolAccount, marks: Marks) -> Band:
    """Return the band of a symbol.

    Args:
        marks: what `calm_marks` says of the whole account.
    """
    bid, ask = of.book.best(Side.BUY), of.book.best(Side.SELL)
    quote_floor = -NEVER if bid is None else bid
    quote_ceiling = NEVER if ask is None else ask
    last_floor, last_ceiling = of.triggers.bounds(WorkingType.CONTRACT_PRICE)
    mark_floor, mark_ceiling = of.triggers.bounds(WorkingType.MARK_PRICE)
    calm_floor, calm_ceiling = marks.get(of, _FLAT)
    return Band(
        ask_floor=quote_floor,
        bid_ceiling=quote_ceiling,
        last_floor=max(quote_floor, last_floor),
        last_ceiling=min(quote_ceiling, last_ceiling),
        mark_floor=max(mark_floor, calm_floor),
        mark_ceiling=min(mark_ceiling, calm_ceiling),
    )


def calm_marks(account: Account, ratio: Decimal) -> Marks:
    """Return how far each held symbol's mark may go while no margin is nearly used up.

    A cross account's slack is shared out evenly: while every mark stays within its share, no
    combination of them uses up the whole.

    Args:
        ratio: how many times the maintenance margin counts as nearly used up, at least 1.
    """
    marks: Marks = {}
    crossed: list[SymbolAccount] = []
    for of in account.symbols.values():
        held = of.held()
        if not held:
            continue
        if of.isolated:
            slack = min(
                p.isolated_wallet + p.unrealized(of.mark) - ratio * of.maintenance_of(p)
                for p in held
            )
            marks[of] = _reach(of, slack, ratio)
        else:
            crossed.append(of)
    if crossed:
        share = (account.cross_balance - ratio * account.maintenance) / len(crossed)
        for of in crossed:
            marks[of] = _reach(of, share, ratio)
    return marks


def _inside(price: Decimal, bounds: tuple[Decimal, Decimal]) -> bool:
    return bounds[0] < price < bounds[1]


def _reach(of: SymbolAccount, slack: Decimal, ratio: Decimal) -> tuple[Decimal, Decimal]:
    """Return between which marks a symbol uses less than `slack`, USDT; none if there is none.

    A move costs at most the position's size times the move, and as much again times the largest
    maintenance rate for the margin that a larger notional needs.
    """
    if slack <= ZERO:
        return (NEVER, -NEVER)
    size = sum((abs(position.amount) for position in of.positions.values()), ZERO)
    dearest = of.contract.brackets[-1].maintenance_rate
    distance = slack / (size * (ONE + ratio * dearest))
    return (of.mark - distance, of.mark + distance)

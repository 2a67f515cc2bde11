"""What a position has earned since it was opened, from the exchange's executions and its ledger.

Pure. USDT is added up; a fee paid in another asset is named beside it, never converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Fill, IncomeRow, Position
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import IncomeType
from trader_cli.trading.positions.position_view import liquidation_distance_pct
from trader_cli.trading.risk.other_assets import MARGIN_ASSET, is_margin


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPnl:
    """The result of a symbol (None: of the account) since 00:00 UTC, USDT, signed.

    Attributes:
        other_assets: booked in assets other than USDT, signed, by asset.
    """

    symbol: str | None
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    funding: Decimal
    other_assets: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return self.realized + self.unrealized + self.fees + self.funding


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionPnl:
    """The result of one position since it was opened, USDT, signed: negative fees were paid.

    Attributes:
        opened_ms: exchange time of its first execution; None where that is further back than the
            exchange's executions reach, and realised, fees and funding speak of what is known.
        fees_other: paid in other assets, signed, by asset.
    """

    position: Position
    opened_ms: int | None
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    funding: Decimal
    fees_other: Mapping[str, Decimal]

    @property
    def total(self) -> Decimal:
        return self.realized + self.unrealized + self.fees + self.funding

    @property
    def liquidation_distance_pct(self) -> Decimal | None:
        """How far mark is from liquidation, percent of mark."""
        return liquidation_distance_pct(self.position)


def fills_of(position: Position, fills: Sequence[Fill]) -> tuple[list[Fill], bool]:
    """Return the executions since the position was last flat, oldest first, and if that is all."""
    rows = sorted(
        (row for row in fills if row.position_side is position.position_side),
        key=lambda row: (row.time_ms, row.trade_id),
        reverse=True,
    )
    left = position.quantity
    found: list[Fill] = []
    for row in rows:
        found.append(row)
        left -= row.quantity * row.side.sign
        # An execution that turned the position around belongs to both; it began this one.
        if left * position.quantity <= 0:
            return found[::-1], True
    return found[::-1], False


def position_pnl(
    position: Position, fills: Sequence[Fill], income: Iterable[IncomeRow]
) -> PositionPnl:
    """Return the position's result; `income` may reach further back than the position."""
    own, whole = fills_of(position, fills)
    began_ms = own[0].time_ms if own else position.updated_ms
    funding = sum(
        (
            row.amount
            for row in income
            if row.symbol == position.symbol
            and row.income_type == IncomeType.FUNDING_FEE
            and row.time_ms >= began_ms
        ),
        ZERO,
    )
    fees: dict[str, Decimal] = {}
    for row in own:
        fees[row.commission_asset] = fees.get(row.commission_asset, ZERO) - row.commission
    return PositionPnl(
        position=position,
        opened_ms=began_ms if whole else None,
        realized=sum((row.realized_pnl for row in own), ZERO),
        unrealized=position.unrealized_pnl,
        fees=fees.pop(MARGIN_ASSET, ZERO),
        funding=funding,
        fees_other={asset: paid for asset, paid in fees.items() if paid},
    )


def day_pnl(
    symbol: str | None, positions: Iterable[Position], income: Iterable[IncomeRow]
) -> CurrentPnl:
    """Return the day's result from the ledger's rows of the day and what is open at mark."""
    rows = [row for row in income if symbol in (None, row.symbol)]

    def booked(*kinds: IncomeType) -> Decimal:
        return sum(
            (row.amount for row in rows if row.income_type in kinds and is_margin(row.asset)), ZERO
        )

    others: dict[str, Decimal] = {}
    for row in rows:
        if row.income_type in _RESULTS and not is_margin(row.asset):
            others[row.asset] = others.get(row.asset, ZERO) + row.amount
    return CurrentPnl(
        symbol=symbol,
        realized=booked(IncomeType.REALIZED_PNL, IncomeType.INSURANCE_CLEAR),
        unrealized=sum(
            (row.unrealized_pnl for row in positions if symbol in (None, row.symbol)), ZERO
        ),
        fees=booked(IncomeType.COMMISSION),
        funding=booked(IncomeType.FUNDING_FEE),
        other_assets=others,
    )


_RESULTS: Final = frozenset(IncomeType) - {IncomeType.TRANSFER}

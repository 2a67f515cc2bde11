"""The words of risk: limits, what a check may look at, and its verdicts.

Values only; the rules that use them are in `risk_manager`. Money is USDT, notional is positive
and before leverage, percentages are plain (5 is 5 %).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Literal

from trader_cli.domain.account import Position
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.terms import PositionSide, Side
from trader_cli.errors import Halted, RefusedByRisk


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """The operator's limits; every bound is inclusive: reaching a size limit is still allowed.

    Attributes:
        max_position_usd: largest notional of one position, own resting entries included.
        max_total_exposure_usd: largest notional of all positions; None takes the position limit.
        max_leverage: largest leverage in effect for an entry.
        max_daily_loss_usd, max_daily_loss_pct: the tighter one binds; percent of opening equity.
        emergency_stop_pct: fall of equity from its high-water mark that kills everything.
        price_band_pct: how much worse than mark an entry's price may be.
        stale_price_s: oldest mark price an entry may be judged by.
        assumed_stop_pct: loss assumed for an order without a stop, percent of notional.
        on_day_limit: "close" also closes the engine's own positions, "stop" only stops entries.
        max_loss_per_trade_usd: loss at the stop; None is off.
        cool_down_after_loss_s: pause of entries after a losing exit; None is off.
        max_orders_per_minute: entries sent per minute; None is off.
    """

    max_position_usd: Decimal = Decimal(1000)
    max_total_exposure_usd: Decimal | None = None
    max_leverage: int = 20
    max_daily_loss_usd: Decimal = Decimal(50)
    max_daily_loss_pct: Decimal = Decimal(5)
    emergency_stop_pct: Decimal = Decimal(10)
    price_band_pct: Decimal = Decimal(5)
    stale_price_s: Decimal = Decimal(10)
    assumed_stop_pct: Decimal = Decimal(2)
    on_day_limit: Literal["close", "stop"] = "close"
    max_loss_per_trade_usd: Decimal | None = None
    cool_down_after_loss_s: Decimal | None = None
    max_orders_per_minute: int | None = None

    @property
    def total_exposure_usd(self) -> Decimal:
        """The limit on all positions together, as it applies."""
        if self.max_total_exposure_usd is None:
            return self.max_position_usd
        return self.max_total_exposure_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingEntry:
    """One of our own resting orders that can raise exposure (conditional ones too).

    Attributes:
        quantity: what is not yet filled, positive.
        price: its limit or trigger price; None is judged at mark.
        client_order_id: empty for an order that has none yet.
    """

    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal | None
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkView:
    """A mark price and how old it was when the view was made."""

    price: Decimal
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """The UTC day so far.

    Attributes:
        opening_equity: margin balance at 00:00 UTC, corrected for transfers since.
        realized: signed, before commission.
        unrealized: of the positions now open, signed.
        opening_unrealized: what `unrealized` was at 00:00 UTC, so that yesterday's is not today's.
        fees: signed, negative is paid.
        funding: signed, negative is paid.
    """

    opening_equity: Decimal
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    funding: Decimal
    opening_unrealized: Decimal = Decimal(0)

    @property
    def pnl(self) -> Decimal:
        """The day's result, transfers excluded; negative is a loss."""
        change = self.unrealized - self.opening_unrealized
        return self.realized + change + self.fees + self.funding


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltView:
    """A halt in force; `symbol` None halts the whole account."""

    reason: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBlock:
    """Something outside the limits that forbids entries for now: the live gate, a disagreement
    between the two sources of equity, an unknown order.

    Attributes:
        rule: stable word for machines.
        symbol: None blocks every symbol.
        advice: what ends it.
    """

    rule: str
    message: str
    symbol: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """Everything a check may look at, read together.

    Attributes:
        now_ms: UTC epoch milliseconds of the check.
        equity: margin balance: wallet plus unrealised.
        high_water_mark: largest equity since the last re-base, transfers neutral.
        positions: all that are not flat, foreign ones included: they are exposure too.
        resting: our own entries that still rest.
        marks: by symbol; an entry in a symbol without one is refused as stale.
        leverages: in effect at the venue, by symbol; without one an entry is refused.
        instruments: by symbol, where known; used for status and minimum notional.
        halts: in force now.
        blocks: other reasons why nothing may open.
        last_loss_ms: when the last losing exit filled, None if there was none.
        entries_last_minute: entries sent in the last 60 seconds.
        began_ms: local time at which the reading of orders and positions began; what the journal
            knows since counts besides. None: nothing does.
        began_seq: number of the journal's newest row at that moment.
        lag_ms: how far the picture may be behind the exchange, 0 for a reading.
        seen: client ids of own orders that the picture has taken in, resting or over.
    """

    now_ms: int
    equity: Decimal
    high_water_mark: Decimal
    day: DayResult
    positions: tuple[Position, ...] = ()
    resting: tuple[RestingEntry, ...] = ()
    marks: Mapping[str, MarkView] = field(default_factory=dict)
    leverages: Mapping[str, int] = field(default_factory=dict)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    halts: tuple[HaltView, ...] = ()
    blocks: tuple[EntryBlock, ...] = ()
    last_loss_ms: int | None = None
    entries_last_minute: int = 0
    began_ms: int | None = None
    began_seq: int = 0
    lag_ms: int = 0
    seen: frozenset[str] = frozenset()

    def halt_for(self, symbol: str) -> HaltView | None:
        """Return the halt that binds a symbol, the account's first."""
        account = next((halt for halt in self.halts if halt.symbol is None), None)
        return account or next((halt for halt in self.halts if halt.symbol == symbol), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The order may be sent, as it stands in `request`, which may differ from the one asked.

    Attributes:
        notes: sentences on what was changed, for the operator.
    """

    request: OrderRequest
    notes: tuple[str, ...] = ()


HALTED_RULE = "halted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why an order may not be sent.

    Attributes:
        rule: stable word for machines; a limit's own name where a limit forbids it.
        limit, actual: both numbers, None where the rule has none.
        message: one sentence with rule, limit and actual number.
    """

    rule: str
    limit: Decimal | None
    actual: Decimal | None
    message: str
    advice: str | None = None

    def error(self) -> Halted | RefusedByRisk:
        """Return the error a command ends with."""
        if self.rule == HALTED_RULE:
            return Halted(self.message, code=self.rule, advice=self.advice)
        return RefusedByRisk(self.message, code=self.rule, advice=self.advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayVerdict:
    """The day's loss against the tighter of the two limits.

    Attributes:
        pnl: signed result of the day.
        limit_usd: the USD limit as configured.
        limit_pct_usd: the percent limit in USD of the opening equity.
        rule: the limit that is tighter: `max_daily_loss_usd` or `max_daily_loss_pct`.
        used_pct: loss in percent of the tighter limit, 0 in profit.
        reached: entries stop.
        close_positions: the engine's own positions are to be closed as well.
    """

    pnl: Decimal
    limit_usd: Decimal
    limit_pct_usd: Decimal
    rule: str
    used_pct: Decimal
    reached: bool
    close_positions: bool

    @property
    def limit(self) -> Decimal:
        """The loss in USD at which the day ends."""
        return min(self.limit_usd, self.limit_pct_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """Equity fell too far from its high-water mark: kill everything."""

    equity: Decimal
    high_water_mark: Decimal
    drawdown_pct: Decimal
    limit_pct: Decimal
    message: str


@unique
class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What the operator should be told; the caller delivers it."""

    severity: Severity
    message: str

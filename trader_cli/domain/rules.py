"""What the operator decided about entries, others' positions and the bridge: plain values.

The defaults are the documented ones of `config.toml.example`; ranges are checked where the
configuration is read. Limits that can refuse an order are not here: they belong to the risk module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from trader_cli.domain.terms import MarginType

_MS: Final = 1_000


@unique
class Fallback(StrEnum):
    """What an entry does when its deadline passes with something still unfilled."""

    TAKER = "taker"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPolicy:
    """How a maker-first entry works and when it gives up.

    Attributes:
        deadline_s: seconds of post-only trying before the fallback.
        max_chase_bps: how far the touch may run from where it was at the start, in basis points,
            before the chase ends early.
        fallback: TAKER sends the remainder as one bounded immediate order, NONE leaves it.
        taker_slippage_bps: worst price of the fallback, in basis points from the touch.
        protect_within_s: a position still without a stop after this is closed at market.
    """

    deadline_s: int = 10
    max_chase_bps: Decimal = Decimal(20)
    fallback: Fallback = Fallback.TAKER
    taker_slippage_bps: Decimal = Decimal(10)
    protect_within_s: int = 5

    @property
    def deadline_ms(self) -> int:
        return self.deadline_s * _MS

    @property
    def protect_within_ms(self) -> int:
        return self.protect_within_s * _MS


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDefaults:
    """What a person's orders get when the command does not say.

    Attributes:
        default_stop_roi_pct: stop of `position open` as percent of margin lost; None means that a
            stop, or the word that none is wanted, has to be given.
        default_take_profit_roi_pct: likewise for the target; None sets no target.
    """

    default_stop_roi_pct: Decimal | None = None
    default_take_profit_roi_pct: Decimal | None = None


@unique
class ForeignPolicy(StrEnum):
    """What is done about a position or order of a symbol that is not ours."""

    IGNORE = "ignore"
    ALERT = "alert"  # said, and nothing else
    PROTECT = "protect"  # a naked position gets a stop
    ADOPT = "adopt"  # the position becomes ours, with a stop
    REFUSE = "refuse"  # nothing of ours opens beside it, and no engine starts


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRules:
    """The operator's policies.

    Attributes:
        default: for every symbol that `symbols` does not name.
    """

    default: ForeignPolicy = ForeignPolicy.ALERT
    symbols: Mapping[str, ForeignPolicy] = field(default_factory=dict)

    def policy(self, symbol: str) -> ForeignPolicy:
        """Return what holds for `symbol`."""
        return self.symbols.get(symbol, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRules:
    """How decisions of the advisors' bridge files are believed, sized and ended.

    Attributes:
        symbol: traded where a section names no symbol.
        symbols: the only symbols a run may trade; holds `symbol`.
        max_age_s: a decision older than this is not tradable.
        future_tolerance_s: a decision dated further ahead than this is not tradable.
        confirm_ms: how much later a second read must show the same command and timestamp.
        cool_down_s: no bridge entry on a symbol for so long after its last exit.
        flip_window_s: at most one flip of a symbol in this time.
        feedback_max_age_s: how old the feedback in the bridge files may get.
        time_zone: IANA name in which naive timestamps are read; empty is the machine's own.
        priority: whose decision wins on one symbol, highest first; unnamed advisors rank last.
        capital_usd: what sizes are percentages of, USDT; None is the account's equity.
        default_size_pct: percent of capital used as margin where a decision does not say.
        default_stop_roi_pct, default_take_profit_roi_pct: percent of margin, likewise.
        default_leverage: likewise; None is the highest the limits allow.
        breaker_losses: own bridge trades lost in a row that stop entries for the day.
        margin_type: what symbols the engine trades are set to.
        honour_max_holding: close a position when its decision's holding time is over.
    """

    symbol: str = "BTCUSDT"
    symbols: tuple[str, ...] = ("BTCUSDT",)
    max_age_s: int = 120
    future_tolerance_s: int = 5
    confirm_ms: int = 100
    cool_down_s: int = 180
    flip_window_s: int = 120
    feedback_max_age_s: int = 2
    time_zone: str = ""
    priority: tuple[str, ...] = ("wolf", "dragon", "dragon2", "lion", "fish")
    capital_usd: Decimal | None = None
    default_size_pct: Decimal = Decimal(100)
    default_stop_roi_pct: Decimal = Decimal("3.5")
    default_take_profit_roi_pct: Decimal = Decimal(8)
    default_leverage: int | None = None
    breaker_losses: int = 5
    margin_type: MarginType = MarginType.ISOLATED
    honour_max_holding: bool = True

    @property
    def max_age_ms(self) -> int:
        return self.max_age_s * _MS

    @property
    def future_tolerance_ms(self) -> int:
        return self.future_tolerance_s * _MS

    @property
    def cool_down_ms(self) -> int:
        return self.cool_down_s * _MS

    @property
    def flip_window_ms(self) -> int:
        return self.flip_window_s * _MS

    @property
    def feedback_max_age_ms(self) -> int:
        return self.feedback_max_age_s * _MS

"""What the advisors read about their trades, in every spelling their programs look for.

Knows which keys of `<x>_to_ai` and `feedback_loop` each advisor reads, and which shapes put it to
sleep: a number written as text or a null in the wrong place costs Wolf a minute of silence, and a
time with a zone silently disables its exits. It must not know files (`feedback_file`), nor how a
number came about. Everything is merged: other programs keep market data in the same sections, and
`ai_to_*` belongs to the advisor alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from trader_cli.bridge.local_time import format_local_time
from trader_cli.domain.numbers import HUNDRED, ZERO
from trader_cli.domain.terms import Direction

_EXACT_DIGITS: Final = 15
"""A float holds this many digits; beyond, there are no decimal places to round to."""

_ALERT_LEVELS: Final = (
    (Decimal(-50), "CRITICAL"),
    (Decimal(-20), "HIGH"),
    (Decimal(-5), "MEDIUM"),
)
"""ROI at or below which the advisors' own monitor raises each level; the deepest first."""


@unique
class Source(StrEnum):
    """Where the numbers come from, as the advisors' programs spell it."""

    PAPER = "PAPER_SIMULATION"
    TESTNET = "TESTNET_REAL"
    LIVE = "BINANCE_LIVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPlace:
    """Where an advisor looks for feedback: a file's name and the section within it."""

    file: str
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPosition:
    """The open position an advisor is told about.

    Attributes:
        entry_price, current_price: USDT.
        leverage: in effect at the exchange.
        unrealized_pnl: USDT, negative is a loss.
        roi_pct: unrealized profit in percent of margin.
        entered_ms: UTC epoch milliseconds of the first fill.
    """

    direction: Direction
    entry_price: Decimal
    current_price: Decimal
    leverage: int
    unrealized_pnl: Decimal
    roi_pct: Decimal
    entered_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeResult:
    """One closed trade.

    Attributes:
        pnl_usdt: after fees, USDT, negative is a loss.
        roi_pct: `pnl_usdt` in percent of margin.
        holding_seconds: from first fill to flat.
        exit_reason: as the advisors' users know it, e.g. `STOP_LOSS`, `AI CUT_LOSS`.
        exited_ms: UTC epoch milliseconds.
    """

    pnl_usdt: Decimal
    roi_pct: Decimal
    direction: Direction
    holding_seconds: Decimal
    exit_reason: str
    exited_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The record of an advisor's closed trades. A result of zero ends both streaks.

    Attributes:
        total_pnl, best_pnl, worst_pnl: USDT, after fees.
        loss_streak, win_streak: trades in a row up to the last one.
        holding_seconds_sum: over all trades.
    """

    total_trades: int = 0
    wins: int = 0
    total_pnl: Decimal = ZERO
    loss_streak: int = 0
    win_streak: int = 0
    best_pnl: Decimal | None = None
    worst_pnl: Decimal | None = None
    holding_seconds_sum: Decimal = ZERO
    last: TradeResult | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """All that one advisor is told at one moment.

    Attributes:
        position: None when flat.
        balance: the account's wallet balance, USDT.
    """

    source: Source
    position: FeedbackPosition | None
    balance: Decimal
    tally: Tally


def update(tally: Tally, trade: TradeResult) -> Tally:
    """Return the tally with one more trade."""
    won, lost = trade.pnl_usdt > 0, trade.pnl_usdt < 0
    best, worst = tally.best_pnl, tally.worst_pnl
    return Tally(
        total_trades=tally.total_trades + 1,
        wins=tally.wins + won,
        total_pnl=tally.total_pnl + trade.pnl_usdt,
        loss_streak=tally.loss_streak + 1 if lost else 0,
        win_streak=tally.win_streak + 1 if won else 0,
        best_pnl=trade.pnl_usdt if best is None else max(best, trade.pnl_usdt),
        worst_pnl=trade.pnl_usdt if worst is None else min(worst, trade.pnl_usdt),
        holding_seconds_sum=tally.holding_seconds_sum + trade.holding_seconds,
        last=trade,
    )


def place_of(file: str, section: str) -> FeedbackPlace:
    """Return where the advisor that decided in `file` under `section` looks for its feedback.

    It is the mirrored key of the same file, for Lion too, which uses Wolf's key names in a file of
    its own. Dragon2 reads what Dragon is told: of those two, tell about the one in position.
    """
    if section == "ai_to_dragon2":
        return FeedbackPlace(file="ai_dragon_bridge.json", section="dragon_to_ai")
    return FeedbackPlace(file=file, section=f"{section.removeprefix('ai_to_')}_to_ai")


def merge_feedback(
    document: Mapping[str, object],
    feedback: Feedback,
    *,
    section: str,
    zone: tzinfo,
    now_ms: int,
) -> dict[str, object]:
    """Return `document` with `feedback` merged in; every key not mentioned in it stays.

    Args:
        section: the key the advisor reads, from `place_of`.
        zone: the advisors' own, for naive local times.
        now_ms: UTC epoch milliseconds, written as the moment of this feedback.

    Raises:
        ValueError: `section` is one that only the advisor writes.
    """
    if section.startswith("ai_to_"):
        raise ValueError(f"{section} belongs to the advisor")
    moment = format_local_time(now_ms, zone)
    merged = dict(document)
    merged[section] = _section(_object(document.get(section)), feedback, zone, now_ms)
    merged["feedback_loop"] = {
        **_object(document.get("feedback_loop")),
        **_feedback_loop(feedback.tally, zone),
    }
    merged["last_updated"] = moment
    return merged


def _object(value: object) -> dict[str, object]:
    """Return the object that is there; null and other misfits hurt the reader and are replaced."""
    return dict(value) if isinstance(value, dict) else {}


def _section(
    present: dict[str, object], feedback: Feedback, zone: tzinfo, now_ms: int
) -> dict[str, object]:
    moment = format_local_time(now_ms, zone)
    position = feedback.position
    # Left out when flat: null stops one of the advisors' readers, an absent key none.
    present.pop("position", None)
    present |= {
        "status": "IDLE" if position is None else "IN_POSITION",
        "source": str(feedback.source),
        "timestamp": moment,
        "entry_price": 0,  # Dragon prints it as the current price; 0 when flat is what it knows
        "current_pnl_usdt": 0,
        "current_pnl_pct": 0,
        "holding_seconds": 0,
    }
    if position is not None:
        present |= {
            "position": _position(position, zone)
            | {"unrealized_pnl_pct": _number(position.roi_pct)},
            "entry_price": _number(position.entry_price),
            "current_pnl_usdt": _number(position.unrealized_pnl),
            "current_pnl_pct": _number(position.roi_pct),
            "holding_seconds": max(0, now_ms - position.entered_ms) // 1000,
        }
    present["testnet_trading"] = _account_view(feedback, zone, moment)
    present["websocket_realtime"] = _realtime_view(position, zone, moment)
    return present


def _position(position: FeedbackPosition, zone: tzinfo) -> dict[str, object]:
    return {
        "direction": str(position.direction),
        "entry_price": _number(position.entry_price),
        "current_price": _number(position.current_price),
        "leverage": position.leverage,
        "entry_time": format_local_time(position.entered_ms, zone),
    }


def _account_view(feedback: Feedback, zone: tzinfo, moment: str) -> dict[str, object]:
    """Wolf reads the flat keys and, for the holding time alone, the nested position."""
    position, tally = feedback.position, feedback.tally
    view: dict[str, object] = {
        "source": str(feedback.source),
        "timestamp": moment,
        "has_position": position is not None,
        "account": {
            "balance": _number(feedback.balance),
            "total_trades": tally.total_trades,
            "total_pnl": _number(tally.total_pnl),
        },
    }
    if position is not None:
        pnl, roi = _number(position.unrealized_pnl), _number(position.roi_pct)
        view |= {
            "direction": str(position.direction),
            "entry_price": _number(position.entry_price),
            "leverage": position.leverage,
            "unrealized_pnl": pnl,
            "pnl_pct": roi,
            "position": _position(position, zone)
            | {"unrealized_pnl": pnl, "unrealized_pnl_pct": roi},
        }
    return view


def _realtime_view(
    position: FeedbackPosition | None, zone: tzinfo, moment: str
) -> dict[str, object]:
    """Wolf's first choice for "am I in a position"; it looks at no age, so flat must be said."""
    view: dict[str, object] = {
        "source": "WEBSOCKET_REALTIME",
        "timestamp": moment,
        "has_position": position is not None,
    }
    if position is None:
        return view | {"alert": {"level": "NONE", "message": "no position"}}
    level = _alert_level(position.roi_pct)
    return view | {
        "position": _position(position, zone)
        | {"pnl_usdt": _number(position.unrealized_pnl), "pnl_pct": _number(position.roi_pct)},
        "alert": {"level": level, "message": f"ROI {position.roi_pct:.2f} %"},
    }


def _alert_level(roi_pct: Decimal) -> str:
    for at_most, level in _ALERT_LEVELS:
        if roi_pct <= at_most:
            return level
    if roi_pct >= 15:
        return "TAKE_PROFIT"
    return "PROFIT" if roi_pct >= 5 else "NORMAL"


def _feedback_loop(tally: Tally, zone: tzinfo) -> dict[str, object]:
    """Both spellings of each: one advisor's circuit breaker reads one, the next the other."""
    trades = tally.total_trades
    loop: dict[str, object] = {
        "total_trades": trades,
        "wins": tally.wins,
        "total_wins": tally.wins,
        "win_rate": _number(HUNDRED * tally.wins / trades, places=2) if trades else 0,
        "total_pnl": _number(tally.total_pnl),
        "failure_streak": tally.loss_streak,
        "consecutive_losses": tally.loss_streak,
        "success_streak": tally.win_streak,
        "consecutive_wins": tally.win_streak,
        "best_trade_pnl": _number(tally.best_pnl or ZERO),
        "worst_trade_pnl": _number(tally.worst_pnl or ZERO),
        "avg_holding_time": _number(tally.holding_seconds_sum / trades, places=1) if trades else 0,
        "last_trade_result": {},
    }
    if tally.last is not None:
        loop["last_trade_result"] = {
            "pnl_usdt": _number(tally.last.pnl_usdt),
            "roi": _number(tally.last.roi_pct),
            "direction": str(tally.last.direction),
            "holding_seconds": _number(tally.last.holding_seconds, places=1),
            "exit_reason": tally.last.exit_reason,
            "exit_time": format_local_time(tally.last.exited_ms, zone),
        }
    return loop


def _number(value: Decimal, *, places: int = 8) -> int | float:
    """Return a JSON number: the advisors' programs stop at a number written as text."""
    assert value.is_finite(), "checked where the number entered the program"
    if value.adjusted() >= _EXACT_DIGITS:
        return float(value)
    rounded = round(value, places)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)

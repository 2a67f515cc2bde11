"""What a new run knows of the runs before it, read from the journal.

A restart must neither repeat a decision nor forget a position: used decisions, cool-downs, the
loss breaker, each advisor's record and whose decision opened what is still open are all here. It
reads rows and nothing else; what the exchange says of a position is compared by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.bridge.feedback import Tally, TradeResult, update
from trader_cli.domain.numbers import to_text
from trader_cli.domain.rules import BridgeRules
from trader_cli.domain.signal import Command, Signal
from trader_cli.domain.terms import Direction
from trader_cli.engine.adopted import ADOPTED, Adoption, adoption_of, signal_of
from trader_cli.engine.state import EngineState
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.journal import Journal
from trader_cli.journal.reading import JournalRow

DECISION: Final = "decision"
REFUSAL: Final = "refusal"
TRADE: Final = "trade"
RESUME: Final = "resumed"
ACCOUNT_NEW: Final = "account_new"
"""Kind of the row that says that the account began anew: what was open before is nobody's."""

_DAY_MS: Final = 86_400_000
_USED_KEPT_MS: Final = 2 * _DAY_MS
_OPTIONAL_NUMBERS: Final = (
    "confidence",
    "leverage",
    "size_pct",
    "stop_roi_pct",
    "take_profit_roi_pct",
    "trailing_activation_roi_pct",
    "trailing_distance_roi_pct",
    "max_holding_minutes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDecision:
    """A decision that was acted on and whose trade was not settled yet.

    Attributes:
        acted_ms: when its entry began, UTC epoch milliseconds.
        adoption: set where a person gave the position to the engine.
    """

    symbol: str
    direction: Direction
    signal: Signal
    acted_ms: int
    adoption: Adoption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The engine's memory at its start.

    Attributes:
        state: used decisions, cool-downs, breaker; no positions and not ready.
        tallies: closed trades by advisor.
        open_decisions: by symbol, candidates for the ownership of what the exchange still holds.
        decisions: ids of every decision that was acted on.
        newest_ms: by advisor, the newest decision that was ever acted on or refused.
        last_loss_ms: when the last losing trade ended, None if there was none.
    """

    state: EngineState
    tallies: Mapping[str, Tally]
    open_decisions: Mapping[str, OpenDecision]
    decisions: frozenset[str]
    newest_ms: Mapping[str, int]
    last_loss_ms: int | None


def remember(journal: Journal, *, now_ms: int, rules: BridgeRules) -> Remembered:
    """Return what the journal's rows add up to at `now_ms`.

    Raises:
        JournalUnavailable: the journal cannot be read.
    """
    decisions = list(journal.rows(kind=DECISION))
    refusals = list(journal.rows(kind=REFUSAL))
    trades = list(journal.rows(kind=TRADE))
    resumed = journal.last(RESUME)
    losses, breaker_until_ms = _breaker(trades, resumed, rules, now_ms)
    acted = [*decisions, *refusals]
    return Remembered(
        state=EngineState(
            used=_used(journal, decisions, refusals, now_ms),
            exit_ms={str(row.data["symbol"]): int(row.data["exited_ms"]) for row in trades},
            flip_ms={
                str(row.data["symbol"]): int(row.data["exited_ms"])
                for row in trades
                if row.data["reason"] == "flip"
            },
            losses_in_row=losses,
            breaker_until_ms=breaker_until_ms,
        ),
        tallies=_tallies(trades),
        open_decisions=open_decisions(journal),
        decisions=frozenset(str(row.data["decision_id"]) for row in decisions),
        newest_ms=_newest(acted),
        last_loss_ms=max(
            (int(row.data["exited_ms"]) for row in trades if Decimal(row.data["net_pnl"]) < 0),
            default=None,
        ),
    )


def open_decisions(journal: Journal) -> dict[str, OpenDecision]:
    """Return by symbol the decisions that were acted on and whose trades are not settled.

    Raises:
        JournalUnavailable: the journal cannot be read.
    """
    begun = journal.last(ACCOUNT_NEW)
    after = 0 if begun is None else begun.seq
    decisions = [
        row for kind in (DECISION, ADOPTED) for row in journal.rows(kind=kind, after=after)
    ]
    return _open_decisions(decisions, journal.rows(kind=TRADE, after=after))


def decision_row(signal: Signal, symbol: str, direction: Direction, *, is_add: bool) -> JsonObject:
    """Return the row that says a decision is being acted on; written before its first order."""
    row: dict[str, object] = {
        "decision_id": signal.decision_id,
        "symbol": symbol,
        "direction": direction.value,
        "is_add": is_add,
        "advisor": signal.advisor,
        "file": signal.file,
        "home_file": signal.home_file,
        "section": signal.section,
        "command": signal.command.value,
        "command_text": signal.command_text,
        "timestamp_text": signal.timestamp_text,
        "decided_ms": signal.decided_ms,
    }
    for name in _OPTIONAL_NUMBERS:
        value: Decimal | None = getattr(signal, name)
        row[name] = None if value is None else to_text(value)
    return row


def refusal_row(signal: Signal, rule: str, message: str) -> JsonObject:
    """Return the row that says a decision was refused and is used up."""
    return {
        "decision_id": signal.decision_id,
        "advisor": signal.advisor,
        "command": signal.command.value,
        "decided_ms": signal.decided_ms,
        "rule": rule,
        "message": message,
    }


def trade_row(
    symbol: str, advisor: str, decision_id: str, result: TradeResult, reason: str
) -> JsonObject:
    """Return the row that settles a trade."""
    return {
        "symbol": symbol,
        "advisor": advisor,
        "decision_id": decision_id,
        "direction": result.direction.value,
        "net_pnl": to_text(result.pnl_usdt),
        "roi_pct": to_text(result.roi_pct),
        "holding_seconds": to_text(result.holding_seconds),
        "exit_reason": result.exit_reason,
        "exited_ms": result.exited_ms,
        "reason": reason,
    }


def _used(
    journal: Journal,
    decisions: Iterable[JournalRow],
    refusals: Iterable[JournalRow],
    now_ms: int,
) -> dict[str, int]:
    """Return the decisions that are used up: refused, or with an order that was meant to leave.

    One that was only planned when its run died has sent nothing: it is neither repeated by being
    acted on now, nor forgotten.
    """
    used = {str(row.data["decision_id"]): row.local_ms for row in refusals}
    for row in decisions:
        name = str(row.data["decision_id"])
        if now_ms - row.local_ms <= _USED_KEPT_MS and journal.intents_of(name):
            used.setdefault(name, row.local_ms)
    return {name: at_ms for name, at_ms in used.items() if now_ms - at_ms <= _USED_KEPT_MS}


def _breaker(
    trades: Iterable[JournalRow], resumed: JournalRow | None, rules: BridgeRules, now_ms: int
) -> tuple[int, int | None]:
    """Return losses in a row, and until when they refuse entries."""
    losses, until_ms = 0, 0
    for row in trades:
        if resumed is not None and row.seq < resumed.seq:
            continue
        pnl = Decimal(row.data["net_pnl"])
        if pnl > 0:
            losses = 0
        elif pnl < 0:
            losses += 1
            exited_ms = int(row.data["exited_ms"])
            # Each loss beyond the limit on a later day opens it anew, as `decide` does.
            if losses >= rules.breaker_losses and exited_ms >= until_ms:
                until_ms = (exited_ms // _DAY_MS + 1) * _DAY_MS
    return losses, until_ms if until_ms > now_ms else None


def _tallies(trades: Iterable[JournalRow]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for row in trades:
        data = row.data
        result = TradeResult(
            pnl_usdt=Decimal(data["net_pnl"]),
            roi_pct=Decimal(data["roi_pct"]),
            direction=Direction(data["direction"]),
            holding_seconds=Decimal(data["holding_seconds"]),
            exit_reason=str(data["exit_reason"]),
            exited_ms=int(data["exited_ms"]),
        )
        advisor = str(data["advisor"])
        tallies[advisor] = update(tallies.get(advisor, Tally()), result)
    return tallies


def _open_decisions(
    decisions: Iterable[JournalRow], trades: Iterable[JournalRow]
) -> dict[str, OpenDecision]:
    settled = {str(row.data["decision_id"]) for row in trades}
    found: dict[str, OpenDecision] = {}
    for row in sorted(decisions, key=lambda row: row.seq):
        data = row.data
        symbol = str(data["symbol"])
        if data.get("is_add", False):
            continue
        if data["decision_id"] in settled:
            found.pop(symbol, None)
            continue
        if row.kind == ADOPTED:
            found[symbol] = adopted_decision(row)
            continue
        found[symbol] = OpenDecision(
            symbol=symbol,
            direction=Direction(data["direction"]),
            signal=_signal(data),
            acted_ms=row.local_ms,
        )
    return found


def adopted_decision(row: JournalRow) -> OpenDecision:
    """Return the decision that an adoption stands for."""
    return OpenDecision(
        symbol=str(row.data["symbol"]),
        direction=Direction(row.data["direction"]),
        signal=signal_of(row),
        acted_ms=row.local_ms,
        adoption=adoption_of(row),
    )


def _signal(data: Mapping[str, object]) -> Signal:
    def number(name: str) -> Decimal | None:
        value = data.get(name)
        return None if value is None else Decimal(str(value))

    def text(name: str) -> str | None:
        value = data.get(name)
        return None if value is None else str(value)

    decided = data.get("decided_ms")
    return Signal(
        advisor=str(data["advisor"]),
        file=str(data["file"]),
        section=str(data["section"]),
        command=Command(str(data["command"])),
        command_text=str(data["command_text"]),
        timestamp_text=text("timestamp_text"),
        decided_ms=None if decided is None else int(str(decided)),
        home_file=text("home_file"),
        confidence=number("confidence"),
        leverage=number("leverage"),
        size_pct=number("size_pct"),
        stop_roi_pct=number("stop_roi_pct"),
        take_profit_roi_pct=number("take_profit_roi_pct"),
        trailing_activation_roi_pct=number("trailing_activation_roi_pct"),
        trailing_distance_roi_pct=number("trailing_distance_roi_pct"),
        max_holding_minutes=number("max_holding_minutes"),
    )


def _newest(acted: Iterable[JournalRow]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for row in acted:
        decided = row.data["decided_ms"]
        if decided is not None:
            advisor = str(row.data["advisor"])
            newest[advisor] = max(newest.get(advisor, 0), int(decided))
    return newest

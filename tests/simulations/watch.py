"""What is true at the exchange at every moment: is the position covered, and since when not.

Reads the venue directly, past every failure that clients meet, and uses no code of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.paper import START_MS, PaperVenue
from trader_cli.paper.protocol.params import Params

_STOPS = ("STOP_MARKET", "TRAILING_STOP_MARKET")


@dataclass
class Gap:
    """A time in which a position had no stop for all of it.

    Attributes:
        cause: what it began with.
        life: which of the positions it belongs to.
        attended_ms: of it, while a command or an engine was at work.
        is_flat: it ended because nothing was held any more.
    """

    cause: str
    began_ms: int
    life: int
    ended_ms: int = 0
    attended_ms: int = 0
    is_flat: bool = False

    @property
    def total_ms(self) -> int:
        return self.ended_ms - self.began_ms


@dataclass
class Watch:
    """Looks at one symbol and keeps every gap.

    Attributes:
        is_attended: a command or an engine is at work.
        hint: what a gap that begins now is put down to, e.g. a stop that was made to vanish.
        opened_ms: when the last position was opened.
        lives: for each position there was, the milliseconds it was without a stop, attended.
    """

    paper: PaperVenue
    symbol: str
    is_attended: bool = False
    hint: str = ""
    gaps: list[Gap] = field(default_factory=list)
    opened_ms: int = 0
    lives: list[int] = field(default_factory=list)
    _open: dict[str, Gap] = field(default_factory=dict)
    _held: dict[str, Decimal] = field(default_factory=dict)
    _life: dict[str, int] = field(default_factory=dict)
    _looked_ms: int = 0

    def look(self) -> None:
        """Take in what is true now."""
        now_ms = self.paper.clock.now_ms()
        if self.is_attended:
            for gap in self._open.values():
                gap.attended_ms += now_ms - self._looked_ms
        self._looked_ms = now_ms
        held, algos = self.positions(), self.algos()
        for side in held.keys() | self._held.keys():
            quantity, before = held.get(side, Decimal(0)), self._held.get(side, Decimal(0))
            if quantity * before <= 0 and quantity != 0:
                self._life[side] = len(self.lives)
                self.lives.append(0)
                self.opened_ms = now_ms
            if quantity != 0 and not self._is_covered(side, quantity, algos):
                turned = quantity * before <= 0
                if turned and side in self._open:
                    self._close(side, now_ms, is_flat=True)
                if side not in self._open:
                    cause = self._cause(quantity, before)
                    self._open[side] = Gap(cause, now_ms, self._life[side])
            elif side in self._open:
                self._close(side, now_ms, is_flat=quantity == 0)
        self._held = held

    def end(self) -> list[Gap]:
        """Return all gaps; what is open now ends."""
        for side in list(self._open):
            self._close(side, self.paper.clock.now_ms(), is_flat=False)
        return self.gaps

    def positions(self) -> dict[str, Decimal]:
        """Return the signed quantities held, by position side."""
        rows = self._ask("position_risk_v3")
        return {
            str(row["positionSide"]): Decimal(row["positionAmt"])
            for row in rows
            if Decimal(row["positionAmt"]) != 0
        }

    def algos(self) -> list[Mapping[str, Any]]:
        """Return the conditional orders that rest or are stuck."""
        return list(self._ask("open_algo"))

    def orders(self) -> list[Mapping[str, Any]]:
        """Return the regular orders that rest."""
        return list(self._ask("open_orders"))

    def all_orders(self) -> list[Mapping[str, Any]]:
        """Return every regular order there was."""
        return list(self._ask("all_orders"))

    def is_quiet(self) -> bool:
        """Return True if nothing is held and nothing rests."""
        return not (self.positions() or self.algos() or self.orders())

    def is_booked(self) -> bool:
        """Return True if the wallet is what the ledger of income says, to the last digit."""
        venue, now_ms = self.paper.exchange.venue, self.paper.clock.now_ms()
        [row] = [dict(one) for one in venue.balance(Params({}), now_ms) if one["asset"] == "USDT"]
        income = venue.income(Params({"startTime": str(START_MS - 1), "limit": "1000"}), now_ms)
        return Decimal(str(row["balance"])) == sum(Decimal(one["income"]) for one in income)

    def _is_covered(self, side: str, quantity: Decimal, algos: list[Mapping[str, Any]]) -> bool:
        stops = [
            row
            for row in algos
            if row["positionSide"] == side
            and row["side"] == ("SELL" if quantity > 0 else "BUY")
            and row["orderType"] in _STOPS
            and row["algoStatus"] == "NEW"
        ]
        if any(row["closePosition"] for row in stops):
            return True
        return sum((Decimal(row["quantity"]) for row in stops), Decimal(0)) >= abs(quantity)

    def _cause(self, quantity: Decimal, before: Decimal) -> str:
        if quantity * before <= 0:
            return "first fill"
        if self.hint:
            hint, self.hint = self.hint, ""
            return hint
        if abs(quantity) > abs(before):
            return "growth"
        if any(row["algoStatus"] == "TRIGGERING" for row in self._ask("all_algo")):
            return "stuck stop"
        return "stop fired in part" if abs(quantity) < abs(before) else "lost"

    def _close(self, side: str, now_ms: int, *, is_flat: bool) -> None:
        gap = self._open.pop(side)
        gap.ended_ms, gap.is_flat = now_ms, is_flat
        self.lives[gap.life] += gap.attended_ms
        self.gaps.append(gap)

    def _ask(self, what: str) -> Any:
        call = getattr(self.paper.exchange.venue, what)
        return call(Params({"symbol": self.symbol}), self.paper.clock.now_ms())

"""What goes wrong in a run: failures of requests, of stops, of streams and of readings, drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from tests.simulations.watch import Watch
from tests.simulations.world import SYMBOL, World
from trader_cli.paper.api.fault_acts import perform
from trader_cli.paper.api.faults import FaultKind

ORDER = "/fapi/v1/order"
ALGO = "/fapi/v1/algoOrder"
_LOST = (
    FaultKind.UNKNOWN,
    FaultKind.UNKNOWN_EXECUTED,
    FaultKind.TIMEOUT,
    FaultKind.TIMEOUT_EXECUTED,
    FaultKind.DROPPED,
    FaultKind.DROPPED_EXECUTED,
    FaultKind.BROKEN_BODY,
    FaultKind.BROKEN_BODY_EXECUTED,
    FaultKind.HTML,
    FaultKind.HTML_EXECUTED,
    FaultKind.SILENT,
    FaultKind.SILENT_EXECUTED,
)
_REFUSED = (
    FaultKind.UNAVAILABLE,
    FaultKind.OVERLOADED,
    FaultKind.INTERNAL,
    FaultKind.TOO_MANY_REQUESTS,
)
_STREAM = (
    FaultKind.EVENTS_DELAYED,
    FaultKind.EVENTS_DUPLICATED,
    FaultKind.EVENTS_REORDERED,
    FaultKind.STREAMS_SILENT,
    FaultKind.STREAM_DISCONNECT,
    FaultKind.LISTEN_KEY_EXPIRED,
)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One thing that goes wrong `at_s` seconds into the run."""

    name: str
    at_s: float
    happen: Callable[[], None]


class Troubles:
    """Draws what goes wrong and makes it happen."""

    def __init__(self, world: World, watch: Watch, chance: Random) -> None:
        self._world = world
        self._watch = watch
        self._chance = chance
        self._faults = world.paper.exchange.faults

    def draw(self, count: int, *, span_s: float, streams: bool) -> list[str]:
        """Schedule `count` troubles within `span_s` seconds; return what they are."""
        kinds = [
            *(self._place_fails,) * 4,
            *(self._stops_fail_for_long,) * 2,
            *(self._cancel_fails,) * 2,
            self._read_fails,
            self._amnesia,
            self._blind,
            *(self._trail,) * 3,
            *(self._partial_fills,) * 3,
            *(self._stuck,) * 2,
            *(self._vanish,) * 3,
            *((self._stream_fails,) * 4 if streams else ()),
        ]
        names: list[str] = []
        for _ in range(count):
            trouble = self._chance.choice(kinds)(self._chance.uniform(0, span_s))
            self._world.later(trouble.at_s, trouble.happen)
            names.append(trouble.name)
        return names

    def vanish(self) -> None:
        """Take the symbol's conditional orders away without a word."""
        self._act(FaultKind.STOP_VANISHED, hint="vanished stop")

    def hit(self, kind: str) -> None:
        """Let the price reach the trigger of a conditional order, which may get stuck."""
        if self._chance.random() < 0.4:
            trouble = self._stuck(0)
            trouble.happen()
        for row in self._watch.algos():
            if row["orderType"] == kind:
                beyond = Decimal(self._chance.randint(-1, 20))
                rises = (row["side"] == "BUY") is (kind == "STOP_MARKET")
                price = Decimal(row["triggerPrice"])
                self._world.jump_to(price + beyond if rises else price - beyond)
                return

    def _place_fails(self, at_s: float) -> Trouble:
        kind = self._chance.choice([*_LOST, *_REFUSED])
        path = self._chance.choice([ORDER, ALGO, ALGO])
        times = self._chance.choice([1, 1, 2, 3])
        name = f"{kind}×{times} POST {path}"
        return self._arming(name, at_s, kind, method="POST", path=path, times=times, amount=1)

    def _stops_fail_for_long(self, at_s: float) -> Trouble:
        kind = self._chance.choice([*_LOST, *_REFUSED])
        lasts_s = self._chance.uniform(4, 15)
        name = f"{kind} for {lasts_s:.0f} s POST {ALGO}"
        return self._arming(
            name, at_s, kind, method="POST", path=ALGO, times=0, lasts_s=lasts_s, amount=1
        )

    def _cancel_fails(self, at_s: float) -> Trouble:
        kind = self._chance.choice([*_LOST, *_REFUSED])
        path = self._chance.choice([ORDER, ALGO])
        name = f"{kind} DELETE {path}"
        times = self._chance.choice([1, 2])
        return self._arming(name, at_s, kind, method="DELETE", path=path, times=times, amount=1)

    def _read_fails(self, at_s: float) -> Trouble:
        kind = self._chance.choice([FaultKind.UNAVAILABLE, FaultKind.DROPPED, FaultKind.HTML])
        times = self._chance.randint(1, 4)
        return self._arming(f"{kind}×{times} GET", at_s, kind, method="GET", times=times)

    def _amnesia(self, at_s: float) -> Trouble:
        return self._arming("amnesia", at_s, FaultKind.AMNESIA, lasts_s=2.0)

    def _blind(self, at_s: float) -> Trouble:
        lasts_ms = self._chance.choice([100, 200, 250])

        def happen() -> None:
            self._world.session.blind_until_ms = self._world.now_ms + lasts_ms

        return Trouble(name=f"positions unread for {lasts_ms} ms", at_s=at_s, happen=happen)

    def _trail(self, at_s: float) -> Trouble:
        trails_ms = self._chance.choice([100, 200, 280])
        session = self._world.session

        def happen() -> None:
            session.trails_ms, session.opened_ms = trails_ms, lambda: self._watch.opened_ms

        # From the start: it is how that exchange is.
        return Trouble(name=f"positions trail by {trails_ms} ms", at_s=0.0, happen=happen)

    def _partial_fills(self, at_s: float) -> Trouble:
        return self._arming(
            "partial fills",
            at_s,
            FaultKind.PARTIAL_FILLS,
            path=SYMBOL,
            times=self._chance.randint(1, 3),
            amount=self._chance.choice([25, 50, 75]),
        )

    def _stuck(self, at_s: float) -> Trouble:
        amount = self._chance.choice([0, 2_500])
        name = f"stop stuck {amount or 'for ever'}"
        return self._arming(name, at_s, FaultKind.STUCK_TRIGGERING, path=SYMBOL, amount=amount)

    def _vanish(self, at_s: float) -> Trouble:
        return Trouble(name="stop vanishes", at_s=at_s, happen=self.vanish)

    def _stream_fails(self, at_s: float) -> Trouble:
        kind = self._chance.choice(_STREAM)
        if kind in (FaultKind.STREAM_DISCONNECT, FaultKind.LISTEN_KEY_EXPIRED):
            return Trouble(name=str(kind), at_s=at_s, happen=lambda: self._act(kind))
        lasts_s = self._chance.uniform(1, 8)
        amount = self._chance.choice([300, 1_000, 3_000])
        return self._arming(
            f"{kind} for {lasts_s:.0f} s", at_s, kind, times=0, lasts_s=lasts_s, amount=amount
        )

    def _arming(
        self,
        name: str,
        at_s: float,
        kind: FaultKind,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = None,
        lasts_s: float = 20.0,
        amount: int | None = None,
    ) -> Trouble:
        def happen() -> None:
            self._faults.arm(
                kind,
                method=method,
                path=path,
                times=times,
                until_ms=self._world.now_ms + round(lasts_s * 1_000),
                amount=amount,
            )

        return Trouble(name=name, at_s=at_s, happen=happen)

    def _act(self, kind: FaultKind, *, hint: str = "") -> None:
        if hint and self._watch.algos():
            self._watch.hint = hint
        armed = self._faults.arm(kind, details={"symbol": SYMBOL})
        self._faults.clear(armed.number)
        perform(self._world.paper.exchange, armed, self._world.now_ms)

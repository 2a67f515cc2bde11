"""A run by the live engine: decisions come, stops vanish, streams break, the engine dies."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random

from tests.simulations.run import Outcome, failures_of
from tests.simulations.trouble import Troubles
from tests.simulations.watch import Watch
from tests.simulations.world import SYMBOL, JumpingClock, World
from tests.support.engine_rig import Rig
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.domain.rules import BridgeRules, EntryPolicy
from trader_cli.errors import VenueError

EVENTS = (
    *("ADD", "ADD", "flip", "CUT_LOSS", "HOLD", "foreign close", "vanish", "gap", "die", "die"),
    *("stop hit", "stop hit", "target hit", "wait"),
)
_QUIET_S = 25.0


class ByEngine:
    """One engine on its exchange; dead or alive."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._chance = chance
        clock = JumpingClock()
        self.hedge = chance.random() < 0.3
        self.rig = Rig(
            folder,
            clock=clock,
            hedge=self.hedge,
            bridge=BridgeRules(cool_down_s=0, flip_window_s=0, breaker_losses=1_000),
            entry=EntryPolicy(deadline_s=chance.choice([1, 3, 6, 10])),
        )
        self.watch = Watch(self.rig.paper, SYMBOL)
        self.world = World(
            self.rig.paper,
            clock,
            self.rig.network,
            chance,
            look=self.watch.look,
            volatility_bps=chance.choice([0.2, 1.0, 2.0]),
        )
        self._latency_ms = chance.choice([2, 10, 40, 120])
        self.troubles = Troubles(self.world, self.watch, chance)
        self.command = chance.choice(["LONG", "SHORT"])
        self.said: list[str] = []

    async def close(self) -> None:
        await self.rig.close()

    async def run(self) -> Outcome:
        """Trade for a while, then let the exchange work again, cut the loss and look."""
        chance = self._chance
        await self._start()
        troubles = self.troubles.draw(chance.randint(0, 4), span_s=14, streams=True)
        self._decide(self.command)
        await self.world.wait(chance.uniform(0.5, 9))
        for _ in range(chance.randint(0, 4)):
            await self._happen(chance.choice(EVENTS))
            await self.world.wait(chance.uniform(0.3, 6))
        await self._finish()
        return Outcome(
            path="engine",
            hedge=self.hedge,
            troubles=tuple(troubles),
            gaps=tuple(self.watch.end()),
            lives=tuple(self.watch.lives),
            failures=tuple(failures_of(self.watch, self.rig.journal, self._wanted())),
            codes=self.world.session.codes,
            said=(*self.said, *(f"{event} {dict(fields)}" for event, fields in self.rig.events)),
        )

    async def _happen(self, event: str) -> None:
        self.said.append(event)
        match event:
            case "ADD":
                self._decide(f"ADD_{self.command}")
            case "flip":
                self.command = "SHORT" if self.command == "LONG" else "LONG"
                self._decide(self.command)
            case "CUT_LOSS" | "HOLD":
                self._decide(event)
            case "foreign close":
                self._close_by_another()
            case "vanish":
                self.troubles.vanish()
            case "gap":
                self.world.gap(self._chance.choice([-1, 1]) * self._chance.uniform(0.0005, 0.006))
            case "stop hit" | "target hit":
                self.troubles.hit("STOP_MARKET" if event == "stop hit" else "TAKE_PROFIT_MARKET")
            case "die":
                await self._die()
                await self.world.wait(self._chance.uniform(0.2, 4))
                await self._start()
            case _:
                await self.world.wait(5)

    async def _finish(self) -> None:
        self.rig.paper.exchange.faults.clear()
        await self.world.wait(8)
        self._decide("CUT_LOSS")
        await self.world.run(until=self.watch.is_quiet, within_s=_QUIET_S)
        await self.world.run(until=self._is_proven, within_s=_QUIET_S)
        await self.world.wait(3)

    def _is_proven(self) -> bool:
        """Return True if no order is under way or in doubt."""
        doubtful = (IntentStatus.SENT, IntentStatus.UNKNOWN)
        return not any(row.status in doubtful for row in self.rig.journal.unfinished_intents())

    async def _start(self) -> None:
        # The first look of the engine is driven by the rig, which knows no late answers.
        self.world.session.latency_ms = 0
        while True:
            try:
                await self.rig.start(session=self.world.session)
            except VenueError as error:
                self.said.append(f"could not start: {error.message}")
                await self.world.wait(0.5)
            else:
                break
        self.watch.is_attended = True
        self.watch.look()
        self.world.session.latency_ms = self._latency_ms

    async def _die(self) -> None:
        self.watch.look()
        self.watch.is_attended = False
        await self.rig.kill_9()

    def _decide(self, command: str) -> None:
        size = {"position_size_pct": self._chance.choice([0.2, 0.4, 1.0]), "leverage": 20}
        trailing = {"trailing_activation": 8.0, "trailing_distance": 2.5}
        self.rig.decide(
            command,
            dynamic_params={**size, "stop_loss_pct": 3.5, "take_profit_pct": 9.0},
            **(trailing if self._chance.random() < 0.2 else {}),
        )

    def _wanted(self) -> Mapping[str, Decimal]:
        return {
            str(row["decision"]): Decimal(str(row["quantity"]))
            for row in self.rig.reports("signal")
            if "quantity" in row
        }

    def _close_by_another(self) -> None:
        for side, quantity in self.watch.positions().items():
            order = {
                "symbol": SYMBOL,
                "side": "SELL" if quantity > 0 else "BUY",
                "type": "MARKET",
                "quantity": abs(quantity),
            }
            more = {"positionSide": side} if self.hedge else {"reduceOnly": "true"}
            self.rig.paper.request("POST", "/fapi/v1/order", order | more)

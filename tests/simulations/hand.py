"""A run by hand: commands one after the other, each its own process, some of which die.

An operator opens with a bracket, tends the position and closes it. After a command died or ended
in doubt he looks, protects or closes what is naked, and then has everything resolved.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from tests.simulations.run import Outcome, failures_of, own_exits
from tests.simulations.trouble import Troubles
from tests.simulations.watch import Watch
from tests.simulations.world import SYMBOL, JumpingClock, World, settle
from tests.support.engine_rig import Network
from tests.support.paper import KEYS, PaperVenue
from tests.support.paper_transport import ORIGIN
from trader_cli.domain.account import Position
from trader_cli.domain.order import LimitRequest
from trader_cli.domain.rules import EntryPolicy
from trader_cli.domain.terms import Direction, MarginType, PositionSide, TimeInForce
from trader_cli.errors import TraderError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.journal.halt import HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.paper.api.exchange import ExchangeSettings
from trader_cli.paper.protocol.limits import RateLimitSettings
from trader_cli.trading.orders.bracket import rest_bracket
from trader_cli.trading.orders.order_manager import OrderManager
from trader_cli.trading.orders.protection_spec import ProtectionSpec, TrailingPlan
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_terms import EntryStyle
from trader_cli.trading.positions.reconcile import reconcile
from trader_cli.trading.risk.risk_manager import RiskManager
from trader_cli.trading.risk.risk_terms import RiskLimits

ENTRIES = ("bracket limit", "bracket post-only", "bracket ioc", "market", "smart")
TENDING = (
    *("move stop", "move stop", "add", "add", "reduce", "trailing", "foreign close", "vanish"),
    *("gap", "stop hit", "stop hit", "target hit", "wait"),
)
_COMMAND_S = 60.0

Command = Callable[[PositionManager], Awaitable[Any]]


class ByHand:
    """One operator, his journal, and the exchange."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self._chance = chance
        clock = JumpingClock()
        settings = ExchangeSettings(rate_limits=RateLimitSettings(enabled=False))
        self.paper = PaperVenue(clock=clock, settings=settings)
        self.hedge = chance.random() < 0.5
        if self.hedge:
            self.paper.ask("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"})
        self.network = Network(self.paper)
        self.watch = Watch(self.paper, SYMBOL)
        self.world = World(
            self.paper,
            clock,
            self.network,
            chance,
            look=self.watch.look,
            volatility_bps=chance.choice([0.3, 1.0, 3.0]),
        )
        self.world.session.latency_ms = chance.choice([2, 10, 40, 120])
        self.troubles = Troubles(self.world, self.watch, chance)
        self._journal = Journal.open(folder / "journal.db", clock)
        self._latch = HaltLatch(folder / "halt", clock)
        self._clock = clock
        self.direction = chance.choice([Direction.LONG, Direction.SHORT])
        self.side = PositionSide(self.direction) if self.hedge else PositionSide.BOTH
        self.said: list[str] = []
        self.orphans: list[str] = []
        self._commands = 0
        self.quantity = Decimal(chance.randint(2, 9)) / 1_000
        self.wanted = {"open": self.quantity}
        self.dies_in = chance.uniform(0.02, 6) if chance.random() < 0.3 else None

    async def close(self) -> None:
        self._journal.close()

    # --- the run -------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Open, tend, close; return what there is to say about it."""
        chance = self._chance
        entry = chance.choice(ENTRIES)
        troubles = self.troubles.draw(chance.randint(0, 4), span_s=12, streams=False)
        if chance.random() < 0.1:
            self._rest_foreign_stop()
            troubles.append("foreign closePosition stop")
        if chance.random() < 0.25:
            self.world.later(chance.uniform(0, 4), lambda: self.world.gap(self._jump()))
            troubles.append("gap")
        await self._open(entry)
        if chance.random() < 0.8:
            await self.world.run(until=self.watch.positions, within_s=12)
        for _ in range(chance.randint(0, 4)):
            await self.world.wait(chance.uniform(0.3, 4))
            await self._tend(chance.choice(TENDING))
        await self.world.wait(chance.uniform(0, 4))
        await self._finish()
        return Outcome(
            path=f"hand: {entry}",
            hedge=self.hedge,
            troubles=tuple(troubles),
            gaps=tuple(self.watch.end()),
            lives=tuple(self.watch.lives),
            failures=(*self.orphans, *failures_of(self.watch, self._journal, self.wanted)),
            codes=self.world.session.codes,
            said=tuple(self.said),
        )

    async def _open(self, entry: str) -> None:
        spec = self._spec()
        if entry.startswith("bracket"):
            await self._command("open", lambda positions: self._bracket(positions, entry, spec))
        else:
            style = EntryStyle.MARKET if entry == "market" else EntryStyle.SMART
            await self._command(
                "open",
                lambda positions: positions.open_position(
                    SYMBOL,
                    self.direction,
                    source="open",
                    spec=spec,
                    quantity=self.quantity,
                    style=style,
                ),
            )

    async def _bracket(self, positions: PositionManager, entry: str, spec: ProtectionSpec) -> Any:
        away = 0 if entry == "bracket ioc" else self._chance.randint(0, 12)
        tif = {"bracket ioc": TimeInForce.IOC, "bracket post-only": TimeInForce.GTX}
        across = 5 if entry == "bracket ioc" else 0
        top = await positions.orders.book(SYMBOL)
        sign = self.direction.sign
        price = top.touch(self.direction.entry_side) - sign * (away - across)
        stop = spec.stop_price
        assert stop is not None
        return await rest_bracket(
            positions.orders,
            LimitRequest(
                symbol=SYMBOL,
                side=self.direction.entry_side,
                quantity=self.quantity,
                price=price,
                client_order_id="",
                time_in_force=tif.get(entry, TimeInForce.GTC),
                position_side=self.side,
            ),
            stop_price=stop,
            take_profit_price=spec.take_profit_price,
            source="open",
            callback_rate=Decimal("0.5") if self._chance.random() < 0.2 else None,
        )

    def _spec(self) -> ProtectionSpec:
        sign = self.direction.sign
        stop = self.world.price * (1 - sign * Decimal(self._chance.randint(16, 60)) / 10_000)
        target = self.world.price * (1 + sign * Decimal(self._chance.randint(15, 60)) / 10_000)
        return ProtectionSpec(stop_price=stop, take_profit_price=target)

    async def _tend(self, what: str) -> None:
        chance, sign = self._chance, self.direction.sign
        stop = self.world.price * (1 - sign * Decimal(chance.randint(4, 40)) / 10_000)
        match what:
            case "move stop":
                await self._protect(ProtectionSpec(stop_price=stop))
            case "trailing":
                plan = TrailingPlan(callback_rate=Decimal("0.4"))
                await self._protect(ProtectionSpec(trailing=plan))
            case "add":
                source = f"add{self._commands}"
                quantity = Decimal(chance.randint(2, 4)) / 1_000
                self.wanted[source] = quantity
                await self._command(
                    "add",
                    lambda positions: positions.add_to_position(
                        SYMBOL,
                        source=source,
                        spec=ProtectionSpec(stop_price=stop) if chance.random() < 0.5 else None,
                        quantity=quantity,
                        position_side=self.side,
                        style=chance.choice([EntryStyle.MARKET, EntryStyle.SMART]),
                    ),
                )
            case "reduce":
                await self._command(
                    "reduce",
                    lambda positions: positions.close_position(
                        SYMBOL,
                        source=f"reduce{self._commands}",
                        position_side=self.side,
                        quantity=Decimal("0.001"),
                    ),
                )
            case "foreign close":
                self._close_by_another()
            case "vanish":
                self.troubles.vanish()
                await self.world.wait(chance.uniform(0.5, 3))
                await self._protect(ProtectionSpec(stop_price=stop))
            case "gap":
                self.world.gap(self._jump())
            case "stop hit" | "target hit":
                self.troubles.hit("STOP_MARKET" if what == "stop hit" else "TAKE_PROFIT_MARKET")
            case _:
                await self.world.wait(3)

    async def _protect(self, spec: ProtectionSpec) -> None:
        """Set exits as `position protect` does, and close where that left no stop."""

        async def protect(positions: PositionManager) -> None:
            source = f"protect{self._commands}"
            done = await positions.protect(SYMBOL, spec, source=source, position_side=self.side)
            if done.must_close or (done.problems and not await self._is_safe(positions)):
                await positions.close_position(
                    SYMBOL, source=f"{source}-close", position_side=self.side
                )

        await self._command("protect", protect)

    async def _is_safe(self, positions: PositionManager) -> bool:
        return all(row.protected for row in await positions.list_positions(SYMBOL))

    async def _finish(self) -> None:
        """Close, and look whether anything is left; the exchange works again by now."""
        self.paper.exchange.faults.clear()
        self.dies_in = None
        for _ in range(3):
            await self._command("resolve", self._resolve)
            await self._command(
                "cancel entries", lambda positions: positions.orders.cancel_all_orders(SYMBOL)
            )
            await self._command("close", self._close)
            if not self.watch.positions():
                break
        await self._command("resolve", self._resolve)
        self.watch.look()

    # --- commands and their ends ---------------------------------------------------------------

    async def _command(self, name: str, command: Command) -> None:
        """Carry one command out as a process of its own; where it failed or died, look after it."""
        if not await self._carry_out(name, command) and name not in ("recover", "resolve"):
            await self.world.wait(self._chance.uniform(0.2, 2))
            await self._carry_out("recover", self._recover)

    async def _carry_out(self, name: str, command: Command) -> bool:
        """Return True if the command ended well."""
        self._commands += 1
        client = BinanceFuturesClient(
            api_key=KEYS.api_key,
            api_secret=KEYS.api_secret,
            rest_url=ORIGIN,
            clock=self._clock,
            session=self.world.session,
        )
        orders = OrderManager(
            client,
            journal=self._journal,
            risk=RiskManager(
                RiskLimits(max_position_usd=Decimal(2_500), max_total_exposure_usd=Decimal(2_500))
            ),
            latch=self._latch,
            clock=self._clock,
            policy=EntryPolicy(deadline_s=self._chance.choice([1, 3, 6])),
        )
        self.watch.is_attended = True
        task = asyncio.ensure_future(
            command(PositionManager(orders, margin_type=MarginType.ISOLATED))
        )
        dies, self.dies_in = self.dies_in, None
        within_s = _COMMAND_S if dies is None else dies
        done = await self.world.run(until=task.done, within_s=within_s)
        self.watch.look()
        self.watch.is_attended = False
        if not done:
            assert dies is not None, f"{name} takes longer than {_COMMAND_S} s"
            await self._die(task, name)
        await client.close()
        if not done:
            return False
        error = task.exception()
        if error is None:
            self.said.append(f"{name}: done")
            self._check_orphans(name)
            return True
        if not isinstance(error, TraderError):
            raise error
        self.said.append(f"{name}: {type(error).__name__} {error.message}")
        return False

    def _check_orphans(self, name: str) -> None:
        """What a command that ended well leaves behind belongs to a position or to an entry.

        Once something was held it may have ended since; the next command tidies up after it.
        """
        if name != "close" and not (name == "open" and not self.watch.lives):
            return
        if self.watch.positions():
            return
        entries = [row for row in self.watch.orders() if "-en" in str(row["clientOrderId"])]
        if not entries and (left := own_exits(self.watch)):
            self.orphans.append(f"{name} left orphans: {left}")

    async def _die(self, task: asyncio.Future[Any], name: str) -> None:
        """End a command as `kill -9` does: nothing it would still send arrives."""
        self.said.append(f"{name}: died")
        self.network.cut = True
        task.cancel()
        while not task.done():
            self.paper.advance(50)
            await settle()
        with contextlib.suppress(BaseException):
            task.result()
        self.network.cut = False

    async def _recover(self, positions: PositionManager) -> None:
        """Do after a failure what is urgent first: cover what is naked, then prove and tidy up."""
        for view in await positions.list_positions(SYMBOL):
            if not view.protected:
                await self._cover(positions, view.position)
        await self._resolve(positions)

    async def _cover(self, positions: PositionManager, row: Position) -> None:
        stop = row.mark_price * (1 - row.direction.sign * Decimal("0.003"))
        source = f"cover{self._commands}"
        done = await positions.protect(
            SYMBOL,
            ProtectionSpec(stop_price=stop),
            source=source,
            position_side=row.position_side,
        )
        if not done.is_stopped:
            await positions.close_position(
                SYMBOL, source=f"{source}-close", position_side=row.position_side
            )

    async def _close(self, positions: PositionManager) -> None:
        await positions.close_position(SYMBOL, source=f"close{self._commands}")

    async def _resolve(self, positions: PositionManager) -> None:
        await reconcile(positions.orders)
        await positions.orders.clean_up_exits(SYMBOL)

    # --- others --------------------------------------------------------------------------------

    def _jump(self) -> float:
        return self._chance.choice([-1, 1]) * self._chance.uniform(0.0005, 0.006)

    def _close_by_another(self) -> None:
        for side, quantity in self.watch.positions().items():
            order = {
                "symbol": SYMBOL,
                "side": "SELL" if quantity > 0 else "BUY",
                "type": "MARKET",
                "quantity": abs(quantity),
            }
            more = {"positionSide": side} if self.hedge else {"reduceOnly": "true"}
            self.paper.request("POST", "/fapi/v1/order", order | more)

    def _rest_foreign_stop(self) -> None:
        sign = self.direction.sign
        order = {
            "symbol": SYMBOL,
            "algoType": "CONDITIONAL",
            "type": "STOP_MARKET",
            "side": str(self.direction.exit_side),
            "triggerPrice": round(self.world.price * (1 - sign * Decimal("0.03")), 1),
            "closePosition": "true",
            "clientAlgoId": "web_stop",
        }
        more = {"positionSide": str(self.side)} if self.hedge else {}
        self.paper.request("POST", "/fapi/v1/algoOrder", order | more)

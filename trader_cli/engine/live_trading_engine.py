"""The live engine: everything that happens goes into one queue, one consumer decides.

It wires streams, bridge, timer and readings to `decide`, and `decide`'s wishes to the workers. It
holds no trading rule: what a signal, a gap or a naked position leads to is decided in `decide`, and
how it is carried out is the workers'. A task that dies takes the engine with it; the stops rest at
the exchange, not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine
from typing import Final

from trader_cli.bridge.confirm import BridgeEvent, BridgeMemory, SignalSeen
from trader_cli.bridge.feedback import TradeResult
from trader_cli.bridge.watcher import BridgeWatcher
from trader_cli.clock import Clock
from trader_cli.domain.account_events import MarkPriceChanged, StreamGap, UserEvent
from trader_cli.domain.signal import Signal
from trader_cli.engine.account_mirror import AccountMirror
from trader_cli.engine.advisor_logs import keep_small, log_file_of
from trader_cli.engine.advisors import (
    AdvisorEvent,
    advisor_fields,
    supervise,
)
from trader_cli.engine.assembly import assemble
from trader_cli.engine.decide import step
from trader_cli.engine.draft import EngineRules
from trader_cli.engine.facts import ExitWanted, Fact, SignalConfirmed, Ticked
from trader_cli.engine.feedback_loop import FeedbackLoop, Told
from trader_cli.engine.hands import Report, shown
from trader_cli.engine.intake import Intake, News
from trader_cli.engine.latch_watch import LatchWatch
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.options import EngineOptions
from trader_cli.engine.performing import Performer
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.readings import read
from trader_cli.engine.reconciling import Reconciling
from trader_cli.engine.record import fact_row, user_event_row
from trader_cli.engine.recovering import Recovered
from trader_cli.engine.remembered import remember
from trader_cli.errors import VenueError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.gateway import insisting
from trader_cli.exchange.streams import SILENT, MarketStream, UserStream
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.halt import HaltedBy, HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.trading.kill import KillResult, kill
from trader_cli.trading.risk_manager import RiskManager

_TICK_S: Final = 0.25
_READ_EVERY_S: Final = 2.0
_SETTINGS_EVERY: Final = 15
"""Of this many readings one asks for leverages: 5 weight a symbol, and the stream tells changes."""
_EQUITY_EVERY_S: Final = 2.0
_EQUITY_AGAIN_S: Final = 1.0
_STREAM_WAIT_S: Final = 5.0
_RECONCILE_PAUSE_S: Final = 1.0
_WIND_DOWN_S: Final = 20.0
_POLL_S: Final = 0.05
_ONCE_QUIET_S: Final = 1.0
_ONCE_S_MAX: Final = 120.0
_INBOX_MAX: Final = 100_000
_RULES_EVERY_S: Final = 3_600.0
_RULES_AGAIN_S: Final = 60.0
_ODD_TOLD_MAX: Final = 100


class LiveTradingEngine:
    """Follows the bridge files until told to stop."""

    def __init__(
        self,
        *,
        client: BinanceFuturesClient,
        user_stream: UserStream,
        market_stream: MarketStream,
        journal: Journal,
        latch: HaltLatch,
        risk: RiskManager,
        clock: Clock,
        options: EngineOptions,
        report: Report,
    ) -> None:
        self._client = client
        self._own_client = client.for_own_orders()
        self._told_odd: set[tuple[str, str]] = set()
        self._user_stream = user_stream
        self._market_stream = market_stream
        self._journal = journal
        self._latch = latch
        self._clock = clock
        self._options = options
        self._report = report
        self._rules = EngineRules(bridge=options.bridge, entry=options.entry)
        self._symbols = options.bridge.symbols
        self._remembered = remember(journal, now_ms=clock.now_ms(), rules=options.bridge)
        self._state = self._remembered.state
        self._inbox: asyncio.Queue[Fact | News] = asyncio.Queue(_INBOX_MAX)
        self._board = MarketBoard(
            clock=clock,
            venue_now_ms=client.venue_now_ms,
            measure_clock=client.sync_clock,
            read_top=client.get_book_top,
            read_mark=client.get_mark_price,
        )
        mirror = AccountMirror()
        self._losses = LossWatch(
            self._own_client,
            journal=journal,
            mirror=mirror,
            board=self._board,
            risk=risk,
            clock=clock,
            tell=self._tell,
        )
        self._hands = assemble(
            client=self._own_client,
            journal=journal,
            latch=latch,
            risk=risk,
            clock=clock,
            options=options,
            mirror=mirror,
            board=self._board,
            losses=self._losses,
            last_loss_ms=self._remembered.last_loss_ms,
            report=report,
            tell=self._tell,
        )
        protecting = Protecting(self._hands)
        self._performer = Performer(
            self._hands,
            protecting,
            latch=latch,
            on_trade=self._count_trade,
            on_still_open=lambda symbol: self._reconciling.reclaim(symbol),
            kill=self._begin_kill,
            reconcile=lambda: self._reconciling.want(),
        )
        self._intake = Intake(
            self._hands,
            protecting,
            symbols=self._symbols,
            state=lambda: self._state,
            on_booked=self._losses.ledger_is_due,
            on_stream=lambda is_open: self._reconciling.stream_changed(is_open=is_open),
        )
        self._memory = BridgeMemory(
            confirm_ms=options.bridge.confirm_ms, newest_ms=self._remembered.newest_ms
        )
        self._feedback = self._make_feedback()
        self._latch_watch = LatchWatch(
            self._hands,
            latch,
            performer=self._performer,
            state=lambda: self._state,
            on_resume=self._losses.resumed,
        )
        self._reconciling = Reconciling(
            self._hands,
            symbols=self._symbols,
            remembered=self._remembered,
            put=self._inbox.put,
        )
        self._kill_wanted: asyncio.Queue[str] = asyncio.Queue()
        self._has_picture = asyncio.Event()
        self._ending = False
        self._journal_failed = False
        self._ready_since: float | None = None
        self._ticks_waiting = 0
        self._had_marks = False

    # --- what others may ask of it -------------------------------------------------------------

    async def run(
        self, stop: asyncio.Event, *, for_s: float | None = None, once: bool = False
    ) -> None:
        """Follow the bridge until `stop` is set, `for_s` seconds passed, or `once` is done.

        At the end entries are cancelled; stops stay at the exchange.
        """
        with contextlib.suppress(OSError):
            self._latch.prepare()
        self._report(
            "started",
            {
                "symbols": list(self._symbols),
                "bridge": str(self._options.bridge_dir),
                "advisors": [program.name for program in self._options.programs],
            },
        )
        self._latch_watch.look()
        self._reconciling.want()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in self._jobs()]
            await self._until_over(stop, for_s=for_s, once=once)
            await self._wind_down()
            for task in tasks:
                task.cancel()
        self._feedback.write()
        with contextlib.suppress(JournalUnavailable):
            self._journal.flush()
        self._report("stopped", {"positions": [self._shown_holding(s) for s in self._symbols_held]})

    async def process_ai_signal(self, signal: Signal) -> None:
        """Act on a decision as if a bridge file had shown it twice."""
        await self._inbox.put(SignalConfirmed(signal=signal))

    async def handle_position_exit(self, symbol: str, reason: str) -> None:
        """Close the engine's own position of `symbol` reduce-only at market."""
        await self._inbox.put(ExitWanted(symbol=symbol, reason=reason))

    async def emergency_shutdown(
        self, reason: str, *, by: HaltedBy = HaltedBy.PERSON
    ) -> KillResult:
        """Latch the halt, cancel everything, flatten everything and prove it."""
        self._performer.halted.set()
        self._performer.withdraw_entries()
        with insisting():
            result = await kill(
                self._client,
                self._latch,
                clock=self._clock,
                reason=reason,
                by=by,
                recv_window_ms=self._options.recv_window_ms,
                engine_quiet=lambda: not self._state.entries,
            )
        self._report(
            "halted",
            {
                "reason": reason,
                "flat": result.flat,
                "halted": result.halted,
                "cancelled": len(result.cancelled),
                "closed": len(result.closed),
                "problems": list(result.problems),
            },
        )
        self._reconciling.want()
        return result

    # --- the queue and its consumer --------------------------------------------------------------

    def _tell(self, fact: Fact) -> None:
        self._inbox.put_nowait(fact)

    async def _consume(self) -> None:
        while True:
            item = await self._inbox.get()
            if isinstance(item, Ticked):
                self._ticks_waiting -= 1
            for fact in self._facts_of(item):
                self._decide(fact)

    def _facts_of(self, item: Fact | News) -> tuple[Fact, ...]:
        if isinstance(item, Fact):
            return (item,)
        if isinstance(item, UserEvent):
            self._note(*user_event_row(item))
        if isinstance(item, SignalSeen):
            self._feedback.saw(item.signal)
        if isinstance(item, Recovered):
            self._has_picture.set()
            for found in item.owned:
                self._performer.began(found.symbol, found.ownership.decision_id, found.began_ms)
            for ended in item.gone:
                assert ended.seen.ownership is not None, "only own trades are settled"
                decision_id = ended.seen.ownership.decision_id
                self._performer.began(ended.seen.symbol, decision_id, ended.began_ms)
        return tuple(self._intake.facts_of(item))

    def _decide(self, fact: Fact) -> None:
        if self._ending and isinstance(fact, SignalConfirmed):
            return
        before, now_ms = self._state, self._clock.now_ms()
        self._state, actions = step(before, fact, now_ms, self._rules)
        if actions or self._state != before:
            self._note(*fact_row(fact, actions, now_ms))
        for action in actions:
            self._performer.perform(action)

    def _note(self, kind: str, data: JsonObject) -> None:
        """Journal best effort: an engine that cannot write refuses entries by itself."""
        try:
            self._journal.record(kind, data, deadline_ms=50)
        except JournalUnavailable as error:
            if not self._journal_failed:
                self._warn("journal", f"{error.message}; nothing opens until it works again")
            self._journal_failed = True
        else:
            self._journal_failed = False

    # --- jobs ------------------------------------------------------------------------------------

    def _jobs(self) -> list[Coroutine[None, None, None]]:
        options = self._options
        watcher = BridgeWatcher(
            options.bridge_dir,
            zone=options.zone,
            clock=self._clock,
            memory=self._memory,
            kernel_events=options.kernel_events,
        )
        return [
            self._performer.run(),
            self._consume(),
            self._pump_user(),
            self._pump_market(),
            watcher.run(self._take_bridge),
            self._tick(),
            self._read_regularly(),
            self._watch_losses(),
            self._refresh_rules(),
            self._reconciling.run(),
            self._kill_when_wanted(),
            self._feedback.run(options.bridge.feedback_max_age_s / 2),
            keep_small(
                (log_file_of(options.log_dir, program.name) for program in options.programs),
                clock=self._clock,
            ),
            *(
                supervise(
                    program,
                    bridge_dir=options.bridge_dir,
                    log_dir=options.log_dir,
                    environment=options.advisor_environment,
                    clock=self._clock,
                    on_event=self._on_advisor,
                )
                for program in options.programs
            ),
        ]

    async def _pump_user(self) -> None:
        async for event in self._user_stream.events():
            await self._inbox.put(event)

    async def _pump_market(self) -> None:
        async for event in self._market_stream.events():
            # A price that stops is refused as stale by risk; no account event was missed.
            if isinstance(event, StreamGap):
                self._report("gap", {"stream": event.stream, "reason": event.reason})
                if self._had_marks and (event.stream, event.reason) == ("market", SILENT):
                    # Mark prices come every second: where they stop, account events may have too.
                    self._had_marks = False
                    self._user_stream.renew("the market stream fell silent")
            elif isinstance(event, MarkPriceChanged):
                self._had_marks = True
            self._board.take(event)

    async def _take_bridge(self, event: BridgeEvent) -> None:
        await self._inbox.put(event)

    async def _tick(self) -> None:
        while True:
            self._latch_watch.look()
            self._reconciling.look()
            self._ticks_waiting += 1
            await self._inbox.put(Ticked())
            await self._clock.sleep(_TICK_S)

    async def _read_regularly(self) -> None:
        """Read orders and positions now and then: a stop can vanish without an event."""
        for number in itertools.count():
            await self._clock.sleep(_READ_EVERY_S)
            with_settings = number % _SETTINGS_EVERY == 0
            if self._hands.mirror.lacks_event(now_ms=self._client.venue_now_ms()):
                self._user_stream.renew("silent: a position changed and no event told")
            try:
                reading = await read(self._own_client, self._symbols, with_settings=with_settings)
            except VenueError as error:
                self._warn("read", error.message)
            else:
                await self._inbox.put(reading)
                self._reconciling.saw(reading)
            self._tell_odd_rows()

    def _tell_odd_rows(self) -> None:
        """Tell once of every kind of row that could not be understood and was set aside."""
        for row in self._client.quarantined:
            kind = row.stream, row.reason
            if kind not in self._told_odd and len(self._told_odd) < _ODD_TOLD_MAX:
                self._told_odd.add(kind)
                where = "" if row.symbol is None else f" of {row.symbol}"
                self._warn("drift", f"a row{where} in {row.stream} is set aside: {row.reason}")

    async def _watch_losses(self) -> None:
        await self._has_picture.wait()
        while True:
            pause_s = _EQUITY_EVERY_S
            try:
                await self._losses.read()
            except (VenueError, JournalUnavailable) as error:
                self._warn("equity", error.message)
            if self._losses.wants_picture():
                self._reconciling.want()
            reading = self._losses.reading
            if reading is None or not reading.agrees:
                pause_s = _EQUITY_AGAIN_S
            await self._clock.sleep(pause_s)

    async def _refresh_rules(self) -> None:
        """Read the trading rules every hour: a stop on yesterday's tick would be refused."""
        pause_s = _RULES_EVERY_S
        while True:
            await self._clock.sleep(pause_s)
            try:
                rules = await self._own_client.refresh_instruments()
            except VenueError as error:
                self._warn("rules", error.message)
                pause_s = _RULES_AGAIN_S
                continue
            pause_s = _RULES_EVERY_S
            for symbol in self._symbols:
                status = rules[symbol].status if symbol in rules else "gone"
                if status != "TRADING":
                    self._warn("rules", f"{symbol} is {status} at the exchange")

    async def _kill_when_wanted(self) -> None:
        while True:
            await self.emergency_shutdown(await self._kill_wanted.get(), by=HaltedBy.RULE)

    # --- beginning and end -----------------------------------------------------------------------

    async def _until_over(self, stop: asyncio.Event, *, for_s: float | None, once: bool) -> None:
        started = self._clock.monotonic()
        while not stop.is_set():
            elapsed = self._clock.monotonic() - started
            if for_s is not None and elapsed >= for_s:
                return
            if once and (self._has_settled() or elapsed >= _ONCE_S_MAX):
                return
            await self._clock.sleep(_POLL_S)

    def _has_settled(self) -> bool:
        """Return True if every decision that is present is final, and what is held is protected."""
        now = self._clock.monotonic()
        state = self._state
        busy = (
            not state.ready
            or not self._performer.is_idle
            or bool(state.entries or state.wanted or state.exiting)
            or not self._is_all_heard
            or self._memory.recheck_at(now) is not None
            or any(row.is_own and row.naked_since_ms is not None for row in state.holdings.values())
        )
        if busy:
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = now
        return self._ready_since is not None and now - self._ready_since >= _ONCE_QUIET_S

    async def _wind_down(self) -> None:
        """Take entries back and let exits finish; the consumer goes on meanwhile."""
        self._ending = True
        end = self._clock.monotonic() + _WIND_DOWN_S
        while self._clock.monotonic() < end:
            self._performer.withdraw_entries()
            if self._performer.is_idle and self._is_all_heard:
                return
            await self._clock.sleep(_POLL_S)
        self._warn("end", "something was still under way when the time for ending was over")

    # --- small things ----------------------------------------------------------------------------

    def _make_feedback(self) -> FeedbackLoop:
        return FeedbackLoop(
            self._options.bridge_dir,
            source=self._options.source,
            zone=self._options.zone,
            clock=self._clock,
            board=self._board,
            tallies=self._remembered.tallies,
            now=lambda: Told(
                holdings=self._state.holdings,
                leverages=self._hands.mirror.leverages,
                wallet=self._losses.wallet,
            ),
            warn=lambda message: self._warn("feedback", message),
        )

    def _begin_kill(self, message: str) -> None:
        self._kill_wanted.put_nowait(message)

    def _count_trade(self, advisor: str, result: TradeResult) -> None:
        self._feedback.add(advisor, result)
        self._losses.ledger_is_due()
        if result.pnl_usdt < 0:
            self._hands.views.last_loss_ms = result.exited_ms

    def _on_advisor(self, event: AdvisorEvent) -> None:
        self._report("advisor", advisor_fields(event))

    @property
    def _is_all_heard(self) -> bool:
        """True while nothing but ticks waits to be consumed; those always come."""
        return self._inbox.qsize() <= self._ticks_waiting

    @property
    def _symbols_held(self) -> list[str]:
        return list(self._state.holdings)

    def _shown_holding(self, symbol: str) -> dict[str, object]:
        row = self._state.holdings[symbol]
        return {
            "symbol": symbol,
            "side": row.direction.value,
            "quantity": shown(row.quantity),
            "own": row.is_own,
            "protected": self._intake.is_covered(symbol),
        }

    def _warn(self, kind: str, message: str) -> None:
        self._report("warning", {"kind": kind, "message": message})

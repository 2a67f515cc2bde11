"""The live engine: everything that happens goes into one queue, one consumer decides.

It wires what listens, the bridge and the timer to `decide`, and `decide`'s wishes to the workers.
It holds no trading rule: what a signal, a gap or a naked position leads to is decided in `decide`,
and how it is carried out is the workers'. A task that dies takes the engine with it; the stops rest
at the exchange, not here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Final

from trader_cli.bridge.confirm import BridgeEvent, BridgeMemory, SignalSeen
from trader_cli.bridge.feedback import TradeResult
from trader_cli.bridge.watcher import BridgeWatcher
from trader_cli.clock import Clock
from trader_cli.domain.account_events import UserEvent
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
from trader_cli.engine.emergency import Emergency
from trader_cli.engine.facts import ExitWanted, Fact, SignalConfirmed, Ticked
from trader_cli.engine.feedback_loop import FeedbackLoop, Told
from trader_cli.engine.hands import Report, shown
from trader_cli.engine.intake import Intake, News
from trader_cli.engine.latch_in_time import LatchInTime
from trader_cli.engine.latch_watch import LatchWatch
from trader_cli.engine.listening import Listening
from trader_cli.engine.loss_watch import LossWatch
from trader_cli.engine.market_board import MarketBoard
from trader_cli.engine.options import EngineOptions
from trader_cli.engine.performing import Performer
from trader_cli.engine.protecting import Protecting
from trader_cli.engine.reconciling import Reconciling
from trader_cli.engine.record import fact_row, user_event_row
from trader_cli.engine.recovering import Recovered
from trader_cli.engine.remembered import remember
from trader_cli.engine.run_end import RunEnd
from trader_cli.errors import NotFlat, PartialFailure
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
from trader_cli.exchange.streams import MarketStream, UserStream
from trader_cli.journal.disk_wait import within
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.errors import JournalUnavailable
from trader_cli.journal.halt import HaltedBy, HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.trading.kill import KillResult
from trader_cli.trading.risk.risk_manager import RiskManager

_TICK_S: Final = 0.25
_FLUSH_S: Final = 2.0
_INBOX_MAX: Final = 100_000


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
        self._own_client = client.for_own_orders()
        self._journal = journal
        self._latch = LatchInTime(latch, clock)
        self._clock = clock
        self._options = options
        self._report = report
        self._rules = EngineRules(
            bridge=options.bridge, entry=options.entry, foreign=options.foreign
        )
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
            latch=self._latch,
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
            latch=self._latch,
            on_trade=self._count_trade,
            on_still_open=lambda symbol: self._reconciling.reclaim(symbol),
            kill=lambda reason: self._emergency.want(reason),
            reconcile=lambda: self._reconciling.want(),
        )
        self._emergency = Emergency(
            self._hands,
            client,
            latch=self._latch,
            performer=self._performer,
            state=lambda: self._state,
            recv_window_ms=options.recv_window_ms,
            reconcile=lambda: self._reconciling.want(),
        )
        self._intake = Intake(
            self._hands,
            protecting,
            symbols=self._symbols,
            foreign=options.foreign,
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
            self._latch,
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
        self._listening = Listening(
            self._hands,
            user_stream=user_stream,
            market_stream=market_stream,
            losses=self._losses,
            reconciling=self._reconciling,
            put=self._inbox.put,
        )
        self._end = RunEnd(
            self._hands,
            performer=self._performer,
            memory=self._memory,
            state=lambda: self._state,
            is_all_heard=self._is_all_heard,
            is_killing=lambda: self._emergency.is_under_way,
        )
        self._ending = False
        self._journal_failed = False
        self._ticks_waiting = 0

    # --- what others may ask of it -------------------------------------------------------------

    async def run(
        self, stop: asyncio.Event, *, for_s: float | None = None, once: bool = False
    ) -> None:
        """Follow the bridge until `stop` is set, `for_s` seconds passed, or `once` is done.

        At the end entries are cancelled; stops stay at the exchange.

        Raises:
            NotFlat: a kill could not prove that the account is flat, or a position of ours has no
                stop. PartialFailure: `once` found no end in time.
        """
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
            is_settled = await self._end.until_over(stop, for_s=for_s, once=once)
            self._ending = True
            self._emergency.end()
            await self._end.wind_down()
            for task in tasks:
                task.cancel()
        self._feedback.write()
        with contextlib.suppress(JournalUnavailable, TimeoutError):
            within(self._journal.flush, _FLUSH_S)
        self._report("stopped", {"positions": [self._shown_holding(s) for s in self._symbols_held]})
        self._tell_the_end(is_settled=is_settled)

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
        return await self._emergency.kill(reason, by=by)

    def _tell_the_end(self, *, is_settled: bool) -> None:
        """Raise if something is left that must not be taken for a good end."""
        unproven = self._emergency.unproven
        if unproven is not None:
            problems = "; ".join(unproven.problems[-3:]) or "something was still there"
            raise NotFlat(
                f"killed, and not proven flat: {problems}",
                advice="Run `trader kill --all` until it ends with 0.",
            )
        naked = [
            row.symbol
            for row in self._state.holdings.values()
            if row.is_own and row.naked_since_ms is not None
        ]
        if naked:
            raise NotFlat(
                f"ended with a position without a stop: {', '.join(naked)}",
                code="unprotected",
                advice="Look at `trader position list`, then protect or close it.",
            )
        if not is_settled:
            raise PartialFailure(
                "the decisions that are there found no end in time",
                code="not_settled",
                advice="The warnings say why; run it again.",
            )

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
            self._listening.picture_is_there()
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
            *self._listening.jobs(),
            watcher.run(self._take_bridge),
            self._tick(),
            self._reconciling.run(),
            self._emergency.run(),
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

    async def _take_bridge(self, event: BridgeEvent) -> None:
        await self._inbox.put(event)

    async def _tick(self) -> None:
        while True:
            self._latch_watch.look()
            self._reconciling.look()
            self._ticks_waiting += 1
            await self._inbox.put(Ticked())
            await self._clock.sleep(_TICK_S)

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

    def _count_trade(self, advisor: str, result: TradeResult) -> None:
        self._feedback.add(advisor, result)
        self._losses.ledger_is_due()
        if result.pnl_usdt < 0:
            self._hands.views.last_loss_ms = result.exited_ms

    def _on_advisor(self, event: AdvisorEvent) -> None:
        self._report("advisor", advisor_fields(event))

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

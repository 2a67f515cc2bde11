"""Build the engine for one run, let it run, and end it in good order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trader_cli.cli.context import Desk, Session, entry_blocks, open_desk, open_session
from trader_cli.cli.invocation import Invocation
from trader_cli.errors import NotFlat, PartialFailure, TraderError, UsageError

if TYPE_CHECKING:
    from trader_cli.bridge.feedback import Source
    from trader_cli.config import Settings
    from trader_cli.domain.rules import BridgeRules
    from trader_cli.engine.advisors import AdvisorProgram
    from trader_cli.engine.options import EngineOptions
    from trader_cli.journal.journal import Journal
    from trader_cli.journal.lease import LeaseHolder

_GUARDED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWish:
    """What the operator asked of `trader run`; relative paths start at the caller's folder."""

    bridge: Path
    advisors: tuple[str, ...]
    for_s: float | None
    once: bool
    symbols: tuple[str, ...]


def run_engine(invocation: Invocation, wish: RunWish) -> int:
    """Run the engine to its end and return the exit code.

    Raises:
        UsageError: no such advisor, or another engine runs on the account.
        RefusedByRisk: others' positions are there, and the configuration refuses to start then.
        TraderError: it could not be started.
    """
    from trader_cli.engine.advisors import resolve_program

    bridge = invocation.cwd / wish.bridge
    if bridge.exists() and not bridge.is_dir():
        raise UsageError(f"--bridge {wish.bridge} is not a folder")
    programs = tuple(resolve_program(line, folder=invocation.cwd) for line in wish.advisors)
    wish = replace(wish, bridge=bridge)

    async def main() -> None:
        async with open_session(invocation) as session, open_desk(session) as desk:
            if invocation.shared.dry_run:
                await _preview(desk, wish)
            else:
                await _run(desk, wish, programs)

    asyncio.run(main())
    return 0


async def _run(desk: Desk, wish: RunWish, programs: tuple[AdvisorProgram, ...]) -> None:
    from trader_cli.cli.foreign_actions import meet_at_start
    from trader_cli.cli.run_events import event_printer
    from trader_cli.cli.run_output import Outlet
    from trader_cli.engine.live_trading_engine import LiveTradingEngine
    from trader_cli.exchange.streams import MarketStream, UserStream
    from trader_cli.journal.journal import Journal

    journal = desk.journal
    if not isinstance(journal, Journal):
        raise journal.reason
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    outlet = Outlet(
        event_printer(desk.invocation),
        now_ms=desk.clock.now_ms,
        on_closed=lambda: _end_unread(desk.invocation, loop, stop),
    )
    with outlet, _lease(desk.settings), _stopping(desk.invocation, stop):
        options = await _options(desk, wish, programs)
        await meet_at_start(desk, options.bridge.symbols)
        rest_url, stream_url = _urls(desk)
        engine = LiveTradingEngine(
            client=desk.client,
            user_stream=UserStream(desk.client, stream_url, clock=desk.clock),
            market_stream=MarketStream(stream_url, options.bridge.symbols, clock=desk.clock),
            journal=journal,
            latch=desk.latch,
            risk=desk.risk,
            clock=desk.clock,
            options=replace(options, advisor_environment=_advisor_environment(desk, rest_url)),
            report=outlet.report,
        )
        failure: TraderError | None = None
        async with _kept_small(desk, journal):
            try:
                await engine.run(stop, for_s=wish.for_s, once=wish.once)
            except (NotFlat, PartialFailure) as error:
                failure = error
    if outlet.is_stuck:
        desk.invocation.say("the reader of the output stands still: its rest is not printed")
        if failure is not None:
            desk.invocation.say(failure.message)
        journal.close()
        # An interpreter that ends would wait for the blocked writer.
        os._exit(0 if failure is None else failure.exit_code)
    if failure is not None:
        raise failure


@asynccontextmanager
async def _kept_small(desk: Desk, journal: Journal) -> AsyncIterator[None]:
    """Move old rows out of the journal while the engine runs."""
    from trader_cli.engine.upkeep import keep_small

    keep_days = desk.settings.journal.keep_days
    if keep_days == 0:
        yield
        return
    upkeep = asyncio.create_task(
        keep_small(journal, desk.clock, keep_days=keep_days, say=desk.invocation.say)
    )
    try:
        yield
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)


def _end_unread(
    invocation: Invocation, loop: asyncio.AbstractEventLoop, stop: asyncio.Event
) -> None:
    """End in good order, as when the terminal goes away."""
    invocation.say("nobody reads the output any more: ending; protective stops stay")
    with suppress(RuntimeError):  # the loop is over already
        loop.call_soon_threadsafe(stop.set)


async def _options(
    desk: Desk, wish: RunWish, programs: tuple[AdvisorProgram, ...]
) -> EngineOptions:
    """Ask the exchange what the run has to know, and check the symbols against it."""
    from trader_cli.bridge.local_time import zone_of
    from trader_cli.engine.options import EngineOptions

    settings = desk.settings
    await desk.client.sync_clock()
    summary = await desk.client.get_account_summary()
    rules = _rules(settings.bridge, wish.symbols)
    for symbol in rules.symbols:
        await desk.orders.instrument(symbol)
    return EngineOptions(
        bridge_dir=wish.bridge,
        log_dir=settings.state_dir / "logs",
        bridge=rules,
        entry=settings.entry,
        foreign=settings.foreign,
        source=_source(settings),
        zone=zone_of(settings.bridge.time_zone),
        hedge_mode=summary.hedge_mode,
        recv_window_ms=settings.network.recv_window_ms,
        programs=programs,
        blocks=entry_blocks(settings),
    )


def _rules(rules: BridgeRules, symbols: tuple[str, ...]) -> BridgeRules:
    """Return the rules for the symbols that the command line names, else the configured ones."""
    if not symbols:
        return rules
    default = rules.symbol if rules.symbol in symbols else symbols[0]
    return replace(rules, symbol=default, symbols=symbols)


def _source(settings: Settings) -> Source:
    from trader_cli.bridge.feedback import Source
    from trader_cli.config_environ import Environment

    return {
        Environment.PAPER: Source.PAPER,
        Environment.TESTNET: Source.TESTNET,
        Environment.LIVE: Source.LIVE,
    }[settings.environment]


def _urls(session: Session) -> tuple[str, str]:
    """Return the origins of REST and streams that the session's environment means."""
    from trader_cli.config_environ import Environment
    from trader_cli.exchange.binance_futures_client import MAINNET_STREAM_URL, TESTNET_STREAM_URL

    settings = session.settings
    rest_url, stream_url = session.client.rest_url, settings.stream_url
    if stream_url is None and settings.environment is Environment.PAPER:
        from trader_cli.paper.process import recorded_endpoint

        endpoint = recorded_endpoint(settings.home)
        if endpoint is None:
            raise UsageError(
                "TRADER_REST_URL names another server and TRADER_STREAM_URL does not",
                advice="set both, or neither",
            )
        stream_url = endpoint.stream_url
    if stream_url is None:
        is_live = settings.environment is Environment.LIVE
        stream_url = MAINNET_STREAM_URL if is_live else TESTNET_STREAM_URL
    return rest_url, stream_url


def _advisor_environment(desk: Desk, rest_url: str) -> dict[str, str]:
    from trader_cli.engine.advisors import advisor_environment

    return advisor_environment(desk.invocation.environ, rest_url=rest_url)


@contextmanager
def _lease(settings: Settings) -> Iterator[None]:
    """Hold the account's lease: two engines on one account would double every decision."""
    from trader_cli.journal.lease import AccountLease

    lease = AccountLease.acquire(settings.state_dir, role="run")
    if not isinstance(lease, AccountLease):
        raise _held_by(lease)
    with lease:
        yield


def _held_by(holder: LeaseHolder) -> UsageError:
    who = f"process {holder.pid} on {holder.host}" if holder.pid else "another process"
    return UsageError(
        f"an engine already runs on this account: {who}",
        code="lease_held",
        advice="end it first; commands by hand may be used beside it",
    )


@contextmanager
def _stopping(invocation: Invocation, stop: asyncio.Event) -> Iterator[None]:
    """Turn the first Ctrl-C into an orderly end; a second one ends at once."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if stop.is_set():
            invocation.say("ended at once: stops rest at the exchange, entries may too")
            os._exit(130)
        invocation.say("ending: entries are cancelled, protective stops stay at the exchange")
        stop.set()

    for name in _GUARDED_SIGNALS:
        loop.add_signal_handler(name, ask)
    try:
        yield
    finally:
        for name in _GUARDED_SIGNALS:
            loop.remove_signal_handler(name)


async def _preview(desk: Desk, wish: RunWish) -> None:
    """Show what every section says and why it is or is not tradable; send nothing."""
    from trader_cli.bridge.confirm import SignalSeen
    from trader_cli.bridge.local_time import zone_of
    from trader_cli.bridge.watcher import BridgeWatcher
    from trader_cli.cli.run_events import printer
    from trader_cli.engine.intake import section_fields

    rules = desk.settings.bridge
    watcher = BridgeWatcher(wish.bridge, zone=zone_of(rules.time_zone), clock=desk.clock)
    report = printer(desk.invocation, desk.clock)
    for event in watcher.read_once():
        if isinstance(event, SignalSeen):
            report("section", section_fields(event, rules, now_ms=desk.clock.now_ms()))

"""The composition root: settings become a client, a journal, a latch, a risk module and managers.

The only place that knows which class stands behind each contract. Heavy modules are imported here,
inside the functions, when a command really needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from trader_cli.cli.banner import banner
from trader_cli.cli.invocation import Answer, Invocation
from trader_cli.clock import SystemClock
from trader_cli.urgency import insisting

if TYPE_CHECKING:
    from trader_cli.cli.absent_journal import AbsentJournal
    from trader_cli.cli.recent_views import RecentViews
    from trader_cli.config import Settings
    from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
    from trader_cli.journal.halt import HaltLatch
    from trader_cli.journal.journal import Journal
    from trader_cli.trading.orders.order_manager import OrderManager
    from trader_cli.trading.positions.position_manager import PositionManager
    from trader_cli.trading.risk.risk_manager import EntryBlock, RiskLimits, RiskManager


WEIGHT_KEPT_FOR_KILL: Final = 300
"""Of the 2,400 a minute: two rounds of kill over every symbol."""
WEIGHT_KEPT_FOR_EXITS: Final = 600
"""Left by commands that only look or open: an engine's stops and exits need the rest."""

_LEAVES_LITTLE: Final = frozenset(
    {"run", "order cancel", "order cancel-all", "order resolve", "risk halt"}
)
_PROTECTS_OR_CLOSES: Final = frozenset(
    {
        *("order stop-loss", "order take-profit", "order trailing-stop"),
        *("position close", "position reduce", "position protect", "position adopt"),
    }
)
"""What these read belongs to a stop or to a close, and leaves nothing to others."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A connection to the exchange of one environment."""

    invocation: Invocation
    settings: Settings
    clock: SystemClock
    latch: HaltLatch
    client: BinanceFuturesClient


@dataclass(frozen=True, kw_only=True)
class Desk(Session):
    """What a command works with.

    Attributes:
        command_id: who decided: the source of this command's client order ids.
        limits: those in force, which may be tighter than the configured ones.
    """

    command_id: str
    journal: Journal | AbsentJournal
    limits: RiskLimits
    risk: RiskManager
    views: RecentViews

    @cached_property
    def orders(self) -> OrderManager:
        """The order manager, the one way in for orders."""
        from trader_cli.trading.orders.order_manager import OrderManager

        return OrderManager(
            self.client,
            journal=self.journal,
            risk=self.risk,
            latch=self.latch,
            clock=self.clock,
            policy=self.settings.entry,
            views=self.views.read,
            recv_window_ms=self.settings.network.recv_window_ms,
        )

    @cached_property
    def positions(self) -> PositionManager:
        """The position manager."""
        from trader_cli.trading.positions.position_manager import PositionManager

        return PositionManager(self.orders)


def settings_of(invocation: Invocation, *, for_kill: bool = False) -> Settings:
    """Return the settings this command runs under; the envelope then knows its environment.

    Raises:
        ConfigError: every problem, one a line.
    """
    from trader_cli.config import load_settings

    settings = load_settings(
        env=invocation.shared.env,
        config=invocation.shared.config,
        live=invocation.shared.live,
        environ=invocation.environ,
        cwd=invocation.cwd,
        for_kill=for_kill,
    )
    invocation.env = settings.environment.value
    return settings


def latch_of(settings: Settings) -> HaltLatch:
    """Return the halt latch of the settings' environment."""
    from trader_cli.journal.halt import HaltLatch

    return HaltLatch(settings.halt_dir, SystemClock())


def trade(invocation: Invocation, act: Callable[[Desk], Awaitable[Answer]]) -> Answer:
    """Run a command that works with the account, its orders, its positions or the risk module."""

    async def main() -> Answer:
        with insisting(when=invocation.command in _PROTECTS_OR_CLOSES):
            async with open_session(invocation) as session, open_desk(session) as desk:
                return await act(desk)

    return asyncio.run(main())


@asynccontextmanager
async def open_session(invocation: Invocation) -> AsyncIterator[Session]:
    """Connect to the environment's exchange; in paper it is started if it does not run.

    Raises:
        ConfigError, PermissionDenied: no valid settings, no keys.
        NotSent: the paper exchange could not be started.
    """
    settings = settings_of(invocation)
    latch = latch_of(settings)
    async with make_client(settings, weight_kept=_weight_kept(invocation)) as client:
        yield Session(
            invocation=invocation,
            settings=settings,
            clock=SystemClock(),
            latch=latch,
            client=client,
        )


def _weight_kept(invocation: Invocation) -> int:
    """Return the request weight this command leaves to others; what ends exposure leaves least."""
    if invocation.command in _LEAVES_LITTLE:
        return WEIGHT_KEPT_FOR_KILL
    return WEIGHT_KEPT_FOR_EXITS


def make_client(settings: Settings, *, weight_kept: int = 0) -> BinanceFuturesClient:
    """Return the futures client of the settings' environment, not yet connected.

    `weight_kept` of a minute's request weight is left to others; kill leaves nothing.

    Raises:
        PermissionDenied: no keys. NotSent: the paper exchange could not be started.
    """
    from trader_cli.config_environ import Environment
    from trader_cli.exchange.binance_futures_client import BinanceFuturesClient
    from trader_cli.journal.ban import FileBanStore
    from trader_cli.journal.usage import FileBudget

    rest_url = settings.rest_url
    kept: int | None = weight_kept
    if settings.keys is None and settings.environment is Environment.PAPER:
        from trader_cli.paper.process import ensure_running, recorded_endpoint

        if rest_url is None:
            own = ensure_running(settings.home, SystemClock(), settings.paper)
            rest_url, key, secret = own.rest_url, own.api_key, own.api_secret
            if not settings.paper.rate_limits:
                kept = None  # it counts all the same, and refuses nothing
        else:
            # Another server: the embedded exchange's pair may fit; if not, that server says so.
            known = recorded_endpoint(settings.home)
            key, secret = ("", "") if known is None else (known.api_key, known.api_secret)
    else:
        keys = settings.required_keys()
        key, secret = keys.api_key.reveal(), keys.api_secret.reveal()
    return BinanceFuturesClient(
        testnet=settings.environment is not Environment.LIVE,
        api_key=key,
        api_secret=secret,
        rest_url=rest_url,
        clock=SystemClock(),
        recv_window_ms=settings.network.recv_window_ms,
        timeout_s=float(settings.network.timeout_s),
        ban=FileBanStore(settings.ban_path),
        firewall=FileBanStore(settings.firewall_path),
        budget=FileBudget(settings.state_dir / "usage", venue=rest_url or settings.environment),
        weight_kept=kept,
    )


@asynccontextmanager
async def open_desk(session: Session) -> AsyncIterator[Desk]:
    """Open the journal, put the limits in force, say where the command acts."""
    from trader_cli.cli.recent_views import RecentViews
    from trader_cli.trading.risk.risk_manager import RiskManager
    from trader_cli.trading.risk.risk_view import RiskViewReader

    settings, invocation = session.settings, session.invocation
    await session.client.know_clock()  # the day is the exchange's, from the first command on
    journal = open_journal(session)
    limits = limits_of(invocation, settings, journal)
    invocation.say(banner(settings, limits, session.latch.all()))
    command_id = f"command/{uuid4().hex}"
    reader = RiskViewReader(
        session.client,
        journal=journal,
        clock=session.clock,
        halts=session.latch.all,
        blocks=entry_blocks(settings),
    )
    try:
        yield Desk(
            invocation=invocation,
            settings=settings,
            clock=session.clock,
            latch=session.latch,
            client=session.client,
            command_id=command_id,
            journal=journal,
            limits=limits,
            risk=RiskManager(limits),
            views=RecentViews(reader.read, session.clock),
        )
    except asyncio.CancelledError:
        _tell_doubt(invocation, journal, command_id)
        raise
    finally:
        journal.close()


def _tell_doubt(invocation: Invocation, journal: Journal | AbsentJournal, command_id: str) -> None:
    """Say which orders an interrupted command left without knowing what became of them."""
    from trader_cli.domain.order_life_cycle import IntentStatus
    from trader_cli.journal.errors import JournalUnavailable

    with suppress(JournalUnavailable):
        for intent in journal.intents_of(command_id):
            if intent.status is IntentStatus.UNKNOWN:
                invocation.say(
                    f"{intent.client_order_id} of {intent.symbol} was being sent and may be at the"
                    " exchange: run `trader order resolve`"
                )


def open_journal(session: Session) -> Journal | AbsentJournal:
    """Return the environment's journal, or one that refuses whatever needs it."""
    from trader_cli.cli.absent_journal import AbsentJournal
    from trader_cli.journal.errors import JournalUnavailable
    from trader_cli.journal.journal import Journal

    try:
        return Journal.open(
            session.settings.journal_path, session.clock, tell=session.invocation.say
        )
    except JournalUnavailable as error:
        session.invocation.say(f"no journal: {error.message}")
        return AbsentJournal(error)


def limits_of(
    invocation: Invocation, settings: Settings, journal: Journal | AbsentJournal
) -> RiskLimits:
    """Return the limits in force: a tighter configuration binds at once, a looser one waits.

    Without a journal the configured ones hold: nothing can be opened then anyway.
    """
    from trader_cli.journal.errors import JournalUnavailable
    from trader_cli.trading.orders.order_tracker import NOTE_JOURNAL_MS
    from trader_cli.trading.risk.limits_in_force import limits_in_force, read_limits, write_limits

    try:
        present = limits_in_force(read_limits(journal), settings.risk)
    except JournalUnavailable:
        return settings.risk
    if present.to_journal is not None:
        # Unwritten they hold all the same, and the next command writes them: no exit waits here.
        with suppress(JournalUnavailable):
            write_limits(
                journal,
                present.to_journal,
                reason="configuration",
                deadline_ms=NOTE_JOURNAL_MS,
                keep=True,
            )
    if present.waiting:
        names = ", ".join(row.name for row in present.waiting)
        invocation.say(f"looser in the configuration and not in force: {names}")
        invocation.say("`trader risk limits --accept` takes it over")
    return present.limits


def entry_blocks(settings: Settings) -> tuple[EntryBlock, ...]:
    """Return why nothing may open in this environment at all, whatever the limits say.

    Live entries need a go-live attestation; while that feature does not exist there is none.
    """
    from trader_cli.config_environ import Environment
    from trader_cli.trading.risk.risk_manager import EntryBlock

    if settings.environment is not Environment.LIVE:
        return ()
    message = "live entries need a go-live attestation, and there is none"
    if not settings.live_confirmed:
        message = f"live entries need --live; besides, {message}"
    return (EntryBlock(rule="live_gate", message=message),)

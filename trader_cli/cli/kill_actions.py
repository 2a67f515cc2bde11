"""What `trader kill` does: every environment that can hold something, each latched first.

Stopping needs less to work than trading does: a broken configuration is passed over, the journal
is tried once, and an exchange that cannot be reached leaves its engine halted all the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from trader_cli.cli.context import latch_of, make_client, settings_of
from trader_cli.cli.invocation import Answer, Invocation, Json, Table
from trader_cli.cli.records import (
    cancelled_json,
    held_table,
    order_json,
    orders_table,
    position_json,
    raw_order_json,
)
from trader_cli.clock import SystemClock
from trader_cli.config import Settings, load_settings
from trader_cli.config_environ import Environment
from trader_cli.domain.account import Position
from trader_cli.domain.order_life_cycle import IntentEvent, IntentStatus
from trader_cli.errors import NotFlat, TraderError
from trader_cli.journal.disk_wait import within
from trader_cli.journal.errors import JournalLate, JournalUnavailable, LatchNotWritten
from trader_cli.journal.halt import HaltedBy, HaltLatch
from trader_cli.journal.journal import Journal
from trader_cli.journal.lease import AccountLease, LeaseHolder
from trader_cli.trading.kill import KillResult, RawOrder, Resting
from trader_cli.trading.kill import kill as kill_account

_JOURNAL_WAIT_MS: Final = 50
_LATCH_WAIT_S: Final = 2.0
_RESTED: Final = frozenset({IntentStatus.OPEN, IntentStatus.PARTLY_FILLED})
_SILENT_S: Final = 2.0
"""Whoever kills is not left without a word for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillWish:
    """What was asked for; `symbol` None is everything."""

    symbol: str | None
    cancel_only: bool
    stops: bool

    @property
    def reason(self) -> str:
        scope = "--all" if self.symbol is None else f"--symbol {self.symbol}"
        return f"kill {scope}{' --cancel-only' if self.cancel_only else ''}"


def run_kill(invocation: Invocation, wish: KillWish) -> Answer:
    """Kill wherever there is something to kill and answer with what is proven."""
    places = environments(invocation)
    invocation.env = ",".join(place.environment.value for place in places)
    if invocation.shared.dry_run:
        return _would_kill(places)
    latched = [_Place(invocation, settings, wish) for settings in places]
    try:
        return asyncio.run(_kill_all(latched, wish))
    except KeyboardInterrupt:
        halted = "halted" if all(place.is_halted for place in latched) else "NOT HALTED"
        invocation.say(f"{invocation.env}: {halted}, NOT PROVEN FLAT: run it again")
        raise


def environments(invocation: Invocation) -> list[Settings]:
    """Return the settings of every environment that can hold something, the real ones first.

    With `--env` only that one. Paper counts where nothing else does, or where it has state.
    """
    chosen = settings_of(invocation, for_kill=True)
    for problem in chosen.problems:
        invocation.say(f"passed over: {problem}")
    if invocation.shared.env is not None:
        return [chosen]
    found = [
        settings
        for name in (Environment.LIVE, Environment.TESTNET, Environment.PAPER)
        if _concerns(settings := _settings_for(invocation, name))
    ]
    return found or [chosen]


class _LatchedAlready:
    """The latch as kill asks for it, which was set before anything else was tried."""

    def __init__(self, error: LatchNotWritten | None) -> None:
        self._error = error

    def set(self, *, reason: str, by: HaltedBy, symbol: str | None = None) -> object:
        if self._error is not None:
            raise self._error
        return None


class _Place:
    """One environment being killed; the latch is set when it is made."""

    def __init__(self, invocation: Invocation, settings: Settings, wish: KillWish) -> None:
        self.settings = settings
        self._invocation = invocation
        self._wish = wish
        self._latch: HaltLatch = latch_of(settings)
        self._error: LatchNotWritten | None = None
        try:
            within(
                lambda: self._latch.set(reason=wish.reason, by=HaltedBy.PERSON, symbol=wish.symbol),
                _LATCH_WAIT_S,
            )
        except TimeoutError:
            self._error = LatchNotWritten(
                f"the halt could not be written within {_LATCH_WAIT_S:.0f} s: the disk does not"
                " answer",
                code="latch_not_written",
            )
        except LatchNotWritten as error:
            self._error = error
        if self._error is not None:
            self._end_engine()

    @property
    def is_halted(self) -> bool:
        """True if the latch is on disk."""
        return self._error is None

    async def kill(self) -> Json:
        """Kill and return the environment's object of the contract; say so where it takes long."""
        killing = asyncio.ensure_future(self._kill())
        try:
            _, late = await asyncio.wait({killing}, timeout=_SILENT_S)
            if late:
                halted = "halted" if self.is_halted else "NOT HALTED"
                self._invocation.say(
                    f"{self.settings.environment.value}: {halted}, not proven flat yet; going on "
                    f"for up to {self.settings.kill.deadline_s} s"
                )
            return await killing
        finally:
            killing.cancel()

    async def _kill(self) -> Json:
        try:
            client = await asyncio.to_thread(make_client, self.settings)
        except TraderError as error:
            return self._unreached(error)
        async with client:
            with _Notes(self.settings, self._invocation) as notes:
                result = await kill_account(
                    client,
                    _LatchedAlready(self._error),
                    clock=SystemClock(),
                    reason=self._wish.reason,
                    symbol=self._wish.symbol,
                    cancel_only=self._wish.cancel_only,
                    stops=self._wish.stops,
                    deadline_s=float(self.settings.kill.deadline_s),
                    recv_window_ms=self.settings.network.recv_window_ms,
                    engine_quiet=self._is_engine_quiet,
                    note=notes.write,
                )
                notes.settle(result.cancelled)
        return result_json(self.settings.environment, result)

    def _is_engine_quiet(self) -> bool:
        """Return True if no engine lives, or the one that does has acknowledged this halt."""
        try:
            holder = AccountLease.holder(self.settings.state_dir)
        except OSError:
            return False
        return holder is None or holder.pid in self._latch.acknowledged_by()

    def _end_engine(self) -> None:
        """Without a latch on disk nothing stops an engine but its end."""
        holder: LeaseHolder | None = None
        with suppress(OSError):
            holder = AccountLease.holder(self.settings.state_dir)
        if holder is None or holder.pid is None or holder.host != os.uname().nodename:
            return
        self._invocation.say(f"the halt cannot be written: ending the engine, pid {holder.pid}")
        with suppress(ProcessLookupError, PermissionError):
            os.kill(holder.pid, signal.SIGKILL)

    def _unreached(self, error: TraderError) -> Json:
        problems = [error.message]
        if self._error is not None:
            problems.append(self._error.message)
        return {
            "env": self.settings.environment.value,
            "done": False,
            "flat": False,
            "halted": self._error is None,
            "cancelled": [],
            "closed": [],
            "remaining": [],
            "rounds": 0,
            "elapsed_ms": 0,
            "problems": problems,
        }


class _Notes:
    """The journal, tried for 50 ms; kill goes on without it."""

    def __init__(self, settings: Settings, invocation: Invocation) -> None:
        self._journal: Journal | None = None
        try:
            self._journal = within(
                lambda: Journal.open(
                    settings.journal_path,
                    SystemClock(),
                    wait_ms=_JOURNAL_WAIT_MS,
                    tell=invocation.say,
                ),
                _JOURNAL_WAIT_MS / 1000,
            )
        except (JournalUnavailable, TimeoutError) as error:
            invocation.say(f"kill goes on without the journal: {error or 'the disk is slow'}")

    def __enter__(self) -> _Notes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            with suppress(JournalUnavailable):
                self._journal.close()

    def write(self, kind: str, data: dict[str, object]) -> None:
        """Append a row."""
        if self._journal is not None:
            with suppress(JournalLate):  # it waits for the disk; kill does not
                self._journal.record(kind, data, deadline_ms=_JOURNAL_WAIT_MS, keep=True)

    def settle(self, cancelled: Iterable[Resting]) -> None:
        """Write down of our own orders that they are gone, or the next sync takes it for drift."""
        if self._journal is None:
            return
        with suppress(JournalUnavailable, JournalLate):
            for order in cancelled:
                intent = self._journal.intent(order.client_order_id)
                if intent is None or intent.symbol != order.symbol:
                    continue
                if intent.status in _RESTED:
                    self._journal.record_event(
                        order.client_order_id,
                        IntentEvent.CANCEL,
                        {"by": "kill"},
                        deadline_ms=_JOURNAL_WAIT_MS,
                        keep=True,
                    )


async def _kill_all(places: list[_Place], wish: KillWish) -> Answer:
    results = list(await asyncio.gather(*(place.kill() for place in places)))
    data: Json = {
        "flat": all(row["flat"] for row in results),
        "halted": all(row["halted"] for row in results),
        "cancelled": [order for row in results for order in row["cancelled"]],
        "closed": [position for row in results for position in row["closed"]],
        "remaining": [left for row in results for left in row["remaining"]],
        "rounds": max(row["rounds"] for row in results),
        "elapsed_ms": max(row["elapsed_ms"] for row in results),
        "environments": results,
    }
    failure = None
    if not all(row["done"] for row in results):
        failed = [row["env"] for row in results if not row["done"]]
        words = [problem for row in results for problem in row["problems"]]
        failure = NotFlat(
            f"{wish.reason}: not proven on {', '.join(failed)}: {'; '.join(words) or 'time is up'}",
            code="not_flat",
            advice="run it again, or use the exchange's own screens",
        )
    return Answer(data=data, tables=lambda: _tables(results), failure=failure)


def result_json(environment: Environment, result: KillResult) -> Json:
    """Return one environment's result."""
    return {
        "env": environment.value,
        "done": result.done,
        "flat": result.flat,
        "halted": result.halted,
        "cancelled": [_cancelled(row) for row in result.cancelled],
        "closed": [position_json(row) for row in result.closed],
        "remaining": [_row(row) for row in result.remaining],
        "rounds": result.rounds,
        "elapsed_ms": result.elapsed_ms,
        "problems": list(result.problems),
    }


def _cancelled(row: Resting) -> Json:
    return _row(row) if isinstance(row, RawOrder) else cancelled_json(row)


def _row(row: Resting | Position) -> Json:
    if isinstance(row, Position):
        return position_json(row)
    if isinstance(row, RawOrder):
        return raw_order_json(
            row.symbol, row.number, client_order_id=row.client_order_id, is_algo=row.is_algo
        )
    return order_json(row)


def _tables(results: list[Json]) -> list[Table]:
    tables: list[Table] = []
    for row in results:
        proven = "flat" if row["flat"] else "done" if row["done"] else "NOT FLAT"
        halted = "halted" if row["halted"] else "NOT HALTED"
        rounds = "1 round" if row["rounds"] == 1 else f"{row['rounds']} rounds"
        said = f"{row['env']}: {proven}, {halted}, {rounds}, {row['elapsed_ms']} ms"
        tables.append(Table(title=said, columns=()))
        if row["cancelled"]:
            tables.append(orders_table("Cancelled", row["cancelled"]))
        if row["closed"]:
            tables.append(held_table("Closed", row["closed"]))
        if row["remaining"]:
            orders = [left for left in row["remaining"] if "kind" in left]
            held = [left for left in row["remaining"] if "kind" not in left]
            tables += [
                orders_table("Orders that remain", orders),
                held_table("Positions that remain", held),
            ]
    return tables


def _would_kill(places: list[Settings]) -> Answer:
    names = [place.environment.value for place in places]
    title = f"Would halt, cancel and close on {', '.join(names)}; nothing was done"
    return Answer(
        data={"dry_run": True, "environments": [{"env": name} for name in names]},
        tables=lambda: [Table(title=title, columns=())],
    )


def _settings_for(invocation: Invocation, environment: Environment) -> Settings:
    return load_settings(
        env=environment.value,
        config=invocation.shared.config,
        live=invocation.shared.live,
        environ=invocation.environ,
        cwd=invocation.cwd,
        for_kill=True,
    )


def _concerns(settings: Settings) -> bool:
    """Return True if there may be something to kill: an engine, our own state, or keys."""
    if settings.environment is settings.exchange_keys_for:
        return True
    if settings.environment is Environment.PAPER and settings.exchange_dir.exists():
        return True
    try:
        held = AccountLease.holder(settings.state_dir) is not None
    except OSError:
        held = True
    return held or _has_sent_orders(settings)


def _has_sent_orders(settings: Settings) -> bool:
    """Return True if our journal knows of any order there, or cannot say."""
    if not settings.journal_path.exists():
        return False
    try:
        with Journal.open(
            settings.journal_path, SystemClock(), wait_ms=_JOURNAL_WAIT_MS
        ) as journal:
            return journal.last("intent") is not None
    except JournalUnavailable:
        return True

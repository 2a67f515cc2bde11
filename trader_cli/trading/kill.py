"""Kill: latch the halt, cancel, flatten, and prove it flat. It needs as little as can be.

Knows the exchange client and the latch; must not need configuration, journal, risk module or order
manager, because any of them may be what is broken. Flat is only what a successful read says after
the last write, once nothing that was under way before the latch can still arrive.

Source: binance-usdm reference §7 (the two worlds of orders), §3.5 (bans), §3.4 (recvWindow).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from trader_cli.clock import Clock
from trader_cli.domain.account import Position
from trader_cli.domain.client_id import Leg, client_order_id
from trader_cli.domain.instrument import round_quantity_down, split_quantity
from trader_cli.domain.order import (
    AlgoOrder,
    ConditionalRequest,
    MarketRequest,
    Order,
)
from trader_cli.domain.terms import PositionSide
from trader_cli.errors import (
    FIREWALL,
    RateLimited,
    Rejected,
    TraderError,
    VenueError,
)
from trader_cli.journal.errors import LatchNotWritten
from trader_cli.journal.halt import HaltedBy
from trader_cli.trading.kill_reading import (
    KillReader,
    KillVenue,
    RawOrder,
    Resting,
    Seen,
    id_of,
    is_algo,
    is_stop_of,
    protects,
)

__all__ = ["KillResult", "KillVenue", "RawOrder", "Resting", "kill"]

_T = TypeVar("_T")

DEADLINE_S: Final = 30.0
_IN_FLIGHT_MARGIN_MS: Final = 1_000
_PAUSE_S: Final = 0.1
_PAUSE_S_MAX: Final = 2.0
"""Doubled from the first pause, this is what a minute's weight allows: a round reads for 85."""

_QUIET_POLL_S: Final = 0.1
_QUIET_LOOKS: Final = 10
"""Looks whether the engine is quiet between two reads of an account that holds nothing."""

_PARALLEL_MAX: Final = 20
_SWEEP_FROM: Final = 2
_READS_DENIED_MAX: Final = 2
_ALREADY_SO: Final = frozenset({-2011, -2013, -2022, -4118})
"""Codes that say the order or position is gone already; the next read tells."""

Note = Callable[[str, dict[str, object]], object]
"""Writes a journal row; it must return within 50 ms, and may fail."""


class LatchSetter(Protocol):
    """The halt latch as kill needs it."""

    def set(self, *, reason: str, by: HaltedBy, symbol: str | None = None) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KillResult:
    """What kill did and what is left.

    Attributes:
        done: the goal is reached and proven: flat, or with `cancel_only` no such order left.
        flat: no order, no conditional order and no position is left (of the symbol, if one).
        halted: the latch is set; False means nothing on disk stops an engine.
        closed: the positions as they were when they were closed.
        remaining: what the last successful read showed; empty without one, see `problems`.
        rounds: reads of the exchange's state.
        problems: what went wrong on the way, each said once.
    """

    done: bool
    flat: bool
    halted: bool
    cancelled: tuple[Resting, ...]
    closed: tuple[Position, ...]
    remaining: tuple[Resting | Position, ...]
    rounds: int
    elapsed_ms: int
    problems: tuple[str, ...]


async def kill(
    client: KillVenue,
    latch: LatchSetter,
    *,
    clock: Clock,
    reason: str,
    symbol: str | None = None,
    cancel_only: bool = False,
    stops: bool = False,
    by: HaltedBy = HaltedBy.PERSON,
    deadline_s: float = DEADLINE_S,
    recv_window_ms: int = 5_000,
    engine_quiet: Callable[[], bool] | None = None,
    note: Note | None = None,
) -> KillResult:
    """Halt first, then cancel and close everything (of `symbol`) until it is proven or time is up.

    Never raises for anything the exchange or the latch does; the result says it.

    Args:
        cancel_only: cancel what can raise exposure, close nothing; with `stops` exits too.
        engine_quiet: True once no engine can send any more (it acknowledged the latch, or no such
            process lives). Without it recvWindow plus a margin since the latch is waited for, and
            where the latch could not be written nothing is ever proven.
        note: journals best effort.
    """
    started_s = clock.monotonic()
    problems: list[str] = []
    try:
        latch.set(reason=reason, by=by, symbol=symbol)
        halted = True
    except LatchNotWritten as error:
        halted = False
        problems.append(error.message)
    run = _Kill(
        client=client,
        clock=clock,
        symbol=symbol,
        cancel_only=cancel_only,
        stops=stops,
        source=f"kill-{clock.now_ms()}",
        end_s=started_s + deadline_s,
        quiet_s=clock.monotonic() + (recv_window_ms + _IN_FLIGHT_MARGIN_MS) / 1000,
        halted=halted,
        engine_quiet=engine_quiet,
        note=note,
        problems=problems,
    )
    await run.until_done()
    return run.result(elapsed_ms=int((clock.monotonic() - started_s) * 1000))


@dataclass(slots=True, kw_only=True)
class _Kill:
    """The state of one kill."""

    client: KillVenue
    clock: Clock
    symbol: str | None
    cancel_only: bool
    stops: bool
    source: str
    end_s: float
    quiet_s: float
    halted: bool
    engine_quiet: Callable[[], bool] | None
    note: Note | None
    problems: list[str]
    reader: KillReader = field(init=False)
    done: bool = False
    rounds: int = 0
    sent: int = 0
    blocked_until_ms: int = 0
    seen: Seen | None = None
    cancelled: dict[tuple[bool, str, int], Resting] = field(default_factory=dict)
    closed: list[Position] = field(default_factory=list)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PARALLEL_MAX))

    def __post_init__(self) -> None:
        self.reader = KillReader(self.client, symbol=self.symbol, failed=self._failed)

    async def until_done(self) -> None:
        pause_s = 0.0
        self._journal("kill_began", {"symbol": self.symbol, "halted": self.halted})
        while self._left_s > 0 and self.reader.denied < _READS_DENIED_MAX:
            if not await self._wait_out_block():
                break
            was_quiet = self._is_quiet  # before: what arrives during a read may be missing in it
            seen = await self._read()
            wanted = () if seen is None else self._targets(seen)
            if seen is not None and not wanted and was_quiet:
                self.done = True
                break
            if seen is not None and not wanted:
                await self._wait_for_quiet()
                continue
            if seen is not None:
                await self._bounded(self._act(seen), "a round of cancelling and closing")
                # The first look after acting is at once; only what resists is waited for.
            else:
                pause_s = max(pause_s, _PAUSE_S)
            await self.clock.sleep(min(pause_s, self._left_s))
            pause_s = min(max(2 * pause_s, _PAUSE_S), _PAUSE_S_MAX)
        if not self.done:
            await self._put_stops_back()
        self._journal("kill_ended", {"done": self.done, "rounds": self.rounds})

    def result(self, *, elapsed_ms: int) -> KillResult:
        nothing_left = self.seen is not None and not self.seen.everything
        return KillResult(
            done=self.done,
            flat=self.done and nothing_left,
            halted=self.halted,
            cancelled=tuple(self.cancelled.values()),
            closed=tuple(self.closed),
            remaining=() if self.seen is None else self.seen.everything,
            rounds=self.rounds,
            elapsed_ms=elapsed_ms,
            problems=tuple(dict.fromkeys(self.problems)),
        )

    @property
    def _left_s(self) -> float:
        return self.end_s - self.clock.monotonic()

    @property
    def _is_quiet(self) -> bool:
        """Return True if nothing sent before the latch can still arrive, and nothing new comes."""
        if self.engine_quiet is not None and self.engine_quiet():
            return True
        return self.halted and self.clock.monotonic() >= self.quiet_s

    async def _wait_for_quiet(self) -> None:
        """Wait until nothing can arrive any more, but not so long that what arrives would rest."""
        for _ in range(_QUIET_LOOKS):
            if self._is_quiet or self._left_s <= 0:
                break
            await self.clock.sleep(min(_QUIET_POLL_S, self._left_s))

    async def _wait_out_block(self) -> bool:
        """Wait until requests are allowed again; False if that is beyond the deadline."""
        wait_s = (self.blocked_until_ms - self.clock.now_ms()) / 1000
        if wait_s > self._left_s:
            self._say(
                f"the exchange refuses requests for another {wait_s:.0f} s; nothing more is sent, "
                "because that would lengthen the ban: use the exchange's own screens"
            )
            return False
        await self.clock.sleep(max(0.0, wait_s))
        return True

    # --- reading ---------------------------------------------------------------------------

    async def _read(self) -> Seen | None:
        """Read orders, conditional orders and positions in one parallel round; None if any failed.

        A failed read is never "none".
        """
        self.rounds += 1
        seen = await self._bounded(self.reader.read(), "reading orders and positions")
        if seen is not None:
            self.seen = seen
        return seen

    # --- acting ----------------------------------------------------------------------------

    def _targets(self, seen: Seen) -> tuple[Resting | Position, ...]:
        """Return what has to go."""
        if not self.cancel_only:
            return seen.everything
        held = {(row.symbol, row.position_side) for row in seen.positions}
        return tuple(
            order
            for order in (*seen.orders, *seen.algos)
            if self.stops or not protects(order, held)
        )

    async def _act(self, seen: Seen) -> None:
        if self.cancel_only:
            targets = [row for row in self._targets(seen) if not isinstance(row, Position)]
            await self._cancel_each(targets)
            return
        symbols = {row.symbol for row in seen.everything}
        self._journal("kill_round", {"round": self.rounds, "symbols": sorted(symbols)})
        await asyncio.gather(*(self._flatten(seen, symbol) for symbol in symbols))

    async def _flatten(self, seen: Seen, symbol: str) -> None:
        """Cancel and close one symbol; its protective orders go only once the close is filled."""
        positions = [row for row in seen.positions if row.symbol == symbol]
        orders = [row for row in seen.orders if row.symbol == symbol]
        algos = [row for row in seen.algos if row.symbol == symbol]
        held = {(row.symbol, row.position_side) for row in positions}
        protective = [row for row in algos if protects(row, held)]
        others = [row for row in algos if row not in protective]
        _, _, *filled = await asyncio.gather(
            self._cancel_orders(symbol, orders),
            # Without a position everything conditional may go at once.
            self._cancel_algos(symbol, others) if not protective else self._cancel_each(others),
            *(self._close(row) for row in positions),
        )
        if all(filled):
            await self._cancel_algos(symbol, protective)

    async def _cancel_orders(self, symbol: str, orders: Sequence[Resting]) -> None:
        await self._sweep(orders, lambda: self.client.cancel_all_open_orders(symbol))

    async def _cancel_algos(self, symbol: str, orders: Sequence[Resting]) -> None:
        await self._sweep(orders, lambda: self.client.cancel_all_algo_orders(symbol))

    async def _sweep(
        self, orders: Sequence[Resting], cancel_all: Callable[[], Awaitable[None]]
    ) -> None:
        """Cancel all of a symbol by one request, which a busy account needs to stay under limits.

        What survives that is cancelled by id in the rounds after.
        """
        if len(orders) < _SWEEP_FROM or self.rounds > 1:
            await self._cancel_each(orders)
            return

        async def cancel() -> bool:
            await cancel_all()
            return True

        if await self._attempt(cancel):
            for order in orders:
                self.cancelled[(is_algo(order), order.symbol, id_of(order))] = order

    async def _close(self, position: Position) -> bool:
        """Close the position reduce-only at market; True if every part is known to be filled."""
        parts = self._parts(position)
        filled = await asyncio.gather(*(self._close_part(position, part) for part in parts))
        if any(filled):
            self.closed.append(position)
        return all(filled)

    def _parts(self, position: Position) -> list[Decimal]:
        size = abs(position.quantity)
        instrument = self.reader.instruments.get(position.symbol)
        if instrument is None:
            return [size]
        largest = round_quantity_down(instrument, instrument.market_quantity_max, market=True)
        return split_quantity(size, largest if largest > 0 else size)

    async def _close_part(self, position: Position, quantity: Decimal) -> bool:
        request = MarketRequest(
            symbol=position.symbol,
            side=position.direction.exit_side,
            quantity=quantity,
            client_order_id=self._next_id(Leg.EXIT),
            reduce_only=position.position_side is PositionSide.BOTH,
            position_side=position.position_side,
        )
        order = await self._attempt(lambda: self.client.send(request))
        return isinstance(order, Order) and order.filled_quantity >= quantity

    async def _cancel_each(self, orders: Iterable[Resting]) -> None:
        await asyncio.gather(*(self._cancel(order) for order in orders))

    async def _cancel(self, order: Resting) -> None:
        in_algo_service, id_ = is_algo(order), id_of(order)

        async def cancel() -> bool:
            if in_algo_service:
                await self.client.cancel_algo_order(id_)
            else:
                await self.client.cancel_order(order.symbol, id_)
            return True

        if await self._attempt(cancel):
            self.cancelled[(in_algo_service, order.symbol, id_)] = order

    async def _attempt(self, write: Callable[[], Awaitable[_T]]) -> _T | None:
        """Do one write; None if it failed, in whatever way: the next read tells what is so."""
        async with self.room:
            try:
                return await write()
            except Rejected as error:
                if error.code not in _ALREADY_SO:
                    self._failed(error)
            except VenueError as error:
                self._failed(error)
        return None

    async def _put_stops_back(self) -> None:
        """Give a position that is still open the stops back that were taken from it."""
        if self.seen is None or self.cancel_only or self.blocked_until_ms > self.clock.now_ms():
            return
        for position in self.seen.positions:
            for order in self._lost_stops(position):
                self._say(f"{position.symbol} is still open: its stop was put back")
                await self._send_again(order)

    def _lost_stops(self, position: Position) -> list[AlgoOrder]:
        assert self.seen is not None, "asked only after a successful read"
        resting: Sequence[Resting] = self.seen.algos
        if any(isinstance(row, AlgoOrder) and is_stop_of(row, position) for row in resting):
            return []
        return [
            row
            for row in self.cancelled.values()
            if isinstance(row, AlgoOrder) and is_stop_of(row, position)
        ]

    async def _send_again(self, order: AlgoOrder) -> None:
        request = self._again(order)
        await self._attempt(lambda: self.client.send(request))

    def _again(self, order: AlgoOrder) -> ConditionalRequest:
        return ConditionalRequest(
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            client_order_id=self._next_id(Leg.STOP),
            quantity=None if order.close_position else order.quantity,
            trigger_price=order.trigger_price,
            price=order.price or None,
            activate_price=order.activate_price,
            callback_rate=order.callback_rate,
            working_type=order.working_type,
            close_position=order.close_position,
            reduce_only=order.reduce_only and not order.close_position,
            position_side=order.position_side,
        )

    # --- small things ------------------------------------------------------------------------

    def _next_id(self, leg: Leg) -> str:
        self.sent += 1
        return client_order_id(self.source, leg, self.sent % 10_000)

    async def _bounded(self, action: Awaitable[_T], what: str) -> _T | None:
        """Await, at most until the deadline."""
        try:
            async with asyncio.timeout(max(0.0, self._left_s)):
                return await action
        except TimeoutError:
            self._say(f"{what} did not end before the deadline")
        return None

    def _failed(self, error: VenueError) -> None:
        # The firewall is tried again and again: flat is worth its refusals, a ban is not.
        if isinstance(error, RateLimited) and error.code != FIREWALL:
            self.blocked_until_ms = max(self.blocked_until_ms, error.retry_at_ms)
        self._say(error.message)

    def _say(self, problem: str) -> None:
        self.problems.append(problem)

    def _journal(self, kind: str, data: dict[str, object]) -> None:
        if self.note is None:
            return
        try:
            self.note(kind, {"source": self.source, **data})
        except TraderError as error:
            self._say(f"not journaled: {error.message}")
            self.note = None  # one wait is enough

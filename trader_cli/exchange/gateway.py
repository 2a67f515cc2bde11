"""Sends one request at a time's worth of trouble: ban, clock, deadline, retry, verdict.

Every call of the futures client passes here. Writes are sent once; reads may be repeated twice
after short-lived trouble; either is repeated once after a proven clock refusal. Knows nothing of
endpoints. Library exceptions end here: the errors raised are made outside the `except` block, so
that no exception that holds request headers stays attached as context.

Source: binance-usdm reference §3.4, §3.5, §5.5.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar, cast

import aiohttp

from trader_cli.clock import Clock
from trader_cli.errors import (
    FIREWALL,
    NotSent,
    PermissionDenied,
    RateLimited,
    UsageError,
    VenueError,
)
from trader_cli.exchange.budget import (
    MINUTE_MS,
    ORDERS_1M_MAX,
    ORDERS_10S_MAX,
    WEIGHT_MAX,
    Budget,
    BudgetInMemory,
)
from trader_cli.exchange.failures import (
    Again,
    Failure,
    RefusedAnswer,
    judge_answer,
    judge_break,
    judge_undecodable,
)
from trader_cli.exchange.transport import HttpSession, Transport, Usage
from trader_cli.urgency import insisting, is_insisting
from trader_cli.wire.decode import decode_server_time
from trader_cli.wire.fields import DecodeError

T = TypeVar("T")

_READS_MAX: Final = 3
_PAUSE_S: Final = 0.2
_CLOCK_AGE_S_MAX: Final = 600.0
_CLOCK_RETRY_S: Final = 30.0
_CLOCK_TIMEOUT_S: Final = 3.0
_ROUND_TRIP_MS_GOOD: Final = 400


class FuturesApi(Protocol):
    """The methods of python-binance that are called, under the names and types they have there.

    None of them reroutes: conditional orders have their own, and the type of a regular order is
    fixed by the method.
    """

    async def futures_time(self) -> object: ...
    async def futures_exchange_info(self) -> object: ...
    async def futures_order_book(self, **params: object) -> object: ...
    async def futures_klines(self, **params: object) -> object: ...
    async def futures_mark_price(self, **params: object) -> object: ...
    async def futures_orderbook_ticker(self, **params: object) -> object: ...
    async def futures_leverage_bracket(self, **params: object) -> object: ...
    async def futures_commission_rate(self, **params: object) -> object: ...
    async def futures_account_balance(self, **params: object) -> object: ...
    async def futures_account(self, **params: object) -> object: ...
    async def futures_account_config(self, **params: object) -> object: ...
    async def futures_symbol_config(self, **params: object) -> object: ...
    async def futures_position_information(self, **params: object) -> object: ...
    async def futures_income_history(self, **params: object) -> object: ...
    async def futures_account_trades(self, **params: object) -> object: ...
    async def futures_change_leverage(self, **params: object) -> object: ...
    async def futures_change_margin_type(self, **params: object) -> object: ...
    async def futures_change_position_margin(self, **params: object) -> object: ...
    async def futures_change_position_mode(self, **params: object) -> object: ...
    async def get_account_api_permissions(self, **params: object) -> object: ...
    async def futures_limit_order(self, **params: object) -> object: ...
    async def futures_market_order(self, **params: object) -> object: ...
    async def futures_modify_order(self, **params: object) -> object: ...
    async def futures_create_test_order(self, **params: object) -> object: ...
    async def futures_send_batch(self, batch: str) -> object: ...
    async def futures_get_order(self, **params: object) -> object: ...
    async def futures_get_open_orders(self, **params: object) -> object: ...
    async def futures_get_all_orders(self, **params: object) -> object: ...
    async def futures_cancel_order(self, **params: object) -> object: ...
    async def futures_cancel_all_open_orders(self, **params: object) -> object: ...
    async def futures_create_algo_order(self, **params: object) -> object: ...
    async def futures_get_algo_order(self, **params: object) -> object: ...
    async def futures_get_open_algo_orders(self, **params: object) -> object: ...
    async def futures_get_all_algo_orders(self, **params: object) -> object: ...
    async def futures_cancel_algo_order(self, **params: object) -> object: ...
    async def futures_cancel_all_algo_open_orders(self, **params: object) -> object: ...
    async def futures_stream_get_listen_key(self) -> object: ...
    async def futures_stream_keepalive(self, listenKey: str | None) -> object: ...


Call = Callable[[FuturesApi], Awaitable[object]]


class BanStore(Protocol):
    """Remembers the end of a ban, or of a pause that is asked for, across processes."""

    def get(self) -> int:
        """Return UTC epoch milliseconds, 0 for none."""
        ...

    def set(self, until_ms: int, /) -> None:
        """Remember the end of a ban."""
        ...


class BanInMemory:
    """Remembers the end of a ban as long as the process lives."""

    def __init__(self) -> None:
        self._until_ms = 0

    def get(self) -> int:
        return self._until_ms

    def set(self, until_ms: int, /) -> None:
        self._until_ms = until_ms


class Gateway:
    """One account at one venue, as a sender and judge of requests."""

    def __init__(
        self,
        *,
        api_key: str,
        api_secret: str,
        rest_url: str,
        mainnet: bool,
        clock: Clock,
        recv_window_ms: int,
        timeout_s: float,
        session: HttpSession | None,
        ban: BanStore | None,
        firewall: BanStore | None,
        budget: Budget | None,
        weight_kept: int | None,
    ) -> None:
        for name, value in (("key", api_key), ("secret", api_secret)):
            if any(not 32 < ord(char) < 127 for char in value):
                raise UsageError(f"the API {name} contains blanks or characters no key has")
        self.clock = clock
        self.clock_offset_ms = 0
        self.rest_url = rest_url.rstrip("/")
        self._key = api_key
        self._secret = api_secret
        self._mainnet = mainnet
        self._recv_window_ms = recv_window_ms
        self._timeout_s = timeout_s
        self._session = session
        self._ban: BanStore = ban if ban is not None else BanInMemory()
        self._firewall: BanStore = firewall if firewall is not None else BanInMemory()
        self._budget: Budget = budget if budget is not None else BudgetInMemory()
        self._weight_kept = weight_kept
        self._reads_paused_until_ms = 0
        self._transport: Transport | None = None
        self._closed = False
        self._clock_lock = asyncio.Lock()
        self._clock_due_s: float | None = None
        self._jitter = random.Random()

    @property
    def usage(self) -> Usage:
        return Usage() if self._transport is None else self._transport.usage

    def venue_now_ms(self) -> int:
        if self._clock_due_s is None:
            # A day's start is worked out before the first request that would measure.
            self._take_known_clock()
        return self.clock.now_ms() + self.clock_offset_ms

    def orders_left(self) -> int:
        """Return how many orders the account may still send now, in the tighter window."""
        if self._weight_kept is None:
            return ORDERS_10S_MAX
        of_ten_seconds, of_minute = self._budget.orders_used(self.venue_now_ms())
        return max(0, min(ORDERS_10S_MAX - of_ten_seconds, ORDERS_1M_MAX - of_minute))

    def used_up(self) -> tuple[int, int, int]:
        """Return this minute's request weight and the orders of ten seconds and of the minute."""
        venue_ms = self.venue_now_ms()
        return (self._budget.weight_used(venue_ms), *self._budget.orders_used(venue_ms))

    async def close(self) -> None:
        """Close the connections; calls made later end in `NotSent`."""
        self._closed = True
        if self._transport is not None:
            await self._transport.aclose()
        elif self._session is not None:
            await self._session.close()

    async def read(
        self, what: str, call: Call, decode: Callable[[object], T], *, signed: bool = True
    ) -> T:
        """Send a request that changes nothing and return its decoded answer.

        Raises:
            VenueError: any but `OutcomeUnknown`.
        """
        return await self._send(what, call, decode, write=False, signed=signed)

    async def write(
        self, what: str, call: Call, decode: Callable[[object], T], *, urgent: bool = False
    ) -> T:
        """Send a request that may change the account, once, and return its decoded answer.

        Args:
            urgent: it lowers risk: tried although the exchange's firewall wants us to pause.

        Raises:
            VenueError: `OutcomeUnknown` whenever it is not proven that nothing was executed.
        """
        with insisting(when=urgent):
            return await self._send(what, call, decode, write=True, signed=True)

    async def know_clock(self) -> None:
        """Measure the venue's clock unless it is known; a failure is left to what is sent next."""
        with contextlib.suppress(VenueError):
            await self._ensure_clock(write=True)

    async def sync_clock(self) -> int:
        """Measure venue minus local time and return it, in milliseconds.

        The venue's answer is taken to stand at the middle of the round trip. A slow first trip
        (it includes the handshakes) is measured again, else it could put us ahead of the venue.

        Raises:
            VenueError: the venue's time could not be read.
        """
        best: tuple[int, int] | None = None
        for _ in range(2):
            before = self.clock.now_ms()
            server = await self._server_time()
            after = self.clock.now_ms()
            trip = after - before
            if best is None or trip < best[0]:
                best = (trip, server - (before + after) // 2)
            if trip <= _ROUND_TRIP_MS_GOOD:
                break
        assert best is not None, "at least one trip was made"
        self.clock_offset_ms = best[1]
        self._clock_due_s = self.clock.monotonic() + _CLOCK_AGE_S_MAX
        self._budget.note_clock_offset(best[1], self.clock.now_ms())
        return best[1]

    async def _send(
        self,
        what: str,
        call: Call,
        decode: Callable[[object], T],
        *,
        write: bool,
        signed: bool,
    ) -> T:
        self._check_may_send(what, write=write)
        if signed:
            if not (self._key and self._secret):
                raise PermissionDenied(
                    f"{what}: no API key and secret", advice="Set BINANCE_API_KEY and its secret."
                )
            await self._ensure_clock(write=write)
        reads_left = 1 if write else _READS_MAX
        resynced = False
        while True:
            outcome = await self._once(what, call, write=write)
            if not isinstance(outcome, Failure):
                return self._decoded(what, outcome, decode, write=write)
            reads_left -= 1
            if outcome.again is Again.AFTER_CLOCK and not resynced and await self._resync():
                resynced = True
                reads_left += 1
            elif outcome.again is Again.AFTER_PAUSE and reads_left > 0:
                pause_s = _PAUSE_S * 2 ** (_READS_MAX - reads_left - 1)
                await self.clock.sleep(pause_s * (0.5 + self._jitter.random()))
            else:
                raise self._noted(outcome.error)
            self._check_may_send(what, write=write)

    async def _once(self, what: str, call: Call, *, write: bool) -> object | Failure:
        """Send once; return the JSON or the verdict on the failure."""
        answer: RefusedAnswer
        try:
            return await call(self._api())
        except RefusedAnswer as refused:
            answer = refused
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return judge_break(error, write=write, what=what)
        return judge_answer(
            answer.answer,
            write=write,
            what=what,
            now_ms=self.clock.now_ms(),
            offset_ms=self.clock_offset_ms,
        )

    def _decoded(
        self, what: str, answer: object, decode: Callable[[object], T], *, write: bool
    ) -> T:
        try:
            return decode(answer)
        except DecodeError as error:
            reason = str(error)
        raise judge_undecodable(reason, write=write, what=what)

    def _api(self) -> FuturesApi:
        """Return the transport; it is built at first use because it needs the running loop."""
        if self._transport is None:
            self._transport = Transport(
                api_key=self._key,
                api_secret=self._secret,
                rest_url=self.rest_url,
                mainnet=self._mainnet,
                recv_window_ms=self._recv_window_ms,
                timeout_s=self._timeout_s,
                venue_now_ms=self.venue_now_ms,
                session=self._session,
                told=self._note_usage,
            )
        return cast(FuturesApi, self._transport)

    def _check_may_send(self, what: str, *, write: bool) -> None:
        """Refuse locally while a ban runs, and what is not worth the try during other pauses.

        Writes try in spite of used-up weight: they weigh nothing, and an exit is worth the try.
        After the firewall's refusal only what insists is tried.
        """
        if self._closed:
            raise NotSent(f"{what}: the client is closed")
        self._refuse_until(self._ban.get(), what, "this address is banned", banned=True)
        if not is_insisting():
            cause = "the exchange's firewall refused a call, and lets nothing but exits try"
            self._refuse_until(self._firewall.get(), what, cause, code=FIREWALL)
        if not write:
            cause = "the request limit is used up"
            self._refuse_until(self._reads_paused_until_ms, what, cause)
            if not is_insisting():
                self._keep_the_reserve(what)

    def _refuse_until(
        self, until_ms: int, what: str, cause: str, *, banned: bool = False, code: str | None = None
    ) -> None:
        left_ms = until_ms - self.clock.now_ms()
        if left_ms > 0:
            raise RateLimited(
                f"{what}: not sent, {cause} for {(left_ms + 999) // 1000} s more",
                retry_at_ms=until_ms,
                banned=banned,
                code=code,
                advice="Wait until the time named; every request before it makes it worse.",
            )

    def _keep_the_reserve(self, what: str) -> None:
        """Refuse a read that would eat into the weight kept for stops and for kill."""
        if not self._weight_kept:
            return
        venue_ms = self.venue_now_ms()
        used = self._budget.weight_used(venue_ms)
        if used < WEIGHT_MAX - self._weight_kept:
            return
        left_ms = MINUTE_MS - venue_ms % MINUTE_MS
        raise RateLimited(
            f"{what}: not sent, {used} of {WEIGHT_MAX} request weight are used this minute and "
            f"the last {self._weight_kept} are kept for kill and stops",
            retry_at_ms=self.clock.now_ms() + left_ms,
            banned=False,
            code="weight_reserve",
            advice=f"Try again in {(left_ms + 999) // 1000} s.",
        )

    def _note_usage(self, usage: Usage) -> None:
        self._budget.note(
            self.venue_now_ms(),
            weight_1m=usage.weight_1m,
            orders_10s=usage.orders_10s,
            orders_1m=usage.orders_1m,
        )

    def _noted(self, error: VenueError) -> VenueError:
        if isinstance(error, RateLimited):
            if error.banned:
                self._ban.set(max(error.retry_at_ms, self._ban.get()))
            elif error.code == FIREWALL:
                self._firewall.set(max(error.retry_at_ms, self._firewall.get()))
            else:
                self._reads_paused_until_ms = max(error.retry_at_ms, self._reads_paused_until_ms)
        return error

    async def _ensure_clock(self, *, write: bool) -> None:
        """Measure the clock before the first signed request, and before a read when it is old.

        A failure leaves the last offset in place: the request itself will tell what is wrong.
        """
        if self._clock_due_s is None:
            self._take_known_clock()
        if self._clock_due_s is not None and (write or self.clock.monotonic() < self._clock_due_s):
            return
        async with self._clock_lock:
            due_s = self._clock_due_s
            if due_s is not None and self.clock.monotonic() < due_s:
                return
            if not await self._resync():
                self._clock_due_s = self.clock.monotonic() + _CLOCK_RETRY_S

    def _take_known_clock(self) -> None:
        """Start from what another process measured a short while ago."""
        known = self._budget.clock_offset(self.clock.now_ms())
        if known is not None and 0 <= known[1] < _CLOCK_AGE_S_MAX * 1000:
            self.clock_offset_ms = known[0]
            self._clock_due_s = self.clock.monotonic() + _CLOCK_AGE_S_MAX - known[1] / 1000

    async def _resync(self) -> bool:
        try:
            await self.sync_clock()
        except RateLimited:
            raise
        except VenueError:
            return False
        return True

    async def _server_time(self) -> int:
        what = "read the exchange's time"
        self._check_may_send(what, write=True)
        outcome: object | Failure
        try:
            async with asyncio.timeout(min(_CLOCK_TIMEOUT_S, self._timeout_s)):
                outcome = await self._once(what, lambda api: api.futures_time(), write=False)
        except TimeoutError as error:
            outcome = judge_break(error, write=False, what=what)
        if isinstance(outcome, Failure):
            raise self._noted(outcome.error)
        return self._decoded(what, outcome, decode_server_time, write=False)

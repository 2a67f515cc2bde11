"""The only door to a venue: one explicit, typed method per endpoint of Binance's USD-M futures.

`Decimal` in and out, python-binance's AsyncClient underneath. Every method raises only
`VenueError`s: `Rejected`, `PermissionDenied`, `NotSent`, `OutcomeUnknown`, `RateLimited` (and
`UsageError` for a request that contradicts itself, before anything is sent). Knows nothing of
risk, journals or configuration files.

The methods live in groups: `market_endpoints`, `account_endpoints`, `settings_endpoints`,
`order_lookup_endpoints`, `order_endpoints`, `amend_endpoints`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from trader_cli.clock import Clock, SystemClock
from trader_cli.exchange.amend_endpoints import AmendEndpoints
from trader_cli.exchange.budget import Budget
from trader_cli.exchange.gateway import BanStore, Gateway
from trader_cli.exchange.settings_endpoints import SettingsEndpoints
from trader_cli.exchange.transport import HttpSession, Usage

MAINNET_REST_URL: Final = "https://fapi.binance.com"
TESTNET_REST_URL: Final = "https://demo-fapi.binance.com"
"""The venue's present name of the testnet; older programs still say testnet.binancefuture.com."""
MAINNET_STREAM_URL: Final = "wss://fstream.binance.com"
TESTNET_STREAM_URL: Final = "wss://fstream.binancefuture.com"


class BinanceFuturesClient(AmendEndpoints, SettingsEndpoints):
    """One account at one venue. Use as an async context manager, or `close()` it.

    Attributes:
        quarantined: rows of lists that could not be understood and were left out.
    """

    def __init__(
        self,
        testnet: bool = True,
        *,
        api_key: str = "",
        api_secret: str = "",
        rest_url: str | None = None,
        clock: Clock | None = None,
        recv_window_ms: int = 5000,
        timeout_s: float = 10.0,
        session: HttpSession | None = None,
        ban: BanStore | None = None,
        firewall: BanStore | None = None,
        budget: Budget | None = None,
        weight_kept: int | None = 0,
    ) -> None:
        """Prepare a client; nothing is sent and nothing opened before the first call.

        Args:
            testnet: False is real money, unless `rest_url` names another venue.
            rest_url: origin of any fapi-compatible server, e.g. http://127.0.0.1:8080.
            recv_window_ms: how old a request may be when the venue sees it.
            timeout_s: deadline of a whole request.
            session: replaces the HTTP transport; closed with the client.
            ban: remembers across processes that this address is banned.
            firewall: remembers likewise until when the exchange's firewall wants us to pause.
            budget: shares used-up limits and the measured clock with other processes.
            weight_kept: of a minute's request weight, left to others by refusing reads; None
                counts nothing at all, for a venue whose limits are switched off.
        """
        own = MAINNET_REST_URL if not testnet else TESTNET_REST_URL
        super().__init__(
            Gateway(
                api_key=api_key,
                api_secret=api_secret,
                rest_url=rest_url if rest_url is not None else own,
                mainnet=not testnet and rest_url is None,
                clock=clock if clock is not None else SystemClock(),
                recv_window_ms=recv_window_ms,
                timeout_s=timeout_s,
                session=session,
                ban=ban,
                firewall=firewall,
                budget=budget,
                weight_kept=weight_kept,
            )
        )

    @property
    def rest_url(self) -> str:
        """The origin that requests go to."""
        return self._gateway.rest_url

    def __repr__(self) -> str:
        return f"BinanceFuturesClient({self._gateway.rest_url})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls made later end in `NotSent`."""
        await self._gateway.close()

    @property
    def clock_offset_ms(self) -> int:
        """Venue minus local time as last measured, 0 before."""
        return self._gateway.clock_offset_ms

    @property
    def usage(self) -> Usage:
        """What the venue last said of the request weight and orders used up."""
        return self._gateway.usage

    def orders_left(self) -> int:
        """Return how many orders the account may still send now, in the tighter window."""
        return self._gateway.orders_left()

    def used_up(self) -> tuple[int, int, int]:
        """Return this minute's request weight and the orders of ten seconds and of the minute.

        As the venue last told any of the processes that share the counters; 0 before it did.
        """
        return self._gateway.used_up()

    def venue_now_ms(self) -> int:
        """Return the venue's time as estimated now, UTC epoch milliseconds."""
        return self._gateway.venue_now_ms()

    async def know_clock(self) -> None:
        """Measure the venue's clock unless this or another process has, a short while ago.

        For whoever works out a day by `venue_now_ms` before the first signed request, which would
        do the same; never raises for anything the venue does.
        """
        await self._gateway.know_clock()

    async def sync_clock(self) -> int:
        """Measure venue minus local time and return it, in milliseconds."""
        return await self._gateway.sync_clock()

"""What the client reads of the account and changes in its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from trader_cli.domain.account import (
    AccountSummary,
    AssetBalance,
    Fill,
    IncomeRow,
    LeverageBracket,
    Position,
    SymbolConfig,
)
from trader_cli.domain.terms import MarginType, PositionSide
from trader_cli.errors import NotSent, Rejected, VenueError
from trader_cli.exchange.rows import PAGE_MAX, WINDOW_MS, Rows
from trader_cli.wire.codes import CodeClass, describe
from trader_cli.wire.decode import (
    decode_account,
    decode_balance,
    decode_commission_rate,
    decode_income,
    decode_leverage_brackets,
    decode_leverage_set,
    decode_listen_key,
    decode_position,
    decode_position_size,
    decode_symbol_config,
)
from trader_cli.wire.decode_orders import decode_fill
from trader_cli.wire.encode import encode_margin_type
from trader_cli.wire.fields import DecodeError

A = TypeVar("A")
B = TypeVar("B")


class AccountEndpoints(Rows):
    """Balances, positions, settings, income and the user stream's key."""

    async def get_account_balance(self) -> list[AssetBalance]:
        """Return every margin asset."""
        return await self._gateway.read(
            "read the balance",
            lambda api: api.futures_account_balance(),
            lambda answer: self._set_aside("balance", answer, decode_balance),
        )

    async def get_account_summary(self) -> AccountSummary:
        """Return totals and switches, read from two endpoints at once."""
        account, config = await _both(
            self._gateway.read(
                "read the account", lambda api: api.futures_account(version=3), _as_is
            ),
            self._gateway.read(
                "read the account's settings", lambda api: api.futures_account_config(), _as_is
            ),
        )
        try:
            return decode_account(account, config)
        except DecodeError as error:
            raise NotSent(f"read the account: {error}", advice="Report this.") from error

    async def get_positions(self) -> list[Position]:
        """Return all positions that are not flat, leverage and margin type joined.

        Where only the settings could not be read, both are None: that a position exists matters
        more than how it is levered.

        Raises:
            OutcomeUnknown: a row cannot be understood, so nothing proves what is open.
        """
        positions, configs = await _both(self._position_rows(None), self._configs_or_none(None))
        return [_joined(row, configs) for row in positions if not row.is_flat]

    async def get_position_risk(self, symbol: str) -> list[Position]:
        """Return the symbol's rows, flat ones too, leverage and margin type joined.

        Raises:
            OutcomeUnknown: a row cannot be understood.
        """
        positions, configs = await _both(self._position_rows(symbol), self._configs_or_none(symbol))
        return [_joined(row, configs) for row in positions]

    async def get_position_sizes(
        self, symbol: str | None = None
    ) -> list[tuple[str, PositionSide, Decimal]]:
        """Return (symbol, side, signed quantity) of what is not flat, in one round trip.

        It asks for the least that an exit needs, so that a word we do not know elsewhere in the
        row cannot stop the exit.
        """
        rows = await self._gateway.read(
            f"read the position sizes{_of(symbol)}",
            lambda api: api.futures_position_information(symbol=symbol),
            lambda answer: self._all_or_unknown("positionRisk", answer, decode_position_size),
        )
        return [row for row in rows if row[2] != 0]

    async def get_symbol_config(self, symbol: str | None = None) -> list[SymbolConfig]:
        """Return leverage and margin type of one or of all symbols."""
        return await self._gateway.read(
            f"read leverage and margin type{_of(symbol)}",
            lambda api: api.futures_symbol_config(symbol=symbol),
            lambda answer: self._set_aside("symbolConfig", answer, decode_symbol_config),
        )

    async def get_leverage_brackets(self, symbol: str) -> list[LeverageBracket]:
        """Return the symbol's brackets, lowest notional first."""
        return await self._gateway.read(
            f"read the leverage brackets of {symbol}",
            lambda api: api.futures_leverage_bracket(symbol=symbol),
            lambda answer: decode_leverage_brackets(answer, symbol),
        )

    async def get_commission_rate(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return (maker, taker) as fractions of notional."""
        return await self._gateway.read(
            f"read the commission of {symbol}",
            lambda api: api.futures_commission_rate(symbol=symbol),
            decode_commission_rate,
        )

    async def set_leverage(self, symbol: str, leverage: int) -> int:
        """Set the symbol's leverage and return what the venue has set."""
        return await self._gateway.write(
            f"set leverage {leverage} of {symbol}",
            lambda api: api.futures_change_leverage(symbol=symbol, leverage=leverage),
            decode_leverage_set,
        )

    async def set_margin_type(self, symbol: str, margin_type: MarginType) -> None:
        """Set the symbol's margin type; that it already is so counts as success (-4046)."""
        try:
            await self._gateway.write(
                f"set margin type {margin_type} of {symbol}",
                lambda api: api.futures_change_margin_type(
                    symbol=symbol, marginType=encode_margin_type(margin_type)
                ),
                _as_is,
            )
        except Rejected as error:
            known = describe(error.code) if isinstance(error.code, int) else None
            if known is None or known.kind is not CodeClass.IDEMPOTENT_OK:
                raise

    async def get_income(
        self, *, start_ms: int, end_ms: int | None = None, income_type: str | None = None
    ) -> list[IncomeRow]:
        """Return the income ledger from `start_ms` on (inclusive), oldest first, every row once.

        Pages overlap in their last millisecond, so rows are told apart by type and transaction.
        A row that cannot be understood is set aside: see `quarantined`.
        """
        found: dict[tuple[str, int], IncomeRow] = {}
        from_ms = start_ms
        while True:
            size, rows = await self._income_page(from_ms, end_ms, income_type)
            found |= {(row.income_type, row.transaction_id): row for row in rows}
            if size < PAGE_MAX or not rows:
                return sorted(found.values(), key=lambda row: (row.time_ms, row.transaction_id))
            last_ms = max(row.time_ms for row in rows)
            # A page full of one millisecond would come again forever; the rest of it is skipped.
            from_ms = last_ms if last_ms > from_ms else from_ms + 1

    async def get_fills(
        self, symbol: str, *, start_ms: int | None = None, order_id: int | None = None
    ) -> list[Fill]:
        """Return own executions, oldest first: of one order, else since `start_ms` (7 days).

        The venue counts a page from the oldest row of the window; later pages go by trade id,
        which excludes times. Source: reference §6.3.
        """
        if order_id is not None:
            return (await self._fills_page(symbol, {"orderId": order_id}))[1]
        now_ms = self._gateway.venue_now_ms()
        from_ms = start_ms if start_ms is not None else now_ms - WINDOW_MS + 1
        params = {"startTime": from_ms}
        found: dict[int, Fill] = {}
        while True:
            size, rows = await self._fills_page(symbol, params)
            found |= {row.trade_id: row for row in rows}
            if size >= PAGE_MAX and rows:
                params = {"fromId": max(found) + 1}
            elif "startTime" in params and params["startTime"] + WINDOW_MS <= now_ms:
                params = {"startTime": params["startTime"] + WINDOW_MS}
            else:
                return [found[trade_id] for trade_id in sorted(found)]

    async def create_listen_key(self) -> str:
        """Open the user stream or extend it: the venue answers with the same key while it lives."""
        return await self._gateway.read(
            "open the user stream",
            lambda api: api.futures_stream_get_listen_key(),
            decode_listen_key,
            signed=False,
        )

    async def keep_alive_listen_key(self) -> str:
        """Extend the user stream's key by an hour.

        Raises:
            Rejected: with code -1125, the key has lapsed and a new one has to be created.
        """
        return await self._gateway.read(
            "keep the user stream alive",
            lambda api: api.futures_stream_keepalive(None),
            decode_listen_key,
            signed=False,
        )

    async def _position_rows(self, symbol: str | None) -> list[Position]:
        return await self._gateway.read(
            f"read the positions{_of(symbol)}",
            lambda api: api.futures_position_information(symbol=symbol),
            lambda answer: self._all_or_unknown(
                "positionRisk", answer, lambda row: decode_position(row, None)
            ),
        )

    async def _configs_or_none(self, symbol: str | None) -> dict[str, SymbolConfig]:
        try:
            rows = await self.get_symbol_config(symbol)
        except VenueError:
            return {}
        return {row.symbol: row for row in rows}

    async def _income_page(
        self, from_ms: int, end_ms: int | None, income_type: str | None
    ) -> tuple[int, list[IncomeRow]]:
        return await self._gateway.read(
            "read the income ledger",
            lambda api: api.futures_income_history(
                startTime=from_ms, endTime=end_ms, incomeType=income_type, limit=PAGE_MAX
            ),
            lambda answer: self._page("income", answer, decode_income),
        )

    async def _fills_page(self, symbol: str, params: dict[str, int]) -> tuple[int, list[Fill]]:
        return await self._gateway.read(
            f"read the fills of {symbol}",
            lambda api: api.futures_account_trades(symbol=symbol, limit=PAGE_MAX, **params),
            lambda answer: self._page("userTrades", answer, decode_fill),
        )


def _joined(row: Position, configs: dict[str, SymbolConfig]) -> Position:
    config = configs.get(row.symbol)
    if config is None:
        return row
    return replace(row, leverage=config.leverage, margin_type=config.margin_type)


def _of(symbol: str | None) -> str:
    return "" if symbol is None else f" of {symbol}"


def _as_is(answer: object) -> object:
    return answer


async def _both(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Wait for both and raise the first's failure before the second's.

    Not a task group: it would wrap the one error the caller wants to see into a group.
    """
    results = await asyncio.gather(first, second, return_exceptions=True)
    one, other = results
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other

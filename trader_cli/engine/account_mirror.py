"""The account as the engine knows it: the last snapshot, carried on by the stream's events.

Pure. One rule merges the two: what is newer by the exchange's own time wins, and an order once
seen to have ended never rests again. Late, repeated and reordered events change nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from trader_cli.domain.account import Fill, Position, SymbolConfig
from trader_cli.domain.account_events import (
    AccountUpdated,
    AlgoUpdated,
    LeverageChanged,
    OrderUpdated,
    PositionChanged,
    UserEvent,
)
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.order import AlgoOrder, Order
from trader_cli.domain.terms import MarginType, PositionSide
from trader_cli.engine.wallet_book import WalletBook
from trader_cli.trading.risk.other_assets import MARGIN_ASSET

_ENDED_KEPT: Final = 4_096
_TOLD_KEPT: Final = 256
_OVERLAP_MS: Final = 2_000
"""How long before a reading an event may lie and still know better: both clocks err a little."""

_MISSING_MS: Final = 5_000
"""How long readings must miss a position that no event ended: one empty answer has been wrong."""

_EVENT_LATE_MS: Final = 3_000
"""How long after a change its event may come before the stream is taken for silent."""

_TRANSFERS: Final = frozenset(
    {
        "DEPOSIT",
        "WITHDRAW",
        "WITHDRAW_REJECT",
        "ADMIN_DEPOSIT",
        "ADMIN_WITHDRAW",
        "ASSET_TRANSFER",
        "MARGIN_TRANSFER",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
    }
)

PositionKey = tuple[str, PositionSide]


class AccountMirror:
    """Open orders of both worlds, positions, leverages, and what was booked since the snapshot."""

    def __init__(self) -> None:
        self._orders: dict[tuple[str, int], Order] = {}
        self._algos: dict[int, AlgoOrder] = {}
        self._positions: dict[PositionKey, Position] = {}
        self._missing_since: dict[PositionKey, int] = {}
        self._owed: dict[PositionKey, int] = {}
        self._leverages: dict[str, int] = {}
        self._ended: OrderedDict[object, None] = OrderedDict()
        self._told: dict[str, None] = {}
        self._wallet = WalletBook()
        self._transferred: list[Decimal] = []
        self._fills_seen: OrderedDict[object, None] = OrderedDict()
        self._accounts_seen: OrderedDict[object, None] = OrderedDict()

    # --- taking in ---------------------------------------------------------------------------

    def load_orders(
        self,
        symbols: Iterable[str],
        orders: Sequence[Order],
        algos: Sequence[AlgoOrder],
        *,
        asked_ms: int,
    ) -> None:
        """Replace what is known of the open orders of `symbols` by a complete reading.

        What changed about when it was asked for, `asked_ms` in exchange time, is kept.
        """
        covered = set(symbols)
        self._orders = {
            key: row
            for key, row in self._orders.items()
            if row.symbol not in covered or row.updated_ms > asked_ms - _OVERLAP_MS
        }
        self._algos = {
            key: row
            for key, row in self._algos.items()
            if row.symbol not in covered or row.updated_ms > asked_ms - _OVERLAP_MS
        }
        for order in orders:
            self._take_order(order)
        for algo in algos:
            self._take_algo(algo)

    def load_positions(
        self, positions: Sequence[Position], configs: Sequence[SymbolConfig], *, asked_ms: int
    ) -> None:
        """Replace the positions by a complete reading that was asked for at `asked_ms`.

        `asked_ms` is exchange time; an event about as young as that keeps its word. A position that
        is missing without any event is kept until readings have missed it for five seconds.
        """
        before = self._positions
        rows = {(row.symbol, row.position_side): row for row in positions}
        merged: dict[PositionKey, Position] = {}
        for key in rows.keys() | before.keys():
            read, known = rows.get(key), before.get(key)
            if (
                known is not None
                and known.updated_ms > asked_ms - _OVERLAP_MS
                and (read is None or known.updated_ms > read.updated_ms)
            ):
                merged[key] = known
            elif read is not None and not read.is_flat:
                merged[key] = read
                if known is None or known.quantity != read.quantity:
                    self._owed[key] = read.updated_ms
            elif known is not None and not known.is_flat and not self._is_gone(key, asked_ms):
                merged[key] = known
            elif read is not None:
                merged[key] = read
        held = {key for key, row in rows.items() if not row.is_flat}
        for key in self._missing_since.keys() & held:
            del self._missing_since[key]
        self._positions = merged
        for config in configs:
            self._leverages[config.symbol] = config.leverage

    def lacks_event(self, *, now_ms: int) -> bool:
        """Return True once if readings showed a change that an event should have told long ago."""
        late = [key for key, at_ms in self._owed.items() if now_ms - at_ms > _EVENT_LATE_MS]
        for key in late:
            del self._owed[key]
        return bool(late)

    def forgive_events(self) -> None:
        """Expect no events about what readings have shown so far: the stream began anew."""
        self._owed.clear()

    def load_wallet(self, wallet: Decimal, *, asked_ms: int, answered_ms: int) -> None:
        """Begin the derived equity anew from a reading made between two exchange times."""
        self._wallet.load(wallet, asked_ms=asked_ms, answered_ms=answered_ms)

    def take_algo(self, algo: AlgoOrder) -> None:
        """Take in a conditional order as an answer told it; events may still know better."""
        self._take_algo(algo)

    def take_leverage(self, symbol: str, leverage: int) -> None:
        """Take in a symbol's leverage as an answer told it."""
        self._leverages[symbol] = leverage

    def take_flat(self, symbol: str, position_side: PositionSide, *, at_ms: int) -> None:
        """Take in that a position was closed, proven by answers, before the stream tells it.

        Args:
            at_ms: exchange time of the execution that closed it; what is younger knows better.
        """
        key = symbol, position_side
        known = self._positions.get(key)
        if known is not None and known.updated_ms <= at_ms:
            self._missing_since.pop(key, None)
            self._positions[key] = replace(
                known, quantity=ZERO, unrealized_pnl=ZERO, updated_ms=at_ms
            )

    def apply(self, event: UserEvent) -> None:
        """Carry the picture on by one event; events that are no news change nothing."""
        match event:
            case OrderUpdated():
                self._take_order(event.order)
                self._book_fill(event)
            case AlgoUpdated():
                self._take_algo(event.order)
            case AccountUpdated():
                for row in event.positions:
                    self._take_position(row, event.venue_ms)
                self._book_change(event)
            case LeverageChanged():
                self._leverages[event.symbol] = event.leverage
            case _:
                pass

    # --- telling -----------------------------------------------------------------------------

    def orders(self, symbol: str | None = None) -> list[Order]:
        """Return the open regular orders."""
        return [row for row in self._orders.values() if symbol in (None, row.symbol)]

    def algos(self, symbol: str | None = None) -> list[AlgoOrder]:
        """Return the open conditional orders."""
        return [row for row in self._algos.values() if symbol in (None, row.symbol)]

    def told(self) -> frozenset[str]:
        """Return the client ids of the orders last heard of, resting or over."""
        return frozenset(self._told)

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return the positions that are not flat."""
        return [
            row
            for row in self._positions.values()
            if not row.is_flat and symbol in (None, row.symbol)
        ]

    def knows_fill(self, fill: Fill) -> bool:
        """Return True if the execution was told before."""
        return _key_of(fill) in self._fills_seen

    @property
    def leverages(self) -> dict[str, int]:
        """The leverage in effect by symbol, where known."""
        return dict(self._leverages)

    def derived_wallet(self) -> Decimal | None:
        """Return the snapshot's wallet plus everything booked since, None before a snapshot."""
        return self._wallet.balance

    @property
    def wallet_is_doubtful(self) -> bool:
        """True if a booking lies so near the wallet's reading that another reading is wanted."""
        return self._wallet.is_doubtful

    def take_transfers(self) -> list[Decimal]:
        """Return each amount that came in (positive) or went out since the last call."""
        amounts, self._transferred = self._transferred, []
        return amounts

    # --- merging -----------------------------------------------------------------------------

    def _hear_of(self, client_order_id: str) -> None:
        self._told[client_order_id] = None
        if len(self._told) > _TOLD_KEPT:
            del self._told[next(iter(self._told))]

    def _take_order(self, order: Order) -> None:
        self._hear_of(order.client_order_id)
        key = (order.symbol, order.order_id)
        if key in self._ended:
            return
        known = self._orders.get(key)
        if not order.status.is_open:
            self._orders.pop(key, None)
            self._end(key)
        elif known is None or (order.updated_ms, order.filled_quantity) >= (
            known.updated_ms,
            known.filled_quantity,
        ):
            self._orders[key] = order

    def _take_algo(self, algo: AlgoOrder) -> None:
        self._hear_of(algo.client_order_id)
        key = ("algo", algo.algo_id)
        if key in self._ended:
            return
        known = self._algos.get(algo.algo_id)
        if not algo.status.is_open:
            self._algos.pop(algo.algo_id, None)
            self._end(key)
        elif known is None or algo.updated_ms >= known.updated_ms:
            self._algos[algo.algo_id] = algo

    def _end(self, key: object) -> None:
        _remember(self._ended, key)

    def _is_gone(self, key: PositionKey, asked_ms: int) -> bool:
        """Return True if readings have missed the position for long enough."""
        since = self._missing_since.setdefault(key, asked_ms)
        if asked_ms - since < _MISSING_MS:
            return False
        del self._missing_since[key]
        self._owed[key] = since
        return True

    def _take_position(self, row: PositionChanged, venue_ms: int) -> None:
        key = (row.symbol, row.position_side)
        known = self._positions.get(key)
        if venue_ms >= self._owed.get(key, venue_ms + 1):
            del self._owed[key]
        if known is not None and known.updated_ms > venue_ms:
            return
        if known is None:
            known = _blank(row, self._leverages.get(row.symbol))
        self._missing_since.pop(key, None)
        self._positions[key] = replace(
            known,
            quantity=row.quantity,
            entry_price=row.entry_price,
            unrealized_pnl=row.unrealized_pnl,
            mark_price=_mark_of(row),
            margin_type=row.margin_type,
            # Where liquidation lies changes with the size; the next reading tells.
            liquidation_price=known.liquidation_price if row.quantity == known.quantity else None,
            updated_ms=venue_ms,
        )

    def _book_fill(self, event: OrderUpdated) -> None:
        fill = event.fill
        if fill is None or not _remember(self._fills_seen, _key_of(fill)):
            return
        amount = fill.realized_pnl
        if fill.commission_asset == MARGIN_ASSET:
            # Paid in another asset it leaves this wallet, and the account's own sum, untouched.
            amount -= fill.commission
        self._wallet.book(amount, at_ms=fill.time_ms)

    def _book_change(self, event: AccountUpdated) -> None:
        """Book what is neither profit nor commission of a fill: funding and transfers."""
        rows = [row for row in event.balances if row.asset == MARGIN_ASSET]
        changes = sum((row.change for row in rows), ZERO)
        # Funding of several symbols is paid within one millisecond: the wallet tells them apart.
        wallets = tuple(row.wallet_balance for row in rows)
        key = event.venue_ms, event.reason, changes, wallets
        if changes == 0 or not _remember(self._accounts_seen, key):
            return
        self._wallet.book(changes, at_ms=event.venue_ms)
        if event.reason in _TRANSFERS:
            self._transferred.append(changes)


def _key_of(fill: Fill) -> tuple[str, int]:
    return fill.symbol, fill.trade_id


def _remember(seen: OrderedDict[object, None], key: object) -> bool:
    """Keep `key` among the last ones and return True if it was not there."""
    if key in seen:
        return False
    seen[key] = None
    if len(seen) > _ENDED_KEPT:
        seen.popitem(last=False)
    return True


def _mark_of(row: PositionChanged) -> Decimal:
    """Return the mark price that the event's own result implies: it names none.

    What was known before is of no use: a row that was flat may be hours old, or have none at all.
    """
    if row.quantity == 0:
        return row.entry_price
    return row.entry_price + row.unrealized_pnl / row.quantity


def _blank(row: PositionChanged, leverage: int | None) -> Position:
    return Position(
        symbol=row.symbol,
        position_side=row.position_side,
        quantity=ZERO,
        entry_price=ZERO,
        break_even_price=row.entry_price,
        mark_price=row.entry_price,
        unrealized_pnl=ZERO,
        liquidation_price=None,
        isolated_margin=row.isolated_wallet if row.margin_type is MarginType.ISOLATED else ZERO,
        initial_margin=ZERO,
        maintenance_margin=ZERO,
        leverage=leverage,
        margin_type=row.margin_type,
        updated_ms=0,
    )

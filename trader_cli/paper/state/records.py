"""What the venue remembers: orders, conditional orders, trades, income, and their JSON form.

Records change while they are open; nothing outside the venue's core holds one. Must not know
the wire's spelling of answers (`render.py`) nor how they are stored (`state.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)

DELEVERAGED_ID: Final = "adl_autoclose"
"""The client id of an auto-deleveraging's orders. Source: documented sample of forceOrders."""

_Record = TypeVar("_Record")
_BOTH: Final = PositionSide.BOTH

bare: Final = object.__new__
"""Makes a record without a field, for the hottest places: they set every one, which takes a third
of the time that arguments by keyword do."""

_NAMES: dict[str, tuple[str, ...]] = {}
_CONVERTERS: dict[str, dict[str, Any]] = {}


@dataclass(slots=True, kw_only=True)
class OrderRecord:
    """A regular order from its acceptance on.

    Attributes:
        price: 0 for MARKET.
        executed, quote: cumulative quantity and price times quantity of its fills.
        exposure: price times open quantity that counts for margin; 0 if it only reduces.
        front: how much must trade at its level before its own turn comes, None where the level
            has not been the touch since it rests (see `matching.RestingBook`).
        algo_id: the conditional order that sent it, None for an order sent directly.
        forced: True for the exchange's own order of a liquidation or deleveraging.
    """

    order_id: int
    symbol: str
    client_order_id: str
    side: Side
    position_side: PositionSide
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    reduce_only: bool
    close_position: bool
    self_trade_prevention: SelfTradePrevention
    price_match: str
    good_till_ms: int
    created_ms: int
    updated_ms: int
    status: OrderStatus = OrderStatus.NEW
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    stop_price: Decimal = ZERO
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    price_protect: bool = False
    original_type: OrderType = OrderType.LIMIT
    algo_id: int | None = None
    amendments: int = 0
    expire_reason: int = 0
    forced: bool = False
    exposure: Decimal = ZERO
    front: Decimal | None = None

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed

    @property
    def is_deleveraging(self) -> bool:
        """True for the exchange's own order of an auto-deleveraging."""
        return self.forced and self.client_order_id == DELEVERAGED_ID

    @property
    def only_reduces(self) -> bool:
        """True if it can never open: reduceOnly, closePosition, or a hedge exit."""
        if self.position_side is _BOTH:
            return self.reduce_only or self.close_position
        return (self.position_side is PositionSide.LONG) is (self.side is Side.SELL)


@dataclass(slots=True, kw_only=True)
class AlgoRecord:
    """A conditional order from its acceptance on.

    Attributes:
        trigger_price, price, quantity: 0 where the type or closePosition has none.
        activate_price, callback_rate: of a trailing stop, else None; the rate in percent.
        extreme: a trailing stop's best price since it was activated, None before.
        order_id: the regular order it became, None before it triggered.
        reject_reason: the engine's words, empty unless REJECTED or EXPIRED.
    """

    algo_id: int
    symbol: str
    client_algo_id: str
    side: Side
    position_side: PositionSide
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    activate_price: Decimal | None
    callback_rate: Decimal | None
    working_type: WorkingType
    price_protect: bool
    close_position: bool
    reduce_only: bool
    self_trade_prevention: SelfTradePrevention
    price_match: str
    good_till_ms: int
    created_ms: int
    updated_ms: int
    status: AlgoStatus = AlgoStatus.NEW
    activated: bool = False
    extreme: Decimal | None = None
    triggered_ms: int = 0
    order_id: int | None = None
    actual_price: Decimal = ZERO
    actual_quantity: Decimal = ZERO
    actual_type: OrderType | None = None
    reject_reason: str = ""

    @property
    def rises(self) -> bool:
        """True if it fires when the price is at or above its trigger."""
        is_stop = self.type in (OrderType.STOP, OrderType.STOP_MARKET)
        return is_stop is (self.side is Side.BUY)


@dataclass(kw_only=True)
class TradeRecord:
    """One fill of the account; `commission` positive = paid, `realized` positive = profit.

    Written once and never changed; like `IncomeRecord` neither frozen nor slotted: freezing triples
    the cost of making one, slots half again that of making it and writing it as JSON.
    """

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    realized: Decimal
    commission: Decimal
    maker: bool
    time_ms: int


@dataclass(kw_only=True)
class IncomeRecord:
    """One movement of the wallet; `amount` is USDT with eight places, negative = paid."""

    tran_id: int
    type: str
    symbol: str
    amount: Decimal
    info: str
    time_ms: int
    trade_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendmentRecord:
    """One change of a resting order's price and quantity."""

    amendment_id: int
    order_id: int
    symbol: str
    client_order_id: str
    price_before: Decimal
    price_after: Decimal
    quantity_before: Decimal
    quantity_after: Decimal
    count: int
    time_ms: int
    modify_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginMoveRecord:
    """A change of an isolated position's wallet by hand; `type` 1 adds, 2 takes out."""

    move_id: int
    symbol: str
    position_side: PositionSide
    type: int
    amount: Decimal
    time_ms: int


def to_json(record: object) -> dict[str, Any]:
    """Return a record as JSON-able values; decimals and enums become text."""
    return {name: _plain(getattr(record, name)) for name in _field_names(type(record))}


def from_json(kind: type[_Record], row: dict[str, Any]) -> _Record:
    """Rebuild a record that `to_json` wrote; fields added since take their defaults."""
    converters = _converters(kind)
    return kind(**{name: converters[name](value) for name, value in row.items()})


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, StrEnum) else value


def _field_names(kind: type) -> tuple[str, ...]:
    found = _NAMES.get(kind.__name__)
    if found is None:
        found = _NAMES[kind.__name__] = tuple(get_type_hints(kind))
    return found


def _converters(kind: type) -> dict[str, Any]:
    found = _CONVERTERS.get(kind.__name__)
    if found is None:
        hints = get_type_hints(kind)
        found = _CONVERTERS[kind.__name__] = {name: _converter(hints[name]) for name in hints}
    return found


def _converter(hint: Any) -> Any:
    inner = hint
    if get_origin(hint) in (Union, UnionType):
        inner = next(part for part in get_args(hint) if part is not type(None))
    if inner is Decimal or (isinstance(inner, type) and issubclass(inner, StrEnum)):
        return lambda value: None if value is None else inner(value)
    return lambda value: value

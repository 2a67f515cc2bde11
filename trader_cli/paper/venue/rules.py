"""What makes an order valid, before any account or market is asked: parameters and filters.

Turns parameters into an `OrderWish` or an `AlgoWish`, or refuses with the protocol's code. Pure;
must not know positions, margin or what rests.

Source: binance-usdm reference §5, §6.1, §7.2, §13.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.instrument import Instrument, round_down_to_step, round_up_to_step
from trader_cli.domain.numbers import ZERO, to_text
from trader_cli.domain.terms import (
    CONDITIONAL_TYPES,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from trader_cli.paper.books.ledger import decimal_places
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal
from trader_cli.paper.state.records import bare

POST_ONLY: Final = (TimeInForce.GTX, TimeInForce.RPI)
PRICE_MATCHES: Final = (
    "OPPONENT",
    "OPPONENT_5",
    "QUEUE",
    "QUEUE_5",
    "QUEUE_10",
    "QUEUE_20",
)
"""OPPONENT_10 and OPPONENT_20 were withdrawn on 2025-10-23."""

NO_PRICE_MATCH: Final = "NONE"
_BUY: Final = Side.BUY
_BOTH: Final = PositionSide.BOTH
_GOOD_TILL_DATE: Final = TimeInForce.GTD
_RESPONSE_TYPES: Final = ("ACK", "RESULT")
_GOOD_TILL_LEAD_MS: Final = 600_000
_GOOD_TILL_MAX_MS: Final = 253_402_300_799_000
_CALLBACK_MIN: Final = Decimal("0.1")
_CALLBACK_MAX: Final = Decimal(20)
_PRICED_TYPES: Final = (OrderType.STOP, OrderType.TAKE_PROFIT)
_CLOSING_TYPES: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)


@dataclass(slots=True, kw_only=True)
class OrderWish:
    """A regular order as asked for; `price` 0 for MARKET and until a price match is resolved."""

    symbol: str
    side: Side
    position_side: PositionSide
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    client_id: str | None
    self_trade_prevention: SelfTradePrevention
    price_match: str
    good_till_ms: int
    wants_result: bool
    close_position: bool = False

    @property
    def only_reduces(self) -> bool:
        if self.position_side is _BOTH:
            return self.reduce_only or self.close_position
        return (self.position_side is PositionSide.LONG) is (self.side is Side.SELL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What an order's words say; its numbers and its client id apart."""

    symbol: str
    side: Side
    position_side: PositionSide
    type: OrderType
    time_in_force: TimeInForce
    reduce_only: bool
    self_trade_prevention: SelfTradePrevention
    price_match: str
    wants_result: bool


_SHAPES: Final[dict[tuple[object, ...], _Shape]] = {}
"""Shapes found valid, by everything they were read from; clients send few, again and again."""

_SHAPES_KEPT: Final = 1_024
_SHAPING: Final = tuple(
    name.lower()
    for name in (
        "symbol",
        "side",
        "type",
        "positionSide",
        "closePosition",
        "timeInForce",
        "priceMatch",
        "reduceOnly",
        "selfTradePreventionMode",
        "newOrderRespType",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoWish:
    """A conditional order as asked for."""

    symbol: str
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
    client_id: str | None
    self_trade_prevention: SelfTradePrevention
    price_match: str
    good_till_ms: int


def read_order(params: Params, *, hedge: bool, now_ms: int) -> OrderWish:
    """Return the order that `params` describe; filters are not checked yet."""
    key = hedge, params.has("price"), params.has("quantity"), *params.texts(_SHAPING)
    shape = _SHAPES.get(key)
    if shape is None:
        shape = _read_shape(params, hedge=hedge, now_ms=now_ms)
        if len(_SHAPES) >= _SHAPES_KEPT:
            _SHAPES.clear()
        _SHAPES[key] = shape
    wish = bare(OrderWish)
    wish.symbol = shape.symbol
    wish.side = shape.side
    wish.position_side = shape.position_side
    wish.type = shape.type
    wish.time_in_force = shape.time_in_force
    wish.quantity = params.decimal("quantity") or ZERO
    wish.price = params.decimal("price") or ZERO
    wish.reduce_only = shape.reduce_only
    wish.client_id = params.client_id("newClientOrderId")
    wish.self_trade_prevention = shape.self_trade_prevention
    wish.price_match = shape.price_match
    wish.good_till_ms = _good_till(params, shape.time_in_force, now_ms)
    wish.wants_result = shape.wants_result
    wish.close_position = False
    return wish


def _read_shape(params: Params, *, hedge: bool, now_ms: int) -> _Shape:
    """Return an order's shape; whatever is wrong is refused in the venue's order of checks."""
    symbol = params.needed("symbol").upper()
    side = read_side(params)
    kind = _type(params)
    if kind in CONDITIONAL_TYPES:
        raise VenueRefusal(-4120)
    if kind is OrderType.LIQUIDATION:
        raise VenueRefusal(-1116)
    position_side = _position_side(params, hedge=hedge)
    if params.flag("closePosition"):
        raise VenueRefusal(-4136, kind.value, "true")
    time_in_force = TimeInForce.GTC
    price_match = read_price_match(params)
    if kind is OrderType.MARKET:
        for name in ("timeInForce", "price"):
            if params.has(name):
                raise VenueRefusal(-1106, name.lower())
        if price_match != NO_PRICE_MATCH:
            raise VenueRefusal(-5038)
    else:
        params.needed("timeInForce")
        time_in_force = _time_in_force(params)
        if price_match == NO_PRICE_MATCH:
            params.needed("price")
    params.needed("quantity")
    # The numbers are read here only because a malformed one is refused before what follows.
    params.decimal("quantity")
    params.decimal("price")
    reduce_only = _reduce_only(params, hedge=hedge)
    params.client_id("newClientOrderId")
    self_trade_prevention = _self_trade_prevention(params)
    _good_till(params, time_in_force, now_ms)
    return _Shape(
        symbol=symbol,
        side=side,
        position_side=position_side,
        type=kind,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        self_trade_prevention=self_trade_prevention,
        price_match=price_match,
        wants_result=_wants_result(params),
    )


def read_algo(params: Params, *, hedge: bool, now_ms: int) -> AlgoWish:
    """Return the conditional order that `params` describe; filters are not checked yet."""
    if params.needed("algoType").upper() != "CONDITIONAL":
        raise VenueRefusal(-1130, "algoType")
    symbol = params.needed("symbol").upper()
    side = read_side(params)
    kind = _type(params)
    if kind not in CONDITIONAL_TYPES:
        raise VenueRefusal(-1116)
    position_side = _position_side(params, hedge=hedge)
    close_position = bool(params.flag("closePosition"))
    if close_position:
        _check_close_position(params, kind, position_side, side)
    else:
        params.needed("quantity")
    trailing = kind is OrderType.TRAILING_STOP_MARKET
    params.needed("callbackRate" if trailing else "triggerPrice")
    price_match = read_price_match(params)
    if kind in _PRICED_TYPES:
        if price_match == NO_PRICE_MATCH:
            params.needed("price")
    elif price_match != NO_PRICE_MATCH:
        raise VenueRefusal(-5038)
    elif params.has("price"):
        raise VenueRefusal(-1106, "price")
    time_in_force = _time_in_force(params)
    _wants_result(params)
    callback = params.decimal("callbackRate") if trailing else None
    if callback is not None and not _CALLBACK_MIN <= callback <= _CALLBACK_MAX:
        raise VenueRefusal(-1130, "callbackRate")
    working_type = params.enum("workingType", WorkingType, code=-4031)
    return AlgoWish(
        symbol=symbol,
        side=side,
        position_side=position_side,
        type=kind,
        time_in_force=time_in_force,
        quantity=params.decimal("quantity") or ZERO,
        price=params.decimal("price") or ZERO,
        trigger_price=ZERO if trailing else params.decimal("triggerPrice") or ZERO,
        activate_price=params.decimal("activatePrice") if trailing else None,
        callback_rate=callback,
        working_type=working_type or WorkingType.CONTRACT_PRICE,
        price_protect=bool(params.flag("priceProtect")),
        close_position=close_position,
        reduce_only=_reduce_only(params, hedge=hedge),
        client_id=params.client_id("clientAlgoId"),
        self_trade_prevention=_self_trade_prevention(params),
        price_match=price_match,
        good_till_ms=_good_till(params, time_in_force, now_ms),
    )


def _check_close_position(
    params: Params, kind: OrderType, position_side: PositionSide, side: Side
) -> None:
    if kind not in _CLOSING_TYPES:
        raise VenueRefusal(-4136, kind.value, "true")
    if params.has("quantity"):
        raise VenueRefusal(-4137)
    if params.has("reduceOnly"):
        raise VenueRefusal(-1106, "reduceonly")
    wrong = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
    if wrong.get(position_side) is side:
        raise VenueRefusal(-4061)


def read_side(params: Params) -> Side:
    """Return the side a request must name; refuses with -1117."""
    params.needed("side")
    side = params.enum("side", Side, code=-1117)
    assert side is not None, "needed above"
    return side


def _type(params: Params) -> OrderType:
    params.needed("type")
    kind = params.enum("type", OrderType, code=-1116)
    assert kind is not None, "needed above"
    return kind


def _position_side(params: Params, *, hedge: bool) -> PositionSide:
    side = params.enum("positionSide", PositionSide, code=-4060) or PositionSide.BOTH
    if (side is not PositionSide.BOTH) is not hedge:
        raise VenueRefusal(-4061)
    return side


def _reduce_only(params: Params, *, hedge: bool) -> bool:
    if hedge and params.has("reduceOnly"):
        raise VenueRefusal(-1106, "reduceonly")
    return bool(params.flag("reduceOnly"))


def _time_in_force(params: Params) -> TimeInForce:
    return params.enum("timeInForce", TimeInForce, code=-1115) or TimeInForce.GTC


def _self_trade_prevention(params: Params) -> SelfTradePrevention:
    mode = params.enum("selfTradePreventionMode", SelfTradePrevention, code=-5039)
    return mode or SelfTradePrevention.EXPIRE_MAKER


def read_price_match(params: Params) -> str:
    """Return the price match asked for, NONE without one; it excludes a price."""
    word = (params.text("priceMatch") or NO_PRICE_MATCH).upper()
    if word == NO_PRICE_MATCH:
        return word
    if word not in PRICE_MATCHES:
        raise VenueRefusal(-5037)
    if params.has("price"):
        raise VenueRefusal(-1106, "price")
    return word


def _wants_result(params: Params) -> bool:
    word = (params.text("newOrderRespType") or "ACK").upper()
    if word not in _RESPONSE_TYPES:
        raise VenueRefusal(-1136)
    return word == "RESULT"


def _good_till(params: Params, time_in_force: TimeInForce, now_ms: int) -> int:
    if time_in_force is not _GOOD_TILL_DATE:
        return 0
    params.needed("goodTillDate")
    asked = params.integer("goodTillDate") or 0
    if not now_ms + _GOOD_TILL_LEAD_MS < asked < _GOOD_TILL_MAX_MS:
        raise VenueRefusal(-5040)
    return asked // 1000 * 1000


def check_price(instrument: Instrument, price: Decimal) -> None:
    """Refuse a price outside PRICE_FILTER."""
    tick = instrument.tick_size
    if (
        tick
        and instrument.price_min <= price <= instrument.price_max
        and price
        and not price % tick
    ):
        return
    if price < 0:
        raise VenueRefusal(-4001)
    off_tick = not instrument.tick_size or price % instrument.tick_size
    if off_tick and decimal_places(price) > instrument.price_precision:
        raise VenueRefusal(-1111)
    if price < instrument.price_min or price == 0:
        raise VenueRefusal(-4013)
    if instrument.price_max and price > instrument.price_max:
        raise VenueRefusal(-4002)
    if instrument.tick_size and off_tick:
        raise VenueRefusal(-4014)


def check_trigger(instrument: Instrument, price: Decimal) -> None:
    """Refuse a trigger or activation price outside PRICE_FILTER."""
    if price <= 0:
        raise VenueRefusal(-4006)
    if instrument.price_max and price > instrument.price_max:
        raise VenueRefusal(-4007)
    check_price(instrument, price)


def check_quantity(instrument: Instrument, quantity: Decimal, *, market: bool) -> None:
    """Refuse a quantity outside LOT_SIZE or MARKET_LOT_SIZE."""
    low = instrument.market_quantity_min if market else instrument.quantity_min
    high = instrument.market_quantity_max if market else instrument.quantity_max
    step = instrument.market_quantity_step if market else instrument.quantity_step
    if step and low <= quantity <= high and quantity and not quantity % step:
        return
    if quantity <= 0:
        raise VenueRefusal(-4003)
    off_step = not step or quantity % step
    if off_step and decimal_places(quantity) > instrument.quantity_precision:
        raise VenueRefusal(-1111)
    if quantity < low:
        raise VenueRefusal(-4004)
    if quantity > high:
        raise VenueRefusal(-4005)
    if step and off_step:
        raise VenueRefusal(-4023)


def check_band(instrument: Instrument, side: Side, price: Decimal, mark: Decimal) -> None:
    """Refuse a limit price outside PERCENT_PRICE: too dear a buy, too cheap a sell."""
    if side is _BUY:
        highest = mark * instrument.percent_up
        if price > highest:
            raise VenueRefusal(-4016, to_text(round_down_to_step(highest, instrument.tick_size)))
    else:
        lowest = mark * instrument.percent_down
        if price < lowest:
            raise VenueRefusal(-4024, to_text(round_up_to_step(lowest, instrument.tick_size)))


def check_notional(instrument: Instrument, price: Decimal, quantity: Decimal) -> None:
    """Refuse an order under MIN_NOTIONAL; whoever only reduces is not asked."""
    if price * quantity < instrument.notional_min:
        raise VenueRefusal(-4164, to_text(instrument.notional_min))

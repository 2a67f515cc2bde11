"""What is under way with a resting order of ours: an amendment, a cancel, and what proves its end.

Pure. The journal's details of an order tell what was asked for; an order as read tells what came of
it. Until that is proven the order counts at the larger of what it is and what it may become.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import to_text
from trader_cli.domain.order import AlgoOrder, ConditionalRequest, LimitRequest, Order
from trader_cli.domain.order_life_cycle import IntentStatus
from trader_cli.domain.terms import OrderType
from trader_cli.journal.encoding import JsonObject
from trader_cli.journal.index import IntentRecord

STRANGER: Final = "stranger"
"""Source of the intents by which the journal knows, while we change them, orders it never sent."""

_AMEND: Final = "amend"
_CANCEL: Final = "cancel"
_DOUBT_MS: Final = "doubt_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was asked for and is not known to be done or not.

    Attributes:
        price, quantity: of the amendment, the whole quantity; None without one.
        cancels: the order may be gone.
        doubt_ms: local time at which the answer was given up, None while it is waited for.
    """

    price: Decimal | None
    quantity: Decimal | None
    cancels: bool
    doubt_ms: int | None

    def is_settled_by(self, order: Order | AlgoOrder, *, too_late: bool) -> bool:
        """Return True if the order as read proves what became of the change.

        `too_late` says that it was asked for when the request could no longer arrive.
        """
        if too_late or not order.status.is_open:
            return True
        amended = isinstance(order, Order) and self.quantity is not None
        return amended and not self.cancels and self._is_shown_by(order)

    def _is_shown_by(self, order: Order | AlgoOrder) -> bool:
        return (order.price, order.quantity) == (self.price, self.quantity)


def change_of(intent: IntentRecord) -> Change | None:
    """Return what is under way with the order, None if nothing is."""
    amend = intent.outcome.get(_AMEND)
    cancels = bool(intent.outcome.get(_CANCEL))
    if intent.status.is_final or (amend is None and not cancels):
        return None
    return Change(
        price=None if amend is None else Decimal(amend["price"]),
        quantity=None if amend is None else Decimal(amend["quantity"]),
        cancels=cancels,
        doubt_ms=(
            intent.outcome.get(_DOUBT_MS) if intent.status is IntentStatus.UNSETTLED else None
        ),
    )


def request_of(order: Order | AlgoOrder) -> LimitRequest | ConditionalRequest:
    """Return what asks for the order as it rests."""
    if isinstance(order, Order):
        return LimitRequest(
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=order.price,
            client_order_id=order.client_order_id,
            time_in_force=order.time_in_force,
            reduce_only=order.reduce_only,
            position_side=order.position_side,
        )
    trailing = order.type is OrderType.TRAILING_STOP_MARKET
    return ConditionalRequest(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        client_order_id=order.client_order_id,
        quantity=None if order.close_position else order.quantity,
        trigger_price=None if trailing else order.trigger_price,
        price=order.price or None,
        activate_price=(order.activate_price or None) if trailing else None,
        callback_rate=order.callback_rate if trailing else None,
        working_type=order.working_type,
        close_position=order.close_position,
        reduce_only=order.reduce_only,
        position_side=order.position_side,
        time_in_force=order.time_in_force,
    )


def amending(price: Decimal, quantity: Decimal) -> JsonObject:
    """Return the details of a CHANGE: the order is about to be asked to become this."""
    return {_AMEND: {"price": to_text(price), "quantity": to_text(quantity)}}


def doubting(now_ms: int, *, cancels: bool) -> JsonObject:
    """Return the details of a DOUBT_CHANGE; an amendment that was in doubt before stays so."""
    return {_DOUBT_MS: now_ms, **({_CANCEL: True} if cancels else {})}


def settled(order: Order | AlgoOrder | None) -> JsonObject:
    """Return the details of a SETTLE; `order` is as it rests, None if it rests as before."""
    details: dict[str, object] = {_AMEND: None, _CANCEL: None, _DOUBT_MS: None}
    if isinstance(order, Order):
        details |= {"price": to_text(order.price), "quantity": to_text(order.quantity)}
    return details

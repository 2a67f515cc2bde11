"""Stream events to the words of the field, strictly.

An unknown event is ignored (the venue adds some every year); a known event with an unknown word
raises `DecodeError`, which sets that one message aside. Knows no sockets and no clock.

Source: `stream.py` for the shapes, binance-usdm reference §10.3, §11.
"""

from __future__ import annotations

from typing import Final

from trader_cli.domain.account import BookTop, MarkPrice
from trader_cli.domain.account_events import (
    AccountUpdated,
    AlgoUpdated,
    BalanceChanged,
    BookTopChanged,
    LeverageChanged,
    MarginCalled,
    MarkPriceChanged,
    OrderUpdated,
    PositionChanged,
)
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import (
    ExecutionType,
    PositionSide,
)
from trader_cli.wire import glance
from trader_cli.wire.building import quick
from trader_cli.wire.decode import decode_margin_type
from trader_cli.wire.decode_orders import (
    decode_streamed_algo_order,
    decode_streamed_fill,
    decode_streamed_order,
)
from trader_cli.wire.fields import Fields

_OrderUpdated: Final = quick(OrderUpdated)

DecodedUserEvent = OrderUpdated | AlgoUpdated | AccountUpdated | LeverageChanged | MarginCalled
DecodedMarketEvent = BookTopChanged | MarkPriceChanged


def unwrap(value: object) -> object:
    """Return the payload of a combined-stream message, any other value unchanged."""
    if isinstance(value, dict) and "stream" in value and "data" in value:
        payload: object = value["data"]
        return payload
    return value


def event_type(value: object) -> str | None:
    """Return the `e` of a payload, None where there is none (answers to control messages)."""
    found = value.get("e") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def decode_user_event(value: object) -> DecodedUserEvent | None:
    """Return the event, None for kinds the program has no use for (TRADE_LITE, GRID_UPDATE, …)."""
    match event_type(value):
        case "ORDER_TRADE_UPDATE":
            updated = glance.order_updated(value)
            if updated is not None:
                return updated
            return read_order_updated(Fields("ORDER_TRADE_UPDATE", value))
        case "ALGO_UPDATE":
            return _algo_updated(Fields("ALGO_UPDATE", value))
        case "ACCOUNT_UPDATE":
            return _account_updated(Fields("ACCOUNT_UPDATE", value))
        case "ACCOUNT_CONFIG_UPDATE":
            return _leverage_changed(Fields("ACCOUNT_CONFIG_UPDATE", value))
        case "MARGIN_CALL":
            return _margin_called(Fields("MARGIN_CALL", value))
        case _:
            return None


def decode_market_event(value: object) -> DecodedMarketEvent | None:
    """Return the event, None for kinds the program does not subscribe to."""
    match event_type(value):
        case "bookTicker":
            return BookTopChanged(top=_book_top(Fields("bookTicker", value, symbol_key="s")))
        case "markPriceUpdate":
            return MarkPriceChanged(mark=_mark(Fields("markPriceUpdate", value, symbol_key="s")))
        case _:
            return None


def read_order_updated(event: Fields) -> OrderUpdated:
    """Decode an `ORDER_TRADE_UPDATE`, asking for one key after the other."""
    row = Fields("ORDER_TRADE_UPDATE", event.raw("o"), symbol_key="s")
    order = decode_streamed_order(row)
    reason = row.text_or_none("er")
    return _OrderUpdated(
        order=order,
        execution=row.word("x", ExecutionType),
        fill=decode_streamed_fill(row, order),
        expiry_reason=None if reason == "0" else reason,
        venue_ms=event.integer("T"),
    )


def _algo_updated(event: Fields) -> AlgoUpdated:
    venue_ms = event.integer("T")
    row = event.child("o", symbol_key="s")
    return AlgoUpdated(order=decode_streamed_algo_order(row, venue_ms), venue_ms=venue_ms)


def _account_updated(event: Fields) -> AccountUpdated:
    account = event.child("a")
    return AccountUpdated(
        reason=account.text("m"),
        balances=tuple(
            BalanceChanged(
                asset=row.text("a"),
                wallet_balance=row.decimal("wb"),
                cross_wallet_balance=row.decimal("cw"),
                change=row.decimal("bc"),
            )
            for row in account.children("B")
        ),
        positions=tuple(
            PositionChanged(
                symbol=row.text("s"),
                position_side=row.word("ps", PositionSide),
                quantity=row.decimal("pa"),
                entry_price=row.decimal("ep"),
                unrealized_pnl=row.decimal("up"),
                margin_type=decode_margin_type(row, "mt"),
                isolated_wallet=row.decimal("iw"),
            )
            for row in (account.children("P", symbol_key="s") if account.has("P") else ())
        ),
        venue_ms=event.integer("T"),
    )


def _leverage_changed(event: Fields) -> LeverageChanged | None:
    """Return None for a change of the multi-assets mode, the event's other form."""
    if not event.has("ac"):
        return None
    row = event.child("ac", symbol_key="s")
    return LeverageChanged(
        symbol=row.text("s"), leverage=row.integer("l"), venue_ms=event.integer("T")
    )


def _margin_called(event: Fields) -> MarginCalled:
    return MarginCalled(
        symbols=tuple(row.text("s") for row in event.children("p", symbol_key="s")),
        venue_ms=event.integer("E"),
    )


def _book_top(row: Fields) -> BookTop:
    return BookTop(
        symbol=row.text("s"),
        bid=row.decimal("b"),
        bid_quantity=row.decimal("B"),
        ask=row.decimal("a"),
        ask_quantity=row.decimal("A"),
        venue_ms=row.integer("T"),
    )


def _mark(row: Fields) -> MarkPrice:
    return MarkPrice(
        symbol=row.text("s"),
        mark_price=row.decimal("p"),
        index_price=row.decimal("i"),
        funding_rate=row.decimal_or_none("r") or ZERO,
        next_funding_ms=row.integer("T"),
        venue_ms=row.integer("E"),
    )

"""`order batch FILE`: a list of orders, each with its own outcome.

The file is a JSON list or one JSON object a line. Every line is read before anything is sent, and
all that is wrong in it is told at once; numbers keep the digits they were written with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import typer

from trader_cli.cli.arguments import (
    order_side,
    position_direction,
    positive_number,
    symbol_name,
    time_in_force,
)
from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json
from trader_cli.cli.order_actions import (
    ConditionalWish,
    LimitWish,
    MarketWish,
    SizeWish,
    after_exits,
    conditional_request,
    expired_in_part,
    leg_of,
    limit_request,
    market_request,
)
from trader_cli.cli.order_terms import checked, known
from trader_cli.cli.output import error_to_json
from trader_cli.cli.prices import price_wish
from trader_cli.cli.records import order_json, orders_table, request_json
from trader_cli.domain.order import OrderRequest
from trader_cli.domain.terms import OrderType, TimeInForce
from trader_cli.errors import PartialFailure, TraderError, UsageError
from trader_cli.trading.orders.batch import BatchItem, place_batch

ITEMS_MAX: Final = 200
_KINDS: Final = ("limit", "market", "stop-loss", "take-profit", "trailing-stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of an item; both where an order was placed and is not what was wanted."""

    order: Json | None = None
    error: TraderError | None = None


def _switch(value: str) -> bool:
    if value not in ("true", "false"):
        raise typer.BadParameter(f"{value!r} is not one of true, false")
    return value == "true"


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "order": str,
    "symbol": symbol_name,
    "side": order_side,
    "quantity": positive_number,
    "usd": positive_number,
    "price": price_wish,
    "tif": time_in_force,
    "post_only": _switch,
    "reduce_only": _switch,
    "max_slippage_bps": positive_number,
    "position": position_direction,
    "limit": price_wish,
    "callback_rate": positive_number,
    "activate": price_wish,
}
_NEEDED: Final = {
    "limit": {"symbol", "side", "price"},
    "market": {"symbol", "side"},
    "stop-loss": {"symbol", "price"},
    "take-profit": {"symbol", "price"},
    "trailing-stop": {"symbol", "callback_rate"},
}
_ALLOWED: Final = {
    "limit": {"quantity", "usd", "tif", "post_only", "reduce_only", "position"},
    "market": {"quantity", "usd", "max_slippage_bps", "reduce_only", "position"},
    "stop-loss": {"quantity", "limit", "position"},
    "take-profit": {"quantity", "limit", "position"},
    "trailing-stop": {"quantity", "activate", "position"},
}

Wish = LimitWish | MarketWish | ConditionalWish


class _Wrong(Exception):
    """Why one item of the file cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def read_batch(path: Path) -> list[Wish]:
    """Return the orders of a batch file.

    Raises:
        UsageError: every problem of the file, one a line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        said = error.strerror or str(error)
        raise UsageError(f"{path}: cannot be read: {said}", code="batch_file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text", code="batch_file") from error
    items = _items(path, text)
    wishes: list[Wish] = []
    problems: list[str] = []
    for position, item in enumerate(items, start=1):
        try:
            wishes.append(_wish(item))
        except (_Wrong, UsageError) as error:
            problems.append(f"{path}: item {position}: {error.message}")
    if not items:
        problems.append(f"{path}: holds no order")
    if len(items) > ITEMS_MAX:
        problems.append(f"{path}: holds {len(items)} orders, at most {ITEMS_MAX} are taken")
    if problems:
        raise UsageError("\n".join(problems), code="batch_file")
    return wishes


async def place_file(desk: Desk, wishes: list[Wish]) -> Answer:
    """Place every order of the file; with `--dry-run` only check it.

    Exits go last: what they take side and quantity from may have been opened by the same file.
    """
    outcomes: dict[int, _Outcome] = {}
    for are_exits in (False, True):
        numbers = [
            number
            for number, wish in enumerate(wishes)
            if isinstance(wish, ConditionalWish) is are_exits
        ]
        placed = await _place(desk, [wishes[number] for number in numbers])
        outcomes |= dict(zip(numbers, placed, strict=True))
    return _answer([outcomes[number] for number in range(len(wishes))])


async def _place(desk: Desk, wishes: list[Wish]) -> list[_Outcome]:
    requests: list[OrderRequest | TraderError] = []
    for wish in wishes:
        try:
            requests.append(await _request(desk, wish))
        except TraderError as error:
            requests.append(error)
    if desk.invocation.shared.dry_run:
        return [await _checked(desk, row) for row in requests]
    items = [
        BatchItem(request=row, leg=leg_of(row))
        for row in requests
        if not isinstance(row, TraderError)
    ]
    sent = await place_batch(desk.orders, items, source=desk.command_id)
    executed = [row.order for row in sent if not isinstance(row, TraderError)]
    for note in await after_exits(desk, executed):
        desk.invocation.say(note)
    placed = iter(sent)
    outcomes: list[_Outcome] = []
    for wish, row in zip(wishes, requests, strict=True):
        outcome = row if isinstance(row, TraderError) else next(placed)
        if isinstance(outcome, TraderError):
            outcomes.append(_Outcome(error=outcome))
            continue
        shown = order_json(outcome.order)
        part = expired_in_part(wish, shown) if isinstance(wish, MarketWish) else None
        outcomes.append(_Outcome(order=shown, error=part))
    return outcomes


async def _checked(desk: Desk, row: OrderRequest | TraderError) -> _Outcome:
    if isinstance(row, TraderError):
        return _Outcome(error=row)
    try:
        planned, _ = await checked(desk, row)
    except TraderError as error:
        return _Outcome(error=error)
    return _Outcome(order=request_json(planned) | {"dry_run": True})


def _answer(outcomes: list[_Outcome]) -> Answer:
    rows: list[Json] = []
    for position, outcome in enumerate(outcomes, start=1):
        rows.append(
            {
                "item": position,
                "ok": outcome.error is None,
                "order": outcome.order,
                "error": None if outcome.error is None else error_to_json(outcome.error),
            }
        )
    wrong = [row for row in rows if not row["ok"]]
    failure = None
    if wrong:
        failure = PartialFailure(
            "\n".join(
                [
                    f"{len(wrong)} of {len(rows)} orders failed:",
                    *(f"item {row['item']}: {row['error']['message']}" for row in wrong),
                ]
            ),
            code="batch",
        )
    orders = [row["order"] for row in rows if row["order"] is not None]
    data: Json = {"results": rows, "placed": len(orders), "failed": len(wrong)}
    return Answer(data=data, tables=lambda: [orders_table("Batch", orders)], failure=failure)


async def _request(desk: Desk, wish: Wish) -> OrderRequest:
    await known(desk, wish.symbol)
    match wish:
        case LimitWish():
            return await limit_request(desk, wish)
        case MarketWish():
            return await market_request(desk, wish)
        case ConditionalWish():
            return await conditional_request(desk, wish)


def _items(path: Path, text: str) -> list[object]:
    """Return the objects of a JSON list, or of one object a line."""
    try:
        whole = json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        whole = None
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict):
        return [whole]
    items: list[object] = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            items.append(json.loads(line, parse_float=str, parse_int=str))
        except ValueError as error:
            raise UsageError(
                f"{path}: line {line_number} is not JSON: {error}", code="batch_file"
            ) from error
    return items


def _wish(item: object) -> Wish:
    if not isinstance(item, dict):
        raise _Wrong("is not an object")
    kind = item.get("order")
    if kind is None:
        raise _Wrong(f"has no `order`, which is one of {', '.join(_KINDS)}")
    if kind not in _KINDS:
        raise _Wrong(f"`order` is {kind!r}, allowed is one of {', '.join(_KINDS)}")
    needed, allowed = _NEEDED[kind], _NEEDED[kind] | _ALLOWED[kind] | {"order"}
    unknown, missing = sorted(item.keys() - allowed), sorted(needed - item.keys())
    if unknown:
        raise _Wrong(f"{kind} takes no {', '.join(unknown)}")
    if missing:
        raise _Wrong(f"{kind} needs {', '.join(missing)}")
    values = {name: _value(name, value) for name, value in item.items()}
    if kind in ("limit", "market"):
        return _entry_wish(kind, values)
    return _exit_wish(kind, values)


def _entry_wish(kind: str, values: dict[str, Any]) -> Wish:
    size = SizeWish(quantity=values.get("quantity"), usd=values.get("usd"))
    if kind == "market":
        return MarketWish(
            symbol=values["symbol"],
            side=values["side"],
            size=size,
            max_slippage_bps=values.get("max_slippage_bps"),
            reduce_only=values.get("reduce_only", False),
            direction=values.get("position"),
        )
    tif = values.get("tif", TimeInForce.GTC)
    if tif is TimeInForce.GTD:
        raise _Wrong("GTD is not taken in a batch")
    return LimitWish(
        symbol=values["symbol"],
        side=values["side"],
        size=size,
        price=values["price"],
        time_in_force=TimeInForce.GTX if values.get("post_only") else tif,
        reduce_only=values.get("reduce_only", False),
        direction=values.get("position"),
    )


def _exit_wish(kind: str, values: dict[str, Any]) -> ConditionalWish:
    limited = "limit" in values
    types = {
        "stop-loss": OrderType.STOP if limited else OrderType.STOP_MARKET,
        "take-profit": OrderType.TAKE_PROFIT if limited else OrderType.TAKE_PROFIT_MARKET,
        "trailing-stop": OrderType.TRAILING_STOP_MARKET,
    }
    quantity: Decimal | None = values.get("quantity")
    return ConditionalWish(
        symbol=values["symbol"],
        type=types[kind],
        quantity=quantity,
        direction=values.get("position"),
        trigger_price=values.get("price"),
        limit_price=values.get("limit"),
        callback_rate=values.get("callback_rate"),
        activate_price=values.get("activate"),
    )


def _value(name: str, value: object) -> Any:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    if not isinstance(text, str):
        raise _Wrong(f"`{name}` is neither text nor a number")
    try:
        return _PARSERS[name](text)
    except typer.BadParameter as error:
        raise _Wrong(f"`{name}`: {error.message}") from error

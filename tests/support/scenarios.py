"""What is done at the venue for each cassette: the same steps when recording and when replaying.

Each scenario leaves the account as it found it: flat, without orders. Prices follow from the
mark price, so that they hold on any day.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trader_cli.domain.instrument import round_down_to_step
from trader_cli.domain.terms import MarginType, Side, TimeInForce
from trader_cli.errors import VenueError
from trader_cli.exchange.binance_futures_client import BinanceFuturesClient

SYMBOL = "BTCUSDT"
QUANTITY = Decimal("0.002")


@dataclass
class Seen:
    """What a scenario got, by name."""

    values: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, VenueError] = field(default_factory=dict)

    async def refused(self, name: str, attempt: Awaitable[object]) -> None:
        try:
            self.values[name] = await attempt
        except VenueError as error:
            self.failures[name] = error


Scenario = Callable[[BinanceFuturesClient], Awaitable[Seen]]


async def market(client: BinanceFuturesClient) -> Seen:
    """Public data of one contract."""
    return Seen(
        {
            "instruments": await client.get_instruments(),
            "top": await client.get_book_top(SYMBOL),
            "book": await client.get_order_book(SYMBOL, 5),
            "mark": await client.get_mark_price(SYMBOL),
            "candles": await client.get_klines(SYMBOL, "1h", 3),
        }
    )


async def account(client: BinanceFuturesClient) -> Seen:
    """The account's numbers and settings."""
    return Seen(
        {
            "balance": await client.get_account_balance(),
            "summary": await client.get_account_summary(),
            "brackets": await client.get_leverage_brackets(SYMBOL),
            "commission": await client.get_commission_rate(SYMBOL),
            "config": await client.get_symbol_config(SYMBOL),
            "leverage": await client.set_leverage(SYMBOL, 20),
        }
    )


async def limit_order(client: BinanceFuturesClient) -> Seen:
    """A post-only order far below the market rests, is found and is cancelled."""
    price = await _price(client, Decimal("0.9"))
    seen = Seen()
    seen.values["placed"] = await client.place_limit_order(
        SYMBOL,
        Side.BUY,
        QUANTITY,
        price,
        client_order_id="trd-cassette-limit",
        time_in_force=TimeInForce.GTX,
    )
    seen.values["open"] = await client.get_open_orders(SYMBOL)
    seen.values["cancelled"] = await client.cancel_order(
        SYMBOL, client_order_id="trd-cassette-limit"
    )
    seen.values["queried"] = await client.get_order_status(
        SYMBOL, client_order_id="trd-cassette-limit"
    )
    return seen


async def market_order(client: BinanceFuturesClient) -> Seen:
    """A position is opened at market, looked at and closed."""
    seen = Seen()
    seen.values["opened"] = await client.place_market_order(
        SYMBOL, Side.BUY, QUANTITY, client_order_id="trd-cassette-market"
    )
    seen.values["queried"] = await client.get_order_status(
        SYMBOL, client_order_id="trd-cassette-market"
    )
    seen.values["positions"] = await client.get_positions()
    seen.values["closed"] = await client.close_position(
        SYMBOL, client_order_id_of="trd-cassette-close-{}".format
    )
    seen.values["fills"] = await client.get_fills(SYMBOL, order_id=seen.values["opened"].order_id)
    return seen


async def conditional_orders(client: BinanceFuturesClient) -> Seen:
    """A stop and a trailing stop rest in the Algo Service, are found there, and are cancelled."""
    price = await _price(client, Decimal("0.8"))
    seen = Seen()
    seen.values["stop"] = await client.place_stop_loss(
        SYMBOL, Side.SELL, QUANTITY, price, client_order_id="trd-cassette-stop"
    )
    seen.values["trailing"] = await client.place_trailing_stop(
        SYMBOL, Side.SELL, QUANTITY, Decimal(1), client_order_id="trd-cassette-trail",
        activate_price=round_down_to_step(price * 2, Decimal("0.1")),
    )  # fmt: skip
    seen.values["open"] = await client.get_open_algo_orders(SYMBOL)
    seen.values["regular"] = await client.get_open_orders(SYMBOL)
    await client.cancel_algo_order(client_order_id="trd-cassette-stop")
    await client.cancel_all_algo_orders(SYMBOL)
    seen.values["history"] = await client.get_all_algo_orders(SYMBOL)
    return seen


async def refusals(client: BinanceFuturesClient) -> Seen:
    """What the venue refuses, one of each kind that an operator meets."""
    above = await _price(client, Decimal("1.02"))
    seen = Seen()
    await seen.refused("symbol", client.get_book_top("NOSUCHUSDT"))
    await seen.refused("unknown order", client.get_order_status(SYMBOL, client_order_id="trd-none"))
    await seen.refused("unknown cancel", client.cancel_order(SYMBOL, client_order_id="trd-none"))
    await seen.refused(
        "post-only above the ask",
        client.place_limit_order(
            SYMBOL,
            Side.BUY,
            QUANTITY,
            above,
            client_order_id="trd-cassette-taker",
            time_in_force=TimeInForce.GTX,
        ),
    )
    await seen.refused(
        "trigger on the wrong side",
        client.place_stop_loss(
            SYMBOL, Side.SELL, QUANTITY, above, client_order_id="trd-cassette-wrong"
        ),
    )
    await client.set_margin_type(SYMBOL, MarginType.CROSS)
    return seen


async def listen_key(client: BinanceFuturesClient) -> Seen:
    """The user stream's key is created and extended."""
    created = await client.create_listen_key()
    return Seen({"created": created, "extended": await client.keep_alive_listen_key()})


async def wrong_key(client: BinanceFuturesClient) -> Seen:
    """A key of another venue."""
    seen = Seen()
    await seen.refused("balance", client.get_account_balance())
    return seen


SCENARIOS: dict[str, Scenario] = {
    "market": market,
    "account": account,
    "limit_order": limit_order,
    "market_order": market_order,
    "conditional_orders": conditional_orders,
    "refusals": refusals,
    "listen_key": listen_key,
    "wrong_key": wrong_key,
}


async def _price(client: BinanceFuturesClient, factor: Decimal) -> Decimal:
    mark = await client.get_mark_price(SYMBOL)
    return round_down_to_step(mark.mark_price * factor, Decimal("0.1"))

"""REST answers to the words of the field, strictly; orders are in `decode_orders`.

Unknown keys are ignored, an unknown word or a missing key raises `DecodeError` naming the row;
the caller decides whether one row or the whole answer is set aside. Knows no sockets and no clock.
Every function takes JSON as `fields.parse_json` returns it.

Source: `rest_account.py` and `rest_market.py` for the shapes, binance-usdm reference §6-§9 and
§13.1 for what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from trader_cli.domain.account import (
    AccountSummary,
    AssetBalance,
    BookTop,
    IncomeRow,
    KeyRights,
    Kline,
    LeverageBracket,
    MarkPrice,
    OrderBook,
    Position,
    SymbolConfig,
)
from trader_cli.domain.instrument import Instrument
from trader_cli.domain.numbers import ZERO
from trader_cli.domain.terms import (
    MarginType,
    PositionSide,
)
from trader_cli.wire.fields import DecodeError, Fields, rows_of

T = TypeVar("T")

_MARGIN_TYPES: Final = {
    "CROSSED": MarginType.CROSS,
    "CROSS": MarginType.CROSS,
    "ISOLATED": MarginType.ISOLATED,
}


def decode_rows(
    name: str, value: object, decode: Callable[[object], T]
) -> tuple[list[T], list[DecodeError]]:
    """Return the decoded rows and, apart, the error of every row that could not be decoded.

    Raises:
        DecodeError: the answer is not a list at all.
    """
    decoded: list[T] = []
    errors: list[DecodeError] = []
    for row in rows_of(name, value):
        try:
            decoded.append(decode(row))
        except DecodeError as error:
            errors.append(error)
    return decoded, errors


def decode_income(value: object) -> IncomeRow:
    """Decode a row of the income ledger; `amount` is signed, paid is negative."""
    row = Fields("income", value)
    return IncomeRow(
        symbol=row.text("symbol"),
        income_type=row.text("incomeType"),
        amount=row.decimal("income"),
        asset=row.text("asset"),
        info=row.text("info"),
        transaction_id=row.integer("tranId"),
        trade_id=row.text("tradeId"),
        time_ms=row.integer("time"),
    )


def decode_balance(value: object) -> AssetBalance:
    row = Fields("balance", value)
    return AssetBalance(
        asset=row.text("asset"),
        wallet_balance=row.decimal("balance"),
        cross_wallet_balance=row.decimal("crossWalletBalance"),
        unrealized_pnl=row.decimal("crossUnPnl"),
        available_balance=row.decimal("availableBalance"),
        updated_ms=row.integer("updateTime"),
    )


def decode_account(account: object, config: object) -> AccountSummary:
    """Join `v3/account`, which has the sums, with `accountConfig`, which has the switches."""
    sums = Fields("account", account)
    switches = Fields("accountConfig", config)
    updates = [asset.integer("updateTime") for asset in sums.children("assets")]
    return AccountSummary(
        wallet_balance=sums.decimal("totalWalletBalance"),
        unrealized_pnl=sums.decimal("totalUnrealizedProfit"),
        margin_balance=sums.decimal("totalMarginBalance"),
        available_balance=sums.decimal("availableBalance"),
        initial_margin=sums.decimal("totalInitialMargin"),
        maintenance_margin=sums.decimal("totalMaintMargin"),
        can_trade=switches.flag("canTrade"),
        can_withdraw=switches.flag("canWithdraw"),
        hedge_mode=switches.flag("dualSidePosition"),
        multi_assets_mode=switches.flag("multiAssetsMargin"),
        fee_tier=switches.integer("feeTier"),
        updated_ms=max(updates, default=0),
    )


def decode_key_rights(value: object) -> KeyRights:
    """Decode what a key may do, from the wallet's `apiRestrictions`."""
    row = Fields("apiRestrictions", value)
    return KeyRights(
        can_read=row.flag("enableReading"),
        can_trade_futures=row.flag("enableFutures"),
        can_withdraw=row.flag("enableWithdrawals"),
        can_transfer=row.flag("enableInternalTransfer") or row.flag("permitsUniversalTransfer"),
        ip_restricted=row.flag("ipRestrict"),
        created_ms=row.integer("createTime"),
    )


def decode_margin_type(row: Fields, key: str) -> MarginType:
    """Decode a margin type in any of its spellings: CROSSED, ISOLATED, cross, isolated."""
    text = row.text(key)
    known = _MARGIN_TYPES.get(text.upper())
    if known is None:
        raise row.fail(f"{key}: {text!r} is no MarginType we know")
    return known


def decode_symbol_config(value: object) -> SymbolConfig:
    row = Fields("symbolConfig", value)
    return SymbolConfig(
        symbol=row.text("symbol"),
        margin_type=decode_margin_type(row, "marginType"),
        leverage=row.integer("leverage"),
        notional_max=row.decimal("maxNotionalValue"),
    )


def decode_position(value: object, config: SymbolConfig | None) -> Position:
    """Decode a v3 row, which lacks leverage and margin type, and join them from `config`."""
    row = Fields("positionRisk", value)
    return Position(
        symbol=row.text("symbol"),
        position_side=row.word("positionSide", PositionSide),
        quantity=row.decimal("positionAmt"),
        entry_price=row.decimal("entryPrice"),
        break_even_price=row.decimal("breakEvenPrice"),
        mark_price=row.decimal("markPrice"),
        unrealized_pnl=row.decimal("unRealizedProfit"),
        liquidation_price=row.positive_or_none("liquidationPrice"),
        isolated_margin=row.decimal("isolatedMargin"),
        initial_margin=row.decimal("initialMargin"),
        maintenance_margin=row.decimal("maintMargin"),
        leverage=None if config is None else config.leverage,
        margin_type=None if config is None else config.margin_type,
        updated_ms=row.integer("updateTime"),
    )


def decode_position_size(value: object) -> tuple[str, PositionSide, Decimal]:
    """Decode only (symbol, side, signed quantity): enough to close what cannot be understood."""
    row = Fields("positionRisk", value)
    return row.text("symbol"), row.word("positionSide", PositionSide), row.decimal("positionAmt")


def decode_leverage_brackets(value: object, symbol: str) -> list[LeverageBracket]:
    """Decode the brackets of `symbol`, lowest notional first, from an array or a single object."""
    rows = value if isinstance(value, list) else [value]
    for entry in rows:
        row = Fields("leverageBracket", entry)
        if row.symbol == symbol:
            brackets = [_bracket(step) for step in row.children("brackets")]
            return sorted(brackets, key=lambda bracket: bracket.notional_floor)
    raise DecodeError("leverageBracket", f"no row for {symbol}", symbol=symbol)


def decode_commission_rate(value: object) -> tuple[Decimal, Decimal]:
    """Decode (maker, taker) as fractions of notional."""
    row = Fields("commissionRate", value)
    return row.decimal("makerCommissionRate"), row.decimal("takerCommissionRate")


def decode_instrument(value: object) -> Instrument:
    """Decode one contract of exchangeInfo.

    Without MAX_NUM_ORDERS or PERCENT_PRICE that rule is off; the other filters have to be there.
    """
    row = Fields("exchangeInfo", value)
    filters = {entry.text("filterType"): entry for entry in row.children("filters")}

    def of(name: str) -> Fields:
        if name not in filters:
            raise row.fail(f"filter {name} is missing")
        return filters[name]

    price, lot, market = of("PRICE_FILTER"), of("LOT_SIZE"), of("MARKET_LOT_SIZE")
    percent = filters.get("PERCENT_PRICE")
    orders = filters.get("MAX_NUM_ORDERS")
    return Instrument(
        symbol=row.text("symbol"),
        base_asset=row.text("baseAsset"),
        quote_asset=row.text("quoteAsset"),
        margin_asset=row.text("marginAsset"),
        status=row.text("status"),
        tick_size=price.decimal("tickSize"),
        price_min=price.decimal("minPrice"),
        price_max=price.decimal("maxPrice"),
        quantity_step=lot.decimal("stepSize"),
        quantity_min=lot.decimal("minQty"),
        quantity_max=lot.decimal("maxQty"),
        market_quantity_step=market.decimal("stepSize"),
        market_quantity_min=market.decimal("minQty"),
        market_quantity_max=market.decimal("maxQty"),
        notional_min=of("MIN_NOTIONAL").decimal("notional"),
        percent_up=ZERO if percent is None else percent.decimal("multiplierUp"),
        percent_down=ZERO if percent is None else percent.decimal("multiplierDown"),
        liquidation_fee=row.decimal("liquidationFee"),
        market_take_bound=row.decimal("marketTakeBound"),
        trigger_protect=row.decimal("triggerProtect"),
        price_precision=row.integer("pricePrecision"),
        quantity_precision=row.integer("quantityPrecision"),
        orders_max=200 if orders is None else orders.integer("limit"),
    )


def decode_book_top(value: object) -> BookTop:
    row = Fields("bookTicker", value)
    return BookTop(
        symbol=row.text("symbol"),
        bid=row.decimal("bidPrice"),
        bid_quantity=row.decimal("bidQty"),
        ask=row.decimal("askPrice"),
        ask_quantity=row.decimal("askQty"),
        venue_ms=row.integer("time"),
    )


def decode_order_book(value: object, symbol: str) -> OrderBook:
    row = Fields(f"depth {symbol}", value)
    return OrderBook(
        symbol=symbol,
        bids=_levels(row, "bids"),
        asks=_levels(row, "asks"),
        venue_ms=row.integer("T"),
    )


def decode_mark_price(value: object) -> MarkPrice:
    """Decode premiumIndex; a delivery contract has no funding and sends it empty."""
    row = Fields("premiumIndex", value)
    return MarkPrice(
        symbol=row.text("symbol"),
        mark_price=row.decimal("markPrice"),
        index_price=row.decimal("indexPrice"),
        funding_rate=row.decimal_or_none("lastFundingRate") or ZERO,
        next_funding_ms=row.integer("nextFundingTime"),
        venue_ms=row.integer("time"),
    )


def decode_klines(value: object) -> list[Kline]:
    """Decode candles, oldest first."""
    return [_kline(row) for row in rows_of("klines", value)]


def decode_server_time(value: object) -> int:
    """Decode the venue's clock, epoch milliseconds."""
    return Fields("time", value).integer("serverTime")


def decode_leverage_set(value: object) -> int:
    """Decode the leverage the venue has now set."""
    return Fields("leverage", value).integer("leverage")


def decode_listen_key(value: object) -> str:
    """Decode the key, which python-binance hands over bare on creation."""
    if isinstance(value, str):
        return value
    return Fields("listenKey", value).text("listenKey")


def _bracket(row: Fields) -> LeverageBracket:
    return LeverageBracket(
        bracket=row.integer("bracket"),
        leverage_max=row.integer("initialLeverage"),
        notional_floor=row.number("notionalFloor"),
        notional_cap=row.number("notionalCap"),
        maintenance_rate=row.number("maintMarginRatio"),
        maintenance_amount=row.number("cum"),
    )


def _levels(row: Fields, key: str) -> tuple[tuple[Decimal, Decimal], ...]:
    levels: list[tuple[Decimal, Decimal]] = []
    for place, level in enumerate(rows_of(row.name, row.raw(key))):
        if not isinstance(level, list) or len(level) < 2:
            raise row.fail(f"{key}[{place}]: expected [price, quantity]")
        pair = Fields(row.name, {"price": level[0], "quantity": level[1]})
        levels.append((pair.decimal("price"), pair.decimal("quantity")))
    return tuple(levels)


_KLINE_KEYS: Final = (
    "open time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close time",
    "quote volume",
    "trades",
)


def _kline(value: object) -> Kline:
    if not isinstance(value, list) or len(value) < len(_KLINE_KEYS):
        raise DecodeError("klines", "a candle has too few places")
    row = Fields("klines", dict(zip(_KLINE_KEYS, value, strict=False)))
    return Kline(
        open_ms=row.integer("open time"),
        close_ms=row.integer("close time"),
        open=row.decimal("open"),
        high=row.decimal("high"),
        low=row.decimal("low"),
        close=row.decimal("close"),
        volume=row.decimal("volume"),
        quote_volume=row.decimal("quote volume"),
        trades=row.integer("trades"),
    )

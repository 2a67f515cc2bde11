"""The convert desk: quotes at market prices, and no conversion.

The account holds one asset only. So a quote is honest, accepting it is answered in the
exchange's form, and the conversion's status says that it failed: no money moves.

Source: documented samples of `convert/*`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from trader_cli.domain.numbers import ONE
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.protocol.refusal import VenueRefusal

ASSETS: Final = ("USDT", "USDC", "BTC", "ETH", "BNB")
_STABLE: Final = ("USDT", "USDC")
_VALID_MS: Final = {"10s": 10_000, "30s": 30_000, "1m": 60_000, "2m": 120_000}
_VALID_DEFAULT: Final = "10s"
_KEPT_MAX: Final = 1_000
_FIRST_ID: Final = 930_000_000_000_000_000
_EIGHT: Final = Decimal("0.00000001")
_AMOUNT_MIN_USD: Final = Decimal(1)
_AMOUNT_MAX_USD: Final = Decimal(1_000_000)

_Kept = TypeVar("_Kept")
PriceOf = Callable[[str], Decimal | None]
"""A contract's index price, None if it is not traded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One quote; `ratio` is `to_amount` for one of `from_asset`."""

    quote_id: int
    from_asset: str
    to_asset: str
    from_amount: Decimal
    to_amount: Decimal
    ratio: Decimal
    valid_until_ms: int


class ConvertDesk:
    """Quotes and what became of them; the oldest are forgotten."""

    def __init__(self, price_of: PriceOf) -> None:
        self._price_of = price_of
        self._quotes: OrderedDict[int, Quote] = OrderedDict()
        self._orders: OrderedDict[int, tuple[Quote, int]] = OrderedDict()
        self._last_id = _FIRST_ID

    def pairs(self, params: Params) -> list[dict[str, object]]:
        """Return what could be converted into what, filtered by either asset."""
        wanted_from, wanted_to = params.text("fromAsset"), params.text("toAsset")
        return [
            self._pair(from_asset, to_asset)
            for from_asset in ASSETS
            for to_asset in ASSETS
            if from_asset != to_asset
            and (wanted_from is None or from_asset == wanted_from.upper())
            and (wanted_to is None or to_asset == wanted_to.upper())
            and self._dollars(from_asset) is not None
            and self._dollars(to_asset) is not None
        ]

    def quote(self, params: Params, now_ms: int) -> dict[str, object]:
        """Return a quote for `fromAmount` or `toAmount`.

        Raises:
            VenueRefusal: -1102 without an amount, -1128 with both, -1130 for an unknown asset.
        """
        from_asset = self._asset(params, "fromAsset")
        to_asset = self._asset(params, "toAsset")
        ratio = self._value(from_asset) / self._value(to_asset)
        given, wanted = params.decimal("fromAmount"), params.decimal("toAmount")
        if given is not None and wanted is not None:
            raise VenueRefusal(-1128)
        if given is None and wanted is None:
            raise VenueRefusal(-1102, "fromAmount", "toAmount")
        valid = _VALID_MS.get(params.text("validTime") or _VALID_DEFAULT)
        if valid is None or from_asset == to_asset:
            raise VenueRefusal(-1130, "validTime" if valid is None else "toAsset")
        from_amount = given if given is not None else (wanted or ONE) / ratio
        quote = Quote(
            quote_id=self._next_id(),
            from_asset=from_asset,
            to_asset=to_asset,
            from_amount=from_amount,
            to_amount=wanted if wanted is not None else from_amount * ratio,
            ratio=ratio,
            valid_until_ms=now_ms + valid,
        )
        _keep(self._quotes, quote.quote_id, quote)
        return {
            "quoteId": str(quote.quote_id),
            "ratio": _text(ratio),
            "inverseRatio": _text(1 / ratio),
            "validTimestamp": quote.valid_until_ms,
            "toAmount": _text(quote.to_amount),
            "fromAmount": _text(quote.from_amount),
        }

    def accept(self, params: Params, now_ms: int) -> dict[str, object]:
        """Take note that a quote was accepted; -1130 if there is none or it is too old."""
        params.needed("quoteId")
        quote = self._quotes.pop(params.integer("quoteId") or 0, None)
        if quote is None or quote.valid_until_ms < now_ms:
            raise VenueRefusal(-1130, "quoteId")
        order_id = self._next_id()
        _keep(self._orders, order_id, (quote, now_ms))
        return {"orderId": str(order_id), "createTime": now_ms, "orderStatus": "PROCESS"}

    def status(self, params: Params) -> dict[str, object]:
        """Return what became of a conversion, by order or quote id; -2013 if unknown."""
        order_id, quote_id = params.integer("orderId"), params.integer("quoteId")
        if order_id is None and quote_id is None:
            raise VenueRefusal(-1102, "orderId", "quoteId")
        for found_id, (quote, created_ms) in self._orders.items():
            if order_id == found_id or (order_id is None and quote_id == quote.quote_id):
                return {
                    "orderId": found_id,
                    "orderStatus": "FAIL",
                    "fromAsset": quote.from_asset,
                    "fromAmount": _text(quote.from_amount),
                    "toAsset": quote.to_asset,
                    "toAmount": _text(quote.to_amount),
                    "ratio": _text(quote.ratio),
                    "inverseRatio": _text(1 / quote.ratio),
                    "createTime": created_ms,
                }
        raise VenueRefusal(-2013)

    def _pair(self, from_asset: str, to_asset: str) -> dict[str, object]:
        given, taken = self._value(from_asset), self._value(to_asset)
        return {
            "fromAsset": from_asset,
            "toAsset": to_asset,
            "fromAssetMinAmount": _text(_AMOUNT_MIN_USD / given),
            "fromAssetMaxAmount": _text(_AMOUNT_MAX_USD / given),
            "toAssetMinAmount": _text(_AMOUNT_MIN_USD / taken),
            "toAssetMaxAmount": _text(_AMOUNT_MAX_USD / taken),
        }

    def _asset(self, params: Params, name: str) -> str:
        asset = params.needed(name).upper()
        if asset not in ASSETS or self._dollars(asset) is None:
            raise VenueRefusal(-1130, name)
        return asset

    def _value(self, asset: str) -> Decimal:
        value = self._dollars(asset)
        assert value is not None, "assets without a price are refused before"
        return value

    def _dollars(self, asset: str) -> Decimal | None:
        return ONE if asset in _STABLE else self._price_of(f"{asset}USDT")

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _keep(into: OrderedDict[int, _Kept], key: int, value: _Kept) -> None:
    into[key] = value
    while len(into) > _KEPT_MAX:
        into.popitem(last=False)


def _text(value: Decimal) -> str:
    return format(value.quantize(_EIGHT).normalize(), "f")

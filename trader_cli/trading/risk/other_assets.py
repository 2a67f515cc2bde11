"""Amounts booked in another asset than the margin's, such as fees paid in BNB, worth in USDT.

Pure. Knows which contract tells an asset's worth; must not know what the amounts are for. Single
asset mode: such an amount is a result, yet neither the wallet nor its equity contains it.

Source: binance-usdm reference §13.3 (fees paid in BNB), §11.4 (`N`, the commission's asset).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from trader_cli.domain.numbers import ZERO

MARGIN_ASSET: Final = "USDT"

Rates = Mapping[str, Decimal]
"""What one unit of an asset is worth in USDT."""


def rate_symbol(asset: str) -> str:
    """Return the contract whose mark price is the asset's worth in USDT."""
    return f"{asset}{MARGIN_ASSET}"


def others(assets: Iterable[str]) -> list[str]:
    """Return those whose worth has to be asked for, each once, in order."""
    return sorted({asset for asset in assets if not is_margin(asset)})


def is_margin(asset: str) -> bool:
    """Return True for the margin asset, which rows without any asset are in too."""
    return asset in (MARGIN_ASSET, "")


def in_usdt(amount: Decimal, asset: str, rates: Rates) -> Decimal:
    """Return what the amount is worth, 0 where the asset's rate is not known."""
    return amount if is_margin(asset) else amount * rates.get(asset, ZERO)

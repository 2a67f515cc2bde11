"""The contracts the paper exchange trades, as data: one row adds another.

Facts only; what the words of a row mean is said in `instruments_contract.contract`.

Source: binance-usdm reference §13.1-13.3. Brackets are the live exchange's of 2026-09. Filters
were recorded in 2025-08, those of BTC and ETH in 2026-10. Nobody recorded the filters of SOL,
DOGE, SUI, AVAX, 1000PEPE, DOT, NEAR, APT, ARB, OP, FIL, WLD, UNI and AAVE: theirs follow the
steps of orders seen on the exchange, and their largest quantities are only near the truth.
"""

from __future__ import annotations

from typing import Final

from trader_cli.paper.contracts.instruments_contract import Contract, contract

__all__ = ["CONTRACTS", "Contract"]

_ROWS: Final = (
    contract(
        "BTC",
        "PoW",
        prices="0.10 556.80 4529764",
        lots="0.001 1000",
        market_quantity_max="120",
        notional_min="50",
        precisions=(2, 3),
        brackets="150 300000 0.4, 100 800000 0.5, 75 3000000 0.65, 50 12000000 1,"
        "25 70000000 2, 20 100000000 2.5, 10 230000000 5, 5 480000000 10, 4 600000000 12.5,"
        "3 800000000 15, 2 1200000000 25, 1 1800000000 50",
        character="95000.00 0.50 150000 3",
    ),
    contract(
        "ETH",
        "Layer-1",
        prices="0.01 39.86 306177",
        lots="0.001 10000",
        market_quantity_max="2000",
        notional_min="20",
        precisions=(2, 3),
        brackets="150 300000 0.4, 100 800000 0.5, 75 3000000 0.65, 50 12000000 1,"
        "25 50000000 2, 20 65000000 2.5, 10 150000000 5, 5 320000000 10, 4 400000000 12.5,"
        "3 530000000 15, 2 800000000 25, 1 1200000000 50",
        character="3300.00 0.60 3500000 40",
    ),
    contract(
        "SOL",
        "Layer-1",
        prices="0.0100 0.4200 6857.0000",
        lots="0.01 1000000",
        market_quantity_max="80000",
        notional_min="5",
        precisions=(4, 2),
        liquidation_fee="0.015000",
        brackets="100 50000 0.5, 75 400000 0.65, 50 1000000 1, 25 4000000 2, 20 8000000 2.5,"
        "10 40000000 5, 5 80000000 10, 4 100000000 12.5, 2 200000000 25, 1 400000000 50",
        character="190.0000 0.75 20000000 400",
    ),
    contract(
        "XRP",
        "Payment",
        prices="0.0001 0.0143 100000",
        lots="0.1 10000000",
        market_quantity_max="2000000",
        notional_min="5",
        precisions=(4, 1),
        brackets="100 40000 0.5, 75 80000 0.6, 50 150000 1, 40 400000 1.25, 25 1000000 2,"
        "20 2000000 2.5, 10 10000000 5, 5 20000000 10, 4 25000000 12.5, 2 50000000 25,"
        "1 100000000 50",
        character="2.2000 0.75 500000000 20000",
    ),
    contract(
        "LTC",
        "Payment",
        prices="0.01 3.61 100000",
        lots="0.001 10000",
        market_quantity_max="5000",
        notional_min="20",
        precisions=(2, 3),
        brackets="75 10000 0.5, 50 50000 1, 40 160000 1.5, 25 800000 2, 20 1600000 2.5,"
        "10 8000000 5, 5 16000000 10, 4 20000000 12.5, 2 40000000 25, 1 80000000 50",
        character="95.00 0.65 3000000 200",
    ),
    contract(
        "BNB",
        "Layer-1",
        prices="0.010 6.600 100000",
        lots="0.01 100000",
        market_quantity_max="2000",
        notional_min="5",
        precisions=(3, 2),
        brackets="75 10000 0.5, 50 200000 0.6, 40 400000 1, 25 1500000 2, 20 3000000 2.5,"
        "10 15000000 5, 5 30000000 10, 4 37500000 12.5, 2 75000000 25, 1 150000000 50",
        character="850.000 0.50 400000 20",
    ),
    contract(
        "DOGE",
        "Meme",
        prices="0.000010 0.002440 30",
        lots="1 50000000",
        market_quantity_max="30000000",
        notional_min="5",
        precisions=(6, 0),
        brackets="75 80000 0.65, 50 150000 1, 40 750000 1.25, 25 2000000 2, 20 4000000 2.5,"
        "10 20000000 5, 5 40000000 10, 4 50000000 12.5, 2 100000000 25, 1 200000000 50",
        character="0.170000 0.85 6000000000 300000",
    ),
    contract(
        "ADA",
        "Layer-1",
        prices="0.00010 0.01740 20000",
        lots="1 6000000",
        market_quantity_max="1300000",
        notional_min="5",
        precisions=(5, 0),
        brackets="75 10000 0.5, 50 50000 1, 40 200000 1.5, 25 1000000 2, 20 2000000 2.5, "
        "10 10000000 5, 5 20000000 10, 4 25000000 12.5, 2 50000000 25, "
        "1 100000000 50",
        character="0.65000 0.80 1000000000 60000",
    ),
    contract(
        "LINK",
        "Infrastructure",
        prices="0.001 0.464 100000",
        lots="0.01 200000",
        market_quantity_max="20000",
        notional_min="20",
        precisions=(3, 2),
        brackets="75 10000 0.5, 50 200000 1, 40 400000 1.5, 25 800000 2, 20 1600000 2.5, "
        "10 8000000 5, 5 16000000 10, 4 20000000 12.5, 2 40000000 25, 1 80000000 50",
        character="14.000 0.80 30000000 600",
        price_band="0.1000",
    ),
    contract(
        "SUI",
        "Layer-1",
        prices="0.000100 0.001000 1000",
        lots="0.1 10000000",
        market_quantity_max="400000",
        notional_min="5",
        precisions=(6, 1),
        brackets="75 20000 1, 50 200000 1.5, 25 1000000 2, 20 2000000 2.5, 10 10000000 5, "
        "5 20000000 10, 4 25000000 12.5, 2 50000000 25, 1 100000000 50",
        character="2.200000 0.95 250000000 5000",
        liquidation_fee="0.015000",
    ),
    contract(
        "AVAX",
        "Layer-1",
        prices="0.0010 0.0210 100000",
        lots="1 5000000",
        market_quantity_max="100000",
        notional_min="5",
        precisions=(4, 0),
        brackets="75 25000 0.5, 50 80000 1, 40 160000 1.5, 25 800000 2, 20 1600000 2.5, "
        "10 8000000 5, 5 16000000 10, 4 20000000 12.5, 2 40000000 25, 1 80000000 50",
        character="20.0000 0.85 20000000 250",
        liquidation_fee="0.015000",
    ),
    contract(
        "TRX",
        "Layer-1",
        prices="0.00001 0.00132 20000",
        lots="1 10000000",
        market_quantity_max="5000000",
        notional_min="5",
        precisions=(5, 0),
        brackets="75 10000 0.65, 50 90000 1, 40 120000 1.5, 25 650000 2, 20 800000 2.5, "
        "10 3000000 5, 5 6000000 10, 4 12000000 12.5, 2 20000000 25, 1 30000000 50",
        character="0.29000 0.45 700000000 80000",
    ),
    contract(
        "1000PEPE",
        "Meme",
        prices="0.0000001 0.0000021 200",
        lots="1 100000000",
        market_quantity_max="50000000",
        notional_min="5",
        precisions=(7, 0),
        brackets="75 20000 0.65, 50 200000 1, 40 300000 1.5, 25 1500000 2, 20 3000000 2.5, "
        "10 15000000 5, 5 20000000 10, 4 25000000 12.5, 2 30000000 25, "
        "1 35000000 50",
        character="0.0060000 1.05 60000000000 900000",
        liquidation_fee="0.015000",
    ),
    contract(
        "BCH",
        "Payment",
        prices="0.01 13.93 100000",
        lots="0.001 10000",
        market_quantity_max="850",
        notional_min="20",
        precisions=(2, 3),
        brackets="75 10000 0.5, 50 100000 1, 40 160000 1.5, 25 800000 2, 20 1600000 2.5, "
        "10 8000000 5, 5 16000000 10, 4 20000000 12.5, 2 40000000 25, 1 80000000 50",
        character="480.00 0.70 400000 8",
    ),
    contract(
        "DOT",
        "Layer-1",
        prices="0.000100 0.008500 100000.000000",
        lots="0.1 10000000",
        market_quantity_max="200000",
        notional_min="5",
        precisions=(6, 1),
        brackets="75 10000 0.65, 50 50000 1, 40 100000 1.5, 25 500000 2, 20 800000 2.5, "
        "10 4000000 5, 5 8000000 10, 4 10000000 12.5, 2 30000000 25, 1 50000000 50",
        character="3.000000 0.80 60000000 2500",
        liquidation_fee="0.015000",
    ),
    contract(
        "NEAR",
        "Layer-1",
        prices="0.0010 0.0160 100000",
        lots="1 10000000",
        market_quantity_max="400000",
        notional_min="5",
        precisions=(4, 0),
        brackets="75 20000 1, 50 200000 1.5, 25 1000000 2, 20 2000000 2.5, 10 10000000 5, "
        "5 20000000 10, 4 25000000 12.5, 2 30000000 25, 1 35000000 50",
        character="2.2000 0.90 80000000 7000",
        liquidation_fee="0.015000",
    ),
    contract(
        "APT",
        "Layer-1",
        prices="0.00100 0.00500 100000",
        lots="0.1 2000000",
        market_quantity_max="80000",
        notional_min="5",
        precisions=(5, 1),
        brackets="75 10000 1, 50 100000 1.5, 25 900000 2, 20 1100000 2.5, 10 5000000 5, "
        "5 7000000 10, 4 8000000 12.5, 2 9000000 25, 1 10000000 50",
        character="3.30000 0.90 25000000 900",
        liquidation_fee="0.015000",
    ),
    contract(
        "ARB",
        "Layer-2",
        prices="0.000100 0.000800 2000",
        lots="0.1 20000000",
        market_quantity_max="2000000",
        notional_min="5",
        precisions=(6, 1),
        brackets="75 5000 0.6, 50 50000 1, 25 100000 1.5, 20 500000 2, 10 1000000 2.5, "
        "5 5000000 5, 4 6000000 10, 3 7000000 12.5, 2 8000000 25, 1 9000000 50",
        character="0.320000 0.95 350000000 25000",
        liquidation_fee="0.015000",
    ),
    contract(
        "OP",
        "Layer-2",
        prices="0.0001000 0.0010000 2000",
        lots="0.1 10000000",
        market_quantity_max="800000",
        notional_min="5",
        precisions=(7, 1),
        brackets="75 10000 0.6, 50 50000 1, 40 80000 1.5, 25 300000 2, 20 600000 2.5, "
        "10 3000000 5, 5 6000000 10, 4 7500000 12.5, 2 18000000 25, 1 30000000 50",
        character="0.4200000 0.95 150000000 7000",
        liquidation_fee="0.015000",
    ),
    contract(
        "FIL",
        "Storage",
        prices="0.001 0.164 100000",
        lots="0.1 10000000",
        market_quantity_max="200000",
        notional_min="5",
        precisions=(3, 1),
        brackets="75 20000 1, 50 200000 1.5, 25 400000 2, 20 800000 2.5, 10 3000000 5, "
        "5 7500000 10, 4 10000000 12.5, 2 12500000 25, 1 15000000 50",
        character="1.900 0.85 60000000 4000",
        liquidation_fee="0.015000",
    ),
    contract(
        "ETC",
        "PoW",
        prices="0.001 1.051 100000",
        lots="0.01 100000",
        market_quantity_max="10000",
        notional_min="20",
        precisions=(3, 2),
        brackets="75 10000 0.5, 50 50000 1, 40 80000 1.5, 25 400000 2, 20 800000 2.5, "
        "10 3000000 5, 5 5000000 10, 4 7000000 12.5, 2 8000000 25, 1 9000000 50",
        character="16.000 0.75 6000000 300",
        price_band="0.1000",
    ),
    contract(
        "WLD",
        "AI",
        prices="0.0001000 0.0010000 100000",
        lots="1 2500000",
        market_quantity_max="400000",
        notional_min="5",
        precisions=(7, 0),
        brackets="75 20000 1, 50 200000 1.5, 25 1000000 2, 20 2000000 2.5, 10 5000000 5, "
        "5 7500000 10, 4 10000000 12.5, 2 12500000 25, 1 15000000 50",
        character="0.7500000 1.00 200000000 6000",
        liquidation_fee="0.015000",
    ),
    contract(
        "UNI",
        "DeFi",
        prices="0.0010 0.0260 100000",
        lots="1 10000000",
        market_quantity_max="200000",
        notional_min="5",
        precisions=(4, 0),
        brackets="75 10000 0.6, 50 50000 1, 40 100000 1.5, 25 500000 2, 20 1000000 2.5, "
        "10 5000000 5, 5 10000000 10, 4 12500000 12.5, 2 25000000 25, 1 50000000 50",
        character="6.2000 0.90 20000000 1500",
        liquidation_fee="0.015000",
    ),
    contract(
        "AAVE",
        "DeFi",
        prices="0.010 0.340 100000",
        lots="0.1 1000000",
        market_quantity_max="20000",
        notional_min="5",
        precisions=(3, 1),
        brackets="75 50000 1, 50 150000 1.5, 25 500000 2, 20 600000 2.5, 10 3000000 5, "
        "5 6000000 10, 4 7500000 12.5, 2 15000000 25, 1 30000000 50",
        character="190.000 0.85 1000000 50",
        liquidation_fee="0.015000",
    ),
    contract(
        "XLM",
        "Layer-2",
        prices="0.00001 0.00648 20000",
        lots="1 10000000",
        market_quantity_max="1000000",
        notional_min="5",
        precisions=(5, 0),
        brackets="75 10000 1, 50 100000 1.5, 25 500000 2, 20 1000000 2.5, 10 5000000 5, "
        "5 10000000 10, 4 12500000 12.5, 2 25000000 25, 1 50000000 50",
        character="0.28000 0.85 300000000 40000",
    ),
    contract(
        "ATOM",
        "Layer-1",
        prices="0.001 0.251 100000",
        lots="0.01 100000",
        market_quantity_max="20000",
        notional_min="5",
        precisions=(3, 2),
        brackets="75 10000 0.6, 50 50000 1, 40 80000 1.5, 25 200000 2, 20 600000 2.5, "
        "10 2000000 5, 5 4000000 10, 4 5000000 12.5, 2 12000000 25, 1 20000000 50",
        character="3.000 0.80 15000000 900",
        liquidation_fee="0.015000",
        price_band="0.1000",
    ),
    contract(
        "ZEC",
        "PoW",
        prices="0.01 2.85 100000",
        lots="0.001 6000",
        market_quantity_max="2000",
        notional_min="5",
        precisions=(2, 3),
        brackets="75 20000 1, 50 200000 1.5, 25 1000000 2, 20 2000000 2.5, 10 5000000 5, "
        "5 7500000 10, 4 10000000 12.5, 2 25000000 25, 1 60000000 50",
        character="350.00 1.10 2000000 12",
        liquidation_fee="0.025000",
        price_band="0.1000",
    ),
    contract(
        "XMR",
        "PoW",
        prices="0.01 4.36 100000",
        lots="0.001 10000",
        market_quantity_max="1200",
        notional_min="5",
        precisions=(2, 3),
        brackets="75 5000 1, 50 10000 1.5, 25 50000 2, 20 100000 2.5, 15 175000 3.33, "
        "10 250000 5, 5 750000 10, 4 1500000 12.5, 3 4500000 16.67, 2 7500000 25, "
        "1 12500000 50",
        character="330.00 0.65 150000 6",
    ),
    contract(
        "ALGO",
        "Layer-1",
        prices="0.0001 0.0141 1000",
        lots="0.1 5000000",
        market_quantity_max="1000000",
        notional_min="5",
        precisions=(4, 1),
        brackets="75 5000 1, 50 10000 1.5, 25 50000 2, 20 100000 2.5, 15 175000 3.33, "
        "10 250000 5, 5 750000 10, 4 1500000 12.5, 3 4500000 16.67, 2 7500000 25, "
        "1 12500000 50",
        character="0.1800 0.85 150000000 30000",
        liquidation_fee="0.015000",
    ),
)

CONTRACTS: Final[dict[str, Contract]] = {row.symbol: row for row in _ROWS}
"""Every contract by symbol, in the order `exchangeInfo` lists them."""

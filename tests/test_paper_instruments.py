"""The table of contracts: filters and brackets as the exchange has them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trader_cli.domain.instrument import check_notional, check_price, check_quantity
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.contracts.instruments_contract import contract
from trader_cli.paper.markets.synthetic import SyntheticMarket
from trader_cli.paper.protocol.params import Params
from trader_cli.paper.state.state import MemoryState
from trader_cli.paper.venue.venue import Venue, VenueSettings

every_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda row: row.symbol)


def test_the_promised_contracts_are_listed() -> None:
    bases = "BTC ETH SOL XRP DOGE BNB LTC ADA AVAX LINK SUI TRX DOT BCH NEAR APT ARB OP FIL ETC"

    assert {f"{base}USDT" for base in (*bases.split(), "1000PEPE", "WLD")} <= CONTRACTS.keys()


def test_one_more_row_is_one_more_contract_to_trade() -> None:
    row = contract(
        "NEW",
        "Layer-1",
        prices="0.001 0.002 1000",
        lots="0.1 100000",
        market_quantity_max="5000",
        notional_min="5",
        precisions=(3, 1),
        brackets="50 5000 1.5, 20 100000 2.5, 1 1000000 50",
        character="12.500 0.90 2000000 200",
        price_band="0.1000",
    )
    rows = CONTRACTS | {row.symbol: row}
    market = SyntheticMarket(seed=7, birth_ms=1_790_000_000_000, contracts=rows)
    venue = Venue(rows, market, MemoryState(), VenueSettings(), market.now_ms)
    wish = {"symbol": "NEWUSDT", "side": "BUY", "type": "MARKET", "quantity": "10"}

    order = venue.place_order(Params(wish | {"newOrderRespType": "RESULT"}), market.now_ms)

    assert order["status"] == "FILLED"
    assert Decimal(order["executedQty"]) == 10
    assert Decimal("1.1") == row.instrument.percent_up


def test_bitcoin_has_its_filters_of_2026() -> None:
    rules = CONTRACTS["BTCUSDT"].instrument

    assert (Decimal("0.10"), Decimal("0.001")) == (rules.tick_size, rules.quantity_step)
    assert Decimal(50) == rules.notional_min
    assert (Decimal(1000), Decimal(120)) == (rules.quantity_max, rules.market_quantity_max)
    assert Decimal("0.0125") == rules.liquidation_fee


@pytest.mark.parametrize(
    ("symbol", "steps", "amount"),
    [
        ("BTCUSDT", 12, 421_482_000),
        ("ETHUSDT", 12, 280_507_000),
        ("SOLUSDT", 10, 66_731_475),
        ("XRPUSDT", 11, 16_683_735),
        ("LTCUSDT", 10, 13_345_100),
        ("BNBUSDT", 10, 25_024_810),
        ("DOGEUSDT", 10, 33_366_280),
        ("ADAUSDT", 10, 16_681_300),
        ("1000PEPEUSDT", 10, 11_960_070),
        ("APTUSDT", 9, 3_707_550),
    ],
)
def test_maintenance_amounts_add_up_to_the_recorded_ones(
    symbol: str, steps: int, amount: int
) -> None:
    brackets = CONTRACTS[symbol].brackets

    assert steps == len(brackets)
    assert Decimal(amount) == brackets[-1].maintenance_amount


@every_contract
def test_brackets_leave_no_gap_and_maintenance_margin_does_not_jump(contract: Contract) -> None:
    assert contract.brackets[0].notional_floor == 0
    for lower, upper in zip(contract.brackets, contract.brackets[1:], strict=False):
        edge = lower.notional_cap
        assert edge == upper.notional_floor
        assert lower.leverage_max > upper.leverage_max
        assert (
            edge * lower.maintenance_rate - lower.maintenance_amount
            == edge * upper.maintenance_rate - upper.maintenance_amount
        )


@every_contract
def test_start_price_and_touch_pass_the_contracts_own_filters(contract: Contract) -> None:
    rules = contract.instrument

    assert check_price(rules, contract.start_price) is None
    assert check_quantity(rules, contract.touch_quantity) is None
    assert check_notional(rules, contract.start_price, contract.touch_quantity) is None


@every_contract
def test_maintenance_rate_is_below_what_the_leverage_leaves(contract: Contract) -> None:
    for bracket in contract.brackets:
        assert bracket.maintenance_rate * bracket.leverage_max < 1


@every_contract
def test_a_perpetual_is_its_own_pair(contract: Contract) -> None:
    assert contract.symbol == contract.pair
    assert contract.maker_fee < contract.taker_fee

"""The venue's answers and events become the words of the field, or name what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import venue_answers as answers
from trader_cli.domain.account_events import (
    AccountUpdated,
    AlgoUpdated,
    BookTopChanged,
    LeverageChanged,
    MarginCalled,
    MarkPriceChanged,
    OrderUpdated,
)
from trader_cli.domain.numbers import to_wire
from trader_cli.domain.terms import (
    AlgoStatus,
    ExecutionType,
    MarginType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from trader_cli.wire import decode, decode_orders
from trader_cli.wire.decode_stream import (
    decode_market_event,
    decode_user_event,
    event_type,
    unwrap,
)
from trader_cli.wire.fields import DecodeError, Fields, parse_json


def order_event(**changes: Any) -> dict[str, Any]:
    order = {
        "s": "ETHUSDT", "c": "trd-1", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "2.5",
        "p": "3000", "ap": "3001.2", "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED",
        "i": 33_000_000_001, "l": "0.5", "z": "1.5", "L": "3001", "n": "0.30012", "N": "USDT",
        "T": 1_790_000_000_050, "t": 99, "b": "0", "a": "0", "m": True, "R": False,
        "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "1.25",
        "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0, "er": "0",
        **changes,
    }  # fmt: skip
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": 1_790_000_000_055,
        "T": 1_790_000_000_050,
        "o": {key: value for key, value in order.items() if value is not ...},
    }


def algo_event(**changes: Any) -> dict[str, Any]:
    order = {
        "caid": "trd-2", "aid": 4_000_000_000_000_123, "at": "CONDITIONAL", "o": "STOP_MARKET",
        "s": "ETHUSDT", "S": "SELL", "ps": "BOTH", "f": "GTC", "q": "2.5", "X": "NEW", "ai": "",
        "tp": "2900.5", "p": "0", "V": "EXPIRE_MAKER", "wt": "MARK_PRICE", "pm": "NONE",
        "cp": False, "pP": False, "R": True, "tt": 0, "gtd": 0, "ia": False, **changes,
    }  # fmt: skip
    return {"e": "ALGO_UPDATE", "T": 1_790_000_000_100, "E": 1_790_000_000_101, "o": order}


class TestFields:
    @pytest.mark.parametrize("value", ["NaN", "Infinity", "", " 1", "1 ", "1,5", "0x1", "1e3", "٣"])
    def test_money_is_digits_and_nothing_else(self, value: str) -> None:
        with pytest.raises(DecodeError):
            Fields("row", {"price": value}).decimal("price")

    @pytest.mark.parametrize("value", [1.5, True, None, [], {}])
    def test_money_is_neither_float_nor_boolean_nor_nothing(self, value: object) -> None:
        with pytest.raises(DecodeError):
            Fields("row", {"price": value}).decimal("price")

    def test_zero_in_the_venues_odd_spelling_is_zero(self) -> None:
        assert Fields("row", {"price": "0E-8"}).decimal("price") == 0

    def test_a_documented_number_keeps_its_digits(self) -> None:
        row = Fields("row", parse_json('{"ratio": 0.0065, "cap": 300000}'))

        assert row.number("ratio") == Decimal("0.0065")
        assert row.number("cap") == 300_000

    def test_a_float_is_refused_even_where_numbers_are_documented(self) -> None:
        with pytest.raises(DecodeError):
            Fields("row", {"ratio": 0.0065}).number("ratio")

    def test_not_a_number_is_not_json(self) -> None:
        with pytest.raises(ValueError, match="NaN"):
            parse_json('{"ratio": NaN}')

    @given(
        st.decimals(
            allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12
        )
    )
    def test_what_is_sent_can_be_read_back(self, value: Decimal) -> None:
        assert Fields("row", {"price": to_wire(value)}).decimal("price") == value

    def test_the_error_names_row_symbol_and_key(self) -> None:
        with pytest.raises(DecodeError, match=r"order BTCUSDT: orderId is missing") as caught:
            Fields("order", {"symbol": "BTCUSDT"}).integer("orderId")

        assert caught.value.symbol == "BTCUSDT"


class TestOrders:
    def test_a_written_order_has_no_average_price(self) -> None:
        order = decode_orders.decode_order(answers.written())

        assert order.average_price is None
        assert order.created_ms is None
        assert order.status is OrderStatus.NEW
        assert order.time_in_force is TimeInForce.GTX
        assert order.remaining_quantity == Decimal("0.010")

    def test_a_queried_order_has_its_average_price_once_it_has_fills(self) -> None:
        row = answers.queried(avgPrice="60001.50", executedQty="0.004", status="PARTIALLY_FILLED")

        assert decode_orders.decode_order(row).average_price == Decimal("60001.50")
        assert decode_orders.decode_order(answers.queried()).average_price is None

    def test_unknown_keys_are_ignored(self) -> None:
        plain, extended = answers.queried(), answers.queried(newIn2027="x")

        assert decode_orders.decode_order(plain) == decode_orders.decode_order(extended)

    def test_an_unknown_status_is_an_error_that_names_it(self) -> None:
        with pytest.raises(DecodeError, match="'PENDING_NEW' is no OrderStatus we know"):
            decode_orders.decode_order(answers.queried(status="PENDING_NEW"))

    def test_its_ids_can_be_read_even_then(self) -> None:
        row = answers.queried(status="PENDING_NEW", type="ICEBERG")

        assert decode_orders.decode_order_id(row) == (
            "BTCUSDT",
            40_000_000_001,
            row["clientOrderId"],
        )

    @pytest.mark.parametrize("key", ["symbol", "orderId", "status", "origQty", "reduceOnly"])
    def test_a_missing_key_is_an_error(self, key: str) -> None:
        row = answers.queried()
        del row[key]

        with pytest.raises(DecodeError, match=key):
            decode_orders.decode_order(row)

    def test_one_bad_row_does_not_spoil_a_list(self) -> None:
        rows = [answers.queried(), answers.queried(side="HOLD"), "nonsense"]

        decoded, errors = decode.decode_rows("openOrders", rows, decode_orders.decode_order)

        assert len(decoded) == 1
        assert [error.symbol for error in errors] == ["BTCUSDT", None]

    def test_an_object_instead_of_a_list_is_an_error(self) -> None:
        with pytest.raises(DecodeError, match="expected a list"):
            decode.decode_rows("openOrders", {}, decode_orders.decode_order)


class TestAlgoOrders:
    def test_what_does_not_apply_is_none(self) -> None:
        order = decode_orders.decode_algo_order(answers.algo())

        assert order.price is None
        assert order.activate_price is None
        assert order.order_id is None
        assert order.filled_quantity is None
        assert order.trigger_price == Decimal("59000.00")
        assert order.quantity == 0
        assert order.close_position

    def test_after_the_trigger_it_names_the_order_it_became(self) -> None:
        row = answers.algo(
            algoStatus="FINISHED", actualOrderId="33877541028", actualQty="4.9", actualType="MARKET"
        )
        order = decode_orders.decode_algo_order(row)

        assert order.order_id == 33_877_541_028
        assert order.filled_quantity == Decimal("4.9")
        assert order.status is AlgoStatus.FINISHED

    def test_a_waiting_one_names_none(self) -> None:
        assert decode_orders.decode_algo_order(answers.algo(actualOrderId="")).order_id is None

    def test_a_trailing_stop_has_rate_and_activation(self) -> None:
        order = decode_orders.decode_algo_order(
            answers.algo(
                orderType="TRAILING_STOP_MARKET",
                triggerPrice="",
                activatePrice="61000.00",
                callbackRate="0.5",
                closePosition=False,
                quantity="0.010",
            )
        )

        assert order.type is OrderType.TRAILING_STOP_MARKET
        assert order.trigger_price is None
        assert order.activate_price == 61_000
        assert order.callback_rate == Decimal("0.5")


class TestAccount:
    def test_a_position_takes_leverage_and_margin_type_from_the_symbols_settings(self) -> None:
        config = decode.decode_symbol_config(answers.symbol_config())
        position = decode.decode_position(answers.position(), config)

        assert position.leverage == 20
        assert position.margin_type is MarginType.ISOLATED
        assert position.liquidation_price == Decimal("57300.5")
        assert decode.decode_position(answers.position(), None).leverage is None

    def test_a_liquidation_price_of_zero_is_none(self) -> None:
        row = answers.position(liquidationPrice="0")

        assert decode.decode_position(row, None).liquidation_price is None

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("CROSSED", MarginType.CROSS),
            ("cross", MarginType.CROSS),
            ("ISOLATED", MarginType.ISOLATED),
            ("isolated", MarginType.ISOLATED),
        ],
    )
    def test_margin_types_are_known_in_every_spelling(
        self, text: str, expected: MarginType
    ) -> None:
        config = decode.decode_symbol_config(answers.symbol_config(marginType=text))

        assert config.margin_type is expected

    def test_the_summary_joins_sums_and_switches(self) -> None:
        summary = decode.decode_account(answers.account(), answers.account_config(feeTier=3))

        assert summary.margin_balance == Decimal("999.25")
        assert summary.fee_tier == 3
        assert not summary.hedge_mode
        assert not summary.can_withdraw
        assert summary.updated_ms == 1_789_999_000_000

    def test_income_keeps_its_sign(self) -> None:
        assert decode.decode_income(answers.income(1)).amount == Decimal("-0.3")

    def test_brackets_come_from_an_array_or_a_single_object(self) -> None:
        text = """{"symbol": "BTCUSDT", "brackets": [
            {"bracket": 2, "initialLeverage": 100, "notionalCap": 800000,
             "notionalFloor": 300000, "maintMarginRatio": 0.005, "cum": 300.0},
            {"bracket": 1, "initialLeverage": 150, "notionalCap": 300000,
             "notionalFloor": 0, "maintMarginRatio": 0.004, "cum": 0.0}]}"""
        single = parse_json(text)

        brackets = decode.decode_leverage_brackets(single, "BTCUSDT")

        assert brackets == decode.decode_leverage_brackets([single], "BTCUSDT")
        assert [row.leverage_max for row in brackets] == [150, 100]
        assert brackets[0].maintenance_rate == Decimal("0.004")
        with pytest.raises(DecodeError, match="no row for ETHUSDT"):
            decode.decode_leverage_brackets([single], "ETHUSDT")


class TestMarket:
    def test_an_instrument_carries_its_filters(self) -> None:
        instrument = decode.decode_instrument(answers.symbol_info())

        assert instrument.tick_size == Decimal("0.1")
        assert instrument.market_quantity_max == 120
        assert instrument.notional_min == 50
        assert instrument.percent_down == Decimal("0.95")

    def test_an_instrument_without_a_filter_that_matters_is_an_error(self) -> None:
        row = answers.symbol_info(filters=[])

        with pytest.raises(DecodeError, match="PRICE_FILTER"):
            decode.decode_instrument(row)

    def test_the_books_levels_are_pairs(self) -> None:
        book = decode.decode_order_book(
            {"lastUpdateId": 1, "E": 5, "T": 4, "bids": [["10.5", "1"]], "asks": [["10.6", "2"]]},
            "X",
        )

        assert book.bids == ((Decimal("10.5"), Decimal(1)),)
        assert book.venue_ms == 4

    @pytest.mark.parametrize("level", [["10.5"], "10.5", [10.5, "1"]])
    def test_a_broken_level_is_an_error(self, level: object) -> None:
        with pytest.raises(DecodeError):
            decode.decode_order_book({"T": 4, "bids": [level], "asks": []}, "X")

    def test_a_candle_is_read_by_place(self) -> None:
        row = [100, "1", "3", "0.5", "2", "9", 159, "18", 7, "4", "8", "0"]
        candle = decode.decode_klines([row])[0]

        assert (candle.open_ms, candle.close_ms, candle.trades) == (100, 159, 7)
        assert (candle.open, candle.high, candle.low, candle.close) == (1, 3, Decimal("0.5"), 2)
        with pytest.raises(DecodeError):
            decode.decode_klines([row[:5]])


class TestUserEvents:
    def test_a_fill_is_an_order_update_with_its_execution(self) -> None:
        event = decode_user_event(order_event())

        assert isinstance(event, OrderUpdated)
        assert event.execution is ExecutionType.TRADE
        assert event.order.status is OrderStatus.PARTIALLY_FILLED
        assert event.order.filled_quantity == Decimal("1.5")
        assert event.fill is not None
        assert event.fill.quantity == Decimal("0.5")
        assert event.fill.price == 3001
        assert event.fill.side is Side.SELL
        assert event.fill.realized_pnl == Decimal("1.25")
        assert event.fill.maker
        assert event.expiry_reason is None

    def test_a_new_order_is_no_execution(self) -> None:
        event = decode_user_event(order_event(x="NEW", X="NEW", l="0", z="0", ap="0", t=0))

        assert isinstance(event, OrderUpdated)
        assert event.fill is None
        assert event.order.average_price is None

    def test_a_fill_without_commission_cost_nothing(self) -> None:
        event = decode_user_event(order_event(n=..., N=...))

        assert isinstance(event, OrderUpdated)
        assert event.fill is not None
        assert event.fill.commission == 0

    def test_an_expiry_tells_its_reason(self) -> None:
        event = decode_user_event(order_event(x="EXPIRED", X="EXPIRED", l="0", er="2"))

        assert isinstance(event, OrderUpdated)
        assert event.expiry_reason == "2"

    def test_a_liquidation_is_an_execution_too(self) -> None:
        event = decode_user_event(order_event(x="CALCULATED", o="LIQUIDATION", c="autoclose-1"))

        assert isinstance(event, OrderUpdated)
        assert event.fill is not None

    def test_a_conditional_order_waits_then_tells_what_it_became(self) -> None:
        waiting = decode_user_event(algo_event())
        fired = decode_user_event(
            algo_event(X="FINISHED", ai="33000000009", ap="2899", aq="2.5", act="MARKET")
        )

        assert isinstance(waiting, AlgoUpdated)
        assert waiting.order.order_id is None
        assert waiting.order.filled_quantity is None
        assert isinstance(fired, AlgoUpdated)
        assert fired.order.order_id == 33_000_000_009
        assert fired.order.filled_quantity == Decimal("2.5")

    def test_a_refused_trigger_tells_why(self) -> None:
        event = decode_user_event(algo_event(X="REJECTED", rm="Margin is insufficient."))

        assert isinstance(event, AlgoUpdated)
        assert event.order.reject_reason == "Margin is insufficient."

    def test_an_account_update_lists_what_changed(self) -> None:
        event = decode_user_event(
            {
                "e": "ACCOUNT_UPDATE",
                "E": 11,
                "T": 10,
                "a": {
                    "m": "ORDER",
                    "B": [{"a": "USDT", "wb": "99.5", "cw": "69.5", "bc": "0"}],
                    "P": [
                        {
                            "s": "ETHUSDT", "pa": "-2.5", "ep": "3000", "bep": "2999", "cr": "0",
                            "up": "1", "mt": "isolated", "iw": "30", "ps": "BOTH", "ma": "USDT",
                        }
                    ],
                },
            }
        )  # fmt: skip

        assert isinstance(event, AccountUpdated)
        assert event.reason == "ORDER"
        assert event.balances[0].wallet_balance == Decimal("99.5")
        assert event.positions[0].quantity == Decimal("-2.5")
        assert event.positions[0].margin_type is MarginType.ISOLATED
        assert event.positions[0].position_side is PositionSide.BOTH

    def test_cross_funding_lists_balances_only(self) -> None:
        event = decode_user_event(
            {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": {"m": "FUNDING_FEE", "B": []}}
        )

        assert isinstance(event, AccountUpdated)
        assert event.positions == ()

    def test_leverage_and_margin_calls_are_told(self) -> None:
        leverage = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 2, "T": 1, "ac": {"s": "X", "l": 25}}
        assets = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 2, "T": 1, "ai": {"j": True}}
        call = {"e": "MARGIN_CALL", "E": 3, "p": [{"s": "X", "ps": "LONG", "mt": "CROSSED"}]}

        assert decode_user_event(leverage) == LeverageChanged(symbol="X", leverage=25, venue_ms=1)
        assert decode_user_event(assets) is None
        assert decode_user_event(call) == MarginCalled(symbols=("X",), venue_ms=3)

    @pytest.mark.parametrize(
        "payload",
        [{"e": "TRADE_LITE"}, {"e": "GRID_UPDATE"}, {"e": "NEW_IN_2027"}, {"result": None}, [], 1],
    )
    def test_events_without_use_are_ignored(self, payload: object) -> None:
        assert decode_user_event(payload) is None

    def test_an_unknown_word_sets_the_message_aside_under_its_symbol(self) -> None:
        with pytest.raises(DecodeError) as caught:
            decode_user_event(order_event(X="HALF_FILLED"))

        assert caught.value.symbol == "ETHUSDT"


class TestMarketEvents:
    def test_a_book_ticker_in_a_combined_stream(self) -> None:
        message = {
            "stream": "btcusdt@bookTicker",
            "data": {
                "e": "bookTicker", "u": 1, "E": 6, "T": 5, "s": "BTCUSDT", "ps": "BTCUSDT",
                "b": "60000.1", "B": "2", "a": "60000.2", "A": "3", "st": 1,
            },
        }  # fmt: skip
        event = decode_market_event(unwrap(message))

        assert isinstance(event, BookTopChanged)
        assert event.top.bid == Decimal("60000.1")
        assert event.top.ask_quantity == 3
        assert event.top.venue_ms == 5

    def test_a_mark_price(self) -> None:
        event = decode_market_event(
            {
                "e": "markPriceUpdate", "E": 6, "s": "BTCUSDT", "p": "60000.5", "ap": "60000.4",
                "i": "60000.3", "P": "0", "r": "0.0001", "T": 28_800_000,
            }
        )  # fmt: skip

        assert isinstance(event, MarkPriceChanged)
        assert event.mark.mark_price == Decimal("60000.5")
        assert event.mark.next_funding_ms == 28_800_000

    def test_answers_to_control_messages_have_no_event_type(self) -> None:
        assert event_type({"result": None, "id": 1}) is None


class TestOneOrderTwoSpellings:
    def test_a_regular_order_is_the_same_by_answer_and_by_event(self) -> None:
        told = {
            "s": "symbol", "c": "clientOrderId", "S": "side", "o": "type", "f": "timeInForce",
            "q": "origQty", "p": "price", "ap": "avgPrice", "X": "status", "i": "orderId",
            "z": "executedQty", "T": "updateTime", "R": "reduceOnly", "ps": "positionSide",
            "cp": "closePosition",
        }  # fmt: skip
        event = order_event()
        row = {answer: event["o"][letter] for letter, answer in told.items()}

        streamed = decode_user_event(event)

        assert isinstance(streamed, OrderUpdated)
        assert decode_orders.decode_order(row) == streamed.order

    def test_a_conditional_order_is_the_same_by_answer_and_by_event(self) -> None:
        told = {
            "caid": "clientAlgoId", "aid": "algoId", "o": "orderType", "s": "symbol", "S": "side",
            "ps": "positionSide", "f": "timeInForce", "q": "quantity", "X": "algoStatus",
            "ai": "actualOrderId", "tp": "triggerPrice", "p": "price", "wt": "workingType",
            "cp": "closePosition", "R": "reduceOnly", "aq": "actualQty", "AP": "activatePrice",
            "cr": "callbackRate",
        }  # fmt: skip
        event = algo_event(X="TRIGGERED", ai="33000000009", aq="1.5", AP="2950", cr="0.5")
        row = {answer: event["o"][letter] for letter, answer in told.items()}

        streamed = decode_user_event(event)

        assert isinstance(streamed, AlgoUpdated)
        assert decode_orders.decode_algo_order(row | {"updateTime": event["T"]}) == streamed.order

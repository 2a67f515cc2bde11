"""JSON becomes values without a digit lost, however fast."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.terms import OrderStatus, Side
from trader_cli.wire.fields import DecodeError, Fields, parse_event, parse_json

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
JSON_VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


class TestParsing:
    @given(JSON_VALUES)
    def test_it_reads_what_the_standard_library_reads(self, value: object) -> None:
        text = json.dumps(value)

        assert value == parse_json(text)
        assert value == parse_json(text.encode())

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=10), st.text())
    def test_a_fraction_keeps_its_digits_whatever_stands_beside_it(
        self, fraction: Decimal, text: str
    ) -> None:
        digits = format(fraction, "f")
        found = parse_json(f'{{"a": {json.dumps(text)}, "rate":{digits}}}')

        assert found == {"a": text, "rate": Decimal(digits)}
        assert isinstance(found, dict)
        assert type(found["rate"]) is Decimal

    @pytest.mark.parametrize("after", ["}", " }", "\n}", ', "more": 1}'])
    def test_a_fraction_is_noticed_whatever_follows(self, after: str) -> None:
        found = parse_json('{"rate": 0.30000000000000000001' + after)

        assert isinstance(found, dict)
        assert found["rate"] == Decimal("0.30000000000000000001")

    @given(JSON_VALUES)
    def test_an_event_without_fractions_is_read_like_any_answer(self, value: object) -> None:
        text = json.dumps(value)

        assert parse_json(text) == parse_event(text)

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=10))
    def test_a_fraction_in_an_event_is_money_to_nobody(self, fraction: Decimal) -> None:
        row = Fields("row", parse_event(f'{{"rate": {fraction:f}}}'))

        for read in (row.decimal, row.number, row.integer, row.text, row.decimal_or_none):
            with pytest.raises(DecodeError, match="rate: expected"):
                read("rate")

    @pytest.mark.parametrize("number", ["1e3", "1E-7", "123456789012345678901234567890"])
    def test_what_comes_out_as_a_float_is_money_to_nobody(self, number: str) -> None:
        row = Fields("row", parse_json(f'{{"rate": {number}}}'))

        for read in (row.decimal, row.number, row.integer, row.text, row.decimal_or_none):
            with pytest.raises(DecodeError, match="rate: expected"):
                read("rate")

    @pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": NaN}', '{"a": Infinity}', "\x00"])
    def test_what_is_not_json_is_an_error(self, text: str) -> None:
        for form in (text, text.encode()):
            with pytest.raises(ValueError, match=r"."):
                parse_json(form)
        with pytest.raises(ValueError, match=r"."):
            parse_event(text)

    def test_a_broken_character_does_not_spoil_the_answer(self) -> None:
        assert parse_json(b'{"msg": "caf\xe9", "code": 1}') == {"msg": "caf\ufffd", "code": 1}
        for parse in (parse_json, parse_event):
            assert parse('{"msg": "\\ud800"}') == {"msg": "\ud800"}
            assert parse('{"msg": "\ud800"}') == {"msg": "?"}


class TestReading:
    @pytest.mark.parametrize("value", [1, None, ["NEW"], {}, True])
    def test_a_word_is_text(self, value: object) -> None:
        with pytest.raises(DecodeError, match="status: expected a string"):
            Fields("order", {"status": value}).word("status", OrderStatus)

    def test_every_word_of_an_enum_is_known(self) -> None:
        for member in Side:
            assert Fields("order", {"side": member.value}).word("side", Side) is member

    @pytest.mark.parametrize("word", ["buy", "Buy", "BUY ", "", "HOLD"])
    def test_a_word_is_spelt_exactly(self, word: str) -> None:
        with pytest.raises(DecodeError, match="is no Side we know"):
            Fields("order", {"side": word}).word("side", Side)

    def test_missing_and_null_are_told_apart(self) -> None:
        row = Fields("order", {"price": None})

        with pytest.raises(DecodeError, match="price: expected a decimal string, got None"):
            row.decimal("price")
        with pytest.raises(DecodeError, match="quantity is missing"):
            row.decimal("quantity")

    def test_a_number_seen_before_is_no_excuse_for_a_wrong_one(self) -> None:
        assert Fields("row", {"p": 1}).decimal("p") == Fields("row", {"p": "1"}).decimal("p")

        for wrong in (True, 1.0, "1.", ".1", "1_0", [], {}, None):
            with pytest.raises(DecodeError):
                Fields("row", {"p": wrong}).decimal("p")

    def test_text_that_may_be_absent_is_none_and_never_something_else(self) -> None:
        assert Fields("row", {"er": "7"}).text_or_none("er") == "7"
        for absent in ({}, {"er": None}, {"er": ""}):
            assert Fields("row", absent).text_or_none("er") is None
        with pytest.raises(DecodeError, match="er: expected a string, got 7"):
            Fields("row", {"er": 7}).text_or_none("er")

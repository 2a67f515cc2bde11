"""Numbers as text: plain digits of the same number."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.domain.numbers import to_text, to_wire


@given(digits=st.integers(-(10**20), 10**20), exponent=st.integers(-30, 12))
def test_text_is_the_same_number_in_the_fewest_plain_digits(digits: int, exponent: int) -> None:
    value = Decimal(f"{digits}E{exponent}")

    text = to_text(value)

    assert Decimal(text) == value
    assert set(text) <= set("-0123456789.")
    assert text != "-0"
    assert "." not in text or not text.endswith(("0", "."))
    whole = to_wire(value)
    assert text == (whole.rstrip("0").rstrip(".") if "." in whole else whole) or digits == 0


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("-0.00", "0"),
        ("0E-8", "0"),
        ("1E-8", "0.00000001"),
        ("9.9999999E-7", "0.00000099999999"),
        ("1E+3", "1000"),
        ("-12.3400", "-12.34"),
        ("100", "100"),
    ],
)
def test_text_of(number: str, text: str) -> None:
    assert to_text(Decimal(number)) == text

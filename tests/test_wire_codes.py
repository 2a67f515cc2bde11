"""The venue's error codes: one row each, words that fit, advice for everyone."""

from __future__ import annotations

from typing import Final

import pytest

from trader_cli.wire import codes
from trader_cli.wire.codes import CodeClass, describe, message


@pytest.mark.parametrize(
    ("code", "args", "expected"),
    [
        (-1121, (), "Invalid symbol."),
        (-4183, ("82.42",), "Limit price can't be higher than 82.42"),
        (-4003, (), "Quantity less than or equal to zero."),
        (-2011, (), "Unknown order sent."),
        (-1102, (), "A mandatory parameter was not sent, was empty/null, or malformed."),
        (-1105, ("side",), "Parameter 'side' was empty."),
        (-2015, (), "Invalid API-key, IP, or permissions for action."),
        (-5000, ("/fapi/v9/x", "GET"), "Path /fapi/v9/x, Method GET is invalid"),
    ],
)
def test_words_are_the_venues(code: int, args: tuple[object, ...], expected: str) -> None:
    assert expected == message(code, *args)


def test_a_later_wording_is_chosen_by_variant() -> None:
    assert "ahead of the server's time" in message(-1021, variant=1)
    assert "IP banned until 1790000000000" in message(-1003, 1_790_000_000_000, variant=1)


def test_words_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 3 values"):
        message(-4164, 1, 2, 3)
    with pytest.raises(KeyError):
        message(-1)


def test_a_code_outside_the_table_is_not_described() -> None:
    assert describe(-99_999) is None


@pytest.mark.parametrize("row", codes._TABLE, ids=lambda row: str(row.code))
def test_every_row_can_be_said_and_advises(row: codes.Code) -> None:
    blanks = row.templates[0].count("%s")

    assert "%s" not in message(row.code, *["x"] * blanks)
    assert row.advice[0].isupper()
    assert row.advice.endswith(".")
    assert ". " not in row.advice, "one sentence"
    assert 10 < len(row.advice) <= 160
    assert 400 <= row.http_status <= 503


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        (CodeClass.UNKNOWN, {-1000, -1006, -1007}),
        (CodeClass.RETRY_SAFE, {-1008, -1015}),
        (CodeClass.CLOCK, {-1021, -5028}),
        (CodeClass.IDEMPOTENT_OK, {-4046, -4059, -4171, -5027}),
        (CodeClass.FILTER, {-1111, -4003, -4014, -4024, -4131, -4164, -4183, -4184}),
        (CodeClass.RISK, {-2018, -2019, -2021, -2022, -2024, -2027, -4045, -4105, -4118, -4400}),
        (CodeClass.AUTH, {-1002, -1022, -2014, -2015, -2017, -4402, -4411}),
        (CodeClass.BAN, {-1003}),
    ],
)
def test_classes_are_those_the_policies_rest_on(kind: CodeClass, some: set[int]) -> None:
    of_kind = {row.code for row in codes._TABLE if row.kind is kind}

    assert some <= of_kind


REFERENCE: Final = (
    *(-1000, -1001, -1002, -1003, -1006, -1007, -1008, -1010, -1011, -1013, -1014, -1015),
    *(-1016, -1020, -1021, -1022, -1023, -1099, -1100, -1101, -1102, -1103, -1104, -1105),
    *(-1106, -1111, -1112, -1114, -1115, -1116, -1117, -1118, -1119, -1120, -1121, -1122),
    *(-1125, -1127, -1128, -1130, -1136, -2010, -2011, -2012, -2013, -2014, -2015, -2017),
    *(-2018, -2019, -2020, -2021, -2022, -2023, -2024, -2025, -2026, -2027, -2028, -4000),
    *(-4001, -4002, -4003, -4004, -4005, -4006, -4007, -4013, -4014, -4015, -4016, -4020),
    *(-4021, -4022, -4023, -4024, -4028, -4031, -4032, -4044, -4045, -4046, -4047, -4048),
    *(-4049, -4050, -4051, -4054, -4055, -4059, -4060, -4061, -4062, -4067, -4068, -4082),
    *(-4083, -4087, -4088, -4104, -4105, -4106, -4107, -4109, -4116, -4117, -4118, -4120),
    *(-4130, -4131, -4135, -4136, -4137, -4138, -4139, -4140, -4141, -4142, -4144, -4161),
    *(-4164, -4165, -4167, -4168, -4169, -4170, -4171, -4172, -4183, -4184, -4189, -4192),
    *(-4202, -4203, -4205, -4206, -4208, -4209, -4210, -4211, -4400, -4401, -4402, -4403),
    *(-4411, -4531, -5021, -5022, -5024, -5025, -5026, -5027, -5028, -5029, -5037, -5038),
    *(-5039, -5040, -5041, -5043, -5047),
)
"""Every code the reference lists, §5.1 to §5.4."""


def test_every_code_of_the_reference_is_described() -> None:
    assert [code for code in REFERENCE if describe(code) is None] == []

"""Money: exponents, exact conversion, allocation that loses nothing, and how it is written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import money

AMOUNTS = st.integers(-money.MAX_AMOUNT, money.MAX_AMOUNT)
CURRENCIES = st.sampled_from(["JPY", "XOF", "GBP", "USD", "KWD", "BHD"])


@pytest.mark.parametrize(
    ("currency", "places"), [("JPY", 0), ("XOF", 0), ("KRW", 0), ("GBP", 2), ("KWD", 3), ("BHD", 3)]
)
def test_places_are_those_of_cldr(currency: str, places: int) -> None:
    assert money.exponent(currency) == places


@pytest.mark.parametrize(
    "code", ["USD", "EUR", "GBP", "XOF", "XAF", "XPF", "JPY", "KWD", "CHF", "INR", "BRL"]
)
def test_currencies_in_use_can_be_charged(code: str) -> None:
    assert money.is_currency(code)


@pytest.mark.parametrize("code", ["", "US", "usd", "USDX", "ZZZ", "XXX", "XTS", "XAU", "DEM", "ﬀx"])
def test_what_nobody_pays_with_cannot(code: str) -> None:
    assert not money.is_currency(code)


@given(AMOUNTS, CURRENCIES)
def test_major_units_lead_back_to_the_same_amount(minor: int, currency: str) -> None:
    major = money.to_major(minor, currency)
    assert money.from_major(major, currency) == minor
    assert money.from_major(str(major), currency) == minor


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("51.94", "GBP", 5194),
        ("10000.0", "XOF", 10000),
        (10000.0, "XOF", 10000),
        (0.1, "GBP", 10),
        ("1.234", "KWD", 1234),
        (7, "GBP", 700),
        ("-0", "GBP", 0),
        ("1e2", "JPY", 100),
        (9007199254740992, "JPY", 2**53),
    ],
)
def test_major_units_become_minor_ones(value: Decimal | str | int, currency: str, minor: int) -> None:
    assert money.from_major(value, currency) == minor


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("51.945", "GBP"),
        ("1.5", "JPY"),
        (10000.5, "XOF"),
        ("1.00000000000000000000000000001", "GBP"),
        ("0." + "0" * 60 + "1", "GBP"),
        ("1e-999999", "GBP"),
        (9007199254740993, "JPY"),
        ("1e999", "GBP"),
        ("1e999999999", "GBP"),
        ("NaN", "GBP"),
        ("sNaN", "GBP"),
        ("Infinity", "GBP"),
        ("-Infinity", "GBP"),
        ("", "GBP"),
        ("five", "GBP"),
        ("0x10", "GBP"),
        (True, "GBP"),
    ],
)
def test_what_would_have_to_be_rounded_is_refused(value: Decimal | str | int, currency: str) -> None:
    with pytest.raises(ValueError):
        money.from_major(value, currency)


@given(st.integers(0, money.MAX_AMOUNT), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_an_allocation_loses_no_unit_and_is_fair(total: int, weights: list[int]) -> None:
    parts = money.allocate(total, weights)
    assert sum(parts) == total
    assert parts == money.allocate(total, weights)
    whole = sum(weights) or len(weights)
    for part, weight in zip(parts, weights if any(weights) else [1] * len(weights), strict=True):
        assert abs(part * whole - total * weight) < whole, "never a unit away from the exact share"


def test_the_largest_remainder_gets_the_odd_unit_and_the_first_breaks_a_tie() -> None:
    assert money.allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert money.allocate(5, [3, 7]) == [2, 3]
    assert money.allocate(10, [0, 5, 0]) == [0, 10, 0]
    assert money.allocate(3, [0, 0]) == [2, 1]
    assert money.allocate(0, []) == []


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (5194, "GBP", "en", "£51.94"),
        (5194, "GBP", "en-GB", "£51.94"),
        (1234567, "EUR", "de", "12.345,67\u00a0€"),
        (500, "JPY", "en", "¥500"),
        (1500, "KWD", "en", "KWD\u00a01.500"),
        (5000, "XOF", "en", "F\u202fCFA\u00a05,000"),
        (5194, "CAD", "en", "CA$51.94"),
        (5194, "GBP", "no such language", "£51.94"),
        (5194, "GBP", "zz", "£51.94"),
        (-100, "USD", "en", "-$1.00"),
    ],
)
def test_money_is_written_as_the_reader_writes_it(minor: int, currency: str, locale: str, text: str) -> None:
    assert money.format_money(minor, currency, locale) == text

"""Card numbers: the check digit, the brand, and seeing one where it must not be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.sandbox.cards import CARDS
from app.domain.decline_codes import CODES, describe
from app.domain.rules.cards import brand_of, digits_of, full_year, holds_card_number, passes_luhn


@given(st.text("0123456789", min_size=12, max_size=18))
def test_one_digit_alone_makes_a_number_right(body: str) -> None:
    assert sum(passes_luhn(body + last) for last in "0123456789") == 1


@given(st.sampled_from([card.number for card in CARDS if passes_luhn(card.number)]), st.data())
def test_a_mistyped_digit_is_seen(number: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(number) - 1))
    typed = data.draw(st.sampled_from("0123456789"))
    assert passes_luhn(number[:place] + typed + number[place + 1 :]) == (typed == number[place])


@pytest.mark.parametrize(
    "text", ["", "4242424242424241", "4242 4242 4242 4242", "４２４２４２４２４２４２４２４２", "4242x", "²"]
)
def test_what_is_no_number_does_not_pass(text: str) -> None:
    assert not passes_luhn(text)


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", "VISA"),
        ("5555555555554444", "MASTERCARD"),
        ("2223003122003222", "MASTERCARD"),
        ("378282246310005", "AMEX"),
        ("6011111111111117", "DISCOVER"),
        ("3566002020360505", "JCB"),
        ("3056930009020004", "DINERS"),
        ("9999999999999995", "CARD"),
        ("", "CARD"),
    ],
)
def test_the_brand_is_read_from_the_number(number: str, brand: str) -> None:
    assert brand_of(number) == brand


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242\u00a04242\u00a04242\u00a04242",
        "4242 - 4242 - 4242 - 4242",
        "my card is 378282246310005, thanks",
        "order 12 4242 4242 4242 4242 05/27",
        "４２４２４２４２４２４２４２４２",
        "6304000000000000",
    ],
)
def test_a_card_number_is_seen_however_it_is_typed(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Invoice 2026-0042",
        "+44 20 7946 0958",
        "4242 4242 4242 4241",
        "550e8400-e29b-41d4-a716-446655440000",
        "4" * 40,
        "4242, 4242, 4242, 4242",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert not holds_card_number(text)


def test_years_have_two_or_four_digits() -> None:
    assert (full_year(27), full_year(0), full_year(2031)) == (2027, 2000, 2031)
    assert digits_of(" 4242-4242 4242\t4242") == "4242424242424242"


def test_every_decline_of_the_sandbox_has_its_words() -> None:
    declining = {card.detail for card in CARDS if "decline" in card.behaviour.value}
    assert declining
    assert declining <= set(CODES)


def test_what_would_help_a_thief_reads_like_any_decline() -> None:
    generic = describe("generic_decline")
    for code in ("lost_card", "stolen_card", "fraudulent", "card_velocity_exceeded"):
        assert describe(code).shopper_text == generic.shopper_text
        assert describe(code).merchant_text != generic.merchant_text
    assert describe(None) is describe("what is this") is generic

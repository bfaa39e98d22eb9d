"""Card numbers in places where none belongs are refused, and other numbers are not."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import FileStorage, MultiDict

from app.domain.errors import Unprocessable
from app.domain.rules.cards import is_iban
from app.web import card_screen

PAN = "4111111111111111"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": {"note": PAN}}, "metadata.note"),
        ({"metadata": {"note": int(PAN)}}, "metadata.note"),
        ({"metadata": {"note": float(PAN)}}, "metadata.note"),
        ({"metadata": {"list": [1, {"x": "4111 1111 1111 1111"}]}}, "metadata.list.1.x"),
        ({"metadata": {f"n {PAN}": 1}}, "metadata"),
        ({PAN: 1}, "body"),
        ({"nickname": "card 4111-1111-1111-1111!"}, "nickname"),
        ({"customer_id": PAN}, "customer_id"),
        ({"token": PAN}, "token"),
        ({"card": {"number": "x", "name": PAN}}, "card.name"),
        ({"nested": {"card": {"number": PAN}}}, "nested.card.number"),
        ({"amount": PAN}, "amount"),
        ({"note": "4242424242424242"}, "note"),
        ({"note": "４２４２４２４２４２４２４２４２"}, "note"),
        ([PAN], ".0"),
    ],
)
def test_a_number_is_found_and_not_repeated(body: Any, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        card_screen.refuse_in_body(body, frozenset({"card.number"}))
    assert (refused.value.code, refused.value.field) == ("card_number_refused", field)
    assert PAN not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        {"card": {"number": PAN}},
        {"amount": int(PAN)},
        {"intents": [{"amount": int(PAN)}]},
        {"metadata": {"at": "1756468800007", "ms": 1756468800007, "big": 9007199254740993}},
        {"iban": "AT61 1904 3002 3457 3201", "other": "GB82WEST12345698765432"},
        {"phone": "+44 20 7946 0958", "flag": True, "none": None, "rate": 0.5},
        {"id": "pi_01jmzq3t8ketw8zv4r9p1f2c3d"},
        [],
        "text",
    ],
)
def test_other_numbers_pass(body: Any) -> None:
    card_screen.refuse_in_body(body, frozenset({"card.number"}))


def test_queries_and_keys_are_looked_at() -> None:
    card_screen.refuse_in_query({"customer_id": "cust_1"})
    card_screen.refuse_in_key("order-1", {"intent_id": "pi_1"})
    for work in (
        lambda: card_screen.refuse_in_query({"customer_id": PAN}),
        lambda: card_screen.refuse_in_query({PAN: "1"}),
        lambda: card_screen.refuse_in_key(f"pay-{PAN}", {}),
        lambda: card_screen.refuse_in_key("order-1", {"intent_id": PAN}),
    ):
        with pytest.raises(Unprocessable) as refused:
            work()
        assert PAN not in f"{refused.value} {refused.value.field}"


def test_forms_and_the_names_of_files_are_looked_at() -> None:
    def file(name: str) -> MultiDict[str, FileStorage]:
        return MultiDict({"file": FileStorage(filename=name)})

    card_screen.refuse_in_form(MultiDict({"purpose": "evidence"}), file("receipt.pdf"))
    card_screen.refuse_in_form(MultiDict({None: "nameless"}), MultiDict({"file": FileStorage()}))  # type: ignore[dict-item]
    for texts, name, field in (
        ({"note": PAN}, "a.pdf", "note"),
        ({PAN: "x"}, "a.pdf", "form"),
        ({}, f"{PAN}.pdf", "file"),
    ):
        with pytest.raises(Unprocessable) as refused:
            card_screen.refuse_in_form(MultiDict(texts), file(name))
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("AT611904300234573201", True),
        ("at61 1904 3002 3457 3201", True),
        ("AT611904300234573202", False),
        ("AT61", False),
        ("", False),
        (PAN, False),
        ("DE89370400440532013000", True),
    ],
)
def test_an_iban_is_known_by_its_check_digits(text: str, good: bool) -> None:
    assert is_iban(text) is good

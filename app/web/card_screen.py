"""Card numbers where none belongs: refused before anything is validated, stored or logged.

Every text, key and whole number of a body is looked at, the query, and what is kept of an idempotent call:
its key and path. `card_fields` of an endpoint are the fields that go to a gateway's vault, which refuses by
itself what it does not take. Published test numbers are refused here like any other. It costs a small body
some five microseconds: most texts are too short to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from app.domain.errors import Unprocessable
from app.domain.rules.cards import holds_card_number, is_iban


def refuse_in_body(body: Any, card_fields: frozenset[str]) -> None:
    """Look through a JSON body.

    Raises:
        Unprocessable: `card_number_refused`, with the field.
    """
    _look(body, "", card_fields)


def refuse_in_query(query: Mapping[str, str]) -> None:
    """Look through query parameters; raises as `refuse_in_body`."""
    for name, value in query.items():
        _refuse_text(name, "query")
        _refuse_text(value, name)


def refuse_in_form(texts: MultiDict[str, str], files: MultiDict[str, FileStorage]) -> None:
    """Look through the texts of a form and the names of its files; raises as `refuse_in_body`."""
    parts = [*texts.items(multi=True), *((name, file.filename) for name, file in files.items(multi=True))]
    for name, text in parts:  # a part need not have a name
        _refuse_text(name or "", "form")
        _refuse_text(text or "", name or "form")


def refuse_in_key(key: str, path: Mapping[str, str]) -> None:
    """Look at an idempotency key and its path, which are stored; raises as `refuse_in_body`."""
    _refuse_text(key, "Idempotency-Key")
    for name, value in path.items():
        _refuse_text(value, name)


def _look(value: Any, place: str, card_fields: frozenset[str]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_text(name, place or "body")
            inner = f"{place}.{name}" if place else name
            if inner not in card_fields:
                _look(item, inner, card_fields)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _look(item, f"{place}.{index}", card_fields)
    elif isinstance(value, str):
        _refuse_text(value, place)
    elif isinstance(value, (int, float)) and not place.endswith("amount") and value == int(value):
        _refuse_text(str(int(value)), place)


def _refuse_text(text: str, place: str) -> None:
    if holds_card_number(text) and not is_iban(text):
        raise Unprocessable(
            f"{place} seems to hold a card number. Card numbers are not taken here: send a token",
            code="card_number_refused",
            field=place,
        )

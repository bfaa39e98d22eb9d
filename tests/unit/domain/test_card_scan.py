"""The scan finds card numbers and nothing that only looks like one."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from app.connectors.sandbox.cards import CARDS
from app.domain.rules.card_scan import shows_card_number
from app.domain.rules.cards import passes_luhn
from app.kit.ids import new_id, new_uuid, random_token

NUMBERS = [c.number for c in CARDS if passes_luhn(c.number)]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_found_in_whatever_stands_around_it(number: str) -> None:
    groups = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 4)
    starts = [sum(groups[:n]) for n in range(len(groups))]
    spaced = [number[s : s + size] for s, size in zip(starts, groups, strict=True)]
    for text in (
        number,
        f'{{"note": "{number}"}}',
        f"card {' '.join(spaced)}, exp 12/30",
        "-".join(spaced),
        number.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    ):
        assert shows_card_number(text), text


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "1764109450123456",
        "+4915112345678904",
        "4242424242424242a",
        "a4242424242424242",
        "424242424242424242424242",
        "2026-11-25 22:24:10.123456",
        "00000000000000000000",
        "pi_4242",
    ],
)
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert not shows_card_number(text)


def test_ids_hashes_and_tokens_are_none() -> None:
    for n in range(3000):
        for text in (
            new_id("pi"),
            new_uuid(),
            str(uuid.UUID(int=n * 7919 << 64 | n)),
            hashlib.sha256(str(n).encode()).hexdigest(),
            random_token(),
        ):
            assert not shows_card_number(text), text

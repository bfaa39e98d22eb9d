"""Gift cards from the command line: issued once, with a code that nobody guesses and the journal does not show."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from app.db import reading
from app.kit import clock
from app.models.catalogue.stored_value import GiftCard
from app.models.events.journal import JournalEntry
from app.services.checkout import stored_value
from tests import catalogue
from tests.shops import Shop


def issue(app: Flask, *words: str, code: int = 0) -> str:
    result = app.test_cli_runner().invoke(args=["gift-cards", "issue", *words])
    assert result.exit_code == code, result.output
    return result.output.strip()


def test_a_card_is_issued_and_pays(app: Flask, shop: Shop) -> None:
    slug = shop.actor.tenant.slug
    code = issue(app, slug, "1000", "gbp", "--days", "30")
    assert re.fullmatch(r"(?:[2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}", code)
    assert issue(app, slug, "1000", "GBP") != code
    session = shop.session()
    _, part = stored_value.apply_gift_card(shop.actor, session.id, code.lower())
    assert (part.applied, part.label) == (1000, f"…{code[-4:]}")
    with reading() as db:
        card = db.scalars(select(GiftCard).where(GiftCard.code == code)).one()
        entries = db.scalars(select(JournalEntry).where(JournalEntry.entity_id == card.id)).all()
    assert card.expires_at is not None
    assert 29 <= (card.expires_at - clock.now()).days <= 30
    assert [entry.type for entry in entries] == ["gift_card.issued"]
    assert code not in str(vars(entries[0]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("0", "GBP"), "Valid amount is required"),
        (("100", "ZZZ"), "There is no such currency"),
        (("100", "GBP", "--code", "short"), "A code has 6 to 64 characters without spaces"),
        (("100", "GBP", "--code", "WITH SPACE"), "A code has 6 to 64 characters without spaces"),
        (("100", "GBP", "--code", "TAKEN-0001"), "There is a gift card with this code"),
    ],
)
def test_what_cannot_be_issued(app: Flask, shop: Shop, words: tuple[str, ...], told: str) -> None:
    catalogue.gift_card(shop, "TAKEN-0001", 5)
    assert issue(app, shop.actor.tenant.slug, *words, code=1) == f"Error: {told}"
    assert catalogue.on_card(shop, "TAKEN-0001") == (5, 0)

"""A process that dies while it captures takes the money once, and the merchant's repeated call learns of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from app.connectors.sandbox import book
from app.db import reading
from app.services.checkout import payment, payments
from app.services.operations import invariants
from app.services.payments import intents, methods
from app.services.payments.intents import IntentDraft
from tests.processes import dies
from tests.shops import GOOD, Shop, card, later

CAPTURE = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import keys
from app.services.checkout import payments
secret, intent_id = sys.argv[1:3]
payments.capture(keys.authenticate(secret), intent_id, 3000, nonce="capture-1")
"""


@pytest.mark.parametrize("point", ["capture_submitted", "capture_answered"])
def test_dying_during_a_capture(database: str, tmp_path: Path, shop: Shop, point: str) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    draft = IntentDraft(5000, "GBP", capture_mode="manual", payment_method_id=method.id)
    intent_id = intents.create(shop.actor, draft).id
    intents.confirm(shop.actor, intent_id, nonce="n1")
    dies(CAPTURE, shop.secret, intent_id, url=database, folder=tmp_path, at=point)
    assert intents.get(shop.actor, intent_id).status == "processing"
    with later(31):
        repeated = payments.capture(shop.actor, intent_id, 3000, nonce="capture-1")
    assert (repeated.status, repeated.amount_captured) == ("succeeded", 3000)
    with later(120):
        payment.sweep()
    with reading() as db:
        assert db.execute(select(book.payments.c.status, book.payments.c.captured)).all() == [
            ("captured", 3000)
        ]
    assert invariants.check() == []

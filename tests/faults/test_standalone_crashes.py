"""A process that dies while it pays an intent without a checkout takes the money once, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from app.connectors.sandbox import book
from app.db import reading
from app.services.checkout import payment, payments
from app.services.checkout.payment import Order
from app.services.operations import invariants
from app.services.payments import intents, methods
from app.services.payments.intents import IntentDraft
from tests.processes import dies
from tests.shops import GOOD, Shop, card, later

CONFIRM = """
import sys
from app import db, settings
settings.use(settings.load())
db.configure(settings.current().database, ephemeral=True)
from app.services.access import keys
from app.services.checkout import payments
from app.services.checkout.payment import Order
secret, intent_id = sys.argv[1:3]
payments.confirm(keys.authenticate(secret), intent_id, Order("confirm-1"))
"""


@pytest.mark.parametrize(
    ("point", "taken"), [("auth_submitted", False), ("auth_answered", True)], ids=["before", "after"]
)
def test_dying_before_and_after_the_gateway_took_it(
    database: str, tmp_path: Path, shop: Shop, point: str, taken: bool
) -> None:
    method = methods.tokenize_card(shop.actor, card(GOOD))
    intent_id = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id)).id
    dies(CONFIRM, shop.secret, intent_id, url=database, folder=tmp_path, at=point)
    assert the_book() == ([("captured", 5000)] if taken else [])
    repeated = payments.confirm(shop.actor, intent_id, Order("confirm-1"))
    assert repeated.status == "processing"  # the same call asks for nothing more
    for seconds in (31, 120, 600):
        with later(seconds):
            payment.sweep()
    after = intents.get(shop.actor, intent_id)
    if taken:
        assert (after.status, after.amount_captured) == ("succeeded", 5000)
    else:
        assert (after.status, after.amount_captured) == ("requires_payment_method", 0)
        with later(601):
            again = payments.confirm(shop.actor, intent_id, Order("confirm-2"), method_id=kept(shop))
        assert again.status == "succeeded"
    assert the_book() == [("captured", 5000)]
    assert invariants.check() == []


def kept(shop: Shop) -> str:
    return methods.tokenize_card(shop.actor, card(GOOD)).id


def the_book() -> list[tuple[str, int]]:
    with reading() as db:
        statement = select(book.payments.c.status, book.payments.c.captured)
        return [(row.status, row.captured) for row in db.execute(statement)]

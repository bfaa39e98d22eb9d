"""The invariants notice what they are for: each is broken by hand, and found."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.db import transaction
from app.services.operations import invariants
from app.services.payments import refunds
from tests.shops import Shop

BREAKS = {
    "ledger_balances": "UPDATE ledger_postings SET amount = amount + 1 WHERE line = 0",
    "captures_are_posted": "UPDATE payment_intents SET amount_captured = amount_captured - 1, amount_refunding = 0",
    "sums_hold": "UPDATE payment_intents SET amount_refunding = amount_refunding + 1",
    "sandbox_agrees": "UPDATE sandbox_payments SET captured = captured - 1",
    "stock_holds": "UPDATE stock_items SET held = held + 1",
    "sessions_have_their_order": "DELETE FROM orders",
    "statuses_are_told": "UPDATE payment_intents SET status = 'canceled'",
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_break_is_noticed(shop: Shop, rule: str) -> None:
    session = shop.session()
    shop.pay(session)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id, 500).id)
    assert invariants.check() == []
    with transaction() as db:
        db.execute(text(BREAKS[rule]))
    assert rule in {violation.rule for violation in invariants.check()}


def test_a_refund_that_the_gateway_does_not_know_is_noticed(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id, 500).id)
    with transaction() as db:
        db.execute(text("UPDATE sandbox_payments SET refunded = 0"))
    assert "sandbox_agrees" in {violation.rule for violation in invariants.check()}

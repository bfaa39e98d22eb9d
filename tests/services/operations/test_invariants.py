"""The invariants notice what they are for: each is broken by hand, and found."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db import engine, transaction
from app.models.ledger import ledger_guard
from app.services.operations import invariants
from app.services.payments import dispute_evidence, disputes, refunds
from tests.disputes import FRAUD, told
from tests.shops import Shop, later

BREAKS = {
    "ledger_balances": "UPDATE ledger_postings SET amount = amount + 1 WHERE line = 0",
    "captures_are_posted": "UPDATE payment_intents SET amount_captured = amount_captured - 1, amount_refunding = 0",
    "sums_hold": "UPDATE payment_intents SET amount_refunding = amount_refunding + 1",
    "sandbox_agrees": "UPDATE sandbox_payments SET captured = captured - 1",
    "stock_holds": "UPDATE stock_items SET held = held + 1",
    "sales_have_their_order": "DELETE FROM orders",
    "sales_are_paid_in_full": "UPDATE orders SET grand_total = grand_total + 1",
    "payments_take_their_amount": "UPDATE payment_intents SET amount_captured = amount_captured - 1",
    "statuses_are_told": "UPDATE payment_intents SET status = 'canceled'",
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_break_is_noticed(shop: Shop, rule: str) -> None:
    session = shop.session()
    shop.pay(session)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id, 500).id)
    assert invariants.check() == []
    with engine().begin() as connection:
        ledger_guard.remove(connection)
        connection.execute(text(BREAKS[rule]))
    assert rule in {violation.rule for violation in invariants.check()}


def test_a_refund_that_the_gateway_does_not_know_is_noticed(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id, 500).id)
    with transaction() as db:
        db.execute(text("UPDATE sandbox_payments SET refunded = 0"))
    assert "sandbox_agrees" in {violation.rule for violation in invariants.check()}


DISPUTE_BREAKS = {
    "UPDATE payment_intents SET amount_disputed = amount_disputed - 1": "disputes_hold",
    "UPDATE disputes SET amount_reserved = amount_reserved - 1": "disputes_hold",
    "DELETE FROM ledger_postings WHERE account LIKE 'disputes:%'": "disputes_hold",
    "UPDATE sandbox_disputes SET status = 'won' WHERE status = 'lost'": "sandbox_disputes_agree",
    "DELETE FROM sandbox_disputes": "sandbox_disputes_agree",
    "DELETE FROM credit_notes": "credit_notes_match",
    "UPDATE credit_notes SET amount = amount - 1": "credit_notes_match",
    "UPDATE disputes SET outcome = 'won' WHERE outcome = 'lost'": "credit_notes_match",
    "UPDATE disputes SET status = 'closed'": "statuses_are_told",
}


def test_breaks_of_disputes_are_noticed(shop: Shop) -> None:
    told(shop.actor, FRAUD, 900)
    lost = told(shop.actor, FRAUD, 700)
    disputes.close(shop.actor, lost.id, "accepted", "")
    assert invariants.check() == []

    class Undo(Exception):
        pass

    for change, rule in DISPUTE_BREAKS.items():
        with suppress(Undo), transaction() as db:
            ledger_guard.remove(db.connection())
            assert db.execute(text(change)).rowcount > 0, change  # type: ignore[attr-defined]
            assert rule in {violation.rule for violation in invariants.check()}, change
            raise Undo
    assert invariants.check() == []


def test_a_dispute_that_leaves_its_money_to_refunds_is_noticed(shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD)
    with transaction() as db:
        for change in (
            "UPDATE disputes SET amount_reserved = amount_reserved - 5",
            "UPDATE payment_intents SET amount_disputed = amount_disputed - 5",
        ):
            db.execute(text(change))
    [violation] = invariants.check()
    assert (violation.rule, violation.entity_id) == ("disputes_hold", dispute.id)


def test_evidence_and_notes_are_only_ever_added(shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD)
    dispute_evidence.submit(shop.actor, dispute.id, [], "winning_evidence")
    with later(11):
        disputes.look_again(dispute.attempt_id, str(dispute.gateway_reference))
        disputes.close(shop.actor, dispute.id, "won", "")
    for table in ("dispute_evidence", "accounting_notes"):
        for change in ("UPDATE {} SET tenant_id = 'x'", "DELETE FROM {}"):
            with pytest.raises(DBAPIError, match="only ever added"), transaction() as db:
                db.execute(text(change.format(table)))

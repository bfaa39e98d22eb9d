"""Disputes in statements: what they take and give back is settled, matched, and squares the gateway's account."""

from __future__ import annotations

import pytest

from app.models.payments.dispute import Dispute
from app.models.treasury.settlement import SettlementLine
from app.services.payments import dispute_evidence, disputes, refunds
from app.services.treasury import comparison, reconciliations, reports, statements
from tests.disputes import FRAUD, paid, told
from tests.shops import Shop, later
from tests.treasuries import account, days_later, rows, work

pytestmark = pytest.mark.usefixtures("holds")

FEE = 1_500


def settle(shop: Shop, days: int) -> dict[str, int]:
    """The statements up to some midnight, compared; a count for each outcome."""
    with days_later(days):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        run_id = reconciliations.create(shop.actor).id
        result = comparison.run(run_id)
        work()
    with days_later(days + 1):
        statements.post_due()
    return {outcome: count for outcome, count in result.items() if count}


def test_a_dispute_is_settled_with_its_fee_and_squares_the_account(shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD, 2_000)
    assert account(shop, "receivable:sandbox") == -FEE
    assert settle(shop, 1) == {"matched": 2}
    assert [(line.type, line.gross, line.fee, line.transaction_id) for line in rows(SettlementLine)] == [
        ("charge", 2_000, 48, dispute.attempt_id),
        ("dispute", -2_000, FEE, dispute.id),
    ]
    assert account(shop, "receivable:sandbox") == 0
    assert account(shop, "fees:sandbox") == 48
    assert account(shop, "balance:sandbox") == -48 - FEE
    with days_later(0, minutes=30):
        [totals] = reports.daily(
            shop.actor, str(dispute.opened_at.date() if dispute.opened_at else "")
        ).totals
    assert (totals.captures, totals.disputes, totals.fees) == (2_000, 2_000, FEE)


def test_a_dispute_that_is_won_comes_back_with_its_fee(shop: Shop) -> None:
    dispute = told(shop.actor, FRAUD, 2_000)
    dispute_evidence.submit(shop.actor, dispute.id, [], "winning_evidence")
    with later(60):
        disputes.look_again(dispute.attempt_id, str(dispute.gateway_reference))
    [decided] = rows(Dispute)
    assert decided.outcome == "won" and decided.opened_at and decided.decided_at
    days = {str(at.date()) for at in (decided.opened_at, decided.decided_at)}
    entries = [entry for text in days for entry in reports.daily(shop.actor, text).entries]
    fees = [entry for entry in entries if (entry.type, entry.account) == ("dispute_fee", "merchant_balance")]
    assert sum(entry.debit for entry in fees) == sum(entry.credit for entry in fees) == FEE
    assert settle(shop, 1) == {"matched": 3}
    assert account(shop, "receivable:sandbox") == 0
    assert account(shop, "balance:sandbox") == 2_000 - 48


def test_a_refund_in_store_credit_is_not_looked_for(shop: Shop) -> None:
    intent = paid(shop.actor, "4242424242424242", 2_000, customer_id="cust_1")
    refunds.create(shop.actor, intent.id, 500, refund_method="store_credit")
    assert settle(shop, 1) == {"matched": 1}

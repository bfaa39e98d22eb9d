"""The treasury's invariants notice what they are for: each is broken by hand, and found."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import text

from app.db import engine, transaction
from app.models.ledger import ledger_guard
from app.services.ledger import balances
from app.services.operations import invariants
from app.services.treasury import payouts, reconciliations, resolutions, statements
from app.services.treasury.resolutions import Decision
from tests.shops import Shop
from tests.treasuries import NEVER, days_later, give_back, pay, settled, work

BREAKS = {
    "settlements_are_their_lines": "UPDATE settlement_lines SET gross = gross + 1, net = net + 1",
    "settlements_are_posted": "UPDATE ledger_transactions SET source = source || 'x' WHERE kind = 'settlement'",
    "payouts_are_posted": "UPDATE payouts SET amount = amount + 1 WHERE status = 'pending'",
    "sandbox_payouts_agree": "DELETE FROM sandbox_payouts",
    "kept_sums_are_the_ledgers": "UPDATE ledger_balances SET amount = amount + 1",
    "refunds_are_posted": "UPDATE ledger_transactions SET kind = 'x' WHERE kind = 'refund'",
    "decisions_are_posted": "UPDATE ledger_transactions SET source = source || 'x' WHERE kind = 'write_off'",
}


@pytest.fixture
def books(shop: Shop) -> Shop:
    """A shop with one of everything: settled, paid out, on its way, missing and written off."""
    settled(shop)
    give_back(shop, pay(shop, 500), 200)
    missing = pay(shop, 1_000, NEVER)
    payouts.send(payouts.create(shop.actor, 1_000, "GBP", "bank_account_123").id)
    balances.sum_days()
    with days_later(1):
        statements.sync(shop.actor.tenant_id, "test", ["sandbox"])
        run_id = reconciliations.create(shop.actor).id
        work()
        resolutions.resolve(shop.actor, run_id, [Decision(missing, "write_off")])
    payouts.create(shop.actor, 1_000, "GBP", "bank_account_123")
    return shop


class Undo(Exception):
    """Takes a break back."""


def test_each_break_is_noticed(books: Shop) -> None:
    assert invariants.check() == []
    for rule, statement in BREAKS.items():
        with suppress(Undo), transaction() as db:
            ledger_guard.remove(db.connection())
            db.execute(text(statement))
            assert rule in {violation.rule for violation in invariants.check()}
            raise Undo
    assert invariants.check() == []


def test_a_wrong_sum_of_a_day_is_noticed(books: Shop) -> None:
    with engine().begin() as connection:
        connection.execute(text("UPDATE ledger_days SET amount = amount + 1 WHERE account = 'bank'"))
    assert [violation.rule for violation in invariants.check()] == ["kept_sums_are_the_ledgers"]

"""Refunds: in money and in store credit, pending, sent back, lost on the way, and never more than was taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors import base
from app.connectors.sandbox import book
from app.connectors.sandbox.connector import SandboxConnector
from app.db import reading, transaction
from app.domain.errors import Conflict, NotFound, Unprocessable
from app.models.catalogue.stored_value import StoreCredit
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.services.ledger import postings
from app.services.payments import intents, refunds
from tests.buyers import together
from tests.disputes import charge, credit_notes, deliver, paid, work
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")

LATER, RETURNED = "4000000000007726", "4000000000005126"


def credit(shop: Shop) -> int:
    with reading() as db:
        return sum(
            db.scalars(select(StoreCredit.balance).where(StoreCredit.tenant_id == shop.actor.tenant_id))
        )


def sent_back() -> int:
    """What the gateway's own book says went back."""
    with reading() as db:
        return sum(db.scalars(select(book.payments.c.refunded)))


def events(refund: Refund) -> list[str]:
    statement = select(JournalEntry.type).where(JournalEntry.entity_id == refund.id).order_by(JournalEntry.id)
    with reading() as db:
        return list(db.scalars(statement))


def fresh(shop: Shop, refund: Refund) -> Refund:
    return refunds.get(shop.actor, refund.id)


def test_partial_refunds_add_up_and_each_has_its_credit_note(shop: Shop) -> None:
    intent = paid(shop.actor, metadata={"order_id": "ord_123", "invoice_id": "inv_456"})
    made = [refunds.create(shop.actor, intent.id, amount, "product_return") for amount in (500, 700)]
    made.append(refunds.create(shop.actor, intent.id))
    assert [refund.amount for refund in made] == [500, 700, 800]
    for amount in (None, 1, 0, -1):
        with pytest.raises(Unprocessable) as refused:
            refunds.create(shop.actor, intent.id, amount)
        assert refused.value.code == "refund_exceeds_captured"
    assert credit_notes() == []
    work()
    assert credit_notes() == [(f"refund:{refund.id}", refund.amount, True) for refund in made]
    assert sent_back() == intents.get(shop.actor, intent.id).amount_refunded == 2000
    assert postings.balances(shop.actor)["merchant_balance", "GBP"] == 0
    assert events(made[0]) == ["refund.created", "refund.processing", "refund.succeeded"]


def test_store_credit_needs_a_customer(shop: Shop) -> None:
    intent = paid(shop.actor)
    with pytest.raises(Unprocessable) as refused:
        refunds.create(shop.actor, intent.id, 100, refund_method="store_credit")
    assert refused.value.code == "customer_required"
    assert intents.get(shop.actor, intent.id).amount_refunding == 0


def test_store_credit_is_the_customers_at_once_and_once(shop: Shop) -> None:
    intent = paid(shop.actor, customer_id="cust_123")
    refund = refunds.create(shop.actor, intent.id, 600, refund_method="store_credit")
    assert (refund.status, refund.refund_method, refund.gateway_reference) == (
        "succeeded",
        "store_credit",
        None,
    )
    refunds.send(refund.id)
    work()
    with later(90):
        refunds.sweep()
    assert (credit(shop), sent_back()) == (600, 0)
    assert intents.get(shop.actor, intent.id).amount_refunded == 600
    balances = postings.balances(shop.actor)
    assert balances["store_credit", "GBP"] == -600
    assert balances["merchant_balance", "GBP"] == -1400
    assert balances["receivable:sandbox", "GBP"] == 2000
    assert credit_notes() == [(f"refund:{refund.id}", 600, True)]
    assert events(refund)[-1] == "refund.succeeded"
    with pytest.raises(Conflict):
        refunds.cancel(shop.actor, refund.id)
    refunds.send(refunds.create(shop.actor, intent.id).id)
    assert (credit(shop), sent_back()) == (600, 1400)


def test_sixteen_callers_share_what_was_captured_between_money_and_credit(shop: Shop) -> None:
    intent = paid(shop.actor, customer_id="cust_123")

    def give_back(number: int) -> Refund:
        method = "store_credit" if number % 2 else "original_payment_method"
        return refunds.create(shop.actor, intent.id, 300, refund_method=method)

    outcomes = together(16, give_back)
    made = [outcome for outcome in outcomes if isinstance(outcome, Refund)]
    assert len(made) == 6
    assert all(isinstance(outcome, Refund | Unprocessable) for outcome in outcomes)
    work()
    assert credit(shop) + sent_back() == intents.get(shop.actor, intent.id).amount_refunded == 1800
    assert credit(shop) == 300 * sum(refund.refund_method == "store_credit" for refund in made)


def test_only_the_payments_own_charge_may_be_named(shop: Shop) -> None:
    intent, other = paid(shop.actor), paid(shop.actor)
    for charge_id in ("ch_nobody", charge(shop.actor, other).id):
        with pytest.raises(NotFound) as refused:
            refunds.create(shop.actor, intent.id, 100, charge_id=charge_id)
        assert refused.value.code == "charge_not_found"
    own = charge(shop.actor, intent).id
    assert refunds.create(shop.actor, intent.id, 100, charge_id=own).attempt_id == own


def test_a_pending_refund_is_told_by_the_gateway(shop: Shop) -> None:
    intent = paid(shop.actor, LATER)
    refund = refunds.create(shop.actor, intent.id)
    work()
    assert fresh(shop, refund).status == "processing"
    assert credit_notes() == []
    with pytest.raises(Conflict):
        refunds.cancel(shop.actor, refund.id)
    with later(11):
        deliver()
    assert fresh(shop, refund).status == "succeeded"
    assert credit_notes() == [(f"refund:{refund.id}", 2000, True)]


def test_a_refund_that_comes_back_is_undone_and_says_what_to_do(shop: Shop) -> None:
    intent = paid(shop.actor, RETURNED)
    refund = refunds.create(shop.actor, intent.id, 1500)
    work()
    assert fresh(shop, refund).status == "succeeded"
    before = postings.balances(shop.actor)
    assert before["merchant_balance", "GBP"] == -500
    with later(11):
        deliver()
        deliver()
    back = fresh(shop, refund)
    assert (back.status, back.failure_reason) == ("failed", "returned_by_bank")
    assert back.actions == ["retry", "refund_by_other_means", "contact_support"]
    after = intents.get(shop.actor, intent.id)
    assert (after.amount_refunding, after.amount_refunded) == (0, 0)
    assert postings.balances(shop.actor)["merchant_balance", "GBP"] == -2000
    assert credit_notes() == [(f"refund:{refund.id}", 1500, False)]
    assert events(refund)[-1] == "refund.failed"
    assert refunds.create(shop.actor, intent.id).amount == 2000


def test_a_canceled_refund_gives_the_amount_back_and_is_never_sent(shop: Shop) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id)
    assert refunds.cancel(shop.actor, refund.id).failure_reason == "canceled"
    work()
    refunds.sweep()
    assert sent_back() == 0
    assert fresh(shop, refund).status == "failed"
    assert intents.get(shop.actor, intent.id).amount_refunding == 0
    with pytest.raises(Conflict):
        refunds.cancel(shop.actor, refund.id)


def test_cancel_and_send_at_once_have_one_winner(shop: Shop) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id)

    def race(number: int) -> Any:
        return refunds.send(refund.id) if number % 2 else refunds.cancel(shop.actor, refund.id)

    together(16, race)
    after = fresh(shop, refund)
    assert (after.status, sent_back()) in {("failed", 0), ("succeeded", 2000)}


class Breaks:
    """The first call to the gateway breaks, before or after it executed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, executed: bool) -> None:
        self.calls = 0
        honest = SandboxConnector.refund

        def refund(connector: SandboxConnector, context: Any, request: Any) -> Any:
            self.calls += 1
            if self.calls > 1:
                return honest(connector, context, request)
            if executed:
                honest(connector, context, request)
            raise KeyboardInterrupt  # as if the process were killed here: nothing below runs

        monkeypatch.setattr(SandboxConnector, "refund", refund)


@pytest.mark.parametrize("executed", [True, False])
def test_a_process_that_dies_around_the_call_refunds_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, executed: bool
) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id, 900)
    breaks = Breaks(monkeypatch, executed=executed)
    with pytest.raises(KeyboardInterrupt):
        refunds.send(refund.id)
    assert fresh(shop, refund).status == "processing"
    assert refunds.sweep() == 0
    with later(20):
        assert refunds.sweep() == 1
    assert fresh(shop, refund).status == "succeeded"
    assert (sent_back(), breaks.calls) == (900, 1 if executed else 2)


def test_a_lost_answer_stays_processing_until_the_gateway_is_asked(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id, 900)
    honest = SandboxConnector.refund

    def lost(connector: SandboxConnector, context: Any, request: Any) -> Any:
        honest(connector, context, request)
        return base.Unknown("timed out")

    monkeypatch.setattr(SandboxConnector, "refund", lost)
    refunds.send(refund.id)
    assert fresh(shop, refund).status == "processing"
    with later(20):
        refunds.sweep()
    assert fresh(shop, refund).status == "succeeded"
    assert sent_back() == 900


@pytest.mark.parametrize("wrong", [{"amount": 899}, {"amount": 901}, {"currency": "EUR"}])
def test_an_answer_with_another_amount_moves_nothing_and_calls_a_person(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id, 900)
    before = postings.balances(shop.actor)
    honest = SandboxConnector.refund

    def lying(connector: SandboxConnector, context: Any, request: Any) -> Any:
        return replace(honest(connector, context, request), **wrong)

    monkeypatch.setattr(SandboxConnector, "refund", lying)
    refunds.send(refund.id)
    with later(20):
        assert refunds.sweep() == 0, "nobody asks again before a person has looked"
    assert fresh(shop, refund).status == "processing"
    after = intents.get(shop.actor, intent.id)
    assert (after.needs_review, after.amount_refunding, after.amount_refunded) == (True, 900, 0)
    assert postings.balances(shop.actor) == before
    assert credit_notes() == []
    assert events(refund)[-1] == "refund.needs_review"


def test_one_that_cannot_be_asked_about_keeps_no_other_waiting(shop: Shop) -> None:
    """Its connector was taken out of the installation; it is asked about again later."""
    stuck, other = (refunds.create(shop.actor, paid(shop.actor, LATER).id) for _ in range(2))
    work()
    with transaction() as db:
        db.get_one(Attempt, stuck.attempt_id).connector = "adyen"
    with later(20):
        refunds.sweep()
        assert refunds.sweep() == 0, "neither is due again at once"
    assert [fresh(shop, refund).status for refund in (stuck, other)] == ["processing", "succeeded"]
    with transaction() as db:
        db.get_one(Attempt, stuck.attempt_id).connector = "sandbox"
    with later(3600):
        refunds.sweep()
    assert fresh(shop, stuck).status == "succeeded"


def test_after_a_day_of_silence_a_person_is_called_once_and_it_is_asked_daily(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = paid(shop.actor)
    refund = refunds.create(shop.actor, intent.id, 900)

    def silent(*_: Any) -> base.Unknown:
        return base.Unknown("timed out")

    monkeypatch.setattr(SandboxConnector, "refund", silent)
    monkeypatch.setattr(SandboxConnector, "find_refund", silent)
    refunds.send(refund.id)
    for day in range(1, 12):
        assert day != 5 or not intents.get(shop.actor, intent.id).needs_review
        with later(day * 86_400):
            assert refunds.sweep() == 1
    assert intents.get(shop.actor, intent.id).needs_review
    assert events(refund).count("refund.needs_review") == 1
    monkeypatch.undo()
    with later(13 * 86_400):
        assert refunds.sweep() == 1
    assert fresh(shop, refund).status == "succeeded"
    assert not intents.get(shop.actor, intent.id).needs_review, "it is known now"

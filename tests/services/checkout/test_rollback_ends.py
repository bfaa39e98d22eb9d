"""CK-038 where something else ends the session, its payment or a second sale beside a rollback."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.connectors import base
from app.db import transaction
from app.domain.errors import InvalidState, ProviderUnavailable
from app.models.catalogue.stock import StockItem
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.providers import registry
from app.providers.base import OrderRefused, OrdersUnavailable
from app.providers.builtin.billing import BuiltinBilling
from app.services.checkout import (
    cancellation,
    copies,
    finalization,
    finalization_jobs,
    handover,
    payment,
    payments,
    receipts,
    reservations,
    resolutions,
    rollback,
    sessions,
    stored_value,
    totals,
)
from app.services.checkout.prerequisites import FinalizationFailed, FinalizationInProgress
from app.services.checkout.resolutions import Resolution
from app.services.operations import alerts, invariants
from app.services.payments import gateway, refunds
from tests import catalogue, finalizations
from tests.buyers import together
from tests.finalizations import OrderService, charges, fails, orders, ready
from tests.services.checkout.test_rollback import steps
from tests.services.checkout.test_splits import Paid
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> OrderService:
    """An Order Service elsewhere, which this merchant uses."""
    made = OrderService()
    monkeypatch.setattr(registry, "orders", lambda tenant: made)
    return made


def recover() -> None:
    for seconds in (31, 120, 300):
        with later(seconds):
            payment.sweep()
            refunds.sweep()
            finalizations.work()


def test_a_session_that_is_canceled_while_it_is_undone_gets_everything_back(
    shop: Shop, service: OrderService
) -> None:
    catalogue.gift_card(shop, balance=500)
    session = shop.session(hosted=False, options={"capture_mode": "auto"})
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    shop.pay(session)
    assert catalogue.on_card(shop) == (500, 500)
    service.next = [fails(OrderRefused("not deliverable")), fails(OrdersUnavailable("away"))]
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    assert finalizations.run(session).status == "undoing"
    canceled = cancellation.cancel(shop.actor, session.id, release_inventory=True)
    assert canceled.status == "canceled"
    recover()
    assert finalizations.run(session).status == "undone"
    assert (charges(), shop.left("MUG")) == ([("captured", 1120, 1120)], (100, 0, 0))
    assert catalogue.on_card(shop) == (500, 0)
    assert rollback.roll_back(shop.actor, session.id)[1].status == "undone"
    assert invariants.check() == []


def test_a_capture_that_is_kept_goes_back_when_its_session_is_canceled(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop, "manual")
    payments.capture(shop.actor, shop.intent(session).id)
    service.next = [fails(OrderRefused("no"))]
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    assert not copies.allowed(session, shop.actor.tenant), "its money is not back"
    weak = replace(shop.actor, permissions=frozenset({"checkout:write"}))
    for cancel in (
        lambda: cancellation.cancel(weak, session.id, release_inventory=True),
        lambda: sessions.cancel(shop.actor, session.id),
    ):
        with pytest.raises(InvalidState) as refused:
            cancel()
        assert refused.value.code == "payment_not_returned"
        assert (shop.read(session).status, charges()) == ("failed", [("captured", 1620, 0)])
    canceled = cancellation.cancel(shop.actor, session.id, release_inventory=True)
    recover()
    assert (canceled.status, finalizations.run(session).status) == ("canceled", "undone")
    assert copies.copy(shop.actor, session.id).status == "created"
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 1620)], (100, 0, 0))
    again = cancellation.cancel(shop.actor, session.id, release_inventory=True)
    assert (again.status, rollback.roll_back(shop.actor, session.id)[1].status) == ("canceled", "undone")
    assert invariants.check() == []


def test_what_a_sale_took_comes_back_though_its_payment_was_refunded_by_hand(
    shop: Shop, service: OrderService
) -> None:
    catalogue.gift_card(shop, balance=500)
    session = shop.session(hosted=False, options={"capture_mode": "manual"})
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    shop.pay(session)
    payments.capture(shop.actor, shop.intent(session).id)
    service.next = [fails(OrderRefused("no"))]
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id).id)
    assert cancellation.cancel(shop.actor, session.id, release_inventory=True).status == "canceled"
    recover()
    assert (finalizations.run(session).status, shop.left("MUG")) == ("undone", (100, 0, 0))
    assert catalogue.on_card(shop) == (500, 0)
    assert invariants.check() == []


@pytest.mark.parametrize("captured", [False, True])
def test_a_payment_that_ends_before_the_first_step_is_no_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, captured: bool
) -> None:
    """The process dies once the rollback is written; the gateway's answer comes before the job."""
    session = ready(shop, "manual")
    if captured:
        capture = gateway.capture

        def lost(attempt: Attempt) -> base.Unknown:
            capture(attempt)
            return base.Unknown("time-out")

        with monkeypatch.context() as patch:
            patch.setattr(gateway, "capture", lost)
            with pytest.raises(FinalizationInProgress):
                finalization.finalize(shop.actor, session.id)
    with monkeypatch.context() as patch:
        patch.setattr(rollback, "go_on", lambda *_: None)
        rollback.roll_back(shop.actor, session.id)
    attempt_id = shop.attempts(session)[0].id
    payment.look_again(attempt_id, "webhook")
    with later(20):
        payment.sweep()
    recover()
    assert finalizations.run(session).status == "undone"
    assert shop.read(session).status == "failed"
    assert charges() in ([("captured", 1620, 1620)], [("voided", 0, 0)])
    assert shop.left("MUG") == (100, 0, 0)
    assert alerts.counts(shop.actor) == {}


def test_a_part_whose_capture_is_refused_breaks_the_run_off(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    assert paid.confirm().status == "requires_capture"
    capture = gateway.capture

    def second_refused(attempt: Attempt) -> object:
        if attempt.amount == 620:
            return base.Declined("capture_refused")
        return capture(attempt)

    monkeypatch.setattr(gateway, "capture", second_refused)
    with pytest.raises(FinalizationFailed) as refused:
        finalization.finalize(shop.actor, paid.session.id)
    assert refused.value.reasons[0]["code"] == "capture_failed"
    recover()
    assert finalizations.run(paid.session).status == "undone"
    assert (paid.read().status, paid.whole.status) == ("failed", "canceled")
    assert sorted(charges()) == [("captured", 1000, 1000), ("voided", 0, 0)]
    assert shop.left("MUG") == (100, 0, 0)
    assert invariants.check() == []


def test_a_part_whose_refund_fails_is_refunded_when_it_is_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = Paid(shop)
    paid.confirm()
    finalization.finalize(shop.actor, paid.session.id)
    refund = gateway.refund

    def second_refused(item: Refund, attempt: Attempt) -> object:
        return base.Declined("insufficient_balance") if item.amount == 620 else refund(item, attempt)

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "refund", second_refused)
        rollback.roll_back(shop.actor, paid.session.id)
        recover()
    assert finalizations.run(paid.session).status == "undo_failed"
    rollback.roll_back(shop.actor, paid.session.id)
    recover()
    assert finalizations.run(paid.session).status == "undone"
    assert sorted(charges()) == [("captured", 620, 620), ("captured", 1000, 1000)]


def test_a_refund_that_is_refused_later_is_not_made_again_by_itself(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    refund = gateway.refund
    monkeypatch.setattr(gateway, "refund", lambda item, attempt: base.Pending("re_1"))
    monkeypatch.setattr(gateway, "find_refund", lambda item, attempt: base.Declined("account_closed"))
    assert rollback.roll_back(shop.actor, session.id)[1].status == "undoing"
    recover()
    intent_id = shop.intent(session).id
    assert [row.status for row in refunds.of_intent(shop.actor, intent_id)] == ["failed"]
    assert finalizations.run(session).status == "undo_failed"
    assert alerts.counts(shop.actor) == {"checkout.rollback_failed": 1}
    monkeypatch.setattr(gateway, "refund", refund)
    assert rollback.roll_back(shop.actor, session.id)[1].status == "undone"
    assert [row.status for row in refunds.of_intent(shop.actor, intent_id)] == ["failed", "succeeded"]
    assert charges() == [("captured", 1620, 1620)]


def test_the_sale_that_stands_is_undone_and_not_a_run_before_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was over when its session was resolved and sold without another."""
    session = shop.session(options={"capture_mode": "manual"})
    shop.pay(session)
    capture = gateway.capture

    def sold_out(attempt: Attempt) -> object:
        with transaction() as db:
            reservations.release(db, db.merge(shop.read(session)), shop.actor.tenant, cause="test")
            db.query(StockItem).update({"on_hand": 0})
        return capture(attempt)

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "capture", sold_out)
        with pytest.raises(FinalizationFailed):
            finalization.finalize(shop.actor, session.id)
    recover()
    first = finalizations.run(session)
    assert (first.status, charges()) == ("failed", [("captured", 1620, 1620)])
    with transaction() as db:
        row = db.merge(shop.read(session))
        row.advance("resolved", cause="test", payment_intent_id=None, failure_reason=None)
        db.query(StockItem).update({"on_hand": 100})
    shop.pay(session, nonce="nonce-2")
    payments.capture(shop.actor, shop.intent(session).id)
    assert shop.read(session).status == "completed"
    after, run = rollback.roll_back(shop.actor, session.id)
    assert (after.status, run.status, steps(run)["order"]) == ("failed", "undone", "done")
    assert run.id != first.id
    assert charges() == [("captured", 1620, 1620)] * 2
    assert [status for _, status in orders(session)] == ["cancelled"]
    assert shop.left("MUG") == (100, 0, 0)


def test_an_order_that_cannot_be_taken_back_at_once_is_asked_for_again(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop)

    def undone_meanwhile() -> None:
        rollback.roll_back(shop.actor, session.id)
        service.next = [fails(OrdersUnavailable("away"))]

    service.next = [undone_meanwhile, lambda: None]
    with pytest.raises(InvalidState):
        finalization.finalize(shop.actor, session.id)
    run = finalizations.run(session)
    assert service.canceled == [(run.id, None), (run.id, "shop-1")]
    recover()
    assert service.canceled[2:] == [(run.id, "shop-1")]


def test_an_order_that_is_on_its_way_when_it_is_taken_back_calls_an_operator(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop)

    def undone_meanwhile() -> None:
        rollback.roll_back(shop.actor, session.id)
        service.next = [fails(OrderRefused("it is on its way"))]

    service.next = [undone_meanwhile, lambda: None]
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    assert "checkout.rollback_failed" in finalizations.told(shop, session)
    assert alerts.counts(shop.actor) == {"checkout.rollback_failed": 1}


def test_a_slow_process_takes_nothing_back_of_a_sale_that_another_completed(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop)

    def completed_by_another() -> None:
        assert handover.go_on(finalizations.run(session).id, "job")

    service.next = [completed_by_another]
    assert finalization.finalize(shop.actor, session.id).order_id == "shop-1"
    recover()
    assert (shop.read(session).status, service.canceled) == ("completed", [])
    assert [bool(row.voided_at) for row in finalizations.receipts(session)] == [False]


def test_an_order_of_ours_that_nobody_noted_is_canceled(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The billing is elsewhere, and the process dies between the order and the note of it."""
    elsewhere = BuiltinBilling()
    elsewhere.remote = True
    monkeypatch.setattr(registry, "billing", lambda tenant: elsewhere)
    session = ready(shop)

    def die(name: str) -> None:
        raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(handover, "failpoint", die)
        with pytest.raises(RuntimeError):
            finalization.finalize(shop.actor, session.id)
    assert [status for _, status in orders(session)] == ["paid"]
    after, run = rollback.roll_back(shop.actor, session.id)
    assert (after.status, run.status) == ("failed", "undone")
    assert [status for _, status in orders(session)] == ["cancelled"]


def test_what_a_merchant_captured_of_a_sale_that_ends_by_itself_is_kept(
    shop: Shop, service: OrderService
) -> None:
    session = shop.session(options={"capture_mode": "manual"})
    shop.pay(session)
    service.next = [fails(OrderRefused("no"))]
    payments.capture(shop.actor, shop.intent(session).id)
    recover()
    assert finalizations.run(session).status == "failed"
    assert charges() == [("captured", 1620, 0)]


def test_a_capture_is_answered_whatever_keeps_its_sale(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ready(shop, "manual")

    def away(*_: object, **__: object) -> None:
        raise ProviderUnavailable("pricing", "time-out")

    with monkeypatch.context() as patch:
        patch.setattr(totals, "calculate", away)
        done, after = finalization.capture_and_finalize(shop.actor, shop.intent(session).id)
    assert after is not None
    assert (done.status, after.status) == ("succeeded", "payment_processing")
    assert finalization.finalize(shop.actor, session.id).order_id is not None
    assert charges() == [("captured", 1620, 0)]


def test_a_job_that_was_given_up_tells_of_a_sale_that_came_about(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    job_id = finalization_jobs.enqueue(shop.actor, session.id)
    finalization.finalize(shop.actor, session.id)
    with transaction() as db:
        db.query(Job).filter_by(id=job_id).update({"status": "dead"})
    assert finalization_jobs.progress(shop.actor, job_id).status == "succeeded"


def test_a_refund_that_a_bank_sends_back_breaks_no_invariant(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    assert rollback.roll_back(shop.actor, session.id)[1].status == "undone"
    refund = refunds.of_intent(shop.actor, shop.intent(session).id)[0]
    monkeypatch.setattr(gateway, "find_refund", lambda item, attempt: base.Declined("account_closed"))
    refunds.send(refund.id)
    assert shop.intent(session).amount_refunded == 0
    rules = {violation.rule for violation in invariants.check()}
    assert "undone_is_undone" not in rules


def test_everybody_who_opens_a_promised_receipt_at_once_sees_it(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    sold = shop.read(session)
    got = together(8, lambda _: receipts.of_checkout(sold).id)
    assert set(got) == {sold.receipt_id}, got


def test_what_is_taken_back_late_is_not_the_receipt_of_the_next_sale(
    shop: Shop, service: OrderService, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.session()
    service.next = [lambda: rollback.roll_back(shop.actor, session.id) and None]
    shop.pay(session)
    first = finalizations.run(session)
    assert (first.status, shop.read(session).status) == ("undone", "failed")
    resolutions.resolve(shop.actor, session.id, Resolution(resolutions.REPLACE))
    monkeypatch.undo()
    assert shop.pay(session, nonce="nonce-2").status == "completed"
    receipts.issue_due()
    monkeypatch.setattr(registry, "orders", lambda tenant: service)
    handover.take_back(first.id)
    assert [bool(row.voided_at) for row in finalizations.receipts(session)] == [False]

"""CK-038: what was sold or broke off is undone step by step, once, and loudly where a step fails."""

from __future__ import annotations

import pytest

from app.connectors import base
from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidState, NotFound, PermissionDenied, VersionConflict
from app.domain.lifecycles import orders as order_lifecycle
from app.models.checkout.order import Order
from app.models.checkout.payment_link import PaymentLink
from app.models.payments.attempt import Attempt
from app.providers import registry
from app.providers.base import OrderRefused, OrdersUnavailable, ReceiptDraft, Scope
from app.providers.builtin.billing import BuiltinBilling
from app.services.checkout import finalization, links, payment, receipts, sessions
from app.services.checkout.prerequisites import FinalizationInProgress
from app.services.checkout.rollback import roll_back
from app.services.operations import alerts
from app.services.payments import gateway, refunds
from tests import finalizations
from tests.buyers import together
from tests.catalogue import coupon, uses
from tests.finalizations import OrderService, charges, fails, orders, ready, told
from tests.shops import CHALLENGED, Shop, card, later, make

pytestmark = pytest.mark.usefixtures("holds")

ALL_DONE = {
    "order": "done",
    "receipt": "done",
    "wallet": "nothing_to_do",
    "reservation": "done",
    "payment": "done",
}


def steps(run: finalizations.Finalization) -> dict[str, str]:
    return {step["step"]: step["status"] for step in run.steps}


def ship(session: finalizations.CheckoutSession) -> None:
    with transaction() as db:
        order = db.query(Order).filter_by(checkout_id=session.id).one()
        order.advance(order_lifecycle.Trigger.SHIPPED, cause="test")


@pytest.mark.parametrize("hosted", [False, True])
def test_a_sale_is_undone_step_by_step(shop: Shop, hosted: bool) -> None:
    session = shop.session() if hosted else ready(shop)
    if hosted:
        shop.pay(session)
        receipts.issue_due()
    else:
        finalization.finalize(shop.actor, session.id)
    after, run = roll_back(shop.actor, session.id)
    assert (run.status, steps(run)) == ("undone", ALL_DONE)
    assert (after.status, after.failure_reason) == ("failed", "rolled_back")
    assert [status for _, status in orders(session)] == ["cancelled"]
    assert charges() == [("captured", 1620, 1620)]
    assert shop.left("MUG") == (100, 0, 0)
    assert all(row.voided_at for row in finalizations.receipts(session))
    assert receipts.issue_due() == 0
    detail = {step["step"]: step["detail"] for step in run.steps}
    assert detail["payment"]["refunded"] == 1620
    assert detail["reservation"]["reservation_status"] == "returned"
    types = told(shop, session)
    assert {"finalization.undoing", "finalization.undone", "checkout.failed", "order.cancelled"} <= set(types)


def test_a_use_of_a_code_is_free_again(shop: Shop) -> None:
    coupon(shop, usage_limit=1)
    session = shop.session(promotion_codes=("SAVE10",))
    shop.pay(session)
    assert uses(shop) == (0, 1)
    together(4, lambda _: roll_back(shop.actor, session.id))
    assert uses(shop) == (0, 0)
    again = shop.session(promotion_codes=("SAVE10",))
    assert shop.pay(again).totals == session.totals
    assert uses(shop) == (0, 1)


def test_twice_it_answers_the_same_and_refunds_once(shop: Shop) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    got = together(8, lambda _: roll_back(shop.actor, session.id)[1].id)
    assert len(set(got)) == 1, got
    _, run = roll_back(shop.actor, session.id)
    assert steps(run) == ALL_DONE
    assert charges() == [("captured", 1620, 1620)]
    assert len(refunds.of_intent(shop.actor, shop.intent(session).id)) == 1
    assert told(shop, session).count("finalization.undone") == 1


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_a_payment_that_was_never_finalised_is_given_back(shop: Shop, mode: str) -> None:
    session = ready(shop, mode)
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status) == ("failed", "undone")
    undone = [("captured", 1620, 1620)] if mode == "auto" else [("voided", 0, 0)]
    assert (charges(), shop.left("MUG")) == (undone, (100, 0, 0))
    assert steps(run)["order"] == steps(run)["receipt"] == "nothing_to_do"


def test_nothing_to_undo_is_refused(shop: Shop) -> None:
    fresh, canceled, paying = shop.session(hosted=False), shop.session(), shop.session(hosted=False)
    sessions.cancel(shop.actor, canceled.id)
    shop.pay(paying, CHALLENGED)
    for session in (fresh, canceled, paying):
        with pytest.raises(InvalidState) as refused:
            roll_back(shop.actor, session.id)
        assert refused.value.code == "nothing_to_roll_back"
    with pytest.raises(NotFound):
        roll_back(make("Other shop").actor, fresh.id)


def test_what_is_shipped_stays_sold(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    ship(session)
    with pytest.raises(InvalidState) as refused:
        roll_back(shop.actor, session.id)
    assert refused.value.code == "order_shipped"
    assert (shop.read(session).status, charges()) == ("completed", [("captured", 1620, 0)])


def test_money_goes_back_only_for_who_may_refund(shop: Shop) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    clerk = Actor(
        kind=shop.actor.kind,
        id="key",
        tenant=shop.actor.tenant,
        mode=shop.actor.mode,
        permissions=frozenset({"checkout:write"}),
    )
    with pytest.raises(PermissionDenied):
        roll_back(clerk, session.id)
    assert shop.read(session).status == "completed"


def test_a_refund_that_fails_calls_an_operator_and_can_be_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    refund = gateway.refund
    monkeypatch.setattr(gateway, "refund", lambda item, attempt: base.Declined("insufficient_balance"))
    logged: list[str] = []
    monkeypatch.setattr(alerts.log, "error", lambda event, alert, **_: logged.append(alert), raising=False)
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status) == ("failed", "undo_failed")
    assert steps(run) == {**ALL_DONE, "payment": "failed"}
    assert "checkout.rollback_failed" in told(shop, session)
    assert alerts.counts(shop.actor) == {"checkout.rollback_failed": 1}
    assert logged == ["checkout.rollback_failed"]
    monkeypatch.setattr(gateway, "refund", refund)
    _, again = roll_back(shop.actor, session.id)
    assert (again.id, again.status, steps(again)) == (run.id, "undone", ALL_DONE)
    assert charges() == [("captured", 1620, 1620)]


def test_a_refund_under_way_is_asked_about_until_it_is_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    refund = gateway.refund

    def lost(item: object, attempt: object) -> base.Unknown:
        refund(item, attempt)  # type: ignore[arg-type]
        return base.Unknown("time-out")

    monkeypatch.setattr(gateway, "refund", lost)
    _, run = roll_back(shop.actor, session.id)
    assert (run.status, steps(run)["payment"]) == ("undoing", "pending")
    monkeypatch.setattr(gateway, "refund", refund)
    with later(31):
        refunds.sweep()
        finalizations.work()
        finalizations.work()
    assert finalizations.run(session).status == "undone"
    assert charges() == [("captured", 1620, 1620)]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> OrderService:
    """An Order Service elsewhere, which this merchant uses."""
    made = OrderService()
    monkeypatch.setattr(registry, "orders", lambda tenant: made)
    return made


def test_an_order_that_cannot_be_canceled_any_more_stops_it(shop: Shop, service: OrderService) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    service.next = [fails(OrderRefused("it is on its way"))]
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status) == ("completed", "undo_failed")
    assert set(steps(run).values()) == {"failed", "skipped"}
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 0)], (99, 0, 1))
    assert alerts.counts(shop.actor) == {"checkout.rollback_failed": 1}
    assert finalization.finalize(shop.actor, session.id).order_id == "shop-1"
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status) == ("failed", "undone")


def test_an_order_service_that_is_away_is_asked_again(shop: Shop, service: OrderService) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)
    service.next = [fails(OrdersUnavailable("away"))]
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status, steps(run)["payment"]) == ("completed", "undoing", "pending")
    with later(31):
        finalizations.work()
    assert finalizations.run(session).status == "undone"
    assert service.canceled[-1] == (run.id, "shop-1")


def test_a_use_of_a_payment_link_is_given_back(shop: Shop) -> None:
    link = links.create(shop.actor, links.LinkDraft(title="Mug", amount=1500, currency="GBP", usage_limit=1))
    session = links.pay(link.slug)
    payment.pay_by_card(shop.actor, session.id, card(finalizations.GOOD), payment.Order("nonce-1"))
    roll_back(shop.actor, session.id)
    with reading() as db:
        kept = db.get_one(PaymentLink, link.id)
        assert (kept.used, kept.held) == (0, 0)
    links.pay(link.slug)


def test_what_was_rolled_back_can_be_sold_again_after_it_is_resolved(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    receipts.issue_due()
    roll_back(shop.actor, session.id)
    with transaction() as db:
        row = db.merge(shop.read(session))
        row.advance("resolved", cause="test", payment_intent_id=None, failure_reason=None)
    paid = shop.pay(session, nonce="nonce-2")
    assert paid.status == "completed"
    receipts.issue_due()
    assert [status for _, status in orders(session)] == ["cancelled", "paid"]
    assert [bool(row.voided_at) for row in finalizations.receipts(session)] == [True, False]


def test_a_capture_whose_answer_is_lost_is_sent_back_once_it_is_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop, "manual")
    capture = gateway.capture

    def lost(attempt: Attempt) -> base.Unknown:
        capture(attempt)
        return base.Unknown("time-out")

    monkeypatch.setattr(gateway, "capture", lost)
    with pytest.raises(FinalizationInProgress):
        finalization.finalize(shop.actor, session.id)
    monkeypatch.setattr(gateway, "capture", capture)
    after, run = roll_back(shop.actor, session.id)
    assert (after.status, run.status, steps(run)["payment"]) == ("failed", "undoing", "pending")
    for seconds in (31, 120, 300):
        with later(seconds):
            payment.sweep()
            refunds.sweep()
            finalizations.work()
    assert finalizations.run(session).status == "undone"
    assert (charges(), shop.read(session).status) == ([("captured", 1620, 1620)], "failed")


def test_somebody_else_being_quicker_is_no_failure(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ready(shop)
    finalization.finalize(shop.actor, session.id)

    def beaten(*_: object, **__: object) -> None:
        raise VersionConflict

    with monkeypatch.context() as patch:
        patch.setattr(refunds, "create", beaten)
        _, run = roll_back(shop.actor, session.id)
    assert (run.status, steps(run)["payment"]) == ("undoing", "pending")
    assert roll_back(shop.actor, session.id)[1].status == "undone"


def test_an_order_that_is_placed_while_its_sale_is_undone_is_canceled(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop)
    service.next = [lambda: roll_back(shop.actor, session.id) and None]
    with pytest.raises(InvalidState):
        finalization.finalize(shop.actor, session.id)
    run = finalizations.run(session)
    assert (shop.read(session).status, run.status) == ("failed", "undone")
    assert service.canceled == [(run.id, None), (run.id, "shop-1")]
    assert charges() == [("captured", 1620, 1620)]


def test_a_receipt_that_is_issued_while_its_sale_is_undone_is_void(
    shop: Shop, service: OrderService, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop)
    issue = BuiltinBilling.issue_receipt

    def issued(billing: BuiltinBilling, scope: Scope, draft: ReceiptDraft) -> str:
        roll_back(shop.actor, session.id)
        return issue(billing, scope, draft)

    monkeypatch.setattr(BuiltinBilling, "issue_receipt", issued)
    with pytest.raises(InvalidState):
        finalization.finalize(shop.actor, session.id)
    assert [bool(row.voided_at) for row in finalizations.receipts(session)] == [True]
    assert finalizations.run(session).status == "undone"

"""POST finalize's one routine: one order and one charge, whoever asks how often; refusals change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors import base
from app.connectors.sandbox import challenges
from app.db import transaction
from app.domain.actor import Actor, ActorKind
from app.domain.errors import DomainError, InvalidState, NotFound, PermissionDenied
from app.models.catalogue.stock import StockItem
from app.providers import registry
from app.providers.base import OrderRefused, OrdersUnavailable
from app.services.checkout import (
    details,
    finalization,
    holds,
    payment,
    payments,
    receipts,
    reservations,
    rollback,
    sessions,
)
from app.services.checkout.finalization import Finalized, finalize
from app.services.checkout.prerequisites import FinalizationFailed, FinalizationInProgress
from app.services.payments import gateway, intents, refunds
from tests import catalogue, finalizations
from tests.buyers import together
from tests.finalizations import OrderService, charges, fails, orders, ready, told
from tests.shops import CHALLENGED, NO_FUNDS, TIMES_OUT_AFTER, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")

LONDON = {"line1": "10 Downing St", "city": "London", "postal_code": "SW1A 2AA", "country": "GB"}


def codes(refused: Any) -> list[str]:
    assert isinstance(refused.value, FinalizationFailed)
    return [reason["code"] for reason in refused.value.reasons]


def test_a_captured_payment_becomes_an_order_with_its_receipt(shop: Shop) -> None:
    session = ready(shop)
    assert orders(session) == []
    done = finalize(shop.actor, session.id)
    now = shop.read(session)
    assert (done.order_id, done.receipt_id) == (now.order_id, now.receipt_id)
    assert now.status == "completed"
    assert orders(session) == [(done.order_id, "paid")]
    assert shop.left("MUG") == (99, 0, 1)
    assert charges() == [("captured", 1620, 0)]
    issued = finalizations.receipts(session)
    assert [(row.id, row.amount, row.order_id) for row in issued] == [(done.receipt_id, 1620, done.order_id)]
    assert issued[0].content["payment"]["last4"] == "4242"
    assert issued[0].content["seller"]["name"] == "Test shop"
    types = told(shop, session)
    assert types.count("checkout.completed") == types.count("checkout.session.completed") == 1


def test_again_it_answers_the_same_and_does_nothing(shop: Shop) -> None:
    session = ready(shop)
    first = finalize(shop.actor, session.id)
    before = told(shop, session)
    assert finalize(shop.actor, session.id, create_order=False) == first
    assert told(shop, session) == before


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_sixteen_at_once_make_one_order_and_one_charge(shop: Shop, mode: str) -> None:
    session = ready(shop, mode)
    got = together(16, lambda _: finalize(shop.actor, session.id))
    assert {type(one) for one in got} <= {Finalized, FinalizationInProgress}
    done = [one for one in got if isinstance(one, Finalized)]
    assert done
    assert len(set(done)) == 1
    assert orders(session) == [(done[0].order_id, "paid")]
    assert charges() == [("captured", 1620, 0)]
    assert len(finalizations.receipts(session)) == 1
    assert finalize(shop.actor, session.id) == done[0]


def test_money_that_is_held_is_captured_first_and_sold_in_the_same_transaction(shop: Shop) -> None:
    session = ready(shop, "manual")
    assert charges() == [("authorized", 0, 0)]
    done = finalize(shop.actor, session.id)
    assert charges() == [("captured", 1620, 0)]
    assert (shop.intent(session).status, shop.read(session).status) == ("succeeded", "completed")
    assert orders(session) == [(done.order_id, "paid")]
    types = told(shop, session)
    assert types.index("reservation.captured") < types.index("payment.succeeded")


def test_a_capture_by_the_merchant_leads_into_it(shop: Shop) -> None:
    session = ready(shop, "manual")
    payments.capture(shop.actor, shop.intent(session).id, 1000)
    finalize(shop.actor, session.id)
    assert charges() == [("captured", 1000, 0)]
    assert shop.read(session).status == "completed"
    assert finalizations.receipts(session)[0].amount == 1000


def test_a_hosted_session_answers_what_it_left_behind(shop: Shop) -> None:
    session = shop.session()
    paid = shop.pay(session)
    assert finalize(shop.actor, session.id).order_id == paid.order_id
    assert receipts.of_checkout(paid).id == paid.receipt_id
    assert receipts.issue_due() == 0


def test_the_worker_issues_what_hosted_sales_promised_once(shop: Shop) -> None:
    paid = [shop.pay(shop.session()) for _ in range(3)]
    assert finalizations.receipts(paid[0]) == []
    assert receipts.issue_due() == 3
    assert receipts.issue_due() == 0
    for session in paid:
        issued = finalizations.receipts(session)
        assert [(row.id, row.order_id) for row in issued] == [(session.receipt_id, session.order_id)]


def test_what_is_missing_is_named_all_at_once_and_nothing_changes(shop: Shop) -> None:
    catalogue.shipping(shop, "ship_1", 399, ["GB"])
    session = shop.session(hosted=False, options={"require_billing_address": True})
    details.set_shipping_address(shop.actor, session.id, LONDON)
    before = shop.read(session)
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["payment_required", "missing_billing_address", "missing_shipping_choice"]
    assert refused.value.code == "finalization_failed"
    assert refused.value.extra["status"] == "failed"
    now = shop.read(session)
    assert (now.status, now.version, now.calculation_id) == (
        before.status,
        before.version,
        before.calculation_id,
    )
    assert shop.left("MUG") == (100, 0, 0)


@pytest.mark.parametrize(
    ("number", "code"), [(NO_FUNDS, "payment_declined"), (CHALLENGED, "payment_action_required")]
)
def test_a_payment_that_is_not_there_is_named(shop: Shop, number: str, code: str) -> None:
    session = shop.session(hosted=False)
    before = shop.pay(session, number)
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == [code]
    assert shop.read(session).version == before.version


def test_another_total_than_was_authorised_is_refused(shop: Shop) -> None:
    session = ready(shop, "manual")
    catalogue.tax(shop, "20")
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert refused.value.code == "totals_changed"
    assert refused.value.explain is not None
    assert (refused.value.explain["authorized"], refused.value.explain["now"]) == (1620, 1800)
    now = shop.read(session)
    assert (now.status, now.grand_total) == ("payment_processing", 1620)
    assert charges() == [("authorized", 0, 0)]


def test_nothing_to_pay_needs_no_payment(shop: Shop) -> None:
    catalogue.coupon(shop, "FREE", 100)
    session = shop.session(hosted=False, promotion_codes=("FREE",))
    done = finalize(shop.actor, session.id)
    assert orders(session) == [(done.order_id, "paid")]
    assert (shop.read(session).status, shop.left("MUG")) == ("completed", (99, 0, 1))
    assert catalogue.uses(shop, "FREE") == (0, 1)
    assert finalizations.receipts(session)[0].amount == 0


def test_a_missing_reservation_is_made_and_a_shortfall_refused(shop: Shop) -> None:
    catalogue.coupon(shop, "FREE", 100)
    session = shop.session(hosted=False, promotion_codes=("FREE",), quantity=60)
    rival = shop.session(quantity=50)
    holds.reserve(shop.actor, rival.id)
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert (refused.value.code, codes(refused)) == ("inventory_shortfall", ["inventory_shortfall"])
    assert refused.value.reasons[0]["reason"] == "inventory"
    assert (shop.read(session).status, shop.left("MUG")) == ("created", (100, 50, 0))
    sessions.cancel(shop.actor, rival.id)
    finalize(shop.actor, session.id)
    assert shop.left("MUG") == (40, 0, 60)


def test_a_partial_hold_is_made_whole_first(shop: Shop) -> None:
    catalogue.coupon(shop, "FREE", 100)
    session = shop.session(hosted=False, promotion_codes=("FREE",), quantity=120)
    assert holds.reserve(shop.actor, session.id).partial
    with pytest.raises(FinalizationFailed):
        finalize(shop.actor, session.id)
    assert shop.left("MUG") == (100, 100, 0)
    with transaction() as db:
        db.query(StockItem).update({"on_hand": 200})
    finalize(shop.actor, session.id)
    assert shop.left("MUG") == (80, 0, 120)


def test_without_an_order_the_result_is_handed_over_as_an_event(shop: Shop) -> None:
    session = ready(shop)
    done = finalize(shop.actor, session.id, create_order=False)
    assert done.order_id is None
    assert orders(session) == []
    assert shop.read(session).status == "completed"
    assert [row.id for row in finalizations.receipts(session)] == [done.receipt_id]
    assert "checkout.completed" in told(shop, session)


def test_a_refunded_payment_buys_nothing(shop: Shop) -> None:
    session = ready(shop)
    refunds.send(refunds.create(shop.actor, shop.intent(session).id).id)
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["payment_refunded"]


def test_only_its_merchant_finalises_it_and_a_browser_says_nothing_of_the_order(shop: Shop) -> None:
    session, other = ready(shop), make("Other shop")
    with pytest.raises(NotFound):
        finalize(other.actor, session.id)
    browser = Actor(
        kind=ActorKind.CLIENT_TOKEN,
        id=session.id,
        tenant=shop.actor.tenant,
        mode=shop.actor.mode,
        session_id=session.id,
    )
    for order in ({"create_order": False}, {"order_service_hint": {"warehouse": 1}}):
        with pytest.raises(PermissionDenied):
            finalize(browser, session.id, **order)  # type: ignore[arg-type]
    assert finalize(browser, session.id).order_id is not None


def test_what_is_over_is_refused(shop: Shop) -> None:
    canceled, lapsed = shop.session(hosted=False), shop.session(hosted=False)
    sessions.cancel(shop.actor, canceled.id)
    with pytest.raises(InvalidState):
        finalize(shop.actor, canceled.id)
    with later(3601), pytest.raises(InvalidState):
        finalize(shop.actor, lapsed.id)


def test_a_capture_that_timed_out_goes_on_by_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ready(shop, "manual")
    capture = gateway.capture

    def lost(attempt: Any) -> Any:
        capture(attempt)
        return base.Unknown("time-out")

    monkeypatch.setattr(gateway, "capture", lost)
    with pytest.raises(FinalizationInProgress):
        finalize(shop.actor, session.id)
    monkeypatch.setattr(gateway, "capture", capture)
    assert shop.read(session).status == "payment_processing"
    with pytest.raises(FinalizationInProgress):
        finalize(shop.actor, session.id)
    with later(31):
        assert finalizations.work() == 1
    assert shop.read(session).status == "completed"
    assert charges() == [("captured", 1620, 0)]
    assert len(orders(session)) == 1


def test_a_refused_capture_fails_the_session_and_gives_everything_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop, "manual")
    monkeypatch.setattr(gateway, "capture", lambda attempt: base.Declined("capture_refused"))
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["capture_failed"]
    now = shop.read(session)
    assert (now.status, now.failure_reason) == ("failed", "payment_declined")
    assert finalizations.run(session).status == "undone"
    assert (charges(), shop.left("MUG")) == ([("voided", 0, 0)], (100, 0, 0))
    with pytest.raises(FinalizationFailed) as again:
        finalize(shop.actor, session.id)
    assert codes(again) == ["capture_failed"]
    assert "checkout.failed" in told(shop, session)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> OrderService:
    """An Order Service elsewhere, which this merchant uses."""
    made = OrderService()
    monkeypatch.setattr(registry, "orders", lambda tenant: made)
    return made


@pytest.mark.parametrize("mode", ["auto", "manual", "hosted"])
def test_an_order_service_elsewhere_is_told_with_nothing_open(
    shop: Shop, service: OrderService, mode: str
) -> None:
    if mode == "hosted":
        session = shop.session(metadata={"k": "v"})
        assert shop.pay(session).status == "completed"
    else:
        session = ready(shop, mode, metadata={"k": "v"})
        assert (
            finalize(shop.actor, session.id, order_service_hint={"warehouse": "north"}).order_id == "shop-1"
        )
        assert service.asked[0]["hint"] == {"warehouse": "north"}
    assert shop.read(session).order_id == "shop-1"
    assert orders(session) == []
    sent = service.asked[0]
    assert (sent["checkout_id"], sent["metadata"]) == (session.id, {"k": "v"})
    assert sent["totals"]["grand_total"] == 1620
    assert finalizations.receipts(session)[0].order_id == "shop-1"


def test_a_retry_sends_the_same_again_and_gets_the_same_order(shop: Shop, service: OrderService) -> None:
    session = ready(shop)
    service.next = [fails(OrdersUnavailable("time-out")), fails(OrdersUnavailable("500"))]
    with pytest.raises(FinalizationInProgress):
        finalize(shop.actor, session.id)
    assert shop.read(session).status == "payment_processing"
    assert shop.left("MUG") == (99, 0, 1)
    with transaction() as db:  # whatever changes meanwhile, the Order Service is not told
        db.merge(shop.read(session)).metadata_ = {"changed": True}
    with later(31):
        assert finalizations.work() == 1
    with later(40):
        assert finalizations.work() == 1
    assert shop.read(session).order_id == "shop-1"
    assert len(service.asked) == 3
    assert service.asked[0] == service.asked[1] == service.asked[2]
    assert service.orders == {finalizations.run(session).id: "shop-1"}


def test_an_order_that_is_refused_undoes_the_sale(shop: Shop, service: OrderService) -> None:
    session = ready(shop)
    service.next = [fails(OrderRefused("not deliverable"))]
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["order_refused"]
    assert (shop.read(session).status, shop.read(session).failure_reason) == ("failed", "validation")
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 1620)], (100, 0, 0))
    assert service.canceled == [(finalizations.run(session).id, None)]


def test_what_the_merchant_captured_is_kept_when_the_order_is_refused(
    shop: Shop, service: OrderService
) -> None:
    session = ready(shop, "manual")
    payments.capture(shop.actor, shop.intent(session).id)
    service.next = [fails(OrderRefused("no"))]
    with pytest.raises(FinalizationFailed):
        finalize(shop.actor, session.id)
    assert finalizations.run(session).status == "failed"
    assert charges() == [("captured", 1620, 0)]
    rollback.roll_back(shop.actor, session.id)
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 1620)], (100, 0, 0))


def test_a_free_sale_waits_for_the_order_service_without_expiring(shop: Shop, service: OrderService) -> None:
    catalogue.coupon(shop, "FREE", 100)
    session = shop.session(hosted=False, promotion_codes=("FREE",))
    service.next = [fails(OrdersUnavailable("away"))]
    with pytest.raises(FinalizationInProgress):
        finalize(shop.actor, session.id)
    with later(4000):
        assert sessions.expire_due() == 0
        finalizations.work()
    assert shop.read(session).order_id == "shop-1"


def test_the_pending_outcome_of_a_lost_authorisation_is_named(shop: Shop) -> None:
    session = shop.session(hosted=False)
    shop.pay(session, TIMES_OUT_AFTER)
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["payment_pending"]
    with later(60):
        payment.sweep()
    assert finalization.finalize(shop.actor, session.id).order_id is not None


def test_an_unknown_session_is_not_found(shop: Shop) -> None:
    with pytest.raises(DomainError) as refused:
        finalize(shop.actor, "chk_nobody")
    assert refused.value.code == "checkout_not_found"


def test_an_offline_payment_is_waited_for_until_the_gateway_confirms_it(shop: Shop) -> None:
    session = shop.session(hosted=False)
    payment.pay_by_redirect(shop.actor, session.id, "bank_transfer", payment.Order("nonce-1"))
    assert (shop.intent(session).status, shop.read(session).status) == ("processing", "payment_processing")
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["payment_pending"]
    action = shop.intent(session).next_action
    assert action is not None
    challenges.decide(str(action["url"]).rsplit("/", 1)[1], approve=True)
    payment.look_again(shop.attempts(session)[0].id, "webhook")
    assert finalize(shop.actor, session.id).order_id is not None
    assert charges() == [("captured", 1620, 0)]


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_finalizing_and_rolling_back_at_once_ends_in_one_of_the_two(shop: Shop, mode: str) -> None:
    session = ready(shop, mode)
    both = (finalize, rollback.roll_back)
    got = together(8, lambda number: both[number % 2](shop.actor, session.id))
    wrong = [one for one in got if isinstance(one, Exception) and not isinstance(one, DomainError)]
    assert wrong == []
    for seconds in (31, 120):
        with later(seconds):
            payment.sweep()
            refunds.sweep()
            finalizations.work()
    assert shop.read(session).status == "failed"
    assert finalizations.run(session).status == "undone"
    assert charges() in ([("captured", 1620, 1620)], [("voided", 0, 0)])
    assert shop.left("MUG") == (100, 0, 0)


@pytest.mark.parametrize("gone", [False, True])
def test_a_payment_that_settles_by_itself_is_sold_for_or_sent_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """As that of several parts does, which knows no checkout while it is captured."""
    session = ready(shop, "manual")

    def capture(actor: Actor, intent_id: str, nonce: str) -> None:
        intents.capture(actor, intent_id, nonce=nonce, flow=payment.FOLLOWED)
        if gone:
            with transaction() as db:
                reservations.release(db, db.merge(shop.read(session)), shop.actor.tenant, cause="test")
                db.query(StockItem).update({"on_hand": 0})

    monkeypatch.setattr(payments, "capture", capture)
    if not gone:
        done = finalize(shop.actor, session.id)
        assert orders(session) == [(done.order_id, "paid")]
        return
    with pytest.raises(FinalizationFailed) as refused:
        finalize(shop.actor, session.id)
    assert codes(refused) == ["inventory_shortfall"]
    assert (shop.read(session).status, shop.read(session).failure_reason) == ("failed", "inventory")
    assert charges() == [("captured", 1620, 1620)]


def test_a_capture_that_was_refused_before_is_no_refusal_of_this_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ready(shop, "manual")
    intent_id, attempt_id = shop.intent(session).id, shop.attempts(session)[0].id
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "capture", lambda attempt: base.Declined("capture_refused"))
        assert payments.capture(shop.actor, intent_id).last_error is not None
    with monkeypatch.context() as patch:  # a webhook comes between the run and its capture
        patch.setattr(payments, "capture", lambda *_, **__: payment.look_again(attempt_id, "webhook"))
        with pytest.raises(FinalizationInProgress):
            finalize(shop.actor, session.id)
    assert finalizations.run(session).status == "running"
    with later(31):
        finalizations.work()
    assert (shop.read(session).status, charges()) == ("completed", [("captured", 1620, 0)])

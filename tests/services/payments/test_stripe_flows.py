"""Whole payments over Stripe, through the services and on both databases, against the stand-in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import settings
from app.db import reading, transaction
from app.domain.errors import ServiceUnavailable, Unauthenticated
from app.kit.ids import new_id
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.models.events.provider_event import ProviderEvent
from app.models.ledger.posting import Posting
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.checkout import payment, payments
from app.services.events import inbound
from app.services.operations import inbound_secrets, jobs
from app.services.payments import attempts, dispute_evidence, disputes, intents, refund_notices, refunds
from app.services.payments.disputes import Filters
from app.services.payments.intents import IntentDraft
from app.worker.queue import run_job
from tests.shops import Shop, later
from tests.stripe_standin import StandIn

pytestmark = pytest.mark.usefixtures("holds")

HOUSE = "sk_test_of_the_house"
SECRET = "whsec_of_the_house"
CREATE = "POST /v1/payment_intents"


@dataclass
class StripeShop:
    """A shop whose payments go over the deployment's Stripe account."""

    shop: Shop
    standin: StandIn

    @property
    def book(self) -> Any:
        """What Stripe has."""
        return self.standin.account(HOUSE)

    def method(self, sample: str = "pm_card_visa") -> str:
        """A method whose token was made in Stripe's frames."""
        row = PaymentMethod(
            id=new_id("pm"),
            tenant_id=self.shop.actor.tenant_id,
            mode="test",
            type="card",
            connector="stripe",
            token=self.book.method(sample),
            brand="visa",
            last4="4242",
        )
        with transaction() as db:
            db.add(row)
            row.begin(cause="tests")
        return row.id

    def intent(self, sample: str = "pm_card_visa", mode: str = "auto") -> str:
        """A confirmed intent of 50.00."""
        draft = IntentDraft(5000, "GBP", capture_mode=mode, payment_method_id=self.method(sample))
        intent = intents.create(self.shop.actor, draft)
        intents.confirm(self.shop.actor, intent.id, nonce="n1")
        return intent.id

    def pay(
        self, session: CheckoutSession, sample: str = "pm_card_visa", nonce: str = "n1"
    ) -> CheckoutSession:
        """Pay a checkout."""
        order = payment.Order(nonce)
        return payment.pay_by_method(self.shop.actor, session.id, self.method(sample), order)

    def read(self, intent_id: str) -> PaymentIntent:
        return intents.get(self.shop.actor, intent_id)

    def attempt(self, intent_id: str) -> Attempt:
        """The latest attempt."""
        return attempts.of_intent(self.shop.actor, intent_id)[-1]

    def at_stripe(self, intent_id: str) -> Any:
        """The PaymentIntents that Stripe has for an intent's attempts."""
        keys = {a.gateway_key("authorize") for a in attempts.of_intent(self.shop.actor, intent_id)}
        made = [o for o in self.book.objects.values() if o["object"] == "payment_intent"]
        return [o for o in made if o["metadata"]["till_key"] in keys]

    def hears(self, kind: str, about: Any, event_id: str = "evt_1", secret: str = SECRET) -> bool:
        """Stripe sends an event, and the worker looks into it."""
        raw, headers = self.standin.event(kind, about, secret, event_id=event_id)
        fresh = inbound.receive(raw, headers)
        work()
        return fresh


def work() -> None:
    """Run what is due."""
    for job_id in jobs.due():
        run_job(job_id)


@pytest.fixture
def over(shop: Shop, standin: StandIn) -> StripeShop:
    house = {**settings.current().model_dump(), "stripe_secret_key": HOUSE, "stripe_webhook_secret": SECRET}
    settings.use(settings.load(**house))
    return StripeShop(shop, standin)


def posted(intent_id: str) -> int:
    """Postings of the captured amount in the ledger."""
    with reading() as db:
        return db.scalar(select(func.count()).select_from(Posting)) or 0


def test_a_payment_succeeds(over: StripeShop) -> None:
    intent_id = over.intent()
    intent, attempt = over.read(intent_id), over.attempt(intent_id)
    assert (intent.status, intent.amount_captured) == ("succeeded", 5000)
    [there] = over.at_stripe(intent_id)
    assert (attempt.connector, attempt.gateway_reference) == ("stripe", there["id"])
    assert (there["status"], there["amount_received"]) == ("succeeded", 5000)
    assert (attempt.cvv_result, attempt.risk_score) == ("pass", 17)
    assert posted(intent_id) > 0
    keys = {request.key for request in over.standin.requests if request.method == "POST"}
    assert keys == {f"authorize_{attempt.id}"}  # taken in one call


def test_a_repeated_confirm_asks_for_nothing_more(over: StripeShop) -> None:
    intent_id = over.intent()
    intents.confirm(over.shop.actor, intent_id, nonce="n1")
    assert len(over.standin.sent(CREATE)) == 1


def test_a_part_is_captured_by_hand(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    assert over.read(intent_id).status == "requires_capture"
    done = intents.capture(over.shop.actor, intent_id, 2000)
    assert (done.status, done.amount_captured) == ("succeeded", 2000)
    assert over.at_stripe(intent_id)[0]["amount_received"] == 2000


def test_what_is_captured_in_stripes_dashboard_is_captured(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    [there] = over.at_stripe(intent_id)
    over.book.capture(there, {"amount_to_capture": "2000"})
    assert over.hears("payment_intent.succeeded", there)
    intent = over.read(intent_id)
    assert (intent.status, intent.amount_captured) == ("succeeded", 2000)
    assert posted(intent_id) > 0


def test_what_was_captured_in_stripes_dashboard_is_no_refused_capture(over: StripeShop) -> None:
    """No event came; the merchant captures here what is captured there."""
    intent_id = over.intent(mode="manual")
    over.book.capture(over.at_stripe(intent_id)[0], {"amount_to_capture": "2000"})
    done = intents.capture(over.shop.actor, intent_id, 5000)
    assert (done.status, done.amount_captured) == ("succeeded", 2000)


def test_what_is_released_in_stripes_dashboard_is_released(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    [there] = over.at_stripe(intent_id)
    assert over.hears("payment_intent.amount_capturable_updated", there, "evt_1")
    assert over.read(intent_id).status == "requires_capture"
    over.book.cancel(there, {"cancellation_reason": "duplicate"})
    assert over.hears("payment_intent.canceled", there, "evt_2")
    assert over.read(intent_id).status == "canceled"


def test_a_cancel_releases_the_money(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    assert intents.cancel(over.shop.actor, intent_id, "user_cancel").status == "canceled"
    assert over.at_stripe(intent_id)[0]["status"] == "canceled"


def test_a_decline_and_then_another_card(over: StripeShop) -> None:
    session = over.shop.session()
    over.pay(session, "pm_card_visa_chargeDeclinedInsufficientFunds")
    error = over.shop.intent(session).last_error
    assert error is not None
    assert error["decline_code"] == "insufficient_funds"
    assert over.shop.attempts(session)[0].response_code == "51"
    assert over.pay(session, nonce="n2").status == "completed"
    assert over.shop.left("MUG") == (99, 0, 1)


def test_a_checkout_goes_through_three_ds(over: StripeShop) -> None:
    session = over.shop.session()
    over.pay(session, "pm_card_authenticationRequired")
    action = over.shop.intent(session).next_action
    assert action is not None
    [there] = over.at_stripe(over.shop.intent(session).id)
    assert action["url"] == there["next_action"]["redirect_to_url"]["url"]
    nonce = over.shop.attempts(session)[0].return_nonce
    assert there["next_action"]["redirect_to_url"]["return_url"].endswith(f"/return/{nonce}")
    payment.resume(nonce)
    assert over.shop.read(session).status == "payment_processing", "a return alone proves nothing"
    over.book.authenticate(there["id"], ok=True)
    payment.resume(nonce)
    assert over.shop.read(session).status == "completed"
    assert over.shop.attempts(session)[0].three_ds_result == "authenticated"
    payment.resume(nonce)
    assert over.shop.left("MUG") == (99, 0, 1)


def test_three_ds_fails_and_the_old_page_can_pay_nothing(over: StripeShop) -> None:
    session = over.shop.session()
    over.pay(session, "pm_card_authenticationRequired")
    [there] = over.at_stripe(over.shop.intent(session).id)
    over.book.authenticate(there["id"], ok=False)
    payment.resume(over.shop.attempts(session)[0].return_nonce)
    error = over.shop.intent(session).last_error
    assert error is not None
    assert error["decline_code"] == "authentication_failed"
    assert there["status"] == "canceled"
    assert over.pay(session, nonce="n2").status == "completed"


def test_the_shopper_never_comes_back(over: StripeShop) -> None:
    session = over.shop.session()
    over.pay(session, "pm_card_authenticationRequired")
    with later(15 * 60 + 30):
        payment.sweep()
    assert over.shop.attempts(session)[0].decline_code == "authentication_abandoned"
    assert over.at_stripe(over.shop.intent(session).id)[0]["status"] == "canceled"


def test_no_answer_and_the_money_was_there(over: StripeShop) -> None:
    over.standin.fail(CREATE, drop="after")
    session = over.shop.session()
    over.pay(session)
    assert over.shop.attempts(session)[0].status == "unknown"
    with later(40):
        payment.sweep()
    assert over.shop.read(session).status == "completed"
    assert len(over.standin.sent(CREATE)) == 1
    assert over.shop.left("MUG") == (99, 0, 1)


def test_no_answer_and_nothing_had_happened(over: StripeShop) -> None:
    over.standin.fail(CREATE, drop="before")
    intent_id = over.intent()
    with later(40):
        payment.sweep()
        assert over.attempt(intent_id).status == "unknown", "the call may still be on its way"
    with later(400):
        payment.sweep()
    assert over.attempt(intent_id).status == "not_found"
    assert over.read(intent_id).status == "requires_payment_method"
    assert over.at_stripe(intent_id) == []


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_capture_without_an_answer(over: StripeShop, drop: str) -> None:
    over.standin.fail("POST /v1/payment_intents/.*/capture", drop=drop)
    intent_id = over.intent(mode="manual")
    intents.capture(over.shop.actor, intent_id)
    assert over.attempt(intent_id).status == "capture_unknown"
    with later(40):
        payment.sweep()
    assert over.read(intent_id).status == "succeeded"
    assert over.at_stripe(intent_id)[0]["amount_received"] == 5000


def test_a_capture_that_broke_at_stripe_is_not_given_up_for_a_day(over: StripeShop) -> None:
    """Stripe repeats its 500 under the key; the payment's state keeps a capture under another from doubling."""
    broken = b'{"error": {"type": "api_error", "message": "something went wrong"}}'
    over.standin.fail("POST /v1/payment_intents/.*/capture", status=500, body=broken, kept=True)
    intent_id = over.intent(mode="manual")
    intents.capture(over.shop.actor, intent_id)
    assert over.attempt(intent_id).status == "capture_unknown"
    with later(40):
        payment.sweep()
    assert over.read(intent_id).status == "succeeded"
    assert over.at_stripe(intent_id)[0]["amount_received"] == 5000


def test_another_amount_is_quarantined(over: StripeShop) -> None:
    intent_id = over.intent("pm_card_wrong_amount")
    assert over.read(intent_id).needs_review
    assert over.read(intent_id).status == "processing"
    assert over.standin.sent("POST /v1/payment_intents/.*/capture") == []


def test_a_refund_goes_out_once(over: StripeShop) -> None:
    intent_id = over.intent()
    refund = refunds.create(over.shop.actor, intent_id, 1200, "customer_request")
    work()
    assert refunds.get(over.shop.actor, refund.id).status == "succeeded"
    made = [o for o in over.book.objects.values() if o["object"] == "refund"]
    assert [(o["amount"], o["reason"]) for o in made] == [(1200, "requested_by_customer")]
    assert over.standin.sent("POST /v1/refunds")[0].key == f"refund_{refund.id}"


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_refund_without_an_answer_is_found_or_sent_again(over: StripeShop, drop: str) -> None:
    intent_id = over.intent()
    over.standin.fail("POST /v1/refunds", drop=drop)
    refund = refunds.create(over.shop.actor, intent_id, 1200)
    work()
    assert refunds.get(over.shop.actor, refund.id).status == "processing"
    with later(60):
        refunds.sweep()
    assert refunds.get(over.shop.actor, refund.id).status == "succeeded"
    assert len([o for o in over.book.objects.values() if o["object"] == "refund"]) == 1


def test_a_refund_that_the_bank_returns_is_told_by_an_event(over: StripeShop) -> None:
    intent_id = over.intent()
    refund = refunds.create(over.shop.actor, intent_id, 1200)
    work()
    [made] = [o for o in over.book.objects.values() if o["object"] == "refund"]
    made |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    assert over.hears("refund.failed", made)
    found = refunds.get(over.shop.actor, refund.id)
    assert (found.status, found.failure_reason) == ("failed", "expired_or_canceled_card")
    assert over.read(intent_id).amount_refunded == 0


def test_a_payment_on_stripes_page(over: StripeShop) -> None:
    session = over.shop.session()
    payment.pay_by_redirect(over.shop.actor, session.id, "card", payment.Order("n1"))
    [attempt] = over.shop.attempts(session)
    assert attempt.gateway_reference is not None
    assert attempt.gateway_reference.startswith("cs_")
    action = over.shop.intent(session).next_action
    assert action is not None
    assert action["url"] == f"{over.standin.url}/c/pay/{attempt.gateway_reference}"
    there = over.book.pay_session(attempt.gateway_reference)
    assert over.hears("checkout.session.completed", over.book.objects[attempt.gateway_reference])
    assert over.shop.read(session).status == "completed"
    assert over.shop.attempts(session)[0].gateway_reference == there["id"]
    assert there["status"] == "succeeded"


def test_a_cancel_while_the_shopper_is_on_stripes_page(over: StripeShop) -> None:
    session = over.shop.session()
    payment.pay_by_redirect(over.shop.actor, session.id, "card", payment.Order("n1"))
    payments.cancel(over.shop.actor, over.shop.intent(session).id, "user_cancel")
    assert over.shop.intent(session).status == "canceled"
    [there] = [o for o in over.book.objects.values() if o["object"] == "checkout.session"]
    assert there["status"] == "expired"


def test_events_out_of_order_twice_and_lying_change_nothing(over: StripeShop) -> None:
    session = over.shop.session()
    over.pay(session, "pm_card_authenticationRequired")
    [there] = over.at_stripe(over.shop.intent(session).id)
    lie = {**there, "status": "succeeded", "amount_received": 1}
    assert over.hears("payment_intent.succeeded", lie, "evt_early")
    assert over.shop.read(session).status == "payment_processing"
    over.book.authenticate(there["id"], ok=True)
    assert over.hears("payment_intent.amount_capturable_updated", there, "evt_2")
    assert over.shop.read(session).status == "completed"
    assert not over.hears("payment_intent.amount_capturable_updated", there, "evt_2")
    assert over.hears("payment_intent.requires_action", there, "evt_1")
    assert over.shop.read(session).status == "completed"
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(ProviderEvent)) == 3


def test_a_dispute_is_told_answered_and_won(over: StripeShop) -> None:
    intent_id = over.intent()
    made = over.book.dispute(over.at_stripe(intent_id)[0]["id"], "product_not_received")
    assert over.hears("charge.dispute.created", made)
    [dispute] = disputes.list_page(over.shop.actor, Filters()).data
    assert (dispute.connector, dispute.gateway_reference, dispute.status) == (
        "stripe",
        made["id"],
        "needs_response",
    )
    assert (dispute.amount, dispute.fee, dispute.reason_code) == (5000, 1500, "product_not_received")
    assert over.read(intent_id).amount_disputed == 5000
    dispute_evidence.submit(over.shop.actor, dispute.id, [], "winning_evidence")
    assert disputes.get(over.shop.actor, dispute.id).status == "under_review"
    with later(60):
        assert over.hears("charge.dispute.closed", made, "evt_2")
    assert disputes.get(over.shop.actor, dispute.id).status == "won"
    assert over.read(intent_id).amount_disputed == 0


def test_money_that_comes_after_all_is_released(over: StripeShop) -> None:
    """The call arrived when everybody had given it up; the event brings it to light."""
    over.standin.fail(CREATE, drop="before")
    intent_id = over.intent()
    for seconds in (40, 400):
        with later(seconds):
            payment.sweep()
    attempt = over.attempt(intent_id)
    assert attempt.status == "not_found"
    metadata = {
        "till_key": attempt.gateway_key("authorize"),
        "till_tenant": attempt.tenant_id,
        "till_mode": "test",
    }
    there = over.book.intent(5000, "gbp", {"capture_method": "manual", "metadata": metadata})
    over.book._hold(there, "pass")
    assert over.hears("payment_intent.amount_capturable_updated", there)
    assert there["status"] == "canceled"
    with reading() as db:
        undone = select(JournalEntry).where(JournalEntry.type == "payment.late_success_undone")
        assert len(db.scalars(undone).all()) == 1


def test_events_of_other_business_on_the_same_account_are_acknowledged(over: StripeShop) -> None:
    other = {"id": "pi_other", "object": "payment_intent", "metadata": {}}
    assert not over.hears("payment_intent.succeeded", other)
    raw, headers = over.standin.event("payment_intent.succeeded", other, "whsec_of_a_stranger")
    with pytest.raises(Unauthenticated):
        inbound.receive(raw, headers)
    own = inbound_secrets.find(over.shop.actor.tenant_id, "stripe")
    assert own is not None
    raw, headers = over.standin.event("payment_intent.succeeded", other, own)
    assert inbound.receive(raw, headers, tenant_id=over.shop.actor.tenant_id) is False
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(ProviderEvent)) == 0


def test_the_gateway_endpoint_takes_stripes_events(over: StripeShop, client: FlaskClient) -> None:
    intent_id = over.intent()
    [there] = over.at_stripe(intent_id)
    raw, headers = over.standin.event("payment_intent.succeeded", there, SECRET)
    where = "/v1/payments/webhook/gateway"
    for _ in range(2):
        answer = client.post(where, data=raw, headers=headers)
        assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    earlier, signed = over.standin.event(
        "payment_intent.amount_capturable_updated",
        {**there, "status": "requires_capture"},
        SECRET,
        event_id="evt_0",
    )
    assert client.post(where, data=earlier, headers=signed).status_code == 200
    work()
    assert intents.get(over.shop.actor, intent_id).status == "succeeded"
    forged = client.post(where, data=raw + b" ", headers=headers)
    assert forged.status_code == 401
    with reading() as db:
        stored, _ = db.scalars(select(ProviderEvent).order_by(ProviderEvent.id))
    assert (stored.provider, stored.event_id) == ("stripe", "evt_1")
    assert there["client_secret"] not in str(stored.payload)


def test_nothing_of_stripes_secrets_is_kept(over: StripeShop) -> None:
    over.intent("pm_card_authenticationRequiredSdk")
    with reading() as db:
        journal = " ".join(str(vars(entry)) for entry in db.scalars(select(JournalEntry)))
    assert HOUSE not in journal
    assert "_secret_" not in journal


def refund_in_dashboard(over: StripeShop, intent_id: str, amount: int, **more: Any) -> Any:
    """The merchant refunds at Stripe; Till is told of it by an event, if at all."""
    [there] = over.at_stripe(intent_id)
    made = over.book.create_refund({"payment_intent": there["id"], "amount": str(amount)})
    made |= more
    return made


def booked(over: StripeShop, intent_id: str) -> list[tuple[str, int, str | None]]:
    """The refunds of a payment in our books, oldest first."""
    rows = refunds.of_intent(over.shop.actor, intent_id)
    return [(row.status, row.amount, row.gateway_reference) for row in rows]


def test_refunds_made_in_stripes_dashboard_are_taken_in_once(over: StripeShop) -> None:
    intent_id = over.intent()
    mine = refunds.create(over.shop.actor, intent_id, 500)
    work()
    charge = over.book.objects[over.at_stripe(intent_id)[0]["latest_charge"]]
    first, second = (refund_in_dashboard(over, intent_id, amount) for amount in (1200, 300))
    assert over.hears("refund.created", first, "evt_1")
    assert over.hears("charge.refunded", charge, "evt_2")
    assert not over.hears("charge.refunded", charge, "evt_2")
    assert over.hears("refund.updated", second, "evt_3")
    expected = [
        ("succeeded", 500, refunds.get(over.shop.actor, mine.id).gateway_reference),
        ("succeeded", 1200, first["id"]),
        ("succeeded", 300, second["id"]),
    ]
    assert booked(over, intent_id) == expected
    intent = over.read(intent_id)
    assert (intent.amount_refunded, intent.amount_refunding, intent.needs_review) == (2000, 2000, False)
    with reading() as db:
        told = select(JournalEntry.type).where(JournalEntry.entity == "refund")
        assert list(db.scalars(told)).count("refund.succeeded") == 3
    with later(120):
        refunds.sweep()
    assert booked(over, intent_id) == expected
    assert len(over.standin.sent("POST /v1/refunds")) == 1, "nothing goes back a second time"
    second |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    assert over.hears("refund.failed", second, "evt_4")
    assert over.read(intent_id).amount_refunded == 1700
    assert over.hears("refund.updated", second, "evt_5"), "Stripe tells of it once more"
    third = refund_in_dashboard(over, intent_id, 250)
    assert over.hears("refund.created", third, "evt_6")
    assert [row[:2] for row in booked(over, intent_id)[2:]] == [("failed", 300), ("succeeded", 250)]


def test_a_dashboards_refund_that_is_on_its_way_is_only_asked_about(over: StripeShop) -> None:
    intent_id = over.intent()
    made = refund_in_dashboard(over, intent_id, 5000, status="pending")
    assert over.hears("refund.created", made)
    assert booked(over, intent_id) == [("processing", 5000, made["id"])]
    with later(60):
        refunds.sweep()
    assert booked(over, intent_id) == [("processing", 5000, made["id"])]
    made["status"] = "succeeded"
    with later(600):
        refunds.sweep()
    assert booked(over, intent_id) == [("succeeded", 5000, made["id"])]
    assert over.standin.sent("POST /v1/refunds") == []


def test_more_than_can_have_gone_back_calls_a_person(over: StripeShop) -> None:
    """Ours of 4,000 is on its way here, and another of 2,000 is made at Stripe."""
    intent_id = over.intent()
    refunds.create(over.shop.actor, intent_id, 4000)
    made = refund_in_dashboard(over, intent_id, 2000)
    raw, headers = over.standin.event("refund.created", made, SECRET)
    assert inbound.receive(raw, headers)
    attempt_id = over.attempt(intent_id).id
    for _ in range(2):
        refund_notices.look_again(attempt_id)
    intent = over.read(intent_id)
    assert (intent.amount_refunding, intent.needs_review) == (4000, True)
    with reading() as db:
        told = select(JournalEntry).where(JournalEntry.type == "payment.needs_review")
        assert len(db.scalars(told).all()) == 1
    work()  # Stripe refuses ours, there is room for theirs, and somebody looks
    work()
    assert sorted(row[:2] for row in booked(over, intent_id)) == [("failed", 4000), ("succeeded", 2000)]
    assert over.read(intent_id).amount_refunded == 2000


def test_a_refund_of_what_is_not_in_the_books_yet_is_looked_for_again(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    with pytest.raises(ServiceUnavailable, match="not in the books"):
        refund_notices.look_again(over.attempt(intent_id).id)
    intents.cancel(over.shop.actor, intent_id, "user_cancel")
    refund_notices.look_again(over.attempt(intent_id).id)
    assert booked(over, intent_id) == []


def test_what_a_capture_in_part_releases_is_no_refund(over: StripeShop) -> None:
    intent_id = over.intent(mode="manual")
    intents.capture(over.shop.actor, intent_id, 2000)
    charge = over.book.objects[over.at_stripe(intent_id)[0]["latest_charge"]]
    assert charge["amount_refunded"] == 3000
    assert over.hears("charge.refunded", charge)
    assert booked(over, intent_id) == []
    made = refund_in_dashboard(over, intent_id, 2000)
    threads = [
        threading.Thread(target=refund_notices.look_again, args=(over.attempt(intent_id).id,))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert booked(over, intent_id) == [("succeeded", 2000, made["id"])]

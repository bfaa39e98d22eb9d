"""MR-009 over HTTP: Stripe's own signature on the raw body, each event once, and what it brings about."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import settings
from app.db import reading
from app.models.checkout.session import CheckoutSession
from app.models.events.provider_event import ProviderEvent
from app.services.checkout import merchant_sessions, payment, sessions
from app.services.checkout.merchant_sessions import ReferenceDraft
from app.services.operations import inbound_secrets
from app.services.payments import refunds
from tests.buyers import together
from tests.disputes import work
from tests.shops import Shop, later
from tests.stripe_standin import StandIn

URL = "/api/webhooks/stripe"
HOUSE, SECRET = "sk_test_of_the_house", "whsec_of_the_house"
RECEIVED = {"received": True}

pytestmark = pytest.mark.usefixtures("holds", "unlimited")


@pytest.fixture
def standin(standin: StandIn) -> StandIn:
    """Stripe, as this deployment's own account."""
    house = {**settings.current().model_dump(), "stripe_secret_key": HOUSE, "stripe_webhook_secret": SECRET}
    settings.use(settings.load(**house))
    return standin


def send(
    client: FlaskClient, raw: bytes, secret: str = SECRET, at: str = URL, **headers: str
) -> TestResponse:
    """Post a body as Stripe signs it."""
    header = stripe.WebhookSignature.generate_signature_header(raw.decode(), secret)
    return client.post(at, data=raw, headers={"Stripe-Signature": header, **headers})


def event(kind: str, about: Any, event_id: str = "evt_1") -> bytes:
    """An event, indented as Stripe's are: the signature is over these very bytes."""
    shape = {
        "id": event_id,
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": 1764132000,
        "livemode": False,
        "pending_webhooks": 1,
        "type": kind,
        "data": {"object": {name: value for name, value in about.items() if not name.startswith("_")}},
    }
    return json.dumps(shape, indent=2).encode()


def on_stripes_page(shop: Shop, standin: StandIn) -> tuple[CheckoutSession, Any]:
    """A session of this surface whose payer is on Stripe's page, and what Stripe has of it."""
    session = merchant_sessions.create(shop.actor, ReferenceDraft(10000, "USD", "order_1"))
    payment.pay_by_redirect(shop.actor, session.id, "card", payment.Order("n1"))
    [attempt] = shop.attempts(session)
    assert attempt.gateway_reference is not None
    return session, standin.account(HOUSE).objects[attempt.gateway_reference]


def word(client: FlaskClient, shop: Shop, session: CheckoutSession) -> str:
    """The session's status as this surface says it."""
    url = f"/api/v1/checkout/sessions/{session.public_id}"
    return str(client.get(url, headers=shop.bearer).json["status"])


def kept() -> list[ProviderEvent]:
    with reading() as db:
        return list(db.scalars(select(ProviderEvent).order_by(ProviderEvent.id)))


def test_a_completed_session_is_completed_once(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    session, there = on_stripes_page(shop, standin)
    standin.account(HOUSE).pay_session(there["id"])
    raw = event("checkout.session.completed", there)
    for _ in range(2):
        answer = send(client, raw)
        assert (answer.status_code, answer.json) == (200, RECEIVED)
        work()
    assert word(client, shop, session) == "completed"
    [row] = kept()
    assert (row.provider, row.event_id, row.type) == ("stripe", "evt_1", "checkout.session.completed")
    assert row.processed_at is not None
    assert shop.intent(session).amount_captured == 10000


def test_sixteen_of_one_event_have_one_effect(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    session, there = on_stripes_page(shop, standin)
    standin.account(HOUSE).pay_session(there["id"])
    raw, app = event("checkout.session.completed", there), client.application
    answers = together(16, lambda _: send(app.test_client(), raw).status_code)
    assert answers == [200] * 16
    work()
    assert len(kept()) == 1
    assert word(client, shop, session) == "completed"


def test_an_expired_session_is_expired(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    session, there = on_stripes_page(shop, standin)
    with later(34 * 60):  # Stripe's page outlives ours by three minutes
        standin.account(HOUSE).expire_session(there)
        assert word(client, shop, session) == "pending", "the payer may have paid at the last moment"
        assert send(client, event("checkout.session.expired", there)).json == RECEIVED
        work()
        assert word(client, shop, session) == "expired"
        sessions.expire_due()
    assert shop.read(session).cancel_reason == "expired"
    assert shop.intent(session).status == "canceled"


def test_payments_follow_their_events(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    for number, kind in enumerate(("payment_intent.payment_failed", "payment_intent.failed")):
        session, there = on_stripes_page(shop, standin)
        standin.account(HOUSE).expire_session(there)
        assert send(client, event(kind, there, f"evt_f{number}")).json == RECEIVED
        work()
        assert shop.intent(session).status == "requires_payment_method"
    session, there = on_stripes_page(shop, standin)
    intent = standin.account(HOUSE).pay_session(there["id"])
    assert send(client, event("payment_intent.succeeded", intent, "evt_s")).json == RECEIVED
    work()
    assert shop.intent(session).status == "succeeded"


def test_a_refunded_charge_makes_its_refund_succeed(
    client: FlaskClient, shop: Shop, standin: StandIn
) -> None:
    session, there = on_stripes_page(shop, standin)
    intent = standin.account(HOUSE).pay_session(there["id"])
    send(client, event("checkout.session.completed", there))
    work()
    refund = refunds.create(shop.actor, shop.intent(session).id, 4000)
    standin.fail("POST /v1/refunds", drop="after")
    work()
    assert refunds.get(shop.actor, refund.id).status == "processing"
    charge = standin.account(HOUSE).objects[intent["latest_charge"]]
    for event_id in ("evt_2", "evt_3"):
        assert send(client, event("charge.refunded", charge, event_id)).json == RECEIVED
        work()
    found = refunds.get(shop.actor, refund.id)
    assert found.status == "succeeded"
    assert str(found.gateway_reference).startswith("re_")
    assert shop.intent(session).amount_refunded == 4000
    assert [row.processed_at is not None for row in kept()] == [True] * 3


def test_a_bad_signature_is_400_and_keeps_nothing(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    _, there = on_stripes_page(shop, standin)
    raw = event("checkout.session.completed", there)
    good = stripe.WebhookSignature.generate_signature_header(raw.decode(), SECRET)
    old = stripe.WebhookSignature.generate_signature_header(raw.decode(), SECRET, 1700000000)
    compact = json.dumps(json.loads(raw)).encode()
    for body, header in (
        (compact, good),
        (raw, old),
        (raw, good.replace("v1=", "v0=")),
        (raw, "t=xxx,v1=yyy"),
        (raw, ""),
        (b"", good),
        (b"\xff", good),
    ):
        answer = client.post(URL, data=body, headers={"Stripe-Signature": header} if header else {})
        assert answer.status_code == 400
        assert answer.json == {"error": "The signature is not valid", "code": "INVALID_SIGNATURE"}
    assert client.post(URL, data=raw, headers={"X-Webhook-Signature": good}).status_code == 400
    assert send(client, raw, "whsec_of_somebody_else").status_code == 400
    assert client.post(URL, data=b"x" * (256 * 1024 + 1)).status_code == 413
    assert kept() == []
    assert send(client, raw).json == RECEIVED


def trigger(event_id: str, kind: str = "checkout.session.completed") -> bytes:
    """What `stripe trigger` sends: an object of a fixture's, with nothing of ours on it."""
    about = {
        "id": "cs_test_a1", "object": "checkout.session", "amount_total": 3000, "currency": "usd",
        "metadata": {}, "mode": "payment", "payment_intent": "pi_3S", "payment_status": "paid",
        "status": "complete", "success_url": "https://httpbin.org/post",
    }  # fmt: skip
    return event(kind, about, event_id)


def test_what_stripe_trigger_sends_is_acknowledged(client: FlaskClient, shop: Shop, standin: StandIn) -> None:
    for number, kind in enumerate(("checkout.session.completed", "charge.refunded", "customer.created")):
        answer = send(client, trigger(f"evt_t{number}", kind))
        assert (answer.status_code, answer.json) == (200, RECEIVED)
    own = inbound_secrets.find(shop.actor.tenant_id, "stripe")
    assert own is not None
    assert send(client, trigger("evt_4"), own).status_code == 400, "whose is it?"
    for name in (shop.actor.tenant.slug, shop.actor.tenant_id, shop.actor.tenant.public_id):
        assert send(client, trigger("evt_4"), own, f"{URL}?tenant={name}").json == RECEIVED
        assert send(client, trigger("evt_4"), own, **{"X-Tenant": name}).json == RECEIVED
    assert send(client, trigger("evt_4"), own, f"{URL}?tenant=nobody").status_code == 400
    assert kept() == []

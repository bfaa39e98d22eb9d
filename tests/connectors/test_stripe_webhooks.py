"""Stripe's events: whose they are, what verifies them, and what is kept of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import stripe as library

from app import settings
from app.connectors import base
from app.connectors.subjects import EventSubject
from tests.connectors.conftest import Caller, fresh_key

SECRET = "whsec_of_the_merchant"


@pytest.fixture
def key() -> str:
    return fresh_key("authorize")


def book(stripe: Caller) -> Any:
    assert stripe.standin is not None
    return stripe.standin.account("sk_test_of_ten_a")


def event_of(stripe: Caller, kind: str, about: dict[str, Any]) -> base.InboundEvent:
    """The event, sent and read."""
    raw, headers = stripe.standin.event(kind, about, SECRET)
    event = stripe.connector.parse_webhook(raw, headers, ["whsec_old", SECRET])
    assert event is not None
    named = stripe.connector.subject(raw)
    assert named.attempt_key == event.attempt_key
    return event


def signed(raw: bytes, secret: str = SECRET, at: int | None = None) -> dict[str, str]:
    header = library.WebhookSignature.generate_signature_header(raw.decode(), secret, at)
    return {"Stripe-Signature": header}


def test_payments_and_charges_name_their_attempt(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key).reference
    intent = book(stripe).objects[reference]
    charge = book(stripe).objects[intent["latest_charge"]]
    for kind, about in (
        ("payment_intent.amount_capturable_updated", intent),
        ("payment_intent.succeeded", intent),
        ("payment_intent.payment_failed", intent),
        ("charge.refunded", charge),
    ):
        event = event_of(stripe, kind, about)
        assert (event.event_id, event.type) == ("evt_1", kind)
        assert (event.attempt_key, event.refund_key, event.dispute_reference) == (key, None, None)


def test_a_session_names_its_attempt(stripe: Caller, key: str) -> None:
    token = stripe.connector.tokenize_redirect(stripe.context, "card").token
    reference = stripe.authorize(token, key).reference
    event = event_of(stripe, "checkout.session.completed", book(stripe).objects[reference])
    assert event.attempt_key == key


def test_a_refund_names_itself_and_its_payment(stripe: Caller, key: str) -> None:
    reference = stripe.authorize("pm_card_visa", key).reference
    stripe.capture(reference)
    refund_key = fresh_key("refund")
    refund = stripe.refund(reference, 300, refund_key).reference
    event = event_of(stripe, "refund.updated", book(stripe).objects[refund])
    assert (event.attempt_key, event.refund_key) == (key, refund_key)


def test_disputes_and_warnings_name_the_payment(stripe: Caller) -> None:
    reference = stripe.captured("pm_card_visa")
    for kind, about in (
        ("charge.dispute.created", book(stripe).dispute(reference)),
        ("radar.early_fraud_warning.created", book(stripe).warning(reference)),
    ):
        event = event_of(stripe, kind, about)
        assert (event.attempt_key, event.dispute_reference) == (None, about["id"])
        raw, _ = stripe.standin.event(kind, about, SECRET)
        assert stripe.connector.subject(raw) == EventSubject(None, reference)


def test_events_about_nothing_of_ours_name_nothing(stripe: Caller) -> None:
    for about in (
        {"id": "cus_1", "object": "customer", "metadata": {"till_key": "authorize_ch_x"}},
        {"id": "pi_1", "object": "payment_intent", "metadata": {}},
        {"id": "pi_1", "object": "payment_intent", "metadata": {"till_key": 7}},
        {"id": "re_1", "object": "refund", "metadata": None},
        {"id": "x_1", "object": ["payment_intent"], "metadata": {}},
        {"available": []},
    ):
        event = event_of(stripe, "anything", about)
        assert (event.attempt_key, event.refund_key, event.dispute_reference) == (None, None, None)


def test_neither_secrets_nor_the_shoppers_data_are_kept(stripe: Caller) -> None:
    reference = stripe.authorize("pm_card_visa").reference
    intent = book(stripe).objects[reference] | {"receipt_email": "shopper@example.com"}
    event = event_of(stripe, "payment_intent.succeeded", intent)
    kept = json.dumps(event.payload)
    assert intent["client_secret"] not in kept
    assert "shopper@example.com" not in kept
    assert event.payload["object"]["id"] == reference


@pytest.mark.parametrize("spoil", ["body", "secret", "header", "old", "none", "ascii", "empty"])
def test_a_forged_or_replayed_event_is_none(stripe: Caller, spoil: str) -> None:
    raw = json.dumps({"id": "evt_1", "type": "x", "data": {"object": {"object": "charge"}}}).encode()
    assert stripe.connector.parse_webhook(raw, signed(raw), [SECRET]) is not None
    headers = {
        "body": signed(raw + b" "),
        "secret": signed(raw, "whsec_of_somebody_else"),
        "header": {"X-Webhook-Signature": signed(raw)["Stripe-Signature"]},
        "old": signed(raw, at=int(time.time()) - 301),
        "none": {},
        "ascii": {"Stripe-Signature": "t=1,v1=é"},
        "empty": {"Stripe-Signature": "t=,v1="},
    }[spoil]
    assert stripe.connector.parse_webhook(raw, headers, [SECRET]) is None
    assert stripe.connector.parse_webhook(raw, signed(raw), []) is None
    assert stripe.connector.parse_webhook(raw, signed(raw, ""), [""]) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"id": "evt_1", "type": "x", "data": []}',
        b'{"id": "evt_1", "type": "x", "data": {"object": 7}}',
        b'{"id": "evt_1", "type": "x", "data": {"object": {"object": "charge", "metadata": 7}}}',
        b'{"id": null, "type": "x", "data": {"object": {"object": "charge"}}}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_a_signed_body_that_is_no_event_is_none(stripe: Caller, raw: bytes) -> None:
    assert stripe.connector.parse_webhook(raw, signed(raw), [SECRET]) is None
    assert stripe.connector.subject(raw) == EventSubject()


def test_bytes_that_are_no_text_are_none(stripe: Caller) -> None:
    assert stripe.connector.parse_webhook(b"\xff\xfe", {"Stripe-Signature": "t=1,v1=00"}, [SECRET]) is None


def test_several_secrets_and_those_of_the_deployment(stripe: Caller) -> None:
    raw = json.dumps({"id": "evt_1", "type": "x", "data": {"object": {"object": "charge"}}}).encode()
    assert stripe.connector.parse_webhook(raw, signed(raw, "whsec_b"), ["whsec_a, whsec_b"]) is not None
    assert stripe.connector.parse_webhook(
        raw, {"STRIPE-SIGNATURE": signed(raw)["Stripe-Signature"]}, [SECRET]
    )
    assert stripe.connector.parse_webhook(raw, signed(raw, "whsec_house"), []) is None
    house = settings.load(
        **{**settings.current().model_dump(), "stripe_webhook_secret": "whsec_old,whsec_house"}
    )
    settings.use(house)
    assert stripe.connector.parse_webhook(raw, signed(raw, "whsec_house"), []) is not None

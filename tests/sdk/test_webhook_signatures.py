"""`webhooks.verify`: both forms, several secrets, age, and the same verdicts as two other libraries."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from standardwebhooks import Webhook, WebhookVerificationError

from app.kit import signing
from payment_sdk import ConfigurationError, InvalidResponseError, PaymentClient, SignatureError, webhooks

SECRET, OTHER, PLAIN = (
    signing.generate_webhook_secret(),
    signing.generate_webhook_secret(),
    "a-secret-of-mine-16",
)
NOW = 1_900_000_000
EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "checkout.session.completed",
    "created_at": "2025-10-22T10:00:00Z",
    "correlation_id": "req_1",
    "data": {
        "object": {"id": "chk_1", "amount": 10000},
        "checkout_id": "chk_1",
        "payment_intent_id": "pi_1",
        "before": None,
        "after": {"status": "completed"},
    },
}
BODY = json.dumps(EVENT).encode()
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")


def headers(*secrets: str, at: float = NOW, body: bytes = BODY) -> dict[str, str]:
    """What Till's own code signs with."""
    return signing.webhook_headers("evt_1", body, secrets, datetime.fromtimestamp(at, UTC))


def only(found: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in found.items() if name in names}


@pytest.mark.parametrize("secret", [SECRET, PLAIN, "whsec_not base64!!"], ids=["ours", "plain", "odd"])
@pytest.mark.parametrize("form", [STANDARD, ("Till-Signature",), ("Stripe-Signature",)], ids=lambda f: f[0])
def test_either_form_proves_an_event(secret: str, form: tuple[str, ...]) -> None:
    event = webhooks.verify(BODY, only(headers(secret), *form), secret, now=NOW)
    assert (event.id, event.type, event.correlation_id) == ("evt_1", "checkout.session.completed", "req_1")
    assert event.created_at == datetime(2025, 10, 22, 10, tzinfo=UTC)
    assert event.data.object == {"id": "chk_1", "amount": 10000} and event.data.checkout_id == "chk_1"
    assert event.data.after == {"status": "completed"} and event.data.before is None
    shouted = {name.upper(): value for name, value in only(headers(secret), *form).items()}
    assert webhooks.verify(BODY.decode(), shouted, secret, now=NOW) == event


@pytest.mark.parametrize("form", [STANDARD, ("Till-Signature",)], ids=lambda f: f[0])
def test_what_is_not_signed_like_this_is_refused(form: tuple[str, ...]) -> None:
    good = only(headers(SECRET), *form)
    bad: list[tuple[bytes, dict[str, str], str]] = [
        (BODY + b" ", good, SECRET),
        (BODY, good, OTHER),
        (BODY, {}, SECRET),
        (BODY, {name: value[:-2] for name, value in good.items()}, SECRET),
        (BODY, dict.fromkeys(good, ""), SECRET),
        (BODY, dict.fromkeys(good, "t=,v1=é"), SECRET),
        (BODY, {**good, form[-1]: good[form[-1]].replace("v1", "v0")}, SECRET),
    ]
    if form is STANDARD:
        bad += [
            (BODY, {**good, "webhook-id": "evt_2"}, SECRET),
            (BODY, {**good, "webhook-timestamp": f"{NOW + 1}"}, SECRET),
        ]
        bad += [
            (BODY, {**good, "webhook-timestamp": stamp}, SECRET) for stamp in ("", "-1", "٣", "1e9", "9" * 40)
        ]
    else:
        value = good["Till-Signature"]
        bad += [
            (BODY, {"Till-Signature": text}, SECRET)
            for text in (f"t={NOW}," + value, value.split(",")[1], f"t={NOW}")
        ]
    for body, sent, secret in bad:
        with pytest.raises(SignatureError):
            webhooks.verify(body, sent, secret, now=NOW)


@pytest.mark.parametrize("form", [STANDARD, ("Till-Signature",)], ids=lambda f: f[0])
def test_age_counts_in_both_directions(form: tuple[str, ...]) -> None:
    sent = only(headers(SECRET), *form)
    for now in (NOW - 300, NOW, NOW + 300):
        webhooks.verify(BODY, sent, SECRET, now=now)
    for now in (NOW - 301, NOW + 301):
        with pytest.raises(SignatureError):
            webhooks.verify(BODY, sent, SECRET, now=now)
    webhooks.verify(BODY, sent, SECRET, 900, now=NOW + 900)
    with pytest.raises(SignatureError):
        webhooks.verify(BODY, sent, SECRET, 10, now=NOW + 11)


@pytest.mark.parametrize("form", [STANDARD, ("Till-Signature",)], ids=lambda f: f[0])
def test_while_a_secret_is_rolled_either_is_enough(form: tuple[str, ...]) -> None:
    both = only(headers(SECRET, OTHER), *form)
    for secret in (SECRET, OTHER, [OTHER, SECRET], [PLAIN, OTHER]):
        assert webhooks.verify(BODY, both, secret, now=NOW).id == "evt_1"
    with pytest.raises(SignatureError):
        webhooks.verify(BODY, both, PLAIN, now=NOW)
    with pytest.raises(SignatureError):
        webhooks.verify(BODY, only(headers(PLAIN), *form), [SECRET, OTHER], now=NOW)


def test_one_broken_form_does_not_spoil_the_other() -> None:
    found = headers(SECRET)
    assert webhooks.verify(BODY, {**found, "webhook-signature": "v1,AAAA"}, SECRET, now=NOW)
    assert webhooks.verify(BODY, {**found, "Till-Signature": "t=1", "Stripe-Signature": ""}, SECRET, now=NOW)


def test_what_cannot_be_right_is_said_before_anything_is_believed() -> None:
    for secret in ("", " ", [], [SECRET, ""]):
        with pytest.raises(ConfigurationError, match="secret"):
            webhooks.verify(BODY, headers(SECRET), secret, now=NOW)
    for tolerance in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match="tolerance"):
            webhooks.verify(BODY, headers(SECRET), SECRET, tolerance, now=NOW)
    with pytest.raises(ConfigurationError, match="as it came"):
        webhooks.verify(EVENT, headers(SECRET), SECRET, now=NOW)  # type: ignore[arg-type]
    for body in (b"no json", b"[]", b'{"id": 5}'):
        with pytest.raises(InvalidResponseError):
            webhooks.verify(body, headers(SECRET, body=body), SECRET, now=NOW)


def test_other_libraries_verify_what_the_client_signs_and_the_other_way_round() -> None:
    sent = webhooks.sign(BODY, SECRET, event_id="evt_1")
    assert Webhook(SECRET).verify(BODY, sent) == EVENT
    assert stripe.WebhookSignature.verify_header(BODY.decode(), sent["Stripe-Signature"], SECRET, 300)
    assert PaymentClient("sk_test_x").webhooks.verify(BODY, sent, SECRET).id == "evt_1"
    now = datetime.now(UTC)
    theirs = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt_1", now, BODY.decode()),
    }
    assert webhooks.verify(BODY, theirs, SECRET).id == "evt_1"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, sent)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY.decode(), sent["Stripe-Signature"], OTHER, 300)


def test_the_client_signs_as_till_does() -> None:
    for secrets in ([SECRET], [SECRET, OTHER], [PLAIN]):
        mine = webhooks.sign(BODY, secrets, event_id="evt_1", timestamp=NOW)
        assert mine.pop("Content-Type") == "application/json"
        assert mine == headers(*secrets)
    fresh = webhooks.sign(BODY.decode(), SECRET)
    assert fresh["webhook-id"].startswith("evt_") and abs(int(fresh["webhook-timestamp"]) - time.time()) < 5

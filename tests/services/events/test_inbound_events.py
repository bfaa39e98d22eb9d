"""Events of gateways: only good signatures, each once, and the truth is asked for, not taken from them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.connectors.base import CardDetails
from app.connectors.sandbox import notices
from app.db import reading
from app.domain.actor import Actor
from app.domain.errors import Unauthenticated
from app.kit import clock, signing
from app.models.events.journal import JournalEntry
from app.models.events.provider_event import ProviderEvent
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.events import inbound
from app.services.operations import inbound_secrets, jobs
from app.services.payments import attempts, connectors, intents, methods
from app.worker.queue import run_job
from tests.accounts import account
from tests.buyers import together


@pytest.fixture
def attempt(actor: Actor) -> Attempt:
    """A payment that succeeded."""
    return _paid(actor)


def _paid(actor: Actor) -> Attempt:
    method = methods.tokenize_card(actor, CardDetails("4242424242424242", 12, 2034, "123"))
    intent = intents.create(actor, intents.IntentDraft(1250, "GBP", payment_method_id=method.id))
    assert intents.confirm(actor, intent.id, nonce="n1").status == "succeeded"
    [made] = attempts.of_intent(actor, intent.id)
    return made


def _body(attempt: Attempt, **changes: Any) -> bytes:
    data = {
        "reference": attempt.gateway_reference,
        "key": attempt.gateway_key("authorize"),
        "refund_key": None,
    }
    event = {"id": "sbe_1", "type": "payment.captured", "data": {**data, **changes}}
    return json.dumps(event).encode()


def _signed(raw: bytes, secret: str, late: int = 0) -> dict[str, str]:
    at = clock.now() - timedelta(seconds=late)
    return {"X-Webhook-Signature": signing.timestamped_signature(raw, [secret], at)}


def _secret(tenant_id: str) -> str:
    found = inbound_secrets.find(tenant_id, "payment")
    assert found is not None
    return found


def _stored() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(ProviderEvent)) or 0


def test_what_the_sandbox_sends_is_taken_once_and_looked_into(actor: Actor, attempt: Attempt) -> None:
    sent: list[tuple[str, bool]] = []

    def post(url: str, raw: bytes, headers: dict[str, str]) -> int:
        sent.append((json.loads(raw)["type"], inbound.receive(raw, headers)))
        assert inbound.receive(raw, headers) is False
        return 200

    notices.send_due(post, _secret)
    assert sent and all(fresh for _, fresh in sent)
    assert _stored() == len(sent)
    due = jobs.due()
    assert len(due) == len(sent)
    for job_id in due:
        run_job(job_id)
    assert {jobs.get(actor, job_id).status for job_id in due} == {"done"}
    with reading() as db:
        assert db.scalars(select(ProviderEvent).where(ProviderEvent.processed_at.is_(None))).all() == []
        assert db.get_one(PaymentIntent, attempt.intent_id).amount_captured == 1250


def test_of_sixteen_deliveries_of_one_event_one_is_looked_into(actor: Actor, attempt: Attempt) -> None:
    raw = _body(attempt)
    headers = _signed(raw, _secret(actor.tenant_id))
    taken = together(16, lambda _: inbound.receive(raw, headers))
    assert sorted(map(str, taken)) == ["False"] * 15 + ["True"]
    assert (_stored(), len(jobs.due())) == (1, 1)


@pytest.mark.parametrize("number", ["4000009990000047", "4000009990000039"])
def test_events_out_of_order_and_doubled_end_in_what_the_gateway_says(actor: Actor, number: str) -> None:
    """Own card numbers of the sandbox: `captured` comes before `authorized`, and each event twice."""
    method = methods.tokenize_card(actor, CardDetails(number, 12, 2034, "123"))
    draft = intents.IntentDraft(1250, "GBP", capture_mode="manual", payment_method_id=method.id)
    intent = intents.create(actor, draft)
    intents.confirm(actor, intent.id, nonce="n1")
    intents.capture(actor, intent.id)
    heard: list[str] = []

    def post(_url: str, raw: bytes, headers: dict[str, str]) -> int:
        heard.append(json.loads(raw)["type"])
        inbound.receive(raw, headers)
        for job_id in jobs.due():
            run_job(job_id)
        return 200

    for seconds in (0, 5):
        with clock.frozen(clock.now() + timedelta(seconds=seconds)):
            notices.send_due(post, _secret)
    expected = {
        "4000009990000047": ["payment.captured", "payment.authorized"],
        "4000009990000039": ["payment.authorized"] * 2 + ["payment.captured"] * 2,
    }
    assert (heard, _stored()) == (expected[number], 2)
    intent = intents.get(actor, intent.id)
    assert (intent.status, intent.amount_captured) == ("succeeded", 1250)
    with reading() as db:
        told = select(JournalEntry.type).where(JournalEntry.payment_intent_id == intent.id)
        assert list(db.scalars(told)).count("payment.succeeded") == 1


@pytest.mark.parametrize(
    "fault", ["none", "wrong", "other merchant", "old", "future", "altered", "two stamps"]
)
def test_a_bad_signature_stores_nothing(actor: Actor, stranger: Actor, attempt: Attempt, fault: str) -> None:
    raw, secret = _body(attempt), _secret(actor.tenant_id)
    headers = {
        "none": {},
        "wrong": _signed(raw, "x" * 32),
        "other merchant": _signed(raw, _secret(stranger.tenant_id)),
        "old": _signed(raw, secret, late=301),
        "future": _signed(raw, secret, late=-302),
        "altered": _signed(raw + b" ", secret),
        "two stamps": {"X-Webhook-Signature": "t=1," + _signed(raw, secret)["X-Webhook-Signature"]},
    }[fault]
    with pytest.raises(Unauthenticated) as refused:
        inbound.receive(raw, headers)
    assert refused.value.code == "invalid_signature"
    assert (_stored(), jobs.due()) == (0, [])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"data": null}',
        b'{"data": {"key": 7}}',
        b"\xff\xfe",
        b'{"data": {"key": "authorize_nobody"}}',
        b'{"data": {"key": "authorize_\\u0000"}}',
        b'{"data": {"key": "authorize_\\ud800"}}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_refused_as_a_bad_signature(actor: Actor, raw: bytes) -> None:
    with pytest.raises(Unauthenticated):
        inbound.receive(raw, _signed(raw, _secret(actor.tenant_id)))


def test_a_lying_event_changes_nothing(actor: Actor, attempt: Attempt) -> None:
    raw = _body(attempt, type="payment.declined", amount=1)
    assert inbound.receive(raw, _signed(raw, _secret(actor.tenant_id)))
    for job_id in jobs.due():
        run_job(job_id)
    intent = intents.get(actor, attempt.intent_id)
    assert (intent.status, intent.amount_captured) == ("succeeded", 1250)


def test_an_event_about_a_refund_asks_about_the_refund(actor: Actor, attempt: Attempt) -> None:
    from app.services.payments import refunds

    refund = refunds.create(actor, attempt.intent_id, 250)
    for job_id in jobs.due():
        run_job(job_id)
    raw = _body(attempt, refund_key=f"refund_{refund.id}")
    assert inbound.receive(raw, _signed(raw, _secret(actor.tenant_id)))
    [job_id] = jobs.due()
    job = jobs.get(actor, job_id)
    assert (job.name, job.arguments["refund_id"]) == ("refunds.send", refund.id)
    run_job(job_id)
    assert jobs.get(actor, job_id).status == "done"
    assert refunds.get(actor, refund.id).status == "succeeded"


def test_an_event_reaches_no_refund_but_those_of_its_own_payment(
    actor: Actor, stranger: Actor, attempt: Attempt
) -> None:
    """Metadata are the merchant's own to write, also on its own account and under its own secret."""
    from app.services.payments import refunds

    refund = refunds.create(actor, attempt.intent_id, 250)
    for who, key in ((stranger, f"refund_{refund.id}"), (actor, "refund_rf_nobody")):
        theirs = _paid(who)
        raw = _body(theirs, refund_key=key)
        assert inbound.receive(raw, _signed(raw, _secret(who.tenant_id)))
    with reading() as db:
        asked = [job for job in db.scalars(select(Job)) if job.arguments.get("provider_event_id")]
    assert {(job.name, job.arguments.get("refund_id")) for job in asked} == {("payments.look_again", None)}


def test_a_connectors_own_secret_is_good_too_and_a_rotated_one_for_its_grace(actor: Actor) -> None:
    connector = account(actor, webhook_secret="the-old-secret")
    method = methods.tokenize_card(actor, CardDetails("4242424242424242", 12, 2034, "123"))
    intent = intents.create(actor, intents.IntentDraft(1250, "GBP", payment_method_id=method.id))
    intents.confirm(actor, intent.id, nonce="n1")
    [attempt] = attempts.of_intent(actor, intent.id)
    raw = _body(attempt)
    assert inbound.receive(raw, _signed(raw, "the-old-secret")) is True
    connectors.rotate(actor, connector.id, {"webhook_secret": "the-new-secret"}, grace_seconds=60)
    assert inbound.receive(raw, _signed(raw, "the-new-secret")) is False, "known, and taken"
    assert inbound.receive(raw, _signed(raw, "the-old-secret")) is False
    assert inbound.receive(raw, _signed(raw, _secret(actor.tenant_id))) is False
    with clock.frozen(clock.now() + timedelta(seconds=61)), pytest.raises(Unauthenticated):
        inbound.receive(raw, _signed(raw, "the-old-secret"))
    other = account(actor, 1, webhook_secret="of-another-connector")
    assert other.id != connector.id
    with pytest.raises(Unauthenticated):
        inbound.receive(raw, _signed(raw, "of-another-connector"))

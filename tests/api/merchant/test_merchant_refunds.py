"""MR-003 over HTTP: by either id, its exact bodies, what is audited, and that nothing goes back twice."""

from __future__ import annotations

import threading
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.kit import clock
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.payments.refund import Refund
from app.services.access import totp
from app.services.checkout import merchant_refunds, merchant_sessions, payment
from app.services.checkout.merchant_sessions import ReferenceDraft
from app.services.events import audit, webhooks
from app.services.payments import intents, refunds
from tests import shops
from tests.disputes import paid, work
from tests.shops import Shop
from tests.staff import Person, person

URL = "/api/v1/refunds"

pytestmark = pytest.mark.usefixtures("holds", "unlimited")


@pytest.fixture
def owner(shop: Shop) -> Person:
    return person(shop)


def refund(client: FlaskClient, who: Person, body: Any, **headers: str) -> TestResponse:
    return client.post(URL, json=body, headers={**who.confirming("refund"), **headers})


def rows() -> list[Refund]:
    with reading() as db:
        return list(db.scalars(select(Refund).order_by(Refund.id)))


def audited(shop: Shop, intent_id: str) -> list[tuple[str, str | None]]:
    """What the journal has of refunds of a payment, oldest first, with the reason why not."""
    statement = (
        select(JournalEntry)
        .where(JournalEntry.payment_intent_id == intent_id, JournalEntry.type.startswith("refund."))
        .order_by(JournalEntry.id)
    )
    with reading() as db:
        return [(row.type, row.data["object"].get("failure_reason")) for row in db.scalars(statement)]


def test_a_payment_is_refunded_by_its_own_id(client: FlaskClient, shop: Shop, owner: Person) -> None:
    intent = paid(shop.actor)
    body = {"paymentId": intent.id, "amount": 500, "reason": "Customer request"}
    made = refund(client, owner, body)
    assert made.status_code == 201
    [row] = rows()
    at_gateway = refunds.get(shop.actor, row.id).gateway_reference
    assert at_gateway is not None
    assert made.json == {
        "refundId": row.id,
        "status": "pending",
        "amount": 500,
        "providerRefundId": at_gateway,
    }
    assert (row.reason, row.reason_text, row.created_by) == ("other", "Customer request", owner.user.id)
    work()
    assert refunds.get(shop.actor, row.id).status == "succeeded"
    assert intents.get(shop.actor, intent.id).amount_refunded == 500
    worded = refund(client, owner, {"paymentId": intent.id, "amount": 1, "reason": "fraud"})
    assert (rows()[-1].reason, rows()[-1].reason_text) == ("fraud", None)
    rest = refund(client, owner, {"paymentId": intent.id})
    assert (worded.status_code, rest.status_code, rest.json["amount"]) == (201, 201, 1499)
    work()
    assert intents.get(shop.actor, intent.id).amount_refunded == 2000
    assert audited(shop, intent.id).count(("refund.created", None)) == 3


def test_a_payment_is_refunded_by_its_sessions_id(client: FlaskClient, shop: Shop, owner: Person) -> None:
    session = merchant_sessions.create(shop.actor, ReferenceDraft(10000, "USD", "order_1"))
    early = refund(client, owner, {"paymentId": session.public_id})
    assert (early.status_code, early.json["error"]) == (404, "Payment not found")
    payment.pay_by_card(shop.actor, session.id, shops.card(shops.GOOD), payment.Order("n1"))
    made = refund(client, owner, {"paymentId": session.public_id, "amount": 4000})
    assert (made.status_code, made.json["amount"]) == (201, 4000)
    work()
    assert shop.intent(session).amount_refunded == 4000


def test_what_is_not_there_is_not_found(client: FlaskClient, shop: Shop, owner: Person) -> None:
    strangers = shops.make("Other shop")
    theirs = paid(strangers.actor)
    their_session = merchant_sessions.create(strangers.actor, ReferenceDraft(100, "USD", "r"))
    live = Person(owner.user, "live")
    mine = paid(shop.actor)
    asked = [(owner, name) for name in ("pi_none", "none", theirs.id, their_session.public_id)]
    for who, name in [*asked, (live, mine.id)]:
        answer = refund(client, who, {"paymentId": name, "amount": 100})
        assert answer.status_code == 404, name
        assert answer.json == {"error": "Payment not found", "code": "RESOURCE_NOT_FOUND"}
    assert rows() == []


AMOUNTS: list[Any] = [0, -1, 1.5, True, "10", 2**60, []]


def test_a_wrong_amount_has_one_code(client: FlaskClient, shop: Shop, owner: Person) -> None:
    intent = paid(shop.actor)
    for amount in AMOUNTS:
        answer = refund(client, owner, {"paymentId": intent.id, "amount": amount})
        assert answer.status_code == 400, amount
        assert answer.json == {"error": "Valid amount is required", "code": "INVALID_AMOUNT"}
    beyond = refund(client, owner, {"paymentId": intent.id, "amount": 2001})
    assert (beyond.status_code, beyond.json) == (
        400,
        {"error": "More than is left to refund", "code": "INVALID_AMOUNT"},
    )
    missing = refund(client, owner, {"amount": 1})
    assert (missing.status_code, missing.json) == (
        400,
        {"error": "paymentId is required", "code": "MISSING_FIELD"},
    )
    assert rows() == []


def test_what_was_refused_is_audited_and_told_to_nobody(
    client: FlaskClient, shop: Shop, owner: Person
) -> None:
    webhooks.create(shop.actor, "https://shop.example/hooks", ["refund.failed"])
    intent = paid(shop.actor)
    open_intent = intents.create(shop.actor, intents.IntentDraft(700, "GBP"))
    for headers in ({}, {"Idempotency-Key": "k1"}):
        answer = refund(client, owner, {"paymentId": intent.id, "amount": 9999}, **headers)
        assert answer.status_code == 400
    early = refund(client, owner, {"paymentId": open_intent.id})
    assert (early.status_code, early.json["code"]) == (400, "INVALID_STATE")
    assert audited(shop, intent.id) == [("refund.failed", "refund_exceeds_captured")] * 2
    assert audited(shop, open_intent.id) == [("refund.failed", "invalid_state")]
    audit.seal()
    with reading() as db:
        assert db.scalars(select(Delivery)).all() == []


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_a_failure_of_ours_says_so_and_no_more(
    client: FlaskClient, shop: Shop, owner: Person, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    intent = paid(shop.actor)
    with monkeypatch.context() as patched:
        patched.setattr(refunds, "create", lambda *_, **__: {}["a secret of the house"])
        broken = refund(client, owner, {"paymentId": intent.id, "amount": 100}, **headers)
    assert broken.status_code == 500
    assert broken.json == {"error": "Failed to process refund", "code": "INTERNAL_ERROR"}
    assert audited(shop, intent.id) == [("refund.failed", "internal_error")]
    again = refund(client, owner, {"paymentId": intent.id, "amount": 100}, **headers)
    assert (again.status_code, len(rows())) == (201, 1)


def test_a_key_refunds_once(client: FlaskClient, shop: Shop, owner: Person) -> None:
    intent = paid(shop.actor)
    body = {"paymentId": intent.id, "amount": 100}
    first, second = (refund(client, owner, body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.json, second.headers["Idempotent-Replayed"]) == (second.json, "true")
    other = refund(client, owner, {**body, "amount": 1}, **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json["code"]) == (400, "IDEMPOTENCY_KEY_REUSED")
    assert len(rows()) == 1


def test_a_gateway_that_is_slow_or_a_process_that_dies_refunds_once(
    client: FlaskClient, shop: Shop, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent, called = paid(shop.actor), threading.Event()
    body, key = {"paymentId": intent.id, "amount": 100}, {"Idempotency-Key": "k"}
    real = merchant_refunds.refunds.send

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(merchant_refunds, "_sent", die)
        with pytest.raises(Died):
            merchant_refunds.create(shop.actor, intent.id, 100, key="dead")
    again = merchant_refunds.create(shop.actor, intent.id, 100, key="dead")
    assert (len(rows()), again.status) == (1, "succeeded")

    def slow(refund_id: str) -> None:
        assert called.wait(30)
        real(refund_id)

    with monkeypatch.context() as patched:
        patched.setattr(merchant_refunds, "WAIT_SECONDS", 0.01)
        patched.setattr(merchant_refunds.refunds, "send", slow)
        late = refund(client, owner, body, **key)
        assert (late.status_code, late.json["status"], late.json["providerRefundId"]) == (
            201,
            "pending",
            None,
        )
        called.set()
        for sender in [each for each in threading.enumerate() if each.name == "refund"]:
            sender.join(30)
    work()
    assert refund(client, owner, body, **key).json == late.json
    assert [row.status for row in rows()] == ["succeeded"] * 2
    assert intents.get(shop.actor, intent.id).amount_refunded == 200


def test_the_answer_to_the_challenge_lets_it_through(client: FlaskClient, shop: Shop, owner: Person) -> None:
    body = {"paymentId": paid(shop.actor).id, "amount": 100}
    asked = client.post(URL, json=body, headers=owner.bearer).json
    secret = totp.secret_of(owner.user.id)
    assert secret is not None
    answer = {"challengeId": asked["challengeId"], "code": pyotp.TOTP(secret).at(clock.now())}
    confirmed = client.post("/api/v1/mfa/verify", json=answer, headers=owner.bearer)
    assert confirmed.status_code == 200
    headers = {**owner.bearer, "X-MFA-Token": confirmed.json["mfaToken"]}
    assert client.post(URL, json=body, headers=headers).status_code == 201
    other = client.post("/api/keys:create", json={"name": "A"}, headers=headers)
    assert (other.status_code, other.json["action"]) == (401, "api-keys")


def test_who_may_not(client: FlaskClient, shop: Shop, owner: Person) -> None:
    body = {"paymentId": paid(shop.actor).id, "amount": 100}
    viewer = person(shop, "read_only")
    forbidden = client.post(URL, json=body, headers=viewer.confirming("refund"))
    assert (forbidden.status_code, forbidden.json) == (
        403,
        {"error": "Missing refunds:create permission", "code": "INSUFFICIENT_PERMISSIONS"},
    )
    for headers in (owner.bearer, owner.confirming("api-keys")):
        asked = client.post(URL, json=body, headers=headers)
        assert asked.status_code == 401
        assert asked.json["challengeId"]
        assert {name: value for name, value in asked.json.items() if name != "challengeId"} == {
            "error": "MFA required",
            "code": "MFA_CHALLENGE_REQUIRED",
            "action": "refund",
        }
    for headers in ({}, shop.bearer, {"Authorization": "Bearer eyJ.x.y"}):
        answer = client.post(URL, json=body, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (401, "UNAUTHENTICATED")
    foreign = refund(client, owner, body, **{"X-Tenant": "ten_other"})
    assert (foreign.status_code, foreign.json["code"]) == (403, "TENANT_MISMATCH")
    assert rows() == []

"""CK-044: a fraud provider's decision is believed when it is signed, works once, and never guesses at money."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.db import reading
from app.domain.errors import Conflict
from app.kit import clock, signing
from app.models.events.provider_event import ProviderEvent
from app.models.risk.fraud_decision import FraudDecision
from app.services.checkout import finalization, fraud_notices, identity, payment, payments, reviewing
from app.services.operations import inbound_secrets
from app.services.risk import reviews
from tests import buyers, finalizations, reviewers, risks
from tests.reviewers import SESSIONS, notice
from tests.shops import TIMES_OUT_AFTER, Shop, later

pytestmark = pytest.mark.usefixtures("holds")

PATH = "/v1/checkout/webhook/fraud"


def decisions(checkout_id: str) -> list[FraudDecision]:
    statement = select(FraudDecision).where(FraudDecision.checkout_id == checkout_id)
    with reading() as db:
        return list(db.scalars(statement.order_by(FraudDecision.id)))


def events() -> list[ProviderEvent]:
    with reading() as db:
        return list(db.scalars(select(ProviderEvent).where(ProviderEvent.provider == "fraud")))


def authorized(shop: Shop, number: str = "4242424242424242") -> Any:
    """A session whose payment is under way."""
    session = shop.session(hosted=False, options={"capture_mode": "manual"})
    assert shop.pay(session, number).status == "payment_processing"
    return session


def shown(client: FlaskClient, shop: Shop, checkout_id: str) -> Any:
    return client.get(f"{SESSIONS}/{checkout_id}", headers=shop.bearer).get_json()


def test_a_challenge_puts_a_session_under_review_and_allow_ends_it(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    body = {"id": "fr_1", "checkout_id": session.id, "action": "challenge", "score": 72}
    reasons = ["proxy", {"code": "velocity", "text": "Many tries", "weight": 30}]
    answer = notice(client, shop, "fraud", **body, reasons=reasons)
    assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    seen = shown(client, shop, session.id)
    assert (seen["fraud"]["score"], seen["fraud"]["action"]) == (72, "challenge")
    assert [reason["code"] for reason in seen["fraud"]["reasons"]] == ["proxy", "velocity"]
    assert (seen["review"]["status"], seen["review"]["source"]) == ("pending", "fraud_provider")
    [decision] = decisions(session.id)
    assert (decision.source, decision.id) == ("webhook", seen["fraud"]["decision_id"])
    with pytest.raises(Conflict) as refused:
        shop.pay(session)
    assert refused.value.code == "manual_review_pending"
    notice(client, shop, "fraud", id="fr_2", checkout_id=session.id, action="allow", score=5)
    assert shown(client, shop, session.id)["review"]["status"] == "approved"
    [fact] = reviewers.told(session.id, "review.approved")
    assert fact.cause == "fraud_provider"
    assert shop.pay(session).status == "completed"


def test_a_notice_works_once(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    body = {"id": "fr_1", "checkout_id": session.id, "action": "challenge", "score": 72}
    for _ in range(3):
        assert notice(client, shop, "fraud", **body).status_code == 200
    reviewing.decide(shop.actor, session.id, approved=True, note=None)
    assert notice(client, shop, "fraud", **{**body, "action": "cancel"}).status_code == 200
    assert len(decisions(session.id)) == len(events()) == 1
    assert len(reviewers.told(session.id, "review.pending")) == 1
    assert shop.read(session).status == "created"
    without = {"checkout_id": session.id, "action": "allow"}
    for _ in range(2):
        notice(client, shop, "fraud", **without)
    assert len(decisions(session.id)) == 2, "of a notice without an id the same bytes are the same"


def test_eight_at_once_are_one(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    raw = json.dumps({"id": "fr_1", "checkout_id": session.id, "action": "review"}).encode()
    secret = inbound_secrets.find(shop.actor.tenant_id, "fraud") or ""
    headers = {"X-Webhook-Signature": signing.timestamped_signature(raw, [secret], clock.now())}
    made = buyers.together(8, lambda _: fraud_notices.receive(raw, headers))
    assert sorted(str(one) for one in made) == ["False"] * 7 + ["True"]
    assert len(decisions(session.id)) == 1
    assert len(reviewers.told(session.id, "review.pending")) == 1


def test_a_cancel_ends_a_session_and_gives_its_goods_back(client: FlaskClient, shop: Shop) -> None:
    session = shop.session(hosted=False)
    shop.pay(session, "4000000000000002")
    assert shop.left("MUG") == (100, 1, 0)
    notice(client, shop, "fraud", id="fr_1", payment_intent_id=shop.intent(session).id, action="cancel")
    seen = shown(client, shop, session.id)
    assert (seen["status"], seen["fraud"]["action"], seen["fraud"]["score"]) == ("canceled", "cancel", 90)
    assert shop.intent(session).status == "canceled"
    assert shop.left("MUG") == (100, 0, 0)
    [fact] = reviewers.told(session.id, "checkout.canceled")
    assert fact.cause == "fraud_provider"


def test_a_cancel_gives_an_authorised_payment_back_first(client: FlaskClient, shop: Shop) -> None:
    session = authorized(shop)
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="deny")
    seen = shown(client, shop, session.id)
    assert (seen["status"], seen["review"]["status"]) == ("payment_processing", "rejected")
    with pytest.raises(Conflict) as refused:
        reviews.refuse_pending(shop.read(session))
    assert refused.value.code == "manual_review_rejected"
    assert reviewers.run_jobs("checkout.turn_away") == 1
    assert shop.read(session).status == "canceled"
    assert risks.at_the_gateway() == ["voided"]
    assert shop.left("MUG") == (100, 0, 0)


def test_a_payment_whose_outcome_is_unknown_is_never_guessed_at(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, TIMES_OUT_AFTER)
    [attempt] = shop.attempts(session)
    assert (shop.read(session).status, attempt.status) == ("payment_processing", "unknown")
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="cancel")
    reviewers.run_jobs("checkout.turn_away")
    assert shop.intent(session).cancel_requested
    assert shop.read(session).status == "payment_processing", "only the gateway's answer ends it"
    with later(120):
        payment.sweep()
        reviewers.run_jobs("checkout.turn_away")
        finalizations.work()
    assert shop.read(session).status == "canceled"
    assert shop.intent(session).status == "canceled"
    assert finalizations.charges() == [("voided", 0, 0)]
    assert shop.left("MUG") == (100, 0, 0)


def test_a_cancel_that_comes_after_the_sale_is_noted(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="cancel", score=99)
    seen = shown(client, shop, session.id)
    assert (seen["status"], seen["fraud"]["action"], seen["review"]) == ("completed", "cancel", None)
    assert len(reviewers.told(session.id, "checkout.rejected_too_late")) == 1
    notice(client, shop, "fraud", id="fr_2", checkout_id=session.id, action="review")
    assert shown(client, shop, session.id)["review"] is None


def test_allow_does_not_end_what_a_person_began_and_cancel_does(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    reviewing.assign(shop.actor, session.id, reviewers.person(shop), "Ask the buyer")
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="allow")
    assert shown(client, shop, session.id)["review"]["status"] == "pending"
    notice(client, shop, "fraud", id="fr_2", checkout_id=session.id, decision="cancel")
    seen = shown(client, shop, session.id)
    assert (seen["status"], seen["review"]["status"]) == ("canceled", "rejected")


def test_allow_does_not_end_a_review_that_a_rejected_identity_wants_too(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session()
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="challenge")
    request = identity.start(shop.actor, session.id).request
    identity.complete(shop.actor, request.id, approved=False)
    notice(client, shop, "fraud", id="fr_2", checkout_id=session.id, action="allow")
    seen = shown(client, shop, session.id)["review"]
    assert (seen["status"], seen["source"]) == ("pending", "kyc"), "a person decides about it"
    with pytest.raises(Conflict):
        shop.pay(session)
    reviewing.decide(shop.actor, session.id, approved=True, note=None)
    assert shop.pay(session).status == "completed"


def test_what_a_person_turned_down_no_provider_lets_through(client: FlaskClient, shop: Shop) -> None:
    session = finalizations.ready(shop, "auto")
    reviewing.assign(shop.actor, session.id, reviewers.person(shop), None)
    reviewing.decide(shop.actor, session.id, approved=False, note="Stolen card")
    notice(client, shop, "fraud", id="fr_1", checkout_id=session.id, action="challenge")
    notice(client, shop, "fraud", id="fr_2", checkout_id=session.id, action="allow")
    assert shown(client, shop, session.id)["review"]["status"] == "rejected"
    with pytest.raises(Conflict) as refused:
        finalization.finalize(shop.actor, session.id)
    assert refused.value.code == "manual_review_rejected"
    reviewers.run_jobs("checkout.turn_away")
    finalizations.work()
    assert (shop.read(session).status, finalizations.orders(session)) == ("failed", [])


def test_a_notice_about_a_payment_that_was_given_up_is_about_its_checkout(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session(hosted=False)
    shop.pay(session, "4000000000000002")
    first = shop.intent(session)
    payments.cancel(shop.actor, first.id, "user_cancel")
    shop.pay(session, "4000000000000002", "again")
    assert shop.intent(session).id != first.id
    answer = notice(client, shop, "fraud", id="fr_1", payment_intent_id=first.id, action="cancel")
    assert answer.status_code == 200
    assert shown(client, shop, session.id)["status"] == "canceled"


def test_a_notice_that_could_not_be_kept_is_not_acknowledged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = shop.session()
    raw = json.dumps({"id": "fr_1", "checkout_id": session.id, "action": "cancel"}).encode()
    secret = inbound_secrets.find(shop.actor.tenant_id, "fraud") or ""
    headers = {"X-Webhook-Signature": signing.timestamped_signature(raw, [secret], clock.now())}

    def refused(*_: Any) -> None:
        raise IntegrityError("a row", None, Exception("of something else"))

    with monkeypatch.context() as patch:
        patch.setattr(fraud_notices, "_follow", refused)
        with pytest.raises(IntegrityError):
            fraud_notices.receive(raw, headers)
    assert fraud_notices.receive(raw, headers)
    assert shop.read(session).status == "canceled"


def test_a_card_number_in_a_notice_is_not_kept(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    reasons = [
        {"code": "velocity", "text": "4242 4242 4242 4242 was tried 9 times", "weight": 9},
        "378282246310005",
    ]
    body = {"id": "fr_1", "checkout_id": session.id, "action": "challenge", "reasons": reasons}
    assert notice(client, shop, "fraud", **body).status_code == 200
    [decision] = decisions(session.id)
    assert [(reason["code"], reason["text"]) for reason in decision.reasons] == [
        ("velocity", ""),
        ("card", ""),
    ]
    assert "4242" not in json.dumps([events()[0].payload, shop.read(session).fraud])


def test_nothing_is_believed_without_the_merchants_signature(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    raw = json.dumps({"id": "fr_1", "checkout_id": session.id, "action": "cancel"}).encode()
    mine = inbound_secrets.find(shop.actor.tenant_id, "fraud") or ""
    theirs = inbound_secrets.find(risks.another().actor.tenant_id, "fraud") or ""
    payments = inbound_secrets.find(shop.actor.tenant_id, "payment") or ""
    old = clock.now() - timedelta(seconds=301)
    good = signing.timestamped_signature(raw, [mine], clock.now())
    for body, signature in (
        (raw, None),
        (raw, ""),
        (raw, "t=1,v1=00"),
        (raw, signing.timestamped_signature(raw, [theirs], clock.now())),
        (raw, signing.timestamped_signature(raw, [payments], clock.now())),
        (raw, signing.timestamped_signature(raw, [mine], old)),
        (raw.replace(b"cancel", b"allow"), good),
        (raw.replace(session.id.encode(), b"chk_nobody"), good),
        (b"[]", good),
        (b"{", good),
        (b'{"checkout_id": "\xff"}', good),
        (b"", good),
    ):
        headers = {} if signature is None else {"X-Webhook-Signature": signature}
        answer = client.post(PATH, data=body, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_signature"), body
    assert events() == decisions(session.id) == []
    assert shop.read(session).status == "created"
    answer = client.post(PATH, data=raw, headers={"X-Webhook-Signature": good})
    assert answer.status_code == 200


BAD: tuple[dict[str, Any], ...] = (
    {},
    {"action": "explode"},
    {"action": 7},
    {"action": "allow", "score": 101},
    {"action": "allow", "score": -1},
    {"action": "allow", "score": True},
    {"action": "allow", "score": "9"},
    {"action": "allow", "reasons": "proxy"},
    {"action": "allow", "reasons": [7]},
    {"action": "allow", "reasons": [{"text": "no code"}]},
    {"action": "allow", "reasons": [{"code": "a", "weight": 101}]},
    {"action": "allow", "reasons": ["a"] * 21},
    {"action": "allow", "id": "a b"},
    {"action": "allow", "id": 7},
)


def test_a_signed_notice_that_says_nothing_is_a_bad_request(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    for change in BAD:
        answer = notice(client, shop, "fraud", **{"id": "fr_1", "checkout_id": session.id, **change})
        assert answer.status_code == 400, change
    assert events() == decisions(session.id) == []

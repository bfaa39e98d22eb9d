"""CK-045 and CK-046: a session's score, who may ask for it and who sees it; the rules in checkout's words."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.domain.rules.fraud import RULES, Assessment, Facts
from app.models.risk.fraud_decision import FraudDecision
from app.providers import registry
from app.services.access import tokens
from app.services.checkout import details, scoring, sessions
from tests import buyers, reviewers, risks
from tests.reviewers import SESSIONS
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


def stored(checkout_id: str) -> list[FraudDecision]:
    statement = select(FraudDecision).where(FraudDecision.checkout_id == checkout_id)
    with reading() as db:
        return list(db.scalars(statement.order_by(FraudDecision.id)))


def score(client: FlaskClient, shop: Shop, checkout_id: str, **headers: str) -> Any:
    return client.post(f"{SESSIONS}/{checkout_id}/fraud/score", json={}, headers={**shop.bearer, **headers})


def doubtful(shop: Shop) -> str:
    """A session of a throw-away mail box, with goods to another country; its id."""
    session = shop.session(hosted=False, customer={"email": "x@mailinator.com", "customer_id": "cust_1"})
    home = {"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"}
    away = {"line1": "2 Low Street", "city": "Lagos", "postal_code": "100001", "country": "NG"}
    details.set_billing_address(shop.actor, session.id, home)
    details.set_shipping_address(shop.actor, session.id, away)
    return session.id


def test_a_score_is_told_stored_and_shown_with_the_session(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(shop, fraud={"challenge_from": 30, "deny_from": 90})
    checkout_id = doubtful(shop)
    answer = score(client, shop, checkout_id)
    assert answer.status_code == 200
    scored = answer.get_json()
    assert (scored["score"], scored["action"]) == (40, "challenge")
    assert {reason["code"] for reason in scored["reasons"]} == {
        "billing_shipping_mismatch",
        "disposable_email",
    }
    [decision] = stored(checkout_id)
    assert (decision.id, decision.source, decision.intent_id) == (scored["decision_id"], "score", None)
    assert decision.inputs["lines"] == [{"sku": "MUG", "quantity": 1, "unit_price": 1500}]
    assert decision.inputs["amount"] == sessions.get(shop.actor, checkout_id).grand_total
    assert "High Street" not in str(decision.inputs) and "x@" not in str(decision.inputs)
    shown = client.get(f"{SESSIONS}/{checkout_id}", headers=shop.bearer).get_json()["fraud"]
    assert shown == {name: scored[name] for name in ("decision_id", "score", "action", "reasons")}
    [fact] = reviewers.told(checkout_id, "fraud.decided")
    assert (fact.entity_id, fact.data["after"]["score"]) == (decision.id, 40)
    read = client.get(f"/v1/payments/fraud/decisions/{decision.id}", headers=shop.bearer).get_json()
    assert (read["checkout_id"], read["intent_id"], read["action"]) == (checkout_id, None, "challenge")
    with reading() as db:
        assert db.execute(risks.counters()).all() == [], "a score is no try"


def test_a_denial_reads_cancel_and_cancels_nothing(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(shop, fraud={"challenge_from": 30, "deny_from": 40})
    checkout_id = doubtful(shop)
    assert score(client, shop, checkout_id).get_json()["action"] == "cancel"
    [decision] = stored(checkout_id)
    assert decision.action == "deny"
    shown = client.get(f"{SESSIONS}/{checkout_id}", headers=shop.bearer).get_json()
    assert (shown["fraud"]["action"], shown["status"]) == ("cancel", "collecting")


def test_a_look_again_scores_too_and_keeps_the_issue(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(shop, fraud={"challenge_from": 30, "deny_from": 40})
    checkout_id = doubtful(shop)
    browser = {"Authorization": f"Bearer {tokens.client_token(sessions.get(shop.actor, checkout_id))}"}
    fresh = client.post(f"{SESSIONS}/{checkout_id}/refresh", json={}, headers=browser)
    assert fresh.status_code == 200
    seen = fresh.get_json()
    issue = {"code": "fraud_block", "explain": {"reason": "fraud_block"}}
    assert seen["validation_results"][-1] == {"check": "fraud", "ok": False, **issue}
    assert seen["validation_issues"] == [issue]
    assert seen["fraud"] is None, "a shopper learns nothing of the score"
    [decision] = stored(checkout_id)
    assert (decision.action, decision.score) == ("deny", 40)
    read = client.get(f"{SESSIONS}/{checkout_id}", headers=shop.bearer).get_json()
    assert (read["version"], read["fraud"]["decision_id"]) == (seen["version"], decision.id)


def test_the_later_decision_of_session_and_payment_is_shown(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    first = score(client, shop, session.id).get_json()["decision_id"]
    shop.pay(session, "4000000000000002")
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()["fraud"]
    assert shown["decision_id"] > first
    third = score(client, shop, session.id).get_json()["decision_id"]
    [_, decision] = stored(session.id)
    assert (decision.id, decision.intent_id) == (third, shop.intent(session).id)
    assert decision.payment_method_id == shop.intent(session).payment_method_id
    shown = client.get(f"{SESSIONS}/{session.id}", headers=shop.bearer).get_json()["fraud"]
    assert shown["decision_id"] == third


def test_the_same_key_scores_a_session_once(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    answers = [score(client, shop, session.id, **{"Idempotency-Key": "k"}).get_json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(stored(session.id)) == 1


def test_eight_scores_at_once_are_eight_decisions(shop: Shop) -> None:
    session = shop.session()
    made = buyers.together(8, lambda _: scoring.score(shop.actor, session.id))
    assert all(isinstance(one, FraudDecision) for one in made), made
    assert len(stored(session.id)) == 8


def test_a_session_is_scored_by_its_merchant_alone(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    theirs, path = risks.another().bearer, f"{SESSIONS}/{session.id}/fraud/score"
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    reads, writes = reviewers.scoped(shop, "fraud:read"), reviewers.scoped(shop, "fraud:write")
    assert client.post(path, json={}, headers=theirs).status_code == 404
    assert client.post(path, json={}, headers=browser).status_code == 403
    assert client.post(path, json={}, headers=reads).status_code == 403
    assert client.post(path, json={}).status_code == 401
    assert client.post(path, json={"mood": "good"}, headers=shop.bearer).status_code == 400
    assert stored(session.id) == []
    assert client.post(path, headers=writes).status_code == 200
    assert client.get(f"{SESSIONS}/{session.id}", headers=browser).get_json()["fraud"] is None


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_a_session_that_is_over_is_not_scored(client: FlaskClient, shop: Shop, status: str) -> None:
    session = shop.session()
    assert (
        shop.pay(session) if status == "completed" else sessions.cancel(shop.actor, session.id)
    ).status == (status)
    answer = score(client, shop, session.id)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "invalid_state")
    assert stored(session.id) == []


class Remote:
    """A provider elsewhere, which remembers what it was asked."""

    remote, name = True, "http"

    def __init__(self) -> None:
        self.asked: list[Facts] = []

    def assess(self, facts: Facts, rules: Any) -> Assessment:
        """Seventy for everybody."""
        self.asked.append(facts)
        return Assessment(70)


def test_a_remote_provider_is_sent_what_is_bought(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote()
    monkeypatch.setattr(registry, "fraud", lambda tenant, secret: remote)
    session = shop.session(quantity=2)
    scored = score(client, shop, session.id).get_json()
    assert (scored["score"], scored["action"]) == (70, "challenge")
    [facts] = remote.asked
    assert (facts.amount, list(facts.lines)) == (
        session.grand_total,
        [{"sku": "MUG", "quantity": 2, "unit_price": 1500}],
    )


def test_a_provider_that_breaks_leaves_it_to_the_merchants_choice(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Remote):
        def assess(self, facts: Facts, rules: Any) -> Assessment:
            raise RuntimeError("broken")

    monkeypatch.setattr(registry, "fraud", lambda tenant, secret: Broken())
    session = shop.session()
    assert score(client, shop, session.id).get_json()["action"] == "challenge"
    [fact] = reviewers.told(session.id, "fraud.provider_failed")
    assert fact.data["after"]["problem"] == "RuntimeError"


def test_the_rules_of_checkout_say_what_each_leads_to(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(
        shop,
        fraud={"on_failure": "deny", "rules": {"disposable_email": {"enabled": False}}},
        velocity=[{"scope": "email", "max_count": 3, "window_seconds": 60}],
    )
    answer = client.get("/v1/checkout/fraud/rules", headers=shop.bearer)
    assert answer.status_code == 200
    book = answer.get_json()
    assert [rule["code"] for rule in book["data"]] == [rule.code for rule in RULES]
    mine: dict[str, Any] = {rule["code"]: rule for rule in book["data"]}
    assert mine["blocked_card"]["action"] == "cancel"
    assert mine["elevated_risk_card"]["action"] == "challenge"
    assert mine["card_velocity"]["action"] == "allow", "it adds to the score"
    assert not mine["disposable_email"]["enabled"]
    assert (book["challenge_from"], book["cancel_from"], book["on_failure"]) == (60, 90, "cancel")
    assert book["velocity"][0]["scope"] == "email"
    assert "deny" not in str(book)


def test_the_rules_of_checkout_are_for_those_who_may_read_them(client: FlaskClient, shop: Shop) -> None:
    path = "/v1/checkout/fraud/rules"
    browser = {"Authorization": f"Bearer {tokens.client_token(shop.session())}"}
    assert client.get(path).status_code == 401
    assert client.get(path, headers=browser).status_code == 403
    assert client.get(path, headers=reviewers.scoped(shop, "fraud:write")).status_code == 403
    assert client.get(path, headers=reviewers.scoped(shop, "fraud:read")).status_code == 200

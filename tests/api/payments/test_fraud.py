"""PY-063 to PY-066 over HTTP, and what a shopper sees of a limit and of a denial."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import reading
from app.domain.rules.fraud import RULES
from app.models.risk.fraud_decision import FraudDecision
from app.services.access import keys, tokens
from app.services.payments import intents, methods
from tests import risks
from tests.risks import BLOCKED, ELEVATED, HERE, HIGHEST
from tests.shops import GOOD, Shop, card

pytestmark = pytest.mark.usefixtures("holds")

SCORE, OVERRIDE = "/v1/payments/fraud/score", "/v1/payments/fraud/override"


def scoped(shop: Shop, *scopes: str) -> dict[str, str]:
    """Headers of a key that may do so much."""
    _, secret = keys.create(shop.actor, "scoped", scopes=list(scopes))
    return {"Authorization": f"Bearer {secret}"}


def confirm(
    client: FlaskClient, shop: Shop, intent_id: str, number: str, key: str = "k1", **body: Any
) -> Any:
    """Confirm over HTTP."""
    method = methods.tokenize_card(shop.actor, card(number))
    return client.post(
        f"/v1/payments/intents/{intent_id}/confirm",
        json={"payment_method_id": method.id, **body},
        headers={**shop.bearer, "Idempotency-Key": key},
    )


def count() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(FraudDecision)) or 0


def test_a_score_is_stored_told_and_known_to_the_next_confirm(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop)
    body = {
        "intent_id": intent.id,
        "ip": HERE,
        "device_fingerprint": "device-1",
        "billing_address": {"country": "GB", "line1": "1 High Street"},
        "shipping_address": {"country": "NG"},
        "customer_id": "cust_1",
    }
    answer = client.post(SCORE, json=body, headers=shop.bearer)
    assert answer.status_code == 200
    scored = answer.get_json()
    assert (scored["score"], scored["action"]) == (15, "allow")
    assert [reason["code"] for reason in scored["reasons"]] == ["billing_shipping_mismatch"]
    read = client.get(f"/v1/payments/fraud/decisions/{scored['decision_id']}", headers=shop.bearer).get_json()
    assert (read["intent_id"], read["source"], read["override"]) == (intent.id, "score", None)
    assert read["inputs"]["address"] == "81.2.69.0/24"
    assert HERE not in str(read) and "device-1" not in str(read) and "High Street" not in str(read)
    risk = client.get(f"/v1/payments/intents/{intent.id}", headers=shop.bearer).get_json()["risk"]
    assert risk == {name: scored[name] for name in ("decision_id", "score", "action", "reasons")}
    with reading() as db:
        assert db.execute(risks.counters()).all() == [], "a score is no try"
    assert confirm(client, shop, intent.id, GOOD).status_code == 200
    confirmed = risks.decisions(intent)[-1]
    assert [reason["code"] for reason in confirmed.reasons] == ["billing_shipping_mismatch"]
    assert set(confirmed.inputs["tries"]) == {"address", "device", "customer"}


def test_the_same_key_scores_once(client: FlaskClient, shop: Shop) -> None:
    body = {"intent_id": risks.intent_of(shop).id}
    headers = {**shop.bearer, "Idempotency-Key": "once"}
    first, again = (client.post(SCORE, json=body, headers=headers).get_json() for _ in range(2))
    assert first == again
    assert count() == 1


BAD_CONTEXTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"ip": "999.1.1.1"}, "ip"),
    ({"ip": 7}, "ip"),
    ({"billing_address": {"country": "Britain"}}, "billing_address.country"),
    ({"billing_address": {"planet": "Mars"}}, "billing_address.planet"),
    ({"device_fingerprint": ""}, "device_fingerprint"),
    ({"mood": "good"}, "mood"),
    ({"intent_id": None}, "intent_id"),
)


def test_a_bad_context_is_refused_and_nothing_is_stored(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop)
    for change, field in BAD_CONTEXTS:
        answer = client.post(SCORE, json={"intent_id": intent.id, **change}, headers=shop.bearer)
        assert (answer.status_code, answer.get_json()["field"]) == (400, field)
    assert count() == 0


def test_another_merchants_payment_and_decision_do_not_exist(client: FlaskClient, shop: Shop) -> None:
    intent = risks.confirm(shop, risks.intent_of(shop))
    [decision] = risks.decisions(intent)
    theirs = risks.another().bearer
    why = {"action": "allow", "reason": "mine"}
    for answer in (
        client.post(SCORE, json={"intent_id": intent.id}, headers=theirs),
        client.get(f"/v1/payments/fraud/decisions/{decision.id}", headers=theirs),
        client.post(OVERRIDE, json={"decision_id": decision.id, **why}, headers=theirs),
        client.post(OVERRIDE, json={"intent_id": intent.id, **why}, headers=theirs),
    ):
        assert answer.status_code == 404
    assert count() == 1


def test_who_may_do_what(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop)
    reads, writes = scoped(shop, "fraud:read"), scoped(shop, "fraud:write")
    why = {"intent_id": intent.id, "action": "allow", "reason": "known"}
    assert client.get("/v1/payments/fraud/rules", headers=reads).status_code == 200
    assert client.post(SCORE, json={"intent_id": intent.id}, headers=reads).status_code == 403
    assert client.post(SCORE, json={"intent_id": intent.id}, headers=writes).status_code == 200
    assert client.get("/v1/payments/fraud/rules", headers=writes).status_code == 403
    assert client.post(OVERRIDE, json=why, headers=writes).status_code == 403, "overrides are an admin's"
    session = shop.session()
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    assert client.post(SCORE, json={"intent_id": intent.id}, headers=browser).status_code == 403
    assert client.get("/v1/payments/fraud/rules").status_code == 401


def test_the_rules_are_read_as_the_merchant_has_them(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(
        shop,
        fraud={
            "deny_from": 95,
            "on_failure": "allow",
            "rules": {"card_velocity": {"weight": 7, "threshold": 2}, "disposable_email": {"enabled": False}},
        },
        velocity=[{"scope": "card", "max_count": 3, "window_seconds": 60}],
        max_authorization_amount=9000,
    )
    book = client.get("/v1/payments/fraud/rules", headers=shop.bearer).get_json()
    assert [rule["code"] for rule in book["data"]] == [rule.code for rule in RULES]
    mine = {rule["code"]: rule for rule in book["data"]}
    assert (mine["card_velocity"]["weight"], mine["card_velocity"]["threshold"]) == (7, 2)
    assert (mine["disposable_email"]["enabled"], mine["disposable_email"]["threshold"]) == (False, None)
    assert (book["challenge_from"], book["deny_from"], book["on_failure"]) == (60, 95, "allow")
    assert book["max_authorization_amount"] == 9000
    assert book["velocity"] == [{"scope": "card", "max_count": 3, "max_amount": None, "window_seconds": 60}]


def test_an_override_decides_the_next_confirm_and_no_further_one(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop, capture_mode="manual")
    denied = confirm(client, shop, intent.id, HIGHEST, "k1").get_json()
    assert denied["last_error"]["code"] == "fraud_block"
    dec = denied["risk"]["decision_id"]
    body = {"decision_id": dec, "action": "allow", "reason": "  Spoke with the buyer  "}
    answer = client.post(OVERRIDE, json=body, headers=shop.bearer)
    assert answer.status_code == 200
    view = answer.get_json()
    assert (view["action"], view["override"]["action"]) == ("deny", "allow")
    assert (view["override"]["reason"], view["override"]["by"]) == ("Spoke with the buyer", shop.actor.id)
    assert client.get(f"/v1/payments/fraud/decisions/{dec}", headers=shop.bearer).get_json() == view
    [told] = risks.facts(intent, "fraud.overridden")
    assert (told.actor_id, told.entity_id) == (shop.actor.id, dec)
    assert told.data["before"]["override_action"] is None
    assert told.data["after"]["override_action"] == "allow"
    assert told.data["after"]["reason"] == "Spoke with the buyer"

    client.post(SCORE, json={"intent_id": intent.id}, headers=shop.bearer)  # does not use it up
    paid = confirm(client, shop, intent.id, HIGHEST, "k2").get_json()
    assert (paid["status"], paid["risk"]["score"], paid["risk"]["action"]) == (
        "requires_capture",
        90,
        "allow",
    )
    [*_, last] = risks.decisions(intent)
    assert (last.override_of, last.action) == (dec, "allow")
    assert "override" not in (intents.get(shop.actor, intent.id).risk or {})


def test_an_override_that_was_used_is_spent(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop)
    client.post(SCORE, json={"intent_id": intent.id}, headers=shop.bearer)
    body = {"intent_id": intent.id, "action": "deny", "reason": "Stolen goods"}
    assert client.post(OVERRIDE, json=body, headers=shop.bearer).status_code == 200
    first = confirm(client, shop, intent.id, GOOD, "k1").get_json()
    assert first["last_error"]["code"] == "fraud_block"
    assert risks.at_the_gateway() == []
    second = confirm(client, shop, intent.id, GOOD, "k2").get_json()
    assert second["status"] == "succeeded"
    again = client.post(OVERRIDE, json=body, headers=shop.bearer)
    assert (again.status_code, again.get_json()["code"]) == (409, "invalid_state")


BAD_OVERRIDES: tuple[dict[str, Any], ...] = (
    {"reason": ""},
    {"reason": "   "},
    {"reason": None},
    {"action": "challenge"},
    {"decision_id": "dec_1"},
    {"intent_id": None},
)


def test_an_override_says_which_what_and_why(client: FlaskClient, shop: Shop) -> None:
    intent = risks.intent_of(shop)
    client.post(SCORE, json={"intent_id": intent.id}, headers=shop.bearer)
    for change in BAD_OVERRIDES:
        body = {"intent_id": intent.id, "action": "allow", "reason": "known", **change}
        assert client.post(OVERRIDE, json=body, headers=shop.bearer).status_code == 400, change
    body = {"intent_id": intent.id, "action": "allow", "reason": "card 4242 4242 4242 4242"}
    assert client.post(OVERRIDE, json=body, headers=shop.bearer).json["code"] == "card_number_refused"
    assert risks.facts(intent, "fraud.overridden") == []


def test_a_payment_that_was_never_scored_has_nothing_to_override(client: FlaskClient, shop: Shop) -> None:
    body = {"intent_id": risks.intent_of(shop).id, "action": "allow", "reason": "known"}
    assert client.post(OVERRIDE, json=body, headers=shop.bearer).status_code == 404


def test_a_browser_learns_nothing_of_the_score(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, ELEVATED)
    intent = shop.intent(session)
    browser = {"Authorization": f"Bearer {tokens.client_token(session)}"}
    path = f"/v1/payments/intents/{intent.id}"
    assert client.get(path, headers=browser).get_json()["risk"] is None
    assert client.get(path, headers=shop.bearer).get_json()["risk"]["score"] == 65


def test_a_browser_cannot_say_that_nobody_is_there(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, "4000000000000002")
    intent = shop.intent(session)
    headers = {"Authorization": f"Bearer {tokens.client_token(session)}", "Idempotency-Key": "k"}
    body = {"payment_method_id": intent.payment_method_id, "off_session": True}
    path = f"/v1/payments/intents/{intent.id}/confirm"
    assert client.post(path, json=body, headers=headers).status_code == 403
    assert client.post(path, json=body, headers={**shop.bearer, "Idempotency-Key": "k"}).status_code == 422


def test_a_limit_is_a_429_with_its_wait(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(shop, velocity=[{"scope": "card", "max_count": 1, "window_seconds": 600}])
    confirm(client, shop, risks.intent_of(shop).id, GOOD)
    refused = confirm(client, shop, risks.intent_of(shop).id, GOOD)
    assert refused.status_code == 429
    assert refused.get_json()["code"] == "velocity_limit_exceeded"
    assert int(refused.headers["Retry-After"]) == refused.get_json()["explain"]["retry_after"] > 0
    made = risks.intent_of(shop, 11)
    shop = risks.choose(shop, velocity=[], max_authorization_amount=10)
    refused = confirm(client, shop, made.id, GOOD)
    assert (refused.status_code, refused.get_json()["code"]) == (422, "tx_limit_exceeded")


def on_the_page(client: FlaskClient, shop: Shop, number: str) -> Any:
    """Type a card on a hosted page, from a public address."""
    session = shop.session()
    page = client.get(f"/pay/{session.hosted_id}").get_data(as_text=True)
    hidden = dict(re.findall(r'name="(csrf_token|nonce|quote)"[^>]*value="([^"]+)', page))
    year = str(card(number).exp_year)
    form = {**hidden, "card_number": number, "exp_month": "12", "exp_year": year, "cvc": "123"}
    return client.post(
        f"/pay/{session.hosted_id}/card",
        data=form,
        environ_overrides={"REMOTE_ADDR": HERE},
        follow_redirects=True,
    )


def test_the_page_stays_calm_about_a_limit_and_about_a_denial(client: FlaskClient, shop: Shop) -> None:
    shop = risks.choose(shop, velocity=[{"scope": "address", "max_count": 1, "window_seconds": 3600}])
    denied = on_the_page(client, shop, BLOCKED)
    assert denied.status_code == 200
    assert "Your payment was declined. No money has left your account." in denied.text
    assert "fraud_block" not in denied.text
    limited = on_the_page(client, shop, GOOD)
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 0
    assert "There have been too many tries. No money has left your account." in limited.text
    assert risks.at_the_gateway() == []

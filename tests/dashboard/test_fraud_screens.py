"""Fraud rules at the dashboard: seen, changed for the next payment, and overridden for one."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.rules.fraud import RULES
from app.services.risk import fraud
from tests import risks, shops
from tests.dashboard.people import HOME, enter, see, send, step_up
from tests.shops import Shop

HIGHEST = risks.HIGHEST


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> FlaskClient:
    """The owner, signed in."""
    enter(client, shop)
    return client


def denied(shop: Shop) -> str:
    """A payment whose only try the rules denied; its id."""
    session = shop.session()
    shop.pay(session, HIGHEST)
    return shop.intent(session).id


def typed_rules(**changes: str) -> dict[str, Any]:
    """The form as it stands, with changes."""
    form = {"challenge_from": "60", "deny_from": "90", "on_failure": "challenge", "version": "1"}
    for rule in RULES:
        form |= {f"{rule.code}.enabled": "1", f"{rule.code}.weight": str(rule.weight)}
        if rule.threshold is not None:
            form[f"{rule.code}.threshold"] = str(rule.threshold)
    return {**form, **changes}


def version(client: FlaskClient) -> str:
    return see(client, "/fraud/edit").partition('name="version" value="')[2].partition('"')[0]


def test_the_rules_are_changed_for_the_next_payment(owner: FlaskClient, shop: Shop) -> None:
    assert "The gateway sees the highest risk in the card" in see(owner, "/fraud")
    assert "action=fraud-rules" in send(owner, "/fraud/edit", **typed_rules()).location
    step_up(owner, "fraud-rules")
    now = version(owner)
    for wrong in ({"deny_from": "0"}, {"card_velocity.weight": "x"}, {"challenge_from": "95"}):
        answer = send(owner, "/fraud/edit", **typed_rules(version=now, **wrong))
        assert answer.status_code == 422 and "There is a problem" in answer.text, wrong
    lenient = typed_rules(version=now, **{"highest_risk_card.weight": "10"})
    del lenient["disposable_email.enabled"]
    assert send(owner, "/fraud/edit", **lenient).status_code == 303
    changed = Shop(shops.keys.authenticate(shop.secret), shop.secret)
    book = {rule.code: (rule.weight, enabled) for rule, enabled in fraud.rules(changed.actor).rules}
    assert book["highest_risk_card"] == (10, True) and book["disposable_email"][1] is False
    assert changed.pay(changed.session(), HIGHEST).status == "completed"
    assert send(owner, "/fraud/edit", **lenient).status_code == 409


def test_a_denied_payment_is_explained_and_let_through(owner: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, HIGHEST)
    intent_id = shop.intent(session).id
    found = owner.get(f"{HOME}/fraud?payment={intent_id}")
    assert found.location == f"{HOME}/fraud/payments/{intent_id}"
    place = f"/fraud/payments/{intent_id}"
    page = see(owner, place)
    assert "Score 90 of 100" in page and "highest risk in the card" in page and "Allow the next try" in page
    detour = send(owner, place + "/allow", reason="He is in the shop", back=f"{HOME}{place}#allow")
    assert detour.location == f"/dashboard/confirm?action=fraud-rules&next={HOME}{place}%23allow"
    assert detour.location.replace("&", "&amp;") in page, "the page asks before anything is typed"
    step_up(owner, "fraud-rules")
    assert send(owner, place + "/allow").status_code == 422
    assert fraud.of_intent(shop.actor, intent_id)[0].override_action is None
    assert send(owner, place + "/allow", reason="He is in the shop").status_code == 303
    decision = fraud.of_intent(shop.actor, intent_id)[0]
    assert (decision.override_action, decision.override_reason) == ("allow", "He is in the shop")
    assert "He is in the shop" in see(owner, place)
    assert shop.pay(session, HIGHEST, "again").status == "completed"
    assert send(owner, place + "/deny", reason="Too late").status_code == 409


def test_another_merchants_payment_is_not_found(client: FlaskClient, shop: Shop) -> None:
    enter(client, shop)
    see(client, f"/fraud?payment={denied(shops.make('Stranger'))}", 404)

"""Fraud rules at the dashboard: seen, changed for the next payment, and overridden for one."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.rules.fraud import RULES
from app.services.risk import fraud
from tests import risks, shops
from tests.desk import Desk, enter
from tests.shops import Shop

HOME = "/dashboard/test"

HIGHEST = risks.HIGHEST


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> Desk:
    """The owner, signed in."""
    return enter(client, shop)


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


def version(desk: Desk) -> str:
    return desk.page("/fraud/edit").partition('name="version" value="')[2].partition('"')[0]


def test_the_rules_are_changed_for_the_next_payment(owner: Desk, shop: Shop) -> None:
    assert "The gateway sees the highest risk in the card" in owner.page("/fraud")
    assert "action=fraud-rules" in owner.post("/fraud/edit", **typed_rules()).location
    owner.confirm("fraud-rules")
    now = version(owner)
    for wrong in ({"deny_from": "0"}, {"card_velocity.weight": "x"}, {"challenge_from": "95"}):
        answer = owner.post("/fraud/edit", **typed_rules(version=now, **wrong))
        assert answer.status_code == 422 and "There is a problem" in answer.text, wrong
    lenient = typed_rules(version=now, **{"highest_risk_card.weight": "10"})
    del lenient["disposable_email.enabled"]
    assert owner.post("/fraud/edit", **lenient).status_code == 303
    changed = Shop(shops.keys.authenticate(shop.secret), shop.secret)
    book = {rule.code: (rule.weight, enabled) for rule, enabled in fraud.rules(changed.actor).rules}
    assert book["highest_risk_card"] == (10, True) and book["disposable_email"][1] is False
    assert changed.pay(changed.session(), HIGHEST).status == "completed"
    assert owner.post("/fraud/edit", **lenient).status_code == 409


def test_a_denied_payment_is_explained_and_let_through(owner: Desk, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, HIGHEST)
    intent_id = shop.intent(session).id
    found = owner.get(f"/fraud?payment={intent_id}")
    assert found.location == f"{HOME}/fraud/payments/{intent_id}"
    place = f"/fraud/payments/{intent_id}"
    page = owner.page(place)
    assert "Score 90 of 100" in page and "highest risk in the card" in page and "Allow the next try" in page
    detour = owner.post(place + "/allow", reason="He is in the shop", back=f"{HOME}{place}#allow")
    assert detour.location == f"/dashboard/confirm?action=fraud-rules&next={HOME}{place}%23allow"
    assert detour.location.replace("&", "&amp;") in page, "the page asks before anything is typed"
    owner.confirm("fraud-rules")
    assert owner.post(place + "/allow").status_code == 422
    assert fraud.of_intent(shop.actor, intent_id)[0].override_action is None
    assert owner.post(place + "/allow", reason="He is in the shop").status_code == 303
    decision = fraud.of_intent(shop.actor, intent_id)[0]
    assert (decision.override_action, decision.override_reason) == ("allow", "He is in the shop")
    assert "He is in the shop" in owner.page(place)
    assert shop.pay(session, HIGHEST, "again").status == "completed"
    assert owner.post(place + "/deny", reason="Too late").status_code == 409


def test_another_merchants_payment_is_not_found(client: FlaskClient, shop: Shop) -> None:
    desk = enter(client, shop)
    desk.page(f"/fraud?payment={denied(shops.make('Stranger'))}", 404)

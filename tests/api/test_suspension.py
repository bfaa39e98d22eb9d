"""While a merchant is suspended: whoever has paid sees how it went, and nothing begins."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.actor import ActorKind
from app.services.access import tenants, tokens
from app.services.checkout import hosted
from app.services.operations import settings
from app.web import opens
from app.web.surface import Policy
from tests.shops import CHALLENGED, NO_FUNDS, Shop

SUSPENDED = (403, "tenant_suspended")
#: Where a browser asks how its payment stands.
TOLD = {"CK-002", "CK-022", "CK-034", "CK-056", "PY-009", "PY-060"}
FRAMED_BY = "https://shop.example"


def ask(client: FlaskClient, method: str, path: str, token: str) -> tuple[int, str]:
    answer = client.open(path, method=method, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, (answer.get_json(silent=True) or {}).get("code", "")


@pytest.mark.parametrize("begun", [True, False])
def test_a_browser_reads_its_own_payment_that_has_begun_and_may_do_nothing_else(
    app: Flask, client: FlaskClient, shop: Shop, begun: bool
) -> None:
    session, other = shop.session(), shop.session()
    session = shop.pay(session, CHALLENGED if begun else NO_FUNDS)
    shop.pay(other, CHALLENGED)
    intent = shop.intent(session)
    names = {"checkout_id": session.id, "hosted_id": session.hosted_id}
    names |= {"intent_id": intent.id, "payment_intent_id": intent.id}
    holders = {
        ActorKind.CLIENT_TOKEN: tokens.client_token(session),
        ActorKind.CLIENT_SECRET: tokens.client_secret(intent),
    }
    tenants.suspend(shop.operator)
    told = set()
    for rule in app.url_map.iter_rules():
        policy = opens.declared(app.view_functions[rule.endpoint])
        if not isinstance(policy, Policy) or "tenant_id" in rule.arguments:
            continue
        path = re.sub(r"<(?:[^:>]+:)?(\w+)>", lambda match: str(names.get(match[1], "x")), rule.rule)
        for kind in policy.auth & holders.keys():
            answered = ask(client, policy.method, path, holders[kind])
            if begun and policy.contract_id in TOLD:
                told.add(policy.contract_id)
                assert (policy.method, answered[0]) == ("GET", 200), (policy.contract_id, kind)
            else:
                assert answered == SUSPENDED, (policy.contract_id, kind)
    assert told == (TOLD if begun else set())
    theirs = f"/v1/payments/intents/{shop.intent(other).id}"
    for kind, path in (
        (ActorKind.CLIENT_TOKEN, f"/v1/checkout/sessions/{other.id}"),
        (ActorKind.CLIENT_TOKEN, theirs),
        (ActorKind.CLIENT_SECRET, theirs),
    ):
        assert ask(client, "GET", path, holders[kind])[0] == (404 if begun else 403), "somebody else's"
    assert shop.read(session).version == session.version and len(shop.attempts(session)) == 1


def test_a_frame_shows_who_paid_how_it_went_and_begins_nothing(app: Flask, shop: Shop) -> None:
    settings.change(shop.operator, {"embed_origins": [FRAMED_BY]})
    visitor = app.test_client(use_cookies=False)
    paid, asked, fresh, failed = made = [shop.session() for _ in range(4)]
    frames = {
        session.id: {"embed_token": hosted.embed_token(shop.actor, session.id)[0], "embed_origin": FRAMED_BY}
        for session in made
    }
    shop.pay(paid)
    shop.pay(asked, CHALLENGED)
    for number in range(5):
        shop.pay(failed, NO_FUNDS, nonce=f"n{number}")
    tenants.suspend(shop.operator)
    steps = {session.id: visitor.post("/embed", data=frames[session.id]) for session in (paid, asked, fresh)}
    assert 'data-step="receipt"' in steps[paid.id].text and 'data-step="action"' in steps[asked.id].text
    closed = [steps[fresh.id]]
    closed.append(visitor.post(f"/pay/{asked.hosted_id}/another-way", data=frames[asked.id]))
    closed.append(visitor.post("/embed", data=frames[asked.id]))
    for answer in closed:
        assert answer.status_code == 403 and "This shop takes no payments at the moment." in answer.text
    assert shop.read(asked).status == "reserved", "what was under way was given up"
    over = visitor.post(f"/pay/{failed.hosted_id}/again", data=frames[failed.id])
    assert over.status_code == 200 and "/again" not in over.text, "nor does it begin again"
    tenants.resume(shop.operator)
    again = visitor.post(f"/pay/{failed.hosted_id}/again", data=frames[failed.id])
    assert 'data-step="pay"' in again.text

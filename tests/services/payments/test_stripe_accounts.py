"""Merchants with Stripe accounts of their own: each pays, is told and looked up over its own keys."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.errors import InvalidRequest
from app.models.payments.connector import ConnectorAccount
from app.services.checkout import payment
from app.services.events import inbound
from app.services.operations import jobs
from app.services.payments import connectors, gateway, intents, methods
from app.services.payments.intents import IntentDraft
from app.worker.queue import run_job
from tests.accounts import account
from tests.shops import Shop, later, make
from tests.stripe_standin import StandIn

pytestmark = pytest.mark.usefixtures("holds")

KEY, SECRET = "sk_test_of_this_merchant", "whsec_of_this_merchant"


@pytest.fixture
def own(shop: Shop, standin: StandIn) -> ConnectorAccount:
    """The shop's Stripe account, before the sandbox."""
    return account(shop.actor, 10, type_="stripe", secret_key=KEY, webhook_secret=SECRET)


def book(standin: StandIn) -> Any:
    return standin.account(KEY)


def test_a_payment_over_the_merchants_own_account(
    shop: Shop, own: ConnectorAccount, standin: StandIn
) -> None:
    session = shop.session()
    payment.pay_by_redirect(shop.actor, session.id, "card", payment.Order("n1"))
    [attempt] = shop.attempts(session)
    assert (attempt.connector, attempt.connector_id) == ("stripe", own.id)
    assert attempt.gateway_reference is not None
    there = book(standin).pay_session(attempt.gateway_reference)
    raw, headers = standin.event(
        "checkout.session.completed", book(standin).objects[attempt.gateway_reference], SECRET
    )
    assert inbound.receive(raw, headers)
    for job_id in jobs.due():
        run_job(job_id)
    assert shop.read(session).status == "completed"
    assert there["amount_received"] == there["amount"]
    assert set(standin.accounts) == {KEY}


def test_what_else_happens_on_the_merchants_own_account_is_acknowledged(
    shop: Shop, own: ConnectorAccount, standin: StandIn, client: FlaskClient
) -> None:
    """Else Stripe would call again for days, and then no more: the merchant's address tells whose it is."""
    customer = {"id": "cus_1", "object": "customer", "metadata": {}}

    def answer(tenant_id: str, secret: str = SECRET) -> int:
        raw, headers = standin.event("customer.created", customer, secret)
        return client.post(f"/v1/{tenant_id}/payments/webhook/gateway", data=raw, headers=headers).status_code

    assert answer(shop.actor.tenant_id) == 200
    assert answer(shop.actor.tenant_id, "whsec_of_a_stranger") == 401
    assert answer(make("Another shop").actor.tenant_id) == 401
    assert answer("ten_nobody") == 401
    connectors.rotate(shop.actor, own.id, {"webhook_secret": "whsec_of_the_renewed"}, grace_seconds=60)
    assert answer(shop.actor.tenant_id) == answer(shop.actor.tenant_id, "whsec_of_the_renewed") == 200


def test_a_lost_answer_is_looked_up_at_the_same_account(
    shop: Shop, own: ConnectorAccount, standin: StandIn
) -> None:
    standin.fail("POST /v1/checkout/sessions", drop="after")
    method = methods.redirect(shop.actor, "card")
    intent = intents.create(shop.actor, IntentDraft(5000, "GBP", payment_method_id=method.id))
    intents.confirm(shop.actor, intent.id, nonce="n1")
    with later(40):
        payment.sweep()
    assert intents.get(shop.actor, intent.id).status == "requires_action"


def test_another_merchant_has_no_part_in_it(shop: Shop, own: ConnectorAccount, standin: StandIn) -> None:
    other = make("Another shop")
    assert "card" in gateway.hosted_types(shop.actor)
    assert gateway.hosted_types(other.actor) == frozenset()


@pytest.mark.parametrize(
    "secret_key",
    [
        "",
        "pk_test_12345678",
        "sk_test_short",
        "sk_test_with spaces in",
        "sk_prod_12345678",
        "sk_test_ünïcödé_1234",
    ],
)
def test_what_is_no_secret_key_is_refused(shop: Shop, secret_key: str) -> None:
    with pytest.raises(InvalidRequest):
        account(shop.actor, type_="stripe", secret_key=secret_key)


def test_the_account_is_tried_and_its_key_masked(shop: Shop, own: ConnectorAccount, standin: StandIn) -> None:
    found, _ = gateway.ping(own)
    assert found.ok
    standin.refused_keys.add(KEY)
    found, _ = gateway.ping(own)
    assert found.refused
    assert KEY not in str(vars(connectors.get(shop.actor, own.id)))

"""The order of checks of OP-10, on each surface: of all that is wrong with a call the first is told.

A call begins with everything wrong and is mended one thing at a time: credential, tenant, rate limit,
permission, second factor, body, look-up, state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import settings
from app.factory import create_app
from app.kit import clock
from app.services.access import keys, tokens, users
from app.services.checkout import links
from app.services.checkout.links import LinkDraft
from tests.checkout_api import Checkout
from tests.shops import Shop, make


@dataclass(frozen=True)
class Steps:
    """One endpoint of a surface: where it is, what it wants, and the words of its errors."""

    method: str
    url: str
    scope: str
    bad: dict[str, Any]
    good: dict[str, Any]
    #: The field of its errors that tells them apart.
    code: str = "code"
    header: str = "Authorization"


CHECKOUT = Steps(
    "POST",
    "/v1/checkout/payment-intents/{id}/capture",
    "intents:write",
    {"amount": "much"},
    {"amount": 100},
)
PAYMENTS = Steps("POST", "/v1/payments/intents/{id}/capture", "intents:write", {"amount": "much"}, {})
MERCHANT = Steps(
    "POST",
    "/api/v1/checkout/sessions",
    "sessions:write",
    {"amount": 0, "currency": "GBP", "reference": "1"},
    {"amount": 100, "currency": "GBP", "reference": "1"},
)
SESSIONS = Steps(
    "POST",
    "/checkout-sessions",
    "sessions:write",
    {"amount": 10, "currency_code": "GBP", "title": "Mug"},
    {"amount": 10, "currency_code": "GBP", "title": "Mug", "customer_email": "a@b.example"},
    "message",
    "x-api-key",
)


@pytest.fixture
def client(database: str) -> FlaskClient:
    """The app with one write and one read a second."""
    changes = {"api_reads_per_second": 1, "api_writes_per_second": 1, "log_level": "CRITICAL"}
    return create_app(settings.current().model_copy(update=changes)).test_client()


class Caller:
    """Calls of one endpoint, each with a fresh key unless it says otherwise."""

    def __init__(self, client: FlaskClient, shop: Shop, steps: Steps) -> None:
        self.client, self.shop, self.steps, self.number = client, shop, steps, 0

    def key(self, scope: str) -> str:
        """A key of its own, so that no earlier call counts against it."""
        self.number += 1
        return keys.create(self.shop.actor, f"key {self.number}", scopes=[scope])[1]

    def call(
        self, credential: str | None, body: dict[str, Any], id_: str = "none", **headers: str
    ) -> tuple[int, str]:
        """Status and word."""
        sent = {"Idempotency-Key": f"k{self.number}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if credential is not None:
            sent[self.steps.header] = credential
        url = self.steps.url.format(id=id_)
        answer = self.client.open(url, method=self.steps.method, json=body, headers=sent)
        assert answer.json is not None
        return answer.status_code, str(answer.json[self.steps.code])


#: What each surface says, in this order: no credential, another tenant, too many, no permission.
WORDS = {
    "checkout": [
        (401, "unauthenticated"),
        (403, "tenant_mismatch"),
        (429, "rate_limit_exceeded"),
        (403, "insufficient_permissions"),
    ],
    "merchant": [
        (401, "UNAUTHENTICATED"),
        (403, "TENANT_MISMATCH"),
        (429, "RATE_LIMIT_EXCEEDED"),
        (403, "INSUFFICIENT_PERMISSIONS"),
    ],
    "sessions": [
        (401, "Invalid API key"),
        (403, "The credential belongs to another tenant"),
        (429, "Rate limit exceeded"),
        (403, "Missing sessions:write permission"),
    ],
}
WORDS["payments"] = WORDS["checkout"]


@pytest.mark.parametrize("name", ["checkout", "payments", "merchant", "sessions"])
def test_the_first_that_is_wrong_is_told(client: FlaskClient, shop: Shop, name: str) -> None:
    steps = {"checkout": CHECKOUT, "payments": PAYMENTS, "merchant": MERCHANT, "sessions": SESSIONS}[name]
    caller = Caller(client, shop, steps)
    with clock.frozen(clock.now()):
        used = caller.key("health:read")
        caller.call(used, steps.bad)
        told = [caller.call(None, steps.bad, X_Tenant="other")]
        told += [caller.call(used, steps.bad, X_Tenant="other")]
        told += [caller.call(used, steps.bad)]
        told += [caller.call(caller.key("health:read"), steps.bad)]
        assert told == WORDS[name]
        status, _ = caller.call(caller.key(steps.scope), steps.bad)
        assert status == 400, "the body, before anything is looked up"


def test_the_second_factor_comes_before_the_body_and_after_the_permission(
    client: FlaskClient, shop: Shop
) -> None:
    caller, told = Caller(client, shop, MERCHANT), []
    for role in ("read_only", "payments_admin"):
        person = users.create(shop.actor.tenant_id, f"{role}@shop.example", "A", role, "long enough words")
        told.append(caller.call(tokens.mint_jwt(tokens.person(person.id, "test")), MERCHANT.bad))
    assert told == [(403, "INSUFFICIENT_PERMISSIONS"), (401, "MFA_CHALLENGE_REQUIRED")]


@pytest.mark.parametrize("steps", [CHECKOUT, PAYMENTS], ids=["checkout", "payments"])
def test_what_is_not_there_is_told_after_the_body_and_before_the_state(
    client: FlaskClient, shop: Shop, steps: Steps
) -> None:
    session, caller = shop.session(), Caller(client, shop, steps)
    intent = shop.intent(shop.pay(session))
    scope = steps.scope
    assert caller.call(caller.key(scope), steps.bad)[0] == 400
    assert caller.call(caller.key(scope), steps.good)[0] == 404
    assert caller.call(caller.key(scope), steps.good, intent.id)[0] == 409


def test_a_browser_is_told_of_its_body_before_of_another_session(app: Flask, shop: Shop) -> None:
    client, mine, other = app.test_client(), shop.session(), shop.session()
    headers = {"Authorization": f"Bearer {tokens.client_token(mine)}"}
    url = f"/v1/checkout/sessions/{other.id}/contact"
    answers = [client.post(url, json={"email": email}, headers=headers) for email in (1, "a@b.example")]
    assert [answer.status_code for answer in answers] == [400, 404]


def test_either_header_names_the_tenant_and_both_have_to_agree(app: Flask, shop: Shop) -> None:
    client, profile, other = app.test_client(), shop.actor.tenant, make("Other")
    urls = [
        ("/v1/checkout/settings", "Authorization", "tenant_mismatch"),
        ("/v1/payments/settings", "Authorization", "tenant_mismatch"),
        (f"/v1/{profile.slug}/payments/settings", "Authorization", "tenant_mismatch"),
        ("/api/v1/checkout/sessions/none", "Authorization", "TENANT_MISMATCH"),
        ("/checkout-sessions", "x-api-key", "The credential belongs to another tenant"),
    ]
    for url, header, word in urls:
        for mine in (profile.id, profile.slug, profile.public_id):
            sent = {header: shop.secret, "X-Tenant": mine, "X-Tenant-ID": profile.id}
            assert client.get(url, headers=sent).status_code in (200, 404), url
        for wrong in (
            {"X-Tenant": other.actor.tenant.slug},
            {"X-Tenant-ID": other.actor.tenant_id},
            {"X-Tenant": profile.slug, "X-Tenant-ID": "nobody"},
            {"X-Tenant": "nobody", "X-Tenant-ID": profile.slug},
        ):
            answer = client.get(url, headers={header: shop.secret, **wrong})
            assert answer.status_code == 403, (url, wrong)
            assert word in answer.text


def test_pages_of_other_sites_may_call_what_browsers_are_meant_to_call(app: Flask, shop: Shop) -> None:
    client, one = app.test_client(), Checkout(app.test_client(), shop)
    links.create(shop.actor, LinkDraft("Mug", "GBP", slug="mug", amount=1500))
    opened = one.opened()["id"]
    asked = {"Origin": "https://shop.example"}
    open_ones = [
        ("GET", f"/v1/checkout/sessions/{one.session.id}"),
        ("GET", f"/v1/payments/intents/{opened}"),
        ("GET", f"/v1/{shop.actor.tenant.slug}/payments/intents/{opened}"),
        ("GET", "/api/v1/links/mug"),
        ("POST", "/api/v1/links/mug/checkout"),
    ]
    closed = [
        ("PATCH", f"/v1/payments/intents/{opened}"),
        ("POST", "/v1/payments/refunds"),
        ("POST", "/v1/auth/token"),
        ("GET", "/checkout-sessions"),
        ("POST", "/v1/checkout/webhook/payment"),
        ("POST", "/dashboard/sign-in"),
    ]
    for pairs, wanted in ((open_ones, "*"), (closed, None)):
        for method, url in pairs:
            preflight = client.options(url, headers={**asked, "Access-Control-Request-Method": method})
            assert preflight.headers.get("Access-Control-Allow-Origin") == wanted, (method, url)
            answer = client.open(url, method=method, headers={**asked, **shop.bearer})
            assert answer.headers.get("Access-Control-Allow-Origin") == wanted, (method, url)
            assert "Access-Control-Allow-Credentials" not in answer.headers
    unknown = client.get(f"/v1/checkout/sessions/{one.session.id}", headers=asked)
    assert (unknown.status_code, unknown.headers["Access-Control-Allow-Origin"]) == (401, "*"), (
        "a page reads why it is refused"
    )
    sent = client.options(
        "/api/v1/links/mug", headers={**asked, "Access-Control-Request-Method": "GET"}
    ).headers["Access-Control-Allow-Headers"]
    assert {"Authorization", "Idempotency-Key", "X-Tenant", "X-Tenant-ID"} <= set(sent.split(", "))

"""Who gets in: keys, client tokens, tenants and permissions, in the order of OP-10."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.kit import clock
from app.models.access.api_key import ApiKey
from app.services.access import keys, tokens
from tests.shops import Shop, later, make

LINE = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}
CART = {"cart_snapshot": {"currency": "GBP", "lines": [LINE]}}


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "Bearer sk_test_short"},
        {"Authorization": "Bearer sk_test_" + "a" * 49},
        {"Authorization": "Bearer pub_x.y"},
        {"Authorization": "Bearer pub_é"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer \x7f"},
    ],
)
def test_without_a_good_credential_nothing_is_said(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/v1/checkout/sessions", json={"nonsense": 1}, headers=headers)
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["code"] == "unauthenticated"
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]


def test_a_mistyped_key_is_refused_without_a_look_up(client: FlaskClient, shop: Shop) -> None:
    wrong = shop.secret[:-7] + ("A" if shop.secret[-7] != "A" else "B") + shop.secret[-6:]
    assert client.get("/v1/checkout/sessions/chk_1", headers=bearer(wrong)).status_code == 401


def test_a_key_comes_with_or_without_the_word_bearer(client: FlaskClient, shop: Shop) -> None:
    for value in (f"Bearer {shop.secret}", f"bearer  {shop.secret}", shop.secret):
        answer = client.post("/v1/checkout/sessions", json=CART, headers={"Authorization": value})
        assert answer.status_code == 201, value


def test_the_sessions_surface_takes_x_api_key_alone(client: FlaskClient, shop: Shop) -> None:
    assert client.get("/checkout-sessions", headers={"x-api-key": shop.secret}).status_code == 200
    for headers in (shop.bearer, {"x-api-key": "sk_test_wrong"}, {}):
        answer = client.get("/checkout-sessions", headers=headers)
        assert (answer.status_code, answer.json) == (
            401,
            {"statusCode": 401, "message": "Invalid API key"},
        )


def test_a_revoked_key_is_refused_on_the_next_request(client: FlaskClient, shop: Shop) -> None:
    key, secret = keys.create(shop.actor, "short-lived")
    url = "/v1/checkout/sessions/chk_none"
    assert client.get(url, headers=bearer(secret)).status_code == 404
    keys.revoke(shop.actor, key.id)
    assert client.get(url, headers=bearer(secret)).status_code == 401
    assert client.get(url, headers=shop.bearer).status_code == 404


def test_an_expired_key_is_refused(client: FlaskClient, shop: Shop) -> None:
    _, secret = keys.create(shop.actor, "an hour", expires_in_seconds=3600)
    url = "/v1/checkout/sessions/chk_none"
    assert client.get(url, headers=bearer(secret)).status_code == 404
    with later(3601):
        assert client.get(url, headers=bearer(secret)).status_code == 401


def test_the_last_use_of_a_key_is_written_once_a_minute(client: FlaskClient, shop: Shop) -> None:
    def last_use() -> Any:
        with reading() as db:
            return db.scalar(select(ApiKey.last_used_at).where(ApiKey.id == shop.actor.id))

    start = clock.now() + timedelta(hours=1)
    with clock.frozen(start):
        keys.authenticate(shop.secret)
    with clock.frozen(start + timedelta(seconds=59)):
        keys.authenticate(shop.secret)
    assert last_use() == start
    with clock.frozen(start + timedelta(seconds=61)):
        keys.authenticate(shop.secret)
    assert last_use() == start + timedelta(seconds=61)


def test_scopes_say_what_a_key_may_do(client: FlaskClient, shop: Shop) -> None:
    _, reader = keys.create(shop.actor, "reader", scopes=["checkout:read"])
    refused = client.post("/v1/checkout/sessions", json={"bad": 1}, headers=bearer(reader))
    assert refused.status_code == 403, "permission is looked at before the body"
    assert refused.json is not None
    assert refused.json["code"] == "insufficient_permissions"
    assert refused.json["error"] == "Missing checkout:write permission"
    session = shop.session()
    assert client.get(f"/v1/checkout/sessions/{session.id}", headers=bearer(reader)).status_code == 200


def test_the_named_tenant_has_to_be_the_credentials_own(client: FlaskClient, shop: Shop) -> None:
    profile = shop.actor.tenant
    for header in ("X-Tenant-ID", "X-Tenant"):
        for name in (profile.id, profile.slug, profile.public_id):
            answer = client.post("/v1/checkout/sessions", json=CART, headers={**shop.bearer, header: name})
            assert answer.status_code == 201
        answer = client.post(
            "/v1/checkout/sessions", json=CART, headers={**shop.bearer, header: "somebody-else"}
        )
        assert answer.status_code == 403
        assert answer.json is not None
        assert answer.json["code"] == "tenant_mismatch"


def test_the_payments_surface_is_also_at_its_tenants_path(client: FlaskClient, shop: Shop) -> None:
    body = {"amount": 1000, "currency": "GBP"}
    headers = {**shop.bearer, "Idempotency-Key": "one"}
    slug = shop.actor.tenant.slug
    made = client.post(f"/v1/{slug}/payments/intents", json=body, headers=headers)
    assert made.status_code == 201
    again = client.post("/v1/payments/intents", json=body, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true", "one endpoint at two paths"
    assert again.json == made.json
    wrong = client.post("/v1/somebody/payments/intents", json=body, headers=headers)
    assert wrong.status_code == 403
    assert wrong.json is not None
    assert wrong.json["code"] == "tenant_mismatch"


def test_another_merchants_things_are_not_there(client: FlaskClient, shop: Shop) -> None:
    other, session = make("Other shop"), shop.session()
    paid = shop.pay(session)
    assert paid.payment_intent_id is not None
    for url in (
        f"/v1/checkout/sessions/{session.id}",
        f"/v1/checkout/payment-intents/{paid.payment_intent_id}",
        f"/v1/checkout/hosted/{session.hosted_id}/status",
        f"/v1/payments/intents/{paid.payment_intent_id}",
    ):
        assert client.get(url, headers=shop.bearer).status_code == 200, url
        assert client.get(url, headers=other.bearer).status_code == 404, url
    _, live = keys.create(shop.actor, "live", mode="live")
    url = f"/v1/checkout/sessions/{session.id}"
    assert client.get(url, headers=bearer(live)).status_code == 404, "test and live never mix"


def test_a_client_token_opens_its_own_session_only(client: FlaskClient, shop: Shop) -> None:
    mine, other = shop.session(), shop.session()
    shop.pay(mine, nonce="a")
    shop.pay(other, nonce="b")
    headers = bearer(tokens.client_token(mine))
    pairs = [
        ("/v1/checkout/sessions/{}", mine.id, other.id),
        ("/v1/checkout/hosted/{}/status", mine.hosted_id, other.hosted_id),
        ("/v1/checkout/payment-intents/{}", shop.intent(mine).id, shop.intent(other).id),
        ("/v1/payments/intents/{}", shop.intent(mine).id, shop.intent(other).id),
    ]
    for url, own, foreign in pairs:
        assert client.get(url.format(own), headers=headers).status_code == 200, url
        assert client.get(url.format(foreign), headers=headers).status_code == 404, url
    confirm = client.post(
        f"/v1/payments/intents/{shop.intent(other).id}/confirm",
        json={},
        headers={**headers, "Idempotency-Key": "k"},
    )
    assert confirm.status_code == 404


def test_a_client_token_is_no_servers_key(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    headers = bearer(tokens.client_token(session))
    for url, body in (
        ("/v1/checkout/sessions", CART),
        (f"/v1/checkout/sessions/{session.id}/hosted-url", {}),
        ("/v1/payments/refunds", {}),
        ("/v1/checkout/webhooks", {}),
    ):
        answer = client.post(url, json=body, headers=headers)
        assert answer.status_code == 403, url


def test_a_client_token_ends_with_its_session_and_cannot_be_altered(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    token, url = tokens.client_token(session), f"/v1/checkout/sessions/{session.id}"
    middle = len(token) // 2
    altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    assert client.get(url, headers=bearer(altered)).status_code == 401
    with clock.frozen(session.expires_at + timedelta(seconds=1)):
        assert client.get(url, headers=bearer(token)).status_code == 401


def test_a_publishable_key_creates_sessions_and_nothing_else(client: FlaskClient, shop: Shop) -> None:
    _, publishable = keys.create(shop.actor, "shop front", kind="pk")
    shop.offer(LINE["sku"], LINE["unit_price"])
    made = client.post("/v1/checkout/sessions", json=CART, headers=bearer(publishable))
    assert made.status_code == 201
    assert made.json is not None
    url = f"/v1/checkout/sessions/{made.json['checkout_id']}"
    assert client.get(url, headers=bearer(publishable)).status_code == 403
    assert client.get(url, headers=bearer(made.json["client_token"])).status_code == 200
    refused = client.post("/checkout-sessions", json={}, headers={"x-api-key": publishable})
    assert refused.status_code == 403

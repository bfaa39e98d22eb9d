"""Webhooks over both surfaces: one store, secrets shown once, trials, the gateway's events (CK-039…, PY-053…)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from standardwebhooks import Webhook

from app.connectors.sandbox import notices
from app.db import transaction
from app.models.events.delivery import Delivery
from app.services.access import keys
from app.services.events import audit
from app.services.operations import inbound_secrets
from tests import receiver as receivers
from tests import shops
from tests.receiver import Receiver
from tests.shops import Shop

SURFACES = ["/v1/checkout", "/v1/payments"]
BODY = {"url": "https://merchant.example/hooks", "events": ["payment.succeeded", "checkout.completed"]}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A merchant's receiver."""
    with receivers.running(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.mark.parametrize("surface", SURFACES)
def test_an_endpoint_is_made_listed_and_removed(client: FlaskClient, shop: Shop, surface: str) -> None:
    made = client.post(f"{surface}/webhooks", json=BODY, headers=shop.bearer)
    assert made.status_code == 201
    view = made.get_json()
    assert view["id"].startswith("whk_") and view["secret"].startswith("whsec_")
    assert (view["url"], view["events"], view["status"]) == (BODY["url"], sorted(BODY["events"]), "active")
    for other in SURFACES:
        listed = client.get(f"{other}/webhooks", headers=shop.bearer).get_json()
        assert [row["id"] for row in listed["data"]] == [view["id"]]
        assert listed["data"][0].get("secret") is None
    gone = client.delete(f"{surface}/webhooks/{view['id']}", headers=shop.bearer)
    assert (gone.status_code, gone.data) == (204, b"")
    assert client.delete(f"{surface}/webhooks/{view['id']}", headers=shop.bearer).status_code == 404
    assert client.get(f"{surface}/webhooks", headers=shop.bearer).get_json()["data"] == []


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://x"},
        {"url": "http://10.0.0.1/"},
        {"events": []},
        {"events": ["nothing.happened"]},
        {"secret": "short"},
        {"url": None},
        {"events": "payment.succeeded"},
        {"unknown_field": 1},
    ],
)
def test_what_is_wrong_is_named(
    client: FlaskClient, shop: Shop, surface: str, changes: dict[str, object]
) -> None:
    answer = client.post(f"{surface}/webhooks", json={**BODY, **changes}, headers=shop.bearer)
    assert answer.status_code == 400
    assert next(iter(changes)) in json.dumps(answer.get_json())
    assert client.get(f"{surface}/webhooks", headers=shop.bearer).get_json()["data"] == []


def test_a_key_without_the_scope_or_of_another_merchant_sees_nothing(client: FlaskClient, shop: Shop) -> None:
    made = client.post("/v1/checkout/webhooks", json=BODY, headers=shop.bearer).get_json()
    _, narrow = keys.create(shop.actor, "narrow", scopes=["refunds:read"])
    for path in ("/v1/checkout/webhooks", "/v1/payments/webhooks"):
        assert client.get(path, headers={"Authorization": f"Bearer {narrow}"}).status_code == 403
        assert client.get(path).status_code == 401
    other = shops.make("Other shop")
    assert client.delete(f"/v1/checkout/webhooks/{made['id']}", headers=other.bearer).status_code == 404
    trial = {"webhook_id": made["id"], "event": "payment.succeeded"}
    assert client.post("/v1/payments/webhooks/test", json=trial, headers=other.bearer).status_code == 404


@pytest.mark.parametrize("surface", SURFACES)
def test_a_trial_tells_what_the_endpoint_answered(
    client: FlaskClient, shop: Shop, receiver: Receiver, surface: str
) -> None:
    path = f"/ok{surface}/{shop.actor.tenant_id}"
    made = client.post(
        f"{surface}/webhooks", json={**BODY, "url": receiver.url(path)}, headers=shop.bearer
    ).get_json()
    headers = {**shop.bearer, "Idempotency-Key": "trial-1"}
    body = {"webhook_id": made["id"], "event": "checkout.completed"}
    first = client.post(f"{surface}/webhooks/test", json=body, headers=headers)
    again = client.post(f"{surface}/webhooks/test", json=body, headers=headers)
    assert first.status_code == again.status_code == 200
    assert first.get_json() == again.get_json()
    shown = first.get_json()
    assert (shown["delivered"], shown["http_status"], shown["webhook_id"]) == (True, 200, made["id"])
    [request] = receiver.requests(path)
    assert Webhook(made["secret"]).verify(request.body, request.headers)["id"] == shown["event_id"]
    unknown = client.post(f"{surface}/webhooks/test", json={**body, "event": "x.y"}, headers=shop.bearer)
    assert unknown.status_code == 400


def test_given_up_deliveries_are_sent_again_by_an_administrator(client: FlaskClient, shop: Shop) -> None:
    client.post("/v1/payments/webhooks", json=BODY, headers=shop.bearer)
    shop.pay(shop.session())
    audit.seal()
    with transaction() as db:
        db.execute(update(Delivery).values(status="exhausted"))
    path = "/v1/payments/maintenance/retry-failed-webhooks"
    _, narrow = keys.create(shop.actor, "narrow", scopes=["webhooks:write"])
    assert client.post(path, headers={"Authorization": f"Bearer {narrow}"}).status_code == 403
    answer = client.post(path, headers=shop.bearer)
    assert (answer.status_code, answer.get_json()) == (202, {"count": 2})
    assert client.post(path, headers=shop.bearer).get_json() == {"count": 0}


@pytest.mark.parametrize("path", ["/v1/payments/webhook/gateway", "/v1/checkout/webhook/payment"])
def test_the_gateways_events_are_taken_and_forged_ones_refused(
    client: FlaskClient, shop: Shop, path: str
) -> None:
    shop.pay(shop.session())
    answers = []

    def post(_url: str, raw: bytes, headers: dict[str, str]) -> int:
        forged = {**headers, "X-Webhook-Signature": headers["X-Webhook-Signature"][:-1] + "0"}
        if forged == headers:
            forged["X-Webhook-Signature"] = headers["X-Webhook-Signature"][:-1] + "1"
        assert client.post(path, data=raw, headers=forged).status_code == 401
        assert client.post(path, data=raw).status_code == 401
        for _ in range(2):
            answers.append(client.post(path, data=raw, headers=headers))
        return answers[-1].status_code

    notices.send_due(post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")
    assert answers
    assert {answer.status_code for answer in answers} == {200}
    assert {json.dumps(answer.get_json()) for answer in answers} == {'{"received": true}'}

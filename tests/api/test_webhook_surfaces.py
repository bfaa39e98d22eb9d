"""Webhooks over both surfaces: one store, secrets shown once, trials, the gateway's events (CK-039…, PY-053…)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from standardwebhooks import Webhook

from app.connectors.sandbox import notices
from app.db import transaction
from app.domain.event_types import PUBLISHED
from app.kit import clock
from app.models.events.delivery import Delivery
from app.services.access import keys, tokens, users
from app.services.checkout import sessions
from app.services.events import audit, deliveries, webhooks
from app.services.operations import inbound_secrets
from tests import receiver as receivers
from tests import shops
from tests.receiver import Receiver
from tests.shops import Shop, later

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
    assert (shown["error"], shown["hint"]) == (None, None)
    [request] = receiver.requests(path)
    assert Webhook(made["secret"]).verify(request.body, request.headers)["id"] == shown["event_id"]
    unknown = client.post(f"{surface}/webhooks/test", json={**body, "event": "x.y"}, headers=shop.bearer)
    assert unknown.status_code == 400


HOOKS = "/v1/payments/webhooks"


def test_the_events_of_a_sale_and_of_an_expiry_say_what_was_before(shop: Shop) -> None:
    wanted = sorted(str(name) for name in PUBLISHED if name.startswith(("checkout.", "payment.")))
    webhooks.create(shop.actor, str(BODY["url"]), wanted)
    sold, left = shop.session(), shop.session()
    shop.pay(sold)
    with later(90_000):
        assert sessions.expire_due() == 1
    audit.seal()
    told = {}
    for row in deliveries.list_page(shop.actor).data:
        data = json.loads(row.body)["data"]
        told[row.event_type, data["checkout_id"]] = (
            (data["before"] or {}).get("status"),
            data["after"]["status"],
        )
    assert told == {
        ("checkout.created", sold.id): (None, "created"),
        ("payment.succeeded", sold.id): ("authorized", "succeeded"),
        ("checkout.completed", sold.id): ("payment_processing", "completed"),
        ("checkout.session.completed", sold.id): ("payment_processing", "completed"),
        ("checkout.created", left.id): (None, "created"),
        ("checkout.canceled", left.id): ("created", "canceled"),
        ("checkout.session.expired", left.id): ("created", "canceled"),
    }


def test_an_endpoint_is_changed_switched_off_and_on(client: FlaskClient, shop: Shop) -> None:
    made = client.post(HOOKS, json=BODY, headers=shop.bearer).get_json()
    path = f"{HOOKS}/{made['id']}"
    shown = client.get(path, headers=shop.bearer).get_json()
    assert shown == {**made, "secret": None}
    changes = {"url": "https://merchant.example/2", "events": ["refund.failed"], "description": "Second"}
    changed = client.patch(path, json=changes, headers=shop.bearer).get_json()
    assert changed == {**shown, **changes}
    assert client.patch(path, json={}, headers=shop.bearer).get_json() == changed
    off = client.patch(path, json={"status": "disabled"}, headers=shop.bearer).get_json()
    assert (off["status"], off["disabled_reason"]) == ("disabled", "switched off")
    on = client.patch(path, json={"status": "active"}, headers=shop.bearer).get_json()
    assert on == changed
    for wrong in (
        {"url": "http://10.0.0.1"},
        {"events": ["x.y"]},
        {"events": []},
        {"status": "off"},
        {"x": 1},
    ):
        answer = client.patch(path, json=wrong, headers=shop.bearer)
        assert answer.status_code == 400 and next(iter(wrong)) in json.dumps(answer.get_json())
    assert client.get(path, headers=shop.bearer).get_json() == changed


def test_a_secret_is_rolled_and_both_sign_for_a_day(
    client: FlaskClient, shop: Shop, receiver: Receiver
) -> None:
    path = f"/ok/rolled/{shop.actor.tenant_id}"
    made = client.post(HOOKS, json={**BODY, "url": receiver.url(path)}, headers=shop.bearer).get_json()
    roll = f"{HOOKS}/{made['id']}/roll-secret"
    headers = {**shop.bearer, "Idempotency-Key": "roll-1"}
    rolled = client.post(roll, json={}, headers=headers).get_json()
    assert client.post(roll, json={}, headers=headers).get_json() == rolled, "a repetition rolls nothing"
    assert rolled["id"] == made["id"] and rolled["secret"] not in (None, made["secret"])
    client.post(
        f"{HOOKS}/test", json={"webhook_id": made["id"], "event": "payment.succeeded"}, headers=shop.bearer
    )
    [request] = receiver.requests(path)
    for secret in (made["secret"], rolled["secret"]):
        assert Webhook(secret).verify(request.body, request.headers)
    until = datetime.fromisoformat(rolled["previous_secret_until"])
    assert timedelta(hours=23) < until - clock.now() <= timedelta(hours=24)
    own = client.post(roll, json={"secret": "a secret of my own"}, headers=shop.bearer).get_json()
    assert own["secret"] is None
    assert client.post(roll, json={"secret": "short"}, headers=shop.bearer).status_code == 400


def test_deliveries_are_listed_looked_into_and_sent_again(
    client: FlaskClient, shop: Shop, receiver: Receiver
) -> None:
    url = receiver.url(f"/status/302/{shop.actor.tenant_id}")
    hook = client.post(HOOKS, json={**BODY, "url": url}, headers=shop.bearer).get_json()["id"]
    shop.pay(shop.session())
    audit.seal()
    [first, second] = deliveries.due()
    claimed = deliveries.claim(first)
    assert claimed is not None
    sender = deliveries.new_client()
    deliveries.deliver(claimed, sender, last=True)
    sender.close()

    def listed(**query: str) -> list[dict[str, Any]]:
        answer = client.get(f"{HOOKS}/deliveries", query_string=query, headers=shop.bearer)
        assert answer.status_code == 200
        rows: list[dict[str, Any]] = answer.get_json()["data"]
        return rows

    assert [row["id"] for row in listed()] == sorted([first, second], reverse=True)
    assert [row["id"] for row in listed(status="failed", webhook_id=hook)] == [first]
    assert [row["id"] for row in listed(status="pending")] == [second]
    assert listed(status="delivered") == listed(webhook_id="whk_other") == []
    [row] = listed(event_id=claimed.event_id)
    assert (row["attempts"], row["next_attempt_at"], row["replay_of"]) == (1, None, None)
    detail = client.get(f"{HOOKS}/deliveries/{first}", headers=shop.bearer).get_json()
    assert detail["payload"]["id"] == detail["event_id"]
    [attempt] = detail["tries"]
    assert (attempt["number"], attempt["http_status"], attempt["error"]) == (1, 302, None)
    assert attempt["answer"] == '{"received":true}' and "redirect" in attempt["hint"]
    again = client.post(f"{HOOKS}/deliveries/{first}/replay", headers=shop.bearer)
    assert (again.status_code, again.get_json()["replay_of"]) == (201, first)
    client.patch(f"{HOOKS}/{hook}", json={"status": "disabled"}, headers=shop.bearer)
    assert client.post(f"{HOOKS}/deliveries/{first}/replay", headers=shop.bearer).status_code == 409
    bad = client.get(f"{HOOKS}/deliveries?status=leased", headers=shop.bearer)
    assert bad.status_code == 400


def test_a_span_is_sent_again_after_a_dry_run(client: FlaskClient, shop: Shop) -> None:
    hook = client.post(HOOKS, json=BODY, headers=shop.bearer).get_json()["id"]
    shop.pay(shop.session())
    audit.seal()
    with transaction() as db:
        db.execute(update(Delivery).values(status="exhausted"))
    now = clock.now()
    span = {
        "webhook_id": hook,
        "since": clock.to_rfc3339(now - timedelta(hours=1)),
        "until": clock.to_rfc3339(now + timedelta(hours=1)),
    }
    dry = client.post(f"{HOOKS}/replay", json={**span, "dry_run": True}, headers=shop.bearer)
    by_event = {"checkout.completed": 1, "payment.succeeded": 1}
    expected = {"count": 2, "by_event": by_event, "has_more": False, "next_cursor": None}
    assert (dry.status_code, dry.get_json()) == (202, {**expected, "dry_run": True})
    headers = {**shop.bearer, "Idempotency-Key": "replay-1"}
    for _ in range(2):
        done = client.post(f"{HOOKS}/replay", json=span, headers=headers)
        assert (done.status_code, done.get_json()) == (202, {**expected, "dry_run": False})
    assert len(deliveries.list_page(shop.actor, statuses=("pending",)).data) == 2
    wrongs = ({"since": span["until"]}, {"which": "some"}, {"since": "yesterday"}, {"cursor": "%"}, {"x": 1})
    for wrong in wrongs:
        assert client.post(f"{HOOKS}/replay", json={**span, **wrong}, headers=shop.bearer).status_code == 400


def test_of_deliveries_others_see_nothing(client: FlaskClient, shop: Shop) -> None:
    hook = client.post(HOOKS, json=BODY, headers=shop.bearer).get_json()["id"]
    shop.pay(shop.session())
    audit.seal()
    first = deliveries.due()[0]
    span = {"webhook_id": hook, "since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    other, (_, narrow) = shops.make("Other shop"), keys.create(shop.actor, "n", scopes=["webhooks:read"])
    reader = {"Authorization": f"Bearer {narrow}"}
    for method, path, body in (
        ("GET", f"/{hook}", None),
        ("PATCH", f"/{hook}", {"description": "x"}),
        ("POST", f"/{hook}/roll-secret", {}),
        ("GET", f"/deliveries/{first}", None),
        ("POST", f"/deliveries/{first}/replay", None),
        ("POST", "/replay", span),
    ):
        call = partial(client.open, HOOKS + path, method=method, json=body)
        assert call(headers=other.bearer).status_code == 404
        assert call(headers=reader).status_code == (200 if method == "GET" else 403)
        assert call().status_code == 401
    assert client.get(f"{HOOKS}/deliveries", headers=other.bearer).get_json()["data"] == []


def test_a_person_confirms_with_a_second_factor_what_turns_events_elsewhere(
    client: FlaskClient, shop: Shop
) -> None:
    hook = client.post(HOOKS, json=BODY, headers=shop.bearer).get_json()["id"]
    user = users.create(
        shop.actor.tenant_id, "ann@shop.example", "Ann", "payments_admin", "a long enough one"
    )
    person = {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(user.id, 'test'))}"}
    for call in (
        client.patch(f"{HOOKS}/{hook}", json={"url": "https://evil.example"}, headers=person),
        client.post(f"{HOOKS}/{hook}/roll-secret", json={}, headers=person),
    ):
        assert (call.status_code, call.get_json()["code"]) == (401, "mfa_challenge_required")
    assert client.get(f"{HOOKS}/{hook}", headers=person).get_json()["url"] == BODY["url"]


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
    waiting = client.get("/v1/payments/webhooks/deliveries?status=pending", headers=shop.bearer).get_json()
    failed = client.get("/v1/payments/webhooks/deliveries?status=failed", headers=shop.bearer).get_json()
    assert {row["replay_of"] for row in waiting["data"]} == {row["id"] for row in failed["data"]}
    assert len(waiting["data"]) == 2


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

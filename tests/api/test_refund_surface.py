"""PY-023 to PY-026 over HTTP: refunds in money and in store credit, their bad cases, twice, other merchants."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.payments import intents
from tests import shops
from tests.disputes import charge, deliver, paid, work
from tests.shops import Shop, later

URL = "/v1/payments/refunds"
RETURNED = "4000000000005126"


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]  # type: ignore[index]


def refund(client: FlaskClient, shop: Shop, key: str | None, **body: Any) -> TestResponse:
    headers = {**shop.bearer, **({"Idempotency-Key": key} if key else {})}
    return client.post(URL, json=body, headers=headers)


def test_a_refund_is_made_once_read_and_listed(client: FlaskClient, shop: Shop) -> None:
    intent = paid(shop.actor)
    body = {
        "payment_intent_id": intent.id,
        "charge_id": charge(shop.actor, intent).id,
        "amount": 700,
        "reason": "product_return",
        "metadata": {"rma": "17"},
    }
    assert code(refund(client, shop, None, **body)) == (400, "idempotency_key_required")
    made = refund(client, shop, "once", **body)
    assert made.status_code == 201
    assert made.json["id"] == made.json["refund_id"]
    assert (made.json["status"], made.json["amount"], made.json["reason"]) == (
        "pending",
        700,
        "product_return",
    )
    again = refund(client, shop, "once", **body)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (made.json, "true")
    assert code(refund(client, shop, "once", **{**body, "amount": 701})) == (422, "idempotency_key_reused")
    work()
    shown = client.get(f"{URL}/{made.json['id']}", headers=shop.bearer).json
    assert (shown["status"], shown["metadata"]) == ("succeeded", {"rma": "17"})
    assert shown["gateway_reference"] and shown["credit_note_id"]
    rest = refund(client, shop, "rest", payment_intent_id=intent.id)
    assert rest.json["amount"] == 1300
    url = f"/v1/payments/intents/{intent.id}/refunds"
    first = client.get(f"{url}?limit=1", headers=shop.bearer).json
    assert ([row["id"] for row in first["data"]], first["has_more"]) == ([rest.json["id"]], True)
    last = client.get(f"{url}?limit=1&cursor={first['next_cursor']}", headers=shop.bearer).json
    assert ([row["id"] for row in last["data"]], last["has_more"]) == ([made.json["id"]], False)
    assert client.get(f"{url}?cursor=x", headers=shop.bearer).status_code == 400
    canceled = client.post(f"{URL}/{rest.json['id']}/cancel", headers=shop.bearer)
    assert (canceled.json["status"], canceled.json["failure_reason"]) == ("failed", "canceled")
    for refund_id in (made.json["id"], rest.json["id"]):
        assert code(client.post(f"{URL}/{refund_id}/cancel", headers=shop.bearer)) == (409, "invalid_state")


def test_store_credit_over_http(client: FlaskClient, shop: Shop) -> None:
    intent = paid(shop.actor, customer_id="cust_123")
    body = {"payment_intent_id": intent.id, "refund_method": "store_credit"}
    made = refund(client, shop, "k1", **body, amount=600)
    assert (made.status_code, made.json["status"], made.json["refund_method"]) == (
        201,
        "succeeded",
        "store_credit",
    )
    nobody = paid(shop.actor)
    answer = refund(client, shop, "k2", payment_intent_id=nobody.id, refund_method="store_credit")
    assert code(answer) == (422, "customer_required")


def test_a_refund_that_failed_says_what_to_do(client: FlaskClient, shop: Shop) -> None:
    intent = paid(shop.actor, RETURNED)
    made = refund(client, shop, "k1", payment_intent_id=intent.id)
    work()
    with later(11):
        deliver()
    shown = client.get(f"{URL}/{made.json['id']}", headers=shop.bearer).json
    assert (shown["status"], shown["failure_reason"]) == ("failed", "returned_by_bank")
    assert shown["actions"]


def test_bad_refunds_change_nothing(client: FlaskClient, shop: Shop) -> None:
    intent = paid(shop.actor)
    bodies: tuple[tuple[dict[str, Any], tuple[int, str]], ...] = (
        ({}, (400, "missing_field")),
        ({"payment_intent_id": intent.id, "amount": 0}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "amount": -1}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "amount": "10"}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "amount": True}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "reason": "because"}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "refund_method": "cash"}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "extra": 1}, (400, "invalid_field")),
        ({"payment_intent_id": intent.id, "amount": 2001}, (422, "refund_exceeds_captured")),
        ({"payment_intent_id": intent.id, "charge_id": "ch_nobody"}, (404, "charge_not_found")),
        ({"payment_intent_id": "pi_nobody"}, (404, "payment_intent_not_found")),
    )
    for number, (body, expected) in enumerate(bodies):
        assert code(refund(client, shop, f"k{number}", **body)) == expected, body
    untaken = intents.create(shop.actor, intents.IntentDraft(900, "GBP"))
    assert code(refund(client, shop, "k", payment_intent_id=untaken.id)) == (409, "invalid_state")
    stranger = shops.make("Stranger")
    assert code(refund(client, stranger, "k", payment_intent_id=intent.id)) == (
        404,
        "payment_intent_not_found",
    )
    assert intents.get(shop.actor, intent.id).amount_refunding == 0
    mine = refund(client, shop, "mine", payment_intent_id=intent.id).json["id"]  # type: ignore[index]
    for answer in (
        client.get(f"{URL}/{mine}", headers=stranger.bearer),
        client.post(f"{URL}/{mine}/cancel", headers=stranger.bearer),
        client.get(f"/v1/payments/intents/{intent.id}/refunds", headers=stranger.bearer),
    ):
        assert answer.status_code == 404

"""The idempotency inspector: a key, the first request under it, and which fields differed later."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.db import reading
from app.models.operations.idempotency import IdempotencyRecord
from app.services.operations import idempotency_inspection
from tests import desk, shops
from tests.desk import Desk
from tests.shops import Shop

INTENTS = "/v1/payments/intents"


@pytest.fixture
def owner(app: Flask, shop: Shop) -> Desk:
    return desk.at(app, shop)


def ask(client: FlaskClient, shop: Shop, key: str, **body: object) -> int:
    answer = client.post(INTENTS, json=body, headers={**shop.bearer, "Idempotency-Key": key})
    return answer.status_code


def kept(shop: Shop, key: str) -> IdempotencyRecord:
    with reading() as db:
        return db.query(IdempotencyRecord).filter_by(tenant_id=shop.actor.tenant_id, key=key).one()


def test_what_differed_is_named_and_no_value_is_kept(owner: Desk, client: FlaskClient, shop: Shop) -> None:
    first = {"amount": 1250, "currency": "GBP", "description": "A secret gift"}
    assert ask(client, shop, "order-1", **first) == 201
    assert ask(client, shop, "order-1", **first) == 201
    row = kept(shop, "order-1")
    assert (row.clashes, row.clash, row.mode, row.caller) == (None, None, "test", shop.actor.id)
    assert "None" not in owner.get("/idempotency", key="order-1").text
    for amount in (1300, 1400):
        assert ask(client, shop, "order-1", amount=amount, currency="GBP") == 422
    row = kept(shop, "order-1")
    assert row.clashes == 2 and row.clash is not None
    assert row.clash["fields"] == ["amount", "description"]
    assert set(row.shape or {}) == set(first) and "gift" not in str(row.shape)
    page = owner.get(f"/idempotency/{row.scope_hash}").text
    assert "2 other requests came under this key and were refused" in page
    assert "<code>amount</code>, <code>description</code>" in page and "POST" in page
    assert row.request_id in page and row.clash["request_id"] in page and ">tests<" in page
    listed = owner.get("/idempotency", show="clashed").text
    assert "order-1" in listed and "2 refused" in listed


def test_keys_are_found_and_paged(owner: Desk, client: FlaskClient, shop: Shop) -> None:
    for number in range(5):
        ask(client, shop, f"order-{number}", amount=1250, currency="GBP")
    assert "order-3" in owner.get("/idempotency", key="order-3").text
    assert "order-4" not in owner.get("/idempotency", key="order-3").text
    assert "There is no such key" in owner.get("/idempotency", key="order-9").text
    assert "No key was used for something else" in owner.get("/idempotency", show="clashed").text
    first = idempotency_inspection.list_page(shop.actor, limit=3)
    rest = idempotency_inspection.list_page(shop.actor, limit=3, cursor=first.next_cursor)
    names = [row.key for row in first.data + rest.data]
    assert names == [f"order-{number}" for number in (4, 3, 2, 1, 0)] and rest.next_cursor is None
    assert owner.get("/idempotency", cursor="nonsense!").status_code == 400


def test_card_data_leaves_not_even_a_hash(client: FlaskClient, shop: Shop) -> None:
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": "123"}
    body = {"type": "card", "card": card}
    headers = {**shop.bearer, "Idempotency-Key": "card-1"}
    client.post("/v1/checkout/payment-methods", json=body, headers=headers)
    with reading() as db:
        rows = db.query(IdempotencyRecord).filter_by(key="card-1").all()
    assert all((row.shape or {}).get("card", "") == "" for row in rows)


def test_another_merchants_and_the_other_modes_keys_are_not_there(
    owner: Desk, app: Flask, client: FlaskClient, shop: Shop
) -> None:
    ask(client, shop, "order-1", amount=1250, currency="GBP")
    row = kept(shop, "order-1")
    stranger = desk.at(app, shops.make("Stranger"))
    assert stranger.get(f"/idempotency/{row.scope_hash}").status_code == 404
    assert "order-1" not in stranger.get("/idempotency").text
    assert owner.get(f"/dashboard/live/idempotency/{row.scope_hash}").status_code == 404
    assert desk.at(app, shop, "reconciler").get("/idempotency").status_code == 403
    assert desk.at(app, shop, "read_only").get("/idempotency").status_code == 200

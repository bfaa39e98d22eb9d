"""The same key and body get the same answer; the work happens once (OP-13, reliability.md 13 and 14)."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select
from werkzeug.test import TestResponse

from app.db import Command, engine, reading, transaction
from app.domain.errors import IdempotencyInProgress, ServiceUnavailable, Unprocessable
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.models.operations.idempotency import IdempotencyRecord
from app.models.operations.rate_window import RateHit
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.access import keys, tokens, users
from app.services.operations import cleaning, idempotency
from app.services.operations.idempotency import LEASE_SECONDS, KeyScope, Reply
from app.services.payments import intents, methods
from app.services.payments.intents import IntentDraft
from tests.shops import GOOD, Shop, card, later, make
from tests.statements import counted

BODY = {"amount": 1000, "currency": "GBP"}
THREADS = 16


def count(model: Any) -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(model)) or 0


def scope(shop: Shop, key: str = "k", body: Any = None) -> KeyScope:
    return idempotency.scope(shop.actor, "POST", "/somewhere", key, body)


def intent(client: FlaskClient, shop: Shop, key: str | None, body: Any = None) -> TestResponse:
    headers = shop.bearer if key is None else {**shop.bearer, "Idempotency-Key": key}
    return client.post("/v1/payments/intents", json=body or BODY, headers=headers)


def test_a_repeated_call_gets_the_stored_answer(client: FlaskClient, shop: Shop) -> None:
    first = intent(client, shop, "k")
    second = intent(client, shop, "k")
    assert first.status_code == second.status_code == 201
    assert first.data == second.data
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(PaymentIntent) == 1


def test_stored_headers_come_again(client: FlaskClient, shop: Shop) -> None:
    line = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}
    body = {"cart_snapshot": {"currency": "GBP", "lines": [line]}}
    headers = {**shop.bearer, "Idempotency-Key": "k"}
    answers = [client.post("/v1/checkout/sessions", json=body, headers=headers) for _ in range(2)]
    assert [answer.headers["ETag"] for answer in answers] == [answers[0].headers["ETag"]] * 2
    assert count(CheckoutSession) == 1


def test_the_order_of_fields_does_not_matter(client: FlaskClient, shop: Shop) -> None:
    intent(client, shop, "k")
    again = intent(client, shop, "k", {"currency": "GBP", "amount": 1000})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_body_under_the_key_is_refused(client: FlaskClient, shop: Shop) -> None:
    intent(client, shop, "k")
    other = intent(client, shop, "k", {**BODY, "amount": 1001})
    assert other.status_code == 422
    assert other.json is not None
    assert other.json["code"] == "idempotency_key_reused"
    assert count(PaymentIntent) == 1


def test_another_body_is_400_where_the_surface_knows_no_422(client: FlaskClient, shop: Shop) -> None:
    body = {"title": "Mug", "amount": 15, "currency_code": "GBP", "customer_email": "a@shop.test"}
    headers = {"x-api-key": shop.secret, "Idempotency-Key": "k"}
    assert client.post("/checkout-sessions", json=body, headers=headers).status_code == 201
    other = client.post("/checkout-sessions", json={**body, "amount": 16}, headers=headers)
    assert other.status_code == 400
    assert other.json == {
        "statusCode": 400,
        "message": "This Idempotency-Key was used with another request",
    }


def test_keys_belong_to_their_caller_and_endpoint(client: FlaskClient, shop: Shop) -> None:
    other = make("Other shop")
    _, second = keys.create(shop.actor, "second server")
    assert intent(client, shop, "k").status_code == 201
    assert intent(client, other, "k").status_code == 201
    assert intent(client, replace(shop, secret=second), "k").status_code == 201
    assert count(PaymentIntent) == 3


def test_keys_belong_to_their_endpoint_its_path_and_the_mode(client: FlaskClient, shop: Shop) -> None:
    user = users.create(shop.actor.tenant_id, "o@shop.test", "O", "payments_admin", "a long enough secret")
    for mode in ("test", "live"):
        one = {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(user.id, mode))}"}
        headers = {**one, "Idempotency-Key": "k"}
        made = [client.post("/v1/payments/intents", json=BODY, headers=headers) for _ in range(2)]
        other = client.post("/v1/payments/intents", json=BODY, headers={**one, "Idempotency-Key": "k2"})
        line = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1500}
        cart = {"cart_snapshot": {"currency": "GBP", "lines": [line]}}
        asked = [
            made[0],
            client.post("/v1/checkout/sessions", json=cart, headers=headers),
            client.post(f"/v1/payments/intents/{made[0].json['id']}/cancel", json={}, headers=headers),
            client.post(f"/v1/payments/intents/{other.json['id']}/cancel", json={}, headers=headers),
        ]
        assert [answer.status_code for answer in asked] == [201, 201, 200, 200]
        assert not any("Idempotent-Replayed" in answer.headers for answer in asked)
        at_its_tenant = f"/v1/{shop.actor.tenant.slug}/payments/intents"
        again = client.post(at_its_tenant, json=BODY, headers=headers)
        assert made[1].json == again.json == made[0].json
    assert count(PaymentIntent) == 4


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut"])
def test_a_malformed_key_is_refused(client: FlaskClient, shop: Shop, key: str) -> None:
    answer = intent(client, shop, key)
    assert answer.status_code == 400
    assert answer.json is not None
    assert (answer.json["code"], answer.json["field"]) == ("invalid_idempotency_key", "Idempotency-Key")


def test_where_a_key_is_required_request_id_stands_in(client: FlaskClient, shop: Shop) -> None:
    missing = intent(client, shop, None)
    assert missing.status_code == 400
    assert missing.json is not None
    assert missing.json["code"] == "idempotency_key_required"
    first, second = (intent(client, shop, None, {**BODY, "request_id": "r1"}) for _ in range(2))
    assert first.data == second.data
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(PaymentIntent) == 1


def test_a_refused_call_leaves_nothing_and_may_be_repeated(client: FlaskClient, shop: Shop) -> None:
    refused = intent(client, shop, "k", {**BODY, "amount": 0})
    assert refused.status_code == 400
    assert count(IdempotencyRecord) == 0
    assert intent(client, shop, "k").status_code == 201


def test_the_work_of_many_at_once_happens_once(app: Flask, shop: Shop) -> None:
    def call(_: int) -> TestResponse:
        return intent(app.test_client(), shop, "k")

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(call, range(THREADS)))
    assert Counter(answer.status_code for answer in answers) == {201: THREADS}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == THREADS - 1
    assert count(PaymentIntent) == 1


def test_a_payment_of_many_at_once_is_made_once(app: Flask, shop: Shop, holds: None) -> None:
    token = methods.tokenize_card(shop.actor, card(GOOD)).id
    made = intent(app.test_client(), shop, "make").json
    assert made is not None

    def confirm(_: int) -> TestResponse:
        return app.test_client().post(
            f"/v1/payments/intents/{made['id']}/confirm",
            json={"payment_method_id": token},
            headers={**shop.bearer, "Idempotency-Key": "pay"},
        )

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(confirm, range(THREADS)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 409}
    assert statuses[200] >= 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json is not None
            assert answer.json["code"] == "idempotency_in_progress"
            assert 1 <= int(answer.headers["Retry-After"]) <= 5
    final = confirm(0)
    assert final.json is not None
    assert (final.status_code, final.json["status"]) == (200, "succeeded")
    assert count(Attempt) == 1


def test_a_leased_key_in_flight_says_come_back(shop: Shop) -> None:
    def meanwhile() -> Reply:
        with pytest.raises(IdempotencyInProgress) as caught:
            idempotency.leased(scope(shop), lambda: Reply(200, "never"))
        assert 1 <= caught.value.retry_after <= 5
        with pytest.raises(Unprocessable):
            idempotency.leased(scope(shop, body={"other": 1}), lambda: Reply(200, "never"))
        return Reply(200, "mine")

    assert idempotency.leased(scope(shop), meanwhile).body == "mine"
    assert idempotency.leased(scope(shop), lambda: Reply(200, "never")).body == "mine"


def test_a_lapsed_lease_lets_another_resume_and_the_first_changes_nothing(shop: Shop) -> None:
    def stalled() -> Reply:
        with later(LEASE_SECONDS + 1):
            assert idempotency.leased(scope(shop), lambda: Reply(200, "second")).body == "second"
        return Reply(200, "first")

    idempotency.leased(scope(shop), stalled)
    assert idempotency.leased(scope(shop), lambda: Reply(200, "never")).body == "second"


def test_a_stalled_holder_that_fails_frees_nothing_of_its_successor(shop: Shop) -> None:
    def stalled() -> Reply:
        with later(LEASE_SECONDS + 1):
            idempotency.leased(scope(shop), lambda: Reply(200, "second"))
        raise ServiceUnavailable

    with pytest.raises(ServiceUnavailable):
        idempotency.leased(scope(shop), stalled)
    assert idempotency.leased(scope(shop), lambda: Reply(200, "never")).body == "second"


def test_a_lapsed_lease_is_taken_over_by_one_alone(shop: Shop) -> None:
    with pytest.raises(KeyboardInterrupt):
        idempotency.leased(scope(shop), _killed)
    done: list[int] = []

    def work() -> Reply:
        time.sleep(0.05)
        done.append(1)
        return Reply(200, "resumed")

    def call(_: int) -> str:
        try:
            return idempotency.leased(scope(shop), work).body
        except IdempotencyInProgress:
            return "wait"

    with clock.frozen(clock.now() + timedelta(seconds=LEASE_SECONDS + 1)), ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(call, range(8)))
    assert set(answers) <= {"resumed", "wait"}
    assert len(done) == 1


def _killed() -> Reply:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["local", "leased"])
def test_what_failed_on_our_side_is_not_stored(shop: Shop, kind: str) -> None:
    def once(work: Any) -> Reply:
        if kind == "local":
            return idempotency.local(shop.actor, scope(shop), work)
        return idempotency.leased(scope(shop), work)

    def fail() -> Reply:
        raise ServiceUnavailable

    with pytest.raises(ServiceUnavailable):
        once(fail)
    assert count(IdempotencyRecord) == 0
    assert once(lambda: Reply(200, "good")).body == "good"


def test_local_work_and_its_answer_are_one_transaction(shop: Shop) -> None:
    def work() -> Reply:
        intents.create(shop.actor, IntentDraft(amount=1000, currency="GBP"))
        assert count(PaymentIntent) == 1
        raise ServiceUnavailable

    with pytest.raises(ServiceUnavailable):
        idempotency.local(shop.actor, scope(shop), work)
    assert count(PaymentIntent) == 0


def test_a_key_costs_two_statements_or_one_with_the_answer(shop: Shop) -> None:
    with counted() as sent:
        idempotency.local(shop.actor, scope(shop), lambda: Reply(200, "done"))
    assert len(sent) == (1 if engine().dialect.name == "postgresql" else 2) and all(
        "idempotency" in statement for statement in sent
    ), sent


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_what_a_repetition_would_write_does_not_hide_the_answer(shop: Shop, reads: bool, fails: bool) -> None:
    row = {"id": "hit_once", "bucket": "b", "at": clock.now(), "weight": 1}
    add = Command(lambda _: insert(RateHit.__table__))  # type: ignore[arg-type]

    def work() -> Reply:
        with transaction() as db:
            add.later(db, row)
            if reads:
                db.scalar(select(func.count()).select_from(RateHit))
            if fails and again:
                raise Unprocessable("No longer")
        return Reply(200, "done")

    again = False
    idempotency.local(shop.actor, scope(shop), work)
    again = True
    told = idempotency.local(shop.actor, scope(shop), work)
    assert (told.body, told.replayed, count(RateHit)) == ("done", True, 1)


def test_an_error_of_a_repetition_is_not_its_answer(shop: Shop) -> None:
    def refuse() -> Reply:
        raise Unprocessable("No longer")

    with pytest.raises(Unprocessable):
        idempotency.local(shop.actor, scope(shop), refuse)
    idempotency.local(shop.actor, scope(shop), lambda: Reply(200, "done"))
    again = idempotency.local(shop.actor, scope(shop), refuse)
    assert (again.body, again.replayed) == ("done", True)


def test_keys_are_kept_for_a_day(client: FlaskClient, shop: Shop) -> None:
    intent(client, shop, "k")
    with later(24 * 3600 - 60):
        cleaning.clean()
        assert count(IdempotencyRecord) == 1
    with later(24 * 3600 + 60):
        cleaning.clean()
        assert count(IdempotencyRecord) == 0

"""PY-067 to PY-069: simulated events go the real way, tokens work, and none of it exists in production."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import select

from app import settings
from app.api import SURFACES
from app.connectors.sandbox import notices
from app.connectors.sandbox.cards import CARDS
from app.db import reading
from app.domain.errors import NotFound
from app.domain.rules.cards import passes_luhn
from app.factory import create_app
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.events.provider_event import ProviderEvent
from app.services.access import keys
from app.services.checkout import simulations
from app.services.operations import inbound_secrets, jobs
from app.services.payments import attempts, disputes, intents, methods, refunds
from app.web.openapi import document
from app.worker import queue
from tests.shops import CHALLENGED, GOOD, Shop, card, later, make

SIMULATE = "/v1/payments/test/simulate"

pytestmark = pytest.mark.usefixtures("holds")


def pump(client: FlaskClient) -> list[int]:
    """Let everything happen that is due: jobs, the sandbox's webhooks to us, and what those ask for."""
    statuses: list[int] = []

    def post(url: str, raw: bytes, headers: dict[str, str]) -> int:
        status = client.post(urlsplit(url).path, data=raw, headers=headers).status_code
        statuses.append(status)
        return status

    for _ in range(6):
        for job_id in jobs.due():
            queue.run_job(job_id)
        notices.send_due(post, lambda tenant_id: inbound_secrets.find(tenant_id, "payment") or "")
    return statuses


def intent_of(shop: Shop, number: str | None = None, mode: str = "auto") -> str:
    """An intent; with a number it is confirmed."""
    method = methods.tokenize_card(shop.actor, card(number)) if number else None
    draft = intents.IntentDraft(
        5000, "GBP", capture_mode=mode, payment_method_id=method.id if method else None
    )
    made = intents.create(shop.actor, draft)
    if number:
        intents.confirm(shop.actor, made.id, nonce="n1")
    return made.id


def simulate(client: FlaskClient, shop: Shop, type_: str, intent_id: str, **more: Any) -> Any:
    return client.post(SIMULATE, json={"type": type_, "intent_id": intent_id, **more}, headers=shop.bearer)


def events(shop: Shop, intent_id: str) -> list[str]:
    statement = select(JournalEntry.type).where(
        JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.payment_intent_id == intent_id
    )
    with reading() as db:
        return list(db.scalars(statement.order_by(JournalEntry.id)))


def status_of(shop: Shop, intent_id: str) -> str:
    return intents.get(shop.actor, intent_id).status


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_a_new_payment_succeeds_after_the_delay(client: FlaskClient, shop: Shop, mode: str) -> None:
    intent_id = intent_of(shop, mode=mode)
    answer = simulate(client, shop, "payment.succeeded", intent_id, delay_ms=1000)
    assert answer.status_code == 200
    assert (answer.json["type"], answer.json["intent_id"]) == ("payment.succeeded", intent_id)
    job = jobs.get(shop.actor, answer.json["job_id"])
    assert timedelta(0) < job.due_at - clock.now() <= timedelta(seconds=1)
    pump(client)
    assert status_of(shop, intent_id) == "requires_payment_method"
    with later(2):
        assert set(pump(client)) == {200}
    assert status_of(shop, intent_id) == "succeeded"
    assert events(shop, intent_id).count("payment.succeeded") == 1
    assert jobs.get(shop.actor, job.id).status == "done"


def test_a_payment_at_the_bank_is_decided_by_its_signed_webhook(client: FlaskClient, shop: Shop) -> None:
    good, bad = intent_of(shop, CHALLENGED), intent_of(shop, CHALLENGED)
    simulate(client, shop, "payment.succeeded", good)
    simulate(client, shop, "payment.failed", bad)
    assert status_of(shop, good) == status_of(shop, bad) == "requires_action"
    assert set(pump(client)) == {200}
    assert (status_of(shop, good), status_of(shop, bad)) == ("succeeded", "requires_payment_method")
    error = intents.get(shop.actor, bad).last_error
    assert error is not None
    assert error["decline_code"] == "authentication_failed"
    with reading() as db:
        heard = set(db.scalars(select(ProviderEvent.type)))
    assert {"payment.authorized", "payment.declined"} <= heard


def test_a_payment_fails(client: FlaskClient, shop: Shop) -> None:
    intent_id = intent_of(shop)
    simulate(client, shop, "payment.failed", intent_id)
    pump(client)
    found = intents.get(shop.actor, intent_id)
    assert found.status == "requires_payment_method"
    assert found.last_error is not None
    assert found.last_error["decline_code"] == "generic_decline"
    assert events(shop, intent_id).count("payment.failed") == 1
    simulate(client, shop, "payment.succeeded", intent_id)
    pump(client)
    assert status_of(shop, intent_id) == "succeeded"


def test_a_payment_of_a_checkout_takes_its_checkout_along(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    simulate(client, shop, "payment.succeeded", shop.intent(session).id)
    pump(client)
    assert (shop.read(session).status, shop.intent(session).status) == ("completed", "succeeded")


def test_a_refund_is_made_and_comes_through(client: FlaskClient, shop: Shop) -> None:
    intent_id = intent_of(shop, GOOD)
    simulate(client, shop, "refund.succeeded", intent_id)
    assert set(pump(client)) == {200}
    [refund] = refunds.of_intent(shop.actor, intent_id)
    assert (refund.status, refund.amount) == ("succeeded", 5000)
    assert intents.get(shop.actor, intent_id).amount_refunded == 5000


def test_a_refund_that_waits_is_the_one_that_turns(client: FlaskClient, shop: Shop) -> None:
    intent_id = intent_of(shop, "4000000000007726")
    refunds.send(refunds.create(shop.actor, intent_id, 2000).id)
    [refund] = refunds.of_intent(shop.actor, intent_id)
    assert refund.status == "processing"
    simulate(client, shop, "refund.succeeded", intent_id)
    pump(client)
    [refund] = refunds.of_intent(shop.actor, intent_id)
    assert (refund.status, refund.amount) == ("succeeded", 2000)


@pytest.mark.parametrize("there_already", [True, False])
def test_a_refund_comes_back_from_the_bank(client: FlaskClient, shop: Shop, there_already: bool) -> None:
    intent_id = intent_of(shop, GOOD)
    if there_already:
        refunds.send(refunds.create(shop.actor, intent_id, 2000).id)
    simulate(client, shop, "refund.failed", intent_id)
    assert set(pump(client)) == {200}
    [refund] = refunds.of_intent(shop.actor, intent_id)
    assert (refund.status, refund.failure_reason) == ("failed", "returned_by_bank")
    found = intents.get(shop.actor, intent_id)
    assert (found.amount_refunded, found.amount_refunding) == (0, 0)


def test_a_payment_is_disputed_once(client: FlaskClient, shop: Shop) -> None:
    intent_id = intent_of(shop, GOOD)
    simulate(client, shop, "dispute.created", intent_id)
    [job_id] = [j.id for j in jobs.list_page(shop.actor).data if j.name == "sandbox.simulate"]
    simulations.run(jobs.get(shop.actor, job_id).arguments)
    assert set(pump(client)) == {200}
    [dispute] = disputes.list_page(shop.actor, disputes.Filters()).data
    assert (dispute.status, dispute.amount, dispute.intent_id) == ("needs_response", 5000, intent_id)
    assert intents.get(shop.actor, intent_id).amount_disputed == 5000
    assert simulate(client, shop, "dispute.created", intent_id).status_code == 409
    assert simulate(client, shop, "dispute.created", intent_of(shop)).status_code == 409


def test_a_job_that_runs_twice_does_it_once(client: FlaskClient, shop: Shop) -> None:
    for type_ in ("payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed"):
        intent_id = intent_of(shop, GOOD if type_.startswith("refund") else None)
        job = jobs.get(shop.actor, simulate(client, shop, type_, intent_id).json["job_id"])
        simulations.run(job.arguments)
        simulations.run(job.arguments)
        pump(client)
        assert len(attempts.of_intent(shop.actor, intent_id)) == 1
        assert len(refunds.of_intent(shop.actor, intent_id)) == type_.startswith("refund")


def test_what_cannot_be_simulated_is_refused(client: FlaskClient, shop: Shop) -> None:
    no_cards = intents.create(shop.actor, intents.IntentDraft(5000, "GBP", method_types=("ideal",)))
    paid, fresh = intent_of(shop, GOOD), intent_of(shop)
    other = make("Another shop")
    _, reader = keys.create(shop.actor, "reader", scopes=["sandbox:read"])
    _, live = keys.create(shop.actor, "live", mode="live")
    cases = [
        (simulate(client, shop, "payment.succeeded", paid), 409),
        (simulate(client, shop, "payment.failed", paid), 409),
        (simulate(client, shop, "refund.succeeded", fresh), 409),
        (simulate(client, shop, "payment.exploded", fresh), 400),
        (simulate(client, shop, "checkout.completed", fresh), 422),
        (simulate(client, shop, "payment.succeeded", no_cards.id), 422),
        (simulate(client, shop, "payment.failed", "pi_none"), 404),
        (simulate(client, other, "payment.failed", fresh), 404),
        (simulate(client, shop, "payment.failed", fresh, delay_ms=-1), 400),
        (simulate(client, shop, "payment.failed", fresh, delay_ms=True), 400),
    ]
    assert [answer.status_code for answer, _ in cases] == [status for _, status in cases]
    for key in (reader, live):
        body = {"type": "payment.failed", "intent_id": fresh}
        headers = {"Authorization": f"Bearer {key}"}
        assert client.post(SIMULATE, json=body, headers=headers).status_code == 403
    assert [job for job in jobs.list_page(shop.actor).data if job.name == "sandbox.simulate"] == []


def test_the_cards_are_the_table(client: FlaskClient, shop: Shop) -> None:
    answer = client.get("/v1/payments/test/cards", headers=shop.bearer).json
    assert answer is not None
    rows = answer["data"]
    assert [row["number"] for row in rows] == [c.number for c in CARDS]
    assert len({row["id"] for row in rows}) == len(rows)
    found = {row["number"]: row for row in rows}
    assert found["4000000000009995"]["decline_code"] == "insufficient_funds"
    assert found["4242424242424242"]["behaviour"] == "approve"
    assert not any(passes_luhn(row["id"]) for row in rows)


def test_tokens_of_the_faucet_are_kept_at_the_sandbox(client: FlaskClient, shop: Shop) -> None:
    def ask(**body: Any) -> Any:
        return client.post("/v1/payments/test/faucet", json=body, headers=shop.bearer)

    made = ask(count=3).json["tokens"]
    assert len({row["token"] for row in made}) == 3
    assert {(row["brand"], row["last4"]) for row in made} == {("VISA", "4242")}
    declined = ask(card="insufficient_funds_9995").json["tokens"][0]
    assert declined["last4"] == "9995"
    assert ask(type="ideal").json["tokens"][0]["type"] == "ideal"
    assert ask(card="no_such_card").status_code == 400
    assert ask(card="not_a_card_number_4241").status_code == 400
    assert ask(count=0).status_code == ask(count=51).status_code == 400
    _, live = keys.create(shop.actor, "live", mode="live")
    refused = client.post("/v1/payments/test/faucet", json={}, headers={"Authorization": f"Bearer {live}"})
    assert (refused.status_code, refused.json["code"]) == (403, "test_mode_required")  # type: ignore[index]
    for token, brand in ((made[0], "4242"), (declined, "9995")):
        body = {"type": "card", "token": token["token"]}
        methods_made = client.post("/v1/payments/methods", json=body, headers=shop.bearer)
        assert methods_made.status_code == 201, methods_made.text
        assert methods_made.json["last4"] == brand  # type: ignore[index]


def test_in_production_there_is_none_of_it(shop: Shop) -> None:
    production = settings.current().model_copy(
        update={
            "env": "production",
            "trusted_hosts": ["localhost"],
            "secret_key": SecretStr("a secret of the tests"),
            "log_level": "CRITICAL",
        }
    )
    client = create_app(production).test_client()
    _, live = keys.create(shop.actor, "live", mode="live")
    for headers in (shop.bearer, {"Authorization": f"Bearer {live}"}, {}):
        assert client.get("/v1/payments/test/cards", headers=headers).status_code == 404
        for name in ("simulate", "faucet"):
            assert client.post(f"/v1/payments/test/{name}", json={}, headers=headers).status_code == 404
    assert not any("/test/" in path for path in document(SURFACES)["paths"] if "payments" in path)
    with pytest.raises(NotFound):
        simulations.run(
            {"tenant_id": shop.actor.tenant_id, "type": "payment.failed", "intent_id": "x", "nonce": "n"}
        )

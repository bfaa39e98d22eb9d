"""Bulk jobs: a result for each item, no item stops another, and nothing is done twice by whoever dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.db import reading
from app.domain.errors import ServiceUnavailable
from app.models.events.journal import JournalEntry
from app.models.operations.job import Job
from app.models.operations.job_item import JobItem
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import keys
from app.services.operations import jobs
from app.services.payments import bulk, intents
from app.services.payments.intents import IntentDraft
from app.worker import queue
from tests import shops, workers
from tests.buyers import together
from tests.payments_api import Api
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")

ITEM = {"amount": 1000, "currency": "GBP"}


def count(model: Any) -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(model)) or 0


def run_all() -> None:
    for job_id in jobs.due():
        queue.run_job(job_id)


def arguments_of(job_id: str) -> dict[str, Any]:
    with reading() as db:
        return dict(db.get_one(Job, job_id).arguments)


def drafts(number: int) -> list[IntentDraft]:
    return [IntentDraft(1000 + n, "GBP") for n in range(number)]


def test_each_intent_of_a_job_has_its_own_result(api: Api) -> None:
    items = [
        {**ITEM, "payment_method_id": api.method(), "metadata": {"order_id": "o1"}},
        {**ITEM, "payment_method_id": "pm_nobodys"},
        {**ITEM, "currency": "XXX"},
        {**ITEM, "capture_mode": "auto", "payment_method_options": {"card": {"capture_method": "manual"}}},
        ITEM,
    ]
    accepted = api.post("/intents/bulk", {"intents": items}, 202)
    assert accepted["status"] == "queued"
    waiting = api.get(f"/jobs/{accepted['job_id']}")
    assert (waiting["status"], waiting["type"], waiting["result"]["total"]) == (
        "queued",
        "intents.create_many",
        5,
    )
    run_all()
    job = api.get(f"/jobs/{accepted['job_id']}")
    assert (job["status"], job["finished_at"] is not None) == ("succeeded", True)
    result = job["result"]
    assert [result[name] for name in ("total", "succeeded", "failed")] == [5, 2, 3]
    assert [(e["index"], e["code"]) for e in job["errors"]] == [
        (1, "payment_method_not_found"),
        (2, "unsupported_currency"),
        (3, "capture_mode_conflict"),
    ]
    made = [item for item in result["items"] if item["status"] == "succeeded"]
    assert [item["index"] for item in made] == [0, 4]
    first = api.get(f"/intents/{made[0]['id']}")
    assert (first["status"], first["metadata"]) == ("requires_confirmation", {"order_id": "o1"})
    assert count(PaymentIntent) == 2
    with reading() as db:
        born = db.scalars(select(JournalEntry).where(JournalEntry.type == "payment_intent.created")).all()
    assert {entry.actor_id for entry in born} == {api.shop.actor.id}, "who asked, not the worker"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "intents"),
        ({"intents": []}, "intents"),
        ({"intents": [ITEM, {"amount": 1}]}, "intents.1.currency"),
        ({"intents": [ITEM, {**ITEM, "amount": "1"}]}, "intents.1.amount"),
        ({"intents": [{**ITEM, "price": 1}]}, "intents.0.price"),
        ({"intents": [ITEM] * 1001}, "intents"),
    ],
)
def test_a_malformed_list_is_refused_whole(api: Api, body: dict[str, Any], field: str) -> None:
    assert api.post("/intents/bulk", body, 400)["field"] == field
    assert count(Job) == 0


def test_the_same_key_is_the_same_job(api: Api) -> None:
    first = api.post("/intents/bulk", {"intents": [ITEM]}, 202, key="k")
    assert api.post("/intents/bulk", {"intents": [ITEM]}, 202, key="k") == first
    assert count(Job) == 1
    headers = api.shop.bearer
    answer = api.client.post("/v1/payments/intents/bulk", json={"intents": [ITEM]}, headers=headers)
    assert answer.status_code == 400
    assert answer.json is not None and answer.json["code"] == "idempotency_key_required"


def test_a_job_that_dies_half_way_goes_on_where_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = bulk.enqueue_intents(shop.actor, drafts(10))
    honest, left = intents.create, [0] * 4

    def dying(*arguments: Any) -> PaymentIntent:
        made = honest(*arguments)
        if not left:
            raise SystemExit  # after the work, before its commit
        left.pop()
        return made

    monkeypatch.setattr(intents, "create", dying)
    with pytest.raises(SystemExit):
        bulk.create_intents(arguments_of(job_id))
    assert (count(PaymentIntent), count(JobItem)) == (4, 4)
    monkeypatch.setattr(intents, "create", honest)
    for _ in range(2):
        bulk.create_intents(arguments_of(job_id))
    with reading() as db:
        assert sorted(db.scalars(select(PaymentIntent.amount))) == list(range(1000, 1010))


def test_workers_at_one_job_at_once_share_it(shop: Shop) -> None:
    arguments = arguments_of(bulk.enqueue_intents(shop.actor, drafts(12)))
    assert together(6, lambda _: bulk.create_intents(arguments)) == [None] * 6
    with reading() as db:
        assert sorted(db.scalars(select(PaymentIntent.amount))) == list(range(1000, 1012))


def test_what_is_not_an_items_own_fault_is_tried_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = bulk.enqueue_intents(shop.actor, drafts(3))
    honest = intents.create

    def unavailable(*_: Any) -> PaymentIntent:
        raise ServiceUnavailable

    monkeypatch.setattr(intents, "create", unavailable)
    run_all()
    assert count(JobItem) == 0
    monkeypatch.setattr(intents, "create", honest)
    with later(60):
        run_all()
    assert jobs.get(shop.actor, job_id).status == "done"
    assert count(PaymentIntent) == 3


def test_a_worker_that_is_killed_doubles_nothing(shop: Shop, database: str, tmp_path: Path) -> None:
    job_id = bulk.enqueue_intents(shop.actor, drafts(150))
    first = workers.start(database, tmp_path)
    workers.until(lambda: count(JobItem) >= 3)
    first.kill()
    first.wait(10)
    with workers.running(database, tmp_path):
        workers.until(lambda: jobs.get(shop.actor, job_id).status == "done", 40)
    assert (count(PaymentIntent), count(JobItem)) == (150, 150)


def test_each_refund_of_a_job_has_its_own_result(api: Api) -> None:
    paid = api.intent()["id"]
    api.post(f"/intents/{paid}/confirm")
    orders = [
        {"payment_intent_id": paid, "amount": 3000, "reason": "product_return"},
        {"payment_intent_id": paid, "amount": 3000},
        {"payment_intent_id": api.intent()["id"]},
        {"payment_intent_id": "pi_nobodys"},
        {"payment_intent_id": paid},
    ]
    job_id = api.post("/refunds/bulk", {"refunds": orders}, 202)["job_id"]
    run_all()
    job = api.get(f"/jobs/{job_id}")
    assert [job["result"][name] for name in ("succeeded", "failed")] == [2, 3]
    assert [(e["index"], e["code"]) for e in job["errors"]] == [
        (1, "refund_exceeds_captured"),
        (2, "invalid_state"),
        (3, "payment_intent_not_found"),
    ]
    run_all()
    refund = api.get(f"/refunds/{job['result']['items'][0]['id']}")
    assert (refund["status"], refund["reason"], refund["amount"]) == ("succeeded", "product_return", 3000)
    assert api.get(f"/intents/{paid}")["amount_refunded"] == 5000
    bulk.create_refunds(arguments_of(job_id))
    assert count(Refund) == 2


def test_a_job_is_its_merchants_and_read_by_who_may_read_its_kind(api: Api) -> None:
    job_id = api.post("/intents/bulk", {"intents": [ITEM]}, 202)["job_id"]
    Api(api.client, shops.make("Stranger")).get(f"/jobs/{job_id}", 404)
    api.get("/jobs/job_none", 404)
    _, refunder = keys.create(api.shop.actor, "refunder", scopes=["refunds:read"])
    Api(api.client, api.shop, refunder).get(f"/jobs/{job_id}", 403)
    _, reader = keys.create(api.shop.actor, "reader", scopes=["intents:read"])
    assert Api(api.client, api.shop, reader).get(f"/jobs/{job_id}")["status"] == "queued"
    _, writer = keys.create(api.shop.actor, "writer", scopes=["intents:read", "refunds:read"])
    Api(api.client, api.shop, writer).post("/intents/bulk", {"intents": [ITEM]}, 403)
    Api(api.client, api.shop, writer).post("/refunds/bulk", {"refunds": [{"payment_intent_id": "x"}]}, 403)


def test_a_job_that_was_given_up_has_failed_and_says_no_more_than_it_should(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = api.post("/intents/bulk", {"intents": [ITEM]}, 202)["job_id"]

    def broken(_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setitem(queue.HANDLERS, "intents.create_many", broken)
    for turn in range(10):
        with later(turn * 400):
            run_all()
    job = api.get(f"/jobs/{job_id}")
    assert (job["status"], job["errors"]) == (
        "failed",
        [{"code": "job_failed", "error": "It was given up after 10 tries"}],
    )

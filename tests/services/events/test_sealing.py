"""Sealing: each row once, in a chain without gaps, with its deliveries in the same transaction."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from app.db import engine, reading, transaction
from app.domain.actor import Actor, Mode, system_actor
from app.models.access.tenant import Tenant
from app.models.events import journal_guard
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.services.access import tenants
from app.services.events import audit, deliveries, webhooks
from app.worker.handlers import HANDLERS
from tests.events import tell

AWKWARD: dict[str, Any] = {
    "ratio": 0.1 + 0.2,
    "large": 1e22,
    "small": 5e-324,
    "whole": 1.0,
    "minus": -0.0,
    "huge": 2**53 - 1,
    "text": "Ångström “€” \u2028 ẞ 𝄞",
    "z": None,
    "a": [1, [2.50, {"y": True, "b": []}]],
}


def _chain(tenant_id: str) -> list[JournalEntry]:
    with reading() as db:
        return list(
            db.scalars(
                select(JournalEntry)
                .where(JournalEntry.tenant_id == tenant_id, JournalEntry.sequence.is_not(None))
                .order_by(JournalEntry.sequence)
            )
        )


def _deliveries() -> list[Delivery]:
    with reading() as db:
        return list(db.scalars(select(Delivery).order_by(Delivery.id)))


def test_each_merchant_has_a_chain_without_gaps(tenant: Tenant, stranger: Actor) -> None:
    for _ in range(3):
        tell(tenant.id, count=4)
        tell(stranger.tenant_id, count=2)
        assert audit.seal() == 6
    assert audit.seal() == 0
    assert [row.sequence for row in _chain(tenant.id)] == list(range(1, 13))
    assert [row.sequence for row in _chain(stranger.tenant_id)] == list(range(1, 7))
    assert audit.verify(tenant.id) == audit.verify(stranger.tenant_id) == []


def test_a_limit_leaves_the_rest_for_the_next_round(tenant: Tenant) -> None:
    tell(tenant.id, count=7)
    assert [audit.seal(limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert audit.verify(tenant.id, batch=2) == []


def test_hashes_are_the_same_after_reading_awkward_values_back(tenant: Tenant) -> None:
    tell(tenant.id, after=AWKWARD, before={**AWKWARD, "k": "v" * 3000}, count=2)
    audit.seal()
    assert audit.verify(tenant.id) == []


def test_sealers_at_the_same_time_seal_each_row_and_fan_out_once(tenant: Tenant, actor: Actor) -> None:
    webhooks.create(actor, "http://127.0.0.1/hook", ["payment.succeeded"])
    ids = tell(tenant.id, count=120)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: audit.seal(limit=10), range(40)))
    audit.seal()
    chain = _chain(tenant.id)
    assert len(chain) == len(ids) + 1  # the endpoint's own creation
    assert [row.sequence for row in chain] == list(range(1, len(chain) + 1))
    assert audit.verify(tenant.id) == []
    assert sorted(row.event_id for row in _deliveries()) == sorted(ids)


def test_only_what_an_endpoint_lists_in_its_mode_is_fanned_out(tenant: Tenant, actor: Actor) -> None:
    live = system_actor(tenant.profile(Mode.LIVE), Mode.LIVE)
    paid, _ = webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded", "checkout.completed"])
    live_one, _ = webhooks.create(live, "https://merchant.example/live", ["payment.succeeded"])
    off, _ = webhooks.create(actor, "http://127.0.0.1/off", ["payment.succeeded"])
    gone, _ = webhooks.create(actor, "http://127.0.0.1/gone", ["payment.succeeded"])
    webhooks.set_enabled(actor, off.id, False)
    webhooks.delete(actor, gone.id)
    for name in ("payment.succeeded", "checkout.completed", "refund.succeeded", "payment_intent.processing"):
        tell(tenant.id, name)
    tell(tenant.id, mode="live")
    audit.seal()
    assert sorted((row.endpoint_id, row.event_type, row.mode) for row in _deliveries()) == sorted(
        [
            (paid.id, "checkout.completed", "test"),
            (paid.id, "payment.succeeded", "test"),
            (live_one.id, "payment.succeeded", "live"),
        ]
    )


def test_the_envelope_is_that_of_the_contract(tenant: Tenant, actor: Actor) -> None:
    webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded"])
    [event_id] = tell(tenant.id, before={"status": "processing"}, after={"status": "succeeded", "x": 1})
    audit.seal()
    event = json.loads(_deliveries()[0].body)
    assert list(event) == ["id", "type", "created_at", "correlation_id", "data"]
    assert (event["id"], event["type"]) == (event_id, "payment.succeeded")
    assert event["created_at"].endswith("Z") and "." not in event["created_at"]
    assert event["data"] == {
        "object": {"status": "succeeded", "x": 1},
        "checkout_id": "chk_0",
        "payment_intent_id": "pi_0",
        "before": {"status": "processing"},
        "after": {"status": "succeeded", "x": 1},
    }


@pytest.mark.parametrize("size", [12_000, 30_000])
def test_a_large_event_is_sent_lean_and_under_the_limit(tenant: Tenant, actor: Actor, size: int) -> None:
    webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded"])
    tell(tenant.id, after={"id": "pi_0", "status": "succeeded", "metadata": {"note": "é" * (size // 2)}})
    audit.seal()
    body = _deliveries()[0].body
    event = json.loads(body)
    assert len(body.encode()) <= audit.MAX_BODY
    assert (event["data"]["object"]["id"], event["data"]["after"]) == ("pi_0", None)
    assert ("metadata" in event["data"]["object"]) == (size < audit.MAX_BODY)


def test_an_event_of_a_hundred_long_texts_names_its_object_alone(tenant: Tenant, actor: Actor) -> None:
    webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded"])
    many = {f"field_{number}": "\x01" * 250 for number in range(100)}
    tell(tenant.id, after={"id": "pi_0", "status": "succeeded", **many})
    audit.seal()
    body = _deliveries()[0].body
    assert len(body.encode()) <= audit.MAX_BODY
    assert json.loads(body)["data"]["object"] == {"id": "pi_0", "status": "succeeded"}


def test_a_failed_fan_out_seals_nothing_and_other_merchants_go_on(
    tenant: Tenant, actor: Actor, stranger: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded"])
    audit.seal()
    [event_id] = tell(tenant.id)
    tell(stranger.tenant_id)
    whole = audit.envelope

    def broken(entry: JournalEntry) -> str:
        if entry.id == event_id:
            raise RuntimeError("no")
        return whole(entry)

    with monkeypatch.context() as patch:
        patch.setattr(audit, "envelope", broken)
        assert audit.seal() == 1
    assert _deliveries() == []
    assert len(_chain(stranger.tenant_id)) == 1
    assert audit.seal() == 1
    assert [row.event_id for row in _deliveries()] == [event_id]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET type = 'payment.failed' WHERE sequence = 2",
        "UPDATE journal SET hash = 'x' WHERE sequence = 2",
        "UPDATE journal SET sequence = NULL WHERE sequence = 3",
        "UPDATE journal SET data = '{}' WHERE sequence IS NULL",
        "DELETE FROM journal WHERE sequence IS NULL",
        "DELETE FROM journal WHERE sequence = 1",
    ],
)
def test_the_database_refuses_to_change_the_journal(tenant: Tenant, statement: str) -> None:
    tell(tenant.id, count=3)
    audit.seal()
    tell(tenant.id)
    with pytest.raises(DBAPIError, match="cannot be"), transaction() as db:
        db.execute(text(statement))
    assert audit.seal() == 1
    assert audit.verify(tenant.id) == []


def _tamper(*statements: Any) -> None:
    with engine().begin() as connection:
        journal_guard.remove(connection)
        for statement in statements:
            connection.execute(statement)
        journal_guard.install(connection)


def test_verification_names_an_altered_row(tenant: Tenant) -> None:
    ids = tell(tenant.id, count=5)
    audit.seal()
    _tamper(update(JournalEntry).where(JournalEntry.id == ids[2]).values(actor_id="somebody else"))
    assert audit.verify(tenant.id) == [f"{ids[2]} was altered, or what stood before it"]


def test_verification_names_a_missing_row(tenant: Tenant) -> None:
    ids = tell(tenant.id, count=5)
    audit.seal()
    _tamper(text(f"DELETE FROM journal WHERE id = '{ids[2]}'"))
    problems = audit.verify(tenant.id, batch=2)
    assert problems[0] == f"entry 3 is missing before {ids[3]}"


def test_verification_sees_a_row_rehashed_on_its_own(tenant: Tenant) -> None:
    ids = tell(tenant.id, count=4)
    audit.seal()
    first, second, *_ = _chain(tenant.id)
    second.type = "payment.failed"
    forged = second.sealed_hash(first.hash or "", 2)
    _tamper(
        update(JournalEntry).where(JournalEntry.id == second.id).values(type="payment.failed", hash=forged)
    )
    assert audit.verify(tenant.id) == [f"{ids[2]} was altered, or what stood before it"]


def test_sealing_takes_few_statements_whatever_the_batch(tenant: Tenant, actor: Actor) -> None:
    from sqlalchemy import event

    webhooks.create(actor, "http://127.0.0.1/a", ["payment.succeeded"])
    tell(tenant.id, count=100)
    seen: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine(), "before_cursor_execute", count)
    try:
        audit.seal()
    finally:
        event.remove(engine(), "before_cursor_execute", count)
    assert len([s for s in seen if not s.startswith(("BEGIN", "COMMIT"))]) <= 8
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(Delivery)) == 100
    assert len(deliveries.due()) == 2


def test_no_merchant_no_problem(database: str) -> None:
    assert audit.seal() == 0
    assert audit.verify(tenants.create("Empty", "empty", "EUR").id) == []


def test_what_is_cut_off_at_the_end_is_missed_once_an_examination_has_seen_it(
    tenant: Tenant, stranger: Actor
) -> None:
    examine = HANDLERS["installation.examine"]
    ids = tell(tenant.id, count=5)
    tell(stranger.tenant_id, count=1)
    audit.seal()
    examine({})
    assert audit.verify(tenant.id) == []
    _tamper(text(f"DELETE FROM journal WHERE id IN ('{ids[3]}', '{ids[4]}')"))
    missing = "entries 4 to 5, which an examination has seen, are missing at the end"
    assert audit.verify(tenant.id) == [missing]
    examine({})
    assert audit.verify(tenant.id) == [missing], "what was cut off stays missed"
    fresh = tell(tenant.id, count=2)
    audit.seal()
    examine({})
    assert audit.verify(tenant.id) == [f"{fresh[1]} stands where an examination has seen another entry"]
    assert audit.verify(stranger.tenant_id) == []
    _tamper(text("DELETE FROM journal"))
    assert audit.verify(tenant.id) == [missing.replace("4 to 5", "1 to 5")]

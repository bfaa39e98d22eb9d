"""Jobs: enqueued with their change, leased with a fencing token, run again, buried, revived; and health."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.db import transaction
from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, NotFound
from app.kit import clock
from app.models.operations.job import Job
from app.services.operations import health, jobs
from app.services.operations.health import State


def _add(actor: Actor, **options: Any) -> str:
    known = {job.id for job in jobs.list_page(actor, limit=100).data}
    with transaction() as db:
        jobs.enqueue(
            db, "refunds.send", {"refund_id": "rf_1"}, tenant_id=actor.tenant_id, mode="test", **options
        )
    [job_id] = {job.id for job in jobs.list_page(actor, limit=100).data} - known
    return job_id


def _claim(job_id: str, **options: Any) -> Job:
    job = jobs.claim(job_id, **options)
    assert job is not None
    return job


def test_a_job_is_there_when_its_change_is(actor: Actor) -> None:
    def broken() -> None:
        with transaction() as db:
            jobs.enqueue(db, "refunds.send", {}, tenant_id=actor.tenant_id, mode="test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert jobs.due() == []


def test_a_unique_key_is_enqueued_once(actor: Actor) -> None:
    _add(actor, unique_key="once")
    with transaction() as db:
        for _ in range(2):
            jobs.enqueue(db, "other", {}, tenant_id=actor.tenant_id, mode="test", unique_key="once")
    assert len(jobs.due()) == 1


def test_one_of_many_claims_wins(actor: Actor) -> None:
    job_id = _add(actor)
    with ThreadPoolExecutor(8) as pool:
        won = [job for job in pool.map(jobs.claim, [job_id] * 16) if job is not None]
    assert [(job.status, job.tries) for job in won] == [("leased", 1)]
    assert jobs.due() == []


def test_a_job_is_not_due_before_its_time(actor: Actor) -> None:
    job_id = _add(actor, due_at=clock.now() + timedelta(hours=1))
    assert (jobs.due(), jobs.claim(job_id)) == ([], None)
    with clock.frozen(clock.now() + timedelta(hours=1, seconds=1)):
        assert jobs.due() == [job_id]


def test_a_lost_lease_cannot_finish_fail_or_be_extended(actor: Actor) -> None:
    job_id = _add(actor)
    stale = _claim(job_id, lease_seconds=5)
    with clock.frozen(clock.now() + timedelta(seconds=6)):
        assert jobs.due() == [job_id]
        fresh = _claim(job_id)
        assert (jobs.finish(stale, {}), jobs.fail(stale, "late"), jobs.extend(stale)) == (False, False, False)
        assert jobs.get(actor, job_id).status == "leased"
        assert jobs.finish(fresh, {"ok": True})
    found = jobs.get(actor, job_id)
    assert (found.status, found.result, found.tries, found.errors) == ("done", {"ok": True}, 2, [])
    assert jobs.due() == []


def test_a_kept_lease_does_not_lapse(actor: Actor) -> None:
    job = _claim(_add(actor), lease_seconds=5)
    now = clock.now()
    with clock.frozen(now + timedelta(seconds=4)):
        assert jobs.extend(job, lease_seconds=5)
    with clock.frozen(now + timedelta(seconds=8)):
        assert jobs.due() == []
    with clock.frozen(now + timedelta(seconds=10)):
        assert jobs.due() == [job.id]


def test_failures_wait_longer_and_longer_until_the_last(actor: Actor) -> None:
    job_id = _add(actor, max_tries=4)
    moment, waits = clock.now(), []
    for number in range(1, 5):
        with clock.frozen(moment):
            assert jobs.fail(_claim(job_id), f"failure {number}")
            found = jobs.get(actor, job_id)
        waits.append((found.due_at - moment).total_seconds())
        moment = max(found.due_at, moment)
    assert waits[:3] == [1, 4, 16]
    assert (found.status, [item["error"] for item in found.errors]) == (
        "dead",
        ["failure 1", "failure 2", "failure 3", "failure 4"],
    )
    with clock.frozen(moment + timedelta(days=9)):
        assert jobs.due() == []


def test_only_the_dead_are_revived_and_only_by_their_merchant(actor: Actor, stranger: Actor) -> None:
    job_id = _add(actor, max_tries=1)
    with pytest.raises(Conflict):
        jobs.revive(actor, job_id)
    jobs.fail(_claim(job_id), "no")
    for call in (jobs.revive, jobs.get):
        with pytest.raises(NotFound):
            call(stranger, job_id)
    assert jobs.list_page(stranger).data == []
    assert jobs.revive(actor, job_id).status == "queued"
    assert jobs.due() == [job_id]


def test_pages_of_jobs(actor: Actor) -> None:
    ids = [_add(actor) for _ in range(5)]
    jobs.finish(_claim(ids[0]), None)
    first = jobs.list_page(actor, limit=3)
    second = jobs.list_page(actor, limit=3, cursor=first.next_cursor)
    assert [job.id for job in first.data + second.data] == ids[::-1]
    assert [job.id for job in jobs.list_page(actor, status="done").data] == [ids[0]]
    with pytest.raises(InvalidRequest):
        jobs.list_page(actor, cursor="*")


def test_health_says_what_is_late_and_who_is_there(actor: Actor) -> None:
    assert (health.check().worker, health.check().overall) == (State.DOWN, State.DOWN)
    health.beat("w1")
    health.beat("w1")
    found = health.check()
    assert (found.database, found.workers, found.overall, found.ready) == (State.OK, 1, State.OK, True)
    _add(actor)
    now = clock.now()
    with clock.frozen(now + timedelta(seconds=health.LATE_SECONDS + 5)):
        health.beat("w1")
        late = health.check()
        assert (late.jobs_due, late.queue, late.webhooks, late.overall) == (
            1,
            State.DEGRADED,
            State.OK,
            State.DEGRADED,
        )
        assert late.oldest_job_seconds >= health.LATE_SECONDS
    with clock.frozen(now + timedelta(minutes=10)):
        assert (health.check().workers, health.check().queue) == (0, State.DOWN)
    health.gone("w1")
    assert health.check().workers == 0


def test_health_without_a_database_is_an_answer_too(database: str) -> None:
    from app import db

    db.configure("postgresql+psycopg://nobody@127.0.0.1:1/none")
    found = health.check()
    assert (found.database, found.ready, found.overall) == (State.DOWN, False, State.DOWN)


def test_whatever_a_failure_says_is_kept(actor: Actor) -> None:
    job_id = _add(actor)
    assert jobs.fail(_claim(job_id), "it said \x00 and \ud800")
    found = jobs.get(actor, job_id)
    assert (found.status, found.errors[0]["error"]) == ("retry_wait", "it said ? and ?")


def test_a_job_that_is_buried_keeps_why_it_failed_before(actor: Actor) -> None:
    job_id = _add(actor, max_tries=2)
    jobs.fail(_claim(job_id), "first")
    now = clock.now()
    with clock.frozen(now + timedelta(seconds=10)):
        _claim(job_id, lease_seconds=1)
    with clock.frozen(now + timedelta(seconds=12)):
        assert jobs.bury_lapsed() == 1
    found = jobs.get(actor, job_id)
    assert found.status == "dead"
    assert [item["error"] for item in found.errors] == ["first", "its worker was lost at the last try"]

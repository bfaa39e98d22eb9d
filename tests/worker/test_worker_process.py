"""The worker as a process: it delivers, survives being killed, stops cleanly, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select, update
from standardwebhooks import Webhook

from app.db import reading, transaction
from app.domain.actor import Actor
from app.kit import clock
from app.models.events.delivery import Delivery
from app.models.operations.job import Job
from app.services.events import webhooks
from app.services.operations import health, jobs
from tests import workers
from tests.databases import environment
from tests.events import tell
from tests.receiver import Receiver

EVENT = "payment.succeeded"


def _count(*conditions: object) -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(Delivery).where(*conditions)) or 0  # type: ignore[arg-type]


def _path() -> str:
    return f"worker-{time.monotonic_ns()}"


def test_nothing_is_lost_when_workers_are_killed_in_the_middle(
    database: str, actor: Actor, receiver: Receiver, tmp_path: Path
) -> None:
    paths = [f"/slow/0.1/{_path()}" for _ in range(4)]
    secrets = {path: webhooks.create(actor, receiver.url(path), [EVENT])[1] for path in paths}
    ids = tell(actor.tenant_id, EVENT, count=10)
    delivered = Delivery.status == "delivered"
    for _ in range(2):  # killed while requests are in flight
        child = workers.start(database, tmp_path)
        before = sum(len(receiver.requests(path)) for path in paths)
        workers.until(lambda: sum(len(receiver.requests(p)) for p in paths) >= before + 6)  # noqa: B023
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert _count(delivered) < 40
    with workers.running(database, tmp_path):
        workers.until(lambda: _count(delivered) == 40)
    for path in paths:
        requests = receiver.requests(path)
        seen = Counter(request.event_id for request in requests)
        assert set(seen) == set(ids)
        assert len(seen) == 10
        assert {request.event_id: request.body for request in requests}.keys() == set(ids)
        assert len({(request.event_id, request.body) for request in requests}) == 10
        for request in requests:
            assert Webhook(secrets[path]).verify(request.body, request.headers)
    assert _count() == 40


def test_no_endpoint_gets_more_than_two_at_once(
    database: str, actor: Actor, receiver: Receiver, tmp_path: Path
) -> None:
    path = f"/slow/0.05/{_path()}"
    webhooks.create(actor, receiver.url(path), [EVENT])
    tell(actor.tenant_id, EVENT, count=25)
    many = {"TILL_WORKER_THREADS": "8", "TILL_WORKER_LEASE_SECONDS": "30"}
    with workers.running(database, tmp_path, **many), workers.running(database, tmp_path, **many):
        workers.until(lambda: _count(Delivery.status == "delivered") == 25)
    requests = receiver.requests(path)
    assert len(requests) == 25
    assert max(request.in_flight for request in requests) <= 2


def test_two_workers_share_the_work_and_send_nothing_twice(
    database: str, actor: Actor, receiver: Receiver, tmp_path: Path
) -> None:
    paths = [f"/ok/{_path()}" for _ in range(3)]
    for path in paths:
        webhooks.create(actor, receiver.url(path), [EVENT])
    lease = {"TILL_WORKER_LEASE_SECONDS": "30"}
    with workers.running(database, tmp_path, **lease), workers.running(database, tmp_path, **lease):
        for _ in range(4):
            tell(actor.tenant_id, EVENT, count=5)
            time.sleep(0.1)
        workers.until(lambda: _count(Delivery.status == "delivered") == 60)
        workers.until(lambda: health.check().workers == 2)
    assert [len(receiver.requests(path)) for path in paths] == [20, 20, 20]
    assert health.check().workers == 0


def test_a_worker_runs_jobs_again_and_buries_what_stays_broken(
    database: str, actor: Actor, tmp_path: Path
) -> None:
    with transaction() as db:
        for key, tries in (("a", 1), ("b", 2)):
            jobs.enqueue(
                db,
                "refunds.send",
                {"refund_id": "rf_missing"},
                tenant_id=actor.tenant_id,
                mode="test",
                unique_key=key,
                max_tries=tries,
            )
        jobs.enqueue(db, "no.such.job", {}, tenant_id=actor.tenant_id, mode="test", max_tries=1)

    def states() -> list[tuple[str, int]]:
        return sorted((job.status, job.tries) for job in jobs.list_page(actor).data)

    with workers.running(database, tmp_path):
        workers.until(lambda: states() == [("dead", 1), ("dead", 1), ("dead", 2)])
    errors = {job.name: job.errors[-1]["error"] for job in jobs.list_page(actor).data}
    assert errors["no.such.job"].startswith("KeyError")
    assert errors["refunds.send"].startswith("NoResultFound")


def test_a_job_whose_worker_was_killed_runs_again(database: str, actor: Actor, tmp_path: Path) -> None:
    with transaction() as db:
        jobs.enqueue(
            db,
            "refunds.send",
            {"refund_id": "rf_missing"},
            tenant_id=actor.tenant_id,
            mode="test",
            max_tries=2,
        )
    [job_id] = jobs.due()
    assert jobs.claim(job_id, lease_seconds=1) is not None  # and its worker is never heard of again
    with workers.running(database, tmp_path):
        workers.until(lambda: jobs.get(actor, job_id).status == "dead")
    assert jobs.get(actor, job_id).tries == 2


def test_a_job_that_kills_its_workers_is_buried(database: str, actor: Actor) -> None:
    with transaction() as db:
        jobs.enqueue(db, "poison", {}, tenant_id=actor.tenant_id, mode="test", max_tries=3)
        now = clock.now()
        db.execute(update(Job).values(status="leased", tries=3, lease_until=now, lease_token="gone"))
    assert jobs.due() == []
    assert jobs.bury_lapsed() == 1
    [job] = jobs.list_page(actor).data
    assert (job.status, job.errors[0]["error"]) == ("dead", "its worker was lost at the last try")
    revived = jobs.revive(actor, job.id)
    assert (revived.status, revived.tries, jobs.due()) == ("queued", 0, [job.id])


def test_term_lets_what_is_running_end(
    database: str, actor: Actor, receiver: Receiver, tmp_path: Path
) -> None:
    path = f"/slow/0.8/{_path()}"
    webhooks.create(actor, receiver.url(path), [EVENT])
    tell(actor.tenant_id, EVENT, count=2)
    child = workers.start(database, tmp_path, TILL_WORKER_LEASE_SECONDS="30")
    workers.until(lambda: len(receiver.requests(path)) == 2)
    child.terminate()
    assert child.wait(10) == 0
    assert _count(Delivery.status == "delivered") == 2
    assert health.check().workers == 0


def test_a_worker_ends_with_its_parent(database: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = (
        "import os, subprocess, sys, time, pathlib\n"
        "code = f'from app.worker import run; run.main(parent={os.getpid()})'\n"
        "child = subprocess.Popen([sys.executable, '-c', code])\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid) + chr(10))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment(database, tmp_path))
    workers.until(lambda: health.check().workers == 1)
    worker = int(pid_file.read_text())
    parent.kill()
    parent.wait()
    workers.until(lambda: not _alive(worker), seconds=10)
    assert health.check().workers == 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # an orphan that nobody has reaped is dead too
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")

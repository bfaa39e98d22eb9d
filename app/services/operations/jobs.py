"""Jobs: enqueue in the transaction of the change that wants them, claim under a lease, finish once.

The row is the truth; the queue engine carries only its id (docs/adr/0004). A lapsed lease puts a job back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.lifecycles import jobs as lifecycle
from app.domain.rules.retry import job_delay
from app.kit import clock
from app.kit.ids import new_id, random_token
from app.models.operations.job import Job

#: A job that is not done within this time is taken from its worker.
LEASE_SECONDS = 60

_S, _T = lifecycle.Status, lifecycle.Trigger


def enqueue(
    db: Session,
    name: str,
    arguments: dict[str, Any],
    *,
    tenant_id: str,
    mode: str,
    unique_key: str | None = None,
    due_at: datetime | None = None,
    max_tries: int = 10,
) -> None:
    """Add a job in this transaction; with a `unique_key` that exists already nothing is added."""
    now = clock.now()
    values = {
        "id": new_id("job"),
        "tenant_id": tenant_id,
        "mode": mode,
        "name": name,
        "arguments": arguments,
        "unique_key": unique_key,
        "status": str(_S.QUEUED),
        "tries": 0,
        "max_tries": max_tries,
        "due_at": due_at or now,
        "errors": [],
        "created_at": now,
        "updated_at": now,
    }
    dialect = postgresql if db.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Job).values(values)
    db.execute(statement.on_conflict_do_nothing(index_elements=["unique_key"]))


def due(limit: int = 50) -> list[str]:
    """Ids of jobs that may run now, oldest first; lapsed leases among them."""
    now = clock.now()
    statement = (
        select(Job.id)
        .where(
            or_(
                Job.status.in_((_S.QUEUED, _S.RETRY_WAIT)) & (Job.due_at <= now),
                (Job.status == _S.LEASED) & (Job.lease_until < now),
            )
        )
        .order_by(Job.due_at)
        .limit(limit)
    )
    with reading() as db:
        return list(db.scalars(statement))


def claim(job_id: str, *, lease_seconds: int = LEASE_SECONDS) -> Job | None:
    """Lease a due job with a fresh fencing token; None when another worker has it."""
    now = clock.now()
    with transaction() as db:
        job = db.get(Job, job_id)
        if job is None:
            return None
        lapsed = job.status == _S.LEASED and job.lease_until is not None and job.lease_until < now
        if not lapsed and not (job.status in (_S.QUEUED, _S.RETRY_WAIT) and job.due_at <= now):
            return None
        taken = db.execute(
            update(Job)
            .where(Job.id == job_id, Job.status == job.status, Job.lease_token.is_(job.lease_token)
                   if job.lease_token is None else Job.lease_token == job.lease_token)
            .values(
                status=str(_S.LEASED),
                tries=Job.tries + 1,
                lease_token=random_token(),
                lease_until=now + timedelta(seconds=lease_seconds),
            )
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            return None
        db.refresh(job)
        return job


def finish(job: Job, result: dict[str, Any] | None) -> bool:
    """Record success; False when the lease was lost meanwhile, and so the result does not count."""
    return _end(job, _T.DONE, result=result, finished_at=clock.now(), lease_until=None)


def fail(job: Job, error: str) -> bool:
    """Record a failure: run again later, or `dead` after the last try, for a person to see."""
    errors = [*job.errors, {"at": clock.to_rfc3339(clock.now()), "error": error[:500]}]
    if job.tries >= job.max_tries:
        return _end(job, _T.BURIED, errors=errors, finished_at=clock.now(), lease_until=None)
    later = clock.now() + timedelta(seconds=job_delay(job.tries))
    return _end(job, _T.DEFERRED, errors=errors, due_at=later, lease_until=None)


def _end(job: Job, trigger: lifecycle.Trigger, **changes: Any) -> bool:
    target = job.lifecycle.edge(job.status, trigger).target
    statement = (
        update(Job)
        .where(Job.id == job.id, Job.lease_token == job.lease_token, Job.status == _S.LEASED)
        .values(status=str(target), lease_token=None, updated_at=clock.now(), **changes)
    )
    with transaction() as db:
        return bool(db.execute(statement).rowcount)  # type: ignore[attr-defined]
